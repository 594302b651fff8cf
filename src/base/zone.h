/* zone.h - a time zone: how far its local time is ahead of UTC, at any time.
 *
 * A zone is made of a TZif file (RFC 8536), as the system's tzdata has them: its transitions, and behind the last of
 * them the rule in its footer, for good.  Immutable once it has been made.
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_ZONE_H
#define CAIRN_BASE_ZONE_H

#include "base/bytes.h"

struct cairn_zone;

/* Keeps transitions from that time on (seconds), and what held then.  NULL: the bytes are no TZif file of version 2 or
 * above. */
struct cairn_zone *cairn_zone_read(struct cairn_bytes file, int64_t from_s);
struct cairn_zone *cairn_zone_free(struct cairn_zone *zone); /* returns NULL; accepts NULL */

/* A time with one offset throughout. */
struct cairn_zone_span {
    int64_t begin_s, end_s; /* end excluded; INT64_MIN, INT64_MAX: for good */
    int32_t offset_s;       /* local minus UTC */
    int32_t before_s;       /* that of the time before it */
};

/* The span that has this time.  `zone` NULL: UTC. */
struct cairn_zone_span cairn_zone_span(const struct cairn_zone *zone, int64_t utc_s);

/* Days since 1970-01-01 of a day, and back; month and day from 1. */
int64_t cairn_days_of(int64_t year, unsigned month, unsigned day);
void cairn_date_of(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

#endif
