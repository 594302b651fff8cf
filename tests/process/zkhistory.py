"""Does what clients of a ZooKeeper were told follow from one order of their writes?

A history has for each session what it sent and was told, in that order, with the moments.  Checked is what ZooKeeper
guarantees: writes are linearizable, and their zxids are the order; a session's requests take effect in the order sent;
what a session has seen does not go back, also when it connects again; an event comes before any reply that shows the
change.  What was not answered has happened, or not.  Data is unique, so that a write is known by what it wrote.
"""
import collections

Sent = collections.namedtuple("Sent", "moment number request")    # request: (name, path, ...), as zkwire's
Got = collections.namedtuple("Got", "moment number reply")        # zkwire.Reply
Told = collections.namedtuple("Told", "moment event")             # zkwire.Event
Again = collections.namedtuple("Again", "moment")                 # a new connection: watches are gone
WRITES = ("set", "create", "delete")


class Broken(AssertionError):
    """A guarantee does not hold; the text tells which."""


Write = collections.namedtuple("Write", "zxid invoked returned session number request reply")


def writes_of(sessions):
    """Those that were answered well, by zxid; and those that were not answered."""
    done, open_ = {}, []
    for number, items in enumerate(sessions):
        sent = {item.number: item for item in items if isinstance(item, Sent)}
        for item in items:
            if not isinstance(item, Got):
                continue
            was = sent.pop(item.number)
            if was.request[0] in WRITES and not item.reply.error:
                zxid = item.reply.zxid
                if zxid in done:
                    raise Broken(f"two writes have the zxid {zxid:#x}: {was.request} and {done[zxid].request}")
                done[zxid] = Write(zxid, was.moment, item.moment, number, item.number, was.request, item.reply)
        open_ += [was.request for was in sent.values() if was.request[0] in WRITES]
    return done, open_


def check_order(done):
    """One write is answered before another is sent: its zxid is less.  A session's go up."""
    latest, last = 0, collections.defaultdict(int)
    for zxid in sorted(done):
        write = done[zxid]
        if latest > write.returned:
            raise Broken(f"{write.request} was answered before one was sent that has a lesser zxid than {zxid:#x}")
        if last[write.session] > write.number:
            raise Broken(f"session {write.session} sent {write.request} before one with a lesser zxid than {zxid:#x}")
        latest, last[write.session] = max(latest, write.invoked), write.number


def facts_of(sessions, done):
    """{path: {version: (mzxid, data or None)}}, of all that anybody was told."""
    facts = collections.defaultdict(dict)

    def learn(path, stat, data):
        mzxid, known = facts[path].get(stat.version, (stat.mzxid, data))
        if mzxid != stat.mzxid or (data is not None and known is not None and data != known):
            raise Broken(f"{path} was version {stat.version} twice: {known!r} at {mzxid:#x}, {data!r} at {stat.mzxid:#x}")
        facts[path][stat.version] = (mzxid, known if data is None else data)

    for write in done.values():
        if write.request[0] == "set":
            learn(write.request[1], write.reply.body[0], write.request[2])
            if write.request[3] >= 0 and write.reply.body[0].version != write.request[3] + 1:
                raise Broken(f"{write.request} has made version {write.reply.body[0].version}")
    for items in sessions:
        sent = {item.number: item.request for item in items if isinstance(item, Sent)}
        for item in items:
            if isinstance(item, Got) and sent[item.number][0] == "get" and not item.reply.error:
                learn(sent[item.number][1], item.reply.body[1], item.reply.body[0])
    return facts


def check_facts(facts, done, open_):
    """Versions go up with zxids, one by one, and each is what somebody wrote."""
    may_have = {request[2] for request in open_ if request[0] == "set"}
    for path, versions in facts.items():
        before = None
        for version in sorted(versions):
            mzxid, data = versions[version]
            if before is not None and mzxid <= before:
                raise Broken(f"{path}: version {version} has the zxid {mzxid:#x}, one before it has {before:#x}")
            before = mzxid
            write = done.get(mzxid)
            if version > 0 and (write.request[1:3] != (path, data) if write else data is not None and data not in may_have):
                raise Broken(f"{path}: nobody wrote {data!r}, which is version {version} at {mzxid:#x}")
        missing = max(versions) + 1 - len(versions)
        unanswered = sum(request[:2] == ("set", path) for request in open_)
        if missing > unanswered + (0 not in versions):
            raise Broken(f"{path}: {missing} versions are of no write that anybody knows of")


def check_session(items):
    """What it has seen does not go back; its own writes are seen; events come before what shows the change."""
    sent = {item.number: item.request for item in items if isinstance(item, Sent)}
    seen, nodes, armed = 0, {}, {}
    for item in items:
        if isinstance(item, Again):
            armed = {}
        elif isinstance(item, Told):
            armed.pop(item.event.path, None)
        elif isinstance(item, Got):
            request, reply = sent[item.number], item.reply
            if reply.zxid < seen:
                raise Broken(f"{request} was answered at {reply.zxid:#x}, and {seen:#x} was seen before")
            seen = reply.zxid
            if reply.error or request[0] not in ("get", "set"):
                continue
            path, stat = request[1], reply.body[-1]
            if stat.mzxid < nodes.get(path, 0):
                raise Broken(f"{path} was seen at {nodes[path]:#x}, and then at {stat.mzxid:#x}")
            nodes[path] = stat.mzxid
            if armed.get(path, stat.mzxid) != stat.mzxid:
                raise Broken(f"{path} has changed at {stat.mzxid:#x}, and the event has not come before {request}'s reply")
            if request[0] == "get" and request[2]:
                armed[path] = stat.mzxid


def check_sequences(done):
    names = collections.Counter(write.reply.body[0] for write in done.values() if write.request[0] == "create")
    for name, count in names.items():
        if count > 1:
            raise Broken(f"{name} was given {count} times")


def check_history(sessions):
    """Raises Broken.  Returns how many writes were answered, and how many were not."""
    done, open_ = writes_of(sessions)
    check_order(done)
    check_facts(facts_of(sessions, done), done, open_)
    for items in sessions:
        check_session(items)
    check_sequences(done)
    return len(done), len(open_)
