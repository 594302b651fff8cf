"""The second job: a shop, a bank, a leaderboard and a rate limiter, and the node is killed in between.

Customers fill carts and check out, payments wait for a word from outside, and money moves between accounts, all at once,
when the node is killed with SIGKILL and started again.  Then the payments that waited get their word over HTTP, and go
on where they were; the other orders are cancelled.  What was put into each stock must be left, held or sold, to the
piece; each order that was paid must have one receipt; and no money may have appeared or vanished.
"""
import collections
import random
import subprocess
import time

from node import Broken, Connection, Figures, RespError, encode, expect_no_error, load, say

ITEMS, PIECES = 40, 30
CUSTOMERS = 400
PAYMENTS = 60
WORD = '{"ok": true}'
ACCOUNTS, BALANCE, MOVES = 200, 1000, 4000
PLAYERS = 5000
TAKES, BURST = 400, 25


def item(number):
    return f"item{number:02}"


def ask(node, requests, on_reply=expect_no_error, **more):
    """Sends (command, tag) each and waits for all replies; returns what has none."""
    return load(node.resp, requests, Figures("requests"), depth=8, on_reply=on_reply, **more)


def answers(node, requests):
    """The replies of (command, tag) each, by tag."""
    replies = {}

    def keep(tag, reply):
        expect_no_error(tag, reply)
        replies[tag] = reply

    ask(node, requests, keep)
    return replies


def fill(node, dice):
    ask(node, ((encode("FCALL", "Stock.put", 1, item(i), PIECES, 100 + i), "put") for i in range(ITEMS)))
    ask(node, ((encode("FCALL", "Cart.add", 1, f"customer{c}", item(i), dice.randint(1, 3)), "add")
               for c in range(CUSTOMERS) for i in dice.sample(range(ITEMS), dice.randint(1, 3))))
    ask(node, ((encode("FCALL", "Account.deposit", 1, f"account{a}", BALANCE), "deposit") for a in range(ACCOUNTS)))


def work_until_killed(node, dice):
    """Checkouts, and money that moves.  Returns how many of both were acknowledged."""
    requests = [(encode("FCALL", "Cart.checkout", 2, f"customer{c}", f"order{c}"), "checkout") for c in range(CUSTOMERS)]
    for _ in range(MOVES):
        a, b = dice.sample(range(ACCOUNTS), 2)
        requests.append((encode("FCALL", "Account.move", 1, f"account{a}", f"account{b}", dice.randint(1, 300)), "move"))
    dice.shuffle(requests)
    kill_after = dice.randrange(len(requests) // 3, len(requests) * 2 // 3)
    done = collections.Counter()
    refused = collections.Counter()
    figures = Figures("requests")

    def answered(tag, reply):
        if isinstance(reply, RespError):
            code = reply.split(" ", 1)[0]
            if code not in ("SOLD_OUT", "INSUFFICIENT", "CONFLICT"):
                raise Broken(f"{tag}: {reply}")
            refused[code] += 1
        else:
            done[tag] += 1
        if sum(done.values()) + sum(refused.values()) == kill_after:
            node.kill()

    lost = load(node.resp, requests, figures, depth=2, on_reply=answered, may_lose=True)
    node.process.wait(timeout=30)
    say(f"killed after {done['checkout']:,} checkouts and {done['move']:,} moves of money, "
        f"{len(lost)} under way; refused: {dict(refused)}")


def begin_payments(node, orders):
    """Sends the payments of these orders, and does not wait: each ends when its promise is settled."""
    connection = Connection(node.resp)
    for c in orders:
        connection.send(encode("FCALL", "Payment.pay", 1, f"order{c}"))
    return connection


def promises(node, orders):
    """The id of each order's promise, once all payments wait for theirs."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ids = answers(node, ((encode("FCALL_RO", "Payment.promise", 1, f"order{c}"), c) for c in orders))
        if all(ids.values()):
            return {c: of.decode() for c, of in ids.items()}
        time.sleep(0.05)
    raise Broken("payments do not come to wait within 20 seconds")


def settle(node, ids):
    """Says the word for each promise, over HTTP, as a payment provider would."""
    for number, promise in enumerate(ids.values()):
        url = f"{node.environment['CAIRN_URL']}/v1/promises/{promise}"
        if number == 0:
            say(f"curl -X POST {url} -d '{WORD}'")
        done = subprocess.run(["curl", "-fsS", "--max-time", "10", "-X", "POST", url, "-d", WORD],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Broken(f"a promise could not be settled: {done.stdout}")


def wait_until_paid(node, orders):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        states = answers(node, ((encode("FCALL_RO", "Order.state", 1, f"order{c}"), c) for c in orders))
        receipts = answers(node, ((encode("FCALL_RO", "Mailbox.receipts", 1, f"customer{c}"), c) for c in orders))
        if all(state == b"paid" for state in states.values()) and all(receipts.values()):
            return
        time.sleep(0.05)
    raise Broken(f"not all of {len(orders)} payments ended well within 20 seconds")


def pay(node, orders):
    """Pays these orders, and kills the node while all of them wait."""
    connection = begin_payments(node, orders)
    ids = promises(node, orders)
    node.kill()
    node.process.wait(timeout=30)
    connection.close()
    say(f"killed again while {len(ids)} payments waited for their word; ready after {node.start() * 1000:.0f} ms")
    settle(node, ids)
    wait_until_paid(node, orders)


def check(node, paid):
    stocks = answers(node, ((encode("FCALL_RO", "Stock.counts", 1, item(i)), i) for i in range(ITEMS)))
    for i, (left, held, sold) in stocks.items():
        if left + held + sold != PIECES or held != 0 or left < 0:
            raise Broken(f"{item(i)}: of {PIECES} pieces {left} are left, {held} held, {sold} sold")
    sold = sum(counts[2] for counts in stocks.values())
    receipts = answers(node, ((encode("FCALL_RO", "Mailbox.receipts", 1, f"customer{c}"), c) for c in range(CUSTOMERS)))
    for c, texts in receipts.items():
        want = 1 if c in paid else 0
        if len(texts) != want:
            raise Broken(f"customer{c} has {len(texts)} receipts for {want} paid orders")
    accounts = answers(node, ((encode("FCALL_RO", "Account.balance", 1, f"account{a}"), a) for a in range(ACCOUNTS)))
    if sum(accounts.values()) != ACCOUNTS * BALANCE or min(accounts.values()) < 0:
        raise Broken(f"the accounts have {sum(accounts.values())} together, and were given {ACCOUNTS * BALANCE}")
    say(f"{sold} pieces are sold in {len(paid)} paid orders, each with one receipt, all others are left; "
        f"{ACCOUNTS} accounts have {ACCOUNTS * BALANCE:,} together, as before")


def board(node, dice):
    points = {f"player{p}": dice.randrange(100000) for p in range(PLAYERS)}
    figures = Figures("score")
    load(node.resp, ((encode("FCALL", "Board.score", 1, "all", player, of), "score") for player, of in points.items()),
         figures, depth=4, on_reply=expect_no_error)
    top = answers(node, [(encode("FCALL_RO", "Board.top", 1, "all", 10), "top")])["top"]
    best = sorted(points.items(), key=lambda one: (-one[1], one[0]))[:10]
    if [(player.decode(), of) for player, of in top] != best:
        raise Broken(f"the best ten are {top}, and should be {best}")
    say(f"a leaderboard of {PLAYERS:,} players has the right ten on top")


def limit(node):
    allowed = collections.Counter()

    def taken(tag, reply):
        expect_no_error(tag, reply)
        allowed[reply[0]] += 1

    ask(node, ((encode("FCALL", "Limiter.take", 1, "demo", BURST, 1, 3600000), "take") for _ in range(TAKES)), taken)
    if allowed[1] != BURST:
        raise Broken(f"a bucket of {BURST} tokens gave {allowed[1]}")
    say(f"a rate limiter let {BURST} of {TAKES} requests through, which is its burst")


def run(node, seed):
    dice = random.Random(seed)
    for function in ("shop", "bank", "leaders", "limiter"):
        node.deploy(function)
    fill(node, dice)
    say(f"built and deployed shop, bank, leaders and limiter; {CUSTOMERS} customers have filled their carts")
    work_until_killed(node, dice)
    say(f"started again, ready after {node.start() * 1000:.0f} ms")
    orders = answers(node, ((encode("FCALL_RO", "Order.state", 1, f"order{c}"), c) for c in range(CUSTOMERS)))
    opened = [c for c, state in orders.items() if state]
    if any(orders[c] != b"open" for c in opened):
        raise Broken("an order is neither open nor unknown right after checking out")
    paid = set(opened[:PAYMENTS])
    pay(node, sorted(paid))
    ask(node, ((encode("FCALL", "Order.cancel", 1, f"order{c}"), f"order{c}") for c in opened if c not in paid))
    check(node, paid)
    board(node, dice)
    limit(node)
