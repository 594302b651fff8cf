/* mover.h - threads that own a connection while a large value passes: from its socket into instances, or out of them.
 *
 *   owner: fills in a move, takes -> [mover: moves its bytes] -> done, on the mover's thread -> owner goes on
 *
 * A move reads exactly the value's bytes, or writes exactly those of its range, so the connection's owner goes on where
 * the value ends.  A value that there is no room for is read to its end all the same, and refused.
 * A connection that does not move for stalled_ms is given up, as is one that sends slower than the fronts allow.
 *
 * Movers also drop what nobody refers to, and repair values whose instances were reclaimed, a few stripes at a time.
 *
 * Threads: take, cancel and repair by any; done is called by a mover's, and must not wait.  Layer: cache; uses io. */
#ifndef CAIRN_CACHE_MOVER_H
#define CAIRN_CACHE_MOVER_H

#include "base/list.h"
#include "cache/transfer.h"
#include "io/loop.h"

struct cairn_movers;

enum { CAIRN_MOVERS_RECLAIMS_MAX = 256 }; /* instances that wait to be taken away */

struct cairn_movers_options {
    uint32_t threads;
    struct cairn_pool *pool;
    struct cairn_clock *clock;
    uint32_t first_user; /* of the cache's users, one for each thread from this number on */
    uint32_t stalled_ms; /* 0: a minute */
};

enum cairn_code cairn_movers_create(const struct cairn_movers_options *options, struct cairn_movers **ret_movers,
                                    struct cairn_err *err);
/* What is still moving is broken off, and told so.  NULL; accepts NULL. */
struct cairn_movers *cairn_movers_destroy(struct cairn_movers *movers);

enum cairn_move_end {
    CAIRN_MOVE_DONE,
    CAIRN_MOVE_REFUSED, /* in: the bytes were read, and there is no value: err says why (CAIRN_EGONE: no base) */
    CAIRN_MOVE_BROKEN,  /* the connection cannot go on: it ended, was canceled, or too many chunks are lost */
};

struct cairn_move {
    /* Given; a move is the mover's until done is called. */
    bool in;
    struct cairn_stream *stream; /* borrowed */
    uint64_t hash;               /* in: of the key */
    uint64_t bytes;              /* in: of the value, > 0 */
    struct cairn_buf head;       /* in: its first bytes, that were read already; at most `bytes` */
    /* in, without a connection: the value becomes a copy of another one with `head` at byte `at` of it, and bytes of 0
     * where it has none. */
    bool composes;
    struct cairn_large *base;    /* a reference; or NULL, and ... */
    struct cairn_buf base_bytes; /* ... its bytes */
    uint64_t at;
    struct cairn_large *value; /* out: a reference; in: what it has become, with a reference, once it is DONE */
    uint64_t from, until;      /* out: bytes from .. until - 1 */
    void (*done)(struct cairn_move *move);
    void *context;
    /* Told. */
    enum cairn_move_end end;
    struct cairn_err err;
    /* The mover's own. */
    _Atomic bool canceled;
    struct cairn_move *next;
    struct mover *mover;
    struct cairn_link link;
    struct cairn_socket *socket;
    struct cairn_writing writing;
    struct cairn_reading reading;
    uint64_t moved, began_ms, active_ms;
    bool sinks;
};

void cairn_movers_take(struct cairn_movers *movers, struct cairn_move *move);
/* It ends soon, BROKEN, if it has not ended.  By the owner, as long as it has not freed it. */
void cairn_move_cancel(struct cairn_movers *movers, struct cairn_move *move);
/* The value has lost chunks: they are made again when there is time.  Takes a reference of its own. */
void cairn_movers_repair(struct cairn_movers *movers, struct cairn_large *value);
/* Has these instances taken away together, soon, by a mover: cairn_pool_reclaim.  False: one of them is not there, or
 * too many wait, and none is. */
bool cairn_movers_reclaim(struct cairn_movers *movers, const uint64_t *ids, uint32_t count);
uint32_t cairn_movers_moving(const struct cairn_movers *movers); /* moves that are under way */

#endif
