/* ring.h - what each worker keeps the newest of, in order, and gives out in pages: log lines, spans of traced jobs.
 * Threads: the worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_RING_H
#define CAIRN_ADMIN_RING_H

#include "base/bytes.h"

struct cairn_worker;
struct invocation;

/* Entries have numbers that ascend, with their times; those from first on and below end are there. */
struct ring {
    uint64_t (*first)(struct cairn_worker *worker, const struct invocation *inv);
    uint64_t (*end)(struct cairn_worker *worker, const struct invocation *inv);
    int64_t (*ms)(struct cairn_worker *worker, uint64_t number, const struct invocation *inv);
    /* Whether the request asks for it. */
    bool (*is_of)(struct cairn_worker *worker, uint64_t number, const struct invocation *inv);
    /* Adds it as an encoded value. */
    void (*add)(struct cairn_buf *to, struct cairn_worker *worker, uint64_t number, const struct invocation *inv);
};

extern const struct ring lines_ring, spans_ring;

#endif
