/* Which request asks for what: docs/reference/http.md in code. */
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "server/http_call.h"

enum {
    LIST_DEFAULT = 100,
    LIST_MAX = 10000,
    SHOW_DEFAULT = 100,
    SHOW_MAX = 10000,
    LOGS_DEFAULT = 100,
    LOGS_MAX = 100000,
    TRACES_DEFAULT = 20,
    /* JSON takes up to six bytes for one ("\u0041"), and the node refuses what is too large for it. */
    ARGS_BYTES_MAX = 8 << 20,
};

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

/* --- routes --- */

static void wrong_method(const struct cairn_http_call *call, const char *allow)
{
    char extra[64];

    snprintf(extra, sizeof extra, "Allow: %s\r\n", allow);
    if (call->request->method == CAIRN_HTTP_OPTIONS)
        cairn_http_respond(call->http, call->flags, 204, NULL, extra, cairn_bytes(NULL, 0));
    else
        cairn_http_problem(call->http, call->flags, 405, "bad_request", extra, "this page takes only %s", allow);
}

static bool reads(const struct cairn_http_call *call)
{
    return call->request->method == CAIRN_HTTP_GET || call->request->method == CAIRN_HTTP_HEAD;
}

/* /v1/objects/TYPE[/ID[/METHOD]] */
/* /v1/cache: large values and instances; a key's page is another. */
static bool route_large(const struct cairn_http_call *call)
{
    if (reads(call))
        cairn_http_page_large(call);
    else if (call->request->method == CAIRN_HTTP_DELETE)
        cairn_http_reclaim_instances(call);
    else
        wrong_method(call, "GET, HEAD, DELETE");
    return true;
}

static bool route_objects(const struct cairn_http_call *call)
{
    enum cairn_http_method method = call->request->method;

    switch (call->request->segment_count) {
    case 3:
        if (reads(call))
            cairn_http_submit_page(call, CAIRN_OP_LIST, CAIRN_HTTP_FORM_LIST, LIST_DEFAULT, LIST_MAX);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    case 4:
        if (reads(call))
            cairn_http_submit_page(call, CAIRN_OP_SHOW, CAIRN_HTTP_FORM_SHOW, SHOW_DEFAULT, SHOW_MAX);
        else if (method == CAIRN_HTTP_DELETE)
            cairn_http_submit_plain(call, CAIRN_OP_DELETE, CAIRN_HTTP_FORM_DELETED);
        else if (method == CAIRN_HTTP_PUT)
            cairn_http_submit_restore(call);
        else
            wrong_method(call, "GET, HEAD, PUT, DELETE");
        return true;
    case 5:
        if (reads(call) || method == CAIRN_HTTP_POST)
            cairn_http_submit_invoke(call);
        else
            wrong_method(call, "GET, HEAD, POST");
        return true;
    default:
        return false;
    }
}

/* /v1/modules[/NAME[/rollback]] */
static bool route_modules(const struct cairn_http_call *call)
{
    enum cairn_http_method method = call->request->method;

    switch (call->request->segment_count) {
    case 2:
        if (reads(call))
            cairn_http_submit_plain(call, CAIRN_OP_MODULES, CAIRN_HTTP_FORM_MODULES);
        else if (method == CAIRN_HTTP_POST) /* the module says what it is called */
            cairn_http_submit_deploy(call, CAIRN_OP_DEPLOY);
        else
            wrong_method(call, "GET, HEAD, POST");
        return true;
    case 3:
        if (method == CAIRN_HTTP_PUT)
            cairn_http_submit_deploy(call, CAIRN_OP_DEPLOY);
        else if (method == CAIRN_HTTP_DELETE)
            cairn_http_submit_plain(call, CAIRN_OP_UNDEPLOY, CAIRN_HTTP_FORM_UNDEPLOYED);
        else
            wrong_method(call, "PUT, DELETE");
        return true;
    case 4:
        if (!cairn_http_is(call->request->segments[3], "rollback"))
            return false;
        if (method == CAIRN_HTTP_POST)
            cairn_http_submit_deploy(call, CAIRN_OP_ROLLBACK);
        else
            wrong_method(call, "POST");
        return true;
    default:
        return false;
    }
}

/* /v1/versions[/N] */
static bool route_versions(const struct cairn_http_call *call)
{
    uint32_t number;

    switch (call->request->segment_count) {
    case 2:
        if (reads(call))
            cairn_http_submit_plain(call, CAIRN_OP_VERSIONS, CAIRN_HTTP_FORM_VERSIONS);
        else if (call->request->method == CAIRN_HTTP_POST)
            cairn_http_submit_plain(call, CAIRN_OP_SNAPSHOT, CAIRN_HTTP_FORM_SNAPSHOT);
        else
            wrong_method(call, "GET, HEAD, POST");
        return true;
    case 3:
        if (call->request->method != CAIRN_HTTP_DELETE)
            wrong_method(call, "DELETE");
        else if (cairn_http_query_number(call, cairn_str("a version"), call->request->segments[2], 999999999, &number))
            cairn_http_submit_number(call, CAIRN_OP_FORGET, CAIRN_HTTP_FORM_UNDEPLOYED, number);
        return true;
    default:
        return false;
    }
}

/* /v1/clock[/accept] */
static bool route_clock(const struct cairn_http_call *call)
{
    struct cairn_front *front = call->http->session.front;
    static const struct cairn_request request = {.op = CAIRN_OP_LOGS}; /* one that only reads */
    bool accept = call->request->segment_count == 3 && cairn_http_is(call->request->segments[2], "accept");
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
        cairn_http_refuse(call, 409, "conflict", "the wall clock has not jumped: there is nothing to accept");
        return true;
    }
    cairn_value_add_list(&value, 4);
    cairn_value_add_int(&value, (int64_t)state.now_ms);
    cairn_value_add_int(&value, (int64_t)state.wall_ms);
    cairn_value_add_int(&value, state.behind_ms);
    cairn_value_add_int(&value, state.jump_ms);
    rendered = cairn_http_render(&body, &request, CAIRN_HTTP_FORM_CLOCK, call->flags, cairn_buf_bytes(&value));
    cairn_http_respond_text(call, rendered.status, rendered.type, cairn_buf_bytes(&body));
    cairn_buf_done(&value);
    cairn_buf_done(&body);
    return true;
}

/* /v1/promises/ID[/reject] */
static bool route_promises(const struct cairn_http_call *call)
{
    const struct cairn_http_request *request = call->request;

    if (request->segment_count != 3 && !(request->segment_count == 4 && cairn_http_is(request->segments[3], "reject")))
        return false;
    if (request->method == CAIRN_HTTP_POST)
        cairn_http_submit_settle(call);
    else
        wrong_method(call, "POST");
    return true;
}

/* /v1/export[/ID/PAGE] */
static bool route_export(const struct cairn_http_call *call)
{
    if (call->request->segment_count != 2 && call->request->segment_count != 4)
        return false;
    if (call->request->method == CAIRN_HTTP_POST)
        cairn_http_submit_export(call);
    else
        wrong_method(call, "POST");
    return true;
}

/* /v1/namespaces[/NAME] */
static bool route_spaces(const struct cairn_http_call *call)
{
    enum cairn_http_method method = call->request->method;

    switch (call->request->segment_count) {
    case 2:
        if (reads(call))
            cairn_http_submit_plain(call, CAIRN_OP_SPACES, CAIRN_HTTP_FORM_SPACES);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    case 3:
        if (reads(call))
            cairn_http_submit_named(call, CAIRN_OP_SPACES, CAIRN_HTTP_FORM_SPACE);
        else if (method == CAIRN_HTTP_PUT)
            cairn_http_submit_space(call, CAIRN_OP_SPACE_CREATE, CAIRN_HTTP_FORM_SPACE_CREATED);
        else if (method == CAIRN_HTTP_POST)
            cairn_http_submit_space(call, CAIRN_OP_SPACE_SET, CAIRN_HTTP_FORM_SPACE);
        else if (method == CAIRN_HTTP_DELETE)
            cairn_http_submit_space_removal(call);
        else
            wrong_method(call, "GET, HEAD, PUT, POST, DELETE");
        return true;
    default:
        return false;
    }
}

/* /v1/traces[/JOB] */
static bool route_traces(const struct cairn_http_call *call)
{
    struct cairn_job_id job = {0};

    if (call->request->segment_count > 3)
        return false;
    if (!reads(call)) {
        wrong_method(call, "GET, HEAD");
    } else if (call->request->segment_count == 3 && !cairn_job_id_read(call->request->segments[2], &job)) {
        cairn_http_refuse(call, 400, "bad_request", "a job's id has 32 hex digits");
    } else {
        cairn_http_submit_traces(call, job, cairn_job_id_is(job) ? LOGS_MAX : TRACES_DEFAULT, LOGS_MAX);
    }
    return true;
}

/* /v1/timers[/TYPE[/ID]] */
static bool route_timers(const struct cairn_http_call *call)
{
    if (call->request->segment_count > 4)
        return false;
    if (reads(call))
        cairn_http_submit_page(call, CAIRN_OP_TIMERS, CAIRN_HTTP_FORM_TIMERS, LOGS_MAX, LOGS_MAX);
    else
        wrong_method(call, "GET, HEAD");
    return true;
}

/* /v1/invocations[/ID[/journal]] */
static bool route_invocations(const struct cairn_http_call *call)
{
    const struct cairn_http_request *request = call->request;

    switch (request->segment_count) {
    case 2:
        if (reads(call))
            cairn_http_submit_messages(call, CAIRN_OP_INVOCATIONS, CAIRN_HTTP_FORM_INVOCATIONS);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    case 3:
        if (reads(call))
            cairn_http_submit_named(call, CAIRN_OP_INVOCATION, CAIRN_HTTP_FORM_INVOCATION);
        else if (request->method == CAIRN_HTTP_DELETE)
            cairn_http_submit_messages(call, CAIRN_OP_CANCEL, CAIRN_HTTP_FORM_CANCELLED);
        else
            wrong_method(call, "GET, HEAD, DELETE");
        return true;
    case 4:
        if (!cairn_http_is(request->segments[3], "journal"))
            return false;
        if (reads(call))
            cairn_http_submit_messages(call, CAIRN_OP_JOURNAL, CAIRN_HTTP_FORM_JOURNAL);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    default:
        return false;
    }
}

/* /v1/messages[/NUMBER[/retry]], /v1/messages/retry */
static bool route_messages(const struct cairn_http_call *call)
{
    enum cairn_http_method method = call->request->method;
    const struct cairn_bytes *segments = call->request->segments;

    switch (call->request->segment_count) {
    case 2:
        if (reads(call))
            cairn_http_submit_messages(call, CAIRN_OP_MESSAGES, CAIRN_HTTP_FORM_MESSAGES);
        else if (method == CAIRN_HTTP_DELETE)
            cairn_http_submit_messages(call, CAIRN_OP_MESSAGE_DROP, CAIRN_HTTP_FORM_DROPPED);
        else
            wrong_method(call, "GET, HEAD, DELETE");
        return true;
    case 3:
        if (cairn_http_is(segments[2], "retry")) {
            if (method == CAIRN_HTTP_POST)
                cairn_http_submit_messages(call, CAIRN_OP_MESSAGE_RETRY, CAIRN_HTTP_FORM_RETRIED);
            else
                wrong_method(call, "POST");
        } else if (reads(call)) {
            cairn_http_submit_named(call, CAIRN_OP_MESSAGE, CAIRN_HTTP_FORM_MESSAGE);
        } else if (method == CAIRN_HTTP_DELETE) {
            cairn_http_submit_named(call, CAIRN_OP_MESSAGE_DROP, CAIRN_HTTP_FORM_DROPPED);
        } else {
            wrong_method(call, "GET, HEAD, DELETE");
        }
        return true;
    case 4:
        if (!cairn_http_is(segments[3], "retry"))
            return false;
        if (method == CAIRN_HTTP_POST)
            cairn_http_submit_named(call, CAIRN_OP_MESSAGE_RETRY, CAIRN_HTTP_FORM_RETRIED);
        else
            wrong_method(call, "POST");
        return true;
    default:
        return false;
    }
}

static bool route_keeper(const struct cairn_http_call *call)
{
    if (reads(call))
        cairn_http_page_keeper(call);
    else
        wrong_method(call, "GET, HEAD");
    return true;
}

/* /v1/cache/KEY, and /v1/cache itself */
static bool route_cache(const struct cairn_http_call *call)
{
    enum cairn_http_method method = call->request->method;

    if (call->request->segment_count < 3) /* a key without a name is none */
        return call->request->path.data[call->request->path.size - 1] != '/' && route_large(call);
    if (reads(call) || method == CAIRN_HTTP_PUT || method == CAIRN_HTTP_DELETE)
        cairn_http_page_cache(call);
    else
        wrong_method(call, "GET, HEAD, PUT, DELETE");
    return true;
}

static bool route_v1(const struct cairn_http_call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes what = request->segment_count > 1 ? request->segments[1] : cairn_bytes(NULL, 0);

    if (cairn_http_is(what, "objects"))
        return route_objects(call);
    if (cairn_http_is(what, "modules"))
        return route_modules(call);
    if (cairn_http_is(what, "export"))
        return route_export(call);
    if (cairn_http_is(what, "timers"))
        return route_timers(call);
    if (cairn_http_is(what, "promises"))
        return route_promises(call);
    if (cairn_http_is(what, "invocations"))
        return route_invocations(call);
    if (cairn_http_is(what, "traces"))
        return route_traces(call);
    if (cairn_http_is(what, "messages"))
        return route_messages(call);
    if (cairn_http_is(what, "keeper"))
        return route_keeper(call);
    if (cairn_http_is(what, "cache"))
        return route_cache(call);
    if (!call->space && cairn_http_is(what, "versions")) /* these are the node's */
        return route_versions(call);
    if (!call->space && cairn_http_is(what, "clock"))
        return route_clock(call);
    if (!call->space && cairn_http_is(what, "namespaces"))
        return route_spaces(call);
    if (request->segment_count != 2)
        return false;
    if (cairn_http_is(what, "transactions")) {
        if (request->method == CAIRN_HTTP_POST)
            cairn_http_submit_transaction(call);
        else
            wrong_method(call, "POST");
        return true;
    }
    if (cairn_http_is(what, "types")) {
        if (reads(call))
            cairn_http_submit_plain(call, CAIRN_OP_TYPES, CAIRN_HTTP_FORM_TYPES);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    }
    if (cairn_http_is(what, "logs")) {
        if (reads(call))
            cairn_http_submit_page(call, CAIRN_OP_LOGS, CAIRN_HTTP_FORM_LOGS, LOGS_DEFAULT, LOGS_MAX);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    }
    return false;
}

static bool route_page(const struct cairn_http_call *call)
{
    static const struct {
        const char *name;
        void (*respond)(const struct cairn_http_call *call);
    } pages[] = {{"metrics", cairn_http_page_metrics}, {"readyz", cairn_http_page_ready}};
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes name = request->segment_count == 1 ? request->segments[0] : cairn_bytes(NULL, 0);

    if (request->segment_count == 0 || cairn_http_is(name, "healthz")) {
        if (!reads(call))
            wrong_method(call, "GET, HEAD");
        else if (request->segment_count == 0)
            cairn_http_page_root(call);
        else
            cairn_http_respond_text(call, 200, "application/json", cairn_str("{\"healthy\":true}\n"));
        return true;
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (!cairn_http_is(name, pages[i].name))
            continue;
        if (reads(call))
            pages[i].respond(call);
        else
            wrong_method(call, "GET, HEAD");
        return true;
    }
    return false;
}

/* --- which requests are allowed --- */

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
           cairn_http_is(host, "[::1]");
}

/* There are no credentials, so any page that a browser on this machine shows could use the node.
 * Browsers tell where a page comes from (Origin), and a page that has its name point here
 * (DNS rebinding) still sends that name (Host). */
static bool from_elsewhere(const struct cairn_http_call *call)
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
    const struct cairn_backend *backend = http->session.front->backend;
    uint64_t most = http->session.front->limits.bulk_bytes;
    uint32_t at = request->segment_count >= 4 && cairn_http_is(request->segments[1], "ns") ? 3 : 1;

    if (request->segment_count > at && cairn_http_is(request->segments[0], "v1") &&
        cairn_http_is(request->segments[at], "modules"))
        return most;
    if (request->segment_count > at && cairn_http_is(request->segments[0], "v1") &&
        cairn_http_is(request->segments[at], "cache") && backend->cache)
        return backend->cache_large;
    return most < ARGS_BYTES_MAX ? most : ARGS_BYTES_MAX;
}

/* There is nothing at this path: what is wrong with it, and what might have been meant. */
static void no_route(const struct cairn_http_call *call)
{
    static const char *const below_v1[] = {"objects",     "modules",  "versions",   "types", "logs",   "traces",
                                           "clock",       "export",   "namespaces", "ns",    "timers", "messages",
                                           "invocations", "promises", "keeper",     "cache"};
    static const char *const pages[] = {"v1", "healthz", "readyz", "metrics"};
    const struct cairn_http_request *request = call->request;
    bool v1 = request->segment_count > 1 && cairn_http_is(request->segments[0], "v1");
    const char *const *names = v1 ? below_v1 : pages;
    size_t count = v1 ? sizeof below_v1 / sizeof below_v1[0] : sizeof pages / sizeof pages[0];
    struct cairn_suggest suggest = {.typed = request->segment_count > v1 ? request->segments[v1] : request->path,
                                    .fold = true};
    char nearest[CAIRN_SUGGEST_TEXT_BYTES];

    for (size_t i = 0; i < count; i++)
        cairn_suggest_offer(&suggest, cairn_str(names[i]), cairn_str(names[i]));
    if (suggest.name.data && suggest.distance == 0) /* that part is right: it goes on too far, or ends too early */
        suggest.name.data = NULL;
    cairn_http_refuse(call, 404, "not_found", "there is no page '%.*s'%s: GET / lists all pages",
                      (int)(request->path.size < 200 ? request->path.size : 200), (const char *)request->path.data,
                      cairn_suggest_text(&suggest, nearest));
}

void cairn_http_route(struct cairn_http_session *http, const struct cairn_http_request *request)
{
    struct cairn_http_call call = {.http = http, .request = request, .flags = flags_of(request)};
    struct cairn_http_request inside;
    bool v1;

    if (from_elsewhere(&call)) {
        cairn_http_refuse(&call, 403, "permission", "pages of other origins may not use this node");
        return;
    }
    if (request->headers[CAIRN_HTTP_AUTHORIZATION].data) {
        cairn_http_refuse(&call, 401, "auth", "this node has no credentials: send none");
        return;
    }
    v1 = request->segment_count > 0 && request->segment_count <= CAIRN_HTTP_SEGMENTS_MAX &&
         cairn_http_is(request->segments[0], "v1");
    if (v1 && !cairn_http_enter_space(&call, &inside))
        return;
    if (!(v1 ? route_v1(&call) : route_page(&call)))
        no_route(&call);
}
