/* header.h - an object's header: which incarnation there is, and the extent of each of its lists and maps
 * (docs/formats/state.md).
 * Threads: the shard's owner; header_decode by any.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_HEADER_H
#define CAIRN_OBJECT_HEADER_H

#include <stdbool.h>

#include "base/arena.h"

struct object;

struct container {
    uint32_t field; /* the type's number */
    uint64_t first, count;
};

struct header {
    uint64_t incarnation; /* 0: the object does not exist */
    struct container *containers;
    uint32_t count, room;
};

enum { HEADER_INLINE = 6 };

/* Into header->containers, which has room for all that a header can hold. */
bool header_decode(struct cairn_bytes bytes, struct header *header);
/* The list's or map's extent, NULL when it is empty and !make.  With make the header becomes the segment's own copy. */
struct container *header_container(struct cairn_arena *arena, struct header *header, uint32_t field, bool make);
/* Reads the committed one. */
void object_load(struct object *object);

#endif
