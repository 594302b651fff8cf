/* state_internal.h - an open state (cairn/engine.h) for tests, which give it a simulated disk and look inside. */
#ifndef CAIRN_ENGINE_STATE_INTERNAL_H
#define CAIRN_ENGINE_STATE_INTERNAL_H

#include "cairn/engine.h"
#include "engine/levels.h"

struct cairn_state {
    struct cairn_disk *disk;   /* NULL when somebody else closes it, */
    struct cairn_tasks *tasks; /* as this */
    struct memtable_options memtable;
    struct hybridlog_options hybridlog;
    struct levels *levels;
};

/* Both are borrowed; the disk is not locked. */
enum cairn_code state_open_on(struct cairn_disk *disk, struct cairn_tasks *tasks,
                              const struct cairn_state_options *options, struct cairn_state **ret_state,
                              struct cairn_err *err);

#endif
