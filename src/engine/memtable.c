/* memtable.c - a front that is a hash table, sealed as a whole: the memory engine's table, whose values have a byte in
 * front, so that it can hold tombstones. */
#include <assert.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/front.h"

enum {
    BATCHES_WAITING = 2, /* with so many a full table waits */
    BATCHES_MAX = BATCHES_WAITING + 2,
    OVERHEAD_BYTES = 40, /* of a key, in the table */
    GENERATIONS = 2,
    LEAVING_MAX = 8,
};

enum { TOMBSTONE, VALUE }; /* the byte in front */

/* A batch is a table. */
struct memtable {
    struct front base;
    struct memtable_options options;
    struct cairn_engine *active;
    struct cairn_engine *batches[BATCHES_MAX]; /* oldest first */
    size_t batch_count;
    /* What was read from runs and not changed since: the young, and those of before, who become young again when they
     * are asked for.  When the young have half the room the old ones go. */
    struct cairn_engine *kept[GENERATIONS];
    struct cairn_engine *leaving[LEAVING_MAX]; /* no longer asked: each put gives some of their memory back */
    size_t leaving_count;
    struct cairn_buf scratch;
};

static struct memtable *memtable_of(struct front *front)
{
    return (struct memtable *)(void *)front; /* its first member */
}

static const struct memtable *const_memtable_of(const struct front *front)
{
    return (const struct memtable *)(const void *)front;
}

static struct cairn_engine *table_of(const struct front_batch *batch)
{
    return (struct cairn_engine *)(uintptr_t)batch; /* nobody changes a batch */
}

static void leave(struct memtable *memtable, struct cairn_engine *table)
{
    if (memtable->leaving_count == LEAVING_MAX) {
        struct cairn_engine *last = memtable->leaving[--memtable->leaving_count];

        last->ops->close(last);
    }
    memtable->leaving[memtable->leaving_count++] = table;
}

/* Faster than tables fill. */
static void leave_some(struct memtable *memtable)
{
    if (memtable->leaving_count && cairn_memory_close_some(memtable->leaving[memtable->leaving_count - 1]))
        memtable->leaving_count--;
}

static uint64_t table_bytes(struct cairn_engine *table)
{
    struct cairn_engine_stats stats;

    table->ops->stats(table, &stats);
    return stats.key_bytes + stats.value_bytes + stats.keys * OVERHEAD_BYTES;
}

static struct cairn_bytes value_in(struct cairn_bytes stored)
{
    return stored.data[0] == VALUE ? cairn_bytes(stored.data + 1, stored.size - 1) : run_tombstone();
}

/* The value with its byte in front, in the scratch buffer. */
static struct cairn_bytes stored_as(struct memtable *memtable, struct cairn_bytes value)
{
    struct cairn_buf *scratch = &memtable->scratch;

    scratch->size = 0;
    cairn_buf_u8(scratch, run_is_tombstone(value) ? TOMBSTONE : VALUE);
    if (!run_is_tombstone(value))
        cairn_buf_add(scratch, value.data, value.size);
    return cairn_buf_bytes(scratch);
}

static void keep_stored(struct memtable *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes stored)
{
    struct cairn_engine **kept = memtable->kept;

    if (table_bytes(kept[0]) >= memtable->options.keep_bytes / GENERATIONS) {
        leave(memtable, kept[1]);
        kept[1] = kept[0];
        kept[0] = cairn_memory_create();
    }
    kept[0]->ops->put(kept[0], key, hash, stored);
    leave_some(memtable);
}

static bool get_kept(struct memtable *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_stored)
{
    struct cairn_engine **kept = memtable->kept;

    if (!memtable->options.keep_bytes)
        return false;
    if (kept[0]->ops->get(kept[0], key, hash, ret_stored))
        return true;
    if (!kept[1]->ops->get(kept[1], key, hash, ret_stored))
        return false;
    *ret_stored = stored_as(memtable, value_in(*ret_stored)); /* its generation may end now */
    keep_stored(memtable, key, hash, *ret_stored);
    return true;
}

static bool memtable_get(struct front *front, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct memtable *memtable = memtable_of(front);
    struct cairn_bytes stored;
    bool found = memtable->active->ops->get(memtable->active, key, hash, &stored);

    for (size_t i = memtable->batch_count; !found && i-- > 0;)
        found = memtable->batches[i]->ops->get(memtable->batches[i], key, hash, &stored);
    found = found || get_kept(memtable, key, hash, &stored);
    if (found)
        *ret_value = value_in(stored);
    return found;
}

static void memtable_prefetch(const struct front *front, uint64_t hash, int depth)
{
    const struct memtable *memtable = const_memtable_of(front);

    memtable->active->ops->prefetch(memtable->active, hash, depth);
}

static void memtable_put(struct front *front, const struct run_record *record)
{
    struct memtable *memtable = memtable_of(front);

    for (size_t i = 0; memtable->options.keep_bytes && i < GENERATIONS; i++)
        memtable->kept[i]->ops->remove(memtable->kept[i], record->key, record->hash);
    if (memtable->options.whole && run_is_tombstone(record->value)) {
        memtable->active->ops->remove(memtable->active, record->key, record->hash);
        return;
    }
    memtable->active->ops->put(memtable->active, record->key, record->hash, stored_as(memtable, record->value));
    leave_some(memtable);
}

static void memtable_keep(struct front *front, const struct run_record *record)
{
    struct memtable *memtable = memtable_of(front);

    if (memtable->options.keep_bytes)
        keep_stored(memtable, record->key, record->hash, stored_as(memtable, record->value));
}

static enum front_pressure memtable_pressure(const struct front *front)
{
    const struct memtable *memtable = const_memtable_of(front);

    if (memtable->options.whole || table_bytes(memtable->active) < memtable->options.limit_bytes)
        return FRONT_EASY;
    return memtable->batch_count < BATCHES_WAITING ? FRONT_SEAL : FRONT_FULL;
}

static bool memtable_seal(struct front *front, bool all)
{
    struct memtable *memtable = memtable_of(front);

    if (memtable->options.whole || table_bytes(memtable->active) == 0 ||
        (!all && memtable->batch_count >= BATCHES_WAITING))
        return false;
    assert(memtable->batch_count < BATCHES_MAX);
    memtable->batches[memtable->batch_count++] = memtable->active;
    memtable->active = cairn_memory_create();
    return true;
}

static const struct front_batch *memtable_batch(const struct front *front)
{
    const struct memtable *memtable = const_memtable_of(front);

    return memtable->batch_count ? (const struct front_batch *)(const void *)memtable->batches[0] : NULL;
}

static size_t memtable_batch_count(const struct front *front)
{
    return const_memtable_of(front)->batch_count;
}

struct listing {
    struct run_record *records;
    size_t count, capacity;
};

static void take_record(void *context, struct cairn_bytes key, struct cairn_bytes stored)
{
    struct listing *listing = context;

    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? listing->capacity * 2 : 64;
        listing->records = cairn_realloc(listing->records, listing->capacity * sizeof *listing->records);
    }
    listing->records[listing->count++] = (struct run_record){cairn_hash(key), key, value_in(stored)};
}

static struct run_record *memtable_list_batch(const struct front_batch *batch, size_t *ret_count)
{
    struct cairn_engine *table = table_of(batch);
    struct listing listing = {.records = cairn_alloc(sizeof *listing.records), .capacity = 1};

    table->ops->visit(table, take_record, &listing);
    *ret_count = listing.count;
    return listing.records;
}

static struct run_record *memtable_list(const struct front *front, size_t *ret_count)
{
    const struct memtable *memtable = const_memtable_of(front);
    struct listing listing = {.records = cairn_alloc(sizeof *listing.records), .capacity = 1};

    for (size_t i = 0; i < memtable->batch_count; i++)
        memtable->batches[i]->ops->visit(memtable->batches[i], take_record, &listing);
    memtable->active->ops->visit(memtable->active, take_record, &listing);
    *ret_count = listing.count;
    return listing.records;
}

static void memtable_release(struct front *front)
{
    struct memtable *memtable = memtable_of(front);

    assert(memtable->batch_count > 0);
    leave(memtable, memtable->batches[0]);
    memmove(memtable->batches, memtable->batches + 1, --memtable->batch_count * sizeof *memtable->batches);
}

static uint64_t memtable_memory_bytes(const struct front *front)
{
    const struct memtable *memtable = const_memtable_of(front);
    uint64_t bytes = table_bytes(memtable->active);

    for (size_t i = 0; i < memtable->batch_count; i++)
        bytes += table_bytes(memtable->batches[i]);
    for (size_t i = 0; i < GENERATIONS; i++)
        bytes += table_bytes(memtable->kept[i]);
    for (size_t i = 0; i < memtable->leaving_count; i++)
        bytes += table_bytes(memtable->leaving[i]);
    return bytes;
}

static struct front *memtable_close(struct front *front)
{
    struct memtable *memtable = memtable_of(front);

    while (memtable->batch_count > 0)
        memtable_release(front);
    memtable->active->ops->close(memtable->active);
    for (size_t i = 0; i < memtable->leaving_count; i++)
        memtable->leaving[i]->ops->close(memtable->leaving[i]);
    for (size_t i = 0; i < GENERATIONS; i++)
        memtable->kept[i]->ops->close(memtable->kept[i]);
    cairn_buf_done(&memtable->scratch);
    free(memtable);
    return NULL;
}

static const struct front_ops memtable_ops = {
    .get = memtable_get,
    .prefetch = memtable_prefetch,
    .put = memtable_put,
    .keep = memtable_keep,
    .pressure = memtable_pressure,
    .seal = memtable_seal,
    .batch = memtable_batch,
    .batch_count = memtable_batch_count,
    .list_batch = memtable_list_batch,
    .list = memtable_list,
    .release = memtable_release,
    .memory_bytes = memtable_memory_bytes,
    .close = memtable_close,
};

struct front *memtable_create(const void *memtable_options)
{
    const struct memtable_options *options = memtable_options;
    struct memtable *memtable = cairn_alloc_zeroed(1, sizeof *memtable);

    memtable->base.ops = &memtable_ops;
    memtable->options = *options;
    memtable->active = cairn_memory_create();
    for (size_t i = 0; i < GENERATIONS; i++)
        memtable->kept[i] = cairn_memory_create();
    return &memtable->base;
}
