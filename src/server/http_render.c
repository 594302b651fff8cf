/* Values become bodies.  The node's own results have named members; what methods return is JSON as
 * proto/json.h tells. */
#include <inttypes.h>

#include "object/quota.h"
#include "object/span.h"
#include "proto/errors.h"
#include "proto/json.h"
#include "server/http_internal.h"

void cairn_http_render_problem(struct cairn_buf *body, unsigned status, struct cairn_bytes code,
                               struct cairn_bytes message, const struct cairn_request *request)
{
    enum cairn_effects effects = request ? request->effects : CAIRN_EFFECTS_NONE;
    char job[CAIRN_JOB_ID_DIGITS + 1];

    cairn_buf_printf(
        body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":", cairn_http_reason(status), status);
    cairn_json_text(body, code);
    cairn_buf_str(body, ",\"detail\":");
    cairn_json_text(body, message);
    cairn_buf_printf(body, ",\"effects\":\"%s\",\"retry\":\"%s\"", cairn_effects_name(effects),
                     cairn_retry_name(cairn_error_retry(cairn_error_meaning(code), effects)));
    if (request && cairn_job_id_is(request->parent.job)) {
        cairn_job_id_write(request->parent.job, job);
        cairn_buf_printf(body, ",\"job\":\"%s\"", job);
    }
    cairn_buf_str(body, "}\n");
}

/* --- writing members --- */

/* The node makes these values itself: their shape is known. */
static struct cairn_value next(struct cairn_reader *r)
{
    return cairn_value_read(r);
}

/* Everything up to the end of one value. */
static struct cairn_bytes next_whole(struct cairn_reader *r)
{
    const uint8_t *from = r->at;
    uint64_t left = 1;

    while (left-- > 0 && !r->bad)
        left += next(r).count;
    return cairn_bytes(from, (size_t)(r->at - from));
}

static void add_key(struct cairn_buf *to, const char *key)
{
    size_t size = strlen(key);
    uint8_t *at = cairn_buf_reserve(to, size + 4); /* a list of 50,000 methods has 150,000 keys: no printf */

    if (to->size && to->data[to->size - 1] != '{')
        *at++ = ',';
    *at++ = '"';
    memcpy(at, key, size);
    at += size;
    *at++ = '"';
    *at++ = ':';
    to->size = (size_t)(at - to->data);
}

static void add_text(struct cairn_buf *to, const char *key, struct cairn_reader *r)
{
    add_key(to, key);
    cairn_json_bytes(to, next(r).bytes);
}

static void add_int(struct cairn_buf *to, const char *key, struct cairn_reader *r)
{
    add_key(to, key);
    cairn_buf_printf(to, "%" PRId64, next(r).integer);
}

static void add_some(struct cairn_buf *to, struct cairn_reader *r, uint64_t count, bool first,
                     void (*one)(struct cairn_buf *to, struct cairn_reader *r))
{
    for (; count-- > 0 && !r->bad; first = false) {
        if (!first)
            cairn_buf_u8(to, ',');
        next(r); /* the list that it is */
        cairn_buf_u8(to, '{');
        one(to, r);
        cairn_buf_u8(to, '}');
    }
}

/* A list of objects, each written by `one`. */
static void add_objects(struct cairn_buf *to, struct cairn_reader *r,
                        void (*one)(struct cairn_buf *to, struct cairn_reader *r))
{
    uint64_t count = next(r).count;

    cairn_buf_u8(to, '[');
    add_some(to, r, count, true, one);
    cairn_buf_u8(to, ']');
}

static void add_values(struct cairn_buf *to, const char *key, struct cairn_reader *r)
{
    add_key(to, key);
    if (!cairn_json_value(to, next_whole(r)))
        cairn_buf_str(to, "null");
}

/* --- the node's own results --- */

static void add_cursor(struct cairn_buf *to, struct cairn_reader *r)
{
    struct cairn_value cursor = next(r);

    add_key(to, "cursor");
    if (cursor.kind == CAIRN_VALUE_BYTES) {
        cairn_buf_u8(to, '"');
        cairn_base64_add(to, cursor.bytes, true);
        cairn_buf_u8(to, '"');
    } else {
        cairn_buf_str(to, "null");
    }
}

static void render_list(struct cairn_buf *to, struct cairn_reader *r)
{
    next(r);
    cairn_buf_u8(to, '{');
    add_values(to, "ids", r);
    add_cursor(to, r);
    cairn_buf_u8(to, '}');
}

/* [field, kind, count, content] */
static void one_field(struct cairn_buf *to, struct cairn_reader *r)
{
    struct cairn_bytes kind;
    struct cairn_value content;
    bool map;

    add_text(to, "name", r);
    add_key(to, "kind");
    kind = next(r).bytes;
    map = cairn_bytes_equal(kind, cairn_str("map")) || cairn_bytes_equal(kind, cairn_str("ordered"));
    cairn_json_bytes(to, kind);
    add_int(to, "count", r);
    add_key(to, "content");
    content = next(r);
    if (content.kind == CAIRN_VALUE_NIL) {
        cairn_buf_str(to, "null");
        return;
    }
    if (content.kind == CAIRN_VALUE_BYTES) {
        cairn_json_field(to, content.bytes);
        return;
    }
    cairn_buf_u8(to, '[');
    for (uint64_t i = 0; i < content.count && !r->bad; i++) {
        if (i)
            cairn_buf_u8(to, ',');
        if (map) {
            next(r);
            cairn_buf_str(to, "{\"key\":");
            cairn_json_field(to, next(r).bytes);
            cairn_buf_str(to, ",\"value\":");
            cairn_json_field(to, next(r).bytes);
            cairn_buf_u8(to, '}');
        } else {
            cairn_json_field(to, next(r).bytes);
        }
    }
    cairn_buf_u8(to, ']');
}

/* As CAIRN_OP_TIMERS has it. */
static void one_timer(struct cairn_buf *to, struct cairn_reader *r)
{
    add_text(to, "type", r);
    add_text(to, "id", r);
    add_text(to, "name", r);
    add_text(to, "state", r);
    add_int(to, "due_ms", r);
    add_text(to, "kind", r);
    add_int(to, "period_ms", r);
    add_text(to, "cron", r);
    add_text(to, "zone", r);
    add_text(to, "method", r);
    add_int(to, "args_bytes", r);
}

static void render_show(struct cairn_buf *to, const struct cairn_request *request, struct cairn_reader *r)
{
    uint64_t parts;

    cairn_buf_str(to, "{\"type\":");
    cairn_json_bytes(to, request->type);
    cairn_buf_str(to, ",\"id\":");
    cairn_json_bytes(to, request->id);
    cairn_buf_str(to, ",\"fields\":");
    parts = next(r).count;
    add_objects(to, r, one_field);
    add_cursor(to, r);
    if (parts > 2) {
        next(r);
        add_key(to, "timers");
        add_objects(to, r, one_timer);
        cairn_buf_printf(to, ",\"more_timers\":%s", next(r).integer ? "true" : "false");
    }
    cairn_buf_u8(to, '}');
}

static void render_deployed(struct cairn_buf *to, struct cairn_reader *r, bool *ret_created)
{
    next(r);
    cairn_buf_u8(to, '{');
    add_text(to, "name", r);
    add_int(to, "version", r);
    add_text(to, "hash", r);
    *ret_created = next(r).integer != 0;
    cairn_buf_printf(to, ",\"created\":%s", *ret_created ? "true" : "false");
    add_int(to, "previous", r);
    cairn_buf_u8(to, '}');
}

/* [version, hash, deployed ms] */
static void one_earlier(struct cairn_buf *to, struct cairn_reader *r)
{
    add_int(to, "version", r);
    add_text(to, "hash", r);
    add_int(to, "deployed_ms", r);
}

/* [name, version, hash, deployed ms, bytes, earlier] */
static void one_module(struct cairn_buf *to, struct cairn_reader *r)
{
    add_text(to, "name", r);
    one_earlier(to, r);
    add_int(to, "bytes", r);
    add_key(to, "earlier");
    add_objects(to, r, one_earlier);
}

/* [number, parent, ms, scheduled, damaged, in the blob store] */
static void one_version(struct cairn_buf *to, struct cairn_reader *r)
{
    add_int(to, "version", r);
    add_int(to, "parent", r);
    add_int(to, "taken_ms", r);
    cairn_buf_printf(to, ",\"scheduled\":%s", next(r).integer ? "true" : "false");
    cairn_buf_printf(to, ",\"damaged\":%s", next(r).integer ? "true" : "false");
    cairn_buf_printf(to, ",\"archived\":%s", next(r).integer ? "true" : "false");
}

static void one_type_field(struct cairn_buf *to, struct cairn_reader *r)
{
    add_text(to, "name", r);
    add_text(to, "kind", r);
}

/* [name, in force, set by, declared] */
static void one_method_limit(struct cairn_buf *to, struct cairn_reader *r)
{
    add_text(to, "name", r);
    add_int(to, "in_force", r);
    add_text(to, "by", r);
    add_int(to, "declared", r);
}

static void one_method(struct cairn_buf *to, struct cairn_reader *r)
{
    add_text(to, "name", r);
    add_text(to, "access", r);
    add_values(to, "flags", r);
    add_key(to, "limits");
    add_objects(to, r, one_method_limit);
}

/* [type, module, version, fields, methods, dropped] */
static void one_type(struct cairn_buf *to, struct cairn_reader *r)
{
    add_text(to, "type", r);
    add_text(to, "module", r);
    add_int(to, "version", r);
    add_key(to, "fields");
    add_objects(to, r, one_type_field);
    add_key(to, "methods");
    add_objects(to, r, one_method);
    cairn_buf_printf(to, ",\"dropped\":%s", next(r).integer ? "true" : "false");
}

/* [ms, level, type, id, method, line, job] */
static void one_log_line(struct cairn_buf *to, struct cairn_reader *r)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    int64_t level;

    add_int(to, "ms", r);
    level = next(r).integer;
    add_key(to, "level");
    cairn_buf_printf(to, "\"%s\"", level >= 0 && level <= 3 ? levels[level] : "unknown");
    add_text(to, "type", r);
    add_text(to, "id", r);
    add_text(to, "method", r);
    add_text(to, "line", r);
    add_text(to, "job", r);
}

static void add_span_id(struct cairn_buf *to, const char *key, struct cairn_reader *r)
{
    uint64_t id = (uint64_t)next(r).integer;
    char text[CAIRN_SPAN_ID_DIGITS + 1];

    add_key(to, key);
    cairn_span_id_write(id, text);
    cairn_buf_printf(to, id ? "\"%s\"" : "null", text);
}

/* See object/span.h. */
static void one_span(struct cairn_buf *to, struct cairn_reader *r)
{
    struct cairn_bytes job = next(r).bytes, error;
    char text[CAIRN_JOB_ID_DIGITS + 1];
    uint64_t count;

    cairn_job_id_write(job.size == CAIRN_JOB_ID_BYTES ? cairn_job_id_get(job.data) : (struct cairn_job_id){0}, text);
    cairn_buf_printf(to, "\"job\":\"%s\"", text);
    add_span_id(to, "span", r);
    add_span_id(to, "parent", r);
    add_key(to, "kind");
    cairn_buf_printf(to, "\"%s\"", span_kind_name((uint64_t)next(r).integer));
    add_text(to, "type", r);
    add_text(to, "id", r);
    add_text(to, "method", r);
    add_int(to, "begin_ns", r);
    add_int(to, "end_ns", r);
    error = next(r).bytes;
    add_key(to, "error");
    if (error.size)
        cairn_json_bytes(to, error);
    else
        cairn_buf_str(to, "null");
    add_text(to, "detail", r);
    next(r);
    add_key(to, "cost");
    cairn_buf_u8(to, '{');
    add_int(to, "cpu_ns", r);
    add_int(to, "memory", r);
    add_int(to, "operations", r);
    add_int(to, "read", r);
    add_int(to, "written", r);
    add_int(to, "calls", r);
    cairn_buf_u8(to, '}');
    count = next(r).count / 2;
    add_key(to, "phases");
    cairn_buf_u8(to, '[');
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        cairn_buf_printf(to, "%s{\"phase\":\"%s\"", i ? "," : "", span_phase_name((uint64_t)next(r).integer));
        add_int(to, "at_ns", r);
        cairn_buf_u8(to, '}');
    }
    cairn_buf_u8(to, ']');
    add_int(to, "dropped", r);
}

/* [node's ms, wall ms, ms behind, ms of a jump] */
static void render_clock(struct cairn_buf *to, struct cairn_reader *r)
{
    cairn_buf_u8(to, '{');
    next(r);
    add_int(to, "now_ms", r);
    add_int(to, "wall_ms", r);
    add_int(to, "behind_ms", r);
    add_int(to, "jump_ms", r);
    cairn_buf_u8(to, '}');
}

/* By enum space_limit. */
static void add_limits(struct cairn_buf *to, struct cairn_reader *r)
{
    uint64_t count = next(r).count;

    cairn_buf_u8(to, '{');
    for (uint64_t i = 0; i < count && !r->bad; i++)
        add_int(to, quota_name((enum space_limit)i), r);
    cairn_buf_u8(to, '}');
}

/* [name, created ms, modules, limits, usage (CAIRN_OP_SPACES)] */
static void one_space(struct cairn_buf *to, struct cairn_reader *r)
{
    add_text(to, "name", r);
    add_int(to, "created_ms", r);
    add_int(to, "modules", r);
    add_key(to, "limits");
    add_limits(to, r);
    next(r);
    add_key(to, "usage");
    cairn_buf_u8(to, '{');
    add_int(to, "invocations", r);
    add_int(to, "cpu_us", r);
    add_int(to, "refused", r);
    add_int(to, "connections", r);
    add_int(to, "memory", r);
    add_int(to, "operations", r);
    add_int(to, "bytes", r);
    add_int(to, "objects", r);
    add_int(to, "instances", r);
    add_int(to, "messages", r);
    add_int(to, "message_bytes", r);
    cairn_buf_printf(to, "},\"removing\":%s", next(r).integer ? "true" : "false");
}

/* As CAIRN_OP_MESSAGES has it. */
static void one_message(struct cairn_buf *to, struct cairn_reader *r)
{
    static const char *const ints[] = {"sent_ms", "due_ms", "attempts"};

    add_text(to, "number", r);
    add_text(to, "state", r);
    add_text(to, "type", r);
    add_text(to, "id", r);
    add_text(to, "method", r);
    add_text(to, "from_type", r);
    add_text(to, "from_id", r);
    for (int i = 0; i < 3; i++)
        add_int(to, ints[i], r);
    add_text(to, "error", r);
    add_text(to, "message", r);
    add_text(to, "effects", r);
    add_int(to, "args_bytes", r);
    add_values(to, "args", r);
}

/* As CAIRN_OP_INVOCATIONS has it. */
static void one_invocation(struct cairn_buf *to, struct cairn_reader *r)
{
    static const char *const texts[] = {"invocation", "type", "id",    "method", "from_type",
                                        "from_id",    "key",  "state", "what"};
    static const char *const ints[] = {"number",  "since_ms",   "until_ms", "began_ms",
                                       "version", "args_bytes", "cancel_ms"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        add_text(to, texts[i], r);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        add_int(to, ints[i], r);
}

/* As CAIRN_OP_JOURNAL has it. */
static void one_step(struct cairn_buf *to, struct cairn_reader *r)
{
    add_int(to, "step", r);
    add_text(to, "host_call", r);
    add_int(to, "call", r);
    add_text(to, "what", r);
    add_int(to, "ms", r);
    add_text(to, "error", r);
    add_text(to, "result", r);
    add_int(to, "bytes", r);
}

/* --- parts --- */

/* What each item of a part is written by; NULL: it has no items. */
static void (*item_of(enum cairn_http_form form))(struct cairn_buf *to, struct cairn_reader *r)
{
    return form == CAIRN_HTTP_FORM_MODULES       ? one_module
           : form == CAIRN_HTTP_FORM_TYPES       ? one_type
           : form == CAIRN_HTTP_FORM_LOGS        ? one_log_line
           : form == CAIRN_HTTP_FORM_SPACES      ? one_space
           : form == CAIRN_HTTP_FORM_MESSAGES    ? one_message
           : form == CAIRN_HTTP_FORM_TRACES      ? one_span
           : form == CAIRN_HTTP_FORM_TIMERS      ? one_timer
           : form == CAIRN_HTTP_FORM_INVOCATIONS ? one_invocation
           : form == CAIRN_HTTP_FORM_JOURNAL     ? one_step
                                                 : NULL;
}

bool cairn_http_form_has_parts(enum cairn_http_form form)
{
    return item_of(form) || form == CAIRN_HTTP_FORM_METRICS;
}

const char *cairn_http_part_type(enum cairn_http_form form, unsigned flags)
{
    return form == CAIRN_HTTP_FORM_METRICS ? "text/plain; version=0.0.4; charset=utf-8"
           : flags & CAIRN_HTTP_AS_VALUE   ? CAIRN_VALUE_TYPE
                                           : "application/json";
}

struct cairn_bytes cairn_http_render_part(struct cairn_buf *body, enum cairn_http_form form, unsigned flags, bool begun,
                                          struct cairn_bytes value)
{
    struct cairn_reader r = cairn_reader(value);
    struct cairn_bytes content, cursor;
    uint64_t count;

    next(&r);
    content = next_whole(&r);
    cursor = next(&r).bytes; /* of nil: empty */
    r = cairn_reader(content);
    if (form == CAIRN_HTTP_FORM_METRICS) {
        struct cairn_bytes text = next(&r).bytes;

        cairn_buf_add(body, text.data, text.size);
        return cursor;
    }
    count = next(&r).count;
    if (!begun && count == 0 && cursor.size)
        return cursor; /* the first that has something begins it */
    if (flags & CAIRN_HTTP_AS_VALUE) {
        cairn_buf_add(body, content.data, content.size);
        return cursor;
    }
    if (!begun)
        cairn_buf_u8(body, '[');
    add_some(body, &r, count, !begun, item_of(form));
    if (!cursor.size)
        cairn_buf_str(body, "]\n");
    return cursor;
}

/* --- all --- */

static struct cairn_http_rendered render_error(struct cairn_buf *body, const struct cairn_request *request,
                                               unsigned flags, struct cairn_value error, struct cairn_bytes value)
{
    unsigned status = cairn_error_meaning(error.error)->http_status;
    struct cairn_http_rendered rendered = {.status = status, .type = "application/problem+json"};

    rendered.retry_ms = request->retry_ms;
    if (status == 405)
        rendered.extra = "Allow: POST\r\n";
    if (flags & CAIRN_HTTP_AS_VALUE) {
        cairn_buf_add(body, value.data, value.size);
        rendered.type = CAIRN_VALUE_TYPE;
    } else {
        cairn_http_render_problem(body, status, error.error, error.bytes, request);
    }
    return rendered;
}

struct cairn_http_rendered cairn_http_render(struct cairn_buf *body, const struct cairn_request *request,
                                             enum cairn_http_form form, unsigned flags, struct cairn_bytes value)
{
    struct cairn_http_rendered rendered = {.status = 200, .type = "application/json"};
    struct cairn_reader r = cairn_reader(value);
    struct cairn_reader at_head = r;
    struct cairn_value head = cairn_value_read(&r);
    bool created = false;

    if (!cairn_value_valid(value)) {
        cairn_http_render_problem(body, 500, cairn_str("corrupt"), cairn_str("the result is not a valid value"),
                                  request);
        return (struct cairn_http_rendered){.status = 500, .type = "application/problem+json"};
    }
    if (head.kind == CAIRN_VALUE_ERROR)
        return render_error(body, request, flags, head, value);
    if (request->peek) {
        rendered.type = cairn_http_part_type(form, flags);
        rendered.untold = true;
        return rendered;
    }
    if (flags & CAIRN_HTTP_AS_VALUE) {
        rendered.type = CAIRN_VALUE_TYPE;
        cairn_buf_add(body, value.data, value.size);
        return rendered;
    }
    if (form == CAIRN_HTTP_FORM_VALUE && (flags & CAIRN_HTTP_AS_BYTES) && head.kind == CAIRN_VALUE_BYTES) {
        rendered.type = "application/octet-stream";
        cairn_buf_add(body, head.bytes.data, head.bytes.size);
        return rendered;
    }
    switch (form) {
    case CAIRN_HTTP_FORM_VALUE:
        cairn_json_value(body, value);
        break;
    case CAIRN_HTTP_FORM_LIST:
        render_list(body, &at_head);
        break;
    case CAIRN_HTTP_FORM_SHOW:
        render_show(body, request, &at_head);
        break;
    case CAIRN_HTTP_FORM_DELETED:
        cairn_buf_printf(body, "{\"deleted\":%s}", head.integer ? "true" : "false");
        break;
    case CAIRN_HTTP_FORM_RESTORED:
        cairn_buf_printf(body, "{\"exists\":%s}", head.integer ? "true" : "false");
        break;
    case CAIRN_HTTP_FORM_DEPLOYED:
        render_deployed(body, &at_head, &created);
        rendered.status = created ? 201 : 200;
        break;
    case CAIRN_HTTP_FORM_UNDEPLOYED:
        cairn_buf_str(body, "{\"deleted\":true}");
        break;
    case CAIRN_HTTP_FORM_SETTLED:
        cairn_buf_str(body, "{\"settled\":true}");
        break;
    case CAIRN_HTTP_FORM_SNAPSHOT:
        cairn_buf_printf(body, "{\"version\":%" PRId64 "}", head.integer);
        rendered.status = 201;
        break;
    case CAIRN_HTTP_FORM_VERSIONS:
        add_objects(body, &at_head, one_version);
        break;
    case CAIRN_HTTP_FORM_KEEPER_WORD:
        rendered.type = "text/plain; charset=utf-8";
        cairn_http_render_keeper(body, form, value);
        return rendered;
    case CAIRN_HTTP_FORM_KEEPER:
    case CAIRN_HTTP_FORM_KEEPER_SESSIONS:
    case CAIRN_HTTP_FORM_KEEPER_WATCHES:
        cairn_http_render_keeper(body, form, value);
        break;
    case CAIRN_HTTP_FORM_LARGE:
        cairn_http_render_large(body, value);
        break;
    case CAIRN_HTTP_FORM_CLOCK:
        render_clock(body, &at_head);
        break;
    case CAIRN_HTTP_FORM_SPACE:
    case CAIRN_HTTP_FORM_SPACE_CREATED:
    case CAIRN_HTTP_FORM_SPACE_GOING:
        next(&at_head);
        cairn_buf_u8(body, '{');
        one_space(body, &at_head);
        cairn_buf_u8(body, '}');
        rendered.status = form == CAIRN_HTTP_FORM_SPACE ? 200 : form == CAIRN_HTTP_FORM_SPACE_GOING ? 202 : 201;
        break;
    case CAIRN_HTTP_FORM_MESSAGE:
        next(&at_head);
        cairn_buf_u8(body, '{');
        one_message(body, &at_head);
        cairn_buf_u8(body, '}');
        break;
    case CAIRN_HTTP_FORM_INVOCATION:
        next(&at_head);
        cairn_buf_u8(body, '{');
        one_invocation(body, &at_head);
        cairn_buf_u8(body, '}');
        break;
    case CAIRN_HTTP_FORM_CANCELLED:
        cairn_buf_str(body, "{\"cancelled\":true}");
        break;
    case CAIRN_HTTP_FORM_SENT:
        cairn_buf_str(body, "{\"message\":");
        cairn_json_bytes(body, head.bytes);
        cairn_buf_u8(body, '}');
        rendered.status = 202;
        break;
    case CAIRN_HTTP_FORM_RETRIED:
        cairn_buf_printf(body, "{\"retried\":%" PRId64 "}", head.integer);
        break;
    case CAIRN_HTTP_FORM_DROPPED:
        cairn_buf_printf(body, "{\"dropped\":%" PRId64 "}", head.integer);
        break;
    case CAIRN_HTTP_FORM_SPACES: /* cairn_http_render_part */
    case CAIRN_HTTP_FORM_MESSAGES:
    case CAIRN_HTTP_FORM_MODULES:
    case CAIRN_HTTP_FORM_TYPES:
    case CAIRN_HTTP_FORM_LOGS:
    case CAIRN_HTTP_FORM_TRACES:
    case CAIRN_HTTP_FORM_TIMERS:
    case CAIRN_HTTP_FORM_INVOCATIONS:
    case CAIRN_HTTP_FORM_JOURNAL:
    case CAIRN_HTTP_FORM_METRICS:
        break;
    }
    cairn_buf_u8(body, '\n');
    return rendered;
}
