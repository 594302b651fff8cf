#include "cache/transfer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cache/transfer_internal.h"

enum { RUN_BYTES = 8192 /* that are coded at a time, where memory allows */ };

void cairn_scratch_done(struct cairn_scratch *scratch)
{
    for (uint32_t i = 0; i < CAIRN_CHUNKS_MAX; i++)
        free(scratch->cells[i]);
    *scratch = (struct cairn_scratch){0};
}

uint8_t *scratch_cell(struct cairn_scratch *scratch, uint32_t cell)
{
    if (!scratch->cells[cell])
        scratch->cells[cell] = cairn_alloc(CAIRN_CELL_BYTES);
    return scratch->cells[cell];
}

static uint32_t chunks_of(const struct cairn_large *large)
{
    return cairn_redundancy_chunks(&large->cut.redundancy);
}

/* --- cells in instances --- */

size_t cell_piece(const struct cell *cell, uint32_t at, size_t most, uint8_t **ret)
{
    if (cell->memory) {
        *ret = cell->memory + at;
        return most;
    }
    return cell->chunk->instance->ops->piece(cell->chunk, cell->held, cell->offset + at, most, ret);
}

uint32_t cell_sum(const struct cell *cell, uint32_t bytes)
{
    uint32_t sum = 0;
    uint8_t *piece;
    size_t n;

    for (uint32_t at = 0; at < bytes; at += (uint32_t)n) {
        n = cell_piece(cell, at, bytes - at, &piece);
        sum = cairn_crc32c(sum, piece, n);
    }
    return sum;
}

/* How many bytes from `at` on lie in one piece in all of the cells, whose pointers are put into `to`. */
uint32_t cells_run(const struct cell *cells, uint32_t count, uint32_t at, uint32_t bytes, uint8_t **to)
{
    size_t run = bytes - at < RUN_BYTES ? bytes - at : RUN_BYTES;

    for (uint32_t i = 0; i < count; i++)
        run = cell_piece(&cells[i], at, run, &to[i]);
    return (uint32_t)run;
}

/* --- chunks' checksums: behind their cells --- */

static void write_tail(struct cairn_chunk *chunk, struct cairn_held *held, const struct cairn_cut *cut,
                       const uint32_t *sums)
{
    struct cell tail = {.chunk = chunk, .held = held, .offset = cairn_cut_sum_offset(cut, 0)};
    uint32_t bytes = (uint32_t)(cut->stripes * sizeof *sums);
    uint8_t *piece;
    size_t n;

    for (uint32_t at = 0; at < bytes; at += (uint32_t)n) {
        n = cell_piece(&tail, at, bytes - at, &piece);
        memcpy(piece, (const uint8_t *)sums + at, n);
    }
}

void chunk_seal(struct cairn_chunk *chunk, struct cairn_held *held, const struct cairn_cut *cut, const uint32_t *sums)
{
    write_tail(chunk, held, cut, sums);
    chunk->sum = cairn_crc32c(0, sums, cut->stripes * sizeof *sums);
}

bool chunk_sums_right(struct cairn_chunk *chunk, struct cairn_held *held, const struct cairn_cut *cut)
{
    struct cell tail = {.chunk = chunk, .held = held, .offset = cairn_cut_sum_offset(cut, 0)};

    return cell_sum(&tail, (uint32_t)(cut->stripes * sizeof(uint32_t))) == chunk->sum;
}

uint32_t chunk_sum_of(struct cairn_chunk *chunk, struct cairn_held *held, const struct cairn_cut *cut, uint64_t stripe)
{
    struct cell tail = {.chunk = chunk, .held = held, .offset = cairn_cut_sum_offset(cut, stripe)};
    uint8_t *piece;
    uint32_t sum;

    cell_piece(&tail, 0, sizeof sum, &piece); /* it does not lie across two blocks: both are multiples of 4 */
    memcpy(&sum, piece, sizeof sum);
    return sum;
}

void chunk_is_bad(struct cairn_large *large, struct cairn_chunk *chunk)
{
    if (!atomic_exchange_explicit(&chunk->bad, true, memory_order_relaxed))
        atomic_fetch_add_explicit(&cairn_pool_stats(large->pool)->rotten_chunks, 1, memory_order_relaxed);
}

void hold_all(struct cairn_large *large, struct cairn_chunk **chunks, struct cairn_held *held)
{
    cairn_large_chunks(large, chunks);
    for (uint32_t i = 0; i < chunks_of(large); i++)
        if (chunks[i] && !chunks[i]->instance->ops->hold(chunks[i], &held[i])) {
            cairn_chunk_unref(chunks[i]);
            chunks[i] = NULL;
        }
}

void release_all(struct cairn_large *large, struct cairn_chunk **chunks, struct cairn_held *held)
{
    for (uint32_t i = 0; i < chunks_of(large); i++)
        if (chunks[i]) {
            chunks[i]->instance->ops->release(&held[i]);
            cairn_chunk_unref(chunks[i]);
            chunks[i] = NULL;
        }
}

/* --- writing --- */

void cairn_writing_begin(struct cairn_writing *writing, struct cairn_large *large)
{
    *writing = (struct cairn_writing){.large = large};
    hold_all(large, writing->chunks, writing->held);
    writing->sums = cairn_alloc_zeroed(large->cut.stripes * chunks_of(large), sizeof *writing->sums);
}

/* A cell of the stripe that is being written: in its instance, or spare. */
static struct cell cell_of(struct cairn_writing *writing, uint64_t stripe, uint32_t number)
{
    uint32_t at = cairn_cut_chunk_of(&writing->large->cut, stripe, number);
    struct cell cell = {.chunk = writing->chunks[at], .held = &writing->held[at]};

    if (cell.chunk) {
        cell.offset = cairn_cut_cell_offset(stripe);
    } else {
        if (!writing->spare[at])
            writing->spare[at] = cairn_alloc(CAIRN_CELL_BYTES);
        cell.memory = writing->spare[at];
    }
    return cell;
}

static uint64_t full_stripe(const struct cairn_cut *cut)
{
    return (uint64_t)cut->redundancy.data * CAIRN_CELL_BYTES;
}

size_t cairn_writing_room(struct cairn_writing *writing, struct iovec *to, size_t most)
{
    const struct cairn_cut *cut = &writing->large->cut;
    uint64_t stripe = writing->at / full_stripe(cut), in_stripe = writing->at % full_stripe(cut);
    uint64_t left = writing->at < cut->bytes ? cairn_cut_stripe_bytes(cut, stripe) - in_stripe : 0;
    uint32_t cell_bytes = cairn_cut_cell_bytes(cut, stripe);
    size_t count = 0;

    while (left > 0 && count < most) {
        struct cell cell = cell_of(writing, stripe, (uint32_t)(in_stripe / cell_bytes));
        uint32_t in_cell = (uint32_t)(in_stripe % cell_bytes);
        size_t room = cell_bytes - in_cell < left ? cell_bytes - in_cell : left;
        uint8_t *piece;
        size_t n = cell_piece(&cell, in_cell, room, &piece);

        to[count++] = (struct iovec){piece, n};
        in_stripe += n;
        left -= n;
    }
    return count;
}

/* Zeros from the value's end to that of its last stripe's data cells. */
static void pad(struct cairn_writing *writing, uint64_t stripe)
{
    const struct cairn_cut *cut = &writing->large->cut;
    uint32_t cell_bytes = cairn_cut_cell_bytes(cut, stripe);
    uint64_t at = cairn_cut_stripe_bytes(cut, stripe), end = (uint64_t)cell_bytes * cut->redundancy.data;
    uint8_t *piece;
    size_t n;

    for (; at < end; at += n) {
        struct cell cell = cell_of(writing, stripe, (uint32_t)(at / cell_bytes));

        n = cell_piece(&cell, (uint32_t)(at % cell_bytes), cell_bytes - at % cell_bytes, &piece);
        memset(piece, 0, n);
    }
}

static void code_stripe(struct cairn_writing *writing, uint64_t stripe)
{
    struct cairn_large *large = writing->large;
    const struct cairn_cut *cut = &large->cut;
    uint32_t bytes = cairn_cut_cell_bytes(cut, stripe), all = chunks_of(large), data = cut->redundancy.data;
    struct cell cells[CAIRN_CHUNKS_MAX];
    uint8_t *at[CAIRN_CHUNKS_MAX];
    uint64_t began;

    pad(writing, stripe);
    for (uint32_t i = 0; i < all; i++)
        cells[i] = cell_of(writing, stripe, i);
    began = cairn_pool_now_ns(large->pool);
    for (uint32_t done = 0, n; done < bytes; done += n) {
        n = cells_run(cells, all, done, bytes, at);
        cairn_erasure_encode(cairn_pool_erasure(large->pool), n, at, at + data);
    }
    atomic_fetch_add_explicit(&cairn_pool_stats(large->pool)->coding_ns, cairn_pool_now_ns(large->pool) - began,
                              memory_order_relaxed);
    for (uint32_t i = 0; i < all; i++)
        writing->sums[cairn_cut_chunk_of(cut, stripe, i) * cut->stripes + stripe] = cell_sum(&cells[i], bytes);
}

void cairn_writing_wrote(struct cairn_writing *writing, size_t bytes)
{
    const struct cairn_cut *cut = &writing->large->cut;
    uint64_t stripe = writing->at / full_stripe(cut);

    writing->at += bytes;
    assert(writing->at <= stripe * full_stripe(cut) + cairn_cut_stripe_bytes(cut, stripe));
    if (writing->at == stripe * full_stripe(cut) + cairn_cut_stripe_bytes(cut, stripe))
        code_stripe(writing, stripe);
}

enum cairn_transfer_state cairn_writing_seal(struct cairn_writing *writing)
{
    struct cairn_large *large = writing->large;

    assert(writing->at == large->cut.bytes);
    for (uint32_t i = 0; i < chunks_of(large); i++)
        if (writing->chunks[i])
            chunk_seal(writing->chunks[i], &writing->held[i], &large->cut, writing->sums + i * large->cut.stripes);
    return cairn_large_readable(large) ? CAIRN_TRANSFER_READY : CAIRN_TRANSFER_FAILED;
}

void cairn_writing_end(struct cairn_writing *writing)
{
    release_all(writing->large, writing->chunks, writing->held);
    for (uint32_t i = 0; i < CAIRN_CHUNKS_MAX; i++)
        free(writing->spare[i]);
    free(writing->sums);
    *writing = (struct cairn_writing){0};
}

/* --- reading --- */

void cairn_reading_begin(struct cairn_reading *reading, struct cairn_large *large, uint64_t from, uint64_t end,
                         struct cairn_scratch *scratch)
{
    assert(from <= end && end <= large->cut.bytes);
    *reading = (struct cairn_reading){
        .large = cairn_large_ref(large), .scratch = scratch, .at = from, .end = end, .stripe = UINT64_MAX};
    hold_all(large, reading->chunks, reading->held);
}

/* True if the chunk's cell of the stripe can be read, and is what was written. */
bool cell_right(struct cairn_large *large, struct cairn_chunk *chunk, struct cairn_held *held, uint64_t *summed,
                uint64_t stripe)
{
    struct cell cell = {.chunk = chunk, .held = held, .offset = cairn_cut_cell_offset(stripe)};
    const struct cairn_cut *cut = &large->cut;

    if (!chunk || cairn_chunk_lost(chunk))
        return false;
    if (!(*summed >> chunk->index & 1)) {
        if (!chunk_sums_right(chunk, held, cut)) {
            chunk_is_bad(large, chunk);
            return false;
        }
        *summed |= UINT64_C(1) << chunk->index;
    }
    if (cell_sum(&cell, cairn_cut_cell_bytes(cut, stripe)) == chunk_sum_of(chunk, held, cut, stripe))
        return true;
    chunk_is_bad(large, chunk);
    return false;
}

/* A set of cells that are there, of those in `want`. */
static uint64_t check_cells(struct cairn_reading *reading, uint64_t stripe, uint64_t want)
{
    uint64_t there = 0;

    for (uint32_t cell = 0; cell < chunks_of(reading->large); cell++) {
        uint32_t at = cairn_cut_chunk_of(&reading->large->cut, stripe, cell);

        if (want >> cell & 1 &&
            cell_right(reading->large, reading->chunks[at], &reading->held[at], &reading->summed, stripe))
            there |= UINT64_C(1) << cell;
    }
    return there;
}

/* Decodes the wanted cells into the scratch, from those that are there. */
static bool decode(struct cairn_reading *reading, uint64_t stripe, uint64_t there, uint64_t wanted)
{
    struct cairn_large *large = reading->large;
    uint32_t bytes = cairn_cut_cell_bytes(&large->cut, stripe);
    struct cell from[CAIRN_CHUNKS_MAX], to[CAIRN_CHUNKS_MAX];
    uint8_t *from_at[CAIRN_CHUNKS_MAX], *to_at[CAIRN_CHUNKS_MAX];
    struct cairn_mend *mend = cairn_alloc(sizeof *mend);
    uint64_t began = cairn_pool_now_ns(large->pool);
    bool planned = cairn_mend_plan(cairn_pool_erasure(large->pool), there, wanted, mend);

    for (uint32_t i = 0; planned && i < mend->from_count; i++) {
        uint32_t at = cairn_cut_chunk_of(&large->cut, stripe, mend->from[i]);

        from[i] = (struct cell){
            .chunk = reading->chunks[at], .held = &reading->held[at], .offset = cairn_cut_cell_offset(stripe)};
    }
    for (uint32_t i = 0; planned && i < mend->to_count; i++)
        to[i] = (struct cell){.memory = scratch_cell(reading->scratch, mend->to[i])};
    for (uint32_t done = 0, n; planned && done < bytes; done += n) {
        n = cells_run(from, mend->from_count, done, bytes, from_at);
        cells_run(to, mend->to_count, done, bytes, to_at);
        cairn_mend_run(mend, n, from_at, to_at);
    }
    free(mend);
    atomic_fetch_add_explicit(&cairn_pool_stats(large->pool)->coding_ns, cairn_pool_now_ns(large->pool) - began,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&cairn_pool_stats(large->pool)->mended, planned, memory_order_relaxed);
    return planned;
}

/* The set of data cells that have bytes from `at` to `end` of the stripe. */
static uint64_t cells_between(const struct cairn_cut *cut, uint64_t stripe, uint64_t at, uint64_t end)
{
    uint32_t bytes = cairn_cut_cell_bytes(cut, stripe), first = (uint32_t)(at / bytes),
             last = (uint32_t)((end - 1) / bytes);

    return (last == 63 ? UINT64_MAX : (UINT64_C(1) << (last + 1)) - 1) & ~((UINT64_C(1) << first) - 1);
}

/* Where the reading stands in its stripe, and where the stripe's part of it ends. */
static void part(const struct cairn_reading *reading, uint64_t stripe, uint64_t *ret_at, uint64_t *ret_end)
{
    const struct cairn_cut *cut = &reading->large->cut;
    uint64_t begin = stripe * full_stripe(cut), end = cairn_cut_stripe_bytes(cut, stripe);

    *ret_at = reading->at - begin;
    *ret_end = reading->end - begin < end ? reading->end - begin : end;
}

/* Looks whether the stripe's bytes are what was written, and makes those that are not. */
static bool prepare(struct cairn_reading *reading, uint64_t stripe)
{
    const struct cairn_cut *cut = &reading->large->cut;
    struct cairn_scratch *scratch = reading->scratch;
    uint64_t at, end, wanted, there;

    if (reading->stripe == stripe && (!reading->made || (scratch->owner == reading && scratch->stripe == stripe)))
        return true;
    part(reading, stripe, &at, &end);
    wanted = cells_between(cut, stripe, at, end);
    there = check_cells(reading, stripe, wanted);
    reading->made = wanted & ~there;
    if (reading->made) {
        reading->damaged = true;
        there |= check_cells(reading, stripe, ~wanted);
        if (!decode(reading, stripe, there, reading->made))
            return false;
        scratch->owner = reading;
        scratch->stripe = stripe;
    }
    reading->stripe = stripe;
    return true;
}

enum cairn_transfer_state cairn_reading_next(struct cairn_reading *reading, struct iovec *to, size_t most,
                                             size_t *ret_count)
{
    const struct cairn_cut *cut = &reading->large->cut;
    uint64_t stripe = reading->at / full_stripe(cut), at, end;
    uint32_t cell_bytes = cairn_cut_cell_bytes(cut, stripe);
    size_t count = 0;

    *ret_count = 0;
    if (reading->at == reading->end)
        return CAIRN_TRANSFER_READY;
    if (!prepare(reading, stripe))
        return CAIRN_TRANSFER_FAILED;
    part(reading, stripe, &at, &end);
    while (at < end && count < most) {
        uint32_t number = (uint32_t)(at / cell_bytes), in_cell = (uint32_t)(at % cell_bytes);
        uint32_t place = cairn_cut_chunk_of(cut, stripe, number);
        struct cell cell = {
            .chunk = reading->chunks[place], .held = &reading->held[place], .offset = cairn_cut_cell_offset(stripe)};
        size_t want = cell_bytes - in_cell < end - at ? cell_bytes - in_cell : end - at, n;
        uint8_t *piece;

        if (reading->made >> number & 1)
            cell.memory = reading->scratch->cells[number];
        n = cell_piece(&cell, in_cell, want, &piece);
        to[count++] = (struct iovec){piece, n};
        at += n;
    }
    *ret_count = count;
    return CAIRN_TRANSFER_READY;
}

void cairn_reading_took(struct cairn_reading *reading, size_t bytes)
{
    reading->at += bytes;
    assert(reading->at <= reading->end);
}

void cairn_reading_end(struct cairn_reading *reading)
{
    if (!reading->large)
        return;
    if (reading->scratch->owner == reading)
        reading->scratch->owner = NULL;
    release_all(reading->large, reading->chunks, reading->held);
    cairn_large_unref(reading->large);
    *reading = (struct cairn_reading){0};
}
