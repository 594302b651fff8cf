#include "shard/previous.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "shard/shard_internal.h"

enum {
    VERSION_VERSION = 1, /* of an archived version */
    OBJECT_BYTES_MAX = 512 << 20,
};

/* --- the data folder --- */

bool previous_format_decode(struct cairn_bytes text, uint32_t *ret_shards, const char **ret_engine)
{
    char copy[FORMAT_BYTES_MAX + 1], engine[32] = "memory";
    struct cairn_buf canonical = {0};
    unsigned version = 0;
    uint32_t shards = 0;
    size_t choice = 0;
    bool same;

    if (text.size > FORMAT_BYTES_MAX)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    if (sscanf(copy, "cairn data folder\nversion %u\nshards %" SCNu32 "\nengine %31s\n", &version, &shards, engine) < 2)
        return false;
    cairn_buf_printf(&canonical, "cairn data folder\nversion %u\nshards %" PRIu32 "\n", version, shards);
    if (version == 2)
        cairn_buf_printf(&canonical, "engine %s\n", engine);
    cairn_buf_printf(&canonical, "crc32c %08" PRIx32 "\n", cairn_crc32c(0, canonical.data, canonical.size));
    same = cairn_bytes_equal(cairn_buf_bytes(&canonical), text);
    cairn_buf_done(&canonical);
    if (!same || version < 1 || version > 2 || shards < 1 || shards > SHARDS_MAX ||
        choice_find(engine, &choice, NULL) != CAIRN_OK)
        return false;
    *ret_shards = shards;
    *ret_engine = choice_name(choice);
    return true;
}

/* --- the blob store --- */

static void take_name(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    (void)bytes;
    (void)age_ms;
    snprintf(context, CAIRN_BLOB_NAME_BYTES, "versions/%.200s", name);
}

/* By any of its versions. */
enum cairn_code previous_is_archive(struct cairn_blob *blob, bool *ret_previous, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES] = "";
    struct cairn_buf bytes = {0};
    enum cairn_code code = blob->ops->list(blob, "versions", take_name, name, err);

    *ret_previous = false;
    if (code == CAIRN_OK && name[0])
        code = blob->ops->get(blob, name, OBJECT_BYTES_MAX, &bytes, err);
    if (code == CAIRN_OK && bytes.size >= 12)
        *ret_previous = memcmp(bytes.data, "CAIRNAVE", 8) == 0 && cairn_get_u32(bytes.data + 8) == VERSION_VERSION;
    cairn_buf_done(&bytes);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}
