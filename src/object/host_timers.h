/* host_timers.h - host calls on timers, for host.c's table.
 *
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_HOST_TIMERS_H
#define CAIRN_OBJECT_HOST_TIMERS_H

#include "fn/fn.h"

enum cairn_code host_timer_set(void *run, const struct cairn_timer_spec *spec, struct cairn_err *err);
enum cairn_code host_timer_cancel(void *run, struct cairn_bytes name, bool *ret_found, struct cairn_err *err);
uint64_t host_timer_due(void *run);
uint64_t host_timer_missed(void *run);

#endif
