/* limits.h - the limits that a module declares for a type's methods, and for each of them.
 *
 * What a method declares goes before what its type does.  The node's own limits, and the namespace's, are caps: what
 * stands above this room makes of all of them what is in force (object/method_limits.h).
 * Threads: any; nothing is shared.  Layer: fn. */
#ifndef CAIRN_FN_LIMITS_H
#define CAIRN_FN_LIMITS_H

#include "base/bytes.h"

enum cairn_method_limit {
    CAIRN_LIMIT_CPU,                 /* ms: processor time of an invocation */
    CAIRN_LIMIT_MEMORY,              /* bytes: of its instance */
    CAIRN_LIMIT_CALLS,               /* that it makes itself */
    CAIRN_LIMIT_RESULT,              /* bytes */
    CAIRN_LIMIT_WRITE_SET,           /* bytes: of a segment */
    CAIRN_LIMIT_JOURNAL,             /* bytes: of a durable one */
    CAIRN_LIMIT_TRANSACTION,         /* bytes: of a transaction's record, whose root it is */
    CAIRN_LIMIT_TRANSACTION_OBJECTS, /* that it comes to */
    CAIRN_LIMIT_TRANSACTION_TIME,    /* ms: from its first lock to the end of its method */
    CAIRN_METHOD_LIMITS
};

enum cairn_limit_unit { CAIRN_UNIT_COUNT, CAIRN_UNIT_MS, CAIRN_UNIT_BYTES };

/* "limit-cpu", .. */
const char *cairn_method_limit_name(enum cairn_method_limit limit);
enum cairn_limit_unit cairn_method_limit_unit(enum cairn_method_limit limit);
/* Greatest value that one may have, in its unit. */
uint64_t cairn_method_limit_most(enum cairn_method_limit limit);
/* "20 ms", "256 KiB", "10". */
enum { CAIRN_LIMIT_TEXT_BYTES = 32 };
const char *cairn_method_limit_text(enum cairn_method_limit limit, uint64_t value, char to[CAIRN_LIMIT_TEXT_BYTES]);
/* "limit-cpu=20" as a module declares it, where sizes are in KiB; false: it is none, or one that `limits` has already,
 * of which 0 is none. */
bool cairn_method_limit_read(struct cairn_bytes word, uint64_t limits[CAIRN_METHOD_LIMITS]);

#endif
