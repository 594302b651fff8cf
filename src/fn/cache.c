/* Compiled modules on disk, so that a restart does not compile again.
 *
 * A file <first 32 hex digits of the module's hash>-<first 16 of the engine's key>.cwasm:
 *     0  8   "CAIRNCWM"
 *     8  4   version, 1
 *    12  4   0
 *    16  32  SHA-256 of the .wasm
 *    48  32  the engine's key: SHA-256 of version and settings
 *    80  8   size of the compiled code
 *    88  32  SHA-256 of the 88 bytes above and the SHA-256 of the compiled code
 *   120  n   the compiled code
 * It is taken if and only if every one of these fits.  Compiled code is machine code: nothing that fails a check
 * is ever handed to Wasmtime, which trusts it.  Anything wrong is a miss: the file is made anew.  A cache that
 * cannot be read or written costs time and nothing else, so no failure leaves here. */
#include "fn/fn_internal.h"

#include <stdio.h>

enum { HEADER_BYTES = 120, CHECKED_BYTES = 88, VERSION = 1 };

static const char magic[] = "CAIRNCWM";

static const uint64_t file_bytes_max = (uint64_t)1 << 30;

static bool file_path(struct cairn_fn *fn, const uint8_t hash[CAIRN_SHA256_BYTES], char path[CAIRN_PATH_BYTES])
{
    char module[33], engine[17];
    int n;

    if (!fn->options.cache_disk || !fn->options.cache_dir)
        return false;
    for (int i = 0; i < 16; i++)
        snprintf(module + 2 * i, 3, "%02x", hash[i]);
    for (int i = 0; i < 8; i++)
        snprintf(engine + 2 * i, 3, "%02x", fn->engine_key[i]);
    n = snprintf(path, CAIRN_PATH_BYTES, "%s/%s-%s.cwasm", fn->options.cache_dir, module, engine);
    return n > 0 && n < CAIRN_PATH_BYTES;
}

static void make_header(struct cairn_fn *fn, const uint8_t hash[CAIRN_SHA256_BYTES], uint64_t code_bytes,
                        uint8_t header[CHECKED_BYTES])
{
    memcpy(header, magic, 8);
    cairn_put_u32(header + 8, VERSION);
    cairn_put_u32(header + 12, 0);
    memcpy(header + 16, hash, CAIRN_SHA256_BYTES);
    memcpy(header + 48, fn->engine_key, CAIRN_SHA256_BYTES);
    cairn_put_u64(header + 80, code_bytes);
}

/* SHA-256 of the head and of the code's own SHA-256, so that the code need not be copied. */
static void checksum(struct cairn_bytes head, struct cairn_bytes code, uint8_t digest[CAIRN_SHA256_BYTES])
{
    uint8_t both[CHECKED_BYTES + CAIRN_SHA256_BYTES];

    memcpy(both, head.data, CHECKED_BYTES);
    cairn_sha256(code, both + CHECKED_BYTES);
    cairn_sha256(cairn_bytes(both, sizeof both), digest);
}

static bool whole(struct cairn_fn *fn, const uint8_t hash[CAIRN_SHA256_BYTES], struct cairn_bytes file)
{
    uint8_t header[CHECKED_BYTES], digest[CAIRN_SHA256_BYTES];

    if (file.size < HEADER_BYTES)
        return false;
    make_header(fn, hash, file.size - HEADER_BYTES, header);
    if (memcmp(file.data, header, CHECKED_BYTES) != 0)
        return false;
    checksum(cairn_bytes(header, CHECKED_BYTES), cairn_bytes(file.data + HEADER_BYTES, file.size - HEADER_BYTES),
             digest);
    return memcmp(file.data + CHECKED_BYTES, digest, sizeof digest) == 0;
}

wasmtime_module_t *fn_cache_load(struct cairn_fn *fn, const uint8_t hash[CAIRN_SHA256_BYTES])
{
    char path[CAIRN_PATH_BYTES];
    struct cairn_buf file = {0};
    struct cairn_err err;
    wasmtime_module_t *code = NULL;

    if (!file_path(fn, hash, path))
        return NULL;
    if (cairn_disk_read_file(fn->options.cache_disk, path, file_bytes_max, &file, &err) == CAIRN_OK &&
        whole(fn, hash, cairn_buf_bytes(&file))) {
        wasmtime_error_t *error =
            wasmtime_module_deserialize(fn->engine, file.data + HEADER_BYTES, file.size - HEADER_BYTES, &code);

        if (error) { /* for instance made on another kind of processor */
            wasmtime_error_delete(error);
            code = NULL;
        }
    }
    cairn_buf_done(&file);
    return code;
}

void fn_cache_store(struct cairn_fn *fn, const uint8_t hash[CAIRN_SHA256_BYTES], struct cairn_bytes code)
{
    struct cairn_disk *disk = fn->options.cache_disk;
    uint8_t header[HEADER_BYTES];
    char path[CAIRN_PATH_BYTES];
    struct cairn_buf file = {0};
    struct cairn_err err;

    if (!file_path(fn, hash, path))
        return;
    make_header(fn, hash, code.size, header);
    checksum(cairn_bytes(header, CHECKED_BYTES), code, header + CHECKED_BYTES);
    cairn_buf_add(&file, header, sizeof header);
    cairn_buf_add(&file, code.data, code.size);
    if (disk->ops->make_dir(disk, fn->options.cache_dir, &err) == CAIRN_OK)
        cairn_disk_replace_file(disk, path, cairn_buf_bytes(&file), &err);
    cairn_buf_done(&file);
}
