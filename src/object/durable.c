#include "object/durable_internal.h"

#include <stdlib.h>

#include "object/account.h"
#include "object/clock.h"
#include "object/durable_head.h"
#include "object/journal.h"
#include "object/layout.h"
#include "object/once.h"
#include "object/table.h"
#include "object/worker.h"

enum {
    AT_ONCE = 64,             /* recovered ones under way, of one worker */
    BYTES_AT_ONCE = 64 << 20, /* of their journals */
    STARTS_PER_STEP = 16,
    PUT_OFF_NS = 1000000000,
};

/* A version of a type that open invocations have. */
struct version {
    struct type *type;
    uint32_t count;
};

struct durables {
    void (*enter)(struct invocation *inv); /* the mailbox of its object */
    struct version *versions;
    uint32_t version_count, version_room;
    struct cairn_link parked;    /* put off */
    struct cairn_link recovered; /* under way */
    uint32_t recovered_count;
    uint64_t recovered_bytes;
    uint32_t shard; /* where the next to start is looked for; shard_count: all have been started */
    uint64_t after; /* number of the last in that shard */
};

/* --- an invocation's part ------------------------------------------------------------------------------ */

static void drop(struct cairn_worker *worker, struct invocation *inv)
{
    struct durable *d = inv->durable;

    if (d->charged)
        account_dropped(worker, inv->job, d->charged);
    cairn_list_remove(&d->parked);
    cairn_list_remove(&d->live);
    if (d->recovered) {
        worker->durables->recovered_count--;
        worker->durables->recovered_bytes -= d->recovered_bytes;
    }
    cairn_buf_done(&d->tail);
    cairn_buf_done(&d->journal);
    free(d->drops);
    free(d->resolved);
    free(d);
    inv->durable = NULL;
}

void durable_make(struct invocation *inv)
{
    inv->durable = cairn_alloc_zeroed(1, sizeof *inv->durable);
    cairn_list_init(&inv->durable->parked);
    cairn_list_init(&inv->durable->live);
    inv->durable->inv = inv;
    inv->durable->drop = drop;
}

void durable_tail_free(struct invocation *inv)
{
    struct durable *d = inv->durable;

    if (d->charged)
        account_dropped(inv->worker, inv->job, d->charged);
    d->charged = 0;
    d->tail.size = 0;
    if (d->tail.capacity > CHUNK_BYTES)
        cairn_buf_done(&d->tail);
    if (!d->replays) { /* the run has come past it, and what it has done since is committed */
        cairn_buf_done(&d->journal);
        free(d->resolved);
        d->resolved = NULL;
        d->resolved_count = 0;
    }
}

/* --- versions of types --------------------------------------------------------------------------------- */

static bool is_of_module(const struct type *type, const struct space *space, struct cairn_bytes name,
                         const uint8_t *hash)
{
    return memcmp(type->module->hash, hash, CAIRN_SHA256_BYTES) == 0 && cairn_bytes_equal(type->name, name) &&
           type->space == space;
}

static struct version *find_version(const struct durables *ds, const struct space *space, struct cairn_bytes name,
                                    const uint8_t *hash)
{
    for (uint32_t i = 0; i < ds->version_count; i++)
        if (is_of_module(ds->versions[i].type, space, name, hash))
            return &ds->versions[i];
    return NULL;
}

void durable_version_take(struct cairn_worker *worker, struct type *type)
{
    struct durables *ds = worker->durables;
    struct version *version = find_version(ds, type->space, type->name, type->module->hash);

    if (version) {
        version->count++;
        return;
    }
    if (ds->version_count == ds->version_room) {
        ds->version_room = ds->version_room ? 2 * ds->version_room : 8;
        ds->versions = cairn_realloc(ds->versions, ds->version_room * sizeof *ds->versions);
    }
    ds->versions[ds->version_count++] = (struct version){.type = type_ref(type), .count = 1};
}

void durable_version_leave(struct cairn_worker *worker, const struct type *type)
{
    struct durables *ds = worker->durables;
    struct version *version = find_version(ds, type->space, type->name, type->module->hash);

    if (--version->count)
        return;
    type_unref(version->type);
    *version = ds->versions[--ds->version_count];
}

uint32_t durable_in_use(const struct cairn_worker *worker, const uint32_t *types, uint32_t count)
{
    const struct durables *ds = worker->durables;

    for (uint32_t i = 0; i < ds->version_count; i++)
        for (uint32_t k = 0; k < count; k++)
            if (types[k] == ds->versions[i].type->number)
                return types[k];
    return 0;
}

/* --- from the shard ------------------------------------------------------------------------------------ */

/* Reads the journal, and which calls it has outcomes of; those are told to be forgotten, as they may not have been. */
static enum cairn_code load_journal(struct invocation *inv, bool tell, struct cairn_err *err)
{
    struct durable *d = inv->durable;
    struct shard *shard = inv->object->shard;
    struct cairn_view *engine = shard->engine;
    struct journal_entry entry;
    struct cairn_reader r;
    enum cairn_code code;

    d->journal.size = 0;
    for (d->chunks = 0;; d->chunks++) {
        uint8_t key[FIELD_KEY_FIXED_MAX];
        struct cairn_bytes k = cairn_bytes(key, durable_chunk_key(key, d->number, d->chunks)), chunk;

        if (!engine->ops->get(engine, k, cairn_hash(k), &chunk))
            break;
        cairn_buf_add(&d->journal, chunk.data, chunk.size);
    }
    code = cairn_engine_take_failure(engine, err);
    if (code != CAIRN_OK)
        return code;
    d->bytes = d->journal.size;
    for (r = cairn_reader(cairn_buf_bytes(&d->journal)); cairn_reader_left(&r);) {
        struct called called = {.number = d->number, .shard = shard->index};

        if (!journal_read(&r, &entry))
            return cairn_fail(err, CAIRN_ECORRUPT, "its journal cannot be read");
        if (entry.op == JOURNAL_CALL)
            d->resolved_count++;
        if (entry.op != JOURNAL_OUTCOME)
            continue;
        called.call = entry.call;
        if (tell)
            called_done(inv->worker, &called, entry.shard, (struct dependency){0});
    }
    free(d->resolved);
    d->resolved = cairn_alloc_zeroed(d->resolved_count + 1, 1);
    for (r = cairn_reader(cairn_buf_bytes(&d->journal)); cairn_reader_left(&r) && journal_read(&r, &entry);)
        if (entry.op == JOURNAL_OUTCOME && entry.call < d->resolved_count)
            d->resolved[entry.call] = 1;
    d->at = 0;
    d->entry = 0;
    d->replays = d->journal.size > 0;
    return CAIRN_OK;
}

static enum cairn_code take_key(struct invocation *inv, const struct durable_head *head, struct cairn_err *err)
{
    if (head->key_kind == DURABLE_KEY_NONE)
        return CAIRN_OK;
    if (head->key_kind == DURABLE_KEY_CLIENT) {
        once_make(inv, head->key);
    } else {
        inv->called = head->called;
        once_make_called(inv);
    }
    return once_again(inv, err);
}

/* Into its object's mailbox, without anybody who waits for it. */
static enum cairn_code start(struct cairn_worker *worker, struct shard *shard, uint64_t number,
                             struct cairn_bytes bytes, struct invocation **ret_inv, struct cairn_err *err)
{
    struct durables *ds = worker->durables;
    struct invocation *inv = invocation_new(worker, worker->node->operations[CAIRN_OP_INVOKE]);
    struct durable_head head;
    const struct version *version;
    enum cairn_code code;

    if (inv->payload_room < bytes.size) {
        inv->payload = cairn_realloc(inv->payload, bytes.size);
        inv->payload_room = bytes.size;
    }
    memcpy(inv->payload, bytes.data, bytes.size);
    inv->worker = worker;
    inv->origin = worker->index;
    inv->shard = shard->index;
    if (!durable_head_decode(cairn_bytes(inv->payload, bytes.size), &head)) {
        invocation_free(worker, inv);
        return cairn_fail(err, CAIRN_ECORRUPT, "its head cannot be read");
    }
    inv->space = spaces_intern(&worker->node->spaces, head.space);
    version = find_version(ds, inv->space, head.type, head.module.data);
    inv->method = version ? type_method(version->type, head.method) : NULL;
    if (!inv->method) {
        invocation_free(worker, inv);
        return cairn_fail(err, CAIRN_ECORRUPT, "there is no method %.*s.%.*s in the module that it began with",
                          (int)head.type.size, (const char *)head.type.data, (int)head.method.size,
                          (const char *)head.method.data);
    }
    inv->type = type_ref(version->type);
    inv->type_name = head.type;
    inv->id = head.id;
    inv->method_name = head.method;
    inv->args = head.args;
    inv->caller_type = head.caller_type;
    inv->caller_id = head.caller_id;
    inv->depth = head.depth;
    inv->started_ns = worker_recent_ns(worker);
    inv->object = object_get(worker, shard, inv->type->number, inv->id);
    object_ref(worker, inv->object);
    inv->number = ++worker->invocation_count;
    inv->effects = CAIRN_EFFECTS_SOME;
    job_resumed(inv, &head.parent);
    durable_make(inv);
    inv->durable->number = number;
    inv->durable->recorded = inv->durable->recovered = true;
    ds->recovered_count++;
    cairn_list_push_back(&ds->recovered, &inv->durable->live);
    code = load_journal(inv, true, err);
    if (code == CAIRN_OK)
        code = take_key(inv, &head, err);
    if (code != CAIRN_OK) {
        if (inv->keyed)
            cairn_list_remove(&once_of(inv)->keyed);
        object_unref(worker, inv->object);
        type_unref(inv->type);
        invocation_free(worker, inv);
        return code;
    }
    inv->durable->recovered_bytes = inv->durable->bytes;
    ds->recovered_bytes += inv->durable->bytes;
    cairn_list_push_back(&worker->live, &inv->live);
    worker->durables->enter(inv);
    *ret_inv = inv;
    return CAIRN_OK;
}

static struct invocation *find_recovered(const struct durables *ds, const struct shard *shard, uint64_t number)
{
    for (struct cairn_link *l = ds->recovered.next; l != &ds->recovered; l = l->next) {
        struct durable *d = cairn_container(l, struct durable, live);
        if (d->number == number && d->inv->object->shard == shard)
            return d->inv;
    }
    return NULL;
}

static struct invocation *load(struct cairn_worker *worker, struct shard *shard, uint64_t number)
{
    struct invocation *inv = find_recovered(worker->durables, shard, number);
    struct cairn_bytes head;
    struct cairn_err err;

    if (inv || !durable_head_get(shard->engine, number, &head)) {
        (void)cairn_engine_take_failure(shard->engine, NULL);
        return inv;
    }
    if (start(worker, shard, number, head, &inv, &err) == CAIRN_OK)
        return inv;
    cairn_tell(worker->node->options.events,
               &(struct cairn_event){
                   .level = CAIRN_LEVEL_ERROR,
                   .from = "durable",
                   .kind = "durable_not_resumed",
                   .text = "a durable invocation does not go on; it is tried again at the next start",
                   .fields = {{"invocation", NULL, number}, {"shard", NULL, shard->index}, {"error", err.text, 0}},
               });
    return NULL;
}

struct once *durable_of_key(struct cairn_worker *worker, struct shard *shard, uint64_t number)
{
    struct invocation *inv = load(worker, shard, number);

    return inv ? once_of(inv) : NULL;
}

/* --- put off --------------------------------------------------------------------------------------------- */

bool durable_goes_on(const struct invocation *inv)
{
    return durable_recorded(inv) && inv->refused && !inv->worker->failed;
}

void durable_put_off(struct cairn_worker *worker, struct invocation *inv)
{
    struct durable *d = inv->durable;

    invocation_move(inv, INV_ASLEEP);
    invocation_forget_calls(worker, inv);
    d->replays = false;
    durable_tail_free(inv);
    d->drop_count = 0;
    inv->result.size = 0;
    inv->failed = inv->refused = inv->resumes = false;
    d->wake_ns = worker_clock_ns(worker) + PUT_OFF_NS;
    cairn_list_push_back(&worker->durables->parked, &d->parked);
}

static void wake(struct cairn_worker *worker, struct durable *d)
{
    struct invocation *inv = d->inv;
    struct cairn_err err;

    d->resolved_count = 0;
    if (load_journal(inv, false, &err) == CAIRN_OK) {
        worker->durables->enter(inv);
        return;
    }
    d->wake_ns = worker_clock_ns(worker) + PUT_OFF_NS;
    cairn_list_push_back(&worker->durables->parked, &d->parked);
}

/* --- housekeeping ---------------------------------------------------------------------------------------- */

/* Starts what was open when the node was opened; those that began since have numbers of this epoch. */
static bool start_some(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;
    struct overlay overlay = {0};
    bool more = true;

    for (int n = 0; n < STARTS_PER_STEP && more; n++) {
        struct shard *shard = worker_shard(worker, ds->shard);
        uint64_t number = 0;

        if (ds->shard == worker->node->shard_count || ds->recovered_count >= AT_ONCE ||
            ds->recovered_bytes >= BYTES_AT_ONCE) {
            more = false;
            break;
        }
        if (shard->shard) {
            overlay_reset(&overlay, shard->engine);
            number = durable_next(&overlay, ds->after);
        }
        if (number == 0 || number >> 40 == shard->log->epoch) {
            ds->shard++;
            ds->after = 0;
            continue;
        }
        ds->after = number;
        load(worker, shard, number);
    }
    overlay_done(&overlay);
    return more;
}

static bool step(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;
    uint64_t now;

    if (worker->failed)
        return false;
    if (!cairn_list_empty(&ds->parked)) {
        now = worker_clock_ns(worker);
        while (!cairn_list_empty(&ds->parked)) {
            struct durable *d = cairn_container(ds->parked.next, struct durable, parked);
            if (d->wake_ns > now)
                break;
            cairn_list_remove(&d->parked);
            wake(worker, d);
        }
    }
    return ds->shard < worker->node->shard_count && start_some(worker);
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    return cairn_list_empty(&worker->durables->parked) ? UINT64_MAX : PUT_OFF_NS / 4;
}

const struct housekeeper durable_housekeeper = {.name = "durable invocations", .step = step, .next_ns = next_ns};

/* --- opening ----------------------------------------------------------------------------------------------- */

/* The version that it began with, which may be another than the current one. */
static enum cairn_code take_version(struct cairn_worker *worker, const struct durable_head *head, struct cairn_err *err)
{
    const struct space *space = spaces_intern(&worker->node->spaces, head->space);
    struct type *current = type_find(worker, space, head->type);
    const struct node_hooks *hooks = &worker->node->hooks;
    const struct version *version = find_version(worker->durables, space, head->type, head->module.data);
    struct type_entry *entry;
    struct type *type;
    enum cairn_code code;

    if (version || (current && is_of_module(current, space, head->type, head->module.data))) {
        durable_version_take(worker, version ? version->type : current);
        return CAIRN_OK;
    }
    code = hooks->type_version(worker->node, space, head->type, head->module.data, head->version, &entry, err);
    if (code != CAIRN_OK)
        return code;
    type = type_of_entry(worker, entry);
    type_entry_unref(entry);
    durable_version_take(worker, type);
    type_unref(type);
    return CAIRN_OK;
}

static enum cairn_code visit_open(struct shard *shard,
                                  enum cairn_code (*visit)(void *context, const struct durable_head *head,
                                                           struct cairn_err *err),
                                  void *context, struct cairn_err *err)
{
    struct overlay overlay = {0};
    struct tree tree = durable_tree(&overlay);
    struct tree_cursor cursor;
    enum cairn_code code = CAIRN_OK;

    overlay_reset(&overlay, shard->engine);
    for (bool there = tree_seek(&cursor, &tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)); there && code == CAIRN_OK;
         there = tree_next(&cursor)) {
        struct durable_head head;
        struct cairn_bytes bytes;

        if (tree_key(&cursor).size != 8 ||
            !durable_head_get(shard->engine, cairn_get_be64(tree_key(&cursor).data), &bytes) ||
            !durable_head_decode(bytes, &head))
            continue; /* it is told when it does not start */
        code = visit(context, &head, err);
    }
    if (code == CAIRN_OK && overlay.code != CAIRN_OK) {
        code = overlay.code;
        *err = overlay.err;
    }
    if (code == CAIRN_OK)
        code = cairn_engine_take_failure(shard->engine, err);
    overlay_done(&overlay);
    return code;
}

static enum cairn_code count_version(void *context, const struct durable_head *head, struct cairn_err *err)
{
    return take_version(context, head, err);
}

enum cairn_code durable_open(struct cairn_worker *worker, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; i < worker->node->shard_count && code == CAIRN_OK; i++)
        if (worker->shards[i].shard)
            code = visit_open(&worker->shards[i], count_version, worker, err);
    return code;
}

struct module_visit {
    void (*visit)(void *context, const uint8_t hash[CAIRN_SHA256_BYTES]);
    void *context;
};

static enum cairn_code visit_module(void *context, const struct durable_head *head, struct cairn_err *err)
{
    const struct module_visit *v = context;

    (void)err;
    v->visit(v->context, head->module.data);
    return CAIRN_OK;
}

enum cairn_code durable_visit_modules(struct cairn_node *node,
                                      void (*visit)(void *context, const uint8_t hash[CAIRN_SHA256_BYTES]),
                                      void *context, struct cairn_err *err)
{
    struct module_visit v = {visit, context};
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; i < node->shard_count && code == CAIRN_OK; i++)
        code = visit_open(worker_shard(&node->workers[node_owner(node, i)], i), visit_module, &v, err);
    return code;
}

void durable_init(struct cairn_worker *worker, void (*enter)(struct invocation *inv))
{
    worker->durables = cairn_alloc_zeroed(1, sizeof *worker->durables);
    worker->durables->enter = enter;
    cairn_list_init(&worker->durables->parked);
    cairn_list_init(&worker->durables->recovered);
}

void durable_close(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;

    if (!ds)
        return;
    for (uint32_t i = 0; i < ds->version_count; i++)
        type_unref(ds->versions[i].type);
    free(ds->versions);
    free(ds);
    worker->durables = NULL;
}
