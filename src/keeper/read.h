/* read.h - reads, past the functions: what a tree is now, and watches that are set in the same step.
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_READ_H
#define CAIRN_KEEPER_READ_H

#include "keeper/tree.h"

/* The ask of the invocation, whose turn it is: answers, or puts it into tree->untold. */
void keeper_read(struct keeper_tree *tree, struct invocation *inv);
/* ZooKeeper's error, or 0: the node is there, and the ask's client may read it. */
int32_t keeper_read_find(struct keeper_tree *tree, const struct keeper_ask *ask, struct cairn_bytes path,
                         struct keeper_node *ret_node);

#endif
