/* kept.h - what a namespace has: objects, the bytes that it takes, and its messages, kept in the state
 * (docs/formats/state.md).
 *
 * Each shard has these numbers of each namespace under a key of its own.  A record that changes what is counted carries
 * the new numbers, so that they are right after any crash, restore or import, and nothing is ever counted again.
 * Counted are the headers of objects, the entries of their fields, timers, and messages wherever they lie, with dead
 * letters, in bytes of keys and values; what is left of a deleted object counts until it has been purged, and a message
 * on its way to another shard in both until it is gone from the first.  The namespace `default` is not counted: a
 * node's own objects cost one compare.
 * Threads: the shard's owner.  Layer: object, seen by admin and transfer. */
#ifndef CAIRN_OBJECT_KEPT_H
#define CAIRN_OBJECT_KEPT_H

#include "object/overlay.h"
#include "object/space.h"

struct cairn_worker;
struct shard;

/* By namespaces, what an overlay changes; zero-initialized. */
struct kept_parts {
    struct kept_part {
        struct space *space;
        struct space_kept more;
    } * parts;
    uint32_t count, room;
};

/* What the writes of the overlay from `first` to before `end` change, all of one namespace. */
struct space_kept kept_of(struct overlay *overlay, uint32_t first, uint32_t end);
/* The shard's numbers of the namespace of that name become so much more; in the overlay. */
void kept_change(struct overlay *overlay, struct cairn_bytes space, struct space_kept more);
/* For a record that is no segment's: all that the overlay changes is counted.  CAIRN_EQUOTA: that would be too much.
 * If the record is not written, kept_undo takes back what is counted outside of the overlay. */
enum cairn_code kept_count(struct space *space, struct overlay *overlay, struct space_kept *ret_more,
                           struct cairn_err *err);
void kept_undo(struct space *space, struct space_kept more);
/* The same for messages and timers, which may be of many namespaces; limits do not stop it. */
void kept_count_letters(struct spaces *spaces, struct overlay *overlay, struct kept_parts *parts);
void kept_parts_undo(const struct kept_parts *parts);
void kept_parts_done(struct kept_parts *parts);
/* The node opens: the shard's numbers are added to those of its namespaces. */
enum cairn_code kept_open(struct cairn_worker *worker, struct shard *shard, struct cairn_err *err);

#endif
