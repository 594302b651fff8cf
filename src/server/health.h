/* health.h - whether a node does what it is there for, as named checks, and what of it has changed.
 *
 * Made of numbers that the store keeps anyway: nothing of it waits for a disk or a worker.  The checks are for
 * /readyz and /metrics; the watch compares two looks, a second apart, and tells the operator what began and what is
 * over, so that lines come at the rate of looks however often something fails.
 * Threads: checks any; a watch one.  Layer: server; uses shard's numbers only. */
#ifndef CAIRN_SERVER_HEALTH_H
#define CAIRN_SERVER_HEALTH_H

#include "base/event.h"
#include "io/timekeeper.h"
#include "history/history.h"

enum cairn_check_state {
    CAIRN_CHECK_OK,
    CAIRN_CHECK_WARNING, /* the node serves, and the operator should look */
    CAIRN_CHECK_FAILED,  /* the node is not ready */
};

enum { CAIRN_CHECKS_MAX = 8, CAIRN_CHECK_REASON_BYTES = 384 };

struct cairn_check {
    const char *name; /* a constant */
    enum cairn_check_state state;
    char reason[CAIRN_CHECK_REASON_BYTES]; /* "" if OK: what is wrong, and what to do */
};

struct cairn_health {
    struct cairn_store_stats store;
    struct cairn_time_state time;
    uint64_t evicted_keys, dropped_outcomes;
    bool sync_always, has_archive;
};

/* How many there are; always the same, in the same order. */
size_t cairn_health_checks(const struct cairn_health *health, struct cairn_check checks[CAIRN_CHECKS_MAX]);

/* What the last look saw.  Zero-initialized before the first. */
struct cairn_watch {
    struct cairn_health before;
    bool looked, sync_stuck;
};
void cairn_watch_look(struct cairn_watch *watch, const struct cairn_health *health, const struct cairn_events *events);

#endif
