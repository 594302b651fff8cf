/* Responses: those that are made here and now, and the lines before any body. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "server/http_internal.h"

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

struct cairn_http_response cairn_http_response_of(struct cairn_session *session, unsigned flags,
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

void cairn_http_write_response(struct cairn_session *session, struct cairn_buf *to, unsigned flags,
                               const struct cairn_http_rendered *rendered, const struct cairn_request *request,
                               struct cairn_bytes body)
{
    struct cairn_http_response response = cairn_http_response_of(session, flags, rendered);
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

    cairn_http_write_response(&http->session, cairn_session_reply_begin(&http->session), flags, &rendered, NULL, body);
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

    cairn_http_write_response(&http->session, cairn_session_reply_begin(&http->session), flags, &rendered, NULL,
                              cairn_bytes(NULL, 0));
    cairn_session_reply_end(&http->session);
}
