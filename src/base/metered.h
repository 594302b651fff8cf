/* metered.h - what the namespaces of a node have used, as numbers and as the text that keeps them over a restart
 * (docs/formats/metered.md).
 *
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_METERED_H
#define CAIRN_BASE_METERED_H

#include "base/bytes.h"
#include "base/err.h"

enum cairn_measure {
    CAIRN_METERED_REQUESTS,    /* from outside, with reads of the keeper, which run no function */
    CAIRN_METERED_INVOCATIONS, /* of requests, calls and messages */
    CAIRN_METERED_CPU_NS,      /* of these */
    CAIRN_METERED_MEMORY,      /* each one's CPU time in us, times its instance's memory in KiB */
    CAIRN_METERED_HOPS,        /* those that may write: they stood in the line of their object */
    CAIRN_METERED_HOP_BYTES,   /* of their arguments */
    CAIRN_METERED_READS,       /* of stored entries, and reads of the keeper */
    CAIRN_METERED_READ_BYTES,
    CAIRN_METERED_WRITES, /* entries that were put or removed in records of the log */
    CAIRN_METERED_WRITTEN_BYTES,
    CAIRN_MEASURES
};

/* A measure's names: among metrics, where it is multiplied by `scale`, and in JSON, where it is as it is. */
extern const struct cairn_metered_series {
    const char *metric, *help;
    double scale;
    const char *json;
} cairn_metered_series[CAIRN_MEASURES];

enum { CAIRN_METERED_BYTES_MAX = 16 << 20, CAIRN_METERED_NAME_BYTES_MAX = 64 };

/* What namespaces that were removed have used, all together, is under this name, which none can have. */
#define CAIRN_METERED_REMOVED "-"

/* Among metrics, in seconds. */
#define CAIRN_METERED_SINCE  "cairn_metered_since_seconds"
#define CAIRN_METERED_SERVED "cairn_metered_seconds_total"

struct cairn_metered_time {
    uint64_t since_ms;  /* when the first node on the folder began to meter; 0: never */
    uint64_t served_ms; /* for how long nodes have been there since */
};

/* begin, an `add` for each name, end; into an empty buffer. */
void cairn_metered_begin(struct cairn_buf *to, const struct cairn_metered_time *time);
void cairn_metered_add(struct cairn_buf *to, struct cairn_bytes name, const uint64_t values[CAIRN_MEASURES]);
void cairn_metered_end(struct cairn_buf *to);

/* Calls `each` for each name, once the whole text is known to be good. */
enum cairn_code cairn_metered_read(struct cairn_bytes text, struct cairn_metered_time *ret_time,
                                   void (*each)(void *context, struct cairn_bytes name,
                                                const uint64_t values[CAIRN_MEASURES]),
                                   void *context, struct cairn_err *err);

#endif
