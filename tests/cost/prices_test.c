/* Would catch: a price list that is read wrongly, one that lacks a price or has nonsense and is taken, a message that
 * does not say where; a list in the binary that cannot be read; sizes that are not priced by what is begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cost/keeper.h"

#define GOOD                                                                                                         \
    "# a comment\nname test\ndate 2024-01-02\nsource somewhere & elsewhere\n\nobject-write 5e-6\nobject-read 4e-7\n" \
    "entry-write 0.00000125 per 1024\nentry-read 0.25 per 4096\nmessage 0.5 per 65536\ncall 0.2\ngb-second 1.5\n"

static const struct {
    const char *label, *text, *want;
} bad[] = {
    {"nothing", "", "'name' is missing"},
    {"unknown", GOOD "disk 1\n", "line 13: there is no price 'disk'"},
    {"twice", GOOD "call 1\n", "line 13: 'call' is there a second time"},
    {"negative", GOOD "gb-second-arm -1\n", "line 13: 'gb-second-arm' wants a number that is not negative"},
    {"no number", GOOD "gb-second-arm free\n", "line 13: 'gb-second-arm' wants a number that is not negative"},
    {"infinite", GOOD "gb-second-arm 1e999\n", "line 13: 'gb-second-arm' wants a number that is not negative"},
    {"half a number", GOOD "gb-second-arm 1x\n", "line 13: 'gb-second-arm' wants a number that is not negative"},
    {"two numbers", GOOD "gb-second-arm 1 2\n", "line 13: 'gb-second-arm' wants a number that is not negative"},
    {"no value", GOOD "gb-second-arm\n", "line 13: 'gb-second-arm' wants a number that is not negative"},
    {"no size", "message 1\n", "line 1: 'message' wants a number, 'per', and a number of bytes"},
    {"a size of 0", "message 1 per 0\n", "line 1: 'message' wants a number, 'per', and a number of bytes"},
    {"half a byte", "message 1 per 1.5\n", "line 1: 'message' wants a number, 'per', and a number of bytes"},
    {"too many bytes", "message 1 per 1e30\n", "line 1: 'message' wants a number, 'per', and a number of bytes"},
    {"no name", "name\n", "line 1: 'name' wants some text in ASCII, not too long"},
    {"an escape in a name", "name \x1b[2J\n", "line 1: 'name' wants some text in ASCII, not too long"},
    {"a name that is too long", "name aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     "line 1: 'name' wants some text in ASCII, not too long"},
    {"a machine without a price", GOOD "machine m\n",
     "line 13: 'machine' wants a name of its own and the price of an hour, at most 16 times"},
    {"a machine twice", GOOD "machine m 1\nmachine m 2\n",
     "line 14: 'machine' wants a name of its own and the price of an hour, at most 16 times"},
    {"17 machines",
     GOOD "machine a 1\nmachine b 1\nmachine c 1\nmachine d 1\nmachine e 1\nmachine f 1\nmachine g 1\nmachine h 1\n"
          "machine i 1\nmachine j 1\nmachine k 1\nmachine l 1\nmachine m 1\nmachine n 1\nmachine o 1\nmachine p 1\n"
          "machine q 1\n",
     "line 29: 'machine' wants a name of its own and the price of an hour, at most 16 times"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        /* A copy of its own size, so that a read beyond it is seen. */
        size_t size = strlen(bad[i].text);
        struct cairn_bytes text = {memcpy(malloc(size ? size : 1), bad[i].text, size), size};
        struct cairn_prices prices;
        struct cairn_err err;

        cairn_err_clear(&err);
        if (cairn_prices_read(text, &prices, &err) != CAIRN_EINVAL || strcmp(err.text, bad[i].want) != 0)
            fail_msg("%s: '%s'", bad[i].label, err.text);
        free((void *)text.data);
    }
}

static void test_good(void **state)
{
    struct cairn_prices prices;

    (void)state;
    assert_int_equal(cairn_prices_read(cairn_str(GOOD "machine m 0.25"), &prices, NULL), CAIRN_OK);
    assert_string_equal(prices.name, "test");
    assert_string_equal(prices.date, "2024-01-02");
    assert_string_equal(prices.source, "somewhere & elsewhere");
    assert_true(prices.object_write == 5e-6 && prices.object_read == 4e-7 && prices.call == 0.2);
    assert_true(prices.gb_second == 1.5 && prices.gb_second_arm == -1);
    assert_true(prices.entry_read.dollars == 0.25 && prices.entry_read.bytes == 4096);
    assert_int_equal(prices.machine_count, 1);
    assert_true(prices.machines[0].hour == 0.25);
}

static void test_lists_of_the_binary(void **state)
{
    struct cairn_prices prices;
    struct cairn_err err;
    int count = 0;

    (void)state;
    for (; cairn_price_lists[count]; count++)
        if (cairn_prices_read(cairn_str(cairn_price_lists[count]), &prices, &err) != CAIRN_OK)
            fail_msg("list %d: %s", count, err.text);
    assert_true(count > 0);
}

static void test_begun_portions(void **state)
{
    static const struct cairn_sized_price price = {2, 1024};

    (void)state;
    assert_true(cairn_sized_cost(&price, 0) == 2);
    assert_true(cairn_sized_cost(&price, 1) == 2);
    assert_true(cairn_sized_cost(&price, 1024) == 2);
    assert_true(cairn_sized_cost(&price, 1025) == 4);
    assert_true(cairn_sized_cost(&price, 250000) == 2 * 245);
}

/* Hybrid storage keeps what is larger than 4 KiB in the object store, and an entry that says where. */
static void test_hybrid_boundary(void **state)
{
    struct cairn_keeper_work work = cairn_keeper_work();
    struct cairn_prices prices;

    (void)state;
    assert_int_equal(cairn_prices_read(cairn_str(cairn_price_lists[0]), &prices, NULL), CAIRN_OK);
    work.bytes = 4096;
    assert_true(cairn_keeper_write_cost(&prices, &work, CAIRN_KEEPER_HYBRID).node == 4 * prices.entry_write.dollars);
    assert_true(cairn_keeper_read_cost(&prices, &work, CAIRN_KEEPER_HYBRID) == prices.entry_read.dollars);
    work.bytes = 4097;
    assert_true(cairn_keeper_write_cost(&prices, &work, CAIRN_KEEPER_HYBRID).node ==
                prices.object_write + prices.entry_write.dollars);
    assert_true(cairn_keeper_read_cost(&prices, &work, CAIRN_KEEPER_HYBRID) ==
                prices.entry_read.dollars + prices.object_read);
    assert_true(cairn_keeper_write_cost(&prices, &work, CAIRN_KEEPER_HYBRID).leader ==
                cairn_keeper_write_cost(&prices, &work, CAIRN_KEEPER_STANDARD).leader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_lists_of_the_binary),
        cmocka_unit_test(test_begun_portions),
        cmocka_unit_test(test_hybrid_boundary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
