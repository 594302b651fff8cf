#include "keeper/map.h"

#include <stdlib.h>

#include "base/bytes.h"

static struct keeper_item **slot_of(const struct keeper_map *map, uint64_t key)
{
    return &map->slots[(keeper_mix(key, 0) >> 32) & (map->size - 1)];
}

static void grow(struct keeper_map *map)
{
    struct keeper_map bigger = {.size = map->size ? map->size * 2 : 16, .count = map->count};

    bigger.slots = cairn_alloc_zeroed(bigger.size, sizeof(struct keeper_item *));
    for (uint32_t i = 0; i < map->size; i++)
        for (struct keeper_item *item = map->slots[i], *next; item; item = next) {
            struct keeper_item **slot = slot_of(&bigger, item->key);

            next = item->next;
            item->next = *slot;
            *slot = item;
        }
    free(map->slots);
    *map = bigger;
}

void keeper_map_done(struct keeper_map *map)
{
    free(map->slots);
    *map = (struct keeper_map){0};
}

void keeper_map_add(struct keeper_map *map, struct keeper_item *item, uint64_t key)
{
    struct keeper_item **slot;

    if (map->count >= map->size)
        grow(map);
    slot = slot_of(map, key);
    item->key = key;
    item->next = *slot;
    *slot = item;
    map->count++;
}

void keeper_map_remove(struct keeper_map *map, struct keeper_item *item)
{
    struct keeper_item **at = slot_of(map, item->key);

    while (*at != item)
        at = &(*at)->next;
    *at = item->next;
    item->next = NULL;
    map->count--;
}

struct keeper_item *keeper_map_find(const struct keeper_map *map, uint64_t key)
{
    struct keeper_item *item = map->size ? *slot_of(map, key) : NULL;

    while (item && item->key != key)
        item = item->next;
    return item;
}

struct keeper_item *keeper_map_next(const struct keeper_item *item)
{
    struct keeper_item *next = item->next;

    while (next && next->key != item->key)
        next = next->next;
    return next;
}

void keeper_map_each(struct keeper_map *map, void (*each)(struct keeper_item *item, void *context), void *context)
{
    for (uint32_t i = 0; i < map->size; i++)
        for (struct keeper_item *item = map->slots[i], *next; item; item = next) {
            next = item->next;
            each(item, context);
        }
}
