/* checkpoint.c - the checkpoint that is under way: whose turn it is, its states, its task.
 *
 * Who may write what, and why that is enough:
 * A shard's line in a new manifest is min(dirt.from, durable), where `durable` was asked for
 * before the lock was taken.  A clean shard's next record can only lie above that (see mark_dirty);
 * a changed one's first record lies at or above its dirt.from.  So positions advance for idle
 * shards without a word from their owners, and nothing ever names a position that the log could
 * still lose.  For the shard whose file is named, begin has set dirt anew, and the AWAIT
 * state has seen the log durable past everything applied before. */
#include "shard/shard_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HANDED_BYTES_MAX = 4 << 20, /* chunks with the task */
    RETRY_NS_FIRST = 1000000000,
};
static const uint64_t retry_ns_last = 32ull * RETRY_NS_FIRST;

#define TO(state) (1u << (state))

static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [CKPT_IDLE] = {"idle", TO(CKPT_WALK) | TO(CKPT_WRITE) | TO(CKPT_DISCARD)},
    [CKPT_WALK] = {"walk", TO(CKPT_FINISH) | TO(CKPT_DISCARD)},
    [CKPT_FINISH] = {"finish", TO(CKPT_AWAIT) | TO(CKPT_DISCARD)},
    [CKPT_WRITE] = {"write", TO(CKPT_AWAIT) | TO(CKPT_DISCARD)},
    [CKPT_AWAIT] = {"await", TO(CKPT_NAME) | TO(CKPT_COMMIT) | TO(CKPT_DISCARD)},
    [CKPT_COMMIT] = {"commit", TO(CKPT_NAME) | TO(CKPT_DISCARD)},
    [CKPT_NAME] = {"name", TO(CKPT_IDLE)},
    [CKPT_DISCARD] = {"discard", TO(CKPT_IDLE)},
};

static void move(struct checkpoint *checkpoint, enum checkpoint_state to) /* the only writer of state */
{
    assert(states[checkpoint->state].next & TO(to));
    checkpoint->state = to;
    atomic_store_explicit(&checkpoint->awaiting, to == CKPT_AWAIT, memory_order_relaxed);
}

static bool log_failed(const struct cairn_store *store)
{
    return atomic_load_explicit(&store->log_failed, memory_order_acquire);
}

/* --- turns ----------------------------------------------------------------------------------- */

void checkpoint_update_oldest(struct stream *stream)
{
    struct cairn_store *store = stream->store;
    const struct checkpoint *checkpoint = &store->checkpoint;
    uint64_t oldest = store->shards[checkpoint->shard].stream == stream ? checkpoint->dirt_before.age : CLEAN;

    for (uint32_t i = 0; i < store->count; i++)
        if (store->shards[i].stream == stream && store->shards[i].dirt.age < oldest)
            oldest = store->shards[i].dirt.age;
    atomic_store_explicit(&stream->oldest, oldest, memory_order_relaxed);
}

/* Before the lock is taken: where the logs end. */
static void look_at_ends(struct cairn_store *store)
{
    for (uint32_t i = 0; i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];

        atomic_store_explicit(&stream->end, stream->log->ops->end(stream->log), memory_order_relaxed);
    }
}

/* How many bytes of its log are in no checkpoint of a shard; -1: none, and nothing is to be done. */
static int64_t behind(const struct cairn_shard *shard)
{
    uint64_t end = atomic_load_explicit(&shard->stream->end, memory_order_relaxed);

    if (shard->dirt.age == CLEAN)
        return -1;
    return end > shard->dirt.age ? (int64_t)(end - shard->dirt.age) : 0;
}

/* The lock is held and no turn is taken.  Returns the shard that was chosen. */
static int32_t choose(struct cairn_store *store)
{
    int64_t most = -1;
    int32_t turn = NO_TURN;

    for (uint32_t i = 0; i < store->count; i++)
        if (behind(&store->shards[i]) > most) {
            most = behind(&store->shards[i]);
            turn = (int32_t)i;
        }
    if (log_failed(store) || turn == NO_TURN ||
        (!atomic_load(&store->closing) && (atomic_load(&store->taking.holds) || most <= (int64_t)store->due_bytes)))
        turn = NO_TURN;
    atomic_store_explicit(&store->turn, turn, memory_order_release);
    return turn;
}

void checkpoint_choose_turn(struct cairn_store *store)
{
    int32_t turn = NO_TURN;

    look_at_ends(store);
    pthread_mutex_lock(&store->lock);
    if (atomic_load_explicit(&store->turn, memory_order_relaxed) == NO_TURN)
        turn = choose(store);
    pthread_mutex_unlock(&store->lock);
    if (turn != NO_TURN)
        store_notify(store, (uint32_t)turn);
}

bool cairn_store_checkpoint_due(const struct cairn_store *store)
{
    return atomic_load_explicit(&store->turn, memory_order_relaxed) != NO_TURN ||
           atomic_load_explicit(&store->working, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&store->taking.active, memory_order_relaxed) ||
           atomic_load_explicit(&store->archive.pending_bytes, memory_order_relaxed) != 0 ||
           (store->archive.blob && atomic_load_explicit(&store->archive.versions_left, memory_order_relaxed));
}

/* --- the task -------------------------------------------------------------------------------- */

static struct handed_chunk *next_chunk(struct checkpoint *checkpoint)
{
    struct handed_chunk *chunk = checkpoint->first;

    if (!chunk)
        return NULL;
    checkpoint->first = chunk->next;
    if (!checkpoint->first)
        checkpoint->last = &checkpoint->first;
    atomic_fetch_sub_explicit(&checkpoint->handed_bytes, chunk->bytes.size, memory_order_relaxed);
    return chunk;
}

static void free_chunk(struct handed_chunk *chunk)
{
    cairn_buf_done(&chunk->bytes);
    free(chunk);
}

/* True unless it is certain that the disk's manifest is still the old one. */
static bool may_be_named(struct cairn_store *store)
{
    struct manifest found;
    bool is_old;

    if (manifest_read(store->options.disk, &found, NULL) != CAIRN_OK)
        return true;
    is_old = found.sequence == store->manifest.sequence;
    manifest_done(&found);
    return !is_old;
}

/* Replaces the manifest by one that names the new file and advances every shard it can. */
static enum cairn_code name_file(struct cairn_store *store, struct cairn_err *err)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct manifest manifest;
    struct manifest_shard *named;
    enum cairn_code code;

    if (log_failed(store))
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log has failed");
    for (uint32_t i = 0; i < store->stream_count; i++) { /* before the lock, see above */
        struct stream *stream = &store->streams[i];

        stream->durable = stream->log->ops->durable(stream->log);
    }
    pthread_mutex_lock(&store->lock);
    manifest_copy(&manifest, &store->manifest);
    manifest.sequence++;
    if (checkpoint->made.number >= store->next_number) /* a version's, which its engine has counted */
        store->next_number = checkpoint->made.number + 1;
    manifest.next_number = store->next_number;
    for (uint32_t i = 0; i < store->count; i++) {
        struct cairn_shard *shard = &store->shards[i];
        uint64_t durable = shard->stream->durable, from = shard->dirt.from < durable ? shard->dirt.from : durable;
        uint64_t wall_ms = atomic_load_explicit(&shard->wall_ms, memory_order_relaxed);
        if (from > manifest.shards[i].position)
            manifest.shards[i].position = from;
        if (wall_ms > manifest.wall_ms)
            manifest.wall_ms = wall_ms;
    }
    pthread_mutex_unlock(&store->lock);
    named = &manifest.shards[checkpoint->shard];
    named->number = checkpoint->made.number;
    named->file_bytes = checkpoint->made.file_bytes;
    named->seal = checkpoint->made.seal;
    code = manifest_write(store->options.disk, &manifest, err);
    if (code != CAIRN_OK) {
        manifest_done(&manifest);
        /* The rename may have been done and only its sync have failed: then after a crash either
         * manifest may be there, so both files have to be. */
        if (!may_be_named(store))
            checkpoint_writer_discard(&checkpoint->writer);
        return code;
    }
    pthread_mutex_lock(&store->lock);
    manifest_done(&store->manifest);
    store->manifest = manifest;
    store->checkpoints++;
    store->checkpoint_bytes += checkpoint->made.file_bytes;
    pthread_mutex_unlock(&store->lock);
    store_trim_logs(store);
    store_sweep(store);
    return CAIRN_OK;
}

static enum cairn_code open_file(struct cairn_store *store, struct cairn_err *err)
{
    struct checkpoint *checkpoint = &store->checkpoint;

    if (checkpoint->writer.disk)
        return CAIRN_OK;
    return checkpoint_writer_open(&checkpoint->writer, store->options.disk, checkpoint->shard, checkpoint->number,
                                  checkpoint->keys, err);
}

static enum cairn_code write_chunk(struct cairn_store *store, struct cairn_bytes chunk, struct cairn_err *err)
{
    enum cairn_code code = open_file(store, err);

    return code == CAIRN_OK ? checkpoint_writer_add(&store->checkpoint.writer, chunk, err) : code;
}

static enum cairn_code do_job(struct cairn_store *store, enum checkpoint_job job, struct cairn_err *err)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    enum cairn_code code;

    switch (job) {
    case JOB_NONE:
        return CAIRN_OK;
    case JOB_FINISH:
        code = open_file(store, err); /* an empty shard has no chunks */
        if (code == CAIRN_OK)
            code = checkpoint_writer_finish(&checkpoint->writer, &checkpoint->made.file_bytes, &checkpoint->made.seal,
                                            err);
        checkpoint->made.number = checkpoint->writer.number;
        return code;
    case JOB_NAME:
        return name_file(store, err);
    case JOB_DISCARD:
        checkpoint_writer_discard(&checkpoint->writer);
        return CAIRN_OK;
    }
    return CAIRN_OK;
}

static void run(struct cairn_task *task)
{
    struct checkpoint_task *mine = (struct checkpoint_task *)(void *)task;
    struct cairn_store *store = mine->store;
    struct checkpoint *checkpoint;
    struct handed_chunk *chunk;
    enum checkpoint_job job;
    enum cairn_code code;
    struct cairn_err err;

    if (!store) {
        free(mine);
        return;
    }
    checkpoint = &store->checkpoint;
    pthread_mutex_lock(&store->lock);
    code = checkpoint->code;
    err = checkpoint->err;
    for (;;) {
        chunk = next_chunk(checkpoint);
        job = chunk ? JOB_NONE : checkpoint->job;
        if (!chunk && job == JOB_NONE)
            break;
        if (!chunk)
            checkpoint->job = JOB_NONE;
        pthread_mutex_unlock(&store->lock);
        if (chunk) {
            if (code == CAIRN_OK)
                code = write_chunk(store, cairn_buf_bytes(&chunk->bytes), &err);
            free_chunk(chunk);
        } else if (code == CAIRN_OK || job == JOB_DISCARD) {
            enum cairn_code job_code = do_job(store, job, &err);
            code = code == CAIRN_OK ? job_code : code;
        }
        pthread_mutex_lock(&store->lock);
    }
    checkpoint->code = code;
    checkpoint->err = err;
    checkpoint->busy = false;
    /* Within the lock: once it is given back the store may be closed. */
    store_notify(store, checkpoint->shard);
    store->wakes++;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

/* --- the owner ------------------------------------------------------------------------------- */

static void submit(struct cairn_store *store, enum checkpoint_job job)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    bool idle;

    pthread_mutex_lock(&store->lock);
    if (job != JOB_NONE)
        checkpoint->job = job;
    idle = !checkpoint->busy;
    checkpoint->busy = true;
    pthread_mutex_unlock(&store->lock);
    if (idle)
        cairn_tasks_submit(store->options.tasks, &checkpoint->task->task);
}

/* What the task has come to: true when it is at rest, with its first failure. */
static bool at_rest(struct cairn_store *store, enum cairn_code *ret_code)
{
    bool rest;

    pthread_mutex_lock(&store->lock);
    rest = !store->checkpoint.busy;
    *ret_code = store->checkpoint.code;
    pthread_mutex_unlock(&store->lock);
    return rest;
}

static bool handed_all_it_may(const struct checkpoint *checkpoint)
{
    return atomic_load_explicit(&checkpoint->handed_bytes, memory_order_relaxed) >= HANDED_BYTES_MAX;
}

/* Moves finished chunks to the task.  True when the snapshot has no more of them. */
static bool hand_over(struct cairn_store *store, struct cairn_engine *engine)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_buf bytes = {0};
    bool more = false, any = false;

    while (!handed_all_it_may(checkpoint) && (more = engine->ops->snapshot_take_chunk(checkpoint->snapshot, &bytes))) {
        struct handed_chunk *chunk = cairn_alloc(sizeof *chunk);
        *chunk = (struct handed_chunk){.bytes = bytes};
        bytes = (struct cairn_buf){0};
        pthread_mutex_lock(&store->lock);
        *checkpoint->last = chunk;
        checkpoint->last = &chunk->next;
        atomic_fetch_add_explicit(&checkpoint->handed_bytes, chunk->bytes.size, memory_order_relaxed);
        pthread_mutex_unlock(&store->lock);
        any = true;
    }
    if (any)
        submit(store, JOB_NONE);
    return !more && !handed_all_it_may(checkpoint);
}

/* `why`: NULL when the task or the version knows, or else the log has failed. */
static void give_up(struct cairn_store *store, struct cairn_shard *shard, const struct cairn_err *why)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_err err;
    uint64_t number;

    if (checkpoint->snapshot)
        checkpoint->snapshot = shard->engine->ops->snapshot_end(checkpoint->snapshot);
    if (checkpoint->version_begun && levels_snapshot_end(shard->levels, &number, &err) != CAIRN_OK &&
        !log_failed(store))
        why = &err;
    checkpoint->version_begun = false;
    pthread_mutex_lock(&store->lock);
    if (checkpoint->code == CAIRN_OK && why) {
        checkpoint->code = why->code;
        checkpoint->err = *why;
    } else if (checkpoint->code == CAIRN_OK) {
        checkpoint->code = cairn_fail(&checkpoint->err, CAIRN_EUNAVAILABLE, "the log has failed");
    }
    pthread_mutex_unlock(&store->lock);
    move(checkpoint, CKPT_DISCARD);
    submit(store, JOB_DISCARD);
}

static void begin(struct cairn_store *store, struct cairn_shard *shard)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_engine_stats stats;
    struct cairn_err err;

    shard->engine->ops->stats(shard->engine, &stats);
    checkpoint->writer = (struct checkpoint_writer){0};
    checkpoint->made = (struct manifest_shard){0};
    checkpoint->applied_end = shard->applied_end;
    checkpoint->walked = false;
    pthread_mutex_lock(&store->lock);
    checkpoint->shard = shard->index;
    if (!shard->levels)
        checkpoint->number = store->next_number++;
    checkpoint->keys = stats.keys;
    checkpoint->code = CAIRN_OK;
    checkpoint->dirt_before = shard->dirt;
    shard->dirt = (struct dirt){CLEAN, CLEAN};
    pthread_mutex_unlock(&store->lock);
    if (!shard->levels) {
        checkpoint->snapshot = shard->engine->ops->snapshot_begin(shard->engine);
        move(checkpoint, CKPT_WALK);
    } else if (shard_version_begin(shard, true, true, &err) == CAIRN_OK) {
        checkpoint->version_begun = true;
        move(checkpoint, CKPT_WRITE);
    } else {
        give_up(store, shard, &err);
    }
}

/* The attempt is over: the turn goes on, or the shard's changes count again and it is tried later. */
static void conclude(struct cairn_store *store, struct cairn_shard *shard, bool good)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    int32_t turn = (int32_t)shard->index;

    if (good) {
        checkpoint->retry_at_ns = checkpoint->retry_delay_ns = 0;
    } else {
        struct cairn_clock *clock = store->options.clock;
        checkpoint->retry_delay_ns = checkpoint->retry_delay_ns ? 2 * checkpoint->retry_delay_ns : RETRY_NS_FIRST;
        if (checkpoint->retry_delay_ns > retry_ns_last)
            checkpoint->retry_delay_ns = retry_ns_last;
        checkpoint->retry_at_ns = clock->monotonic_ns(clock) + checkpoint->retry_delay_ns;
    }
    move(checkpoint, CKPT_IDLE);
    look_at_ends(store);
    pthread_mutex_lock(&store->lock);
    if (!good) {
        shard->dirt = checkpoint->dirt_before;
        store->checkpoint_failures++;
    }
    snprintf(store->checkpoint_error, sizeof store->checkpoint_error, "%s", good ? "" : checkpoint->err.text);
    atomic_store_explicit(&store->checkpoint_code, good ? CAIRN_OK : checkpoint->err.code, memory_order_relaxed);
    checkpoint->dirt_before = (struct dirt){CLEAN, CLEAN};
    checkpoint_update_oldest(shard->stream);
    if (good)
        turn = choose(store);
    else if (atomic_load(&store->closing) || log_failed(store))
        atomic_store_explicit(&store->turn, turn = NO_TURN, memory_order_release);
    pthread_mutex_unlock(&store->lock);
    if (turn != NO_TURN && turn != (int32_t)shard->index)
        store_notify(store, (uint32_t)turn);
}

static bool step_walk(struct cairn_store *store, struct cairn_shard *shard, uint64_t budget_ns)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_engine *engine = shard->engine;
    bool empty = hand_over(store, engine);

    /* While the disk is behind, the walk waits too: what pends in the snapshot is then only what
     * writers have caused, and only that makes them wait. */
    if (!checkpoint->walked && empty) {
        checkpoint->walked = engine->ops->snapshot_step(checkpoint->snapshot, budget_ns);
        empty = hand_over(store, engine);
    }
    if (!checkpoint->walked || !empty)
        return empty;
    checkpoint->snapshot = engine->ops->snapshot_end(checkpoint->snapshot);
    move(checkpoint, CKPT_FINISH);
    submit(store, JOB_FINISH);
    return false;
}

/* Until all that was there at its begin is in runs. */
static bool step_write(struct cairn_store *store, struct cairn_shard *shard)
{
    if (log_failed(store) || levels_snapshot_is_done(shard->levels)) { /* not committed: a write has failed */
        give_up(store, shard, NULL);
        return false;
    }
    if (!levels_snapshot_is_held(shard->levels))
        return false;
    move(&store->checkpoint, CKPT_AWAIT);
    shard->log->ops->want_durable(shard->log, store->checkpoint.applied_end);
    return true;
}

static bool step_commit(struct cairn_store *store, struct cairn_shard *shard)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_err err;

    if (!levels_snapshot_is_done(shard->levels))
        return false;
    checkpoint->version_begun = false;
    if (levels_snapshot_end(shard->levels, &checkpoint->made.number, &err) != CAIRN_OK) {
        give_up(store, shard, &err);
        return false;
    }
    move(checkpoint, CKPT_NAME);
    submit(store, JOB_NAME);
    return false;
}

bool cairn_shard_step(struct cairn_shard *shard, uint64_t budget_ns)
{
    struct cairn_store *store = shard->store;
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_clock *clock = store->options.clock;
    enum cairn_code code;
    bool rest;

    if (shard->levels)
        shard_engine_work(shard);
    if (atomic_load_explicit(&store->taking.active, memory_order_relaxed))
        node_versions_step(shard);
    if (shard->index == store->count - 1)
        archive_step(store);
    if (atomic_load_explicit(&store->turn, memory_order_acquire) != (int32_t)shard->index)
        return false;
    rest = at_rest(store, &code);
    switch (checkpoint->state) {
    case CKPT_IDLE:
        if (log_failed(store) || shard->dirt.from == CLEAN) {
            atomic_store_explicit(&store->turn, NO_TURN, memory_order_release);
            return false;
        }
        if (checkpoint->retry_at_ns && clock->monotonic_ns(clock) < checkpoint->retry_at_ns)
            return false;
        begin(store, shard);
        return true;
    case CKPT_WALK:
        if (code == CAIRN_OK && !log_failed(store))
            return step_walk(store, shard, budget_ns);
        give_up(store, shard, NULL);
        return false;
    case CKPT_FINISH:
        if (!rest)
            return false;
        if (code != CAIRN_OK) {
            give_up(store, shard, NULL);
            return false;
        }
        move(checkpoint, CKPT_AWAIT);
        shard->log->ops->want_durable(shard->log, checkpoint->applied_end);
        return true;
    case CKPT_WRITE:
        return step_write(store, shard);
    case CKPT_AWAIT:
        if (log_failed(store)) {
            give_up(store, shard, NULL);
            return false;
        }
        if (shard->log->ops->durable(shard->log) < checkpoint->applied_end)
            return false;
        if (shard->levels) {
            levels_snapshot_commit(shard->levels);
            move(checkpoint, CKPT_COMMIT);
            return false;
        }
        move(checkpoint, CKPT_NAME);
        submit(store, JOB_NAME);
        return false;
    case CKPT_COMMIT:
        return step_commit(store, shard);
    case CKPT_NAME:
    case CKPT_DISCARD:
        if (!rest)
            return false;
        conclude(store, shard, code == CAIRN_OK);
        return code == CAIRN_OK && atomic_load_explicit(&store->turn, memory_order_acquire) == (int32_t)shard->index;
    }
    return false;
}

/* Whether runs that are still to be written, or merged, are too many. */
static enum cairn_code check_levels(const struct levels *levels, struct cairn_err *err)
{
    enum cairn_code code;

    if (!levels_is_pressed(levels))
        return CAIRN_OK;
    code = levels_failure(levels, err);
    return code == CAIRN_OK ? cairn_fail(err, CAIRN_EOVERLOAD, "the engine is behind") : code;
}

/* They come; or, as the last one found no room, they do not for now, and waiting for them would be in vain. */
static enum cairn_code checkpoints_behind(const struct cairn_store *store, struct cairn_err *err)
{
    if (atomic_load_explicit(&store->checkpoint_code, memory_order_relaxed) == CAIRN_EFULL)
        return cairn_fail(err, CAIRN_EFULL,
                          "the disk has no room for a checkpoint, and the log must not grow without one: writes are "
                          "refused until it has");
    return cairn_fail(err, CAIRN_EOVERLOAD, "checkpoints are behind");
}

enum cairn_code cairn_shard_check_writers(struct cairn_shard *shard, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_engine *engine = shard->engine;
    int32_t turn = atomic_load_explicit(&store->turn, memory_order_acquire);
    enum cairn_code code;
    uint64_t oldest;

    if (log_failed(store))
        return CAIRN_OK;
    code = shard->levels ? check_levels(shard->levels, err) : CAIRN_OK;
    if (code == CAIRN_OK)
        code = archive_check_writers(store, err);
    if (code != CAIRN_OK)
        return code;
    if (turn == NO_TURN)
        return CAIRN_OK;
    if (turn == (int32_t)shard->index && checkpoint->snapshot &&
        engine->ops->snapshot_pending(checkpoint->snapshot) > CAIRN_SNAPSHOT_PENDING_MAX)
        return checkpoints_behind(store, err);
    oldest = atomic_load_explicit(&shard->stream->oldest, memory_order_relaxed);
    if (shard->applied_end > oldest && shard->applied_end - oldest > store->options.log_bytes_max)
        return checkpoints_behind(store, err);
    return CAIRN_OK;
}

/* --- opening and closing --------------------------------------------------------------------- */

void checkpoint_init(struct cairn_store *store)
{
    struct checkpoint *checkpoint = &store->checkpoint;

    checkpoint->last = &checkpoint->first;
    checkpoint->dirt_before = (struct dirt){CLEAN, CLEAN};
    checkpoint->task = cairn_alloc_zeroed(1, sizeof *checkpoint->task);
    checkpoint->task->task.run = run;
    checkpoint->task->store = store;
    atomic_store(&store->turn, NO_TURN);
    for (uint32_t i = 0; i < store->stream_count; i++)
        checkpoint_update_oldest(&store->streams[i]);
}

static uint64_t wakes_so_far(struct cairn_store *store)
{
    uint64_t wakes;

    pthread_mutex_lock(&store->lock);
    wakes = store->wakes;
    pthread_mutex_unlock(&store->lock);
    return wakes;
}

/* Waits until the task or the log has got on since `wakes`; in simulation lets them.  False when
 * nothing is left that could. */
static bool wait_for_others(struct cairn_store *store, uint64_t wakes)
{
    if (store->stepped) {
        bool any = cairn_tasks_step(store->options.tasks);
        return cairn_store_step_logs(store) || any;
    }
    pthread_mutex_lock(&store->lock);
    while (store->wakes == wakes)
        pthread_cond_wait(&store->changed, &store->lock);
    pthread_mutex_unlock(&store->lock);
    return true;
}

void store_wait_a_little(struct cairn_store *store)
{
    enum { NS = 1000000 };

    if (store->stepped) {
        cairn_tasks_step(store->options.tasks);
        cairn_store_step_logs(store);
        return;
    }
    pthread_mutex_lock(&store->lock);
    cairn_cond_wait_ns(&store->changed, &store->lock, NS);
    pthread_mutex_unlock(&store->lock);
}

/* The whole of a shard in memory, which nobody changes. */
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
    snapshot = engine->ops->snapshot_begin(engine);
    while (code == CAIRN_OK && !over) {
        over = engine->ops->snapshot_step(snapshot, UINT64_MAX / 2);
        while (code == CAIRN_OK && engine->ops->snapshot_take_chunk(snapshot, &chunk))
            code = checkpoint_writer_add(&writer, cairn_buf_bytes(&chunk), err);
    }
    engine->ops->snapshot_end(snapshot);
    cairn_buf_done(&chunk);
    if (code == CAIRN_OK)
        code = checkpoint_writer_finish(&writer, &made->file_bytes, &made->seal, err);
    if (code != CAIRN_OK)
        checkpoint_writer_discard(&writer);
    return code;
}

enum cairn_code checkpoint_all(struct cairn_store *store, struct cairn_err *err)
{
    enum { BUDGET_NS = 10000000 };
    struct checkpoint *checkpoint = &store->checkpoint;
    uint64_t failures = store->checkpoint_failures, wakes;
    int32_t turn;

    atomic_store(&store->closing, true);
    checkpoint->retry_at_ns = 0;
    checkpoint_choose_turn(store);
    for (;;) {
        wakes = wakes_so_far(store); /* before the step looks at anything */
        turn = atomic_load(&store->turn);
        if (turn == NO_TURN || store->checkpoint_failures != failures)
            break;
        if (cairn_shard_step(&store->shards[turn], BUDGET_NS) || atomic_load(&store->turn) != turn)
            continue;
        if (!wait_for_others(store, wakes) && !checkpoint->busy)
            return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log makes no progress while checkpointing shard %d", turn);
    }
    if (store->checkpoint_failures != failures)
        return cairn_fail(err, checkpoint->err.code, "%s while checkpointing shard %u", checkpoint->err.text,
                          checkpoint->shard);
    if (log_failed(store))
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log has failed");
    return CAIRN_OK;
}

void checkpoint_stop(struct cairn_store *store, bool crash)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct handed_chunk *chunk;
    bool queued;

    if (checkpoint->snapshot)
        checkpoint->snapshot = store->shards[checkpoint->shard].engine->ops->snapshot_end(checkpoint->snapshot);
    /* A version that was begun ends with its store. */
    pthread_mutex_lock(&store->lock);
    while ((chunk = next_chunk(checkpoint)))
        free_chunk(chunk);
    if (crash)
        checkpoint->job = JOB_NONE;
    while (checkpoint->busy && !store->stepped)
        pthread_cond_wait(&store->changed, &store->lock);
    queued = checkpoint->busy;
    pthread_mutex_unlock(&store->lock);
    while (queued && !crash) {
        enum cairn_code code;
        cairn_tasks_step(store->options.tasks);
        queued = !at_rest(store, &code);
    }
    if (checkpoint->writer.file && crash) {
        checkpoint->writer.disk->ops->close(checkpoint->writer.file);
        checkpoint->writer.file = NULL;
    } else if (!crash && checkpoint->state != CKPT_IDLE && checkpoint->state != CKPT_NAME) {
        checkpoint_writer_discard(&checkpoint->writer);
    }
    if (queued)
        checkpoint->task->store = NULL; /* it frees itself when it is run */
    else
        free(checkpoint->task);
    checkpoint->task = NULL;
}
