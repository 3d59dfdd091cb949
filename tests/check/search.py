"""A small search for a linearization (after Wing and Gong, and Porcupine): slow, for tiny
histories, and independent of the fast checkers, which it is there to check.

It looks for an order of the operations that respects real time and explains every answer by a
simple model: a list of events. The log is taken as the answer of a last read of everything, so
that the order of appends is given, as it is for check_log and check_cond. Operations without an
answer may have happened at any time after they began, or not at all.
"""
INFINITE = float("inf")


def versions(state, stream):
    return sum(1 for event_stream, _ in state if event_stream == stream) - 1


def allowed(expected, version):
    return {"any": True, "none": version < 0, "exists": version >= 0}.get(
        expected, version >= 0 and version == expected)


def step(op, state):
    """The states in which the operation may have left the log: [] when its answer does not fit."""
    if op.kind == "read_stream":
        version = versions(state, op.args["stream"])
        if op.answer["status"] == 404:
            return [state] if version < 0 else []
        ids = [event for stream, event in state if stream == op.args["stream"]]
        told = [event[3] for event in op.answer["events"]]
        return [state] if version == op.answer["head"] and ids == told else []
    part = op.parts[0]
    version = versions(state, part["stream"])
    added = state + tuple((part["stream"], event[0]) for event in part["events"])
    if op.result == "fail":
        actual = -1 if op.answer["actual"] is None else op.answer["actual"]
        return [] if allowed(part["expected"], version) or actual != version else [state]
    fits = allowed(part["expected"], version)
    if op.result == "unknown":
        return [state, added] if fits else [state]
    right = op.answer["results"] == [[version + 1, version + len(part["events"])]] and \
        op.answer["position"] == len(added) - 1
    return [added] if fits and right else []


def linearizable(ops, log):
    """`log`: the (stream, id) pairs of a last read of everything."""
    final, tried = tuple(log), set()
    stack = [(frozenset(range(len(ops))), ())]
    while stack:
        left, state = stack.pop()
        if not left and state == final:
            return True
        if (left, state) in tried or state != final[:len(state)]:
            continue
        tried.add((left, state))
        # Whatever ended before another one began comes first.
        first_end = min((ops[i].t_complete for i in left), default=INFINITE)
        for i in left:
            if ops[i].t_invoke <= first_end:
                stack.extend((left - {i}, after) for after in step(ops[i], state))
    return False
