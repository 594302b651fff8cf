/* run_format.h - what the writer and the reader of runs share (docs/formats/run.md). */
#ifndef CAIRN_ENGINE_RUN_FORMAT_H
#define CAIRN_ENGINE_RUN_FORMAT_H

#include "engine/run.h"

enum {
    RUN_VERSION = 1,
    RUN_HEADER_BYTES = 32,
    RUN_FRAME_BYTES = 8, /* before every block, the fences and the filter: u32 size, u32 checksum */
    RUN_FOOTER_BYTES = 72,
};

extern const char run_magic[8];
extern const char run_footer_magic[8];

/* What the footer says. */
struct run_footer {
    uint64_t id, fences_offset, filter_offset, records, tombstones, block_count;
};

/* Covers which file the frame belongs to and where it lies, so that no other can pass for it. */
uint32_t run_frame_checksum(uint64_t id, uint64_t offset, const void *payload, uint32_t size);
/* What a header says that a version does not. */
struct run_kind {
    enum run_order order;
    enum run_compression compression;
};

void run_header_encode(uint64_t id, uint32_t level, struct run_kind kind, uint8_t to[RUN_HEADER_BYTES]);
/* CAIRN_ECORRUPT, or CAIRN_EVERSION for a header of a later format; `err` is not set. */
enum cairn_code run_header_check(const uint8_t from[RUN_HEADER_BYTES], uint64_t id, uint32_t level,
                                 struct run_kind *ret_kind);

/* A block as it is kept in a run of that compression: what is in it, behind what `to` holds. */
void run_block_pack(enum run_compression compression, struct cairn_bytes block, struct cairn_buf *to);
/* Back: `packed` lies in `scratch`; *ret_block is a part of it, or lies behind what scratch holds, which may move for
 * it.  False: it makes no sense. */
bool run_block_unpack(enum run_compression compression, struct cairn_bytes packed, struct cairn_buf *scratch,
                      struct cairn_bytes *ret_block);

/* What records are ordered by, as bytes: fences are prefixes of it.  `scratch` holds it where it is not the key. */
struct cairn_bytes run_sort_key(enum run_order order, uint64_t hash, struct cairn_bytes key, struct cairn_buf *scratch);
void run_footer_encode(const struct run_footer *footer, uint8_t to[RUN_FOOTER_BYTES]);
bool run_footer_decode(const uint8_t from[RUN_FOOTER_BYTES], struct run_footer *ret_footer);

#endif
