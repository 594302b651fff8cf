/* Would catch: numbers of messages, of their bytes, and of all bytes of a namespace that are not those of what lies in
 * the engine, after sends, timers, failures, dead letters, transactions and crashes; numbers that are left when all is
 * gone; a limit of messages that lets more through, or stands in the way of those that are there, or of another
 * namespace; a refusal that does not say which limit it is and when to come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/layout.h"
#include "object/posted.h"
#include "object/space.h"
#include "object/timer.h"
#include "support/simnode.h"

static const char *const spaces[] = {"acme", "blue"};
static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static struct space *space_of(struct simnode *sim, const char *name)
{
    return cairn_node_space(sim->node, cairn_str(name));
}

static void ask_space(struct simnode *sim, enum cairn_op op, const char *name, enum space_limit limit, uint64_t value)
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

static void deploy(struct simnode *sim, const char *space, const char *module)
{
    struct cairn_buf wasm = {0};
    struct simcall call;

    simnode_wasm(module, &wasm);
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.space = space_of(sim, space);
    call.request.body = cairn_buf_bytes(&wasm);
    simcall_run(sim, &call);
    assert_int_equal(call.reply.data[0], CAIRN_VALUE_LIST);
    simcall_done(&call);
    cairn_buf_done(&wasm);
}

static void open_node(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    simnode_init(sim, seed, options);
    reopen(sim);
    for (int i = 0; i < 2; i++) {
        ask_space(sim, CAIRN_OP_SPACE_CREATE, spaces[i], SPACE_OBJECTS, 0);
        deploy(sim, spaces[i], "mail");
        deploy(sim, spaces[i], "alarm");
    }
}

static void open_with(struct simnode *sim, uint64_t seed, bool streams)
{
    open_node(sim, seed, &(struct simnode_options){.streams = streams});
}

struct asked {
    const char *text; /* valid until the next */
    uint32_t retry_ms;
};

static struct asked ask(struct simnode *sim, const char *space, enum cairn_op op, uint64_t delay_ms, const char *type,
                        const char *id, const char *method, const char *a, const char *b, const char *c)
{
    struct simcall call;
    struct asked asked;

    simcall_init(&call, op, type, id, method, a, b, c, NULL);
    call.request.space = space_of(sim, space);
    call.request.delay_ms = delay_ms;
    simcall_run(sim, &call);
    asked = (struct asked){simvalue_text(cairn_buf_bytes(&call.reply)), call.request.retry_ms};
    simcall_done(&call);
    return asked;
}

static const char *run(struct simnode *sim, const char *space, const char *type, const char *id, const char *method,
                       const char *a, const char *b, const char *c)
{
    return ask(sim, space, CAIRN_OP_INVOKE, 0, type, id, method, a, b, c).text;
}

/* --- what lies in the engine --- */

struct found {
    int64_t bytes; /* of both namespaces */
    struct {
        int64_t messages, bytes;
    } of[2];
};

static void look_at(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct found *found = context;
    uint8_t kind = key.data[0];
    int64_t size = (int64_t)(key.size + value.size);
    struct posted posted;

    if (kind == KEY_HEADER || kind == KEY_FIELD || kind == KEY_TIMER)
        found->bytes += size;
    if (kind != KEY_LINE && kind != KEY_LATER && kind != KEY_SIDE_ENTRY && kind != KEY_OUTBOX && kind != KEY_DEAD)
        return;
    found->bytes += size;
    assert_true(posted_decode(value, &posted));
    for (int i = 0; i < 2; i++)
        if (cairn_bytes_equal(posted.space, cairn_str(spaces[i]))) {
            found->of[i].messages++;
            found->of[i].bytes += size;
        }
}

static void check_counts(struct simnode *sim, const char *label)
{
    struct found found = {0};
    int64_t bytes = 0;

    simnode_settle(sim);
    for (uint32_t i = 0; i < cairn_store_shards(sim->store); i++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(sim->store, i));

        view->ops->visit(view, look_at, &found);
    }
    for (int i = 0; i < 2; i++) {
        const struct space *space = space_of(sim, spaces[i]);
        int64_t messages = atomic_load(&space->kept_messages), their = atomic_load(&space->kept_message_bytes);

        bytes += atomic_load(&space->kept_bytes);
        if (messages != found.of[i].messages || their != found.of[i].bytes)
            fail_msg("%s: %s has %lld messages of %lld bytes, and %lld of %lld are counted", label, spaces[i],
                     (long long)found.of[i].messages, (long long)found.of[i].bytes, (long long)messages,
                     (long long)their);
    }
    if (bytes != found.bytes)
        fail_msg("%s: %lld bytes are there, and %lld are counted", label, (long long)found.bytes, (long long)bytes);
}

/* --- cases --- */

static void one_step(struct simnode *sim, struct cairn_random *random)
{
    static const char *const delays[] = {"0", "50", "5000", "100000000"};
    const char *space = spaces[cairn_random_below(random, 2)], *id = ids[cairn_random_below(random, 6)];
    const char *other = ids[cairn_random_below(random, 6)], *delay = delays[cairn_random_below(random, 4)];

    switch (cairn_random_below(random, 14)) {
    case 0:
    case 1:
        run(sim, space, "Mail", id, "send", other, id, other);
        break;
    case 2:
    case 3:
        run(sim, space, "Mail", id, "send_after", delay, "take", other);
        break;
    case 4:
        run(sim, space, "Mail", id, "send_after", delay, "refuse", other); /* a dead letter */
        break;
    case 5:
        run(sim, space, "Mail", id, "send_after", "0", "poison", other);
        break;
    case 6:
        run(sim, space, "Mail", id, "send_abroad", "Nothing", other, "at_all"); /* waits for its type */
        break;
    case 7:
        run(sim, space, "Mail", id, "send_then_fail", other, NULL, NULL);
        break;
    case 8:
        run(sim, space, "Mail", id, "send_then_delete", other, NULL, NULL);
        break;
    case 9:
        run(sim, space, "Alarm", id, "in", other, delay, "tick");
        break;
    case 10:
        run(sim, space, "Alarm", id, cairn_random_below(random, 2) ? "cancel" : "drop", other, NULL, NULL);
        break;
    case 11:
        run(sim, space, "Mail", id, "all_send", other, id, "f");
        break;
    case 12:
        ask(sim, space, CAIRN_OP_SEND, strlen(delay) > 2 ? 100000000 : 0, "Mail", id, "add", "1", NULL, NULL);
        break;
    case 13:
        ask(sim, space, CAIRN_OP_DELETE, 0, cairn_random_below(random, 2) ? "Mail" : "Alarm", id, NULL, NULL, NULL,
            NULL);
        break;
    }
}

static void counts_are_right(void **state)
{
    static const enum cairn_sim_crash how[] = {CAIRN_SIM_DROP, CAIRN_SIM_KEEP, CAIRN_SIM_TEAR};

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct cairn_random random;
        struct simnode sim;

        cairn_random_init(&random, seed);
        open_with(&sim, seed, seed % 2);
        for (int n = 1; n <= 100; n++) {
            char label[48];

            one_step(&sim, &random);
            snprintf(label, sizeof label, "seed %d, step %d", (int)seed, n);
            if (n % 8 == 0)
                check_counts(&sim, label);
            if (n % 20 == 0) {
                for (int i = 0; i < 6; i++)
                    one_step(&sim, &random);
                simnode_crash(&sim, how[n / 20 % 3]);
                reopen(&sim);
                check_counts(&sim, "after a crash");
            }
            if (n % 32 == 0)
                cairn_sim_clock_advance(&sim.clock, UINT64_C(4000000000));
        }
        for (int i = 0; i < 6; i++)
            for (int s = 0; s < 2; s++) {
                ask(&sim, spaces[s], CAIRN_OP_DELETE, 0, "Mail", ids[i], NULL, NULL, NULL, NULL);
                ask(&sim, spaces[s], CAIRN_OP_DELETE, 0, "Alarm", ids[i], NULL, NULL, NULL, NULL);
            }
        check_counts(&sim, "at the end");
        assert_true(atomic_load(&space_of(&sim, "acme")->kept_messages) > 0);
        simnode_done(&sim);
    }
}

static void expect(struct simnode *sim, const char *want, const char *space, const char *id, const char *method,
                   const char *a, const char *b, const char *c)
{
    const char *got = run(sim, space, "Mail", id, method, a, b, c);

    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("%s.%s: %s, not %s", id, method, got, want);
}

#define FULL "the namespace acme has 3 messages that wait or are dead letters and may have 3 (messages)"

static void messages_have_a_limit(void **state)
{
    struct simnode sim;
    struct asked asked;

    (void)state;
    open_with(&sim, 7, false);
    ask_space(&sim, CAIRN_OP_SPACE_SET, "acme", SPACE_MESSAGES, 3);
    for (int i = 0; i < 3; i++)
        expect(&sim, "nil", "acme", ids[i], "send_after", "5000", "add", "c");
    for (int again = 0; again < 2; again++) {
        expect(&sim, "!limit: " FULL, "acme", "d", "send_after", "5000", "add", "c");
        expect(&sim, "!limit: " FULL, "acme", "d", "send", "c", NULL, NULL);
        asked = ask(&sim, "acme", CAIRN_OP_SEND, 0, "Mail", "c", "add", NULL, NULL, NULL);
        if (strncmp(asked.text, "!quota: " FULL, strlen("!quota: " FULL)) != 0)
            fail_msg("%s", asked.text);
        assert_int_equal(asked.retry_ms, 1000);
        check_counts(&sim, "refused");
        simnode_crash(&sim, CAIRN_SIM_DROP);
        reopen(&sim);
    }
    for (int i = 0; i < 5; i++) /* others have no part in it */
        expect(&sim, "nil", "blue", ids[i], "send_after", "5000", "add", "c");
    expect(&sim, "1", "acme", "d", "add", "1", NULL, NULL); /* nothing else is refused */
    cairn_sim_clock_advance(&sim.clock, UINT64_C(6000000000));
    for (int i = 0; i < 3000; i++)
        simnode_step(&sim);
    check_counts(&sim, "run");
    assert_int_equal(atomic_load(&space_of(&sim, "acme")->kept_messages), 0);
    expect(&sim, "3", "acme", "c", "count", NULL, NULL, NULL);
    expect(&sim, "!limit: the namespace acme has 0 messages", "acme", "d", "flood", "4", "c", "1"); /* all or none */
    expect(&sim, "nil", "acme", "d", "flood", "3", "c", "1");
    simnode_done(&sim);
}

/* The node's, of namespaces that have no limit of their own. */
static void messages_have_a_limit_by_default(void **state)
{
    struct simnode sim;

    (void)state;
    open_node(&sim, 9, &(struct simnode_options){.limits = {.space_messages = 3, .space_message_bytes = 100000}});
    ask_space(&sim, CAIRN_OP_SPACE_SET, "blue", SPACE_MESSAGES, 5);
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < 3 && !again; i++)
            expect(&sim, "nil", "acme", ids[i], "send_after", "50000", "add", "c");
        expect(&sim, "!limit: " FULL, "acme", "d", "send_after", "50000", "add", "c");
        for (int i = 0; i < 5 && !again; i++)
            expect(&sim, "nil", "blue", ids[i], "send_after", "50000", "add", "c");
        expect(&sim, "!limit: the namespace blue has 5 messages", "blue", "d", "send_after", "50000", "add", "c");
        expect(&sim, "!limit: the namespace blue has", "blue", "a", "flood", "1", "b", "100000");
        simnode_crash(&sim, CAIRN_SIM_DROP);
        reopen(&sim);
    }
    ask_space(&sim, CAIRN_OP_SPACE_SET, "blue", SPACE_MESSAGES, 0); /* the node's again */
    expect(&sim, "!limit: the namespace blue has 5 messages that wait or are dead letters and may have 3", "blue", "d",
           "send", "c", NULL, NULL);
    simnode_done(&sim);
}

static void bytes_of_messages_have_limits(void **state)
{
    struct simnode sim;

    (void)state;
    open_with(&sim, 8, false);
    ask_space(&sim, CAIRN_OP_SPACE_SET, "acme", SPACE_MESSAGE_BYTES, 1000);
    expect(&sim, "!limit: the namespace acme has 0 bytes of messages", "acme", "a", "flood", "1", "b", "1000");
    expect(&sim, "nil", "acme", "a", "flood", "1", "b", "800");
    simnode_settle(&sim);
    ask_space(&sim, CAIRN_OP_SPACE_SET, "acme", SPACE_MESSAGE_BYTES, 0);
    ask_space(&sim, CAIRN_OP_SPACE_SET, "acme", SPACE_BYTES, 3000);
    expect(&sim, "!quota: the namespace acme has", "acme", "a", "flood", "3", "b", "1000");
    run(&sim, "acme", "Alarm", "a", "many", "1", "1000", NULL);
    for (int i = 0, refused = 0; i < 100 && !refused; i++) {
        char name[8];

        snprintf(name, sizeof name, "t%d", i);
        refused = strncmp(run(&sim, "acme", "Alarm", "a", "in", name, "100000000", "tick"), "!quota", 6) == 0;
        assert_true(refused || i < 99);
        assert_true(atomic_load(&space_of(&sim, "acme")->kept_bytes) <= 3000);
    }
    check_counts(&sim, "at the end");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_right),
        cmocka_unit_test(messages_have_a_limit),
        cmocka_unit_test(messages_have_a_limit_by_default),
        cmocka_unit_test(bytes_of_messages_have_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
