/* deploy.c - DEPLOY and UNDEPLOY, one at a time, on worker 0. */
#include <assert.h>
#include <stdlib.h>

#include "object/catalog_internal.h"
#include "object/directory.h"

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
        if (!cairn_bytes_equal(t->module, deploy->inv->request->name) ||
            !cairn_bytes_equal(t->space, deploy->inv->space))
            continue;
        if (objects_in_use(worker, t->number))
            return true;
        for (uint32_t s = 0; s < worker->node->shard_count; s++) {
            struct overlay overlay = {0};
            bool empty;
            if (!worker->shards[s].shard)
                continue;
            overlay_reset(&overlay, worker->shards[s].engine);
            empty = directory_empty(&overlay, t->number) && overlay.code == CAIRN_OK; /* unread: it may have some */
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
        struct type_entry *type = catalog_type(catalog, space, cairn_str(decl->name));

        if (type && !cairn_bytes_equal(type->module, cairn_str(module->name)))
            return cairn_fail(err, CAIRN_ECONFLICT, "type %s belongs to module %.*s already", decl->name,
                              (int)type->module.size, (const char *)type->module.data);
        if (!type) {
            type = &catalog->types[catalog->type_count++];
            *type = (struct type_entry){.space = bytes_keep(space),
                                        .name = bytes_keep(cairn_str(decl->name)),
                                        .module = bytes_keep(cairn_str(module->name)),
                                        .number = new_type_number(catalog)};
        }
        for (size_t k = 0; k < decl->field_count; k++) {
            struct bound_field *field = catalog_field(type, cairn_str(decl->fields[k].name));
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
            type->fields[type->field_count] = (struct bound_field){.name = bytes_keep(cairn_str(decl->fields[k].name)),
                                                                   .kind = decl->fields[k].kind,
                                                                   .number = type->field_count};
            type->field_count++;
        }
        catalog_put_type(overlay, type);
    }
    catalog_put_type_next(overlay, catalog->type_next);
    return CAIRN_OK;
}

/* Makes the module's version current; *ret_created unless an earlier version came back. */
static struct module_entry *bind_module(struct catalog *catalog, struct cairn_bytes space, struct cairn_module *module,
                                        uint64_t now_ms, bool *ret_created)
{
    struct module_entry *m = catalog_module(catalog, space, cairn_str(module->name));

    if (!m) {
        m = &catalog->modules[catalog->module_count++];
        *m = (struct module_entry){.space = bytes_keep(space),
                                   .name = bytes_keep(cairn_str(module->name)),
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

    hash_hex(m->versions[m->current].hash, name);
    to->size = 0;
    cairn_value_add_list(to, 4);
    cairn_value_add_bytes(to, m->name);
    cairn_value_add_int(to, m->versions[m->current].number);
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_int(to, created);
}

static enum cairn_code commit_system(struct cairn_worker *worker, struct overlay *overlay, const char *note,
                                     uint64_t *ret_end, struct cairn_err *err)
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
        catalog_put_module(&overlay, m);
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
    struct module_entry *m = catalog_module(worker->catalog, space, name);
    struct catalog *next;

    if (!m) {
        deploy->code = cairn_fail(&deploy->err, CAIRN_ENOTFOUND, "there is no module %.*s", (int)name.size,
                                  (const char *)name.data);
        deploy_over(worker, deploy);
        return;
    }
    deploy->before = catalog_ref(worker->catalog);
    next = catalog_copy(worker->catalog);
    m = catalog_module(next, space, name);
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
    catalog_key(&key, KEY_MODULE, space, name);
    overlay_remove(&overlay, cairn_buf_bytes(&key));
    for (uint32_t i = 0; i < deploy->before->type_count; i++) {
        const struct type_entry *t = &deploy->before->types[i];
        if (!cairn_bytes_equal(t->space, space) || !cairn_bytes_equal(t->module, name))
            continue;
        catalog_key(&key, KEY_TYPE, space, t->name);
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
        deploy->code =
            atomic_load(&deploy->in_use)
                ? cairn_fail(&deploy->err, CAIRN_ECONFLICT, "objects of the module's types exist; delete them first")
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

struct catalog *deploy_committed(struct cairn_worker *worker)
{
    struct deploy *deploy = worker->node->deploys;

    return deploy && deploy->before ? deploy->before : worker->catalog;
}

void deploy_request(struct cairn_worker *worker, struct invocation *inv)
{
    struct deploy *deploy, **last;

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
