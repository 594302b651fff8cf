/* stream.c - the logs of a store: what they tell, how far they go, what they are trimmed to; and what the store tells
 * its user. */
#include "shard/shard_internal.h"

/* --- the log's events ------------------------------------------------------------------------ */

void store_report(struct cairn_store *store, const char *stage, uint64_t done, uint64_t total)
{
    if (store->options.on_recovery)
        store->options.on_recovery(store->options.context, stage, done, total);
}

void store_warn(struct cairn_store *store, const char *text)
{
    if (store->options.on_warning)
        store->options.on_warning(store->options.context, text);
}

void store_notify(struct cairn_store *store, uint32_t shard)
{
    if (store->options.on_checkpoint_work)
        store->options.on_checkpoint_work(store->options.context, shard);
}

static void notify_turn(struct cairn_store *store)
{
    int32_t turn = atomic_load_explicit(&store->turn, memory_order_relaxed);

    if (turn != NO_TURN)
        store_notify(store, (uint32_t)turn);
}

void store_wake_close(struct cairn_store *store)
{
    if (!atomic_load(&store->closing))
        return;
    pthread_mutex_lock(&store->lock);
    store->wakes++;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

static void on_progress(void *context, uint64_t acknowledged)
{
    struct stream *stream = context;
    struct cairn_store *store = stream->store;

    if (store->options.on_log_progress)
        store->options.on_log_progress(store->options.context, stream->shard, acknowledged);
    if (atomic_load_explicit(&store->checkpoint.awaiting, memory_order_relaxed))
        notify_turn(store);
    store_wake_close(store);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    struct cairn_store *store = ((struct stream *)context)->store;

    atomic_store_explicit(&store->log_failed, true, memory_order_release);
    if (store->options.on_log_failed)
        store->options.on_log_failed(store->options.context, why);
    notify_turn(store);
    store_wake_close(store);
}

static void on_warning(void *context, const char *text)
{
    store_warn(((struct stream *)context)->store, text);
}

void store_log_events(struct stream *stream, struct cairn_log_events *ret_events)
{
    *ret_events = (struct cairn_log_events){
        .on_progress = on_progress, .on_failed = on_failed, .on_warning = on_warning, .context = stream};
}

/* --- where they are -------------------------------------------------------------------------- */

uint64_t store_first_position(const struct stream *stream)
{
    const struct cairn_store *store = stream->store;
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < store->count; i++)
        if (store->shards[i].stream == stream) {
            if (store->manifest.shards[i].position < first)
                first = store->manifest.shards[i].position;
            if (store->held && store->held->shards[i].position < first)
                first = store->held->shards[i].position;
        }
    return first;
}

void store_trim_logs(struct cairn_store *store)
{
    for (uint32_t i = 0; i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];
        uint64_t kept = store->tap ? store->tap->ops->may_trim(store->tap) : UINT64_MAX, first;

        pthread_mutex_lock(&store->lock);
        first = store_first_position(stream);
        pthread_mutex_unlock(&store->lock);
        stream->log->ops->trim(stream->log, kept < first ? kept : first);
    }
}

bool cairn_store_step_logs(struct cairn_store *store)
{
    bool any = false;

    for (uint32_t i = 0; i < store->stream_count; i++)
        any |= store->streams[i].log->ops->step(store->streams[i].log);
    return any;
}

bool store_log_failed(const struct cairn_store *store)
{
    return atomic_load_explicit(&store->log_failed, memory_order_acquire);
}

void store_wait_a_little(struct cairn_store *store)
{
    enum { NS = 1000000 };

    if (store->stepped) {
        cairn_tasks_step(store->options.tasks);
        cairn_store_step_logs(store);
        return;
    }
    pthread_mutex_lock(&store->lock);
    cairn_cond_wait_ns(&store->changed, &store->lock, NS);
    pthread_mutex_unlock(&store->lock);
}
