/* method_log.h - the lines that methods write for the node's operator, in memory: of each namespace the newest on a
 * worker.
 *
 * A namespace has a log of its own on each worker, of LOG_LINES_MAX lines.  All logs of a worker together have
 * LOG_ALL_LINES_MAX; beyond them lines go of a log that has more than its share, so that a namespace that writes many
 * pushes out its own and not another's.  The lines of a namespace that is gone are gone, too.
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_METHOD_LOG_H
#define CAIRN_OBJECT_METHOD_LOG_H

#include "base/bytes.h"
#include "base/list.h"
#include "object/job.h"

struct cairn_worker;
struct invocation;
struct space;

enum { LOG_LINES_MAX = 1000, LOG_ALL_LINES_MAX = 8000 };

struct log_line {
    int64_t ms; /* never less than that of the line before it on the worker */
    uint32_t level;
    struct cairn_job_id job;
    struct cairn_bytes text[4]; /* type, id, method, line; in the same block */
};

/* A namespace's. */
struct method_log {
    struct cairn_link all; /* in logs->all */
    struct space *space;
    struct log_line **lines; /* a ring, with room for a power of two: the line n at n % room */
    uint32_t room;
    uint32_t life;       /* of the namespace, when they were written */
    uint64_t first, end; /* numbers of those that are there */
};

/* A worker's. */
struct method_logs {
    struct cairn_link all;
    int64_t last_ms;
    uint32_t count, kept;      /* logs; lines */
    struct method_log *richer; /* where the last line went because there were too many; may be NULL */
};

void method_logs_init(struct method_logs *logs);
void method_logs_done(struct cairn_worker *worker);
/* A line of the invocation's method: level 0 debug .. 3 error; 1,024 bytes of it. */
void method_log_add(struct invocation *inv, uint32_t level, struct cairn_bytes line);
/* The method has returned well and has read fewer arguments than it was given: a warning, once a minute for a method
 * on a worker. */
void method_log_unread_args(struct invocation *inv);
/* The namespace's lines on the worker; NULL: there are none. */
struct method_log *method_log_of(struct cairn_worker *worker, const struct space *space);
/* Drops it with its lines. */
void method_log_drop(struct cairn_worker *worker, struct method_log *log);

#endif
