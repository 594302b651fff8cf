/* choice.h - from the options that users know (cairn/engine.h) to those of a store: which front over which runs.
 * Threads: any.  Layer: engine. */
#ifndef CAIRN_ENGINE_CHOICE_H
#define CAIRN_ENGINE_CHOICE_H

#include "cairn/engine.h"
#include "engine/levels.h"

enum { CHOICE_ENGINES = 4 }; /* numbered from 0, the default */

/* levels points into it: it must stay where it is while they are used.  What is not of the engine alone, as the remote
 * and what to call, is for the caller to fill in. */
struct choice {
    struct levels_options levels;
    struct memtable_options memtable;
    struct hybridlog_options hybridlog;
};

const char *choice_name(size_t engine);
/* CAIRN_EINVAL, with the names that there are; without a name CHOICE_ENGINES. */
enum cairn_code choice_find(const char *name, size_t *ret_engine, struct cairn_err *err);
/* `has_threads`: background threads are the store's own, so what they take is of its memory, too.  CAIRN_EINVAL when a
 * value makes no sense. */
enum cairn_code choice_make(size_t engine, const struct cairn_state_options *options, bool has_threads,
                            struct choice *ret_choice, struct cairn_err *err);

/* Most of the memory of its front becomes common, for any that shares the budget; called before the choice is used. */
void choice_share(struct choice *choice, struct budget *budget, void (*on_asked)(void *context), void *context);

#endif
