/* durable_rest.c - durable invocations that give their run up while they wait: the journal is enough to go on.
 *
 *   waits for a sleep or a promise --> record: what it waits for --> no instance, no fiber, asleep
 *        client, caller, or a call under way? --> struct invocation stays    else --> struct open alone (opens.h)
 *   due, settled, or the last call is back --> the mailbox, and along the journal */
#include <stdlib.h>

#include "object/account.h"
#include "object/durable_internal.h"
#include "object/once.h"
#include "object/table.h"
#include "object/worker.h"

bool durable_rests(const struct invocation *inv)
{
    const struct durable *d = inv->durable;
    const struct durable_wait *wait;

    if (!d->wait_count)
        return false;
    if (inv->awaiting == UINT32_MAX)
        return durable_waits_open(inv);
    wait = durable_wait_find(d, inv->awaiting);
    return wait != NULL;
}

/* Results that it has are in the journal; which calls are under way stays known. */
static void forget_results(struct cairn_worker *worker, struct invocation *inv)
{
    size_t bytes = 0;

    if (!inv->calls_out) {
        invocation_forget_calls(worker, inv);
        return;
    }
    for (uint32_t i = 0; i < inv->call_count; i++) {
        if (!inv->calls[i].large)
            continue;
        bytes += inv->calls[i].size;
        free(inv->calls[i].large);
        inv->calls[i].large = NULL;
    }
    if (bytes)
        account_dropped(worker, inv->job, bytes);
}

static bool somebody_waits(const struct invocation *inv)
{
    const struct operation *invoke = inv->worker->node->operations[CAIRN_OP_INVOKE];

    return inv->request || inv->caller || inv->calls_out || inv->operation != invoke ||
           (inv->keyed && !cairn_list_empty(&once_of(inv)->duplicates));
}

static void leave_memory(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->keyed) {
        cairn_list_remove(&once_of(inv)->keyed);
        once_leave(worker, inv);
    }
    cairn_list_remove(&inv->live);
    object_unref(worker, inv->object);
    type_unref(inv->type);
    invocation_free(worker, inv);
}

void durable_rest(struct cairn_worker *worker, struct invocation *inv)
{
    struct durable *d = inv->durable;

    invocation_move(inv, INV_ASLEEP);
    inv->resumes = false;
    opens_sleep(&worker->durables->opens, d->open, durable_wake_ms(inv));
    durable_uncount(worker, d);
    forget_results(worker, inv);
    if (!somebody_waits(inv) && d->tail.size == 0 && d->cancel == DURABLE_GOES_ON)
        leave_memory(worker, inv);
}

void durable_received(struct cairn_worker *worker, struct invocation *inv, uint32_t call)
{
    struct open *open = inv->durable->open;

    if (inv->state != INV_ASLEEP)
        return;
    if (inv->awaiting == call || (inv->awaiting == UINT32_MAX && !inv->calls_out && !durable_waits_open(inv)))
        durable_wake(worker, open);
    else if (!inv->calls_out)
        opens_sleep(&worker->durables->opens, open, durable_wake_ms(inv));
}
