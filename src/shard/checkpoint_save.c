/* checkpoint_save.c - how a shard's state gets into its checkpoint: the two savers.
 *
 * An engine in memory has snapshots: the owner walks one in steps, and the task writes its chunks to a file.  An engine
 * on disk has versions: it writes one in the background, holds it until the log is durable past it, and commits it. */
#include "shard/shard_internal.h"

/* --- a file --- */

static enum cairn_code file_begin(struct cairn_shard *shard, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    struct checkpoint *checkpoint = &store->checkpoint;

    (void)err;
    pthread_mutex_lock(&store->lock);
    checkpoint->number = store->next_number++;
    pthread_mutex_unlock(&store->lock);
    checkpoint->walked = false;
    checkpoint->snapshot = shard->engine->snapshots->begin(shard->engine);
    return CAIRN_OK;
}

/* Moves finished chunks to the task.  True when the snapshot has no more of them. */
static bool hand_over(struct cairn_shard *shard)
{
    struct cairn_store *store = shard->store;
    struct cairn_buf bytes = {0};
    bool more = false, any = false;

    while (checkpoint_may_hand(store) &&
           (more = shard->engine->snapshots->take_chunk(store->checkpoint.snapshot, &bytes))) {
        checkpoint_hand(store, &bytes);
        any = true;
    }
    if (any)
        checkpoint_submit(store, JOB_NONE);
    return !more && checkpoint_may_hand(store);
}

static enum saving walk(struct cairn_shard *shard, uint64_t budget_ns)
{
    struct checkpoint *checkpoint = &shard->store->checkpoint;
    const struct cairn_snapshot_ops *ops = shard->engine->snapshots;
    bool empty = hand_over(shard);

    /* While the disk is behind, the walk waits too: what pends in the snapshot is then only what
     * writers have caused, and only that makes them wait. */
    if (!checkpoint->walked && empty) {
        checkpoint->walked = ops->step(checkpoint->snapshot, budget_ns);
        empty = hand_over(shard);
    }
    if (!checkpoint->walked || !empty)
        return empty ? SAVING_MORE : SAVING_WAITS;
    checkpoint->snapshot = ops->end(checkpoint->snapshot);
    checkpoint_submit(shard->store, JOB_FINISH);
    return SAVING_WAITS;
}

static enum saving file_write(struct cairn_shard *shard, uint64_t budget_ns)
{
    enum cairn_code code;
    bool rest = checkpoint_at_rest(shard->store, &code);

    if (shard->store->checkpoint.snapshot)
        return code == CAIRN_OK ? walk(shard, budget_ns) : SAVING_FAILED;
    if (!rest)
        return SAVING_WAITS;
    return code == CAIRN_OK ? SAVING_DONE : SAVING_FAILED;
}

static enum saving file_commit(struct cairn_shard *shard, struct cairn_err *err)
{
    (void)shard;
    (void)err;
    return SAVING_DONE; /* the manifest commits it */
}

static enum cairn_code file_stop(struct cairn_shard *shard, struct cairn_err *err)
{
    struct checkpoint *checkpoint = &shard->store->checkpoint;

    (void)err;
    if (checkpoint->snapshot)
        checkpoint->snapshot = shard->engine->snapshots->end(checkpoint->snapshot);
    return CAIRN_OK;
}

static bool file_is_pressed(const struct cairn_shard *shard)
{
    struct cairn_snapshot *snapshot = shard->store->checkpoint.snapshot;

    return snapshot && shard->engine->snapshots->pending(snapshot) > CAIRN_SNAPSHOT_PENDING_MAX;
}

/* The whole of a shard in memory, which no thread changes. */
enum cairn_code checkpoint_write(struct cairn_store *store, struct cairn_shard *shard, struct manifest_shard *made,
                                 struct cairn_err *err)
{
    struct cairn_engine *engine = shard->engine;
    struct checkpoint_writer writer = {0};
    struct cairn_engine_stats stats;
    struct cairn_snapshot *snapshot;
    struct cairn_buf chunk = {0};
    enum cairn_code code;
    bool over = false;

    engine->ops->stats(engine, &stats);
    code = checkpoint_writer_open(&writer, store->options.disk, shard->index, made->number, stats.keys, err);
    snapshot = engine->snapshots->begin(engine);
    while (code == CAIRN_OK && !over) {
        over = engine->snapshots->step(snapshot, UINT64_MAX / 2);
        while (code == CAIRN_OK && engine->snapshots->take_chunk(snapshot, &chunk))
            code = checkpoint_writer_add(&writer, cairn_buf_bytes(&chunk), err);
    }
    engine->snapshots->end(snapshot);
    cairn_buf_done(&chunk);
    if (code == CAIRN_OK)
        code = checkpoint_writer_finish(&writer, &made->file_bytes, &made->seal, err);
    if (code != CAIRN_OK)
        checkpoint_writer_discard(&writer);
    return code;
}

/* --- a version --- */

static enum cairn_code version_begin(struct cairn_shard *shard, struct cairn_err *err)
{
    struct checkpoint *checkpoint = &shard->store->checkpoint;
    enum cairn_code code = shard_version_begin(shard, true, true, err);

    checkpoint->version_begun = code == CAIRN_OK;
    checkpoint->committing = false;
    return code;
}

/* Until all that was there at its begin is in runs. */
static enum saving version_write(struct cairn_shard *shard, uint64_t budget_ns)
{
    enum cairn_version_state state = shard->engine->versions->state(shard->engine);

    (void)budget_ns;
    if (state == CAIRN_VERSION_ENDED) /* not committed: a write has failed */
        return SAVING_FAILED;
    return state == CAIRN_VERSION_HELD ? SAVING_DONE : SAVING_WAITS;
}

static enum saving version_commit(struct cairn_shard *shard, struct cairn_err *err)
{
    struct checkpoint *checkpoint = &shard->store->checkpoint;
    const struct cairn_version_ops *ops = shard->engine->versions;

    if (!checkpoint->committing) {
        ops->commit(shard->engine);
        checkpoint->committing = true;
        return SAVING_WAITS;
    }
    if (ops->state(shard->engine) != CAIRN_VERSION_ENDED)
        return SAVING_WAITS;
    checkpoint->version_begun = false;
    return ops->end(shard->engine, &checkpoint->made.number, err) == CAIRN_OK ? SAVING_DONE : SAVING_FAILED;
}

static enum cairn_code version_stop(struct cairn_shard *shard, struct cairn_err *err)
{
    struct checkpoint *checkpoint = &shard->store->checkpoint;
    uint64_t number;
    enum cairn_code code = CAIRN_OK;

    if (checkpoint->version_begun)
        code = shard->engine->versions->end(shard->engine, &number, err);
    checkpoint->version_begun = false;
    return code;
}

static bool version_is_pressed(const struct cairn_shard *shard)
{
    (void)shard; /* its engine says so itself */
    return false;
}

const struct saver *saver_for(const struct cairn_engine *engine)
{
    static const struct saver file = {file_begin, file_write, file_commit, file_stop, file_is_pressed};
    static const struct saver version = {version_begin, version_write, version_commit, version_stop,
                                         version_is_pressed};

    return engine->versions ? &version : &file;
}
