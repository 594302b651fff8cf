/* Would catch: a durable method that is cancelled and is not told at its next wait, or hears of it twice, or whose
 * compensation is lost, made twice, or not committed; another outcome than `cancelled`; a durable method below it that
 * is not told; one that never ends, as it does not do what it is told; a crash on the way behind which any of this is
 * another; a dead letter of one that a message began. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "support/seen.h"

static const struct simnode_options streams = {.streams = true};

static void saga(struct simnode *sim, struct simcall *call, const char *how)
{
    flow_submit(sim, call, "a", "saga", how, "x", "y", "once");
}

static void is_cancelled(struct simnode *sim, struct simcall *call, const char *how)
{
    const char *heard = flow_outcome(sim, call);

    if (!begins(heard, CANCELLED))
        fail_msg("%s: the client hears %s", how, heard);
    simcall_done(call);
}

/* --- in whichever wait it is ------------------------------------------------------------------------------- */

static void told_in(const char *how, uint64_t seed, const struct simnode_options *options)
{
    struct simcall call;
    struct simnode sim;
    struct seen seen;
    bool fails = strcmp(how, "fail") == 0;

    flows_open(&sim, seed, options);
    saga(&sim, &call, how);
    if (strcmp(how, "loop") == 0)
        for (int i = 0; i < 500; i++)
            simnode_step(&sim);
    else
        simnode_settle(&sim);
    seen = seen_find(&sim, "Flow", "a");
    assert_false(seen.cancelled);
    assert_string_equal(seen_cancel(&sim, seen.invocation, false), "nil");
    if (seen_list(&sim, "Flow", "a", &seen, 1) == 1 && !seen.cancelled)
        fail_msg("%s: it is not told: %s %s %s", how, seen.invocation, seen.state, seen.what);
    is_cancelled(&sim, &call, how);
    assert_true(flows_rest(&sim));
    assert_int_equal(flows_tally(&sim, "x"), 1);
    assert_int_equal(flows_tally(&sim, "y"), 1);
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), fails ? "[1, 0]" : "[1, 1]");
    if (strcmp(how, "call") == 0) {
        assert_string_equal(flows_ask(&sim, "Flow", "x.nap", "counts"), "[1, 0]");
        assert_true(begins(flows_ask(&sim, "Flow", "a", "word"), "\"cancelled: the invocation was"));
    }
    saga(&sim, &call, how); /* the key has that outcome */
    is_cancelled(&sim, &call, how);
    assert_int_equal(flows_tally(&sim, "y"), 1);
    flow_nothing_is_left(&sim);
    simnode_done(&sim);
}

static void is_told_in_each_kind_of_wait(void **state)
{
    static const char *const hows[] = {"sleep", "promise", "all", "call", "loop", "fail"};

    (void)state;
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        told_in(hows[i], 20 + i, NULL);
        told_in(hows[i], 40 + i, &streams);
    }
}

/* It has nothing to hear of it in; what it has called does. */
static void one_that_does_not_wait_ends_as_it_does(void **state)
{
    struct simcall call;
    struct simnode sim;

    (void)state;
    flows_open(&sim, 60, NULL);
    flow_submit(&sim, &call, "a", "abandon", "b", "100000000", NULL, "once");
    simnode_settle(&sim);
    assert_string_equal(seen_cancel(&sim, seen_find(&sim, "Flow", "a").invocation, false), "nil");
    assert_string_equal(flow_outcome(&sim, &call), "7");
    simcall_done(&call);
    flow_nothing_is_left(&sim);
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[1, 1]");
    assert_string_equal(flows_ask(&sim, "Flow", "b", "counts"), "[1, 0]");
    simnode_done(&sim);
}

/* --- bounds ------------------------------------------------------------------------------------------------- */

static void is_ended_when_it_goes_on(void **state)
{
    static const char *const hows[] = {"never", "steps"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct simcall call;
        struct simnode sim;

        flows_open(&sim, 70 + (uint64_t)i, NULL);
        saga(&sim, &call, hows[i]);
        simnode_settle(&sim);
        assert_string_equal(seen_cancel(&sim, seen_find(&sim, "Flow", "a").invocation, false), "nil");
        if (i == 0) {
            simnode_settle(&sim);
            assert_true(seen_find(&sim, "Flow", "a").cancelled);
            simnode_crash(&sim, CAIRN_SIM_KEEP); /* and the time begins again */
            flows_reopen(&sim);
            simcall_done(&call);
            simnode_settle(&sim);
            assert_true(seen_find(&sim, "Flow", "a").cancelled);
            assert_string_equal(seen_cancel(&sim, seen_find(&sim, "Flow", "a").invocation, false), "nil");
            saga(&sim, &call, hows[i]);
            simnode_settle(&sim);
            assert_true(seen_find(&sim, "Flow", "a").cancelled);
            cairn_sim_clock_advance(&sim.clock, 61000000000u);
        }
        is_cancelled(&sim, &call, hows[i]);
        flow_nothing_is_left(&sim);
        assert_int_equal(flows_tally(&sim, "y"), 0);
        assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[1, 0]");
        simnode_done(&sim);
    }
}

/* --- wherever it is, and whenever the node is cut off --------------------------------------------------------- */

/* Cancelled `at` steps after it was asked for.  False: that was later than it waits for ever. */
static bool cancel_at(int at, const char *how)
{
    struct simcall call;
    struct simnode sim;
    struct seen seen;
    bool asked = false;

    flows_open(&sim, 300 + (uint64_t)at, at % 3 ? NULL : &streams);
    saga(&sim, &call, how);
    for (int i = 0; i < at; i++)
        simnode_step(&sim);
    for (int i = 0; i < 1000 && !asked; i++)
        if (seen_list(&sim, "Flow", "a", &seen, 1) > 0)
            asked = strcmp(seen_cancel(&sim, seen.invocation, false), "nil") == 0;
    assert_true(asked);
    is_cancelled(&sim, &call, how);
    flow_nothing_is_left(&sim);
    if (flows_tally(&sim, "x") != flows_tally(&sim, "y"))
        fail_msg("%s at step %d: %lld counts, %lld of them put back", how, at, (long long)flows_tally(&sim, "x"),
                 (long long)flows_tally(&sim, "y"));
    simnode_done(&sim);
    return at < 400;
}

static void is_told_wherever_it_is(void **state)
{
    (void)state;
    for (int at = 0; cancel_at(at, "promise"); at += 83)
        ;
    for (int at = 5; cancel_at(at, "loop"); at += 97)
        ;
    for (int at = 9; cancel_at(at, "call"); at += 101)
        ;
}

/* A crash `at` steps after the cancellation was asked for, and another.  False: the invocation was over before. */
static bool crash_at(int at, const char *how)
{
    static const enum cairn_sim_crash crashes[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};
    struct simcall call, ask;
    struct simnode sim;
    struct seen seen;
    bool acknowledged, over;

    flows_open(&sim, 500 + (uint64_t)at, at % 3 ? NULL : &streams);
    saga(&sim, &call, how);
    simnode_settle(&sim);
    seen = seen_find(&sim, "Flow", "a");
    seen_ask(&ask, CAIRN_OP_CANCEL, seen.invocation);
    simcall_submit(&sim, &ask, (uint32_t)at % 2);
    for (int i = 0; i < at && !call.replied; i++)
        simnode_step(&sim);
    acknowledged = ask.replied;
    over = call.replied;
    for (int n = 0; n < 2; n++) {
        simnode_crash(&sim, crashes[(unsigned)(at + n) % 3]);
        flows_reopen(&sim);
        for (int i = 0; i < at / 2; i++)
            simnode_step(&sim);
    }
    simcall_done(&ask);
    simcall_done(&call);
    if (!over && seen_list(&sim, "Flow", "a", &seen, 1) > 0 && !seen.cancelled) {
        if (acknowledged)
            fail_msg("%s, crash at step %d: a cancellation that was acknowledged is lost", how, at);
        assert_string_equal(seen_cancel(&sim, seen.invocation, false), "nil");
    }
    saga(&sim, &call, how);
    is_cancelled(&sim, &call, how);
    flow_nothing_is_left(&sim);
    if (flows_tally(&sim, "x") != 1 || flows_tally(&sim, "y") != 1)
        fail_msg("%s, crash at step %d: %lld counts, %lld of them put back", how, at, (long long)flows_tally(&sim, "x"),
                 (long long)flows_tally(&sim, "y"));
    simnode_done(&sim);
    return !over;
}

static void goes_on_behind_a_crash(void **state)
{
    (void)state;
    for (int at = 0; crash_at(at, "promise"); at += 31)
        ;
    for (int at = 3; crash_at(at, "call"); at += 47)
        ;
    for (int at = 7; crash_at(at, "all"); at += 59)
        ;
}

/* --- one that a message began --------------------------------------------------------------------------------- */

static void leaves_no_dead_letter(void **state)
{
    struct simcall call;
    struct simnode sim;

    (void)state;
    flows_open(&sim, 80, NULL);
    simcall_init(&call, CAIRN_OP_SEND, "Flow", "a", "saga", NULL);
    simcall_arg(&call, "fail");
    simcall_arg(&call, "x");
    simcall_arg(&call, "y");
    simcall_run(&sim, &call);
    simcall_done(&call);
    simnode_settle(&sim);
    assert_string_equal(seen_cancel(&sim, seen_find(&sim, "Flow", "a").invocation, false), "nil");
    assert_true(flows_rest(&sim));
    assert_int_equal(flows_tally(&sim, "y"), 1);
    simcall_init(&call, CAIRN_OP_MESSAGES, NULL, NULL, NULL, NULL);
    call.request.dead = true;
    simcall_run(&sim, &call);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), "[[], nil]");
    simcall_done(&call);
    flow_nothing_is_left(&sim);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_told_in_each_kind_of_wait), cmocka_unit_test(one_that_does_not_wait_ends_as_it_does),
        cmocka_unit_test(is_ended_when_it_goes_on),     cmocka_unit_test(is_told_wherever_it_is),
        cmocka_unit_test(goes_on_behind_a_crash),       cmocka_unit_test(leaves_no_dead_letter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
