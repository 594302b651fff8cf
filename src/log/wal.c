/* wal.c - the embedded log behind the vtable: appending, claiming, asking, start and close. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "log/wal_internal.h"

enum { BUFFER_LEAST_BYTES = 64 << 10 };

void wal_fail(struct wal *wal, const struct cairn_err *why)
{
    pthread_mutex_lock(&wal->lock);
    if (!atomic_load_explicit(&wal->failed, memory_order_relaxed)) {
        wal->why = *why;
        atomic_store_explicit(&wal->failed, true, memory_order_release);
    }
    pthread_mutex_unlock(&wal->lock);
}

static enum cairn_code unavailable(struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log failed: nothing can be made durable until the node restarts");
}

/* --- waking the writer ------------------------------------------------------------------------ */

/* Called without the lock, after something that the writer must see was stored (sequentially
 * consistent).  The writer stores `sleep` and then looks at all of that again before it sleeps, so
 * either it sees the change or we see it sleeping; it lets go of the lock only when it waits. */
static void wake_writer(struct wal *wal)
{
    bool signal = false;

    if (atomic_load(&wal->sleep) == WAL_AWAKE)
        return;
    pthread_mutex_lock(&wal->lock);
    if (atomic_load(&wal->sleep) != WAL_AWAKE) {
        atomic_store(&wal->sleep, WAL_AWAKE); /* one signal is enough */
        signal = true;
    }
    pthread_mutex_unlock(&wal->lock);
    if (signal)
        pthread_cond_signal(&wal->writer_wake);
}

/* --- appending -------------------------------------------------------------------------------- */

static void grow(struct wal_buffer *buffer, size_t need)
{
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_LEAST_BYTES;

    while (capacity < need)
        capacity *= 2;
    buffer->data = cairn_realloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

/* Room for a record at the end of what is pending.  Under the lock. */
static inline uint8_t *pending_add(struct wal_buffer *buffer, size_t bytes)
{
    uint8_t *at;

    if (__builtin_expect(buffer->capacity - buffer->size < bytes, 0))
        grow(buffer, buffer->size + bytes);
    at = buffer->data + buffer->size;
    buffer->size += bytes;
    return at;
}

/* Where a record of the current segment is made: in the file, or at the end of what is pending.  Under the lock. */
static inline uint8_t *record_at(struct wal *wal, uint64_t position, size_t bytes)
{
    return wal->mapped ? wal->current->map + wal_offset(wal->current, position) : pending_add(&wal->active, bytes);
}

/* A mapped record is written when this is done; others are completed by the writer. */
static inline void record_done(struct wal *wal, uint8_t *record)
{
    if (wal->mapped)
        wal_record_finish(record, wal->base.epoch, wal->random,
                          atomic_load_explicit(&wal->durable, memory_order_relaxed));
}

/* Goes on to the next prepared segment.  Claims have seen to it that there is one. */
static uint64_t next_segment(struct wal *wal, uint64_t position)
{
    if (wal->current->end - position >= WAL_RECORD_HEAD_BYTES) {
        uint8_t *seal = record_at(wal, position, WAL_RECORD_HEAD_BYTES);

        wal_record_begin(seal, WAL_SEAL, position);
        record_done(wal, seal);
    }
    if (wal->mapped) { /* no thread syncs and closes the file before this lock is released, so it is there */
        wal->disk->ops->unmap(wal->current->file);
        wal->current->map = NULL;
    }
    assert(wal->current->next); /* else a caller appends more than it has claimed */
    wal->current = wal->current->next;
    wal->ahead--;
    wal->keeper_poked = true;
    pthread_cond_signal(&wal->keeper_wake);
    return wal->current->head.first;
}

static enum cairn_code wal_append(struct cairn_log *log, const struct cairn_bytes *parts, size_t count,
                                  uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err)
{
    struct wal *wal = wal_of(log);
    uint64_t body = 0, bytes, position, end, before;
    bool wake = false;
    uint8_t *record, *to;
    int sleep;

    for (size_t i = 0; i < count; i++)
        body += parts[i].size;
    bytes = wal_record_bytes(body);
    assert(bytes <= wal->body_room && body <= WAL_BODY_BYTES_MAX);

    pthread_mutex_lock(&wal->lock);
    if (atomic_load_explicit(&wal->failed, memory_order_relaxed)) {
        pthread_mutex_unlock(&wal->lock);
        return unavailable(err);
    }
    position = before = atomic_load_explicit(&wal->reserved, memory_order_relaxed);
    while (wal->current->end - position < bytes)
        position = next_segment(wal, position);
    end = position + bytes;
    record = record_at(wal, position, (size_t)bytes);
    wal_record_begin(record, (uint32_t)body, position);
    cairn_put_u64(record + bytes - 8, 0); /* the padding; the body overwrites what is not */
    to = record + WAL_RECORD_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size)
            memcpy(to, parts[i].data, parts[i].size);
        to += parts[i].size;
    }
    record_done(wal, record);
    if (wal->mapped) /* before `reserved`: the writer must never think that there is something to write */
        atomic_store(&wal->written, end);
    atomic_store(&wal->reserved, end);
    atomic_store_explicit(&wal->pending, wal->active.size + wal->in_flight, memory_order_relaxed);
    wal->record_count++;
    wal->byte_count += bytes;
    sleep = atomic_load_explicit(&wal->sleep, memory_order_relaxed);
    if ((sleep == WAL_SLEEPING && (!wal->mapped || wal->sync == CAIRN_SYNC_INTERVAL)) ||
        (sleep == WAL_DOZING && wal->active.size >= WAL_LAZY_BYTES)) {
        atomic_store(&wal->sleep, WAL_AWAKE);
        wake = true;
    }
    /* The claim paid for the worst case; what this record did not take goes back. */
    atomic_fetch_add(&wal->room, wal_charge(body, 1) - (int64_t)(end - before));
    pthread_mutex_unlock(&wal->lock);
    if (wake)
        pthread_cond_signal(&wal->writer_wake);
    if (__builtin_expect(atomic_load(&wal->refused), 0))
        wal_keeper_poke(wal);
    *ret_position = position;
    *ret_end = end;
    return CAIRN_OK;
}

/* --- claiming --------------------------------------------------------------------------------- */

/* Remembers what was asked for, so that as much gets prepared. */
static enum cairn_code refuse(struct wal *wal, int64_t charge, struct cairn_err *err)
{
    bool full = atomic_load_explicit(&wal->full, memory_order_relaxed);

    pthread_mutex_lock(&wal->lock);
    if (charge > wal->room_wanted || !atomic_load(&wal->refused)) {
        wal->keeper_poked = true;
        pthread_cond_signal(&wal->keeper_wake);
    }
    if (charge > wal->room_wanted)
        wal->room_wanted = charge;
    atomic_store(&wal->refused, true);
    pthread_mutex_unlock(&wal->lock);
    if (full)
        return cairn_fail(err, CAIRN_EFULL, "the disk has no room for the log: writes are refused until it has");
    return cairn_fail(err, CAIRN_EOVERLOAD, "the log's next segment is not ready yet");
}

static enum cairn_code wal_claim(struct cairn_log *log, uint64_t bytes, uint32_t records, struct cairn_err *err)
{
    struct wal *wal = wal_of(log);
    size_t pending = atomic_load_explicit(&wal->pending, memory_order_relaxed);
    int64_t charge, room;

    if (wal_failed(wal))
        return unavailable(err);
    if (bytes > wal->body_room * WAL_AHEAD_MAX / 16 || (records <= 1 && wal_record_bytes(bytes) > wal->body_room))
        return cairn_fail(err, CAIRN_ELIMIT, "a record of %llu bytes does not fit into a log segment of %llu",
                          (unsigned long long)bytes, (unsigned long long)wal->segment_bytes);
    if (pending && pending + bytes > wal->pending_bytes_max) {
        atomic_store(&wal->refused_pending, true);
        return cairn_fail(err, CAIRN_EOVERLOAD, "%zu bytes wait to be written to the log", pending);
    }
    charge = wal_charge(bytes, records);
    room = atomic_load_explicit(&wal->room, memory_order_relaxed);
    do
        if (room < charge)
            return refuse(wal, charge, err);
    while (!atomic_compare_exchange_weak_explicit(&wal->room, &room, room - charge, memory_order_relaxed,
                                                  memory_order_relaxed));
    return CAIRN_OK;
}

static void wal_release(struct cairn_log *log, uint64_t bytes, uint32_t records)
{
    struct wal *wal = wal_of(log);

    /* Either the keeper, looking after a refusal, sees this room, or this thread sees that a claim waits. */
    atomic_fetch_add(&wal->room, wal_charge(bytes, records));
    if (atomic_load(&wal->refused))
        wal_keeper_poke(wal);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Raises *at to `to`; false when it was there already. */
static bool raise_to(_Atomic uint64_t *at, uint64_t to)
{
    uint64_t seen = atomic_load(at);

    while (seen < to)
        if (atomic_compare_exchange_weak(at, &seen, to))
            return true;
    return false;
}

static void wal_want(struct cairn_log *log, uint64_t end)
{
    struct wal *wal = wal_of(log);

    if (raise_to(&wal->wanted, end))
        wake_writer(wal);
}

static bool wal_help(struct cairn_log *log, uint64_t end)
{
    struct wal *wal = wal_of(log);
    bool wanted = raise_to(&wal->wanted, end);

    if (wal->threaded && wal_writer_help(wal))
        return log->ops->acknowledged(log) >= end;
    if (wanted)
        wake_writer(wal);
    return false;
}

static void wal_want_durable(struct cairn_log *log, uint64_t end)
{
    struct wal *wal = wal_of(log);
    bool first = raise_to(&wal->wanted_durable, end);

    if (raise_to(&wal->wanted, end) || first)
        wake_writer(wal);
}

static void wal_want_proven(struct cairn_log *log, uint64_t end)
{
    struct wal *wal = wal_of(log);

    wal_want_durable(log, end);
    if (raise_to(&wal->wanted_proven, end))
        wal_keeper_poke(wal);
}

static uint64_t wal_proven(struct cairn_log *log)
{
    return atomic_load_explicit(&wal_of(log)->proven, memory_order_acquire);
}

static uint64_t wal_durable(struct cairn_log *log)
{
    return atomic_load_explicit(&wal_of(log)->durable, memory_order_acquire);
}

static uint64_t wal_acknowledged(struct cairn_log *log)
{
    struct wal *wal = wal_of(log);

    if (wal->sync == CAIRN_SYNC_ALWAYS)
        return wal_durable(log);
    return atomic_load_explicit(&wal->written, memory_order_acquire);
}

static uint64_t wal_end(struct cairn_log *log)
{
    return atomic_load_explicit(&wal_of(log)->reserved, memory_order_acquire);
}

static uint64_t wal_reserved_time_ms(struct cairn_log *log)
{
    return atomic_load_explicit(&wal_of(log)->time_reserved, memory_order_acquire);
}

static void wal_reserve_time(struct cairn_log *log, uint64_t wall_ms)
{
    struct wal *wal = wal_of(log);

    if (!raise_to(&wal->time_given, wall_ms))
        return;
    if (wall_ms + WAL_TIME_LOW_MS > atomic_load_explicit(&wal->time_reserved, memory_order_relaxed) &&
        !atomic_exchange(&wal->time_asked, true))
        wal_keeper_poke(wal);
}

static void wal_trim(struct cairn_log *log, uint64_t position)
{
    struct wal *wal = wal_of(log);

    if (raise_to(&wal->trim, position))
        wal_keeper_poke(wal);
}

static void wal_stats(struct cairn_log *log, struct cairn_log_stats *ret_stats)
{
    struct wal *wal = wal_of(log);
    struct cairn_log_stats stats = {0};
    uint64_t trim = atomic_load_explicit(&wal->trim, memory_order_relaxed);
    int64_t room = atomic_load_explicit(&wal->room, memory_order_relaxed);

    pthread_mutex_lock(&wal->lock);
    stats.records = wal->record_count;
    stats.bytes = wal->byte_count;
    stats.end = atomic_load_explicit(&wal->reserved, memory_order_relaxed);
    for (struct wal_segment *segment = wal->segments; segment; segment = segment->next) {
        uint64_t from = segment->head.first > trim ? segment->head.first : trim;
        uint64_t to = segment->limit < segment->end ? segment->limit : segment->end;
        if (to > stats.end)
            to = stats.end;
        if (to > from)
            stats.retained_bytes += to - from;
        if (segment == wal->current)
            break;
    }
    pthread_mutex_unlock(&wal->lock);
    stats.syncs = atomic_load_explicit(&wal->sync_count, memory_order_relaxed);
    stats.sync_ns_total = atomic_load_explicit(&wal->sync_ns_total, memory_order_relaxed);
    stats.sync_ns_max = atomic_load_explicit(&wal->sync_ns_max, memory_order_relaxed);
    stats.durable = atomic_load_explicit(&wal->durable, memory_order_acquire);
    stats.pending_bytes = atomic_load_explicit(&wal->pending, memory_order_relaxed);
    stats.room_bytes = room > 0 ? (uint64_t)room : 0;
    stats.full = atomic_load_explicit(&wal->full, memory_order_relaxed);
    stats.failed = wal_failed(wal);
    *ret_stats = stats;
}

/* --- start, step, close ----------------------------------------------------------------------- */

void wal_destroy(struct wal *wal)
{
    while (wal->segments) {
        struct wal_segment *next = wal->segments->next;
        wal_segment_free(wal, wal->segments);
        wal->segments = next;
    }
    wal->disk->ops->close(wal->mark_file);
    pthread_mutex_destroy(&wal->lock);
    pthread_mutex_destroy(&wal->baton);
    pthread_cond_destroy(&wal->writer_wake);
    pthread_cond_destroy(&wal->keeper_wake);
    free(wal->active.data);
    free(wal->batch.data);
    free(wal);
}

static void stop_threads(struct wal *wal)
{
    if (!wal->started || !wal->threaded)
        return;
    pthread_mutex_lock(&wal->lock);
    wal->stopping = true;
    atomic_store(&wal->sleep, WAL_AWAKE);
    pthread_cond_broadcast(&wal->writer_wake);
    pthread_cond_broadcast(&wal->keeper_wake);
    pthread_mutex_unlock(&wal->lock);
    pthread_join(wal->writer_thread, NULL);
    pthread_join(wal->keeper_thread, NULL);
}

static enum cairn_code wal_start(struct cairn_log *log, struct cairn_err *err)
{
    struct wal *wal = wal_of(log);
    enum cairn_code code;

    assert(!wal->started);
    code = wal_keeper_start(wal, err);
    if (code != CAIRN_OK)
        return code;
    wal->started = true; /* the threads may look */
    if (!wal->threaded)
        return CAIRN_OK;
    if (pthread_create(&wal->writer_thread, NULL, wal_writer_main, wal) != 0) {
        wal->started = false;
        return cairn_fail(err, CAIRN_ENOMEM, "cannot start the log's thread");
    }
    if (pthread_create(&wal->keeper_thread, NULL, wal_keeper_main, wal) != 0) {
        pthread_mutex_lock(&wal->lock);
        wal->stopping = true;
        pthread_cond_broadcast(&wal->writer_wake);
        pthread_mutex_unlock(&wal->lock);
        pthread_join(wal->writer_thread, NULL);
        wal->started = false;
        return cairn_fail(err, CAIRN_ENOMEM, "cannot start the log's second thread");
    }
    return CAIRN_OK;
}

static bool wal_step(struct cairn_log *log)
{
    struct wal *wal = wal_of(log);
    uint64_t wait_ns;

    assert(wal->started && !wal->threaded);
    /* Once more the writer: the keeper may have found something for it to tell. */
    return wal_writer_step(wal) || wal_keeper_step(wal, &wait_ns) || wal_writer_step(wal);
}

static enum cairn_code wal_close(struct cairn_log *log, struct cairn_err *err)
{
    struct wal *wal = wal_of(log);
    enum cairn_code code = CAIRN_OK;

    if (!log)
        return CAIRN_OK;
    stop_threads(wal);
    if (wal->started) {
        wal_writer_flush(wal);
        if (!wal_failed(wal))
            code = wal_keeper_close(wal, err);
        else
            code = cairn_fail(err, CAIRN_EUNAVAILABLE, "%s", wal->why.text);
    }
    wal_destroy(wal);
    return code;
}

static void wal_abandon(struct cairn_log *log)
{
    if (!log)
        return;
    stop_threads(wal_of(log));
    wal_destroy(wal_of(log));
}

const struct cairn_log_ops wal_ops = {
    .append = wal_append,
    .claim = wal_claim,
    .release = wal_release,
    .want = wal_want,
    .help = wal_help,
    .want_durable = wal_want_durable,
    .durable = wal_durable,
    .proven = wal_proven,
    .want_proven = wal_want_proven,
    .acknowledged = wal_acknowledged,
    .end = wal_end,
    .reserved_time_ms = wal_reserved_time_ms,
    .reserve_time = wal_reserve_time,
    .open_reader = wal_open_reader,
    .read = wal_reader_next,
    .close_reader = wal_close_reader,
    .start = wal_start,
    .trim = wal_trim,
    .step = wal_step,
    .stats = wal_stats,
    .close = wal_close,
    .abandon = wal_abandon,
};
