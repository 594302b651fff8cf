/* returned.c - what follows an invocation's last segment, and what a call's result does at its caller. */
#include "object/returned.h"

#include "object/account.h"
#include "object/clock.h"
#include "object/durable.h"
#include "object/durable_ask.h"
#include "object/durable_cancel.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/mailbox.h"
#include "object/once.h"
#include "object/room.h"
#include "object/segment.h"
#include "object/span.h"
#include "object/transaction.h"

/* --- its end --------------------------------------------------------------------------------------- */

static void transaction_over(struct cairn_worker *worker, struct invocation *root, bool committed);

void invocation_over(struct cairn_worker *worker, struct invocation *inv)
{
    if (__builtin_expect(inv->transaction != NULL, 0) && transaction_ends(worker, inv, transaction_over))
        return;
    if (inv->keyed)
        once_over(worker, inv);
    invocation_move(inv, INV_OVER);
    invocation_finish(worker, inv);
}

/* The outcome cannot be recorded as it is.  If something was committed before, that is recorded instead: there is room
 * for it since then. */
static void record_outcome(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err = {0};
    enum cairn_code code;

    for (int attempt = 0; attempt < 2; attempt++) {
        if (!durable_recorded(inv) && (!inv->keyed || (once_unused(inv) && !once_recorded(inv))))
            break;
        if (!inv->segment)
            inv->segment = segment_begin(worker, inv);
        inv->now_ms = 0;
        if (!room_commit(worker, inv, true, &code, &err, record_outcome))
            return;
        inv->segment = segment_end(worker, inv->segment);
        if (code == CAIRN_OK)
            break;
        set_error(inv, code, err.text);
        inv->refused = true;
        if (durable_goes_on(inv)) {
            durable_put_off(worker, inv);
            return;
        }
    }
    if (durable_cancelled(inv))
        durable_set_cancelled(inv);
    invocation_over(worker, inv);
}

void invocation_returned(struct cairn_worker *worker, struct invocation *inv)
{
    if (durable_cancelled(inv)) {
        durable_set_cancelled(inv);
        invocation_over(worker, inv);
    } else if (durable_goes_on(inv))
        durable_put_off(worker, inv);
    else if ((inv->keyed && !inv->transaction) || durable_recorded(inv)) {
        if (durable_told(inv))
            durable_set_told(inv);
        record_outcome(worker, inv);
    } else
        invocation_over(worker, inv);
}

static void transaction_over(struct cairn_worker *worker, struct invocation *root, bool committed)
{
    if (committed) /* an outcome for a key, too */
        invocation_over(worker, root);
    else
        invocation_returned(worker, root);
}

void invocation_run_over(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->calls_out)
        invocation_move(inv, INV_RETURNING);
    else
        invocation_returned(worker, inv);
}

/* --- results of calls ------------------------------------------------------------------------------ */

bool invocation_awaits_nothing(const struct invocation *inv)
{
    if (__builtin_expect(durable_untold(inv), 0))
        return true;
    return inv->awaiting == UINT32_MAX ? inv->calls_out == 0 && !(inv->durable && durable_waits_open(inv))
                                       : inv->calls[inv->awaiting].state == CALL_DONE;
}

void invocation_resume_untold(struct cairn_worker *worker, struct invocation *inv)
{
    worker->fibers_waiting -= inv->run != NULL;
    mailbox_resume(worker, inv);
}

static void keep_result(struct cairn_worker *worker, struct call *call, struct invocation *callee)
{
    size_t size = callee->result.size;

    call->state = CALL_DONE;
    call->size = (uint32_t)size;
    if (size <= sizeof call->small) {
        memcpy(call->small, callee->result.data, size);
        account_received(worker, callee, 0);
    } else {
        call->large = cairn_alloc(size);
        memcpy(call->large, callee->result.data, size);
        account_received(worker, callee, size);
    }
}

void receive_result(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message, *caller = inv->caller;
    uint32_t number = inv->caller_call;

    if (!caller) {
        if (inv->request)
            worker_hold(worker, inv);
        else { /* recovered: what asked for it is gone */
            if (inv->span)
                span_end(worker, inv);
            invocation_free(worker, inv);
        }
        return;
    }
    if (__builtin_expect(caller->keeps_result, 0) && !inv->told_reads)
        caller->keeps_result = false;
    if (!caller->durable || durable_outcome(caller, number, inv))
        keep_result(worker, &caller->calls[number], inv);
    else
        account_received(worker, inv, 0);
    dependency_join(&caller->depends, inv->depends);
    effects_raise(&caller->effects, inv->effects);
    caller->calls_out--;
    if (__builtin_expect(inv->span != NULL, 0))
        span_return(caller, inv);
    invocation_free(worker, inv);
    if (caller->state == INV_WAITING && invocation_awaits_nothing(caller)) {
        worker->fibers_waiting -= caller->run != NULL;
        worker->resumed_count++;
        mailbox_resume(worker, caller);
    } else if (caller->state == INV_RETURNING && caller->calls_out == 0) {
        invocation_returned(worker, caller);
    } else if (caller->durable) {
        durable_received(worker, caller, number);
    }
}
