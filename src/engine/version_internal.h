/* version_internal.h - what version.c and version_manifest.c share: files under a magic number and a checksum. */
#ifndef CAIRN_ENGINE_VERSION_INTERNAL_H
#define CAIRN_ENGINE_VERSION_INTERNAL_H

#include "engine/version.h"

enum {
    VERSION_PREFIX_BYTES = 12, /* magic, version of the format */
    VERSION_MANIFEST_BYTES_MAX = VERSION_METADATA_BYTES_MAX + VERSION_RUNS_MAX * 96 + 4096,
};

void version_sealed_begin(struct cairn_buf *bytes, const char magic[8]);
/* What lies between prefix and checksum. */
enum cairn_code version_sealed_open(struct cairn_disk *disk, const char *path, struct cairn_bytes bytes,
                                    const char magic[8], struct cairn_reader *ret_reader, struct cairn_err *err);

void version_manifest_path(uint64_t number, char path[CAIRN_PATH_BYTES]);
void version_manifest_encode(const struct version *version, struct cairn_buf *to);
/* *ret_memory is what the version points to; to be freed. */
bool version_manifest_decode(struct cairn_reader reader, struct version *ret_version, void **ret_memory);

#endif
