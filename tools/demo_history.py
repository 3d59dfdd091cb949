"""Real histories for tools/demo, as events that `mainstem import` takes.

In this order, the first that there is:

    git        the repository's log, when it has at least 200 commits: a stream per file, an event
               per change
    changelog  the dated changelogs of the machine's Debian packages: a stream per package, an event
               per version
    dpkg       what dpkg did on this machine: a stream per package, an event per step
    generated  made up from a fixed seed, and said to be

Every event has an id that follows from what it tells, so importing it again adds nothing. What
can't be used (an entry without a readable date …) is left out and counted.
"""
import datetime
import email.utils
import glob
import gzip
import os
import random
import re
import subprocess

COMMITS_MIN = 200
EVENTS_MAX = 100_000
GENERATED_EVENTS = 20_000
TEXT_MAX = 2000  # characters of one change that are kept
UTC = datetime.timezone.utc


class History:
    def __init__(self, name, sentence, topic, events, left_out):
        self.name, self.sentence, self.topic = name, sentence, topic
        # Stable: what happened in the same second stays in the order in which it was told.
        self.events = sorted(events, key=lambda event: event["timestamp"])[-EVENTS_MAX:]
        self.left_out = left_out
        self.left_out_early = max(0, len(events) - EVENTS_MAX)

    def streams(self):
        """Stream name -> its events in order."""
        streams = {}
        for event in self.events:
            streams.setdefault(event["stream"], []).append(event)
        return streams


def timestamp(moment):
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def printable(text):
    """What is not plain is percent-escaped, as the server itself does it in streams' names."""
    return "".join(char if char.isprintable() and char != "%" else
                   "".join("%%%02X" % byte for byte in char.encode("utf-8", "replace"))
                   for char in text)


def stream_name(topic, key):
    return "%s-%s" % (topic, printable(key))


# ---- git ---------------------------------------------------------------------------------------

GIT_CHANGES = {"A": "file.added", "M": "file.changed", "D": "file.deleted", "T": "file.retyped"}


def git_lines(repository, *arguments):
    return subprocess.run(["git", "-C", repository, *arguments], check=True, text=True,
                          errors="replace", stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def git_history(repository):
    try:
        commits = int(git_lines(repository, "rev-list", "--count", "HEAD"))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    if commits < COMMITS_MIN:
        return None
    log = git_lines(repository, "log", "--reverse", "--no-renames", "--name-status", "-z",
                    "--format=%x01%H%x02%cI%x02%an%x02%s")
    events, left_out = [], 0
    for commit in log.split("\x01")[1:]:
        header, *changes = commit.split("\0")
        commit_id, committed, author, subject = header.split("\x02", 3)
        moment = timestamp(datetime.datetime.fromisoformat(committed))
        changes = [field.lstrip("\n") for field in changes if field.strip("\n")]
        for kind, path in zip(changes[::2], changes[1::2]):
            stream = stream_name("file", path)
            if len(stream.encode()) > 512 or kind not in GIT_CHANGES:
                left_out += 1
                continue
            events.append({
                "stream": stream, "event_id": "%s:%s" % (commit_id[:16], printable(path)[-400:]),
                "event_type": GIT_CHANGES[kind], "timestamp": moment,
                "source": "git", "correlation_id": commit_id,
                "data": {"path": path, "commit": commit_id, "author": author,
                         "subject": subject[:TEXT_MAX]}})
    sentence = "the log of this repository, %d commits: a stream per file, an event per change" \
        % commits
    return History("git", sentence, "file", events, left_out)


# ---- Debian's changelogs -----------------------------------------------------------------------

CHANGELOG_HEAD = re.compile(r"^(\S+) \(([^)]+)\) ?([^;]*);(.*)$")
CHANGELOG_END = re.compile(r"^ -- (.*?) <[^>]*>  ?(.*)$")


def changelog_files():
    """Package -> file; packages that share a file through a link are one."""
    seen = set()
    for path in sorted(glob.glob("/usr/share/doc/*/changelog.Debian.gz")):
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            yield os.path.basename(os.path.dirname(path)), real


def changelog_entries(path):
    """Pairs of a head line's match and its end line's match, with the changes between them."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        head, changes = None, []
        for line in file:
            line = line.rstrip()
            found = CHANGELOG_HEAD.match(line)
            if found:
                head, changes = found, []
            elif line.startswith(" -- ") and head:
                yield head, CHANGELOG_END.match(line), changes
                head = None
            elif line.strip():
                changes.append(line.strip())


def changelog_event(package, head, end, changes):
    """None where the date can't be read, as in some entries of the nineties."""
    try:
        moment = timestamp(email.utils.parsedate_to_datetime(end.group(2)))
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None
    text = "\n".join(changes)
    bugs = [int(bug) for closing in re.findall(r"closes:?[\s#\d,]+", text, re.IGNORECASE)
            for bug in re.findall(r"\d{3,8}", closing)]
    urgency = re.search(r"urgency=(\w+)", head.group(4))
    return {
        "stream": stream_name("package", package),
        "event_id": "%s:%s:%s" % (package, head.group(2), moment),
        "event_type": "package.released", "timestamp": moment, "source": "changelog.Debian",
        "data": {"source_package": head.group(1), "version": head.group(2),
                 "distribution": head.group(3).strip(), "maintainer": end.group(1).strip(),
                 "urgency": urgency.group(1).lower() if urgency else None,
                 "closes": bugs, "changes": text[:TEXT_MAX]}}


def changelog_history():
    events, left_out, ids = [], 0, set()
    for package, path in changelog_files():
        try:
            told = list(changelog_entries(path))
        except (OSError, EOFError):
            left_out += 1
            continue
        for head, end, changes in reversed(told):  # the newest stands first in the file
            event = changelog_event(package, head, end, changes)
            if event is None or event["event_id"] in ids:
                left_out += 1
                continue
            ids.add(event["event_id"])
            events.append(event)
    if not events:
        return None
    sentence = "the changelogs of the Debian packages on this machine: a stream per package, an " \
        "event per version"
    return History("changelog", sentence, "package", events, left_out)


# ---- dpkg.log ----------------------------------------------------------------------------------

DPKG_LINE = re.compile(r"^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (install|upgrade|remove|purge|"
                       r"configure|trigproc) (\S+?)(?::\w+)? (\S+) (\S+)$")


def dpkg_history():
    events, left_out = [], 0
    for path in sorted(glob.glob("/var/log/dpkg.log*"), reverse=True):
        try:
            opener = gzip.open if path.endswith(".gz") else open
            with opener(path, "rt", encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except (OSError, EOFError):
            left_out += 1
            continue
        for number, line in enumerate(lines):
            found = DPKG_LINE.match(line)
            if not found:  # states on the way and starts of dpkg are no steps of a package
                left_out += line[20:26] not in ("status", "startu")
                continue
            day, clock, action, package, before, after = found.groups()
            events.append({
                "stream": stream_name("package", package),
                "event_id": "%s:%d" % (os.path.basename(path), number),
                "event_type": "package.%s" % action, "timestamp": "%sT%sZ" % (day, clock),
                "source": "dpkg", "data": {"before": before, "after": after}})
    if not events:
        return None
    return History("dpkg", "what dpkg did on this machine: a stream per package, an event per step",
                   "package", events, left_out)


# ---- generated ---------------------------------------------------------------------------------

GENERATED_SEED = 20260101
GENERATED_STEPS = ("order.created", "order.paid", "order.packed", "order.shipped",
                   "order.delivered")


def generated_history():
    chance = random.Random(GENERATED_SEED)
    moment = datetime.datetime(2020, 1, 1, tzinfo=UTC)
    steps, events = {}, []
    while len(events) < GENERATED_EVENTS:
        moment += datetime.timedelta(seconds=chance.randint(1, 7200))
        order = "%05d" % min(chance.randrange(1, 6000), chance.randrange(1, 6000))
        step = steps.get(order, 0)
        steps[order] = step + 1
        kind = GENERATED_STEPS[step] if step < len(GENERATED_STEPS) else "order.remarked"
        events.append({
            "stream": stream_name("order", order), "event_id": "order-%s:%d" % (order, step),
            "event_type": kind, "timestamp": timestamp(moment), "source": "generator",
            "data": {"amount_cents": chance.randrange(100, 100_000), "step": step}})
    sentence = "MADE UP from the seed %d, as on machines without any real history" % GENERATED_SEED
    return History("generated", sentence, "order", events, 0)


SOURCES = {"git": git_history, "changelog": lambda _: changelog_history(),
           "dpkg": lambda _: dpkg_history(), "generated": lambda _: generated_history()}


def find(repository, wanted=None):
    """The first history there is, or the wanted one; None when that one is not there."""
    for name, read in SOURCES.items():
        if wanted in (None, name):
            history = read(repository)
            if history and (wanted or history.events):
                return history
    return None
