"""kill -9 of a server that keeps a read model, under load, again and again on one directory.

    tests/crash/run --only projections [--rounds N] [--seed S] [--quick]

Writers append over HTTP; some of their events can't be applied and are parked. After each kill the
SQLite file is opened as the kill has left it, a copy of it, and must hold what the log says up to
the checkpoint in it; after the restart the read model catches up and must hold what the whole log
says (tests/check/check_projection.py).
"""
import http.client
import json
import os
import random
import shutil
import sqlite3
import threading
import time

import server as serving

import check_projection

KEYS = 40
WRITERS = 4
PAGE = 5000
WAIT_SECONDS = 60


class Writer(threading.Thread):
    """Appends until told to stop; what a kill has cut off may be in the log or not."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.rng, self.over = server, random.Random(seed), threading.Event()
        self.sent = 0

    def post(self, connection):
        key = "k%d" % self.rng.randrange(KEYS)
        number = -1 if self.rng.random() < 0.001 else self.rng.randrange(1000)
        events = [{"event_type": "moved" if self.rng.random() < 0.9 else "looked",
                   "data": {"n": number}} for _ in range(self.rng.choice((1, 1, 3)))]
        connection.request("POST", "/v1/streams/account-" + key, json.dumps(events),
                           {"Content-Type": "application/json"})
        connection.getresponse().read()
        self.sent += 1

    def run(self):
        connection = http.client.HTTPConnection(self.server.address, timeout=20)
        try:
            while not self.over.is_set():
                self.post(connection)
        except (OSError, http.client.HTTPException):
            pass  # killed
        connection.close()


def call(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(server.address, timeout=WAIT_SECONDS + 5)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def read_log(server):
    """(position, key, type, n) of every event of the topic, and the position of the last."""
    events, at = [], 0
    while True:
        status, body = call(server, "GET", "/v1/events?topic=account&limit=%d&from=%d" % (PAGE, at))
        if status != 200:
            raise RuntimeError("reading the log: %d %s" % (status, body[:300]))
        page = json.loads(body)
        for event in page:
            events.append((event["position"], event["stream"].split("-", 1)[1],
                           event["event_type"], event["data"]["n"]))
        if not page:
            return events
        at = events[-1][0] + 1


def copy_tables(data, place, number):
    """The version that answers, as the kill has left it: checkpoint, rows, parked."""
    folder = os.path.join(data, "projections", "accounts")
    name = os.path.basename(os.readlink(os.path.join(folder, "current.db")))
    copy = os.path.join(place, "copy-%d" % number)
    os.makedirs(copy)
    for suffix in ("", "-wal"):
        path = os.path.join(folder, name + suffix)
        if os.path.exists(path):
            shutil.copy(path, os.path.join(copy, name + suffix))
    db = sqlite3.connect(os.path.join(copy, name))
    checkpoint, = db.execute("select position from mainstem_checkpoint").fetchone()
    rows = {name: (total, moves) for name, total, moves
            in db.execute("select name, total, moves from accounts")}
    parked = [position for position, in
              db.execute("select position from mainstem_parked order by position")]
    db.close()
    shutil.rmtree(copy)
    return checkpoint, rows, parked


def ask(server, query, position):
    rows, page = [], None
    while page is None or len(page) == PAGE:
        path = "/v1/queries/accounts/%s?min_position=%d&timeout=%ds&page_rows=%d&page_skip=%d" % (
            query, position, WAIT_SECONDS, PAGE, len(rows))
        status, body = call(server, "GET", path)
        if status != 200:
            raise RuntimeError("%s: %d %s" % (path, status, body[:500]))
        page = json.loads(body)
        rows += page
    return rows


def check_answers(server, events):
    last = events[-1][0] if events else 0
    rows = {row["name"]: (row["total"], row["moves"]) for row in ask(server, "all", last)}
    parked = [row["position"] for row in ask(server, "parked", last)]
    return check_projection.compare("after catching up", events, None, rows, parked)


def deploy(server):
    status, body = call(server, "PUT", "/v1/projections/accounts",
                        check_projection.FILE, {"Content-Type": "application/sql"})
    if status != 201:
        raise RuntimeError("deploying: %d %s" % (status, body))
    until = time.monotonic() + WAIT_SECONDS
    while '"role":"current"' not in call(server, "GET", "/v1/projections/accounts")[1]:
        if time.monotonic() > until:
            raise RuntimeError("the first version did not take over")
        time.sleep(0.01)


def one_kill(server, place, number, rng):
    writers = [Writer(server, rng.randrange(1 << 30)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    if rng.random() < 0.3:
        call(server, "POST", "/v1/projections/accounts/rebuild")
    time.sleep(rng.uniform(0.05, 1.2))
    server.kill()
    for writer in writers:
        writer.over.set()
        writer.join()
    checkpoint, rows, parked = copy_tables(server.data, place, number)
    server.start()
    events = read_log(server)
    problems = check_projection.compare("at the checkpoint %d" % checkpoint, events, checkpoint,
                                        rows, parked)
    return problems + check_answers(server, events), len(events), len(parked)


def run(counts, place, rounds):
    rng = random.Random(counts.seed)
    server = serving.Server(os.path.join(place, "projections-data"))
    try:
        server.start()
        deploy(server)
        for number in range(1, rounds + 1):
            problems, events, parked = one_kill(server, place, number, rng)
            counts.case("read model, kill -9, round %d" % number, problems,
                        "%d events, %d parked" % (events, parked))
    except Exception as error:  # an ended server is one failed case, not the end
        counts.case("read model, kill -9", ["%s: %s" % (type(error).__name__, error),
                                            server.said()[-1500:]])
    finally:
        server.kill()
