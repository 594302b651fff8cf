/* zk_internal.h - jute's primitives, for the files of this codec.  docs/formats/zk.md
 *
 * The readers are those of base/bytes.h with the other byte order: they yield zeros once something was bad.
 * Layer: proto. */
#ifndef CAIRN_PROTO_ZK_INTERNAL_H
#define CAIRN_PROTO_ZK_INTERNAL_H

#include "proto/zk.h"

static inline int32_t cairn_zk_read_int(struct cairn_reader *r)
{
    return (int32_t)__builtin_bswap32(cairn_read_u32(r));
}

static inline int64_t cairn_zk_read_long(struct cairn_reader *r)
{
    return (int64_t)__builtin_bswap64(cairn_read_u64(r));
}

/* Any byte but 0 is true, as in Java. */
static inline bool cairn_zk_read_bool(struct cairn_reader *r)
{
    return cairn_read_u8(r) != 0;
}

static inline void cairn_zk_int_add(struct cairn_buf *to, int32_t v)
{
    uint32_t swapped = __builtin_bswap32((uint32_t)v);

    cairn_buf_add(to, &swapped, sizeof swapped);
}

static inline void cairn_zk_long_add(struct cairn_buf *to, int64_t v)
{
    uint64_t swapped = __builtin_bswap64((uint64_t)v);

    cairn_buf_add(to, &swapped, sizeof swapped);
}

/* A string or buffer: null if it has no data. */
struct cairn_bytes cairn_zk_read_bytes(struct cairn_reader *r);
void cairn_zk_bytes_add(struct cairn_buf *to, struct cairn_bytes bytes);

#endif
