#include "object/deliver.h"

#include <stdlib.h>

#include "object/clock.h"
#include "object/delivery.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/layout.h"
#include "object/mailbox.h"
#include "object/receiver.h"
#include "object/settle.h"
#include "object/side.h"
#include "object/span.h"
#include "object/timers.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    LOOKS_PER_STEP = 64, /* at messages of the line, and as many at those of side lines */
    SIDES_PER_STEP = 16,
    MOVED_BYTES = 256 << 10, /* into side lines by one record, and one message more */
    ATTEMPTS_MAX = 16,
    PAUSE_MS = 1000, /* before the second attempt; it doubles */
    PAUSE_MS_MAX = 3600000,
};

/* --- the end of an attempt --- */

static void leave_running(struct cairn_worker *worker, struct invocation *inv)
{
    struct delivery *delivery = inv->own;
    struct messages *messages = delivery->messages;

    cairn_list_remove(&delivery->running);
    receiver_leave(messages, delivery);
    messages->side_look |= messages->numbers.sides > 0;
    stat_add(&worker->admitted, (uint64_t)-1);
    worker->messages_look = true;
    invocation_free(worker, inv);
}

/* As the method says now, whatever version it ran on. */
static struct cairn_retries retries_of(const struct invocation *inv)
{
    static const struct cairn_retries common = {ATTEMPTS_MAX, PAUSE_MS, PAUSE_MS_MAX};
    struct type *type = type_find(inv->worker, inv->space, inv->type_name);
    const struct method *method = type ? type_method(type, inv->method_name) : NULL;

    return method && method->decl->retries.attempts ? method->decl->retries : common;
}

static uint64_t pause_ms(const struct delivery *delivery, const struct cairn_retries *retries)
{
    uint64_t pause = retries->first_ms;

    if (delivery->asks_retry && delivery->retry_ms)
        return delivery->retry_ms;
    for (uint64_t i = 1; i < delivery->posted.attempts && pause < retries->longest_ms; i++)
        pause *= 2;
    return pause < retries->longest_ms ? pause : retries->longest_ms;
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
    struct cairn_retries retries = retries_of(inv);
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    struct cairn_value error = cairn_value_read(&r);

    posted.code = error.error;
    posted.text = error.bytes;
    posted.attempts = ++delivery->posted.attempts;
    posted.number = delivery_number(delivery);
    *ret_dead = delivery->begun || is_final(inv, error.error) || posted.attempts >= retries.attempts;
    if (!*ret_dead) {
        add_again(messages, overlay, &posted, pause_ms(delivery, &retries));
        return;
    }
    if (delivery->begun)
        posted.flags |= POSTED_SOME;
    posted.timer = cairn_bytes(NULL, 0); /* it goes on without this one */
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
    messages_remove(messages, &overlay, cairn_bytes(delivery->key, delivery->key_size), delivery->kept_bytes);
    if (inv->failed)
        put_away(inv, &overlay, &dead);
    if (delivery->posted.timer.size && !delivery->begun && (!inv->failed || dead))
        timers_over(messages->shard, &overlay, delivery->posted.timer, messages_clock_ms(worker));
    done = messages_commit(messages, &overlay, inv->failed ? "failed" : "run");
    overlay_done(&overlay);
    if (!done) {
        if (inv->failed)
            delivery->posted.attempts--;
        return false;
    }
    if (delivery->posted.timer.size)
        timers_count(messages->shard);
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
    if (inv->span)
        span_end(worker, inv);
    if (!delivery->used && !worker->failed && !settle(worker, inv)) {
        cairn_list_push_back(&messages->unsettled, &inv->link);
        worker->messages_look = true;
        return;
    }
    leave_running(worker, inv);
}

static void enter(struct invocation *inv)
{
    durable_make(inv);
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
    .enter = enter,
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

/* One step of beginning: what is moved is one record, and what begins arrives when that has been made. */
struct looking {
    struct messages *messages;
    struct overlay overlay;
    struct cairn_link starting; /* invocations */
    struct settling settling;   /* of a promise: at most one in a record */
    uint32_t looks;
};

/* Where it lies has been said already: key and number. */
static struct delivery *begin(struct looking *looking, const struct delivery *where, const struct posted *posted,
                              size_t bytes)
{
    struct messages *messages = looking->messages;
    struct cairn_worker *worker = messages->worker;
    struct invocation *inv = invocation_new(worker, &operation_deliver);
    struct delivery *delivery = cairn_alloc(sizeof *delivery);
    uint8_t name[POSTED_NAME_BYTES_MAX], *at;
    struct cairn_bytes timer;

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
    at = copy(at, posted->args, &inv->args);
    copy(at, posted->timer, &timer);
    inv->space = spaces_intern(&worker->node->spaces, posted->space);
    inv->origin = worker->index;
    inv->worker = worker;
    inv->shard = messages->shard->index;
    inv->may_internal = posted->flags & POSTED_INTERNAL;
    inv->started_ns = worker_recent_ns(worker);
    inv->own = delivery;
    inv->by_message = true;
    inv->charged_call = sizeof *inv + bytes;
    cairn_purse_add(&worker->purse, (int64_t)inv->charged_call);
    *delivery = *where;
    delivery->messages = messages;
    delivery->inv = inv;
    delivery->bytes = delivery->kept_bytes = bytes;
    delivery->begun = posted->state == POSTED_BEGUN;
    delivery->posted = (struct posted){.flags = posted->flags,
                                       .number = posted->number,
                                       .sent_ms = posted->sent_ms,
                                       .attempts = posted->attempts,
                                       .timer = timer,
                                       .parent = posted->parent};
    if (__builtin_expect(worker->node->tracing != NULL, 0))
        job_delivered(inv, &posted->parent);
    receiver_enter(messages, posted_name(posted, name), delivery);
    stat_add(&worker->admitted, 1);
    cairn_list_push_back(&looking->starting, &inv->link);
    return delivery;
}

/* Whether there is such a type, with methods. */
static bool type_is_there(struct cairn_worker *worker, struct cairn_bytes space, struct cairn_bytes type)
{
    return type_has_methods(type_find(worker, spaces_intern(&worker->node->spaces, space), type));
}

static bool may_begin_more(const struct messages *messages)
{
    const struct cairn_node *node = messages->worker->node;

    return messages->running_count < RUNNING_MAX && messages->running_bytes < RUNNING_BYTES &&
           !cairn_budget_over(&node->memory, 8) && !atomic_load_explicit(&node->draining, memory_order_relaxed);
}

/* --- from the line --- */

static void line_begin(struct looking *looking, uint64_t number, const struct posted *posted, size_t bytes)
{
    struct delivery where = {.number = number};

    where.key_size = (uint8_t)key_numbered(where.key, KEY_LINE, number);
    cairn_list_push_back(&looking->messages->running, &begin(looking, &where, posted, bytes)->running);
}

/* It begins, or goes to its object's side line. */
static void line_take(struct looking *looking, uint64_t number, struct posted *posted, struct cairn_bytes value)
{
    struct messages *messages = looking->messages;
    struct overlay *overlay = &looking->overlay;
    uint8_t name_bytes[POSTED_NAME_BYTES_MAX], key[9];
    struct cairn_bytes name = posted_name(posted, name_bytes);
    bool there = type_is_there(messages->worker, posted->space, posted->type);
    struct side side;

    if (posted->state == POSTED_BEGUN || (there && number < messages->recovered) ||
        (there && receiver_may_take(messages, receiver_find(messages, name), value.size) &&
         !side_get(messages, overlay, name, &side))) {
        line_begin(looking, number, posted, value.size);
        return;
    }
    value = cairn_arena_copy(&overlay->arena, value);
    if (!posted_decode(value, posted))
        return;
    messages_remove(messages, overlay, cairn_bytes(key, key_numbered(key, KEY_LINE, number)), value.size);
    if (!posted->number)
        posted->number = number + 1;
    side_add(messages, overlay, posted, !there);
}

/* It settles a promise: there is nothing to run. */
static void line_settle(struct looking *looking, uint64_t number, struct posted *posted, struct cairn_bytes value)
{
    struct messages *messages = looking->messages;
    struct overlay *overlay = &looking->overlay;
    struct cairn_err err;
    uint8_t key[9];

    value = cairn_arena_copy(&overlay->arena, value);
    if (!posted_decode(value, posted))
        return;
    messages_remove(messages, overlay, cairn_bytes(key, key_numbered(key, KEY_LINE, number)), value.size);
    if (settle_posted(messages->worker, messages->shard, overlay, posted, &looking->settling, &err))
        return;
    if (err.code != CAIRN_ECONFLICT && err.code != CAIRN_ENOTFOUND) {
        overlay->code = err.code; /* it cannot be read now: nothing of this record is made */
        overlay->err = err;
        return;
    }
    posted->number = posted->number ? posted->number : number + 1;
    posted->attempts++;
    posted->code = cairn_str(cairn_code_name(err.code));
    posted->text = cairn_str(err.text);
    messages_bury(messages, overlay, posted);
}

static void line_spoiled(struct looking *looking, uint64_t number, struct cairn_bytes value)
{
    uint8_t key[9];

    value = cairn_arena_copy(&looking->overlay.arena, value);
    messages_remove(looking->messages, &looking->overlay, cairn_bytes(key, key_numbered(key, KEY_LINE, number)),
                    value.size);
    messages_bury_spoiled(looking->messages, &looking->overlay, value);
}

/* The message with the cursor's number, if there is one. */
static void line_look(struct looking *looking)
{
    struct messages *messages = looking->messages;
    uint64_t number = messages->cursor++;
    uint8_t bytes[9];
    struct cairn_bytes value;
    struct posted posted;

    if (!overlay_get(&looking->overlay, cairn_bytes(bytes, key_numbered(bytes, KEY_LINE, number)), &value))
        return;
    if (posted_decode(value, &posted) && posted.flags & POSTED_SETTLE)
        line_settle(looking, number, &posted, value);
    else if (posted_decode(value, &posted))
        line_take(looking, number, &posted, value);
    else
        line_spoiled(looking, number, value);
}

static void look_at_line(struct looking *looking)
{
    struct messages *messages = looking->messages;

    for (uint32_t i = 0;
         i < LOOKS_PER_STEP && messages->cursor < messages->numbers.end && may_begin_more(messages) &&
         looking->overlay.bytes < MOVED_BYTES && looking->overlay.code == CAIRN_OK && !looking->settling.there;
         i++) {
        line_look(looking);
        looking->looks++;
    }
}

/* --- from side lines --- */

/* Entry n, if it is there and may run.  False: it has to wait. */
static bool side_take(struct looking *looking, const struct side *side, uint64_t n)
{
    struct messages *messages = looking->messages;
    struct delivery where = {.number = n};
    uint8_t name[POSTED_NAME_BYTES_MAX];
    struct delivery *delivery;
    struct receiver *receiver;
    struct cairn_bytes value;
    struct posted posted;

    where.key_size = (uint8_t)side_key(where.key, side, n);
    if (!overlay_get(&looking->overlay, cairn_bytes(where.key, where.key_size), &value))
        return true;
    if (!posted_decode(value, &posted)) {
        value = cairn_arena_copy(&looking->overlay.arena, value);
        messages_remove(messages, &looking->overlay, cairn_bytes(where.key, where.key_size), value.size);
        messages_bury_spoiled(messages, &looking->overlay, value);
        return true;
    }
    if (!receiver_may_take(messages, receiver_find(messages, posted_name(&posted, name)), value.size))
        return false;
    delivery = begin(looking, &where, &posted, value.size);
    receiver = delivery->receiver;
    cairn_list_push_back(&receiver->from_side, &delivery->running);
    receiver->side = side->number;
    receiver->side_next = n + 1;
    return true;
}

static void serve_side(struct looking *looking, struct cairn_bytes name)
{
    struct messages *messages = looking->messages;
    struct cairn_bytes space, type;
    struct side side;
    uint64_t next, from;

    if (!side_get(messages, &looking->overlay, name, &side) || !side_type(name, &space, &type))
        return;
    if (!type_is_there(messages->worker, space, type)) {
        side_park(messages, &looking->overlay, name);
        return;
    }
    from = next = side_next(messages, &side, name);
    while (next < side.end && next - from < LOOKS_PER_STEP && may_begin_more(messages) &&
           looking->overlay.code == CAIRN_OK && side_take(looking, &side, next))
        next++;
    if (next > from)
        messages->side_found = true;
    side_trim(messages, &looking->overlay, name, &side, next);
}

static void look_at_sides(struct looking *looking)
{
    struct messages *messages = looking->messages;

    if (messages->cursor < messages->recovered)
        return;
    if (messages->unpark)
        messages->unpark = side_unpark(messages, &looking->overlay);
    for (int i = 0; i < SIDES_PER_STEP && messages->side_look && may_begin_more(messages) &&
                    looking->overlay.bytes < MOVED_BYTES && looking->overlay.code == CAIRN_OK;
         i++) {
        uint8_t bytes[POSTED_NAME_BYTES_MAX];
        struct cairn_bytes name;

        if (side_turn(messages, &looking->overlay, bytes, &name)) {
            serve_side(looking, name);
            continue;
        }
        messages->side_look = messages->side_found;
        messages->side_found = false;
        break;
    }
}

/* --- a step --- */

/* A crash or a stop has cut it off. */
static void interrupted(struct messages *messages, struct invocation *inv)
{
    set_error(inv, CAIRN_EINTERRUPTED,
              "the node stopped while this message was being run; what it had committed stays, the rest was not done");
    answer(messages->worker, &inv->message);
}

static void start(struct messages *messages, struct invocation *inv)
{
    const struct delivery *delivery = inv->own;

    if (delivery->begun) {
        interrupted(messages, inv);
        return;
    }
    invocation_arrive(messages->worker, inv);
}

/* Nothing was moved: it is as if nothing had been looked at. */
static void step_back(struct looking *looking, uint64_t cursor)
{
    struct messages *messages = looking->messages;
    struct cairn_link *l;

    messages->cursor = cursor;
    messages->side_look = true;
    while ((l = cairn_list_pop_front(&looking->starting))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);
        struct delivery *delivery = inv->own;

        if (delivery->key[0] == KEY_SIDE_ENTRY && delivery->number < delivery->receiver->side_next)
            delivery->receiver->side_next = delivery->number;
        leave_running(messages->worker, inv);
    }
}

/* Looks at both, and makes the record of what was moved. */
static bool look(struct looking *looking)
{
    struct messages *messages = looking->messages;
    uint64_t cursor = messages->cursor;
    bool parked = messages->unpark;

    overlay_reset(&looking->overlay, messages->shard->engine);
    messages_begin(messages);
    messages->line_turn = !messages->line_turn;
    if (messages->line_turn)
        look_at_line(looking);
    look_at_sides(looking);
    if (!messages->line_turn)
        look_at_line(looking);
    if (looking->overlay.count == 0 && looking->overlay.code == CAIRN_OK)
        messages_undo(messages);
    else if (!messages_commit(messages, &looking->overlay, "aside")) {
        messages->unpark |= parked;
        messages->parked_at.size = messages->side_at.size = 0;
        step_back(looking, cursor);
        return false;
    } else if (looking->settling.there) {
        stat_add(&messages->worker->counts.letters_run, 1);
        settle_committed(messages->worker, messages->shard, &looking->settling, messages->last);
    }
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

static bool anything_waits(const struct messages *messages)
{
    return messages->cursor < messages->numbers.end || messages->side_look || messages->unpark;
}

bool deliver_step(struct messages *messages)
{
    struct looking looking = {.messages = messages};
    struct cairn_link *l;
    bool done;

    if (!settle_rest(messages))
        return false;
    if (!anything_waits(messages))
        return false;
    if (!may_begin_more(messages)) {
        if (!messages->running_count) /* whose end would be the time to look again */
            messages_retry(messages);
        return false;
    }
    cairn_list_init(&looking.starting);
    done = look(&looking);
    overlay_done(&looking.overlay);
    settle_done(&looking.settling);
    while ((l = cairn_list_pop_front(&looking.starting)))
        start(messages, cairn_container(l, struct invocation, link));
    return done && anything_waits(messages) && may_begin_more(messages);
}
