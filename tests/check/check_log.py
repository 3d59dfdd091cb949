"""G1 durable, G4 order, G5 no invention: what was acknowledged is in the log, once, unchanged, in
an order that agrees with real time, and nothing else is.

Rules a, b, d and f of the linearizability check (README.md); check_cond has c, e and g.
"""
import collections

from history import Finding

LATE_NS = 1_000_000_000  # losses are placed in the seconds before the last kill


def check(world):
    return (log_is_ordered(world.log) + acknowledged_is_there(world) + nothing_is_invented(world) +
            seen_is_there(world) + real_time_is_kept(world) + claims_are_possible(world))


def log_is_ordered(log):
    """Positions rise; (a) versions of each stream are 0, 1, 2 … in that order."""
    found, position, versions = [], -1, collections.defaultdict(lambda: -1)
    for event in log.events:
        if event.position <= position:
            found.append(Finding("G4", "position-order", "position %d stands behind position %d"
                                 % (event.position, position)))
        position = max(position, event.position)
        expected = versions[event.stream] + 1
        if event.version != expected:
            anomaly = "version-gap" if event.version > expected else "version-again"
            found.append(Finding("G4", anomaly, "stream %s: version %d at position %d, expected %d"
                                 % (event.stream, event.version, event.position, expected)))
        versions[event.stream] = max(versions[event.stream], event.version)
    return found


def when_lost(world, op):
    """How long before the next kill it had been acknowledged: where in time losses cluster."""
    kills = [when for when, what in world.history.notes if what.startswith("kill")]
    after = [when - op.t_complete for when in kills if when >= op.t_complete]
    return "%.1f ms before a kill" % (min(after) / 1e6) if after else "not before a kill"


def acknowledged_is_there(world):
    """(b) Every event of an acknowledged append is in the log at the version and position
    answered."""
    found, log = [], world.log
    for op in world.ops:
        if not (op.appends and op.fresh):
            continue
        last, added = None, False
        for index, part in enumerate(op.parts):
            first, version = op.answer["results"][index]
            if not part["events"]:
                continue
            added = True
            if version - first + 1 != len(part["events"]):
                found.append(Finding("G1", "wrong-count", "%s: %d events, versions %d to %d"
                                     % (op.name(), len(part["events"]), first, version)))
            for offset, wanted in enumerate(part["events"]):
                place = (part["stream"], first + offset)
                event, trouble = there(log, place, wanted)
                if trouble:
                    found.append(Finding("G1", trouble, "%s: event %s, acknowledged as version %d "
                                         "of %s (%s)" % (op.name(), wanted[0], place[1], place[0],
                                                         when_lost(world, op))))
                last = event or last
        if added and last and last.position != op.answer["position"]:
            found.append(Finding("G4", "wrong-position", "%s: answered position %d, is at %d"
                                 % (op.name(), op.answer["position"], last.position)))
    return found


def there(log, place, wanted):
    """The event at (stream, version), and what is wrong with it."""
    event = log.by_stream.get(place[0], {}).get(place[1])
    if event is not None and event.id == wanted[0]:
        return event, None if event.digest == wanted[1] else "changed"
    elsewhere = [e for e in log.by_id.get(wanted[0], ()) if e.stream == place[0]]
    return None, "moved" if elsewhere else "lost"


def nothing_is_invented(world):
    """(f) Every event was submitted, by something that was not refused, and is there once."""
    found = []
    for event in world.log.user:
        if event.type == "$streamDeleted":
            continue
        asked = world.submissions.get(event.id, ())
        where = "event %s at position %d of stream %s" % (event.id, event.position, event.stream)
        same = [op for op, stream, digest in asked
                if stream == event.stream and digest == event.digest]
        if not asked:
            found.append(Finding("G5", "invented", where + " was never submitted"))
        elif not same:
            found.append(Finding("G1", "changed", where + " is not what was submitted"))
        elif all(op.result == "fail" for op in same):
            found.append(Finding("G5", "refused-present", "%s was refused: %s"
                                 % (where, same[0].name())))
    for event_id, events in world.log.by_id.items():
        streams = [event.stream for event in events]
        if len(set(streams)) != len(streams):
            found.append(Finding("G5", "duplicated", "event %s is at positions %s"
                                 % (event_id, ", ".join(str(e.position) for e in events))))
    return found + system_is_asked_for(world)


def system_is_asked_for(world):
    """Deletes and metadata: no more of them than were asked for, stream by stream."""
    asked, there_are = collections.Counter(), collections.Counter()
    for op in world.ops:
        if op.kind in ("delete", "put_metadata") and op.result != "fail":
            asked[op.args["stream"]] += 1
    for event in world.log.events:
        if event.stream.startswith("$$"):
            there_are[event.stream[2:]] += 1
        elif event.type == "$streamDeleted":
            there_are[event.stream] += 1
    return [Finding("G5", "invented", "stream %s has %d deletes and metadata changes, %d were "
                    "asked for" % (stream, count, asked[stream]))
            for stream, count in there_are.items() if count > asked[stream]] + lost_system(world)


def lost_system(world):
    """An acknowledged delete or metadata change is where the answer says."""
    found = []
    for op in world.ops:
        if op.kind in ("delete", "put_metadata") and op.result == "ok":
            event = world.log.by_position.get(op.answer["position"])
            names = ("$$" + op.args["stream"], op.args["stream"])
            if event is None or event.stream not in names:
                found.append(Finding("G1", "lost", "%s of %s, acknowledged at position %d (%s)"
                                     % (op.name(), op.args["stream"], op.answer["position"],
                                        when_lost(world, op))))
    return found


def observations(op):
    for event in op.answer.get("events", ()) if op.result == "ok" else ():
        yield event
    for _, event in op.seen:
        yield event


def seen_is_there(world):
    """What any reader was shown stays: it was durable (G1) or it should not have been shown."""
    found = []
    for op in world.ops:
        for position, stream, version, event_id, digest in observations(op):
            event = world.log.by_position.get(position)
            if event is None or event.id != event_id:
                found.append(Finding("G1", "vanished", "%s was shown event %s at position %d"
                                     % (op.name(), event_id, position)))
            elif (event.stream, event.version, event.digest) != (stream, version, digest):
                found.append(Finding("G1", "changed", "%s was shown another event %s at position %d"
                                     % (op.name(), event_id, position)))
    return found


def real_time_is_kept(world):
    """(d) What began after something was known stands behind it."""
    found = []
    for position, op in world.owners.items():
        known = world.lo(op.t_invoke)
        if known >= position:
            found.append(Finding("G4", "reordered", "%s is at position %d, but position %d was "
                                 "known before it began" % (op.name(), position, known)))
    return found + batches_keep_order(world)


def batches_keep_order(world):
    """Events of one append stand in the order in which they were given."""
    found = []
    for op in world.ops:
        if not (op.appends and op.fresh):
            continue
        positions = [event.position for _, stream, wanted in op.events()
                     for event in world.log.by_id.get(wanted[0], ()) if event.stream == stream]
        if positions != sorted(positions):
            found.append(Finding("G4", "reordered", "the events of %s are at positions %s"
                                 % (op.name(), positions)))
    return found


def claims_are_possible(world):
    """No answer names a position that the log never had."""
    claims = [(op, op.answer.get("position") or 0) for op in world.ops if op.result == "ok"]
    return [Finding("G1", "position-never-was", "%s answered position %d, the log ends at %d"
                    % (op.name(), position, world.log.last))
            for op, position in claims if position > world.log.last]
