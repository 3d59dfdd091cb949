"""What the processes of tests/crash/kafka_worker.py noted, for check_kafka: JSON lines, one file for
each of them.

Records are known by their name, which nobody else's record has; `who` is one process' producer or
reader, never used again after it has ended. Times are of one monotonic clock, in nanoseconds.

    start       a transactional producer begins, and fences others of its id: who, id
    send        records are going to be produced, in this order: who, topic, partition, names
    sent        they are acknowledged: topic, partition, records [[name, offset], ...]
    txn         a transaction is going to begin: txn, who, group, inputs [[partition, offset, name],
                ...] and offsets {partition: next}, both of topic `in`, outputs [[topic, partition,
                name], ...] in the order of sending
    committing, committed, aborting, aborted
                its end is asked for; is answered: txn
    poll        a reader was given records: who, isolation, topic, partition, records [[offset,
                name], ...]
    commit      a commit of offsets outside of a transaction was acknowledged: group, topic,
                partition, offset, t0 (when it was asked for)
    offset      a group's committed offset was asked for: group, topic, partition, offset (-1:
                there is none), t0
    dump        a partition, read back completely: number, isolation, topic, partition, records,
                end (the offset where readers of that isolation wait)
    fatal       a producer can't go on: who, error
    trouble     anything else that must not be: who, what

Every line has its kind (e) and its time (t).
"""
import json


class Sent:
    """One record that was to be produced."""

    def __init__(self, who, number, place, txn):
        self.who, self.number, self.place, self.txn = who, number, place, txn
        self.offset = None  # acknowledged


class Txn:
    def __init__(self, line):
        self.name, self.who, self.group = line["txn"], line["who"], line.get("group")
        self.inputs, self.outputs = line.get("inputs", []), line["outputs"]
        self.offsets = {int(key): value for key, value in line.get("offsets", {}).items()}
        self.times = {}

    @property
    def outcome(self):
        """committed, aborted; unknown: its commit was asked for, and no answer came."""
        if "committed" in self.times:
            return "committed"
        if "aborted" in self.times or "committing" not in self.times:
            return "aborted"
        return "unknown"


class KafkaHistory:
    def __init__(self):
        self.records, self.txns = {}, {}  # by name
        self.polls, self.commits, self.offsets, self.starts = [], [], [], []
        self.fatal, self.trouble, self.sent_twice = [], [], []
        self.dumps = {}  # {number: {isolation: {(topic, partition): (records, end)}}}
        self.acknowledged = []  # (name, place, offset)
        self.counts = {}  # of each producer

    def load(self, path):
        """A last line that was cut off by a kill never happened."""
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    self.add(json.loads(line))

    def add(self, line):
        getattr(self, "add_" + line["e"])(line)
        return self

    def add_record(self, who, place, name, txn=None):
        number = self.counts[who] = self.counts.get(who, 0) + 1
        if name in self.records:
            self.sent_twice.append(name)
        self.records[name] = Sent(who, number, place, txn)

    def add_start(self, line):
        self.starts.append((line["t"], line["who"], line["id"]))

    def add_send(self, line):
        for name in line["names"]:
            self.add_record(line["who"], (line["topic"], line["partition"]), name)

    def add_sent(self, line):
        place = (line["topic"], line["partition"])
        for name, offset in line["records"]:
            self.acknowledged.append((name, place, offset))

    def add_txn(self, line):
        txn = self.txns[line["txn"]] = Txn(line)
        for topic, partition, name in txn.outputs:
            self.add_record(txn.who, (topic, partition), name, txn)

    def add_end(self, line):
        self.txns[line["txn"]].times.setdefault(line["e"], line["t"])

    add_committing = add_committed = add_aborting = add_aborted = add_end

    def add_poll(self, line):
        self.polls.append(line)

    def add_commit(self, line):
        self.commits.append(line)

    def add_offset(self, line):
        self.offsets.append(line)

    def add_dump(self, line):
        dump = self.dumps.setdefault(line["number"], {}).setdefault(line["isolation"], {})
        dump[line["topic"], line["partition"]] = ([tuple(r) for r in line["records"]], line["end"])

    def add_fatal(self, line):
        self.fatal.append(line)

    def add_trouble(self, line):
        self.trouble.append(line)

    def finish(self):
        """When all files are loaded (an acknowledgement may come before what it is of)."""
        for name, place, offset in self.acknowledged:
            if name in self.records:
                self.records[name].offset = offset
        return self

    def last(self, isolation):
        """The newest dump: {place: records}."""
        if not self.dumps:
            return {}
        dump = self.dumps[max(self.dumps)].get(isolation, {})
        return {place: records for place, (records, _) in dump.items()}
