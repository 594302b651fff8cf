/* wal_writer.c - what was appended goes to the files, and the files are synced when something waits for it.
 *
 * Two buffers: appenders fill one while the other is written.  Batches form by themselves: all
 * that is appended while a sync is in flight is the next batch. */
#include <assert.h>
#include <stdlib.h>

#include "log/wal_internal.h"

enum { BUFFER_KEEP_BYTES = 1 << 20 };

static uint64_t written_to(struct wal *wal)
{
    return atomic_load_explicit(&wal->written, memory_order_relaxed); /* the writer's own */
}

static uint64_t durable_to(struct wal *wal)
{
    return atomic_load_explicit(&wal->durable, memory_order_relaxed);
}

static uint64_t at_most(uint64_t value, uint64_t bound)
{
    return value < bound ? value : bound;
}

/* --- writing ---------------------------------------------------------------------------------- */

static enum cairn_code write_run(struct wal *wal, const uint8_t *from, const uint8_t *to, uint64_t position,
                                 struct cairn_err *err)
{
    struct wal_segment *segment = wal->write_segment;

    if (from == to)
        return CAIRN_OK;
    assert(position >= segment->head.first && position + (uint64_t)(to - from) <= segment->end);
    segment->dirty = true;
    return wal->disk->ops->write_at(segment->file, WAL_HEAD_BYTES + position - segment->head.first, from,
                                    (size_t)(to - from), err);
}

/* Completes the headers and writes the batch, one write per segment. */
static enum cairn_code write_batch(struct wal *wal, struct cairn_err *err)
{
    uint8_t *at = wal->batch.data, *end = at + wal->batch.size, *run = at;
    uint64_t durable = durable_to(wal), position = wal_record_position(at), run_position = position;
    enum cairn_code code;

    while (at < end) {
        position = wal_record_position(at);
        if (position >= wal->write_segment->end) {
            code = write_run(wal, run, at, run_position, err);
            if (code != CAIRN_OK)
                return code;
            wal->write_segment = wal->write_segment->next;
            run = at;
            run_position = position;
        }
        wal_record_finish(at, wal->base.epoch, wal->random, durable);
        at += wal_record_bytes(wal_record_length(at) & ~WAL_SEAL);
    }
    return write_run(wal, run, at, run_position, err);
}

/* Under the lock: the pending records become the batch. */
static uint64_t take_batch(struct wal *wal)
{
    struct wal_buffer spare = wal->batch;

    if (spare.capacity > BUFFER_KEEP_BYTES && wal->active.size < spare.capacity / 8) {
        free(spare.data); /* after a burst */
        spare = (struct wal_buffer){0};
    }
    wal->batch = wal->active;
    wal->active = spare;
    wal->active.size = 0;
    wal->in_flight = wal->batch.size;
    return atomic_load_explicit(&wal->reserved, memory_order_relaxed);
}

static void tell_progress(struct wal *wal)
{
    if (wal->events.on_progress)
        wal->events.on_progress(wal->events.context, wal->base.ops->acknowledged(&wal->base));
}

static void write_pending(struct wal *wal)
{
    struct cairn_err err;
    uint64_t end;

    pthread_mutex_lock(&wal->lock);
    end = take_batch(wal);
    pthread_mutex_unlock(&wal->lock);
    if (write_batch(wal, &err) != CAIRN_OK) {
        cairn_while(&err, "writing the log");
        wal_fail(wal, &err);
        return;
    }
    pthread_mutex_lock(&wal->lock);
    wal->in_flight = 0;
    atomic_store_explicit(&wal->pending, wal->active.size, memory_order_relaxed);
    if (atomic_exchange(&wal->refused_pending, false))
        wal->notify = true;
    pthread_mutex_unlock(&wal->lock);
    atomic_store_explicit(&wal->written, end, memory_order_release);
    if (wal->sync != CAIRN_SYNC_ALWAYS)
        tell_progress(wal);
}

/* --- syncing ---------------------------------------------------------------------------------- */

static void count_sync(struct wal *wal, uint64_t ns)
{
    atomic_fetch_add_explicit(&wal->sync_count, 1, memory_order_relaxed);
    uint64_t lately = atomic_load_explicit(&wal->sync_ns_lately, memory_order_relaxed);

    atomic_store_explicit(&wal->sync_ns_lately, lately - lately / 8 + ns / 8, memory_order_relaxed);
    atomic_fetch_add_explicit(&wal->sync_ns_total, ns, memory_order_relaxed);
    if (ns > atomic_load_explicit(&wal->sync_ns_max, memory_order_relaxed))
        atomic_store_explicit(&wal->sync_ns_max, ns, memory_order_relaxed);
}

/* Mapped records were written without the writer: which segments they are in it sees only now. */
static void follow(struct wal *wal, uint64_t end)
{
    pthread_mutex_lock(&wal->lock);
    wal->write_segment->dirty = true;
    while (wal->write_segment->end < end) {
        wal->write_segment = wal->write_segment->next;
        wal->write_segment->dirty = true;
    }
    pthread_mutex_unlock(&wal->lock);
}

/* Oldest file first, so that what is durable is always a prefix. */
static void sync_written(struct wal *wal)
{
    uint64_t end = written_to(wal), began = wal_now(wal);
    struct wal_segment *segment = wal->sync_segment;
    struct cairn_err err;

    if (wal->mapped)
        follow(wal, end);
    for (;;) {
        if (segment->dirty && wal->disk->ops->sync(segment->file, &err) != CAIRN_OK) {
            cairn_while(&err, "making the log durable");
            wal_fail(wal, &err);
            return;
        }
        segment->dirty = false;
        if (segment == wal->write_segment)
            break;
        wal->disk->ops->close(segment->file);
        segment->file = NULL;
        segment = segment->next;
    }
    wal->sync_segment = segment;
    wal->synced_at_ns = wal_now(wal);
    count_sync(wal, wal->synced_at_ns - began);
    /* The keeper frees segments below this, so nothing of them may be touched from here on. */
    atomic_store(&wal->durable, end); /* sequentially consistent against keeper_sleeps */
    if (atomic_load(&wal->keeper_sleeps))
        wal_keeper_poke(wal); /* a mark is due soon */
    tell_progress(wal);
}

/* The interval's deadline; UINT64_MAX when it does not count. */
static uint64_t sync_deadline(struct wal *wal)
{
    if (wal->sync != CAIRN_SYNC_INTERVAL || written_to(wal) == durable_to(wal))
        return UINT64_MAX;
    return wal->synced_at_ns + wal->interval_ns;
}

static bool sync_is_due(struct wal *wal)
{
    uint64_t written = written_to(wal), durable = durable_to(wal), deadline;

    if (written == durable)
        return false;
    if (at_most(atomic_load(&wal->wanted_durable), written) > durable)
        return true;
    if (wal->sync == CAIRN_SYNC_ALWAYS)
        return at_most(atomic_load(&wal->wanted), written) > durable;
    deadline = sync_deadline(wal);
    return deadline != UINT64_MAX && wal_now(wal) >= deadline;
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* True once after each failure, and after room was made for a refused claim. */
static bool tell(struct wal *wal)
{
    bool failed, notify;

    pthread_mutex_lock(&wal->lock);
    failed = atomic_load_explicit(&wal->failed, memory_order_relaxed) && !wal->failure_told;
    notify = wal->notify;
    wal->failure_told |= failed;
    wal->notify = false;
    pthread_mutex_unlock(&wal->lock);
    if (failed && wal->events.on_failed)
        wal->events.on_failed(wal->events.context, &wal->why); /* written once, before */
    if (notify && !wal_failed(wal))
        tell_progress(wal);
    return failed || notify;
}

/* With the lock or without: is anything pending?  Appends only add. */
static bool is_pending(struct wal *wal)
{
    return atomic_load(&wal->reserved) > written_to(wal);
}

static bool write_is_wanted(struct wal *wal)
{
    return is_pending(wal) && atomic_load(&wal->wanted) > written_to(wal);
}

bool wal_writer_step(struct wal *wal)
{
    if (tell(wal))
        return true;
    if (wal_failed(wal))
        return false;
    if (is_pending(wal))
        write_pending(wal);
    else if (sync_is_due(wal))
        sync_written(wal);
    else
        return false;
    tell(wal);
    return true;
}

bool wal_writer_help(struct wal *wal)
{
    if (wal->sync == CAIRN_SYNC_ALWAYS &&
        atomic_load_explicit(&wal->sync_ns_lately, memory_order_relaxed) > CAIRN_WAL_HELP_NS)
        return false;
    if (pthread_mutex_trylock(&wal->baton) != 0)
        return false;
    if (!wal_failed(wal) && is_pending(wal))
        write_pending(wal);
    if (!wal_failed(wal) && sync_is_due(wal))
        sync_written(wal);
    tell(wal);
    pthread_mutex_unlock(&wal->baton);
    return true;
}

void wal_writer_flush(struct wal *wal)
{
    if (!wal_failed(wal) && is_pending(wal))
        write_pending(wal);
    if (!wal_failed(wal) && written_to(wal) > durable_to(wal))
        sync_written(wal);
    tell(wal);
}

static bool has_work(struct wal *wal)
{
    if (wal->stopping || wal->notify)
        return true;
    if (wal_failed(wal))
        return !wal->failure_told;
    return write_is_wanted(wal) || sync_is_due(wal);
}

/* Waits under the lock until there is work, or for a while if there lately was some: then appends
 * need not wake us.  True if the time went by. */
static bool writer_wait(struct wal *wal, bool lately)
{
    uint64_t deadline = wal_failed(wal) ? UINT64_MAX : sync_deadline(wal), now, wait_ns = UINT64_MAX;
    bool timed_out = false;

    if (lately)
        wait_ns = WAL_LAZY_NS;
    if (deadline != UINT64_MAX) {
        now = wal_now(wal);
        wait_ns = at_most(wait_ns, deadline > now ? deadline - now : 1);
    }
    atomic_store(&wal->sleep, lately ? WAL_DOZING : WAL_SLEEPING);
    if (has_work(wal) || (!lately && is_pending(wal))) { /* again, see wake_writer */
        atomic_store(&wal->sleep, WAL_AWAKE);
        return false;
    }
    if (wait_ns == UINT64_MAX)
        pthread_cond_wait(&wal->writer_wake, &wal->lock);
    else
        timed_out = !cairn_cond_wait_ns(&wal->writer_wake, &wal->lock, wait_ns);
    atomic_store(&wal->sleep, WAL_AWAKE);
    return timed_out;
}

/* After a sleep whatever is pending is written; else only what is waited for, so that a run of appends does not become
 * a run of writes.  False when there was nothing to do. */
static bool write_round(struct wal *wal, bool slept)
{
    bool did;

    pthread_mutex_lock(&wal->baton);
    did = tell(wal);
    if (!wal_failed(wal) && (slept ? is_pending(wal) : write_is_wanted(wal))) {
        write_pending(wal);
        did = true;
    }
    if (!wal_failed(wal) && sync_is_due(wal)) {
        sync_written(wal);
        did = true;
    }
    pthread_mutex_unlock(&wal->baton);
    return did;
}

void *wal_writer_main(void *context)
{
    struct wal *wal = context;
    bool lately = false, slept = true;
    uint64_t seen = 0; /* what was reserved at the last look: others may have written it */

    for (;;) {
        if (write_round(wal, slept)) {
            lately = true;
            slept = false;
            continue;
        }
        slept = false;
        pthread_mutex_lock(&wal->lock);
        if (wal->stopping)
            break;
        if (!has_work(wal)) {
            bool timed_out = writer_wait(wal, lately && !wal_failed(wal));
            uint64_t reserved = atomic_load(&wal->reserved);

            if (timed_out && reserved == seen)
                lately = false;
            seen = reserved;
            slept = true;
        }
        pthread_mutex_unlock(&wal->lock);
    }
    pthread_mutex_unlock(&wal->lock);
    return NULL;
}
