/* run_write.c - writing a run: one pass, front to back, hashed on its way. */
#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "engine/filter.h"
#include "engine/run_format.h"

enum {
    WRITE_BYTES = 64 << 10,
    FENCES_PART = 8,              /* of the file are fences, at most, */
    FENCES_BYTES_FREE = 64 << 10, /* beyond so many */
    FENCES_BYTES_MAX = 1 << 30,   /* and whatever is asked for: a frame tells its size in 32 bits */
    SYNC_BYTES = 4 << 20, /* a long run is synced piece by piece: one burst would make other syncs wait behind it */
};

struct run_writer {
    struct cairn_disk *disk;
    struct cairn_file *file;
    char path[CAIRN_PATH_BYTES];
    struct run_options options;
    struct run_about about;
    struct cairn_sha256 *sha;
    struct filter filter;
    struct cairn_buf block, packed, fences, pending; /* pending: made, not yet written */
    struct cairn_buf last_key, sort_key;             /* last_key: the sort key of the record before */
    uint64_t written, synced, block_count;
    unsigned block_records;
    bool finished;
};

static enum cairn_code write_bytes(struct run_writer *writer, struct cairn_bytes bytes, struct cairn_err *err)
{
    enum cairn_code code = writer->disk->ops->write_at(writer->file, writer->written, bytes.data, bytes.size, err);

    if (code != CAIRN_OK)
        return code;
    cairn_sha256_add(writer->sha, bytes.data, bytes.size);
    writer->written += bytes.size;
    if (writer->written - writer->synced < SYNC_BYTES)
        return CAIRN_OK;
    writer->synced = writer->written;
    return writer->disk->ops->sync(writer->file, err);
}

static enum cairn_code write_pending(struct run_writer *writer, struct cairn_err *err)
{
    enum cairn_code code = write_bytes(writer, cairn_buf_bytes(&writer->pending), err);

    if (code == CAIRN_OK)
        writer->pending.size = 0;
    return code;
}

static uint64_t offset_now(const struct run_writer *writer)
{
    return writer->written + writer->pending.size;
}

static enum cairn_code add_frame(struct run_writer *writer, struct cairn_bytes payload, struct cairn_err *err)
{
    uint8_t head[RUN_FRAME_BYTES];
    uint32_t size = (uint32_t)payload.size;

    cairn_put_u32(head, size);
    cairn_put_u32(head + 4, run_frame_checksum(writer->about.id, offset_now(writer), payload.data, size));
    cairn_buf_add(&writer->pending, head, sizeof head);
    if (size >= WRITE_BYTES) { /* without a copy: fences and filters can be large */
        enum cairn_code code = write_pending(writer, err);

        return code == CAIRN_OK ? write_bytes(writer, payload, err) : code;
    }
    cairn_buf_add(&writer->pending, payload.data, size);
    return writer->pending.size < WRITE_BYTES ? CAIRN_OK : write_pending(writer, err);
}

enum cairn_code run_writer_create(struct cairn_disk *disk, uint64_t id, uint32_t level,
                                  const struct run_options *options, struct run_writer **ret_writer,
                                  struct cairn_err *err)
{
    struct run_writer *writer = cairn_alloc_zeroed(1, sizeof *writer);
    enum cairn_code code;

    writer->disk = disk;
    writer->options = *options;
    writer->about = (struct run_about){.id = id, .level = level};
    run_path(id, writer->path);
    code = disk->ops->open(disk, writer->path, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &writer->file, err);
    if (code != CAIRN_OK) {
        free(writer);
        return code;
    }
    writer->sha = cairn_sha256_begin();
    filter_init(&writer->filter, options->records_max, options->filter_bits);
    run_header_encode(id, level, (struct run_kind){options->order, options->compression},
                      cairn_buf_reserve(&writer->pending, RUN_HEADER_BYTES));
    writer->pending.size += RUN_HEADER_BYTES;
    *ret_writer = writer;
    return CAIRN_OK;
}

static enum cairn_code end_block(struct run_writer *writer, struct cairn_err *err)
{
    enum run_compression compression = writer->options.compression;
    enum cairn_code code;

    if (compression != RUN_PLAIN) {
        writer->packed.size = 0;
        run_block_pack(compression, cairn_buf_bytes(&writer->block), &writer->packed);
    }
    code = add_frame(writer, cairn_buf_bytes(compression == RUN_PLAIN ? &writer->block : &writer->packed), err);
    writer->block.size = 0;
    writer->block_records = 0;
    writer->block_count++;
    return code;
}

/* The block's fence: the shortest prefix of its first sort key that lies above the last one of the block before. */
static void add_fence(struct run_writer *writer, struct cairn_bytes key)
{
    struct cairn_bytes last = cairn_buf_bytes(&writer->last_key);
    size_t same = 0;

    while (same < last.size && same < key.size && last.data[same] == key.data[same])
        same++;
    if (same < key.size && writer->block_count)
        same++;
    cairn_buf_varint(&writer->fences, offset_now(writer));
    cairn_buf_varint(&writer->fences, same);
    cairn_buf_add(&writer->fences, key.data, same);
}

/* Fences are in memory, and in one frame: of long keys that begin alike they are as long as the keys, so a block gets
 * larger until they are an eighth of the file.  Blocks of density_factor records are ended as they are asked for while
 * a frame can hold it. */
static bool is_full(const struct run_writer *writer)
{
    const struct run_options *options = &writer->options;
    size_t block_bytes = options->block_bytes ? options->block_bytes : RUN_BLOCK_BYTES;

    if (options->density_factor)
        return writer->block_records >= options->density_factor && writer->fences.size < FENCES_BYTES_MAX;
    return writer->block.size >= block_bytes &&
           writer->fences.size <= FENCES_BYTES_FREE + (offset_now(writer) + writer->block.size) / FENCES_PART;
}

enum cairn_code run_writer_add(struct run_writer *writer, const struct run_record *record, struct cairn_err *err)
{
    struct cairn_bytes key = record->key, value = record->value;
    bool tombstone = run_is_tombstone(value);
    const struct run_options *options = &writer->options;
    struct cairn_bytes sort_key = run_sort_key(options->order, record->hash, key, &writer->sort_key);

    assert(!writer->about.records || cairn_bytes_compare(cairn_buf_bytes(&writer->last_key), sort_key) < 0);
    assert(writer->about.records < options->records_max);
    if (!writer->block_records)
        add_fence(writer, sort_key);
    cairn_buf_varint(&writer->block, key.size);
    cairn_buf_varint(&writer->block, tombstone ? 0 : value.size + 1);
    cairn_buf_add(&writer->block, key.data, key.size);
    if (!tombstone)
        cairn_buf_add(&writer->block, value.data, value.size);
    filter_add(&writer->filter, record->hash);
    writer->last_key.size = 0;
    cairn_buf_add(&writer->last_key, sort_key.data, sort_key.size);
    writer->about.records++;
    writer->about.tombstones += tombstone;
    writer->block_records++;
    return is_full(writer) ? end_block(writer, err) : CAIRN_OK;
}

enum cairn_code run_writer_finish(struct run_writer *writer, struct run_about *ret_about, struct cairn_err *err)
{
    struct run_footer footer;
    enum cairn_code code = writer->block_records ? end_block(writer, err) : CAIRN_OK;

    footer = (struct run_footer){.id = writer->about.id,
                                 .fences_offset = offset_now(writer),
                                 .records = writer->about.records,
                                 .tombstones = writer->about.tombstones,
                                 .block_count = writer->block_count};
    if (code == CAIRN_OK)
        code = add_frame(writer, cairn_buf_bytes(&writer->fences), err);
    footer.filter_offset = offset_now(writer);
    filter_fold(&writer->filter, writer->about.records, writer->options.filter_bits);
    if (code == CAIRN_OK)
        code = add_frame(writer, filter_bytes(&writer->filter), err);
    if (code != CAIRN_OK)
        return code;
    run_footer_encode(&footer, cairn_buf_reserve(&writer->pending, RUN_FOOTER_BYTES));
    writer->pending.size += RUN_FOOTER_BYTES;
    code = write_pending(writer, err);
    if (code == CAIRN_OK)
        code = writer->disk->ops->sync(writer->file, err);
    if (code == CAIRN_OK)
        code = writer->disk->ops->sync_dir(writer->disk, RUN_DIR, err);
    if (code != CAIRN_OK)
        return code;
    writer->about.bytes = writer->written;
    writer->sha = cairn_sha256_end(writer->sha, writer->about.sha256);
    writer->finished = true;
    *ret_about = writer->about;
    return CAIRN_OK;
}

struct run_writer *run_writer_destroy(struct run_writer *writer)
{
    if (!writer)
        return NULL;
    writer->disk->ops->close(writer->file);
    if (!writer->finished)
        writer->disk->ops->remove(writer->disk, writer->path, NULL); /* else it is removed at the next open */
    cairn_sha256_end(writer->sha, NULL);
    filter_done(&writer->filter);
    cairn_buf_done(&writer->block);
    cairn_buf_done(&writer->packed);
    cairn_buf_done(&writer->fences);
    cairn_buf_done(&writer->pending);
    cairn_buf_done(&writer->last_key);
    cairn_buf_done(&writer->sort_key);
    free(writer);
    return NULL;
}
