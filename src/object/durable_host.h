/* durable_host.h - host calls of a durable invocation: object_host_ops behind a journal.
 *
 * Live, a host call is done and then noted.  Along the journal it is answered from there, and nothing is done.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_DURABLE_HOST_H
#define CAIRN_OBJECT_DURABLE_HOST_H

#include "object/durable_internal.h"
#include "object/host.h"

static const struct cairn_bytes durable_none = {0};

static inline uint32_t durable_hash(uint64_t a, uint64_t b, struct cairn_bytes x, struct cairn_bytes y)
{
    return (uint32_t)cairn_hash_seeded(y, cairn_hash_seeded(x, a * 0x9e3779b97f4a7c15u + b));
}

static inline enum cairn_code durable_note_done(struct invocation *inv, enum journal_op op, uint32_t args,
                                                struct cairn_err *err)
{
    uint8_t *to;

    return durable_note(inv, op, args, 0, &to, err);
}

static inline enum cairn_code durable_note_number(struct invocation *inv, enum journal_op op, uint32_t args,
                                                  uint64_t number, struct cairn_err *err)
{
    uint8_t *to;
    enum cairn_code code = durable_note(inv, op, args, 8, &to, err);

    if (code == CAIRN_OK)
        cairn_put_u64(to, number);
    return code;
}

static inline uint64_t durable_number_in(struct cairn_bytes result)
{
    return result.size == 8 ? cairn_get_u64(result.data) : 0;
}

/* One byte whether there is one, then the bytes. */
static inline enum cairn_code durable_note_found(struct invocation *inv, enum journal_op op, uint32_t args, bool found,
                                                 struct cairn_bytes value, struct cairn_err *err)
{
    size_t size = found ? value.size : 0;
    uint8_t *to;
    enum cairn_code code = durable_note(inv, op, args, 1 + size, &to, err);

    if (code != CAIRN_OK)
        return code;
    to[0] = found;
    if (size)
        memcpy(to + 1, value.data, size);
    return CAIRN_OK;
}

static inline bool durable_found_in(struct cairn_bytes result, struct cairn_bytes *ret_value)
{
    if (result.size < 1 || !result.data[0])
        return false;
    *ret_value = cairn_bytes(result.data + 1, result.size - 1);
    return true;
}

/* Begins a host call; `args` is the hash. */
#define DURABLE_BEGIN(which, hash)                                                       \
    struct invocation *inv = run;                                                        \
    const enum journal_op op = which;                                                    \
    const uint32_t args_hash = (hash);                                                   \
    struct cairn_bytes known_result = durable_none;                                      \
    bool known;                                                                          \
    enum cairn_code code = durable_look(inv, op, args_hash, &known, &known_result, err); \
    if (code != CAIRN_OK)                                                                \
    return code

#define DURABLE_WRITE(call) \
    if (known)              \
        return CAIRN_OK;    \
    code = (call);          \
    return code == CAIRN_OK ? durable_note_done(inv, op, args_hash, err) : code

/* --- durable_fields.c --- */

enum cairn_code durable_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
enum cairn_code durable_value_clear(void *run, uint32_t field, struct cairn_err *err);
enum cairn_code durable_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
enum cairn_code durable_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                struct cairn_err *err);
enum cairn_code durable_delete_self(void *run, struct cairn_err *err);
enum cairn_code durable_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                                 struct cairn_err *err);
enum cairn_code durable_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                                  struct cairn_err *err);
enum cairn_code durable_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                   struct cairn_err *err);
enum cairn_code durable_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                  struct cairn_err *err);
enum cairn_code durable_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                 bool *ret_found, struct cairn_err *err);
enum cairn_code durable_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                bool *ret_found, struct cairn_err *err);
enum cairn_code durable_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code durable_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code durable_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                               struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err);
void durable_ahead(void *run, uint32_t field, uint64_t index, bool down, uint64_t count);

/* --- durable_ordered.c --- */

enum cairn_code durable_ordered_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code durable_ordered_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                    bool *ret_found, struct cairn_err *err);
enum cairn_code durable_ordered_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                    struct cairn_err *err);
enum cairn_code durable_ordered_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                       struct cairn_err *err);
enum cairn_code durable_ordered_rank(void *run, uint32_t field, struct cairn_bytes key, bool with_it,
                                     uint64_t *ret_rank, struct cairn_err *err);
enum cairn_code durable_ordered_read(void *run, uint32_t field, const struct cairn_range *range, struct cairn_taker *to,
                                     struct cairn_err *err);
enum cairn_code durable_ordered_read_at(void *run, uint32_t field, uint64_t place, bool backward,
                                        struct cairn_taker *to, struct cairn_err *err);

#endif
