/* fn.c - the sandbox: Wasmtime's engine with its pool of instances, opened and closed. */
#include "fn/fn_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "io/wait.h"

enum { FIBERS_DEFAULT = 512 }; /* to a worker, as long as all together are not too many */

static uint64_t slots(const struct cairn_fn_options *o)
{
    return (uint64_t)o->workers * (o->fibers_per_worker + FN_PLAIN_CACHED_MAX + 1) + FN_SPARE_SLOTS;
}

static uint64_t stacks(const struct cairn_fn_options *o)
{
    return (uint64_t)o->workers * (o->fibers_per_worker + 1) + FN_SPARE_SLOTS;
}

/* With 4 GiB of address space to each memory, a guest's 32-bit addresses need no bounds checks in its code; that
 * makes it up to 1.8 times as fast.  Where so much cannot be had, a memory gets just what it may use. */
static uint64_t memory_reservation(const struct cairn_fn_options *o)
{
    const uint64_t whole = (uint64_t)4 << 30, guard = (uint64_t)64 << 20;
    uint64_t want = slots(o) * (whole + guard);
    struct rlimit limit;
    void *map;

    if (want > (uint64_t)64 << 40)
        return o->memory_bytes_max;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return o->memory_bytes_max; /* the rest of the process needs some of that too */
    map = mmap(NULL, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return o->memory_bytes_max;
    munmap(map, want);
    return whole;
}

static void set_pool(wasm_config_t *config, const struct cairn_fn_options *o)
{
    wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
    uint32_t total = (uint32_t)slots(o);

    wasmtime_pooling_allocation_config_total_core_instances_set(pool, total);
    wasmtime_pooling_allocation_config_total_memories_set(pool, total);
    wasmtime_pooling_allocation_config_total_tables_set(pool, total);
    wasmtime_pooling_allocation_config_total_stacks_set(pool, (uint32_t)stacks(o));
    wasmtime_pooling_allocation_config_max_memories_per_module_set(pool, 1);
    wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, 1);
    wasmtime_pooling_allocation_config_max_core_instance_size_set(pool, 4 << 20);
    wasmtime_pooling_allocation_config_table_elements_set(pool, FN_TABLE_ELEMENTS_MAX);
    wasmtime_pooling_allocation_config_max_memory_size_set(pool, o->memory_bytes_max);
    wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, FN_KEPT_BYTES);
    wasmtime_pooling_allocation_config_table_keep_resident_set(pool, FN_PAGE_BYTES);
    wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, 100);
    wasmtime_pooling_allocation_strategy_set(config, pool);
    wasmtime_pooling_allocation_config_delete(pool);
}

/* Address space that the engine maps, with the smallest reservation: memories with their guards, tables, stacks. */
static uint64_t address_space(const struct cairn_fn_options *o)
{
    return slots(o) * (o->memory_bytes_max + FN_WASM_PAGE_BYTES + FN_TABLE_ELEMENTS_MAX * sizeof(void *)) +
           stacks(o) * (FN_FIBER_STACK_BYTES + FN_PAGE_BYTES);
}

static enum cairn_code no_address_space(const struct cairn_fn_options *o, struct cairn_err *err)
{
    return cairn_while(err,
                       "making room for %llu instances of functions, which takes %llu MiB of address space: allow the "
                       "process more (ulimit -v), or lower --workers or --limit-memory",
                       (unsigned long long)slots(o), (unsigned long long)(address_space(o) >> 20));
}

/* A limit of the process is told before it is met: what fails then may be anything. */
static enum cairn_code check_address_space(const struct cairn_fn_options *o, struct cairn_err *err)
{
    const uint64_t others = (uint64_t)1 << 30; /* threads, the program, the state's first megabytes */
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= address_space(o) + others)
        return CAIRN_OK;
    cairn_fail(err, CAIRN_ENOMEM, "the process may have %llu MiB of address space",
               (unsigned long long)(limit.rlim_cur >> 20));
    return no_address_space(o, err);
}

static enum cairn_code make_engine(struct cairn_fn *fn, struct cairn_err *err)
{
    wasm_config_t *config;
    wasmtime_error_t *error;

    if (check_address_space(&fn->options, err) != CAIRN_OK)
        return CAIRN_ENOMEM;
    fn->reservation = memory_reservation(&fn->options);
    fn_engine_key(&fn->options, fn->reservation, fn->engine_key);
    config = fn_engine_config(&fn->options, fn->reservation);
    set_pool(config, &fn->options);
    error = cairn_wasmtime_engine_new(config, &fn->engine);
    if (error) {
        fn_fail_error(err, CAIRN_ENOMEM, "cannot make the sandbox of functions", error);
        return no_address_space(&fn->options, err);
    }
    fn_window_take_faults(); /* after Wasmtime has */
    return CAIRN_OK;
}

static enum cairn_code fill_options(struct cairn_fn_options *o, struct cairn_err *err)
{
    if (o->memory_bytes_max == 0)
        o->memory_bytes_max = 16 << 20;
    if (o->share_bytes == 0)
        o->share_bytes = 256 << 20;
    if (o->module_bytes_max == 0)
        o->module_bytes_max = 32 << 20;
    if (o->fibers_per_worker == 0 && o->workers > 0)
        o->fibers_per_worker =
            o->workers * FIBERS_DEFAULT <= FN_FIBERS_TOTAL_MAX ? FIBERS_DEFAULT : FN_FIBERS_TOTAL_MAX / o->workers;
    if (o->compile_memory_bytes == 0)
        o->compile_memory_bytes = (uint64_t)2 << 30;
    if (o->compile_cpu_seconds == 0)
        o->compile_cpu_seconds = 60;
    if (o->slice_ns == 0)
        o->slice_ns = 500000; /* so that a late tick still ends it within a millisecond or so */
    o->memory_bytes_max &= ~(uint64_t)(FN_WASM_PAGE_BYTES - 1);
    if (o->memory_bytes_max == 0 || o->memory_bytes_max > (uint64_t)1 << 30)
        return cairn_fail(err, CAIRN_EINVAL, "an instance's memory limit must be from 64 KiB to 1 GiB");
    if (o->workers == 0 || o->fibers_per_worker == 0 ||
        (uint64_t)o->workers * o->fibers_per_worker > FN_FIBERS_TOTAL_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "workers times fibers must be from 1 to %d", FN_FIBERS_TOTAL_MAX);
    return CAIRN_OK;
}

enum cairn_code cairn_fn_create(const struct cairn_fn_options *options, struct cairn_fn **ret_fn, struct cairn_err *err)
{
    struct cairn_fn *fn;
    struct cairn_fn_options filled = *options;
    enum cairn_code code = fill_options(&filled, err);

    if (code != CAIRN_OK)
        return code;
    /* Every trap makes an error value; with RUST_BACKTRACE set in the environment each would walk the native
     * stack for a report that is never read, half a millisecond that any guest could cause at will. */
    setenv("RUST_LIB_BACKTRACE", "0", 1);
    fn = cairn_alloc_zeroed(1, sizeof *fn);
    fn->options = filled;
    fn->workers = cairn_alloc_zeroed(filled.workers, sizeof(struct cairn_fn_worker *));
    pthread_mutex_init(&fn->lock, NULL);
    pthread_mutex_init(&fn->quiet, NULL);
    cairn_cond_init(&fn->wake);
    code = make_engine(fn, err);
    if (code != CAIRN_OK)
        goto fail;
    fn->plain = wasmtime_linker_new(fn->engine);
    fn->fiber = wasmtime_linker_new(fn->engine);
    fn_host_define(fn->plain, false);
    fn_host_define(fn->fiber, true);
    code = fn_ticker_start(fn, err);
    if (code != CAIRN_OK)
        goto fail;
    *ret_fn = fn;
    return CAIRN_OK;
fail:
    cairn_fn_destroy(fn); /* copes with a half-built one */
    return code;
}

uint64_t cairn_fn_memory_max(const struct cairn_fn *fn)
{
    return fn->options.memory_bytes_max;
}

struct cairn_fn *cairn_fn_destroy(struct cairn_fn *fn)
{
    if (!fn)
        return NULL;
    fn_ticker_stop(fn);
    pthread_cond_destroy(&fn->wake);
    pthread_mutex_destroy(&fn->lock);
    pthread_mutex_destroy(&fn->quiet);
    if (fn->plain)
        wasmtime_linker_delete(fn->plain);
    if (fn->fiber)
        wasmtime_linker_delete(fn->fiber);
    if (fn->engine)
        wasm_engine_delete(fn->engine);
    free(fn->workers);
    free(fn);
    return NULL;
}
