/* merge.h - many ordered sources read as one: of a key that several have, what the newest says counts.
 *
 * A source is a run, or records in memory that were put in order.
 * Threads: one owner; the sources must not change meanwhile.  Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_MERGE_H
#define CAIRN_ENGINE_MERGE_H

#include "engine/run.h"

/* Puts records that are listed from the oldest to the newest in order, and drops all but the newest of each key;
 * returns how many are left. */
size_t merge_sort(enum run_order order, struct run_record *records, size_t count);

struct merge_source {
    const struct run_record *records; /* NULL: a run */
    size_t record_count, next;
    struct run_cursor cursor;
    struct run_record at;
    bool ended;
};

struct merge {
    enum run_order order;
    struct merge_source *sources; /* newest first */
    size_t count, last;           /* last: the source that the last answer came from */
};

/* For `count` sources, each to be set by one of the two below before the first step. */
void merge_init(struct merge *merge, enum run_order order, size_t count);
void merge_set_run(struct merge *merge, size_t index, struct run *run);
void merge_set_records(struct merge *merge, size_t index, const struct run_record *records, size_t record_count);
void merge_done(struct merge *merge);

/* The next key in order, with its newest value or tombstone; NULL behind the last.  Valid until the next step. */
enum cairn_code merge_next(struct merge *merge, const struct run_record **ret_record, struct cairn_err *err);

#endif
