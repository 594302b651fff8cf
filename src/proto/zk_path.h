/* zk_path.h - the names of ZooKeeper's nodes: what is a path, and its parts.
 *
 * A path begins with '/' and does not end with one ('/' alone is the root).  No name in it is empty, "." or "..".  No
 * character is U+0000 to 001F, 007F to 009F, D800 to F8FF, or U+FFF0 and above.  ZooKeeper looks at Java's characters,
 * 16 bits each: so what is above U+FFFF, which takes two from D800 on, is refused, and so is what is not UTF-8, which
 * Java reads as U+FFFD.
 * Threads: any.  Layer: proto; uses base. */
#ifndef CAIRN_PROTO_ZK_PATH_H
#define CAIRN_PROTO_ZK_PATH_H

#include "base/bytes.h"

/* NULL: it is a path.  Else what is wrong with it.  Of a node that is to be created `sequential` the path is looked at
 * as it will be, with digits behind it: "/queue/" is one then. */
const char *cairn_zk_path_fault(struct cairn_bytes path, bool sequential);

/* Of a path other than the root: "/" of "/a", "/a" of "/a/b". */
struct cairn_bytes cairn_zk_path_parent(struct cairn_bytes path);
/* "b" of "/a/b", nothing of the root. */
struct cairn_bytes cairn_zk_path_name(struct cairn_bytes path);
/* Is `path` at or below `top`? */
bool cairn_zk_path_within(struct cairn_bytes path, struct cairn_bytes top);

/* What a sequential node has behind its name, for the number of creates that its parent has seen: ten digits, and past
 * 2^31 what a 32-bit number becomes, as in ZooKeeper. */
void cairn_zk_sequence_add(struct cairn_buf *to, int32_t creates);

#endif
