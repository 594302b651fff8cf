/* ordered_micro.c - an ordered map beside a map's two keys, over the memory engine, without a node: what of an
 * invocation's time is the map's own.
 *
 *   bench_ordered_micro [ENTRIES]
 *
 * 16-byte random keys and values.  Each figure is the least mean of many short stretches, which others on the machine
 * disturb little.  Output is a line for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "engine/engine.h"
#include "object/ordered.h"

enum { STRETCH = 20, STRETCHES = 2000, RANGE = 100 };

static struct cairn_engine *engine;
static struct overlay overlay;
static struct cairn_random dice;
static struct ordered map;
static uint64_t entries, written, logged;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct cairn_bytes random_key(uint8_t to[16])
{
    cairn_put_u64(to, cairn_random_u64(&dice));
    cairn_put_u64(to + 8, cairn_random_u64(&dice));
    return cairn_bytes(to, 16);
}

static void commit(void)
{
    for (uint32_t i = 0; i < overlay.count; i++) {
        const struct cairn_write *w = &overlay.writes[i];
        logged += w->key.size + w->value.size;
        engine->ops->put(engine, w->key, w->hash, w->value);
    }
    written += overlay.count;
    overlay_reset(&overlay, &engine->view);
}

static void insert(void)
{
    uint8_t key[16];

    ordered_put(&map, random_key(key), cairn_str("sixteen bytes ok"));
    commit();
    entries++;
}

/* As host_map_set: the entry and its place. */
static void map_set(void)
{
    uint8_t bytes[16], entry[FIELD_KEY_FIXED_MAX + 16], place[FIELD_KEY_FIXED_MAX], value[32];
    struct cairn_bytes key = random_key(bytes), old;
    struct cairn_bytes k = cairn_bytes(entry, key_map_entry(entry, 2, 1, key));
    size_t n = cairn_put_varint(value, entries);

    overlay_get(&overlay, k, &old);
    overlay_put(&overlay, cairn_bytes(place, key_map_place(place, 2, 1, entries++)), key);
    memcpy(value + n, "sixteen bytes ok", 16);
    overlay_put(&overlay, k, cairn_bytes(value, n + 16));
    commit();
}

struct sum {
    struct cairn_taker taker;
    uint8_t bytes[RANGE * 64];
    size_t n;
    uint32_t count;
};

static bool take(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct sum *sum = (struct sum *)taker;

    memcpy(sum->bytes + sum->n, key.data, key.size);
    memcpy(sum->bytes + sum->n + key.size, value.data, value.size);
    sum->n += key.size + value.size;
    sum->count++;
    return true;
}

static void range(void)
{
    static struct sum sum;
    uint8_t key[16];
    struct cairn_range from = {.low = random_key(key), .no_high = true};

    sum.n = sum.count = 0;
    sum.taker = (struct cairn_taker){.take = take, .want = RANGE};
    ordered_read(&map, &from, &sum.taker);
    overlay_reset(&overlay, &engine->view);
}

static void rank(void)
{
    uint8_t key[16];

    tree_rank(&map.tree, random_key(key), false);
    overlay_reset(&overlay, &engine->view);
}

static void tell(const char *name, void (*each)(void))
{
    uint64_t best = UINT64_MAX, keys = written, bytes = logged;

    for (int i = 0; i < STRETCHES; i++) {
        uint64_t start = now_ns(), ns;

        for (int k = 0; k < STRETCH; k++)
            each();
        ns = now_ns() - start;
        best = ns < best ? ns : best;
    }
    printf("%-12s %8.3f us, %5.2f keys and %6.1f bytes written\n", name, (double)best / STRETCH / 1e3,
           (double)(written - keys) / STRETCH / STRETCHES, (double)(logged - bytes) / STRETCH / STRETCHES);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;

    engine = cairn_memory_create();
    cairn_random_init(&dice, 1);
    overlay_reset(&overlay, &engine->view);
    ordered_init(&map, &overlay, 1, 1);
    for (uint64_t i = 0; i < count; i++)
        map_set();
    tell("map set", map_set);
    entries = 0;
    for (uint64_t i = 0; i < count; i++)
        insert();
    tell("insert", insert);
    tell("range of 100", range);
    tell("rank", rank);
    return 0;
}
