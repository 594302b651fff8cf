#include "cost/cache.h"

#include <math.h>

struct cairn_cache_work cairn_cache_work(void)
{
    return (struct cairn_cache_work){
        .gets = 3654,
        .chunks = 12,
        .nodes = 400,
        .memory_gib = 1.5,
        .get_ms = 100,
        .warm_ms = 100,
        .warm_minutes = 1,
        .backup_ms = 1840,
        .backup_minutes = 5,
        .billed_ms = 1,
    };
}

static double call(const struct cairn_prices *prices, const struct cairn_cache_work *work, double ms)
{
    double billed = work->billed_ms > 0 ? ceil(ms / work->billed_ms) * work->billed_ms : ms;

    return prices->call + billed / 1000 * work->memory_gib * prices->gb_second;
}

static double get(const struct cairn_prices *prices, const struct cairn_cache_work *work)
{
    return work->chunks * call(prices, work, work->get_ms);
}

struct cairn_cache_cost cairn_cache_cost(const struct cairn_prices *prices, const struct cairn_cache_work *work)
{
    struct cairn_cache_cost cost = {
        .gets = work->gets * get(prices, work),
        .warm = work->nodes * 60 / work->warm_minutes * call(prices, work, work->warm_ms),
    };

    if (work->backup_minutes > 0)
        cost.backup = work->nodes * 60 / work->backup_minutes * call(prices, work, work->backup_ms);
    cost.total = cost.gets + cost.warm + cost.backup;
    return cost;
}

double cairn_cache_even(const struct cairn_prices *prices, const struct cairn_cache_work *work, double machine_hour)
{
    struct cairn_cache_cost cost = cairn_cache_cost(prices, work);

    return (machine_hour - cost.warm - cost.backup) / get(prices, work);
}
