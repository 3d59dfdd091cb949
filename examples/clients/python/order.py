"""An Order rebuilt from its events, and commands that try again when somebody was faster.

    python3 order.py http://127.0.0.1:8080
"""
import concurrent.futures
import sys
import uuid

from eventstore import NO_STREAM, Conflict, EventStore


class Order:
    def __init__(self, events):
        self.version, self.status, self.total, self.paid = NO_STREAM, "none", 0, 0
        for event in events:
            self.apply(event["event_type"], event["data"])
            self.version = event["version"]

    def apply(self, kind, data):
        if kind == "order.created":
            self.status, self.total = "open", data["total"]
        elif kind == "order.paid":
            self.paid += data["amount"]
        elif kind == "order.shipped":
            self.status = "shipped"

    def pay(self, amount):
        if self.paid + amount > self.total:
            raise ValueError("paid too much")
        return [{"event_type": "order.paid", "data": {"amount": amount}}]

    def ship(self):
        if self.status != "open" or self.paid < self.total:
            raise ValueError("not paid")
        return [{"event_type": "order.shipped", "data": {}}]


def handle(store, decide):
    """The new version, and how often somebody was faster."""
    conflicts = 0
    while True:
        order = Order(store.read_events(stream))
        try:
            return store.append_events(stream, decide(order), order.version), conflicts
        except Conflict:
            conflicts += 1


def check(holds, claim):
    global failed
    print("%s - %s" % ("ok" if holds else "not ok", claim))
    failed = failed or not holds


def refusal(function, *arguments):
    try:
        return function(*arguments) and None
    except (Conflict, ValueError) as error:
        return error


failed = False
url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
store = EventStore(url)
stream = "order-python-%s" % uuid.uuid4()

created = {"event_type": "order.created", "data": {"total": 50}}
check(store.append_events(stream, [dict(created)], NO_STREAM) == 0, "the first event has version 0")
second = refusal(store.append_events, stream, [dict(created)], NO_STREAM)
check(isinstance(second, Conflict) and second.actual == 0, "a second creation is a conflict, at 0")
check(str(refusal(handle, store, Order.ship)) == "not paid", "unpaid is not shipped")
with concurrent.futures.ThreadPoolExecutor(5) as pool:
    races = list(pool.map(lambda _: handle(EventStore(url), lambda order: order.pay(10)), range(5)))
check(Order(store.read_events(stream)).paid == 50,
      "five racing payments are all there, after %d conflicts" % sum(race[1] for race in races))
check(handle(store, Order.ship) == (6, 0), "paid is shipped, at version 6")
order = Order(store.read_events(stream))
check(order.status == "shipped" and order.version == 6, "the order is rebuilt from its events")
mine, start, following = [], None, 0
while start != following:
    start = following
    events, following = store.read_all_events(start, 1000)
    mine += [event["version"] for event in events if event["stream"] == stream]
check(mine == [0, 1, 2, 3, 4, 5, 6], "all events have them in order")
sys.exit(1 if failed else 0)
