/* Instances: making one, putting one back to how it was made, dropping one.
 *
 * What a call can change in an instance of a reusable module is its memory and its mutable globals, which
 * are all exported (wasm.h).  Memory right after instantiation is known (the image), so it is compared with that
 * block by block, and a block that differs is written back; what the image does not list is zero.
 *
 * A plain or fiber instance that is used again has a window (window.c): outside of it memory is write-protected, so
 * nothing can have changed there and nothing need be looked at.  memory.fill and the like do not occur in reusable
 * modules. */
#include "fn/fn_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/clear.h"

/* --- memory --- */

static void block_reset_zero(uint8_t *at)
{
    uint64_t any = 0, word;

    for (size_t i = 0; i < FN_BLOCK_BYTES; i += sizeof word) {
        memcpy(&word, at + i, sizeof word);
        any |= word;
    }
    if (any)
        cairn_clear(at, FN_BLOCK_BYTES);
}

static void zero_portable(uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += FN_BLOCK_BYTES)
        block_reset_zero(at + i);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void zero_avx2(uint8_t *at, size_t bytes)
{
    for (uint8_t *end = at + bytes; at < end; at += FN_BLOCK_BYTES) {
        const __m256i *v = (const __m256i *)(void *)at;
        __m256i a = _mm256_or_si256(_mm256_or_si256(v[0], v[1]), _mm256_or_si256(v[2], v[3]));
        __m256i b = _mm256_or_si256(_mm256_or_si256(v[4], v[5]), _mm256_or_si256(v[6], v[7]));
        __m256i any = _mm256_or_si256(a, b);

        if (__builtin_expect(!_mm256_testz_si256(any, any), 0))
            cairn_clear(at, FN_BLOCK_BYTES);
    }
}
#endif

/* Both multiples of FN_BLOCK_BYTES. */
static void reset_zero(uint8_t *at, size_t bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        zero_avx2(at, bytes);
        return;
    }
#endif
    zero_portable(at, bytes);
}

static void reset_extent(uint8_t *at, const uint8_t *image, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += FN_BLOCK_BYTES)
        if (memcmp(at + i, image + i, FN_BLOCK_BYTES) != 0)
            memcpy(at + i, image + i, FN_BLOCK_BYTES);
}

/* [at, end): multiples of FN_BLOCK_BYTES, of which no extent lies half outside. */
static void reset_memory(const struct fn_module *module, uint8_t *memory, size_t at, size_t end)
{
    for (uint32_t i = 0; i < module->image_count && module->image[i].at < end; i++) {
        const struct fn_extent *e = &module->image[i];

        if (e->at < at)
            continue;
        reset_zero(memory + at, e->at - at);
        reset_extent(memory + e->at, e->data, e->bytes);
        at = e->at + e->bytes;
    }
    reset_zero(memory + at, end - at);
}

static bool is_zero(const uint8_t *at, size_t bytes)
{
    return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

static bool memory_matches(const struct fn_module *module, const uint8_t *memory)
{
    size_t at = 0;

    for (uint32_t i = 0; i < module->image_count; i++) {
        const struct fn_extent *e = &module->image[i];

        if (!is_zero(memory + at, e->at - at) || memcmp(memory + e->at, e->data, e->bytes) != 0)
            return false;
        at = e->at + e->bytes;
    }
    return is_zero(memory + at, module->memory_bytes - at);
}

/* --- making and dropping --- */

static enum cairn_code instantiate(struct fn_instance *instance, struct cairn_err *err)
{
    struct fn_module *module = instance->module;
    wasmtime_error_t *error = NULL;
    wasm_trap_t *trap = NULL;

    if (instance->fiber) {
        wasmtime_call_future_t *future = wasmtime_instance_pre_instantiate_async(module->fiber, instance->context,
                                                                                 &instance->instance, &trap, &error);

        while (!wasmtime_call_future_poll(future))
            ;
        wasmtime_call_future_delete(future);
    } else {
        error = wasmtime_instance_pre_instantiate(module->plain, instance->context, &instance->instance, &trap);
    }
    if (error)
        return fn_fail_error(err, CAIRN_ELIMIT, "no room for an instance", error);
    if (trap) {
        wasm_trap_delete(trap);
        return cairn_fail(err, CAIRN_EMODULE, "the module's data or elements do not fit into its memory or table");
    }
    return CAIRN_OK;
}

/* The integer behind any number, for comparing bit by bit. */
static uint64_t bits(const wasmtime_val_t *v)
{
    return v->kind == WASMTIME_I64 || v->kind == WASMTIME_F64 ? (uint64_t)v->of.i64 : (uint32_t)v->of.i32;
}

static void find_exports(struct fn_instance *instance)
{
    struct fn_module *module = instance->module;
    wasmtime_extern_t item;
    bool found = wasmtime_instance_export_get(instance->context, &instance->instance, "memory", 6, &item);

    assert(found && item.kind == WASMTIME_EXTERN_MEMORY);
    instance->exported = item.of.memory;
    instance->memory = wasmtime_memory_data(instance->context, &instance->exported);
    instance->memory_bytes = wasmtime_memory_data_size(instance->context, &instance->exported);
    instance->funcs = cairn_alloc_zeroed(module->method_count + 1, sizeof *instance->funcs);
    instance->globals = cairn_alloc_zeroed(module->global_count + 1, sizeof *instance->globals);
    for (uint32_t i = 0; i < module->global_count; i++) {
        found = wasmtime_instance_export_get(instance->context, &instance->instance, module->globals[i],
                                             strlen(module->globals[i]), &item);
        assert(found && item.kind == WASMTIME_EXTERN_GLOBAL);
        instance->globals[i].global = item.of.global;
        wasmtime_global_get(instance->context, &item.of.global, &instance->globals[i].initial);
    }
}

/* A module that touches much memory does so in huge pages: with small ones 16 MiB are 4096 page faults, over 10 ms in a
 * virtual machine, and one memory.fill, which nothing interrupts, takes them all.  The slot's first bytes, which the
 * module's image is mapped to, stay as they are.  A slot keeps what was asked for, which is one mapping more: with so
 * many slots that the process could run out of mappings nothing is asked.  A hint: where it is refused nothing is
 * lost. */
static void ask_for_huge_pages(const struct fn_instance *instance)
{
    enum { HUGE_BYTES = 2 << 20 };
    const struct cairn_fn_options *o = &instance->module->fn->options;
    uintptr_t at = ((uintptr_t)instance->memory + HUGE_BYTES) & ~(uintptr_t)(HUGE_BYTES - 1);
    uintptr_t end = (uintptr_t)instance->memory + o->memory_bytes_max;

    if (at < end && (uint64_t)o->workers * o->fibers_per_worker <= FN_FIBERS_TOTAL_MAX / 2)
        (void)madvise((void *)at, end - at, MADV_HUGEPAGE);
}

enum cairn_code fn_instance_create(struct fn_module *module, bool fiber, struct fn_instance **ret_instance,
                                   struct cairn_err *err)
{
    struct cairn_fn *fn = module->fn;
    struct fn_instance *instance = cairn_alloc_zeroed(1, sizeof *instance);
    enum cairn_code code;

    cairn_list_init(&instance->idle);
    cairn_list_init(&instance->lru);
    instance->module = module;
    instance->fiber = fiber;
    instance->writable_end = SIZE_MAX;
    instance->store = wasmtime_store_new(fn->engine, instance, NULL);
    instance->context = wasmtime_store_context(instance->store);
    if (fiber && fn->options.deterministic)
        wasmtime_context_fuel_async_yield_interval(instance->context, fn->options.slice_ns);
    else if (fiber)
        wasmtime_context_epoch_deadline_async_yield_and_update(instance->context, 1);
    fn_quiet_lock(fn);
    code = instantiate(instance, err);
    fn_quiet_unlock(fn);
    if (code != CAIRN_OK) {
        fn_instance_destroy(instance);
        return code;
    }
    find_exports(instance);
    if (atomic_load_explicit(&module->large, memory_order_relaxed))
        ask_for_huge_pages(instance);
    assert(!module->again || memory_matches(module, instance->memory));
    if (module->again)
        fn_window_close(instance);
    *ret_instance = instance;
    return CAIRN_OK;
}

void fn_instance_destroy(struct fn_instance *instance)
{
    if (!instance)
        return;
    fn_window_open(instance); /* the pool clears the slot */
    fn_quiet_lock(instance->module->fn);
    wasmtime_store_delete(instance->store);
    fn_quiet_unlock(instance->module->fn);
    free(instance->funcs);
    free(instance->globals);
    free(instance);
}

void fn_instance_limit(struct fn_instance *instance, uint64_t memory_max)
{
    wasmtime_store_limiter(instance->store, memory_max ? (int64_t)memory_max : -1, -1, -1, -1, -1);
}

bool fn_instance_reset(struct fn_instance *instance)
{
    const struct fn_module *module = instance->module;
    bool open = instance->writable_end == SIZE_MAX;
    wasmtime_val_t now;

    if (instance->memory_bytes != module->memory_bytes || (open && module->memory_bytes > FN_RESET_BYTES_MAX))
        return false;
    reset_memory(module, instance->memory, instance->writable_at, open ? module->memory_bytes : instance->writable_end);
    if (open && ++instance->resets_open == FN_RESETS_OPEN)
        fn_window_close(instance);
    for (uint32_t i = 0; i < module->global_count; i++) {
        struct fn_global *g = &instance->globals[i];

        wasmtime_global_get(instance->context, &g->global, &now);
        if (bits(&now) != bits(&g->initial)) {
            wasmtime_error_t *error = wasmtime_global_set(instance->context, &g->global, &g->initial);

            assert(!error);
            (void)error;
        }
    }
    return true;
}

const wasmtime_func_t *fn_instance_func(struct fn_instance *instance, const struct cairn_method_private *method)
{
    wasmtime_func_t *func = &instance->funcs[method->index];
    wasmtime_extern_t item;

    if (func->store_id == 0) {
        if (!wasmtime_instance_export_get(instance->context, &instance->instance, method->export,
                                          strlen(method->export), &item) ||
            item.kind != WASMTIME_EXTERN_FUNC)
            return NULL;
        *func = item.of.func;
    }
    return func;
}

size_t fn_instance_memory_bytes(struct fn_instance *instance, const wasmtime_context_t *context)
{
    instance->memory_bytes = wasmtime_memory_data_size(context, &instance->exported);
    if (instance->memory_bytes >= FN_LARGE_BYTES)
        atomic_store_explicit(&instance->module->large, true, memory_order_relaxed);
    return instance->memory_bytes;
}

/* --- the image --- */

static void take_image(struct fn_module *module, const uint8_t *memory)
{
    uint32_t at = 0, bytes = module->memory_bytes;

    while (at < bytes) {
        uint32_t end = at;
        uint8_t *copy;

        while (end < bytes && !is_zero(memory + end, FN_BLOCK_BYTES))
            end += FN_BLOCK_BYTES;
        if (end == at) {
            at += FN_BLOCK_BYTES;
            continue;
        }
        copy = cairn_alloc(end - at);
        memcpy(copy, memory + at, end - at);
        module->image = cairn_realloc(module->image, (module->image_count + 1) * sizeof *module->image);
        module->image[module->image_count++] = (struct fn_extent){at, end - at, copy};
        at = end;
    }
}

enum cairn_code fn_instance_study(struct fn_module *module, struct cairn_err *err)
{
    struct fn_instance *instance;
    enum cairn_code code = fn_instance_create(module, false, &instance, err);

    if (code != CAIRN_OK)
        return code;
    module->memory_bytes = (uint32_t)instance->memory_bytes;
    if (module->module.reusable) {
        take_image(module, instance->memory);
        fn_window_choose(module, instance);
        module->again = module->window_end_max - module->window_at <= FN_RESET_BYTES_MAX;
    }
    fn_instance_destroy(instance);
    return CAIRN_OK;
}
