/* checkpoint_task.c - what the checkpoint that is under way has done by a task: its file's chunks are written, the
 * manifest names it, or it is discarded. */
#include "shard/shard_internal.h"

#include <stdlib.h>

enum { HANDED_BYTES_MAX = 4 << 20 }; /* chunks with the task */

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

    if (store_log_failed(store))
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

void checkpoint_submit(struct cairn_store *store, enum checkpoint_job job)
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

bool checkpoint_at_rest(struct cairn_store *store, enum cairn_code *ret_code)
{
    bool rest;

    pthread_mutex_lock(&store->lock);
    rest = !store->checkpoint.busy;
    *ret_code = store->checkpoint.code;
    pthread_mutex_unlock(&store->lock);
    return rest;
}

bool checkpoint_may_hand(const struct cairn_store *store)
{
    return atomic_load_explicit(&store->checkpoint.handed_bytes, memory_order_relaxed) < HANDED_BYTES_MAX;
}

void checkpoint_hand(struct cairn_store *store, struct cairn_buf *bytes)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct handed_chunk *chunk = cairn_alloc(sizeof *chunk);

    *chunk = (struct handed_chunk){.bytes = *bytes};
    *bytes = (struct cairn_buf){0};
    pthread_mutex_lock(&store->lock);
    *checkpoint->last = chunk;
    checkpoint->last = &chunk->next;
    atomic_fetch_add_explicit(&checkpoint->handed_bytes, chunk->bytes.size, memory_order_relaxed);
    pthread_mutex_unlock(&store->lock);
}

void checkpoint_task_init(struct cairn_store *store)
{
    struct checkpoint *checkpoint = &store->checkpoint;

    checkpoint->last = &checkpoint->first;
    checkpoint->task = cairn_alloc_zeroed(1, sizeof *checkpoint->task);
    checkpoint->task->task.run = run;
    checkpoint->task->store = store;
}

void checkpoint_task_stop(struct cairn_store *store, bool crash)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct handed_chunk *chunk;
    bool queued;

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
        queued = !checkpoint_at_rest(store, &code);
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
