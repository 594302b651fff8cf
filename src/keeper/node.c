#include "keeper/node.h"

#include "keeper/tree.h"

static const char *const field_names[KEEPER_FIELDS] = {"nodes", "data",    "sessions", "ephemerals",
                                                       "zxid",  "lineage", "changes",  "blobs"};

static const enum cairn_field_kind field_kinds[KEEPER_FIELDS] = {
    CAIRN_FIELD_ORDERED, CAIRN_FIELD_MAP,   CAIRN_FIELD_ORDERED, CAIRN_FIELD_ORDERED,
    CAIRN_FIELD_VALUE,   CAIRN_FIELD_VALUE, CAIRN_FIELD_VALUE,   CAIRN_FIELD_ORDERED,
};

bool keeper_view_bind(struct keeper_view *view, const struct type *type)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < type->entry->field_count; i++)
        for (int f = 0; f < KEEPER_FIELDS; f++)
            if (cairn_bytes_equal(type->entry->fields[i].name, cairn_str(field_names[f])) &&
                type->entry->fields[i].kind == field_kinds[f]) {
                view->fields[f] = type->entry->fields[i].number;
                found |= 1u << f;
            }
    return found == (1u << KEEPER_FIELDS) - 1;
}

/* --- keys ------------------------------------------------------------------------------------- */

size_t keeper_node_key(struct cairn_bytes path, uint8_t to[NODE_KEY_BYTES_MAX])
{
    size_t slash = path.size;

    if (path.size <= 1)
        return 0;
    memcpy(to, path.data, path.size);
    while (slash > 0 && to[slash - 1] != '/')
        slash--;
    if (slash)
        to[slash - 1] = 0;
    return path.size;
}

void keeper_node_path(struct cairn_bytes key, uint8_t *to)
{
    memcpy(to, key.data, key.size);
    for (size_t i = key.size; i-- > 0;)
        if (to[i] == 0) {
            to[i] = '/';
            return;
        }
}

/* The keys of the children of `path` lie from `low` to before `high`, behind `prefix`; those further below of `low` and
 * `high` with '/' and '0'. */
struct bounds {
    uint8_t low[8 + NODE_KEY_BYTES_MAX + 1], high[8 + NODE_KEY_BYTES_MAX + 1];
    size_t size;
};

static void bounds_of(struct bounds *bounds, struct cairn_bytes prefix, struct cairn_bytes path, uint8_t from)
{
    struct cairn_bytes stem = path.size <= 1 ? cairn_bytes(NULL, 0) : path;

    if (prefix.size)
        memcpy(bounds->low, prefix.data, prefix.size);
    if (stem.size)
        memcpy(bounds->low + prefix.size, stem.data, stem.size);
    bounds->size = prefix.size + stem.size + 1;
    memcpy(bounds->high, bounds->low, bounds->size - 1);
    bounds->low[bounds->size - 1] = from;
    bounds->high[bounds->size - 1] = (uint8_t)(from + 1);
}

static void map_of(struct keeper_tree *tree, enum keeper_field field, struct ordered *map)
{
    ordered_init(map, &tree->kw->overlay, tree->view.incarnation, tree->view.fields[field]);
}

static uint64_t rank_range(const struct ordered *map, const struct bounds *bounds)
{
    return tree_rank(&map->tree, cairn_bytes(bounds->high, bounds->size), false) -
           tree_rank(&map->tree, cairn_bytes(bounds->low, bounds->size), false);
}

/* --- what is absent --------------------------------------------------------------------------- */

/* The closed session that owns it; NULL: it is there. */
static const struct keeper_session *gone_with(struct keeper_tree *tree, uint64_t owner)
{
    if (!owner || cairn_list_empty(&tree->closing))
        return NULL;
    for (struct cairn_link *l = tree->closing.next; l != &tree->closing; l = l->next) {
        const struct keeper_session *session = cairn_container(l, struct keeper_session, closing);

        if (session->item.key == owner) {
            tree->saw_untold |= session->linger != NULL;
            return session;
        }
    }
    return NULL;
}

static struct cairn_bytes session_prefix(uint64_t session, uint8_t to[8])
{
    cairn_put_be64(to, session);
    return cairn_bytes(to, 8);
}

/* How many of the nodes in the bounds of `from` are of sessions that were closed, behind `czxid`. */
static uint64_t absent_in(struct keeper_tree *tree, struct cairn_bytes path, uint8_t from, uint64_t czxid,
                          uint64_t *ret_zxid)
{
    uint64_t sum = 0, zxid = 0;
    struct ordered map;
    uint8_t prefix[8];
    struct bounds bounds;

    if (cairn_list_empty(&tree->closing))
        return 0;
    map_of(tree, FIELD_EPHEMERALS, &map);
    for (struct cairn_link *l = tree->closing.next; l != &tree->closing; l = l->next) {
        const struct keeper_session *session = cairn_container(l, struct keeper_session, closing);
        uint64_t count;

        if (session->closed_zxid < czxid)
            continue;
        bounds_of(&bounds, session_prefix(session->item.key, prefix), path, from);
        count = rank_range(&map, &bounds);
        tree->saw_untold |= count && session->linger;
        if (count && session->closed_zxid > zxid)
            zxid = session->closed_zxid;
        sum += count;
    }
    if (ret_zxid && zxid > *ret_zxid)
        *ret_zxid = zxid;
    return sum;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static bool decode(struct cairn_bytes record, struct keeper_node *node)
{
    struct cairn_reader r = cairn_reader(record);
    struct cairn_bytes is = cairn_read_bytes(&r, sizeof node->is);

    if (is.size == sizeof node->is)
        memcpy(&node->is, is.data, sizeof node->is);
    else
        node->is = (struct cairn_keeper_node){0};
    node->hash = node->is.data == CAIRN_KEEPER_BLOB ? cairn_read_bytes(&r, CAIRN_KEEPER_HASH_BYTES).data : NULL;
    node->acl = cairn_read_bytes(&r, cairn_reader_left(&r));
    return !r.bad;
}

static bool record_get(struct keeper_tree *tree, struct cairn_bytes path, struct cairn_bytes *ret_record)
{
    uint8_t node_key[NODE_KEY_BYTES_MAX], key[FIELD_KEY_FIXED_MAX + NODE_KEY_BYTES_MAX];
    struct cairn_bytes k = cairn_bytes(node_key, keeper_node_key(path, node_key));

    k = cairn_bytes(key, key_ordered_value(key, tree->view.incarnation, tree->view.fields[FIELD_NODES], k));
    return overlay_get(&tree->kw->overlay, k, ret_record);
}

bool keeper_node_get(struct keeper_tree *tree, struct cairn_bytes path, struct keeper_node *node)
{
    struct cairn_bytes record;

    if (path.size > KEEPER_PATH_BYTES_MAX || !record_get(tree, path, &record))
        return false;
    if (!decode(record, node)) {
        tree->kw->overlay.code =
            cairn_fail(&tree->kw->overlay.err, CAIRN_ECORRUPT, "the record of the node %.*s is damaged", (int)path.size,
                       (const char *)path.data);
        return false;
    }
    return !gone_with(tree, node->is.owner);
}

bool keeper_node_acl(struct keeper_tree *tree, struct cairn_bytes path, struct cairn_bytes *ret_acl)
{
    struct cairn_bytes record;
    struct keeper_node node;

    if (path.size > KEEPER_PATH_BYTES_MAX || !record_get(tree, path, &record) || !decode(record, &node))
        return false;
    *ret_acl = node.acl;
    return true;
}

bool keeper_node_data(struct keeper_tree *tree, struct cairn_bytes path, struct cairn_bytes *ret_data)
{
    uint8_t node_key[NODE_KEY_BYTES_MAX], key[FIELD_KEY_FIXED_MAX + NODE_KEY_BYTES_MAX];
    struct cairn_bytes k = cairn_bytes(node_key, keeper_node_key(path, node_key)), entry;
    struct cairn_reader r;

    k = cairn_bytes(key, key_map_entry(key, tree->view.incarnation, tree->view.fields[FIELD_DATA], k));
    if (!overlay_get(&tree->kw->overlay, k, &entry))
        return false;
    r = cairn_reader(entry);
    cairn_read_varint(&r); /* its place */
    *ret_data = cairn_read_bytes(&r, cairn_reader_left(&r));
    return !r.bad;
}

static uint8_t *put_be(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        to[i] = (uint8_t)value;
    return to + bytes;
}

uint32_t keeper_node_seen(struct keeper_tree *tree, struct cairn_bytes path, const struct keeper_node *node,
                          uint64_t *ret_pzxid)
{
    *ret_pzxid = node->is.pzxid;
    return node->is.children - (uint32_t)absent_in(tree, path, 0, node->is.czxid, ret_pzxid);
}

void keeper_node_stat(struct keeper_tree *tree, struct cairn_bytes path, const struct keeper_node *node,
                      uint8_t to[KEEPER_STAT_BYTES])
{
    const struct cairn_keeper_node *is = &node->is;
    uint64_t pzxid;
    uint32_t children = keeper_node_seen(tree, path, node, &pzxid);

    to = put_be(to, is->czxid, 8);
    to = put_be(to, is->mzxid, 8);
    to = put_be(to, (uint64_t)is->ctime, 8);
    to = put_be(to, (uint64_t)is->mtime, 8);
    to = put_be(to, is->version, 4);
    to = put_be(to, (uint32_t)cairn_keeper_cversion(is, children), 4);
    to = put_be(to, is->aversion, 4);
    to = put_be(to, cairn_keeper_owner(is), 8);
    to = put_be(to, is->data_bytes, 4);
    to = put_be(to, children, 4);
    put_be(to, pzxid, 8);
}

/* --- ranges ----------------------------------------------------------------------------------- */

struct walk {
    struct cairn_taker taker; /* first */
    size_t skip;              /* bytes of each key */
    uint32_t count;
    void (*each)(void *context, struct cairn_bytes name, bool is_absent);
    void *context;
    bool checks; /* some nodes are absent */
    struct keeper_tree *tree;
};

static bool take_name(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct walk *walk = (struct walk *)taker;
    struct keeper_node node;
    bool is_absent = walk->checks && decode(value, &node) && gone_with(walk->tree, node.is.owner);

    walk->count++;
    walk->each(walk->context, cairn_bytes(key.data + walk->skip, key.size - walk->skip), is_absent);
    return true;
}

uint32_t keeper_node_children(struct keeper_tree *tree, struct cairn_bytes path, struct cairn_bytes after,
                              uint32_t want, void (*each)(void *context, struct cairn_bytes name, bool is_absent),
                              void *context)
{
    struct walk walk = {.taker = {.take = take_name, .want = want, .keys_only = cairn_list_empty(&tree->closing)},
                        .checks = !cairn_list_empty(&tree->closing),
                        .each = each,
                        .context = context,
                        .tree = tree};
    uint8_t from[NODE_KEY_BYTES_MAX + 1 + KEEPER_PATH_BYTES_MAX];
    struct cairn_range range = {0};
    struct bounds bounds;
    struct ordered map;

    map_of(tree, FIELD_NODES, &map);
    bounds_of(&bounds, cairn_bytes(NULL, 0), path, 0);
    walk.skip = bounds.size;
    range.low = cairn_bytes(bounds.low, bounds.size);
    range.high = cairn_bytes(bounds.high, bounds.size);
    if (after.size) {
        memcpy(from, bounds.low, bounds.size);
        memcpy(from + bounds.size, after.data, after.size);
        range.low = cairn_bytes(from, bounds.size + after.size);
        range.above_low = true;
    }
    ordered_read(&map, &range, &walk.taker);
    return walk.count;
}

uint64_t keeper_node_below(struct keeper_tree *tree, struct cairn_bytes path)
{
    uint64_t count;
    struct bounds bounds;
    struct ordered map;

    if (path.size <= 1) {
        count = keeper_field_count(tree, FIELD_NODES) - 1;
    } else {
        map_of(tree, FIELD_NODES, &map);
        bounds_of(&bounds, cairn_bytes(NULL, 0), path, 0);
        count = rank_range(&map, &bounds);
        bounds_of(&bounds, cairn_bytes(NULL, 0), path, '/');
        count += rank_range(&map, &bounds);
    }
    return count - absent_in(tree, path, 0, 0, NULL) - absent_in(tree, path, '/', 0, NULL);
}

struct ephemeral_walk {
    struct cairn_taker taker; /* first */
    bool (*each)(void *context, struct cairn_bytes key);
    void *context;
};

static bool take_ephemeral(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct ephemeral_walk *walk = (struct ephemeral_walk *)taker;

    (void)value;
    return key.size <= 8 || walk->each(walk->context, cairn_bytes(key.data + 8, key.size - 8));
}

void keeper_node_ephemerals(struct keeper_tree *tree, uint64_t session, struct cairn_bytes after, uint32_t want,
                            bool (*each)(void *context, struct cairn_bytes key), void *context)
{
    struct ephemeral_walk walk = {
        .taker = {.take = take_ephemeral, .want = want, .keys_only = true}, .each = each, .context = context};
    uint8_t low[8 + NODE_KEY_BYTES_MAX], high[8];
    struct cairn_range range = {.low = session_prefix(session, low), .high = session_prefix(session + 1, high)};
    struct ordered map;

    if (after.size && after.size <= NODE_KEY_BYTES_MAX) {
        memcpy(low + 8, after.data, after.size);
        range.low.size += after.size;
        range.above_low = true;
    }
    map_of(tree, FIELD_EPHEMERALS, &map);
    ordered_read(&map, &range, &walk.taker);
}

/* --- fields ----------------------------------------------------------------------------------- */

uint64_t keeper_field_count(struct keeper_tree *tree, enum keeper_field field)
{
    struct object *object = keeper_tree_object(tree);
    struct container *container =
        header_container(&tree->kw->overlay.arena, &object->header, tree->view.fields[field], false);

    return container ? container->count : 0;
}

bool keeper_field_value(struct keeper_tree *tree, struct overlay *overlay, enum keeper_field field,
                        struct cairn_bytes *ret_value)
{
    uint8_t key[FIELD_KEY_FIXED_MAX];

    return overlay_get(overlay, cairn_bytes(key, key_field(key, tree->view.incarnation, tree->view.fields[field])),
                       ret_value);
}

struct session_walk {
    struct cairn_taker taker; /* first */
    void (*each)(void *context, uint64_t number, const struct cairn_keeper_session *session);
    void *context;
};

static bool take_session(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct session_walk *walk = (struct session_walk *)taker;
    struct cairn_keeper_session session;

    if (key.size != 8 || value.size != sizeof session)
        return true;
    memcpy(&session, value.data, sizeof session);
    walk->each(walk->context, cairn_get_be64(key.data), &session);
    return true;
}

void keeper_node_sessions(struct keeper_tree *tree,
                          void (*each)(void *context, uint64_t number, const struct cairn_keeper_session *session),
                          void *context)
{
    struct session_walk walk = {.taker = {.take = take_session, .want = UINT32_MAX}, .each = each, .context = context};
    struct cairn_range all = {.no_high = true};
    struct ordered map;

    map_of(tree, FIELD_SESSIONS, &map);
    ordered_read(&map, &all, &walk.taker);
}
