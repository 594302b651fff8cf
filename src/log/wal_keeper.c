/* wal_keeper.c - the log's housekeeping, where it delays no commit: segments are prepared ahead and
 * removed behind, and the mark is written.
 *
 * The mark is due when durable has stood still for WAL_MARK_IDLE_NS.  The keeper looks at most that
 * long after a sync, and once more as much later, so with the two syncs it is done within 100 ms.
 * An idle log wakes no thread: then the keeper sleeps without a timeout. */
#include <assert.h>
#include <stdlib.h>

#include "log/wal_internal.h"

void wal_keeper_poke(struct wal *wal)
{
    pthread_mutex_lock(&wal->lock);
    wal->keeper_poked = true;
    pthread_cond_signal(&wal->keeper_wake);
    pthread_mutex_unlock(&wal->lock);
}

static void fail(struct wal *wal, struct cairn_err *err, const char *what)
{
    cairn_while(err, "%s", what);
    wal_fail(wal, err);
    pthread_mutex_lock(&wal->lock);
    wal->notify = true; /* the writer tells */
    atomic_store(&wal->sleep, WAL_AWAKE);
    pthread_cond_signal(&wal->writer_wake);
    pthread_mutex_unlock(&wal->lock);
}

/* Under the lock: the writer is to tell progress, as room was made or time reserved.  True: signal it. */
static bool wake_to_notify(struct wal *wal)
{
    wal->notify = true;
    return atomic_exchange(&wal->sleep, WAL_AWAKE) != WAL_AWAKE;
}

static uint64_t durable_to(struct wal *wal)
{
    return atomic_load(&wal->durable);
}

/* --- the mark --------------------------------------------------------------------------------- */

static uint64_t trimmed_to(struct wal *wal)
{
    uint64_t trim = atomic_load_explicit(&wal->trim, memory_order_relaxed), durable = durable_to(wal);

    return trim < durable ? trim : durable; /* what is not durable yet is still needed */
}

static bool store_mark(struct wal *wal, uint64_t time_ms)
{
    struct wal_mark mark = {.epoch = wal->base.epoch, .durable = durable_to(wal), .time_ms = time_ms};
    uint64_t before_ms = wal->mark.time_ms;
    struct cairn_err err;
    enum cairn_code code;

    mark.trim = trimmed_to(wal);
    if (mark.trim < wal->mark.trim)
        mark.trim = wal->mark.trim;
    code = wal_mark_store(wal, &mark, &err);
    if (code == CAIRN_EFULL) { /* a file system that copies on write; nothing was synced, so try again */
        wal->mark_retry_ns = wal_now(wal) + WAL_FULL_RETRY_NS;
        return false;
    }
    if (code != CAIRN_OK) {
        fail(wal, &err, "writing the log's mark");
        return false;
    }
    atomic_store_explicit(&wal->time_reserved, mark.time_ms, memory_order_release);
    atomic_store_explicit(&wal->proven, mark.durable, memory_order_release);
    if (mark.time_ms != before_ms) { /* a thread may wait for it */
        bool wake;

        pthread_mutex_lock(&wal->lock);
        wake = wake_to_notify(wal);
        pthread_mutex_unlock(&wal->lock);
        if (wake)
            pthread_cond_signal(&wal->writer_wake);
    }
    return true;
}

/* Enough time for a while; no more than there was when none is running low. */
static uint64_t time_to_reserve(struct wal *wal)
{
    uint64_t given = atomic_load(&wal->time_given), reserved = wal->mark.time_ms;

    return given + WAL_TIME_LOW_MS > reserved && given ? given + WAL_TIME_AHEAD_MS : reserved;
}

/* When the mark is due; UINT64_MAX: not for now. */
static uint64_t mark_deadline(struct wal *wal, uint64_t now)
{
    uint64_t durable = durable_to(wal), due = UINT64_MAX;

    if (durable != wal->seen_durable) {
        wal->seen_durable = durable;
        wal->seen_at_ns = now;
    }
    if (durable != wal->mark.durable)
        due = wal->seen_at_ns + WAL_MARK_IDLE_NS;
    if (time_to_reserve(wal) != wal->mark.time_ms)
        due = now;
    if (atomic_load(&wal->wanted_proven) > wal->mark.durable && durable >= atomic_load(&wal->wanted_proven))
        due = now;
    if (due != UINT64_MAX && due < wal->mark_retry_ns)
        due = wal->mark_retry_ns;
    return due;
}

/* --- trimming --------------------------------------------------------------------------------- */

/* Under the lock: may the oldest segment go?  Appenders, writer and syncs must be behind it. */
static bool oldest_is_done(struct wal *wal, uint64_t trim)
{
    struct wal_segment *oldest = wal->segments;

    return oldest != wal->current && oldest->next && oldest->next->head.previous_end <= trim &&
           (oldest->head.epoch != wal->base.epoch || durable_to(wal) > oldest->end);
}

/* Removes what was trimmed; first the mark says so on stable storage, else a crash in between would
 * look like missing files. */
static bool trim(struct wal *wal)
{
    uint64_t to = trimmed_to(wal);
    bool done = false, any;

    pthread_mutex_lock(&wal->lock);
    any = oldest_is_done(wal, to);
    pthread_mutex_unlock(&wal->lock);
    if (!any || wal_now(wal) < wal->mark_retry_ns)
        return false;
    if (to > wal->mark.trim && !store_mark(wal, time_to_reserve(wal)))
        return true;
    while (!done) {
        struct wal_segment *oldest = NULL;
        char path[CAIRN_PATH_BYTES];

        pthread_mutex_lock(&wal->lock);
        done = !oldest_is_done(wal, to);
        if (!done) {
            oldest = wal->segments;
            wal->segments = oldest->next;
        }
        pthread_mutex_unlock(&wal->lock);
        if (oldest) {
            wal_segment_path(wal, oldest->head.first, path);
            wal_segment_free(wal, oldest);
            wal->disk->ops->remove(wal->disk, path, NULL); /* else the next opening does */
        }
    }
    wal->full_at_ns = 0; /* try at once whether there is room now */
    return true;
}

/* --- preparing -------------------------------------------------------------------------------- */

/* When a segment is to be prepared; UINT64_MAX: not for now. */
static uint64_t prepare_deadline(struct wal *wal, uint64_t now)
{
    bool refused = atomic_load(&wal->refused), wake = false;
    uint64_t due = UINT64_MAX;

    pthread_mutex_lock(&wal->lock);
    if (refused && wal->room_wanted <= atomic_load(&wal->room)) { /* another claim gave some back */
        wal->room_wanted = 0;
        atomic_store(&wal->refused, false);
        wake = wake_to_notify(wal);
    }
    if (wal->ahead < wal->segments_ahead)
        due = now;
    else if (refused && wal->room_wanted && wal->ahead < wal->segments_ahead + WAL_AHEAD_MAX)
        due = now;
    if (due != UINT64_MAX && wal->full_at_ns && atomic_load_explicit(&wal->full, memory_order_relaxed))
        due = wal->full_at_ns + (refused ? WAL_FULL_RETRY_NS : WAL_FULL_SLOW_NS);
    pthread_mutex_unlock(&wal->lock);
    if (wake)
        pthread_cond_signal(&wal->writer_wake);
    return due;
}

/* Makes one more segment behind the last. */
static enum cairn_code prepare(struct wal *wal, struct cairn_err *err)
{
    struct wal_head head = {.epoch = wal->base.epoch, .random = wal->random, .bytes = wal->segment_bytes};
    struct wal_segment *segment = NULL;
    struct cairn_file *file = NULL;
    enum cairn_code code;
    bool wake = false;

    head.first = head.previous_end = head.copied_end = wal->last->end; /* `last` is ours to change */
    code = wal_segment_begin(wal, &file, err);
    if (code == CAIRN_OK)
        code = wal_segment_finish(wal, file, &head, &segment, err);
    pthread_mutex_lock(&wal->lock);
    if (code == CAIRN_OK) {
        wal->last->next = segment;
        wal->last = segment;
        wal->ahead++;
        atomic_fetch_add_explicit(&wal->room, (int64_t)(segment->end - head.first), memory_order_relaxed);
        atomic_store_explicit(&wal->full, false, memory_order_relaxed);
        if (atomic_load(&wal->refused))
            wake = wake_to_notify(wal);
        if (wal->room_wanted <= atomic_load(&wal->room)) {
            wal->room_wanted = 0;
            atomic_store(&wal->refused, false);
        }
    } else if (code == CAIRN_EFULL) {
        atomic_store_explicit(&wal->full, true, memory_order_relaxed);
        wal->full_at_ns = wal_now(wal);
        atomic_store(&wal->refused, false); /* the next claim pokes again */
    }
    pthread_mutex_unlock(&wal->lock);
    if (wake)
        pthread_cond_signal(&wal->writer_wake);
    return code;
}

/* --- rounds ----------------------------------------------------------------------------------- */

bool wal_keeper_step(struct wal *wal, uint64_t *ret_wait_ns)
{
    uint64_t now = wal_now(wal), prepare_at, mark_at, next;
    struct cairn_err err;
    enum cairn_code code;

    *ret_wait_ns = UINT64_MAX;
    if (wal_failed(wal))
        return false;
    /* In each step, and before any look at time_given: one that had it stay set, because another step had reserved that
     * time already, would keep the next from being asked for. */
    atomic_store(&wal->time_asked, false);
    if (trim(wal))
        return true;
    prepare_at = prepare_deadline(wal, now);
    if (prepare_at <= now) {
        code = prepare(wal, &err);
        if (code != CAIRN_OK && code != CAIRN_EFULL)
            fail(wal, &err, "preparing a segment of the log");
        return true;
    }
    mark_at = mark_deadline(wal, now);
    if (mark_at <= now) {
        store_mark(wal, time_to_reserve(wal));
        return true;
    }
    next = prepare_at < mark_at ? prepare_at : mark_at;
    if (wal->mark_retry_ns > now && wal->mark_retry_ns < next)
        next = wal->mark_retry_ns; /* a trim may wait for it */
    if (next != UINT64_MAX)
        *ret_wait_ns = next - now;
    return false;
}

enum cairn_code wal_keeper_start(struct wal *wal, struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&wal->lock); /* a reader may look */
    wal->current->limit = UINT64_MAX;
    pthread_mutex_unlock(&wal->lock);
    wal->seen_durable = wal->mark.durable;
    wal->synced_at_ns = wal_now(wal);
    atomic_store(&wal->room, (int64_t)(wal->current->end - wal->current->head.copied_end));
    code = prepare(wal, err);
    return code == CAIRN_EFULL ? CAIRN_OK : code;
}

enum cairn_code wal_keeper_close(struct wal *wal, struct cairn_err *err)
{
    struct wal_mark mark = wal->mark;
    uint64_t given = atomic_load(&wal->time_given);

    mark.durable = durable_to(wal);
    if (trimmed_to(wal) > mark.trim)
        mark.trim = trimmed_to(wal);
    /* What was reserved and not given out would only make the next opening's time stand still. */
    if (given)
        mark.time_ms = given > wal->time_opened_ms ? given : wal->time_opened_ms;
    return wal_mark_store(wal, &mark, err);
}

void *wal_keeper_main(void *context)
{
    struct wal *wal = context;
    uint64_t wait_ns;

    pthread_mutex_lock(&wal->lock);
    while (!wal->stopping) {
        wal->keeper_poked = false;
        pthread_mutex_unlock(&wal->lock);
        while (wal_keeper_step(wal, &wait_ns))
            ;
        pthread_mutex_lock(&wal->lock);
        atomic_store(&wal->keeper_sleeps, wait_ns == UINT64_MAX);
        /* A sync that did not see us sleep must be seen by us. */
        if (wal->keeper_poked || wal->stopping ||
            (wait_ns == UINT64_MAX && !wal_failed(wal) && durable_to(wal) != wal->seen_durable)) {
            atomic_store(&wal->keeper_sleeps, false);
            continue;
        }
        if (wait_ns == UINT64_MAX)
            pthread_cond_wait(&wal->keeper_wake, &wal->lock);
        else
            cairn_cond_wait_ns(&wal->keeper_wake, &wal->lock, wait_ns);
        atomic_store(&wal->keeper_sleeps, false);
    }
    pthread_mutex_unlock(&wal->lock);
    return NULL;
}
