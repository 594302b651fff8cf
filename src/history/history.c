/* history.c - the tap that a history is behind; see shard/tap.h. */
#include <stdio.h>
#include <stdlib.h>

#include "history/history_internal.h"

static struct history *history_at(const struct cairn_tap *tap)
{
    return (struct history *)(void *)(uintptr_t)tap; /* its first member */
}

/* --- opening --- */

static enum cairn_code tap_fill(struct cairn_tap *tap, bool *ret_filled, struct cairn_err *err)
{
    struct cairn_store *store = history_at(tap)->store;
    struct cairn_buf ignored = {0};
    enum cairn_code code;

    *ret_filled = store_options(store)->recover;
    if (*ret_filled)
        return archive_take_over(store, err);
    code = cairn_disk_read_file(cairn_store_disk(store), RECOVER_PATH, FORMAT_BYTES_MAX, &ignored, err);
    cairn_buf_done(&ignored);
    if (code == CAIRN_OK)
        return cairn_fail(err, CAIRN_EINVAL,
                          "recovering this data folder was cut short: go on with --recover and the same --blob");
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

static enum cairn_code tap_check_engine(struct cairn_tap *tap, struct cairn_err *err)
{
    struct cairn_store *store = history_at(tap)->store;

    return store_options(store)->archive ? archive_check_engine(store, err) : CAIRN_OK;
}

static enum cairn_code tap_attach(struct cairn_tap *tap, struct cairn_err *err)
{
    struct history *history = history_at(tap);
    struct cairn_store *store = history->store;
    enum cairn_code code = CAIRN_OK;

    if (store_options(store)->archive && !cairn_store_has_one_log(store))
        return cairn_fail(err, CAIRN_EINVAL,
                          "the archive needs one log for all shards, and each has its own: go on without --blob");
    history->parts = cairn_alloc_zeroed(store_count(store), sizeof *history->parts);
    if (strcmp(cairn_store_engine(store), "memory") != 0) {
        code = node_versions_load(store, err);
        if (code == CAIRN_OK)
            code = restore_read_order(store, err);
    }
    if (code == CAIRN_OK)
        code = archive_claim(store, err);
    tap->replaces = history->order.version.number != 0;
    tap->log_epoch = history->order.log_epoch;
    atomic_store(&tap->listens, history->archive.blob != NULL);
    return code;
}

static void tap_shard_opened(struct cairn_tap *tap, struct cairn_shard *shard)
{
    (void)tap;
    node_versions_drop_unnamed(shard);
}

static enum cairn_code tap_log_opened(struct cairn_tap *tap, uint64_t end, uint64_t *from, struct cairn_err *err)
{
    struct history *history = history_at(tap);
    struct archive *archive = &history->archive;
    enum cairn_code code = archive_open(history->store, end, err);

    if (code == CAIRN_OK && history->order.version.number) {
        code = restore_perform(history->store, end, err);
        archive_note_restore(history->store, end);
        *from = end;
    }
    if (archive->blob && atomic_load(&archive->archived) < *from)
        *from = atomic_load(&archive->archived);
    return code;
}

static void tap_replayed(struct cairn_tap *tap, uint64_t position, uint64_t end, struct cairn_bytes body)
{
    archive_add(history_at(tap)->store, position, end, &body, 1);
}

/* --- open --- */

static enum cairn_code tap_append(struct cairn_tap *tap, struct cairn_shard *shard, const struct cairn_bytes *parts,
                                  size_t count, uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err)
{
    (void)tap;
    return node_versions_append(shard, parts, count, ret_position, ret_end, err);
}

static void tap_step(struct cairn_tap *tap, struct cairn_shard *shard)
{
    struct cairn_store *store = history_at(tap)->store;

    if (atomic_load_explicit(&tap->active, memory_order_relaxed))
        node_versions_step(shard);
    if (cairn_shard_index(shard) == cairn_store_shards(store))
        archive_step(store);
}

static bool tap_is_due(const struct cairn_tap *tap)
{
    const struct history *history = history_at(tap);
    const struct archive *archive = &history->archive;

    return atomic_load_explicit(&tap->active, memory_order_relaxed) ||
           atomic_load_explicit(&archive->pending_bytes, memory_order_relaxed) != 0 ||
           (archive->blob && atomic_load_explicit(&archive->versions_left, memory_order_relaxed));
}

static uint64_t tap_may_trim(const struct cairn_tap *tap)
{
    const struct archive *archive = &history_at(tap)->archive;

    return archive->blob ? atomic_load(&archive->archived) : UINT64_MAX;
}

static enum cairn_code tap_check_writers(struct cairn_tap *tap, struct cairn_err *err)
{
    return archive_check_writers(history_at(tap)->store, err);
}

static enum cairn_code tap_fetch_run(struct cairn_tap *tap, struct cairn_shard *shard, const struct run_about *about,
                                     struct cairn_err *err)
{
    (void)tap;
    return archive_fetch_run(shard, about, err);
}

static void tap_stats(struct cairn_tap *tap, struct cairn_store_stats *ret_stats)
{
    struct history *history = history_at(tap);
    struct archive *archive = &history->archive;

    ret_stats->archive_pending_bytes = atomic_load(&archive->pending_bytes);
    ret_stats->archive_position = atomic_load(&archive->archived);
    ret_stats->archive_pending_versions = node_versions_pending(history->store);
    ret_stats->archive_lost = atomic_load(&archive->lost);
    pthread_mutex_lock(&archive->lock);
    ret_stats->archive_failures = archive->failures;
    snprintf(ret_stats->archive_error, sizeof ret_stats->archive_error, "%s",
             archive->log.pause_ns        ? archive->log.err.text
             : archive->versions.pause_ns ? archive->versions.err.text
                                          : "");
    pthread_mutex_unlock(&archive->lock);
}

/* --- closing --- */

static void tap_stop(struct cairn_tap *tap)
{
    node_versions_stop(history_at(tap)->store);
}

static enum cairn_code tap_finish(struct cairn_tap *tap, struct cairn_err *err)
{
    return archive_finish(history_at(tap)->store, err);
}

static void tap_halt(struct cairn_tap *tap)
{
    archive_stop(history_at(tap)->store);
}

static void tap_free(struct cairn_tap *tap)
{
    struct history *history = history_at(tap);

    archive_free(history->store);
    pthread_mutex_destroy(&history->archive.files);
    pthread_mutex_destroy(&history->archive.lock);
    node_version_done(&history->order.version);
    node_versions_free(history->store);
    free((void *)history->parts);
    free(history);
}

struct cairn_tap *cairn_history_tap(struct cairn_store *store)
{
    static const struct cairn_tap_ops ops = {
        .fill = tap_fill,
        .check_engine = tap_check_engine,
        .attach = tap_attach,
        .shard_opened = tap_shard_opened,
        .log_opened = tap_log_opened,
        .replayed = tap_replayed,
        .append = tap_append,
        .step = tap_step,
        .is_due = tap_is_due,
        .may_trim = tap_may_trim,
        .check_writers = tap_check_writers,
        .fetch_run = tap_fetch_run,
        .stats = tap_stats,
        .stop = tap_stop,
        .finish = tap_finish,
        .halt = tap_halt,
        .free = tap_free,
    };
    struct history *history = cairn_alloc_zeroed(1, sizeof *history);

    history->tap.ops = &ops;
    history->store = store;
    pthread_mutex_init(&history->archive.lock, NULL);
    pthread_mutex_init(&history->archive.files, NULL);
    history->archive.store = store;
    history->archive.last = &history->archive.closed;
    pthread_mutex_init(&history->taking.lock, NULL);
    history->taking.store = store;
    return &history->tap;
}
