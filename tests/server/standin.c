#include "server/standin.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct object {
    char *type, *id;
    struct cairn_buf value;
};

struct cairn_worker {
    struct standin *standin;
    struct cairn_request *first, **last; /* submitted */
    struct cairn_request *late, *never;  /* waiting; started_ns counts the runs that are left */
    atomic_bool release;                 /* any thread sets it */
    struct cairn_buf value;
};

struct standin {
    struct cairn_backend backend;
    struct cairn_worker *workers;
    void (*wake)(void *context, uint32_t index);
    void *context;
    atomic_bool draining, not_ready;
    atomic_uint_least64_t admitted;
    char last[512];
    uint64_t parts, bad_part, parts_asked;
    size_t part_bytes;
    pthread_mutex_t lock; /* guards objects */
    struct object *objects;
    size_t object_count;
};

static bool is(struct cairn_bytes bytes, const char *text)
{
    return cairn_bytes_equal(bytes, cairn_str(text));
}

static struct cairn_bytes next_arg(struct cairn_reader *r)
{
    return cairn_read_bytes(r, cairn_read_u32(r));
}

static uint64_t number(struct cairn_bytes text)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        n = n * 10 + (text.data[i] - '0');
    return n;
}

static void error(struct cairn_buf *to, const char *code, const char *message)
{
    cairn_value_add_error(to, cairn_str(code), cairn_str(message));
}

/* Under the lock; made if it is missing. */
static struct object *find(struct standin *standin, struct cairn_bytes type, struct cairn_bytes id, bool make)
{
    struct object *object;

    for (size_t i = 0; i < standin->object_count; i++)
        if (is(type, standin->objects[i].type) && is(id, standin->objects[i].id))
            return &standin->objects[i];
    if (!make)
        return NULL;
    standin->objects = cairn_realloc(standin->objects, (standin->object_count + 1) * sizeof *standin->objects);
    object = &standin->objects[standin->object_count++];
    *object = (struct object){.type = cairn_bytes_dup(type), .id = cairn_bytes_dup(id)};
    return object;
}

static void run_state(struct standin *standin, struct cairn_request *request, struct cairn_reader *args,
                      struct cairn_buf *to)
{
    struct object *object;

    pthread_mutex_lock(&standin->lock);
    object = find(standin, request->type, request->id, !is(request->method, "get"));
    if (is(request->method, "get")) {
        if (object)
            cairn_value_add_bytes(to, cairn_buf_bytes(&object->value));
        else
            cairn_value_add_nil(to);
    } else if (is(request->method, "set")) {
        struct cairn_bytes value = next_arg(args);

        object->value.size = 0;
        cairn_buf_add(&object->value, value.data, value.size);
        cairn_value_add_nil(to);
    } else {
        uint64_t n = number(cairn_buf_bytes(&object->value)) + 1;

        object->value.size = 0;
        cairn_buf_printf(&object->value, "%" PRIu64, n);
        cairn_value_add_int(to, (int64_t)n);
    }
    pthread_mutex_unlock(&standin->lock);
}

static void run_method(struct standin *standin, struct cairn_request *request, struct cairn_buf *to)
{
    struct cairn_reader args = cairn_reader(request->args);
    struct cairn_bytes method = request->method;
    bool reads = is(method, "get") || is(method, "echo") || is(method, "nil") || is(method, "list") ||
                 is(method, "big") || is(method, "key") || is(method, "late") || is(method, "never") ||
                 is(method, "fail");

    if (is(request->type, "Nothing")) {
        error(to, "unknown_type", "there is no type 'Nothing'");
    } else if (request->read_only && !reads) {
        error(to, "not_read_only", "the method changes its object");
    } else if (is(method, "echo")) {
        uint64_t count = 0;

        for (struct cairn_reader r = args; cairn_reader_left(&r); count++)
            next_arg(&r);
        cairn_value_add_list(to, count);
        while (cairn_reader_left(&args))
            cairn_value_add_bytes(to, next_arg(&args));
    } else if (is(method, "get") || is(method, "set") || is(method, "incr")) {
        run_state(standin, request, &args, to);
    } else if (is(method, "nil")) {
        cairn_value_add_nil(to);
    } else if (is(method, "fail")) {
        struct cairn_bytes code = next_arg(&args);

        cairn_value_add_error(to, code, next_arg(&args));
        request->effects = (enum cairn_effects)number(next_arg(&args)); /* as a node tells them; none without */
    } else if (is(method, "list")) {
        cairn_value_add_list(to, 5);
        cairn_value_add_nil(to);
        cairn_value_add_int(to, -7);
        cairn_value_add_bytes(to, cairn_str("text"));
        cairn_value_add_list(to, 1);
        cairn_value_add_bytes(to, cairn_bytes("\xff\x00", 2));
        error(to, "partial", "2 of 3");
    } else if (is(method, "big")) {
        uint64_t size = number(next_arg(&args));
        struct cairn_buf text = {0};

        memset(cairn_buf_reserve(&text, size), 'x', size);
        cairn_value_add_bytes(to, cairn_bytes(text.data, size));
        cairn_buf_done(&text);
    } else if (is(method, "late")) {
        next_arg(&args);
        cairn_value_add_bytes(to, next_arg(&args));
    } else if (is(method, "never")) {
        cairn_value_add_bytes(to, cairn_str("released"));
    } else if (is(method, "bad")) {
        cairn_buf_u8(to, 0x77);
    } else if (is(method, "key")) {
        cairn_value_add_bytes(to, request->key);
    } else {
        error(to, "unknown_method", "there is no such method");
    }
}

static void text_value(struct cairn_buf *to, const char *text)
{
    cairn_value_add_bytes(to, cairn_str(text));
}

static void run_types(struct cairn_buf *to)
{
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 6);
    text_value(to, "Box");
    text_value(to, "boxes");
    cairn_value_add_int(to, 3);
    cairn_value_add_list(to, 1); /* fields */
    cairn_value_add_list(to, 2);
    text_value(to, "content");
    text_value(to, "value");
    cairn_value_add_list(to, 2); /* methods */
    cairn_value_add_list(to, 4);
    text_value(to, "get");
    text_value(to, "public");
    cairn_value_add_list(to, 2);
    text_value(to, "read-only");
    text_value(to, "deterministic");
    cairn_value_add_list(to, 1); /* limits */
    cairn_value_add_list(to, 4);
    text_value(to, "limit-cpu");
    cairn_value_add_int(to, 10);
    text_value(to, "namespace");
    cairn_value_add_int(to, 20);
    cairn_value_add_list(to, 4);
    text_value(to, "set");
    text_value(to, "public");
    cairn_value_add_list(to, 0);
    cairn_value_add_list(to, 0);
    cairn_value_add_int(to, 0);
    cairn_value_add_nil(to);
}

static void run_types_part(struct standin *standin, struct cairn_request *request, struct cairn_buf *to)
{
    uint64_t part = number(request->cursor);
    char *field = cairn_alloc(standin->part_bytes);
    char text[24];

    standin->parts_asked++;
    if (part == standin->bad_part) {
        error(to, "unavailable", "not now");
        free(field);
        return;
    }
    memset(field, 'f', standin->part_bytes);
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 6);
    snprintf(text, sizeof text, "T%" PRIu64, part);
    text_value(to, text);
    snprintf(text, sizeof text, "m%" PRIu64, part / 2);
    text_value(to, text);
    cairn_value_add_int(to, 1);
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 2);
    cairn_value_add_bytes(to, cairn_bytes(field, standin->part_bytes));
    text_value(to, "value");
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 4);
    text_value(to, "get");
    text_value(to, "public");
    cairn_value_add_list(to, 0);
    cairn_value_add_list(to, 0);
    cairn_value_add_int(to, 0);
    if (++part == standin->parts) {
        cairn_value_add_nil(to);
    } else {
        snprintf(text, sizeof text, "%" PRIu64, part);
        text_value(to, text);
    }
    free(field);
}

void standin_set_parts(struct standin *standin, uint64_t parts, size_t bytes, uint64_t bad)
{
    standin->parts = parts;
    standin->part_bytes = bytes;
    standin->bad_part = bad;
    standin->parts_asked = 0;
}

uint64_t standin_parts_asked(const struct standin *standin)
{
    return standin->parts_asked;
}

static void run_modules(struct cairn_buf *to)
{
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 6);
    text_value(to, "boxes");
    cairn_value_add_int(to, 3);
    text_value(to, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    cairn_value_add_int(to, 1700000000000);
    cairn_value_add_int(to, 4096);
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 3);
    cairn_value_add_int(to, 2);
    text_value(to, "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210");
    cairn_value_add_int(to, 1600000000000);
    cairn_value_add_nil(to);
}

static void run_show(struct standin *standin, struct cairn_request *request, struct cairn_buf *to)
{
    struct cairn_buf tuple = {0};
    struct object *object;

    pthread_mutex_lock(&standin->lock);
    object = find(standin, request->type, request->id, false);
    if (!object) {
        error(to, "not_found", "there is no such object");
        pthread_mutex_unlock(&standin->lock);
        return;
    }
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, 3);
    cairn_value_add_list(to, 4);
    text_value(to, "content");
    text_value(to, "value");
    cairn_value_add_int(to, 1);
    cairn_value_add_bytes(to, cairn_buf_bytes(&object->value));
    pthread_mutex_unlock(&standin->lock);
    cairn_value_add_list(&tuple, 2);
    text_value(&tuple, "alice");
    cairn_value_add_int(&tuple, 42);
    cairn_value_add_list(to, 4);
    text_value(to, "posts");
    text_value(to, "list");
    cairn_value_add_int(to, 7);
    cairn_value_add_list(to, 1);
    cairn_value_add_bytes(to, cairn_buf_bytes(&tuple));
    cairn_value_add_list(to, 4);
    text_value(to, "friends");
    text_value(to, "map");
    cairn_value_add_int(to, 1);
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 2);
    text_value(to, "bob");
    cairn_value_add_bytes(to, cairn_bytes("\xfe\x01", 2));
    cairn_value_add_nil(to);
    cairn_buf_done(&tuple);
}

static bool starts(struct cairn_bytes bytes, struct cairn_bytes with)
{
    return with.size == 0 || (bytes.size >= with.size && memcmp(bytes.data, with.data, with.size) == 0);
}

/* In order of creation; the cursor is the index to go on from. */
static void run_list(struct standin *standin, struct cairn_request *request, struct cairn_buf *to)
{
    size_t at = number(request->cursor), found = 0, end = 0;
    struct cairn_buf ids = {0}, cursor = {0};
    uint32_t limit = request->limit ? request->limit : 100;

    pthread_mutex_lock(&standin->lock);
    for (; at < standin->object_count && found < limit; at++) {
        struct object *object = &standin->objects[at];

        if (!is(request->type, object->type) || !starts(cairn_str(object->id), request->prefix))
            continue;
        text_value(&ids, object->id);
        found++;
        end = at + 1;
    }
    if (at < standin->object_count)
        cairn_buf_printf(&cursor, "%zu", end);
    pthread_mutex_unlock(&standin->lock);
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, found);
    cairn_buf_add(to, ids.data, ids.size);
    if (cursor.size)
        cairn_value_add_bytes(to, cairn_buf_bytes(&cursor));
    else
        cairn_value_add_nil(to);
    cairn_buf_done(&ids);
    cairn_buf_done(&cursor);
}

static void run_delete(struct standin *standin, struct cairn_request *request, struct cairn_buf *to)
{
    struct object *object;

    pthread_mutex_lock(&standin->lock);
    object = find(standin, request->type, request->id, false);
    if (object) {
        free(object->type);
        free(object->id);
        cairn_buf_done(&object->value);
        *object = standin->objects[--standin->object_count];
    }
    pthread_mutex_unlock(&standin->lock);
    cairn_value_add_int(to, object ? 1 : 0);
}

static void run_deploy(struct cairn_request *request, struct cairn_buf *to)
{
    if (!starts(request->body, cairn_bytes("\0asm", 4))) {
        error(to, "bad_module", "this is not a WebAssembly module");
        return;
    }
    cairn_value_add_list(to, 5);
    text_value(to, "boxes");
    cairn_value_add_int(to, 4);
    text_value(to, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    cairn_value_add_int(to, 1);
    cairn_value_add_int(to, 3);
}

static void run_logs(struct cairn_buf *to)
{
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, 1);
    cairn_value_add_list(to, 7);
    cairn_value_add_int(to, 1700000000123);
    cairn_value_add_int(to, 2);
    text_value(to, "Box");
    text_value(to, "b1");
    text_value(to, "set");
    text_value(to, "a line");
    text_value(to, "4bf92f3577b34da6a3ce929d0e0e4736");
    cairn_value_add_nil(to);
}

/* The objects as they were, in case that a call fails. */
static struct cairn_buf *copy_values(const struct standin *standin)
{
    struct cairn_buf *values = cairn_alloc_zeroed(standin->object_count + 1, sizeof *values);

    for (size_t i = 0; i < standin->object_count; i++)
        cairn_buf_add(&values[i], standin->objects[i].value.data, standin->objects[i].value.size);
    return values;
}

static void take_back(struct standin *standin, const struct cairn_buf *values, size_t count)
{
    for (size_t i = 0; i < standin->object_count; i++) {
        standin->objects[i].value.size = 0;
        if (i < count)
            cairn_buf_add(&standin->objects[i].value, values[i].data, values[i].size);
    }
}

static void run_watch(struct standin *standin, const struct cairn_request *request, struct cairn_buf *to)
{
    cairn_value_add_list(to, request->watch_count);
    for (uint32_t i = 0; i < request->watch_count; i++) {
        const struct cairn_multi_watch *watch = &request->watches[i];
        struct object *object = find(standin, watch->type, watch->id, false);
        struct cairn_buf text = {0};

        if (is(watch->type, "Nothing")) {
            to->size = 0;
            error(to, "unknown_type", "there is no type 'Nothing'");
            return;
        }
        cairn_buf_str(&text, "is ");
        if (object)
            cairn_buf_add(&text, object->value.data, object->value.size);
        cairn_value_add_bytes(to, cairn_buf_bytes(&text));
        cairn_buf_done(&text);
    }
}

static bool has_changed(struct standin *standin, const struct cairn_request *request)
{
    struct cairn_buf now = {0};
    bool changed = false;
    struct cairn_reader r;

    run_watch(standin, request, &now);
    r = cairn_reader(cairn_buf_bytes(&now));
    cairn_value_read(&r);
    for (uint32_t i = 0; i < request->watch_count; i++)
        changed |= !cairn_bytes_equal(cairn_value_read(&r).bytes, request->watches[i].change);
    cairn_buf_done(&now);
    return changed;
}

static void run_multi(struct standin *standin, struct cairn_request *request, struct cairn_buf *to)
{
    size_t count = standin->object_count;
    struct cairn_buf *before;

    if (has_changed(standin, request)) {
        cairn_value_add_nil(to);
        return;
    }
    before = copy_values(standin);
    cairn_value_add_list(to, request->call_count + (request->key.size > 0));
    if (request->key.size)
        cairn_value_add_bytes(to, request->key);
    for (uint32_t i = 0; i < request->call_count; i++) {
        const struct cairn_multi_call *call = &request->calls[i];
        struct cairn_request one = {.op = CAIRN_OP_INVOKE,
                                    .type = call->type,
                                    .id = call->id,
                                    .method = call->method,
                                    .args = call->args,
                                    .read_only = call->read_only};
        size_t at = to->size;

        run_method(standin, &one, to);
        if (to->data[at] != (uint8_t)CAIRN_VALUE_ERROR)
            continue;
        take_back(standin, before, count);
        memmove(to->data, to->data + at, to->size - at);
        to->size -= at;
        request->effects = one.effects;
        break;
    }
    for (size_t i = 0; i < count; i++)
        cairn_buf_done(&before[i]);
    free(before);
}

/* A request that waits, for that method. */
static bool has_call(const struct cairn_request *request, const char *method, struct cairn_bytes *ret_args)
{
    if (request->op == CAIRN_OP_INVOKE && is(request->method, method)) {
        *ret_args = request->args;
        return true;
    }
    for (uint32_t i = 0; request->op == CAIRN_OP_MULTI && i < request->call_count; i++)
        if (is(request->calls[i].method, method)) {
            *ret_args = request->calls[i].args;
            return true;
        }
    return false;
}

static void answer(struct cairn_worker *worker, struct cairn_request *request)
{
    struct cairn_buf *to = &worker->value;

    to->size = 0;
    switch (request->op) {
    case CAIRN_OP_INVOKE:
        run_method(worker->standin, request, to);
        break;
    case CAIRN_OP_LIST:
        run_list(worker->standin, request, to);
        break;
    case CAIRN_OP_SHOW:
        run_show(worker->standin, request, to);
        break;
    case CAIRN_OP_DELETE:
        run_delete(worker->standin, request, to);
        break;
    case CAIRN_OP_DEPLOY:
        run_deploy(request, to);
        break;
    case CAIRN_OP_INVOCATIONS:
    case CAIRN_OP_INVOCATION:
    case CAIRN_OP_JOURNAL:
    case CAIRN_OP_CANCEL:
        error(to, "not_found", "nothing durable runs here");
        break;
    case CAIRN_OP_UNDEPLOY:
        if (is(request->name, "boxes"))
            cairn_value_add_nil(to);
        else
            error(to, "not_found", "there is no such module");
        break;
    case CAIRN_OP_MODULES:
        run_modules(to);
        break;
    case CAIRN_OP_TYPES:
        if (worker->standin->parts)
            run_types_part(worker->standin, request, to);
        else
            run_types(to);
        break;
    case CAIRN_OP_LOGS:
        run_logs(to);
        break;
    case CAIRN_OP_WATCH:
        run_watch(worker->standin, request, to);
        break;
    case CAIRN_OP_MULTI:
        run_multi(worker->standin, request, to);
        break;
    case CAIRN_OP_SETTLE:
        cairn_value_add_nil(to);
        break;
    case CAIRN_OP_SNAPSHOT:
    case CAIRN_OP_VERSIONS:
    case CAIRN_OP_FORGET:
    case CAIRN_OP_RESTORE:
    case CAIRN_OP_ROLLBACK:
    case CAIRN_OP_SPACE_CREATE:
    case CAIRN_OP_SPACE_SET:
    case CAIRN_OP_SPACE_REMOVE:
    case CAIRN_OP_SPACE_REMOVE_ALL:
    case CAIRN_OP_SPACES:
    case CAIRN_OP_TRACES:
    case CAIRN_OP_TIMERS:
    case CAIRN_OP_MESSAGES:
    case CAIRN_OP_MESSAGE:
    case CAIRN_OP_MESSAGE_RETRY:
    case CAIRN_OP_MESSAGE_DROP:
    case CAIRN_OP_SEND:
    case CAIRN_OP_KEEPER_READ:
    case CAIRN_OP_KEEPER_ATTACH:
        error(to, "bad_request", "there are no versions here");
        break;
    }
    atomic_fetch_sub(&worker->standin->admitted, 1);
    request->reply(request, cairn_buf_bytes(to));
}

/* --- the backend --- */

static void remember(struct standin *standin, const struct cairn_request *request)
{
    snprintf(standin->last, sizeof standin->last, "op=%d type=%.*s id=%.*s method=%.*s args=%zu key=%.*s ro=%d",
             request->op, (int)request->type.size, (const char *)request->type.data, (int)request->id.size,
             (const char *)request->id.data, (int)request->method.size, (const char *)request->method.data,
             request->args.size, (int)request->key.size, (const char *)request->key.data, request->read_only);
}

static void submit(struct cairn_worker *worker, struct cairn_request *request)
{
    struct standin *standin = worker->standin;

    if (worker == standin->workers)
        remember(standin, request);
    if (atomic_load(&standin->draining)) {
        struct cairn_buf value = {0};

        error(&value, "unavailable", "the node is stopping");
        request->reply(request, cairn_buf_bytes(&value));
        cairn_buf_done(&value);
        return;
    }
    request->effects = CAIRN_EFFECTS_NONE;
    atomic_fetch_add(&standin->admitted, 1);
    request->next = NULL;
    *worker->last = request;
    worker->last = &request->next;
}

static bool run(struct cairn_worker *worker, uint64_t budget_ns)
{
    struct cairn_request *request, **at;
    struct cairn_bytes packed;
    bool more = false;

    (void)budget_ns;
    for (at = &worker->late; (request = *at);) {
        if (--request->started_ns == 0) {
            *at = request->next;
            answer(worker, request);
            at = &worker->late; /* the reply may have submitted */
        } else {
            at = &request->next;
        }
    }
    if (atomic_exchange(&worker->release, false))
        while ((request = worker->never)) {
            worker->never = request->next;
            answer(worker, request);
        }
    while ((request = worker->first)) {
        worker->first = request->next;
        if (!worker->first)
            worker->last = &worker->first;
        if (has_call(request, "late", &packed)) {
            struct cairn_reader args = cairn_reader(packed);

            request->started_ns = number(next_arg(&args)) + 1;
            request->next = worker->late;
            worker->late = request;
        } else if (has_call(request, "never", &packed)) {
            request->next = worker->never;
            worker->never = request;
        } else {
            answer(worker, request);
        }
    }
    for (request = worker->late; request; request = request->next)
        more = true;
    return more;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    (void)worker;
    return UINT64_MAX;
}

static struct cairn_worker *get_worker(void *context, uint32_t index)
{
    struct standin *standin = context;

    return &standin->workers[index];
}

static void drain(void *context)
{
    struct standin *standin = context;

    atomic_store(&standin->draining, true);
}

static uint64_t admitted(void *context)
{
    return standin_admitted(context);
}

static void metrics(void *context, struct cairn_bytes cursor, struct cairn_buf *to, struct cairn_buf *next)
{
    struct standin *standin = context;

    (void)cursor;
    (void)next;
    pthread_mutex_lock(&standin->lock);
    cairn_buf_printf(to, "# HELP standin_objects Objects.\n# TYPE standin_objects gauge\nstandin_objects %zu\n",
                     standin->object_count);
    pthread_mutex_unlock(&standin->lock);
}

static size_t checks(void *context, struct cairn_check to[CAIRN_CHECKS_MAX])
{
    struct standin *standin = context;

    to[0] = (struct cairn_check){.name = "log"};
    to[1] = (struct cairn_check){.name = "archive", .state = CAIRN_CHECK_WARNING, .reason = "far away"};
    if (atomic_load(&standin->not_ready)) {
        to[0].state = CAIRN_CHECK_FAILED;
        snprintf(to[0].reason, sizeof to[0].reason, "the log has failed");
    }
    return 2;
}

static bool time_of(void *context, bool accept, struct cairn_time_state *ret_state)
{
    (void)context;
    *ret_state = (struct cairn_time_state){.now_ms = 1000, .wall_ms = 2500, .behind_ms = 1500};
    return !accept;
}

static void info(void *context, struct cairn_buf *to)
{
    (void)context;
    cairn_buf_str(to, "log_syncs:0\r\n");
}

struct standin *standin_create(uint32_t workers, void (*wake)(void *context, uint32_t index), void *context)
{
    struct standin *standin = cairn_alloc_zeroed(1, sizeof *standin);

    standin->workers = cairn_alloc_zeroed(workers, sizeof standin->workers[0]);
    for (uint32_t i = 0; i < workers; i++) {
        standin->workers[i].standin = standin;
        standin->workers[i].last = &standin->workers[i].first;
    }
    standin->wake = wake;
    standin->context = context;
    pthread_mutex_init(&standin->lock, NULL);
    standin->backend = (struct cairn_backend){
        .context = standin,
        .workers = workers,
        .worker = get_worker,
        .submit = submit,
        .run = run,
        .next_ns = next_ns,
        .drain = drain,
        .admitted = admitted,
        .metrics = metrics,
        .checks = checks,
        .time = time_of,
        .info = info,
    };
    return standin;
}

struct standin *standin_destroy(struct standin *standin)
{
    for (uint32_t i = 0; i < standin->backend.workers; i++)
        cairn_buf_done(&standin->workers[i].value);
    for (size_t i = 0; i < standin->object_count; i++) {
        free(standin->objects[i].type);
        free(standin->objects[i].id);
        cairn_buf_done(&standin->objects[i].value);
    }
    pthread_mutex_destroy(&standin->lock);
    free(standin->objects);
    free(standin->workers);
    free(standin);
    return NULL;
}

const struct cairn_backend *standin_backend(struct standin *standin)
{
    return &standin->backend;
}

void standin_set_keeper(struct standin *standin, const struct keeper_ops *keeper)
{
    standin->backend.keeper = keeper;
}

void standin_release(struct standin *standin)
{
    atomic_store(&standin->workers[0].release, true);
    if (standin->wake)
        standin->wake(standin->context, 0);
}

uint64_t standin_admitted(struct standin *standin)
{
    return atomic_load(&standin->admitted);
}

void standin_set_ready(struct standin *standin, bool is_ready)
{
    atomic_store(&standin->not_ready, !is_ready);
}

const char *standin_last(struct standin *standin)
{
    return standin->last;
}
