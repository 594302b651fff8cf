/* The host calls: docs/formats/guest-abi.md, one import each; those of ordered maps are in host_ordered.c. */
#include "fn/host_internal.h"

#include <assert.h>

#include "base/value.h"

enum {
    RANDOM_BYTES_MAX = 65536, /* in one host call */
    LOG_BYTES_MAX = 4096,     /* of one line; the rest is cut off */
};

static const uint64_t args_bytes_max = (uint64_t)1 << 30;

static void ahead(struct cairn_run *run, uint32_t field, uint64_t index, bool down, uint64_t count)
{
    if (run->host->ahead && count > 1)
        run->host->ahead(run->context, field, index, down, count < CAIRN_AHEAD_MAX ? count : CAIRN_AHEAD_MAX);
}

/* --- the invocation --- */

HOST_CALL(args)
{
    ENTER();
    BUFFER(out, 0);

    return hand_out(run, v, out, out_bytes, run->host->args(run->context), true);
}

HOST_CALL(args_read)
{
    ENTER();
    run->host->args_read(run->context, u32(v));
    return NULL;
}

HOST_CALL(who)
{
    ENTER();
    uint32_t which = u32(v);
    struct cairn_bytes who;
    BUFFER(out, 1);

    if (which > CAIRN_WHO_REQUEST_KEY)
        return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "host call who knows no %u", which));
    who = run->host->who(run->context, (enum cairn_who)which);
    return hand_out(run, v, out, out_bytes, who, who.data != NULL);
}

HOST_CALL(result)
{
    ENTER();
    BYTES(value, 0);

    CHECK(run->host->result(run->context, value, run->err));
    return NULL;
}

HOST_CALL(fail)
{
    ENTER();
    BYTES(name, 0);
    BYTES(message, 2);

    CHECK(run->host->fail(run->context, name, message, run->err));
    return NULL;
}

HOST_CALL(exit)
{
    ENTER();
    (void)v;
    return stop(run, FN_STOP_EXIT);
}

HOST_CALL(out_of_memory)
{
    ENTER();
    uint64_t most = run->memory_max ? run->memory_max : run->worker->fn->options.memory_bytes_max;

    return failed(run, cairn_fail(run->err, CAIRN_EMEMORY,
                                  "the method needs %u more bytes than the memory limit of "
                                  "%llu KiB leaves",
                                  u32(v), (unsigned long long)(most >> 10)));
}

HOST_CALL(delete_self)
{
    ENTER();
    (void)v;
    CHECK(run->host->delete_self(run->context, run->err));
    return NULL;
}

HOST_CALL(undo)
{
    ENTER();
    (void)v;
    CHECK(run->host->undo(run->context, run->err));
    return NULL;
}

HOST_CALL(now)
{
    ENTER();
    int64_t ms = 0;

    CHECK(run->host->now_ms(run->context, &ms, run->err));
    v[0].i64 = ms;
    return NULL;
}

HOST_CALL(random)
{
    ENTER();
    BUFFER(out, 0);

    if (out_bytes > RANDOM_BYTES_MAX)
        return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "host call random gives at most %d bytes at once",
                                      RANDOM_BYTES_MAX));
    CHECK(run->host->random(run->context, writable(run, out, out_bytes), out_bytes, run->err));
    return NULL;
}

HOST_CALL(log)
{
    ENTER();
    uint32_t level = u32(v);
    BYTES(line, 1);

    if (line.size > LOG_BYTES_MAX)
        line.size = LOG_BYTES_MAX;
    run->host->log(run->context, level > 3 ? 3 : level, line);
    return NULL;
}

/* --- values --- */

HOST_CALL(value_get)
{
    ENTER();
    struct cairn_bytes value = {0};
    bool found = false;
    BUFFER(out, 1);

    CHECK(run->host->value_get(run->context, u32(v), &value, &found, run->err));
    return hand_out(run, v, out, out_bytes, value, found);
}

HOST_CALL(value_set)
{
    ENTER();
    BYTES(value, 1);

    CHECK(run->host->value_set(run->context, u32(v), value, run->err));
    return NULL;
}

HOST_CALL(value_clear)
{
    ENTER();
    CHECK(run->host->value_clear(run->context, u32(v), run->err));
    return NULL;
}

/* --- lists --- */

HOST_CALL(list_count)
{
    ENTER();
    uint64_t entries = 0;

    CHECK(run->host->list_count(run->context, u32(v), &entries, run->err));
    v[0].i64 = (int64_t)entries;
    return NULL;
}

HOST_CALL(list_push)
{
    ENTER();
    BYTES(value, 1);

    CHECK(run->host->list_push(run->context, u32(v), value, run->err));
    return NULL;
}

HOST_CALL(list_set)
{
    ENTER();
    bool found = false;
    BYTES(value, 2);

    CHECK(run->host->list_set(run->context, u32(v), (uint64_t)v[1].i64, value, &found, run->err));
    v[0].i32 = found;
    return NULL;
}

HOST_CALL(list_get)
{
    ENTER();
    struct cairn_bytes value = {0};
    bool found = false;
    BUFFER(out, 2);

    CHECK(run->host->list_get(run->context, u32(v), (uint64_t)v[1].i64, &value, &found, run->err));
    return hand_out(run, v, out, out_bytes, value, found);
}

HOST_CALL(list_drop)
{
    ENTER();
    uint64_t dropped = 0;

    CHECK(run->host->list_drop(run->context, u32(v), (uint64_t)v[1].i64, v[2].i32 != 0, &dropped, run->err));
    v[0].i64 = (int64_t)dropped;
    return NULL;
}

enum { LIST_NEWEST_FIRST = 1, LIST_BARE = 2 };

HOST_CALL(list_read)
{
    ENTER();
    uint32_t field = u32(v), want = u32(v + 2), flags = u32(v + 3);
    uint64_t start = (uint64_t)v[1].i64, there = 0, entries = 0, needs = 0;
    BUFFER(out, 4);
    struct packer p = {run, out, out_bytes, 0};

    if (flags > (LIST_NEWEST_FIRST | LIST_BARE))
        return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "host call list_read knows no flags %u", flags));
    CHECK(run->host->list_count(run->context, field, &there, run->err));
    if (want > READ_ENTRIES_MAX)
        want = READ_ENTRIES_MAX;
    while (entries < want && start < there && entries < there - start) {
        uint64_t index = flags & LIST_NEWEST_FIRST ? there - 1 - start - entries : start + entries;
        struct cairn_bytes value = {0};
        bool found = false;

        if (entries % CAIRN_AHEAD_MAX == 0)
            ahead(run, field, index, flags & LIST_NEWEST_FIRST, want - entries);
        CHECK(run->host->list_get(run->context, field, index, &value, &found, run->err));
        if (!found || !pack(&p, &value, 1, flags & LIST_BARE, &needs))
            break;
        entries++;
        needs = 0;
    }
    return packed(&p, v, entries, needs);
}

/* --- maps --- */

HOST_CALL(map_count)
{
    ENTER();
    uint64_t entries = 0;

    CHECK(run->host->map_count(run->context, u32(v), &entries, run->err));
    v[0].i64 = (int64_t)entries;
    return NULL;
}

HOST_CALL(map_get)
{
    ENTER();
    struct cairn_bytes value = {0};
    bool found = false;
    BYTES(key, 1);
    BUFFER(out, 3);

    CHECK(run->host->map_get(run->context, u32(v), key, &value, &found, run->err));
    return hand_out(run, v, out, out_bytes, value, found);
}

HOST_CALL(map_set)
{
    ENTER();
    BYTES(key, 1);
    BYTES(value, 3);

    CHECK(run->host->map_set(run->context, u32(v), key, value, run->err));
    return NULL;
}

HOST_CALL(map_remove)
{
    ENTER();
    bool found = false;
    BYTES(key, 1);

    CHECK(run->host->map_remove(run->context, u32(v), key, &found, run->err));
    v[0].i32 = found;
    return NULL;
}

HOST_CALL(map_read)
{
    ENTER();
    uint32_t field = u32(v), want = u32(v + 2);
    uint64_t start = (uint64_t)v[1].i64, entries = 0, needs = 0;
    BUFFER(out, 3);
    struct packer p = {run, out, out_bytes, 0};

    if (want > READ_ENTRIES_MAX)
        want = READ_ENTRIES_MAX;
    while (entries < want && start + entries >= start) {
        struct cairn_bytes entry[2] = {{0}};
        bool found = false;

        if (entries % CAIRN_AHEAD_MAX == 0)
            ahead(run, field, start + entries, false, want - entries);
        CHECK(run->host->map_at(run->context, field, start + entries, &entry[0], &entry[1], &found, run->err));
        if (!found || !pack(&p, entry, 2, false, &needs))
            break;
        entries++;
        needs = 0;
    }
    return packed(&p, v, entries, needs);
}

/* --- calls --- */

bool fn_args_valid(struct cairn_bytes args)
{
    struct cairn_reader r = cairn_reader(args);

    while (cairn_reader_left(&r) > 0 && !r.bad) {
        uint32_t size = cairn_read_u32(&r);

        cairn_read_bytes(&r, size);
    }
    return !r.bad && args.size <= args_bytes_max;
}

HOST_CALL(call)
{
    ENTER();
    uint32_t number = 0;
    BYTES(type, 0);
    BYTES(id, 2);
    BYTES(method, 4);
    BYTES(args, 6);

    if (!fn_args_valid(args))
        return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "malformed arguments in host call call"));
    CHECK(run->host->call(run->context, type, id, method, args, &number, run->err));
    v[0].i32 = (int32_t)number;
    return NULL;
}

HOST_CALL(sleep)
{
    ENTER();
    uint32_t number = 0;

    CHECK(run->host->sleep(run->context, v[0].i64, &number, run->err));
    v[0].i32 = (int32_t)number;
    return NULL;
}

HOST_CALL(promise)
{
    ENTER();
    uint8_t id[CAIRN_PROMISE_ID_BYTES];
    uint32_t number = 0;
    BUFFER(out, 1);

    if (out_bytes < sizeof id)
        return out_of_bounds(run, import->name);
    CHECK(run->host->promise(run->context, v[0].i64, id, &number, run->err));
    memcpy(writable(run, out, sizeof id), id, sizeof id);
    v[0].i32 = (int32_t)number;
    return NULL;
}

HOST_CALL(promise_settle)
{
    ENTER();
    bool sent = false;
    BYTES(id, 0);
    BYTES(value, 2);

    if (!cairn_value_valid(value))
        return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "malformed value in host call promise_settle"));
    CHECK(run->host->promise_settle(run->context, id, value, &sent, run->err));
    v[0].i32 = sent;
    return NULL;
}

HOST_CALL(send)
{
    ENTER();
    BYTES(type, 0);
    BYTES(id, 2);
    BYTES(method, 4);
    BYTES(args, 6);

    if (!fn_args_valid(args))
        return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "malformed arguments in host call send"));
    CHECK(run->host->send(run->context, type, id, method, args, v[8].i64, run->err));
    return NULL;
}

HOST_CALL(retry)
{
    ENTER();

    CHECK(run->host->retry(run->context, v[0].i64, run->err));
    return NULL;
}

HOST_CALL(attempts)
{
    ENTER();

    v[0].i64 = (int64_t)run->host->attempts(run->context);
    return NULL;
}

HOST_CALL(ready)
{
    ENTER();
    bool ready = false;

    CHECK(run->host->poll(run->context, u32(v), &ready, run->err));
    v[0].i32 = ready;
    return NULL;
}

HOST_CALL(call_result)
{
    ENTER();
    struct cairn_bytes value = {0};
    BUFFER(out, 1);

    CHECK(run->host->call_result(run->context, u32(v), &value, run->err));
    return hand_out(run, v, out, out_bytes, value, true);
}

/* In a plain run there is no stack to set aside.  Its calls may be run on top of it; what runs there may wait for
 * nothing. */
HOST_CALL(wait)
{
    ENTER();
    enum cairn_calls calls;
    bool ready = false;

    CHECK(run->host->ready(run->context, u32(v), &ready, run->err));
    if (ready)
        return NULL;
    if (run->worker->plain_level == FN_PLAIN_LEVELS)
        return stop(run, FN_STOP_WAIT_NOW);
    calls = run->host->run_calls ? run->host->run_calls(run->context) : CAIRN_CALLS_NEVER;
    if (calls == CAIRN_CALLS_DONE)
        return NULL;
    return stop(run, calls == CAIRN_CALLS_NEVER ? FN_STOP_WAIT : FN_STOP_WAIT_NOW);
}

/* --- waiting in a fiber --- */

static bool wait_over(void *env)
{
    struct cairn_run *run = env;
    bool ready = false;

    if (!run->waiting)
        return true;
    /* Asked again rather than believed: a run resumed too early goes on waiting. */
    if (run->host->ready(run->context, run->waits_for, &ready, run->err) == CAIRN_OK && ready)
        run->waiting = false;
    return !run->waiting;
}

static void wait_async(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t arg_count,
                       wasmtime_val_t *results, size_t result_count, wasm_trap_t **ret_trap,
                       wasmtime_async_continuation_t *ret_continuation)
{
    struct cairn_run *run = run_of(caller);
    bool ready = false;
    enum cairn_code code;

    (void)env, (void)arg_count, (void)results, (void)result_count;
    *ret_continuation = (wasmtime_async_continuation_t){.callback = wait_over, .env = run};
    run->waits_for = (uint32_t)args[0].of.i32;
    code = run->host->ready(run->context, run->waits_for, &ready, run->err);
    if (code != CAIRN_OK) {
        *ret_trap = failed(run, code);
        return;
    }
    run->waiting = !ready;
    if (!run->waiting)
        return;
    /* The store cannot be asked while the fiber is set aside. */
    fn_instance_memory_bytes(run->instance, wasmtime_caller_context(caller));
    fn_run_meter_fuel(run, wasmtime_caller_context(caller));
}

/* --- the table --- */

static const struct import imports[] = {
    {"args", "ii>i", host_args},
    {"args_read", "i", host_args_read},
    {"who", "iii>i", host_who},
    {"result", "ii", host_result},
    {"fail", "iiii", host_fail},
    {"exit", "", host_exit},
    {"out_of_memory", "i", host_out_of_memory},
    {"delete_self", "", host_delete_self},
    {"undo", "", host_undo},
    {"now", ">I", host_now},
    {"random", "ii", host_random},
    {"log", "iii", host_log},
    {"value_get", "iii>i", host_value_get},
    {"value_set", "iii", host_value_set},
    {"value_clear", "i", host_value_clear},
    {"list_count", "i>I", host_list_count},
    {"list_push", "iii", host_list_push},
    {"list_set", "iIii>i", host_list_set},
    {"list_get", "iIii>i", host_list_get},
    {"list_drop", "iIi>I", host_list_drop},
    {"list_read", "iIiiii>I", host_list_read},
    {"map_count", "i>I", host_map_count},
    {"map_get", "iiiii>i", host_map_get},
    {"map_set", "iiiii", host_map_set},
    {"map_remove", "iii>i", host_map_remove},
    {"map_read", "iIiii>I", host_map_read},
    {"call", "iiiiiiii>i", host_call},
    {"sleep", "I>i", host_sleep},
    {"promise", "Iii>i", host_promise},
    {"promise_settle", "iiii>i", host_promise_settle},
    {"send", "iiiiiiiiI", host_send},
    {"retry", "I", host_retry},
    {"attempts", ">I", host_attempts},
    {"ready", "i>i", host_ready},
    {"call_result", "iii>i", host_call_result},
    {"wait", "i", host_wait},
};

enum { IMPORTS = sizeof imports / sizeof *imports };

/* NULL behind the last. */
static const struct import *import_at(size_t i)
{
    if (i < IMPORTS)
        return &imports[i];
    i -= IMPORTS;
    if (i < fn_ordered_import_count)
        return &fn_ordered_imports[i];
    i -= fn_ordered_import_count;
    return i < fn_timer_import_count ? &fn_timer_imports[i] : NULL;
}

bool fn_host_knows(struct cairn_bytes name)
{
    const struct import *import;

    for (size_t i = 0; (import = import_at(i)); i++)
        if (cairn_bytes_equal(name, cairn_str(import->name)))
            return true;
    return false;
}

enum { IMPORT_VALUES_MAX = 16 }; /* parameters of a host call */

static wasm_functype_t *function_type(const char *text)
{
    wasm_valtype_t *types[2][IMPORT_VALUES_MAX];
    size_t counts[2] = {0}, side = 0;
    wasm_valtype_vec_t params, results;

    assert(strlen(text) <= IMPORT_VALUES_MAX);
    for (; *text; text++)
        if (*text == '>')
            side = 1;
        else
            types[side][counts[side]++] = *text == 'I' ? wasm_valtype_new_i64() : wasm_valtype_new_i32();
    wasm_valtype_vec_new(&params, counts[0], types[0]);
    wasm_valtype_vec_new(&results, counts[1], types[1]);
    return wasm_functype_new(&params, &results);
}

void fn_host_define(wasmtime_linker_t *linker, bool fiber)
{
    const struct import *import;

    for (size_t i = 0; (import = import_at(i)); i++) {
        wasm_functype_t *type = function_type(import->type);
        wasmtime_error_t *error;

        if (fiber && import->call == host_wait)
            error = wasmtime_linker_define_async_func(linker, "cairn", 5, import->name, strlen(import->name), type,
                                                      wait_async, NULL, NULL);
        else
            error = wasmtime_linker_define_func_unchecked(linker, "cairn", 5, import->name, strlen(import->name), type,
                                                          import->call, (void *)import, NULL);
        assert(!error);
        (void)error;
        wasm_functype_delete(type);
    }
}
