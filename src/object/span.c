#include "object/span.h"

#include <stdlib.h>

#include "object/job.h"
#include "object/tracing.h"
#include "object/worker.h"

enum { ERROR_TEXT_BYTES = 256 };

struct span {
    struct tracing *tracing;
    uint64_t id, parent, begun_ns;
    enum span_kind kind;
    struct cairn_bytes type, object, method; /* in `names` */
    uint32_t phase_count;
    struct {
        uint64_t ns;
        enum span_phase phase;
    } phases[SPAN_PHASES_NOTED];
    struct cairn_buf below; /* u32 size, encoded span each: of the calls that are over */
    uint32_t below_count;
    uint64_t dropped; /* of them, for want of room */
    uint8_t names[];
};

static const enum span_phase phase_of[INV_STATE_COUNT] = {
    [INV_NEW] = SPAN_QUEUEING,      [INV_ADMISSION] = SPAN_QUEUEING, [INV_MAILBOX] = SPAN_QUEUEING,
    [INV_ROOM] = SPAN_LOG,          [INV_RUNNING] = SPAN_RUNNING,    [INV_ASIDE] = SPAN_QUEUEING,
    [INV_WAITING] = SPAN_WAITING,   [INV_RETURNING] = SPAN_WAITING,  [INV_ASLEEP] = SPAN_ASLEEP,
    [INV_DUPLICATE] = SPAN_WAITING, [INV_OVER] = SPAN_REPLY,         [INV_HELD] = SPAN_LOG,
};

const char *span_kind_name(uint64_t kind)
{
    static const char *const names[] = {"request", "call", "message", "resumed"};

    return kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

const char *span_phase_name(uint64_t phase)
{
    static const char *const names[SPAN_PHASES] = {"queueing", "running", "waiting", "log", "reply", "asleep", "rest"};

    return phase < SPAN_PHASES ? names[phase] : "unknown";
}

static uint64_t now(const struct tracing *tracing)
{
    return tracing->clock->monotonic_ns(tracing->clock);
}

static struct cairn_bytes copy(uint8_t **at, struct cairn_bytes from)
{
    struct cairn_bytes to = cairn_bytes(*at, from.size);

    if (from.size)
        memcpy(*at, from.data, from.size);
    *at += from.size;
    return to;
}

static void make(struct cairn_worker *worker, struct invocation *inv, enum span_kind kind, uint64_t parent,
                 struct cairn_bytes type, struct cairn_bytes id, struct cairn_bytes method)
{
    struct tracing *tracing = worker->node->tracing;
    struct span *span;
    uint8_t *at;

    if (atomic_fetch_add_explicit(&tracing->live, 1, memory_order_relaxed) >= TRACE_SPANS_LIVE) {
        atomic_fetch_sub_explicit(&tracing->live, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&tracing->dropped, 1, memory_order_relaxed);
        return;
    }
    span = cairn_alloc_zeroed(1, sizeof *span + type.size + id.size + method.size);
    span->tracing = tracing;
    at = span->names;
    span->type = copy(&at, type);
    span->object = copy(&at, id);
    span->method = copy(&at, method);
    do
        span->id = cairn_random_u64(&worker->job_ids);
    while (span->id == 0);
    span->parent = parent;
    span->kind = kind;
    span->begun_ns = now(tracing);
    span->phases[0].ns = span->begun_ns;
    span->phases[0].phase = SPAN_QUEUEING;
    span->phase_count = 1;
    inv->span = span;
}

void span_begin(struct invocation *inv, enum span_kind kind, uint64_t parent)
{
    const struct cairn_request *request = inv->request;

    if (!request)
        make(inv->worker, inv, kind, parent, inv->type_name, inv->id, inv->method_name);
    else if (request->call_count) /* it is at the object of its first call */
        make(inv->worker, inv, kind, parent, request->calls[0].type, request->calls[0].id, cairn_str("EXEC"));
    else
        make(inv->worker, inv, kind, parent, request->type, request->id, request->method);
}

void span_begin_call(const struct invocation *caller, struct invocation *callee)
{
    make(caller->worker, callee, SPAN_CALL, caller->span->id, callee->type_name, callee->id, callee->method_name);
}

uint64_t span_id(const struct invocation *inv)
{
    return inv->span ? inv->span->id : 0;
}

void span_moves(struct invocation *inv, enum invocation_state to)
{
    struct span *span = inv->span;
    enum span_phase phase = phase_of[to];

    if (span->phases[span->phase_count - 1].phase == phase || span->phase_count == SPAN_PHASES_NOTED)
        return;
    if (span->phase_count == SPAN_PHASES_NOTED - 1)
        phase = SPAN_REST;
    span->phases[span->phase_count].ns = now(span->tracing);
    span->phases[span->phase_count++].phase = phase;
}

/* --- the end ------------------------------------------------------------------------------------------ */

static void add_outcome(struct cairn_buf *to, const struct invocation *inv)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    struct cairn_value v = {0};

    if (inv->failed)
        v = cairn_value_read(&r);
    if (v.bytes.size > ERROR_TEXT_BYTES)
        v.bytes.size = ERROR_TEXT_BYTES;
    cairn_value_add_bytes(to, v.error);
    cairn_value_add_bytes(to, v.bytes);
}

static void encode(struct cairn_buf *to, struct invocation *inv)
{
    const struct span *span = inv->span;
    struct tracing *tracing = span->tracing;
    uint8_t job[CAIRN_JOB_ID_BYTES];

    cairn_job_id_put(inv->job->id, job);
    cairn_value_add_list(to, SPAN_FIELDS);
    cairn_value_add_bytes(to, cairn_bytes(job, sizeof job));
    cairn_value_add_int(to, (int64_t)span->id);
    cairn_value_add_int(to, (int64_t)span->parent);
    cairn_value_add_int(to, span->kind);
    cairn_value_add_bytes(to, span->type);
    cairn_value_add_bytes(to, span->object);
    cairn_value_add_bytes(to, span->method);
    cairn_value_add_int(to, tracing_unix_ns(tracing, span->begun_ns));
    cairn_value_add_int(to, tracing_unix_ns(tracing, now(tracing)));
    add_outcome(to, inv);
    cairn_value_add_list(to, 6);
    cairn_value_add_int(to, (int64_t)inv->meter.cpu_ns);
    cairn_value_add_int(to, (int64_t)inv->meter.memory_bytes_peak);
    cairn_value_add_int(to, (int64_t)inv->operations);
    cairn_value_add_int(to, (int64_t)inv->read_bytes);
    cairn_value_add_int(to, (int64_t)inv->written_bytes);
    cairn_value_add_int(to, inv->call_count);
    cairn_value_add_list(to, 2 * span->phase_count);
    for (uint32_t i = 0; i < span->phase_count; i++) {
        cairn_value_add_int(to, span->phases[i].phase);
        cairn_value_add_int(to, (int64_t)(span->phases[i].ns - span->begun_ns));
    }
    cairn_value_add_int(to, (int64_t)span->dropped);
}

/* The span, and those below it, behind what is there. */
static void add_all(struct cairn_buf *to, struct invocation *inv)
{
    size_t at = to->size;

    cairn_buf_reserve(to, 4);
    to->size += 4;
    encode(to, inv);
    cairn_put_u32(to->data + at, (uint32_t)(to->size - at - 4));
    cairn_buf_add(to, inv->span->below.data, inv->span->below.size);
}

/* So many fewer are under way. */
static void leave(struct tracing *tracing, uint64_t count)
{
    atomic_fetch_sub_explicit(&tracing->live, count, memory_order_relaxed);
}

void span_return(struct invocation *caller, struct invocation *callee)
{
    struct span *span = caller->span, *below = callee->span;
    size_t before = span->below.size;

    add_all(&span->below, callee);
    if (span->below.size <= TRACE_JOB_BYTES) {
        span->below_count += 1 + below->below_count;
        below->below_count = 0;
        atomic_fetch_add_explicit(&span->tracing->live, 1, memory_order_relaxed); /* span_drop takes it off */
    } else {
        span->below.size = before;
        span->dropped += 1 + below->below_count + below->dropped;
        atomic_fetch_add_explicit(&span->tracing->dropped, 1 + below->below_count, memory_order_relaxed);
    }
    span_drop(callee);
}

void span_forget_calls(struct invocation *inv)
{
    leave(inv->span->tracing, inv->span->below_count);
    inv->span->below_count = 0;
    inv->span->below.size = 0;
    inv->span->dropped = 0;
}

void span_end(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_buf spans = {0};

    add_all(&spans, inv);
    tracing_keep(inv->span->tracing, worker->index, inv->job->id, inv->space, cairn_buf_bytes(&spans));
    cairn_buf_done(&spans);
    span_drop(inv);
}

void span_drop(struct invocation *inv)
{
    leave(inv->span->tracing, 1 + inv->span->below_count);
    cairn_buf_done(&inv->span->below);
    free(inv->span);
    inv->span = NULL;
}
