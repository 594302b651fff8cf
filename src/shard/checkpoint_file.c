/* checkpoint_file.c - writing and reading one checkpoint file (docs/formats/checkpoint.md). */
#include "shard/shard_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

enum {
    VERSION = 1,
    HEADER_BYTES = 40,
    CHUNK_HEAD_BYTES = 8,
    FOOTER_BYTES = CHUNK_HEAD_BYTES + 28,
    /* Synced in parts, so that the log's syncs never queue behind much of this file. */
    SYNC_BYTES = 2 << 20,
};

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'C', 'K', 'P'};

void checkpoint_path(uint32_t shard, uint64_t number, char path[CAIRN_PATH_BYTES])
{
    snprintf(path, CAIRN_PATH_BYTES, CHECKPOINT_DIR "/%02" PRIu32 "-%" PRIu64 ".ckpt", shard, number);
}

bool checkpoint_name_parse(const char *name, uint32_t *ret_shard, uint64_t *ret_number)
{
    char path[CAIRN_PATH_BYTES];
    uint32_t shard;
    uint64_t number;

    if (sscanf(name, "%" SCNu32 "-%" SCNu64 ".ckpt", &shard, &number) != 2)
        return false;
    checkpoint_path(shard, number, path); /* scanf is lenient: compare with the one spelling */
    if (strcmp(name, path + strlen(CHECKPOINT_DIR "/")) != 0)
        return false;
    *ret_shard = shard;
    *ret_number = number;
    return true;
}

/* A chunk's checksum covers which file it belongs to and where it lies, so that no other chunk can pass for it. */
static uint32_t chunk_checksum(uint64_t number, uint64_t offset, uint32_t bytes, const void *data, size_t size)
{
    uint8_t where[20];

    cairn_put_u64(where, number);
    cairn_put_u64(where + 8, offset);
    cairn_put_u32(where + 16, bytes);
    return cairn_crc32c(cairn_crc32c(0, where, sizeof where), data, size);
}

/* --- writing --------------------------------------------------------------------------------- */

static enum cairn_code write_next(struct checkpoint_writer *writer, const void *data, size_t size,
                                  struct cairn_err *err)
{
    enum cairn_code code = writer->disk->ops->write_at(writer->file, writer->offset, data, size, err);

    if (code == CAIRN_OK)
        writer->offset += size;
    return code;
}

enum cairn_code checkpoint_writer_open(struct checkpoint_writer *writer, struct cairn_disk *disk, uint32_t shard,
                                       uint64_t number, uint64_t keys, struct cairn_err *err)
{
    uint8_t header[HEADER_BYTES] = {0};
    enum cairn_code code;

    *writer = (struct checkpoint_writer){.disk = disk, .number = number, .keys = keys};
    checkpoint_path(shard, number, writer->path);
    code = disk->ops->open(disk, writer->path, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &writer->file, err);
    if (code != CAIRN_OK)
        return code;
    memcpy(header, magic, sizeof magic);
    cairn_put_u32(header + 8, VERSION);
    cairn_put_u32(header + 12, shard);
    cairn_put_u64(header + 16, number);
    cairn_put_u64(header + 24, keys);
    cairn_put_u32(header + 36, cairn_crc32c(0, header, 36));
    return write_next(writer, header, sizeof header, err);
}

enum cairn_code checkpoint_writer_add(struct checkpoint_writer *writer, struct cairn_bytes chunk, struct cairn_err *err)
{
    uint8_t head[CHUNK_HEAD_BYTES];
    uint32_t bytes = (uint32_t)chunk.size;
    enum cairn_code code;

    assert(chunk.size >= 1 && chunk.size <= CAIRN_SNAPSHOT_CHUNK_BYTES);
    cairn_put_u32(head, bytes);
    cairn_put_u32(head + 4, chunk_checksum(writer->number, writer->offset, bytes, chunk.data, chunk.size));
    writer->chain = cairn_crc32c(writer->chain, head + 4, 4);
    writer->chunks++;
    writer->data_bytes += chunk.size;
    code = write_next(writer, head, sizeof head, err);
    if (code == CAIRN_OK)
        code = write_next(writer, chunk.data, chunk.size, err);
    if (code == CAIRN_OK && writer->offset - writer->synced >= SYNC_BYTES) {
        code = writer->disk->ops->sync(writer->file, err);
        writer->synced = writer->offset;
    }
    return code;
}

enum cairn_code checkpoint_writer_finish(struct checkpoint_writer *writer, uint64_t *ret_file_bytes, uint32_t *ret_seal,
                                         struct cairn_err *err)
{
    uint8_t footer[FOOTER_BYTES];
    enum cairn_code code;

    cairn_put_u32(footer, 0);
    cairn_put_u64(footer + 8, writer->chunks);
    cairn_put_u64(footer + 16, writer->keys);
    cairn_put_u64(footer + 24, writer->data_bytes);
    cairn_put_u32(footer + 32, writer->chain);
    cairn_put_u32(footer + 4, chunk_checksum(writer->number, writer->offset, 0, footer + 8, FOOTER_BYTES - 8));
    code = write_next(writer, footer, sizeof footer, err);
    if (code == CAIRN_OK)
        code = writer->disk->ops->sync(writer->file, err);
    if (code == CAIRN_OK)
        code = writer->disk->ops->sync_dir(writer->disk, CHECKPOINT_DIR, err);
    if (code != CAIRN_OK)
        return code;
    writer->disk->ops->close(writer->file);
    writer->file = NULL;
    *ret_file_bytes = writer->offset;
    *ret_seal = cairn_get_u32(footer + 4);
    return CAIRN_OK;
}

void checkpoint_writer_discard(struct checkpoint_writer *writer)
{
    if (!writer->disk)
        return;
    if (writer->file)
        writer->disk->ops->close(writer->file);
    /* Failing to remove it costs room only: it is swept after the next checkpoint, or at the next start. */
    writer->disk->ops->remove(writer->disk, writer->path, NULL);
    *writer = (struct checkpoint_writer){0};
}

/* --- reading --------------------------------------------------------------------------------- */

static enum cairn_code damaged(struct cairn_err *err, const char *path, uint64_t offset, const char *what)
{
    return cairn_fail(err, CAIRN_ECORRUPT,
                      "'%s' is damaged at byte %" PRIu64 ": %s; restore the data folder from a backup", path, offset,
                      what);
}

struct reading {
    struct cairn_disk *disk;
    struct cairn_file *file;
    const char *path;
    const struct manifest_shard *named;
    uint64_t offset, chunks, data_bytes, keys;
    uint32_t chain;
    uint8_t *memory; /* a chunk with the head that follows it */
};

static enum cairn_code read_header(struct reading *reading, uint32_t shard, struct cairn_err *err)
{
    uint8_t *header = reading->memory;
    uint64_t size;
    enum cairn_code code;

    code = reading->disk->ops->size(reading->file, &size, err);
    if (code != CAIRN_OK)
        return code;
    if (size != reading->named->file_bytes || size < HEADER_BYTES + FOOTER_BYTES)
        return damaged(err, reading->path, size < reading->named->file_bytes ? size : reading->named->file_bytes,
                       "it is not as long as the manifest says");
    code = reading->disk->ops->read_at(reading->file, 0, header, HEADER_BYTES + CHUNK_HEAD_BYTES, err);
    if (code != CAIRN_OK)
        return code;
    if (memcmp(header, magic, sizeof magic) != 0)
        return damaged(err, reading->path, 0, "it does not begin as a checkpoint does");
    if (cairn_get_u32(header + 36) != cairn_crc32c(0, header, 36))
        return damaged(err, reading->path, 36, "its header's checksum does not match");
    if (cairn_get_u32(header + 8) != VERSION)
        return cairn_fail(err, CAIRN_EVERSION,
                          "'%s' has format version %" PRIu32
                          " and this program knows %d: use the program that wrote it",
                          reading->path, cairn_get_u32(header + 8), VERSION);
    if (cairn_get_u32(header + 12) != shard || cairn_get_u64(header + 16) != reading->named->number ||
        cairn_get_u32(header + 32) != 0)
        return damaged(err, reading->path, 12, "it belongs to another shard or checkpoint");
    reading->keys = cairn_get_u64(header + 24);
    reading->offset = HEADER_BYTES;
    memmove(header, header + HEADER_BYTES, CHUNK_HEAD_BYTES);
    return CAIRN_OK;
}

/* The head of the chunk at reading->offset lies at the front of memory; so does the next one's afterwards. */
static enum cairn_code read_chunk(struct reading *reading, struct cairn_engine *engine, struct cairn_err *err)
{
    uint32_t bytes = cairn_get_u32(reading->memory), checksum = cairn_get_u32(reading->memory + 4);
    uint64_t left = reading->named->file_bytes - reading->offset;
    uint8_t *data = reading->memory + CHUNK_HEAD_BYTES;
    enum cairn_code code;

    if (bytes > CAIRN_SNAPSHOT_CHUNK_BYTES || left < CHUNK_HEAD_BYTES + (uint64_t)bytes + FOOTER_BYTES)
        return damaged(err, reading->path, reading->offset, "a chunk's length is out of bounds");
    code = reading->disk->ops->read_at(reading->file, reading->offset + CHUNK_HEAD_BYTES, data,
                                       bytes + CHUNK_HEAD_BYTES, err);
    if (code != CAIRN_OK)
        return code;
    if (checksum != chunk_checksum(reading->named->number, reading->offset, bytes, data, bytes))
        return damaged(err, reading->path, reading->offset, "a chunk's checksum does not match");
    reading->chain = cairn_crc32c(reading->chain, reading->memory + 4, 4);
    code = engine->snapshots->load_chunk(engine, cairn_bytes(data, bytes), err);
    if (code != CAIRN_OK)
        return cairn_while(err, "reading the chunk at byte %" PRIu64 " of '%s'", reading->offset, reading->path);
    reading->chunks++;
    reading->data_bytes += bytes;
    reading->offset += CHUNK_HEAD_BYTES + (uint64_t)bytes;
    memmove(reading->memory, data + bytes, CHUNK_HEAD_BYTES);
    return CAIRN_OK;
}

static enum cairn_code read_footer(struct reading *reading, struct cairn_engine *engine, struct cairn_err *err)
{
    uint64_t number = reading->named->number, offset = reading->offset;
    struct cairn_engine_stats stats;
    uint8_t footer[FOOTER_BYTES];
    enum cairn_code code;

    if (reading->named->file_bytes - offset != FOOTER_BYTES)
        return damaged(err, reading->path, offset, "its footer is not at its end");
    code = reading->disk->ops->read_at(reading->file, offset, footer, FOOTER_BYTES, err);
    if (code != CAIRN_OK)
        return code;
    if (cairn_get_u32(footer + 4) != chunk_checksum(number, offset, 0, footer + 8, FOOTER_BYTES - 8))
        return damaged(err, reading->path, offset, "its footer's checksum does not match");
    engine->ops->stats(engine, &stats);
    if (cairn_get_u32(footer + 4) != reading->named->seal || cairn_get_u64(footer + 8) != reading->chunks ||
        cairn_get_u64(footer + 16) != reading->keys || stats.keys != reading->keys ||
        cairn_get_u64(footer + 24) != reading->data_bytes || cairn_get_u32(footer + 32) != reading->chain)
        return damaged(err, reading->path, offset, "its footer does not match its content or the manifest");
    return CAIRN_OK;
}

enum cairn_code checkpoint_load(struct cairn_disk *disk, uint32_t shard, const struct manifest_shard *named,
                                struct cairn_engine *engine, void (*progress)(void *context, uint64_t bytes),
                                void *context, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    struct reading reading = {.disk = disk, .path = path, .named = named};
    enum cairn_code code;

    checkpoint_path(shard, named->number, path);
    code = disk->ops->open(disk, path, CAIRN_OPEN_READ, &reading.file, err);
    if (code == CAIRN_ENOTFOUND)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' is missing, which '%s' names; restore the data folder from a backup", path,
                          MANIFEST_PATH);
    if (code != CAIRN_OK)
        return code;
    reading.memory = cairn_alloc(CHUNK_HEAD_BYTES + CAIRN_SNAPSHOT_CHUNK_BYTES + CHUNK_HEAD_BYTES);
    code = read_header(&reading, shard, err);
    while (code == CAIRN_OK && cairn_get_u32(reading.memory) != 0) {
        uint64_t before = reading.offset;
        code = read_chunk(&reading, engine, err);
        progress(context, reading.offset - before);
    }
    if (code == CAIRN_OK)
        code = read_footer(&reading, engine, err);
    disk->ops->close(reading.file);
    free(reading.memory);
    return code;
}
