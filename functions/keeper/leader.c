/* leader.c - the Tree: gives each transaction its zxid and applies it, in one segment, or leaves nothing.
 *
 * What a session sends at once is one segment, of several transactions.  An operation that fails returns its error.  If
 * its transaction had written nothing, that is all; else the whole segment is undone, and done again without it.  Nodes
 * of a session that was closed with more of them than a segment removes are absent from the close on: hence
 * closing_zxid. */
#include "keeper.h"

#define TRY(call)          \
    do {                   \
        int32_t e_ = call; \
        if (e_)            \
            return e_;     \
    } while (0)

static bool wrote; /* since the transaction began */

static const char quota_root[] = "/zookeeper/quota", limits_name[] = "zookeeper_limits",
                  stats_name[] = "zookeeper_stats";

/* --- keys --- */

static struct cairn_bytes joined(struct cairn_bytes a, struct cairn_bytes b, struct cairn_bytes c)
{
    struct cairn_pack path = {0};

    cairn_pack_value(&path, a);
    cairn_pack_value(&path, b);
    cairn_pack_value(&path, c);
    return cairn_packed(&path);
}

static uint32_t last_slash(struct cairn_bytes path)
{
    uint32_t at = path.size - 1;

    while (at > 0 && path.data[at] != '/')
        at--;
    return at;
}

struct cairn_bytes parent_of(struct cairn_bytes path)
{
    uint32_t slash = last_slash(path);

    return cairn_bytes(path.data, slash ? slash : 1);
}

struct cairn_bytes key_of(struct cairn_bytes path)
{
    struct cairn_bytes key = joined(path, none, none);

    ((uint8_t *)key.data)[last_slash(path)] = 0;
    return path.size == 1 ? none : key;
}

struct cairn_bytes path_of(struct cairn_bytes key)
{
    struct cairn_bytes path = joined(key, none, none);

    for (uint32_t i = 0; i < key.size; i++)
        if (key.data[i] == 0)
            ((uint8_t *)path.data)[i] = '/';
    return key.size ? path : cairn_str("/");
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
    return joined(path.size == 1 ? none : path, cairn_bytes(&end, 1), none);
}

/* --- transactions --- */

void txn_begin(struct txn *t, uint64_t session, uint64_t number, uint64_t epoch)
{
    struct cairn_bytes value = none;

    *t = (struct txn){.session = session, .now = cairn_now()};
    if (cairn_get(Tree_zxid, &value)) {
        memcpy(&t->before, value.data, 8);
        memcpy(&t->bytes, value.data + 8, 8);
        value = cairn_bytes(value.data + 16, value.size - 16);
    }
    t->closing = cairn_alloc(value.size + sizeof *t->closing);
    t->closing_count = value.size / sizeof *t->closing;
    memcpy(t->closing, value.data, value.size);
    t->zxid = t->last = epoch > t->before >> 32 ? epoch << 32 | 1 : t->before + 1;
    changes_begin(t, session, number);
}

uint64_t closing_zxid(const struct txn *t, uint64_t session)
{
    for (uint32_t i = 0; i < t->closing_count; i++)
        if (t->closing[i].session == session)
            return t->closing[i].zxid;
    return 0;
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
    uint32_t closing_bytes = t->closing_count * (uint32_t)sizeof *t->closing;

    cairn_set(Tree_zxid,
              joined(cairn_bytes(&t->last, 8), cairn_bytes(&t->bytes, 8), cairn_bytes(t->closing, closing_bytes)));
    cairn_set(Tree_changes, cairn_packed(&t->changes));
    if (t->reap)
        reap_timer();
}

void txn_result(uint64_t zxid)
{
    struct cairn_pack result = {0};

    cairn_pack_list(&result, 1);
    cairn_pack_int(&result, (int64_t)zxid);
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
    wrote = true;
    cairn_ordered_set(Tree_nodes, node->key, joined(cairn_bytes(&node->is, sizeof node->is), node->hash, node->acl));
}

uint32_t node_children(const struct txn *t, const struct node *node, uint64_t *ret_pzxid)
{
    uint32_t children = node->is.children;
    uint64_t pzxid = node->is.pzxid;

    for (const struct cairn_keeper_closing *c = t->closing; c < t->closing + t->closing_count; c++) {
        struct cairn_bytes path = path_of(node->key), low = key_behind(c->session, 8, children_bound(path, 0));
        uint64_t absent =
            cairn_ordered_count_range(Tree_ephemerals, low, key_behind(c->session, 8, children_bound(path, 1)));

        if (absent > 0 && node->is.czxid < c->zxid) {
            children -= (uint32_t)absent;
            pzxid = pzxid < c->zxid ? c->zxid : pzxid;
        }
    }
    if (ret_pzxid)
        *ret_pzxid = pzxid;
    return children;
}

static uint8_t *put(uint8_t *to, uint64_t value, uint32_t bytes)
{
    value = __builtin_bswap64(value << (64 - 8 * bytes));
    memcpy(to, &value, bytes);
    return to + bytes;
}

static void pack_stat(struct cairn_pack *to, const struct txn *t, const struct node *node)
{
    const struct cairn_keeper_node *is = &node->is;
    uint64_t pzxid, children = node_children(t, node, &pzxid);
    uint8_t stat[68], *at = stat;

    at = put(put(at, is->czxid, 8), is->mzxid, 8);
    at = put(put(at, (uint64_t)is->ctime, 8), (uint64_t)is->mtime, 8);
    at = put(put(put(at, is->version, 4), 2 * (uint64_t)is->creates - children, 4), is->aversion, 4);
    at = put(put(at, cairn_keeper_owner(is), 8), is->data_bytes, 4);
    put(put(at, children, 4), pzxid, 8);
    cairn_pack_bytes(to, cairn_bytes(stat, sizeof stat));
}

/* What quotas use changes without a transaction, so nothing below them counts. */
static void bytes_add(struct txn *t, struct cairn_bytes path, int64_t bytes)
{
    if (path.size < sizeof quota_root || memcmp(path.data, quota_root, sizeof quota_root - 1))
        t->bytes += bytes;
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

static struct cairn_bytes blob_key(const struct node *node)
{
    return joined(cairn_bytes(node->hash.data, 8), node->key, none);
}

static void data_put(struct node *node, struct cairn_bytes arg)
{
    bool had = node->is.data == CAIRN_KEEPER_INLINE && node->is.data_bytes > 0;

    if (node->is.data == CAIRN_KEEPER_BLOB)
        cairn_ordered_remove(Tree_blobs, blob_key(node));
    node->is.data = arg.size ? arg.data[0] : CAIRN_KEEPER_NULL;
    node->is.data_bytes = data_bytes(arg);
    node->hash = cairn_bytes(arg.data + 5, node->is.data == CAIRN_KEEPER_BLOB ? CAIRN_KEEPER_HASH_BYTES : 0);
    if (node->is.data == CAIRN_KEEPER_BLOB)
        cairn_ordered_set(Tree_blobs, blob_key(node), none);
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
    cairn_ordered_set(Tree_reap, at, none);
    t->reap = t->reap || cairn_ordered_rank(Tree_reap, at) == 0;
}

/* --- quotas ---
 *
 * /zookeeper/quota/P/zookeeper_limits has the limits of P as text, zookeeper_stats what is used.  Of several that a
 * path is below the nearest counts alone.  What is used changes without a version, and no watcher is told.
 *
 * As zookeeper_stats is created what is there is counted, QUOTA_NODES_A_TURN at a time, in the order of keys; which key
 * is next stands in Tree.quotas under '=' and P.  A change below that key is added to what is used; one above it is
 * not, as the turns will come to it. */

enum { QUOTA_NODES_A_TURN = 1000 };

struct quota {
    int64_t count, bytes, count_hard, bytes_hard; /* -1: none */
};

static struct cairn_bytes quota_path(struct cairn_bytes top, const char *name)
{
    return joined(cairn_str(quota_root), top, joined(cairn_str("/"), cairn_str(name), none));
}

/* "/a" of "/zookeeper/quota/a/NAME"; empty: it is no such path. */
static struct cairn_bytes quota_top(struct cairn_bytes path, const char *name)
{
    uint32_t root = sizeof quota_root - 1, size = (uint32_t)strlen(name) + 1;

    if (path.size <= root + size || memcmp(path.data, quota_root, root) || path.data[path.size - size] != '/' ||
        memcmp(path.data + path.size - size + 1, name, size - 1))
        return none;
    return cairn_bytes(path.data + root, path.size - root - size);
}

static int quotas; /* whether there are any: -1 no, 1 there may be; 0: it has not been asked yet */

/* Where a quota stands that the path is below; empty: there is none. */
static struct cairn_bytes quota_above(struct cairn_bytes path)
{
    if (quotas == 0)
        quotas = cairn_map_count(Tree_quotas) > 0 ? 1 : -1;
    if (quotas > 0)
        for (; path.size > 1; path = parent_of(path))
            if (cairn_map_has(Tree_quotas, path))
                return path;
    return none;
}

/* Of "count=5,bytes=-1=;byteHardLimit=100;countHardLimit=7"; -1 if it is not there. */
static int64_t quota_value(struct cairn_bytes text, const char *name)
{
    uint32_t size = (uint32_t)strlen(name), end;
    int64_t value;

    for (uint32_t at = 0; at + size < text.size; at++) {
        if ((at > 0 && text.data[at - 1] != ',' && text.data[at - 1] != ';') || text.data[at + size] != '=' ||
            memcmp(text.data + at, name, size) != 0)
            continue;
        for (end = at += size + 1; end < text.size && (text.data[end] == '-' || text.data[end] - '0' < 10u);)
            end++;
        return cairn_parse_int(cairn_bytes(text.data + at, end - at), &value) ? value : -1;
    }
    return -1;
}

/* False if there is no such node. */
static bool quota_read(struct cairn_bytes path, struct quota *ret)
{
    struct cairn_bytes text = {0}, key = key_of(path);
    bool has_data = cairn_map_get(Tree_data, key, &text);

    *ret = (struct quota){quota_value(text, "count"), quota_value(text, "bytes"), quota_value(text, "countHardLimit"),
                          quota_value(text, "byteHardLimit")};
    return has_data || cairn_ordered_has(Tree_nodes, key);
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

static int32_t quota_check_one(struct cairn_bytes top, int64_t soft, int64_t hard, int64_t will)
{
    if (hard > -1 && will > hard)
        return E_QUOTA;
    if (hard <= -1 && soft > -1 && will > soft)
        cairn_log(CAIRN_WARNING, "quota of %b: %lld, and the soft limit is %lld", top, will, soft);
    return 0;
}

/* An error if what is written passes a hard limit; of a soft one the log tells. */
static int32_t quota_check(struct cairn_bytes path, int64_t count, int64_t bytes)
{
    struct cairn_bytes top = quota_above(path);
    struct quota limit, used;

    if (top.size == 0 || !quota_read(quota_path(top, limits_name), &limit) ||
        !quota_read(quota_path(top, stats_name), &used))
        return 0;
    if (count != 0)
        TRY(quota_check_one(top, limit.count, limit.count_hard, used.count + count));
    return bytes == 0 ? 0 : quota_check_one(top, limit.bytes, limit.bytes_hard, used.bytes + bytes);
}

static struct cairn_bytes counting_of(struct cairn_bytes top)
{
    return joined(cairn_str("="), top, none);
}

static void quota_add(struct cairn_bytes top, int64_t count, int64_t bytes)
{
    struct cairn_bytes stats = quota_path(top, stats_name);
    struct quota used;

    if (quota_read(stats, &used))
        quota_write(stats, used.count + count, used.bytes + bytes);
}

static void quota_used(struct cairn_bytes path, int64_t count, int64_t bytes)
{
    struct cairn_bytes top = quota_above(path), next;

    if (top.size && (!cairn_map_get(Tree_quotas, counting_of(top), &next) || cairn_equal(path, top) ||
                     cairn_compare(key_of(path), next) < 0))
        quota_add(top, count, bytes);
}

static void quota_begin(struct cairn_bytes top)
{
    struct node node;
    bool is_there = node_find(key_of(top), &node);

    quota_write(quota_path(top, stats_name), is_there, is_there ? node.is.data_bytes : 0);
    cairn_map_set(Tree_quotas, counting_of(top), children_bound(top, 0));
    quota_count(top);
}

void quota_count(struct cairn_bytes top)
{
    struct cairn_bytes next = none, end = joined(top, cairn_str("0"), none); /* '0' is behind '/' */
    struct cairn_ordered_iter it;
    int64_t looked = 0, count = 0, bytes = 0;
    struct node node;

    if (!cairn_map_get(Tree_quotas, counting_of(top), &next))
        return; /* it is done, or nothing to count for any more */
    for (it = cairn_ordered_range(Tree_nodes, next, end, QUOTA_NODES_A_TURN); cairn_ordered_next(&it); looked++) {
        next = joined(it.key, cairn_bytes("", 1), none);
        if (it.key.data[top.size] != 0 && it.key.data[top.size] != '/')
            continue; /* a neighbour: its name begins like this one */
        memcpy(&node.is, it.value.data, sizeof node.is);
        bytes += node.is.data_bytes;
        count++;
    }
    quota_add(top, count, bytes);
    if (looked < QUOTA_NODES_A_TURN) {
        cairn_map_remove(Tree_quotas, counting_of(top));
        return;
    }
    cairn_map_set(Tree_quotas, counting_of(top), next);
    tell_self("count", top, none);
}

/* --- operations --- */

struct operation {
    int32_t op;
    struct cairn_bytes path, data, acl;
    int32_t flags, version;
    int64_t ttl;
};

/* Argument i and those behind it; returns which is behind them. */
static uint32_t operation_read(uint32_t i, struct operation *ret)
{
    int32_t op = (int32_t)arg_uint(i, 4);

    *ret = (struct operation){.op = op, .path = cairn_arg(i + 1), .ttl = -1};
    i += 2;
    if (is_create(op) || op == OP_SET_DATA)
        ret->data = cairn_arg(i++);
    if (is_create(op) || op == OP_SET_ACL)
        ret->acl = cairn_arg(i++);
    if (is_create(op))
        ret->flags = (int32_t)arg_uint(i++, 4);
    else
        ret->version = (int32_t)arg_uint(i++, 4);
    if (op == OP_CREATE_TTL)
        ret->ttl = (int64_t)arg_uint(i++, 8);
    return i;
}

/* As a node keeps it. */
static struct cairn_bytes kept_acl(struct cairn_bytes acl)
{
    return cairn_equal(acl, cairn_bytes(acl_open, sizeof acl_open)) ? none : acl;
}

/* The node that clients see, and that the connection may use for it; 0: for anything. */
static int32_t get(const struct txn *t, struct cairn_bytes path, int32_t perm, struct node *ret)
{
    if (!node_find(key_of(path), ret) || closing_zxid(t, ret->is.owner))
        return E_NO_NODE;
    return perm && !acl_allows(ret->acl, t->identities, perm) ? E_NO_AUTH : 0;
}

static int32_t check_version(uint32_t is, int32_t version)
{
    return version != -1 && version != (int32_t)is ? E_VERSION : 0;
}

static int32_t owner_of_new(const struct operation *o, uint64_t session, uint64_t *ret)
{
    bool ttl = o->flags == 5 || o->flags == 6;

    if (o->flags < 0 || o->flags > 6 || ttl != (o->op == OP_CREATE_TTL) ||
        (ttl && (o->ttl < 1 || o->ttl >= (int64_t)1 << 40)))
        return E_ARGUMENTS;
    *ret = o->flags == 1 || o->flags == 3 ? session : 0;
    if (ttl)
        *ret = (uint64_t)0xff << 56 | (uint64_t)o->ttl;
    if (o->op == OP_CREATE_CONTAINER)
        *ret = CAIRN_KEEPER_CONTAINER;
    return 0;
}

/* Ten digits, and past 2^31 what a 32-bit number becomes. */
static struct cairn_bytes with_sequence(struct cairn_bytes path, int32_t creates)
{
    uint32_t minus = creates < 0, width = 10 - minus;
    struct cairn_bytes digits = cairn_str(cairn_text("%u", minus ? 0 - (uint32_t)creates : (uint32_t)creates));

    width = digits.size < width ? width - digits.size : 0;
    return joined(path, cairn_bytes(&"-000000000"[!minus], minus + width), digits);
}

static int32_t do_create(struct txn *t, const struct operation *o, struct cairn_pack *slots)
{
    uint64_t owner = 0;
    struct cairn_bytes path = o->path, parent_path = parent_of(path), top;
    struct node parent, node;

    TRY(owner_of_new(o, t->session, &owner));
    TRY(o->acl.size ? 0 : E_ACL);
    TRY(get(t, parent_path, PERM_CREATE, &parent));
    if (o->flags == 2 || o->flags == 3 || o->flags == 6)
        path = with_sequence(path, (int32_t)parent.is.creates);
    if (path.size > CAIRN_KEEPER_PATH_BYTES_MAX)
        return E_ARGUMENTS;
    if (node_find(key_of(path), &node)) {
        if (!closing_zxid(t, node.is.owner))
            return E_EXISTS;
        node_remove(t, &node, closing_zxid(t, node.is.owner), true);
        TRY(get(t, parent_path, 0, &parent));
    }
    if (cairn_keeper_is_ephemeral(parent.is.owner))
        return E_EPHEMERAL_PARENT;
    TRY(quota_check(path, 1, data_bytes(o->data)));
    node = (struct node){.key = key_of(path), .acl = kept_acl(o->acl)};
    node.is = (struct cairn_keeper_node){
        .czxid = t->zxid, .mzxid = t->zxid, .pzxid = t->zxid, .ctime = t->now, .mtime = t->now, .owner = owner};
    data_put(&node, o->data);
    node_put(&node);
    if (cairn_keeper_is_ephemeral(owner))
        cairn_ordered_set(Tree_ephemerals, key_behind(owner, 8, node.key), none);
    if (cairn_keeper_is_ttl(owner))
        reap_add(t, cairn_keeper_due(&node.is), node.key);
    parent.is.creates++;
    parent.is.children++;
    parent.is.pzxid = t->zxid;
    node_put(&parent);
    cairn_pack_list(slots, 2);
    cairn_pack_bytes(slots, path);
    pack_stat(slots, t, &node);
    changes_node(t, CAIRN_KEEPER_CREATED, &node, parent.acl);
    if ((top = quota_top(path, limits_name)).size) {
        cairn_map_set(Tree_quotas, top, none);
        quotas = 1;
    }
    if ((top = quota_top(path, stats_name)).size)
        quota_begin(top);
    quota_used(path, 1, node.is.data_bytes);
    bytes_add(t, path, (int64_t)path.size + node.is.data_bytes);
    return 0;
}

void node_remove(struct txn *t, const struct node *node, uint64_t zxid, bool gone)
{
    struct cairn_bytes path = path_of(node->key), top = quota_top(path, limits_name);
    struct node parent = {0}, was = *node;

    wrote = true;
    cairn_ordered_remove(Tree_nodes, node->key);
    data_put(&was, none);
    if (cairn_keeper_is_ephemeral(node->is.owner))
        cairn_ordered_remove(Tree_ephemerals, key_behind(node->is.owner, 8, node->key));
    if (cairn_keeper_is_ttl(node->is.owner))
        cairn_ordered_remove(Tree_reap, key_behind((uint64_t)cairn_keeper_due(&node->is), 6, node->key));
    if (node_find(key_of(parent_of(path)), &parent) && parent.is.czxid <= zxid) { /* else the node was none of its */
        parent.is.children--;
        parent.is.pzxid = parent.is.pzxid < zxid ? zxid : parent.is.pzxid;
        node_put(&parent);
        if (parent.is.children == 0 && parent.is.owner >> 63)
            reap_add(t,
                     cairn_keeper_is_ttl(parent.is.owner) ? cairn_keeper_due(&parent.is) : (t->now / 60000 + 1) * 60000,
                     parent.key);
    }
    if (top.size)
        cairn_map_remove(Tree_quotas, top);
    if ((top = quota_top(path, stats_name)).size)
        cairn_map_remove(Tree_quotas, counting_of(top));
    quota_used(path, -1, -(int64_t)node->is.data_bytes);
    bytes_add(t, path, -(int64_t)path.size - node->is.data_bytes);
    changes_node(t, gone ? CAIRN_KEEPER_GONE : CAIRN_KEEPER_DELETED, node, parent.acl);
}

static int32_t do_delete(struct txn *t, const struct operation *o, struct cairn_pack *slots)
{
    static const char *const kept[] = {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};
    struct node parent, node;

    for (int i = 0; i < 4; i++)
        if (cairn_equal(o->path, cairn_str(kept[i])))
            return E_ARGUMENTS;
    TRY(get(t, parent_of(o->path), PERM_DELETE, &parent));
    TRY(get(t, o->path, 0, &node));
    TRY(check_version(node.is.version, o->version));
    if (node_children(t, &node, NULL) > 0)
        return E_NOT_EMPTY;
    node_remove(t, &node, t->zxid, false);
    cairn_pack_list(slots, 0);
    return 0;
}

static int32_t do_set_data(struct txn *t, const struct operation *o, struct cairn_pack *slots)
{
    struct node node;
    int64_t more;
    bool reaps;

    TRY(get(t, o->path, PERM_WRITE, &node));
    more = (int64_t)data_bytes(o->data) - node.is.data_bytes;
    TRY(quota_check(o->path, 0, more));
    TRY(check_version(node.is.version, o->version));
    reaps = cairn_keeper_is_ttl(node.is.owner) &&
            cairn_ordered_remove(Tree_reap, key_behind((uint64_t)cairn_keeper_due(&node.is), 6, node.key));
    data_put(&node, o->data);
    node.is.version++;
    node.is.mzxid = t->zxid;
    node.is.mtime = t->now;
    node_put(&node);
    if (reaps)
        reap_add(t, cairn_keeper_due(&node.is), node.key);
    cairn_pack_list(slots, 1);
    pack_stat(slots, t, &node);
    quota_used(o->path, 0, more);
    bytes_add(t, o->path, more);
    changes_node(t, CAIRN_KEEPER_DATA, &node, none);
    return 0;
}

static int32_t do_set_acl(struct txn *t, const struct operation *o, struct cairn_pack *slots)
{
    struct node node;

    TRY(o->acl.size ? 0 : E_ACL);
    TRY(get(t, o->path, PERM_ADMIN, &node));
    TRY(check_version(node.is.aversion, o->version));
    node.is.aversion++;
    node.acl = kept_acl(o->acl);
    node_put(&node);
    cairn_pack_list(slots, 1);
    pack_stat(slots, t, &node);
    return 0;
}

static int32_t do_check(const struct txn *t, const struct operation *o, struct cairn_pack *slots)
{
    struct node node;

    TRY(get(t, o->path, PERM_READ, &node));
    TRY(check_version(node.is.version, o->version));
    cairn_pack_list(slots, 0);
    return 0;
}

static int32_t apply(struct txn *t, const struct operation *o, bool multi, struct cairn_pack *slots)
{
    if (multi && o->op == OP_SET_ACL)
        return E_UNIMPLEMENTED;
    if (o->path.size == 0 || o->path.size > CAIRN_KEEPER_PATH_BYTES_MAX)
        return E_ARGUMENTS;
    if (is_create(o->op))
        return do_create(t, o, slots);
    if (o->op == OP_SET_DATA)
        return do_set_data(t, o, slots);
    if (o->op == OP_SET_ACL)
        return do_set_acl(t, o, slots);
    if (o->op == OP_DELETE)
        return do_delete(t, o, slots);
    return o->op == OP_CHECK ? do_check(t, o, slots) : E_UNIMPLEMENTED;
}

struct failure {
    int32_t error;
    uint32_t part;
};

/* The transaction whose arguments are i and those behind it, unless it has failed; returns which is behind them. */
static uint32_t transact(struct txn *t, uint32_t i, struct failure *failure, struct cairn_pack *results)
{
    uint32_t parts = (uint32_t)arg_uint(i++, 4), count = parts + (parts == 0), size = results->size;
    struct operation o;

    wrote = false;
    cairn_pack_list(results, 1 + count);
    cairn_pack_int(results, (int64_t)t->zxid);
    for (uint32_t part = 0; part < count; part++) {
        i = operation_read(i, &o);
        if (!failure->error && (failure->error = apply(t, &o, parts > 0, results)) != 0)
            failure->part = part;
    }
    if (failure->error) {
        results->size = size;
        cairn_pack_error(results, cairn_str("zk"),
                         cairn_str(cairn_text("%d %u %llu", failure->error, failure->part, t->last)));
    } else {
        t->last = t->zxid++;
    }
    return i;
}

bool session_is_open(uint64_t session, struct cairn_keeper_session *ret)
{
    struct cairn_bytes value;

    if (!cairn_ordered_get(Tree_sessions, key_behind(session, 8, none), &value))
        return false;
    memcpy(ret, value.data, sizeof *ret);
    return ret->state == CAIRN_KEEPER_OPEN;
}

/* commit SESSION NUMBER EPOCH IDENTITIES COUNT {PARTS {OP ...}}: as Session.write */
CAIRN_METHOD(Tree, commit, CAIRN_INTERNAL)
{
    uint32_t count = (uint32_t)arg_uint(4, 4), i = 5, done = 0, bytes = count * (uint32_t)sizeof(struct failure);
    struct failure *failures = memset(cairn_alloc(bytes), 0, bytes);
    struct cairn_keeper_session entry;
    struct cairn_pack results = {0};
    struct txn t, begun;

    txn_begin(&t, arg_uint(0, 8), arg_uint(1, 8), arg_uint(2, 8));
    t.identities = cairn_arg(3);
    t.last = t.before; /* nothing is given yet */
    if (!session_is_open(t.session, &entry)) {
        cairn_fail("zk", cairn_text("%d 0 %llu", E_EXPIRED, t.last));
        return;
    }
    cairn_pack_list(&results, count);
    for (begun = t; done < count; done++) {
        bool known = failures[done].error != 0;

        i = transact(&t, i, &failures[done], &results);
        if (failures[done].error && !known && wrote) { /* by half: all of it once more, without this one */
            cairn_undo();
            results.size = 0;
            cairn_pack_list(&results, count);
            t = begun;
            i = 5;
            done = UINT32_MAX;
        }
    }
    if (t.last != t.before) {
        changes_end(&t);
        txn_end(&t);
    }
    cairn_result_packed(cairn_packed(&results));
}

/* open SESSION TIMEOUT EPOCH: [zxid] */
CAIRN_METHOD(Tree, open, CAIRN_INTERNAL)
{
    struct cairn_keeper_session entry = {.timeout_ms = (uint32_t)arg_uint(1, 4)};
    uint64_t session = arg_uint(0, 8);
    struct cairn_bytes key = key_behind(session, 8, none);
    struct txn t;

    if (!cairn_keeper_is_ephemeral(session) || cairn_ordered_has(Tree_sessions, key)) {
        cairn_fail("bad_argument", "a session's number is 1 to 2^56 - 1, and it is opened once");
        return;
    }
    txn_begin(&t, session, 0, arg_uint(2, 8));
    if (cairn_ordered_count(Tree_sessions) == 0)
        cairn_timer_every("heartbeat", CAIRN_KEEPER_HEARTBEAT_MS, "heartbeat", NULL);
    cairn_ordered_set(Tree_sessions, key, cairn_bytes(&entry, sizeof entry));
    changes_add(&t, CAIRN_KEEPER_OPENED, joined(cairn_bytes(&session, 8), cairn_bytes(&entry.timeout_ms, 4), none));
    txn_end(&t);
    txn_result(t.zxid);
}
