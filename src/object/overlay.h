/* overlay.h - a segment's writes: what it sees before they are committed.
 *
 * Reads see the engine's committed state plus the overlay's own writes; all reads of a
 * segment pass overlay_get, the one place that can record them.  Keys and values are copied
 * into the overlay's arena.  At the commit its writes are the record's after-images.
 * Threads: its worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_OVERLAY_H
#define CAIRN_OBJECT_OVERLAY_H

#include "base/arena.h"
#include "shard/shard.h"

struct overlay {
    struct cairn_view *engine;
    struct cairn_arena arena;
    struct cairn_write *writes; /* kept between segments */
    uint32_t *capacities;       /* of each value's memory, for writing in place */
    uint32_t count, room;
    uint32_t *index; /* open addressing over writes, once there are more than a few */
    uint32_t index_size;
    size_t bytes;                                          /* of keys and values as they stand */
    uint64_t operations, reads, read_bytes, written_bytes; /* metering */
    enum cairn_code code; /* of the reads: what they told counts for nothing unless CAIRN_OK */
    struct cairn_err err;
};

/* Empty over that engine; keeps its memory.  A read of the engine that has failed before it, and that nothing asked
 * for, is the overlay's. */
void overlay_reset(struct overlay *overlay, struct cairn_view *engine);
void overlay_done(struct overlay *overlay);

/* True and *ret_value (borrowed until the next overlay or engine write, and for CAIRN_VALUES_VALID - 1 more reads). */
bool overlay_get(struct overlay *overlay, struct cairn_bytes key, struct cairn_bytes *ret_value);
/* The same when the key's cairn_hash is known. */
bool overlay_get_hashed(struct overlay *overlay, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value);
void overlay_put(struct overlay *overlay, struct cairn_bytes key, struct cairn_bytes value);
void overlay_remove(struct overlay *overlay, struct cairn_bytes key);
/* Takes back the writes to keys that came after the first `count`; these must not have been changed since. */
void overlay_truncate(struct overlay *overlay, uint32_t count);

#endif
