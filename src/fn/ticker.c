/* ticker.c - the thread that ends time slices.
 *
 * Slices: Wasmtime's epoch is a counter that the ticker advances once per slice while guests run; code
 * compiled with epoch interruption looks at it in every loop and function.  The deterministic mode counts fuel
 * instead: an instruction costs about 1, and a slice of n nanoseconds is n units (meter.c). */
#include <time.h>

#include "fn/fn_internal.h"

enum { IDLE_TICKS_MAX = 50 }; /* the ticker goes to sleep after as many slices without a busy worker */

static void add_ns(struct timespec *t, uint64_t ns)
{
    ns += (uint64_t)t->tv_nsec;
    t->tv_sec += (time_t)(ns / 1000000000);
    t->tv_nsec = (long)(ns % 1000000000);
}

/* Is a worker busy, or was one since the last look? */
static bool anybody_busy(struct cairn_fn *fn, uint32_t *turns_seen)
{
    uint32_t turns = 0;
    bool busy = false;

    for (uint32_t i = 0; i < fn->options.workers; i++)
        if (fn->workers[i]) {
            busy |= atomic_load(&fn->workers[i]->busy_seen);
            turns += atomic_load_explicit(&fn->workers[i]->turns, memory_order_relaxed);
        }
    busy |= turns != *turns_seen;
    *turns_seen = turns;
    return busy;
}

static void *tick(void *argument)
{
    struct cairn_fn *fn = argument;
    uint32_t idle = 0, turns = 0;
    struct timespec next;

    pthread_mutex_lock(&fn->lock);
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!fn->stopping) {
        idle = anybody_busy(fn, &turns) ? 0 : idle + 1;
        if (idle > IDLE_TICKS_MAX) {
            atomic_store(&fn->asleep, true);
            if (!anybody_busy(fn, &turns))
                while (atomic_load(&fn->asleep) && !fn->stopping)
                    pthread_cond_wait(&fn->wake, &fn->lock);
            atomic_store(&fn->asleep, false);
            clock_gettime(CLOCK_MONOTONIC, &next);
            idle = 0;
        }
        add_ns(&next, fn->options.slice_ns);
        while (!fn->stopping && pthread_cond_timedwait(&fn->wake, &fn->lock, &next) == 0)
            ;
        wasmtime_engine_increment_epoch(fn->engine);
        clock_gettime(CLOCK_MONOTONIC, &next); /* a late tick is not made up for */
    }
    pthread_mutex_unlock(&fn->lock);
    return NULL;
}

static void wake_ticker(struct cairn_fn *fn)
{
    pthread_mutex_lock(&fn->lock);
    atomic_store(&fn->asleep, false);
    pthread_cond_signal(&fn->wake);
    pthread_mutex_unlock(&fn->lock);
}

void cairn_fn_worker_busy(struct cairn_fn_worker *worker, bool busy)
{
    if (worker->busy == busy)
        return;
    worker->busy = busy;
    if (busy)
        atomic_store_explicit(&worker->turns, worker->turns + 1, memory_order_relaxed);
    atomic_store(&worker->busy_seen, busy);
    if (busy && atomic_load(&worker->fn->asleep))
        wake_ticker(worker->fn);
}

enum cairn_code fn_ticker_start(struct cairn_fn *fn, struct cairn_err *err)
{
    int error;

    if (fn->options.deterministic)
        return CAIRN_OK;
    error = pthread_create(&fn->ticker, NULL, tick, fn);
    if (error)
        return cairn_fail_errno(err, error, "cannot start the thread that ends time slices");
    fn->ticking = true;
    return CAIRN_OK;
}

void fn_ticker_stop(struct cairn_fn *fn)
{
    if (!fn->ticking)
        return;
    pthread_mutex_lock(&fn->lock);
    fn->stopping = true;
    pthread_cond_signal(&fn->wake);
    pthread_mutex_unlock(&fn->lock);
    pthread_join(fn->ticker, NULL);
}
