/* types.c - types as one worker sees them, made from the catalog that it was sent last. */
#include <assert.h>
#include <stdlib.h>

#include "object/catalog_internal.h"

static void type_free(struct type *type)
{
    bytes_forget(type->space);
    bytes_forget(type->name);
    free(type->fields);
    free(type->values);
    free(type->methods);
    free(type->method_slots);
    cairn_module_unref(type->module);
    free(type);
}

void type_unref(struct type *type)
{
    assert(type->refs);
    if (--type->refs == 0)
        type_free(type);
}

static uint64_t type_hash(struct cairn_bytes space, struct cairn_bytes name)
{
    return cairn_hash_seeded(name, space.size);
}

struct type *type_find(struct cairn_worker *worker, struct cairn_bytes space, struct cairn_bytes name)
{
    uint64_t hash = type_hash(space, name);

    if (!worker->types_size)
        return NULL;
    for (uint32_t slot = (uint32_t)hash & (worker->types_size - 1); worker->types[slot];
         slot = (slot + 1) & (worker->types_size - 1)) {
        struct type *type = worker->types[slot];
        if (type->hash == hash && cairn_bytes_equal(type->name, name) && cairn_bytes_equal(type->space, space))
            return type;
    }
    return NULL;
}

struct method *type_method(struct type *type, struct cairn_bytes name)
{
    for (uint32_t slot = (uint32_t)cairn_hash(name) & type->method_mask; type->method_slots[slot];
         slot = (slot + 1) & type->method_mask) {
        struct method *method = &type->methods[type->method_slots[slot] - 1];
        if (cairn_bytes_equal(cairn_str(method->decl->name), name))
            return method;
    }
    return NULL;
}

static struct type *type_make(struct cairn_worker *worker, const struct type_entry *entry, struct cairn_module *module,
                              uint32_t version, const struct cairn_type_decl *decl)
{
    struct type *type = cairn_alloc_zeroed(1, sizeof *type);
    uint32_t slots = 4;

    type->refs = 1;
    type->hash = type_hash(entry->space, entry->name);
    type->space = bytes_keep(entry->space);
    type->name = bytes_keep(entry->name);
    type->number = entry->number;
    type->version = version;
    type->module = cairn_module_ref(module);
    type->decl = decl;
    for (size_t i = 0; i < decl->field_count; i++)
        if (decl->fields[i].number >= type->field_end)
            type->field_end = decl->fields[i].number + 1;
    type->fields = cairn_alloc_zeroed(type->field_end + 1, sizeof *type->fields);
    for (size_t i = 0; i < decl->field_count; i++) {
        const struct bound_field *bound = catalog_field(entry, cairn_str(decl->fields[i].name));
        assert(bound && bound->kind == decl->fields[i].kind);
        type->fields[decl->fields[i].number] = (struct type_field){bound->number, bound->kind};
    }
    type->values = cairn_alloc_zeroed(entry->field_count + 1, sizeof *type->values);
    for (uint32_t i = 0; i < entry->field_count; i++)
        if (entry->fields[i].kind == CAIRN_FIELD_VALUE)
            type->values[type->value_count++] = entry->fields[i].number;
    while (slots < 2 * decl->method_count)
        slots *= 2;
    type->method_mask = slots - 1;
    type->method_slots = cairn_alloc_zeroed(slots, sizeof *type->method_slots);
    type->methods = cairn_alloc_zeroed(decl->method_count + 1, sizeof *type->methods);
    for (size_t i = 0; i < decl->method_count; i++) {
        uint32_t slot = (uint32_t)cairn_hash(cairn_str(decl->methods[i].name)) & type->method_mask;
        while (type->method_slots[slot])
            slot = (slot + 1) & type->method_mask;
        type->method_slots[slot] = (uint16_t)(i + 1);
        type->methods[i].decl = &decl->methods[i];
        type->methods[i].stats = stats_find(&worker->stats, type->space, type->name, cairn_str(decl->methods[i].name));
    }
    return type;
}

static void types_drop(struct cairn_worker *worker)
{
    for (uint32_t i = 0; i < worker->types_size; i++)
        if (worker->types[i])
            type_unref(worker->types[i]);
    free(worker->types);
    worker->types = NULL;
    worker->types_size = worker->type_count = 0;
}

/* Makes the worker's types anew; a version that is unchanged stays the same struct. */
void types_from(struct cairn_worker *worker, struct catalog *catalog)
{
    uint32_t size = 16;
    struct type **types;

    while (size < 2 * catalog->type_count)
        size *= 2;
    types = cairn_alloc_zeroed(size, sizeof *types);
    for (uint32_t i = 0; i < catalog->type_count; i++) {
        const struct type_entry *entry = &catalog->types[i];
        struct module_entry *m = catalog_module(catalog, entry->space, entry->module);
        struct type *old = type_find(worker, entry->space, entry->name), *type = NULL;
        uint32_t slot;

        if (!m)
            continue;
        if (old && old->module == m->module && old->number == entry->number) {
            type = type_ref(old);
        } else {
            for (size_t k = 0; k < m->module->type_count; k++)
                if (cairn_bytes_equal(cairn_str(m->module->types[k].name), entry->name))
                    type = type_make(worker, entry, m->module, m->versions[m->current].number, &m->module->types[k]);
        }
        if (!type) /* the current version no longer has this type */
            continue;
        for (slot = (uint32_t)type->hash & (size - 1); types[slot]; slot = (slot + 1) & (size - 1))
            ;
        types[slot] = type;
    }
    types_drop(worker);
    worker->types = types;
    worker->types_size = size;
    worker->type_count = catalog->type_count;
    catalog_unref(worker->catalog);
    worker->catalog = catalog_ref(catalog);
    cairn_fn_worker_trim(worker->fn);
}

void catalog_leave(struct cairn_worker *worker)
{
    types_drop(worker);
    catalog_unref(worker->catalog);
    worker->catalog = NULL;
}
