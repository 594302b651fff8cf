/* account.c - the bytes of calls, and of results from their making to the reply.
 *
 * A call's bytes are charged when it is issued, a result's when its invocation is over, both to the job, where there is
 * one, and to the worker's purse.  Room for a result is not reserved: it would be the largest possible, and a call to
 * ten thousand followers would need 10 GiB.  Instead nothing begins, of a client or of a job, that keeps too much
 * already: what began has room for its result, and the bound is passed by the results of what runs at that moment.
 * What is set aside while it runs is charged beforehand for as large a result as its method gave lately, or as the
 * largest possible before it has given any. */
#include "object/account.h"

#include <stdlib.h>

#include "object/invocation.h"
#include "object/quota.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    RESULT_SMALL = 1 << 10, /* not charged to a client: as many as requests are under way */
    JOB_SHARE = 1 << 20,    /* a job may keep it whatever others do */
    LARGE_EIGHTHS = 6,      /* of the node's memory: requests of methods that gave large results do not begin beyond */
    BEGIN_EIGHTHS = 8,      /* no requests; and no calls of jobs that have their share */
};

static uint64_t job_bytes(const struct job *job)
{
    int64_t bytes = atomic_load_explicit(&job->bytes, memory_order_relaxed);

    return bytes > 0 ? (uint64_t)bytes : 0;
}

static void job_add(struct job *job, int64_t bytes)
{
    atomic_fetch_add_explicit(&job->bytes, bytes, memory_order_relaxed);
    if (job->space)
        quota_job_add(job->space, bytes);
}

enum cairn_code account_call(struct cairn_worker *worker, struct job *job, size_t bytes, struct cairn_err *err)
{
    uint64_t most = worker->node->limits.job_bytes;

    if (job_bytes(job) + bytes > most)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "the calls and results of one request have more than %llu KiB; issue fewer calls at a time",
                          (unsigned long long)(most >> 10));
    if (job->space && !quota_job_may_add(job->space, bytes))
        return cairn_fail(err, CAIRN_ELIMIT,
                          "the calls and results of the namespace %.*s have as many bytes as they may have; issue "
                          "fewer calls at a time",
                          (int)job->space->name.size, (const char *)job->space->name.data);
    job_add(job, (int64_t)bytes);
    cairn_purse_add(&worker->purse, (int64_t)bytes);
    return CAIRN_OK;
}

/* The result is charged as that much from here on. */
static void charge_result(struct cairn_worker *worker, struct invocation *inv, size_t bytes)
{
    int64_t more = (int64_t)bytes - (int64_t)inv->charged_result;

    inv->charged_result = bytes;
    cairn_purse_add(&worker->purse, more);
    if (inv->caller)
        job_add(inv->job, more);
    else if (inv->request && inv->request->account)
        atomic_fetch_add_explicit(&inv->request->account->results, (uint64_t)more, memory_order_relaxed);
}

void account_instances(struct cairn_worker *worker)
{
    uint64_t bytes = cairn_fn_worker_memory(worker->fn);

    if (bytes == worker->instances_charged)
        return;
    cairn_purse_add(&worker->purse, (int64_t)(bytes - worker->instances_charged));
    worker->instances_charged = bytes;
}

void account_aside(struct cairn_worker *worker, struct invocation *inv)
{
    size_t bytes = inv->method->results_known ? inv->method->result_bytes : worker->node->limits.value_bytes;

    if (bytes > inv->charged_result)
        charge_result(worker, inv, bytes);
}

void account_result(struct cairn_worker *worker, struct invocation *inv)
{
    size_t bytes = inv->result.size > RESULT_SMALL ? inv->result.size : 0;

    if (inv->method) {
        if (bytes != inv->method->result_bytes)
            inv->method->result_bytes = bytes > inv->method->result_bytes ? bytes : inv->method->result_bytes / 8 * 7;
        inv->method->results_known = true;
    }
    if (bytes != inv->charged_result)
        charge_result(worker, inv, bytes);
}

void account_received(struct cairn_worker *worker, struct invocation *inv, size_t kept)
{
    int64_t more = (int64_t)kept - (int64_t)(inv->charged_call + inv->charged_result);

    inv->charged_call = inv->charged_result = 0;
    if (more == 0)
        return;
    job_add(inv->job, more);
    cairn_purse_add(&worker->purse, more);
}

void account_kept(struct cairn_worker *worker, struct job *job, size_t bytes)
{
    job_add(job, (int64_t)bytes);
    cairn_purse_add(&worker->purse, (int64_t)bytes);
}

void account_dropped(struct cairn_worker *worker, struct job *job, size_t bytes)
{
    job_add(job, -(int64_t)bytes);
    cairn_purse_add(&worker->purse, -(int64_t)bytes);
}

void account_job_ended(struct job *job)
{
    if (job->space)
        quota_job_add(job->space, -atomic_load_explicit(&job->bytes, memory_order_relaxed));
    job_free(job);
}

void account_release(struct cairn_worker *worker, struct invocation *inv)
{
    size_t bytes = inv->charged_call + inv->charged_result;

    if (!bytes)
        return;
    cairn_purse_add(&worker->purse, -(int64_t)bytes);
    if (inv->caller)
        job_add(inv->job, -(int64_t)bytes);
    inv->charged_call = inv->charged_result = 0;
}

void account_replied(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->charged_result && inv->request->account)
        atomic_fetch_sub_explicit(&inv->request->account->results, inv->charged_result, memory_order_relaxed);
    account_release(worker, inv);
}

/* Others need not look at the account of their client, which is another thread's memory: as many small results as
 * requests are under way. */
static bool may_be_large(const struct invocation *inv)
{
    return !inv->method || !inv->method->results_known || inv->method->result_bytes;
}

bool account_may_begin(struct cairn_worker *worker, const struct invocation *inv, enum cairn_code *ret_code,
                       const char **ret_text)
{
    const struct cairn_node *node = worker->node;

    if (inv->request) {
        *ret_code = CAIRN_EOVERLOAD;
        *ret_text = "the node's memory for requests and replies is used up; try again later";
        if (cairn_budget_over(&node->memory, LARGE_EIGHTHS) &&
            (may_be_large(inv) || cairn_budget_over(&node->memory, BEGIN_EIGHTHS)))
            return false;
        *ret_text = "too many bytes of this connection's replies wait; read them, and ask for fewer at a time";
        return !may_be_large(inv) || !inv->request->account || !cairn_account_full(inv->request->account);
    }
    *ret_code = CAIRN_ELIMIT;
    *ret_text = "the calls and results of one request have as many bytes as a job may keep";
    if (!inv->job)
        return true;
    if (job_bytes(inv->job) >= node->limits.job_bytes)
        return false;
    *ret_text = "the node's memory for calls and results is used up";
    return !cairn_budget_over(&node->memory, BEGIN_EIGHTHS) || job_bytes(inv->job) < JOB_SHARE;
}
