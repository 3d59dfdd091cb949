"""G13: damage of every kind in every place, then a start. Either it is refused with a message
that names segment and offset, or what is answered is right; nothing is deleted.

One data directory with several segments is made once; each trial works on a copy of it. A read of
damaged events is refused too (500, `corrupt`, naming the place), and what is around them is
answered.
"""
import hashlib
import json
import os
import shutil

import campaign as campaigns
import corrupt
import server as serving

import check_honest
from history import describe

WINDOW = 40


def digests(data, changing=()):
    """{path: digest} of the files that hold what was written; None where a start may write."""
    found = {}
    for directory, names, files in os.walk(data):
        names[:] = [name for name in names if name != "index"]
        for name in files:
            path = os.path.join(directory, name)
            key = os.path.relpath(path, data)
            if name.startswith("spare-") or name == "LOCK":
                continue
            with open(path, "rb") as file:
                made = hashlib.blake2b(file.read(), digest_size=8).hexdigest()
            found[key] = None if name in changing else made
    return found


def segments(data):
    shard = os.path.join(data, "shard-000")
    return sorted(os.path.join(shard, name) for name in os.listdir(shard) if name.endswith(".log"))


class Probe:
    """Reads everything in small windows: what is answered must be right, what is refused must say
    why."""

    def __init__(self, events):
        self.events = events
        self.missing, self.wrong, self.refusals, self.reads = [], [], [], 0

    def run(self, server):
        at = {event.position: event for event in self.events}
        start, last = 0, self.events[-1].position
        while start <= last:
            status, headers, body = server.ask(
                "/v1/events?system=true&from=%d&limit=%d" % (start, WINDOW), "application/x-ndjson")
            self.reads += 1
            if status != 200:
                self.refusals.append((status, body.decode("utf-8", "replace")))
                start += WINDOW
                continue
            told = [serving.note(line) for line in body.splitlines()]
            self.wrong += [e.id for e in told if at.get(e.position) not in (e, None)]
            after = int(headers["mainstem-next"]) if 'rel="next"' in headers.get("link", "") \
                else last + 1
            there = {event.position for event in told}
            self.missing += [event.id for event in self.events
                             if start <= event.position < after and event.position not in there]
            start = max(after, start + 1)
        return self


def unclear_refusals(probe, segment):
    """Reads that were refused without saying what is damaged, and where."""
    found = []
    for status, body in probe.refusals:
        problem = json.loads(body) if body.startswith("{") else {}
        clear = problem.get("type", "").endswith(":corrupt") and (
            segment is None or os.path.basename(segment) in problem.get("detail", "")) and any(
                word.isdigit() for word in problem.get("detail", "").replace(":", " ").split())
        if not clear:
            found.append("a read was refused with %d: %s" % (status, body[:300]))
    return found


def trial(counts, campaign, name, do, must, segment=None):
    """One damage on a copy of the campaign's directory. The campaign's server stays as it is."""
    data = campaign.server.data + ".damaged"
    shutil.copytree(campaign.server.data, data)
    do(data)
    newest = [os.path.basename(path) for path in segments(data)[-1:]]
    before = digests(data, newest)
    server = serving.Server(data)
    record = {"fault": name, "must": must, "before": before, "exit": None}
    problems = []
    try:
        server.start()
        probe = Probe(campaign.mirror.events).run(server)
        record.update(served=True, missing=probe.missing, wrong=probe.wrong)
        problems += unclear_refusals(probe, segment)
        if "refuse" in must and "serve" in must and segment and not probe.refusals and not \
                probe.missing:
            record["fault"] += " (not noticed by any read)"
    except serving.NotReady:
        record["exit"] = server.process.poll()
        record["names"] = [os.path.basename(segment)] if segment else []
    except (OSError, ValueError) as error:
        problems.append("%s: %s" % (type(error).__name__, error))
    finally:
        server.kill()
    record["said"] = server.said()
    record["after"] = digests(data, newest)
    problems += [describe(finding) for finding in check_honest.check(record)]
    problems += unlocated(record, segment)
    outcome = check_honest.outcome_of(record)
    counts.case("damage: " + name, problems, outcome)
    shutil.rmtree(data)


def unlocated(record, segment):
    """A refusal to start because of a segment also says where in it."""
    if segment is None or check_honest.outcome_of(record) != "refuse":
        return []
    words = record["said"].replace(",", " ").replace(":", " ").split()
    located = "byte" in words and words[words.index("byte") + 1].isdigit()
    return [] if located else ["the refusal names no offset: " + record["said"][-300:]]


def data_blocks(path):
    return [block for block in corrupt.blocks(path) if block[2] and not block[3] & corrupt.FOOTER]


def end_of(path):
    """Where the next block would go."""
    offset, length = corrupt.blocks(path)[-1][:2]
    return offset + (length + corrupt.BLOCK - 1) // corrupt.BLOCK * corrupt.BLOCK


def plan(campaign, rng, quick):
    """(name, what to do with a copy, what must happen, segment)."""
    data = campaign.server.data
    paths = segments(data)
    sealed, newest = paths[0], paths[-1]

    def on(path, action, *arguments):
        relative = os.path.relpath(path, data)
        return lambda copy: action(os.path.join(copy, relative), *arguments)

    blocks, last_blocks = data_blocks(sealed), data_blocks(newest)
    either = ["refuse", "serve"]
    inner = rng.choice(blocks[1:-1])
    active = rng.choice(last_blocks[:-1])
    final = last_blocks[-1]
    size = os.path.getsize(sealed)
    # Where, as bytes: a batch begins 176 bytes into its block.
    plans = [
        ("bit in a sealed segment's payload", on(sealed, corrupt.flip, inner[0] + 250),
         either, sealed),
        ("bit in an active segment's payload", on(newest, corrupt.flip, active[0] + 250),
         either, newest),
        ("bit in an active segment's block header", on(newest, corrupt.flip, active[0] + 90, 3),
         ["refuse"], newest),
        ("bit in the last block before a clean stop", on(newest, corrupt.flip, final[0] + 250),
         ["refuse"], newest),
        ("bytes behind the end, as a torn write leaves them",
         on(newest, corrupt.scribble, end_of(newest), 3000), ["serve"], None),
        ("an old block behind the end",
         on(newest, corrupt.copy, active[0], end_of(newest), 4096), ["serve"], None),
        ("another block's bytes in a sealed segment",
         on(sealed, corrupt.copy, blocks[0][0], inner[0], 4096), either, sealed),
        ("sealed segment deleted", on(paths[1], corrupt.delete), ["refuse"], None),
        ("newest segment deleted", on(newest, corrupt.delete), ["refuse"], None),
    ]
    if quick:
        return plans
    more = rng.choice(blocks[1:-1])
    return plans + [
        ("bit in a sealed segment's block header", on(sealed, corrupt.flip, more[0] + 60, 2),
         either, sealed),
        ("bit in a sealed segment's entry header", on(sealed, corrupt.flip, more[0] + 140, 2),
         either, sealed),
        ("bit in a sealed segment's first block", on(sealed, corrupt.flip, 20), either, sealed),
        ("bit in a sealed segment's trailer", on(sealed, corrupt.flip, size - 20), either, sealed),
        ("bit in a sealed segment's footer", on(sealed, corrupt.flip, size - 200), either, sealed),
        ("zeros in a sealed segment", on(sealed, corrupt.zero, more[0], 4096), either, sealed),
        ("zeros in an active segment", on(newest, corrupt.zero, active[0], 4096),
         ["refuse"], newest),
        ("another block's bytes in an active segment",
         on(newest, corrupt.copy, last_blocks[0][0], active[0], 4096), ["refuse"], newest),
        ("sealed segment cut in the middle", on(sealed, corrupt.truncate, inner[0] + 100),
         ["refuse"], sealed),
        ("active segment cut in the middle", on(newest, corrupt.truncate, active[0] + 100),
         ["refuse"], newest),
        ("active segment cut at a block", on(newest, corrupt.truncate, active[0]), ["refuse"],
         newest),
        ("first segment deleted", on(paths[0], corrupt.delete), ["refuse"], None),
        ("all segments deleted", lambda copy: [corrupt.delete(p) for p in segments(copy)],
         ["refuse"], None),
        ("file FORMAT deleted", lambda copy: corrupt.delete(os.path.join(copy, "FORMAT")), either,
         None),
        ("file FORMAT emptied", lambda copy: corrupt.truncate(os.path.join(copy, "FORMAT"), 0),
         ["refuse"], None),
        ("a file of the index damaged", damage_index, either, None),
        ("the index's list of files emptied", empty_index_manifest, either, None),
    ]


def index_files(data, start):
    index = os.path.join(data, "shard-000", "index")
    return sorted(os.path.join(index, name) for name in os.listdir(index)
                  if name.startswith(start) or name.endswith(start))


def damage_index(data):
    for path in index_files(data, ".sst"):
        corrupt.flip(path, os.path.getsize(path) // 2, 4)


def empty_index_manifest(data):
    for path in index_files(data, "MANIFEST"):
        corrupt.truncate(path, 0)


def run(counts, place, quick):
    campaign = campaigns.Campaign(place, counts.seed, "damage")
    try:
        campaign.start()
        for _ in range(40):  # until there are segments of every state
            campaign.drive(seconds=1, only="append,multi", clients=8, depth=8, no_readers=True)
            campaign.end_driver()
            paths = segments(campaign.server.data)
            if len(paths) >= 4 and len(data_blocks(paths[-1])) >= 3:
                break
        problems = campaign.verify()
        status = campaign.server.stop()
        if status != 0:
            problems.append("exit status %s" % status)
        counts.case("damage: the undamaged directory", problems, "%d events in %d segments" % (
            len(campaign.mirror.events), len(segments(campaign.server.data))))
        for name, do, must, segment in plan(campaign, campaign.rng, quick):
            trial(counts, campaign, name, do, must, segment)
    except Exception as error:
        counts.case("damage", ["%s: %s" % (type(error).__name__, error)])
    finally:
        campaign.stop()
