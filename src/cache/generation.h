/* generation.h - generations of the cache's keys are never given twice, also over restarts.
 *
 * The data folder's file `cache-generation` (docs/formats/folder.md) has a bound below which all may have been given.
 * A start begins at it, and first raises it and syncs it; while the node runs it is raised long before it is reached.
 * Threads: one at a time; it may block.  Layer: cache; uses io. */
#ifndef CAIRN_CACHE_GENERATION_H
#define CAIRN_CACHE_GENERATION_H

#include "base/err.h"
#include "cache/table.h"
#include "io/disk.h"

enum { CAIRN_GENERATION_BYTES = 16 };

/* ret_first .. ret_bound - 1 may be given. */
enum cairn_code cairn_generation_open(struct cairn_disk *disk, uint64_t *ret_first, uint64_t *ret_bound,
                                      struct cairn_err *err);
/* Raises the cache's bound if half of what is left has been given.  A failure is tried again by the next call; if the
 * bound is reached, nothing may be changed (cairn_cache_may_change). */
enum cairn_code cairn_generation_raise(struct cairn_disk *disk, struct cairn_cache *cache, struct cairn_err *err);

#endif
