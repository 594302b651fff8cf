/* zk.h - the ZooKeeper client protocol, 3.4 to 3.9: bytes to messages and back, for both ends.
 *
 * A frame is a length and a body; a body is a header and the fields that its operation has, in jute's encoding
 * (docs/formats/zk.md).  Reading copies and allocates nothing: byte strings and vectors are views of the body, and what
 * a view promises (every element is whole) was checked when it was read.  So the memory is the frame's, whatever
 * lengths and counts it claims.  What is left behind the last field, a length below -1 and a count that cannot fit are
 * refused.  A byte string that is null (-1) has no data; one that is empty has data and the size 0.  What is text on
 * this wire is bytes here: that it is UTF-8 is checked of paths alone (zk_path.h).
 * Threads: none of its own.  Layer: proto; uses base. */
#ifndef CAIRN_PROTO_ZK_H
#define CAIRN_PROTO_ZK_H

#include "base/bytes.h"

/* The numbers are the protocol's. */
enum cairn_zk_op {
    CAIRN_ZK_OP_CLOSE_SESSION = -11,
    CAIRN_ZK_OP_CREATE_SESSION = -10, /* known by name alone: no client sends it */
    CAIRN_ZK_OP_ERROR = -1,           /* what a slot of a failed multi's reply has instead of its operation */
    CAIRN_ZK_OP_CREATE = 1,
    CAIRN_ZK_OP_DELETE = 2,
    CAIRN_ZK_OP_EXISTS = 3,
    CAIRN_ZK_OP_GET_DATA = 4,
    CAIRN_ZK_OP_SET_DATA = 5,
    CAIRN_ZK_OP_GET_ACL = 6,
    CAIRN_ZK_OP_SET_ACL = 7,
    CAIRN_ZK_OP_GET_CHILDREN = 8,
    CAIRN_ZK_OP_SYNC = 9,
    CAIRN_ZK_OP_PING = 11,
    CAIRN_ZK_OP_GET_CHILDREN2 = 12,
    CAIRN_ZK_OP_CHECK = 13,
    CAIRN_ZK_OP_MULTI = 14,
    CAIRN_ZK_OP_CREATE2 = 15,
    CAIRN_ZK_OP_RECONFIG = 16,
    CAIRN_ZK_OP_CHECK_WATCHES = 17,
    CAIRN_ZK_OP_REMOVE_WATCHES = 18,
    CAIRN_ZK_OP_CREATE_CONTAINER = 19,
    CAIRN_ZK_OP_CREATE_TTL = 21,
    CAIRN_ZK_OP_MULTI_READ = 22,
    CAIRN_ZK_OP_AUTH = 100,
    CAIRN_ZK_OP_SET_WATCHES = 101,
    CAIRN_ZK_OP_SASL = 102,
    CAIRN_ZK_OP_GET_EPHEMERALS = 103,
    CAIRN_ZK_OP_GET_ALL_CHILDREN_NUMBER = 104,
    CAIRN_ZK_OP_SET_WATCHES2 = 105,
    CAIRN_ZK_OP_ADD_WATCH = 106,
    CAIRN_ZK_OP_WHO_AM_I = 107,
};

enum cairn_zk_error {
    CAIRN_ZK_OK = 0,
    CAIRN_ZK_ESYSTEM = -1,
    CAIRN_ZK_EINCONSISTENT = -2,
    CAIRN_ZK_ECONNECTION = -4,
    CAIRN_ZK_EMARSHALLING = -5,
    CAIRN_ZK_EUNIMPLEMENTED = -6,
    CAIRN_ZK_ETIMEOUT = -7,
    CAIRN_ZK_EARGUMENTS = -8,
    CAIRN_ZK_ENONODE = -101,
    CAIRN_ZK_ENOAUTH = -102,
    CAIRN_ZK_EVERSION = -103,
    CAIRN_ZK_EEPHEMERALPARENT = -108,
    CAIRN_ZK_EEXISTS = -110,
    CAIRN_ZK_ENOTEMPTY = -111,
    CAIRN_ZK_EEXPIRED = -112,
    CAIRN_ZK_EACL = -114,
    CAIRN_ZK_EAUTH = -115,
    CAIRN_ZK_EMOVED = -118,
    CAIRN_ZK_ENOTREADONLY = -119,
    CAIRN_ZK_ENOWATCHER = -121,
    CAIRN_ZK_EREQUESTTIMEOUT = -122,
    CAIRN_ZK_ERECONFIG = -123,
    CAIRN_ZK_EQUOTA = -125,
    CAIRN_ZK_ETHROTTLED = -127,
};

/* xids that mean something by themselves. */
enum { CAIRN_ZK_XID_EVENT = -1, CAIRN_ZK_XID_PING = -2, CAIRN_ZK_XID_AUTH = -4, CAIRN_ZK_XID_SET_WATCHES = -8 };

enum cairn_zk_flags {
    CAIRN_ZK_PERSISTENT = 0,
    CAIRN_ZK_EPHEMERAL = 1,
    CAIRN_ZK_SEQUENTIAL = 2,
    CAIRN_ZK_EPHEMERAL_SEQUENTIAL = 3,
    CAIRN_ZK_CONTAINER = 4,
    CAIRN_ZK_TTL = 5,
    CAIRN_ZK_TTL_SEQUENTIAL = 6,
};

enum cairn_zk_perms {
    CAIRN_ZK_READ = 1,
    CAIRN_ZK_WRITE = 2,
    CAIRN_ZK_CREATE = 4,
    CAIRN_ZK_DELETE = 8,
    CAIRN_ZK_ADMIN = 16,
    CAIRN_ZK_ALL = 31,
};

enum cairn_zk_event_type {
    CAIRN_ZK_CREATED = 1,
    CAIRN_ZK_DELETED = 2,
    CAIRN_ZK_DATA_CHANGED = 3,
    CAIRN_ZK_CHILDREN_CHANGED = 4,
};

enum { CAIRN_ZK_STATE_CONNECTED = 3 };

/* What removeWatches and checkWatches name; addWatch has modes instead. */
enum cairn_zk_watch {
    CAIRN_ZK_WATCH_CHILDREN = 1,
    CAIRN_ZK_WATCH_DATA = 2,
    CAIRN_ZK_WATCH_ANY = 3,
    CAIRN_ZK_WATCH_PERSISTENT = 4,
    CAIRN_ZK_WATCH_RECURSIVE = 5,
};
enum { CAIRN_ZK_MODE_PERSISTENT = 0, CAIRN_ZK_MODE_RECURSIVE = 1 };

/* Its name as ZooKeeper spells it ("getData", "NoNode"), NULL if there is none. */
const char *cairn_zk_op_name(int32_t op);
const char *cairn_zk_error_name(int32_t error);

/* --- frames --- */

enum { CAIRN_ZK_FRAME_BYTES_MAX = 0xfffff }; /* ZooKeeper's own default of jute.maxbuffer */

enum cairn_zk_frame {
    CAIRN_ZK_MORE,  /* not complete: call again with the same bytes and more behind them */
    CAIRN_ZK_FRAME, /* *ret is the body */
    CAIRN_ZK_WORD,  /* *ret is one of the four-letter words; what follows it means nothing */
    CAIRN_ZK_BAD,   /* a length below zero or above the bound: the connection is to be closed */
};

/* What stands at the start of `input`; *ret_used bytes belong to it.  A word is taken only as the first thing of a
 * connection.  bytes_max below 0x61000000, so that no word is a length. */
enum cairn_zk_frame cairn_zk_frame_read(struct cairn_bytes input, uint32_t bytes_max, bool first,
                                        struct cairn_bytes *ret, size_t *ret_used);
/* Leaves room for the length; returns what frame_end wants. */
size_t cairn_zk_frame_begin(struct cairn_buf *to);
/* False, and the frame is gone, if it is longer than its length can say (2 GiB). */
bool cairn_zk_frame_end(struct cairn_buf *to, size_t begun);

/* --- the first frame of each side; `read_only` is there only if has_read_only (3.4 and later, but not all) --- */

enum { CAIRN_ZK_PASSWORD_BYTES = 16 };

struct cairn_zk_connect {
    int32_t protocol, timeout_ms;
    int64_t last_zxid_seen, session;
    struct cairn_bytes password;
    bool has_read_only, read_only;
};

struct cairn_zk_connected {
    int32_t protocol, timeout_ms; /* timeout 0: the session is not there any more */
    int64_t session;
    struct cairn_bytes password;
    bool has_read_only, read_only;
};

bool cairn_zk_connect_read(struct cairn_bytes body, struct cairn_zk_connect *ret);
void cairn_zk_connect_add(struct cairn_buf *to, const struct cairn_zk_connect *connect);
bool cairn_zk_connected_read(struct cairn_bytes body, struct cairn_zk_connected *ret);
void cairn_zk_connected_add(struct cairn_buf *to, const struct cairn_zk_connected *connected);

/* --- what requests and replies are made of --- */

/* Elements one behind the other as they are on the wire, all of them whole. */
struct cairn_zk_vector {
    int32_t count; /* -1: null, which is not empty */
    struct cairn_bytes items;
};

struct cairn_zk_acl {
    int32_t perms;
    struct cairn_bytes scheme, id;
};

struct cairn_zk_id {
    struct cairn_bytes scheme, user;
};

/* 68 bytes on the wire. */
struct cairn_zk_stat {
    int64_t czxid, mzxid, ctime, mtime;
    int32_t version, cversion, aversion;
    int64_t ephemeral_owner;
    int32_t data_length, num_children;
    int64_t pzxid;
};

enum { CAIRN_ZK_STAT_BYTES = 68 };

/* Take one element off the front of *items (a copy of a vector's); false at the end. */
bool cairn_zk_string_next(struct cairn_bytes *items, struct cairn_bytes *ret);
bool cairn_zk_acl_next(struct cairn_bytes *items, struct cairn_zk_acl *ret);
bool cairn_zk_id_next(struct cairn_bytes *items, struct cairn_zk_id *ret);
/* Put one behind the others; `items` holds this vector alone, which is a view of it. */
void cairn_zk_string_add(struct cairn_buf *items, struct cairn_zk_vector *vector, struct cairn_bytes string);
void cairn_zk_acl_add(struct cairn_buf *items, struct cairn_zk_vector *vector, const struct cairn_zk_acl *acl);
void cairn_zk_id_add(struct cairn_buf *items, struct cairn_zk_vector *vector, const struct cairn_zk_id *id);
void cairn_zk_stat_add(struct cairn_buf *to, const struct cairn_zk_stat *stat);
bool cairn_zk_stat_read(struct cairn_bytes bytes, struct cairn_zk_stat *ret);

/* --- requests --- */

enum {
    CAIRN_ZK_SET_DATA_WATCHES,
    CAIRN_ZK_SET_EXIST,
    CAIRN_ZK_SET_CHILD,
    CAIRN_ZK_SET_PERSISTENT,
    CAIRN_ZK_SET_RECURSIVE,
    CAIRN_ZK_SET_COUNT
};

/* Only the members that the operation has mean something (docs/formats/zk.md); the others are 0. */
struct cairn_zk_request {
    int32_t xid; /* 0 inside a multi */
    int32_t op;
    struct cairn_bytes path;   /* getEphemerals: the prefix */
    struct cairn_bytes data;   /* auth: the credentials; sasl: the token */
    struct cairn_bytes scheme; /* auth */
    struct cairn_zk_vector acl;
    int32_t flags, version;
    int32_t kind; /* removeWatches, checkWatches: cairn_zk_watch; addWatch: the mode; auth: its type, 0 */
    bool watch;
    int64_t ttl_ms;
    int64_t zxid;                                       /* setWatches: the last seen; reconfig: the configuration's */
    struct cairn_zk_vector watches[CAIRN_ZK_SET_COUNT]; /* setWatches has three of them, setWatches2 all */
    struct cairn_bytes joining, leaving, members;       /* reconfig */
    struct cairn_zk_vector multi;                       /* multi, multiRead: requests */
};

/* CAIRN_ZK_OK; EMARSHALLING: not what the operation has; EUNIMPLEMENTED: no such operation.  Whenever there are 8 bytes
 * xid and op are set, else xid is 0. */
enum cairn_zk_error cairn_zk_request_read(struct cairn_bytes body, struct cairn_zk_request *ret);
/* Header and fields; the operation must be one that clients send. */
void cairn_zk_request_add(struct cairn_buf *to, const struct cairn_zk_request *request);

/* What may stand in a multi: in `multi` create, create2, createContainer, createTTL, delete, setData, check, in
 * multiRead getData and getChildren. */
bool cairn_zk_multi_next(struct cairn_bytes *items, struct cairn_zk_request *ret);
void cairn_zk_multi_add(struct cairn_buf *items, struct cairn_zk_vector *vector,
                        const struct cairn_zk_request *request);

/* --- replies --- */

struct cairn_zk_reply {
    int32_t xid;
    int32_t error; /* other than 0: there are no fields behind the header */
    int64_t zxid;
    struct cairn_bytes path, data;
    struct cairn_zk_stat stat;
    struct cairn_zk_vector acl, names, ids;
    int32_t number; /* getAllChildrenNumber; addWatch: 0; in a slot of a multi without an operation: its error */
    struct cairn_zk_vector multi; /* results */
};

/* The xid of a message of the server, by which its operation is found; 0 if it is too short. */
int32_t cairn_zk_xid(struct cairn_bytes body);
bool cairn_zk_reply_read(struct cairn_bytes body, int32_t op, struct cairn_zk_reply *ret);
void cairn_zk_reply_add(struct cairn_buf *to, int32_t op, const struct cairn_zk_reply *reply);

/* One slot of a multi's reply.  Its operation is that of the request, but create2 for createContainer and createTTL,
 * and CAIRN_ZK_OP_ERROR, whose reply has `number` alone, in a multi that failed. */
bool cairn_zk_result_next(struct cairn_bytes *items, int32_t *ret_op, struct cairn_zk_reply *ret);
void cairn_zk_result_add(struct cairn_buf *items, struct cairn_zk_vector *vector, int32_t op,
                         const struct cairn_zk_reply *reply);

/* --- events: a message of the server whose xid is CAIRN_ZK_XID_EVENT --- */

struct cairn_zk_event {
    int64_t zxid; /* -1; from 3.9 on that of the transaction */
    int32_t type, state;
    struct cairn_bytes path;
};

bool cairn_zk_event_read(struct cairn_bytes body, struct cairn_zk_event *ret);
void cairn_zk_event_add(struct cairn_buf *to, const struct cairn_zk_event *event);

#endif
