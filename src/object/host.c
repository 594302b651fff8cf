/* host.c - what the guest's host calls mean: fields over the segment's overlay, calls, time; ordered maps are in
 * host_ordered.c.
 *
 * `run` is the invocation.  All reads pass overlay_get or the segment's header; all writes pass
 * `writable`, which holds the limits. */
#include <inttypes.h>
#include <stdlib.h>

#include "object/call.h"
#include "object/delivery.h"
#include "object/direct.h"
#include "object/fields.h"
#include "object/host.h"
#include "object/host_ordered.h"
#include "object/host_timers.h"
#include "object/invocation.h"
#include "object/layout.h"
#include "object/method_log.h"
#include "object/once.h"
#include "object/segment.h"
#include "object/span.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    LIST_DROP_MAX = 4096,
};

/* --- lifecycle, arguments, result ----------------------------------------------------------- */

static void host_restart(void *run)
{
    struct invocation *inv = run;

    segment_restart(inv->worker, inv);
    if (inv->call_count) /* those that it has run itself (direct.c) count for nothing: they are made again */
        atomic_fetch_sub_explicit(&inv->job->calls, inv->call_count, memory_order_relaxed);
    invocation_forget_calls(inv->worker, inv);
    if (inv->span)
        span_forget_calls(inv);
    inv->result.size = 0;
    inv->failed = false;
    inv->args_read = 0;
    stat_add(&inv->worker->counts.restarts, 1);
}

static struct cairn_bytes host_args(void *run)
{
    struct invocation *inv = run;

    inv->args_read = UINT32_MAX;
    return inv->args;
}

static void host_args_read(void *run, uint32_t count)
{
    ((struct invocation *)run)->args_read = count;
}

static struct cairn_bytes host_who(void *run, enum cairn_who which)
{
    struct invocation *inv = run;

    switch (which) {
    case CAIRN_WHO_SELF_TYPE:
        return inv->type->name;
    case CAIRN_WHO_SELF_ID:
        return object_id(inv->object);
    case CAIRN_WHO_CALLER_TYPE:
        inv->keeps_result = false; /* another caller may get another result */
        return inv->caller_type;
    case CAIRN_WHO_CALLER_ID:
        inv->keeps_result = false;
        return inv->caller_id;
    case CAIRN_WHO_REQUEST_KEY:
        inv->keeps_result = false;
        return once_client_key(inv);
    }
    return cairn_bytes(NULL, 0);
}

static enum cairn_code host_result(void *run, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (value.size > inv->method->limits.most[CAIRN_LIMIT_RESULT]) {
        cairn_fail(err, CAIRN_ELIMIT, "the result has %zu bytes; at most %" PRIu64 " are allowed", value.size,
                   inv->method->limits.most[CAIRN_LIMIT_RESULT]);
        method_limit_tell(inv, CAIRN_LIMIT_RESULT, err);
        return CAIRN_ELIMIT;
    }
    if (!cairn_value_valid(value))
        return cairn_fail(err, CAIRN_ETRAP, "the result is not a well-formed value");
    inv->result.size = 0;
    cairn_buf_add(&inv->result, value.data, value.size);
    inv->failed = value.data[0] == (uint8_t)CAIRN_VALUE_ERROR;
    return CAIRN_OK;
}

static enum cairn_code host_fail(void *run, struct cairn_bytes code, struct cairn_bytes message, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (!cairn_name_valid(code))
        return cairn_fail(err, CAIRN_ETRAP, "a method's error code must be a name of at most 64 letters, digits and _");
    if (message.size > 4096)
        message.size = 4096;
    inv->result.size = 0;
    cairn_value_add_error(&inv->result, code, message);
    inv->failed = true;
    return CAIRN_OK;
}

enum cairn_code writes_too_much(const struct invocation *inv, struct cairn_err *err)
{
    cairn_fail(err, CAIRN_ELIMIT,
               "the segment writes more than %" PRIu64 " bytes or %d keys; split the work with a call",
               inv->method->limits.most[CAIRN_LIMIT_WRITE_SET], WRITES_PER_SEGMENT_MAX);
    method_limit_tell(inv, CAIRN_LIMIT_WRITE_SET, err);
    return CAIRN_ELIMIT;
}

/* --- values ---------------------------------------------------------------------------------- */

static enum cairn_code host_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                      struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_VALUE, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = incarnation_of(inv) &&
                 overlay_get(overlay_of(inv), cairn_bytes(key, key_field(key, incarnation_of(inv), number)), ret_value);
    return CAIRN_OK;
}

static enum cairn_code host_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_VALUE, &number, err);

    if (code == CAIRN_OK)
        code = writable(inv, value.size + sizeof key, err);
    if (code == CAIRN_OK)
        overlay_put(overlay_of(inv), cairn_bytes(key, key_field(key, incarnation_of(inv), number)), value);
    return code;
}

static enum cairn_code host_value_clear(void *run, uint32_t field, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes old;
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_VALUE, &number, err);

    if (code == CAIRN_OK && !inv->read_only && incarnation_of(inv) == 0)
        return CAIRN_OK; /* clearing what is not there does not make the object exist */
    if (code == CAIRN_OK)
        code = writable(inv, sizeof key, err);
    if (code == CAIRN_OK) {
        struct cairn_bytes k = cairn_bytes(key, key_field(key, incarnation_of(inv), number));
        if (overlay_get(overlay_of(inv), k, &old))
            overlay_remove(overlay_of(inv), k);
    }
    return code;
}

/* --- lists ----------------------------------------------------------------------------------- */

static enum cairn_code host_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    return count_of(run, field, CAIRN_FIELD_LIST, ret_count, err);
}

static enum cairn_code host_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c;

    if (code == CAIRN_OK)
        code = writable(inv, value.size + sizeof key, err);
    if (code != CAIRN_OK)
        return code;
    c = container_of(inv, number, true);
    overlay_put(overlay_of(inv),
                cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, c->first + c->count)), value);
    c->count++;
    return CAIRN_OK;
}

static enum cairn_code host_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                     bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c;

    if (code != CAIRN_OK)
        return code;
    c = container_of(inv, number, false);
    *ret_found =
        c && index < c->count &&
        overlay_get(overlay_of(inv),
                    cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, c->first + index)), ret_value);
    return CAIRN_OK;
}

static enum cairn_code host_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value,
                                     bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c = NULL;

    if (code != CAIRN_OK)
        return code;
    if (!inv->read_only)
        c = container_of(inv, number, false);
    *ret_found = c && index < c->count;
    if (!inv->read_only && !*ret_found)
        return CAIRN_OK;
    code = writable(inv, value.size + sizeof key, err);
    if (code != CAIRN_OK)
        return code;
    overlay_put(overlay_of(inv), cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, c->first + index)),
                value);
    return CAIRN_OK;
}

static enum cairn_code host_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                                      struct cairn_err *err)
{
    struct invocation *inv = run;
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c = NULL;

    if (code != CAIRN_OK)
        return code;
    *ret_dropped = 0;
    if (!inv->read_only) {
        c = container_of(inv, number, false);
        if (!c || !c->count || !count)
            return CAIRN_OK;
    }
    if (c && count > c->count)
        count = c->count;
    if (count > LIST_DROP_MAX)
        count = LIST_DROP_MAX;
    code = writable(inv, (size_t)count * (FIELD_KEY_FIXED_MAX + 16), err);
    if (code != CAIRN_OK)
        return code;
    c = container_of(inv, number, true);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t key[FIELD_KEY_FIXED_MAX];
        uint64_t n = from_back ? c->first + c->count - 1 : c->first;
        overlay_remove(overlay_of(inv), cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, n)));
        c->first += !from_back;
        c->count--;
    }
    *ret_dropped = count;
    return CAIRN_OK;
}

/* --- maps: an entry holds its place, a place its key; the last entry fills a hole ------------- */

static enum cairn_code map_key_of(struct invocation *inv, uint32_t field, struct cairn_bytes key, uint8_t *to,
                                  struct cairn_bytes *ret_key, uint32_t *ret_number, struct cairn_err *err)
{
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_MAP, ret_number, err);

    if (code != CAIRN_OK)
        return code;
    if (key.size > MAP_KEY_BYTES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "a map's key has %zu bytes; at most %d are allowed", key.size,
                          MAP_KEY_BYTES_MAX);
    *ret_key = cairn_bytes(to, key_map_entry(to, incarnation_of(inv), *ret_number, key));
    return CAIRN_OK;
}

static struct cairn_bytes entry_value(struct cairn_bytes entry, uint64_t *ret_place)
{
    struct cairn_reader r = cairn_reader(entry);

    *ret_place = cairn_read_varint(&r);
    return cairn_read_bytes(&r, cairn_reader_left(&r));
}

static void entry_put(struct invocation *inv, struct cairn_bytes key, uint64_t place, struct cairn_bytes value)
{
    size_t most = CAIRN_VARINT_BYTES_MAX + value.size, n;
    uint8_t small[512], *entry = most <= sizeof small ? small : cairn_alloc(most);

    n = cairn_put_varint(entry, place);
    if (value.size)
        memcpy(entry + n, value.data, value.size);
    overlay_put(overlay_of(inv), key, cairn_bytes(entry, n + value.size));
    if (entry != small)
        free(entry);
}

static enum cairn_code host_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    return count_of(run, field, CAIRN_FIELD_MAP, ret_count, err);
}

static enum cairn_code host_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                    bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    struct cairn_bytes k, entry;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = map_key_of(inv, field, key, bytes, &k, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = incarnation_of(inv) && overlay_get(overlay_of(inv), k, &entry);
    if (*ret_found)
        *ret_value = entry_value(entry, &place);
    return CAIRN_OK;
}

static enum cairn_code host_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                    struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    struct cairn_bytes k, entry;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = writable(inv, 2 * (key.size + FIELD_KEY_FIXED_MAX) + value.size, err);

    if (code == CAIRN_OK)
        code = map_key_of(inv, field, key, bytes, &k, &number, err);
    if (code != CAIRN_OK)
        return code;
    if (overlay_get(overlay_of(inv), k, &entry)) {
        entry_value(entry, &place);
    } else {
        uint8_t place_key[FIELD_KEY_FIXED_MAX];
        struct container *c = container_of(inv, number, true);
        place = c->count++;
        overlay_put(overlay_of(inv),
                    cairn_bytes(place_key, key_map_place(place_key, incarnation_of(inv), number, place)), key);
    }
    entry_put(inv, k, place, value);
    return CAIRN_OK;
}

static enum cairn_code host_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                       struct cairn_err *err)
{
    struct invocation *inv = run;
    struct overlay *overlay = overlay_of(inv);
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX], last_place[FIELD_KEY_FIXED_MAX], hole[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes k, entry, last_key, last;
    struct container *c;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = map_key_of(inv, field, key, bytes, &k, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = incarnation_of(inv) && overlay_get(overlay, k, &entry);
    if (!*ret_found && !inv->read_only)
        return CAIRN_OK;
    code = writable(inv, 4 * (MAP_KEY_BYTES_MAX + FIELD_KEY_FIXED_MAX), err);
    if (code != CAIRN_OK)
        return code;
    entry_value(entry, &place);
    c = container_of(inv, number, true);
    c->count--;
    last = cairn_bytes(last_place, key_map_place(last_place, incarnation_of(inv), number, c->count));
    if (place != c->count && overlay_get(overlay, last, &last_key)) {
        uint8_t moved[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
        struct cairn_bytes moved_key = cairn_bytes(moved, key_map_entry(moved, incarnation_of(inv), number, last_key));
        uint64_t old_place;

        overlay_put(overlay, cairn_bytes(hole, key_map_place(hole, incarnation_of(inv), number, place)),
                    cairn_arena_copy(&overlay->arena, last_key));
        if (overlay_get(overlay, moved_key, &entry)) {
            struct cairn_bytes value = entry_value(entry, &old_place);
            entry_put(inv, moved_key, place, cairn_arena_copy(&overlay->arena, value));
        }
    }
    overlay_remove(overlay, last);
    overlay_remove(overlay, k);
    return CAIRN_OK;
}

static enum cairn_code host_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                                   struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t place_key[FIELD_KEY_FIXED_MAX], bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    struct cairn_bytes entry;
    struct container *c;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_MAP, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = false;
    c = container_of(inv, number, false);
    if (!c || index >= c->count)
        return CAIRN_OK;
    if (!overlay_get(overlay_of(inv),
                     cairn_bytes(place_key, key_map_place(place_key, incarnation_of(inv), number, index)), ret_key))
        return CAIRN_OK;
    if (!overlay_get(overlay_of(inv), cairn_bytes(bytes, key_map_entry(bytes, incarnation_of(inv), number, *ret_key)),
                     &entry))
        return CAIRN_OK;
    *ret_value = entry_value(entry, &place);
    *ret_found = true;
    return CAIRN_OK;
}

/* --- reading ahead ---------------------------------------------------------------------------- */

/* The engine's lines for a row of entries are fetched together, not one after the other. */
static void fetch(struct cairn_view *engine, const uint64_t *hashes, uint64_t count)
{
    for (int depth = 0; depth < 2; depth++)
        for (uint64_t i = 0; i < count; i++)
            engine->ops->prefetch(engine, hashes[i], depth);
}

static void host_ahead(void *run, uint32_t field, uint64_t index, bool down, uint64_t count)
{
    struct invocation *inv = run;
    struct cairn_view *engine = overlay_of(inv)->engine;
    uint8_t keys[CAIRN_AHEAD_MAX][FIELD_KEY_FIXED_MAX], key[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    uint64_t hashes[CAIRN_AHEAD_MAX], left;
    size_t sizes[CAIRN_AHEAD_MAX];
    struct container *c;
    const struct type_field *f;
    bool list;

    if (field >= inv->type->field_end)
        return;
    f = &inv->type->fields[field];
    list = f->kind == CAIRN_FIELD_LIST;
    c = list || f->kind == CAIRN_FIELD_MAP ? container_of(inv, f->number, false) : NULL;
    if (!c || index >= c->count)
        return;
    left = down ? index + 1 : c->count - index;
    count = count < left ? count : left;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = down ? index - i : index + i;
        sizes[i] = list ? key_list_entry(keys[i], incarnation_of(inv), f->number, c->first + n)
                        : key_map_place(keys[i], incarnation_of(inv), f->number, n);
        hashes[i] = cairn_hash(cairn_bytes(keys[i], sizes[i]));
    }
    fetch(engine, hashes, count);
    if (list)
        return;
    for (uint64_t i = 0; i < count; i++) { /* the places tell the keys */
        struct cairn_bytes name;
        if (engine->ops->get(engine, cairn_bytes(keys[i], sizes[i]), hashes[i], &name) &&
            name.size <= MAP_KEY_BYTES_MAX)
            hashes[i] = cairn_hash(cairn_bytes(key, key_map_entry(key, incarnation_of(inv), f->number, name)));
    }
    (void)cairn_engine_take_failure(engine, NULL); /* who reads in earnest finds it again */
    fetch(engine, hashes, count);
}

static enum cairn_code host_delete_self(void *run, struct cairn_err *err)
{
    struct invocation *inv = run;

    return inv->read_only ? writable(inv, 0, err) : (segment_delete(inv), CAIRN_OK);
}

/* --- calls ----------------------------------------------------------------------------------- */

static enum cairn_code host_call(void *run, struct cairn_bytes type_name, struct cairn_bytes id,
                                 struct cairn_bytes method_name, struct cairn_bytes args, uint32_t *ret_call,
                                 struct cairn_err *err)
{
    struct invocation *inv = run, *callee;
    struct type *type =
        cairn_bytes_equal(type_name, inv->type->name) ? inv->type : type_find(inv->worker, inv->type->space, type_name);
    struct call_aim aim = {&operation_invoke,     type_name, id, method_name, args, inv->type->name,
                           object_id(inv->object)};
    enum cairn_code code;

    if (id.size == 0 || id.size > CAIRN_ID_BYTES_MAX || !cairn_name_valid(type_name) || !cairn_name_valid(method_name))
        return cairn_fail(err, CAIRN_ETRAP, "a call needs a type, an id of 1 to %d bytes, and a method",
                          CAIRN_ID_BYTES_MAX);
    code = call_make(inv, &aim, &callee, err);
    if (code != CAIRN_OK)
        return code;
    callee->must_read_only = inv->method->decl->read_only || inv->must_read_only;
    callee->must_deterministic = inv->method->decl->deterministic || inv->must_deterministic;
    callee->may_internal = type && type->module && strcmp(type->module->name, inv->type->module->name) == 0;
    *ret_call = callee->caller_call;
    return CAIRN_OK;
}

static enum cairn_code host_send(void *run, struct cairn_bytes type_name, struct cairn_bytes id,
                                 struct cairn_bytes method_name, struct cairn_bytes args, int64_t delay_ms,
                                 struct cairn_err *err)
{
    struct invocation *inv = run;
    const struct cairn_limits *limits = &inv->worker->node->limits;
    const struct type *type = inv->type;
    const struct type *to = type_find(inv->worker, type->space, type_name);
    struct posted posted = {.space = type->space->name,
                            .type = type_name,
                            .id = id,
                            .method = method_name,
                            .args = args,
                            .from_type = type->name,
                            .from_id = object_id(inv->object),
                            .parent = {.job = invocation_job(inv)->id, .span = span_id(inv)}};

    if (inv->read_only)
        return cairn_fail(err, CAIRN_ENOTREADONLY, "read-only method %s.%s tried to send a message", type->decl->name,
                          inv->method->decl->name);
    if (args.size > limits->value_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "the message's arguments have %zu bytes; at most %u are allowed",
                          args.size, limits->value_bytes);
    if (id.size == 0 || id.size > CAIRN_ID_BYTES_MAX || !cairn_name_valid(type_name) || !cairn_name_valid(method_name))
        return cairn_fail(err, CAIRN_ETRAP, "a message needs a type, an id of 1 to %d bytes, and a method",
                          CAIRN_ID_BYTES_MAX);
    if (to && to->module && strcmp(to->module->name, type->module->name) == 0)
        posted.flags = POSTED_INTERNAL;
    return messages_send(inv, &posted, delay_ms, err);
}

/* Only those can that go on from a journal. */
static enum cairn_code not_durable(const struct invocation *inv, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ELIMIT, "%s.%s tried to %s%s: only durable methods can", inv->type->decl->name,
                      inv->method->decl->name, what, inv->transaction ? " in a transaction" : "");
}

static enum cairn_code host_sleep(void *run, int64_t ms, uint32_t *ret_call, struct cairn_err *err)
{
    (void)ms, (void)ret_call;
    return not_durable(run, "sleep", err);
}

static enum cairn_code host_promise(void *run, int64_t within_ms, uint8_t to[CAIRN_PROMISE_ID_BYTES],
                                    uint32_t *ret_call, struct cairn_err *err)
{
    (void)within_ms, (void)to, (void)ret_call;
    return not_durable(run, "make a promise", err);
}

static enum cairn_code host_retry(void *run, int64_t delay_ms, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    inv->result.size = 0;
    cairn_value_add_error(&inv->result, cairn_str("retry"),
                          cairn_str(delivery_ask_retry(inv, delay_ms)
                                        ? "the method asks to be tried again"
                                        : "the method asks to be tried again, which only a message is"));
    inv->failed = true;
    return CAIRN_OK;
}

static uint64_t host_attempts(void *run)
{
    return delivery_attempts(run);
}

static enum cairn_code host_ready(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (call != UINT32_MAX && call >= inv->call_count)
        return cairn_fail(err, CAIRN_ETRAP, "waiting for call %u, but only %u were issued", call, inv->call_count);
    inv->awaiting = call;
    if (call == UINT32_MAX)
        *ret_ready = inv->calls_out == 0 && inv->segment->call_count == 0;
    else
        *ret_ready = inv->calls[call].state == CALL_DONE;
    return CAIRN_OK;
}

static enum cairn_code host_call_result(void *run, uint32_t call, struct cairn_bytes *ret_value, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (call >= inv->call_count || inv->calls[call].state != CALL_DONE)
        return cairn_fail(err, CAIRN_ETRAP, "the result of call %u was asked for before waiting for it", call);
    inv->calls[call].seen = true;
    *ret_value =
        cairn_bytes(inv->calls[call].large ? inv->calls[call].large : inv->calls[call].small, inv->calls[call].size);
    return CAIRN_OK;
}

/* --- time, randomness, log lines -------------------------------------------------------------- */

static enum cairn_code not_deterministic(struct invocation *inv, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ENOTDETERM, "deterministic method %s.%s used `%s`", inv->type->decl->name,
                      inv->method->decl->name, what);
}

static enum cairn_code host_now_ms(void *run, int64_t *ret_ms, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (inv->method->decl->deterministic || inv->must_deterministic)
        return not_deterministic(inv, "now", err);
    *ret_ms = invocation_now_ms(inv);
    dependency_join(&inv->depends, (struct dependency){.time_ms = (uint64_t)*ret_ms});
    return CAIRN_OK;
}

static enum cairn_code host_random(void *run, uint8_t *out, size_t size, struct cairn_err *err)
{
    struct invocation *inv = run;

    if (inv->method->decl->deterministic || inv->must_deterministic)
        return not_deterministic(inv, "random", err);
    cairn_random_fill(&inv->worker->random, out, size);
    return CAIRN_OK;
}

static void host_log(void *run, uint32_t level, struct cairn_bytes line)
{
    ((struct invocation *)run)->keeps_result = false; /* the line is to be written each time */
    method_log_add(run, level, line);
}

const struct cairn_host_ops object_host_ops = {
    .restart = host_restart,
    .args = host_args,
    .args_read = host_args_read,
    .who = host_who,
    .result = host_result,
    .fail = host_fail,
    .value_get = host_value_get,
    .value_set = host_value_set,
    .value_clear = host_value_clear,
    .list_count = host_list_count,
    .list_push = host_list_push,
    .list_set = host_list_set,
    .list_get = host_list_get,
    .list_drop = host_list_drop,
    .map_count = host_map_count,
    .map_get = host_map_get,
    .map_set = host_map_set,
    .map_remove = host_map_remove,
    .map_at = host_map_at,
    .ordered_count = host_ordered_count,
    .ordered_get = host_ordered_get,
    .ordered_set = host_ordered_set,
    .ordered_remove = host_ordered_remove,
    .ordered_rank = host_ordered_rank,
    .ordered_read = host_ordered_read,
    .ordered_read_at = host_ordered_read_at,
    .ahead = host_ahead,
    .delete_self = host_delete_self,
    .call = host_call,
    .send = host_send,
    .sleep = host_sleep,
    .promise = host_promise,
    .retry = host_retry,
    .attempts = host_attempts,
    .timer_set = host_timer_set,
    .timer_cancel = host_timer_cancel,
    .timer_due = host_timer_due,
    .timer_missed = host_timer_missed,
    .ready = host_ready,
    .poll = host_ready,
    .run_calls = direct_run_calls,
    .call_result = host_call_result,
    .now_ms = host_now_ms,
    .random = host_random,
    .log = host_log,
};
