/* format.c - the file that says which format a data folder has, and what is said of others (docs/formats/folder.md). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "shard/shard_internal.h"

/* Before 3 an object's shard was a hash of its type and id. */
enum { FORMAT_VERSION = 3 };

enum cairn_code format_fail_version(const char *what, unsigned version, unsigned known, struct cairn_err *err)
{
    if (version < known)
        return cairn_fail(err, CAIRN_EVERSION,
                          "%s has format version %u, which an earlier version of cairn made, and this program knows "
                          "only %u: use the program that wrote it, the binary of that earlier version",
                          what, version, known);
    return cairn_fail(err, CAIRN_EVERSION,
                      "%s has format version %u and this program knows %u: use the program that wrote it", what,
                      version, known);
}

/* Text, because it is the first thing that a person looks at. */
void format_encode(struct cairn_buf *to, uint32_t shards, const char *engine)
{
    cairn_buf_printf(to, "cairn data folder\nversion %d\nshards %" PRIu32 "\nslots even\nengine %s\n", FORMAT_VERSION,
                     shards, engine);
    cairn_buf_printf(to, "crc32c %08" PRIx32 "\n", cairn_crc32c(0, to->data, to->size));
}

/* Every version's file begins with the same line, then `version N`, and ends with the checksum of
 * all before it; so a damaged file is never taken for one of another version. */
enum cairn_code format_decode(struct cairn_bytes text, uint32_t *ret_shards, const char **ret_engine,
                              struct cairn_err *err)
{
    static const char first_line[] = "cairn data folder\nversion ";
    enum { LAST_LINE_BYTES = sizeof "crc32c 01234567\n" - 1 };
    char copy[FORMAT_BYTES_MAX + 1], checksum[LAST_LINE_BYTES + 1];
    struct cairn_buf canonical = {0};
    char engine[32] = "";
    unsigned version = 0;
    uint32_t shards = 0;
    size_t choice = 0;
    bool same;

    assert(text.size <= FORMAT_BYTES_MAX);
    if (text.size)
        memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    if (text.size < sizeof first_line + LAST_LINE_BYTES || memcmp(copy, first_line, sizeof first_line - 1) != 0)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' is damaged at byte 0, or this is not a data folder of cairn; restore it from a backup",
                          FORMAT_PATH);
    snprintf(checksum, sizeof checksum, "crc32c %08" PRIx32 "\n",
             cairn_crc32c(0, text.data, text.size - LAST_LINE_BYTES));
    if (memcmp(copy + text.size - LAST_LINE_BYTES, checksum, LAST_LINE_BYTES) != 0)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' is damaged: the checksum at byte %zu does not match; restore it from a backup",
                          FORMAT_PATH, text.size - LAST_LINE_BYTES);
    if (sscanf(copy + sizeof first_line - 1, "%u\nshards %" SCNu32 "\nslots even\nengine %31s\n", &version, &shards,
               engine) < 1 ||
        version != FORMAT_VERSION)
        return format_fail_version("the data folder", version, FORMAT_VERSION, err);
    format_encode(&canonical, shards, engine);
    same = cairn_bytes_equal(cairn_buf_bytes(&canonical), text);
    cairn_buf_done(&canonical);
    if (!same || shards < 1 || shards > SHARDS_MAX)
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged: its lines make no sense; restore it from a backup",
                          FORMAT_PATH);
    if (choice_find(engine, &choice, err) != CAIRN_OK)
        return cairn_while(err, "opening a data folder of another version of this program");
    *ret_shards = shards;
    *ret_engine = choice_name(choice);
    return CAIRN_OK;
}
