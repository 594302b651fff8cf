#include "proto/zk_text.h"

#include <inttypes.h>

static void hex(struct cairn_buf *to, struct cairn_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        cairn_buf_printf(to, "%02x", bytes.data[i]);
}

/* A word of a list; null is `-`, nothing is `""`. */
static void word(struct cairn_buf *to, struct cairn_bytes text)
{
    if (!text.data)
        cairn_buf_str(to, "-");
    else if (!text.size)
        cairn_buf_str(to, "\"\"");
    cairn_buf_add(to, text.data, text.size);
}

static void tell_text(struct cairn_buf *to, const char *name, struct cairn_bytes text)
{
    if (!text.data)
        return;
    cairn_buf_printf(to, " %s=\"", name);
    cairn_buf_add(to, text.data, text.size);
    cairn_buf_u8(to, '"');
}

static void tell_data(struct cairn_buf *to, const char *name, struct cairn_bytes data)
{
    if (!data.data)
        return;
    cairn_buf_printf(to, " %s=", name);
    hex(to, data);
}

static void tell_number(struct cairn_buf *to, const char *name, int64_t n)
{
    if (n)
        cairn_buf_printf(to, " %s=%" PRId64, name, n);
}

/* False: nothing of it is to be told, or nothing more. */
static bool open_list(struct cairn_buf *to, const char *name, struct cairn_zk_vector vector)
{
    if (vector.count > 0)
        cairn_buf_printf(to, " %s=[", name);
    else if (vector.count == -1)
        cairn_buf_printf(to, " %s=null", name);
    return vector.count > 0;
}

static void tell_strings(struct cairn_buf *to, const char *name, struct cairn_zk_vector vector)
{
    struct cairn_bytes string;

    if (!open_list(to, name, vector))
        return;
    for (bool first = true; cairn_zk_string_next(&vector.items, &string); first = false) {
        cairn_buf_str(to, first ? "" : ", ");
        word(to, string);
    }
    cairn_buf_u8(to, ']');
}

static void tell_acl(struct cairn_buf *to, struct cairn_zk_vector vector)
{
    struct cairn_zk_acl acl;

    if (!open_list(to, "acl", vector))
        return;
    for (bool first = true; cairn_zk_acl_next(&vector.items, &acl); first = false) {
        cairn_buf_printf(to, "%s%d ", first ? "" : ", ", acl.perms);
        word(to, acl.scheme);
        cairn_buf_u8(to, ' ');
        word(to, acl.id);
    }
    cairn_buf_u8(to, ']');
}

static void tell_ids(struct cairn_buf *to, struct cairn_zk_vector vector)
{
    struct cairn_zk_id id;

    if (!open_list(to, "ids", vector))
        return;
    for (bool first = true; cairn_zk_id_next(&vector.items, &id); first = false) {
        cairn_buf_str(to, first ? "" : ", ");
        word(to, id.scheme);
        cairn_buf_u8(to, ' ');
        word(to, id.user);
    }
    cairn_buf_u8(to, ']');
}

static void tell_stat(struct cairn_buf *to, const struct cairn_zk_stat *stat)
{
    static const struct cairn_zk_stat none;

    if (memcmp(stat, &none, sizeof none) == 0)
        return;
    cairn_buf_printf(to,
                     " stat=(%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d %d %d %" PRId64 " %d %d %" PRId64 ")",
                     stat->czxid, stat->mzxid, stat->ctime, stat->mtime, stat->version, stat->cversion, stat->aversion,
                     stat->ephemeral_owner, stat->data_length, stat->num_children, stat->pzxid);
}

void zk_request_text(struct cairn_buf *to, const struct cairn_zk_request *request)
{
    static const char *const watches[] = {"data_watches", "exist", "child", "persistent", "recursive"};
    struct cairn_bytes parts = request->multi.items;
    struct cairn_zk_request part;

    cairn_buf_str(to, cairn_zk_op_name(request->op));
    tell_number(to, "xid", request->xid);
    tell_text(to, "path", request->path);
    tell_data(to, "data", request->data);
    tell_text(to, "scheme", request->scheme);
    tell_acl(to, request->acl);
    tell_number(to, "flags", request->flags);
    tell_number(to, "version", request->version);
    tell_number(to, "kind", request->kind);
    tell_number(to, "watch", request->watch);
    tell_number(to, "ttl", request->ttl_ms);
    tell_number(to, "zxid", request->zxid);
    for (int i = 0; i < CAIRN_ZK_SET_COUNT; i++)
        tell_strings(to, watches[i], request->watches[i]);
    tell_text(to, "joining", request->joining);
    tell_text(to, "leaving", request->leaving);
    tell_text(to, "members", request->members);
    while (cairn_zk_multi_next(&parts, &part)) {
        cairn_buf_str(to, " {");
        zk_request_text(to, &part);
        cairn_buf_u8(to, '}');
    }
}

void zk_reply_text(struct cairn_buf *to, int32_t op, const struct cairn_zk_reply *reply)
{
    struct cairn_bytes slots = reply->multi.items;
    struct cairn_zk_reply slot;
    int32_t slot_op;

    cairn_buf_str(to, cairn_zk_op_name(op));
    tell_number(to, "xid", reply->xid);
    tell_number(to, "zxid", reply->zxid);
    tell_number(to, "error", reply->error);
    tell_text(to, "path", reply->path);
    tell_data(to, "data", reply->data);
    tell_stat(to, &reply->stat);
    tell_acl(to, reply->acl);
    tell_strings(to, "names", reply->names);
    tell_ids(to, reply->ids);
    tell_number(to, "number", reply->number);
    while (cairn_zk_result_next(&slots, &slot_op, &slot)) {
        cairn_buf_str(to, " {");
        zk_reply_text(to, slot_op, &slot);
        cairn_buf_u8(to, '}');
    }
}

void zk_event_text(struct cairn_buf *to, const struct cairn_zk_event *event)
{
    cairn_buf_str(to, "event");
    tell_number(to, "zxid", event->zxid);
    tell_number(to, "type", event->type);
    tell_number(to, "state", event->state);
    tell_text(to, "path", event->path);
}

void zk_connect_text(struct cairn_buf *to, const struct cairn_zk_connect *connect)
{
    cairn_buf_str(to, "connect");
    tell_number(to, "protocol", connect->protocol);
    tell_number(to, "timeout", connect->timeout_ms);
    tell_number(to, "seen", connect->last_zxid_seen);
    tell_number(to, "session", connect->session);
    tell_data(to, "password", connect->password);
    if (connect->has_read_only)
        cairn_buf_printf(to, " read_only=%d", connect->read_only);
}

void zk_connected_text(struct cairn_buf *to, const struct cairn_zk_connected *connected)
{
    cairn_buf_str(to, "connected");
    tell_number(to, "protocol", connected->protocol);
    tell_number(to, "timeout", connected->timeout_ms);
    tell_number(to, "session", connected->session);
    tell_data(to, "password", connected->password);
    if (connected->has_read_only)
        cairn_buf_printf(to, " read_only=%d", connected->read_only);
}
