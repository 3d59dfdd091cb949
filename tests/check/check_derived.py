"""G12 derived is derived: with every index deleted the server gives the same answers, and they are
what the log says.

Answers are {question: answer}, both text or JSON values. tests/crash/server.py asks; a question
is the method and target of the request, an answer its status and body.
"""
from history import Finding, matches

MISSING = object()


def check(before, after):
    """The same questions, before and after the indexes were deleted."""
    found = []
    for question in sorted(set(before) | set(after)):
        old, new = before.get(question, MISSING), after.get(question, MISSING)
        if new is MISSING:
            found.append(Finding("G12", "answer-missing", question))
        elif old is MISSING:
            found.append(Finding("G12", "answer-new", question))
        elif old != new:
            found.append(Finding("G12", "answer-differs", "%s: %s" % (question, first_difference(
                str(old), str(new)))))
    return found


def first_difference(old, new):
    at = next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    begin = max(0, at - 60)
    return "…%s… became …%s…" % (old[begin:at + 60], new[begin:at + 60])


def check_streams(log, streams):
    """Reads of whole streams, {name: [(version, position, id)…] or a kind of absence}, against a
    fold of the log."""
    found = []
    for name, answer in sorted(streams.items()):
        state = log.timeline(name).at(log.last)
        expected = state.kind
        if state.kind == "live":
            expected = [(event.version, event.position, event.id)
                        for version, event in sorted(log.by_stream[name].items())
                        if state.first <= version <= state.version]
        if answer != expected:
            found.append(Finding("G12", "not-the-log", "stream %s: %s" % (name, first_difference(
                str(expected), str(answer)))))
    return found


def check_queries(log, queries):
    """Filtered reads of everything, [(filter, [position…])…], against the log."""
    found = []
    for query, positions in queries:
        expected = [event.position for event in log.user if matches(event, query)]
        if positions != expected:
            found.append(Finding("G12", "not-the-log", "events with %s: missing %s, too many %s" % (
                query, sorted(set(expected) - set(positions))[:10],
                sorted(set(positions) - set(expected))[:10])))
    return found
