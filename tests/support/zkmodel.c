#include "support/zkmodel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_root(struct zkmodel *m, const char *path, int32_t aversion, int32_t perms)
{
    struct zkmodel_node *node = &m->nodes[m->count++];

    *node = (struct zkmodel_node){.aversion = aversion, .acls = {1, {{perms, "world", "anyone"}}}};
    snprintf(node->path, sizeof node->path, "%s", path);
}

void zkmodel_init(struct zkmodel *m)
{
    *m = (struct zkmodel){0};
    add_root(m, "/", 0, 31);
    add_root(m, "/zookeeper", 0, 31);
    add_root(m, "/zookeeper/quota", 0, 31);
    add_root(m, "/zookeeper/config", -1, 1);
}

struct zkmodel_node *zkmodel_find(struct zkmodel *m, const char *path)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->nodes[i].path, path) == 0)
            return &m->nodes[i];
    return NULL;
}

static void parent_path(const char *path, char to[96])
{
    const char *slash = strrchr(path, '/');

    snprintf(to, 96, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

int zkmodel_children(const struct zkmodel *m, const char *path)
{
    char parent[96];
    int children = 0;

    for (int i = 0; i < m->count; i++)
        if (strcmp(m->nodes[i].path, "/") != 0) {
            parent_path(m->nodes[i].path, parent);
            children += strcmp(parent, path) == 0;
        }
    return children;
}

static bool is_ephemeral(int64_t owner)
{
    return owner > 0 && owner < (int64_t)1 << 56;
}

void zkmodel_stat(const struct zkmodel *m, const struct zkmodel_node *node, struct cairn_zk_stat *ret)
{
    int children = zkmodel_children(m, node->path);

    *ret = (struct cairn_zk_stat){.czxid = node->czxid,
                                  .mzxid = node->mzxid,
                                  .pzxid = node->pzxid,
                                  .version = node->version,
                                  .cversion = 2 * node->creates - children,
                                  .aversion = node->aversion,
                                  .ephemeral_owner = is_ephemeral(node->owner) ? node->owner : 0,
                                  .data_length = node->data_bytes < 0 ? 0 : node->data_bytes,
                                  .num_children = children};
}

static void changed(struct zkmodel *m, int what, const char *path, const struct zkmodel_acls *acls)
{
    size_t used = strlen(m->changes);

    snprintf(m->changes + used, sizeof m->changes - used, "%d%s:%d.%d ", what, path, acls->count, acls->of[0].perms);
}

/* --- ACLs --- */

static bool valid(const char *scheme, const char *id)
{
    unsigned a, b, c, d, bits = 0, end = 0;

    if (strcmp(scheme, "world") == 0)
        return strcmp(id, "anyone") == 0;
    if (strcmp(scheme, "digest") == 0)
        return strchr(id, ':') && strchr(id, ':') == strrchr(id, ':') && id[strlen(id) - 1] != ':';
    if (strcmp(scheme, "ip") != 0)
        return false;
    if (sscanf(id, "%u.%u.%u.%u%n/%u%n", &a, &b, &c, &d, &end, &bits, &end) < 4 || id[end])
        return false;
    return a < 256 && b < 256 && c < 256 && d < 256 && bits <= 32;
}

static bool add_acl(struct zkmodel_acls *to, int32_t perms, const char *scheme, const char *id)
{
    if (to->count == ZKMODEL_ACLS)
        abort();
    to->of[to->count].perms = perms;
    snprintf(to->of[to->count].scheme, sizeof to->of[0].scheme, "%s", scheme);
    snprintf(to->of[to->count].id, sizeof to->of[0].id, "%s", id);
    to->count++;
    return true;
}

static bool fix(const struct zkmodel_acls *acls, const struct zkmodel_ids *ids, struct zkmodel_acls *ret)
{
    *ret = (struct zkmodel_acls){0};
    for (int i = 0; i < acls->count; i++) {
        bool repeated = false, proved = false;

        for (int k = 0; k < i; k++)
            repeated |= acls->of[k].perms == acls->of[i].perms && !strcmp(acls->of[k].scheme, acls->of[i].scheme) &&
                        !strcmp(acls->of[k].id, acls->of[i].id);
        if (repeated)
            continue;
        if (strcmp(acls->of[i].scheme, "auth") != 0) {
            if (!valid(acls->of[i].scheme, acls->of[i].id))
                return false;
            add_acl(ret, acls->of[i].perms, acls->of[i].scheme, acls->of[i].id);
            continue;
        }
        for (int k = 0; k < ids->count; k++)
            if (strcmp(ids->of[k].scheme, "digest") == 0)
                proved = add_acl(ret, acls->of[i].perms, ids->of[k].scheme, ids->of[k].user);
        if (!proved)
            return false;
    }
    return ret->count > 0;
}

static uint32_t address(const char *text, unsigned *ret_bits)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    *ret_bits = 32;
    sscanf(text, "%u.%u.%u.%u/%u", &a, &b, &c, &d, ret_bits);
    return a << 24 | b << 16 | c << 8 | d;
}

static bool may(const struct zkmodel_node *node, const struct zkmodel_ids *ids, int32_t perm)
{
    for (int k = 0; k < ids->count; k++)
        if (strcmp(ids->of[k].scheme, "super") == 0)
            return true;
    for (int i = 0; i < node->acls.count; i++) {
        const char *scheme = node->acls.of[i].scheme, *id = node->acls.of[i].id;

        if (!(node->acls.of[i].perms & perm))
            continue;
        if (strcmp(scheme, "world") == 0)
            return true;
        for (int k = 0; k < ids->count; k++) {
            unsigned bits, all;

            if (strcmp(ids->of[k].scheme, scheme) != 0)
                continue;
            if (strcmp(scheme, "ip") != 0 && strcmp(ids->of[k].user, id) == 0)
                return true;
            if (strcmp(scheme, "ip") == 0) {
                uint64_t difference = address(id, &bits) ^ address(ids->of[k].user, &all);

                if (difference >> (32 - bits) == 0)
                    return true;
            }
        }
    }
    return false;
}

/* --- operations --- */

static int32_t create(struct zkmodel *m, uint64_t session, const struct zkmodel_ids *ids, const struct zkmodel_op *op,
                      struct zkmodel_slot *slot)
{
    struct zkmodel_node node = {.czxid = m->zxid, .mzxid = m->zxid, .pzxid = m->zxid, .mtime = m->now}, *parent;
    bool ttl = op->flags == 5 || op->flags == 6;
    char path[120], up[96];

    if (op->flags < 0 || op->flags > 6 || ttl != (op->op == CAIRN_ZK_OP_CREATE_TTL) ||
        (ttl && (op->ttl < 1 || op->ttl > 0xffffffffff)))
        return CAIRN_ZK_EARGUMENTS;
    if (!fix(&op->acls, ids, &node.acls))
        return CAIRN_ZK_EACL;
    parent_path(op->path, up);
    parent = zkmodel_find(m, up);
    if (!parent)
        return CAIRN_ZK_ENONODE;
    if (!may(parent, ids, CAIRN_ZK_CREATE))
        return CAIRN_ZK_ENOAUTH;
    snprintf(path, sizeof path, "%s", op->path);
    if (op->flags == 2 || op->flags == 3 || op->flags == 6)
        snprintf(path, sizeof path, "%s%010d", op->path, parent->creates);
    if (zkmodel_find(m, path))
        return CAIRN_ZK_EEXISTS;
    if (is_ephemeral(parent->owner))
        return CAIRN_ZK_EEPHEMERALPARENT;
    snprintf(node.path, sizeof node.path, "%.95s", path);
    memcpy(node.data, op->data, sizeof node.data);
    node.data_bytes = op->data_bytes;
    if (ttl)
        node.owner = (int64_t)(UINT64_C(0xff) << 56 | (uint64_t)op->ttl);
    else if (op->op == CAIRN_ZK_OP_CREATE_CONTAINER)
        node.owner = INT64_MIN;
    else if (op->flags == 1 || op->flags == 3)
        node.owner = (int64_t)session;
    parent->creates++;
    parent->pzxid = m->zxid;
    if (m->count == ZKMODEL_NODES)
        abort();
    m->nodes[m->count++] = node;
    changed(m, 1, node.path, &node.acls);
    changed(m, 4, "", &parent->acls);
    snprintf(slot->path, sizeof slot->path, "%s", node.path);
    slot->has_stat = true;
    zkmodel_stat(m, &m->nodes[m->count - 1], &slot->stat);
    return 0;
}

void zkmodel_remove(struct zkmodel *m, struct zkmodel_node *node)
{
    struct zkmodel_node *parent;
    char up[96];

    parent_path(node->path, up);
    parent = zkmodel_find(m, up);
    parent->pzxid = m->zxid;
    changed(m, 2, node->path, &node->acls);
    changed(m, 4, "", &parent->acls);
    *node = m->nodes[--m->count];
}

static int32_t delete (struct zkmodel *m, const struct zkmodel_ids *ids, const struct zkmodel_op *op)
{
    static const char *const kept[] = {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};
    struct zkmodel_node *parent, *node;
    char up[96];

    for (int i = 0; i < 4; i++)
        if (strcmp(op->path, kept[i]) == 0)
            return CAIRN_ZK_EARGUMENTS;
    parent_path(op->path, up);
    parent = zkmodel_find(m, up);
    if (!parent)
        return CAIRN_ZK_ENONODE;
    if (!may(parent, ids, CAIRN_ZK_DELETE))
        return CAIRN_ZK_ENOAUTH;
    node = zkmodel_find(m, op->path);
    if (!node)
        return CAIRN_ZK_ENONODE;
    if (op->version != -1 && op->version != node->version)
        return CAIRN_ZK_EVERSION;
    if (zkmodel_children(m, op->path) > 0)
        return CAIRN_ZK_ENOTEMPTY;
    zkmodel_remove(m, node);
    return 0;
}

static int32_t one(struct zkmodel *m, uint64_t session, const struct zkmodel_ids *ids, const struct zkmodel_op *op,
                   struct zkmodel_slot *slot)
{
    struct zkmodel_node *node = zkmodel_find(m, op->path);
    struct zkmodel_acls fixed;
    int32_t perm = op->op == CAIRN_ZK_OP_SET_ACL    ? CAIRN_ZK_ADMIN
                   : op->op == CAIRN_ZK_OP_SET_DATA ? CAIRN_ZK_WRITE
                                                    : CAIRN_ZK_READ;

    *slot = (struct zkmodel_slot){0};
    if (op->path[0] == 0)
        return CAIRN_ZK_EARGUMENTS;
    switch (op->op) {
    case CAIRN_ZK_OP_DELETE:
        return delete (m, ids, op);
    case CAIRN_ZK_OP_SET_DATA:
    case CAIRN_ZK_OP_CHECK:
    case CAIRN_ZK_OP_SET_ACL:
        if (op->op == CAIRN_ZK_OP_SET_ACL && !fix(&op->acls, ids, &fixed))
            return CAIRN_ZK_EACL;
        if (!node)
            return CAIRN_ZK_ENONODE;
        if (!may(node, ids, perm))
            return CAIRN_ZK_ENOAUTH;
        if (op->version != -1 && op->version != (op->op == CAIRN_ZK_OP_SET_ACL ? node->aversion : node->version))
            return CAIRN_ZK_EVERSION;
        if (op->op == CAIRN_ZK_OP_CHECK)
            return 0;
        if (op->op == CAIRN_ZK_OP_SET_ACL) {
            node->acls = fixed;
            node->aversion++;
        } else {
            memcpy(node->data, op->data, sizeof node->data);
            node->data_bytes = op->data_bytes;
            node->version++;
            node->mzxid = m->zxid;
            node->mtime = m->now;
            changed(m, 3, node->path, &node->acls);
        }
        slot->has_stat = true;
        zkmodel_stat(m, node, &slot->stat);
        return 0;
    default:
        return create(m, session, ids, op, slot);
    }
}

int32_t zkmodel_commit(struct zkmodel *m, uint64_t session, const struct zkmodel_ids *ids, const struct zkmodel_op *ops,
                       int count, int *ret_index)
{
    struct zkmodel_node *before = malloc(sizeof m->nodes);
    int32_t error = 0;
    int nodes = m->count, i;

    memcpy(before, m->nodes, sizeof m->nodes);
    m->changes[0] = 0;
    m->zxid++;
    for (i = 0; i < count && !error; i++)
        error = one(m, session, ids, &ops[i], &m->slots[i]);
    *ret_index = error ? i - 1 : 0;
    if (error) {
        memcpy(m->nodes, before, sizeof m->nodes);
        m->count = nodes;
        m->changes[0] = 0;
        m->zxid--;
    }
    free(before);
    return error;
}

void zkmodel_close(struct zkmodel *m, uint64_t session)
{
    m->zxid++;
    m->changes[0] = 0;
    for (int i = 0; i < m->count;)
        if (m->nodes[i].owner == (int64_t)session)
            zkmodel_remove(m, &m->nodes[i]);
        else
            i++;
}
