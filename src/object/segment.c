/* segment.c - the unit of commit: begin, drop, and the one record at its end. */
#include <assert.h>
#include <stdlib.h>

#include "object/directory.h"
#include "object/object_internal.h"
#include "object/once.h"
#include "object/purge.h"

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
                                 const char *note, uint64_t *ret_end, struct cairn_err *err)
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
    return cairn_shard_commit(shard->shard, (uint64_t)worker_now_ms(worker), cairn_str(note), overlay->writes,
                              overlay->count, ret_end, err);
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
    segment->claimed_bytes = 0;
    return segment;
}

static void drop_calls(struct cairn_worker *worker, struct segment *segment)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&segment->calls)))
        invocation_free(worker, cairn_container(l, struct invocation, link));
    segment->call_count = 0;
}

static void give_back(struct cairn_worker *worker, struct segment *segment)
{
    if (segment->claimed_bytes)
        worker->node->log->ops->release(worker->node->log, segment->claimed_bytes, 1);
    segment->claimed_bytes = 0;
}

struct segment *segment_end(struct cairn_worker *worker, struct segment *segment)
{
    if (!segment)
        return NULL;
    drop_calls(worker, segment);
    give_back(worker, segment);
    segment->next_free = worker->free_segments;
    worker->free_segments = segment;
    return NULL;
}

/* Forgets what the segment did, its claim excepted. */
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
}

bool segment_claim(struct cairn_worker *worker, struct segment *segment, size_t bytes, struct cairn_err *err)
{
    struct cairn_log *log = worker->node->log;
    uint64_t more;

    if (bytes <= segment->claimed_bytes)
        return true;
    more = bytes - segment->claimed_bytes;
    if (segment->claimed_bytes) /* growing: by doubling, so that it happens seldom */
        more = more > segment->claimed_bytes ? more : segment->claimed_bytes;
    if (log->ops->claim(log, more, segment->claimed_bytes ? 0 : 1, err) != CAIRN_OK)
        return false;
    segment->claimed_bytes += more;
    return true;
}

uint32_t type_value_fields(const struct type *type, uint32_t *to)
{
    if (type->value_count)
        memcpy(to, type->values, type->value_count * sizeof *to);
    return type->value_count;
}

static size_t note_of(const struct invocation *inv, uint8_t *to)
{
    size_t n = 0;

    n += cairn_put_varint(to + n, inv->object->type);
    n += cairn_put_varint(to + n, inv->type->version);
    n += cairn_put_varint(to + n, inv->number);
    n += cairn_put_varint(to + n, inv->segment_number);
    memcpy(to + n, inv->object->key + inv->object->id_offset, inv->object->key_size - inv->object->id_offset);
    return n + inv->object->key_size - inv->object->id_offset;
}

static enum cairn_code commit(struct invocation *inv, bool over, struct cairn_err *err)
{
    struct cairn_worker *worker = inv->worker;
    struct segment *segment = inv->segment;
    struct object *object = inv->object;
    struct shard *shard = object->shard;
    struct overlay *overlay = &segment->overlay;
    struct cairn_bytes key = cairn_bytes(object->key, object->key_size);
    bool existed = object->header.incarnation != 0, exists = segment->header.incarnation != 0;
    uint8_t note[CAIRN_ID_BYTES_MAX + 4 * CAIRN_VARINT_BYTES_MAX];
    size_t note_size, bytes;
    enum cairn_code code;
    uint64_t end;

    if (inv->depends < object->last_end)
        inv->depends = object->last_end;
    if (segment->deleted && existed) {
        uint32_t fields[CAIRN_FIELD_NUMBER_MAX + 1];
        purge_queue(shard, overlay, &object->header, fields, type_value_fields(inv->type, fields));
    }
    if (segment->header_dirty) {
        if (exists) {
            uint8_t *encoded = cairn_arena_alloc(&overlay->arena, header_bytes_max(&segment->header));
            overlay_put(overlay, key, cairn_bytes(encoded, header_encode(&segment->header, encoded)));
        } else if (existed) {
            overlay_remove(overlay, key);
        }
        if (exists && !existed)
            directory_add(overlay, object->type, object_id(object));
        if (existed && !exists)
            directory_remove(overlay, object->type, object_id(object));
    }
    if (overlay->code != CAIRN_OK) { /* what was to be changed could not be read */
        *err = overlay->err;
        return overlay->code;
    }
    if (inv->key.size && (over || !inv->once_recorded) &&
        (over || !cairn_list_empty(&segment->calls) || inv->calls_out))
        once_write(inv, overlay, over);
    if (overlay->count == 0) {
        give_back(worker, segment);
        return CAIRN_OK;
    }
    note_size = note_of(inv, note);
    bytes = cairn_shard_record_bytes(cairn_bytes(note, note_size), overlay->writes, overlay->count);
    if (!segment_claim(worker, segment, bytes, err)) {
        /* A key's outcome has room of its own, claimed when the invocation started. */
        if (!over || !inv->once_claim || bytes > inv->once_claim)
            return err->code;
        give_back(worker, segment);
        segment->claimed_bytes = inv->once_claim;
        inv->once_claim = 0;
    }
    code = cairn_shard_commit(shard->shard, (uint64_t)inv->now_ms, cairn_bytes(note, note_size), overlay->writes,
                              overlay->count, &end, err);
    if (code != CAIRN_OK)
        return code;
    /* The record and its bytes are used; what was claimed beyond them goes back. */
    if (segment->claimed_bytes > bytes)
        worker->node->log->ops->release(worker->node->log, segment->claimed_bytes - bytes, 0);
    segment->claimed_bytes = 0;
    stat_add(&worker->counts.records, 1);
    inv->written_bytes += overlay->bytes;
    object->last_end = end;
    inv->depends = end;
    if (segment->header_dirty) {
        object_store_header(object, &segment->header);
        if (exists != existed)
            shard->directory_end = end;
    }
    return CAIRN_OK;
}

enum cairn_code segment_commit(struct invocation *inv, bool over, struct cairn_err *err)
{
    struct shard *shard = inv->object->shard;
    struct shard_meta meta = shard->meta;
    bool once_recorded = inv->once_recorded;
    enum cairn_code code = commit(inv, over, err);

    if (code != CAIRN_OK) { /* what was prepared is in no record */
        shard->meta = meta;
        inv->once_recorded = once_recorded;
    }
    return code;
}
