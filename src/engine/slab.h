/* slab.h - memory for what is appended and forgotten in about the same order: pieces that share huge pages.
 *
 * A slab is one huge page.  Pieces are cut from the last slab, one behind the other, and a slab is given back when all
 * of its pieces were.  A read of a piece at random so has no miss of the processor's address cache, or a short one.
 * Threads: one owner; the pieces' contents belong to the caller.  Layer: engine; uses base. */
#ifndef CAIRN_ENGINE_SLAB_H
#define CAIRN_ENGINE_SLAB_H

#include "base/bytes.h"

enum {
    SLAB_BYTES = CAIRN_HUGE_BYTES,
    SLAB_ALIGNMENT = 64,                             /* of pieces: a line of the processor's cache */
    SLAB_PIECES_BYTES = SLAB_BYTES - SLAB_ALIGNMENT, /* of it for pieces */
};

struct slab;

/* Zero-initialize. */
struct slabs {
    struct slab *last; /* NULL: there is none */
};

/* All pieces were given back. */
void slabs_done(struct slabs *slabs);
/* The largest piece that can be taken. */
size_t slabs_room(const struct slabs *slabs);
/* Begins another slab; what was left of the last one is lost until that is given back. */
void slabs_grow(struct slabs *slabs);
/* Aligned to SLAB_ALIGNMENT; at most slabs_room. */
void *slabs_take(struct slabs *slabs, size_t bytes);
/* Of the piece that was taken last only `bytes` are needed. */
void slabs_cut(struct slabs *slabs, const void *piece, size_t bytes);
/* Returns how many bytes the operating system has got back: none, or a slab. */
size_t slabs_give(struct slabs *slabs, void *piece);

#endif
