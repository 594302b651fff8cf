/* host.c - what the guest's host calls mean: arguments, results, calls, time; `run` is the invocation. */
#include <inttypes.h>
#include <stdlib.h>

#include "object/call.h"
#include "object/delivery.h"
#include "object/direct.h"
#include "object/host.h"
#include "object/host_fields.h"
#include "object/host_ordered.h"
#include "object/host_timers.h"
#include "object/invocation.h"
#include "object/method_log.h"
#include "object/once.h"
#include "object/segment.h"
#include "object/settle.h"
#include "object/span.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

/* --- lifecycle, arguments, result ----------------------------------------------------------- */

static void host_restart(void *run)
{
    struct invocation *inv = run;

    segment_restart(inv->worker, inv);
    if (inv->call_count) /* those that it has run itself (direct.c) count for nothing: they are made again */
        atomic_fetch_sub_explicit(&inv->job->calls, inv->call_count, memory_order_relaxed);
    invocation_forget_calls(inv->worker, inv);
    if (inv->span)
        span_forget_calls(inv);
    inv->result.size = 0;
    inv->failed = false;
    inv->args_read = 0;
    stat_add(&inv->worker->counts.restarts, 1);
}

static struct cairn_bytes host_args(void *run)
{
    struct invocation *inv = run;

    inv->args_read = UINT32_MAX;
    return inv->args;
}

static void host_args_read(void *run, uint32_t count)
{
    ((struct invocation *)run)->args_read = count;
}

static struct cairn_bytes host_who(void *run, enum cairn_who which)
{
    struct invocation *inv = run;

    switch (which) {
    case CAIRN_WHO_SELF_TYPE:
        return inv->type->name;
    case CAIRN_WHO_SELF_ID:
        return object_id(inv->object);
    case CAIRN_WHO_CALLER_TYPE:
        inv->keeps_result = false; /* another caller may get another result */
        return inv->caller_type;
    case CAIRN_WHO_CALLER_ID:
        inv->keeps_result = false;
        return inv->caller_id;
    case CAIRN_WHO_REQUEST_KEY:
        inv->keeps_result = false;
        return once_client_key(inv);
    }
    return cairn_bytes(NULL, 0);
}

static enum cairn_code host_result(void *run, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (value.size > inv->method->limits.most[CAIRN_LIMIT_RESULT]) {
        cairn_fail(err, CAIRN_ELIMIT, "the result has %zu bytes; at most %" PRIu64 " are allowed", value.size,
                   inv->method->limits.most[CAIRN_LIMIT_RESULT]);
        method_limit_tell(inv, CAIRN_LIMIT_RESULT, err);
        return CAIRN_ELIMIT;
    }
    if (!cairn_value_valid(value))
        return cairn_fail(err, CAIRN_ETRAP, "the result is not a well-formed value");
    inv->result.size = 0;
    cairn_buf_add(&inv->result, value.data, value.size);
    inv->failed = value.data[0] == (uint8_t)CAIRN_VALUE_ERROR;
    return CAIRN_OK;
}

static enum cairn_code host_fail(void *run, struct cairn_bytes code, struct cairn_bytes message, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (!cairn_name_valid(code))
        return cairn_fail(err, CAIRN_ETRAP, "a method's error code must be a name of at most 64 letters, digits and _");
    if (message.size > 4096)
        message.size = 4096;
    inv->result.size = 0;
    cairn_value_add_error(&inv->result, code, message);
    inv->failed = true;
    return CAIRN_OK;
}

static enum cairn_code host_undo(void *run, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    inv->operations += inv->segment->overlay.operations; /* they were done */
    inv->read_bytes += inv->segment->overlay.read_bytes;
    segment_restart(inv->worker, inv);
    return CAIRN_OK;
}

/* --- calls ----------------------------------------------------------------------------------- */

static enum cairn_code host_call(void *run, struct cairn_bytes type_name, struct cairn_bytes id,
                                 struct cairn_bytes method_name, struct cairn_bytes args, uint32_t *ret_call,
                                 struct cairn_err *err)
{
    struct invocation *inv = run, *callee;
    struct type *type =
        cairn_bytes_equal(type_name, inv->type->name) ? inv->type : type_find(inv->worker, inv->type->space, type_name);
    struct call_aim aim = {&operation_invoke,     type_name, id, method_name, args, inv->type->name,
                           object_id(inv->object)};
    enum cairn_code code;

    if (id.size == 0 || id.size > CAIRN_ID_BYTES_MAX || !cairn_name_valid(type_name) || !cairn_name_valid(method_name))
        return cairn_fail(err, CAIRN_ETRAP, "a call needs a type, an id of 1 to %d bytes, and a method",
                          CAIRN_ID_BYTES_MAX);
    code = call_make(inv, &aim, &callee, err);
    if (code != CAIRN_OK)
        return code;
    callee->must_read_only = inv->method->decl->read_only || inv->must_read_only;
    callee->must_deterministic = inv->method->decl->deterministic || inv->must_deterministic;
    callee->may_internal = type && type->module && strcmp(type->module->name, inv->type->module->name) == 0;
    *ret_call = callee->caller_call;
    return CAIRN_OK;
}

static enum cairn_code host_send(void *run, struct cairn_bytes type_name, struct cairn_bytes id,
                                 struct cairn_bytes method_name, struct cairn_bytes args, int64_t delay_ms,
                                 struct cairn_err *err)
{
    struct invocation *inv = run;
    const struct cairn_limits *limits = &inv->worker->node->limits;
    const struct type *type = inv->type;
    const struct type *to = type_find(inv->worker, type->space, type_name);
    struct posted posted = {.space = type->space->name,
                            .type = type_name,
                            .id = id,
                            .method = method_name,
                            .args = args,
                            .from_type = type->name,
                            .from_id = object_id(inv->object),
                            .parent = {.job = invocation_job(inv)->id, .span = span_id(inv)}};
    enum cairn_code code;

    if (inv->read_only)
        return cairn_fail(err, CAIRN_ENOTREADONLY, "read-only method %s.%s tried to send a message", type->decl->name,
                          inv->method->decl->name);
    if (args.size > limits->value_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "the message's arguments have %zu bytes; at most %u are allowed",
                          args.size, limits->value_bytes);
    if (id.size == 0 || id.size > CAIRN_ID_BYTES_MAX || !cairn_name_valid(type_name) || !cairn_name_valid(method_name))
        return cairn_fail(err, CAIRN_ETRAP, "a message needs a type, an id of 1 to %d bytes, and a method",
                          CAIRN_ID_BYTES_MAX);
    if (to && to->module && strcmp(to->module->name, type->module->name) == 0)
        posted.flags = POSTED_INTERNAL;
    code = messages_send(inv, &posted, delay_ms, err);
    if (code == CAIRN_EQUOTA) /* of a client that is its own; the method hears of a limit */
        code = err->code = CAIRN_ELIMIT;
    return code;
}

static enum cairn_code host_promise_settle(void *run, struct cairn_bytes id, struct cairn_bytes value, bool *ret_sent,
                                           struct cairn_err *err)
{
    struct invocation *inv = run;
    const struct cairn_limits *limits = &inv->worker->node->limits;
    struct cairn_reader r = cairn_reader(value);
    struct cairn_value outcome;
    enum cairn_code code;
    uint32_t shard;

    if (inv->read_only)
        return cairn_fail(err, CAIRN_ENOTREADONLY, "read-only method %s.%s tried to settle a promise",
                          inv->type->decl->name, inv->method->decl->name);
    if (value.size > limits->value_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "the promise's outcome has %zu bytes; at most %u are allowed", value.size,
                          limits->value_bytes);
    outcome = cairn_value_read(&r);
    if (outcome.kind == CAIRN_VALUE_ERROR && !cairn_name_valid(outcome.error))
        return cairn_fail(err, CAIRN_ETRAP,
                          "a promise's error code must be a name of at most 64 letters, digits and _");
    if (!settle_shard(inv->worker->node, id, &shard))
        return CAIRN_OK;
    code = settle_send(inv, id, value, err);
    *ret_sent = code == CAIRN_OK;
    if (code == CAIRN_EQUOTA) /* of a client that is its own; the method hears of a limit */
        code = err->code = CAIRN_ELIMIT;
    return code;
}

/* Only those can that go on from a journal. */
static enum cairn_code not_durable(const struct invocation *inv, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ELIMIT, "%s.%s tried to %s%s: only durable methods can", inv->type->decl->name,
                      inv->method->decl->name, what, inv->transaction ? " in a transaction" : "");
}

static enum cairn_code host_sleep(void *run, int64_t ms, uint32_t *ret_call, struct cairn_err *err)
{
    (void)ms, (void)ret_call;
    return not_durable(run, "sleep", err);
}

static enum cairn_code host_promise(void *run, int64_t within_ms, uint8_t to[CAIRN_PROMISE_ID_BYTES],
                                    uint32_t *ret_call, struct cairn_err *err)
{
    (void)within_ms, (void)to, (void)ret_call;
    return not_durable(run, "make a promise", err);
}

static enum cairn_code host_retry(void *run, int64_t delay_ms, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    inv->result.size = 0;
    cairn_value_add_error(&inv->result, cairn_str("retry"),
                          cairn_str(delivery_ask_retry(inv, delay_ms)
                                        ? "the method asks to be tried again"
                                        : "the method asks to be tried again, which only a message is"));
    inv->failed = true;
    return CAIRN_OK;
}

static uint64_t host_attempts(void *run)
{
    return delivery_attempts(run);
}

static enum cairn_code host_ready(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (call != UINT32_MAX && call >= inv->call_count)
        return cairn_fail(err, CAIRN_ETRAP, "waiting for call %u, but only %u were issued", call, inv->call_count);
    inv->awaiting = call;
    if (call == UINT32_MAX)
        *ret_ready = inv->calls_out == 0 && inv->segment->call_count == 0;
    else
        *ret_ready = inv->calls[call].state == CALL_DONE;
    return CAIRN_OK;
}

static enum cairn_code host_call_result(void *run, uint32_t call, struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (call >= inv->call_count || inv->calls[call].state != CALL_DONE)
        return cairn_fail(err, CAIRN_ETRAP, "the result of call %u was asked for before waiting for it", call);
    inv->calls[call].seen = true;
    *ret_value =
        cairn_bytes(inv->calls[call].large ? inv->calls[call].large : inv->calls[call].small, inv->calls[call].size);
    return CAIRN_OK;
}

/* --- time, randomness, log lines -------------------------------------------------------------- */

static enum cairn_code not_deterministic(struct invocation *inv, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ENOTDETERM, "deterministic method %s.%s used `%s`", inv->type->decl->name,
                      inv->method->decl->name, what);
}

static enum cairn_code host_now_ms(void *run, int64_t *ret_ms, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (inv->method->decl->deterministic || inv->must_deterministic)
        return not_deterministic(inv, "now", err);
    *ret_ms = invocation_now_ms(inv);
    dependency_join(&inv->depends, (struct dependency){.time_ms = (uint64_t)*ret_ms});
    return CAIRN_OK;
}

static enum cairn_code host_random(void *run, uint8_t *out, size_t size, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (inv->method->decl->deterministic || inv->must_deterministic)
        return not_deterministic(inv, "random", err);
    cairn_random_fill(&inv->worker->random, out, size);
    return CAIRN_OK;
}

static void host_log(void *run, uint32_t level, struct cairn_bytes line)
{
    ((struct invocation *)run)->keeps_result = false; /* the line is to be written each time */
    method_log_add(run, level, line);
}

const struct cairn_host_ops object_host_ops = {
    .restart = host_restart,
    .args = host_args,
    .args_read = host_args_read,
    .who = host_who,
    .result = host_result,
    .fail = host_fail,
    .value_get = host_value_get,
    .value_set = host_value_set,
    .value_clear = host_value_clear,
    .list_count = host_list_count,
    .list_push = host_list_push,
    .list_set = host_list_set,
    .list_get = host_list_get,
    .list_drop = host_list_drop,
    .map_count = host_map_count,
    .map_get = host_map_get,
    .map_set = host_map_set,
    .map_remove = host_map_remove,
    .map_at = host_map_at,
    .ordered_count = host_ordered_count,
    .ordered_get = host_ordered_get,
    .ordered_set = host_ordered_set,
    .ordered_remove = host_ordered_remove,
    .ordered_rank = host_ordered_rank,
    .ordered_read = host_ordered_read,
    .ordered_read_at = host_ordered_read_at,
    .ahead = host_ahead,
    .delete_self = host_delete_self,
    .undo = host_undo,
    .call = host_call,
    .send = host_send,
    .sleep = host_sleep,
    .promise = host_promise,
    .promise_settle = host_promise_settle,
    .retry = host_retry,
    .attempts = host_attempts,
    .timer_set = host_timer_set,
    .timer_cancel = host_timer_cancel,
    .timer_due = host_timer_due,
    .timer_missed = host_timer_missed,
    .ready = host_ready,
    .poll = host_ready,
    .run_calls = direct_run_calls,
    .call_result = host_call_result,
    .now_ms = host_now_ms,
    .random = host_random,
    .log = host_log,
};
