#include "admin/past.h"

#include <stdlib.h>

#include "admin/admin_internal.h"
#include "admin/events.h"
#include "history/history.h"
#include "object/durable_restored.h"
#include "object/clock.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/kept.h"
#include "object/layout.h"
#include "object/mailbox.h"
#include "object/ordered.h"
#include "object/purge.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/timers.h"
#include "object/type.h"

enum {
    PART_WRITES = 256,
    PART_BYTES = 256 << 10,
    RETRY_NS = 1000000, /* the log makes room in the background and wakes no worker */
    PASTS_MAX = 16,     /* of a worker: each has files open */
};

/* Where the reading of fields is. */
struct place {
    uint32_t value;     /* of value_fields */
    uint32_t container; /* of the header's */
    uint64_t entry;     /* of that */
    bool over;
    struct cairn_buf after; /* of an ordered map: the last key that was read; then of timers: the last name */
};

struct past {
    struct message message; /* first */
    struct cairn_task task;
    struct cairn_link waiting; /* in the worker's pasts->waiting */
    struct cairn_node *node;
    struct invocation *inv;
    uint32_t owner;
    struct cairn_past *shard; /* as it was */
    uint8_t *header_key;
    size_t header_key_size;
    uint32_t value_fields[CAIRN_FIELD_NUMBER_MAX + 1], value_count;
    struct header header;
    struct container containers[CAIRN_FIELD_NUMBER_MAX + 1];
    enum cairn_code code;
    struct cairn_err err;
    /* RESTORE */
    uint64_t incarnation, purge; /* the one that is made, and its number in the queue */
    bool queued;
    struct place place;
    struct overlay reading; /* of what was */
    /* To be committed.  Per write: sized key, sized value; of an ordered map, whose pages are made anew: an empty key,
     * varint field, sized key, sized value. */
    struct cairn_buf part;
};

static struct past *past_of(const struct invocation *inv)
{
    return inv->own;
}

static void end(struct cairn_worker *worker, struct past *past, enum cairn_code code, const char *text)
{
    struct invocation *inv = past->inv;

    set_error(inv, code, text);
    stat_add(&worker->counts.refused, 1);
    invocation_end(worker, inv);
}

static void drop_message(struct cairn_worker *worker, struct message *message)
{
    invocation_free(worker, ((struct past *)message)->inv);
}

static void send(struct past *past, void (*run)(struct cairn_task *task))
{
    past->task.run = run;
    cairn_tasks_submit(past->node->options.tasks, &past->task);
}

static void come_back(struct past *past, void (*receive)(struct cairn_worker *worker, struct message *message))
{
    past->message = (struct message){.receive = receive, .drop = drop_message};
    worker_post(past->node, past->owner, &past->message);
}

/* --- reading, on a task --- */

static bool wants_header(void *context, struct cairn_bytes key)
{
    const struct past *past = context;

    return cairn_bytes_equal(key, cairn_bytes(past->header_key, past->header_key_size));
}

static bool wants_fields(void *context, struct cairn_bytes key)
{
    const struct past *past = context;

    if (key.data[0] == KEY_TIMER_NAMES)
        return true;
    return key.size > 9 && (key.data[0] == KEY_FIELD || key.data[0] == KEY_TIMER) &&
           cairn_get_be64(key.data + 1) == past->header.incarnation;
}

static enum cairn_code read_header(struct past *past, struct cairn_err *err)
{
    struct cairn_view *engine = cairn_past_view(past->shard);
    struct cairn_bytes key = cairn_bytes(past->header_key, past->header_key_size), value;
    enum cairn_code code;

    if (engine->ops->get(engine, key, cairn_hash(key), &value) && !header_decode(value, &past->header))
        return cairn_fail(err, CAIRN_ECORRUPT, "the object's header cannot be read");
    code = cairn_engine_take_failure(engine, err);
    if (code == CAIRN_OK && past->header.incarnation)
        code = cairn_past_load(past->shard, wants_fields, past, true, err);
    return code;
}

static void receive_opened(struct cairn_worker *worker, struct message *message);

static void open(struct cairn_task *task)
{
    struct past *past = cairn_container(task, struct past, task);
    const struct cairn_request *request = past->inv->request;

    past->code = cairn_past_open(past->node->options.store, past->inv->shard, request->number, request->at_ms,
                                 &past->shard, &past->err);
    if (past->code == CAIRN_ENOTFOUND) /* that is said of objects */
        past->code = CAIRN_EINVAL;
    if (past->code == CAIRN_OK)
        past->code = cairn_past_load(past->shard, wants_header, past, false, &past->err);
    if (past->code == CAIRN_OK)
        past->code = read_header(past, &past->err);
    come_back(past, receive_opened);
}

/* A key of the incarnation that was, and its value, goes along under the new one. */
static bool add(struct past *past, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    struct cairn_view *engine = cairn_past_view(past->shard);
    uint8_t *to;

    if (!engine->ops->get(engine, key, cairn_hash(key), ret_value))
        return false;
    cairn_buf_varint(&past->part, key.size);
    to = cairn_buf_reserve(&past->part, key.size);
    memcpy(to, key.data, key.size);
    cairn_put_be64(to + 1, past->incarnation);
    past->part.size += key.size;
    cairn_buf_varint(&past->part, ret_value->size);
    cairn_buf_add(&past->part, ret_value->data, ret_value->size);
    return true;
}

/* An entry of a list, or two keys of a map's. */
static void add_entry(struct past *past, const struct container *c, uint64_t n)
{
    uint8_t key[FIELD_KEY_FIXED_MAX], entry[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    uint64_t incarnation = past->header.incarnation;
    struct cairn_bytes k, ignored;

    if (add(past, cairn_bytes(key, key_map_place(key, incarnation, c->field, n)), &k))
        add(past, cairn_bytes(entry, key_map_entry(entry, incarnation, c->field, k)), &ignored);
    else
        add(past, cairn_bytes(key, key_list_entry(key, incarnation, c->field, c->first + n)), &ignored);
}

struct reader {
    struct cairn_taker taker; /* first */
    struct past *past;
    uint32_t field, count;
};

static void add_sized(struct cairn_buf *to, struct cairn_bytes bytes)
{
    cairn_buf_varint(to, bytes.size);
    cairn_buf_add(to, bytes.data, bytes.size);
}

static bool take_ordered(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct reader *reader = (struct reader *)taker;
    struct past *past = reader->past;

    cairn_buf_varint(&past->part, 0);
    cairn_buf_varint(&past->part, reader->field);
    add_sized(&past->part, key);
    add_sized(&past->part, value);
    past->place.after.size = 0;
    cairn_buf_add(&past->place.after, key.data, key.size);
    reader->count++;
    return past->part.size < PART_BYTES;
}

static bool is_ordered(struct past *past, const struct container *c)
{
    struct ordered map;

    ordered_init(&map, &past->reading, past->header.incarnation, c->field);
    return !tree_empty(&map.tree);
}

/* The next entries of an ordered map, at most `most`; how many. */
static uint32_t add_ordered(struct past *past, const struct container *c, uint32_t most)
{
    struct reader reader = {.taker = {.take = take_ordered, .want = most}, .past = past, .field = c->field};
    struct cairn_range range = {.no_high = true, .above_low = past->place.entry > 0};
    struct cairn_buf low = {0};
    struct ordered map;

    if (range.above_low)
        cairn_buf_add(&low, past->place.after.data, past->place.after.size);
    range.low = cairn_buf_bytes(&low);
    ordered_init(&map, &past->reading, past->header.incarnation, c->field);
    ordered_read(&map, &range, &reader.taker);
    cairn_buf_done(&low);
    return reader.count;
}

/* The next timer.  False: there is none. */
static bool add_timer(struct past *past)
{
    uint64_t incarnation = past->header.incarnation;
    uint8_t bytes[TIMER_NAME_BYTES_MAX], key[TIMER_KEY_BYTES_MAX];
    struct cairn_buf *after = &past->place.after;
    struct cairn_bytes name, ignored;

    if (!timers_next(&past->reading, incarnation, cairn_buf_bytes(after), bytes, &name))
        return false;
    after->size = 0;
    cairn_buf_add(after, name.data, name.size);
    add(past, cairn_bytes(key, timer_key(key, incarnation, name)), &ignored);
    return true;
}

static void receive_part(struct cairn_worker *worker, struct message *message);

static void read_part(struct cairn_task *task)
{
    struct past *past = cairn_container(task, struct past, task);
    struct place *place = &past->place;

    overlay_reset(&past->reading, cairn_past_view(past->shard));
    for (uint32_t i = 0; !place->over && i < PART_WRITES && past->part.size < PART_BYTES; i++) {
        if (place->value < past->value_count) {
            uint8_t key[FIELD_KEY_FIXED_MAX];
            struct cairn_bytes ignored;

            add(past, cairn_bytes(key, key_field(key, past->header.incarnation, past->value_fields[place->value++])),
                &ignored);
        } else if (place->container < past->header.count) {
            const struct container *c = &past->header.containers[place->container];

            if (place->entry < c->count && is_ordered(past, c)) {
                uint32_t count = add_ordered(past, c, PART_WRITES - i);
                place->entry = count ? place->entry + count : c->count;
                i += count;
            } else if (place->entry < c->count) {
                add_entry(past, c, place->entry++);
            } else {
                place->container++;
                place->entry = 0;
                place->after.size = 0;
            }
        } else {
            place->over = !add_timer(past);
        }
    }
    past->code = cairn_engine_take_failure(cairn_past_view(past->shard), &past->err);
    if (past->code == CAIRN_OK && past->reading.code != CAIRN_OK) {
        past->code = past->reading.code;
        past->err = past->reading.err;
    }
    come_back(past, receive_part);
}

/* --- making the incarnation, on the owner --- */

static struct past **restoring(struct cairn_worker *worker, const struct past *past)
{
    return &worker->node->admin->restoring[past->inv->shard];
}

static void commit_ordered(const struct past *past, struct overlay *overlay, struct cairn_reader *r)
{
    uint32_t field = (uint32_t)cairn_read_varint(r);
    struct cairn_bytes key = cairn_read_sized(r), value = cairn_read_sized(r);
    struct ordered map;

    ordered_init(&map, overlay, past->incarnation, field);
    ordered_put(&map, key, value);
}

/* One that had fired is due again: what its method did is not done any more. */
static void commit_timer(const struct past *past, struct shard *shard, struct overlay *overlay, struct cairn_bytes key,
                         struct cairn_bytes value)
{
    struct cairn_bytes name = cairn_bytes(key.data + 9, key.size - 9);
    struct timer timer;

    if (!timer_decode(value, &timer))
        return;
    timer.state = TIMER_PENDING;
    timers_put(overlay, past->incarnation, name, &timer);
    timers_index(shard, overlay, past->incarnation, name, NULL, &timer);
}

/* With the first part its place in the queue. */
static enum cairn_code commit_part(struct cairn_worker *worker, struct past *past, struct cairn_err *err)
{
    struct shard *shard = worker_shard(worker, past->inv->shard);
    struct shard_meta before = shard->meta;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&past->part));
    struct space *space = past->inv->space;
    struct overlay overlay = {0};
    struct space_kept more = {0};
    struct dependency record;
    enum cairn_code code = cairn_shard_check_writers(shard->shard, err);

    overlay_reset(&overlay, shard->engine);
    if (!past->queued) {
        struct header made = past->header;

        made.incarnation = past->incarnation;
        past->purge = shard->meta.purge_end;
        purge_queue(shard, &overlay, &made, past->value_fields, past->value_count,
                    space->counts ? space_payer(space)->name : cairn_bytes(NULL, 0));
    }
    while (cairn_reader_left(&r)) {
        struct cairn_bytes key = cairn_read_sized(&r);

        if (key.size && key.data[0] == KEY_TIMER)
            commit_timer(past, shard, &overlay, key, cairn_read_sized(&r));
        else if (key.size)
            overlay_put(&overlay, key, cairn_read_sized(&r));
        else
            commit_ordered(past, &overlay, &r);
    }
    if (code == CAIRN_OK)
        code = kept_count(space, &overlay, &more, err);
    if (code == CAIRN_OK)
        code = shard_commit_own(worker, shard, &overlay, "restore", &record, err);
    if (code != CAIRN_OK) {
        shard->meta = before;
        kept_undo(space, more);
    } else if (!past->queued) {
        shard->purge_stop = past->purge;
        if (code == CAIRN_OK) {
            timers_count(shard);
            worker->messages_look = true; /* they may be due */
        }
    }
    past->queued |= code == CAIRN_OK;
    overlay_done(&overlay);
    return code;
}

static void part_read(struct cairn_worker *worker, struct past *past)
{
    struct cairn_err err;
    enum cairn_code code = commit_part(worker, past, &err);

    if (code == CAIRN_EOVERLOAD) {
        cairn_list_push_back(&admin_worker(worker)->pasts.waiting, &past->waiting);
        return;
    }
    past->part.size = 0;
    if (code != CAIRN_OK) {
        end(worker, past, code, err.text);
    } else if (!past->place.over) {
        send(past, read_part);
    } else {
        past->shard = cairn_past_close(past->shard); /* all of it was read */
        invocation_arrive(worker, past->inv);
    }
}

static void receive_part(struct cairn_worker *worker, struct message *message)
{
    struct past *past = (struct past *)message;

    if (past->code != CAIRN_OK)
        end(worker, past, past->code, past->err.text);
    else
        part_read(worker, past);
}

static bool step(struct cairn_worker *worker)
{
    struct pasts *pasts = &admin_worker(worker)->pasts;
    struct cairn_link now, *l;
    uint64_t clock_ns;

    if (cairn_list_empty(&pasts->waiting))
        return false;
    clock_ns = worker_clock_ns(worker);
    if (clock_ns < pasts->retry_ns)
        return false;
    pasts->retry_ns = clock_ns + RETRY_NS;
    cairn_list_init(&now);
    while ((l = cairn_list_pop_front(&pasts->waiting)))
        cairn_list_push_back(&now, l);
    while ((l = cairn_list_pop_front(&now)))
        part_read(worker, cairn_container(l, struct past, waiting));
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    return cairn_list_empty(&admin_worker(worker)->pasts.waiting) ? UINT64_MAX : RETRY_NS;
}

const struct housekeeper restores_housekeeper = {.name = "restores", .step = step, .next_ns = next_ns};

static void receive_opened(struct cairn_worker *worker, struct message *message)
{
    struct past *past = (struct past *)message;

    if (past->code != CAIRN_OK) {
        end(worker, past, past->code, past->err.text);
    } else if (past->inv->operation->reads || !past->header.incarnation) {
        invocation_arrive(worker, past->inv);
    } else if (*restoring(worker, past)) {
        end(worker, past, CAIRN_ECONFLICT, "another object of this shard is being restored; try again");
    } else {
        *restoring(worker, past) = past;
        past->incarnation = worker_shard(worker, past->inv->shard)->making =
            shard_incarnation(worker_shard(worker, past->inv->shard));
        send(past, read_part);
    }
}

static void receive_request(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct type *type = type_find(worker, inv->space, inv->type_name);
    struct past *past = cairn_alloc_zeroed(1, sizeof *past);

    cairn_list_init(&past->waiting);
    admin_worker(worker)->pasts.count++;
    past->node = worker->node;
    past->owner = worker->index;
    past->inv = inv;
    inv->own = past;
    inv->worker = worker;
    if (!type || admin_worker(worker)->pasts.count > PASTS_MAX) {
        end(worker, past, type ? CAIRN_EOVERLOAD : CAIRN_ENOTYPE,
            type ? "too many reads of past versions run already; try again later"
                 : "there is no such type; see `cairn types`");
        return;
    }
    if (inv->request->at_ms > (uint64_t)worker_now_ms(worker)) {
        end(worker, past, CAIRN_EINVAL, "that moment is still to come");
        return;
    }
    past->header = (struct header){.containers = past->containers, .room = CAIRN_FIELD_NUMBER_MAX + 1};
    past->header_key = cairn_alloc(1 + CAIRN_VARINT_BYTES_MAX + inv->id.size);
    past->header_key_size = key_header(past->header_key, type->number, inv->id);
    past->value_count = type_value_fields(type, past->value_fields);
    send(past, open);
}

void past_begin(struct cairn_worker *worker, struct invocation *inv)
{
    inv->shard = node_shard_of(worker->node, inv->space, inv->id);
    inv->message.receive = receive_request;
    worker_send(worker, node_owner(worker->node, inv->shard), &inv->message);
}

/* --- in the mailbox --- */

void past_enter(struct invocation *inv)
{
    struct segment *segment = inv->segment;

    overlay_reset(&segment->overlay, cairn_past_view(past_of(inv)->shard));
    segment->header = past_of(inv)->header;
    segment->header.room = 0; /* borrowed */
}

static void restore(struct invocation *inv)
{
    const struct past *past = past_of(inv);
    struct segment *segment = inv->segment;
    bool is_there = inv->object->header.incarnation != 0;

    segment->deleted = is_there;
    segment->header = (struct header){0};
    if (past->queued) {
        uint8_t key[9];

        segment->header = past->header;
        segment->header.room = 0;
        segment->header.incarnation = past->incarnation;
        overlay_remove(&segment->overlay, cairn_bytes(key, key_numbered(key, KEY_PURGE, past->purge)));
    }
    segment->header_dirty = is_there || past->queued;
    durable_restored(inv);
    inv->result.size = 0;
    cairn_value_add_int(&inv->result, past->queued);
}

static enum cairn_code check_restore(const struct cairn_request *request, struct cairn_err *err)
{
    if (!request->number && !request->at_ms)
        return cairn_fail(err, CAIRN_EINVAL, "give a version, or a moment");
    return CAIRN_OK;
}

const struct operation restore_operation = {.name = "restore",
                                            .aim = AIM_OBJECT,
                                            .check = check_restore,
                                            .submit = past_begin,
                                            .receive = receive_invocation,
                                            .run = restore,
                                            .leave = past_leave,
                                            .drop = past_drop,
                                            .answer = hold_answer,
                                            .told = events_reply};

/* --- the end --- */

void past_drop(struct invocation *inv)
{
    struct past *past = past_of(inv);

    cairn_list_remove(&past->waiting);
    cairn_past_close(past->shard);
    cairn_buf_done(&past->part);
    cairn_buf_done(&past->place.after);
    overlay_done(&past->reading);
    free(past->header_key);
    free(past);
    inv->own = NULL;
}

void past_leave(struct cairn_worker *worker, struct invocation *inv)
{
    struct past *past = past_of(inv);

    admin_worker(worker)->pasts.count--;
    if (*restoring(worker, past) == past) {
        *restoring(worker, past) = NULL;
        worker_shard(worker, inv->shard)->purge_stop = PURGE_NO_STOP;
        worker_shard(worker, inv->shard)->making = 0;
    }
    past_drop(inv);
}

void pasts_drop(struct cairn_worker *worker)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&admin_worker(worker)->pasts.waiting)))
        invocation_free(worker, cairn_container(l, struct past, waiting)->inv);
}
