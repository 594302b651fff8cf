/* timers.h - timers of objects, for people: listed.
 * Threads: any worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_TIMERS_H
#define CAIRN_ADMIN_TIMERS_H

#include "object/operation.h"

extern const struct operation timers_operation;

#endif
