/* participants.h - what changes together with an object: the participants of every commit, in their order (commit.h).
 * Threads: constant.  Layer: object (private). */
#ifndef CAIRN_OBJECT_PARTICIPANTS_H
#define CAIRN_OBJECT_PARTICIPANTS_H

#include "object/commit.h"

extern const struct participant *const participants[];
extern const size_t participant_count;

/* Concerns that the invocation's segment has nothing of. */
uint32_t participants_spared(const struct invocation *inv);

#endif
