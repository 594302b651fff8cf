#include "fn/fn_host.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void set_string(struct fn_host_string *s, struct cairn_bytes bytes)
{
    uint8_t *copy = cairn_alloc(bytes.size + 1);

    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    free(s->data);
    s->data = copy;
    s->size = bytes.size;
}

static void drop_string(struct fn_host_string *s)
{
    free(s->data);
    *s = (struct fn_host_string){0};
}

static struct cairn_bytes string(const struct fn_host_string *s)
{
    return cairn_bytes(s->data, s->size);
}

static void set_buf(struct cairn_buf *buf, struct cairn_bytes bytes)
{
    buf->size = 0;
    cairn_buf_add(buf, bytes.data, bytes.size);
}

/* Back to what was kept. */
static void forget(struct fn_host *h)
{
    for (int i = 0; i < FN_HOST_FIELDS; i++) {
        drop_string(&h->values[i]);
        if (h->kept_values[i].data)
            set_string(&h->values[i], string(&h->kept_values[i]));
    }
    h->list_bytes = 0;
    while (h->list_count > h->kept_list)
        drop_string(&h->list[--h->list_count]);
    while (h->map_count > h->kept_map) {
        drop_string(&h->keys[--h->map_count]);
        drop_string(&h->map[h->map_count]);
    }
    while (h->call_count > 0) {
        struct fn_host_call *call = &h->calls[--h->call_count];

        drop_string(&call->type);
        drop_string(&call->id);
        drop_string(&call->method);
        drop_string(&call->args);
        drop_string(&call->result);
        call->ready = false;
    }
    h->result.size = h->fail_code.size = h->fail_message.size = h->log.size = 0;
    h->deleted = false;
    h->undone = 0;
}

void fn_host_begin(struct fn_host *h)
{
    for (int i = 0; i < FN_HOST_FIELDS; i++) {
        drop_string(&h->kept_values[i]);
        if (h->values[i].data)
            set_string(&h->kept_values[i], string(&h->values[i]));
    }
    h->kept_list = h->list_count;
    h->kept_map = h->map_count;
}

static void keep_nothing(struct fn_host *h)
{
    for (int i = 0; i < FN_HOST_FIELDS; i++)
        drop_string(&h->kept_values[i]);
    h->kept_list = h->kept_map = 0;
}

void fn_host_clear(struct fn_host *h)
{
    keep_nothing(h);
    forget(h);
    h->restarts = h->host_calls = 0;
    h->args.size = 0;
    h->no_caller = false;
    h->fail_call = NULL;
    h->now_ms = 1700000000123;
    cairn_random_init(&h->random, 1);
}

void fn_host_done(struct fn_host *h)
{
    keep_nothing(h);
    forget(h);
    cairn_buf_done(&h->args);
    cairn_buf_done(&h->result);
    cairn_buf_done(&h->fail_code);
    cairn_buf_done(&h->fail_message);
    cairn_buf_done(&h->log);
    cairn_buf_done(&h->shown);
}

void fn_host_args(struct fn_host *h, ...)
{
    const char *arg;
    va_list args;
    uint8_t size[4];

    h->args.size = 0;
    va_start(args, h);
    while ((arg = va_arg(args, const char *)) != NULL) {
        cairn_put_u32(size, (uint32_t)strlen(arg));
        cairn_buf_add(&h->args, size, sizeof size);
        cairn_buf_str(&h->args, arg);
    }
    va_end(args);
}

void fn_host_finish(struct fn_host *h, uint32_t i, struct cairn_bytes value)
{
    for (uint32_t k = 0; k < h->call_count; k++)
        if ((i == UINT32_MAX || i == k) && !h->calls[k].ready) {
            set_string(&h->calls[k].result, value);
            h->calls[k].ready = true;
        }
}

static void show(struct cairn_reader *r, struct cairn_buf *to)
{
    struct cairn_value v = cairn_value_read(r);

    switch (v.kind) {
    case CAIRN_VALUE_NIL:
        cairn_buf_str(to, "nil");
        break;
    case CAIRN_VALUE_INT:
        cairn_buf_printf(to, "%lld", (long long)v.integer);
        break;
    case CAIRN_VALUE_BYTES:
        cairn_buf_str(to, "\"");
        for (size_t i = 0; i < v.bytes.size; i++)
            cairn_buf_u8(to, v.bytes.data[i] < 0x20 ? '.' : v.bytes.data[i]);
        cairn_buf_str(to, "\"");
        break;
    case CAIRN_VALUE_LIST:
        cairn_buf_str(to, "[");
        for (uint64_t i = 0; i < v.count && !r->bad; i++) {
            if (i > 0)
                cairn_buf_str(to, " ");
            show(r, to);
        }
        cairn_buf_str(to, "]");
        break;
    case CAIRN_VALUE_ERROR:
        cairn_buf_printf(to, "!%.*s:%.*s", (int)v.error.size, (const char *)v.error.data, (int)v.bytes.size,
                         (const char *)v.bytes.data);
        break;
    }
}

const char *fn_host_result(struct fn_host *h)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&h->result));
    struct cairn_buf to = {0};

    if (h->result.size == 0)
        return "none";
    show(&r, &to);
    if (r.bad || cairn_reader_left(&r))
        cairn_buf_str(&to, " (malformed)");
    cairn_buf_u8(&to, 0);
    cairn_buf_done(&h->shown);
    h->shown = to;
    return (const char *)to.data;
}

/* --- the host calls --- */

static enum cairn_code enter(struct fn_host *h, const char *name, struct cairn_err *err)
{
    h->host_calls++;
    if (h->fail_call && strcmp(h->fail_call, name) == 0)
        return cairn_fail(err, h->fail_with, "%s was told to fail", name);
    return CAIRN_OK;
}

#define ENTER(name)                                \
    struct fn_host *h = run;                       \
    enum cairn_code entered = enter(h, name, err); \
    if (entered != CAIRN_OK)                       \
    return entered

static void op_restart(void *run)
{
    struct fn_host *h = run;

    h->restarts++;
    forget(h);
}

static struct cairn_bytes op_args(void *run)
{
    struct fn_host *h = run;

    h->host_calls++;
    return cairn_buf_bytes(&h->args);
}

static void op_args_read(void *run, uint32_t count)
{
    struct fn_host *h = run;

    h->host_calls++;
    h->args_read = count;
}

static struct cairn_bytes op_who(void *run, enum cairn_who which)
{
    static const char *const who[] = {"Type", "id", "Caller", "caller id", "key"};
    struct fn_host *h = run;

    h->host_calls++;
    if (which == CAIRN_WHO_REQUEST_KEY ? !h->no_caller : h->no_caller && which >= CAIRN_WHO_CALLER_TYPE)
        return cairn_bytes(NULL, 0);
    return cairn_str(who[which]);
}

static enum cairn_code op_result(void *run, struct cairn_bytes value, struct cairn_err *err)
{
    ENTER("result");
    set_buf(&h->result, value);
    return CAIRN_OK;
}

static enum cairn_code op_fail(void *run, struct cairn_bytes code, struct cairn_bytes message, struct cairn_err *err)
{
    ENTER("fail");
    set_buf(&h->fail_code, code);
    set_buf(&h->fail_message, message);
    return CAIRN_OK;
}

static enum cairn_code check_field(uint32_t field, struct cairn_err *err)
{
    return field < FN_HOST_FIELDS ? CAIRN_OK : cairn_fail(err, CAIRN_EINVAL, "there is no field %u", field);
}

static enum cairn_code op_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                    struct cairn_err *err)
{
    ENTER("value_get");
    if (check_field(field, err) != CAIRN_OK)
        return CAIRN_EINVAL;
    *ret_found = h->values[field].data != NULL;
    *ret_value = string(&h->values[field]);
    return CAIRN_OK;
}

static enum cairn_code op_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    ENTER("value_set");
    if (check_field(field, err) != CAIRN_OK)
        return CAIRN_EINVAL;
    set_string(&h->values[field], value);
    return CAIRN_OK;
}

static enum cairn_code op_value_clear(void *run, uint32_t field, struct cairn_err *err)
{
    ENTER("value_clear");
    drop_string(&h->values[field]);
    return CAIRN_OK;
}

static enum cairn_code op_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    ENTER("list_count");
    (void)field;
    *ret_count = h->list_count;
    return CAIRN_OK;
}

static enum cairn_code op_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    ENTER("list_push");
    (void)field;
    if (h->list_count == FN_HOST_ENTRIES || h->list_bytes > 8 << 20)
        return cairn_fail(err, CAIRN_ELIMIT, "the list is full");
    h->list_bytes += value.size;
    set_string(&h->list[h->list_count++], value);
    return CAIRN_OK;
}

static enum cairn_code op_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                                   struct cairn_err *err)
{
    ENTER("list_set");
    (void)field;
    *ret_found = index < h->list_count;
    if (*ret_found)
        set_string(&h->list[index], value);
    return CAIRN_OK;
}

static enum cairn_code op_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                   bool *ret_found, struct cairn_err *err)
{
    ENTER("list_get");
    (void)field;
    *ret_found = index < h->list_count;
    if (*ret_found)
        *ret_value = string(&h->list[index]);
    return CAIRN_OK;
}

static enum cairn_code op_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                                    struct cairn_err *err)
{
    ENTER("list_drop");
    (void)field;
    if (count > h->list_count)
        count = h->list_count;
    *ret_dropped = count;
    for (uint64_t i = 0; i < count; i++)
        drop_string(&h->list[from_back ? h->list_count - 1 - i : i]);
    if (!from_back)
        memmove(h->list, h->list + count, (h->list_count - count) * sizeof *h->list);
    h->list_count -= count;
    for (uint64_t i = 0; i < count; i++)
        h->list[h->list_count + i] = (struct fn_host_string){0};
    return CAIRN_OK;
}

static enum cairn_code op_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    ENTER("map_count");
    (void)field;
    *ret_count = h->map_count;
    return CAIRN_OK;
}

static size_t find_key(struct fn_host *h, struct cairn_bytes key)
{
    size_t i = 0;

    while (i < h->map_count && !cairn_bytes_equal(string(&h->keys[i]), key))
        i++;
    return i;
}

static enum cairn_code op_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                  bool *ret_found, struct cairn_err *err)
{
    size_t i;
    ENTER("map_get");

    (void)field;
    i = find_key(h, key);
    *ret_found = i < h->map_count;
    if (*ret_found)
        *ret_value = string(&h->map[i]);
    return CAIRN_OK;
}

static enum cairn_code op_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                  struct cairn_err *err)
{
    size_t i;
    ENTER("map_set");

    (void)field;
    i = find_key(h, key);
    if (i == FN_HOST_ENTRIES)
        return cairn_fail(err, CAIRN_ELIMIT, "the map is full");
    if (i == h->map_count)
        set_string(&h->keys[h->map_count++], key);
    set_string(&h->map[i], value);
    return CAIRN_OK;
}

static enum cairn_code op_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                     struct cairn_err *err)
{
    size_t i;
    ENTER("map_remove");

    (void)field;
    i = find_key(h, key);
    *ret_found = i < h->map_count;
    if (*ret_found) {
        drop_string(&h->keys[i]);
        drop_string(&h->map[i]);
        h->map_count--;
        h->keys[i] = h->keys[h->map_count];
        h->map[i] = h->map[h->map_count];
        h->keys[h->map_count] = h->map[h->map_count] = (struct fn_host_string){0};
    }
    return CAIRN_OK;
}

static enum cairn_code op_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                                 struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err)
{
    ENTER("map_at");
    (void)field;
    *ret_found = index < h->map_count;
    if (*ret_found) {
        *ret_key = string(&h->keys[index]);
        *ret_value = string(&h->map[index]);
    }
    return CAIRN_OK;
}

static enum cairn_code op_delete_self(void *run, struct cairn_err *err)
{
    ENTER("delete_self");
    h->deleted = true;
    return CAIRN_OK;
}

static enum cairn_code op_undo(void *run, struct cairn_err *err)
{
    ENTER("undo");
    h->undone++;
    return CAIRN_OK;
}

static enum cairn_code op_call(void *run, struct cairn_bytes type, struct cairn_bytes id, struct cairn_bytes method,
                               struct cairn_bytes args, uint32_t *ret_call, struct cairn_err *err)
{
    struct fn_host_call *call;
    ENTER("call");

    if (h->call_count == FN_HOST_CALLS)
        return cairn_fail(err, CAIRN_ELIMIT, "too many calls");
    call = &h->calls[h->call_count];
    set_string(&call->type, type);
    set_string(&call->id, id);
    set_string(&call->method, method);
    set_string(&call->args, args);
    *ret_call = h->call_count++;
    return CAIRN_OK;
}

static enum cairn_code op_ready(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    ENTER("ready");
    if (call != UINT32_MAX && call >= h->call_count)
        return cairn_fail(err, CAIRN_EINVAL, "call %u was never made", call);
    *ret_ready = true;
    for (uint32_t i = 0; i < h->call_count; i++)
        if (call == UINT32_MAX || call == i)
            *ret_ready &= h->calls[i].ready;
    return CAIRN_OK;
}

static enum cairn_code op_call_result(void *run, uint32_t call, struct cairn_bytes *ret_value, struct cairn_err *err)
{
    ENTER("call_result");
    if (call >= h->call_count || !h->calls[call].ready)
        return cairn_fail(err, CAIRN_EINVAL, "call %u has no result", call);
    *ret_value = string(&h->calls[call].result);
    return CAIRN_OK;
}

static enum cairn_code op_now(void *run, int64_t *ret_ms, struct cairn_err *err)
{
    ENTER("now");
    *ret_ms = h->now_ms;
    return CAIRN_OK;
}

static enum cairn_code op_random(void *run, uint8_t *out, size_t size, struct cairn_err *err)
{
    ENTER("random");
    cairn_random_fill(&h->random, out, size);
    return CAIRN_OK;
}

static void op_log(void *run, uint32_t level, struct cairn_bytes line)
{
    struct fn_host *h = run;

    cairn_buf_printf(&h->log, "%u %.*s\n", level, (int)line.size, (const char *)line.data);
}

const struct cairn_host_ops fn_host_ops = {
    .restart = op_restart,
    .args = op_args,
    .args_read = op_args_read,
    .who = op_who,
    .result = op_result,
    .fail = op_fail,
    .value_get = op_value_get,
    .value_set = op_value_set,
    .value_clear = op_value_clear,
    .list_count = op_list_count,
    .list_push = op_list_push,
    .list_set = op_list_set,
    .list_get = op_list_get,
    .list_drop = op_list_drop,
    .map_count = op_map_count,
    .map_get = op_map_get,
    .map_set = op_map_set,
    .map_remove = op_map_remove,
    .map_at = op_map_at,
    .delete_self = op_delete_self,
    .undo = op_undo,
    .call = op_call,
    .ready = op_ready,
    .poll = op_ready,
    .call_result = op_call_result,
    .now_ms = op_now,
    .random = op_random,
    .log = op_log,
};

/* --- the sandbox --- */

void fn_host_keep_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGILL, SIGFPE};
    static struct sigaction wasmtime[3];
    static bool known;

    for (int i = 0; i < 3; i++)
        sigaction(signals[i], known ? &wasmtime[i] : NULL, known ? NULL : &wasmtime[i]);
    known = true;
}

struct fn_lab *fn_lab_create(const struct cairn_fn_options *options)
{
    struct fn_lab *lab = cairn_alloc_zeroed(1, sizeof *lab);
    struct cairn_fn_options o = {.clock = cairn_clock_system(), .workers = 1, .fibers_per_worker = 16};

    if (options)
        o = *options;
    lab->host = cairn_alloc_zeroed(1, sizeof *lab->host);
    lab->cpu_ns_max = 10000000000; /* sanitizers are slow */
    fn_host_clear(lab->host);
    if (cairn_fn_create(&o, &lab->fn, &lab->err) != CAIRN_OK ||
        cairn_fn_worker_create(lab->fn, &fn_host_ops, &lab->worker, &lab->err) != CAIRN_OK)
        fail_msg("%s", lab->err.text);
    fn_host_keep_signals();
    return lab;
}

void fn_lab_destroy(struct fn_lab *lab)
{
    cairn_fn_worker_destroy(lab->worker);
    cairn_fn_destroy(lab->fn);
    fn_host_done(lab->host);
    free(lab->host);
    free(lab);
}

struct cairn_buf fn_lab_wasm(const char *name)
{
    const char *folder = getenv("CAIRN_GUESTS") ? getenv("CAIRN_GUESTS") : "build";
    struct cairn_buf wasm = {0};
    char path[512];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "%s/%s.wasm", folder, name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened: set CAIRN_GUESTS to the folder with the guests", path);
    do {
        n = fread(cairn_buf_reserve(&wasm, 65536), 1, 65536, file);
        wasm.size += n;
    } while (n > 0);
    fclose(file);
    return wasm;
}

struct cairn_module *fn_lab_module(struct fn_lab *lab, const char *name)
{
    struct cairn_buf wasm = fn_lab_wasm(name);
    struct cairn_module *module = NULL;

    if (cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), &module, &lab->err) != CAIRN_OK)
        fail_msg("%s: %s", name, lab->err.text);
    cairn_buf_done(&wasm);
    return module;
}

const struct cairn_method_decl *fn_lab_method(struct cairn_module *module, const char *name)
{
    for (size_t i = 0; i < module->type_count; i++)
        for (size_t k = 0; k < module->types[i].method_count; k++)
            if (strcmp(module->types[i].methods[k].private_->export, name) == 0)
                return &module->types[i].methods[k];
    fail_msg("there is no method %s", name);
    return NULL;
}

void fn_lab_force(const struct cairn_method_decl *method, bool fiber)
{
    atomic_store(&method->private_->skip_plain, fiber ? FN_SKIP_ALWAYS : 0);
    atomic_store(&method->private_->useless, 0);
}

enum cairn_run_state fn_lab_start_slice(struct fn_lab *lab, struct cairn_module *module, const char *method)
{
    fn_host_keep_signals();
    fn_host_begin(lab->host);
    lab->err = (struct cairn_err){0};
    lab->state = cairn_run_start(lab->worker, module, fn_lab_method(module, method), NULL, lab->host,
                                 &(struct cairn_run_limits){lab->cpu_ns_max, lab->memory_max}, &lab->run, &lab->meter,
                                 &lab->err);
    assert_int_equal(lab->run != NULL, lab->state == CAIRN_RUN_WAITS || lab->state == CAIRN_RUN_SLICE);
    assert_true(lab->state != CAIRN_RUN_FAILED || lab->err.code != CAIRN_OK);
    return lab->state;
}

enum cairn_run_state fn_lab_resume_slice(struct fn_lab *lab)
{
    lab->err = (struct cairn_err){0};
    lab->state = cairn_run_resume(lab->run, &lab->meter, &lab->err);
    if (lab->state != CAIRN_RUN_WAITS && lab->state != CAIRN_RUN_SLICE)
        lab->run = NULL;
    return lab->state;
}

enum cairn_run_state fn_lab_start(struct fn_lab *lab, struct cairn_module *module, const char *method)
{
    fn_lab_start_slice(lab, module, method);
    while (lab->state == CAIRN_RUN_SLICE)
        fn_lab_resume_slice(lab);
    return lab->state;
}

enum cairn_run_state fn_lab_resume(struct fn_lab *lab)
{
    do
        fn_lab_resume_slice(lab);
    while (lab->state == CAIRN_RUN_SLICE);
    return lab->state;
}

enum cairn_run_state fn_lab_run(struct fn_lab *lab, struct cairn_module *module, const char *method)
{
    struct cairn_buf value = {0};

    fn_lab_start(lab, module, method);
    while (lab->state == CAIRN_RUN_WAITS) {
        for (uint32_t i = 0; i < lab->host->call_count; i++) {
            value.size = 0;
            cairn_value_add_bytes(&value, string(&lab->host->calls[i].args));
            fn_host_finish(lab->host, i, cairn_buf_bytes(&value));
        }
        fn_lab_resume(lab);
    }
    cairn_buf_done(&value);
    return lab->state;
}

/* --- hand-made modules --- */

static void add_section(struct cairn_buf *to, uint8_t id, struct cairn_buf *contents)
{
    cairn_buf_u8(to, id);
    cairn_buf_varint(to, contents->size);
    cairn_buf_add(to, contents->data, contents->size);
    contents->size = 0;
}

static void add_name(struct cairn_buf *to, const char *name)
{
    cairn_buf_varint(to, strlen(name));
    cairn_buf_str(to, name);
}

static void add_all(struct cairn_buf *to, const char *bytes, size_t size)
{
    cairn_buf_add(to, bytes, size);
}
#define ADD(to, bytes) add_all(to, bytes, sizeof(bytes) - 1)

struct cairn_buf fn_binary_make(const struct fn_binary *b)
{
    struct cairn_buf out = {0}, s = {0};
    uint8_t method = b->import_module && b->import_kind == 0 ? 1 : 0;

    ADD(&out, "\0asm");
    cairn_buf_u8(&out, b->version ? b->version : 1);
    ADD(&out, "\0\0\0");
    ADD(&s, "\x02\x60\0\0\x60\0\x01\x7f"); /* () -> (); () -> i32 */
    add_section(&out, 1, &s);
    if (b->import_module) {
        ADD(&s, "\x01");
        add_name(&s, b->import_module);
        add_name(&s, b->import_name);
        cairn_buf_u8(&s, b->import_kind);
        if (b->import_kind == 0)
            ADD(&s, "\0");
        else if (b->import_kind == 2)
            ADD(&s, "\0\x01");
        else
            ADD(&s, "\x7f\0");
        add_section(&out, 2, &s);
    }
    ADD(&s, "\x01");
    cairn_buf_u8(&s, b->with_result);
    add_section(&out, 3, &s);
    if (b->table) {
        ADD(&s, "\x01\x70\0\x04");
        add_section(&out, 4, &s);
    }
    if (!b->no_memory) {
        cairn_buf_u8(&s, b->two_memories ? 2 : 1);
        for (int i = 0; i < (b->two_memories ? 2 : 1); i++) {
            ADD(&s, "\0");
            cairn_buf_varint(&s, b->pages ? b->pages : 1);
        }
        add_section(&out, 5, &s);
    }
    if (b->global) {
        ADD(&s, "\x01\x7f\x01\x41\x07\x0b");
        add_section(&out, 6, &s);
    }
    cairn_buf_u8(&s, (uint8_t)(!b->export_missing + !b->no_memory_export + b->global_exported));
    if (!b->export_missing) {
        add_name(&s, b->export_name ? b->export_name : "T.f");
        ADD(&s, "\0");
        cairn_buf_u8(&s, method);
    }
    if (!b->no_memory_export) {
        add_name(&s, "memory");
        ADD(&s, "\x02\0");
    }
    if (b->global_exported) {
        add_name(&s, "g");
        ADD(&s, "\x03\0");
    }
    add_section(&out, 7, &s);
    if (b->start) {
        cairn_buf_u8(&s, method);
        add_section(&out, 8, &s);
    }
    if (b->table) {
        ADD(&s, "\x01\0\x41\0\x0b\x02");
        cairn_buf_u8(&s, method);
        cairn_buf_u8(&s, method);
        add_section(&out, 9, &s);
    }
    ADD(&s, "\x01");
    cairn_buf_varint(&s, b->code_bytes + 4 + (b->with_result ? 2 : 0));
    ADD(&s, "\x01\x02\x7f"); /* two i32 locals */
    cairn_buf_add(&s, b->code, b->code_bytes);
    if (b->with_result)
        ADD(&s, "\x41\x01");
    ADD(&s, "\x0b");
    add_section(&out, 10, &s);
    if (b->data_at) {
        uint8_t leb[10];
        size_t n = 0;
        int64_t v = b->data_at;

        ADD(&s, "\x01\0\x41");
        for (bool more = true; more; n++) { /* signed LEB128 */
            leb[n] = (uint8_t)(v & 0x7f);
            v >>= 7;
            more = !(v == 0 && !(leb[n] & 0x40));
            leb[n] |= more ? 0x80 : 0;
        }
        cairn_buf_add(&s, leb, n);
        ADD(&s, "\x0b\x01x");
        add_section(&out, 11, &s);
    }
    for (int i = 0; i < (b->no_types ? 0 : b->two_types ? 2 : 1); i++) {
        add_name(&s, "cairn.types");
        cairn_buf_str(&s, b->types ? b->types : "abi 1\nmodule m\ntype T\nmethod T f public\n");
        add_section(&out, 0, &s);
    }
    cairn_buf_done(&s);
    return out;
}
