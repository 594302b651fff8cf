#include "state/state_log.h"

#include <pthread.h>
#include <stdlib.h>

#include "io/wait.h"

#define LOG_DIR "log"

enum {
    PART_BYTES = 4 << 20, /* of a batch in one record of the log, at most */
    PARTS = 4,            /* in a segment, at least */
    BATCH_BYTES_KEPT = 256 << 10,
    FIRST = 1, /* a record's first byte: it begins a batch, */
    LAST = 2,  /* it ends one */
    MOMENT_NS = 5000000,
};

struct state_log {
    struct cairn_log *log;
    bool threaded;
    size_t part_bytes;
    struct cairn_buf batch;
    pthread_mutex_t lock;
    pthread_cond_t progress;
    uint64_t progress_count; /* under the lock; of what the log's thread told */
};

static void on_progress(void *context, uint64_t acknowledged)
{
    struct state_log *log = context;

    (void)acknowledged;
    pthread_mutex_lock(&log->lock);
    log->progress_count++;
    pthread_cond_signal(&log->progress);
    pthread_mutex_unlock(&log->lock);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    (void)why;
    on_progress(context, 0);
}

enum cairn_code state_log_open(const struct state_log_options *options, struct state_log **ret_log,
                               struct cairn_err *err)
{
    struct state_log *log = cairn_alloc_zeroed(1, sizeof *log);
    struct cairn_log_place place = {
        .disk = options->disk,
        .clock = options->clock,
        .dir = LOG_DIR,
        .events = {.on_progress = on_progress, .on_failed = on_failed, .context = log},
    };
    struct cairn_wal_options wal = {
        .sync = options->sync,
        .interval_ms = options->interval_ms,
        .segment_bytes = options->segment_bytes,
        /* Puts that wait for no sync fill a segment in some tens of milliseconds. */
        .segments_ahead = options->sync == CAIRN_SYNC_ALWAYS ? 2 : 8,
        .threaded = options->threaded,
        /* A store dirties all of a large page that it touches, and a sync writes that: with one for each batch, by
         * far more than it has. */
        .mapped = options->sync != CAIRN_SYNC_ALWAYS,
    };
    enum cairn_code code;

    log->threaded = options->threaded;
    log->part_bytes = PART_BYTES;
    if (options->segment_bytes && options->segment_bytes / PARTS < PART_BYTES)
        log->part_bytes = (size_t)options->segment_bytes / PARTS;
    pthread_mutex_init(&log->lock, NULL);
    cairn_cond_init(&log->progress);
    code = cairn_wal_open(&wal, &place, &log->log, err);
    if (code != CAIRN_OK) {
        struct cairn_err ignored;

        state_log_close(log, &ignored);
        return code;
    }
    *ret_log = log;
    return CAIRN_OK;
}

enum cairn_code state_log_close(struct state_log *log, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (!log)
        return CAIRN_OK;
    if (log->log)
        code = log->log->ops->close(log->log, err);
    pthread_cond_destroy(&log->progress);
    pthread_mutex_destroy(&log->lock);
    cairn_buf_done(&log->batch);
    free(log);
    return code;
}

/* --- reading --- */

static void take_any(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
}

struct replay {
    struct state_log *log;
    uint64_t branch, sequence;
    enum cairn_code (*apply)(void *context, const struct run_record *record, struct cairn_err *err);
    void *context;
    bool begun; /* a first part came */
};

static enum cairn_code apply_batch(struct replay *replay, uint64_t position, struct cairn_err *err)
{
    struct cairn_reader reader = cairn_reader(cairn_buf_bytes(&replay->log->batch));
    uint64_t branch = cairn_read_u64(&reader), sequence = cairn_read_u64(&reader), count = cairn_read_varint(&reader);
    enum cairn_code code;

    for (uint64_t i = 0; !reader.bad && i < count; i++) {
        uint64_t key_bytes = cairn_read_varint(&reader), value_bytes = cairn_read_varint(&reader);
        struct run_record record = {.key = cairn_read_bytes(&reader, (size_t)key_bytes)};

        record.value = value_bytes ? cairn_read_bytes(&reader, (size_t)value_bytes - 1) : run_tombstone();
        if (reader.bad || key_bytes == 0)
            break;
        if (branch != replay->branch || sequence + i < replay->sequence)
            continue;
        record.hash = cairn_hash(record.key);
        code = replay->apply(replay->context, &record, err);
        if (code != CAIRN_OK)
            return code;
    }
    if (reader.bad || cairn_reader_left(&reader) > 0)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "a batch in the log makes no sense at position %llu: it was written by another program",
                          (unsigned long long)position);
    return CAIRN_OK;
}

static enum cairn_code read_part(void *context, uint64_t position, uint64_t end, struct cairn_bytes body,
                                 struct cairn_err *err)
{
    struct replay *replay = context;
    struct cairn_buf *batch = &replay->log->batch;
    uint8_t kind = body.size ? body.data[0] : 0;

    (void)end;
    if (kind & FIRST) { /* what came of a batch before and has no end was never acknowledged */
        batch->size = 0;
        replay->begun = true;
    }
    if (!replay->begun)
        return CAIRN_OK; /* its beginning was trimmed: a version has it */
    if (body.size)
        cairn_buf_add(batch, body.data + 1, body.size - 1);
    if (!(kind & LAST))
        return CAIRN_OK;
    replay->begun = false;
    return apply_batch(replay, position, err);
}

enum cairn_code state_log_start(struct state_log *log, uint64_t branch, uint64_t sequence,
                                enum cairn_code (*apply)(void *context, const struct run_record *record,
                                                         struct cairn_err *err),
                                void *context, struct cairn_err *err)
{
    struct replay replay = {.log = log, .branch = branch, .sequence = sequence, .apply = apply, .context = context};
    enum cairn_code code = cairn_log_visit(log->log, 0, read_part, &replay, err);

    return code == CAIRN_OK ? log->log->ops->start(log->log, err) : code;
}

/* --- writing --- */

void state_log_begin(struct state_log *log, uint64_t branch, uint64_t sequence, size_t count)
{
    log->batch.size = 0;
    cairn_put_u64(cairn_buf_reserve(&log->batch, 16), branch);
    cairn_put_u64(log->batch.data + 8, sequence);
    log->batch.size = 16;
    cairn_buf_varint(&log->batch, count);
}

void state_log_add(struct state_log *log, struct cairn_bytes key, struct cairn_bytes value)
{
    cairn_buf_varint(&log->batch, key.size);
    cairn_buf_varint(&log->batch, run_is_tombstone(value) ? 0 : value.size + 1);
    cairn_buf_add(&log->batch, key.data, key.size);
    if (!run_is_tombstone(value))
        cairn_buf_add(&log->batch, value.data, value.size);
}

static uint64_t progress_count(struct state_log *log)
{
    uint64_t count;

    pthread_mutex_lock(&log->lock);
    count = log->progress_count;
    pthread_mutex_unlock(&log->lock);
    return count;
}

/* Until more has happened in the log than `seen`, or a moment has passed: a failure is told once, long ago perhaps. */
static void wait_for_progress(struct state_log *log, uint64_t seen)
{
    if (!log->threaded) {
        log->log->ops->step(log->log);
        return;
    }
    pthread_mutex_lock(&log->lock);
    if (log->progress_count == seen)
        cairn_cond_wait_ns(&log->progress, &log->lock, MOMENT_NS);
    pthread_mutex_unlock(&log->lock);
}

static enum cairn_code claim(struct state_log *log, uint64_t bytes, uint32_t records, struct cairn_err *err)
{
    enum cairn_code code = log->log->ops->claim(log->log, bytes, records, err);

    while (code == CAIRN_EOVERLOAD) {
        uint64_t seen = progress_count(log);

        code = log->log->ops->claim(log->log, bytes, records, err);
        if (code == CAIRN_EOVERLOAD)
            wait_for_progress(log, seen);
    }
    return code;
}

enum cairn_code state_log_append(struct state_log *log, uint64_t *ret_end, struct cairn_err *err)
{
    size_t parts = (log->batch.size + log->part_bytes - 1) / log->part_bytes;
    enum cairn_code code = CAIRN_OK;
    uint64_t position;

    /* Should there be no room for a later part, those before are no batch without it. */
    for (size_t i = 0; code == CAIRN_OK && i < parts; i++) {
        size_t at = i * log->part_bytes, left = log->batch.size - at;
        uint8_t kind = (uint8_t)((i == 0 ? FIRST : 0) | (i == parts - 1 ? LAST : 0));
        struct cairn_bytes pieces[2] = {
            cairn_bytes(&kind, 1), cairn_bytes(log->batch.data + at, left < log->part_bytes ? left : log->part_bytes)};

        code = claim(log, 1 + pieces[1].size, 1, err);
        if (code == CAIRN_OK)
            code = log->log->ops->append(log->log, pieces, 2, &position, ret_end, err);
    }
    if (code == CAIRN_OK && log->log->ops->acknowledged(log->log) < *ret_end)
        log->log->ops->want(log->log, *ret_end);
    if (log->batch.capacity > BATCH_BYTES_KEPT)
        cairn_buf_done(&log->batch);
    return code;
}

/* The log's failure is told by claiming nothing. */
static enum cairn_code check_alive(struct state_log *log, struct cairn_err *err)
{
    enum cairn_code code = log->log->ops->claim(log->log, 0, 0, err);

    return code == CAIRN_EUNAVAILABLE ? code : CAIRN_OK;
}

enum cairn_code state_log_await(struct state_log *log, uint64_t end, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && log->log->ops->acknowledged(log->log) < end) {
        uint64_t seen = progress_count(log);

        if (log->log->ops->acknowledged(log->log) >= end)
            break;
        code = check_alive(log, err);
        if (code == CAIRN_OK)
            wait_for_progress(log, seen);
    }
    return code;
}

enum cairn_code state_log_read(const struct state_log_options *options, uint64_t branch, uint64_t sequence,
                               enum cairn_code (*apply)(void *context, const struct run_record *record,
                                                        struct cairn_err *err),
                               void *context, struct cairn_err *err)
{
    struct replay replay = {.branch = branch, .sequence = sequence, .apply = apply, .context = context};
    bool any = false;
    enum cairn_code code = options->disk->ops->list(options->disk, LOG_DIR, take_any, &any, err);

    if (code == CAIRN_ENOTFOUND || (code == CAIRN_OK && !any))
        return CAIRN_OK;
    if (code == CAIRN_OK)
        code = state_log_open(options, &replay.log, err);
    if (code != CAIRN_OK)
        return code;
    code = cairn_log_visit(replay.log->log, 0, read_part, &replay, err);
    replay.log->log->ops->abandon(replay.log->log);
    replay.log->log = NULL;
    state_log_close(replay.log, err);
    return code;
}

uint64_t state_log_end(struct state_log *log)
{
    return log->log->ops->end(log->log);
}

uint64_t state_log_retained(struct state_log *log)
{
    struct cairn_log_stats stats;

    log->log->ops->stats(log->log, &stats);
    return stats.retained_bytes;
}

void state_log_trim(struct state_log *log, uint64_t position)
{
    log->log->ops->want_durable(log->log, position); /* else nothing is trimmed */
    log->log->ops->trim(log->log, position);
    while (!log->threaded && log->log->ops->step(log->log))
        continue;
}
