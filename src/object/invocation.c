/* invocation.c - an invocation's states, its making and freeing, and how it ends. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clear.h"
#include "object/account.h"
#include "object/hold.h"
#include "object/clock.h"
#include "object/durable.h"
#include "object/invocation.h"
#include "object/operation.h"
#include "object/quota.h"
#include "object/span.h"
#include "object/table.h"
#include "object/tap.h"
#include "object/transaction.h"
#include "object/type.h"
#include "object/worker.h"

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
                                    TO(INV_DUPLICATE) | TO(INV_MAILBOX) | TO(INV_ASLEEP)},
    [INV_ASIDE] = {"aside", TO(INV_RUNNING)},
    [INV_WAITING] = {"waiting", TO(INV_MAILBOX) | TO(INV_RETURNING) | TO(INV_OVER)},
    [INV_RETURNING] = {"returning", TO(INV_OVER) | TO(INV_ROOM) | TO(INV_MAILBOX) | TO(INV_ASLEEP)},
    [INV_ASLEEP] = {"asleep", TO(INV_MAILBOX) | TO(INV_RETURNING) | TO(INV_OVER)},
    [INV_DUPLICATE] = {"duplicate", TO(INV_OVER)},
    [INV_OVER] = {"over", TO(INV_HELD)},
    [INV_HELD] = {"held", 0},
};

void invocation_move(struct invocation *inv, enum invocation_state to)
{
    assert(states[inv->state].next & TO(to));
    inv->state = to;
    if (__builtin_expect(inv->span != NULL, 0))
        span_moves(inv, to);
}

/* --- making and freeing ---------------------------------------------------------------------- */

enum { FREE_INVOCATIONS_MAX = 2048, KEEP_BYTES = 1024 };

static void drop_message(struct cairn_worker *worker, struct message *message)
{
    invocation_free(worker, (struct invocation *)message);
}

struct invocation *invocation_new(struct cairn_worker *worker, const struct operation *operation)
{
    struct invocation *inv = worker->free_invocations;

    if (inv) {
        worker->free_invocations = (struct invocation *)inv->message.next;
        worker->free_invocation_count--;
    } else {
        inv = cairn_alloc_zeroed(1, sizeof *inv);
        cairn_list_init(&inv->link);
        cairn_list_init(&inv->live);
        cairn_list_init(&inv->waiter);
    }
    inv->state = INV_NEW;
    inv->operation = operation;
    inv->message.receive = operation->receive;
    inv->message.drop = drop_message;
    return inv;
}

uint32_t invocation_add_call(struct invocation *inv)
{
    if (inv->call_count == inv->call_room) {
        inv->call_room = inv->call_room ? inv->call_room * 2 : 8;
        inv->calls = cairn_realloc(inv->calls, inv->call_room * sizeof *inv->calls);
    }
    inv->calls[inv->call_count] = (struct call){.state = CALL_OUT};
    return inv->call_count++;
}

void invocation_forget_calls(struct cairn_worker *worker, struct invocation *inv)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < inv->call_count; i++)
        if (inv->calls[i].large) {
            bytes += inv->calls[i].size;
            free(inv->calls[i].large);
        }
    inv->call_count = 0;
    if (bytes)
        account_dropped(worker, inv->job, bytes);
}

void invocation_free(struct cairn_worker *worker, struct invocation *inv)
{
    struct call *calls = inv->calls;
    uint32_t call_room = inv->call_room;
    uint8_t *payload = inv->payload;
    size_t payload_room = inv->payload_room;
    struct cairn_buf result = inv->result;

    account_release(worker, inv);
    invocation_forget_calls(worker, inv);
    if (__builtin_expect(inv->span != NULL, 0))
        span_drop(inv);
    if (inv->durable)
        inv->durable->drop(worker, inv);
    if (__builtin_expect(inv->reads != NULL, 0)) {
        cairn_buf_done(inv->reads);
        free(inv->reads);
    }
    if (inv->job && atomic_fetch_sub_explicit(&inv->job->refs, 1, memory_order_acq_rel) == 1)
        account_job_ended(inv->job);
    if (inv->own)
        inv->operation->drop(inv);
    if (inv->transaction)
        transaction_unref(inv->transaction);
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
    cairn_clear(inv, sizeof *inv);
    cairn_list_init(&inv->link);
    cairn_list_init(&inv->live);
    cairn_list_init(&inv->waiter);
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

/* --- the end -------------------------------------------------------------------------------------- */

/* For the bill of the namespace (docs/design/0041-cost-of-a-run.md). */
static void count_use(struct space_meter *meter, const struct invocation *inv)
{
    struct space_use *use = space_use_of(meter);

    stat_add(&use->of[CAIRN_METERED_REQUESTS], inv->request != NULL);
    stat_add(&use->of[CAIRN_METERED_INVOCATIONS], 1);
    stat_add(&use->of[CAIRN_METERED_CPU_NS], inv->meter.cpu_ns);
    stat_add(&use->of[CAIRN_METERED_MEMORY], inv->meter.cpu_ns * (inv->meter.memory_bytes_peak >> 10) / 1000);
    stat_add(&use->of[CAIRN_METERED_READS], inv->entries_read);
    stat_add(&use->of[CAIRN_METERED_READ_BYTES], inv->read_bytes);
    if (!inv->method->decl->read_only) {
        stat_add(&use->of[CAIRN_METERED_HOPS], 1);
        stat_add(&use->of[CAIRN_METERED_HOP_BYTES], inv->args.size);
        stat_add(&use->of[CAIRN_METERED_WRITES], inv->entries_written);
        stat_add(&use->of[CAIRN_METERED_WRITTEN_BYTES], inv->written_bytes);
    }
    stat_add(&meter->operations, inv->operations);
}

static void count_outcome(struct cairn_worker *worker, struct invocation *inv)
{
    struct method_stats *stats;

    if (!inv->method)
        return;
    count_use(&inv->type->space->meters[worker->index], inv);
    if (space_is_gated(inv->type->space))
        quota_charge_cpu(inv->type->space, inv->meter.cpu_ns, worker_recent_ns(worker));
    stats = method_stats_of(worker, inv->type, inv->method);
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
    if (__builtin_expect(inv->job && inv->job->cost, 0))
        job_count(inv);
}

/* Until its last run has ended, or a little later. */
static void count_latency(struct cairn_worker *worker, const struct invocation *inv)
{
    uint64_t now = worker_recent_ns(worker);

    stats_latency(inv->method->stats, now > inv->started_ns ? now - inv->started_ns : 0);
}

/* An invocation has left its object; its result goes back where it came from. */
void invocation_finish(struct cairn_worker *worker, struct invocation *inv)
{
    assert(inv->state == INV_OVER);
    cairn_list_remove(&inv->live);
    if (inv->own)
        inv->operation->leave(worker, inv);
    if (inv->result.size == 0)
        cairn_value_add_nil(&inv->result);
    count_outcome(worker, inv);
    account_result(worker, inv);
    if (inv->type) {
        if (__builtin_expect(inv->type->tap != NULL, 0))
            inv->type->tap->over(worker, inv);
        if (inv->method && inv->request)
            count_latency(worker, inv);
        type_unref(inv->type);
        inv->type = NULL;
        inv->method = NULL;
    }
    if (inv->object) {
        object_unref(worker, inv->object);
        inv->object = NULL;
    }
    inv->message.receive = inv->operation->answer;
    if (inv->caller && !worker->node->has_one_log)
        hold_pass(worker, inv);
    else if (inv->origin == worker->index)
        inv->message.receive(worker, &inv->message);
    else {
        inv->message.beside = inv->result.data;
        worker_send(worker, inv->origin, &inv->message);
    }
}

void invocation_end(struct cairn_worker *worker, struct invocation *inv)
{
    invocation_move(inv, INV_OVER);
    invocation_finish(worker, inv);
}
