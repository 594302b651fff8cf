"""What the short and the long comparison of ZooKeeper's servers share: see zkstream.py for what is compared."""
import contextlib
import os
import socket
import struct
import threading

import zkstream
import zkwire
from cairnproc import Node, check


def compare(ports, seed, operations, sessions=4, depth=8):
    """Both servers must be fresh."""
    stream = zkstream.Stream(ports, seed, sessions, depth)
    try:
        stream.run(operations)
    except zkstream.Different as found:
        raise zkstream.Different(f"seed {seed}, after {stream.done} operations: {found}") from None
    listed = "".join(f"; {count} times: {reason}" for reason, count in sorted(stream.listed.items()))
    print(f"  seed {seed}: {stream.done} operations in {stream.step} steps, {len(stream.paths)} nodes{listed}", flush=True)


@contextlib.contextmanager
def two_zookeepers(folder):
    with contextlib.ExitStack() as stack:
        ports = []
        for name in "ab":
            os.makedirs(os.path.join(folder, name))
            ports.append(stack.enter_context(zkwire.zookeeper(os.path.join(folder, name))))
        yield tuple(ports)


def compare_with_node(folder, seed, operations, **options):
    os.makedirs(folder)
    with zkwire.zookeeper(folder) as port, Node(folder, "--zk-super", zkwire.SUPER, zk=0) as node:
        compare((port, node.zk), seed, operations, **options)


class Liar:
    """Stands before a server and changes one byte of what it sends: the last of the first frame that is as long as
    `size`, after so many frames.  Frames go through whole."""

    def __init__(self, port, frames, size):
        self.port, self.frames, self.size, self.lied = port, frames, size, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.mine = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                for target, pair in ((self.forward, (client, server)), (self.back, (server, client))):
                    threading.Thread(target=target, args=pair, daemon=True).start()

    @staticmethod
    def forward(client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
            server.close()

    def back(self, server, client):
        with contextlib.suppress(OSError):
            stream = server.makefile("rb")
            while head := stream.read(4):
                body = bytearray(stream.read(struct.unpack(">i", head)[0]))
                self.frames -= 1
                if self.frames < 0 and not self.lied and len(body) >= self.size:
                    self.lied = True
                    body[-1] ^= 1
                client.sendall(head + body)
            client.close()

    def end(self):
        self.listener.close()


def lies_are_told(ports, trials):
    """(frames, size) each: what a changed byte must not do is pass."""
    for trial, (frames, size) in enumerate(trials):
        liar = Liar(ports[1], frames, size)
        try:
            stream = zkstream.Stream((ports[0], liar.mine), trial)
            stream.run(4000)
        except (zkstream.Different, ValueError, KeyError, struct.error):
            check(liar.lied, "there was a difference without a lie")
        else:
            check(not liar.lied, f"a byte was changed behind {frames} frames, and nothing was told")
            raise AssertionError(f"no frame had {size} bytes")
        finally:
            liar.end()
        for client in stream.clients:  # what the servers hold is theirs alone from here on
            for connection in client.both:
                connection.call("close") if connection is client.both[0] else connection.end()
