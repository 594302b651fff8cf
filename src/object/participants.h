/* participants.h - what changes together with an object: the participants of every commit, in their order (commit.h).
 * Threads: constant.  Layer: object (private). */
#ifndef CAIRN_OBJECT_PARTICIPANTS_H
#define CAIRN_OBJECT_PARTICIPANTS_H

#include "object/commit.h"

/* The last is that of messages: a segment without any may leave it out (messages_take_part). */
extern const struct participant *const participants[];
extern const size_t participant_count;

#endif
