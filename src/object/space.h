/* space.h - namespaces: each has one struct space, whose address is its identity.
 *
 * A session finds its namespace once; requests, invocations, types and what is counted carry the pointer.  So nothing
 * on the way of an invocation reads, copies or hashes the namespace's name, and what belongs to a namespace as a whole
 * has its place here.
 *
 * A struct space stays until the node is closed, also after its namespace is gone, and comes back into use with a
 * namespace of the same name: a pointer may be kept for good, and no references are counted
 * (docs/design/0026-spaces.md).
 *
 * A namespace may have a compartment: a struct space of its own, of the name `zk:` and the namespace's, for types that
 * the node itself deploys there.  No client and no method can name it; meters, limits and log lines are its
 * namespace's.
 * Threads: any finds one, without a lock; making one takes one.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_SPACE_H
#define CAIRN_OBJECT_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/metered.h"
#include "base/slot.h"
#include "fn/limits.h"

#define SPACE_DEFAULT     "default"
#define SPACE_COMPARTMENT "zk:"

enum { SPACE_NAME_BYTES_MAX = 64 };

/* What a namespace may use at most (quota.h). */
enum space_limit {
    SPACE_REQUESTS,
    SPACE_CONNECTIONS,
    SPACE_MEMORY,
    SPACE_BYTES,
    SPACE_OBJECTS,
    SPACE_CPU,
    SPACE_INSTANCES,
    SPACE_WEIGHT,        /* no limit: its share of its workers' time beside others (lane.h); 0: SPACE_WEIGHT_DEFAULT */
    SPACE_METHOD_LIMITS, /* from here on by enum cairn_method_limit: caps of what one invocation may use */
    SPACE_MESSAGES = SPACE_METHOD_LIMITS + CAIRN_METHOD_LIMITS,
    SPACE_MESSAGE_BYTES,
    SPACE_LIMITS
};

enum { SPACE_WEIGHT_DEFAULT = 100, SPACE_WEIGHT_MAX = 1000 };

/* Why a request may not simply pass. */
enum { SPACE_GONE = 1, SPACE_LIMITED = 2 };

/* What a namespace keeps, or by how much that changes (kept.h). */
struct space_kept {
    int64_t objects, bytes;          /* bytes: of objects, timers and messages */
    int64_t messages, message_bytes; /* that wait, are due later or on their way, and dead letters */
};

/* What is metered (base/metered.h), over restarts: worker 0's begins with what nodes before this one have left. */
struct space_use {
    _Atomic uint64_t of[CAIRN_MEASURES];
};

/* What a worker has done for a namespace.  One writer: that worker. */
struct space_meter {
    _Atomic(struct space_use *) use; /* release where it is made; NULL: it has run nothing of it */
    _Atomic uint64_t operations;     /* on stored keys, since the node's start */
    _Atomic uint64_t instances;      /* that are held now: by what waits, or was set aside */
    struct lane *lane;               /* the worker's own (lane.h); NULL: it has run nothing of it lately */
    struct method_log *log;          /* the worker's own (method_log.h); NULL: no lines */
    uint64_t unused[3];              /* a line of its own */
};

struct space {
    struct cairn_bytes name;  /* ends with a 0 byte, which its size does not count */
    uint64_t hash;            /* the name's, and the seed for what is in it */
    uint32_t shift;           /* of its ids' slots */
    struct space *parent;     /* of a compartment: its namespace; else NULL */
    const uint64_t *defaults; /* limits that it has unless it has its own: the node's */
    bool counts;              /* what it keeps is counted: all but `default` (kept.h) */
    bool recorded;            /* worker 0's: the system shard has it */
    bool removing;            /* worker 0's: with a mark that it is being removed with all that it has */
    uint64_t created_ms;      /* worker 0's; 0: not known */

    /* crossing threads; relaxed: what a request finds in the namespace is another's to say */
    atomic_uint life;                               /* how many times a namespace of that name has been removed */
    atomic_uint gate;                               /* SPACE_GONE, SPACE_LIMITED; 0: all may pass */
    _Atomic uint64_t recorded_limits[SPACE_LIMITS]; /* worker 0 writes them; 0: none */
    _Atomic uint64_t limits[SPACE_LIMITS];          /* those in force: what is recorded may be acknowledged */
    _Atomic uint64_t bucket_full_ns, refused, connections;
    _Atomic int64_t job_bytes, kept_objects, kept_bytes, kept_messages, kept_message_bytes;
    _Atomic uint64_t cpu_paid_ns; /* until then the processor time that it has used is its share (quota.c) */
    struct space_meter *meters;   /* by worker; of a compartment its namespace's */
    _Atomic(struct space *) next; /* of all, in the order in which they were made; release and acquire */
};

/* The worker's own of that meter, which is made if there is none; it stays until the node is closed. */
static inline struct space_use *space_use_of(struct space_meter *meter)
{
    struct space_use *use = atomic_load_explicit(&meter->use, memory_order_relaxed);

    if (__builtin_expect(!use, 0)) {
        use = cairn_alloc_zeroed(1, sizeof *use);
        atomic_store_explicit(&meter->use, use, memory_order_release);
    }
    return use;
}

/* Zero-initialized but for its lock; see spaces_init. */
struct spaces {
    _Atomic(struct space_table *) table; /* release where a space is made, acquire where one is found */
    struct space *first, *last;          /* first: `default`; last: under the lock */
    pthread_mutex_t lock;                /* of making; guards `count` */
    uint32_t count, workers;
    atomic_uint removals;            /* of namespaces, so far (sweep.h) */
    uint64_t defaults[SPACE_LIMITS]; /* in force where none is recorded; set before any is in use */
};

/* Makes `default`. */
void spaces_init(struct spaces *spaces, uint32_t workers);
void spaces_done(struct spaces *spaces);
/* NULL: there has been none of that name. */
struct space *spaces_find(struct spaces *spaces, struct cairn_bytes name);
/* There is no namespace of that name, or with that compartment: none was made, or it was removed. */
bool spaces_lack(struct spaces *spaces, struct cairn_bytes name);
/* The one of that name, which is made if there is none; a compartment's, too. */
struct space *spaces_intern(struct spaces *spaces, struct cairn_bytes name);
/* The namespace's compartment, which is made if there is none. */
struct space *spaces_compartment(struct spaces *spaces, const struct space *space);
/* NULL: it has none. */
struct space *spaces_find_compartment(struct spaces *spaces, const struct space *space);

/* Equal ids of different namespaces spread: the namespace moves their slots.  Part of the data folder's format. */
static inline uint32_t space_shift(struct cairn_bytes name)
{
    return (uint32_t)(cairn_hash(name) % CAIRN_SLOTS);
}

/* The one that was made after it; NULL: none yet. */
static inline struct space *space_next(const struct space *space)
{
    return atomic_load_explicit(&((struct space *)(uintptr_t)space)->next, memory_order_acquire);
}

/* The namespace that pays: what is used in a compartment is its namespace's. */
static inline struct space *space_payer(const struct space *space)
{
    return space->parent ? space->parent : (struct space *)(uintptr_t)space;
}
/* The name of the namespace, of a compartment's name too. */
static inline struct cairn_bytes space_payer_name(struct cairn_bytes name)
{
    size_t prefix = sizeof SPACE_COMPARTMENT - 1;

    return name.size > prefix && memcmp(name.data, SPACE_COMPARTMENT, prefix) == 0
               ? cairn_bytes(name.data + prefix, name.size - prefix)
               : name;
}

/* 1 to 64 of a-z, 0-9, - and _, of which the first is a letter; so no compartment's. */
bool space_name_valid(struct cairn_bytes name);
/* CAIRN_ENOTFOUND: there is no namespace of that name, and how to make one. */
enum cairn_code space_missing(struct cairn_bytes name, struct cairn_err *err);

static inline bool space_is_open(const struct space *space)
{
    return !(atomic_load_explicit(&((struct space *)(uintptr_t)space)->gate, memory_order_relaxed) & SPACE_GONE);
}

/* Another number: what was noted of the namespace was of one that is gone. */
static inline unsigned space_life(const struct space *space)
{
    return atomic_load_explicit(&((struct space *)(uintptr_t)space)->life, memory_order_relaxed);
}

/* A request has to ask quota_admit. */
static inline bool space_is_gated(const struct space *space)
{
    return atomic_load_explicit(&((struct space *)(uintptr_t)space)->gate, memory_order_relaxed);
}

static inline void space_gate(struct space *space, unsigned why, bool closed)
{
    if (closed)
        atomic_fetch_or_explicit(&space->gate, why, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&space->gate, ~why, memory_order_relaxed);
}

/* Of a name of something in the namespace. */
static inline uint64_t space_name_hash(const struct space *space, struct cairn_bytes name)
{
    return cairn_hash_seeded(name, space->hash);
}

#endif
