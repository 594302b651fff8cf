"""What tests put into a data folder, and whether all of it is there again; and what a folder's files are made of."""
import os
import random

from cairnproc import check, encode, equal

SEED = 11


def pipelined(redis, commands):
    """The replies to commands, in their order; a few hundred are under way at a time."""
    replies = []
    for start in range(0, len(commands), 200):
        part = commands[start:start + 200]
        redis.send_raw(b"".join(encode(*words) for words in part))
        replies += [redis.receive() for _ in part]
    return replies


class Contents:
    """Objects of several modules, in all shards.  fill() again adds to what is there; verify() wants all of it."""

    MODULES = ("register", "retwis", "pair")

    def __init__(self, scale=1):
        self.scale, self.rounds = scale, 0
        self.dice = random.Random(SEED)
        self.counters, self.registers, self.pairs, self.keys, self.posts = {}, {}, {}, {}, []

    def fill(self, node):
        """Every reply is awaited, so all of it is acknowledged."""
        if self.rounds == 0:
            node.deploy(*self.MODULES)
        self.rounds += 1
        commands, numbers = [], self.dice
        for number in range(60 * self.scale):
            name, amount = f"counter {number}", numbers.randrange(1, 1000)
            self.counters[name] = self.counters.get(name, 0) + amount
            commands.append(("FCALL", "Counter.add", 1, name, amount))
            name, amount = f"register {number}", numbers.randrange(1, 1 << 40)
            self.registers[name] = amount
            commands.append(("FCALL", "Register.set", 1, name, amount))
        for number in range(4 * self.scale):
            name, amount, size = f"pair {number}", numbers.randrange(1, 1000), numbers.choice([0, 100, 5000, 100000])
            self.pairs[name] = [amount, size, b"%d" % amount, b"%d" % amount, amount]
            commands.append(("FCALL", "Pair.set", 1, name, amount, numbers.randbytes(size)))
        with node.redis() as redis:
            for words, reply in zip(commands, pipelined(redis, commands)):
                check(not hasattr(reply, "code"), f"{words[:4]}: {reply}")
            for number in range(8):
                key, name = f"key {self.rounds} {number}", f"keyed {number}"
                self.keys[key] = (name, redis.ok("FCALL", "Counter.add", 2, name, key, 1))
                self.counters[name] = self.counters.get(name, 0) + 1
            if self.rounds == 1:
                for follower in ("bob", "carol"):
                    redis.ok("FCALL", "User.follow", 1, follower, "alice")
            text = f"post {self.rounds}"
            self.posts.insert(0, text.encode())
            equal(redis.ok("FCALL", "User.post", 1, "alice", text), 2, "followers that a post reached")
        return self

    def verify(self, node):
        """Everything is read, compared, and written to."""
        with node.redis() as redis:
            for function, values in (("Counter.get", self.counters), ("Register.get", self.registers),
                                     ("Pair.get", self.pairs)):
                got = pipelined(redis, [("FCALL_RO", function, 1, name) for name in values])
                for (name, value), reply in zip(values.items(), got):
                    equal(reply, value, f"{function} of {name}")
            for user, method in (("alice", "posts"), ("bob", "timeline"), ("carol", "timeline")):
                got = [entry[2] for entry in redis.ok("FCALL_RO", f"User.{method}", 1, user, 100)]
                equal(got, self.posts[:100], f"{method} of {user}")
            for key, (name, outcome) in self.keys.items():
                equal(redis.ok("FCALL", "Counter.add", 2, name, key, 1), outcome, f"the outcome of {key} again")
        web = node.web()
        for kind, values in (("Counter", self.counters), ("Register", self.registers), ("Pair", self.pairs),
                             ("User", ["alice", "bob", "carol"])):
            equal(web.ids(kind), sorted(values), f"objects of type {kind}")
        equal(sorted(one["name"] for one in web.json("GET", "/v1/modules")), sorted(self.MODULES), "modules")


def files_of(folder):
    """{path within the folder: size}, sorted."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            whole = os.path.join(path, name)
            found[os.path.relpath(whole, folder)] = os.path.getsize(whole)
    return dict(sorted(found.items()))


def stamps(folder):
    """{path within the folder: what changes when it is written}; the lock may be written."""
    return {path: (os.stat(os.path.join(folder, path)).st_size, os.stat(os.path.join(folder, path)).st_mtime_ns)
            for path in files_of(folder) if path != "lock"}


# --- CRC-32C ---

def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
