"""A real node under SIGKILL at random instants, under the load of many clients, and whether it kept its promises.

    things    counters and registers are read, written, deleted and listed by everybody, over both protocols; every
              object's history, over all kills, must be linearizable
    posts     ReTwis: an acknowledged post stands once in every follower's timeline, any other at most once; what is in
              a timeline is in its author's posts; an author's posts keep their order everywhere
    keys      keyed requests are sent again with the same key after the kill: the effect is there once, and a key gives
              its first outcome again for good; `interrupted` only where there was a call to cut off
    bank      no account is negative; every unit of money is accounted for by a transfer that was made, or was cut off
              between its two segments
    moves     the same as transactions: the sum is the same at every moment, and after a kill each was made or was not
    pairs     large writes to fields of every kind, in one segment: all there or nothing
    deploys   an acknowledged deploy is the current one

What the clients do is drawn from the seed, each client having dice of its own; when the kill comes is drawn too, but
its instant in the node's life is the machine's.
"""
import asyncio
import hashlib
import itertools
import json
import os
import random
import time

from cairnproc import Died, Error, Lost, Node, check, equal, guest
from linear import NotLinearizable, Op, final_states
from wasm import with_custom
from wire import AsyncRedis, AsyncWeb

COUNTERS, REGISTERS, KEYED, ACCOUNTS, PAIRS, USERS = 5, 4, 4, 8, 3, 8
DEPOSIT = 1000
POSTS_OF_ROUND = 88  # of all authors together: a timeline keeps 100


class Fault(Exception):
    """A promise did not hold."""


def is_unknown(reply):
    """The outcome is not known: it may have happened."""
    return isinstance(reply, Error) and reply.code == "UNAVAILABLE"


def is_refused(reply):
    """It has not happened."""
    return isinstance(reply, Error) and reply.code in ("OVERLOADED", "DISK_FULL", "CONFLICT")


class World:
    def __init__(self, seed, folder, sync="always", machine=None, flags=()):
        self.seed, self.folder, self.machine = seed, folder, machine
        self.dice = random.Random(f"{seed} world")
        self.sync = sync
        self.node = Node(folder, "--log-max=64", *flags, sync=sync, data=machine and os.path.join(machine.path, "data"))
        self.clock = itertools.count()
        self.faults = []
        self.counts = dict(operations=0, unanswered=0, posts=0, interrupted=0, kills=0, early_kills=0, slow_starts=0)
        self.things = Things(self)
        self.posts = Posts(self)
        self.keys = Keys(self)
        self.bank = Bank(self)
        self.moves = Moves(self)
        self.pairs = Pairs(self)
        self.deploys = Deploys(self)
        self.parts = [self.things, self.posts, self.keys, self.bank, self.moves, self.pairs, self.deploys]
        self.clients = {}

    def fault(self, part, text):
        self.faults.append((part, text))

    def dice_of(self, client):
        """A client's own dice, the same through all lives of the node."""
        return self.clients.setdefault(client, random.Random(f"{self.seed} {client}"))

    def expect(self, reply, what):
        """A reply that is not an error that may come at any time."""
        self.counts["operations"] += 1
        if isinstance(reply, Error) and not is_unknown(reply) and not is_refused(reply):
            raise Fault(f"{what}: {reply}")
        return reply

    # --- one life of the node ---

    async def start(self):
        while True:
            begin = time.monotonic()
            self.node.flags = [f"--sync={self.sync}", f"--workers={self.dice.choice([1, 2, 2, 3])}", "--log-max=64"]
            self.node.spawn()
            if self.counts["kills"] and self.dice.random() < .15:  # killed while it recovers
                await asyncio.sleep(self.dice.random() * .4)
                self.counts["early_kills"] += 1
                self.node.kill()
                continue
            await asyncio.to_thread(self.node.ready)
            self.counts["slow_starts"] += time.monotonic() - begin > 3
            return

    async def setup(self):
        redis = await AsyncRedis.open(self.node.resp)
        for name in ("register", "retwis", "bank", "pair"):
            equal(await redis.call("FUNCTION", "LOAD", guest(name)), name.encode(), "FUNCTION LOAD")
        for account in range(ACCOUNTS):
            await redis.call("FCALL", "Account.deposit", 1, f"a{account}", DEPOSIT)
            await redis.call("FCALL", "Account.deposit", 1, f"m{account}", DEPOSIT)
        redis.close()

    async def verify(self):
        """Reads everything back, right after a start.  Faults are collected."""
        redis = await AsyncRedis.open(self.node.resp)
        web = await AsyncWeb.open(self.node.http)
        for part in self.parts:
            try:
                await asyncio.wait_for(part.verify(redis, web), 60)
            except asyncio.TimeoutError:
                raise AssertionError(f"a node that has recovered does not answer within 60 s, checking "
                                     f"{type(part).__name__}") from None
            except Fault as fault:
                self.fault(type(part).__name__, str(fault))
        redis.close()
        web.close()

    async def load(self, seconds):
        """Clients of all kinds, until the node is killed."""
        tasks = [asyncio.create_task(self.run_client(task)) for part in self.parts for task in part.clients()]
        await asyncio.sleep(seconds)
        manner = self.dice.random()
        if manner < .2:  # while it ends by itself: replies go out, a checkpoint is written
            self.node.process.terminate()
            await asyncio.sleep(self.dice.random() * .15)
        if not self.node.alive() and manner >= .2:
            raise Died(f"the node ended by itself:\n{self.node.output()}")
        if self.machine:
            self.machine.cut()
            await asyncio.sleep(self.dice.random() * .1)  # it goes on for a while, and nothing of that counts
        self.node.kill()
        if self.machine:
            self.machine.again()
        self.counts["kills"] += 1
        _, stuck = await asyncio.wait(tasks, timeout=60)
        for task in stuck:
            task.print_stack()
        check(not stuck, f"{len(stuck)} clients still wait 60 s after the node was killed")
        for part in self.parts:
            try:
                part.killed()
            except Fault as fault:
                self.fault(type(part).__name__, str(fault))

    async def run_client(self, coroutine):
        try:
            await coroutine
        except Lost:
            pass
        except Fault as fault:
            self.fault("while running", str(fault))

    def check(self):
        if self.faults:
            raise AssertionError(f"seed {self.seed}, after {self.counts['kills']} kills: " + "\n    ".join(
                f"{part}: {text}" for part, text in self.faults[:8]))


# --- counters and registers ---

class Things:
    def __init__(self, world):
        self.world = world
        names = [f"Counter/l{i}" for i in range(COUNTERS)] + [f"Register/l{i}" for i in range(REGISTERS)]
        self.names = names
        self.history = {name: [] for name in names}  # of this life
        self.states = {name: {None} for name in names}
        self.checked = 0

    def begin(self, name, *what):
        op = Op(what, next(self.world.clock))
        self.history[name].append(op)
        return op

    def end(self, name, op, result):
        self.world.counts["operations"] += 1
        if is_refused(result):
            self.history[name].remove(op)
        elif not is_unknown(result):
            if isinstance(result, Error):  # raised here it would end in the event loop
                self.world.fault("while running", f"{op} of {name}: {result}")
            op.returned, op.result = next(self.world.clock), result

    @staticmethod
    def words(name, op):
        kind, identity = name.split("/")
        method, *arguments = op.what
        return ["FCALL", f"{kind}.{method}", 1, identity, *arguments]

    def draw(self, dice):
        name = dice.choice(self.names)
        choice = dice.random()
        if choice < .3:
            return name, ("get",)
        if choice < .34:
            return name, ("delete",)
        if name.startswith("Counter"):
            return name, ("add", dice.choice([1, 1, 1, 3]))
        if choice < .6:
            return name, ("set", dice.randrange(5))
        if choice < .8:
            return name, ("cas", dice.randrange(5), dice.randrange(5))
        return name, ("add", 1)

    def clients(self):
        return [self.over_redis(n) for n in range(5)] + [self.over_http(n) for n in range(2)] + [self.lister()]

    async def over_redis(self, number):
        dice = self.world.dice_of(f"redis {number}")
        redis = await AsyncRedis.open(self.world.node.resp)
        while True:
            under_way = []
            for _ in range(dice.choice([1, 1, 1, 2, 4])):
                name, what = self.draw(dice)
                if what[0] == "delete":
                    what = ("get",)
                op = self.begin(name, *what)
                under_way.append(redis.start(*self.words(name, op),
                                             seen=lambda reply, name=name, op=op: self.end(name, op, reply)))
            for future in under_way:
                if is_unknown(await future):
                    return  # the node is stopping

    async def over_http(self, number):
        dice = self.world.dice_of(f"http {number}")
        web = await AsyncWeb.open(self.world.node.http)
        while True:
            name, what = self.draw(dice)
            op = self.begin(name, *what)
            if what[0] == "delete":
                status, value = await web.ask("DELETE", f"/v1/objects/{name}")
                value = value.get("deleted") if status == 200 else value
            elif what[0] == "get":
                status, value = await web.ask("GET", f"/v1/objects/{name}/get")
            else:
                status, value = await web.ask("POST", f"/v1/objects/{name}/{what[0]}",
                                              json.dumps(list(what[1:])).encode())
            if status != 200:
                value = Error(f"{value['code'].upper()} {value['detail']}")
            self.end(name, op, value)
            if is_unknown(value):
                return

    async def lister(self):
        dice = self.world.dice_of("lister")
        web = await AsyncWeb.open(self.world.node.http)
        while await self.list_all(web, dice.choice(["Counter", "Register"])):
            pass

    async def list_all(self, web, kind):
        names = [name for name in self.names if name.startswith(kind)]
        ops = [self.begin(name, "seen") for name in names]
        found, cursor = set(), ""
        while cursor is not None:
            status, page = await web.ask("GET", f"/v1/objects/{kind}?prefix=l&limit=1000&cursor={cursor}")
            if status != 200:
                if page["code"] != "unavailable":
                    raise Fault(f"listing {kind}: {page}")
                return False
            found.update(page["ids"])
            cursor = page["cursor"]
        for name, op in zip(names, ops):
            self.end(name, op, name.split("/")[1] in found)
        return True

    def killed(self):
        """The history of this life is complete: what was not answered has happened by now, or never will."""
        problems = []
        for name in self.names:
            ops = self.history[name]
            self.world.counts["unanswered"] += sum(op.returned is None for op in ops)
            self.checked += len(ops)
            try:
                self.states[name] = final_states(ops, self.states[name])
            except NotLinearizable as reason:
                problems.append(f"{name}: {reason}")
                self.states[name] = set(range(-1, 0))  # nothing is known any more; the test is over anyway
            self.history[name] = []
        if problems:
            raise Fault("; ".join(problems[:2]))

    async def verify(self, redis, web):
        for name in self.names:
            op = self.begin(name, "get")
            self.end(name, op, await redis.call(*self.words(name, op)))
        await self.list_all(web, "Counter")
        await self.list_all(web, "Register")
        self.killed()


# --- ReTwis ---

class Post:
    def __init__(self, author, text, key):
        self.author, self.text, self.key = author, text, key
        self.reply = None        # the number of followers, or "interrupted"
        self.acknowledged = False


class Round:
    """Eight users and what they post; a new round has new users, so that timelines stay whole."""

    def __init__(self, number, dice):
        self.number = number
        self.whom = [{other for other in range(USERS) if other != user and dice.random() < .6} for user in range(USERS)]
        self.missing = [("create", user, None) for user in range(USERS)] + [
            ("follow", user, other) for user in range(USERS) for other in self.whom[user]]
        self.posts = [[] for _ in range(USERS)]  # of each author, in order
        self.ready = False
        self.quota = POSTS_OF_ROUND // USERS

    def name(self, user):
        return f"r{self.number}u{user}"

    def followers(self, author):
        return [user for user in range(USERS) if author in self.whom[user]]

    def over(self):
        return all(len(posts) >= self.quota for posts in self.posts)


class Posts:
    def __init__(self, world):
        self.world = world
        self.dice = random.Random(f"{world.seed} rounds")
        self.rounds = [Round(0, self.dice)]

    def clients(self):
        return [self.director()]

    def killed(self):
        pass

    async def director(self):
        redis = await AsyncRedis.open(self.world.node.resp)
        authors = [await AsyncRedis.open(self.world.node.resp) for _ in range(4)]
        while True:
            current = self.rounds[-1]
            await self.prepare(redis, current)
            await asyncio.gather(*[self.write(connection, current, number) for number, connection in enumerate(authors)])
            if not current.over():
                return  # the node is stopping
            await self.verify_round(redis, current)
            self.rounds.append(Round(current.number + 1, self.dice))

    async def prepare(self, redis, current):
        while current.missing:
            batch = current.missing[:16]
            replies = await asyncio.gather(*[
                redis.start("FCALL", f"User.{method}", 1, current.name(user),
                            current.name(other) if other is not None else "somebody") for method, user, other in batch])
            for one, reply in zip(batch, replies):
                self.world.expect(reply, f"{one[0]} of {current.name(one[1])}")
                if not isinstance(reply, Error):
                    current.missing.remove(one)
                elif is_unknown(reply):
                    raise Lost
        current.ready = True

    async def write(self, redis, current, number):
        """Each connection writes for two authors, one post at a time."""
        dice = self.world.dice_of(f"author {number}")
        while True:
            mine = [author for author in (number, number + 4) if len(current.posts[author]) < current.quota]
            if not mine:
                return
            author = dice.choice(mine)
            posts = current.posts[author]
            text = f"{current.name(author)}-{len(posts)}"
            post = Post(author, text, f"key {text}" if dice.random() < .4 else None)
            posts.append(post)
            if not await self.send(redis, current, post):
                return

    async def send(self, redis, current, post):
        """True if the post was answered."""
        key = [2, current.name(post.author), post.key] if post.key else [1, current.name(post.author)]
        reply = await redis.call("FCALL", "User.post", *key, post.text)
        if is_unknown(reply):
            return False
        if isinstance(reply, Error) and reply.code == "INTERRUPTED" and post.key:
            self.world.counts["interrupted"] += 1
            post.reply = "interrupted"
            return True
        self.world.expect(reply, f"post {post.text}")
        if is_refused(reply):
            return False
        if reply != len(current.followers(post.author)):
            raise Fault(f"post {post.text} says {reply} followers, but {len(current.followers(post.author))} were acknowledged")
        self.world.counts["posts"] += 1
        post.reply, post.acknowledged = reply, True
        return True

    async def retry(self, redis, current):
        """Keyed posts that nobody answered are sent again, with the same key; and some that were, which must give the
        same answer."""
        for posts in current.posts:
            for post in posts:
                if post.key and post.reply is None:
                    await self.send(redis, current, post)
                elif post.key and self.dice.random() < .1:
                    before = post.reply
                    await self.send(redis, current, post)
                    if post.reply != before:
                        raise Fault(f"the key of post {post.text} gave {before}, and now {post.reply}")

    async def verify(self, redis, web):
        for current in self.rounds[-3:]:
            if current.ready:
                await self.retry(redis, current)
                await self.verify_round(redis, current)

    async def read(self, redis, method, name):
        entries = self.world.expect(await redis.call("FCALL_RO", f"User.{method}", 1, name, 1000), f"{method} of {name}")
        if isinstance(entries, Error):
            raise Lost
        return [(author.decode(), text.decode()) for author, _, text in reversed(entries)]

    async def verify_round(self, redis, current):
        names = {current.name(user): user for user in range(USERS)}
        own = [[text for _, text in await self.read(redis, "posts", current.name(user))] for user in range(USERS)]
        timelines = [await self.read(redis, "timeline", current.name(user)) for user in range(USERS)]
        for author in range(USERS):
            known = [post.text for post in current.posts[author]]
            present = set(own[author])
            for post in current.posts[author]:
                count = own[author].count(post.text)
                if count > 1 or (post.acknowledged and count != 1):
                    raise Fault(f"post {post.text} ({post.reply!r}) stands {count} times in its author's posts")
            if own[author] != [text for text in known if text in present]:
                raise Fault(f"the posts of {current.name(author)} are {own[author]}, written was {known}")
            for reader in range(USERS):
                name = current.name(author)
                seen = [text for who, text in timelines[reader] if who == name]
                follows = author in current.whom[reader] or reader == author
                if not follows and seen:
                    raise Fault(f"{current.name(reader)} has posts of {name}, whom it does not follow")
                if len(seen) != len(set(seen)):
                    raise Fault(f"the timeline of {current.name(reader)} has a post of {name} twice: {seen}")
                if follows:
                    for post in current.posts[author]:
                        if post.acknowledged and post.text not in seen:
                            raise Fault(f"{current.name(reader)} lacks post {post.text}, which was acknowledged")
                if seen != [text for text in own[author] if text in seen]:
                    raise Fault(f"{current.name(reader)} has {seen} of {name}, whose posts are {own[author]}")
                if reader == author and seen != own[author]:
                    raise Fault(f"half a segment: posts and timeline of {name} differ: {own[author]}, {seen}")
        for reader in range(USERS):
            strangers = {who for who, _ in timelines[reader]} - set(names)
            if strangers:
                raise Fault(f"{current.name(reader)} has posts of {strangers}")


# --- idempotency keys ---

class Keyed:
    def __init__(self, target, key, amount):
        self.target, self.key, self.amount = target, key, amount
        self.reply = None


class Keys:
    """Counters that are only added to with keys: each is the sum of its keys' amounts."""

    def __init__(self, world):
        self.world = world
        self.used = [[] for _ in range(KEYED)]
        self.dice = random.Random(f"{world.seed} keys")

    def clients(self):
        return [self.client(n) for n in range(2)]

    def killed(self):
        pass

    async def send(self, redis, one):
        return await redis.call("FCALL", "Counter.add", 2, f"k{one.target}", one.key, one.amount)

    def answered(self, one, reply):
        self.world.expect(reply, f"keyed add to k{one.target}")
        if isinstance(reply, Error):
            return
        if one.reply is None:
            one.reply = reply
        elif one.reply != reply:
            raise Fault(f"{one.key} of k{one.target} gave {one.reply}, and now {reply}")

    async def client(self, number):
        dice = self.world.dice_of(f"keys {number}")
        redis = await AsyncRedis.open(self.world.node.resp)
        other = await AsyncRedis.open(self.world.node.resp)
        while True:
            target = dice.randrange(KEYED)
            used = self.used[target]
            if used and dice.random() < .1:
                one = dice.choice(used)  # maybe one that is under way
            else:
                one = Keyed(target, f"key{len(used)}", dice.choice([1, 1, 5]))
                used.append(one)
            if dice.random() < .2:  # the same at once from two clients
                first = self.send(redis, one)
                second = self.send(other, one)
                replies = await asyncio.gather(first, second)
            else:
                replies = [await self.send(redis, one)]
            for reply in replies:
                self.answered(one, reply)
                if is_unknown(reply):
                    return

    async def verify(self, redis, web):
        for target, used in enumerate(self.used):
            for one in used:
                if one.reply is None or self.dice.random() < .02:
                    self.answered(one, await self.send(redis, one))
            value = await redis.call("FCALL_RO", "Counter.get", 1, f"k{target}")
            want = sum(one.amount for one in used)
            if value != want:
                raise Fault(f"k{target} is {value} after keys that add {want}")
            replies = sorted(one.reply for one in used)
            if len(set(replies)) != len(replies):
                raise Fault(f"two keys of k{target} gave the same value")
            if used:
                reply = await redis.call("FCALL", "Counter.add", 2, f"k{target}", used[-1].key, used[-1].amount + 1)
                if not isinstance(reply, Error) or reply.code != "KEY_REUSED":
                    raise Fault(f"another argument under {used[-1].key} of k{target} gave {reply!r}")


# --- the bank ---

class Transfer:
    def __init__(self, source, target, amount, key):
        self.source, self.target, self.amount, self.key = source, target, amount, key

    def effects(self, kept):
        """What each possible outcome does to the balances: a list of {account: change}."""
        debit, both = {self.source: -self.amount}, {self.source: -self.amount, self.target: self.amount}
        return [debit, both] if kept else [{}, debit, both]


class Bank:
    letter, method, transfer = "a", "Account.transfer", Transfer

    def __init__(self, world):
        self.world = world
        self.balances = [DEPOSIT] * ACCOUNTS  # known exactly, but for the transfers that are open
        self.open = []
        self.outcomes = {}  # key -> (transfer, reply)

    def clients(self):
        return [self.client(n) for n in range(4)]

    def killed(self):
        pass

    def apply(self, change):
        for account, amount in change.items():
            self.balances[account] += amount

    def answered(self, transfer, reply):
        """True if its outcome is known."""
        if is_unknown(reply):
            return False
        if isinstance(reply, Error) and reply.code == "INSUFFICIENT":
            pass
        elif isinstance(reply, Error) and reply.code == "INTERRUPTED" and transfer.key:
            self.world.counts["interrupted"] += 1
            return False
        else:
            self.world.expect(reply, "transfer")
            if is_refused(reply):
                pass
            elif not isinstance(reply, int) or reply < 0:
                raise Fault(f"a transfer left a balance of {reply!r}")
            else:
                self.apply({transfer.source: -transfer.amount, transfer.target: transfer.amount})
        if transfer.key:
            self.outcomes[transfer.key] = (transfer, reply)
        return True

    def send(self, redis, transfer):
        key = [2, f"{self.letter}{transfer.source}", transfer.key] if transfer.key else [1, f"{self.letter}{transfer.source}"]
        return redis.call("FCALL", self.method, *key, f"{self.letter}{transfer.target}", transfer.amount)

    async def client(self, number):
        dice = self.world.dice_of(f"{self.method} {number}")
        redis = await AsyncRedis.open(self.world.node.resp)
        while True:
            source, target = dice.sample(range(ACCOUNTS), 2)
            key = f"{number}-{dice.getrandbits(60):x}" if dice.random() < .5 else None
            transfer = self.transfer(source, target, dice.randrange(1, 400), key)
            self.open.append(transfer)
            reply = await self.send(redis, transfer)
            if self.answered(transfer, reply):
                self.open.remove(transfer)
            elif is_unknown(reply):
                return
            else:
                raise Fault(f"a transfer that nothing cut off gave {reply}")
            if dice.random() < .2:
                account = dice.randrange(ACCOUNTS)
                balance = await redis.call("FCALL_RO", "Account.balance", 1, f"{self.letter}{account}")
                if isinstance(balance, int) and not 0 <= balance <= DEPOSIT * ACCOUNTS:
                    raise Fault(f"the balance of {self.letter}{account} is {balance}")
                await self.look(redis)

    async def look(self, redis):
        pass

    async def verify(self, redis, web):
        cut = []  # possible effects of each transfer without a known outcome
        for transfer in self.open:
            if not transfer.key:
                cut.append(transfer.effects(False))
                continue
            reply = await self.send(redis, transfer)
            if isinstance(reply, Error) and reply.code == "INTERRUPTED":
                cut.append(transfer.effects(True))
                again = await self.send(redis, transfer)
                if again != reply:
                    raise Fault(f"an interrupted transfer's key gave '{reply}', then '{again}'")
                self.outcomes[transfer.key] = (transfer, reply)
                self.world.counts["interrupted"] += 1
            elif not self.answered(transfer, reply):
                raise Lost
        self.open = []
        seen = [await redis.call("FCALL_RO", "Account.balance", 1, f"{self.letter}{account}") for account in range(ACCOUNTS)]
        if min(seen) < 0:
            raise Fault(f"a negative balance: {seen}")
        for effects in itertools.product(*cut):
            balances = list(self.balances)
            for effect in effects:
                for account, amount in effect.items():
                    balances[account] += amount
            if balances == seen:
                self.balances = balances
                break
        else:
            raise Fault(f"the balances are {seen}; no outcome of the {len(cut)} transfers without one explains that, "
                        f"with {self.balances} before them")
        for key in self.world.dice_of("old transfers").sample(sorted(self.outcomes), min(5, len(self.outcomes))):
            transfer, before = self.outcomes[key]
            reply = await self.send(redis, transfer)
            if reply != before and not is_refused(before):
                raise Fault(f"the key of a transfer gave {before!r}, and now {reply!r}")


class Move(Transfer):
    def effects(self, kept):
        if kept:
            raise Fault(f"a transaction of m{self.source} was interrupted")
        return [{}, {self.source: -self.amount, self.target: self.amount}]


class Moves(Bank):
    """The same as transactions: nobody ever sees money on its way, and none is cut off half done."""
    letter, method, transfer = "m", "Account.move", Move

    async def look(self, redis):
        others = [f"m{account}" for account in range(1, ACCOUNTS)]
        total = await redis.call("FCALL_RO", "Account.total", 1, "m0", *others)
        if isinstance(total, int) and total != DEPOSIT * ACCOUNTS:
            raise Fault(f"the accounts have {total} together, not {DEPOSIT * ACCOUNTS}")

    async def verify(self, redis, web):
        await self.look(redis)
        await super().verify(redis, web)


# --- large segments ---

class Pairs:
    def __init__(self, world):
        self.world = world
        self.possible = [{(0, 0)} for _ in range(PAIRS)]  # (number, size of the padding)
        self.next = 1

    def clients(self):
        return [self.client(n) for n in range(PAIRS)]

    def killed(self):
        pass

    async def client(self, number):
        dice = self.world.dice_of(f"pairs {number}")
        redis = await AsyncRedis.open(self.world.node.resp)
        while True:
            size = dice.choice([10, 5000, 100_000, 900_000])
            value, self.next = self.next, self.next + 1
            before = self.possible[number]
            self.possible[number] = before | {(value, size)}
            reply = await redis.call("FCALL", "Pair.set", 1, f"p{number}", value, bytes(size))
            self.world.expect(reply, "Pair.set")
            if is_refused(reply):
                self.possible[number] = before
            elif is_unknown(reply):
                return
            else:
                self.possible[number] = {(value, size)}
                if reply not in {one for one, _ in before}:
                    raise Fault(f"p{number} was {reply}, not one of {before}")
            await asyncio.sleep(dice.random() * .2)

    async def verify(self, redis, web):
        for number in range(PAIRS):
            first, size, newest, named, last = await redis.call("FCALL_RO", "Pair.get", 1, f"p{number}")
            if first != last or (first and not newest == named == b"%d" % first):
                raise Fault(f"half a segment: p{number} has {first}, {newest}, {named}, {last}")
            if (first, size) not in self.possible[number]:
                raise Fault(f"p{number} is {(first, size)}, which is not one of {self.possible[number]}")
            self.possible[number] = {(first, size)}


# --- modules ---

class Deploys:
    """Versions of one module that differ in a custom section; one in three lives deploys."""

    def __init__(self, world):
        self.world = world
        self.possible = {None}
        self.number = 0

    def clients(self):
        return [self.client()]

    def killed(self):
        pass

    async def client(self):
        dice = self.world.dice_of("deploys")
        if dice.random() < .6:
            return
        await asyncio.sleep(dice.random() * .5)
        web = await AsyncWeb.open(self.world.node.http)
        self.number += 1
        module = with_custom(guest("probe"), "variant", str(self.number).encode())
        self.possible = self.possible | {self.number}
        status, reply = await web.ask("PUT", "/v1/modules/probe", module)
        cut_off = ("unavailable", "io") if self.world.machine else ("unavailable",)  # "io": its disk is gone
        if status not in (200, 201) and reply["code"] not in cut_off:
            raise Fault(f"a deploy was answered with {reply}")
        if status in (200, 201):
            self.possible = {self.number}

    async def verify(self, redis, web):
        status, modules = await web.ask("GET", "/v1/modules")
        equal(status, 200, "status of /v1/modules")
        current = {None}
        for module in modules:
            if module["name"] == "probe":
                current = {number for number in range(1, self.number + 1)
                           if module["hash"] == sha256_of_variant(number)}
        if not current & self.possible:
            raise Fault(f"the current probe is variant {current}, not one of {self.possible}")
        self.possible = current & self.possible
        if self.possible != {None}:
            reply = await redis.call("FCALL", "Probe.who", 1, "x")
            if reply != b"a client":
                raise Fault(f"the deployed probe answers {reply!r}")


def sha256_of_variant(number):
    return hashlib.sha256(with_custom(guest("probe"), "variant", str(number).encode())).hexdigest()


# --- the whole run ---

async def run_async(kills, seed, folder, longest, machine, flags):
    world = World(seed, folder, machine=machine, flags=flags)
    begin = time.monotonic()
    try:
        await world.start()
        await world.setup()
        while world.counts["kills"] < kills:
            await world.load(.05 + world.dice.random() * longest)
            await world.start()
            await world.verify()
            world.check()
            if world.counts["kills"] % 10 == 0:
                print(f"    {world.counts['kills']} of {kills} kills, {world.counts['operations']} operations, "
                      f"{time.monotonic() - begin:.0f} s", flush=True)
        world.node.stop()
        await world.start()  # from a checkpoint of everything
        await world.verify()
        world.check()
        world.node.stop()
    finally:
        world.node.kill()
    c = world.counts
    print(f"    seed {seed}: {c['kills']} kills under load, {c['early_kills']} while recovering; {c['operations']} "
          f"operations, {c['unanswered']} cut off, {world.things.checked} checked for linearizability, {c['posts']} posts in "
          f"{len(world.posts.rounds)} rounds, {sum(map(len, world.keys.used))} keys, {c['interrupted']} interrupted")
    check(c["operations"] > kills * 20 and c["unanswered"] > 0 and c["posts"] > 0, f"hardly any load: {c}")


def run(kills, folder, seed=None, longest=1.0, machine=None, flags=()):
    """machine (power.py): its power is cut before each kill.  flags: the node's, beside those that it needs."""
    seed = random.randrange(1 << 31) if seed is None else seed
    print(f"    seed {seed} (--seed={seed} draws the same operations)", flush=True)
    asyncio.run(run_async(kills, seed, folder, longest, machine, flags))
