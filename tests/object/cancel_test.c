/* Would catch: an open durable invocation that is not listed, or says that it waits for something else; one that is
 * cancelled at once (cancel_told_test.c has the other way) and goes on, or whose client waits for ever, or hears
 * something else; a cancellation that was acknowledged and that a crash undoes; a journal, a promise, a sleep or a
 * kept outcome that stays behind; a durable method below it that goes on; an effect that a cancellation makes twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/layout.h"
#include "object/worker.h"
#include "support/seen.h"

#define LONG "100000000"

/* --- what each does -------------------------------------------------------------------------------------- */

static void tells_what_each_waits_for(void **state)
{
    struct simcall nap, vow, nurse, journal;
    struct simnode sim;
    struct seen seen;
    const char *text;

    (void)state;
    flows_open(&sim, 1, NULL);
    flow_submit(&sim, &nap, "n", "nap", LONG, NULL, NULL, NULL);
    flow_submit(&sim, &vow, "v", "vow", "x", "0", "0", "once");
    flow_submit(&sim, &nurse, "a", "nurse", "b", LONG, "x", NULL);
    simnode_settle(&sim);
    assert_int_equal(seen_list(&sim, NULL, NULL, NULL, 0), 4);
    assert_int_equal(seen_list(&sim, "Flow", NULL, NULL, 0), 4);
    assert_int_equal(seen_list(&sim, "Tally", NULL, NULL, 0), 0);
    seen = seen_find(&sim, "Flow", "n");
    assert_string_equal(seen.object, "Flow/n");
    assert_string_equal(seen.method, "nap");
    assert_string_equal(seen.state, "sleeps");
    seen = seen_find(&sim, "Flow", "v");
    assert_string_equal(seen.state, "waits_promise");
    text = flows_ask(&sim, "Flow", "v", "word");
    assert_true(strncmp(text + 1, seen.what, 64) == 0);
    seen = seen_find(&sim, "Flow", "a");
    assert_string_equal(seen.state, "waits_call");
    assert_string_equal(seen.what, "Flow/b nap");
    assert_int_equal(seen.number, 0);
    seen_ask(&journal, CAIRN_OP_JOURNAL, seen.invocation);
    simcall_run(&sim, &journal);
    text = simvalue_text(cairn_buf_bytes(&journal.reply));
    assert_non_null(strstr(text, "[1, \"value_get\", -1"));
    assert_non_null(strstr(text, "[3, \"call\", 0, \"Flow/b nap\""));
    simcall_done(&journal);

    simnode_crash(&sim, CAIRN_SIM_KEEP); /* what is in memory of them is another thing then */
    flows_reopen(&sim);
    simnode_settle(&sim);
    assert_string_equal(seen_find(&sim, "Flow", "n").state, "sleeps");
    assert_string_equal(seen_find(&sim, "Flow", "v").state, "waits_promise");
    assert_string_equal(seen_find(&sim, "Flow", "a").state, "waits_call");
    assert_string_equal(seen_find(&sim, "Flow", "b").state, "sleeps");
    simcall_done(&nap);
    simcall_done(&vow);
    simcall_done(&nurse);
    simnode_done(&sim);
}

enum { MANY = 600 };

static void lists_many_in_pages(void **state)
{
    static struct simcall calls[MANY];
    static struct seen seen[MANY];
    struct simnode sim;
    char id[16];

    (void)state;
    flows_open(&sim, 2, NULL);
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "n%d", i);
        flow_submit(&sim, &calls[i], id, "nap", LONG, NULL, NULL, NULL);
    }
    simnode_settle(&sim);
    assert_int_equal(seen_list(&sim, "Flow", NULL, seen, MANY), MANY);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(seen_cancel(&sim, seen[i].invocation, true), "nil");
    for (int i = 0; i < MANY; i++) {
        assert_true(begins(flow_outcome(&sim, &calls[i]), CANCELLED));
        simcall_done(&calls[i]);
    }
    flow_nothing_is_left(&sim);
    simnode_done(&sim);
}

/* A journal of several entries of its list, in pages. */
static void shows_a_long_journal(void **state)
{
    struct cairn_buf cursor = {0};
    struct simcall bulk;
    struct simnode sim;
    struct seen seen;
    int64_t steps = 0;

    (void)state;
    flows_open(&sim, 3, NULL);
    flow_submit(&sim, &bulk, "a", "bulk_nap", "6553600", LONG, NULL, NULL);
    simnode_settle(&sim);
    seen = seen_find(&sim, "Flow", "a");
    do {
        struct cairn_value next;
        struct cairn_reader r;
        struct simcall call;

        seen_ask(&call, CAIRN_OP_JOURNAL, seen.invocation);
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(&sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        cairn_value_read(&r);
        for (uint64_t left = cairn_value_read(&r).count; left > 0; left--) {
            cairn_value_read(&r);
            assert_int_equal(cairn_value_read(&r).integer, ++steps);
            for (int i = 0; i < 7; i++)
                cairn_value_read(&r);
        }
        next = cairn_value_read(&r);
        assert_false(r.bad);
        cursor.size = 0;
        cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
    } while (cursor.size);
    assert_int_equal(steps, 2 + 100 + 1);
    cairn_buf_done(&cursor);
    assert_string_equal(seen_cancel(&sim, seen.invocation, true), "nil");
    assert_true(begins(flow_outcome(&sim, &bulk), CANCELLED));
    flow_nothing_is_left(&sim);
    simcall_done(&bulk);
    simnode_done(&sim);
}

/* --- cancelling ------------------------------------------------------------------------------------------ */

static void ends_with_an_error(void **state)
{
    struct simcall first, second;
    struct simnode sim;
    struct seen seen;
    char promise[80];

    (void)state;
    flows_open(&sim, 4, NULL);
    flow_submit(&sim, &first, "v", "vow", "x", "0", "0", "once");
    simnode_settle(&sim);
    flow_submit(&sim, &second, "v", "vow", "x", "0", "0", "once");
    simnode_settle(&sim);
    snprintf(promise, sizeof promise, "%.65s", flows_ask(&sim, "Flow", "v", "word"));
    seen = seen_find(&sim, "Flow", "v");
    assert_string_equal(seen_cancel(&sim, seen.invocation, true), "nil");
    assert_true(begins(flow_outcome(&sim, &first), CANCELLED));
    assert_true(begins(flow_outcome(&sim, &second), CANCELLED));
    assert_true(begins(seen_cancel(&sim, seen.invocation, true), "!not_found: no durable invocation"));
    assert_true(begins(seen_cancel(&sim, "0-0", true), "!not_found"));
    assert_true(begins(seen_cancel(&sim, "7", true), "!not_found"));
    simcall_done(&first);
    simcall_done(&second);
    flow_submit(&sim, &first, "v", "vow", "x", "0", "0", "once"); /* the outcome of the key stays */
    assert_true(begins(flow_outcome(&sim, &first), CANCELLED));
    simcall_done(&first);
    seen_ask(&first, CAIRN_OP_SETTLE, promise + 1);
    first.request.name.size = 64;
    first.request.body = cairn_bytes((const uint8_t[]){CAIRN_VALUE_NIL}, 1);
    simcall_run(&sim, &first);
    assert_true(begins(simvalue_text(cairn_buf_bytes(&first.reply)), "!not_found"));
    simcall_done(&first);
    assert_string_equal(flows_ask(&sim, "Flow", "v", "counts"), "[1, 0]"); /* what it had committed stays */
    flow_nothing_is_left(&sim);
    simnode_done(&sim);
}

static void ends_what_it_has_called(void **state)
{
    struct simcall call;
    struct simnode sim;

    (void)state;
    flows_open(&sim, 5, NULL);
    flow_submit(&sim, &call, "a", "nurse", "b", LONG, "x", NULL);
    simnode_settle(&sim);
    assert_string_equal(seen_cancel(&sim, seen_find(&sim, "Flow", "a").invocation, true), "nil");
    assert_true(begins(flow_outcome(&sim, &call), CANCELLED));
    simcall_done(&call);
    flow_nothing_is_left(&sim);
    assert_string_equal(flows_ask(&sim, "Flow", "b", "counts"), "[1, 0]");
    assert_int_equal(flows_tally(&sim, "x"), 0);

    flow_submit(&sim, &call, "a", "nurse", "b", LONG, "x", NULL); /* its caller hears so, and goes on */
    simnode_settle(&sim);
    assert_string_equal(seen_cancel(&sim, seen_find(&sim, "Flow", "b").invocation, true), "nil");
    assert_string_equal(flow_outcome(&sim, &call), "nil");
    simcall_done(&call);
    flow_nothing_is_left(&sim);
    assert_int_equal(flows_tally(&sim, "x"), 1);
    simnode_done(&sim);
}

/* Of which nothing is in memory. */
static void ends_one_that_nobody_waits_for(void **state)
{
    struct simcall call;
    struct simnode sim;

    (void)state;
    flows_open(&sim, 6, NULL);
    flow_submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    simnode_settle(&sim);
    for (int i = 0; i < 2; i++) {
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        flows_reopen(&sim);
        simnode_settle(&sim);
    }
    simcall_done(&call);
    assert_string_equal(seen_cancel(&sim, seen_find(&sim, "Flow", "a").invocation, true), "nil");
    flow_nothing_is_left(&sim);
    flow_submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    assert_true(begins(flow_outcome(&sim, &call), CANCELLED));
    simcall_done(&call);
    simnode_done(&sim);
}

/* Cancelled `at` steps after it was asked for, wherever it is then.  False: it was over before. */
static bool cancel_at(int at, const char *method, const char *a, const char *b, const char *c, bool keyed)
{
    struct simcall call;
    struct simnode sim;
    struct seen seen;
    const char *heard;
    bool was_over, cancelled = false;
    int64_t count;

    flows_open(&sim, 300 + (uint64_t)at, NULL);
    flow_submit(&sim, &call, "a", method, a, b, c, keyed ? "once" : NULL);
    for (int i = 0; i < at && !call.replied; i++)
        simnode_step(&sim);
    was_over = call.replied;
    if (seen_list(&sim, "Flow", "a", &seen, 1) > 0)
        cancelled = strcmp(seen_cancel(&sim, seen.invocation, true), "nil") == 0;
    if (cancelled) {
        assert_int_equal(seen_list(&sim, "Flow", "a", &seen, 1), 0);
    }
    heard = flow_outcome(&sim, &call);
    if (cancelled != begins(heard, CANCELLED))
        fail_msg("%s at step %d: cancelled %d, and the client hears %s", method, at, cancelled, heard);
    simcall_done(&call);
    if (!flows_rest(&sim))
        fail_msg("%s at step %d: something is left", method, at);
    flow_nothing_is_left(&sim);
    count = flows_tally(&sim, "x");
    if (count > 1 || (!cancelled && count != 1))
        fail_msg("%s at step %d: %lld effects", method, at, (long long)count);
    simnode_done(&sim);
    return !was_over;
}

static void ends_wherever_it_is(void **state)
{
    (void)state;
    for (int at = 0; cancel_at(at, "nurse", "b", "20", "x", at % 2); at += 7)
        ;
    for (int at = 0; cancel_at(at, "steps", "add", "x", "y", at % 2); at += 11)
        ;
    for (int at = 0; cancel_at(at, "fan", "x", "y", "z", at % 2); at += 13)
        ;
}

/* A crash `at` steps after the cancellation was asked for.  False: it was acknowledged before. */
static bool crash_at(int at, const struct simnode_options *options)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};
    struct simcall call, ends;
    struct simnode sim;
    struct seen seen;
    bool acknowledged;

    flows_open(&sim, 500 + (uint64_t)at, options);
    flow_submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    simnode_settle(&sim);
    seen = seen_find(&sim, "Flow", "a");
    seen_ask(&ends, CAIRN_OP_CANCEL, seen.invocation);
    ends.request.at_once = true;
    simcall_submit(&sim, &ends, (uint32_t)at % 2);
    for (int i = 0; i < at && !ends.replied; i++)
        simnode_step(&sim);
    acknowledged = ends.replied;
    simnode_crash(&sim, how[(unsigned)at % 3]);
    flows_reopen(&sim);
    simcall_done(&ends);
    simcall_done(&call);
    simnode_settle(&sim);
    if (seen_list(&sim, "Flow", "a", &seen, 1) > 0) {
        if (acknowledged)
            fail_msg("crash at step %d: a cancellation that was acknowledged is lost", at);
        assert_string_equal(seen_cancel(&sim, seen.invocation, true), "nil");
    }
    flow_submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    assert_true(begins(flow_outcome(&sim, &call), CANCELLED));
    simcall_done(&call);
    flow_nothing_is_left(&sim);
    assert_int_equal(flows_tally(&sim, "x"), 0);
    simnode_done(&sim);
    return !acknowledged;
}

static void stays_so_whenever_the_node_is_cut_off(void **state)
{
    const struct simnode_options streams = {.streams = true};

    (void)state;
    for (int at = 0; crash_at(at, NULL); at += 5)
        ;
    for (int at = 0; crash_at(at, &streams); at += 17)
        ;
}

/* --- restored objects ------------------------------------------------------------------------------------ */

static const char *operate(struct simnode *sim, enum cairn_op op, const char *id, uint64_t version)
{
    static char text[100];
    struct simcall call;

    simcall_init(&call, op, op == CAIRN_OP_SNAPSHOT ? NULL : "Flow", id, NULL, NULL);
    call.request.number = version;
    simcall_run(sim, &call);
    snprintf(text, sizeof text, "%.90s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return text;
}

enum { OTHERS = 100 };

/* A crash `at` steps after the object was to be restored.  False: that was acknowledged before. */
static bool restore_at(int at)
{
    const struct simnode_options options = {.workers = 2, .shards = 2, .engine = "hybridlog"};
    struct simcall old, young, others[OTHERS], call;
    struct simnode sim;
    struct seen seen;
    bool acknowledged;
    char id[16];

    flows_open(&sim, 900 + (uint64_t)at, &options);
    simnode_expect(&sim, "1", "Flow", "a", "touch", NULL);
    flow_submit(&sim, &old, "a", "nap", LONG, NULL, NULL, "old");
    simnode_settle(&sim);
    operate(&sim, CAIRN_OP_SNAPSHOT, NULL, 0);
    flow_submit(&sim, &young, "a", "nurse", "b", LONG, "x", "young");
    for (int i = 0; i < OTHERS; i++) {
        snprintf(id, sizeof id, "o%d", i);
        flow_submit(&sim, &others[i], id, "nap", LONG, NULL, NULL, NULL);
    }
    simnode_settle(&sim);
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[3, 0]");
    simcall_init(&call, CAIRN_OP_RESTORE, "Flow", "a", NULL, NULL);
    call.request.number = 1;
    simcall_submit(&sim, &call, 0);
    for (int i = 0; i < at && !call.replied; i++)
        simnode_step(&sim);
    acknowledged = call.replied;
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    flows_reopen(&sim);
    simcall_done(&call);
    simcall_done(&old);
    simcall_done(&young);
    if (!acknowledged)
        assert_string_equal(operate(&sim, CAIRN_OP_RESTORE, "a", 1), "1");
    simnode_settle(&sim);
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[2, 0]"); /* it is as it was, and stays so */
    assert_int_equal(seen_list(&sim, "Flow", "a", &seen, 1), 0);
    for (int i = 0; i < 1000 && seen_list(&sim, "Flow", "b", &seen, 1); i++) /* it hears that its caller is over */
        simnode_step(&sim);
    assert_int_equal(seen_list(&sim, "Flow", NULL, NULL, 0), OTHERS);
    flow_submit(&sim, &old, "a", "nap", LONG, NULL, NULL, "old");
    flow_submit(&sim, &young, "a", "nurse", "b", LONG, "x", "young");
    assert_true(begins(flow_outcome(&sim, &old), CANCELLED) || begins(flow_outcome(&sim, &old), "!not_found"));
    assert_true(begins(flow_outcome(&sim, &young), CANCELLED));
    assert_int_equal(flows_keys_with(&sim, KEY_RESTORED), 0);
    flow_submit(&sim, &call, "a", "nap", LONG, NULL, NULL, NULL); /* what begins now goes on */
    simnode_settle(&sim);
    assert_int_equal(seen_list(&sim, "Flow", "a", &seen, 1), 1);
    simcall_done(&call);
    simcall_done(&old);
    simcall_done(&young);
    for (int i = 0; i < OTHERS; i++)
        simcall_done(&others[i]);
    simnode_done(&sim);
    return !acknowledged;
}

static void a_restored_object_has_none(void **state)
{
    (void)state;
    for (int at = 0; restore_at(at); at += 41)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_each_waits_for),  cmocka_unit_test(lists_many_in_pages),
        cmocka_unit_test(shows_a_long_journal),       cmocka_unit_test(ends_with_an_error),
        cmocka_unit_test(ends_what_it_has_called),    cmocka_unit_test(ends_one_that_nobody_waits_for),
        cmocka_unit_test(ends_wherever_it_is),        cmocka_unit_test(stays_so_whenever_the_node_is_cut_off),
        cmocka_unit_test(a_restored_object_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
