/* messages_house.c - the housekeeper of messages: what is due goes into the line, batches leave the outbox, messages of
 * the line run. */
#include "object/agenda.h"
#include "object/clock.h"
#include "object/deliver.h"
#include "object/layout.h"
#include "object/outbox.h"
#include "object/tree.h"
#include "object/worker.h"

enum { DUE_PER_STEP = 64 };

/* What is due goes to the end of the line, in the order of its times; one record for some of it. */
static bool take_due(struct messages *messages, uint64_t now_ms)
{
    struct overlay overlay = {0};
    struct agenda agenda;
    const struct tree *tree = agenda_tree(&agenda, &overlay);
    struct tree_cursor cursor;
    bool done, there;
    int taken = 0;

    overlay_reset(&overlay, messages->shard->engine);
    messages_begin(messages);
    for (there = true; there && taken < DUE_PER_STEP; taken++) {
        uint8_t entry[AGENDA_KEY_BYTES_MAX], key[9];
        struct cairn_bytes value, at;

        there = tree_seek(&cursor, tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)) &&
                agenda_due_ms(tree_key(&cursor)) <= now_ms;
        if (!there)
            break;
        at = tree_key(&cursor);
        memcpy(entry, at.data, at.size);
        tree_remove(tree, cairn_bytes(entry, at.size));
        key[0] = KEY_LATER;
        memcpy(key + 1, entry + AGENDA_DUE_BYTES + 1, 8);
        if (!overlay_get(&overlay, cairn_bytes(key, 9), &value))
            continue;
        value = cairn_arena_copy(&overlay.arena, value);
        overlay_remove(&overlay, cairn_bytes(key, 9));
        messages_line_up(messages, &overlay, value, cairn_get_be64(key + 1));
    }
    messages->due_ms = agenda_first_ms(&overlay);
    done = messages_commit(messages, &overlay, "due");
    overlay_done(&overlay);
    return done && taken == DUE_PER_STEP;
}

static bool step_shard(struct messages *messages, uint64_t now_ms)
{
    bool more = false;

    messages->retry_ns = 0;
    if (!messages_may_begin(messages)) {
        messages_retry(messages);
        return false;
    }
    if (messages->due_ms <= now_ms)
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
        if (messages->due_ms < due_ms)
            due_ms = messages->due_ms;
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
