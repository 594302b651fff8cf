/* call.h - an invocation makes a call, which leaves when its segment ends.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_CALL_H
#define CAIRN_OBJECT_CALL_H

#include "base/bytes.h"
#include "base/err.h"

struct invocation;
struct operation;

/* All of it is copied. */
struct call_aim {
    const struct operation *operation;
    struct cairn_bytes type, id, method, args;
    struct cairn_bytes caller_type, caller_id; /* as the callee is told; may be empty */
};

/* A call of the invocation's segment; what the callee must and may is left to be said in *ret_callee.
 * CAIRN_ELIMIT: there are too many already, or it is too large. */
enum cairn_code call_make(struct invocation *inv, const struct call_aim *aim, struct invocation **ret_callee,
                          struct cairn_err *err);

#endif
