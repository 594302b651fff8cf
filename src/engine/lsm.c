#include "engine/lsm.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/merge.h"

enum {
    MEMTABLE_BYTES = 4 << 20,
    RUNS_PER_LEVEL = 8,
    FILTER_BITS = 10,
    /* Writers wait for merging when level 0 has this many times max_runs_per_level runs. */
    BACKLOG = 4,
};

static const char engine_name[] = "lsm";

/* Work in the background, one of a kind at a time.  Until it is done only `done` may be looked at. */
struct job {
    struct cairn_task task;
    struct lsm *lsm;
    bool active; /* the owner's: submitted, and not yet taken over */

    struct cairn_engine *memtable; /* flush: what to write; kept until it is a run */
    struct run **inputs;           /* merge: newest first, also in the lsm's list */
    size_t input_count;
    bool drop_tombstones;
    uint32_t level; /* of the output */
    uint64_t run_id;

    struct run *output; /* NULL: there was nothing to write */
    enum cairn_code code;
    struct cairn_err err;

    bool done; /* under the lsm's lock */
};

struct lsm {
    struct cairn_disk *disk;
    struct cairn_tasks *tasks;
    struct lsm_options options;
    struct versions *versions;
    struct cairn_engine *memtable;
    struct run **runs; /* newest first; levels do not descend */
    size_t run_count, run_capacity;
    struct job flush, merge;
    bool flush_failed, merge_failed; /* the last one; tried again with the next occasion */
    uint64_t sequence;
    struct cairn_buf scratch;
    struct lsm_stats stats;

    pthread_mutex_t lock; /* guards done of both jobs, which background threads set */
    pthread_cond_t ended;
};

/* --- the list of runs --- */

static void insert_run(struct lsm *lsm, size_t at, struct run *run)
{
    if (lsm->run_count == lsm->run_capacity) {
        lsm->run_capacity = lsm->run_capacity ? lsm->run_capacity * 2 : 16;
        lsm->runs = cairn_realloc(lsm->runs, lsm->run_capacity * sizeof *lsm->runs);
    }
    memmove(&lsm->runs[at + 1], &lsm->runs[at], (lsm->run_count++ - at) * sizeof *lsm->runs);
    lsm->runs[at] = run;
}

static void close_runs(struct lsm *lsm, size_t at, size_t count)
{
    if (!count)
        return; /* there may be no list yet */
    for (size_t i = at; i < at + count; i++)
        run_close(lsm->runs[i]);
    lsm->run_count -= count;
    memmove(&lsm->runs[at], &lsm->runs[at + count], (lsm->run_count - at) * sizeof *lsm->runs);
}

/* The runs of a level lie side by side. */
static size_t runs_of_level(const struct lsm *lsm, uint32_t level, size_t *ret_at)
{
    size_t count = 0;

    for (size_t i = 0; i < lsm->run_count; i++)
        if (run_about(lsm->runs[i])->level == level && !count++)
            *ret_at = i;
    return count;
}

/* --- in the background --- */

/* What is merged becomes a run, unless nothing is left of it. */
static enum cairn_code write_run(struct job *job, struct merge *merge, uint64_t records_max, struct cairn_err *err)
{
    struct lsm *lsm = job->lsm;
    struct run_options options = {.records_max = records_max,
                                  .filter_bits = lsm->options.filter_bits,
                                  .density_factor = lsm->options.density_factor};
    struct run_writer *writer = NULL;
    struct run_about about = {0};
    enum cairn_code code = run_writer_create(lsm->disk, job->run_id, job->level, &options, &writer, err);
    bool any = false;

    while (code == CAIRN_OK) {
        struct cairn_bytes key, value;
        bool more;

        code = merge_next(merge, &more, &key, &value, err);
        if (code != CAIRN_OK || !more)
            break;
        if (job->drop_tombstones && run_is_tombstone(value))
            continue;
        any = true;
        code = run_writer_add(writer, key, value, err);
    }
    if (code == CAIRN_OK && any)
        code = run_writer_finish(writer, &about, err);
    run_writer_destroy(writer); /* takes an empty or a broken file along */
    return code == CAIRN_OK && any ? run_open(lsm->disk, &about, &job->output, err) : code;
}

static void run_job(struct cairn_task *task)
{
    struct job *job = (struct job *)(void *)task; /* its first member */
    struct lsm *lsm = job->lsm;
    struct memtable_entry *entries = NULL;
    struct merge merge;
    uint64_t records = 0;

    job->output = NULL;
    merge_init(&merge, job->memtable ? 1 : job->input_count);
    if (job->memtable) {
        size_t count;

        entries = memtable_sort(job->memtable, &count);
        merge_set_memtable(&merge, 0, entries, count);
        records = count;
    }
    for (size_t i = 0; i < job->input_count; i++) {
        merge_set_run(&merge, i, job->inputs[i]);
        records += run_about(job->inputs[i])->records;
    }
    job->code = write_run(job, &merge, records, &job->err);
    merge_done(&merge);
    free(entries);
    pthread_mutex_lock(&lsm->lock);
    job->done = true;
    pthread_cond_signal(&lsm->ended);
    pthread_mutex_unlock(&lsm->lock);
}

static void submit(struct lsm *lsm, struct job *job)
{
    assert(!job->active);
    job->active = true;
    job->done = false;
    job->lsm = lsm;
    job->run_id = versions_take_run_id(lsm->versions);
    job->task = (struct cairn_task){.run = run_job};
    cairn_tasks_submit(lsm->tasks, &job->task);
}

static bool is_done(struct lsm *lsm, const struct job *job)
{
    bool done;

    pthread_mutex_lock(&lsm->lock);
    done = job->done;
    pthread_mutex_unlock(&lsm->lock);
    return done;
}

/* --- taking over what was done --- */

static void start_merge(struct lsm *lsm)
{
    uint32_t deepest = lsm->run_count ? run_about(lsm->runs[lsm->run_count - 1])->level : 0;

    for (uint32_t level = 0; !lsm->merge.active && level <= deepest; level++) {
        size_t at = 0, count = runs_of_level(lsm, level, &at);

        if (count < lsm->options.max_runs_per_level)
            continue;
        lsm->merge.inputs = cairn_alloc(count * sizeof *lsm->merge.inputs);
        memcpy(lsm->merge.inputs, &lsm->runs[at], count * sizeof *lsm->merge.inputs);
        lsm->merge.input_count = count;
        lsm->merge.level = level + 1;
        lsm->merge.drop_tombstones = at + count == lsm->run_count;
        submit(lsm, &lsm->merge);
    }
}

static void take_over_flush(struct lsm *lsm)
{
    struct job *job = &lsm->flush;

    job->active = false;
    lsm->flush_failed = job->code != CAIRN_OK;
    if (lsm->flush_failed)
        return; /* the memtable stays, to be read and to be tried again */
    if (job->output)
        insert_run(lsm, 0, job->output);
    job->memtable = job->memtable->ops->close(job->memtable);
    lsm->stats.flushes++;
    start_merge(lsm);
}

static void take_over_merge(struct lsm *lsm)
{
    struct job *job = &lsm->merge;
    struct cairn_err ignored;
    uint64_t bytes;
    size_t at = 0;

    job->active = false;
    lsm->merge_failed = job->code != CAIRN_OK;
    if (!lsm->merge_failed) {
        while (lsm->runs[at] != job->inputs[0])
            at++;
        close_runs(lsm, at, job->input_count);
        if (job->output) {
            insert_run(lsm, at, job->output);
            lsm->stats.merged_bytes += run_about(job->output)->bytes;
        }
        lsm->stats.merges++;
    }
    free(job->inputs);
    job->inputs = NULL;
    job->input_count = 0;
    if (!lsm->merge_failed) {
        start_merge(lsm);
        lsm_collect(lsm, &bytes, &ignored); /* what it leaves, the next one takes */
    }
}

static void take_over(struct lsm *lsm)
{
    if (lsm->flush.active && is_done(lsm, &lsm->flush))
        take_over_flush(lsm);
    if (lsm->merge.active && is_done(lsm, &lsm->merge))
        take_over_merge(lsm);
}

static void wait_for(struct lsm *lsm, struct job *job)
{
    if (!job->active)
        return;
    while (!is_done(lsm, job) && cairn_tasks_step(lsm->tasks)) /* simulated tasks run when they are waited for */
        continue;
    pthread_mutex_lock(&lsm->lock);
    while (!job->done)
        pthread_cond_wait(&lsm->ended, &lsm->lock);
    pthread_mutex_unlock(&lsm->lock);
    take_over(lsm);
}

/* --- opening --- */

static enum cairn_code open_runs(struct lsm *lsm, const struct version *version, struct run ***ret_runs,
                                 struct cairn_err *err)
{
    struct run **runs;
    size_t count = 0;
    enum cairn_code code = CAIRN_OK;

    if (strcmp(version->engine, engine_name) != 0)
        return cairn_fail(err, CAIRN_ECONFLICT, "version %" PRIu64 " of '%s' is of the engine '%s', not '%s'",
                          version->number, lsm->disk->root, version->engine, engine_name);
    runs = cairn_alloc((version->run_count + 1) * sizeof *runs);
    while (code == CAIRN_OK && count < version->run_count) {
        code = run_open(lsm->disk, &version->runs[count], &runs[count], err);
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

static void use_runs(struct lsm *lsm, struct run **runs, const struct version *version)
{
    close_runs(lsm, 0, lsm->run_count);
    free(lsm->runs);
    lsm->runs = runs;
    lsm->run_count = version->run_count;
    lsm->run_capacity = version->run_count + 1;
    lsm->sequence = version->sequence;
}

enum cairn_code lsm_open(struct cairn_disk *disk, struct cairn_tasks *tasks, const struct lsm_options *options,
                         uint64_t number, struct lsm **ret_lsm, struct cairn_err *err)
{
    struct lsm *lsm = cairn_alloc_zeroed(1, sizeof *lsm);
    const struct version *version;
    struct run **runs;
    enum cairn_code code;

    lsm->disk = disk;
    lsm->tasks = tasks;
    lsm->options = *options;
    if (!lsm->options.memtable_bytes_limit)
        lsm->options.memtable_bytes_limit = MEMTABLE_BYTES;
    if (!lsm->options.max_runs_per_level)
        lsm->options.max_runs_per_level = RUNS_PER_LEVEL;
    if (!lsm->options.filter_bits)
        lsm->options.filter_bits = FILTER_BITS;
    pthread_mutex_init(&lsm->lock, NULL);
    pthread_cond_init(&lsm->ended, NULL);
    lsm->memtable = cairn_memory_create();
    if (lsm->options.max_runs_per_level < 2)
        code = cairn_fail(err, CAIRN_EINVAL, "max_runs_per_level is %u and must be 2 or more",
                          lsm->options.max_runs_per_level);
    else
        code = versions_open(disk, number, &lsm->versions, err);
    if (code == CAIRN_OK && (version = versions_current(lsm->versions))) {
        code = open_runs(lsm, version, &runs, err);
        if (code == CAIRN_OK)
            use_runs(lsm, runs, version);
    }
    if (code != CAIRN_OK) {
        lsm_close(lsm);
        return code;
    }
    start_merge(lsm);
    *ret_lsm = lsm;
    return CAIRN_OK;
}

struct lsm *lsm_close(struct lsm *lsm)
{
    if (!lsm)
        return NULL;
    while (lsm->flush.active || lsm->merge.active) { /* one that ends may start the next */
        wait_for(lsm, &lsm->flush);
        wait_for(lsm, &lsm->merge);
    }
    if (lsm->flush.memtable)
        lsm->flush.memtable->ops->close(lsm->flush.memtable);
    lsm->memtable->ops->close(lsm->memtable);
    close_runs(lsm, 0, lsm->run_count);
    free(lsm->runs);
    versions_close(lsm->versions);
    cairn_buf_done(&lsm->scratch);
    pthread_cond_destroy(&lsm->ended);
    pthread_mutex_destroy(&lsm->lock);
    free(lsm);
    return NULL;
}

/* --- reading and writing --- */

enum cairn_code lsm_get(struct lsm *lsm, struct cairn_bytes key, bool *ret_found, struct cairn_bytes *ret_value,
                        struct cairn_err *err)
{
    uint64_t hash = cairn_hash(key);
    struct cairn_bytes value = run_tombstone();
    enum cairn_code code = CAIRN_OK;
    bool found;

    take_over(lsm);
    found = memtable_get(lsm->memtable, key, hash, &value) ||
            (lsm->flush.memtable && memtable_get(lsm->flush.memtable, key, hash, &value));
    for (size_t i = 0; code == CAIRN_OK && !found && i < lsm->run_count; i++)
        code = run_get(lsm->runs[i], key, hash, &lsm->scratch, &found, &value, err);
    if (code != CAIRN_OK)
        return code;
    *ret_found = found && !run_is_tombstone(value);
    if (*ret_found)
        *ret_value = value;
    return CAIRN_OK;
}

/* What it holds, by the size that it will have as a run and what the table adds. */
static uint64_t memtable_bytes(struct cairn_engine *memtable)
{
    enum { OVERHEAD_BYTES = 40 };
    struct cairn_engine_stats stats;

    memtable->ops->stats(memtable, &stats);
    return stats.key_bytes + stats.value_bytes + stats.keys * OVERHEAD_BYTES;
}

/* Until the memtable before this one is written; tries again if that had failed. */
static enum cairn_code settle(struct lsm *lsm, struct cairn_err *err)
{
    if (lsm->flush.memtable && !lsm->flush.active)
        submit(lsm, &lsm->flush);
    wait_for(lsm, &lsm->flush);
    return lsm->flush_failed ? cairn_fail(err, lsm->flush.code, "%s", lsm->flush.err.text) : CAIRN_OK;
}

/* Until merging has caught up. */
static enum cairn_code drain(struct lsm *lsm, struct cairn_err *err)
{
    size_t at, backlog = (size_t)lsm->options.max_runs_per_level * BACKLOG;

    while (runs_of_level(lsm, 0, &at) >= backlog) {
        if (!lsm->merge.active)
            start_merge(lsm);
        wait_for(lsm, &lsm->merge);
        if (lsm->merge_failed)
            return cairn_fail(err, lsm->merge.code, "%s", lsm->merge.err.text);
    }
    return CAIRN_OK;
}

/* The memtable becomes the one that is written. */
static enum cairn_code seal(struct lsm *lsm, struct cairn_err *err)
{
    enum cairn_code code = settle(lsm, err);

    if (code == CAIRN_OK)
        code = drain(lsm, err);
    if (code != CAIRN_OK)
        return code;
    lsm->flush.memtable = lsm->memtable;
    lsm->memtable = cairn_memory_create();
    submit(lsm, &lsm->flush);
    return CAIRN_OK;
}

enum cairn_code lsm_put(struct lsm *lsm, struct cairn_bytes key, struct cairn_bytes value, struct cairn_err *err)
{
    take_over(lsm);
    if (memtable_bytes(lsm->memtable) >= lsm->options.memtable_bytes_limit) {
        enum cairn_code code = seal(lsm, err);

        if (code != CAIRN_OK)
            return code;
    }
    memtable_put(lsm->memtable, key, cairn_hash(key), value, &lsm->scratch);
    lsm->sequence++;
    return CAIRN_OK;
}

enum cairn_code lsm_visit(struct lsm *lsm,
                          bool (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context,
                          struct cairn_err *err)
{
    struct cairn_engine *memtables[2] = {lsm->memtable};
    struct memtable_entry *entries[2];
    size_t count = 1;
    struct merge merge;
    enum cairn_code code;
    bool more = true;

    take_over(lsm);
    if (lsm->flush.memtable)
        memtables[count++] = lsm->flush.memtable;
    merge_init(&merge, count + lsm->run_count);
    for (size_t i = 0; i < count; i++) {
        size_t entry_count;

        entries[i] = memtable_sort(memtables[i], &entry_count);
        merge_set_memtable(&merge, i, entries[i], entry_count);
    }
    for (size_t i = 0; i < lsm->run_count; i++)
        merge_set_run(&merge, count + i, lsm->runs[i]);
    do {
        struct cairn_bytes key, value;

        code = merge_next(&merge, &more, &key, &value, err);
        if (code == CAIRN_OK && more && !run_is_tombstone(value))
            more = each(context, key, value);
    } while (code == CAIRN_OK && more);
    merge_done(&merge);
    for (size_t i = 0; i < count; i++)
        free(entries[i]);
    return code;
}

/* --- versions --- */

enum cairn_code lsm_snapshot(struct lsm *lsm, uint64_t time_ms, struct cairn_bytes metadata, uint64_t *ret_number,
                             struct cairn_err *err)
{
    struct version version = {.time_ms = time_ms, .sequence = lsm->sequence, .metadata = metadata};
    struct run_about *runs;
    enum cairn_code code;

    take_over(lsm);
    if (memtable_bytes(lsm->memtable) > 0) {
        code = seal(lsm, err);
        if (code != CAIRN_OK)
            return code;
    }
    code = settle(lsm, err);
    if (code != CAIRN_OK)
        return code;
    memcpy(version.engine, engine_name, sizeof engine_name);
    runs = cairn_alloc((lsm->run_count + 1) * sizeof *runs);
    for (size_t i = 0; i < lsm->run_count; i++)
        runs[i] = *run_about(lsm->runs[i]);
    version.runs = runs;
    version.run_count = lsm->run_count;
    code = versions_add(lsm->versions, &version, ret_number, err);
    free(runs);
    return code;
}

enum cairn_code lsm_restore(struct lsm *lsm, uint64_t number, struct cairn_err *err)
{
    const struct version *version = versions_find(lsm->versions, number);
    struct run **runs;
    enum cairn_code code;

    if (!version)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %" PRIu64, number);
    wait_for(lsm, &lsm->flush);
    wait_for(lsm, &lsm->merge);
    wait_for(lsm, &lsm->flush);
    code = open_runs(lsm, version, &runs, err);
    if (code != CAIRN_OK)
        return code;
    code = versions_restore(lsm->versions, number, err);
    if (code != CAIRN_OK) {
        for (size_t i = 0; i < version->run_count; i++)
            run_close(runs[i]);
        free(runs);
        return code;
    }
    while (lsm->merge.active) /* of runs that are no longer wanted; one that ends may start the next */
        wait_for(lsm, &lsm->merge);
    use_runs(lsm, runs, version);
    if (lsm->flush.memtable)
        lsm->flush.memtable = lsm->flush.memtable->ops->close(lsm->flush.memtable);
    lsm->flush_failed = false;
    lsm->memtable->ops->close(lsm->memtable);
    lsm->memtable = cairn_memory_create();
    start_merge(lsm);
    return CAIRN_OK;
}

static bool in_use(void *context, uint64_t run_id)
{
    const struct lsm *lsm = context;

    if ((lsm->flush.active && lsm->flush.run_id == run_id) || (lsm->merge.active && lsm->merge.run_id == run_id))
        return true;
    for (size_t i = 0; i < lsm->run_count; i++)
        if (run_about(lsm->runs[i])->id == run_id)
            return true;
    return false;
}

enum cairn_code lsm_collect(struct lsm *lsm, uint64_t *ret_bytes, struct cairn_err *err)
{
    return versions_collect(lsm->versions, in_use, lsm, ret_bytes, err);
}

struct versions *lsm_versions(struct lsm *lsm)
{
    return lsm->versions;
}

void lsm_stats(struct lsm *lsm, struct lsm_stats *ret_stats)
{
    *ret_stats = lsm->stats;
    ret_stats->memtable_bytes = memtable_bytes(lsm->memtable);
    if (lsm->flush.memtable)
        ret_stats->memtable_bytes += memtable_bytes(lsm->flush.memtable);
    ret_stats->run_count = lsm->run_count;
    for (size_t i = 0; i < lsm->run_count; i++) {
        ret_stats->run_bytes += run_about(lsm->runs[i])->bytes;
        ret_stats->run_memory_bytes += run_memory_bytes(lsm->runs[i]);
        ret_stats->records += run_about(lsm->runs[i])->records;
    }
}
