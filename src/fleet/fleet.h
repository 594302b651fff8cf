/* fleet.h - a cache in the memory of function instances, simulated: a trace of GETs against instances that a provider
 * takes away by its policy.
 *
 * What decides is the cache's own: placement (cache/ring.h), how a value is cut and coded (cache/erasure.h), when
 * instances are reclaimed (cache/reclaim.h); no bytes are moved.  As in InfiniCache (FAST 2020, sections 3 and 4)
 *
 *  - a GET that finds nothing puts the value: its chunks go to the successors of its key's hash; where there is no room
 *    whole values go by CLOCK, until there is;
 *  - each instance is called once in warm_ms, unless it had a request, so that the provider does not see it idle;
 *  - once in backup_ms each instance sends what is new to its peer, another instance of the function; when the instance
 *    is reclaimed its peer takes its place with what the last backup had, and a fresh, empty peer begins;
 *  - a GET that finds at most as many chunks lost as there is parity is a hit, and the lost chunks are put again;
 *    with more it is a loss (the paper's RESET), and the value is put again, too.
 *
 * Not simulated are the times of requests: a GET and what follows it take none.
 *
 * Threads: none of its own.  Layer: fleet; uses base, cache. */
#ifndef CAIRN_FLEET_FLEET_H
#define CAIRN_FLEET_FLEET_H

#include "cache/erasure.h"
#include "cache/reclaim.h"
#include "fleet/trace.h"

struct cairn_fleet_options {
    uint64_t seed;
    uint32_t instances;    /* from the chunks of a value up to CAIRN_RING_INSTANCES_MAX */
    uint64_t memory_bytes; /* of one */
    struct cairn_redundancy redundancy;
    uint64_t warm_ms, backup_ms; /* 0: never */
    struct cairn_reclaim reclaim;
    double together;              /* share of the instances taken whose peer is taken with them */
    double base_ms, bytes_per_ms; /* of a call: what it takes, and for each chunk how fast it is sent */
};

/* The paper's: 400 of 1.5 GiB, 10+2, a call a minute, a backup each five.  Of the provider it tells the kind alone:
 * poisson:17, with 0.35 of them together with their peers, was chosen as what gives its two availabilities,
 * 95.4 and 81.4 % without backup. */
struct cairn_fleet_options cairn_fleet_options(void);

/* In an hour, or in all.  GETs are hits, losses and misses. */
struct cairn_fleet_count {
    uint64_t gets, hits, losses;
    uint64_t mended;    /* hits with lost chunks */
    uint64_t reclaimed; /* instances, peers too */
    uint64_t evicted;   /* values */
    uint64_t calls;     /* of functions, and their milliseconds by what they were for */
    uint64_t get_calls, warm_calls, backup_calls;
    double get_ms, warm_ms, backup_ms;
};

enum { CAIRN_FLEET_HOURS_MAX = 24 * 366 };

struct cairn_fleet_report {
    struct cairn_fleet_count all;
    struct cairn_fleet_count *hours;
    uint32_t hour_count;
    uint64_t values, bytes; /* that are held at the end; bytes of chunks */
};

/* CAIRN_EINVAL says which option cannot be, or that the trace is longer than CAIRN_FLEET_HOURS_MAX. */
enum cairn_code cairn_fleet_run(const struct cairn_fleet_options *options, const struct cairn_trace *trace,
                                struct cairn_fleet_report *ret, struct cairn_err *err);
void cairn_fleet_report_done(struct cairn_fleet_report *report);

/* Hits of what the cache had: hits / (hits + losses); 1 of none. */
double cairn_fleet_availability(const struct cairn_fleet_count *count);

#endif
