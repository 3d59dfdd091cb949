"""What the load driver asks for: operations chosen at random, and what their answers mean.

An append is kept as a plan, {"kind", "parts": [{"stream", "expected", "ids"}], "queries"}: enough
to make the same request again, in another round too. Streams by what happens to them:

    hot-N   few, always contended         acct-N  more           "plain ü"  a name without a topic
    once-…  made with the condition none  del-N   deleted, reopened, truncated   tomb-…  tombstoned
"""
import json
import urllib.parse

import events

REFUSED = (400, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422, 429, 507)
REFUSED_503 = ("closed", "try-again", "out-of-memory", "canceled")
JSON = ("Content-Type", "application/json")
NDJSON = ("Accept", "application/x-ndjson")


def quoted(text):
    return urllib.parse.quote(text, safe="")


def condition_headers(expected):
    if expected == "any":
        return []
    if expected == "none":
        return [("If-None-Match", "*")]
    return [("If-Match", "*" if expected == "exists" else '"%d"' % expected)]


def problem_of(answer):
    """(problem's name, the document) of a refusal."""
    try:
        document = json.loads(answer.body)
        return document.get("type", "").rpartition(":")[2], document
    except ValueError:
        return "", {}


def told(event, digest):
    """An event as the history notes it."""
    return [event["position"], event["stream"], event["version"], event["event_id"], digest]


def versions_told(part):
    """First and last version of a part; -1 where the stream has no event."""
    last = -1 if part["version"] is None else part["version"]
    return [part.get("first_version", last), last]


class Request:
    """What goes over the wire, what the history notes, and how the answer is understood."""

    def __init__(self, kind, args, method, target, headers=(), body=None, plan=None):
        self.kind, self.args, self.method, self.target = kind, args, method, target
        self.headers, self.body, self.plan = list(headers), body, plan

    def understand(self, answer):
        """(result, what the history notes)."""
        if answer.status in (200, 201, 204):
            return "ok", getattr(self, "read_" + self.kind)(answer)
        problem, document = problem_of(answer)
        noted = {"status": answer.status, "problem": problem}
        for key in ("actual", "actual_state", "append", "query_condition", "matching_position"):
            if key in document:
                noted[key] = document[key]
        certain = answer.status in REFUSED or (answer.status == 503 and problem in REFUSED_503)
        return "fail" if certain or self.kind.startswith("read") else "unknown", noted

    def read_append(self, answer):
        got = json.loads(answer.body)
        return {"status": answer.status, "results": [versions_told(got)],
                "position": got["position"], "repeated": got.get("repeated", False)}

    def read_multi(self, answer):
        got = json.loads(answer.body)
        results = [versions_told(one)
                   for one in got["results"]]
        return {"status": answer.status, "results": results, "position": got["position"],
                "repeated": got["repeated"]}

    def read_delete(self, answer):
        return {"status": answer.status, "position": json.loads(answer.body)["position"]}

    def read_put_metadata(self, answer):
        got = json.loads(answer.body)
        return {"status": answer.status, "position": got["position"], "version": got["version"]}

    def read_read_stream(self, answer):
        noted = self.read_read_all(answer)
        noted["head"] = int(answer.headers["mainstem-head"])
        return noted

    def read_read_all(self, answer):
        noted = {"status": answer.status, "more": 'rel="next"' in answer.headers.get("link", ""),
                 "events": []}
        for line in answer.body.splitlines():
            event, _, digest = events.read_line(line)
            noted["events"].append(told(event, digest))
        if "mainstem-position" in answer.headers:
            noted["position"] = int(answer.headers["mainstem-position"])
        if "mainstem-next" in answer.headers:
            noted["next"] = int(answer.headers["mainstem-next"])
        return noted


class Workload:
    def __init__(self, rng, maker, state, prefix, weights):
        self.rng, self.maker, self.prefix = rng, maker, prefix
        self.versions = state.get("versions", {})
        self.unknown = state.get("unknown", [])
        self.recent = state.get("recent", [])
        self.last = state.get("last", 0)
        self.count = 0
        self.choices = [(self.append, 44), (self.multi, 12), (self.resend, 9), (self.probe, 2),
                        (self.read_stream, 14), (self.read_all, 10), (self.delete, 3),
                        (self.put_metadata, 3), (self.check_only, 2), (self.malformed, 1)]
        # Each run has a bias of its own: rare mixes are where narrow generators miss bugs.
        self.weights = [weight * rng.choice((0.3, 1, 1, 3)) if weights is None else
                        weights.get(choice.__name__, 0) for choice, weight in self.choices]

    def state(self):
        return {"versions": self.versions, "unknown": self.unknown[-200:],
                "recent": self.recent[-200:], "last": self.last}

    def next(self):
        choice, = self.rng.choices([choice for choice, _ in self.choices], self.weights)
        return choice()

    # ---- choosing ----

    def fresh_ids(self, count):
        self.count += count
        return ["%s-%d" % (self.prefix, self.count - i) for i in range(count)][::-1]

    def stream(self):
        rng = self.rng
        kind = rng.randrange(20)
        if kind < 8:
            return "hot-%d" % rng.randrange(4)
        if kind < 14:
            return "acct-%d" % rng.randrange(50)
        if kind < 16:
            return "del-%d" % rng.randrange(6)
        if kind == 16:
            return "plain ü"
        if kind == 17:
            return "tomb-%d" % rng.randrange(40)
        return "once-%s-%d" % (self.prefix, rng.randrange(10_000))

    def expected(self, stream):
        kind = self.rng.randrange(20)
        known = self.versions.get(stream, -1)
        if stream.startswith("once-") and kind < 15:
            return "none"
        if kind < 11 and known >= 0:
            return known
        if kind == 11 and known > 0:
            return self.rng.randrange(known)
        if kind == 12:
            return known + self.rng.randint(1, 3)
        return self.rng.choice(("any", "any", "any", "none", "exists"))

    def append_plan(self):
        stream = self.stream()
        ids = self.fresh_ids(self.rng.choice((1, 1, 1, 1, 2, 3, 5, 12)))
        return {"kind": "append",
                "parts": [{"stream": stream, "expected": self.expected(stream), "ids": ids}]}

    # ---- requests ----

    def append(self):
        return self.request_of(self.append_plan())

    def check_only(self):
        plan = self.append_plan()
        plan["parts"][0]["ids"] = []
        return self.request_of(plan)

    def multi(self):
        streams = {self.stream() for _ in range(self.rng.randint(1, 4))}
        parts = [{"stream": stream, "expected": self.expected(stream),
                  "ids": self.fresh_ids(self.rng.choice((0, 1, 1, 1, 2, 4)))}
                 for stream in sorted(streams)]
        plan = {"kind": "multi", "parts": parts, "queries": []}
        if self.rng.random() < 0.4:
            after = max(0, self.last - self.rng.choice((0, 0, 1, 3, 10)))
            query = {"after": after}
            if self.rng.random() < 0.6:
                query["tags"] = self.rng.sample(events.TAGS, 1)
            if "tags" not in query or self.rng.random() < 0.5:
                query["types"] = self.rng.sample(events.TYPES, self.rng.randint(1, 2))
            plan["queries"] = [query]
        return self.request_of(plan)

    def resend(self):
        """The same request again: one whose outcome is unknown, or one that was acknowledged."""
        source = self.unknown if self.unknown and self.rng.random() < 0.6 else self.recent
        if not source:
            return self.append()
        plan = self.rng.choice(source)
        if source is self.unknown and self.rng.random() < 0.5:
            source.remove(plan)
        return self.request_of(plan, resend=True)

    def probe(self):
        """Ids that are there, with other data or with new ids among them: a conflict of ids."""
        plans = [plan for plan in self.recent
                 if plan["kind"] == "append" and plan["parts"][0]["ids"]]
        if not plans:
            return self.append()
        old = self.rng.choice(plans)
        part = dict(old["parts"][0])
        if self.rng.random() < 0.5:
            return self.request_of(dict(old, parts=[part]), variant=1, probe=True)
        part.update(ids=part["ids"] + self.fresh_ids(1), expected="any")
        return self.request_of(dict(old, parts=[part]), probe=True)

    def request_of(self, plan, variant=0, **more):
        noted, bodies = [], []
        for part in plan["parts"]:
            made = [self.maker.make(event_id, variant) for event_id in part["ids"]]
            bodies.append([body for body, _ in made])
            noted.append({"stream": part["stream"], "expected": part["expected"],
                          "events": [event for _, event in made]})
        args = dict(more, parts=noted)
        keep = None if variant or more.get("probe") else plan
        if plan["kind"] == "append":
            stream, expected = noted[0]["stream"], noted[0]["expected"]
            headers, body = [JSON], b"[" + b",".join(bodies[0]) + b"]"
            if len(bodies[0]) == 1:
                body = bodies[0][0]
            elif bodies[0] and self.rng.random() < 0.3:
                headers, body = [("Content-Type", "application/x-ndjson")], b"\n".join(bodies[0])
            return Request("append", args, "POST", "/v1/streams/" + quoted(stream),
                           headers + condition_headers(expected), body, keep)
        if plan["queries"]:
            args["queries"] = plan["queries"]
        appends = b",".join(
            b'{"stream":%s,"expect":%s,"events":[%s]}' % (
                json.dumps(part["stream"]).encode(), json.dumps(part["expected"]).encode(),
                b",".join(made)) for part, made in zip(noted, bodies))
        body = b'{"appends":[%s],"query_conditions":%s}' % (
            appends, json.dumps(plan["queries"]).encode())
        return Request("multi", args, "POST", "/v1/append", [JSON], body, keep)

    def read_stream(self):
        rng, stream = self.rng, self.stream()
        args = {"stream": stream, "limit": rng.choice((1, 5, 100, 1000))}
        if rng.random() < 0.4:
            args["backward"] = True
        if rng.random() < 0.6:
            args["from"] = rng.randint(0, max(0, self.versions.get(stream, -1)) + 2)
        return Request("read_stream", args, "GET", "/v1/streams/" + quoted(stream) +
                       self.query(args), [NDJSON])

    def read_all(self):
        rng, args = self.rng, {}
        args["limit"] = rng.choice((1, 10, 100, 1000))
        if rng.random() < 0.5:
            args["backward"] = True
            if rng.random() < 0.3:
                args["from"] = rng.randint(0, self.last)
        else:  # from near the end, mostly: that is where things happen
            args["from"] = max(0, self.last - rng.choice((0, 5, 50, 50, self.last)))
        kind = rng.randrange(6)
        if kind == 0:
            args["filter"] = {"types": rng.sample(events.TYPES, 2)}
        elif kind == 1:
            args["filter"] = {"tags": rng.sample(events.TAGS, 1)}
        elif kind == 2:
            args["filter"] = {"stream_prefix": "hot-"}
        return Request("read_all", args, "GET", "/v1/events" + self.query(args), [NDJSON])

    def query(self, args):
        pairs = [("limit", args["limit"])] if "limit" in args else []
        if args.get("backward"):
            pairs.append(("direction", "backward"))
        if args.get("from") is not None:
            pairs.append(("from", args["from"]))
        wanted = args.get("filter") or {}
        pairs += [("type", one) for one in wanted.get("types", ())]
        pairs += [("tag", one) for one in wanted.get("tags", ())]
        if "stream_prefix" in wanted:
            pairs.append(("stream_prefix", wanted["stream_prefix"]))
        if "wait" in args:
            pairs.append(("wait", args["wait"]))
        return "?" + urllib.parse.urlencode(pairs)

    def delete(self):
        stream = "del-%d" % self.rng.randrange(6)
        args = {"stream": stream, "expected": "any"}
        target = "/v1/streams/" + quoted(stream)
        if self.rng.random() < 0.1:
            args.update(stream="tomb-%d" % self.rng.randrange(40), tombstone=True)
            target = "/v1/streams/%s?tombstone=true" % args["stream"]
        elif self.rng.random() < 0.5:
            args["expected"] = max(0, self.versions.get(stream, 0))
        return Request("delete", args, "DELETE", target, condition_headers(args["expected"]))

    def put_metadata(self):
        stream = "del-%d" % self.rng.randrange(6)
        self.count += 1
        args = {"stream": stream, "expected": "any", "by": "%s-%d" % (self.prefix, self.count)}
        rules = {"by": args["by"]}
        head = max(0, self.versions.get(stream, 0))
        if self.rng.random() < 0.6:
            rules["$tb"] = self.rng.randint(0, head + 1)
        if self.rng.random() < 0.4:
            rules["$maxCount"] = self.rng.randint(1, 20)
        return Request("put_metadata", args, "PUT", "/v1/streams/%s/metadata" % quoted(stream),
                       [JSON], json.dumps(rules).encode())

    def malformed(self):
        """Refused as a whole: nothing of it may ever appear."""
        request = self.append()
        request.plan = None
        request.body = self.rng.choice((
            request.body[:-1], request.body + b"]", b"[" + request.body + b',{"event_type":""}]',
            request.body.replace(b'"event_type"', b'"evnt_type"', 1)))
        return request

    # ---- learning from answers ----

    def learn(self, request, result, noted):
        if result == "unknown" and request.plan:
            self.unknown.append(request.plan)
        if result == "fail" and noted.get("actual") is not None and request.kind in (
                "append", "multi"):
            part = request.args["parts"][noted.get("append", 0)]
            self.versions[part["stream"]] = noted["actual"]
        if result != "ok":
            return
        if request.plan:
            for part, (_, version) in zip(request.args["parts"], noted["results"]):
                self.versions[part["stream"]] = version
            self.recent.append(request.plan)
            del self.recent[:-400]
        elif request.kind == "read_stream":
            self.versions[request.args["stream"]] = noted["head"]
        self.last = max(self.last, noted.get("position", 0))
