/* memory_snapshot.c - an image of the table at one moment, written while the table is used.
 *
 * The mark decides what belongs to the image.  snapshot_begin chooses a new generation; an
 * entry born or replaced from then on carries it, and so does one whose image has gone out.
 * Whatever carries another one was there at the beginning and has not been seen yet.  So
 * neither splits, which move entries to buckets the walk is still to reach, nor entries that
 * move within their chain can make the walk take one twice or miss one.
 *
 * Short values are copied into the chunk at hand; long ones (blobs) get a reference and are
 * copied slice by slice, so that a step's work is bounded by its budget and no single
 * operation copies more than a key and INLINE_BYTES_MAX.
 *
 * Chunks: docs/formats/checkpoint.md, "Items". */
#include "engine/memory_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"

/* Work is estimated rather than timed, so that a simulated run replays.  What things cost was
 * measured with bench/engine_micro.c and rounded up. */
enum { BUCKET_NS = 20, ENTRY_NS = 80, BYTES_PER_NS = 2, BUDGET_NS_MAX = 1000000000 };

/* --- encoding -------------------------------------------------------------------------------- */

static void finish_chunk(struct cairn_snapshot *snapshot)
{
    struct chunk *chunk;

    if (!snapshot->open.size)
        return;
    chunk = cairn_alloc(sizeof *chunk);
    chunk->next = NULL;
    chunk->bytes = snapshot->open;
    snapshot->open = (struct cairn_buf){0};
    snapshot->chunk_bytes += chunk->bytes.size;
    *snapshot->last = chunk;
    snapshot->last = &chunk->next;
}

/* Room for `bytes` in the open chunk, which is finished first if they do not fit. */
static struct cairn_buf *room_for(struct cairn_snapshot *snapshot, size_t bytes)
{
    assert(bytes <= CAIRN_SNAPSHOT_CHUNK_BYTES);
    if (snapshot->open.size + bytes > CAIRN_SNAPSHOT_CHUNK_BYTES)
        finish_chunk(snapshot);
    if (!snapshot->open.data)
        cairn_buf_reserve(&snapshot->open, CAIRN_SNAPSHOT_CHUNK_BYTES);
    return &snapshot->open;
}

static size_t add_inline(struct cairn_snapshot *snapshot, const struct entry *entry)
{
    struct cairn_bytes key = entry_key(entry), value = entry_value(entry);
    size_t bound = key.size + value.size + 2 * CAIRN_VARINT_BYTES_MAX;
    struct cairn_buf *to = room_for(snapshot, bound);

    cairn_buf_varint(to, key.size);
    cairn_buf_add(to, key.data, key.size);
    cairn_buf_varint(to, value.size);
    cairn_buf_add(to, value.data, value.size);
    return bound;
}

static void hold(struct cairn_snapshot *snapshot, const struct entry *entry)
{
    struct cairn_bytes key = entry_key(entry);
    struct held *held = cairn_alloc(sizeof *held + key.size);

    held->next = NULL;
    held->blob = entry_blob(entry);
    held->blob->refs++;
    held->key_bytes = (uint32_t)key.size;
    memcpy(held->key, key.data, key.size);
    *snapshot->last_held = held;
    snapshot->last_held = &held->next;
}

static void drop_first_held(struct cairn_snapshot *snapshot)
{
    struct held *held = snapshot->first_held;

    snapshot->first_held = held->next;
    if (!snapshot->first_held)
        snapshot->last_held = &snapshot->first_held;
    snapshot->held_done = 0;
    if (held->blob->orphan)
        snapshot->orphan_bytes -= held->blob->bytes;
    memory_blob_unref(held->blob);
    free(held);
}

/* Copies at most `limit` bytes (and at least one) of the first held blob. */
static size_t add_slice(struct cairn_snapshot *snapshot, size_t limit)
{
    const struct held *held = snapshot->first_held;
    size_t head = held->key_bytes + 4 * CAIRN_VARINT_BYTES_MAX;
    size_t left = held->blob->bytes - snapshot->held_done, room;
    struct cairn_buf *to = room_for(snapshot, head + 4096);

    room = CAIRN_SNAPSHOT_CHUNK_BYTES - to->size - head;
    if (left > limit)
        left = limit ? limit : 1;
    if (left > room)
        left = room;
    cairn_buf_varint(to, held->key_bytes);
    cairn_buf_add(to, held->key, held->key_bytes);
    cairn_buf_varint(to, held->blob->bytes);
    cairn_buf_varint(to, snapshot->held_done);
    cairn_buf_varint(to, left);
    cairn_buf_add(to, held->blob->data + snapshot->held_done, left);
    snapshot->held_done += (uint32_t)left;
    if (snapshot->held_done == held->blob->bytes)
        drop_first_held(snapshot);
    return head + left;
}

/* --- while the table is used ----------------------------------------------------------------- */

/* Returns the bytes copied; 0 if the entry is not part of the image or was there already. */
static size_t save(struct cairn_snapshot *snapshot, struct entry *entry)
{
    if (entry->mark == snapshot->memory->mark)
        return 0;
    entry->mark = snapshot->memory->mark & (MARK_COUNT - 1);
    if (!entry->is_blob)
        return add_inline(snapshot, entry);
    hold(snapshot, entry);
    return 1;
}

void memory_snapshot_save(struct cairn_snapshot *snapshot, struct entry *entry)
{
    save(snapshot, entry);
}

void memory_snapshot_orphan(struct cairn_snapshot *snapshot, struct blob *blob)
{
    blob->orphan = true;
    snapshot->orphan_bytes += blob->bytes;
}

/* --- the walk -------------------------------------------------------------------------------- */

/* Generations are used again after MARK_COUNT of them.  That is safe as long as some walk went
 * to its end in between; if none did, the marks are made equal here, in one go. */
static void renew_marks(struct memory *memory)
{
    for (uint64_t index = 0; index < memory->buckets; index++)
        for (struct bucket *bucket = bucket_at(memory, index); bucket; bucket = bucket->more)
            for (unsigned i = 0; i < BUCKET_SLOTS && bucket->slots[i]; i++)
                slot_entry(bucket->slots[i])->mark = memory->mark & (MARK_COUNT - 1);
    memory->incomplete_walks = 0;
}

static struct cairn_snapshot *snapshot_begin(struct cairn_engine *engine)
{
    struct memory *memory = memory_of(engine);
    struct cairn_snapshot *snapshot = cairn_alloc_zeroed(1, sizeof *snapshot);

    assert(!memory->snapshot);
    if (memory->incomplete_walks >= MARK_COUNT - 2)
        renew_marks(memory);
    memory->incomplete_walks++;
    memory->mark = (memory->mark + 1) & (MARK_COUNT - 1);
    memory->snapshot = snapshot;
    snapshot->memory = memory;
    snapshot->last = &snapshot->first;
    snapshot->last_held = &snapshot->first_held;
    return snapshot;
}

/* False when the budget ran out within the bucket: it is then walked again from its start. */
static bool walk_bucket(struct cairn_snapshot *snapshot, int64_t *left_ns)
{
    struct bucket *bucket = bucket_at(snapshot->memory, snapshot->cursor);

    for (; bucket; bucket = bucket->more) {
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            __builtin_prefetch(slot_entry(bucket->slots[i]));
        for (unsigned i = 0; i < BUCKET_SLOTS && bucket->slots[i]; i++) {
            size_t bytes = save(snapshot, slot_entry(bucket->slots[i]));
            if (!bytes)
                continue;
            *left_ns -= ENTRY_NS + (int64_t)(bytes / BYTES_PER_NS);
            if (*left_ns <= 0)
                return false;
        }
    }
    *left_ns -= BUCKET_NS;
    return true;
}

static bool snapshot_step(struct cairn_snapshot *snapshot, uint64_t budget_ns)
{
    struct memory *memory = snapshot->memory;
    int64_t left_ns = budget_ns > BUDGET_NS_MAX ? BUDGET_NS_MAX : (int64_t)budget_ns;

    while (!snapshot->complete && left_ns > 0 && snapshot->chunk_bytes <= CAIRN_SNAPSHOT_PENDING_MAX) {
        if (snapshot->first_held) {
            /* Held blobs first: the sooner they are copied the sooner their memory is free. */
            left_ns -= ENTRY_NS + (int64_t)(add_slice(snapshot, (size_t)left_ns * BYTES_PER_NS) / BYTES_PER_NS);
        } else if (snapshot->cursor < memory->buckets) {
            __builtin_prefetch(bucket_at(memory, (snapshot->cursor + 2) % memory->buckets));
            if (walk_bucket(snapshot, &left_ns))
                snapshot->cursor++;
        } else {
            finish_chunk(snapshot);
            snapshot->complete = true;
            memory->incomplete_walks = 0;
        }
    }
    return snapshot->complete;
}

static bool snapshot_take_chunk(struct cairn_snapshot *snapshot, struct cairn_buf *to)
{
    struct chunk *chunk = snapshot->first;

    if (!chunk)
        return false;
    snapshot->first = chunk->next;
    if (!snapshot->first)
        snapshot->last = &snapshot->first;
    snapshot->chunk_bytes -= chunk->bytes.size;
    cairn_buf_done(to);
    *to = chunk->bytes;
    free(chunk);
    return true;
}

size_t memory_snapshot_pending(struct cairn_snapshot *snapshot)
{
    return snapshot->chunk_bytes + snapshot->open.size + snapshot->orphan_bytes;
}

struct cairn_snapshot *memory_snapshot_end(struct cairn_snapshot *snapshot)
{
    struct cairn_buf chunk = {0};

    if (!snapshot)
        return NULL;
    while (snapshot_take_chunk(snapshot, &chunk))
        ;
    cairn_buf_done(&chunk);
    cairn_buf_done(&snapshot->open);
    while (snapshot->first_held)
        drop_first_held(snapshot);
    assert(snapshot->orphan_bytes == 0);
    snapshot->memory->snapshot = NULL;
    free(snapshot);
    return NULL;
}

/* --- loading --------------------------------------------------------------------------------- */

struct item {
    size_t at;                     /* in the chunk */
    struct cairn_bytes key, value; /* value: the slice if the item is one */
    uint64_t total, offset, hash;  /* total: of the whole value */
};

static enum cairn_code read_item(struct cairn_reader *r, struct item *item, struct cairn_err *err)
{
    uint64_t size;

    item->key = cairn_read_sized(r);
    item->total = size = cairn_read_varint(r);
    item->offset = 0;
    if (r->bad || item->key.size < 1 || item->key.size > CAIRN_SNAPSHOT_KEY_BYTES_MAX || size > CAIRN_VALUE_BYTES_MAX)
        return cairn_fail(err, CAIRN_ECORRUPT, "malformed item");
    if (item->total > INLINE_BYTES_MAX) {
        item->offset = cairn_read_varint(r);
        size = cairn_read_varint(r);
        if (size == 0 || size > item->total || item->offset > item->total - size)
            return cairn_fail(err, CAIRN_ECORRUPT, "malformed slice of a long value");
    }
    item->value = cairn_read_bytes(r, (size_t)size);
    if (r->bad)
        return cairn_fail(err, CAIRN_ECORRUPT, "a value that ends behind its chunk");
    item->hash = cairn_hash(item->key);
    return CAIRN_OK;
}

static enum cairn_code load_slice(struct memory *memory, const struct item *item, struct cairn_err *err)
{
    struct held *held = memory->loading;

    if (!held) {
        if (item->offset != 0)
            return cairn_fail(err, CAIRN_ECORRUPT, "a long value does not start at its first byte");
        held = cairn_alloc(sizeof *held + item->key.size);
        held->blob = memory_blob_create((uint32_t)item->total);
        held->key_bytes = (uint32_t)item->key.size;
        memcpy(held->key, item->key.data, item->key.size);
        memory->loading = held;
        memory->loading_done = 0;
    } else if (item->offset != memory->loading_done || item->total != held->blob->bytes ||
               !cairn_bytes_equal(item->key, cairn_bytes(held->key, held->key_bytes))) {
        return cairn_fail(err, CAIRN_ECORRUPT, "a slice does not continue the long value before it");
    }
    memcpy(held->blob->data + item->offset, item->value.data, item->value.size);
    memory->loading_done += (uint32_t)item->value.size;
    if (memory->loading_done == item->total) {
        memory->loading = NULL;
        memory_insert(memory, item->key, item->hash, cairn_bytes(NULL, 0), held->blob);
        free(held);
    }
    return CAIRN_OK;
}

static enum cairn_code load_item(struct memory *memory, const struct item *item, struct cairn_err *err)
{
    struct cairn_bytes value;

    if (memory->base.view.ops->get(&memory->base.view, item->key, item->hash, &value))
        return cairn_fail(err, CAIRN_ECORRUPT, "a key that occurred before");
    if (item->total > INLINE_BYTES_MAX)
        return load_slice(memory, item, err);
    memory_insert(memory, item->key, item->hash, item->value, NULL);
    return CAIRN_OK;
}

/* Some items at a time: while one is read, the table's lines for those before it are on their way. */
static enum cairn_code load_chunk(struct cairn_engine *engine, struct cairn_bytes chunk, struct cairn_err *err)
{
    enum { BATCH = 32 };
    struct memory *memory = memory_of(engine);
    struct cairn_reader r = cairn_reader(chunk);
    enum cairn_code code = CAIRN_OK;
    struct item items[BATCH];
    size_t at = 0;

    assert(!memory->snapshot);
    while (code == CAIRN_OK && cairn_reader_left(&r)) {
        enum cairn_code read_code = CAIRN_OK;
        size_t count = 0;

        while (count < BATCH && cairn_reader_left(&r)) {
            items[count].at = at = (size_t)(r.at - chunk.data);
            read_code = read_item(&r, &items[count], err);
            if (read_code != CAIRN_OK)
                break;
            memory_prefetch(&engine->view, items[count++].hash, 0);
        }
        code = read_code;
        for (size_t i = 0; i < count && code == CAIRN_OK; i++) {
            at = items[i].at;
            code = load_item(memory, &items[i], err);
        }
        if (code != CAIRN_OK && err)
            cairn_while(err, "reading the item at byte %zu of a chunk", at);
    }
    return code;
}

const struct cairn_snapshot_ops memory_snapshot_ops = {
    .begin = snapshot_begin,
    .step = snapshot_step,
    .take_chunk = snapshot_take_chunk,
    .pending = memory_snapshot_pending,
    .end = memory_snapshot_end,
    .load_chunk = load_chunk,
};
