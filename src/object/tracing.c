#include "object/tracing.h"

#include <assert.h>
#include <stdlib.h>

#include "object/space.h"

enum { CLOCK_STEP_NS = 2000000 }; /* the wall clock tells milliseconds: nearer than two of them nothing is known */

struct tracing *tracing_open(const struct cairn_trace_options *options, struct cairn_clock *clock, uint32_t workers)
{
    struct tracing *tracing;

    if (!options->on)
        return NULL;
    tracing = cairn_alloc_zeroed(1, sizeof *tracing);
    tracing->options = *options;
    tracing->clock = clock;
    tracing->workers = workers;
    tracing->threshold = options->ratio >= 1 ? UINT64_MAX : (uint64_t)(options->ratio * (double)UINT64_MAX);
    tracing->rings = cairn_alloc_pages(workers * sizeof *tracing->rings);
    return tracing;
}

static void forget_first(struct trace_ring *ring)
{
    struct trace_span *span = &ring->spans[ring->first++ % TRACE_SPANS_KEPT];

    ring->bytes -= span->size;
    free(span->encoded);
    span->encoded = NULL;
}

void tracing_close(struct tracing *tracing)
{
    if (!tracing)
        return;
    assert(tracing->live == 0); /* all invocations are gone */
    for (uint32_t i = 0; i < tracing->workers; i++)
        while (tracing->rings[i].first < tracing->rings[i].end)
            forget_first(&tracing->rings[i]);
    cairn_free_pages(tracing->rings, tracing->workers * sizeof *tracing->rings);
    free(tracing);
}

/* By the id, so that all that see the job decide alike: its lower half is as good as random. */
bool tracing_samples(const struct tracing *tracing, struct cairn_job_id job)
{
    return job.low < tracing->threshold || tracing->threshold == UINT64_MAX;
}

int64_t tracing_unix_ns(struct tracing *tracing, uint64_t monotonic_ns)
{
    struct cairn_clock *clock = tracing->clock;
    int64_t now = (int64_t)(clock->wall_ms(clock) * 1000000) - (int64_t)clock->monotonic_ns(clock);
    int64_t offset = atomic_load_explicit(&tracing->offset_ns, memory_order_relaxed);

    if (now - offset > CLOCK_STEP_NS || offset - now > CLOCK_STEP_NS) {
        offset = now;
        atomic_store_explicit(&tracing->offset_ns, offset, memory_order_relaxed);
    }
    return (int64_t)monotonic_ns + offset;
}

/* With what is left of the job of the first one. */
static void make_room(struct trace_ring *ring, size_t bytes)
{
    while (ring->first < ring->end &&
           (ring->end - ring->first == TRACE_SPANS_KEPT || ring->bytes + bytes > TRACE_BYTES_KEPT)) {
        do
            forget_first(ring);
        while (ring->first < ring->end && !ring->spans[ring->first % TRACE_SPANS_KEPT].first);
    }
}

static void keep(struct trace_ring *ring, const struct trace_span *like, struct cairn_bytes encoded)
{
    struct trace_span *span;

    make_room(ring, encoded.size);
    span = &ring->spans[ring->end++ % TRACE_SPANS_KEPT];
    *span = *like;
    span->size = (uint32_t)encoded.size;
    span->encoded = cairn_alloc(encoded.size);
    memcpy(span->encoded, encoded.data, encoded.size);
    ring->bytes += encoded.size;
}

void tracing_keep(struct tracing *tracing, uint32_t worker, struct cairn_job_id job, const struct space *space,
                  struct cairn_bytes spans)
{
    struct trace_ring *ring = &tracing->rings[worker];
    struct cairn_reader r = cairn_reader(spans);
    struct trace_span span = {.ms = (int64_t)tracing->clock->wall_ms(tracing->clock),
                              .job = job,
                              .space = space,
                              .life = space_life(space),
                              .first = true};
    uint64_t count = 0;

    if (ring->first < ring->end && span.ms < ring->spans[(ring->end - 1) % TRACE_SPANS_KEPT].ms)
        span.ms = ring->spans[(ring->end - 1) % TRACE_SPANS_KEPT].ms; /* they ascend: pages go by them */
    for (; cairn_reader_left(&r); count++, span.first = false)
        keep(ring, &span, cairn_read_bytes(&r, cairn_read_u32(&r)));
    atomic_fetch_add_explicit(&tracing->recorded, count, memory_order_relaxed);
    if (tracing->options.take)
        tracing->options.take(tracing->options.context, spans);
}
