/* simback.h - what the simulator knows of objects that are taken back to a version of the node.
 *
 * Clients add to some counters, read them, and take them back to the version, each object one request at a time.  What
 * an object may be is a set of values: one, or, after requests whose outcome is not known, some more, of which the
 * next answer chooses one. */
#ifndef CAIRN_TESTS_SUPPORT_SIMBACK_H
#define CAIRN_TESTS_SUPPORT_SIMBACK_H

#include "support/simnode.h"

enum { SIMBACK_OBJECTS = 6, SIMBACK_VALUES_MAX = 16 };

struct simback {
    struct simback_object {
        bool busy;
        int64_t may[SIMBACK_VALUES_MAX]; /* be its value */
        size_t count;                    /* of these; 0, at first: it is not there, as if it were 0 */
        int64_t then;                    /* at the version */
    } objects[SIMBACK_OBJECTS];
    uint64_t version; /* 0: there is none yet, and nothing is taken back */
    uint64_t taken_back;
};

/* One client's request. */
struct simback_call {
    int object;
    enum simback_doing { SIMBACK_ADD, SIMBACK_READ, SIMBACK_TAKE_BACK } doing;
};

/* False: the object drawn is busy, and nothing was made of `call`. */
bool simback_begin(struct simback *model, struct cairn_random *random, struct simback_call *own, struct simcall *call);
/* As simordered_finish. */
bool simback_finish(struct simback *model, const struct simback_call *own, bool done, bool unknown, int64_t value,
                    char wrong[200]);
/* Nothing is under way: reads all objects, so that each has one value.  False: what is wrong. */
bool simback_check(struct simback *model, void (*ask)(void *context, struct simcall *call), void *context,
                   char wrong[200]);
/* Behind a check: a version was taken. */
void simback_taken(struct simback *model, uint64_t version);
/* The whole node went back to it: every object has to be what it was. */
void simback_all_back(struct simback *model);

#endif
