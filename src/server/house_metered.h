/* house_metered.h - the file `metered` of the data folder: what namespaces have used, over restarts.
 *
 * It is written every five seconds in which something was used, by a background thread, and at the stop: a node that is
 * killed forgets what was used since, and nothing is ever counted twice (docs/design/0041-cost-of-a-run.md).
 * Threads: open and close the main one; look one at a time.  Layer: server (private). */
#ifndef CAIRN_SERVER_HOUSE_METERED_H
#define CAIRN_SERVER_HOUSE_METERED_H

#include <stdatomic.h>

#include "base/event.h"
#include "io/clock.h"
#include "io/disk.h"
#include "io/task.h"
#include "object/object.h"

#define CAIRN_METERED_FILE "metered"

/* Zeroed: not open, and the others do nothing. */
struct cairn_house_metered {
    struct cairn_node *node; /* NULL: not open */
    struct cairn_disk *disk;
    struct cairn_clock *clock;
    struct cairn_tasks *tasks;
    const struct cairn_events *events;
    uint64_t looked_ns;
    struct cairn_task task;
    atomic_bool writing; /* the task is queued or runs, and has the rest */
    uint32_t crc;        /* of what was written last but for its times */
    bool failed;         /* the last attempt; it was told */
};

/* The file may be read, or is not there.  Anything else is for the operator to mend. */
enum cairn_code cairn_house_metered_check(struct cairn_disk *disk, struct cairn_err *err);
/* A damaged file is told, put aside, and metering begins anew. */
void cairn_house_metered_open(struct cairn_house_metered *house, struct cairn_node *node, struct cairn_disk *disk,
                              struct cairn_clock *clock, struct cairn_tasks *tasks, const struct cairn_events *events);
void cairn_house_metered_look(struct cairn_house_metered *house);
/* Its tasks are over, and so are worker threads; the node is still there. */
void cairn_house_metered_close(struct cairn_house_metered *house);

#endif
