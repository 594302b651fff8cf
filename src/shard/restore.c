/* restore.c - takes a folder back to a version of the node; see node_version.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "shard/shard_internal.h"

#define RESTORE_PATH "RESTORE"

enum { RESTORE_BYTES = 20 };

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'R', 'E', 'S'};

/* --- what is to be done --- */

static enum cairn_code write_order(struct cairn_disk *disk, uint64_t number, struct cairn_err *err)
{
    uint8_t bytes[RESTORE_BYTES];

    memcpy(bytes, magic, sizeof magic);
    cairn_put_u64(bytes + 8, number);
    cairn_put_u32(bytes + 16, cairn_crc32c(0, bytes, 16));
    return cairn_disk_replace_file(disk, RESTORE_PATH, cairn_bytes(bytes, sizeof bytes), err);
}

enum cairn_code restore_read_order(struct cairn_disk *disk, uint64_t *ret_number, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code = cairn_disk_read_file(disk, RESTORE_PATH, RESTORE_BYTES, &bytes, err);

    *ret_number = 0;
    if (code == CAIRN_OK && (bytes.size != RESTORE_BYTES || memcmp(bytes.data, magic, sizeof magic) != 0 ||
                             cairn_get_u32(bytes.data + 16) != cairn_crc32c(0, bytes.data, 16)))
        code =
            cairn_fail(err, CAIRN_ECORRUPT,
                       "'%s' is damaged: remove it, and restore the version again with `cairn restore`", RESTORE_PATH);
    else if (code == CAIRN_OK)
        *ret_number = cairn_get_u64(bytes.data + 8);
    cairn_buf_done(&bytes);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

/* --- doing it --- */

/* What the version's records have for a shard, from a position on. */
static enum cairn_code apply_records(struct cairn_shard *shard, const struct node_version *version, uint64_t from,
                                     struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&version->records));
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && cairn_reader_left(&r)) {
        uint64_t position = cairn_read_u64(&r);
        struct cairn_reader body = cairn_reader(cairn_read_sized(&r));
        struct commit_head head;

        code = commit_read_head(&body, &head, err);
        if (code != CAIRN_OK || head.shard != shard->index || position < from)
            continue;
        for (uint64_t i = 0; code == CAIRN_OK && i < head.writes; i++) {
            struct cairn_write write;

            code = commit_read_write(&body, &write, err);
            if (code == CAIRN_OK)
                code = shard_apply(shard, &write, cairn_hash(write.key), err);
        }
    }
    return code;
}

static enum cairn_code restore_shard(struct cairn_shard *shard, const struct node_version *version, uint64_t end,
                                     struct cairn_err *err)
{
    const struct node_version_shard *named = &version->shards[shard->index];
    uint64_t number;
    enum cairn_code code = levels_restore(shard->levels, named->number, err);

    if (code == CAIRN_OK)
        code = apply_records(shard, version, named->position, err);
    shard->applied_end = shard->from = end; /* nothing that the log has by now is of this state */
    if (code == CAIRN_OK)
        code = shard_version_begin(shard, true, false, err);
    if (code == CAIRN_OK)
        code = levels_snapshot_end(shard->levels, &number, err);
    if (code == CAIRN_OK)
        shard->store->manifest.shards[shard->index] = (struct manifest_shard){.position = end, .number = number};
    return code;
}

static enum cairn_code restore_system(struct cairn_shard *shard, const struct node_version *version, uint64_t end,
                                      struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&version->system));
    struct manifest_shard made = {.position = end};
    enum cairn_code code;

    shard->engine->ops->close(shard->engine);
    shard->engine = cairn_memory_create();
    while (cairn_reader_left(&r)) {
        struct cairn_bytes key = cairn_read_sized(&r), value = cairn_read_sized(&r);

        shard->engine->ops->put(shard->engine, key, cairn_hash(key), value);
    }
    code = apply_records(shard, version, 0, err);
    shard->applied_end = shard->from = end;
    made.number = store->next_number++;
    if (code == CAIRN_OK)
        code = checkpoint_write(store, shard, &made, err);
    if (code == CAIRN_OK)
        store->manifest.shards[shard->index] = made;
    return code;
}

enum cairn_code restore_perform(struct cairn_store *store, uint64_t number, uint64_t end, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    struct node_version version = {0};
    enum cairn_code code = node_version_read(disk, number, &version, err);

    if (code == CAIRN_OK && version.count != store->count - 1)
        code = cairn_fail(err, CAIRN_ECORRUPT, "version %" PRIu64 " has %" PRIu32 " shards", number, version.count);
    for (uint32_t i = 0; code == CAIRN_OK && i + 1 < store->count; i++) {
        code = restore_shard(&store->shards[i], &version, end, err);
        if (store->options.on_recovery)
            store->options.on_recovery(store->options.context, "restoring shards", i + 1, store->count - 1);
        if (store->shards[i].levels && store->manifest.shards[i].number >= store->next_number)
            store->next_number = store->manifest.shards[i].number + 1;
    }
    if (code == CAIRN_OK)
        code = restore_system(&store->shards[store->count - 1], &version, end, err);
    if (version.wall_ms > store->wall_ms)
        store->wall_ms = version.wall_ms;
    node_version_done(&version);
    if (code == CAIRN_OK) {
        store->manifest.sequence++;
        store->manifest.next_number = store->next_number;
        if (store->wall_ms > store->manifest.wall_ms)
            store->manifest.wall_ms = store->wall_ms;
        code = manifest_write(disk, &store->manifest, err);
    }
    if (code == CAIRN_OK)
        code = disk->ops->remove(disk, RESTORE_PATH, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    return code == CAIRN_OK ? code : cairn_while(err, "restoring version %" PRIu64, number);
}

/* --- asking for it --- */

/* That it is there, and all that it names whole: before the point of no return. */
static enum cairn_code check(struct cairn_store *store, uint64_t number, struct cairn_err *err)
{
    struct node_version version = {0};
    enum cairn_code code = CAIRN_ENOTFOUND;

    if (!store->shards[0].levels)
        return cairn_fail(err, CAIRN_EINVAL, "the engine 'memory' keeps no versions");
    for (size_t i = 0; i < store->taking.count; i++)
        if (store->taking.versions[i].number == number)
            code = CAIRN_OK;
    if (code != CAIRN_OK)
        return cairn_fail(err, code, "there is no version %" PRIu64 "; see `cairn versions`", number);
    code = node_version_read(store->options.disk, number, &version, err);
    for (uint32_t i = 0; code == CAIRN_OK && i < version.count && i + 1 < store->count; i++) {
        code = versions_verify(levels_versions(store->shards[i].levels), version.shards[i].number, err);
        if (store->options.on_recovery)
            store->options.on_recovery(store->options.context, "checking shards", i + 1, version.count);
    }
    node_version_done(&version);
    return code;
}

/* Of the state as it is: the way back. */
static enum cairn_code take_version(struct cairn_store *store, uint64_t *ret_number, struct cairn_err *err)
{
    enum cairn_code code = cairn_store_version_begin(store, false, err);

    if (code != CAIRN_OK)
        return code;
    while (!cairn_store_version_poll(store, ret_number, &code, err)) {
        for (uint32_t i = 0; i < store->count; i++)
            cairn_shard_step(&store->shards[i], 10000000);
        store_wait_a_little(store);
    }
    return code;
}

enum cairn_code cairn_store_restore(const struct cairn_store_options *options, uint64_t number, uint64_t *ret_undo,
                                    struct cairn_err *err)
{
    struct cairn_store *store;
    enum cairn_code code = cairn_store_open(options, &store, err);

    if (code != CAIRN_OK)
        return code;
    code = check(store, number, err);
    if (code == CAIRN_OK)
        code = cairn_store_start(store, err);
    if (code == CAIRN_OK)
        code = take_version(store, ret_undo, err);
    if (code == CAIRN_OK)
        code = cairn_store_close(store, true, err);
    else
        cairn_store_abandon(store);
    if (code == CAIRN_OK)
        code = write_order(options->disk, number, err);
    if (code == CAIRN_OK)
        code = store_open_locked(options, &store, err);
    if (code == CAIRN_OK) {
        code = cairn_store_start(store, err);
        if (code == CAIRN_OK)
            code = cairn_store_close(store, false, err);
        else
            cairn_store_abandon(store);
    }
    return code;
}
