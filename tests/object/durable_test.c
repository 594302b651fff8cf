/* Would catch: a durable invocation that does not go on after a crash, does something twice or leaves it out, sees
 * something else than before, ends without an outcome for its key, leaves keys behind, or keeps what it should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "object/layout.h"
#include "support/flows.h"

static void works_without_a_crash(void **state)
{
    struct simnode sim;
    uint64_t keys;

    (void)state;
    flows_open(&sim, 1, NULL);
    simnode_expect(&sim, "[1, 1, 2]", "Flow", "a", "steps", "add", "x", "y", "x", NULL);
    simnode_expect(&sim, "[3, 2, 1]", "Flow", "a", "fan", "x", "y", "z", NULL);
    simnode_expect(&sim, "2", "Flow", "a", "leave", "x", "y", NULL);
    simnode_expect(&sim, "[5, 4]", "Flow", "b", "nest", "c", "x", "y", NULL);
    simnode_expect(&sim, "[!refused: on purpose]", "Flow", "b", "steps", "refuse", "y", NULL);
    simnode_done(&sim);

    flows_open(&sim, 2, NULL);
    simnode_expect(&sim, "[1, 1]", "Flow", "a", "steps", "add", "x", "y", NULL);
    assert_true(flows_rest(&sim));
    keys = flows_keys(&sim);
    simnode_expect(&sim, "!failed: on purpose", "Flow", "a", "fail", "x", NULL);
    simnode_expect(&sim, "[3, 2]", "Flow", "a", "steps", "add", "x", "y", NULL);
    assert_true(flows_rest(&sim));
    assert_int_equal(flows_keys(&sim), keys); /* journals and kept outcomes are gone */
    simnode_expect(&sim, "1", "Flow", "a", "touch", NULL);
    assert_int_equal(flows_keys(&sim), keys); /* one segment: nothing of a journal */
    simnode_done(&sim);
}

/* --- crashes ---------------------------------------------------------------------------------------------- */

static const struct flows_work works[] = {
    {.method = "steps",
     .args = {"add", "x", "y", "z"},
     .flows = {"a"},
     .tallies = {"x", "y", "z"},
     .each = 1,
     .want = "[1, 1, 1]"},
    {.method = "fan",
     .args = {"x", "y", "z"},
     .flows = {"a"},
     .tallies = {"x", "y", "z"},
     .each = 1,
     .want = "[1, 1, 1]"},
    {.method = "leave", .args = {"x", "y"}, .flows = {"a"}, .tallies = {"x", "y"}, .each = 1, .want = "2"},
    {.method = "nest",
     .args = {"b", "x", "y"},
     .flows = {"a", "b"},
     .tallies = {"x", "y"},
     .each = 1,
     .want = "[1, 1]"},
    {.method = "all", .args = {"x"}, .flows = {"a"}, .tallies = {"x"}, .each = 4, .want = NULL},
};

static void happens_once_whenever_it_is_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        flows_cut_off(&works[i], NULL, 5);
}

static void happens_once_with_a_log_for_each_shard(void **state)
{
    const struct simnode_options options = {.streams = true};

    (void)state;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        flows_cut_off(&works[i], &options, 37);
}

/* For many steps: in simulation each of them costs a time slice. */
static const struct simnode_options slow = {.limits = {.cpu_ns = 1000000000000}};

/* Begins steps over `count` tallies and lets it come to the end of its first segment. */
static void begin_steps(struct simnode *sim, struct simcall *call, int count)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Flow", "a", "steps", "add", NULL);
    for (int i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "t%d", i);
        simcall_arg(call, id);
    }
    simcall_key(call, "once");
    simcall_submit(sim, call, 0);
    while (flows_keys_with(sim, KEY_DURABLE) == 0 && !call->replied)
        simnode_step(sim);
    assert_false(call->replied);
}

static void until_over(struct simnode *sim)
{
    for (int i = 0; i < 1000 && flows_keys_with(sim, KEY_DURABLE); i++)
        for (int k = 0; k < 1000; k++)
            simnode_step(sim);
    assert_int_equal(flows_keys_with(sim, KEY_DURABLE), 0);
}

static void a_plain_callee_that_was_cut_off_is_interrupted(void **state)
{
    bool seen = false;

    (void)state;
    for (int at = 0; at < 1000 && !seen; at++) {
        struct simnode sim;
        struct simcall call;
        const char *text;

        flows_open(&sim, 300 + (uint64_t)at, NULL);
        simcall_init(&call, CAIRN_OP_INVOKE, "Flow", "a", "steps", "both", "x", NULL);
        simcall_key(&call, "once");
        simcall_submit(&sim, &call, 0);
        for (int i = 0; i < at; i++)
            simnode_step(&sim);
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        flows_reopen(&sim);
        simcall_run(&sim, &call);
        text = simvalue_text(cairn_buf_bytes(&call.reply));
        seen = strncmp(text, "[!interrupted", 13) == 0;
        if (!seen)
            assert_string_equal(text, "[1]");
        assert_int_equal(flows_tally(&sim, "x"), 1);
        if (seen) { /* it has been journaled: it stays */
            simnode_crash(&sim, CAIRN_SIM_KEEP);
            flows_reopen(&sim);
            simcall_run(&sim, &call);
            assert_true(strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), "[!interrupted", 13) == 0);
        }
        simcall_done(&call);
        simnode_done(&sim);
    }
    assert_true(seen);
}

static void goes_on_with_the_version_that_it_began_with(void **state)
{
    struct simnode sim;
    struct simcall call, deploy;
    struct cairn_buf wasm = {0};

    (void)state;
    flows_open(&sim, 3, &slow);
    begin_steps(&sim, &call, 200);
    simcall_init(&deploy, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    simnode_wasm("flow_second", &wasm);
    deploy.request.body = cairn_buf_bytes(&wasm);
    simcall_run(&sim, &deploy);
    assert_int_not_equal(deploy.reply.data[0], CAIRN_VALUE_ERROR);
    assert_false(call.replied);
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    flows_reopen(&sim);
    until_over(&sim);
    simcall_run(&sim, &call);
    assert_true(strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), "[1, 1, 1", 8) == 0);
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[1, 1]");
    for (int i = 0; i < 200; i += 20) {
        char id[16];
        snprintf(id, sizeof id, "t%d", i);
        assert_int_equal(flows_tally(&sim, id), 1);
    }
    cairn_buf_done(&wasm);
    simcall_done(&deploy);
    simcall_done(&call);
    simnode_done(&sim);
}

/* Writes another byte where the journal's first entry begins: what the method does is not what is there. */
static void change_journal(struct simnode *sim, uint8_t op)
{
    struct flows_look look = {.kind = KEY_DURABLE};
    struct cairn_shard *shard;
    struct cairn_view *view;
    uint8_t key[FIELD_KEY_FIXED_MAX], changed[4096];
    struct cairn_write write = {0};
    struct cairn_log *log;
    struct cairn_err err;
    uint64_t end;

    flows_look_for(sim, &look);
    assert_int_equal(look.count, 1);
    shard = cairn_store_shard(sim->store, look.shard);
    view = cairn_shard_view(shard);
    log = cairn_shard_log(shard);
    write.key = cairn_bytes(key, key_list_entry(key, cairn_get_be64(look.key.data + 1), 0, 0));
    assert_true(view->ops->get(view, write.key, cairn_hash(write.key), &write.value));
    assert_in_range(write.value.size, 1, sizeof changed);
    memcpy(changed, write.value.data, write.value.size);
    changed[0] = op;
    write.value.data = changed;
    assert_int_equal(log->ops->claim(log, cairn_shard_record_bytes(cairn_str("test"), &write, 1), 1, &err), CAIRN_OK);
    assert_int_equal(cairn_shard_commit(shard, 1, cairn_str("test"), &write, 1, &end, &err), CAIRN_OK);
    cairn_buf_done(&look.key);
}

static void diverges_when_it_does_something_else(void **state)
{
    struct simnode sim;
    struct simcall call;

    (void)state;
    flows_open(&sim, 4, &slow);
    begin_steps(&sim, &call, 200);
    change_journal(&sim, 17);
    for (int i = 0; i < 500; i++)
        simnode_step(&sim);
    assert_false(call.replied);
    simnode_crash(&sim, CAIRN_SIM_KEEP);
    flows_reopen(&sim);
    simcall_run(&sim, &call);
    assert_string_equal(
        simvalue_text(cairn_buf_bytes(&call.reply)),
        "!diverged: run again after a restart, Flow.steps did something else than before: its journal has "
        "now as host call 1, the method did value_get");
    assert_true(flows_rest(&sim));
    assert_int_equal(flows_keys_with(&sim, KEY_DURABLE), 0);
    simcall_run(&sim, &call); /* that is its outcome, which stays */
    assert_true(strncmp(simvalue_text(cairn_buf_bytes(&call.reply)), "!diverged", 9) == 0);
    simcall_done(&call);
    simnode_done(&sim);
}

static void a_journal_is_bounded(void **state)
{
    const struct simnode_options small = {.limits = {.journal_bytes = 1 << 20}};
    struct simnode sim;

    (void)state;
    flows_open(&sim, 5, &small);
    simnode_expect(&sim, "nil", "Flow", "a", "bulk", "900000", NULL); /* more than one entry has room for */
    simnode_expect(&sim, "!limit...", "Flow", "a", "bulk", "1100000", NULL);
    assert_int_equal(flows_tally(&sim, "bulk"), 1);
    simnode_done(&sim);
}

/* More entries than the last record removes: the rest is purged. */
static void a_long_journal_goes_on_and_goes_away(void **state)
{
    struct simnode sim;
    struct simcall call;
    uint64_t fields;

    (void)state;
    flows_open(&sim, 6, &slow);
    begin_steps(&sim, &call, 200);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 700 && !call.replied; k++)
            simnode_step(&sim);
        assert_false(call.replied);
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        flows_reopen(&sim);
    }
    until_over(&sim);
    assert_true(flows_rest(&sim));
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[1, 1]");
    for (int i = 0; i < 200; i += 20) {
        char id[16];
        snprintf(id, sizeof id, "t%d", i);
        assert_int_equal(flows_tally(&sim, id), 1);
    }
    fields = flows_keys_with(&sim, KEY_FIELD);
    assert_int_equal(fields, 200 + 2); /* the tallies' and the flow's */
    simcall_done(&call);
    simnode_done(&sim);
}

/* Until not even that much goes in any more. */
static void fill_disk(struct simnode *sim, const char *bytes)
{
    bool full = false;

    for (int i = 0; i < 1000 && !full; i++) {
        struct simcall filler;

        simcall_init(&filler, CAIRN_OP_INVOKE, "Flow", "filler", "fill", bytes, NULL);
        simcall_run(sim, &filler);
        full = filler.reply.data[0] == CAIRN_VALUE_ERROR;
        simcall_done(&filler);
    }
    assert_true(full);
}

/* Behind the first segment a full disk is waited for. */
static void waits_for_a_full_disk(void **state)
{
    const struct simnode_options small = {
        .log_segment_bytes = 64 << 10, .log_bytes_max = 1 << 20, .limits = {.cpu_ns = 1000000000000}};
    struct simnode sim;
    struct simcall call;

    (void)state;
    flows_open(&sim, 7, &small);
    begin_steps(&sim, &call, 1500);
    cairn_sim_disk_set_room(sim.disk, 0);
    fill_disk(&sim, "60000");
    fill_disk(&sim, "1000");
    fill_disk(&sim, "1");
    for (int i = 0; i < 3000; i++)
        simnode_step(&sim);
    assert_false(call.replied);
    cairn_sim_disk_set_room(sim.disk, SIZE_MAX);
    for (int i = 0; i < 20000000 && !call.replied; i++)
        simnode_step(&sim);
    assert_true(call.replied);
    assert_int_equal(call.reply.data[0], CAIRN_VALUE_LIST); /* of some calls it may be said that the disk was full */
    assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[1, 1]");
    assert_int_equal(flows_tally(&sim, "t1499"), 1);
    simcall_done(&call);
    simnode_done(&sim);
}

static void its_module_stays(void **state)
{
    struct simnode sim;
    struct simcall call, undeploy;

    (void)state;
    flows_open(&sim, 8, &slow);
    begin_steps(&sim, &call, 200);
    simcall_init(&undeploy, CAIRN_OP_UNDEPLOY, NULL, NULL, NULL, NULL);
    undeploy.request.name = cairn_str("flow");
    simcall_run(&sim, &undeploy);
    assert_true(strncmp(simvalue_text(cairn_buf_bytes(&undeploy.reply)), "!conflict", 9) == 0);
    simcall_done(&undeploy);
    simnode_settle(&sim);
    simcall_done(&call);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_without_a_crash),
        cmocka_unit_test(happens_once_whenever_it_is_cut_off),
        cmocka_unit_test(happens_once_with_a_log_for_each_shard),
        cmocka_unit_test(a_plain_callee_that_was_cut_off_is_interrupted),
        cmocka_unit_test(goes_on_with_the_version_that_it_began_with),
        cmocka_unit_test(diverges_when_it_does_something_else),
        cmocka_unit_test(a_journal_is_bounded),
        cmocka_unit_test(a_long_journal_goes_on_and_goes_away),
        cmocka_unit_test(waits_for_a_full_disk),
        cmocka_unit_test(its_module_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
