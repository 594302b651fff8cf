#include "object/messages.h"

#include <stdlib.h>

#include "object/clock.h"
#include "object/commit.h"
#include "object/delivery.h"
#include "object/due.h"
#include "object/kept.h"
#include "object/layout.h"
#include "object/outbox.h"
#include "object/quota.h"
#include "object/receiver.h"
#include "object/table.h"
#include "object/timers.h"
#include "object/tree.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    SENDS_PER_SEGMENT_MAX = 4096,
};

uint64_t messages_clock_ms(const struct cairn_worker *worker)
{
    struct cairn_clock *clock = worker->node->options.clock;

    return clock->wall_ms(clock);
}

/* --- the numbers --- */

static struct message_numbers numbers_read(struct cairn_bytes value)
{
    struct cairn_reader r = cairn_reader(value);
    struct message_numbers n = {.first = cairn_read_varint(&r)};

    n.looked = cairn_read_varint(&r);
    n.end = cairn_read_varint(&r);
    n.sides = cairn_read_varint(&r);
    n.waiting = cairn_read_varint(&r);
    n.dead = cairn_read_varint(&r);
    n.out = cairn_read_varint(&r);
    n.bytes = cairn_read_varint(&r);
    return n;
}

bool messages_numbers(struct overlay *overlay, struct message_numbers *ret_numbers)
{
    uint8_t key = KEY_MESSAGES;
    struct cairn_bytes value;

    if (!overlay_get(overlay, cairn_bytes(&key, 1), &value))
        return false;
    *ret_numbers = numbers_read(value);
    return true;
}

void messages_put_numbers(struct overlay *overlay, const struct message_numbers *n)
{
    uint8_t key = KEY_MESSAGES, value[8 * CAIRN_VARINT_BYTES_MAX];
    size_t at = 0;

    at += cairn_put_varint(value + at, n->first);
    at += cairn_put_varint(value + at, n->looked);
    at += cairn_put_varint(value + at, n->end);
    at += cairn_put_varint(value + at, n->sides);
    at += cairn_put_varint(value + at, n->waiting);
    at += cairn_put_varint(value + at, n->dead);
    at += cairn_put_varint(value + at, n->out);
    at += cairn_put_varint(value + at, n->bytes);
    overlay_put(overlay, cairn_bytes(&key, 1), cairn_bytes(value, at));
}

static enum cairn_code load(struct messages *messages, struct cairn_err *err)
{
    struct cairn_view *engine = messages->shard->engine;
    struct message_numbers *n = &messages->numbers;
    uint8_t key = KEY_MESSAGES;
    struct cairn_bytes k = cairn_bytes(&key, 1), value;
    struct overlay overlay = {0};
    enum cairn_code code;

    if (engine->ops->get(engine, k, cairn_hash(k), &value))
        *n = numbers_read(value);
    code = cairn_engine_take_failure(engine, err);
    if (code != CAIRN_OK)
        return code;
    messages->cursor = n->first;
    messages->recovered = n->looked;
    messages->side_look = messages->unpark = n->sides > 0;
    overlay_reset(&overlay, engine);
    messages->shard->due_ms = due_first_ms(&overlay);
    code = overlay.code;
    if (code != CAIRN_OK)
        *err = overlay.err;
    overlay_done(&overlay);
    return code;
}

static void count(struct messages *messages, const struct message_numbers *before)
{
    struct worker_counts *counts = &messages->worker->counts;
    const struct message_numbers *now = &messages->numbers;

    stat_add(&counts->letters_waiting, now->waiting - before->waiting + now->out - before->out);
    stat_add(&counts->letters_dead, now->dead - before->dead);
    stat_add(&counts->side_lines, now->sides - before->sides);
    stat_add(&counts->letter_bytes, now->bytes - before->bytes);
}

enum cairn_code messages_open(struct cairn_worker *worker, struct shard *shard, struct cairn_err *err)
{
    struct messages *messages = cairn_alloc_zeroed(1, sizeof *messages);
    enum cairn_code code;

    messages->worker = worker;
    messages->shard = shard;
    messages->receivers = cairn_alloc_zeroed(RECEIVER_BUCKETS, sizeof(struct receiver *));
    cairn_list_init(&messages->running);
    cairn_list_init(&messages->unsettled);
    shard->messages = messages;
    code = load(messages, err);
    if (code == CAIRN_OK)
        code = outbox_open(messages, err);
    if (code == CAIRN_OK) {
        count(messages, &(struct message_numbers){0});
        timers_count(shard);
    }
    worker->messages_look = true;
    return code;
}

void messages_close(struct shard *shard)
{
    if (!shard->messages)
        return;
    deliveries_close(shard->messages);
    receivers_close(shard->messages);
    free(shard->messages->receivers);
    cairn_buf_done(&shard->messages->side_at);
    cairn_buf_done(&shard->messages->parked_at);
    outbox_close(shard->messages);
    free(shard->messages);
    shard->messages = NULL;
}

void messages_begin(struct messages *messages)
{
    if (messages->making++ > 0)
        return;
    messages->spoiled = 0;
    messages->before = messages->numbers;
}

void messages_undo(struct messages *messages)
{
    messages->making--;
    messages->numbers = messages->before;
}

void messages_store(struct messages *messages, struct overlay *overlay)
{
    struct message_numbers *n = &messages->numbers;

    /* What runs is in the line until it is over. */
    n->first = cairn_list_empty(&messages->running) ? messages->cursor : delivery_first_number(messages);
    n->looked = messages->cursor;
    messages_put_numbers(overlay, n);
}

static void tell_spoiled(const struct messages *messages)
{
    stat_add(&messages->worker->counts.letters_spoiled, messages->spoiled);
    cairn_tell(messages->worker->node->options.events,
               &(struct cairn_event){
                   .level = CAIRN_LEVEL_ERROR,
                   .from = "objects",
                   .kind = "message_unreadable",
                   .text = "messages that are kept cannot be read: they are dead letters now and were not run; what "
                           "wrote them is a mistake of the node's, please report it with `cairn messages ls --dead`",
                   .fields = {{.key = "shard", .number = messages->shard->index},
                              {.key = "messages", .number = messages->spoiled}},
               });
}

void messages_recorded(struct messages *messages)
{
    messages->making--;
    count(messages, &messages->before);
    if (messages->spoiled)
        tell_spoiled(messages);
    messages->spoiled = 0;
    messages->before = messages->numbers;
    messages->worker->messages_look = true;
}

void messages_retry(struct messages *messages)
{
    messages->retry_ns = worker_recent_ns(messages->worker) + MESSAGES_RETRY_NS;
}

bool messages_commit(struct messages *messages, struct overlay *overlay, const char *note)
{
    struct kept_parts kept = {0};
    struct dependency record;
    bool done;

    messages_store(messages, overlay);
    kept_count_letters(&messages->worker->node->spaces, overlay, &kept);
    done = shard_commit_own(messages->worker, messages->shard, overlay, note, &record, NULL) == CAIRN_OK;
    if (!done)
        kept_parts_undo(&kept);
    kept_parts_done(&kept);
    if (!done) {
        messages_undo(messages);
        messages_retry(messages);
        return false;
    }
    messages->last = record;
    messages_recorded(messages);
    return true;
}

/* --- line, agenda, dead letters --- */

static void line_put(struct messages *messages, struct overlay *overlay, struct cairn_bytes encoded)
{
    uint8_t key[9];

    overlay_put(overlay, cairn_bytes(key, key_numbered(key, KEY_LINE, messages->numbers.end++)), encoded);
}

void messages_line_up(struct messages *messages, struct overlay *overlay, struct cairn_bytes encoded, uint64_t number)
{
    struct cairn_buf again = {0};
    struct posted posted;

    messages->numbers.bytes -= encoded.size + MESSAGE_OVERHEAD_BYTES;
    if (!posted_decode(encoded, &posted)) {
        messages->numbers.waiting--;
        messages_bury_spoiled(messages, overlay, encoded);
        return;
    }
    if (!posted.number)
        posted.number = number + 1;
    posted_encode(&posted, &again);
    messages->numbers.bytes += again.size + MESSAGE_OVERHEAD_BYTES;
    line_put(messages, overlay, cairn_buf_bytes(&again));
    cairn_buf_done(&again);
}

static void put_off(struct messages *messages, struct overlay *overlay, const struct posted *posted,
                    struct cairn_bytes encoded)
{
    uint8_t key[9], number[8];
    /* A new one is a number of the line that stays empty there. */
    uint64_t n = posted->number ? posted->number - 1 : messages->numbers.end++;

    cairn_put_be64(number, n);
    overlay_put(overlay, cairn_bytes(key, key_numbered(key, KEY_LATER, n)), encoded);
    due_add(messages->shard, overlay, posted->due_ms, DUE_MESSAGE, cairn_bytes(number, 8));
}

void messages_add(struct messages *messages, struct overlay *overlay, const struct posted *posted,
                  struct cairn_bytes encoded)
{
    if (posted->due_ms > messages_clock_ms(messages->worker))
        put_off(messages, overlay, posted, encoded);
    else
        line_put(messages, overlay, encoded);
    messages->numbers.waiting++;
    messages->numbers.bytes += encoded.size + MESSAGE_OVERHEAD_BYTES;
}

void messages_remove(struct messages *messages, struct overlay *overlay, struct cairn_bytes key, size_t bytes)
{
    overlay_remove(overlay, key);
    messages->numbers.waiting--;
    messages->numbers.bytes -= bytes + MESSAGE_OVERHEAD_BYTES;
}

void messages_bury(struct messages *messages, struct overlay *overlay, struct posted *posted)
{
    uint8_t key[9], prefix = KEY_DEAD_TREE;
    struct tree tree = {.overlay = overlay, .prefix = cairn_bytes(&prefix, 1)};
    struct cairn_buf encoded = {0};

    posted->state = POSTED_DEAD;
    posted->due_ms = messages_clock_ms(messages->worker);
    posted_encode(posted, &encoded);
    key_numbered(key, KEY_DEAD, posted->number - 1);
    overlay_put(overlay, cairn_bytes(key, 9), cairn_buf_bytes(&encoded));
    tree_add(&tree, cairn_bytes(key + 1, 8));
    messages->numbers.dead++;
    messages->numbers.bytes += encoded.size + MESSAGE_OVERHEAD_BYTES;
    cairn_buf_done(&encoded);
}

/* --- what cannot be read --- */

void messages_bury_spoiled(struct messages *messages, struct overlay *overlay, struct cairn_bytes bytes)
{
    struct posted posted = {.flags = POSTED_SPOILED,
                            .number = ++messages->numbers.end,
                            .sent_ms = messages_clock_ms(messages->worker),
                            .code = cairn_str(cairn_code_name(CAIRN_ECORRUPT)),
                            .text = cairn_str("what is kept of this message cannot be read: it was not run"),
                            .args = bytes};

    messages->spoiled++;
    messages_bury(messages, overlay, &posted);
}

/* --- sending --- */

enum cairn_code messages_room(const struct messages *messages, size_t bytes, struct cairn_err *err)
{
    uint64_t most = messages->worker->node->limits.message_bytes;

    if (messages->numbers.bytes + bytes > most)
        return cairn_fail(
            err, CAIRN_ELIMIT,
            "messages of this object's shard that wait, or are dead letters, have more than %llu KiB; send "
            "fewer until some have run",
            (unsigned long long)(most >> 10));
    return CAIRN_OK;
}

/* The namespace may have what the segment sends so far, with the one that has been added last. */
static enum cairn_code may_have(const struct invocation *inv, struct cairn_err *err)
{
    const struct segment *segment = inv->segment;
    uint64_t count = segment->send_count + 1, bytes = segment->sends.size + count * (OUTBOX_KEY_BYTES_MAX - 4);

    return inv->space->counts
               ? quota_may_send(inv->space,
                                (struct space_kept){.messages = (int64_t)count, .message_bytes = (int64_t)bytes}, err)
               : CAIRN_OK;
}

enum cairn_code messages_send(struct invocation *inv, struct posted *posted, int64_t delay_ms, struct cairn_err *err)
{
    struct segment *segment = inv->segment;
    struct method_limits own;
    const struct method_limits *limits = method_limits_of(inv, &own); /* a client's message is sent by no method */
    uint64_t write_set = limits->most[CAIRN_LIMIT_WRITE_SET];
    uint64_t now = messages_clock_ms(inv->worker);
    size_t at = segment->sends.size, bytes = posted->args.size + 4 * CAIRN_ID_BYTES_MAX;
    enum cairn_code code = messages_room(inv->object->shard->messages, at + bytes, err);

    if (code != CAIRN_OK)
        return code;
    if (segment->overlay.bytes + at + bytes > write_set || segment->send_count >= SENDS_PER_SEGMENT_MAX) {
        cairn_fail(err, CAIRN_ELIMIT, "the segment sends more than %d messages, or writes more than %llu bytes",
                   SENDS_PER_SEGMENT_MAX, (unsigned long long)write_set);
        method_limit_tell_of(limits, inv, CAIRN_LIMIT_WRITE_SET, err);
        return CAIRN_ELIMIT;
    }
    posted->sent_ms = now;
    posted->due_ms = delay_ms > 0 ? now + (uint64_t)delay_ms : 0;
    cairn_buf_reserve(&segment->sends, 4);
    segment->sends.size += 4;
    posted_encode(posted, &segment->sends);
    code = may_have(inv, err);
    if (code != CAIRN_OK) {
        segment->sends.size = at;
        return code;
    }
    cairn_put_u32(segment->sends.data + at, (uint32_t)(segment->sends.size - at - 4));
    segment->send_count++;
    return CAIRN_OK;
}
