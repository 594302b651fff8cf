#include "admin/ring.h"

#include "object/invocation.h"
#include "object/tracing.h"
#include "object/worker.h"

/* --- log lines --- */

static const struct log_line *line(const struct cairn_worker *worker, uint64_t number)
{
    return &worker->lines[number % LOG_LINES_MAX];
}

static uint64_t lines_first(const struct cairn_worker *worker)
{
    return worker->line_count < LOG_LINES_MAX ? 0 : worker->line_count - LOG_LINES_MAX;
}

static uint64_t lines_end(const struct cairn_worker *worker)
{
    return worker->line_count;
}

static int64_t line_ms(const struct cairn_worker *worker, uint64_t number)
{
    return line(worker, number)->ms;
}

static bool line_is_of(const struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    return line(worker, number)->space == inv->space;
}

static void line_add(struct cairn_buf *to, const struct cairn_worker *worker, uint64_t number)
{
    const struct log_line *l = line(worker, number);
    char job[CAIRN_JOB_ID_DIGITS + 1];

    cairn_job_id_write(l->job, job);
    cairn_value_add_list(to, 7);
    cairn_value_add_int(to, l->ms);
    cairn_value_add_int(to, l->level);
    for (int t = 0; t < 4; t++)
        cairn_value_add_bytes(to, cairn_str(l->text[t]));
    cairn_value_add_bytes(to, cairn_str(job));
}

const struct ring lines_ring = {lines_first, lines_end, line_ms, line_is_of, line_add};

/* --- spans --- */

static const struct trace_ring *spans(const struct cairn_worker *worker)
{
    return &worker->node->tracing->rings[worker->index];
}

static const struct trace_span *span(const struct cairn_worker *worker, uint64_t number)
{
    return &spans(worker)->spans[number % TRACE_SPANS_KEPT];
}

static uint64_t spans_first(const struct cairn_worker *worker)
{
    return spans(worker)->first;
}

static uint64_t spans_end(const struct cairn_worker *worker)
{
    return spans(worker)->end;
}

static int64_t span_ms(const struct cairn_worker *worker, uint64_t number)
{
    return span(worker, number)->ms;
}

/* Of a job all, and without one the first of each. */
static bool span_is_of(const struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    const struct trace_span *s = span(worker, number);
    struct cairn_job_id job = inv->request->parent.job;

    return s->space == inv->space && (cairn_job_id_is(job) ? cairn_job_id_equal(s->job, job) : s->first);
}

static void span_add(struct cairn_buf *to, const struct cairn_worker *worker, uint64_t number)
{
    const struct trace_span *s = span(worker, number);

    cairn_buf_add(to, s->encoded, s->size);
}

const struct ring spans_ring = {spans_first, spans_end, span_ms, span_is_of, span_add};
