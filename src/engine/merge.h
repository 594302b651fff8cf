/* merge.h - many ordered sources read as one: of a key that several have, what the newest says counts.
 *
 * A source is a run, or a memtable whose entries were put in order.
 * Threads: one owner; the sources must not change meanwhile.  Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_MERGE_H
#define CAIRN_ENGINE_MERGE_H

#include "engine/engine.h"
#include "engine/run.h"

/* --- memtables: a memory engine whose values have a byte in front, so that it can hold tombstones --- */

/* The value, or run_tombstone(). */
struct cairn_bytes memtable_value(struct cairn_bytes stored);
bool memtable_get(struct cairn_engine *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value);
/* `scratch` is used to put the byte in front. */
void memtable_put(struct cairn_engine *memtable, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value,
                  struct cairn_buf *scratch);

struct memtable_entry {
    struct cairn_bytes key, value;
};

/* What is in it, in order; valid until it is changed; to be freed. */
struct memtable_entry *memtable_sort(struct cairn_engine *memtable, size_t *ret_count);

/* --- merging --- */

struct merge_source {
    const struct memtable_entry *entries; /* NULL: a run */
    size_t entry_count, next;
    struct run_cursor cursor;
    struct cairn_bytes key, value; /* what it is at */
    bool ended;
};

struct merge {
    struct merge_source *sources; /* newest first */
    size_t count, last;           /* last: the source that the last answer came from */
};

/* For `count` sources, each to be set by one of the two below before the first step. */
void merge_init(struct merge *merge, size_t count);
void merge_set_run(struct merge *merge, size_t index, struct run *run);
void merge_set_memtable(struct merge *merge, size_t index, const struct memtable_entry *entries, size_t entry_count);
void merge_done(struct merge *merge);

/* The next key in order, with its newest value or tombstone; *ret_more is false behind the last.  Both are valid until
 * the next step. */
enum cairn_code merge_next(struct merge *merge, bool *ret_more, struct cairn_bytes *ret_key,
                           struct cairn_bytes *ret_value, struct cairn_err *err);

#endif
