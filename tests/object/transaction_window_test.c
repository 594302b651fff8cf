/* Would catch: one that has heard of a transaction and still reads what was before it; an object that changes while it
 * is being read; others that commit to a shard of which a transaction is about to change what is not one object's, so
 * that one change is lost; a transaction that is sent away again and again by those that came after it; one that is the
 * youngest when it runs again; two that write keys at one object at once.
 *
 * Between preparing and applying a transaction's workers are apart: all of it happens in that window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/invocation.h"
#include "object/transaction.h"
#include "object/worker.h"
#include "support/simnode.h"

#define expect(want, ...) simnode_expect(&sim, want, "Cell", __VA_ARGS__, NULL)

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    struct cairn_err err;

    simnode_init(sim, seed, options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "ledger");
}

/* Readers come to every worker the moment the transaction is answered, before its other workers have moved. */
static void who_has_heard_of_it_reads_it(void **state)
{
    struct simnode_options options = {.workers = 3, .shards = 8, .sync = CAIRN_SYNC_NONE};
    struct simnode sim;
    int read = 0;

    (void)state;
    open_node(&sim, 900, &options);
    for (int round = 1; round <= 150; round++) {
        static const char *const cells[] = {"b", "c", "d", "e", "f", "g"};
        struct simcall give, gets[18];
        char want[16];

        simcall_init(&give, CAIRN_OP_INVOKE, "Cell", "a", "give_all", "1", "b", "c", "d", "e", "f", "g", NULL);
        simcall_submit(&sim, &give, (uint32_t)round % 3);
        while (!give.replied)
            simnode_step(&sim);
        for (int i = 0; i < 18; i++) {
            simcall_init(&gets[i], CAIRN_OP_INVOKE, "Cell", cells[i % 6], "get", NULL);
            simcall_submit(&sim, &gets[i], (uint32_t)i / 6);
        }
        simnode_settle(&sim);
        snprintf(want, sizeof want, "%d", round);
        for (int i = 0; i < 18; i++) {
            const char *text = simvalue_text(cairn_buf_bytes(&gets[i].reply));

            if (strcmp(text, want) != 0)
                fail_msg("round %d: %s was read of %s", round, text, cells[i % 6]);
            read++;
            simcall_done(&gets[i]);
        }
        simcall_done(&give);
    }
    assert_int_equal(read, 150 * 18);
    simnode_done(&sim);
}

/* A reader that was set aside goes on with the state that it began with. */
static void what_is_being_read_stays(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4, .sync = CAIRN_SYNC_NONE};
    struct simnode sim;
    int beside = 0;

    (void)state;
    options.limits.cpu_ns = UINT64_C(60000000000);
    open_node(&sim, 905, &options);
    for (int round = 0; round < 24;
         round++) { /* the reader comes when the transaction has been there, or a little later */
        struct simcall twice, give;

        simcall_init(&give, CAIRN_OP_INVOKE, "Cell", "a", "give", "1", "b", "c", "d", "e", "f", "c", "d", "e", NULL);
        simcall_submit(&sim, &give, 0);
        for (int i = 0; i < 20 + 6 * round; i++)
            simnode_step(&sim);
        simcall_init(&twice, CAIRN_OP_INVOKE, "Cell", "b", "twice", "1000000", NULL);
        simcall_submit(&sim, &twice, 0);
        beside += !give.replied;
        for (int i = 0; i < 20000000 && !(twice.replied && give.replied); i++)
            simnode_step(&sim);
        assert_true(twice.reply.size && twice.reply.data[0] == (uint8_t)CAIRN_VALUE_INT);
        assert_true(give.reply.size && give.reply.data[0] != (uint8_t)CAIRN_VALUE_ERROR);
        simcall_done(&twice);
        simcall_done(&give);
    }
    assert_true(beside > 0);
    simnode_done(&sim);
}

static uint32_t listed(struct simnode *sim)
{
    struct cairn_buf cursor = {0};
    uint32_t count = 0;
    bool more = true;

    while (more) {
        struct simcall call;
        struct cairn_reader r;
        struct cairn_value next;
        uint64_t ids;

        simcall_init(&call, CAIRN_OP_LIST, "Cell", NULL, NULL, NULL);
        call.request.limit = 250;
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        cairn_value_read(&r);
        ids = cairn_value_read(&r).count;
        count += (uint32_t)ids;
        for (; ids > 0; ids--)
            cairn_value_read(&r);
        next = cairn_value_read(&r);
        more = next.kind == CAIRN_VALUE_BYTES;
        cursor.size = 0;
        if (more)
            cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
    }
    cairn_buf_done(&cursor);
    return count;
}

/* Plain methods make objects while transactions do: the directory of each shard has all of them. */
static void others_commit_beside_it(void **state)
{
    enum { ROUNDS = 25, MANY = 12, PLAIN = 30 };
    struct simnode_options options = {.workers = 3, .shards = 4, .sync = CAIRN_SYNC_NONE};
    struct simnode sim;
    struct cairn_err err;
    char id[24];

    (void)state;
    open_node(&sim, 910, &options);
    for (int round = 0; round < ROUNDS; round++) {
        struct simcall many[2], plain[PLAIN];

        for (int i = 0; i < 2; i++) {
            snprintf(id, sizeof id, "m%d.%d", round, i);
            simcall_init(&many[i], CAIRN_OP_INVOKE, "Cell", id, "many", "12", NULL);
            simcall_submit(&sim, &many[i], (uint32_t)(round + i) % 3);
        }
        for (int i = 0; i < PLAIN; i++) {
            for (uint64_t k = cairn_random_below(&sim.random, 12); k > 0; k--)
                simnode_step(&sim);
            snprintf(id, sizeof id, "p%d.%d", round, i);
            simcall_init(&plain[i], CAIRN_OP_INVOKE, "Cell", id, "add", "1", NULL);
            simcall_submit(&sim, &plain[i], (uint32_t)i % 3);
        }
        simnode_settle(&sim);
        for (int i = 0; i < 2; i++) {
            assert_string_equal(simvalue_text(cairn_buf_bytes(&many[i].reply)), "nil");
            simcall_done(&many[i]);
        }
        for (int i = 0; i < PLAIN; i++) {
            assert_string_equal(simvalue_text(cairn_buf_bytes(&plain[i].reply)), "1");
            simcall_done(&plain[i]);
        }
        assert_int_equal(listed(&sim), (round + 1) * (2 * (MANY + 1) + PLAIN));
    }
    assert_int_equal(simnode_close(&sim, &err), CAIRN_OK);
    assert_int_equal(simnode_open(&sim, &err), CAIRN_OK);
    assert_int_equal(listed(&sim), ROUNDS * (2 * (MANY + 1) + PLAIN));
    simnode_done(&sim);
}

/* One over all cells, among others that never stop coming: those that came after it cannot send it away, however often
 * it has to begin again. */
static void the_oldest_gets_on(void **state)
{
    enum { SMALL = 12 };
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct simnode_options options = {.workers = 3, .shards = 8, .sync = CAIRN_SYNC_NONE};
        struct simcall all, small[SMALL];
        struct simnode sim;
        char from[8], to[8];

        options.limits.transaction_attempts = SMALL + 2;
        options.limits.transaction_retry_ns = UINT64_C(3600000000000);
        open_node(&sim, 920 + seed, &options);
        for (int round = 0; round < 12; round++) {
            bool begun = false;

            for (uint64_t step = 0; step < 400000 && !(begun && all.replied); step++) {
                int i = (int)(step % SMALL);

                if (step < SMALL || small[i].replied) {
                    if (step >= SMALL)
                        simcall_done(&small[i]);
                    snprintf(from, sizeof from, "c%d", (int)cairn_random_below(&sim.random, 6));
                    snprintf(to, sizeof to, "c%d", (int)cairn_random_below(&sim.random, 6));
                    simcall_init(&small[i], CAIRN_OP_INVOKE, "Cell", from, "give", "1", to, NULL);
                    simcall_submit(&sim, &small[i], (uint32_t)i % 3);
                }
                if (step == 200) {
                    simcall_init(&all, CAIRN_OP_INVOKE, "Cell", "a", "give", "1", "c5", "c4", "c3", "c2", "c1", "c0",
                                 NULL);
                    simcall_submit(&sim, &all, 0);
                    begun = true;
                }
                simnode_step(&sim);
            }
            if (!all.replied || all.reply.data[0] == (uint8_t)CAIRN_VALUE_ERROR)
                fail_msg("seed %d, round %d: %s", (int)seed, round,
                         all.replied ? simvalue_text(cairn_buf_bytes(&all.reply)) : "no answer");
            simcall_done(&all);
            simnode_settle(&sim);
            for (int i = 0; i < SMALL; i++)
                simcall_done(&small[i]);
        }
        expect("0", "c0", "sum", "c1", "c2", "c3", "c4", "c5", "a");
        simnode_done(&sim);
    }
}

static struct transaction *first_transaction(const struct simnode *sim)
{
    for (uint32_t i = 0; i < sim->options.workers; i++) {
        const struct cairn_worker *worker = cairn_node_worker(sim->node, i);

        if (!cairn_list_empty(&worker->transactions))
            return cairn_container(worker->transactions.next, struct transaction, link);
    }
    return NULL;
}

static struct transaction *await_transaction(struct simnode *sim, uint32_t attempt)
{
    struct transaction *transaction = first_transaction(sim);

    for (int i = 0; i < 10000 && !(transaction && transaction->attempt == attempt); i++) {
        simnode_step(sim);
        transaction = first_transaction(sim);
    }
    assert_true(transaction && transaction->attempt == attempt);
    return transaction;
}

/* Else one that is sent away is always the youngest. */
static void sent_away_it_is_as_old_as_before(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 4};
    struct simcall give;
    struct simnode sim;
    struct transaction *transaction;
    uint64_t age, number, first_ns;

    (void)state;
    open_node(&sim, 930, &options);
    simcall_init(&give, CAIRN_OP_INVOKE, "Cell", "a", "give", "1", "b", "c", NULL);
    simcall_submit(&sim, &give, 0);
    transaction = await_transaction(&sim, 0);
    age = transaction->age;
    number = transaction->number;
    first_ns = transaction->first_ns;
    for (uint32_t attempt = 1; attempt < 4; attempt++) {
        cairn_sim_clock_advance(&sim.clock, 10000000);
        transaction_doom(cairn_node_worker(sim.node, 0), transaction, cairn_bytes(NULL, 0));
        transaction = await_transaction(&sim, attempt);
        assert_int_equal(transaction->age, age);
        assert_int_equal(transaction->number, number);
        assert_int_equal(transaction->first_ns, first_ns);
    }
    simnode_settle(&sim);
    assert_true(give.replied);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&give.reply)), "-2");
    simcall_done(&give);
    expect("0", "a", "sum", "b", "c");
    simnode_done(&sim);
}

/* It writes its key at its first object. */
static void a_key_locks_what_is_only_read(void **state)
{
    const struct cairn_multi_call calls[] = {
        {.type = cairn_str("Cell"), .id = cairn_str("a"), .method = cairn_str("get"), .read_only = true},
        {.type = cairn_str("Cell"), .id = cairn_str("b"), .method = cairn_str("get"), .read_only = true},
    };
    struct simnode_options options = {.workers = 1, .shards = 4};
    struct simnode sim;

    (void)state;
    open_node(&sim, 931, &options);
    for (int keyed = 0; keyed < 2; keyed++) {
        const struct transaction *transaction;
        struct simcall call;

        simcall_init(&call, CAIRN_OP_MULTI, NULL, NULL, NULL, NULL);
        call.request.calls = calls;
        call.request.call_count = 2;
        if (keyed)
            simcall_key(&call, "k");
        simcall_submit(&sim, &call, 0);
        transaction = await_transaction(&sim, 0);
        assert_non_null(transaction->root->branch);
        assert_int_equal(transaction->root->branch->exclusive, keyed);
        simnode_settle(&sim);
        assert_string_equal(simvalue_text(cairn_buf_bytes(&call.reply)), "[0, 0]");
        simcall_done(&call);
    }
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_heard_of_it_reads_it),     cmocka_unit_test(what_is_being_read_stays),
        cmocka_unit_test(others_commit_beside_it),          cmocka_unit_test(the_oldest_gets_on),
        cmocka_unit_test(sent_away_it_is_as_old_as_before), cmocka_unit_test(a_key_locks_what_is_only_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
