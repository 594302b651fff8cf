/* POST /v1/transactions: several calls as one transaction (CAIRN_OP_MULTI), in the namespace of the call. */
#include <stdlib.h>

#include "proto/json.h"
#include "server/http_call.h"

/* TYPE, ID, METHOD, and the arguments of one call. */
enum { NAMES = 3 };

/* What is packed from `at` on; false: it ends there. */
static bool next_packed(struct cairn_bytes packed, size_t *at, struct cairn_bytes *ret)
{
    if (packed.size - *at < 4)
        return false;
    *ret = cairn_bytes(packed.data + *at + 4, cairn_get_u32(packed.data + *at));
    *at += 4 + ret->size;
    return true;
}

static bool refuse(const struct cairn_http_call *call, enum cairn_code code, const struct cairn_err *err)
{
    cairn_http_refuse(call, code == CAIRN_ELIMIT ? 413 : 400, cairn_code_name(code), "%s", err->text);
    return false;
}

/* Each call's array becomes packed words behind each other in slot->more, a u32 of their size before them. */
static bool read_calls(const struct cairn_http_call *call, struct cairn_slot *slot, struct cairn_bytes arrays,
                       uint32_t *ret_count)
{
    uint32_t words = call->http->session.front->limits.words;
    struct cairn_bytes text;
    struct cairn_err err;
    uint32_t count = 0;

    for (size_t at = 0; next_packed(arrays, &at, &text); count++) {
        size_t size_at = slot->more.size, names = 0, place = 0;
        struct cairn_bytes word, packed;
        enum cairn_code code;

        cairn_buf_reserve(&slot->more, 4);
        slot->more.size += 4;
        code = text.size && text.data[0] == '['
                   ? cairn_json_args(text, words, &slot->more, &err)
                   : cairn_fail(&err, CAIRN_EINVAL, "it is no array: [\"TYPE\", \"ID\", \"METHOD\", ARGUMENT ...]");
        packed = cairn_bytes(slot->more.data + size_at + 4, slot->more.size - size_at - 4);
        while (code == CAIRN_OK && names < NAMES && next_packed(packed, &place, &word))
            names++;
        if (code == CAIRN_OK && names < NAMES)
            code = cairn_fail(&err, CAIRN_EINVAL, "it needs at least [\"TYPE\", \"ID\", \"METHOD\"]");
        if (code != CAIRN_OK) {
            (void)cairn_while(&err, "reading call %u of the transaction", count + 1);
            return refuse(call, code, &err);
        }
        cairn_put_u32(slot->more.data + size_at, (uint32_t)packed.size);
    }
    *ret_count = count;
    if (count > 0)
        return true;
    cairn_http_refuse(call, 400, "bad_request",
                      "send the calls as a JSON array: [[\"TYPE\", \"ID\", \"METHOD\", ARGUMENT ...], ...]");
    return false;
}

/* The calls' structs, which lie behind what they point to. */
static void name_calls(struct cairn_slot *slot, uint32_t count)
{
    enum { ALIGN = _Alignof(struct cairn_multi_call) };
    size_t words = slot->more.size, first = (words + ALIGN - 1) / ALIGN * ALIGN, at = 0;
    struct cairn_multi_call *calls;

    cairn_buf_reserve(&slot->more, first - words + count * sizeof *calls);
    calls = (void *)(slot->more.data + first);
    slot->more.size = first + count * sizeof *calls;
    for (uint32_t i = 0; i < count; i++) {
        struct cairn_bytes packed = {0};
        size_t place = 0;

        next_packed(cairn_bytes(slot->more.data, words), &at, &packed);
        calls[i] = (struct cairn_multi_call){0};
        next_packed(packed, &place, &calls[i].type);
        next_packed(packed, &place, &calls[i].id);
        next_packed(packed, &place, &calls[i].method);
        calls[i].args = cairn_bytes(packed.data + place, packed.size - place);
    }
    slot->request.calls = calls;
    slot->request.call_count = count;
}

void cairn_http_submit_transaction(const struct cairn_http_call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes type = request->headers[CAIRN_HTTP_CONTENT_TYPE];
    struct cairn_slot *slot = cairn_http_take_slot(call, CAIRN_OP_MULTI, CAIRN_HTTP_FORM_VALUE);
    struct cairn_buf arrays = {0};
    struct cairn_err err;
    uint32_t count = 0;
    enum cairn_code code;
    bool good = cairn_http_read_key(call, slot);

    slot->request.wants_job = true;
    slot->request.wants_cost = request->headers[CAIRN_HTTP_CAIRN_COST].data != NULL;
    (void)cairn_traceparent_read(request->headers[CAIRN_HTTP_TRACEPARENT], &slot->request.parent);
    if (good && type.size && !cairn_http_type_is(type, "application/json") &&
        !cairn_http_type_is(type, "application/x-www-form-urlencoded")) { /* curl's */
        cairn_http_refuse(call, 415, "bad_request", "a transaction is sent as JSON (application/json)");
        good = false;
    }
    if (good) {
        code = cairn_json_args(request->body, call->http->session.front->limits.transaction_commands, &arrays, &err);
        good = code == CAIRN_OK ? read_calls(call, slot, cairn_buf_bytes(&arrays), &count) : refuse(call, code, &err);
    }
    cairn_buf_done(&arrays);
    if (!good) {
        cairn_http_give_up(call, slot);
        return;
    }
    name_calls(slot, count);
    cairn_slot_submit(slot);
}
