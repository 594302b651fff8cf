#include <stdlib.h>

#include "server/http_internal.h"
#include "server/server.h"

static struct cairn_http_session *http_of(struct cairn_session *session)
{
    return cairn_container(session, struct cairn_http_session, session);
}

/* --- replies --- */

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
        struct cairn_http_response response = cairn_http_response_of(session, slot->flags, &rendered);

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
    cairn_http_write_response(session, to, slot->flags, &rendered, slot->request.wants_job ? &slot->request : NULL,
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
