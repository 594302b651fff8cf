/* session_internal.h - what the protocols' sessions share; seen inside server/ only. */
#ifndef CAIRN_SERVER_SESSION_INTERNAL_H
#define CAIRN_SERVER_SESSION_INTERNAL_H

#include "server/session.h"

/*      OPEN ---> ENDING ---> CLOSED
 *        \_____________________/
 * OPEN takes input.  ENDING takes none; it is over when every reply is sent.  CLOSED has lost its
 * owner and lives only until its requests under way have been answered. */
enum cairn_session_state { CAIRN_SESSION_OPEN, CAIRN_SESSION_ENDING, CAIRN_SESSION_CLOSED };

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
    uint8_t form;   /* the protocol's: what the value is turned into */
    uint8_t flags;  /* the protocol's */
    size_t charged; /* of its buffers, to the session */
    struct cairn_buf data; /* the request's bytes */
    struct cairn_buf more; /* what else the request points into */
    struct cairn_buf reply;
    uint8_t cursor[CAIRN_SLOT_CURSOR_BYTES]; /* of the next part */
};

/* Begins every protocol's session. */
struct cairn_session {
    const struct cairn_protocol *ops;
    struct cairn_front *front;
    void *owner;
    struct space *space; /* the namespace of its requests */
    struct cairn_link link, touched, later;
    struct cairn_slot *first, *last; /* oldest command without a sent reply first */
    uint32_t queued;                 /* slots */
    uint32_t under_way;              /* slots whose request has not been answered */
    uint32_t window;                 /* how many slots there may be now */
    enum cairn_session_state state;
    bool working;        /* a command of several steps is under way: nothing is parsed */
    bool stepping;       /* ops->step runs */
    bool stalled;        /* stopped parsing because it was full */
    bool input_is_over;  /* the client has sent all, and some of it is stalled */
    bool cut;            /* gave up: what is unsent stays unsent */
    struct cairn_buf in; /* not parsed yet */
    struct cairn_buf out;
    size_t out_sent;                /* of out */
    size_t out_counted, in_counted; /* as charged */
    size_t aside_bytes;             /* commands that the protocol has set aside */
    size_t replies_bytes;           /* of slots that are done */
    struct cairn_account account;
    uint32_t requests;
    uint64_t id, opened_ms;
    uint32_t place; /* in the front's places, from 1; 0: none */
    char *peer;
};

void cairn_session_init(struct cairn_session *session, const struct cairn_protocol *ops, struct cairn_front *front,
                        void *owner);
/* The common part's memory. */
void cairn_session_done(struct cairn_session *session);

/* True when no further command may be parsed now. */
bool cairn_session_full(const struct cairn_session *session);

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
/* Ends the session with what is written so far: a reply has begun and cannot be ended as it should. */
void cairn_session_break_off(struct cairn_session *session);

/* Where to write the reply to a command that needs no request: the output itself, or a queued
 * slot when earlier replies are missing.  end must follow. */
struct cairn_buf *cairn_session_reply_begin(struct cairn_session *session);
void cairn_session_reply_end(struct cairn_session *session);

/* A command of several steps: until it ends no other is parsed, and it runs to its end even if the client is gone.
 * begin, within `parse`, takes the first steps. */
void cairn_session_work_begin(struct cairn_session *session);
void cairn_session_work_later(struct cairn_session *session);
void cairn_session_work_end(struct cairn_session *session);
/* True when so much output waits that nothing should be added. */
bool cairn_session_output_full(const struct cairn_session *session);
/* So many bytes of commands are kept besides the input; they count as input. */
void cairn_session_set_aside(struct cairn_session *session, size_t bytes);

/* session_post.c: pushes what other threads have posted; gives up the session's place; drops what is on its way. */
void cairn_front_take_posts(struct cairn_front *front);
void cairn_session_forget_ref(struct cairn_session *session);
void cairn_front_drop_posts(struct cairn_front *front);

/* Its requests are in that namespace from now on; what is under way stays where it is.  False: that has as many
 * connections as it may have, *ret_most. */
bool cairn_session_enter(struct cairn_session *session, struct space *space, uint64_t *ret_most);

/* Takes no more input; over when the replies are sent. */
void cairn_session_end(struct cairn_session *session);
void cairn_session_touch(struct cairn_session *session);

static inline void cairn_count(atomic_uint_least64_t *counter, uint64_t more)
{
    /* One thread writes, others only look: no locked instruction is needed. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

/* A reply that is an error. */
static inline void cairn_session_count_error(struct cairn_session *session)
{
    cairn_count(&session->front->stats.errors[session->ops->index], 1);
}

static inline void cairn_session_count_request(struct cairn_session *session)
{
    session->requests++;
    cairn_count(&session->front->stats.requests[session->ops->index], 1);
}

#endif
