"""The clients of tools/demo: nothing but HTTP and JSON, as anybody would write them."""
import http.client
import json
import random
import re
import threading
import time
import urllib.parse

RACE_TYPE = "note.added"
TIMEOUT_SECONDS = 15
PAGE_EVENTS = 5000


class Api:
    """Plain requests, one connection each time."""

    def __init__(self, address):
        self.address = address

    @staticmethod
    def quote(name):
        return urllib.parse.quote(name, safe="")

    def request(self, path):
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError("GET %s: %d %s" % (path, answer.status, body.decode("utf-8", "replace")))
        return answer.headers, json.loads(body)

    def get(self, path):
        return self.request(path)[1]

    def events(self, path, **query):
        """All events, page after page, by the Link that each page carries."""
        path += "?" + urllib.parse.urlencode({"limit": PAGE_EVENTS, **query})
        while path:
            headers, page = self.request(path)
            yield from page
            link = re.search(r'<([^>]+)>; *rel="next"', headers.get("Link", ""))
            path = link.group(1) if link else None

    def append(self, stream, event):
        """The answer: version and position."""
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/v1/streams/" + self.quote(stream), json.dumps(event),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 201):
            raise OSError("append: %d %s" % (answer.status, body.decode("utf-8", "replace")))
        return json.loads(body)

    def head_position(self):
        return int(self.request("/v1/events?limit=1&direction=backward")[1][0]["position"])

    def head_version(self, stream):
        return int(self.request("/v1/streams/%s?limit=1" % self.quote(stream))[0]["Mainstem-Head"])


class Racer(threading.Thread):
    """Appends to a stream at the version it believes to be the newest; learns of a newer one from
    the refusal. An append without an answer is sent again, with the same id, until there is one."""

    def __init__(self, address, client, streams, stop):
        super().__init__(daemon=True)
        self.address, self.client, self.streams, self.stop_race = address, client, streams, stop
        self.chance = random.Random(client)
        self.connection = None
        self.acknowledged = []
        self.refused = self.resent_there = self.resent_added = self.resent_refused = 0
        self.waiting = False  # an append is under way
        self.error = None

    def run(self):
        try:
            api = Api(self.address)
            versions = {stream: api.head_version(stream) for stream in self.streams}
            sent = 0
            while not self.stop_race.is_set():
                stream = self.chance.choice(self.streams)
                self.append(versions, stream, "client-%s-%d" % (self.client, sent))
                sent += 1
        except Exception as error:  # whatever it was, the demo tells it
            self.error = error
        finally:
            self.close()

    def append(self, versions, stream, event_id):
        expected = versions[stream]
        data = {"client": self.client, "note": self.chance.randrange(1_000_000)}
        body = json.dumps({"event_id": event_id, "event_type": RACE_TYPE, "data": data})
        status, answer, resent = self.send_until_answered(stream, expected, body)
        if status == 412:
            versions[stream] = answer["actual"]
            self.refused += 1
            self.resent_refused += resent
            return
        if status not in (200, 201):
            raise OSError("append: %d %r" % (status, answer))
        if answer["version"] != expected + 1:
            raise OSError("appended at version %d, expected was %d" % (answer["version"], expected))
        versions[stream] = answer["version"]
        self.resent_there += resent and status == 200
        self.resent_added += resent and status == 201
        self.acknowledged.append({"event_id": event_id, "stream": stream, "data": data,
                                  "version": answer["version"], "position": answer["position"]})

    def send_until_answered(self, stream, expected, body):
        """Status, answer, and whether an earlier attempt may have got through."""
        give_up = time.monotonic() + TIMEOUT_SECONDS
        resent = False
        while True:
            sent = False
            try:
                self.waiting = True
                self.connect()
                sent = True
                self.connection.request(
                    "POST", "/v1/streams/" + Api.quote(stream), body,
                    {"Content-Type": "application/json", "If-Match": '"%d"' % expected})
                answer = self.connection.getresponse()
                status, parsed = answer.status, json.loads(answer.read())
                if status != 503:  # 503: unknown or not now, so once more
                    self.waiting = False
                    return status, parsed, resent
                resent = True
            except (OSError, http.client.HTTPException, ValueError):
                self.close()
                resent = resent or sent
            if time.monotonic() > give_up:
                raise OSError("no answer for %d s" % TIMEOUT_SECONDS)
            time.sleep(0.02)

    def connect(self):
        if not self.connection:
            self.connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_SECONDS)
            self.connection.connect()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


class Subscriber(threading.Thread):
    """Follows events of one type live over server-sent events. After a break it goes on behind the last event
    that it saw (Last-Event-ID), as a browser would."""

    def __init__(self, address, first_position, event_type=RACE_TYPE):
        super().__init__(daemon=True)
        self.address, self.first_position = address, first_position
        self.event_type = event_type
        self.ids = []
        self.last_event_id = None
        self.connections = 0
        self.error = None
        self.ended = False
        self.changed = threading.Condition()

    def run(self):
        while not self.ended:
            try:
                self.follow()
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            except Exception as error:  # a bug, or an answer that is none
                self.error = error
                return

    def follow(self):
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_SECONDS * 2)
        try:
            headers = {"Accept": "text/event-stream"}
            if self.last_event_id:
                headers["Last-Event-ID"] = self.last_event_id
            connection.request("GET", "/v1/events?type=%s&from=%d"
                               % (self.event_type, self.first_position), headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError("subscription: %d %s" % (answer.status, answer.read()))
            self.connections += 1
            self.take(answer)
        finally:
            connection.close()

    def take(self, answer):
        """Messages are lines "id: …" and "data: …", ended by an empty one; one that a break cut off
        doesn't count."""
        fields = {}
        while not self.ended:
            line = answer.readline()
            if not line:
                raise OSError("the connection ended")
            name, _, value = line.decode().rstrip("\r\n").partition(": ")
            if name:
                fields[name] = value
                continue
            if "id" in fields:
                self.last_event_id = fields["id"]
            if "data" in fields:
                with self.changed:
                    self.ids.append(json.loads(fields["data"])["event_id"])
                    self.changed.notify_all()
            fields = {}

    def wait_for(self, count, seconds):
        with self.changed:
            self.changed.wait_for(lambda: len(self.ids) >= count or self.error, seconds)

    def stop(self):
        self.ended = True
