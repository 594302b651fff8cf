#include "object/catalog_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char modules_dir[] = CAIRN_STORE_MODULES_DIR;

struct cairn_bytes bytes_keep(struct cairn_bytes bytes)
{
    return cairn_bytes(cairn_bytes_dup(bytes), bytes.size);
}

void bytes_forget(struct cairn_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static void *keep_array(const void *from, size_t count, size_t size)
{
    void *to = cairn_alloc((count + 1) * size); /* room for one more */

    if (count)
        memcpy(to, from, count * size);
    return to;
}

struct catalog *catalog_ref(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->refs, 1, memory_order_relaxed);
    return catalog;
}

void module_entry_done(struct module_entry *m)
{
    bytes_forget(m->space);
    bytes_forget(m->name);
    free(m->versions);
    cairn_module_unref(m->module);
}

void type_entry_done(struct type_entry *t)
{
    bytes_forget(t->space);
    bytes_forget(t->name);
    bytes_forget(t->module);
    for (uint32_t k = 0; k < t->field_count; k++)
        bytes_forget(t->fields[k].name);
    free(t->fields);
}

void catalog_unref(struct catalog *catalog)
{
    if (!catalog || atomic_fetch_sub_explicit(&catalog->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < catalog->module_count; i++)
        module_entry_done(&catalog->modules[i]);
    for (uint32_t i = 0; i < catalog->type_count; i++)
        type_entry_done(&catalog->types[i]);
    free(catalog->modules);
    free(catalog->types);
    free(catalog);
}

/* A copy that may be changed; every array has room for one more entry. */
struct catalog *catalog_copy(const struct catalog *from)
{
    struct catalog *to = cairn_alloc_zeroed(1, sizeof *to);

    atomic_init(&to->refs, 1);
    to->end = from->end;
    to->type_next = from->type_next;
    to->modules = keep_array(from->modules, from->module_count, sizeof *to->modules);
    to->module_count = from->module_count;
    for (uint32_t i = 0; i < to->module_count; i++) {
        struct module_entry *m = &to->modules[i];
        m->space = bytes_keep(m->space);
        m->name = bytes_keep(m->name);
        m->versions = keep_array(m->versions, m->version_count, sizeof *m->versions);
        m->module = cairn_module_ref(m->module);
    }
    to->types = cairn_alloc((from->type_count + CAIRN_MODULE_TYPES_MAX) * sizeof *to->types);
    if (from->type_count)
        memcpy(to->types, from->types, from->type_count * sizeof *to->types);
    to->type_count = from->type_count;
    for (uint32_t i = 0; i < to->type_count; i++) {
        struct type_entry *t = &to->types[i];
        t->space = bytes_keep(t->space);
        t->name = bytes_keep(t->name);
        t->module = bytes_keep(t->module);
        t->fields = keep_array(t->fields, t->field_count, sizeof *t->fields);
        for (uint32_t k = 0; k < t->field_count; k++)
            t->fields[k].name = bytes_keep(t->fields[k].name);
    }
    return to;
}

struct module_entry *catalog_module(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    for (uint32_t i = 0; i < catalog->module_count; i++)
        if (cairn_bytes_equal(catalog->modules[i].space, space) && cairn_bytes_equal(catalog->modules[i].name, name))
            return &catalog->modules[i];
    return NULL;
}

struct type_entry *catalog_type(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    for (uint32_t i = 0; i < catalog->type_count; i++)
        if (cairn_bytes_equal(catalog->types[i].space, space) && cairn_bytes_equal(catalog->types[i].name, name))
            return &catalog->types[i];
    return NULL;
}

struct bound_field *catalog_field(const struct type_entry *type, struct cairn_bytes name)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (cairn_bytes_equal(type->fields[i].name, name))
            return &type->fields[i];
    return NULL;
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
    cairn_buf_varint(&value, t->module.size);
    cairn_buf_add(&value, t->module.data, t->module.size);
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
    struct module_entry m = {.space = bytes_keep(space), .name = bytes_keep(name)};

    m.version_last = (uint32_t)cairn_read_varint(r);
    m.current = (uint32_t)cairn_read_varint(r);
    m.version_count = (uint32_t)cairn_read_varint(r);
    if (m.version_count > 2 * VERSIONS_KEPT || m.current >= m.version_count) {
        r->bad = true;
        m.version_count = 0;
    }
    m.versions = cairn_alloc_zeroed(m.version_count + 1, sizeof *m.versions);
    for (uint32_t i = 0; i < m.version_count; i++) {
        struct cairn_bytes hash;
        m.versions[i].number = (uint32_t)cairn_read_varint(r);
        hash = cairn_read_bytes(r, CAIRN_SHA256_BYTES);
        if (hash.size)
            memcpy(m.versions[i].hash, hash.data, hash.size);
        m.versions[i].deployed_ms = cairn_read_varint(r);
        m.versions[i].bytes = cairn_read_varint(r);
    }
    catalog->modules = cairn_realloc(catalog->modules, (catalog->module_count + 1) * sizeof *catalog->modules);
    catalog->modules[catalog->module_count++] = m;
}

static void load_type(struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name,
                      struct cairn_reader *r)
{
    struct type_entry t = {.space = bytes_keep(space), .name = bytes_keep(name)};

    t.number = (uint32_t)cairn_read_varint(r);
    t.module = bytes_keep(cairn_read_sized(r));
    t.field_count = (uint32_t)cairn_read_varint(r);
    if (t.field_count > CAIRN_FIELD_NUMBER_MAX + 1) {
        r->bad = true;
        t.field_count = 0;
    }
    t.fields = cairn_alloc_zeroed(t.field_count + 1, sizeof *t.fields);
    for (uint32_t i = 0; i < t.field_count; i++) {
        t.fields[i].name = bytes_keep(cairn_read_sized(r));
        t.fields[i].kind = (enum cairn_field_kind)cairn_read_u8(r);
        t.fields[i].number = (uint32_t)cairn_read_varint(r);
    }
    catalog->types = cairn_realloc(catalog->types, (catalog->type_count + 1) * sizeof *catalog->types);
    catalog->types[catalog->type_count++] = t;
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

static void answer_modules(const struct catalog *catalog, struct cairn_bytes space, struct cairn_buf *to)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < catalog->module_count; i++)
        count += cairn_bytes_equal(catalog->modules[i].space, space);
    cairn_value_add_list(to, count);
    for (uint32_t i = 0; i < catalog->module_count; i++) {
        const struct module_entry *m = &catalog->modules[i];
        char name[2 * CAIRN_SHA256_BYTES + 1];
        if (!cairn_bytes_equal(m->space, space))
            continue;
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
}

static const char *kind_name(enum cairn_field_kind kind)
{
    return kind == CAIRN_FIELD_VALUE ? "value" : kind == CAIRN_FIELD_LIST ? "list" : "map";
}

static void answer_type(const struct type *type, struct cairn_buf *to)
{
    const struct cairn_type_decl *decl = type->decl;

    cairn_value_add_list(to, 5);
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
}

static void answer_types(struct cairn_worker *worker, const struct catalog *catalog, struct cairn_bytes space,
                         struct cairn_buf *to)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < catalog->type_count; i++)
        count += cairn_bytes_equal(catalog->types[i].space, space) && type_find(worker, space, catalog->types[i].name);
    cairn_value_add_list(to, count);
    for (uint32_t i = 0; i < catalog->type_count; i++) {
        const struct type *type = type_find(worker, space, catalog->types[i].name);
        if (type && cairn_bytes_equal(catalog->types[i].space, space))
            answer_type(type, to);
    }
}

/* On worker 0, which knows what is committed. */
static void receive_request(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;

    if (inv->op == CAIRN_OP_MODULES || inv->op == CAIRN_OP_TYPES) {
        struct catalog *catalog = deploy_committed(worker);
        if (inv->op == CAIRN_OP_MODULES)
            answer_modules(catalog, inv->space, &inv->result);
        else
            answer_types(worker, catalog, inv->space, &inv->result);
        inv->depends = catalog->end;
        invocation_move(inv, INV_OVER);
        invocation_finish(worker, inv);
        return;
    }
    deploy_request(worker, inv);
}

void catalog_request(struct cairn_worker *worker, struct invocation *inv)
{
    inv->message.receive = receive_request;
    worker_send(worker, 0, &inv->message);
}

/* --- opening --------------------------------------------------------------------------------------- */

static enum cairn_code compile_current(struct cairn_node *node, struct module_entry *m, struct cairn_err *err)
{
    struct cairn_buf wasm = {0};
    char path[CAIRN_PATH_BYTES];
    uint8_t hash[CAIRN_SHA256_BYTES];
    enum cairn_code code;

    module_path(m->versions[m->current].hash, path);
    code = cairn_disk_read_file(cairn_store_disk(node->options.store), path, 1 << 30, &wasm, err);
    if (code == CAIRN_OK) {
        cairn_sha256(cairn_buf_bytes(&wasm), hash);
        if (memcmp(hash, m->versions[m->current].hash, sizeof hash) != 0)
            code = cairn_fail(
                err, CAIRN_ECORRUPT,
                "%s: the content is not what its name says; put the .wasm of module %.*s version %u back there", path,
                (int)m->name.size, (const char *)m->name.data, m->versions[m->current].number);
        else
            code = cairn_module_compile(node->options.fn, cairn_buf_bytes(&wasm), &m->module, err);
    }
    cairn_buf_done(&wasm);
    return code == CAIRN_OK ? CAIRN_OK
                            : cairn_while(err, "loading module '%.*s'", (int)m->name.size, (const char *)m->name.data);
}

struct sweeping {
    struct catalog *catalog;
    struct cairn_disk *disk;
};

static void sweep_file(void *context, const char *name)
{
    struct sweeping *sweeping = context;
    char path[CAIRN_PATH_BYTES], wanted[CAIRN_PATH_BYTES];

    snprintf(path, sizeof path, "%s/%.200s", modules_dir, name);
    for (uint32_t i = 0; i < sweeping->catalog->module_count; i++)
        for (uint32_t k = 0; k < sweeping->catalog->modules[i].version_count; k++) {
            module_path(sweeping->catalog->modules[i].versions[k].hash, wanted);
            if (strcmp(path, wanted) == 0)
                return;
        }
    sweeping->disk->ops->remove(sweeping->disk, path, NULL); /* if it stays, it stays */
}

enum cairn_code catalog_open(struct cairn_node *node, struct cairn_err *err)
{
    struct loading loading = {.catalog = cairn_alloc_zeroed(1, sizeof *loading.catalog)};
    struct cairn_engine *engine = cairn_shard_engine(cairn_store_shard(node->options.store, node->shard_count));
    struct cairn_disk *disk = cairn_store_disk(node->options.store);
    struct sweeping sweeping = {loading.catalog, disk};
    enum cairn_code code;

    atomic_init(&loading.catalog->refs, 1);
    engine->ops->visit(engine, load_key, &loading);
    code = loading.bad ? cairn_fail(err, CAIRN_ECORRUPT, "the system shard's records of modules cannot be read")
                       : disk->ops->make_dir(disk, modules_dir, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    for (uint32_t i = 0; code == CAIRN_OK && i < loading.catalog->module_count; i++)
        code = compile_current(node, &loading.catalog->modules[i], err);
    if (code == CAIRN_OK) {
        if (!cairn_store_versions(node->options.store, NULL, 0)) /* they may need what is not in use now */
            disk->ops->list(disk, modules_dir, sweep_file, &sweeping, NULL);
        for (uint32_t i = 0; i < node->options.workers; i++)
            types_from(&node->workers[i], loading.catalog);
    }
    catalog_unref(loading.catalog);
    return code;
}
