#include "cache/generation.h"

#include <inttypes.h>

#include "base/hash.h"

static const char name[] = "cache-generation";

#define STEP (UINT64_C(1) << 32)

static enum cairn_code write_bound(struct cairn_disk *disk, uint64_t bound, struct cairn_err *err)
{
    uint8_t bytes[CAIRN_GENERATION_BYTES] = {'C', 'G', 'N', '1'};
    enum cairn_code code;

    cairn_put_u64(bytes + 4, bound);
    cairn_put_u32(bytes + 12, cairn_crc32c(0, bytes, 12));
    code = cairn_disk_replace_file(disk, name, cairn_bytes(bytes, sizeof bytes), err);
    return code == CAIRN_OK ? code : cairn_while(err, "raising the bound of the cache's generations");
}

enum cairn_code cairn_generation_open(struct cairn_disk *disk, uint64_t *ret_first, uint64_t *ret_bound,
                                      struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    uint64_t first = STEP; /* 0 is of what never was */
    enum cairn_code code = cairn_disk_read_file(disk, name, CAIRN_GENERATION_BYTES, &bytes, err);

    if (code == CAIRN_OK) {
        if (bytes.size != CAIRN_GENERATION_BYTES || memcmp(bytes.data, "CGN1", 4) != 0 ||
            cairn_get_u32(bytes.data + 12) != cairn_crc32c(0, bytes.data, 12))
            code = cairn_fail(err, CAIRN_ECORRUPT,
                              "the file '%s' of the data folder is damaged: put it back from a copy, or start without "
                              "--cache",
                              name);
        else
            first = cairn_get_u64(bytes.data + 4);
    } else if (code == CAIRN_ENOTFOUND) {
        code = CAIRN_OK;
    }
    cairn_buf_done(&bytes);
    if (code == CAIRN_OK && first > UINT64_MAX - 2 * STEP)
        code = cairn_fail(err, CAIRN_ELIMIT, "all generations of the cache's keys have been given");
    if (code == CAIRN_OK)
        code = write_bound(disk, first + STEP, err);
    if (code != CAIRN_OK)
        return code;
    *ret_first = first;
    *ret_bound = first + STEP;
    return CAIRN_OK;
}

enum cairn_code cairn_generation_raise(struct cairn_disk *disk, struct cairn_cache *cache, struct cairn_err *err)
{
    uint64_t bound = cairn_cache_generation_bound(cache);
    enum cairn_code code;

    if (cairn_cache_next_generation(cache) + STEP / 2 < bound || bound > UINT64_MAX - 2 * STEP)
        return CAIRN_OK;
    code = write_bound(disk, bound + STEP, err);
    if (code == CAIRN_OK)
        cairn_cache_raise_bound(cache, bound + STEP);
    return code;
}
