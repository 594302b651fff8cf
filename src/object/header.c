#include "object/header.h"

#include <assert.h>
#include <stdlib.h>

#include "object/commit.h"
#include "object/table.h"

/* --- header: u64 incarnation | per list or map: varint field, varint first, varint count ---- */

/* Room for the encoded header. */
static size_t header_bytes_max(const struct header *header)
{
    return 8 + header->count * 3 * (size_t)CAIRN_VARINT_BYTES_MAX;
}

static size_t header_encode(const struct header *header, uint8_t *to)
{
    uint8_t *at = to;

    cairn_put_u64(at, header->incarnation);
    at += 8;
    for (uint32_t i = 0; i < header->count; i++) {
        const struct container *c = &header->containers[i];
        if (c->count == 0 && c->first == 0)
            continue;
        at += cairn_put_varint(at, c->field);
        at += cairn_put_varint(at, c->first);
        at += cairn_put_varint(at, c->count);
    }
    return (size_t)(at - to);
}

static struct container *header_add(struct cairn_arena *arena, struct header *header, uint32_t field)
{
    if (header->count == header->room) {
        uint32_t room = header->room * 2 + 2;
        struct container *more = cairn_arena_alloc(arena, room * sizeof *more);
        if (header->count)
            memcpy(more, header->containers, header->count * sizeof *more);
        header->containers = more;
        header->room = room;
    }
    header->containers[header->count] = (struct container){.field = field};
    return &header->containers[header->count++];
}

bool header_decode(struct cairn_bytes bytes, struct header *header)
{
    struct cairn_reader r = cairn_reader(bytes);

    header->count = 0;
    header->incarnation = cairn_read_u64(&r);
    while (!r.bad && cairn_reader_left(&r)) {
        struct container c = {.field = (uint32_t)cairn_read_varint(&r)};
        c.first = cairn_read_varint(&r);
        c.count = cairn_read_varint(&r);
        if (header->count == header->room)
            return false;
        header->containers[header->count++] = c;
    }
    return !r.bad;
}

/* The list's or map's extent, NULL when it is empty and !make.  With make the header becomes the
 * segment's own copy. */
struct container *header_container(struct cairn_arena *arena, struct header *header, uint32_t field, bool make)
{
    if (make && header->room == 0) { /* still the object's committed one */
        struct container *own = cairn_arena_alloc(arena, (header->count + 2) * sizeof *own);
        if (header->count)
            memcpy(own, header->containers, header->count * sizeof *own);
        header->containers = own;
        header->room = header->count + 2;
    }
    for (uint32_t i = 0; i < header->count; i++)
        if (header->containers[i].field == field)
            return &header->containers[i];
    return make ? header_add(arena, header, field) : NULL;
}

/* What the segment made of it becomes the object's committed header. */
static void object_store_header(struct object *object, const struct header *header)
{
    if (header->count > object->header.room) {
        if (object->header.containers != object->containers_inline)
            free(object->header.containers);
        object->header.containers = cairn_alloc(header->count * sizeof *header->containers);
        object->header.room = header->count;
    }
    if (header->count)
        memcpy(object->header.containers, header->containers, header->count * sizeof *header->containers);
    object->header.count = header->count;
    object->header.incarnation = header->incarnation;
}

static enum cairn_code header_prepare(struct commit *commit, struct cairn_err *err)
{
    struct segment *segment = commit->inv->segment;
    struct object *object = commit->inv->object;
    struct cairn_bytes key = cairn_bytes(object->key, object->key_size);

    (void)err;
    if (!segment->header_dirty)
        return CAIRN_OK;
    if (commit->exists) {
        uint8_t *encoded = cairn_arena_alloc(&commit->overlay->arena, header_bytes_max(&segment->header));
        overlay_put(commit->overlay, key, cairn_bytes(encoded, header_encode(&segment->header, encoded)));
    } else if (commit->existed) {
        overlay_remove(commit->overlay, key);
    }
    return CAIRN_OK;
}

static void header_committed(struct commit *commit)
{
    if (commit->inv->segment->header_dirty)
        object_store_header(commit->inv->object, &commit->inv->segment->header);
}

const struct participant header_participant = {
    .concern = CONCERNS_OBJECT, .prepare = header_prepare, .committed = header_committed};

void object_load(struct object *object)
{
    struct cairn_view *engine = object->shard->engine;
    struct cairn_bytes key = cairn_bytes(object->key, object->key_size), value;
    struct container containers[CAIRN_FIELD_NUMBER_MAX + 1];
    struct header header = {.containers = containers, .room = CAIRN_FIELD_NUMBER_MAX + 1};

    if (engine->ops->get(engine, key, object->hash, &value)) {
        bool good = header_decode(value, &header);
        assert(good); /* checked by log and checkpoint; what this room wrote */
        (void)good;
    }
    object_store_header(object, &header);
    object->loaded = !engine->failed;
}
