/* ordered.h - ordered maps: keys and small values in a tree (tree.h), other values and those that were changed under
 * point keys of their own, so that changing a value touches no page (docs/design/0027-ordered-maps.md).
 *
 * All reads and writes pass the overlay; how many entries there are is in the object's header, which the caller keeps.
 * Reads may fail (overlay->code): what they told counts for nothing then.
 * Threads: the shard's owner, or whose the overlay is.  Layer: object, seen by admin and transfer. */
#ifndef CAIRN_OBJECT_ORDERED_H
#define CAIRN_OBJECT_ORDERED_H

#include "fn/fn.h"
#include "object/layout.h"
#include "object/tree.h"

struct ordered {
    struct tree tree; /* first; of `prefix`: the struct must not be copied */
    uint64_t incarnation;
    uint32_t field;
    uint8_t prefix[FIELD_KEY_FIXED_MAX];
};

void ordered_init(struct ordered *map, struct overlay *overlay, uint64_t incarnation, uint32_t field);

/* The key has at most MAP_KEY_BYTES_MAX bytes. */
bool ordered_has(const struct ordered *map, struct cairn_bytes key);
bool ordered_get(const struct ordered *map, struct cairn_bytes key, struct cairn_bytes *ret_value);
/* True if the key is new. */
bool ordered_put(const struct ordered *map, struct cairn_bytes key, struct cairn_bytes value);
/* True if it was there. */
bool ordered_remove(const struct ordered *map, struct cairn_bytes key);
/* Removes up to `most` entries; how many.  Less: there are no more. */
uint32_t ordered_remove_some(const struct ordered *map, uint32_t most);

/* Gives entries of the range, or from a place on, to the taker, in order. */
void ordered_read(const struct ordered *map, const struct cairn_range *range, struct cairn_taker *to);
void ordered_read_at(const struct ordered *map, uint64_t place, bool backward, struct cairn_taker *to);

#endif
