#include "cache/mover.h"

#include <assert.h>
#include <stdlib.h>

enum {
    STALLED_MS = 60000,
    BYTES_PER_MS = 16,     /* a client that sends less, on the average, is given up */
    BURST_BYTES = 2 << 20, /* of one connection before the others have their turn */
    PIECES = 512,
    SINK_BYTES = 64 << 10,
    LOOK_NS = 1000000000,
    REPAIRS_MAX = 4096, /* that wait; what is beyond is found again */
    REPAIR_STRIPES = 2, /* at a time */
};

struct mover {
    struct cairn_movers *movers;
    uint32_t index;
    pthread_t thread;
    bool started;
    struct cairn_loop *loop;
    struct cairn_scratch scratch;
    struct cairn_link moving; /* moves */
    uint8_t *sink;
    uint64_t look_at_ms;
    _Atomic(struct cairn_move *) inbox; /* a stack; any thread puts there */
    _Atomic bool canceled, stopping;
    /* Of the first mover. */
    struct cairn_repair repair;
    uint64_t reclaimed_seen;
    uint32_t
        scan; /* the table's stripe that is looked through for what a reclaim has hurt; CAIRN_CACHE_STRIPES: none */
};

struct cairn_movers {
    struct cairn_movers_options options;
    _Atomic uint32_t next, moving;
    pthread_mutex_t lock; /* of repairs and reclaims */
    struct cairn_large *repairs[REPAIRS_MAX];
    uint32_t repair_first;
    _Atomic uint32_t repair_count;
    uint64_t reclaims[CAIRN_MOVERS_RECLAIMS_MAX]; /* instances' ids */
    uint32_t reclaim_count;
    struct mover mover[];
};

/* --- ending --- */

static void finish(struct cairn_move *move, enum cairn_move_end end)
{
    struct mover *mover = move->mover;

    move->socket = cairn_socket_close(move->socket);
    cairn_list_remove(&move->link);
    if (move->in) {
        struct cairn_large *value = move->writing.large;

        cairn_reading_end(&move->reading);
        if (value)
            cairn_writing_end(&move->writing);
        if (end == CAIRN_MOVE_DONE)
            move->value = value;
        else
            cairn_large_unref(value);
    } else {
        if (move->reading.damaged)
            cairn_movers_repair(mover->movers, move->value);
        cairn_reading_end(&move->reading);
    }
    cairn_buf_done(&move->head);
    cairn_buf_done(&move->base_bytes);
    cairn_large_unref(move->base);
    move->base = NULL;
    move->end = end;
    atomic_fetch_sub_explicit(&mover->movers->moving, 1, memory_order_relaxed);
    move->done(move); /* it may be gone by now */
}

static void on_broken(void *context)
{
    finish(context, CAIRN_MOVE_BROKEN);
}

/* --- in --- */

/* True if all of the value has come: the move has ended. */
static bool came(struct cairn_move *move, size_t bytes)
{
    struct cairn_pool_stats *stats = cairn_pool_stats(move->mover->movers->options.pool);

    move->moved += bytes;
    if (!move->sinks)
        cairn_writing_wrote(&move->writing, bytes);
    if (move->moved < move->bytes)
        return false;
    if (!move->sinks && cairn_writing_seal(&move->writing) != CAIRN_TRANSFER_READY) {
        cairn_fail(&move->err, CAIRN_EUNAVAILABLE, "too many instances were lost while the value came");
        move->sinks = true;
    }
    if (!move->sinks) {
        atomic_fetch_add_explicit(&stats->sets, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&stats->bytes_in, move->bytes, memory_order_relaxed);
    }
    finish(move, move->sinks ? CAIRN_MOVE_REFUSED : CAIRN_MOVE_DONE);
    return true;
}

static size_t room(struct cairn_move *move, struct iovec *to, size_t most)
{
    uint64_t left = move->bytes - move->moved;

    if (!move->sinks)
        return cairn_writing_room(&move->writing, to, most);
    to[0] = (struct iovec){move->mover->sink, left < SINK_BYTES ? left : SINK_BYTES};
    return 1;
}

static void on_readable(void *context)
{
    struct cairn_move *move = context;
    struct iovec to[PIECES];
    size_t burst = 0, size, count;

    while (burst < BURST_BYTES) {
        count = room(move, to, PIECES);
        switch (cairn_socket_readv(move->socket, to, count, &size)) {
        case CAIRN_STREAM_MOVED:
            move->active_ms = cairn_loop_now_ms(move->mover->loop);
            burst += size;
            if (came(move, size))
                return;
            break;
        case CAIRN_STREAM_BLOCKED:
            return;
        case CAIRN_STREAM_ENDED:
        case CAIRN_STREAM_BROKEN:
            finish(move, CAIRN_MOVE_BROKEN);
            return;
        }
    }
}

/* False: there is no room for it. */
static bool reserve(struct cairn_move *move)
{
    struct mover *mover = move->mover;
    struct cairn_pool *pool = mover->movers->options.pool;
    struct cairn_cache *cache = cairn_pool_cache(pool);
    uint64_t now_ms = mover->movers->options.clock->wall_ms(mover->movers->options.clock);
    struct cairn_large *value;

    if (!cairn_cache_may_change(cache)) {
        cairn_fail(&move->err, CAIRN_EUNAVAILABLE, "the data folder could not be written for long: see the node's log");
        return false;
    }
    cairn_pool_collect(pool);
    if (!cairn_cache_make_room(cache, mover->movers->options.first_user + mover->index,
                               cairn_large_bytes(pool, move->bytes), now_ms)) {
        cairn_fail(&move->err, CAIRN_ELIMIT, "command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    cairn_pool_collect(pool);
    if (cairn_large_reserve(pool, move->hash, move->bytes, &value, &move->err) != CAIRN_OK)
        return false;
    cairn_writing_begin(&move->writing, value);
    return true;
}

/* What the connection's owner has read of it. */
static bool take_head(struct cairn_move *move)
{
    struct iovec to[PIECES];
    size_t at = 0;

    while (at < move->head.size) {
        size_t count = room(move, to, PIECES), copied = 0;

        for (size_t i = 0; i < count && at + copied < move->head.size; i++) {
            size_t n = move->head.size - at - copied < to[i].iov_len ? move->head.size - at - copied : to[i].iov_len;

            memcpy(to[i].iov_base, move->head.data + at + copied, n);
            copied += n;
        }
        at += copied;
        if (came(move, copied))
            return true;
    }
    cairn_buf_done(&move->head);
    return false;
}

/* --- composing --- */

/* Bytes of the base from where the move stands on; false: it is lost. */
static bool copy_base(struct cairn_move *move, uint64_t from, uint8_t *to, size_t *bytes)
{
    struct iovec piece;
    size_t count;

    if (!move->base) {
        memcpy(to, move->base_bytes.data + from, *bytes);
        return true;
    }
    if (!move->reading.large || move->reading.at != from) {
        cairn_reading_end(&move->reading);
        cairn_reading_begin(&move->reading, move->base, from, move->base->cut.bytes, &move->mover->scratch);
    }
    if (cairn_reading_next(&move->reading, &piece, 1, &count) != CAIRN_TRANSFER_READY)
        return false;
    if (*bytes > piece.iov_len)
        *bytes = piece.iov_len;
    memcpy(to, piece.iov_base, *bytes);
    cairn_reading_took(&move->reading, *bytes);
    return true;
}

/* The value's bytes from `from` on. */
static bool compose(struct cairn_move *move, uint64_t from, uint8_t *to, size_t bytes)
{
    uint64_t base = move->base ? move->base->cut.bytes : move->base_bytes.size, end = move->at + move->head.size;

    for (size_t n; bytes > 0; to += n, from += n, bytes -= n) {
        n = bytes;
        if (from < move->at && n > move->at - from)
            n = (size_t)(move->at - from);
        if (from >= move->at && from < end) {
            n = n < end - from ? n : (size_t)(end - from);
            memcpy(to, move->head.data + (from - move->at), n);
        } else if (from < base) {
            n = n < base - from ? n : (size_t)(base - from);
            if (!copy_base(move, from, to, &n))
                return false;
        } else {
            memset(to, 0, n);
        }
    }
    return true;
}

static void compose_some(struct cairn_move *move)
{
    struct iovec to[PIECES];

    for (size_t burst = 0; burst < BURST_BYTES;) {
        size_t count = room(move, to, PIECES), bytes = 0;

        for (size_t i = 0; i < count; i++) {
            if (!compose(move, move->moved + bytes, to[i].iov_base, to[i].iov_len)) {
                cairn_fail(&move->err, CAIRN_EGONE, "the value has lost too many chunks");
                finish(move, CAIRN_MOVE_REFUSED);
                return;
            }
            bytes += to[i].iov_len;
        }
        burst += bytes;
        if (came(move, bytes))
            return;
    }
    move->active_ms = cairn_loop_now_ms(move->mover->loop);
}

/* True: there is more. */
static bool compose_all(struct mover *mover)
{
    struct cairn_link *link, *next;
    bool any = false;

    for (link = mover->moving.next; link != &mover->moving; link = next) {
        struct cairn_move *move = cairn_container(link, struct cairn_move, link);

        next = link->next;
        if (move->composes) {
            any = true;
            compose_some(move);
        }
    }
    return any;
}

/* --- out --- */

static void on_room(void *context)
{
    struct cairn_move *move = context;
    struct cairn_pool_stats *stats = cairn_pool_stats(move->mover->movers->options.pool);
    struct iovec from[PIECES];
    size_t burst = 0, size, count;

    while (burst < BURST_BYTES) {
        if (cairn_reading_next(&move->reading, from, PIECES, &count) != CAIRN_TRANSFER_READY) {
            finish(move, CAIRN_MOVE_BROKEN);
            return;
        }
        if (count == 0) {
            atomic_fetch_add_explicit(&stats->gets, 1, memory_order_relaxed);
            atomic_fetch_add_explicit(&stats->bytes_out, move->until - move->from, memory_order_relaxed);
            finish(move, CAIRN_MOVE_DONE);
            return;
        }
        switch (cairn_socket_sendv(move->socket, from, count, &size)) {
        case CAIRN_STREAM_MOVED:
            move->active_ms = cairn_loop_now_ms(move->mover->loop);
            burst += size;
            cairn_reading_took(&move->reading, size);
            break;
        case CAIRN_STREAM_BLOCKED:
            cairn_socket_want_room(move->socket);
            return;
        case CAIRN_STREAM_ENDED:
        case CAIRN_STREAM_BROKEN:
            finish(move, CAIRN_MOVE_BROKEN);
            return;
        }
    }
    cairn_socket_want_room(move->socket);
}

/* --- moves --- */

static const struct cairn_socket_ops socket_ops = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_broken = on_broken,
};

static void begin(struct mover *mover, struct cairn_move *move)
{
    move->mover = mover;
    move->began_ms = move->active_ms = cairn_loop_now_ms(mover->loop);
    cairn_list_push_back(&mover->moving, &move->link);
    if (move->composes) {
        if (!reserve(move))
            finish(move, CAIRN_MOVE_REFUSED);
        return;
    }
    if (!move->in)
        cairn_reading_begin(&move->reading, move->value, move->from, move->until, &mover->scratch);
    if (atomic_load(&move->canceled) ||
        cairn_socket_borrow(mover->loop, move->stream, &socket_ops, move, &move->socket, &move->err) != CAIRN_OK) {
        finish(move, CAIRN_MOVE_BROKEN);
        return;
    }
    if (!move->in) {
        cairn_socket_reading(move->socket, false);
        on_room(move);
        return;
    }
    move->sinks = !reserve(move);
    if (!take_head(move))
        on_readable(move);
}

static void begin_new(struct mover *mover)
{
    struct cairn_move *move = atomic_exchange_explicit(&mover->inbox, NULL, memory_order_acquire), *next, *list = NULL;

    for (; move; move = next) { /* the first that came is the last of the stack */
        next = move->next;
        move->next = list;
        list = move;
    }
    for (; list; list = next) {
        next = list->next;
        begin(mover, list);
    }
}

/* A client that takes or sends nothing for long, or sends too slowly. */
static bool stalled(const struct cairn_move *move, uint64_t now_ms)
{
    uint32_t most = move->mover->movers->options.stalled_ms;

    return now_ms - move->active_ms > most || (move->in && now_ms - move->began_ms > most + move->moved / BYTES_PER_MS);
}

static void end_some(struct mover *mover, bool all, uint64_t now_ms)
{
    struct cairn_link *link, *next;

    for (link = mover->moving.next; link != &mover->moving; link = next) {
        struct cairn_move *move = cairn_container(link, struct cairn_move, link);

        next = link->next;
        if (all || atomic_load(&move->canceled) || stalled(move, now_ms))
            finish(move, CAIRN_MOVE_BROKEN);
    }
}

void cairn_movers_take(struct cairn_movers *movers, struct cairn_move *move)
{
    uint32_t next = atomic_fetch_add_explicit(&movers->next, 1, memory_order_relaxed) % movers->options.threads;
    struct mover *mover = &movers->mover[next];

    atomic_fetch_add_explicit(&movers->moving, 1, memory_order_relaxed);
    move->next = atomic_load_explicit(&mover->inbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&mover->inbox, &move->next, move, memory_order_release,
                                                  memory_order_relaxed))
        ;
    cairn_loop_wake(mover->loop);
}

void cairn_move_cancel(struct cairn_movers *movers, struct cairn_move *move)
{
    atomic_store(&move->canceled, true);
    for (uint32_t i = 0; i < movers->options.threads; i++) {
        atomic_store(&movers->mover[i].canceled, true);
        cairn_loop_wake(movers->mover[i].loop);
    }
}

uint32_t cairn_movers_moving(const struct cairn_movers *movers)
{
    return atomic_load_explicit(&movers->moving, memory_order_relaxed);
}

/* --- repair: by the first mover --- */

void cairn_movers_repair(struct cairn_movers *movers, struct cairn_large *value)
{
    pthread_mutex_lock(&movers->lock);
    if (movers->repair_count < REPAIRS_MAX)
        movers->repairs[(movers->repair_first + movers->repair_count++) % REPAIRS_MAX] = cairn_large_ref(value);
    pthread_mutex_unlock(&movers->lock);
    cairn_loop_wake(movers->mover[0].loop);
}

struct wanted_instance {
    uint64_t id;
    bool there;
};

static void look_for_instance(void *context, struct cairn_instance *instance)
{
    struct wanted_instance *wanted = context;

    wanted->there |= instance->id == wanted->id;
}

bool cairn_movers_reclaim(struct cairn_movers *movers, const uint64_t *ids, uint32_t count)
{
    bool taken;

    for (uint32_t i = 0; i < count; i++) {
        struct wanted_instance wanted = {.id = ids[i]};

        cairn_pool_each(movers->options.pool, look_for_instance, &wanted);
        if (!wanted.there)
            return false;
    }
    pthread_mutex_lock(&movers->lock);
    taken = count <= CAIRN_MOVERS_RECLAIMS_MAX - movers->reclaim_count;
    if (taken && count) {
        memcpy(movers->reclaims + movers->reclaim_count, ids, count * sizeof ids[0]);
        movers->reclaim_count += count;
    }
    pthread_mutex_unlock(&movers->lock);
    cairn_loop_wake(movers->mover[0].loop);
    return taken;
}

static void reclaim_some(struct cairn_movers *movers)
{
    uint64_t ids[CAIRN_MOVERS_RECLAIMS_MAX];
    uint32_t count;

    pthread_mutex_lock(&movers->lock);
    count = movers->reclaim_count;
    memcpy(ids, movers->reclaims, count * sizeof ids[0]);
    movers->reclaim_count = 0;
    pthread_mutex_unlock(&movers->lock);
    for (uint32_t i = 0; i < count; i++)
        cairn_pool_reclaim(movers->options.pool, ids[i]);
}

static struct cairn_large *next_repair(struct cairn_movers *movers)
{
    struct cairn_large *value = NULL;

    pthread_mutex_lock(&movers->lock);
    if (movers->repair_count > 0) {
        value = movers->repairs[movers->repair_first];
        movers->repair_first = (movers->repair_first + 1) % REPAIRS_MAX;
        movers->repair_count--;
    }
    pthread_mutex_unlock(&movers->lock);
    return value;
}

static void note_hurt(void *context, const struct cairn_cache_entry *entry)
{
    struct cairn_large *value = cairn_large_of(entry);
    uint32_t lost = cairn_large_lost(value);

    if (lost > 0 && lost <= value->cut.redundancy.parity)
        cairn_movers_repair(context, value);
}

/* What was reclaimed has hurt values: they are looked for, a few of the table's stripes at a time. */
static bool look_for_hurt(struct mover *mover)
{
    struct cairn_movers *movers = mover->movers;
    struct cairn_pool *pool = movers->options.pool;
    uint64_t reclaimed = atomic_load_explicit(&cairn_pool_stats(pool)->reclaimed, memory_order_relaxed);

    if (reclaimed != mover->reclaimed_seen) {
        mover->reclaimed_seen = reclaimed;
        mover->scan = 0;
    }
    if (mover->scan == CAIRN_CACHE_STRIPES)
        return false;
    for (uint32_t i = 0; i < 32 && mover->scan < CAIRN_CACHE_STRIPES && movers->repair_count < REPAIRS_MAX / 2; i++)
        cairn_cache_each_large(cairn_pool_cache(pool), mover->scan++, note_hurt, movers);
    return true;
}

/* True: there is more. */
static bool repair_some(struct mover *mover)
{
    struct cairn_large *value;
    bool more = look_for_hurt(mover);

    if (mover->repair.large) {
        if (!cairn_repair_step(&mover->repair, REPAIR_STRIPES))
            cairn_repair_end(&mover->repair);
        return true;
    }
    value = next_repair(mover->movers);
    if (!value)
        return more;
    cairn_repair_begin(&mover->repair, value);
    cairn_large_unref(value);
    return true;
}

/* --- threads --- */

static bool turn(void *context, uint64_t *ret_wait_ns)
{
    struct mover *mover = context;
    uint64_t now_ms = cairn_loop_now_ms(mover->loop);
    bool more = false;

    if (atomic_load(&mover->stopping)) {
        begin_new(mover);
        end_some(mover, true, now_ms);
        cairn_loop_stop(mover->loop);
        return false;
    }
    begin_new(mover);
    if (atomic_exchange(&mover->canceled, false) || now_ms >= mover->look_at_ms) {
        mover->look_at_ms = now_ms + LOOK_NS / 1000000;
        end_some(mover, false, now_ms);
    }
    cairn_pool_collect(mover->movers->options.pool);
    more = compose_all(mover);
    if (mover->index == 0) {
        reclaim_some(mover->movers);
        more |= repair_some(mover);
    }
    if (!more && !cairn_list_empty(&mover->moving))
        *ret_wait_ns = LOOK_NS;
    return more;
}

static void *main_of(void *context)
{
    struct mover *mover = context;

    cairn_loop_run(mover->loop);
    return NULL;
}

static void on_gone(void *context)
{
    struct cairn_movers *movers = context;

    cairn_loop_wake(movers->mover[0].loop);
}

static enum cairn_code start(struct cairn_movers *movers, uint32_t index, struct cairn_err *err)
{
    struct mover *mover = &movers->mover[index];
    struct cairn_loop_options options = {.turn = turn, .context = mover, .read_bytes = 1};
    enum cairn_code code;

    mover->movers = movers;
    mover->index = index;
    mover->scan = CAIRN_CACHE_STRIPES;
    mover->sink = cairn_alloc(SINK_BYTES);
    cairn_list_init(&mover->moving);
    code = cairn_loop_create(&options, &mover->loop, err);
    return code;
}

enum cairn_code cairn_movers_create(const struct cairn_movers_options *options, struct cairn_movers **ret_movers,
                                    struct cairn_err *err)
{
    struct cairn_movers *movers = cairn_alloc_zeroed(1, sizeof *movers + options->threads * sizeof movers->mover[0]);
    enum cairn_code code = CAIRN_OK;

    assert(options->threads > 0);
    movers->options = *options;
    if (!movers->options.stalled_ms)
        movers->options.stalled_ms = STALLED_MS;
    pthread_mutex_init(&movers->lock, NULL);
    for (uint32_t i = 0; code == CAIRN_OK && i < options->threads; i++)
        code = start(movers, i, err);
    for (uint32_t i = 0; code == CAIRN_OK && i < options->threads; i++) {
        movers->mover[i].started = pthread_create(&movers->mover[i].thread, NULL, main_of, &movers->mover[i]) == 0;
        if (!movers->mover[i].started)
            code = cairn_fail(err, CAIRN_ELIMIT, "no thread for the movers of large values");
    }
    if (code != CAIRN_OK) {
        cairn_movers_destroy(movers);
        return code;
    }
    cairn_pool_on_gone(options->pool, on_gone, movers);
    *ret_movers = movers;
    return CAIRN_OK;
}

struct cairn_movers *cairn_movers_destroy(struct cairn_movers *movers)
{
    struct cairn_large *value;

    if (!movers)
        return NULL;
    cairn_pool_on_gone(movers->options.pool, NULL, NULL);
    for (uint32_t i = 0; i < movers->options.threads; i++) {
        struct mover *mover = &movers->mover[i];

        if (mover->started) {
            atomic_store(&mover->stopping, true);
            cairn_loop_wake(mover->loop);
            pthread_join(mover->thread, NULL);
        }
        cairn_repair_end(&mover->repair);
        cairn_scratch_done(&mover->scratch);
        free(mover->sink);
        cairn_loop_destroy(mover->loop);
    }
    while ((value = next_repair(movers)))
        cairn_large_unref(value);
    pthread_mutex_destroy(&movers->lock);
    free(movers);
    return NULL;
}
