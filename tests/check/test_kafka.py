"""check_kafka's own tests: a history, written by hand, for every anomaly, and good ones. Run by
test_checkers.py."""
import unittest

import check_kafka
from kafka_history import KafkaHistory

IN = ("in", 0)
DONE = ("committing", "committed")
LEVELS = ("read_committed", "read_uncommitted")


class Tale:
    """Writes what workers would have noted; the time is the number of the line."""

    def __init__(self):
        self.history, self.now = KafkaHistory(), 0

    def add(self, e, **fields):
        self.now += 10
        self.history.add(dict({"t": self.now}, e=e, **fields))
        return self

    def send(self, who, *names, acked=(), place=IN):
        self.add("send", who=who, topic=place[0], partition=place[1], names=names)
        if acked:
            self.add("sent", topic=place[0], partition=place[1],
                     records=[list(pair) for pair in acked])
        return self

    def txn(self, name, outputs, ends, inputs=(), offset=None, who=None):
        more = dict(group="g", inputs=[[0, o, n] for o, n in inputs],
                    offsets={0: offset}) if offset is not None else {}
        self.add("txn", txn=name, who=who or "w", outputs=[[t, p, n] for t, p, n in outputs],
                 **more)
        for end in ends:
            self.add(end, txn=name)
        return self

    def poll(self, *records, isolation="read_committed", who="r", place=IN):
        return self.add("poll", who=who, isolation=isolation, topic=place[0], partition=place[1],
                        records=[list(record) for record in records])

    def offset(self, offset, group="g"):
        return self.add("offset", group=group, topic="in", partition=0, offset=offset, t0=self.now)

    def commit(self, offset, group="g"):
        return self.add("commit", group=group, topic="in", partition=0, offset=offset, t0=self.now)

    def dump(self, *records, place=IN, levels=LEVELS, number=1, end=99):
        for level in levels:
            self.add("dump", number=number, isolation=level, topic=place[0], partition=place[1],
                     records=[list(record) for record in records], end=end)
        return self

    def found(self):
        return sorted({f.anomaly for f in check_kafka.check(self.history)})


def transformed(ends=DONE):
    """Two inputs, and a transaction that makes an output of each, in two topics."""
    tale = Tale().send("p", "a", "b", acked=[("a", 0), ("b", 1)])
    return tale.txn("t", [("out", 0, "x"), ("audit", 0, "y")], ends, [(0, "a"), (1, "b")], 2)


class Kafka(unittest.TestCase):
    def is_found(self, tale, *anomalies):
        self.assertEqual(tale.found(), sorted(anomalies))

    # ---- good ones ----

    def test_good_history_passes(self):
        tale = transformed().offset(2).offset(2)
        self.is_found(Tale().offset(-1).commit(2).offset(2))
        tale.txn("u", [("in", 0, "c"), ("in", 0, "d")], ["aborting", "aborted"])
        tale.poll((0, "a"), (1, "b")).poll((0, "a"), (1, "b"), (2, "c"), (3, "d"), who="q",
                                           isolation="read_uncommitted")
        tale.dump((0, "x"), place=("out", 0)).dump((0, "y"), place=("audit", 0))
        tale.dump((0, "a"), (1, "b"), levels=LEVELS[:1])
        self.is_found(tale.dump((0, "a"), (1, "b"), (2, "c"), (3, "d"), levels=LEVELS[1:]))

    def test_unknown_record_may_be_there_or_not(self):
        self.is_found(Tale().send("p", "a", "b").dump((0, "a")))
        self.is_found(Tale().send("p", "a", "b").dump((0, "b")))

    def test_unknown_transaction_may_be_there_or_not(self):
        def ended(*there):
            tale = transformed(["committing"]).dump((0, "a"), (1, "b"))
            tale.dump(*there, place=("out", 0))
            return tale.dump(*[(0, "y")] * len(there), place=("audit", 0))
        self.is_found(ended((0, "x")).offset(2))
        # What a transaction that isn't there would have processed, another one did.
        other = ended().txn("t2", [("out", 1, "z")], DONE, [(0, "a"), (1, "b")], 2)
        self.is_found(other.dump((0, "z"), place=("out", 1)).offset(2))

    def test_markers_are_no_gap(self):
        self.is_found(Tale().send("p", "a", "b").poll((0, "a")).poll((5, "b"))
                      .dump((0, "a"), (5, "b")))

    def test_fenced_by_another_passes(self):
        tale = Tale().add("start", who="w", id="i").add("start", who="v", id="i")
        self.is_found(tale.add("fatal", who="w", error="fenced"))

    # ---- records ----

    def test_lost_write(self):
        self.is_found(Tale().send("p", "a", acked=[("a", 0)]).dump(), "lost-write")

    def test_lost_to_committed_readers_only(self):
        tale = Tale().send("p", "a", acked=[("a", 0)]).dump(levels=LEVELS[:1])
        self.is_found(tale.dump((0, "a"), levels=LEVELS[1:]), "lost-write")

    def test_wrong_offset(self):
        self.is_found(Tale().send("p", "a", acked=[("a", 0)]).dump((1, "a")), "wrong-offset")

    def test_duplicate(self):
        self.is_found(Tale().send("p", "a").dump((0, "a"), (1, "a")), "duplicate")

    def test_reordered(self):
        self.is_found(Tale().send("p", "a", "b").dump((0, "b"), (1, "a")), "reordered")

    def test_inconsistent_offset(self):
        tale = Tale().send("p", "a").send("q", "b").poll((0, "a"), isolation="read_uncommitted")
        self.assertIn("inconsistent-offset", tale.dump((0, "b")).found())

    def test_acknowledged_offset_of_another(self):
        tale = Tale().send("p", "a", acked=[("a", 0)]).send("q", "b", acked=[("b", 0)])
        self.assertIn("inconsistent-offset", tale.dump((0, "b"), (1, "a")).found())

    def test_invented(self):
        self.is_found(Tale().dump((0, "a")), "invented")
        self.is_found(Tale().send("p", "a", place=("in", 1)).dump((0, "a")), "invented")

    def test_vanished_from_a_later_dump(self):
        tale = Tale().send("p", "a").dump((0, "a"))
        self.is_found(tale.dump(number=2), "vanished")

    def test_vanished_after_a_poll(self):
        self.is_found(Tale().send("p", "a").poll((0, "a")).dump(), "vanished")

    # ---- readers ----

    def test_poll_skip(self):
        self.is_found(Tale().send("p", "a", "b", "c").poll((0, "a")).poll((2, "c"))
                      .dump((0, "a"), (1, "b"), (2, "c")), "poll-skip")

    def test_poll_backward(self):
        self.is_found(Tale().send("p", "a", "b").poll((0, "a"), (1, "b")).poll((0, "a"))
                      .dump((0, "a"), (1, "b")), "poll-backward")

    # ---- transactions ----

    def whole(self, tale):
        tale.dump((0, "a"), (1, "b")).dump((0, "x"), place=("out", 0))
        return tale.dump((0, "y"), place=("audit", 0))

    def test_aborted_visible_at_the_end(self):
        for ends in ((), ("aborting",), ("aborting", "aborted"),
                     ("committing", "aborting", "aborted")):
            self.is_found(self.whole(transformed(ends)).offset(2), "aborted-visible")

    def test_aborted_visible_to_a_reader(self):
        tale = Tale().txn("t", [("in", 0, "a")], ["aborting", "aborted"]).poll((0, "a"))
        self.is_found(tale, "aborted-visible")

    def test_aborted_visible_to_a_transformer(self):
        tale = Tale().txn("t", [("in", 0, "a")], ["aborting", "aborted"])
        self.is_found(tale.txn("u", [("out", 0, "x")], (), [(0, "a")], 1), "aborted-visible")

    def test_precommitted(self):
        tale = Tale().txn("t", [("in", 0, "a")], ()).poll((0, "a"))
        self.is_found(tale.add("committing", txn="t"), "precommitted")

    def test_torn(self):
        tale = transformed(["committing"]).dump((0, "a"), (1, "b")).offset(2)
        tale.dump((0, "x"), place=("out", 0)).dump(place=("audit", 0))
        self.is_found(tale, "torn")

    def test_lost_transaction(self):
        tale = Tale().txn("t", [("in", 0, "a")], DONE)
        self.is_found(tale.dump(levels=LEVELS[:1]).dump((0, "a"), levels=LEVELS[1:]),
                      "lost-transaction")

    def test_outputs_without_offsets(self):
        self.is_found(self.whole(transformed(["committing"])).offset(1), "torn-offsets")

    def test_offsets_without_outputs(self):
        tale = transformed(["committing"]).dump((0, "a"), (1, "b")).offset(2)
        self.is_found(tale, "input-never")

    def test_input_never(self):
        tale = Tale().send("p", "a", "b").dump((0, "a"), (1, "b")).dump((0, "x"),
                                                                        place=("out", 0))
        self.is_found(tale.txn("t", [("out", 0, "x")], DONE, [(1, "b")], 2).offset(2),
                      "input-never")

    def test_input_twice(self):
        tale = self.whole(transformed()).txn("u", [("out", 1, "z")], DONE, [(1, "b")], 2)
        self.is_found(tale.dump((0, "z"), place=("out", 1)).offset(2), "input-twice")

    def test_committed_only(self):
        tale = Tale().send("p", "a").dump((0, "a"), levels=LEVELS[:1])
        self.is_found(tale.dump(levels=LEVELS[1:]), "committed-only")

    def test_hanging(self):
        tale = Tale().dump(levels=LEVELS[:1], end=3)
        self.is_found(tale.dump(levels=LEVELS[1:], end=9), "hanging")

    # ---- groups, producers ----

    def test_offset_back(self):
        self.is_found(Tale().offset(3).offset(2), "offset-back")
        self.is_found(Tale().offset(3).offset(-1), "offset-back")

    def test_acknowledged_offset_lost(self):
        self.is_found(Tale().commit(3).offset(2), "offset-back")

    def test_offset_of_a_transaction_lost(self):
        self.is_found(transformed().offset(1), "offset-back")

    def test_fatal(self):
        tale = Tale().add("start", who="v", id="i").add("start", who="w", id="i")
        self.is_found(tale.add("fatal", who="w", error="fenced"), "fatal")
        self.is_found(Tale().add("fatal", who="p", error="out of order"), "fatal")

    def test_aborts_of_what_never_began(self):
        def tale(error, ends=("aborting",)):
            return Tale().add("start", who="w", id="x").txn("w/1", [("in", 0, "a")], ends).add(
                "fatal", who="w", error=error)

        self.is_found(tale("INVALID_TXN_STATE"))
        self.is_found(tale("rewound sequence number"))
        self.is_found(tale("INVALID_TXN_STATE").dump((0, "a"), levels=LEVELS[1:])
                      .dump(levels=LEVELS[:1]), "fatal")
        self.is_found(tale("INVALID_TXN_STATE", ("committing",)), "fatal")
        self.is_found(tale("UNKNOWN_PRODUCER_ID"), "fatal")

    def test_trouble(self):
        self.is_found(Tale().add("trouble", who="r", what="no answer"), "trouble")

    def test_name_used_twice(self):
        self.is_found(Tale().send("p", "a").send("q", "a"), "sent-twice")
