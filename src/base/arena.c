#include "base/arena.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 4096 - 64, KEEP_BYTES = 64 << 10 };

struct cairn_arena_block {
    struct cairn_arena_block *older;
    size_t bytes;
    uint8_t memory[];
};

void *cairn_arena_slow(struct cairn_arena *arena, size_t bytes)
{
    size_t size = arena->blocks ? arena->blocks->bytes * 2 : BLOCK_BYTES;
    struct cairn_arena_block *block;

    if (size > KEEP_BYTES)
        size = KEEP_BYTES;
    if (size < bytes)
        size = bytes;
    block = cairn_alloc(sizeof *block + size);
    block->bytes = size;
    block->older = arena->blocks;
    arena->blocks = block;
    arena->at = block->memory + bytes;
    arena->end = block->memory + size;
    arena->bytes += bytes;
    return block->memory;
}

struct cairn_bytes cairn_arena_copy(struct cairn_arena *arena, struct cairn_bytes bytes)
{
    uint8_t *copy = cairn_arena_alloc(arena, bytes.size);

    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    return cairn_bytes(copy, bytes.size);
}

void cairn_arena_reset(struct cairn_arena *arena)
{
    struct cairn_arena_block *block = arena->blocks, *keep = NULL;

    while (block) {
        struct cairn_arena_block *older = block->older;
        if (!keep && block->bytes <= KEEP_BYTES)
            keep = block;
        else
            free(block);
        block = older;
    }
    arena->blocks = keep;
    arena->bytes = 0;
    arena->at = keep ? keep->memory : NULL;
    arena->end = keep ? keep->memory + keep->bytes : NULL;
    if (keep)
        keep->older = NULL;
}

void cairn_arena_done(struct cairn_arena *arena)
{
    cairn_arena_reset(arena);
    free(arena->blocks);
    *arena = (struct cairn_arena){0};
}
