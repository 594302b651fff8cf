/* hybridlog.c - a front that is a log in memory with a hash index: FASTER's hybrid log (Chandramouli et al., SIGMOD
 * 2018).
 *
 *     first        clean         sealed            ro               end
 *       | written,   | in batches, | read-only,      | updated in     |
 *       | may go     | not written | not in a batch  | place          |  appended here
 *
 * The log is chunks.  A record is found through the index and updated in place while its chunk is one of the last,
 * the mutable ones; further back it is read-only, and an update appends its successor.  So what is hot stays at the
 * tail, and what is written to disk has had time to be overwritten.  When flush_interval bytes are read-only they are
 * sealed as a batch; written ones stay to be read until their memory is needed, and leave the index then.
 *
 * With a budget all three of its bounds grow in proportion to what it has drawn, and nothing becomes read-only while
 * there is ample memory to be drawn.
 *
 * With ro_lag_interval 0 nothing is updated in place, and nothing written is kept: AppendLog (Bitcask).
 *
 * A place in the index is the chunk's number modulo 2^23 above the record's offset in 8 bytes. */
#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "engine/front.h"
#include "engine/index.h"
#include "engine/slab.h"

enum {
    UNIT = 8,        /* records begin at multiples of it */
    LINE_BYTES = 64, /* of the processor's cache */
    LINES_AHEAD = 4,
    OFFSET_BITS = 17, /* of a place */
    CHUNK_BYTES_MAX = UNIT << OFFSET_BITS,
    CHUNK_BYTES_LEAST = 512,
    CHUNKS_OF_A_PART = 8, /* a region has at least so many chunks, if they are not too small then */
    TOMBSTONE_BYTES = -1,
    SLABS_FROM_BYTES = 8 * SLAB_BYTES, /* a log so large takes its chunks from slabs, and may lose one to its ends */
    DRAW_BYTES = 64 << 10,             /* of a budget, at once */
    GIVE_BYTES = 4 * DRAW_BYTES,
};

struct record {
    int32_t value_bytes; /* or TOMBSTONE_BYTES */
    uint32_t room;       /* for a value: up to the next record */
    uint32_t key_bytes : 31;
    uint32_t clean : 1; /* the runs have it */
    uint8_t data[];     /* key, value */
};

struct chunk {
    uint64_t number;
    uint32_t size, used;                    /* of data */
    uint32_t dirty;                         /* records that are not clean, superseded ones included */
    bool of_slab;                           /* else of malloc */
    uint8_t unused[LINE_BYTES - UNIT - 21]; /* the first record, at UNIT, so begins a line, if the chunk does */
    uint8_t data[] __attribute__((aligned(8)));
};

_Static_assert(offsetof(struct chunk, data) + UNIT == LINE_BYTES, "where the first record is to begin");

struct front_batch {
    struct front_batch *next;
    uint64_t end; /* the number behind its last chunk */
    size_t count;
    const struct chunk *chunks[];
};

struct hybridlog {
    struct front base;
    struct hybridlog_options options;
    uint32_t chunk_bytes;
    struct index index;
    struct chunk **ring; /* chunk n at n & ring_mask */
    uint64_t ring_mask;
    uint64_t first, clean, sealed, ro, end; /* numbers of chunks, see above */
    struct slabs slabs;
    uint64_t bytes;                   /* of all chunks, or of the slabs that they are of */
    uint64_t mutable_bytes, ro_bytes; /* of those from ro on, and from sealed to ro */
    uint64_t dirty;                   /* records in no batch and not clean */
    enum front_pressure pressure;     /* whatever grows, is sealed, released or given back looks again */
    struct front_batch *batches, **batches_end;
    struct budget_member member;
    uint64_t giving; /* of what was drawn, to be given back once it is free */
};

static struct hybridlog *log_of(struct front *front)
{
    return (struct hybridlog *)(void *)front; /* its first member */
}

static const struct hybridlog *const_log_of(const struct front *front)
{
    return (const struct hybridlog *)(const void *)front;
}

/* --- records --- */

static inline struct chunk *chunk_at(const struct hybridlog *log, uint64_t number)
{
    return log->ring[number & log->ring_mask];
}

static inline struct record *record_in(const struct chunk *chunk, uint32_t offset)
{
    return (struct record *)(uintptr_t)(chunk->data + offset);
}

static inline struct record *record_at(const struct hybridlog *log, uint64_t place, struct chunk **ret_chunk)
{
    *ret_chunk = chunk_at(log, place >> OFFSET_BITS);
    return record_in(*ret_chunk, (uint32_t)(place & ((1 << OFFSET_BITS) - 1)) * UNIT);
}

static uint64_t place_of(const struct chunk *chunk, uint32_t offset)
{
    return (chunk->number << OFFSET_BITS & INDEX_PLACE_MAX) | offset / UNIT;
}

static inline struct cairn_bytes value_in(const struct record *record)
{
    if (record->value_bytes == TOMBSTONE_BYTES)
        return run_tombstone();
    return cairn_bytes(record->data + record->key_bytes, (size_t)record->value_bytes);
}

static inline struct cairn_bytes key_in(const struct record *record)
{
    return cairn_bytes(record->data, record->key_bytes);
}

/* Up to where the next one begins. */
static size_t record_bytes(const struct record *record)
{
    return offsetof(struct record, data) + record->key_bytes + record->room;
}

/* For a key and a value of so many bytes. */
static size_t record_bytes_for(size_t bytes)
{
    return (offsetof(struct record, data) + bytes + UNIT - 1) / UNIT * UNIT;
}

/* Hashes are made again: what has them in memory for the few that are moved or forgotten pays with each read. */
static uint64_t hash_at(void *context, uint64_t place)
{
    struct chunk *chunk;

    return cairn_hash(key_in(record_at(context, place, &chunk)));
}

static inline bool has_key(const struct record *record, struct cairn_bytes key)
{
    uint64_t mine[2], its[2];

    if (record->key_bytes != key.size)
        return false;
    if (key.size < sizeof mine[0] || key.size > sizeof mine)
        return memcmp(record->data, key.data, key.size) == 0;
    /* Most keys are so short: two words, which overlap. */
    memcpy(&mine[0], key.data, sizeof mine[0]);
    memcpy(&mine[1], key.data + key.size - sizeof mine[0], sizeof mine[0]);
    memcpy(&its[0], record->data, sizeof its[0]);
    memcpy(&its[1], record->data + key.size - sizeof its[0], sizeof its[0]);
    return mine[0] == its[0] && mine[1] == its[1];
}

/* The key's newest record, with the walk at its entry; NULL: it is not in memory.  `writes` bytes of its value are
 * about to be written: its lines then come from memory together with the first one, which has the key. */
static inline struct record *find(const struct hybridlog *log, struct cairn_bytes key, uint64_t hash, size_t writes,
                                  struct index_walk *walk, struct chunk **ret_chunk)
{
    size_t ahead = writes ? offsetof(struct record, data) + key.size + writes : 0;
    uint64_t place;

    *walk = index_walk(&log->index, hash);
    while (index_next(walk, &place)) {
        struct record *record = record_at(log, place, ret_chunk);

        for (size_t at = LINE_BYTES; at < ahead && at < LINES_AHEAD * LINE_BYTES; at += LINE_BYTES)
            __builtin_prefetch((char *)record + at, 1);
        if (__builtin_expect(has_key(record, key), 1))
            return record;
    }
    return NULL;
}

/* --- chunks --- */

static void free_chunk(struct hybridlog *log, struct chunk *chunk)
{
    uint64_t bytes = chunk->size;

    if (chunk->of_slab)
        bytes = slabs_give(&log->slabs, chunk);
    else
        free(chunk);
    log->bytes -= bytes;
}

static void forget_chunk(struct hybridlog *log)
{
    struct chunk *chunk = chunk_at(log, log->first);

    for (uint32_t offset = UNIT; offset < chunk->used;) {
        const struct record *record = record_in(chunk, offset);
        uint64_t place = place_of(chunk, offset), other;
        struct index_walk walk = index_walk(&log->index, cairn_hash(key_in(record)));

        while (index_next(&walk, &other))
            if (other == place) {
                index_remove(&log->index, &walk);
                break;
            }
        offset += (uint32_t)record_bytes(record);
    }
    free_chunk(log, chunk);
    log->first++;
}

static uint64_t used_bytes(const struct hybridlog *log)
{
    return log->bytes + log->index.bytes;
}

static uint64_t limit_bytes(const struct hybridlog *log)
{
    return log->options.mem_segment_len + budget_drawn(&log->member) - log->giving;
}

/* One of the other two bounds, as it is now. */
static uint64_t scaled(const struct hybridlog *log, size_t option)
{
    if (!budget_drawn(&log->member) || !log->options.ro_lag_interval) /* AppendLog writes as often as it did */
        return option;
    return (uint64_t)((double)option * (double)limit_bytes(log) / (double)log->options.mem_segment_len);
}

static bool is_over(const struct hybridlog *log)
{
    return used_bytes(log) > limit_bytes(log);
}

/* For so much more, unless it has to give back. */
static void draw(struct hybridlog *log, uint64_t bytes)
{
    uint64_t limit = limit_bytes(log), need = used_bytes(log) + bytes;

    if (need <= limit || log->giving)
        return;
    need -= limit;
    if (!budget_draw(&log->member, need > DRAW_BYTES ? (size_t)need : DRAW_BYTES) && need < DRAW_BYTES)
        budget_draw(&log->member, (size_t)need);
}

static void give(struct hybridlog *log)
{
    uint64_t has = limit_bytes(log) + log->giving, used = used_bytes(log);
    uint64_t bytes = has > used ? has - used : 0;

    if (bytes > log->giving)
        bytes = log->giving;
    log->giving -= bytes;
    budget_give(&log->member, (size_t)bytes);
}

/* Chunks that are not needed, twice as many bytes as are added: letting go of all at once takes long. */
static void forget_some(struct hybridlog *log, uint64_t added)
{
    uint64_t forgotten = 0;

    while (forgotten < 2 * added && log->first < log->clean && (is_over(log) || !log->options.keeps)) {
        forgotten += chunk_at(log, log->first)->size;
        forget_chunk(log);
    }
    if (log->giving)
        give(log);
}

/* ro_lag_interval, but that two batches, of which one is being written, and the index have to find room, too. */
static uint64_t mutable_bytes_max(const struct hybridlog *log)
{
    uint64_t others = 2 * scaled(log, log->options.flush_interval) + log->index.bytes;
    uint64_t limit = limit_bytes(log), room = others < limit ? limit - others : 0;
    uint64_t interval = scaled(log, log->options.ro_lag_interval);

    if (interval && !log->giving && budget_is_ample(&log->member))
        return UINT64_MAX;
    return interval < room ? interval : room;
}

static void advance_ro(struct hybridlog *log, uint64_t most)
{
    while (log->ro < log->end && log->mutable_bytes > most) {
        uint32_t size = chunk_at(log, log->ro)->size;

        log->mutable_bytes -= size;
        log->ro_bytes += size;
        log->ro++;
    }
}

/* Such that slabs are cut into chunks without a rest. */
static uint32_t slab_chunk_bytes(const struct hybridlog *log)
{
    return (uint32_t)(SLAB_PIECES_BYTES / (SLAB_BYTES / log->chunk_bytes) / SLAB_ALIGNMENT * SLAB_ALIGNMENT -
                      sizeof(struct chunk));
}

/* NULL: the log is small, or the memory for another slab is not there to be had. */
static struct chunk *take_of_slab(struct hybridlog *log)
{
    uint32_t size = slab_chunk_bytes(log);
    struct chunk *chunk;

    if (log->bytes < SLABS_FROM_BYTES)
        return NULL;
    if (slabs_room(&log->slabs) < sizeof *chunk + size) {
        draw(log, SLAB_BYTES);
        if (used_bytes(log) + SLAB_BYTES > limit_bytes(log))
            return NULL;
        slabs_grow(&log->slabs);
        log->bytes += SLAB_BYTES;
    }
    chunk = slabs_take(&log->slabs, sizeof *chunk + size);
    *chunk = (struct chunk){.size = size, .of_slab = true};
    return chunk;
}

static struct chunk *take_of_heap(struct hybridlog *log, uint32_t size)
{
    struct chunk *chunk = cairn_alloc(sizeof *chunk + size);

    *chunk = (struct chunk){.size = size};
    log->bytes += size;
    return chunk;
}

static struct chunk *add_chunk(struct hybridlog *log, size_t need)
{
    uint32_t size = need + UNIT > log->chunk_bytes ? (uint32_t)need + UNIT : log->chunk_bytes;
    uint64_t most;
    struct chunk *chunk = NULL;

    draw(log, size);
    most = mutable_bytes_max(log);
    advance_ro(log, most > size ? most - size : 0);
    forget_some(log, size);
    if (log->end - log->first > log->ring_mask) {
        uint64_t mask = log->ring_mask * 2 + 1;
        struct chunk **ring = cairn_alloc((mask + 1) * sizeof *ring);

        for (uint64_t number = log->first; number < log->end; number++)
            ring[number & mask] = chunk_at(log, number);
        free(log->ring);
        log->ring = ring;
        log->ring_mask = mask;
    }
    if (need + UNIT <= slab_chunk_bytes(log))
        chunk = take_of_slab(log);
    if (!chunk)
        chunk = take_of_heap(log, size);
    chunk->number = log->end;
    chunk->used = UNIT;
    log->ring[log->end++ & log->ring_mask] = chunk;
    log->mutable_bytes += chunk->size;
    return chunk;
}

/* Appends without looking for an older one. */
static uint64_t append(struct hybridlog *log, const struct run_record *from, bool clean)
{
    size_t value_bytes = run_is_tombstone(from->value) ? 0 : from->value.size;
    size_t need = record_bytes_for(from->key.size + value_bytes);
    struct chunk *chunk = log->ro < log->end ? chunk_at(log, log->end - 1) : NULL;
    struct record *record;
    uint64_t place;

    if (!chunk || chunk->size - chunk->used < need)
        chunk = add_chunk(log, need);
    place = place_of(chunk, chunk->used);
    record = record_in(chunk, chunk->used);
    record->value_bytes = run_is_tombstone(from->value) ? TOMBSTONE_BYTES : (int32_t)from->value.size;
    record->room = (uint32_t)(need - offsetof(struct record, data) - from->key.size);
    record->key_bytes = (uint32_t)from->key.size & INT32_MAX;
    record->clean = clean;
    memcpy(record->data, from->key.data, from->key.size);
    if (value_bytes)
        memcpy(record->data + from->key.size, from->value.data, value_bytes);
    chunk->used += (uint32_t)need;
    chunk->dirty += !clean;
    log->dirty += !clean;
    return place;
}

static void look_at_pressure(struct hybridlog *log)
{
    if (is_over(log) && log->first == log->clean && (log->batches || log->ro_bytes))
        log->pressure = FRONT_FULL;
    else if (log->ro_bytes >= scaled(log, log->options.flush_interval) && log->ro_bytes)
        log->pressure = FRONT_SEAL;
    else
        log->pressure = FRONT_EASY;
}

/* --- the vtable --- */

static bool hybridlog_get(struct front *front, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct index_walk walk;
    struct chunk *chunk;
    const struct record *record = find(log_of(front), key, hash, 0, &walk, &chunk);

    if (record)
        *ret_value = value_in(record);
    return record;
}

static void hybridlog_prefetch(const struct front *front, uint64_t hash, int depth)
{
    const struct hybridlog *log = const_log_of(front);
    struct index_walk walk;
    uint64_t place;

    if (depth == 0) {
        index_prefetch(&log->index, hash);
        return;
    }
    walk = index_walk(&log->index, hash);
    if (index_next(&walk, &place)) { /* most often it is the first with the tag */
        struct chunk *chunk;
        const struct record *record = record_at(log, place, &chunk);

        __builtin_prefetch(record);
        __builtin_prefetch((const char *)record + 64);
    }
}

static inline bool update_in_place(struct hybridlog *log, struct chunk *chunk, struct record *record,
                                   struct cairn_bytes value)
{
    if (chunk->number < log->ro || log->options.ro_lag_interval == 0)
        return false;
    if (run_is_tombstone(value)) {
        record->value_bytes = TOMBSTONE_BYTES;
    } else {
        if (value.size > record->room)
            return false;
        record->value_bytes = (int32_t)value.size;
        if (value.size)
            memmove(record->data + record->key_bytes, value.data, value.size);
    }
    if (record->clean) {
        record->clean = false;
        chunk->dirty++;
        log->dirty++;
    }
    return true;
}

/* Appends its record, instead of one that cannot be updated in place, if there is one, at which the walk is. */
static void __attribute__((noinline))
supersede(struct hybridlog *log, const struct run_record *from, struct record *record, struct index_walk walk)
{
    struct chunk *chunk;
    uint64_t place, first = log->first;

    place = append(log, from, false);
    if (log->first != first) /* a new chunk cost an old one its memory, and that changed the index */
        record = find(log, from->key, from->hash, 0, &walk, &chunk);
    if (record)
        index_set(&walk, place);
    else
        index_add(&log->index, from->hash, place);
    look_at_pressure(log);
}

static void hybridlog_put(struct front *front, const struct run_record *from)
{
    struct hybridlog *log = log_of(front);
    struct index_walk walk;
    struct chunk *chunk;
    struct record *record =
        find(log, from->key, from->hash, run_is_tombstone(from->value) ? 0 : from->value.size, &walk, &chunk);

    if (!record || !update_in_place(log, chunk, record, from->value))
        supersede(log, from, record, walk);
}

static void hybridlog_keep(struct front *front, const struct run_record *from)
{
    struct hybridlog *log = log_of(front);

    if (!log->options.keeps)
        return;
    index_add(&log->index, from->hash, append(log, from, true));
    look_at_pressure(log);
}

static enum front_pressure hybridlog_pressure(const struct front *front)
{
    return const_log_of(front)->pressure;
}

/* Of read-only chunks at most a quarter of all that may be in memory: listing them takes memory, too. */
static void seal_batch(struct hybridlog *log)
{
    struct front_batch *batch = cairn_alloc(sizeof *batch + (log->ro - log->sealed) * sizeof *batch->chunks);
    uint64_t bytes = 0, most = limit_bytes(log) / 4, interval = scaled(log, log->options.flush_interval);

    if (most < interval)
        most = interval;
    *batch = (struct front_batch){0};
    while (log->sealed < log->ro && (!batch->count || bytes < most)) {
        const struct chunk *chunk = chunk_at(log, log->sealed++);

        log->dirty -= chunk->dirty;
        bytes += chunk->used;
        batch->chunks[batch->count++] = chunk;
    }
    batch->end = log->sealed;
    *log->batches_end = batch;
    log->batches_end = &batch->next;
}

static bool hybridlog_seal(struct front *front, bool all)
{
    struct hybridlog *log = log_of(front);

    if (all) {
        struct chunk *tail;

        if (!log->dirty)
            return false;
        advance_ro(log, 0);
        tail = chunk_at(log, log->end - 1);
        if (tail->used < tail->size / 2) { /* many snapshots, few changes: the rest of the chunk would be lost */
            log->ro_bytes -= tail->size - tail->used;
            if (tail->of_slab) {
                slabs_cut(&log->slabs, tail, sizeof *tail + tail->used);
            } else {
                log->bytes -= tail->size - tail->used;
                tail = cairn_realloc(tail, sizeof *tail + tail->used);
                log->ring[(log->end - 1) & log->ring_mask] = tail;
            }
            tail->size = tail->used;
        }
        look_at_pressure(log);
    }
    if (log->sealed == log->ro || (!all && log->batches && log->ro_bytes < scaled(log, log->options.flush_interval)))
        return false;
    while (log->sealed < log->ro)
        seal_batch(log);
    log->ro_bytes = 0;
    look_at_pressure(log);
    return true;
}

static const struct front_batch *hybridlog_batch(const struct front *front)
{
    return const_log_of(front)->batches;
}

static size_t hybridlog_batch_count(const struct front *front)
{
    size_t count = 0;

    for (const struct front_batch *batch = const_log_of(front)->batches; batch; batch = batch->next)
        count++;
    return count;
}

static size_t list_chunk(const struct chunk *chunk, bool clean_ones, struct run_record *to)
{
    size_t count = 0;

    for (uint32_t offset = UNIT; offset < chunk->used;) {
        const struct record *record = record_in(chunk, offset);

        if (clean_ones || !record->clean) {
            if (to)
                to[count] = (struct run_record){cairn_hash(key_in(record)), key_in(record), value_in(record)};
            count++;
        }
        offset += (uint32_t)record_bytes(record);
    }
    return count;
}

static struct run_record *hybridlog_list_batch(const struct front_batch *batch, size_t *ret_count)
{
    struct run_record *records;
    size_t count = 0;

    for (size_t i = 0; i < batch->count; i++)
        count += batch->chunks[i]->dirty;
    records = cairn_alloc((count + 1) * sizeof *records);
    count = 0;
    for (size_t i = 0; i < batch->count; i++)
        count += list_chunk(batch->chunks[i], false, records + count);
    *ret_count = count;
    return records;
}

static struct run_record *hybridlog_list(const struct front *front, size_t *ret_count)
{
    const struct hybridlog *log = const_log_of(front);
    struct run_record *records;
    size_t count = 0;

    for (uint64_t number = log->first; number < log->end; number++)
        count += list_chunk(chunk_at(log, number), true, NULL);
    records = cairn_alloc((count + 1) * sizeof *records);
    count = 0;
    for (uint64_t number = log->first; number < log->end; number++)
        count += list_chunk(chunk_at(log, number), true, records + count);
    *ret_count = count;
    return records;
}

static void hybridlog_release(struct front *front)
{
    struct hybridlog *log = log_of(front);
    struct front_batch *batch = log->batches;

    assert(batch);
    log->clean = batch->end;
    log->batches = batch->next;
    if (!log->batches)
        log->batches_end = &log->batches;
    free(batch);
    forget_some(log, log->chunk_bytes);
    look_at_pressure(log);
}

static void hybridlog_give_back(struct front *front)
{
    struct hybridlog *log = log_of(front);
    uint64_t drawn = budget_drawn(&log->member), most;

    if (!budget_is_asked(&log->member))
        return;
    atomic_store(&log->member.asked, false);
    log->giving += drawn - log->giving < GIVE_BYTES ? drawn - log->giving : GIVE_BYTES;
    give(log);
    if (log->giving) {
        most = mutable_bytes_max(log);
        if (log->mutable_bytes > most)
            advance_ro(log, most);
        forget_some(log, log->giving);
    }
    look_at_pressure(log);
}

static uint64_t hybridlog_memory_bytes(const struct front *front)
{
    const struct hybridlog *log = const_log_of(front);

    return log->bytes + log->index.bytes + (log->ring_mask + 1) * sizeof *log->ring;
}

static struct front *hybridlog_close(struct front *front)
{
    struct hybridlog *log = log_of(front);
    struct front_batch *next;

    for (struct front_batch *batch = log->batches; batch; batch = next) {
        next = batch->next;
        free(batch);
    }
    for (uint64_t number = log->first; number < log->end; number++)
        free_chunk(log, chunk_at(log, number));
    slabs_done(&log->slabs);
    index_done(&log->index);
    budget_leave(&log->member);
    free(log->ring);
    free(log);
    return NULL;
}

static const struct front_ops hybridlog_ops = {
    .get = hybridlog_get,
    .prefetch = hybridlog_prefetch,
    .put = hybridlog_put,
    .keep = hybridlog_keep,
    .pressure = hybridlog_pressure,
    .seal = hybridlog_seal,
    .batch = hybridlog_batch,
    .batch_count = hybridlog_batch_count,
    .list_batch = hybridlog_list_batch,
    .list = hybridlog_list,
    .release = hybridlog_release,
    .give_back = hybridlog_give_back,
    .memory_bytes = hybridlog_memory_bytes,
    .close = hybridlog_close,
};

struct front *hybridlog_create(const void *hybridlog_options)
{
    const struct hybridlog_options *options = hybridlog_options;
    struct hybridlog *log = cairn_alloc_zeroed(1, sizeof *log);
    size_t least = options->flush_interval;

    assert(options->mem_segment_len > options->ro_lag_interval + options->flush_interval);
    if (options->ro_lag_interval && options->ro_lag_interval < least)
        least = options->ro_lag_interval;
    log->base.ops = &hybridlog_ops;
    log->options = *options;
    log->chunk_bytes = CHUNK_BYTES_MAX;
    while (log->chunk_bytes > CHUNK_BYTES_LEAST && log->chunk_bytes > least / CHUNKS_OF_A_PART)
        log->chunk_bytes /= 2;
    log->ring_mask = 15;
    log->ring = cairn_alloc((log->ring_mask + 1) * sizeof *log->ring);
    index_init(&log->index, hash_at, log);
    log->batches_end = &log->batches;
    budget_join(options->share.budget, &log->member, options->share.on_asked, options->share.context);
    return &log->base;
}
