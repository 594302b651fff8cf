/* keeper.h - the keeper, ZooKeeper's service as functions (docs/design/0035-keeper.md): what its sources share.
 *
 * A Session (follower.c) takes the requests of one client in their order and hands them to the one Tree of a namespace.
 * The Tree (leader.c) orders them: each gets a zxid and is applied in one segment, or leaves nothing.  watch.c writes
 * down what a transaction has changed; the node reads it and tells those that watch.  heartbeat.c ends what is over:
 * sessions, containers, nodes with a TTL, and all sessions when the state was rolled back.
 *
 * A node lies under its key: its path with a zero byte for the last '/', so that children stand side by side. */
#ifndef KEEPER_H
#define KEEPER_H

#include <cairn/guest.h>
#include <cairn/keeper_layout.h>

CAIRN_MODULE(keeper);

CAIRN_TYPE(Session); /* the id is the session's number, 16 hexadecimal digits */
CAIRN_VALUE(Session, record);

CAIRN_TYPE(Tree);                /* the id is CAIRN_KEEPER_TREE_ID */
CAIRN_ORDERED(Tree, nodes);      /* node key: struct cairn_keeper_node and what follows it */
CAIRN_MAP(Tree, data);           /* node key: data */
CAIRN_ORDERED(Tree, blobs);      /* the hash's first 8 bytes, node key: nothing */
CAIRN_ORDERED(Tree, sessions);   /* be64 session: struct cairn_keeper_session */
CAIRN_ORDERED(Tree, ephemerals); /* be64 session, node key: nothing */
CAIRN_ORDERED(Tree, reap);       /* be48 due ms, node key: nothing */
CAIRN_MAP(Tree, quotas);         /* path that has limits: nothing; '=', path that is counted: the key that is next */
CAIRN_VALUE(Tree, zxid);         /* u64, u64 bytes, struct cairn_keeper_closing ... */
CAIRN_VALUE(Tree, lineage);      /* struct cairn_keeper_lineage */
CAIRN_VALUE(Tree, changes);      /* struct cairn_keeper_changes, entries */

/* ZooKeeper's numbers. */
enum { OP_CREATE = 1, OP_DELETE = 2, OP_SET_DATA = 5, OP_SET_ACL = 7, OP_CHECK = 13, OP_MULTI = 14 };
enum { OP_CREATE2 = 15, OP_CREATE_CONTAINER = 19, OP_CREATE_TTL = 21 };
enum { E_UNIMPLEMENTED = -6, E_ARGUMENTS = -8, E_NO_NODE = -101, E_NO_AUTH = -102, E_VERSION = -103 };
enum { E_EPHEMERAL_PARENT = -108, E_EXISTS = -110, E_NOT_EMPTY = -111, E_EXPIRED = -112, E_ACL = -114 };
enum { E_MOVED = -118, E_QUOTA = -125 };

static inline bool is_create(int32_t op)
{
    return op == OP_CREATE || op == OP_CREATE2 || op == OP_CREATE_CONTAINER || op == OP_CREATE_TTL;
}

static const struct cairn_bytes none;

/* --- ACLs --- */

enum { PERM_READ = 1, PERM_WRITE = 2, PERM_CREATE = 4, PERM_DELETE = 8, PERM_ADMIN = 16 };

/* world:anyone may all, as an ACL[]; a node has nothing for it. */
extern const uint8_t acl_open[27];
/* As a node keeps it: each once, and the identities for `auth`.  Empty: it is no ACL. */
struct cairn_bytes acl_fixed(struct cairn_bytes acls, struct cairn_bytes identities);
/* Of an ACL as a node keeps it. */
bool acl_allows(struct cairn_bytes acls, struct cairn_bytes identities, int32_t perm);

/* --- arguments of methods --- */

/* A little-endian integer of so many bytes; anything else ends the method. */
uint64_t arg_uint(uint32_t i, uint32_t bytes);

/* --- transactions on the Tree --- */

struct txn {
    uint64_t session;                     /* 0: none */
    uint64_t zxid;                        /* this one's */
    uint64_t last;                        /* the last that was given, this one's unless it takes none */
    uint64_t before;                      /* the last that was given before the segment */
    uint64_t told;                        /* the last in `changes` */
    int64_t now;                          /* ms */
    int64_t bytes;                        /* of the paths and data of all nodes */
    struct cairn_bytes identities;        /* Id[] of the connection */
    struct cairn_keeper_closing *closing; /* sessions that linger, with room for one more */
    uint32_t closing_count;
    struct cairn_pack changes;
    struct cairn_bytes told_acls[2]; /* the last in `changes`: of nodes, of parents */
    bool reap;                       /* its first is another: the timer must be set */
};

void txn_begin(struct txn *t, uint64_t session, uint64_t number, uint64_t epoch);
/* When that session was closed, if it lingers; else 0. */
uint64_t closing_zxid(const struct txn *t, uint64_t session);
void txn_end(struct txn *t);
/* [zxid] */
void txn_result(uint64_t zxid);

/* False: there is no such session, or it is closed. */
bool session_is_open(uint64_t session, struct cairn_keeper_session *ret);

/* --- nodes --- */

struct node {
    struct cairn_bytes key;
    struct cairn_keeper_node is;
    struct cairn_bytes hash, acl; /* the first only if data is CAIRN_KEEPER_BLOB */
};

/* What is to be told, in this order (watch.c); of nodes whom it may be told, and of those that were created or deleted
 * the parent's children, too. */
void changes_begin(struct txn *t, uint64_t session, uint64_t number);
void changes_node(struct txn *t, enum cairn_keeper_what what, const struct node *node, struct cairn_bytes parent_acl);
/* The segment tells enough: what is left is to be the next one's. */
static inline bool changes_full(const struct txn *t)
{
    return t->changes.size > 256 << 10;
}
void changes_add(struct txn *t, enum cairn_keeper_what what, struct cairn_bytes bytes);
/* The last zxid is told. */
void changes_end(struct txn *t);

struct cairn_bytes key_of(struct cairn_bytes path);
struct cairn_bytes path_of(struct cairn_bytes key);
/* "/" of "/a" and of "/". */
struct cairn_bytes parent_of(struct cairn_bytes path);
/* A number of 8 or 6 bytes, big-endian, before a node key. */
struct cairn_bytes key_behind(uint64_t number, uint32_t bytes, struct cairn_bytes key);

/* Of a session that lingers, too. */
bool node_find(struct cairn_bytes key, struct node *ret);
void node_put(const struct node *node);
/* What clients see; *ret_pzxid may be NULL. */
uint32_t node_children(const struct txn *t, const struct node *node, uint64_t *ret_pzxid);
/* With the zxid of the transaction, or of the close of the session that lingers (then it is told as gone). */
void node_remove(struct txn *t, const struct node *node, uint64_t zxid, bool gone);

/* A turn of counting what is below it, for its quota; the next is a message. */
void quota_count(struct cairn_bytes top);
/* A message to the Tree itself, with as many arguments as are not empty. */
void tell_self(const char *method, struct cairn_bytes a, struct cairn_bytes b);

/* A node that is to be looked at then. */
void reap_add(struct txn *t, int64_t due_ms, struct cairn_bytes key);
/* Sets the timer for the first of them. */
void reap_timer(void);

#endif
