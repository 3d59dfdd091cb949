"""What every scenario shares: a place on a real disk, a server with its history over many rounds,
counts.

A campaign is one data directory with everything that was ever asked of it. Its rounds follow each
other on the same directory, so that damage would accumulate; each one ends with a verification
that starts with the first read after recovery.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import server as serving

import checkers
import check_log
from history import History, Log, World, describe

HERE = os.path.dirname(os.path.abspath(__file__))
GOING_SECONDS = 30
SHOWN_FINDINGS = 8


class Counts:
    """Passed, failed, skipped; every failure says what and with which seed."""

    def __init__(self, seed):
        self.seed, self.passed, self.failed, self.skipped = seed, 0, 0, 0
        self.began = time.monotonic()

    def case(self, name, problems, note=""):
        """One case: it passed when there are no problems."""
        took = time.monotonic() - self.began
        if problems:
            self.failed += 1
            print("FAILED: %s (--seed %d)" % (name, self.seed))
            for problem in problems[:SHOWN_FINDINGS]:
                print("    " + problem[:1000])
            if len(problems) > SHOWN_FINDINGS:
                print("    … %d more" % (len(problems) - SHOWN_FINDINGS))
        else:
            self.passed += 1
            print("[%6.1fs] %s%s" % (took, name, ": " + note if note else ""))
        sys.stdout.flush()

    def skip(self, name, why, count=1):
        self.skipped += count
        print("SKIPPED: %s: %s" % (name, why), flush=True)

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def close(self):
        """The closing line, and the exit status."""
        text = "%d passed, %d failed" % (self.passed, self.failed)
        print(text + (", %d skipped" % self.skipped if self.skipped else ""), flush=True)
        return 1 if self.failed or not self.passed else 0


class Place:
    """A directory on a real disk, removed at the end unless MS_KEEP=1."""

    def __enter__(self):
        top = os.environ.get("TMPDIR") or os.path.join(serving.ROOT, "build", "crash-tmp")
        os.makedirs(top, exist_ok=True)
        self.path = tempfile.mkdtemp(prefix="mainstem-crash-", dir=top)
        return self.path

    def __exit__(self, *exception):
        if os.environ.get("MS_KEEP") == "1":
            print("kept: " + self.path)
            return
        shutil.rmtree(self.path, ignore_errors=True)


class Campaign:
    def __init__(self, place, seed, name="campaign", data=None, flags=serving.SMALL):
        self.seed, self.rng = seed, random.Random("%s/%d" % (name, seed))
        self.place = os.path.join(place, name)
        os.makedirs(self.place)
        self.server = serving.Server(data or os.path.join(self.place, "data"), flags)
        self.mirror = serving.Mirror(self.rng)
        self.history, self.round, self.last_paths = History(), 0, []
        self.recoveries = []  # (log bytes, ms until it served, ms of recovery itself, torn tail)
        self.driver, self.reported = None, set()

    # ---- load ----

    def path(self, kind):
        return os.path.join(self.place, "%s-%04d.jsonl" % (kind, self.round))

    def drive(self, seconds=60, going=True, **options):
        """Starts the load driver; returns when it gets answers."""
        self.round += 1
        self.last_paths.append(self.path("history"))
        command = [os.path.join(HERE, "driver"), "--address", self.server.address,
                   "--history", self.path("history"), "--state",
                   os.path.join(self.place, "state.json"), "--seed", str(self.seed),
                   "--round", str(self.round), "--seconds", str(seconds)]
        for key, value in options.items():
            command.append("--" + key.replace("_", "-"))
            if value is not True:
                command.append(str(value))
        self.driver = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True)
        if going:
            first = self.driver.stdout.readline()
            if first != "going\n":
                raise RuntimeError("the driver got no answers: " + first + self.end_driver())

    def end_driver(self, stop=False):
        """Waits for the driver (told to stop, or because the server is gone); what it printed."""
        if self.driver is None:
            return ""
        if stop:
            self.driver.send_signal(signal.SIGTERM)
        try:
            printed, _ = self.driver.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            printed, _ = self.driver.communicate()
            printed += "\nthe driver hung"
        status, self.driver = self.driver.returncode, None
        if status != 0:
            raise RuntimeError("the driver failed (%s): %s" % (status, printed[-800:]))
        return printed

    def note(self, what):
        self.history.notes.append((time.monotonic_ns(), what))

    def kill(self):
        self.note("kill")
        self.server.kill()

    # ---- verification ----

    def start(self):
        self.server.start()
        store = self.server.info()["store"]
        recovery = store["recovery"]
        self.recoveries.append((store["log_bytes"], self.server.start_ms, recovery["ms"],
                                recovery["torn_tail"]))

    def read_back(self, everything=False):
        """The log as it is told now, against what was told before. Problems."""
        self.mirror.trouble = []
        try:
            self.mirror.refresh(self.server, everything)
        except (OSError, RuntimeError) as error:
            return ["reading back: %s" % error]
        return self.mirror.trouble

    def verify(self, everything=False):
        """Reads back and checks: the last round by all checkers, all rounds by check_log; at the
        end all by all. Problems that were not reported before."""
        problems = self.read_back(everything)
        log = Log(self.mirror.events)
        known = len(self.history.ops)
        for path in self.last_paths:
            self.history.load(path)
        self.last_paths = []
        newest = None if everything else self.history.ops[known:]
        found = check_log.check(World(self.history, log))
        world = World(self.history, log, newest)
        for checker in checkers.CHECKERS:
            if checker is checkers.check_reader and not everything:
                continue  # subscriptions go on over the rounds
            if checker is not check_log:
                found += checker.check(world)
        problems += [describe(finding) for finding in found]
        fresh = [problem for problem in problems if problem not in self.reported]
        self.reported.update(fresh)
        return fresh

    def settle(self):
        """Every subscription goes to the end; then everything is checked."""
        self.drive(seconds=60, going=False, settle=True)
        self.end_driver()
        return self.verify(everything=True)

    def stop(self):
        if self.server.is_running():
            self.server.kill()
        if self.driver is not None:
            self.driver.kill()
            self.driver.communicate()
            self.driver = None

    def recovery_note(self):
        bytes_, start, recovery, torn = self.recoveries[-1]
        return "%d events, %.1f MiB of log, serving after %.0f ms (recovery %d ms%s)" % (
            len(self.mirror.events), bytes_ / (1 << 20), start, recovery,
            ", torn tail" if torn else "")

    def recovery_summary(self):
        starts = sorted(start for _, start, _, _ in self.recoveries)
        own = sorted(recovery for _, _, recovery, _ in self.recoveries)
        return "%d starts, largest log %.1f MiB; serving after %.0f ms (median), %.0f ms " \
            "(worst); recovery itself %d ms, %d ms; %d torn tails" % (
                len(starts), max(b for b, _, _, _ in self.recoveries) / (1 << 20),
                starts[len(starts) // 2], starts[-1], own[len(own) // 2], own[-1],
                sum(torn for _, _, _, torn in self.recoveries))


def can_mount():
    """Why mounts in a private namespace are not possible here; None when they are."""
    if os.geteuid() != 0:
        return "needs root"
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    return None if tried.returncode == 0 else "no private mount namespace: %s" % \
        tried.stderr.decode().strip()


def can_trace():
    try:
        tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    except OSError:
        return "strace is not installed"
    return None if tried.returncode == 0 else "strace can't trace here"


def run_inside(counts, name, arguments, seconds):
    """Runs a program of this directory in a private mount namespace and takes over its counts."""
    command = ["unshare", "-m", os.path.join(HERE, name)] + arguments
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, _ = process.communicate()
        counts.case(name, ["hangs: stopped after %d s" % seconds, printed[-1500:]])
        return
    lines = printed.splitlines()
    print("\n".join(lines[:-1]), flush=True)
    words = lines[-1].replace(",", "").split() if lines else []
    if len(words) in (4, 6) and words[1::2][:2] == ["passed", "failed"]:
        counts.add(*[int(word) for word in words[::2]] + [0] * (3 - len(words) // 2))
    else:
        counts.case(name, ["ended without counts: " + (lines[-1] if lines else "")])


def pretty(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
