/* transfer_internal.h - what transfers and repairs share; seen inside cache/ only. */
#ifndef CAIRN_CACHE_TRANSFER_INTERNAL_H
#define CAIRN_CACHE_TRANSFER_INTERNAL_H

#include "cache/transfer.h"

/* A cell of a stripe: in its chunk, or in memory that is in one piece. */
struct cell {
    uint8_t *memory; /* NULL: in the chunk */
    struct cairn_chunk *chunk;
    struct cairn_held *held;
    uint64_t offset;
};

size_t cell_piece(const struct cell *cell, uint32_t at, size_t most, uint8_t **ret);
uint32_t cell_sum(const struct cell *cell, uint32_t bytes);
uint32_t cells_run(const struct cell *cells, uint32_t count, uint32_t at, uint32_t bytes, uint8_t **to);
uint8_t *scratch_cell(struct cairn_scratch *scratch, uint32_t cell);

void chunk_seal(struct cairn_chunk *chunk, struct cairn_held *held, const struct cairn_cut *cut, const uint32_t *sums);
bool chunk_sums_right(struct cairn_chunk *chunk, struct cairn_held *held, const struct cairn_cut *cut);
uint32_t chunk_sum_of(struct cairn_chunk *chunk, struct cairn_held *held, const struct cairn_cut *cut, uint64_t stripe);
void chunk_is_bad(struct cairn_large *large, struct cairn_chunk *chunk);
bool cell_right(struct cairn_large *large, struct cairn_chunk *chunk, struct cairn_held *held, uint64_t *summed,
                uint64_t stripe);
void hold_all(struct cairn_large *large, struct cairn_chunk **chunks, struct cairn_held *held);
void release_all(struct cairn_large *large, struct cairn_chunk **chunks, struct cairn_held *held);

#endif
