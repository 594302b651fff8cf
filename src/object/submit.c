/* submit.c - how requests come in: they are checked, and go where their operation says. */
#include "object/clock.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/mailbox.h"
#include "object/operation.h"
#include "object/quota.h"
#include "object/worker.h"

static enum cairn_code check_request(struct cairn_worker *worker, const struct operation *operation,
                                     const struct invocation *inv, struct cairn_err *err)
{
    const struct cairn_request *request = inv->request;
    const struct cairn_limits *limits = &worker->node->limits;

    if (atomic_load_explicit(&worker->node->failed, memory_order_acquire))
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "%s", worker->node->failure.text);
    if (atomic_load_explicit(&worker->node->draining, memory_order_relaxed) && !request->goes_on)
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the node is stopping");
    if (stat_get(&worker->admitted) > limits->requests)
        return cairn_fail(err, CAIRN_EOVERLOAD, "%u requests are under way; try again later", limits->requests);
    if (space_is_gated(inv->space) && !request->goes_on) {
        enum cairn_code code = quota_admit(inv->space, inv->started_ns, &inv->request->retry_ms, err);

        if (code != CAIRN_OK)
            return code;
    }
    /* Of an invocation's names it is said only when they are not found. */
    if ((operation->aim == AIM_TYPE || operation->aim == AIM_OBJECT) && !cairn_name_valid(request->type))
        return cairn_fail(err, CAIRN_EINVAL,
                          "a type's name has 1 to 64 letters, digits and _, and begins with a letter");
    if (operation->aim >= AIM_OBJECT && (request->id.size == 0 || request->id.size > CAIRN_ID_BYTES_MAX))
        return cairn_fail(err, CAIRN_EINVAL, "an id has 1 to %d bytes", CAIRN_ID_BYTES_MAX);
    if (request->args.size > limits->value_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "the arguments have %zu bytes; at most %u are allowed", request->args.size,
                          limits->value_bytes);
    if (request->key.size > CAIRN_ONCE_KEY_BYTES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "an idempotency key has 1 to %d bytes", CAIRN_ONCE_KEY_BYTES_MAX);
    return operation->check ? operation->check(request, err) : CAIRN_OK;
}

void submit_to_object(struct cairn_worker *worker, struct invocation *inv)
{
    uint32_t owner;

    inv->shard = node_shard_of(worker->node, inv->space, inv->id);
    owner = node_owner(worker->node, inv->shard);
    if (owner == worker->index)
        invocation_arrive(worker, inv);
    else {
        inv->message.beside = inv->id.data;
        worker_send(worker, owner, &inv->message);
    }
}

void submit_to_first(struct cairn_worker *worker, struct invocation *inv)
{
    worker_send(worker, 0, &inv->message);
}

void cairn_worker_submit(struct cairn_worker *worker, struct cairn_request *request)
{
    const struct operation *operation = worker->node->operations[request->op];
    struct invocation *inv = invocation_new(worker, operation);
    struct cairn_err err;
    enum cairn_code code;

    stat_add(&worker->admitted, 1);
    inv->request = request;
    inv->space = request->space ? request->space : worker->node->spaces.first;
    inv->origin = worker->index;
    inv->worker = worker;
    inv->started_ns = worker_recent_ns(worker);
    if (__builtin_expect(request->wants_job || worker->node->tracing, 0))
        job_submitted(worker, inv);
    code = check_request(worker, operation, inv, &err);
    if (code != CAIRN_OK) {
        set_error(inv, code, err.text);
        hold_refused(worker, inv);
        return;
    }
    inv->type_name = request->type;
    inv->id = request->id;
    inv->method_name = request->method;
    inv->args = request->args;
    inv->must_read_only = request->read_only;
    operation->submit(worker, inv);
}
