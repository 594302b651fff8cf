/* job.h - a job: what one request from outside, one message or one firing of a timer causes ("Jobs" in
 * docs/promises.md).
 *
 * Its first invocation has no struct job until something needs one: it makes a call, or sends or logs something, or its
 * client asks what it costs.  So a job that needs none has no id either, unless its client is told it.
 * Threads: a struct job's atomics any; it is made by the worker of the invocation that is the first of it.
 * Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_JOB_H
#define CAIRN_OBJECT_JOB_H

#include <stdatomic.h>

#include "base/traceparent.h"

struct cairn_worker;
struct invocation;
struct job_cost;
struct space;

struct job {
    atomic_uint refs;
    atomic_uint calls;
    struct space *space;   /* has a limit on their bytes; NULL: none */
    _Atomic int64_t bytes; /* calls under way, with their arguments, and results that are kept (account.c) */
    struct cairn_job_id id;
    struct job_cost *cost; /* NULL: it is not asked for */
};

struct job *invocation_job(struct invocation *inv); /* made if there is none yet */
void job_free(struct job *job);

/* A request whose client is to be told its job's id or cost, or a node that traces: before anything is done with it. */
void job_submitted(struct cairn_worker *worker, struct invocation *inv);
/* A message begins to run; the node traces.  `parent` has no job: it begins one of its own. */
void job_delivered(struct invocation *inv, const struct cairn_traceparent *parent);
/* A durable invocation begins again behind a restart. */
void job_resumed(struct invocation *inv, const struct cairn_traceparent *parent);
/* An invocation of a job whose cost is asked for has ended. */
void job_count(struct invocation *inv);
/* Its reply leaves: request->cost is set, if it is asked for. */
void job_tell_cost(struct invocation *inv);

#endif
