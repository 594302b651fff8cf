#include "admin/change.h"

#include <stdlib.h>

#include "object/layout.h"

void change_begin(struct change *change, struct catalog *base, struct cairn_view *engine)
{
    change->base = catalog_ref(base);
    overlay_reset(&change->overlay, engine);
}

void change_done(struct change *change)
{
    overlay_done(&change->overlay);
    catalog_unref(change->catalog);
    catalog_unref(change->base);
    free(change->types);
    free(change->going);
    free(change->numbers);
}

static uint32_t new_type_number(struct catalog *catalog)
{
    if (catalog->type_next == 0)
        catalog->type_next = 1;
    return catalog->type_next++;
}

/* The fields of a type: those that it has had, and the version's new ones; or says what clashes. */
static enum cairn_code bind_fields(const struct type_entry *type, const struct cairn_type_decl *decl,
                                   struct bound_field *fields, uint32_t *ret_count, struct cairn_err *err)
{
    uint32_t count = type->field_count;
    struct names names = {0};
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; i < count; i++) {
        fields[i] = type->fields[i];
        names_add(&names, cairn_hash(fields[i].name), i);
    }
    for (size_t k = 0; code == CAIRN_OK && k < decl->field_count; k++) {
        struct cairn_bytes name = cairn_str(decl->fields[k].name);
        uint64_t hash = cairn_hash(name);
        uint32_t at = 0, found = names_next(&names, hash, &at);

        while (found != NAMES_END && !cairn_bytes_equal(fields[found].name, name))
            found = names_next(&names, hash, &at);
        if (found != NAMES_END) {
            if (fields[found].kind != decl->fields[k].kind)
                code = cairn_fail(err, CAIRN_ECONFLICT,
                                  "field %s of type %s was declared as another kind before, and a field's kind is for "
                                  "good; give the new field a new name",
                                  decl->fields[k].name, decl->name);
        } else if (count > CAIRN_FIELD_NUMBER_MAX) {
            code = cairn_fail(err, CAIRN_ELIMIT, "type %s has declared more than %d fields over its versions",
                              decl->name, CAIRN_FIELD_NUMBER_MAX + 1);
        } else {
            names_add(&names, hash, count);
            fields[count] = (struct bound_field){.name = name, .kind = decl->fields[k].kind, .number = count};
            count++;
        }
    }
    names_done(&names);
    *ret_count = count;
    return code;
}

static enum cairn_code bind_type(struct change *change, struct cairn_module *module, const struct cairn_type_decl *decl,
                                 struct bound_field *fields, struct cairn_err *err)
{
    const struct type_entry *type = catalog_type(change->catalog, change->m->space, cairn_str(decl->name));
    struct type_entry fresh = {.space = change->m->space,
                               .name = cairn_str(decl->name),
                               .module_name = change->m->name},
                      *bound;
    enum cairn_code code;
    uint32_t count;

    if (type && !cairn_bytes_equal(type->module_name, change->m->name))
        return cairn_fail(err, CAIRN_ECONFLICT, "type %s belongs to module %.*s already", decl->name,
                          (int)type->module_name.size, (const char *)type->module_name.data);
    if (!type) {
        fresh.number = new_type_number(change->catalog);
        type = &fresh;
    }
    code = bind_fields(type, decl, fields, &count, err);
    if (code != CAIRN_OK)
        return code;
    bound = type_entry_make(type, fields, count, module, decl, change->m->versions[change->m->current].number);
    catalog_put_type(&change->overlay, bound);
    catalog_set_type(change->catalog, bound);
    return CAIRN_OK;
}

/* The entry of the module with this version for the current one. */
static struct module_entry *bind_module(const struct module_entry *before, struct space *space,
                                        struct cairn_module *module, bool *ret_created)
{
    struct module_entry *m = module_entry_make(space, cairn_str(module->name));

    if (before) {
        m->version_last = before->version_last;
        m->version_count = before->version_count;
        m->current = before->current;
        memcpy(m->versions, before->versions, sizeof m->versions);
    }
    m->module = cairn_module_ref(module);
    for (uint32_t i = 0; i < m->version_count; i++)
        if (memcmp(m->versions[i].hash, module->hash, CAIRN_SHA256_BYTES) == 0) {
            *ret_created = false;
            m->current = i;
            return m;
        }
    *ret_created = true;
    while (m->version_count >= VERSIONS_KEPT) { /* the oldest that is not current is forgotten */
        uint32_t at = m->current == 0 ? 1 : 0;
        m->version_count--;
        m->current -= m->current > at;
        memmove(m->versions + at, m->versions + at + 1, (m->version_count - at) * sizeof *m->versions);
    }
    m->current = m->version_count++;
    m->versions[m->current] = (struct module_version){.number = ++m->version_last, .bytes = module->wasm_bytes};
    memcpy(m->versions[m->current].hash, module->hash, CAIRN_SHA256_BYTES);
    return m;
}

/* What the node has altogether. */
static enum cairn_code check_totals(const struct catalog *catalog, struct cairn_err *err)
{
    static const char advice[] = "delete modules that are not needed";
    uint64_t methods = 0, fields = 0;

    for (uint32_t i = 0; i < catalog->type_count; i++) {
        methods += catalog->types[i]->decl ? catalog->types[i]->decl->method_count : 0;
        fields += catalog->types[i]->field_count;
    }
    if (catalog->module_count > MODULES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "the node has %d modules, and may have no more: %s", MODULES_MAX, advice);
    if (catalog->type_count > TYPES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "with this module the node would have %u types; at most %d are allowed: %s",
                          catalog->type_count, TYPES_MAX, advice);
    if (methods > METHODS_MAX)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "with this module the node would have %llu methods; at most %d are allowed: %s",
                          (unsigned long long)methods, METHODS_MAX, advice);
    if (fields > FIELDS_MAX)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "with this module the node would have %llu fields; at most %d are allowed: %s",
                          (unsigned long long)fields, FIELDS_MAX, advice);
    return CAIRN_OK;
}

/* The module's types in that catalog; *ret_types is the caller's. */
static uint32_t list_types(const struct catalog *catalog, const struct space *space, struct cairn_bytes name,
                           struct type_entry ***ret_types)
{
    struct type_entry **types = cairn_alloc_zeroed(catalog->type_count + 1, sizeof *types);
    uint32_t count = 0;

    for (uint32_t i = 0; i < catalog->type_count; i++)
        if (cairn_bytes_equal(catalog->types[i]->module_name, name) && catalog->types[i]->space == space)
            types[count++] = catalog->types[i];
    *ret_types = types;
    return count;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The record forgets the types that are to go. */
static void forget_going(struct change *change)
{
    struct cairn_buf key = {0};

    change->numbers = cairn_alloc_zeroed(change->going_count + 1, sizeof *change->numbers);
    for (uint32_t i = 0; i < change->going_count; i++) {
        change->numbers[i] = change->going[i]->number;
        catalog_key(&key, KEY_TYPE, change->going[i]->space, change->going[i]->name);
        overlay_remove(&change->overlay, cairn_buf_bytes(&key));
    }
    qsort(change->numbers, change->going_count, sizeof *change->numbers, compare_numbers);
    cairn_buf_done(&key);
}

/* One of "A,B,C". */
static bool names_type(struct cairn_bytes names, struct cairn_bytes type)
{
    for (size_t at = 0, end; at < names.size; at = end + 1) {
        for (end = at; end < names.size && names.data[end] != ',';)
            end++;
        if (cairn_bytes_equal(cairn_bytes(names.data + at, end - at), type))
            return true;
    }
    return false;
}

/* Types that the version no longer declares: those that the request drops stay without methods, and so do those that
 * were dropped before; the others are to go. */
static void bind_missing(struct change *change, struct cairn_module *module, struct cairn_bytes drop)
{
    struct space *space = change->m->space;
    struct cairn_bytes name = change->m->name;
    uint32_t version = change->m->versions[change->m->current].number;
    struct catalog *next = change->catalog;
    struct type_entry **before;
    uint32_t count = list_types(change->base, space, name, &before);

    change->going = before;
    for (uint32_t i = 0; i < count; i++) {
        struct type_entry *t = before[i], *now = catalog_type(next, space, t->name);

        if (now != t)
            continue;
        if (t->dropped || names_type(drop, t->name)) {
            catalog_set_type(next, type_entry_make(t, t->fields, t->field_count, module, NULL, version));
        } else {
            change->going[change->going_count++] = t;
            catalog_remove_type(next, space, t->name);
        }
    }
    forget_going(change);
    change->type_count = list_types(next, space, name, &change->types);
}

enum cairn_code change_deploy(struct change *change, struct space *space, struct cairn_module *module,
                              struct cairn_bytes drop, struct cairn_err *err)
{
    struct cairn_bytes name = cairn_str(module->name);
    struct bound_field *fields = cairn_alloc_zeroed(2 * (CAIRN_FIELD_NUMBER_MAX + 1), sizeof *fields);
    struct catalog *next = change->catalog = catalog_copy(change->base);
    const struct module_entry *before = catalog_module(next, space, name);
    enum cairn_code code = CAIRN_OK;

    change->previous = before ? before->versions[before->current].number : 0;
    change->m = bind_module(catalog_module(next, space, name), space, module, &change->created);
    catalog_set_module(next, change->m);
    for (size_t i = 0; code == CAIRN_OK && i < module->type_count; i++)
        code = bind_type(change, module, &module->types[i], fields, err);
    free(fields);
    if (code != CAIRN_OK)
        return code;
    catalog_put_type_next(&change->overlay, next->type_next);
    bind_missing(change, module, drop);
    return check_totals(next, err);
}

void change_undeploy(struct change *change, struct space *space, struct cairn_bytes name)
{
    struct cairn_buf key = {0};

    change->catalog = catalog_copy(change->base);
    catalog_remove(change->catalog, space, name);
    change->going_count = list_types(change->base, space, name, &change->going);
    catalog_key(&key, KEY_MODULE, space, name);
    overlay_remove(&change->overlay, cairn_buf_bytes(&key));
    cairn_buf_done(&key);
    forget_going(change);
}

void change_remove_space(struct change *change, struct space *space)
{
    const struct catalog *base = change->base;
    struct cairn_buf key = {0};

    change->catalog = catalog_copy(base);
    catalog_remove_space(change->catalog, space);
    change->going = cairn_alloc_zeroed(base->type_count + 1, sizeof *change->going);
    for (uint32_t i = 0; i < base->type_count; i++)
        if (space_payer(base->types[i]->space) == space)
            change->going[change->going_count++] = base->types[i];
    for (uint32_t i = 0; i < base->module_count; i++)
        if (space_payer(base->modules[i]->space) == space) {
            catalog_key(&key, KEY_MODULE, base->modules[i]->space, base->modules[i]->name);
            overlay_remove(&change->overlay, cairn_buf_bytes(&key));
        }
    key.size = 0;
    cairn_buf_u8(&key, KEY_SPACE);
    cairn_buf_add(&key, space->name.data, space->name.size);
    overlay_remove(&change->overlay, cairn_buf_bytes(&key));
    cairn_buf_done(&key);
    forget_going(change);
}
