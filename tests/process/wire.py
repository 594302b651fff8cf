"""Connections for many clients in one thread: both protocols over asyncio."""
import asyncio
import json
import logging

from cairnproc import INCOMPLETE, Lost, decode, encode

logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # that connections break is what these tests are about


class AsyncRedis(asyncio.Protocol):
    def __init__(self):
        self.data = bytearray()
        self.waiting = []
        self.transport = None
        self.lost = False

    @classmethod
    async def open(cls, port):
        try:
            _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        except OSError as error:
            raise Lost from error
        return connection

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        at = 0
        while self.waiting and at < len(self.data):
            reply, at = decode(self.data, at)
            if reply is INCOMPLETE:
                break
            future, seen = self.waiting.pop(0)
            if not future.done():
                future.set_result(reply)
            if seen:
                seen(reply)
        del self.data[:at]

    def connection_lost(self, exc):
        self.lost = True
        for future, _ in self.waiting:
            if not future.done():
                future.set_exception(Lost())
                future.exception()  # nobody may be waiting any more
        self.waiting.clear()

    def start(self, *words, seen=None):
        """Sends a command; returns a future.  `seen` is called with the reply the moment that it comes."""
        if self.lost:
            raise Lost
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((future, seen))
        self.transport.write(encode(*words))
        return future

    async def call(self, *words, seen=None):
        return await self.start(*words, seen=seen)

    def close(self):
        if self.transport:
            self.transport.abort()


class AsyncWeb:
    """HTTP with one connection that is kept."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port):
        try:
            return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))
        except OSError as error:
            raise Lost from error

    async def ask(self, method, path, body=b"", headers=()):
        """(status, JSON value)"""
        try:
            self.writer.write(b"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n%s" % (
                method.encode(), path.encode(), len(body),
                b"".join(f"{name}: {value}\r\n".encode() for name, value in headers), body))
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, size = int(head[9:12]), 0
            for line in head.split(b"\r\n")[1:]:
                if line.lower().startswith(b"content-length:"):
                    size = int(line[15:])
            data = await self.reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Lost from error
        return status, json.loads(data) if data else None

    def close(self):
        self.writer.transport.abort()
