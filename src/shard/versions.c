/* versions.c - takes versions of the node, lists and drops them; see node_version.h. */
#include <assert.h>
#include <stdlib.h>

#include "shard/shard_internal.h"

enum { CAPTURED_BYTES_MAX = 128 << 20 };

static void notify_all(struct cairn_store *store)
{
    for (uint32_t i = 0; i < store->count; i++)
        store_notify(store, i);
    store_wake_close(store);
}

static void enter(struct cairn_store *store, enum taking_state state)
{
    struct taking *taking = &store->taking;

    taking->state = state;
    if (state == TAKING_NONE || state == TAKING_ENDED)
        atomic_store(&taking->holds, false);
    taking->left = state == TAKING_BEGIN ? store->count : store->count - 1;
    atomic_store(&taking->active, state != TAKING_NONE || taking->drops.size);
}

/* The lock is held. */
static void fail(struct cairn_store *store, enum cairn_code code, const struct cairn_err *why)
{
    struct taking *taking = &store->taking;

    atomic_store(&taking->capturing, false);
    taking->code = code;
    taking->err = *why;
    enter(store, TAKING_FAILED);
}

/* The lock is held.  A checkpoint that was due meanwhile may begin. */
static void end(struct cairn_store *store)
{
    enter(store, TAKING_ENDED);
    checkpoint_choose_turn(store);
    notify_all(store);
}

/* --- asking --- */

enum cairn_code cairn_store_version_begin(struct cairn_store *store, bool scheduled, struct cairn_err *err)
{
    struct cairn_clock *clock = store->options.clock;
    struct taking *taking = &store->taking;
    enum cairn_code code = CAIRN_OK;

    if (!store_has_versions(store))
        return cairn_fail(err, CAIRN_EINVAL,
                          "the engine 'memory' keeps no versions: make a data folder with --engine hybridlog");
    pthread_mutex_lock(&taking->lock);
    if (taking->state != TAKING_NONE) {
        code = cairn_fail(err, CAIRN_ECONFLICT, "a snapshot is being taken");
    } else {
        taking->code = CAIRN_OK;
        taking->version = (struct node_version){.time_ms = clock->wall_ms(clock),
                                                .scheduled = scheduled,
                                                .count = store->count - 1,
                                                .shards = cairn_alloc_zeroed(store->count, sizeof *taking->versions)};
        pthread_mutex_lock(&store->lock);
        taking->checkpoints = store->checkpoints;
        pthread_mutex_unlock(&store->lock);
        enter(store, TAKING_WANTED);
    }
    pthread_mutex_unlock(&taking->lock);
    if (code == CAIRN_OK)
        notify_all(store);
    return code;
}

void node_versions_enter(struct cairn_store *store, struct node_version *version)
{
    struct taking *taking = &store->taking;

    cairn_buf_done(&version->system);
    cairn_buf_done(&version->records);
    taking->versions = cairn_realloc(taking->versions, (taking->count + 1) * sizeof *taking->versions);
    taking->versions[taking->count++] = *version;
    atomic_store(&store->archive.versions_left, true);
}

bool cairn_store_version_poll(struct cairn_store *store, uint64_t *ret_number, enum cairn_code *ret_code,
                              struct cairn_err *ret_err)
{
    struct taking *taking = &store->taking;
    bool ended;

    pthread_mutex_lock(&taking->lock);
    ended = taking->state == TAKING_ENDED;
    if (ended) {
        *ret_code = taking->code;
        *ret_number = taking->number;
        *ret_err = taking->err;
        node_version_done(&taking->version);
        taking->version = (struct node_version){0};
        enter(store, TAKING_NONE);
    }
    pthread_mutex_unlock(&taking->lock);
    return ended;
}

size_t cairn_store_versions(struct cairn_store *store, struct cairn_store_version *to, size_t room)
{
    struct taking *taking = &store->taking;
    size_t count;

    pthread_mutex_lock(&taking->lock);
    count = taking->count;
    for (size_t i = 0; i < count && i < room; i++) {
        const struct node_version *version = &taking->versions[i];

        to[i] = (struct cairn_store_version){.number = version->number,
                                             .parent = version->parent,
                                             .time_ms = version->time_ms,
                                             .scheduled = version->scheduled,
                                             .damaged = !version->shards,
                                             .archived = version->archived};
    }
    pthread_mutex_unlock(&taking->lock);
    return count;
}

enum cairn_code node_versions_find(const struct cairn_store *store, uint64_t number, uint64_t wall_ms,
                                   uint64_t *ret_number, struct cairn_err *err)
{
    *ret_number = 0;
    for (size_t i = 0; i < store->taking.count; i++) {
        const struct node_version *version = &store->taking.versions[i];
        /* One without commits is of when it was taken. */
        uint64_t of_ms = version->wall_ms ? version->wall_ms : version->time_ms;

        if (number ? version->number == number : version->shards && of_ms <= wall_ms)
            *ret_number = version->number;
    }
    if (*ret_number)
        return CAIRN_OK;
    if (number)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %llu; see `cairn versions`",
                          (unsigned long long)number);
    return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version from before that moment; see `cairn versions`");
}

/* The lock is held. */
static struct node_version *find(struct taking *taking, uint64_t number)
{
    for (size_t i = 0; i < taking->count; i++)
        if (taking->versions[i].number == number)
            return &taking->versions[i];
    return NULL;
}

/* The lock is held: what the version names is to be dropped. */
static void take_out(struct taking *taking, struct node_version *version)
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
    atomic_store(&taking->active, true);
}

/* Whether it may be forgotten; the lock is held. */
static enum cairn_code may_forget(const struct cairn_store *store, uint64_t number, struct cairn_err *err)
{
    const struct taking *taking = &store->taking;
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
    if (store->archive.blob && version->archived && !newer)
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "version %llu is the newest in the blob store, which a new machine would begin with: take "
                          "another one first",
                          (unsigned long long)number);
    if (store->archive.blob && version->restored && !newer)
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "version %llu is what the node was restored to, and the blob store does not have it yet",
                          (unsigned long long)number);
    return CAIRN_OK;
}

enum cairn_code cairn_store_version_forget(struct cairn_store *store, uint64_t number, struct cairn_err *err)
{
    struct taking *taking = &store->taking;
    struct node_version *version;
    enum cairn_code code;

    pthread_mutex_lock(&taking->lock);
    code = may_forget(store, number, err);
    pthread_mutex_unlock(&taking->lock);
    if (code != CAIRN_OK)
        return code;
    code = node_version_remove(store->options.disk, number, err); /* the record first: what it names is garbage then */
    if (code != CAIRN_OK && code != CAIRN_ENOTFOUND)
        return code;
    pthread_mutex_lock(&taking->lock);
    version = find(taking, number);
    if (version)
        take_out(taking, version);
    if (taking->state == TAKING_ARCHIVE && taking->number == number) {
        taking->code =
            cairn_fail(&taking->err, CAIRN_ECONFLICT, "version %llu was removed meanwhile", (unsigned long long)number);
        end(store);
    }
    pthread_mutex_unlock(&taking->lock);
    archive_forget_version(store, number);
    notify_all(store);
    return CAIRN_OK;
}

/* --- capturing --- */

enum cairn_code node_versions_append(struct cairn_shard *shard, const struct cairn_bytes *parts, size_t count,
                                     uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    struct taking *taking = &store->taking;
    struct cairn_buf *records = &taking->version.records;
    enum cairn_code code;
    uint64_t bytes = 0;

    pthread_mutex_lock(&taking->lock);
    code = shard->log->ops->append(shard->log, parts, count, ret_position, ret_end, err);
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

            fail(store, cairn_fail(&why, CAIRN_ELIMIT, "too much was written while the snapshot began; take it again"),
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
    system->engine->view.ops->visit(&system->engine->view, add_pair, &version->system);
}

/* The version of the node that shard 0's engine came from: of its versions there may be some that belong to none. */
static uint64_t parent_of(const struct taking *taking, const struct cairn_shard *shard)
{
    struct versions *versions = shard->engine->versions->list(shard->engine);

    for (const struct version *at = versions_current(versions); at; at = versions_find(versions, at->parent))
        for (size_t i = 0; i < taking->count; i++)
            if (taking->versions[i].shards && taking->versions[i].shards[0].number == at->number)
                return taking->versions[i].number;
    return 0;
}

static void begin_shard(struct cairn_store *store, struct cairn_shard *shard)
{
    struct taking *taking = &store->taking;
    struct node_version *version = &taking->version;
    uint64_t wall_ms = atomic_load_explicit(&shard->wall_ms, memory_order_relaxed);
    struct cairn_err err;
    enum cairn_code code;

    if (shard->part != PART_NONE)
        return;
    if (!shard_has_versions(shard)) {
        node_version_add_system(version, shard);
    } else {
        if (shard->index == 0)
            version->parent = parent_of(taking, shard);
        code = shard_version_begin(shard, false, true, &err);
        if (code != CAIRN_OK) {
            fail(store, code, &err);
            return;
        }
        version->shards[shard->index].position = shard->applied_end > shard->from ? shard->applied_end : shard->from;
    }
    shard->part = PART_BEGUN;
    if (wall_ms > version->wall_ms)
        version->wall_ms = wall_ms;
    if (--taking->left)
        return;
    version->cut = shard->log->ops->end(shard->log);
    atomic_store(&taking->capturing, false);
    shard->log->ops->want_durable(shard->log, version->cut);
    enter(store, TAKING_WRITE);
    notify_all(store);
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
    struct taking *taking = &store->taking;

    if (shard->part == PART_BEGUN && shard_has_versions(shard)) {
        enum cairn_version_state state = shard->engine->versions->state(shard->engine);

        if (state == CAIRN_VERSION_HELD) {
            shard->part = PART_HELD;
            taking->left--;
        } else if (state == CAIRN_VERSION_ENDED) { /* not committed: a write has failed */
            uint64_t number;
            struct cairn_err err;

            shard->part = PART_NONE;
            fail(store, shard->engine->versions->end(shard->engine, &number, &err), &err);
            return;
        }
    }
    if (taking->left || shard->log->ops->durable(shard->log) < taking->version.cut)
        return;
    cut_records(&taking->version);
    enter(store, TAKING_COMMIT);
    notify_all(store);
}

/* It is taken; checkpoints may go on. */
static void await_archive(struct cairn_store *store)
{
    struct taking *taking = &store->taking;

    if (atomic_load(&store->archive.lost)) {
        taking->code = cairn_fail(&taking->err, CAIRN_EUNAVAILABLE,
                                  "version %llu is taken, but another node has taken over the blob store",
                                  (unsigned long long)taking->number);
        end(store);
        return;
    }
    taking->state = TAKING_ARCHIVE;
    pthread_mutex_lock(&store->archive.lock);
    store->archive.versions.pause_ns = 0; /* somebody waits: it is tried at once */
    pthread_mutex_unlock(&store->archive.lock);
    atomic_store(&taking->holds, false);
    atomic_store(&taking->active, taking->drops.size > 0);
    checkpoint_choose_turn(store);
    notify_all(store);
}

static void record(struct cairn_task *task)
{
    struct taking *taking = (struct taking *)(void *)((char *)task - offsetof(struct taking, task));
    struct cairn_store *store = taking->store;
    struct cairn_err err = {0};
    /* Nobody but this task looks at the version now. */
    enum cairn_code code = node_version_write(store->options.disk, &taking->version, &err);

    pthread_mutex_lock(&taking->lock);
    taking->code = code;
    taking->err = err;
    taking->number = taking->version.number;
    if (code == CAIRN_OK) {
        node_versions_enter(store, &taking->version);
        taking->version = (struct node_version){0};
    }
    if (code == CAIRN_OK && store->archive.blob)
        await_archive(store);
    else
        end(store); /* within the lock: once it is free the store may be closed */
    pthread_mutex_unlock(&taking->lock);
}

void node_versions_archived(struct cairn_store *store, uint64_t number, enum cairn_code code,
                            const struct cairn_err *err)
{
    struct taking *taking = &store->taking;
    const struct node_version *version;
    bool others; /* failure, which says nothing of the one that is waited for */

    pthread_mutex_lock(&taking->lock);
    if (code == CAIRN_EUNAVAILABLE) /* under the lock: who begins to wait after this sees it */
        atomic_store(&store->archive.lost, true);
    others = code == CAIRN_ENOTFOUND && number && number != taking->number;
    if (taking->state == TAKING_ARCHIVE && !others) {
        version = find(taking, taking->number);
        if (code != CAIRN_OK)
            cairn_fail(&taking->err, code,
                       "version %llu is taken, but not in the blob store yet, which is tried again: %s",
                       (unsigned long long)taking->number, err->text);
        taking->code = code;
        if (code != CAIRN_OK || !version || version->archived)
            end(store);
    }
    pthread_mutex_unlock(&taking->lock);
}

uint64_t node_versions_pending(struct cairn_store *store)
{
    struct taking *taking = &store->taking;
    uint64_t pending = 0;

    pthread_mutex_lock(&taking->lock);
    for (size_t i = 0; store->archive.blob && i < taking->count; i++)
        pending += taking->versions[i].shards && !taking->versions[i].archived && !taking->versions[i].lacks;
    pthread_mutex_unlock(&taking->lock);
    return pending;
}

bool cairn_store_version_due(struct cairn_store *store, uint64_t log_bytes)
{
    struct taking *taking = &store->taking;
    uint64_t end = store_log_end(store), cut = 0;
    bool none;

    if (!store_has_versions(store))
        return false;
    archive_look(store);
    pthread_mutex_lock(&taking->lock);
    none = taking->count == 0;
    if (!none)
        cut = taking->versions[taking->count - 1].cut;
    if (!store->archive_leads && cut >= store->archive_open_end)
        store->archive_leads = true;
    none = none && store->archive.blob;
    pthread_mutex_unlock(&taking->lock);
    return none || !store->archive_leads || (log_bytes && end - cut > log_bytes);
}

static void commit_shard(struct cairn_store *store, struct cairn_shard *shard)
{
    struct taking *taking = &store->taking;
    struct cairn_err err;

    if (shard->part == PART_HELD) {
        shard->engine->versions->commit(shard->engine);
        shard->part = PART_COMMITTING;
    }
    if (shard->part != PART_COMMITTING || shard->engine->versions->state(shard->engine) != CAIRN_VERSION_ENDED)
        return;
    shard->part = PART_NONE;
    if (shard->engine->versions->end(shard->engine, &taking->version.shards[shard->index].number, &err) != CAIRN_OK) {
        fail(store, err.code, &err);
        return;
    }
    if (--taking->left)
        return;
    taking->version.number = taking->version.shards[0].number;
    enter(store, TAKING_RECORD);
    taking->task.run = record;
    cairn_tasks_submit(store->options.tasks, &taking->task);
}

static void fail_with_log(struct cairn_store *store)
{
    struct cairn_err err;

    fail(store, cairn_fail(&err, CAIRN_EUNAVAILABLE, "the log has failed: restart the node"), &err);
}

/* Nothing of it stays under way.  Called again until what is has come to its end: neither the lock nor the worker is
 * kept for that. */
static void fail_shard(struct cairn_store *store, struct cairn_shard *shard)
{
    uint64_t number;
    struct cairn_err err;
    bool any = false;

    if (shard_has_versions(shard) && shard->part != PART_NONE) {
        if (shard->engine->versions->state(shard->engine) == CAIRN_VERSION_WRITING)
            return;
        shard->engine->versions->end(shard->engine, &number, &err);
    }
    shard->part = PART_NONE;
    for (uint32_t i = 0; i < store->count; i++)
        any |= atomic_load(&store->shards[i].part) != PART_NONE;
    if (!any)
        end(store);
}

/* A checkpoint is not begun while one is taken, but one may be under way.  What is due goes first, but for no more than
 * a round of all shards: under much load there would be no end to that.  Nobody waits for one that fails again and
 * again. */
static void want(struct cairn_store *store)
{
    struct cairn_err err = {0};
    bool idle;

    checkpoint_choose_turn(store);
    pthread_mutex_lock(&store->lock);
    idle = atomic_load(&store->turn) == NO_TURN;
    atomic_store(&store->taking.holds, idle || store->checkpoints - store->taking.checkpoints >= store->count);
    if (!idle && store->checkpoint_error[0])
        cairn_fail(&err, CAIRN_EUNAVAILABLE, "a checkpoint goes first, and fails: %s", store->checkpoint_error);
    pthread_mutex_unlock(&store->lock);
    if (err.code != CAIRN_OK)
        fail(store, err.code, &err);
    if (!idle)
        return;
    for (uint32_t i = 0; i < store->count; i++) /* an owner may not have stepped since the last one ended */
        atomic_store(&store->shards[i].part, PART_NONE);
    atomic_store(&store->taking.capturing, true);
    enter(store, TAKING_BEGIN);
    notify_all(store);
}

static void drop_some(struct cairn_store *store, struct cairn_shard *shard)
{
    struct cairn_buf *drops = &store->taking.drops;
    size_t kept = 0;

    for (size_t at = 0; at < drops->size; at += 12) {
        if (cairn_get_u32(drops->data + at) == shard->index) {
            shard->engine->versions->drop(shard->engine, cairn_get_u64(drops->data + at + 4));
            continue;
        }
        memmove(drops->data + kept, drops->data + at, 12);
        kept += 12;
    }
    drops->size = kept;
    atomic_store(&store->taking.active,
                 (store->taking.state != TAKING_NONE && store->taking.state != TAKING_ARCHIVE) || drops->size);
}

void node_versions_step(struct cairn_shard *shard)
{
    struct cairn_store *store = shard->store;
    struct taking *taking = &store->taking;

    pthread_mutex_lock(&taking->lock);
    if (shard_has_versions(shard) && taking->drops.size)
        drop_some(store, shard);
    if (taking->state >= TAKING_WANTED && taking->state <= TAKING_WRITE &&
        atomic_load_explicit(&store->log_failed, memory_order_acquire))
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
    struct cairn_disk *disk = store->options.disk;
    enum cairn_code code = disk->ops->make_dir(disk, VERSIONS_DIR, err);

    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    if (code == CAIRN_OK)
        code = node_versions_list(disk, warn, store, &store->taking.versions, &store->taking.count, err);
    return code;
}

/* Versions of the engine that no record names are of attempts that came to nothing, or were forgotten. */
void node_versions_drop_unnamed(struct cairn_shard *shard)
{
    const struct taking *taking = &shard->store->taking;
    const struct version *version;
    struct cairn_buf named = {0}, others = {0};

    for (size_t i = 0; i < taking->count; i++) {
        if (!taking->versions[i].shards) { /* nobody knows what that one names */
            cairn_buf_done(&named);
            return;
        }
        ids_insert(&named, taking->versions[i].shards[shard->index].number);
    }
    for (size_t i = 0; (version = versions_at(shard->engine->versions->list(shard->engine), i)); i++)
        if (!version->automatic && !ids_have(&named, version->number))
            ids_add(&others, version->number);
    for (size_t at = 0; at < others.size; at += 8)
        shard->engine->versions->drop(shard->engine, cairn_get_u64(others.data + at));
    cairn_buf_done(&named);
    cairn_buf_done(&others);
}

void node_versions_stop(struct cairn_store *store)
{
    struct taking *taking = &store->taking;
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
    for (uint32_t i = 0; store->shards && i < store->count; i++) {
        struct cairn_shard *shard = &store->shards[i];

        if (atomic_load(&shard->part) != PART_NONE && shard_has_versions(shard))
            shard->engine->versions->end(shard->engine, &number, &err);
        atomic_store(&shard->part, PART_NONE);
    }
    atomic_store(&taking->capturing, false);
    atomic_store(&taking->active, false);
    atomic_store(&taking->holds, false);
    pthread_mutex_lock(&taking->lock);
    taking->state = TAKING_NONE;
    pthread_mutex_unlock(&taking->lock);
}

void node_versions_init(struct cairn_store *store)
{
    pthread_mutex_init(&store->taking.lock, NULL);
    store->taking.store = store;
}

void node_versions_free(struct cairn_store *store)
{
    struct taking *taking = &store->taking;

    while (taking->count > 0)
        node_version_done(&taking->versions[--taking->count]);
    free(taking->versions);
    node_version_done(&taking->version);
    cairn_buf_done(&taking->drops);
    pthread_mutex_destroy(&taking->lock);
}
