/* restore.c - takes a folder back to a version of the node; see node_version.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/seal.h"
#include "history/history_internal.h"

#define RESTORE_PATH "RESTORE"

enum {
    VERSION = 1,
    HEAD_BYTES = 32, /* magic, version, 0, until, the log's epoch */
    ORDER_BYTES_MAX = 512 << 20,
};

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'R', 'S', 'T'};

/* --- what is to be done: a version's record, and which of the archive's records come over it --- */

enum cairn_code restore_write_order(struct cairn_disk *disk, const struct restore_order *order, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code;

    cairn_seal_begin(&bytes, magic, VERSION);
    cairn_buf_reserve(&bytes, HEAD_BYTES);
    cairn_put_u32(bytes.data + 12, 0);
    cairn_put_u64(bytes.data + 16, order->until);
    cairn_put_u64(bytes.data + 24, order->log_epoch);
    bytes.size = HEAD_BYTES;
    node_version_encode(&order->version, &bytes);
    cairn_seal_end(&bytes, 0);
    code = cairn_disk_replace_file(disk, RESTORE_PATH, cairn_buf_bytes(&bytes), err);
    cairn_buf_done(&bytes);
    return code;
}

enum cairn_code restore_decode_order(struct cairn_bytes bytes, struct restore_order *order, struct cairn_err *err)
{
    switch (cairn_seal_check(bytes, magic, VERSION, HEAD_BYTES)) {
    case CAIRN_SEAL_DAMAGED:
        return cairn_fail(err, CAIRN_ECORRUPT, "it is damaged");
    case CAIRN_SEAL_VERSION:
        return format_fail_version("it", cairn_seal_version(bytes), VERSION, err);
    case CAIRN_SEAL_WHOLE:
        break;
    }
    order->until = cairn_get_u64(bytes.data + 16);
    order->log_epoch = cairn_get_u64(bytes.data + 24);
    return node_version_decode(cairn_bytes(bytes.data + HEAD_BYTES, bytes.size - HEAD_BYTES - 4), &order->version, err);
}

enum cairn_code restore_read_order(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code = cairn_disk_read_file(store_options(store)->disk, RESTORE_PATH, ORDER_BYTES_MAX, &bytes, err);

    if (code == CAIRN_OK) {
        code = restore_decode_order(cairn_buf_bytes(&bytes), &history_of(store)->order, err);
        if (code == CAIRN_OK && history_of(store)->order.version.count != store_count(store) - 1)
            code =
                cairn_fail(err, CAIRN_ECORRUPT, "it is of %" PRIu32 " shards", history_of(store)->order.version.count);
        if (code == CAIRN_OK && history_of(store)->order.until > history_of(store)->order.version.cut &&
            !store_options(store)->archive)
            code = cairn_fail(err, CAIRN_EINVAL, "it needs the archive: give --blob");
        if (code != CAIRN_OK)
            cairn_while(err, "reading '%s', which says what the folder is to be restored to", RESTORE_PATH);
    }
    cairn_buf_done(&bytes);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

/* --- doing it --- */

static enum cairn_code apply_writes(struct cairn_engine *engine, struct cairn_reader *body,
                                    const struct commit_head *head, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint64_t i = 0; code == CAIRN_OK && i < head->writes; i++) {
        struct cairn_write write;

        code = commit_read_write(body, &write, err);
        if (code == CAIRN_OK)
            code = engine_apply(engine, &write, cairn_hash(write.key), err);
    }
    return code;
}

/* What the version's records have for a shard (its index), from a position on. */
static enum cairn_code apply_records(struct cairn_engine *engine, uint32_t index, const struct node_version *version,
                                     uint64_t from, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&version->records));
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && cairn_reader_left(&r)) {
        uint64_t position = cairn_read_u64(&r);
        struct cairn_reader body = cairn_reader(cairn_read_sized(&r));
        struct commit_head head;

        code = commit_read_head(&body, &head, err);
        if (code != CAIRN_OK || position < from)
            continue;
        do
            if (head.shard == index)
                code = apply_writes(engine, &body, &head, err);
        while (commit_read_next(&body, &head, &code, err));
    }
    return code;
}

static enum cairn_code apply_part(struct cairn_store *store, struct cairn_reader *body, const struct commit_head *head,
                                  struct cairn_err *err)
{
    if (head->shard >= store_count(store))
        return cairn_fail(err, CAIRN_ECORRUPT, "a commit of shard %" PRIu32 ", which there is not", head->shard);
    return apply_writes(shard_engine(cairn_store_shard(store, head->shard)), body, head, err);
}

/* One of the archive. */
static enum cairn_code apply_record(void *context, struct cairn_bytes bytes, struct cairn_err *err)
{
    struct cairn_store *store = context;
    struct cairn_reader body = cairn_reader(bytes);
    struct commit_head head;
    enum cairn_code code = commit_read_head(&body, &head, err);

    if (code != CAIRN_OK)
        return code;
    store_raise_wall_ms(store, head.wall_ms);
    do
        code = apply_part(store, &body, &head, err);
    while (commit_read_next(&body, &head, &code, err));
    return code;
}

/* *ret_number: of the version that the shard has then, of what it was restored to. */
static enum cairn_code end_shard(struct cairn_shard *shard, uint64_t end, uint64_t *ret_number, struct cairn_err *err)
{
    enum cairn_code code;

    shard_rebase(shard, end); /* nothing that the log has by now is of this state */
    code = shard_version_begin(shard, false, false, err);
    return code == CAIRN_OK ? shard_engine(shard)->versions->end(shard_engine(shard), ret_number, err) : code;
}

enum cairn_code node_version_load_system(const struct node_version *version, struct cairn_engine *engine,
                                         struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&version->system));

    while (cairn_reader_left(&r)) {
        struct cairn_bytes key = cairn_read_sized(&r), value = cairn_read_sized(&r);

        engine->ops->put(engine, key, cairn_hash(key), value);
    }
    return apply_records(engine, version->count, version, 0, err);
}

static enum cairn_code load_system(struct cairn_shard *shard, const struct node_version *version, struct cairn_err *err)
{
    shard_empty(shard);
    return node_version_load_system(version, shard_engine(shard), err);
}

/* What it was restored to is a version itself, so that a later restore finds its way past this one. */
static enum cairn_code record_version(struct cairn_store *store, const struct node_version_shard *shards, uint64_t end,
                                      struct cairn_err *err)
{
    struct cairn_clock *clock = store_options(store)->clock;
    struct cairn_shard *system = cairn_store_shard(store, store_count(store) - 1);
    struct node_version made = {.number = shards[0].number,
                                .parent = history_of(store)->order.version.number,
                                .time_ms = clock->wall_ms(clock),
                                .cut = end,
                                .wall_ms = cairn_store_wall_ms(store),
                                .restored = true,
                                .count = store_count(store) - 1};
    enum cairn_code code;

    made.shards = cairn_alloc(store_count(store) * sizeof *made.shards);
    memcpy(made.shards, shards, made.count * sizeof *shards);
    node_version_add_system(&made, system);
    code = node_version_write(store_options(store)->disk, &made, err);
    if (code == CAIRN_OK)
        node_versions_enter(store, &made);
    else
        node_version_done(&made);
    return code;
}

/* The engines are at the state then. */
static enum cairn_code load(struct cairn_store *store, struct cairn_err *err)
{
    const struct restore_order *order = &history_of(store)->order;
    const struct node_version *version = &order->version;
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i < version->count; i++) {
        struct cairn_engine *engine = shard_engine(cairn_store_shard(store, i));

        code = engine->versions->restore(engine, version->shards[i].number, err);
        if (code == CAIRN_OK)
            code = apply_records(engine, i, version, version->shards[i].position, err);
        store_report(store, "restoring shards", i + 1, version->count);
    }
    if (code == CAIRN_OK)
        code = load_system(cairn_store_shard(store, store_count(store) - 1), version, err);
    if (code == CAIRN_OK && order->until > version->cut)
        code = archive_replay(store_options(store)->archive, version->cut, order->until, apply_record, store, err);
    return code;
}

/* And that is durable then. */
static enum cairn_code commit(struct cairn_store *store, struct node_version_shard *made, uint64_t end,
                              struct cairn_err *err)
{
    uint64_t *numbers = cairn_alloc_zeroed(store_count(store), sizeof *numbers);
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i + 1 < store_count(store); i++) {
        made[i].position = end;
        code = end_shard(cairn_store_shard(store, i), end, &made[i].number, err);
        numbers[i] = made[i].number;
    }
    if (code == CAIRN_OK)
        code = store_rebase(store, numbers, end, err);
    free(numbers);
    return code;
}

enum cairn_code restore_perform(struct cairn_store *store, uint64_t end, struct cairn_err *err)
{
    struct cairn_disk *disk = store_options(store)->disk;
    struct cairn_clock *clock = store_options(store)->clock;
    const struct node_version *version = &history_of(store)->order.version;
    struct node_version_shard *made = cairn_alloc_zeroed(store_count(store), sizeof *made);
    enum cairn_code code;

    store_raise_wall_ms(store, version->wall_ms);
    code = load(store, err);
    store_raise_wall_ms(store, clock->wall_ms(clock)); /* no moment before it is of this branch */
    if (code == CAIRN_OK) {
        store_note_restore(store);
        code = commit(store, made, end, err);
    }
    if (code == CAIRN_OK)
        code = record_version(store, made, end, err);
    if (code == CAIRN_OK)
        code = disk->ops->remove(disk, RESTORE_PATH, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    free(made);
    return code == CAIRN_OK ? code : cairn_while(err, "restoring version %" PRIu64, version->number);
}

/* --- asking for it --- */

static enum cairn_code check_exists(const struct cairn_store_options *options, struct cairn_err *err)
{
    struct cairn_buf ignored = {0};
    enum cairn_code code = cairn_disk_read_file(options->disk, FORMAT_PATH, FORMAT_BYTES_MAX, &ignored, err);

    cairn_buf_done(&ignored);
    return code == CAIRN_ENOTFOUND ? cairn_fail(err, code, "there is no data folder in '%s'", options->disk->root)
                                   : code;
}

/* The version to go to, or to go on from: of that number, or the newest that has nothing after a moment. */
static enum cairn_code find(struct cairn_store *store, uint64_t number, uint64_t wall_ms,
                            struct node_version *ret_version, struct cairn_err *err)
{
    enum cairn_code code;
    uint64_t found;

    if (!store_has_versions(store))
        return cairn_fail(err, CAIRN_EINVAL, "the engine 'memory' keeps no versions");
    code = node_versions_find(store, number, wall_ms, &found, err);
    return code == CAIRN_OK ? node_version_read(store_options(store)->disk, found, ret_version, err) : code;
}

/* That all that it names is whole: before the point of no return. */
static enum cairn_code check(struct cairn_store *store, const struct node_version *version, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i < version->count && i + 1 < store_count(store); i++) {
        struct cairn_engine *engine = shard_engine(cairn_store_shard(store, i));

        code = versions_verify(engine->versions->list(engine), version->shards[i].number, err);
        store_report(store, "checking shards", i + 1, version->count);
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
        for (uint32_t i = 0; i < store_count(store); i++)
            cairn_shard_step(cairn_store_shard(store, i), 10000000);
        store_wait_a_little(store);
    }
    return code;
}

/* With the folder locked.  *ret_end: of the log, all of which is in the archive. */
static enum cairn_code prepare(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                               uint64_t *ret_undo, struct restore_order *order, uint64_t *ret_end,
                               struct cairn_err *err)
{
    struct cairn_store *store;
    enum cairn_code code = store_open_locked(options, &store, err);

    if (code != CAIRN_OK)
        return code;
    code = find(store, number, wall_ms, &order->version, err);
    if (code == CAIRN_OK)
        code = check(store, &order->version, err);
    if (code == CAIRN_OK)
        code = cairn_store_start(store, err);
    if (code == CAIRN_OK)
        code = take_version(store, ret_undo, err);
    if (code == CAIRN_OK) {
        order->until = order->version.cut;
        *ret_end = store_log_end(store);
        return cairn_store_close(store, true, err);
    }
    cairn_store_abandon(store);
    return code;
}

static enum cairn_code restore(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                               uint64_t *ret_undo, struct cairn_err *err)
{
    struct cairn_store *store;
    struct restore_order order = {0};
    uint64_t end;
    enum cairn_code code = options->disk->ops->lock(options->disk, err);

    if (code == CAIRN_OK)
        code = check_exists(options, err);
    if (code == CAIRN_OK)
        code = prepare(options, number, wall_ms, ret_undo, &order, &end, err);
    if (code == CAIRN_OK && !number)
        code = archive_find_moment(options->archive, order.version.cut, wall_ms, end, &order.until, err);
    if (code == CAIRN_OK)
        code = restore_write_order(options->disk, &order, err);
    node_version_done(&order.version);
    if (code == CAIRN_OK)
        code = store_open_locked(options, &store, err);
    if (code != CAIRN_OK)
        return code;
    code = cairn_store_start(store, err);
    if (code == CAIRN_OK)
        return cairn_store_close(store, true, err);
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
        return cairn_fail(err, CAIRN_EINVAL,
                          "going to a moment needs the blob store that the node has kept: give --blob");
    return restore(options, 0, wall_ms, ret_undo, err);
}

/* --- looking first --- */

static bool wants_all(void *context, struct cairn_bytes key)
{
    (void)context;
    (void)key;
    return true;
}

/* That opening the folder only opens it. */
static enum cairn_code check_may_look(const struct cairn_store_options *options, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code = check_exists(options, err);

    if (code != CAIRN_OK)
        return code;
    code = cairn_disk_read_file(options->disk, RESTORE_PATH, ORDER_BYTES_MAX, &bytes, err);
    cairn_buf_done(&bytes);
    if (code == CAIRN_OK)
        return cairn_fail(err, CAIRN_ECONFLICT, "a restore is under way: start the node once, which carries it out");
    return code == CAIRN_ENOTFOUND ? archive_check_same(options, err) : code;
}

enum cairn_code cairn_store_compare(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                                    enum cairn_code (*each)(void *context, struct cairn_store *store, uint32_t shard,
                                                            struct cairn_past *past, struct cairn_err *err),
                                    void *context, struct cairn_err *err)
{
    struct cairn_store *store;
    enum cairn_code code = options->disk->ops->lock(options->disk, err);

    if (code == CAIRN_OK)
        code = check_may_look(options, err);
    if (code == CAIRN_OK)
        code = store_open_locked(options, &store, err);
    if (code != CAIRN_OK)
        return code;
    for (uint32_t i = 0; code == CAIRN_OK && i + 1 < store_count(store); i++) {
        struct cairn_past *past = NULL;

        code = cairn_past_open(store, i, number, wall_ms, &past, err);
        if (code == CAIRN_OK)
            code = cairn_past_load(past, wants_all, NULL, true, err);
        if (code == CAIRN_OK)
            code = each(context, store, i, past, err);
        cairn_past_close(past);
        store_report(store, "comparing shards", i + 1, store_count(store) - 1);
    }
    cairn_store_abandon(store);
    return code;
}
