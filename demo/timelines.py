"""The main job: users with a skewed follower graph post, and read their timelines, and the node is killed in between.

Users follow each other, post, and read timelines through curl, redis-cli and connections of the demo's own.  The node is
killed with SIGKILL in the middle of a load, and started again.  Then every timeline is read: each post that was
acknowledged must be there, once, and nothing that nobody posted.  Timelines keep 100 entries, and nobody gets more than
90 here, so the check is complete.
"""
import collections
import random
import subprocess
import time

from node import CONNECTIONS, Broken, Figures, encode, expect_no_error, load, say, shorten

FOLLOWS = 8          # everybody follows that many others ...
POSTS_PER_AUTHOR = 10  # ... who post that often: (8 + 1) * 10 = 90 entries at most
POSTS_BEFORE_KILL = 6
PHASE_SECONDS = 12   # a slow disk shortens the load, never the check


def skewed_graph(users, dice):
    """whom[i]: the FOLLOWS others that user i follows; few are followed by many, as on real sites."""
    weights = [1 / (rank + 10) ** 0.7 for rank in range(users)]
    total, cumulated = 0.0, []
    for weight in weights:
        total += weight
        cumulated.append(total)
    whom = []
    for user in range(users):
        chosen = set()
        while len(chosen) < FOLLOWS:
            chosen.update(one for one in dice.choices(range(users), cum_weights=cumulated, k=FOLLOWS - len(chosen))
                          if one != user)
        whom.append(chosen)
    return whom


def name(user):
    return f"user{user:05}"


def posts_of(round_from, round_to, users, dice):
    """Everybody's posts of these rounds, in random order within a round: (command, tag)."""
    for turn in range(round_from, round_to):
        order = list(range(users))
        dice.shuffle(order)
        for author in order:
            text = f"{name(author)} says {turn}"
            yield encode("FCALL", "User.post", 1, name(author), text), (author, text)


class Timeline:
    """The check of what a node tells: which post must be where, and which may be."""

    def __init__(self, whom):
        self.whom = whom
        self.acknowledged = collections.defaultdict(set)  # author -> texts
        self.open = collections.defaultdict(set)          # sent, never answered: may be there

    def check(self, user, entries, faults):
        seen = collections.Counter()
        for entry in entries:
            author, _, text = entry
            seen[(author.decode(), text.decode())] += 1
        for (author, text), count in seen.items():
            number = int(author[4:])
            if count > 1:
                faults.append(f"{name(user)} has '{text}' {count} times")
            if number != user and number not in self.whom[user]:
                faults.append(f"{name(user)} has a post of {author}, whom it does not follow")
            if text not in self.acknowledged[number] and text not in self.open[number]:
                faults.append(f"{name(user)} has '{text}', which {author} never posted")
        checked = 0
        for author in self.whom[user] | {user}:
            for text in self.acknowledged[author]:
                checked += 1
                if not seen[(name(author), text)]:
                    faults.append(f"{name(user)} lacks '{text}', which was acknowledged")
        return checked


def show_clients(node, user):
    url = f"{node.environment['CAIRN_URL']}/v1/objects/User/{user}/timeline?arg=2"
    by_http = subprocess.run(["curl", "-fsS", "--max-time", "10", url], stdout=subprocess.PIPE, text=True)
    say(f"curl '{url}'")
    print(shorten(by_http.stdout))
    by_resp = subprocess.run(["redis-cli", "-p", str(node.resp), "FCALL_RO", "User.timeline", "1", user, "2"],
                             stdout=subprocess.PIPE, text=True, timeout=10)
    say(f"redis-cli -p {node.resp} FCALL_RO User.timeline 1 {user} 2")
    print(shorten(by_resp.stdout))
    if by_http.returncode or by_resp.returncode or "says" not in by_http.stdout or "says" not in by_resp.stdout:
        raise Broken("a timeline could not be read through curl and redis-cli")


def run(node, users, seed):
    dice = random.Random(seed)
    rows = []

    say(f"built and deployed functions/retwis ({node.deploy('retwis'):,} bytes)")

    whom = skewed_graph(users, dice)
    followers = collections.Counter(one for each in whom for one in each)
    figures = Figures("create")
    load(node.resp, ((encode("FCALL", "User.create", 1, name(u), f"User number {u}"), "create") for u in range(users)),
         figures, depth=16, progress=users, on_reply=expect_no_error)
    rows.append(figures)
    figures = Figures("follow")
    edges = [(user, one) for user in range(users) for one in whom[user]]
    dice.shuffle(edges)
    load(node.resp, ((encode("FCALL", "User.follow", 1, name(user), name(one)), "follow") for user, one in edges),
         figures, depth=16, progress=len(edges), on_reply=expect_no_error)
    rows.append(figures)
    say(f"{users:,} users follow {FOLLOWS} others each; the most popular has {max(followers.values()):,} followers")

    timeline = Timeline(whom)

    def posted(tag, reply):
        author, text = tag
        expect_no_error(f"post of {name(author)}", reply)
        timeline.acknowledged[author].add(text)

    figures = Figures("post")
    load(node.resp, posts_of(0, POSTS_BEFORE_KILL, users, dice), figures, seconds=PHASE_SECONDS,
         progress=users * POSTS_BEFORE_KILL, on_reply=posted)
    rows.append(figures)
    say(f"{len(figures.latencies):,} posts acknowledged, each delivered to all followers")

    figures = Figures("timeline(10)")
    load(node.resp, ((encode("FCALL_RO", "User.timeline", 1, name(dice.randrange(users)), 10), "timeline")
                     for _ in range(20000)), figures, seconds=PHASE_SECONDS / 2, on_reply=expect_no_error)
    rows.append(figures)
    popular = name(followers.most_common(1)[0][0])
    show_clients(node, popular)

    planned = users * (POSTS_PER_AUTHOR - POSTS_BEFORE_KILL)
    kill_after = dice.randrange(planned // 5, planned * 3 // 5)
    figures = Figures("post, until the kill")
    begin = time.monotonic()
    killed = False

    def posted_until_killed(tag, reply):
        nonlocal killed
        posted(tag, reply)
        if not killed and (len(figures.latencies) >= kill_after or time.monotonic() - begin > PHASE_SECONDS / 2):
            node.kill()
            killed = True

    say("posting goes on; SIGKILL in the middle of it")
    for author, text in load(node.resp, posts_of(POSTS_BEFORE_KILL, POSTS_PER_AUTHOR, users, dice), figures,
                             on_reply=posted_until_killed, may_lose=True):
        timeline.open[author].add(text)
    if not killed:
        raise Broken("the node was gone before it was killed")
    node.process.wait(timeout=30)
    rows.append(figures)
    say(f"killed after {len(figures.latencies):,} more acknowledged posts, "
        f"{sum(map(len, timeline.open.values()))} under way without an answer")
    say(f"started again, ready after {node.start() * 1000:.0f} ms")

    faults, checked, read = [], 0, 0

    own = {}  # of authors whose last post was never answered: what their own timeline has of their own posts

    def verify(user, reply):
        nonlocal checked, read
        expect_no_error(f"timeline of {name(user)}", reply)
        if timeline.open[user]:
            own[user] = {text for author, _, text in reply if author.decode() == name(user)}
        checked += timeline.check(user, reply, faults)
        read += 1

    figures = Figures("timeline(100), checked")
    load(node.resp, ((encode("FCALL_RO", "User.timeline", 1, name(user), 100), user) for user in range(users)), figures,
         progress=users, on_reply=verify)
    rows.append(figures)

    def verify_own(user, reply):
        expect_no_error(f"posts of {name(user)}", reply)
        if own[user] != {text for _, _, text in reply}:
            faults.append(f"{name(user)}'s posts and its own timeline differ: half a segment is present")

    load(node.resp, [(encode("FCALL_RO", "User.posts", 1, name(user), 100), user) for user in own], Figures("posts"),
         on_reply=verify_own)
    if read != users:
        faults.append(f"only {read} of {users} timelines could be read")
    if faults:
        raise Broken(f"{len(faults)} faults after the restart, the first:\n    " + "\n    ".join(faults[:10]))
    say(f"read all {users:,} timelines: each of {checked:,} deliveries of acknowledged posts is there, once; "
        f"no post is there by half")

    node.command("call", f"User/{popular}", "post", "still here")
    say("one more post through `cairn call`")

    print(f"\n    {'':24} {'count':>8}  {'throughput':>11}  {'p50 ms':>8}  {'p95 ms':>8}  {'p99 ms':>8}  {'max ms':>8}")
    for figures in rows:
        print(figures.row())
    print(f"    ({CONNECTIONS} connections, one request under way on each, 16 while the graph was made; every reply to a"
          f" write waited for the disk)")
