/* tracing.h - which jobs are traced, and where their spans are kept: the newest of each worker, in memory.
 *
 * A span is kept as one encoded value, whose shape span.h tells.  The spans of a job are given together when the job is
 * over: to the ring of the worker that they ended at, and to whatever exports them, which must not block.
 * Threads: as said at each.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_TRACING_H
#define CAIRN_OBJECT_TRACING_H

#include <stdatomic.h>

#include "base/traceparent.h"
#include "object/object.h"

enum {
    TRACE_SPANS_KEPT = 8192, /* of a worker; TRACE_BYTES_KEPT of them */
    TRACE_BYTES_KEPT = 4 << 20,
    TRACE_JOB_BYTES = 256 << 10, /* of one job; spans beyond are dropped */
    TRACE_SPANS_LIVE = 32 << 10, /* of the node, of invocations under way; what is beyond is not recorded */
};

struct trace_span {
    int64_t ms; /* of the job's end; they ascend */
    struct cairn_job_id job;
    const struct space *space;
    unsigned life; /* of the namespace (space_life) */
    bool first;    /* the first of its job on this node: a request, or a message */
    uint32_t size;
    uint8_t *encoded;
};

/* A worker's, written and read by its thread alone. */
struct trace_ring {
    uint64_t first, end; /* numbers of the spans that it has */
    size_t bytes;
    struct trace_span spans[TRACE_SPANS_KEPT]; /* by number */
} __attribute__((aligned(CAIRN_LINE_BYTES)));

struct tracing {
    struct cairn_trace_options options;
    struct cairn_clock *clock;
    uint64_t threshold;         /* jobs below it are sampled */
    _Atomic int64_t offset_ns;  /* of Unix time from the monotonic clock */
    atomic_uint_least64_t live; /* spans of invocations under way */
    atomic_uint_least64_t recorded, dropped;
    uint32_t workers;
    struct trace_ring *rings;
};

/* NULL: it is off. */
struct tracing *tracing_open(const struct cairn_trace_options *options, struct cairn_clock *clock, uint32_t workers);
void tracing_close(struct tracing *tracing); /* accepts NULL */

/* Any thread: a job that begins here is traced. */
bool tracing_samples(const struct tracing *tracing, struct cairn_job_id job);
/* Any thread: Unix time of a reading of the monotonic clock. */
int64_t tracing_unix_ns(struct tracing *tracing, uint64_t monotonic_ns);
/* The worker's thread: a job has ended there; `spans` are u32 size, encoded span each, the first one first. */
void tracing_keep(struct tracing *tracing, uint32_t worker, struct cairn_job_id job, const struct space *space,
                  struct cairn_bytes spans);

#endif
