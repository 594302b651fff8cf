#include "object/stats.h"

#include <stdlib.h>

void stats_init(struct stats *stats, uint32_t workers)
{
    *stats = (struct stats){.workers = workers};
    pthread_mutex_init(&stats->lock, NULL);
}

static struct cairn_bytes keep(struct cairn_bytes bytes)
{
    return cairn_bytes(cairn_bytes_dup(bytes), bytes.size);
}

static struct method_series *series_make(struct stats *stats, const struct space *space, struct cairn_bytes type,
                                         struct cairn_bytes method)
{
    struct method_series *s = cairn_alloc_zeroed(1, sizeof *s + stats->workers * sizeof s->of[0]);

    s->space = space;
    s->type = keep(type);
    s->method = keep(method);
    s->next = atomic_load_explicit(&stats->first, memory_order_relaxed);
    atomic_store_explicit(&stats->first, s, memory_order_release);
    return s;
}

static struct method_series *series_find(struct stats *stats, const struct space *space, struct cairn_bytes type,
                                         struct cairn_bytes method)
{
    uint64_t hash = cairn_hash_seeded(method, space_name_hash(space, type));
    uint32_t at = 0, number;

    while ((number = names_next(&stats->names, hash, &at)) != NAMES_END) {
        struct method_series *s = stats->series[number];
        if (s->space == space && cairn_bytes_equal(s->method, method) && cairn_bytes_equal(s->type, type))
            return s;
    }
    if (stats->count == METHOD_SERIES_MAX) {
        if (!stats->others)
            stats->others = series_make(stats, NULL, cairn_str(""), cairn_str(""));
        return stats->others;
    }
    if (!stats->series)
        stats->series = cairn_alloc_zeroed(METHOD_SERIES_MAX, sizeof stats->series[0]);
    names_add(&stats->names, hash, stats->count);
    return stats->series[stats->count++] = series_make(stats, space, type, method);
}

struct method_stats *stats_of(struct stats *stats, uint32_t worker, const struct space *space, struct cairn_bytes type,
                              struct cairn_bytes method)
{
    struct method_series *series;
    struct method_stats *s;

    pthread_mutex_lock(&stats->lock);
    series = series_find(stats, space, type, method);
    pthread_mutex_unlock(&stats->lock);
    s = atomic_load_explicit(&series->of[worker], memory_order_relaxed); /* only this worker sets it */
    if (!s) {
        s = cairn_alloc_zeroed(1, sizeof *s);
        atomic_store_explicit(&series->of[worker], s, memory_order_release);
    }
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

void stats_done(struct stats *stats)
{
    struct method_series *s = atomic_load(&stats->first), *next;

    for (; s; s = next) {
        next = s->next;
        free((void *)(uintptr_t)s->type.data);
        free((void *)(uintptr_t)s->method.data);
        for (uint32_t w = 0; w < stats->workers; w++)
            free(atomic_load(&s->of[w]));
        free(s);
    }
    free(stats->series);
    names_done(&stats->names);
    pthread_mutex_destroy(&stats->lock);
}
