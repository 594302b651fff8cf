/* host_internal.h - what a file of host calls is made of: arguments, guest memory, handing out.
 *
 * Arguments come unchecked from Wasmtime: v[0..] in order, the result goes to v[0].  Every pointer is checked against
 * the memory's size now; what is written beyond the instance's window opens it.  A host call that fails returns a
 * trap, so the guest never runs on; what happened is in the run. */
#ifndef CAIRN_FN_HOST_INTERNAL_H
#define CAIRN_FN_HOST_INTERNAL_H

#include "fn/fn_internal.h"

struct import {
    const char *name;
    const char *type; /* i: i32, I: i64; behind '>' the result */
    wasmtime_func_unchecked_callback_t call;
};

/* --- stopping, guest memory --- */

static inline struct cairn_run *run_of(wasmtime_caller_t *caller)
{
    struct fn_instance *instance = wasmtime_context_get_data(wasmtime_caller_context(caller));

    return instance->run;
}

static inline wasm_trap_t *stop(struct cairn_run *run, enum fn_stop why)
{
    static const char text[] = "stopped by a host call";

    run->stop = why;
    return wasmtime_trap_new(text, sizeof text - 1);
}

static inline wasm_trap_t *failed(struct cairn_run *run, enum cairn_code code)
{
    run->code = code;
    return stop(run, FN_STOP_FAILED);
}

static inline wasm_trap_t *out_of_bounds(struct cairn_run *run, const char *name)
{
    return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "pointer out of bounds in host call %s", name));
}

/* Is [at, at + size) inside the guest's memory? */
static inline bool inside(wasmtime_caller_t *caller, struct fn_instance *instance, uint32_t at, uint32_t size)
{
    uint64_t end = (uint64_t)at + size;

    return end <= instance->memory_bytes ||
           end <= fn_instance_memory_bytes(instance, wasmtime_caller_context(caller)); /* it has grown */
}

/* Guest bytes; v[0] is the pointer, v[1] the size. */
static inline bool get_bytes(wasmtime_caller_t *caller, const struct cairn_run *run, const wasmtime_val_raw_t *v,
                             struct cairn_bytes *ret_bytes)
{
    uint32_t at = (uint32_t)v[0].i32, size = (uint32_t)v[1].i32;

    if (!inside(caller, run->instance, at, size))
        return false;
    *ret_bytes = cairn_bytes(run->instance->memory + at, size);
    return true;
}

/* Where `size` bytes go that are inside. */
static inline uint8_t *writable(struct cairn_run *run, uint32_t at, uint64_t size)
{
    struct fn_instance *instance = run->instance;

    if (at < instance->writable_at || at + size > instance->writable_end)
        fn_window_open_at(instance, at < instance->writable_at ? at : at + size - 1);
    return instance->memory + at;
}

/* Hands out a byte string: as much as fits, and its whole size as the result (-1: there is none).
 * out[0] is the buffer, out[1] its capacity; already checked to be inside. */
static inline wasm_trap_t *hand_out(struct cairn_run *run, wasmtime_val_raw_t *v, uint32_t at, uint32_t capacity,
                                    struct cairn_bytes bytes, bool found)
{
    size_t size = bytes.size < capacity ? bytes.size : capacity;

    if (!found) {
        v[0].i32 = -1;
        return NULL;
    }
    if (bytes.size > INT32_MAX)
        return failed(run, cairn_fail(run->err, CAIRN_ELIMIT, "a value of %zu bytes is too large", bytes.size));
    if (size > 0)
        memcpy(writable(run, at, size), bytes.data, size);
    v[0].i32 = (int32_t)bytes.size;
    return NULL;
}

#define HOST_CALL(name) \
    static wasm_trap_t *host_##name(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t count)

#define ENTER()                             \
    const struct import *import = env;      \
    struct cairn_run *run = run_of(caller); \
    enum cairn_code code = CAIRN_OK;        \
    (void)import, (void)count, (void)code

/* Bytes that the guest passes in v[at], v[at + 1]. */
#define BYTES(variable, at)                           \
    struct cairn_bytes variable;                      \
    if (!get_bytes(caller, run, v + (at), &variable)) \
    return out_of_bounds(run, import->name)

/* A buffer of the guest's in v[at], v[at + 1]. */
#define BUFFER(variable, at)                                                               \
    uint32_t variable = (uint32_t)v[at].i32, variable##_bytes = (uint32_t)v[(at) + 1].i32; \
    if (!inside(caller, run->instance, variable, variable##_bytes))                        \
    return out_of_bounds(run, import->name)

#define CHECK(call)                            \
    code = (call);                             \
    if (__builtin_expect(code != CAIRN_OK, 0)) \
    return failed(run, code)

static inline uint32_t u32(const wasmtime_val_raw_t *v)
{
    return (uint32_t)v->i32;
}

/* --- many entries at once --- */

enum { READ_ENTRIES_MAX = 1024 }; /* in one host call */

/* Appends sized byte strings to a guest's buffer. */
struct packer {
    struct cairn_run *run;
    uint32_t at, capacity;
    uint64_t used;
};

/* One entry of one or two strings, with their sizes unless `bare`.  False if it does not fit; needs says what it
 * would have taken. */
static inline bool pack(struct packer *p, const struct cairn_bytes *strings, size_t count, bool bare,
                        uint64_t *ret_needs)
{
    uint64_t needs = 0;
    uint8_t *to;

    for (size_t i = 0; i < count; i++)
        needs += strings[i].size + (bare ? 0 : 4);
    *ret_needs = needs;
    if (needs > p->capacity - p->used)
        return false;
    to = writable(p->run, p->at, p->used + needs) + p->used;
    for (size_t i = 0; i < count; i++) {
        if (!bare) {
            cairn_put_u32(to, (uint32_t)strings[i].size);
            to += 4;
        }
        if (strings[i].size)
            memcpy(to, strings[i].data, strings[i].size);
        to += strings[i].size;
    }
    p->used += needs;
    return true;
}

/* The result: entries << 32 | bytes; if not even the first entry fits, 0 entries and the bytes that it needs. */
static inline wasm_trap_t *packed(struct packer *p, wasmtime_val_raw_t *v, uint64_t entries, uint64_t needs)
{
    uint64_t bytes = entries ? p->used : needs;

    if (bytes > UINT32_MAX)
        return failed(p->run, cairn_fail(p->run->err, CAIRN_ELIMIT, "an entry of %llu bytes is too large",
                                         (unsigned long long)bytes));
    v[0].i64 = (int64_t)(entries << 32 | bytes);
    return NULL;
}

/* Those of ordered maps (host_ordered.c). */
extern const struct import fn_ordered_imports[];
extern const size_t fn_ordered_import_count;
/* Those of timers (host_timers.c). */
extern const struct import fn_timer_imports[];
extern const size_t fn_timer_import_count;

/* Packed arguments: per argument u32 size, bytes, nothing left over. */
bool fn_args_valid(struct cairn_bytes args);

#endif
