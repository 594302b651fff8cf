/* room.h - how this room is opened with a node.
 *
 * Threads: main.  Layer: keeper; seen by server and the simulator, which give it to cairn_admin_open. */
#ifndef CAIRN_KEEPER_ROOM_H
#define CAIRN_KEEPER_ROOM_H

#include "object/operation.h"

struct keeper_options {
    struct cairn_bytes module; /* the .wasm of functions/keeper; borrowed until the node is closed */
};

/* The options are borrowed until the node is open. */
void keeper_hooks(const struct keeper_options *options, struct node_hooks *ret_hooks);

#endif
