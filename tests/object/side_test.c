/* Would catch: an object with many messages that keeps others of its shard waiting; messages of one that pass each
 * other, are lost or run twice on their way through a side line, over crashes at any step; messages whose type is not
 * there yet that are written again and again, or come in another order once it is; a message that cannot be read and is
 * dropped without a word, or takes others with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "object/node.h"
#include "support/metric.h"
#include "support/simnode.h"

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options, bool late)
{
    simnode_init(sim, seed, options);
    reopen(sim);
    simnode_deploy(sim, "mail");
    if (late)
        simnode_deploy(sim, "late");
}

static void let_pass(struct simnode *sim, uint64_t ms)
{
    for (uint64_t step = 0; step < 20; step++) {
        cairn_sim_clock_advance(&sim->clock, ms * 50000);
        simnode_settle(sim);
    }
}

static void call(struct simnode *sim, const char *method, ...) __attribute__((sentinel));
static void call(struct simnode *sim, const char *method, ...)
{
    struct simcall call;
    const char *arg;
    va_list args;

    simcall_init(&call, CAIRN_OP_INVOKE, "Mail", "s", method, NULL);
    va_start(args, method);
    while ((arg = va_arg(args, const char *)))
        simcall_arg(&call, arg);
    va_end(args);
    simcall_run(sim, &call);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), "nil");
    simcall_done(&call);
}

static uint64_t come(struct simnode *sim, const char *id)
{
    struct simcall call;
    uint64_t count;

    simcall_init(&call, CAIRN_OP_INVOKE, "Late", id, "in_order", NULL);
    simcall_run(sim, &call);
    count = strtoull(simvalue_text(cairn_buf_bytes(&call.reply)), NULL, 10);
    if (call.reply.data[0] == (uint8_t)CAIRN_VALUE_ERROR)
        fail_msg("%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return count;
}

static void nothing_is_left(struct simnode *sim)
{
    assert_int_equal(sim_metric(sim, "cairn_messages_waiting"), 0);
    assert_int_equal(sim_metric(sim, "cairn_messages_dead"), 0);
    assert_int_equal(sim_metric(sim, "cairn_message_bytes"), 0);
    assert_int_equal(sim_metric(sim, "cairn_message_side_lines"), 0);
}

/* 1,000 for one object, then one for each of two others: these do not wait for the 1,000. */
static void others_pass(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 1};
    struct simnode sim;

    (void)state;
    open_node(&sim, 1, &options, true);
    call(&sim, "send_numbers", "Late", "hot", "1", "500", NULL);
    call(&sim, "send_numbers", "Late", "hot", "501", "1000", "b", "c", NULL);
    while (!come(&sim, "b") || !come(&sim, "c"))
        assert_true(simnode_step(&sim));
    assert_in_range(come(&sim, "hot"), 1, 500);
    assert_int_equal(sim_metric(&sim, "cairn_message_side_lines"), 1);
    assert_in_range(sim_metric(&sim, "cairn_mailbox_waiting"), 0, 256);
    simnode_settle(&sim);
    assert_int_equal(come(&sim, "hot"), 1000);
    nothing_is_left(&sim);
    simnode_done(&sim);
}

/* Many objects of many messages each, with crashes while they stand in side lines. */
static void the_order_is_kept_over_crashes(void **state)
{
    enum { OBJECTS = 6, EACH = 300 };
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct simnode_options options = {.workers = 1 + (uint32_t)seed % 2, .shards = 2, .streams = seed == 4};
        struct simnode sim;
        uint64_t most = 0;
        char from[16], to[16], id[16];

        open_node(&sim, seed, &options, true);
        for (unsigned at = 0; at < EACH; at += 150)
            for (unsigned i = 0; i < OBJECTS; i++) {
                snprintf(id, sizeof id, "r%u", i);
                snprintf(from, sizeof from, "%u", at + 1);
                snprintf(to, sizeof to, "%u", at + 150);
                call(&sim, "send_numbers", "Late", id, from, to, NULL);
            }
        for (int crash = 0; crash < 8; crash++) {
            for (uint64_t steps = 20 + (seed * 29 + (uint64_t)crash * 97) % 300; steps > 0; steps--)
                simnode_step(&sim);
            if (sim_metric(&sim, "cairn_message_side_lines") > most)
                most = sim_metric(&sim, "cairn_message_side_lines");
            simnode_crash(&sim, how[crash % 3]);
            reopen(&sim);
        }
        simnode_settle(&sim);
        assert_in_range(most, 2, OBJECTS);
        for (unsigned i = 0; i < OBJECTS; i++) {
            snprintf(id, sizeof id, "r%u", i);
            assert_int_equal(come(&sim, id), EACH);
        }
        nothing_is_left(&sim);
        simnode_done(&sim);
    }
}

static uint64_t log_end(struct simnode *sim)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(sim->store, 0));

    return log->ops->end(log);
}

/* They wait without a record, also over a restart, keep their order, and go on with the deploy itself. */
static void those_without_a_type_keep_their_order(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct simnode sim;
    uint64_t records;

    (void)state;
    open_node(&sim, 9, &options, false);
    call(&sim, "send_numbers", "Late", "p", "1", "100", "q", "r", NULL);
    call(&sim, "send_numbers", "Later", "p", "1", "3", NULL);
    simnode_settle(&sim);
    call(&sim, "send_numbers", "Late", "p", "101", "200", NULL);
    simnode_settle(&sim);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 205);
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    simnode_settle(&sim);
    records = log_end(&sim);
    let_pass(&sim, 60000);
    assert_int_equal(log_end(&sim), records);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 205);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
    simnode_deploy(&sim, "late");
    simnode_settle(&sim);
    assert_int_equal(come(&sim, "p"), 200);
    assert_int_equal(come(&sim, "q") + come(&sim, "r"), 2);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 3);
    assert_int_equal(sim_metric(&sim, "cairn_message_side_lines"), 1);
    simnode_done(&sim);
}

/* What is kept of the message with that key becomes something else. */
static void spoil(struct simnode *sim, uint32_t shard, const uint8_t *key, size_t size)
{
    struct cairn_shard *at = cairn_store_shard(sim->store, shard);
    struct cairn_view *view = cairn_shard_view(at);
    struct cairn_bytes k = cairn_bytes(key, size), value;
    struct cairn_clock *clock = sim->node->options.clock;
    struct cairn_log *log = cairn_shard_log(at);
    struct cairn_buf bad = {0};
    struct cairn_write write;
    struct cairn_err err;
    uint64_t end;
    size_t bytes;

    assert_true(view->ops->get(view, k, cairn_hash(k), &value));
    cairn_buf_add(&bad, value.data, value.size);
    bad.data[0] = 77;
    write = (struct cairn_write){.key = k, .value = cairn_buf_bytes(&bad), .hash = cairn_hash(k)};
    bytes = cairn_shard_record_bytes(cairn_str("spoiled"), &write, 1);
    assert_int_equal(log->ops->claim(log, bytes, 1, &err), CAIRN_OK);
    assert_int_equal(cairn_shard_commit(at, clock->wall_ms(clock), cairn_str("spoiled"), &write, 1, &end, &err),
                     CAIRN_OK);
    cairn_buf_done(&bad);
}

static uint32_t shard_of(struct simnode *sim, const char *id)
{
    return node_shard_of(sim->node, cairn_node_space(sim->node, cairn_str("default")), cairn_str(id));
}

static void what_cannot_be_read_is_told(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 1};
    uint8_t key[9] = {0x09};
    struct simnode sim;

    (void)state;
    open_node(&sim, 3, &options, true);
    for (int i = 0; i < 3; i++)
        call(&sim, "send_after", "5000", "add", "b", "1", NULL);
    cairn_put_be64(key + 1, 1);
    spoil(&sim, 0, key, sizeof key);
    let_pass(&sim, 10000);
    simnode_expect(&sim, "2", "Mail", "b", "count", NULL);
    assert_int_equal(sim_metric(&sim, "cairn_messages_unreadable_total"), 1);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 1);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
    simnode_done(&sim);
}

/* One of a batch for another shard: the others come. */
static void what_cannot_be_read_takes_no_others_with_it(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 2, .limits = {.message_bytes = 20000}};
    struct simnode sim;
    uint8_t key[10] = {0x0d, 1};
    char *big = calloc(1, 15001);
    const char *ids[2] = {NULL, NULL};
    static const char *const tried[] = {"a", "b", "c", "d", "e", "f"};

    (void)state;
    open_node(&sim, 4, &options, true);
    memset(big, 'x', 15000);
    /* An object in each shard: `s`, which sends, lies in one of them. */
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        ids[shard_of(&sim, tried[i])] = tried[i];
    if (shard_of(&sim, "s") == 1)
        key[1] = 0;
    {
        uint32_t from = 1 - key[1], to = key[1];
        struct simcall full;

        /* What it has to do later leaves the receiving shard no room, so that the batch waits. */
        for (int i = 0; i < 2; i++) {
            simcall_init(&full, CAIRN_OP_INVOKE, "Mail", ids[to], "send_after", "60000", "add", ids[to], "1", big,
                         NULL);
            simcall_run(&sim, &full);
            simcall_done(&full);
        }
        call(&sim, "send_numbers", "Late", ids[to], "1", "60", NULL);
        for (int i = 0; i < 20; i++)
            simnode_step(&sim);
        cairn_put_be64(key + 2, 59);
        spoil(&sim, from, key, sizeof key);
        let_pass(&sim, 100000);
        assert_int_equal(come(&sim, ids[to]), 59);
    }
    assert_int_equal(sim_metric(&sim, "cairn_messages_unreadable_total"), 1);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 1);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
    free(big);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_pass),
        cmocka_unit_test(the_order_is_kept_over_crashes),
        cmocka_unit_test(those_without_a_type_keep_their_order),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(what_cannot_be_read_takes_no_others_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
