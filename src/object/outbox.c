#include "object/outbox.h"

#include <stdlib.h>

#include "object/clock.h"
#include "object/layout.h"
#include "object/worker.h"

enum {
    BATCH_MESSAGES = 128,
    BATCH_BYTES = 64 << 10, /* and one message more */
};

struct channel {
    uint64_t first, end, committed_end; /* numbers of what it holds */
    struct dependency record;           /* on the last that was added */
    struct batch *batch;                /* on its way; NULL: none is */
    bool taken;                         /* it is back, was taken in, and is to be removed here */
    uint64_t retry_ns;                  /* not before; 0: at once */
};

/* A batch on its way.  It goes back and forth between the two shards' owners. */
struct batch {
    struct message message; /* first */
    uint32_t from, to;      /* shards */
    uint64_t first, count;
    struct cairn_buf items; /* each u32 size, posted.h */
    struct dependency record;
    size_t bytes; /* counted for these messages */
    bool taken;
};

static struct cairn_bytes key_of_shard(uint8_t *to, uint8_t kind, uint32_t shard)
{
    to[0] = kind;
    return cairn_bytes(to, 1 + cairn_put_varint(to + 1, shard));
}

struct cairn_bytes outbox_key(uint8_t to[OUTBOX_KEY_BYTES_MAX], uint32_t shard, uint64_t number)
{
    size_t n = key_of_shard(to, KEY_OUTBOX, shard).size;

    cairn_put_be64(to + n, number);
    return cairn_bytes(to, n + 8);
}

static struct channel *channel_of(struct messages *messages, uint32_t to)
{
    if (!messages->channels)
        messages->channels = cairn_alloc_zeroed(messages->worker->node->shard_count, sizeof(struct channel *));
    if (!messages->channels[to])
        messages->channels[to] = cairn_alloc_zeroed(1, sizeof(struct channel));
    return messages->channels[to];
}

enum cairn_code outbox_open(struct messages *messages, struct cairn_err *err)
{
    struct cairn_view *engine = messages->shard->engine;

    for (uint32_t to = 0; to < messages->worker->node->shard_count; to++) {
        uint8_t bytes[OUTBOX_KEY_BYTES_MAX];
        struct cairn_bytes key = key_of_shard(bytes, KEY_CHANNEL, to), value;
        struct cairn_reader r;
        struct channel *channel;

        if (!engine->ops->get(engine, key, cairn_hash(key), &value))
            continue;
        channel = channel_of(messages, to);
        r = cairn_reader(value);
        channel->first = cairn_read_varint(&r);
        channel->end = channel->committed_end = cairn_read_varint(&r);
    }
    return cairn_engine_take_failure(engine, err);
}

static void drop_batch(struct cairn_worker *worker, struct message *message)
{
    struct batch *batch = (struct batch *)message;

    (void)worker;
    cairn_buf_done(&batch->items);
    free(batch);
}

void outbox_close(struct messages *messages)
{
    for (uint32_t to = 0; messages->channels && to < messages->worker->node->shard_count; to++) {
        struct channel *channel = messages->channels[to];

        if (channel && channel->taken)
            drop_batch(messages->worker, &channel->batch->message);
        free(channel);
    }
    free(messages->channels);
    messages->channels = NULL;
}

bool outbox_extent(const struct messages *messages, uint32_t shard, uint64_t *ret_first, uint64_t *ret_end)
{
    const struct channel *channel = messages->channels ? messages->channels[shard] : NULL;

    if (!channel || channel->first == channel->committed_end)
        return false;
    *ret_first = channel->first;
    *ret_end = channel->committed_end;
    return true;
}

/* --- sending --- */

static void channel_store(struct overlay *overlay, uint32_t to, const struct channel *channel)
{
    uint8_t key[OUTBOX_KEY_BYTES_MAX], value[2 * CAIRN_VARINT_BYTES_MAX];
    size_t n = cairn_put_varint(value, channel->first);

    n += cairn_put_varint(value + n, channel->end);
    overlay_put(overlay, key_of_shard(key, KEY_CHANNEL, to), cairn_bytes(value, n));
}

void outbox_add(struct messages *messages, struct overlay *overlay, uint32_t to, struct cairn_bytes encoded)
{
    struct channel *channel = channel_of(messages, to);
    uint8_t key[OUTBOX_KEY_BYTES_MAX];

    overlay_put(overlay, outbox_key(key, to, channel->end++), encoded);
    channel_store(overlay, to, channel);
    messages->numbers.out++;
    messages->numbers.bytes += encoded.size + MESSAGE_OVERHEAD_BYTES;
}

void outbox_undo(struct messages *messages, uint32_t to)
{
    struct channel *channel = channel_of(messages, to);

    channel->end = channel->committed_end;
}

void outbox_committed(struct messages *messages, uint32_t to, struct dependency record)
{
    struct channel *channel = channel_of(messages, to);

    channel->committed_end = channel->end;
    channel->record = record;
}

static void batch_arrives(struct cairn_worker *worker, struct message *message);

/* False: it could not be read now. */
static bool fill(struct messages *messages, const struct channel *channel, struct batch *batch)
{
    struct cairn_view *engine = messages->shard->engine;

    (void)cairn_engine_take_failure(engine, NULL);
    while (batch->first + batch->count < channel->committed_end && batch->count < BATCH_MESSAGES &&
           batch->items.size < BATCH_BYTES) {
        uint8_t bytes[OUTBOX_KEY_BYTES_MAX], size[4];
        struct cairn_bytes key = outbox_key(bytes, batch->to, batch->first + batch->count), value;

        if (!engine->ops->get(engine, key, cairn_hash(key), &value))
            break;
        cairn_put_u32(size, (uint32_t)value.size);
        cairn_buf_add(&batch->items, size, sizeof size);
        cairn_buf_add(&batch->items, value.data, value.size);
        batch->bytes += value.size + MESSAGE_OVERHEAD_BYTES;
        batch->count++;
    }
    return cairn_engine_take_failure(engine, NULL) == CAIRN_OK && batch->count > 0;
}

static void send_batch(struct messages *messages, uint32_t to, struct channel *channel)
{
    struct cairn_worker *worker = messages->worker;
    struct batch *batch = cairn_alloc_zeroed(1, sizeof *batch);

    batch->message = (struct message){.receive = batch_arrives, .drop = drop_batch};
    batch->from = messages->shard->index;
    batch->to = to;
    batch->first = channel->first;
    if (!fill(messages, channel, batch)) {
        drop_batch(worker, &batch->message);
        channel->retry_ns = worker_recent_ns(worker) + MESSAGES_RETRY_NS;
        return;
    }
    channel->batch = batch;
    worker_send(worker, node_owner(worker->node, to), &batch->message);
}

/* --- taking in, at the receiving shard's owner --- */

static uint64_t mark_of(struct overlay *overlay, uint32_t from)
{
    uint8_t key[OUTBOX_KEY_BYTES_MAX];
    struct cairn_bytes value;
    struct cairn_reader r;

    if (!overlay_get(overlay, key_of_shard(key, KEY_MARK, from), &value))
        return 0;
    r = cairn_reader(value);
    return cairn_read_varint(&r);
}

static void add_items(struct messages *messages, struct overlay *overlay, const struct batch *batch, uint64_t mark)
{
    const uint8_t *at = batch->items.data;

    for (uint64_t i = 0; i < batch->count; i++) {
        struct cairn_bytes encoded = cairn_bytes(at + 4, cairn_get_u32(at));
        struct posted posted;

        if (batch->first + i >= mark && posted_decode(encoded, &posted)) {
            if (!spaces_lack(&messages->worker->node->spaces, posted.space)) /* it was removed meanwhile (sweep.h) */
                messages_add(messages, overlay, &posted, encoded);
        } else if (batch->first + i >= mark)
            messages_bury_spoiled(messages, overlay, encoded);
        at += 4 + encoded.size;
    }
}

/* One record; false if there is no room for it, or for the messages. */
static bool take_in(struct cairn_worker *worker, struct batch *batch)
{
    struct shard *shard = worker_shard(worker, batch->to);
    struct messages *messages = shard->messages;
    struct overlay overlay = {0};
    uint8_t key[OUTBOX_KEY_BYTES_MAX], value[CAIRN_VARINT_BYTES_MAX];
    uint64_t mark, end = batch->first + batch->count;
    bool done = true;

    overlay_reset(&overlay, shard->engine);
    mark = mark_of(&overlay, batch->from);
    if (overlay.code != CAIRN_OK || !messages_may_begin(messages)) {
        done = false;
    } else if (mark < end) {
        messages_begin(messages);
        add_items(messages, &overlay, batch, mark);
        overlay_put(&overlay, key_of_shard(key, KEY_MARK, batch->from),
                    cairn_bytes(value, cairn_put_varint(value, end)));
        done = messages->numbers.bytes <= messages->before.bytes || messages_room(messages, 0, NULL) == CAIRN_OK;
        if (done)
            done = messages_commit(messages, &overlay, "messages");
        else
            messages_undo(messages);
    }
    batch->record = messages->last; /* or, if it came before, a record before that */
    overlay_done(&overlay);
    return done;
}

static void batch_returns(struct cairn_worker *worker, struct message *message);

static void batch_arrives(struct cairn_worker *worker, struct message *message)
{
    struct batch *batch = (struct batch *)message;

    batch->taken = !worker->failed && take_in(worker, batch);
    worker->messages_look = true;
    batch->message.receive = batch_returns;
    worker_send(worker, node_owner(worker->node, batch->from), &batch->message);
}

/* --- back at the sending shard's owner --- */

static void batch_returns(struct cairn_worker *worker, struct message *message)
{
    struct batch *batch = (struct batch *)message;
    struct channel *channel = worker_shard(worker, batch->from)->messages->channels[batch->to];

    worker->messages_look = true;
    channel->taken = batch->taken;
    if (channel->taken)
        return;
    channel->batch = NULL;
    channel->retry_ns = worker_recent_ns(worker) + MESSAGES_RETRY_NS;
    drop_batch(worker, message);
}

/* What has been taken in for good is no longer needed here.  False: not now. */
static bool remove_batch(struct messages *messages, struct channel *channel)
{
    struct cairn_worker *worker = messages->worker;
    struct batch *batch = channel->batch;
    struct overlay overlay = {0};
    bool done;

    /* With one log the removal lies behind the taking in, and is lost with it. */
    if (!worker->node->has_one_log && !dependency_met(worker->node, batch->record)) {
        dependency_want(worker->node, batch->record);
        return false;
    }
    overlay_reset(&overlay, messages->shard->engine);
    messages_begin(messages);
    for (uint64_t i = 0; i < batch->count; i++) {
        uint8_t key[OUTBOX_KEY_BYTES_MAX];

        overlay_remove(&overlay, outbox_key(key, batch->to, batch->first + i));
    }
    channel->first += batch->count;
    channel_store(&overlay, batch->to, channel);
    messages->numbers.out -= batch->count;
    messages->numbers.bytes -= batch->bytes;
    done = messages_commit(messages, &overlay, "sent");
    overlay_done(&overlay);
    if (!done) {
        channel->first -= batch->count;
        return false;
    }
    channel->batch = NULL;
    channel->taken = false;
    drop_batch(worker, &batch->message);
    return true;
}

static bool channel_step(struct messages *messages, uint32_t to, struct channel *channel)
{
    struct cairn_worker *worker = messages->worker;

    if (channel->retry_ns) {
        if (worker_recent_ns(worker) < channel->retry_ns) {
            messages->retry_ns = channel->retry_ns;
            return false;
        }
        channel->retry_ns = 0;
    }
    if (channel->taken && !remove_batch(messages, channel)) {
        messages->retry_ns = channel->retry_ns = worker_recent_ns(worker) + MESSAGES_RETRY_NS;
        return false;
    }
    if (channel->batch)
        return false;
    if (channel->first == channel->committed_end)
        return false;
    if (!worker->node->has_one_log && !dependency_met(worker->node, channel->record)) {
        dependency_want(worker->node, channel->record);
        messages->retry_ns = channel->retry_ns = worker_recent_ns(worker) + MESSAGES_RETRY_NS;
        return false;
    }
    send_batch(messages, to, channel);
    return channel->batch != NULL;
}

bool outbox_step(struct messages *messages)
{
    bool more = false;

    for (uint32_t to = 0; messages->channels && to < messages->worker->node->shard_count; to++)
        if (messages->channels[to])
            more |= channel_step(messages, to, messages->channels[to]);
    return more;
}
