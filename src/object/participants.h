/* participants.h - what changes together with an object: the participants of every commit, in their order (commit.h).
 * Threads: constant.  Layer: object (private). */
#ifndef CAIRN_OBJECT_PARTICIPANTS_H
#define CAIRN_OBJECT_PARTICIPANTS_H

#include "object/commit.h"

extern const struct participant *const participants[];
extern const size_t participant_count;

/* How many of them have something to say to the invocation's segment, from the first on: the last are those of timers
 * and messages, which most have none of. */
size_t participants_for(const struct invocation *inv);

#endif
