"""Histories and logs: what the checkers read, and the questions that all of them ask.

A history is JSON lines, written by whoever drove the server (tests/crash/driver):

    {"e":"invoke",  "process":"3.1","op":7,"t":NS,"kind":KIND, …arguments…}
    {"e":"complete","process":"3.1","op":7,"t":NS,"result":"ok|fail|unknown", …answer…}
    {"e":"seen",    "process":"3.9","op":1,"t":NS,"id":SSE_ID,"event":EVENT}
    {"e":"caught_up","process":"3.9","op":1,"t":NS}
    {"e":"note","t":NS,"what":"kill"}

  kind           arguments                                        answer when ok
  append, multi  parts: [{stream, expected, events}],             results: [[first, version]…],
                 queries                                          position, repeated
  delete         stream, expected, tombstone                      position
  put_metadata   stream, expected, by                             version, position
  read_stream    stream, from, limit, backward                    events, head, more, position
  read_all       from, limit, backward, filter, sub               events, more, position
  subscribe      sub, stream | null, from, filter                 (seen lines)

  expected   "any" | "none" | "exists" | version
  from       null means the beginning (backward: the end)
  events     of an append [ID, DIGEST, TYPE, [TAG…]], of a read EVENTs:
             [POSITION, STREAM, VERSION, ID, DIGEST]
  queries    [{types, tags, after}]                        fail: status, problem, and what it names

`t` is CLOCK_MONOTONIC in nanoseconds. An operation without a completion ended as unknown. An
unknown process is never used again, so that nothing can be said to have happened after it. A log
is JSON lines too, one event each, as the server tells all of them ("system" events, topics that
begin with $, included).
"""
import bisect
import collections
import json

INFINITE = float("inf")
INT64_MAX = (1 << 63) - 1

Finding = collections.namedtuple("Finding", "guarantee anomaly detail")
Event = collections.namedtuple("Event", "position stream version id digest type tags system data")
# What a stream is from a position on; first = its first readable version.
State = collections.namedtuple("State", "position kind version first metadata")
NOTHING = State(-1, "none", -1, 0, -1)


def describe(finding):
    return "%s %s: %s" % finding


class Op:
    """One operation of a history."""

    def __init__(self, line):
        self.process, self.number, self.kind = line["process"], line["op"], line["kind"]
        self.args = line
        self.t_invoke, self.t_complete = line["t"], INFINITE
        self.result, self.answer = "unknown", {}
        self.seen = []       # of a subscription: (t, [position, stream, version, id, digest])
        self.caught_up = []  # (t, number of events seen before)

    @property
    def parts(self):
        return self.args.get("parts", ())

    @property
    def appends(self):
        return self.kind in ("append", "multi")

    @property
    def fresh(self):
        """It says that it added its events itself."""
        return self.result == "ok" and not self.answer.get("repeated")

    def name(self):
        return "%s of process %s, operation %d" % (self.kind, self.process, self.number)

    def events(self):
        for index, part in enumerate(self.parts):
            for event in part["events"]:
                yield index, part["stream"], event


class History:
    def __init__(self):
        self.ops, self.notes = [], []
        self.open = {}

    def add_line(self, line):
        what = line["e"]
        if what == "note":
            self.notes.append((line["t"], line["what"]))
            return
        key = (line["process"], line["op"])
        if what == "invoke":
            self.open[key] = Op(line)
            self.ops.append(self.open[key])
            return
        op = self.open[key]
        if what == "seen":
            op.seen.append((line["t"], line["event"]))
        elif what == "caught_up":
            op.caught_up.append((line["t"], len(op.seen)))
        else:
            op.result, op.answer = line["result"], line
            op.t_complete = INFINITE if op.result == "unknown" else line["t"]

    def load(self, path):
        """Reads a file; a last line without its end was being written when the driver stopped."""
        with open(path, "rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self.add_line(json.loads(line))
        return self


def load_log(path):
    with open(path, "rb") as lines:
        return [event_of(json.loads(line)) for line in lines]


def event_of(line):
    return Event(line["position"], line["stream"], line["version"], line["id"], line["digest"],
                 line["type"], tuple(line.get("tags", ())), line.get("system", False),
                 line.get("data"))


def line_of(event):
    line = event._asdict()
    return {key: value for key, value in line.items() if value not in (None, (), False)}


def matches(event, query):
    """Does an event satisfy a filter or a query condition (without its position)?"""
    if query.get("types") and event.type not in query["types"]:
        return False
    if not set(query.get("tags") or ()) <= set(event.tags):
        return False
    if query.get("stream_prefix") and not event.stream.startswith(query["stream_prefix"]):
        return False
    return True


def holds(expected, state):
    """May an append with this condition happen to a stream in this state?"""
    if state.kind == "tombstoned":
        return False
    if expected == "any":
        return True
    if expected == "none":
        return state.kind != "live"
    if expected == "exists":
        return state.kind == "live" or (state.kind == "none" and state.metadata >= 0)
    return state.version >= 0 and state.version == expected


# ---- what streams were, position by position ---------------------------------------------------

class Timeline:
    """The states of one stream, oldest first; `rules` are those of its newest metadata."""

    def __init__(self):
        self.states = [NOTHING]
        self.positions = [-1]
        self.version, self.metadata, self.tombstoned = -1, -1, False
        self.deleted, self.truncate, self.count = -1, 0, 0

    def record(self, position):
        kind = "live"
        if self.tombstoned:
            kind = "tombstoned"
        elif 0 <= self.deleted == self.version:
            kind = "deleted"
        elif self.version < 0:
            kind = "none"
        first = max(self.truncate, self.deleted + 1 if self.deleted >= 0 else 0)
        if self.count > 0:
            first = max(first, self.version - self.count + 1)
        self.states.append(State(position, kind, self.version, first, self.metadata))
        self.positions.append(position)

    def apply_event(self, event):
        self.version = event.version
        self.tombstoned = self.tombstoned or event.type == "$streamDeleted"
        self.record(event.position)

    def apply_metadata(self, event):
        try:
            rules = json.loads(event.data or "{}")
        except ValueError:
            rules = {}
        before = rules.get("$tb", 0)
        self.deleted = self.version if before == INT64_MAX else -1
        self.truncate = 0 if before == INT64_MAX else before
        self.count = rules.get("$maxCount", 0)
        self.metadata = event.version
        self.record(event.position)

    def at(self, position):
        """The state when everything up to `position` has happened."""
        return self.states[bisect.bisect_right(self.positions, position) - 1]

    def between(self, low, high):
        """Every state that was true at some point of [low, high]."""
        begin = bisect.bisect_right(self.positions, low) - 1
        end = bisect.bisect_right(self.positions, high)
        return self.states[begin:max(end, begin + 1)]


class Log:
    """All events, in the order that the server tells them."""

    def __init__(self, events):
        self.events = events
        self.by_position = {event.position: event for event in events}
        self.by_id = collections.defaultdict(list)
        self.by_stream = collections.defaultdict(dict)
        self.timelines = collections.defaultdict(Timeline)
        self.user = [event for event in events if not event.system]
        self.user_positions = [event.position for event in self.user]
        self.last = events[-1].position if events else -1
        for event in events:
            self.by_id[event.id].append(event)
            self.by_stream[event.stream].setdefault(event.version, event)
            self.timelines[event.stream].apply_event(event)
            if event.stream.startswith("$$"):
                self.timelines[event.stream[2:]].apply_metadata(event)

    def user_between(self, first, last):
        """User events with first <= position <= last."""
        begin = bisect.bisect_left(self.user_positions, first)
        return self.user[begin:bisect.bisect_right(self.user_positions, last)]

    def timeline(self, stream):
        return self.timelines.get(stream) or Timeline()


# ---- history and log together ------------------------------------------------------------------

class World:
    """Time and order joined: the log's order is the order in which everything took effect.

    lo(t)  the last position that somebody knew of before t: whatever begins at t must include it
    hi(t)  the last position that can have been there at t: all behind it was not asked for yet

    `ops`: the operations to be checked, all by default. What is known comes from all of them
    anyway.
    """

    def __init__(self, history, log, ops=None):
        self.history, self.log = history, log
        self.ops = history.ops if ops is None else ops
        self.submissions = collections.defaultdict(list)  # id -> [(op, stream, digest)]
        for op in history.ops:
            for _, stream, event in op.events():
                self.submissions[event[0]].append((op, stream, event[1]))
        self.owners = {}  # position -> op that made it, as far as that is certain
        self.invoked = {}  # position -> earliest time that somebody can have asked for it
        self.match_events()
        self.match_positions()
        self.sort_evidence()

    def match_events(self):
        for event in self.log.user:
            able = [op for op, stream, digest in self.submissions.get(event.id, ())
                    if stream == event.stream and digest == event.digest and op.result != "fail"]
            fresh = [op for op in able if op.fresh]
            if len(fresh) == 1:
                self.owners[event.position] = fresh[0]
                self.invoked[event.position] = fresh[0].t_invoke
            elif able:
                self.invoked[event.position] = min(op.t_invoke for op in able)
                if len(able) == 1:
                    self.owners[event.position] = able[0]

    def match_positions(self):
        """Deletes and metadata are events of the server's making, known by the answered
        position."""
        for op in self.history.ops:
            if op.kind in ("delete", "put_metadata") and op.result == "ok":
                position = op.answer["position"]
                event = self.log.by_position.get(position)
                if event and event.stream in ("$$" + op.args["stream"], op.args["stream"]):
                    self.owners[position] = op
                    self.invoked[position] = op.t_invoke

    def evidence_of(self, op):
        """(time, position) pairs at which somebody learnt that a position exists."""
        if op.result == "ok" and op.appends and any(part["events"] for part in op.parts):
            yield op.t_complete, op.answer["position"]
        elif op.result == "ok" and op.kind in ("delete", "put_metadata"):
            yield op.t_complete, op.answer["position"]
        elif op.result == "ok" and op.answer.get("events"):
            yield op.t_complete, max(event[0] for event in op.answer["events"])
        for stream, version in self.versions_told(op):
            event = self.log.by_stream.get(stream, {}).get(version)
            if event:
                yield op.t_complete, event.position
        for when, event in op.seen:
            yield when, event[0]

    def versions_told(self, op):
        """(stream, version) pairs that an answer names as being there: heads, and refusals'
        actual."""
        if op.kind == "read_stream" and op.result == "ok":
            yield op.args["stream"], op.answer["head"]
        elif op.appends and op.result == "fail" and op.answer.get("actual") is not None:
            yield op.parts[op.answer.get("append", 0)]["stream"], op.answer["actual"]
        elif op.appends and op.result == "ok":
            for part, (_, version) in zip(op.parts, op.answer["results"]):
                yield part["stream"], version

    def sort_evidence(self):
        known = self.log.by_position
        pairs = sorted(pair for op in self.history.ops for pair in self.evidence_of(op)
                       if pair[1] in known)
        self.known_times = [when for when, _ in pairs]
        self.known_positions = running(max, (position for _, position in pairs))
        pairs = sorted(((when, position) for position, when in self.invoked.items()), reverse=True)
        self.asked_times = [-when for when, _ in pairs]
        self.asked_positions = running(min, (position for _, position in pairs))

    def lo(self, when):
        count = bisect.bisect_left(self.known_times, when)
        return self.known_positions[count - 1] if count else -1

    def hi(self, when):
        count = bisect.bisect_left(self.asked_times, -when)
        return self.asked_positions[count - 1] - 1 if count else INFINITE

    def window(self, op):
        return self.lo(op.t_invoke), self.hi(op.t_complete)

    def first_position(self, op):
        """Of the events that an append added; None when it is not certain which those are."""
        positions = [event.position for _, stream, wanted in op.events()
                     for event in self.log.by_id.get(wanted[0], ())
                     if self.owners.get(event.position) is op]
        return min(positions) if positions else None


def running(choose, values):
    result = []
    for value in values:
        result.append(choose(result[-1], value) if result else value)
    return result
