/* zk_snapshot.h - the files of a ZooKeeper's data folder, 3.4 to 3.9: snapshot.ZXID and log.ZXID, bytes to items.
 *
 * Both begin with a head and are jute (docs/formats/zk-files.md).  A file is read in portions: the caller has a window
 * of its bytes from the reader's place on, and is told that there is an item in it, which it then may drop, or that it
 * must hold more.  Items are views of the window.  Checksums are compared: of a snapshot that over all before its end,
 * of a log each transaction's.
 *
 *   cairn_zk_file_begin -> cairn_zk_file_next .. -> CAIRN_ZK_FILE_END
 *
 * Memory: the window's, at most CAIRN_ZK_ITEM_BYTES_MAX.
 * Threads: none of its own.  Layer: proto; uses base. */
#ifndef CAIRN_PROTO_ZK_SNAPSHOT_H
#define CAIRN_PROTO_ZK_SNAPSHOT_H

#include "base/bytes.h"
#include "base/err.h"

enum { CAIRN_ZK_ITEM_BYTES_MAX = 64 << 20 };

enum cairn_zk_file_kind { CAIRN_ZK_SNAPSHOT, CAIRN_ZK_LOG };

/* What a window is found to begin with. */
enum cairn_zk_file_step {
    CAIRN_ZK_FILE_MORE, /* an item that is not in it as a whole; at the file's end: it is cut off */
    CAIRN_ZK_FILE_ITEM,
    CAIRN_ZK_FILE_END, /* a snapshot is whole; a log's transactions are over */
    CAIRN_ZK_FILE_BAD, /* *err says what and where */
};

/* Numbers that are an operation's, where zk.h has none: no client sends it. */
enum { CAIRN_ZK_TXN_DELETE_CONTAINER = 20 };

struct cairn_zk_file_item {
    enum { CAIRN_ZK_ITEM_SESSION, CAIRN_ZK_ITEM_ACL, CAIRN_ZK_ITEM_NODE, CAIRN_ZK_ITEM_TXN } kind;
    int64_t session;         /* a session's, and the one whose transaction it is */
    int32_t timeout_ms;      /* of a session */
    int64_t acl;             /* number of an ACL, or of a node's; -1: world:anyone with all */
    struct cairn_bytes acls; /* of an ACL: a vector as on the wire, its count included */
    /* of a node */
    struct cairn_bytes path; /* the root's is empty */
    struct cairn_bytes data; /* no data pointer: null */
    int64_t czxid, mzxid, ctime, mtime, owner, pzxid;
    int32_t version, creates, aversion; /* creates: of children, ever; what clients see is 2 * creates - children */
    /* of a transaction */
    int64_t zxid, time_ms;
    int32_t type;            /* enum cairn_zk_op, or above */
    struct cairn_bytes body; /* the type's record, and what may follow it */
};

struct cairn_zk_file {
    enum cairn_zk_file_kind kind;
    int state;
    uint64_t position; /* of the window in the file */
    uint32_t adler_a, adler_b;
    int32_t left; /* sessions, or ACLs, that are still to come */
};

void cairn_zk_file_begin(struct cairn_zk_file *file, enum cairn_zk_file_kind kind);
/* Looks at the window; *ret_used bytes of it are done with, of an item when the next one is asked for.  After END and
 * BAD nothing more is asked. */
enum cairn_zk_file_step cairn_zk_file_next(struct cairn_zk_file *file, struct cairn_bytes window, size_t *ret_used,
                                           struct cairn_zk_file_item *ret_item, struct cairn_err *err);
/* "snapshot.1f" and "log.1f" are 0x1f; false: it is no such name. */
bool cairn_zk_file_name(const char *name, enum cairn_zk_file_kind kind, uint64_t *ret_zxid);

uint32_t cairn_zk_adler32(struct cairn_bytes bytes);

#endif
