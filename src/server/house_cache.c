#include "server/house_cache.h"

#include <inttypes.h>

#include "cache/generation.h"
#include "object/space.h"

enum { LARGE_BYTES = 1 << 20 };

enum cairn_code cairn_house_cache_open(struct cairn_house_cache *house, const struct cairn_house_cache_options *options,
                                       struct cairn_backend *backend, struct cairn_err *err)
{
    struct cairn_cache_options cache_options = {
        .bytes_max = options->bytes_max,
        .policy = CAIRN_CACHE_ALLKEYS_LRU,
        .users = options->workers,
        .seed = options->clock->entropy(options->clock),
    };
    enum cairn_code code;

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
    return CAIRN_OK;
}

void cairn_house_cache_close(struct cairn_house_cache *house)
{
    cairn_cache_destroy(house->cache);
    house->cache = NULL;
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
}
