/* invoke.c - an invocation's segments: running them, and what follows from their ends.
 *
 * object_run takes the head of a mailbox and runs one segment of it; `settle` does what
 * follows from how the segment ended.  An invocation that has begun a segment is counted in
 * object->holder or object->readers until the segment has ended, waiting for room included.  One that
 * needs a fiber goes back to the head of its mailbox instead, where those that hold fibers and resume
 * can pass it. */
#include "object/invoke.h"

#include "object/account.h"
#include "object/cache.h"
#include "object/durable.h"
#include "object/durable_ask.h"
#include "object/durable_cancel.h"
#include "object/hold.h"
#include "object/mailbox.h"
#include "object/messages.h"
#include "object/method_log.h"
#include "object/once.h"
#include "object/quota.h"
#include "object/returned.h"
#include "object/room.h"
#include "object/span.h"
#include "object/table.h"
#include "object/tap.h"
#include "object/timers.h"
#include "object/transaction.h"
#include "object/type.h"

/* --- the end of a segment ------------------------------------------------------------------------ */

static void leave_object(struct cairn_worker *worker, struct invocation *inv)
{
    struct object *object = inv->object;

    if (inv->read_only)
        object->readers--;
    else
        object->holder = NULL;
    object_make_ready(worker, object);
}

/* The fiber it held, if it did, is free again. */
static void fiber_gone(struct cairn_worker *worker, struct invocation *inv)
{
    inv->run = NULL;
    if (!inv->fiber_counted)
        return;
    inv->fiber_counted = false;
    worker->fibers--;
    stat_add(&inv->type->space->meters[worker->index].instances, (uint64_t)-1);
    if (invocation_from_outside(inv)) {
        worker->outside_fibers--;
        worker_lane(worker, inv->space)->outside_fibers--;
    }
}

static void send_calls(struct cairn_worker *worker, struct invocation *inv)
{
    struct segment *segment = inv->segment;
    uint32_t most = worker->node->limits.job_calls;
    struct cairn_link *l;

    inv->calls_out += segment->call_count;
    segment->call_count = 0;
    while ((l = cairn_list_pop_front(&segment->calls))) {
        struct invocation *callee = cairn_container(l, struct invocation, link);
        uint32_t owner;

        callee->shard = node_shard_of(worker->node, callee->space, callee->id);
        owner = node_owner(worker->node, callee->shard);
        if (!worker->node->has_one_log && callee->transaction && callee->shard != inv->object->shard->index)
            invocation_refuse(worker, callee, CAIRN_ELIMIT,
                              "shards have logs of their own here: a transaction cannot "
                              "come to objects of several; give them one {tag}");
        else if (atomic_fetch_add_explicit(&callee->job->calls, 1, memory_order_relaxed) >= most)
            invocation_refuse(worker, callee, CAIRN_ELIMIT, "the job has made more than %u calls", most);
        else if (!worker->node->has_one_log && callee->shard != inv->object->shard->index) {
            callee->depends = inv->depends;
            hold_pass(worker, callee);
        } else if (owner == worker->index)
            invocation_arrive(worker, callee);
        else {
            callee->message.beside = callee->id.data;
            worker_send(worker, owner, &callee->message);
        }
    }
}

static void sum_segment(struct invocation *inv)
{
    inv->operations += inv->segment->overlay.operations;
    inv->entries_read += inv->segment->overlay.reads;
    inv->read_bytes += inv->segment->overlay.read_bytes;
}

static void end_segment(struct cairn_worker *worker, struct invocation *inv)
{
    sum_segment(inv);
    if (__builtin_expect(inv->branch != NULL, 0) && inv->branch->segment == inv->segment)
        inv->segment = NULL; /* it is the branch's now */
    else
        inv->segment = segment_end(worker, inv->segment);
}

void invocation_end_cancelled(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->state == INV_WAITING) {
        worker->fibers_waiting -= inv->run != NULL;
        if (inv->run)
            cairn_run_cancel(inv->run);
        fiber_gone(worker, inv);
    } else if (inv->state != INV_ASLEEP) {
        return; /* it is refused when it is to go on */
    }
    invocation_run_over(worker, inv);
}

/* Ends an invocation whose segment leaves nothing; the error is set. */
static void fail_run(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->run) {
        cairn_run_cancel(inv->run);
        fiber_gone(worker, inv);
    }
    if (inv->segment) {
        if (inv->durable)
            durable_forget_calls(inv);
        segment_restart(worker, inv);
        end_segment(worker, inv);
    }
    leave_object(worker, inv);
    invocation_run_over(worker, inv);
}

/* The node cannot go on with it.  Unless something was committed before, it is as if it had never been asked for. */
static void refuse(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code, const char *text)
{
    set_error(inv, code, text);
    inv->refused = true;
    fail_run(worker, inv);
}

/* A read has failed: what was done with it counts for nothing. */
static bool was_blind(struct cairn_worker *worker, struct invocation *inv)
{
    enum cairn_code code = inv->segment->overlay.code;
    struct cairn_err err;

    if (code == CAIRN_OK)
        return false;
    err = inv->segment->overlay.err;
    refuse(worker, inv, code, err.text);
    return true;
}

/* A commit has failed. */
static void not_committed(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code, const char *text)
{
    if (was_blind(worker, inv))
        return;
    if (code != CAIRN_ELIMIT) { /* that one would be the same every time: an outcome */
        refuse(worker, inv, code, text);
        return;
    }
    set_error(inv, code, text);
    fail_run(worker, inv);
}

static void commit_done(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;
    bool last = inv->calls_out == 0 && cairn_list_empty(&inv->segment->calls);
    enum cairn_code code;

    cairn_err_clear(&err);
    if (!room_commit(worker, inv, last, &code, &err, commit_done))
        return;
    if (code != CAIRN_OK) {
        not_committed(worker, inv, code, err.text);
        return;
    }
    send_calls(worker, inv);
    end_segment(worker, inv);
    leave_object(worker, inv);
    if (last)
        invocation_over(worker, inv);
    else
        invocation_run_over(worker, inv);
}

/* Codes that say that it may go better another time. */
static bool is_refusal(enum cairn_code code)
{
    return code == CAIRN_EOVERLOAD || code == CAIRN_EQUOTA || code == CAIRN_EFULL || code == CAIRN_EUNAVAILABLE ||
           code == CAIRN_EIO || code == CAIRN_ENOMEM;
}

/* A method that hands on what refused a call of its own has come no further than that. */
static bool hands_on_refusal(const struct invocation *inv)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    struct cairn_bytes code = cairn_value_read(&r).error;

    return is_refusal(cairn_code_by_name((const char *)code.data, code.size));
}

static void run_done(struct cairn_worker *worker, struct invocation *inv)
{
    if (was_blind(worker, inv))
        return;
    if (inv->failed) {
        inv->by_word = true;
        inv->refused = !durable_recorded(inv) && hands_on_refusal(inv);
        dependency_join(&inv->depends, inv->object->last); /* an error tells what was read */
        fail_run(worker, inv);
        return;
    }
    if (__builtin_expect(inv->keeps_result, 0))
        cache_keep(worker, inv);
    if (inv->args_read != UINT32_MAX && inv->args.size && inv->method)
        method_log_unread_args(inv);
    if (inv->result.size == 0)
        cairn_value_add_nil(&inv->result);
    if (__builtin_expect(durable_told(inv), 0))
        durable_set_told(inv); /* what it has put back is committed with that */
    commit_done(worker, inv);
}

static void run_failed(struct cairn_worker *worker, struct invocation *inv, struct cairn_err *err)
{
    if (was_blind(worker, inv))
        return;
    if (err->code == CAIRN_ECPU || err->code == CAIRN_EMEMORY)
        method_limit_tell(inv, err->code == CAIRN_ECPU ? CAIRN_LIMIT_CPU : CAIRN_LIMIT_MEMORY, err);
    set_error(inv, err->code, err->text);
    inv->refused = is_refusal(err->code);
    dependency_join(&inv->depends, inv->object->last); /* an error tells what was read */
    fail_run(worker, inv);
}

/* What it waits for may take long, and its journal is enough to go on: it gives its fiber back. */
static void rest(struct cairn_worker *worker, struct invocation *inv)
{
    cairn_run_cancel(inv->run);
    fiber_gone(worker, inv);
    leave_object(worker, inv);
    durable_rest(worker, inv);
}

static void commit_waits(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;
    enum cairn_code code;

    cairn_err_clear(&err);
    if (!room_commit(worker, inv, false, &code, &err, commit_waits))
        return;
    if (code != CAIRN_OK) {
        not_committed(worker, inv, code, err.text);
        return;
    }
    send_calls(worker, inv); /* some may come back at once */
    end_segment(worker, inv);
    if (invocation_awaits_nothing(inv)) {
        mailbox_resume(worker, inv);
    } else if (inv->durable && durable_rests(inv)) {
        rest(worker, inv);
        return;
    } else {
        invocation_move(inv, INV_WAITING);
        worker->fibers_waiting += inv->run != NULL;
    }
    leave_object(worker, inv);
}

static void run_waits(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->method)
        inv->method->suspends = true;
    if (!was_blind(worker, inv))
        commit_waits(worker, inv);
}

/* Back to the head of its mailbox, until a fiber is free. */
static void no_fiber(struct cairn_worker *worker, struct invocation *inv)
{
    segment_restart(worker, inv);
    end_segment(worker, inv);
    if (inv->transaction)
        transaction_step_back(worker, inv);
    mailbox_await_fiber(worker, inv);
    leave_object(worker, inv);
}

void fibers_stuck(struct cairn_worker *worker)
{
    struct invocation *inv = mailbox_give_up(worker);
    struct object *object = inv->object;

    object_ref(worker, object);
    set_error(inv, invocation_from_outside(inv) ? CAIRN_EOVERLOAD : CAIRN_ELIMIT,
              "all function instances wait for calls");
    inv->refused = true;
    invocation_returned(worker, inv);
    object_make_ready(worker, object);
    object_unref(worker, object);
}

static void settle(struct cairn_worker *worker, struct invocation *inv, enum cairn_run_state state,
                   struct cairn_err *err)
{
    worker->recent_ns = inv->meter.ended_ns;
    if (inv->run && !inv->fiber_counted) {
        inv->fiber_counted = true;
        worker->fibers++;
        stat_add(&inv->type->space->meters[worker->index].instances, 1);
        if (invocation_from_outside(inv)) {
            worker->outside_fibers++;
            worker_lane(worker, inv->space)->outside_fibers++;
        }
    }
    switch (state) {
    case CAIRN_RUN_DONE:
        fiber_gone(worker, inv);
        if (inv->durable && !durable_ended(inv, err))
            run_failed(worker, inv, err);
        else
            run_done(worker, inv);
        return;
    case CAIRN_RUN_FAILED:
        fiber_gone(worker, inv);
        run_failed(worker, inv, err);
        return;
    case CAIRN_RUN_WAITS:
        run_waits(worker, inv);
        return;
    case CAIRN_RUN_SLICE:
        invocation_move(inv, INV_ASIDE);
        account_aside(worker, inv);
        if (inv->method)
            inv->method->slow = inv->method->odd = true;
        stat_add(&worker->counts.slices, 1);
        aside_add(worker, inv, cairn_fn_worker_pressed(worker->fn)); /* then it goes on until it ends, or waits */
        return;
    case CAIRN_RUN_NO_FIBER:
        no_fiber(worker, inv);
        return;
    }
}

/* --- running ---------------------------------------------------------------------------------------- */

static void run_segment(struct cairn_worker *worker, struct invocation *inv);

/* False: the segment has to wait, or was refused. */
static bool may_begin(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;
    enum cairn_code code;

    if (inv->read_only)
        return true;
    cairn_err_clear(&err);
    if (cairn_list_empty(&worker->commits))
        code = cairn_shard_check_writers(inv->object->shard->shard, &err);
    else
        code = cairn_fail(&err, CAIRN_EOVERLOAD, "the log's next segment is not ready yet");
    if (code == CAIRN_OK) {
        inv->waits_ns = 0;
        return true;
    }
    if (code != CAIRN_EOVERLOAD || !room_begin_waits(worker, inv, run_segment))
        refuse(worker, inv, code, err.text);
    return false;
}

/* Runs the segment of an invocation that is counted at its object. */
static void run_segment(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;
    enum cairn_run_state state;

    if (worker->failed) {
        refuse(worker, inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        return;
    }
    if (__builtin_expect(inv->transaction != NULL, 0) && !transaction_may_run(worker, inv)) {
        refuse(worker, inv, CAIRN_ECONFLICT, "the transaction is being undone");
        return;
    }
    if (__builtin_expect(inv->durable != NULL, 0) && inv->durable->cancelled) {
        refuse(worker, inv, CAIRN_ECANCELLED, CANCELLED_TEXT);
        return;
    }
    if (!may_begin(worker, inv))
        return;
    if (inv->method && inv->method->caches && inv->segment_number == 0 && !inv->keyed && !inv->transaction &&
        cache_answers(worker, inv)) {
        leave_object(worker, inv);
        invocation_over(worker, inv);
        return;
    }
    inv->segment = segment_begin(worker, inv);
    if (was_blind(worker, inv))
        return;
    inv->now_ms = 0;
    inv->segment_number++;
    stat_add(&worker->counts.segments, 1);
    cairn_err_clear(&err);
    if (inv->operation->run) {
        inv->resumes = false;
        inv->operation->run(inv);
        settle(worker, inv, inv->segment->call_count ? CAIRN_RUN_WAITS : CAIRN_RUN_DONE, &err);
        return;
    }
    if (inv->resumes) {
        inv->resumes = false;
        state = cairn_run_resume(inv->run, &inv->meter, &err);
        if (state == CAIRN_RUN_DONE || state == CAIRN_RUN_FAILED)
            inv->run = NULL;
    } else if (__builtin_expect(inv->operation == &operation_deliver, 0) && !timers_want(inv)) {
        inv->args_read = UINT32_MAX;
        state = CAIRN_RUN_DONE; /* a firing that was taken back: nothing is done */
    } else {
        state = cairn_run_start(worker->fn, inv->type->module, inv->method->decl,
                                inv->durable ? worker->durable_host : NULL, inv, &inv->method->limits.run, &inv->run,
                                &inv->meter, &err);
    }
    settle(worker, inv, state, &err);
}

/* It ends before it has begun. */
static void refuse_to_begin(struct cairn_worker *worker, struct object *object, struct invocation *inv,
                            enum cairn_code code, const char *text)
{
    object_ref(worker, object);
    invocation_refuse(worker, inv, code, "%s", text);
    object_make_ready(worker, object);
    object_unref(worker, object);
}

/* No client waits for it, or counts on it: it has no key, and is not durable. */
static bool is_abandoned(const struct invocation *inv)
{
    return inv->request && inv->request->account && !inv->keyed && !(inv->method && inv->method->decl->durable) &&
           atomic_load_explicit(&inv->request->account->gone, memory_order_relaxed);
}

/* The namespace holds as many instances as it may. */
static bool is_beyond_quota(struct cairn_worker *worker, struct invocation *inv, struct cairn_err *err)
{
    uint32_t retry_ms = 0;

    if (!inv->method || quota_may_begin(inv->space, worker->node->options.workers, &retry_ms, err))
        return false;
    if (inv->request)
        inv->request->retry_ms = retry_ms;
    return true;
}

/* Of a method that is odd; false: it was refused, or waits. */
static bool odd_may_begin(struct cairn_worker *worker, struct object *object, struct invocation *inv)
{
    const struct object_tap *tap = inv->type->tap;

    if (tap && inv->segment_number == 0 && !tap->admits(worker, inv)) {
        refuse_to_begin(worker, object, inv, CAIRN_EUNAVAILABLE, "the object was restored and begins anew; try again");
        return false;
    }
    return !inv->method->slow || !mailbox_puts_off(worker, inv);
}

void object_run(struct cairn_worker *worker, struct object *object)
{
    struct invocation *inv = mailbox_take(worker, object);
    struct cairn_err err;
    enum cairn_code code;
    const char *text;

    if (!inv)
        return;
    if (inv->segment_number == 0 && !account_may_begin(worker, inv, &code, &text)) {
        stat_add(&worker->counts.refused_for_memory, 1);
        refuse_to_begin(worker, object, inv, code, text);
        return;
    }
    if (inv->segment_number == 0 && is_abandoned(inv)) {
        stat_add(&worker->counts.abandoned, 1);
        refuse_to_begin(worker, object, inv, CAIRN_EUNAVAILABLE, "the client had hung up before this began");
        return;
    }
    if (inv->segment_number == 0 && space_is_gated(inv->space) && is_beyond_quota(worker, inv, &err)) {
        refuse_to_begin(worker, object, inv, CAIRN_EQUOTA, err.text);
        return;
    }
    if (inv->method && __builtin_expect(inv->method->odd, 0) && !odd_may_begin(worker, object, inv))
        return;
    if (inv->read_only)
        object->readers++;
    else
        object->holder = inv;
    if (inv->keyed && !inv->resumes && once_is_new(inv)) {
        enum once_answer answer = once_begin(worker, inv);
        if (answer != ONCE_RUN) {
            leave_object(worker, inv);
            if (answer == ONCE_WAIT) {
                invocation_move(inv, INV_DUPLICATE);
            } else {
                invocation_move(inv, INV_OVER);
                invocation_finish(worker, inv);
            }
            return;
        }
    }
    run_segment(worker, inv);
    /* Readers may overlap: the next in line may be one too. */
    object_make_ready(worker, object);
}

void invocation_resume_aside(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;
    enum cairn_run_state state;

    invocation_move(inv, INV_RUNNING);
    if (worker->failed) {
        refuse(worker, inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        return;
    }
    if (inv->transaction && transaction_doomed(inv->transaction)) {
        refuse(worker, inv, CAIRN_ECONFLICT, "the transaction is being undone");
        return;
    }
    if (durable_cancelled(inv)) {
        refuse(worker, inv, CAIRN_ECANCELLED, CANCELLED_TEXT);
        return;
    }
    cairn_err_clear(&err);
    state = cairn_run_resume(inv->run, &inv->meter, &err);
    if (state == CAIRN_RUN_DONE || state == CAIRN_RUN_FAILED)
        inv->run = NULL;
    settle(worker, inv, state, &err);
}

/* Those that sleep, or were put off: what waits for them hears it now.  They go on behind the next start. */
static void fail_asleep(struct cairn_worker *worker)
{
    for (struct cairn_link *l = worker->live.next; l != &worker->live;) {
        struct invocation *inv = cairn_container(l, struct invocation, live);

        l = l->next;
        if (inv->state != INV_ASLEEP)
            continue;
        set_error(inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        inv->refused = true;
        cairn_list_remove(&inv->durable->parked);
        invocation_run_over(worker, inv); /* and others, maybe, that wait for it */
        l = worker->live.next;
    }
}

void invocations_fail_all(struct cairn_worker *worker)
{
    struct invocation *inv;
    struct cairn_link *l;

    while ((inv = admission_take(worker))) {
        inv->object->before_mailbox--;
        inv->object->outside_waiting--;
        invocation_refuse(worker, inv, CAIRN_EUNAVAILABLE, "the log has failed: %s", worker->node->failure.text);
    }
    while (aside_any(worker))
        aside_run(worker, invocation_resume_aside);
    transactions_fail_all(worker);
    fail_asleep(worker);
    room_retry(worker);
    for (l = worker->fiber_waiters.next; l != &worker->fiber_waiters; l = l->next)
        object_make_ready(worker, cairn_container(l, struct invocation, waiter)->object);
}

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->request->key.size)
        once_make(inv, inv->request->key);
    submit_to_object(worker, inv);
}

static void enter(struct invocation *inv)
{
    if (inv->method->decl->durable)
        durable_make(inv);
    if (inv->called.number && !inv->read_only)
        once_make_called(inv);
}

const struct operation operation_invoke = {
    .name = "invoke",
    .aim = AIM_METHOD,
    .submit = submit,
    .receive = receive_invocation,
    .enter = enter,
    .leave = once_leave,
    .drop = once_drop,
    .answer = receive_result,
};
