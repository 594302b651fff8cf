#include "object/names.h"

#include <stdlib.h>

static void put(struct names *names, uint64_t hash, uint32_t number)
{
    uint32_t mask = names->size - 1, slot = (uint32_t)hash & mask;

    while (names->slots[slot].number)
        slot = (slot + 1) & mask;
    names->slots[slot] = (struct name_slot){hash, number};
}

static void grow(struct names *names)
{
    struct names before = *names;

    names->size = before.size ? before.size * 2 : 16;
    names->slots = cairn_alloc_zeroed(names->size, sizeof *names->slots);
    for (uint32_t i = 0; i < before.size; i++)
        if (before.slots[i].number)
            put(names, before.slots[i].hash, before.slots[i].number);
    free(before.slots);
}

void names_add(struct names *names, uint64_t hash, uint32_t number)
{
    if (++names->count * 2 > names->size)
        grow(names);
    put(names, hash, number + 1);
}

uint32_t names_next(const struct names *names, uint64_t hash, uint32_t *at)
{
    if (!names->size)
        return NAMES_END;
    for (;;) {
        const struct name_slot *slot = &names->slots[((uint32_t)hash + (*at)++) & (names->size - 1)];
        if (!slot->number)
            return NAMES_END;
        if (slot->hash == hash)
            return slot->number - 1;
    }
}

void names_done(struct names *names)
{
    free(names->slots);
    *names = (struct names){0};
}
