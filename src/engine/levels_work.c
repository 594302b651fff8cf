#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "engine/levels_internal.h"
#include "engine/merge.h"

/* --- jobs --- */

static void run_job(struct cairn_task *task)
{
    struct job *job = (struct job *)(void *)task; /* its first member */
    struct levels *levels = job->levels;

    job->work(job);
    pthread_mutex_lock(&levels->lock);
    job->done = true;
    pthread_cond_signal(&levels->ended);
    pthread_mutex_unlock(&levels->lock);
}

static void submit(struct levels *levels, struct job *job, void (*work)(struct job *job))
{
    assert(!job->active);
    job->active = true;
    job->done = false;
    job->levels = levels;
    job->work = work;
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

void levels_wait_for(struct levels *levels, struct job *job)
{
    if (!job->active)
        return;
    while (!is_done(levels, job) && cairn_tasks_step(levels->tasks)) /* simulated tasks run when they are waited for */
        continue;
    pthread_mutex_lock(&levels->lock);
    while (!job->done)
        pthread_cond_wait(&levels->ended, &levels->lock);
    pthread_mutex_unlock(&levels->lock);
    levels_take_over(levels);
}

void levels_wait_for_all(struct levels *levels)
{
    struct job *jobs[] = {&levels->flush.job, &levels->merge.job, &levels->commit.job, &levels->removal.job};
    bool any = true;

    while (any) { /* one that ends may start others */
        any = false;
        for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
            any |= jobs[i]->active;
            levels_wait_for(levels, jobs[i]);
        }
    }
}

void levels_wait_a_little(struct levels *levels, uint64_t ns)
{
    struct timespec until;

    if (cairn_tasks_step(levels->tasks))
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&levels->lock);
    if (levels->merge.job.active && !levels->merge.job.done)
        pthread_cond_timedwait(&levels->ended, &levels->lock, &until);
    pthread_mutex_unlock(&levels->lock);
}

/* --- making runs --- */

/* Fences and filter of a large run have to fit what there is for all: an eighth and a half of it. */
static void fit_memory(struct run_options *options, size_t memory_bytes, uint64_t records_max, uint64_t bytes_max)
{
    enum { FENCE_BYTES = 24 }; /* about */
    uint64_t block_bytes = memory_bytes ? bytes_max * FENCE_BYTES / (memory_bytes / 8) : 0;

    if (block_bytes > RUN_BLOCK_BYTES)
        options->block_bytes = (size_t)block_bytes;
    if (memory_bytes && records_max * options->filter_bits / 8 > memory_bytes / 2)
        options->filter_bits = 0;
}

/* What is merged becomes a run, unless nothing is left of it. */
static enum cairn_code write_run(struct making *making, struct merge *merge, uint64_t records_max, uint64_t bytes_max,
                                 struct cairn_err *err)
{
    struct levels *levels = making->job.levels;
    struct run_options options = {.order = levels->options.order,
                                  .records_max = records_max,
                                  .filter_bits = levels->options.filter_bits,
                                  .density_factor = levels->options.density_factor};
    struct run_writer *writer = NULL;
    struct run_about about = {0};
    enum cairn_code code;
    bool any = false;

    fit_memory(&options, levels->options.run_memory_bytes_max, records_max, bytes_max);
    code = run_writer_create(levels->disk, making->run_id, making->level, &options, &writer, err);

    while (code == CAIRN_OK) {
        const struct run_record *record;

        code = merge_next(merge, &record, err);
        if (code != CAIRN_OK || !record)
            break;
        if (making->drop_tombstones && run_is_tombstone(record->value))
            continue;
        any = true;
        code = run_writer_add(writer, record, err);
    }
    if (code == CAIRN_OK && any)
        code = run_writer_finish(writer, &about, err);
    run_writer_destroy(writer); /* takes an empty or a broken file along */
    return code == CAIRN_OK && any ? run_open(levels->disk, &about, &making->output, err) : code;
}

static struct run_record *list(const struct making *making, size_t *ret_count)
{
    const struct front *front = making->job.levels->front;
    struct run_record *records =
        making->batch ? front->ops->list_batch(making->batch, ret_count) : front->ops->list(front, ret_count);

    *ret_count = merge_sort(making->job.levels->options.order, records, *ret_count);
    return records;
}

static void make_run(struct job *job)
{
    struct making *making = (struct making *)(void *)job; /* its first member */
    struct run_record *records = NULL;
    struct merge merge;
    uint64_t records_max = 0, bytes_max = 0;

    making->output = NULL;
    merge_init(&merge, job->levels->options.order, making->is_flush ? 1 : making->input_count);
    if (making->is_flush) {
        size_t count;

        records = list(making, &count);
        merge_set_records(&merge, 0, records, count);
        records_max = count;
    }
    for (size_t i = 0; i < making->input_count; i++) {
        merge_set_run(&merge, i, making->inputs[i]);
        records_max += run_about(making->inputs[i])->records;
        bytes_max += run_about(making->inputs[i])->bytes;
    }
    job->code = write_run(making, &merge, records_max, bytes_max, &job->err);
    merge_done(&merge);
    free(records);
}

void levels_start_flush(struct levels *levels)
{
    struct making *flush = &levels->flush;

    if (flush->job.active)
        return;
    flush->batch = levels->front->ops->batch(levels->front);
    if (!flush->batch)
        return;
    flush->is_flush = true;
    flush->run_id = versions_take_run_id(levels->versions);
    submit(levels, &flush->job, make_run);
}

void levels_start_whole_flush(struct levels *levels)
{
    struct making *flush = &levels->flush;

    flush->batch = NULL;
    flush->is_flush = true;
    flush->run_id = versions_take_run_id(levels->versions);
    submit(levels, &flush->job, make_run);
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

void levels_start_merge(struct levels *levels)
{
    uint32_t deepest = levels->run_count ? run_about(levels->runs[levels->run_count - 1])->level : 0;
    struct making *merge = &levels->merge;

    for (uint32_t level = 0; !merge->job.active && level <= deepest; level++) {
        size_t at = 0, count = runs_of_level(levels, level, &at);

        if (count < levels->options.max_runs_per_level)
            continue;
        merge->inputs = cairn_alloc(count * sizeof *merge->inputs);
        memcpy(merge->inputs, &levels->runs[at], count * sizeof *merge->inputs);
        merge->input_count = count;
        merge->level = level + 1;
        merge->drop_tombstones = at + count == levels->run_count;
        merge->run_id = versions_take_run_id(levels->versions);
        submit(levels, &merge->job, make_run);
    }
}

/* --- removing --- */

static void remove_files(struct job *job)
{
    struct removing *removal = (struct removing *)(void *)job; /* its first member */
    struct cairn_disk *disk = job->levels->disk;
    struct cairn_err ignored; /* what stays goes at the next opening, or is collected */

    for (size_t at = 0; at < removal->paths.size; at += strlen((const char *)removal->paths.data + at) + 1)
        disk->ops->remove(disk, (const char *)removal->paths.data + at, &ignored);
}

static void start_removal(struct levels *levels)
{
    struct removing *removal = &levels->removal;
    struct cairn_buf spare = removal->paths;

    if (removal->job.active || levels->garbage.size == 0)
        return;
    removal->paths = levels->garbage;
    levels->garbage = spare;
    levels->garbage.size = 0;
    submit(levels, &removal->job, remove_files);
}

/* Of these runs the ones that no version names, nor will, and that are not used. */
static void discard_runs(struct levels *levels, const struct cairn_buf *ids)
{
    const struct snapshot *snapshot = &levels->snapshot;
    struct cairn_buf marked = {0};

    if (versions_mark(levels->versions, &marked))
        for (size_t at = 0; at < ids->size; at += 8) {
            uint64_t id = cairn_get_u64(ids->data + at);
            bool needed = version_is_marked(&marked, id);
            char path[CAIRN_PATH_BYTES];

            for (size_t i = 0; i < snapshot->version.run_count; i++)
                needed |= snapshot->version.runs[i].id == id;
            for (size_t i = 0; i < levels->run_count; i++)
                needed |= run_about(levels->runs[i])->id == id;
            run_path(id, path);
            if (!needed)
                cairn_buf_add(&levels->garbage, path, strlen(path) + 1);
        }
    cairn_buf_done(&marked);
    start_removal(levels);
}

static void add_id(struct cairn_buf *ids, uint64_t id)
{
    cairn_put_u64(cairn_buf_reserve(ids, 8), id);
    ids->size += 8;
}

/* And what they alone named. */
void levels_forget_automatic(struct levels *levels)
{
    struct cairn_buf ids = {0};
    const struct version *version;

    for (size_t i = 0; (version = versions_at(levels->versions, i)); i++)
        for (size_t j = 0; version->automatic && j < version->run_count; j++)
            add_id(&ids, version->runs[j].id);
    versions_forget_automatic(levels->versions, &levels->garbage);
    discard_runs(levels, &ids);
    cairn_buf_done(&ids);
}

/* --- snapshots --- */

static void write_manifest(struct job *job)
{
    version_draft_write(&((struct committing *)(void *)job)->draft);
}

static void end_snapshot(struct levels *levels, enum cairn_code code, const struct cairn_err *err)
{
    struct snapshot *snapshot = &levels->snapshot;

    snapshot->state = SNAPSHOT_ENDED;
    snapshot->code = code;
    if (code != CAIRN_OK)
        snapshot->err = *err;
    free((void *)(uintptr_t)snapshot->version.runs);
    snapshot->version.runs = NULL;
    snapshot->version.run_count = 0;
}

void levels_step_snapshot(struct levels *levels)
{
    struct snapshot *snapshot = &levels->snapshot;
    struct run_about *runs;
    enum cairn_code code;
    struct cairn_err err;

    if (snapshot->state != SNAPSHOT_FLUSHING || snapshot->batches_left)
        return;
    runs = cairn_alloc((levels->run_count + 1) * sizeof *runs);
    for (size_t i = 0; i < levels->run_count; i++)
        runs[i] = *run_about(levels->runs[i]);
    snapshot->version.runs = runs;
    snapshot->version.run_count = levels->run_count;
    code = versions_draft(levels->versions, &snapshot->version, &levels->commit.draft, &err);
    if (code != CAIRN_OK) {
        end_snapshot(levels, code, &err);
        return;
    }
    snapshot->state = SNAPSHOT_COMMITTING;
    submit(levels, &levels->commit.job, write_manifest);
}

/* --- taking over what was done --- */

static void take_over_flush(struct levels *levels)
{
    struct making *flush = &levels->flush;
    struct snapshot *snapshot = &levels->snapshot;

    flush->job.active = false;
    levels->flush_failed = flush->job.code != CAIRN_OK;
    if (levels->flush_failed) { /* the batch stays, to be read and to be tried again */
        if (snapshot->state == SNAPSHOT_FLUSHING)
            end_snapshot(levels, flush->job.code, &flush->job.err);
        return;
    }
    if (levels->options.whole)
        levels_close_runs(levels, 0, levels->run_count);
    if (flush->output) {
        levels_insert_run(levels, 0, flush->output);
        levels->stats.flushed_bytes += run_about(flush->output)->bytes;
    }
    levels->stats.flushes++;
    if (flush->batch)
        levels->front->ops->release(levels->front);
    if (snapshot->state == SNAPSHOT_FLUSHING && snapshot->batches_left) {
        snapshot->batches_left--;
        levels_step_snapshot(levels);
    }
    levels_start_flush(levels);
    levels_start_merge(levels);
}

static void take_over_merge(struct levels *levels)
{
    struct making *merge = &levels->merge;
    struct cairn_buf ids = {0};
    size_t at = 0;

    merge->job.active = false;
    levels->merge_failed = merge->job.code != CAIRN_OK;
    if (!levels->merge_failed) {
        for (size_t i = 0; i < merge->input_count; i++)
            add_id(&ids, run_about(merge->inputs[i])->id);
        while (levels->runs[at] != merge->inputs[0])
            at++;
        levels_close_runs(levels, at, merge->input_count);
        if (merge->output) {
            levels_insert_run(levels, at, merge->output);
            levels->stats.merged_bytes += run_about(merge->output)->bytes;
        }
        levels->stats.merges++;
        discard_runs(levels, &ids);
    }
    cairn_buf_done(&ids);
    free(merge->inputs);
    merge->inputs = NULL;
    merge->input_count = 0;
    if (!levels->merge_failed)
        levels_start_merge(levels);
}

static void take_over_commit(struct levels *levels)
{
    struct snapshot *snapshot = &levels->snapshot;
    struct cairn_err err;
    enum cairn_code code = versions_enter(levels->versions, &levels->commit.draft, &err);

    levels->commit.job.active = false;
    snapshot->number = levels->commit.draft.number;
    end_snapshot(levels, code, &err);
    if (code == CAIRN_OK)
        levels_forget_automatic(levels);
}

void levels_take_over(struct levels *levels)
{
    if (levels->flush.job.active && is_done(levels, &levels->flush.job))
        take_over_flush(levels);
    if (levels->merge.job.active && is_done(levels, &levels->merge.job))
        take_over_merge(levels);
    if (levels->commit.job.active && is_done(levels, &levels->commit.job))
        take_over_commit(levels);
    if (levels->removal.job.active && is_done(levels, &levels->removal.job)) {
        levels->removal.job.active = false;
        start_removal(levels);
    }
}
