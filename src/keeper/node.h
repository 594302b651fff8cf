/* node.h - the nodes of a tree as its fields have them (docs/design/0035-keeper.md), for reading.
 *
 * A node's key is its path with the last '/' replaced by a zero byte; the children of P are the keys from P\0 to before
 * P\1.  What is read is what was committed.  A node whose owner's session is closed is absent, and is not counted.
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_NODE_H
#define CAIRN_KEEPER_NODE_H

#include "cairn/keeper_layout.h"
#include "keeper/keeper.h"
#include "object/ordered.h"
#include "object/type.h"

struct keeper_tree;

enum keeper_field {
    FIELD_NODES,
    FIELD_DATA,
    FIELD_SESSIONS,
    FIELD_EPHEMERALS,
    FIELD_ZXID,
    FIELD_LINEAGE,
    FIELD_CHANGES,
    FIELD_BLOBS,
    KEEPER_FIELDS
};

/* Where they lie. */
struct keeper_view {
    uint64_t incarnation; /* 0: there is no tree yet */
    uint32_t fields[KEEPER_FIELDS];
};

/* False: the type has not all of them. */
bool keeper_view_bind(struct keeper_view *view, const struct type *type);

struct keeper_node {
    struct cairn_keeper_node is;
    const uint8_t *hash;    /* of a blob */
    struct cairn_bytes acl; /* as on the wire; empty: all to the world */
};

enum { NODE_KEY_BYTES_MAX = KEEPER_PATH_BYTES_MAX };

/* Its size. */
size_t keeper_node_key(struct cairn_bytes path, uint8_t to[NODE_KEY_BYTES_MAX]);
/* The path of a key, of as many bytes. */
void keeper_node_path(struct cairn_bytes key, uint8_t *to);

/* False: there is no such node, or it could not be read (tree->kw->overlay.code).  *ret_node is borrowed until the next
 * few reads. */
bool keeper_node_get(struct keeper_tree *tree, struct cairn_bytes path, struct keeper_node *ret_node);
/* Of a node that is there, or is absent and not removed yet; borrowed like *ret_node. */
bool keeper_node_acl(struct keeper_tree *tree, struct cairn_bytes path, struct cairn_bytes *ret_acl);
/* Of a node that has data in its field. */
bool keeper_node_data(struct keeper_tree *tree, struct cairn_bytes path, struct cairn_bytes *ret_data);
/* What clients see: how many children, and the zxid of their last change. */
uint32_t keeper_node_seen(struct keeper_tree *tree, struct cairn_bytes path, const struct keeper_node *node,
                          uint64_t *ret_pzxid);
/* As clients see it. */
void keeper_node_stat(struct keeper_tree *tree, struct cairn_bytes path, const struct keeper_node *node,
                      uint8_t to[KEEPER_STAT_BYTES]);
/* The children's names are given to `each` in order, from behind `after` on, at most `want`, what is absent, too; how
 * many there were. */
uint32_t keeper_node_children(struct keeper_tree *tree, struct cairn_bytes path, struct cairn_bytes after,
                              uint32_t want, void (*each)(void *context, struct cairn_bytes name, bool is_absent),
                              void *context);
/* All nodes below it, itself not counted. */
uint64_t keeper_node_below(struct keeper_tree *tree, struct cairn_bytes path);
/* Keys of the session's ephemerals from behind `after` on, at most `want`, until `each` returns false. */
void keeper_node_ephemerals(struct keeper_tree *tree, uint64_t session, struct cairn_bytes after, uint32_t want,
                            bool (*each)(void *context, struct cairn_bytes key), void *context);
/* How many entries an ordered field has. */
uint64_t keeper_field_count(struct keeper_tree *tree, enum keeper_field field);
/* A value field; false: it is not there, or could not be read. */
bool keeper_field_value(struct keeper_tree *tree, struct overlay *overlay, enum keeper_field field,
                        struct cairn_bytes *ret_value);
/* Entries of `sessions`. */
void keeper_node_sessions(struct keeper_tree *tree,
                          void (*each)(void *context, uint64_t number, const struct cairn_keeper_session *session),
                          void *context);

#endif
