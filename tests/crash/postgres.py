"""A PostgreSQL server under test: made in a directory of its own, killed, started again, asked.

It listens on an abstract socket, so there is no port that could be somebody else's, and runs as
another user when we are root, as it demands. Processes are ended by their ids.
"""
import glob
import json
import os
import pwd
import signal
import subprocess
import time

START_SECONDS = 60


def binaries():
    """The newest installation's; None when there is none."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return os.path.dirname(found[-1]) if found else None


def somebody():
    """Whom it runs as, for subprocess; nothing to change when we are not root."""
    if os.geteuid() != 0:
        return {}
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def children_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def is_there(pid):
    """Running; a process that has ended and was not waited for is not."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Postgres:
    def __init__(self, directory):
        self.directory, self.binaries, self.process = directory, binaries(), None
        self.log_path = os.path.join(directory, "log")
        self.socket = "@mainstem-crash-%d-%s" % (os.getpid(), os.path.basename(directory))
        self.conninfo = "host=%s port=5432 user=crash dbname=postgres" % self.socket
        os.makedirs(directory)
        if somebody():
            os.chown(directory, somebody()["user"], somebody()["group"])
        self.run("initdb", "-D", "data", "-A", "trust", "-U", "crash", "-E", "UTF8",
                 "--locale=C", "--no-sync")

    def run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.binaries, program)] + list(arguments),
                              cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, **somebody())
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (program, (done.stdout + done.stderr)[-800:]))
        return done.stdout

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.binaries, "postgres"), "-D", "data", "-c", "listen_addresses=",
                 "-c", "unix_socket_directories=" + self.socket, "-c", "max_wal_size=1GB"],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **somebody())

    def is_ready(self):
        return subprocess.run([os.path.join(self.binaries, "pg_isready"), "-q", "-d",
                               self.conninfo], capture_output=True).returncode == 0

    def start(self):
        """Until it answers. What a kill has left may hold it up for a moment."""
        until = time.monotonic() + START_SECONDS
        self.launch()
        while not self.is_ready():
            if time.monotonic() > until:
                self.kill()
                raise RuntimeError("PostgreSQL did not start: " + self.said()[-800:])
            if self.process.poll() is not None:
                self.launch()
            time.sleep(0.02)

    def kill(self):
        """SIGKILL to the postmaster and to all that it has started, until they are gone."""
        if self.process is None or self.process.poll() is not None:
            return
        mine = [self.process.pid] + children_of(self.process.pid)
        for pid in mine:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.wait_gone(mine)

    def stop_at_once(self):
        """What it calls an immediate shutdown: it recovers at the next start."""
        mine = children_of(self.process.pid)
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        self.wait_gone(mine)

    def wait_gone(self, pids):
        until = time.monotonic() + START_SECONDS
        while any(is_there(pid) for pid in pids) and time.monotonic() < until:
            time.sleep(0.005)

    def said(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def ask(self, sql):
        """The one value of a statement's answer, as JSON."""
        return json.loads(self.run("psql", "-X", "-A", "-t", "-q", "-d", self.conninfo, "-c", sql))
