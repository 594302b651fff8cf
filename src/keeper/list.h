/* list.h - long lists of children: gathered in turns, so that nothing else waits for one.
 *
 * A list is that of the moment at which it ends: what commits change of what has been gathered is changed there, too.
 * Later reads of its session wait for it.
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_LIST_H
#define CAIRN_KEEPER_LIST_H

#include "keeper/tree.h"

enum { KEEPER_LIST_NAMES = 1000 }; /* of a turn; what has no more is no long list */

/* The ask of the invocation is a list of children of its only part's path, of which the session may ask now. */
void keeper_list_begin(struct keeper_session *session, struct invocation *inv);
/* A commit has created a node, or removed it. */
void keeper_list_changed(struct keeper_tree *tree, struct cairn_bytes path, bool created);
/* Nodes of a session that was closed are absent from now on. */
void keeper_list_again(struct keeper_tree *tree);
#endif
