/* http_call.h - one whole request of HTTP on its way from its route to its answer; seen by the http_* files only.
 *
 * Each function answers the request, or submits what will be answered.
 * Threads: the session's.  Layer: server (private). */
#ifndef CAIRN_SERVER_HTTP_CALL_H
#define CAIRN_SERVER_HTTP_CALL_H

#include "server/http_internal.h"

struct cairn_http_call {
    struct cairn_http_session *http;
    const struct cairn_http_request *request;
    unsigned flags;      /* enum cairn_http_flags */
    struct space *space; /* the request names it, and its segments are those of `default`'s page; NULL: none is named */
};

static inline bool cairn_http_is(struct cairn_bytes bytes, const char *text)
{
    return cairn_bytes_equal(bytes, cairn_str(text));
}

#define cairn_http_refuse(call, status, code, ...) \
    cairn_http_problem((call)->http, (call)->flags, status, code, NULL, __VA_ARGS__)

/* --- http_spaces.c --- */

/* /v1/ns/NAME/...: the call becomes that of /v1/... in the namespace, with its request in *inside.  False: it is
 * answered, as there is no such namespace, or it has as many connections as it may have. */
bool cairn_http_enter_space(struct cairn_http_call *call, struct cairn_http_request *inside);

/* --- http_large.c --- */

/* GET and HEAD of /v1/cache; DELETE */
void cairn_http_page_large(const struct cairn_http_call *call);
void cairn_http_reclaim_instances(const struct cairn_http_call *call);

/* --- http_messages.c --- */

/* With type=TYPE and id=ID, of a list limit=N, and of one of messages dead=1; a journal, of what the path's third
 * segment names, with limit=N alone. */
void cairn_http_submit_messages(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form);

/* --- http_transactions.c --- */

/* POST /v1/transactions */
void cairn_http_submit_transaction(const struct cairn_http_call *call);

/* --- http_keeper.c --- */

void cairn_http_page_keeper(const struct cairn_http_call *call);

/* --- http_cache.c --- */

/* GET, HEAD, PUT and DELETE of /v1/cache/KEY */
void cairn_http_page_cache(const struct cairn_http_call *call);

/* --- http_submit.c --- */

/* For a request to the node, whose views live on in it; given back if there is none in the end. */
struct cairn_slot *cairn_http_take_slot(const struct cairn_http_call *call, enum cairn_op op,
                                        enum cairn_http_form form);
void cairn_http_give_up(const struct cairn_http_call *call, struct cairn_slot *slot);
/* NAME, NAME=1 or NAME=true; 0 and false; what is neither is refused. */
bool cairn_http_query_switch(const struct cairn_http_call *call, struct cairn_bytes name, struct cairn_bytes text,
                             bool *ret_on);
/* A number from 1 to `most`; what is not one is refused. */
bool cairn_http_query_number(const struct cairn_http_call *call, struct cairn_bytes name, struct cairn_bytes text,
                             uint32_t most, uint32_t *ret);
/* The header Idempotency-Key, if there is one; false: it cannot be one, and is refused. */
bool cairn_http_read_key(const struct cairn_http_call *call, struct cairn_slot *slot);
void cairn_http_submit_invoke(const struct cairn_http_call *call);
/* With limit (`first` if there is none, at most `most`), and cursor, prefix and which past is meant, where the
 * operation has these. */
void cairn_http_submit_page(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form,
                            uint32_t first, uint32_t most);
/* The spans of the job, or, with none, the first of each job; limit as above. */
void cairn_http_submit_traces(const struct cairn_http_call *call, struct cairn_job_id job, uint32_t first,
                              uint32_t most);
void cairn_http_submit_plain(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form);
void cairn_http_submit_deploy(const struct cairn_http_call *call, enum cairn_op op);
/* Of what the path's third segment names. */
void cairn_http_submit_space_removal(const struct cairn_http_call *call);
void cairn_http_submit_named(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form);
/* A namespace with the limits that the query has: requests=N, connections=N, memory=BYTES; 0: none. */
void cairn_http_submit_space(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form);
/* PUT: the object is to be as it was. */
void cairn_http_submit_restore(const struct cairn_http_call *call);
void cairn_http_submit_number(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form,
                              uint64_t number);
/* POST /v1/promises/ID[/reject] */
void cairn_http_submit_settle(const struct cairn_http_call *call);
/* POST /v1/export[?version=N], /v1/export/ID/PAGE */
void cairn_http_submit_export(const struct cairn_http_call *call);

/* --- http_pages.c --- */

void cairn_http_respond_text(const struct cairn_http_call *call, unsigned status, const char *type,
                             struct cairn_bytes body);
void cairn_http_page_metrics(const struct cairn_http_call *call);
void cairn_http_page_ready(const struct cairn_http_call *call);
void cairn_http_page_root(const struct cairn_http_call *call);

#endif
