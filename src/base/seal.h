/* seal.h - bytes that tell by themselves whether they are whole:
 *
 *   8 bytes of magic, u32 version of the format, what they hold, u32 CRC32C of all that stands before it
 *
 * Whether a version that is not known is damage, is refused, or is skipped, is the caller's to say.
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_SEAL_H
#define CAIRN_BASE_SEAL_H

#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"

enum { CAIRN_SEAL_HEAD_BYTES = 12, CAIRN_SEAL_END_BYTES = 4 };

enum cairn_seal {
    CAIRN_SEAL_WHOLE,
    CAIRN_SEAL_DAMAGED, /* too short, another magic, or another checksum */
    CAIRN_SEAL_VERSION, /* whole, and of another version: cairn_seal_version */
};

static inline void cairn_seal_begin(struct cairn_buf *to, const char magic[8], uint32_t version)
{
    uint8_t *at = cairn_buf_reserve(to, CAIRN_SEAL_HEAD_BYTES);

    memcpy(at, magic, 8);
    cairn_put_u32(at + 8, version);
    to->size += CAIRN_SEAL_HEAD_BYTES;
}

/* What began at `begin` of the buffer is complete. */
static inline void cairn_seal_end(struct cairn_buf *to, size_t begin)
{
    cairn_put_u32(cairn_buf_reserve(to, CAIRN_SEAL_END_BYTES), cairn_crc32c(0, to->data + begin, to->size - begin));
    to->size += CAIRN_SEAL_END_BYTES;
}

static inline uint32_t cairn_seal_version(struct cairn_bytes bytes)
{
    return cairn_get_u32(bytes.data + 8);
}

/* `head_bytes`: of magic, version and what else is always there. */
static inline enum cairn_seal cairn_seal_check(struct cairn_bytes bytes, const char magic[8], uint32_t version,
                                               size_t head_bytes)
{
    if (bytes.size < head_bytes + CAIRN_SEAL_END_BYTES || memcmp(bytes.data, magic, 8) != 0 ||
        cairn_get_u32(bytes.data + bytes.size - CAIRN_SEAL_END_BYTES) !=
            cairn_crc32c(0, bytes.data, bytes.size - CAIRN_SEAL_END_BYTES))
        return CAIRN_SEAL_DAMAGED;
    return cairn_seal_version(bytes) == version ? CAIRN_SEAL_WHOLE : CAIRN_SEAL_VERSION;
}

#endif
