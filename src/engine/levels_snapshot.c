/* levels_snapshot.c - a snapshot's way from runs that are written to a version that is committed. */
#include <stdlib.h>

#include "engine/levels_internal.h"

static void write_manifest(struct job *job)
{
    struct committing *commit = (struct committing *)(void *)job; /* its first member */

    version_draft_write(&commit->draft);
    commit->remote_code = CAIRN_OK;
    if (commit->draft.code == CAIRN_OK && commit->remote)
        commit->remote_code = remote_put_manifest(commit->remote, commit->draft.number,
                                                  cairn_buf_bytes(&commit->draft.bytes), &commit->remote_err);
}

void levels_end_snapshot(struct levels *levels, enum cairn_code code, const struct cairn_err *err)
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

static void take_over_commit(struct levels *levels, struct job *job)
{
    struct snapshot *snapshot = &levels->snapshot;
    struct cairn_err err;
    struct committing *commit = (struct committing *)(void *)job; /* its first member */
    enum cairn_code code = versions_enter(levels->versions, &commit->draft, &err);
    bool entered = code == CAIRN_OK;

    snapshot->number = commit->draft.number;
    if (entered && commit->remote_code != CAIRN_OK) {
        code = cairn_fail(&err, commit->remote_code, "%s", commit->remote_err.text);
        cairn_while(&err, "putting version %llu, which is in the folder, into the blob store",
                    (unsigned long long)snapshot->number);
    }
    levels_end_snapshot(levels, code, &err);
    if (entered)
        levels_forget_automatic(levels);
    levels_start_ahead(levels);
}

void levels_start_commit(struct levels *levels)
{
    struct snapshot *snapshot = &levels->snapshot;
    struct cairn_err err;
    enum cairn_code code = versions_draft(levels->versions, &snapshot->version, &levels->commit.draft, &err);

    if (code != CAIRN_OK) {
        levels_end_snapshot(levels, code, &err);
        return;
    }
    levels->commit.remote = snapshot->version.automatic ? NULL : levels->options.remote;
    snapshot->state = SNAPSHOT_COMMITTING;
    levels_submit(levels, &levels->commit.job, write_manifest, take_over_commit);
}

void levels_ready_to_commit(struct levels *levels)
{
    if (levels->snapshot.hold)
        levels->snapshot.state = SNAPSHOT_HELD;
    else
        levels_start_commit(levels);
}

void levels_step_snapshot(struct levels *levels)
{
    struct snapshot *snapshot = &levels->snapshot;
    bool remote = levels->options.remote && !snapshot->version.automatic;
    struct run_about *runs = NULL;
    size_t count = 0;

    if (snapshot->state != SNAPSHOT_FLUSHING || snapshot->batches_left)
        return;
    for (size_t i = 0; i < levels->run_count; i++)
        levels_name_run(levels, run_about(levels->runs[i]), remote, &runs, &count);
    snapshot->version.runs = runs;
    snapshot->version.run_count = count;
    if (!remote) {
        levels_ready_to_commit(levels);
        return;
    }
    snapshot->state = SNAPSHOT_STORING;
    levels_start_store(levels);
}
