/* zk_database.h - what a ZooKeeper has: nodes and sessions of a snapshot, and what its logs' transactions make of them.
 *
 * As in ZooKeeper a snapshot is written while transactions go on, so it may have part of what comes after its zxid; the
 * log is applied from there on, and what has happened already changes nothing (docs/formats/zk-files.md).
 *
 *   create -> add an item of a snapshot .. -> apply a transaction .. -> nodes, sessions
 *
 * All of it is in memory, as in ZooKeeper, up to a bound.
 * Threads: none of its own.  Layer: proto; uses base. */
#ifndef CAIRN_PROTO_ZK_DATABASE_H
#define CAIRN_PROTO_ZK_DATABASE_H

#include "base/list.h"
#include "proto/zk_snapshot.h"

struct cairn_zk_database; /* private */

struct cairn_zk_node {
    struct cairn_bytes path; /* "/", "/a", .. */
    struct cairn_bytes data; /* no data pointer: null */
    struct cairn_bytes acls; /* a vector as on the wire, its count included */
    int64_t czxid, mzxid, pzxid, ctime, mtime, owner;
    int32_t version, creates, aversion;
    uint32_t children;
};

struct cairn_zk_session {
    int64_t session;
    int32_t timeout_ms;
    uint64_t ephemerals;
};

struct cairn_zk_database *cairn_zk_database_create(uint64_t bytes_max);
/* Accepts NULL; returns NULL. */
struct cairn_zk_database *cairn_zk_database_destroy(struct cairn_zk_database *database);

/* An item of a snapshot.  CAIRN_ECORRUPT: it cannot be of one.  CAIRN_ELIMIT: too much for the bound. */
enum cairn_code cairn_zk_database_add(struct cairn_zk_database *database, const struct cairn_zk_file_item *item,
                                      struct cairn_err *err);
/* A transaction; one that is not above all before it is passed over.  The same codes; CAIRN_EVERSION: its type. */
enum cairn_code cairn_zk_database_apply(struct cairn_zk_database *database, const struct cairn_zk_file_item *item,
                                        struct cairn_err *err);
/* Of the last transaction; a snapshot's is told by its name, and set here. */
uint64_t cairn_zk_database_zxid(const struct cairn_zk_database *database);
void cairn_zk_database_set_zxid(struct cairn_zk_database *database, uint64_t zxid);

/* All nodes, a parent before its children and children by their names; false from `visit` ends it. */
void cairn_zk_database_nodes(struct cairn_zk_database *database,
                             bool (*visit)(void *context, const struct cairn_zk_node *node), void *context);
/* All sessions that are open, in no order. */
void cairn_zk_database_sessions(const struct cairn_zk_database *database,
                                void (*visit)(void *context, const struct cairn_zk_session *session), void *context);
uint64_t cairn_zk_database_node_count(const struct cairn_zk_database *database);

#endif
