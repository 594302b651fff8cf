/* Would catch: a result from the cache that is not what the method would have given, after a write, a failed one, a
 * deletion, a restore, a redeploy, a crash, or an object that left memory in between; one that is given to another
 * caller, of another method, for other arguments or of another object; a reply that leaves before what it tells is
 * safe; results that should not be kept and are; a cache that grows beyond its bound, or never answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "object/worker.h"
#include "support/simnode.h"

static struct simnode sim;

#define expect(want, id, ...) simnode_expect(&sim, want, "Kept", id, __VA_ARGS__, NULL)

static void reopen(void)
{
    struct cairn_err err;

    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void open_with(uint64_t seed, const char *engine, uint64_t bytes)
{
    struct simnode_options options = {.engine = engine, .limits = {.cache_bytes = bytes}};

    simnode_init(&sim, seed, &options);
    reopen();
    simnode_deploy(&sim, "kept");
}

static uint64_t hits(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < sim.options.workers; i++)
        sum += stat_get(&cairn_node_worker(sim.node, i)->counts.cache_hits);
    return sum;
}

static uint64_t bytes_kept(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < sim.options.workers; i++)
        sum += stat_get(&cairn_node_worker(sim.node, i)->counts.cache_bytes);
    return sum;
}

/* From the third time on. */
static void expect_kept(const char *want, const char *id, const char *method, const char *argument, bool kept)
{
    uint64_t before;

    for (int i = 0; i < 2; i++)
        expect(want, id, method, argument);
    before = hits();
    for (int i = 0; i < 3; i++)
        expect(want, id, method, argument);
    assert_int_equal(hits() - before, kept ? 3 : 0);
}

static void what_is_kept(void **state)
{
    (void)state;
    open_with(1, "memory", 1 << 20);
    expect("7", "a", "set", "7");
    expect("8", "b", "set", "8");
    expect_kept("\"7 0 \"", "a", "get", NULL, true);
    expect_kept("\"8 0 \"", "b", "get", NULL, true);
    expect_kept("\"7 1 x\"", "a", "get", "x", true);
    expect_kept("\"7 1 y\"", "a", "get", "y", true);
    expect_kept("14", "a", "twice", NULL, true);
    expect_kept("-2", "nobody", "twice", NULL, true);
    expect_kept("7", "a", "never", NULL, false);
    expect_kept("7", "a", "reads_only", NULL, false);
    expect_kept("!no: on purpose", "a", "fails", NULL, false);
    expect_kept("1", "a", "logs", NULL, false);
    expect_kept("\"a client\"", "a", "who", NULL, false);
    for (int i = 0; i < 3; i++)
        expect("\"b\"", "b", "ask", "a", "who");
    expect("\"a client\"", "a", "who");
    simnode_done(&sim);
}

static void nothing_is_kept_without_room(void **state)
{
    (void)state;
    open_with(2, "memory", 0);
    expect("7", "a", "set", "7");
    expect_kept("\"7 0 \"", "a", "get", NULL, false);
    assert_int_equal(bytes_kept(), 0);
    simnode_done(&sim);
}

static const char *ask(enum cairn_op op, const char *id, uint64_t number)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, op, op == CAIRN_OP_SNAPSHOT ? NULL : "Kept", id, NULL, NULL);
    call.request.number = number;
    simcall_run(&sim, &call);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    simcall_done(&call);
    return text;
}

/* The same module with another edition in its data. */
static void redeploy(char number)
{
    struct cairn_buf wasm = {0};
    struct simcall call;
    uint8_t *at;

    simnode_wasm("kept", &wasm);
    at = memmem(wasm.data, wasm.size, "edition-1", 9);
    assert_non_null(at);
    at[8] = (uint8_t)number;
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.body = cairn_buf_bytes(&wasm);
    simcall_run(&sim, &call);
    assert_int_equal(call.reply.data[0], CAIRN_VALUE_LIST);
    simcall_done(&call);
    cairn_buf_done(&wasm);
}

static void expect_call_kept(const char *want, const char *id, const char *other, const char *method, bool kept)
{
    uint64_t before;

    for (int i = 0; i < 3; i++)
        expect(want, id, "ask", other, method);
    before = hits();
    expect(want, id, "ask", other, method);
    assert_int_equal(hits() - before, kept ? 1 : 0);
}

/* Objects of one tag are on one worker. */
static void what_is_kept_of_calls(void **state)
{
    static const char *const workers[] = {"o0", "o1", "o2", "o3", "o4", "o5", "o6", "o7"};
    uint64_t before, all = 0;

    (void)state;
    open_with(6, "memory", 1 << 20);
    expect("7", "{t}a", "set", "7");
    expect_call_kept("14", "{t}b", "{t}a", "twice", true);
    expect("8", "{t}a", "set", "8");
    expect_call_kept("16", "{t}b", "{t}a", "twice", true);
    expect("3", "{t}b", "set", "3"); /* the caller's */
    expect_call_kept("16", "{t}b", "{t}a", "twice", true);
    expect_call_kept("-2", "{t}b", "{t}nobody", "twice", true);
    expect("1", "{t}nobody", "set", "1");
    expect_call_kept("2", "{t}b", "{t}nobody", "twice", true);
    assert_string_equal(ask(CAIRN_OP_DELETE, "{t}a", 0), "1");
    expect_call_kept("-2", "{t}b", "{t}a", "twice", true);
    expect_call_kept("1", "{t}b", "{t}a", "edition", true);
    redeploy('2');
    expect_call_kept("2", "{t}b", "{t}a", "edition", true);
    /* Of what is told to the caller alone, is said each time, must not be kept, or failed, there is none. */
    expect_call_kept("\"{t}b\"", "{t}b", "{t}a", "who", false);
    expect_call_kept("1", "{t}b", "{t}a", "logs", false);
    expect_call_kept("-1", "{t}b", "{t}a", "never", false);
    expect_call_kept("nil", "{t}b", "{t}a", "fails", false);
    /* Those of an object of another worker: its own is, the caller's is not. */
    for (int i = 0; i < 8; i++) {
        expect("1", workers[i], "set", "1");
        for (int n = 0; n < 3; n++)
            expect("2", "{t}b", "ask", workers[i], "twice");
        before = hits();
        expect("2", "{t}b", "ask", workers[i], "twice");
        assert_int_equal(hits() - before, 1);
        expect("5", workers[i], "set", "5");
        expect("10", "{t}b", "ask", workers[i], "twice");
        all += hits();
    }
    assert_true(all);
    simnode_done(&sim);
}

/* The caller's object, or the called one, changes while the caller waits. */
static void changed_while_it_waits(void **state)
{
    struct cairn_random random;
    int own = 0, other = 0;

    (void)state;
    open_with(7, "memory", 1 << 20);
    cairn_random_init(&random, 7);
    expect("0", "{t}a", "set", "0");
    expect("0", "{t}b", "set", "0");
    for (int n = 1; n <= 150; n++) {
        struct simcall sum, set;
        char text[16];

        simcall_init(&sum, CAIRN_OP_INVOKE, "Kept", "{t}a", "sum", "{t}b", NULL);
        simcall_submit(&sim, &sum, 0);
        for (uint64_t k = cairn_random_below(&random, 40); k > 0; k--)
            simnode_step(&sim);
        if (n % 3 == 0) {
            snprintf(text, sizeof text, "%d", n);
            simcall_init(&set, CAIRN_OP_INVOKE, "Kept", n % 2 ? "{t}a" : "{t}b", "set", text, NULL);
            *(n % 2 ? &own : &other) = n;
            simcall_run(&sim, &set);
            simcall_done(&set);
        }
        while (!sum.replied)
            simnode_step(&sim);
        simcall_done(&sum);
        snprintf(text, sizeof text, "%d", own + other);
        expect(text, "{t}a", "sum", "{t}b");
    }
    assert_true(hits() > 50);
    simnode_done(&sim);
}

static void never_stale(void **state)
{
    enum { OBJECTS = 5 };
    static const char *const ids[OBJECTS] = {"a", "{a}b", "{a}c", "{a}d", "e"}; /* four on one worker */
    struct cairn_random random;
    int values[OBJECTS], saved[OBJECTS], edition = 1;
    uint64_t hit = 0;
    int version = 0;

    (void)state;
    open_with(3, "hybridlog", 1 << 20);
    cairn_random_init(&random, 3);
    for (int i = 0; i < OBJECTS; i++)
        values[i] = saved[i] = -1;
    for (int n = 0; n < 3000; n++) {
        int at = (int)cairn_random_below(&random, OBJECTS), other = (int)cairn_random_below(&random, OBJECTS);
        char text[40], number[16];
        uint64_t before = hits();

        switch (cairn_random_below(&random, 40)) {
        case 0:
        case 1:
        case 2:
            values[at] = n;
            snprintf(number, sizeof number, "%d", n);
            expect(number, ids[at], "set", number);
            break;
        case 3:
            expect("!no: on purpose", ids[at], "set_and_fail", "99999");
            break;
        case 4:
            assert_string_equal(ask(CAIRN_OP_DELETE, ids[at], 0), values[at] >= 0 ? "1" : "0");
            values[at] = -1;
            break;
        case 5:
            if (n % 4 == 0) {
                redeploy((char)('0' + (edition = 1 + n % 3)));
            } else if (!version) {
                snprintf(text, sizeof text, "%d", ++version);
                assert_string_equal(ask(CAIRN_OP_SNAPSHOT, NULL, 0), text);
                memcpy(saved, values, sizeof saved);
            } else {
                assert_string_equal(ask(CAIRN_OP_RESTORE, ids[at], (uint64_t)version), saved[at] >= 0 ? "1" : "0");
                values[at] = saved[at];
            }
            break;
        case 6:
            if (n % 5 == 0) {
                hit += hits();
                simnode_crash(&sim, CAIRN_SIM_DROP);
                reopen();
            }
            break;
        case 7:
        case 8:
            snprintf(number, sizeof number, "%d", edition);
            expect(number, ids[at], "edition");
            break;
        case 9:
            snprintf(number, sizeof number, "%d", edition);
            expect(number, ids[at], "ask", ids[other], "edition");
            break;
        case 10:
        case 11:
        case 12:
        case 13: /* through another object, which does not change */
            snprintf(number, sizeof number, "%d", 2 * values[other]);
            expect(number, ids[at], "ask", ids[other], "twice");
            break;
        default:
            snprintf(text, sizeof text, "\"%d 0 \"", values[at]);
            expect(text, ids[at], "get");
            break;
        }
        (void)before;
    }
    assert_true(hit + hits() > 500);
    simnode_done(&sim);
}

/* A reader is answered from the cache while a writer is under way; and the object leaves memory in between. */
static void objects_that_leave_memory(void **state)
{
    char id[16], text[24];

    (void)state;
    open_with(4, "memory", 1 << 20);
    expect("1", "a", "set", "1");
    for (int i = 0; i < 3; i++)
        expect("2", "a", "twice");
    for (int i = 0; i < 20000; i++) {
        struct simcall call;
        snprintf(id, sizeof id, "o%d", i);
        simcall_init(&call, CAIRN_OP_INVOKE, "Kept", id, "reads_only", NULL);
        simcall_run(&sim, &call);
        simcall_done(&call);
    }
    expect("5", "a", "set", "5");
    for (int i = 0; i < 3; i++)
        expect("10", "a", "twice");
    (void)text;
    simnode_done(&sim);
}

static void bounded(void **state)
{
    (void)state;
    open_with(5, "memory", 64 << 10);
    expect("1", "a", "set", "1");
    for (int n = 0; n < 600; n++) {
        struct simcall call;
        char size[16];
        snprintf(size, sizeof size, "%d", 100 + n / 2 * 7 % 2500);
        simcall_init(&call, CAIRN_OP_INVOKE, "Kept", "a", "large", size, NULL);
        simcall_run(&sim, &call);
        assert_int_equal(call.reply.data[0], CAIRN_VALUE_BYTES);
        simcall_done(&call);
        assert_true(bytes_kept() <= 64 << 10);
    }
    assert_true(bytes_kept() > 16 << 10);
    expect_kept("\"1 0 \"", "a", "get", NULL, true);
    simnode_done(&sim);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(what_is_kept_of_calls),
        cmocka_unit_test(nothing_is_kept_without_room),
        cmocka_unit_test(changed_while_it_waits),
        cmocka_unit_test(never_stale),
        cmocka_unit_test(objects_that_leave_memory),
        cmocka_unit_test(bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
