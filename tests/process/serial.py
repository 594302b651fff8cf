"""Is a history of transactions serializable, in an order that agrees with the clock?

Elle's list-append (Kingsbury, Alvaro, "Elle: inferring isolation anomalies from experimental observations", 2020): a
transaction appends its own number to some lists and reads others, and tells what it saw.  A list's order is that of its
writers (ww); who saw so much of a list stands behind the last writer that it saw (wr) and before the next (rw); and one
that began after another had ended stands behind it.  A serial order exists if and only if nothing stands before itself.
"""


class NotSerializable(Exception):
    """The text tells what no order explains."""


class Transaction:
    """`appends`: to which lists.  `reads`: {list: (how many entries it saw, the last of them or None)}, before its own;
    None: its outcome is not known.  Moments are numbers that grow; `ended` None: never answered."""

    __slots__ = ("number", "appends", "reads", "begun", "ended", "failed")

    def __init__(self, number, appends, reads=None, begun=0, ended=None, failed=False):
        self.number, self.appends, self.reads = number, set(appends), reads
        self.begun, self.ended, self.failed = begun, ended, failed

    def __repr__(self):
        return f"[{self.number}: {self.begun}..{self.ended} appends {sorted(self.appends)} saw {self.reads}]"


def check_entries(transactions, lists):
    """All of a transaction is there, or nothing, and once.  Returns the numbers of those that have happened."""
    by_number = {t.number: t for t in transactions}
    happened = {t.number for t in transactions if t.reads is not None}
    for name, entries in lists.items():
        if len(set(entries)) < len(entries):
            raise NotSerializable(f"{name}: one has appended twice: {entries}")
        for number in entries:
            t = by_number.get(number)
            if t is None or name not in t.appends:
                raise NotSerializable(f"{name}: nobody has appended {number}")
            if t.failed:
                raise NotSerializable(f"{name}: {t} has failed, and left something")
            happened.add(number)
    for number in happened:
        for name in by_number[number].appends:
            if number not in lists.get(name, ()):
                raise NotSerializable(f"{by_number[number]} has happened, and {name} lacks it")
    return happened


def edges_of(transactions, lists, happened):
    """{number: those that stand behind it}; moments stand between those that ended before and began after."""
    edges = {number: set() for number in happened}
    for entries in lists.values():
        for before, behind in zip(entries, entries[1:]):
            edges[before].add(behind)
    for t in transactions:
        if t.reads is None:
            continue
        for name, (count, last) in t.reads.items():
            entries = lists.get(name, [])
            if count > len(entries) or (count and entries[count - 1] != last):
                raise NotSerializable(f"{t} saw in {name} what was not there: {entries}")
            if count:
                edges[last].add(t.number)
            if count < len(entries) and entries[count] != t.number:
                edges[t.number].add(entries[count])
    moments = sorted([(t.begun, 0, t.number) for t in transactions if t.number in happened] +
                     [(t.ended, 1, t.number) for t in transactions if t.number in happened and t.ended is not None])
    now = ("moment", 0)
    edges[now] = set()
    for _, ends, number in moments:
        if not ends:
            edges[now].add(number)
        else:
            then, now = now, ("moment", now[1] + 1)
            edges[now] = set()
            edges[then].add(now)
            edges[number].add(now)
    return edges


def find_circle(edges):
    """Some that stand before themselves, or None; depth first, without recursion."""
    done, path, place = set(), [], {}
    for first in edges:
        if first in done:
            continue
        stack = [(first, iter(edges[first]))]
        path.append(first)
        place[first] = 0
        while stack:
            at, rest = stack[-1]
            behind = next(rest, None)
            if behind is None:
                stack.pop()
                path.pop()
                del place[at]
                done.add(at)
            elif behind in place:
                return path[place[behind]:]
            elif behind not in done:
                place[behind] = len(path)
                path.append(behind)
                stack.append((behind, iter(edges[behind])))
    return None


def check_serial(transactions, lists):
    """Raises NotSerializable.  `lists`: {name: all entries, at the end}.  Returns how many have happened."""
    happened = check_entries(transactions, lists)
    circle = find_circle(edges_of(transactions, lists, happened))
    if circle:
        by_number = {t.number: t for t in transactions}
        raise NotSerializable("each stands before the next, and the last before the first: " +
                              ", ".join(str(by_number.get(at, at)) for at in circle))
    return len(happened)
