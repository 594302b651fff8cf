/* Would catch: a namespace that is made under the name of one that was removed, and gets messages or dead letters of
 * it (later ones, parked ones, those on their way, also after a crash); messages of such a one that stay for ever, or
 * count; a neighbour that loses its own; a name that is never given again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/messages.h"
#include "object/space.h"
#include "object/worker.h"
#include "support/simnode.h"

enum { IDS = 8, HOUR_MS = 3600000 };

static const char *const ids[IDS] = {"a", "b", "c", "d", "e", "f", "g", "h"};

static void open_node(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void let_pass(struct simnode *sim, uint64_t ms)
{
    for (int i = 0; i < 20; i++) {
        cairn_sim_clock_advance(&sim->clock, ms * 50000);
        simnode_settle(sim);
    }
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

static void create(struct simnode *sim, const char *name)
{
    for (int i = 0; i < 1000; i++) {
        const char *said = ask_space(sim, CAIRN_OP_SPACE_CREATE, name);

        if (*said == '[')
            return;
        assert_non_null(strstr(said, "!conflict"));
        let_pass(sim, 20);
    }
    fail_msg("the name %s is never free again", name);
}

static void deploy(struct simnode *sim, const char *space)
{
    struct cairn_buf wasm = {0};
    struct simcall call;
    const char *said;

    simnode_wasm("mail", &wasm);
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.space = cairn_node_space(sim->node, cairn_str(space));
    call.request.body = cairn_buf_bytes(&wasm);
    said = ask(sim, &call);
    if (*said != '[')
        fail_msg("%s", said);
    cairn_buf_done(&wasm);
}

static void run(struct simnode *sim, const char *space, const char *id, const char *method, const char *a,
                const char *b, const char *c)
{
    struct simcall call;
    const char *said;

    simcall_init(&call, CAIRN_OP_INVOKE, "Mail", id, method, a, b, c, NULL);
    call.request.space = cairn_node_space(sim->node, cairn_str(space));
    said = ask(sim, &call);
    if (*said == '!')
        fail_msg("%s", said);
}

static void send(struct simnode *sim, const char *space, const char *id, const char *method, uint64_t delay_ms)
{
    struct simcall call;
    const char *said;

    simcall_init(&call, CAIRN_OP_SEND, "Mail", id, method, NULL);
    call.request.space = cairn_node_space(sim->node, cairn_str(space));
    call.request.delay_ms = delay_ms;
    said = ask(sim, &call);
    if (*said != '"')
        fail_msg("%s", said);
}

/* Some of every kind. */
static void leave_messages(struct simnode *sim, const char *space)
{
    for (int i = 0; i < IDS; i++) {
        send(sim, space, ids[i], "add", HOUR_MS);
        send(sim, space, ids[i], "refuse", 0);
        run(sim, space, ids[i], "send_after", "3600000", "add", ids[(i + 3) % IDS]);
        for (int k = 0; k < 20; k++)
            run(sim, space, ids[i], "send_abroad", "Nothing", ids[(i + k) % IDS], "at_all");
    }
    run(sim, space, "a", "send_after", "0", "trap_until", "b");
}

static uint64_t count_messages(struct simnode *sim, const char *space, bool dead)
{
    struct cairn_buf cursor = {0};
    uint64_t count = 0;

    for (;;) {
        struct cairn_reader r;
        struct cairn_value at;
        struct simcall call;
        uint64_t items;

        simcall_init(&call, CAIRN_OP_MESSAGES, NULL, NULL, NULL, NULL);
        call.request.space = cairn_node_space(sim->node, cairn_str(space));
        call.request.limit = 1000;
        call.request.dead = dead;
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        assert_int_equal(cairn_value_read(&r).count, 2);
        items = cairn_value_read(&r).count;
        count += items;
        for (uint64_t i = 0; i < items; i++) { /* 14 members, and a list of arguments */
            for (int k = 0; k < 1 + 14; k++)
                cairn_value_read(&r);
            for (uint64_t args = cairn_value_read(&r).count; args > 0; args--)
                cairn_value_read(&r);
        }
        at = cairn_value_read(&r);
        cursor.size = 0;
        cairn_buf_add(&cursor, at.bytes.data, at.bytes.size);
        simcall_done(&call);
        if (at.kind != CAIRN_VALUE_BYTES)
            break;
    }
    cairn_buf_done(&cursor);
    return count;
}

/* As the shards count them. */
static uint64_t counted(const struct simnode *sim)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < sim->node->shard_count; i++) {
        const struct messages *messages = sim->node->workers[i % sim->node->options.workers].shards[i].messages;

        sum += messages->numbers.waiting + messages->numbers.dead + messages->numbers.out;
    }
    return sum;
}

static void empty(struct simnode *sim, const char *space)
{
    struct simcall call;

    for (int i = 0; i < IDS; i++) {
        simcall_init(&call, CAIRN_OP_DELETE, "Mail", ids[i], NULL, NULL);
        call.request.space = cairn_node_space(sim->node, cairn_str(space));
        assert_int_not_equal(*ask(sim, &call), '!');
    }
    simcall_init(&call, CAIRN_OP_UNDEPLOY, NULL, NULL, NULL, NULL);
    call.request.space = cairn_node_space(sim->node, cairn_str(space));
    call.request.name = cairn_str("mail");
    assert_string_equal(ask(sim, &call), "nil");
}

static void check_nothing_old(struct simnode *sim, uint64_t seed)
{
    struct simcall call;

    for (int later = 0; later < 2; later++) {
        if (count_messages(sim, "acme", false) || count_messages(sim, "acme", true))
            fail_msg("seed %d: %d messages and %d dead letters", (int)seed, (int)count_messages(sim, "acme", false),
                     (int)count_messages(sim, "acme", true));
        simcall_init(&call, CAIRN_OP_LIST, "Mail", NULL, NULL, NULL);
        call.request.space = cairn_node_space(sim->node, cairn_str("acme"));
        call.request.limit = 100;
        assert_string_equal(ask(sim, &call), "[[], nil]");
        if (!later)
            let_pass(sim, 2 * HOUR_MS);
    }
}

static void nothing_comes_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct simnode_options options = {.workers = 1 + (uint32_t)(seed % 3),
                                          .shards = 4,
                                          .engine = seed % 4 == 3 ? "hybridlog" : NULL,
                                          .log_bytes_max = seed % 5 == 4 ? 64 << 10 : 0};
        struct simnode sim;

        simnode_init(&sim, 40 + seed, &options);
        open_node(&sim);
        create(&sim, "acme");
        create(&sim, "other");
        deploy(&sim, "acme");
        deploy(&sim, "other");
        leave_messages(&sim, "acme");
        leave_messages(&sim, "other");
        simnode_settle(&sim);
        empty(&sim, "acme");
        assert_string_equal(ask_space(&sim, CAIRN_OP_SPACE_REMOVE, "acme"), "nil");
        if (seed % 2) {
            for (uint64_t steps = cairn_random_below(&sim.random, 100); steps > 0; steps--)
                simnode_step(&sim);
            simnode_crash(&sim, (enum cairn_sim_crash)(seed / 2 % 3));
            open_node(&sim);
        }
        create(&sim, "acme");
        deploy(&sim, "acme");
        simnode_settle(&sim);
        assert_int_equal(counted(&sim), count_messages(&sim, "other", false) + count_messages(&sim, "other", true));
        assert_true(count_messages(&sim, "other", true) >= IDS);
        check_nothing_old(&sim, seed);
        {
            struct simcall call;

            simcall_init(&call, CAIRN_OP_INVOKE, "Mail", "c", "count", NULL);
            call.request.space = cairn_node_space(sim.node, cairn_str("other"));
            assert_string_equal(ask(&sim, &call), "2"); /* both of an hour later, and nothing that was refused */
        }
        simnode_done(&sim);
    }
}

/* An id of which the objects of that namespace lie in that shard, or in any other. */
static const char *id_in(struct simnode *sim, const char *space, uint32_t shard, bool in)
{
    static char text[2][16];
    char *id = text[in];

    for (int i = 0;; i++) {
        snprintf(id, sizeof text[0], "%c%d", in ? 'i' : 'o', i);
        if ((node_shard_of(sim->node, cairn_node_space(sim->node, cairn_str(space)), cairn_str(id)) == shard) == in)
            return id;
    }
}

/* Its messages cannot arrive: another namespace's fill the shard that they are for. */
static void on_their_way(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct simnode_options options = {
            .workers = 1 + (uint32_t)(seed % 2), .shards = 4, .limits = {.message_bytes = 32 << 10}};
        struct simnode sim;
        struct simcall call;
        const char *full, *from, *to;
        uint64_t there;

        simnode_init(&sim, 80 + seed, &options);
        open_node(&sim);
        create(&sim, "acme");
        create(&sim, "other");
        deploy(&sim, "acme");
        deploy(&sim, "other");
        full = id_in(&sim, "other", 1, true);
        do {
            simcall_init(&call, CAIRN_OP_SEND, "Mail", full, "add", NULL);
            call.request.space = cairn_node_space(sim.node, cairn_str("other"));
            call.request.delay_ms = HOUR_MS;
        } while (*ask(&sim, &call) == '"');
        there = count_messages(&sim, "other", false);
        assert_true(there > 100);
        from = id_in(&sim, "acme", 1, false);
        to = id_in(&sim, "acme", 1, true);
        run(&sim, "acme", from, "flood", "5", to, "900");
        simnode_settle(&sim);
        assert_int_equal(count_messages(&sim, "acme", false), 5);
        empty(&sim, "acme");
        assert_string_equal(ask_space(&sim, CAIRN_OP_SPACE_REMOVE, "acme"), "nil");
        create(&sim, "acme");
        deploy(&sim, "acme");
        assert_int_equal(count_messages(&sim, "other", false), there);
        check_nothing_old(&sim, seed);
        simnode_done(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_comes_back), cmocka_unit_test(on_their_way)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
