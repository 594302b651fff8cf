/* segment.c - a segment: begin, forget, drop; the object's header; a shard's own small commits. */
#include <assert.h>
#include <stdlib.h>

#include "object/commit.h"

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

const struct participant header_participant = {.prepare = header_prepare, .committed = header_committed};

void object_load(struct object *object)
{
    struct cairn_engine *engine = object->shard->engine;
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

/* --- the shard's own numbers --------------------------------------------------------------- */

enum cairn_code shard_meta_load(struct shard *shard, struct cairn_err *err)
{
    uint8_t key = KEY_META;
    struct cairn_bytes k = cairn_bytes(&key, 1), value;

    shard->meta = (struct shard_meta){0};
    if (shard->engine->ops->get(shard->engine, k, cairn_hash(k), &value)) {
        struct cairn_reader r = cairn_reader(value);
        shard->meta.once_first = cairn_read_varint(&r);
        shard->meta.once_end = cairn_read_varint(&r);
        shard->meta.purge_first = cairn_read_varint(&r);
        shard->meta.purge_end = cairn_read_varint(&r);
    }
    return cairn_engine_take_failure(shard->engine, err);
}

void shard_meta_store(struct shard *shard, struct overlay *overlay)
{
    uint8_t key = KEY_META, value[4 * CAIRN_VARINT_BYTES_MAX];
    size_t n = 0;

    n += cairn_put_varint(value + n, shard->meta.once_first);
    n += cairn_put_varint(value + n, shard->meta.once_end);
    n += cairn_put_varint(value + n, shard->meta.purge_first);
    n += cairn_put_varint(value + n, shard->meta.purge_end);
    overlay_put(overlay, cairn_bytes(&key, 1), cairn_bytes(value, n));
}

uint64_t shard_incarnation(struct cairn_worker *worker, struct shard *shard)
{
    /* The log's epoch is new at every opening, so the number is never used twice. */
    return worker->node->log->epoch << 40 | ++shard->incarnations;
}

enum cairn_code shard_commit_own(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                                 const char *note, struct dependency *ret_record, struct cairn_err *err)
{
    struct cairn_log *log = worker->node->log;
    size_t bytes = cairn_shard_record_bytes(cairn_str(note), overlay->writes, overlay->count);
    enum cairn_code code = overlay->code;

    if (code != CAIRN_OK && err)
        *err = overlay->err;
    if (code == CAIRN_OK)
        code = log->ops->claim(log, bytes, 1, err);
    if (code != CAIRN_OK)
        return code;
    *ret_record = (struct dependency){.shard = shard->index};
    return cairn_shard_commit(shard->shard, (uint64_t)worker_now_ms(worker), cairn_str(note), overlay->writes,
                              overlay->count, &ret_record->end, err);
}

/* --- segments ------------------------------------------------------------------------------ */

struct segment *segment_begin(struct cairn_worker *worker, struct object *object)
{
    struct segment *segment = worker->free_segments;

    if (segment) {
        worker->free_segments = segment->next_free;
    } else {
        segment = cairn_alloc_zeroed(1, sizeof *segment);
        cairn_list_init(&segment->calls);
    }
    if (!object->loaded)
        object_load(object);
    overlay_reset(&segment->overlay, object->shard->engine);
    segment->header = object->header;
    segment->header.room = 0; /* borrowed until it is changed */
    segment->header_dirty = segment->deleted = false;
    segment->call_count = 0;
    segment->need = (struct claim){0};
    return segment;
}

static void drop_calls(struct cairn_worker *worker, struct segment *segment)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&segment->calls)))
        invocation_free(worker, cairn_container(l, struct invocation, link));
    segment->call_count = 0;
}

struct segment *segment_end(struct cairn_worker *worker, struct segment *segment)
{
    if (!segment)
        return NULL;
    drop_calls(worker, segment);
    segment->next_free = worker->free_segments;
    worker->free_segments = segment;
    return NULL;
}

/* Forgets what the segment did. */
void segment_restart(struct cairn_worker *worker, struct invocation *inv)
{
    struct segment *segment = inv->segment;

    for (struct cairn_link *l = segment->calls.next; l != &segment->calls; l = l->next)
        inv->call_count--;
    drop_calls(worker, segment);
    overlay_reset(&segment->overlay, inv->object->shard->engine);
    segment->header = inv->object->header;
    segment->header.room = 0;
    segment->header_dirty = segment->deleted = false;
    segment->need = (struct claim){0};
}

uint32_t type_value_fields(const struct type *type, uint32_t *to)
{
    if (type->value_count)
        memcpy(to, type->values, type->value_count * sizeof *to);
    return type->value_count;
}
