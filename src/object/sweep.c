#include "object/sweep.h"

#include "object/clock.h"
#include "object/due.h"
#include "object/layout.h"
#include "object/letters.h"
#include "object/receiver.h"
#include "object/side.h"
#include "object/worker.h"

enum {
    LOOKS_PER_STEP = 256,
    DROPS_PER_RECORD = 64,
    RETRY_NS = 10000000, /* what is waited for comes by itself */
};

/* A step's. */
struct look {
    struct cairn_worker *worker;
    const struct messages *messages;
    uint32_t looks, count;
    bool stays;
    struct {
        uint64_t number, due_ms; /* due_ms: later; 0: a dead letter */
    } gone[DROPS_PER_RECORD];
    uint8_t name[POSTED_NAME_BYTES_MAX]; /* of a side line that is parked; size 0: none */
    size_t name_size;
};

static bool look_at(void *context, const struct letter *letter)
{
    struct look *look = context;
    const struct posted *posted = letter ? &letter->posted : NULL;

    look->looks++;
    /* What cannot be read is of no namespace. */
    if (posted && !(posted->flags & POSTED_SPOILED) && spaces_lack(&look->worker->node->spaces, posted->space)) {
        struct cairn_bytes name = posted_name(posted, look->name);

        if (letter->state == LETTER_NO_TYPE && !receiver_find(look->messages, name)) {
            look->name_size = name.size;
            return false;
        }
        if (letter->state == LETTER_LATER || letter->state == LETTER_DEAD) {
            look->gone[look->count].number = letter->number;
            look->gone[look->count++].due_ms = letter->state == LETTER_LATER ? posted->due_ms : 0;
        } else {
            look->stays = true;
        }
    }
    return look->looks < LOOKS_PER_STEP && look->count < DROPS_PER_RECORD;
}

static void drop_later(struct messages *messages, struct overlay *overlay, uint64_t number, uint64_t due_ms)
{
    uint8_t bytes[9];
    struct cairn_bytes key = cairn_bytes(bytes, key_numbered(bytes, KEY_LATER, number)), value;

    if (!overlay_get(overlay, key, &value))
        return;
    messages_remove(messages, overlay, key, value.size);
    due_remove(overlay, due_ms, DUE_MESSAGE, cairn_bytes(bytes + 1, 8));
}

/* False: it could not be recorded now. */
static bool drop(struct messages *messages, struct overlay *overlay, const struct look *look)
{
    if (!look->count && !look->name_size)
        return true;
    if (overlay->code != CAIRN_OK)
        return false;
    messages_begin(messages);
    for (uint32_t i = 0; i < look->count; i++)
        if (look->gone[i].due_ms)
            drop_later(messages, overlay, look->gone[i].number, look->gone[i].due_ms);
        else
            letters_drop(messages, overlay, look->gone[i].number);
    if (look->name_size)
        side_drop_some(messages, overlay, cairn_bytes(look->name, look->name_size), DROPS_PER_RECORD);
    return messages_commit(messages, overlay, "messages of a namespace that is gone");
}

/* A part of the shard.  True: it is through. */
static bool step_shard(struct cairn_worker *worker, struct messages *messages)
{
    struct sweep *sweep = &worker->sweep;
    struct overlay overlay = {0};
    struct look look = {.worker = worker, .messages = messages};
    struct letters_walk walk = {.messages = messages,
                                .overlay = &overlay,
                                .dead = sweep->dead,
                                .at = sweep->at,
                                .visit = look_at,
                                .context = &look};
    bool over;

    overlay_reset(&overlay, messages->shard->engine);
    over = letters_walk(&walk);
    sweep->at = walk.at;
    if (overlay.code != CAIRN_OK || !drop(messages, &overlay, &look)) {
        sweep->stays = true; /* the next pass finds it again */
        sweep->retry_ns = worker_recent_ns(worker) + RETRY_NS;
    }
    sweep->stays |= look.stays;
    overlay_done(&overlay);
    return over;
}

static void next_part(struct cairn_worker *worker)
{
    struct sweep *sweep = &worker->sweep;

    sweep->at.size = 0;
    sweep->dead = !sweep->dead;
    if (!sweep->dead)
        sweep->shard += worker->node->options.workers;
}

static uint32_t removals(struct cairn_node *node)
{
    return atomic_load_explicit(&node->spaces.removals, memory_order_acquire);
}

static bool is_done(struct cairn_worker *worker)
{
    return atomic_load_explicit(&worker->sweep.done, memory_order_relaxed) == removals(worker->node);
}

static void begin(struct cairn_worker *worker)
{
    struct sweep *sweep = &worker->sweep;

    sweep->under_way = true;
    sweep->stays = sweep->dead = false;
    sweep->target = removals(worker->node);
    sweep->shard = worker->index;
    sweep->at.size = 0;
}

static void end(struct cairn_worker *worker)
{
    struct sweep *sweep = &worker->sweep;

    sweep->under_way = false;
    if (sweep->stays)
        sweep->retry_ns = worker_recent_ns(worker) + RETRY_NS;
    else
        atomic_store_explicit(&sweep->done, sweep->target, memory_order_release);
    cairn_buf_done(&sweep->at);
}

static bool step(struct cairn_worker *worker)
{
    struct sweep *sweep = &worker->sweep;
    struct messages *messages;

    if (__builtin_expect(is_done(worker), 1) || worker->failed)
        return false;
    if (sweep->retry_ns && worker_recent_ns(worker) < sweep->retry_ns)
        return false;
    sweep->retry_ns = 0;
    if (!sweep->under_way)
        begin(worker);
    if (sweep->shard >= worker->node->shard_count) {
        end(worker);
        return !sweep->retry_ns;
    }
    messages = worker->shards[sweep->shard].messages;
    if (!messages_may_begin(messages)) {
        sweep->retry_ns = worker_recent_ns(worker) + RETRY_NS;
        return false;
    }
    if (!(messages->numbers.waiting || messages->numbers.out || messages->numbers.dead) || step_shard(worker, messages))
        next_part(worker);
    return !sweep->retry_ns;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    uint64_t now;

    if (is_done(worker) || worker->failed)
        return UINT64_MAX;
    now = worker_recent_ns(worker);
    return now < worker->sweep.retry_ns ? worker->sweep.retry_ns - now : 0;
}

const struct housekeeper sweep_housekeeper = {.name = "removed namespaces", .step = step, .next_ns = next_ns};

/* --- what others say and ask --- */

void sweep_opened(struct cairn_worker *worker, const struct messages *messages)
{
    if (messages->numbers.waiting || messages->numbers.out || messages->numbers.dead)
        atomic_store_explicit(&worker->sweep.done, SWEEP_OPENED, memory_order_relaxed);
}

void sweep_removed(struct cairn_node *node)
{
    atomic_fetch_add_explicit(&node->spaces.removals, 1, memory_order_acq_rel);
    for (uint32_t i = 0; i < node->options.workers && node->options.wake; i++)
        node->options.wake(node->options.context, i);
}

bool sweep_is_over(struct cairn_node *node, bool since_opening)
{
    uint32_t last = removals(node);

    for (uint32_t i = 0; i < node->options.workers; i++) {
        uint32_t done = atomic_load_explicit(&node->workers[i].sweep.done, memory_order_acquire);

        if (done == SWEEP_OPENED || (since_opening && done != last))
            return false;
    }
    return true;
}
