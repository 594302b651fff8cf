/* wait.h - condition variables whose timed waits go by the monotonic clock.
 * Threads: as pthread_cond_*.  Layer: io; uses base. */
#ifndef CAIRN_IO_WAIT_H
#define CAIRN_IO_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void cairn_cond_init(pthread_cond_t *cond);
/* Under `lock`, for at most so long; false when the time went by.  Wakes without a reason too. */
bool cairn_cond_wait_ns(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t ns);

#endif
