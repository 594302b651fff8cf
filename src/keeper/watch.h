/* watch.h - watches: which sessions are to be told what of a path.  Memory of the tree's owner; no record has any.
 *
 * Tables by path: those of data (exists and getData) and of children are gone once they have fired; persistent and
 * recursive ones stay, and a recursive one is asked for every path below its own.  As in ZooKeeper 3.8 each of these
 * has two halves, which removeWatches can take by themselves: one with what data watches hear, and one with what child
 * watches hear, of recursive ones deletions alone.  A session is in a table once for a path.
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_WATCH_H
#define CAIRN_KEEPER_WATCH_H

#include "keeper/session.h"

enum keeper_table {
    TABLE_DATA,
    TABLE_CHILD,
    TABLE_PERSISTENT,
    TABLE_PERSISTENT_CHILD,
    TABLE_RECURSIVE,
    TABLE_RECURSIVE_CHILD,
    KEEPER_TABLES
};

/* Sets of them, by bits: those that hear of a node's creation and change, of its children's, and of its deletion. */
enum {
    TABLES_DATA = 1 << TABLE_DATA | 1 << TABLE_PERSISTENT | 1 << TABLE_RECURSIVE,
    TABLES_CHILD = 1 << TABLE_CHILD | 1 << TABLE_PERSISTENT_CHILD,
    TABLES_ALL = (1 << KEEPER_TABLES) - 1
};

/* False: the node has no memory for it. */
bool keeper_watch_set(struct keeper_session *session, enum keeper_table table, struct cairn_bytes path);
bool keeper_watch_has(const struct keeper_session *session, enum keeper_table table, struct cairn_bytes path);
/* False: there is none. */
bool keeper_watch_remove(struct keeper_session *session, enum keeper_table table, struct cairn_bytes path);
void keeper_watches_drop(struct keeper_session *session);
/* Each session that is to be told of an event there, once: those of the tables (bits) at the path itself, and of
 * recursive ones those above it. */
void keeper_watch_fire(struct keeper_tree *tree, struct cairn_bytes path, unsigned tables,
                       void (*each)(void *context, struct keeper_session *session), void *context);
/* Paths that a session watches, each once, with a zero byte behind each. */
void keeper_watch_paths(const struct keeper_session *session, struct cairn_buf *to);

#endif
