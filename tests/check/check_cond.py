"""G3 conditional: conditions are judged as if everything happened one after the other.

The log is that order, so nothing has to be searched. Of the rules in README.md this file has

  c  an append happened only in a state of its stream that satisfied its condition; so did a query
     condition; an exact version r put the first event at r + 1
  e  a refusal names a state that the stream had at some point between request and answer, and that
     did not satisfy the condition
  g  a read is a contiguous slice of what was there at one such point, and lacks nothing that was
     known before it

and check_log has a, b, d and f.
"""
from history import Finding, holds, matches

CONFLICTS = ("wrong-expected-version", "not-found", "stream-deleted", "stream-tombstoned")


def check(world):
    found = []
    for op in world.ops:
        if op.appends:
            found += appended(world, op) if op.result != "fail" else refused(world, op)
        elif op.kind in ("delete", "put_metadata"):
            found += changed(world, op)
        elif op.kind == "read_stream":
            found += stream_was_read(world, op)
        elif op.kind == "read_all" and op.result == "ok":
            found += all_was_read(world, op)
    return found


# ---- c: appends that happened ------------------------------------------------------------------

def appended(world, op):
    if op.answer.get("repeated"):
        return []  # check_repeat's
    position = world.first_position(op)
    if position is None:
        return checked_only(world, op) if op.result == "ok" else []
    found = []
    for index, part in enumerate(op.parts):
        state = world.log.timeline(part["stream"]).at(position - 1)
        if not holds(part["expected"], state):
            found.append(Finding("G3", "condition-ignored", "%s expected %s of %s, which was %s at "
                                 "version %d" % (op.name(), part["expected"], part["stream"],
                                                 state.kind, state.version)))
        if op.result == "ok" and part["events"] and op.answer["results"][index][0] != \
                state.version + 1:
            found.append(Finding("G3", "wrong-version", "%s was told version %d of %s, which was "
                                 "at %d" % (op.name(), op.answer["results"][index][0],
                                         part["stream"], state.version)))
    for query in op.args.get("queries", ()):
        event = first_match(world, query, position - 1)
        if event:
            found.append(Finding("G3", "query-ignored", "%s at position %d although position %d "
                                 "matches %s" % (op.name(), position, event.position, query)))
    return found


def first_match(world, query, last):
    after = -1 if query.get("after") is None else query["after"]
    return next((event for event in world.log.user_between(after + 1, last)
                 if matches(event, query)), None)


def checked_only(world, op):
    """An append without events: its conditions were true at one point, all of them."""
    if any(part["events"] for part in op.parts):
        return []  # lost; check_log says so
    low, high = world.window(op)
    points = {low} | {state.position for part in op.parts
                      for state in world.log.timeline(part["stream"]).between(low, high)
                      if state.position >= low}
    for point in points:
        states = [world.log.timeline(part["stream"]).at(point) for part in op.parts]
        if all(holds(part["expected"], state) and result[1] == state.version
               for part, state, result in zip(op.parts, states, op.answer["results"])):
            return []
    return [Finding("G3", "condition-ignored", "%s was true at no point of the call" % op.name())]


# ---- e: refusals -------------------------------------------------------------------------------

def refused(world, op):
    problem = op.answer.get("problem")
    if problem == "query-condition-failed":
        return query_refused(world, op)
    if problem not in CONFLICTS:
        return []  # bad request, no space, ids: not a judgement of a condition
    part = op.parts[op.answer.get("append", 0)]
    return refusal(world, op, part["stream"], part["expected"])


def refusal(world, op, stream, expected):
    """The state that a refusal names was there during the call, and does not satisfy `expected`."""
    low, high = world.window(op)
    answer = op.answer
    states = world.log.timeline(stream).between(low, high)
    kind = answer.get("actual_state") or {"not-found": "none", "stream-deleted": "deleted",
                                          "stream-tombstoned": "tombstoned"}.get(answer["problem"])
    named = [state for state in states if state.kind == kind and
             ("actual" not in answer or (answer["actual"] is None and state.version < 0) or
              answer["actual"] == state.version)]
    told = "%s of %s (expected %s) was told %s, version %s" % (
        op.name(), stream, expected, kind, answer.get("actual"))
    if not named:
        return [Finding("G3", "refusal-invented", "%s; during the call it was %s" % (
            told, "; ".join("%s, version %d" % (s.kind, s.version) for s in states[:5])))]
    if all(holds(expected, state) for state in named):
        return [Finding("G3", "refusal-unfounded", told)]
    return []


def query_refused(world, op):
    query = op.args["queries"][op.answer.get("query_condition", 0)]
    position = op.answer["matching_position"]
    event = world.log.by_position.get(position)
    after = -1 if query.get("after") is None else query["after"]
    _, high = world.window(op)
    if event and matches(event, query) and after < position <= high:
        return []
    return [Finding("G3", "refusal-unfounded", "%s was refused for position %d, which does not "
                    "match %s" % (op.name(), position, query))]


def changed(world, op):
    """Deletes and metadata: `exists` is the least that a delete asks for."""
    stream, expected = op.args["stream"], op.args.get("expected", "any")
    about_metadata = op.kind == "put_metadata"
    name = "$$" + stream if about_metadata else stream
    if op.kind == "delete" and expected == "any" and not op.args.get("tombstone"):
        expected = "exists"
    if op.result == "fail":
        if op.answer.get("problem") not in CONFLICTS:
            return []
        if about_metadata and op.answer.get("problem") == "stream-tombstoned":
            name, expected = stream, "any"
        return refusal(world, op, name, expected)
    if op.result != "ok" or world.owners.get(op.answer["position"]) is not op:
        return []
    state = world.log.timeline(name).at(op.answer["position"] - 1)
    if holds(expected, state):
        return []
    return [Finding("G3", "condition-ignored", "%s expected %s of %s, which was %s at version %d"
                    % (op.name(), expected, name, state.kind, state.version))]


# ---- g: reads ----------------------------------------------------------------------------------

STATUS_OF = {404: ("none", "deleted"), 410: ("tombstoned",), 200: ("live",)}


def stream_was_read(world, op):
    if op.result == "unknown" or op.answer["status"] not in STATUS_OF:
        return []
    low, high = world.window(op)
    states = world.log.timeline(op.args["stream"]).between(low, high)
    kinds = STATUS_OF[op.answer["status"]]
    if op.answer.get("problem") == "stream-deleted":
        kinds = ("deleted",)
    told = [state for state in states if state.kind in kinds]
    if not told:
        return [Finding("G3", "read-never-was", "%s of %s was answered %d; it was %s" % (
            op.name(), op.args["stream"], op.answer["status"],
            ", ".join(sorted({state.kind for state in states}))))]
    if op.answer["status"] != 200:
        return []
    trouble = "head-never-was"
    for state in told:
        if state.version == op.answer["head"]:
            trouble = compare_slice(world, op, state)
            if not trouble:
                return []
    return [Finding("G3", trouble, "%s of %s from %s limit %s: head %d, versions %s; it had heads "
                    "%s" % (op.name(), op.args["stream"], op.args.get("from"), op.args.get("limit"),
                       op.answer["head"], [event[2] for event in op.answer["events"]][:20],
                       [state.version for state in told][:10]))]


def compare_slice(world, op, state):
    """What is wrong with a read of a stream that was in this state; None when nothing is."""
    start, step = op.args.get("from"), 1
    if op.args.get("backward"):
        step = -1
        start = state.version if start is None else min(start, state.version)
        wanted = range(start, state.first - 1, -1)
    else:
        wanted = range(max(start or 0, state.first), state.version + 1)
    got = [event[2] for event in op.answer["events"]]
    wanted = wanted[:op.args.get("limit", 100)]
    if got != list(wanted[:len(got)]):
        contiguous = all(b - a == step for a, b in zip(got, got[1:]))
        return "read-shifted" if contiguous else "read-gap"
    if len(got) < len(wanted) and not (got and op.answer.get("more")):
        return "read-short"
    events = world.log.by_stream.get(op.args["stream"], {})
    for position, _, version, event_id, digest in op.answer["events"]:
        event = events.get(version)
        if event is None or (event.position, event.id, event.digest) != \
                (position, event_id, digest):
            return "read-changed"
    return None


def all_was_read(world, op):
    """A read of everything: contiguous, and nothing missing that was known before it began."""
    low, high = world.window(op)
    events, query = op.answer["events"], op.args.get("filter") or {}
    got = [event[0] for event in events]
    limit, start = op.args.get("limit", 100), op.args.get("from")
    full = len(got) >= limit or op.answer.get("more")
    if op.args.get("backward"):
        first = 0 if not full else (got[-1] if got else None)
        last = min(start, max(got + [low])) if start is not None else max(got + [low])
    else:
        first = start or 0
        last = max(got + [low]) if not full else (got[-1] if got else None)
    if first is None or last is None:
        return []  # a page that looked at much and found nothing says where to go on
    wanted = [event.position for event in world.log.user_between(first, last)
              if matches(event, query)]
    if op.args.get("backward"):
        wanted.reverse()
    told = "%s from %s limit %d%s" % (op.name(), start, limit, " backward" * (
        op.args.get("backward") is True))
    if got and max(got) > high:
        return [Finding("G3", "read-early", "%s: position %d was not asked for yet"
                        % (told, max(got)))]
    if got != wanted:
        missing = sorted(set(wanted) - set(got))
        extra = sorted(set(got) - set(wanted))
        anomaly = "read-gap" if missing else "read-extra" if extra else "read-order"
        if missing and all(position > max(got, default=-1) for position in missing):
            anomaly = "read-stale"
        return [Finding("G3", anomaly, "%s: missing %s, too many %s" % (told, missing[:10],
                                                                        extra[:10]))]
    return []
