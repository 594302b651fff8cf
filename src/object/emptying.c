#include "object/emptying.h"

#include <stdlib.h>

#include "object/clock.h"
#include "object/directory.h"
#include "object/durable.h"
#include "object/durable_cancel.h"
#include "object/durable_list.h"
#include "object/kept.h"
#include "object/layout.h"
#include "object/lock.h"
#include "object/purge.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    LOOKS_PER_STEP = 64,   /* at durable invocations */
    OBJECTS_PER_STEP = 16, /* one record */
    PAUSE_NS = 1000000,    /* between steps while requests are served */
    RETRY_NS = 10000000,   /* what is waited for comes by itself */
};

static struct shard *shard_of(struct cairn_worker *worker)
{
    return worker_shard(worker, worker->emptying.shard);
}

/* --- durable invocations ----------------------------------------------------------------------------------------- */

static bool is_meant(struct cairn_worker *worker, struct shard *shard, uint64_t number)
{
    struct durable_item item;

    return durable_item_get(worker, shard, number, &item) && item.head.type.data &&
           cairn_bytes_equal(space_payer_name(item.head.space), worker->emptying.space->name);
}

/* Some of the shard's.  True: it is through. */
static bool cancel_some(struct cairn_worker *worker)
{
    struct emptying *emptying = &worker->emptying;
    struct shard *shard = shard_of(worker);
    struct overlay overlay = {0};
    struct dependency record;
    bool over = false;

    for (int looks = 0; looks < LOOKS_PER_STEP && !over; looks++) {
        uint64_t number;
        enum cairn_code code = CAIRN_OK;

        overlay_reset(&overlay, shard->engine);
        number = durable_next(&overlay, emptying->invocation);
        emptying->stays |= overlay.code != CAIRN_OK;
        over = !number;
        if (over)
            break;
        if (is_meant(worker, shard, number))
            code = durable_cancel_now(worker, shard, number, &record, NULL);
        (void)cairn_engine_take_failure(shard->engine, NULL);
        emptying->stays |= code != CAIRN_OK && code != CAIRN_ENOTFOUND;
        emptying->invocation = number;
    }
    overlay_done(&overlay);
    return over;
}

/* --- objects ----------------------------------------------------------------------------------------------------- */

/* Of one type in one shard, a step's. */
struct batch {
    struct cairn_worker *worker;
    struct type_entry *type;
    struct cairn_buf ids; /* sized each */
    uint32_t count;
    struct overlay overlay;
};

static bool take_id(void *context, struct cairn_bytes id)
{
    struct batch *batch = context;

    cairn_buf_varint(&batch->ids, id.size);
    cairn_buf_add(&batch->ids, id.data, id.size);
    return ++batch->count < OBJECTS_PER_STEP;
}

static struct object *in_memory(const struct batch *batch, struct cairn_bytes id)
{
    uint8_t bytes[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX];
    struct cairn_bytes key = cairn_bytes(bytes, key_header(bytes, batch->type->number, id));

    return object_find(batch->worker, key, cairn_hash(key));
}

/* What is under way at it ends first. */
static bool is_busy(const struct object *object)
{
    return object && (object->refs || object->lock);
}

static void delete_one(struct batch *batch, struct shard *shard, struct cairn_bytes id)
{
    const struct space *payer = batch->worker->emptying.space;
    uint8_t bytes[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX];
    struct cairn_bytes key = cairn_bytes(bytes, key_header(bytes, batch->type->number, id)), value;
    struct container containers[CAIRN_FIELD_NUMBER_MAX + 1];
    struct header header = {.containers = containers, .room = CAIRN_FIELD_NUMBER_MAX + 1};

    if (overlay_get(&batch->overlay, key, &value) && header_decode(value, &header))
        purge_queue(shard, &batch->overlay, &header, batch->type->values, batch->type->value_count,
                    payer->counts ? payer->name : cairn_bytes(NULL, 0));
    overlay_remove(&batch->overlay, key);
    directory_remove(&batch->overlay, batch->type->number, id);
}

static void delete_all(struct batch *batch, struct shard *shard)
{
    struct emptying *emptying = &batch->worker->emptying;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&batch->ids));

    while (cairn_reader_left(&r)) {
        struct cairn_bytes id = cairn_read_sized(&r);

        if (is_busy(in_memory(batch, id)))
            emptying->stays = true;
        else
            delete_one(batch, shard, id);
        emptying->id.size = 0;
        cairn_buf_add(&emptying->id, id.data, id.size);
    }
}

/* The record is there: memory knows nothing of them either. */
static void forget_all(struct batch *batch)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&batch->ids));

    while (cairn_reader_left(&r)) {
        struct object *object = in_memory(batch, cairn_read_sized(&r));

        if (object && !is_busy(object))
            object_drop(batch->worker, object);
    }
}

static bool commit(struct batch *batch, struct shard *shard)
{
    struct space *space = batch->worker->emptying.space;
    struct shard_meta before = shard->meta;
    struct space_kept less;
    struct dependency record;

    delete_all(batch, shard);
    if (!batch->overlay.count)
        return batch->overlay.code == CAIRN_OK;
    kept_count(space, &batch->overlay, &less, NULL);
    if (shard_commit_own(batch->worker, shard, &batch->overlay, "emptied", &record, NULL) != CAIRN_OK) {
        shard->meta = before;
        kept_undo(space, less);
        return false;
    }
    shard->directory = record;
    batch->worker->emptying.purged[shard->index] = shard->meta.purge_end;
    forget_all(batch);
    return true;
}

/* Some objects of the type.  True: the shard has no more of it, but for those that stay. */
static bool delete_some(struct cairn_worker *worker)
{
    struct emptying *emptying = &worker->emptying;
    struct batch batch = {.worker = worker, .type = emptying->types[emptying->type]};
    struct shard *shard = shard_of(worker);
    bool over;

    overlay_reset(&batch.overlay, shard->engine);
    directory_scan(&batch.overlay, batch.type->number, cairn_bytes(NULL, 0), cairn_buf_bytes(&emptying->id), take_id,
                   &batch);
    over = batch.count < OBJECTS_PER_STEP;
    if (batch.overlay.code != CAIRN_OK || !commit(&batch, shard))
        emptying->stays = true; /* the next pass finds them again */
    overlay_done(&batch.overlay);
    cairn_buf_done(&batch.ids);
    return over;
}

/* --- passes ------------------------------------------------------------------------------------------------------ */

static void begin_pass(struct cairn_worker *worker)
{
    struct emptying *emptying = &worker->emptying;

    emptying->phase = EMPTYING_INVOCATIONS;
    emptying->shard = worker->index;
    emptying->type = 0;
    emptying->invocation = 0;
    emptying->id.size = 0;
    /* What is at an object may still write, and call durable methods. */
    emptying->stays = objects_in_use(worker, emptying->numbers, emptying->type_count) ||
                      durable_in_use(worker, emptying->numbers, emptying->type_count);
}

static void step_pass(struct cairn_worker *worker)
{
    struct emptying *emptying = &worker->emptying;

    if (emptying->phase == EMPTYING_INVOCATIONS) {
        if (!cancel_some(worker))
            return;
        emptying->invocation = 0;
        emptying->phase = EMPTYING_OBJECTS;
    } else if (emptying->type < emptying->type_count) {
        if (!delete_some(worker))
            return;
        emptying->id.size = 0;
        emptying->type++;
    } else {
        emptying->type = 0;
        emptying->phase = EMPTYING_INVOCATIONS;
        emptying->shard += worker->node->options.workers;
    }
}

/* What was deleted is purged, and its records are acknowledged. */
static bool is_purged(struct cairn_worker *worker)
{
    const struct emptying *emptying = &worker->emptying;

    for (uint32_t i = worker->index; i < worker->node->shard_count; i += worker->node->options.workers) {
        const struct shard *shard = worker_shard(worker, i);

        if (shard->meta.purge_first < emptying->purged[i])
            return false;
        if (!dependency_acknowledged(worker->node, shard->directory)) {
            dependency_want(worker->node, shard->directory);
            return false;
        }
    }
    return true;
}

static void forget(struct emptying *emptying)
{
    for (uint32_t i = 0; i < emptying->type_count; i++)
        type_entry_unref(emptying->types[i]);
    free(emptying->types);
    free(emptying->numbers);
    free(emptying->purged);
    cairn_buf_done(&emptying->id);
    *emptying = (struct emptying){0};
}

static void pause_until(struct cairn_worker *worker, uint64_t wait_ns)
{
    worker->emptying.next_ns = worker_recent_ns(worker) + wait_ns;
}

static bool step(struct cairn_worker *worker)
{
    struct emptying *emptying = &worker->emptying;

    if (__builtin_expect(!emptying->space, 1) || worker->failed || worker_recent_ns(worker) < emptying->next_ns)
        return false;
    if (emptying->phase == EMPTYING_REST) {
        struct message *told = emptying->told;

        if (!is_purged(worker)) {
            pause_until(worker, RETRY_NS);
            return false;
        }
        forget(emptying);
        worker_send(worker, 0, told);
        return true;
    }
    if (emptying->shard >= worker->node->shard_count) { /* a pass is over */
        if (emptying->stays) {
            begin_pass(worker);
            pause_until(worker, RETRY_NS);
            return false;
        }
        emptying->phase = EMPTYING_REST;
        return true;
    }
    step_pass(worker);
    if (!worker->served)
        return true;
    pause_until(worker, PAUSE_NS);
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    uint64_t now;

    if (!worker->emptying.space || worker->failed)
        return UINT64_MAX;
    now = worker_recent_ns(worker);
    return now < worker->emptying.next_ns ? worker->emptying.next_ns - now : 0;
}

const struct housekeeper emptying_housekeeper = {.name = "emptying of namespaces", .step = step, .next_ns = next_ns};

/* --- from above -------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void emptying_begin(struct cairn_worker *worker, struct space *space, struct type_entry *const *types, uint32_t count,
                    struct message *told)
{
    struct emptying *emptying = &worker->emptying;

    *emptying = (struct emptying){
        .space = space,
        .types = cairn_alloc_zeroed(count + 1, sizeof *emptying->types),
        .numbers = cairn_alloc_zeroed(count + 1, sizeof *emptying->numbers),
        .purged = cairn_alloc_zeroed(worker->node->shard_count + 1, sizeof *emptying->purged),
        .type_count = count,
        .told = told,
    };
    for (uint32_t i = 0; i < count; i++) {
        emptying->types[i] = type_entry_ref(types[i]);
        emptying->numbers[i] = types[i]->number;
        types_remove(worker, types[i]);
    }
    qsort(emptying->numbers, count, sizeof *emptying->numbers, by_number);
    /* What objects were deleted before a crash is purged, too. */
    for (uint32_t i = worker->index; i < worker->node->shard_count; i += worker->node->options.workers)
        emptying->purged[i] = worker_shard(worker, i)->meta.purge_end;
    begin_pass(worker);
}

void emptying_close(struct cairn_worker *worker)
{
    forget(&worker->emptying);
}
