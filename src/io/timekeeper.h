/* timekeeper.h - a node's own time: it follows the wall clock, and a jump of the wall clock does not move it.
 *
 * Elapsed time is CLOCK_BOOTTIME, which counts while the machine sleeps and which cannot be set.  Wall clock minus
 * CLOCK_BOOTTIME is the *offset*.  It changes only when the wall clock is set:
 *
 *   by at most CAIRN_TIME_JUMP_MS   the node's time follows: it runs up to 10 % faster or slower until it is there
 *   by more                         a jump: the node's time goes on as it did, and a warning is given.  The jump is
 *                                   over when the wall clock is set right again, or when an operator accepts it:
 *                                   forward, the node's time moves there at once; backward, it runs 10 % slower
 *                                   until the wall clock has caught up, since it never goes back.
 *
 * At the start the wall clock is believed if it is not before the last time that the data folder knows; otherwise
 * time goes on from that one, 10 % slower until the wall clock has caught up.
 *
 * The node's time is handed out as a struct cairn_clock whose wall_ms it is; everything else of that clock is the
 * clock's below.  Threads: any may read the clock, ask the state, and accept.  on_warning runs on the thread that
 * noticed, without a lock held, once for each jump; it must not block.
 * Layer: io; uses base. */
#ifndef CAIRN_IO_TIMEKEEPER_H
#define CAIRN_IO_TIMEKEEPER_H

#include <stdbool.h>

#include "io/clock.h"

enum {
    CAIRN_TIME_JUMP_MS = 5000,
    CAIRN_TIME_SLEW_PART = 10, /* time runs at most 1/10 faster or slower */
};

struct cairn_timekeeper;

struct cairn_time_state {
    uint64_t now_ms;   /* the node's time */
    uint64_t wall_ms;  /* the wall clock, as it stands */
    int64_t behind_ms; /* how much the node's time still has to gain (negative: to lose) by running faster or slower */
    int64_t jump_ms;   /* 0, or how far the wall clock has jumped; not followed unless accepted */
    uint64_t jumps;    /* that there have been since the node was started */
};

/* The clock is borrowed.  on_warning may be NULL. */
struct cairn_timekeeper *cairn_timekeeper_create(struct cairn_clock *clock,
                                                 void (*on_warning)(void *context, const char *text), void *context);
struct cairn_timekeeper *cairn_timekeeper_destroy(struct cairn_timekeeper *keeper); /* returns NULL; accepts NULL */

/* Lives as long as the keeper. */
struct cairn_clock *cairn_timekeeper_clock(struct cairn_timekeeper *keeper);
/* The node's time is not before least_ms, the last time that the data folder knows (0: a new folder).  Once, when the
 * folder has been opened.  Warns if the wall clock is before it by more than CAIRN_TIME_JUMP_MS, or ahead of it by
 * more than a day. */
void cairn_timekeeper_start(struct cairn_timekeeper *keeper, uint64_t least_ms);
void cairn_timekeeper_state(struct cairn_timekeeper *keeper, struct cairn_time_state *ret_state);
/* Follows the wall clock as it stands now.  False: there was no jump to accept. */
bool cairn_timekeeper_accept(struct cairn_timekeeper *keeper);

#endif
