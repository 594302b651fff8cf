/* A worker's instances: which are kept, which are dropped when there are too many. */
#include "fn/fn_internal.h"

#include <assert.h>
#include <stdlib.h>

enum cairn_code cairn_fn_worker_create(struct cairn_fn *fn, const struct cairn_host_ops *host,
                                       struct cairn_fn_worker **ret_worker, struct cairn_err *err)
{
    struct cairn_fn_worker *worker;
    uint32_t index = 0;

    pthread_mutex_lock(&fn->lock);
    while (index < fn->options.workers && fn->workers[index])
        index++;
    if (index == fn->options.workers) {
        pthread_mutex_unlock(&fn->lock);
        return cairn_fail(err, CAIRN_ELIMIT, "the sandbox was made for %u workers", fn->options.workers);
    }
    worker = aligned_alloc(_Alignof(struct cairn_fn_worker), sizeof *worker);
    if (!worker)
        abort();
    memset(worker, 0, sizeof *worker);
    worker->fn = fn;
    worker->host = *host;
    worker->index = index;
    worker->share_bytes = fn->options.share_bytes / fn->options.workers;
    cairn_list_init(&worker->caches);
    cairn_list_init(&worker->idle_fibers);
    fn->workers[index] = worker;
    pthread_mutex_unlock(&fn->lock);
    *ret_worker = worker;
    return CAIRN_OK;
}

static void drop_plain(struct cairn_fn_worker *worker, struct fn_cache *cache, uint32_t level)
{
    assert(!cache->plain_taken[level]);
    if (cache->plain[level])
        worker->plain_count--;
    fn_instance_destroy(cache->plain[level]);
    cache->plain[level] = NULL;
}

void fn_worker_drop_fiber(struct cairn_fn_worker *worker, struct fn_instance *instance)
{
    fn_share_drop(worker, instance);
    cairn_list_remove(&instance->idle);
    cairn_list_remove(&instance->lru);
    worker->fiber_count--;
    fn_instance_destroy(instance);
}

static void drop_cache(struct cairn_fn_worker *worker, struct fn_cache *cache)
{
    for (uint32_t level = 0; level < FN_PLAIN_LEVELS; level++)
        drop_plain(worker, cache, level);
    while (!cairn_list_empty(&cache->idle_fibers))
        fn_worker_drop_fiber(worker, cairn_container(cache->idle_fibers.next, struct fn_instance, idle));
    cairn_list_remove(&cache->link);
    cache->module->caches[worker->index] = NULL;
    fn_module_release(cache->module);
    free(cache);
}

struct cairn_fn_worker *cairn_fn_worker_destroy(struct cairn_fn_worker *worker)
{
    if (!worker)
        return NULL;
    assert(worker->fibers_in_use == 0);
    cairn_fn_worker_busy(worker, false);
    while (!cairn_list_empty(&worker->caches))
        drop_cache(worker, cairn_container(worker->caches.next, struct fn_cache, link));
    pthread_mutex_lock(&worker->fn->lock);
    worker->fn->workers[worker->index] = NULL;
    pthread_mutex_unlock(&worker->fn->lock);
    while (worker->free_runs) {
        struct cairn_run *run = worker->free_runs;

        worker->free_runs = run->next_free;
        free(run);
    }
    free(worker);
    return NULL;
}

void cairn_fn_worker_trim(struct cairn_fn_worker *worker)
{
    struct cairn_link *link = worker->caches.next;

    while (link != &worker->caches) {
        struct fn_cache *cache = cairn_container(link, struct fn_cache, link);

        link = link->next;
        /* One with a suspended run is needed until that ends; its user keeps a reference anyway. */
        if (fn_module_unused(cache->module) && cache->runs == 0)
            drop_cache(worker, cache);
    }
    while (worker->fiber_count - worker->fibers_in_use > FN_IDLE_FIBERS)
        fn_worker_drop_fiber(worker, cairn_container(worker->idle_fibers.next, struct fn_instance, lru));
}

struct fn_cache *fn_worker_cache(struct cairn_fn_worker *worker, struct fn_module *module)
{
    struct fn_cache *cache = module->caches[worker->index];

    if (!cache) {
        cache = cairn_alloc_zeroed(1, sizeof *cache);
        cache->module = module;
        cairn_list_init(&cache->idle_fibers);
        cairn_list_push_back(&worker->caches, &cache->link);
        module->caches[worker->index] = cache;
        fn_module_hold(module);
    }
    return cache;
}

/* Second chance: caches used since the last look go to the back of the queue once. */
static void evict_plain(struct cairn_fn_worker *worker)
{
    for (;;) {
        struct fn_cache *cache = cairn_container(worker->caches.next, struct fn_cache, link);
        bool used = cache->plain_used;

        cache->plain_used = false;
        cairn_list_remove(&cache->link);
        cairn_list_push_back(&worker->caches, &cache->link);
        for (uint32_t level = 0; !used && level < FN_PLAIN_LEVELS; level++)
            if (cache->plain[level] && !cache->plain_taken[level]) {
                drop_plain(worker, cache, level);
                return;
            }
    }
}

enum cairn_code fn_worker_take_plain(struct cairn_fn_worker *worker, struct fn_module *module,
                                     struct fn_instance **ret_instance, struct cairn_err *err)
{
    struct fn_cache *cache = fn_worker_cache(worker, module);
    uint32_t level = worker->plain_level;
    enum cairn_code code;

    assert(level < FN_PLAIN_LEVELS && !cache->plain_taken[level]); /* they are on the worker's own stack */
    if (!cache->plain[level]) {
        if (worker->plain_count == FN_PLAIN_CACHED_MAX)
            evict_plain(worker);
        code = fn_instance_create(module, false, &cache->plain[level], err);
        if (code != CAIRN_OK)
            return code;
        worker->plain_count++;
    }
    cache->plain_taken[level] = true;
    cache->plain_used = true;
    worker->plain_level = level + 1;
    *ret_instance = cache->plain[level];
    return CAIRN_OK;
}

void fn_worker_put_plain(struct cairn_fn_worker *worker, struct fn_instance *instance, bool clean)
{
    struct fn_cache *cache = instance->module->caches[worker->index];
    uint32_t level = --worker->plain_level;

    assert(cache->plain[level] == instance);
    cache->plain_taken[level] = false;
    if (!clean || !instance->module->again || !fn_instance_reset(instance))
        drop_plain(worker, cache, level);
}

enum cairn_code fn_worker_take_fiber(struct cairn_fn_worker *worker, struct fn_module *module,
                                     struct fn_instance **ret_instance, struct cairn_err *err)
{
    struct fn_cache *cache = fn_worker_cache(worker, module);
    struct fn_instance *instance = NULL;
    uint32_t max = worker->fn->options.fibers_per_worker;
    enum cairn_code code;

    if (cairn_fn_worker_fibers_free(worker) == 0) {
        *ret_instance = NULL;
        return CAIRN_OK;
    }
    if (!cairn_list_empty(&cache->idle_fibers)) { /* the one used last: its memory is warm */
        instance = cairn_container(cache->idle_fibers.next, struct fn_instance, idle);
        cairn_list_remove(&instance->idle);
        cairn_list_remove(&instance->lru);
        fn_share_use(worker, instance);
    } else {
        if (worker->fiber_count == max)
            fn_worker_drop_fiber(worker, cairn_container(worker->idle_fibers.next, struct fn_instance, lru));
        code = fn_instance_create(module, true, &instance, err);
        if (code != CAIRN_OK)
            return code;
        worker->fiber_count++;
    }
    worker->fibers_in_use++;
    cache->runs++;
    *ret_instance = instance;
    return CAIRN_OK;
}

void fn_worker_put_fiber(struct cairn_fn_worker *worker, struct fn_instance *instance, bool clean)
{
    struct fn_cache *cache = instance->module->caches[worker->index];

    worker->fibers_in_use--;
    cache->runs--;
    fn_share_idle(worker, instance);
    if (clean && instance->module->again && fn_instance_reset(instance)) {
        cairn_list_push_front(&cache->idle_fibers, &instance->idle);
        cairn_list_push_back(&worker->idle_fibers, &instance->lru);
        fn_share_shed(worker);
    } else {
        fn_worker_drop_fiber(worker, instance);
    }
}
