/* durable_list.h - the open durable invocations of a shard, for people: which there are, what each does or waits for,
 * and the steps of its journal.
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_DURABLE_LIST_H
#define CAIRN_OBJECT_DURABLE_LIST_H

#include "object/durable_head.h"
#include "object/journal.h"
#include "object/overlay.h"
#include "object/promise.h"

struct shard;

struct durable_item {
    uint64_t number;
    struct durable_head head; /* borrowed until the engine is read again; type.data NULL: it cannot be read */
    enum durable_doing {
        DURABLE_STARTS,        /* it was open when the node opened, and begins again soon */
        DURABLE_QUEUED,        /* in its object's mailbox */
        DURABLE_RUNS,          /* step: the host call that comes next */
        DURABLE_WAITS_CALL,    /* call: its number */
        DURABLE_WAITS_CALLS,   /* count: so many are under way */
        DURABLE_SLEEPS,        /* until until_ms */
        DURABLE_WAITS_PROMISE, /* its time is over at until_ms */
        DURABLE_WAITS_ALL,     /* count: sleeps, promises and calls */
        DURABLE_PUT_OFF,       /* the node has refused it, and it is tried again */
    } doing;
    uint64_t step, count;
    uint32_t call;
    uint64_t since_ms, until_ms; /* until UINT64_MAX: no time is set */
    struct promise_id promise;
};

/* The number behind `after` in the shard; 0: there is none. */
uint64_t durable_next(struct overlay *overlay, uint64_t after);
/* False: it is not open, or cannot be read, which is left in the shard's engine. */
bool durable_item_get(struct cairn_worker *worker, struct shard *shard, uint64_t number, struct durable_item *ret_item);

/* Goes through the part of a journal that is in its shard. */
struct durable_walk {
    struct cairn_view *engine;
    uint64_t number;
    uint64_t chunk;         /* the next that is read */
    uint64_t skip;          /* bytes of it that have been gone through */
    uint64_t step;          /* host calls before */
    uint32_t call;          /* numbers of calls before */
    struct cairn_buf bytes; /* what has been read and not gone through, from `at` on */
    size_t at;
};

/* The next entry, borrowed until the next; false: there is none, or it cannot be read. */
bool durable_walk_next(struct durable_walk *walk, struct journal_entry *ret_entry);
/* So that a walk that begins with this chunk and skip goes on here. */
void durable_walk_place(const struct durable_walk *walk, uint64_t *ret_chunk, uint64_t *ret_skip);
void durable_walk_done(struct durable_walk *walk);

/* What a call's entry says of it; false: nothing. */
bool durable_called_of(const struct journal_entry *entry, struct cairn_bytes *ret_type, struct cairn_bytes *ret_id,
                       struct cairn_bytes *ret_method);

#endif
