#include "object/multi.h"

#include <inttypes.h>
#include <stdio.h>

#include "object/call.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/mailbox.h"
#include "object/once.h"
#include "object/quota.h"
#include "object/returned.h"
#include "object/table.h"
#include "object/transaction.h"
#include "object/type.h"
#include "object/worker.h"

/* --- an object's newest change --- */

/* In this process no other change, of this or another object, is ever told by these bytes: an object that has left the
 * worker's memory and came back is told as changed. */
static void tell_change(struct invocation *inv)
{
    const struct object *object = inv->object;
    uint8_t bytes[28];

    dependency_join(&inv->depends, object->last);
    cairn_put_u32(bytes, inv->worker->index);
    cairn_put_u64(bytes + 4, object->generation);
    cairn_put_u64(bytes + 12, object->last.shard);
    cairn_put_u64(bytes + 20, object->last.end);
    inv->result.size = 0;
    cairn_value_add_bytes(&inv->result, cairn_bytes(bytes, sizeof bytes));
}

static const struct operation change_operation = {
    .name = "change",
    .aim = AIM_OBJECT,
    .reads = true,
    .receive = receive_invocation,
    .run = tell_change,
    .answer = receive_result,
};

/* --- the calls --- */

static struct cairn_bytes result_of(struct invocation *root, uint32_t index)
{
    struct call *call = &root->calls[index];

    call->seen = true;
    return cairn_bytes(call->large ? call->large : call->small, call->size);
}

static bool is_error(struct cairn_bytes value, struct cairn_value *ret_error)
{
    struct cairn_reader r = cairn_reader(value);

    *ret_error = cairn_value_read(&r);
    return ret_error->kind == CAIRN_VALUE_ERROR;
}

/* All of it comes to nothing, for what one call says; `what` names it. */
static void fail(struct invocation *root, const char *what, struct cairn_bytes type, struct cairn_bytes id,
                 struct cairn_bytes method, const struct cairn_value *error)
{
    struct cairn_buf text = {0};

    cairn_buf_printf(&text, "%s, %.*s", what, (int)type.size, (const char *)type.data);
    if (method.size)
        cairn_buf_printf(&text, ".%.*s", (int)method.size, (const char *)method.data);
    cairn_buf_printf(&text, " of %.*s: %.*s", (int)id.size, (const char *)id.data, (int)error->bytes.size,
                     (const char *)error->bytes.data);
    root->result.size = 0;
    cairn_value_add_error(&root->result, error->error, cairn_buf_bytes(&text));
    root->failed = true;
    cairn_buf_done(&text);
}

static void fail_call(struct invocation *root, uint32_t index, const struct cairn_value *error)
{
    const struct cairn_multi_call *call = &root->request->calls[index];
    char what[48];

    snprintf(what, sizeof what, "call %" PRIu32 " of %" PRIu32, index + 1, root->request->call_count);
    fail(root, what, call->type, call->id, call->method, error);
}

static struct cairn_value error_of(const struct cairn_err *err)
{
    return (struct cairn_value){
        .kind = CAIRN_VALUE_ERROR, .error = cairn_str(cairn_code_name(err->code)), .bytes = cairn_str(err->text)};
}

/* In a transaction that locks them. */
static void ask_watched(struct invocation *root)
{
    const struct cairn_request *request = root->request;

    for (uint32_t i = 0; i < request->watch_count; i++) {
        const struct cairn_multi_watch *watch = &request->watches[i];
        struct call_aim aim = {.operation = &change_operation, .type = watch->type, .id = watch->id};
        struct invocation *callee;
        struct cairn_err err;

        cairn_err_clear(&err);
        if (call_make(root, &aim, &callee, &err) != CAIRN_OK) {
            struct cairn_value error = error_of(&err);

            fail(root, "watching", watch->type, watch->id, (struct cairn_bytes){0}, &error);
            return;
        }
        callee->must_read_only = true;
    }
    root->awaiting = UINT32_MAX;
}

/* False: one could not be told, and it is over. */
static bool watched_are_told(struct invocation *root)
{
    struct cairn_value value;

    for (uint32_t i = 0; i < root->request->watch_count; i++) {
        const struct cairn_multi_watch *watch = &root->request->watches[i];

        if (!is_error(result_of(root, i), &value))
            continue;
        fail(root, "watching", watch->type, watch->id, (struct cairn_bytes){0}, &value);
        return false;
    }
    return true;
}

static bool is_unchanged(struct invocation *root)
{
    struct cairn_value value;

    for (uint32_t i = 0; i < root->request->watch_count; i++)
        if (is_error(result_of(root, i), &value) || !cairn_bytes_equal(value.bytes, root->request->watches[i].change))
            return false;
    return true;
}

static void make_call(struct invocation *root, uint32_t index)
{
    const struct cairn_multi_call *call = &root->request->calls[index];
    struct call_aim aim = {
        .operation = &operation_invoke, .type = call->type, .id = call->id, .method = call->method, .args = call->args};
    struct invocation *callee;
    struct cairn_err err;

    cairn_err_clear(&err);
    if (call_make(root, &aim, &callee, &err) != CAIRN_OK) {
        struct cairn_value error = error_of(&err);

        fail_call(root, index, &error);
        return;
    }
    callee->depth = root->depth;
    callee->must_read_only = call->read_only;
    root->awaiting = callee->caller_call;
}

/* The results from that call on, as a list. */
static void collect(struct invocation *root, uint32_t first)
{
    struct method_limits own;
    uint64_t most = method_limits_of(root, &own)->most[CAIRN_LIMIT_TRANSACTION];
    uint64_t bytes = 0;

    for (uint32_t i = first; i < root->call_count; i++)
        bytes += root->calls[i].size;
    if (bytes > most) {
        struct cairn_err err;

        cairn_fail(&err, CAIRN_ELIMIT, "the results have %" PRIu64 " bytes together; at most %" PRIu64 " are allowed",
                   bytes, most);
        method_limit_tell(root, CAIRN_LIMIT_TRANSACTION, &err);
        set_error(root, CAIRN_ELIMIT, err.text);
        return;
    }
    root->result.size = 0;
    cairn_value_add_list(&root->result, root->call_count - first);
    for (uint32_t i = first; i < root->call_count; i++) {
        struct cairn_bytes value = result_of(root, i);

        cairn_buf_add(&root->result, value.data, value.size);
    }
    if (!cairn_value_valid(cairn_buf_bytes(&root->result)))
        set_error(root, CAIRN_ELIMIT, "the results are lists in lists too deep for one more");
}

static void run(struct invocation *root)
{
    const struct cairn_request *request = root->request;
    uint32_t made = root->call_count, next = made - request->watch_count;
    struct cairn_value error;

    if (made < request->watch_count) {
        ask_watched(root);
    } else if (next == 0 && !watched_are_told(root)) {
        return;
    } else if (next == 0 && !is_unchanged(root)) {
        root->refused = true; /* nothing has been done: its key stays unused */
        root->result.size = 0;
        cairn_value_add_nil(&root->result);
    } else if (next > 0 && is_error(result_of(root, made - 1), &error)) {
        fail_call(root, next - 1, &error);
    } else if (next < request->call_count) {
        make_call(root, next);
    } else {
        collect(root, request->watch_count);
    }
}

/* --- the root --- */

enum { CALLS_HASH_BYTES = 16 };

static enum cairn_code check(const struct cairn_request *request, struct cairn_err *err)
{
    if (request->call_count + request->watch_count == 0)
        return cairn_fail(err, CAIRN_EINVAL, "a transaction needs a call");
    for (uint32_t i = 0; i < request->call_count; i++) /* a method's names are told when they are not found */
        if (request->calls[i].id.size == 0 || request->calls[i].id.size > CAIRN_ID_BYTES_MAX)
            return cairn_fail(err, CAIRN_EINVAL, "call %" PRIu32 " of %" PRIu32 ": an id has 1 to %d bytes", i + 1,
                              request->call_count, CAIRN_ID_BYTES_MAX);
    return CAIRN_OK;
}

/* What a key was used with: the calls, as 16 bytes.  What is watched does not count: a client that asks again has
 * looked again. */
static void hash_calls(struct invocation *root)
{
    const struct cairn_request *request = root->request;
    struct cairn_buf all = {0};

    for (uint32_t i = 0; i < request->call_count; i++) {
        const struct cairn_multi_call *call = &request->calls[i];
        const struct cairn_bytes parts[] = {call->type, call->id, call->method, call->args};

        cairn_buf_u8(&all, call->read_only);
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            cairn_buf_varint(&all, parts[k].size);
            cairn_buf_add(&all, parts[k].data, parts[k].size);
        }
    }
    if (root->payload_room < CALLS_HASH_BYTES) {
        root->payload = cairn_realloc(root->payload, CALLS_HASH_BYTES);
        root->payload_room = CALLS_HASH_BYTES;
    }
    cairn_put_u64(root->payload, cairn_hash(cairn_buf_bytes(&all)));
    cairn_put_u64(root->payload + 8, cairn_hash_seeded(cairn_buf_bytes(&all), request->call_count));
    root->args = cairn_bytes(root->payload, CALLS_HASH_BYTES);
    cairn_buf_done(&all);
}

/* At the first call's object, or the first that is watched. */
static void submit(struct cairn_worker *worker, struct invocation *root)
{
    const struct cairn_request *request = root->request;

    root->type_name = request->call_count ? request->calls[0].type : request->watches[0].type;
    root->id = request->call_count ? request->calls[0].id : request->watches[0].id;
    if (request->key.size) {
        hash_calls(root);
        once_make(root, request->key);
    }
    if (request->call_count > 1 && space_is_gated(root->space))
        quota_charge_requests(root->space, root->started_ns, request->call_count - 1);
    submit_to_object(worker, root);
}

/* It takes the lock that its first call needs. */
static void enter(struct invocation *root)
{
    const struct cairn_request *request = root->request;
    const struct method *method = request->call_count ? type_method(root->type, request->calls[0].method) : NULL;

    root->read_only = !root->keyed && (!method || method->decl->read_only); /* a key is written there */
    root->transaction->ends_itself = true;
}

const struct operation multi_operation = {
    .name = "multi",
    .aim = AIM_NODE, /* its calls name objects */
    .is_transaction = true,
    .check = check,
    .submit = submit,
    .receive = receive_invocation,
    .enter = enter,
    .run = run,
    .leave = once_leave,
    .drop = once_drop,
    .answer = hold_answer,
};

/* --- what is watched --- */

static enum cairn_code check_watch(const struct cairn_request *request, struct cairn_err *err)
{
    return request->watch_count ? CAIRN_OK : cairn_fail(err, CAIRN_EINVAL, "there is nothing to watch");
}

static void run_watch(struct invocation *inv)
{
    if (inv->call_count == 0)
        ask_watched(inv);
    else if (watched_are_told(inv))
        collect(inv, 0);
}

const struct operation watch_operation = {
    .name = "watch",
    .aim = AIM_NODE,
    .reads = true,
    .check = check_watch,
    .submit = submit,
    .receive = receive_invocation,
    .run = run_watch,
    .answer = hold_answer,
};
