/* Would catch: numbers of objects and bytes of a namespace that are not those of what lies in the engine, after writes,
 * failures, deletions, restores of objects, transactions, crashes; numbers that are left when all is gone; a limit that
 * lets more through, leaves something of what it refuses, stands in the way of what makes it less, or of another
 * namespace; instances that are counted and not given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "object/header.h"
#include "object/layout.h"
#include "object/quota.h"
#include "object/type.h"
#include "object/worker.h"
#include "support/simnode.h"

enum { OBJECTS = 6 };

static const char *const ids[OBJECTS] = {"a", "b", "c", "d", "e", "f"};

static void reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void ask_space(struct simnode *sim, enum cairn_op op, enum space_limit limit, uint64_t value)
{
    struct cairn_buf limits = {0};
    struct simcall call;

    cairn_buf_u8(&limits, (uint8_t)limit);
    cairn_buf_varint(&limits, value);
    simcall_init(&call, op, NULL, NULL, NULL, NULL);
    call.request.name = cairn_str("acme");
    call.request.body = cairn_buf_bytes(&limits);
    simcall_run(sim, &call);
    if (call.reply.data[0] != CAIRN_VALUE_LIST)
        fail_msg("%s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    cairn_buf_done(&limits);
}

static struct space *acme_of(struct simnode *sim)
{
    return cairn_node_space(sim->node, cairn_str("acme"));
}

static void deploy(struct simnode *sim, const char *module)
{
    struct cairn_buf wasm = {0};
    struct simcall call;

    simnode_wasm(module, &wasm);
    simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
    call.request.space = acme_of(sim);
    call.request.body = cairn_buf_bytes(&wasm);
    simcall_run(sim, &call);
    assert_int_equal(call.reply.data[0], CAIRN_VALUE_LIST);
    simcall_done(&call);
    cairn_buf_done(&wasm);
}

static void open_with(struct simnode *sim, uint64_t seed, const char *engine)
{
    simnode_init(sim, seed, &(struct simnode_options){.engine = engine});
    reopen(sim);
    ask_space(sim, CAIRN_OP_SPACE_CREATE, SPACE_OBJECTS, 0);
    deploy(sim, "probe");
}

/* What it answers; valid until the next. */
static const char *run(struct simnode *sim, const char *id, const char *method, const char *a, const char *b)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, CAIRN_OP_INVOKE, "Probe", id, method, a, b, NULL);
    call.request.space = acme_of(sim);
    simcall_run(sim, &call);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    simcall_done(&call);
    return text;
}

static const char *ask(struct simnode *sim, enum cairn_op op, const char *id, uint64_t number)
{
    struct simcall call;
    const char *text;

    simcall_init(&call, op, op == CAIRN_OP_SNAPSHOT ? NULL : "Probe", id, NULL, NULL);
    call.request.space = acme_of(sim);
    call.request.number = number;
    simcall_run(sim, &call);
    text = simvalue_text(cairn_buf_bytes(&call.reply));
    simcall_done(&call);
    return text;
}

/* --- what lies in the engine --- */

static int64_t at_key(struct cairn_view *engine, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    return engine->ops->get(engine, key, cairn_hash(key), ret_value) ? (int64_t)(key.size + ret_value->size) : 0;
}

static int64_t count_container(struct cairn_view *engine, uint64_t incarnation, const struct container *c)
{
    int64_t sum = 0;

    for (uint64_t n = 0; n < c->count; n++) {
        uint8_t key[FIELD_KEY_FIXED_MAX], entry[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX], name[MAP_KEY_BYTES_MAX];
        struct cairn_bytes value, k;
        int64_t place = at_key(engine, cairn_bytes(key, key_map_place(key, incarnation, c->field, n)), &k);

        if (place) {
            memcpy(name, k.data, k.size);
            sum += place +
                   at_key(engine,
                          cairn_bytes(entry, key_map_entry(entry, incarnation, c->field, cairn_bytes(name, k.size))),
                          &value);
        } else {
            sum += at_key(engine, cairn_bytes(key, key_list_entry(key, incarnation, c->field, c->first + n)), &value);
        }
    }
    return sum;
}

static void check_counts(struct simnode *sim, const char *label)
{
    struct space *space = acme_of(sim);
    int64_t objects = 0, bytes = 0;

    simnode_settle(sim);
    for (int i = 0; i < OBJECTS; i++) {
        uint32_t index = node_shard_of(sim->node, space, cairn_str(ids[i]));
        struct cairn_worker *worker = cairn_node_worker(sim->node, node_owner(sim->node, index));
        struct cairn_view *engine = worker->shards[index].engine;
        const struct type *type = type_find(worker, space, cairn_str("Probe"));
        struct container containers[16];
        struct header header = {.containers = containers, .room = 16};
        uint8_t key[64];
        struct cairn_bytes value;
        int64_t size = at_key(engine, cairn_bytes(key, key_header(key, type->number, cairn_str(ids[i]))), &value);

        if (!size)
            continue;
        assert_true(header_decode(value, &header));
        objects++;
        bytes += size;
        for (uint32_t c = 0; c < header.count; c++)
            bytes += count_container(engine, header.incarnation, &containers[c]);
        for (uint32_t v = 0; v < type->value_count; v++)
            bytes += at_key(engine, cairn_bytes(key, key_field(key, header.incarnation, type->values[v])), &value);
    }
    if (atomic_load(&space->kept_objects) != objects || atomic_load(&space->kept_bytes) != bytes)
        fail_msg("%s: %lld objects of %lld bytes are counted, %lld of %lld are there", label,
                 (long long)atomic_load(&space->kept_objects), (long long)atomic_load(&space->kept_bytes),
                 (long long)objects, (long long)bytes);
}

/* --- cases --- */

static void one_step(struct simnode *sim, struct cairn_random *random, uint64_t *version)
{
    static const char *const words[] = {"", "x", "a longer word", "the longest of all the words that are written"};
    const char *id = ids[cairn_random_below(random, OBJECTS)], *word = words[cairn_random_below(random, 4)];
    const char *other = ids[cairn_random_below(random, OBJECTS)];

    switch (cairn_random_below(random, 14)) {
    case 0:
        run(sim, id, "set", word, NULL);
        break;
    case 1:
        run(sim, id, "clear", NULL, NULL);
        break;
    case 2:
    case 3:
        run(sim, id, "push", word, word);
        break;
    case 4:
        run(sim, id, "drop", "1", "1");
        break;
    case 5:
        run(sim, id, "replace", "0", word);
        break;
    case 6:
    case 7:
        run(sim, id, "map_set", other, word);
        break;
    case 8:
        run(sim, id, "map_remove", other, NULL);
        break;
    case 9:
        run(sim, id, cairn_random_below(random, 2) ? "add_then_fail" : "add_then_trap", NULL, NULL);
        break;
    case 10:
        run(sim, id, "remove_and_set", word, NULL);
        break;
    case 11:
        run(sim, id, "add_and_fan", "add", other);
        break;
    case 12:
        if (cairn_random_below(random, 2))
            ask(sim, CAIRN_OP_DELETE, id, 0);
        else
            run(sim, id, "remove", NULL, NULL);
        break;
    case 13:
        if (sim->options.engine[0] == 'm')
            break;
        if (*version)
            ask(sim, CAIRN_OP_RESTORE, id, *version);
        else
            *version = strcmp(ask(sim, CAIRN_OP_SNAPSHOT, NULL, 0), "1") == 0;
        break;
    }
}

static void counts_are_right(void **state)
{
    static const char *const engines[] = {"memory", "hybridlog"};

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct cairn_random random;
        struct simnode sim;
        uint64_t version = 0;

        cairn_random_init(&random, seed);
        open_with(&sim, seed, engines[seed % 2]);
        for (int n = 1; n <= 200; n++) {
            char label[48];

            one_step(&sim, &random, &version);
            snprintf(label, sizeof label, "seed %d, step %d", (int)seed, n);
            if (n % 8 == 0)
                check_counts(&sim, label);
            if (n % 40 == 0) {
                simnode_crash(&sim, CAIRN_SIM_DROP);
                reopen(&sim);
                check_counts(&sim, "after a crash");
            }
        }
        for (int i = 0; i < OBJECTS; i++)
            ask(&sim, CAIRN_OP_DELETE, ids[i], 0);
        check_counts(&sim, "at the end");
        assert_int_equal(atomic_load(&acme_of(&sim)->kept_bytes), 0);
        simnode_crash(&sim, CAIRN_SIM_DROP);
        reopen(&sim);
        simnode_settle(&sim); /* what was purged may be on its way to the disk */
        assert_int_equal(atomic_load(&acme_of(&sim)->kept_objects), 0);
        assert_int_equal(atomic_load(&acme_of(&sim)->kept_bytes), 0);
        simnode_done(&sim);
    }
}

static void expect(struct simnode *sim, const char *want, const char *id, const char *method, const char *a,
                   const char *b)
{
    const char *got = run(sim, id, method, a, b);

    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("%s.%s: %s, not %s", id, method, got, want);
}

static void objects_have_a_limit(void **state)
{
    struct simnode sim;

    (void)state;
    open_with(&sim, 3, "memory");
    ask_space(&sim, CAIRN_OP_SPACE_SET, SPACE_OBJECTS, 2);
    expect(&sim, "1", "a", "add", NULL, NULL);
    expect(&sim, "1", "b", "add", NULL, NULL);
    expect(&sim, "!quota: the namespace acme has 2 objects and may have 2 (objects)", "c", "add", NULL, NULL);
    expect(&sim, "0", "c", "count", NULL, NULL);
    check_counts(&sim, "refused");
    expect(&sim, "2", "a", "add", NULL, NULL);
    simnode_crash(&sim, CAIRN_SIM_DROP);
    reopen(&sim);
    expect(&sim, "!quota", "c", "add", NULL, NULL);
    expect(&sim, "[!quota", "a", "fan", "add", "c"); /* a call, too */
    assert_string_equal(ask(&sim, CAIRN_OP_DELETE, "b", 0), "1");
    expect(&sim, "1", "c", "add", NULL, NULL);
    simnode_deploy(&sim, "probe"); /* others have no part in it */
    for (int i = 0; i < OBJECTS; i++)
        simnode_expect(&sim, "1", "Probe", ids[i], "add", NULL);
    check_counts(&sim, "at the end");
    simnode_done(&sim);
}

static void bytes_have_a_limit(void **state)
{
    struct simnode sim;
    char word[200];

    (void)state;
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = 0;
    open_with(&sim, 4, "hybridlog");
    ask_space(&sim, CAIRN_OP_SPACE_SET, SPACE_BYTES, 1000);
    for (int n = 0; n < 20; n++) {
        const char *got = run(&sim, "a", "push", word, NULL);

        assert_true(atomic_load(&acme_of(&sim)->kept_bytes) <= 1000);
        if (n < 4 ? got[0] == '!' : strncmp(got, "!quota: the namespace acme has", 30) != 0)
            fail_msg("push %d: %s", n, got);
    }
    check_counts(&sim, "refused");
    expect(&sim, "2", "a", "drop", "2", "0"); /* it makes it less */
    expect(&sim, "3", "a", "push", word, NULL);
    ask_space(&sim, CAIRN_OP_SPACE_SET, SPACE_BYTES, 300); /* below what there is */
    expect(&sim, "!quota", "a", "push", "x", NULL);
    expect(&sim, "1", "a", "drop", "1", "0");
    expect(&sim, "!quota", "a", "push", "x", NULL);
    ask_space(&sim, CAIRN_OP_SPACE_SET, SPACE_BYTES, 0);
    expect(&sim, "3", "a", "push", "x", NULL);
    check_counts(&sim, "at the end");
    simnode_done(&sim);
}

static void instances_have_a_limit(void **state)
{
    struct simcall calls[3];
    struct space_usage usage;
    struct simnode sim;
    int refused = 0;

    (void)state;
    open_with(&sim, 5, "memory");
    ask_space(&sim, CAIRN_OP_SPACE_SET, SPACE_INSTANCES, 2);
    expect(&sim, "[1]", "a", "fan", "add", "b");
    expect(&sim, "!quota: the namespace acme holds the 2 function instances", "a", "chain", "b", "c");
    for (int i = 0; i < 3; i++) {
        simcall_init(&calls[i], CAIRN_OP_INVOKE, "Probe", ids[i], "spin", NULL);
        calls[i].request.space = acme_of(&sim);
        simcall_submit(&sim, &calls[i], 0);
    }
    for (int i = 0; i < 3; i++) {
        while (!calls[i].replied)
            simnode_step(&sim);
        refused += strncmp(simvalue_text(cairn_buf_bytes(&calls[i].reply)), "!quota", 6) == 0;
        if (calls[i].request.retry_ms)
            assert_int_equal(calls[i].request.retry_ms, 100);
        simcall_done(&calls[i]);
    }
    assert_int_equal(refused, 1);
    quota_usage(acme_of(&sim), sim.options.workers, &usage);
    assert_int_equal(usage.instances, 0);
    expect(&sim, "[3]", "a", "fan", "add", "b");
    simnode_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_right),
        cmocka_unit_test(objects_have_a_limit),
        cmocka_unit_test(bytes_have_a_limit),
        cmocka_unit_test(instances_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
