/* engine_micro.c - what single operations of the memory engine cost: get, put, memory per key,
 * the longest put while the table grows, and the longest operation while a snapshot of
 * everything is walked in steps between them.
 *
 *   bench_engine_micro [KEYS]      (default 1,000,000) */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"
#include "engine/engine.h"
#include "io/clock.h"

enum { VALUE_BYTES = 100, STEP_NS = 200000 };

static struct cairn_clock *the_clock;

static uint64_t now(void)
{
    return the_clock->monotonic_ns(the_clock);
}

struct key {
    char text[32];
    size_t size;
    uint64_t hash;
};

static struct key key_of(uint64_t number)
{
    struct key key;

    key.size = (size_t)snprintf(key.text, sizeof key.text, "o%019" PRIu64, number);
    key.hash = cairn_hash(cairn_bytes(key.text, key.size));
    return key;
}

static struct cairn_bytes bytes_of(const struct key *key)
{
    return cairn_bytes(key->text, key->size);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Gets over a prepared list of keys, which are hashed beforehand: the engine alone. */
static double get_ns(struct cairn_engine *engine, uint64_t keys, uint64_t range)
{
    enum { LIST = 1 << 16, ROUNDS = 16 };
    struct key *list = cairn_alloc(LIST * sizeof *list);
    struct cairn_random random;
    uint64_t sum = 0, start;
    double ns;

    cairn_random_init(&random, 5);
    for (size_t i = 0; i < LIST; i++)
        list[i] = key_of(cairn_random_below(&random, range) * (keys / range));
    start = now();
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < LIST; i++) {
            struct cairn_bytes value;
            if (engine->view.ops->get(&engine->view, bytes_of(&list[i]), list[i].hash, &value))
                sum += value.data[0];
        }
    ns = (double)(now() - start) / (LIST * (double)ROUNDS);
    free(list);
    return sum == 1 ? 0 : ns;
}

static double put_ns(struct cairn_engine *engine, uint64_t keys, uint64_t range, size_t bytes)
{
    enum { LIST = 1 << 16, ROUNDS = 8 };
    struct key *list = cairn_alloc(LIST * sizeof *list);
    struct cairn_random random;
    static uint8_t value[4096];
    uint64_t start;
    double ns;

    cairn_random_init(&random, 6);
    for (size_t i = 0; i < LIST; i++)
        list[i] = key_of(cairn_random_below(&random, range) * (keys / range));
    start = now();
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < LIST; i++)
            engine->ops->put(engine, bytes_of(&list[i]), list[i].hash, cairn_bytes(value, bytes));
    ns = (double)(now() - start) / (LIST * (double)ROUNDS);
    free(list);
    return ns;
}

static void grow(struct cairn_engine *engine, uint64_t keys)
{
    static const uint8_t value[VALUE_BYTES];
    struct cairn_engine_stats stats;
    uint64_t *took = cairn_alloc((size_t)keys * sizeof *took), total = 0;
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, used;

    for (uint64_t n = 0; n < keys; n++) {
        struct key key = key_of(n);
        uint64_t start = now();
        engine->ops->put(engine, bytes_of(&key), key.hash, cairn_bytes(value, VALUE_BYTES));
        total += took[n] = now() - start;
    }
    used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    engine->ops->stats(engine, &stats);
    qsort(took, (size_t)keys, sizeof *took, by_size);
    printf("insert                     %7.1f ns   p99.9 %.1f us, longest %.1f us\n", (double)total / (double)keys,
           (double)took[keys - keys / 1000] / 1000, (double)took[keys - 1] / 1000);
    printf("memory per key over data   %7.1f bytes by the engine's count, %.1f by the allocator's\n",
           (double)(stats.memory_bytes - stats.key_bytes - stats.value_bytes) / (double)keys,
           (double)(used - stats.key_bytes - stats.value_bytes) / (double)keys);
    free(took);
}

static void walk(struct cairn_engine *engine, uint64_t keys)
{
    struct cairn_snapshot *snapshot = engine->snapshots->begin(engine);
    static const uint8_t value[VALUE_BYTES];
    uint64_t worst_put = 0, worst_step = 0, worst_take = 0, bytes = 0, puts = 0, steps = 0, start = now();
    struct cairn_buf chunk = {0};
    struct cairn_random random;
    bool complete = false;

    cairn_random_init(&random, 7);
    while (!complete) {
        uint64_t at = now(), took;
        complete = engine->snapshots->step(snapshot, STEP_NS);
        took = now() - at;
        worst_step = took > worst_step ? took : worst_step;
        steps++;
        for (int i = 0; i < 100; i++) { /* half of them change an old key, half are new */
            struct key key = key_of(cairn_random_below(&random, 2 * keys));
            at = now();
            engine->ops->put(engine, bytes_of(&key), key.hash, cairn_bytes(value, VALUE_BYTES - (size_t)(i % 8)));
            took = now() - at;
            worst_put = took > worst_put ? took : worst_put;
            puts++;
        }
        at = now();
        while (engine->snapshots->take_chunk(snapshot, &chunk))
            bytes += chunk.size;
        took = now() - at;
        worst_take = took > worst_take ? took : worst_take;
    }
    engine->snapshots->end(snapshot);
    cairn_buf_done(&chunk);
    printf("snapshot of %" PRIu64 " keys: %.1f MB in %" PRIu64 " steps of %d us, %" PRIu64 " puts between, %.0f ms\n",
           keys, (double)bytes / 1e6, steps, STEP_NS / 1000, puts, (double)(now() - start) / 1e6);
    printf("  longest step             %7.1f us\n", (double)worst_step / 1000);
    printf("  longest put              %7.1f us\n", (double)worst_put / 1000);
    printf("  longest taking of chunks %7.1f us\n", (double)worst_take / 1000);
}

int main(int argc, char **argv)
{
    uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    struct cairn_engine *engine = cairn_memory_create();
    uint64_t start;

    the_clock = cairn_clock_system();
    if (keys < 2000) {
        fprintf(stderr, "usage: %s [KEYS], at least 2000\n", argv[0]);
        return 2;
    }
    printf("memory engine, %" PRIu64 " keys of 20 bytes, values of %d\n", keys, VALUE_BYTES);
    grow(engine, keys);
    printf("get, 1000 hot keys         %7.1f ns\n", get_ns(engine, keys, 1000));
    printf("get, any key               %7.1f ns\n", get_ns(engine, keys, keys));
    printf("put, 1000 hot, in place    %7.1f ns\n", put_ns(engine, keys, 1000, VALUE_BYTES));
    printf("put, any, in place         %7.1f ns\n", put_ns(engine, keys, keys, VALUE_BYTES));
    printf("put, 1000 hot, moved       %7.1f ns\n",
           (put_ns(engine, keys, 1000, VALUE_BYTES + 200) + put_ns(engine, keys, 1000, VALUE_BYTES)) / 2);
    walk(engine, keys);
    start = now();
    engine->ops->close(engine);
    printf("close                      %7.1f ms\n", (double)(now() - start) / 1e6);
    return 0;
}
