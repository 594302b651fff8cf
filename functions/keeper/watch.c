/* watch.c - what a transaction has changed, for those that watch: which tables fire, and in which order, is
 * ZooKeeper's rule.  The node reads it out of the segment as that is committed, and knows only how to find the watches
 * of a path. */
#include "keeper.h"

void changes_begin(struct txn *t, uint64_t session, uint64_t number)
{
    struct cairn_keeper_changes head = {t->zxid, session, number};

    t->changes = (struct cairn_pack){0};
    t->told_acls[0] = t->told_acls[1] = none;
    t->told = t->zxid;
    cairn_pack_value(&t->changes, cairn_bytes(&head, sizeof head));
}

static void add(struct txn *t, enum cairn_keeper_what what, struct cairn_bytes bytes)
{
    uint8_t head[CAIRN_KEEPER_ENTRY_BYTES] = {(uint8_t)what, (uint8_t)bytes.size, (uint8_t)(bytes.size >> 8)};

    cairn_pack_value(&t->changes, cairn_bytes(head, sizeof head));
    cairn_pack_value(&t->changes, bytes);
}

static void tell_zxid(struct txn *t, uint64_t zxid)
{
    if (t->told == zxid)
        return;
    t->told = zxid;
    add(t, CAIRN_KEEPER_ZXID, cairn_bytes(&zxid, 8));
}

void changes_end(struct txn *t)
{
    tell_zxid(t, t->last);
}

void changes_add(struct txn *t, enum cairn_keeper_what what, struct cairn_bytes bytes)
{
    tell_zxid(t, t->zxid);
    add(t, what, bytes);
}

void changes_node(struct txn *t, enum cairn_keeper_what what, const struct node *node, struct cairn_bytes parent_acl)
{
    struct cairn_bytes acls[2] = {node->acl, parent_acl};

    for (int i = 0; i < 2; i++) {
        if (!cairn_equal(acls[i], t->told_acls[i]))
            changes_add(t, CAIRN_KEEPER_NODE_ACL + i, acls[i]);
        t->told_acls[i] = acls[i];
    }
    changes_add(t, what, path_of(node->key));
    if (what == CAIRN_KEEPER_CREATED || what == CAIRN_KEEPER_DELETED) /* a node's own watches before its parent's */
        changes_add(t, CAIRN_KEEPER_CHILDREN, none);
}
