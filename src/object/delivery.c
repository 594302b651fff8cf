#include "object/delivery.h"

#include "object/commit.h"
#include "object/layout.h"
#include "object/space.h"

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

    delivery->over = commit->over;
    if (commit->over) {
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

void delivery_committed(struct commit *commit)
{
    struct delivery *delivery = delivery_of(commit->inv);

    if (delivery->over) {
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
