/* slot.c - a command's way: it waits for its reply, and its reply for earlier ones and for room in the output. */
#include "server/slot.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clear.h"
#include "server/session_internal.h"

enum {
    REPLY_LARGE = 16 << 10, /* replies beyond this make the window smaller ... */
    WINDOW_BYTES = 4 << 20, /* ... so that about this much can be under way */
    FREE_SLOTS_MAX = 4096,
    SLOT_KEEPS_BYTES = 2 << 10,         /* buffers beyond this are not kept */
    PART_ROOM_BYTES = CAIRN_PAGE_BYTES, /* the next part of a reply is asked for when less than this waits to be sent */
};

struct cairn_slot *cairn_slot_take(struct cairn_session *session)
{
    struct cairn_front *front = session->front;
    struct cairn_slot *slot = front->free_slots;

    if (slot) {
        front->free_slots = slot->next;
        front->free_slot_count--;
        cairn_clear(&slot->request, sizeof slot->request);
        slot->next = NULL;
        slot->done = slot->encoded = slot->waits = slot->alone = slot->metrics = slot->begun = slot->placed = false;
        slot->form = slot->flags = 0;
    } else {
        slot = cairn_alloc_zeroed(1, sizeof *slot);
    }
    slot->session = session;
    slot->request.owner = slot;
    slot->request.space = session->space;
    return slot;
}

static void free_slot(struct cairn_slot *slot)
{
    cairn_buf_done(&slot->data);
    cairn_buf_done(&slot->more);
    cairn_buf_done(&slot->reply);
    cairn_buf_done(&slot->behind);
    free(slot);
}

void cairn_slots_done(struct cairn_front *front)
{
    struct cairn_slot *slot;

    while ((slot = front->free_slots)) {
        front->free_slots = slot->next;
        free_slot(slot);
    }
}

void cairn_slots_drop(struct cairn_session *session)
{
    struct cairn_slot *slot;

    while ((slot = session->first)) {
        session->first = slot->next;
        cairn_slot_give_back(session->front, slot);
    }
}

void cairn_slot_give_back(struct cairn_front *front, struct cairn_slot *slot)
{
    if (slot->charged)
        cairn_session_keep(slot->session, -(int64_t)slot->charged);
    slot->charged = 0;
    if (slot->dropped)
        slot->dropped(slot);
    slot->dropped = NULL;
    if (front->free_slot_count >= FREE_SLOTS_MAX) {
        free_slot(slot);
        return;
    }
    cairn_buf_trim(&slot->data, SLOT_KEEPS_BYTES);
    cairn_buf_trim(&slot->more, SLOT_KEEPS_BYTES);
    cairn_buf_trim(&slot->reply, SLOT_KEEPS_BYTES);
    cairn_buf_trim(&slot->behind, 0);
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
        cairn_session_keep(session, (int64_t)charged - (int64_t)slot->charged);
        slot->charged = charged;
        if (has_room_for_part(session))
            cairn_session_work_later(session);
        return false;
    }
    if (slot->behind.size && !session->cut)
        cairn_buf_add(&session->out, slot->behind.data, slot->behind.size);
    session->first = slot->next;
    session->queued--;
    cairn_slot_give_back(session->front, slot);
    if (session->first && session->first->waits)
        cairn_session_work_later(session);
    return true;
}

void cairn_slots_move(struct cairn_session *session)
{
    struct cairn_slot *slot;

    while ((slot = session->first) && slot->done && !cairn_session_output_full(session)) {
        session->replies_bytes -= slot->reply.size + slot->behind.size;
        if (session->cut)
            ; /* there is no client to take it */
        else if (slot->encoded)
            session->ops->write(session, slot, cairn_buf_bytes(&slot->reply), &session->out);
        else
            cairn_buf_add(&session->out, slot->reply.data, slot->reply.size);
        if (!leave(session))
            return;
    }
}

bool cairn_slots_want_part(const struct cairn_session *session)
{
    return session->first && session->first->waits && has_room_for_part(session);
}

void cairn_slots_close(struct cairn_session *session)
{
    for (struct cairn_slot *slot = session->first; slot; slot = slot->next)
        slot->done |= slot->waits; /* the rest of its reply is for no client */
    cairn_slots_move(session);
}

void cairn_slots_ask_next(struct cairn_session *session)
{
    struct cairn_front *front = session->front;
    struct cairn_slot *slot = session->first;

    if (session->cut || session->move || !cairn_slots_want_part(session))
        return;
    slot->waits = false;
    if (slot->alone) {
        session->ops->write(session, slot, cairn_bytes(NULL, 0), &session->out);
        if (leave(session) && session->first)
            cairn_slots_move(session);
        cairn_session_output_grew(session);
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

/* The reply is there, and earlier ones, or room in the output, are missing. */
static void reply_waits(struct cairn_session *session, struct cairn_slot *slot)
{
    if (session->cut)
        cairn_buf_done(&slot->reply);
    session->replies_bytes += slot->reply.size;
    slot->charged += slot->reply.size;
    cairn_session_keep(session, (int64_t)slot->reply.size);
}

static void on_reply(struct cairn_request *request, struct cairn_bytes value)
{
    struct cairn_slot *slot = request->owner;
    struct cairn_session *session = slot->session;
    size_t before;

    session->under_way--;
    slot->done = true;
    if (session->state == CAIRN_SESSION_CLOSED) {
        cairn_slots_move(session);
        cairn_session_go_on(session);
        return;
    }
    if (slot == session->first && !cairn_session_output_full(session)) {
        before = session->out.size;
        session->ops->write(session, slot, value, &session->out);
        size_window(session, session->out.size - before);
        if (session->cut)
            session->out.size = session->out_sent = 0;
        if (leave(session) && session->first)
            cairn_slots_move(session);
        cairn_session_output_grew(session);
    } else {
        slot->encoded = true;
        cairn_buf_add(&slot->reply, value.data, value.size);
        size_window(session, value.size);
        reply_waits(session, slot);
    }
    if (session->working)
        cairn_session_go_on(session);
}

void cairn_slot_answered(struct cairn_slot *slot)
{
    struct cairn_session *session = slot->session;

    if (session->state == CAIRN_SESSION_CLOSED || session->cut ||
        (slot == session->first && !cairn_session_output_full(session))) {
        on_reply(&slot->request, cairn_bytes(NULL, 0));
        return;
    }
    session->under_way--;
    slot->done = true;
    session->ops->write(session, slot, cairn_bytes(NULL, 0), &slot->reply);
    size_window(session, slot->reply.size);
    reply_waits(session, slot);
    if (session->working)
        cairn_session_go_on(session);
}

static struct cairn_front *enter(struct cairn_slot *slot)
{
    struct cairn_session *session = slot->session;

    slot->request.reply = on_reply;
    slot->request.account = &session->account;
    slot->charged = sizeof *slot + slot->data.capacity + slot->more.capacity;
    cairn_session_keep(session, (int64_t)slot->charged);
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

void cairn_slot_begin(struct cairn_slot *slot)
{
    enter(slot);
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
    cairn_session_keep(slot->session, (int64_t)slot->charged);
    queue(slot);
    if (slot->session->first == slot)
        cairn_session_work_later(slot->session);
}

void cairn_slot_answer(struct cairn_slot *slot)
{
    struct cairn_session *session = slot->session;

    slot->done = slot->encoded = true;
    slot->charged = sizeof *slot + slot->data.capacity + slot->more.capacity;
    cairn_session_keep(session, (int64_t)slot->charged);
    queue(slot);
    if (session->first == slot)
        cairn_slots_move(session);
    cairn_session_output_grew(session);
}

struct cairn_slot *cairn_session_last_done(struct cairn_session *session, uint8_t flags)
{
    struct cairn_slot *last = NULL;

    for (struct cairn_slot *slot = session->first; slot; slot = slot->next)
        if ((slot->done || slot->placed) && (slot->flags & flags))
            last = slot;
    return last;
}

void cairn_session_push_behind(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes bytes)
{
    if (session->cut)
        return;
    cairn_buf_add(&slot->behind, bytes.data, bytes.size);
    slot->charged += bytes.size;
    session->replies_bytes += bytes.size;
    cairn_session_keep(session, (int64_t)bytes.size);
    if (cairn_session_waiting_bytes(session) > (size_t)4 * session->front->limits.output_bytes)
        cairn_session_give_up(session); /* as of what is pushed */
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
    cairn_session_output_grew(session);
}

struct cairn_slot *cairn_session_reply_parts(struct cairn_session *session, size_t from)
{
    struct cairn_slot *slot = session->first ? session->last : cairn_slot_take(session);

    if (session->first) {
        struct cairn_buf text = slot->reply;

        slot->reply = slot->data;
        slot->reply.size = 0;
        slot->data = text;
        slot->done = false;
    } else {
        slot->data.size = 0;
        cairn_buf_add(&slot->data, session->out.data + from, session->out.size - from);
        session->out.size = from;
        queue(slot);
    }
    cairn_slot_go_on_alone(slot);
    slot->charged = sizeof *slot + slot->data.capacity + slot->more.capacity;
    cairn_session_keep(session, (int64_t)slot->charged);
    if (session->first == slot)
        cairn_session_work_later(session);
    cairn_session_output_grew(session);
    return slot;
}
