/* random.h - a small, fast, seedable generator (xoshiro256**, Blackman and Vigna 2018).
 * Not for secrets; seeds come from io/.  Threads: one owner.  Layer: base. */
#ifndef CAIRN_BASE_RANDOM_H
#define CAIRN_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct cairn_random {
    uint64_t s[4];
};

void cairn_random_init(struct cairn_random *random, uint64_t seed);
uint64_t cairn_random_u64(struct cairn_random *random);
/* Uniform in [0, bound); bound > 0. */
uint64_t cairn_random_below(struct cairn_random *random, uint64_t bound);
/* Uniform in [0, 1), a multiple of 2^-53. */
double cairn_random_unit(struct cairn_random *random);
void cairn_random_fill(struct cairn_random *random, void *out, size_t bytes);

#endif
