/* levels_work.c - runs are written and merged in the background. */
#include <assert.h>
#include <stdlib.h>

#include "engine/levels_internal.h"
#include "engine/merge.h"

/* Less is written again and again with a greater STALE_PART, less kept in vain with a smaller one. */
static const double STALE_PART = 0.6, OVERLAP_LEAST = 0.3;

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
    uint32_t level = making->level;
    struct run_options options = {.order = levels->options.order,
                                  .records_max = records_max,
                                  .filter_bits = levels->options.filter_bits,
                                  .density_factor = levels->options.density_factor,
                                  .compression =
                                      levels->options.compression[level < RUN_LEVELS ? level : RUN_LEVELS - 1]};
    struct run_writer *writer = NULL;
    struct run_about about = {0};
    enum cairn_code code;
    bool any = false;

    fit_memory(&options, levels->options.run_memory_bytes_max, records_max, bytes_max);
    code = run_writer_create(levels->disk, making->run_id, making->level, &options, &writer, err);

    while (code == CAIRN_OK) {
        const struct run_record *record;

        if (atomic_load_explicit(&making->given_up, memory_order_relaxed)) {
            code = cairn_fail(err, CAIRN_EINTERRUPTED, "the merge was given up");
            break;
        }
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

static void take_over_flush(struct levels *levels, struct job *job);
static void take_over_merge(struct levels *levels, struct job *job);

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
    levels_submit(levels, &flush->job, make_run, take_over_flush);
}

void levels_start_whole_flush(struct levels *levels)
{
    struct making *flush = &levels->flush;

    flush->batch = NULL;
    flush->is_flush = true;
    flush->run_id = versions_take_run_id(levels->versions);
    levels_submit(levels, &flush->job, make_run, take_over_flush);
}

static bool is_being_merged(const struct levels *levels, const struct run *run)
{
    for (size_t i = 0; i < MERGES; i++)
        for (size_t j = 0; levels->merges[i].job.active && j < levels->merges[i].input_count; j++)
            if (levels->merges[i].inputs[j] == run)
                return true;
    return false;
}

static void merge_runs(struct levels *levels, struct making *merge, size_t at, size_t count, uint32_t level)
{
    merge->inputs = cairn_alloc(count * sizeof *merge->inputs);
    memcpy(merge->inputs, &levels->runs[at], count * sizeof *merge->inputs);
    merge->input_count = count;
    merge->level = level;
    merge->drop_tombstones = at + count == levels->run_count;
    merge->run_id = versions_take_run_id(levels->versions);
    atomic_store(&merge->given_up, false);
    levels_submit(levels, &merge->job, make_run, take_over_merge);
}

/* By what is known, so much of what is kept is out of date that all of it is worth writing again: for each byte of the
 * oldest run, which has nothing twice, STALE_PART of one. */
static bool is_stale(const struct levels *levels)
{
    uint64_t newer = 0;

    for (size_t i = 0; i + 1 < levels->run_count; i++)
        newer += run_about(levels->runs[i])->bytes;
    return levels->run_count > 1 && (double)newer * levels->overlap >=
                                        STALE_PART * (double)run_about(levels->runs[levels->run_count - 1])->bytes;
}

/* Learns from a merge with the oldest run, whose output is not there yet.  A new key makes no older one out of date,
 * so a state that only grows need not be written again and again. */
static void note_overlap(struct levels *levels, const struct making *merge)
{
    const struct run *oldest = merge->inputs[merge->input_count - 1];
    uint64_t newer = 0, kept = merge->output ? run_about(merge->output)->records : 0;
    double replaced;

    if (oldest != levels->runs[levels->run_count - 1])
        return;
    for (size_t i = 0; i + 1 < merge->input_count; i++)
        newer += run_about(merge->inputs[i])->records;
    replaced = (double)(newer + run_about(oldest)->records - kept) / (double)newer;
    levels->overlap = replaced < OVERLAP_LEAST ? OVERLAP_LEAST : replaced > 1 ? 1 : replaced;
}

/* Those of a level that are not being merged lie side by side: merges take all there are. */
static size_t free_runs_of_level(const struct levels *levels, uint32_t level, size_t *ret_at)
{
    size_t count = 0;

    for (size_t i = 0; i < levels->run_count; i++)
        if (run_about(levels->runs[i])->level == level && !is_being_merged(levels, levels->runs[i]) && !count++)
            *ret_at = i;
    return count;
}

/* The runs of the first full level; or, when one is full and much may be out of date, all that are not being merged.
 * Level 0 has a thread of its own: it fills while deep levels, which are large, are merged. */
void levels_start_merge(struct levels *levels)
{
    uint32_t deepest = levels->run_count ? run_about(levels->runs[levels->run_count - 1])->level : 0;
    struct making *shallow = &levels->merges[0], *deep = &levels->merges[1];

    for (uint32_t level = 0; level <= deepest; level++) {
        struct making *merge = level ? deep : shallow;
        size_t at = 0, count = free_runs_of_level(levels, level, &at);

        if (count < levels->options.max_runs_per_level)
            continue;
        if (level == 0 && count > levels->options.max_runs_per_level) { /* the oldest: each merge is a short one */
            at += count - levels->options.max_runs_per_level;
            count = levels->options.max_runs_per_level;
        }
        if (!deep->job.active && at + count < levels->run_count && is_stale(levels)) {
            size_t from = 0;

            for (size_t i = 0; i < levels->run_count; i++) /* behind what is being merged of level 0 */
                if (is_being_merged(levels, levels->runs[i]))
                    from = i + 1;
            if (levels->run_count - from > 1)
                merge_runs(levels, deep, from, levels->run_count - from, deepest);
        } else if (!merge->job.active) {
            merge_runs(levels, merge, at, count, level + 1);
        }
    }
}

void levels_give_up_merges(struct levels *levels)
{
    for (size_t i = 0; i < MERGES; i++)
        atomic_store(&levels->merges[i].given_up, true);
}

/* --- taking over what was done --- */

static void take_over_flush(struct levels *levels, struct job *job)
{
    struct making *flush = (struct making *)(void *)job; /* its first member */
    struct snapshot *snapshot = &levels->snapshot;

    levels->flush_failed = flush->job.code != CAIRN_OK;
    if (levels->flush_failed) { /* the batch stays, to be read and to be tried again */
        levels->flush_err = flush->job.err;
        levels->flush_err.code = flush->job.code;
        if (snapshot->state == SNAPSHOT_FLUSHING)
            levels_end_snapshot(levels, flush->job.code, &flush->job.err);
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

static void take_over_merge(struct levels *levels, struct job *job)
{
    struct making *merge = (struct making *)(void *)job; /* its first member */
    struct cairn_buf ids = {0};
    size_t at = 0;

    levels->merge_failed = merge->job.code != CAIRN_OK;
    if (!levels->merge_failed) {
        for (size_t i = 0; i < merge->input_count; i++)
            ids_add(&ids, run_about(merge->inputs[i])->id);
        levels_note_origin(levels, merge);
        note_overlap(levels, merge);
        while (levels->runs[at] != merge->inputs[0])
            at++;
        levels_close_runs(levels, at, merge->input_count);
        if (merge->output) {
            levels_insert_run(levels, at, merge->output);
            levels->stats.merged_bytes += run_about(merge->output)->bytes;
        }
        levels->stats.merges++;
        levels_discard_runs(levels, &ids);
        levels_start_ahead(levels);
    }
    cairn_buf_done(&ids);
    free(merge->inputs);
    merge->inputs = NULL;
    merge->input_count = 0;
    if (!levels->merge_failed)
        levels_start_merge(levels);
}
