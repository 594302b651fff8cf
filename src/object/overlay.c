#include "object/overlay.h"

#include <stdlib.h>

#include "base/hash.h"

enum { LINEAR_MAX = 8 };

void overlay_reset(struct overlay *overlay, struct cairn_view *engine)
{
    overlay->engine = engine;
    cairn_arena_reset(&overlay->arena);
    overlay->count = 0;
    overlay->bytes = 0;
    overlay->operations = overlay->reads = overlay->read_bytes = overlay->written_bytes = 0;
    overlay->code = cairn_engine_take_failure(engine, &overlay->err);
    if (overlay->room > 4096) { /* one huge segment does not keep its memory for ever */
        free(overlay->writes);
        free(overlay->capacities);
        free(overlay->index);
        overlay->writes = NULL;
        overlay->capacities = overlay->index = NULL;
        overlay->room = 0;
    }
    overlay->index_size = 0;
}

void overlay_done(struct overlay *overlay)
{
    cairn_arena_done(&overlay->arena);
    free(overlay->writes);
    free(overlay->capacities);
    free(overlay->index);
    *overlay = (struct overlay){0};
}

static void index_add(struct overlay *overlay, uint32_t at)
{
    uint32_t mask = overlay->index_size - 1, slot = (uint32_t)overlay->writes[at].hash & mask;

    while (overlay->index[slot])
        slot = (slot + 1) & mask;
    overlay->index[slot] = at + 1;
}

static void index_grow(struct overlay *overlay)
{
    overlay->index_size = overlay->index_size ? overlay->index_size * 2 : 64;
    free(overlay->index);
    overlay->index = cairn_alloc_zeroed(overlay->index_size, sizeof *overlay->index);
    for (uint32_t i = 0; i < overlay->count; i++)
        index_add(overlay, i);
}

static struct cairn_write *find(struct overlay *overlay, struct cairn_bytes key, uint64_t hash)
{
    if (overlay->count <= LINEAR_MAX) {
        for (uint32_t i = 0; i < overlay->count; i++)
            if (overlay->writes[i].hash == hash && cairn_bytes_equal(overlay->writes[i].key, key))
                return &overlay->writes[i];
        return NULL;
    }
    for (uint32_t mask = overlay->index_size - 1, slot = (uint32_t)hash & mask; overlay->index[slot];
         slot = (slot + 1) & mask) {
        struct cairn_write *w = &overlay->writes[overlay->index[slot] - 1];
        if (w->hash == hash && cairn_bytes_equal(w->key, key))
            return w;
    }
    return NULL;
}

static struct cairn_write *find_or_add(struct overlay *overlay, struct cairn_bytes key)
{
    uint64_t hash = cairn_hash(key);
    struct cairn_write *w = find(overlay, key, hash);

    if (w)
        return w;
    if (overlay->count == overlay->room) {
        overlay->room = overlay->room ? overlay->room * 2 : 16;
        overlay->writes = cairn_realloc(overlay->writes, overlay->room * sizeof *overlay->writes);
        overlay->capacities = cairn_realloc(overlay->capacities, overlay->room * sizeof *overlay->capacities);
    }
    w = &overlay->writes[overlay->count];
    *w = (struct cairn_write){.key = cairn_arena_copy(&overlay->arena, key), .hash = hash, .deleted = true};
    overlay->capacities[overlay->count++] = 0;
    overlay->bytes += key.size + 16;
    if (overlay->count > LINEAR_MAX) {
        if (overlay->index_size < overlay->count * 2)
            index_grow(overlay);
        else
            index_add(overlay, overlay->count - 1);
    }
    return w;
}

bool overlay_get(struct overlay *overlay, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    return overlay_get_hashed(overlay, key, cairn_hash(key), ret_value);
}

bool overlay_get_hashed(struct overlay *overlay, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value)
{
    struct cairn_write *w = find(overlay, key, hash);

    overlay->operations++;
    overlay->reads++;
    if (w) {
        if (w->deleted)
            return false;
        *ret_value = w->value;
    } else if (!overlay->engine->ops->get(overlay->engine, key, hash, ret_value)) {
        if (overlay->engine->failed)
            overlay->code = cairn_engine_take_failure(overlay->engine, &overlay->err);
        return false;
    }
    overlay->read_bytes += ret_value->size;
    return true;
}

void overlay_put(struct overlay *overlay, struct cairn_bytes key, struct cairn_bytes value)
{
    struct cairn_write *w = find_or_add(overlay, key);
    uint32_t *capacity = &overlay->capacities[w - overlay->writes];
    uint8_t *to = (uint8_t *)(uintptr_t)w->value.data;

    overlay->operations++;
    overlay->written_bytes += value.size;
    overlay->bytes -= w->value.size;
    if (!to || *capacity < value.size) {
        to = cairn_arena_alloc(&overlay->arena, value.size);
        *capacity = (uint32_t)value.size;
    }
    if (value.size)
        memmove(to, value.data, value.size);
    w->value = cairn_bytes(to, value.size);
    w->deleted = false;
    overlay->bytes += value.size;
}

void overlay_remove(struct overlay *overlay, struct cairn_bytes key)
{
    struct cairn_write *w = find_or_add(overlay, key);

    overlay->operations++;
    overlay->bytes -= w->value.size;
    w->value.size = 0;
    w->deleted = true;
}

/* The last key that came stands in the slot that was free when it did, so the index is emptied backwards. */
static void index_remove_last(struct overlay *overlay)
{
    uint32_t last = overlay->count, mask = overlay->index_size - 1, slot;

    for (slot = (uint32_t)overlay->writes[last - 1].hash & mask; overlay->index[slot] != last;)
        slot = (slot + 1) & mask;
    overlay->index[slot] = 0;
}

void overlay_truncate(struct overlay *overlay, uint32_t count)
{
    while (overlay->count > count) {
        struct cairn_write *last = &overlay->writes[overlay->count - 1];

        if (overlay->index_size)
            index_remove_last(overlay);
        overlay->bytes -= last->key.size + 16 + last->value.size;
        overlay->count--;
    }
    if (overlay->count <= LINEAR_MAX)
        overlay->index_size = 0;
}
