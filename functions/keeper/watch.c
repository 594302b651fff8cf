/* watch.c - what a transaction has changed, for those that watch: which tables fire, and in which order, is
 * ZooKeeper's rule.  The node reads it out of the segment as that is committed, and knows only how to find the watches
 * of a path. */
#include "keeper.h"

static void entry(struct txn *t, enum cairn_keeper_what what, struct cairn_bytes bytes)
{
    uint8_t head[CAIRN_KEEPER_ENTRY_BYTES] = {(uint8_t)what, (uint8_t)bytes.size, (uint8_t)(bytes.size >> 8)};

    cairn_pack_value(&t->changes, cairn_bytes(head, sizeof head));
    cairn_pack_value(&t->changes, bytes);
}

void changes_begin(struct txn *t, uint64_t session, uint64_t number)
{
    struct cairn_keeper_changes head = {t->zxid, session, number};

    t->changes = (struct cairn_pack){0};
    cairn_pack_value(&t->changes, cairn_bytes(&head, sizeof head));
}

/* A node's own watches before its parent's. */
static void entry_and_parent(struct txn *t, enum cairn_keeper_what what, struct cairn_bytes path)
{
    entry(t, what, path);
    entry(t, CAIRN_KEEPER_CHILDREN, cairn_bytes(0, 0));
}

void changes_created(struct txn *t, struct cairn_bytes path)
{
    entry_and_parent(t, CAIRN_KEEPER_CREATED, path);
}

void changes_deleted(struct txn *t, struct cairn_bytes path)
{
    entry_and_parent(t, CAIRN_KEEPER_DELETED, path);
}

void changes_data(struct txn *t, struct cairn_bytes path)
{
    entry(t, CAIRN_KEEPER_DATA, path);
}

/* What is told of it depends on what was told of its session's close. */
void changes_gone(struct txn *t, struct cairn_bytes path)
{
    entry(t, CAIRN_KEEPER_GONE, path);
}

void changes_opened(struct txn *t, uint64_t session, uint32_t timeout_ms)
{
    uint8_t bytes[12];

    memcpy(bytes, &session, 8);
    memcpy(bytes + 8, &timeout_ms, 4);
    entry(t, CAIRN_KEEPER_OPENED, cairn_bytes(bytes, sizeof bytes));
}

void changes_session(struct txn *t, enum cairn_keeper_what what, uint64_t session)
{
    entry(t, what, cairn_bytes(&session, sizeof session));
}

void changes_begun(struct txn *t, struct cairn_bytes lineage)
{
    entry(t, CAIRN_KEEPER_BEGUN, lineage);
}
