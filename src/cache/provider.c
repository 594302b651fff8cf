#include "cache/provider.h"

void cairn_chunk_unref(struct cairn_chunk *chunk)
{
    struct cairn_gone *gone;

    if (!chunk || atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) > 1)
        return;
    gone = chunk->instance->gone;
    gone->uncount(gone->context, chunk->counted);
    chunk->next_gone = atomic_load_explicit(&gone->first, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&gone->first, &chunk->next_gone, chunk, memory_order_release,
                                                  memory_order_relaxed))
        ;
    if (gone->wake)
        gone->wake(gone->context);
}

void cairn_gone_drop(struct cairn_gone *gone)
{
    struct cairn_chunk *chunk = atomic_exchange_explicit(&gone->first, NULL, memory_order_acquire), *next;

    for (; chunk; chunk = next) {
        next = chunk->next_gone;
        chunk->instance->ops->drop(chunk);
    }
}
