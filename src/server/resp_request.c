/* What commands are made of: replies of text, and requests to the node. */
#include <stdarg.h>
#include <stdio.h>

#include "server/resp_internal.h"

void cairn_resp_reply_error(struct cairn_resp_session *resp, const char *prefix, const char *format, ...)
{
    struct cairn_session *session = &resp->session;
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cairn_session_count_error(session);
    cairn_resp_error(cairn_session_reply_begin(session), prefix, text);
    cairn_session_reply_end(session);
}

void cairn_resp_reply_ok(struct cairn_resp_session *resp)
{
    cairn_resp_simple(cairn_session_reply_begin(&resp->session), "OK");
    cairn_session_reply_end(&resp->session);
}

/* --- requests --- */

static struct cairn_bytes append(struct cairn_buf *data, struct cairn_bytes bytes)
{
    uint8_t *at = data->data + data->size; /* room was made before */

    if (bytes.size)
        memcpy(at, bytes.data, bytes.size);
    data->size += bytes.size;
    return cairn_bytes(at, bytes.size);
}

/* FCALL TYPE.METHOD 1 ID [ARG ...], or 2 ID KEY [ARG ...].  False: refused. */
bool cairn_resp_check_fcall(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes function = cairn_resp_words_at(words, 1), keys = cairn_resp_words_at(words, 2);

    if (keys.size != 1 || (keys.data[0] != '1' && keys.data[0] != '2')) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "the number of keys must be 1 (ID) or 2 (ID and an idempotency key): "
                               "write FCALL TYPE.METHOD 1 ID [ARG ...]");
        return false;
    }
    if (words->count < 3 + (uint32_t)(keys.data[0] - '0')) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "fewer words than the number of keys says: write FCALL TYPE.METHOD 1 ID [ARG ...]");
        return false;
    }
    if (keys.data[0] == '2') {
        size_t key_bytes = cairn_resp_words_at(words, 4).size;

        if (key_bytes == 0 || key_bytes > CAIRN_ONCE_KEY_BYTES_MAX) {
            cairn_resp_reply_error(resp, "BAD_REQUEST",
                                   "an idempotency key has 1 to %d bytes, this one has %zu: for a call without a key "
                                   "write FCALL TYPE.METHOD 1 ID [ARG ...]",
                                   CAIRN_ONCE_KEY_BYTES_MAX, key_bytes);
            return false;
        }
    }
    if (!function.size || !memchr(function.data, '.', function.size)) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "the function's name must be TYPE.METHOD, as in FCALL User.timeline 1 bob 10");
        return false;
    }
    return true;
}

size_t cairn_resp_fcall_bytes(const struct cairn_resp_words *words)
{
    size_t bytes = 0;

    for (uint32_t i = 1; i < words->count; i++)
        bytes += 4 + cairn_resp_words_at(words, i).size;
    return bytes;
}

static uint8_t *put(uint8_t *at, struct cairn_bytes bytes, struct cairn_bytes *ret_copy)
{
    if (bytes.size)
        memcpy(at, bytes.data, bytes.size);
    *ret_copy = cairn_bytes(at, bytes.size);
    return at + bytes.size;
}

void cairn_resp_pack_fcall(const struct cairn_resp_words *words, uint8_t *to, struct cairn_multi_call *ret_call,
                           struct cairn_bytes *ret_key)
{
    uint32_t first = 3 + (uint32_t)(cairn_resp_words_at(words, 2).data[0] - '0'); /* the first argument's word */
    struct cairn_bytes function, word;
    uint8_t *at = put(to, cairn_resp_words_at(words, 1), &function), *args;
    const uint8_t *dot = memchr(function.data, '.', function.size);

    ret_call->type = cairn_bytes(function.data, (size_t)(dot - function.data));
    ret_call->method = cairn_bytes(dot + 1, function.size - ret_call->type.size - 1);
    at = put(at, cairn_resp_words_at(words, 3), &ret_call->id);
    *ret_key = cairn_bytes(NULL, 0);
    if (first == 5)
        at = put(at, cairn_resp_words_at(words, 4), ret_key);
    args = at;
    for (uint32_t i = first; i < words->count; i++) {
        word = cairn_resp_words_at(words, i);
        cairn_put_u32(at, (uint32_t)word.size);
        at = put(at + 4, word, &word);
    }
    ret_call->args = cairn_bytes(args, (size_t)(at - args));
}

static void submit_call(struct cairn_resp_session *resp, const struct cairn_resp_words *words, enum cairn_op op,
                        bool read_only, uint64_t delay_ms)
{
    struct cairn_multi_call call;
    struct cairn_slot *slot;
    struct cairn_request *request;
    size_t bytes;

    if (words->count < 3) {
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for '%s' command",
                               op == CAIRN_OP_SEND ? "cairn.send"
                               : read_only         ? "fcall_ro"
                                                   : "fcall");
        return;
    }
    if (!cairn_resp_check_fcall(resp, words))
        return;
    bytes = cairn_resp_fcall_bytes(words);
    slot = cairn_slot_take(&resp->session);
    request = &slot->request;
    cairn_resp_pack_fcall(words, cairn_buf_reserve(&slot->data, bytes), &call, &request->key);
    request->op = op;
    request->read_only = read_only;
    request->delay_ms = delay_ms;
    cairn_resp_take_job(resp, request);
    request->type = call.type;
    request->method = call.method;
    request->id = call.id;
    request->args = call.args;
    slot->form = CAIRN_RESP_FORM_VALUE;
    slot->flags = (uint8_t)resp->version; /* HELLO may come before the reply */
    cairn_slot_submit(slot);
}

void cairn_resp_fcall(struct cairn_resp_session *resp, const struct cairn_resp_words *words, bool read_only)
{
    submit_call(resp, words, CAIRN_OP_INVOKE, read_only, 0);
}

/* DELAY MS before the function's name, which has a dot: the words behind it are those of FCALL.  False: MS is none. */
static bool take_delay(const struct cairn_resp_words *words, struct cairn_resp_words *ret_rest, uint64_t *ret_ms)
{
    struct cairn_bytes ms;

    *ret_rest = *words;
    *ret_ms = 0;
    if (words->count < 3 || !cairn_resp_word_is(cairn_resp_words_at(words, 1), "delay"))
        return true;
    ms = cairn_resp_words_at(words, 2);
    for (size_t i = 0; i < ms.size; i++) {
        if (ms.data[i] < '0' || ms.data[i] > '9' || ms.size > 15)
            return false;
        *ret_ms = *ret_ms * 10 + (uint64_t)(ms.data[i] - '0');
    }
    ret_rest->spans += 2;
    ret_rest->count -= 2;
    return ms.size > 0;
}

bool cairn_resp_check_send(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_resp_words rest;
    uint64_t ms;

    if (!take_delay(words, &rest, &ms)) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "a delay is a number of milliseconds: write CAIRN.SEND DELAY MS TYPE.METHOD 1 ID "
                               "[ARG ...]");
        return false;
    }
    if (rest.count < 4) {
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for 'cairn.send' command");
        return false;
    }
    return cairn_resp_check_fcall(resp, &rest);
}

void cairn_resp_send(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_resp_words rest;
    uint64_t ms;

    if (cairn_resp_check_send(resp, words) && take_delay(words, &rest, &ms))
        submit_call(resp, &rest, CAIRN_OP_SEND, false, ms);
}

static void submit_named(struct cairn_resp_session *resp, enum cairn_op op, enum cairn_resp_form form,
                         struct cairn_bytes name, struct cairn_bytes body, bool at_once)
{
    struct cairn_slot *slot = cairn_slot_take(&resp->session);

    cairn_buf_reserve(&slot->data, name.size + body.size + 1);
    slot->request.op = op;
    slot->request.at_once = at_once;
    slot->request.name = append(&slot->data, name);
    cairn_buf_u8(&slot->data, 0); /* a pattern is read as a string */
    slot->request.body = append(&slot->data, body);
    slot->form = (uint8_t)form;
    slot->flags = (uint8_t)resp->version;
    cairn_slot_submit(slot);
}

/* CAIRN.CANCEL ID [NOW] */
void cairn_resp_cancel(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    bool now = words->count == 3 && cairn_resp_word_is(cairn_resp_words_at(words, 2), "now");

    if (words->count > 3 || (words->count == 3 && !now)) {
        cairn_resp_reply_error(resp, "ERR", "syntax error: write CAIRN.CANCEL ID [NOW]");
        return;
    }
    submit_named(resp, CAIRN_OP_CANCEL, CAIRN_RESP_FORM_OK, cairn_resp_words_at(words, 1), cairn_bytes(NULL, 0), now);
}

/* CAIRN.RESOLVE ID [VALUE] */
void cairn_resp_resolve(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_buf value = {0};

    if (words->count > 3) {
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for 'cairn.resolve' command");
        return;
    }
    if (words->count == 3)
        cairn_value_add_bytes(&value, cairn_resp_words_at(words, 2));
    else
        cairn_value_add_nil(&value);
    cairn_resp_submit(resp, CAIRN_OP_SETTLE, CAIRN_RESP_FORM_OK, cairn_resp_words_at(words, 1),
                      cairn_buf_bytes(&value));
    cairn_buf_done(&value);
}

/* CAIRN.REJECT ID [CODE [MESSAGE]] */
void cairn_resp_reject(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes code = words->count > 2 ? cairn_resp_words_at(words, 2) : cairn_str("rejected");
    struct cairn_buf value = {0};

    if (words->count > 4) {
        cairn_resp_reply_error(resp, "ERR", "wrong number of arguments for 'cairn.reject' command");
        return;
    }
    if (!cairn_name_valid(code)) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "a code has 1 to 64 letters, digits and _, and begins with a letter: write CAIRN.REJECT "
                               "ID [CODE [MESSAGE]]");
        return;
    }
    cairn_value_add_error(&value, code, words->count > 3 ? cairn_resp_words_at(words, 3) : cairn_str(""));
    cairn_resp_submit(resp, CAIRN_OP_SETTLE, CAIRN_RESP_FORM_OK, cairn_resp_words_at(words, 1),
                      cairn_buf_bytes(&value));
    cairn_buf_done(&value);
}

void cairn_resp_submit(struct cairn_resp_session *resp, enum cairn_op op, enum cairn_resp_form form,
                       struct cairn_bytes name, struct cairn_bytes body)
{
    submit_named(resp, op, form, name, body, false);
}

bool cairn_resp_word_is(struct cairn_bytes word, const char *text)
{
    return word.size == strlen(text) && strncasecmp((const char *)word.data, text, word.size) == 0;
}
