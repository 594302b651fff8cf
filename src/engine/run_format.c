#include "engine/run_format.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

const char run_magic[8] = {'C', 'A', 'I', 'R', 'N', 'R', 'U', 'N'};
const char run_footer_magic[8] = {'C', 'A', 'I', 'R', 'N', 'E', 'N', 'D'};

void run_path(uint64_t id, char path[CAIRN_PATH_BYTES])
{
    snprintf(path, CAIRN_PATH_BYTES, RUN_DIR "/%" PRIu64 ".run", id);
}

bool run_name_parse(const char *name, uint64_t *ret_id)
{
    char path[CAIRN_PATH_BYTES];
    uint64_t id;

    if (sscanf(name, "%" SCNu64 ".run", &id) != 1)
        return false;
    run_path(id, path); /* scanf is lenient: compare with the one spelling */
    if (strcmp(name, path + strlen(RUN_DIR "/")) != 0)
        return false;
    *ret_id = id;
    return true;
}

uint32_t run_frame_checksum(uint64_t id, uint64_t offset, const void *payload, uint32_t size)
{
    uint8_t where[20];

    cairn_put_u64(where, id);
    cairn_put_u64(where + 8, offset);
    cairn_put_u32(where + 16, size);
    return cairn_crc32c(cairn_crc32c(0, where, sizeof where), payload, size);
}

void run_header_encode(uint64_t id, uint32_t level, struct run_kind kind, uint8_t to[RUN_HEADER_BYTES])
{
    memset(to, 0, RUN_HEADER_BYTES);
    memcpy(to, run_magic, sizeof run_magic);
    cairn_put_u32(to + 8, RUN_VERSION);
    cairn_put_u32(to + 12, level);
    cairn_put_u64(to + 16, id);
    to[24] = (uint8_t)kind.order;
    to[25] = (uint8_t)kind.compression;
    cairn_put_u32(to + 28, cairn_crc32c(0, to, 28));
}

enum cairn_code run_header_check(const uint8_t from[RUN_HEADER_BYTES], uint64_t id, uint32_t level,
                                 struct run_kind *ret_kind)
{
    struct run_kind kind = {(enum run_order)from[24], (enum run_compression)from[25]};
    uint8_t want[RUN_HEADER_BYTES];

    if (memcmp(from, run_magic, sizeof run_magic) == 0 && cairn_get_u32(from + 8) != RUN_VERSION &&
        cairn_get_u32(from + 28) == cairn_crc32c(0, from, 28))
        return CAIRN_EVERSION;
    if (kind.order > RUN_BY_HASH || kind.compression > RUN_ZSTD)
        return CAIRN_ECORRUPT;
    run_header_encode(id, level, kind, want);
    if (memcmp(from, want, sizeof want) != 0)
        return CAIRN_ECORRUPT;
    *ret_kind = kind;
    return CAIRN_OK;
}

struct cairn_bytes run_sort_key(enum run_order order, uint64_t hash, struct cairn_bytes key, struct cairn_buf *scratch)
{
    if (order == RUN_BY_KEY)
        return key;
    scratch->size = 0;
    cairn_put_be64(cairn_buf_reserve(scratch, 8), hash);
    scratch->size = 8;
    cairn_buf_add(scratch, key.data, key.size);
    return cairn_buf_bytes(scratch);
}

void run_footer_encode(const struct run_footer *footer, uint8_t to[RUN_FOOTER_BYTES])
{
    memset(to, 0, RUN_FOOTER_BYTES);
    cairn_put_u64(to, footer->id);
    cairn_put_u64(to + 8, footer->fences_offset);
    cairn_put_u64(to + 16, footer->filter_offset);
    cairn_put_u64(to + 24, footer->records);
    cairn_put_u64(to + 32, footer->tombstones);
    cairn_put_u64(to + 40, footer->block_count);
    cairn_put_u32(to + 60, cairn_crc32c(0, to, 60));
    memcpy(to + 64, run_footer_magic, sizeof run_footer_magic);
}

bool run_footer_decode(const uint8_t from[RUN_FOOTER_BYTES], struct run_footer *ret_footer)
{
    uint8_t again[RUN_FOOTER_BYTES];

    *ret_footer = (struct run_footer){
        .id = cairn_get_u64(from),
        .fences_offset = cairn_get_u64(from + 8),
        .filter_offset = cairn_get_u64(from + 16),
        .records = cairn_get_u64(from + 24),
        .tombstones = cairn_get_u64(from + 32),
        .block_count = cairn_get_u64(from + 40),
    };
    run_footer_encode(ret_footer, again);
    return memcmp(from, again, sizeof again) == 0;
}
