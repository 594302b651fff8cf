/* simcounter.h - what the simulator knows of a counter: a history of what clients saw, checked when it is over.
 *
 * Every acknowledged value is unique; operations that follow one another in time see values in that order
 * (linearizability of a counter); no more values are missing than adds are unaccounted for. */
#ifndef CAIRN_TESTS_SUPPORT_SIMCOUNTER_H
#define CAIRN_TESTS_SUPPORT_SIMCOUNTER_H

#include "base/bytes.h"

/* One thing that was seen, with the steps at which it was asked for and answered. */
struct simcounter_seen {
    uint64_t asked, answered;
    int64_t value;
    bool add;
};

struct simcounter {
    struct simcounter_seen *seen;
    size_t count, room;
    int64_t unknown; /* adds whose outcome is not known */
    int64_t base;    /* when the history began */
};

void simcounter_saw(struct simcounter *counter, struct simcounter_seen seen);
/* False: what is wrong. */
bool simcounter_check(struct simcounter *counter, char wrong[200]);
/* Another history begins, with the counter at `base`. */
void simcounter_begin(struct simcounter *counter, int64_t base);
void simcounter_done(struct simcounter *counter);

#endif
