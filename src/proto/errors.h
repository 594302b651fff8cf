/* errors.h - what an error code means to a client: HTTP status, RESP prefix, effects, retry.
 *
 * One table for both fronts; docs/reference/errors.md prints the same table for people, and a
 * test compares the two.  A code that is not in it is a method's own.
 * Layer: proto; uses base. */
#ifndef CAIRN_PROTO_ERRORS_H
#define CAIRN_PROTO_ERRORS_H

#include "base/bytes.h"
#include "base/err.h"

enum cairn_retry {
    CAIRN_RETRY_NO,   /* the same request fails again, or does again what stays */
    CAIRN_RETRY_YES,  /* later, as it is */
    CAIRN_RETRY_KEYED /* only with an idempotency key, or when doing it twice does no harm */
};

/* What the code alone tells: `effects` at most, and `retry` if there were none. */
struct cairn_error_meaning {
    uint16_t http_status;
    enum cairn_effects effects;
    enum cairn_retry retry;
};

/* `code` is a code's name as it is in an error value.  Names that are not the node's own (a
 * method's errors) share one meaning. */
const struct cairn_error_meaning *cairn_error_meaning(struct cairn_bytes code);
const struct cairn_error_meaning *cairn_error_meaning_of(enum cairn_code code); /* CAIRN_CODE_COUNT: methods' own */

/* What is to be done about an error whose request had these effects. */
enum cairn_retry cairn_error_retry(const struct cairn_error_meaning *meaning, enum cairn_effects effects);

/* The reason phrase of a status that this node sends, "" for others. */
const char *cairn_http_reason(unsigned status);

const char *cairn_effects_name(enum cairn_effects effects);
const char *cairn_retry_name(enum cairn_retry retry);

#endif
