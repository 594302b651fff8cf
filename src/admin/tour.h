/* tour.h - a request that goes from shard to shard, to the worker of each: for a page of what the shards keep, to
 * change what is meant there, or for one thing that one shard has.
 *
 * It waits for a turn at each (worker_await_turn), and stays no longer than a page's time: however much is kept, others
 * run meanwhile.  A page ends the tour once it is full, and its cursor tells where the next tour begins; what changes
 * something comes back to the same shard until nothing is left there.
 *
 * A cursor: be64 entries still wanted | u32 shard | the place there, which its kind knows.
 * Threads: the worker's, one after the other.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_TOUR_H
#define CAIRN_ADMIN_TOUR_H

#include "admin/page.h"
#include "object/invocation.h"
#include "object/operation.h"
#include "object/overlay.h"
#include "object/shard.h"

struct tour_kind;

/* The first member of what a kind keeps of a request; it is inv->own. */
struct tour {
    struct invocation *inv;
    const struct tour_kind *kind;
    uint32_t shard;
    bool one_shard;         /* it goes to no other */
    uint64_t left;          /* entries wanted */
    struct cairn_buf at;    /* the place in the shard; empty: its beginning */
    struct cairn_buf items; /* encoded, each */
    uint64_t count;         /* of items, or of what has been changed */
    uint64_t looks;         /* at places of the shard, in this stay */
    struct page page;
};

struct tour_kind {
    const char *of; /* "messages" */
    size_t bytes;   /* of what begins with the struct tour; all zero at first */
    size_t place_bytes_max;
    enum tour_answer {
        TOUR_PAGE,  /* [list of the items, next cursor or nil] */
        TOUR_COUNT, /* how many have been changed */
        TOUR_OWN,   /* what `visit` has put into inv->result */
    } answer;
    /* Goes on from tour->at.  True: that was all of the shard's.  A failed read is left in the overlay; any other
     * failure is the invocation's error (set_error), which ends the tour. */
    bool (*visit)(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay);
};

/* As operation->submit, once `kind` has been said: with the request's limit and cursor.  Before it leaves the caller
 * may set the tour's shard and what the kind has of its own; then tour_leave.  NULL: it is answered already. */
struct tour *tour_begin(struct cairn_worker *worker, struct invocation *inv, const struct tour_kind *kind);
void tour_leave(struct cairn_worker *worker, struct tour *tour);
/* The request ends with that error. */
void tour_refuse(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code, const char *text);

/* An item has been added to tour->items. */
void tour_added(struct tour *tour);
/* Another place has been looked at.  False: enough for now. */
bool tour_goes_on(struct tour *tour);
/* All of the bytes. */
void tour_put_at(struct tour *tour, struct cairn_bytes place);

/* Of an operation that is a tour. */
void tour_receive(struct cairn_worker *worker, struct message *message);
void tour_over(struct cairn_worker *worker, struct invocation *inv);
void tour_drop(struct invocation *inv);

#define TOUR_OPERATION(called, checks, submits)                                                                \
    {                                                                                                          \
        .name = (called), .check = (checks), .submit = (submits), .receive = tour_receive, .leave = tour_over, \
        .drop = tour_drop, .answer = hold_answer                                                               \
    }

#endif
