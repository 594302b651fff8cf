#include "object/clock.h"

#include "object/worker.h"

uint64_t worker_clock_ns(struct cairn_worker *worker)
{
    worker->recent_ns = worker->node->options.clock->monotonic_ns(worker->node->options.clock);
    return worker->recent_ns;
}

int64_t worker_now_ms(struct cairn_worker *worker)
{
    struct cairn_node *node = worker->node;
    int64_t now = (int64_t)node->options.clock->wall_ms(node->options.clock);
    int64_t last = atomic_load_explicit(&node->last_ms, memory_order_relaxed);

    while (now > last)
        if (atomic_compare_exchange_weak_explicit(&node->last_ms, &last, now, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            node->log->ops->reserve_time(node->log, (uint64_t)now);
            return now;
        }
    return last;
}
