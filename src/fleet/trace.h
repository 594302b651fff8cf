/* trace.h - what clients ask a cache for, over hours: a list of GETs, made up or read, and what it is like.
 *
 * The generator makes what InfiniCache's authors published of a registry of container images (FAST 2020, section 2 and
 * 5.2, and the 21 minutes of the registry that are public): sizes over nine orders of magnitude, of which a fifth are
 * above 10 MB and have 95 % of the bytes; two GETs of three for what was read before, two fifths of those within an
 * hour.  A GET is of a key that was not asked for before with the chance `fresh`; else it is again of what was asked
 * for some time ago, a time of up to an hour with the chance `soon` and of up to 50 hours otherwise, each with a
 * uniform logarithm.  So what was asked for often is asked for more often.
 *
 * Threads: none of its own.  Layer: fleet; uses base. */
#ifndef CAIRN_FLEET_TRACE_H
#define CAIRN_FLEET_TRACE_H

#include <stdio.h>

#include "base/bytes.h"
#include "base/err.h"

enum { CAIRN_TRACE_LARGE = 10000000, CAIRN_TRACE_EVENTS_MAX = 100000000 };

/* A GET.  Who gets nothing puts the value, of that size. */
struct cairn_trace_event {
    uint64_t at_ms; /* from the first on, never less than the one before */
    uint32_t key;   /* 0 .. keys - 1, in the order in which they are first asked for */
    uint64_t bytes; /* of its value, the same for all events of the key */
};

struct cairn_trace {
    struct cairn_trace_event *events;
    size_t count, capacity;
    uint32_t keys;
};

struct cairn_trace_options {
    uint64_t seed;
    double hours, gets; /* gets: an hour */
    double fresh, soon; /* chances */
    uint64_t bytes_max;
};

/* Those of the published 50 hours. */
struct cairn_trace_options cairn_trace_options(void);
/* *ret is zeroed, or was done. */
void cairn_trace_generate(const struct cairn_trace_options *options, struct cairn_trace *ret);

/* A table with commas, of which the first line names the columns; of those there must be
 *   ms or timestamp (RFC 3339),  key or http.request.uri,  bytes or http.response.written,
 * and if there is http.request.method, rows count whose method is GET.  A key's size is that of its first row.
 * Rows need not be in order.  CAIRN_EINVAL says in which line what is wrong. */
enum cairn_code cairn_trace_read(FILE *from, struct cairn_trace *ret, struct cairn_err *err);
/* With the columns ms, key, bytes. */
void cairn_trace_write(const struct cairn_trace *trace, FILE *to);
void cairn_trace_done(struct cairn_trace *trace);
/* Leaves those with at least so many bytes. */
void cairn_trace_keep_large(struct cairn_trace *trace, uint64_t bytes_min);

/* --- what it is like --- */

enum { CAIRN_TRACE_QUANTILES = 7 };
/* 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1 */
extern const double cairn_trace_quantiles[CAIRN_TRACE_QUANTILES];

struct cairn_trace_facts {
    double hours, gets, large_gets;                /* gets: an hour */
    double footprint, large_footprint;             /* bytes of all keys, each once */
    double again, large_again;                     /* share of GETs of what was asked for before */
    double large_keys;                             /* share of keys */
    double large_soon;                             /* of large GETs again: share within an hour of the one before */
    double large_often;                            /* of large keys: share with ten GETs or more */
    uint64_t key_bytes[CAIRN_TRACE_QUANTILES];     /* quantiles of keys' sizes */
    uint64_t request_bytes[CAIRN_TRACE_QUANTILES]; /* and of GETs' */
};

void cairn_trace_tell(const struct cairn_trace *trace, struct cairn_trace_facts *ret);

#endif
