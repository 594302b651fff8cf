/* house_keeper.h - where data of the keeper's nodes is that is not in the engine, and what of it must be kept.
 *
 * Threads: main.  Layer: server (private). */
#ifndef CAIRN_SERVER_HOUSE_KEEPER_H
#define CAIRN_SERVER_HOUSE_KEEPER_H

#include "keeper/room.h"
#include "server/house.h"

struct cairn_house_keeper {
    struct keeper_options options;
    struct cairn_store *store;
    struct cairn_disk *disk; /* the data folder's blobs/, as the next: without a blob store */
    struct cairn_blob *own;
    struct cairn_tasks *tasks; /* NULL: it has no blobs */
};

/* keeper->options is for keeper_hooks.  Disk, blob (NULL: none) and store are borrowed. */
enum cairn_code cairn_house_keeper_open(struct cairn_house_keeper *keeper, const struct cairn_house_options *options,
                                        struct cairn_disk *disk, struct cairn_blob *blob, struct cairn_store *store,
                                        struct cairn_err *err);
/* Before the node is closed. */
void cairn_house_keeper_stop(struct cairn_house_keeper *keeper);
/* After that.  Copes with one that was not opened. */
void cairn_house_keeper_close(struct cairn_house_keeper *keeper);

#endif
