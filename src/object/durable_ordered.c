/* durable_ordered.c - the host calls of a durable invocation about ordered maps (durable_host.h). */
#include "object/durable_host.h"

enum cairn_code durable_ordered_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_ORDERED_COUNT, durable_hash(field, 0, durable_none, durable_none));

    if (known) {
        *ret_count = durable_number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_count(run, field, ret_count, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_count, err) : code;
}

enum cairn_code durable_ordered_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                    bool *ret_found, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_ORDERED_GET, durable_hash(field, 0, key, durable_none));

    if (known) {
        *ret_found = durable_found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_get(run, field, key, ret_value, ret_found, err);
    return code == CAIRN_OK ? durable_note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

enum cairn_code durable_ordered_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                    struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_ORDERED_SET, durable_hash(field, 0, key, value));
    DURABLE_WRITE(object_host_ops.ordered_set(run, field, key, value, err));
}

enum cairn_code durable_ordered_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                       struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_ORDERED_REMOVE, durable_hash(field, 0, key, durable_none));

    if (known) {
        *ret_found = durable_number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_remove(run, field, key, ret_found, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_found, err) : code;
}

enum cairn_code durable_ordered_rank(void *run, uint32_t field, struct cairn_bytes key, bool with_it,
                                     uint64_t *ret_rank, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_ORDERED_RANK, durable_hash(field, with_it, key, durable_none));

    if (known) {
        *ret_rank = durable_number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_rank(run, field, key, with_it, ret_rank, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_rank, err) : code;
}

/* Hands on what is read, and keeps it: also what was refused, which is refused again. */
struct keeper {
    struct cairn_taker taker; /* first */
    struct cairn_taker *to;
    struct cairn_buf entries; /* u32 size of the key, u32 size of the value, both; each */
};

static bool keep_entry(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct keeper *keeper = (struct keeper *)taker;
    uint8_t sizes[8];

    cairn_put_u32(sizes, (uint32_t)key.size);
    cairn_put_u32(sizes + 4, (uint32_t)value.size);
    cairn_buf_add(&keeper->entries, sizes, sizeof sizes);
    cairn_buf_add(&keeper->entries, key.data, key.size);
    cairn_buf_add(&keeper->entries, value.data, value.size);
    return keeper->to->take(keeper->to, key, value);
}

static struct keeper keeper_for(struct cairn_taker *to)
{
    return (struct keeper){.taker = {.take = keep_entry, .want = to->want, .keys_only = to->keys_only}, .to = to};
}

static enum cairn_code give_again(struct invocation *inv, struct cairn_bytes entries, struct cairn_taker *to,
                                  struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(entries);
    bool goes_on = true;

    while (goes_on && cairn_reader_left(&r)) {
        uint32_t key_size = cairn_read_u32(&r), value_size = cairn_read_u32(&r);
        struct cairn_bytes key = cairn_read_bytes(&r, key_size), value = cairn_read_bytes(&r, value_size);

        if (r.bad)
            return durable_damaged(inv, err);
        goes_on = to->take(to, key, value);
    }
    return CAIRN_OK;
}

static enum cairn_code keep(struct invocation *inv, enum journal_op op, uint32_t args, enum cairn_code code,
                            struct keeper *keeper, struct cairn_err *err)
{
    uint8_t *to;

    if (code == CAIRN_OK)
        code = durable_note(inv, op, args, keeper->entries.size, &to, err);
    if (code == CAIRN_OK && keeper->entries.size)
        memcpy(to, keeper->entries.data, keeper->entries.size);
    cairn_buf_done(&keeper->entries);
    return code;
}

enum cairn_code durable_ordered_read(void *run, uint32_t field, const struct cairn_range *range, struct cairn_taker *to,
                                     struct cairn_err *err)
{
    uint64_t flags = range->above_low | range->with_high << 1 | range->no_high << 2 | range->backward << 3 |
                     to->keys_only << 4 | (uint64_t)to->want << 8;
    DURABLE_BEGIN(JOURNAL_ORDERED_READ, durable_hash(field, flags, range->low, range->high));
    struct keeper keeper = keeper_for(to);

    if (known)
        return give_again(inv, known_result, to, err);
    code = object_host_ops.ordered_read(run, field, range, &keeper.taker, err);
    return keep(inv, op, args_hash, code, &keeper, err);
}

enum cairn_code durable_ordered_read_at(void *run, uint32_t field, uint64_t place, bool backward,
                                        struct cairn_taker *to, struct cairn_err *err)
{
    uint64_t flags = backward | to->keys_only << 1 | (uint64_t)to->want << 8;
    DURABLE_BEGIN(JOURNAL_ORDERED_READ_AT, durable_hash(durable_hash(field, flags, durable_none, durable_none), place,
                                                        durable_none, durable_none));
    struct keeper keeper = keeper_for(to);

    if (known)
        return give_again(inv, known_result, to, err);
    code = object_host_ops.ordered_read_at(run, field, place, backward, &keeper.taker, err);
    return keep(inv, op, args_hash, code, &keeper, err);
}
