#include "engine/levels.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/merge.h"
#include "io/clock.h"

enum {
    RUNS_PER_LEVEL = 8,
    FILTER_BITS = 10,
    /* Puts are slowed when level 0 has SLOW times max_runs_per_level runs, and stopped at STOP times. */
    BACKLOG_SLOW = 2,
    BACKLOG_STOP = 4,
    THROTTLE_BYTES = 256 << 10, /* after so many, times the backlog's share, a put waits for THROTTLE_NS */
    THROTTLE_NS = 2000000,
};

/* Work in the background, one of a kind at a time.  Until it is done only `done` may be looked at. */
struct job {
    struct cairn_task task;
    struct levels *levels;
    bool active; /* the owner's: submitted, and not yet taken over */

    bool is_flush;
    const struct front_batch *batch; /* flush: what to write; NULL: all that the front has, while the owner waits */
    struct run **inputs;             /* merge: newest first, also in the list of runs */
    size_t input_count;
    bool drop_tombstones;
    uint32_t level; /* of the output */
    uint64_t run_id;

    struct run *output; /* NULL: there was nothing to write */
    enum cairn_code code;
    struct cairn_err err;

    bool done; /* under the lock */
};

struct levels {
    struct cairn_disk *disk;
    struct cairn_tasks *tasks;
    struct levels_options options;
    struct versions *versions;
    struct front *front;
    struct run **runs; /* newest first; levels do not descend */
    size_t run_count, run_capacity, level0_count;
    struct job flush, merge;
    bool flush_failed, merge_failed; /* the last one; tried again with the next occasion */
    uint64_t sequence;               /* changes since the folder was made */
    uint64_t written_sequence;       /* whole: what the one run has */
    uint64_t debt_bytes;             /* see throttle */
    struct cairn_buf scratch;
    struct levels_stats stats;

    pthread_mutex_t lock; /* guards done of both jobs, which background threads set */
    pthread_cond_t ended;
};

/* --- the list of runs --- */

static void count_level0(struct levels *levels)
{
    levels->level0_count = 0;
    while (levels->level0_count < levels->run_count && run_about(levels->runs[levels->level0_count])->level == 0)
        levels->level0_count++;
}

static void insert_run(struct levels *levels, size_t at, struct run *run)
{
    if (levels->run_count == levels->run_capacity) {
        levels->run_capacity = levels->run_capacity ? levels->run_capacity * 2 : 16;
        levels->runs = cairn_realloc(levels->runs, levels->run_capacity * sizeof *levels->runs);
    }
    memmove(&levels->runs[at + 1], &levels->runs[at], (levels->run_count++ - at) * sizeof *levels->runs);
    levels->runs[at] = run;
    count_level0(levels);
}

static void close_runs(struct levels *levels, size_t at, size_t count)
{
    if (!count)
        return; /* there may be no list yet */
    for (size_t i = at; i < at + count; i++)
        run_close(levels->runs[i]);
    levels->run_count -= count;
    memmove(&levels->runs[at], &levels->runs[at + count], (levels->run_count - at) * sizeof *levels->runs);
    count_level0(levels);
}

/* The runs of a level lie side by side. */
static size_t runs_of_level(const struct levels *levels, uint32_t level, size_t *ret_at)
{
    size_t count = 0;

    for (size_t i = 0; i < levels->run_count; i++)
        if (run_about(levels->runs[i])->level == level && !count++)
            *ret_at = i;
    return count;
}

/* --- in the background --- */

/* What is merged becomes a run, unless nothing is left of it. */
static enum cairn_code write_run(struct job *job, struct merge *merge, uint64_t records_max, struct cairn_err *err)
{
    struct levels *levels = job->levels;
    struct run_options options = {.order = levels->options.order,
                                  .records_max = records_max,
                                  .filter_bits = levels->options.filter_bits,
                                  .density_factor = levels->options.density_factor};
    struct run_writer *writer = NULL;
    struct run_about about = {0};
    enum cairn_code code = run_writer_create(levels->disk, job->run_id, job->level, &options, &writer, err);
    bool any = false;

    while (code == CAIRN_OK) {
        const struct run_record *record;

        code = merge_next(merge, &record, err);
        if (code != CAIRN_OK || !record)
            break;
        if (job->drop_tombstones && run_is_tombstone(record->value))
            continue;
        any = true;
        code = run_writer_add(writer, record, err);
    }
    if (code == CAIRN_OK && any)
        code = run_writer_finish(writer, &about, err);
    run_writer_destroy(writer); /* takes an empty or a broken file along */
    return code == CAIRN_OK && any ? run_open(levels->disk, &about, &job->output, err) : code;
}

static struct run_record *list(const struct job *job, size_t *ret_count)
{
    const struct front *front = job->levels->front;
    struct run_record *records =
        job->batch ? front->ops->list_batch(job->batch, ret_count) : front->ops->list(front, ret_count);

    *ret_count = merge_sort(job->levels->options.order, records, *ret_count);
    return records;
}

static void run_job(struct cairn_task *task)
{
    struct job *job = (struct job *)(void *)task; /* its first member */
    struct levels *levels = job->levels;
    struct run_record *records = NULL;
    struct merge merge;
    uint64_t records_max = 0;

    job->output = NULL;
    merge_init(&merge, levels->options.order, job->is_flush ? 1 : job->input_count);
    if (job->is_flush) {
        size_t count;

        records = list(job, &count);
        merge_set_records(&merge, 0, records, count);
        records_max = count;
    }
    for (size_t i = 0; i < job->input_count; i++) {
        merge_set_run(&merge, i, job->inputs[i]);
        records_max += run_about(job->inputs[i])->records;
    }
    job->code = write_run(job, &merge, records_max, &job->err);
    merge_done(&merge);
    free(records);
    pthread_mutex_lock(&levels->lock);
    job->done = true;
    pthread_cond_signal(&levels->ended);
    pthread_mutex_unlock(&levels->lock);
}

static void submit(struct levels *levels, struct job *job)
{
    assert(!job->active);
    job->active = true;
    job->done = false;
    job->levels = levels;
    job->run_id = versions_take_run_id(levels->versions);
    job->task = (struct cairn_task){.run = run_job};
    cairn_tasks_submit(levels->tasks, &job->task);
}

static bool is_done(struct levels *levels, const struct job *job)
{
    bool done;

    pthread_mutex_lock(&levels->lock);
    done = job->done;
    pthread_mutex_unlock(&levels->lock);
    return done;
}

static void start_flush(struct levels *levels)
{
    if (levels->flush.active)
        return;
    levels->flush.batch = levels->front->ops->batch(levels->front);
    if (!levels->flush.batch)
        return;
    levels->flush.is_flush = true;
    submit(levels, &levels->flush);
}

static void start_merge(struct levels *levels)
{
    uint32_t deepest = levels->run_count ? run_about(levels->runs[levels->run_count - 1])->level : 0;

    for (uint32_t level = 0; !levels->merge.active && level <= deepest; level++) {
        size_t at = 0, count = runs_of_level(levels, level, &at);

        if (count < levels->options.max_runs_per_level)
            continue;
        levels->merge.inputs = cairn_alloc(count * sizeof *levels->merge.inputs);
        memcpy(levels->merge.inputs, &levels->runs[at], count * sizeof *levels->merge.inputs);
        levels->merge.input_count = count;
        levels->merge.level = level + 1;
        levels->merge.drop_tombstones = at + count == levels->run_count;
        submit(levels, &levels->merge);
    }
}

/* --- taking over what was done --- */

static void take_over_flush(struct levels *levels)
{
    struct job *job = &levels->flush;

    job->active = false;
    levels->flush_failed = job->code != CAIRN_OK;
    if (levels->flush_failed)
        return; /* the batch stays, to be read and to be tried again */
    if (levels->options.whole)
        close_runs(levels, 0, levels->run_count);
    if (job->output) {
        insert_run(levels, 0, job->output);
        levels->stats.flushed_bytes += run_about(job->output)->bytes;
    }
    if (job->batch)
        levels->front->ops->release(levels->front);
    levels->stats.flushes++;
    start_flush(levels);
    start_merge(levels);
}

static void take_over_merge(struct levels *levels)
{
    struct job *job = &levels->merge;
    struct cairn_err ignored;
    uint64_t bytes;
    size_t at = 0;

    job->active = false;
    levels->merge_failed = job->code != CAIRN_OK;
    if (!levels->merge_failed) {
        while (levels->runs[at] != job->inputs[0])
            at++;
        close_runs(levels, at, job->input_count);
        if (job->output) {
            insert_run(levels, at, job->output);
            levels->stats.merged_bytes += run_about(job->output)->bytes;
        }
        levels->stats.merges++;
    }
    free(job->inputs);
    job->inputs = NULL;
    job->input_count = 0;
    if (!levels->merge_failed) {
        start_merge(levels);
        levels_collect(levels, &bytes, &ignored); /* what it leaves, the next one takes */
    }
}

static void take_over(struct levels *levels)
{
    if (levels->flush.active && is_done(levels, &levels->flush))
        take_over_flush(levels);
    if (levels->merge.active && is_done(levels, &levels->merge))
        take_over_merge(levels);
}

static void wait_for(struct levels *levels, struct job *job)
{
    if (!job->active)
        return;
    while (!is_done(levels, job) && cairn_tasks_step(levels->tasks)) /* simulated tasks run when they are waited for */
        continue;
    pthread_mutex_lock(&levels->lock);
    while (!job->done)
        pthread_cond_wait(&levels->ended, &levels->lock);
    pthread_mutex_unlock(&levels->lock);
    take_over(levels);
}

static void wait_for_all(struct levels *levels)
{
    while (levels->flush.active || levels->merge.active) { /* one that ends may start the next */
        wait_for(levels, &levels->flush);
        wait_for(levels, &levels->merge);
    }
}

/* --- opening --- */

static enum cairn_code open_runs(struct levels *levels, const struct version *version, struct run ***ret_runs,
                                 struct cairn_err *err)
{
    struct run **runs;
    size_t count = 0;
    enum cairn_code code = CAIRN_OK;

    if (strcmp(version->engine, levels->options.engine) != 0)
        return cairn_fail(err, CAIRN_ECONFLICT, "version %" PRIu64 " of '%s' is of the engine '%s', not '%s'",
                          version->number, levels->disk->root, version->engine, levels->options.engine);
    runs = cairn_alloc((version->run_count + 1) * sizeof *runs);
    while (code == CAIRN_OK && count < version->run_count) {
        code = run_open(levels->disk, &version->runs[count], &runs[count], err);
        count += code == CAIRN_OK;
    }
    if (code != CAIRN_OK) {
        while (count > 0)
            run_close(runs[--count]);
        free(runs);
        return code;
    }
    *ret_runs = runs;
    return CAIRN_OK;
}

static void use_runs(struct levels *levels, struct run **runs, const struct version *version)
{
    close_runs(levels, 0, levels->run_count);
    free(levels->runs);
    levels->runs = runs;
    levels->run_count = version->run_count;
    levels->run_capacity = version->run_count + 1;
    levels->sequence = levels->written_sequence = version->sequence;
    count_level0(levels);
}

/* Everything that the runs have goes into the front. */
static enum cairn_code load(struct front *front, struct run **runs, size_t count, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && count-- > 0) {
        struct run_cursor cursor;
        bool more = true;

        run_cursor_init(&cursor, runs[count]);
        while ((code = run_cursor_next(&cursor, &more, err)) == CAIRN_OK && more)
            front->ops->put(front, &cursor.record);
        run_cursor_done(&cursor);
    }
    return code;
}

enum cairn_code levels_open(struct cairn_disk *disk, struct cairn_tasks *tasks, const struct levels_options *options,
                            uint64_t number, struct levels **ret_levels, struct cairn_err *err)
{
    struct levels *levels = cairn_alloc_zeroed(1, sizeof *levels);
    const struct version *version;
    pthread_condattr_t monotonic;
    struct run **runs;
    enum cairn_code code;

    levels->disk = disk;
    levels->tasks = tasks;
    levels->options = *options;
    levels->front = options->create_front(options->front_options);
    if (!levels->options.max_runs_per_level)
        levels->options.max_runs_per_level = RUNS_PER_LEVEL;
    if (!levels->options.filter_bits)
        levels->options.filter_bits = FILTER_BITS;
    pthread_mutex_init(&levels->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&levels->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (levels->options.max_runs_per_level < 2)
        code = cairn_fail(err, CAIRN_EINVAL, "max_runs_per_level is %u and must be 2 or more",
                          levels->options.max_runs_per_level);
    else
        code = versions_open(disk, number, &levels->versions, err);
    if (code == CAIRN_OK && (version = versions_current(levels->versions))) {
        code = open_runs(levels, version, &runs, err);
        if (code == CAIRN_OK)
            use_runs(levels, runs, version);
        if (code == CAIRN_OK && levels->options.whole)
            code = load(levels->front, runs, version->run_count, err);
    }
    if (code != CAIRN_OK) {
        levels_close(levels);
        return code;
    }
    start_merge(levels);
    *ret_levels = levels;
    return CAIRN_OK;
}

struct levels *levels_close(struct levels *levels)
{
    if (!levels)
        return NULL;
    wait_for_all(levels);
    levels->front->ops->close(levels->front);
    close_runs(levels, 0, levels->run_count);
    free(levels->runs);
    versions_close(levels->versions);
    cairn_buf_done(&levels->scratch);
    pthread_cond_destroy(&levels->ended);
    pthread_mutex_destroy(&levels->lock);
    free(levels);
    return NULL;
}

/* --- reading and writing --- */

/* What the front would like to be rid of begins to be written. */
static void relieve(struct levels *levels)
{
    struct front *front = levels->front;

    if (front->ops->pressure(front) == FRONT_EASY)
        return;
    front->ops->seal(front, false);
    if (!levels->flush_failed)
        start_flush(levels);
}

static enum cairn_code get_from_runs(struct levels *levels, struct cairn_bytes key, uint64_t hash,
                                     struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct front *front = levels->front;
    enum cairn_code code = CAIRN_OK;
    bool found = false;

    for (size_t i = 0; code == CAIRN_OK && !found && i < levels->run_count; i++)
        code = run_get(levels->runs[i], key, hash, &levels->scratch, &found, ret_value, err);
    if (code != CAIRN_OK)
        return code;
    if (!found)
        *ret_value = run_tombstone();
    else if (front->ops->keep && front->ops->pressure(front) != FRONT_FULL) {
        front->ops->keep(front, &(struct run_record){hash, key, *ret_value});
        relieve(levels);
    }
    return CAIRN_OK;
}

enum cairn_code levels_get(struct levels *levels, struct cairn_bytes key, bool *ret_found,
                           struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct front *front = levels->front;
    uint64_t hash = cairn_hash(key);
    struct cairn_bytes value = run_tombstone();

    if (!front->ops->get(front, key, hash, &value) && !levels->options.whole) {
        enum cairn_code code;

        take_over(levels);
        code = get_from_runs(levels, key, hash, &value, err);
        if (code != CAIRN_OK)
            return code;
    }
    *ret_found = !run_is_tombstone(value);
    if (*ret_found)
        *ret_value = value;
    return CAIRN_OK;
}

/* Until the oldest batch is written; tries again if that had failed. */
static enum cairn_code settle(struct levels *levels, struct cairn_err *err)
{
    start_flush(levels);
    wait_for(levels, &levels->flush);
    return levels->flush_failed ? cairn_fail(err, levels->flush.code, "%s", levels->flush.err.text) : CAIRN_OK;
}

static enum cairn_code settle_all(struct levels *levels, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && levels->front->ops->batch(levels->front))
        code = settle(levels, err);
    return code;
}

/* Until merging has caught up. */
static enum cairn_code drain(struct levels *levels, struct cairn_err *err)
{
    while (levels->level0_count >= (size_t)levels->options.max_runs_per_level * BACKLOG_STOP) {
        if (!levels->merge.active)
            start_merge(levels);
        wait_for(levels, &levels->merge);
        if (levels->merge_failed)
            return cairn_fail(err, levels->merge.code, "%s", levels->merge.err.text);
    }
    return CAIRN_OK;
}

/* Slows puts while merging is behind: by nothing at BACKLOG_SLOW, and to THROTTLE_BYTES in 2 ms for each share of the
 * backlog beyond, so that the rate falls smoothly until it is that of the merges. */
static void throttle(struct levels *levels, size_t bytes)
{
    size_t slow = (size_t)levels->options.max_runs_per_level * BACKLOG_SLOW;
    struct timespec until;

    if (levels->level0_count <= slow)
        return;
    levels->debt_bytes += bytes * (levels->level0_count - slow);
    if (levels->debt_bytes < THROTTLE_BYTES)
        return;
    levels->debt_bytes = 0;
    if (cairn_tasks_step(levels->tasks)) /* rather than wait, help */
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += THROTTLE_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&levels->lock);
    if (levels->merge.active && !levels->merge.done)
        pthread_cond_timedwait(&levels->ended, &levels->lock, &until);
    pthread_mutex_unlock(&levels->lock);
    levels->stats.throttled_ns += THROTTLE_NS;
}

enum cairn_code levels_put(struct levels *levels, struct cairn_bytes key, struct cairn_bytes value,
                           struct cairn_err *err)
{
    struct front *front = levels->front;
    enum front_pressure pressure = front->ops->pressure(front);
    struct run_record record = {cairn_hash(key), key, value};
    enum cairn_code code = CAIRN_OK;

    if (pressure != FRONT_EASY) {
        take_over(levels);
        relieve(levels);
        while (code == CAIRN_OK && front->ops->pressure(front) == FRONT_FULL && front->ops->batch(front))
            code = settle(levels, err);
        if (code == CAIRN_OK)
            code = drain(levels, err);
        if (code != CAIRN_OK)
            return code;
    }
    throttle(levels, key.size + (run_is_tombstone(value) ? 0 : value.size));
    front->ops->put(front, &record);
    levels->sequence++;
    return CAIRN_OK;
}

enum cairn_code levels_visit(struct levels *levels,
                             bool (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                             void *context, struct cairn_err *err)
{
    size_t run_count, record_count;
    struct run_record *records;
    struct merge merge;
    enum cairn_code code;
    bool more = true;

    take_over(levels);
    run_count = levels->options.whole ? 0 : levels->run_count;
    records = levels->front->ops->list(levels->front, &record_count);
    record_count = merge_sort(levels->options.order, records, record_count);
    merge_init(&merge, levels->options.order, 1 + run_count);
    merge_set_records(&merge, 0, records, record_count);
    for (size_t i = 0; i < run_count; i++)
        merge_set_run(&merge, 1 + i, levels->runs[i]);
    do {
        const struct run_record *record;

        code = merge_next(&merge, &record, err);
        if (code == CAIRN_OK && !record)
            more = false;
        else if (code == CAIRN_OK && !run_is_tombstone(record->value))
            more = each(context, record->key, record->value);
    } while (code == CAIRN_OK && more);
    merge_done(&merge);
    free(records);
    return code;
}

/* --- versions --- */

/* All that was put is in runs. */
static enum cairn_code write_all(struct levels *levels, struct cairn_err *err)
{
    enum cairn_code code;

    if (levels->options.whole) {
        if (levels->written_sequence == levels->sequence)
            return CAIRN_OK;
        levels->flush.is_flush = true;
        submit(levels, &levels->flush);
        code = settle(levels, err);
        if (code == CAIRN_OK)
            levels->written_sequence = levels->sequence;
        return code;
    }
    code = levels->flush_failed ? settle_all(levels, err) : CAIRN_OK;
    if (code != CAIRN_OK)
        return code;
    levels->front->ops->seal(levels->front, true);
    return settle_all(levels, err);
}

enum cairn_code levels_snapshot(struct levels *levels, uint64_t time_ms, struct cairn_bytes metadata,
                                uint64_t *ret_number, struct cairn_err *err)
{
    struct version version = {.time_ms = time_ms, .sequence = levels->sequence, .metadata = metadata};
    struct run_about *runs;
    enum cairn_code code;

    take_over(levels);
    code = write_all(levels, err);
    if (code != CAIRN_OK)
        return code;
    snprintf(version.engine, sizeof version.engine, "%s", levels->options.engine);
    runs = cairn_alloc((levels->run_count + 1) * sizeof *runs);
    for (size_t i = 0; i < levels->run_count; i++)
        runs[i] = *run_about(levels->runs[i]);
    version.runs = runs;
    version.run_count = levels->run_count;
    code = versions_add(levels->versions, &version, ret_number, err);
    free(runs);
    return code;
}

enum cairn_code levels_restore(struct levels *levels, uint64_t number, struct cairn_err *err)
{
    const struct version *version = versions_find(levels->versions, number);
    struct front *front;
    struct run **runs;
    enum cairn_code code;

    if (!version)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %" PRIu64, number);
    wait_for_all(levels);
    code = open_runs(levels, version, &runs, err);
    if (code != CAIRN_OK)
        return code;
    front = levels->options.create_front(levels->options.front_options);
    if (levels->options.whole)
        code = load(front, runs, version->run_count, err);
    if (code == CAIRN_OK)
        code = versions_restore(levels->versions, number, err);
    if (code != CAIRN_OK) {
        for (size_t i = 0; i < version->run_count; i++)
            run_close(runs[i]);
        free(runs);
        front->ops->close(front);
        return code;
    }
    use_runs(levels, runs, version);
    levels->flush_failed = false;
    levels->front->ops->close(levels->front);
    levels->front = front;
    start_merge(levels);
    return CAIRN_OK;
}

static bool in_use(void *context, uint64_t run_id)
{
    const struct levels *levels = context;

    if ((levels->flush.active && levels->flush.run_id == run_id) ||
        (levels->merge.active && levels->merge.run_id == run_id))
        return true;
    for (size_t i = 0; i < levels->run_count; i++)
        if (run_about(levels->runs[i])->id == run_id)
            return true;
    return false;
}

enum cairn_code levels_collect(struct levels *levels, uint64_t *ret_bytes, struct cairn_err *err)
{
    return versions_collect(levels->versions, in_use, levels, ret_bytes, err);
}

struct versions *levels_versions(struct levels *levels)
{
    return levels->versions;
}

void levels_stats(const struct levels *levels, struct levels_stats *ret_stats)
{
    *ret_stats = levels->stats;
    ret_stats->front_bytes = levels->front->ops->memory_bytes(levels->front);
    ret_stats->run_count = levels->run_count;
    for (size_t i = 0; i < levels->run_count; i++) {
        ret_stats->run_bytes += run_about(levels->runs[i])->bytes;
        ret_stats->run_memory_bytes += run_memory_bytes(levels->runs[i]);
        ret_stats->records += run_about(levels->runs[i])->records;
    }
}
