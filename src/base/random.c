#include "base/random.h"

#include <string.h>

static uint64_t rotate(uint64_t x, unsigned k)
{
    return (x << k) | (x >> (64 - k));
}

void cairn_random_init(struct cairn_random *random, uint64_t seed)
{
    /* SplitMix64 spreads the seed over the state, as the generator's authors advise. */
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        random->s[i] = z ^ (z >> 31);
    }
}

uint64_t cairn_random_u64(struct cairn_random *random)
{
    uint64_t *s = random->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t cairn_random_below(struct cairn_random *random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)cairn_random_u64(random) * bound) >> 64);
}

double cairn_random_unit(struct cairn_random *random)
{
    return (double)(cairn_random_u64(random) >> 11) * 0x1p-53;
}

void cairn_random_fill(struct cairn_random *random, void *out, size_t bytes)
{
    uint8_t *at = out;

    while (bytes) {
        uint64_t r = cairn_random_u64(random);
        size_t n = bytes < sizeof r ? bytes : sizeof r;
        memcpy(at, &r, n);
        at += n;
        bytes -= n;
    }
}
