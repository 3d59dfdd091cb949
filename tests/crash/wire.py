"""HTTP/1.1 for the load driver: pipelined requests on one connection, and event streams.

Written for this purpose and nothing else: fast enough that the server is what is measured, and
exact about the one thing that matters here, whether a request can have reached the server.
"""
import asyncio
import socket


class Gone(Exception):
    """The connection ended before the answer. `sent`: the request may have reached the server."""

    def __init__(self, sent):
        super().__init__("connection ended")
        self.sent = sent


class Answer:
    __slots__ = ("status", "headers", "body")

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def parse_head(head):
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(lines[0].split(" ", 2)[1]), headers


class Connection(asyncio.Protocol):
    """Answers come in the order of the requests."""

    def __init__(self):
        self.transport, self.buffer = None, bytearray()
        self.waiting, self.head = [], None
        self.closed = False
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc):
        self.closed = True
        self.writable.set()
        for future in self.waiting:
            if not future.done():
                future.set_exception(Gone(True))
        self.waiting.clear()

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def data_received(self, data):
        self.buffer += data
        while self.take_answer():
            pass

    def take_answer(self):
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.head = parse_head(bytes(self.buffer[:end]))
            del self.buffer[:end + 4]
        status, headers = self.head
        length = int(headers.get("content-length", 0))
        if len(self.buffer) < length:
            return False
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        self.head = None
        if status == 100:
            return True
        if self.waiting:
            future = self.waiting.pop(0)
            if not future.done():
                future.set_result(Answer(status, headers, body))
        return True

    async def request(self, method, target, host, headers=(), body=None):
        if self.closed:
            raise Gone(False)
        lines = ["%s %s HTTP/1.1" % (method, target), "Host: " + host]
        lines += ["%s: %s" % header for header in headers]
        if body is not None:
            lines.append("Content-Length: %d" % len(body))
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return await future

    def abort(self):
        if self.transport:
            self.transport.abort()


async def connect(address):
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, host, int(port))
    return connection


class EventStream:
    """Server-sent events: `async for (kind, id, data)`, kind "event", "comment" or "end"."""

    def __init__(self, address):
        self.address, self.status, self.writer = address, None, None

    async def open(self, target, headers):
        host, _, port = self.address.rpartition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
        lines = ["GET %s HTTP/1.1" % target, "Host: " + self.address, "Accept: text/event-stream"]
        lines += ["%s: %s" % header for header in headers]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.status, self.headers = parse_head(head[:-4])
        return self.status

    async def chunks(self):
        while True:
            size = int(await self.reader.readline() or b"0", 16)
            if size == 0:
                return
            yield await self.reader.readexactly(size)
            await self.reader.readexactly(2)

    async def messages(self):
        """(id, data, event name, comments) of one message after the other."""
        rest = b""
        async for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n\n")
            for text in whole:
                yield parse_message(text)

    def close(self):
        if self.writer:
            self.writer.transport.abort()


def parse_message(text):
    fields, comments = {}, []
    for line in text.split(b"\n"):
        name, _, value = line.partition(b":")
        if name:
            fields[name.decode()] = value[1:] if value[:1] == b" " else value
        else:
            comments.append(value.strip().decode())
    number = int(fields["id"]) if "id" in fields else None
    return number, fields.get("data"), fields.get("event", b"").decode(), comments
