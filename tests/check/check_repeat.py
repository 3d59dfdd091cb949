"""G6 idempotent: the same events sent again get the first answer and add nothing; the same ids with
anything else are refused as a conflict of ids."""
import collections

from history import Finding


def check(world):
    found = []
    for ops in sent(world).values():
        found += one_answer(ops) + recognised(world, ops)
    for op in world.ops:
        if op.appends and op.result == "ok" and op.answer.get("repeated"):
            found += repeats_something(world, op)
        elif op.answer.get("problem") == "event-id-conflict":
            found += conflict_is_real(world, op)
        if op.appends and op.result == "ok":
            found += other_data(world, op)
    return found


def sent(world):
    """The same events to the same streams, by what was sent."""
    by_content = collections.defaultdict(list)
    for op in world.ops:
        content = tuple((stream, event[0], event[1]) for _, stream, event in op.events())
        if op.appends and content:
            by_content[content].append(op)
    return by_content


def answer_of(op):
    return ([result for result, part in zip(op.answer["results"], op.parts) if part["events"]],
            op.answer["position"])


def one_answer(ops):
    """All that were acknowledged say the same, and at most one says that it added the events."""
    acknowledged = [op for op in ops if op.result == "ok"]
    fresh = [op for op in acknowledged if op.fresh]
    found = []
    if len(fresh) > 1:
        found.append(Finding("G6", "added-again", "%s and %s both say that they added the events"
                             % (fresh[0].name(), fresh[1].name())))
    for op in acknowledged[1:]:
        if answer_of(op) != answer_of(acknowledged[0]):
            found.append(Finding("G6", "other-answer", "%s was told %s, %s was told %s" % (
                acknowledged[0].name(), answer_of(acknowledged[0]), op.name(), answer_of(op))))
    return found


def recognised(world, ops):
    """What is sent after the first acknowledgement is recognised, unless a stream was deleted since:
    then its condition may be refused (but the events are not added again)."""
    acknowledged = [op for op in ops if op.result == "ok"]
    if not acknowledged:
        return []
    first = min(acknowledged, key=lambda op: op.t_complete)
    return [Finding("G6", "not-recognised", "%s: %s" % (op.name(), op.answer.get("problem")))
            for op in ops if op.t_invoke > first.t_complete and op.result == "fail" and
            op.answer.get("problem") in ("wrong-expected-version", "event-id-conflict",
                                         "query-condition-failed") and
            not deleted_since(world, op, first.answer["position"])]


def deleted_since(world, op, position):
    _, high = world.window(op)
    return any(state.kind in ("deleted", "tombstoned") for part in op.parts
               for state in world.log.timeline(part["stream"]).between(position, high))


def repeats_something(world, op):
    """A repeat names events that are there, as they were sent."""
    found = []
    for part, (first, _) in zip(op.parts, op.answer["results"]):
        stream = world.log.by_stream.get(part["stream"], {})
        for offset, wanted in enumerate(part["events"]):
            event = stream.get(first + offset)
            if event is None or (event.id, event.digest) != (wanted[0], wanted[1]):
                found.append(Finding("G6", "repeats-nothing", "%s: event %s is not at version %d "
                                     "of %s" % (op.name(), wanted[0], first + offset,
                                                part["stream"])))
    return found


def conflict_is_real(world, op):
    """One of the ids was in its stream, and the events were not all there as sent."""
    _, high = world.window(op)
    known = same = count = 0
    for _, stream, wanted in op.events():
        count += 1
        for event in world.log.by_id.get(wanted[0], ()):
            if event.stream == stream and event.position <= high:
                known += 1
                same += event.digest == wanted[1]
    if known == 0 or (len(op.parts) == 1 and same == count):
        return [Finding("G6", "conflict-unfounded", "%s: %d of its %d ids are there, %d with the "
                        "same data" % (op.name(), known, count, same))]
    return []


def other_data(world, op):
    """Acknowledged although its ids belong to other data."""
    for _, stream, wanted in op.events():
        events = [event for event in world.log.by_id.get(wanted[0], ()) if event.stream == stream]
        if events and all(event.digest != wanted[1] for event in events):
            return [Finding("G6", "other-data-accepted", "%s: event %s is there with other data"
                            % (op.name(), wanted[0]))]
    return []
