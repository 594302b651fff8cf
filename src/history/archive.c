#include "history/archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "history/history_internal.h"

enum {
    PENDING_BYTES_MAX = 64 << 20,
};

#define MARKER_PATH "ARCHIVE"

/* --- the marker: the folder's number, and whether trimming has waited for this archive, or "-" for none --- */

static enum cairn_code read_marker(struct archive *archive, struct cairn_disk *disk, const char *url,
                                   struct cairn_err *err)
{
    struct cairn_buf text = {0};
    enum cairn_code code = cairn_disk_read_file(disk, MARKER_PATH, 4096, &text, err);
    int url_at = 0;

    cairn_buf_u8(&text, 0);
    if (code == CAIRN_OK && (sscanf((const char *)text.data, "id %16" SCNx64 "\nurl %n", &archive->id, &url_at) != 1 ||
                             !url_at || !archive->id))
        code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged: remove it; what comes then begins a new archive",
                          MARKER_PATH);
    else if (code == CAIRN_OK)
        archive->same = strcmp((const char *)text.data + url_at, url) == 0;
    cairn_buf_done(&text);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

static enum cairn_code write_marker(struct archive *archive, const char *url, struct cairn_err *err)
{
    struct cairn_buf text = {0};
    enum cairn_code code;

    cairn_buf_printf(&text, "id %016" PRIx64 "\nurl %s", archive->id, url);
    code = cairn_disk_replace_file(store_options(archive->store)->disk, MARKER_PATH, cairn_buf_bytes(&text), err);
    cairn_buf_done(&text);
    return code;
}

enum cairn_code archive_check_same(const struct cairn_store_options *options, struct cairn_err *err)
{
    struct archive archive = {0};
    enum cairn_code code = read_marker(&archive, options->disk, options->archive ? options->archive->url : "-", err);

    if (code != CAIRN_OK || archive.same || (!archive.id && !options->archive))
        return code;
    return cairn_fail(err, CAIRN_EINVAL,
                      options->archive ? "the node has not kept its copy in '%s': give the --blob that it was last "
                                         "started with"
                                       : "the node keeps a copy in a blob store: give its --blob%s",
                      options->archive ? options->archive->url : "");
}

/* --- claiming --- */

/* The folder's number is durable before it is used: else a start that is cut short leaves a claim without an owner. */
static enum cairn_code draw_id(struct archive *archive, struct cairn_err *err)
{
    struct cairn_clock *clock = store_options(archive->store)->clock;

    if (archive->id)
        return CAIRN_OK;
    while (!archive->id)
        archive->id = clock->entropy(clock);
    return write_marker(archive, "-", err);
}

static enum cairn_code claim(struct archive *archive, bool take, struct cairn_err *err)
{
    char owner[64];
    enum cairn_code code = draw_id(archive, err);

    if (code != CAIRN_OK)
        return code;
    snprintf(owner, sizeof owner, "the data folder %016" PRIx64 "\n", archive->id);
    code = remote_open(archive->blob, owner, take, &archive->remote, err);
    if (code == CAIRN_ECONFLICT) {
        struct cairn_err why = *err;

        cairn_fail(err, code,
                   "%s, and this is the data folder %016" PRIx64
                   ": give it another blob store, or go on from there with a new data folder and --recover",
                   why.text, archive->id);
    }
    return code;
}

enum cairn_code archive_check_engine(const struct cairn_store *store, struct cairn_err *err)
{
    return strcmp(cairn_store_engine(store), "memory") != 0
               ? CAIRN_OK
               : cairn_fail(err, CAIRN_EINVAL,
                            "the engine 'memory' keeps no versions, which a blob store is for: make the data folder "
                            "with --engine hybridlog");
}

enum cairn_code archive_claim(struct cairn_store *store, struct cairn_err *err)
{
    struct archive *archive = &history_of(store)->archive;
    const char *url = store_options(store)->archive ? store_options(store)->archive->url : "-";
    enum cairn_code code = read_marker(archive, store_options(store)->disk, url, err);

    archive->blob = store_options(store)->archive;
    if (code == CAIRN_OK && !archive->blob && archive->id)
        store_warn(store,
                   "this data folder was run with a blob store and is started without: nothing more is put there, so "
                   "that the loss of this machine costs all that comes from now on, and no moment of that can be gone "
                   "back to; start it with --blob again");
    if (code == CAIRN_OK && !archive->blob)
        return archive->id && !archive->same ? write_marker(archive, url, err) : CAIRN_OK;
    if (code == CAIRN_OK)
        code = archive_check_engine(store, err);
    if (code == CAIRN_OK)
        code = claim(archive, false, err);
    if (code == CAIRN_OK)
        code = archive_list_modules(archive, err);
    return code == CAIRN_OK ? archive_match_versions(store, err) : code;
}

enum cairn_code archive_take(struct cairn_store *store, struct cairn_err *err)
{
    struct archive *archive = &history_of(store)->archive;
    enum cairn_code code;

    archive->blob = store_options(store)->archive;
    code = read_marker(archive, store_options(store)->disk, archive->blob->url, err);
    if (code == CAIRN_OK)
        code = claim(archive, true, err);
    return code == CAIRN_OK ? write_marker(archive, archive->blob->url, err) : code;
}

/* --- opening --- */

/* One that cannot be read may be what the node was restored to. */
static bool has_unknown(const struct taking *taking)
{
    for (size_t i = 0; i < taking->count; i++)
        if (!taking->versions[i].shards)
            return true;
    return false;
}

/* A restore that no chunk tells of yet. */
static void find_restore(struct cairn_store *store, uint64_t archived)
{
    const struct taking *taking = &history_of(store)->taking;
    struct archive_chunk *chunk = &history_of(store)->archive.current;

    for (size_t i = 0; i < taking->count; i++) {
        const struct node_version *version = &taking->versions[i];

        if (version->restored && version->cut >= archived) {
            chunk->restored = chunk->end = version->cut;
            chunk->restored_ms = version->wall_ms;
        }
    }
    if (chunk->restored)
        history_of(store)->archive.opened_ns = store_options(store)->clock->monotonic_ns(store_options(store)->clock);
}

/* Whether a new machine could go on from the newest version to here. */
static enum cairn_code find_lead(struct cairn_store *store, uint64_t archived, struct cairn_err *err)
{
    const struct taking *taking = &history_of(store)->taking;
    const struct node_version *newest = NULL;

    for (size_t i = 0; i < taking->count; i++)
        if (taking->versions[i].archived)
            newest = &taking->versions[i];
    history_of(store)->archive_leads = false;
    history_of(store)->archive_open_end = archived;
    for (size_t i = 0; newest && i < taking->count; i++)
        if (taking->versions[i].restored && taking->versions[i].cut > newest->cut)
            newest = NULL; /* what follows it is of another state */
    return newest ? archive_leads(history_of(store)->archive.blob, newest->cut, archived,
                                  &history_of(store)->archive_leads, err)
                  : CAIRN_OK;
}

/* What the head names and the store does not have is no longer there to recover from.  Of that the next version makes
 * up for all but going back to a moment. */
static enum cairn_code tell_losses(struct cairn_store *store, bool whole, bool *ret_log_lost, struct cairn_err *err)
{
    struct archive *archive = &history_of(store)->archive;
    struct archive_losses losses = {0};
    char name[CAIRN_BLOB_NAME_BYTES];
    uint64_t number;
    enum cairn_code code = CAIRN_OK;

    if (!whole)
        archive_losses_add(&losses, "the head of '%s' ('epochs/...') is missing or damaged", archive->blob->url);
    else
        code = archive_find_lost(archive->blob, &archive->head, &losses, err);
    *ret_log_lost = losses.count > 0;
    for (size_t i = 0; remote_missing(archive->remote, i, &number, name); i++)
        archive_losses_add(&losses, "version %" PRIu64 " ('%s') is missing in '%s'", number, name, archive->blob->url);
    if (losses.count)
        store_warn(store,
                   "the blob store has lost what was put there; the node has its own copy and puts there what is "
                   "needed to recover, but not the log, so that some moments cannot be gone back to:");
    archive_losses_tell(&losses, store_warn, store);
    return code;
}

/* A chunk without records at the end of the log, from which the next ones go on. */
static enum cairn_code begin_at_end(struct archive *archive, uint64_t end, bool lost, struct cairn_err *err)
{
    struct archive_head head;
    enum cairn_code code = archive_put_end(archive, end, err);

    head = archive->head;
    if (code == CAIRN_OK && lost) { /* that is told once */
        head.low = end;
        code = archive_head_put(archive, &head, err);
    }
    return code == CAIRN_OK ? write_marker(archive, archive->blob->url, err) : code;
}

enum cairn_code archive_open(struct cairn_store *store, uint64_t end, struct cairn_err *err)
{
    struct archive *archive = &history_of(store)->archive;
    struct cairn_bytes names;
    bool whole = true, lost = false;
    uint64_t archived, listed;
    enum cairn_code code;

    history_of(store)->archive_leads = true;
    if (!archive->blob)
        return CAIRN_OK;
    code = archive_head_find(archive->blob, archive->remote, &archive->head, &names, &whole, err);
    archived = archive->head.end;
    if (code == CAIRN_OK)
        code = archive_find_end(archive->blob, &listed, err);
    if (code == CAIRN_OK && !whole)
        archived = listed;
    if (code == CAIRN_OK && archived > store_log(store)->found_end)
        code = cairn_fail(err, CAIRN_ECONFLICT,
                          "it has the log up to position %" PRIu64 " and this data folder only to %" PRIu64
                          ", so this is an old copy: go on with a new data folder and --recover",
                          archived, store_log(store)->found_end);
    if (code == CAIRN_OK)
        code = tell_losses(store, whole, &lost, err);
    lost |= archive->same && !archive->head.epoch; /* the store has been emptied */
    if (code == CAIRN_OK && (!archive->same || lost || has_unknown(&history_of(store)->taking))) {
        /* What was committed meanwhile is missing, and perhaps of several states. */
        archived = end;
        code = begin_at_end(archive, end, lost, err);
    } else if (code == CAIRN_OK) {
        code = archive_head_put(archive, &archive->head, err);
    }
    if (code != CAIRN_OK)
        return cairn_while(err, "opening the blob store '%s'", archive->blob->url);
    archive->current.first = archive->current.end = archived;
    atomic_store(&archive->archived, archived);
    find_restore(store, archived);
    return find_lead(store, archived, err);
}

/* --- working --- */

void archive_step(struct cairn_store *store)
{
    struct archive *archive = &history_of(store)->archive;

    if (!archive->blob || atomic_load(&archive->lost))
        return;
    archive_step_versions(store, false);
    archive_step_log(store, false);
}

static void look(struct cairn_task *task)
{
    struct archive_work *work = cairn_container(task, struct archive_work, task);
    struct archive *archive = cairn_container(work, struct archive, looking);
    struct cairn_err err = {0};
    enum cairn_code code = remote_check(archive->remote, &err);

    if (code == CAIRN_EUNAVAILABLE)
        node_versions_archived(archive->store, 0, code, &err);
    store_wake_close(archive->store);
    archive_work_done(archive, work, code, &err);
}

void archive_look(struct cairn_store *store)
{
    struct archive *archive = &history_of(store)->archive;
    struct archive_work *work = &archive->looking;
    uint64_t now = store_options(store)->clock->monotonic_ns(store_options(store)->clock);
    bool submit;

    if (!archive->blob || atomic_load(&archive->lost))
        return;
    pthread_mutex_lock(&archive->lock);
    submit = !work->busy && now >= archive->look_ns;
    if (submit) {
        work->busy = true;
        archive->look_ns = now + archive_every_ns(store);
    }
    pthread_mutex_unlock(&archive->lock);
    if (!submit)
        return;
    work->task.run = look;
    cairn_tasks_submit(store_options(store)->tasks, &work->task);
}

enum cairn_code archive_check_writers(struct cairn_store *store, struct cairn_err *err)
{
    struct archive *archive = &history_of(store)->archive;
    bool lost = atomic_load_explicit(&archive->lost, memory_order_relaxed);
    enum cairn_code code = CAIRN_OK;

    if (!archive->blob)
        return CAIRN_OK;
    if (!lost && atomic_load_explicit(&archive->pending_bytes, memory_order_relaxed) <= PENDING_BYTES_MAX)
        return CAIRN_OK;
    pthread_mutex_lock(&archive->lock);
    if (lost)
        code = cairn_fail(err, CAIRN_EUNAVAILABLE,
                          "another node has taken over the blob store '%s': nothing may be written here any more",
                          archive->blob->url);
    else if (archive->log.pause_ns || archive->versions.pause_ns)
        code = cairn_fail(err, CAIRN_EFULL, "the blob store takes no more of the log: %s",
                          archive->log.pause_ns ? archive->log.err.text : archive->versions.err.text);
    else
        code = cairn_fail(err, CAIRN_EOVERLOAD, "the blob store is behind");
    pthread_mutex_unlock(&archive->lock);
    return code;
}

void cairn_store_archive(struct cairn_store *store, struct cairn_archive_report *ret_report)
{
    struct archive *archive = &history_of(store)->archive;
    const struct archive_work *works[] = {&archive->log, &archive->versions, &archive->looking}, *first = NULL;
    uint64_t now = store_options(store)->clock->monotonic_ns(store_options(store)->clock);

    *ret_report = (struct cairn_archive_report){.state = archive->blob ? CAIRN_ARCHIVE_OK : CAIRN_ARCHIVE_NONE};
    if (!archive->blob)
        return;
    pthread_mutex_lock(&archive->lock);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (works[i]->failing_ns && (!first || works[i]->failing_ns < first->failing_ns))
            first = works[i];
    if (first) {
        ret_report->state = CAIRN_ARCHIVE_AWAY;
        ret_report->away_ns = now - first->failing_ns;
        snprintf(ret_report->why, sizeof ret_report->why, "%s", first->err.text);
    }
    pthread_mutex_unlock(&archive->lock);
    if (!atomic_load(&archive->lost))
        return;
    ret_report->state = CAIRN_ARCHIVE_FENCED;
    ret_report->epoch = remote_epoch(archive->remote);
    ret_report->fenced_by = remote_fenced_by(archive->remote);
    snprintf(ret_report->why, sizeof ret_report->why, "another node has claimed the blob store '%s'",
             archive->blob->url);
}

/* --- closing --- */

/* What is left of the log, and what is in its way. */
struct left {
    bool any, needs_version, failed;
    char why[CAIRN_ERR_TEXT_BYTES];
};

static struct left what_is_left(struct archive *archive, uint64_t failures)
{
    struct left left = {0};

    pthread_mutex_lock(&archive->lock);
    left.any = archive->log.busy || archive->closed || archive->opened_ns;
    left.needs_version = archive->closed && archive->closed->restored && !archive->log.busy;
    left.failed = archive->failures != failures;
    snprintf(left.why, sizeof left.why, "%s",
             archive->log.pause_ns ? archive->log.err.text : archive->versions.err.text);
    pthread_mutex_unlock(&archive->lock);
    left.failed |= atomic_load(&archive->lost) || store_log_failed(archive->store);
    return left;
}

enum cairn_code archive_finish(struct cairn_store *store, struct cairn_err *err)
{
    struct archive *archive = &history_of(store)->archive;
    uint64_t failures, end = store_log_end(store);
    struct left left;

    if (!archive->blob)
        return CAIRN_OK;
    pthread_mutex_lock(&archive->lock);
    failures = archive->failures;
    if (archive->current.end < end) { /* the archive shows that there is nothing more */
        archive->current.end = end;
        if (!archive->opened_ns)
            archive->opened_ns = 1;
    }
    pthread_mutex_unlock(&archive->lock);
    while (left = what_is_left(archive, failures), left.any && !left.failed) {
        archive_step_log(store, true);
        if (left.needs_version)
            archive_step_versions(store, true);
        if (left.needs_version && !archive_may_be_based(store))
            break;
        store_wait_a_little(store);
    }
    if (atomic_load(&archive->lost))
        return cairn_fail(
            err, CAIRN_EUNAVAILABLE,
            "another node has claimed the blob store '%s' (epoch %" PRIu64 ", ours was %" PRIu64
            "): what was committed here since position %" PRIu64
            " is not in it and will not be, and with this blob store the data folder is refused from now on; "
            "go on with the other node, or without --blob",
            archive->blob->url, remote_fenced_by(archive->remote), remote_epoch(archive->remote),
            atomic_load(&archive->archived));
    if (!left.any)
        return CAIRN_OK;
    if (atomic_load(&archive->lost))
        return cairn_fail(err, CAIRN_EUNAVAILABLE,
                          "another node has taken the blob store over: this folder cannot go on with it, and a start "
                          "with --blob will refuse; what was written here since is in this folder only");
    return cairn_fail(err, CAIRN_EUNAVAILABLE,
                      "not all of the log could be put into the blob store; the next start tries again: %s", left.why);
}

void archive_stop(struct cairn_store *store)
{
    struct archive *archive = &history_of(store)->archive;
    bool busy;

    atomic_store(&archive->closing, true);
    do {
        pthread_mutex_lock(&archive->lock);
        busy = archive->log.busy || archive->versions.busy || archive->looking.busy;
        pthread_mutex_unlock(&archive->lock);
        if (busy)
            store_wait_a_little(store);
    } while (busy);
}

void archive_free(struct cairn_store *store)
{
    struct archive *archive = &history_of(store)->archive;

    while (archive->closed) {
        struct archive_chunk *next = archive->closed->next;

        archive_chunk_free(archive->closed);
        archive->closed = next;
    }
    cairn_buf_done(&archive->current.records);
    cairn_buf_done(&archive->removed);
    cairn_buf_done(&archive->names);
    cairn_buf_done(&archive->hashes);
    remote_close(archive->remote);
}
