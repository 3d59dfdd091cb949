"""Histories written by hand, for the checkers' own tests."""
from history import Event, History, Log, World


class Story:
    """Writes a history and a log. Times are small numbers; t=(begin, end), end None: unknown."""

    def __init__(self):
        self.history, self.events, self.op = History(), [], 0

    def log(self, stream, *ids, type="t", tags=(), data=None, version=None):
        for event_id in ids:
            count = sum(1 for event in self.events if event.stream == stream)
            place = count if version is None else version
            self.events.append(Event(len(self.events), stream, place, event_id,
                                     "d-" + event_id, type, tags,
                                     stream.startswith("$$"), data))
        return self

    def skip(self):
        """A position that nobody has."""
        self.events.append(None)
        return self

    def add(self, kind, t, result="ok", answer=None, process=None, **args):
        self.op += 1
        process = process or "p%d" % self.op
        self.history.add_line(dict(args, e="invoke", process=process, op=self.op, t=t[0],
                                   kind=kind))
        if t[1] is not None:
            self.history.add_line(dict(answer or {}, e="complete", process=process, op=self.op,
                                       t=t[1], result=result))
        return self

    def append(self, t, stream, ids, first=None, position=None, expected="any", **more):
        """Acknowledged when `first` is given."""
        answer = dict(more.pop("answer", {}))
        result = more.pop("result", "ok")
        if first is not None:
            answer.update(results=[[first, first + len(ids) - 1]], position=position,
                          repeated=more.pop("repeated", False))
        digest = more.pop("digest", "d-")
        part = {"stream": stream, "expected": expected,
                "events": [[i, digest + i, "t", []] for i in ids]}
        return self.add("append", t, result, answer, parts=[part], **more)

    def conflict(self, t, stream, ids, expected, actual, state="live",
                 problem="wrong-expected-version"):
        return self.append(t, stream, ids, expected=expected, result="fail", answer=dict(
            status=412, problem=problem, actual=actual, actual_state=state))

    def read(self, t, stream, ids, head, more=False, status=200, **args):
        events = [self.shown(i) for i in ids]
        return self.add("read_stream", t, "ok" if status == 200 else "fail", dict(
            status=status, events=events, head=head, more=more), stream=stream, **args)

    def read_all(self, t, ids, more=False, **args):
        return self.add("read_all", t, "ok", dict(status=200, more=more, events=[
            self.shown(i) for i in ids]), **args)

    def shown(self, event_id):
        event = next((e for e in self.events if e and e.id == event_id), None)
        if event is None:
            return [99, "s", 99, event_id, "d-" + event_id]
        return [event.position, event.stream, event.version, event.id, event.digest]

    def subscribe(self, t, ids, caught_up=None, **args):
        """Sees an event each tick; caught_up: after how many."""
        self.op += 1
        process = "p%d" % self.op
        self.history.add_line(dict(args, e="invoke", process=process, op=self.op, t=t,
                                   kind="subscribe"))
        for count, event_id in enumerate(ids, 1):
            self.history.add_line(dict(e="seen", process=process, op=self.op, t=t + count,
                                       event=self.shown(event_id)))
            if count == caught_up:
                self.history.add_line(dict(e="caught_up", process=process, op=self.op, t=t + count))
        return self

    def world(self):
        return World(self.history, Log([event for event in self.events if event]))
