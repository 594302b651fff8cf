#!/usr/bin/env python3
"""The kill test must be able to fail: it is run over a node that loses what it acknowledged, and over replies that lie.

The node that loses runs with --sync interval:60000, so its replies are early: they promise to survive a killed process,
not a power cut.  After the kill the second half of the log is overwritten with zeros, as a power cut might leave it.
Catches a part of the kill test that would accept anything.
"""
import asyncio
import os

import killer
from cairnproc import check, equal, main
from wire import AsyncRedis, AsyncWeb

SEED = 7


def written_end(folder):
    """(path of the log segment that is written to, offset behind its last byte that is not zero)"""
    ends = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".log"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read().rstrip(b"\0")
        ends.append((len(data), os.path.join(folder, name)))  # those prepared for later have only a header
    return max(ends)[::-1]


async def lose_half(folder):
    world = killer.World(SEED, folder, sync="interval:60000")
    log = os.path.join(world.node.data, "log")
    try:
        await world.start()
        await world.setup()
        path, before = written_end(log)
        await world.load(1.0)
        world.check()
        path_after, after = written_end(log)
        equal(path_after, path, "the segment that was written to")
        cut = before + (after - before) // 2
        with open(path, "r+b") as file:
            file.seek(cut)
            file.write(bytes(after - cut))
        await world.start()
        await world.verify()
    finally:
        world.node.kill()
    return world


def test_lost_acknowledged_writes_are_found(folder):
    world = asyncio.run(lose_half(folder))
    found = {}
    for part, text in world.faults:
        found.setdefault(part, text)
    for part, text in found.items():
        print(f"    {part} says: {text[:150]}")
    missing = {"Things", "Posts", "Keys", "Bank", "Pairs"} - set(found)
    check(not missing, f"half of the log was lost, and {missing} found nothing")


# --- replies that lie ---

class Lying:
    """A connection that changes the first reply to a command that begins like `words`, with `change`."""

    def __init__(self, connection, words, change):
        self.connection, self.words, self.change, self.used = connection, words, change, False

    async def call(self, *words):
        reply = await self.connection.call(*words)
        if not self.used and list(words[:len(self.words)]) == self.words:
            changed = self.change(reply)
            self.used = changed != reply
            return changed
        return reply

    async def ask(self, method, path, *rest):
        status, reply = await self.connection.ask(method, path, *rest)
        if not self.used and [method, path.split("?")[0]] == self.words:
            self.used, reply = True, self.change(reply)
        return status, reply


def swap_two_of_one_author(entries):
    """The newest two of the author who has two, exchanged."""
    for i, first in enumerate(entries):
        for j in range(i + 1, len(entries)):
            if entries[j][0] == first[0]:
                changed = list(entries)
                changed[i], changed[j] = entries[j], first
                return changed
    return entries


def stranger(entries):
    return [[b"somebody else", entries[0][1], b"hello"]] + entries[1:]


def with_first_changed(values):
    return [values[0] - 1] + values[1:]


TIMELINE, POSTS = ["FCALL_RO", "User.timeline"], ["FCALL_RO", "User.posts"]
LIES = [
    ("Posts", "a post twice in a timeline", TIMELINE, lambda entries: entries[:1] + entries),
    ("Posts", "a post less in a timeline", TIMELINE, lambda entries: entries[1:]),
    ("Posts", "two posts of one author in the wrong order", TIMELINE, swap_two_of_one_author),
    ("Posts", "a post of a stranger", TIMELINE, stranger),
    ("Posts", "a post less in its author's posts", POSTS, lambda entries: entries[1:]),
    ("Posts", "a post twice in its author's posts", POSTS, lambda entries: entries[:1] + entries),
    ("Keys", "a keyed add that counted twice", ["FCALL_RO", "Counter.get"], lambda value: value + 1),
    ("Keys", "a keyed add that did not count", ["FCALL_RO", "Counter.get"], lambda value: value - 1),
    ("Keys", "other arguments under a used key", ["FCALL", "Counter.add"], lambda value: 5),
    ("Bank", "money out of nothing", ["FCALL_RO", "Account.balance"], lambda value: value + 1),
    ("Bank", "money that is gone", ["FCALL_RO", "Account.balance"], lambda value: value - 1),
    ("Bank", "a negative balance", ["FCALL_RO", "Account.balance"], lambda value: -value - 1),
    ("Pairs", "half a segment", ["FCALL_RO", "Pair.get"], with_first_changed),
    ("Pairs", "an older segment", ["FCALL_RO", "Pair.get"], lambda values: [0, 0, b"", b"", 0]),
    ("Things", "an older value", ["FCALL", "Counter.get"], lambda value: value - 1),
    ("Things", "a register with a value that nobody wrote", ["FCALL", "Register.get"], lambda value: value + 1000),
    ("Things", "an object that is not listed", ["GET", "/v1/objects/Counter"],
     lambda page: {**page, "ids": page["ids"][1:]}),
    ("Things", "an object that is listed and was deleted", ["GET", "/v1/objects/Counter"],
     lambda page: {**page, "ids": page["ids"] + [f"l{i}" for i in range(killer.COUNTERS)]}),
    ("Deploys", "another module", ["GET", "/v1/modules"],
     lambda modules: [dict(module, hash="0" * 64) for module in modules]),
]


async def lie(folder):
    world = killer.World(SEED, folder)
    try:
        await world.start()
        await world.setup()
        world.deploys.client = lambda: deploy_one(world)
        await world.load(1.0)
        await world.start()
        await world.verify()
        world.check()
        redis, web = await AsyncRedis.open(world.node.resp), await AsyncWeb.open(world.node.http)
        deleted = {"Counter/l0"}  # so that there is one which can be listed wrongly
        for name in deleted:
            op = world.things.begin(name, "delete")
            world.things.end(name, op, (await web.ask("DELETE", f"/v1/objects/{name}"))[1]["deleted"])
        await world.things.verify(redis, web)
        for part, label, words, change in LIES:
            lying = Lying(redis, words, change), Lying(web, words, change)
            one = next(one for one in world.parts if type(one).__name__ == part)
            states = dict(world.things.states)
            try:
                await one.verify(*lying)
            except killer.Fault as fault:
                print(f"    {label}: {str(fault)[:110]}")
            else:
                check(lying[0].used or lying[1].used, f"{label}: nothing was asked that could be answered wrongly")
                raise AssertionError(f"{label}: was accepted")
            world.things.states = states
            world.things.history = {name: [] for name in world.things.names}
            await one.verify(redis, web)  # the truth is accepted still
    finally:
        world.node.kill()


async def deploy_one(world):
    dice = type("Always", (), {"random": staticmethod(lambda: .9)})
    world.clients["deploys"] = dice
    await killer.Deploys.client(world.deploys)


def test_replies_that_lie_are_found(folder):
    asyncio.run(lie(folder))


if __name__ == "__main__":
    main([test_lost_acknowledged_writes_are_found, test_replies_that_lie_are_found])
