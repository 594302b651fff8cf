/* versions.c - takes versions of the node, lists and drops them; see node_version.h. */
#include <assert.h>
#include <stdlib.h>

#include "history/history_internal.h"

enum { CAPTURED_BYTES_MAX = 128 << 20 };

/* --- asking --- */

enum cairn_code cairn_store_version_begin(struct cairn_store *store, bool scheduled, struct cairn_err *err)
{
    struct cairn_clock *clock = store_options(store)->clock;
    struct taking *taking = &history_of(store)->taking;
    enum cairn_code code = CAIRN_OK;

    if (!store_has_versions(store))
        return cairn_fail(err, CAIRN_EINVAL,
                          "the engine 'memory' keeps no versions: make a data folder with --engine hybridlog");
    if (!cairn_store_has_one_log(store))
        return cairn_fail(err, CAIRN_EINVAL,
                          "each shard has a log of its own, and a version of the node is a cut through one log");
    pthread_mutex_lock(&taking->lock);
    if (taking->state != TAKING_NONE) {
        code = cairn_fail(err, CAIRN_ECONFLICT, "a snapshot is being taken");
    } else {
        taking->code = CAIRN_OK;
        taking->version =
            (struct node_version){.time_ms = clock->wall_ms(clock),
                                  .scheduled = scheduled,
                                  .count = store_count(store) - 1,
                                  .shards = cairn_alloc_zeroed(store_count(store), sizeof *taking->versions)};
        taking->checkpoints = store_checkpoints(store);
        taking_enter(store, TAKING_WANTED);
    }
    pthread_mutex_unlock(&taking->lock);
    if (code == CAIRN_OK)
        taking_notify_all(store);
    return code;
}

/* The lock is held: what the version names is to be dropped. */
static void take_out(struct cairn_store *store, struct taking *taking, struct node_version *version)
{
    size_t behind = taking->count - 1 - (size_t)(version - taking->versions);

    for (uint32_t i = 0; version->shards && i < version->count; i++) {
        uint8_t *drop = cairn_buf_reserve(&taking->drops, 12);

        cairn_put_u32(drop, i);
        cairn_put_u64(drop + 4, version->shards[i].number);
        taking->drops.size += 12;
    }
    node_version_done(version);
    memmove(version, version + 1, behind * sizeof *version);
    taking->count--;
    atomic_store(&history_of(store)->tap.active, true);
}

/* Whether it may be forgotten; the lock is held. */
static enum cairn_code may_forget(const struct cairn_store *store, uint64_t number, struct cairn_err *err)
{
    const struct taking *taking = &history_of(store)->taking;
    const struct node_version *version = NULL;
    bool newer = false;

    for (size_t i = 0; i < taking->count; i++) {
        if (taking->versions[i].number == number)
            version = &taking->versions[i];
        newer |= taking->versions[i].archived && taking->versions[i].number > number;
    }
    if (!version)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %llu; see `cairn versions`",
                          (unsigned long long)number);
    if (history_of(store)->archive.blob && version->archived && !newer)
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "version %llu is the newest in the blob store, which a new machine would begin with: take "
                          "another one first",
                          (unsigned long long)number);
    if (history_of(store)->archive.blob && version->restored && !newer)
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "version %llu is what the node was restored to, and the blob store does not have it yet",
                          (unsigned long long)number);
    return CAIRN_OK;
}

enum cairn_code cairn_store_version_forget(struct cairn_store *store, uint64_t number, struct cairn_err *err)
{
    struct taking *taking = &history_of(store)->taking;
    struct node_version *version;
    enum cairn_code code;

    pthread_mutex_lock(&taking->lock);
    code = may_forget(store, number, err);
    pthread_mutex_unlock(&taking->lock);
    if (code != CAIRN_OK)
        return code;
    code = node_version_remove(store_options(store)->disk, number,
                               err); /* the record first: what it names is garbage then */
    if (code != CAIRN_OK && code != CAIRN_ENOTFOUND)
        return code;
    pthread_mutex_lock(&taking->lock);
    version = taking_find(taking, number);
    if (version)
        take_out(store, taking, version);
    if (taking->state == TAKING_ARCHIVE && taking->number == number) {
        taking->code =
            cairn_fail(&taking->err, CAIRN_ECONFLICT, "version %llu was removed meanwhile", (unsigned long long)number);
        taking_end(store);
    }
    pthread_mutex_unlock(&taking->lock);
    archive_forget_version(store, number);
    taking_notify_all(store);
    return CAIRN_OK;
}

/* --- capturing --- */

enum cairn_code node_versions_append(struct cairn_shard *shard, const struct cairn_bytes *parts, size_t count,
                                     uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err)
{
    struct cairn_store *store = shard_store(shard);
    struct taking *taking = &history_of(store)->taking;
    struct cairn_buf *records = &taking->version.records;
    enum cairn_code code;
    uint64_t bytes = 0;

    pthread_mutex_lock(&taking->lock);
    code = cairn_shard_log(shard)->ops->append(cairn_shard_log(shard), parts, count, ret_position, ret_end, err);
    if (code == CAIRN_OK)
        archive_add(store, *ret_position, *ret_end, parts, count);
    if (code == CAIRN_OK && atomic_load(&taking->capturing)) {
        for (size_t i = 0; i < count; i++)
            bytes += parts[i].size;
        cairn_put_u64(cairn_buf_reserve(records, 8), *ret_position);
        records->size += 8;
        cairn_buf_varint(records, bytes);
        for (size_t i = 0; i < count; i++)
            cairn_buf_add(records, parts[i].data, parts[i].size);
        if (records->size > CAPTURED_BYTES_MAX) {
            struct cairn_err why;

            taking_fail(store,
                        cairn_fail(&why, CAIRN_ELIMIT, "too much was written while the snapshot began; take it again"),
                        &why);
        }
    }
    pthread_mutex_unlock(&taking->lock);
    return code;
}

/* --- steps: the lock is held, on the shard's owner's thread --- */

static void add_pair(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    cairn_buf_varint(context, key.size);
    cairn_buf_add(context, key.data, key.size);
    cairn_buf_varint(context, value.size);
    cairn_buf_add(context, value.data, value.size);
}

void node_version_add_system(struct node_version *version, struct cairn_shard *system)
{
    shard_engine(system)->view.ops->visit(&shard_engine(system)->view, add_pair, &version->system);
}

/* The version of the node that shard 0's engine came from: of its versions there may be some that belong to none. */
static uint64_t parent_of(const struct taking *taking, const struct cairn_shard *shard)
{
    struct versions *versions = shard_engine(shard)->versions->list(shard_engine(shard));

    for (const struct version *at = versions_current(versions); at; at = versions_find(versions, at->parent))
        for (size_t i = 0; i < taking->count; i++)
            if (taking->versions[i].shards && taking->versions[i].shards[0].number == at->number)
                return taking->versions[i].number;
    return 0;
}

static void begin_shard(struct cairn_store *store, struct cairn_shard *shard)
{
    struct taking *taking = &history_of(store)->taking;
    struct node_version *version = &taking->version;
    uint64_t wall_ms = shard_wall_ms(shard);
    struct cairn_err err;
    enum cairn_code code;

    if (*taking_part_of(shard) != PART_NONE)
        return;
    if (!shard_has_versions(shard)) {
        node_version_add_system(version, shard);
    } else {
        if (cairn_shard_index(shard) == 0)
            version->parent = parent_of(taking, shard);
        code = shard_version_begin(shard, false, true, &err);
        if (code != CAIRN_OK) {
            taking_fail(store, code, &err);
            return;
        }
        version->shards[cairn_shard_index(shard)].position = shard_position(shard);
    }
    *taking_part_of(shard) = PART_BEGUN;
    if (wall_ms > version->wall_ms)
        version->wall_ms = wall_ms;
    if (--taking->left)
        return;
    version->cut = cairn_shard_log(shard)->ops->end(cairn_shard_log(shard));
    taking_capture(store, false);
    cairn_shard_log(shard)->ops->want_durable(cairn_shard_log(shard), version->cut);
    taking_enter(store, TAKING_WRITE);
    taking_notify_all(store);
}

/* What was copied and lies at or above the cut goes. */
static void cut_records(struct node_version *version)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&version->records));
    size_t kept = 0;

    while (cairn_reader_left(&r)) {
        const uint8_t *from = r.at;
        bool is_below = cairn_read_u64(&r) < version->cut;
        struct cairn_reader body = cairn_reader(cairn_read_sized(&r));
        struct commit_head head;

        if (!is_below || commit_read_head(&body, &head, NULL) != CAIRN_OK)
            continue;
        if (head.wall_ms > version->wall_ms)
            version->wall_ms = head.wall_ms;
        memmove(version->records.data + kept, from, (size_t)(r.at - from));
        kept += (size_t)(r.at - from);
    }
    version->records.size = kept;
}

static void write_shard(struct cairn_store *store, struct cairn_shard *shard)
{
    struct taking *taking = &history_of(store)->taking;

    if (*taking_part_of(shard) == PART_BEGUN && shard_has_versions(shard)) {
        enum cairn_version_state state = shard_engine(shard)->versions->state(shard_engine(shard));

        if (state == CAIRN_VERSION_HELD) {
            *taking_part_of(shard) = PART_HELD;
            taking->left--;
        } else if (state == CAIRN_VERSION_ENDED) { /* not committed: a write has failed */
            uint64_t number;
            struct cairn_err err;

            *taking_part_of(shard) = PART_NONE;
            taking_fail(store, shard_engine(shard)->versions->end(shard_engine(shard), &number, &err), &err);
            return;
        }
    }
    if (taking->left || cairn_shard_log(shard)->ops->durable(cairn_shard_log(shard)) < taking->version.cut)
        return;
    cut_records(&taking->version);
    taking_enter(store, TAKING_COMMIT);
    taking_notify_all(store);
}

/* It is taken; checkpoints may go on. */
static void await_archive(struct cairn_store *store)
{
    struct taking *taking = &history_of(store)->taking;

    if (atomic_load(&history_of(store)->archive.lost)) {
        taking->code = cairn_fail(&taking->err, CAIRN_EUNAVAILABLE,
                                  "version %llu is taken, but another node has taken over the blob store",
                                  (unsigned long long)taking->number);
        taking_end(store);
        return;
    }
    taking->state = TAKING_ARCHIVE;
    pthread_mutex_lock(&history_of(store)->archive.lock);
    history_of(store)->archive.versions.pause_ns = 0; /* a request waits: it is tried at once */
    pthread_mutex_unlock(&history_of(store)->archive.lock);
    atomic_store(&history_of(store)->tap.holds, false);
    atomic_store(&history_of(store)->tap.active, taking->drops.size > 0);
    checkpoint_choose_turn(store);
    taking_notify_all(store);
}

static void record(struct cairn_task *task)
{
    struct taking *taking = (struct taking *)(void *)((char *)task - offsetof(struct taking, task));
    struct cairn_store *store = taking->store;
    struct cairn_err err = {0};
    /* Nothing but this task looks at the version now. */
    enum cairn_code code = node_version_write(store_options(store)->disk, &taking->version, &err);

    pthread_mutex_lock(&taking->lock);
    taking->code = code;
    taking->err = err;
    taking->number = taking->version.number;
    if (code == CAIRN_OK) {
        node_versions_enter(store, &taking->version);
        taking->version = (struct node_version){0};
    }
    if (code == CAIRN_OK && history_of(store)->archive.blob)
        await_archive(store);
    else
        taking_end(store); /* within the lock: once it is free the store may be closed */
    pthread_mutex_unlock(&taking->lock);
}

bool cairn_store_version_due(struct cairn_store *store, uint64_t log_bytes)
{
    struct taking *taking = &history_of(store)->taking;
    uint64_t end = store_log_end(store), cut = 0;
    bool none;

    if (!store_has_versions(store))
        return false;
    archive_look(store);
    pthread_mutex_lock(&taking->lock);
    none = taking->count == 0;
    if (!none)
        cut = taking->versions[taking->count - 1].cut;
    if (!history_of(store)->archive_leads && cut >= history_of(store)->archive_open_end)
        history_of(store)->archive_leads = true;
    none = none && history_of(store)->archive.blob;
    pthread_mutex_unlock(&taking->lock);
    return none || !history_of(store)->archive_leads || (log_bytes && end - cut > log_bytes);
}

static void commit_shard(struct cairn_store *store, struct cairn_shard *shard)
{
    struct taking *taking = &history_of(store)->taking;
    struct cairn_err err;

    if (*taking_part_of(shard) == PART_HELD) {
        shard_engine(shard)->versions->commit(shard_engine(shard));
        *taking_part_of(shard) = PART_COMMITTING;
    }
    if (*taking_part_of(shard) != PART_COMMITTING ||
        shard_engine(shard)->versions->state(shard_engine(shard)) != CAIRN_VERSION_ENDED)
        return;
    *taking_part_of(shard) = PART_NONE;
    if (shard_engine(shard)->versions->end(
            shard_engine(shard), &taking->version.shards[cairn_shard_index(shard)].number, &err) != CAIRN_OK) {
        taking_fail(store, err.code, &err);
        return;
    }
    if (--taking->left)
        return;
    taking->version.number = taking->version.shards[0].number;
    taking_enter(store, TAKING_RECORD);
    taking->task.run = record;
    cairn_tasks_submit(store_options(store)->tasks, &taking->task);
}

static void fail_with_log(struct cairn_store *store)
{
    struct cairn_err err;

    taking_fail(store, cairn_fail(&err, CAIRN_EUNAVAILABLE, "the log has failed: restart the node"), &err);
}

/* Nothing of it stays under way.  Called again until what is has come to its end: neither the lock nor the worker is
 * kept for that. */
static void fail_shard(struct cairn_store *store, struct cairn_shard *shard)
{
    uint64_t number;
    struct cairn_err err;
    bool any = false;

    if (shard_has_versions(shard) && *taking_part_of(shard) != PART_NONE) {
        if (shard_engine(shard)->versions->state(shard_engine(shard)) == CAIRN_VERSION_WRITING)
            return;
        shard_engine(shard)->versions->end(shard_engine(shard), &number, &err);
    }
    *taking_part_of(shard) = PART_NONE;
    for (uint32_t i = 0; i < store_count(store); i++)
        any |= atomic_load(taking_part_of(cairn_store_shard(store, i))) != PART_NONE;
    if (!any)
        taking_end(store);
}

/* A checkpoint is not begun while one is taken, but one may be under way.  What is due goes first, but for no more than
 * a round of all shards: under much load there would be no end to that.  Nothing waits for one that fails again and
 * again. */
static void want(struct cairn_store *store)
{
    struct cairn_err err = {0};
    bool idle = checkpoint_hold(store, history_of(store)->taking.checkpoints, &err);

    if (err.code != CAIRN_OK)
        taking_fail(store, err.code, &err);
    if (!idle)
        return;
    for (uint32_t i = 0; i < store_count(store); i++) /* an owner may not have stepped since the last one ended */
        atomic_store(taking_part_of(cairn_store_shard(store, i)), PART_NONE);
    taking_capture(store, true);
    taking_enter(store, TAKING_BEGIN);
    taking_notify_all(store);
}

static void drop_some(struct cairn_store *store, struct cairn_shard *shard)
{
    struct cairn_buf *drops = &history_of(store)->taking.drops;
    size_t kept = 0;

    for (size_t at = 0; at < drops->size; at += 12) {
        if (cairn_get_u32(drops->data + at) == cairn_shard_index(shard)) {
            shard_engine(shard)->versions->drop(shard_engine(shard), cairn_get_u64(drops->data + at + 4));
            continue;
        }
        memmove(drops->data + kept, drops->data + at, 12);
        kept += 12;
    }
    drops->size = kept;
    atomic_store(&history_of(store)->tap.active, (history_of(store)->taking.state != TAKING_NONE &&
                                                  history_of(store)->taking.state != TAKING_ARCHIVE) ||
                                                     drops->size);
}

void node_versions_step(struct cairn_shard *shard)
{
    struct cairn_store *store = shard_store(shard);
    struct taking *taking = &history_of(store)->taking;

    pthread_mutex_lock(&taking->lock);
    if (shard_has_versions(shard) && taking->drops.size)
        drop_some(store, shard);
    if (taking->state >= TAKING_WANTED && taking->state <= TAKING_WRITE && store_log_failed(store))
        fail_with_log(store);
    if (taking->state == TAKING_WANTED)
        want(store);
    if (taking->state == TAKING_BEGIN)
        begin_shard(store, shard);
    if (taking->state == TAKING_WRITE)
        write_shard(store, shard);
    if (taking->state == TAKING_COMMIT)
        commit_shard(store, shard);
    if (taking->state == TAKING_FAILED)
        fail_shard(store, shard);
    pthread_mutex_unlock(&taking->lock);
}

/* --- opening and closing --- */

static void warn(void *context, const char *text)
{
    store_warn(context, text);
}

enum cairn_code node_versions_load(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_disk *disk = store_options(store)->disk;
    enum cairn_code code = disk->ops->make_dir(disk, VERSIONS_DIR, err);

    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    if (code == CAIRN_OK)
        code = node_versions_list(disk, warn, store, &history_of(store)->taking.versions,
                                  &history_of(store)->taking.count, err);
    return code;
}

/* Versions of the engine that no record names are of attempts that came to nothing, or were forgotten. */
void node_versions_drop_unnamed(struct cairn_shard *shard)
{
    const struct taking *taking = &history_of(shard_store(shard))->taking;
    const struct version *version;
    struct cairn_buf named = {0}, others = {0};

    for (size_t i = 0; i < taking->count; i++) {
        if (!taking->versions[i].shards) { /* its list of files is lost */
            cairn_buf_done(&named);
            return;
        }
        ids_insert(&named, taking->versions[i].shards[cairn_shard_index(shard)].number);
    }
    for (size_t i = 0; (version = versions_at(shard_engine(shard)->versions->list(shard_engine(shard)), i)); i++)
        if (!version->automatic && !ids_have(&named, version->number))
            ids_add(&others, version->number);
    for (size_t at = 0; at < others.size; at += 8)
        shard_engine(shard)->versions->drop(shard_engine(shard), cairn_get_u64(others.data + at));
    cairn_buf_done(&named);
    cairn_buf_done(&others);
}

void node_versions_stop(struct cairn_store *store)
{
    struct taking *taking = &history_of(store)->taking;
    struct cairn_err err;
    uint64_t number;
    bool writes;

    do {
        pthread_mutex_lock(&taking->lock);
        writes = taking->state == TAKING_RECORD;
        pthread_mutex_unlock(&taking->lock);
        if (writes)
            store_wait_a_little(store);
    } while (writes);
    for (uint32_t i = 0; history_of(store)->parts && i < store_count(store); i++) {
        struct cairn_shard *shard = cairn_store_shard(store, i);

        if (atomic_load(taking_part_of(shard)) != PART_NONE && shard_has_versions(shard))
            shard_engine(shard)->versions->end(shard_engine(shard), &number, &err);
        atomic_store(taking_part_of(shard), PART_NONE);
    }
    taking_capture(store, false);
    atomic_store(&history_of(store)->tap.active, false);
    atomic_store(&history_of(store)->tap.holds, false);
    pthread_mutex_lock(&taking->lock);
    taking->state = TAKING_NONE;
    pthread_mutex_unlock(&taking->lock);
}
