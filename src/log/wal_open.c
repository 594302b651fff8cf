/* wal_open.c - the write-ahead log is opened: its folder, its options, and what an opener of such logs is. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "log/wal_internal.h"

static void init(struct wal *wal, const struct cairn_wal_options *options, const struct cairn_log_place *place)
{
    pthread_mutexattr_t adaptive;

    wal->base.ops = &wal_ops;
    wal->disk = place->disk;
    wal->clock = place->clock;
    wal->events = place->events;
    snprintf(wal->dir, sizeof wal->dir, "%s", place->dir);
    wal->sync = options->sync;
    wal->interval_ns = (options->interval_ms ? options->interval_ms : 1) * UINT64_C(1000000);
    wal->first = place->first > WAL_POSITION_FIRST ? (place->first + 7) & ~UINT64_C(7) : WAL_POSITION_FIRST;
    wal->epoch_least = place->epoch_least;
    wal->segment_bytes = (options->segment_bytes ? options->segment_bytes : 16 << 20) & ~UINT64_C(7);
    assert(wal->segment_bytes >= 2 * WAL_HEAD_BYTES);
    wal->body_room = wal->segment_bytes - WAL_HEAD_BYTES;
    wal->segments_ahead = options->segments_ahead ? options->segments_ahead : 2;
    wal->pending_bytes_max = options->pending_bytes_max ? options->pending_bytes_max : 64 << 20;
    wal->threaded = options->threaded;
    wal->random = wal->clock->entropy(wal->clock);
    /* The lock is held for a few hundred nanoseconds: spinning beats sleeping. */
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&wal->lock, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    pthread_mutex_init(&wal->baton, NULL);
    cairn_cond_init(&wal->writer_wake);
    cairn_cond_init(&wal->keeper_wake);
}

static void count_name(void *context, const char *name)
{
    size_t *count = context;

    (void)name;
    ++*count;
}

/* A log that does not reach what it was needed for is not this folder's, or a part of it is gone. */
static enum cairn_code check_is_there(struct wal *wal, uint64_t needed, struct cairn_err *err)
{
    size_t files = 0;
    enum cairn_code code;

    if (!needed)
        return CAIRN_OK;
    code = wal->disk->ops->list(wal->disk, wal->dir, count_name, &files, err);
    if (code == CAIRN_ENOTFOUND || (code == CAIRN_OK && !files))
        return cairn_fail(
            err, CAIRN_ECORRUPT,
            "the log in '%s' is missing although checkpoints continue at position %llu of it; restore the "
            "data folder from a backup",
            wal->dir, (unsigned long long)needed);
    return code;
}

/* The folder itself, durable in the one above. */
static enum cairn_code make_folder(struct wal *wal, struct cairn_err *err)
{
    char above[CAIRN_PATH_BYTES];
    const char *slash = strrchr(wal->dir, '/');
    size_t size = slash ? (size_t)(slash - wal->dir) : 0;
    enum cairn_code code;

    memcpy(above, wal->dir, size);
    above[size] = 0;
    code = wal->disk->ops->make_dir(wal->disk, wal->dir, err);
    if (code == CAIRN_OK)
        code = wal->disk->ops->sync_dir(wal->disk, above, err);
    return code;
}

/* Whether this disk can map what was written to it. */
static enum cairn_code probe_mapping(struct wal *wal, struct cairn_err *err)
{
    static const uint8_t page[WAL_HEAD_BYTES];
    struct cairn_file *file;
    uint8_t *memory;
    enum cairn_code code;

    if (!wal->disk->ops->map)
        return CAIRN_OK;
    code = wal_segment_begin(wal, &file, err);
    if (code != CAIRN_OK)
        return code;
    code = wal->disk->ops->write_at(file, 0, page, sizeof page, err);
    if (code == CAIRN_OK)
        wal->mapped = wal->disk->ops->map(file, sizeof page, false, &memory);
    wal_segment_discard(wal, file);
    return code;
}

enum cairn_code cairn_wal_open(const struct cairn_wal_options *options, const struct cairn_log_place *place,
                               struct cairn_log **ret_log, struct cairn_err *err)
{
    struct wal *wal = aligned_alloc(64, (sizeof *wal + 63) & ~(size_t)63);
    enum cairn_code code;
    uint64_t position;

    if (!wal)
        return cairn_fail(err, CAIRN_ENOMEM, "cannot allocate the log");
    memset(wal, 0, sizeof *wal);
    init(wal, options, place);
    code = check_is_there(wal, place->needed, err);
    if (code == CAIRN_OK)
        code = make_folder(wal, err);
    if (code == CAIRN_OK && options->mapped)
        code = probe_mapping(wal, err);
    if (code == CAIRN_OK)
        code = wal_recover(wal, err);
    if (code != CAIRN_OK) {
        wal_destroy(wal);
        return code;
    }
    position = wal->current->head.copied_end;
    atomic_store(&wal->reserved, position);
    atomic_store(&wal->written, position);
    atomic_store(&wal->durable, position);
    atomic_store(&wal->trim, wal->mark.trim);
    atomic_store(&wal->time_reserved, wal->mark.time_ms);
    atomic_store(&wal->proven, position);
    wal->time_opened_ms = wal->mark.time_ms;
    *ret_log = &wal->base;
    return CAIRN_OK;
}

static enum cairn_code open_one(const struct cairn_log_opener *opener, const struct cairn_log_place *place,
                                struct cairn_log **ret_log, struct cairn_err *err)
{
    const struct cairn_wal_opener *wal_opener = (const struct cairn_wal_opener *)(const void *)opener;

    return cairn_wal_open(&wal_opener->options, place, ret_log, err);
}

void cairn_wal_opener_init(struct cairn_wal_opener *opener, const struct cairn_wal_options *options)
{
    *opener =
        (struct cairn_wal_opener){.opener = {.open = open_one, .stepped = !options->threaded}, .options = *options};
}
