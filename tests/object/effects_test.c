/* Would catch: an error that says less, or more, than what stays of the request; a refusal that becomes the outcome
 * of an idempotency key although nothing was done, or that lets a request that has done something run again; a method
 * that is refused room which there soon is; one that burns time and keeps all others from writing; a key that cannot
 * be used again; an outcome that is lost on a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "support/simnode.h"

enum { SEGMENT_BYTES = 256 << 10 };

static void open_node(struct simnode *sim, uint64_t seed)
{
    struct simnode_options options = {.log_segment_bytes = SEGMENT_BYTES};
    struct cairn_err err;

    simnode_init(sim, seed, &options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "step");
}

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

struct step {
    const char *label, *method, *args[3];
    const char *want; /* how the answer begins */
    enum cairn_effects effects;
    bool key_used; /* the same request with the same key gets the same again, when it would go well */
};

static void begin(struct simcall *call, const struct step *step, const char *id, const char *key)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Step", id, step->method, NULL);
    for (int i = 0; i < 3 && step->args[i]; i++)
        simcall_arg(call, step->args[i]);
    if (key)
        simcall_key(call, key);
}

static void check(struct simnode *sim, const struct step *step, const char *id, const char *key)
{
    struct simcall call;
    const char *text;

    begin(&call, step, id, key);
    simcall_run(sim, &call);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    if (strncmp(text, step->want, strlen(step->want)) != 0)
        fail_msg("%s: %s, not %s", step->label, text, step->want);
    if (call.reply.data[0] == CAIRN_VALUE_ERROR && call.request.effects != step->effects)
        fail_msg("%s: %s with effects %d, not %d", step->label, text, call.request.effects, step->effects);
    simcall_done(&call);
}

/* Until nothing large goes in any more; small records still do. */
static void fill_disk(struct simnode *sim)
{
    bool full = false;

    cairn_sim_disk_set_room(sim->disk, 0);
    for (int i = 0; i < 100 && !full; i++) {
        struct simcall call;

        simcall_init(&call, CAIRN_OP_INVOKE, "Step", "filler", "write", "60000", NULL);
        simcall_run(sim, &call);
        full = call.reply.data[0] == CAIRN_VALUE_ERROR;
        if (full) {
            assert_true(strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), "!disk_full", 10) == 0);
            assert_int_equal(call.request.effects, CAIRN_EFFECTS_NONE);
        }
        simcall_done(&call);
    }
    assert_true(full);
}

static const struct step on_a_full_disk[] = {
    {"one segment", "write", {"60000"}, "!disk_full", CAIRN_EFFECTS_NONE, false},
    {"the second of two", "two", {"60000"}, "!disk_full", CAIRN_EFFECTS_SOME, true},
    {"the second, the first having only read", "read_first", {"60000"}, "!disk_full", CAIRN_EFFECTS_NONE, false},
    {"behind a call that wrote", "through", {"x", "10", "60000"}, "!disk_full", CAIRN_EFFECTS_SOME, true},
    {"a call's, handed on", "through", {"x", "60000", "10"}, "!disk_full", CAIRN_EFFECTS_NONE, false},
    {"a trap", "trap", {NULL}, "!trap", CAIRN_EFFECTS_NONE, true},
    {"a trap after a write", "trap_later", {NULL}, "!trap", CAIRN_EFFECTS_SOME, true},
    {"too large for any log", "write", {"500000"}, "!limit", CAIRN_EFFECTS_NONE, true},
    {"too large, after a write", "two", {"500000"}, "!limit", CAIRN_EFFECTS_SOME, true},
    {"no such method", "fly", {NULL}, "!unknown_method", CAIRN_EFFECTS_NONE, false},
};

static void a_full_disk(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof on_a_full_disk / sizeof *on_a_full_disk; i++) {
        const struct step *step = &on_a_full_disk[i];
        struct step after = *step;
        struct simnode sim;

        open_node(&sim, i + 1);
        fill_disk(&sim);
        check(&sim, step, "plain", NULL);
        check(&sim, step, "keyed", "k");
        check(&sim, step, "keyed", "k"); /* the same, from the key or not */
        cairn_sim_disk_set_room(sim.disk, SIZE_MAX);
        for (int steps = 0; steps < 20000; steps++)
            simnode_step(&sim);
        if (!step->key_used && strcmp(step->method, "fly") != 0)
            after.want = "nil";
        check(&sim, &after, "keyed", "k");
        simnode_crash(&sim, CAIRN_SIM_DROP);
        reopen(&sim);
        check(&sim, &after, "keyed", "k");
        if (strcmp(after.want, "nil") == 0) /* and all that took effect once */
            simnode_expect(&sim, "1", "Step", "keyed", "count", NULL);
        simnode_done(&sim);
    }
}

/* The log fails under them: what was committed may be there or not, what was not is not. */
static void a_log_that_fails(void **state)
{
    static const struct step steps[] = {
        {"a read", "count", {NULL}, "", CAIRN_EFFECTS_NONE, false},
        {"a write", "write", {"10"}, "!unavailable", CAIRN_EFFECTS_UNKNOWN, false},
        {"two writes", "two", {"10"}, "!unavailable", CAIRN_EFFECTS_UNKNOWN, false},
        {"a write of another", "through", {"x", "10", "10"}, "!unavailable", CAIRN_EFFECTS_UNKNOWN, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct simnode sim;
        struct simcall call;

        open_node(&sim, i + 1);
        simnode_settle(&sim);
        begin(&call, &steps[i], "a", NULL);
        cairn_sim_disk_halt_at(sim.disk, 0);
        simcall_submit(&sim, &call, 0);
        for (int n = 0; !call.replied; n++) {
            assert_true(n < 1000000);
            simnode_step(&sim);
        }
        if (strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), steps[i].want, strlen(steps[i].want)) != 0)
            fail_msg("%s: %s", steps[i].label, simvalue_text(cairn_buf_bytes(&call.reply)));
        assert_int_equal(call.request.effects, steps[i].effects);
        simcall_done(&call);
        for (int n = 0; !sim.log_failed && i; n++) {
            assert_true(n < 1000000);
            simnode_step(&sim);
        }
        if (i) { /* refused before it ran */
            const struct step later = {"later", "write", {"10"}, "!unavailable", CAIRN_EFFECTS_NONE, false};
            check(&sim, &later, "a", NULL);
        }
        simnode_done(&sim);
    }
}

/* More than the log has segments ready for, at once: each waits for its room, none is refused. */
static void room_is_waited_for(void **state)
{
    enum { CALLS = 60 };
    static const char *const methods[] = {"write", "two", "read_first", "leaves"};
    struct simcall calls[CALLS];
    struct simnode sim;
    char id[8];

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        open_node(&sim, seed);
        for (int i = 0; i < CALLS; i++) {
            snprintf(id, sizeof id, "o%d", i);
            simcall_init(&calls[i], CAIRN_OP_INVOKE, "Step", id, methods[i % 4], "100000", NULL);
            if (i % 3 == 0)
                simcall_key(&calls[i], "k");
            simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
        }
        for (int i = 0; i < CALLS; i++) {
            for (int n = 0; !calls[i].replied; n++) {
                assert_true(n < 10000000);
                simnode_step(&sim);
            }
            if (calls[i].reply.data[0] == CAIRN_VALUE_ERROR)
                fail_msg("%s: %s", methods[i % 4], simvalue_text(cairn_buf_bytes(&calls[i].reply)));
            simcall_done(&calls[i]);
            snprintf(id, sizeof id, "o%d", i);
            simnode_expect(&sim, "1", "Step", id, "count", NULL);
        }
        simnode_done(&sim);
    }
}

/* Many write much and then go on for long: those that write little get their turn between their slices. */
static void a_slow_writer_keeps_nobody_out(void **state)
{
    enum { SLOW = 30 };
    struct simcall slow[SLOW], quick;
    struct simnode sim;
    int done = 0;
    char id[8];

    (void)state;
    open_node(&sim, 3);
    for (int i = 0; i < SLOW; i++) {
        snprintf(id, sizeof id, "s%d", i);
        simcall_init(&slow[i], CAIRN_OP_INVOKE, "Step", id, "burn", "100000", "2000000", NULL);
        simcall_submit(&sim, &slow[i], (uint32_t)i % 2);
    }
    for (int n = 0; n < 400; n++) /* all have begun, and written */
        simnode_step(&sim);
    simcall_init(&quick, CAIRN_OP_INVOKE, "Step", "quick", "write", "100000", NULL);
    simcall_submit(&sim, &quick, 0);
    for (int n = 0; !quick.replied; n++) {
        assert_true(n < 1000000);
        simnode_step(&sim);
    }
    assert_string_equal(simvalue_text(cairn_buf_bytes(&quick.reply)), "nil");
    for (int i = 0; i < SLOW; i++)
        done += slow[i].replied;
    assert_true(done < SLOW / 2);
    for (int i = 0; i < SLOW; i++) {
        for (int n = 0; !slow[i].replied; n++) {
            assert_true(n < 10000000);
            simnode_step(&sim);
        }
        assert_string_equal(simvalue_text(cairn_buf_bytes(&slow[i].reply)), "nil");
        simcall_done(&slow[i]);
    }
    simcall_done(&quick);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_log_that_fails),
        cmocka_unit_test(room_is_waited_for),
        cmocka_unit_test(a_slow_writer_keeps_nobody_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
