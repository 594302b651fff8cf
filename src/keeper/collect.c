#include "keeper/collect.h"

#include <stdio.h>
#include <stdlib.h>

#include "keeper/links.h"
#include "keeper/node.h"
#include "object/clock.h"
#include "object/hold.h"
#include "object/operation.h"
#include "object/table.h"

enum { FOLDERS = 256, BATCH = 64, HEX = 2 * CAIRN_SHA256_BYTES };

/* What a folder has of one hash. */
struct found {
    uint8_t hash[CAIRN_SHA256_BYTES];
    bool there, dead; /* the object; a tombstone */
    bool taken, live;
    uint64_t age_ms;
    uint64_t dead_age_ms, dead_number, dead_ms;
};

struct keeper_collector {
    struct keeper *keeper;
    struct cairn_node *node;
    uint64_t every_ns, grace_ms;
    struct keeper_past past;

    atomic_bool changed; /* since the round was begun with; any worker sets it */
    uint64_t next_ns;    /* of worker 0's clock: the next folder */
    uint32_t folder;
    bool running, unfinished; /* a folder is under way; the round has left something */

    /* Of a folder: the task's while it is out, else that worker's which has the message. */
    struct found *found;
    uint32_t count, room, at, end; /* the batch: at .. end */
    bool may;
    uint64_t oldest, oldest_ms, newest; /* versions of the node */
    struct space *asked;
    enum cairn_code code;
    struct cairn_err err;
    struct cairn_task task;
    struct message message;
};

/* --- names -------------------------------------------------------------------------------------- */

static void tombstone_name(const struct found *found, char to[CAIRN_BLOB_NAME_BYTES])
{
    char name[KEEPER_BLOB_NAME_BYTES];

    keeper_blob_name(found->hash, name);
    snprintf(to, CAIRN_BLOB_NAME_BYTES, "%s.%llu.%llu", name, (unsigned long long)found->dead_number,
             (unsigned long long)found->dead_ms);
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: it is none of ours. */
static bool read_name(const char *name, struct found *to)
{
    unsigned long long number, ms;
    int size = 0;

    for (int i = 0; i < CAIRN_SHA256_BYTES; i++) {
        int high = digit_of(name[2 * i]), low = high < 0 ? -1 : digit_of(name[2 * i + 1]);

        if (low < 0)
            return false;
        to->hash[i] = (uint8_t)(high << 4 | low);
    }
    if (!name[HEX]) {
        to->there = true;
        return true;
    }
    if (sscanf(name + HEX, ".%llu.%llu%n", &number, &ms, &size) != 2 || name[HEX + size])
        return false;
    to->dead = true;
    to->dead_number = number;
    to->dead_ms = ms;
    return true;
}

/* --- listing, on a task ------------------------------------------------------------------------- */

static void come_back(struct keeper_collector *c, void (*receive)(struct cairn_worker *, struct message *))
{
    c->message = (struct message){.receive = receive};
    worker_post(c->node, 0, &c->message);
}

static void take_name(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct keeper_collector *c = context;
    struct found found = {0};

    (void)bytes;
    if (!read_name(name, &found) || found.hash[0] != c->folder)
        return;
    if (found.there)
        found.age_ms = age_ms;
    else
        found.dead_age_ms = age_ms;
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 256;
        c->found = cairn_realloc(c->found, c->room * sizeof *c->found);
    }
    c->found[c->count++] = found;
}

/* By hash; the object, then tombstones, the newest first. */
static int compare(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int order = memcmp(x->hash, y->hash, sizeof x->hash);

    if (order || x->there != y->there)
        return order ? order : y->there - x->there;
    return x->dead_number != y->dead_number ? (x->dead_number < y->dead_number ? 1 : -1)
                                            : (x->dead_ms < y->dead_ms) - (x->dead_ms > y->dead_ms);
}

static enum cairn_code remove_tombstone(struct keeper_collector *c, const struct found *found)
{
    struct cairn_blob *store = c->keeper->blobs.store;
    char name[CAIRN_BLOB_NAME_BYTES];

    tombstone_name(found, name);
    return store->ops->remove(store, name, &c->err);
}

/* An entry for each object that is old enough to be asked about.  Tombstones without an object go, and second ones. */
static void merge(struct keeper_collector *c)
{
    uint32_t kept = 0;

    if (c->count)
        qsort(c->found, c->count, sizeof *c->found, compare);
    for (uint32_t i = 0; i < c->count && c->code == CAIRN_OK; i++) {
        struct found found = c->found[i];
        struct found *last = kept ? &c->found[kept - 1] : NULL;
        bool same = last && memcmp(last->hash, found.hash, sizeof found.hash) == 0;

        if (found.there) {
            c->found[kept++] = found;
        } else if (same && !last->dead) {
            last->dead = true;
            last->dead_age_ms = found.dead_age_ms;
            last->dead_number = found.dead_number;
            last->dead_ms = found.dead_ms;
        } else {
            c->code = remove_tombstone(c, &found);
        }
    }
    c->count = kept;
    kept = 0;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->found[i].age_ms >= c->grace_ms)
            c->found[kept++] = c->found[i];
        else
            c->unfinished = true;
    c->count = kept;
}

static void look_at_past(struct keeper_collector *c)
{
    c->may = true;
    c->oldest = c->oldest_ms = UINT64_MAX;
    c->newest = 0;
    if (c->past.look)
        c->may = c->past.look(c->past.context, &c->oldest, &c->oldest_ms, &c->newest);
}

static void listed(struct cairn_worker *worker, struct message *message);

static void run_list(struct cairn_task *task)
{
    struct keeper_collector *c = cairn_container(task, struct keeper_collector, task);
    struct cairn_blob *store = c->keeper->blobs.store;
    char folder[16];

    keeper_register_begin(&c->keeper->blobs.reg, (int)c->folder); /* before what is listed can be put again */
    look_at_past(c);
    c->count = 0;
    snprintf(folder, sizeof folder, "keeper/%02x", c->folder);
    c->code = store->ops->list(store, folder, take_name, c, &c->err);
    if (c->code == CAIRN_OK)
        merge(c);
    come_back(c, listed);
}

/* --- what may go -------------------------------------------------------------------------------- */

/* The tombstone was made after the object's last put. */
static bool counts(const struct keeper_collector *c, const struct found *found)
{
    return found->dead && found->age_ms > found->dead_age_ms + c->grace_ms / 2;
}

/* If it is dead still, nothing that is kept refers to it. */
static bool is_ripe(const struct keeper_collector *c, const struct found *found)
{
    return c->may && counts(c, found) && found->dead_age_ms >= c->grace_ms && c->oldest > found->dead_number &&
           c->oldest_ms > found->dead_ms;
}

/* --- acting, on a task -------------------------------------------------------------------------- */

static enum cairn_code bury(struct keeper_collector *c, struct found *found)
{
    struct cairn_clock *clock = c->node->options.clock;
    struct cairn_blob *store = c->keeper->blobs.store;
    char name[CAIRN_BLOB_NAME_BYTES];

    found->dead_number = c->newest;
    found->dead_ms = clock->wall_ms(clock);
    tombstone_name(found, name);
    return store->ops->put(store, name, cairn_bytes(NULL, 0), &c->err);
}

static enum cairn_code act_on(struct keeper_collector *c, struct found *found)
{
    struct cairn_blob *store = c->keeper->blobs.store;
    char name[KEEPER_BLOB_NAME_BYTES];
    enum cairn_code code;

    if (found->live)
        return found->dead ? remove_tombstone(c, found) : CAIRN_OK;
    if (found->taken) {
        keeper_blob_name(found->hash, name);
        code = store->ops->remove(store, name, &c->err);
        return code == CAIRN_OK ? remove_tombstone(c, found) : code;
    }
    c->unfinished = true;
    if (!found->dead)
        return bury(c, found);
    return counts(c, found) ? CAIRN_OK : remove_tombstone(c, found);
}

static void acted(struct cairn_worker *worker, struct message *message);

static void run_act(struct cairn_task *task)
{
    struct keeper_collector *c = cairn_container(task, struct keeper_collector, task);

    look_at_past(c); /* a version that was ended meanwhile may refer to what has died since it was begun with */
    for (uint32_t i = c->at; i < c->end; i++) {
        struct found *found = &c->found[i];

        if (c->code == CAIRN_OK)
            c->code = act_on(c, found);
        if (found->taken)
            keeper_register_give(&c->keeper->blobs.reg, found->hash);
    }
    come_back(c, acted);
}

/* --- asking ------------------------------------------------------------------------------------- */

struct reference {
    struct cairn_taker taker; /* first */
    bool found;
};

static bool take_reference(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    (void)key;
    (void)value;
    ((struct reference *)taker)->found = true;
    return false;
}

/* A tree's field `blobs` has the first eight bytes of a hash, then the node's key: more than there is may be live. */
static bool refers(struct ordered *map, const uint8_t *hash)
{
    struct reference reference = {.taker = {.take = take_reference, .want = 1, .keys_only = true}};
    uint8_t low[8], high[8];
    struct cairn_range range = {.low = cairn_bytes(low, 8), .high = cairn_bytes(high, 8)};

    memcpy(low, hash, 8);
    range.no_high = cairn_get_be64(hash) == UINT64_MAX;
    cairn_put_be64(high, cairn_get_be64(hash) + 1);
    ordered_read(map, &range, &reference.taker);
    return reference.found;
}

static void all_live(struct keeper_collector *c)
{
    for (uint32_t i = c->at; i < c->end; i++)
        c->found[i].live = true;
}

/* The batch, of the namespace's tree.  What cannot be told is live. */
static void look_at_tree(struct keeper_collector *c, struct keeper_worker *kw, struct invocation *inv)
{
    const struct type *type = type_find(kw->worker, inv->space, cairn_str("Tree"));
    struct shard *shard = worker_shard(kw->worker, keeper_tree_shard(c->node, inv->space));
    struct keeper_view view = {0};
    struct object *object;
    struct ordered map;

    if (!type_has_methods(type))
        return;
    object = object_get(kw->worker, shard, type->number, cairn_str(CAIRN_KEEPER_TREE_ID));
    if (!object->loaded)
        object_load(object);
    if (!object->loaded || !keeper_view_bind(&view, type)) {
        all_live(c);
        return;
    }
    dependency_join(&inv->depends, object->last);
    if (!object->header.incarnation)
        return;
    overlay_reset(&kw->overlay, shard->engine);
    ordered_init(&map, &kw->overlay, object->header.incarnation, view.fields[FIELD_BLOBS]);
    for (uint32_t i = c->at; i < c->end; i++)
        c->found[i].live = c->found[i].live || refers(&map, c->found[i].hash);
    if (kw->overlay.code != CAIRN_OK)
        all_live(c);
    kw->overlay.code = CAIRN_OK;
}

/* At the tree's owner. */
static void look(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;

    look_at_tree(worker->node->keeper->collector, keeper_worker_of(worker), inv);
    inv->message.receive = hold_answer;
    worker_send(worker, 0, &inv->message);
}

static void told(struct cairn_worker *worker, const struct invocation *inv);

static const struct operation collect_operation = {.name = "collect", .receive = hold_answer, .told = told};

/* The next tree; behind the last one the batch is acted on. */
static void ask_next(struct keeper_collector *c)
{
    struct cairn_worker *worker = &c->node->workers[0];
    struct invocation *inv;

    do
        c->asked = c->asked ? space_next(c->asked) : c->node->spaces.first;
    while (c->asked && !c->asked->parent);
    if (!c->asked) {
        c->task.run = run_act;
        cairn_tasks_submit(c->keeper->blobs.tasks, &c->task);
        return;
    }
    inv = invocation_new(worker, &collect_operation);
    inv->space = c->asked;
    inv->origin = 0;
    inv->message.receive = look;
    worker_send(worker, node_owner(c->node, keeper_tree_shard(c->node, c->asked)), &inv->message);
}

static void told(struct cairn_worker *worker, const struct invocation *inv)
{
    struct keeper_collector *c = worker->node->keeper->collector;

    if (inv->failed)
        all_live(c);
    ask_next(c);
}

/* --- a folder, on worker 0 ---------------------------------------------------------------------- */

static void end_folder(struct keeper_collector *c)
{
    if (c->code != CAIRN_OK) {
        c->unfinished = true;
        cairn_tell(c->node->options.events,
                   &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                         .from = "keeper",
                                         .kind = "blob_collect",
                                         .text = "data of nodes that nothing refers to any more could not be removed "
                                                 "from the blob store; it is tried again later",
                                         .fields = {{.key = "reason", .text = c->err.text}}});
    }
    keeper_register_begin(&c->keeper->blobs.reg, -1);
    free(c->found);
    c->found = NULL;
    c->count = c->room = 0;
    c->folder = (c->folder + 1) % FOLDERS;
    c->running = false;
}

static void next_batch(struct keeper_collector *c)
{
    if (c->code != CAIRN_OK || c->at == c->count) {
        end_folder(c);
        return;
    }
    c->end = c->count - c->at < BATCH ? c->count : c->at + BATCH;
    for (uint32_t i = c->at; i < c->end; i++)
        c->found[i].taken = is_ripe(c, &c->found[i]) && keeper_register_take(&c->keeper->blobs.reg, c->found[i].hash);
    c->asked = NULL;
    ask_next(c);
}

static void listed(struct cairn_worker *worker, struct message *message)
{
    struct keeper_collector *c = cairn_container(message, struct keeper_collector, message);

    (void)worker;
    c->at = 0;
    next_batch(c);
}

static void acted(struct cairn_worker *worker, struct message *message)
{
    struct keeper_collector *c = cairn_container(message, struct keeper_collector, message);

    (void)worker;
    c->at = c->end;
    next_batch(c);
}

/* --- rounds ------------------------------------------------------------------------------------- */

struct keeper_collector *keeper_collector_open(struct keeper *keeper, const struct keeper_options *options)
{
    struct keeper_collector *c;

    if (!options->store || options->blob_bytes == UINT32_MAX || !options->collect_every_ns)
        return NULL;
    c = cairn_alloc_zeroed(1, sizeof *c);
    c->keeper = keeper;
    c->node = keeper->blobs.node;
    c->every_ns = options->collect_every_ns;
    c->grace_ms = options->collect_every_ns / 1000000;
    c->past = options->past;
    atomic_init(&c->changed, true);
    return c;
}

void keeper_collector_close(struct keeper_collector *c)
{
    if (c)
        free(c->found);
    free(c);
}

void keeper_collector_wake(struct keeper_collector *c)
{
    if (c && !atomic_load_explicit(&c->changed, memory_order_relaxed))
        atomic_store_explicit(&c->changed, true, memory_order_relaxed);
}

void keeper_collector_step(struct keeper_collector *c)
{
    uint64_t now;

    if (!c || c->running)
        return;
    now = worker_clock_ns(&c->node->workers[0]);
    if (!c->next_ns) /* a node that has just started has something else to do */
        c->next_ns = now + c->every_ns / FOLDERS;
    if (now < c->next_ns)
        return;
    if (c->folder == 0) {
        bool changed = atomic_exchange_explicit(&c->changed, false, memory_order_relaxed);

        c->next_ns = now + c->every_ns;
        if (!changed && !c->unfinished)
            return;
        c->unfinished = false;
    }
    c->next_ns = now + c->every_ns / FOLDERS;
    c->running = true;
    c->task.run = run_list;
    cairn_tasks_submit(c->keeper->blobs.tasks, &c->task);
}

uint64_t keeper_collector_next_ns(struct keeper_collector *c)
{
    uint64_t now;

    if (!c || c->running)
        return UINT64_MAX;
    now = worker_clock_ns(&c->node->workers[0]);
    return now < c->next_ns ? c->next_ns - now : 0;
}
