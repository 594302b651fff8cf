#include <assert.h>
#include <stdlib.h>

#include "object/names.h"
#include "object/type.h"

static struct cairn_bytes keep(uint8_t **at, struct cairn_bytes bytes)
{
    struct cairn_bytes kept = cairn_bytes(*at, bytes.size);

    if (bytes.size)
        memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return kept;
}

static uint32_t method_slot_count(const struct cairn_type_decl *decl)
{
    uint32_t slots = 4;

    while (slots < 2 * decl->method_count)
        slots *= 2;
    return slots;
}

static void bind_methods(const struct cairn_type_decl *decl, uint16_t *slots, uint32_t mask)
{
    for (size_t i = 0; i < decl->method_count; i++) {
        uint32_t slot = (uint32_t)cairn_hash(cairn_str(decl->methods[i].name)) & mask;
        while (slots[slot])
            slot = (slot + 1) & mask;
        slots[slot] = (uint16_t)(i + 1);
    }
}

static void bind_fields(const struct type_entry *t, struct type_field *bound)
{
    struct names names = {0};

    for (uint32_t i = 0; i < t->field_count; i++)
        names_add(&names, cairn_hash(t->fields[i].name), i);
    for (size_t i = 0; i < t->decl->field_count; i++) {
        struct cairn_bytes name = cairn_str(t->decl->fields[i].name);
        uint64_t hash = cairn_hash(name);
        uint32_t at = 0, k = names_next(&names, hash, &at);
        while (k != NAMES_END && !cairn_bytes_equal(t->fields[k].name, name))
            k = names_next(&names, hash, &at);
        assert(k != NAMES_END && t->fields[k].kind == t->decl->fields[i].kind);
        bound[t->decl->fields[i].number] = (struct type_field){t->fields[k].number, t->fields[k].kind};
    }
    names_done(&names);
}

/* No methods, and all fields that it ever declared: objects of it can be listed, shown, deleted and restored. */
static struct cairn_type_decl *dropped_make(const struct type_entry *t)
{
    struct cairn_type_decl *dropped = cairn_alloc_zeroed(1, sizeof *dropped);

    dropped->name = cairn_bytes_dup(t->name);
    dropped->fields = cairn_alloc_zeroed(t->field_count + 1, sizeof *dropped->fields);
    dropped->field_count = t->field_count;
    for (uint32_t i = 0; i < t->field_count; i++)
        dropped->fields[i] = (struct cairn_field_decl){
            .name = cairn_bytes_dup(t->fields[i].name), .kind = t->fields[i].kind, .number = t->fields[i].number};
    return dropped;
}

static void dropped_free(struct cairn_type_decl *dropped)
{
    for (size_t i = 0; dropped && i < dropped->field_count; i++)
        free(dropped->fields[i].name);
    if (dropped) {
        free(dropped->fields);
        free(dropped->name);
    }
    free(dropped);
}

/* One block: the entry, its arrays by falling alignment, its text. */
struct type_entry *type_entry_make(const struct type_entry *like, const struct bound_field *fields,
                                   uint32_t field_count, struct cairn_module *module,
                                   const struct cairn_type_decl *decl, uint32_t version)
{
    size_t text_bytes = like->name.size + like->module_name.size;
    struct cairn_type_decl *dropped = NULL;
    uint32_t slots, bound_end = 0;
    struct bound_field *own;
    struct type_field *bound;
    struct type_entry *t;
    uint32_t *values;
    uint16_t *method_slots;
    uint8_t *text;

    if (module && !decl)
        decl = dropped =
            dropped_make(&(struct type_entry){.name = like->name, .fields = fields, .field_count = field_count});
    slots = decl ? method_slot_count(decl) : 0;
    for (uint32_t i = 0; i < field_count; i++)
        text_bytes += fields[i].name.size;
    for (size_t i = 0; decl && i < decl->field_count; i++)
        if (decl->fields[i].number >= bound_end)
            bound_end = decl->fields[i].number + 1;
    t = cairn_alloc_zeroed(1, sizeof *t + field_count * (sizeof *own + sizeof *values) + bound_end * sizeof *bound +
                                  slots * sizeof *method_slots + text_bytes);
    own = (struct bound_field *)(t + 1);
    bound = (struct type_field *)(own + field_count);
    values = (uint32_t *)(bound + bound_end);
    method_slots = (uint16_t *)(values + field_count);
    text = (uint8_t *)(method_slots + slots);
    atomic_init(&t->refs, 1);
    t->space = like->space;
    t->name = keep(&text, like->name);
    t->module_name = keep(&text, like->module_name);
    t->number = like->number;
    for (uint32_t i = 0; i < field_count; i++) {
        own[i] = fields[i];
        own[i].name = keep(&text, fields[i].name);
        if (fields[i].kind == CAIRN_FIELD_VALUE)
            values[t->value_count++] = fields[i].number;
    }
    t->fields = own;
    t->field_count = field_count;
    t->values = values;
    if (!decl)
        return t;
    t->module = cairn_module_ref(module);
    t->decl = decl;
    t->dropped = dropped;
    t->version = version;
    t->bound = bound;
    t->bound_end = bound_end;
    bind_fields(t, bound);
    t->method_slots = method_slots;
    t->method_mask = slots - 1;
    bind_methods(decl, method_slots, t->method_mask);
    return t;
}

void type_entry_unref(struct type_entry *t)
{
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    cairn_module_unref(t->module);
    dropped_free(t->dropped);
    free(t);
}
