#include "base/budget.h"

/* Takes so much that a chunk is left over, or gives back so much. */
void cairn_purse_settle(struct cairn_purse *purse)
{
    int64_t wanted = purse->spent + CAIRN_PURSE_CHUNK;
    uint64_t more = (uint64_t)(wanted - purse->taken);

    purse->taken = wanted;
    for (struct cairn_budget *budget = purse->budget; budget; budget = budget->parent)
        atomic_fetch_add_explicit(&budget->used, more, memory_order_relaxed);
}
