"""Is a history of operations on one object linearizable?

A history is a list of Op.  The checker goes through its events in the order of time and keeps every pair (state, open
operations that have taken effect already) that explains what was seen so far; when an operation returns, only pairs in
which it has taken effect, with the result that was seen, can stay.  If none is left there is no explanation.  This is
the search of Wing & Gong ("Testing and verifying concurrent objects", 1993) breadth first, as Lowe's just-in-time
linearization ("Testing for linearizability", 2017); breadth first, so that at its end all states are known in which the
object may be.

Operations whose reply never came have taken effect at some moment before the end of the history (the process was
killed then), or not at all.
"""


class NotLinearizable(Exception):
    """The text tells which operation no order explains."""


class Op:
    """`what` is the model's: a tuple (name, arguments...).  Moments are numbers that grow."""

    __slots__ = ("what", "invoked", "returned", "result")

    def __init__(self, what, invoked, returned=None, result=None):
        self.what, self.invoked, self.returned, self.result = what, invoked, returned, result

    def __repr__(self):
        seen = f" = {self.result!r} at {self.returned}" if self.returned is not None else ", never answered"
        return f"[{self.invoked} {self.what[0]}{self.what[1:]!r}{seen}]"


def thing(state, what):
    """The objects of functions/register, and that they come into being and are deleted: state None is no object.

    Returns (result, next state)."""
    value = state if state is not None else 0
    name = what[0]
    if name == "get":
        return value, state
    if name == "add":
        return value + what[1], value + what[1]
    if name == "set":
        return value, what[1]
    if name == "cas":
        return (1, what[2]) if value == what[1] else (0, state)
    if name == "delete":
        return state is not None, None
    if name == "seen":
        return state is not None, state
    raise ValueError(name)


READS = ("get", "seen")


def final_states(ops, initial=(None,), model=thing):
    """The states in which the object may be after this history.  Raises NotLinearizable."""
    events = []
    for number, op in enumerate(ops):
        if op.returned is not None:
            events.append((op.returned, 1, number))
        elif op.what[0] in READS:
            continue  # told nobody anything
        events.append((op.invoked, 0, number))
    events.sort()

    configurations = {(state, frozenset()) for state in initial}
    opened = {}
    for moment, is_return, number in events:
        op = ops[number]
        if not is_return:
            opened[number] = op
            continue
        kept, seen = set(), set(configurations)
        stack = list(configurations)
        while stack:
            state, done = stack.pop()
            if number in done:
                kept.add((state, done - {number}))
                continue
            for other, candidate in opened.items():
                if other in done:
                    continue
                result, after = model(state, candidate.what)
                if candidate.returned is not None and result != candidate.result:
                    continue
                configuration = (after, done | {other})
                if configuration not in seen:
                    seen.add(configuration)
                    stack.append(configuration)
        if not kept:
            recent = sorted((o for o in ops if o.returned is not None and o.returned < moment),
                            key=lambda o: o.returned)[-6:]
            raise NotLinearizable(
                f"nothing explains {op!r}; the state before may be {sorted({s for s, _ in configurations}, key=str)[:8]}, "
                f"open: {[o for n, o in opened.items() if n != number]}, before: {recent}")
        configurations = kept
        del opened[number]

    stack, seen = list(configurations), set(configurations)
    while stack:  # what was never answered may have happened
        state, done = stack.pop()
        for other, candidate in opened.items():
            if other not in done:
                configuration = (model(state, candidate.what)[1], done | {other})
                if configuration not in seen:
                    seen.add(configuration)
                    stack.append(configuration)
    return {state for state, _ in seen}
