/* account.h - the bytes of calls and results (docs/design/0019-bounds-in-bytes.md).
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_ACCOUNT_H
#define CAIRN_OBJECT_ACCOUNT_H

#include <stdbool.h>

#include "base/err.h"

struct cairn_worker;
struct invocation;
struct job;

/* A call is issued with that much: CAIRN_ELIMIT if its job keeps too much already. */
enum cairn_code account_call(struct cairn_worker *worker, struct job *job, size_t bytes, struct cairn_err *err);
/* An invocation is set aside while others may begin. */
void account_aside(struct cairn_worker *worker, struct invocation *inv);
/* The memory of the worker's instances may have become more or less. */
void account_instances(struct cairn_worker *worker);
/* An invocation is over, and its result goes to where it came from. */
void account_result(struct cairn_worker *worker, struct invocation *inv);
/* The result has become the caller's, which keeps `kept` bytes of it. */
void account_received(struct cairn_worker *worker, struct invocation *inv, size_t kept);
/* A result of that many bytes is the job's, without a call that brought it. */
void account_kept(struct cairn_worker *worker, struct job *job, size_t bytes);
/* The caller gives up results of that many bytes. */
void account_dropped(struct cairn_worker *worker, struct job *job, size_t bytes);
/* Nothing of the job is left; frees it. */
void account_job_ended(struct job *job);
/* What is charged for an invocation is released. */
void account_release(struct cairn_worker *worker, struct invocation *inv);
/* The same when its result is about to become its client's, whose session counts it from here on. */
void account_replied(struct cairn_worker *worker, struct invocation *inv);
/* Whether an invocation may begin; if not, the error that it ends with: `overloaded` (a request), `limit` (a call). */
bool account_may_begin(struct cairn_worker *worker, const struct invocation *inv, enum cairn_code *ret_code,
                       const char **ret_text);

#endif
