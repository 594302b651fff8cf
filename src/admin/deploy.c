/* deploy.c - DEPLOY, ROLLBACK and UNDEPLOY.  A module is compiled first, a few at once, so that one that takes long
 * does not stop the others; those of one module keep their order.  Then one at a time: worker 0 has the queue and
 * commits, a task in the background makes the next catalog, and each worker takes over the types of the one module.
 *
 * Types that are to go are first taken from every worker, so that no new object can appear, and looked at: if some
 * worker has an object of them they come back and the request is refused; otherwise it is recorded. */
#include <assert.h>
#include <stdlib.h>

#include "fn/check.h"
#include "admin/admin_internal.h"
#include "admin/catalog.h"
#include "object/clock.h"
#include "object/directory.h"
#include "admin/events.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/layout.h"
#include "object/table.h"

/* What a worker looks for at a time of types that are to go: directories of a type in a shard. */
enum { LOOKS_PER_STEP = 64 };

enum {
    COMPILING_MAX = 2, /* at once: tasks in the background are needed for other things too */
    COMPILES_MAX = 18, /* with those that wait, each with its module in memory */
};

/* One DEPLOY, ROLLBACK or UNDEPLOY on its way; worker 0 has one under way at a time. */
struct deploy {
    struct message message; /* first */
    struct cairn_task task;
    struct deploy *next; /* in deploys->compiles, then in deploys->queue */
    struct cairn_node *node;
    struct invocation *inv;
    enum {
        STAGE_READING,   /* a task finds out which module it is */
        STAGE_WAITING,   /* `name` is known; for its turn */
        STAGE_COMPILING, /* a task compiles it */
    } stage;             /* in deploys->compiles */
    char *name;          /* of the module */
    struct cairn_module *module;
    enum cairn_code code;
    struct cairn_err err;
    struct overlay overlay;     /* what is to be recorded */
    struct catalog *base;       /* the one before it */
    struct catalog *catalog;    /* the one after it */
    struct module_entry *m;     /* DEPLOY: of `catalog` */
    bool created;               /* DEPLOY: it is not an earlier version that came back */
    uint32_t previous;          /* DEPLOY: number of the version that was current; 0: none */
    struct module_version back; /* ROLLBACK: to which version */
    struct type_entry **types;  /* DEPLOY: of the module in `catalog` */
    uint32_t type_count;
    struct type_entry **going; /* types of the module in `base` that are to go unless there are objects of them */
    uint32_t *numbers;         /* theirs, ascending */
    uint32_t going_count;
    enum { TAKE_AWAY, GIVE_BACK, SET } step; /* what the workers are to do with them */
    bool undecided;                          /* `base` is what is committed, whatever the workers have */
    uint32_t left;                           /* workers that have not done it */
    _Atomic uint32_t used; /* number of a type that is to go and of which some worker has objects; 0: none */
    struct spread *spreads;
};

/* A catalog on its way to one worker and back. */
struct spread {
    struct message message; /* first */
    struct deploy *deploy;
    uint64_t looked; /* pairs of type and shard */
};

static struct deploys *deploys_of(struct cairn_worker *worker)
{
    return &worker->node->admin->deploys;
}

void deploy_catalog_set(struct cairn_worker *worker, struct catalog *catalog)
{
    struct catalog *before = admin_worker(worker)->catalog;

    admin_worker(worker)->catalog = catalog_ref(catalog);
    catalog_unref(before);
    cairn_fn_worker_trim(worker->fn);
}

/* False: it was over at once. */
static bool deploy_start(struct cairn_worker *worker, struct deploy *deploy);

static void deploy_free(struct deploy *deploy)
{
    overlay_done(&deploy->overlay);
    catalog_unref(deploy->catalog);
    catalog_unref(deploy->base);
    cairn_module_unref(deploy->module);
    free(deploy->name);
    free(deploy->types);
    free(deploy->going);
    free(deploy->numbers);
    free(deploy->spreads);
    free(deploy);
}

static void drop_all(struct cairn_worker *worker, struct deploy **first)
{
    while (*first) {
        struct deploy *deploy = *first;
        *first = deploy->next;
        invocation_free(worker, deploy->inv);
        deploy_free(deploy);
    }
}

void deploys_drop(struct cairn_worker *worker)
{
    drop_all(worker, &deploys_of(worker)->compiles);
    drop_all(worker, &deploys_of(worker)->queue);
}

/* It is in no list any more. */
static void deploy_answer(struct cairn_worker *worker, struct deploy *deploy)
{
    struct invocation *inv = deploy->inv;

    if (deploy->code != CAIRN_OK)
        set_error(inv, deploy->code, deploy->err.text);
    deploy_free(deploy);
    invocation_end(worker, inv);
}

static void deploy_end(struct cairn_worker *worker, struct deploy *deploy)
{
    assert(deploys_of(worker)->queue == deploy);
    deploys_of(worker)->queue = deploy->next;
    deploy_answer(worker, deploy);
}

static void deploy_over(struct cairn_worker *worker, struct deploy *deploy)
{
    deploy_end(worker, deploy);
    while (deploys_of(worker)->queue && !deploy_start(worker, deploys_of(worker)->queue))
        ;
}

/* --- to the workers ------------------------------------------------------------------------------- */

static void take_catalog(struct cairn_worker *worker, struct message *message);
static void catalog_taken(struct cairn_worker *worker, struct message *message);

static void spread_catalog(struct cairn_worker *worker, struct deploy *deploy, int step)
{
    uint32_t workers = worker->node->options.workers;

    deploy->step = step;
    deploy->left = workers;
    if (!deploy->spreads)
        deploy->spreads = cairn_alloc_zeroed(workers, sizeof *deploy->spreads);
    for (uint32_t i = 0; i < workers; i++) {
        deploy->spreads[i].deploy = deploy;
        deploy->spreads[i].message.receive = take_catalog;
        worker_send(worker, i, &deploy->spreads[i].message);
    }
}

static bool directory_has(const struct shard *shard, uint32_t type)
{
    struct overlay overlay = {0};
    bool empty;

    overlay_reset(&overlay, shard->engine);
    empty = directory_empty(&overlay, type) && overlay.code == CAIRN_OK; /* unread: it may have some */
    overlay_done(&overlay);
    return !empty;
}

/* Looks for objects of the types that are to go, a part of the shards at a time. */
static void look_for_objects(struct cairn_worker *worker, struct message *message)
{
    struct spread *spread = (struct spread *)message;
    struct deploy *deploy = spread->deploy;
    uint32_t shards = worker->node->shard_count, own = 0;
    uint64_t pairs;

    if (worker->index < shards)
        own = (shards - worker->index - 1) / worker->node->options.workers + 1;
    pairs = (uint64_t)deploy->going_count * own;
    for (int n = 0; n < LOOKS_PER_STEP && spread->looked < pairs && !atomic_load(&deploy->used); n++) {
        uint32_t number = deploy->numbers[spread->looked / own];
        uint32_t shard = worker->index + (uint32_t)(spread->looked % own) * worker->node->options.workers;

        if (directory_has(&worker->shards[shard], number))
            atomic_store(&deploy->used, number);
        spread->looked++;
    }
    if (spread->looked < pairs && !atomic_load(&deploy->used)) {
        worker_send(worker, worker->index, message);
        return;
    }
    message->receive = catalog_taken;
    worker_send(worker, 0, message);
}

static void take_catalog(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = ((struct spread *)message)->deploy;

    for (uint32_t i = 0; i < deploy->going_count && deploy->step != SET; i++)
        if (deploy->step == TAKE_AWAY)
            types_remove(worker, deploy->going[i]);
        else
            types_set(worker, deploy->going[i]);
    for (uint32_t i = 0; i < deploy->type_count && deploy->step == SET; i++)
        types_set(worker, deploy->types[i]);
    if (deploy->step == TAKE_AWAY) {
        /* From here on none can appear. */
        uint32_t number = objects_in_use(worker, deploy->numbers, deploy->going_count);

        if (number)
            atomic_store(&deploy->used, number);
        message->receive = look_for_objects;
        look_for_objects(worker, message);
        return;
    }
    deploy_catalog_set(worker, deploy->step == SET ? deploy->catalog : deploy->base);
    message->receive = catalog_taken;
    worker_send(worker, 0, message);
}

/* --- DEPLOY ----------------------------------------------------------------------------------------- */

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

static enum cairn_code bind_type(struct deploy *deploy, const struct cairn_type_decl *decl, struct bound_field *fields,
                                 struct cairn_err *err)
{
    struct cairn_module *module = deploy->module;
    const struct type_entry *type = catalog_type(deploy->catalog, deploy->m->space, cairn_str(decl->name));
    struct type_entry fresh = {.space = deploy->m->space,
                               .name = cairn_str(decl->name),
                               .module_name = deploy->m->name},
                      *bound;
    enum cairn_code code;
    uint32_t count;

    if (type && !cairn_bytes_equal(type->module_name, deploy->m->name))
        return cairn_fail(err, CAIRN_ECONFLICT, "type %s belongs to module %.*s already", decl->name,
                          (int)type->module_name.size, (const char *)type->module_name.data);
    if (!type) {
        fresh.number = new_type_number(deploy->catalog);
        type = &fresh;
    }
    code = bind_fields(type, decl, fields, &count, err);
    if (code != CAIRN_OK)
        return code;
    bound = type_entry_make(type, fields, count, module, decl, deploy->m->versions[deploy->m->current].number);
    catalog_put_type(&deploy->overlay, bound);
    catalog_set_type(deploy->catalog, bound);
    return CAIRN_OK;
}

/* The entry of the module with this version for the current one. */
static struct module_entry *bind_module(const struct module_entry *before, struct cairn_bytes space,
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
static uint32_t list_types(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name,
                           struct type_entry ***ret_types)
{
    struct type_entry **types = cairn_alloc_zeroed(catalog->type_count + 1, sizeof *types);
    uint32_t count = 0;

    for (uint32_t i = 0; i < catalog->type_count; i++)
        if (cairn_bytes_equal(catalog->types[i]->module_name, name) &&
            cairn_bytes_equal(catalog->types[i]->space, space))
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
static void forget_going(struct deploy *deploy)
{
    struct cairn_buf key = {0};

    deploy->numbers = cairn_alloc_zeroed(deploy->going_count + 1, sizeof *deploy->numbers);
    for (uint32_t i = 0; i < deploy->going_count; i++) {
        deploy->numbers[i] = deploy->going[i]->number;
        catalog_key(&key, KEY_TYPE, deploy->going[i]->space, deploy->going[i]->name);
        overlay_remove(&deploy->overlay, cairn_buf_bytes(&key));
    }
    qsort(deploy->numbers, deploy->going_count, sizeof *deploy->numbers, compare_numbers);
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
static void bind_missing(struct deploy *deploy, struct catalog *next)
{
    struct cairn_bytes space = deploy->m->space, name = deploy->m->name;
    uint32_t version = deploy->m->versions[deploy->m->current].number;
    struct type_entry **before;
    uint32_t count = list_types(deploy->base, space, name, &before);

    deploy->going = before;
    for (uint32_t i = 0; i < count; i++) {
        struct type_entry *t = before[i], *now = catalog_type(next, space, t->name);

        if (now != t)
            continue;
        if (t->dropped || names_type(deploy->inv->request->drop, t->name)) {
            catalog_set_type(next, type_entry_make(t, t->fields, t->field_count, deploy->module, NULL, version));
        } else {
            deploy->going[deploy->going_count++] = t;
            catalog_remove_type(next, space, t->name);
        }
    }
    forget_going(deploy);
    deploy->type_count = list_types(next, space, name, &deploy->types);
}

/* Makes the next catalog, and what is to be recorded of it but for the module. */
static enum cairn_code bind(struct deploy *deploy, struct cairn_err *err)
{
    struct cairn_module *module = deploy->module;
    struct cairn_bytes space = deploy->inv->space, name = cairn_str(module->name);
    struct bound_field *fields = cairn_alloc_zeroed(2 * (CAIRN_FIELD_NUMBER_MAX + 1), sizeof *fields);
    struct catalog *next = deploy->catalog = catalog_copy(deploy->base);
    const struct module_entry *before = catalog_module(next, space, name);
    enum cairn_code code = CAIRN_OK;

    deploy->previous = before ? before->versions[before->current].number : 0;
    deploy->m = bind_module(catalog_module(next, space, name), space, module, &deploy->created);
    catalog_set_module(next, deploy->m);
    for (size_t i = 0; code == CAIRN_OK && i < module->type_count; i++)
        code = bind_type(deploy, &module->types[i], fields, err);
    free(fields);
    if (code != CAIRN_OK)
        return code;
    catalog_put_type_next(&deploy->overlay, next->type_next);
    bind_missing(deploy, next);
    return check_totals(next, err);
}

static void answer_deploy(struct deploy *deploy)
{
    const struct module_version *version = &deploy->m->versions[deploy->m->current];
    char name[2 * CAIRN_SHA256_BYTES + 1];
    struct cairn_buf *to = &deploy->inv->result;

    hash_hex(version->hash, name);
    to->size = 0;
    cairn_value_add_list(to, 5);
    cairn_value_add_bytes(to, deploy->m->name);
    cairn_value_add_int(to, version->number);
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_int(to, deploy->created);
    cairn_value_add_int(to, deploy->previous);
}

static enum cairn_code commit_system(struct cairn_worker *worker, struct overlay *overlay, const char *note,
                                     struct dependency *ret_record, struct cairn_err *err)
{
    enum cairn_code code =
        shard_commit_own(worker, &worker->shards[worker->node->shard_count], overlay, note, ret_record, err);

    if (code == CAIRN_EFULL)
        return cairn_while(err, "recording the deploy; make room on the disk and deploy again");
    return code;
}

static enum cairn_code record(struct cairn_worker *worker, struct deploy *deploy)
{
    bool removes = deploy->inv->operation == &undeploy_operation;

    if (deploy->created)
        deploy->m->versions[deploy->m->current].deployed_ms = (uint64_t)worker_now_ms(worker);
    if (!removes)
        catalog_put_module(&deploy->overlay, deploy->m);
    deploy->code = commit_system(worker, &deploy->overlay, removes ? "undeploy" : "deploy", &deploy->catalog->record,
                                 &deploy->err);
    if (deploy->code != CAIRN_OK)
        return deploy->code;
    if (removes)
        cairn_value_add_nil(&deploy->inv->result);
    else
        answer_deploy(deploy);
    deploy->inv->depends = deploy->catalog->record;
    deploy->inv->effects = CAIRN_EFFECTS_SOME;
    return CAIRN_OK;
}

/* Back from the task: the catalog is made and nobody else has it yet; of a DEPLOY the module is compiled and its file
 * is written. */
static void prepared(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = (struct deploy *)message;

    if (deploy->code == CAIRN_OK && (deploy->going_count || deploy->inv->operation == &undeploy_operation)) {
        deploy->undecided = true;
        spread_catalog(worker, deploy, TAKE_AWAY);
    } else if (deploy->code == CAIRN_OK && record(worker, deploy) == CAIRN_OK) {
        spread_catalog(worker, deploy, SET);
    } else {
        deploy_over(worker, deploy);
    }
}

static void deploy_task(struct cairn_task *task)
{
    struct deploy *deploy = cairn_container(task, struct deploy, task);
    struct cairn_request *request = deploy->inv->request;
    struct cairn_disk *disk = cairn_store_disk(deploy->node->options.store);
    bool back = deploy->inv->operation == &rollback_operation;
    char path[CAIRN_PATH_BYTES];

    if (back)
        deploy->code = catalog_compile(deploy->node->options.fn, disk, request->name, &deploy->back, &deploy->module,
                                       &deploy->err);
    if (deploy->code == CAIRN_OK)
        deploy->code = bind(deploy, &deploy->err);
    if (deploy->code == CAIRN_OK && !back) {
        module_path(deploy->module->hash, path);
        deploy->code = cairn_disk_replace_file(disk, path, request->body, &deploy->err);
    }
    worker_post(deploy->node, 0, &deploy->message);
}

/* --- UNDEPLOY ------------------------------------------------------------------------------------------ */

static void undeploy_task(struct cairn_task *task)
{
    struct deploy *deploy = cairn_container(task, struct deploy, task);
    struct cairn_bytes space = deploy->inv->space, name = deploy->inv->request->name;
    struct cairn_buf key = {0};

    deploy->catalog = catalog_copy(deploy->base);
    catalog_remove(deploy->catalog, space, name);
    deploy->going_count = list_types(deploy->base, space, name, &deploy->going);
    catalog_key(&key, KEY_MODULE, space, name);
    overlay_remove(&deploy->overlay, cairn_buf_bytes(&key));
    cairn_buf_done(&key);
    forget_going(deploy);
    worker_post(deploy->node, 0, &deploy->message);
}

/* --- all ------------------------------------------------------------------------------------------------- */

static enum cairn_code refuse_used(struct deploy *deploy, uint32_t number)
{
    struct cairn_bytes type = {0};

    for (uint32_t i = 0; i < deploy->going_count; i++)
        if (deploy->going[i]->number == number)
            type = deploy->going[i]->name;
    if (deploy->inv->operation == &undeploy_operation)
        return cairn_fail(&deploy->err, CAIRN_ECONFLICT,
                          "objects of the module's types exist, of %.*s for example; delete them first", (int)type.size,
                          (const char *)type.data);
    return cairn_fail(&deploy->err, CAIRN_ECONFLICT,
                      "objects of type %.*s exist, and this version of the module has no such type: delete them first, "
                      "or keep them without methods (`--drop %.*s`)",
                      (int)type.size, (const char *)type.data, (int)type.size, (const char *)type.data);
}

static void catalog_taken(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = ((struct spread *)message)->deploy;
    uint32_t used;

    if (--deploy->left)
        return;
    if (!deploy->undecided) {
        deploy_over(worker, deploy);
        return;
    }
    used = atomic_load(&deploy->used);
    deploy->code = used ? refuse_used(deploy, used) : record(worker, deploy);
    deploy->undecided = false;
    spread_catalog(worker, deploy, deploy->code == CAIRN_OK ? SET : GIVE_BACK);
}

/* The version with that number, or for 0 the one before the current; false: the deploy's code says why not. */
static bool find_version(const struct module_entry *m, struct deploy *deploy)
{
    const struct module_version *current = &m->versions[m->current], *found = NULL;
    uint64_t number = deploy->inv->request->number;

    for (uint32_t i = 0; i < m->version_count; i++) {
        const struct module_version *v = &m->versions[i];

        if (number ? v->number == number : v->number < current->number && (!found || v->number > found->number))
            found = v;
    }
    if (found)
        deploy->back = *found;
    else if (number)
        deploy->code = cairn_fail(&deploy->err, CAIRN_ENOTFOUND, "module %.*s has no version %llu; see `cairn modules`",
                                  (int)m->name.size, (const char *)m->name.data, (unsigned long long)number);
    else
        deploy->code =
            cairn_fail(&deploy->err, CAIRN_ENOTFOUND, "module %.*s has no version before %u; see `cairn modules`",
                       (int)m->name.size, (const char *)m->name.data, current->number);
    return found != NULL;
}

static bool deploy_start(struct cairn_worker *worker, struct deploy *deploy)
{
    struct cairn_bytes name = deploy->inv->request->name;
    const struct module_entry *m = catalog_module(admin_worker(worker)->catalog, deploy->inv->space, name);
    const struct operation *operation = deploy->inv->operation;

    if (operation != &deploy_operation && !m)
        deploy->code = cairn_fail(&deploy->err, CAIRN_ENOTFOUND, "there is no module %.*s; see `cairn modules`",
                                  (int)name.size, (const char *)name.data);
    if (deploy->code != CAIRN_OK || (operation == &rollback_operation && !find_version(m, deploy))) {
        deploy_end(worker, deploy);
        return false;
    }
    deploy->base = catalog_ref(admin_worker(worker)->catalog);
    overlay_reset(&deploy->overlay, worker->shards[worker->node->shard_count].engine);
    deploy->message.receive = prepared;
    deploy->task.run = operation == &undeploy_operation ? undeploy_task : deploy_task;
    cairn_tasks_submit(worker->node->options.tasks, &deploy->task);
    return true;
}

struct catalog *deploy_committed(struct cairn_worker *worker)
{
    const struct deploy *deploy = deploys_of(worker)->queue;

    return deploy && deploy->undecided ? deploy->base : admin_worker(worker)->catalog;
}

/* One at a time from here on. */
static void deploy_enqueue(struct cairn_worker *worker, struct deploy *deploy)
{
    struct deploys *deploys = deploys_of(worker);

    deploy->next = NULL;
    if (deploys->queue) {
        deploys->last->next = deploy;
        deploys->last = deploy;
        return;
    }
    deploys->queue = deploys->last = deploy;
    deploy_start(worker, deploy);
}

/* --- compiling ------------------------------------------------------------------------------------------ */

static void read_task(struct cairn_task *task)
{
    struct deploy *deploy = cairn_container(task, struct deploy, task);
    struct cairn_request *request = deploy->inv->request;
    struct cairn_wasm wasm;
    struct cairn_types types;

    deploy->code = cairn_module_check(request->body, &wasm, &types, &deploy->err);
    if (deploy->code == CAIRN_OK) {
        deploy->name = cairn_bytes_dup(cairn_str(types.module));
        cairn_types_done(&types);
        cairn_wasm_done(&wasm);
        if (request->name.size && !cairn_bytes_equal(request->name, cairn_str(deploy->name)))
            deploy->code = cairn_fail(&deploy->err, CAIRN_EMODULE, "the module says that its name is %s, not %.*s",
                                      deploy->name, (int)request->name.size, (const char *)request->name.data);
    }
    worker_post(deploy->node, 0, &deploy->message);
}

static void compile_task(struct cairn_task *task)
{
    struct deploy *deploy = cairn_container(task, struct deploy, task);

    deploy->code =
        cairn_module_compile(deploy->node->options.fn, deploy->inv->request->body, &deploy->module, &deploy->err);
    worker_post(deploy->node, 0, &deploy->message);
}

static void compiles_remove(struct deploys *deploys, struct deploy *deploy)
{
    struct deploy **at = &deploys->compiles;

    while (*at != deploy)
        at = &(*at)->next;
    *at = deploy->next;
    if (deploy->inv->operation == &deploy_operation)
        deploys->compile_count--;
}

/* One that came earlier is of the same module: they take effect in the order in which they came. */
static bool has_earlier(const struct deploys *deploys, const struct deploy *deploy)
{
    for (const struct deploy *d = deploys->compiles; d != deploy; d = d->next)
        if (strcmp(d->name, deploy->name) == 0 && cairn_bytes_equal(d->inv->space, deploy->inv->space))
            return true;
    return false;
}

static void deploy_compiled(struct cairn_worker *worker, struct message *message);

/* Whoever may begin does.  What stands behind one that is still read waits for that: it may be of the same module. */
static void compile_next(struct cairn_worker *worker)
{
    struct deploys *deploys = deploys_of(worker);
    struct deploy *next;

    for (struct deploy *d = deploys->compiles; d && d->stage != STAGE_READING; d = next) {
        next = d->next;
        if (d->stage != STAGE_WAITING || has_earlier(deploys, d))
            continue;
        if (d->inv->operation != &deploy_operation) {
            compiles_remove(deploys, d);
            deploy_enqueue(worker, d);
        } else if (deploys->compiling_count < COMPILING_MAX) {
            d->stage = STAGE_COMPILING;
            deploys->compiling_count++;
            d->message.receive = deploy_compiled;
            d->task.run = compile_task;
            cairn_tasks_submit(worker->node->options.tasks, &d->task);
        }
    }
}

static void deploy_compiled(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = (struct deploy *)message;

    compiles_remove(deploys_of(worker), deploy);
    deploys_of(worker)->compiling_count--;
    if (deploy->code == CAIRN_OK)
        deploy_enqueue(worker, deploy);
    else
        deploy_answer(worker, deploy);
    compile_next(worker);
}

static void deploy_read(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = (struct deploy *)message;

    deploy->stage = STAGE_WAITING;
    if (deploy->code != CAIRN_OK) {
        compiles_remove(deploys_of(worker), deploy);
        deploy_answer(worker, deploy);
    }
    compile_next(worker);
}

static void receive_request(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct deploys *deploys = deploys_of(worker);
    struct deploy *deploy = cairn_alloc_zeroed(1, sizeof *deploy), **last = &deploys->compiles;

    deploy->node = worker->node;
    deploy->inv = inv;
    if (inv->operation == &deploy_operation && deploys->compile_count == COMPILES_MAX) {
        deploy->code = cairn_fail(&deploy->err, CAIRN_EOVERLOAD,
                                  "%d modules are being compiled or wait for it; deploy again later", COMPILES_MAX);
        deploy_answer(worker, deploy);
        return;
    }
    while (*last)
        last = &(*last)->next;
    *last = deploy;
    if (inv->operation != &deploy_operation) { /* what a rollback goes back to is compiled already, mostly */
        deploy->stage = STAGE_WAITING;
        deploy->name = cairn_bytes_dup(inv->request->name);
        compile_next(worker);
        return;
    }
    deploys->compile_count++;
    deploy->message.receive = deploy_read;
    deploy->task.run = read_task;
    cairn_tasks_submit(worker->node->options.tasks, &deploy->task);
}

const struct operation deploy_operation = {.name = "deploy",
                                           .submit = submit_to_first,
                                           .receive = receive_request,
                                           .answer = hold_answer,
                                           .told = events_reply};

const struct operation rollback_operation = {
    .name = "rollback", .submit = submit_to_first, .receive = receive_request, .answer = hold_answer};

const struct operation undeploy_operation = {.name = "undeploy",
                                             .submit = submit_to_first,
                                             .receive = receive_request,
                                             .answer = hold_answer,
                                             .told = events_reply};
