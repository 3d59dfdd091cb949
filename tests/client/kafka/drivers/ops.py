"""The loop of the drivers that are written in Python; ../driver.mjs says what is spoken."""
import base64
import json
import os
import select
import sys
import time


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


class Inbox:
    """Records that have come and were not taken yet; `poll` brings more."""

    def __init__(self, poll):
        self.poll = poll
        self.records = []

    def take(self, count, ms):
        deadline = time.monotonic() + ms / 1000
        while len(self.records) < count and time.monotonic() < deadline:
            self.poll(0.05)
        taken, self.records = self.records[:count], self.records[count:]
        return taken


def lines(idle):
    """The lines of standard input; between them `idle` is called, for clients that want polling."""
    rest = b""
    while True:
        while not select.select([0], [], [], 0.03)[0]:
            idle()
        data = os.read(0, 1 << 20)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def serve(ops, idle):
    for line in lines(idle):
        args = json.loads(line)
        number, op = args.pop("id"), args.pop("op")
        try:
            answer = {"id": number, "ok": ops[op](**args)}
        except Exception as error:  # pylint: disable=broad-except # whatever a client raises
            answer = {"id": number, "error": "%s: %s" % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)  # without the clients' farewells
