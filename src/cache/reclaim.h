/* reclaim.h - when a provider takes instances away: its policy as data, for instances of a process and for simulated
 * ones.
 *
 *   never           as long as the process lives
 *   idle:27m        what was not called for so long
 *   life:6h         what is older
 *   poisson:12      so many an hour of 400, at any time, each by itself
 *   zipf:12         so many an hour of 400, most minutes none, some minutes many at once
 *   script:0,3,22   so many in each minute, of however many there are; again from the start when it is through
 *
 * InfiniCache's authors watched 400 functions for months (FAST 2020, 4.1): numbers in a minute were about Poisson's in
 * some months and about Zipf's in others, so the rates are told for 400, and hold in proportion for other numbers.
 *
 * Threads: a policy does not change once it was read; any thread's.  Layer: cache; uses base. */
#ifndef CAIRN_CACHE_RECLAIM_H
#define CAIRN_CACHE_RECLAIM_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/random.h"

enum { CAIRN_RECLAIM_OF = 400, CAIRN_RECLAIM_MINUTES_MAX = 1440, CAIRN_RECLAIM_MINUTE_MS = 60000 };

enum cairn_reclaim_kind {
    CAIRN_RECLAIM_NEVER,
    CAIRN_RECLAIM_IDLE,
    CAIRN_RECLAIM_LIFE,
    CAIRN_RECLAIM_POISSON,
    CAIRN_RECLAIM_ZIPF,
    CAIRN_RECLAIM_SCRIPT,
};

struct cairn_reclaim {
    enum cairn_reclaim_kind kind;
    uint64_t after_ms; /* idle, life */
    double per_minute; /* poisson, zipf: of CAIRN_RECLAIM_OF */
    double exponent;   /* zipf: worked out for the rate */
    uint32_t minutes;  /* script */
    uint16_t counts[CAIRN_RECLAIM_MINUTES_MAX];
};

/* CAIRN_EINVAL says what is wrong. */
enum cairn_code cairn_reclaim_parse(const char *text, struct cairn_reclaim *ret, struct cairn_err *err);

/* Whether the policy takes an instance for what it is: idle and life alone do. */
bool cairn_reclaim_due(const struct cairn_reclaim *reclaim, uint64_t idle_ms, uint64_t age_ms);
/* How many of `instances` the policy takes in that minute, whichever they are; at most all. */
uint32_t cairn_reclaim_count(const struct cairn_reclaim *reclaim, struct cairn_random *random, uint64_t minute,
                             uint32_t instances);

#endif
