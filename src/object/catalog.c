#include "object/catalog.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "object/directory.h"

enum { VERSIONS_KEPT = 32, MODULES_MAX = 10000 };
static const char modules_dir[] = "modules";

/* --- the catalog ------------------------------------------------------------------------------ */

struct module_version {
    uint32_t number;
    uint8_t hash[CAIRN_SHA256_BYTES];
    uint64_t deployed_ms, bytes;
};

struct module_entry {
    struct cairn_bytes space, name;
    struct module_version *versions; /* oldest first */
    uint32_t version_count, current; /* index */
    uint32_t version_last;           /* number given out last */
    struct cairn_module *module;     /* of the current version; the entry's own reference */
};

struct bound_field {
    struct cairn_bytes name;
    enum cairn_field_kind kind;
    uint32_t number;
};

struct type_entry {
    struct cairn_bytes space, name, module;
    uint32_t number;
    struct bound_field *fields; /* every field it ever declared */
    uint32_t field_count;
};

struct catalog {
    atomic_uint refs;
    uint64_t end; /* log end of the record that made it */
    uint32_t type_next;
    struct module_entry *modules;
    uint32_t module_count;
    struct type_entry *types;
    uint32_t type_count;
};

static struct cairn_bytes keep(struct cairn_bytes bytes)
{
    return cairn_bytes(cairn_bytes_dup(bytes), bytes.size);
}

static void forget(struct cairn_bytes bytes)
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

static struct catalog *catalog_ref(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->refs, 1, memory_order_relaxed);
    return catalog;
}

static void module_entry_done(struct module_entry *m)
{
    forget(m->space);
    forget(m->name);
    free(m->versions);
    cairn_module_unref(m->module);
}

static void type_entry_done(struct type_entry *t)
{
    forget(t->space);
    forget(t->name);
    forget(t->module);
    for (uint32_t k = 0; k < t->field_count; k++)
        forget(t->fields[k].name);
    free(t->fields);
}

static void catalog_unref(struct catalog *catalog)
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
static struct catalog *catalog_copy(const struct catalog *from)
{
    struct catalog *to = cairn_alloc_zeroed(1, sizeof *to);

    atomic_init(&to->refs, 1);
    to->end = from->end;
    to->type_next = from->type_next;
    to->modules = keep_array(from->modules, from->module_count, sizeof *to->modules);
    to->module_count = from->module_count;
    for (uint32_t i = 0; i < to->module_count; i++) {
        struct module_entry *m = &to->modules[i];
        m->space = keep(m->space);
        m->name = keep(m->name);
        m->versions = keep_array(m->versions, m->version_count, sizeof *m->versions);
        m->module = cairn_module_ref(m->module);
    }
    to->types = cairn_alloc((from->type_count + CAIRN_MODULE_TYPES_MAX) * sizeof *to->types);
    if (from->type_count)
        memcpy(to->types, from->types, from->type_count * sizeof *to->types);
    to->type_count = from->type_count;
    for (uint32_t i = 0; i < to->type_count; i++) {
        struct type_entry *t = &to->types[i];
        t->space = keep(t->space);
        t->name = keep(t->name);
        t->module = keep(t->module);
        t->fields = keep_array(t->fields, t->field_count, sizeof *t->fields);
        for (uint32_t k = 0; k < t->field_count; k++)
            t->fields[k].name = keep(t->fields[k].name);
    }
    return to;
}

static struct module_entry *find_module(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    for (uint32_t i = 0; i < catalog->module_count; i++)
        if (cairn_bytes_equal(catalog->modules[i].space, space) && cairn_bytes_equal(catalog->modules[i].name, name))
            return &catalog->modules[i];
    return NULL;
}

static struct type_entry *find_type(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name)
{
    for (uint32_t i = 0; i < catalog->type_count; i++)
        if (cairn_bytes_equal(catalog->types[i].space, space) && cairn_bytes_equal(catalog->types[i].name, name))
            return &catalog->types[i];
    return NULL;
}

static struct bound_field *find_field(const struct type_entry *type, struct cairn_bytes name)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (cairn_bytes_equal(type->fields[i].name, name))
            return &type->fields[i];
    return NULL;
}

static void hex(const uint8_t hash[CAIRN_SHA256_BYTES], char to[2 * CAIRN_SHA256_BYTES + 1])
{
    for (int i = 0; i < CAIRN_SHA256_BYTES; i++)
        snprintf(to + 2 * i, 3, "%02x", hash[i]);
}

static void module_path(const uint8_t hash[CAIRN_SHA256_BYTES], char to[CAIRN_PATH_BYTES])
{
    char name[2 * CAIRN_SHA256_BYTES + 1];

    hex(hash, name);
    snprintf(to, CAIRN_PATH_BYTES, "%s/%s.wasm", modules_dir, name);
}

/* --- in the system shard ----------------------------------------------------------------------- */

static void named_key(struct cairn_buf *to, uint8_t kind, struct cairn_bytes space, struct cairn_bytes name)
{
    to->size = 0;
    cairn_buf_u8(to, kind);
    cairn_buf_varint(to, space.size);
    cairn_buf_add(to, space.data, space.size);
    cairn_buf_add(to, name.data, name.size);
}

static void put_module(struct overlay *overlay, const struct module_entry *m)
{
    struct cairn_buf key = {0}, value = {0};

    named_key(&key, KEY_MODULE, m->space, m->name);
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

static void put_type(struct overlay *overlay, const struct type_entry *t)
{
    struct cairn_buf key = {0}, value = {0};

    named_key(&key, KEY_TYPE, t->space, t->name);
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

static void put_type_next(struct overlay *overlay, uint32_t next)
{
    uint8_t key = KEY_TYPE_NEXT, value[CAIRN_VARINT_BYTES_MAX];

    overlay_put(overlay, cairn_bytes(&key, 1), cairn_bytes(value, cairn_put_varint(value, next)));
}

struct loading {
    struct catalog *catalog;
    bool bad;
};

static void load_module(struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name, struct cairn_reader *r)
{
    struct module_entry m = {.space = keep(space), .name = keep(name)};

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

static void load_type(struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name, struct cairn_reader *r)
{
    struct type_entry t = {.space = keep(space), .name = keep(name)};

    t.number = (uint32_t)cairn_read_varint(r);
    t.module = keep(cairn_read_sized(r));
    t.field_count = (uint32_t)cairn_read_varint(r);
    if (t.field_count > CAIRN_FIELD_NUMBER_MAX + 1) {
        r->bad = true;
        t.field_count = 0;
    }
    t.fields = cairn_alloc_zeroed(t.field_count + 1, sizeof *t.fields);
    for (uint32_t i = 0; i < t.field_count; i++) {
        t.fields[i].name = keep(cairn_read_sized(r));
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
        (kind == KEY_MODULE ? load_module : load_type)(loading->catalog, space, cairn_bytes(k.at, cairn_reader_left(&k)), &v);
    }
    loading->bad |= k.bad || v.bad;
}

/* --- a worker's types --------------------------------------------------------------------------- */

static void type_free(struct type *type)
{
    forget(type->space);
    forget(type->name);
    free(type->fields);
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
    type->space = keep(entry->space);
    type->name = keep(entry->name);
    type->number = entry->number;
    type->version = version;
    type->module = cairn_module_ref(module);
    type->decl = decl;
    for (size_t i = 0; i < decl->field_count; i++)
        if (decl->fields[i].number >= type->field_end)
            type->field_end = decl->fields[i].number + 1;
    type->fields = cairn_alloc_zeroed(type->field_end + 1, sizeof *type->fields);
    for (size_t i = 0; i < decl->field_count; i++) {
        const struct bound_field *bound = find_field(entry, cairn_str(decl->fields[i].name));
        assert(bound && bound->kind == decl->fields[i].kind);
        type->fields[decl->fields[i].number] = (struct type_field){bound->number, bound->kind};
    }
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
static void types_from(struct cairn_worker *worker, struct catalog *catalog)
{
    uint32_t size = 16;
    struct type **types;

    while (size < 2 * catalog->type_count)
        size *= 2;
    types = cairn_alloc_zeroed(size, sizeof *types);
    for (uint32_t i = 0; i < catalog->type_count; i++) {
        const struct type_entry *entry = &catalog->types[i];
        struct module_entry *m = find_module(catalog, entry->space, entry->module);
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

/* --- deploying ---------------------------------------------------------------------------------- */

/* One DEPLOY or UNDEPLOY on its way; worker 0 has one under way at a time. */
struct deploy {
    struct message message; /* first */
    struct cairn_task task;
    struct deploy *next;
    struct cairn_node *node;
    struct invocation *inv;
    struct cairn_module *module;
    enum cairn_code code;
    struct cairn_err err;
    struct catalog *catalog; /* the one being sent around */
    struct catalog *before;  /* UNDEPLOY: until it is decided */
    uint32_t left;           /* workers that have not taken it */
    atomic_bool in_use;      /* UNDEPLOY: some worker has objects of its types */
    struct spread *spreads;
};

/* A catalog on its way to one worker and back. */
struct spread {
    struct message message; /* first */
    struct deploy *deploy;
};

static void deploy_start(struct cairn_worker *worker, struct deploy *deploy);

static void deploy_free(struct deploy *deploy)
{
    catalog_unref(deploy->catalog);
    catalog_unref(deploy->before);
    cairn_module_unref(deploy->module);
    free(deploy->spreads);
    free(deploy);
}

void deploys_drop(struct cairn_worker *worker)
{
    while (worker->node->deploys) {
        struct deploy *deploy = worker->node->deploys;
        worker->node->deploys = deploy->next;
        invocation_free(worker, deploy->inv);
        deploy_free(deploy);
    }
}

static void deploy_over(struct cairn_worker *worker, struct deploy *deploy)
{
    struct invocation *inv = deploy->inv;

    assert(worker->node->deploys == deploy);
    worker->node->deploys = deploy->next;
    if (deploy->code != CAIRN_OK)
        set_error(inv, deploy->code, deploy->err.text);
    deploy_free(deploy);
    invocation_move(inv, INV_OVER);
    invocation_finish(worker, inv);
    if (worker->node->deploys)
        deploy_start(worker, worker->node->deploys);
}

static void take_catalog(struct cairn_worker *worker, struct message *message);

static void spread_catalog(struct cairn_worker *worker, struct deploy *deploy, struct catalog *catalog)
{
    uint32_t workers = worker->node->options.workers;

    catalog_unref(deploy->catalog);
    deploy->catalog = catalog;
    deploy->left = workers;
    if (!deploy->spreads)
        deploy->spreads = cairn_alloc_zeroed(workers, sizeof *deploy->spreads);
    for (uint32_t i = 0; i < workers; i++) {
        deploy->spreads[i].deploy = deploy;
        deploy->spreads[i].message.kind = MSG_CATALOG;
        deploy->spreads[i].message.receive = take_catalog;
        worker_send(worker, i, &deploy->spreads[i].message);
    }
}

static void catalog_taken(struct cairn_worker *worker, struct message *message);

/* True if the worker has objects of the module's types, or invocations under way on them. */
static bool has_objects(struct cairn_worker *worker, const struct catalog *catalog, const struct deploy *deploy)
{
    for (uint32_t i = 0; i < catalog->type_count; i++) {
        const struct type_entry *t = &catalog->types[i];
        if (!cairn_bytes_equal(t->module, deploy->inv->request->name) || !cairn_bytes_equal(t->space, deploy->inv->space))
            continue;
        if (objects_in_use(worker, t->number))
            return true;
        for (uint32_t s = 0; s < worker->node->shard_count; s++) {
            struct overlay overlay = {0};
            bool empty;
            if (!worker->shards[s].shard)
                continue;
            overlay_reset(&overlay, worker->shards[s].engine);
            empty = directory_empty(&overlay, t->number);
            overlay_done(&overlay);
            if (!empty)
                return true;
        }
    }
    return false;
}

static void take_catalog(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = ((struct spread *)message)->deploy;

    if (deploy->inv->op == CAIRN_OP_UNDEPLOY && worker->catalog && has_objects(worker, worker->catalog, deploy))
        atomic_store(&deploy->in_use, true);
    types_from(worker, deploy->catalog);
    message->receive = catalog_taken;
    worker_send(worker, 0, message);
}

static uint32_t new_type_number(struct catalog *catalog)
{
    if (catalog->type_next == 0)
        catalog->type_next = 1;
    return catalog->type_next++;
}

/* Adds the module's types and fields to the catalog, or says what clashes. */
static enum cairn_code bind_types(struct catalog *catalog, struct cairn_bytes space, const struct cairn_module *module,
                                  struct overlay *overlay, struct cairn_err *err)
{
    for (size_t i = 0; i < module->type_count; i++) {
        const struct cairn_type_decl *decl = &module->types[i];
        struct type_entry *type = find_type(catalog, space, cairn_str(decl->name));

        if (type && !cairn_bytes_equal(type->module, cairn_str(module->name)))
            return cairn_fail(err, CAIRN_ECONFLICT, "type %s belongs to module %.*s already", decl->name,
                              (int)type->module.size, (const char *)type->module.data);
        if (!type) {
            type = &catalog->types[catalog->type_count++];
            *type = (struct type_entry){.space = keep(space),
                                        .name = keep(cairn_str(decl->name)),
                                        .module = keep(cairn_str(module->name)),
                                        .number = new_type_number(catalog)};
        }
        for (size_t k = 0; k < decl->field_count; k++) {
            struct bound_field *field = find_field(type, cairn_str(decl->fields[k].name));
            if (field && field->kind != decl->fields[k].kind)
                return cairn_fail(err, CAIRN_ECONFLICT,
                                  "field %s of type %s was declared as another kind before, and a field's kind is for "
                                  "good; give the new field a new name",
                                  decl->fields[k].name, decl->name);
            if (field)
                continue;
            if (type->field_count > CAIRN_FIELD_NUMBER_MAX)
                return cairn_fail(err, CAIRN_ELIMIT, "type %s has declared more than %d fields over its versions",
                                  decl->name, CAIRN_FIELD_NUMBER_MAX + 1);
            type->fields = cairn_realloc(type->fields, (type->field_count + 1) * sizeof *type->fields);
            type->fields[type->field_count] = (struct bound_field){.name = keep(cairn_str(decl->fields[k].name)),
                                                                   .kind = decl->fields[k].kind,
                                                                   .number = type->field_count};
            type->field_count++;
        }
        put_type(overlay, type);
    }
    put_type_next(overlay, catalog->type_next);
    return CAIRN_OK;
}

/* Makes the module's version current; *ret_created unless an earlier version came back. */
static struct module_entry *bind_module(struct catalog *catalog, struct cairn_bytes space, struct cairn_module *module,
                                        uint64_t now_ms, bool *ret_created)
{
    struct module_entry *m = find_module(catalog, space, cairn_str(module->name));

    if (!m) {
        m = &catalog->modules[catalog->module_count++];
        *m = (struct module_entry){.space = keep(space), .name = keep(cairn_str(module->name)),
                                   .versions = cairn_alloc_zeroed(1, sizeof *m->versions)};
    }
    cairn_module_unref(m->module);
    m->module = cairn_module_ref(module);
    for (uint32_t i = 0; i < m->version_count; i++)
        if (memcmp(m->versions[i].hash, module->hash, CAIRN_SHA256_BYTES) == 0) {
            *ret_created = false;
            m->current = i;
            return m;
        }
    *ret_created = true;
    if (m->version_count == VERSIONS_KEPT) { /* the oldest that is not current is forgotten */
        uint32_t at = m->current == 0 ? 1 : 0;
        m->version_count--;
        memmove(m->versions + at, m->versions + at + 1, (m->version_count - at) * sizeof *m->versions);
    }
    m->versions = cairn_realloc(m->versions, (m->version_count + 1) * sizeof *m->versions);
    m->current = m->version_count++;
    m->versions[m->current] =
        (struct module_version){.number = ++m->version_last, .deployed_ms = now_ms, .bytes = module->wasm_bytes};
    memcpy(m->versions[m->current].hash, module->hash, CAIRN_SHA256_BYTES);
    return m;
}

static void answer_deploy(struct deploy *deploy, const struct module_entry *m, bool created)
{
    char name[2 * CAIRN_SHA256_BYTES + 1];
    struct cairn_buf *to = &deploy->inv->result;

    hex(m->versions[m->current].hash, name);
    to->size = 0;
    cairn_value_add_list(to, 4);
    cairn_value_add_bytes(to, m->name);
    cairn_value_add_int(to, m->versions[m->current].number);
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_int(to, created);
}

static enum cairn_code commit_system(struct cairn_worker *worker, struct overlay *overlay, const char *note, uint64_t *ret_end,
                                     struct cairn_err *err)
{
    enum cairn_code code =
        shard_commit_own(worker, &worker->shards[worker->node->shard_count], overlay, note, ret_end, err);

    if (code == CAIRN_EFULL)
        return cairn_while(err, "recording the deploy; make room on the disk and deploy again");
    return code;
}

/* Back from the task: the module is compiled and its file is written. */
static void deploy_compiled(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = (struct deploy *)message;
    struct catalog *next = NULL;
    struct overlay overlay = {0};
    struct module_entry *m;
    bool created;

    if (deploy->code != CAIRN_OK) {
        deploy_over(worker, deploy);
        return;
    }
    next = catalog_copy(worker->catalog);
    overlay_reset(&overlay, worker->shards[worker->node->shard_count].engine);
    deploy->code = next->module_count < MODULES_MAX
                       ? bind_types(next, deploy->inv->space, deploy->module, &overlay, &deploy->err)
                       : cairn_fail(&deploy->err, CAIRN_ELIMIT, "there are %d modules already", MODULES_MAX);
    if (deploy->code == CAIRN_OK) {
        m = bind_module(next, deploy->inv->space, deploy->module, (uint64_t)worker_now_ms(worker), &created);
        put_module(&overlay, m);
        answer_deploy(deploy, m, created);
        deploy->code = commit_system(worker, &overlay, "deploy", &next->end, &deploy->err);
    }
    overlay_done(&overlay);
    if (deploy->code != CAIRN_OK) {
        catalog_unref(next);
        deploy_over(worker, deploy);
        return;
    }
    deploy->inv->depends = next->end;
    spread_catalog(worker, deploy, next);
}

static void compile_task(struct cairn_task *task)
{
    struct deploy *deploy = cairn_container(task, struct deploy, task);
    struct cairn_request *request = deploy->inv->request;
    struct cairn_disk *disk = cairn_store_disk(deploy->node->options.store);
    char path[CAIRN_PATH_BYTES];

    deploy->code = cairn_module_compile(deploy->node->options.fn, request->body, &deploy->module, &deploy->err);
    if (deploy->code == CAIRN_OK && request->name.size &&
        !cairn_bytes_equal(request->name, cairn_str(deploy->module->name)))
        deploy->code = cairn_fail(&deploy->err, CAIRN_EMODULE, "the module says that its name is %s, not %.*s",
                                  deploy->module->name, (int)request->name.size, (const char *)request->name.data);
    if (deploy->code == CAIRN_OK) {
        module_path(deploy->module->hash, path);
        deploy->code = cairn_disk_replace_file(disk, path, request->body, &deploy->err);
    }
    worker_post(deploy->node, 0, &deploy->message);
}

/* UNDEPLOY: first the types are taken from every worker, so that no new object can appear; if then
 * none has an object of them it is recorded, otherwise the catalog before comes back. */
static void undeploy_start(struct cairn_worker *worker, struct deploy *deploy)
{
    struct cairn_bytes space = deploy->inv->space, name = deploy->inv->request->name;
    struct module_entry *m = find_module(worker->catalog, space, name);
    struct catalog *next;

    if (!m) {
        deploy->code = cairn_fail(&deploy->err, CAIRN_ENOTFOUND, "there is no module %.*s", (int)name.size,
                                  (const char *)name.data);
        deploy_over(worker, deploy);
        return;
    }
    deploy->before = catalog_ref(worker->catalog);
    next = catalog_copy(worker->catalog);
    m = find_module(next, space, name);
    module_entry_done(m);
    *m = next->modules[--next->module_count];
    for (uint32_t i = 0; i < next->type_count;) {
        struct type_entry *t = &next->types[i];
        if (!cairn_bytes_equal(t->space, space) || !cairn_bytes_equal(t->module, name)) {
            i++;
            continue;
        }
        type_entry_done(t);
        *t = next->types[--next->type_count];
    }
    spread_catalog(worker, deploy, next);
}

static enum cairn_code record_undeploy(struct cairn_worker *worker, struct deploy *deploy)
{
    struct cairn_bytes space = deploy->inv->space, name = deploy->inv->request->name;
    struct overlay overlay = {0};
    struct cairn_buf key = {0};
    enum cairn_code code;
    uint64_t end;

    overlay_reset(&overlay, worker->shards[worker->node->shard_count].engine);
    named_key(&key, KEY_MODULE, space, name);
    overlay_remove(&overlay, cairn_buf_bytes(&key));
    for (uint32_t i = 0; i < deploy->before->type_count; i++) {
        const struct type_entry *t = &deploy->before->types[i];
        if (!cairn_bytes_equal(t->space, space) || !cairn_bytes_equal(t->module, name))
            continue;
        named_key(&key, KEY_TYPE, space, t->name);
        overlay_remove(&overlay, cairn_buf_bytes(&key));
    }
    cairn_buf_done(&key);
    code = commit_system(worker, &overlay, "undeploy", &end, &deploy->err);
    overlay_done(&overlay);
    if (code == CAIRN_OK)
        deploy->inv->depends = end;
    return code;
}

static void catalog_taken(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = ((struct spread *)message)->deploy;

    if (--deploy->left)
        return;
    if (deploy->before && deploy->code == CAIRN_OK) {
        struct catalog *before = deploy->before;
        deploy->code = atomic_load(&deploy->in_use)
                           ? cairn_fail(&deploy->err, CAIRN_ECONFLICT,
                                        "objects of the module's types exist; delete them first")
                           : record_undeploy(worker, deploy);
        deploy->before = NULL;
        if (deploy->code != CAIRN_OK) {
            spread_catalog(worker, deploy, before);
            return;
        }
        catalog_unref(before);
        cairn_value_add_nil(&deploy->inv->result);
    }
    deploy_over(worker, deploy);
}

static void deploy_start(struct cairn_worker *worker, struct deploy *deploy)
{
    if (deploy->inv->op == CAIRN_OP_UNDEPLOY) {
        undeploy_start(worker, deploy);
        return;
    }
    deploy->message.receive = deploy_compiled;
    deploy->task.run = compile_task;
    cairn_tasks_submit(worker->node->options.tasks, &deploy->task);
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
        hex(m->versions[m->current].hash, name);
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
            hex(m->versions[k].hash, name);
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
    struct deploy *deploy, **last;

    if (inv->op == CAIRN_OP_MODULES || inv->op == CAIRN_OP_TYPES) {
        struct cairn_node *node = worker->node;
        bool removing = node->deploys && node->deploys->before;
        struct catalog *catalog = removing ? node->deploys->before : worker->catalog;
        if (inv->op == CAIRN_OP_MODULES)
            answer_modules(catalog, inv->space, &inv->result);
        else
            answer_types(worker, catalog, inv->space, &inv->result);
        inv->depends = catalog->end;
        invocation_move(inv, INV_OVER);
        invocation_finish(worker, inv);
        return;
    }
    deploy = cairn_alloc_zeroed(1, sizeof *deploy);
    deploy->message.kind = MSG_DEPLOY;
    deploy->node = worker->node;
    deploy->inv = inv;
    for (last = &worker->node->deploys; *last; last = &(*last)->next)
        ;
    *last = deploy;
    if (worker->node->deploys == deploy)
        deploy_start(worker, deploy);
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
            code = cairn_fail(err, CAIRN_ECORRUPT,
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
        disk->ops->list(disk, modules_dir, sweep_file, &sweeping, NULL);
        for (uint32_t i = 0; i < node->options.workers; i++)
            types_from(&node->workers[i], loading.catalog);
    }
    catalog_unref(loading.catalog);
    return code;
}
