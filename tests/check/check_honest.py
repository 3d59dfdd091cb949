"""G13 honest failure: after damage, a full disk or a failed sync there is a refusal or a stop
with a clear message, or the right answer; never a wrong one, and nothing is deleted.

A trial is what somebody did to a server, and what came of it:

    fault         for people
    must          what has to happen, any of: "refuse" (does not start), "serve" (starts and
                  answers), "stop" (was serving, ends by itself), "507" (refuses appends, goes on
                  reading)
    exit          status of the process, None while it runs; negative for a signal
    said          what it printed
    names         texts that a refusal must contain: segment, offset
    before, after {path: digest} of the data directory when the fault was there, and at the end;
                  None for a file that may change
    served        it answered requests after the fault
    missing       ids of acknowledged events that its answers lacked
    wrong         ids that it answered with other bytes, or that never were
    refused       statuses of appends after the fault
    accepted      appends acknowledged after a failed sync, before the restart
    resumed       appends worked again without a restart, once the fault was gone
"""
from history import Finding


def check(trial):
    found = []

    def report(anomaly, detail):
        found.append(Finding("G13", anomaly, "%s: %s" % (trial["fault"], detail)))

    must, status = trial["must"], trial.get("exit")
    for name in deleted(trial):
        report("deleted", "file %s is gone" % name)
    if trial.get("wrong"):
        report("wrong-answer", "%d events are not as they were written: %s"
               % (len(trial["wrong"]), trial["wrong"][:3]))
    if trial.get("served") and trial.get("missing"):
        report("silent-loss", "served without %d acknowledged events: %s"
               % (len(trial["missing"]), trial["missing"][:3]))
    if status is not None and status < 0:
        report("crashed", "ended by signal %d: %s" % (-status, tail(trial)))
    if trial.get("accepted"):
        report("acknowledged-after-failure", "%d appends" % trial["accepted"])
    outcome = outcome_of(trial)
    if outcome not in must:
        report("not-honest", "expected %s, got %s (exit %s): %s"
               % (" or ".join(must), outcome, status, tail(trial)))
    if outcome in ("refuse", "stop"):
        for name in trial.get("names", ()):
            if name not in trial["said"]:
                report("unclear", "the message does not name %r: %s" % (name, tail(trial)))
        if not trial["said"].strip():
            report("unclear", "it said nothing")
    if "507" in must and trial.get("resumed") is False:
        report("not-resumed", "appends are still refused although the fault is gone")
    return found


def outcome_of(trial):
    if trial.get("exit") is not None:
        if trial["exit"] == 0:
            return "exit 0"
        return "stop" if trial.get("served_before") else "refuse"
    if 507 in trial.get("refused", ()):
        return "507"
    return "serve" if trial.get("served") else "nothing"


def deleted(trial):
    """Files that are gone, and not under another name (set aside) either."""
    kept = set(trial.get("after", {}).values())
    return [name for name, digest in sorted(trial.get("before", {}).items())
            if name not in trial.get("after", {}) and digest is not None and digest not in kept]


def tail(trial):
    return trial.get("said", "").strip()[-400:]
