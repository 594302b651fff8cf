#include "keeper/linger.h"

#include <stdlib.h>

#include "keeper/events.h"
#include "keeper/session.h"
#include "keeper/watch.h"

enum { NODES_A_TURN = 64 };

/* One that is being told of, in worker->turns. */
struct keeper_linger {
    struct message message;         /* first */
    struct keeper_session *session; /* NULL: there is nothing to tell any more */
    size_t size;                    /* of the key up to which all are told */
    uint8_t key[NODE_KEY_BYTES_MAX];
};

static struct cairn_bytes parent_of(struct cairn_bytes path)
{
    size_t parent = path.size;

    while (parent > 1 && path.data[parent - 1] != '/')
        parent--;
    return cairn_bytes(path.data, parent > 1 ? parent - 1 : 1);
}

static void tell(struct keeper_tree *tree, uint64_t zxid, struct cairn_bytes path, struct cairn_bytes acl,
                 struct cairn_bytes parent_acl)
{
    keeper_event_fire(tree, KEEPER_EVENT_DELETED, zxid, path, acl, TABLES_ALL);
    keeper_event_fire(tree, KEEPER_EVENT_CHILDREN, zxid, parent_of(path), parent_acl, TABLES_CHILD);
}

static void over(struct keeper_session *session)
{
    struct keeper_tree *tree = session->tree;
    struct cairn_link all, *l;

    session->linger->session = NULL;
    session->linger = NULL;
    tree->lingering--;
    cairn_list_init(&all);
    while ((l = cairn_list_pop_front(&tree->untold)))
        cairn_list_push_back(&all, l);
    while ((l = cairn_list_pop_front(&all))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);
        uint64_t number = ((const struct keeper_task *)inv->request->owner)->session;
        struct keeper_session *waits = keeper_session_find(tree, number);

        if (waits && waits->waits)
            waits->waits--;
        inv->message.receive(tree->kw->worker, &inv->message);
        waits = keeper_session_find(tree, number);
        if (waits)
            keeper_session_decided(waits, 0);
    }
}

/* Of a node that is there still. */
static void tell_absent(struct keeper_session *session, struct cairn_bytes path)
{
    struct cairn_bytes acl = cairn_bytes(NULL, 0), parent_acl = acl;
    struct keeper_tree *tree = session->tree;

    if (keeper_node_acl(tree, path, &acl) && keeper_node_acl(tree, parent_of(path), &parent_acl))
        tell(tree, session->closed_zxid, path, acl, parent_acl);
}

struct telling {
    struct keeper_linger *linger;
    uint32_t count;
};

static bool each(void *context, struct cairn_bytes key)
{
    struct telling *turn = context;
    struct keeper_linger *linger = turn->linger;
    uint8_t path[NODE_KEY_BYTES_MAX];

    if (key.size > sizeof path)
        return true;
    memcpy(linger->key, key.data, key.size);
    linger->size = key.size;
    keeper_node_path(key, path);
    tell_absent(linger->session, cairn_bytes(path, key.size));
    turn->count++;
    return true;
}

static void take_turn(struct cairn_worker *worker, struct message *message)
{
    struct keeper_linger *linger = (struct keeper_linger *)message;
    struct keeper_session *session = linger->session;
    struct telling turn = {.linger = linger};

    if (!session) {
        free(linger);
        return;
    }
    keeper_tree_look(session->tree);
    keeper_node_ephemerals(session->tree, session->item.key, cairn_bytes(linger->key, linger->size), NODES_A_TURN, each,
                           &turn);
    keeper_events_send(session->tree);
    if (turn.count == NODES_A_TURN) {
        worker_await_turn(worker, message);
        return;
    }
    over(session);
    free(linger);
}

static void drop(struct cairn_worker *worker, struct message *message)
{
    struct keeper_linger *linger = (struct keeper_linger *)message;

    (void)worker;
    if (linger->session)
        linger->session->linger = NULL;
    free(linger);
}

void keeper_linger_begin(struct keeper_session *session)
{
    struct keeper_tree *tree = session->tree;
    struct keeper_linger *linger;
    uint32_t watches = 0;

    for (int table = 0; table < KEEPER_TABLES; table++)
        watches += tree->tables[table];
    if (!watches || session->linger)
        return; /* a read that sets one from now on sees that they are absent */
    linger = cairn_alloc_zeroed(1, sizeof *linger);
    linger->message.receive = take_turn;
    linger->message.drop = drop;
    linger->session = session;
    session->linger = linger;
    tree->lingering++;
    worker_await_turn(tree->kw->worker, &linger->message);
}

void keeper_linger_end(struct keeper_session *session)
{
    if (session->linger)
        over(session);
}

void keeper_linger_gone(struct keeper_tree *tree, uint64_t zxid, struct cairn_bytes path, struct cairn_bytes acl,
                        struct cairn_bytes parent_acl)
{
    uint8_t bytes[NODE_KEY_BYTES_MAX];
    struct cairn_bytes key;
    bool told = true;

    if (!tree->lingering || path.size > sizeof bytes)
        return;
    key = cairn_bytes(bytes, keeper_node_key(path, bytes));
    for (struct cairn_link *l = tree->closing.next; l != &tree->closing; l = l->next) {
        const struct keeper_session *session = cairn_container(l, struct keeper_session, closing);

        if (session->linger && cairn_bytes_compare(key, cairn_bytes(session->linger->key, session->linger->size)) > 0)
            told = false;
    }
    if (!told)
        tell(tree, zxid, path, acl, parent_acl);
}
