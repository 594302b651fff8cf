#include "support/keepers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void keepers_reopen(struct simnode *sim)
{
    struct cairn_err err;

    if (simnode_open(sim, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

void keepers_open(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    struct keeper_reply reply;
    struct simcall call;

    simnode_init(sim, seed, options);
    keepers_reopen(sim);
    simnode_deploy(sim, "keeper");
    keepers_begin_call(&call, 7, 0, 1);
    keepers_run(sim, &call, &reply);
    assert_int_equal(reply.error, 0);
}

/* --- calls --- */

static void add_uint(struct simcall *call, uint64_t integer, size_t bytes)
{
    cairn_args_add(&call->args, cairn_bytes((const uint8_t *)&integer, bytes));
}

void keepers_begin_call(struct simcall *call, uint64_t incarnation, uint64_t restores, uint64_t epoch)
{
    struct cairn_keeper_lineage lineage = {incarnation, restores};

    simcall_init(call, CAIRN_OP_INVOKE, "Tree", CAIRN_KEEPER_TREE_ID, "begin", NULL);
    cairn_args_add(&call->args, cairn_bytes((const uint8_t *)&lineage, sizeof lineage));
    add_uint(call, epoch, 8);
}

void keepers_open_call(struct simcall *call, struct keeper_client *client, uint64_t session, uint32_t timeout_ms,
                       uint64_t epoch)
{
    client->session = session;
    client->number = 0;
    client->generation = 1;
    snprintf(client->id, sizeof client->id, "%016llx", (unsigned long long)session);
    simcall_init(call, CAIRN_OP_INVOKE, "Session", client->id, "open", "sixteen bytes ok", NULL);
    add_uint(call, timeout_ms, 4);
    add_uint(call, epoch, 8);
}

void keepers_attach_call(struct simcall *call, const struct keeper_client *client, const char *password,
                         uint32_t generation)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Session", client->id, "attach", password, NULL);
    add_uint(call, generation, 4);
}

void keepers_close_call(struct simcall *call, const struct keeper_client *client, uint32_t generation, uint64_t epoch)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Session", client->id, "close", NULL);
    add_uint(call, generation, 4);
    add_uint(call, epoch, 8);
}

static void encode_acls(const struct zkmodel_acls *acls, struct cairn_buf *to)
{
    struct cairn_zk_vector vector = {0};
    struct cairn_buf items = {0};
    uint32_t count = __builtin_bswap32((uint32_t)acls->count);

    for (int i = 0; i < acls->count; i++)
        cairn_zk_acl_add(
            &items, &vector,
            &(struct cairn_zk_acl){acls->of[i].perms, cairn_str(acls->of[i].scheme), cairn_str(acls->of[i].id)});
    cairn_buf_add(to, &count, 4);
    cairn_buf_add(to, items.data, items.size);
    cairn_buf_done(&items);
}

static void add_buf(struct simcall *call, struct cairn_buf *buf)
{
    cairn_args_add(&call->args, cairn_buf_bytes(buf));
    buf->size = 0;
}

static void add_op(struct simcall *call, const struct zkmodel_op *op)
{
    bool creates = op->op == CAIRN_ZK_OP_CREATE || op->op == CAIRN_ZK_OP_CREATE2 ||
                   op->op == CAIRN_ZK_OP_CREATE_CONTAINER || op->op == CAIRN_ZK_OP_CREATE_TTL;
    struct cairn_buf buf = {0};

    add_uint(call, (uint32_t)op->op, 4);
    cairn_args_add(&call->args, cairn_str(op->path));
    if (creates || op->op == CAIRN_ZK_OP_SET_DATA) {
        cairn_buf_u8(&buf, op->data_bytes < 0 ? CAIRN_KEEPER_NULL : CAIRN_KEEPER_INLINE);
        if (op->data_bytes > 0)
            cairn_buf_add(&buf, op->data, (size_t)op->data_bytes);
        add_buf(call, &buf);
    }
    if (creates || op->op == CAIRN_ZK_OP_SET_ACL) {
        encode_acls(&op->acls, &buf);
        add_buf(call, &buf);
    }
    add_uint(call, (uint32_t)(creates ? op->flags : op->version), 4);
    if (op->op == CAIRN_ZK_OP_CREATE_TTL)
        add_uint(call, (uint64_t)op->ttl, 8);
    cairn_buf_done(&buf);
}

static void add_txn(struct simcall *call, const struct keepers_txn *txn)
{
    add_uint(call, txn->multi ? (uint32_t)txn->count : 0, 4);
    for (int i = 0; i < txn->count; i++)
        add_op(call, &txn->ops[i]);
}

void keepers_writes_call(struct simcall *call, struct keeper_client *client, uint64_t epoch,
                         const struct keepers_txn *txns, int count)
{
    struct cairn_zk_vector vector = {0};
    struct cairn_buf ids = {0}, items = {0};
    uint32_t id_count = __builtin_bswap32((uint32_t)client->ids.count);

    simcall_init(call, CAIRN_OP_INVOKE, "Session", client->id, "write", NULL);
    client->number += (uint64_t)count;
    add_uint(call, client->generation, 4);
    add_uint(call, client->number, 8);
    add_uint(call, epoch, 8);
    for (int i = 0; i < client->ids.count; i++)
        cairn_zk_id_add(&items, &vector,
                        &(struct cairn_zk_id){cairn_str(client->ids.of[i].scheme), cairn_str(client->ids.of[i].user)});
    cairn_buf_add(&ids, &id_count, 4);
    cairn_buf_add(&ids, items.data, items.size);
    add_buf(call, &ids);
    add_uint(call, (uint32_t)count, 4);
    for (int i = 0; i < count; i++)
        add_txn(call, &txns[i]);
    cairn_buf_done(&ids);
    cairn_buf_done(&items);
}

void keepers_write_call(struct simcall *call, struct keeper_client *client, uint64_t epoch,
                        const struct zkmodel_op *ops, int count, bool multi)
{
    keepers_writes_call(call, client, epoch, &(struct keepers_txn){ops, count, multi}, 1);
}

/* --- replies --- */

static void read_stat(struct cairn_bytes bytes, struct cairn_zk_stat *ret)
{
    struct cairn_buf reply = {0};
    struct cairn_zk_reply got;

    assert_int_equal(bytes.size, CAIRN_ZK_STAT_BYTES);
    cairn_zk_reply_add(&reply, CAIRN_ZK_OP_EXISTS, &(struct cairn_zk_reply){.xid = 1});
    reply.size -= CAIRN_ZK_STAT_BYTES;
    cairn_buf_add(&reply, bytes.data, bytes.size);
    assert_true(cairn_zk_reply_read(cairn_buf_bytes(&reply), CAIRN_ZK_OP_EXISTS, &got));
    *ret = got.stat;
    cairn_buf_done(&reply);
}

static void read_slot(struct cairn_reader *r, struct zkmodel_slot *slot)
{
    struct cairn_value list = cairn_value_read(r);

    *slot = (struct zkmodel_slot){0};
    assert_int_equal(list.kind, CAIRN_VALUE_LIST);
    for (uint64_t i = 0; i < list.count; i++) {
        struct cairn_value v = cairn_value_read(r);

        if (list.count == 2 && i == 0) {
            snprintf(slot->path, sizeof slot->path, "%.*s", (int)v.bytes.size, (const char *)v.bytes.data);
            continue;
        }
        read_stat(v.bytes, &slot->stat);
        slot->has_stat = true;
    }
}

/* A value of its own: [zxid, slot...] or an error. */
static void read_reply(struct cairn_reader *r, bool of_write, struct keeper_reply *ret)
{
    struct cairn_value v = cairn_value_read(r);

    *ret = (struct keeper_reply){0};
    if (v.kind == CAIRN_VALUE_ERROR) {
        unsigned long long zxid = 0;
        char text[64];

        snprintf(ret->text, sizeof ret->text, "%.*s: %.*s", (int)v.error.size, (const char *)v.error.data,
                 (int)v.bytes.size, (const char *)v.bytes.data);
        snprintf(text, sizeof text, "%.*s", (int)v.bytes.size, (const char *)v.bytes.data);
        ret->error = 1;
        if (cairn_bytes_equal(v.error, cairn_str("zk")) &&
            sscanf(text, "%d %u %llu", &ret->error, &ret->index, &zxid) != 3)
            fail_msg("%s", ret->text);
        ret->zxid = zxid;
    } else if (v.kind == CAIRN_VALUE_LIST) {
        int slots = (int)v.count - 1;

        ret->zxid = (uint64_t)cairn_value_read(r).integer;
        for (int i = 0; of_write && i < slots && i < ZKMODEL_OPS; i++, ret->slot_count++)
            read_slot(r, &ret->slots[i]);
    }
}

void keepers_replies(struct simcall *call, struct keeper_reply *ret, int count)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&call->reply));
    struct cairn_value list = cairn_value_read(&r);

    if (list.kind == CAIRN_VALUE_LIST)
        assert_int_equal(list.count, count);
    for (int i = 0; i < count; i++) {
        if (list.kind != CAIRN_VALUE_LIST) /* the whole was refused */
            r = cairn_reader(cairn_buf_bytes(&call->reply));
        read_reply(&r, true, &ret[i]);
    }
    simcall_done(call);
}

void keepers_reply(struct simcall *call, struct keeper_reply *ret)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&call->reply));

    if (strcmp((const char *)call->strings[2], "write") == 0) {
        keepers_replies(call, ret, 1);
        return;
    }
    read_reply(&r, false, ret);
    simcall_done(call);
}

void keepers_run(struct simnode *sim, struct simcall *call, struct keeper_reply *ret)
{
    simcall_run(sim, call);
    keepers_reply(call, ret);
}

/* --- fields --- */

int keepers_field(struct simnode *sim, const char *name,
                  void (*entry)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context)
{
    struct cairn_buf cursor = {0};
    int count = 0;

    for (bool more = true; more;) {
        struct cairn_value fields, of_field, content, next;
        struct cairn_reader r;
        struct simcall call;

        simcall_init(&call, CAIRN_OP_SHOW, "Tree", CAIRN_KEEPER_TREE_ID, NULL, NULL);
        call.request.name = cairn_str(name);
        call.request.limit = 100000;
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        cairn_value_read(&r);
        fields = cairn_value_read(&r);
        for (uint64_t i = 0; i < fields.count; i++) {
            of_field = cairn_value_read(&r);
            assert_int_equal(of_field.count, 4);
            for (int k = 0; k < 3; k++)
                cairn_value_read(&r);
            content = cairn_value_read(&r);
            if (content.kind == CAIRN_VALUE_BYTES) {
                count++;
                if (entry)
                    entry(context, cairn_bytes(NULL, 0), content.bytes);
            }
            for (uint64_t k = 0; content.kind == CAIRN_VALUE_LIST && k < content.count; k++, count++) {
                struct cairn_bytes key, value;

                cairn_value_read(&r);
                key = cairn_value_read(&r).bytes;
                value = cairn_value_read(&r).bytes;
                if (entry)
                    entry(context, key, value);
            }
        }
        next = cairn_value_read(&r);
        assert_false(r.bad);
        more = next.kind == CAIRN_VALUE_BYTES;
        cursor.size = 0;
        if (more)
            cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
    }
    cairn_buf_done(&cursor);
    return count;
}

int keepers_count(struct simnode *sim, const char *name)
{
    return keepers_field(sim, name, NULL, NULL);
}

struct comparing {
    struct zkmodel *model;
    bool lingering;
    int nodes, data;
    int64_t bytes;
    char changes[1 << 16];
};

static void path_of(struct cairn_bytes key, char to[96])
{
    snprintf(to, 96, "/");
    for (size_t i = 0; i < key.size && i < 95; i++) {
        to[i] = key.data[i] ? (char)key.data[i] : '/';
        to[i + 1] = 0;
    }
}

static void compare_node(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct comparing *c = context;
    struct cairn_keeper_node is;
    struct zkmodel_node *want;
    struct cairn_buf acls = {0};
    struct cairn_zk_stat stat;
    char path[96];

    path_of(key, path);
    assert_true(value.size >= sizeof is);
    memcpy(&is, value.data, sizeof is);
    want = zkmodel_find(c->model, path);
    if (!want && c->lingering && cairn_keeper_is_ephemeral(is.owner))
        return;
    if (!want)
        fail_msg("%s is there", path);
    c->nodes++;
    zkmodel_stat(c->model, want, &stat);
    if ((int64_t)is.czxid != want->czxid || (int64_t)is.mzxid != want->mzxid ||
        (!c->lingering && ((int64_t)is.pzxid != want->pzxid || (int32_t)is.children != stat.num_children)) ||
        (int64_t)is.owner != want->owner || (int32_t)is.version != want->version ||
        (int32_t)is.creates != want->creates || (int32_t)is.aversion != want->aversion ||
        (int32_t)is.data_bytes != stat.data_length || (is.data == CAIRN_KEEPER_NULL) != (want->data_bytes < 0))
        fail_msg("%s is not as it should be: pzxid %llx, not %llx, %u children, not %d, %u creates, not %d", path,
                 (unsigned long long)is.pzxid, (unsigned long long)want->pzxid, is.children, stat.num_children,
                 is.creates, want->creates);
    encode_acls(&want->acls, &acls);
    if (value.size == sizeof is)
        assert_true(want->acls.count == 1 && want->acls.of[0].perms == 31 && !strcmp(want->acls.of[0].scheme, "world"));
    else
        assert_true(
            cairn_bytes_equal(cairn_bytes(value.data + sizeof is, value.size - sizeof is), cairn_buf_bytes(&acls)));
    cairn_buf_done(&acls);
}

static void compare_data(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct comparing *c = context;
    struct zkmodel_node *want;
    char path[96];

    path_of(key, path);
    want = zkmodel_find(c->model, path);
    if (!want && c->lingering)
        return;
    if (!want || !cairn_bytes_equal(value, cairn_bytes((const uint8_t *)want->data, (size_t)want->data_bytes)))
        fail_msg("data of %s", path);
    c->data++;
}

static void read_changes(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct cairn_bytes acls[2] = {{0}};
    struct comparing *c = context;
    size_t used = 0;

    (void)key;
    for (size_t at = sizeof(struct cairn_keeper_changes); at < value.size;) {
        uint16_t size = (uint16_t)(value.data[at + 1] | value.data[at + 2] << 8);

        const uint8_t *bytes = value.data + at + CAIRN_KEEPER_ENTRY_BYTES;
        int what = value.data[at];
        const uint8_t *acl = acls[what == CAIRN_KEEPER_CHILDREN].data;

        if (what == CAIRN_KEEPER_NODE_ACL || what == CAIRN_KEEPER_PARENT_ACL)
            acls[what == CAIRN_KEEPER_PARENT_ACL] = cairn_bytes(size ? bytes : NULL, size);
        else if (what < 8)
            used += (size_t)snprintf(c->changes + used, sizeof c->changes - used, "%d%.*s:%d.%d ", what, size,
                                     (const char *)bytes, acl ? acl[3] : 1, acl ? acl[7] : 31);
        else
            used += (size_t)snprintf(c->changes + used, sizeof c->changes - used, "%d ", what);
        at += CAIRN_KEEPER_ENTRY_BYTES + size;
        assert_true(at <= value.size && used < sizeof c->changes);
    }
}

static void read_bytes(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct comparing *c = context;

    (void)key;
    assert_true(value.size >= 16);
    c->bytes = (int64_t)cairn_get_u64(value.data + 8);
}

void keepers_compare(struct simnode *sim, struct zkmodel *model, bool lingering)
{
    struct comparing c = {.model = model, .lingering = lingering};
    int ephemerals = 0, data = 0;
    int64_t bytes = 0;

    keepers_field(sim, "nodes", compare_node, &c);
    keepers_field(sim, "data", compare_data, &c);
    keepers_field(sim, "changes", read_changes, &c);
    for (int i = 0; i < model->count; i++) {
        ephemerals += cairn_keeper_is_ephemeral((uint64_t)model->nodes[i].owner);
        data += model->nodes[i].data_bytes > 0;
    }
    keepers_field(sim, "zxid", read_bytes, &c);
    for (int i = 0; i < model->count; i++)
        if (strncmp(model->nodes[i].path, "/zookeeper/quota/", 17) != 0)
            bytes += (int64_t)strlen(model->nodes[i].path) +
                     (model->nodes[i].data_bytes > 0 ? model->nodes[i].data_bytes : 0);
    if (!lingering)
        assert_int_equal(c.bytes, bytes);
    assert_int_equal(c.nodes, model->count);
    assert_int_equal(c.data, data);
    if (!lingering) {
        assert_int_equal(keepers_count(sim, "ephemerals"), ephemerals);
        if (model->changes[0])
            assert_string_equal(c.changes, model->changes);
    }
}
