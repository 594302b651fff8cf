/* Catches a rate limiter that lets more through than its bucket has, or less; that names a wrong time to come back;
 * refusals that cost tokens; and settings that overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/simnode.h"

static struct simnode sim;

static void open_with(uint64_t seed)
{
    struct cairn_err err;

    simnode_init(&sim, seed, NULL);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(&sim, "limiter");
}

/* An hour for each token: none comes while this runs. */
static void a_bucket_holds_its_burst(void **state)
{
    (void)state;
    open_with(1);
#define TAKE(want, ...) simnode_expect(&sim, want, "Limiter", "k", "take", __VA_ARGS__, NULL)
    TAKE("[1, 2, 0, ...", "3", "1", "3600000");
    TAKE("[1, 0, 0, ...", "3", "1", "3600000", "2");
    TAKE("[0, 0, ...", "3", "1", "3600000");
    TAKE("[1, 0, 0, ...", "3", "1", "3600000", "0"); /* none is always there */
    simnode_expect(&sim, "[0, 0, ...", "Limiter", "k", "look", "3", "1", "3600000", NULL);
    simnode_expect(&sim, "[1, 3, 0, 0]", "Limiter", "other", "look", "3", "1", "3600000", NULL);
    TAKE("[0, 0, ...", "2", "1", "3600000");     /* a smaller one is as empty, and no emptier */
    TAKE("[1, 6, 0, ...", "10", "1", "3600000"); /* three are gone of a larger one, and now four */
    simnode_expect(&sim, "nil", "Limiter", "k", "refill", NULL);
    TAKE("[1, 2, 0, ...", "3", "1", "3600000");
    simnode_done(&sim);
}

static void bad_settings_are_refused(void **state)
{
    (void)state;
    open_with(2);
    TAKE("!bad_argument...", "3", "1", "3600000", "4");
    TAKE("!bad_argument...", "3", "1", "3600000", "-1");
    TAKE("!bad_argument...", "0", "1", "1");
    TAKE("!bad_argument...", "1", "0", "1");
    TAKE("!bad_argument...", "1", "1", "0");
    TAKE("!bad_argument...", "1", "1", "9223372036854775807");
    TAKE("!bad_argument...", "1", "1000001", "1"); /* less than 1 ns each */
    TAKE("!bad_argument...", "9223372036854775807", "1", "1");
    TAKE("!bad_argument...", "1000", "1", "316224000001");
    TAKE("!bad_argument...", "3", "1");
    TAKE("[1, 999999, 0, 1]", "1000000", "1000000", "1000");
    TAKE("[1, 0, 0, 316224000000]", "1", "1", "316224000000");
    simnode_done(&sim);
}

/* Of what take says: allowed, left, wait and full (ms). */
static void take(const char *burst, const char *count, const char *period, const char *cost, int64_t ret[4])
{
    struct simcall call;
    struct cairn_reader r;

    simcall_init(&call, CAIRN_OP_INVOKE, "Limiter", "r", "take", burst, count, period, cost, NULL);
    simcall_run(&sim, &call);
    r = cairn_reader(cairn_buf_bytes(&call.reply));
    assert_int_equal(cairn_value_read(&r).count, 4);
    for (int i = 0; i < 4; i++)
        ret[i] = cairn_value_read(&r).integer;
    assert_false(r.bad);
    simcall_done(&call);
}

/* 7 at once and 40 in 10,000 ms, at random times: never more than that since any earlier moment, and whenever it says
 * how long to wait, then it is enough to wait that long. */
static void the_rate_holds(void **state)
{
    enum { STEPS = 600, BURST = 7 };
    static double taken[STEPS + 2], at[STEPS + 2]; /* tokens taken before step i began, and its time in ms */
    double now;
    int refused = 0, allowed = 0;

    (void)state;
    open_with(3);
    for (int i = 0; i < STEPS; i++) {
        int cost = 1 + (int)cairn_random_below(&sim.random, 3);
        char text[16];
        int64_t said[4];

        snprintf(text, sizeof text, "%d", cost);
        at[i] = (double)sim.clock.now_ns / 1e6;
        take("7", "40", "10000", text, said);
        now = (double)sim.clock.now_ns / 1e6;
        taken[i + 1] = taken[i] + (said[0] ? cost : 0);
        for (int from = 0; from <= i; from++)
            assert_true(taken[i + 1] - taken[from] <= BURST + (now - at[from] + 1) * 0.004 + 1e-6);
        if (said[0]) {
            allowed++;
            assert_int_equal(said[2], 0);
        } else {
            refused++;
            assert_true(said[1] < cost);
            assert_true(said[2] > 0 && said[2] <= 250 * cost);
            cairn_sim_clock_advance(&sim.clock, (uint64_t)(said[2] + 1) * 1000000);
            at[++i] = now;
            take("7", "40", "10000", text, said);
            assert_int_equal(said[0], 1);
            allowed++;
            taken[i + 1] = taken[i] + cost;
        }
        if (cairn_random_below(&sim.random, 20) == 0) { /* long enough for a whole bucket, and no more than one */
            cairn_sim_clock_advance(&sim.clock, UINT64_C(2000000000));
            take("7", "40", "10000", "0", said);
            assert_int_equal(said[1], BURST);
            assert_int_equal(said[3], 0);
        }
    }
    assert_true(refused > 50 && allowed > 50);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_bucket_holds_its_burst),
                                       cmocka_unit_test(bad_settings_are_refused), cmocka_unit_test(the_rate_holds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
