/* memblob.h - a blob store in memory, for simulations: ages by the simulated clock, and failures when a test wants
 * them.
 *
 * It knows no crashes of the node; from call `halt_at` on nothing gets through any more, as when the node is cut
 * off. */
#ifndef CAIRN_TESTS_SUPPORT_MEMBLOB_H
#define CAIRN_TESTS_SUPPORT_MEMBLOB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob/blob.h"
#include "io/clock.h"

enum { MEMBLOB_OBJECTS = 4096 };

struct memblob {
    struct cairn_blob base; /* first */
    struct cairn_sim_clock *clock;
    struct memblob_object {
        char name[CAIRN_BLOB_NAME_BYTES];
        struct cairn_buf bytes;
        uint64_t put_ns;
    } objects[MEMBLOB_OBJECTS];
    uint32_t count;
    bool away;
    uint64_t calls;
    int64_t halt_at; /* of `calls`; negative: never */
};

static inline struct memblob_object *memblob_find(struct memblob *blob, const char *name)
{
    for (uint32_t i = 0; i < blob->count; i++)
        if (strcmp(blob->objects[i].name, name) == 0)
            return &blob->objects[i];
    return NULL;
}

static inline uint32_t memblob_count(const struct memblob *blob, const char *prefix)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < blob->count; i++)
        count += strncmp(blob->objects[i].name, prefix, strlen(prefix)) == 0;
    return count;
}

static inline enum cairn_code memblob_call(struct memblob *blob, struct cairn_err *err)
{
    blob->calls++;
    if (blob->away || (blob->halt_at >= 0 && blob->calls > (uint64_t)blob->halt_at))
        return cairn_fail(err, CAIRN_EIO, "the store does not answer");
    return CAIRN_OK;
}

static inline enum cairn_code memblob_put(struct cairn_blob *base, const char *name, struct cairn_bytes bytes,
                                          struct cairn_err *err)
{
    struct memblob *blob = (struct memblob *)base;
    struct memblob_object *object = memblob_find(blob, name);
    enum cairn_code code = memblob_call(blob, err);

    if (code != CAIRN_OK)
        return code;
    if (!object) {
        if (blob->count == MEMBLOB_OBJECTS)
            abort();
        object = &blob->objects[blob->count++];
        memset(object, 0, sizeof *object);
        snprintf(object->name, sizeof object->name, "%s", name);
    }
    object->bytes.size = 0;
    cairn_buf_add(&object->bytes, bytes.data, bytes.size);
    object->put_ns = blob->clock->clock.monotonic_ns(&blob->clock->clock);
    return CAIRN_OK;
}

static inline enum cairn_code memblob_get(struct cairn_blob *base, const char *name, size_t max_bytes,
                                          struct cairn_buf *to, struct cairn_err *err)
{
    struct memblob *blob = (struct memblob *)base;
    const struct memblob_object *object = memblob_find(blob, name);
    enum cairn_code code = memblob_call(blob, err);

    if (code != CAIRN_OK)
        return code;
    if (!object)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no object %s", name);
    if (object->bytes.size > max_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "%s is too large", name);
    cairn_buf_add(to, object->bytes.data, object->bytes.size);
    return CAIRN_OK;
}

static inline enum cairn_code memblob_remove(struct cairn_blob *base, const char *name, struct cairn_err *err)
{
    struct memblob *blob = (struct memblob *)base;
    struct memblob_object *object = memblob_find(blob, name);
    enum cairn_code code = memblob_call(blob, err);

    if (code != CAIRN_OK || !object)
        return code;
    cairn_buf_done(&object->bytes);
    *object = blob->objects[--blob->count];
    return CAIRN_OK;
}

static inline enum cairn_code memblob_list(struct cairn_blob *base, const char *folder,
                                           void (*visit)(void *context, const char *name, uint64_t bytes,
                                                         uint64_t age_ms),
                                           void *context, struct cairn_err *err)
{
    struct memblob *blob = (struct memblob *)base;
    uint64_t now = blob->clock->clock.monotonic_ns(&blob->clock->clock);
    enum cairn_code code = memblob_call(blob, err);
    size_t size = strlen(folder);

    for (uint32_t i = 0; code == CAIRN_OK && i < blob->count; i++) {
        const struct memblob_object *object = &blob->objects[i];

        if (strncmp(object->name, folder, size) == 0 && object->name[size] == '/' &&
            !strchr(object->name + size + 1, '/'))
            visit(context, object->name + size + 1, object->bytes.size, (now - object->put_ns) / 1000000);
    }
    return code;
}

static inline struct memblob *memblob_open(struct cairn_sim_clock *clock)
{
    static const struct cairn_blob_ops ops = {
        .put = memblob_put, .get = memblob_get, .remove = memblob_remove, .list = memblob_list};
    struct memblob *blob = cairn_alloc_zeroed(1, sizeof *blob);

    blob->base.ops = &ops;
    blob->clock = clock;
    blob->halt_at = -1;
    return blob;
}

static inline void memblob_close(struct memblob *blob)
{
    for (uint32_t i = 0; i < blob->count; i++)
        cairn_buf_done(&blob->objects[i].bytes);
    free(blob);
}

#endif
