"""Events that can be made again from their ids, and read back byte for byte.

What an event is follows from its id and a variant alone, so that a resend after a crash needs
nothing but the id. The digest covers type, tags, content type and the exact bytes of data:
checkers compare digests, never parsed values.
"""
import base64
import hashlib
import json
import random

TYPES = ("order.created", "order.paid", "order.shipped", "Account.Opened", "stock.moved")
TAGS = ("customer:1", "customer:2", "course:7", "region:eu", "überfällig")
# JSON that a careless library would change.
TRICKY = (b'{"n":1.10,"big":123456789012345678901234567890,"e":1e3,"z":-0}',
          b'{"b":1,"a":2,"a":3}', b'"\\u00e4\\/\\ud83d\\ude00"', b'[ 1,2 ,  3]', b'0', b'null',
          b'{ }', b'false', '"ä€😀"'.encode())
SIZES = ((60, 0, 300), (20, 0, 12), (14, 500, 8_000), (5, 20_000, 100_000), (1, 200_000, 300_000))


def digest(event_type, tags, content_type, data):
    """`data` is None when the event has none."""
    made = hashlib.blake2b(digest_size=8)
    for field in (event_type, ",".join(tags), content_type or ""):
        made.update(field.encode() + b"\0")
    made.update(b"-" if data is None else b"+" + data)
    return made.hexdigest()


def size_of(rng, largest):
    at = rng.randrange(sum(weight for weight, _, _ in SIZES))
    for weight, low, high in SIZES:
        if at < weight:
            return min(rng.randint(low, high), largest)
        at -= weight
    return 0


class Maker:
    def __init__(self, seed, largest=300_000):
        self.seed, self.largest = seed, largest

    def make(self, event_id, variant=0):
        """(JSON text of the event, [id, digest, type, tags]). Another variant has other data."""
        rng = random.Random("%s/%s/%d" % (self.seed, event_id, variant))
        event_type = rng.choice(TYPES)
        tags = sorted(rng.sample(TAGS, rng.choice((0, 0, 1, 2))))
        head = {"event_id": event_id, "event_type": event_type}
        if tags:
            head["tags"] = tags
        if rng.random() < 0.3:
            head["correlation_id"] = "c-%d" % rng.randrange(50)
        data, content_type, text = self.make_data(rng, head)
        if variant:  # no event's first variant looks like this
            head.pop("data_base64", None)
            head.pop("content_type", None)
            data = text = b'{"variant":%d}' % variant
            content_type = "application/json"
        body = json.dumps(head, ensure_ascii=False).encode()
        if text is not None:
            body = body[:-1] + b',"data":' + text + b"}"
        return body, [event_id, digest(event_type, tags, content_type, data), event_type, tags]

    def make_data(self, rng, head):
        """(bytes that are stored, their content type, JSON text of the member `data` or None)."""
        kind = rng.randrange(10)
        if kind == 0:
            data = rng.choice(TRICKY)
            return data, "application/json", data
        if kind == 1:
            return None, "application/json", None
        size = size_of(rng, self.largest)
        if kind < 5:
            data = rng.randbytes(size)
            head["content_type"] = "application/octet-stream"
            head["data_base64"] = base64.b64encode(data).decode()
            return data, head["content_type"], None
        text = b'{"filler":"' + base64.b64encode(rng.randbytes(size * 3 // 4 + 1)) + b'"}'
        return text, "application/json", text


def read_line(line):
    """One line of application/x-ndjson, or of an event stream: (event, data, digest). The data is
    taken out as it stands, since no JSON library keeps the bytes; it is the last member."""
    envelope, data = line, None
    at = line.find(b',"data":')  # within a string the quotes would be escaped
    if at >= 0:
        data = line[at + 8:line.rindex(b"}")]
        envelope = line[:at] + b"}"
    event = json.loads(envelope)
    if "data_base64" in event:
        data = base64.b64decode(event.pop("data_base64"))
    return event, data, digest(event["event_type"], event.get("tags", ()),
                               event.get("content_type"), data)
