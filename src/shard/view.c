#include "shard/view.h"

#include <stdlib.h>

#include "shard/shard_internal.h"

/* Of the engine in memory: so much of checkpoints' files is loaded at once, if one shard is not more already.  The log
 * is read once for each such load. */
#define GROUP_BYTES (UINT64_C(64) << 20)

enum { GROUP_SHARDS_MAX = 256 };

enum source { SOURCE_STILL, SOURCE_LOG, SOURCE_VERSION };

struct cairn_view {
    struct cairn_store *store;
    enum source source;
    uint64_t wall_ms;
    /* SOURCE_LOG: the checkpoints, and the log from them to `until`. */
    struct manifest manifest;
    uint64_t until;
    uint32_t first, count; /* shards that are loaded, and their state: */
    struct cairn_engine *engines[GROUP_SHARDS_MAX];
    /* SOURCE_VERSION */
    struct node_version version;
    struct cairn_past *past;     /* of a shard, */
    struct cairn_engine *system; /* or this */
};

/* --- beginning --- */

static struct cairn_view *make(struct cairn_store *store, enum source source)
{
    struct cairn_view *view = cairn_alloc_zeroed(1, sizeof *view);

    view->store = store;
    view->source = source;
    return view;
}

struct cairn_view *cairn_view_still(struct cairn_store *store)
{
    struct cairn_view *view = make(store, SOURCE_STILL);

    view->wall_ms = store->wall_ms;
    return view;
}

static bool log_failed(const struct cairn_store *store)
{
    return atomic_load_explicit(&store->log_failed, memory_order_acquire);
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static enum cairn_code begin_log(struct cairn_view *view, struct cairn_err *err)
{
    struct cairn_store *store = view->store;
    struct cairn_log *log = store->log;
    bool taken;

    pthread_mutex_lock(&store->lock);
    taken = store->viewed != NULL;
    if (!taken) {
        manifest_copy(&view->manifest, &store->manifest);
        store->viewed = &view->manifest;
    }
    pthread_mutex_unlock(&store->lock);
    if (taken)
        return cairn_fail(err, CAIRN_ECONFLICT, "another export is under way; wait for its end");
    view->until = log->ops->end(log);
    log->ops->want_durable(log, view->until);
    while (log->ops->durable(log) < view->until) {
        if (log_failed(store))
            return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log has failed: restart the node");
        store_wait_a_little(store);
    }
    view->wall_ms = most(view->manifest.wall_ms, log->ops->reserved_time_ms(log));
    for (uint32_t i = 0; i < store->count; i++)
        view->wall_ms = most(view->wall_ms, atomic_load_explicit(&store->shards[i].wall_ms, memory_order_relaxed));
    return CAIRN_OK;
}

enum cairn_code cairn_view_begin(struct cairn_store *store, uint64_t version, struct cairn_view **ret_view,
                                 struct cairn_err *err)
{
    bool versions = store->shards[0].levels != NULL;
    struct cairn_view *view;
    enum cairn_code code;

    if (versions != (version != 0))
        return versions ? cairn_fail(err, CAIRN_EINVAL,
                                     "the engine '%s' is exported at a version: take one with `cairn snapshot`",
                                     store->engine)
                        : cairn_fail(err, CAIRN_EINVAL, "the engine 'memory' keeps no versions");
    view = make(store, versions ? SOURCE_VERSION : SOURCE_LOG);
    if (versions) {
        code = node_version_read(store->options.disk, version, &view->version, err);
        if (code == CAIRN_ENOTFOUND)
            cairn_fail(err, code, "there is no version %llu; see `cairn versions`", (unsigned long long)version);
        view->wall_ms = view->version.wall_ms;
    } else {
        code = begin_log(view, err);
    }
    if (code == CAIRN_OK)
        *ret_view = view;
    else
        cairn_view_close(view);
    return code;
}

/* --- checkpoints and the log --- */

static void unload(struct cairn_view *view)
{
    while (view->count > 0) {
        struct cairn_engine *engine = view->engines[--view->count];

        engine->ops->close(engine);
    }
}

static void ignore_bytes(void *context, uint64_t bytes)
{
    (void)context;
    (void)bytes;
}

static enum cairn_code apply(void *context, uint64_t position, uint64_t end, struct cairn_bytes bytes,
                             struct cairn_err *err)
{
    struct cairn_view *view = context;
    struct cairn_reader body = cairn_reader(bytes);
    struct commit_head head;
    enum cairn_code code = commit_read_head(&body, &head, err);

    (void)end;
    if (code != CAIRN_OK || head.shard < view->first || head.shard - view->first >= view->count ||
        position < view->manifest.shards[head.shard].position)
        return code;
    for (uint64_t i = 0; code == CAIRN_OK && i < head.writes; i++) {
        struct cairn_engine *engine = view->engines[head.shard - view->first];
        struct cairn_write write;

        code = commit_read_write(&body, &write, err);
        if (code != CAIRN_OK)
            break;
        if (write.deleted)
            engine->ops->remove(engine, write.key, cairn_hash(write.key));
        else
            engine->ops->put(engine, write.key, cairn_hash(write.key), write.value);
    }
    return code;
}

/* The shard and some of those behind it. */
static enum cairn_code load(struct cairn_view *view, uint32_t index, struct cairn_err *err)
{
    struct cairn_log *log = view->store->log;
    uint64_t bytes = 0, from = UINT64_MAX;
    enum cairn_code code = CAIRN_OK;

    unload(view);
    view->first = index;
    for (uint32_t i = index; code == CAIRN_OK && i < view->manifest.count && view->count < GROUP_SHARDS_MAX; i++) {
        const struct manifest_shard *named = &view->manifest.shards[i];

        if (view->count && bytes + named->file_bytes > GROUP_BYTES)
            break;
        bytes += named->file_bytes;
        view->engines[view->count++] = cairn_memory_create();
        if (named->number)
            code =
                checkpoint_load(view->store->options.disk, i, named, view->engines[i - index], ignore_bytes, NULL, err);
        if (named->position < from)
            from = named->position;
    }
    if (code == CAIRN_OK && from < view->until)
        code = log->ops->read_between(log, from, view->until, apply, view, err);
    if (code != CAIRN_OK)
        unload(view);
    return code;
}

/* --- a version --- */

static bool wants_all(void *context, struct cairn_bytes key)
{
    (void)context;
    (void)key;
    return true;
}

static void leave_version(struct cairn_view *view)
{
    view->past = cairn_past_close(view->past);
    if (view->system)
        view->system->ops->close(view->system);
    view->system = NULL;
}

static enum cairn_code open_version(struct cairn_view *view, uint32_t index, struct cairn_engine **ret_engine,
                                    struct cairn_err *err)
{
    enum cairn_code code;

    leave_version(view);
    if (index + 1 == view->store->count) {
        view->system = cairn_memory_create();
        *ret_engine = view->system;
        return node_version_load_system(&view->version, index, view->system, err);
    }
    code = cairn_past_open(view->store, index, view->version.number, 0, &view->past, err);
    if (code == CAIRN_OK)
        code = cairn_past_load(view->past, wants_all, NULL, true, err);
    if (code == CAIRN_OK)
        *ret_engine = cairn_past_engine(view->past);
    return code;
}

/* --- reading --- */

enum cairn_code cairn_view_shard(struct cairn_view *view, uint32_t index, struct cairn_engine **ret_engine,
                                 struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (view->source == SOURCE_VERSION)
        return open_version(view, index, ret_engine, err);
    if (view->source == SOURCE_STILL) {
        *ret_engine = view->store->shards[index].engine;
        return CAIRN_OK;
    }
    if (index < view->first || index - view->first >= view->count)
        code = load(view, index, err);
    if (code == CAIRN_OK)
        *ret_engine = view->engines[index - view->first];
    return code;
}

enum cairn_code cairn_view_system(struct cairn_view *view,
                                  void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                                  void *context, struct cairn_err *err)
{
    struct cairn_engine *engine;
    enum cairn_code code = cairn_view_shard(view, view->store->count - 1, &engine, err);

    if (code == CAIRN_OK)
        engine->ops->visit(engine, each, context);
    return code;
}

struct cairn_store *cairn_view_store(const struct cairn_view *view)
{
    return view->store;
}

uint64_t cairn_view_wall_ms(const struct cairn_view *view)
{
    return view->wall_ms;
}

struct cairn_view *cairn_view_close(struct cairn_view *view)
{
    if (!view)
        return NULL;
    unload(view);
    leave_version(view);
    node_version_done(&view->version);
    pthread_mutex_lock(&view->store->lock);
    if (view->store->viewed == &view->manifest)
        view->store->viewed = NULL;
    pthread_mutex_unlock(&view->store->lock);
    manifest_done(&view->manifest);
    free(view);
    return NULL;
}
