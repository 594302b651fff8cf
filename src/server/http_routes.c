/* Which request asks for what: docs/reference/http.md in code. */
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "proto/json.h"
#include "server/http_internal.h"
#include "server/version.h"

enum {
    LIST_DEFAULT = 100,
    LIST_MAX = 10000,
    SHOW_DEFAULT = 100,
    SHOW_MAX = 10000,
    LOGS_DEFAULT = 100,
    LOGS_MAX = 100000,
    /* JSON takes up to six bytes for one ("\u0041"), and the node refuses what is too large for it. */
    ARGS_BYTES_MAX = 8 << 20,
};

struct call {
    struct cairn_http_session *http;
    const struct cairn_http_request *request;
    unsigned flags;
};

static bool is(struct cairn_bytes bytes, const char *text)
{
    return cairn_bytes_equal(bytes, cairn_str(text));
}

static unsigned flags_of(const struct cairn_http_request *request)
{
    struct cairn_bytes accept = request->headers[CAIRN_HTTP_ACCEPT];
    unsigned value = cairn_http_weight(accept, CAIRN_VALUE_TYPE), json = cairn_http_weight(accept, "application/json"),
             bytes = cairn_http_weight(accept, "application/octet-stream"), flags = 0;

    if (request->keep_alive)
        flags |= CAIRN_HTTP_KEEP_ALIVE;
    if (request->method == CAIRN_HTTP_HEAD)
        flags |= CAIRN_HTTP_NO_BODY;
    if (request->http_1_0)
        flags |= CAIRN_HTTP_1_0;
    if (value && value >= json && value >= bytes)
        flags |= CAIRN_HTTP_AS_VALUE;
    else if (bytes && bytes >= json)
        flags |= CAIRN_HTTP_AS_BYTES;
    return flags;
}

#define problem(call, status, code, ...) \
    cairn_http_problem((call)->http, (call)->flags, status, code, NULL, __VA_ARGS__)

/* --- making requests --- */

/* The slot takes the parser's buffer, so that the request's views live on. */
static struct cairn_slot *take_slot(const struct call *call, enum cairn_op op, enum cairn_http_form form)
{
    struct cairn_slot *slot = cairn_slot_take(&call->http->session);

    cairn_http_parser_swap(call->http->parser, &slot->data);
    slot->request.op = op;
    slot->form = (uint8_t)form;
    slot->flags = (uint8_t)call->flags;
    return slot;
}

static void give_up(const struct call *call, struct cairn_slot *slot)
{
    cairn_slot_give_back(call->http->session.front, slot);
}

/* The key as a string of bytes; quotes of a structured field are not part of it. */
static bool read_key(const struct call *call, struct cairn_slot *slot)
{
    struct cairn_bytes key = call->request->headers[CAIRN_HTTP_IDEMPOTENCY_KEY];

    if (key.size >= 2 && key.data[0] == '"' && key.data[key.size - 1] == '"') {
        key.data++;
        key.size -= 2;
    }
    if (call->request->headers[CAIRN_HTTP_IDEMPOTENCY_KEY].data &&
        (key.size == 0 || key.size > CAIRN_ONCE_KEY_BYTES_MAX)) {
        problem(call, 400, "bad_request", "an Idempotency-Key has 1 to %d bytes", CAIRN_ONCE_KEY_BYTES_MAX);
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
static bool read_body_args(const struct call *call, struct cairn_slot *slot)
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
        problem(call, 400, "bad_request", "the body is not an encoded list of byte strings");
        return false;
    }
    /* curl sends its form type by itself. */
    if (type.size && !cairn_http_type_is(type, "application/json") &&
        !cairn_http_type_is(type, "application/x-www-form-urlencoded")) {
        problem(call, 415, "bad_request",
                "send arguments as a JSON array (application/json), or one raw argument (text/plain or "
                "application/octet-stream)");
        return false;
    }
    code = cairn_json_args(request->body, call->http->session.front->limits.words, &slot->more, &err);
    if (code == CAIRN_OK)
        return true;
    problem(call, code == CAIRN_ELIMIT ? 413 : 400, cairn_code_name(code), "%s", err.text);
    return false;
}

/* ?arg=..&arg=.. */
static bool read_query_args(const struct call *call, struct cairn_slot *slot)
{
    struct cairn_bytes query = call->request->query, name, value;

    while (cairn_http_query_next(&query, &name, &value)) {
        size_t at = slot->more.size;

        if (!is(name, "arg")) {
            problem(call, 400, "bad_request",
                    "there is no parameter '%.*s': arguments are given as arg=", (int)(name.size < 64 ? name.size : 64),
                    (const char *)name.data);
            return false;
        }
        cairn_buf_reserve(&slot->more, 4);
        slot->more.size += 4;
        if (!cairn_http_decode(&slot->more, value, true)) {
            problem(call, 400, "bad_request", "the query has a broken percent-encoding");
            return false;
        }
        cairn_put_u32(slot->more.data + at, (uint32_t)(slot->more.size - at - 4));
    }
    return true;
}

static void invoke(const struct call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_slot *slot = take_slot(call, CAIRN_OP_INVOKE, CAIRN_HTTP_FORM_VALUE);
    bool post = request->method == CAIRN_HTTP_POST;

    slot->request.type = request->segments[2];
    slot->request.id = request->segments[3];
    slot->request.method = request->segments[4];
    slot->request.read_only = !post;
    if (!read_key(call, slot) || (post && !read_body_args(call, slot)) || !read_query_args(call, slot)) {
        give_up(call, slot);
        return;
    }
    slot->request.args = cairn_buf_bytes(&slot->more);
    cairn_slot_submit(slot);
}

/* A number in the query; what is not one is refused. */
static bool query_number(const struct call *call, struct cairn_bytes name, struct cairn_bytes text, uint32_t most,
                         uint32_t *ret)
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
        problem(call, 400, "bad_request", "%.*s must be a number from 1 to %u", (int)name.size, (const char *)name.data,
                most);
        return false;
    }
    *ret = (uint32_t)n;
    return true;
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

/* version=N or at=MS: which past is meant. */
static bool query_past(const struct call *call, struct cairn_slot *slot, struct cairn_bytes name,
                       struct cairn_bytes text)
{
    uint64_t *to = is(name, "at") ? &slot->request.at_ms : &slot->request.number;

    if (read_u64(text, to) && *to && !(slot->request.at_ms && slot->request.number))
        return true;
    problem(call, 400, "bad_request",
            "give either a version, which is a number, or the milliseconds since 1970 of a moment as 'at'");
    return false;
}

/* Reads limit, prefix and cursor where these are allowed, to slot->more, and elsewhere which past is meant. */
static bool read_page(const struct call *call, struct cairn_slot *slot, uint32_t first, uint32_t most, bool pages)
{
    struct cairn_bytes query = call->request->query, name, value;
    struct cairn_buf text = {0};
    size_t prefix_at = 0, prefix_size = 0, cursor_at = 0, cursor_size = 0;
    bool good = true;

    slot->request.limit = first;
    while (good && cairn_http_query_next(&query, &name, &value)) {
        size_t at = slot->more.size;

        if (is(name, "limit")) {
            good = query_number(call, name, value, most, &slot->request.limit);
        } else if (!pages && slot->request.id.size && (is(name, "at") || is(name, "version"))) {
            good = query_past(call, slot, name, value);
        } else if (pages && is(name, "prefix") && cairn_http_decode(&slot->more, value, true)) {
            prefix_at = at;
            prefix_size = slot->more.size - at;
        } else if (pages && is(name, "cursor") && cairn_http_decode(&text, value, true) &&
                   cairn_base64_url_read(cairn_buf_bytes(&text), &slot->more)) {
            cursor_at = at;
            cursor_size = slot->more.size - at;
        } else {
            problem(call, 400, "bad_request", "the parameter '%.*s' does not exist here or has a broken value",
                    (int)(name.size < 64 ? name.size : 64), (const char *)name.data);
            good = false;
        }
        text.size = 0;
    }
    cairn_buf_done(&text);
    if (prefix_size)
        slot->request.prefix = cairn_bytes(slot->more.data + prefix_at, prefix_size);
    if (cursor_size)
        slot->request.cursor = cairn_bytes(slot->more.data + cursor_at, cursor_size);
    return good;
}

static void submit_page(const struct call *call, enum cairn_op op, enum cairn_http_form form, uint32_t first,
                        uint32_t most, bool pages)
{
    struct cairn_slot *slot = take_slot(call, op, form);

    if (call->request->segment_count > 2 && op != CAIRN_OP_LOGS)
        slot->request.type = call->request->segments[2];
    if (call->request->segment_count > 3)
        slot->request.id = call->request->segments[3];
    if (read_page(call, slot, first, most, pages))
        cairn_slot_submit(slot);
    else
        give_up(call, slot);
}

static void submit_plain(const struct call *call, enum cairn_op op, enum cairn_http_form form)
{
    struct cairn_slot *slot = take_slot(call, op, form);

    if (op == CAIRN_OP_DELETE) {
        slot->request.type = call->request->segments[2];
        slot->request.id = call->request->segments[3];
    } else if (op == CAIRN_OP_UNDEPLOY) {
        slot->request.name = call->request->segments[2];
    }
    cairn_slot_submit(slot);
}

/* drop=TYPE, as often as needed, and for a rollback version=N. */
static bool read_deploy(const struct call *call, struct cairn_slot *slot)
{
    struct cairn_bytes query = call->request->query, name, value;
    bool rollback = slot->request.op == CAIRN_OP_ROLLBACK;

    while (cairn_http_query_next(&query, &name, &value)) {
        if (rollback && is(name, "version") && read_u64(value, &slot->request.number) && slot->request.number)
            continue;
        if (is(name, "drop")) {
            if (slot->more.size)
                cairn_buf_u8(&slot->more, ',');
            if (cairn_http_decode(&slot->more, value, true))
                continue;
        }
        problem(call, 400, "bad_request", "only %sdrop=TYPE is possible here", rollback ? "version=N and " : "");
        return false;
    }
    slot->request.drop = cairn_buf_bytes(&slot->more);
    return true;
}

static void submit_deploy(const struct call *call, enum cairn_op op)
{
    struct cairn_slot *slot = take_slot(call, op, CAIRN_HTTP_FORM_DEPLOYED);

    if (call->request->segment_count > 2)
        slot->request.name = call->request->segments[2];
    slot->request.body = call->request->body;
    if (read_deploy(call, slot))
        cairn_slot_submit(slot);
    else
        give_up(call, slot);
}

/* PUT: the object is to be as it was. */
static void submit_restore(const struct call *call)
{
    struct cairn_slot *slot = take_slot(call, CAIRN_OP_RESTORE, CAIRN_HTTP_FORM_RESTORED);
    struct cairn_bytes query = call->request->query, name, value;
    bool good = true;

    slot->request.type = call->request->segments[2];
    slot->request.id = call->request->segments[3];
    while (good && cairn_http_query_next(&query, &name, &value)) {
        good = is(name, "at") || is(name, "version");
        if (!good)
            problem(call, 400, "bad_request", "only 'version' and 'at' are possible here");
        good = good && query_past(call, slot, name, value);
    }
    if (good && !slot->request.number && !slot->request.at_ms) {
        problem(call, 400, "bad_request", "give a version or a moment: ?version=N or ?at=MS");
        good = false;
    }
    if (good)
        cairn_slot_submit(slot);
    else
        give_up(call, slot);
}

static void submit_number(const struct call *call, enum cairn_op op, enum cairn_http_form form, uint64_t number)
{
    struct cairn_slot *slot = take_slot(call, op, form);

    slot->request.number = number;
    cairn_slot_submit(slot);
}

/* --- pages of the node itself --- */

static void respond_text(const struct call *call, unsigned status, const char *type, struct cairn_bytes body)
{
    cairn_http_respond(call->http, call->flags, status, type, "Cache-Control: no-store\r\n", body);
}

static void metrics(const struct call *call)
{
    struct cairn_slot *slot = cairn_slot_take(&call->http->session);

    slot->form = CAIRN_HTTP_FORM_METRICS;
    slot->flags = (uint8_t)call->flags;
    cairn_slot_ask_metrics(slot);
}

/* [+] name ok, one line per check. */
static void add_check_line(struct cairn_buf *to, const struct cairn_check *check)
{
    static const char *const marks[] = {"[+]", "[!]", "[-]"};

    cairn_buf_printf(to, "%s %s: %s\n", marks[check->state], check->name, check->reason[0] ? check->reason : "ok");
}

static void add_check_json(struct cairn_buf *to, const struct cairn_check *check)
{
    static const char *const states[] = {"ok", "warning", "failed"};

    cairn_buf_printf(to, "{\"name\":\"%s\",\"state\":\"%s\",\"reason\":", check->name, states[check->state]);
    cairn_json_text(to, cairn_str(check->reason));
    cairn_buf_u8(to, '}');
}

/* The members of a problem, and all checks.  ?verbose: the checks as lines of text. */
static void ready(const struct call *call)
{
    struct cairn_front *front = call->http->session.front;
    struct cairn_check checks[CAIRN_CHECKS_MAX + 1] = {{.name = "stopping"}};
    size_t count = 1 + front->backend->checks(front->backend->context, checks + 1);
    const struct cairn_check *failed = NULL;
    struct cairn_buf text = {0};

    if (atomic_load_explicit(&front->draining, memory_order_relaxed)) {
        checks[0].state = CAIRN_CHECK_FAILED;
        snprintf(checks[0].reason, sizeof checks[0].reason, "the node is stopping");
    }
    for (size_t i = 0; i < count && !failed; i++)
        failed = checks[i].state == CAIRN_CHECK_FAILED ? &checks[i] : NULL;
    if (is(call->request->query, "verbose")) {
        for (size_t i = 0; i < count; i++)
            add_check_line(&text, &checks[i]);
        cairn_buf_printf(&text, "%s\n", failed ? "not ready" : "ready");
        respond_text(call, failed ? 503 : 200, "text/plain; charset=utf-8", cairn_buf_bytes(&text));
    } else {
        cairn_buf_printf(&text, "{\"ready\":%s", failed ? "false" : "true");
        if (failed) {
            cairn_buf_printf(&text, ",\"status\":503,\"code\":\"unavailable\",\"detail\":");
            cairn_json_text(&text, cairn_str(failed->reason));
        }
        cairn_buf_str(&text, ",\"checks\":[");
        for (size_t i = 0; i < count; i++) {
            if (i)
                cairn_buf_u8(&text, ',');
            add_check_json(&text, &checks[i]);
        }
        cairn_buf_str(&text, "]}\n");
        respond_text(call, failed ? 503 : 200, failed ? "application/problem+json" : "application/json",
                     cairn_buf_bytes(&text));
    }
    cairn_buf_done(&text);
}

static void root(const struct call *call)
{
    char text[352];

    snprintf(text, sizeof text,
             "{\"cairn\":\"%s\",\"pages\":[\"/v1/objects/TYPE\",\"/v1/objects/TYPE/ID\","
             "\"/v1/objects/TYPE/ID/METHOD\",\"/v1/types\",\"/v1/modules\",\"/v1/versions\",\"/v1/logs\","
             "\"/v1/clock\",\"/v1/export\","
             "\"/healthz\",\"/readyz\","
             "\"/metrics\"]}\n",
             CAIRN_VERSION);
    respond_text(call, 200, "application/json", cairn_str(text));
}

/* --- routes --- */

static void wrong_method(const struct call *call, const char *allow)
{
    char extra[64];

    snprintf(extra, sizeof extra, "Allow: %s\r\n", allow);
    if (call->request->method == CAIRN_HTTP_OPTIONS)
        cairn_http_respond(call->http, call->flags, 204, NULL, extra, cairn_bytes(NULL, 0));
    else
        cairn_http_problem(call->http, call->flags, 405, "bad_request", extra, "this page takes only %s", allow);
}

static bool reads(const struct call *call)
{
    return call->request->method == CAIRN_HTTP_GET || call->request->method == CAIRN_HTTP_HEAD;
}

/* /v1/objects/TYPE[/ID[/METHOD]] */
static bool route_objects(const struct call *call)
{
    enum cairn_http_method method = call->request->method;

    switch (call->request->segment_count) {
    case 3:
        if (reads(call))
            submit_page(call, CAIRN_OP_LIST, CAIRN_HTTP_FORM_LIST, LIST_DEFAULT, LIST_MAX, true);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    case 4:
        if (reads(call))
            submit_page(call, CAIRN_OP_SHOW, CAIRN_HTTP_FORM_SHOW, SHOW_DEFAULT, SHOW_MAX, false);
        else if (method == CAIRN_HTTP_DELETE)
            submit_plain(call, CAIRN_OP_DELETE, CAIRN_HTTP_FORM_DELETED);
        else if (method == CAIRN_HTTP_PUT)
            submit_restore(call);
        else
            wrong_method(call, "GET, HEAD, PUT, DELETE");
        return true;
    case 5:
        if (reads(call) || method == CAIRN_HTTP_POST)
            invoke(call);
        else
            wrong_method(call, "GET, HEAD, POST");
        return true;
    default:
        return false;
    }
}

/* /v1/modules[/NAME[/rollback]] */
static bool route_modules(const struct call *call)
{
    enum cairn_http_method method = call->request->method;

    switch (call->request->segment_count) {
    case 2:
        if (reads(call))
            submit_plain(call, CAIRN_OP_MODULES, CAIRN_HTTP_FORM_MODULES);
        else if (method == CAIRN_HTTP_POST) /* the module says what it is called */
            submit_deploy(call, CAIRN_OP_DEPLOY);
        else
            wrong_method(call, "GET, HEAD, POST");
        return true;
    case 3:
        if (method == CAIRN_HTTP_PUT)
            submit_deploy(call, CAIRN_OP_DEPLOY);
        else if (method == CAIRN_HTTP_DELETE)
            submit_plain(call, CAIRN_OP_UNDEPLOY, CAIRN_HTTP_FORM_UNDEPLOYED);
        else
            wrong_method(call, "PUT, DELETE");
        return true;
    case 4:
        if (!is(call->request->segments[3], "rollback"))
            return false;
        if (method == CAIRN_HTTP_POST)
            submit_deploy(call, CAIRN_OP_ROLLBACK);
        else
            wrong_method(call, "POST");
        return true;
    default:
        return false;
    }
}

/* /v1/versions[/N] */
static bool route_versions(const struct call *call)
{
    uint32_t number;

    switch (call->request->segment_count) {
    case 2:
        if (reads(call))
            submit_plain(call, CAIRN_OP_VERSIONS, CAIRN_HTTP_FORM_VERSIONS);
        else if (call->request->method == CAIRN_HTTP_POST)
            submit_plain(call, CAIRN_OP_SNAPSHOT, CAIRN_HTTP_FORM_SNAPSHOT);
        else
            wrong_method(call, "GET, HEAD, POST");
        return true;
    case 3:
        if (call->request->method != CAIRN_HTTP_DELETE)
            wrong_method(call, "DELETE");
        else if (query_number(call, cairn_str("a version"), call->request->segments[2], 999999999, &number))
            submit_number(call, CAIRN_OP_FORGET, CAIRN_HTTP_FORM_UNDEPLOYED, number);
        return true;
    default:
        return false;
    }
}

/* /v1/clock[/accept] */
static bool route_clock(const struct call *call)
{
    struct cairn_front *front = call->http->session.front;
    static const struct cairn_request request = {.op = CAIRN_OP_LOGS}; /* one that only reads */
    bool accept = call->request->segment_count == 3 && is(call->request->segments[2], "accept");
    struct cairn_http_rendered rendered;
    struct cairn_buf value = {0}, body = {0};
    struct cairn_time_state state;

    if (call->request->segment_count != 2 && !accept)
        return false;
    if (accept ? call->request->method != CAIRN_HTTP_POST : !reads(call)) {
        wrong_method(call, accept ? "POST" : "GET, HEAD");
        return true;
    }
    if (!front->backend->time(front->backend->context, accept, &state)) {
        problem(call, 409, "conflict", "the wall clock has not jumped: there is nothing to accept");
        return true;
    }
    cairn_value_add_list(&value, 4);
    cairn_value_add_int(&value, (int64_t)state.now_ms);
    cairn_value_add_int(&value, (int64_t)state.wall_ms);
    cairn_value_add_int(&value, state.behind_ms);
    cairn_value_add_int(&value, state.jump_ms);
    rendered = cairn_http_render(&body, &request, CAIRN_HTTP_FORM_CLOCK, call->flags, cairn_buf_bytes(&value));
    respond_text(call, rendered.status, rendered.type, cairn_buf_bytes(&body));
    cairn_buf_done(&value);
    cairn_buf_done(&body);
    return true;
}

/* /v1/export[?version=N], /v1/export/ID/PAGE */
static bool route_export(const struct call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes query = request->query, name, value;
    uint64_t id = 0, page = 0, version = 0;
    struct cairn_slot *slot;
    bool good = true;

    if (request->segment_count != 2 && request->segment_count != 4)
        return false;
    if (request->method != CAIRN_HTTP_POST) {
        wrong_method(call, "POST");
        return true;
    }
    if (request->segment_count == 4)
        good = read_u64(request->segments[2], &id) && id && read_u64(request->segments[3], &page) && page < UINT32_MAX;
    while (good && cairn_http_query_next(&query, &name, &value))
        good = !id && is(name, "version") && read_u64(value, &version) && version;
    if (!good) {
        problem(call, 400, "bad_request",
                "an export is begun by POST /v1/export, with version=N if need be, and goes on by POST "
                "/v1/export/ID/PAGE");
        return true;
    }
    slot = take_slot(call, CAIRN_OP_LOGS, CAIRN_HTTP_FORM_VALUE); /* an operation that only reads */
    slot->request.at_ms = id;
    slot->request.limit = (uint32_t)page;
    slot->request.number = version;
    cairn_slot_ask_export(slot);
    return true;
}

static bool route_v1(const struct call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes what = request->segment_count > 1 ? request->segments[1] : cairn_bytes(NULL, 0);

    if (is(what, "objects"))
        return route_objects(call);
    if (is(what, "modules"))
        return route_modules(call);
    if (is(what, "versions"))
        return route_versions(call);
    if (is(what, "clock"))
        return route_clock(call);
    if (is(what, "export"))
        return route_export(call);
    if (request->segment_count != 2)
        return false;
    if (is(what, "types")) {
        if (reads(call))
            submit_plain(call, CAIRN_OP_TYPES, CAIRN_HTTP_FORM_TYPES);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    }
    if (is(what, "logs")) {
        if (reads(call))
            submit_page(call, CAIRN_OP_LOGS, CAIRN_HTTP_FORM_LOGS, LOGS_DEFAULT, LOGS_MAX, false);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    }
    return false;
}

static bool route_page(const struct call *call)
{
    static const struct {
        const char *name;
        void (*respond)(const struct call *call);
    } pages[] = {{"metrics", metrics}, {"readyz", ready}};
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes name = request->segment_count == 1 ? request->segments[0] : cairn_bytes(NULL, 0);

    if (request->segment_count == 0 || is(name, "healthz")) {
        if (!reads(call))
            wrong_method(call, "GET, HEAD");
        else if (request->segment_count == 0)
            root(call);
        else
            respond_text(call, 200, "application/json", cairn_str("{\"healthy\":true}\n"));
        return true;
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (!is(name, pages[i].name))
            continue;
        if (reads(call))
            pages[i].respond(call);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    }
    return false;
}

/* --- who may ask --- */

/* The host of "host", "host:port" or "[v6]:port". */
static struct cairn_bytes host_only(struct cairn_bytes host)
{
    const uint8_t *colon;

    if (host.size && host.data[0] == '[') {
        const uint8_t *bracket = memchr(host.data, ']', host.size);

        return cairn_bytes(host.data, bracket ? (size_t)(bracket - host.data) + 1 : host.size);
    }
    colon = memchr(host.data, ':', host.size);
    return cairn_bytes(host.data, colon ? (size_t)(colon - host.data) : host.size);
}

/* An address of 127.0.0.0/8: digits and dots only, so that no name which merely begins like one passes. */
static bool is_loopback_address(struct cairn_bytes host)
{
    size_t dots = 0;

    if (host.size < 7 || host.size > 15 || memcmp(host.data, "127.", 4) != 0)
        return false;
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] != '.' && (host.data[i] < '0' || host.data[i] > '9'))
            return false;
        dots += host.data[i] == '.';
    }
    return dots == 3;
}

static bool is_local(struct cairn_bytes host)
{
    return (host.size == 9 && strncasecmp((const char *)host.data, "localhost", 9) == 0) || is_loopback_address(host) ||
           is(host, "[::1]");
}

/* There are no credentials, so any page that a browser on this machine shows could use the node.
 * Browsers tell where a page comes from (Origin), and a page that has its name point here
 * (DNS rebinding) still sends that name (Host). */
static bool from_elsewhere(const struct call *call)
{
    struct cairn_bytes host = call->request->headers[CAIRN_HTTP_HOST],
                       origin = call->request->headers[CAIRN_HTTP_ORIGIN];
    static const char scheme[] = "http://";

    if (origin.data &&
        !(origin.size == host.size + sizeof scheme - 1 && memcmp(origin.data, scheme, sizeof scheme - 1) == 0 &&
          memcmp(origin.data + sizeof scheme - 1, host.data, host.size) == 0))
        return true;
    return host.size && call->http->session.front->about->loopback_only && !is_local(host_only(host));
}

uint64_t cairn_http_body_max(const struct cairn_http_session *http, const struct cairn_http_request *request)
{
    uint64_t most = http->session.front->limits.bulk_bytes;

    if (request->segment_count >= 2 && is(request->segments[0], "v1") && is(request->segments[1], "modules"))
        return most;
    return most < ARGS_BYTES_MAX ? most : ARGS_BYTES_MAX;
}

/* There is nothing at this path: what is wrong with it, and what might have been meant. */
static void no_route(const struct call *call)
{
    static const char *const below_v1[] = {"objects", "modules", "versions", "types", "logs", "clock", "export"};
    static const char *const pages[] = {"v1", "healthz", "readyz", "metrics"};
    const struct cairn_http_request *request = call->request;
    bool v1 = request->segment_count > 1 && is(request->segments[0], "v1");
    const char *const *names = v1 ? below_v1 : pages;
    size_t count = v1 ? sizeof below_v1 / sizeof below_v1[0] : sizeof pages / sizeof pages[0];
    struct cairn_suggest suggest = {.typed = request->segment_count > v1 ? request->segments[v1] : request->path,
                                    .fold = true};
    char nearest[CAIRN_SUGGEST_TEXT_BYTES];

    for (size_t i = 0; i < count; i++)
        cairn_suggest_offer(&suggest, cairn_str(names[i]), cairn_str(names[i]));
    if (suggest.name.data && suggest.distance == 0) /* that part is right: it goes on too far, or ends too early */
        suggest.name.data = NULL;
    problem(call, 404, "not_found", "there is no page '%.*s'%s: GET / lists all pages",
            (int)(request->path.size < 200 ? request->path.size : 200), (const char *)request->path.data,
            cairn_suggest_text(&suggest, nearest));
}

void cairn_http_route(struct cairn_http_session *http, const struct cairn_http_request *request)
{
    struct call call = {http, request, flags_of(request)};
    bool v1;

    if (from_elsewhere(&call)) {
        problem(&call, 403, "permission", "pages of other origins may not use this node");
        return;
    }
    if (request->headers[CAIRN_HTTP_AUTHORIZATION].data) {
        problem(&call, 401, "auth", "this node has no credentials: send none");
        return;
    }
    v1 = request->segment_count > 0 && request->segment_count <= CAIRN_HTTP_SEGMENTS_MAX &&
         is(request->segments[0], "v1");
    if (!(v1 ? route_v1(&call) : route_page(&call)))
        no_route(&call);
}
