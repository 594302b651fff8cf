/* memory.c - MemOnly: everything in a hash table that grows a bucket at a time. */
#include "engine/memory_internal.h"

#include <assert.h>
#include <stdlib.h>

/* --- allocations ----------------------------------------------------------------------------- */

/* Every request is rounded up to what the allocator hands out anyway (16-byte steps, 8 of them
 * its own), so that the room for a value in place follows from its size alone. */
static size_t rounded(size_t bytes)
{
    size_t whole = (bytes + 8 + 15) & ~(size_t)15;

    return (whole < 32 ? 32 : whole) - 8;
}

static size_t entry_bytes(size_t key_bytes, size_t payload_bytes)
{
    return offsetof(struct entry, data) + key_bytes + payload_bytes;
}

static size_t payload_bytes(const struct entry *entry)
{
    return entry->is_blob ? sizeof(struct blob *) : entry->value_bytes;
}

static struct bucket *segment_create(void)
{
    size_t bytes = SEGMENT_BUCKETS * sizeof(struct bucket);
    struct bucket *segment = aligned_alloc(sizeof(struct bucket), bytes);

    if (!segment)
        abort(); /* as cairn_alloc does */
    memset(segment, 0, bytes);
    return segment;
}

struct blob *memory_blob_create(uint32_t bytes)
{
    struct blob *blob = cairn_alloc(sizeof *blob + bytes);

    *blob = (struct blob){.refs = 1, .bytes = bytes};
    return blob;
}

void memory_blob_unref(struct blob *blob)
{
    assert(blob->refs > 0);
    if (--blob->refs == 0)
        free(blob);
}

/* --- the table ------------------------------------------------------------------------------- */

static uint32_t index_bits(uint64_t hash)
{
    return (uint32_t)(hash >> 16);
}

static uint64_t slot_tag(uint64_t hash)
{
    return (hash >> 48) | 1;
}

static uint64_t bucket_index(const struct memory *memory, uint32_t bits)
{
    uint64_t index = bits & (2 * memory->round - 1);

    return index < memory->buckets ? index : index - memory->round;
}

static void chain_add(struct memory *memory, struct bucket *bucket, uint64_t slot)
{
    for (;; bucket = bucket->more) {
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            if (!bucket->slots[i]) {
                bucket->slots[i] = slot;
                return;
            }
        if (!bucket->more) {
            bucket->more = cairn_alloc_zeroed(1, sizeof *bucket);
            memory->overflow_buckets++;
        }
    }
}

/* Splits the next bucket in turn.  Its entries with the new bit set go to the new last bucket. */
static void split(struct memory *memory)
{
    struct bucket *from = bucket_at(memory, memory->buckets - memory->round), *read, *write = from, **link;
    struct bucket *to;
    unsigned at = 0;

    if (memory->buckets % SEGMENT_BUCKETS == 0) {
        size_t count = memory->buckets / SEGMENT_BUCKETS;
        if (count == memory->segment_capacity) {
            memory->segment_capacity *= 2;
            memory->segments = cairn_realloc(memory->segments, memory->segment_capacity * sizeof *memory->segments);
        }
        memory->segments[count] = segment_create();
    }
    to = bucket_at(memory, memory->buckets);
    for (read = from; read; read = read->more)
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            __builtin_prefetch(slot_entry(read->slots[i]));
    for (read = from; read; read = read->more) {
        for (unsigned i = 0; i < BUCKET_SLOTS && read->slots[i]; i++) {
            uint64_t slot = read->slots[i];
            read->slots[i] = 0;
            if (slot_entry(slot)->hash & memory->round) {
                chain_add(memory, to, slot);
                continue;
            }
            if (at == BUCKET_SLOTS) {
                write = write->more;
                at = 0;
            }
            write->slots[at++] = slot;
        }
    }
    link = &write->more;
    while (*link) {
        struct bucket *empty = *link;
        *link = empty->more;
        free(empty);
        memory->overflow_buckets--;
    }
    memory->buckets++;
    if (memory->buckets == 2 * memory->round)
        memory->round *= 2;
}

/* The slots with the tag, a bit each.  All seven without a branch: which slot it is cannot be predicted. */
static inline unsigned hits_in(const struct bucket *bucket, uint64_t tag)
{
    unsigned hits = 0;

    for (unsigned i = 0; i < BUCKET_SLOTS; i++)
        hits |= (unsigned)((bucket->slots[i] >> 48) == tag) << i;
    return hits;
}

static uint64_t *find(const struct memory *memory, struct cairn_bytes key, uint64_t hash)
{
    struct bucket *bucket = bucket_at(memory, bucket_index(memory, index_bits(hash)));
    uint64_t tag = slot_tag(hash);

    do {
        for (unsigned hits = hits_in(bucket, tag); hits; hits &= hits - 1) {
            uint64_t *slot = &bucket->slots[__builtin_ctz(hits)];
            const struct entry *entry = slot_entry(*slot);
            if (entry_key_bytes(entry) == key.size && memcmp(entry->data, key.data, key.size) == 0)
                return slot;
        }
        bucket = bucket->more;
    } while (__builtin_expect(bucket != NULL, 0));
    return NULL;
}

/* Takes the slot out of its chain: the chain's last one moves there. */
static void chain_remove(struct memory *memory, uint32_t bits, uint64_t *slot)
{
    struct bucket *bucket = bucket_at(memory, bucket_index(memory, bits)), **link = NULL;
    unsigned last = BUCKET_SLOTS;

    while (bucket->more) {
        link = &bucket->more;
        bucket = bucket->more;
    }
    while (!bucket->slots[last - 1])
        last--;
    last--;
    *slot = bucket->slots[last];
    bucket->slots[last] = 0;
    if (last == 0 && link) {
        *link = NULL;
        free(bucket);
        memory->overflow_buckets--;
    }
}

/* --- entries --------------------------------------------------------------------------------- */

static uint64_t slot_of(struct entry *entry, uint64_t hash)
{
    assert(((uintptr_t)entry >> 48) == 0);
    return slot_tag(hash) << 48 | (uintptr_t)entry;
}

static struct entry *entry_create(struct memory *memory, struct cairn_bytes key, uint64_t hash,
                                  struct cairn_bytes value, struct blob *blob)
{
    bool is_blob = blob || value.size > INLINE_BYTES_MAX;
    size_t bytes = rounded(entry_bytes(key.size, is_blob ? sizeof blob : value.size));
    struct entry *entry = cairn_alloc(bytes);

    entry->hash = index_bits(hash);
    entry->is_blob = is_blob;
    entry->value_bytes = is_blob ? 0 : (uint32_t)value.size & 0x1ffff;
    entry->mark = memory->mark & (MARK_COUNT - 1);
    entry->key_bytes = (uint32_t)key.size;
    memcpy(entry->data, key.data, key.size);
    if (is_blob) {
        if (!blob) {
            blob = memory_blob_create((uint32_t)value.size);
            memcpy(blob->data, value.data, value.size);
        }
        memcpy(entry->data + key.size, &blob, sizeof blob);
    } else if (value.size) {
        memcpy(entry->data + key.size, value.data, value.size);
    }
    memory->keys++;
    memory->key_bytes += key.size;
    memory->value_bytes += is_blob ? blob->bytes : value.size;
    memory->entry_bytes += bytes + 8 + (is_blob ? sizeof *blob + blob->bytes : 0);
    return entry;
}

static void entry_free(struct memory *memory, struct entry *entry)
{
    size_t bytes = rounded(entry_bytes(entry_key_bytes(entry), payload_bytes(entry)));

    memory->keys--;
    memory->key_bytes -= entry_key_bytes(entry);
    memory->value_bytes -= entry_value(entry).size;
    memory->entry_bytes -= bytes + 8;
    if (entry->is_blob) {
        struct blob *blob = entry_blob(entry);
        memory->entry_bytes -= sizeof *blob + blob->bytes;
        if (blob->refs > 1)
            memory_snapshot_orphan(memory->snapshot, blob);
        memory_blob_unref(blob);
    }
    free(entry);
}

/* True if the value could be written over the old one. */
static bool replace_in_place(struct memory *memory, struct entry *entry, struct cairn_bytes value)
{
    size_t key_bytes = entry_key_bytes(entry);

    if (entry->is_blob) {
        struct blob *blob = entry_blob(entry);
        if (blob->bytes != value.size || blob->refs > 1)
            return false;
        memmove(blob->data, value.data, value.size);
    } else {
        if (value.size > INLINE_BYTES_MAX ||
            rounded(entry_bytes(key_bytes, value.size)) != rounded(entry_bytes(key_bytes, entry->value_bytes)))
            return false;
        if (value.size)
            memmove(entry->data + key_bytes, value.data, value.size);
        memory->value_bytes += value.size - entry->value_bytes;
        entry->value_bytes = (uint32_t)value.size & 0x1ffff;
    }
    return true;
}

void memory_insert(struct memory *memory, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value,
                   struct blob *blob)
{
    struct entry *entry = entry_create(memory, key, hash, value, blob);

    chain_add(memory, bucket_at(memory, bucket_index(memory, entry->hash)), slot_of(entry, hash));
    if (memory->keys > memory->buckets * MEAN_LOAD && memory->buckets <= UINT32_MAX)
        split(memory);
}

/* --- operations ------------------------------------------------------------------------------ */

static bool memory_get(struct cairn_view *view, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    const uint64_t *slot = find(memory_of_view(view), key, hash);

    if (!slot)
        return false;
    *ret_value = entry_value(slot_entry(*slot));
    return true;
}

static void memory_put(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value)
{
    struct memory *memory = memory_of(engine);
    uint64_t *slot = find(memory, key, hash);
    struct entry *entry;

    assert(key.size >= 1 && key.size <= CAIRN_KEY_BYTES_MAX && value.size <= STORED_BYTES_MAX);
    if (!slot) {
        memory_insert(memory, key, hash, value, NULL);
        return;
    }
    entry = slot_entry(*slot);
    if (memory->snapshot)
        memory_snapshot_save(memory->snapshot, entry);
    if (replace_in_place(memory, entry, value))
        return;
    /* The new one first: the value may lie in the old one. */
    *slot = slot_of(entry_create(memory, key, hash, value, NULL), hash);
    entry_free(memory, entry);
}

static void memory_remove(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash)
{
    struct memory *memory = memory_of(engine);
    uint64_t *slot = find(memory, key, hash);
    struct entry *entry;

    if (!slot)
        return;
    entry = slot_entry(*slot);
    if (memory->snapshot)
        memory_snapshot_save(memory->snapshot, entry);
    chain_remove(memory, entry->hash, slot);
    entry_free(memory, entry);
}

void memory_prefetch(struct cairn_view *view, uint64_t hash, int depth)
{
    struct memory *memory = memory_of_view(view);
    const struct bucket *bucket = bucket_at(memory, bucket_index(memory, index_bits(hash)));
    const void *entry;
    uint64_t slot;

    if (depth == 0) {
        __builtin_prefetch(bucket);
        return;
    }
    /* No branch on what the bucket has: it would be predicted wrong, and the next line would wait for this one. */
    slot = bucket->slots[__builtin_ctz(hits_in(bucket, slot_tag(hash)) | 1u << (BUCKET_SLOTS - 1))];
    entry = slot ? (const void *)slot_entry(slot) : bucket;
    __builtin_prefetch(entry);
    __builtin_prefetch((const char *)entry + 64);
    __builtin_prefetch(bucket->more ? bucket->more : bucket);
}

static void memory_visit(struct cairn_view *view,
                         void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context)
{
    struct memory *memory = memory_of_view(view);

    for (uint64_t index = 0; index < memory->buckets; index++)
        for (const struct bucket *bucket = bucket_at(memory, index); bucket; bucket = bucket->more)
            for (unsigned i = 0; i < BUCKET_SLOTS && bucket->slots[i]; i++) {
                const struct entry *entry = slot_entry(bucket->slots[i]);
                each(context, entry_key(entry), entry_value(entry));
            }
}

static void memory_stats(struct cairn_engine *engine, struct cairn_engine_stats *ret_stats)
{
    struct memory *memory = memory_of(engine);
    uint64_t segments = (memory->buckets + SEGMENT_BUCKETS - 1) / SEGMENT_BUCKETS;
    struct cairn_snapshot *snapshot = memory->snapshot;

    ret_stats->keys = memory->keys;
    ret_stats->key_bytes = memory->key_bytes;
    ret_stats->value_bytes = memory->value_bytes;
    ret_stats->memory_bytes = sizeof *memory + memory->segment_capacity * sizeof *memory->segments +
                              segments * SEGMENT_BUCKETS * sizeof(struct bucket) +
                              memory->overflow_buckets * (sizeof(struct bucket) + 16) + memory->entry_bytes;
    if (snapshot)
        ret_stats->memory_bytes += sizeof *snapshot + memory_snapshot_pending(snapshot);
}

static void close_bucket(struct memory *memory, struct bucket *first)
{
    for (struct bucket *bucket = first, *more; bucket; bucket = more) {
        more = bucket->more;
        for (unsigned i = 0; i < BUCKET_SLOTS && bucket->slots[i]; i++)
            entry_free(memory, slot_entry(bucket->slots[i]));
        if (bucket != first)
            free(bucket);
    }
}

bool cairn_memory_close_some(struct cairn_engine *engine)
{
    struct memory *memory = memory_of(engine);

    if (memory->closed < memory->buckets)
        close_bucket(memory, bucket_at(memory, memory->closed++));
    if (memory->closed < memory->buckets)
        return false;
    engine->ops->close(engine);
    return true;
}

static struct cairn_engine *memory_close(struct cairn_engine *engine)
{
    struct memory *memory;

    if (!engine)
        return NULL;
    memory = memory_of(engine);
    memory_snapshot_end(memory->snapshot);
    while (memory->closed < memory->buckets)
        close_bucket(memory, bucket_at(memory, memory->closed++));
    assert(memory->keys == 0 && memory->key_bytes == 0 && memory->value_bytes == 0 && memory->entry_bytes == 0);
    for (uint64_t i = 0; i < (memory->buckets + SEGMENT_BUCKETS - 1) / SEGMENT_BUCKETS; i++)
        free(memory->segments[i]);
    if (memory->loading)
        memory_blob_unref(memory->loading->blob);
    free(memory->loading);
    free(memory->segments);
    free(memory);
    return NULL;
}

/* --- what it never has to do: nothing of it is written in the background --- */

static enum cairn_code memory_ready(struct cairn_engine *engine, size_t bytes, struct cairn_err *err)
{
    (void)engine;
    (void)bytes;
    (void)err;
    return CAIRN_OK;
}

static enum cairn_code memory_check_writers(const struct cairn_engine *engine, struct cairn_err *err)
{
    (void)engine;
    (void)err;
    return CAIRN_OK;
}

static void memory_settle(struct cairn_engine *engine)
{
    (void)engine;
}

static enum cairn_code memory_work(struct cairn_engine *engine, bool retry, struct cairn_err *err)
{
    (void)engine;
    (void)retry;
    (void)err;
    return CAIRN_OK;
}

static const struct cairn_view_ops memory_view_ops = {
    .get = memory_get, .prefetch = memory_prefetch, .visit = memory_visit};

static const struct cairn_engine_ops memory_ops = {
    .put = memory_put,
    .remove = memory_remove,
    .ready = memory_ready,
    .check_writers = memory_check_writers,
    .settle = memory_settle,
    .work = memory_work,
    .stats = memory_stats,
    .close = memory_close,
};

struct cairn_engine *cairn_memory_create(void)
{
    struct memory *memory = cairn_alloc_zeroed(1, sizeof *memory);

    memory->base.view.ops = &memory_view_ops;
    memory->base.ops = &memory_ops;
    memory->base.snapshots = &memory_snapshot_ops;
    memory->segment_capacity = 64;
    memory->segments = cairn_alloc(memory->segment_capacity * sizeof *memory->segments);
    memory->segments[0] = segment_create();
    memory->buckets = memory->round = SEGMENT_BUCKETS;
    return &memory->base;
}
