/* The memory of a worker's instances: each worker has an even share, and begins no run as a fiber when that is used up.
 *
 * An instance is charged for what its guest can have touched: its window, or all of its memory once it has written
 * beyond, less FN_FREE_BYTES.  While a run is set aside its store cannot be asked how large its memory has become; it
 * counts as much as its method's runs had lately, and the limit of an instance's memory before one of them has ended.
 *
 *   used              what may begin
 *   below the share   as many fibers as have room, by what fibers were charged for lately
 *   the share         one, if all fibers wait for calls: what they wait for may need it
 *   twice the share   none; and those set aside get their slices one after the other, not by turns
 *
 * Idle instances are a cache: they go, the largest first, before the share is passed.  Not in the account are plain
 * instances: two run at a time, and what is kept of them is small.  A run may grow after it has begun, so that the
 * share is passed by what those in use grow until they end. */
#include "fn/fn_internal.h"

static uint64_t beyond_free(uint64_t bytes)
{
    return bytes > FN_FREE_BYTES ? bytes - FN_FREE_BYTES : 0;
}

static uint64_t touched(const struct fn_instance *instance)
{
    if (instance->writable_end == SIZE_MAX || instance->memory_bytes > instance->module->memory_bytes)
        return instance->memory_bytes;
    return instance->writable_end - instance->writable_at;
}

/* Idle instances go until the worker has no more than its share. */
void fn_share_shed(struct cairn_fn_worker *worker)
{
    while (worker->idle_bytes > 0 && worker->used_bytes + worker->idle_bytes > worker->share_bytes) {
        struct fn_instance *largest = NULL;

        for (struct cairn_link *l = worker->idle_fibers.next; l != &worker->idle_fibers; l = l->next) {
            struct fn_instance *instance = cairn_container(l, struct fn_instance, lru);

            if (!largest || instance->charged > largest->charged)
                largest = instance;
        }
        fn_worker_drop_fiber(worker, largest);
    }
}

void fn_share_charge(struct cairn_run *run)
{
    struct cairn_fn_worker *worker = run->worker;
    struct fn_instance *instance = run->instance;
    uint64_t bytes = touched(instance);

    uint64_t peak = atomic_load_explicit(&run->method->memory_peak, memory_order_relaxed);

    if (run->waiting) {
        if (instance->memory_bytes + 1 > peak)
            fn_share_learn(run->method, instance->memory_bytes);
    } else {
        uint64_t guess = peak ? peak - 1 : worker->fn->options.memory_bytes_max;

        if (guess > instance->module->memory_bytes && guess > bytes)
            bytes = guess;
    }
    bytes = beyond_free(bytes);
    worker->used_bytes += bytes - instance->charged;
    instance->charged = bytes;
    if (bytes > worker->typical_bytes)
        worker->typical_bytes = bytes;
    fn_share_shed(worker);
}

void fn_share_learn(struct cairn_method_private *method, uint64_t memory_bytes)
{
    uint64_t peak = atomic_load_explicit(&method->memory_peak, memory_order_relaxed), now = memory_bytes + 1;

    if (now < peak)
        now = peak - (peak - now) / 8;
    if (now != peak)
        atomic_store_explicit(&method->memory_peak, now, memory_order_relaxed);
}

void fn_share_idle(struct cairn_fn_worker *worker, struct fn_instance *instance)
{
    worker->used_bytes -= instance->charged;
    worker->typical_bytes -= (worker->typical_bytes - instance->charged) / 8;
    instance->charged = beyond_free(touched(instance));
    worker->idle_bytes += instance->charged;
}

void fn_share_use(struct cairn_fn_worker *worker, struct fn_instance *instance)
{
    worker->idle_bytes -= instance->charged;
    worker->used_bytes += instance->charged;
}

void fn_share_drop(struct cairn_fn_worker *worker, struct fn_instance *instance)
{
    worker->idle_bytes -= instance->charged;
    instance->charged = 0;
}

uint32_t cairn_fn_worker_fibers_free(const struct cairn_fn_worker *worker)
{
    uint32_t left = worker->fn->options.fibers_per_worker - worker->fibers_in_use;
    uint64_t room;

    if (worker->used_bytes < worker->share_bytes) {
        room = worker->typical_bytes ? (worker->share_bytes - worker->used_bytes) / worker->typical_bytes + 1 : left;
        return left < room ? left : (uint32_t)room;
    }
    return left > 0 && worker->fibers_waiting == worker->fibers_in_use && !cairn_fn_worker_pressed(worker);
}

uint64_t cairn_fn_worker_memory(const struct cairn_fn_worker *worker)
{
    return worker->used_bytes;
}

bool cairn_fn_worker_pressed(const struct cairn_fn_worker *worker)
{
    return worker->used_bytes >= 2 * worker->share_bytes;
}
