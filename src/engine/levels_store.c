/* levels_store.c - which runs are in the remote, how versions name those that are not, and putting them there.
 *
 * What a merge has made is named by what it was made of as long as it is not in the remote and some of that is; so a
 * snapshot waits for what is new alone. */
#include <stdlib.h>

#include "engine/levels_internal.h"

static bool is_stored(const struct levels *levels, uint64_t id)
{
    return ids_have(&levels->stored, id);
}

void levels_note_stored(struct levels *levels, const struct run_about *runs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ids_insert(&levels->stored, runs[i].id);
}

static struct origin *origin_of(const struct levels *levels, uint64_t run_id)
{
    for (size_t i = 0; i < levels->origin_count; i++)
        if (levels->origins[i].run_id == run_id)
            return &levels->origins[i];
    return NULL;
}

static void remove_origin(struct levels *levels, struct origin *origin)
{
    free(origin->inputs);
    *origin = levels->origins[--levels->origin_count];
}

static bool any_is_stored(const struct levels *levels, const struct origin *origin)
{
    for (size_t i = 0; i < origin->input_count; i++)
        if (is_stored(levels, origin->inputs[i].id))
            return true;
    return false;
}

static void add_about(struct run_about **runs, size_t *count, const struct run_about *about)
{
    *runs = cairn_realloc(*runs, (*count + 1) * sizeof **runs);
    (*runs)[(*count)++] = *about;
}

/* How a version names what a run has: by itself, or by what it was made of where of that something is in the remote
 * already and it is not. */
void levels_name_run(const struct levels *levels, const struct run_about *about, bool remote, struct run_about **runs,
                     size_t *count)
{
    const struct origin *origin = remote && !is_stored(levels, about->id) ? origin_of(levels, about->id) : NULL;

    if (!origin || !any_is_stored(levels, origin)) {
        add_about(runs, count, about);
        return;
    }
    for (size_t i = 0; i < origin->input_count; i++)
        add_about(runs, count, &origin->inputs[i]);
}

/* What is merged now is named by what it was made of, in the same order, until it is stored itself. */
void levels_note_origin(struct levels *levels, const struct making *merge)
{
    struct origin origin = {0};

    if (!levels->options.remote)
        return;
    for (size_t i = 0; i < merge->input_count; i++) {
        const struct run_about *about = run_about(merge->inputs[i]);
        struct origin *older = origin_of(levels, about->id);

        levels_name_run(levels, about, true, &origin.inputs, &origin.input_count);
        if (older)
            remove_origin(levels, older);
    }
    if (!merge->output || !any_is_stored(levels, &origin)) { /* the next snapshot stores it itself */
        free(origin.inputs);
        return;
    }
    origin.run_id = run_about(merge->output)->id;
    levels->origins = cairn_realloc(levels->origins, (levels->origin_count + 1) * sizeof *levels->origins);
    levels->origins[levels->origin_count++] = origin;
}

static void store_runs(struct job *job)
{
    struct storing *storing = (struct storing *)(void *)job; /* its first member */

    job->code = CAIRN_OK;
    for (size_t i = 0; job->code == CAIRN_OK && i < storing->run_count; i++)
        job->code = remote_put_run(job->levels->options.remote, job->levels->disk, &storing->runs[i], &job->err);
}

static void forget_stored(struct storing *storing)
{
    free(storing->runs);
    storing->runs = NULL;
    storing->run_count = 0;
}

static void take_over_store(struct levels *levels, struct job *job);
static void take_over_ahead(struct levels *levels, struct job *job);

/* Of what the snapshot's version names. */
void levels_start_store(struct levels *levels)
{
    const struct version *version = &levels->snapshot.version;

    for (size_t i = 0; i < version->run_count; i++)
        if (!is_stored(levels, version->runs[i].id))
            add_about(&levels->store.runs, &levels->store.run_count, &version->runs[i]);
    levels_submit(levels, &levels->store.job, store_runs, take_over_store);
}

void levels_start_ahead(struct levels *levels)
{
    if (levels->ahead.job.active || levels->store.job.active || levels->closing)
        return;
    for (size_t i = 0; i < levels->run_count; i++) {
        const struct run_about *about = run_about(levels->runs[i]);

        if (!origin_of(levels, about->id) || is_stored(levels, about->id))
            continue;
        add_about(&levels->ahead.runs, &levels->ahead.run_count, about);
        levels_submit(levels, &levels->ahead.job, store_runs, take_over_ahead);
        return;
    }
}

static void take_over_store(struct levels *levels, struct job *job)
{
    struct storing *store = (struct storing *)(void *)job; /* its first member */

    if (store->job.code == CAIRN_OK)
        levels_note_stored(levels, store->runs, store->run_count);
    forget_stored(store);
    if (store->job.code == CAIRN_OK)
        levels_ready_to_commit(levels);
    else
        levels_end_snapshot(levels, store->job.code, &store->job.err);
}

/* A run that is in the remote is named itself from now on; what it was made of may go. */
static void take_over_ahead(struct levels *levels, struct job *job)
{
    struct storing *ahead = (struct storing *)(void *)job; /* its first member */
    struct cairn_buf ids = {0};

    if (ahead->job.code == CAIRN_OK) {
        struct origin *origin = origin_of(levels, ahead->runs[0].id);

        levels_note_stored(levels, ahead->runs, ahead->run_count);
        for (size_t i = 0; origin && i < origin->input_count; i++)
            ids_add(&ids, origin->inputs[i].id);
        if (origin)
            remove_origin(levels, origin);
        levels_discard_runs(levels, &ids);
    } /* else it is tried again after the next snapshot or merge */
    forget_stored(ahead);
    cairn_buf_done(&ids);
    if (ahead->job.code == CAIRN_OK)
        levels_start_ahead(levels);
}
