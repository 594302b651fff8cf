/* Would catch: an operation that is in the enum and in no table, so that a request for it ends the process; a restore
 * that gives up, or stops, when the log has no room for a part of it; one that keeps the node from being closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "support/simnode.h"

static void open_node(struct simnode *sim, const struct simnode_options *options)
{
    struct cairn_err err;

    simnode_init(sim, 1, options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "shelf");
}

static void every_operation_is_in_a_table(void **state)
{
    struct simnode_options options = {.engine = "hybridlog"};
    struct simnode sim;

    (void)state;
    open_node(&sim, &options);
    for (int op = 0; op < CAIRN_OP_COUNT; op++) {
        const struct operation *operation = sim.node->operations[op];
        struct simcall call;

        if (op == CAIRN_OP_KEEPER_READ || op == CAIRN_OP_KEEPER_ATTACH) { /* of a room that this node has not */
            assert_null(operation);
            continue;
        }
        assert_non_null(operation);
        for (int other = 0; other < op; other++)
            if (sim.node->operations[other])
                assert_string_not_equal(operation->name, sim.node->operations[other]->name);
        simcall_init(&call, (enum cairn_op)op, "Shelf", "a", "drop", "0", NULL);
        simcall_run(&sim, &call); /* answered, whatever it is */
        assert_true(call.reply.size > 0);
        simcall_done(&call);
    }
    simnode_done(&sim);
}

/* --- a restore and the log's room --- */

enum { SEGMENT_BYTES = 256 << 10, FILLS = 40 }; /* more than a few segments of the log */

static bool a_restore_waits(const struct simnode *sim)
{
    for (uint32_t i = 0; i < sim->options.workers; i++)
        if (!cairn_list_empty(&sim->node->admin->workers[i].pasts.waiting))
            return true;
    return false;
}

/* All goes on but the log, which makes no room. */
static void run_without_log(struct simnode *sim)
{
    for (uint32_t i = 0; i < sim->options.workers; i++)
        cairn_worker_run(cairn_node_worker(sim->node, i), 0);
    cairn_tasks_step(sim->node_tasks);
    cairn_sim_clock_advance(&sim->clock, 2000000);
}

static void run(struct simnode *sim, enum cairn_op op, const char *method, const char *count, const char *tag,
                const char *want)
{
    struct simcall call;

    simcall_init(&call, op, "Shelf", "a", method, count, tag, NULL);
    simcall_run(sim, &call);
    if (strcmp(simvalue_text(cairn_buf_bytes(&call.reply)), want) != 0)
        fail_msg("%s: %s, not %s", method ? method : "operation", simvalue_text(cairn_buf_bytes(&call.reply)), want);
    simcall_done(&call);
}

/* A restore of an object of several parts that has come to where it waits. */
static void begin_restore(struct simnode *sim, struct simcall *restore)
{
    struct simnode_options options = {.engine = "hybridlog", .log_segment_bytes = SEGMENT_BYTES};
    char want[32];

    open_node(sim, &options);
    for (int i = 1; i <= FILLS; i++) {
        snprintf(want, sizeof want, "%d", 1000 * i);
        run(sim, CAIRN_OP_INVOKE, "fill", "1000", "1", want);
    }
    run(sim, CAIRN_OP_SNAPSHOT, NULL, NULL, NULL, "1");
    run(sim, CAIRN_OP_INVOKE, "drop", "1", NULL, "1");
    simcall_init(restore, CAIRN_OP_RESTORE, "Shelf", "a", NULL, NULL);
    restore->request.number = 1;
    simcall_submit(sim, restore, 0);
    for (int i = 0; i < 10000 && !a_restore_waits(sim); i++)
        run_without_log(sim);
    if (restore->replied)
        fail_msg("it did not wait: %s", simvalue_text(cairn_buf_bytes(&restore->reply)));
    assert_true(a_restore_waits(sim));
    for (int i = 0; i < 100; i++)
        run_without_log(sim);
    assert_true(a_restore_waits(sim));
}

static void a_restore_waits_for_room(void **state)
{
    struct simcall restore;
    struct simnode sim;

    (void)state;
    begin_restore(&sim, &restore);
    for (int i = 0; i < 1000000 && !restore.replied; i++)
        simnode_step(&sim);
    assert_true(restore.replied);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&restore.reply)), "1");
    run(&sim, CAIRN_OP_INVOKE, "fill", "1", "1", "40001");
    simcall_done(&restore);
    simnode_done(&sim);
}

static void a_node_closes_while_a_restore_waits(void **state)
{
    struct simcall restore;
    struct simnode sim;
    struct cairn_err err;

    (void)state;
    begin_restore(&sim, &restore);
    simnode_crash(&sim, CAIRN_SIM_DROP);
    if (simnode_open(&sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    run(&sim, CAIRN_OP_INVOKE, "fill", "1", "1", "40000");
    simcall_done(&restore);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_in_a_table),
        cmocka_unit_test(a_restore_waits_for_room),
        cmocka_unit_test(a_node_closes_while_a_restore_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
