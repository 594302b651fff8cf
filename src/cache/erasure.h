/* erasure.h - a large value as coded chunks: its redundancy, how it is cut, and what codes and decodes a stripe.
 *
 * A value is cut into stripes of `data` cells of at most CAIRN_CELL_BYTES.  Each stripe is coded into `parity` cells
 * more; a chunk has one cell of each stripe, one behind the other, and behind the last their checksums (CRC32C, u32
 * each). Any `data` cells of a stripe give the others.  So coding needs a stripe in memory, and not the value
 * (docs/design/0036-cache.md).
 *
 *   stripe 0   d0 d1 d2 d3 | p0 p1        chunk 0 = d0 of each stripe; chunk 4 = p0 of each
 *   stripe 1   d0 d1 d2 d3 | p0 p1        with `rotates` the parity of stripe s stands s chunks further left, and the
 *   ...                                   data begins behind it: RAID levels 5 and 6, left-symmetric
 *
 * The code is systematic: the parity is XOR if parity is 1, copies if data is 1, else by a Cauchy matrix over GF(2^8)
 * (ISA-L's gf_gen_cauchy1_matrix), of which each square part can be inverted.
 *
 * Threads: a struct cairn_erasure does not change once made, and is any thread's; the functions keep nothing.
 * Layer: cache; uses base. */
#ifndef CAIRN_CACHE_ERASURE_H
#define CAIRN_CACHE_ERASURE_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    CAIRN_CHUNKS_MAX = 64, /* data and parity: a set of chunks is a u64 */
    CAIRN_PARITY_MAX = 16,
    CAIRN_CELL_BYTES = 64 << 10,
    CAIRN_CELL_ALIGN = 64, /* bytes of a cell are a multiple of it: zeros behind the value's end */
};

/* What is kept of a value besides itself. */
struct cairn_redundancy {
    uint8_t data, parity; /* chunks */
    bool rotates;         /* the parity's place changes from stripe to stripe */
};

/* "10+2"; or a RAID level and a number of chunks: "raid0:4", "raid1:2", "raid4:5", "raid5:5", "raid6:8".  Levels 2 and
 * 3 work on bits, and are refused with that reason.  CAIRN_EINVAL says what is wrong. */
enum cairn_code cairn_redundancy_parse(const char *text, struct cairn_redundancy *ret, struct cairn_err *err);
/* As it is parsed: "10+2", or "raid5:5" when it rotates. */
enum { CAIRN_REDUNDANCY_TEXT_BYTES = 16 };
void cairn_redundancy_print(const struct cairn_redundancy *redundancy, char to[CAIRN_REDUNDANCY_TEXT_BYTES]);

static inline uint32_t cairn_redundancy_chunks(const struct cairn_redundancy *redundancy)
{
    return (uint32_t)redundancy->data + redundancy->parity;
}

/* --- how a value is cut --- */

struct cairn_cut {
    struct cairn_redundancy redundancy;
    uint64_t bytes;     /* of the value */
    uint64_t stripes;   /* 0 of an empty value */
    uint32_t last_cell; /* bytes of a cell of the last stripe; all others have CAIRN_CELL_BYTES */
};

struct cairn_cut cairn_cut(const struct cairn_redundancy *redundancy, uint64_t bytes);
/* Of a cell of that stripe, zeros included. */
uint32_t cairn_cut_cell_bytes(const struct cairn_cut *cut, uint64_t stripe);
/* Of the value in that stripe: data cells without the zeros behind its end. */
uint64_t cairn_cut_stripe_bytes(const struct cairn_cut *cut, uint64_t stripe);
/* Of a chunk: cells and checksums. */
uint64_t cairn_cut_chunk_bytes(const struct cairn_cut *cut);
/* Where a stripe's cell begins in its chunk, and where its checksum. */
uint64_t cairn_cut_cell_offset(uint64_t stripe);
uint64_t cairn_cut_sum_offset(const struct cairn_cut *cut, uint64_t stripe);
/* The chunk that has that cell of the stripe: cells 0 .. data - 1 are the value's, in order, those behind are parity.
 * */
uint32_t cairn_cut_chunk_of(const struct cairn_cut *cut, uint64_t stripe, uint32_t cell);
/* The other way. */
uint32_t cairn_cut_cell_of(const struct cairn_cut *cut, uint64_t stripe, uint32_t chunk);

/* --- coding --- */

struct cairn_erasure;
struct cairn_erasure *cairn_erasure_new(const struct cairn_redundancy *redundancy);
struct cairn_erasure *cairn_erasure_free(struct cairn_erasure *erasure); /* NULL; accepts NULL */

/* Cells of `bytes`, a multiple of CAIRN_CELL_ALIGN: parity[0 .. parity - 1] from data[0 .. data - 1].  With no parity
 * it does nothing. */
void cairn_erasure_encode(const struct cairn_erasure *erasure, uint32_t bytes, uint8_t *const *data,
                          uint8_t *const *parity);

/* How cells that are gone are made from cells that are there: for one pattern of loss, so that it is worked out once
 * for all stripes of a transfer. */
struct cairn_mend {
    uint32_t from_count, to_count;
    uint8_t from[CAIRN_CHUNKS_MAX]; /* cells that are read: `data` of them, the lowest that are there */
    uint8_t to[CAIRN_CHUNKS_MAX];   /* cells that are made */
    uint8_t tables[32 * CAIRN_CHUNKS_MAX * CAIRN_CHUNKS_MAX];
};

/* The sets have a bit for each cell.  False: fewer than `data` are there. */
bool cairn_mend_plan(const struct cairn_erasure *erasure, uint64_t there, uint64_t wanted, struct cairn_mend *ret);
/* from[i] is the cell mend->from[i], to[i] becomes the cell mend->to[i]. */
void cairn_mend_run(const struct cairn_mend *mend, uint32_t bytes, uint8_t *const *from, uint8_t *const *to);

/* --- RAID: where a block of an array lies --- */

struct cairn_raid_place {
    uint32_t disk;
    uint64_t offset; /* in blocks */
};

/* Block `block` of striping over `disks`, `chunk` blocks side by side on each. */
struct cairn_raid_place cairn_raid0_place(uint32_t disks, uint32_t chunk, uint64_t block);

#endif
