#include "engine/ids.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    uint64_t x = cairn_get_u64(a), y = cairn_get_u64(b);

    return (x > y) - (x < y);
}

void ids_add(struct cairn_buf *ids, uint64_t id)
{
    cairn_put_u64(cairn_buf_reserve(ids, 8), id);
    ids->size += 8;
}

void ids_sort(struct cairn_buf *ids)
{
    if (ids->size)
        qsort(ids->data, ids->size / 8, 8, compare);
}

/* Of the first that is not less. */
static size_t place_of(const struct cairn_buf *ids, uint64_t id)
{
    size_t low = 0, high = ids->size / 8;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (cairn_get_u64(ids->data + 8 * middle) < id)
            low = middle + 1;
        else
            high = middle;
    }
    return 8 * low;
}

bool ids_have(const struct cairn_buf *ids, uint64_t id)
{
    size_t at = place_of(ids, id);

    return at < ids->size && cairn_get_u64(ids->data + at) == id;
}

void ids_insert(struct cairn_buf *ids, uint64_t id)
{
    size_t at = place_of(ids, id);

    if (at < ids->size && cairn_get_u64(ids->data + at) == id)
        return;
    ids_add(ids, id);
    memmove(ids->data + at + 8, ids->data + at, ids->size - 8 - at);
    cairn_put_u64(ids->data + at, id);
}

void ids_strike(struct cairn_buf *ids, uint64_t id)
{
    size_t kept = 0;

    for (size_t at = 0; at < ids->size; at += 8)
        if (cairn_get_u64(ids->data + at) != id) {
            memmove(ids->data + kept, ids->data + at, 8);
            kept += 8;
        }
    ids->size = kept;
}
