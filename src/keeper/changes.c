#include "keeper/changes.h"

#include "keeper/collect.h"
#include "keeper/events.h"
#include "keeper/linger.h"
#include "keeper/list.h"
#include "keeper/session.h"
#include "keeper/watch.h"
#include "keeper/write.h"

/* The changes, if the segment has written them. */
static bool changes_of(const struct keeper_tree *tree, const struct overlay *overlay, struct cairn_bytes *ret)
{
    uint8_t bytes[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes key =
        cairn_bytes(bytes, key_field(bytes, tree->view.incarnation, tree->view.fields[FIELD_CHANGES]));

    for (uint32_t i = 0; i < overlay->count; i++)
        if (cairn_bytes_equal(overlay->writes[i].key, key)) {
            *ret = overlay->writes[i].value;
            return !overlay->writes[i].deleted;
        }
    return false;
}

static struct cairn_bytes parent_of(struct cairn_bytes path)
{
    size_t size = path.size;

    while (size > 1 && path.data[size - 1] != '/')
        size--;
    return cairn_bytes(path.data, size > 1 ? size - 1 : 1);
}

static void session_opened(struct keeper_tree *tree, struct cairn_bytes bytes)
{
    struct cairn_node *node = tree->kw->worker->node;
    uint64_t number = bytes.size == 12 ? cairn_get_u64(bytes.data) : 0;
    struct keeper_session *session;
    uint8_t id[16];

    if (!number || keeper_session_find(tree, number))
        return;
    keeper_id_hex(number, id);
    session = keeper_session_add(tree, number, cairn_get_u32(bytes.data + 8));
    keeper_session_attach(session, node_owner(node, node_shard_of(node, tree->space, cairn_bytes(id, sizeof id))),
                          KEEPER_FIRST_GENERATION);
}

static void told_of_session(struct keeper_tree *tree, enum cairn_keeper_what what, uint64_t zxid,
                            struct cairn_bytes bytes)
{
    struct keeper_session *session = bytes.size == 8 ? keeper_session_find(tree, cairn_get_u64(bytes.data)) : NULL;

    if (!session)
        return;
    switch (what) {
    case CAIRN_KEEPER_CLOSED:
        keeper_session_close(session, zxid);
        return;
    case CAIRN_KEEPER_LINGERS:
        session->lingers = true;
        keeper_list_again(tree);
        keeper_linger_begin(session);
        return;
    default:                      /* swept */
        keeper_events_send(tree); /* before reads that have waited for them */
        keeper_linger_end(session);
        session->lingers = false;
        return;
    }
}

/* Of closed sessions that have left nothing, or nothing any more. */
static void forget_closed(struct keeper_tree *tree)
{
    for (struct cairn_link *l = tree->closing.next, *next; l != &tree->closing; l = next) {
        struct keeper_session *session = cairn_container(l, struct keeper_session, closing);

        next = l->next;
        if (!session->lingers)
            keeper_session_free(session);
    }
}

static void take_changes(struct keeper_tree *tree, struct cairn_bytes changes)
{
    struct cairn_reader r = cairn_reader(changes);
    uint64_t zxid = cairn_read_u64(&r);
    struct cairn_bytes path = cairn_str("/"); /* of the entry before */
    struct cairn_bytes acl = cairn_bytes(NULL, 0), parent_acl = acl;

    cairn_read_bytes(&r, sizeof(struct cairn_keeper_changes) - sizeof zxid);
    if (zxid > tree->zxid)
        tree->zxid = zxid;
    while (cairn_reader_left(&r) && !r.bad) {
        enum cairn_keeper_what what = cairn_read_u8(&r);
        struct cairn_bytes bytes = cairn_read_bytes(&r, cairn_read_u16(&r));

        switch (what) {
        case CAIRN_KEEPER_CREATED:
            keeper_list_changed(tree, bytes, true);
            keeper_event_fire(tree, KEEPER_EVENT_CREATED, zxid, bytes, acl, TABLES_DATA);
            break;
        case CAIRN_KEEPER_DELETED:
            keeper_list_changed(tree, bytes, false);
            keeper_event_fire(tree, KEEPER_EVENT_DELETED, zxid, bytes, acl, TABLES_ALL);
            break;
        case CAIRN_KEEPER_DATA:
            keeper_event_fire(tree, KEEPER_EVENT_DATA, zxid, bytes, acl, TABLES_DATA);
            break;
        case CAIRN_KEEPER_CHILDREN:
            keeper_event_fire(tree, KEEPER_EVENT_CHILDREN, zxid, parent_of(path), parent_acl, TABLES_CHILD);
            break;
        case CAIRN_KEEPER_NODE_ACL:
            acl = bytes;
            continue;
        case CAIRN_KEEPER_PARENT_ACL:
            parent_acl = bytes;
            continue;
        case CAIRN_KEEPER_OPENED:
            session_opened(tree, bytes);
            break;
        case CAIRN_KEEPER_CLOSED:
        case CAIRN_KEEPER_LINGERS:
        case CAIRN_KEEPER_SWEPT:
            told_of_session(tree, what, zxid, bytes);
            break;
        case CAIRN_KEEPER_GONE:
            keeper_list_changed(tree, bytes, false);
            keeper_linger_gone(tree, zxid, bytes, acl, parent_acl);
            break;
        case CAIRN_KEEPER_ZXID:
            zxid = bytes.size == sizeof zxid ? cairn_get_u64(bytes.data) : zxid;
            if (zxid > tree->zxid)
                tree->zxid = zxid;
            continue; /* it is no path */
        case CAIRN_KEEPER_BEGUN:
            keeper_tree_forget(tree);
            break;
        }
        if (bytes.size)
            path = bytes;
    }
    forget_closed(tree);
}

static void committed(struct cairn_worker *worker, struct object *object, const struct invocation *inv,
                      struct overlay *overlay)
{
    struct keeper_tree *tree = keeper_tree_get(keeper_worker_of(worker), inv->type->space);
    struct cairn_bytes changes;

    (void)object;
    if (!tree->loaded || tree->begins) {
        keeper_tree_forget(tree); /* of Tree.begin, or after a start */
        return;
    }
    if (!changes_of(tree, overlay, &changes))
        return;
    take_changes(tree, changes);
    keeper_events_send(tree);
    inbox_flush(worker);
    keeper_collector_wake(worker->node->keeper->collector);
}

static void replaced(struct cairn_worker *worker, struct object *object)
{
    struct keeper_worker *kw = keeper_worker_of(worker);

    keeper_trees_replaced(kw, object);
}

static void over(struct cairn_worker *worker, const struct invocation *inv)
{
    struct keeper_tree *tree = keeper_tree_get(keeper_worker_of(worker), inv->type->space);
    struct keeper_session *session;
    uint64_t number, id;

    if (!tree->loaded) { /* after a start: a heartbeat is over, which may have written nothing */
        keeper_tree_forget(tree);
        return;
    }
    if (!cairn_bytes_equal(inv->method_name, cairn_str("commit")) || !keeper_commit_args(inv->args, &id, &number))
        return;
    session = keeper_session_find(tree, id);
    if (session)
        keeper_session_decided(session, number);
}

/* While the tree is not loaded, or is another than its sessions are of, nothing but its begin: what stands in the
 * mailbox was meant for the tree before. */
static bool admits(struct cairn_worker *worker, const struct invocation *inv)
{
    struct keeper_tree *tree = keeper_tree_get(keeper_worker_of(worker), inv->type->space);

    if ((tree->loaded && !tree->begins) || cairn_bytes_equal(inv->method_name, cairn_str("begin")))
        return true;
    keeper_worker_of(worker)->waiting = true;
    return false;
}

const struct object_tap keeper_tap = {.admits = admits, .committed = committed, .replaced = replaced, .over = over};
