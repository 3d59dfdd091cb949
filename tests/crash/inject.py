"""System calls that fail, on the binary as it is shipped: strace makes the k-th write, sync or
rename of the server fail, or kills it there.

A failed write or sync of the log is final: nothing is acknowledged after it, those who wait are
told "unknown", the process ends with a status that is not 0 and says why; the next start has
everything that was acknowledged. A kill at a system call of the start is a crash during recovery,
one for each step.
"""
import time

import campaign as campaigns
import server as serving

import check_honest
from history import describe

WRITES = "pwritev,pwrite64"
SYNCS = "fdatasync,fsync"
STEPS = ("pwritev", "fdatasync", "fsync", "rename", "ftruncate", "unlink", "mkdir")
STEPS_MAX = 15  # calls of one kind
END_SECONDS = 15


def strace(*inject):
    command = ["strace", "-f", "-qq", "-o", "/dev/null"]
    if not any("signal=" in one for one in inject):  # which the short cut would lose
        command.append("--seccomp-bpf")
    calls = ",".join(sorted({call for one in inject for call in one.split(":")[0].split(",")}))
    command += ["-e", "trace=" + calls]
    for one in inject:
        command += ["-e", "inject=" + one]
    return command


def acknowledged_after(campaign, known):
    """Appends that were answered by a server whose log had stopped (it says so when it happens)."""
    stopped = [when for when, what in campaign.history.notes if what == "stopped"]
    if not stopped:
        return 0
    return sum(1 for op in campaign.history.ops[known:]
               if op.appends and op.fresh and op.t_invoke > stopped[-1])


def fail_under_load(counts, campaign, name, inject, must, flags=()):
    """Load against a server with a failing disk; then a start without, and the checkers."""
    server, known = campaign.server, len(campaign.history.ops)
    flags_before = server.flags
    server.prefix, server.flags = strace(inject), flags_before + list(flags)
    record = {"fault": name, "must": must, "exit": None, "served_before": True}
    problems = []
    try:
        try:
            server.start()
            campaign.drive(seconds=6, going=False, clients=4)
            record["exit"] = server.wait(END_SECONDS)
            campaign.note("stopped")
            record["said"] = server.said()
            record["served"] = record["exit"] is None and server.ask("/healthz")[0] == 200
            campaign.end_driver(stop=record["exit"] is None)
        except serving.NotReady:
            record.update(exit=server.process.poll(), said=server.said(), served_before=False)
            if "refuse" not in must:
                record["must"] = must + ["refuse"]  # it failed while starting: no load yet
    finally:
        server.kill()
        server.prefix, server.flags = [], flags_before
    campaign.start()
    problems += campaign.verify()
    record["accepted"] = acknowledged_after(campaign, known)
    problems += [describe(finding) for finding in check_honest.check(record)]
    counts.case("inject: " + name, problems, "%s, exit %s" % (
        check_honest.outcome_of(record), record["exit"]))


def kill_at_each(counts, campaign, call, most):
    """SIGKILL at the first, second … of these system calls of a start, until one gets through."""
    server, problems, ended = campaign.server, [], 0
    campaign.drive(seconds=5, clients=4)
    time.sleep(campaign.rng.random() * 0.2)
    campaign.kill()
    campaign.end_driver()
    for step in range(1, most + 1):
        server.prefix = strace("%s:signal=KILL:when=%d" % (call, step))
        server.launch()
        try:
            server.wait_ready()
            server.kill()
            break
        except serving.NotReady:
            ended += 1
            server.kill()
    server.prefix = []
    try:
        campaign.start()
        problems += campaign.verify()
    except serving.NotReady as error:
        problems.append(str(error))
    counts.case("inject: SIGKILL at each %s of a start" % call, problems,
                "%d starts ended there" % ended)


def plans(rng, quick):
    """(name, injection, what must happen, flags). A write may also be the preparation of space,
    whose failure refuses appends and nothing else."""
    k = rng.randint(20, 60)
    buffered = ("--log-write", "buffered")
    stop = ["stop"]
    some = [
        ("EIO on write %d" % k, "%s:error=EIO:when=%d+" % (WRITES, k), stop, ()),
        ("EIO on sync %d, buffered" % k, "%s:error=EIO:when=%d" % (SYNCS, k), stop, buffered),
    ]
    if quick:
        return some
    return some + [
        ("EIO once, on write %d" % (k + 5), "%s:error=EIO:when=%d" % (WRITES, k + 5),
         ["stop", "serve", "507"], ()),
        ("EIO on every sync from %d, buffered" % k, "%s:error=EIO:when=%d+" % (SYNCS, k), stop,
         buffered),
        ("ENOSPC on write %d" % k, "%s:error=ENOSPC:when=%d+" % (WRITES, k), stop, ()),
        ("EINTR on every fifth write", "%s:error=EINTR:when=5+5" % WRITES, ["serve"], ()),
        ("EIO on renames", "rename,renameat2:error=EIO:when=8+", ["stop", "serve", "507"], ()),
        ("EIO on reads", "pread64,preadv,preadv2:error=EIO:when=30+7", ["stop", "serve"], ()),
        ("out of memory", "mmap,brk:error=ENOMEM:when=400+", ["stop", "serve"], ()),
    ]


def run(counts, place, quick):
    reason = campaigns.can_trace()
    if reason:
        counts.skip("inject", reason, 5 if quick else 17)
        return
    campaign = campaigns.Campaign(place, counts.seed, "inject")
    try:
        campaign.start()
        campaign.drive(seconds=1, clients=4)
        campaign.end_driver()
        campaign.server.stop()
        for name, inject, must, flags in plans(campaign.rng, quick):
            fail_under_load(counts, campaign, name, inject, must, flags)
            campaign.server.stop()
        campaign.start()
        for call in STEPS[:2] if quick else STEPS:
            kill_at_each(counts, campaign, call, 3 if quick else STEPS_MAX)
        counts.case("inject: everything, read back and checked", campaign.settle(),
                    campaign.recovery_summary())
    except Exception as error:
        counts.case("inject", ["%s: %s" % (type(error).__name__, error)])
    finally:
        campaign.stop()
