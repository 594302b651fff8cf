/* Would catch: a purse that takes from the budget at every charge, or from the budget and not from its parent; a charge
 * that is in the purse and not in the budget; a budget that is used up and does not say so; bytes that are not given
 * back, also when one purse is charged and another releases; and results that are no part of what an account holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/random.h"

enum { CHUNK = CAIRN_PURSE_CHUNK };

static void test_draw(void **state)
{
    struct cairn_budget node = {.limit = 1 << 20}, part = {.parent = &node, .limit = 1 << 20};
    struct cairn_purse purse = {.budget = &part};

    (void)state;
    cairn_purse_add(&purse, 100);
    assert_int_equal(cairn_budget_used(&part), 100 + CHUNK);
    assert_int_equal(cairn_budget_used(&node), 100 + CHUNK);
    cairn_purse_add(&purse, CHUNK);
    assert_int_equal(cairn_budget_used(&node), 100 + CHUNK); /* from the purse */
    cairn_purse_add(&purse, 1);
    assert_int_equal(cairn_budget_used(&part), 101 + 2 * CHUNK);
    assert_int_equal(cairn_budget_used(&node), 101 + 2 * CHUNK);
    assert_int_equal(purse.spent, 101 + CHUNK);
}

static void test_refuse_and_give_back(void **state)
{
    struct cairn_budget node = {.limit = 1 << 20};
    struct cairn_purse purse = {.budget = &node};

    (void)state;
    cairn_purse_add(&purse, (1 << 19) - CHUNK - 1);
    assert_false(cairn_budget_over(&node, 4));
    cairn_purse_add(&purse, CHUNK + 1);
    assert_true(cairn_budget_over(&node, 4));
    assert_false(cairn_budget_over(&node, 8));
    cairn_purse_add(&purse, 1 << 20); /* never fails: what has begun is let through */
    assert_true(cairn_budget_over(&node, 8));
    cairn_purse_add(&purse, -(1 << 20) - (1 << 19));
    assert_int_equal(purse.spent, 0);
    assert_in_range(cairn_budget_used(&node), 0, 2 * CHUNK);
    assert_false(cairn_budget_over(&node, 4));
}

/* What one thread charges another releases. */
static void test_another_purse_releases(void **state)
{
    struct cairn_budget node = {.limit = 1 << 20};
    struct cairn_purse purses[2] = {{.budget = &node}, {.budget = &node}};
    struct cairn_random random;
    int64_t kept = 0;

    (void)state;
    cairn_random_init(&random, 1);
    for (int i = 0; i < 20000; i++) {
        int64_t bytes = (int64_t)cairn_random_below(&random, 3 * CHUNK);

        if (bytes > kept || kept < 10 * CHUNK) {
            cairn_purse_add(&purses[0], bytes);
            kept += bytes;
        } else {
            cairn_purse_add(&purses[1], -bytes);
            kept -= bytes;
        }
        assert_int_equal(purses[0].spent + purses[1].spent, kept);
        assert_int_equal(cairn_budget_used(&node), purses[0].taken + purses[1].taken);
        assert_in_range(cairn_budget_used(&node), kept, kept + 4 * CHUNK);
    }
    cairn_purse_add(&purses[1], -kept);
    assert_true(purses[1].spent < 0);
    assert_in_range(cairn_budget_used(&node), 0, 4 * CHUNK);
}

static void test_account(void **state)
{
    struct cairn_account account = {.limit = 1000};

    (void)state;
    atomic_store(&account.held, 600);
    assert_false(cairn_account_full(&account));
    atomic_store(&account.results, 400);
    assert_true(cairn_account_full(&account));
    atomic_store(&account.held, 599);
    assert_false(cairn_account_full(&account));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_refuse_and_give_back),
        cmocka_unit_test(test_another_purse_releases),
        cmocka_unit_test(test_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
