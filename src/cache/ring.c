#include "cache/ring.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"

struct place {
    uint64_t hash;
    uint32_t index;
};

struct cairn_ring {
    size_t count, place_count;
    uint32_t agent_count;
    uint32_t *agents; /* of each instance, 0 .. agent_count - 1 */
    struct place places[];
};

static int by_hash(const void *a, const void *b)
{
    const struct place *p = a, *q = b;

    if (p->hash != q->hash)
        return p->hash < q->hash ? -1 : 1;
    return p->index < q->index ? -1 : p->index > q->index;
}

static int by_number(const void *a, const void *b)
{
    uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;

    return p < q ? -1 : p > q;
}

static size_t places_of(const struct cairn_ring_instance *instance, uint32_t places)
{
    double count = round(instance->strength * places);

    return count < 1 ? 1 : (size_t)count;
}

/* Agents get numbers from 0 on, so that what each has had can be counted in an array. */
static void number_agents(struct cairn_ring *ring, const struct cairn_ring_instance *instances)
{
    uint64_t *names = cairn_alloc((ring->count + 1) * sizeof *names);
    size_t known = 0;

    for (size_t i = 0; i < ring->count; i++)
        names[i] = instances[i].agent;
    qsort(names, ring->count, sizeof *names, by_number);
    for (size_t i = 0; i < ring->count; i++)
        if (known == 0 || names[known - 1] != names[i])
            names[known++] = names[i];
    for (size_t i = 0; i < ring->count; i++) {
        const uint64_t *found = bsearch(&instances[i].agent, names, known, sizeof *names, by_number);

        ring->agents[i] = (uint32_t)(found - names);
    }
    ring->agent_count = (uint32_t)known;
    free(names);
}

struct cairn_ring *cairn_ring_new(const struct cairn_ring_instance *instances, size_t count, uint32_t places)
{
    struct cairn_ring *ring;
    size_t total = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        total += places_of(&instances[i], places);
    ring = cairn_alloc(sizeof *ring + total * sizeof ring->places[0]);
    *ring = (struct cairn_ring){.count = count, .place_count = total};
    ring->agents = cairn_alloc((count + 1) * sizeof *ring->agents);
    for (size_t i = 0; i < count; i++)
        for (uint64_t n = places_of(&instances[i], places); n-- > 0;)
            ring->places[at++] = (struct place){
                cairn_hash_seeded(cairn_bytes(&instances[i].id, sizeof instances[i].id), n), (uint32_t)i};
    qsort(ring->places, total, sizeof ring->places[0], by_hash);
    number_agents(ring, instances);
    return ring;
}

struct cairn_ring *cairn_ring_free(struct cairn_ring *ring)
{
    if (ring)
        free(ring->agents);
    free(ring);
    return NULL;
}

static size_t successor(const struct cairn_ring *ring, uint64_t hash)
{
    size_t low = 0, high = ring->place_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ring->places[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low == ring->place_count ? 0 : low;
}

enum { FREE, TAKEN, LEFT_OUT };

size_t cairn_ring_place(const struct cairn_ring *ring, uint64_t hash, size_t want, uint32_t *ret_indices,
                        bool (*without)(void *context, uint32_t index), void *context)
{
    uint8_t *state = cairn_alloc_zeroed(ring->count + 1, 1);
    uint32_t *had = cairn_alloc_zeroed(ring->agent_count + 1, sizeof *had);
    size_t first = ring->place_count ? successor(ring, hash) : 0, taken = 0, before = SIZE_MAX;

    for (size_t i = 0; without && i < ring->count; i++)
        if (without(context, (uint32_t)i))
            state[i] = LEFT_OUT;
    for (uint32_t each = 1; taken < want && taken != before;
         each++) { /* of an agent; a round that takes none is the last */
        before = taken;
        for (size_t i = 0; i < ring->place_count && taken < want; i++) {
            uint32_t index = ring->places[(first + i) % ring->place_count].index;

            if (state[index] == FREE && had[ring->agents[index]] < each) {
                state[index] = TAKEN;
                had[ring->agents[index]]++;
                ret_indices[taken++] = index;
            }
        }
    }
    free(state);
    free(had);
    return taken;
}

/* --- loss --- */

static double log_choose(uint32_t of, uint32_t take)
{
    return lgamma(of + 1.0) - lgamma(take + 1.0) - lgamma(of - take + 1.0);
}

double cairn_loss_given(uint32_t nodes, uint32_t chunks, uint32_t parity, uint32_t lost)
{
    double sum = 0;

    for (uint32_t i = parity + 1; i <= chunks && i <= lost; i++)
        if (lost - i <= nodes - chunks) /* the rest of the lost are among those without a chunk */
            sum += exp(log_choose(chunks, i) + log_choose(nodes - chunks, lost - i) - log_choose(nodes, lost));
    return sum;
}

double cairn_loss(uint32_t nodes, uint32_t chunks, uint32_t parity, const double *chance, size_t count)
{
    double sum = 0;

    for (size_t lost = 0; lost < count; lost++)
        sum += chance[lost] * cairn_loss_given(nodes, chunks, parity, (uint32_t)lost);
    return sum;
}
