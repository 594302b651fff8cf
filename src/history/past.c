/* past.c - a shard as it was at a version or a moment, read beside the node that goes on: the version's runs, and over
 * them what was committed from there to the moment. */
#include <inttypes.h>
#include <stdlib.h>

#include "history/history_internal.h"

struct cairn_past {
    struct cairn_view view; /* first */
    struct cairn_store *store;
    struct cairn_shard *shard;
    uint64_t wall_ms; /* 0: of the version itself */
    struct node_version version;
    uint64_t until;        /* records below this count */
    uint64_t tail_first;   /* where `tail` begins: what is before it is in the archive */
    struct cairn_buf tail; /* records that are not in the archive yet, as in a chunk */
    struct run **runs;     /* newest first */
    size_t run_count;
    struct cairn_engine *changes; /* of what was asked for: 1 and the value, or 0: it was removed */
    struct cairn_buf values[CAIRN_VALUES_VALID];
    uint32_t turn;
};

/* --- reading --- */

static struct cairn_past *past_of(struct cairn_view *view)
{
    return (struct cairn_past *)(void *)view;
}

static bool past_get(struct cairn_view *view, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct cairn_past *past = past_of(view);
    struct cairn_buf *memory = &past->values[past->turn++ % CAIRN_VALUES_VALID];
    struct cairn_bytes value;
    bool found = false;

    if (past->changes->view.ops->get(&past->changes->view, key, hash, &value)) {
        *ret_value = cairn_bytes(value.data + 1, value.size - 1);
        return value.data[0];
    }
    for (size_t i = 0; !found && i < past->run_count; i++) {
        struct cairn_err err;

        memory->size = 0;
        if (run_get(past->runs[i], key, hash, memory, &found, &value, &err) != CAIRN_OK) {
            view->failed = true;
            view->failure = err;
            return false;
        }
    }
    if (found && !run_is_tombstone(value))
        *ret_value = value;
    return found && !run_is_tombstone(value);
}

static void past_prefetch(struct cairn_view *view, uint64_t hash, int depth)
{
    (void)view;
    (void)hash;
    (void)depth;
}

static void past_visit(struct cairn_view *view,
                       void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context)
{
    struct cairn_err err;

    if (cairn_past_visit(past_of(view), each, context, &err) == CAIRN_OK)
        return;
    view->failed = true;
    view->failure = err;
}

static const struct cairn_view_ops past_ops = {.get = past_get, .prefetch = past_prefetch, .visit = past_visit};

struct cairn_view *cairn_past_view(struct cairn_past *past)
{
    return &past->view;
}

/* --- opening --- */

static enum cairn_code find(struct cairn_store *store, uint64_t number, uint64_t wall_ms, uint64_t *ret_number,
                            struct cairn_err *err)
{
    struct taking *taking = &history_of(store)->taking;
    enum cairn_code code;

    pthread_mutex_lock(&taking->lock);
    code = node_versions_find(store, number, wall_ms, ret_number, err);
    pthread_mutex_unlock(&taking->lock);
    return code;
}

static enum cairn_code open_runs(struct cairn_past *past, const struct version *version, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    past->runs = cairn_alloc((version->run_count + 1) * sizeof *past->runs);
    for (size_t i = 0; code == CAIRN_OK && i < version->run_count; i++) {
        const struct run_about *about = &version->runs[i];
        struct cairn_disk *disk = shard_disk(past->shard);

        code = run_open(disk, about, &past->runs[i], err);
        if ((code == CAIRN_ENOTFOUND || code == CAIRN_ECORRUPT) && history_of(past->store)->archive.remote) {
            code = archive_fetch_run(past->shard, about, err);
            if (code == CAIRN_OK)
                code = run_open(disk, about, &past->runs[i], err);
        }
        past->run_count += code == CAIRN_OK;
    }
    return code;
}

/* Behind the last record whose time is not after the moment. */
static enum cairn_code find_until(struct cairn_past *past, struct cairn_err *err)
{
    struct cairn_store *store = past->store;
    struct cairn_reader r;
    enum cairn_code code;

    past->until = past->version.cut;
    if (!past->wall_ms)
        return CAIRN_OK;
    if (!history_of(store)->archive.blob)
        return cairn_fail(err, CAIRN_EINVAL, "only a node with --blob can tell of any moment; give a version instead");
    archive_copy_tail(store, &past->tail, &past->tail_first);
    code = archive_find_moment(history_of(store)->archive.blob, past->version.cut, past->wall_ms, past->tail_first,
                               &past->until, err);
    r = cairn_reader(cairn_buf_bytes(&past->tail));
    while (code == CAIRN_OK && cairn_reader_left(&r)) {
        uint64_t position = cairn_read_u64(&r);
        struct cairn_reader body = cairn_reader(cairn_read_sized(&r));
        struct commit_head head;

        code = commit_read_head(&body, &head, err);
        if (code == CAIRN_OK && head.wall_ms <= past->wall_ms && position >= past->version.cut)
            past->until = position + 1;
    }
    return code;
}

static enum cairn_code open_version(struct cairn_past *past, uint64_t number, struct cairn_err *err)
{
    struct version_manifest manifest;
    enum cairn_code code = node_version_read(store_options(past->store)->disk, number, &past->version, err);

    if (code != CAIRN_OK)
        return code;
    code = version_manifest_read(shard_disk(past->shard), past->version.shards[cairn_shard_index(past->shard)].number,
                                 &manifest, err);
    if (code != CAIRN_OK)
        return code;
    code = open_runs(past, &manifest.version, err);
    version_manifest_done(&manifest);
    return code == CAIRN_OK ? find_until(past, err) : code;
}

enum cairn_code cairn_past_open(struct cairn_store *store, uint32_t shard, uint64_t number, uint64_t wall_ms,
                                struct cairn_past **ret_past, struct cairn_err *err)
{
    struct cairn_past *past;
    uint64_t found, again;
    enum cairn_code code;

    if (!store_has_versions(store))
        return cairn_fail(err, CAIRN_EINVAL, "the engine 'memory' keeps no versions");
    code = find(store, number, wall_ms, &found, err);
    if (code != CAIRN_OK)
        return code;
    past = cairn_alloc_zeroed(1, sizeof *past);
    past->view.ops = &past_ops;
    past->store = store;
    past->shard = cairn_store_shard(store, shard);
    past->wall_ms = number ? 0 : wall_ms;
    past->changes = cairn_memory_create();
    code = open_version(past, found, err);
    if (code == CAIRN_OK) {
        *ret_past = past;
        return code;
    }
    cairn_past_close(past);
    if (code == CAIRN_ENOTFOUND && find(store, found, 0, &again, NULL) != CAIRN_OK)
        cairn_fail(err, code, "version %" PRIu64 " was removed meanwhile", found);
    return code;
}

struct cairn_past *cairn_past_close(struct cairn_past *past)
{
    if (!past)
        return NULL;
    while (past->run_count > 0)
        run_close(past->runs[--past->run_count]);
    free(past->runs);
    past->changes->ops->close(past->changes);
    node_version_done(&past->version);
    for (size_t i = 0; i < CAIRN_VALUES_VALID; i++)
        cairn_buf_done(&past->values[i]);
    cairn_buf_done(&past->tail);
    free(past);
    return NULL;
}

/* --- what came after the version --- */

struct loading {
    struct cairn_past *past;
    bool (*wants)(void *context, struct cairn_bytes key);
    void *context;
};

static enum cairn_code load_part(struct loading *loading, struct cairn_reader *body, const struct commit_head *head,
                                 struct cairn_err *err)
{
    struct cairn_past *past = loading->past;
    enum cairn_code code = CAIRN_OK;

    for (uint64_t i = 0; code == CAIRN_OK && head->shard == cairn_shard_index(past->shard) && i < head->writes; i++) {
        struct cairn_write write;
        struct cairn_buf value = {0};

        code = commit_read_write(body, &write, err);
        if (code != CAIRN_OK || !loading->wants(loading->context, write.key))
            continue;
        cairn_buf_u8(&value, !write.deleted);
        cairn_buf_add(&value, write.value.data, write.value.size);
        past->changes->ops->put(past->changes, write.key, cairn_hash(write.key), cairn_buf_bytes(&value));
        cairn_buf_done(&value);
    }
    return code;
}

static enum cairn_code load_record(void *context, struct cairn_bytes bytes, struct cairn_err *err)
{
    struct cairn_reader body = cairn_reader(bytes);
    struct commit_head head;
    enum cairn_code code = commit_read_head(&body, &head, err);

    if (code == CAIRN_OK)
        do
            code = load_part(context, &body, &head, err);
        while (commit_read_next(&body, &head, &code, err));
    return code;
}

/* Of records as in a chunk: those from a position to below `until`. */
static enum cairn_code load_records(struct loading *loading, const struct cairn_buf *records, uint64_t from,
                                    uint64_t until, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(records));
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && cairn_reader_left(&r)) {
        uint64_t position = cairn_read_u64(&r);
        struct cairn_bytes body = cairn_read_sized(&r);

        if (position >= from && position < until)
            code = load_record(loading, body, err);
    }
    return code;
}

enum cairn_code cairn_past_load(struct cairn_past *past, bool (*wants)(void *context, struct cairn_bytes key),
                                void *context, bool last, struct cairn_err *err)
{
    struct loading loading = {past, wants, context};
    const struct node_version *version = &past->version;
    uint64_t archived = past->until < past->tail_first ? past->until : past->tail_first;
    enum cairn_code code = load_records(&loading, &version->records,
                                        version->shards[cairn_shard_index(past->shard)].position, UINT64_MAX, err);

    if (code == CAIRN_OK && past->wall_ms && archived > version->cut)
        code =
            archive_replay(history_of(past->store)->archive.blob, version->cut, archived, load_record, &loading, err);
    if (code == CAIRN_OK && past->wall_ms)
        code = load_records(&loading, &past->tail, version->cut, past->until, err);
    if (last) {
        cairn_buf_done(&past->tail);
        cairn_buf_done(&past->version.records);
        cairn_buf_done(&past->version.system);
    }
    return code;
}

/* --- all of it --- */

struct visiting {
    struct cairn_past *past;
    void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value);
    void *context;
};

static void visit_change(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct visiting *visiting = context;

    if (value.data[0])
        visiting->each(visiting->context, key, cairn_bytes(value.data + 1, value.size - 1));
}

/* Whether something newer than a run tells of the key. */
static enum cairn_code is_shadowed(struct cairn_past *past, size_t run, const struct run_record *record,
                                   bool *ret_shadowed, struct cairn_err *err)
{
    struct cairn_buf *memory = &past->values[past->turn++ % CAIRN_VALUES_VALID];
    struct cairn_bytes value;
    enum cairn_code code = CAIRN_OK;

    *ret_shadowed = past->changes->view.ops->get(&past->changes->view, record->key, record->hash, &value);
    for (size_t i = 0; code == CAIRN_OK && !*ret_shadowed && i < run; i++) {
        memory->size = 0;
        code = run_get(past->runs[i], record->key, record->hash, memory, ret_shadowed, &value, err);
    }
    return code;
}

static enum cairn_code visit_run(struct visiting *visiting, size_t run, struct cairn_err *err)
{
    struct run_cursor cursor;
    bool more = true, shadowed;
    enum cairn_code code;

    run_cursor_init(&cursor, visiting->past->runs[run]);
    while ((code = run_cursor_next(&cursor, &more, err)) == CAIRN_OK && more) {
        if (run_is_tombstone(cursor.record.value))
            continue;
        code = is_shadowed(visiting->past, run, &cursor.record, &shadowed, err);
        if (code != CAIRN_OK)
            break;
        if (!shadowed)
            visiting->each(visiting->context, cursor.record.key, cursor.record.value);
    }
    run_cursor_done(&cursor);
    return code;
}

enum cairn_code cairn_past_visit(struct cairn_past *past,
                                 void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                                 void *context, struct cairn_err *err)
{
    struct visiting visiting = {past, each, context};
    enum cairn_code code = CAIRN_OK;

    for (size_t i = 0; code == CAIRN_OK && i < past->run_count; i++)
        code = visit_run(&visiting, i, err);
    if (code == CAIRN_OK)
        past->changes->view.ops->visit(&past->changes->view, visit_change, &visiting);
    return code;
}
