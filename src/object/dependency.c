#include "object/dependency.h"

#include "object/node.h"

static inline bool is_acknowledged(const struct cairn_node *node, const struct dependency *dependency)
{
    uint32_t log = node->has_one_log ? 0 : dependency->shard;

    return dependency->end <= atomic_load_explicit(&node->acknowledged[log], memory_order_seq_cst);
}

bool dependency_acknowledged(const struct cairn_node *node, struct dependency dependency)
{
    return is_acknowledged(node, &dependency);
}

static struct cairn_log *log_of(const struct cairn_node *node, struct dependency dependency)
{
    return cairn_shard_log(cairn_store_shard(node->options.store, dependency.shard));
}

bool dependency_met(const struct cairn_node *node, struct dependency dependency)
{
    if (!is_acknowledged(node, &dependency))
        return false;
    return dependency.time_ms == 0 || dependency.time_ms <= node->log->ops->reserved_time_ms(node->log);
}

void dependency_want(struct cairn_node *node, struct dependency dependency)
{
    struct cairn_log *log = log_of(node, dependency);

    if (dependency.end)
        log->ops->want(log, dependency.end);
    if (dependency.time_ms)
        node->log->ops->reserve_time(node->log, dependency.time_ms);
}

void dependency_help(struct cairn_node *node, struct dependency dependency)
{
    struct cairn_log *log = log_of(node, dependency);

    if (dependency.time_ms)
        node->log->ops->reserve_time(node->log, dependency.time_ms);
    if (dependency.end)
        log->ops->help(log, dependency.end);
}
