/* manifest_fuzz.c - a manifest, and a head, whose checksums are right and which say what the fuzzer wants.
 *
 * Input: one byte, 1 for the head; the rest is what lies between its prefix and its checksum. */
#include <stdlib.h>

#include "base/hash.h"
#include "engine/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_file(struct cairn_disk *disk, const char *path, const char *magic, const uint8_t *body, size_t size)
{
    struct cairn_buf bytes = {0};
    struct cairn_err err;

    cairn_buf_add(&bytes, magic, 8);
    cairn_put_u32(cairn_buf_reserve(&bytes, 4), 2);
    bytes.size += 4;
    cairn_buf_add(&bytes, body, size);
    cairn_put_u32(cairn_buf_reserve(&bytes, 4), cairn_crc32c(0, bytes.data, bytes.size));
    bytes.size += 4;
    if (cairn_disk_replace_file(disk, path, cairn_buf_bytes(&bytes), &err) != CAIRN_OK)
        abort();
    cairn_buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct versions *versions;
    struct version version = {.engine = "fuzz"};
    const struct version *found;
    struct cairn_err err;
    uint64_t number;

    if (size && versions_open(disk, 0, NULL, &versions, &err) == CAIRN_OK) {
        if (versions_add(versions, &version, &number, &err) != CAIRN_OK)
            abort();
        versions_close(versions);
        if (data[0] % 2)
            put_file(disk, "HEAD", "CAIRNHED", data + 1, size - 1);
        else
            put_file(disk, VERSION_DIR "/1.version", "CAIRNVER", data + 1, size - 1);
        if (versions_open(disk, 0, NULL, &versions, &err) == CAIRN_OK) {
            for (size_t i = 0; (found = versions_at(versions, i)); i++)
                if (found->metadata.size > VERSION_METADATA_BYTES_MAX || found->run_count > VERSION_RUNS_MAX)
                    abort();
            if (versions_add(versions, &version, &number, &err) == CAIRN_OK && !versions_find(versions, number))
                abort();
            versions_close(versions);
        }
    }
    cairn_disk_close(disk);
    return 0;
}
