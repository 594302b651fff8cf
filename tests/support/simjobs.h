/* simjobs.h - what the simulator knows of work that goes on without its client: messages, timers and durable methods.
 *
 * Each job is one request of a client's, with objects of its own: a method that sends a message, one that sets a timer,
 * a durable one of three calls, or one that waits for a promise, which a message's method settles.  What was
 * acknowledged must come to its end, whatever is cut off, and each effect of it is there once; what was not has
 * happened once, or not at all. */
#ifndef CAIRN_TESTS_SUPPORT_SIMJOBS_H
#define CAIRN_TESTS_SUPPORT_SIMJOBS_H

#include "support/simnode.h"

struct simjobs {
    struct simjob *jobs; /* by number */
    size_t count, room, checked;
};

/* The number of a new job, and its request. */
size_t simjobs_begin(struct simjobs *model, struct cairn_random *random, struct simcall *call);
/* As simordered_finish. */
void simjobs_finish(struct simjobs *model, size_t job, bool done, bool unknown);
/* Those begun since the last check, or all; none is asked for any more.  `ask` runs a call to its answer.  Lets the
 * node work until they have come to their ends.  False: what is wrong. */
bool simjobs_check(struct simjobs *model, struct simnode *sim, bool all,
                   void (*ask)(void *context, struct simcall *call), void *context, char wrong[200]);
/* The node went back to when there were `count`, all of which had come to their ends: the others never were. */
void simjobs_back(struct simjobs *model, size_t count);
void simjobs_done(struct simjobs *model);

#endif
