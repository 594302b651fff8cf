/* Catches: a key lost, doubled or mixed up by growth, removal or replacement in place; a snapshot
 * that differs from the state at its beginning in any byte, however the table was used, split
 * or emptied meanwhile; chunks that do not load back to the same state or that load although
 * they are damaged; an operation whose cost grows with the table; memory accounts that drift. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"
#include "engine/engine.h"

static bool get(struct cairn_engine *engine, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    return engine->view.ops->get(&engine->view, key, cairn_hash(key), ret_value);
}

static void put(struct cairn_engine *engine, struct cairn_bytes key, struct cairn_bytes value)
{
    engine->ops->put(engine, key, cairn_hash(key), value);
}

static void drop(struct cairn_engine *engine, struct cairn_bytes key)
{
    engine->ops->remove(engine, key, cairn_hash(key));
}

/* --- the model: key number n has the value drawn from its version, or is not there (0) ------------ */

enum { MODEL_KEYS = 4000, VALUE_MAX = 300 << 10 };

struct model {
    uint32_t versions[MODEL_KEYS];
};

static uint8_t value_memory[VALUE_MAX + 64];

static struct cairn_bytes model_key(uint32_t number, char memory[64])
{
    /* Lengths from 1 to about 40 bytes, all different. */
    int size =
        number < 200 ? (memory[0] = (char)number, 1) : snprintf(memory, 64, "key/%0*u", (int)(number % 32), number);

    return cairn_bytes(memory, (size_t)size);
}

/* Mostly short, some empty, some at the border to blobs, a few long. */
static struct cairn_bytes model_value(uint32_t number, uint32_t version)
{
    struct cairn_random random;
    uint64_t kind;
    size_t size;

    cairn_random_init(&random, (uint64_t)number << 32 | version);
    kind = cairn_random_below(&random, 1000);
    if (kind < 50)
        size = 0;
    else if (kind < 960)
        size = (size_t)cairn_random_below(&random, 120);
    else if (kind < 990)
        size = (size_t)cairn_random_below(&random, 5000);
    else if (kind < 995)
        size = (64 << 10) - 1 + (size_t)cairn_random_below(&random, 3);
    else
        size = (size_t)cairn_random_below(&random, VALUE_MAX);
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = cairn_random_u64(&random);
        memcpy(value_memory + at, &word, 8);
        if (at > 256)
            at += 1016; /* enough to tell them apart */
    }
    return cairn_bytes(value_memory, size);
}

static void assert_is_model(struct cairn_engine *engine, const struct model *model)
{
    struct cairn_engine_stats stats;
    uint64_t keys = 0, key_bytes = 0, value_bytes = 0;

    for (uint32_t n = 0; n < MODEL_KEYS; n++) {
        char memory[64];
        struct cairn_bytes key = model_key(n, memory), value, want;
        bool there = get(engine, key, &value);

        assert_int_equal(there, model->versions[n] != 0);
        if (!there)
            continue;
        memset(value_memory, 0, sizeof value_memory);
        want = model_value(n, model->versions[n]);
        assert_int_equal(value.size, want.size);
        if (value.size <= 300)
            assert_true(cairn_bytes_equal(value, want));
        else
            for (size_t at = 0; at + 8 <= value.size; at += at > 256 ? 1024 : 8)
                assert_memory_equal(value.data + at, want.data + at, 8);
        keys++;
        key_bytes += key.size;
        value_bytes += value.size;
    }
    engine->ops->stats(engine, &stats);
    assert_int_equal(stats.keys, keys);
    assert_int_equal(stats.key_bytes, key_bytes);
    assert_int_equal(stats.value_bytes, value_bytes);
}

static void change(struct cairn_engine *engine, struct model *model, struct cairn_random *random, uint32_t range)
{
    uint32_t number = (uint32_t)cairn_random_below(random, range);
    char memory[64];
    struct cairn_bytes key = model_key(number, memory);

    if (cairn_random_below(random, 3) == 0) {
        drop(engine, key);
        model->versions[number] = 0;
    } else {
        model->versions[number] = 1 + (uint32_t)cairn_random_below(random, 1000000);
        put(engine, key, model_value(number, model->versions[number]));
    }
}

static void operations_follow_the_model(void **state)
{
    struct cairn_engine *engine = cairn_memory_create();
    static struct model model;
    struct cairn_random random;

    (void)state;
    memset(&model, 0, sizeof model);
    cairn_random_init(&random, 11);
    for (int round = 0; round < 12; round++) {
        uint32_t range = round % 3 == 0 ? 50 : MODEL_KEYS;
        for (int i = 0; i < 4000; i++)
            change(engine, &model, &random, range);
        assert_is_model(engine, &model);
    }
    for (uint32_t n = 0; n < MODEL_KEYS; n++) {
        char memory[64];
        drop(engine, model_key(n, memory));
        model.versions[n] = 0;
    }
    assert_is_model(engine, &model);
    assert_null(engine->ops->close(engine)); /* asserts that its accounts are at zero */
}

static void load(struct cairn_engine *engine, struct cairn_bytes chunk)
{
    struct cairn_err err = {0};

    if (engine->snapshots->load_chunk(engine, chunk, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

/* The property: whatever happens between begin and the end of the walk, the chunks load back to
 * exactly what was there at begin. */
static void snapshot_is_the_state_at_begin(void **state)
{
    static struct model model, begun;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct cairn_engine *engine = cairn_memory_create();
        struct cairn_random random;
        uint64_t budget;

        cairn_random_init(&random, seed);
        memset(&model, 0, sizeof model);
        for (int cycle = 0; cycle < 3; cycle++) {
            struct cairn_engine *copy = cairn_memory_create();
            struct cairn_snapshot *snapshot;
            struct cairn_buf chunk = {0};
            uint64_t changes = cairn_random_below(&random, 3000), steps = 0;
            bool give_up = cairn_random_below(&random, 4) == 0, complete = false;

            for (uint64_t i = 0; i < changes; i++)
                change(engine, &model, &random, MODEL_KEYS);
            begun = model;
            budget = 1 + cairn_random_below(&random, 20000);
            snapshot = engine->snapshots->begin(engine);
            while (!complete && !(give_up && steps > 20)) {
                for (uint64_t i = cairn_random_below(&random, 60); i; i--)
                    change(engine, &model, &random, cairn_random_below(&random, 2) ? MODEL_KEYS : 300);
                complete = engine->snapshots->step(snapshot, budget);
                steps++;
                while (cairn_random_below(&random, 2) && engine->snapshots->take_chunk(snapshot, &chunk)) {
                    assert_in_range(chunk.size, 1, CAIRN_SNAPSHOT_CHUNK_BYTES);
                    load(copy, cairn_buf_bytes(&chunk));
                }
                if (engine->snapshots->pending(snapshot) > CAIRN_SNAPSHOT_PENDING_MAX)
                    while (engine->snapshots->take_chunk(snapshot, &chunk))
                        load(copy, cairn_buf_bytes(&chunk));
            }
            if (complete) {
                for (int i = 0; i < 50; i++)
                    change(engine, &model, &random, MODEL_KEYS);
                while (engine->snapshots->take_chunk(snapshot, &chunk))
                    load(copy, cairn_buf_bytes(&chunk));
                assert_int_equal(engine->snapshots->pending(snapshot), 0);
                assert_is_model(copy, &begun);
            }
            assert_null(engine->snapshots->end(snapshot));
            cairn_buf_done(&chunk);
            assert_is_model(engine, &model);
            copy->ops->close(copy);
        }
        engine->ops->close(engine);
    }
}

/* Generations wrap around: an entry that no walk has reached for that long is not taken for new. */
static void given_up_walks_never_lose_an_entry(void **state)
{
    struct cairn_engine *engine = cairn_memory_create();
    struct cairn_buf chunk = {0};

    (void)state;
    for (uint32_t n = 0; n < 100; n++)
        put(engine, cairn_bytes(&n, sizeof n), cairn_str("value"));
    for (uint32_t begun = 1; begun <= (1 << 14) + 4; begun++) {
        struct cairn_snapshot *snapshot = engine->snapshots->begin(engine);
        /* The first sees some entries and not the others; 2^14 generations later their marks
         * would be the current ones. */
        if (begun == 1)
            engine->snapshots->step(snapshot, 3000);
        if (begun >= (1 << 14) - 4) {
            struct cairn_engine *copy = cairn_memory_create();
            struct cairn_engine_stats stats;
            engine->snapshots->end(snapshot);
            snapshot = engine->snapshots->begin(engine);
            while (!engine->snapshots->step(snapshot, 1000000))
                ;
            while (engine->snapshots->take_chunk(snapshot, &chunk))
                load(copy, cairn_buf_bytes(&chunk));
            copy->ops->stats(copy, &stats);
            assert_int_equal(stats.keys, 100);
            copy->ops->close(copy);
        }
        engine->snapshots->end(snapshot);
    }
    cairn_buf_done(&chunk);
    engine->ops->close(engine);
}

static void marks_do_not_repeat(void **state)
{
    (void)state;
    /* Every count of given-up walks around the wrap, each followed by a whole one. */
    for (uint32_t count = (1 << 14) - 4; count <= (1 << 14) + 2; count++) {
        struct cairn_engine *engine = cairn_memory_create(), *copy = cairn_memory_create();
        struct cairn_engine_stats stats;
        struct cairn_snapshot *snapshot;
        struct cairn_buf chunk = {0};

        put(engine, cairn_str("old"), cairn_str("value"));
        for (uint32_t begun = 0; begun < count; begun++)
            engine->snapshots->end(engine->snapshots->begin(engine));
        snapshot = engine->snapshots->begin(engine);
        while (!engine->snapshots->step(snapshot, 1000000))
            ;
        while (engine->snapshots->take_chunk(snapshot, &chunk))
            load(copy, cairn_buf_bytes(&chunk));
        copy->ops->stats(copy, &stats);
        assert_int_equal(stats.keys, 1);
        engine->snapshots->end(snapshot);
        cairn_buf_done(&chunk);
        copy->ops->close(copy);
        engine->ops->close(engine);
    }
}

static void long_values_are_shared_and_bounded(void **state)
{
    enum { BYTES = 9 << 20 };
    struct cairn_engine *engine = cairn_memory_create(), *copy = cairn_memory_create();
    struct cairn_snapshot *snapshot;
    struct cairn_buf chunk = {0};
    uint8_t *value = cairn_alloc(BYTES);
    struct cairn_bytes got;
    size_t steps = 0;

    (void)state;
    memset(value, 'a', BYTES);
    value[BYTES - 1] = 'z';
    put(engine, cairn_str("long"), cairn_bytes(value, BYTES));
    put(engine, cairn_str("also"), cairn_bytes(value, BYTES));
    snapshot = engine->snapshots->begin(engine);
    assert_int_equal(engine->snapshots->pending(snapshot), 0);
    memset(value, 'b', BYTES);
    put(engine, cairn_str("long"), cairn_bytes(value, BYTES));
    /* Only the snapshot keeps the old one now: that counts, so that writers can be slowed. */
    assert_in_range(engine->snapshots->pending(snapshot), BYTES, BYTES + 1000);
    drop(engine, cairn_str("also"));
    assert_in_range(engine->snapshots->pending(snapshot), 2 * BYTES, 2 * BYTES + 1000);
    while (!engine->snapshots->step(snapshot, 100000)) {
        while (engine->snapshots->take_chunk(snapshot, &chunk)) {
            assert_in_range(chunk.size, 1, CAIRN_SNAPSHOT_CHUNK_BYTES);
            load(copy, cairn_buf_bytes(&chunk));
        }
        steps++;
    }
    assert_true(steps >= 2 * BYTES / 200000 - 1); /* no step copied more than its budget allows */
    while (engine->snapshots->take_chunk(snapshot, &chunk))
        load(copy, cairn_buf_bytes(&chunk));
    assert_int_equal(engine->snapshots->pending(snapshot), 0);
    engine->snapshots->end(snapshot);
    memset(value, 'a', BYTES);
    value[BYTES - 1] = 'z';
    assert_true(get(copy, cairn_str("long"), &got));
    assert_true(cairn_bytes_equal(got, cairn_bytes(value, BYTES)));
    assert_true(get(copy, cairn_str("also"), &got));
    assert_true(cairn_bytes_equal(got, cairn_bytes(value, BYTES)));
    assert_true(get(engine, cairn_str("long"), &got));
    assert_int_equal(got.data[BYTES - 1], 'b');
    assert_false(get(engine, cairn_str("also"), &got));
    cairn_buf_done(&chunk);
    free(value);
    copy->ops->close(copy);
    engine->ops->close(engine);
}

static void steps_stop_while_too_much_is_pending(void **state)
{
    struct cairn_engine *engine = cairn_memory_create();
    struct cairn_snapshot *snapshot;
    struct cairn_buf chunk = {0};
    static uint8_t value[60000];
    bool complete = false;

    (void)state;
    for (uint32_t n = 0; n < 400; n++)
        put(engine, cairn_bytes(&n, sizeof n), cairn_bytes(value, sizeof value));
    snapshot = engine->snapshots->begin(engine);
    for (int i = 0; i < 1000 && !complete; i++)
        complete = engine->snapshots->step(snapshot, 1000000);
    assert_false(complete);
    assert_in_range(engine->snapshots->pending(snapshot), CAIRN_SNAPSHOT_PENDING_MAX,
                    CAIRN_SNAPSHOT_PENDING_MAX + 2 * CAIRN_SNAPSHOT_CHUNK_BYTES);
    while (!engine->snapshots->step(snapshot, 1000000))
        assert_true(engine->snapshots->take_chunk(snapshot, &chunk));
    engine->snapshots->end(snapshot); /* with chunks untaken */
    cairn_buf_done(&chunk);
    engine->ops->close(engine);
}

static void largest_keys_and_values(void **state)
{
    struct cairn_engine *engine = cairn_memory_create(), *copy = cairn_memory_create();
    struct cairn_snapshot *snapshot;
    struct cairn_buf chunk = {0};
    uint8_t *bytes = cairn_alloc_zeroed(1, CAIRN_VALUE_BYTES_MAX);
    struct cairn_bytes key = cairn_bytes(bytes, CAIRN_SNAPSHOT_KEY_BYTES_MAX),
                       shorter = cairn_bytes(bytes, key.size - 1), got;

    (void)state;
    put(engine, key, cairn_bytes(bytes, 64 << 10));
    put(engine, shorter, cairn_bytes(bytes, CAIRN_VALUE_BYTES_MAX));
    put(engine, cairn_str("k"), cairn_bytes(NULL, 0));
    snapshot = engine->snapshots->begin(engine);
    while (!engine->snapshots->step(snapshot, 1000000))
        while (engine->snapshots->take_chunk(snapshot, &chunk))
            load(copy, cairn_buf_bytes(&chunk));
    while (engine->snapshots->take_chunk(snapshot, &chunk))
        load(copy, cairn_buf_bytes(&chunk));
    engine->snapshots->end(snapshot);
    assert_true(get(copy, key, &got));
    assert_int_equal(got.size, 64 << 10);
    assert_true(get(copy, shorter, &got));
    assert_int_equal(got.size, CAIRN_VALUE_BYTES_MAX);
    assert_true(get(copy, cairn_str("k"), &got));
    assert_int_equal(got.size, 0);
    cairn_buf_done(&chunk);
    free(bytes);
    copy->ops->close(copy);
    engine->ops->close(engine);
}

static void a_value_may_come_from_the_engine(void **state)
{
    struct cairn_engine *engine = cairn_memory_create();
    struct cairn_bytes value;

    (void)state;
    put(engine, cairn_str("a"), cairn_str("a value that is long enough to be moved elsewhere"));
    assert_true(get(engine, cairn_str("a"), &value));
    put(engine, cairn_str("a"), cairn_bytes(value.data + 2, 5)); /* another allocation */
    assert_true(get(engine, cairn_str("a"), &value));
    assert_memory_equal(value.data, "value", 5);
    put(engine, cairn_str("a"), cairn_bytes(value.data + 1, 4)); /* in place */
    assert_true(get(engine, cairn_str("a"), &value));
    assert_int_equal(value.size, 4);
    assert_memory_equal(value.data, "alue", 4);
    engine->ops->close(engine);
}

/* All keys of a shard agree in hash mod shards when placement hashes the same bytes. */
static void low_hash_bits_do_not_matter(void **state)
{
    struct cairn_engine *engine = cairn_memory_create();
    struct cairn_engine_stats stats;
    uint64_t keys = 0;

    (void)state;
    for (uint64_t n = 0; keys < 20000; n++) {
        struct cairn_bytes key = cairn_bytes(&n, sizeof n);
        if (cairn_hash(key) % 64 != 5)
            continue;
        put(engine, key, cairn_bytes(NULL, 0));
        keys++;
    }
    engine->ops->stats(engine, &stats);
    assert_int_equal(stats.keys, 20000);
    assert_true(stats.memory_bytes / stats.keys < 8 + 48); /* long chains would cost overflow buckets */
    engine->ops->close(engine);
}

static void same_hash_is_not_same_key(void **state)
{
    struct cairn_engine *engine = cairn_memory_create();
    struct cairn_bytes value;

    (void)state;
    for (uint32_t n = 0; n < 100; n++)
        engine->ops->put(engine, cairn_bytes(&n, 4), 77, cairn_bytes(&n, 4));
    for (uint32_t n = 0; n < 100; n += 2)
        engine->ops->remove(engine, cairn_bytes(&n, 4), 77);
    for (uint32_t n = 0; n < 100; n++) {
        assert_int_equal(engine->view.ops->get(&engine->view, cairn_bytes(&n, 4), 77, &value), n % 2);
        if (n % 2)
            assert_memory_equal(value.data, &n, 4);
    }
    engine->ops->close(engine);
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec at;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at), 0);
    return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

/* The longest of 200,000 inserts stays far below what a rehash of the table would take. */
static void growth_never_stalls(void **state)
{
    uint64_t best = UINT64_MAX;

    (void)state;
    /* Processor time, and the best of three runs: what else the machine does is not the engine's. */
    for (int run = 0; run < 3; run++) {
        struct cairn_engine *engine = cairn_memory_create();
        uint64_t worst = 0, last = thread_cpu_ns();
        for (uint64_t n = 0; n < 200000; n++) {
            uint64_t now;
            put(engine, cairn_bytes(&n, sizeof n), cairn_bytes(&n, sizeof n));
            now = thread_cpu_ns();
            worst = now - last > worst ? now - last : worst;
            last = now;
        }
        best = worst < best ? worst : best;
        engine->ops->close(engine);
    }
    assert_true(best < 2000000); /* 20 to 200 us were measured; rehashing 200,000 entries takes about 10 ms */
}

static void count_entry(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    uint64_t *sum = context;

    *sum += cairn_hash(key) * 31 + cairn_hash(value);
}

static void visit_sees_everything_once(void **state)
{
    struct cairn_engine *engine = cairn_memory_create();
    uint64_t want = 0, got = 0;

    (void)state;
    for (uint64_t n = 0; n < 5000; n++) {
        put(engine, cairn_bytes(&n, sizeof n), cairn_bytes(&n, n % 8));
        count_entry(&want, cairn_bytes(&n, sizeof n), cairn_bytes(&n, n % 8));
    }
    engine->view.ops->visit(&engine->view, count_entry, &got);
    assert_int_equal(got, want);
    engine->ops->close(engine);
}

/* A leak, or what is freed twice, is for the sanitizers to find. */
static void closed_bit_by_bit(void **state)
{
    enum { KEYS = 20000 };
    static uint8_t large[100000];

    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        struct cairn_engine *engine = cairn_memory_create();
        unsigned calls = 1;

        for (uint64_t i = 0; i < KEYS; i++) {
            struct cairn_bytes key = cairn_bytes(&i, sizeof i);

            engine->ops->put(engine, key, cairn_hash(key), cairn_bytes(large, i % 1000 ? 8 : sizeof large));
        }
        while ((!stopped || calls < 100) && !cairn_memory_close_some(engine))
            calls++;
        if (stopped)
            engine->ops->close(engine);
        else
            assert_in_range(calls, KEYS / 10, KEYS); /* each does little */
    }
}

static void malformed_chunks_are_refused(void **state)
{
    static const struct {
        const char *label, *chunk;
        size_t size;
    } rows[] = {
        {"empty key", "\0\0", 2},
        {"no value", "\1k", 2},
        {"key past the end", "\5k", 2},
        {"value past the end", "\1k\4abc", 6},
        {"key twice", "\1k\1a\1k\1b", 8},
        {"varint too long", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
        {"value over 64 MiB", "\1k\x81\x80\x80\x20", 6},
        {"slice that does not start", "\1k\x81\x80\x04\1\1x", 8},
        {"empty slice", "\1k\x81\x80\x04\0\0", 7},
        {"slice beyond its value", "\1k\x81\x80\x04\x81\x80\x04\1x", 10},
        {"slice past the end", "\1k\x81\x80\x04\0\2x", 8},
        {"slice of another key", "\1k\x81\x80\x04\0\1x\1j\x81\x80\x04\1\1x", 16},
        {"slice with a hole", "\1k\x81\x80\x04\0\1x\1k\x81\x80\x04\2\1x", 16},
        {"slice of another length", "\1k\x81\x80\x04\0\1x\1k\x82\x80\x04\1\1x", 16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cairn_engine *engine = cairn_memory_create();
        struct cairn_err err = {0};
        if (engine->snapshots->load_chunk(engine, cairn_bytes(rows[i].chunk, rows[i].size), &err) != CAIRN_ECORRUPT)
            fail_msg("%s: taken", rows[i].label);
        assert_int_equal(err.code, CAIRN_ECORRUPT);
        assert_non_null(strstr(err.text, " while reading the item at byte "));
        engine->ops->close(engine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_follow_the_model),
        cmocka_unit_test(snapshot_is_the_state_at_begin),
        cmocka_unit_test(given_up_walks_never_lose_an_entry),
        cmocka_unit_test(marks_do_not_repeat),
        cmocka_unit_test(long_values_are_shared_and_bounded),
        cmocka_unit_test(steps_stop_while_too_much_is_pending),
        cmocka_unit_test(largest_keys_and_values),
        cmocka_unit_test(a_value_may_come_from_the_engine),
        cmocka_unit_test(low_hash_bits_do_not_matter),
        cmocka_unit_test(same_hash_is_not_same_key),
        cmocka_unit_test(growth_never_stalls),
        cmocka_unit_test(visit_sees_everything_once),
        cmocka_unit_test(closed_bit_by_bit),
        cmocka_unit_test(malformed_chunks_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
