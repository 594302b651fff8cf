/* Requests of HTTP become requests to the node: arguments, pages, and which past is meant. */
#include <stdio.h>

#include "object/quota.h"
#include "proto/json.h"
#include "server/http_call.h"

/* The slot takes the parser's buffer, so that the request's views live on. */
struct cairn_slot *cairn_http_take_slot(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form)
{
    struct cairn_slot *slot = cairn_slot_take(&call->http->session);

    cairn_http_parser_swap(call->http->parser, &slot->data);
    slot->request.op = op;
    slot->form = (uint8_t)form;
    slot->flags = (uint8_t)call->flags;
    return slot;
}

void cairn_http_give_up(const struct cairn_http_call *call, struct cairn_slot *slot)
{
    cairn_slot_give_back(call->http->session.front, slot);
}

/* The key as a string of bytes; quotes of a structured field are not part of it. */
bool cairn_http_read_key(const struct cairn_http_call *call, struct cairn_slot *slot)
{
    struct cairn_bytes key = call->request->headers[CAIRN_HTTP_IDEMPOTENCY_KEY];

    if (key.size >= 2 && key.data[0] == '"' && key.data[key.size - 1] == '"') {
        key.data++;
        key.size -= 2;
    }
    if (call->request->headers[CAIRN_HTTP_IDEMPOTENCY_KEY].data &&
        (key.size == 0 || key.size > CAIRN_ONCE_KEY_BYTES_MAX)) {
        cairn_http_refuse(call, 400, "bad_request", "an Idempotency-Key has 1 to %d bytes", CAIRN_ONCE_KEY_BYTES_MAX);
        return false;
    }
    slot->request.key = key;
    return true;
}

static void add_arg(struct cairn_buf *packed, struct cairn_bytes arg)
{
    cairn_put_u32(cairn_buf_reserve(packed, 4), (uint32_t)arg.size);
    packed->size += 4;
    cairn_buf_add(packed, arg.data, arg.size);
}

/* An encoded list of byte strings and integers. */
static bool pack_value(struct cairn_bytes body, struct cairn_buf *packed)
{
    struct cairn_reader r = cairn_reader(body);
    struct cairn_value list = cairn_value_read(&r);

    if (list.kind != CAIRN_VALUE_LIST)
        return false;
    while (list.count-- > 0 && !r.bad) {
        struct cairn_value item = cairn_value_read(&r);
        char text[24];

        if (item.kind == CAIRN_VALUE_INT) {
            snprintf(text, sizeof text, "%lld", (long long)item.integer);
            item.bytes = cairn_str(text);
        } else if (item.kind != CAIRN_VALUE_BYTES) {
            return false;
        }
        add_arg(packed, item.bytes);
    }
    return !r.bad && cairn_reader_left(&r) == 0;
}

/* The body becomes arguments, as its type says. */
static bool read_body_args(const struct cairn_http_call *call, struct cairn_slot *slot)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes type = request->headers[CAIRN_HTTP_CONTENT_TYPE];
    struct cairn_err err;
    enum cairn_code code;

    if (cairn_http_type_is(type, "application/octet-stream") || cairn_http_type_is(type, "text/plain")) {
        add_arg(&slot->more, request->body);
        return true;
    }
    if (cairn_http_type_is(type, CAIRN_VALUE_TYPE)) {
        if (pack_value(request->body, &slot->more))
            return true;
        cairn_http_refuse(call, 400, "bad_request", "the body is not an encoded list of byte strings");
        return false;
    }
    /* curl sends its form type by itself. */
    if (type.size && !cairn_http_type_is(type, "application/json") &&
        !cairn_http_type_is(type, "application/x-www-form-urlencoded")) {
        cairn_http_refuse(call, 415, "bad_request",
                          "send arguments as a JSON array (application/json), or one raw argument (text/plain or "
                          "application/octet-stream)");
        return false;
    }
    code = cairn_json_args(request->body, call->http->session.front->limits.words, &slot->more, &err);
    if (code == CAIRN_OK)
        return true;
    cairn_http_refuse(call, code == CAIRN_ELIMIT ? 413 : 400, cairn_code_name(code), "%s", err.text);
    return false;
}

static bool read_u64(struct cairn_bytes text, uint64_t *ret)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret = n;
    return text.size > 0 && text.size <= 18;
}

/* ?send and ?delay=MS: the request is to be a message.  False: refused. */
static bool read_send(const struct cairn_http_call *call, struct cairn_slot *slot, struct cairn_bytes name,
                      struct cairn_bytes value)
{
    bool sends = true;

    if (cairn_http_is(name, "send")) {
        if (!cairn_http_query_switch(call, name, value, &sends))
            return false;
    } else if (!read_u64(value, &slot->request.delay_ms)) {
        cairn_http_refuse(call, 400, "bad_request", "delay is a number of milliseconds");
        return false;
    }
    if (sends && call->request->method != CAIRN_HTTP_POST) {
        cairn_http_refuse(call, 400, "bad_request", "only POST sends a message");
        return false;
    }
    if (sends) {
        slot->request.op = CAIRN_OP_SEND;
        slot->form = CAIRN_HTTP_FORM_SENT;
    }
    return true;
}

/* ?arg=..&arg=.. */
static bool read_query_args(const struct cairn_http_call *call, struct cairn_slot *slot)
{
    struct cairn_bytes query = call->request->query, name, value;

    while (cairn_http_query_next(&query, &name, &value)) {
        size_t at = slot->more.size;

        if (cairn_http_is(name, "send") || cairn_http_is(name, "delay")) {
            if (!read_send(call, slot, name, value))
                return false;
            continue;
        }
        if (!cairn_http_is(name, "arg")) {
            cairn_http_refuse(call, 400, "bad_request",
                              "there is no parameter '%.*s': arguments are given as arg=, and send makes it a message",
                              (int)(name.size < 64 ? name.size : 64), (const char *)name.data);
            return false;
        }
        cairn_buf_reserve(&slot->more, 4);
        slot->more.size += 4;
        if (!cairn_http_decode(&slot->more, value, true)) {
            cairn_http_refuse(call, 400, "bad_request", "the query has a broken percent-encoding");
            return false;
        }
        cairn_put_u32(slot->more.data + at, (uint32_t)(slot->more.size - at - 4));
    }
    return true;
}

void cairn_http_submit_invoke(const struct cairn_http_call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_slot *slot = cairn_http_take_slot(call, CAIRN_OP_INVOKE, CAIRN_HTTP_FORM_VALUE);
    bool post = request->method == CAIRN_HTTP_POST;

    slot->request.type = request->segments[2];
    slot->request.id = request->segments[3];
    slot->request.method = request->segments[4];
    slot->request.read_only = !post;
    slot->request.wants_job = true;
    slot->request.wants_cost = request->headers[CAIRN_HTTP_CAIRN_COST].data != NULL;
    /* One that cannot be read is as none (Trace Context, 4.3). */
    (void)cairn_traceparent_read(request->headers[CAIRN_HTTP_TRACEPARENT], &slot->request.parent);
    if (!cairn_http_read_key(call, slot) || (post && !read_body_args(call, slot)) || !read_query_args(call, slot)) {
        cairn_http_give_up(call, slot);
        return;
    }
    slot->request.args = cairn_buf_bytes(&slot->more);
    cairn_slot_submit(slot);
}

/* The body is one argument, by the same rules; an encoded value is taken as it is. */
static bool read_settled_value(const struct cairn_http_call *call, struct cairn_buf *value)
{
    struct cairn_bytes type = call->request->headers[CAIRN_HTTP_CONTENT_TYPE], body = call->request->body;
    struct cairn_buf list = {0}, packed = {0};
    struct cairn_err err;
    enum cairn_code code = CAIRN_OK;

    if (cairn_http_type_is(type, CAIRN_VALUE_TYPE)) {
        cairn_buf_add(value, body.data, body.size);
        return true;
    }
    if (body.size == 0) {
        cairn_value_add_nil(value);
        return true;
    }
    if (cairn_http_type_is(type, "application/octet-stream") || cairn_http_type_is(type, "text/plain")) {
        cairn_value_add_bytes(value, body);
        return true;
    }
    cairn_buf_u8(&list, '[');
    cairn_buf_add(&list, body.data, body.size);
    cairn_buf_u8(&list, ']');
    code = cairn_json_args(cairn_buf_bytes(&list), 1, &packed, &err);
    if (code == CAIRN_OK && packed.size >= 4)
        cairn_value_add_bytes(value, cairn_bytes(packed.data + 4, packed.size - 4));
    else
        cairn_http_refuse(
            call, code == CAIRN_ELIMIT ? 413 : 400, "bad_request",
            "send one JSON value (application/json), or raw bytes (text/plain, application/octet-stream)");
    cairn_buf_done(&list);
    cairn_buf_done(&packed);
    return value->size > 0;
}

/* An error, of which the body is the message. */
static void make_rejection(struct cairn_bytes code, struct cairn_buf *value)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(value));
    struct cairn_value said = cairn_value_read(&r);
    struct cairn_buf error = {0};

    cairn_value_add_error(&error, code, said.kind == CAIRN_VALUE_BYTES ? said.bytes : cairn_str("it was rejected"));
    cairn_buf_done(value);
    *value = error;
}

void cairn_http_submit_settle(const struct cairn_http_call *call)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, CAIRN_OP_SETTLE, CAIRN_HTTP_FORM_SETTLED);
    bool rejects = call->request->segment_count == 4, good;
    struct cairn_bytes query = call->request->query, name, value, code = cairn_str("rejected");

    slot->request.name = call->request->segments[2];
    good = read_settled_value(call, &slot->more);
    while (good && cairn_http_query_next(&query, &name, &value)) {
        good = rejects && cairn_http_is(name, "code") && cairn_name_valid(value);
        code = value;
        if (!good)
            cairn_http_refuse(call, 400, "bad_request",
                              "a rejection takes 'code', a name of letters, digits and _; nothing else is taken");
    }
    if (good && rejects)
        make_rejection(code, &slot->more);
    slot->request.body = cairn_buf_bytes(&slot->more);
    if (good)
        cairn_slot_submit(slot);
    else
        cairn_http_give_up(call, slot);
}

bool cairn_http_query_number(const struct cairn_http_call *call, struct cairn_bytes name, struct cairn_bytes text,
                             uint32_t most, uint32_t *ret)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || text.size > 9) {
            n = 0;
            break;
        }
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (n == 0 || n > most) {
        cairn_http_refuse(call, 400, "bad_request", "%.*s must be a number from 1 to %u", (int)name.size,
                          (const char *)name.data, most);
        return false;
    }
    *ret = (uint32_t)n;
    return true;
}

/* version=N or at=MS: which past is meant. */
static bool query_past(const struct cairn_http_call *call, struct cairn_slot *slot, struct cairn_bytes name,
                       struct cairn_bytes text)
{
    uint64_t *to = cairn_http_is(name, "at") ? &slot->request.at_ms : &slot->request.number;

    if (read_u64(text, to) && *to && !(slot->request.at_ms && slot->request.number))
        return true;
    cairn_http_refuse(call, 400, "bad_request",
                      "give either a version, which is a number, or the milliseconds since 1970 of a moment as 'at'");
    return false;
}

/* reverse, reverse=1 or reverse=true; 0 and false. */
bool cairn_http_query_switch(const struct cairn_http_call *call, struct cairn_bytes name, struct cairn_bytes text,
                             bool *ret_on)
{
    *ret_on = !text.size || cairn_http_is(text, "1") || cairn_http_is(text, "true");
    if (*ret_on || cairn_http_is(text, "0") || cairn_http_is(text, "false"))
        return true;
    cairn_http_refuse(call, 400, "bad_request", "%.*s must be 1 or 0", (int)name.size, (const char *)name.data);
    return false;
}

/* What a page's parameters are kept as, in slot->more. */
struct kept {
    const char *name;
    bool ids, object; /* where it is allowed */
    bool there;
    size_t at, size;
};

enum { KEPT_PREFIX, KEPT_FIELD, KEPT_FROM, KEPT_TO, KEPT_CURSOR, KEPT_COUNT };

static struct kept *find_kept(struct kept *kept, const struct cairn_slot *slot, struct cairn_bytes name)
{
    for (int i = 0; i < KEPT_COUNT; i++)
        if ((slot->request.op == CAIRN_OP_LIST ? kept[i].ids : slot->request.op == CAIRN_OP_SHOW && kept[i].object) &&
            cairn_http_is(name, kept[i].name))
            return &kept[i];
    return NULL;
}

/* False: its value is broken. */
static bool keep(struct cairn_slot *slot, struct kept *kept, bool cursor, struct cairn_bytes value)
{
    struct cairn_buf text = {0};
    bool good;

    kept->at = slot->more.size;
    good = cairn_http_decode(cursor ? &text : &slot->more, value, true);
    if (good && cursor)
        good = cairn_base64_url_read(cairn_buf_bytes(&text), &slot->more);
    cairn_buf_done(&text);
    kept->size = slot->more.size - kept->at;
    kept->there = true;
    return good;
}

static struct cairn_bytes kept_bytes(const struct cairn_slot *slot, const struct kept *kept)
{
    return kept->size ? cairn_bytes(slot->more.data + kept->at, kept->size) : cairn_bytes(NULL, 0);
}

/* Reads limit, and what else is allowed, to slot->more: docs/reference/http.md. */
static bool read_page(const struct cairn_http_call *call, struct cairn_slot *slot, uint32_t first, uint32_t most)
{
    struct cairn_bytes query = call->request->query, name, value;
    struct kept kept[KEPT_COUNT] = {[KEPT_PREFIX] = {.name = "prefix", .ids = true},
                                    [KEPT_FIELD] = {.name = "field", .object = true},
                                    [KEPT_FROM] = {.name = "from", .object = true},
                                    [KEPT_TO] = {.name = "to", .object = true},
                                    [KEPT_CURSOR] = {.name = "cursor", .ids = true, .object = true}};
    bool good = true, object = slot->request.op == CAIRN_OP_SHOW;

    slot->request.limit = first;
    while (good && cairn_http_query_next(&query, &name, &value)) {
        struct kept *to = find_kept(kept, slot, name);

        if (cairn_http_is(name, "limit")) {
            good = cairn_http_query_number(call, name, value, most, &slot->request.limit);
        } else if (object && (cairn_http_is(name, "at") || cairn_http_is(name, "version"))) {
            good = query_past(call, slot, name, value);
        } else if (object && cairn_http_is(name, "reverse")) {
            good = cairn_http_query_switch(call, name, value, &slot->request.reverse);
        } else if (!to || !keep(slot, to, to == &kept[KEPT_CURSOR], value)) {
            cairn_http_refuse(call, 400, "bad_request",
                              "the parameter '%.*s' does not exist here or has a broken value",
                              (int)(name.size < 64 ? name.size : 64), (const char *)name.data);
            good = false;
        }
    }
    slot->request.prefix = kept_bytes(slot, &kept[KEPT_PREFIX]);
    slot->request.name = kept_bytes(slot, &kept[KEPT_FIELD]);
    slot->request.from = kept_bytes(slot, &kept[KEPT_FROM]);
    slot->request.to = kept_bytes(slot, &kept[KEPT_TO]);
    slot->request.cursor = kept_bytes(slot, &kept[KEPT_CURSOR]);
    slot->request.has_to = kept[KEPT_TO].there;
    return good;
}

static void submit_page(const struct cairn_http_call *call, struct cairn_slot *slot, uint32_t first, uint32_t most)
{
    slot->request.peek = call->flags & CAIRN_HTTP_NO_BODY;
    if (read_page(call, slot, first, most))
        cairn_slot_submit(slot);
    else
        cairn_http_give_up(call, slot);
}

void cairn_http_submit_page(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form,
                            uint32_t first, uint32_t most)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, op, form);

    if (call->request->segment_count > 2 && op != CAIRN_OP_LOGS)
        slot->request.type = call->request->segments[2];
    if (call->request->segment_count > 3)
        slot->request.id = call->request->segments[3];
    submit_page(call, slot, first, most);
}

void cairn_http_submit_traces(const struct cairn_http_call *call, struct cairn_job_id job, uint32_t first,
                              uint32_t most)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, CAIRN_OP_TRACES, CAIRN_HTTP_FORM_TRACES);

    slot->request.parent.job = job;
    submit_page(call, slot, first, most);
}

void cairn_http_submit_plain(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, op, form);

    if (op == CAIRN_OP_DELETE) {
        slot->request.type = call->request->segments[2];
        slot->request.id = call->request->segments[3];
    } else if (op == CAIRN_OP_UNDEPLOY) {
        slot->request.name = call->request->segments[2];
    }
    slot->request.peek = call->flags & CAIRN_HTTP_NO_BODY;
    cairn_slot_submit(slot);
}

void cairn_http_submit_named(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, op, form);

    slot->request.name = call->request->segments[2];
    slot->request.peek = call->flags & CAIRN_HTTP_NO_BODY;
    cairn_slot_submit(slot);
}

static bool read_limits(const struct cairn_http_call *call, struct cairn_slot *slot)
{
    struct cairn_bytes query = call->request->query, name, value;

    while (cairn_http_query_next(&query, &name, &value)) {
        uint64_t number;
        int limit = 0;

        while (limit < SPACE_LIMITS && !cairn_http_is(name, quota_name((enum space_limit)limit)))
            limit++;
        if (limit == SPACE_LIMITS || !read_u64(value, &number)) {
            cairn_http_refuse(
                call, 400, "bad_request",
                "only limits are possible here: requests=N (a second), connections=N, memory=BYTES, "
                "bytes=BYTES, objects=N, messages=N, message_bytes=BYTES, cpu=PERCENT, instances=N, weight=N, "
                "limit_cpu=MS and so on; 0 is no limit");
            return false;
        }
        cairn_buf_u8(&slot->more, (uint8_t)limit);
        cairn_buf_varint(&slot->more, number);
    }
    slot->request.body = cairn_buf_bytes(&slot->more);
    return true;
}

void cairn_http_submit_space(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, op, form);

    slot->request.name = call->request->segments[2];
    if (read_limits(call, slot))
        cairn_slot_submit(slot);
    else
        cairn_http_give_up(call, slot);
}

void cairn_http_submit_space_removal(const struct cairn_http_call *call)
{
    struct cairn_bytes query = call->request->query, name, value;
    bool drop = false, good = true;

    while (good && cairn_http_query_next(&query, &name, &value))
        good = drop = cairn_http_is(name, "drop") && value.size == 0;
    if (!good)
        cairn_http_refuse(call, 400, "bad_request", "only 'drop', without a value, is possible here");
    else if (drop)
        cairn_http_submit_named(call, CAIRN_OP_SPACE_REMOVE_ALL, CAIRN_HTTP_FORM_SPACE_GOING);
    else
        cairn_http_submit_named(call, CAIRN_OP_SPACE_REMOVE, CAIRN_HTTP_FORM_UNDEPLOYED);
}

/* drop=TYPE, as often as needed, and for a rollback version=N. */
static bool read_deploy(const struct cairn_http_call *call, struct cairn_slot *slot)
{
    struct cairn_bytes query = call->request->query, name, value;
    bool rollback = slot->request.op == CAIRN_OP_ROLLBACK;

    while (cairn_http_query_next(&query, &name, &value)) {
        if (rollback && cairn_http_is(name, "version") && read_u64(value, &slot->request.number) &&
            slot->request.number)
            continue;
        if (cairn_http_is(name, "drop")) {
            if (slot->more.size)
                cairn_buf_u8(&slot->more, ',');
            if (cairn_http_decode(&slot->more, value, true))
                continue;
        }
        cairn_http_refuse(call, 400, "bad_request", "only %sdrop=TYPE is possible here",
                          rollback ? "version=N and " : "");
        return false;
    }
    slot->request.drop = cairn_buf_bytes(&slot->more);
    return true;
}

void cairn_http_submit_deploy(const struct cairn_http_call *call, enum cairn_op op)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, op, CAIRN_HTTP_FORM_DEPLOYED);

    if (call->request->segment_count > 2)
        slot->request.name = call->request->segments[2];
    slot->request.body = call->request->body;
    if (read_deploy(call, slot))
        cairn_slot_submit(slot);
    else
        cairn_http_give_up(call, slot);
}

/* PUT: the object is to be as it was. */
void cairn_http_submit_restore(const struct cairn_http_call *call)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, CAIRN_OP_RESTORE, CAIRN_HTTP_FORM_RESTORED);
    struct cairn_bytes query = call->request->query, name, value;
    bool good = true;

    slot->request.type = call->request->segments[2];
    slot->request.id = call->request->segments[3];
    while (good && cairn_http_query_next(&query, &name, &value)) {
        good = cairn_http_is(name, "at") || cairn_http_is(name, "version");
        if (!good)
            cairn_http_refuse(call, 400, "bad_request", "only 'version' and 'at' are possible here");
        good = good && query_past(call, slot, name, value);
    }
    if (good && !slot->request.number && !slot->request.at_ms) {
        cairn_http_refuse(call, 400, "bad_request", "give a version or a moment: ?version=N or ?at=MS");
        good = false;
    }
    if (good)
        cairn_slot_submit(slot);
    else
        cairn_http_give_up(call, slot);
}

void cairn_http_submit_number(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form,
                              uint64_t number)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, op, form);

    slot->request.number = number;
    cairn_slot_submit(slot);
}

void cairn_http_submit_export(const struct cairn_http_call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes query = request->query, name, value;
    uint64_t id = 0, page = 0, version = 0;
    struct cairn_slot *slot;
    bool good = true;

    if (request->segment_count == 4)
        good = read_u64(request->segments[2], &id) && id && read_u64(request->segments[3], &page) && page < UINT32_MAX;
    while (good && cairn_http_query_next(&query, &name, &value))
        good = !id && cairn_http_is(name, "version") && read_u64(value, &version) && version;
    if (!good) {
        cairn_http_refuse(call, 400, "bad_request",
                          "an export is begun by POST /v1/export, with version=N if need be, and goes on by POST "
                          "/v1/export/ID/PAGE");
        return;
    }
    slot = cairn_http_take_slot(call, CAIRN_OP_LOGS, CAIRN_HTTP_FORM_VALUE); /* an operation that only reads */
    slot->request.at_ms = id;
    slot->request.limit = (uint32_t)page;
    slot->request.number = version;
    if (call->space)
        slot->request.name = call->space->name;
    cairn_slot_ask_export(slot);
}
