/* changes.h - what a commit of the tree has changed, read out of its own segment as it is applied: sessions and watches
 * follow it, and reads that waited for it go on.
 *
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_CHANGES_H
#define CAIRN_KEEPER_CHANGES_H

#include "keeper/tree.h"

extern const struct object_tap keeper_tap;

#endif
