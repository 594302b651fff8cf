#include "object/opens.h"

#include <stdlib.h>

#include "base/bytes.h"

enum { TABLE_MIN = 64 };

static uint32_t slot_of(const struct opens *opens, uint32_t shard, uint64_t number)
{
    return (uint32_t)(((number + ((uint64_t)shard << 32)) * 0x9e3779b97f4a7c15u) >> 32) & (opens->table_size - 1);
}

void opens_done(struct opens *opens)
{
    for (uint32_t i = 0; i < opens->table_size; i++)
        for (struct open *open = opens->table[i], *next; open; open = next) {
            next = open->hash_next;
            free(open);
        }
    free(opens->table);
    free(opens->heap);
    *opens = (struct opens){0};
}

struct open *opens_find(const struct opens *opens, uint32_t shard, uint64_t number)
{
    struct open *open = opens->table_size ? opens->table[slot_of(opens, shard, number)] : NULL;

    while (open && (open->number != number || open->shard != shard))
        open = open->hash_next;
    return open;
}

static void grow(struct opens *opens)
{
    struct open **table = opens->table;
    uint32_t size = opens->table_size;

    opens->table_size = size ? 2 * size : TABLE_MIN;
    opens->table = cairn_alloc_zeroed(opens->table_size, sizeof *opens->table);
    for (uint32_t i = 0; i < size; i++)
        for (struct open *open = table[i], *next; open; open = next) {
            struct open **slot = &opens->table[slot_of(opens, open->shard, open->number)];

            next = open->hash_next;
            open->hash_next = *slot;
            *slot = open;
        }
    free(table);
}

struct open *opens_add(struct opens *opens, uint32_t shard, uint64_t number)
{
    struct open *open = cairn_alloc(sizeof *open);
    struct open **slot;

    if (opens->count >= opens->table_size)
        grow(opens);
    slot = &opens->table[slot_of(opens, shard, number)];
    *open = (struct open){.hash_next = *slot, .number = number, .shard = shard, .place = OPEN_AWAKE};
    *slot = open;
    opens->count++;
    return open;
}

void opens_remove(struct opens *opens, struct open *open)
{
    struct open **at = &opens->table[slot_of(opens, open->shard, open->number)];

    opens_wake(opens, open);
    while (*at != open)
        at = &(*at)->hash_next;
    *at = open->hash_next;
    opens->count--;
    free(open);
}

/* --- the heap ------------------------------------------------------------------------------------------- */

static void put(struct opens *opens, uint32_t place, struct open *open)
{
    opens->heap[place] = open;
    open->place = place;
}

static void up(struct opens *opens, struct open *open)
{
    uint32_t at = open->place;

    for (; at && opens->heap[(at - 1) / 2]->wake_ms > open->wake_ms; at = (at - 1) / 2)
        put(opens, at, opens->heap[(at - 1) / 2]);
    put(opens, at, open);
}

static void down(struct opens *opens, struct open *open)
{
    uint32_t at = open->place, child;

    for (; (child = 2 * at + 1) < opens->heap_count; at = child) {
        if (child + 1 < opens->heap_count && opens->heap[child + 1]->wake_ms < opens->heap[child]->wake_ms)
            child++;
        if (opens->heap[child]->wake_ms >= open->wake_ms)
            break;
        put(opens, at, opens->heap[child]);
    }
    put(opens, at, open);
}

void opens_sleep(struct opens *opens, struct open *open, uint64_t wake_ms)
{
    if (!opens_asleep(open)) {
        if (opens->heap_count == opens->heap_room) {
            opens->heap_room = opens->heap_room ? 2 * opens->heap_room : TABLE_MIN;
            opens->heap = cairn_realloc(opens->heap, opens->heap_room * sizeof(struct open *));
        }
        open->place = opens->heap_count++;
    }
    open->wake_ms = wake_ms;
    up(opens, open);
    down(opens, open);
}

void opens_wake(struct opens *opens, struct open *open)
{
    struct open *last;

    if (!opens_asleep(open))
        return;
    last = opens->heap[--opens->heap_count];
    if (last != open) {
        last->place = open->place;
        up(opens, last);
        down(opens, last);
    }
    open->place = OPEN_AWAKE;
}
