/* invoke.c - an invocation's segments: running them, what follows from their ends, results of calls.
 *
 * object_run takes the head of a mailbox and runs one segment of it; `settle` does what
 * follows from how the segment ended.  An invocation that has begun a segment is counted in
 * object->writing or object->readers until the segment has ended, waiting for room in the log
 * included.  One that needs a fiber goes back to the head of its mailbox instead, where those that
 * hold fibers and resume can pass it. */
#include <stdlib.h>

#include "object/object_internal.h"
#include "object/once.h"
#include "object/past.h"

/* --- outcome ------------------------------------------------------------------------------------ */

static bool awaited_here(const struct invocation *inv)
{
    return inv->awaiting == UINT32_MAX ? inv->calls_out == 0 : inv->calls[inv->awaiting].state == CALL_DONE;
}

static void returned(struct cairn_worker *worker, struct invocation *inv);

void receive_result(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message, *caller = inv->caller;
    struct call *call;

    if (!caller) {
        worker_hold(worker, inv);
        return;
    }
    call = &caller->calls[inv->caller_call];
    call->state = CALL_DONE;
    call->size = (uint32_t)inv->result.size;
    if (inv->result.size <= sizeof call->small) {
        memcpy(call->small, inv->result.data, inv->result.size);
    } else {
        call->large = cairn_alloc(inv->result.size);
        memcpy(call->large, inv->result.data, inv->result.size);
    }
    if (caller->depends < inv->depends)
        caller->depends = inv->depends;
    caller->calls_out--;
    invocation_free(worker, inv);
    if (caller->state == INV_WAITING && awaited_here(caller)) {
        worker->fibers_waiting--;
        worker->resumed_count++;
        mailbox_resume(worker, caller);
    } else if (caller->state == INV_RETURNING && caller->calls_out == 0) {
        returned(worker, caller);
    }
}

/* --- the end of a segment ------------------------------------------------------------------------ */

static void leave_object(struct cairn_worker *worker, struct invocation *inv)
{
    struct object *object = inv->object;

    if (inv->read_only)
        object->readers--;
    else
        object->writing = false;
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
    if (inv->request)
        worker->outside_fibers--;
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

        callee->shard = node_shard_of(worker->node, callee->space, callee->type_name, callee->id);
        owner = node_owner(worker->node, callee->shard);
        if (atomic_fetch_add_explicit(&callee->job->calls, 1, memory_order_relaxed) >= most)
            invocation_refuse(worker, callee, CAIRN_ELIMIT, "the job has made more than %u calls", most);
        else if (owner == worker->index)
            invocation_arrive(worker, callee);
        else
            worker_send(worker, owner, &callee->message);
    }
}

static void sum_segment(struct invocation *inv)
{
    inv->operations += inv->segment->overlay.operations;
    inv->read_bytes += inv->segment->overlay.read_bytes;
}

static void end_segment(struct cairn_worker *worker, struct invocation *inv)
{
    sum_segment(inv);
    inv->segment = segment_end(worker, inv->segment);
}

/* Records a keyed outcome that has no segment to travel with: after a failure, or after calls
 * that were still out at the return. */
static void record_outcome(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err = {0};

    inv->segment = segment_begin(worker, inv->object);
    inv->now_ms = worker_now_ms(worker);
    if (segment_commit(inv, true, &err) != CAIRN_OK)
        set_error(inv, err.code, err.text);
    inv->segment = segment_end(worker, inv->segment);
}

static void over(struct cairn_worker *worker, struct invocation *inv, bool recorded)
{
    if (inv->key.size) {
        if (!recorded)
            record_outcome(worker, inv);
        once_over(worker, inv);
    }
    invocation_move(inv, INV_OVER);
    invocation_finish(worker, inv);
}

static void returned(struct cairn_worker *worker, struct invocation *inv)
{
    over(worker, inv, false);
}

/* The run is over and the segment has left the object.  Calls still out are waited for. */
static void after_run(struct cairn_worker *worker, struct invocation *inv, bool recorded)
{
    if (inv->calls_out) {
        invocation_move(inv, INV_RETURNING);
        return;
    }
    over(worker, inv, recorded);
}

static void fail_run(struct cairn_worker *worker, struct invocation *inv)
{
    segment_restart(worker, inv); /* leaves nothing */
    end_segment(worker, inv);
    leave_object(worker, inv);
    after_run(worker, inv, false);
}

/* Refused before it ran: that is not an outcome to be recorded for its key. */
static void over_unrun(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->key.size)
        once_over(worker, inv);
    invocation_move(inv, INV_OVER);
    invocation_finish(worker, inv);
}

/* Ends an invocation that has begun a segment but may not run it, or has not seen what there is. */
static void refuse_segment(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code, const char *text)
{
    set_error(inv, code, text);
    if (inv->run) {
        cairn_run_cancel(inv->run);
        fiber_gone(worker, inv);
    }
    inv->segment = segment_end(worker, inv->segment);
    leave_object(worker, inv);
    if (inv->key.size && !inv->once_recorded && !inv->resumes)
        over_unrun(worker, inv);
    else
        after_run(worker, inv, false);
}

/* A read has failed.  Where nothing was committed before, it may be tried again with the same key. */
static bool was_blind(struct cairn_worker *worker, struct invocation *inv)
{
    enum cairn_code code = inv->segment->overlay.code;
    struct cairn_err err;

    if (code == CAIRN_OK)
        return false;
    err = inv->segment->overlay.err;
    segment_restart(worker, inv);
    refuse_segment(worker, inv, code, err.text);
    return true;
}

static void run_done(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err = {0};
    bool last = inv->calls_out == 0 && cairn_list_empty(&inv->segment->calls);

    if (was_blind(worker, inv))
        return;
    if (inv->failed) {
        if (inv->depends < inv->object->last_end)
            inv->depends = inv->object->last_end; /* an error tells what it has read */
        fail_run(worker, inv);
        return;
    }
    if (inv->result.size == 0)
        cairn_value_add_nil(&inv->result);
    if (segment_commit(inv, last, &err) != CAIRN_OK) {
        if (was_blind(worker, inv))
            return;
        set_error(inv, err.code, err.text);
        fail_run(worker, inv);
        return;
    }
    send_calls(worker, inv);
    end_segment(worker, inv);
    leave_object(worker, inv);
    after_run(worker, inv, last && inv->key.size);
}

static void run_waits(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err = {0};

    if (inv->method)
        inv->method->suspends = true;
    if (segment_commit(inv, false, &err) != CAIRN_OK) {
        if (was_blind(worker, inv))
            return;
        cairn_run_cancel(inv->run);
        fiber_gone(worker, inv);
        set_error(inv, err.code, err.text);
        fail_run(worker, inv);
        return;
    }
    send_calls(worker, inv); /* some may come back at once */
    end_segment(worker, inv);
    if (awaited_here(inv)) {
        mailbox_resume(worker, inv);
    } else {
        invocation_move(inv, INV_WAITING);
        worker->fibers_waiting++;
    }
    leave_object(worker, inv);
}

/* Back to the head of its mailbox, until a fiber is free. */
static void no_fiber(struct cairn_worker *worker, struct invocation *inv)
{
    segment_restart(worker, inv);
    end_segment(worker, inv);
    mailbox_await_fiber(worker, inv);
    leave_object(worker, inv);
}

void fibers_stuck(struct cairn_worker *worker)
{
    struct invocation *inv = mailbox_give_up(worker);
    struct object *object = inv->object;

    object_ref(worker, object);
    set_error(inv, inv->request ? CAIRN_EOVERLOAD : CAIRN_ELIMIT, "all function instances wait for calls");
    over_unrun(worker, inv);
    object_make_ready(worker, object);
    object_unref(worker, object);
}

static void settle(struct cairn_worker *worker, struct invocation *inv, enum cairn_run_state state,
                   struct cairn_err *err)
{
    if (inv->run && !inv->fiber_counted) {
        inv->fiber_counted = true;
        worker->fibers++;
        if (inv->request)
            worker->outside_fibers++;
    }
    switch (state) {
    case CAIRN_RUN_DONE:
        fiber_gone(worker, inv);
        run_done(worker, inv);
        return;
    case CAIRN_RUN_FAILED:
        fiber_gone(worker, inv);
        set_error(inv, err->code, err->text);
        if (inv->depends < inv->object->last_end)
            inv->depends = inv->object->last_end;
        fail_run(worker, inv);
        return;
    case CAIRN_RUN_WAITS:
        run_waits(worker, inv);
        return;
    case CAIRN_RUN_SLICE:
        invocation_move(inv, INV_ASIDE);
        stat_add(&worker->counts.slices, 1);
        cairn_list_push_back(&worker->aside, &inv->link);
        return;
    case CAIRN_RUN_NO_FIBER:
        no_fiber(worker, inv);
        return;
    }
}

/* --- running ---------------------------------------------------------------------------------------- */

/* True if the log has the room that the segment needs to begin; false: it was dealt with. */
static bool has_room(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_log *log = worker->node->log;
    bool writes = !inv->read_only || inv->key.size;
    struct cairn_err err = {0};
    enum cairn_code code = CAIRN_OK;

    if (!writes)
        return true;
    if (inv->key.size && !inv->once_claim && !inv->resumes) {
        code = log->ops->claim(log, ONCE_CLAIM_BYTES, 1, &err);
        if (code == CAIRN_OK)
            inv->once_claim = ONCE_CLAIM_BYTES;
    }
    if (code == CAIRN_OK)
        code = cairn_shard_check_writers(inv->object->shard->shard, &err);
    if (code == CAIRN_OK && !inv->read_only && !segment_claim(worker, inv->segment, CLAIM_FIRST_BYTES, &err))
        code = err.code;
    if (code == CAIRN_OK)
        return true;
    if (code == CAIRN_EOVERLOAD) { /* passes: the next log segment is being made, or a checkpoint */
        inv->segment = segment_end(worker, inv->segment);
        invocation_move(inv, INV_ROOM);
        cairn_list_push_back(&worker->log_waiters, &inv->link);
        return false;
    }
    refuse_segment(worker, inv, code, err.text);
    return false;
}

/* Runs the segment of an invocation that is counted at its object. */
static void run_segment(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;
    enum cairn_run_state state;

    if (worker->failed) {
        refuse_segment(worker, inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        return;
    }
    inv->segment = segment_begin(worker, inv->object);
    if (was_blind(worker, inv) || !has_room(worker, inv))
        return;
    inv->now_ms = worker_now_ms(worker);
    inv->segment_number++;
    stat_add(&worker->counts.segments, 1);
    err.code = CAIRN_OK;
    err.text[0] = 0;
    if (inv->op != CAIRN_OP_INVOKE) {
        if (inv->past && inv->op == CAIRN_OP_SHOW)
            past_enter(inv);
        if (inv->op == CAIRN_OP_SHOW)
            show_object(inv);
        else if (inv->op == CAIRN_OP_RESTORE)
            past_restore(inv);
        else
            delete_object(inv);
        settle(worker, inv, CAIRN_RUN_DONE, &err);
        return;
    }
    if (inv->resumes) {
        inv->resumes = false;
        state = cairn_run_resume(inv->run, &inv->meter, &err);
        if (state == CAIRN_RUN_DONE || state == CAIRN_RUN_FAILED)
            inv->run = NULL;
    } else {
        state = cairn_run_start(worker->fn, inv->type->module, inv->method->decl, inv, worker->node->limits.cpu_ns,
                                &inv->run, &inv->meter, &err);
    }
    settle(worker, inv, state, &err);
}

void object_run(struct cairn_worker *worker, struct object *object)
{
    struct invocation *inv = mailbox_take(worker, object);

    if (!inv)
        return;
    if (inv->read_only)
        object->readers++;
    else
        object->writing = true;
    if (inv->key.size && !inv->resumes && cairn_list_empty(&inv->keyed_link)) {
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
        refuse_segment(worker, inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        return;
    }
    err.code = CAIRN_OK;
    err.text[0] = 0;
    state = cairn_run_resume(inv->run, &inv->meter, &err);
    if (state == CAIRN_RUN_DONE || state == CAIRN_RUN_FAILED)
        inv->run = NULL;
    settle(worker, inv, state, &err);
}

/* Tries again with those that wait for room in the log, in their order. */
void log_retry(struct cairn_worker *worker)
{
    struct cairn_link now, *l;

    cairn_list_init(&now);
    while ((l = cairn_list_pop_front(&worker->log_waiters)))
        cairn_list_push_back(&now, l);
    while ((l = cairn_list_pop_front(&now))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);
        struct object *object = inv->object;

        object_ref(worker, object);
        invocation_move(inv, INV_RUNNING);
        run_segment(worker, inv);
        object_make_ready(worker, object);
        object_unref(worker, object);
    }
}

/* The log has failed: nothing more can be promised, so everything under way ends now. */
void invocations_fail_all(struct cairn_worker *worker)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&worker->admission))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);
        inv->object->before_mailbox--;
        inv->object->outside_waiting--;
        invocation_refuse(worker, inv, CAIRN_EUNAVAILABLE, "the log has failed: %s", worker->node->failure.text);
    }
    while ((l = cairn_list_pop_front(&worker->aside)))
        invocation_resume_aside(worker, cairn_container(l, struct invocation, link));
    log_retry(worker);
    for (l = worker->fiber_waiters.next; l != &worker->fiber_waiters; l = l->next)
        object_make_ready(worker, cairn_container(l, struct invocation, waiter)->object);
}
