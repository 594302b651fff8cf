/* leader.c - the Tree: gives each transaction its zxid and applies it, in one segment, or leaves nothing.
 *
 * As a failed operation ends the method, and its segment with it, there is nothing to undo, in a multi either.  Nodes
 * of a session that was closed with more nodes than a segment removes are absent from the close on: whatever looks at a
 * node or counts children asks for the sessions that linger, which stand behind the zxid. */
#include "keeper.h"

static const char quota_root[] = "/zookeeper/quota", limits_name[] = "zookeeper_limits",
                  stats_name[] = "zookeeper_stats";

/* --- keys --- */

static uint32_t last_slash(struct cairn_bytes path)
{
    uint32_t at = path.size;

    while (at > 0 && path.data[at - 1] != '/')
        at--;
    return at ? at - 1 : 0;
}

struct cairn_bytes parent_of(struct cairn_bytes path)
{
    uint32_t slash = last_slash(path);

    return cairn_bytes(path.data, slash ? slash : 1);
}

static struct cairn_bytes name_of(struct cairn_bytes path)
{
    uint32_t from = last_slash(path) + 1;

    return cairn_bytes(path.data + from, path.size - from);
}

struct cairn_bytes key_of(struct cairn_bytes path)
{
    uint8_t *key;

    if (path.size == 1)
        return cairn_bytes(path.data, 0);
    key = cairn_alloc(path.size);
    memcpy(key, path.data, path.size);
    key[last_slash(path)] = 0;
    return cairn_bytes(key, path.size);
}

struct cairn_bytes path_of(struct cairn_bytes key)
{
    uint8_t *path = cairn_alloc(key.size ? key.size : 1);

    if (key.size == 0)
        return cairn_str("/");
    for (uint32_t i = 0; i < key.size; i++)
        path[i] = key.data[i] ? key.data[i] : '/';
    return cairn_bytes(path, key.size);
}

struct cairn_bytes key_behind(uint64_t number, uint32_t bytes, struct cairn_bytes key)
{
    uint8_t *to = cairn_alloc(bytes + key.size);

    for (uint32_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
    memcpy(to + bytes, key.data, key.size);
    return cairn_bytes(to, bytes + key.size);
}

/* The path's children lie from here, with `end` 0, to before here, with `end` 1. */
static struct cairn_bytes children_bound(struct cairn_bytes path, uint8_t end)
{
    uint32_t size = path.size == 1 ? 0 : path.size;
    uint8_t *key = cairn_alloc(size + 1);

    memcpy(key, path.data, size);
    key[size] = end;
    return cairn_bytes(key, size + 1);
}

static struct cairn_bytes joined(struct cairn_bytes a, struct cairn_bytes b, struct cairn_bytes c)
{
    struct cairn_pack path = {0};

    cairn_pack_value(&path, a);
    cairn_pack_value(&path, b);
    cairn_pack_value(&path, c);
    return cairn_packed(&path);
}

/* --- sessions that linger --- */

static struct cairn_keeper_closing closing_at(const struct txn *t, uint32_t i)
{
    struct cairn_keeper_closing closing;

    memcpy(&closing, t->closing.data + i * sizeof closing, sizeof closing);
    return closing;
}

static uint32_t closing_count(const struct txn *t)
{
    return t->closing.size / sizeof(struct cairn_keeper_closing);
}

static uint64_t closing_zxid(const struct txn *t, uint64_t session)
{
    for (uint32_t i = 0; i < closing_count(t); i++)
        if (closing_at(t, i).session == session)
            return closing_at(t, i).zxid;
    return 0;
}

void closing_add(struct txn *t, uint64_t session)
{
    struct cairn_keeper_closing closing = {session, t->zxid};

    cairn_pack_value(&t->closing, cairn_bytes(&closing, sizeof closing));
}

void closing_drop(struct txn *t, uint64_t session)
{
    struct cairn_pack left = {0};

    for (uint32_t i = 0; i < closing_count(t); i++) {
        struct cairn_keeper_closing closing = closing_at(t, i);

        if (closing.session != session)
            cairn_pack_value(&left, cairn_bytes(&closing, sizeof closing));
    }
    t->closing = left;
}

/* --- transactions --- */

static void txn_read(struct txn *t)
{
    struct cairn_bytes value = {0};

    t->now = cairn_now();
    if (!cairn_get(Tree_zxid, &value))
        return;
    memcpy(&t->before, value.data, 8);
    cairn_pack_value(&t->closing, cairn_bytes(value.data + 8, value.size - 8));
}

void txn_begin(struct txn *t, uint64_t session, uint64_t number, uint64_t epoch)
{
    *t = (struct txn){0};
    txn_read(t);
    t->zxid = t->last = epoch > t->before >> 32 ? epoch << 32 | 1 : t->before + 1;
    changes_begin(t, session, number);
}

bool txn_begin_late(struct txn *t, uint64_t session)
{
    *t = (struct txn){0};
    txn_read(t);
    t->zxid = closing_zxid(t, session);
    t->last = t->before;
    changes_begin(t, session, 0);
    return t->zxid != 0;
}

void reap_timer(void)
{
    struct cairn_bytes key, value;
    uint64_t due = 0;

    if (!cairn_ordered_first(Tree_reap, &key, &value))
        return;
    for (int i = 0; i < 6; i++)
        due = due << 8 | key.data[i];
    cairn_timer_set("reap", (int64_t)due, "heartbeat", NULL);
}

void txn_end(struct txn *t)
{
    cairn_set(Tree_zxid, joined(cairn_bytes(&t->last, 8), cairn_packed(&t->closing), cairn_bytes(0, 0)));
    cairn_set(Tree_changes, cairn_packed(&t->changes));
    if (t->reap)
        reap_timer();
}

void txn_fail(const struct txn *t, enum error error)
{
    cairn_fail("zk", cairn_text("%d %u %llu", (int32_t)error, t->index, t->before));
    cairn_exit();
}

/* [zxid, slot...] */
static void result_slots(const struct txn *t, const struct cairn_pack *slots, uint32_t count)
{
    struct cairn_pack result = {0};

    cairn_pack_list(&result, 1 + count);
    cairn_pack_int(&result, (int64_t)t->zxid);
    cairn_pack_value(&result, cairn_packed(slots));
    cairn_result_packed(cairn_packed(&result));
}

/* --- nodes --- */

bool node_find(struct cairn_bytes key, struct node *ret)
{
    struct cairn_bytes value;
    uint32_t behind = sizeof ret->is;

    if (!cairn_ordered_get(Tree_nodes, key, &value))
        return false;
    ret->key = key;
    memcpy(&ret->is, value.data, sizeof ret->is);
    ret->hash = cairn_bytes(value.data + behind, ret->is.data == CAIRN_KEEPER_BLOB ? CAIRN_KEEPER_HASH_BYTES : 0);
    behind += ret->hash.size;
    ret->acl = cairn_bytes(value.data + behind, value.size - behind);
    return true;
}

void node_put(const struct node *node)
{
    cairn_ordered_set(Tree_nodes, node->key, joined(cairn_bytes(&node->is, sizeof node->is), node->hash, node->acl));
}

/* Those that clients see. */
static bool node_get(const struct txn *t, struct cairn_bytes path, struct node *ret)
{
    return node_find(key_of(path), ret) && !closing_zxid(t, ret->is.owner);
}

uint32_t node_children(const struct txn *t, const struct node *node, uint64_t *ret_pzxid)
{
    uint32_t children = node->is.children;
    uint64_t pzxid = node->is.pzxid;

    for (uint32_t i = 0; i < closing_count(t); i++) {
        struct cairn_keeper_closing closing = closing_at(t, i);
        struct cairn_bytes path = path_of(node->key);
        uint64_t absent =
            cairn_ordered_count_range(Tree_ephemerals, key_behind(closing.session, 8, children_bound(path, 0)),
                                      key_behind(closing.session, 8, children_bound(path, 1)));

        if (absent > 0 && node->is.czxid < closing.zxid) {
            children -= (uint32_t)absent;
            pzxid = pzxid < closing.zxid ? closing.zxid : pzxid;
        }
    }
    if (ret_pzxid)
        *ret_pzxid = pzxid;
    return children;
}

static void put_big(uint8_t **to, uint64_t integer, uint32_t bytes)
{
    for (; bytes > 0; bytes--)
        *(*to)++ = (uint8_t)(integer >> 8 * (bytes - 1));
}

static void pack_stat(struct cairn_pack *to, const struct txn *t, const struct node *node)
{
    const struct cairn_keeper_node *is = &node->is;
    uint64_t pzxid;
    uint32_t children = node_children(t, node, &pzxid);
    uint8_t stat[68], *at = stat;

    put_big(&at, is->czxid, 8);
    put_big(&at, is->mzxid, 8);
    put_big(&at, (uint64_t)is->ctime, 8);
    put_big(&at, (uint64_t)is->mtime, 8);
    put_big(&at, is->version, 4);
    put_big(&at, (uint32_t)cairn_keeper_cversion(is, children), 4);
    put_big(&at, is->aversion, 4);
    put_big(&at, is->owner, 8);
    put_big(&at, is->data_bytes, 4);
    put_big(&at, children, 4);
    put_big(&at, pzxid, 8);
    cairn_pack_bytes(to, cairn_bytes(stat, sizeof stat));
}

/* Data as an argument has it. */
static uint32_t data_bytes(struct cairn_bytes arg)
{
    uint32_t bytes;

    if (arg.size < 1 || arg.data[0] != CAIRN_KEEPER_BLOB)
        return arg.size > 1 ? arg.size - 1 : 0;
    memcpy(&bytes, arg.data + 1, 4);
    return bytes;
}

static void data_put(struct node *node, struct cairn_bytes arg)
{
    bool had = node->is.data == CAIRN_KEEPER_INLINE && node->is.data_bytes > 0;

    node->is.data = arg.size ? arg.data[0] : CAIRN_KEEPER_NULL;
    node->is.data_bytes = data_bytes(arg);
    node->hash = cairn_bytes(arg.data + 5, node->is.data == CAIRN_KEEPER_BLOB ? CAIRN_KEEPER_HASH_BYTES : 0);
    if (node->is.data == CAIRN_KEEPER_INLINE && node->is.data_bytes > 0)
        cairn_map_set(Tree_data, node->key, cairn_bytes(arg.data + 1, arg.size - 1));
    else if (had)
        cairn_map_remove(Tree_data, node->key);
}

void reap_add(struct txn *t, int64_t due_ms, struct cairn_bytes key)
{
    struct cairn_bytes at = key_behind((uint64_t)due_ms, 6, key);

    if (cairn_ordered_has(Tree_reap, at))
        return;
    cairn_ordered_set(Tree_reap, at, cairn_bytes(0, 0));
    t->reap = t->reap || cairn_ordered_rank(Tree_reap, at) == 0;
}

/* --- quotas ---
 *
 * /zookeeper/quota/P/zookeeper_limits has the limits of P as text, zookeeper_stats what is used.  Of several that a
 * path is below the nearest counts alone.  What is used changes without a version, and nobody is told. */

struct quota {
    int64_t count, bytes, count_hard, bytes_hard; /* -1: none */
};

static struct cairn_bytes quota_path(struct cairn_bytes top, const char *name)
{
    return joined(cairn_str(quota_root), top, joined(cairn_str("/"), cairn_str(name), cairn_bytes(0, 0)));
}

/* "/a" of "/zookeeper/quota/a/NAME"; empty: it is no such path. */
static struct cairn_bytes quota_top(struct cairn_bytes path, const char *name)
{
    struct cairn_bytes parent = parent_of(path);
    uint32_t root = sizeof quota_root - 1;

    if (parent.size <= root || memcmp(parent.data, quota_root, root) || !cairn_equal(name_of(path), cairn_str(name)))
        return cairn_bytes(0, 0);
    return cairn_bytes(parent.data + root, parent.size - root);
}

/* Where a quota stands that the path is below; empty: there is none. */
static struct cairn_bytes quota_above(struct cairn_bytes path)
{
    if (cairn_map_count(Tree_quotas) > 0)
        for (; path.size > 1; path = parent_of(path))
            if (cairn_map_has(Tree_quotas, path))
                return path;
    return cairn_bytes(0, 0);
}

/* "count=5,bytes=-1=;byteHardLimit=100;countHardLimit=7": false if there is no such node. */
static bool quota_read(struct cairn_bytes path, struct quota *ret)
{
    static const char *const names[] = {"count", "bytes", "countHardLimit", "byteHardLimit"};
    int64_t *values[] = {&ret->count, &ret->bytes, &ret->count_hard, &ret->bytes_hard};
    struct cairn_bytes text = {0}, key = key_of(path), part[2];

    *ret = (struct quota){-1, -1, -1, -1};
    if (!cairn_map_get(Tree_data, key, &text))
        return cairn_ordered_has(Tree_nodes, key);
    for (uint32_t at = 0, field = 0, from = 0; at <= text.size; at++) {
        uint8_t c = at < text.size ? text.data[at] : ';';

        if (c != '=' && c != ',' && c != ';')
            continue;
        if (field < 2)
            part[field] = cairn_bytes(text.data + from, at - from);
        from = at + 1;
        if (c == '=') {
            field++;
            continue;
        }
        for (int i = 0; i < 4 && field > 0; i++)
            if (cairn_equal(part[0], cairn_str(names[i])) && !cairn_parse_int(part[1], values[i]))
                *values[i] = -1;
        field = 0;
    }
    return true;
}

/* The first byte is CAIRN_KEEPER_INLINE. */
static void quota_write(struct cairn_bytes path, int64_t count, int64_t bytes)
{
    struct cairn_bytes text = cairn_str(cairn_text("\1count=%lld,bytes=%lld", count, bytes));
    struct node node;

    if (node_find(key_of(path), &node)) {
        data_put(&node, text);
        node_put(&node);
    }
}

static bool quota_passed(int64_t limit, int64_t hard, int64_t used, int64_t more)
{
    int64_t most = hard > -1 ? hard : limit;

    return more != 0 && most > -1 && used + more > most;
}

/* Ends the method if what is written passes a hard limit; of a soft one the log tells. */
static void quota_check(const struct txn *t, struct cairn_bytes path, int64_t count, int64_t bytes)
{
    struct cairn_bytes top = quota_above(path);
    struct quota limit, used;
    bool counts, sizes;

    if (top.size == 0 || !quota_read(quota_path(top, limits_name), &limit) ||
        !quota_read(quota_path(top, stats_name), &used))
        return;
    counts = quota_passed(limit.count, limit.count_hard, used.count, count);
    sizes = quota_passed(limit.bytes, limit.bytes_hard, used.bytes, bytes);
    if ((counts && limit.count_hard > -1) || (sizes && limit.bytes_hard > -1))
        txn_fail(t, E_QUOTA);
    if (counts || sizes)
        cairn_log(CAIRN_WARNING, "quota of %b: %lld nodes and %lld bytes, and this adds %lld and %lld", top, used.count,
                  used.bytes, count, bytes);
}

static void quota_used(struct cairn_bytes path, int64_t count, int64_t bytes)
{
    struct cairn_bytes top = quota_above(path), stats;
    struct quota used;

    if (top.size == 0)
        return;
    stats = quota_path(top, stats_name);
    if (quota_read(stats, &used))
        quota_write(stats, used.count + count, used.bytes + bytes);
}

/* What is at `top` and below it. */
static void quota_count(struct cairn_bytes top)
{
    struct cairn_bytes below = joined(top, cairn_str("/"), cairn_bytes(0, 0));
    struct cairn_ordered_iter iters[] = {
        cairn_ordered_range(Tree_nodes, children_bound(top, 0), children_bound(top, 1), UINT64_MAX),
        cairn_ordered_prefix(Tree_nodes, below, UINT64_MAX)};
    struct cairn_keeper_node is;
    struct node node;
    int64_t count = 0, bytes = 0;

    if (node_find(key_of(top), &node)) {
        count = 1;
        bytes = node.is.data_bytes;
        for (int i = 0; i < 2; i++)
            for (; cairn_ordered_next(&iters[i]); count++) {
                memcpy(&is, iters[i].value.data, sizeof is);
                bytes += is.data_bytes;
            }
    }
    quota_write(quota_path(top, stats_name), count, bytes);
}

/* --- operations --- */

struct operation {
    enum op op;
    struct cairn_bytes path, data, acl;
    int32_t flags, version;
    int64_t ttl;
};

/* Argument i and those behind it; returns which is behind them. */
static uint32_t operation_read(const struct txn *t, uint32_t i, enum op op, struct operation *ret)
{
    bool creates = op == OP_CREATE || op == OP_CREATE2 || op == OP_CREATE_CONTAINER || op == OP_CREATE_TTL;

    *ret = (struct operation){.op = op, .path = cairn_arg(i++), .ttl = -1};
    if (creates || op == OP_SET_DATA)
        ret->data = cairn_arg(i++);
    if (creates || op == OP_SET_ACL)
        ret->acl = cairn_arg(i++);
    if (creates)
        ret->flags = (int32_t)arg_uint(i++, 4);
    else
        ret->version = (int32_t)arg_uint(i++, 4);
    if (op == OP_CREATE_TTL)
        ret->ttl = (int64_t)arg_uint(i++, 8);
    if (ret->path.size == 0 || ret->path.size > CAIRN_KEEPER_PATH_BYTES_MAX)
        txn_fail(t, E_ARGUMENTS);
    return i;
}

static void need(const struct txn *t, const struct node *node, enum perm perm)
{
    if (!acl_allows(node->acl, t->identities, perm))
        txn_fail(t, E_NO_AUTH);
}

/* As a node keeps it. */
static struct cairn_bytes need_acl(const struct txn *t, struct cairn_bytes acl)
{
    if (acl.size == 0)
        txn_fail(t, E_ACL);
    return cairn_equal(acl, cairn_bytes(acl_open, sizeof acl_open)) ? cairn_bytes(0, 0) : acl;
}

static void get(const struct txn *t, struct cairn_bytes path, struct node *ret)
{
    if (!node_get(t, path, ret))
        txn_fail(t, E_NO_NODE);
}

/* -1: any. */
static void need_version(const struct txn *t, uint32_t is, int32_t version)
{
    if (version != -1 && version != (int32_t)is)
        txn_fail(t, E_VERSION);
}

static uint64_t owner_of_new(const struct txn *t, const struct operation *o, uint64_t session)
{
    bool ttl = o->flags == 5 || o->flags == 6;

    if (o->flags < 0 || o->flags > 6 || ttl != (o->op == OP_CREATE_TTL) ||
        (ttl && (o->ttl < 1 || o->ttl >= (int64_t)1 << 40)))
        txn_fail(t, E_ARGUMENTS);
    if (ttl)
        return (uint64_t)0xff << 56 | (uint64_t)o->ttl;
    if (o->op == OP_CREATE_CONTAINER)
        return CAIRN_KEEPER_CONTAINER;
    return o->flags == 1 || o->flags == 3 ? session : 0;
}

/* Ten digits, and past 2^31 what a 32-bit number becomes. */
static struct cairn_bytes with_sequence(struct cairn_bytes path, int32_t creates)
{
    uint32_t left = creates < 0 ? 0 - (uint32_t)creates : (uint32_t)creates;
    uint8_t digits[10];

    for (int i = 9; i >= 0; i--, left /= 10)
        digits[i] = (uint8_t)('0' + left % 10);
    if (creates < 0)
        digits[0] = '-';
    return joined(path, cairn_bytes(digits, sizeof digits), cairn_bytes(0, 0));
}

static void do_create(struct txn *t, const struct operation *o, uint64_t session, struct cairn_pack *slots)
{
    uint64_t owner = owner_of_new(t, o, session);
    struct cairn_bytes path = o->path, parent_path = parent_of(path), acl = need_acl(t, o->acl), top;
    struct node parent, node;

    get(t, parent_path, &parent);
    need(t, &parent, PERM_CREATE);
    if (o->flags == 2 || o->flags == 3 || o->flags == 6)
        path = with_sequence(path, (int32_t)parent.is.creates);
    if (path.size > CAIRN_KEEPER_PATH_BYTES_MAX)
        txn_fail(t, E_ARGUMENTS);
    if (node_find(key_of(path), &node)) {
        if (!closing_zxid(t, node.is.owner))
            txn_fail(t, E_EXISTS);
        node_remove(t, &node, closing_zxid(t, node.is.owner), true);
        get(t, parent_path, &parent);
    }
    if (cairn_keeper_is_ephemeral(parent.is.owner))
        txn_fail(t, E_EPHEMERAL_PARENT);
    quota_check(t, path, 1, data_bytes(o->data));

    node = (struct node){.key = key_of(path), .acl = acl};
    node.is = (struct cairn_keeper_node){
        .czxid = t->zxid, .mzxid = t->zxid, .pzxid = t->zxid, .ctime = t->now, .mtime = t->now, .owner = owner};
    data_put(&node, o->data);
    node_put(&node);
    if (cairn_keeper_is_ephemeral(owner))
        cairn_ordered_set(Tree_ephemerals, key_behind(owner, 8, node.key), cairn_bytes(0, 0));
    if (cairn_keeper_is_ttl(owner))
        reap_add(t, reap_due(&node.is), node.key);
    parent.is.creates++;
    parent.is.children++;
    parent.is.pzxid = t->zxid;
    node_put(&parent);

    cairn_pack_list(slots, 2);
    cairn_pack_bytes(slots, path);
    pack_stat(slots, t, &node);
    changes_created(t, path);
    if ((top = quota_top(path, limits_name)).size)
        cairn_map_set(Tree_quotas, top, cairn_bytes(0, 0));
    if ((top = quota_top(path, stats_name)).size)
        quota_count(top);
    quota_used(path, 1, node.is.data_bytes);
}

void node_remove(struct txn *t, const struct node *node, uint64_t zxid, bool gone)
{
    struct cairn_bytes path = path_of(node->key), top = quota_top(path, limits_name);
    struct node parent;

    cairn_ordered_remove(Tree_nodes, node->key);
    if (node->is.data == CAIRN_KEEPER_INLINE && node->is.data_bytes > 0)
        cairn_map_remove(Tree_data, node->key);
    if (cairn_keeper_is_ephemeral(node->is.owner))
        cairn_ordered_remove(Tree_ephemerals, key_behind(node->is.owner, 8, node->key));
    if (cairn_keeper_is_ttl(node->is.owner))
        cairn_ordered_remove(Tree_reap, key_behind((uint64_t)reap_due(&node->is), 6, node->key));
    if (node_find(key_of(parent_of(path)), &parent) && parent.is.czxid <= zxid) { /* else the node was none of its */
        parent.is.children--;
        parent.is.pzxid = parent.is.pzxid < zxid ? zxid : parent.is.pzxid;
        node_put(&parent);
        if (parent.is.children == 0 && parent.is.owner == CAIRN_KEEPER_CONTAINER)
            reap_add(t, (t->now / 60000 + 1) * 60000, parent.key);
        if (parent.is.children == 0 && cairn_keeper_is_ttl(parent.is.owner))
            reap_add(t, reap_due(&parent.is), parent.key);
    }
    if (top.size)
        cairn_map_remove(Tree_quotas, top);
    quota_used(path, -1, -(int64_t)node->is.data_bytes);
    if (gone)
        changes_gone(t, path);
    else
        changes_deleted(t, path);
}

static void do_delete(struct txn *t, const struct operation *o)
{
    static const char *const kept[] = {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};
    struct node parent, node;

    for (int i = 0; i < 4; i++)
        if (cairn_equal(o->path, cairn_str(kept[i])))
            txn_fail(t, E_ARGUMENTS);
    get(t, parent_of(o->path), &parent);
    need(t, &parent, PERM_DELETE);
    get(t, o->path, &node);
    need_version(t, node.is.version, o->version);
    if (node_children(t, &node, NULL) > 0)
        txn_fail(t, E_NOT_EMPTY);
    node_remove(t, &node, t->zxid, false);
}

static void do_set_data(struct txn *t, const struct operation *o, struct cairn_pack *slots)
{
    struct node node;
    int64_t more;

    get(t, o->path, &node);
    need(t, &node, PERM_WRITE);
    more = (int64_t)data_bytes(o->data) - node.is.data_bytes;
    quota_check(t, o->path, 0, more);
    need_version(t, node.is.version, o->version);
    if (cairn_keeper_is_ttl(node.is.owner) &&
        cairn_ordered_remove(Tree_reap, key_behind((uint64_t)reap_due(&node.is), 6, node.key))) {
        node.is.mtime = t->now;
        reap_add(t, reap_due(&node.is), node.key);
    }
    data_put(&node, o->data);
    node.is.version++;
    node.is.mzxid = t->zxid;
    node.is.mtime = t->now;
    node_put(&node);
    cairn_pack_list(slots, 1);
    pack_stat(slots, t, &node);
    quota_used(o->path, 0, more);
    changes_data(t, o->path);
}

static void do_set_acl(struct txn *t, const struct operation *o, struct cairn_pack *slots)
{
    struct cairn_bytes acl = need_acl(t, o->acl);
    struct node node;

    get(t, o->path, &node);
    need(t, &node, PERM_ADMIN);
    need_version(t, node.is.aversion, o->version);
    node.is.aversion++;
    node.acl = acl;
    node_put(&node);
    cairn_pack_list(slots, 1);
    pack_stat(slots, t, &node);
}

static void do_check(const struct txn *t, const struct operation *o)
{
    struct node node;

    get(t, o->path, &node);
    need(t, &node, PERM_READ);
    need_version(t, node.is.version, o->version);
}

/* The arguments from i on; returns which is behind them. */
static uint32_t apply(struct txn *t, uint32_t i, enum op op, uint64_t session, struct cairn_pack *slots)
{
    struct operation o;

    i = operation_read(t, i, op, &o);
    switch (op) {
    case OP_DELETE:
        do_delete(t, &o);
        cairn_pack_list(slots, 0);
        break;
    case OP_SET_DATA:
        do_set_data(t, &o, slots);
        break;
    case OP_SET_ACL:
        do_set_acl(t, &o, slots);
        break;
    case OP_CHECK:
        do_check(t, &o);
        cairn_pack_list(slots, 0);
        break;
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
        do_create(t, &o, session, slots);
        break;
    default:
        txn_fail(t, E_UNIMPLEMENTED);
    }
    return i;
}

/* commit SESSION NUMBER EPOCH OP IDENTITIES ...: [zxid, slot...] */
CAIRN_METHOD(Tree, commit, CAIRN_INTERNAL)
{
    uint64_t session = arg_uint(0, 8);
    enum op op = (enum op)arg_uint(3, 4);
    uint32_t count = cairn_arg_count(), i = 5;
    struct cairn_keeper_session entry;
    struct cairn_pack slots = {0};
    struct cairn_bytes value;
    struct txn t;

    txn_begin(&t, session, arg_uint(1, 8), arg_uint(2, 8));
    t.identities = cairn_arg(4);
    if (cairn_ordered_get(Tree_sessions, key_behind(session, 8, cairn_bytes(0, 0)), &value))
        memcpy(&entry, value.data, sizeof entry);
    else
        entry.state = CAIRN_KEEPER_CLOSING;
    if (entry.state != CAIRN_KEEPER_OPEN)
        txn_fail(&t, E_EXPIRED);
    if (op != OP_MULTI) {
        apply(&t, i, op, session, &slots);
        t.index = 1;
    } else {
        for (; i < count; t.index++) {
            op = (enum op)arg_uint(i, 4);
            if (op == OP_SET_ACL)
                txn_fail(&t, E_UNIMPLEMENTED);
            i = apply(&t, i + 1, op, session, &slots);
        }
    }
    txn_end(&t);
    result_slots(&t, &slots, t.index);
}

/* open SESSION TIMEOUT EPOCH: [zxid] */
CAIRN_METHOD(Tree, open, CAIRN_INTERNAL)
{
    struct cairn_keeper_session entry = {.timeout_ms = (uint32_t)arg_uint(1, 4)};
    uint64_t session = arg_uint(0, 8);
    struct cairn_bytes key = key_behind(session, 8, cairn_bytes(0, 0));
    struct cairn_pack none = {0};
    struct txn t;

    if (!cairn_keeper_is_ephemeral(session) || cairn_ordered_has(Tree_sessions, key)) {
        cairn_fail("bad_argument", "a session's number is 1 to 2^56 - 1, and it is opened once");
        return;
    }
    txn_begin(&t, session, 0, arg_uint(2, 8));
    if (cairn_ordered_count(Tree_sessions) == 0)
        cairn_timer_every("heartbeat", CAIRN_KEEPER_HEARTBEAT_MS, "heartbeat", NULL);
    cairn_ordered_set(Tree_sessions, key, cairn_bytes(&entry, sizeof entry));
    changes_opened(&t, session, entry.timeout_ms);
    txn_end(&t);
    result_slots(&t, &none, 0);
}
