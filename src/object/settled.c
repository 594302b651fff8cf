#include "object/settled.h"

struct entry {
    struct promise_id id;
    const struct space *space;
    unsigned life; /* the namespace's: it may have been removed, and made again */
    uint16_t next; /* of its bucket: place + 1; 0: the last */
    struct dependency record;
};

/* A ring, whose entries are found by hash. */
struct settled {
    uint64_t count; /* ever added */
    uint16_t buckets[SETTLED_MAX];
    struct entry entries[SETTLED_MAX];
};

/* A secret is random. */
static uint32_t bucket_of(const struct promise_id *id)
{
    return cairn_get_u32(id->secret) % SETTLED_MAX;
}

static void forget(struct settled *settled, uint32_t place)
{
    uint16_t *at = &settled->buckets[bucket_of(&settled->entries[place].id)];

    while (*at != place + 1)
        at = &settled->entries[*at - 1].next;
    *at = settled->entries[place].next;
}

void settled_add(struct settled **of, const struct promise_id *id, const struct space *space, struct dependency record)
{
    struct settled *settled = *of ? *of : (*of = cairn_alloc_zeroed(1, sizeof *settled));
    uint32_t place = (uint32_t)(settled->count % SETTLED_MAX);
    uint16_t *bucket = &settled->buckets[bucket_of(id)];

    if (settled->count++ >= SETTLED_MAX)
        forget(settled, place);
    settled->entries[place] =
        (struct entry){.id = *id, .space = space, .life = space_life(space), .next = *bucket, .record = record};
    *bucket = (uint16_t)(place + 1);
}

bool settled_find(const struct settled *settled, const struct promise_id *id, const struct space *space,
                  struct dependency *ret_record)
{
    for (uint16_t at = settled ? settled->buckets[bucket_of(id)] : 0; at; at = settled->entries[at - 1].next) {
        const struct entry *entry = &settled->entries[at - 1];

        if (promise_id_same(&entry->id, id) && entry->space == space && entry->life == space_life(space)) {
            *ret_record = entry->record;
            return true;
        }
    }
    return false;
}
