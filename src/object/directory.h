/* directory.h - each shard's ordered set of ids per type: a tree (tree.h) for each type.
 *
 * It is changed through the overlay of the segment that creates or deletes the object, at its commit, so that the
 * change is in the same record.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DIRECTORY_H
#define CAIRN_OBJECT_DIRECTORY_H

#include "object/overlay.h"

/* True if it was not there. */
bool directory_add(struct overlay *overlay, uint32_t type, struct cairn_bytes id);
/* True if it was there. */
bool directory_remove(struct overlay *overlay, uint32_t type, struct cairn_bytes id);
bool directory_empty(struct overlay *overlay, uint32_t type);

/* Visits ids that begin with `prefix` and are greater than `after` (empty: from the first), in
 * byte order, until visit returns false.  The overlay must not be changed meanwhile. */
void directory_scan(struct overlay *overlay, uint32_t type, struct cairn_bytes prefix, struct cairn_bytes after,
                    bool (*visit)(void *context, struct cairn_bytes id), void *context);

#endif
