/* trim.h - memory that malloc keeps though the cache has freed it goes back to the operating system.
 *
 * When values of other sizes take the place of those before, what these leave cannot be used for them, and malloc
 * keeps it: the process would be larger than the cache's bound by far.  So the process's size is looked at; when it is
 * too large for what the cache has, malloc is asked to give back all pages that nothing is on.  That holds up what
 * allocates meanwhile, for milliseconds, so it is done seldom, and more seldom where it gains nothing.
 *
 * Threads: one.  Layer: cache; uses io. */
#ifndef CAIRN_CACHE_TRIM_H
#define CAIRN_CACHE_TRIM_H

#include "cache/table.h"

struct cairn_cache_trim {
    uint64_t idle_bytes; /* the process's size without the cache, the least that was seen */
    uint64_t next_ms;    /* not before */
    uint32_t wait_s;
    uint64_t trims, gained_bytes;
};

/* True if the process, of `resident_bytes`, is to be trimmed now.  Pure but for *trim. */
bool cairn_cache_trim_wanted(struct cairn_cache_trim *trim, uint64_t resident_bytes, uint64_t cache_bytes,
                             uint64_t cache_bytes_max, uint64_t now_ms);
/* It was, and has this size now. */
void cairn_cache_trim_done(struct cairn_cache_trim *trim, uint64_t before_bytes, uint64_t after_bytes,
                           uint64_t cache_bytes_max, uint64_t now_ms);
/* About once a second: looks, and trims if that is wanted. */
void cairn_cache_trim(struct cairn_cache_trim *trim, const struct cairn_cache *cache, uint64_t now_ms);

#endif
