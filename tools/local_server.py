"""A Mainstem server of one's own, for the demo, the documentation's commands and the examples.

It listens on loopback, on a port that the system picks, over a data directory that the caller gives.
Processes are ended by the id they were started with, never by name.
"""
import json
import os
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.path.join(ROOT, "build", "mainstem")
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30


class ServerError(Exception):
    """The server did not start, or did not stop as it should. The message says what it wrote."""


def command_environment(address=None):
    """The environment in which `mainstem` is this tree's, and works with this server."""
    directory = os.path.dirname(BINARY)
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("MAINSTEM_")}
    environment["PATH"] = directory + os.pathsep + environment.get("PATH", "")
    if address:
        environment["MAINSTEM_SERVER"] = "http://" + address
    return environment


class Server:
    """One data directory, served by one process at a time."""

    def __init__(self, directory, options=()):
        self.options = list(options)
        self.data = os.path.join(directory, "data")
        self.log_path = os.path.join(directory, "server.log")
        self.ready_path = os.path.join(directory, "ready.json")
        self.address = None  # "127.0.0.1:PORT", kept over a restart
        self.addresses = {}
        self.process = None

    def start(self):
        """Returns the seconds until it served."""
        if os.path.exists(self.ready_path):
            os.remove(self.ready_path)
        began = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--data", self.data, "--http", self.address or "127.0.0.1:0",
                 "--ready-file", self.ready_path, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=command_environment(),
                start_new_session=True)
        while not os.path.exists(self.ready_path):
            if self.process.poll() is not None:
                raise ServerError("the server ended with status %d at its start:\n%s"
                                  % (self.process.returncode, self.log_tail()))
            if time.monotonic() - began > START_SECONDS_MAX:
                self.kill()
                raise ServerError("the server did not start within %d s:\n%s"
                                  % (START_SECONDS_MAX, self.log_tail()))
            time.sleep(0.005)
        with open(self.ready_path, encoding="utf-8") as file:
            self.addresses = json.load(file)  # of each protocol
        self.address = self.addresses["http"]
        return time.monotonic() - began

    def stop(self):
        """A graceful stop. Returns the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError("the server did not stop within %d s of SIGTERM:\n%s"
                              % (STOP_SECONDS_MAX, self.log_tail())) from None
        self.process = None
        if status != 0:
            raise ServerError("the server stopped with status %d:\n%s" % (status, self.log_tail()))
        return time.monotonic() - began

    def kill(self):
        """kill -9, without a word of warning. Nothing happens when it isn't running."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log_tail(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-20:])
