#include "server/house_cache.h"

#include <inttypes.h>

#include "cache/generation.h"
#include "object/space.h"

enum { LARGE_BYTES = 1 << 20 };

/* Without a guest in the binary there are no large values. */
static enum cairn_code open_large(struct cairn_house_cache *house, const struct cairn_house_cache_options *options,
                                  uint32_t threads, struct cairn_backend *backend, struct cairn_err *err)
{
    struct cairn_pool_options pool_options = {.cache = house->cache,
                                              .redundancy = options->redundancy,
                                              .bytes_max = options->bytes_max,
                                              .clock = options->clock};
    struct cairn_movers_options movers_options = {
        .threads = threads, .clock = options->clock, .first_user = options->workers};
    enum cairn_code code;

    if (!pool_options.redundancy.data)
        pool_options.redundancy = (struct cairn_redundancy){.data = 10, .parity = 2};
    code = cairn_pool_create(&pool_options, &house->pool, err);
    if (code == CAIRN_ENOTFOUND)
        return CAIRN_OK;
    movers_options.pool = house->pool;
    if (code == CAIRN_OK)
        code = cairn_movers_create(&movers_options, &house->movers, err);
    backend->pool = house->pool;
    backend->movers = house->movers;
    return code;
}

enum cairn_code cairn_house_cache_open(struct cairn_house_cache *house, const struct cairn_house_cache_options *options,
                                       struct cairn_backend *backend, struct cairn_err *err)
{
    struct cairn_cache_options cache_options = {
        .bytes_max = options->bytes_max,
        .policy = CAIRN_CACHE_ALLKEYS_LRU,
        .users = options->workers,
        .seed = options->clock->entropy(options->clock),
    };
    uint32_t threads = options->threads ? options->threads : 1;
    enum cairn_code code;

    cache_options.users += threads;
    if (!options->bytes_max)
        return CAIRN_OK;
    code = cairn_generation_open(options->disk, &cache_options.generation_first, &cache_options.generation_bound, err);
    if (code != CAIRN_OK)
        return code;
    house->cache = cairn_cache_create(&cache_options);
    house->disk = options->disk;
    house->clock = options->clock;
    house->events = options->events;
    backend->cache = house->cache;
    backend->cache_bytes = options->bytes_max;
    backend->cache_large = options->large ? options->large : LARGE_BYTES;
    return open_large(house, options, threads, backend, err);
}

void cairn_house_cache_close(struct cairn_house_cache *house)
{
    house->movers = cairn_movers_destroy(house->movers);
    cairn_cache_destroy(house->cache); /* its values go to the pool */
    house->cache = NULL;
    house->pool = cairn_pool_destroy(house->pool);
}

struct looked_at {
    struct cairn_cache *cache;
    struct cairn_node *node;
};

/* The keys of a namespace that was removed go with it. */
static void look_at_space(void *context, struct cairn_bytes name, uint32_t first_database)
{
    const struct looked_at *at = context;
    const struct space *space = cairn_node_space(at->node, name);

    /* No namespace lives so often. */
    cairn_cache_space_life(at->cache, first_database, space ? space_life(space) : UINT32_MAX);
}

void cairn_house_cache_look(struct cairn_house_cache *house, struct cairn_node *node)
{
    struct looked_at at = {house->cache, node};
    struct cairn_err err;

    if (!house->cache)
        return;
    cairn_cache_spaces(house->cache, look_at_space, &at);
    cairn_cache_tend(house->cache, house->clock->wall_ms(house->clock));
    cairn_cache_trim(&house->trim, house->cache, house->clock->monotonic_ns(house->clock) / 1000000);
    atomic_store_explicit(&house->trims, house->trim.trims, memory_order_relaxed);
    if (cairn_generation_raise(house->disk, house->cache, &err) != CAIRN_OK)
        cairn_tell(
            house->events,
            &(struct cairn_event){.level = CAIRN_LEVEL_ERROR, .from = "cache", .kind = "generation", .text = err.text});
}

static void metric(struct cairn_buf *to, const char *name, const char *type, const char *help, uint64_t value)
{
    cairn_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name, value);
}

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void count_instance(void *context, struct cairn_instance *instance)
{
    (void)instance;
    (*(uint64_t *)context)++;
}

static void large_metrics(struct cairn_house_cache *house, struct cairn_buf *to)
{
    struct cairn_pool_stats *stats = cairn_pool_stats(house->pool);
    uint64_t instances = 0;

    cairn_pool_each(house->pool, count_instance, &instances);
    metric(to, "cairn_large_instances", "gauge", "Instances that have chunks of large values.", instances);
    metric(to, "cairn_large_bytes", "gauge", "What large values take of the cache, parity and tables included.",
           cairn_cache_large_bytes(house->cache));
    metric(to, "cairn_large_slack_bytes", "gauge", "Freed memory of instances that is kept for the next values.",
           cairn_pool_slack_bytes(house->pool));
    metric(to, "cairn_large_moving", "gauge", "Large values on their way in or out.",
           cairn_movers_moving(house->movers));
    metric(to, "cairn_large_sets_total", "counter", "Large values that came whole.", load(&stats->sets));
    metric(to, "cairn_large_gets_total", "counter", "Large values, or parts, that were sent.", load(&stats->gets));
    metric(to, "cairn_large_in_bytes_total", "counter", "Bytes of large values that came.", load(&stats->bytes_in));
    metric(to, "cairn_large_out_bytes_total", "counter", "Bytes of large values that were sent.",
           load(&stats->bytes_out));
    metric(to, "cairn_large_reclaimed_total", "counter", "Instances that were taken away.", load(&stats->reclaimed));
    metric(to, "cairn_large_rotten_total", "counter", "Chunks whose bytes were not those that were written.",
           load(&stats->rotten_chunks));
    metric(to, "cairn_large_decoded_total", "counter", "Stripes that were decoded for a reader, for a lost chunk.",
           load(&stats->mended));
    metric(to, "cairn_large_repaired_total", "counter", "Lost chunks that were made again.", load(&stats->repaired));
    metric(to, "cairn_large_coding_ns_total", "counter", "Time spent in coding and decoding.", load(&stats->coding_ns));
}

void cairn_house_cache_metrics(struct cairn_house_cache *house, struct cairn_buf *to)
{
    struct cairn_cache_stats stats;

    if (!house->cache)
        return;
    cairn_cache_stats(house->cache, &stats);
    metric(to, "cairn_keys_bytes", "gauge", "What the cache of keys takes.", cairn_cache_bytes(house->cache));
    metric(to, "cairn_keys_bytes_max", "gauge", "What it may take: maxmemory.", cairn_cache_bytes_max(house->cache));
    metric(to, "cairn_keys_hits_total", "counter", "Reads of a key that was there.", stats.hits);
    metric(to, "cairn_keys_misses_total", "counter", "Reads of a key that was not there.", stats.misses);
    metric(to, "cairn_keys_expired_total", "counter", "Keys that have expired.", stats.expired);
    metric(to, "cairn_keys_evicted_total", "counter", "Keys that were evicted for want of room.", stats.evicted);
    metric(to, "cairn_keys_trims_total", "counter",
           "Times that malloc was asked to give back what the cache had freed.",
           atomic_load_explicit(&house->trims, memory_order_relaxed));
    metric(to, "cairn_keys_lost_total", "counter", "Large values that had lost more chunks than their parity.",
           stats.lost);
    if (house->pool)
        large_metrics(house, to);
}
