#!/usr/bin/env python3
"""The checker of linearizability that the kill test relies on: it must refuse wrong histories of every kind, accept right
ones, and agree with a search through all orders.  Catches a checker that cannot fail."""
import itertools
import random
import sys

from cairnproc import check, equal, main
from linear import NotLinearizable, Op, READS, final_states, thing


def refuses(label, *ops, initial=(None,)):
    try:
        states = final_states(list(ops), initial)
    except NotLinearizable:
        return
    raise AssertionError(f"{label}: was accepted, with the states {states}")


def test_wrong_histories_are_refused():
    refuses("an acknowledged add is lost", Op(("add", 1), 1, 2, 1), Op(("get",), 3, 4, 0))
    refuses("an acknowledged set is lost", Op(("set", 7), 1, 2, 0), Op(("get",), 3, 4, 0))
    refuses("the same value twice", Op(("add", 1), 1, 4, 1), Op(("add", 1), 2, 3, 1))
    refuses("an add counted twice", Op(("add", 1), 1, 2, 1), Op(("get",), 3, 4, 2))
    refuses("a value that nobody wrote", Op(("set", 1), 1, 2, 0), Op(("get",), 3, 4, 9))
    refuses("a read goes back", Op(("set", 1), 1, 10, 0), Op(("get",), 2, 3, 1), Op(("get",), 4, 5, 0))
    refuses("a read ahead of its write", Op(("get",), 1, 2, 5), Op(("set", 5), 3, 4, 0))
    refuses("order turned around", Op(("set", 1), 1, 2, 0), Op(("set", 2), 3, 4, 1), Op(("get",), 5, 6, 1))
    refuses("two successes of one cas", Op(("cas", 0, 1), 1, 4, 1), Op(("cas", 0, 2), 2, 5, 1))
    refuses("a failed cas that should have succeeded", Op(("cas", 0, 1), 1, 2, 0))
    refuses("deleted, and still seen", Op(("add", 1), 1, 2, 1), Op(("delete",), 3, 4, True), Op(("seen",), 5, 6, True))
    refuses("deleted, and still counted", Op(("add", 1), 1, 2, 1), Op(("delete",), 3, 4, True), Op(("add", 1), 5, 6, 2))
    refuses("created, and not seen", Op(("add", 1), 1, 2, 1), Op(("seen",), 3, 4, False))
    refuses("the states before are remembered", Op(("get",), 1, 2, 3), initial=(1, 2))
    # A reply that a crash took back: the read saw 1, which was never acknowledged; then 0 again.
    refuses("a reply taken back", Op(("add", 1), 1), Op(("get",), 2, 3, 1), Op(("get",), 4, 5, 0))


def test_right_histories_are_accepted():
    equal(final_states([Op(("add", 1), 1, 2, 1), Op(("get",), 3, 4, 1)]), {1}, "one after the other")
    equal(final_states([Op(("set", 1), 1, 9, 0), Op(("get",), 2, 3, 0), Op(("get",), 4, 5, 1)]), {1}, "a set between")
    equal(final_states([Op(("set", 1), 1, 9, 2), Op(("set", 2), 2, 8, 0)]), {1}, "overlapping, in the other order")
    equal(final_states([Op(("add", 1), 1), Op(("add", 1), 2)]), {None, 1, 2}, "two that were never answered")
    equal(final_states([Op(("set", 5), 1), Op(("get",), 2, 3, 0), Op(("get",), 4, 5, 5)]), {5}, "took effect, unanswered")
    equal(final_states([Op(("get",), 1, 2, 4), Op(("add", 2), 3)], (3, 4)), {4, 6}, "the read decides what was before")
    equal(final_states([Op(("delete",), 1, 2, False), Op(("seen",), 3, 4, False)]), {None}, "nothing there")


def by_all_orders(ops, initial):
    """The same answer, from all orders of all subsets of the unanswered ones."""
    done = [op for op in ops if op.returned is not None]
    never = [op for op in ops if op.returned is None and op.what[0] not in READS]
    states = set()
    for count in range(len(never) + 1):
        for some in itertools.combinations(never, count):
            for order in itertools.permutations(done + list(some)):
                if any(later.returned is not None and later.returned < earlier.invoked
                       for earlier, later in itertools.combinations(order, 2)):
                    continue
                for state in initial:
                    for op in order:
                        result, state = thing(state, op.what)
                        if op.returned is not None and result != op.result:
                            break
                    else:
                        states.add(state)
    return states


def test_agrees_with_all_orders():
    dice = random.Random(20)
    accepted = refused = 0
    for _ in range(3000):
        ops = []
        for _ in range(dice.randrange(1, 6)):
            what = dice.choice([("get",), ("add", 1), ("set", dice.randrange(3)), ("cas", dice.randrange(3), 2),
                                ("delete",), ("seen",)])
            begin = dice.randrange(100)
            if dice.random() < .25:
                ops.append(Op(what, begin))
            else:
                result = dice.random() < .5 if what[0] in ("delete", "seen") else dice.randrange(3)
                ops.append(Op(what, begin, begin + dice.randrange(1, 60), result))
        want = by_all_orders(ops, (None, 1))
        try:
            got = final_states(ops, (None, 1))
            accepted += 1
        except NotLinearizable:
            got = set()
            refused += 1
        equal(got, want, f"the states after {ops}")
    check(accepted > 300 and refused > 300, f"one-sided histories: {accepted} accepted, {refused} refused")


if __name__ == "__main__":
    sys.exit(main([test_wrong_histories_are_refused, test_right_histories_are_accepted, test_agrees_with_all_orders]))
