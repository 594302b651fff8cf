/* stats.h - counters of a worker, per method and overall, and their Prometheus text.
 *
 * Written by the owner with relaxed stores, read by any thread.
 * Layer: object (private). */
#ifndef CAIRN_OBJECT_STATS_H
#define CAIRN_OBJECT_STATS_H

#include <stdatomic.h>

#include "base/bytes.h"

/* One writer: a plain addition is enough. */
static inline void stat_add(_Atomic uint64_t *count, uint64_t more)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more, memory_order_relaxed);
}

static inline uint64_t stat_get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)count, memory_order_relaxed);
}

/* Latencies in buckets 1 us * 2^n, n = 0 .. 24 (16.8 s), then infinity. */
enum { LATENCY_BUCKETS = 26 };

struct method_stats {
    struct method_stats *next;
    struct cairn_bytes space, type, method; /* malloc'd */
    _Atomic uint64_t invocations, failures, cpu_ns, memory_peak_bytes, read_bytes, written_bytes, operations, calls;
    _Atomic uint64_t latency[LATENCY_BUCKETS], latency_ns_total;
};

/* Grows only; readers follow `first` with acquire. */
struct stats_table {
    _Atomic(struct method_stats *) first;
};

struct worker_counts {
    _Atomic uint64_t segments, records, slices, restarts, refused, held, mailbox_waiting, set_aside, fibers, objects,
        purged_keys, evicted_keys, messages, loops;
};

struct method_stats *stats_find(struct stats_table *table, struct cairn_bytes space, struct cairn_bytes type,
                                struct cairn_bytes method);
void stats_latency(struct method_stats *stats, uint64_t ns);
void stats_done(struct stats_table *table);

#endif
