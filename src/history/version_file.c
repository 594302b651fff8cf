/* version_file.c - the record of a version of the node (docs/formats/node-version.md). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/seal.h"
#include "history/history_internal.h"

enum {
    VERSION = 1,
    HEAD_BYTES = 68, /* magic, version of the format, count, numbers, times, cut, flags */
    SHARD_BYTES = 16,
    FILE_BYTES_MAX = 512 << 20,
};

#define FLAG_SCHEDULED 1u
#define FLAG_RESTORED  2u

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'N', 'O', 'D'};

static void path_of(uint64_t number, char path[CAIRN_PATH_BYTES])
{
    snprintf(path, CAIRN_PATH_BYTES, VERSIONS_DIR "/%" PRIu64 ".version", number);
}

void node_version_done(struct node_version *version)
{
    free(version->shards);
    cairn_buf_done(&version->system);
    cairn_buf_done(&version->records);
    *version = (struct node_version){0};
}

void node_version_encode(const struct node_version *version, struct cairn_buf *to)
{
    size_t begin = to->size, head = HEAD_BYTES + (size_t)version->count * SHARD_BYTES;
    uint8_t *at;

    cairn_seal_begin(to, magic, VERSION);
    cairn_buf_reserve(to, head);
    at = to->data + begin;
    cairn_put_u32(at + 12, version->count);
    cairn_put_u64(at + 16, version->number);
    cairn_put_u64(at + 24, version->parent);
    cairn_put_u64(at + 32, version->time_ms);
    cairn_put_u64(at + 40, version->wall_ms);
    cairn_put_u64(at + 48, version->cut);
    cairn_put_u32(at + 56, (version->scheduled ? FLAG_SCHEDULED : 0) | (version->restored ? FLAG_RESTORED : 0));
    cairn_put_u64(at + 60, version->system.size);
    for (uint32_t i = 0; i < version->count; i++) {
        cairn_put_u64(at + HEAD_BYTES + (size_t)i * SHARD_BYTES, version->shards[i].number);
        cairn_put_u64(at + HEAD_BYTES + (size_t)i * SHARD_BYTES + 8, version->shards[i].position);
    }
    to->size = begin + head;
    cairn_buf_add(to, version->system.data, version->system.size);
    cairn_buf_add(to, version->records.data, version->records.size);
    cairn_seal_end(to, begin);
}

/* Whether a list of pairs, or of records, fills the bytes. */
static bool pairs_are_whole(struct cairn_bytes bytes, bool records)
{
    struct cairn_reader r = cairn_reader(bytes);

    while (!r.bad && cairn_reader_left(&r)) {
        if (records)
            cairn_read_u64(&r);
        else
            cairn_read_sized(&r);
        cairn_read_sized(&r);
    }
    return !r.bad;
}

enum cairn_code node_version_decode(struct cairn_bytes bytes, struct node_version *ret_version, struct cairn_err *err)
{
    struct node_version version = {0};
    size_t head, body;
    uint64_t system;
    uint32_t flags;

    switch (cairn_seal_check(bytes, magic, VERSION, HEAD_BYTES)) {
    case CAIRN_SEAL_DAMAGED:
        return cairn_fail(err, CAIRN_ECORRUPT, "it is damaged");
    case CAIRN_SEAL_VERSION:
        return format_fail_version("it", cairn_seal_version(bytes), VERSION, err);
    case CAIRN_SEAL_WHOLE:
        break;
    }
    version.count = cairn_get_u32(bytes.data + 12);
    version.number = cairn_get_u64(bytes.data + 16);
    version.parent = cairn_get_u64(bytes.data + 24);
    version.time_ms = cairn_get_u64(bytes.data + 32);
    version.wall_ms = cairn_get_u64(bytes.data + 40);
    version.cut = cairn_get_u64(bytes.data + 48);
    flags = cairn_get_u32(bytes.data + 56);
    version.scheduled = flags & FLAG_SCHEDULED;
    version.restored = flags & FLAG_RESTORED;
    system = cairn_get_u64(bytes.data + 60);
    head = HEAD_BYTES + (size_t)version.count * SHARD_BYTES;
    if (version.count < 1 || version.count > SHARDS_MAX || version.parent >= version.number ||
        (flags & ~(FLAG_SCHEDULED | FLAG_RESTORED)) || bytes.size - 4 < head || system > bytes.size - 4 - head)
        return cairn_fail(err, CAIRN_ECORRUPT, "it makes no sense");
    body = bytes.size - 4 - head - (size_t)system;
    if (!pairs_are_whole(cairn_bytes(bytes.data + head, (size_t)system), false) ||
        !pairs_are_whole(cairn_bytes(bytes.data + head + system, body), true))
        return cairn_fail(err, CAIRN_ECORRUPT, "what it holds makes no sense");
    version.shards = cairn_alloc(version.count * sizeof *version.shards);
    for (uint32_t i = 0; i < version.count; i++) {
        const uint8_t *at = bytes.data + HEAD_BYTES + (size_t)i * SHARD_BYTES;

        version.shards[i] = (struct node_version_shard){cairn_get_u64(at), cairn_get_u64(at + 8)};
        if (version.shards[i].number == 0 || version.shards[i].position > version.cut) {
            node_version_done(&version);
            return cairn_fail(err, CAIRN_ECORRUPT, "a shard's line makes no sense");
        }
    }
    cairn_buf_add(&version.system, bytes.data + head, (size_t)system);
    cairn_buf_add(&version.records, bytes.data + head + system, body);
    *ret_version = version;
    return CAIRN_OK;
}

enum cairn_code node_version_get(struct cairn_disk *disk, uint64_t number, struct cairn_buf *to,
                                 struct node_version *ret_version, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    enum cairn_code code;

    path_of(number, path);
    code = cairn_disk_read_file(disk, path, FILE_BYTES_MAX, to, err);
    if (code != CAIRN_OK)
        return code;
    code = node_version_decode(cairn_buf_bytes(to), ret_version, err);
    if (code == CAIRN_OK && ret_version->number != number) {
        node_version_done(ret_version);
        code = cairn_fail(err, CAIRN_ECORRUPT, "it is of another version");
    }
    return code == CAIRN_OK
               ? code
               : cairn_while(err, "reading '%s'; restore it from a backup, or, to give that version up, remove it",
                             path);
}

enum cairn_code node_version_read(struct cairn_disk *disk, uint64_t number, struct node_version *ret_version,
                                  struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code = node_version_get(disk, number, &bytes, ret_version, err);

    cairn_buf_done(&bytes);
    return code;
}

enum cairn_code node_version_write(struct cairn_disk *disk, const struct node_version *version, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    struct cairn_buf bytes = {0};
    enum cairn_code code;

    path_of(version->number, path);
    node_version_encode(version, &bytes);
    code = cairn_disk_replace_file(disk, path, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    return code;
}

enum cairn_code node_version_remove(struct cairn_disk *disk, uint64_t number, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    enum cairn_code code;

    path_of(number, path);
    code = disk->ops->remove(disk, path, err);
    return code == CAIRN_OK ? disk->ops->sync_dir(disk, VERSIONS_DIR, err) : code;
}

static void take_name(void *context, const char *name)
{
    char path[CAIRN_PATH_BYTES];
    uint64_t number;

    if (sscanf(name, "%" SCNu64 ".version", &number) != 1)
        return;
    path_of(number, path); /* scanf is lenient: compare with the one spelling */
    if (strcmp(name, path + strlen(VERSIONS_DIR "/")) == 0)
        ids_insert(context, number);
}

enum cairn_code node_versions_list(struct cairn_disk *disk, void (*warn)(void *context, const char *text),
                                   void *context, struct node_version **ret_versions, size_t *ret_count,
                                   struct cairn_err *err)
{
    struct cairn_buf numbers = {0};
    struct node_version *versions;
    size_t count = 0;
    enum cairn_code code = disk->ops->list(disk, VERSIONS_DIR, take_name, &numbers, err);

    if (code == CAIRN_ENOTFOUND)
        code = CAIRN_OK;
    versions = cairn_alloc((numbers.size / 8 + 1) * sizeof *versions);
    for (size_t at = 0; code == CAIRN_OK && at < numbers.size; at += 8) {
        struct cairn_err why;

        versions[count] = (struct node_version){.number = cairn_get_u64(numbers.data + at)};
        code = node_version_read(disk, versions[count].number, &versions[count], &why);
        if (code == CAIRN_ECORRUPT || code == CAIRN_EVERSION) {
            warn(context, why.text);
            code = CAIRN_OK;
        } else if (code != CAIRN_OK) {
            cairn_fail(err, code, "%s", why.text);
            break;
        }
        cairn_buf_done(&versions[count].system);
        cairn_buf_done(&versions[count++].records);
    }
    cairn_buf_done(&numbers);
    if (code != CAIRN_OK) {
        while (count > 0)
            node_version_done(&versions[--count]);
        free(versions);
        return code;
    }
    *ret_versions = versions;
    *ret_count = count;
    return CAIRN_OK;
}
