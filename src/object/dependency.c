#include "object/dependency.h"

#include "object/node.h"

bool dependency_acknowledged(const struct cairn_node *node, struct dependency dependency)
{
    return dependency.end <= atomic_load_explicit(&node->acknowledged, memory_order_seq_cst);
}

bool dependency_met(const struct cairn_node *node, struct dependency dependency)
{
    if (!dependency_acknowledged(node, dependency))
        return false;
    return dependency.time_ms == 0 || dependency.time_ms <= node->log->ops->reserved_time_ms(node->log);
}

void dependency_want(struct cairn_node *node, struct dependency dependency)
{
    if (dependency.end)
        node->log->ops->want(node->log, dependency.end);
    if (dependency.time_ms)
        node->log->ops->reserve_time(node->log, dependency.time_ms);
}

void dependency_help(struct cairn_node *node, struct dependency dependency)
{
    if (dependency.time_ms)
        node->log->ops->reserve_time(node->log, dependency.time_ms);
    if (dependency.end)
        node->log->ops->help(node->log, dependency.end);
}
