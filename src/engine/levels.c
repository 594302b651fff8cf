/* levels.c - a store is read and written, and snapshots of it are taken. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/levels_internal.h"
#include "engine/merge.h"

enum {
    THROTTLE_BYTES = 256 << 10, /* after so many, times the backlog's share, a put waits for THROTTLE_NS */
    THROTTLE_NS = 2000000,
    WAIT_BYTES = 64 << 10,
    WAIT_NS = 10000000,
    SCRATCH_BYTES_MAX = 256 << 10,
    BATCHES_FAILED_MAX = 2, /* that cannot be written: a snapshot makes no other */
};

/* --- reading and writing --- */

/* What the front would like to be rid of begins to be written. */
static void relieve(struct levels *levels)
{
    struct front *front = levels->front;

    if (front->ops->pressure(front) == FRONT_EASY)
        return;
    front->ops->seal(front, false);
    if (!levels->flush_failed)
        levels_start_flush(levels);
}

static enum cairn_code get_from_runs(struct levels *levels, struct cairn_bytes key, uint64_t hash,
                                     struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct front *front = levels->front;
    enum cairn_code code = CAIRN_OK;
    bool found = false;

    if (levels->scratch.capacity > SCRATCH_BYTES_MAX) /* a large value is not kept for long */
        cairn_buf_done(&levels->scratch);
    for (size_t i = 0; code == CAIRN_OK && !found && i < levels->run_count; i++) {
        code = run_get(levels->runs[i], key, hash, &levels->scratch, &found, ret_value, err);
        levels_bound_open_files(levels, levels->runs[i]);
    }
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

void levels_prefetch(const struct levels *levels, uint64_t hash, int depth)
{
    levels->front->ops->prefetch(levels->front, hash, depth);
}

static enum cairn_code get_behind_front(struct levels *levels, struct cairn_bytes key, uint64_t hash, bool *ret_found,
                                        struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct cairn_bytes value = run_tombstone();
    enum cairn_code code = CAIRN_OK;

    if (!levels->options.whole) {
        levels_take_over(levels);
        code = get_from_runs(levels, key, hash, &value, err);
    }
    if (code != CAIRN_OK)
        return code;
    *ret_found = !run_is_tombstone(value);
    if (*ret_found)
        *ret_value = value;
    return CAIRN_OK;
}

enum cairn_code levels_get(struct levels *levels, struct cairn_bytes key, uint64_t hash, bool *ret_found,
                           struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct front *front = levels->front;
    struct cairn_bytes value;

    if (__builtin_expect(!front->ops->get(front, key, hash, &value), 0))
        return get_behind_front(levels, key, hash, ret_found, ret_value, err);
    *ret_found = !run_is_tombstone(value);
    if (*ret_found)
        *ret_value = value;
    return CAIRN_OK;
}

/* Until the oldest batch is written; tries again if that had failed. */
static enum cairn_code settle(struct levels *levels, struct cairn_err *err)
{
    struct job *job = &levels->flush.job;

    levels_start_flush(levels);
    levels_wait_for(levels, job);
    return levels->flush_failed ? cairn_fail(err, job->code, "%s", job->err.text) : CAIRN_OK;
}

/* True while merging is far behind; a merge that has failed is tried again then. */
static enum cairn_code drain(struct levels *levels, bool *ret_behind, struct cairn_err *err)
{
    *ret_behind = levels->run_count >= (size_t)levels->options.max_runs_per_level * BACKLOG_STOP;
    if (*ret_behind && levels->merge_failed) {
        struct job *job = &levels->merges[0].job;

        levels_start_merge(levels);
        job = job->active ? job : &levels->merges[1].job;
        levels_wait_for(levels, job);
        if (levels->merge_failed)
            return cairn_fail(err, job->code, "%s", job->err.text);
    }
    return CAIRN_OK;
}

static size_t slow_from(const struct levels *levels)
{
    return (size_t)levels->options.max_runs_per_level * BACKLOG_SLOW;
}

/* Slows puts while merging is behind: by nothing at BACKLOG_SLOW, and to THROTTLE_BYTES in 2 ms for each run of the
 * backlog beyond, so that the rate falls smoothly until it is that of the merges. */
static void throttle(struct levels *levels, size_t bytes)
{
    size_t slow = slow_from(levels);

    if (levels->run_count <= slow)
        return;
    levels->debt_bytes += bytes * (levels->run_count - slow);
    if (levels->debt_bytes < THROTTLE_BYTES)
        return;
    levels->debt_bytes = 0;
    levels_wait_a_little(levels, THROTTLE_NS);
    levels->stats.throttled_ns += THROTTLE_NS;
}

/* With a full front, or far too many runs, a put waits at most WAIT_NS for each WAIT_BYTES of it, and is taken then: so
 * the bounds are exceeded by little, and no put waits long. */
static enum cairn_code make_ready(struct levels *levels, size_t bytes, struct cairn_err *err)
{
    struct front *front = levels->front;
    enum cairn_code code = CAIRN_OK;
    bool behind = false;

    if (front->ops->pressure(front) != FRONT_EASY) {
        for (size_t rounds = 1 + bytes / WAIT_BYTES; code == CAIRN_OK && rounds > 0; rounds--) {
            levels_take_over(levels);
            relieve(levels);
            code = drain(levels, &behind, err);
            if (code != CAIRN_OK || (!behind && front->ops->pressure(front) != FRONT_FULL))
                break;
            if (levels->flush_failed && front->ops->batch(front))
                code = settle(levels, err);
            else
                levels_wait_a_little(levels, WAIT_NS);
        }
    }
    if (code == CAIRN_OK)
        throttle(levels, bytes);
    return code;
}

enum cairn_code levels_ready(struct levels *levels, size_t bytes, struct cairn_err *err)
{
    if (__builtin_expect(levels_is_easy(levels) && levels->run_count <= slow_from(levels), 1))
        return CAIRN_OK;
    return make_ready(levels, bytes, err);
}

bool levels_is_pressed(const struct levels *levels)
{
    const struct front *front = levels->front;

    return front->ops->pressure(front) == FRONT_FULL ||
           levels->run_count >= (size_t)levels->options.max_runs_per_level * BACKLOG_STOP;
}

bool levels_is_easy(const struct levels *levels)
{
    return levels->front->ops->pressure(levels->front) == FRONT_EASY;
}

void levels_work(struct levels *levels, bool retry)
{
    levels_take_over(levels);
    if (retry && levels->flush_failed)
        levels_start_flush(levels);
    if (retry && levels->merge_failed)
        levels_start_merge(levels);
    levels->front->ops->give_back(levels->front);
    relieve(levels);
}

enum cairn_code levels_failure(const struct levels *levels, struct cairn_err *err)
{
    const struct job *failed = NULL;

    if (levels->flush_failed)
        return cairn_fail(err, levels->flush_err.code, "%s", levels->flush_err.text);
    for (size_t i = 0; levels->merge_failed && i < MERGES; i++)
        if (!levels->merges[i].job.active && levels->merges[i].job.code != CAIRN_OK)
            failed = &levels->merges[i].job;
    return failed ? cairn_fail(err, failed->code, "%s", failed->err.text) : CAIRN_OK;
}

void levels_apply(struct levels *levels, const struct run_record *record)
{
    levels->front->ops->put(levels->front, record);
    levels->sequence++;
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

    levels_take_over(levels);
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

/* All that was put is in runs, or is in batches that are going to be. */
static enum cairn_code seal_all(struct levels *levels, bool wait, struct cairn_err *err)
{
    struct front *front = levels->front;
    enum cairn_code code = CAIRN_OK;

    if (levels->options.whole) {
        if (levels->written_sequence == levels->sequence)
            return CAIRN_OK;
        levels_start_whole_flush(levels);
        code = settle(levels, err);
        if (code == CAIRN_OK)
            levels->written_sequence = levels->sequence;
        return code;
    }
    if (!wait && levels->flush_failed && front->ops->batch_count(front) >= BATCHES_FAILED_MAX) {
        levels_start_flush(levels);
        return levels_failure(levels, err);
    }
    while (code == CAIRN_OK && wait && levels->flush_failed && front->ops->batch(front))
        code = settle(levels, err);
    if (code == CAIRN_OK) {
        front->ops->seal(front, true);
        levels_start_flush(levels);
    }
    return code;
}

enum cairn_code levels_snapshot_begin(struct levels *levels, const struct cairn_version_options *options,
                                      struct cairn_err *err)
{
    struct snapshot *snapshot = &levels->snapshot;
    enum cairn_code code;

    levels_take_over(levels);
    if (snapshot->state != SNAPSHOT_NONE)
        return cairn_fail(err, CAIRN_ECONFLICT, "a snapshot is being made");
    if (options->metadata.size > VERSION_METADATA_BYTES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "metadata of %zu bytes; at most %d are allowed", options->metadata.size,
                          VERSION_METADATA_BYTES_MAX);
    code = seal_all(levels, !options->hold, err);
    if (code != CAIRN_OK)
        return code;
    snapshot->metadata.size = 0;
    cairn_buf_add(&snapshot->metadata, options->metadata.data, options->metadata.size);
    snapshot->version = (struct version){.time_ms = options->time_ms,
                                         .sequence = levels->sequence,
                                         .metadata = cairn_buf_bytes(&snapshot->metadata),
                                         .automatic = options->automatic};
    snprintf(snapshot->version.engine, sizeof snapshot->version.engine, "%s", levels->options.engine);
    snapshot->state = SNAPSHOT_FLUSHING;
    snapshot->hold = options->hold;
    snapshot->batches_left = levels->front->ops->batch_count(levels->front);
    levels_step_snapshot(levels);
    return CAIRN_OK;
}

bool levels_snapshot_is_held(struct levels *levels)
{
    levels_take_over(levels);
    return levels->snapshot.state == SNAPSHOT_HELD;
}

void levels_snapshot_commit(struct levels *levels)
{
    assert(levels->snapshot.state == SNAPSHOT_HELD);
    levels_start_commit(levels);
}

bool levels_snapshot_is_done(struct levels *levels)
{
    levels_take_over(levels);
    return levels->snapshot.state == SNAPSHOT_ENDED;
}

enum cairn_code levels_snapshot_end(struct levels *levels, uint64_t *ret_number, struct cairn_err *err)
{
    struct snapshot *snapshot = &levels->snapshot;

    assert(snapshot->state != SNAPSHOT_NONE);
    levels_take_over(levels);
    while (snapshot->state == SNAPSHOT_FLUSHING)
        levels_wait_for(levels, &levels->flush.job);
    levels_wait_for(levels, &levels->store.job);
    levels_wait_for(levels, &levels->commit.job);
    if (snapshot->state == SNAPSHOT_HELD) {
        struct cairn_err err_given_up;

        levels_end_snapshot(levels, cairn_fail(&err_given_up, CAIRN_EINTERRUPTED, "the snapshot was given up"),
                            &err_given_up);
    }
    assert(snapshot->state == SNAPSHOT_ENDED);
    snapshot->state = SNAPSHOT_NONE;
    if (snapshot->code != CAIRN_OK)
        return cairn_fail(err, snapshot->code, "%s", snapshot->err.text);
    *ret_number = snapshot->number;
    return CAIRN_OK;
}

struct versions *levels_versions(struct levels *levels)
{
    return levels->versions;
}

uint64_t levels_sequence(const struct levels *levels)
{
    return levels->sequence;
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
