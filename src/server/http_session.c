#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/http_internal.h"
#include "server/server.h"

static struct cairn_http_session *http_of(struct cairn_session *session)
{
    return cairn_container(session, struct cairn_http_session, session);
}

/* --- responses --- */

/* RFC 9110, section 5.6.7; made once a second. */
static const char *date(struct cairn_front *front)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t now_s = front->clock->wall_ms(front->clock) / 1000;
    time_t at = (time_t)now_s;
    struct tm tm;

    if (now_s != front->date_s && gmtime_r(&at, &tm)) {
        front->date_s = now_s;
        snprintf(front->date, sizeof front->date, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
                 months[tm.tm_mon], (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    return front->date;
}

static struct cairn_http_response response_of(struct cairn_session *session, unsigned flags,
                                              const struct cairn_http_rendered *rendered)
{
    return (struct cairn_http_response){
        .status = rendered->status,
        .type = rendered->type,
        .date = date(session->front),
        .extra = rendered->extra,
        .keep_alive = flags & CAIRN_HTTP_KEEP_ALIVE,
        .http_1_0 = flags & CAIRN_HTTP_1_0,
        .head = flags & CAIRN_HTTP_NO_BODY,
        .framing = rendered->untold ? CAIRN_HTTP_UNTOLD : CAIRN_HTTP_LENGTH,
    };
}

enum { EXTRA_BYTES = 512 };

/* What a reply to a job's request tells of the job. */
static size_t add_job(char *to, const struct cairn_request *request)
{
    const struct cairn_job_cost *cost = &request->cost;
    char id[CAIRN_JOB_ID_DIGITS + 1];
    int used;

    cairn_job_id_write(request->parent.job, id);
    used = snprintf(to, EXTRA_BYTES, "Cairn-Job: %s\r\n", id);
    if (request->wants_cost)
        used += snprintf(to + used, EXTRA_BYTES - (size_t)used,
                         "Cairn-Cost: cpu-us=%" PRIu64 ", memory=%" PRIu64 ", invocations=%" PRIu64
                         ", operations=%" PRIu64 ", read=%" PRIu64 ", written=%" PRIu64 "\r\n",
                         cost->cpu_ns / 1000, cost->memory_bytes, cost->invocations, cost->operations, cost->read_bytes,
                         cost->written_bytes);
    return (size_t)used;
}

/* `request` may be NULL: it is none of a job. */
static void write_response(struct cairn_session *session, struct cairn_buf *to, unsigned flags,
                           const struct cairn_http_rendered *rendered, const struct cairn_request *request,
                           struct cairn_bytes body)
{
    struct cairn_http_response response = response_of(session, flags, rendered);
    char retry[48], extra[EXTRA_BYTES + 64];

    if (rendered->status == 429) {
        snprintf(retry, sizeof retry, "Retry-After: %u\r\n",
                 rendered->retry_ms ? (rendered->retry_ms + 999) / 1000 : 1);
        response.extra = retry;
    }
    if (request && cairn_job_id_is(request->parent.job)) {
        size_t used = add_job(extra, request);

        snprintf(extra + used, sizeof extra - used, "%s", response.extra ? response.extra : "");
        response.extra = extra;
    }
    if (rendered->status >= 400)
        cairn_session_count_error(session);
    cairn_http_write(to, &response, body);
}

void cairn_http_respond(struct cairn_http_session *http, unsigned flags, unsigned status, const char *type,
                        const char *extra, struct cairn_bytes body)
{
    struct cairn_http_rendered rendered = {.status = status, .type = type, .extra = extra};

    write_response(&http->session, cairn_session_reply_begin(&http->session), flags, &rendered, NULL, body);
    cairn_session_reply_end(&http->session);
}

void cairn_http_problem(struct cairn_http_session *http, unsigned flags, unsigned status, const char *code,
                        const char *extra, const char *format, ...)
{
    struct cairn_buf *scratch = &http->session.front->scratch;
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    scratch->size = 0;
    if (flags & CAIRN_HTTP_AS_VALUE) {
        cairn_value_add_error(scratch, cairn_str(code), cairn_str(text));
        cairn_http_respond(http, flags, status, CAIRN_VALUE_TYPE, extra, cairn_buf_bytes(scratch));
        return;
    }
    cairn_http_render_problem(scratch, status, cairn_str(code), cairn_str(text), NULL);
    cairn_http_respond(http, flags, status, "application/problem+json", extra, cairn_buf_bytes(scratch));
}

void cairn_http_respond_head(struct cairn_http_session *http, unsigned flags, const char *type)
{
    struct cairn_http_rendered rendered = {.status = 200, .type = type, .untold = true};

    write_response(&http->session, cairn_session_reply_begin(&http->session), flags, &rendered, NULL,
                   cairn_bytes(NULL, 0));
    cairn_session_reply_end(&http->session);
}

/* A part of a reply.  One that is the whole has a length; several go in chunks, or, as HTTP/1.0 does not know these, up
 * to the connection's end. */
static void write_part(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes value,
                       struct cairn_buf *to)
{
    struct cairn_buf *body = &session->front->scratch;
    bool by_end = slot->flags & CAIRN_HTTP_1_0;
    struct cairn_bytes next;

    body->size = 0;
    next = cairn_http_render_part(body, (enum cairn_http_form)slot->form, slot->flags, slot->begun, value);
    if (!slot->begun && (body->size || !next.size)) {
        struct cairn_http_rendered rendered = {
            .status = 200, .type = cairn_http_part_type((enum cairn_http_form)slot->form, slot->flags)};
        struct cairn_http_response response = response_of(session, slot->flags, &rendered);

        if (next.size) {
            slot->begun = true;
            response.framing = by_end ? CAIRN_HTTP_UNTOLD : CAIRN_HTTP_CHUNKS;
            response.keep_alive = response.keep_alive && !by_end;
        }
        cairn_http_write(to, &response, cairn_buf_bytes(body));
    } else if (slot->begun && by_end) {
        cairn_buf_add(to, body->data, body->size);
    } else if (slot->begun) {
        if (body->size)
            cairn_http_write_chunk(to, cairn_buf_bytes(body));
        if (!next.size)
            cairn_http_write_chunk(to, cairn_bytes(NULL, 0));
    }
    if (next.size)
        cairn_slot_go_on(slot, next);
    else if (slot->begun && by_end)
        cairn_session_end(session);
}

static void write_reply(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes value,
                        struct cairn_buf *to)
{
    struct cairn_buf *scratch = &session->front->scratch;
    struct cairn_http_rendered rendered;

    if (cairn_http_form_has_parts((enum cairn_http_form)slot->form) && !slot->request.peek) {
        struct cairn_reader r = cairn_reader(value);
        bool failed = cairn_value_read(&r).kind == CAIRN_VALUE_ERROR;

        if (!failed) {
            write_part(session, slot, value, to);
            return;
        }
        if (slot->begun) {
            cairn_session_break_off(session);
            return;
        }
    }
    scratch->size = 0;
    rendered = cairn_http_render(scratch, &slot->request, (enum cairn_http_form)slot->form, slot->flags, value);
    write_response(session, to, slot->flags, &rendered, slot->request.wants_job ? &slot->request : NULL,
                   cairn_buf_bytes(scratch));
    if (scratch->capacity > 1 << 20)
        cairn_buf_done(scratch);
}

/* --- requests --- */

static uint64_t on_head(void *context, const struct cairn_http_request *head, uint64_t content_bytes)
{
    struct cairn_http_session *http = context;
    struct cairn_bytes expect = head->headers[CAIRN_HTTP_EXPECT];
    uint64_t most = cairn_http_body_max(http, head);

    /* Behind earlier replies, and only if the body is wanted. */
    if (expect.size == 12 && strncasecmp((const char *)expect.data, "100-continue", 12) == 0 && !head->http_1_0 &&
        content_bytes > 0 && (content_bytes <= most || content_bytes == UINT64_MAX)) {
        cairn_buf_str(cairn_session_reply_begin(&http->session), "HTTP/1.1 100 Continue\r\n\r\n");
        cairn_session_reply_end(&http->session);
    }
    return most;
}

static size_t parse(struct cairn_session *session, struct cairn_bytes input)
{
    struct cairn_http_session *http = http_of(session);
    size_t used = 0;

    while (used < input.size && session->state == CAIRN_SESSION_OPEN && !cairn_session_full(session)) {
        const struct cairn_http_request *request;
        const struct cairn_http_refusal *refusal;
        size_t part = 0;

        switch (cairn_http_parse(http->parser, cairn_bytes(input.data + used, input.size - used), &part)) {
        case CAIRN_HTTP_MORE:
            used += part;
            break;
        case CAIRN_HTTP_REQUEST:
            used += part;
            cairn_session_count_request(session);
            request = cairn_http_parser_request(http->parser);
            if (!request->keep_alive)
                cairn_session_end(session); /* after this reply */
            cairn_http_route(http, request);
            break;
        case CAIRN_HTTP_BAD:
            refusal = cairn_http_parser_refusal(http->parser);
            cairn_http_problem(http, 0, refusal->status, "bad_request", NULL, "%s", refusal->text);
            cairn_session_end(session);
            return input.size;
        }
    }
    return used;
}

static size_t partial_bytes(const struct cairn_session *session)
{
    const struct cairn_http_session *http = cairn_container(session, const struct cairn_http_session, session);

    return cairn_http_parser_partial(http->parser);
}

static void timed_out(struct cairn_session *session)
{
    cairn_http_problem(http_of(session), 0, 408, "bad_request", NULL, "the rest of the request did not come in time");
}

static void too_big(struct cairn_session *session)
{
    cairn_http_problem(http_of(session), 0, 503, "overloaded", "Retry-After: 1\r\n",
                       "no memory for a request this large now, try again");
    cairn_session_end(session);
}

static void trim(struct cairn_session *session)
{
    cairn_http_parser_trim(http_of(session)->parser);
}

static void free_session(struct cairn_session *session)
{
    struct cairn_http_session *http = http_of(session);

    cairn_session_done(session);
    cairn_http_parser_destroy(http->parser);
    free(http);
}

static void turn_away(struct cairn_buf *to)
{
    static const struct cairn_http_response response = {.status = 503, .type = "application/problem+json"};

    cairn_http_write(to, &response,
                     cairn_str("{\"status\":503,\"code\":\"overloaded\",\"detail\":\"too many connections are "
                               "open\"}\n"));
}

const struct cairn_protocol cairn_http_protocol = {
    .index = CAIRN_PROTOCOL_HTTP,
    .name = "http",
    .default_port = CAIRN_HTTP_PORT,
    .address_offset = offsetof(struct cairn_server_options, http),
    .idle_ms_offset = offsetof(struct cairn_server_options, http_idle_ms),
    .idle_ms = 600000,
    .open = cairn_http_session_open,
    .turn_away = turn_away,
    .parse = parse,
    .write = write_reply,
    .partial_bytes = partial_bytes,
    .timed_out = timed_out,
    .too_big = too_big,
    .trim = trim,
    .free = free_session,
};

struct cairn_session *cairn_http_session_open(struct cairn_front *front, void *owner)
{
    struct cairn_http_session *http = cairn_alloc_zeroed(1, sizeof *http);

    cairn_session_init(&http->session, &cairn_http_protocol, front, owner);
    http->parser = cairn_http_parser_create(&front->http_limits, on_head, http);
    return &http->session;
}
