/* emptying.h - a namespace that is being removed with all that it has loses its objects and durable invocations
 * ("Namespaces" in docs/promises.md).
 *
 * Its gate is closed, so no request comes in any more.  A worker loses the namespace's types, so that nothing new
 * begins at an object of it, neither a call nor a message nor a timer's firing; then its housekeeper goes through the
 * worker's shards, a little at a time, one record each:
 *
 *   types taken --> durable invocations cancelled --> objects deleted --> what is left of them purged (purge.h)
 *                             ^                            | something was under way, or there was no room
 *                             `----------------------------'                            --> told
 *
 * What is under way at an object ends by itself, and the object goes after it.  Nothing is kept of how far it got:
 * after a crash it begins anew, with what is left.  Messages are the sweep's (sweep.h); one namespace is emptied at a
 * time.
 * Threads: a worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_EMPTYING_H
#define CAIRN_OBJECT_EMPTYING_H

#include "base/bytes.h"
#include "object/message.h"
#include "object/operation.h"

struct space;
struct type_entry;

/* Of a worker; zero-initialized. */
struct emptying {
    struct space *space;       /* NULL: none is being emptied */
    struct type_entry **types; /* the namespace's, and its compartment's; counted */
    uint32_t *numbers;         /* theirs, ascending */
    uint32_t type_count;
    struct message *told; /* goes to worker 0 in the end */

    enum { EMPTYING_INVOCATIONS, EMPTYING_OBJECTS, EMPTYING_REST } phase;
    uint32_t shard, type;
    uint64_t invocation; /* the last that was looked at, in `shard` */
    struct cairn_buf id; /* the last of `type` that was looked at, in `shard` */
    bool stays;          /* the pass has seen something that could not go yet */
    uint64_t *purged;    /* by shard: the number in `06` keys below which all must be purged */
    uint64_t next_ns;    /* nothing is done before */
};

/* The worker loses these types, which are the namespace's and its compartment's, and empties it.  Then `told`, which is
 * the caller's, goes to worker 0. */
void emptying_begin(struct cairn_worker *worker, struct space *space, struct type_entry *const *types, uint32_t count,
                    struct message *told);
void emptying_close(struct cairn_worker *worker);
extern const struct housekeeper emptying_housekeeper;

#endif
