"""A server under test: started, asked, killed; and the log it tells, for the checkers.

Processes are stopped by the id they were started with. Everything is on loopback, on a port that
the system picked.
"""
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "check"))

import events  # noqa: E402
from history import event_of  # noqa: E402

READY_SECONDS = 30
# Small segments and small caches: rolling, sealing, flushing and cold reads happen all the time.
SMALL = ("--log-segment-bytes", "4MiB", "--limits-append-bytes-max", "2MiB",
         "--limits-event-bytes-max", "1MiB", "--log-tail-cache-bytes", "1MiB",
         "--index-overlay-entries-max", "1000", "--store-head-cache-entries", "1024")


def binary():
    return os.environ.get("MAINSTEM", os.path.join(ROOT, "build", "mainstem"))


class NotReady(Exception):
    """It ended before it served, or did not get that far in time."""


class Server:
    def __init__(self, data, flags=SMALL, prefix=()):
        """`prefix`: a command that runs the server, such as strace."""
        self.data, self.flags, self.prefix = data, list(flags), list(prefix)
        self.ready_path, self.log_path = data + ".ready", data + ".server-log"
        self.process, self.address, self.pid, self.start_ms = None, None, None, 0
        self.said_from = 0

    def launch(self):
        if os.path.exists(self.ready_path):
            os.unlink(self.ready_path)
        self.said_from = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        command = self.prefix + [binary(), "serve", "--data", self.data, "--http", "127.0.0.1:0",
                                 "--ready-file", self.ready_path] + self.flags
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        self.launched = time.monotonic()
        self.pid = self.process.pid

    def is_ready(self):
        try:
            with open(self.ready_path) as file:
                ready = json.load(file)
        except (FileNotFoundError, ValueError):
            return False
        self.address, self.pid = ready["http"], ready["pid"]
        return True

    def wait_ready(self, seconds=READY_SECONDS):
        while not self.is_ready():
            if self.process.poll() is not None:
                raise NotReady("it ended with %d: %s" % (self.process.returncode,
                                                         self.said()[-600:]))
            if time.monotonic() - self.launched > seconds:
                raise NotReady("not ready after %d s: %s" % (seconds, self.said()[-600:]))
            time.sleep(0.003)
        self.start_ms = (time.monotonic() - self.launched) * 1000
        return self

    def start(self):
        self.launch()
        return self.wait_ready()

    def said(self):
        """What it printed since it was launched."""
        with open(self.log_path, "rb") as log:
            log.seek(self.said_from)
            return log.read().decode("utf-8", "replace")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, at once: the server and, if there is one, what runs it (they are one group)."""
        if self.is_running():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            if self.prefix:  # only what runs it was waited for
                self.wait_unlocked()

    def wait_unlocked(self, seconds=20):
        """Until the server has ended as far as the next one is concerned."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                with open(os.path.join(self.data, "LOCK"), "rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
            except BlockingIOError:
                time.sleep(0.003)
            except OSError:
                return  # there is none

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds):
        """Exit status; None when it is still running."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self):
        """SIGTERM and the exit status; one that hangs is killed (None)."""
        if not self.is_running():
            return self.process.returncode
        self.terminate()
        status = self.wait(20)
        if status is None:
            self.kill()
        return status

    # ---- questions ----

    def ask(self, target, accept=None, method="GET", body=None, headers=(), timeout=20):
        """(status, headers, body)."""
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
        sent = dict(headers)
        if accept:
            sent["Accept"] = accept
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask_json(self, target):
        status, _, body = self.ask(target)
        if status != 200:
            raise RuntimeError("GET %s: %d %s" % (target, status, body[:300]))
        return json.loads(body)

    def info(self):
        return self.ask_json("/v1/info")

    def append(self, stream, body, headers=()):
        status, _, answer = self.ask("/v1/streams/" + urllib.parse.quote(stream, safe=""),
                                     method="POST", body=body, timeout=30,
                                     headers=dict([("Content-Type", "application/json")], **dict(
                                         headers)))
        return status, answer

    def pages(self, target, start=0):
        """All lines of a paged read, from `start` on."""
        join = "&" if "?" in target else "?"
        while True:
            status, headers, body = self.ask("%s%sfrom=%d&limit=10000" % (target, join, start),
                                             "application/x-ndjson")
            if status != 200:
                raise RuntimeError("GET %s from %d: %d %s" % (target, start, status, body[:300]))
            yield from body.splitlines()
            if 'rel="next"' not in headers.get("link", ""):
                return
            start = int(headers["mainstem-next"])

    def tell_log(self, start=0):
        """Every event from a position on, as the checkers want it."""
        return [note(line) for line in self.pages("/v1/events?system=true", start)]


def is_system(topic):
    """Topics of the server's own; $streams holds users' streams whose names have no topic."""
    return topic.startswith("$") and topic != "$streams"


def note(line):
    event, data, digest = events.read_line(line)
    system = is_system(event["topic"])
    return event_of({
        "position": event["position"], "stream": event["stream"], "version": event["version"],
        "id": event["event_id"], "digest": digest, "type": event["event_type"],
        "tags": event.get("tags", ()), "system": system,
        "data": data.decode("utf-8", "replace") if system and data is not None else None})


class Mirror:
    """What the log was last time, and what it is now: events never change and never go away."""

    def __init__(self, rng):
        self.rng, self.events, self.trouble = rng, [], []

    def refresh(self, server, everything=False):
        """Reads what is new, and some of what was there before (or all of it)."""
        known = len(self.events)
        start = 0 if everything or not known else self.events[max(0, known - 50)].position
        self.compare(server.tell_log(start))
        for _ in range(0 if everything or known < 300 else 3):
            at = self.rng.randrange(known - 200)
            first = self.events[at].position
            status, _, body = server.ask("/v1/events?system=true&from=%d&limit=200" % first,
                                         "application/x-ndjson")
            if status != 200:
                self.trouble.append("events from %d: %d %s" % (first, status, body[:300]))
            self.compare([note(line) for line in body.splitlines()], partial=True)
        return self.events

    def compare(self, told, partial=False):
        at = {event.position: event for event in self.events}
        for event in told:
            if event.position in at and at[event.position] != event:
                self.trouble.append("position %d was %s and is %s" % (
                    event.position, at[event.position], event))
        if partial:
            return
        first = told[0].position if told else 0
        there = {event.position for event in told}
        gone = [event.position for event in self.events
                if event.position >= first and event.position not in there]
        if gone:
            self.trouble.append("events that were read are gone: positions %s" % gone[:10])
        self.events += [event for event in told if event.position not in at]
        self.events.sort(key=lambda event: event.position)
