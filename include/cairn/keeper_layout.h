/* keeper_layout.h - what lies in the fields of the keeper's objects, Session and Tree, and what goes into their methods
 * (docs/design/0035-keeper.md).  For both sides: the module (functions/keeper) and the node, which reads past it.
 *
 * Integers are little-endian, and each struct lies in a field as it lies in memory: copy it out, nothing is aligned.
 * Only stats, ACLs and Ids are as on ZooKeeper's wire (docs/formats/zk.md). */
#ifndef CAIRN_KEEPER_LAYOUT_H
#define CAIRN_KEEPER_LAYOUT_H

#include <stdint.h>

#define CAIRN_KEEPER_TREE_ID "tree"

enum {
    CAIRN_KEEPER_PATH_BYTES_MAX = 1016, /* with a session before it, it is a key of an ordered map */
    CAIRN_KEEPER_PASSWORD_BYTES = 16,
    CAIRN_KEEPER_HASH_BYTES = 32,
    CAIRN_KEEPER_ACL_BYTES_MAX = 8192,
    CAIRN_KEEPER_NODES_A_SEGMENT = 512, /* that closing a session, reaping and beginning remove in one */
    CAIRN_KEEPER_HEARTBEAT_MS = 40000,
};

/* --- Tree.nodes: node key -> this, the hash if data is CAIRN_KEEPER_BLOB, the ACL; no ACL: world:anyone may all --- */

enum cairn_keeper_data {
    CAIRN_KEEPER_NULL = 0,
    CAIRN_KEEPER_INLINE = 1, /* in Tree.data under the node key; if data_bytes is 0 there is no entry */
    CAIRN_KEEPER_BLOB = 2,   /* in the blob store, under its SHA-256 */
};

struct cairn_keeper_node {
    uint64_t czxid, mzxid, pzxid;
    int64_t ctime, mtime; /* ms since 1970 */
    uint64_t owner;
    uint32_t version, creates, aversion; /* creates: children that it has ever been given; cversion: see below */
    uint32_t data_bytes, children;
    uint8_t data, spare[3];
};

#define CAIRN_KEEPER_CONTAINER ((uint64_t)1 << 63)

/* An owner that is no session's: a container, a node with a TTL, or 0.  Numbers of sessions are below 2^56. */
static inline int cairn_keeper_is_ephemeral(uint64_t owner)
{
    return owner != 0 && owner >> 56 == 0;
}

static inline int cairn_keeper_is_ttl(uint64_t owner)
{
    return owner >> 56 == 0xff;
}

static inline uint64_t cairn_keeper_ttl_ms(uint64_t owner)
{
    return owner & (((uint64_t)1 << 40) - 1);
}

/* When a node with a TTL is looked at, if nothing changes it. */
static inline int64_t cairn_keeper_due(const struct cairn_keeper_node *ttl)
{
    return ttl->mtime + (int64_t)cairn_keeper_ttl_ms(ttl->owner);
}

/* What clients see as ephemeralOwner. */
static inline uint64_t cairn_keeper_owner(const struct cairn_keeper_node *node)
{
    return cairn_keeper_is_ephemeral(node->owner) ? node->owner : 0;
}

/* What clients see as cversion; `children` are those that they see. */
static inline int32_t cairn_keeper_cversion(const struct cairn_keeper_node *node, uint32_t children)
{
    return (int32_t)(2 * node->creates - children);
}

/* --- Tree.sessions: be64 session -> this --- */

enum { CAIRN_KEEPER_OPEN = 0, CAIRN_KEEPER_CLOSING = 1 };

struct cairn_keeper_session {
    uint64_t zxid; /* of the close */
    uint32_t timeout_ms;
    uint8_t state, spare[3];
};

/* --- Tree.zxid: u64, the last that was given; u64, the bytes of the paths and data of all nodes, but for those below
 * /zookeeper/quota; then one of these for each session that is closed and whose nodes are not all removed, in the order
 * of their closes ---
 *
 * Nodes of such a session are absent.  So the children that clients see of a node P are `children` less the keys of
 * Tree.ephemerals that are the session and a child of P, and P's pzxid is at least `zxid` if there is one such; both
 * only if P's czxid is below `zxid`, as those are none of a P that was created later. */
struct cairn_keeper_closing {
    uint64_t session, zxid;
};

/* --- Tree.lineage --- */

struct cairn_keeper_lineage {
    uint64_t incarnation, restores;
};

/* --- Session.record --- */

struct cairn_keeper_record {
    uint8_t password[CAIRN_KEEPER_PASSWORD_BYTES];
    uint32_t timeout_ms, generation; /* 1: as it was opened */
};

/* --- Tree.changes: this, then entries: u8 what, u16 size, bytes --- */

struct cairn_keeper_changes {
    uint64_t zxid, session, number; /* session 0: none has asked for it */
};

enum { CAIRN_KEEPER_ENTRY_BYTES = 3 };

enum cairn_keeper_what {
    CAIRN_KEEPER_CREATED = 1,    /* path: its data watches */
    CAIRN_KEEPER_DELETED = 2,    /* path: its data and child watches */
    CAIRN_KEEPER_DATA = 3,       /* path: its data watches */
    CAIRN_KEEPER_CHILDREN = 4,   /* nothing, and it is the parent of the path before: its child watches */
    CAIRN_KEEPER_NODE_ACL = 5,   /* ACL, or nothing: who may be told of the paths behind it; at first nothing */
    CAIRN_KEEPER_PARENT_ACL = 6, /* the same of the parents that CAIRN_KEEPER_CHILDREN means */
    CAIRN_KEEPER_OPENED = 8,     /* u64 session, u32 timeout */
    CAIRN_KEEPER_CLOSED = 9,     /* u64 session; its nodes follow as CAIRN_KEEPER_DELETED, and if those are not all: */
    CAIRN_KEEPER_LINGERS = 10,   /* u64 session: it has more nodes than a segment removes */
    CAIRN_KEEPER_SWEPT = 11,     /* u64 session: nothing is left of it */
    CAIRN_KEEPER_GONE = 12,      /* path: a node of a session that lingers has been removed; to be told as deleted, and
                                * its parent's children as changed, if that has not been done since the close */
    CAIRN_KEEPER_BEGUN = 13,     /* a struct cairn_keeper_lineage: Tree.begin is done */
    CAIRN_KEEPER_ZXID = 14,      /* u64: what follows is of this transaction, a later one than what is before it */
};

/* --- arguments ---
 *
 * Integers: generation u32, timeout u32 (ms), number, epoch and session u64, op, flags and version i32, ttl i64 (ms).
 * Identities: Id[], ACL: ACL[], both as on the wire, with their counts.  Data: u8 enum cairn_keeper_data, then the
 * bytes, or u32 size and the hash.  A path or an ACL that is not one may be handed on as an empty argument: the
 * operation then fails in its place, with -8 or -114. */

#endif
