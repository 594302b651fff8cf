#include "object/durable_list.h"

#include "object/durable_internal.h"
#include "object/layout.h"
#include "object/worker.h"

/* --- what it does ------------------------------------------------------------------------------------------ */

static void look_asleep(const struct invocation *inv, struct durable_item *item)
{
    const struct durable *d = inv->durable;
    const struct durable_wait *wait = durable_wait_find(d, inv->awaiting);

    if (!wait) {
        item->doing = DURABLE_WAITS_ALL;
        item->count = d->wait_count + inv->calls_out;
        return;
    }
    item->doing = wait->is_promise ? DURABLE_WAITS_PROMISE : DURABLE_SLEEPS;
    item->call = wait->call;
    item->until_ms = wait->due_ms;
    memcpy(item->promise.secret, wait->secret, sizeof item->promise.secret);
}

static void look_live(const struct invocation *inv, struct durable_item *item)
{
    const struct durable *d = inv->durable;

    if (d->since_ms)
        item->since_ms = d->since_ms;
    switch (inv->state) {
    case INV_MAILBOX:
        item->doing = DURABLE_QUEUED;
        break;
    case INV_WAITING:
        item->doing = inv->awaiting == UINT32_MAX ? DURABLE_WAITS_CALLS : DURABLE_WAITS_CALL;
        item->call = inv->awaiting;
        item->count = inv->calls_out;
        break;
    case INV_RETURNING:
        item->doing = DURABLE_WAITS_CALLS;
        item->count = inv->calls_out;
        break;
    case INV_ASLEEP:
        if (!cairn_list_empty(&d->parked))
            item->doing = DURABLE_PUT_OFF;
        else
            look_asleep(inv, item);
        break;
    default:
        item->doing = DURABLE_RUNS;
        item->step = d->entry + 1;
    }
}

static void look_sleeper(struct shard *shard, struct durable_item *item)
{
    struct durable_sleeper sleeper;

    if (!durable_sleeper_get(shard->engine, item->number, &sleeper))
        return;
    item->since_ms = sleeper.since_ms;
    item->until_ms = sleeper.wake_ms;
    item->call = sleeper.call;
    item->count = sleeper.count;
    item->doing = sleeper.what == DURABLE_FOR_SLEEP     ? DURABLE_SLEEPS
                  : sleeper.what == DURABLE_FOR_PROMISE ? DURABLE_WAITS_PROMISE
                                                        : DURABLE_WAITS_ALL;
    memcpy(item->promise.secret, sleeper.secret, sizeof item->promise.secret);
}

bool durable_item_get(struct cairn_worker *worker, struct shard *shard, uint64_t number, struct durable_item *ret_item)
{
    const struct open *open = opens_find(&worker->durables->opens, shard->index, number);
    struct durable_item item = {.number = number, .doing = DURABLE_STARTS, .until_ms = UINT64_MAX};
    struct cairn_bytes bytes;

    if (!open || !open->live)
        look_sleeper(shard, &item);
    if (!durable_head_get(shard->engine, number, &bytes))
        return false;
    if (!durable_head_decode(bytes, &item.head))
        item.head = (struct durable_head){0};
    if (!item.since_ms)
        item.since_ms = item.head.began_ms;
    if (open && open->live)
        look_live(open->live->inv, &item);
    item.promise.shard = shard->index;
    item.promise.number = number;
    item.promise.call = item.call;
    *ret_item = item;
    return true;
}

/* --- its journal --------------------------------------------------------------------------------------------- */

static bool read_chunk(struct durable_walk *walk)
{
    uint8_t key[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes k = cairn_bytes(key, durable_chunk_key(key, walk->number, walk->chunk)), chunk;

    if (!walk->engine->ops->get(walk->engine, k, cairn_hash(k), &chunk))
        return false;
    if (walk->at) {
        cairn_buf_consume(&walk->bytes, walk->at);
        walk->at = 0;
    }
    cairn_buf_add(&walk->bytes, chunk.data, chunk.size);
    walk->chunk++;
    if (!walk->skip)
        return true;
    walk->at = walk->skip < walk->bytes.size ? walk->skip : walk->bytes.size;
    walk->skip = 0;
    return true;
}

bool durable_walk_next(struct durable_walk *walk, struct journal_entry *ret_entry)
{
    for (;;) {
        if (walk->at < walk->bytes.size) {
            struct cairn_reader r = cairn_reader(cairn_bytes(walk->bytes.data + walk->at, walk->bytes.size - walk->at));

            if (journal_read(&r, ret_entry)) {
                walk->at = (size_t)(r.at - walk->bytes.data);
                walk->step += ret_entry->op != JOURNAL_OUTCOME;
                walk->call += journal_is_call(ret_entry->op);
                return true;
            }
        }
        if (!read_chunk(walk))
            return false;
    }
}

void durable_walk_place(const struct durable_walk *walk, uint64_t *ret_chunk, uint64_t *ret_skip)
{
    uint64_t left = walk->bytes.size - walk->at, chunk = walk->chunk;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes value;

    *ret_skip = 0;
    while (left && chunk) {
        struct cairn_bytes k = cairn_bytes(key, durable_chunk_key(key, walk->number, --chunk));

        if (!walk->engine->ops->get(walk->engine, k, cairn_hash(k), &value))
            break;
        if (value.size >= left) {
            *ret_skip = value.size - left;
            break;
        }
        left -= value.size;
    }
    *ret_chunk = chunk;
}

void durable_walk_done(struct durable_walk *walk)
{
    cairn_buf_done(&walk->bytes);
}

bool durable_called_of(const struct journal_entry *entry, struct cairn_bytes *ret_type, struct cairn_bytes *ret_id,
                       struct cairn_bytes *ret_method)
{
    struct cairn_reader r = cairn_reader(entry->result);

    *ret_type = cairn_read_sized(&r);
    *ret_id = cairn_read_sized(&r);
    *ret_method = cairn_read_sized(&r);
    return entry->op == JOURNAL_CALL && !r.bad && ret_type->size;
}
