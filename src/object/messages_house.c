/* messages_house.c - the housekeeper of messages: what is due goes into the line, batches leave the outbox, messages of
 * the line run. */
#include "object/clock.h"
#include "object/deliver.h"
#include "object/due.h"
#include "object/layout.h"
#include "object/outbox.h"
#include "object/timers.h"
#include "object/worker.h"

enum { DUE_PER_STEP = 64 };

static enum due_answer take_message(struct shard *shard, struct overlay *overlay, const struct due *due)
{
    struct cairn_bytes value;
    struct posted posted;
    uint8_t bytes[9] = {KEY_LATER};

    memcpy(bytes + 1, due->own.data, 8);
    if (!overlay_get(overlay, cairn_bytes(bytes, 9), &value))
        return DUE_TAKEN;
    value = cairn_arena_copy(&overlay->arena, value);
    if (posted_decode(value, &posted) && spaces_lack(&shard->messages->worker->node->spaces, posted.space)) {
        messages_remove(shard->messages, overlay, cairn_bytes(bytes, 9), value.size); /* sweep.h */
        return DUE_TAKEN;
    }
    overlay_remove(overlay, cairn_bytes(bytes, 9));
    messages_line_up(shard->messages, overlay, value, cairn_get_be64(due->own.data));
    return DUE_TAKEN;
}

static const struct due_handler message_handler = {.kind = DUE_MESSAGE, .take = take_message};
static const struct due_handler *const due_handlers[] = {&message_handler, &timer_handler};

/* What is due, in the order of its times; one record for some of it. */
static bool take_due(struct messages *messages, uint64_t now_ms)
{
    struct overlay overlay = {0};
    struct shard *shard = messages->shard;
    bool more;

    overlay_reset(&overlay, shard->engine);
    messages_begin(messages);
    due_take(shard, &overlay, now_ms, DUE_PER_STEP, due_handlers, sizeof due_handlers / sizeof *due_handlers, &more);
    if (!overlay.count && overlay.code == CAIRN_OK) {
        messages_undo(messages);
    } else if (messages_commit(messages, &overlay, "due")) {
        timers_count(shard);
    } else {
        shard->due_ms = now_ms;
        more = false;
    }
    overlay_done(&overlay);
    return more;
}

static bool step_shard(struct messages *messages, uint64_t now_ms)
{
    bool more = false;

    messages->retry_ns = 0;
    if (!messages_may_begin(messages)) {
        messages_retry(messages);
        return false;
    }
    if (messages->shard->due_ms <= now_ms)
        more |= take_due(messages, now_ms);
    more |= outbox_step(messages);
    more |= deliver_step(messages);
    return more;
}

/* Messages may have waited for them. */
static void types_are_new(struct cairn_worker *worker)
{
    worker->messages_types = worker->types_changed;
    for (uint32_t i = worker->index; i < worker->node->shard_count; i += worker->node->options.workers) {
        struct messages *messages = worker->shards[i].messages;

        if (!messages->numbers.sides)
            continue;
        messages->unpark = true;
        messages->parked_at.size = 0;
        worker->messages_look = true;
    }
}

static bool step(struct cairn_worker *worker)
{
    uint64_t now_ms, due_ms = UINT64_MAX, retry_ns = UINT64_MAX;

    if (worker->messages_types != worker->types_changed)
        types_are_new(worker);
    if (!worker->messages_look && worker->messages_due_ms == UINT64_MAX && worker->messages_retry_ns == UINT64_MAX)
        return false;
    now_ms = messages_clock_ms(worker);
    if (worker->failed || (!worker->messages_look && now_ms < worker->messages_due_ms &&
                           worker_recent_ns(worker) < worker->messages_retry_ns))
        return false;
    worker->messages_look = false;
    for (uint32_t i = worker->index; i < worker->node->shard_count; i += worker->node->options.workers) {
        struct messages *messages = worker->shards[i].messages;

        if (step_shard(messages, now_ms))
            worker->messages_look = true;
        if (worker->shards[i].due_ms < due_ms)
            due_ms = worker->shards[i].due_ms;
        if (messages->retry_ns && messages->retry_ns < retry_ns)
            retry_ns = messages->retry_ns;
    }
    worker->messages_due_ms = due_ms;
    worker->messages_retry_ns = retry_ns;
    return worker->messages_look;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    uint64_t now, least = UINT64_MAX;

    if (worker->failed)
        return UINT64_MAX;
    if (worker->messages_look)
        return 0;
    if (worker->messages_retry_ns != UINT64_MAX) {
        now = worker_recent_ns(worker);
        least = now < worker->messages_retry_ns ? worker->messages_retry_ns - now : 0;
    }
    if (worker->messages_due_ms != UINT64_MAX) {
        now = messages_clock_ms(worker);
        now = now < worker->messages_due_ms ? (worker->messages_due_ms - now) : 0;
        if (now < least / 1000000)
            least = now * 1000000;
    }
    return least;
}

const struct housekeeper messages_housekeeper = {.name = "messages", .step = step, .next_ns = next_ns};
