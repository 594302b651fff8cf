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
struct open;
struct overlay;
struct shard;
struct type;
struct type_entry;

struct durable_drop {
    uint32_t call, shard; /* where the called object lies */
};

/* The message that began it: what is told of it, and is left of it if it fails. */
struct durable_letter {
    uint64_t number; /* by which it is known, plus 1; 0: none began it */
    uint8_t flags;   /* POSTED_INTERNAL */
    uint64_t sent_ms, attempts;
    uint64_t timer_due_ms, timer_missed; /* of a firing */
};

enum { DURABLE_SECRET_BYTES = 16, DURABLE_WAITS_MAX = 1000 };

/* A sleep, or a promise.  It has the number of a call, and its outcome is one's. */
struct durable_wait {
    uint32_t call;
    bool is_promise;
    bool fresh;      /* it is in no record yet */
    uint64_t due_ms; /* when the sleep or the promise's time is over; UINT64_MAX: never */
    uint8_t secret[DURABLE_SECRET_BYTES];
};

struct durable {
    uint64_t number;              /* of the shard's, never used again; 0: none yet */
    struct durable_letter letter; /* once it is recorded */
    bool recorded;                /* it is open in the shard */
    bool recovered;               /* from there: no client or caller waits for it */
    bool counted;                 /* among the recovered that are under way */
    struct open *open;            /* while it is recorded */
    uint64_t chunks, bytes;       /* of the journal in the shard */
    struct cairn_buf tail;        /* of the journal, in no record yet */
    size_t kept;                  /* bytes of the tail that were there as the run began: outcomes */
    size_t charged;               /* of it, to the job */
    struct durable_drop *drops;   /* outcomes in the tail: forgotten by callees once it is in a record */
    uint32_t drop_count, drop_room;

    bool sent;      /* this run has committed a segment */
    bool cancelled; /* the shard has nothing of it any more; it ends as soon as it may (durable_cancel.h) */
    struct dependency cancelled_by; /* the record */
    uint64_t since_ms;              /* its last record, or its beginning */

    /* Asked to end (durable_ask.h). */
    enum durable_cancel { DURABLE_GOES_ON, DURABLE_ASKED, DURABLE_TOLD } cancel;
    struct cairn_link asked;    /* in the worker's list, unless it goes on */
    struct dependency asked_by; /* the record; nothing if it was read from the shard */
    uint64_t end_ms;            /* when it is ended in any case */
    uint64_t told_at;           /* TOLD: host calls before */
    uint32_t told_calls;        /* TOLD: calls that it had made before */

    /* While a run goes along the journal. */
    bool replays;
    struct cairn_buf journal;
    size_t at;      /* in it */
    uint64_t entry; /* number of host calls before */
    uint8_t *known; /* by call: enum durable_known */
    uint32_t known_count;

    struct durable_wait *waits; /* by call, ascending; at most DURABLE_WAITS_MAX */
    uint32_t wait_count, wait_room;
    struct cairn_buf promises;    /* their calls, u32 each: all that it has made */
    bool told_waits, tells_waits; /* the shard has what it waits for; the record that is being made says so */

    struct invocation *inv;
    void (*drop)(struct cairn_worker *worker, struct invocation *inv); /* as it is freed */
    size_t recovered_bytes;                                            /* of the journal, as it was then */
    struct cairn_link parked;                                          /* in the worker's list while it is put off */
    uint64_t wake_ns;
};

extern const struct cairn_host_ops durable_host_ops; /* durable_host.c */

static inline bool durable_cancelled(const struct invocation *inv)
{
    return inv->durable && inv->durable->cancelled;
}

/* It is asked to end, and has not heard of it yet: its next wait is over at once. */
static inline bool durable_untold(const struct invocation *inv)
{
    return inv->durable && inv->durable->cancel == DURABLE_ASKED;
}

static inline bool durable_told(const struct invocation *inv)
{
    return inv->durable && inv->durable->cancel == DURABLE_TOLD;
}

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
/* A call's outcome has come in.  False: it is in the journal alone, from where the run takes it, now or when it begins
 * again. */
bool durable_outcome(struct invocation *inv, uint32_t call, const struct invocation *callee);
/* The same, and all that it needed is done: a run that had been given up begins again, if it waited for that call. */
void durable_received(struct cairn_worker *worker, struct invocation *inv, uint32_t call);
/* Sleeps, or promises, that it waits for are not over. */
bool durable_waits_open(const struct invocation *inv);
/* What it waits for, of which not all is there, may take long: its run is given up. */
bool durable_rests(const struct invocation *inv);
/* Its run has been given up.  It may be gone. */
void durable_rest(struct cairn_worker *worker, struct invocation *inv);
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

/* The versions of types that open durable invocations of this worker have: what is not current among them is in no
 * other list. */
void durable_visit_types(struct cairn_worker *worker, void (*visit)(void *context, struct type *type), void *context);

/* What durable invocations need of the mailboxes, which are above them. */
struct durable_ways {
    void (*enter)(struct invocation *inv); /* it starts, or starts again: into the mailbox of its object */
    void (*end)(struct cairn_worker *worker, struct invocation *inv);    /* it is cancelled: over, if it waits */
    void (*resume)(struct cairn_worker *worker, struct invocation *inv); /* it waits in a fiber, and goes on now */
};

void durable_init(struct cairn_worker *worker, const struct durable_ways *ways);
/* Before anything is served: what is open is counted, and has the types that it began with; it starts by and by. */
enum cairn_code durable_open(struct cairn_worker *worker, struct cairn_err *err);
void durable_close(struct cairn_worker *worker);
/* The hash of the module of each that is open on the node.  Main thread, before durable_open. */
enum cairn_code durable_visit_modules(struct cairn_node *node,
                                      void (*visit)(void *context, const uint8_t hash[CAIRN_SHA256_BYTES]),
                                      void *context, struct cairn_err *err);
extern const struct housekeeper durable_housekeeper;

#endif
