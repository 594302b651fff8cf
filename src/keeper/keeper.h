/* keeper.h - ZooKeeper's service behind its front: sessions, writes, reads, watches.
 *
 * The front has one struct keeper_link for each connection and one struct keeper_ask for each request.  This room knows
 * nothing of frames: the front decodes a request into an ask, and makes its reply from what the ask is answered with.
 * Bytes that the front would only pass on have the wire's layout: a stat, an ACL, a list of names.
 *
 *   connect -> answer -> { ask -> answer }* , events meanwhile -> close -> answer, or leave
 *
 * What the front does: frames, the order of replies, ping, auth, whoAmI and sasl, limits of pipelines, and all checks
 * that need no state: paths (docs/formats/zk.md; at most KEEPER_PATH_BYTES_MAX bytes, else -8), flags, that a multi has
 * parts of a multi.  What this room does: everything else.  Requests of one link take effect in the order in which they
 * are asked.  They are *answered* in any order: the front keeps the replies in order.
 *
 * Order of events: events and answers to reads come to a link in the order in which they were decided.  When an event
 * comes and answers to reads of the link have come that still stand behind earlier requests without an answer, the
 * event's frame goes right behind the last of these; else it goes out at once.  So no event overtakes the answer that
 * armed its watch, and none comes behind an answer that shows the change (docs/design/0035-keeper.md).  Answers to
 * writes do not count.  A read whose data is yet to be fetched from a blob store counts as answered from its `decided`
 * on.
 *
 * Memory: links and asks are the front's.  An ask, and all that it points to, stays untouched from the call until it is
 * answered, which happens exactly once, also after `leave`, but not any more once the node is closed.  A link may be
 * freed after `leave` once none of its asks is without an answer.  What an answer or an event points to is borrowed for
 * the call.
 * Threads: a link belongs to one worker: all calls and all callbacks are made by that worker's thread.  An answer may
 * come before the call that asked returns; callbacks may call this room again.  Nothing blocks.
 * Errors: an answer has ZooKeeper's own numbers (`error`), and for people the reason if there is one (`why`).
 * Layer: keeper; uses base, io, log, blob, engine, shard, fn, object. */
#ifndef CAIRN_KEEPER_KEEPER_H
#define CAIRN_KEEPER_KEEPER_H

#include "keeper/map.h"
#include "object/object.h"

struct keeper_home;

enum {
    KEEPER_PATH_BYTES_MAX = 1016,
    KEEPER_ACL_BYTES_MAX = 8192, /* as on the wire; a longer one is refused with -114 */
    KEEPER_PASSWORD_BYTES = 16,
    KEEPER_STAT_BYTES = 68,  /* czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, dataLength,
                               numChildren, pzxid: 8 or 4 bytes each, big-endian, as on the wire */
    KEEPER_PARTS_MAX = 1024, /* of a multi or multiRead */
    KEEPER_TICK_MS = 2000,   /* a session's timeout is 2 to 20 of them: others are moved to the next of these */
    KEEPER_HEARD_MS = 500,   /* how often the tree's owner is told which links were heard */
};

/* The numbers are the protocol's, but for those below -100. */
enum keeper_op {
    /* Writes. */
    KEEPER_CREATE = 1,
    KEEPER_DELETE = 2,
    KEEPER_SET_DATA = 5,
    KEEPER_SET_ACL = 7,
    KEEPER_CHECK = 13,
    KEEPER_MULTI = 14,
    KEEPER_CREATE2 = 15,
    KEEPER_CREATE_CONTAINER = 19,
    KEEPER_CREATE_TTL = 21,
    KEEPER_CLOSE = -11, /* the session; its link is over with the answer */
    /* Reads. */
    KEEPER_EXISTS = 3,
    KEEPER_GET_DATA = 4,
    KEEPER_GET_ACL = 6,
    KEEPER_GET_CHILDREN = 8,
    KEEPER_SYNC = 9,
    KEEPER_GET_CHILDREN2 = 12,
    KEEPER_CHECK_WATCHES = 17,
    KEEPER_REMOVE_WATCHES = 18,
    KEEPER_MULTI_READ = 22,      /* parts: getData and getChildren; a part that fails has its own error */
    KEEPER_SET_WATCHES = 101,    /* setWatches2, too */
    KEEPER_GET_EPHEMERALS = 103, /* of the link's session, below `path` as a prefix */
    KEEPER_GET_ALL_CHILDREN_NUMBER = 104,
    KEEPER_ADD_WATCH = 106,
    /* Of a namespace, for words and pages; the link need not be connected. */
    KEEPER_STATE = -201,    /* `state` */
    KEEPER_SESSIONS = -202, /* `names`, by threes: be64 session; be32 timeout in ms; the paths of its ephemerals, each
                               with a zero byte behind it */
    KEEPER_WATCHES = -203,  /* `names`, in pairs: be64 session; the paths that it watches, each with a zero byte behind
                               it, each once */
};

/* What `kind` is of checkWatches and removeWatches; of addWatch it is 0 persistent or 1 recursive. */
enum keeper_watch_kind {
    KEEPER_WATCH_CHILDREN = 1,
    KEEPER_WATCH_DATA = 2,
    KEEPER_WATCH_ANY = 3,
    KEEPER_WATCH_PERSISTENT = 4,
    KEEPER_WATCH_RECURSIVE = 5,
};

/* Names one behind the other: a big-endian u32 size and the bytes of each, so that they are a vector of the wire but
 * for its count. */
struct keeper_names {
    uint32_t count;
    struct cairn_bytes items;
};

/* One operation on one node.  What it does not have is 0. */
struct keeper_part {
    enum keeper_op op;
    struct cairn_bytes path;
    struct cairn_bytes data; /* no data pointer: null, which is not empty */
    struct cairn_bytes acl;  /* as on the wire, its count included (big-endian; 0 or -1: none) */
    int32_t flags, version;
    int64_t ttl_ms;
    bool watch;
};

enum {
    KEEPER_SET_DATA_WATCHES,
    KEEPER_SET_EXIST,
    KEEPER_SET_CHILD,
    KEEPER_SET_PERSISTENT,
    KEEPER_SET_RECURSIVE,
    KEEPER_SET_COUNT
};

/* What one part was answered with; what its operation does not have is empty. */
struct keeper_slot {
    int32_t error;             /* of multiRead's parts; else 0 */
    struct cairn_bytes path;   /* creates: what was created; sync: the path */
    struct cairn_bytes stat;   /* KEEPER_STAT_BYTES, or nothing */
    struct cairn_bytes data;   /* getData; no data pointer: null */
    struct cairn_bytes acl;    /* getACL: as on the wire, its count included */
    struct keeper_names names; /* getChildren: in the order of their bytes; getEphemerals: paths; KEEPER_SESSIONS, .. */
    int32_t number;            /* getAllChildrenNumber */
    struct cairn_bytes blob;   /* this room's: where the data is */
};

/* Of a namespace's tree and what its owner has in memory. */
struct keeper_state {
    uint64_t nodes, ephemerals, data_bytes;  /* data_bytes: of paths and data, as ZooKeeper's approximate_data_size */
    uint64_t sessions, connections;          /* connections: links that are connected */
    uint64_t watches, watch_paths, watchers; /* watchers: sessions that have any */
    uint64_t zxid;
    uint64_t expired; /* sessions, since the node was opened */
};

struct keeper_ask;
struct keeper_link;

enum keeper_event_type {
    KEEPER_EVENT_CREATED = 1,
    KEEPER_EVENT_DELETED = 2,
    KEEPER_EVENT_DATA = 3,
    KEEPER_EVENT_CHILDREN = 4,
};

struct keeper_event {
    enum keeper_event_type type;
    uint64_t zxid; /* of the transaction */
    struct cairn_bytes path;
};

/* Why a link's session is no longer its. */
enum keeper_end {
    KEEPER_END_MOVED,   /* another connection has taken the session over */
    KEEPER_END_EXPIRED, /* the session is over, or the namespace's sessions are */
};

/* Writes that are asked for and have not left. */
struct keeper_gathered {
    struct keeper_call *call; /* NULL: there are none */
    struct keeper_task *last;
    struct cairn_bytes identities; /* theirs */
    size_t bytes;
    uint32_t parts;
};

struct keeper_front {
    void (*event)(struct keeper_link *link, const struct keeper_event *event);
    /* At most once, and never after `leave`; the front closes the connection, and calls `leave`.  What was asked and
     * not answered yet is still answered. */
    void (*over)(struct keeper_link *link, enum keeper_end why);
};

/* A connection.  Zero-initialized but for what the front sets. */
struct keeper_link {
    /* the front's, set before the first call */
    struct space *space; /* the namespace that it serves */
    const struct keeper_front *front;
    void *owner;
    /* the front's: as keeper_ask.identities, of the connection as it is now; an event of a node that they may not read
     * is not told */
    struct cairn_bytes identities;
    /* the front's: set whenever anything was read from the client, pings too; cleared by this room */
    bool heard;

    /* this room's, to be read by the front */
    uint64_t session; /* 0: not connected */
    uint8_t password[KEEPER_PASSWORD_BYTES];
    uint32_t timeout_ms;
    uint64_t zxid; /* the last that an answer or an event of this link has told: replies that the front makes have it */

    /* this room's */
    enum { KEEPER_LINK_NEW, KEEPER_LINK_CONNECTING, KEEPER_LINK_OPEN, KEEPER_LINK_LEFT } state;
    uint32_t generation;             /* of the session's connections */
    uint64_t number;                 /* of its last write */
    uint64_t epoch;                  /* as far as it is known here */
    bool closing;                    /* the close of its session is under way */
    bool has_read;                   /* since its last write */
    struct keeper_home *home;        /* of the namespace, on this worker */
    struct cairn_link writes;        /* under way, in their order */
    struct cairn_link unsent;        /* of them, those that wait for data that is being put, and those behind them */
    struct keeper_gathered gathered; /* of them, those that leave together */
    struct cairn_link of_home;       /* connected links of the namespace */
    struct keeper_item item;         /* the same by session */
};

struct keeper_ask {
    /* the front's */
    enum keeper_op op;
    /* The connection's identities: as many vectors of {scheme, id} as on the wire, without a count: a big-endian u32
     * size and the bytes of each.  "world" need not be among them; the client's address is, as {"ip", address}. */
    struct cairn_bytes identities;
    const struct keeper_part *parts; /* one, which is of `op`; several of KEEPER_MULTI and KEEPER_MULTI_READ */
    uint32_t part_count;
    int32_t kind;                                  /* of watches */
    uint64_t zxid_seen;                            /* setWatches, connect */
    struct keeper_names watches[KEEPER_SET_COUNT]; /* setWatches */
    uint64_t session;                              /* connect: 0 for a new one */
    struct cairn_bytes password;                   /* connect, of a session that is known */
    uint32_t timeout_ms;                           /* connect: what the client asks for */
    void (*answer)(struct keeper_ask *ask);
    /* A read has been decided, and is answered once its data has been fetched: events treat it as answered.  Before
     * `answer`, once; NULL: the front does not care. */
    void (*decided)(struct keeper_ask *ask);
    struct keeper_link *link;
    void *owner;

    /* set before `answer` */
    int32_t error;                   /* 0, or ZooKeeper's; of a multi it is that of the part that failed */
    uint32_t failed_part;            /* of a multi that failed: that one; UINT32_MAX: no single one */
    uint64_t zxid;                   /* of the reply's header: the transaction's, or the last as it was read */
    const struct keeper_slot *slots; /* as many as parts, if error is 0 */
    uint32_t slot_count;
    const struct keeper_state *state;
    const char *why; /* for the log, of errors that the node is to blame for; NULL: nothing */

    /* this room's */
    void *own;
};

/* What the front calls, so that a stand-in can take its place (server/backend.h). */
struct keeper_ops {
    /* A link's first ask, and alone until it is answered: a session of its own, or with ask->session that one:
     *   0     link->session, password and timeout_ms are set
     *   -112  there is no such session, or the password is another: the front answers timeout 0, and closes
     *   -2    zxid_seen is above the tree's: the front closes without an answer
     *   else  the node cannot now: the front closes without an answer */
    void (*connect)(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask);
    /* Of a link that is connected, but for KEEPER_STATE and the like.  Answers of links whose session was taken over or
     * is over have -118 and -112; what may or may not have happened has -4: the front closes the connection, as
     * ZooKeeper's clients then find out for themselves. */
    void (*ask)(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask);
    /* Writes are gathered, and are one invocation of the session and one segment of the tree, until another kind of ask
     * comes or they are many; the front calls this when it has nothing more to ask for now. */
    void (*flush)(struct cairn_worker *worker, struct keeper_link *link);
    /* The connection is gone, or closed by the front; also of a link that is still connecting, or that is over.  Its
     * session lives on until its timeout.  No callback but answers follows.  A link with which nothing was asked need
     * not leave. */
    void (*leave)(struct cairn_worker *worker, struct keeper_link *link);
};

extern const struct keeper_ops keeper_ops;

static inline bool keeper_op_writes(enum keeper_op op)
{
    switch (op) {
    case KEEPER_CREATE:
    case KEEPER_DELETE:
    case KEEPER_SET_DATA:
    case KEEPER_SET_ACL:
    case KEEPER_CHECK:
    case KEEPER_MULTI:
    case KEEPER_CREATE2:
    case KEEPER_CREATE_CONTAINER:
    case KEEPER_CREATE_TTL:
    case KEEPER_CLOSE:
        return true;
    default:
        return false;
    }
}

#endif
