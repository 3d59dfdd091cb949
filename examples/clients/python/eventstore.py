"""The classic EventStore interface on Mainstem: nothing but http.client.

append_events(stream, events, expected_version)   the new version; raises Conflict
read_events(stream, start)                        the events of a stream, from a version on
read_all_events(start, most)                      events of all streams in order, and what is next

expected_version: a version, NO_STREAM, or ANY. Versions count from 0. One object per thread.
"""
import http.client
import json
import urllib.parse
import uuid

NO_STREAM = -1
ANY = None


class Conflict(Exception):
    def __init__(self, problem):
        super().__init__(problem["detail"])
        self.actual = NO_STREAM if problem["actual"] is None else problem["actual"]


class EventStore:
    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)

    def request(self, method, path, body=None, headers={}):
        self.connection.request(method, path, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        parsed = json.loads(answer.read())
        if answer.status == 412:
            raise Conflict(parsed)
        if answer.status not in (200, 201, 404):
            raise OSError("%d %s" % (answer.status, parsed["detail"]))
        return (parsed if answer.status != 404 else []), answer.headers

    def append_events(self, stream, events, expected_version=ANY):
        """The ids are made once, so a caller that got no answer may send the same events again."""
        for event in events:
            event.setdefault("event_id", str(uuid.uuid4()))
        headers = {"Content-Type": "application/json"}
        if expected_version == NO_STREAM:
            headers["If-None-Match"] = "*"
        elif expected_version is not ANY:
            headers["If-Match"] = '"%d"' % expected_version
        path = "/v1/streams/" + urllib.parse.quote(stream, safe="")
        return self.request("POST", path, events, headers)[0]["version"]

    def read_events(self, stream, start=0):
        while start is not None:
            events, headers = self.request("GET", "/v1/streams/%s?from=%s&limit=1000" % (
                urllib.parse.quote(stream, safe=""), start))
            yield from events
            start = headers["Mainstem-Next"] if headers["Link"] else None

    def read_all_events(self, start=0, most=100):
        events, headers = self.request("GET", "/v1/events?from=%s&limit=%d" % (start, most))
        return events, int(headers["Mainstem-Next"])
