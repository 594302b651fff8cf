#include "engine/slab.h"

#include <assert.h>

struct slab {
    uint32_t used;   /* this head included */
    uint32_t pieces; /* taken and not given back */
    uint8_t unused[SLAB_ALIGNMENT - 2 * sizeof(uint32_t)];
};

_Static_assert(sizeof(struct slab) == SLAB_BYTES - SLAB_PIECES_BYTES, "what slab.h says is left for pieces");

static size_t aligned(size_t bytes)
{
    return (bytes + SLAB_ALIGNMENT - 1) / SLAB_ALIGNMENT * SLAB_ALIGNMENT;
}

static struct slab *slab_of(void *piece)
{
    return (struct slab *)((uintptr_t)piece / SLAB_BYTES * SLAB_BYTES);
}

void slabs_done(struct slabs *slabs)
{
    assert(!slabs->last || !slabs->last->pieces);
    cairn_free_pages(slabs->last, SLAB_BYTES);
    slabs->last = NULL;
}

size_t slabs_room(const struct slabs *slabs)
{
    return slabs->last ? SLAB_BYTES - slabs->last->used : 0;
}

void slabs_grow(struct slabs *slabs)
{
    assert(!slabs->last || slabs->last->pieces); /* an empty one would never be given back */
    slabs->last = cairn_alloc_huge(SLAB_BYTES);
    *slabs->last = (struct slab){.used = sizeof(struct slab)};
}

void *slabs_take(struct slabs *slabs, size_t bytes)
{
    struct slab *slab = slabs->last;
    void *piece = (uint8_t *)slab + slab->used;

    assert(aligned(bytes) <= slabs_room(slabs));
    slab->used += (uint32_t)aligned(bytes);
    slab->pieces++;
    return piece;
}

void slabs_cut(struct slabs *slabs, const void *piece, size_t bytes)
{
    struct slab *slab = slabs->last;

    assert((const uint8_t *)piece > (uint8_t *)slab && (const uint8_t *)piece + bytes <= (uint8_t *)slab + slab->used);
    slab->used = (uint32_t)((const uint8_t *)piece - (uint8_t *)slab + aligned(bytes));
}

size_t slabs_give(struct slabs *slabs, void *piece)
{
    struct slab *slab = slab_of(piece);

    assert(slab->pieces > 0);
    if (--slab->pieces > 0)
        return 0;
    if (slab == slabs->last)
        slabs->last = NULL;
    cairn_free_pages(slab, SLAB_BYTES);
    return SLAB_BYTES;
}
