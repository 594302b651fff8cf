#include "shard/previous.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "shard/shard_internal.h"

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
