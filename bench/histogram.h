/* histogram.h - latencies in nanoseconds, in buckets no wider than a 64th of what they hold. */
#ifndef CAIRN_BENCH_HISTOGRAM_H
#define CAIRN_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BITS = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS) << HISTOGRAM_BITS };

/* Zero-initialized is empty. */
struct histogram {
    uint64_t count, max_ns, buckets[HISTOGRAM_BUCKETS];
    double total_ns;
};

/* Below 2^HISTOGRAM_BITS one bucket a value; above, 2^HISTOGRAM_BITS buckets an octave. */
static inline unsigned histogram_bucket(uint64_t ns)
{
    unsigned octave;

    if (ns < 1u << HISTOGRAM_BITS)
        return (unsigned)ns;
    octave = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_BITS;
    return ((octave + 1) << HISTOGRAM_BITS) + (unsigned)(ns >> octave) - (1u << HISTOGRAM_BITS);
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
    h->buckets[histogram_bucket(ns)]++;
    h->count++;
    h->total_ns += (double)ns;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

/* The middle of the bucket in which the share `part` (0..1) of all values is reached. */
static inline double histogram_ns(const struct histogram *h, double part)
{
    uint64_t want = (uint64_t)(part * (double)h->count), seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && h->count; i++) {
        seen += h->buckets[i];
        if (seen > want || seen == h->count) {
            unsigned octave = i >> HISTOGRAM_BITS ? (i >> HISTOGRAM_BITS) - 1 : 0;
            double low =
                i >> HISTOGRAM_BITS
                    ? (double)((uint64_t)((1u << HISTOGRAM_BITS) + (i & ((1u << HISTOGRAM_BITS) - 1))) << octave)
                    : i;
            double middle = low + (double)((1ull << octave) - 1) / 2;
            return middle < (double)h->max_ns ? middle : (double)h->max_ns;
        }
    }
    return 0;
}

static inline double histogram_mean_ns(const struct histogram *h)
{
    return h->count ? h->total_ns / (double)h->count : 0;
}

#endif
