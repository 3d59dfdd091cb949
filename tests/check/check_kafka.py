"""The Kafka face: idempotent producers, transactions, readers, committed offsets. Judges what the
processes of tests/crash/kafka_worker.py noted (kafka_history.py) against the topics as they are
read back at the end, with both isolation levels.

Outcomes: what was acknowledged is there; what was aborted, or whose commit was never asked for, is
not there for read_committed; what is unknown is there once, whole, or not at all.
"""
import collections

from history import Finding

INPUT = "in"


def check(history):
    history.finish()
    found = []
    for rule in (offsets_agree, acknowledged_is_there, each_once_in_order, dumps_agree,
                 aborted_is_hidden, transactions_are_whole, inputs_once, readers_miss_nothing,
                 offsets_rise, nothing_fatal):
        found += rule(history)
    return found


def at(place, offset):
    return "%s/%d at offset %s" % (place + (offset,))


def observations(history):
    """(what, place, offset, name) of everything that anybody was told."""
    for name, place, offset in history.acknowledged:
        yield "an acknowledgement", place, offset, name
    for poll in history.polls:
        for offset, name in poll["records"]:
            yield poll["who"], (poll["topic"], poll["partition"]), offset, name
    for number, levels in history.dumps.items():
        for isolation, places in levels.items():
            for place, (records, _) in places.items():
                for offset, name in records:
                    yield "dump %d, %s" % (number, isolation), place, offset, name


def offsets_agree(history):
    """An offset has one record, for everybody, for ever; and somebody sent it there."""
    first, found, reported = {}, [], set()
    for what, place, offset, name in observations(history):
        known = first.setdefault((place, offset), (name, what))
        if known[0] != name and (place, offset) not in reported:
            reported.add((place, offset))
            found.append(Finding("G1", "inconsistent-offset", "%s is %s for %s, %s for %s" % (
                at(place, offset), known[0], known[1], name, what)))
        sent = history.records.get(name)
        if (sent is None or sent.place != place) and name not in reported:
            reported.add(name)
            found.append(Finding("G5", "invented", "%s saw %s %s; %s" % (
                what, name, at(place, offset),
                "nobody sent it" if sent is None else "it was sent to %s/%d" % sent.place)))
    return found


def places_of(records_of):
    """{name: [(place, offset), …]} of a dump."""
    where = collections.defaultdict(list)
    for place, records in records_of.items():
        for offset, name in records:
            where[name].append((place, offset))
    return where


def acknowledged_is_there(history):
    if not history.dumps:
        return []
    found, all_of_it = [], places_of(history.last("read_uncommitted"))
    visible = places_of(history.last("read_committed"))
    for name, place, offset in history.acknowledged:
        sent = history.records.get(name)
        level = all_of_it
        if sent and (sent.txn is None or sent.txn.outcome == "committed"):
            level = visible
        if not all_of_it[name] or not level[name]:
            found.append(Finding("G1", "lost-write", "%s, acknowledged %s%s" % (
                name, at(place, offset), "" if level is all_of_it else
                " (%s to read_uncommitted)" % ("there" if all_of_it[name] else "nor there"))))
        elif (place, offset) not in all_of_it[name]:
            found.append(Finding("G1", "wrong-offset", "%s, acknowledged %s, is %s" % (
                name, at(place, offset), at(*all_of_it[name][0]))))
    return found


def each_once_in_order(history):
    """Nothing is there twice, and a producer's records of a partition stand as they were sent."""
    dump = history.last("read_uncommitted")
    found = [Finding("G6", "duplicate", "%s is %s and %s" % (name, at(*places[0]), at(*places[1])))
             for name, places in places_of(dump).items() if len(places) > 1]
    for place, records in dump.items():
        newest, seen = {}, set()
        for offset, name in sorted(records):
            sent = history.records.get(name)
            if sent is None or name in seen:
                continue
            seen.add(name)
            before = newest.get(sent.who)
            if before and before.number > sent.number:
                found.append(Finding("G4", "reordered", "%s is behind a later one of %s" % (
                    at(place, offset) + " " + name, sent.who)))
            newest[sent.who] = sent
    return found


def dumps_agree(history):
    """What read_committed shows is a part of what read_uncommitted shows; both get to the same
    end; a later dump shows all of an earlier one; and what any reader was shown is in it."""
    found, before = [], {}
    for number, levels in sorted(history.dumps.items()):
        everything = levels.get("read_uncommitted", {})
        for isolation, places in levels.items():
            for place, (records, end) in places.items():
                there = set(records)
                missing = sorted(before.get((isolation, place), set()) - there)
                found += [vanished(isolation, place, record, "dump %d" % (number - 1))
                          for record in missing]
                before[isolation, place] = there
                whole, real_end = everything.get(place, ([], end))
                for offset, name in sorted(there - set(whole)):
                    found.append(Finding("G15", "committed-only", "%s %s is shown to "
                                         "read_committed only" % (at(place, offset), name)))
                if end != real_end:
                    found.append(Finding("G15", "hanging", "%s/%d: %s ends at offset %d of %d"
                                         % (place + (isolation, end, real_end))))
    return found + polled_is_there(history, before)


def vanished(isolation, place, record, who):
    return Finding("G1", "vanished", "%s %s was shown to %s (%s)" % (
        at(place, record[0]), record[1], who, isolation))


def polled_is_there(history, dumped):
    if not history.dumps:
        return []
    found = []
    for poll in history.polls:
        place = (poll["topic"], poll["partition"])
        there = dumped.get((poll["isolation"], place), ())
        found += [vanished(poll["isolation"], place, tuple(record), poll["who"])
                  for record in poll["records"] if tuple(record) not in there]
    return found


def aborted_is_hidden(history):
    """G1a: no reader of committed records sees one of an aborted transaction, or of one whose
    commit nobody has asked for yet."""
    found, reported = [], set()

    def judge(who, place, offset, name, when):
        sent = history.records.get(name)
        txn = sent.txn if sent else None
        if txn is None or txn.name in reported:
            return
        if txn.outcome == "aborted":
            what = "aborted-visible"
        elif when is not None and when < txn.times["committing"]:
            what = "precommitted"
        else:
            return
        reported.add(txn.name)
        found.append(Finding("G15", what, "%s saw %s %s" % (who, name, at(place, offset))))

    for poll in history.polls:
        if poll["isolation"] == "read_committed":
            for offset, name in poll["records"]:
                judge(poll["who"], (poll["topic"], poll["partition"]), offset, name, poll["t"])
    for txn in history.txns.values():
        for partition, offset, name in txn.inputs:
            judge(txn.name, (INPUT, partition), offset, name, None)
    for place, records in history.last("read_committed").items():
        for offset, name in records:
            judge("read_committed", place, offset, name, None)
    return found


def shown_of(history):
    """{transaction: how many of its records read_committed shows at the end}."""
    shown = collections.Counter()
    for records in history.last("read_committed").values():
        for name in {name for _, name in records}:
            sent = history.records.get(name)
            if sent and sent.txn:
                shown[sent.txn.name] += 1
    return shown


def transactions_are_whole(history):
    """All outputs or none; with them its offsets."""
    if not history.dumps:
        return []
    found, shown, final = [], shown_of(history), final_offsets(history)
    for name, txn in history.txns.items():
        count = shown[name]
        if 0 < count < len(txn.outputs):
            found.append(Finding("G15", "torn", "%s of transaction %s (%s): %d of %d records are "
                                 "shown" % (txn.who, name, txn.outcome, count, len(txn.outputs))))
        if txn.outcome == "committed" and txn.outputs and not count:
            found.append(Finding("G15", "lost-transaction", "%s was committed, and nothing of it "
                                 "is shown" % name))
        if count and txn.group:
            for partition, offset in txn.offsets.items():
                there = final.get((txn.group, INPUT, partition), -1)
                if there < offset:
                    found.append(Finding("G15", "torn-offsets", "outputs of %s are shown; it "
                                         "committed offset %d of partition %d, which is at %d"
                                         % (name, offset, partition, there)))
    return found


def final_offsets(history):
    """{(group, topic, partition): offset} as asked for last."""
    final = {}
    for line in sorted(history.offsets, key=lambda line: line["t"]):
        final[line["group"], line["topic"], line["partition"]] = line["offset"]
    return final


def inputs_once(history):
    """Every committed input is in the outputs of one transaction, if its group's offset is behind
    it; and at the end it is."""
    shown, done = shown_of(history), collections.defaultdict(list)
    for name, txn in history.txns.items():
        if shown[name]:
            for partition, offset, _ in txn.inputs:
                done[txn.group, partition, offset].append(name)
    groups = {txn.group for txn in history.txns.values() if txn.group}
    final, found = final_offsets(history), []
    for (topic, partition), records in history.last("read_committed").items():
        for offset, name in records if topic == INPUT else ():
            for group in sorted(groups):
                by = done.get((group, partition, offset), [])
                behind = offset < final.get((group, INPUT, partition), -1)
                if len(by) > 1:
                    found.append(Finding("G15", "input-twice", "%s %s is in the outputs of %s" % (
                        at((topic, partition), offset), name, " and ".join(by))))
                elif not by:
                    found.append(Finding("G15", "input-never", "%s %s is in no output%s" % (
                        at((topic, partition), offset), name,
                        ", its offset was committed" if behind else "")))
    return found


def readers_miss_nothing(history):
    """Between two records that a reader was given one after the other there is nothing that it
    should have seen; and offsets only rise."""
    found, where = [], {}
    dumped = {isolation: {place: [offset for offset, _ in sorted(records)] for place, records in
                          history.last(isolation).items()}
              for isolation in ("read_committed", "read_uncommitted")}
    index = {(isolation, place): {offset: i for i, offset in enumerate(offsets)}
             for isolation, places in dumped.items() for place, offsets in places.items()}
    for poll in history.polls:
        place = (poll["topic"], poll["partition"])
        key = (poll["who"], place)
        for offset, _ in poll["records"]:
            last = where.get(key)
            where[key] = offset
            if last is None:
                continue
            ranks = index.get((poll["isolation"], place), {})
            if offset <= last:
                found.append(Finding("G7", "poll-backward", "%s was given %s after offset %d" % (
                    poll["who"], at(place, offset), last)))
            elif ranks.get(offset, 0) - ranks.get(last, offset) > 1:
                found.append(Finding("G7", "poll-skip", "%s was given %s after offset %d; there "
                                     "are %d records between" % (
                                         poll["who"], at(place, offset), last,
                                         ranks[offset] - ranks[last] - 1)))
    return found


def offsets_rise(history):
    """A committed offset never goes back: behind an answer that a commit got (its own, or its
    transaction's), or behind one that somebody has seen."""
    events = []  # (time, 0 known from now on | 1 asked from now on, key, offset, by)
    for line in history.commits:
        key = (line["group"], line["topic"], line["partition"])
        events.append((line["t"], 0, key, line["offset"], "committed"))
    for txn in history.txns.values():
        for partition, offset in txn.offsets.items() if txn.outcome == "committed" else ():
            events.append((txn.times["committed"], 0, (txn.group, INPUT, partition), offset,
                           "committed by " + txn.name))
    for line in history.offsets:
        key = (line["group"], line["topic"], line["partition"])
        events.append((line["t"], 0, key, line["offset"], "seen"))
        events.append((line["t0"], 1, key, line["offset"], ""))
    known, found = {}, []
    for _, asked, key, offset, how in sorted(events):
        highest, by = known.get(key, (-1, ""))
        if asked and offset < highest:
            found.append(Finding("G9", "offset-back", "group %s, %s/%d: offset %d after %d was %s"
                                 % (key + (offset, highest, by))))
        elif not asked and offset > highest:
            known[key] = (offset, how)
    return found


def dies_of_itself(history, line):
    """librdkafka 2.0.2 aborts what it has not begun: a request that went down with the server. It
    then takes the refusal (INVALID_TXN_STATE, as of Kafka) for the end of the producer. Or it throws
    half of a batch away, and sends the other half again."""
    txns = [txn for txn in history.txns.values() if txn.who == line["who"]]
    if not txns or txns[-1].outcome != "aborted" or "aborting" not in txns[-1].times:
        return False
    names = {name for _, _, name in txns[-1].outputs}
    known = any(name in names for _, _, _, name in observations(history))
    return "rewound sequence number" in line["error"] or \
        ("INVALID_TXN_STATE" in line["error"] and not known)


def nothing_fatal(history):
    """A producer is fenced by another one of its id, and by nothing else; nothing else ends it."""
    found = [Finding("G15", "trouble", "%s: %s" % (line["who"], line["what"]))
             for line in history.trouble]
    found += [Finding("G5", "sent-twice", "the workload used the name %s twice" % name)
              for name in history.sent_twice]
    began = {who: (t, id) for t, who, id in history.starts}
    for line in history.fatal:
        since, id = began.get(line["who"], (0, None))
        fenced = any(other_id == id and since < t < line["t"] for t, _, other_id in history.starts)
        if not fenced and not dies_of_itself(history, line):
            found.append(Finding("G15", "fatal", "%s: %s, without another producer of its id"
                                 % (line["who"], line["error"])))
    return found
