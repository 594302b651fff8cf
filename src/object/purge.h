/* purge.h - deleting in bounded slices ("Objects, modules" in docs/promises.md).
 *
 * Deleting an object changes only header and directory and queues what is left of the
 * incarnation under a 06 key; a housekeeper removes its field keys a few hundred at a time.
 * Threads: the shard's owner.  Layer: object (private). */
#ifndef CAIRN_OBJECT_PURGE_H
#define CAIRN_OBJECT_PURGE_H

#include "object/header.h"
#include "object/operation.h"
#include "object/shard.h"

/* Queues the incarnation, in the overlay that deletes it.  `values` are the numbers of the type's value fields; `space`
 * is the namespace for which its bytes are counted, "" if they are not (kept.h). */
void purge_queue(struct shard *shard, struct overlay *overlay, const struct header *header, const uint32_t *values,
                 uint32_t value_count, struct cairn_bytes space);
extern const struct housekeeper purge_housekeeper;

#endif
