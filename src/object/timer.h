/* timer.h - a timer as it is kept ("Timers" in docs/promises.md, docs/formats/state.md), and when it is due.
 *
 *   u8 state | varint due ms | of one that has fired: varint number of the firing
 *   | u8 kind | of one with a period: varint ms | of one with a cron line: sized line, sized time zone
 *   | varint type | sized namespace (empty: default) | sized type's name | sized id | sized method | packed arguments
 *
 * Threads: any.  Layer: object, seen by admin and transfer. */
#ifndef CAIRN_OBJECT_TIMER_H
#define CAIRN_OBJECT_TIMER_H

#include "base/bytes.h"

struct cairn_zones;

enum timer_state {
    TIMER_PENDING = 0,
    TIMER_FIRED = 1, /* a message runs it, or waits to; until that is used up the timer is not due again */
};

enum timer_kind { TIMER_AT = 0, TIMER_PERIOD = 1, TIMER_CRON = 2 };

enum { TIMER_NAME_BYTES_MAX = 64 };

struct timer {
    uint8_t state, kind;
    uint64_t due_ms; /* fired: when it was due */
    uint64_t number; /* fired: the firing's */
    uint64_t period_ms;
    struct cairn_bytes cron, zone;
    uint32_t type;
    struct cairn_bytes space, type_name, id, method, args;
};

void timer_encode(const struct timer *timer, struct cairn_buf *to);
/* Borrowed from `bytes`; false: not well-formed. */
bool timer_decode(struct cairn_bytes bytes, struct timer *ret_timer);

/* Of one that is due again and again: the first time behind until_ms and behind its due time.  A time zone that there
 * is not, as on a machine to which the data came, counts as UTC. */
uint64_t timer_next_ms(const struct timer *timer, const struct cairn_zones *zones, uint64_t until_ms);
/* How many times lie behind its due time, up to until_ms: those are missed. */
uint64_t timer_missed(const struct timer *timer, const struct cairn_zones *zones, uint64_t until_ms);

#endif
