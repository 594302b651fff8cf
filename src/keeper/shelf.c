#include "keeper/shelf.h"

#include <stdlib.h>

#include "keeper/keeper_internal.h"

struct shelf_item {
    struct keeper_item item; /* by the first bytes of the hash */
    uint8_t hash[CAIRN_SHA256_BYTES];
    uint32_t bytes, loans;
    bool there;
    struct cairn_buf data;
    struct cairn_link at;      /* shelf->free */
    struct cairn_link waiting; /* loans, while it is fetched */
    struct keeper_worker *kw;
    struct cairn_task task;
    struct message message;
    enum cairn_code code;
    struct cairn_err err;
};

static uint64_t key_of(const uint8_t hash[CAIRN_SHA256_BYTES])
{
    return cairn_get_u64(hash);
}

static size_t weight_of(const struct shelf_item *item)
{
    return sizeof *item + item->bytes;
}

static struct shelf_item *find(struct keeper_shelf *shelf, const uint8_t hash[CAIRN_SHA256_BYTES])
{
    for (struct keeper_item *i = keeper_map_find(&shelf->items, key_of(hash)); i; i = keeper_map_next(i)) {
        struct shelf_item *item = cairn_container(i, struct shelf_item, item);

        if (memcmp(item->hash, hash, sizeof item->hash) == 0)
            return item;
    }
    return NULL;
}

/* It is on no list. */
static void forget(struct shelf_item *item)
{
    keeper_map_remove(&item->kw->shelf.items, &item->item);
    cairn_purse_add(&item->kw->purse, -(int64_t)weight_of(item));
    cairn_buf_done(&item->data);
    free(item);
}

static void forget_oldest(struct keeper_shelf *shelf)
{
    struct shelf_item *item = cairn_container(cairn_list_pop_front(&shelf->free), struct shelf_item, at);

    shelf->bytes -= weight_of(item);
    forget(item);
}

static bool memory_is_short(const struct keeper_worker *kw)
{
    return cairn_budget_over(&kw->worker->node->memory, 7);
}

/* Nobody has it any more. */
static void lay_back(struct shelf_item *item)
{
    struct keeper_shelf *shelf = &item->kw->shelf;

    shelf->bytes += weight_of(item);
    cairn_list_push_back(&shelf->free, &item->at);
    while (!cairn_list_empty(&shelf->free) && (shelf->bytes > shelf->bytes_max || memory_is_short(item->kw)))
        forget_oldest(shelf);
}

static struct shelf_item *add(struct keeper_worker *kw, const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t bytes)
{
    struct shelf_item *item = cairn_alloc_zeroed(1, sizeof *item);

    memcpy(item->hash, hash, sizeof item->hash);
    item->bytes = bytes;
    item->kw = kw;
    cairn_list_init(&item->waiting);
    keeper_map_add(&kw->shelf.items, &item->item, key_of(hash));
    cairn_purse_add(&kw->purse, (int64_t)weight_of(item));
    return item;
}

static void give_up(struct shelf_item *item)
{
    if (--item->loans > 0)
        return;
    if (item->there)
        lay_back(item);
    else
        forget(item);
}

/* --- fetching --------------------------------------------------------------------------------------- */

static void tell(struct shelf_item *item, struct shelf_loan *loan)
{
    loan->code = item->code;
    loan->err = &item->err;
    loan->data = cairn_buf_bytes(&item->data);
    if (item->code != CAIRN_OK) {
        loan->item = NULL;
        item->loans--;
    }
    loan->ready(loan);
}

static void fetched(struct cairn_worker *worker, struct message *message)
{
    struct shelf_item *item = cairn_container(message, struct shelf_item, message);
    struct cairn_link *l;

    (void)worker;
    item->loans++; /* until all have been told: one may return it at once */
    item->there = item->code == CAIRN_OK;
    while ((l = cairn_list_pop_front(&item->waiting)))
        tell(item, cairn_container(l, struct shelf_loan, at));
    give_up(item);
}

static void fetch(struct cairn_task *task)
{
    struct shelf_item *item = cairn_container(task, struct shelf_item, task);
    struct cairn_node *node = item->kw->worker->node;

    item->code = keeper_blob_get(&node->keeper->blobs, item->hash, item->bytes, &item->data, &item->err);
    item->message.receive = fetched;
    worker_post(node, item->kw->worker->index, &item->message);
}

/* --- loans ------------------------------------------------------------------------------------------ */

void keeper_shelf_init(struct keeper_shelf *shelf, size_t bytes_max)
{
    shelf->bytes_max = bytes_max;
    cairn_list_init(&shelf->free);
}

void keeper_shelf_get(struct keeper_worker *kw, const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t bytes,
                      struct shelf_loan *loan)
{
    struct keeper_shelf *shelf = &kw->shelf;
    struct shelf_item *item = find(shelf, hash);
    struct cairn_err err;

    if (!item && memory_is_short(kw)) {
        while (!cairn_list_empty(&shelf->free))
            forget_oldest(shelf);
        loan->code = cairn_fail(&err, CAIRN_EOVERLOAD, "the node's memory (--memory) is used up");
        loan->err = &err;
        loan->ready(loan);
        return;
    }
    if (!item) {
        item = add(kw, hash, bytes);
        item->task.run = fetch;
        cairn_tasks_submit(kw->worker->node->keeper->blobs.tasks, &item->task);
    }
    if (item->there && item->loans == 0) {
        cairn_list_remove(&item->at);
        shelf->bytes -= weight_of(item);
    }
    item->loans++;
    loan->item = item;
    if (item->there)
        tell(item, loan);
    else
        cairn_list_push_back(&item->waiting, &loan->at);
}

void keeper_shelf_return(struct shelf_loan *loan)
{
    struct shelf_item *item = loan->item;

    loan->item = NULL;
    if (item)
        give_up(item);
}

void keeper_shelf_add(struct keeper_worker *kw, const uint8_t hash[CAIRN_SHA256_BYTES], struct cairn_buf *data)
{
    struct shelf_item *item;

    if (find(&kw->shelf, hash) || data->size > kw->shelf.bytes_max || memory_is_short(kw)) {
        cairn_buf_done(data);
        return;
    }
    item = add(kw, hash, (uint32_t)data->size);
    item->data = *data;
    item->there = true;
    *data = (struct cairn_buf){0};
    lay_back(item);
}

static void free_item(struct keeper_item *i, void *context)
{
    (void)context;
    forget(cairn_container(i, struct shelf_item, item));
}

void keeper_shelf_done(struct keeper_worker *kw)
{
    keeper_map_each(&kw->shelf.items, free_item, NULL);
    keeper_map_done(&kw->shelf.items);
}
