/* durable_versions.c - versions of types that open durable invocations began with: they are kept as long. */
#include <stdlib.h>

#include "object/durable_internal.h"
#include "object/worker.h"

static bool is_of_module(const struct type *type, const struct space *space, struct cairn_bytes name,
                         const uint8_t *hash)
{
    return memcmp(type->module->hash, hash, CAIRN_SHA256_BYTES) == 0 && cairn_bytes_equal(type->name, name) &&
           type->space == space;
}

static struct durable_version *find(const struct durables *ds, const struct space *space, struct cairn_bytes name,
                                    const uint8_t *hash)
{
    for (uint32_t i = 0; i < ds->version_count; i++)
        if (is_of_module(ds->versions[i].type, space, name, hash))
            return &ds->versions[i];
    return NULL;
}

struct type *durable_version(const struct cairn_worker *worker, const struct space *space, struct cairn_bytes name,
                             const uint8_t *hash)
{
    const struct durable_version *version = find(worker->durables, space, name, hash);

    return version ? version->type : NULL;
}

void durable_version_take(struct cairn_worker *worker, struct type *type)
{
    struct durables *ds = worker->durables;
    struct durable_version *version = find(ds, type->space, type->name, type->module->hash);

    if (version) {
        version->count++;
        return;
    }
    if (ds->version_count == ds->version_room) {
        ds->version_room = ds->version_room ? 2 * ds->version_room : 8;
        ds->versions = cairn_realloc(ds->versions, ds->version_room * sizeof *ds->versions);
    }
    ds->versions[ds->version_count++] = (struct durable_version){.type = type_ref(type), .count = 1};
}

void durable_version_leave(struct cairn_worker *worker, const struct type *type)
{
    struct durables *ds = worker->durables;
    struct durable_version *version = find(ds, type->space, type->name, type->module->hash);

    if (--version->count)
        return;
    type_unref(version->type);
    *version = ds->versions[--ds->version_count];
}

uint32_t durable_in_use(const struct cairn_worker *worker, const uint32_t *types, uint32_t count)
{
    const struct durables *ds = worker->durables;

    for (uint32_t i = 0; i < ds->version_count; i++)
        for (uint32_t k = 0; k < count; k++)
            if (types[k] == ds->versions[i].type->number)
                return types[k];
    return 0;
}

void durable_versions_drop(struct durables *ds)
{
    for (uint32_t i = 0; i < ds->version_count; i++)
        type_unref(ds->versions[i].type);
    free(ds->versions);
}

void durable_visit_types(struct cairn_worker *worker, void (*visit)(void *context, struct type *type), void *context)
{
    const struct durables *ds = worker->durables;

    for (uint32_t i = 0; i < ds->version_count; i++)
        visit(context, ds->versions[i].type);
}
