"""G2 atomic: of every append all events are there or none, at every reader, at every moment."""
import bisect
import collections

from history import Finding, matches, running


def check(world):
    ends = batches(world)
    return torn(world) + partly_read(world, ends) + partly_known(world, ends) + \
        partly_subscribed(world, ends)


def groups(world):
    """The appends by the ids they add: resends of one append are one group. A probe mixes ids
    that are there with others on purpose."""
    by_ids = collections.defaultdict(list)
    for op in world.ops:
        ids = tuple((stream, event[0]) for _, stream, event in op.events())
        if op.appends and ids and not op.args.get("probe"):
            by_ids[ids].append(op)
    return by_ids


def torn(world):
    """In the log: all or nothing, side by side."""
    found = []
    for ids, ops in groups(world).items():
        positions = [[event.position for event in world.log.by_id.get(event_id, ())
                      if event.stream == stream] for stream, event_id in ids]
        there = [places[0] for places in positions if places]
        if not there or all(op.result == "fail" for op in ops):
            continue
        if len(there) < len(ids):
            found.append(Finding("G2", "torn", "%s: %d of its %d events are in the log"
                                 % (ops[0].name(), len(there), len(ids))))
        elif there != list(range(there[0], there[0] + len(there))):
            found.append(Finding("G2", "scattered", "%s: its events are at positions %s"
                                 % (ops[0].name(), there)))
    return found


def batches(world):
    """position -> last position of the append that it belongs to."""
    ends = {}
    for ids, ops in groups(world).items():
        if all(op.result == "fail" for op in ops):
            continue
        there = [event.position for stream, event_id in ids
                 for event in world.log.by_id.get(event_id, ()) if event.stream == stream]
        if len(there) == len(ids) and there == list(range(there[0], there[0] + len(there))):
            ends.update(dict.fromkeys(there, there[-1]))
    return ends


def partly_read(world, ends):
    """A stream's head, told to a reader or in a refusal, or the end of everything, in the middle
    of an append."""
    found = []
    for op in world.ops:
        if op.result == "unknown":
            continue
        if op.kind == "read_stream" and op.result == "ok":
            inside = head_inside(world, ends, op.args["stream"], op.answer["head"])
        elif op.appends and op.result == "fail":
            stream = op.parts[op.answer.get("append", 0)]["stream"]
            inside = head_inside(world, ends, stream, op.answer.get("actual"))
        elif op.kind == "read_all" and op.result == "ok" and ends_at_last(op):
            last = max(event[0] for event in op.answer["events"])
            inside = last if not whole_behind(world, ends, op, last) else None
        else:
            continue
        if inside is not None:
            found.append(Finding("G2", "partly-visible", "%s ended at position %d, within an "
                                 "append that ends at %d" % (op.name(), inside,
                                                             ends.get(inside, inside))))
    return found


def head_inside(world, ends, stream, head):
    """Position of the head when the event after it belongs to the same append."""
    if head is None:
        return None
    event = world.log.by_stream.get(stream, {}).get(head)
    after = world.log.by_stream.get(stream, {}).get(head + 1)
    if event and after and ends.get(event.position, -1) >= after.position:
        return event.position
    return None


def ends_at_last(op):
    """It says that nothing was behind its last event."""
    return op.answer.get("events") and not op.answer.get("more") and \
        len(op.answer["events"]) < op.args.get("limit", 100) and not op.args.get("backward")


def whole_behind(world, ends, op, last):
    """Nothing that the reader wanted of the same append is behind `last`."""
    query = op.args.get("filter") or {}
    return not any(matches(event, query)
                   for event in world.log.user_between(last + 1, ends.get(last, last)))


def partly_known(world, ends):
    """One stream showed its part of an append, later another one did not show its own."""
    pairs = sorted((when, ends[position]) for op in world.ops
                   for when, position in world.evidence_of(op) if position in ends)
    times = [when for when, _ in pairs]
    known = running(max, (end for _, end in pairs))
    found = []
    for op in world.ops:
        if op.kind != "read_stream" or op.result != "ok":
            continue
        count = bisect.bisect_left(times, op.t_invoke)
        if not count:
            continue
        state = world.log.timeline(op.args["stream"]).at(known[count - 1])
        if state.kind == "live" and op.answer["head"] < state.version:
            found.append(Finding("G2", "partly-visible", "%s: head %d, but an append known "
                                 "before it began made it %d" % (
                                     op.name(), op.answer["head"], state.version)))
    return found


def deleted_meanwhile(world, stream, position, when):
    """Nothing of the stream was readable at some moment after a position: what a subscription that
    takes large appends in parts has not taken yet is hidden then."""
    return any(state.kind == "deleted"
               for state in world.log.timeline(stream).between(position, world.hi(when)))


def partly_subscribed(world, ends):
    """`caught up` in the middle of an append."""
    found = []
    for op in world.ops:
        for when, count in op.caught_up:
            if not count:
                continue
            _, (position, stream, version, _, _) = op.seen[count - 1]
            whole = whole_behind(world, ends, op, position)
            if op.args.get("stream"):
                whole = head_inside(world, ends, stream, version) is None or \
                    deleted_meanwhile(world, stream, position, when)
            if not whole:
                found.append(Finding("G2", "partly-visible", "%s had caught up at position %d, "
                                     "within an append that ends at %d" % (
                                         op.name(), position, ends.get(position, -1))))
    return found
