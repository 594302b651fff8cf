/* manifest.c - which checkpoint file is each shard's, and from where the log continues it. */
#include "shard/shard_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/seal.h"

enum { VERSION = 1, HEAD_BYTES = 40, SHARD_BYTES = 32 };

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'M', 'A', 'N'};

void manifest_init(struct manifest *manifest, uint32_t count)
{
    *manifest = (struct manifest){.next_number = 1, .count = count};
    manifest->shards = cairn_alloc_zeroed(count, sizeof *manifest->shards);
}

void manifest_done(struct manifest *manifest)
{
    free(manifest->shards);
    *manifest = (struct manifest){0};
}

void manifest_copy(struct manifest *to, const struct manifest *from)
{
    *to = *from;
    to->shards = cairn_alloc(from->count * sizeof *to->shards);
    memcpy(to->shards, from->shards, from->count * sizeof *to->shards);
}

void manifest_encode(const struct manifest *manifest, struct cairn_buf *to)
{
    size_t begin = to->size, size = HEAD_BYTES + (size_t)manifest->count * SHARD_BYTES;
    uint8_t *at;

    cairn_seal_begin(to, magic, VERSION);
    cairn_buf_reserve(to, size);
    at = to->data + begin;
    cairn_put_u32(at + 12, manifest->count);
    cairn_put_u64(at + 16, manifest->sequence);
    cairn_put_u64(at + 24, manifest->next_number);
    cairn_put_u64(at + 32, manifest->wall_ms);
    for (uint32_t i = 0; i < manifest->count; i++) {
        const struct manifest_shard *shard = &manifest->shards[i];
        uint8_t *to_shard = at + HEAD_BYTES + (size_t)i * SHARD_BYTES;
        cairn_put_u64(to_shard, shard->position);
        cairn_put_u64(to_shard + 8, shard->number);
        cairn_put_u64(to_shard + 16, shard->file_bytes);
        cairn_put_u32(to_shard + 24, shard->seal);
        cairn_put_u32(to_shard + 28, 0);
    }
    to->size = begin + size;
    cairn_seal_end(to, begin);
}

static enum cairn_code damaged(struct cairn_err *err, size_t at, const char *what)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged at byte %zu: %s; restore the data folder from a backup",
                      MANIFEST_PATH, at, what);
}

enum cairn_code manifest_decode(struct cairn_bytes bytes, struct manifest *ret_manifest, struct cairn_err *err)
{
    struct manifest manifest;
    uint32_t count;

    if (bytes.size < HEAD_BYTES + 4)
        return damaged(err, bytes.size, "it ends too early");
    if (memcmp(bytes.data, magic, sizeof magic) != 0)
        return damaged(err, 0, "it does not begin as a manifest does");
    if (cairn_get_u32(bytes.data + bytes.size - 4) != cairn_crc32c(0, bytes.data, bytes.size - 4))
        return damaged(err, bytes.size - 4, "its checksum does not match");
    if (cairn_get_u32(bytes.data + 8) != VERSION)
        return format_fail_version("'" MANIFEST_PATH "'", cairn_get_u32(bytes.data + 8), VERSION, err);
    count = cairn_get_u32(bytes.data + 12);
    if (count < 2 || count > SHARDS_MAX + 1 || bytes.size != HEAD_BYTES + (size_t)count * SHARD_BYTES + 4)
        return damaged(err, 12, "its count of shards does not match its size");
    manifest_init(&manifest, count);
    manifest.sequence = cairn_get_u64(bytes.data + 16);
    manifest.next_number = cairn_get_u64(bytes.data + 24);
    manifest.wall_ms = cairn_get_u64(bytes.data + 32);
    for (uint32_t i = 0; i < count; i++) {
        size_t offset = HEAD_BYTES + (size_t)i * SHARD_BYTES;
        const uint8_t *at = bytes.data + offset;
        struct manifest_shard *shard = &manifest.shards[i];
        shard->position = cairn_get_u64(at);
        shard->number = cairn_get_u64(at + 8);
        shard->file_bytes = cairn_get_u64(at + 16);
        shard->seal = cairn_get_u32(at + 24);
        if (cairn_get_u32(at + 28) != 0 || shard->number >= manifest.next_number ||
            (shard->number == 0 && (shard->file_bytes || shard->seal))) {
            manifest_done(&manifest);
            return damaged(err, offset, "a shard's line makes no sense");
        }
    }
    *ret_manifest = manifest;
    return CAIRN_OK;
}

enum cairn_code manifest_read(struct cairn_disk *disk, struct manifest *ret_manifest, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code;

    code =
        cairn_disk_read_file(disk, MANIFEST_PATH, HEAD_BYTES + (size_t)(SHARDS_MAX + 1) * SHARD_BYTES + 4, &bytes, err);
    if (code == CAIRN_ELIMIT)
        code = damaged(err, 0, "it is longer than any manifest");
    if (code == CAIRN_OK)
        code = manifest_decode(cairn_buf_bytes(&bytes), ret_manifest, err);
    cairn_buf_done(&bytes);
    return code;
}

enum cairn_code manifest_write(struct cairn_disk *disk, const struct manifest *manifest, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code;

    manifest_encode(manifest, &bytes);
    code = cairn_disk_replace_file(disk, MANIFEST_PATH, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    return code;
}
