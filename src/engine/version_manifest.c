/* version_manifest.c - the bytes of a version's manifest; see version.h. */
#include "engine/version_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/seal.h"

enum {
    FORMAT_VERSION = 2,
    PREFIX_BYTES = VERSION_PREFIX_BYTES,
    MANIFEST_BYTES_MAX = VERSION_MANIFEST_BYTES_MAX,
};

static const char manifest_magic[8] = {'C', 'A', 'I', 'R', 'N', 'V', 'E', 'R'};

void version_manifest_path(uint64_t number, char path[CAIRN_PATH_BYTES])
{
    snprintf(path, CAIRN_PATH_BYTES, VERSION_DIR "/%" PRIu64 ".version", number);
}

static void add_u64(struct cairn_buf *to, uint64_t value)
{
    cairn_put_u64(cairn_buf_reserve(to, 8), value);
    to->size += 8;
}

void version_sealed_begin(struct cairn_buf *bytes, const char magic[8])
{
    cairn_seal_begin(bytes, magic, FORMAT_VERSION);
}

/* What lies between prefix and checksum. */
enum cairn_code version_sealed_open(struct cairn_disk *disk, const char *path, struct cairn_bytes bytes,
                                    const char magic[8], struct cairn_reader *ret_reader, struct cairn_err *err)
{
    switch (cairn_seal_check(bytes, magic, FORMAT_VERSION, PREFIX_BYTES)) {
    case CAIRN_SEAL_DAMAGED:
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' is damaged", path, disk->root);
    case CAIRN_SEAL_VERSION:
        return cairn_fail(err, CAIRN_EVERSION,
                          "'%s' in '%s' has format version %u and this program knows %d: "
                          "use the program that wrote it",
                          path, disk->root, cairn_seal_version(bytes), FORMAT_VERSION);
    case CAIRN_SEAL_WHOLE:
        break;
    }
    *ret_reader = cairn_reader(cairn_bytes(bytes.data + PREFIX_BYTES, bytes.size - PREFIX_BYTES - 4));
    return CAIRN_OK;
}

void version_manifest_encode(const struct version *version, struct cairn_buf *to)
{
    version_sealed_begin(to, manifest_magic);
    add_u64(to, version->number);
    add_u64(to, version->parent);
    add_u64(to, version->time_ms);
    add_u64(to, version->sequence);
    cairn_buf_u8(to, version->automatic);
    cairn_buf_varint(to, strlen(version->engine));
    cairn_buf_str(to, version->engine);
    cairn_buf_varint(to, version->metadata.size);
    cairn_buf_add(to, version->metadata.data, version->metadata.size);
    cairn_buf_varint(to, version->run_count);
    for (size_t i = 0; i < version->run_count; i++) {
        const struct run_about *run = &version->runs[i];

        add_u64(to, run->id);
        add_u64(to, run->bytes);
        add_u64(to, run->records);
        add_u64(to, run->tombstones);
        cairn_buf_varint(to, run->level);
        cairn_buf_add(to, run->sha256, sizeof run->sha256);
    }
    cairn_seal_end(to, 0);
}

/* *ret_memory is what the version points to; to be freed. */
bool version_manifest_decode(struct cairn_reader reader, struct version *ret_version, void **ret_memory)
{
    struct cairn_bytes engine, metadata;
    struct run_about *runs;
    uint8_t *memory, automatic;
    uint64_t count;

    ret_version->number = cairn_read_u64(&reader);
    ret_version->parent = cairn_read_u64(&reader);
    ret_version->time_ms = cairn_read_u64(&reader);
    ret_version->sequence = cairn_read_u64(&reader);
    automatic = cairn_read_u8(&reader);
    engine = cairn_read_sized(&reader);
    metadata = cairn_read_sized(&reader);
    count = cairn_read_varint(&reader);
    if (reader.bad || automatic > 1 || engine.size >= VERSION_ENGINE_BYTES_MAX ||
        metadata.size > VERSION_METADATA_BYTES_MAX || count > VERSION_RUNS_MAX)
        return false;
    memory = cairn_alloc((size_t)count * sizeof *runs + metadata.size + 1);
    runs = (struct run_about *)(void *)memory;
    for (uint64_t i = 0; i < count; i++) {
        struct cairn_bytes sha256;

        runs[i] = (struct run_about){.id = cairn_read_u64(&reader),
                                     .bytes = cairn_read_u64(&reader),
                                     .records = cairn_read_u64(&reader),
                                     .tombstones = cairn_read_u64(&reader),
                                     .level = (uint32_t)cairn_read_varint(&reader)};
        sha256 = cairn_read_bytes(&reader, CAIRN_SHA256_BYTES);
        if (reader.bad)
            break;
        memcpy(runs[i].sha256, sha256.data, sha256.size);
    }
    if (reader.bad || cairn_reader_left(&reader) > 0) {
        free(memory);
        return false;
    }
    ret_version->automatic = automatic;
    memcpy(ret_version->engine, engine.data, engine.size);
    ret_version->engine[engine.size] = 0;
    memcpy(memory + count * sizeof *runs, metadata.data, metadata.size);
    ret_version->metadata = cairn_bytes(memory + count * sizeof *runs, metadata.size);
    ret_version->runs = runs;
    ret_version->run_count = (size_t)count;
    *ret_memory = memory;
    return true;
}

enum cairn_code version_manifest_read(struct cairn_disk *disk, uint64_t number, struct version_manifest *ret_manifest,
                                      struct cairn_err *err)
{
    struct version_manifest manifest = {0};
    char path[CAIRN_PATH_BYTES];
    struct cairn_reader reader;
    enum cairn_code code;

    version_manifest_path(number, path);
    code = cairn_disk_read_file(disk, path, MANIFEST_BYTES_MAX, &manifest.bytes, err);
    if (code == CAIRN_OK)
        code = version_sealed_open(disk, path, cairn_buf_bytes(&manifest.bytes), manifest_magic, &reader, err);
    if (code == CAIRN_OK && (!version_manifest_decode(reader, &manifest.version, &manifest.memory) ||
                             manifest.version.number != number || manifest.version.parent >= number))
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' makes no sense", path, disk->root);
    if (code == CAIRN_OK)
        *ret_manifest = manifest;
    else
        version_manifest_done(&manifest);
    return code;
}

enum cairn_code version_manifest_parse(struct cairn_bytes bytes, struct version_manifest *ret_manifest,
                                       struct cairn_err *err)
{
    struct version_manifest manifest = {0};

    if (cairn_seal_check(bytes, manifest_magic, FORMAT_VERSION, PREFIX_BYTES) != CAIRN_SEAL_WHOLE ||
        !version_manifest_decode(cairn_reader(cairn_bytes(bytes.data + PREFIX_BYTES, bytes.size - PREFIX_BYTES - 4)),
                                 &manifest.version, &manifest.memory))
        return cairn_fail(err, CAIRN_ECORRUPT, "a shard's manifest is damaged");
    *ret_manifest = manifest;
    return CAIRN_OK;
}

void version_manifest_done(struct version_manifest *manifest)
{
    cairn_buf_done(&manifest->bytes);
    free(manifest->memory);
}
