/* run_block.c - compressed blocks: LZ4 and Zstandard. */
#include <lz4.h>
#include <zstd.h>

#include "engine/run_format.h"

enum {
    ZSTD_LEVEL = 3,
    BLOCK_BYTES_MAX = 1 << 30, /* far above what a record can have */
};

void run_block_pack(enum run_compression compression, struct cairn_bytes block, struct cairn_buf *to)
{
    size_t at, room, size = 0;

    if (compression == RUN_PLAIN) {
        cairn_buf_add(to, block.data, block.size);
        return;
    }
    cairn_buf_varint(to, block.size);
    at = to->size;
    if (compression == RUN_LZ4) {
        int done;

        room = (size_t)LZ4_compressBound((int)block.size);
        done = LZ4_compress_default((const char *)block.data, (char *)cairn_buf_reserve(to, room), (int)block.size,
                                    (int)room);
        size = done > 0 ? (size_t)done : block.size;
    } else {
        room = ZSTD_compressBound(block.size);
        size = ZSTD_compress(cairn_buf_reserve(to, room), room, block.data, block.size, ZSTD_LEVEL);
        if (ZSTD_isError(size))
            size = block.size;
    }
    if (size < block.size)
        to->size = at + size;
    else
        cairn_buf_add(to, block.data, block.size); /* as large as it is: not compressed */
}

bool run_block_unpack(enum run_compression compression, struct cairn_bytes packed, struct cairn_buf *scratch,
                      struct cairn_bytes *ret_block)
{
    struct cairn_reader reader = cairn_reader(packed);
    size_t offset, size;
    uint64_t bytes;
    uint8_t *to;

    if (compression == RUN_PLAIN) {
        *ret_block = packed;
        return true;
    }
    bytes = cairn_read_varint(&reader);
    size = cairn_reader_left(&reader);
    if (reader.bad || bytes > BLOCK_BYTES_MAX || size > bytes)
        return false;
    if (size == bytes) {
        *ret_block = cairn_bytes(reader.at, size);
        return true;
    }
    offset = (size_t)(reader.at - scratch->data); /* `packed` is in scratch, which may move now */
    to = cairn_buf_reserve(scratch, (size_t)bytes);
    if (compression == RUN_LZ4) {
        if (LZ4_decompress_safe((const char *)scratch->data + offset, (char *)to, (int)size, (int)bytes) != (int)bytes)
            return false;
    } else if (ZSTD_decompress(to, (size_t)bytes, scratch->data + offset, size) != bytes) {
        return false;
    }
    *ret_block = cairn_bytes(to, (size_t)bytes);
    return true;
}
