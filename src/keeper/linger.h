/* linger.h - sessions that are closed and have more nodes than one segment removes: telling of them.
 *
 * From its close on such a session's nodes are absent.  Their watchers are told in turns, in the order of their keys;
 * until that is done reads that find one of them absent wait, so that no answer shows what was not told.
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_LINGER_H
#define CAIRN_KEEPER_LINGER_H

#include "keeper/tree.h"

/* It has been closed, and lingers. */
void keeper_linger_begin(struct keeper_session *session);
/* Nothing is left of it. */
void keeper_linger_end(struct keeper_session *session);
/* A node of such a session has been removed: it is told of, unless it was. */
void keeper_linger_gone(struct keeper_tree *tree, uint64_t zxid, struct cairn_bytes path, struct cairn_bytes acl,
                        struct cairn_bytes parent_acl);

#endif
