/* acl.h - may a connection with these identities read?  ACLs are as on ZooKeeper's wire, identities as keeper_ask's.
 * Threads: none of its own.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_ACL_H
#define CAIRN_KEEPER_ACL_H

#include "base/bytes.h"

enum { KEEPER_PERM_READ = 1, KEEPER_PERM_ADMIN = 16 };

/* One of the permissions.  An empty ACL: all to the world. */
bool keeper_acl_allows(struct cairn_bytes acl, uint32_t permissions, struct cairn_bytes identities);
/* The ACL, an empty one spelled out; with `mask` the password of each digest is "x". */
void keeper_acl_show(struct cairn_bytes acl, bool mask, struct cairn_buf *to);

#endif
