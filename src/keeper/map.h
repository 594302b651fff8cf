/* map.h - what this room finds by number: items that lie in their structs, chained in a table that grows.
 *
 * A key may be there several times, as that of a hash is: keeper_map_next gives the others.
 * Threads: one owner.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_MAP_H
#define CAIRN_KEEPER_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct keeper_item {
    struct keeper_item *next;
    uint64_t key;
};

/* Zero-initialized. */
struct keeper_map {
    struct keeper_item **slots; /* a power of two */
    uint32_t size, count;
};

void keeper_map_done(struct keeper_map *map);
void keeper_map_add(struct keeper_map *map, struct keeper_item *item, uint64_t key);
void keeper_map_remove(struct keeper_map *map, struct keeper_item *item);
/* NULL: there is none. */
struct keeper_item *keeper_map_find(const struct keeper_map *map, uint64_t key);
struct keeper_item *keeper_map_next(const struct keeper_item *item);
/* Of all items; `each` may remove the one that it is given, and no other. */
void keeper_map_each(struct keeper_map *map, void (*each)(struct keeper_item *item, void *context), void *context);

/* A number's bits, spread: close numbers are far apart in a table. */
static inline uint64_t keeper_mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (b << 32 | b >> 32)) * 0x9e3779b97f4a7c15u;

    x ^= x >> 29;
    return (x + b) * 0xbf58476d1ce4e5b9u;
}

#endif
