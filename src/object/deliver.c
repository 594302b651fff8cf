#include "object/deliver.h"

#include <stdlib.h>

#include "object/clock.h"
#include "object/delivery.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/layout.h"
#include "object/mailbox.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    RUNNING_MAX = 256, /* of a shard, in mailboxes or under way */
    RUNNING_BYTES = 4 << 20,
    LOOKS_PER_STEP = 64, /* at numbers of the line */
    ATTEMPTS_MAX = 16,
    PAUSE_MS = 1000, /* before the second attempt; it doubles */
    PAUSE_MS_MAX = 3600000,
    NO_TYPE_PAUSE_MS = 5000,
};

/* --- the end of an attempt --- */

static void leave_running(struct cairn_worker *worker, struct invocation *inv)
{
    struct delivery *delivery = inv->own;

    cairn_list_remove(&delivery->running);
    delivery->messages->running_count--;
    delivery->messages->running_bytes -= delivery->bytes;
    stat_add(&worker->admitted, (uint64_t)-1);
    worker->messages_look = true;
    invocation_free(worker, inv);
}

static uint64_t pause_ms(const struct delivery *delivery)
{
    uint64_t pause = PAUSE_MS;

    if (delivery->asks_retry && delivery->retry_ms)
        return delivery->retry_ms;
    for (uint64_t i = 1; i < delivery->posted.attempts && pause < PAUSE_MS_MAX; i++)
        pause *= 2;
    return pause < PAUSE_MS_MAX ? pause : PAUSE_MS_MAX;
}

/* It would be the same every time: the method has said so, or there is no such method. */
static bool is_final(const struct invocation *inv, struct cairn_bytes code)
{
    static const enum cairn_code final[] = {CAIRN_ENOMETHOD, CAIRN_ENOTPUBLIC, CAIRN_EINVAL, CAIRN_ENOTREADONLY,
                                            CAIRN_ENOTDETERM};
    const struct delivery *delivery = inv->own;

    if (delivery->asks_retry)
        return false;
    if (inv->by_word)
        return !inv->refused;
    for (size_t i = 0; i < sizeof final / sizeof *final; i++)
        if (cairn_bytes_equal(code, cairn_str(cairn_code_name(final[i]))))
            return true;
    return false;
}

static void add_again(struct messages *messages, struct overlay *overlay, struct posted *posted, uint64_t after_ms)
{
    struct cairn_buf encoded = {0};

    posted->state = POSTED_NEW;
    posted->due_ms = messages_clock_ms(messages->worker) + after_ms;
    posted_encode(posted, &encoded);
    messages_add(messages, overlay, posted, cairn_buf_bytes(&encoded));
    cairn_buf_done(&encoded);
}

/* It has failed: it stands in the agenda again, or is a dead letter. */
static void put_away(struct invocation *inv, struct overlay *overlay, bool *ret_dead)
{
    struct delivery *delivery = inv->own;
    struct messages *messages = delivery->messages;
    struct posted posted = delivery_posted(inv);
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    struct cairn_value error = cairn_value_read(&r);

    posted.code = error.error;
    posted.text = error.bytes;
    posted.attempts = ++delivery->posted.attempts;
    *ret_dead = delivery->begun || is_final(inv, error.error) || posted.attempts >= ATTEMPTS_MAX;
    if (!*ret_dead) {
        add_again(messages, overlay, &posted, pause_ms(delivery));
        return;
    }
    if (delivery->begun)
        posted.flags |= POSTED_SOME;
    messages_bury(messages, overlay, &posted);
}

/* One record for what the segments' have not said yet.  False: there is no room for it now. */
static bool settle(struct cairn_worker *worker, struct invocation *inv)
{
    struct delivery *delivery = inv->own;
    struct messages *messages = delivery->messages;
    struct overlay overlay = {0};
    bool done, dead = false;

    if (!messages_may_begin(messages))
        return false;
    overlay_reset(&overlay, messages->shard->engine);
    messages_begin(messages);
    messages_remove(messages, &overlay, delivery->number, delivery->bytes);
    if (inv->failed)
        put_away(inv, &overlay, &dead);
    done = messages_commit(messages, &overlay, inv->failed ? "failed" : "run");
    overlay_done(&overlay);
    if (!done) {
        if (inv->failed)
            delivery->posted.attempts--;
        return false;
    }
    if (inv->failed && !dead)
        stat_add(&worker->counts.letters_retried, 1);
    return true;
}

static void answer(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct delivery *delivery = inv->own;
    struct messages *messages = delivery->messages;

    stat_add(&worker->counts.letters_run, 1);
    if (!delivery->used && !worker->failed && !settle(worker, inv)) {
        cairn_list_push_back(&messages->unsettled, &inv->link);
        worker->messages_look = true;
        return;
    }
    leave_running(worker, inv);
}

static void leave(struct cairn_worker *worker, struct invocation *inv)
{
    (void)worker, (void)inv; /* what it has of its own is for the answer */
}

static void drop(struct invocation *inv)
{
    free(inv->own);
    inv->own = NULL;
}

const struct operation operation_deliver = {
    .name = "deliver",
    .aim = AIM_METHOD,
    .receive = receive_invocation,
    .leave = leave,
    .drop = drop,
    .answer = answer,
};

/* --- beginning --- */

static uint8_t *copy(uint8_t *at, struct cairn_bytes from, struct cairn_bytes *ret_to)
{
    if (from.size)
        memcpy(at, from.data, from.size);
    *ret_to = cairn_bytes(from.size ? at : NULL, from.size);
    return at + from.size;
}

static struct invocation *begin(struct messages *messages, uint64_t number, const struct posted *posted, size_t bytes)
{
    struct cairn_worker *worker = messages->worker;
    struct invocation *inv = invocation_new(worker, &operation_deliver);
    struct delivery *delivery = cairn_alloc_zeroed(1, sizeof *delivery);
    uint8_t *at;

    if (inv->payload_room < bytes) {
        inv->payload = cairn_realloc(inv->payload, bytes);
        inv->payload_room = bytes;
    }
    at = inv->payload;
    at = copy(at, posted->type, &inv->type_name);
    at = copy(at, posted->id, &inv->id);
    at = copy(at, posted->method, &inv->method_name);
    at = copy(at, posted->from_type, &inv->caller_type);
    at = copy(at, posted->from_id, &inv->caller_id);
    copy(at, posted->args, &inv->args);
    inv->space = spaces_intern(&worker->node->spaces, posted->space);
    inv->origin = worker->index;
    inv->worker = worker;
    inv->shard = messages->shard->index;
    inv->may_internal = posted->flags & POSTED_INTERNAL;
    inv->started_ns = worker_recent_ns(worker);
    inv->own = delivery;
    inv->charged_call = sizeof *inv + bytes;
    cairn_purse_add(&worker->purse, (int64_t)inv->charged_call);
    *delivery = (struct delivery){
        .messages = messages,
        .inv = inv,
        .number = number,
        .bytes = bytes,
        .begun = posted->state == POSTED_BEGUN,
        .posted = {.flags = posted->flags, .sent_ms = posted->sent_ms, .attempts = posted->attempts},
    };
    cairn_list_push_back(&messages->running, &delivery->running);
    messages->running_count++;
    messages->running_bytes += bytes;
    stat_add(&worker->admitted, 1);
    return inv;
}

/* A crash or a stop has cut it off. */
static void interrupted(struct messages *messages, struct invocation *inv)
{
    set_error(inv, CAIRN_EINTERRUPTED,
              "the node stopped while this message was being run; what it had committed stays, the rest was not done");
    answer(messages->worker, &inv->message);
}

/* Whether there is such a type, with methods. */
static bool type_is_there(struct cairn_worker *worker, const struct invocation *inv)
{
    const struct type *type = type_find(worker, inv->space, inv->type_name);

    return type && !type->entry->dropped;
}

static bool is_durable(struct cairn_worker *worker, const struct invocation *inv)
{
    const struct method *method = type_method(type_find(worker, inv->space, inv->type_name), inv->method_name);

    return method && method->decl->durable;
}

/* One that cannot begin as its type is not there: it is looked at again later.  False: not now. */
static bool wait_for_type(struct messages *messages, uint64_t number, struct posted *posted, size_t bytes)
{
    struct overlay overlay = {0};
    bool done;

    overlay_reset(&overlay, messages->shard->engine);
    messages_begin(messages);
    messages_remove(messages, &overlay, number, bytes);
    add_again(messages, &overlay, posted, NO_TYPE_PAUSE_MS);
    done = messages_commit(messages, &overlay, "no type");
    overlay_done(&overlay);
    return done;
}

static bool may_begin_more(const struct messages *messages)
{
    const struct cairn_node *node = messages->worker->node;

    return messages->running_count < RUNNING_MAX && messages->running_bytes < RUNNING_BYTES &&
           !cairn_budget_over(&node->memory, 8) && !atomic_load_explicit(&node->draining, memory_order_relaxed);
}

/* The message with the cursor's number, if there is one.  False: it can go on later. */
static bool look(struct messages *messages)
{
    struct cairn_view *engine = messages->shard->engine;
    struct cairn_worker *worker = messages->worker;
    uint64_t number = messages->cursor;
    uint8_t bytes[9];
    struct cairn_bytes key = cairn_bytes(bytes, key_numbered(bytes, KEY_LINE, number)), value;
    struct invocation *inv;
    struct posted posted;
    bool there;

    (void)cairn_engine_take_failure(engine, NULL);
    there = engine->ops->get(engine, key, cairn_hash(key), &value);
    if (cairn_engine_take_failure(engine, NULL) != CAIRN_OK) {
        messages_retry(messages);
        return false;
    }
    messages->cursor = number + 1;
    if (!there || !posted_decode(value, &posted))
        return true;
    inv = begin(messages, number, &posted, value.size);
    if (posted.state == POSTED_BEGUN) {
        interrupted(messages, inv);
        return true;
    }
    if (!type_is_there(worker, inv)) {
        posted = delivery_posted(inv);
        if (!wait_for_type(messages, number, &posted, value.size))
            messages->cursor = number;
        leave_running(worker, inv);
        return messages->cursor != number;
    }
    if (is_durable(worker, inv)) {
        set_error(inv, CAIRN_EINVAL, "a durable method cannot be run by a message");
        answer(worker, &inv->message);
        return true;
    }
    invocation_arrive(worker, inv);
    return true;
}

static bool settle_rest(struct messages *messages)
{
    while (!cairn_list_empty(&messages->unsettled)) {
        struct invocation *inv = cairn_container(messages->unsettled.next, struct invocation, link);

        if (!settle(messages->worker, inv))
            return false;
        cairn_list_remove(&inv->link);
        leave_running(messages->worker, inv);
    }
    return true;
}

bool deliver_step(struct messages *messages)
{
    int looks = 0;

    if (!settle_rest(messages))
        return false;
    while (messages->cursor < messages->numbers.end && looks < LOOKS_PER_STEP && may_begin_more(messages)) {
        if (!look(messages))
            return false;
        looks++;
    }
    return looks == LOOKS_PER_STEP;
}
