"""G7 readers: a subscription sees every matching event, in order, once, and gets to the end.

A subscription has a name (`sub`) and goes on over connections and restarts of the server: each one
begins behind the last event of the one before it. Long polls that follow `next` are subscriptions
too.
"""
import collections

from history import Finding, matches


def check(world):
    by_name = collections.defaultdict(list)
    for op in world.ops:
        if op.args.get("sub"):
            by_name[op.args["sub"]].append(op)
    found = []
    for name, ops in sorted(by_name.items()):
        ops.sort(key=lambda op: (op.t_invoke, op.number))
        found += follow(world, name, ops)
    return found


def delivered(op):
    if op.kind == "subscribe":
        return [event for _, event in op.seen]
    return op.answer.get("events", []) if op.result == "ok" else []


def follow(world, name, ops):
    seen = [event for op in ops for event in delivered(op)]
    keys = [event[2] if ops[0].args.get("stream") else event[0] for event in seen]
    found = []
    for before, key in zip(keys, keys[1:]):
        if key == before:
            found.append(Finding("G7", "again", "%s saw %d twice" % (name, key)))
        elif key < before:
            found.append(Finding("G7", "backward", "%s saw %d after %d" % (name, key, before)))
    return found + gaps(world, name, ops, seen, keys) + stuck(world, name, ops, keys)


def wanted_keys(world, ops):
    """What the subscription should see of the whole log: {key: event}."""
    args = ops[0].args
    if args.get("stream"):
        return dict(world.log.by_stream.get(args["stream"], {}))
    return {event.position: event for event in world.log.user
            if matches(event, args.get("filter") or {})}


def gaps(world, name, ops, seen, keys):
    """Between where it began and the last event it saw nothing is missing, and nothing is
    foreign."""
    wanted = wanted_keys(world, ops)
    first = ops[0].args.get("from") or 0
    last, there = max(keys, default=-1), set(keys)
    missing = sorted(key for key in wanted if first <= key <= last and key not in there and
                     not removed(world, ops[0].args.get("stream"), key))
    found = [Finding("G7", "gap", "%s did not see %s" % (name, missing[:10]))] if missing else []
    foreign = [event for key, event in zip(keys, seen)
               if key not in wanted or wanted[key].id != event[3]]
    if foreign:
        found.append(Finding("G7", "foreign", "%s saw %s, which the log does not have there"
                             % (name, foreign[:3])))
    return found


def removed(world, stream, version):
    """Was the version ever unreadable? Then a reader may have passed over it."""
    if not stream:
        return False
    return any(state.first > version or state.kind != "live" and state.version >= version
               for state in world.log.timeline(stream).states)


def stuck(world, name, ops, keys):
    """At the end of the history a reader had as long as it wanted (args: until_end)."""
    if not any(op.args.get("until_end") for op in ops):
        return []
    readable = [key for key in wanted_keys(world, ops)
                if key >= (ops[0].args.get("from") or 0) and
                not removed(world, ops[0].args.get("stream"), key)]
    if readable and max(readable) > max(keys, default=-1):
        return [Finding("G7", "stuck", "%s never saw %d, its last was %d"
                        % (name, max(readable), max(keys, default=-1)))]
    return []
