/* room.h - how this room is opened with a node.
 *
 * Threads: main.  Layer: keeper; seen by server and the simulator, which give it to cairn_admin_open. */
#ifndef CAIRN_KEEPER_ROOM_H
#define CAIRN_KEEPER_ROOM_H

#include "object/operation.h"

struct cairn_blob;
struct cairn_tasks;

/* What could be gone back to. */
struct keeper_past {
    /* The lowest number of the node's versions that are kept, the earliest time at which one of these was asked
     * for, and the highest number; untouched if there is none.  False: nothing may be removed now.  Any thread;
     * NULL: there are never any. */
    bool (*look)(void *context, uint64_t *ret_oldest, uint64_t *ret_oldest_ms, uint64_t *ret_newest);
    void *context;
};

struct keeper_options {
    struct cairn_bytes module; /* the .wasm of functions/keeper; borrowed until the node is closed */
    /* Where data of nodes is that is not in the engine; borrowed until the node is closed.  NULL: there is none. */
    struct cairn_blob *store;
    uint32_t blob_bytes;  /* data of so many bytes or more is put there; UINT32_MAX: none, and what is there is read */
    uint64_t cache_bytes; /* of it, in memory; 0: nothing is kept */
    /* How often the store is looked through, and the age at which something may go; 0: nothing is removed. */
    uint64_t collect_every_ns;
    struct keeper_past past;
    struct cairn_tasks *tasks; /* that wait for the store, and end before the node is closed; NULL: the node's */
};

/* The options are borrowed until the node is open. */
void keeper_hooks(const struct keeper_options *options, struct node_hooks *ret_hooks);

#endif
