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
    GENERATIONS = 6,
    LEAVING_MAX = 2 * GENERATIONS,
    COPY_BYTES = 32 << 10,  /* a batch of at most so many is kept by copying what is in it */
    DRAW_BYTES = 256 << 10, /* of a budget, at once */
    LEAVE_STEPS = 200,      /* of some five keys each */
};

enum { TOMBSTONE, VALUE }; /* the byte in front */

/* A batch is a table. */
struct memtable {
    struct front base;
    struct memtable_options options;
    struct cairn_engine *active;
    uint64_t active_bytes_max;                 /* then it is sealed: limit_bytes, and what was drawn for it */
    struct cairn_engine *batches[BATCHES_MAX]; /* oldest first */
    size_t batch_count;
    /* What was written, or read from runs: the newest table first.  What an older one has of a key that a newer one
     * has, too, is out of date.  The oldest goes when there is no room, so what is there is never older than the runs;
     * what is asked for and is in one that goes soon becomes new again. */
    struct cairn_engine *kept[GENERATIONS];
    size_t kept_count;   /* 0: nothing is kept */
    uint64_t aged_bytes; /* of all but the newest */
    struct budget_member member;
    uint64_t giving;                           /* of what was drawn, to be given back once it is free */
    uint64_t undrawn;                          /* bytes added since a draw failed; UINT64_MAX: none has */
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
    return (struct cairn_engine *)(uintptr_t)batch; /* a batch is never changed */
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

/* --- memory: its own, and what it draws --- */

static uint64_t kept_bytes(const struct memtable *memtable)
{
    return memtable->kept_count ? memtable->aged_bytes + table_bytes(memtable->kept[0]) : 0;
}

static uint64_t batch_bytes(const struct memtable *memtable)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < memtable->batch_count; i++)
        bytes += table_bytes(memtable->batches[i]);
    return bytes;
}

static uint64_t used_bytes(const struct memtable *memtable)
{
    return table_bytes(memtable->active) + batch_bytes(memtable) + kept_bytes(memtable);
}

static uint64_t leaving_bytes(const struct memtable *memtable)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < memtable->leaving_count; i++)
        bytes += table_bytes(memtable->leaving[i]);
    return bytes;
}

/* With all its tables as full as they may be. */
static uint64_t own_bytes(const struct memtable *memtable)
{
    return memtable->options.limit_bytes * (1 + BATCHES_WAITING) + memtable->options.keep_bytes;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What the active table and those that wait do not need. */
static uint64_t keep_bytes_max(const struct memtable *memtable)
{
    uint64_t limit = memtable->options.limit_bytes;
    uint64_t needed = larger(table_bytes(memtable->active), memtable->active_bytes_max) +
                      larger(batch_bytes(memtable), limit * BATCHES_WAITING);
    uint64_t all = own_bytes(memtable) + budget_drawn(&memtable->member) - memtable->giving;

    return memtable->options.keep_bytes && all > needed ? all - needed : 0;
}

static void note_added(struct memtable *memtable, uint64_t bytes)
{
    memtable->undrawn = memtable->undrawn > UINT64_MAX - bytes ? UINT64_MAX : memtable->undrawn + bytes;
}

/* True if it has DRAW_BYTES more.  One that got nothing tries again after so many more were added. */
static bool draw(struct memtable *memtable)
{
    if (memtable->giving || memtable->undrawn < DRAW_BYTES)
        return false;
    if (budget_draw(&memtable->member, DRAW_BYTES)) {
        memtable->undrawn = UINT64_MAX;
        return true;
    }
    memtable->undrawn = 0;
    return false;
}

static void give(struct memtable *memtable)
{
    uint64_t has = own_bytes(memtable) + budget_drawn(&memtable->member);
    uint64_t used = used_bytes(memtable) + leaving_bytes(memtable);
    uint64_t bytes = has > used ? has - used : 0;

    if (bytes > memtable->giving)
        bytes = memtable->giving;
    memtable->giving -= bytes;
    budget_give(&memtable->member, (size_t)bytes);
}

/* --- what is kept --- */

static void drop_oldest(struct memtable *memtable)
{
    struct cairn_engine *oldest = memtable->kept[--memtable->kept_count];

    if (memtable->kept_count)
        memtable->aged_bytes -= table_bytes(oldest);
    leave(memtable, oldest);
}

/* The newest of those that are kept from now on. */
static void add_kept(struct memtable *memtable, struct cairn_engine *table)
{
    if (memtable->kept_count == GENERATIONS)
        drop_oldest(memtable);
    if (memtable->kept_count)
        memtable->aged_bytes += table_bytes(memtable->kept[0]);
    memmove(memtable->kept + 1, memtable->kept, memtable->kept_count++ * sizeof *memtable->kept);
    memtable->kept[0] = table;
}

/* A single one may be as large as all, unless others need the memory: with the next one it is the oldest, and goes. */
static void bound_kept(struct memtable *memtable)
{
    size_t least = memtable->giving ? 0 : 1;

    while (memtable->kept_count > least && kept_bytes(memtable) > keep_bytes_max(memtable))
        drop_oldest(memtable);
}

static void keep_stored(struct memtable *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes stored)
{
    uint64_t most = keep_bytes_max(memtable);

    if (kept_bytes(memtable) >= most && draw(memtable))
        most = keep_bytes_max(memtable);
    if (!memtable->kept_count || table_bytes(memtable->kept[0]) >= most / 4)
        add_kept(memtable, cairn_memory_create());
    memtable->kept[0]->ops->put(memtable->kept[0], key, hash, stored);
    note_added(memtable, key.size + stored.size + OVERHEAD_BYTES);
    bound_kept(memtable);
    leave_some(memtable);
}

static bool get_kept(struct memtable *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_stored)
{
    for (size_t i = 0; i < memtable->kept_count; i++) {
        if (!memtable->kept[i]->view.ops->get(&memtable->kept[i]->view, key, hash, ret_stored))
            continue;
        if (i > memtable->kept_count / 2 && kept_bytes(memtable) > keep_bytes_max(memtable) / 4 * 3) {
            *ret_stored = stored_as(memtable, value_in(*ret_stored)); /* its table may go now */
            keep_stored(memtable, key, hash, *ret_stored);
        }
        return true;
    }
    return false;
}

static void copy_kept(void *context, struct cairn_bytes key, struct cairn_bytes stored)
{
    struct cairn_engine *table = context;

    table->ops->put(table, key, cairn_hash(key), stored);
}

/* A batch that the runs have.  None may be left out while older ones are kept: they would speak for it. */
static void keep_batch(struct memtable *memtable, struct cairn_engine *batch)
{
    uint64_t bytes = table_bytes(batch);

    while (kept_bytes(memtable) + bytes > keep_bytes_max(memtable) && draw(memtable))
        continue;
    if (bytes > keep_bytes_max(memtable)) {
        while (memtable->kept_count)
            drop_oldest(memtable);
        leave(memtable, batch);
    } else if (bytes <= COPY_BYTES && memtable->kept_count) {
        batch->view.ops->visit(&batch->view, copy_kept, memtable->kept[0]);
        leave(memtable, batch);
    } else {
        add_kept(memtable, batch);
    }
    bound_kept(memtable);
}

/* --- the vtable --- */

static bool memtable_get(struct front *front, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct memtable *memtable = memtable_of(front);
    struct cairn_bytes stored;
    bool found = memtable->active->view.ops->get(&memtable->active->view, key, hash, &stored);

    for (size_t i = memtable->batch_count; !found && i-- > 0;)
        found = memtable->batches[i]->view.ops->get(&memtable->batches[i]->view, key, hash, &stored);
    found = found || get_kept(memtable, key, hash, &stored);
    if (found)
        *ret_value = value_in(stored);
    return found;
}

static void memtable_prefetch(const struct front *front, uint64_t hash, int depth)
{
    const struct memtable *memtable = const_memtable_of(front);

    memtable->active->view.ops->prefetch(&memtable->active->view, hash, depth);
}

static void memtable_put(struct front *front, const struct run_record *record)
{
    struct memtable *memtable = memtable_of(front);

    if (memtable->options.whole && run_is_tombstone(record->value)) {
        memtable->active->ops->remove(memtable->active, record->key, record->hash);
        return;
    }
    memtable->active->ops->put(memtable->active, record->key, record->hash, stored_as(memtable, record->value));
    leave_some(memtable);
    if (memtable->options.whole)
        return;
    note_added(memtable, record->key.size + memtable->scratch.size + OVERHEAD_BYTES);
    if (table_bytes(memtable->active) >= memtable->active_bytes_max && draw(memtable))
        memtable->active_bytes_max += DRAW_BYTES;
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

    if (memtable->options.whole || table_bytes(memtable->active) < memtable->active_bytes_max)
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
    memtable->active_bytes_max =
        larger(memtable->options.limit_bytes, budget_drawn(&memtable->member) / (GENERATIONS + 2));
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

    table->view.ops->visit(&table->view, take_record, &listing);
    *ret_count = listing.count;
    return listing.records;
}

static struct run_record *memtable_list(const struct front *front, size_t *ret_count)
{
    const struct memtable *memtable = const_memtable_of(front);
    struct listing listing = {.records = cairn_alloc(sizeof *listing.records), .capacity = 1};

    for (size_t i = 0; i < memtable->batch_count; i++)
        memtable->batches[i]->view.ops->visit(&memtable->batches[i]->view, take_record, &listing);
    memtable->active->view.ops->visit(&memtable->active->view, take_record, &listing);
    *ret_count = listing.count;
    return listing.records;
}

static void memtable_release(struct front *front)
{
    struct memtable *memtable = memtable_of(front);

    struct cairn_engine *batch = memtable->batches[0];

    memmove(memtable->batches, memtable->batches + 1, --memtable->batch_count * sizeof *memtable->batches);
    keep_batch(memtable, batch);
    if (memtable->giving)
        give(memtable);
}

/* Tables leave in short steps, so it asks to be called again until they are gone. */
static void memtable_give_back(struct front *front)
{
    struct memtable *memtable = memtable_of(front);
    uint64_t drawn = budget_drawn(&memtable->member);

    if (!budget_is_asked(&memtable->member))
        return;
    atomic_store(&memtable->member.asked, false);
    if (!memtable->giving)
        memtable->giving = drawn < DRAW_BYTES ? drawn : DRAW_BYTES;
    memtable->active_bytes_max = memtable->options.limit_bytes;
    bound_kept(memtable);
    for (size_t i = 0; i < LEAVE_STEPS; i++)
        leave_some(memtable);
    give(memtable);
    if (memtable->giving && memtable->leaving_count)
        budget_ask_again(&memtable->member);
}

static uint64_t memtable_memory_bytes(const struct front *front)
{
    const struct memtable *memtable = const_memtable_of(front);

    return used_bytes(memtable) + leaving_bytes(memtable);
}

static struct front *memtable_close(struct front *front)
{
    struct memtable *memtable = memtable_of(front);

    for (size_t i = 0; i < memtable->batch_count; i++)
        memtable->batches[i]->ops->close(memtable->batches[i]);
    memtable->active->ops->close(memtable->active);
    for (size_t i = 0; i < memtable->leaving_count; i++)
        memtable->leaving[i]->ops->close(memtable->leaving[i]);
    for (size_t i = 0; i < memtable->kept_count; i++)
        memtable->kept[i]->ops->close(memtable->kept[i]);
    budget_leave(&memtable->member);
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
    .give_back = memtable_give_back,
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
    memtable->active_bytes_max = options->limit_bytes;
    memtable->undrawn = UINT64_MAX;
    budget_join(options->share.budget, &memtable->member, options->share.on_asked, options->share.context);
    return &memtable->base;
}
