/* ring.h - which instances have a value's chunks: consistent hashing over instances, of which some share an agent.
 *
 * Each instance has places on a circle of 2^64, as many as it is strong.  A value's first chunk is at the instance
 * behind the key's hash, each further chunk at the next one of an agent that has none yet; when all agents have one,
 * each may have a second, and so on.  So an instance that comes or goes moves only keys from or to itself (D. Karger
 * and others, STOC 1997).
 *
 * Threads: a ring does not change once made; any thread's.  Layer: cache; uses base. */
#ifndef CAIRN_CACHE_RING_H
#define CAIRN_CACHE_RING_H

#include "base/bytes.h"

/* Places of an instance of strength 1: more of them balance better, and cost more to make. */
enum { CAIRN_RING_PLACES = 128, CAIRN_RING_INSTANCES_MAX = 4096 };

struct cairn_ring_instance {
    uint64_t id;     /* hashed: an instance that comes back has its old places */
    uint64_t agent;  /* what is lost together; the node itself is one, too */
    double strength; /* 0 < strength <= 64: its memory over the median's */
};

struct cairn_ring;
/* Copies the instances, of which each id is there once, at most CAIRN_RING_INSTANCES_MAX. */
struct cairn_ring *cairn_ring_new(const struct cairn_ring_instance *instances, size_t count, uint32_t places);
struct cairn_ring *cairn_ring_free(struct cairn_ring *ring); /* NULL; accepts NULL */

/* Writes at most `want` different indices into the instances that were given, and returns how many: fewer than `want`
 * when there are not as many instances.  `without` is true for those that are left out; NULL: none are. */
size_t cairn_ring_place(const struct cairn_ring *ring, uint64_t hash, size_t want, uint32_t *ret_indices,
                        bool (*without)(void *context, uint32_t index), void *context);

/* --- what a loss costs --- */

/* With `nodes` instances of which `lost` are gone, the probability that a value of `chunks` chunks on different ones
 * has lost more than `parity` of them: hypergeometric (InfiniCache, FAST 2020, 4.2). */
double cairn_loss_given(uint32_t nodes, uint32_t chunks, uint32_t parity, uint32_t lost);
/* The same over a distribution of how many are lost: chance[r] for r in 0 .. count - 1. */
double cairn_loss(uint32_t nodes, uint32_t chunks, uint32_t parity, const double *chance, size_t count);

#endif
