#include "object/stats.h"

#include <stdlib.h>

struct method_stats *stats_find(struct stats_table *table, struct cairn_bytes space, struct cairn_bytes type,
                                struct cairn_bytes method)
{
    struct method_stats *s = atomic_load_explicit(&table->first, memory_order_relaxed);

    for (; s; s = s->next)
        if (cairn_bytes_equal(s->space, space) && cairn_bytes_equal(s->type, type) &&
            cairn_bytes_equal(s->method, method))
            return s;
    s = cairn_alloc_zeroed(1, sizeof *s);
    s->space = cairn_bytes(cairn_bytes_dup(space), space.size);
    s->type = cairn_bytes(cairn_bytes_dup(type), type.size);
    s->method = cairn_bytes(cairn_bytes_dup(method), method.size);
    s->next = atomic_load_explicit(&table->first, memory_order_relaxed);
    atomic_store_explicit(&table->first, s, memory_order_release);
    return s;
}

void stats_latency(struct method_stats *stats, uint64_t ns)
{
    uint64_t us = ns / 1000;
    unsigned bucket = us <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(us - 1);

    if (bucket >= LATENCY_BUCKETS)
        bucket = LATENCY_BUCKETS - 1;
    stat_add(&stats->latency[bucket], 1);
    stat_add(&stats->latency_ns_total, ns);
}

void stats_done(struct stats_table *table)
{
    struct method_stats *s = atomic_load(&table->first), *next;

    for (; s; s = next) {
        next = s->next;
        free((void *)(uintptr_t)s->space.data);
        free((void *)(uintptr_t)s->type.data);
        free((void *)(uintptr_t)s->method.data);
        free(s);
    }
    atomic_store(&table->first, NULL);
}
