#include "admin/modules.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/admin_internal.h"
#include "admin/catalog.h"
#include "admin/page.h"
#include "history/history.h"
#include "object/durable.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/layout.h"

static const char modules_dir[] = CAIRN_STORE_MODULES_DIR;

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
    found = catalog_module_index(catalog, inv->space, cairn_bytes(cursor.data + 8, cursor.size - 8));
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
        if (m->space != inv->space)
            continue;
        answer_module(m, &items);
        count++;
    }
    end_page(catalog, at, at.module < catalog->module_count, count, &items, to);
}

/* Those that are declared, and what the namespace caps: [name, in force, set by, declared or 0] each. */
static void answer_limits(const struct cairn_node *node, const struct type_entry *type,
                          const struct cairn_method_decl *method, struct cairn_buf *to)
{
    struct cairn_buf items = {0};
    struct method_limits limits;
    uint64_t count = 0;

    method_limits_make(&limits, node, type->space, type->decl, method);
    for (int i = 0; i < CAIRN_METHOD_LIMITS; i++) {
        uint64_t declared = method->limits[i] ? method->limits[i] : type->decl->limits[i];

        if (!declared && limits.by[i] == LIMIT_BY_NODE)
            continue;
        count++;
        cairn_value_add_list(&items, 4);
        cairn_value_add_bytes(&items, cairn_str(cairn_method_limit_name((enum cairn_method_limit)i)));
        cairn_value_add_int(&items, (int64_t)limits.most[i]);
        cairn_value_add_bytes(&items, cairn_str(limit_by_name((enum limit_by)limits.by[i])));
        cairn_value_add_int(&items, (int64_t)declared);
    }
    cairn_value_add_list(to, count);
    cairn_buf_add(to, items.data, items.size);
    cairn_buf_done(&items);
}

static void answer_type(const struct cairn_node *node, const struct type_entry *type, struct cairn_buf *to)
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
        cairn_value_add_bytes(to, cairn_str(cairn_field_kind_name(decl->fields[i].kind)));
    }
    cairn_value_add_list(to, decl->method_count);
    for (size_t i = 0; i < decl->method_count; i++) {
        const struct cairn_method_decl *m = &decl->methods[i];
        cairn_value_add_list(to, 4);
        cairn_value_add_bytes(to, cairn_str(m->name));
        cairn_value_add_bytes(to, cairn_str(m->is_public ? "public" : "internal"));
        cairn_value_add_list(to, (uint64_t)m->read_only + m->deterministic + m->transaction + m->uncached + m->durable);
        if (m->read_only)
            cairn_value_add_bytes(to, cairn_str("read-only"));
        if (m->deterministic)
            cairn_value_add_bytes(to, cairn_str("deterministic"));
        if (m->transaction)
            cairn_value_add_bytes(to, cairn_str("transaction"));
        if (m->uncached)
            cairn_value_add_bytes(to, cairn_str("uncached"));
        if (m->durable)
            cairn_value_add_bytes(to, cairn_str("durable"));
        answer_limits(node, type, m, to);
    }
    cairn_value_add_int(to, type->dropped != NULL);
}

/* The type at that place, which goes on to the next.  False: there is none, and *ret_type is NULL at those that are
 * left out. */
static bool next_type(const struct catalog *catalog, const struct space *space, struct catalog_place *at,
                      const struct type_entry **ret_type)
{
    const struct module_entry *m;
    const struct type_entry *type;

    *ret_type = NULL;
    if (at->module >= catalog->module_count) {
        if (at->type >= catalog->type_count)
            return false;
        type = catalog->types[at->type++];
        if (type->dropped && type->space == space)
            *ret_type = type;
        return true;
    }
    m = catalog->modules[at->module];
    if (m->space != space || !m->module || at->type >= m->module->type_count) {
        *at = (struct catalog_place){at->module + 1, 0};
        return true;
    }
    *ret_type = catalog_type(catalog, space, cairn_str(m->module->types[at->type++].name));
    if (*ret_type && !(*ret_type)->decl)
        *ret_type = NULL;
    return true;
}

static void answer_types(const struct cairn_node *node, const struct catalog *catalog, const struct invocation *inv,
                         struct catalog_place at, struct page *page, struct cairn_buf *to)
{
    struct cairn_buf items = {0};
    uint64_t count = 0, steps = 0;
    const struct type_entry *type;
    bool more = true;

    /* How much is told is counted in fields and methods. */
    for (; !page_full(page, steps, items.size) && (more = next_type(catalog, inv->space, &at, &type)); steps++) {
        if (!type)
            continue;
        answer_type(node, type, &items);
        steps += type->decl->field_count + type->decl->method_count;
        count++;
    }
    end_page(catalog, at, more, count, &items, to);
}

static void answer_page(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    const struct catalog *catalog = deploy_committed(worker);
    struct catalog_place at;
    struct page page;

    page_begin(&page, worker);
    if (!read_place(catalog, inv, &at))
        set_error(inv, CAIRN_EINVAL, "that cursor is of no page of modules or types");
    else if (inv->operation == &modules_operation)
        answer_modules(catalog, inv, at, &page, &inv->result);
    else
        answer_types(worker->node, catalog, inv, at, &page, &inv->result);
    inv->depends = catalog->record;
    invocation_end(worker, inv);
}

/* On worker 0, which knows what is committed. */
static void await_page(struct cairn_worker *worker, struct message *message)
{
    message->receive = answer_page;
    worker_await_turn(worker, message);
}

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->request->peek) {
        cairn_value_add_nil(&inv->result);
        invocation_end(worker, inv);
        return;
    }
    submit_to_first(worker, inv);
}

const struct operation modules_operation = {
    .name = "modules", .submit = submit, .receive = await_page, .answer = hold_answer};

const struct operation types_operation = {
    .name = "types", .submit = submit, .receive = await_page, .answer = hold_answer};

/* --- opening --------------------------------------------------------------------------------------- */

struct loading {
    struct cairn_node *node;
    struct catalog *catalog;
    bool bad;
};

static void load_module(struct catalog *catalog, struct space *space, struct cairn_bytes name, struct cairn_reader *r)
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

static void load_type(struct catalog *catalog, struct space *space, struct cairn_bytes name, struct cairn_reader *r)
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
    struct space *space;

    if (kind == KEY_TYPE_NEXT) {
        loading->catalog->type_next = (uint32_t)cairn_read_varint(&v);
    } else if (kind == KEY_SPACE) {
        space = spaces_load(loading->node, cairn_bytes(k.at, cairn_reader_left(&k)));
        loading->bad |= !spaces_load_value(loading->node, space, value);
    } else if (kind == KEY_MODULE || kind == KEY_TYPE) {
        space = spaces_load(loading->node, cairn_read_sized(&k));
        (kind == KEY_MODULE ? load_module : load_type)(loading->catalog, space,
                                                       cairn_bytes(k.at, cairn_reader_left(&k)), &v);
    }
    loading->bad |= k.bad || v.bad;
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

static void keep_file(void *context, const uint8_t hash[CAIRN_SHA256_BYTES])
{
    struct sweeping *sweeping = context;
    char path[CAIRN_PATH_BYTES];

    module_path(hash, path);
    names_add(&sweeping->wanted, cairn_hash(cairn_str(path)), 0);
}

static void sweep(struct cairn_node *node, const struct catalog *catalog, struct cairn_disk *disk)
{
    struct sweeping sweeping = {.disk = disk};

    for (uint32_t i = 0; i < catalog->module_count; i++)
        for (uint32_t k = 0; k < catalog->modules[i]->version_count; k++)
            keep_file(&sweeping, catalog->modules[i]->versions[k].hash);
    if (durable_visit_modules(node, keep_file, &sweeping, NULL) == CAIRN_OK)
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

enum cairn_code modules_open(struct cairn_node *node, struct cairn_err *err)
{
    struct loading loading = {.node = node, .catalog = cairn_alloc_zeroed(1, sizeof *loading.catalog)};
    struct cairn_view *engine = cairn_shard_view(cairn_store_shard(node->options.store, node->shard_count));
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
            sweep(node, catalog, disk);
        for (uint32_t i = 0; i < node->options.workers; i++) {
            for (uint32_t k = 0; k < catalog->type_count; k++)
                types_set(&node->workers[i], catalog->types[k]);
            deploy_catalog_set(&node->workers[i], catalog);
        }
    }
    catalog_unref(catalog);
    return code;
}

enum cairn_code modules_type_version(struct cairn_node *node, const struct space *space, struct cairn_bytes type,
                                     const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t version,
                                     struct type_entry **ret_entry, struct cairn_err *err)
{
    const struct catalog *catalog = deploy_committed(&node->workers[0]);
    const struct type_entry *current = catalog_type(catalog, space, type);
    struct module_version wanted = {.number = version};
    struct cairn_module *module;
    enum cairn_code code;

    if (!current)
        return cairn_fail(err, CAIRN_ECORRUPT, "there is no type %.*s, of which a durable invocation is open",
                          (int)type.size, (const char *)type.data);
    memcpy(wanted.hash, hash, sizeof wanted.hash);
    code = catalog_compile(node->options.fn, cairn_store_disk(node->options.store), current->module_name, &wanted,
                           &module, err);
    if (code != CAIRN_OK)
        return code;
    code = cairn_fail(err, CAIRN_ECORRUPT,
                      "version %u of module '%.*s' has no type %.*s, of which a durable invocation is open", version,
                      (int)current->module_name.size, (const char *)current->module_name.data, (int)type.size,
                      (const char *)type.data);
    for (size_t i = 0; i < module->type_count && code != CAIRN_OK; i++)
        if (cairn_bytes_equal(cairn_str(module->types[i].name), type)) {
            code = CAIRN_OK;
            *ret_entry =
                type_entry_make(current, current->fields, current->field_count, module, &module->types[i], version);
        }
    cairn_module_unref(module);
    return code;
}
