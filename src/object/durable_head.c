#include "object/durable_head.h"

enum { FORMAT = 3, FORMAT_ASKED = 4, HAS_CALLER = 1 };

static void add_sized(struct cairn_buf *to, struct cairn_bytes bytes)
{
    cairn_buf_varint(to, bytes.size);
    cairn_buf_add(to, bytes.data, bytes.size);
}

void durable_head_encode(struct cairn_buf *to, const struct durable_head *head)
{
    cairn_buf_u8(to, head->cancel_ms ? FORMAT_ASKED : FORMAT);
    if (head->cancel_ms)
        cairn_buf_varint(to, head->cancel_ms);
    cairn_buf_add(to, head->module.data, CAIRN_SHA256_BYTES);
    cairn_buf_varint(to, head->version);
    cairn_buf_varint(to, head->depth);
    cairn_buf_varint(to, head->began_ms);
    cairn_traceparent_add(to, &head->parent);
    add_sized(to, head->space);
    add_sized(to, head->type);
    add_sized(to, head->id);
    add_sized(to, head->method);
    add_sized(to, head->args);
    cairn_buf_u8(to, head->caller_type.data ? HAS_CALLER : 0);
    if (head->caller_type.data) {
        add_sized(to, head->caller_type);
        add_sized(to, head->caller_id);
    }
    cairn_buf_u8(to, (uint8_t)head->key_kind);
    if (head->key_kind == DURABLE_KEY_CLIENT)
        add_sized(to, head->key);
    if (head->key_kind == DURABLE_KEY_CALL) {
        cairn_buf_varint(to, head->called.shard);
        cairn_buf_varint(to, head->called.number);
        cairn_buf_varint(to, head->called.call);
    }
    if (head->key_kind == DURABLE_KEY_MESSAGE) {
        cairn_buf_varint(to, head->letter.number);
        cairn_buf_u8(to, head->letter.flags);
        cairn_buf_varint(to, head->letter.sent_ms);
        cairn_buf_varint(to, head->letter.attempts);
        cairn_buf_varint(to, head->letter.timer_due_ms);
        cairn_buf_varint(to, head->letter.timer_missed);
    }
}

bool durable_head_decode(struct cairn_bytes bytes, struct durable_head *head)
{
    struct cairn_reader r = cairn_reader(bytes);
    uint8_t format;

    *head = (struct durable_head){0};
    format = cairn_read_u8(&r);
    if (format != FORMAT && format != FORMAT_ASKED)
        return false;
    if (format == FORMAT_ASKED)
        head->cancel_ms = cairn_read_varint(&r);
    head->module = cairn_read_bytes(&r, CAIRN_SHA256_BYTES);
    head->version = (uint32_t)cairn_read_varint(&r);
    head->depth = (uint32_t)cairn_read_varint(&r);
    head->began_ms = cairn_read_varint(&r);
    head->parent = cairn_traceparent_take(&r);
    head->space = cairn_read_sized(&r);
    head->type = cairn_read_sized(&r);
    head->id = cairn_read_sized(&r);
    head->method = cairn_read_sized(&r);
    head->args = cairn_read_sized(&r);
    if (cairn_read_u8(&r) == HAS_CALLER) {
        head->caller_type = cairn_read_sized(&r);
        head->caller_id = cairn_read_sized(&r);
    }
    head->key_kind = (enum durable_key)cairn_read_u8(&r);
    if (head->key_kind == DURABLE_KEY_CLIENT)
        head->key = cairn_read_sized(&r);
    if (head->key_kind == DURABLE_KEY_CALL) {
        head->called.shard = (uint32_t)cairn_read_varint(&r);
        head->called.number = cairn_read_varint(&r);
        head->called.call = (uint32_t)cairn_read_varint(&r);
    }
    if (head->key_kind == DURABLE_KEY_MESSAGE) {
        head->letter.number = cairn_read_varint(&r);
        head->letter.flags = cairn_read_u8(&r);
        head->letter.sent_ms = cairn_read_varint(&r);
        head->letter.attempts = cairn_read_varint(&r);
        head->letter.timer_due_ms = cairn_read_varint(&r);
        head->letter.timer_missed = cairn_read_varint(&r);
    }
    return !r.bad && cairn_reader_left(&r) == 0 && head->key_kind <= DURABLE_KEY_MESSAGE && head->id.size > 0 &&
           head->id.size <= CAIRN_ID_BYTES_MAX;
}
