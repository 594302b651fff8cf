#include "admin/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "object/layout.h"

/* --- entries ------------------------------------------------------------------------------------- */

static struct cairn_bytes keep(uint8_t **at, struct cairn_bytes bytes)
{
    struct cairn_bytes kept = cairn_bytes(*at, bytes.size);

    if (bytes.size)
        memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return kept;
}

struct module_entry *module_entry_make(struct space *space, struct cairn_bytes name)
{
    struct module_entry *m = cairn_alloc_zeroed(1, sizeof *m + name.size);
    uint8_t *text = (uint8_t *)(m + 1);

    atomic_init(&m->refs, 1);
    m->space = space;
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

uint32_t catalog_module_index(const struct catalog *catalog, const struct space *space, struct cairn_bytes name)
{
    uint32_t at = 0, i;

    while ((i = names_next(&catalog->module_names, space_name_hash(space, name), &at)) != NAMES_END)
        if (catalog->modules[i]->space == space && cairn_bytes_equal(catalog->modules[i]->name, name))
            break;
    return i;
}

static uint32_t find_type(const struct catalog *catalog, const struct space *space, struct cairn_bytes name)
{
    uint32_t at = 0, i;

    while ((i = names_next(&catalog->type_names, space_name_hash(space, name), &at)) != NAMES_END)
        if (catalog->types[i]->space == space && cairn_bytes_equal(catalog->types[i]->name, name))
            break;
    return i;
}

struct module_entry *catalog_module(const struct catalog *catalog, const struct space *space, struct cairn_bytes name)
{
    uint32_t i = catalog_module_index(catalog, space, name);

    return i == NAMES_END ? NULL : catalog->modules[i];
}

struct module_entry *catalog_module_in(const struct catalog *catalog, const struct space *space)
{
    for (uint32_t i = 0; i < catalog->module_count; i++)
        if (catalog->modules[i]->space == space)
            return catalog->modules[i];
    return NULL;
}

uint32_t catalog_module_count(const struct catalog *catalog, const struct space *space)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < catalog->module_count; i++)
        count += catalog->modules[i]->space == space;
    return count;
}

struct type_entry *catalog_type(const struct catalog *catalog, const struct space *space, struct cairn_bytes name)
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
    uint32_t i = catalog_module_index(catalog, m->space, m->name);

    if (i != NAMES_END) {
        module_entry_unref(catalog->modules[i]);
        catalog->modules[i] = m;
        return;
    }
    catalog->modules = more(catalog->modules, catalog->module_count, sizeof *catalog->modules);
    names_add(&catalog->module_names, space_name_hash(m->space, m->name), catalog->module_count);
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
    names_add(&catalog->type_names, space_name_hash(t->space, t->name), catalog->type_count);
    catalog->types[catalog->type_count++] = t;
}

void catalog_remove_type(struct catalog *catalog, const struct space *space, struct cairn_bytes name)
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
        names_add(&catalog->type_names, space_name_hash(catalog->types[i]->space, catalog->types[i]->name), i);
}

/* What stays is numbered anew. */
static void keep_others(struct catalog *catalog, bool (*goes)(const struct space *of, const struct space *space),
                        const struct space *space, const struct cairn_bytes *module)
{
    uint32_t modules = catalog->module_count, types = catalog->type_count;

    names_done(&catalog->module_names);
    names_done(&catalog->type_names);
    catalog->module_count = catalog->type_count = 0;
    for (uint32_t i = 0; i < modules; i++) {
        struct module_entry *m = catalog->modules[i];
        if (goes(m->space, space) && (!module || cairn_bytes_equal(m->name, *module))) {
            module_entry_unref(m);
            continue;
        }
        names_add(&catalog->module_names, space_name_hash(m->space, m->name), catalog->module_count);
        catalog->modules[catalog->module_count++] = m;
    }
    for (uint32_t i = 0; i < types; i++) {
        struct type_entry *t = catalog->types[i];
        if (goes(t->space, space) && (!module || cairn_bytes_equal(t->module_name, *module))) {
            type_entry_unref(t);
            continue;
        }
        names_add(&catalog->type_names, space_name_hash(t->space, t->name), catalog->type_count);
        catalog->types[catalog->type_count++] = t;
    }
    /* As `more` wants it. */
    if (catalog->module_count)
        catalog->modules = cairn_realloc(catalog->modules, 2 * (size_t)modules * sizeof *catalog->modules);
    if (catalog->type_count)
        catalog->types = cairn_realloc(catalog->types, 2 * (size_t)types * sizeof *catalog->types);
}

static bool is_same(const struct space *of, const struct space *space)
{
    return of == space;
}

static bool is_paid_by(const struct space *of, const struct space *space)
{
    return space_payer(of) == space;
}

void catalog_remove(struct catalog *catalog, const struct space *space, struct cairn_bytes name)
{
    keep_others(catalog, is_same, space, &name);
}

void catalog_remove_space(struct catalog *catalog, const struct space *space)
{
    keep_others(catalog, is_paid_by, space, NULL);
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
    snprintf(to, CAIRN_PATH_BYTES, "%s/%s.wasm", CAIRN_STORE_MODULES_DIR, name);
}

/* --- in the system shard ----------------------------------------------------------------------- */

void catalog_key(struct cairn_buf *to, uint8_t kind, const struct space *space, struct cairn_bytes name)
{
    to->size = 0;
    cairn_buf_u8(to, kind);
    cairn_buf_varint(to, space->name.size);
    cairn_buf_add(to, space->name.data, space->name.size);
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

/* --- module files --- */

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
