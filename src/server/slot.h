/* slot.h - commands under way in a session, and their replies, which leave in the order of the commands.
 *
 *   take -> submit (or ask, or begin_alone) -> [reply] -> leaves, once it is at the head -> give back
 *
 * A reply that comes while earlier ones are missing, or while the output is full, waits in its slot.
 * Threads: the session's.  Layer: server (private). */
#ifndef CAIRN_SERVER_SLOT_H
#define CAIRN_SERVER_SLOT_H

#include "object/object.h"

struct cairn_front;
struct cairn_session;

enum { CAIRN_SLOT_CURSOR_BYTES = 96 };

/* A command's place in the order of replies.
 *
 * A reply may come in parts, each a page of the request (object.h): ops->write writes one part and says with
 * cairn_slot_go_on where the next begins.  That is asked for when the output is nearly empty, so a slow client keeps
 * about two parts waiting, however long the whole is. */
struct cairn_slot {
    struct cairn_request request; /* request.owner is the slot */
    struct cairn_session *session;
    struct cairn_slot *next;
    bool done;      /* `reply` is whole, and waits for earlier ones or for room in the output */
    bool encoded;   /* `reply` is the value, which ops->write has not written yet: it may become larger by that */
    bool waits;     /* a part is written, and the next is not asked for yet */
    bool alone;     /* the next part is not asked for: ops->write has it */
    bool metrics;   /* it asks for the page of metrics */
    bool begun;     /* the protocol's: a part of the reply has been written */
    bool placed;    /* the protocol's: what it is answered is decided, though it is not there yet */
    uint8_t form;   /* the protocol's: what the value is turned into */
    uint8_t flags;  /* the protocol's */
    size_t charged; /* of its buffers, to the session */
    struct cairn_buf data; /* the request's bytes */
    struct cairn_buf more; /* what else the request points into */
    struct cairn_buf reply;
    struct cairn_buf behind;                 /* leaves with the reply, behind it */
    uint8_t cursor[CAIRN_SLOT_CURSOR_BYTES]; /* of the next part */
    /* The protocol's: the slot is given back.  NULL: nothing has to be done. */
    void (*dropped)(struct cairn_slot *slot);
};

/* A slot that is not in the queue yet; request zeroed, data and reply empty. */
struct cairn_slot *cairn_slot_take(struct cairn_session *session);
void cairn_slot_give_back(struct cairn_front *front, struct cairn_slot *slot);
/* Queues the slot and submits its request. */
void cairn_slot_submit(struct cairn_slot *slot);
/* Queues the slot and asks for the page of metrics. */
void cairn_slot_ask_metrics(struct cairn_slot *slot);
void cairn_slot_ask_export(struct cairn_slot *slot); /* and for a page of an export, which is one reply */
/* Within ops->write: there is another part, which begins there. */
void cairn_slot_go_on(struct cairn_slot *slot, struct cairn_bytes cursor);
/* The same, where the protocol has the next part itself: ops->write is called with an empty value then. */
void cairn_slot_go_on_alone(struct cairn_slot *slot);
/* Queues a slot whose reply is made of such parts only, and asks the node for nothing. */
void cairn_slot_begin_alone(struct cairn_slot *slot);
/* Queues a slot that another than the node is asked for: cairn_slot_answered must follow, before or after this
 * returns to the owner.  ops->write is called within it, with an empty value, whatever the slot's place. */
void cairn_slot_begin(struct cairn_slot *slot);
void cairn_slot_answered(struct cairn_slot *slot);
/* Queues a slot that needs no request: ops->write has an empty value for it, in its turn, which may be now. */
void cairn_slot_answer(struct cairn_slot *slot);
/* The newest slot that has its reply, or is placed, and any of `flags`, which are the protocol's; NULL: there is
 * none. */
struct cairn_slot *cairn_session_last_done(struct cairn_session *session, uint8_t flags);
/* As cairn_session_push, but the bytes go out right behind the slot's reply, which waits in the queue. */
void cairn_session_push_behind(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes bytes);
/* Where to write the reply to a command that needs no request: the output itself, or a queued
 * slot when earlier replies are missing.  end must follow. */
struct cairn_buf *cairn_session_reply_begin(struct cairn_session *session);
void cairn_session_reply_end(struct cairn_session *session);

/* Instead of cairn_session_reply_end: the reply, from `from` on of what begin gave, is one in parts, which the protocol
 * has itself; `data` is what was written of it. */
struct cairn_slot *cairn_session_reply_parts(struct cairn_session *session, size_t from);

/* --- for session.c --- */

/* Moves the replies at the head of the queue to the output until it is full; the rest follow when some is sent. */
void cairn_slots_move(struct cairn_session *session);
/* The reply at the head waits for its next part, and there is room for it ... */
bool cairn_slots_want_part(const struct cairn_session *session);
/* ... then asks for it. */
void cairn_slots_ask_next(struct cairn_session *session);
/* The client is gone: replies are dropped as they come. */
void cairn_slots_close(struct cairn_session *session);
/* Drops all of the session's. */
void cairn_slots_drop(struct cairn_session *session);
/* Frees those that no session has. */
void cairn_slots_done(struct cairn_front *front);

#endif
