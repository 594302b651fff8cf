/* state_internal.h - an open state (cairn/engine.h) for tests, which give it a simulated disk and look inside. */
#ifndef CAIRN_STATE_STATE_INTERNAL_H
#define CAIRN_STATE_STATE_INTERNAL_H

#include "cairn/engine.h"
#include "engine/choice.h"
#include "state/state_log.h"

struct cairn_state {
    struct cairn_disk *disk;   /* NULL when the caller closes it, */
    struct cairn_tasks *tasks; /* as this */
    struct cairn_blob *blob;   /* and this */
    struct remote *remote;     /* over a blob, which this or the caller closes */
    struct cairn_blob_progress progress;
    struct choice choice; /* what levels was opened with */
    struct levels *levels;
    struct state_log *log; /* NULL: none is kept */
    uint64_t log_bytes_max;
    uint64_t version_at, snapshot_at; /* of the log: where the current version was taken, and the one being made */
    bool snapshot_automatic;          /* one is being made that the caller did not ask for */
    bool snapshot_begun;              /* one is being made that the caller asked for */
};

/* All are borrowed, the blob may be NULL; the disk is not locked. */
enum cairn_code state_open_on(struct cairn_disk *disk, struct cairn_tasks *tasks, struct cairn_blob *blob,
                              const struct cairn_state_options *options, struct cairn_state **ret_state,
                              struct cairn_err *err);

#endif
