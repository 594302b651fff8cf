/* Would catch: a transaction of which something stays though it failed, or something is missing though it was
 * acknowledged; calls in it that do not see what it wrote; others that see a part of it; two that wait for each other
 * for ever; a key that is used twice; an object that keeps a lock; bounds that are not told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/simnode.h"

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    struct cairn_err err;

    simnode_init(sim, seed, options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "ledger");
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

#define expect(want, ...) simnode_expect(&sim, want, "Cell", __VA_ARGS__, NULL)

/* With one worker, with one shard, and with several of both. */
static const struct simnode_options shapes[] = {{.workers = 1, .shards = 1},
                                                {.workers = 1, .shards = 4},
                                                {.workers = 3, .shards = 7},
                                                {.workers = 2, .shards = 16}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void all_of_it_or_nothing(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        struct simnode sim;

        open_node(&sim, 10 + (uint64_t)s, &shapes[s]);
        for (int again = 0; again < 2; again++) { /* the second time the methods are known to wait */
            expect("nil", again ? "x" : "a", "remove");
            expect(again ? "-6" : "-3", "a", "give", "1", "b", "c", "d");
            expect(again ? "2" : "1", "b", "get");
            expect(again ? "2" : "1", "d", "get");
            expect("!refused: at the end", "a", "give_then_fail", "5", "b", "c", "new");
            expect("!trap...", "a", "give_then_trap", "5", "b", "new", "c");
            expect("!refused: on purpose", "a", "each", "refuse", "b", "c"); /* nobody looked at it */
            expect("!trap...", "a", "each", "trap", "b");
            expect("!unknown_method...", "a", "each", "fly", "b");
            expect(again ? "-6" : "-3", "a", "get");
            expect(again ? "2" : "1", "b", "get");
            expect(again ? "2" : "1", "c", "count");
            expect("0", "new", "count");
        }
        expect("[!refused: on purpose, !refused: on purpose]", "a", "try_each", "refuse", "b", "new");
        expect("-5", "a", "get"); /* it has handled that: its own stays, theirs does not */
        expect("2", "b", "get");
        expect("0", "new", "count");
        /* A transaction below it that fails takes all of it along, handled or not. */
        expect("!refused: at the end", "a", "try_each", "give_then_fail", "b");
        expect("[!refused: at the end]", "a", "plain_each", "give_then_fail", "b");
        expect("[0]", "a", "plain_each", "give", "new");
        expect("-5", "a", "get");
        simnode_done(&sim);
    }
}

static void it_sees_what_it_wrote(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        struct simnode sim;

        open_node(&sim, 20 + (uint64_t)s, &shapes[s]);
        expect("[11, 11, 2]", "a", "own");
        expect("[22, 22, 4]", "a", "own");
        expect("[1, 2, 3]", "b", "try_each", "add", "c", "c", "c");
        expect("3", "c", "get");
        expect("[nil, nil]", "b", "try_each", "remove", "c", "d");
        expect("0", "c", "count");
        expect("[nil, nil]", "b", "try_each", "renew", "c", "c"); /* deleted, made, deleted, made */
        expect("1", "c", "count");
        expect("[nil, nil]", "c", "try_each", "remove", "c", "b"); /* itself */
        expect("0", "c", "count");
        expect("0", "b", "get");
        simnode_done(&sim);
    }
}

static uint32_t listed(struct simnode *sim)
{
    struct simcall call;
    uint32_t count = 0;

    simcall_init(&call, CAIRN_OP_LIST, "Cell", NULL, NULL, NULL);
    call.request.limit = 250;
    for (const char *at = ask(sim, &call); (at = strchr(at, '"')); at++)
        count++;
    simcall_done(&call);
    return count / 2;
}

/* Objects that one transaction makes are in the directory of their shard, all of them, and in no other's way. */
static void many_are_made_at_once(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        struct simnode sim;
        struct cairn_err err;

        open_node(&sim, 30 + (uint64_t)s, &shapes[s]);
        expect("nil", "a", "many", "100");
        assert_int_equal(listed(&sim), 101);
        expect("nil", "b", "each", "remove", "a-1", "a-2", "a-3", "a-99");
        assert_int_equal(listed(&sim), 98);
        assert_int_equal(simnode_close(&sim, &err), CAIRN_OK);
        reopen(&sim);
        assert_int_equal(listed(&sim), 98);
        expect("1", "a-98", "get");
        expect("0", "a-99", "get");
        simnode_done(&sim);
    }
}

static void bounds_are_told(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4};
    struct simnode sim;

    (void)state;
    options.limits.transaction_objects = 50;
    options.limits.transaction_bytes = 6000;
    options.limits.write_set_bytes = 16000;
    open_node(&sim, 40, &options);
    expect("nil", "a", "many", "10");
    expect("!limit: the transaction has come to more than 50 objects (50, set for the node: `cairn serve "
           "--limit-transaction-objects`)",
           "a", "many", "60");
    expect("10", "a", "get");
    expect("!swollen...", "a", "swell_all", "2000", "1", "b", "c", "d", "e");
    expect("10", "a", "swell_all", "300", "10", "b", "c", "d");  /* what is replaced does not count... */
    expect("!swollen...", "a", "swell_all", "1000", "100", "b"); /* ...but it may not be replaced for ever */
    expect("!cpu_limit...", "a", "each", "spin", "b");
    expect("10", "a", "get");
    expect("1", "b", "add", "1"); /* no lock has stayed */
    simnode_done(&sim);
}

/* --- several at a time --- */

enum { CELLS = 6, AT_ONCE = 40 };

static void cell_name(char *to, uint64_t n)
{
    sprintf(to, "c%d", (int)(n % CELLS));
}

/* Money is given among few cells by transactions that come at once, in all orders, beside plain calls that keep the sum
 * and read-only transactions that look at it. */
static void they_are_as_one_after_the_other(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct simnode_options options = shapes[seed % SHAPES];
        struct simcall calls[AT_ONCE];
        struct simnode sim;
        int done = 0, conflicts = 0;

        options.fibers_per_worker = seed % 3 == 2 ? 12 : 0;
        options.limits.transaction_attempts = 1000;
        options.limits.transaction_retry_ns = UINT64_C(1000000000000);
        open_node(&sim, 50 + seed, &options);
        for (int round = 0; round < 4; round++) {
            for (int i = 0; i < AT_ONCE; i++) {
                uint64_t draw = cairn_random_u64(&sim.random);
                char ids[CELLS][8];

                for (uint64_t k = 0; k < CELLS; k++)
                    cell_name(ids[k], draw + k * (1 + (draw >> 20) % 5));
                switch (draw >> 40 & 7) {
                case 0:
                    simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", ids[0], "sum", NULL);
                    for (int k = 0; k < CELLS; k++) {
                        char id[8];
                        cell_name(id, (draw + (uint64_t)k));
                        if (strcmp(id, ids[0]) != 0)
                            simcall_arg(&calls[i], id);
                    }
                    break;
                case 1:
                    simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", ids[0], "add", "0", NULL);
                    break;
                case 2:
                    simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", ids[0], "give_then_fail", "7", ids[1], ids[2],
                                 NULL);
                    break;
                case 3:
                    simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", ids[0], "give_all", "1", ids[1], ids[2], NULL);
                    break;
                default:
                    simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", ids[0], "give", "1", ids[1], ids[2], NULL);
                }
                simcall_submit(&sim, &calls[i], (uint32_t)(draw >> 50) % options.workers);
            }
            simnode_settle(&sim);
            for (int i = 0; i < AT_ONCE; i++) {
                const char *text = simvalue_text(cairn_buf_bytes(&calls[i].reply));

                assert_true(calls[i].replied);
                if (cairn_bytes_equal(calls[i].request.method, cairn_str("sum")) && text[0] != '!')
                    assert_string_equal(text, "0");
                if (text[0] != '!')
                    done++;
                else if (strncmp(text, "!refused", 8) != 0) {
                    if (strncmp(text, "!limit: all function", 20) != 0 && strncmp(text, "!overloaded", 11) != 0 &&
                        strncmp(text, "!not_", 5) != 0)
                        fail_msg("seed %d: %s", (int)seed, text);
                    conflicts++;
                }
                simcall_done(&calls[i]);
            }
        }
        if (!options.fibers_per_worker)
            assert_int_equal(conflicts, 0);
        assert_true(done > AT_ONCE);
        expect("0", "c0", "sum", "c1", "c2", "c3", "c4", "c5");
        expect("[...", "z", "try_each", "add", "c0", "c1", "c2"); /* nothing is locked */
        simnode_done(&sim);
    }
}

/* --- who waits for whom --- */

static void step_until_it_runs(struct simnode *sim, int steps)
{
    for (int i = 0; i < steps; i++)
        simnode_step(sim);
}

/* While a transaction is under way, plain calls that may write wait, and so do readers behind them; they find all of it
 * afterwards. */
static void plain_calls_beside_it(void **state)
{
    int writers_after = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct simnode_options options = shapes[seed % SHAPES];
        struct simcall give, get, add;
        struct simnode sim;
        const char *text;

        open_node(&sim, 300 + seed, &options);
        expect("-10", "a", "give", "10", "b"); /* it is known to wait */
        simcall_init(&give, CAIRN_OP_INVOKE, "Cell", "a", "give", "1", "b", "c", "d", "b", "c", "d", NULL);
        simcall_init(&get, CAIRN_OP_INVOKE, "Cell", "a", "get", NULL);
        simcall_init(&add, CAIRN_OP_INVOKE, "Cell", "a", "add", "100", NULL);
        simcall_submit(&sim, &give, 0);
        step_until_it_runs(&sim, 3 + (int)seed);
        simcall_submit(&sim, &add, 0);
        simcall_submit(&sim, &get, 0);
        simnode_settle(&sim);
        assert_true(give.replied && get.replied && add.replied);
        assert_string_equal(simvalue_text(cairn_buf_bytes(&give.reply)), "-16");
        text = simvalue_text(cairn_buf_bytes(&add.reply));
        writers_after += strcmp(text, "84") == 0;
        if (strcmp(text, "84") != 0)
            fail_msg("seed %d: a writer found %s", (int)seed, text);
        text = simvalue_text(cairn_buf_bytes(&get.reply));
        if (strcmp(text, "-16") != 0 && strcmp(text, "84") != 0)
            fail_msg("seed %d: a reader found %s", (int)seed, text);
        simcall_done(&give);
        simcall_done(&get);
        simcall_done(&add);
        simnode_done(&sim);
    }
    assert_int_equal(writers_after, 30);
}

/* A reader that comes while the transaction waits for its calls has the state before it, at once. */
static void readers_do_not_wait(void **state)
{
    struct simnode_options options = {.workers = 1, .shards = 2};
    struct simcall spin, get;
    struct simnode sim;

    (void)state;
    options.limits.cpu_ns = UINT64_C(20000000000);
    options.limits.transaction_ns = UINT64_C(3000000000);
    open_node(&sim, 340, &options);
    expect("5", "a", "add", "5");
    simcall_init(&spin, CAIRN_OP_INVOKE, "Cell", "a", "each", "spin", "b", NULL);
    simcall_submit(&sim, &spin, 0);
    step_until_it_runs(&sim, 200);
    assert_false(spin.replied);
    simcall_init(&get, CAIRN_OP_INVOKE, "Cell", "a", "get", NULL);
    simcall_submit(&sim, &get, 0);
    for (int i = 0; i < 2000 && !get.replied; i++)
        simnode_step(&sim);
    assert_true(get.replied && !spin.replied);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&get.reply)), "5");
    /* One that never ends is ended by its time. */
    for (int i = 0; i < 20000000 && !spin.replied; i++)
        simnode_step(&sim);
    assert_string_equal(simvalue_text(cairn_buf_bytes(&spin.reply)),
                        "!limit: the transaction took longer than 3000 ms (3000 ms, set for the node: `cairn serve "
                        "--limit-transaction-time`)");
    expect("6", "a", "add", "1");
    expect("1", "b", "add", "1");
    simcall_done(&spin);
    simcall_done(&get);
    simnode_done(&sim);
}

/* With one attempt, one that is in an older one's way fails as `conflict`, with nothing left, and its key is unused. */
static void conflicts_are_told(void **state)
{
    int conflicts = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct simnode_options options = {.workers = 2, .shards = 8};
        struct simcall calls[8];
        struct simnode sim;
        char key[8];

        options.limits.transaction_attempts = 1;
        open_node(&sim, 400 + seed, &options);
        expect("-2", "a", "give", "1", "b", "c");
        for (int i = 0; i < 8; i++) {
            simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", i % 2 ? "a" : "b", "give", "1", i % 2 ? "b" : "a", "c",
                         NULL);
            sprintf(key, "k%d", i);
            simcall_key(&calls[i], key);
            simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
            simnode_step(&sim);
        }
        simnode_settle(&sim);
        for (int i = 0; i < 8; i++) {
            bool conflicted = strncmp(simvalue_text(cairn_buf_bytes(&calls[i].reply)), "!conflict", 9) == 0;

            conflicts += conflicted;
            assert_true(conflicted || calls[i].reply.data[0] != (uint8_t)CAIRN_VALUE_ERROR);
            assert_true(!conflicted || calls[i].request.effects == CAIRN_EFFECTS_NONE);
            calls[i].reply.size = 0;
            simcall_run(&sim, &calls[i]); /* the key: done now, or done already */
            assert_true(calls[i].reply.data[0] != (uint8_t)CAIRN_VALUE_ERROR);
            simcall_done(&calls[i]);
        }
        expect("9", "c", "get"); /* each has happened once */
        simnode_done(&sim);
    }
    assert_true(conflicts > 0);
}

/* The power is cut at any moment: afterwards the sum is what it was, what was acknowledged is there, and a key that was
 * used by a transaction that has happened gives its outcome. */
static void crashes_leave_none_half_done(void **state)
{
    uint64_t acknowledged = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct simnode_options options = shapes[seed % SHAPES];
        struct simcall calls[AT_ONCE];
        struct simnode sim;
        int64_t most = 0, least = 0;
        char key[16];

        if (seed % 2)
            options.engine = "hybridlog";
        if (seed % 5 == 4)
            options.log_bytes_max = 64 << 10; /* checkpoints all the time */
        open_node(&sim, 100 + seed, &options);
        for (int round = 0; round < 6; round++) {
            uint64_t steps = 40 + cairn_random_below(&sim.random, 900);

            for (int i = 0; i < AT_ONCE; i++) {
                char from[8], to[8], other[8];

                cell_name(from, cairn_random_u64(&sim.random));
                cell_name(to, cairn_random_u64(&sim.random));
                cell_name(other, cairn_random_u64(&sim.random));
                simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", from, "give", "1", to, other, "count", NULL);
                sprintf(key, "%d-%d", round, i);
                if (i % 2)
                    simcall_key(&calls[i], key);
                simcall_submit(&sim, &calls[i], (uint32_t)i % options.workers);
            }
            for (uint64_t k = 0; k < steps; k++)
                simnode_step(&sim);
            for (int i = 0; i < AT_ONCE; i++) {
                most++;
                if (calls[i].replied && calls[i].reply.data[0] != (uint8_t)CAIRN_VALUE_ERROR)
                    least++;
            }
            simnode_crash(&sim, (enum cairn_sim_crash)(round % 3));
            reopen(&sim);
            expect("0", "c0", "sum", "c1", "c2", "c3", "c4", "c5", "count");
            for (int i = 1; i < AT_ONCE; i += 2)
                if (calls[i].replied && calls[i].reply.data[0] != (uint8_t)CAIRN_VALUE_ERROR) {
                    struct simcall again;

                    /* Done again it would count twice below. */
                    simcall_init(&again, CAIRN_OP_INVOKE, "Cell", (const char *)calls[i].strings[1], "give", NULL);
                    cairn_buf_add(&again.args, calls[i].args.data, calls[i].args.size);
                    sprintf(key, "%d-%d", round, i);
                    simcall_key(&again, key);
                    simcall_run(&sim, &again);
                    assert_true(cairn_bytes_equal(cairn_buf_bytes(&again.reply), cairn_buf_bytes(&calls[i].reply)));
                    simcall_done(&again);
                }
            for (int i = 0; i < AT_ONCE; i++)
                simcall_done(&calls[i]);
            acknowledged += (uint64_t)least;
        }
        {
            struct simcall call;
            int64_t done;

            simcall_init(&call, CAIRN_OP_INVOKE, "Cell", "count", "get", NULL);
            done = strtoll(ask(&sim, &call), NULL, 10);
            assert_true(done >= least && done <= most);
            simcall_done(&call);
        }
        simnode_done(&sim);
    }
    assert_true(acknowledged > 100);
}

/* With a log for each shard a transaction keeps to one. */
static void logs_of_their_own(void **state)
{
    struct simnode_options options = {.workers = 2, .shards = 4, .streams = true};
    struct simnode sim;

    (void)state;
    open_node(&sim, 60, &options);
    expect("-2", "{x}a", "give", "1", "{x}b", "{x}c");
    expect("1", "{x}b", "get");
    expect("!not_given...", "{x}a", "give", "1", "{x}b", "{y}c", "{z}d", "{u}e");
    expect("1", "{x}b", "get");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_or_nothing),
        cmocka_unit_test(it_sees_what_it_wrote),
        cmocka_unit_test(many_are_made_at_once),
        cmocka_unit_test(bounds_are_told),
        cmocka_unit_test(they_are_as_one_after_the_other),
        cmocka_unit_test(plain_calls_beside_it),
        cmocka_unit_test(readers_do_not_wait),
        cmocka_unit_test(conflicts_are_told),
        cmocka_unit_test(crashes_leave_none_half_done),
        cmocka_unit_test(logs_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
