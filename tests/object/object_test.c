/* Would catch: a method whose effects or results are not what it was told, fields that do not keep
 * their order, calls whose results are lost, errors that leave something behind, objects that do not
 * survive a restart, keys that run twice, listings that miss an object, deploys that change too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/simnode.h"

#define expect(want, ...) simnode_expect(&sim, want, "Probe", __VA_ARGS__, NULL)

static void open_node(struct simnode *sim, uint64_t seed)
{
    struct cairn_err err;

    simnode_init(sim, seed, NULL);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "probe");
}

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static const char *ask(struct simnode *sim, struct simcall *call)
{
    simcall_run(sim, call);
    return simvalue_text(cairn_buf_bytes(&call->reply));
}

static void retwis_works(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 1);
    simnode_expect(&sim, "!unknown_type...", "User", "alice", "create", "Alice", NULL);
    simnode_deploy(&sim, "retwis");
    simnode_expect(&sim, "!unknown_method...", "User", "alice", "fly", NULL);
    simnode_expect(&sim, "!not_public...", "User", "alice", "deliver", "x", NULL);
    simnode_expect(&sim, "[]", "User", "bob", "timeline", "10", NULL);
    simnode_expect(&sim, "1", "User", "bob", "follow", "alice", NULL);
    simnode_expect(&sim, "1", "User", "carol", "follow", "alice", NULL);
    simnode_expect(&sim, "2", "User", "alice", "post", "hello", NULL);
    simnode_expect(&sim, "nil", "User", "alice", "block", "bob", NULL);
    simnode_expect(&sim, "1", "User", "alice", "post", "again", NULL);
    simnode_expect(&sim, "!blocked...", "User", "bob", "follow", "alice", NULL);
    simnode_done(&sim);
}

static void fields_keep_what_they_are_given(void **state)
{
    struct simnode sim;
    char text[16];

    (void)state;
    open_node(&sim, 2);
    expect("nil", "a", "get");
    expect("nil", "a", "set", "");
    expect("\"\"", "a", "get");
    expect("nil", "a", "set", "word");
    expect("\"word\"", "a", "get");
    expect("nil", "a", "clear");
    expect("nil", "a", "get");
    expect("3", "a", "push", "x", "y", "z");
    expect("1", "a", "replace", "1", "Y");
    expect("0", "a", "replace", "3", "no");
    expect("[\"x\", \"Y\", \"z\"]", "a", "list");
    expect("2", "a", "drop", "1", "1");
    expect("[\"Y\"]", "a", "list");
    expect("1", "a", "drop", "5", "5");
    expect("1", "a", "push", "again");
    expect("[\"again\"]", "a", "list");
    for (int i = 1; i <= 300; i++) { /* beyond every small size */
        char want[16];
        snprintf(text, sizeof text, "k%d", i);
        snprintf(want, sizeof want, "%d", i);
        expect(want, "m", "map_set", text, "v");
    }
    expect("1", "m", "map_remove", "k1");
    expect("0", "m", "map_remove", "k1");
    expect("299", "m", "map_set", "k2", "changed");
    expect("\"changed\"", "m", "map_get", "k2");
    expect("nil", "m", "map_get", "k1");
    for (int i = 3; i <= 300; i++) {
        snprintf(text, sizeof text, "k%d", i);
        expect("1", "m", "map_remove", text);
    }
    expect("[\"k2\", \"changed\"]", "m", "map");
    simnode_done(&sim);
}

static void a_failure_leaves_nothing(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 3);
    expect("1", "a", "add");
    expect("!failed: on purpose", "a", "add_then_fail");
    expect("!trap...", "a", "add_then_trap");
    expect("!cpu_limit...", "a", "spin");
    expect("1", "a", "count");
    expect("!failed: after the call", "a", "fail_after_call", "b");
    expect("1", "a", "count"); /* the first segment's write stays, the second's does not */
    expect("1", "b", "count");
    expect("!not_read_only...", "a", "read_writes");
    expect("\"not_read_only\"", "a", "read_calls_write", "b");
    expect("1", "b", "count");
    expect("!not_deterministic...", "a", "sure_time");
    simnode_done(&sim);
}

static void calls_come_back(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 4);
    expect("[1, 1, 2, 1]", "a", "fan", "add", "b", "c", "b", "a");
    expect("[\"a\", \"a\"]", "a", "fan", "who", "b", "a");
    expect("\"a client\"", "a", "who");
    expect("[\"told\"]", "a", "fan", "secret", "x");
    expect("!not_public...", "a", "secret");
    expect("[!failed: on purpose, !failed: on purpose]", "a", "add_and_fan", "add_then_fail", "b", "c");
    expect("2", "a", "count");
    expect("3", "a", "leave", "p", "q", "p");
    expect("2", "p", "count"); /* the return has waited for them */
    expect("5", "a", "chain", "b", "a", "a", "b", "c");
    expect("!limit...", "x", "endless", "y");
    expect("!limit...", "x", "endless", "x");
    expect("nil", "x", "many_calls", "z", "3000");
    simnode_done(&sim);
}

static void everything_survives_a_crash(void **state)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};
    struct simnode sim;

    (void)state;
    open_node(&sim, 5);
    expect("1", "a", "add");
    for (int i = 0; i < 9; i++) {
        char want[16];
        simnode_crash(&sim, how[i % 3]);
        reopen(&sim);
        snprintf(want, sizeof want, "%d", i + 2);
        expect(want, "a", "add");
        expect("[1]", "b", "fan", "add", i == 0 ? "c" : want);
        snprintf(want, sizeof want, "%d", i + 1);
        expect(want, "a", "push", "x");
    }
    simnode_done(&sim);
}

static const char *list_all(struct simnode *sim, const char *prefix, const char *cursor, uint32_t limit)
{
    static struct cairn_buf kept;
    struct simcall call;

    simcall_init(&call, CAIRN_OP_LIST, "Probe", NULL, NULL, NULL);
    call.request.prefix = cairn_str(prefix);
    call.request.cursor = cairn_str(cursor);
    call.request.limit = limit;
    kept.size = 0;
    cairn_buf_str(&kept, ask(sim, &call));
    cairn_buf_u8(&kept, 0);
    simcall_done(&call);
    return (const char *)kept.data;
}

static const char *delete_one(struct simnode *sim, const char *id)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, CAIRN_OP_DELETE, "Probe", id, NULL, NULL);
    text = ask(sim, &call);
    simcall_done(&call);
    return text;
}

static uint64_t keys_of(struct simnode *sim)
{
    uint64_t keys = 0;

    for (uint32_t i = 0; i < cairn_store_shards(sim->store); i++) {
        struct cairn_engine_stats stats;
        cairn_shard_engine_stats(cairn_store_shard(sim->store, i), &stats);
        keys += stats.keys;
    }
    return keys;
}

static void what_is_undone_was_never_done(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 16);
    expect("nil", "a", "set", "before");
    expect("1", "a", "push", "before");
    expect("2", "a", "undo", "b");
    simnode_settle(&sim);
    expect("[\"before\", \"kept\"]", "a", "list");
    expect("\"before\"", "a", "get");
    expect("0", "a", "count");
    expect("1", "b", "count"); /* one call alone, and no message */
    expect("[]", "a", "map");
    simnode_done(&sim);
}

static void deleted_is_deleted(void **state)
{
    struct simnode sim;
    uint64_t before;
    char text[16];

    (void)state;
    open_node(&sim, 6);
    expect("!bad_request...", "", "count");
    for (uint32_t i = 0; i < 64; i++) { /* every shard has its own numbers from here on */
        snprintf(text, sizeof text, "w%u", i);
        expect("1", text, "add");
        assert_string_equal(delete_one(&sim, text), "1");
    }
    simnode_settle(&sim);
    before = keys_of(&sim);
    for (int i = 0; i < 700; i++) {
        snprintf(text, sizeof text, "k%d", i);
        simnode_expect(&sim, "nil", "Probe", "a", "set", text, NULL);
        snprintf(text, sizeof text, "%d", i + 1);
        simnode_expect(&sim, text, "Probe", "a", "push", "entry", NULL);
        simnode_expect(&sim, text, "Probe", "a", "map_set", text, "value", NULL);
    }
    assert_string_equal(list_all(&sim, "", "", 10), "[[\"a\"], nil]");
    assert_string_equal(delete_one(&sim, "a"), "1");
    assert_string_equal(delete_one(&sim, "a"), "0");
    assert_string_equal(list_all(&sim, "", "", 10), "[[], nil]");
    expect("nil", "a", "get");
    expect("[]", "a", "list");
    expect("1", "a", "push", "new"); /* while what is left of the old one is still being removed */
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    expect("[\"new\"]", "a", "list");
    expect("0", "a", "remove_and_set", "w"); /* its list is empty at once */
    expect("\"w\"", "a", "get");
    expect("nil", "a", "remove");
    simnode_settle(&sim);
    assert_int_equal(keys_of(&sim), before); /* nothing of it is left */
    simnode_done(&sim);
}

static void listings_are_whole_and_ordered(void **state)
{
    struct simnode sim;
    struct cairn_buf want = {0};
    char id[32];

    (void)state;
    open_node(&sim, 7);
    for (int i = 0; i < 500; i++) { /* not in order, across splits of pages */
        snprintf(id, sizeof id, "id-%03d", i * 7 % 500);
        expect("1", id, "add");
    }
    for (int page = 0; page < 2; page++) {
        want.size = 0;
        cairn_buf_str(&want, "[[");
        for (int i = 250 * page; i < 250 * (page + 1); i++)
            cairn_buf_printf(&want, "%s\"id-%03d\"", i % 250 ? ", " : "", i);
        cairn_buf_str(&want, page ? "], nil]" : "], \"id-249\"]");
        cairn_buf_u8(&want, 0);
        assert_string_equal(list_all(&sim, "", page ? "id-249" : "", 1000), (const char *)want.data);
    }
    assert_string_equal(list_all(&sim, "id-00", "id-003", 3), "[[\"id-004\", \"id-005\", \"id-006\"], \"id-006\"]");
    assert_string_equal(list_all(&sim, "id-49", "", 100),
                        "[[\"id-490\", \"id-491\", \"id-492\", \"id-493\", \"id-494\", \"id-495\", \"id-496\", "
                        "\"id-497\", \"id-498\", \"id-499\"], nil]");
    for (int i = 0; i < 500; i++)
        if (i != 250) {
            snprintf(id, sizeof id, "id-%03d", i);
            assert_string_equal(delete_one(&sim, id), "1");
        }
    assert_string_equal(list_all(&sim, "", "", 10), "[[\"id-250\"], nil]");
    cairn_buf_done(&want);
    simnode_done(&sim);
}

static const char *keyed(struct simnode *sim, const char *key, const char *id, const char *method, const char *arg)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, CAIRN_OP_INVOKE, "Probe", id, method, arg, NULL);
    simcall_key(&call, key);
    text = ask(sim, &call);
    simcall_done(&call);
    return text;
}

static void a_key_takes_effect_once(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 8);
    assert_string_equal(keyed(&sim, "k1", "a", "add", "5"), "5");
    assert_string_equal(keyed(&sim, "k1", "a", "add", "5"), "5");
    assert_true(strncmp(keyed(&sim, "k1", "a", "add", "6"), "!key_reused", 11) == 0);
    assert_string_equal(keyed(&sim, "k1", "b", "add", "6"), "6"); /* another object */
    assert_string_equal(keyed(&sim, "k2", "a", "add_then_fail", "x"), "!failed: on purpose");
    assert_string_equal(keyed(&sim, "k2", "a", "add_then_fail", "x"), "!failed: on purpose");
    assert_true(strncmp(keyed(&sim, "k3", "a", "add_then_trap", "x"), "!trap", 5) == 0);
    assert_string_equal(keyed(&sim, "k4", "a", "fan", "add"), "[]");
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    assert_string_equal(keyed(&sim, "k1", "a", "add", "5"), "5");
    assert_string_equal(keyed(&sim, "k2", "a", "add_then_fail", "x"), "!failed: on purpose");
    assert_true(strncmp(keyed(&sim, "k3", "a", "add_then_trap", "x"), "!trap", 5) == 0);
    expect("5", "a", "count");
    simnode_done(&sim);
}

/* Two calls with one key at once: the second waits for the first. */
static void duplicates_wait(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simnode sim;
        struct simcall one, two;

        open_node(&sim, seed);
        simcall_init(&one, CAIRN_OP_INVOKE, "Probe", "a", "add_and_fan", "add", "b", "c", NULL);
        simcall_init(&two, CAIRN_OP_INVOKE, "Probe", "a", "add_and_fan", "add", "b", "c", NULL);
        simcall_key(&one, "k");
        simcall_key(&two, "k");
        simcall_submit(&sim, &one, 0);
        for (uint64_t steps = seed % 7; steps; steps--)
            simnode_step(&sim);
        simcall_submit(&sim, &two, 1);
        for (int i = 0; i < 100000 && !(one.replied && two.replied); i++)
            simnode_step(&sim);
        assert_true(one.replied && two.replied);
        assert_true(cairn_bytes_equal(cairn_buf_bytes(&one.reply), cairn_buf_bytes(&two.reply)));
        expect("1", "a", "count");
        expect("1", "b", "count");
        simcall_done(&one);
        simcall_done(&two);
        simnode_done(&sim);
    }
}

/* What a crash cuts off between two segments has the outcome `interrupted`, and never runs again. */
static void a_crash_interrupts(void **state)
{
    int interrupted = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simnode sim;
        struct simcall call;

        open_node(&sim, seed);
        simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "a", "many_adds", "b", "1000", NULL);
        simcall_key(&call, "k");
        simcall_submit(&sim, &call, 0);
        for (uint64_t steps = seed * 60; steps && !call.replied; steps--)
            simnode_step(&sim);
        if (!call.replied) {
            simnode_crash(&sim, seed % 2 ? CAIRN_SIM_KEEP : CAIRN_SIM_DROP);
            reopen(&sim);
            if (strncmp(ask(&sim, &call), "!interrupted", 12) == 0) {
                interrupted++;
                simnode_crash(&sim, CAIRN_SIM_DROP);
                reopen(&sim);
                assert_true(strncmp(ask(&sim, &call), "!interrupted", 12) == 0);
            } else {
                expect("1000", "b", "count"); /* no record of it had survived: it ran now, whole */
            }
        }
        simcall_done(&call);
        simnode_done(&sim);
    }
    assert_true(interrupted > 2);
}

/* More invocations that wait for calls than there are fibers, on few objects: one that has its result must
 * get back to its object although others stand there that need a fiber; and calls so deep that all
 * fibers wait for each other end with `limit`. */
static void fibers_run_out(void **state)
{
    enum { CALLS = 60 };
    struct simnode_options options = {.fibers_per_worker = 4};
    struct simcall calls[CALLS];
    struct simnode sim;
    char want[16];
    int done = 0;
    struct cairn_err err;

    (void)state;
    simnode_init(&sim, 12, &options);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(&sim, "probe");
    for (int i = 0; i < CALLS; i++) {
        simcall_init(&calls[i], CAIRN_OP_INVOKE, "Probe", i % 3 ? "a" : "b", "add_and_fan", "add", i % 2 ? "a" : "c",
                     "d", NULL);
        simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
    }
    for (int i = 0; i < CALLS; i++) {
        for (int steps = 0; !calls[i].replied; steps++) {
            assert_true(steps < 1000000);
            simnode_step(&sim);
        }
        if (calls[i].reply.data[0] != CAIRN_VALUE_ERROR)
            done++;
        else
            assert_true(strncmp(simvalue_text(cairn_buf_bytes(&calls[i].reply)), "!overloaded", 11) == 0);
        simcall_done(&calls[i]);
    }
    assert_true(done > CALLS / 2); /* the others were refused before they ran */
    snprintf(want, sizeof want, "%d", done);
    expect(want, "d", "count");
    expect("!limit...", "x", "endless", "y");
    snprintf(want, sizeof want, "[%d]", done + 1);
    expect(want, "a", "fan", "add", "d");
    simnode_done(&sim);
}

/* Calls so deep that all fibers wait for each other end with `limit` also while the node is never idle: steady reads of
 * other objects, of which some are always under way, must not hide it. */
static void fibers_run_out_under_load(void **state)
{
    enum { READS = 24 };
    struct simnode_options options = {.fibers_per_worker = 4};
    struct simcall reads[READS], knot;
    struct simnode sim;
    uint64_t began, took, answered = 0;
    struct cairn_err err;
    char id[8];

    (void)state;
    simnode_init(&sim, 13, &options);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(&sim, "probe");
    for (int i = 0; i < READS; i++) {
        snprintf(id, sizeof id, "r%d", i);
        simcall_init(&reads[i], CAIRN_OP_INVOKE, "Probe", id, "count", NULL);
        simcall_submit(&sim, &reads[i], (uint32_t)i % 2);
    }
    simcall_init(&knot, CAIRN_OP_INVOKE, "Probe", "x", "endless", "y", NULL);
    began = sim.clock.clock.monotonic_ns(&sim.clock.clock);
    simcall_submit(&sim, &knot, 0);
    do {
        for (int i = 0; i < READS; i++)
            if (reads[i].replied) {
                answered++;
                simcall_done(&reads[i]);
                snprintf(id, sizeof id, "r%d", i);
                simcall_init(&reads[i], CAIRN_OP_INVOKE, "Probe", id, "count", NULL);
                simcall_submit(&sim, &reads[i], (uint32_t)i % 2);
            }
        simnode_step(&sim);
        cairn_sim_clock_advance(&sim.clock, 20000); /* it stands still while anything can be done */
        took = sim.clock.clock.monotonic_ns(&sim.clock.clock) - began;
    } while (!knot.replied && took < 2000000000);
    if (!knot.replied)
        fail_msg("not noticed within 2 s, in which %llu reads were answered", (unsigned long long)answered);
    assert_true(strncmp(simvalue_text(cairn_buf_bytes(&knot.reply)), "!limit", 6) == 0);
    assert_true(answered > READS);
    simcall_done(&knot);
    for (int i = 0; i < READS; i++) {
        while (!reads[i].replied)
            simnode_step(&sim);
        simcall_done(&reads[i]);
    }
    simnode_done(&sim);
}

static void modules_come_and_go(void **state)
{
    struct simnode sim;
    struct simcall call;

    (void)state;
    open_node(&sim, 9);
    simcall_init(&call, CAIRN_OP_UNDEPLOY, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("probe");
    expect("1", "a", "add");
    assert_true(strncmp(ask(&sim, &call), "!conflict", 9) == 0);
    expect("2", "a", "add");
    assert_string_equal(delete_one(&sim, "a"), "1");
    assert_string_equal(ask(&sim, &call), "nil");
    expect("!unknown_type...", "a", "add");
    assert_true(strncmp(ask(&sim, &call), "!not_found", 10) == 0);
    simcall_done(&call);
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    expect("!unknown_type...", "a", "add");
    simnode_deploy(&sim, "probe");
    expect("1", "a", "add");
    simnode_done(&sim);
}

static void time_never_goes_back(void **state)
{
    struct simnode sim;
    int64_t last = 0;

    (void)state;
    open_node(&sim, 10);
    for (int i = 0; i < 60; i++) {
        struct simcall call;
        struct cairn_reader r;
        int64_t now;
        simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "a", "time", NULL);
        simcall_run(&sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        now = cairn_value_read(&r).integer;
        assert_true(now >= last);
        last = now;
        simcall_done(&call);
        if (i % 10 == 3)
            sim.clock.wall_offset_ms -= 5000; /* somebody sets the clock back */
        if (i % 10 == 7) {
            simnode_crash(&sim, CAIRN_SIM_DROP);
            reopen(&sim);
        }
    }
    simnode_done(&sim);
}

/* A node that was idle for longer than time is reserved ahead tells the time, and is killed at once. */
static void a_time_that_was_told_stays_told(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct simnode sim;
        int64_t told[2];

        open_node(&sim, seed);
        for (int i = 0; i < 2; i++) {
            struct simcall call;
            struct cairn_reader r;

            cairn_sim_clock_advance(&sim.clock, i == 0 ? UINT64_C(20000000000) : 1000000);
            simcall_init(&call, CAIRN_OP_INVOKE, "Probe", "a", "time", NULL);
            simcall_run(&sim, &call);
            r = cairn_reader(cairn_buf_bytes(&call.reply));
            told[i] = cairn_value_read(&r).integer;
            simcall_done(&call);
            if (i == 0) {
                simnode_crash(&sim, CAIRN_SIM_DROP);
                sim.clock.wall_offset_ms -= 60000;
                reopen(&sim);
            }
        }
        assert_true(told[1] >= told[0]);
        simnode_done(&sim);
    }
}

static void a_clean_stop_keeps_all(void **state)
{
    struct simnode sim;
    struct cairn_err err;

    (void)state;
    open_node(&sim, 11);
    expect("1", "a", "add");
    expect("nil", "a", "say", "hello");
    if (simnode_close(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    reopen(&sim);
    expect("2", "a", "add");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retwis_works),
        cmocka_unit_test(fields_keep_what_they_are_given),
        cmocka_unit_test(a_failure_leaves_nothing),
        cmocka_unit_test(calls_come_back),
        cmocka_unit_test(everything_survives_a_crash),
        cmocka_unit_test(what_is_undone_was_never_done),
        cmocka_unit_test(deleted_is_deleted),
        cmocka_unit_test(listings_are_whole_and_ordered),
        cmocka_unit_test(a_key_takes_effect_once),
        cmocka_unit_test(duplicates_wait),
        cmocka_unit_test(a_crash_interrupts),
        cmocka_unit_test(fibers_run_out),
        cmocka_unit_test(fibers_run_out_under_load),
        cmocka_unit_test(modules_come_and_go),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(a_time_that_was_told_stays_told),
        cmocka_unit_test(a_clean_stop_keeps_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
