/* levels_open.c - opening a store, also from the remote alone, and going to another version. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/levels_internal.h"

enum {
    RUNS_PER_LEVEL = 8,
    FILTER_BITS = 10,
};

/* --- a version's runs --- */

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
    levels_bound_run_memory(levels);
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

    if (levels->options.source)
        return levels->options.source->fetch(levels->options.source->context, about, err);
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

/* A new folder that is not told where to begin begins with the newest version, and not with an older one because the
 * newest is gone. */
static enum cairn_code check_whole(struct levels *levels, struct cairn_err *err)
{
    const struct remote *remote = levels->options.remote;
    char name[CAIRN_BLOB_NAME_BYTES];
    uint64_t number, newest = 0;

    if (remote_head(remote) == REMOTE_HEAD_LOST)
        return cairn_fail(
            err, CAIRN_ECORRUPT,
            "the head of the blob store ('epochs/...') is missing or damaged, so nothing tells whether its "
            "newest version is still there: put a copy of it in its place, or open one version by its "
            "number");
    for (size_t i = 0; remote_version(remote, i, &number); i++)
        newest = number;
    for (size_t i = 0; remote_missing(remote, i, &number, name); i++)
        if (number > newest)
            return cairn_fail(err, CAIRN_ECORRUPT,
                              "version %" PRIu64 " ('%s') is missing in the blob store: put a copy of it in its place, "
                              "or open another version by its number (the newest that is there is %" PRIu64 ")",
                              number, name, newest);
    return CAIRN_OK;
}

/* A new folder takes over the versions that the remote has; one that has versions must not be behind it. */
static enum cairn_code meet_remote(struct levels *levels, bool may_be_older, struct cairn_err *err)
{
    struct versions *versions = levels->versions;
    const struct version *newest = NULL;
    bool is_new = !versions_at(versions, 0);
    enum cairn_code code = CAIRN_OK;
    uint64_t number;

    for (size_t i = 0; versions_at(versions, i); i++)
        newest = versions_at(versions, i);
    if (is_new && !may_be_older)
        code = check_whole(levels, err);
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
    levels->overlap = 1;
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
    if (code == CAIRN_ENOTFOUND && levels->options.remote) /* it may come from there */
        code = versions_open(disk, 0, &levels->source, &levels->versions, err);
    if (code == CAIRN_OK && levels->options.remote)
        code = meet_remote(levels, number, err);
    if (code == CAIRN_OK && number) {
        version = versions_current(levels->versions);
        if (!version || version->number != number)
            code = versions_restore(levels->versions, number, err);
    }
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

/* --- restoring --- */

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
