#include "admin/ring.h"

#include "object/invocation.h"
#include "object/tracing.h"
#include "object/worker.h"

/* --- log lines --- */

static uint64_t lines_first(struct cairn_worker *worker, const struct invocation *inv)
{
    const struct method_log *log = method_log_of(worker, inv->space);

    return log ? log->first : 0;
}

static uint64_t lines_end(struct cairn_worker *worker, const struct invocation *inv)
{
    const struct method_log *log = method_log_of(worker, inv->space);

    return log ? log->end : 0;
}

static const struct log_line *line(struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    const struct method_log *log = method_log_of(worker, inv->space);

    return log->lines[number & (log->room - 1)];
}

static int64_t line_ms(struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    return line(worker, number, inv)->ms;
}

static bool line_is_of(struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    (void)worker, (void)number, (void)inv; /* all of the namespace's */
    return true;
}

static void line_add(struct cairn_buf *to, struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    const struct log_line *l = line(worker, number, inv);
    char job[CAIRN_JOB_ID_DIGITS + 1];

    cairn_job_id_write(l->job, job);
    cairn_value_add_list(to, 7);
    cairn_value_add_int(to, l->ms);
    cairn_value_add_int(to, l->level);
    for (int t = 0; t < 4; t++)
        cairn_value_add_bytes(to, l->text[t]);
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

static uint64_t spans_first(struct cairn_worker *worker, const struct invocation *inv)
{
    (void)inv;
    return spans(worker)->first;
}

static uint64_t spans_end(struct cairn_worker *worker, const struct invocation *inv)
{
    (void)inv;
    return spans(worker)->end;
}

static int64_t span_ms(struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    (void)inv;
    return span(worker, number)->ms;
}

/* Of a job all, and without one the first of each. */
static bool span_is_of(struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    const struct trace_span *s = span(worker, number);
    struct cairn_job_id job = inv->request->parent.job;

    return s->space == inv->space && s->life == space_life(s->space) &&
           (cairn_job_id_is(job) ? cairn_job_id_equal(s->job, job) : s->first);
}

static void span_add(struct cairn_buf *to, struct cairn_worker *worker, uint64_t number, const struct invocation *inv)
{
    const struct trace_span *s = span(worker, number);

    (void)inv;
    cairn_buf_add(to, s->encoded, s->size);
}

const struct ring spans_ring = {spans_first, spans_end, span_ms, span_is_of, span_add};
