"""kill -9 of a server under load by Kafka clients, again and again on one directory.

    tests/crash/run --only kafka [--rounds N] [--seed S] [--quick]

Idempotent producers, a transactional one, transformers (consume, produce, offsets in the
transaction; random aborts), readers with both isolation levels go on over the kills; some of them
are killed as well, or get a second one with their transactional id beside them while they go on or
sleep. Three transformers share a group's partitions; they leave, die, come back, or are ghosts that
have missed a rebalance in the middle of a transaction, so that the server is killed in the middle of
rebalances, too. At the end everything is read back, twice, with a kill between, and checked
(tests/check/check_kafka.py). The clients are librdkafka's (kafka_worker.py).
"""
import glob
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

import campaign as campaigns
import kill_loop
import server as serving

import check_kafka
from history import describe
from kafka_history import KafkaHistory

WORKER = os.path.join(serving.HERE, "kafka_worker.py")
GOING_SECONDS = 20
SETTLE_SECONDS = 60
SESSION_SECONDS = 6  # of kafka_worker.py's members
SLOTS = {
    "p": ["produce"],
    "t0": ["transform", "--id", "t-0", "--partitions", "0,1"],
    "t1": ["transform", "--id", "t-1", "--partitions", "2,3"],
    "j0": ["transform", "--id", "t-j0", "--join", "j0"],
    "j1": ["transform", "--id", "t-j1", "--join", ""],
    "j2": ["transform", "--id", "t-j2", "--join", ""],
    "r": ["read"],
}
MISCHIEF = ("none", "regroup", "sleep", "kill", "double", "ghost", "kill", "regroup", "sleep")
DOUBLED = ("t0", "t1")  # slots whose workers get a second one beside them
JOINED = ("j0", "j1", "j2")  # members of one group
TRANSFORMERS = ("t0", "t1") + JOINED


def find_python():
    """An interpreter with confluent_kafka; None."""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([python, "-c", "import confluent_kafka"],
                              capture_output=True).returncode == 0:
                return python
        except OSError:
            pass
    return None


def pick_port(rng):
    """Below the ports that clients get: nobody takes it while the server is down."""
    while True:
        port = rng.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Workers:
    """The processes, slot by slot, and what they noted."""

    def __init__(self, python, place, brokers, seed):
        self.python, self.place, self.brokers, self.seed = python, place, brokers, seed
        self.slots = {slot: [] for slot in SLOTS}
        self.numbers, self.read_to, self.troubles, self.ended = {}, {}, [], set()

    def spawn(self, slot, *more, words=None):
        number = self.numbers[slot] = self.numbers.get(slot, -1) + 1
        who = "%s.%d" % (slot, number)
        path = os.path.join(self.place, who)
        command = [self.python, WORKER] + (words or SLOTS[slot]) + list(more) + [
            "--brokers", self.brokers, "--who", who, "--history", path + ".jsonl",
            "--seed", str(self.seed)]
        with open(path + ".said", "wb") as said:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        process.who = who
        self.slots.setdefault(slot, []).append(process)
        return process

    def run(self, role, *more, seconds=60):
        """A worker that ends by itself."""
        self.wait(self.spawn(role, *more, words=[role]), seconds)

    def wait(self, process, seconds):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.troubles.append("%s did not end in %d s" % (process.who, seconds))
            process.kill()
            process.wait()
        self.reap()

    def reap(self, replace=False):
        """Takes note of those that ended, and starts another one where none is left."""
        for slot, processes in self.slots.items():
            for process in [one for one in processes if one.poll() is not None]:
                processes.remove(process)
                if process.returncode not in (0, -signal.SIGKILL, -signal.SIGTERM):
                    with open(os.path.join(self.place, process.who + ".said")) as said:
                        self.troubles.append("%s ended with %d: %s" % (
                            process.who, process.returncode, said.read()[-800:]))
            if replace and not processes and slot in SLOTS:
                self.spawn(slot)

    def fresh_lines(self):
        """(slot, line) of all that was noted since the last call."""
        for path in glob.glob(os.path.join(self.place, "*.jsonl")):
            with open(path, "rb") as file:
                file.seek(self.read_to.get(path, 0))
                text = file.read()
            end = text.rfind(b"\n") + 1
            self.read_to[path] = self.read_to.get(path, 0) + end
            slot = os.path.basename(path).split(".")[0]
            for line in text[:end].splitlines():
                yield slot, json.loads(line)

    def wait_noted(self, kind, slots, seconds=1):
        """Until one of them notes that; at once, to be in the middle of what follows."""
        for _ in self.fresh_lines():
            pass
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if any(slot in slots and line["e"] == kind for slot, line in self.fresh_lines()):
                return
            time.sleep(0.001)

    def news(self):
        """Slots that got answers since the last call."""
        wanted = {"p": "sent", "r": "poll"}
        return {slot for slot, line in self.fresh_lines()
                if line["e"] == wanted.get(slot, "committed")}

    def wait_going(self):
        """Until everybody gets answers; those who did not in time."""
        self.news()
        began, missing = time.monotonic(), set(SLOTS)
        while missing and time.monotonic() - began < GOING_SECONDS and not self.troubles:
            time.sleep(0.02)
            self.reap(replace=True)
            missing -= self.news()
        return sorted(missing), time.monotonic() - began

    def stop(self, *slots, hard=False):
        for slot in slots:
            for process in list(self.slots[slot]):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
                self.wait(process, 40)


class KafkaCampaign:
    def __init__(self, place, python, seed):
        self.rng, self.place = random.Random("kafka/%d" % seed), os.path.join(place, "kafka")
        os.makedirs(self.place)
        address = "127.0.0.1:%d" % pick_port(self.rng)
        self.server = serving.Server(os.path.join(self.place, "data"), serving.SMALL + (
            "--kafka", address, "--groups-initial-rebalance-delay", "0s"))
        self.workers = Workers(python, self.place, address, seed)
        self.kills = self.doubled = self.killed_workers = self.regroupings = self.ghosts = 0
        self.reported = 0

    def begin(self):
        self.server.start()
        self.workers.run("topics")
        for slot in SLOTS:
            self.workers.spawn(slot)
        return self.going()

    def going(self):
        """Problems."""
        missing, self.took = self.workers.wait_going()
        fresh, self.reported = self.workers.troubles[self.reported:], len(self.workers.troubles)
        if not self.server.is_running():
            fresh.append("the server ended: " + self.server.said()[-1500:])
        return fresh + ["%s got no answers in %d s" % (slot, GOING_SECONDS) for slot in missing]

    def kill_server(self):
        self.kills += 1
        self.server.kill()

    def regroup(self):
        """A member leaves, or dies; another one comes in its place."""
        slot = self.rng.choice(JOINED)
        leaves = self.rng.random() < 0.7  # the dead are missed only when their session ends
        self.killed_workers += not leaves
        self.regroupings += 1
        self.workers.stop(slot, hard=not leaves)
        self.workers.reap(replace=True)
        return "a member %s" % ("left" if leaves else "died"), None

    def ghost(self):
        """A member sleeps in a transaction until others have its partitions; woken, it goes on."""
        slot = self.rng.choice(JOINED)
        process = self.workers.slots[slot][-1]
        self.workers.wait_noted("txn", (slot,))
        process.send_signal(signal.SIGSTOP)
        self.ghosts += 1
        time.sleep(SESSION_SECONDS + 0.5 + self.rng.random())
        return "%s a ghost" % process.who, process

    def mischief(self, what):
        """What happens to the clients: (note, who is to be woken once the server is back)."""
        rng, workers = self.rng, self.workers
        if what == "regroup":
            return self.regroup()
        if what == "ghost":
            return self.ghost()
        slot = rng.choice(sorted(SLOTS) if what == "kill" else DOUBLED)
        process = workers.slots[slot][-1] if workers.slots[slot] else None
        if what == "none" or process is None:
            return "none", None
        workers.wait_noted(rng.choice(("txn", "committing", "aborting")), (slot,), 0.5)
        if what == "kill":
            self.killed_workers += 1
            process.kill()
            workers.wait(process, 10)
            workers.reap(replace=True)
            return "%s killed" % process.who, None
        self.doubled += 1
        if what == "sleep":
            process.send_signal(signal.SIGSTOP)
        workers.spawn(slot)
        return "%s doubled%s" % (process.who, ", asleep" if what == "sleep" else ""), process

    def slow_disk(self):
        """It keeps much in flight: what is acknowledged too early gets lost."""
        self.server.stop()
        self.server.prefix = [word.replace("%d", str(self.rng.choice((2_000, 8_000, 25_000))))
                              for word in kill_loop.SLOW_DISK]
        self.server.start()

    def round(self, number, may_trace):
        """(note, problems)"""
        rng, server = self.rng, self.server
        slow = number % 4 == 3 and may_trace
        if slow:
            self.slow_disk()
        time.sleep(rng.random() * 0.5)
        note, sleeper = self.mischief(MISCHIEF[number % len(MISCHIEF)])
        time.sleep(rng.random() * 0.8)
        if rng.random() < 0.6:
            self.workers.wait_noted(rng.choice(("committing", "committing", "txn", "aborting")),
                                    ("p",) + TRANSFORMERS)
            time.sleep(rng.random() * 0.004)
        self.kill_server()
        server.prefix = []
        if rng.random() < 0.3:
            server.launch()
            time.sleep(rng.random() * 0.15)
            self.kill_server()
        time.sleep(rng.random() * 0.2)
        server.start()
        if sleeper is not None and sleeper.poll() is None:
            time.sleep(rng.random() * 0.8)
            sleeper.send_signal(signal.SIGCONT)
        return note + (", slow disk" if slow else ""), self.going()

    def settle(self):
        """Everything to its end, and read back."""
        workers = self.workers
        workers.stop("p", *TRANSFORMERS)
        last = [workers.spawn(slot, "--until-end") for slot in ("t0", "t1", "j0")]
        for process in last:
            workers.wait(process, SETTLE_SECONDS)
        time.sleep(0.3)
        workers.stop("r")
        workers.run("dump", "--number", "1")
        self.kill_server()
        self.server.start()
        workers.run("dump", "--number", "2")

    def check(self):
        """(problems, note)"""
        history = KafkaHistory()
        for path in sorted(glob.glob(os.path.join(self.place, "*.jsonl"))):
            history.load(path)
        found = [describe(finding) for finding in check_kafka.check(history)]
        outcomes = [txn.outcome for txn in history.txns.values()]
        note = "%d records, %d transactions (%d committed, %d unknown), %d kills of the server, " \
            "%d of clients, %d doubled (%d fenced), %d members that came and went, %d ghosts" % (
                len(history.records), len(outcomes), outcomes.count("committed"),
                outcomes.count("unknown"), self.kills, self.killed_workers, self.doubled,
                len({line["who"] for line in history.fatal}), self.regroupings, self.ghosts)
        return self.workers.troubles[self.reported:] + found, note

    def stop(self):
        self.workers.stop(*self.workers.slots, hard=True)
        if self.server.is_running():
            self.server.kill()


def run(counts, place, rounds):
    name = "kafka, kill -9"
    python = find_python()
    if python is None:
        counts.skip(name, "python3-confluent-kafka is not installed", rounds + 1)
        return
    campaign, may_trace = KafkaCampaign(place, python, counts.seed), not campaigns.can_trace()
    try:
        problems = campaign.begin()
        if problems:
            counts.case("kafka, the clients begin", problems)
            return
        for number in range(1, rounds + 1):
            note, problems = campaign.round(number, may_trace)
            counts.case("%s, round %d" % (name, number), problems,
                        "%s; serving after %.0f ms, all clients going after %.1f s" % (
                            note, campaign.server.start_ms, campaign.took))
        campaign.settle()
        problems, note = campaign.check()
        counts.case("kafka, everything read back and checked", problems, note)
    except Exception as error:  # an ended server is one failed case, not the end
        counts.case(name, ["%s: %s" % (type(error).__name__, error), campaign.server.said()[-1500:]])
    finally:
        campaign.stop()
