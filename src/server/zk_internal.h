/* zk_internal.h - the ZooKeeper front: one connection, from its first four bytes to its end.
 *
 *      FIRST --> CONNECTING --> CONNECTED --> ENDED
 *        \            \______________________/
 *         `-> ENDED (a word, or no session)
 *
 * A request becomes a slot that has a struct cairn_zk_ask in its `more`: what the keeper is asked (keeper/keeper.h),
 * and what the reply needs besides.  Views of the ask point into the slot's `data`, the frame's body.  What needs no
 * keeper (ping, auth, whoAmI, what is refused) is a slot too, so that replies stand in order, and is written with the
 * zxid that is the last told when its turn comes.
 * Threads: a session's worker; zk_clients.h says more.  Layer: server (private). */
#ifndef CAIRN_SERVER_ZK_INTERNAL_H
#define CAIRN_SERVER_ZK_INTERNAL_H

#include "keeper/keeper.h"
#include "proto/zk.h"
#include "server/session_internal.h"
#include "server/zk_clients.h"

enum cairn_zk_stage {
    CAIRN_ZK_FIRST,      /* nothing whole has come */
    CAIRN_ZK_CONNECTING, /* its session is asked for; nothing is parsed meanwhile */
    CAIRN_ZK_CONNECTED,
    CAIRN_ZK_ENDED, /* nothing more is taken from it */
};

/* What is written for a slot. */
enum cairn_zk_form {
    CAIRN_ZK_FORM_CONNECT, /* the answer to the first frame */
    CAIRN_ZK_FORM_ASKED,   /* what the keeper has answered */
    CAIRN_ZK_FORM_OWN,     /* ask->error, or what the front knows by itself */
    CAIRN_ZK_FORM_WORD,    /* of a four-letter word, for which the keeper is asked */
};

enum { CAIRN_ZK_SLOT_READ = 1 }; /* a slot's flag: a read of the keeper's; events go behind it (keeper.h) */

enum {
    CAIRN_ZK_FIRST_BYTES_MAX = 4096, /* of the frame that asks for a session */
    CAIRN_ZK_IDENTITY_BYTES = 4096,  /* of a connection; what would pass is refused ... */
    CAIRN_ZK_IDENTITIES_MAX = 32,    /* ... as beyond so many */
};

struct cairn_zk_session {
    struct cairn_session session;
    enum cairn_zk_stage stage;
    struct keeper_link link;
    struct cairn_zk_client *client;
    bool linked;        /* the keeper has been asked something with `link` */
    bool has_read_only; /* the client's first frame had the flag: so has the answer */
    bool super;
    struct cairn_zk_identities *identities;
};

/* As keeper_ask.identities.  Each `auth` makes new ones: asks under way keep theirs, until the session ends. */
struct cairn_zk_identities {
    struct cairn_zk_identities *older;
    uint32_t count;
    size_t size;
    uint8_t bytes[];
};

struct cairn_zk_ask {
    struct keeper_ask ask;
    int32_t xid, op; /* the request's */
    int32_t error;   /* of FORM_OWN */
    const struct cairn_zk_word *word;
    uint64_t started_ns;
    uint32_t part_count;
    struct keeper_part parts[];
};

static inline struct cairn_zk_session *cairn_zk_of(struct cairn_session *session)
{
    return cairn_container(session, struct cairn_zk_session, session);
}

static inline struct cairn_zk_ask *cairn_zk_ask_of(struct cairn_slot *slot)
{
    return (struct cairn_zk_ask *)(void *)slot->more.data;
}

static inline const struct keeper_ops *cairn_zk_keeper(const struct cairn_zk_session *zk)
{
    return zk->session.front->backend->keeper;
}

/* zk_slot.c: a slot that is not queued yet, with a zeroed ask for so many parts; slot->data is the caller's. */
struct cairn_slot *cairn_zk_slot(struct cairn_zk_session *zk, enum cairn_zk_form form, uint32_t parts);
/* Queues it, and asks the keeper for it. */
void cairn_zk_submit(struct cairn_zk_session *zk, struct cairn_slot *slot);
/* Takes nothing more; over when what is asked has been answered. */
void cairn_zk_end(struct cairn_zk_session *zk);

/* zk_request.c: a whole frame of a connected session. */
void cairn_zk_request(struct cairn_zk_session *zk, struct cairn_bytes body);
/* The identity of the client's address: before the first request. */
void cairn_zk_identify(struct cairn_zk_session *zk);
void cairn_zk_forget_identities(struct cairn_zk_session *zk);

/* zk_reply.c */
void cairn_zk_write(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes value,
                    struct cairn_buf *to);
void cairn_zk_write_event(struct cairn_buf *to, const struct keeper_event *event);

/* zk_words.c: one of the four-letter words; the connection ends with its answer. */
void cairn_zk_word(struct cairn_zk_session *zk, struct cairn_bytes word);
void cairn_zk_write_word(struct cairn_session *session, struct cairn_slot *slot, struct cairn_buf *to);

#endif
