#include "keeper/fetch.h"

#include <stdlib.h>

struct keeper_fetch {
    struct keeper_task *task;
    struct cairn_buf value;
    void (*over)(struct keeper_task *task, struct answer *answer);
    uint32_t missing, count;
    struct fetched {
        struct shelf_loan loan;
        struct keeper_fetch *fetch;
        uint32_t slot;
    } of[];
};

enum { E_SYSTEM = -1 };

static struct cairn_bytes path_of(const struct keeper_ask *ask, uint32_t slot)
{
    return slot < ask->part_count ? ask->parts[slot].path : cairn_bytes(NULL, 0);
}

static void finish(struct keeper_fetch *fetch)
{
    struct keeper_task *task = fetch->task;
    struct keeper_ask *ask = task->ask;
    struct answer answer;

    task->fetch = NULL;
    answer_read(cairn_buf_bytes(&fetch->value), &answer);
    for (uint32_t i = 0; i < fetch->count; i++) {
        struct fetched *of = &fetch->of[i];

        if (of->loan.code == CAIRN_OK) {
            answer.slots[of->slot].data = of->loan.data;
        } else if (ask->op == KEEPER_MULTI_READ) {
            answer.slots[of->slot] = (struct keeper_slot){.error = E_SYSTEM};
        } else {
            answer.head.error = E_SYSTEM;
            answer.head.slots = 0;
            ask->why = "the data of the node cannot be had from the blob store";
        }
    }
    fetch->over(task, &answer);
    answer_done(&answer);
    for (uint32_t i = 0; i < fetch->count; i++)
        keeper_shelf_return(&fetch->of[i].loan);
    cairn_buf_done(&fetch->value);
    free(fetch);
}

static void ready(struct shelf_loan *loan)
{
    struct fetched *of = loan->context;
    struct keeper_fetch *fetch = of->fetch;
    const struct keeper_task *task = fetch->task;

    if (loan->code != CAIRN_OK)
        keeper_blob_tell(&task->worker->node->keeper->blobs, false, path_of(task->ask, of->slot), loan->code,
                         loan->err->text);
    if (--fetch->missing == 0)
        finish(fetch);
}

void keeper_fetch(struct keeper_task *task, struct cairn_bytes value,
                  void (*over)(struct keeper_task *task, struct answer *answer))
{
    struct keeper_fetch *fetch;
    struct answer answer;

    answer_read(value, &answer);
    fetch = cairn_alloc_zeroed(1, sizeof *fetch + answer.head.blobs * sizeof fetch->of[0]);
    fetch->task = task;
    fetch->over = over;
    cairn_buf_add(&fetch->value, value.data, value.size);
    task->fetch = fetch;
    for (uint32_t i = 0; i < answer.head.slots; i++)
        if (answer.slots[i].blob.size && fetch->count < answer.head.blobs)
            fetch->of[fetch->count++] = (struct fetched){.fetch = fetch, .slot = i, .loan.ready = ready};
    fetch->missing = fetch->count + 1; /* until all are asked for */
    for (uint32_t i = 0; i < fetch->count; i++) {
        struct fetched *of = &fetch->of[i];
        const uint8_t *blob = answer.slots[of->slot].blob.data;

        of->loan.context = of;
        keeper_shelf_get(keeper_worker_of(task->worker), blob + 4, cairn_get_u32(blob), &of->loan);
    }
    answer_done(&answer);
    if (--fetch->missing == 0)
        finish(fetch);
    else if (task->ask->decided)
        task->ask->decided(task->ask);
}

void keeper_fetch_drop(struct keeper_task *task)
{
    if (!task->fetch)
        return;
    cairn_buf_done(&task->fetch->value);
    free(task->fetch);
    task->fetch = NULL;
}
