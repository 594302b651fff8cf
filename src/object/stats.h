/* stats.h - what is counted: per method and worker, and per worker.
 *
 * A worker writes its own counters with relaxed stores, and any thread reads them: a page of metrics is made without
 * the workers (metrics.c).  A method has counters from its first invocation on, so that what is deployed and not used
 * costs nothing; METHOD_SERIES_MAX methods have some of their own, the others share one set.
 * Threads: as said at each.  Layer: object (private). */
#ifndef CAIRN_OBJECT_STATS_H
#define CAIRN_OBJECT_STATS_H

#include <pthread.h>
#include <stdatomic.h>

#include "object/names.h"
#include "object/space.h"

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

/* Methods with counters of their own: each takes 300 bytes per worker that has run it, and 34 lines of metrics. */
enum { METHOD_SERIES_MAX = 2048 };

/* A method's counters on one worker, which writes them. */
struct method_stats {
    _Atomic uint64_t invocations, failures, cpu_ns, memory_peak_bytes, read_bytes, written_bytes, operations, calls,
        cache_hits, cache_misses, cache_bytes;
    _Atomic uint64_t latency[LATENCY_BUCKETS], latency_ns_total;
};

/* A method over all its versions, or all methods that have none of their own: then its names are "". */
struct method_series {
    struct method_series *next; /* set before it is seen */
    const struct space *space;  /* NULL: of several */
    struct cairn_bytes type, method;
    _Atomic(struct method_stats *) of[]; /* by worker; NULL: it has not run there */
};

struct stats {
    uint32_t workers;
    _Atomic(struct method_series *) first; /* grows only: readers follow it with acquire */
    pthread_mutex_t lock;                  /* of the rest, taken once per method, version and worker */
    struct names names;                    /* into `series` */
    struct method_series **series;
    uint32_t count;
    struct method_series *others;
};

struct worker_counts {
    _Atomic uint64_t segments, records, slices, restarts, refused, refused_for_memory, abandoned, held, mailbox_waiting,
        purged_keys, evicted_keys, dropped_outcomes, messages, transactions, transaction_retries, transaction_conflicts,
        cache_hits, cache_misses, cache_bytes, letters_sent, letters_run, letters_retried, letters_waiting,
        letters_dead, letter_bytes, timers_set, timers_fired, timers_pending, timer_late_ms, letters_spoiled,
        side_lines;
};

void stats_init(struct stats *stats, uint32_t workers);
void stats_done(struct stats *stats);
/* The worker's counters of that method; any worker's thread. */
struct method_stats *stats_of(struct stats *stats, uint32_t worker, const struct space *space, struct cairn_bytes type,
                              struct cairn_bytes method);
void stats_latency(struct method_stats *stats, uint64_t ns);

#endif
