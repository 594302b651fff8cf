/* front.h - what of an engine's state is in memory, in front of the runs on disk, behind a vtable.
 *
 * What is put gathers until a part of it is sealed as a batch, which no longer changes, is still found by get, and is
 * written as a run in the background; then it is released.  Batches are sealed, written and released in one order.
 *
 *   memtable.c    a hash table that is sealed as a whole: the lsm's, and MemOnly's, which is never sealed
 *   hybridlog.c   FASTER's log: updated in place near its tail, read-only further back, then sealed
 *
 * Threads: the engine's owner, but for list_batch.  Layer: engine; uses base. */
#ifndef CAIRN_ENGINE_FRONT_H
#define CAIRN_ENGINE_FRONT_H

#include "engine/budget.h"
#include "engine/run.h"

struct front;
struct front_batch;

enum front_pressure {
    FRONT_EASY,
    FRONT_SEAL, /* a batch should be sealed */
    FRONT_FULL, /* and nothing should be put before the oldest one is released */
};

struct front_ops {
    /* The newest value, or tombstone, valid until the next put, keep, or release; false if the runs have to be
     * asked. */
    bool (*get)(struct front *front, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value);
    /* A hint, as struct cairn_engine_ops' prefetch. */
    void (*prefetch)(const struct front *front, uint64_t hash, int depth);
    /* Never fails. */
    void (*put)(struct front *front, const struct run_record *record);
    /* What get did not have, as the runs have it: may be kept to be found sooner.  NULL: nothing is. */
    void (*keep)(struct front *front, const struct run_record *record);
    enum front_pressure (*pressure)(const struct front *front);
    /* Everything that was put and is in no batch becomes one, or as much as should be.  False: there is nothing. */
    bool (*seal)(struct front *front, bool all);
    /* The oldest; NULL: there is none.  Valid until it is released. */
    const struct front_batch *(*batch)(const struct front *front);
    size_t (*batch_count)(const struct front *front);
    /* All that is in a batch, the oldest first (of a key the last counts); to be freed.  Any thread. */
    struct run_record *(*list_batch)(const struct front_batch *batch, size_t *ret_count);
    /* The same of everything that is in memory; valid until the next change. */
    struct run_record *(*list)(const struct front *front, size_t *ret_count);
    /* The oldest batch is in a run that is asked from now on. */
    void (*release)(struct front *front);
    /* If the budget asks for memory: some of it, as soon as it is free.  Short. */
    void (*give_back)(struct front *front);
    uint64_t (*memory_bytes)(const struct front *front);
    struct front *(*close)(struct front *front); /* returns NULL */
};

struct front {
    const struct front_ops *ops;
};

/* Both are struct levels_options' create_front. */

/* Where a front gets memory from beyond its own bounds, which grow with it; without a budget nowhere. */
struct front_share {
    struct budget *budget;
    void (*on_asked)(void *context); /* as budget_join's */
    void *context;
};

struct memtable_options {
    struct front_share share;
    size_t limit_bytes;
    size_t keep_bytes; /* for what is read from runs */
    bool whole;        /* removed keys are forgotten, not remembered as tombstones, and pressure is always easy */
};

struct front *memtable_create(const void *memtable_options);

struct hybridlog_options {
    struct front_share share;
    size_t mem_segment_len; /* bytes in memory, the index included */
    size_t ro_lag_interval; /* bytes at the tail that are updated in place; 0: none are, every put is appended */
    size_t flush_interval;  /* read-only bytes that are sealed as one batch */
    bool keeps;             /* what was written, and what is read from runs, while there is room */
};

/* mem_segment_len must exceed ro_lag_interval + flush_interval.  (FASTER: Chandramouli et al., SIGMOD 2018.) */
struct front *hybridlog_create(const void *hybridlog_options);

#endif
