/* checkpoint.c - the checkpoint that is under way: whose turn it is, and its states.
 *
 * Which thread may write what, and why that is enough:
 * A shard's line in a new manifest is min(dirt.from, durable), where `durable` was asked for
 * before the lock was taken.  A clean shard's next record can only lie above that (see mark_dirty);
 * a changed one's first record lies at or above its dirt.from.  So positions advance for idle
 * shards without a word from their owners, and nothing ever names a position that the log could
 * still lose.  For the shard whose file is named, begin has set dirt anew, and the AWAIT
 * state has seen the log durable past everything applied before. */
#include "shard/shard_internal.h"

#include <assert.h>
#include <stdio.h>

enum { RETRY_NS_FIRST = 1000000000 };
static const uint64_t retry_ns_last = 32ull * RETRY_NS_FIRST;

#define TO(state) (1u << (state))

static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [CKPT_IDLE] = {"idle", TO(CKPT_WRITE) | TO(CKPT_DISCARD)},
    [CKPT_WRITE] = {"write", TO(CKPT_AWAIT) | TO(CKPT_DISCARD)},
    [CKPT_AWAIT] = {"await", TO(CKPT_COMMIT) | TO(CKPT_DISCARD)},
    [CKPT_COMMIT] = {"commit", TO(CKPT_NAME) | TO(CKPT_DISCARD)},
    [CKPT_NAME] = {"name", TO(CKPT_IDLE)},
    [CKPT_DISCARD] = {"discard", TO(CKPT_IDLE)},
};

static void move(struct checkpoint *checkpoint, enum checkpoint_state to) /* the only writer of state */
{
    assert(states[checkpoint->state].next & TO(to));
    checkpoint->state = to;
    atomic_store_explicit(&checkpoint->awaiting, to == CKPT_AWAIT, memory_order_relaxed);
}

/* --- turns ----------------------------------------------------------------------------------- */

void checkpoint_update_oldest(struct stream *stream)
{
    struct cairn_store *store = stream->store;
    const struct checkpoint *checkpoint = &store->checkpoint;
    uint64_t oldest = store->shards[checkpoint->shard].stream == stream ? checkpoint->dirt_before.age : CLEAN;

    for (uint32_t i = 0; i < store->count; i++)
        if (store->shards[i].stream == stream && store->shards[i].dirt.age < oldest)
            oldest = store->shards[i].dirt.age;
    atomic_store_explicit(&stream->oldest, oldest, memory_order_relaxed);
}

/* Before the lock is taken: where the logs end. */
static void look_at_ends(struct cairn_store *store)
{
    for (uint32_t i = 0; i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];

        atomic_store_explicit(&stream->end, stream->log->ops->end(stream->log), memory_order_relaxed);
    }
}

/* How many bytes of its log are in no checkpoint of a shard; -1: none, and nothing is to be done. */
static int64_t behind(const struct cairn_shard *shard)
{
    uint64_t end = atomic_load_explicit(&shard->stream->end, memory_order_relaxed);

    if (shard->dirt.age == CLEAN)
        return -1;
    return end > shard->dirt.age ? (int64_t)(end - shard->dirt.age) : 0;
}

/* The lock is held and no turn is taken.  Returns the shard that was chosen. */
static int32_t choose(struct cairn_store *store)
{
    int64_t most = -1;
    int32_t turn = NO_TURN;

    for (uint32_t i = 0; i < store->count; i++)
        if (behind(&store->shards[i]) > most) {
            most = behind(&store->shards[i]);
            turn = (int32_t)i;
        }
    if (store_log_failed(store) || turn == NO_TURN ||
        (!atomic_load(&store->closing) &&
         ((store->tap && atomic_load(&store->tap->holds)) || most <= (int64_t)store->due_bytes)))
        turn = NO_TURN;
    atomic_store_explicit(&store->turn, turn, memory_order_release);
    return turn;
}

void checkpoint_choose_turn(struct cairn_store *store)
{
    int32_t turn = NO_TURN;

    look_at_ends(store);
    pthread_mutex_lock(&store->lock);
    if (atomic_load_explicit(&store->turn, memory_order_relaxed) == NO_TURN)
        turn = choose(store);
    pthread_mutex_unlock(&store->lock);
    if (turn != NO_TURN)
        store_notify(store, (uint32_t)turn);
}

bool checkpoint_hold(struct cairn_store *store, uint64_t since, struct cairn_err *err)
{
    bool idle;

    checkpoint_choose_turn(store);
    pthread_mutex_lock(&store->lock);
    idle = atomic_load(&store->turn) == NO_TURN;
    atomic_store(&store->tap->holds, idle || store->checkpoints - since >= store->count);
    if (!idle && store->checkpoint_error[0])
        cairn_fail(err, CAIRN_EUNAVAILABLE, "a checkpoint goes first, and fails: %s", store->checkpoint_error);
    pthread_mutex_unlock(&store->lock);
    return idle;
}

bool cairn_store_checkpoint_due(const struct cairn_store *store)
{
    return atomic_load_explicit(&store->turn, memory_order_relaxed) != NO_TURN ||
           atomic_load_explicit(&store->working, memory_order_relaxed) != 0 ||
           (store->tap && store->tap->ops->is_due(store->tap));
}

/* --- the owner ------------------------------------------------------------------------------- */

/* `why`: NULL when the task or the saver knows, or else the log has failed. */
static void give_up(struct cairn_store *store, struct cairn_shard *shard, const struct cairn_err *why)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_err err;

    if (shard->saver->stop(shard, &err) != CAIRN_OK && !store_log_failed(store))
        why = &err;
    pthread_mutex_lock(&store->lock);
    if (checkpoint->code == CAIRN_OK && why) {
        checkpoint->code = why->code;
        checkpoint->err = *why;
    } else if (checkpoint->code == CAIRN_OK) {
        checkpoint->code = cairn_fail(&checkpoint->err, CAIRN_EUNAVAILABLE, "the log has failed");
    }
    pthread_mutex_unlock(&store->lock);
    move(checkpoint, CKPT_DISCARD);
    checkpoint_submit(store, JOB_DISCARD);
}

static void begin(struct cairn_store *store, struct cairn_shard *shard)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_engine_stats stats;
    struct cairn_err err;

    shard->engine->ops->stats(shard->engine, &stats);
    checkpoint->writer = (struct checkpoint_writer){0};
    checkpoint->made = (struct manifest_shard){0};
    checkpoint->applied_end = shard->applied_end;
    pthread_mutex_lock(&store->lock);
    checkpoint->shard = shard->index;
    checkpoint->keys = stats.keys;
    checkpoint->code = CAIRN_OK;
    checkpoint->dirt_before = shard->dirt;
    shard->dirt = (struct dirt){CLEAN, CLEAN};
    pthread_mutex_unlock(&store->lock);
    if (shard->saver->begin(shard, &err) == CAIRN_OK)
        move(checkpoint, CKPT_WRITE);
    else
        give_up(store, shard, &err);
}

/* The attempt is over: the turn goes on, or the shard's changes count again and it is tried later. */
static void conclude(struct cairn_store *store, struct cairn_shard *shard, bool good)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    int32_t turn = (int32_t)shard->index;

    if (good) {
        checkpoint->retry_at_ns = checkpoint->retry_delay_ns = 0;
    } else {
        struct cairn_clock *clock = store->options.clock;
        checkpoint->retry_delay_ns = checkpoint->retry_delay_ns ? 2 * checkpoint->retry_delay_ns : RETRY_NS_FIRST;
        if (checkpoint->retry_delay_ns > retry_ns_last)
            checkpoint->retry_delay_ns = retry_ns_last;
        checkpoint->retry_at_ns = clock->monotonic_ns(clock) + checkpoint->retry_delay_ns;
    }
    move(checkpoint, CKPT_IDLE);
    look_at_ends(store);
    pthread_mutex_lock(&store->lock);
    if (!good) {
        shard->dirt = checkpoint->dirt_before;
        store->checkpoint_failures++;
    }
    snprintf(store->checkpoint_error, sizeof store->checkpoint_error, "%s", good ? "" : checkpoint->err.text);
    atomic_store_explicit(&store->checkpoint_code, good ? CAIRN_OK : checkpoint->err.code, memory_order_relaxed);
    checkpoint->dirt_before = (struct dirt){CLEAN, CLEAN};
    checkpoint_update_oldest(shard->stream);
    if (good)
        turn = choose(store);
    else if (atomic_load(&store->closing) || store_log_failed(store))
        atomic_store_explicit(&store->turn, turn = NO_TURN, memory_order_release);
    pthread_mutex_unlock(&store->lock);
    if (turn != NO_TURN && turn != (int32_t)shard->index)
        store_notify(store, (uint32_t)turn);
}

static bool step_write(struct cairn_store *store, struct cairn_shard *shard, uint64_t budget_ns)
{
    enum saving saving = store_log_failed(store) ? SAVING_FAILED : shard->saver->write(shard, budget_ns);

    if (saving == SAVING_FAILED)
        give_up(store, shard, NULL);
    if (saving != SAVING_DONE)
        return saving == SAVING_MORE;
    move(&store->checkpoint, CKPT_AWAIT);
    shard->log->ops->want_durable(shard->log, store->checkpoint.applied_end);
    return true;
}

static bool step_commit(struct cairn_store *store, struct cairn_shard *shard)
{
    struct cairn_err err;
    enum saving saving = shard->saver->commit(shard, &err);

    if (saving == SAVING_FAILED)
        give_up(store, shard, &err);
    if (saving != SAVING_DONE)
        return false;
    move(&store->checkpoint, CKPT_NAME);
    checkpoint_submit(store, JOB_NAME);
    return false;
}

static bool step_await(struct cairn_store *store, struct cairn_shard *shard)
{
    if (store_log_failed(store)) {
        give_up(store, shard, NULL);
        return false;
    }
    if (shard->log->ops->durable(shard->log) < store->checkpoint.applied_end)
        return false;
    move(&store->checkpoint, CKPT_COMMIT);
    return step_commit(store, shard);
}

static bool step_begin(struct cairn_store *store, struct cairn_shard *shard)
{
    const struct checkpoint *checkpoint = &store->checkpoint;
    struct cairn_clock *clock = store->options.clock;

    if (store_log_failed(store) || shard->dirt.from == CLEAN) {
        atomic_store_explicit(&store->turn, NO_TURN, memory_order_release);
        return false;
    }
    if (checkpoint->retry_at_ns && clock->monotonic_ns(clock) < checkpoint->retry_at_ns)
        return false;
    begin(store, shard);
    return true;
}

static bool step_end(struct cairn_store *store, struct cairn_shard *shard)
{
    enum cairn_code code;

    if (!checkpoint_at_rest(store, &code))
        return false;
    conclude(store, shard, code == CAIRN_OK);
    return code == CAIRN_OK && atomic_load_explicit(&store->turn, memory_order_acquire) == (int32_t)shard->index;
}

bool cairn_shard_step(struct cairn_shard *shard, uint64_t budget_ns)
{
    struct cairn_store *store = shard->store;
    bool is_tapped = store->tap && (atomic_load_explicit(&store->tap->active, memory_order_relaxed) ||
                                    shard->index == store->count - 1);
    bool is_its_turn = atomic_load_explicit(&store->turn, memory_order_acquire) == (int32_t)shard->index;

    shard_engine_work(shard);
    if (!is_tapped && !(is_its_turn && store->checkpoint.state == CKPT_IDLE))
        shard->joint_closed = false;
    else if (!joint_lets_begin(shard))
        return false;
    if (is_tapped)
        store->tap->ops->step(store->tap, shard);
    if (atomic_load_explicit(&store->turn, memory_order_acquire) != (int32_t)shard->index)
        return false;
    switch (store->checkpoint.state) {
    case CKPT_IDLE:
        return step_begin(store, shard);
    case CKPT_WRITE:
        return step_write(store, shard, budget_ns);
    case CKPT_AWAIT:
        return step_await(store, shard);
    case CKPT_COMMIT:
        return step_commit(store, shard);
    case CKPT_NAME:
    case CKPT_DISCARD:
        return step_end(store, shard);
    }
    return false;
}

/* They come; or, as the last one found no room, they do not for now, and waiting for them would be in vain. */
static enum cairn_code checkpoints_behind(const struct cairn_store *store, struct cairn_err *err)
{
    if (atomic_load_explicit(&store->checkpoint_code, memory_order_relaxed) == CAIRN_EFULL)
        return cairn_fail(err, CAIRN_EFULL,
                          "the disk has no room for a checkpoint, and the log must not grow without one: writes are "
                          "refused until it has");
    return cairn_fail(err, CAIRN_EOVERLOAD, "checkpoints are behind");
}

enum cairn_code cairn_shard_check_writers(struct cairn_shard *shard, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    int32_t turn = atomic_load_explicit(&store->turn, memory_order_acquire);
    enum cairn_code code;
    uint64_t oldest;

    if (store_log_failed(store))
        return CAIRN_OK;
    code = shard->engine->ops->check_writers(shard->engine, err);
    if (code == CAIRN_OK && store->tap)
        code = store->tap->ops->check_writers(store->tap, err);
    if (code != CAIRN_OK)
        return code;
    if (turn == NO_TURN)
        return CAIRN_OK;
    if (turn == (int32_t)shard->index && shard->saver->is_pressed(shard))
        return checkpoints_behind(store, err);
    oldest = atomic_load_explicit(&shard->stream->oldest, memory_order_relaxed);
    if (shard->applied_end > oldest && shard->applied_end - oldest > store->options.log_bytes_max)
        return checkpoints_behind(store, err);
    return CAIRN_OK;
}

/* --- opening and closing --------------------------------------------------------------------- */

void checkpoint_init(struct cairn_store *store)
{
    struct checkpoint *checkpoint = &store->checkpoint;

    checkpoint->dirt_before = (struct dirt){CLEAN, CLEAN};
    checkpoint_task_init(store);
    atomic_store(&store->turn, NO_TURN);
    for (uint32_t i = 0; i < store->stream_count; i++)
        checkpoint_update_oldest(&store->streams[i]);
}

static uint64_t wakes_so_far(struct cairn_store *store)
{
    uint64_t wakes;

    pthread_mutex_lock(&store->lock);
    wakes = store->wakes;
    pthread_mutex_unlock(&store->lock);
    return wakes;
}

/* Waits until the task or the log has got on since `wakes`; in simulation lets them.  False when
 * nothing is left that could. */
static bool wait_for_others(struct cairn_store *store, uint64_t wakes)
{
    if (store->stepped) {
        bool any = cairn_tasks_step(store->options.tasks);
        return cairn_store_step_logs(store) || any;
    }
    pthread_mutex_lock(&store->lock);
    while (store->wakes == wakes)
        pthread_cond_wait(&store->changed, &store->lock);
    pthread_mutex_unlock(&store->lock);
    return true;
}

enum cairn_code checkpoint_all(struct cairn_store *store, struct cairn_err *err)
{
    enum { BUDGET_NS = 10000000 };
    struct checkpoint *checkpoint = &store->checkpoint;
    uint64_t failures = store->checkpoint_failures, wakes;
    int32_t turn;

    atomic_store(&store->closing, true);
    checkpoint->retry_at_ns = 0;
    checkpoint_choose_turn(store);
    for (;;) {
        wakes = wakes_so_far(store); /* before the step looks at anything */
        turn = atomic_load(&store->turn);
        if (turn == NO_TURN || store->checkpoint_failures != failures)
            break;
        if (cairn_shard_step(&store->shards[turn], BUDGET_NS) || atomic_load(&store->turn) != turn)
            continue;
        if (!wait_for_others(store, wakes) && !checkpoint->busy)
            return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log makes no progress while checkpointing shard %d", turn);
    }
    if (store->checkpoint_failures != failures)
        return cairn_fail(err, checkpoint->err.code, "%s while checkpointing shard %u", checkpoint->err.text,
                          checkpoint->shard);
    if (store_log_failed(store))
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the log has failed");
    return CAIRN_OK;
}

void checkpoint_stop(struct cairn_store *store, bool crash)
{
    struct checkpoint *checkpoint = &store->checkpoint;

    if (checkpoint->snapshot)
        store->shards[checkpoint->shard].saver->stop(&store->shards[checkpoint->shard], NULL);
    /* A version that was begun ends with its store. */
    checkpoint_task_stop(store, crash);
}
