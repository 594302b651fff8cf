/* quota.h - the limits of a namespace, and what it has used of them.
 *
 * Only a namespace that has a limit, or is gone, has its gate closed (space.h); a request to another passes with one
 * look. Where the gate is closed quota_admit is asked before anything runs.
 *   requests      so many a second, and as many at once after a second without any
 *   connections   sessions whose latest request was to the namespace
 *   memory        calls and results of its requests that are under way, in bytes
 *   bytes         of its objects, timers and messages: keys and values (kept.h); what would make it more is not
 *                 committed
 *   objects       that exist
 *   messages, message_bytes   that wait, with dead letters (kept.h); what would make it more is not sent
 *   cpu           processor time of its methods, in percent of one processor, and as much at once as in a second
 *   instances     function instances that are held: by what waits for calls, or was set aside
 *   limit-..      of one invocation (fn/limits.h): caps for what modules declare; they hold for what begins after them
 * A namespace's weight, its share of its workers' time, is set with its limits, and limits nothing (lane.h).
 * What is asked of a compartment is asked of its namespace.
 * Threads: any.  Layer: object, used by server and admin. */
#ifndef CAIRN_OBJECT_QUOTA_H
#define CAIRN_OBJECT_QUOTA_H

#include "object/space.h"

/* "requests", .., "limit_cpu", .. */
const char *quota_name(enum space_limit limit);
/* Greatest value that a limit may have. */
uint64_t quota_most(enum space_limit limit);
/* What the value of a namespace's key has (docs/formats/state.md); false: it is damaged. */
bool quota_read(struct cairn_bytes value, uint64_t *ret_created_ms, bool *ret_removing,
                uint64_t ret_limits[SPACE_LIMITS]);
void quota_write(struct cairn_buf *to, uint64_t created_ms, bool removing, const uint64_t limits[SPACE_LIMITS]);
/* What is recorded takes effect. */
void quota_apply(struct space *space);

/* CAIRN_ENOTFOUND: the namespace is gone.  CAIRN_EQUOTA: a limit is reached; *ret_retry_ms: when to try again. */
enum cairn_code quota_admit(struct space *space, uint64_t now_ns, uint32_t *ret_retry_ms, struct cairn_err *err);

/* A request that was admitted asks for as much as so many more: those that follow wait until that is made up for. */
void quota_charge_requests(struct space *space, uint64_t now_ns, uint32_t more);

struct space_usage {
    uint64_t metered[CAIRN_MEASURES]; /* with what nodes before this one have metered on the folder */
    uint64_t operations;              /* of requests and calls */
    uint64_t refused;                 /* for a limit */
    uint64_t connections;
    int64_t job_bytes;
    struct space_kept kept; /* of `default`: 0 */
    uint64_t instances;
};

/* Since the node's start, unless it says otherwise, and now. */
void quota_usage(const struct space *space, uint32_t workers, struct space_usage *ret_usage);

/* An invocation is over that has used so much processor time, and the gate is closed. */
void quota_charge_cpu(struct space *space, uint64_t cpu_ns, uint64_t now_ns);
/* False: the namespace holds as many instances as it may, and *err says so; asked where the gate is closed. */
bool quota_may_begin(struct space *space, uint32_t workers, uint32_t *ret_retry_ms, struct cairn_err *err);
/* The namespace is to keep so much more.  CAIRN_EQUOTA: it would be more than it may; less is always right. */
enum cairn_code quota_keep(struct space *space, struct space_kept more, struct cairn_err *err);
/* The same whether it may or not, and to take it back. */
void quota_keep_anyway(struct space *space, struct space_kept more);
void quota_keep_undo(struct space *space, struct space_kept more);
/* CAIRN_EQUOTA: with so many messages more, of so many bytes, it would have more than it may. */
enum cairn_code quota_may_send(struct space *space, struct space_kept more, struct cairn_err *err);

/* A session comes to the namespace; false: it has as many as it may, and *ret_most (may be NULL) is
 * their number. */
bool quota_connect(struct space *space, uint64_t *ret_most);
void quota_disconnect(struct space *space);

/* A job's bytes, if the namespace had that limit when the job began (job->space). */
static inline void quota_job_add(struct space *space, int64_t bytes)
{
    atomic_fetch_add_explicit(&space->job_bytes, bytes, memory_order_relaxed);
}
/* False: with so many bytes more the namespace's jobs would have too much. */
bool quota_job_may_add(struct space *space, uint64_t bytes);

#endif
