"""kill -9 of a server that keeps a read model, under load, again and again on one directory.

    tests/crash/run --only projections [--rounds N] [--seed S] [--quick]

Writers append over HTTP; some of their events can't be applied and are parked. After each kill the
tables are read as the kill has left them, and must hold what the log says up to the checkpoint in
them; after the restart the read model catches up and must hold what the whole log says
(tests/check/check_projection.py).

    SQLite       the server is killed; a copy of the file is opened
    PostgreSQL   the server is killed, or PostgreSQL (by SIGKILL of all its processes, or told to
                 stop at once), or both; the tables of all versions are read, also of those that
                 are being filled
"""
import http.client
import json
import os
import random
import shutil
import sqlite3
import threading
import time

import postgres
import server as serving

import check_projection

KEYS = 40
NEW_KEYS = 10  # in each round, since those of earlier ones are blocked sooner or later
WRITERS = 4
PAGE = 5000
WAIT_SECONDS = 60


class Writer(threading.Thread):
    """Appends until told to stop; what a kill has cut off may be in the log or not."""

    def __init__(self, server, seed, first_key):
        super().__init__(daemon=True)
        self.first_key = first_key
        self.server, self.rng, self.over = server, random.Random(seed), threading.Event()
        self.sent = 0

    def post(self, connection):
        key = "k%d" % (self.first_key + self.rng.randrange(KEYS))
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


class SqliteTables:
    """Of the version that answers, in a copy of its file."""

    kills = ("kill -9",)
    file = check_projection.FILE

    def __init__(self, server, place):
        self.server, self.place, self.copies = server, place, 0

    def kill(self, how):
        self.server.kill()

    def revive(self):
        self.server.start()

    def stop(self):
        self.server.kill()

    def read(self):
        """[(which, checkpoint, rows, parked)]"""
        folder = os.path.join(self.server.data, "projections", "accounts")
        name = os.path.basename(os.readlink(os.path.join(folder, "current.db")))
        self.copies += 1
        copy = os.path.join(self.place, "copy-%d" % self.copies)
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
        return [(name, checkpoint, rows, parked)]


class PostgresTables:
    """Of all versions, each in a schema of its own."""

    kills = ("kill -9 of the server", "kill -9 of PostgreSQL", "kill -9 of both",
             "immediate stop of PostgreSQL")
    file = "-- target: postgres\n" + check_projection.FILE
    schemas = "select coalesce(json_agg(schemaname), '[]') from pg_tables" \
        " where tablename = 'mainstem_checkpoint'"
    tables = "select json_build_array((select position from {0}.mainstem_checkpoint)," \
        " (select coalesce(json_agg(json_build_array(name, total, moves)), '[]')" \
        " from {0}.accounts)," \
        " (select coalesce(json_agg(position order by position), '[]')" \
        " from {0}.mainstem_parked))"  # one statement, so one state of all three

    def __init__(self, server, place):
        self.server = server
        self.database = postgres.Postgres(os.path.join(place, "postgres"))
        self.database.start()
        server.flags += ["--projections-postgres", self.database.conninfo]

    def kill(self, how):
        if how in ("kill -9 of the server", "kill -9 of both"):
            self.server.kill()
        if how in ("kill -9 of PostgreSQL", "kill -9 of both"):
            self.database.kill()
        if how == "immediate stop of PostgreSQL":
            self.database.stop_at_once()

    def revive(self):
        if not self.server.is_running():
            self.server.start()

    def stop(self):
        self.server.kill()
        self.database.kill()

    def read(self):
        if self.database.process.poll() is not None:
            self.database.start()
        found = []
        for schema in self.database.ask(self.schemas):
            try:
                checkpoint, rows, parked = self.database.ask(self.tables.format('"%s"' % schema))
            except RuntimeError:
                if schema in self.database.ask(self.schemas):
                    raise
                continue  # a running server has removed it
            found.append((schema, checkpoint, {name: (total, moves)
                                               for name, total, moves in rows}, parked))
        return found


def answer_to(server, path):
    """Asked again while the tables' database is away, which is 503."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        status, body = call(server, "GET", path)
        if status == 200:
            return json.loads(body)
        if status != 503 or time.monotonic() > until:
            raise RuntimeError("%s: %d %s" % (path, status, body[:500]))
        time.sleep(0.05)


def ask(server, query, position):
    rows, page = [], None
    while page is None or len(page) == PAGE:
        path = "/v1/queries/accounts/%s?min_position=%d&timeout=%ds&page_rows=%d&page_skip=%d" % (
            query, position, WAIT_SECONDS, PAGE, len(rows))
        page = answer_to(server, path)
        rows += page
    return rows


def check_answers(server, events):
    last = events[-1][0] if events else 0
    rows = {row["name"]: (row["total"], row["moves"]) for row in ask(server, "all", last)}
    parked = [row["position"] for row in ask(server, "parked", last)]
    return check_projection.compare("after catching up", events, None, rows, parked)


def deploy(server, file):
    status, body = call(server, "PUT", "/v1/projections/accounts", file,
                        {"Content-Type": "application/sql"})
    if status != 201:
        raise RuntimeError("deploying: %d %s" % (status, body))
    until = time.monotonic() + WAIT_SECONDS
    while '"role":"current"' not in call(server, "GET", "/v1/projections/accounts")[1]:
        if time.monotonic() > until:
            raise RuntimeError("the first version did not take over")
        time.sleep(0.01)


def one_kill(server, tables, number, rng):
    """(problems, what there was)."""
    how = tables.kills[number % len(tables.kills)]
    writers = [Writer(server, rng.randrange(1 << 30), number * NEW_KEYS) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    if rng.random() < 0.3:
        call(server, "POST", "/v1/projections/accounts/rebuild")
    time.sleep(rng.uniform(0.05, 1.2))
    tables.kill(how)
    left = tables.read()
    for writer in writers:  # of a server that lives on they have gone on until here
        writer.over.set()
        writer.join()
    tables.revive()
    events = read_log(server)
    problems = [] if left else ["no tables are there"]
    for which, checkpoint, rows, parked in left:
        problems += check_projection.compare("%s at its checkpoint %d" % (which, checkpoint),
                                             events, checkpoint, rows, parked)
    problems += check_answers(server, events)
    return problems, "%d events, %d versions, %d parked" % (
        len(events), len(left), max(len(parked) for _, _, _, parked in left) if left else 0)


def run_on(kind, name, counts, place, rounds):
    rng = random.Random("%s/%d" % (name, counts.seed))
    server = serving.Server(os.path.join(place, "projections-" + name))
    tables = None
    try:
        tables = kind(server, place)
        server.start()
        deploy(server, tables.file)
        for number in range(rounds):
            problems, note = one_kill(server, tables, number, rng)
            counts.case("read model in %s, round %d, %s" % (
                name, number + 1, tables.kills[number % len(tables.kills)]), problems, note)
    except Exception as error:  # an ended server is one failed case, not the end
        counts.case("read model in %s" % name, [
            "%s: %s" % (type(error).__name__, error),
            server.said()[-1500:] if server.process else ""])
    finally:
        if tables:
            tables.stop()


def run(counts, place, rounds):
    run_on(SqliteTables, "SQLite", counts, place, rounds)
    if postgres.binaries() is None:
        counts.skip("read model in PostgreSQL, kills", "PostgreSQL is not installed", rounds)
        return
    os.chmod(place, 0o711)  # PostgreSQL is another user, and has a directory in it
    run_on(PostgresTables, "PostgreSQL", counts, place, rounds)
