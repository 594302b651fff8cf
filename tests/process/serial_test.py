#!/usr/bin/env python3
"""The checker of serializability that the test of transactions relies on: it must refuse wrong histories of every kind,
accept right ones, and agree with a search through all orders.  Catches a checker that cannot fail."""
import itertools
import random
import sys

from cairnproc import check, equal, main
from serial import NotSerializable, Transaction, check_serial


def refuses(label, lists, *transactions):
    try:
        check_serial(list(transactions), lists)
    except NotSerializable:
        return
    raise AssertionError(f"{label}: was accepted")


def test_wrong_histories_are_refused():
    t = Transaction
    refuses("write skew", {"a": [1], "b": [2]}, t(1, "a", {"b": (0, None)}), t(2, "b", {"a": (0, None)}))
    refuses("a lost update", {"a": [2]}, t(1, "a", {"a": (0, None)}), t(2, "a", {"a": (0, None)}))
    refuses("both saw nothing", {"a": [1, 2]}, t(1, "a", {"a": (0, None)}), t(2, "a", {"a": (0, None)}))
    refuses("half of one is seen", {"a": [1], "b": [1]}, t(1, "ab", {}), t(2, "", {"a": (1, 1), "b": (0, None)}))
    refuses("half of one is there", {"a": [1], "b": []}, t(1, "ab"))
    refuses("one that failed is there", {"a": [1]}, t(1, "a", failed=True))
    refuses("an acknowledged one is lost", {"a": []}, t(1, "a", {}))
    refuses("twice", {"a": [1, 1]}, t(1, "a", {}))
    refuses("by nobody", {"a": [3]}, t(1, "a"))
    refuses("not to that list", {"a": [1], "b": [1]}, t(1, "a", {}))
    refuses("seen, and gone", {"a": [2]}, t(1, "a"), t(2, "a", {"a": (1, 1)}))
    refuses("another's entry", {"a": [1, 2]}, t(1, "a", {}), t(2, "a", {"a": (1, 2)}))
    refuses("more than there ever was", {"a": [1]}, t(1, "a", {}), t(2, "", {"a": (2, 1)}))
    refuses("lists in two orders", {"a": [1, 2], "b": [2, 1]}, t(1, "ab", {}), t(2, "ab", {}))
    refuses("three in a circle", {"a": [1], "b": [2], "c": [3]}, t(1, "a", {"b": (0, None)}),
            t(2, "b", {"c": (0, None)}), t(3, "c", {"a": (0, None)}))
    refuses("against the clock", {"a": [2, 1]}, t(1, "a", {}, 0, 1), t(2, "a", {}, 2, 3))
    refuses("a read behind the clock", {"a": [1]}, t(1, "a", {}, 0, 1), t(2, "", {"a": (0, None)}, 2, 3))
    refuses("one that was cut off is seen against the clock", {"a": [1], "b": [3]}, t(1, "a", None, 5),
            t(2, "", {"a": (1, 1)}, 0, 2), t(3, "b", {}, 3, 4))


def test_right_histories_are_accepted():
    t = Transaction
    equal(check_serial([], {}), 0, "nothing")
    equal(check_serial([t(1, "ab", {"a": (0, None)}, 0, 1), t(2, "a", {"a": (1, 1), "b": (1, 1)}, 2, 3)],
                       {"a": [1, 2], "b": [1]}), 2, "one after the other")
    equal(check_serial([t(1, "a", {}, 0, 9), t(2, "", {"a": (0, None)}, 2, 3), t(3, "", {"a": (1, 1)}, 4, 5)],
                       {"a": [1]}), 3, "between two readers")
    equal(check_serial([t(1, "ab", None, 0), t(2, "ab", None, 0)], {"a": [2], "b": [2]}), 1, "one of two cut off")
    equal(check_serial([t(1, "a", {}, 0, 5), t(2, "a", {}, 4, 6)], {"a": [2, 1]}), 2, "overlapping, in the other order")


def by_all_orders(transactions, lists):
    """The same answer, from all orders: each explains what was seen, or not."""
    happened = [t for t in transactions if t.reads is not None or any(t.number in e for e in lists.values())]
    for order in itertools.permutations(happened):
        if any(b.ended is not None and b.ended < a.begun for a, b in itertools.combinations(order, 2)):
            continue
        state, good = {}, True
        for t in order:
            for name, (count, last) in (t.reads or {}).items():
                entries = state.get(name, [])
                good &= len(entries) == count and (not count or entries[-1] == last)
            for name in t.appends:
                state.setdefault(name, []).append(t.number)
        if good and all(state.get(name, []) == entries for name, entries in lists.items()) and set(state) <= set(lists):
            return True
    return False


def test_agrees_with_all_orders():
    dice = random.Random(31)
    accepted = refused = 0
    for _ in range(3000):
        transactions, state = [], {"a": [], "b": []}
        count = dice.randrange(1, 6)
        order = sorted(range(1, count + 1), key=lambda _: dice.random())
        for at, number in enumerate(order):
            begun = max(0, 2 * at - dice.randrange(4))
            t = Transaction(number, dice.choice(["a", "b", "ab", ""]), {}, begun, 2 * at + 1 + dice.randrange(3))
            for name in "ab":
                if dice.random() < .6:
                    t.reads[name] = (len(state[name]), state[name][-1] if state[name] else None)
            for name in t.appends:
                state[name].append(number)
            if dice.random() < .2:
                t.reads, t.ended = None, None
            transactions.append(t)
        if dice.random() < .6:  # something is wrong, perhaps
            t = dice.choice(transactions)
            if t.reads and dice.random() < .7:
                name = dice.choice(sorted(t.reads))
                seen = dice.randrange(len(state[name]) + 1)
                t.reads[name] = (seen, state[name][seen - 1] if seen else None)
            elif dice.random() < .5:
                dice.shuffle(state[dice.choice("ab")])
            else:
                t.begun, t.ended = 20, 21
        try:
            check_serial(transactions, state)
            got = True
            accepted += 1
        except NotSerializable:
            got = False
            refused += 1
        equal(got, by_all_orders(transactions, state), f"{transactions} {state}")
    check(accepted > 300 and refused > 300, f"one-sided histories: {accepted} accepted, {refused} refused")


if __name__ == "__main__":
    sys.exit(main([test_wrong_histories_are_refused, test_right_histories_are_accepted, test_agrees_with_all_orders]))
