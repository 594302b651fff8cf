/* durable_internal.h - what the files of durable invocations share.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DURABLE_INTERNAL_H
#define CAIRN_OBJECT_DURABLE_INTERNAL_H

#include "object/durable.h"
#include "object/durable_list.h"
#include "object/journal.h"
#include "object/opens.h"
#include "object/shard.h"
#include "object/tree.h"
#include "object/type.h"

enum { CHUNK_BYTES = 256 << 10 }; /* of a journal, in one entry */

/* What is known of a call before the run has made it again. */
enum durable_known {
    DURABLE_NEW,   /* nothing: it leaves again, under the key that it had */
    DURABLE_THERE, /* the journal has its outcome */
    DURABLE_OUT,   /* it is under way */
};

/* A version of a type that open invocations have. */
struct durable_version {
    struct type *type;
    uint32_t count;
};

struct settled;

struct durables {
    struct durable_ways ways;
    struct opens opens;
    struct durable_version *versions;
    uint32_t version_count, version_room;
    struct cairn_link parked;    /* put off */
    struct cairn_link cancelled; /* and calls are under way that it has made */
    struct cairn_link asked;     /* to end, the first in front: by when they are ended */
    uint64_t tell_ns;            /* when they tell what they have called; of no meaning while there are none */
    struct cairn_buf told;       /* what the outcome of a call is that a wait has not waited for */
    uint32_t recovered_count;    /* under way */
    uint64_t recovered_bytes;
    uint32_t shard;          /* where the next to start is looked for; shard_count: all have been started */
    uint64_t after;          /* number of the last in that shard */
    struct settled *settled; /* NULL: none has been (settled.h) */
};

struct tree durable_tree(struct overlay *overlay);
/* --- a run: durable_run.c --- */

/* *ret_known: the journal has this host call, with that result; else it is to be done. */
enum cairn_code durable_look(struct invocation *inv, enum journal_op op, uint32_t args, bool *ret_known,
                             struct cairn_bytes *ret_result, struct cairn_err *err);
/* It has been done: the place in the journal for so much of a result. */
enum cairn_code durable_note(struct invocation *inv, enum journal_op op, uint32_t args, size_t size, uint8_t **ret_to,
                             struct cairn_err *err);
/* Takes the outcomes that come next.  False: the journal is damaged. */
bool durable_take_outcomes(struct invocation *inv);
enum cairn_code durable_damaged(struct invocation *inv, struct cairn_err *err);
/* Along the journal a wait is over at once, but at its end, from where on the run is live. */
enum cairn_code durable_waits(struct invocation *inv, uint32_t call, bool *ret_ready, struct cairn_err *err);

/* It begins again, along the journal that it has. */
void durable_rewind(struct invocation *inv);
/* The shard's journal has got the entry, the outcome of a promise. */
void durable_settled(struct invocation *inv, uint32_t call, struct cairn_bytes entry, struct cairn_bytes value);
/* An outcome that the time has brought: of a sleep, of a promise. */
void durable_settle_wait(struct invocation *inv, uint32_t call, struct cairn_bytes value);

/* --- sleeps and promises: durable_wait.c --- */

struct durable_wait *durable_wait_find(const struct durable *d, uint32_t call);
/* The outcome of that call is there. */
void durable_wait_over(struct durable *d, uint32_t call);
/* What is over by the segment's time. */
void durable_settle_due(struct invocation *inv);
/* When what it waits for may be there; UINT64_MAX: when it is said. */
uint64_t durable_wake_ms(const struct invocation *inv);
enum cairn_code durable_promise(void *run, int64_t within_ms, uint8_t to[CAIRN_PROMISE_ID_BYTES], uint32_t *ret_call,
                                struct cairn_err *err);
enum cairn_code durable_sleep(void *run, int64_t ms, uint32_t *ret_call, struct cairn_err *err);

/* --- from the shard, and out of memory: durable_resume.c --- */

/* Reads the journal; `tell`: those of whose outcomes it has are told to forget them, as they may not have been. */
enum cairn_code durable_load_journal(struct invocation *inv, bool tell, struct cairn_err *err);
/* The invocation with that number, which is under way from here on, if it was not; NULL: it is not, or cannot be. */
struct invocation *durable_load(struct cairn_worker *worker, struct shard *shard, uint64_t number);
/* One that sleeps begins again: now, or soon. */
void durable_wake(struct cairn_worker *worker, struct open *open);
/* Starts what was open when the node was opened, and what has slept enough.  True: there is more. */
bool durable_start_some(struct cairn_worker *worker);
/* It is under way no longer, but for its place in the mailbox, or in the shard alone. */
void durable_uncount(struct cairn_worker *worker, struct durable *d);

/* --- asked to end: durable_ask.c, durable_told.c, durable_below.c --- */

/* The shard has it that it is asked, by that record. */
void durable_asked(struct cairn_worker *worker, struct durable *d, struct dependency record);
/* A wait that is not over tells it to end. */
void durable_tell(struct invocation *inv, uint32_t call);
/* Along the journal.  False: that wait has not told it. */
bool durable_tell_again(struct invocation *inv, uint32_t call);
/* It has told it all there is to be told of those calls when it waits for them again. */
void durable_told_before(struct invocation *inv, uint32_t call);
/* CAIRN_ECANCELLED: it has done too much since it was told. */
enum cairn_code durable_told_steps(const struct invocation *inv, struct cairn_err *err);
/* What it has called, with numbers below that, and what is open of it, is asked to end, too.  May be said again. */
void durable_ask_below(struct cairn_worker *worker, uint32_t shard, uint64_t number, uint32_t below);

/* --- in the shard: durable_keys.c, durable_versions.c --- */

void durable_head_put(struct overlay *overlay, uint64_t number, const struct durable_head *head);

/* What one that sleeps waits for (docs/formats/journal.md). */
struct durable_sleeper {
    uint64_t since_ms, wake_ms; /* wake UINT64_MAX: until it is woken */
    enum durable_waits_for { DURABLE_FOR_SLEEP = 1, DURABLE_FOR_PROMISE = 2, DURABLE_FOR_ALL = 3 } what;
    uint32_t count;                       /* FOR_ALL: sleeps and promises */
    uint32_t call;                        /* FOR_PROMISE */
    uint8_t secret[DURABLE_SECRET_BYTES]; /* FOR_PROMISE */
};

void durable_sleeper_put(struct overlay *overlay, uint64_t number, const struct durable_sleeper *sleeper);
void durable_sleeper_remove(struct overlay *overlay, uint64_t number);
/* False: it does not sleep, or that cannot be read. */
bool durable_sleeper_get(struct cairn_view *engine, uint64_t number, struct durable_sleeper *ret_sleeper);

bool durable_head_get(struct cairn_view *engine, uint64_t number, struct cairn_bytes *ret_head);
/* Within the record that ends it, in which its promises are gone already: all else of it but its key. */
void durable_remove(struct shard *shard, struct overlay *overlay, const struct space *space, uint64_t number,
                    uint64_t chunks);
/* Adds its journal to `to`: the number of the entries that it is in.  cairn_engine_take_failure tells if that is not
 * all. */
uint64_t durable_read_chunks(struct cairn_view *engine, uint64_t number, struct cairn_buf *to);
/* The journal's entry n. */
size_t durable_chunk_key(uint8_t *to, uint64_t number, uint64_t n);
/* The version of the type that open invocations began with; NULL: none did. */
struct type *durable_version(const struct cairn_worker *worker, const struct space *space, struct cairn_bytes name,
                             const uint8_t *hash);
void durable_versions_drop(struct durables *ds);
/* One more, or one less, open invocation has that version of a type: it is kept meanwhile. */
void durable_version_take(struct cairn_worker *worker, struct type *type);
void durable_version_leave(struct cairn_worker *worker, const struct type *type);

#endif
