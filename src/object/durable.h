/* durable.h - durable invocations: what a crash or a stop cuts off goes on where it was ("Durable methods" in
 * docs/promises.md).
 *
 * The method of a durable invocation runs behind durable_host_ops, which notes every host call in a journal
 * (journal.h).  Nothing of it is written when the method ends in its first segment.  Otherwise the first segment's
 * record gets the invocation's head, its entry in the shard's tree of open ones, and the journal so far; later records
 * get what has come since; the last one removes all of it.  When the node opens again the method runs from its start:
 * as long as the journal lasts, host calls are answered from it and do nothing.
 *
 *   live: host call --> done, noted        commit: noted --> record
 *   replay: host call --> answered from the journal | another one than there: `diverged`
 *   the journal ends where a segment did: at a wait, or behind the method --> live
 *
 * A journal lies in its shard as entries of a list of an incarnation of its own, whose number is the invocation's: so
 * purge.h can remove a long one bit by bit.
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_DURABLE_H
#define CAIRN_OBJECT_DURABLE_H

#include "fn/fn.h"
#include "object/invocation.h"
#include "object/operation.h"

struct once;
struct overlay;
struct shard;
struct type_entry;

struct durable_drop {
    uint32_t call, shard; /* where the called object lies */
};

struct durable {
    uint64_t number;            /* of the shard's, never used again; 0: none yet */
    bool recorded;              /* it is open in the shard */
    bool recovered;             /* from there: no client or caller waits for it */
    uint64_t chunks, bytes;     /* of the journal in the shard */
    struct cairn_buf tail;      /* of the journal, in no record yet */
    size_t charged;             /* of it, to the job */
    struct durable_drop *drops; /* outcomes in the tail: forgotten by callees once it is in a record */
    uint32_t drop_count, drop_room;

    /* While a run goes along the journal. */
    bool replays;
    struct cairn_buf journal;
    size_t at;         /* in it */
    uint64_t entry;    /* number of host calls before */
    uint8_t *resolved; /* by call: 1 if the journal has its outcome */
    uint32_t resolved_count;

    struct invocation *inv;
    void (*drop)(struct cairn_worker *worker, struct invocation *inv); /* as it is freed */
    struct cairn_link live;                                            /* in the worker's list of recovered ones */
    size_t recovered_bytes;                                            /* of the journal, as it was then */
    struct cairn_link parked;                                          /* in the worker's list while it is put off */
    uint64_t wake_ns;
};

extern const struct cairn_host_ops durable_host_ops; /* durable_host.c */

/* The invocation's method is durable. */
void durable_make(struct invocation *inv);
static inline bool durable_recorded(const struct invocation *inv)
{
    return inv->durable && inv->durable->recorded;
}

/* What the tail had is in a record, or counts for nothing. */
void durable_tail_free(struct invocation *inv);

/* The run's segment is given up: if it is the run's first, all calls are forgotten. */
void durable_forget_calls(struct invocation *inv);
/* A call's outcome has come in. */
void durable_outcome(struct invocation *inv, uint32_t call, const struct invocation *callee);
/* The method has returned: false if the journal goes on. */
bool durable_ended(struct invocation *inv, struct cairn_err *err);
/* It was refused and is open: it is not over, but runs again later. */
bool durable_goes_on(const struct invocation *inv);
void durable_put_off(struct cairn_worker *worker, struct invocation *inv);
/* The open invocation with that number, which has a key, for others with the key to wait for; NULL: there is none. */
struct once *durable_of_key(struct cairn_worker *worker, struct shard *shard, uint64_t number);
/* Is any open in the overlay's shard? */
bool durable_any(struct overlay *overlay);
/* Is it open?  False on a failed read, too, which is left in the shard's engine. */
bool durable_is_open(struct shard *shard, uint64_t number);
/* One of these types that an open durable invocation of this worker has; 0: none.  The numbers ascend. */
uint32_t durable_in_use(const struct cairn_worker *worker, const uint32_t *types, uint32_t count);

/* `enter` puts an invocation that starts, or starts again, into the mailbox of its object. */
void durable_init(struct cairn_worker *worker, void (*enter)(struct invocation *inv));
/* Before anything is served: what is open is counted, and has the types that it began with; it starts by and by. */
enum cairn_code durable_open(struct cairn_worker *worker, struct cairn_err *err);
void durable_close(struct cairn_worker *worker);
/* The hash of the module of each that is open on the node.  Main thread, before durable_open. */
enum cairn_code durable_visit_modules(struct cairn_node *node,
                                      void (*visit)(void *context, const uint8_t hash[CAIRN_SHA256_BYTES]),
                                      void *context, struct cairn_err *err);
extern const struct housekeeper durable_housekeeper;

#endif
