/* durable_head.h - what a shard has of an open durable invocation beside its journal (docs/formats/journal.md).
 * Threads: any.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_DURABLE_HEAD_H
#define CAIRN_OBJECT_DURABLE_HEAD_H

#include "base/traceparent.h"
#include "fn/fn.h"
#include "object/called.h"
#include "object/durable.h"

/* What has begun it, beside a client without a key. */
enum durable_key { DURABLE_KEY_NONE = 0, DURABLE_KEY_CLIENT = 1, DURABLE_KEY_CALL = 2, DURABLE_KEY_MESSAGE = 3 };

struct durable_head {
    struct cairn_bytes module; /* hash of the .wasm, CAIRN_SHA256_BYTES */
    uint32_t version;
    struct cairn_bytes space, type, id, method, args; /* borrowed */
    struct cairn_bytes caller_type, caller_id;        /* data NULL: a client called */
    uint32_t depth;
    uint64_t began_ms;
    uint64_t cancel_ms;              /* when it was asked to end (durable_ask.h); 0: it was not */
    struct cairn_traceparent parent; /* the job, and the span of this invocation or 0 */
    enum durable_key key_kind;
    struct cairn_bytes key;       /* the client's */
    struct called called;         /* of the durable invocation that called */
    struct durable_letter letter; /* the message, which is no more */
};

void durable_head_encode(struct cairn_buf *to, const struct durable_head *head);
/* False: these bytes are no head. */
bool durable_head_decode(struct cairn_bytes bytes, struct durable_head *ret_head);

#endif
