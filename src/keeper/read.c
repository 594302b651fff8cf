#include "keeper/read.h"

#include <stdlib.h>

#include "cairn/keeper_layout.h"
#include "keeper/acl.h"
#include "keeper/answer.h"
#include "keeper/events.h"
#include "keeper/list.h"
#include "keeper/session.h"
#include "keeper/watch.h"

enum {
    E_SYSTEM = -1,
    E_ARGUMENTS = -8,
    E_NO_NODE = -101,
    E_NO_AUTH = -102,
    E_EXPIRED = -112,
    E_MOVED = -118,
    E_NO_WATCHER = -121
};

/* One ask that is being read for. */
struct read {
    struct keeper_tree *tree;
    struct keeper_session *session; /* NULL: a look */
    const struct keeper_ask *ask;
    struct cairn_buf *to;
    bool is_long; /* a list that takes turns */
    /* The watch that is set when all is read. */
    bool sets;
    enum keeper_table table;
    struct cairn_bytes path;
};

/* --- nodes ---------------------------------------------------------------------------------------- */

/* 0: it is there, and may be read. */
static int32_t find(struct read *read, struct cairn_bytes path, uint32_t permissions, struct keeper_node *node)
{
    if (!keeper_node_get(read->tree, path, node))
        return E_NO_NODE;
    return keeper_acl_allows(node->acl, permissions, read->ask->identities) ? 0 : E_NO_AUTH;
}

int32_t keeper_read_find(struct keeper_tree *tree, const struct keeper_ask *ask, struct cairn_bytes path,
                         struct keeper_node *ret_node)
{
    struct read read = {.tree = tree, .ask = ask};

    return find(&read, path, KEEPER_PERM_READ, ret_node);
}

static void add_stat(struct read *read, size_t slot, struct cairn_bytes path, const struct keeper_node *node)
{
    uint8_t stat[KEEPER_STAT_BYTES];

    keeper_node_stat(read->tree, path, node, stat);
    slot_stat(read->to, slot, stat);
}

static void watch(struct read *read, const struct keeper_part *part, enum keeper_table table)
{
    if (!part->watch)
        return;
    read->sets = true;
    read->table = table;
    read->path = part->path;
}

static int32_t exists(struct read *read, const struct keeper_part *part, size_t slot)
{
    struct keeper_node node;

    watch(read, part, TABLE_DATA);
    if (!keeper_node_get(read->tree, part->path, &node))
        return E_NO_NODE;
    add_stat(read, slot, part->path, &node);
    return 0;
}

static int32_t get_data(struct read *read, const struct keeper_part *part, size_t slot)
{
    static const uint8_t nothing;
    struct cairn_bytes data = cairn_bytes(NULL, 0);
    struct keeper_node node;
    int32_t error = find(read, part->path, KEEPER_PERM_READ, &node);

    if (error)
        return error;
    add_stat(read, slot, part->path, &node);
    if (node.is.data == CAIRN_KEEPER_BLOB) {
        watch(read, part, TABLE_DATA);
        slot_blob(read->to, slot, node.hash, node.is.data_bytes);
        return 0;
    }
    if (node.is.data == CAIRN_KEEPER_INLINE)
        data = cairn_bytes(&nothing, 0);
    if (node.is.data == CAIRN_KEEPER_INLINE && node.is.data_bytes && !keeper_node_data(read->tree, part->path, &data))
        return E_SYSTEM;
    watch(read, part, TABLE_DATA);
    slot_data(read->to, slot, data);
    return 0;
}

static int32_t get_acl(struct read *read, const struct keeper_part *part, size_t slot)
{
    struct cairn_buf acl = {0};
    struct keeper_node node;
    int32_t error = find(read, part->path, KEEPER_PERM_READ | KEEPER_PERM_ADMIN, &node);

    if (error)
        return error;
    keeper_acl_show(node.acl, !keeper_acl_allows(node.acl, KEEPER_PERM_ADMIN, read->ask->identities), &acl);
    add_stat(read, slot, part->path, &node);
    slot_acl(read->to, slot, cairn_buf_bytes(&acl));
    cairn_buf_done(&acl);
    return 0;
}

struct listing {
    struct cairn_buf *to;
    size_t slot;
    struct cairn_bytes prefix;
};

static void add_name(void *context, struct cairn_bytes name, bool is_absent)
{
    struct listing *names = context;

    if (!is_absent)
        slot_name(names->to, names->slot, name);
}

static int32_t get_children(struct read *read, const struct keeper_part *part, size_t slot)
{
    struct listing names = {.to = read->to, .slot = slot};
    struct keeper_node node;
    int32_t error = find(read, part->path, KEEPER_PERM_READ, &node);

    if (error)
        return error;
    if (node.is.children > KEEPER_LIST_NAMES && read->ask->op != KEEPER_MULTI_READ) {
        read->is_long = true;
        return 0;
    }
    watch(read, part, TABLE_CHILD);
    add_stat(read, slot, part->path, &node);
    keeper_node_children(read->tree, part->path, cairn_bytes(NULL, 0), UINT32_MAX, add_name, &names);
    return 0;
}

static int32_t count_below(struct read *read, const struct keeper_part *part, size_t slot)
{
    struct keeper_node node;
    int32_t error = find(read, part->path, KEEPER_PERM_READ, &node);

    if (error)
        return error;
    slot_number(read->to, slot, (int32_t)keeper_node_below(read->tree, part->path));
    return 0;
}

static bool add_ephemeral(void *context, struct cairn_bytes key)
{
    struct listing *names = context;
    uint8_t path[NODE_KEY_BYTES_MAX];

    if (key.size > sizeof path)
        return true;
    keeper_node_path(key, path);
    if (key.size >= names->prefix.size &&
        (!names->prefix.size || memcmp(path, names->prefix.data, names->prefix.size) == 0))
        slot_name(names->to, names->slot, cairn_bytes(path, key.size));
    return true;
}

static int32_t get_ephemerals(struct read *read, const struct keeper_part *part, size_t slot)
{
    struct listing names = {read->to, slot, part->path};

    keeper_node_ephemerals(read->tree, read->session->item.key, cairn_bytes(NULL, 0), UINT32_MAX, add_ephemeral,
                           &names);
    return 0;
}

/* --- watches -------------------------------------------------------------------------------------- */

/* Tables that a kind means, those of what fires once first.  The kinds of 3.8 mean a half of a persistent watch, too:
 * but only where there is no other one, as then 3.9 would mean that alone. */
static void tables_of(int32_t kind, unsigned tables[2])
{
    tables[0] = tables[1] = 0;
    switch (kind) {
    case KEEPER_WATCH_CHILDREN:
        tables[0] = 1u << TABLE_CHILD;
        tables[1] = 1u << TABLE_PERSISTENT_CHILD | 1u << TABLE_RECURSIVE_CHILD;
        break;
    case KEEPER_WATCH_DATA:
        tables[0] = 1u << TABLE_DATA;
        tables[1] = 1u << TABLE_PERSISTENT | 1u << TABLE_RECURSIVE;
        break;
    case KEEPER_WATCH_ANY:
        tables[0] = TABLES_ALL;
        break;
    case KEEPER_WATCH_PERSISTENT:
        tables[0] = 1u << TABLE_PERSISTENT | 1u << TABLE_PERSISTENT_CHILD;
        break;
    case KEEPER_WATCH_RECURSIVE:
        tables[0] = 1u << TABLE_RECURSIVE | 1u << TABLE_RECURSIVE_CHILD;
        break;
    }
}

static int32_t some_watches(struct read *read, const struct keeper_part *part, bool removes)
{
    unsigned tables[2];
    bool found = false;

    tables_of(read->ask->kind, tables);
    if (!tables[0])
        return E_ARGUMENTS;
    for (int i = 0; i < 2 && !found; i++)
        for (int table = 0; table < KEEPER_TABLES; table++)
            if (tables[i] & 1u << table)
                found |= removes ? keeper_watch_remove(read->session, table, part->path)
                                 : keeper_watch_has(read->session, table, part->path);
    return found ? 0 : E_NO_WATCHER;
}

/* Both halves, or none. */
static bool set_both(struct keeper_session *session, enum keeper_table table, struct cairn_bytes path)
{
    if (keeper_watch_set(session, table, path) && keeper_watch_set(session, table + 1, path))
        return true;
    keeper_watch_remove(session, table, path);
    return false;
}

/* A mode takes the place of the other one. */
static int32_t add_watch(struct read *read, const struct keeper_part *part)
{
    enum keeper_table table = read->ask->kind ? TABLE_RECURSIVE : TABLE_PERSISTENT,
                      other = read->ask->kind ? TABLE_PERSISTENT : TABLE_RECURSIVE;

    if (read->ask->kind != 0 && read->ask->kind != 1)
        return E_ARGUMENTS;
    for (int half = 0; half < 2; half++)
        keeper_watch_remove(read->session, other + half, part->path);
    return set_both(read->session, table, part->path) ? 0 : E_SYSTEM;
}

/* What happened there since the client has seen it last, or 0; *ret_acl: of the node, if there is one. */
static int happened(struct read *read, int set, struct cairn_bytes path, struct cairn_bytes *ret_acl)
{
    struct keeper_node node;
    bool is_there = keeper_node_get(read->tree, path, &node);
    uint64_t seen = read->ask->zxid_seen, pzxid;

    *ret_acl = is_there ? node.acl : cairn_bytes(NULL, 0);
    switch (set) {
    case KEEPER_SET_DATA_WATCHES:
        return !is_there ? KEEPER_EVENT_DELETED : node.is.mzxid > seen ? KEEPER_EVENT_DATA : 0;
    case KEEPER_SET_EXIST:
        return is_there ? KEEPER_EVENT_CREATED : 0;
    case KEEPER_SET_CHILD:
        if (!is_there)
            return KEEPER_EVENT_DELETED;
        keeper_node_seen(read->tree, path, &node, &pzxid);
        return pzxid > seen ? KEEPER_EVENT_CHILDREN : 0;
    default:
        return 0;
    }
}

static const enum keeper_table tables_of_sets[KEEPER_SET_COUNT] = {TABLE_DATA, TABLE_DATA, TABLE_CHILD,
                                                                   TABLE_PERSISTENT, TABLE_RECURSIVE};

static int32_t set_watches(struct read *read)
{
    int32_t error = 0;

    for (int set = 0; set < KEEPER_SET_COUNT; set++) {
        struct cairn_reader r = cairn_reader(read->ask->watches[set].items);

        for (uint32_t i = 0; i < read->ask->watches[set].count && !r.bad; i++) {
            struct cairn_bytes path = cairn_read_bytes(&r, __builtin_bswap32(cairn_read_u32(&r)));
            struct cairn_bytes acl;
            int event = happened(read, set, path, &acl);

            if (event)
                keeper_event_one(read->session, event, read->tree->zxid, path, acl);
            else if (!(set >= KEEPER_SET_PERSISTENT ? set_both : keeper_watch_set)(read->session, tables_of_sets[set],
                                                                                   path))
                error = E_SYSTEM;
        }
    }
    keeper_events_send(read->tree);
    return error;
}

/* --- looks ---------------------------------------------------------------------------------------- */

static void count_session(struct keeper_item *item, void *context)
{
    const struct keeper_session *session = cairn_container(item, struct keeper_session, item);
    struct keeper_state *state = context;

    state->sessions += !session->closed;
    state->connections += session->linked;
    state->watchers += session->watch_count > 0;
}

static void look_state(struct read *read)
{
    struct keeper_tree *tree = read->tree;
    struct keeper_state state = {.nodes = keeper_field_count(tree, FIELD_NODES),
                                 .ephemerals = keeper_field_count(tree, FIELD_EPHEMERALS),
                                 .watches = tree->watches.count,
                                 .watch_paths = tree->watch_paths.count,
                                 .zxid = tree->zxid,
                                 .expired = tree->expired};
    struct cairn_bytes value;

    if (keeper_field_value(tree, &tree->kw->overlay, FIELD_ZXID, &value) && value.size >= 16)
        state.data_bytes = cairn_get_u64(value.data + 8);
    keeper_map_each(&tree->sessions, count_session, &state);
    answer_state(read->to, &state);
}

struct look {
    struct read *read;
    size_t slot;
};

static void add_number(struct look *look, uint64_t session)
{
    uint8_t number[8];

    cairn_put_be64(number, session);
    slot_name(look->read->to, look->slot, cairn_bytes(number, sizeof number));
}

static bool gather_ephemeral(void *context, struct cairn_bytes key)
{
    struct cairn_buf *to = context;

    keeper_node_path(key, cairn_buf_reserve(to, key.size));
    to->size += key.size;
    cairn_buf_u8(to, 0);
    return true;
}

static void look_session(struct keeper_item *item, void *context)
{
    const struct keeper_session *session = cairn_container(item, struct keeper_session, item);
    uint32_t timeout_ms = __builtin_bswap32(session->timeout_ms);
    struct look *look = context;
    struct cairn_buf paths = {0};

    if (session->closed)
        return;
    add_number(look, item->key);
    slot_name(look->read->to, look->slot, cairn_bytes(&timeout_ms, sizeof timeout_ms));
    keeper_node_ephemerals(look->read->tree, item->key, cairn_bytes(NULL, 0), UINT32_MAX, gather_ephemeral, &paths);
    slot_name(look->read->to, look->slot, cairn_buf_bytes(&paths));
    cairn_buf_done(&paths);
}

static void look_watches(struct keeper_item *item, void *context)
{
    const struct keeper_session *session = cairn_container(item, struct keeper_session, item);
    struct look *look = context;
    struct cairn_buf paths = {0};

    if (!session->watch_count)
        return;
    keeper_watch_paths(session, &paths);
    add_number(look, item->key);
    slot_name(look->read->to, look->slot, cairn_buf_bytes(&paths));
    cairn_buf_done(&paths);
}

/* --- the ask -------------------------------------------------------------------------------------- */

static int32_t read_part(struct read *read, enum keeper_op op, const struct keeper_part *part, size_t slot)
{
    switch (op) {
    case KEEPER_EXISTS:
        return exists(read, part, slot);
    case KEEPER_GET_DATA:
        return get_data(read, part, slot);
    case KEEPER_GET_ACL:
        return get_acl(read, part, slot);
    case KEEPER_GET_CHILDREN:
    case KEEPER_GET_CHILDREN2:
        return get_children(read, part, slot);
    case KEEPER_GET_ALL_CHILDREN_NUMBER:
        return count_below(read, part, slot);
    case KEEPER_GET_EPHEMERALS:
        return get_ephemerals(read, part, slot);
    case KEEPER_SYNC:
        slot_path(read->to, slot, part->path);
        return 0;
    case KEEPER_CHECK_WATCHES:
        return some_watches(read, part, false);
    case KEEPER_REMOVE_WATCHES:
        return some_watches(read, part, true);
    case KEEPER_ADD_WATCH:
        return add_watch(read, part);
    case KEEPER_SET_WATCHES:
        return set_watches(read);
    default:
        return E_ARGUMENTS;
    }
}

/* Of the session's own; the answer's error. */
static int32_t read_all(struct read *read)
{
    const struct keeper_ask *ask = read->ask;
    static const struct keeper_part none;
    int32_t error = 0;

    if (ask->op != KEEPER_MULTI_READ)
        return read_part(read, ask->op, ask->part_count ? ask->parts : &none, answer_slot(read->to, 0));
    for (uint32_t i = 0; i < ask->part_count; i++) {
        size_t slot = answer_slot(read->to, 0);

        error = read_part(read, ask->parts[i].op, &ask->parts[i], slot);
        if (error)
            slot_fail(read->to, slot, error);
    }
    read->sets = false;
    return 0;
}

static void look(struct read *read)
{
    struct look at = {read, 0};

    if (read->ask->op == KEEPER_STATE) {
        look_state(read);
        return;
    }
    at.slot = answer_slot(read->to, 0);
    keeper_map_each(&read->tree->sessions, read->ask->op == KEEPER_SESSIONS ? look_session : look_watches, &at);
}

/* And what the session asks behind it, so that it does not go back. */
static void wait_untold(struct keeper_tree *tree, struct keeper_session *session, struct invocation *inv)
{
    session->waits++;
    cairn_list_push_back(&tree->untold, &inv->link);
}

void keeper_read(struct keeper_tree *tree, struct invocation *inv)
{
    const struct keeper_task *task = inv->request->owner;
    struct read read = {.tree = tree, .ask = task->ask, .to = &inv->result};
    bool looks = task->ask->op == KEEPER_STATE || task->ask->op == KEEPER_SESSIONS || task->ask->op == KEEPER_WATCHES;
    int32_t error;

    keeper_tree_look(tree);
    inv->result.size = 0;
    answer_begin(&inv->result, 0, tree->zxid, tree->epoch);
    if (looks) {
        look(&read);
        keeper_tree_answer(tree, inv);
        return;
    }
    read.session = keeper_session_find(tree, task->session);
    if (!read.session || read.session->closed) {
        keeper_tree_answer_error(tree, inv, E_EXPIRED);
        return;
    }
    if (!read.session->linked || read.session->generation != task->generation) {
        keeper_tree_answer_error(tree, inv, E_MOVED);
        return;
    }
    if (tree->lingering && task->ask->op == KEEPER_SET_WATCHES) { /* it would tell by itself */
        wait_untold(tree, read.session, inv);
        return;
    }
    error = read_all(&read);
    if (tree->saw_untold && tree->kw->overlay.code == CAIRN_OK) {
        wait_untold(tree, read.session, inv);
        return;
    }
    if (read.is_long && tree->kw->overlay.code == CAIRN_OK) {
        keeper_list_begin(read.session, inv);
        return;
    }
    if (read.sets && tree->kw->overlay.code == CAIRN_OK && !keeper_watch_set(read.session, read.table, read.path))
        error = E_SYSTEM;
    keeper_tree_count_read(tree, inv);
    if (error)
        keeper_tree_answer_error(tree, inv, error);
    else
        keeper_tree_answer(tree, inv);
}
