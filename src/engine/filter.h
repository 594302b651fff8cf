/* filter.h - a blocked Bloom filter: every key sets some bits of one block of 64 bytes, so that asking costs one fetch
 * from memory (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, WEA 2007).
 *
 * What was added is always found; with 10 bits a key about one key in a hundred that was not is found, too.
 * Made for more keys than come, a filter is folded to the size that they need.
 * Threads: one owner; may be asked by many once it is no longer changed.  Layer: engine; uses base. */
#ifndef CAIRN_ENGINE_FILTER_H
#define CAIRN_ENGINE_FILTER_H

#include "base/bytes.h"

enum { FILTER_BLOCK_BYTES = 64 };

struct filter {
    uint8_t *bits;
    uint32_t block_count; /* 0: no filter, which finds everything */
};

/* For at most `keys_max` keys. */
void filter_init(struct filter *filter, uint64_t keys_max, unsigned bits_per_key);
/* For bytes as they were kept, a multiple of FILTER_BLOCK_BYTES; returns where they go. */
uint8_t *filter_init_kept(struct filter *filter, size_t bytes);
void filter_done(struct filter *filter);

/* `hash` is cairn_hash(key). */
void filter_add(struct filter *filter, uint64_t hash);
bool filter_has(const struct filter *filter, uint64_t hash);
/* Halves it while `keys` keys still have bits_per_key bits each. */
void filter_fold(struct filter *filter, uint64_t keys, unsigned bits_per_key);
struct cairn_bytes filter_bytes(const struct filter *filter);

#endif
