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

static bool engine_get(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash,
                       struct cairn_bytes *ret_value)
{
    struct levels_engine *self = engine_of(engine);
    struct cairn_buf *copy = &self->values[self->next];
    struct cairn_bytes value;
    struct cairn_err err;
    bool found;

    if (levels_get(self->levels, key, hash, &found, &value, &err) != CAIRN_OK) {
        engine->failed = true;
        engine->failure = err;
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

static void engine_prefetch(struct cairn_engine *engine, uint64_t hash, int depth)
{
    levels_prefetch(engine_of(engine)->levels, hash, depth);
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

static void engine_visit(struct cairn_engine *engine,
                         void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context)
{
    struct visit visit = {each, context};
    struct cairn_err err;

    if (levels_visit(engine_of(engine)->levels, visit_one, &visit, &err) != CAIRN_OK) {
        engine->failed = true;
        engine->failure = err;
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

struct cairn_engine *cairn_levels_engine_create(struct levels *levels)
{
    static const struct cairn_engine_ops ops = {
        .get = engine_get,
        .put = engine_put,
        .remove = engine_remove,
        .prefetch = engine_prefetch,
        .visit = engine_visit,
        .stats = engine_stats,
        .close = engine_close,
    };
    struct levels_engine *self = cairn_alloc_zeroed(1, sizeof *self);

    self->engine.ops = &ops;
    self->levels = levels;
    return &self->engine;
}
