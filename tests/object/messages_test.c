/* Would catch: messages that are lost, run twice or pass each other, over crashes at any step; one that leaves although
 * its segment failed; one that is tried again though something of it was committed, or not tried again though nothing
 * was; failures that are not in the dead letters; a sender without a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/metric.h"
#include "support/simnode.h"

#define expect(want, ...) simnode_expect(&sim, want, "Mail", __VA_ARGS__, NULL)

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void open_with(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    simnode_init(sim, seed, options);
    reopen(sim);
    simnode_deploy(sim, "mail");
}

static void open_node(struct simnode *sim, uint64_t seed, uint32_t workers)
{
    struct simnode_options options = {.workers = workers, .shards = 4};

    open_with(sim, seed, &options);
}

static void let_pass(struct simnode *sim, uint64_t ms)
{
    for (uint64_t step = 0; step < 20; step++) {
        cairn_sim_clock_advance(&sim->clock, ms * 50000);
        simnode_settle(sim);
    }
}

/* From objects to others of the same shard and of others, on one worker and on several. */
static void they_arrive_in_order(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers++) {
        struct simnode sim;

        open_node(&sim, workers, workers);
        expect("nil", "a", "send", "b", "c", "b", "a", "b");
        expect("nil", "b", "send", "c", "c");
        simnode_settle(&sim);
        expect("[\"a:1\", \"a:3\", \"a:5\"]", "b", "got");
        expect("[\"a:4\"]", "a", "got");
        expect("3", "c", "count");
        expect("!failed...", "a", "send_then_fail", "d");
        expect("!not_read_only...", "a", "read_sends");
        expect("nil", "e", "send_then_delete", "d");
        simnode_settle(&sim);
        expect("[\"e:last\"]", "d", "got");
        expect("0", "e", "count");
        assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
        assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
        assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
        simnode_done(&sim);
    }
}

/* Writes what has been appended; false: there was nothing. */
static bool log_steps(struct simnode *sim)
{
    struct cairn_log *log = cairn_shard_log(cairn_store_shard(sim->store, 0));

    return log->ops->step(log);
}

static uint64_t sum(struct simnode *sim, unsigned objects)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < objects; i++) {
        struct simcall call;
        char id[16];

        snprintf(id, sizeof id, "r%u", i);
        simcall_init(&call, CAIRN_OP_INVOKE, "Mail", id, "count", NULL);
        simcall_run(sim, &call);
        all += strtoull(simvalue_text(cairn_buf_bytes(&call.reply)), NULL, 10);
        simcall_done(&call);
    }
    return all;
}

/* Ten chains of messages, cut by a crash after every few steps: each link counts once in the end. */
static void each_runs_once_over_crashes(void **state)
{
    enum { CHAINS = 10, LINKS = 30, OBJECTS = 7 };
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct simnode_options options = {.workers = 1 + (uint32_t)seed % 3, .shards = 4, .streams = seed % 4 == 0};
        struct simnode sim;

        open_with(&sim, seed, &options);
        for (int i = 0; i < CHAINS; i++)
            expect("nil", "r0", "relay", "30", "7");
        for (int crash = 0; crash < 6; crash++) {
            for (uint64_t steps = (seed * 29 + (uint64_t)crash * 97) % 700; steps > 0; steps--)
                simnode_step(&sim);
            simnode_crash(&sim, how[crash % 3]);
            reopen(&sim);
        }
        simnode_settle(&sim);
        assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
        assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
        assert_int_equal(sum(&sim, OBJECTS), CHAINS * (LINKS + 1));
        simnode_done(&sim);
    }
}

static void what_failed_is_tried_again(void **state)
{
    struct simnode sim;
    int hours;

    (void)state;
    open_node(&sim, 5, 2);
    expect("nil", "a", "send_after", "0", "trap_until", "b", "3");
    expect("nil", "a", "send_after", "0", "retry_until", "c", "2", "50");
    simnode_settle(&sim);
    expect("0", "b", "count");
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 2);
    let_pass(&sim, 60);
    let_pass(&sim, 60);
    expect("1", "c", "count");
    expect("0", "b", "count");
    let_pass(&sim, 8000); /* 1 s, 2 s, 4 s */
    expect("1", "b", "count");
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
    assert_int_equal(sim_metric(&sim, "cairn_messages_retried_total"), 5);
    expect("!retry...", "c", "retry_until", "1"); /* a client is told */
    /* One that never goes well: 16 attempts, over crashes, and then it is a dead letter. */
    expect("nil", "a", "send_after", "0", "trap_until", "d", "99");
    for (hours = 0; hours < 12 && !sim_metric(&sim, "cairn_messages_dead"); hours++) {
        assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 1);
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        reopen(&sim);
        let_pass(&sim, 3600000);
    }
    assert_in_range(hours, 4, 8); /* 1 s + 2 s + ... + 2,048 s + 3 hours */
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 1);
    simnode_done(&sim);
}

/* A poison message is a dead letter after the attempts that its method declares, and others go on meanwhile. */
static void retries_are_the_methods_own(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 12, 2);
    expect("nil", "a", "send_after", "0", "poison", "b");
    expect("nil", "a", "send_after", "0", "add", "b", "5");
    simnode_settle(&sim);
    expect("5", "b", "count");
    assert_int_equal(sim_metric(&sim, "cairn_messages_retried_total"), 1);
    let_pass(&sim, 11000);
    assert_int_equal(sim_metric(&sim, "cairn_messages_retried_total"), 2);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
    let_pass(&sim, 12000);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
    let_pass(&sim, 5000);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 1);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
    expect("5", "b", "count");
    simnode_done(&sim);
}

static void what_is_final_is_a_dead_letter(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 6, 2);
    expect("nil", "a", "send_after", "0", "refuse", "b");
    simnode_settle(&sim);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 1);
    expect("0", "b", "count");
    expect("nil", "a", "send_after", "0", "no_such_method", "b");
    simnode_settle(&sim);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 2);
    /* It had effects: it is not run again. */
    expect("nil", "a", "send_after", "0", "call_then_trap", "b", "c");
    let_pass(&sim, 10000);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 3);
    expect("1", "b", "count");
    expect("1", "c", "count");
    /* These end well. */
    expect("nil", "a", "send_after", "0", "call_and_wait", "b", "c");
    expect("nil", "a", "send_after", "0", "call_and_leave", "b", "c");
    let_pass(&sim, 10000);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 3);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
    expect("3", "b", "count");
    expect("3", "c", "count");
    simnode_done(&sim);
}

/* A crash between two segments: what was committed stays, it is told, and not done again. */
static void what_was_cut_off_is_a_dead_letter(void **state)
{
    struct simnode sim;
    uint64_t dead = 0, count = 0;
    char want[16];

    (void)state;
    open_node(&sim, 7, 2);
    for (int round = 0; round < 40; round++) {
        expect("nil", "a", "send_after", "0", "call_and_wait", "b", "c");
        for (int i = 0; i < round % 10 * 3; i++)
            simnode_step(&sim);
        while (round % 2 && log_steps(&sim))
            ;
        simnode_crash(&sim, CAIRN_SIM_KEEP);
        reopen(&sim);
        simnode_settle(&sim);
        assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
        count += sim_metric(&sim, "cairn_messages_dead") == dead;
        dead = sim_metric(&sim, "cairn_messages_dead");
        snprintf(want, sizeof want, "%d", (int)count);
        expect(want, "b", "count");
    }
    assert_true(dead > 0 && count > 0);
    simnode_done(&sim);
}

static void a_delay_is_kept(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 8, 2);
    expect("nil", "a", "send_after", "60000", "add", "b", "1");
    expect("nil", "a", "send_after", "30000", "add", "b", "10");
    let_pass(&sim, 20000);
    expect("0", "b", "count");
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    let_pass(&sim, 15000);
    expect("10", "b", "count");
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    let_pass(&sim, 40000);
    expect("11", "b", "count");
    simnode_done(&sim);
}

static void those_without_a_type_wait(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 9, 2);
    expect("nil", "a", "send_abroad", "Probe", "p", "add");
    let_pass(&sim, 30000);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 1);
    assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
    simnode_deploy(&sim, "probe");
    let_pass(&sim, 10000);
    simnode_expect(&sim, "1", "Probe", "p", "count", NULL);
    assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
    simnode_done(&sim);
}

static void senders_are_bounded(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4, .limits = {.message_bytes = 100000}};
    struct simnode sim;

    (void)state;
    open_with(&sim, 10, &options);
    expect("!limit...", "a", "flood", "200", "a", "1000");
    expect("0", "a", "count");
    expect("nil", "a", "flood", "50", "a", "1000");
    simnode_settle(&sim);
    expect("50", "a", "count");
    /* A receiver that has too many takes no more in; then the sender's shard is full, too, and in the end all of it is
     * run. */
    for (int i = 0; i < 400 && sim_metric(&sim, "cairn_message_bytes") < 150000; i++) {
        struct simcall call;

        simcall_init(&call, CAIRN_OP_INVOKE, "Mail", i % 2 ? "a" : "c", "flood", "20", "b", "1000", NULL);
        simcall_run(&sim, &call);
        simcall_done(&call);
    }
    simnode_settle(&sim);
    assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
    simnode_done(&sim);
}

/* What a transaction's objects send leaves with its record; and a message may be run as one. */
static void transactions_send(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct simnode sim;

        open_node(&sim, 20 + seed, 2);
        expect("nil", "a", "all_send", "z", "b", "c", "d", "e", "b", "well");
        simnode_settle(&sim);
        expect("6", "z", "count");
        expect("2", "b", "count");
        expect("!failed...", "a", "all_send", "z", "b", "c", "d", "fail");
        simnode_settle(&sim);
        expect("6", "z", "count");
        for (int i = 0; i < 5; i++)
            expect("nil", "f", "send_after", "0", "all_send", "a", "z", "b", "c", "d", "well");
        for (int crash = 0; crash < 3; crash++) {
            for (uint64_t steps = seed * 40; steps > 0; steps--)
                simnode_step(&sim);
            simnode_crash(&sim, CAIRN_SIM_KEEP);
            reopen(&sim);
        }
        let_pass(&sim, 20000);
        expect("26", "z", "count");
        expect("7", "b", "count");
        expect("6", "d", "count");
        assert_int_equal(sim_metric(&sim, "cairn_messages_waiting"), 0);
        assert_int_equal(sim_metric(&sim, "cairn_messages_dead"), 0);
        assert_int_equal(sim_metric(&sim, "cairn_message_bytes"), 0);
        simnode_done(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_arrive_in_order),
        cmocka_unit_test(each_runs_once_over_crashes),
        cmocka_unit_test(what_failed_is_tried_again),
        cmocka_unit_test(retries_are_the_methods_own),
        cmocka_unit_test(what_is_final_is_a_dead_letter),
        cmocka_unit_test(what_was_cut_off_is_a_dead_letter),
        cmocka_unit_test(a_delay_is_kept),
        cmocka_unit_test(those_without_a_type_wait),
        cmocka_unit_test(senders_are_bounded),
        cmocka_unit_test(transactions_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
