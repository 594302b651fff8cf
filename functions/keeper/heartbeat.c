/* heartbeat.c - what ends: sessions that are closed, containers and nodes with a TTL that are due, and, when the state
 * was rolled back, all sessions.  A segment removes at most CAIRN_KEEPER_NODES_A_SEGMENT nodes, and sends a message for
 * the rest, so that other transactions come between. */
#include "keeper.h"

void tell_self(const char *method, struct cairn_bytes a, struct cairn_bytes b)
{
    struct cairn_args args = {0};

    if (a.size)
        cairn_args_add(&args, a);
    if (b.size)
        cairn_args_add(&args, b);
    cairn_send("Tree", cairn_self_id(), method, &args);
}

/* Removes a segment's share of the nodes whose keys in Tree.ephemerals are in the range; true: there are more. */
static bool remove_ephemerals(struct txn *t, struct cairn_bytes low, struct cairn_bytes high, bool gone)
{
    struct cairn_ordered_iter it = cairn_ordered_range(Tree_ephemerals, low, high, CAIRN_KEEPER_NODES_A_SEGMENT);
    struct node node;

    while (!changes_full(t) && cairn_ordered_next(&it))
        if (node_find(cairn_bytes(it.key.data + 8, it.key.size - 8), &node))
            node_remove(t, &node, t->zxid, gone);
    return cairn_ordered_count_range(Tree_ephemerals, low, high) > 0;
}

/* Nothing is left of it. */
static void session_over(uint64_t session)
{
    cairn_ordered_remove(Tree_sessions, key_behind(session, 8, none));
    if (cairn_ordered_count(Tree_sessions) == 0)
        cairn_timer_cancel("heartbeat");
}

/* close SESSION EPOCH: [zxid].  From here on its nodes are absent. */
CAIRN_METHOD(Tree, close, CAIRN_INTERNAL)
{
    uint64_t session = arg_uint(0, 8);
    struct cairn_bytes low = key_behind(session, 8, none), high = key_behind(session + 1, 8, none);
    struct cairn_keeper_session entry;
    struct txn t;

    txn_begin(&t, session, 0, arg_uint(1, 8));
    if (!session_is_open(session, &entry)) {
        txn_result(t.before);
        return;
    }
    changes_add(&t, CAIRN_KEEPER_CLOSED, cairn_bytes(&session, 8));
    if (cairn_ordered_count_range(Tree_ephemerals, low, high) > CAIRN_KEEPER_NODES_A_SEGMENT ||
        remove_ephemerals(&t, low, high, false)) {
        entry.state = CAIRN_KEEPER_CLOSING;
        entry.zxid = t.zxid;
        cairn_ordered_set(Tree_sessions, low, cairn_bytes(&entry, sizeof entry));
        t.closing[t.closing_count++] = (struct cairn_keeper_closing){session, t.zxid};
        changes_add(&t, CAIRN_KEEPER_LINGERS, cairn_bytes(&session, 8));
        tell_self("sweep", cairn_bytes(&session, 8), none);
    } else {
        session_over(session);
    }
    txn_end(&t);
    txn_result(t.zxid);
}

/* sweep SESSION: a message of the close, and of the sweep before. */
CAIRN_METHOD(Tree, sweep, CAIRN_INTERNAL)
{
    uint64_t session = arg_uint(0, 8);
    uint32_t left = 0;
    struct txn t;

    txn_begin(&t, session, 0, 0);
    t.zxid = closing_zxid(&t, session); /* it takes none of its own */
    t.last = t.before;
    changes_begin(&t, session, 0);
    if (t.zxid == 0) /* the state was rolled back meanwhile */
        return;
    if (remove_ephemerals(&t, key_behind(session, 8, none), key_behind(session + 1, 8, none), true)) {
        tell_self("sweep", cairn_bytes(&session, 8), none);
    } else {
        for (uint32_t i = 0; i < t.closing_count; i++)
            if (t.closing[i].session != session)
                t.closing[left++] = t.closing[i];
        t.closing_count = left;
        changes_add(&t, CAIRN_KEEPER_SWEPT, cairn_bytes(&session, 8));
        session_over(session);
    }
    txn_end(&t);
}

/* count TOP: a message of the create of its zookeeper_stats, and of the count before. */
CAIRN_METHOD(Tree, count, CAIRN_INTERNAL)
{
    quota_count(cairn_arg(0));
}

/* --- the beginning --- */

static void root_put(struct txn *t, const char *path, uint32_t children, uint32_t aversion, struct cairn_bytes acl)
{
    struct node node = {.key = key_of(cairn_str(path)), .acl = acl};

    node.is = (struct cairn_keeper_node){.children = children, .aversion = aversion, .data = CAIRN_KEEPER_INLINE};
    node_put(&node);
    t->bytes += (int64_t)strlen(path);
}

/* What every ZooKeeper has from the start; children that are no creates. */
static void roots_put(struct txn *t)
{
    uint8_t read_only[sizeof acl_open];

    memcpy(read_only, acl_open, sizeof acl_open);
    read_only[7] = PERM_READ;
    root_put(t, "/", 1, 0, none);
    root_put(t, "/zookeeper", 2, 0, none);
    root_put(t, "/zookeeper/quota", 0, 0, none);
    root_put(t, "/zookeeper/config", 0, UINT32_MAX, cairn_bytes(read_only, sizeof read_only));
}

/* begin LINEAGE EPOCH: [zxid].  The state is another than the node served before, or a new one: no session outlives
 * that.  Comes again until nothing is left of them; one that comes late changes nothing. */
CAIRN_METHOD(Tree, begin, CAIRN_PUBLIC)
{
    struct cairn_bytes lineage = cairn_arg(0), value = {0};
    uint64_t epoch = arg_uint(1, 8);
    struct cairn_ordered_iter it;
    struct node root;
    struct txn t;
    bool more;

    txn_begin(&t, 0, 0, epoch);
    if (lineage.size != sizeof(struct cairn_keeper_lineage)) {
        cairn_fail("bad_argument", "a lineage has 16 bytes");
        return;
    }
    if (epoch < t.before >> 32 || (cairn_get(Tree_lineage, &value) && cairn_equal(value, lineage))) {
        txn_result(t.before);
        return;
    }
    more = remove_ephemerals(&t, key_behind(0, 8, none), key_behind(UINT64_MAX, 8, none), true);
    t.changes.size = sizeof(struct cairn_keeper_changes); /* no watcher is left that could be told */
    it = cairn_ordered_upward(Tree_sessions, CAIRN_KEEPER_NODES_A_SEGMENT);
    while (!more && cairn_ordered_next(&it)) {
        uint64_t session;

        memcpy(&session, it.key.data, 8);
        session = __builtin_bswap64(session);
        changes_add(&t, CAIRN_KEEPER_CLOSED, cairn_bytes(&session, 8));
        session_over(session);
    }
    if (more || cairn_ordered_count(Tree_sessions) > 0) {
        tell_self("begin", lineage, cairn_arg(1));
    } else {
        t.closing_count = 0;
        if (!node_find(none, &root))
            roots_put(&t);
        cairn_set(Tree_lineage, lineage);
        changes_add(&t, CAIRN_KEEPER_BEGUN, lineage);
    }
    txn_end(&t);
    txn_result(t.zxid);
}

/* --- the heartbeat --- */

/* A container that has had children and has none, a node with a TTL that has none and was not changed for so long. */
static bool is_due(const struct txn *t, const struct node *node)
{
    if (node_children(t, node, NULL) > 0)
        return false; /* it comes here again when it has lost them */
    if (cairn_keeper_is_ttl(node->is.owner))
        return cairn_keeper_due(&node->is) <= t->now;
    return node->is.owner == CAIRN_KEEPER_CONTAINER && node->is.creates > 0;
}

/* A timer while there are sessions: its segment has the node load the tree after a restart, so that they can expire. */
CAIRN_METHOD(Tree, heartbeat, CAIRN_INTERNAL)
{
    struct cairn_ordered_iter it = cairn_ordered_upward(Tree_reap, CAIRN_KEEPER_NODES_A_SEGMENT);
    uint32_t looked = 0;
    struct node node;
    struct txn t;

    txn_begin(&t, 0, 0, 0);
    while (!changes_full(&t) && cairn_ordered_next(&it)) {
        struct cairn_bytes key = cairn_bytes(it.key.data + 6, it.key.size - 6);

        if (cairn_compare(it.key, key_behind((uint64_t)t.now + 1, 6, none)) >= 0)
            break;
        looked++;
        cairn_ordered_remove(Tree_reap, it.key);
        if (node_find(key, &node) && is_due(&t, &node))
            node_remove(&t, &node, t.zxid, false);
    }
    reap_timer();
    if (looked == 0)
        return;
    if (looked == CAIRN_KEEPER_NODES_A_SEGMENT || changes_full(&t))
        tell_self("heartbeat", none, none);
    txn_end(&t);
}
