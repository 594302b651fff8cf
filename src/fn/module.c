/* Modules: what is checked before one is taken, compiling, references. */
#include "fn/check.h"
#include "fn/fn_internal.h"

#include <stdlib.h>

/* Makes the declarations the module's own. */
static void take_types(struct fn_module *m, const struct cairn_types *types)
{
    uint32_t count = 0;

    m->module.name = types->module;
    m->module.types = types->types;
    m->module.type_count = types->type_count;
    for (size_t i = 0; i < types->type_count; i++)
        count += (uint32_t)types->types[i].method_count;
    m->methods = cairn_alloc_zeroed(count + 1, sizeof *m->methods);
    for (size_t i = 0; i < types->type_count; i++)
        for (size_t k = 0; k < types->types[i].method_count; k++) {
            struct cairn_method_private *method = &m->methods[m->method_count];
            char name[FN_EXPORT_BYTES];

            fn_export_name(&types->types[i], &types->types[i].methods[k], name);
            method->module = m;
            method->export = cairn_bytes_dup(cairn_str(name));
            method->index = m->method_count++;
            types->types[i].methods[k].private_ = method;
        }
}

/* A method that may have less than the module's memory begins with would fail every time. */
static enum cairn_code check_memory(const struct fn_module *m, uint64_t bytes, struct cairn_err *err)
{
    for (size_t i = 0; i < m->module.type_count; i++) {
        const struct cairn_type_decl *type = &m->module.types[i];

        for (size_t k = 0; k < type->method_count; k++) {
            uint64_t limit = type->methods[k].limits[CAIRN_LIMIT_MEMORY];

            limit = limit ? limit : type->limits[CAIRN_LIMIT_MEMORY];
            if (limit && limit < bytes)
                return cairn_fail(
                    err, CAIRN_EMODULE,
                    "%s.%s is declared to have %llu KiB of memory (limit-memory), and the module's memory "
                    "starts with %llu KiB",
                    type->name, type->methods[k].name, (unsigned long long)(limit >> 10),
                    (unsigned long long)(bytes >> 10));
        }
    }
    return CAIRN_OK;
}

static enum cairn_code check(struct fn_module *m, struct cairn_bytes binary, struct cairn_err *err)
{
    const struct cairn_fn_options *o = &m->fn->options;
    struct cairn_wasm wasm;
    struct cairn_types types;
    enum cairn_code code;

    if (binary.size > o->module_bytes_max)
        return cairn_fail(err, CAIRN_ELIMIT, "the module has %zu bytes, the limit is %llu", binary.size,
                          (unsigned long long)o->module_bytes_max);
    code = cairn_module_check(binary, &wasm, &types, err);
    if (code != CAIRN_OK)
        return code;
    take_types(m, &types);
    m->module.wasm_bytes = binary.size;
    m->module.reusable = wasm.reusable;
    m->globals = cairn_alloc_zeroed(wasm.global_count + 1, sizeof *m->globals);
    for (uint32_t i = 0; i < wasm.global_count; i++)
        m->globals[m->global_count++] = cairn_bytes_dup(wasm.globals[i]);
    if (wasm.memory_pages_min > o->memory_bytes_max / FN_WASM_PAGE_BYTES)
        code =
            cairn_fail(err, CAIRN_EMODULE, "the module's memory starts with %llu KiB, the limit is %llu KiB",
                       (unsigned long long)wasm.memory_pages_min * 64, (unsigned long long)(o->memory_bytes_max >> 10));
    if (code == CAIRN_OK)
        code = check_memory(m, wasm.memory_pages_min * (uint64_t)FN_WASM_PAGE_BYTES, err);
    cairn_wasm_done(&wasm);
    return code;
}

/* A cache file that Wasmtime refuses, or that was made for other rules, is a miss. */
static enum cairn_code make_code(struct fn_module *m, struct cairn_bytes binary, struct cairn_err *err)
{
    struct cairn_buf compiled = {0};
    wasmtime_error_t *error = NULL;
    enum cairn_code code;

    m->code = fn_cache_load(m->fn, m->module.hash);
    if (m->code)
        return CAIRN_OK;
    code = fn_compile(m->fn, binary, &compiled, err);
    if (code == CAIRN_OK) {
        fn_quiet_lock(m->fn);
        error = wasmtime_module_deserialize(m->fn->engine, compiled.data, compiled.size, &m->code);
        fn_quiet_unlock(m->fn);
    }
    if (error) {
        m->code = NULL;
        code = fn_fail_error(err, CAIRN_EMODULE, "the module does not fit this node", error);
    }
    if (code == CAIRN_OK)
        fn_cache_store(m->fn, m->module.hash, cairn_buf_bytes(&compiled));
    cairn_buf_done(&compiled);
    return code;
}

static enum cairn_code link_code(struct fn_module *m, struct cairn_err *err)
{
    wasmtime_error_t *error = wasmtime_linker_instantiate_pre(m->fn->plain, m->code, &m->plain);

    if (!error)
        error = wasmtime_linker_instantiate_pre(m->fn->fiber, m->code, &m->fiber);
    if (error)
        return fn_fail_error(err, CAIRN_EMODULE, "the module's imports do not fit the guest ABI", error);
    return CAIRN_OK;
}

static void module_free(struct fn_module *m)
{
    struct cairn_types types = {m->module.name, m->module.types, m->module.type_count};

    fn_quiet_lock(m->fn);
    if (m->plain)
        wasmtime_instance_pre_delete(m->plain);
    if (m->fiber)
        wasmtime_instance_pre_delete(m->fiber);
    if (m->code)
        wasmtime_module_delete(m->code);
    fn_quiet_unlock(m->fn);
    cairn_types_done(&types);
    for (uint32_t i = 0; i < m->method_count; i++)
        free(m->methods[i].export);
    for (uint32_t i = 0; i < m->global_count; i++)
        free(m->globals[i]);
    for (uint32_t i = 0; i < m->image_count; i++)
        free((void *)m->image[i].data);
    free(m->methods);
    free(m->globals);
    free(m->image);
    free(m->caches);
    free(m);
}

enum cairn_code cairn_module_compile(struct cairn_fn *fn, struct cairn_bytes wasm, struct cairn_module **ret_module,
                                     struct cairn_err *err)
{
    struct fn_module *m = cairn_alloc_zeroed(1, sizeof *m);
    enum cairn_code code;

    m->fn = fn;
    atomic_init(&m->users, 1);
    atomic_init(&m->holders, 1);
    m->caches = cairn_alloc_zeroed(fn->options.workers, sizeof(struct fn_cache *));
    code = check(m, wasm, err);
    if (code == CAIRN_OK) {
        cairn_sha256(wasm, m->module.hash);
        code = make_code(m, wasm, err);
    }
    if (code == CAIRN_OK)
        code = link_code(m, err);
    if (code == CAIRN_OK)
        code = fn_instance_study(m, err);
    if (code != CAIRN_OK) {
        module_free(m);
        return code;
    }
    *ret_module = &m->module;
    return CAIRN_OK;
}

struct cairn_module *cairn_module_ref(struct cairn_module *module)
{
    atomic_fetch_add_explicit(&fn_module(module)->users, 1, memory_order_relaxed);
    return module;
}

void cairn_module_unref(struct cairn_module *module)
{
    if (module && atomic_fetch_sub_explicit(&fn_module(module)->users, 1, memory_order_acq_rel) == 1)
        fn_module_release(fn_module(module));
}

void fn_module_hold(struct fn_module *module)
{
    atomic_fetch_add_explicit(&module->holders, 1, memory_order_relaxed);
}

void fn_module_release(struct fn_module *module)
{
    if (atomic_fetch_sub_explicit(&module->holders, 1, memory_order_acq_rel) == 1)
        module_free(module);
}
