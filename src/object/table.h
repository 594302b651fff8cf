/* table.h - the objects that a worker has in memory: while something is under way for them, and a while longer.
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_TABLE_H
#define CAIRN_OBJECT_TABLE_H

#include "base/list.h"
#include "object/dependency.h"
#include "object/header.h"

struct cairn_worker;
struct housekeeper;
struct invocation;
struct shard;

/* A result that is an object's latest, for as long as the object is in memory. */
struct latest {
    struct object *object; /* NULL: it is not any more, or the object has left */
};

struct object {
    struct object *hash_next;
    struct cairn_link ready;   /* in a line of worker->ready when the mailbox's head may start */
    struct cairn_link idle;    /* in worker->idle when nothing refers to it */
    struct cairn_link mailbox; /* invocations that wait to start or resume, FIFO */
    struct cairn_link keyed;   /* keyed invocations under way */
    struct shard *shard;
    struct dependency last;    /* on the last write applied */
    uint64_t generation;       /* of this struct, among the worker's: no other ever has it (cache.h) */
    uint32_t type;             /* number */
    uint32_t refs;             /* invocations at this object: in the mailbox, running, waiting */
    uint32_t outside_waiting;  /* requests from outside in the mailbox or before it */
    uint32_t before_mailbox;   /* of them, still waiting for admission */
    uint32_t readers;          /* read-only segments in progress (running or set aside) */
    struct latest *latest;     /* the result given last (cache.h); NULL: none */
    struct lock *lock;         /* transactions have it, or wait to (lock.h); NULL: none */
    struct invocation *holder; /* whose mutating segment is in progress; NULL: none's */
    bool loaded;               /* header is the committed one */
    struct header header;      /* committed */
    struct container containers_inline[HEADER_INLINE];
    uint64_t hash;
    uint16_t key_size, id_offset;
    uint8_t key[]; /* the 01 key; the id is its tail */
};

static inline struct cairn_bytes object_id(const struct object *object)
{
    return cairn_bytes(object->key + object->id_offset, object->key_size - object->id_offset);
}

struct object *object_get(struct cairn_worker *worker, struct shard *shard, uint32_t type, struct cairn_bytes id);
/* The one with that 01 key and its hash, if it is in memory. */
struct object *object_find(const struct cairn_worker *worker, struct cairn_bytes key, uint64_t hash);
void object_ref(struct cairn_worker *worker, struct object *object);
void object_unref(struct cairn_worker *worker, struct object *object);
void object_drop(struct cairn_worker *worker, struct object *object);
/* One of these types for an object of which something is under way; 0: none.  The numbers ascend. */
uint32_t objects_in_use(const struct cairn_worker *worker, const uint32_t *types, uint32_t count);

/* Drops idle objects beyond a bound whose last write is acknowledged. */
extern const struct housekeeper objects_housekeeper;

#endif
