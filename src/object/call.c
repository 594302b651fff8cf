#include "object/call.h"

#include <stdlib.h>

#include "object/account.h"
#include "object/invocation.h"
#include "object/segment.h"
#include "object/span.h"
#include "object/transaction.h"
#include "object/type.h"
#include "object/worker.h"

enum { CALLS_PER_SEGMENT_MAX = 4096 };

static uint8_t *copy(uint8_t *at, struct cairn_bytes from, struct cairn_bytes *ret_to)
{
    if (from.size)
        memcpy(at, from.data, from.size);
    *ret_to = cairn_bytes(from.data ? at : NULL, from.size);
    return at + from.size;
}

enum cairn_code call_make(struct invocation *inv, const struct call_aim *aim, struct invocation **ret_callee,
                          struct cairn_err *err)
{
    struct cairn_worker *worker = inv->worker;
    const struct cairn_limits *limits = &worker->node->limits;
    uint64_t calls = inv->method ? inv->method->limits.most[CAIRN_LIMIT_CALLS] : limits->job_calls;
    struct invocation *callee;
    enum cairn_code code;
    struct job *job;
    size_t payload;
    uint8_t *at;

    if (inv->segment->call_count >= CALLS_PER_SEGMENT_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "more than %d calls in one segment; wait for some before issuing more",
                          CALLS_PER_SEGMENT_MAX);
    if (inv->call_count >= calls) {
        cairn_fail(err, CAIRN_ELIMIT, "the invocation makes more than %llu calls", (unsigned long long)calls);
        method_limit_tell(inv, CAIRN_LIMIT_CALLS, err);
        return CAIRN_ELIMIT;
    }
    if (aim->args.size > limits->value_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "the call's arguments have %zu bytes; at most %u are allowed",
                          aim->args.size, limits->value_bytes);
    payload =
        aim->type.size + aim->id.size + aim->method.size + aim->args.size + aim->caller_type.size + aim->caller_id.size;
    job = invocation_job(inv);
    code = account_call(worker, job, sizeof *callee + payload, err);
    if (code != CAIRN_OK)
        return code;
    callee = invocation_new(worker, aim->operation);
    callee->charged_call = sizeof *callee + payload;
    if (callee->payload_room < payload) {
        callee->payload = cairn_realloc(callee->payload, payload);
        callee->payload_room = payload;
    }
    at = callee->payload;
    at = copy(at, aim->id, &callee->id);
    at = copy(at, aim->args, &callee->args);
    at = copy(at, aim->caller_id, &callee->caller_id);
    at = copy(at, aim->caller_type, &callee->caller_type);
    at = copy(at, aim->type, &callee->type_name);
    copy(at, aim->method, &callee->method_name);
    callee->space = inv->type->space;
    callee->origin = worker->index;
    callee->caller = inv;
    callee->caller_call = invocation_add_call(inv);
    callee->depth = inv->depth + 1;
    callee->job = job;
    if (__builtin_expect(inv->span != NULL, 0))
        span_begin_call(inv, callee);
    callee->transaction = inv->transaction;
    if (__builtin_expect(inv->transaction != NULL, 0))
        transaction_ref(inv->transaction);
    atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
    cairn_list_push_back(&inv->segment->calls, &callee->link);
    inv->segment->call_count++;
    *ret_callee = callee;
    return CAIRN_OK;
}
