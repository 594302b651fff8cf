/* run.c - invocations on the compute process: a segment holds its object's lock, calls are invocations of their own.
 *
 * Equal to cairn: the same module in the same sandbox, segments that end at a wait, calls that leave when a segment
 * has ended, internal methods only from inside.  Not equal, as there is no storage that would do it: nothing takes
 * back what a failed segment has written without batching, and there are no idempotency keys.
 * A caller runs the calls of its fan-out itself, and helpers take some of them, so that nothing waits for a thread
 * that waits.  Calls to one object may overtake each other. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "disagg.h"

enum { CPU_NS_MAX = 2000000000 };

/* A fan-out under way: calls first .. end - 1 of its caller. */
struct fan_out {
    struct cairn_link link; /* in platform->fan_outs while some are not taken; under its lock, like `next` and `left` */
    struct invocation *caller;
    uint32_t next, end, left;
    pthread_cond_t over;
};

static int64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- calls ------------------------------------------------------------------------------------------- */

static void run_call(struct thread *thread, struct invocation *caller, struct call *call)
{
    struct invocation inv = {
        .id = call->id, .args = call->args, .caller_type = cairn_str(caller->type->name), .caller_id = caller->id};

    invoke(thread, &inv, call->type, call->method, true);
    call->result = inv.result;
    inv.result = (struct cairn_buf){0};
    invocation_done(&inv);
}

/* Under the lock: the next call that nobody has taken. */
static struct call *take(struct platform *platform, struct fan_out *fan_out)
{
    struct call *call = &fan_out->caller->calls[fan_out->next++];

    if (fan_out->next == fan_out->end)
        cairn_list_remove(&fan_out->link);
    (void)platform;
    return call;
}

void help(struct thread *thread)
{
    struct platform *platform = thread->platform;
    struct fan_out *fan_out;
    struct call *call;

    pthread_mutex_lock(&platform->lock);
    while (cairn_list_empty(&platform->fan_outs))
        pthread_cond_wait(&platform->work, &platform->lock);
    fan_out = cairn_container(platform->fan_outs.next, struct fan_out, link);
    call = take(platform, fan_out);
    pthread_mutex_unlock(&platform->lock);
    run_call(thread, fan_out->caller, call);
    pthread_mutex_lock(&platform->lock);
    if (--fan_out->left == 0)
        pthread_cond_signal(&fan_out->over);
    pthread_mutex_unlock(&platform->lock);
}

static void run_calls(struct thread *thread, struct invocation *inv)
{
    struct platform *platform = thread->platform;
    struct fan_out fan_out = {
        .caller = inv, .next = inv->calls_done, .end = inv->call_count, .left = inv->call_count - inv->calls_done};

    if (fan_out.left == 0)
        return;
    if (fan_out.left == 1) {
        run_call(thread, inv, &inv->calls[inv->calls_done++]);
        return;
    }
    pthread_cond_init(&fan_out.over, NULL);
    pthread_mutex_lock(&platform->lock);
    cairn_list_push_back(&platform->fan_outs, &fan_out.link);
    pthread_cond_broadcast(&platform->work);
    while (fan_out.next < fan_out.end) {
        struct call *call = take(platform, &fan_out);

        pthread_mutex_unlock(&platform->lock);
        run_call(thread, inv, call);
        pthread_mutex_lock(&platform->lock);
        fan_out.left--;
    }
    while (fan_out.left)
        pthread_cond_wait(&fan_out.over, &platform->lock);
    pthread_mutex_unlock(&platform->lock);
    pthread_cond_destroy(&fan_out.over);
    inv->calls_done = inv->call_count;
}

/* --- invocations ---------------------------------------------------------------------------------------- */

static void set_error(struct invocation *inv, const char *code, const char *message)
{
    inv->result.size = 0;
    inv->failed = true;
    cairn_value_add_error(&inv->result, cairn_str(code), cairn_str(message));
}

static const struct cairn_method_decl *find(struct invocation *inv, struct cairn_bytes type, struct cairn_bytes method)
{
    const struct cairn_module *module = inv->thread->platform->module;

    for (size_t i = 0; i < module->type_count; i++) {
        if (!cairn_bytes_equal(type, cairn_str(module->types[i].name)))
            continue;
        inv->type = &module->types[i];
        for (size_t k = 0; k < inv->type->method_count; k++)
            if (cairn_bytes_equal(method, cairn_str(inv->type->methods[k].name)))
                return &inv->type->methods[k];
    }
    return NULL;
}

static void set_name(struct invocation *inv)
{
    size_t type = strlen(inv->type->name);
    uint8_t *name = cairn_arena_alloc(&inv->arena, type + 1 + inv->id.size);

    memcpy(name, inv->type->name, type);
    name[type] = '/';
    memcpy(name + type + 1, inv->id.data, inv->id.size);
    inv->name = cairn_bytes(name, type + 1 + inv->id.size);
}

void invoke(struct thread *thread, struct invocation *inv, struct cairn_bytes type, struct cairn_bytes method,
            bool internal)
{
    struct platform *platform = thread->platform;
    struct cairn_run *run = NULL;
    struct cairn_run_meter meter;
    enum cairn_run_state state;
    pthread_rwlock_t *lock;
    struct cairn_err err = {0};

    inv->thread = thread;
    inv->method = find(inv, type, method);
    if (!inv->method) {
        set_error(inv, cairn_code_name(CAIRN_ENOMETHOD), "there is no such method");
        return;
    }
    if (!inv->method->is_public && !internal) {
        set_error(inv, cairn_code_name(CAIRN_ENOTPUBLIC), "the method is internal");
        return;
    }
    set_name(inv);
    lock = &platform->locks[cairn_hash(inv->name) % LOCKS];
    do {
        if (inv->method->read_only)
            pthread_rwlock_rdlock(lock);
        else
            pthread_rwlock_wrlock(lock);
        fields_reset(inv, false);
        inv->now_ms = wall_ms();
        if (run)
            state = cairn_run_resume(run, &meter, &err);
        else
            state = cairn_run_start(thread->worker, platform->module, inv->method, NULL, inv,
                                    &(struct cairn_run_limits){.cpu_ns = CPU_NS_MAX}, &run, &meter, &err);
        while (state == CAIRN_RUN_SLICE)
            state = cairn_run_resume(run, &meter, &err);
        if ((state == CAIRN_RUN_DONE && !inv->failed) || state == CAIRN_RUN_WAITS)
            fields_flush(inv);
        pthread_rwlock_unlock(lock);
        if (state == CAIRN_RUN_NO_FIBER)
            die("the sandbox", "no fiber is free");
        if (state == CAIRN_RUN_WAITS || (state == CAIRN_RUN_DONE && !inv->failed))
            run_calls(thread, inv);
    } while (state == CAIRN_RUN_WAITS);
    if (state == CAIRN_RUN_FAILED)
        set_error(inv, cairn_code_name(err.code), err.text);
    if (!inv->result.size)
        cairn_value_add_nil(&inv->result);
}

void invocation_done(struct invocation *inv)
{
    for (uint32_t i = 0; i < inv->call_count; i++)
        cairn_buf_done(&inv->calls[i].result);
    free(inv->calls);
    free(inv->journal);
    cairn_arena_done(&inv->arena);
    cairn_arena_done(&inv->segment);
    cairn_buf_done(&inv->result);
}

/* --- host calls but for fields ---------------------------------------------------------------------------- */

static void host_restart(void *run)
{
    struct invocation *inv = run;

    fields_reset(inv, true);
    inv->call_count = inv->calls_done;
    inv->result.size = 0;
    inv->failed = false;
}

static struct cairn_bytes host_args(void *run)
{
    return ((struct invocation *)run)->args;
}

static struct cairn_bytes host_who(void *run, enum cairn_who which)
{
    struct invocation *inv = run;

    switch (which) {
    case CAIRN_WHO_SELF_TYPE:
        return cairn_str(inv->type->name);
    case CAIRN_WHO_SELF_ID:
        return inv->id;
    case CAIRN_WHO_CALLER_TYPE:
        return inv->caller_type;
    case CAIRN_WHO_CALLER_ID:
        return inv->caller_id;
    case CAIRN_WHO_REQUEST_KEY: /* its requests have none */
        break;
    }
    return cairn_bytes(NULL, 0);
}

static enum cairn_code host_result(void *run, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    inv->result.size = 0;
    cairn_buf_add(&inv->result, value.data, value.size);
    return CAIRN_OK;
}

static enum cairn_code host_fail(void *run, struct cairn_bytes code, struct cairn_bytes message, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    inv->result.size = 0;
    cairn_value_add_error(&inv->result, code, message);
    inv->failed = true;
    return CAIRN_OK;
}

static enum cairn_code host_delete_self(void *run, struct cairn_err *err)
{
    (void)run;
    return cairn_fail(err, CAIRN_EINVAL, "the benchmark's storage cannot delete objects");
}

static enum cairn_code host_call(void *run, struct cairn_bytes type, struct cairn_bytes id, struct cairn_bytes method,
                                 struct cairn_bytes args, uint32_t *ret_call, struct cairn_err *err)
{
    struct invocation *inv = run;
    struct cairn_arena *arena = &inv->arena;

    (void)err;
    if (inv->call_count == inv->call_room) {
        inv->call_room = inv->call_room ? inv->call_room * 2 : 16;
        inv->calls = cairn_realloc(inv->calls, inv->call_room * sizeof *inv->calls);
    }
    inv->calls[inv->call_count] =
        (struct call){.type = cairn_arena_copy(arena, type), .id = cairn_arena_copy(arena, id)};
    inv->calls[inv->call_count].method = cairn_arena_copy(arena, method);
    inv->calls[inv->call_count].args = cairn_arena_copy(arena, args);
    *ret_call = inv->call_count++;
    return CAIRN_OK;
}

static enum cairn_code host_ready(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    *ret_ready = call == UINT32_MAX ? inv->calls_done == inv->call_count : call < inv->calls_done;
    return CAIRN_OK;
}

static enum cairn_code host_call_result(void *run, uint32_t call, struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (call >= inv->calls_done)
        return cairn_fail(err, CAIRN_ETRAP, "the result of call %u was asked for before waiting for it", call);
    *ret_value = cairn_buf_bytes(&inv->calls[call].result);
    return CAIRN_OK;
}

static enum cairn_code host_now_ms(void *run, int64_t *ret_ms, struct cairn_err *err)
{
    (void)err;
    *ret_ms = ((struct invocation *)run)->now_ms;
    return CAIRN_OK;
}

static enum cairn_code host_random(void *run, uint8_t *out, size_t size, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    cairn_random_fill(&inv->thread->random, out, size);
    return CAIRN_OK;
}

static void host_log(void *run, uint32_t level, struct cairn_bytes line)
{
    (void)run, (void)level, (void)line;
}

const struct cairn_host_ops host_ops = {
    .restart = host_restart,
    .args = host_args,
    .who = host_who,
    .result = host_result,
    .fail = host_fail,
    .value_get = fields_value_get,
    .value_set = fields_value_set,
    .value_clear = fields_value_clear,
    .list_count = fields_list_count,
    .list_push = fields_list_push,
    .list_set = fields_list_set,
    .list_get = fields_list_get,
    .list_drop = fields_list_drop,
    .map_count = fields_map_count,
    .map_get = fields_map_get,
    .map_set = fields_map_set,
    .map_remove = fields_map_remove,
    .map_at = fields_map_at,
    .delete_self = host_delete_self,
    .call = host_call,
    .ready = host_ready,
    .call_result = host_call_result,
    .now_ms = host_now_ms,
    .random = host_random,
    .log = host_log,
};
