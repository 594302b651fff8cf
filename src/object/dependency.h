/* dependency.h - what must be true before an outcome may leave the node (output commit).
 *
 * A dependency is a place in the log of a shard and a time: what lies below the place must be acknowledged, and
 * the time be reserved, so that no restart gives out an earlier one.  What learns from something takes its
 * dependencies over by joining them.  With one log for all shards two places join to the later one.  With a log for
 * each, calls and results leave a shard only once theirs are met (hold_pass), so that what is joined lies in one log.
 * How a place's acknowledgement is asked for is known in dependency.c alone.
 * Threads: any.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DEPENDENCY_H
#define CAIRN_OBJECT_DEPENDENCY_H

#include <stdbool.h>
#include <stdint.h>

struct cairn_node;

struct dependency {
    uint64_t end;     /* in the log; 0: nothing */
    uint64_t time_ms; /* given out; 0: none was */
    uint32_t shard;   /* whose log */
};

static inline void dependency_join(struct dependency *to, struct dependency more)
{
    if (to->end < more.end) {
        to->end = more.end;
        to->shard = more.shard;
    }
    if (to->time_ms < more.time_ms)
        to->time_ms = more.time_ms;
}

/* The record that ends there holds a time, which makes that of the dependency safe if it is not above it. */
static inline void dependency_on_record(struct dependency *to, struct dependency record, uint64_t wall_ms)
{
    dependency_join(to, record);
    if (to->time_ms <= wall_ms)
        to->time_ms = 0;
}

bool dependency_acknowledged(const struct cairn_node *node, struct dependency dependency); /* the place alone */
bool dependency_met(const struct cairn_node *node, struct dependency dependency);
/* A reply waits for it; progress of the log tells. */
void dependency_want(struct cairn_node *node, struct dependency dependency);
/* The same by a thread that has nothing else to do: it does the log's work itself where it may, and blocks for that. */
void dependency_help(struct cairn_node *node, struct dependency dependency);

#endif
