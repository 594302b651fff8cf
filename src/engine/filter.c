#include "engine/filter.h"

#include <stdlib.h>

enum {
    PROBES = 6,
    BLOCK_BITS = FILTER_BLOCK_BYTES * 8,
    FOLDS = 6, /* block counts are multiples of 2^FOLDS where they are that large */
    PAGES_FROM_BYTES = 64 << 10,
};

/* Merges make large ones again and again. */
static void set_blocks(struct filter *filter, uint32_t count)
{
    size_t bytes = (size_t)count * FILTER_BLOCK_BYTES;

    filter->block_count = count;
    filter->bits = !count                      ? NULL
                   : bytes >= PAGES_FROM_BYTES ? cairn_alloc_pages(bytes)
                                               : cairn_alloc_zeroed(count, FILTER_BLOCK_BYTES);
}

void filter_init(struct filter *filter, uint64_t keys_max, unsigned bits_per_key)
{
    uint64_t blocks = (keys_max * bits_per_key + BLOCK_BITS - 1) / BLOCK_BITS;

    if (bits_per_key && !blocks)
        blocks = 1;
    for (int fold = 0; fold < FOLDS && blocks >> fold >= 16; fold++) /* the round-up wastes at most a sixteenth */
        blocks += blocks & (UINT64_C(1) << fold);
    if (blocks > UINT32_MAX / FILTER_BLOCK_BYTES) /* a file's frame holds no more */
        blocks = UINT32_MAX / FILTER_BLOCK_BYTES;
    set_blocks(filter, (uint32_t)blocks);
}

uint8_t *filter_init_kept(struct filter *filter, size_t bytes)
{
    set_blocks(filter, (uint32_t)(bytes / FILTER_BLOCK_BYTES));
    return filter->bits;
}

void filter_done(struct filter *filter)
{
    size_t bytes = filter_bytes(filter).size;

    if (bytes >= PAGES_FROM_BYTES)
        cairn_free_pages(filter->bits, bytes);
    else
        free(filter->bits);
    *filter = (struct filter){0};
}

/* The upper bits choose the block in a way that folding keeps: half as many blocks, half the index. */
static uint8_t *block_of(const struct filter *filter, uint64_t hash)
{
    uint64_t index = (uint64_t)(((unsigned __int128)hash * filter->block_count) >> 64);

    return filter->bits + index * FILTER_BLOCK_BYTES;
}

/* Nine bits a probe, of bits that depend on all of the hash. */
static uint64_t probes_of(uint64_t hash)
{
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

void filter_add(struct filter *filter, uint64_t hash)
{
    uint8_t *block;
    uint64_t probes = probes_of(hash);

    if (!filter->block_count)
        return;
    block = block_of(filter, hash);
    for (int i = 0; i < PROBES; i++, probes >>= 9)
        block[(probes & (BLOCK_BITS - 1)) / 8] |= (uint8_t)(1u << probes % 8);
}

bool filter_has(const struct filter *filter, uint64_t hash)
{
    const uint8_t *block;
    uint64_t probes = probes_of(hash);

    if (!filter->block_count)
        return true;
    block = block_of(filter, hash);
    for (int i = 0; i < PROBES; i++, probes >>= 9)
        if (!(block[(probes & (BLOCK_BITS - 1)) / 8] & 1u << probes % 8))
            return false;
    return true;
}

void filter_fold(struct filter *filter, uint64_t keys, unsigned bits_per_key)
{
    struct filter large = *filter;

    while (filter->block_count > 1 && filter->block_count % 2 == 0 &&
           keys * bits_per_key <= (uint64_t)filter->block_count / 2 * BLOCK_BITS) {
        filter->block_count /= 2;
        for (uint32_t i = 0; i < filter->block_count; i++) {
            uint8_t *to = filter->bits + (size_t)i * FILTER_BLOCK_BYTES;
            const uint8_t *from = filter->bits + (size_t)i * 2 * FILTER_BLOCK_BYTES;

            for (int j = 0; j < FILTER_BLOCK_BYTES; j++)
                to[j] = from[j] | from[j + FILTER_BLOCK_BYTES]; /* to never lies behind from */
        }
    }
    if (filter->block_count == large.block_count)
        return;
    set_blocks(filter, filter->block_count);
    memcpy(filter->bits, large.bits, filter_bytes(filter).size);
    filter_done(&large);
}

struct cairn_bytes filter_bytes(const struct filter *filter)
{
    return cairn_bytes(filter->bits, (size_t)filter->block_count * FILTER_BLOCK_BYTES);
}
