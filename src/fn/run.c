/* Invocations: plain first, as a fiber when that does not do.
 *
 *                       +--- waits, too slow: restart() ---+
 *                       |                                  v
 *   start --> plain ----+--> done | failed   start (remembered) --> fiber --> done | failed
 *                                                                   |   ^
 *                                                                   v   | resume
 *                                                              waits | slice --> cancelled
 *
 * While a future is alive its store must not be touched; only host calls, which get the store from
 * Wasmtime, may. */
#include "fn/fn_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Enough for any invocation; below what Wasmtime's own arithmetic could overflow on. */
static const uint64_t fuel_max = (uint64_t)1 << 60;

static const char *trap_text(wasmtime_trap_code_t code)
{
    switch (code) {
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW:
        return "call stack exhausted";
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
        return "memory access out of bounds (a wild pointer, or the C stack overflowed)";
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
        return "function table access out of bounds (a wild function pointer)";
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
        return "call of a null function pointer";
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
        return "call of a function pointer of another type";
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
        return "integer overflow in a division or conversion";
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
        return "integer division by zero";
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
        return "conversion of a number that no integer holds";
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
        return "unreachable code reached";
    default:
        return "trap";
    }
}

/* The innermost guest function, as its name section calls it. */
static void add_place(struct cairn_err *err, const wasm_trap_t *trap)
{
    wasm_frame_t *frame = wasm_trap_origin(trap);
    const wasm_name_t *name;
    size_t used;

    if (!frame)
        return;
    used = strlen(err->text);
    name = wasmtime_frame_func_name(frame);
    if (name)
        snprintf(err->text + used, sizeof err->text - used, " in function %.*s",
                 (int)(name->size < 100 ? name->size : 100), name->data);
    else
        snprintf(err->text + used, sizeof err->text - used, " in function number %u", wasm_frame_func_index(frame));
    wasm_frame_delete(frame);
}

/* A host call's stop comes back as an error, a guest's own trap as a trap. */
static void drop_trap(wasm_trap_t *trap, wasmtime_error_t *error)
{
    if (trap)
        wasm_trap_delete(trap);
    if (error)
        wasmtime_error_delete(error);
}

static bool trap_is(const wasm_trap_t *trap, wasmtime_trap_code_t code)
{
    wasmtime_trap_code_t is;

    return trap && wasmtime_trap_code(trap, &is) && is == code;
}

static enum cairn_code over_cpu(struct cairn_run *run)
{
    return cairn_fail(run->err, CAIRN_ECPU, "the invocation used up its %llu microseconds of CPU time",
                      (unsigned long long)(run->cpu_ns_max / 1000));
}

/* Tells how a run ended that did not end by itself.  Takes trap and error. */
static enum cairn_run_state failure(struct cairn_run *run, wasm_trap_t *trap, wasmtime_error_t *error)
{
    enum cairn_run_state state = CAIRN_RUN_FAILED;
    wasmtime_trap_code_t code;

    if (run->stop == FN_STOP_EXIT) {
        state = CAIRN_RUN_DONE;
    } else if (run->stop == FN_STOP_FAILED) {
        ; /* told already */
    } else if (trap_is(trap, WASMTIME_TRAP_CODE_OUT_OF_FUEL)) {
        over_cpu(run);
    } else if (trap) {
        cairn_fail(run->err, CAIRN_ETRAP, "%s", wasmtime_trap_code(trap, &code) ? trap_text(code) : "trap");
        if (run->err)
            add_place(run->err, trap);
    } else {
        fn_fail_error(run->err, CAIRN_ELIMIT, "the sandbox could not run the method", error);
        error = NULL;
    }
    drop_trap(trap, error);
    return state;
}

static void tell_meter(const struct cairn_run *run, uint64_t memory_bytes, struct cairn_run_meter *ret_meter)
{
    *ret_meter = (struct cairn_run_meter){run->cpu_ns, memory_bytes, run->slices, run->ended_ns};
}

/* --- plain --- */

/* A plain run was interrupted and thrown away; the next ones may go straight to a fiber.  It may have lost its
 * processor to another process, so the first time proves nothing. */
static void learn(struct cairn_method_private *method)
{
    uint32_t useless = atomic_load_explicit(&method->useless, memory_order_relaxed);
    uint32_t skip = useless == 0 ? 0 : useless > 10 ? FN_SKIP_PLAIN : 1u << useless;

    if (skip > FN_SKIP_PLAIN)
        skip = FN_SKIP_PLAIN;
    atomic_store_explicit(&method->useless, useless + 1 ? useless + 1 : useless, memory_order_relaxed);
    atomic_store_explicit(&method->skip_plain, skip, memory_order_relaxed);
}

/* Did the plain run end in a way that a fiber's might not? */
static bool must_start_over(struct cairn_run *run, const wasm_trap_t *trap)
{
    if (run->stop == FN_STOP_WAIT_NOW) {
        if (run->worker->plain_level == 1)
            atomic_store_explicit(&run->method->skip_plain, FN_SKIP_CALLS, memory_order_relaxed);
        return true;
    }
    if (run->stop == FN_STOP_WAIT) {
        atomic_store_explicit(&run->method->skip_plain, FN_SKIP_ALWAYS, memory_order_relaxed);
        return true;
    }
    if (run->stop == FN_STOP_NOT &&
        (trap_is(trap, WASMTIME_TRAP_CODE_INTERRUPT) || trap_is(trap, WASMTIME_TRAP_CODE_OUT_OF_FUEL))) {
        learn(run->method);
        return true;
    }
    return false;
}

/* The run's own limit of memory, which most have none of.  False: the instance has more already, and *err says so. */
static bool limit_memory(const struct cairn_run *run, struct fn_instance *instance)
{
    if (__builtin_expect(run->memory_max == 0, 1))
        return true;
    if (instance->memory_bytes > run->memory_max) {
        cairn_fail(run->err, CAIRN_EMEMORY, "the module's memory starts with %zu KiB, and the method may have %llu KiB",
                   instance->memory_bytes >> 10, (unsigned long long)(run->memory_max >> 10));
        return false;
    }
    fn_instance_limit(instance, run->memory_max);
    return true;
}

/* Another run of the instance may have its own. */
static void unlimit_memory(const struct cairn_run *run, struct fn_instance *instance)
{
    if (__builtin_expect(run->memory_max != 0, 0))
        fn_instance_limit(instance, 0);
}

static uint64_t at_most(uint64_t ns, uint64_t most)
{
    return ns < most ? ns : most;
}

/* False if it must start over as a fiber; run->cpu_ns says what the attempt cost. */
static bool run_plain(struct cairn_run *run, struct fn_module *module, enum cairn_run_state *ret_state,
                      struct cairn_run_meter *ret_meter)
{
    struct cairn_fn_worker *worker = run->worker;
    bool deterministic = worker->fn->options.deterministic;
    struct fn_instance *instance;
    wasmtime_val_raw_t none;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error;
    struct fn_instance *outer;
    uint64_t start, others_ns = worker->plain_ns;

    if (fn_worker_take_plain(worker, module, &instance, run->err) != CAIRN_OK) {
        tell_meter(run, 0, ret_meter);
        *ret_state = CAIRN_RUN_FAILED;
        return true;
    }
    if (!limit_memory(run, instance)) {
        tell_meter(run, instance->memory_bytes, ret_meter);
        fn_worker_put_plain(worker, instance, true);
        *ret_state = CAIRN_RUN_FAILED;
        return true;
    }
    run->instance = instance;
    instance->run = run;
    outer = fn_window_enter(instance);
    if (deterministic) {
        fn_fuel_set(instance->context, worker->fn->options.slice_ns * FN_PLAIN_TICKS);
        error =
            wasmtime_func_call_unchecked(instance->context, fn_instance_func(instance, run->method), &none, 0, &trap);
        run->cpu_ns += worker->fn->options.slice_ns * FN_PLAIN_TICKS - fn_fuel_left(instance->context);
    } else {
        wasmtime_context_set_epoch_deadline(instance->context, FN_PLAIN_TICKS);
        start = fn_clock_ns(worker);
        error =
            wasmtime_func_call_unchecked(instance->context, fn_instance_func(instance, run->method), &none, 0, &trap);
        run->ended_ns = fn_clock_ns(worker);
        start += worker->plain_ns - others_ns; /* of the calls that it has run */
        run->cpu_ns += at_most(run->ended_ns - start, FN_SLICES_MAX * worker->fn->options.slice_ns);
        worker->plain_ns += run->ended_ns - start;
    }
    fn_window_enter(outer);
    unlimit_memory(run, instance);
    run->slices = 1;
    instance->run = NULL;
    tell_meter(run, fn_instance_memory_bytes(instance, instance->context), ret_meter);
    if (__builtin_expect(!trap && !error, 1)) {
        *ret_state = CAIRN_RUN_DONE;
        fn_worker_put_plain(worker, instance, true);
        if (atomic_load_explicit(&run->method->useless, memory_order_relaxed) != 0)
            atomic_store_explicit(&run->method->useless, 0, memory_order_relaxed);
        return true;
    }
    if (must_start_over(run, trap)) {
        drop_trap(trap, error);
        fn_worker_put_plain(worker, instance, false);
        run->stop = FN_STOP_NOT;
        run->instance = NULL;
        return false;
    }
    *ret_state = failure(run, trap, error);
    fn_worker_put_plain(worker, instance, false);
    return true;
}

/* True if the method's plain runs have proved useless lately. */
static bool skips_plain(struct cairn_method_private *method)
{
    uint32_t skip = atomic_load_explicit(&method->skip_plain, memory_order_relaxed);

    if (__builtin_expect(skip == 0, 1))
        return false;
    if (skip != FN_SKIP_ALWAYS)
        atomic_store_explicit(&method->skip_plain, skip - 1, memory_order_relaxed);
    return true;
}

/* --- fibers --- */

static void free_run(struct cairn_run *run)
{
    run->next_free = run->worker->free_runs;
    run->worker->free_runs = run;
}

static void not_waiting(struct cairn_run *run)
{
    if (run->is_waiting)
        run->worker->fibers_waiting--;
    run->is_waiting = false;
}

/* The future is gone or ends here; the instance goes back. */
static void end_fiber(struct cairn_run *run, bool clean)
{
    struct fn_instance *instance = run->instance;

    if (run->future)
        wasmtime_call_future_delete(run->future);
    run->future = NULL;
    drop_trap(run->trap, run->error);
    instance->run = NULL;
    not_waiting(run);
    unlimit_memory(run, instance);
    fn_worker_put_fiber(run->worker, instance, clean);
    free_run(run);
}

static enum cairn_run_state finish(struct cairn_run *run, struct cairn_run_meter *ret_meter)
{
    enum cairn_run_state state = CAIRN_RUN_DONE;
    wasm_trap_t *trap;
    wasmtime_error_t *error;
    bool clean;

    wasmtime_call_future_delete(run->future);
    run->future = NULL;
    trap = run->trap;
    error = run->error;
    run->trap = NULL;
    run->error = NULL;
    clean = !trap && !error;
    if (run->worker->fn->options.deterministic)
        run->cpu_ns = run->fuel_cpu + run->fuel - fn_fuel_left(run->instance->context);
    if (!clean)
        state = failure(run, trap, error);
    tell_meter(run, fn_instance_memory_bytes(run->instance, run->instance->context), ret_meter);
    fn_share_learn(run->method, run->instance->memory_bytes);
    end_fiber(run, clean);
    return state;
}

/* CPU time.  A run that was set aside may be near its limit, and is measured by the thread's own clock; that takes a
 * system call, so that the others, which a tick stops after one or two slices, are measured by the time that passed,
 * and what the operating system did in between is not counted beyond what they can have used. */
static uint64_t slice_clock_ns(const struct cairn_run *run)
{
    struct cairn_clock *clock = run->worker->fn->options.clock;

    return run->was_aside ? clock->thread_ns(clock) : clock->monotonic_ns(clock);
}

/* Runs the fiber until it ends, waits, or has had its slice. */
static enum cairn_run_state drive(struct cairn_run *run, struct cairn_run_meter *ret_meter, struct cairn_err *err)
{
    struct cairn_fn_worker *worker = run->worker;
    uint64_t slice_ns = worker->fn->options.slice_ns, used = 0;
    bool deterministic = worker->fn->options.deterministic;
    enum cairn_run_state state;

    run->err = err;
    run->slices++;
    not_waiting(run);
    for (;;) {
        uint64_t start = deterministic ? 0 : slice_clock_ns(run);
        bool fresh = !run->instance->has_stack, done;

        if (fresh)
            fn_quiet_lock(worker->fn);
        fn_window_enter(run->instance);
        done = wasmtime_call_future_poll(run->future);
        fn_window_enter(NULL);
        if (fresh)
            fn_quiet_unlock(worker->fn);
        run->instance->has_stack = true;

        if (!deterministic) {
            uint64_t end = slice_clock_ns(run), took = end - start;

            run->ended_ns = run->was_aside ? 0 : end;
            if (!run->was_aside)
                took = at_most(took, FN_SLICES_MAX * slice_ns);
            used += took;
            run->cpu_ns += took;
        }
        if (done)
            return finish(run, ret_meter);
        if (deterministic && !run->waiting) {
            used = slice_ns; /* fuel yields by the slice exactly */
            run->cpu_ns += slice_ns;
        }
        if (run->cpu_ns > run->cpu_ns_max) {
            over_cpu(run);
            tell_meter(run, run->instance->memory_bytes, ret_meter);
            end_fiber(run, false);
            return CAIRN_RUN_FAILED;
        }
        if (run->waiting) {
            state = CAIRN_RUN_WAITS;
            break;
        }
        /* A tick came early in this slice, or while the run was waiting: go on. */
        if (used >= slice_ns / 2) {
            state = CAIRN_RUN_SLICE;
            run->was_aside = true;
            break;
        }
    }
    run->err = NULL;
    fn_share_charge(run);
    if (run->waiting) {
        run->is_waiting = true;
        worker->fibers_waiting++;
    }
    tell_meter(run, run->instance->memory_bytes, ret_meter);
    return state;
}

static struct cairn_run *new_run(struct cairn_fn_worker *worker)
{
    struct cairn_run *run = worker->free_runs;

    if (run)
        worker->free_runs = run->next_free;
    else
        run = cairn_alloc(sizeof *run);
    return run;
}

/* `from` is the run so far (nothing, or a plain attempt). */
static enum cairn_run_state start_fiber(const struct cairn_run *from, struct fn_module *module,
                                        struct cairn_run **ret_run, struct cairn_run_meter *ret_meter,
                                        struct cairn_err *err)
{
    struct cairn_fn_worker *worker = from->worker;
    struct fn_instance *instance;
    struct cairn_run *run;
    enum cairn_run_state state;

    tell_meter(from, 0, ret_meter);
    if (fn_worker_take_fiber(worker, module, &instance, err) != CAIRN_OK)
        return CAIRN_RUN_FAILED;
    if (!instance) {
        from->host->restart(from->context);
        return CAIRN_RUN_NO_FIBER;
    }
    if (!limit_memory(from, instance)) {
        fn_worker_put_fiber(worker, instance, true);
        return CAIRN_RUN_FAILED;
    }
    run = new_run(worker);
    *run = *from;
    run->instance = instance;
    instance->run = run;
    if (worker->fn->options.deterministic) {
        run->fuel_cpu = run->cpu_ns;
        run->fuel = run->cpu_ns_max > run->cpu_ns ? run->cpu_ns_max - run->cpu_ns : 1;
        if (run->fuel > fuel_max)
            run->fuel = fuel_max;
        fn_fuel_set(instance->context, run->fuel);
    } else {
        wasmtime_context_set_epoch_deadline(instance->context, 1);
    }
    run->future = wasmtime_func_call_async(instance->context, fn_instance_func(instance, run->method), NULL, 0, NULL, 0,
                                           &run->trap, &run->error);
    state = drive(run, ret_meter, err);
    if (state == CAIRN_RUN_WAITS || state == CAIRN_RUN_SLICE)
        *ret_run = run;
    return state;
}

/* --- the room's door --- */

enum cairn_run_state cairn_run_start(struct cairn_fn_worker *worker, struct cairn_module *module,
                                     const struct cairn_method_decl *method, const struct cairn_host_ops *host,
                                     void *context, const struct cairn_run_limits *limits, struct cairn_run **ret_run,
                                     struct cairn_run_meter *ret_meter, struct cairn_err *err)
{
    struct cairn_run run;
    enum cairn_run_state state;

    *ret_run = NULL;
    cairn_fn_worker_busy(worker, true); /* without a ticker an endless loop would be one */
    run = (struct cairn_run){
        .worker = worker,
        .host = host ? host : &worker->host,
        .context = context,
        .err = err,
        .method = method->private_,
        .cpu_ns_max = limits->cpu_ns,
        .memory_max = limits->memory_bytes,
    };
    if (!skips_plain(run.method)) {
        if (run_plain(&run, fn_module(module), &state, ret_meter))
            return state;
        run.host->restart(context);
    }
    if (worker->plain_level > 0) { /* no fiber may be started from the stack of a plain run */
        tell_meter(&run, 0, ret_meter);
        return CAIRN_RUN_NO_FIBER;
    }
    return start_fiber(&run, fn_module(module), ret_run, ret_meter, err);
}

enum cairn_run_state cairn_run_resume(struct cairn_run *run, struct cairn_run_meter *ret_meter, struct cairn_err *err)
{
    cairn_fn_worker_busy(run->worker, true);
    return drive(run, ret_meter, err);
}

void cairn_run_cancel(struct cairn_run *run)
{
    end_fiber(run, false);
}
