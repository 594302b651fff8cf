/* Would catch: an EXEC whose results pass their bound, or that happens though they do; what transactions write that
 * does not count as memory of requests while they are under way, or that counts for ever after: when they end well,
 * fail, or are sent away by others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/worker.h"
#include "support/simnode.h"

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    struct cairn_err err;

    simnode_init(sim, seed, options);
    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    simnode_deploy(sim, "ledger");
}

static struct cairn_multi_call call_of(const char *id, const char *method, struct cairn_bytes args)
{
    return (struct cairn_multi_call){
        .type = cairn_str("Cell"), .id = cairn_str(id), .method = cairn_str(method), .args = args};
}

static void results_have_a_bound(void **state)
{
    enum { MANY = 8, FEW = 2 };
    struct cairn_multi_call calls[MANY];
    struct cairn_buf args = {0};
    struct simnode sim;

    (void)state;
    open_node(&sim, 1, &(struct simnode_options){.limits = {.transaction_bytes = 600}});
    cairn_args_add(&args, cairn_str("1"));
    for (int i = 0; i < 60; i++) /* 120 bytes and more, as a result */
        simnode_expect(&sim, "[...", "Cell", "full", "note", "7", NULL);
    for (uint32_t count = FEW; count <= MANY; count += MANY - FEW) {
        struct simcall call;
        const char *text;

        calls[0] = call_of("a", "add", cairn_buf_bytes(&args));
        for (uint32_t i = 1; i < count; i++)
            calls[i] = call_of("full", "entries", cairn_bytes(NULL, 0));
        simcall_init(&call, CAIRN_OP_MULTI, NULL, NULL, NULL, NULL);
        call.request.calls = calls;
        call.request.call_count = count;
        simcall_run(&sim, &call);
        text = simvalue_text(cairn_buf_bytes(&call.reply));
        if (count == FEW)
            assert_true(strncmp(text, "[1, [7, 7, ", 11) == 0);
        else if (!strstr(text, "!limit: the results have ") || !strstr(text, "at most 600 are allowed"))
            fail_msg("%s", text);
        assert_int_equal(call.request.effects, count == FEW ? CAIRN_EFFECTS_SOME : CAIRN_EFFECTS_NONE);
        simcall_done(&call);
    }
    simnode_expect(&sim, "1", "Cell", "a", "get", NULL); /* the second did nothing */
    cairn_buf_done(&args);
    simnode_done(&sim);
}

/* Charged to requests, by all workers. */
static int64_t charged(const struct simnode *sim)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < sim->node->options.workers; i++)
        sum += sim->node->workers[i].purse.spent;
    return sum;
}

static void memory_is_counted(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 2, &(struct simnode_options){.workers = 2, .shards = 4});
    {
        int64_t before, most = 0;
        struct simcall call;

        simnode_settle(&sim);
        before = charged(&sim);
        simcall_init(&call, CAIRN_OP_INVOKE, "Cell", "a", "swell_all", "20000", "2", "b", "c", NULL);
        simcall_arg(&call, "d");
        simcall_submit(&sim, &call, 0);
        for (int i = 0; i < 100000 && !call.replied; i++) {
            simnode_step(&sim);
            most = charged(&sim) > most ? charged(&sim) : most;
        }
        assert_true(call.replied);
        assert_true(most - before >= 3 * 20000);
        simcall_done(&call);
        simnode_settle(&sim);
        assert_int_equal(charged(&sim), before);
    }
    /* Many that are in each other's way, of which some fail. */
    {
        enum { MANY = 24 };
        struct simcall calls[MANY];
        int64_t before = charged(&sim);

        for (int i = 0; i < MANY; i++) {
            simcall_init(&calls[i], CAIRN_OP_INVOKE, "Cell", i % 2 ? "a" : "b", i % 3 ? "give" : "give_then_fail", "1",
                         i % 2 ? "b" : "a", "c", NULL);
            simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
        }
        simnode_settle(&sim);
        for (int i = 0; i < MANY; i++) {
            assert_true(calls[i].replied);
            simcall_done(&calls[i]);
        }
        simnode_settle(&sim);
        assert_int_equal(charged(&sim), before);
    }
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(results_have_a_bound), cmocka_unit_test(memory_is_counted)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
