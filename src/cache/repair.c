/* repair.c - makes lost chunks of a value again, at other instances. */
#include <stdlib.h>

#include "base/hash.h"
#include "cache/transfer_internal.h"

static uint32_t chunks_of(const struct cairn_large *large)
{
    return cairn_redundancy_chunks(&large->cut.redundancy);
}

bool cairn_repair_begin(struct cairn_repair *repair, struct cairn_large *large)
{
    uint32_t lost = cairn_large_lost(large);

    *repair = (struct cairn_repair){0};
    if (lost == 0 || lost > large->cut.redundancy.parity ||
        atomic_exchange_explicit(&large->repairing, true, memory_order_acq_rel))
        return false;
    repair->large = cairn_large_ref(large);
    hold_all(large, repair->chunks, repair->held);
    repair->sums = cairn_alloc_zeroed(large->cut.stripes * chunks_of(large), sizeof *repair->sums);
    for (uint32_t i = 0; i < chunks_of(large); i++) {
        struct cairn_chunk *fresh = repair->chunks[i] ? NULL : cairn_large_reserve_again(large, i, repair->fresh);

        if (!fresh)
            continue;
        if (!fresh->instance->ops->hold(fresh, &repair->fresh_held[i])) {
            cairn_chunk_unref(fresh);
            continue;
        }
        repair->fresh[i] = fresh;
        repair->wanted |= UINT64_C(1) << i;
    }
    if (repair->wanted)
        return true;
    cairn_repair_end(repair);
    return false;
}

static bool mend_stripe(struct cairn_repair *repair, uint64_t stripe)
{
    struct cairn_large *large = repair->large;
    const struct cairn_cut *cut = &large->cut;
    uint32_t bytes = cairn_cut_cell_bytes(cut, stripe);
    uint64_t there = 0, wanted = 0;
    struct cell from[CAIRN_CHUNKS_MAX], to[CAIRN_CHUNKS_MAX];
    uint8_t *from_at[CAIRN_CHUNKS_MAX], *to_at[CAIRN_CHUNKS_MAX];
    struct cairn_mend *mend = cairn_alloc(sizeof *mend);
    bool planned;

    for (uint32_t number = 0; number < chunks_of(large); number++) {
        uint32_t at = cairn_cut_chunk_of(cut, stripe, number);

        if (repair->fresh[at])
            wanted |= UINT64_C(1) << number;
        else if (cell_right(large, repair->chunks[at], &repair->held[at], &repair->summed, stripe))
            there |= UINT64_C(1) << number;
    }
    planned = cairn_mend_plan(cairn_pool_erasure(large->pool), there, wanted, mend);
    for (uint32_t i = 0; planned && i < mend->from_count; i++) {
        uint32_t at = cairn_cut_chunk_of(cut, stripe, mend->from[i]);

        from[i] = (struct cell){
            .chunk = repair->chunks[at], .held = &repair->held[at], .offset = cairn_cut_cell_offset(stripe)};
    }
    for (uint32_t i = 0; planned && i < mend->to_count; i++) {
        uint32_t at = cairn_cut_chunk_of(cut, stripe, mend->to[i]);

        to[i] = (struct cell){
            .chunk = repair->fresh[at], .held = &repair->fresh_held[at], .offset = cairn_cut_cell_offset(stripe)};
    }
    for (uint32_t done = 0, n; planned && done < bytes; done += n) {
        uint32_t run = cells_run(from, mend->from_count, done, bytes, from_at);

        n = cells_run(to, mend->to_count, done, done + run, to_at);
        cairn_mend_run(mend, n, from_at, to_at);
    }
    for (uint32_t i = 0; planned && i < mend->to_count; i++)
        repair->sums[cairn_cut_chunk_of(cut, stripe, mend->to[i]) * cut->stripes + stripe] = cell_sum(&to[i], bytes);
    free(mend);
    return planned;
}

static void put_in_place(struct cairn_repair *repair)
{
    struct cairn_large *large = repair->large;

    for (uint32_t i = 0; i < chunks_of(large); i++) {
        struct cairn_chunk *fresh = repair->fresh[i];

        if (!fresh)
            continue;
        chunk_seal(fresh, &repair->fresh_held[i], &large->cut, repair->sums + i * large->cut.stripes);
        fresh->instance->ops->release(&repair->fresh_held[i]);
        repair->fresh[i] = NULL;
        cairn_large_replace(large, i, fresh);
        atomic_fetch_add_explicit(&cairn_pool_stats(large->pool)->repaired, 1, memory_order_relaxed);
    }
}

bool cairn_repair_step(struct cairn_repair *repair, uint32_t stripes)
{
    const struct cairn_cut *cut = &repair->large->cut;

    for (; stripes > 0 && repair->stripe < cut->stripes; stripes--, repair->stripe++)
        if (!mend_stripe(repair, repair->stripe))
            return false; /* more is lost by now */
    if (repair->stripe < cut->stripes)
        return true;
    put_in_place(repair);
    return false;
}

void cairn_repair_end(struct cairn_repair *repair)
{
    struct cairn_large *large = repair->large;

    if (!large)
        return;
    release_all(large, repair->chunks, repair->held);
    release_all(large, repair->fresh, repair->fresh_held); /* of one that was not finished */
    free(repair->sums);
    atomic_store_explicit(&large->repairing, false, memory_order_release);
    cairn_large_unref(large);
    *repair = (struct cairn_repair){0};
}
