/* fields.h - what host calls on fields share: the segment that they read and write, and its limits.
 *
 * Threads: the worker's.  Layer: object (private to host*.c). */
#ifndef CAIRN_OBJECT_FIELDS_H
#define CAIRN_OBJECT_FIELDS_H

#include "object/invocation.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum { WRITES_PER_SEGMENT_MAX = 16384 };

/* Host calls of an ended segment cannot happen: the guest runs only while it has one. */
static inline struct overlay *overlay_of(struct invocation *inv)
{
    return &inv->segment->overlay;
}

/* The type's own number of a field, or an error: wrong number, or wrong kind. */
static inline enum cairn_code field_of(struct invocation *inv, uint32_t field, enum cairn_field_kind kind,
                                       uint32_t *ret_number, struct cairn_err *err)
{
    const struct type *type = inv->type;

    if (field >= type->field_end || type->fields[field].kind != kind)
        return cairn_fail(err, CAIRN_ETRAP, "field %u of type %s is not a %s", field, type->decl->name,
                          cairn_field_kind_name(kind));
    *ret_number = type->fields[field].number;
    return CAIRN_OK;
}

/* The refusal of a write that is beyond the segment's limits. */
enum cairn_code writes_too_much(const struct invocation *inv, struct cairn_err *err);
/* Before a write of `bytes` more: it is allowed, and within its limits. */
static inline enum cairn_code writable(struct invocation *inv, size_t bytes, struct cairn_err *err)
{
    struct overlay *overlay = overlay_of(inv);
    uint64_t most = inv->method->limits.most[CAIRN_LIMIT_WRITE_SET];

    if (__builtin_expect(inv->read_only, 0))
        return cairn_fail(err, CAIRN_ENOTREADONLY, "read-only method %s.%s tried to write", inv->type->decl->name,
                          inv->method->decl->name);
    if (overlay->bytes + bytes > most || overlay->count >= WRITES_PER_SEGMENT_MAX ||
        overlay->arena.bytes + bytes > 4 * most)
        return writes_too_much(inv, err);
    if (inv->segment->header.incarnation == 0) {
        inv->segment->header.incarnation = shard_incarnation(inv->object->shard);
        inv->segment->header_dirty = true;
    }
    return CAIRN_OK;
}

static inline uint64_t incarnation_of(const struct invocation *inv)
{
    return inv->segment->header.incarnation;
}

static inline struct container *container_of(struct invocation *inv, uint32_t number, bool make)
{
    if (make)
        inv->segment->header_dirty = true;
    return header_container(&inv->segment->overlay.arena, &inv->segment->header, number, make);
}

static inline enum cairn_code count_of(struct invocation *inv, uint32_t field, enum cairn_field_kind kind,
                                       uint64_t *ret_count, struct cairn_err *err)
{
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, kind, &number, err);
    struct container *c;

    if (code != CAIRN_OK)
        return code;
    overlay_of(inv)->operations++;
    c = container_of(inv, number, false);
    *ret_count = c ? c->count : 0;
    return CAIRN_OK;
}

#endif
