/* session_internal.h - what the protocols' sessions share; seen inside server/ only. */
#ifndef CAIRN_SERVER_SESSION_INTERNAL_H
#define CAIRN_SERVER_SESSION_INTERNAL_H

#include "server/session.h"
#include "server/slot.h"

/*      OPEN ---> ENDING ---> CLOSED
 *        \_____________________/
 * OPEN takes input.  ENDING takes none; it is over when every reply is sent.  CLOSED has lost its
 * owner and lives only until its requests under way have been answered. */
enum cairn_session_state { CAIRN_SESSION_OPEN, CAIRN_SESSION_ENDING, CAIRN_SESSION_CLOSED };

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
    struct cairn_move *move; /* the connection is to be lent for it, or is; the protocol's own */
};

void cairn_session_init(struct cairn_session *session, const struct cairn_protocol *ops, struct cairn_front *front,
                        void *owner);
/* The common part's memory. */
void cairn_session_done(struct cairn_session *session);

/* What it keeps (requests, replies, output) grows by `more`, or shrinks. */
void cairn_session_keep(struct cairn_session *session, int64_t more);
/* There is more output. */
void cairn_session_output_grew(struct cairn_session *session);
/* Goes on with a reply in parts and a command of several steps, and frees a closed session that has nothing left to
 * do. */
void cairn_session_go_on(struct cairn_session *session);

/* True when no further command may be parsed now. */
bool cairn_session_full(const struct cairn_session *session);

/* Ends the session with what is written so far: a reply has begun and cannot be ended as it should. */
void cairn_session_break_off(struct cairn_session *session);

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

/* Bytes that were taken, and come again before those that were not; they are parsed when the session's work ends. */
void cairn_session_unread(struct cairn_session *session, struct cairn_bytes bytes);

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
