/* client.h - asks the node at CAIRN_URL, one request per connection.
 *
 * Results come as encoded values (the media type of server/http_internal.h), so that nothing is lost on
 * the way to the screen; with --json they come as the node's JSON and are passed on as they are.
 * Layer: cli. */
#ifndef CAIRN_CLI_CLIENT_H
#define CAIRN_CLI_CLIENT_H

#include "base/value.h"
#include "cli/flags.h"

#define CAIRN_URL_DEFAULT "http://127.0.0.1:7070"

struct cairn_ask {
    const char *method;
    struct cairn_buf target; /* "/v1/..." */
    const char *body_type;   /* NULL: no body */
    struct cairn_bytes body;
    const char *key;       /* Idempotency-Key; NULL: none */
    bool json;             /* the reply is printed as it comes */
    bool text;             /* the reply is some text, and the value is that, not encoded */
    bool missing_is_empty; /* not_found is no failure: the value is empty then */
    bool lists;            /* the reply is one list after the other, and the value is all of them as one */
};

struct cairn_answer {
    unsigned status;
    struct cairn_buf value; /* encoded; not with json */
};

/* Asks.  With json, and on every failure, all has been printed, and *ret_exit is the exit status; true: the
 * value is a result that the caller prints. */
bool cairn_ask(struct cairn_ask *ask, struct cairn_answer *ret_answer, int *ret_exit);
void cairn_answer_done(struct cairn_answer *answer);

/* What --namespace or CAIRN_NAMESPACE names; empty: neither. */
struct cairn_bytes cairn_namespace(void);
/* Begins the target: "/v1/PAGE", or "/v1/ns/NAME/PAGE" if --namespace or CAIRN_NAMESPACE names one. */
void cairn_ask_page(struct cairn_ask *ask, const char *page);
/* Appends "/text" or "?name=text" / "&name=text", encoded. */
void cairn_ask_path(struct cairn_ask *ask, struct cairn_bytes text);
void cairn_ask_query(struct cairn_ask *ask, const char *name, struct cairn_bytes text);

/* "TYPE/ID" becomes two parts; false and a message if it is not that. */
bool cairn_object_name(const char *text, struct cairn_bytes *ret_type, struct cairn_bytes *ret_id);

#endif
