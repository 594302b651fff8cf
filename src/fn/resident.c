#include "fn/resident.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fn/fn_internal.h"

enum { STACK_BYTES = 256 << 10 };

struct cairn_resident_kind {
    wasm_engine_t *engine;
    wasmtime_module_t *module;
};

struct cairn_resident {
    uint8_t *memory;
    pthread_mutex_t lock; /* of all below */
    bool ended;
    uint32_t references; /* the creator's, until it drops it, and borrowers' */
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_instance_t instance;
    wasmtime_memory_t exported;
    struct cairn_resident_usage usage;
};

/* --- kinds --- */

static wasm_config_t *make_config(void)
{
    wasm_config_t *config = wasm_config_new();

    wasmtime_config_consume_fuel_set(config, true);
    wasmtime_config_max_wasm_stack_set(config, STACK_BYTES);
    cairn_wasmtime_config_only_wasm2(config);
    wasmtime_config_shared_memory_set(config, false);
    wasmtime_config_native_unwind_info_set(config, false);
    wasmtime_config_memory_reservation_set(config, (uint64_t)4 << 30);
    wasmtime_config_memory_guard_size_set(config, 32 << 20);
    wasmtime_config_memory_may_move_set(config, false);
    return config;
}

enum cairn_code cairn_resident_kind_create(struct cairn_bytes wasm, struct cairn_resident_kind **ret_kind,
                                           struct cairn_err *err)
{
    struct cairn_resident_kind *kind = cairn_alloc_zeroed(1, sizeof *kind);
    wasmtime_error_t *error = cairn_wasmtime_engine_new(make_config(), &kind->engine);
    enum cairn_code code = CAIRN_OK;
    wasm_importtype_vec_t imports;

    if (error) {
        free(kind);
        return fn_fail_error(err, CAIRN_ENOMEM, "cannot make the sandbox of residents", error);
    }
    error = wasmtime_module_new(kind->engine, wasm.data, wasm.size, &kind->module);
    if (error)
        code = fn_fail_error(err, CAIRN_EMODULE, "the module does not compile", error);
    if (code == CAIRN_OK) {
        wasmtime_module_imports(kind->module, &imports);
        if (imports.size)
            code = cairn_fail(err, CAIRN_EMODULE, "a module of residents imports nothing, and this one does");
        wasm_importtype_vec_delete(&imports);
    }
    if (code == CAIRN_OK)
        *ret_kind = kind;
    else
        cairn_resident_kind_destroy(kind);
    return code;
}

struct cairn_resident_kind *cairn_resident_kind_destroy(struct cairn_resident_kind *kind)
{
    if (kind && kind->module)
        wasmtime_module_delete(kind->module);
    if (kind)
        wasm_engine_delete(kind->engine);
    free(kind);
    return NULL;
}

/* --- residents --- */

static void destroy(struct cairn_resident *resident)
{
    wasmtime_store_delete(resident->store);
    pthread_mutex_destroy(&resident->lock);
    free(resident);
}

static enum cairn_code instantiate(struct cairn_resident_kind *kind, struct cairn_resident *resident,
                                   struct cairn_err *err)
{
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error =
        wasmtime_instance_new(resident->context, kind->module, NULL, 0, &resident->instance, &trap);
    wasmtime_extern_t item;

    if (error)
        return fn_fail_error(err, CAIRN_ELIMIT, "no room for a resident", error);
    if (trap) {
        wasm_trap_delete(trap);
        return cairn_fail(err, CAIRN_EMODULE, "the module traps before it is ready");
    }
    if (!wasmtime_instance_export_get(resident->context, &resident->instance, "memory", 6, &item) ||
        item.kind != WASMTIME_EXTERN_MEMORY)
        return cairn_fail(err, CAIRN_EMODULE, "the module exports no memory");
    resident->exported = item.of.memory;
    resident->memory = wasmtime_memory_data(resident->context, &resident->exported);
    resident->usage.memory_bytes = wasmtime_memory_data_size(resident->context, &resident->exported);
    return CAIRN_OK;
}

enum cairn_code cairn_resident_create(struct cairn_resident_kind *kind, uint64_t memory_bytes,
                                      struct cairn_resident **ret_resident, struct cairn_err *err)
{
    struct cairn_resident *resident = cairn_alloc_zeroed(1, sizeof *resident);
    enum cairn_code code;

    pthread_mutex_init(&resident->lock, NULL);
    resident->references = 1;
    resident->store = wasmtime_store_new(kind->engine, NULL, NULL);
    resident->context = wasmtime_store_context(resident->store);
    wasmtime_store_limiter(resident->store, (int64_t)memory_bytes, -1, 1, -1, 1);
    code = instantiate(kind, resident, err);
    if (code == CAIRN_OK)
        *ret_resident = resident;
    else
        destroy(resident);
    return code;
}

/* Arguments of the function's own types; NULL, or what is wrong. */
static const char *pack(const wasm_functype_t *type, const uint64_t *args, size_t count, wasmtime_val_t *values)
{
    const wasm_valtype_vec_t *params = wasm_functype_params(type), *results = wasm_functype_results(type);

    if (params->size != count || results->size > 1)
        return "takes another number of arguments, or gives more than one result";
    for (size_t i = 0; i < count; i++) {
        wasm_valkind_t kind = wasm_valtype_kind(params->data[i]);

        if (kind != WASM_I32 && kind != WASM_I64)
            return "takes what is no integer";
        values[i].kind = kind == WASM_I32 ? WASMTIME_I32 : WASMTIME_I64;
        values[i].of.i64 = 0;
        if (kind == WASM_I32)
            values[i].of.i32 = (int32_t)args[i];
        else
            values[i].of.i64 = (int64_t)args[i];
    }
    return NULL;
}

static enum cairn_code fail_trap(wasm_trap_t *trap, const char *function, struct cairn_err *err)
{
    wasmtime_trap_code_t reason;
    bool out_of_fuel = wasmtime_trap_code(trap, &reason) && reason == WASMTIME_TRAP_CODE_OUT_OF_FUEL;

    wasm_trap_delete(trap);
    return out_of_fuel ? cairn_fail(err, CAIRN_ECPU, "the resident's %s used up its fuel", function)
                       : cairn_fail(err, CAIRN_ETRAP, "the resident's %s trapped", function);
}

static enum cairn_code call(struct cairn_resident *resident, const char *function, const uint64_t *args, size_t count,
                            uint64_t *ret_result, struct cairn_err *err)
{
    wasmtime_val_t values[CAIRN_RESIDENT_ARGS_MAX], result = {.kind = WASMTIME_I32};
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error;
    wasmtime_extern_t item;
    wasm_functype_t *type;
    const char *wrong;
    size_t results;

    if (!wasmtime_instance_export_get(resident->context, &resident->instance, function, strlen(function), &item) ||
        item.kind != WASMTIME_EXTERN_FUNC)
        return cairn_fail(err, CAIRN_ENOTFOUND, "the resident has no function %s", function);
    type = wasmtime_func_type(resident->context, &item.of.func);
    results = wasm_functype_results(type)->size;
    wrong = count > CAIRN_RESIDENT_ARGS_MAX ? "takes fewer arguments" : pack(type, args, count, values);
    wasm_functype_delete(type);
    if (wrong)
        return cairn_fail(err, CAIRN_ENOTFOUND, "the resident's %s %s", function, wrong);
    error = wasmtime_func_call(resident->context, &item.of.func, values, count, &result, results, &trap);
    if (error)
        return fn_fail_error(err, CAIRN_ETRAP, "the resident's call failed", error);
    if (trap)
        return fail_trap(trap, function, err);
    if (ret_result)
        *ret_result = result.kind == WASMTIME_I64 ? (uint64_t)result.of.i64 : (uint32_t)result.of.i32;
    return CAIRN_OK;
}

static enum cairn_code fail_ended(struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_EUNAVAILABLE, "the resident was ended");
}

enum cairn_code cairn_resident_call(struct cairn_resident *resident, const char *function, const uint64_t *args,
                                    size_t count, uint64_t fuel, uint64_t *ret_result, struct cairn_err *err)
{
    uint64_t left = 0;
    enum cairn_code code;

    pthread_mutex_lock(&resident->lock);
    if (resident->ended) {
        code = fail_ended(err);
    } else {
        wasmtime_error_t *error = wasmtime_context_set_fuel(resident->context, fuel);

        if (error) /* the engine counts fuel, so there is none */
            wasmtime_error_delete(error);
        code = call(resident, function, args, count, ret_result, err);
        error = wasmtime_context_get_fuel(resident->context, &left);
        if (error)
            wasmtime_error_delete(error);
        resident->usage.calls++;
        resident->usage.fuel += fuel - left;
        resident->usage.memory_bytes = wasmtime_memory_data_size(resident->context, &resident->exported);
    }
    pthread_mutex_unlock(&resident->lock);
    return code;
}

uint8_t *cairn_resident_borrow(struct cairn_resident *resident, size_t *ret_bytes)
{
    uint8_t *memory = NULL;

    pthread_mutex_lock(&resident->lock);
    if (!resident->ended) {
        resident->references++;
        *ret_bytes = resident->usage.memory_bytes;
        memory = resident->memory;
    }
    pthread_mutex_unlock(&resident->lock);
    return memory;
}

void cairn_resident_give_back(struct cairn_resident *resident)
{
    uint32_t left;

    pthread_mutex_lock(&resident->lock);
    left = --resident->references;
    pthread_mutex_unlock(&resident->lock);
    if (left == 0)
        destroy(resident);
}

void cairn_resident_forget(uint8_t *memory, size_t offset, size_t bytes)
{
    int failed = madvise(memory + offset, bytes, MADV_DONTNEED);

    assert(!failed); /* only for a range that is no memory */
    (void)failed;
}

void cairn_resident_end(struct cairn_resident *resident)
{
    pthread_mutex_lock(&resident->lock);
    resident->ended = true;
    pthread_mutex_unlock(&resident->lock);
}

struct cairn_resident *cairn_resident_drop(struct cairn_resident *resident)
{
    if (resident) {
        cairn_resident_end(resident);
        cairn_resident_give_back(resident);
    }
    return NULL;
}

struct cairn_resident_usage cairn_resident_usage(struct cairn_resident *resident)
{
    struct cairn_resident_usage usage;

    pthread_mutex_lock(&resident->lock);
    usage = resident->usage;
    pthread_mutex_unlock(&resident->lock);
    return usage;
}
