/* arena.h - memory that dies all at once: a request's, an invocation's.
 *
 * Blocks come from malloc; reset keeps the first block, so a reused arena allocates
 * nothing in the steady state.  Alignment is 8 bytes.
 * Threads: one owner.  Layer: base. */
#ifndef CAIRN_BASE_ARENA_H
#define CAIRN_BASE_ARENA_H

#include "base/bytes.h"

struct cairn_arena_block;

/* Zero-initialized is empty. */
struct cairn_arena {
    uint8_t *at, *end;
    struct cairn_arena_block *blocks; /* newest first */
    size_t bytes;                     /* handed out since the last reset */
};

void *cairn_arena_slow(struct cairn_arena *arena, size_t bytes);

/* Never NULL; uninitialized memory. */
static inline void *cairn_arena_alloc(struct cairn_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + 7) & ~(size_t)7;
    uint8_t *at = arena->at;

    if (__builtin_expect((size_t)(arena->end - at) < rounded, 0))
        return cairn_arena_slow(arena, rounded);
    arena->at = at + rounded;
    arena->bytes += rounded;
    return at;
}

struct cairn_bytes cairn_arena_copy(struct cairn_arena *arena, struct cairn_bytes bytes);
/* Everything handed out becomes invalid; keeps one block of at most 64 KiB. */
void cairn_arena_reset(struct cairn_arena *arena);
void cairn_arena_done(struct cairn_arena *arena);

#endif
