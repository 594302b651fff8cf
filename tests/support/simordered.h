/* simordered.h - what the simulator knows of ordered maps: sorted arrays beside the node's.
 *
 * Clients set and remove keys, one request per key at a time.  What was acknowledged must be there, in order, with
 * ranks and a count that fit; a request whose outcome is not known may have happened or not. */
#ifndef CAIRN_TESTS_SUPPORT_SIMORDERED_H
#define CAIRN_TESTS_SUPPORT_SIMORDERED_H

#include "support/simnode.h"

enum { SIMORDERED_MAPS = 3, SIMORDERED_KEYS = 120 };

struct simordered {
    struct simordered_key {
        bool busy, unknown, there;
        int value;
    } keys[SIMORDERED_MAPS][SIMORDERED_KEYS];
    int values; /* given out */
};

/* One client's request. */
struct simordered_call {
    int map, key, value; /* value -1: it removes */
};

/* False: the key drawn is busy, and nothing was made of `call`. */
bool simordered_begin(struct simordered *model, struct cairn_random *random, struct simordered_call *own,
                      struct simcall *call);
/* `done`: it was answered, `value`; `unknown`: it may have happened; neither: it did not.  False, and what is wrong:
 * the answer cannot be. */
bool simordered_finish(struct simordered *model, const struct simordered_call *own, bool done, bool unknown,
                       int64_t value, char wrong[200]);
/* Requests that read a map as a whole: `ask` runs a call to its answer, however often that takes.  False: what is
 * wrong. */
bool simordered_check(struct simordered *model, void (*ask)(void *context, struct simcall *call), void *context,
                      char wrong[200]);

#endif
