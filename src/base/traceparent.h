/* traceparent.h - the ids of jobs and spans, and the header `traceparent` that carries them (W3C Trace Context, 3.2).
 *
 * A job is what one request from outside, one message or one firing of a timer causes.  Its id is the W3C's trace-id:
 * 32 hex digits; so the spans of a client, of this node and of what lies behind it are one trace.
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_TRACEPARENT_H
#define CAIRN_BASE_TRACEPARENT_H

#include "base/bytes.h"
#include "base/random.h"

/* Both 0: none. */
struct cairn_job_id {
    uint64_t high, low;
};

static inline bool cairn_job_id_is(struct cairn_job_id id)
{
    return (id.high | id.low) != 0;
}

static inline bool cairn_job_id_equal(struct cairn_job_id a, struct cairn_job_id b)
{
    return a.high == b.high && a.low == b.low;
}

/* Which span of which job is the cause. */
struct cairn_traceparent {
    struct cairn_job_id job; /* none: nothing is said */
    uint64_t span;           /* 0: none */
    bool sampled;            /* its spans are recorded */
};

enum { CAIRN_JOB_ID_BYTES = 16, CAIRN_JOB_ID_DIGITS = 32, CAIRN_SPAN_ID_DIGITS = 16, CAIRN_TRACEPARENT_BYTES = 55 };

/* Version 00, and what a later version has in common with it.  False: not well-formed; *ret_parent is untouched. */
bool cairn_traceparent_read(struct cairn_bytes text, struct cairn_traceparent *ret_parent);
/* Ended by NUL. */
void cairn_traceparent_write(const struct cairn_traceparent *parent, char to[CAIRN_TRACEPARENT_BYTES + 1]);

struct cairn_job_id cairn_job_id_make(struct cairn_random *random);
/* 32 hex digits of either case, not all 0. */
bool cairn_job_id_read(struct cairn_bytes text, struct cairn_job_id *ret_id);
/* Ended by NUL. */
void cairn_job_id_write(struct cairn_job_id id, char to[CAIRN_JOB_ID_DIGITS + 1]);
void cairn_span_id_write(uint64_t id, char to[CAIRN_SPAN_ID_DIGITS + 1]);
/* As 16 bytes, the most significant first. */
void cairn_job_id_put(struct cairn_job_id id, uint8_t to[CAIRN_JOB_ID_BYTES]);
struct cairn_job_id cairn_job_id_get(const uint8_t from[CAIRN_JOB_ID_BYTES]);

/* Job and span in records: 24 bytes, be64 each; whether it is sampled shows in the span alone, which is 0 unless. */
void cairn_traceparent_add(struct cairn_buf *to, const struct cairn_traceparent *parent);
struct cairn_traceparent cairn_traceparent_take(struct cairn_reader *r);

#endif
