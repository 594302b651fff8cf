/* Would catch: an open durable invocation that is not listed, or says that it waits for something else; one that is
 * cancelled and goes on, or whose client waits for ever, or hears something else; a cancellation that was acknowledged
 * and that a crash undoes; a journal, a promise, a sleep or a kept outcome that stays behind; a durable method below it
 * that goes on; an effect that a cancellation makes twice. */
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
#include "support/flows.h"

#define LONG      "100000000"
#define CANCELLED "!cancelled: the invocation was cancelled: what it had committed, and what its calls have done, stays"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* An item as it is listed: id, type, id, method, .., state, what, number. */
struct seen {
    char invocation[40], object[40], method[24], state[24], what[100];
    int64_t number;
};

static void copy(char *to, size_t room, struct cairn_bytes from)
{
    snprintf(to, room, "%.*s", (int)from.size, (const char *)from.data);
}

static struct seen read_item(struct cairn_reader *r)
{
    struct seen seen = {0};
    struct cairn_bytes parts[9];

    assert_int_equal(cairn_value_read(r).count, 15);
    for (int i = 0; i < 9; i++)
        parts[i] = cairn_value_read(r).bytes;
    copy(seen.invocation, sizeof seen.invocation, parts[0]);
    snprintf(seen.object, sizeof seen.object, "%.*s/%.*s", (int)parts[1].size, (const char *)parts[1].data,
             (int)parts[2].size, (const char *)parts[2].data);
    copy(seen.method, sizeof seen.method, parts[3]);
    copy(seen.state, sizeof seen.state, parts[7]);
    copy(seen.what, sizeof seen.what, parts[8]);
    seen.number = cairn_value_read(r).integer;
    for (int i = 0; i < 5; i++)
        cairn_value_read(r);
    assert_false(r->bad);
    return seen;
}

/* Those of all pages; how many there are. */
static int list(struct simnode *sim, const char *type, const char *id, struct seen *to, int most)
{
    struct cairn_buf cursor = {0};
    int count = 0;

    do {
        struct cairn_value next;
        struct cairn_reader r;
        struct simcall call;

        simcall_init(&call, CAIRN_OP_INVOCATIONS, type, id, NULL, NULL);
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        assert_int_equal(cairn_value_read(&r).count, 2);
        for (uint64_t left = cairn_value_read(&r).count; left > 0; left--, count++) {
            struct seen seen = read_item(&r);

            if (count < most)
                to[count] = seen;
        }
        next = cairn_value_read(&r);
        cursor.size = 0;
        cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
    } while (cursor.size);
    cairn_buf_done(&cursor);
    return count;
}

static struct seen find(struct simnode *sim, const char *type, const char *id)
{
    struct seen seen = {0};

    assert_int_equal(list(sim, type, id, &seen, 1), 1);
    return seen;
}

static void ask_of(struct simcall *call, enum cairn_op op, const char *invocation)
{
    simcall_init(call, op, NULL, NULL, NULL, NULL);
    call->request.name = cairn_str(invocation);
}

static const char *cancel(struct simnode *sim, const char *invocation)
{
    static char heard[300];
    struct simcall call;

    ask_of(&call, CAIRN_OP_CANCEL, invocation);
    simcall_run(sim, &call);
    snprintf(heard, sizeof heard, "%.290s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return heard;
}

static void submit(struct simnode *sim, struct simcall *call, const char *id, const char *method, const char *a,
                   const char *b, const char *c, const char *key)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Flow", id, method, NULL);
    for (const char *const *arg = (const char *const[]){a, b, c, NULL}; *arg; arg++)
        simcall_arg(call, *arg);
    if (key)
        simcall_key(call, key);
    simcall_submit(sim, call, 0);
}

static const char *outcome(struct simnode *sim, struct simcall *call)
{
    for (int i = 0; i < 200000 && !call->replied; i++)
        simnode_step(sim);
    return call->replied ? simvalue_text(cairn_buf_bytes(&call->reply)) : "nothing";
}

static void nothing_is_left(struct simnode *sim)
{
    static const uint8_t kinds[] = {KEY_DURABLE, KEY_DURABLE_SLEEPER, KEY_PROMISE, KEY_CALLED};

    assert_true(flows_rest(sim));
    for (size_t i = 0; i < sizeof kinds; i++)
        assert_int_equal(flows_keys_with(sim, kinds[i]), 0);
    assert_int_equal(list(sim, NULL, NULL, NULL, 0), 0);
}

/* --- what each does -------------------------------------------------------------------------------------- */

static void tells_what_each_waits_for(void **state)
{
    struct simcall nap, vow, nurse, journal;
    struct simnode sim;
    struct seen seen;
    const char *text;

    (void)state;
    flows_open(&sim, 1, NULL);
    submit(&sim, &nap, "n", "nap", LONG, NULL, NULL, NULL);
    submit(&sim, &vow, "v", "vow", "x", "0", "0", "once");
    submit(&sim, &nurse, "a", "nurse", "b", LONG, "x", NULL);
    simnode_settle(&sim);
    assert_int_equal(list(&sim, NULL, NULL, NULL, 0), 4);
    assert_int_equal(list(&sim, "Flow", NULL, NULL, 0), 4);
    assert_int_equal(list(&sim, "Tally", NULL, NULL, 0), 0);
    seen = find(&sim, "Flow", "n");
    assert_string_equal(seen.object, "Flow/n");
    assert_string_equal(seen.method, "nap");
    assert_string_equal(seen.state, "sleeps");
    seen = find(&sim, "Flow", "v");
    assert_string_equal(seen.state, "waits_promise");
    text = flows_ask(&sim, "Flow", "v", "word");
    assert_true(strncmp(text + 1, seen.what, 64) == 0);
    seen = find(&sim, "Flow", "a");
    assert_string_equal(seen.state, "waits_call");
    assert_string_equal(seen.what, "Flow/b nap");
    assert_int_equal(seen.number, 0);
    ask_of(&journal, CAIRN_OP_JOURNAL, seen.invocation);
    simcall_run(&sim, &journal);
    text = simvalue_text(cairn_buf_bytes(&journal.reply));
    assert_non_null(strstr(text, "[1, \"value_get\", -1"));
    assert_non_null(strstr(text, "[3, \"call\", 0, \"Flow/b nap\""));
    simcall_done(&journal);

    simnode_crash(&sim, CAIRN_SIM_KEEP); /* what is in memory of them is another thing then */
    flows_reopen(&sim);
    simnode_settle(&sim);
    assert_string_equal(find(&sim, "Flow", "n").state, "sleeps");
    assert_string_equal(find(&sim, "Flow", "v").state, "waits_promise");
    assert_string_equal(find(&sim, "Flow", "a").state, "waits_call");
    assert_string_equal(find(&sim, "Flow", "b").state, "sleeps");
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
        submit(&sim, &calls[i], id, "nap", LONG, NULL, NULL, NULL);
    }
    simnode_settle(&sim);
    assert_int_equal(list(&sim, "Flow", NULL, seen, MANY), MANY);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(cancel(&sim, seen[i].invocation), "nil");
    for (int i = 0; i < MANY; i++) {
        assert_true(begins(outcome(&sim, &calls[i]), CANCELLED));
        simcall_done(&calls[i]);
    }
    nothing_is_left(&sim);
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
    submit(&sim, &bulk, "a", "bulk_nap", "6553600", LONG, NULL, NULL);
    simnode_settle(&sim);
    seen = find(&sim, "Flow", "a");
    do {
        struct cairn_value next;
        struct cairn_reader r;
        struct simcall call;

        ask_of(&call, CAIRN_OP_JOURNAL, seen.invocation);
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
    assert_string_equal(cancel(&sim, seen.invocation), "nil");
    assert_true(begins(outcome(&sim, &bulk), CANCELLED));
    nothing_is_left(&sim);
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
    submit(&sim, &first, "v", "vow", "x", "0", "0", "once");
    simnode_settle(&sim);
    submit(&sim, &second, "v", "vow", "x", "0", "0", "once");
    simnode_settle(&sim);
    snprintf(promise, sizeof promise, "%.65s", flows_ask(&sim, "Flow", "v", "word"));
    seen = find(&sim, "Flow", "v");
    assert_string_equal(cancel(&sim, seen.invocation), "nil");
    assert_true(begins(outcome(&sim, &first), CANCELLED));
    assert_true(begins(outcome(&sim, &second), CANCELLED));
    assert_true(begins(cancel(&sim, seen.invocation), "!not_found: no durable invocation"));
    assert_true(begins(cancel(&sim, "0-0"), "!not_found"));
    assert_true(begins(cancel(&sim, "7"), "!not_found"));
    simcall_done(&first);
    simcall_done(&second);
    submit(&sim, &first, "v", "vow", "x", "0", "0", "once"); /* the outcome of the key stays */
    assert_true(begins(outcome(&sim, &first), CANCELLED));
    simcall_done(&first);
    ask_of(&first, CAIRN_OP_SETTLE, promise + 1);
    first.request.name.size = 64;
    first.request.body = cairn_bytes((const uint8_t[]){CAIRN_VALUE_NIL}, 1);
    simcall_run(&sim, &first);
    assert_true(begins(simvalue_text(cairn_buf_bytes(&first.reply)), "!not_found"));
    simcall_done(&first);
    assert_string_equal(flows_ask(&sim, "Flow", "v", "counts"), "[1, 0]"); /* what it had committed stays */
    nothing_is_left(&sim);
    simnode_done(&sim);
}

static void ends_what_it_has_called(void **state)
{
    struct simcall call;
    struct simnode sim;

    (void)state;
    flows_open(&sim, 5, NULL);
    submit(&sim, &call, "a", "nurse", "b", LONG, "x", NULL);
    simnode_settle(&sim);
    assert_string_equal(cancel(&sim, find(&sim, "Flow", "a").invocation), "nil");
    assert_true(begins(outcome(&sim, &call), CANCELLED));
    simcall_done(&call);
    nothing_is_left(&sim);
    assert_string_equal(flows_ask(&sim, "Flow", "b", "counts"), "[1, 0]");
    assert_int_equal(flows_tally(&sim, "x"), 0);

    submit(&sim, &call, "a", "nurse", "b", LONG, "x", NULL); /* its caller hears so, and goes on */
    simnode_settle(&sim);
    assert_string_equal(cancel(&sim, find(&sim, "Flow", "b").invocation), "nil");
    assert_string_equal(outcome(&sim, &call), "nil");
    simcall_done(&call);
    nothing_is_left(&sim);
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
    submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    simnode_settle(&sim);
    for (int i = 0; i < 2; i++) {
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        flows_reopen(&sim);
        simnode_settle(&sim);
    }
    simcall_done(&call);
    assert_string_equal(cancel(&sim, find(&sim, "Flow", "a").invocation), "nil");
    nothing_is_left(&sim);
    submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    assert_true(begins(outcome(&sim, &call), CANCELLED));
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
    submit(&sim, &call, "a", method, a, b, c, keyed ? "once" : NULL);
    for (int i = 0; i < at && !call.replied; i++)
        simnode_step(&sim);
    was_over = call.replied;
    if (list(&sim, "Flow", "a", &seen, 1) > 0)
        cancelled = strcmp(cancel(&sim, seen.invocation), "nil") == 0;
    if (cancelled) {
        assert_int_equal(list(&sim, "Flow", "a", &seen, 1), 0);
    }
    heard = outcome(&sim, &call);
    if (cancelled != begins(heard, CANCELLED))
        fail_msg("%s at step %d: cancelled %d, and the client hears %s", method, at, cancelled, heard);
    simcall_done(&call);
    if (!flows_rest(&sim))
        fail_msg("%s at step %d: something is left", method, at);
    nothing_is_left(&sim);
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
    submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    simnode_settle(&sim);
    seen = find(&sim, "Flow", "a");
    ask_of(&ends, CAIRN_OP_CANCEL, seen.invocation);
    simcall_submit(&sim, &ends, (uint32_t)at % 2);
    for (int i = 0; i < at && !ends.replied; i++)
        simnode_step(&sim);
    acknowledged = ends.replied;
    simnode_crash(&sim, how[(unsigned)at % 3]);
    flows_reopen(&sim);
    simcall_done(&ends);
    simcall_done(&call);
    simnode_settle(&sim);
    if (list(&sim, "Flow", "a", &seen, 1) > 0) {
        if (acknowledged)
            fail_msg("crash at step %d: a cancellation that was acknowledged is lost", at);
        assert_string_equal(cancel(&sim, seen.invocation), "nil");
    }
    submit(&sim, &call, "a", "nurse", "b", LONG, "x", "once");
    assert_true(begins(outcome(&sim, &call), CANCELLED));
    simcall_done(&call);
    nothing_is_left(&sim);
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
    submit(&sim, &old, "a", "nap", LONG, NULL, NULL, "old");
    simnode_settle(&sim);
    operate(&sim, CAIRN_OP_SNAPSHOT, NULL, 0);
    submit(&sim, &young, "a", "nurse", "b", LONG, "x", "young");
    for (int i = 0; i < OTHERS; i++) {
        snprintf(id, sizeof id, "o%d", i);
        submit(&sim, &others[i], id, "nap", LONG, NULL, NULL, NULL);
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
    assert_int_equal(list(&sim, "Flow", "a", &seen, 1), 0);
    for (int i = 0; i < 1000 && list(&sim, "Flow", "b", &seen, 1); i++) /* it hears that its caller is over */
        simnode_step(&sim);
    assert_int_equal(list(&sim, "Flow", NULL, NULL, 0), OTHERS);
    submit(&sim, &old, "a", "nap", LONG, NULL, NULL, "old");
    submit(&sim, &young, "a", "nurse", "b", LONG, "x", "young");
    assert_true(begins(outcome(&sim, &old), CANCELLED) || begins(outcome(&sim, &old), "!not_found"));
    assert_true(begins(outcome(&sim, &young), CANCELLED));
    assert_int_equal(flows_keys_with(&sim, KEY_RESTORED), 0);
    submit(&sim, &call, "a", "nap", LONG, NULL, NULL, NULL); /* what begins now goes on */
    simnode_settle(&sim);
    assert_int_equal(list(&sim, "Flow", "a", &seen, 1), 1);
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
