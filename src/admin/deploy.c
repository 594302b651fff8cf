/* deploy.c - DEPLOY, ROLLBACK and UNDEPLOY.  A module is compiled first, a few at once, so that one that takes long
 * does not stop the others; those of one module keep their order.  Then one at a time: worker 0 has the queue and
 * commits, a task in the background makes the next catalog, and each worker takes over the types of the one module.
 *
 * Types that are to go are first taken from every worker, so that no new object can appear, and looked at: if some
 * worker has an object of them they come back and the request is refused; otherwise it is recorded. */
#include <assert.h>
#include <stdlib.h>

#include "admin/admin_internal.h"
#include "admin/change.h"
#include "admin/events.h"
#include "fn/check.h"
#include "object/clock.h"
#include "object/directory.h"
#include "object/durable.h"
#include "object/hold.h"
#include "object/invocation.h"
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
    struct module_version back; /* ROLLBACK: to which version */
    /* A namespace goes: NULL, it is another */
    void (*recorded)(struct cairn_worker *worker, struct space *space, struct dependency record);
    struct change change;
    enum { TAKE_AWAY, GIVE_BACK, SET } step; /* what the workers are to do with them */
    bool undecided;                          /* change.base is what is committed, whatever the workers have */
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
    change_done(&deploy->change);
    cairn_module_unref(deploy->module);
    free(deploy->name);
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
    pairs = (uint64_t)deploy->change.going_count * own;
    for (int n = 0; n < LOOKS_PER_STEP && spread->looked < pairs && !atomic_load(&deploy->used); n++) {
        uint32_t number = deploy->change.numbers[spread->looked / own];
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

    for (uint32_t i = 0; i < deploy->change.going_count && deploy->step != SET; i++)
        if (deploy->step == TAKE_AWAY)
            types_remove(worker, deploy->change.going[i]);
        else if (!deploy->recorded)
            types_set(worker, deploy->change.going[i]);
    for (uint32_t i = 0; i < deploy->change.type_count && deploy->step == SET; i++)
        types_set(worker, deploy->change.types[i]);
    if (deploy->step == TAKE_AWAY) {
        /* From here on none can appear. */
        uint32_t number = objects_in_use(worker, deploy->change.numbers, deploy->change.going_count);

        if (!number)
            number = durable_in_use(worker, deploy->change.numbers, deploy->change.going_count);

        if (number)
            atomic_store(&deploy->used, number);
        message->receive = look_for_objects;
        look_for_objects(worker, message);
        return;
    }
    deploy_catalog_set(worker, deploy->step == SET ? deploy->change.catalog : deploy->change.base);
    message->receive = catalog_taken;
    worker_send(worker, 0, message);
}

/* --- taking effect --- */

static void answer_deploy(struct deploy *deploy)
{
    const struct module_version *version = &deploy->change.m->versions[deploy->change.m->current];
    char name[2 * CAIRN_SHA256_BYTES + 1];
    struct cairn_buf *to = &deploy->inv->result;

    hash_hex(version->hash, name);
    to->size = 0;
    cairn_value_add_list(to, 5);
    cairn_value_add_bytes(to, deploy->change.m->name);
    cairn_value_add_int(to, version->number);
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_int(to, deploy->change.created);
    cairn_value_add_int(to, deploy->change.previous);
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

/* It takes types away, and makes none. */
static bool only_removes(const struct deploy *deploy)
{
    return deploy->recorded || deploy->inv->operation == &undeploy_operation;
}

static enum cairn_code record(struct cairn_worker *worker, struct deploy *deploy)
{
    bool removes = only_removes(deploy);

    if (deploy->change.created)
        deploy->change.m->versions[deploy->change.m->current].deployed_ms = (uint64_t)worker_now_ms(worker);
    if (!removes)
        catalog_put_module(&deploy->change.overlay, deploy->change.m);
    deploy->code = commit_system(worker, &deploy->change.overlay, removes ? "undeploy" : "deploy",
                                 &deploy->change.catalog->record, &deploy->err);
    if (deploy->code != CAIRN_OK)
        return deploy->code;
    if (removes)
        cairn_value_add_nil(&deploy->inv->result);
    else
        answer_deploy(deploy);
    if (deploy->recorded)
        deploy->recorded(worker, deploy->inv->space, deploy->change.catalog->record);
    deploy->inv->depends = deploy->change.catalog->record;
    deploy->inv->effects = CAIRN_EFFECTS_SOME;
    return CAIRN_OK;
}

/* Back from the task: the catalog is made and no other thread has it yet; of a DEPLOY the module is compiled and its
 * file is written. */
static void prepared(struct cairn_worker *worker, struct message *message)
{
    struct deploy *deploy = (struct deploy *)message;

    if (deploy->code == CAIRN_OK && (deploy->change.going_count || only_removes(deploy))) {
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
        deploy->code = change_deploy(&deploy->change, deploy->inv->space, deploy->module, request->drop, &deploy->err);
    if (deploy->code == CAIRN_OK && !back) {
        module_path(deploy->module->hash, path);
        deploy->code = cairn_disk_replace_file(disk, path, request->body, &deploy->err);
    }
    worker_post(deploy->node, 0, &deploy->message);
}

static void undeploy_task(struct cairn_task *task)
{
    struct deploy *deploy = cairn_container(task, struct deploy, task);

    change_undeploy(&deploy->change, deploy->inv->space, deploy->inv->request->name);
    worker_post(deploy->node, 0, &deploy->message);
}

static void remove_space_task(struct cairn_task *task)
{
    struct deploy *deploy = cairn_container(task, struct deploy, task);

    change_remove_space(&deploy->change, deploy->inv->space);
    worker_post(deploy->node, 0, &deploy->message);
}

static enum cairn_code refuse_used(struct deploy *deploy, uint32_t number)
{
    struct cairn_bytes type = {0};

    for (uint32_t i = 0; i < deploy->change.going_count; i++)
        if (deploy->change.going[i]->number == number)
            type = deploy->change.going[i]->name;
    if (only_removes(deploy))
        return cairn_fail(&deploy->err, CAIRN_ECONFLICT,
                          "objects of the module's types exist, of %.*s for example, or durable invocations of it are "
                          "open; delete the objects, and let the invocations end, first",
                          (int)type.size, (const char *)type.data);
    return cairn_fail(
        &deploy->err, CAIRN_ECONFLICT,
        "objects of type %.*s exist, or durable invocations of it are open, and this version of the module has no such "
        "type: delete the objects and let the invocations end, or keep them without methods (`--drop %.*s`)",
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

/* The version with that number, or for 0 the one before the current; else the deploy's code says why not. */
static void find_version(const struct module_entry *m, struct deploy *deploy)
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
}

static void run_task(struct cairn_worker *worker, struct deploy *deploy, void (*run)(struct cairn_task *task))
{
    change_begin(&deploy->change, admin_worker(worker)->catalog, worker->shards[worker->node->shard_count].engine);
    deploy->message.receive = prepared;
    deploy->task.run = run;
    cairn_tasks_submit(worker->node->options.tasks, &deploy->task);
}

/* What its request names is there.  Else the deploy's code says why not. */
static void check_named(struct cairn_worker *worker, struct deploy *deploy)
{
    struct cairn_bytes name = deploy->inv->request->name;
    const struct module_entry *m = catalog_module(admin_worker(worker)->catalog, deploy->inv->space, name);
    const struct operation *operation = deploy->inv->operation;

    if (operation != &deploy_operation && !m)
        deploy->code = cairn_fail(&deploy->err, CAIRN_ENOTFOUND, "there is no module %.*s; see `cairn modules`",
                                  (int)name.size, (const char *)name.data);
    else if (operation == &rollback_operation)
        find_version(m, deploy);
}

static bool deploy_start(struct cairn_worker *worker, struct deploy *deploy)
{
    if (!deploy->recorded)
        check_named(worker, deploy);
    if (deploy->code != CAIRN_OK) {
        deploy_end(worker, deploy);
        return false;
    }
    run_task(worker, deploy,
             deploy->recorded                                ? remove_space_task
             : deploy->inv->operation == &undeploy_operation ? undeploy_task
                                                             : deploy_task);
    return true;
}

static bool any_in(const struct deploy *deploy, const struct space *space)
{
    for (; deploy; deploy = deploy->next)
        if (deploy->inv->space == space)
            return true;
    return false;
}

bool deploys_any_in(struct cairn_worker *worker, const struct space *space)
{
    return any_in(deploys_of(worker)->compiles, space) || any_in(deploys_of(worker)->queue, space);
}

struct catalog *deploy_committed(struct cairn_worker *worker)
{
    const struct deploy *deploy = deploys_of(worker)->queue;

    return deploy && deploy->undecided ? deploy->change.base : admin_worker(worker)->catalog;
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

void deploys_remove_space(struct cairn_worker *worker, struct invocation *inv,
                          void (*recorded)(struct cairn_worker *worker, struct space *space, struct dependency record))
{
    struct deploy *deploy = cairn_alloc_zeroed(1, sizeof *deploy);

    deploy->node = worker->node;
    deploy->inv = inv;
    deploy->recorded = recorded;
    deploy_enqueue(worker, deploy);
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
        if (strcmp(d->name, deploy->name) == 0 && d->inv->space == deploy->inv->space)
            return true;
    return false;
}

static void deploy_compiled(struct cairn_worker *worker, struct message *message);

/* Each that may begin does.  What stands behind one that is still read waits for that: it may be of the same module. */
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
    deploy->code = spaces_check_deploy(space_payer(inv->space), &deploy->err);
    if (deploy->code != CAIRN_OK) { /* it was removed meanwhile */
        deploy_answer(worker, deploy);
        return;
    }
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
