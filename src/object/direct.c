/* direct.c - calls that are run on top of the run that waits for them.
 *
 * A run that waits needs a fiber: a stack of its own, two changes of stacks, and a way through two mailboxes, which
 * costs more than a small method.  A read-only method's run needs none as long as all that it calls is here and can be
 * run at once, to its end: it has written nothing, and what it calls may not write either (host_call), so that if
 * anything of it turns out to need more, all of it is forgotten and started over as a fiber.
 * To others it looks as if the results had come back at once; what waits for the called object is passed, which nothing
 * can tell from what is read.  Runs that write do not go this way: a segment is committed before its calls run, and
 * what has been committed cannot be started over. */
#include "object/direct.h"

#include "object/invocation.h"
#include "object/invoke.h"
#include "object/mailbox.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum { DIRECT_CALLS_MAX = 64 }; /* in one wait: the fewer there are to be forgotten the better */

/* Whether the call could be run now, to all appearances. */
static bool may_run_now(struct cairn_worker *worker, struct invocation *callee)
{
    const struct object *object;
    struct type *type = type_find(worker, callee->space, callee->type_name);
    struct method *method = type ? type_method(type, callee->method_name) : NULL;

    if (!worker->node->has_one_log)
        return false; /* what goes to another shard may have to wait for a log */
    callee->shard = node_shard_of(worker->node, callee->space, callee->id);
    if (!method || !method->decl->read_only || method->decl->transaction || method->suspends ||
        node_owner(worker->node, callee->shard) != worker->index)
        return false;
    object = object_get(worker, worker_shard(worker, callee->shard), type->number, callee->id);
    return !object->holder && !object->lock;
}

/* Sends the caller's first call, as a commit would, and runs it; false: it is not over. */
static bool run_one(struct cairn_worker *worker, struct invocation *caller)
{
    struct invocation *callee = cairn_container(cairn_list_pop_front(&caller->segment->calls), struct invocation, link);
    const struct call *call = &caller->calls[callee->caller_call];
    struct object *object;

    caller->segment->call_count--;
    caller->calls_out++;
    atomic_fetch_add_explicit(&callee->job->calls, 1, memory_order_relaxed);
    invocation_arrive(worker, callee);
    if (call->state == CALL_DONE) /* it was refused */
        return true;
    object = callee->object;
    mailbox_to_head(callee);
    object_run(worker, object);
    if (call->state == CALL_DONE)
        return true;
    mailbox_withdraw(worker, callee); /* back at its head, for want of a fiber */
    caller->calls_out--;
    return false;
}

enum cairn_calls direct_run_calls(void *run)
{
    struct invocation *caller = run;
    struct cairn_worker *worker = caller->worker;
    struct segment *segment = caller->segment;
    uint64_t made;

    if (!caller->read_only)
        return CAIRN_CALLS_NEVER;
    if (caller->transaction || segment->call_count == 0 || segment->call_count > DIRECT_CALLS_MAX || worker->failed)
        return CAIRN_CALLS_NOT_NOW;
    made = atomic_load_explicit(&caller->job->calls, memory_order_relaxed);
    if (made > HEAVY_CALLS || made + segment->call_count > worker->node->limits.job_calls) /* send_calls refuses them */
        return CAIRN_CALLS_NOT_NOW;
    for (struct cairn_link *l = segment->calls.next; l != &segment->calls; l = l->next)
        if (!may_run_now(worker, cairn_container(l, struct invocation, link)))
            return CAIRN_CALLS_NOT_NOW;
    while (segment->call_count > 0)
        if (!run_one(worker, caller))
            return CAIRN_CALLS_NOT_NOW;
    return CAIRN_CALLS_DONE;
}
