"""kill -9 under load, again and again on one directory: while writing, while recovering, with a
slow disk; SIGTERM under load; SIGSTOP for a while."""
import os
import signal
import time

import campaign as campaigns
import derived

# A disk that takes its time keeps much in flight: what is acknowledged too early gets lost.
SLOW_DISK = ("strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf",
             "-e", "trace=pwritev,fdatasync", "-e", "inject=pwritev,fdatasync:delay_enter=%d")


def kill_while_recovering(campaign):
    """Starts that do not get to the end."""
    for _ in range(campaign.rng.choice((1, 1, 2, 3))):
        typical = campaign.recoveries[-1][1] if campaign.recoveries else 50
        campaign.server.launch()
        time.sleep(campaign.rng.random() * typical * 1.1 / 1000)
        campaign.kill()


def one_kill(campaign, slow):
    """Load, SIGKILL, perhaps more of that during recovery; then the verification."""
    server, rng = campaign.server, campaign.rng
    if slow:
        server.stop()
        server.prefix = [word.replace("%d", str(rng.choice((2_000, 8_000, 25_000))))
                         for word in SLOW_DISK]
        campaign.start()
    campaign.drive(clients=rng.choice((2, 6, 12)), depth=rng.choice((1, 2, 4)))
    time.sleep(rng.randint(1, 500) / 1000)
    if rng.random() < 0.1:
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(0.05)
        os.kill(server.pid, signal.SIGCONT)
    campaign.kill()
    server.prefix = []
    campaign.end_driver()
    if rng.random() < 0.4:
        kill_while_recovering(campaign)
    campaign.start()
    return campaign.verify()


def graceful(campaign):
    """SIGTERM under load: it ends by itself, soon, and the next start has nothing to repair."""
    campaign.drive(clients=8)
    time.sleep(0.2)
    campaign.note("SIGTERM")
    began = time.monotonic()
    status = campaign.server.stop()
    took = time.monotonic() - began
    campaign.end_driver()
    problems = []
    if status != 0:
        problems.append("exit status %s: %s" % (status, campaign.server.said()[-500:]))
    if took > 5:
        problems.append("took %.1f s" % took)
    campaign.start()
    if campaign.recoveries[-1][3]:
        problems.append("a torn tail after a graceful stop")
    return problems + campaign.verify(), took


def run(counts, place, rounds):
    campaign = campaigns.Campaign(place, counts.seed, "kill")
    may_trace = campaigns.can_trace()
    if may_trace:
        counts.skip("kill -9 with a slow disk", may_trace, rounds // 4)
    try:
        campaign.start()
        for number in range(1, rounds + 1):
            slow = number % 4 == 3
            if slow and may_trace:
                continue
            problems = one_kill(campaign, slow)
            counts.case("kill -9, round %d%s" % (number, ", slow disk" if slow else ""), problems,
                        campaign.recovery_note())
            if number % 10 == 5:
                derived.case(counts, campaign, "G12 after round %d" % number)
        problems, took = graceful(campaign)
        counts.case("SIGTERM under load", problems, "stopped after %.0f ms" % (took * 1000))
        counts.case("everything, read back and checked", campaign.settle(), "%d operations, %s" % (
            len(campaign.history.ops), campaign.recovery_summary()))
    except Exception as error:  # an ended server or driver is one failed case, not the end
        counts.case("kill -9, after round %d" % campaign.round, ["%s: %s" % (
            type(error).__name__, error), campaign.server.said()[-1500:]])
    finally:
        campaign.stop()
