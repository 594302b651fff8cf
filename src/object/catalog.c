#include "object/catalog_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char modules_dir[] = CAIRN_STORE_MODULES_DIR;

/* --- entries ------------------------------------------------------------------------------------- */

static struct cairn_bytes keep(uint8_t **at, struct cairn_bytes bytes)
{
    struct cairn_bytes kept = cairn_bytes(*at, bytes.size);

    if (bytes.size)
        memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return kept;
}

struct module_entry *module_entry_make(struct cairn_bytes space, struct cairn_bytes name)
{
    struct module_entry *m = cairn_alloc_zeroed(1, sizeof *m + space.size + name.size);
    uint8_t *text = (uint8_t *)(m + 1);

    atomic_init(&m->refs, 1);
    m->space = keep(&text, space);
    m->name = keep(&text, name);
    return m;
}

static struct module_entry *module_entry_ref(struct module_entry *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

static void module_entry_unref(struct module_entry *m)
{
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    cairn_module_unref(m->module);
    free(m);
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
    size_t text_bytes = like->space.size + like->name.size + like->module_name.size;
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
    t->space = keep(&text, like->space);
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

/* --- catalogs ------------------------------------------------------------------------------------- */

struct catalog *catalog_ref(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->refs, 1, memory_order_relaxed);
    return catalog;
}

void catalog_unref(struct catalog *catalog)
{
    if (!catalog || atomic_fetch_sub_explicit(&catalog->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < catalog->module_count; i++)
        module_entry_unref(catalog->modules[i]);
    for (uint32_t i = 0; i < catalog->type_count; i++)
        type_entry_unref(catalog->types[i]);
    free(catalog->modules);
    free(catalog->types);
    names_done(&catalog->module_names);
    names_done(&catalog->type_names);
    free(catalog);
}

struct catalog *catalog_copy(const struct catalog *from)
{
    struct catalog *to = cairn_alloc_zeroed(1, sizeof *to);

    atomic_init(&to->refs, 1);
    to->record = from->record;
    to->type_next = from->type_next;
    for (uint32_t i = 0; i < from->module_count; i++)
        catalog_set_module(to, module_entry_ref(from->modules[i]));
    for (uint32_t i = 0; i < from->type_count; i++)
        catalog_set_type(to, type_entry_ref(from->types[i]));
    return to;
}

static uint32_t find_module(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    uint32_t at = 0, i;

    while ((i = names_next(&catalog->module_names, names_hash(space, name), &at)) != NAMES_END)
        if (cairn_bytes_equal(catalog->modules[i]->space, space) && cairn_bytes_equal(catalog->modules[i]->name, name))
            break;
    return i;
}

static uint32_t find_type(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    uint32_t at = 0, i;

    while ((i = names_next(&catalog->type_names, names_hash(space, name), &at)) != NAMES_END)
        if (cairn_bytes_equal(catalog->types[i]->space, space) && cairn_bytes_equal(catalog->types[i]->name, name))
            break;
    return i;
}

struct module_entry *catalog_module(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    uint32_t i = find_module(catalog, space, name);

    return i == NAMES_END ? NULL : catalog->modules[i];
}

struct type_entry *catalog_type(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    uint32_t i = find_type(catalog, space, name);

    return i == NAMES_END ? NULL : catalog->types[i];
}

/* One more, in an array that doubles: it has room for a power of two. */
static void *more(void *array, uint32_t count, size_t size)
{
    return (count & (count - 1)) == 0 ? cairn_realloc(array, (count ? 2 * (size_t)count : 1) * size) : array;
}

void catalog_set_module(struct catalog *catalog, struct module_entry *m)
{
    uint32_t i = find_module(catalog, m->space, m->name);

    if (i != NAMES_END) {
        module_entry_unref(catalog->modules[i]);
        catalog->modules[i] = m;
        return;
    }
    catalog->modules = more(catalog->modules, catalog->module_count, sizeof *catalog->modules);
    names_add(&catalog->module_names, names_hash(m->space, m->name), catalog->module_count);
    catalog->modules[catalog->module_count++] = m;
}

void catalog_set_type(struct catalog *catalog, struct type_entry *t)
{
    uint32_t i = find_type(catalog, t->space, t->name);

    if (i != NAMES_END) {
        type_entry_unref(catalog->types[i]);
        catalog->types[i] = t;
        return;
    }
    catalog->types = more(catalog->types, catalog->type_count, sizeof *catalog->types);
    names_add(&catalog->type_names, names_hash(t->space, t->name), catalog->type_count);
    catalog->types[catalog->type_count++] = t;
}

void catalog_remove_type(struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    uint32_t at = find_type(catalog, space, name);

    if (at == NAMES_END)
        return;
    type_entry_unref(catalog->types[at]);
    /* The array stays as `more` wants it, if it has room for as many as before. */
    catalog->types = cairn_realloc(catalog->types, 2 * (size_t)catalog->type_count * sizeof *catalog->types);
    memmove(&catalog->types[at], &catalog->types[at + 1], (--catalog->type_count - at) * sizeof *catalog->types);
    names_done(&catalog->type_names); /* one is numbered anew */
    for (uint32_t i = 0; i < catalog->type_count; i++)
        names_add(&catalog->type_names, names_hash(catalog->types[i]->space, catalog->types[i]->name), i);
}

void catalog_remove(struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    uint32_t modules = catalog->module_count, types = catalog->type_count;

    names_done(&catalog->module_names); /* they are numbered anew */
    names_done(&catalog->type_names);
    catalog->module_count = catalog->type_count = 0;
    for (uint32_t i = 0; i < modules; i++) {
        struct module_entry *m = catalog->modules[i];
        if (cairn_bytes_equal(m->space, space) && cairn_bytes_equal(m->name, name)) {
            module_entry_unref(m);
            continue;
        }
        names_add(&catalog->module_names, names_hash(m->space, m->name), catalog->module_count);
        catalog->modules[catalog->module_count++] = m;
    }
    for (uint32_t i = 0; i < types; i++) {
        struct type_entry *t = catalog->types[i];
        if (cairn_bytes_equal(t->space, space) && cairn_bytes_equal(t->module_name, name)) {
            type_entry_unref(t);
            continue;
        }
        names_add(&catalog->type_names, names_hash(t->space, t->name), catalog->type_count);
        catalog->types[catalog->type_count++] = t;
    }
    /* As `more` wants it. */
    if (catalog->module_count)
        catalog->modules = cairn_realloc(catalog->modules, 2 * (size_t)modules * sizeof *catalog->modules);
    if (catalog->type_count)
        catalog->types = cairn_realloc(catalog->types, 2 * (size_t)types * sizeof *catalog->types);
}

void hash_hex(const uint8_t hash[CAIRN_SHA256_BYTES], char to[2 * CAIRN_SHA256_BYTES + 1])
{
    for (int i = 0; i < CAIRN_SHA256_BYTES; i++)
        snprintf(to + 2 * i, 3, "%02x", hash[i]);
}

void module_path(const uint8_t hash[CAIRN_SHA256_BYTES], char to[CAIRN_PATH_BYTES])
{
    char name[2 * CAIRN_SHA256_BYTES + 1];

    hash_hex(hash, name);
    snprintf(to, CAIRN_PATH_BYTES, "%s/%s.wasm", modules_dir, name);
}

/* --- in the system shard ----------------------------------------------------------------------- */

void catalog_key(struct cairn_buf *to, uint8_t kind, struct cairn_bytes space, struct cairn_bytes name)
{
    to->size = 0;
    cairn_buf_u8(to, kind);
    cairn_buf_varint(to, space.size);
    cairn_buf_add(to, space.data, space.size);
    cairn_buf_add(to, name.data, name.size);
}

void catalog_put_module(struct overlay *overlay, const struct module_entry *m)
{
    struct cairn_buf key = {0}, value = {0};

    catalog_key(&key, KEY_MODULE, m->space, m->name);
    cairn_buf_varint(&value, m->version_last);
    cairn_buf_varint(&value, m->current);
    cairn_buf_varint(&value, m->version_count);
    for (uint32_t i = 0; i < m->version_count; i++) {
        cairn_buf_varint(&value, m->versions[i].number);
        cairn_buf_add(&value, m->versions[i].hash, CAIRN_SHA256_BYTES);
        cairn_buf_varint(&value, m->versions[i].deployed_ms);
        cairn_buf_varint(&value, m->versions[i].bytes);
    }
    overlay_put(overlay, cairn_buf_bytes(&key), cairn_buf_bytes(&value));
    cairn_buf_done(&key);
    cairn_buf_done(&value);
}

void catalog_put_type(struct overlay *overlay, const struct type_entry *t)
{
    struct cairn_buf key = {0}, value = {0};

    catalog_key(&key, KEY_TYPE, t->space, t->name);
    cairn_buf_varint(&value, t->number);
    cairn_buf_varint(&value, t->module_name.size);
    cairn_buf_add(&value, t->module_name.data, t->module_name.size);
    cairn_buf_varint(&value, t->field_count);
    for (uint32_t i = 0; i < t->field_count; i++) {
        cairn_buf_varint(&value, t->fields[i].name.size);
        cairn_buf_add(&value, t->fields[i].name.data, t->fields[i].name.size);
        cairn_buf_u8(&value, (uint8_t)t->fields[i].kind);
        cairn_buf_varint(&value, t->fields[i].number);
    }
    overlay_put(overlay, cairn_buf_bytes(&key), cairn_buf_bytes(&value));
    cairn_buf_done(&key);
    cairn_buf_done(&value);
}

void catalog_put_type_next(struct overlay *overlay, uint32_t next)
{
    uint8_t key = KEY_TYPE_NEXT, value[CAIRN_VARINT_BYTES_MAX];

    overlay_put(overlay, cairn_bytes(&key, 1), cairn_bytes(value, cairn_put_varint(value, next)));
}

struct loading {
    struct catalog *catalog;
    bool bad;
};

static void load_module(struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name,
                        struct cairn_reader *r)
{
    struct module_entry *m = module_entry_make(space, name);

    m->version_last = (uint32_t)cairn_read_varint(r);
    m->current = (uint32_t)cairn_read_varint(r);
    m->version_count = (uint32_t)cairn_read_varint(r);
    if (m->version_count > 2 * VERSIONS_KEPT || m->current >= m->version_count) {
        r->bad = true;
        m->version_count = 0;
    }
    for (uint32_t i = 0; i < m->version_count; i++) {
        struct cairn_bytes hash;
        m->versions[i].number = (uint32_t)cairn_read_varint(r);
        hash = cairn_read_bytes(r, CAIRN_SHA256_BYTES);
        if (hash.size)
            memcpy(m->versions[i].hash, hash.data, hash.size);
        m->versions[i].deployed_ms = cairn_read_varint(r);
        m->versions[i].bytes = cairn_read_varint(r);
    }
    catalog_set_module(catalog, m);
}

static void load_type(struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name,
                      struct cairn_reader *r)
{
    struct type_entry t = {.space = space, .name = name};
    struct bound_field *fields;

    t.number = (uint32_t)cairn_read_varint(r);
    t.module_name = cairn_read_sized(r);
    t.field_count = (uint32_t)cairn_read_varint(r);
    if (t.field_count > CAIRN_FIELD_NUMBER_MAX + 1) {
        r->bad = true;
        t.field_count = 0;
    }
    fields = cairn_alloc_zeroed(t.field_count + 1, sizeof *fields);
    for (uint32_t i = 0; i < t.field_count; i++) {
        fields[i].name = cairn_read_sized(r);
        fields[i].kind = (enum cairn_field_kind)cairn_read_u8(r);
        fields[i].number = (uint32_t)cairn_read_varint(r);
    }
    catalog_set_type(catalog, type_entry_make(&t, fields, t.field_count, NULL, NULL, 0));
    free(fields);
}

static void load_key(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct loading *loading = context;
    struct cairn_reader k = cairn_reader(key), v = cairn_reader(value);
    uint8_t kind = cairn_read_u8(&k);
    struct cairn_bytes space;

    if (kind == KEY_TYPE_NEXT) {
        loading->catalog->type_next = (uint32_t)cairn_read_varint(&v);
    } else if (kind == KEY_MODULE || kind == KEY_TYPE) {
        space = cairn_read_sized(&k);
        (kind == KEY_MODULE ? load_module : load_type)(loading->catalog, space,
                                                       cairn_bytes(k.at, cairn_reader_left(&k)), &v);
    }
    loading->bad |= k.bad || v.bad;
}

/* --- requests ------------------------------------------------------------------------------------ */

/* Modules and types are told a page at a time.  A page begins behind the module that its cursor names, or in the
 * midst of its types: be32 index of the module, be32 index of the type, the module's name.  Once that module is gone
 * the index tells where to go on.  Behind the modules, at the index of their number, come the types that no module
 * has. */
struct catalog_place {
    uint32_t module, type;
};

static void put_be32(uint8_t *to, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(to, &v, sizeof v);
}

static uint32_t get_be32(const uint8_t *from)
{
    return __builtin_bswap32(cairn_get_u32(from));
}

static bool read_place(const struct catalog *catalog, const struct invocation *inv, struct catalog_place *ret)
{
    struct cairn_bytes cursor = inv->request->cursor;
    uint32_t found;

    *ret = (struct catalog_place){0};
    if (!cursor.size)
        return true;
    if (cursor.size < 8)
        return false;
    *ret = (struct catalog_place){get_be32(cursor.data), get_be32(cursor.data + 4)};
    found = find_module(catalog, inv->space, cairn_bytes(cursor.data + 8, cursor.size - 8));
    if (cursor.size > 8 && found != NAMES_END)
        ret->module = found;
    else if (cursor.size > 8)
        ret->type = 0;
    return true;
}

/* The page's end: its cursor, unless everything was told. */
static void end_page(const struct catalog *catalog, struct catalog_place at, bool more, uint64_t count,
                     struct cairn_buf *items, struct cairn_buf *to)
{
    uint8_t cursor[8 + CAIRN_NAME_BYTES_MAX];
    size_t size = 8;

    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, count);
    cairn_buf_add(to, items->data, items->size);
    cairn_buf_done(items);
    if (!more) {
        cairn_value_add_nil(to);
        return;
    }
    put_be32(cursor, at.module);
    put_be32(cursor + 4, at.type);
    if (at.module < catalog->module_count) {
        struct cairn_bytes name = catalog->modules[at.module]->name;
        memcpy(cursor + size, name.data, name.size);
        size += name.size;
    }
    cairn_value_add_bytes(to, cairn_bytes(cursor, size));
}

static void answer_module(const struct module_entry *m, struct cairn_buf *to)
{
    char name[2 * CAIRN_SHA256_BYTES + 1];

    hash_hex(m->versions[m->current].hash, name);
    cairn_value_add_list(to, 6);
    cairn_value_add_bytes(to, m->name);
    cairn_value_add_int(to, m->versions[m->current].number);
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_int(to, (int64_t)m->versions[m->current].deployed_ms);
    cairn_value_add_int(to, (int64_t)m->versions[m->current].bytes);
    cairn_value_add_list(to, m->version_count - 1);
    for (uint32_t k = 0; k < m->version_count; k++) {
        if (k == m->current)
            continue;
        hash_hex(m->versions[k].hash, name);
        cairn_value_add_list(to, 3);
        cairn_value_add_int(to, m->versions[k].number);
        cairn_value_add_bytes(to, cairn_str(name));
        cairn_value_add_int(to, (int64_t)m->versions[k].deployed_ms);
    }
}

static void answer_modules(const struct catalog *catalog, const struct invocation *inv, struct catalog_place at,
                           struct page *page, struct cairn_buf *to)
{
    struct cairn_buf items = {0};
    uint64_t count = 0;

    for (; at.module < catalog->module_count; at.module++) {
        const struct module_entry *m = catalog->modules[at.module];

        if (count && page_full(page, count, items.size))
            break;
        if (!cairn_bytes_equal(m->space, inv->space))
            continue;
        answer_module(m, &items);
        count++;
    }
    end_page(catalog, at, at.module < catalog->module_count, count, &items, to);
}

static const char *kind_name(enum cairn_field_kind kind)
{
    return kind == CAIRN_FIELD_VALUE ? "value" : kind == CAIRN_FIELD_LIST ? "list" : "map";
}

static void answer_type(const struct type_entry *type, struct cairn_buf *to)
{
    const struct cairn_type_decl *decl = type->decl;

    cairn_value_add_list(to, 6);
    cairn_value_add_bytes(to, type->name);
    cairn_value_add_bytes(to, cairn_str(type->module->name));
    cairn_value_add_int(to, type->version);
    cairn_value_add_list(to, decl->field_count);
    for (size_t i = 0; i < decl->field_count; i++) {
        cairn_value_add_list(to, 2);
        cairn_value_add_bytes(to, cairn_str(decl->fields[i].name));
        cairn_value_add_bytes(to, cairn_str(kind_name(decl->fields[i].kind)));
    }
    cairn_value_add_list(to, decl->method_count);
    for (size_t i = 0; i < decl->method_count; i++) {
        const struct cairn_method_decl *m = &decl->methods[i];
        cairn_value_add_list(to, 3);
        cairn_value_add_bytes(to, cairn_str(m->name));
        cairn_value_add_bytes(to, cairn_str(m->is_public ? "public" : "internal"));
        cairn_value_add_list(to, (uint64_t)m->read_only + m->deterministic);
        if (m->read_only)
            cairn_value_add_bytes(to, cairn_str("read-only"));
        if (m->deterministic)
            cairn_value_add_bytes(to, cairn_str("deterministic"));
    }
    cairn_value_add_int(to, type->dropped != NULL);
}

/* The type at that place, which goes on to the next.  False: there is none, and *ret_type is NULL at those that are
 * left out. */
static bool next_type(const struct catalog *catalog, struct cairn_bytes space, struct catalog_place *at,
                      const struct type_entry **ret_type)
{
    const struct module_entry *m;
    const struct type_entry *type;

    *ret_type = NULL;
    if (at->module >= catalog->module_count) {
        if (at->type >= catalog->type_count)
            return false;
        type = catalog->types[at->type++];
        if (type->dropped && cairn_bytes_equal(type->space, space))
            *ret_type = type;
        return true;
    }
    m = catalog->modules[at->module];
    if (!cairn_bytes_equal(m->space, space) || !m->module || at->type >= m->module->type_count) {
        *at = (struct catalog_place){at->module + 1, 0};
        return true;
    }
    *ret_type = catalog_type(catalog, space, cairn_str(m->module->types[at->type++].name));
    if (*ret_type && !(*ret_type)->decl)
        *ret_type = NULL;
    return true;
}

static void answer_types(const struct catalog *catalog, const struct invocation *inv, struct catalog_place at,
                         struct page *page, struct cairn_buf *to)
{
    struct cairn_buf items = {0};
    uint64_t count = 0, steps = 0;
    const struct type_entry *type;
    bool more = true;

    /* How much is told is counted in fields and methods. */
    for (; !page_full(page, steps, items.size) && (more = next_type(catalog, inv->space, &at, &type)); steps++) {
        if (!type)
            continue;
        answer_type(type, &items);
        steps += type->decl->field_count + type->decl->method_count;
        count++;
    }
    end_page(catalog, at, more, count, &items, to);
}

static void answer_page(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct catalog *catalog = deploy_committed(worker);
    struct catalog_place at;
    struct page page;

    page_begin(&page, worker);
    if (!read_place(catalog, inv, &at))
        set_error(inv, CAIRN_EINVAL, "that cursor is of no page of modules or types");
    else if (inv->op == CAIRN_OP_MODULES)
        answer_modules(catalog, inv, at, &page, &inv->result);
    else
        answer_types(catalog, inv, at, &page, &inv->result);
    inv->depends = catalog->record;
    invocation_move(inv, INV_OVER);
    invocation_finish(worker, inv);
}

/* On worker 0, which knows what is committed. */
static void receive_request(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;

    if (inv->op == CAIRN_OP_MODULES || inv->op == CAIRN_OP_TYPES) {
        message->receive = answer_page;
        worker_await_turn(worker, message);
        return;
    }
    deploy_request(worker, inv);
}

void catalog_request(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->request->peek) {
        cairn_value_add_nil(&inv->result);
        invocation_move(inv, INV_OVER);
        invocation_finish(worker, inv);
        return;
    }
    inv->message.receive = receive_request;
    worker_send(worker, 0, &inv->message);
}

/* --- opening --------------------------------------------------------------------------------------- */

enum cairn_code catalog_compile(struct cairn_fn *fn, struct cairn_disk *disk, struct cairn_bytes name,
                                const struct module_version *version, struct cairn_module **ret_module,
                                struct cairn_err *err)
{
    struct cairn_buf wasm = {0};
    char path[CAIRN_PATH_BYTES];
    uint8_t hash[CAIRN_SHA256_BYTES];
    enum cairn_code code;

    module_path(version->hash, path);
    code = cairn_disk_read_file(disk, path, 1 << 30, &wasm, err);
    if (code == CAIRN_OK) {
        cairn_sha256(cairn_buf_bytes(&wasm), hash);
        if (memcmp(hash, version->hash, sizeof hash) != 0)
            code = cairn_fail(
                err, CAIRN_ECORRUPT,
                "%s: the content is not what its name says; put the .wasm of module %.*s version %u back there", path,
                (int)name.size, (const char *)name.data, version->number);
        else
            code = cairn_module_compile(fn, cairn_buf_bytes(&wasm), ret_module, err);
    }
    cairn_buf_done(&wasm);
    return code == CAIRN_OK ? CAIRN_OK
                            : cairn_while(err, "loading version %u of module '%.*s'", version->number, (int)name.size,
                                          (const char *)name.data);
}

/* The hashes of the paths of all versions' files: one that is taken for another's only means that a file stays. */
struct sweeping {
    struct names wanted;
    struct cairn_disk *disk;
};

static void sweep_file(void *context, const char *name)
{
    struct sweeping *sweeping = context;
    char path[CAIRN_PATH_BYTES];
    uint32_t at = 0;

    snprintf(path, sizeof path, "%s/%.200s", modules_dir, name);
    if (names_next(&sweeping->wanted, cairn_hash(cairn_str(path)), &at) == NAMES_END)
        sweeping->disk->ops->remove(sweeping->disk, path, NULL); /* if it stays, it stays */
}

static void sweep(const struct catalog *catalog, struct cairn_disk *disk)
{
    struct sweeping sweeping = {.disk = disk};

    for (uint32_t i = 0; i < catalog->module_count; i++)
        for (uint32_t k = 0; k < catalog->modules[i]->version_count; k++) {
            char path[CAIRN_PATH_BYTES];
            module_path(catalog->modules[i]->versions[k].hash, path);
            names_add(&sweeping.wanted, cairn_hash(cairn_str(path)), 0);
        }
    disk->ops->list(disk, modules_dir, sweep_file, &sweeping, NULL);
    names_done(&sweeping.wanted);
}

/* All modules are compiled: their types are bound to the declarations. */
static enum cairn_code bind_all(struct catalog *catalog, struct cairn_err *err)
{
    for (uint32_t i = 0; i < catalog->module_count; i++) {
        struct module_entry *m = catalog->modules[i];

        for (size_t k = 0; k < m->module->type_count; k++) {
            const struct cairn_type_decl *decl = &m->module->types[k];
            struct type_entry *t = catalog_type(catalog, m->space, cairn_str(decl->name));
            if (!t || !cairn_bytes_equal(t->module_name, m->name))
                return cairn_fail(err, CAIRN_ECORRUPT, "the system shard's records have no type %s of module %.*s",
                                  decl->name, (int)m->name.size, (const char *)m->name.data);
            catalog_set_type(catalog, type_entry_make(t, t->fields, t->field_count, m->module, decl,
                                                      m->versions[m->current].number));
        }
    }
    for (uint32_t i = 0; i < catalog->type_count; i++) { /* those that are left have been dropped */
        struct type_entry *t = catalog->types[i];
        const struct module_entry *m = t->decl ? NULL : catalog_module(catalog, t->space, t->module_name);

        if (m)
            catalog_set_type(catalog, type_entry_make(t, t->fields, t->field_count, m->module, NULL,
                                                      m->versions[m->current].number));
    }
    return CAIRN_OK;
}

enum cairn_code catalog_open(struct cairn_node *node, struct cairn_err *err)
{
    struct loading loading = {.catalog = cairn_alloc_zeroed(1, sizeof *loading.catalog)};
    struct cairn_engine *engine = cairn_shard_engine(cairn_store_shard(node->options.store, node->shard_count));
    struct cairn_disk *disk = cairn_store_disk(node->options.store);
    struct catalog *catalog = loading.catalog;
    enum cairn_code code;

    atomic_init(&catalog->refs, 1);
    engine->ops->visit(engine, load_key, &loading);
    code = loading.bad ? cairn_fail(err, CAIRN_ECORRUPT, "the system shard's records of modules cannot be read")
                       : disk->ops->make_dir(disk, modules_dir, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    for (uint32_t i = 0; code == CAIRN_OK && i < catalog->module_count; i++)
        code = catalog_compile(node->options.fn, disk, catalog->modules[i]->name,
                               &catalog->modules[i]->versions[catalog->modules[i]->current],
                               &catalog->modules[i]->module, err);
    if (code == CAIRN_OK)
        code = bind_all(catalog, err);
    if (code == CAIRN_OK) {
        if (!cairn_store_versions(node->options.store, NULL, 0)) /* they may need what is not in use now */
            sweep(catalog, disk);
        for (uint32_t i = 0; i < node->options.workers; i++) {
            for (uint32_t k = 0; k < catalog->type_count; k++)
                types_set(&node->workers[i], catalog->types[k]);
            types_are_of(&node->workers[i], catalog);
        }
    }
    catalog_unref(catalog);
    return code;
}
