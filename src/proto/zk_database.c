/* zk_database.c - docs/formats/zk-files.md.
 *
 * Nodes and sessions are chained in tables; a session has a list of its ephemeral nodes. */
#include "proto/zk_database.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "proto/zk_internal.h"

enum { TABLE_LEAST = 1024, DEPTH_MAX = 1 /* a multi has no multi */ };

struct node {
    struct cairn_zk_node n; /* first */
    uint64_t hash;
    struct node *next;
    struct cairn_link of_session;
    uint8_t path[];
};

struct session {
    int64_t number;
    int32_t timeout_ms;
    bool open;
    struct session *next;
    struct cairn_link nodes;
};

struct acl {
    int64_t number;
    struct cairn_bytes acls;
    struct acl *next;
};

struct cairn_zk_database {
    struct node **nodes;
    struct session **sessions;
    struct acl **acls;
    uint32_t node_size, session_size, acl_size; /* of the tables, powers of two */
    uint64_t node_count, session_count, acl_count, bytes, bytes_max;
    int64_t zxid;
};

/* perms 31, world:anyone */
static const uint8_t open_acl[] = {0,   0,   0,   1, 0, 0, 0, 31,  0,   0,   0,   5,   'w', 'o',
                                   'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

/* --- memory --- */

struct cairn_zk_database *cairn_zk_database_create(uint64_t bytes_max)
{
    struct cairn_zk_database *d = cairn_alloc_zeroed(1, sizeof *d);

    d->bytes_max = bytes_max;
    d->node_size = d->session_size = d->acl_size = TABLE_LEAST;
    d->nodes = cairn_alloc_zeroed(d->node_size, sizeof *d->nodes);
    d->sessions = cairn_alloc_zeroed(d->session_size, sizeof *d->sessions);
    d->acls = cairn_alloc_zeroed(d->acl_size, sizeof *d->acls);
    return d;
}

static void free_bytes(struct cairn_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static void free_node(struct cairn_zk_database *d, struct node *node)
{
    d->bytes -= sizeof *node + node->n.path.size + node->n.data.size + node->n.acls.size;
    cairn_list_remove(&node->of_session);
    free_bytes(node->n.data);
    free_bytes(node->n.acls);
    free(node);
}

struct cairn_zk_database *cairn_zk_database_destroy(struct cairn_zk_database *d)
{
    if (!d)
        return NULL;
    for (uint32_t i = 0; i < d->node_size; i++)
        for (struct node *node = d->nodes[i], *next; node; node = next) {
            next = node->next;
            free_node(d, node);
        }
    for (uint32_t i = 0; i < d->session_size; i++)
        for (struct session *session = d->sessions[i], *next; session; session = next) {
            next = session->next;
            free(session);
        }
    for (uint32_t i = 0; i < d->acl_size; i++)
        for (struct acl *acl = d->acls[i], *next; acl; acl = next) {
            next = acl->next;
            free_bytes(acl->acls);
            free(acl);
        }
    free(d->nodes);
    free(d->sessions);
    free(d->acls);
    free(d);
    return NULL;
}

/* Null stays null, and what is empty has a data pointer. */
static struct cairn_bytes copy(struct cairn_bytes bytes)
{
    uint8_t *to;

    if (!bytes.data)
        return bytes;
    to = cairn_alloc(bytes.size ? bytes.size : 1);
    memcpy(to, bytes.data, bytes.size);
    return cairn_bytes(to, bytes.size);
}

static enum cairn_code check_room(struct cairn_zk_database *d, uint64_t more, struct cairn_err *err)
{
    if (d->bytes + more <= d->bytes_max)
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_ELIMIT, "what it has takes more than the %" PRIu64 " bytes that it may take in memory",
                      d->bytes_max);
}

/* --- tables --- */

static uint64_t hash_of_number(int64_t number)
{
    return cairn_hash(cairn_bytes(&number, sizeof number));
}

static struct node **node_at(const struct cairn_zk_database *d, struct cairn_bytes path, uint64_t hash)
{
    struct node **at = &d->nodes[hash & (d->node_size - 1)];

    while (*at && !((*at)->hash == hash && cairn_bytes_equal((*at)->n.path, path)))
        at = &(*at)->next;
    return at;
}

static struct node *find(const struct cairn_zk_database *d, struct cairn_bytes path)
{
    return *node_at(d, path, cairn_hash(path));
}

static void grow_nodes(struct cairn_zk_database *d)
{
    uint32_t size = 2 * d->node_size;
    struct node **nodes = cairn_alloc_zeroed(size, sizeof *nodes);

    for (uint32_t i = 0; i < d->node_size; i++)
        for (struct node *node = d->nodes[i], *next; node; node = next) {
            next = node->next;
            node->next = nodes[node->hash & (size - 1)];
            nodes[node->hash & (size - 1)] = node;
        }
    free(d->nodes);
    d->nodes = nodes;
    d->node_size = size;
}

static struct session **session_at(const struct cairn_zk_database *d, int64_t number)
{
    struct session **at = &d->sessions[hash_of_number(number) & (d->session_size - 1)];

    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void grow_sessions(struct cairn_zk_database *d)
{
    uint32_t size = 2 * d->session_size, before = d->session_size;
    struct session **old = d->sessions;

    d->sessions = cairn_alloc_zeroed(size, sizeof *d->sessions);
    d->session_size = size;
    for (uint32_t i = 0; i < before; i++)
        for (struct session *session = old[i], *next; session; session = next) {
            struct session **at = session_at(d, session->number);

            next = session->next;
            session->next = NULL;
            *at = session;
        }
    free(old);
}

static struct session *session_make(struct cairn_zk_database *d, int64_t number)
{
    struct session **at = session_at(d, number);

    if (*at)
        return *at;
    if (d->session_count == d->session_size) {
        grow_sessions(d);
        at = session_at(d, number);
    }
    *at = cairn_alloc_zeroed(1, sizeof **at);
    (*at)->number = number;
    cairn_list_init(&(*at)->nodes);
    d->session_count++;
    return *at;
}

static struct acl **acl_at(const struct cairn_zk_database *d, int64_t number)
{
    struct acl **at = &d->acls[hash_of_number(number) & (d->acl_size - 1)];

    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

/* --- nodes --- */

static struct cairn_bytes parent_of(struct cairn_bytes path)
{
    size_t size = path.size;

    while (size > 1 && path.data[size - 1] != '/')
        size--;
    return cairn_bytes(path.data, size > 1 ? size - 1 : 1);
}

static bool is_path(struct cairn_bytes path)
{
    return path.size && path.data[0] == '/' && (path.size == 1 || path.data[path.size - 1] != '/');
}

/* As ZooKeeper tells ephemeral nodes from containers, and from those with a time to live. */
static bool is_session(int64_t owner)
{
    return owner != 0 && owner != INT64_MIN && (uint64_t)owner >> 56 != 0xff;
}

/* Its parent is there; it is not. */
static enum cairn_code add_node(struct cairn_zk_database *d, const struct cairn_zk_node *like, struct node **ret_node,
                                struct cairn_err *err)
{
    uint64_t hash = cairn_hash(like->path),
             bytes = sizeof **ret_node + like->path.size + like->data.size + like->acls.size;
    enum cairn_code code = check_room(d, bytes, err);
    struct node *node;

    if (code != CAIRN_OK)
        return code;
    if (d->node_count == d->node_size && d->node_size < UINT32_MAX / 2)
        grow_nodes(d);
    node = cairn_alloc_zeroed(1, sizeof *node + like->path.size);
    node->n = *like;
    memcpy(node->path, like->path.data, like->path.size);
    node->n.path = cairn_bytes(node->path, like->path.size);
    node->n.data = copy(like->data);
    node->n.acls = copy(like->acls);
    node->n.children = 0;
    node->hash = hash;
    node->next = d->nodes[hash & (d->node_size - 1)];
    d->nodes[hash & (d->node_size - 1)] = node;
    d->node_count++;
    d->bytes += bytes;
    cairn_list_init(&node->of_session);
    if (is_session(like->owner))
        cairn_list_push_back(&session_make(d, like->owner)->nodes, &node->of_session);
    *ret_node = node;
    return CAIRN_OK;
}

/* A child of the path's parent is removed. */
static struct node *touch_parent(struct cairn_zk_database *d, struct cairn_bytes path, int64_t zxid)
{
    struct node *parent = find(d, parent_of(path));

    if (parent && zxid > parent->n.pzxid)
        parent->n.pzxid = zxid;
    return parent;
}

static void remove_node(struct cairn_zk_database *d, struct node *node, int64_t zxid)
{
    struct node **at = node_at(d, node->n.path, node->hash), *parent = touch_parent(d, node->n.path, zxid);

    if (parent)
        parent->n.children -= parent->n.children > 0;
    *at = node->next;
    d->node_count--;
    free_node(d, node);
}

static enum cairn_code set_bytes(struct cairn_zk_database *d, struct cairn_bytes *of, struct cairn_bytes to,
                                 struct cairn_err *err)
{
    enum cairn_code code = check_room(d, to.size, err);

    if (code != CAIRN_OK)
        return code;
    d->bytes += to.size - of->size;
    free_bytes(*of);
    *of = copy(to);
    return CAIRN_OK;
}

/* --- a snapshot --- */

static enum cairn_code add_acl(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                               struct cairn_err *err)
{
    struct acl **at = acl_at(d, item->acl);
    enum cairn_code code = check_room(d, item->acls.size + sizeof **at, err);

    if (code != CAIRN_OK)
        return code;
    if (*at)
        return cairn_fail(err, CAIRN_ECORRUPT, "the snapshot has the ACL %" PRId64 " twice", item->acl);
    *at = cairn_alloc_zeroed(1, sizeof **at);
    **at = (struct acl){.number = item->acl, .acls = copy(item->acls)};
    d->bytes += item->acls.size + sizeof **at;
    d->acl_count++;
    return CAIRN_OK;
}

static enum cairn_code add_snapshot_node(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                         struct cairn_err *err)
{
    static const uint8_t slash = '/';
    struct cairn_zk_node like = {
        .path = item->path.size ? item->path : cairn_bytes(&slash, 1),
        .data = item->data,
        .czxid = item->czxid,
        .mzxid = item->mzxid,
        .pzxid = item->pzxid,
        .ctime = item->ctime,
        .mtime = item->mtime,
        .owner = item->owner,
        .version = item->version,
        .creates = item->creates,
        .aversion = item->aversion,
    };
    const struct acl *acl = item->acl == -1 ? NULL : *acl_at(d, item->acl);
    struct node *parent = like.path.size > 1 ? find(d, parent_of(like.path)) : NULL, *node;
    enum cairn_code code;

    like.acls = acl ? acl->acls : cairn_bytes(open_acl, sizeof open_acl);
    if (!is_path(like.path) || find(d, like.path) || (like.path.size > 1 && !parent))
        return cairn_fail(err, CAIRN_ECORRUPT, "the snapshot has the node '%.*s' twice, or without its parent",
                          (int)(like.path.size < 200 ? like.path.size : 200), (const char *)like.path.data);
    if (item->acl != -1 && !acl)
        return cairn_fail(err, CAIRN_ECORRUPT, "the snapshot has no ACL %" PRId64 ", which the node '%.*s' has",
                          item->acl, (int)(like.path.size < 200 ? like.path.size : 200), (const char *)like.path.data);
    code = add_node(d, &like, &node, err);
    if (code == CAIRN_OK && parent)
        parent->n.children++;
    return code;
}

enum cairn_code cairn_zk_database_add(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                      struct cairn_err *err)
{
    struct session *session;

    switch (item->kind) {
    case CAIRN_ZK_ITEM_SESSION:
        session = session_make(d, item->session);
        session->open = true;
        session->timeout_ms = item->timeout_ms;
        return CAIRN_OK;
    case CAIRN_ZK_ITEM_ACL:
        return add_acl(d, item, err);
    case CAIRN_ZK_ITEM_NODE:
        return add_snapshot_node(d, item, err);
    case CAIRN_ZK_ITEM_TXN:
        break;
    }
    return cairn_zk_database_apply(d, item, err);
}

/* --- transactions --- */

/* Their records.  A string or buffer of them is a view. */
static struct cairn_bytes read_acls(struct cairn_reader *r)
{
    const uint8_t *begin = r->at;
    int32_t count = cairn_zk_read_int(r);

    for (int32_t i = 0; i < count && !r->bad; i++) {
        cairn_zk_read_int(r);
        cairn_zk_read_bytes(r);
        cairn_zk_read_bytes(r);
    }
    return cairn_bytes(begin, r->bad ? 0 : (size_t)(r->at - begin));
}

static enum cairn_code bad_record(const struct cairn_zk_file_item *item, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "transaction 0x%" PRIx64 ", of type %d, makes no sense",
                      (uint64_t)item->zxid, item->type);
}

/* What a creation says of its parent: how many children it has ever had; -1 (3.3): one more. */
static void count_create(struct node *parent, int32_t creates, int64_t zxid)
{
    if (creates == -1)
        creates = parent->n.creates + 1;
    if (creates > parent->n.creates) {
        parent->n.creates = creates;
        parent->n.pzxid = zxid;
    }
}

static enum cairn_code apply_create(struct cairn_zk_database *d, const struct cairn_zk_file_item *item, int32_t type,
                                    struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_zk_node like = {.path = cairn_zk_read_bytes(&r), .data = cairn_zk_read_bytes(&r)};
    struct node *parent, *node;
    enum cairn_code code = CAIRN_OK;
    int32_t creates = -1;

    like.acls = read_acls(&r);
    like.czxid = like.mzxid = like.pzxid = item->zxid;
    like.ctime = like.mtime = item->time_ms;
    if (type == CAIRN_ZK_OP_CREATE_CONTAINER)
        like.owner = INT64_MIN;
    else if (type != CAIRN_ZK_OP_CREATE_TTL && cairn_zk_read_bool(&r))
        like.owner = item->session;
    if (cairn_reader_left(&r) >= 4 || type == CAIRN_ZK_OP_CREATE_TTL)
        creates = cairn_zk_read_int(&r); /* 3.3 has none */
    if (type == CAIRN_ZK_OP_CREATE_TTL)
        like.owner = (int64_t)(UINT64_C(0xff) << 56 | ((uint64_t)cairn_zk_read_long(&r) & (UINT64_MAX >> 16)));
    if (r.bad || !is_path(like.path) || like.path.size == 1)
        return bad_record(item, err);
    parent = find(d, parent_of(like.path));
    if (!parent) /* removed later, as the snapshot knows already */
        return CAIRN_OK;
    if (!find(d, like.path)) {
        code = add_node(d, &like, &node, err);
        parent = find(d, parent_of(like.path));
        parent->n.children += code == CAIRN_OK;
    }
    count_create(parent, creates, item->zxid);
    return code;
}

static enum cairn_code apply_delete(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                    struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes path = cairn_zk_read_bytes(&r);
    struct node *node;

    if (r.bad || !is_path(path) || path.size == 1)
        return bad_record(item, err);
    node = find(d, path);
    if (node)
        remove_node(d, node, item->zxid);
    else /* the snapshot knows it already, but for this */
        touch_parent(d, path, item->zxid);
    return CAIRN_OK;
}

static enum cairn_code apply_set_data(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                      struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes path = cairn_zk_read_bytes(&r), data = cairn_zk_read_bytes(&r);
    int32_t version = cairn_zk_read_int(&r);
    struct node *node;

    if (r.bad || !is_path(path))
        return bad_record(item, err);
    node = find(d, path);
    if (!node)
        return CAIRN_OK;
    node->n.mzxid = item->zxid;
    node->n.mtime = item->time_ms;
    node->n.version = version;
    return set_bytes(d, &node->n.data, data, err);
}

static enum cairn_code apply_set_acl(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                     struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_bytes path = cairn_zk_read_bytes(&r), acls = read_acls(&r);
    int32_t version = cairn_zk_read_int(&r);
    struct node *node;

    if (r.bad || !is_path(path))
        return bad_record(item, err);
    node = find(d, path);
    if (!node)
        return CAIRN_OK;
    node->n.aversion = version;
    return set_bytes(d, &node->n.acls, acls, err);
}

/* All of its ephemeral nodes go; that 3.6 and later name them says nothing more. */
static enum cairn_code apply_close(struct cairn_zk_database *d, const struct cairn_zk_file_item *item)
{
    struct session **at = session_at(d, item->session), *session = *at;

    if (!session)
        return CAIRN_OK;
    while (!cairn_list_empty(&session->nodes))
        remove_node(d, cairn_container(session->nodes.next, struct node, of_session), item->zxid);
    *at = session->next;
    d->session_count--;
    free(session);
    return CAIRN_OK;
}

static enum cairn_code apply_open(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                  struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(item->body);
    int32_t timeout_ms = cairn_zk_read_int(&r);
    struct session *session;

    if (r.bad)
        return bad_record(item, err);
    session = session_make(d, item->session);
    session->open = true;
    session->timeout_ms = timeout_ms;
    return CAIRN_OK;
}

static enum cairn_code apply(struct cairn_zk_database *d, const struct cairn_zk_file_item *item, int32_t type,
                             struct cairn_bytes body, int depth, struct cairn_err *err);

/* Its parts follow each other as transactions would; if one is an error none has happened. */
static enum cairn_code apply_multi(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                   struct cairn_bytes body, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;
    bool failed = false;

    for (int pass = 0; pass < 2 && code == CAIRN_OK && !failed; pass++) {
        struct cairn_reader r = cairn_reader(body);
        int32_t count = cairn_zk_read_int(&r);

        for (int32_t i = 0; i < count && code == CAIRN_OK; i++) {
            int32_t type = cairn_zk_read_int(&r);
            struct cairn_bytes part = cairn_zk_read_bytes(&r);

            if (r.bad)
                return bad_record(item, err);
            failed |= type == CAIRN_ZK_OP_ERROR;
            if (pass)
                code = apply(d, item, type, part, 1, err);
        }
    }
    return code;
}

static enum cairn_code apply(struct cairn_zk_database *d, const struct cairn_zk_file_item *item, int32_t type,
                             struct cairn_bytes body, int depth, struct cairn_err *err)
{
    switch (type) {
    case CAIRN_ZK_OP_CREATE:
    case CAIRN_ZK_OP_CREATE2:
    case CAIRN_ZK_OP_CREATE_CONTAINER:
    case CAIRN_ZK_OP_CREATE_TTL:
        return apply_create(d, item, type, body, err);
    case CAIRN_ZK_OP_DELETE:
    case CAIRN_ZK_TXN_DELETE_CONTAINER:
        return apply_delete(d, item, body, err);
    case CAIRN_ZK_OP_SET_DATA:
    case CAIRN_ZK_OP_RECONFIG:
        return apply_set_data(d, item, body, err);
    case CAIRN_ZK_OP_SET_ACL:
        return apply_set_acl(d, item, body, err);
    case CAIRN_ZK_OP_CREATE_SESSION:
        return apply_open(d, item, err);
    case CAIRN_ZK_OP_CLOSE_SESSION:
        return apply_close(d, item);
    case CAIRN_ZK_OP_CHECK:
    case CAIRN_ZK_OP_ERROR:
        return CAIRN_OK;
    case CAIRN_ZK_OP_MULTI:
        if (depth < DEPTH_MAX)
            return apply_multi(d, item, body, err);
        break;
    }
    return cairn_fail(err, CAIRN_EVERSION, "transaction 0x%" PRIx64 " has the type %d, which is not known",
                      (uint64_t)item->zxid, type);
}

enum cairn_code cairn_zk_database_apply(struct cairn_zk_database *d, const struct cairn_zk_file_item *item,
                                        struct cairn_err *err)
{
    enum cairn_code code;

    if (item->zxid <= d->zxid)
        return CAIRN_OK;
    code = apply(d, item, item->type, item->body, 0, err);
    if (code == CAIRN_OK)
        d->zxid = item->zxid;
    return code;
}

uint64_t cairn_zk_database_zxid(const struct cairn_zk_database *d)
{
    return (uint64_t)d->zxid;
}

void cairn_zk_database_set_zxid(struct cairn_zk_database *d, uint64_t zxid)
{
    d->zxid = (int64_t)zxid;
}

/* --- looking --- */

/* '/' is below all other bytes of a path, so that what is below a node comes right behind it. */
static int by_path(const void *a, const void *b)
{
    struct cairn_bytes x = (*(struct node *const *)a)->n.path, y = (*(struct node *const *)b)->n.path;
    size_t least = x.size < y.size ? x.size : y.size;

    for (size_t i = 0; i < least; i++)
        if (x.data[i] != y.data[i])
            return x.data[i] == '/' ? -1 : y.data[i] == '/' ? 1 : (int)x.data[i] - (int)y.data[i];
    return (x.size > y.size) - (x.size < y.size);
}

void cairn_zk_database_nodes(struct cairn_zk_database *d,
                             bool (*visit)(void *context, const struct cairn_zk_node *node), void *context)
{
    struct node **sorted = cairn_alloc((d->node_count + 1) * sizeof *sorted);
    uint64_t count = 0;

    for (uint32_t i = 0; i < d->node_size; i++)
        for (struct node *node = d->nodes[i]; node; node = node->next)
            sorted[count++] = node;
    qsort(sorted, count, sizeof *sorted, by_path);
    for (uint64_t i = 0; i < count && visit(context, &sorted[i]->n); i++)
        ;
    free(sorted);
}

void cairn_zk_database_sessions(const struct cairn_zk_database *d,
                                void (*visit)(void *context, const struct cairn_zk_session *session), void *context)
{
    for (uint32_t i = 0; i < d->session_size; i++)
        for (const struct session *session = d->sessions[i]; session; session = session->next) {
            struct cairn_zk_session told = {.session = session->number, .timeout_ms = session->timeout_ms};

            for (const struct cairn_link *l = session->nodes.next; l != &session->nodes; l = l->next)
                told.ephemerals++;
            if (session->open)
                visit(context, &told);
        }
}

uint64_t cairn_zk_database_node_count(const struct cairn_zk_database *d)
{
    return d->node_count;
}
