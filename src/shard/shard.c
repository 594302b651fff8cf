/* shard.c - commits: one record per segment, appended and applied. */
#include "shard/shard_internal.h"

#include <assert.h>
struct cairn_view *cairn_shard_view(struct cairn_shard *shard)
{
    return &shard->engine->view;
}

void cairn_shard_engine_stats(struct cairn_shard *shard, struct cairn_engine_stats *ret_stats)
{
    shard->engine->ops->stats(shard->engine, ret_stats);
}

uint32_t cairn_shard_index(const struct cairn_shard *shard)
{
    return shard->index;
}

struct cairn_log *cairn_shard_log(struct cairn_shard *shard)
{
    return shard->log;
}

/* --- committing ------------------------------------------------------------------------------ */

/* From here on the log is needed for this shard.  A record appended after this lies at or above
 * the log's end of now; and the thread that advances the positions of clean shards looks at `durable`
 * before it takes the lock, so it cannot pass that record either. */
static void mark_dirty(struct cairn_shard *shard)
{
    struct cairn_store *store = shard->store;
    uint64_t end = shard->log->ops->end(shard->log);

    pthread_mutex_lock(&store->lock);
    shard->dirt = (struct dirt){end, end};
    checkpoint_update_oldest(shard->stream);
    pthread_mutex_unlock(&store->lock);
}

void shard_mark_dirty(struct cairn_shard *shard)
{
    if (shard->dirt.from == CLEAN)
        mark_dirty(shard);
}

static inline void apply(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_write *writes, size_t count,
                         uint64_t end)
{
    struct cairn_store *store = shard->store;
    struct cairn_engine *engine = shard->engine;

    for (size_t i = 0; i < count; i++) {
        if (writes[i].deleted)
            engine->ops->remove(engine, writes[i].key, writes[i].hash);
        else
            engine->ops->put(engine, writes[i].key, writes[i].hash, writes[i].value);
    }
    engine->ops->settle(engine);
    shard->applied_end = end;
    if (wall_ms > atomic_load_explicit(&shard->wall_ms, memory_order_relaxed))
        atomic_store_explicit(&shard->wall_ms, wall_ms, memory_order_relaxed);
    if (end > store->due_bytes &&
        end - store->due_bytes > atomic_load_explicit(&shard->stream->oldest, memory_order_relaxed) &&
        atomic_load_explicit(&store->turn, memory_order_relaxed) == NO_TURN)
        checkpoint_choose_turn(store);
}

void shard_apply(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_write *writes, size_t count,
                 uint64_t end)
{
    apply(shard, wall_ms, writes, count, end);
}

enum cairn_code cairn_shard_commit(struct cairn_shard *shard, uint64_t wall_ms, struct cairn_bytes note,
                                   const struct cairn_write *writes, size_t count, uint64_t *ret_end,
                                   struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    struct cairn_engine *engine = shard->engine;
    uint64_t position, end;
    enum cairn_code code;
    size_t parts, body = 0;

    assert(store->started);
    shard_mark_dirty(shard);
    for (size_t i = 0; i < count; i++) /* the table's lines come while the record is written */
        engine->view.ops->prefetch(&engine->view, writes[i].hash, 0);
    parts = commit_encode(shard, wall_ms, note, writes, count);
    if (store->tap && atomic_load(&store->tap->listens))
        code = store->tap->ops->append(store->tap, shard, shard->parts, parts, &position, &end, err);
    else
        code = shard->log->ops->append(shard->log, shard->parts, parts, &position, &end, err);
    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; i < count && count > 1; i++) /* one alone is about to be asked for */
        engine->view.ops->prefetch(&engine->view, writes[i].hash, 1);
    for (size_t i = 0; i < parts; i++)
        body += shard->parts[i].size;
    shard->log->ops->release(shard->log, cairn_shard_record_bytes(note, writes, count) - body, 0);
    apply(shard, wall_ms, writes, count, end);
    *ret_end = end;
    return CAIRN_OK;
}
