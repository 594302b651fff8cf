#include "keeper/session.h"

#include <stdlib.h>

#include "keeper/linger.h"
#include "keeper/watch.h"
#include "keeper/write.h"
#include "object/clock.h"

/* --- time ----------------------------------------------------------------------------------------- */

static uint64_t now_of(const struct keeper_worker *kw)
{
    return worker_clock_ns(kw->worker) - kw->paused_ns;
}

/* It is looked at in the slot of that moment, or of the farthest one. */
static void put_in_wheel(struct keeper_worker *kw, struct keeper_session *session, uint64_t at_ns)
{
    uint64_t slot = at_ns / KEEPER_SLOT_NS + 1;

    if (slot < kw->wheel_at)
        slot = kw->wheel_at;
    if (slot >= kw->wheel_at + KEEPER_WHEEL)
        slot = kw->wheel_at + KEEPER_WHEEL - 1;
    cairn_list_remove(&session->due);
    cairn_list_push_back(&kw->wheel[slot % KEEPER_WHEEL], &session->due);
}

void keeper_session_heard(struct keeper_session *session)
{
    session->deadline_ns =
        now_of(session->tree->kw) + (uint64_t)session->timeout_ms * 1000000 + KEEPER_HEARD_MS * UINT64_C(1000000);
}

/* --- sessions ------------------------------------------------------------------------------------- */

struct keeper_session *keeper_session_find(struct keeper_tree *tree, uint64_t number)
{
    struct keeper_item *item = keeper_map_find(&tree->sessions, number);

    return item ? cairn_container(item, struct keeper_session, item) : NULL;
}

struct keeper_session *keeper_session_add(struct keeper_tree *tree, uint64_t number, uint32_t timeout_ms)
{
    struct keeper_worker *kw = tree->kw;
    struct keeper_session *session = cairn_alloc_zeroed(1, sizeof *session);

    if (kw->session_count++ == 0) { /* the wheel has stood still */
        kw->stepped_ns = worker_clock_ns(kw->worker);
        kw->wheel_at = now_of(kw) / KEEPER_SLOT_NS;
    }
    session->tree = tree;
    session->timeout_ms = timeout_ms;
    cairn_list_init(&session->due);
    cairn_list_init(&session->closing);
    cairn_list_init(&session->parked);
    cairn_list_init(&session->watches);
    keeper_map_add(&tree->sessions, &session->item, number);
    keeper_session_heard(session);
    put_in_wheel(kw, session, session->deadline_ns);
    return session;
}

static void tell_link(struct keeper_session *session, enum keeper_end why)
{
    struct keeper_tree *tree = session->tree;
    struct keeper_note *note;

    if (!session->linked)
        return;
    session->linked = false;
    note = keeper_note_new(tree->space->parent, 0, keeper_link_over);
    note->session = session->item.key;
    note->generation = session->generation;
    note->why = why;
    worker_send(tree->kw->worker, session->worker, &note->message);
}

/* Parked reads up to that number, in their order; they find out what has become of their session. */
static void release(struct keeper_session *session, uint64_t number)
{
    while (!cairn_list_empty(&session->parked)) {
        struct invocation *inv = cairn_container(session->parked.next, struct invocation, link);
        const struct keeper_task *task = inv->request->owner;

        if (task->number > number || session->waits)
            return;
        cairn_list_remove(&inv->link);
        inv->message.receive(session->tree->kw->worker, &inv->message);
    }
}

void keeper_session_decided(struct keeper_session *session, uint64_t number)
{
    if (number > session->decided)
        session->decided = number;
    release(session, session->decided);
}

void keeper_session_close(struct keeper_session *session, uint64_t zxid)
{
    struct keeper_tree *tree = session->tree;

    if (session->closed)
        return;
    session->closed = true;
    session->closed_zxid = zxid;
    tree->expired += session->ends;
    cairn_list_remove(&session->due);
    tree->kw->session_count--;
    cairn_list_push_back(&tree->closing, &session->closing);
    keeper_watches_drop(session);
    tell_link(session, KEEPER_END_EXPIRED);
    session->waits = 0;
    release(session, UINT64_MAX);
}

void keeper_session_over(struct keeper_session *session)
{
    tell_link(session, KEEPER_END_EXPIRED);
    keeper_session_free(session);
}

void keeper_session_free(struct keeper_session *session)
{
    struct keeper_tree *tree = session->tree;

    keeper_linger_end(session);
    keeper_watches_drop(session);
    if (!session->closed)
        tree->kw->session_count--;
    cairn_list_remove(&session->due);
    cairn_list_remove(&session->closing);
    keeper_map_remove(&tree->sessions, &session->item);
    session->waits = 0;
    release(session, UINT64_MAX);
    free(session);
}

static void drop_parked(struct keeper_item *item, void *context)
{
    struct keeper_session *session = cairn_container(item, struct keeper_session, item);
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&session->parked)))
        invocation_free(context, cairn_container(l, struct invocation, link));
}

void keeper_session_drop_parked(struct keeper_tree *tree)
{
    keeper_map_each(&tree->sessions, drop_parked, tree->kw->worker);
}

void keeper_session_attach(struct keeper_session *session, uint32_t worker, uint32_t generation)
{
    tell_link(session, KEEPER_END_MOVED);
    keeper_watches_drop(session);
    session->linked = true;
    session->worker = worker;
    session->generation = generation;
    keeper_session_heard(session);
    keeper_session_decided(session, keeper_first_number(generation));
}

/* --- what is over --------------------------------------------------------------------------------- */

static void ended(struct keeper_call *call, struct cairn_bytes value)
{
    struct keeper_tree *tree = keeper_tree_find(keeper_worker_of(call->worker), call->request.space);
    struct keeper_session *session;

    (void)value;
    if (!tree)
        return;
    tree->ending--;
    session = keeper_session_find(tree, (uint64_t)(uintptr_t)call->context);
    if (session && session->ends) { /* it could not be; later */
        session->ends = false;
        if (!session->closed)
            put_in_wheel(tree->kw, session, now_of(tree->kw) + KEEPER_SLOT_NS);
    }
}

/* A session whose slot has come.  It is in no list. */
static void look_at(struct keeper_worker *kw, struct keeper_session *session, uint64_t now)
{
    struct keeper_tree *tree = session->tree;

    if (session->deadline_ns > now) {
        put_in_wheel(kw, session, session->deadline_ns);
    } else if (tree->ending >= KEEPER_ENDING_MAX || tree->begins) {
        put_in_wheel(kw, session, now + KEEPER_SLOT_NS / 8);
    } else {
        session->ends = true;
        tree->ending++;
        keeper_call_close(kw->worker, tree->space, session->item.key, 0, tree->epoch, ended,
                          (void *)(uintptr_t)session->item.key);
    }
}

void keeper_sessions_look(struct keeper_worker *kw)
{
    uint64_t now = now_of(kw);

    while (kw->wheel_at <= now / KEEPER_SLOT_NS) {
        struct cairn_link *slot = &kw->wheel[kw->wheel_at++ % KEEPER_WHEEL], all, *l;

        cairn_list_init(&all);
        while ((l = cairn_list_pop_front(slot)))
            cairn_list_push_back(&all, l);
        while ((l = cairn_list_pop_front(&all)))
            look_at(kw, cairn_container(l, struct keeper_session, due), now);
    }
}
