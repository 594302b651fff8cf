/* levels_engine.c - a store of levels.h as a shard's engine. */
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/levels.h"

enum { VALUE_BYTES_KEPT = 64 << 10 };

struct levels_engine {
    struct cairn_engine engine;
    struct levels *levels;
    struct cairn_buf values[CAIRN_VALUES_VALID]; /* what get returned, taking turns */
    size_t next;
};

static struct levels_engine *engine_of(struct cairn_engine *engine)
{
    return (struct levels_engine *)(void *)engine; /* its first member */
}

static struct levels_engine *engine_of_view(struct cairn_view *view)
{
    return (struct levels_engine *)(void *)view; /* the first member of that */
}

static bool engine_get(struct cairn_view *view, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct levels_engine *self = engine_of_view(view);
    struct cairn_buf *copy = &self->values[self->next];
    struct cairn_bytes value;
    struct cairn_err err;
    bool found;

    if (levels_get(self->levels, key, hash, &found, &value, &err) != CAIRN_OK) {
        view->failed = true;
        view->failure = err;
        return false;
    }
    if (!found)
        return false;
    self->next = (self->next + 1) % CAIRN_VALUES_VALID;
    if (copy->capacity > VALUE_BYTES_KEPT)
        cairn_buf_done(copy);
    copy->size = 0;
    cairn_buf_add(copy, value.data, value.size);
    *ret_value = cairn_bytes(copy->data, copy->size);
    return true;
}

static void engine_put(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value)
{
    levels_apply(engine_of(engine)->levels, &(struct run_record){hash, key, value});
}

static void engine_remove(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash)
{
    levels_apply(engine_of(engine)->levels, &(struct run_record){hash, key, run_tombstone()});
}

static void engine_prefetch(struct cairn_view *view, uint64_t hash, int depth)
{
    levels_prefetch(engine_of_view(view)->levels, hash, depth);
}

struct visit {
    void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value);
    void *context;
};

static bool visit_one(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    const struct visit *visit = context;

    visit->each(visit->context, key, value);
    return true;
}

static void engine_visit(struct cairn_view *view,
                         void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context)
{
    struct visit visit = {each, context};
    struct cairn_err err;

    if (levels_visit(engine_of_view(view)->levels, visit_one, &visit, &err) != CAIRN_OK) {
        view->failed = true;
        view->failure = err;
    }
}

/* Of keys and bytes it knows what its runs have, old versions of keys among them. */
static void engine_stats(struct cairn_engine *engine, struct cairn_engine_stats *ret_stats)
{
    struct levels_stats stats;

    levels_stats(engine_of(engine)->levels, &stats);
    *ret_stats = (struct cairn_engine_stats){.keys = stats.records,
                                             .value_bytes = stats.run_bytes,
                                             .memory_bytes = stats.front_bytes + stats.run_memory_bytes};
}

static struct cairn_engine *engine_close(struct cairn_engine *engine)
{
    if (!engine)
        return NULL;
    levels_close(engine_of(engine)->levels);
    for (size_t i = 0; i < CAIRN_VALUES_VALID; i++)
        cairn_buf_done(&engine_of(engine)->values[i]);
    free(engine_of(engine));
    return NULL;
}

static enum cairn_code engine_ready(struct cairn_engine *engine, size_t bytes, struct cairn_err *err)
{
    return levels_ready(engine_of(engine)->levels, bytes, err);
}

static enum cairn_code engine_check_writers(const struct cairn_engine *engine, struct cairn_err *err)
{
    const struct levels *levels = ((const struct levels_engine *)(const void *)engine)->levels;
    enum cairn_code code;

    if (!levels_is_pressed(levels))
        return CAIRN_OK;
    code = levels_failure(levels, err);
    return code == CAIRN_OK ? cairn_fail(err, CAIRN_EOVERLOAD, "the engine is behind") : code;
}

static void engine_settle(struct cairn_engine *engine)
{
    struct levels *levels = engine_of(engine)->levels;

    if (!levels_is_easy(levels))
        levels_work(levels, false);
}

static enum cairn_code engine_work(struct cairn_engine *engine, bool retry, struct cairn_err *err)
{
    struct levels *levels = engine_of(engine)->levels;

    levels_work(levels, retry);
    return levels_failure(levels, err);
}

/* --- versions --- */

static enum cairn_code version_begin(struct cairn_engine *engine, const struct cairn_version_options *options,
                                     struct cairn_err *err)
{
    return levels_snapshot_begin(engine_of(engine)->levels, options, err);
}

static enum cairn_version_state version_state(struct cairn_engine *engine)
{
    struct levels *levels = engine_of(engine)->levels;

    if (levels_snapshot_is_done(levels))
        return CAIRN_VERSION_ENDED;
    return levels_snapshot_is_held(levels) ? CAIRN_VERSION_HELD : CAIRN_VERSION_WRITING;
}

static void version_commit(struct cairn_engine *engine)
{
    levels_snapshot_commit(engine_of(engine)->levels);
}

static enum cairn_code version_end(struct cairn_engine *engine, uint64_t *ret_number, struct cairn_err *err)
{
    return levels_snapshot_end(engine_of(engine)->levels, ret_number, err);
}

static enum cairn_code version_restore(struct cairn_engine *engine, uint64_t number, struct cairn_err *err)
{
    return levels_restore(engine_of(engine)->levels, number, err);
}

static void version_drop(struct cairn_engine *engine, uint64_t number)
{
    levels_drop(engine_of(engine)->levels, number);
}

static struct versions *version_list(struct cairn_engine *engine)
{
    return levels_versions(engine_of(engine)->levels);
}

struct cairn_engine *cairn_levels_engine_create(struct levels *levels)
{
    static const struct cairn_view_ops view_ops = {
        .get = engine_get, .prefetch = engine_prefetch, .visit = engine_visit};
    static const struct cairn_engine_ops ops = {
        .put = engine_put,
        .remove = engine_remove,
        .ready = engine_ready,
        .check_writers = engine_check_writers,
        .settle = engine_settle,
        .work = engine_work,
        .stats = engine_stats,
        .close = engine_close,
    };
    static const struct cairn_version_ops version_ops = {
        .begin = version_begin,
        .state = version_state,
        .commit = version_commit,
        .end = version_end,
        .restore = version_restore,
        .drop = version_drop,
        .list = version_list,
    };
    struct levels_engine *self = cairn_alloc_zeroed(1, sizeof *self);

    self->engine.view.ops = &view_ops;
    self->engine.ops = &ops;
    self->engine.versions = &version_ops;
    self->levels = levels;
    return &self->engine;
}
