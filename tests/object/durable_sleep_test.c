/* Would catch: a sleep that ends too early, or too late for a stop or a crash; one that holds an instance, or keeps its
 * object from others; one that a restart starts although it is not due; a message of a durable method that is sent
 * twice or not at all; a sleep outside of durable methods; a client that waits for ever when the log has failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/durable.h"
#include "object/layout.h"
#include "object/worker.h"
#include "support/flows.h"

static void sleeps(void **state)
{
    struct simnode sim;
    uint64_t keys;

    (void)state;
    flows_open(&sim, 1, NULL);
    simnode_expect(&sim, "1", "Flow", "a", "doze", "x", "400", NULL);
    assert_true(flows_rest(&sim));
    keys = flows_keys(&sim);
    simnode_expect(&sim, "1", "Flow", "a", "doze", "x", "400", NULL);
    simnode_expect(&sim, "57", "Flow", "a", "mixed", "x", "300", NULL);
    simnode_expect(&sim, "nil", "Flow", "a", "nurse", "a", "100", "x", NULL);
    simnode_expect(&sim, "!limit: Flow.plain_doze tried to sleep: only durable methods can", "Flow", "a", "plain_doze",
                   "1", NULL);
    assert_true(flows_rest(&sim));
    assert_int_equal(flows_keys(&sim), keys);
    simnode_done(&sim);
}

static const struct flows_work works[] = {
    {.method = "doze", .args = {"x", "30"}, .flows = {"a"}, .tallies = {"x"}, .each = 2},
    {.method = "mixed", .args = {"x", "20"}, .flows = {"a"}, .tallies = {"x"}, .each = 1},
    {.method = "nurse", .args = {"b", "20", "x"}, .flows = {"a", "b"}, .tallies = {"x"}, .each = 1, .want = "nil"},
    {.method = "tell",
     .args = {"x", "y"},
     .flows = {"a"},
     .tallies = {"y"},
     .each = 1,
     .sent_to = "x",
     .sends = 3,
     .want = "nil"},
};

static void happens_once_whenever_it_is_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        flows_cut_off(&works[i], NULL, 13);
}

static void happens_once_with_a_log_for_each_shard(void **state)
{
    const struct simnode_options options = {.streams = true};

    (void)state;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        flows_cut_off(&works[i], &options, 61);
}

static uint64_t in_memory(struct simnode *sim)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < sim->options.workers; i++) {
        const struct cairn_worker *worker = cairn_node_worker(sim->node, i);

        for (struct cairn_link *l = worker->live.next; l != &worker->live; l = l->next)
            count++;
        count += worker->fibers;
    }
    return count;
}

static uint64_t segments(struct simnode *sim)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < sim->options.workers; i++)
        count += stat_get(&cairn_node_worker(sim->node, i)->counts.segments);
    return count;
}

enum { SLEEPERS = 300 };

/* Those that sleep when the node opens are in no mailbox, and in no instance; others run at their objects. */
static void costs_its_journal(void **state)
{
    static struct simcall calls[SLEEPERS];
    struct simnode sim;
    char id[16];

    (void)state;
    flows_open(&sim, 2, NULL);
    for (int i = 0; i < SLEEPERS; i++) {
        snprintf(id, sizeof id, "n%d", i);
        simcall_init(&calls[i], CAIRN_OP_INVOKE, "Flow", id, "nap", "100000", NULL);
        simcall_submit(&sim, &calls[i], (uint32_t)i % sim.options.workers);
    }
    simnode_settle(&sim);
    simnode_expect(&sim, "1", "Flow", "n7", "touch", NULL);
    for (uint32_t i = 0; i < sim.options.workers; i++)
        assert_int_equal(cairn_node_worker(sim.node, i)->fibers, 0);
    simnode_crash(&sim, CAIRN_SIM_DROP);
    flows_reopen(&sim);
    simnode_settle(&sim);
    assert_int_equal(flows_keys_with(&sim, KEY_DURABLE), SLEEPERS);
    assert_int_equal(in_memory(&sim), 0);
    assert_int_equal(segments(&sim), 0);
    cairn_sim_clock_advance(&sim.clock, 100000000000); /* all at once */
    assert_true(flows_rest(&sim));
    for (int i = 0; i < SLEEPERS; i++) {
        snprintf(id, sizeof id, "n%d", i);
        assert_string_equal(flows_ask(&sim, "Flow", id, "counts"), i == 7 ? "[2, 1]" : "[1, 1]");
        simcall_done(&calls[i]);
    }
    simnode_done(&sim);
}

static struct durable *put_off(struct simnode *sim)
{
    for (uint32_t i = 0; i < sim->options.workers; i++) {
        struct cairn_worker *worker = cairn_node_worker(sim->node, i);

        for (struct cairn_link *l = worker->live.next; l != &worker->live; l = l->next) {
            struct invocation *inv = cairn_container(l, struct invocation, live);

            if (inv->durable && !cairn_list_empty(&inv->durable->parked))
                return inv->durable;
        }
    }
    return NULL;
}

static bool hears(struct simnode *sim, struct simcall *call)
{
    for (int i = 0; i < 20000 && !call->replied; i++)
        simnode_step(sim);
    return call->replied && strncmp(simvalue_text(cairn_buf_bytes(&call->reply)), "!unavailable", 12) == 0;
}

/* The disk fails the next thing that is done with it. */
static void fail_log(struct simnode *sim)
{
    struct simcall call;

    cairn_sim_disk_fail_call(sim->disk, 0, CAIRN_EIO);
    simcall_init(&call, CAIRN_OP_INVOKE, "Tally", "other", "add", NULL);
    simcall_submit(sim, &call, 0);
    assert_true(hears(sim, &call));
    assert_true(sim->log_failed);
    simcall_done(&call);
}

/* Whoever waits for one that sleeps, or was put off, hears it when the log fails, and it goes on later. */
static void a_failed_log_is_told(void **state)
{
    const struct simnode_options small = {.log_segment_bytes = 64 << 10, .log_bytes_max = 1 << 20};

    (void)state;
    for (int is_put_off = 0; is_put_off < 2; is_put_off++) {
        struct simcall call, filler;
        struct simnode sim;
        bool full = false;

        flows_open(&sim, 8, &small);
        simcall_init(&call, CAIRN_OP_INVOKE, "Flow", "a", "doze", "x", "100000", NULL);
        simcall_key(&call, "once");
        simcall_submit(&sim, &call, 0);
        while (!flows_keys_with(&sim, KEY_DURABLE_SLEEPER))
            simnode_step(&sim);
        simnode_expect(&sim, "1", "Tally", "other", "add", NULL); /* what is before it is durable, too */
        if (is_put_off) {
            cairn_sim_disk_set_room(sim.disk, 0);
            for (int i = 0; i < 1000 && !full; i++) {
                simcall_init(&filler, CAIRN_OP_INVOKE, "Flow", "filler", "fill", i < 100 ? "10000" : "1", NULL);
                simcall_run(&sim, &filler);
                full = i >= 100 && filler.reply.data[0] == CAIRN_VALUE_ERROR;
                simcall_done(&filler);
            }
            assert_true(full);
            cairn_sim_clock_advance(&sim.clock, 101000000000);
            for (int i = 0; i < 20000 && !put_off(&sim); i++)
                simnode_step(&sim);
            assert_non_null(put_off(&sim));
            cairn_sim_disk_set_room(sim.disk, SIZE_MAX);
        }
        assert_false(call.replied);
        fail_log(&sim);
        assert_true(hears(&sim, &call));
        simcall_done(&call);
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        flows_reopen(&sim);
        simcall_init(&call, CAIRN_OP_INVOKE, "Flow", "a", "doze", "x", "100000", NULL);
        simcall_key(&call, "once");
        simcall_submit(&sim, &call, 0);
        cairn_sim_clock_advance(&sim.clock, 101000000000);
        assert_true(flows_rest(&sim));
        assert_string_equal(flows_ask(&sim, "Flow", "a", "counts"), "[1, 1]");
        assert_int_equal(flows_tally(&sim, "x"), 2);
        simcall_done(&call);
        simnode_done(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeps),
        cmocka_unit_test(costs_its_journal),
        cmocka_unit_test(a_failed_log_is_told),
        cmocka_unit_test(happens_once_whenever_it_is_cut_off),
        cmocka_unit_test(happens_once_with_a_log_for_each_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
