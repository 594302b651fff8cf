#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/levels_internal.h"
#include "engine/merge.h"

enum {
    RUNS_PER_LEVEL = 8,
    FILTER_BITS = 10,
    THROTTLE_BYTES = 256 << 10, /* after so many, times the backlog's share, a put waits for THROTTLE_NS */
    THROTTLE_NS = 2000000,
    WAIT_BYTES = 64 << 10,
    WAIT_NS = 10000000,
};

/* --- the list of runs --- */

/* The oldest are the largest, and most keys are in them: their filters cost most and tell least. */
static void bound_run_memory(struct levels *levels)
{
    size_t most = levels->options.run_memory_bytes_max, bytes = 0;

    for (size_t i = 0; i < levels->run_count; i++)
        bytes += run_memory_bytes(levels->runs[i]);
    for (size_t i = levels->run_count; most && bytes > most && i-- > 0;) {
        bytes -= run_filter_bytes(levels->runs[i]);
        run_drop_filter(levels->runs[i]);
    }
}

/* When there are too many open files all but one are closed: who is asked again is opened again. */
static void bound_open_files(struct levels *levels, const struct run *but)
{
    size_t count = 0;

    if (!levels->options.open_files_max || levels->run_count <= levels->options.open_files_max)
        return;
    for (size_t i = 0; i < levels->run_count; i++)
        count += run_is_open(levels->runs[i]);
    for (size_t i = 0; count > levels->options.open_files_max && i < levels->run_count; i++)
        if (levels->runs[i] != but)
            run_rest(levels->runs[i]);
}

void levels_insert_run(struct levels *levels, size_t at, struct run *run)
{
    if (levels->run_count == levels->run_capacity) {
        levels->run_capacity = levels->run_capacity ? levels->run_capacity * 2 : 16;
        levels->runs = cairn_realloc(levels->runs, levels->run_capacity * sizeof *levels->runs);
    }
    memmove(&levels->runs[at + 1], &levels->runs[at], (levels->run_count++ - at) * sizeof *levels->runs);
    levels->runs[at] = run;
    bound_run_memory(levels);
    bound_open_files(levels, run);
}

void levels_close_runs(struct levels *levels, size_t at, size_t count)
{
    if (!count)
        return; /* there may be no list yet */
    for (size_t i = at; i < at + count; i++)
        run_close(levels->runs[i]);
    levels->run_count -= count;
    memmove(&levels->runs[at], &levels->runs[at + count], (levels->run_count - at) * sizeof *levels->runs);
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
        if (code == CAIRN_OK && levels->options.open_files_max && count >= levels->options.open_files_max)
            run_rest(runs[count]);
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

static void forget_origins(struct levels *levels)
{
    while (levels->origin_count > 0)
        free(levels->origins[--levels->origin_count].inputs);
}

static void use_runs(struct levels *levels, struct run **runs, const struct version *version)
{
    levels_close_runs(levels, 0, levels->run_count);
    free(levels->runs);
    forget_origins(levels);
    levels->runs = runs;
    levels->run_count = version->run_count;
    levels->run_capacity = version->run_count + 1;
    levels->sequence = levels->written_sequence = version->sequence;
    bound_run_memory(levels);
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

/* --- the remote --- */

static enum cairn_code fetch(void *context, const struct run_about *about, struct cairn_err *err)
{
    struct levels *levels = context;

    if (!levels->options.remote)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'" RUN_DIR "/%" PRIu64 ".run' in '%s' is missing: put a copy of it in its place, or restore "
                          "a version that does not have it",
                          about->id, levels->disk->root);
    return remote_get_run(levels->options.remote, levels->disk, about, levels->options.progress, err);
}

/* A version that both have has to be the same. */
static enum cairn_code compare_version(struct levels *levels, uint64_t number, struct cairn_err *err)
{
    struct cairn_buf here = {0}, there = {0};
    enum cairn_code code = versions_get_manifest(levels->versions, number, &here, err);

    if (code == CAIRN_OK)
        code = remote_get_manifest(levels->options.remote, number, &there, err);
    if (code == CAIRN_OK && !cairn_bytes_equal(cairn_buf_bytes(&here), cairn_buf_bytes(&there)))
        code =
            cairn_fail(err, CAIRN_ECONFLICT,
                       "version %" PRIu64 " of '%s' is another one in the blob store: that belongs to another folder",
                       number, levels->disk->root);
    cairn_buf_done(&here);
    cairn_buf_done(&there);
    return code;
}

static enum cairn_code import_version(struct levels *levels, uint64_t number, struct cairn_err *err)
{
    struct cairn_buf manifest = {0};
    enum cairn_code code = remote_get_manifest(levels->options.remote, number, &manifest, err);

    if (code == CAIRN_OK)
        code = versions_import(levels->versions, number, cairn_buf_bytes(&manifest), err);
    cairn_buf_done(&manifest);
    return code;
}

/* A new folder takes over the versions that the remote has; one that has versions must not be behind it. */
static enum cairn_code meet_remote(struct levels *levels, struct cairn_err *err)
{
    struct versions *versions = levels->versions;
    const struct version *newest = NULL;
    bool is_new = !versions_at(versions, 0);
    enum cairn_code code = CAIRN_OK;
    uint64_t number;

    for (size_t i = 0; versions_at(versions, i); i++)
        newest = versions_at(versions, i);
    for (size_t i = 0; code == CAIRN_OK && remote_version(levels->options.remote, i, &number); i++) {
        const struct version *version = versions_find(versions, number);

        if (version)
            code = compare_version(levels, number, err);
        else if (is_new)
            code = import_version(levels, number, err);
        else if (number > newest->number)
            code = cairn_fail(err, CAIRN_ECONFLICT,
                              "the blob store has version %" PRIu64 ", which came after all that '%s' has: open a new "
                              "folder to go on from there",
                              number, levels->disk->root);
        version = versions_find(versions, number);
        if (code == CAIRN_OK && version)
            levels_note_stored(levels, version->runs, version->run_count);
    }
    return code;
}

/* --- opening and closing --- */

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
    levels->source = (struct version_source){fetch, levels};
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
        code = versions_open(disk, number, &levels->source, &levels->versions, err);
    if (code == CAIRN_OK && levels->options.remote)
        code = meet_remote(levels, err);
    if (code == CAIRN_OK && number && versions_current(levels->versions)->number != number)
        code = versions_restore(levels->versions, number, err); /* it has come from the remote just now */
    if (code == CAIRN_OK && (version = versions_current(levels->versions))) {
        code = versions_fetch(levels->versions, version, err);
        if (code == CAIRN_OK)
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
    levels_start_merge(levels);
    *ret_levels = levels;
    return CAIRN_OK;
}

struct levels *levels_close(struct levels *levels)
{
    if (!levels)
        return NULL;
    levels->closing = true;
    levels_give_up_merges(levels);
    levels_wait_for_all(levels);
    levels->front->ops->close(levels->front);
    levels_close_runs(levels, 0, levels->run_count);
    free(levels->runs);
    versions_close(levels->versions);
    free((void *)(uintptr_t)levels->snapshot.version.runs);
    forget_origins(levels);
    free(levels->origins);
    cairn_buf_done(&levels->stored);
    cairn_buf_done(&levels->snapshot.metadata);
    cairn_buf_done(&levels->removal.paths);
    cairn_buf_done(&levels->garbage);
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
        levels_start_flush(levels);
}

static enum cairn_code get_from_runs(struct levels *levels, struct cairn_bytes key, uint64_t hash,
                                     struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct front *front = levels->front;
    enum cairn_code code = CAIRN_OK;
    bool found = false;

    for (size_t i = 0; code == CAIRN_OK && !found && i < levels->run_count; i++) {
        code = run_get(levels->runs[i], key, hash, &levels->scratch, &found, ret_value, err);
        bound_open_files(levels, levels->runs[i]);
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

enum cairn_code levels_get(struct levels *levels, struct cairn_bytes key, bool *ret_found,
                           struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct front *front = levels->front;
    uint64_t hash = cairn_hash(key);
    struct cairn_bytes value = run_tombstone();

    if (!front->ops->get(front, key, hash, &value) && !levels->options.whole) {
        enum cairn_code code;

        levels_take_over(levels);
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

/* Slows puts while merging is behind: by nothing at BACKLOG_SLOW, and to THROTTLE_BYTES in 2 ms for each run of the
 * backlog beyond, so that the rate falls smoothly until it is that of the merges. */
static void throttle(struct levels *levels, size_t bytes)
{
    size_t slow = (size_t)levels->options.max_runs_per_level * BACKLOG_SLOW;

    if (levels->run_count <= slow)
        return;
    levels->debt_bytes += bytes * (levels->run_count - slow);
    if (levels->debt_bytes < THROTTLE_BYTES)
        return;
    levels->debt_bytes = 0;
    levels_wait_a_little(levels, THROTTLE_NS);
    levels->stats.throttled_ns += THROTTLE_NS;
}

/* A full front, or far too many runs, stop nobody for longer than WAIT_NS for each WAIT_BYTES that he brings: what that
 * goes over the bounds is little, and who waits long learns nothing that he would not learn from waiting often. */
enum cairn_code levels_ready(struct levels *levels, size_t bytes, struct cairn_err *err)
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
static enum cairn_code seal_all(struct levels *levels, struct cairn_err *err)
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
    while (code == CAIRN_OK && levels->flush_failed && front->ops->batch(front))
        code = settle(levels, err);
    if (code == CAIRN_OK) {
        front->ops->seal(front, true);
        levels_start_flush(levels);
    }
    return code;
}

enum cairn_code levels_snapshot_begin(struct levels *levels, const struct levels_snapshot_options *options,
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
    code = seal_all(levels, err);
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
    snapshot->batches_left = levels->front->ops->batch_count(levels->front);
    levels_step_snapshot(levels);
    return CAIRN_OK;
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
    assert(snapshot->state == SNAPSHOT_ENDED);
    snapshot->state = SNAPSHOT_NONE;
    if (snapshot->code != CAIRN_OK)
        return cairn_fail(err, snapshot->code, "%s", snapshot->err.text);
    *ret_number = snapshot->number;
    return CAIRN_OK;
}

enum cairn_code levels_restore(struct levels *levels, uint64_t number, struct cairn_err *err)
{
    const struct version *version = versions_find(levels->versions, number);
    struct front *front;
    struct run **runs;
    enum cairn_code code;

    if (!version)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %" PRIu64, number);
    if (levels->snapshot.state != SNAPSHOT_NONE)
        return cairn_fail(err, CAIRN_ECONFLICT, "a snapshot is being made");
    levels_give_up_merges(levels); /* its runs are no longer wanted */
    levels_wait_for_all(levels);
    code = versions_verify(levels->versions, number, err);
    if (code == CAIRN_OK)
        code = open_runs(levels, version, &runs, err);
    if (code != CAIRN_OK)
        return code;
    front = levels->options.create_front(levels->options.front_options);
    if (levels->options.whole)
        code = load(front, runs, version->run_count, err);
    if (code == CAIRN_OK)
        code = versions_switch(levels->versions, number, err);
    if (code != CAIRN_OK) {
        for (size_t i = 0; i < version->run_count; i++)
            run_close(runs[i]);
        free(runs);
        front->ops->close(front);
        return code;
    }
    use_runs(levels, runs, version);
    levels_forget_automatic(levels);
    levels->flush_failed = false;
    levels->front->ops->close(levels->front);
    levels->front = front;
    levels_start_merge(levels);
    return CAIRN_OK;
}

static bool in_use(void *context, uint64_t run_id)
{
    const struct levels *levels = context;

    if ((levels->flush.job.active && levels->flush.run_id == run_id) ||
        (levels->merges[0].job.active && levels->merges[0].run_id == run_id) ||
        (levels->merges[1].job.active && levels->merges[1].run_id == run_id))
        return true;
    for (size_t i = 0; i < levels->snapshot.version.run_count; i++)
        if (levels->snapshot.version.runs[i].id == run_id)
            return true;
    for (size_t i = 0; i < levels->origin_count; i++)
        for (size_t j = 0; j < levels->origins[i].input_count; j++)
            if (levels->origins[i].inputs[j].id == run_id)
                return true;
    for (size_t i = 0; i < levels->run_count; i++)
        if (run_about(levels->runs[i])->id == run_id)
            return true;
    return false;
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, CAIRN_SHA256_BYTES);
}

struct needed {
    struct cairn_buf ids, hashes;
};

static void add_needed(struct needed *needed, const struct run_about *runs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        version_add_id(&needed->ids, runs[i].id);
        cairn_buf_add(&needed->hashes, runs[i].sha256, sizeof runs[i].sha256);
    }
}

/* What versions name, and what they may name soon. */
static enum cairn_code collect_remote(struct levels *levels, uint64_t *ret_bytes, struct cairn_err *err)
{
    struct needed needed = {0};
    const struct version *version;
    enum cairn_code code;

    for (size_t i = 0; (version = versions_at(levels->versions, i)); i++)
        add_needed(&needed, version->runs, version->run_count);
    for (size_t i = 0; i < levels->run_count; i++)
        add_needed(&needed, run_about(levels->runs[i]), 1);
    for (size_t i = 0; i < levels->origin_count; i++)
        add_needed(&needed, levels->origins[i].inputs, levels->origins[i].input_count);
    add_needed(&needed, levels->snapshot.version.runs, levels->snapshot.version.run_count);
    version_sort_ids(&needed.ids);
    if (needed.hashes.size) {
        qsort(needed.hashes.data, needed.hashes.size / CAIRN_SHA256_BYTES, CAIRN_SHA256_BYTES, compare_hashes);
    }
    levels_limit_stored(levels, &needed.ids);
    code = remote_collect(levels->options.remote, &needed.hashes, levels->options.remote_grace_ms, ret_bytes, err);
    cairn_buf_done(&needed.ids);
    cairn_buf_done(&needed.hashes);
    return code;
}

enum cairn_code levels_collect(struct levels *levels, uint64_t *ret_bytes, struct cairn_err *err)
{
    uint64_t remote_bytes = 0;
    enum cairn_code code;

    levels_take_over(levels);
    while (levels->removal.job.active)
        levels_wait_for(levels, &levels->removal.job);
    while (levels->ahead.job.active) /* what it puts must not be taken for garbage */
        levels_wait_for(levels, &levels->ahead.job);
    code = versions_collect(levels->versions, in_use, levels, ret_bytes, err);
    if (code == CAIRN_OK && levels->options.remote)
        code = collect_remote(levels, &remote_bytes, err);
    *ret_bytes += remote_bytes;
    return code;
}

enum cairn_code levels_forget(struct levels *levels, uint64_t number, struct cairn_err *err)
{
    const struct version *version = versions_find(levels->versions, number);
    const struct version *current = versions_current(levels->versions);
    enum cairn_code code = CAIRN_OK;

    /* There first: what is only here still is a version. */
    if (levels->options.remote && version && !version->pinned && version != current)
        code = remote_remove_manifest(levels->options.remote, number, err);
    return code == CAIRN_OK ? versions_forget(levels->versions, number, err) : code;
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
