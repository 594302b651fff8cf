#include "object/fibers.h"

#include "object/account.h"
#include "object/clock.h"
#include "object/invoke.h"
#include "object/mailbox.h"

enum {
    STUCK_NS = 50000000,    /* an answer that is on its way is there by then, and 100 ms is the promise */
    STUCK_LOOKS = 5,        /* a process that did not run for so long has seen nothing yet */
    POLL_NS = 5000000,      /* so that there are as many looks within STUCK_NS */
    GIVEN_UP_AT_ONCE = 256, /* with one at a time, a job that multiplies would be at it for minutes */
};

/* True if for a while all fibers were held by invocations that wait for calls, and none of those went on: they wait for
 * invocations that need a fiber themselves.  Other work, which never ends on a busy node, says nothing about that. */
static bool fibers_knotted(struct cairn_worker *worker)
{
    uint64_t now;

    if (cairn_fn_worker_fibers_free(worker->fn) > 0 || worker->fibers_waiting < worker->fibers) {
        worker->stuck.since_ns = 0;
        return false;
    }
    now = worker_clock_ns(worker);
    if (worker->stuck.since_ns == 0 || worker->stuck.resumed_count != worker->resumed_count) {
        worker->stuck.since_ns = now; /* an answer may be on its way */
        worker->stuck.resumed_count = worker->resumed_count;
        worker->stuck.looks = 0;
    }
    return ++worker->stuck.looks > STUCK_LOOKS && now - worker->stuck.since_ns >= STUCK_NS;
}

/* What needs a fiber waits as long as one can come free. */
void fibers_retry(struct cairn_worker *worker)
{
    account_instances(worker);
    if (cairn_list_empty(&worker->fiber_waiters)) {
        worker->stuck.since_ns = 0;
    } else if (fibers_knotted(worker)) {
        for (int n = GIVEN_UP_AT_ONCE; n && !cairn_list_empty(&worker->fiber_waiters); n--)
            fibers_stuck(worker);
    } else {
        fibers_freed(worker);
    }
    if (!cairn_list_empty(&worker->lanes.admits))
        admission_next(worker);
}

static bool step(struct cairn_worker *worker)
{
    fibers_retry(worker);
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    return cairn_list_empty(&worker->fiber_waiters) ? UINT64_MAX : POLL_NS;
}

const struct housekeeper fibers_housekeeper = {.name = "fibers", .step = step, .next_ns = next_ns};
