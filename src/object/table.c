/* table.c - the objects that a worker has in memory. */
#include <assert.h>
#include <stdlib.h>

#include "base/clear.h"
#include "object/layout.h"
#include "object/lock.h"
#include "object/table.h"
#include "object/worker.h"

enum { IDLE_MAX = 8192 };

static void table_grow(struct cairn_worker *worker)
{
    uint32_t size = worker->table_size ? worker->table_size * 2 : 4096;
    struct object **table = cairn_alloc_zeroed(size, sizeof *table);

    for (uint32_t i = 0; i < worker->table_size; i++) {
        struct object *object = worker->table[i], *next;
        for (; object; object = next) {
            next = object->hash_next;
            object->hash_next = table[object->hash & (size - 1)];
            table[object->hash & (size - 1)] = object;
        }
    }
    free(worker->table);
    worker->table = table;
    worker->table_size = size;
}

struct object *object_find(const struct cairn_worker *worker, struct cairn_bytes key, uint64_t hash)
{
    struct object *object = worker->table_size ? worker->table[hash & (worker->table_size - 1)] : NULL;

    while (object && !(object->hash == hash && cairn_bytes_equal(cairn_bytes(object->key, object->key_size), key)))
        object = object->hash_next;
    return object;
}

struct object *object_get(struct cairn_worker *worker, struct shard *shard, uint32_t type, struct cairn_bytes id)
{
    uint8_t bytes[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX];
    struct cairn_bytes key = cairn_bytes(bytes, key_header(bytes, type, id));
    uint64_t hash = cairn_hash(key);
    struct object *object;

    if (worker->object_count >= worker->table_size)
        table_grow(worker);
    for (object = worker->table[hash & (worker->table_size - 1)]; object; object = object->hash_next)
        if (object->hash == hash && cairn_bytes_equal(cairn_bytes(object->key, object->key_size), key))
            return object;
    object = cairn_alloc(sizeof *object + key.size);
    cairn_clear(object, sizeof *object);
    cairn_list_init(&object->ready);
    cairn_list_init(&object->mailbox);
    cairn_list_init(&object->keyed);
    cairn_list_init(&object->idle);
    object->header.containers = object->containers_inline;
    object->header.room = HEADER_INLINE;
    object->shard = shard;
    object->generation = ++worker->generations;
    object->type = type;
    object->hash = hash;
    object->key_size = (uint16_t)key.size;
    object->id_offset = (uint16_t)(key.size - id.size);
    memcpy(object->key, key.data, key.size);
    object->hash_next = worker->table[hash & (worker->table_size - 1)];
    worker->table[hash & (worker->table_size - 1)] = object;
    worker->object_count++;
    shard->engine->ops->prefetch(shard->engine, hash, 0); /* its header is read soon */
    cairn_list_push_back(&worker->idle, &object->idle);
    worker->idle_count++;
    return object;
}

void object_ref(struct cairn_worker *worker, struct object *object)
{
    if (object->refs++ == 0) {
        cairn_list_remove(&object->idle);
        worker->idle_count--;
    }
}

void object_unref(struct cairn_worker *worker, struct object *object)
{
    assert(object->refs);
    if (--object->refs == 0) {
        cairn_list_push_back(&worker->idle, &object->idle);
        worker->idle_count++;
    }
}

void object_drop(struct cairn_worker *worker, struct object *object)
{
    struct object **at = &worker->table[object->hash & (worker->table_size - 1)];

    while (*at != object)
        at = &(*at)->hash_next;
    *at = object->hash_next;
    cairn_list_remove(&object->idle);
    cairn_list_remove(&object->ready);
    worker->idle_count--;
    worker->object_count--;
    if (object->header.containers != object->containers_inline)
        free(object->header.containers);
    if (object->latest)
        object->latest->object = NULL;
    free(object->lock); /* of one that a stop has cut off */
    free(object);
}

static bool step(struct cairn_worker *worker)
{
    while (worker->idle_count > IDLE_MAX) {
        struct object *object = cairn_container(worker->idle.next, struct object, idle);
        if (!dependency_acknowledged(worker->node, object->last)) /* what it knows is still needed for output commit */
            break;
        object_drop(worker, object);
    }
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    (void)worker; /* only what happens makes objects idle */
    return UINT64_MAX;
}

const struct housekeeper objects_housekeeper = {.name = "idle objects", .step = step, .next_ns = next_ns};

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

uint32_t objects_in_use(const struct cairn_worker *worker, const uint32_t *types, uint32_t count)
{
    for (uint32_t i = 0; i < worker->table_size; i++)
        for (const struct object *object = worker->table[i]; object; object = object->hash_next)
            if (object->refs && bsearch(&object->type, types, count, sizeof *types, compare_numbers))
                return object->type;
    return 0;
}
