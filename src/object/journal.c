#include "object/journal.h"

static const char *const names[JOURNAL_OP_COUNT] = {
    [JOURNAL_OUTCOME] = "the outcome of a call",
    [JOURNAL_VALUE_GET] = "value_get",
    [JOURNAL_VALUE_SET] = "value_set",
    [JOURNAL_VALUE_CLEAR] = "value_clear",
    [JOURNAL_LIST_COUNT] = "list_count",
    [JOURNAL_LIST_PUSH] = "list_push",
    [JOURNAL_LIST_SET] = "list_set",
    [JOURNAL_LIST_GET] = "list_get",
    [JOURNAL_LIST_DROP] = "list_drop",
    [JOURNAL_MAP_COUNT] = "map_count",
    [JOURNAL_MAP_GET] = "map_get",
    [JOURNAL_MAP_SET] = "map_set",
    [JOURNAL_MAP_REMOVE] = "map_remove",
    [JOURNAL_MAP_AT] = "map_read",
    [JOURNAL_DELETE_SELF] = "delete_self",
    [JOURNAL_CALL] = "call",
    [JOURNAL_READY] = "ready",
    [JOURNAL_NOW] = "now",
    [JOURNAL_RANDOM] = "random",
    [JOURNAL_ORDERED_COUNT] = "ordered_count",
    [JOURNAL_ORDERED_GET] = "ordered_get",
    [JOURNAL_ORDERED_SET] = "ordered_set",
    [JOURNAL_ORDERED_REMOVE] = "ordered_remove",
    [JOURNAL_ORDERED_RANK] = "ordered_rank",
    [JOURNAL_ORDERED_READ] = "ordered_read",
    [JOURNAL_ORDERED_READ_AT] = "ordered_read_at",
    [JOURNAL_SEND] = "send",
    [JOURNAL_SLEEP] = "sleep",
    [JOURNAL_PROMISE] = "promise",
    [JOURNAL_TIMER_SET] = "timer_set",
    [JOURNAL_TIMER_CANCEL] = "timer_cancel",
    [JOURNAL_PROMISE_SETTLE] = "promise_settle",
    [JOURNAL_CANCELLED] = "a wait that told of the cancellation",
};

const char *journal_op_name(enum journal_op op)
{
    return names[op];
}

uint8_t *journal_add(struct cairn_buf *to, enum journal_op op, uint32_t args, size_t size)
{
    uint8_t hash[4];

    cairn_put_u32(hash, args);
    cairn_buf_u8(to, (uint8_t)op);
    cairn_buf_add(to, hash, sizeof hash);
    cairn_buf_varint(to, size);
    cairn_buf_reserve(to, size);
    to->size += size;
    return to->data + to->size - size;
}

void journal_add_outcome(struct cairn_buf *to, uint32_t call, uint32_t shard, struct cairn_bytes value)
{
    cairn_buf_u8(to, JOURNAL_OUTCOME);
    cairn_buf_varint(to, call);
    cairn_buf_varint(to, shard);
    cairn_buf_varint(to, value.size);
    cairn_buf_add(to, value.data, value.size);
}

bool journal_read(struct cairn_reader *r, struct journal_entry *ret_entry)
{
    uint8_t op = cairn_read_u8(r);

    if (op >= JOURNAL_OP_COUNT)
        return false;
    *ret_entry = (struct journal_entry){.op = (enum journal_op)op};
    if (op == JOURNAL_OUTCOME) {
        ret_entry->call = (uint32_t)cairn_read_varint(r);
        ret_entry->shard = (uint32_t)cairn_read_varint(r);
    } else {
        ret_entry->args = cairn_read_u32(r);
    }
    ret_entry->result = cairn_read_sized(r);
    return !r->bad;
}
