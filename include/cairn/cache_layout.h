/* cache_layout.h - what the cache's guest and its host agree on: records and numbers, little-endian, in the guest's
 * memory.
 *
 * The memory is cut into blocks of CAIRN_CACHE_BLOCK_BYTES.  A chunk is a list of blocks in any order, as a file in a
 * file allocation table: so nothing is ever too fragmented for a chunk, and half a block is lost to each on average.
 * The guest keeps the tables; the host moves a chunk's bytes.
 *
 *   init(bytes)                          -> blocks that there are, 0: too few bytes.  First, and once
 *   reserve(generation, index, bytes)    -> a chunk's number, 0: no room, or it is there already
 *   find(generation, index)              -> its number, 0: there is none
 *   walk(block, count)                   -> blocks written to the scratch as u32 offsets, from `block` on; behind
 *                                           them stands the block to go on with, 0: that was the end
 *   drop(number)                         -> blocks that are free now
 *   list(from, count)                    -> records written to the scratch, from that number on
 *   free_blocks(), scratch(), record(number)
 *
 * A chunk keeps its number and its blocks until it is dropped.  The host may read the record of a chunk, and it alone
 * writes `host` there.  Threads: the host's calls are one at a time; it may touch a chunk's bytes meanwhile. */
#ifndef CAIRN_CACHE_LAYOUT_H
#define CAIRN_CACHE_LAYOUT_H

#include <stdint.h>

enum {
    CAIRN_CACHE_BLOCK_BYTES = 8192,
    CAIRN_CACHE_HOST_BYTES = 64,
    CAIRN_CACHE_SCRATCH_BYTES = 16384,
    CAIRN_CACHE_WALK_MAX = CAIRN_CACHE_SCRATCH_BYTES / 4 - 1, /* blocks of one walk */
};

struct cairn_cache_record {
    uint64_t generation; /* of the value; 0: the record is free */
    uint32_t index;      /* of the chunk in its value */
    uint32_t bytes;
    uint32_t block;                       /* the first; 0: no bytes */
    uint32_t next;                        /* record of the same bucket, or the next free one; 0: none */
    uint32_t blocks;                      /* how many */
    uint32_t number;                      /* its own, when it is listed */
    uint8_t host[CAIRN_CACHE_HOST_BYTES]; /* the host's: what it needs to find the value again */
};

enum { CAIRN_CACHE_LIST_MAX = CAIRN_CACHE_SCRATCH_BYTES / sizeof(struct cairn_cache_record) };

#endif
