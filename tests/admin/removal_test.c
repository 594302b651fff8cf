/* Would catch: a namespace that is removed with all that it has and keeps an object, a timer, a message, a dead letter,
 * a durable invocation, a module or a type, of its compartment too; one whose removal a crash cuts off for good; one
 * that can be used, or made again, while it goes; a neighbour that loses something; one that is removed while a method
 * runs in it, and has what that writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "object/layout.h"
#include "object/quota.h"
#include "support/simnode.h"

enum { IDS = 20, HOUR_MS = 3600000 };

static void open_node(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

/* Valid until the next. */
static const char *ask(struct simnode *sim, struct simcall *call)
{
    static char text[4096];

    simcall_run(sim, call);
    snprintf(text, sizeof text, "%s", simvalue_text(cairn_buf_bytes(&call->reply)));
    simcall_done(call);
    return text;
}

static const char *ask_space(struct simnode *sim, enum cairn_op op, const char *name)
{
    struct simcall call;

    simcall_init(&call, op, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str(name);
    return ask(sim, &call);
}

static void expect(struct simnode *sim, enum cairn_op op, const char *name, const char *want)
{
    const char *got = ask_space(sim, op, name);

    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("%s: %s, not %s", name, got, want);
}

static void deploy(struct simnode *sim, struct space *space, const char *module)
{
    struct cairn_buf wasm = {0};
    struct simcall call;
    const char *said;

    simnode_wasm(module, &wasm);
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.space = space;
    call.request.body = cairn_buf_bytes(&wasm);
    said = ask(sim, &call);
    if (*said != '[')
        fail_msg("%s", said);
    cairn_buf_done(&wasm);
}

static void run(struct simnode *sim, struct space *space, const char *type, const char *id, const char *method,
                const char *a, const char *b, const char *c)
{
    struct simcall call;
    const char *said;

    simcall_init(&call, CAIRN_OP_INVOKE, type, id, method, a, b, c, NULL);
    call.request.space = space;
    said = ask(sim, &call);
    if (*said == '!')
        fail_msg("%s.%s: %s", type, method, said);
}

static void begin_sleeper(struct simnode *sim, struct space *space, struct simcall *call)
{
    deploy(sim, space, "flow");
    simcall_init(call, CAIRN_OP_INVOKE, "Flow", "sleeper", "nap", "100000000", NULL);
    call->request.space = space;
    simcall_submit(sim, call, 0);
    simnode_settle(sim);
    assert_false(call->replied);
}

static void send(struct simnode *sim, struct space *space, const char *id, const char *method, uint64_t delay_ms)
{
    struct simcall call;

    simcall_init(&call, CAIRN_OP_SEND, "Alarm", id, method, NULL);
    call.request.space = space;
    call.request.delay_ms = delay_ms;
    assert_int_equal(*ask(sim, &call), '"');
}

/* Some of every kind, in the compartment too. */
static void fill(struct simnode *sim, const char *name)
{
    struct space *space = cairn_node_space(sim->node, cairn_str(name));
    struct space *compartment = spaces_compartment(&sim->node->spaces, space);

    deploy(sim, space, "alarm");
    deploy(sim, compartment, "probe");
    for (int i = 0; i < IDS; i++) {
        char id[16];

        snprintf(id, sizeof id, "i%d", i);
        send(sim, space, id, "due", HOUR_MS);
        send(sim, space, id, "refuse", 0);
        run(sim, space, "Alarm", id, "in", "once", "3600000", "tick");
        run(sim, space, "Alarm", id, "every", "often", "3600000", "tick");
        run(sim, compartment, "Probe", id, "set", "word", NULL, NULL);
    }
}

struct count {
    uint64_t of_kind[256];
};

static void count_one(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct count *count = context;

    (void)value;
    count->of_kind[key.data[0]]++;
}

static struct count count_keys(const struct simnode *sim)
{
    struct count count = {0};

    for (uint32_t i = 0; i <= sim->node->shard_count; i++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(sim->store, i));

        view->ops->visit(view, count_one, &count);
    }
    return count;
}

static uint64_t messages_of(const struct count *count)
{
    return count->of_kind[KEY_LINE] + count->of_kind[KEY_LATER] + count->of_kind[KEY_DEAD] +
           count->of_kind[KEY_OUTBOX] + count->of_kind[KEY_SIDE_ENTRY];
}

static void check_same(const struct count *want, const struct count *got, uint64_t seed)
{
    static const uint8_t kinds[] = {KEY_HEADER, KEY_FIELD,   KEY_PURGE, KEY_DURABLE, KEY_DURABLE_SLEEPER,
                                    KEY_CALLED, KEY_PROMISE, KEY_TIMER, KEY_SIDE,    KEY_MODULE,
                                    KEY_TYPE,   KEY_SPACE};

    for (size_t i = 0; i < sizeof kinds; i++)
        if (want->of_kind[kinds[i]] != got->of_kind[kinds[i]])
            fail_msg("seed %d: %d keys of kind %02x, not %d", (int)seed, (int)got->of_kind[kinds[i]], kinds[i],
                     (int)want->of_kind[kinds[i]]);
    assert_int_equal(messages_of(want), messages_of(got));
}

static void await_removal(struct simnode *sim, const char *name)
{
    for (int i = 0; i < 2000; i++) {
        if (strncmp(ask_space(sim, CAIRN_OP_SPACES, name), "!not_found", 10) == 0)
            return;
        cairn_sim_clock_advance(&sim->clock, 20000000);
        simnode_settle(sim);
    }
    fail_msg("%s is never gone", name);
}

static void begin(struct simnode *sim, uint64_t seed, const struct simnode_options *options, struct count *ret_count)
{
    simnode_init(sim, seed, options);
    open_node(sim);
    expect(sim, CAIRN_OP_SPACE_CREATE, "other", "[\"other\"");
    fill(sim, "other");
    simnode_settle(sim);
    *ret_count = count_keys(sim);
    expect(sim, CAIRN_OP_SPACE_CREATE, "acme", "[\"acme\"");
    fill(sim, "acme");
    simnode_settle(sim);
}

static void check_gone(struct simnode *sim, const struct count *want, uint64_t seed)
{
    struct count got;
    struct space_usage usage;
    struct simcall timers;
    struct space *space;

    simnode_settle(sim);
    got = count_keys(sim);
    check_same(want, &got, seed);
    expect(sim, CAIRN_OP_SPACE_CREATE, "acme", "[\"acme\"");
    space = cairn_node_space(sim->node, cairn_str("acme"));
    quota_usage(space, sim->node->options.workers, &usage);
    assert_int_equal(usage.kept.objects, 0);
    assert_int_equal(usage.kept.bytes, 0);
    assert_int_equal(usage.kept.messages, 0);
    deploy(sim, space, "alarm");
    simcall_init(&timers, CAIRN_OP_TIMERS, NULL, NULL, NULL, NULL);
    timers.request.space = space;
    assert_string_equal(ask(sim, &timers), "[[], nil]");
    for (int i = 0; i < IDS; i++) {
        char id[16];
        struct simcall call;

        snprintf(id, sizeof id, "i%d", i);
        simcall_init(&call, CAIRN_OP_INVOKE, "Alarm", id, "count", NULL);
        call.request.space = space;
        assert_string_equal(ask(sim, &call), "0");
    }
}

static const struct simnode_options *options_of(uint64_t seed)
{
    static struct simnode_options options;

    options = (struct simnode_options){.workers = 1 + (uint32_t)(seed % 3),
                                       .shards = 4,
                                       .engine = seed % 4 == 2 ? "hybridlog" : NULL,
                                       .streams = seed % 2};
    return &options;
}

static void all_goes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct simcall sleeper, late;
        struct simnode sim;
        struct count want;
        struct space *space;

        begin(&sim, seed, options_of(seed), &want);
        space = cairn_node_space(sim.node, cairn_str("acme"));
        begin_sleeper(&sim, space, &sleeper);
        expect(&sim, CAIRN_OP_SPACE_REMOVE, "acme", "!conflict: the namespace acme is not empty");
        expect(&sim, CAIRN_OP_SPACE_REMOVE_ALL, "default", "!bad_request");
        expect(&sim, CAIRN_OP_SPACE_REMOVE_ALL, "nobody", "!not_found");
        assert_non_null(strstr(ask_space(&sim, CAIRN_OP_SPACE_REMOVE_ALL, "acme"), ", 1]")); /* being removed */
        assert_null(cairn_node_space(sim.node, cairn_str("acme")));
        simcall_init(&late, CAIRN_OP_INVOKE, "Alarm", "i1", "count", NULL);
        late.request.space = space;
        assert_non_null(strstr(ask(&sim, &late), "!not_found"));
        await_removal(&sim, "acme");
        for (int i = 0; i < 1000 && !sleeper.replied; i++)
            simnode_step(&sim);
        assert_non_null(strstr(simvalue_text(cairn_buf_bytes(&sleeper.reply)), "!cancelled"));
        simcall_done(&sleeper);
        check_gone(&sim, &want, seed);
        simnode_done(&sim);
    }
}

/* At any step, again and again. */
static void a_crash_does_not_stop_it(void **state)
{
    uint64_t cut = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct simcall call, sleeper;
        struct simnode sim;
        struct count want;

        begin(&sim, 100 + seed, options_of(seed), &want);
        begin_sleeper(&sim, cairn_node_space(sim.node, cairn_str("acme")), &sleeper);
        simcall_init(&call, CAIRN_OP_SPACE_REMOVE_ALL, NULL, NULL, NULL, NULL);
        call.request.name = cairn_str("acme");
        simcall_run(&sim, &call);
        simcall_done(&call);
        for (int crash = 0; crash < 3; crash++) {
            for (uint64_t steps = cairn_random_below(&sim.random, 400); steps > 0; steps--)
                simnode_step(&sim);
            simnode_crash(&sim, (enum cairn_sim_crash)((seed + (uint64_t)crash) % 3));
            open_node(&sim);
            assert_null(cairn_node_space(sim.node, cairn_str("acme")));
            cut += strncmp(ask_space(&sim, CAIRN_OP_SPACES, "acme"), "!not_found", 10) != 0;
        }
        simcall_done(&sleeper);
        await_removal(&sim, "acme");
        check_gone(&sim, &want, seed);
        simnode_done(&sim);
    }
    assert_true(cut > 2); /* it was under way */
}

static void is_refused_meanwhile(void **state)
{
    struct cairn_buf limits = {0};
    struct simcall call;
    struct simnode sim;
    struct count want;
    struct space *space;

    (void)state;
    begin(&sim, 300, &(struct simnode_options){0}, &want);
    space = cairn_node_space(sim.node, cairn_str("acme"));
    simcall_init(&call, CAIRN_OP_SPACE_REMOVE_ALL, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("acme");
    simcall_run(&sim, &call);
    simcall_done(&call);
    expect(&sim, CAIRN_OP_SPACE_CREATE, "acme", "!conflict: the namespace acme is being removed");
    expect(&sim, CAIRN_OP_SPACE_REMOVE, "acme", "!conflict: the namespace acme is being removed");
    cairn_buf_u8(&limits, SPACE_WEIGHT);
    cairn_buf_varint(&limits, 7);
    simcall_init(&call, CAIRN_OP_SPACE_SET, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("acme");
    call.request.body = cairn_buf_bytes(&limits);
    assert_non_null(strstr(ask(&sim, &call), "!conflict: the namespace acme is being removed"));
    simcall_init(&call, CAIRN_OP_UNDEPLOY, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("alarm");
    call.request.space = space;
    assert_non_null(strstr(ask(&sim, &call), "!not_found"));
    assert_non_null(strstr(ask_space(&sim, CAIRN_OP_SPACE_REMOVE_ALL, "acme"), ", 1]")); /* again: what is left */
    await_removal(&sim, "acme");
    check_gone(&sim, &want, 300);
    cairn_buf_done(&limits);
    simnode_done(&sim);
}

/* What was under way as the record was made: calls, transactions, deploys. */
static void what_is_under_way_goes_too(void **state)
{
    (void)state;
    for (uint64_t seed = 400; seed < 402; seed++) {
        static struct simcall calls[IDS];
        struct simnode_options options = {.workers = 2, .shards = 4};
        struct cairn_buf wasm = {0};
        struct simcall removal, late;
        struct simnode sim;
        struct count want;
        struct space *space;

        begin(&sim, seed, &options, &want);
        space = cairn_node_space(sim.node, cairn_str("acme"));
        simnode_wasm("bank", &wasm);
        simcall_init(&late, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
        late.request.space = space;
        late.request.body = cairn_buf_bytes(&wasm);
        simcall_submit(&sim, &late, 0);
        for (int i = 0; i < IDS; i++) {
            char id[16];

            snprintf(id, sizeof id, "new%d", i);
            simcall_init(&calls[i], CAIRN_OP_INVOKE, "Alarm", i % 2 ? id : "i3", "in", id, "1", "tick", NULL);
            calls[i].request.space = space;
            simcall_submit(&sim, &calls[i], (uint32_t)i % 2);
        }
        for (uint64_t steps = 4 * (seed - 400); steps > 0; steps--)
            simnode_step(&sim);
        simcall_init(&removal, CAIRN_OP_SPACE_REMOVE_ALL, NULL, NULL, NULL, NULL);
        removal.request.name = cairn_str("acme");
        simcall_run(&sim, &removal);
        simcall_done(&removal);
        await_removal(&sim, "acme");
        for (int i = 0; i < IDS; i++) {
            assert_true(calls[i].replied);
            simcall_done(&calls[i]);
        }
        assert_true(late.replied);
        simcall_done(&late);
        check_gone(&sim, &want, seed);
        cairn_buf_done(&wasm);
        simnode_done(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_goes),
        cmocka_unit_test(a_crash_does_not_stop_it),
        cmocka_unit_test(is_refused_meanwhile),
        cmocka_unit_test(what_is_under_way_goes_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
