"""All checkers of a history, in one call; also a command:

    tests/check/checkers.py LOG.jsonl HISTORY.jsonl…      exit 1 when something was found
"""
import sys

import check_batch
import check_cond
import check_log
import check_reader
import check_repeat
from history import History, Log, World, describe, load_log

CHECKERS = (check_log, check_cond, check_batch, check_repeat, check_reader)


def check_world(world):
    found = []
    for checker in CHECKERS:
        found += checker.check(world)
    return found


def check_files(log_path, history_paths):
    history = History()
    for path in history_paths:
        history.load(path)
    return check_world(World(history, Log(load_log(log_path))))


if __name__ == "__main__":
    findings = check_files(sys.argv[1], sys.argv[2:])
    for finding in findings:
        print(describe(finding))
    sys.exit(1 if findings else 0)
