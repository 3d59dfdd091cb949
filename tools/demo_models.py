"""The acts of tools/demo about read models: tables in SQL that the server keeps true."""
import json
import os
import subprocess
import threading
import time

from demo_show import heading, must, number, proven, say, shell
from local_server import BINARY, ROOT, command_environment

CUSTOMER = "7"
ORDERS = 50
AUTHORS_SHOWN = 3
# author <tab> month <tab> changes, from the log itself
GIT_COUNT = r"""git -C "$1" log --no-renames --name-status --date=format-local:%Y-%m \
    --format='@%an%x09%cd' |
  awk -F'\t' '/^@/ { who = substr($0, 2); next } /^[AMDT]\t/ { n[who]++ }
              END { for (who in n) print who "\t" n[who] }'"""
# the same from the file that was imported
FILE_COUNT = r"""text='"\(\([^"\\]\|\\.\)*\)"'
  sed -n 's/.*"timestamp": "\([0-9]*-[0-9]*\)-.*"\(author\|maintainer\)": '"$text"'.*/\3\t\1/p' "$1" |
  sort | uniq -c | sed 's/^ *\([0-9]*\) \(.*\)$/\2\t\1/'"""


def command(server, *arguments):
    done = subprocess.run([BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, stdin=subprocess.DEVNULL, check=False,
                          env=command_environment(server.address))
    must(done.returncode == 0, "mainstem %s ended with %d: %s"
         % (" ".join(arguments), done.returncode, done.stderr.strip()))
    return [json.loads(line) for line in done.stdout.splitlines()]


def deploy(server, path, shown):
    shell("mainstem projection deploy " + shown)
    return command(server, "projection", "deploy", path)[0]["version"]


# ---- the imported history ----------------------------------------------------------------------

def count_by_shell(history, repository, path):
    """(author, month) -> changes, by plain tools over the source."""
    whole = history.name == "git" and not history.left_out and not history.left_out_early
    script, argument = (GIT_COUNT, repository) if whole else (FILE_COUNT, path)
    say("the same by %s over %s" % ("git log, awk" if whole else "sed, sort, uniq",
                                    "the repository" if whole else "the imported file"))
    done = subprocess.run(["sh", "-c", script, "sh", argument], stdout=subprocess.PIPE, check=True,
                          text=True, errors="replace",
                          env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"})
    counts = {}
    for line in done.stdout.splitlines():
        author, month, changes = line.rsplit("\t", 2)
        if not whole:
            author = json.loads('"%s"' % author)
        counts[author, month] = int(changes)
    return counts


def act_history(server, api, history, repository, path):
    if history.name not in ("git", "changelog"):
        return
    file = os.path.join("examples", "history", "changes.sql")
    began = time.monotonic()
    deploy(server, os.path.join(ROOT, file), file)
    say("filled from %s events and answering after %.2f s" % (
        number(len(history.events)), time.monotonic() - began))
    rows = command(server, "query", "changes", "by_month")
    for row in api.get("/v1/queries/changes/busiest?limit=%d" % AUTHORS_SHOWN):
        say("    %s: %s changes, %s to %s" % (
            row["author"], number(row["changes"]), row["first"], row["last"]))
    counts = count_by_shell(history, repository, path)
    must({(row["author"], row["month"]): row["changes"] for row in rows} == counts,
         "the read model has %d rows that differ from the count by shell tools"
         % sum(counts.get((row["author"], row["month"])) != row["changes"] for row in rows))
    proven("changes per author and month: %s in %s rows, each as counted by plain tools" % (
        number(sum(counts.values())), number(len(rows))))


# ---- the shop ----------------------------------------------------------------------------------

def place_orders(api):
    """Each is asked for at once. Returns the longest wait in seconds."""
    longest = 0.0
    for n in range(ORDERS):
        key = "demo-%d" % n
        stream = "order-" + key
        api.append(stream, {"event_type": "order.created", "data": {
            "order_id": key, "customer_id": CUSTOMER, "total_amount": "%d.50" % (n + 1),
            "items": [{"sku": "a"}, {"sku": "b"}]}})
        began = time.monotonic()
        rows = api.get("/v1/queries/order_summary/one_order?order_id=%s&min_version=%s:0"
                       % (key, stream))
        longest = max(longest, time.monotonic() - began)
        must(len(rows) == 1 and rows[0]["total_cents"] == n * 100 + 150
             and rows[0]["customer_name"] == "Ada", "asked at once, %s is %r" % (key, rows))
    return longest


def status_of(api, key, suffix=""):
    return api.get("/v1/queries/order_summary/one_order?order_id=%s%s" % (key, suffix))[0]["status"]


class Watcher(threading.Thread):
    """Asks again and again which version answers."""

    def __init__(self, api):
        super().__init__(daemon=True)
        self.api, self.over = api, threading.Event()
        self.seen, self.answers, self.error = [], 0, None

    def run(self):
        try:
            while not self.over.is_set():
                headers, rows = self.api.request(
                    "/v1/queries/order_summary/customer_orders?customer_id=" + CUSTOMER)
                version = headers["Mainstem-Projection"]
                if [version] != self.seen[-1:]:
                    self.seen.append(version)
                self.answers += 1
                must(len(rows) == ORDERS, "%s has %d orders" % (version, len(rows)))
        except Exception as error:  # whatever it was, the demo tells it
            self.error = error


def change_the_sql(server, api, path, directory):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    changed = text.replace("set status = 'PAID'", "set status = 'PAID ' || substr(:timestamp, 1, 4)")
    must(changed != text, "%s does not have what the demo changes" % path)
    path = os.path.join(directory, "order_summary.sql")
    with open(path, "w", encoding="utf-8") as file:
        file.write(changed)
    say("the file is changed: the status tells the year of the payment")
    watcher = Watcher(api)
    watcher.start()
    try:
        deploy(server, path, "order_summary.sql")
        now = status_of(api, "demo-0")
    finally:
        watcher.over.set()
        watcher.join(20)
    must(not watcher.error, "asked while the version was filled: %s" % watcher.error)
    must(now.startswith("PAID 2"), "version 2 says %r" % now)
    proven("version 2 was filled beside version 1 and has taken over: %r; %s questions meanwhile, "
           "none without an answer" % (now, number(watcher.answers)))
    shell("mainstem projection switch order_summary")
    command(server, "projection", "switch", "order_summary")
    must(status_of(api, "demo-0") == "PAID", "after switching back there is another answer")
    proven("and back: version 1 was kept up to date")


def act_shop(server, api, history, directory):
    if history.topic == "order":
        say("the shop is left out: its topic holds the made-up history")
        return
    file = os.path.join("examples", "shop", "order_summary.sql")
    path = os.path.join(ROOT, file)
    deploy(server, path, file)
    api.append("customer-" + CUSTOMER, {"event_type": "customer.registered", "data": {
        "customer_id": CUSTOMER, "name": "Ada"}})
    shell("curl 'http://%s/v1/queries/order_summary/one_order?order_id=demo-0"
          "&min_version=order-demo-0:0'" % api.address)
    longest = place_orders(api)
    proven("%s orders, each appended and asked for at once: it was always there, after %.0f ms at "
           "most" % (number(ORDERS), longest * 1000))
    paid = api.append("order-demo-0", {"event_type": "order.paid",
                                       "data": {"order_id": "demo-0", "amount": 1.5}})
    now = status_of(api, "demo-0", "&min_position=%d" % paid["position"])
    shell("mainstem query order_summary one_order order_id=demo-0 --as-of %d"
          % (paid["position"] - 1))
    then = command(server, "query", "order_summary", "one_order", "order_id=demo-0", "--as-of",
                   str(paid["position"] - 1))[0]["status"]
    must((then, now) == ("PENDING", "PAID"), "before the payment %r, now %r" % (then, now))
    proven("the order is %s now, and was %s as of the position before its payment" % (now, then))
    change_the_sql(server, api, path, directory)


def act_models(server, api, history, repository, directory):
    heading("8. Read models in SQL")
    act_history(server, api, history, repository, os.path.join(directory, "history.ndjson"))
    act_shop(server, api, history, directory)
