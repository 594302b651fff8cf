#include <assert.h>
#include <stdlib.h>

#include "object/quota.h"
#include "server/session_internal.h"

enum {
    WINDOW_FIRST = 64, /* commands under way until the size of the replies is known */
    SESSION_KEEPS_BYTES = 16 << 10,
    OVERFLOW_FACTOR = 4,
    LARGE_WORD_BYTES = 512 << 20,  /* Redis' proto-max-bulk-len */
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
        /* What a mover takes may be larger; the session looks at other words itself. */
        .bulk_bytes_max = backend->movers ? LARGE_WORD_BYTES : l->bulk_bytes,
        .request_bytes_max = (backend->movers ? LARGE_WORD_BYTES : l->bulk_bytes) + (1 << 20),
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

    for (link = front->sessions.next; link != &front->sessions; link = next) {
        struct cairn_session *session = cairn_container(link, struct cairn_session, link);

        next = link->next;
        assert(session->state == CAIRN_SESSION_CLOSED);
        session->ops->free(session); /* its replies will never come */
    }
    cairn_slots_done(front);
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

void cairn_session_keep(struct cairn_session *session, int64_t more)
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
    cairn_session_keep(session, (int64_t)unsent - (int64_t)session->out_counted);
    session->out_counted = unsent;
}

static void count_partial(struct cairn_session *session, size_t bytes)
{
    cairn_purse_add(&session->front->partial_purse, (int64_t)bytes - (int64_t)session->in_counted);
    session->in_counted = bytes;
}

void cairn_session_done(struct cairn_session *session)
{
    count_partial(session, 0);
    count_output(session, 0);
    cairn_slots_drop(session);
    cairn_list_remove(&session->link);
    cairn_list_remove(&session->touched);
    cairn_list_remove(&session->later);
    cairn_buf_done(&session->in);
    cairn_buf_done(&session->out);
    free(session->peer);
}

void cairn_session_touch(struct cairn_session *session)
{
    if (cairn_list_empty(&session->touched) && session->state != CAIRN_SESSION_CLOSED)
        cairn_list_push_back(&session->front->touched, &session->touched);
}

void cairn_session_output_grew(struct cairn_session *session)
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

void cairn_session_go_on(struct cairn_session *session)
{
    cairn_slots_ask_next(session);
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
    cairn_session_go_on(session);
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

void cairn_session_push(struct cairn_session *session, struct cairn_bytes bytes)
{
    if (session->cut)
        return;
    cairn_buf_add(&session->out, bytes.data, bytes.size);
    cairn_session_output_grew(session);
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

void cairn_session_unread(struct cairn_session *session, struct cairn_bytes bytes)
{
    struct cairn_buf all = {0};

    cairn_buf_add(&all, bytes.data, bytes.size);
    cairn_buf_add(&all, session->in.data, session->in.size);
    cairn_buf_done(&session->in);
    session->in = all;
    session->stalled = true;
    count_input(session);
}

struct cairn_move *cairn_session_move(const struct cairn_session *session)
{
    return session->cut ? NULL : session->move;
}

void cairn_session_moved(struct cairn_session *session)
{
    struct cairn_move *move = session->move;

    session->move = NULL;
    session->ops->moved(session, move);
}

/* The steps that were put off in the last round. */
static void go_on_later(struct cairn_front *front)
{
    struct cairn_link put_off, *link;

    cairn_list_init(&put_off);
    while ((link = cairn_list_pop_front(&front->later)))
        cairn_list_push_back(&put_off, link);
    while ((link = cairn_list_pop_front(&put_off)))
        cairn_session_go_on(cairn_container(link, struct cairn_session, later)); /* may free it */
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
        cairn_buf_trim(&session->out, SESSION_KEEPS_BYTES);
    } else if (session->out_sent >= SENT_BYTES && session->out_sent >= session->out.size / 2) {
        forget_sent(session); /* a client may never take the last byte before there is more */
    }
    if (session->first && session->first->done && !cairn_session_output_full(session)) {
        cairn_slots_move(session);
        cairn_session_touch(session);
    }
    count_output(session, session->out.capacity);
    if ((session->working && !cairn_session_output_full(session)) || cairn_slots_want_part(session))
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
    if (session->ops->closing)
        session->ops->closing(session);
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
    cairn_slots_close(session);
    if (session->under_way > 0)
        return;
    if (session->working)
        cairn_session_work_later(session); /* it waited for its output */
    else
        session->ops->free(session);
}
