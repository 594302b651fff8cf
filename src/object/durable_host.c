/* durable_host.c - the host calls of a durable invocation: object_host_ops behind a journal.
 *
 * Live, a host call is done and then noted.  Along the journal it is answered from there, and nothing is done.
 * Outcomes of calls stand in the journal where they came in, and are taken before the host call that follows them: so
 * a wait is no entry of its own. */
#include "object/delivery.h"
#include "object/durable_internal.h"
#include "object/host.h"
#include "object/journal.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

static const struct cairn_bytes none = {0};

/* --- the journal ----------------------------------------------------------------------------------- */

static uint32_t hash_of(uint64_t a, uint64_t b, struct cairn_bytes x, struct cairn_bytes y)
{
    return (uint32_t)cairn_hash_seeded(y, cairn_hash_seeded(x, a * 0x9e3779b97f4a7c15u + b));
}

static enum cairn_code note_done(struct invocation *inv, enum journal_op op, uint32_t args, struct cairn_err *err)
{
    uint8_t *to;

    return durable_note(inv, op, args, 0, &to, err);
}

static enum cairn_code note_number(struct invocation *inv, enum journal_op op, uint32_t args, uint64_t number,
                                   struct cairn_err *err)
{
    uint8_t *to;
    enum cairn_code code = durable_note(inv, op, args, 8, &to, err);

    if (code == CAIRN_OK)
        cairn_put_u64(to, number);
    return code;
}

static uint64_t number_in(struct cairn_bytes result)
{
    return result.size == 8 ? cairn_get_u64(result.data) : 0;
}

/* One byte whether there is one, then the bytes. */
static enum cairn_code note_found(struct invocation *inv, enum journal_op op, uint32_t args, bool found,
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

static bool found_in(struct cairn_bytes result, struct cairn_bytes *ret_value)
{
    if (result.size < 1 || !result.data[0])
        return false;
    *ret_value = cairn_bytes(result.data + 1, result.size - 1);
    return true;
}

/* --- lifecycle ------------------------------------------------------------------------------------- */

static void durable_restart(void *run)
{
    struct invocation *inv = run;

    durable_forget_calls(inv);
    object_host_ops.restart(run);
    durable_rewind(inv); /* only the first segment of a run starts over */
}

static struct cairn_bytes durable_args(void *run)
{
    return object_host_ops.args(run);
}

static void durable_args_read(void *run, uint32_t count)
{
    object_host_ops.args_read(run, count);
}

static struct cairn_bytes durable_who(void *run, enum cairn_who which)
{
    return object_host_ops.who(run, which);
}

static enum cairn_code durable_result(void *run, struct cairn_bytes value, struct cairn_err *err)
{
    return object_host_ops.result(run, value, err);
}

static enum cairn_code durable_fail(void *run, struct cairn_bytes code, struct cairn_bytes message,
                                    struct cairn_err *err)
{
    return object_host_ops.fail(run, code, message, err);
}

/* --- what changes something ------------------------------------------------------------------------ */

/* Begins a host call; `args` is the hash. */
#define BEGIN(which, hash)                                                               \
    struct invocation *inv = run;                                                        \
    const enum journal_op op = which;                                                    \
    const uint32_t args_hash = (hash);                                                   \
    struct cairn_bytes known_result = none;                                              \
    bool known;                                                                          \
    enum cairn_code code = durable_look(inv, op, args_hash, &known, &known_result, err); \
    if (code != CAIRN_OK)                                                                \
    return code

#define WRITE(call)      \
    if (known)           \
        return CAIRN_OK; \
    code = (call);       \
    return code == CAIRN_OK ? note_done(inv, op, args_hash, err) : code

static enum cairn_code durable_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    BEGIN(JOURNAL_VALUE_SET, hash_of(field, 0, value, none));
    WRITE(object_host_ops.value_set(run, field, value, err));
}

static enum cairn_code durable_value_clear(void *run, uint32_t field, struct cairn_err *err)
{
    BEGIN(JOURNAL_VALUE_CLEAR, hash_of(field, 0, none, none));
    WRITE(object_host_ops.value_clear(run, field, err));
}

static enum cairn_code durable_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    BEGIN(JOURNAL_LIST_PUSH, hash_of(field, 0, value, none));
    WRITE(object_host_ops.list_push(run, field, value, err));
}

static enum cairn_code durable_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                       struct cairn_err *err)
{
    BEGIN(JOURNAL_MAP_SET, hash_of(field, 0, key, value));
    WRITE(object_host_ops.map_set(run, field, key, value, err));
}

static enum cairn_code durable_delete_self(void *run, struct cairn_err *err)
{
    BEGIN(JOURNAL_DELETE_SELF, 0);
    WRITE(object_host_ops.delete_self(run, err));
}

static enum cairn_code durable_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value,
                                        bool *ret_found, struct cairn_err *err)
{
    BEGIN(JOURNAL_LIST_SET, hash_of(field, index, value, none));

    if (known) {
        *ret_found = number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.list_set(run, field, index, value, ret_found, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_found, err) : code;
}

static enum cairn_code durable_list_drop(void *run, uint32_t field, uint64_t count, bool from_back,
                                         uint64_t *ret_dropped, struct cairn_err *err)
{
    BEGIN(JOURNAL_LIST_DROP, hash_of(field, count * 2 + from_back, none, none));

    if (known) {
        *ret_dropped = number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.list_drop(run, field, count, from_back, ret_dropped, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_dropped, err) : code;
}

static enum cairn_code durable_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                          struct cairn_err *err)
{
    BEGIN(JOURNAL_MAP_REMOVE, hash_of(field, 0, key, none));

    if (known) {
        *ret_found = number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.map_remove(run, field, key, ret_found, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_found, err) : code;
}

/* --- what reads ------------------------------------------------------------------------------------ */

static enum cairn_code durable_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                         struct cairn_err *err)
{
    BEGIN(JOURNAL_VALUE_GET, hash_of(field, 0, none, none));

    if (known) {
        *ret_found = found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.value_get(run, field, ret_value, ret_found, err);
    return code == CAIRN_OK ? note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

static enum cairn_code durable_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                        bool *ret_found, struct cairn_err *err)
{
    BEGIN(JOURNAL_LIST_GET, hash_of(field, index, none, none));

    if (known) {
        *ret_found = found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.list_get(run, field, index, ret_value, ret_found, err);
    return code == CAIRN_OK ? note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

static enum cairn_code durable_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                       bool *ret_found, struct cairn_err *err)
{
    BEGIN(JOURNAL_MAP_GET, hash_of(field, 0, key, none));

    if (known) {
        *ret_found = found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.map_get(run, field, key, ret_value, ret_found, err);
    return code == CAIRN_OK ? note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

static enum cairn_code durable_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    BEGIN(JOURNAL_LIST_COUNT, hash_of(field, 0, none, none));

    if (known) {
        *ret_count = number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.list_count(run, field, ret_count, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_count, err) : code;
}

static enum cairn_code durable_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    BEGIN(JOURNAL_MAP_COUNT, hash_of(field, 0, none, none));

    if (known) {
        *ret_count = number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.map_count(run, field, ret_count, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_count, err) : code;
}

/* The key's size (4 bytes), the key, the value; empty: there is none. */
static enum cairn_code durable_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                                      struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err)
{
    BEGIN(JOURNAL_MAP_AT, hash_of(field, index, none, none));
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

static void durable_ahead(void *run, uint32_t field, uint64_t index, bool down, uint64_t count)
{
    if (!((struct invocation *)run)->durable->replays)
        object_host_ops.ahead(run, field, index, down, count);
}

/* --- ordered maps ---------------------------------------------------------------------------------- */

static enum cairn_code durable_ordered_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    BEGIN(JOURNAL_ORDERED_COUNT, hash_of(field, 0, none, none));

    if (known) {
        *ret_count = number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_count(run, field, ret_count, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_count, err) : code;
}

static enum cairn_code durable_ordered_get(void *run, uint32_t field, struct cairn_bytes key,
                                           struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err)
{
    BEGIN(JOURNAL_ORDERED_GET, hash_of(field, 0, key, none));

    if (known) {
        *ret_found = found_in(known_result, ret_value);
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_get(run, field, key, ret_value, ret_found, err);
    return code == CAIRN_OK ? note_found(inv, op, args_hash, *ret_found, *ret_value, err) : code;
}

static enum cairn_code durable_ordered_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                           struct cairn_err *err)
{
    BEGIN(JOURNAL_ORDERED_SET, hash_of(field, 0, key, value));
    WRITE(object_host_ops.ordered_set(run, field, key, value, err));
}

static enum cairn_code durable_ordered_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                              struct cairn_err *err)
{
    BEGIN(JOURNAL_ORDERED_REMOVE, hash_of(field, 0, key, none));

    if (known) {
        *ret_found = number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_remove(run, field, key, ret_found, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_found, err) : code;
}

static enum cairn_code durable_ordered_rank(void *run, uint32_t field, struct cairn_bytes key, bool with_it,
                                            uint64_t *ret_rank, struct cairn_err *err)
{
    BEGIN(JOURNAL_ORDERED_RANK, hash_of(field, with_it, key, none));

    if (known) {
        *ret_rank = number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.ordered_rank(run, field, key, with_it, ret_rank, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_rank, err) : code;
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

static enum cairn_code durable_ordered_read(void *run, uint32_t field, const struct cairn_range *range,
                                            struct cairn_taker *to, struct cairn_err *err)
{
    uint64_t flags = range->above_low | range->with_high << 1 | range->no_high << 2 | range->backward << 3 |
                     to->keys_only << 4 | (uint64_t)to->want << 8;
    BEGIN(JOURNAL_ORDERED_READ, hash_of(field, flags, range->low, range->high));
    struct keeper keeper = keeper_for(to);

    if (known)
        return give_again(inv, known_result, to, err);
    code = object_host_ops.ordered_read(run, field, range, &keeper.taker, err);
    return keep(inv, op, args_hash, code, &keeper, err);
}

static enum cairn_code durable_ordered_read_at(void *run, uint32_t field, uint64_t place, bool backward,
                                               struct cairn_taker *to, struct cairn_err *err)
{
    uint64_t flags = backward | to->keys_only << 1 | (uint64_t)to->want << 8;
    BEGIN(JOURNAL_ORDERED_READ_AT, hash_of(hash_of(field, flags, none, none), place, none, none));
    struct keeper keeper = keeper_for(to);

    if (known)
        return give_again(inv, known_result, to, err);
    code = object_host_ops.ordered_read_at(run, field, place, backward, &keeper.taker, err);
    return keep(inv, op, args_hash, code, &keeper, err);
}

/* --- calls ----------------------------------------------------------------------------------------- */

/* Which method of what, for people. */
static enum cairn_code note_called(struct invocation *inv, uint32_t args, struct cairn_bytes type,
                                   struct cairn_bytes id, struct cairn_bytes method, struct cairn_err *err)
{
    enum { BYTES_MAX = 3 * CAIRN_VARINT_BYTES_MAX + 2 * CAIRN_NAME_BYTES_MAX + CAIRN_ID_BYTES_MAX };
    const struct cairn_bytes parts[] = {type, id, method};
    uint8_t bytes[BYTES_MAX], *to;
    enum cairn_code code;
    size_t size = 0;

    for (int i = 0; i < 3 && size + CAIRN_VARINT_BYTES_MAX + parts[i].size <= sizeof bytes; i++) {
        size += cairn_put_varint(bytes + size, parts[i].size);
        memcpy(bytes + size, parts[i].data, parts[i].size);
        size += parts[i].size;
    }
    code = durable_note(inv, JOURNAL_CALL, args, size, &to, err);
    if (code == CAIRN_OK)
        memcpy(to, bytes, size);
    return code;
}

static enum cairn_code durable_call(void *run, struct cairn_bytes type, struct cairn_bytes id,
                                    struct cairn_bytes method, struct cairn_bytes args, uint32_t *ret_call,
                                    struct cairn_err *err)
{
    BEGIN(JOURNAL_CALL, hash_of(hash_of(0, 0, type, id), 0, method, args));
    struct durable *d = inv->durable;
    struct invocation *callee;

    if (known && inv->call_count < d->known_count && d->known[inv->call_count] != DURABLE_NEW) {
        *ret_call = invocation_add_call(inv); /* its outcome comes behind it */
        return CAIRN_OK;
    }
    /* A committed call whose outcome the journal has not leaves again, under the key that it had. */
    code = object_host_ops.call(run, type, id, method, args, ret_call, err);
    if (code == CAIRN_OK && !known)
        code = note_called(inv, args_hash, type, id, method, err);
    if (code != CAIRN_OK)
        return code;
    if (!d->number)
        d->number = shard_incarnation(inv->object->shard);
    callee = cairn_container(inv->segment->calls.prev, struct invocation, link);
    callee->called = (struct called){.number = d->number, .shard = inv->object->shard->index, .call = *ret_call};
    return CAIRN_OK;
}

/* Of a wait. */
static enum cairn_code durable_ready(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    enum cairn_code code = object_host_ops.ready(run, call, ret_ready, err);

    if (code != CAIRN_OK)
        return code;
    if (__builtin_expect(durable_told(run), 0))
        durable_told_before(run, call);
    return durable_waits(run, call, ret_ready, err);
}

static enum cairn_code durable_poll(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    BEGIN(JOURNAL_READY, hash_of(call, 0, none, none));

    if (known) {
        *ret_ready = number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.poll(run, call, ret_ready, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_ready, err) : code;
}

static enum cairn_code durable_call_result(void *run, uint32_t call, struct cairn_bytes *ret_value,
                                           struct cairn_err *err)
{
    struct invocation *inv = run;

    if (inv->durable->replays && !durable_take_outcomes(inv))
        return durable_damaged(inv, err);
    if (__builtin_expect(durable_told(inv) && call < inv->call_count && inv->calls[call].told, 0)) {
        *ret_value = cairn_buf_bytes(&inv->worker->durables->told);
        return CAIRN_OK;
    }
    return object_host_ops.call_result(run, call, ret_value, err);
}

/* --- time, randomness, log lines ------------------------------------------------------------------- */

static enum cairn_code durable_now_ms(void *run, int64_t *ret_ms, struct cairn_err *err)
{
    BEGIN(JOURNAL_NOW, 0);

    if (known) {
        *ret_ms = (int64_t)number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.now_ms(run, ret_ms, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, (uint64_t)*ret_ms, err) : code;
}

static enum cairn_code durable_random(void *run, uint8_t *out, size_t size, struct cairn_err *err)
{
    BEGIN(JOURNAL_RANDOM, hash_of(size, 0, none, none));
    uint8_t *to;

    if (known) {
        if (known_result.size != size)
            return durable_damaged(inv, err);
        memcpy(out, known_result.data, size);
        return CAIRN_OK;
    }
    code = object_host_ops.random(run, out, size, err);
    if (code == CAIRN_OK)
        code = durable_note(inv, op, args_hash, size, &to, err);
    if (code == CAIRN_OK)
        memcpy(to, out, size);
    return code;
}

static void durable_log(void *run, uint32_t level, struct cairn_bytes line)
{
    if (!((struct invocation *)run)->durable->replays) /* it was there before */
        object_host_ops.log(run, level, line);
}

/* A message stands in the record that has its place in the journal: it is sent, or is not there either. */
static enum cairn_code durable_send(void *run, struct cairn_bytes type, struct cairn_bytes id,
                                    struct cairn_bytes method, struct cairn_bytes args, int64_t delay_ms,
                                    struct cairn_err *err)
{
    BEGIN(JOURNAL_SEND, hash_of(hash_of(0, (uint64_t)delay_ms, type, id), 0, method, args));
    WRITE(object_host_ops.send(run, type, id, method, args, delay_ms, err));
}

static enum cairn_code durable_promise_settle(void *run, struct cairn_bytes id, struct cairn_bytes value,
                                              bool *ret_sent, struct cairn_err *err)
{
    BEGIN(JOURNAL_PROMISE_SETTLE, hash_of(0, 0, id, value));

    if (known) {
        *ret_sent = number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.promise_settle(run, id, value, ret_sent, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_sent, err) : code;
}

/* Nothing of it is committed yet: it is a message's attempt as any other. */
static enum cairn_code durable_retry(void *run, int64_t delay_ms, struct cairn_err *err)
{
    if (delivery_of(run))
        return object_host_ops.retry(run, delay_ms, err);
    return cairn_fail(
        err, CAIRN_ELIMIT,
        "a durable method can ask to be tried again only if a message runs it, and before its first wait");
}

/* What follows is in the head, and so the same however often it is run. */
static uint64_t durable_attempts(void *run)
{
    return delivery_told(run).attempts;
}

static uint64_t durable_timer_due(void *run)
{
    return delivery_told(run).timer_due_ms;
}

static uint64_t durable_timer_missed(void *run)
{
    return delivery_told(run).timer_missed;
}

/* As a message: the timer is in the record that has its place in the journal. */
static enum cairn_code durable_timer_set(void *run, const struct cairn_timer_spec *spec, struct cairn_err *err)
{
    uint64_t when = (uint64_t)(spec->repeats ? spec->period_ms : spec->at_ms);

    BEGIN(JOURNAL_TIMER_SET,
          hash_of(hash_of(hash_of(spec->repeats, when, spec->name, spec->method), 0, spec->cron, spec->zone), 0,
                  spec->args, none));
    WRITE(object_host_ops.timer_set(run, spec, err));
}

static enum cairn_code durable_timer_cancel(void *run, struct cairn_bytes name, bool *ret_found, struct cairn_err *err)
{
    BEGIN(JOURNAL_TIMER_CANCEL, hash_of(0, 0, name, none));

    if (known) {
        *ret_found = number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.timer_cancel(run, name, ret_found, err);
    return code == CAIRN_OK ? note_number(inv, op, args_hash, *ret_found, err) : code;
}

const struct cairn_host_ops durable_host_ops = {
    .restart = durable_restart,
    .args = durable_args,
    .args_read = durable_args_read,
    .who = durable_who,
    .result = durable_result,
    .fail = durable_fail,
    .value_get = durable_value_get,
    .value_set = durable_value_set,
    .value_clear = durable_value_clear,
    .list_count = durable_list_count,
    .list_push = durable_list_push,
    .list_set = durable_list_set,
    .list_get = durable_list_get,
    .list_drop = durable_list_drop,
    .map_count = durable_map_count,
    .map_get = durable_map_get,
    .map_set = durable_map_set,
    .map_remove = durable_map_remove,
    .map_at = durable_map_at,
    .ordered_count = durable_ordered_count,
    .ordered_get = durable_ordered_get,
    .ordered_set = durable_ordered_set,
    .ordered_remove = durable_ordered_remove,
    .ordered_rank = durable_ordered_rank,
    .ordered_read = durable_ordered_read,
    .ordered_read_at = durable_ordered_read_at,
    .ahead = durable_ahead,
    .delete_self = durable_delete_self,
    .call = durable_call,
    .sleep = durable_sleep,
    .promise = durable_promise,
    .promise_settle = durable_promise_settle,
    .send = durable_send,
    .retry = durable_retry,
    .attempts = durable_attempts,
    .timer_set = durable_timer_set,
    .timer_cancel = durable_timer_cancel,
    .timer_due = durable_timer_due,
    .timer_missed = durable_timer_missed,
    .ready = durable_ready,
    .poll = durable_poll,
    .call_result = durable_call_result,
    .now_ms = durable_now_ms,
    .random = durable_random,
    .log = durable_log,
};
