/* recover.c - state = newest valid checkpoint + log from its position. */
#include "shard/shard_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

enum { PROGRESS_BYTES = 8 << 20 };

/* --- checkpoints ----------------------------------------------------------------------------- */

/* Shards are independent: two threads take the next one until none is left. */
struct loading {
    struct cairn_store *store;
    uint64_t total, reported;
    _Atomic uint32_t next;
    _Atomic uint64_t done;
    _Atomic bool failed;
    pthread_mutex_t lock; /* guards err */
    struct cairn_err err;
};

struct load_task {
    struct cairn_task task;
    struct loading *loading;
};

static void count_bytes(void *context, uint64_t bytes)
{
    struct loading *loading = context;

    atomic_fetch_add(&loading->done, bytes);
}

static void count_and_report(void *context, uint64_t bytes)
{
    struct loading *loading = context;
    uint64_t done = atomic_fetch_add(&loading->done, bytes) + bytes;

    if (done - loading->reported < PROGRESS_BYTES)
        return;
    loading->reported = done;
    store_report(loading->store, "checkpoints", done, loading->total);
}

static void load_shards(struct loading *loading, void (*progress)(void *context, uint64_t bytes))
{
    struct cairn_store *store = loading->store;
    uint32_t index;

    while ((index = atomic_fetch_add(&loading->next, 1)) < store->count && !atomic_load(&loading->failed)) {
        const struct manifest_shard *named = &store->manifest.shards[index];
        struct cairn_err err = {0};
        if (!named->file_bytes) /* there is none, or the engine has it */
            continue;
        if (checkpoint_load(store->options.disk, index, named, store->shards[index].engine, progress, loading, &err) ==
            CAIRN_OK)
            continue;
        pthread_mutex_lock(&loading->lock);
        if (!atomic_exchange(&loading->failed, true))
            loading->err = err;
        pthread_mutex_unlock(&loading->lock);
    }
}

static void run_load(struct cairn_task *task)
{
    load_shards(((struct load_task *)(void *)task)->loading, count_bytes);
}

enum cairn_code recover_checkpoints(struct cairn_store *store, struct cairn_err *err)
{
    struct loading loading = {.store = store, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct load_task task = {.task.run = run_load, .loading = &loading};

    for (uint32_t i = 0; i < store->count; i++)
        loading.total += store->manifest.shards[i].file_bytes;
    if (!loading.total)
        return CAIRN_OK;
    store_report(store, "checkpoints", 0, loading.total);
    if (!store->stepped) {
        struct cairn_tasks *tasks = cairn_tasks_create(1);
        cairn_tasks_submit(tasks, &task.task);
        load_shards(&loading, count_and_report);
        cairn_tasks_destroy(tasks);
    } else {
        load_shards(&loading, count_and_report);
    }
    pthread_mutex_destroy(&loading.lock);
    if (atomic_load(&loading.failed)) {
        *err = loading.err;
        return err->code;
    }
    store_report(store, "checkpoints", loading.total, loading.total);
    return CAIRN_OK;
}

/* --- the log --------------------------------------------------------------------------------- */

/* Writes are applied some at a time, so that the table's lines for all of them are fetched at
 * once: waiting for memory, one key after another, would be most of a restart's time. */
enum { QUEUE = 64, QUEUE_BYTES = 256 << 10 };

struct queued {
    struct cairn_shard *shard;
    struct cairn_write write;
};

struct replay {
    struct cairn_store *store;
    uint64_t from, end, reported;
    uint64_t seen_end, gaps; /* behind the last record; positions below it that no record has */
    size_t count;
    struct queued queue[QUEUE];
    struct cairn_buf bodies; /* copies of the records that queued writes lie in */
    enum cairn_code code;    /* of applying them */
    struct cairn_err err;
};

enum cairn_code engine_apply(struct cairn_engine *engine, const struct cairn_write *write, uint64_t hash,
                             struct cairn_err *err)
{
    enum cairn_code code = engine->ops->ready(engine, write->key.size + write->value.size, err);

    if (code == CAIRN_OK && write->deleted)
        engine->ops->remove(engine, write->key, hash);
    else if (code == CAIRN_OK)
        engine->ops->put(engine, write->key, hash, write->value);
    return code;
}

static void apply_queued(struct replay *replay)
{
    for (size_t i = 0; i < replay->count; i++) {
        struct cairn_engine *engine = replay->queue[i].shard->engine;

        engine->view.ops->prefetch(&engine->view, replay->queue[i].write.hash, 1);
    }
    for (size_t i = 0; i < replay->count && replay->code == CAIRN_OK; i++) {
        struct cairn_shard *shard = replay->queue[i].shard;
        const struct cairn_write *write = &replay->queue[i].write;

        replay->code = engine_apply(shard->engine, write, write->hash, &replay->err);
    }
    replay->count = 0;
}

/* A copy that lives until the queue is next found empty; bodies too large for that are used as they
 * are, and applied before they go. */
static struct cairn_bytes keep_body(struct replay *replay, struct cairn_bytes body)
{
    uint8_t *copy;

    if (replay->bodies.size + body.size > QUEUE_BYTES)
        apply_queued(replay);
    if (!replay->count)
        replay->bodies.size = 0;
    if (body.size > QUEUE_BYTES)
        return body;
    cairn_buf_reserve(&replay->bodies, QUEUE_BYTES - replay->bodies.size); /* once: what is queued points into it */
    copy = replay->bodies.data + replay->bodies.size;
    cairn_buf_add(&replay->bodies, body.data, body.size);
    return cairn_bytes(copy, body.size);
}

static enum cairn_code replay_writes(struct replay *replay, struct cairn_shard *shard, struct cairn_reader *r,
                                     const struct commit_head *head, struct cairn_err *err)
{
    struct cairn_engine *engine = shard->engine;

    for (uint64_t i = 0; i < head->writes; i++) {
        struct queued *queued;
        enum cairn_code code;

        if (replay->count == QUEUE)
            apply_queued(replay);
        queued = &replay->queue[replay->count];
        code = commit_read_write(r, &queued->write, err);
        if (code != CAIRN_OK)
            return code;
        queued->shard = shard;
        queued->write.hash = cairn_hash(queued->write.key);
        engine->view.ops->prefetch(&engine->view, queued->write.hash, 0);
        replay->count++;
    }
    if (r->at != head->end)
        return cairn_fail(err, CAIRN_ECORRUPT, "bytes behind the last write of a commit");
    return CAIRN_OK;
}

/* A record's, or one of its. */
static enum cairn_code replay_part(struct replay *replay, struct cairn_reader *r, const struct commit_head *head,
                                   uint64_t position, uint64_t end, struct cairn_err *err)
{
    struct cairn_store *store = replay->store;
    struct cairn_shard *shard;
    enum cairn_code code;

    if (head->shard >= store->count)
        return cairn_fail(err, CAIRN_ECORRUPT, "a commit of shard %" PRIu32 ", which there is not", head->shard);
    shard = &store->shards[head->shard];
    if (position < shard->from)
        return CAIRN_OK; /* the checkpoint has it */
    code = replay_writes(replay, shard, r, head, err);
    if (code != CAIRN_OK)
        return code;
    if (shard->dirt.from == CLEAN)
        shard->dirt = (struct dirt){position, position - replay->gaps};
    shard->applied_end = end;
    return CAIRN_OK;
}

static enum cairn_code replay_record(void *context, uint64_t position, uint64_t end, struct cairn_bytes body,
                                     struct cairn_err *err)
{
    struct replay *replay = context;
    struct cairn_store *store = replay->store;
    struct cairn_bytes kept = keep_body(replay, body);
    struct cairn_reader r = cairn_reader(kept);
    struct commit_head head;
    enum cairn_code code;

    replay->gaps += position - replay->seen_end;
    replay->seen_end = end;
    if (position - replay->reported >= PROGRESS_BYTES) {
        replay->reported = position;
        store_report(store, "log", position - replay->from, replay->end - replay->from);
    }
    code = commit_read_head(&r, &head, err);
    if (code == CAIRN_OK) {
        if (head.wall_ms > store->wall_ms)
            store->wall_ms = head.wall_ms;
        if (store->tap)
            store->tap->ops->replayed(store->tap, position, end, body);
        do
            code = replay_part(replay, &r, &head, position, end, err);
        while (commit_read_next(&r, &head, &code, err));
    }
    if (code == CAIRN_OK && kept.data == body.data)
        apply_queued(replay);
    if (code == CAIRN_OK && replay->code != CAIRN_OK) {
        *err = replay->err;
        return replay->code;
    }
    return code == CAIRN_OK ? code : cairn_while(err, "replaying the log record at position %" PRIu64, position);
}

/* How far checkpoints continue it. */
static uint64_t last_position(const struct stream *stream)
{
    const struct cairn_store *store = stream->store;
    uint64_t last = 0;

    for (uint32_t i = 0; i < store->count; i++)
        if (store->shards[i].stream == stream && store->shards[i].from > last)
            last = store->shards[i].from;
    return last;
}

static enum cairn_code open_log(struct stream *stream, uint64_t last, struct cairn_err *err)
{
    struct cairn_store *store = stream->store;
    struct cairn_log_place place = {
        .disk = store->options.disk,
        .clock = store->options.clock,
        .dir = LOG_DIR,
        .shard = stream->shard,
        .first = store_first_position(stream),
        .needed = store->tap && store->tap->log_epoch ? 0 : last, /* a new folder has none */
        .epoch_least = store->tap ? store->tap->log_epoch : 0,
    };
    enum cairn_code code;

    store_log_events(stream, &place.events);
    code = store->options.log->open(store->options.log, &place, &stream->log, err);
    for (uint32_t i = 0; code == CAIRN_OK && i < store->count; i++)
        if (store->shards[i].stream == stream)
            store->shards[i].log = stream->log;
    return code;
}

static enum cairn_code apply_log(struct replay *replay, struct stream *stream, struct cairn_err *err)
{
    struct cairn_store *store = stream->store;
    struct cairn_log *log = stream->log;
    enum cairn_code code = cairn_log_visit(log, replay->from, replay_record, replay, err);

    apply_queued(replay);
    cairn_buf_done(&replay->bodies);
    if (code == CAIRN_OK && replay->code != CAIRN_OK) {
        *err = replay->err;
        code = replay->code;
    }
    if (code != CAIRN_OK)
        return code;
    if (replay->end > replay->from)
        store_report(store, "log", replay->end - replay->from, replay->end - replay->from);
    if (log->ops->reserved_time_ms(log) > store->wall_ms)
        store->wall_ms = log->ops->reserved_time_ms(log);
    replay->gaps += replay->end - replay->seen_end;
    for (uint32_t i = 0; i < store->count; i++)
        if (store->shards[i].stream == stream && store->shards[i].dirt.from != CLEAN)
            store->shards[i].dirt.age += replay->gaps;
    return CAIRN_OK;
}

static enum cairn_code recover_stream(struct stream *stream, struct cairn_err *err)
{
    struct cairn_store *store = stream->store;
    struct replay replay = {.store = store, .from = store_first_position(stream)};
    uint64_t last = last_position(stream);
    enum cairn_code code = open_log(stream, last, err);

    if (code != CAIRN_OK)
        return code;
    replay.end = stream->log->ops->end(stream->log);
    if (store->tap)
        code = store->tap->ops->log_opened(store->tap, replay.end, &replay.from, err);
    if (code != CAIRN_OK)
        return code;
    if (store->tap && store->tap->replaces)
        last = replay.end;
    replay.reported = replay.seen_end = replay.from;
    if (replay.end < last)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "the log in '%s' ends at position %" PRIu64 " although checkpoints continue at %" PRIu64
                          "; restore the data folder from a backup",
                          LOG_DIR, replay.end, last);
    return apply_log(&replay, stream, err);
}

enum cairn_code recover_log(struct cairn_store *store, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (store->manifest.wall_ms > store->wall_ms)
        store->wall_ms = store->manifest.wall_ms;
    for (uint32_t i = 0; code == CAIRN_OK && i < store->stream_count; i++)
        code = recover_stream(&store->streams[i], err);
    for (uint32_t i = 0; code == CAIRN_OK && i < store->count; i++)
        atomic_store_explicit(&store->shards[i].wall_ms, store->wall_ms, memory_order_relaxed);
    return code;
}
