/* Would catch: a limit of a method or a type that does not hold, or holds for another method; a type's that goes before
 * its method's own; a namespace's that is no cap, is one for others, or is in force on some workers alone; a limit that
 * lets a declaration pass the node's; a refusal that does not say which limit it was and where it is set; an instance
 * that keeps the limit of memory of a run before; what a failed method leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/object.h"
#include "object/space.h"
#include "support/simnode.h"

enum { WORKERS = 2, IDS = 12 };

static struct space *space_of(struct simnode *sim, const char *name)
{
    return cairn_node_space(sim->node, cairn_str(name));
}

/* Of the namespace, from that worker; valid until the next. */
static const char *run_in(struct simnode *sim, const char *space, uint32_t worker, const char *type, const char *id,
                          const char *method, const char *arg)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, CAIRN_OP_INVOKE, type, id, method, arg, NULL);
    call.request.space = space_of(sim, space);
    simcall_submit(sim, &call, worker);
    simnode_settle(sim);
    assert_true(call.replied);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    simcall_done(&call);
    return text;
}

static const char *run(struct simnode *sim, const char *type, const char *method, const char *arg)
{
    return run_in(sim, "default", 0, type, "a", method, arg);
}

/* All of them stand in the text; the last is NULL. */
static void expect_all(const char *text, ...)
{
    const char *want;
    va_list wants;

    va_start(wants, text);
    while ((want = va_arg(wants, const char *)))
        if (!strstr(text, want))
            fail_msg("'%s' is missing in '%s'", want, text);
    va_end(wants);
}

#define EXPECT(...) expect_all(__VA_ARGS__, NULL)

static void ask_space(struct simnode *sim, enum cairn_op op, const char *name, int limit, uint64_t value)
{
    struct cairn_buf limits = {0};
    struct simcall call;

    cairn_buf_u8(&limits, (uint8_t)limit);
    cairn_buf_varint(&limits, value);
    simcall_init(&call, op, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str(name);
    call.request.body = cairn_buf_bytes(&limits);
    simcall_run(sim, &call);
    if (call.reply.data[0] != CAIRN_VALUE_LIST)
        fail_msg("%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    cairn_buf_done(&limits);
}

static void deploy(struct simnode *sim, const char *space)
{
    struct cairn_buf wasm = {0};
    struct simcall call;

    simnode_wasm("limited", &wasm);
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.space = space_of(sim, space);
    call.request.body = cairn_buf_bytes(&wasm);
    simcall_run(sim, &call);
    if (call.reply.data[0] != CAIRN_VALUE_LIST)
        fail_msg("%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    cairn_buf_done(&wasm);
}

static void open_node(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void start(struct simnode *sim, const struct cairn_limits *limits)
{
    simnode_init(sim, 7, &(struct simnode_options){.workers = WORKERS, .limits = *limits});
    open_node(sim);
    deploy(sim, "default");
}

static void each_holds(void **state)
{
    struct simnode sim;

    (void)state;
    start(&sim, &(struct cairn_limits){0});
    EXPECT(run(&sim, "Tight", "spin", NULL), "!cpu_limit", "40000 microseconds", "limit-cpu of 40 ms",
           "declared by the type Tight");
    EXPECT(run(&sim, "Tight", "spin_less", NULL), "!cpu_limit", "10000 microseconds", "limit-cpu of 10 ms",
           "declared by the method Tight.spin_less");
    EXPECT(run(&sim, "Plain", "spin", NULL), "!cpu_limit", "100000 microseconds", "`cairn serve --limit-cpu`");
    EXPECT(run(&sim, "Tight", "result", "3"), "!limit", "at most 2048", "limit-result of 2 KiB",
           "declared by the type Tight");
    assert_int_equal(run(&sim, "Tight", "result", "2")[0], '"');
    assert_int_equal(run(&sim, "Tight", "result_more", "4")[0], '"'); /* the method's own goes before its type's */
    EXPECT(run(&sim, "Tight", "result_more", "5"), "!limit", "declared by the method Tight.result_more");
    EXPECT(run(&sim, "Plain", "write", "17"), "!limit", "limit-write-set of 16 KiB");
    EXPECT(run(&sim, "Plain", "write", "15"), "nil");
    EXPECT(run(&sim, "Plain", "calls", "4"), "!limit", "more than 3 calls", "limit-calls of 3",
           "declared by the method Plain.calls");
    EXPECT(run(&sim, "Plain", "calls", "3"), "called");
    EXPECT(run(&sim, "Plain", "read", "2"), "read");
    EXPECT(run(&sim, "Plain", "read", "900"), "!limit", "limit-journal of 4 KiB");
    simnode_done(&sim);
}

static void of_memory(void **state)
{
    struct simnode sim;

    (void)state;
    start(&sim, &(struct cairn_limits){0});
    for (int i = 0; i < 3; i++) { /* the instance is used again, by methods with and without */
        EXPECT(run(&sim, "Plain", "hold", "1024"), "!memory_limit", "limit of 512 KiB", "limit-memory of 512 KiB",
               "declared by the method Plain.hold");
        EXPECT(run(&sim, "Plain", "hold", "128"), "held");
        EXPECT(run(&sim, "Plain", "hold", "1"), "held");
        EXPECT(run(&sim, "Plain", "hold_freely", "1024"), "held");
        EXPECT(run(&sim, "Plain", "hold_waiting", "1024"), "!memory_limit", "limit of 512 KiB");
        EXPECT(run(&sim, "Plain", "hold_waiting", "128"), "held");
        EXPECT(run(&sim, "Plain", "hold_waiting", "1"), "held");
        EXPECT(run(&sim, "Plain", "hold_waiting_freely", "1024"), "held");
    }
    simnode_done(&sim);
}

static void of_transactions(void **state)
{
    struct simnode sim;

    (void)state;
    start(&sim, &(struct cairn_limits){0});
    EXPECT(run(&sim, "Plain", "all", "3"), "called");
    EXPECT(run(&sim, "Plain", "all", "4"), "!limit", "more than 4 objects", "limit-transaction-objects of 4",
           "declared by the method Plain.all");
    EXPECT(run_in(&sim, "default", 0, "Plain", "o0", "count", NULL), "1"); /* nothing of the second */
    EXPECT(run(&sim, "Plain", "all_fill", "4"), "called");
    EXPECT(run(&sim, "Plain", "all_fill", "9"), "!limit", "limit-transaction of 16 KiB",
           "declared by the method Plain.all_fill");
    EXPECT(run(&sim, "Plain", "all_long", NULL), "!limit", "longer than 20 ms", "limit-transaction-time of 20 ms");
    EXPECT(run(&sim, "Plain", "count", NULL), "0");
    simnode_done(&sim);
}

/* A declaration does not pass the node's. */
static void of_the_node(void **state)
{
    struct simnode sim;

    (void)state;
    start(&sim, &(struct cairn_limits){.cpu_ns = 5000000, .value_bytes = 1024, .job_calls = 2});
    EXPECT(run(&sim, "Tight", "spin_less", NULL), "!cpu_limit", "5000 microseconds", "`cairn serve --limit-cpu`");
    EXPECT(run(&sim, "Tight", "result", "2"), "!limit", "at most 1024", "`cairn serve --limit-value`");
    EXPECT(run(&sim, "Plain", "calls", "3"), "!limit", "`cairn serve --limit-calls`");
    simnode_done(&sim);
}

static void of_a_namespace(void **state)
{
    struct simnode sim;
    struct cairn_err err;
    char id[8];

    (void)state;
    start(&sim, &(struct cairn_limits){0});
    ask_space(&sim, CAIRN_OP_SPACE_CREATE, "acme", SPACE_METHOD_LIMITS + CAIRN_LIMIT_CPU, 20);
    ask_space(&sim, CAIRN_OP_SPACE_CREATE, "other", SPACE_OBJECTS, 0);
    deploy(&sim, "acme");
    deploy(&sim, "other");
    EXPECT(run_in(&sim, "acme", 0, "Tight", "a", "spin", NULL), "20000 microseconds", "limit-cpu of 20 ms",
           "`cairn namespaces set acme --limit-cpu`");
    EXPECT(run_in(&sim, "acme", 0, "Tight", "a", "spin_less", NULL), "declared by the method");
    EXPECT(run_in(&sim, "other", 0, "Tight", "a", "spin", NULL), "40000 microseconds");
    /* Of types that are there, on every worker, at once; and it can be taken away. */
    for (uint64_t ms = 7; ms <= 9; ms++) {
        char want[32];

        ask_space(&sim, CAIRN_OP_SPACE_SET, "acme", SPACE_METHOD_LIMITS + CAIRN_LIMIT_CPU, ms);
        snprintf(want, sizeof want, "%d microseconds", (int)ms * 1000);
        for (int i = 0; i < IDS; i++) {
            const char *text;

            snprintf(id, sizeof id, "i%d", i);
            text = run_in(&sim, "acme", (uint32_t)i % WORKERS, "Tight", id, "spin_less", NULL);
            if (!strstr(text, want))
                fail_msg("%s: '%s'", id, text);
        }
    }
    assert_int_equal(simnode_close(&sim, &err), CAIRN_OK);
    open_node(&sim);
    EXPECT(run_in(&sim, "acme", 0, "Tight", "a", "spin", NULL), "9000 microseconds");
    ask_space(&sim, CAIRN_OP_SPACE_SET, "acme", SPACE_METHOD_LIMITS + CAIRN_LIMIT_CPU, 0);
    EXPECT(run_in(&sim, "acme", 0, "Tight", "a", "spin", NULL), "40000 microseconds");
    EXPECT(run_in(&sim, "other", 0, "Tight", "a", "spin", NULL), "40000 microseconds");
    /* Transactions, also those that are no method's. */
    ask_space(&sim, CAIRN_OP_SPACE_SET, "acme", SPACE_METHOD_LIMITS + CAIRN_LIMIT_TRANSACTION_OBJECTS, 2);
    EXPECT(run_in(&sim, "acme", 0, "Plain", "a", "all", "3"), "more than 2 objects",
           "`cairn namespaces set acme --limit-transaction-objects`");
    EXPECT(run_in(&sim, "other", 0, "Plain", "a", "all", "3"), "called");
    {
        static const struct cairn_multi_call calls[] = {
            {.type = {(const uint8_t *)"Plain", 5},
             .id = {(const uint8_t *)"p", 1},
             .method = {(const uint8_t *)"touch", 5}},
            {.type = {(const uint8_t *)"Plain", 5},
             .id = {(const uint8_t *)"q", 1},
             .method = {(const uint8_t *)"touch", 5}},
            {.type = {(const uint8_t *)"Plain", 5},
             .id = {(const uint8_t *)"r", 1},
             .method = {(const uint8_t *)"touch", 5}},
        };
        struct simcall call;

        simcall_init(&call, CAIRN_OP_MULTI, "Plain", "p", NULL, NULL);
        call.request.space = space_of(&sim, "acme");
        call.request.calls = calls;
        call.request.call_count = 3;
        simcall_run(&sim, &call);
        EXPECT(simvalue_text(cairn_buf_bytes(&call.reply)), "!limit", "more than 2 objects",
               "`cairn namespaces set acme --limit-transaction-objects`");
        simcall_done(&call);
    }
    EXPECT(run_in(&sim, "acme", 0, "Plain", "p", "count", NULL), "0");
    simnode_done(&sim);
}

/* A durable invocation that sleeps on a version that is not the current one any more. */
static void of_what_is_open(void **state)
{
    struct simnode sim;
    struct simcall call;

    (void)state;
    start(&sim, &(struct cairn_limits){0});
    simnode_deploy(&sim, "flow");
    simcall_init(&call, CAIRN_OP_INVOKE, "Flow", "a", "doze", "x", "1000", NULL);
    simcall_submit(&sim, &call, 0);
    simnode_settle(&sim);
    assert_false(call.replied);
    simnode_deploy(&sim, "flow_second");
    ask_space(&sim, CAIRN_OP_SPACE_SET, "default", SPACE_METHOD_LIMITS + CAIRN_LIMIT_CALLS, 2);
    cairn_sim_clock_advance(&sim.clock, UINT64_C(2000000000));
    for (int i = 0; i < 100000 && !call.replied; i++)
        simnode_step(&sim);
    EXPECT(simvalue_text(cairn_buf_bytes(&call.reply)), "!limit", "limit-calls of 2",
           "`cairn namespaces set default --limit-calls`");
    simcall_done(&call);
    simnode_done(&sim);
}

/* What a listing has of each. */
static void are_listed(void **state)
{
    struct simnode sim;
    struct simcall call;

    (void)state;
    start(&sim, &(struct cairn_limits){.cpu_ns = 30000000});
    ask_space(&sim, CAIRN_OP_SPACE_SET, "default", SPACE_METHOD_LIMITS + CAIRN_LIMIT_CALLS, 2);
    simcall_init(&call, CAIRN_OP_TYPES, NULL, NULL, NULL, NULL);
    simcall_run(&sim, &call);
    EXPECT(simvalue_text(cairn_buf_bytes(&call.reply)), "[\"limit-cpu\", 30, \"node\", 40]",
           "[\"limit-cpu\", 10, \"method\", 10]", "[\"limit-calls\", 2, \"namespace\", 3]",
           "[\"limit-calls\", 2, \"namespace\", 0]");
    simcall_done(&call);
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_holds),  cmocka_unit_test(of_memory),      cmocka_unit_test(of_transactions),
        cmocka_unit_test(of_the_node), cmocka_unit_test(of_a_namespace), cmocka_unit_test(of_what_is_open),
        cmocka_unit_test(are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
