/* register_test.c - puts of blobs and their removal exclude each other.
 *
 * It would catch: a blob that may be removed while it is put, or before the write that it was put for is decided, or
 * though it was put since its folder was listed; a put that does not wait for a removal, or waits for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "keeper/register.h"

static int went_on;

static void go_on(struct keeper_claim *claim)
{
    (void)claim;
    went_on++;
}

static struct keeper_claim claim_of(uint8_t first)
{
    struct keeper_claim claim = {.hash = {first, 1, 2, 3}, .go_on = go_on};

    return claim;
}

static void test_exclusion(void **state)
{
    struct keeper_claim a = claim_of(7), again = claim_of(7), other = claim_of(8);
    struct keeper_register reg;

    (void)state;
    keeper_register_init(&reg);
    assert_true(keeper_register_put(&reg, &a));
    assert_true(keeper_register_put(&reg, &again)); /* two of one content */
    assert_false(keeper_register_take(&reg, a.hash));
    keeper_register_decided(&reg, a.hash);
    assert_false(keeper_register_take(&reg, a.hash));
    keeper_register_decided(&reg, a.hash);
    assert_true(keeper_register_take(&reg, a.hash));
    assert_false(keeper_register_take(&reg, a.hash));
    assert_true(keeper_register_put(&reg, &other)); /* of another */
    assert_false(keeper_register_put(&reg, &a));
    assert_false(keeper_register_put(&reg, &again));
    assert_int_equal(went_on, 0);
    keeper_register_give(&reg, a.hash);
    assert_int_equal(went_on, 2);
    assert_false(keeper_register_take(&reg, a.hash)); /* they are in it now */
    keeper_register_decided(&reg, a.hash);
    keeper_register_decided(&reg, a.hash);
    keeper_register_decided(&reg, other.hash);
    assert_int_equal(reg.entries.count, 0);
    keeper_register_done(&reg);
}

static void test_recent(void **state)
{
    struct keeper_claim a = claim_of(7), other = claim_of(8);
    struct keeper_register reg;

    (void)state;
    keeper_register_init(&reg);
    keeper_register_begin(&reg, 7);
    assert_true(keeper_register_put(&reg, &a));
    assert_true(keeper_register_put(&reg, &other));
    keeper_register_decided(&reg, a.hash);
    keeper_register_decided(&reg, other.hash);
    assert_false(keeper_register_take(&reg, a.hash)); /* what was listed before that is not true any more */
    assert_true(keeper_register_take(&reg, other.hash));
    keeper_register_give(&reg, other.hash);
    keeper_register_begin(&reg, 7);
    assert_true(keeper_register_take(&reg, a.hash));
    keeper_register_give(&reg, a.hash);
    keeper_register_begin(&reg, -1);
    assert_int_equal(reg.entries.count, 0);
    keeper_register_done(&reg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exclusion), cmocka_unit_test(test_recent)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
