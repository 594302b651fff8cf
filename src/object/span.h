/* span.h - the span of an invocation: what a traced job's invocation spends its time with.
 *
 * An invocation has one only if its job is traced.  A call's span goes back with its result to the caller, whose span
 * takes it in; so that, when a job's first invocation ends, all spans of the job are in one place, and none of it was
 * shared between threads.  They are encoded (base/value.h) as each ends:
 *
 *   [job: 16 bytes, span, parent (0: none), kind, type, id, method, begin (Unix ns), end,
 *    error code (empty: it went well), error text,
 *    [CPU ns, memory bytes, operations, bytes read, bytes written, calls],
 *    [phase, begin ns from the span's begin, ...], spans below that were dropped]
 *
 * A phase ends where the next begins, the last with the span.
 * Threads: the invocation's worker.  Layer: object; the names are read by admin and server. */
#ifndef CAIRN_OBJECT_SPAN_H
#define CAIRN_OBJECT_SPAN_H

#include "object/invocation.h"

enum span_kind {
    SPAN_REQUEST, /* from outside */
    SPAN_CALL,
    SPAN_MESSAGE, /* an attempt to run one, or a timer's firing */
    SPAN_RESUMED, /* a durable invocation that goes on behind a restart */
};

enum span_phase {
    SPAN_QUEUEING, /* for the object, for an instance, or for its turn */
    SPAN_RUNNING,
    SPAN_WAITING, /* for its calls */
    SPAN_LOG,     /* for room in the log, or for its sync */
    SPAN_REPLY,   /* it is over, and its result is on its way */
    SPAN_ASLEEP,  /* a durable one that holds no instance */
    SPAN_REST,    /* of a span with more phases than are noted */
    SPAN_PHASES,
};

enum { SPAN_PHASES_NOTED = 24, SPAN_FIELDS = 14 };

/* For people; "unknown" if there is none of that number. */
const char *span_kind_name(uint64_t kind);
const char *span_phase_name(uint64_t phase);

/* `parent` 0: none.  Nothing happens while too many spans are under way. */
void span_begin(struct invocation *inv, enum span_kind kind, uint64_t parent);
/* The caller has a span: the call that it issues gets one. */
void span_begin_call(const struct invocation *caller, struct invocation *callee);
/* The invocation comes to another state. */
void span_moves(struct invocation *inv, enum invocation_state to);
/* The call is over, and its result the caller's. */
void span_return(struct invocation *caller, struct invocation *callee);
/* The caller starts over: its calls count for nothing. */
void span_forget_calls(struct invocation *inv);
/* The first invocation of a job is over, and its result told. */
void span_end(struct cairn_worker *worker, struct invocation *inv);
void span_drop(struct invocation *inv);
/* 0: it has none. */
uint64_t span_id(const struct invocation *inv);

#endif
