/* durable_fields.c - the host calls of a durable invocation about values, lists and maps (durable_host.h). */
#include "object/durable_host.h"

enum cairn_code durable_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_VALUE_SET, durable_hash(field, 0, value, durable_none));
    DURABLE_WRITE(object_host_ops.value_set(run, field, value, err));
}

enum cairn_code durable_value_clear(void *run, uint32_t field, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_VALUE_CLEAR, durable_hash(field, 0, durable_none, durable_none));
    DURABLE_WRITE(object_host_ops.value_clear(run, field, err));
}

enum cairn_code durable_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_LIST_PUSH, durable_hash(field, 0, value, durable_none));
    DURABLE_WRITE(object_host_ops.list_push(run, field, value, err));
}

enum cairn_code durable_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_MAP_SET, durable_hash(field, 0, key, value));
    DURABLE_WRITE(object_host_ops.map_set(run, field, key, value, err));
}

enum cairn_code durable_delete_self(void *run, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_DELETE_SELF, 0);
    DURABLE_WRITE(object_host_ops.delete_self(run, err));
}

enum cairn_code durable_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                                 struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_LIST_SET, durable_hash(field, index, value, durable_none));

    if (known) {
        *ret_found = durable_number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.list_set(run, field, index, value, ret_found, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_found, err) : code;
}

enum cairn_code durable_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                                  struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_LIST_DROP, durable_hash(field, count * 2 + from_back, durable_none, durable_none));

    if (known) {
        *ret_dropped = durable_number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.list_drop(run, field, count, from_back, ret_dropped, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_dropped, err) : code;
}

enum cairn_code durable_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                   struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_MAP_REMOVE, durable_hash(field, 0, key, durable_none));

    if (known) {
        *ret_found = durable_number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.map_remove(run, field, key, ret_found, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_found, err) : code;
}

/* --- what reads ------------------------------------------------------------------------------------ */

enum cairn_code durable_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                  struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_VALUE_GET, durable_hash(field, 0, durable_none, durable_none));

    if (known) {
        *ret_found = durable_found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.value_get(run, field, ret_value, ret_found, err);
    return code == CAIRN_OK ? durable_note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

enum cairn_code durable_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                 bool *ret_found, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_LIST_GET, durable_hash(field, index, durable_none, durable_none));

    if (known) {
        *ret_found = durable_found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.list_get(run, field, index, ret_value, ret_found, err);
    return code == CAIRN_OK ? durable_note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

enum cairn_code durable_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                bool *ret_found, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_MAP_GET, durable_hash(field, 0, key, durable_none));

    if (known) {
        *ret_found = durable_found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.map_get(run, field, key, ret_value, ret_found, err);
    return code == CAIRN_OK ? durable_note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

enum cairn_code durable_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_LIST_COUNT, durable_hash(field, 0, durable_none, durable_none));

    if (known) {
        *ret_count = durable_number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.list_count(run, field, ret_count, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_count, err) : code;
}

enum cairn_code durable_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_MAP_COUNT, durable_hash(field, 0, durable_none, durable_none));

    if (known) {
        *ret_count = durable_number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.map_count(run, field, ret_count, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_count, err) : code;
}

/* The key's size (4 bytes), the key, the value; empty: there is durable_none. */
enum cairn_code durable_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                               struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_MAP_AT, durable_hash(field, index, durable_none, durable_none));
    uint8_t *to;

    if (known) {
        struct cairn_reader r = cairn_reader(known_result);
        uint32_t key_size = known_result.size ? cairn_read_u32(&r) : 0;

        *ret_found = known_result.size > 0;
        *ret_key = cairn_read_bytes(&r, key_size);
        *ret_value = cairn_read_bytes(&r, cairn_reader_left(&r));
        return r.bad ? durable_damaged(inv, err) : CAIRN_OK;
    }
    code = object_host_ops.map_at(run, field, index, ret_key, ret_value, ret_found, err);
    if (code == CAIRN_OK)
        code = durable_note(inv, op, args_hash, *ret_found ? 4 + ret_key->size + ret_value->size : 0, &to, err);
    if (code != CAIRN_OK || !*ret_found)
        return code;
    cairn_put_u32(to, (uint32_t)ret_key->size);
    if (ret_key->size)
        memcpy(to + 4, ret_key->data, ret_key->size);
    if (ret_value->size)
        memcpy(to + 4 + ret_key->size, ret_value->data, ret_value->size);
    return CAIRN_OK;
}

void durable_ahead(void *run, uint32_t field, uint64_t index, bool down, uint64_t count)
{
    if (!((struct invocation *)run)->durable->replays)
        object_host_ops.ahead(run, field, index, down, count);
}
