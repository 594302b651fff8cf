#include "object/job.h"

#include <stdlib.h>

#include "object/delivery.h"
#include "object/invocation.h"
#include "object/operation.h"
#include "object/span.h"
#include "object/tracing.h"
#include "object/worker.h"

/* Summed over the job's invocations, by any worker. */
struct job_cost {
    atomic_uint_least64_t invocations, cpu_ns, memory_bytes, operations, read_bytes, written_bytes;
};

/* What the client, or the sender of the message, says. */
static struct cairn_job_id given_id(const struct invocation *inv)
{
    const struct delivery *delivery = delivery_of(inv);

    if (inv->request)
        return inv->request->parent.job;
    return delivery ? delivery->posted.parent.job : (struct cairn_job_id){0};
}

struct job *invocation_job(struct invocation *inv)
{
    if (!inv->job) {
        inv->job = cairn_alloc(sizeof *inv->job);
        atomic_init(&inv->job->refs, 1);
        atomic_init(&inv->job->calls, 0);
        atomic_init(&inv->job->bytes, 0);
        inv->job->space = space_payer(inv->space);
        if (!atomic_load_explicit(&inv->job->space->limits[SPACE_MEMORY], memory_order_relaxed))
            inv->job->space = NULL;
        inv->job->id = given_id(inv);
        if (!cairn_job_id_is(inv->job->id))
            inv->job->id = cairn_job_id_make(&inv->worker->job_ids);
        inv->job->cost = NULL;
    }
    return inv->job;
}

void job_free(struct job *job)
{
    free(job->cost);
    free(job);
}

void job_submitted(struct cairn_worker *worker, struct invocation *inv)
{
    const struct tracing *tracing = worker->node->tracing;
    struct cairn_request *request = inv->request;
    bool decided = request->parent.span != 0; /* by the client, whose span it is */

    if (inv->operation->aim != AIM_METHOD && !inv->operation->is_transaction)
        return;
    if (!cairn_job_id_is(request->parent.job))
        request->parent.job = cairn_job_id_make(&worker->job_ids);
    if (request->wants_cost)
        invocation_job(inv)->cost = cairn_alloc_zeroed(1, sizeof *inv->job->cost);
    if (tracing && (decided ? request->parent.sampled : tracing_samples(tracing, request->parent.job))) {
        invocation_job(inv); /* while there is the request to tell its id */
        span_begin(inv, SPAN_REQUEST, request->parent.span);
    }
}

void job_delivered(struct invocation *inv, const struct cairn_traceparent *parent)
{
    struct cairn_job_id id = invocation_job(inv)->id;

    if (cairn_job_id_is(parent->job) ? parent->span != 0 : tracing_samples(inv->worker->node->tracing, id))
        span_begin(inv, SPAN_MESSAGE, parent->span);
}

void job_resumed(struct invocation *inv, const struct cairn_traceparent *parent)
{
    if (!cairn_job_id_is(parent->job))
        return;
    invocation_job(inv)->id = parent->job;
    if (inv->worker->node->tracing && parent->span)
        span_begin(inv, SPAN_RESUMED, parent->span);
}

static void add(atomic_uint_least64_t *sum, uint64_t more)
{
    atomic_fetch_add_explicit(sum, more, memory_order_relaxed);
}

void job_count(struct invocation *inv)
{
    struct job_cost *cost = inv->job->cost;
    uint_least64_t most = atomic_load_explicit(&cost->memory_bytes, memory_order_relaxed);

    add(&cost->invocations, 1);
    add(&cost->cpu_ns, inv->meter.cpu_ns);
    add(&cost->operations, inv->operations);
    add(&cost->read_bytes, inv->read_bytes);
    add(&cost->written_bytes, inv->written_bytes);
    while (inv->meter.memory_bytes_peak > most &&
           !atomic_compare_exchange_weak_explicit(&cost->memory_bytes, &most, inv->meter.memory_bytes_peak,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void job_tell_cost(struct invocation *inv)
{
    const struct job_cost *cost = inv->job->cost;

    /* All of its invocations have ended, and their results have come back. */
    inv->request->cost = (struct cairn_job_cost){
        .invocations = cost->invocations,
        .cpu_ns = cost->cpu_ns,
        .memory_bytes = cost->memory_bytes,
        .operations = cost->operations,
        .read_bytes = cost->read_bytes,
        .written_bytes = cost->written_bytes,
    };
}
