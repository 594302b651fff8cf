/* Would catch: a message, or a timer, whose durable method does not run, runs twice, or not to its end, over crashes at
 * any step; an attempt that failed with nothing committed and is not made again; a failure behind that which leaves no
 * dead letter; one that sleeps and keeps its message's place; a timer that a durable method sets or cancels and that a
 * crash loses or doubles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/layout.h"
#include "object/worker.h"
#include "support/flows.h"
#include "support/metric.h"

static void send_init(struct simcall *call, const char *method, const char *a, const char *b, const char *c)
{
    simcall_init(call, CAIRN_OP_SEND, "Flow", "a", method, NULL);
    for (const char *const *arg = (const char *const[]){a, b, c, NULL}; *arg; arg++)
        simcall_arg(call, *arg);
    simcall_key(call, "once");
}

/* Of `dead`: dead letters, else messages that wait. */
static const char *letters(struct simnode *sim, bool dead)
{
    static char text[1024];
    struct simcall call;

    simcall_init(&call, CAIRN_OP_MESSAGES, NULL, NULL, NULL, NULL);
    call.request.dead = dead;
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

#define NONE "[[], nil]"

static bool wait_until(struct simnode *sim, const char *method, const char *want)
{
    for (int i = 0; i < 400; i++) {
        if (strcmp(flows_ask(sim, "Flow", "a", method), want) == 0)
            return true;
        cairn_sim_clock_advance(&sim->clock, 50000000);
        simnode_settle(sim);
    }
    return false;
}

static void a_message_runs_it(void **state)
{
    struct simnode sim;

    (void)state;
    flows_open(&sim, 1, NULL);
    simnode_expect(&sim, "nil", "Flow", "x", "post", "a", "steps", "add", "t", "u", NULL);
    assert_true(wait_until(&sim, "counts", "[1, 1]"));
    assert_true(flows_rest(&sim));
    assert_int_equal(flows_tally(&sim, "t"), 1);
    assert_int_equal(flows_tally(&sim, "u"), 1);
    simnode_expect(&sim, "nil", "Flow", "x", "post", "a", "touch", NULL); /* one of a single segment */
    assert_true(flows_rest(&sim));
    assert_string_equal(letters(&sim, false), NONE);
    assert_string_equal(letters(&sim, true), NONE);
    simnode_done(&sim);
}

static void attempts_are_made_again(void **state)
{
    struct simnode sim;

    (void)state;
    flows_open(&sim, 2, NULL);
    simnode_expect(&sim, "nil", "Flow", "x", "post", "a", "moody", "t", NULL);
    assert_true(wait_until(&sim, "counts", "[1, 1]"));
    assert_string_equal(flows_ask(&sim, "Flow", "a", "word"), "\"2 0\"");
    assert_int_equal(flows_tally(&sim, "t"), 2);
    simnode_expect(&sim, "nil", "Flow", "a", "alarm", "20", "moody", "t", NULL);
    assert_true(wait_until(&sim, "counts", "[2, 2]"));
    assert_string_equal(flows_ask(&sim, "Flow", "a", "word"), "\"2 1\"");
    assert_string_equal(letters(&sim, true), NONE);
    assert_true(flows_rest(&sim));
    simnode_done(&sim);
}

static void what_fails_is_a_dead_letter(void **state)
{
    struct simnode sim;
    const char *text;

    (void)state;
    flows_open(&sim, 3, NULL);
    simnode_expect(&sim, "nil", "Flow", "x", "post", "a", "fail", "t", NULL);
    assert_true(wait_until(&sim, "counts", "[1, 0]"));
    assert_true(flows_rest(&sim));
    text = letters(&sim, true);
    if (!strstr(text, "\"Flow\", \"a\", \"fail\", \"Flow\", \"x\"") ||
        !strstr(text, "\"failed\", \"on purpose\", \"some\", "))
        fail_msg("dead letters: %s", text);
    assert_string_equal(letters(&sim, false), NONE);
    simnode_done(&sim);
}

enum { SLEEPERS = 600 }; /* more than messages of a shard may run */

static void those_that_sleep_are_no_messages(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 1};
    struct simnode sim;
    char id[16];

    (void)state;
    flows_open(&sim, 4, &options);
    for (int i = 0; i < SLEEPERS; i++) {
        snprintf(id, sizeof id, "n%d", i);
        simnode_expect(&sim, "nil", "Flow", "x", "post", id, "nap", "100000", NULL);
    }
    simnode_settle(&sim);
    assert_int_equal(flows_keys_with(&sim, KEY_DURABLE), SLEEPERS);
    assert_string_equal(letters(&sim, false), NONE);
    assert_int_equal(cairn_node_worker(sim.node, 0)->fibers, 0);
    simnode_expect(&sim, "nil", "Flow", "x", "post", "a", "steps", "add", "t", NULL);
    assert_true(wait_until(&sim, "counts", "[1, 1]"));
    cairn_sim_clock_advance(&sim.clock, 100000000000);
    assert_true(flows_rest(&sim));
    for (int i = 0; i < SLEEPERS; i++) {
        snprintf(id, sizeof id, "n%d", i);
        assert_string_equal(flows_ask(&sim, "Flow", id, "counts"), "[1, 1]");
    }
    simnode_done(&sim);
}

/* Cut off `at` steps after it was sent, or its timer was set.  False: it was over before. */
static bool crash_at(int at, bool timer, const char *method, const char *a, const char *b, int effects,
                     const struct simnode_options *options)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};
    struct simcall call;
    struct simnode sim;
    bool over = false;

    flows_open(&sim, 700 + (uint64_t)at, options);
    for (int again = 0; again < 2; again++) {
        if (timer) {
            simcall_init(&call, CAIRN_OP_INVOKE, "Flow", "a", "alarm", "20", method, a, b, NULL);
            simcall_key(&call, "once");
        } else {
            send_init(&call, method, a, b, NULL);
        }
        simcall_submit(&sim, &call, 0);
        for (int i = 0; again == 0 && i < at; i++)
            simnode_step(&sim);
        if (again == 0) {
            over = call.replied && !flows_keys_with(&sim, KEY_DURABLE) && !flows_keys_with(&sim, KEY_LINE) &&
                   !flows_keys_with(&sim, KEY_TIMER);
            simnode_crash(&sim, how[(unsigned)at % 3]);
            flows_reopen(&sim);
        } else {
            for (int i = 0; i < 100000 && !call.replied; i++)
                simnode_step(&sim);
            assert_true(call.replied);
        }
        simcall_done(&call);
    }
    if (!wait_until(&sim, "counts", "[1, 1]"))
        fail_msg("%s at step %d: counts %s, waiting %s, dead %s", method, at, flows_ask(&sim, "Flow", "a", "counts"),
                 letters(&sim, false), letters(&sim, true));
    for (int i = 0; i < 50; i++) {
        cairn_sim_clock_advance(&sim.clock, 50000000);
        simnode_settle(&sim);
    }
    assert_true(flows_rest(&sim));
    if (flows_tally(&sim, "t") != effects)
        fail_msg("%s at step %d: %lld effects", method, at, (long long)flows_tally(&sim, "t"));
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[1, 1]");
    assert_string_equal(letters(&sim, false), NONE);
    assert_string_equal(letters(&sim, true), NONE);
    assert_int_equal(flows_keys_with(&sim, KEY_TIMER), 0);
    simnode_done(&sim);
    return !over;
}

static void happens_once_whenever_it_is_cut_off(void **state)
{
    const struct simnode_options streams = {.streams = true};

    (void)state;
    for (int at = 0; crash_at(at, false, "doze", "t", "30", 2, NULL); at += 29)
        ;
    for (int at = 0; crash_at(at, true, "doze", "t", "30", 2, NULL); at += 43)
        ;
    for (int at = 0; crash_at(at, false, "doze", "t", "30", 2, &streams); at += 149)
        ;
}

static void timers_are_set_and_cancelled_once(void **state)
{
    (void)state;
    for (int at = 0; crash_at(at, false, "clockwork", "t", "40", 3, NULL); at += 67)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_runs_it),
        cmocka_unit_test(attempts_are_made_again),
        cmocka_unit_test(what_fails_is_a_dead_letter),
        cmocka_unit_test(those_that_sleep_are_no_messages),
        cmocka_unit_test(happens_once_whenever_it_is_cut_off),
        cmocka_unit_test(timers_are_set_and_cancelled_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
