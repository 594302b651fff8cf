/* levels_garbage.c - removes files that no version names, nor will: in the background as merges and versions go, and
 * on demand all that are found, here and in the remote. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/levels_internal.h"

/* --- removing --- */

static void remove_files(struct job *job)
{
    struct removing *removal = (struct removing *)(void *)job; /* its first member */
    struct cairn_disk *disk = job->levels->disk;
    struct cairn_err ignored; /* what stays goes at the next opening, or is collected */

    for (size_t at = 0; at < removal->paths.size; at += strlen((const char *)removal->paths.data + at) + 1)
        disk->ops->remove(disk, (const char *)removal->paths.data + at, &ignored);
}

static void removed(struct levels *levels, struct job *job);

static void start_removal(struct levels *levels)
{
    struct removing *removal = &levels->removal;
    struct cairn_buf spare = removal->paths;

    if (removal->job.active || levels->garbage.size == 0)
        return;
    removal->paths = levels->garbage;
    levels->garbage = spare;
    levels->garbage.size = 0;
    levels_submit(levels, &removal->job, remove_files, removed);
}

static void removed(struct levels *levels, struct job *job)
{
    (void)job;
    start_removal(levels); /* of what has come since */
}

/* By what is open, is being made, or may be named soon. */
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

/* Of these runs the ones that nothing needs. */
void levels_discard_runs(struct levels *levels, struct cairn_buf *ids)
{
    versions_strike_named(levels->versions, ids);
    for (size_t at = 0; at < ids->size; at += 8) {
        uint64_t id = cairn_get_u64(ids->data + at);
        char path[CAIRN_PATH_BYTES];

        run_path(id, path);
        if (!in_use(levels, id))
            cairn_buf_add(&levels->garbage, path, strlen(path) + 1);
    }
    start_removal(levels);
}

/* And what they alone named. */
void levels_forget_automatic(struct levels *levels)
{
    struct cairn_buf ids = {0};

    versions_drop_automatic(levels->versions, &levels->garbage, &ids);
    levels_discard_runs(levels, &ids);
    cairn_buf_done(&ids);
}

void levels_drop(struct levels *levels, uint64_t number)
{
    const struct version *version = versions_find(levels->versions, number);
    const struct version *current = versions_current(levels->versions);
    struct cairn_buf ids = {0};

    if (version && version == current && !version->pinned)
        versions_make_automatic(levels->versions);
    if (!version || version->pinned || version->number >= current->number)
        return;
    for (size_t i = 0; i < version->run_count; i++)
        ids_add(&ids, version->runs[i].id);
    versions_drop(levels->versions, number, &levels->garbage);
    levels_discard_runs(levels, &ids);
    cairn_buf_done(&ids);
}

/* --- collecting --- */

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
        ids_add(&needed->ids, runs[i].id);
        cairn_buf_add(&needed->hashes, runs[i].sha256, sizeof runs[i].sha256);
    }
}

/* Forgets that any runs but these are in the remote. */
static void limit_stored(struct levels *levels, const struct cairn_buf *ids)
{
    size_t kept = 0;

    for (size_t at = 0; at < levels->stored.size; at += 8)
        if (ids_have(ids, cairn_get_u64(levels->stored.data + at))) {
            memmove(levels->stored.data + kept, levels->stored.data + at, 8);
            kept += 8;
        }
    levels->stored.size = kept;
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
    ids_sort(&needed.ids);
    if (needed.hashes.size)
        qsort(needed.hashes.data, needed.hashes.size / CAIRN_SHA256_BYTES, CAIRN_SHA256_BYTES, compare_hashes);
    limit_stored(levels, &needed.ids);
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
    /* The end of either may begin the other: a removal would take files from under what follows, and what is put ahead
     * of time must not be taken for garbage. */
    while (levels->removal.job.active || levels->ahead.job.active) {
        levels_wait_for(levels, &levels->removal.job);
        levels_wait_for(levels, &levels->ahead.job);
    }
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
