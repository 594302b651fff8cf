/* http_internal.h - an HTTP client's session, its routes, and what results look like; seen inside
 * server/ only.
 *
 *   http_session.c   bytes <-> requests and responses
 *   http_respond.c   responses that need no request to the node
 *   http_large.c     the large values of the cache
 *   http_routes.c    which request asks for what
 *   http_spaces.c    namespaces
 *   http_messages.c  messages between objects
 *   http_transactions.c  several calls as one
 *   http_submit.c    requests to the node
 *   http_pages.c     pages of the node itself
 *   http_keeper.c    ZooKeeper's service
 *   http_cache.c     keys of the cache
 *   http_render.c    values -> bodies; http_render_keeper.c */
#ifndef CAIRN_SERVER_HTTP_INTERNAL_H
#define CAIRN_SERVER_HTTP_INTERNAL_H

#include "proto/errors.h"
#include "proto/http.h"
#include "server/http_media.h"
#include "server/session_internal.h"

struct cairn_http_session {
    struct cairn_session session; /* first */
    struct cairn_http_parser *parser;
};

/* slot->form */
enum cairn_http_form {
    CAIRN_HTTP_FORM_VALUE,
    CAIRN_HTTP_FORM_LIST,
    CAIRN_HTTP_FORM_SHOW,
    CAIRN_HTTP_FORM_DELETED,
    CAIRN_HTTP_FORM_RESTORED,
    CAIRN_HTTP_FORM_DEPLOYED,
    CAIRN_HTTP_FORM_UNDEPLOYED,
    CAIRN_HTTP_FORM_MODULES,
    CAIRN_HTTP_FORM_TYPES,
    CAIRN_HTTP_FORM_LOGS,
    CAIRN_HTTP_FORM_SNAPSHOT,
    CAIRN_HTTP_FORM_VERSIONS,
    CAIRN_HTTP_FORM_CLOCK,
    CAIRN_HTTP_FORM_SPACES,
    CAIRN_HTTP_FORM_SPACE,
    CAIRN_HTTP_FORM_SPACE_CREATED,
    CAIRN_HTTP_FORM_SPACE_GOING,
    CAIRN_HTTP_FORM_TRACES,
    CAIRN_HTTP_FORM_TIMERS,
    CAIRN_HTTP_FORM_INVOCATIONS,
    CAIRN_HTTP_FORM_INVOCATION,
    CAIRN_HTTP_FORM_JOURNAL,
    CAIRN_HTTP_FORM_CANCELLED,
    CAIRN_HTTP_FORM_KEEPER,
    CAIRN_HTTP_FORM_KEEPER_SESSIONS,
    CAIRN_HTTP_FORM_KEEPER_WATCHES,
    CAIRN_HTTP_FORM_KEEPER_WORD, /* text */
    CAIRN_HTTP_FORM_LARGE,
    CAIRN_HTTP_FORM_SENT,
    CAIRN_HTTP_FORM_MESSAGES,
    CAIRN_HTTP_FORM_MESSAGE,
    CAIRN_HTTP_FORM_RETRIED,
    CAIRN_HTTP_FORM_DROPPED,
    CAIRN_HTTP_FORM_SETTLED,
    CAIRN_HTTP_FORM_METRICS, /* [byte string that is the body, cursor] */
};

/* slot->flags, and how a response is to be sent */
enum cairn_http_flags {
    CAIRN_HTTP_KEEP_ALIVE = 1,
    CAIRN_HTTP_NO_BODY = 2, /* HEAD */
    CAIRN_HTTP_1_0 = 4,
    CAIRN_HTTP_AS_BYTES = 8,  /* Accept: application/octet-stream */
    CAIRN_HTTP_AS_VALUE = 16, /* Accept: CAIRN_VALUE_TYPE */
};

/* --- http_routes.c --- */

/* How large the body of a request may be. */
uint64_t cairn_http_body_max(const struct cairn_http_session *http, const struct cairn_http_request *request);
/* Submits or answers a whole request. */
void cairn_http_route(struct cairn_http_session *http, const struct cairn_http_request *request);

/* --- http_render.c --- */

struct cairn_http_rendered {
    unsigned status;
    const char *type;
    const char *extra; /* header lines, or NULL */
    uint32_t retry_ms; /* of 429: when to ask again; 0: in a second */
    bool untold;       /* to HEAD: how long the body would be is not known, as it was not made */
};

/* Appends the body for a request's value. */
struct cairn_http_rendered cairn_http_render(struct cairn_buf *body, const struct cairn_request *request,
                                             enum cairn_http_form form, unsigned flags, struct cairn_bytes value);
/* http_large.c: of its form. */
void cairn_http_render_large(struct cairn_buf *body, struct cairn_bytes value);
/* http_render_keeper.c: of the keeper's forms. */
void cairn_http_render_keeper(struct cairn_buf *body, enum cairn_http_form form, struct cairn_bytes value);
/* A reply that comes in parts: modules, types, log lines, metrics. */
bool cairn_http_form_has_parts(enum cairn_http_form form);
const char *cairn_http_part_type(enum cairn_http_form form, unsigned flags);
/* Appends what a page (object.h) is in the body; `begun`: there was one before it.  Where the next begins, or empty. */
struct cairn_bytes cairn_http_render_part(struct cairn_buf *body, enum cairn_http_form form, unsigned flags, bool begun,
                                          struct cairn_bytes value);
/* application/problem+json */
/* With `request` its effects, and its job if it has one; NULL: nothing was asked of the node. */
void cairn_http_render_problem(struct cairn_buf *body, unsigned status, struct cairn_bytes code,
                               struct cairn_bytes message, const struct cairn_request *request);

/* --- http_respond.c --- */

/* A whole response that needs no request. */
void cairn_http_respond(struct cairn_http_session *http, unsigned flags, unsigned status, const char *type,
                        const char *extra, struct cairn_bytes body);
/* To HEAD, for what GET would answer: without making it. */
void cairn_http_respond_head(struct cairn_http_session *http, unsigned flags, const char *type);
void cairn_http_problem(struct cairn_http_session *http, unsigned flags, unsigned status, const char *code,
                        const char *extra, const char *format, ...) __attribute__((format(printf, 6, 7)));

struct cairn_http_response cairn_http_response_of(struct cairn_session *session, unsigned flags,
                                                  const struct cairn_http_rendered *rendered);
/* `request` may be NULL: it is none of a job. */
void cairn_http_write_response(struct cairn_session *session, struct cairn_buf *to, unsigned flags,
                               const struct cairn_http_rendered *rendered, const struct cairn_request *request,
                               struct cairn_bytes body);

#endif
