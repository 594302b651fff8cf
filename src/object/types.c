/* types.c - types as one worker sees them, made from the catalog's entries that it was sent. */
#include <assert.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "object/tap.h"
#include "object/type.h"
#include "object/worker.h"

enum { SUGGESTIONS_MAX = 64 }; /* names that are compared: a request for one that does not exist must not cost much */

void type_unref(struct type *type)
{
    assert(type->refs);
    if (--type->refs)
        return;
    type_entry_unref(type->entry);
    free(type);
}

/* Where the pointer to it is, or would be. */
static struct type **type_at(struct cairn_worker *worker, uint64_t hash, const struct space *space,
                             struct cairn_bytes name)
{
    struct type **at = &worker->types[(uint32_t)hash & (worker->types_size - 1)];

    while (*at && !((*at)->hash == hash && (*at)->space == space && cairn_bytes_equal((*at)->name, name)))
        at = &(*at)->next;
    return at;
}

struct type *type_find(struct cairn_worker *worker, const struct space *space, struct cairn_bytes name)
{
    return worker->types_size ? *type_at(worker, space_name_hash(space, name), space, name) : NULL;
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

const char *type_suggest(struct cairn_worker *worker, const struct space *space, struct cairn_bytes name,
                         char to[CAIRN_SUGGEST_TEXT_BYTES])
{
    struct cairn_suggest suggest = {.typed = name};
    unsigned offered = 0;

    for (uint32_t i = 0; i < worker->types_size && i < 16 * SUGGESTIONS_MAX; i++)
        for (struct type *type = worker->types[i]; type && offered < SUGGESTIONS_MAX; type = type->next)
            if (type->space == space) {
                cairn_suggest_offer(&suggest, type->name, type->name);
                offered++;
            }
    return cairn_suggest_text(&suggest, to);
}

const char *type_suggest_method(struct type *type, struct cairn_bytes name, char to[CAIRN_SUGGEST_TEXT_BYTES])
{
    struct cairn_suggest suggest = {.typed = name};

    for (size_t i = 0; i < type->decl->method_count && i < SUGGESTIONS_MAX; i++)
        if (type->decl->methods[i].is_public)
            cairn_suggest_offer(&suggest, cairn_str(type->decl->methods[i].name),
                                cairn_str(type->decl->methods[i].name));
    return cairn_suggest_text(&suggest, to);
}

struct type *type_of_entry(const struct cairn_worker *worker, struct type_entry *entry)
{
    struct type *type = cairn_alloc_zeroed(1, sizeof *type + entry->decl->method_count * sizeof type->methods[0]);

    type->refs = 1;
    type->entry = type_entry_ref(entry);
    type->hash = space_name_hash(entry->space, entry->name);
    type->space = entry->space;
    type->name = entry->name;
    type->number = entry->number;
    type->version = entry->version;
    type->tap = tap_of(worker->node, entry);
    type->module = entry->module;
    type->decl = entry->decl;
    type->fields = entry->bound;
    type->field_end = entry->bound_end;
    type->values = entry->values;
    type->value_count = entry->value_count;
    type->method_slots = entry->method_slots;
    type->method_mask = entry->method_mask;
    for (size_t i = 0; i < entry->decl->method_count; i++) {
        type->methods[i].decl = &entry->decl->methods[i];
        type->methods[i].odd = type->tap != NULL;
        type->methods[i].caches = cache_wants(&worker->cache, type->methods[i].decl);
        method_limits_make(&type->methods[i].limits, worker->node, type->space, type->decl, type->methods[i].decl);
    }
    return type;
}

static void table_grow(struct cairn_worker *worker)
{
    uint32_t size = worker->types_size ? 2 * worker->types_size : 16;
    struct type **types = cairn_alloc_zeroed(size, sizeof *types);

    for (uint32_t i = 0; i < worker->types_size; i++)
        for (struct type *type = worker->types[i], *next; type; type = next) {
            next = type->next;
            type->next = types[(uint32_t)type->hash & (size - 1)];
            types[(uint32_t)type->hash & (size - 1)] = type;
        }
    free(worker->types);
    worker->types = types;
    worker->types_size = size;
}

void types_remove(struct cairn_worker *worker, const struct type_entry *entry)
{
    struct type **at, *type;

    if (!worker->types_size)
        return;
    at = type_at(worker, space_name_hash(entry->space, entry->name), entry->space, entry->name);
    type = *at;
    worker->types_changed++;
    if (!type)
        return;
    *at = type->next;
    worker->type_count--;
    type_unref(type);
}

void types_set(struct cairn_worker *worker, struct type_entry *entry)
{
    struct type *type;
    struct type **at;

    types_remove(worker, entry);
    if (!entry->decl)
        return;
    if (worker->type_count == worker->types_size)
        table_grow(worker);
    type = type_of_entry(worker, entry);
    at = &worker->types[(uint32_t)type->hash & (worker->types_size - 1)];
    type->next = *at;
    *at = type;
    worker->type_count++;
}

void types_leave(struct cairn_worker *worker)
{
    for (uint32_t i = 0; i < worker->types_size; i++)
        for (struct type *type = worker->types[i], *next; type; type = next) {
            next = type->next;
            type_unref(type);
        }
    free(worker->types);
    worker->types = NULL;
    worker->types_size = worker->type_count = 0;
}

struct method_stats *method_stats_of(struct cairn_worker *worker, const struct type *type, struct method *method)
{
    if (!method->stats)
        method->stats =
            stats_of(&worker->node->stats, worker->index, type->space, type->name, cairn_str(method->decl->name));
    return method->stats;
}

uint32_t type_value_fields(const struct type *type, uint32_t *to)
{
    if (type->value_count)
        memcpy(to, type->values, type->value_count * sizeof *to);
    return type->value_count;
}
