#include <assert.h>
#include <stdlib.h>

#include "object/quota.h"
#include "server/session_internal.h"

enum {
    WINDOW_FIRST = 64,      /* commands under way until the size of the replies is known */
    REPLY_LARGE = 16 << 10, /* replies beyond this make the window smaller ... */
    WINDOW_BYTES = 4 << 20, /* ... so that about this much can be under way */
    FREE_SLOTS_MAX = 4096,
    SLOT_KEEPS_BYTES = 2 << 10, /* buffers beyond this are not kept */
    SESSION_KEEPS_BYTES = 16 << 10,
    PART_ROOM_BYTES = CAIRN_PAGE_BYTES, /* the next part of a reply is asked for when less than this waits to be sent */
    OVERFLOW_FACTOR = 4,
    SENT_BYTES = 64 << 10,         /* that are sent are not kept long */
    SESSION_FREE_BYTES = 16 << 10, /* a session may keep them while memory is short */
    /* Of the node's memory, in eighths; the worker's are in object/account.c. */
    READ_EIGHTHS = 4,
    SHORT_EIGHTHS = 6,
};

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

void cairn_front_init(struct cairn_front *front, const struct cairn_backend *backend, uint32_t index,
                      struct cairn_clock *clock, const struct cairn_front_limits *limits,
                      const struct cairn_front_about *about)
{
    struct cairn_front_limits *l = &front->limits;

    memset(front, 0, sizeof *front);
    front->round_over = true;
    front->backend = backend;
    front->worker = backend->worker(backend->context, index);
    front->clock = clock;
    cairn_random_init(&front->job_ids, clock->entropy(clock) + index);
    front->about = about;
    front->space = backend->space ? backend->space(backend->context, cairn_str(SPACE_DEFAULT)) : NULL;
    front->index = index;
    if (limits)
        *l = *limits;
    l->under_way = (uint32_t)or_default(l->under_way, 1024);
    l->output_bytes = (uint32_t)or_default(l->output_bytes, 1 << 20);
    l->bulk_bytes = (uint32_t)or_default(l->bulk_bytes, 33 << 20);
    l->words = (uint32_t)or_default(l->words, 4096);
    l->line_bytes = (uint32_t)or_default(l->line_bytes, 16 << 10);
    l->headers = (uint32_t)or_default(l->headers, 100);
    l->header_bytes = (uint32_t)or_default(l->header_bytes, 32 << 10);
    l->partial_bytes = (uint32_t)or_default(l->partial_bytes, 16 << 10);
    l->transaction_commands = (uint32_t)or_default(l->transaction_commands, 16384);
    l->post_bytes = or_default(l->post_bytes, 64 << 20);
    l->transaction_bytes = (uint32_t)or_default(l->transaction_bytes, 32 << 20);
    l->session_bytes = or_default(l->session_bytes, 64 << 20);
    front->own.limit = or_default(l->memory_bytes, 1 << 30);
    front->memory = backend->memory ? backend->memory : &front->own;
    front->partial = (struct cairn_budget){.parent = front->memory, .limit = front->memory->limit / 8};
    front->purse.budget = front->memory;
    front->partial_purse.budget = &front->partial;
    front->resp_limits = (struct cairn_resp_limits){
        .args_max = l->words,
        .bulk_bytes_max = l->bulk_bytes,
        .request_bytes_max = l->bulk_bytes + (1 << 20),
        .inline_bytes_max = l->line_bytes,
    };
    front->http_limits = (struct cairn_http_limits){
        .target_bytes_max = l->line_bytes,
        .header_bytes_max = l->header_bytes,
        .headers_max = l->headers,
    };
    cairn_list_init(&front->sessions);
    cairn_list_init(&front->touched);
    cairn_list_init(&front->later);
}

void cairn_front_done(struct cairn_front *front)
{
    struct cairn_link *link, *next;
    struct cairn_slot *slot;

    for (link = front->sessions.next; link != &front->sessions; link = next) {
        struct cairn_session *session = cairn_container(link, struct cairn_session, link);

        next = link->next;
        assert(session->state == CAIRN_SESSION_CLOSED);
        session->ops->free(session); /* its replies will never come */
    }
    while ((slot = front->free_slots)) {
        front->free_slots = slot->next;
        cairn_buf_done(&slot->data);
        cairn_buf_done(&slot->more);
        cairn_buf_done(&slot->reply);
        free(slot);
    }
    cairn_front_drop_posts(front);
    cairn_buf_done(&front->scratch);
}

void cairn_session_init(struct cairn_session *session, const struct cairn_protocol *ops, struct cairn_front *front,
                        void *owner)
{
    session->ops = ops;
    session->front = front;
    session->owner = owner;
    session->space = front->space; /* all begin there, and it has no limit of connections */
    if (session->space)
        quota_connect(session->space, NULL);
    session->window = front->limits.under_way < WINDOW_FIRST ? front->limits.under_way : WINDOW_FIRST;
    session->id = ++front->next_id * front->backend->workers + front->index; /* unique on the node */
    session->account.limit = front->limits.session_bytes;
    session->opened_ms = front->clock->wall_ms(front->clock);
    cairn_list_init(&session->touched);
    cairn_list_init(&session->later);
    cairn_list_push_back(&front->sessions, &session->link);
    cairn_count(&front->stats.sessions[session->ops->index], 1);
    cairn_count(&front->stats.sessions_total[session->ops->index], 1);
}

bool cairn_session_enter(struct cairn_session *session, struct space *space, uint64_t *ret_most)
{
    if (space == session->space)
        return true;
    if (!quota_connect(space, ret_most))
        return false;
    quota_disconnect(session->space);
    session->space = space;
    return true;
}

/* --- the account --- */

/* Requests, replies and output. */
static void keep(struct cairn_session *session, int64_t more)
{
    uint64_t held = atomic_load_explicit(&session->account.held, memory_order_relaxed);

    atomic_store_explicit(&session->account.held, held + (uint64_t)more, memory_order_relaxed);
    cairn_purse_add(&session->front->purse, more);
}

static uint64_t kept(const struct cairn_session *session)
{
    return atomic_load_explicit(&session->account.held, memory_order_relaxed);
}

static void count_output(struct cairn_session *session, size_t unsent)
{
    keep(session, (int64_t)unsent - (int64_t)session->out_counted);
    session->out_counted = unsent;
}

static void count_partial(struct cairn_session *session, size_t bytes)
{
    cairn_purse_add(&session->front->partial_purse, (int64_t)bytes - (int64_t)session->in_counted);
    session->in_counted = bytes;
}

void cairn_session_done(struct cairn_session *session)
{
    struct cairn_front *front = session->front;
    struct cairn_slot *slot;

    count_partial(session, 0);
    count_output(session, 0);
    while ((slot = session->first)) {
        session->first = slot->next;
        cairn_slot_give_back(front, slot);
    }
    cairn_list_remove(&session->link);
    cairn_list_remove(&session->touched);
    cairn_list_remove(&session->later);
    cairn_buf_done(&session->in);
    cairn_buf_done(&session->out);
    free(session->peer);
}

/* --- slots --- */

struct cairn_slot *cairn_slot_take(struct cairn_session *session)
{
    struct cairn_front *front = session->front;
    struct cairn_slot *slot = front->free_slots;

    if (slot) {
        front->free_slots = slot->next;
        front->free_slot_count--;
        memset(&slot->request, 0, sizeof slot->request);
        slot->next = NULL;
        slot->done = slot->encoded = slot->waits = slot->alone = slot->metrics = slot->begun = false;
        slot->form = slot->flags = 0;
    } else {
        slot = cairn_alloc_zeroed(1, sizeof *slot);
    }
    slot->session = session;
    slot->request.owner = slot;
    slot->request.space = session->space;
    return slot;
}

static void trim_buf(struct cairn_buf *buf, size_t keep)
{
    buf->size = 0;
    if (buf->capacity > keep)
        cairn_buf_done(buf);
}

void cairn_slot_give_back(struct cairn_front *front, struct cairn_slot *slot)
{
    if (slot->charged)
        keep(slot->session, -(int64_t)slot->charged);
    slot->charged = 0;
    if (front->free_slot_count >= FREE_SLOTS_MAX) {
        cairn_buf_done(&slot->data);
        cairn_buf_done(&slot->more);
        cairn_buf_done(&slot->reply);
        free(slot);
        return;
    }
    trim_buf(&slot->data, SLOT_KEEPS_BYTES);
    trim_buf(&slot->more, SLOT_KEEPS_BYTES);
    trim_buf(&slot->reply, SLOT_KEEPS_BYTES);
    slot->session = NULL;
    slot->next = front->free_slots;
    front->free_slots = slot;
    front->free_slot_count++;
}

static void queue(struct cairn_slot *slot)
{
    struct cairn_session *session = slot->session;

    if (session->first)
        session->last->next = slot;
    else
        session->first = slot;
    session->last = slot;
    session->queued++;
}

void cairn_session_touch(struct cairn_session *session)
{
    if (cairn_list_empty(&session->touched) && session->state != CAIRN_SESSION_CLOSED)
        cairn_list_push_back(&session->front->touched, &session->touched);
}

/* The output has grown. */
static void output_grew(struct cairn_session *session)
{
    struct cairn_front *front = session->front;
    size_t unsent = session->out.size - session->out_sent;

    count_output(session, session->out.capacity);
    if (unsent > (size_t)OVERFLOW_FACTOR * front->limits.output_bytes && !session->cut &&
        cairn_budget_over(front->memory, READ_EIGHTHS))
        cairn_session_give_up(session); /* memory runs short, and this one has asked for far more than it takes */
    cairn_session_touch(session);
}

void cairn_session_give_up(struct cairn_session *session)
{
    cairn_count(&session->front->stats.overflowed, 1);
    cairn_session_break_off(session);
}

void cairn_session_break_off(struct cairn_session *session)
{
    session->cut = true;
    cairn_buf_done(&session->out);
    session->out_sent = 0;
    count_output(session, 0);
    if (session->state == CAIRN_SESSION_OPEN)
        session->state = CAIRN_SESSION_ENDING;
    cairn_session_touch(session);
}

size_t cairn_session_waiting_bytes(const struct cairn_session *session)
{
    return session->out_counted + session->replies_bytes;
}

bool cairn_front_short(const struct cairn_front *front)
{
    return cairn_budget_over(front->memory, SHORT_EIGHTHS);
}

static bool has_room_for_part(const struct cairn_session *session)
{
    return session->out.size - session->out_sent < PART_ROOM_BYTES;
}

void cairn_slot_go_on(struct cairn_slot *slot, struct cairn_bytes cursor)
{
    assert(cursor.size <= sizeof slot->cursor);
    memmove(slot->cursor, cursor.data, cursor.size);
    slot->request.cursor = cairn_bytes(slot->cursor, cursor.size);
    slot->waits = true;
}

void cairn_slot_go_on_alone(struct cairn_slot *slot)
{
    slot->waits = slot->alone = true;
}

/* The reply of the slot at the head is written: it leaves.  False: only a part is, and the slot stays. */
static bool leave(struct cairn_session *session)
{
    struct cairn_slot *slot = session->first;

    if (slot->waits && !session->cut) {
        size_t charged = sizeof *slot + slot->data.capacity + slot->more.capacity;

        slot->done = slot->encoded = false;
        slot->reply.size = 0;
        keep(session, (int64_t)charged - (int64_t)slot->charged);
        slot->charged = charged;
        if (has_room_for_part(session))
            cairn_session_work_later(session);
        return false;
    }
    session->first = slot->next;
    session->queued--;
    cairn_slot_give_back(session->front, slot);
    if (session->first && session->first->waits)
        cairn_session_work_later(session);
    return true;
}

/* Moves the replies at the head of the queue to the output until it is full; the rest follow when some is sent. */
static void move_done(struct cairn_session *session)
{
    struct cairn_slot *slot;

    while ((slot = session->first) && slot->done && !cairn_session_output_full(session)) {
        session->replies_bytes -= slot->reply.size;
        if (session->cut)
            ; /* nobody takes it */
        else if (slot->encoded)
            session->ops->write(session, slot, cairn_buf_bytes(&slot->reply), &session->out);
        else
            cairn_buf_add(&session->out, slot->reply.data, slot->reply.size);
        if (!leave(session))
            return;
    }
}

/* Asks for the next part of the reply at the head, if that waits and there is room. */
static void ask_next_part(struct cairn_session *session)
{
    struct cairn_front *front = session->front;
    struct cairn_slot *slot = session->first;

    if (!slot || !slot->waits || session->cut || !has_room_for_part(session))
        return;
    slot->waits = false;
    if (slot->alone) {
        session->ops->write(session, slot, cairn_bytes(NULL, 0), &session->out);
        if (leave(session) && session->first)
            move_done(session);
        output_grew(session);
        return;
    }
    slot->request.goes_on = true;
    session->under_way++;
    front->submitted++;
    if (slot->metrics)
        front->about->metrics(front->about->context, front, &slot->request);
    else
        front->backend->submit(front->worker, &slot->request);
}

static void size_window(struct cairn_session *session, size_t reply_bytes)
{
    if (reply_bytes > REPLY_LARGE) {
        size_t window = WINDOW_BYTES / reply_bytes + 1;

        if (window < session->window)
            session->window = (uint32_t)window;
    } else if (session->window < session->front->limits.under_way) {
        session->window++;
    }
}

/* Goes on with a reply in parts and a command of several steps, and frees a closed session that has nothing left to
 * do. */
static void go_on(struct cairn_session *session)
{
    ask_next_part(session);
    if (session->under_way > 0 || session->stepping)
        return;
    if (session->working) {
        session->stepping = true;
        session->ops->step(session);
        session->stepping = false;
    }
    if (session->state == CAIRN_SESSION_CLOSED && session->under_way == 0 && !session->working)
        session->ops->free(session);
}

void cairn_session_work_begin(struct cairn_session *session)
{
    session->working = true;
    go_on(session);
}

void cairn_session_work_later(struct cairn_session *session)
{
    if (cairn_list_empty(&session->later))
        cairn_list_push_back(&session->front->later, &session->later);
    session->front->submitted++; /* the owner comes back at once */
}

void cairn_session_work_end(struct cairn_session *session)
{
    session->working = false;
    cairn_session_touch(session); /* what it has not read or parsed meanwhile */
}

/* The reply is there, and earlier ones, or room in the output, are missing. */
static void reply_waits(struct cairn_session *session, struct cairn_slot *slot)
{
    if (session->cut)
        cairn_buf_done(&slot->reply);
    session->replies_bytes += slot->reply.size;
    slot->charged += slot->reply.size;
    keep(session, (int64_t)slot->reply.size);
}

static void on_reply(struct cairn_request *request, struct cairn_bytes value)
{
    struct cairn_slot *slot = request->owner;
    struct cairn_session *session = slot->session;
    size_t before;

    session->under_way--;
    slot->done = true;
    if (session->state == CAIRN_SESSION_CLOSED) {
        move_done(session);
        go_on(session);
        return;
    }
    if (slot == session->first && !cairn_session_output_full(session)) {
        before = session->out.size;
        session->ops->write(session, slot, value, &session->out);
        size_window(session, session->out.size - before);
        if (session->cut)
            session->out.size = session->out_sent = 0;
        if (leave(session) && session->first)
            move_done(session);
        output_grew(session);
    } else {
        slot->encoded = true;
        cairn_buf_add(&slot->reply, value.data, value.size);
        size_window(session, value.size);
        reply_waits(session, slot);
    }
    if (session->working)
        go_on(session);
}

static struct cairn_front *enter(struct cairn_slot *slot)
{
    struct cairn_session *session = slot->session;

    slot->request.reply = on_reply;
    slot->request.account = &session->account;
    slot->charged = sizeof *slot + slot->data.capacity + slot->more.capacity;
    keep(session, (int64_t)slot->charged);
    queue(slot);
    session->under_way++;
    session->front->submitted++;
    return session->front;
}

void cairn_slot_submit(struct cairn_slot *slot)
{
    struct cairn_front *front = enter(slot);

    front->backend->submit(front->worker, &slot->request);
}

void cairn_slot_ask_metrics(struct cairn_slot *slot)
{
    struct cairn_front *front = enter(slot);

    slot->metrics = true;
    front->about->metrics(front->about->context, front, &slot->request);
}

void cairn_slot_ask_export(struct cairn_slot *slot)
{
    struct cairn_front *front = enter(slot);

    front->about->export_page(front->about->context, front, &slot->request);
}

void cairn_slot_begin_alone(struct cairn_slot *slot)
{
    cairn_slot_go_on_alone(slot);
    slot->charged = sizeof *slot + slot->data.capacity + slot->more.capacity;
    keep(slot->session, (int64_t)slot->charged);
    queue(slot);
    if (slot->session->first == slot)
        cairn_session_work_later(slot->session);
}

struct cairn_buf *cairn_session_reply_begin(struct cairn_session *session)
{
    struct cairn_slot *slot;

    if (!session->first)
        return &session->out;
    slot = cairn_slot_take(session);
    slot->done = true;
    queue(slot);
    return &slot->reply;
}

void cairn_session_reply_end(struct cairn_session *session)
{
    if (session->cut)
        session->out.size = session->out_sent = 0;
    if (session->first)
        reply_waits(session, session->last); /* the one that begin has taken */
    output_grew(session);
}

void cairn_session_push(struct cairn_session *session, struct cairn_bytes bytes)
{
    if (session->cut)
        return;
    cairn_buf_add(&session->out, bytes.data, bytes.size);
    output_grew(session);
    if (!session->cut &&
        session->out.size - session->out_sent > (size_t)OVERFLOW_FACTOR * session->front->limits.output_bytes)
        cairn_session_give_up(session); /* nothing holds back what is pushed but this */
}

/* --- input and output --- */

bool cairn_session_output_full(const struct cairn_session *session)
{
    return session->out.size - session->out_sent >= session->front->limits.output_bytes;
}

bool cairn_session_full(const struct cairn_session *session)
{
    return session->working || session->queued >= session->window || cairn_session_output_full(session) ||
           kept(session) >= session->account.limit ||
           (kept(session) > SESSION_FREE_BYTES && cairn_budget_over(session->front->memory, READ_EIGHTHS));
}

/* Parses and returns how much of `bytes` is done with. */
static size_t parse(struct cairn_session *session, struct cairn_bytes bytes)
{
    size_t used = session->ops->parse(session, bytes);

    assert(used <= bytes.size);
    if (session->state != CAIRN_SESSION_OPEN)
        return bytes.size; /* whatever follows is not for us */
    session->stalled = used < bytes.size && cairn_session_full(session);
    if (session->input_is_over && !session->stalled)
        cairn_session_end(session);
    return used;
}

static void count_input(struct cairn_session *session)
{
    count_partial(session, session->in.capacity + session->ops->partial_bytes(session) + session->aside_bytes);
}

static void input_changed(struct cairn_session *session)
{
    struct cairn_front *front = session->front;

    if (session->in.size == 0 && session->in.capacity > 1024)
        cairn_buf_done(&session->in);
    count_input(session);
    if (session->in_counted > front->limits.partial_bytes && cairn_budget_over(&front->partial, 8) &&
        !session->stalled && !session->working && session->state == CAIRN_SESSION_OPEN) {
        cairn_count(&front->stats.overflowed, 1);
        session->ops->too_big(session);
    }
}

void cairn_session_set_aside(struct cairn_session *session, size_t bytes)
{
    session->aside_bytes = bytes;
    count_input(session);
}

void cairn_session_input(struct cairn_session *session, struct cairn_bytes bytes)
{
    size_t used;

    assert(session->state != CAIRN_SESSION_CLOSED);
    if (session->state != CAIRN_SESSION_OPEN)
        return;
    cairn_count(&session->front->stats.bytes_in, bytes.size);
    if (session->in.size == 0) {
        used = parse(session, bytes);
        cairn_buf_add(&session->in, bytes.data + used, bytes.size - used);
    } else {
        cairn_buf_add(&session->in, bytes.data, bytes.size);
        if (!session->stalled)
            cairn_buf_consume(&session->in, parse(session, cairn_buf_bytes(&session->in)));
    }
    input_changed(session);
}

/* The steps that were put off in the last round. */
static void go_on_later(struct cairn_front *front)
{
    struct cairn_link put_off, *link;

    cairn_list_init(&put_off);
    while ((link = cairn_list_pop_front(&front->later)))
        cairn_list_push_back(&put_off, link);
    while ((link = cairn_list_pop_front(&put_off)))
        go_on(cairn_container(link, struct cairn_session, later)); /* may free it */
}

struct cairn_session *cairn_front_next(struct cairn_front *front)
{
    struct cairn_session *session;
    struct cairn_link *link;

    if (front->round_over) {
        if (atomic_load_explicit(&front->posts, memory_order_relaxed))
            cairn_front_take_posts(front);
        go_on_later(front);
    }
    link = cairn_list_pop_front(&front->touched);
    front->round_over = !link;
    if (!link)
        return NULL;
    session = cairn_container(link, struct cairn_session, touched);
    if (session->stalled && session->state == CAIRN_SESSION_OPEN && !cairn_session_full(session)) {
        cairn_buf_consume(&session->in, parse(session, cairn_buf_bytes(&session->in)));
        input_changed(session);
        cairn_list_remove(&session->touched); /* the owner looks at it right now */
    }
    return session;
}

void cairn_session_end(struct cairn_session *session)
{
    if (session->state == CAIRN_SESSION_OPEN)
        session->state = CAIRN_SESSION_ENDING;
    cairn_session_touch(session);
}

void cairn_session_input_ended(struct cairn_session *session)
{
    if (session->stalled && session->state == CAIRN_SESSION_OPEN)
        session->input_is_over = true; /* whole commands wait to be parsed */
    else
        cairn_session_end(session);
}

struct cairn_bytes cairn_session_output(const struct cairn_session *session)
{
    if (session->out_sent == session->out.size)
        return cairn_bytes(NULL, 0);
    return cairn_bytes(session->out.data + session->out_sent, session->out.size - session->out_sent);
}

/* At least half of the output is sent: what is left moves, into less memory if it is much less. */
static void forget_sent(struct cairn_session *session)
{
    struct cairn_buf rest = {0};

    if (session->out.capacity / 4 < session->out.size - session->out_sent) {
        cairn_buf_consume(&session->out, session->out_sent);
    } else {
        cairn_buf_add(&rest, session->out.data + session->out_sent, session->out.size - session->out_sent);
        cairn_buf_done(&session->out);
        session->out = rest;
    }
    session->out_sent = 0;
}

void cairn_session_sent(struct cairn_session *session, size_t bytes)
{
    struct cairn_front *front = session->front;

    session->out_sent += bytes;
    assert(session->out_sent <= session->out.size);
    cairn_count(&front->stats.bytes_out, bytes);
    if (session->out_sent == session->out.size) {
        session->out_sent = 0;
        trim_buf(&session->out, SESSION_KEEPS_BYTES);
    } else if (session->out_sent >= SENT_BYTES && session->out_sent >= session->out.size / 2) {
        forget_sent(session); /* a client may never take the last byte before there is more */
    }
    if (session->first && session->first->done && !cairn_session_output_full(session)) {
        move_done(session);
        cairn_session_touch(session);
    }
    count_output(session, session->out.capacity);
    if ((session->working && !cairn_session_output_full(session)) ||
        (session->first && session->first->waits && has_room_for_part(session)))
        cairn_session_work_later(session);
    else if (session->stalled && !cairn_session_full(session))
        cairn_session_touch(session);
}

bool cairn_session_reads(const struct cairn_session *session)
{
    return session->state == CAIRN_SESSION_OPEN && !session->stalled && !session->input_is_over &&
           !cairn_session_full(session);
}

bool cairn_session_over(const struct cairn_session *session)
{
    return session->cut || (session->state == CAIRN_SESSION_ENDING && !session->working && session->queued == 0 &&
                            session->out_sent == session->out.size);
}

bool cairn_session_cut(const struct cairn_session *session)
{
    return session->cut;
}

size_t cairn_session_partial_bytes(const struct cairn_session *session)
{
    if (session->state != CAIRN_SESSION_OPEN || session->stalled)
        return 0;
    return session->in.size + session->ops->partial_bytes(session);
}

uint32_t cairn_session_requests(const struct cairn_session *session)
{
    return session->requests;
}

bool cairn_session_idle(const struct cairn_session *session)
{
    return !session->working && session->queued == 0 && session->out_sent == session->out.size;
}

void *cairn_session_owner(const struct cairn_session *session)
{
    return session->owner;
}

const struct cairn_protocol *cairn_session_protocol(const struct cairn_session *session)
{
    return session->ops;
}

void cairn_session_timed_out(struct cairn_session *session)
{
    cairn_count(&session->front->stats.timed_out, 1);
    session->ops->timed_out(session);
    cairn_session_end(session);
}

void cairn_session_finish(struct cairn_session *session)
{
    cairn_session_end(session);
}

void cairn_session_trim(struct cairn_session *session)
{
    if (session->in.size == 0)
        cairn_buf_done(&session->in);
    if (session->out.size == 0)
        cairn_buf_done(&session->out);
    if (session->ops->trim)
        session->ops->trim(session);
    count_partial(session, session->in.capacity + session->ops->partial_bytes(session) + session->aside_bytes);
    count_output(session, session->out.capacity);
}

void cairn_session_name_peer(struct cairn_session *session, const char *peer)
{
    free(session->peer);
    session->peer = cairn_bytes_dup(cairn_str(peer));
}

void cairn_session_close(struct cairn_session *session)
{
    struct cairn_front *front = session->front;

    assert(session->state != CAIRN_SESSION_CLOSED);
    session->state = CAIRN_SESSION_CLOSED;
    session->cut = true;
    atomic_store_explicit(&session->account.gone, true, memory_order_relaxed);
    session->out.size = session->out_sent = 0;
    session->owner = NULL;
    if (session->space)
        quota_disconnect(session->space);
    cairn_session_forget_ref(session);
    cairn_list_remove(&session->touched);
    atomic_fetch_sub_explicit(&front->stats.sessions[session->ops->index], 1, memory_order_relaxed);
    cairn_buf_done(&session->out); /* requests under way may keep the rest for long */
    count_output(session, 0);
    for (struct cairn_slot *slot = session->first; slot; slot = slot->next)
        slot->done |= slot->waits; /* nobody takes the rest */
    move_done(session);
    if (session->under_way > 0)
        return;
    if (session->working)
        cairn_session_work_later(session); /* it waited for its output */
    else
        session->ops->free(session);
}
