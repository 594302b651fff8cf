/* invoke.c - the life of an invocation: mailbox, segments, calls, outcome.
 *
 * object_run takes the head of a mailbox and runs one segment of it; `settle` does what
 * follows from how the segment ended.  An invocation that has begun a segment is counted in
 * object->writing or object->readers until the segment has ended, waiting for room in the log
 * included.  One that needs a fiber goes back to the head of its mailbox instead, where those that
 * hold fibers and resume can pass it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "object/object_internal.h"
#include "object/once.h"

#define TO(state) (1u << (state))

static const struct {
    const char *name;
    unsigned next;
} states[INV_STATE_COUNT] = {
    [INV_NEW] = {"new", TO(INV_ADMISSION) | TO(INV_MAILBOX) | TO(INV_OVER) | TO(INV_HELD)},
    [INV_ADMISSION] = {"admission", TO(INV_MAILBOX) | TO(INV_OVER)},
    [INV_MAILBOX] = {"mailbox", TO(INV_RUNNING) | TO(INV_ADMISSION)},
    [INV_ROOM] = {"room", TO(INV_RUNNING)},
    [INV_RUNNING] = {"running", TO(INV_ASIDE) | TO(INV_WAITING) | TO(INV_RETURNING) | TO(INV_OVER) | TO(INV_ROOM) |
                                    TO(INV_DUPLICATE) | TO(INV_MAILBOX)},
    [INV_ASIDE] = {"aside", TO(INV_RUNNING)},
    [INV_WAITING] = {"waiting", TO(INV_MAILBOX)},
    [INV_RETURNING] = {"returning", TO(INV_OVER)},
    [INV_DUPLICATE] = {"duplicate", TO(INV_OVER)},
    [INV_OVER] = {"over", TO(INV_HELD)},
    [INV_HELD] = {"held", 0},
};

void invocation_move(struct invocation *inv, enum invocation_state to)
{
    assert(states[inv->state].next & TO(to));
    inv->state = to;
}

/* --- making and freeing ---------------------------------------------------------------------- */

enum { FREE_INVOCATIONS_MAX = 2048, KEEP_BYTES = 1024 };

struct invocation *invocation_new(struct cairn_worker *worker)
{
    struct invocation *inv = worker->free_invocations;

    if (inv) {
        worker->free_invocations = (struct invocation *)inv->message.next;
        worker->free_invocation_count--;
    } else {
        inv = cairn_alloc_zeroed(1, sizeof *inv);
        cairn_list_init(&inv->link);
        cairn_list_init(&inv->keyed_link);
        cairn_list_init(&inv->live);
        cairn_list_init(&inv->waiter);
        cairn_list_init(&inv->duplicates);
    }
    inv->state = INV_NEW;
    inv->message.kind = MSG_INVOCATION;
    inv->message.receive = receive_invocation;
    return inv;
}

static void drop_results(struct invocation *inv)
{
    for (uint32_t i = 0; i < inv->call_count; i++)
        free(inv->calls[i].large);
    inv->call_count = 0;
}

void invocation_free(struct cairn_worker *worker, struct invocation *inv)
{
    struct call *calls = inv->calls;
    uint32_t call_room = inv->call_room;
    uint8_t *payload = inv->payload;
    size_t payload_room = inv->payload_room;
    struct cairn_buf result = inv->result;

    if (inv->job && atomic_fetch_sub_explicit(&inv->job->refs, 1, memory_order_acq_rel) == 1)
        free(inv->job);
    drop_results(inv);
    if (worker->free_invocation_count >= FREE_INVOCATIONS_MAX) {
        free(calls);
        free(payload);
        cairn_buf_done(&result);
        free(inv);
        return;
    }
    if (payload_room > KEEP_BYTES) {
        free(payload);
        payload = NULL;
        payload_room = 0;
    }
    if (result.capacity > KEEP_BYTES)
        cairn_buf_done(&result);
    if (call_room > 64) {
        free(calls);
        calls = NULL;
        call_room = 0;
    }
    result.size = 0;
    memset(inv, 0, sizeof *inv);
    cairn_list_init(&inv->link);
    cairn_list_init(&inv->keyed_link);
    cairn_list_init(&inv->live);
    cairn_list_init(&inv->waiter);
    cairn_list_init(&inv->duplicates);
    inv->calls = calls;
    inv->call_room = call_room;
    inv->payload = payload;
    inv->payload_room = payload_room;
    inv->result = result;
    inv->message.next = (struct message *)worker->free_invocations;
    worker->free_invocations = inv;
    worker->free_invocation_count++;
}

void set_error(struct invocation *inv, enum cairn_code code, const char *text)
{
    inv->result.size = 0;
    cairn_value_add_error(&inv->result, cairn_str(cairn_code_name(code)), cairn_str(text));
    inv->failed = true;
}

void invocation_refuse(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code, const char *format,
                       ...)
{
    char text[CAIRN_ERR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    set_error(inv, code, text);
    stat_add(&worker->counts.refused, 1);
    if (inv->state != INV_OVER)
        invocation_move(inv, INV_OVER);
    invocation_finish(worker, inv);
}

/* --- arriving ---------------------------------------------------------------------------------- */

/* One that needs a fiber does not begin before there is one: it must not keep its object from those that
 * hold fibers and come back to it. */
static bool may_start(const struct cairn_worker *worker, const struct object *object, const struct invocation *inv)
{
    if (inv->needs_fiber && !worker->failed && cairn_fn_worker_fibers_free(worker->fn) == 0)
        return false;
    return !object->writing && (inv->read_only || object->readers == 0);
}

void object_make_ready(struct cairn_worker *worker, struct object *object)
{
    struct invocation *head;

    if (cairn_list_empty(&object->mailbox) || !cairn_list_empty(&object->ready))
        return;
    head = cairn_container(object->mailbox.next, struct invocation, link);
    if (may_start(worker, object, head))
        cairn_list_push_back(head->request && !head->resumes ? &worker->ready_outside : &worker->ready_urgent,
                             &object->ready);
}

static void enter_mailbox(struct cairn_worker *worker, struct invocation *inv)
{
    struct object *object = inv->object;

    invocation_move(inv, INV_MAILBOX);
    cairn_list_push_back(&object->mailbox, &inv->link);
    stat_add(&worker->counts.mailbox_waiting, 1);
    object_make_ready(worker, object);
}

static bool fibers_share_used(const struct cairn_worker *worker)
{
    /* Requests from outside may hold half of the fibers; the rest is for calls. */
    uint32_t all = worker->fibers + cairn_fn_worker_fibers_free(worker->fn);

    return worker->outside_fibers >= (all + 1) / 2;
}

void invocation_arrive(struct cairn_worker *worker, struct invocation *inv)
{
    const struct cairn_limits *limits = &worker->node->limits;
    struct type *type = type_find(worker, inv->space, inv->type_name);
    struct method *method = NULL;
    struct object *object;

    inv->worker = worker;
    cairn_list_push_back(&worker->live, &inv->live);
    if (worker->failed) {
        invocation_refuse(worker, inv, CAIRN_EUNAVAILABLE, "the log has failed: %s", worker->node->failure.text);
        return;
    }
    if (!type) {
        invocation_refuse(worker, inv, CAIRN_ENOTYPE, "there is no type %.*s; see `cairn types`",
                          (int)inv->type_name.size, (const char *)inv->type_name.data);
        return;
    }
    if (inv->op == CAIRN_OP_INVOKE) {
        method = type_method(type, inv->method_name);
        if (!method) {
            invocation_refuse(worker, inv, CAIRN_ENOMETHOD, "type %s has no method %.*s", type->decl->name,
                              (int)inv->method_name.size, (const char *)inv->method_name.data);
            return;
        }
        if (!method->decl->is_public && (inv->request || !inv->may_internal)) {
            invocation_refuse(worker, inv, CAIRN_ENOTPUBLIC,
                              "%s.%s is internal: only objects of its own module may call it", type->decl->name,
                              method->decl->name);
            return;
        }
        if (inv->must_read_only && !method->decl->read_only) {
            invocation_refuse(worker, inv, CAIRN_ENOTREADONLY, "%s.%s may write, and only reading is allowed here",
                              type->decl->name, method->decl->name);
            return;
        }
        if (inv->must_deterministic && !method->decl->deterministic) {
            invocation_refuse(worker, inv, CAIRN_ENOTDETERM,
                              "%s.%s is not deterministic, and a deterministic method called it", type->decl->name,
                              method->decl->name);
            return;
        }
        inv->read_only = method->decl->read_only;
    } else {
        inv->read_only = inv->op == CAIRN_OP_SHOW;
    }
    if (inv->depth > limits->depth) {
        invocation_refuse(worker, inv, CAIRN_ELIMIT, "calls are nested more than %u deep", limits->depth);
        return;
    }
    object = object_get(worker, worker_shard(worker, inv->shard), type->number, inv->id);
    object_ref(worker, object);
    inv->type = type_ref(type);
    inv->method = method;
    inv->object = object;
    inv->number = ++worker->invocation_count;
    inv->started_ns = inv->request ? inv->started_ns : 0;
    if (!inv->request) {
        enter_mailbox(worker, inv);
        return;
    }
    if (object->outside_waiting >= limits->mailbox) {
        invocation_refuse(worker, inv, CAIRN_EOVERLOAD, "%u requests wait for this object already; try again later",
                          limits->mailbox);
        return;
    }
    object->outside_waiting++;
    if (object->before_mailbox || (method && method->suspends && fibers_share_used(worker))) {
        invocation_move(inv, INV_ADMISSION);
        object->before_mailbox++;
        cairn_list_push_back(&worker->admission, &inv->link);
        return;
    }
    enter_mailbox(worker, inv);
}

/* A fiber held by a request from outside is free: who waits for one comes in, in order, and behind
 * it those that only waited because it stood before them. */
void admission_next(struct cairn_worker *worker)
{
    for (struct cairn_link *l = worker->admission.next, *next; l != &worker->admission; l = next) {
        struct invocation *inv = cairn_container(l, struct invocation, link);

        next = l->next;
        if (inv->method && inv->method->suspends && fibers_share_used(worker))
            return;
        cairn_list_remove(&inv->link);
        inv->object->before_mailbox--;
        enter_mailbox(worker, inv);
    }
}

void receive_invocation(struct cairn_worker *worker, struct message *message)
{
    invocation_arrive(worker, (struct invocation *)message);
}

/* --- outcome ------------------------------------------------------------------------------------ */

static void count_outcome(struct invocation *inv)
{
    struct method_stats *stats = inv->method ? inv->method->stats : NULL;

    if (!stats)
        return;
    stat_add(&stats->invocations, 1);
    if (inv->failed)
        stat_add(&stats->failures, 1);
    stat_add(&stats->cpu_ns, inv->meter.cpu_ns);
    if (inv->meter.memory_bytes_peak > stat_get(&stats->memory_peak_bytes))
        atomic_store_explicit(&stats->memory_peak_bytes, inv->meter.memory_bytes_peak, memory_order_relaxed);
    stat_add(&stats->read_bytes, inv->read_bytes);
    stat_add(&stats->written_bytes, inv->written_bytes);
    stat_add(&stats->operations, inv->operations);
    stat_add(&stats->calls, inv->call_count);
}

/* An invocation has left its object; its result goes back where it came from. */
void invocation_finish(struct cairn_worker *worker, struct invocation *inv)
{
    assert(inv->state == INV_OVER);
    cairn_list_remove(&inv->live);
    if (inv->result.size == 0)
        cairn_value_add_nil(&inv->result);
    if (inv->once_claim)
        worker->node->log->ops->release(worker->node->log, inv->once_claim, 1);
    inv->once_claim = 0;
    count_outcome(inv);
    if (inv->object) {
        object_unref(worker, inv->object);
        inv->object = NULL;
    }
    if (inv->type) {
        if (inv->method && inv->request)
            stats_latency(inv->method->stats, worker_clock_ns(worker) - inv->started_ns);
        type_unref(inv->type);
        inv->type = NULL;
        inv->method = NULL;
    }
    inv->message.kind = MSG_RESULT;
    inv->message.receive = receive_result;
    if (inv->origin == worker->index)
        receive_result(worker, &inv->message);
    else
        worker_send(worker, inv->origin, &inv->message);
}

static bool awaited_here(const struct invocation *inv)
{
    return inv->awaiting == UINT32_MAX ? inv->calls_out == 0 : inv->calls[inv->awaiting].state == CALL_DONE;
}

static void returned(struct cairn_worker *worker, struct invocation *inv);

static void resume_soon(struct cairn_worker *worker, struct invocation *inv)
{
    inv->resumes = true;
    invocation_move(inv, INV_MAILBOX);
    cairn_list_push_front(&inv->object->mailbox, &inv->link);
    stat_add(&worker->counts.mailbox_waiting, 1);
    /* It may have come before a head that waits in the ready list: that one runs the new head. */
    object_make_ready(worker, inv->object);
}

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
        resume_soon(worker, caller);
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

static void run_done(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err = {0};
    bool last = inv->calls_out == 0 && cairn_list_empty(&inv->segment->calls);

    if (inv->failed) {
        if (inv->depends < inv->object->last_end)
            inv->depends = inv->object->last_end; /* an error tells what it has read */
        fail_run(worker, inv);
        return;
    }
    if (inv->result.size == 0)
        cairn_value_add_nil(&inv->result);
    if (segment_commit(inv, last, &err) != CAIRN_OK) {
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
        cairn_run_cancel(inv->run);
        fiber_gone(worker, inv);
        set_error(inv, err.code, err.text);
        fail_run(worker, inv);
        return;
    }
    send_calls(worker, inv); /* some may come back at once */
    end_segment(worker, inv);
    if (awaited_here(inv)) {
        inv->resumes = true;
        invocation_move(inv, INV_MAILBOX);
        cairn_list_push_front(&inv->object->mailbox, &inv->link);
        stat_add(&worker->counts.mailbox_waiting, 1);
    } else {
        invocation_move(inv, INV_WAITING);
        worker->fibers_waiting++;
    }
    leave_object(worker, inv);
}

/* Requests from outside that turn out to need a fiber while there is none wait before the mailbox, where calls pass
 * them, and with them all that came behind: they keep their order, also against those that wait there already. */
static void back_to_admission(struct cairn_worker *worker, struct object *object)
{
    struct cairn_link *before = &worker->admission, *next;

    for (struct cairn_link *l = worker->admission.next; object->before_mailbox && l != &worker->admission; l = l->next)
        if (cairn_container(l, struct invocation, link)->object == object) {
            before = l;
            break;
        }
    for (struct cairn_link *l = object->mailbox.next; l != &object->mailbox; l = next) {
        struct invocation *inv = cairn_container(l, struct invocation, link);

        next = l->next;
        if (!inv->request || inv->resumes)
            continue;
        cairn_list_remove(&inv->link);
        cairn_list_remove(&inv->waiter);
        inv->needs_fiber = false;
        stat_add(&worker->counts.mailbox_waiting, (uint64_t)-1);
        invocation_move(inv, INV_ADMISSION);
        object->before_mailbox++;
        cairn_list_push_back(before, &inv->link); /* right before it */
    }
}

/* Back to the head of its mailbox, until a fiber is free. */
static void no_fiber(struct cairn_worker *worker, struct invocation *inv)
{
    segment_restart(worker, inv);
    end_segment(worker, inv);
    if (inv->method)
        inv->method->suspends = true;
    inv->needs_fiber = true;
    invocation_move(inv, INV_MAILBOX);
    cairn_list_push_front(&inv->object->mailbox, &inv->link);
    cairn_list_push_back(&worker->fiber_waiters, &inv->waiter);
    stat_add(&worker->counts.mailbox_waiting, 1);
    if (inv->request) {
        inv->object->outside_waiting++;
        back_to_admission(worker, inv->object);
    }
    leave_object(worker, inv);
}

static void leave_mailbox(struct cairn_worker *worker, struct invocation *inv)
{
    cairn_list_remove(&inv->link);
    cairn_list_remove(&inv->waiter);
    inv->needs_fiber = false;
    stat_add(&worker->counts.mailbox_waiting, (uint64_t)-1);
    if (inv->request && !inv->resumes)
        inv->object->outside_waiting--;
    invocation_move(inv, INV_RUNNING);
}

/* There are fibers again: those that wait for one may start, in order, as their objects let them. */
void fibers_freed(struct cairn_worker *worker)
{
    uint32_t most = cairn_fn_worker_fibers_free(worker->fn);

    for (struct cairn_link *l = worker->fiber_waiters.next; most && l != &worker->fiber_waiters; l = l->next, most--)
        object_make_ready(worker, cairn_container(l, struct invocation, waiter)->object);
}

/* All fibers are held by invocations that themselves wait for calls, and nothing moves: the first that
 * needs one will not get it. */
void fibers_stuck(struct cairn_worker *worker)
{
    struct invocation *inv = cairn_container(worker->fiber_waiters.next, struct invocation, waiter);
    struct object *object = inv->object;

    leave_mailbox(worker, inv);
    set_error(inv, inv->request ? CAIRN_EOVERLOAD : CAIRN_ELIMIT, "all function instances wait for calls");
    if (inv->key.size) { /* refused before running: not an outcome */
        once_over(worker, inv);
        invocation_move(inv, INV_OVER);
        invocation_finish(worker, inv);
    } else {
        after_run(worker, inv, false);
    }
    object_make_ready(worker, object);
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

/* Ends an invocation that has begun a segment but may not run it. */
static void stop_before_running(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code,
                                const char *text)
{
    set_error(inv, code, text);
    if (inv->run) {
        cairn_run_cancel(inv->run);
        fiber_gone(worker, inv);
    }
    inv->segment = segment_end(worker, inv->segment);
    leave_object(worker, inv);
    if (inv->key.size && !inv->once_recorded && !inv->resumes) {
        once_over(worker, inv); /* a refusal before running is not an outcome */
        invocation_move(inv, INV_OVER);
        invocation_finish(worker, inv);
        return;
    }
    after_run(worker, inv, false);
}

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
    if (code == CAIRN_OK && cairn_shard_writers_wait(inv->object->shard->shard))
        code = CAIRN_EOVERLOAD;
    else if (code == CAIRN_OK && !inv->read_only && !segment_claim(worker, inv->segment, CLAIM_FIRST_BYTES, &err))
        code = err.code;
    if (code == CAIRN_OK)
        return true;
    if (code == CAIRN_EOVERLOAD) { /* passes: the next log segment is being made, or a checkpoint */
        inv->segment = segment_end(worker, inv->segment);
        invocation_move(inv, INV_ROOM);
        cairn_list_push_back(&worker->log_waiters, &inv->link);
        return false;
    }
    stop_before_running(worker, inv, code, err.text);
    return false;
}

/* Runs the segment of an invocation that is counted at its object. */
static void run_segment(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_err err;
    enum cairn_run_state state;

    if (worker->failed) {
        stop_before_running(worker, inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        return;
    }
    inv->segment = segment_begin(worker, inv->object);
    if (!has_room(worker, inv))
        return;
    inv->now_ms = worker_now_ms(worker);
    inv->segment_number++;
    stat_add(&worker->counts.segments, 1);
    err.code = CAIRN_OK;
    err.text[0] = 0;
    if (inv->op != CAIRN_OP_INVOKE) {
        if (inv->op == CAIRN_OP_SHOW)
            show_object(inv);
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
    struct invocation *inv;

    if (cairn_list_empty(&object->mailbox))
        return;
    inv = cairn_container(object->mailbox.next, struct invocation, link);
    if (!may_start(worker, object, inv))
        return;
    leave_mailbox(worker, inv);
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
        stop_before_running(worker, inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
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
