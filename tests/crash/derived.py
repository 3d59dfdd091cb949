"""G12: asks a server everything that indexes answer, deletes them, restarts it, and asks again."""
import hashlib
import json
import os
import shutil
import urllib.parse

import check_derived
import events
from history import Log, describe

STREAMS_MAX = 250


def short(status, headers, body):
    """An answer in a form that can be compared and shown."""
    if status != 200:
        problem = json.loads(body).get("type", "") if body else ""
        return [status, problem]
    made = hashlib.blake2b(body, digest_size=8).hexdigest()
    kept = {name: headers[name] for name in ("etag", "mainstem-head", "mainstem-next")
            if name in headers}
    return [status, kept, len(body), made, body[:200].decode("utf-8", "replace")]


def questions(server, log):
    """Targets: topics, streams, every kind of filter, both directions, times that are past."""
    last, streams = log.last, sorted(log.by_stream)
    topics = [topic["name"] for topic in server.ask_json("/v1/topics?system=true")["topics"]]
    yield "/v1/topics?system=true"
    for topic in topics:
        quoted = urllib.parse.quote(topic, safe="")
        for start in (0, last // 2):
            yield "/v1/streams?topic=%s&from=%d&limit=1000" % (quoted, start)
        yield "/v1/events?topic=%s&limit=1000&system=true" % quoted
    step = max(1, len(streams) // STREAMS_MAX)
    for stream in streams[::step]:
        quoted = urllib.parse.quote(stream, safe="")
        middle = len(log.by_stream[stream]) // 2
        for query in ("limit=10000", "limit=3&direction=backward", "from=%d&limit=2" % middle,
                      "as_of=%d" % (last // 2)):
            yield "/v1/streams/%s?%s" % (quoted, query)
        yield "/v1/streams/%s/metadata" % quoted
    some = log.user[:: max(1, len(log.user) // 8)]
    for event in some:
        yield "/v1/events?from=%d&limit=5&type=%s" % (event.position, event.type)
    for one in events.TYPES:
        yield "/v1/events?limit=10000&type=" + one
        yield "/v1/events?limit=20&direction=backward&type=" + one
    for one in events.TAGS:
        yield "/v1/events?limit=10000&tag=" + urllib.parse.quote(one)
    for prefix in ("hot-", "acct-1", "once-", "nothing-"):
        yield "/v1/events?limit=10000&stream_prefix=" + prefix
    for number in range(0, 50, 7):
        yield "/v1/events?limit=1000&correlation_id=c-%d" % number
    yield "/v1/events?limit=100&as_of=%d" % (last // 3)


def ask_all(server, log):
    return {target: short(*server.ask(target, "application/x-ndjson" if "/v1/events" in target or
                                      "limit" in target and "topic=" not in target else None))
            for target in questions(server, log)}


def read_streams(server, log):
    """{stream: [(version, position, id)…] or what it is instead} for check_derived."""
    found = {}
    names = [name for name in sorted(log.by_stream) if not name.startswith("$")]
    for name in names[:: max(1, len(names) // STREAMS_MAX)]:
        target = "/v1/streams/" + urllib.parse.quote(name, safe="")
        status, _, body = server.ask(target + "?limit=0")
        if status == 200:
            lines = [events.read_line(line)[0] for line in server.pages(target)]
            found[name] = [(line["version"], line["position"], line["event_id"]) for line in lines]
        else:
            kind = json.loads(body)["type"].rpartition(":")[2]
            found[name] = {"not-found": "none", "stream-deleted": "deleted",
                           "stream-tombstoned": "tombstoned"}.get(kind, kind)
    return found


def read_queries(server):
    """[(filter, positions)…] for check_derived."""
    filters = [{"types": [one]} for one in events.TYPES] + [{"tags": [one]} for one in events.TAGS]
    filters += [{"stream_prefix": "hot-"}, {"types": list(events.TYPES[:2]), "tags": ["course:7"]}]
    found = []
    for query in filters:
        pairs = [("type", one) for one in query.get("types", ())] + \
            [("tag", one) for one in query.get("tags", ())] + \
            [("stream_prefix", query[key]) for key in query if key == "stream_prefix"]
        lines = server.pages("/v1/events?" + urllib.parse.urlencode(pairs))
        found.append((query, [events.read_line(line)[0]["position"] for line in lines]))
    return found


def against_log(server, log):
    return check_derived.check_streams(log, read_streams(server, log)) + \
        check_derived.check_queries(log, read_queries(server))


def index_of(data):
    return os.path.join(data, "shard-000", "index")


def case(counts, campaign, name):
    """Answers, index deleted, the same answers; and both are what the log says."""
    server = campaign.server
    problems = campaign.read_back()
    log = Log(campaign.mirror.events)
    before = ask_all(server, log)
    found = against_log(server, log)
    if campaign.rng.random() < 0.5:
        server.stop()
    else:
        campaign.kill()
    shutil.rmtree(index_of(server.data))
    campaign.start()
    after = ask_all(server, log)
    found += check_derived.check(before, after) + against_log(server, log)
    problems += [describe(finding) for finding in found]
    counts.case(name, problems, "%d answers compared, %d streams in the log" % (
        len(before), len(log.by_stream)))
