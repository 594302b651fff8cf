#include "object/delivery.h"

#include <stdlib.h>

#include "object/commit.h"
#include "object/layout.h"
#include "object/receiver.h"
#include "object/space.h"
#include "object/worker.h"

uint64_t delivery_first_number(const struct messages *messages)
{
    return cairn_container(messages->running.next, struct delivery, running)->number;
}

bool delivery_ask_retry(struct invocation *inv, int64_t delay_ms)
{
    struct delivery *delivery = delivery_of(inv);

    if (!delivery)
        return false;
    delivery->asks_retry = true;
    delivery->retry_ms = delay_ms > 0 ? (uint64_t)delay_ms : 0;
    return true;
}

struct durable_letter delivery_letter(const struct invocation *inv)
{
    const struct delivery *delivery = delivery_of(inv);

    return (struct durable_letter){.number = delivery_number(delivery),
                                   .flags = delivery->posted.flags,
                                   .sent_ms = delivery->posted.sent_ms,
                                   .attempts = delivery->posted.attempts,
                                   .timer_due_ms = delivery->timer_due_ms,
                                   .timer_missed = delivery->timer_missed};
}

struct durable_letter delivery_told(const struct invocation *inv)
{
    return delivery_of(inv) ? delivery_letter(inv) : inv->durable->letter;
}

uint64_t delivery_attempts(const struct invocation *inv)
{
    const struct delivery *delivery = delivery_of(inv);

    return delivery ? delivery->posted.attempts : 0;
}

uint64_t delivery_number(const struct delivery *delivery)
{
    return delivery->posted.number ? delivery->posted.number : delivery->number + 1;
}

struct posted delivery_posted(const struct invocation *inv)
{
    struct posted posted = delivery_of(inv)->posted;

    posted.space = inv->space->name;
    posted.type = inv->type_name;
    posted.id = inv->id;
    posted.method = inv->method_name;
    posted.from_type = inv->caller_type;
    posted.from_id = inv->caller_id;
    posted.args = inv->args;
    return posted;
}

/* --- in the records of its segments --- */

void delivery_prepare(struct messages *messages, struct commit *commit)
{
    struct delivery *delivery = delivery_of(commit->inv);
    struct cairn_bytes key = cairn_bytes(delivery->key, delivery->key_size);

    delivery->over = commit->over || commit->inv->durable;
    if (delivery->over) {
        messages_remove(messages, commit->overlay, key, delivery->kept_bytes);
    } else if (!delivery->begun) {
        struct cairn_buf encoded = {0};
        struct posted posted = delivery_posted(commit->inv);

        posted.state = POSTED_BEGUN;
        posted_encode(&posted, &encoded);
        overlay_put(commit->overlay, key, cairn_buf_bytes(&encoded));
        messages->numbers.bytes += encoded.size;
        messages->numbers.bytes -= delivery->kept_bytes;
        delivery->begun_bytes = encoded.size;
        cairn_buf_done(&encoded);
    }
}

/* The invocation goes on as a durable one does whose outcome is not waited for. */
static void hand_over(struct invocation *inv)
{
    struct delivery *delivery = delivery_of(inv);
    struct messages *messages = delivery->messages;
    struct cairn_worker *worker = messages->worker;

    inv->durable->letter = delivery_letter(inv);
    inv->operation = worker->node->operations[CAIRN_OP_INVOKE];
    inv->own = NULL;
    cairn_list_remove(&delivery->running);
    receiver_leave(messages, delivery);
    messages->side_look |= messages->numbers.sides > 0;
    stat_add(&worker->counts.letters_run, 1);
    stat_add(&worker->admitted, (uint64_t)-1);
    worker->messages_look = true;
    free(delivery);
}

void delivery_committed(struct commit *commit)
{
    struct delivery *delivery = delivery_of(commit->inv);

    if (delivery->over && !commit->over) {
        hand_over(commit->inv);
    } else if (delivery->over) {
        delivery->used = true;
    } else if (!delivery->begun) {
        delivery->begun = true;
        delivery->kept_bytes = delivery->begun_bytes;
    }
}

void deliveries_close(struct messages *messages)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&messages->unsettled)))
        invocation_free(messages->worker, cairn_container(l, struct invocation, link));
}
