/* restore.c - takes a folder back to a version of the node; see node_version.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "shard/shard_internal.h"

#define RESTORE_PATH "RESTORE"

enum { RESTORE_BYTES_MAX = 512 << 20 };

/* --- what is to be done: a version's record, with more records of the log when it is to be later than that --- */

static enum cairn_code write_order(struct cairn_disk *disk, const struct node_version *version, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code;

    node_version_encode(version, &bytes);
    code = cairn_disk_replace_file(disk, RESTORE_PATH, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    return code;
}

enum cairn_code restore_read_order(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code = cairn_disk_read_file(store->options.disk, RESTORE_PATH, RESTORE_BYTES_MAX, &bytes, err);

    if (code == CAIRN_OK) {
        code = node_version_decode(cairn_buf_bytes(&bytes), &store->order, err);
        if (code == CAIRN_OK && store->order.count != store->count - 1)
            code = cairn_fail(err, CAIRN_ECORRUPT, "it is of %" PRIu32 " shards", store->order.count);
        if (code != CAIRN_OK)
            cairn_while(err, "reading '%s': remove it, and restore the version again with `cairn restore`",
                        RESTORE_PATH);
    }
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

/* *ret_number: of the version that the shard has then, of what it was restored to. */
static enum cairn_code restore_shard(struct cairn_shard *shard, const struct node_version *version, uint64_t end,
                                     uint64_t *ret_number, struct cairn_err *err)
{
    const struct node_version_shard *named = &version->shards[shard->index];
    enum cairn_code code = levels_restore(shard->levels, named->number, err);

    if (code == CAIRN_OK)
        code = apply_records(shard, version, named->position, err);
    shard->applied_end = shard->from = end; /* nothing that the log has by now is of this state */
    if (code == CAIRN_OK)
        code = shard_version_begin(shard, false, false, err);
    return code == CAIRN_OK ? levels_snapshot_end(shard->levels, ret_number, err) : code;
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

/* What it was restored to is a version itself, so that a later restore finds its way past this one. */
static enum cairn_code record_version(struct cairn_store *store, const struct node_version_shard *shards, uint64_t end,
                                      struct cairn_err *err)
{
    struct cairn_clock *clock = store->options.clock;
    struct cairn_shard *system = &store->shards[store->count - 1];
    struct node_version made = {.number = shards[0].number,
                                .parent = store->order.number,
                                .time_ms = clock->wall_ms(clock),
                                .cut = end,
                                .wall_ms = store->wall_ms,
                                .count = store->count - 1};
    enum cairn_code code;

    made.shards = cairn_alloc(store->count * sizeof *made.shards);
    memcpy(made.shards, shards, made.count * sizeof *shards);
    node_version_add_system(&made, system);
    code = node_version_write(store->options.disk, &made, err);
    if (code == CAIRN_OK)
        node_versions_enter(store, &made);
    else
        node_version_done(&made);
    return code;
}

enum cairn_code restore_perform(struct cairn_store *store, uint64_t end, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    const struct node_version *order = &store->order;
    struct node_version_shard *made = cairn_alloc_zeroed(store->count, sizeof *made);
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i + 1 < store->count; i++) {
        made[i].position = end;
        code = restore_shard(&store->shards[i], order, end, &made[i].number, err);
        store->manifest.shards[i] = (struct manifest_shard){.position = end, .number = made[i].number};
        if (store->options.on_recovery)
            store->options.on_recovery(store->options.context, "restoring shards", i + 1, store->count - 1);
        if (made[i].number >= store->next_number)
            store->next_number = made[i].number + 1;
    }
    if (code == CAIRN_OK)
        code = restore_system(&store->shards[store->count - 1], order, end, err);
    if (order->wall_ms > store->wall_ms)
        store->wall_ms = order->wall_ms;
    if (store->options.clock->wall_ms(store->options.clock) >
        store->wall_ms) /* no moment before it is of this branch */
        store->wall_ms = store->options.clock->wall_ms(store->options.clock);
    if (code == CAIRN_OK) {
        store->manifest.sequence++;
        store->manifest.next_number = store->next_number;
        if (store->wall_ms > store->manifest.wall_ms)
            store->manifest.wall_ms = store->wall_ms;
        code = manifest_write(disk, &store->manifest, err);
    }
    if (code == CAIRN_OK)
        code = record_version(store, made, end, err);
    if (code == CAIRN_OK)
        code = disk->ops->remove(disk, RESTORE_PATH, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    free(made);
    return code == CAIRN_OK ? code : cairn_while(err, "restoring version %" PRIu64, order->number);
}

/* --- asking for it --- */

/* The version to go to, or to go on from: of that number, or the newest that has nothing after a moment. */
static enum cairn_code find(struct cairn_store *store, uint64_t number, uint64_t wall_ms,
                            struct node_version *ret_version, struct cairn_err *err)
{
    uint64_t found = 0;

    if (!store->shards[0].levels)
        return cairn_fail(err, CAIRN_EINVAL, "the engine 'memory' keeps no versions");
    for (size_t i = 0; i < store->taking.count; i++) {
        const struct node_version *version = &store->taking.versions[i];

        if (number ? version->number == number : version->shards && version->wall_ms <= wall_ms)
            found = version->number;
    }
    if (!found && number)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %" PRIu64 "; see `cairn versions`", number);
    if (!found)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version from before that moment; see `cairn versions`");
    return node_version_read(store->options.disk, found, ret_version, err);
}

/* That all that it names is whole: before the point of no return. */
static enum cairn_code check(struct cairn_store *store, const struct node_version *version, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i < version->count && i + 1 < store->count; i++) {
        code = versions_verify(levels_versions(store->shards[i].levels), version->shards[i].number, err);
        if (store->options.on_recovery)
            store->options.on_recovery(store->options.context, "checking shards", i + 1, version->count);
    }
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

/* With the folder locked. */
static enum cairn_code prepare(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                               uint64_t *ret_undo, struct node_version *order, uint64_t *ret_archive_id,
                               uint64_t *ret_end, struct cairn_err *err)
{
    struct cairn_store *store;
    enum cairn_code code = store_open_locked(options, &store, err);

    if (code != CAIRN_OK)
        return code;
    code = find(store, number, wall_ms, order, err);
    if (code == CAIRN_OK)
        code = check(store, order, err);
    if (code == CAIRN_OK)
        code = cairn_store_start(store, err);
    if (code == CAIRN_OK)
        code = take_version(store, ret_undo, err);
    if (code == CAIRN_OK) {
        *ret_archive_id = store->archive.id;
        *ret_end = store->log->ops->end(store->log);
        return cairn_store_close(store, true, err); /* and all of the log is in the archive */
    }
    cairn_store_abandon(store);
    return code;
}

static enum cairn_code restore(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                               uint64_t *ret_undo, struct cairn_err *err)
{
    struct cairn_store *store;
    struct node_version order = {0};
    uint64_t archive_id, end;
    enum cairn_code code = options->disk->ops->lock(options->disk, err);

    if (code == CAIRN_OK)
        code = prepare(options, number, wall_ms, ret_undo, &order, &archive_id, &end, err);
    if (code == CAIRN_OK && !number)
        code = archive_extend(options->archive, archive_id, end, &order, wall_ms, err);
    if (code == CAIRN_OK)
        code = write_order(options->disk, &order, err);
    node_version_done(&order);
    if (code == CAIRN_OK)
        code = store_open_locked(options, &store, err);
    if (code != CAIRN_OK)
        return code;
    code = cairn_store_start(store, err);
    if (code == CAIRN_OK)
        return cairn_store_close(store, false, err);
    cairn_store_abandon(store);
    return code;
}

enum cairn_code cairn_store_restore(const struct cairn_store_options *options, uint64_t number, uint64_t *ret_undo,
                                    struct cairn_err *err)
{
    return restore(options, number, 0, ret_undo, err);
}

enum cairn_code cairn_store_restore_at(const struct cairn_store_options *options, uint64_t wall_ms, uint64_t *ret_undo,
                                       struct cairn_err *err)
{
    if (!options->archive)
        return cairn_fail(err, CAIRN_EINVAL, "going to a moment needs the archive that the node has kept");
    return restore(options, 0, wall_ms, ret_undo, err);
}
