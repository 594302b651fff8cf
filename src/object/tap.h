/* tap.h - what stands above the core is told what objects of some types commit, at the commit itself.
 *
 * It is for those that keep in memory what such objects have (a cache of it, its watchers): a table names the types
 * (node_hooks.taps), all of them of compartments (space.h), which the node's own modules have.  Everything else pays
 * one compare at a commit and one at the end of an invocation.
 *
 *   admits? -> run -> record appended and applied -> committed, or replaced -> calls leave .. -> over -> result leaves
 *
 * A tap may read, and send messages, which then leave before the commit's calls and its result do if it flushes the
 * inbox (message.h).  It writes nothing, submits nothing, and cannot fail.
 * Threads: the object's owner.  Layer: object, seen by what stands above it. */
#ifndef CAIRN_OBJECT_TAP_H
#define CAIRN_OBJECT_TAP_H

#include "object/table.h"

struct invocation;
struct overlay;

struct object_tap {
    /* A method is about to begin at the object.  False: it is refused as unavailable, and nothing of it has run: a
     * caller hears so, a message is tried again. */
    bool (*admits)(struct cairn_worker *worker, const struct invocation *inv);
    /* A segment at the object has been committed: object->last is the record, the engine has it, and the overlay has
     * what was written (of a transaction, by others in it, too).  Once for each, in their order; not for a segment that
     * has written nothing. */
    void (*committed)(struct cairn_worker *worker, struct object *object, const struct invocation *inv,
                      struct overlay *overlay);
    /* Instead, if the object is another one than before: deleted, or restored. */
    void (*replaced)(struct cairn_worker *worker, struct object *object);
    /* An invocation is over that had come to the object, well or not: its result has not left.  One that was refused
     * before, as there is no such method for example, is not told. */
    void (*over)(struct cairn_worker *worker, const struct invocation *inv);
};

/* Of a type of that name in every compartment. */
struct tapped_type {
    const char *name;
    const struct object_tap *tap;
};

struct commit;
struct type_entry;

/* NULL: none. */
const struct object_tap *tap_of(const struct cairn_node *node, const struct type_entry *entry);
/* The commit is in the log and applied. */
void tap_committed(struct commit *commit);

#endif
