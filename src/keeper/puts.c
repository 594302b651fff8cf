#include "keeper/puts.h"

#include <stdlib.h>

#include "keeper/collect.h"

struct keeper_puts {
    struct keeper_task *task;
    void (*over)(struct keeper_task *task);
    uint32_t missing, count;
    enum cairn_code code; /* of the first that failed */
    struct cairn_err err;
    struct part_put {
        struct keeper_put put; /* first */
        struct keeper_puts *puts;
        uint32_t part;
        size_t charged;
    } of[];
};

static void charge(struct keeper_worker *kw, int64_t bytes)
{
    cairn_purse_add(&kw->purse, bytes);
}

static void done(struct cairn_worker *worker, struct keeper_put *put)
{
    struct part_put *of = (struct part_put *)put;
    struct keeper_puts *puts = of->puts;
    struct keeper_worker *kw = keeper_worker_of(worker);
    const struct keeper_ask *ask = puts->task->ask;

    charge(kw, -(int64_t)of->charged);
    keeper_collector_wake(worker->node->keeper->collector); /* it is garbage if the write fails */
    if (put->code == CAIRN_OK) {
        keeper_shelf_add(kw, put->claim.hash, &put->data);
    } else if (puts->code == CAIRN_OK) {
        puts->code = put->code;
        puts->err = put->err;
        keeper_blob_tell(&worker->node->keeper->blobs, true, ask->parts[of->part].path, put->code, put->err.text);
    }
    cairn_buf_done(&put->data);
    if (--puts->missing == 0)
        puts->over(puts->task);
}

struct keeper_puts *keeper_puts_begin(struct keeper_task *task, void (*over)(struct keeper_task *task))
{
    struct keeper_blobs *blobs = &task->worker->node->keeper->blobs;
    const struct keeper_ask *ask = task->ask;
    struct keeper_puts *puts;
    uint32_t count = 0;

    for (uint32_t i = 0; i < ask->part_count; i++)
        count += keeper_blob_wants(blobs, ask->parts[i].path, ask->parts[i].data.size);
    if (!count)
        return NULL;
    puts = cairn_alloc_zeroed(1, sizeof *puts + count * sizeof puts->of[0]);
    puts->task = task;
    puts->over = over;
    puts->missing = count;
    for (uint32_t i = 0; i < ask->part_count; i++) {
        const struct keeper_part *part = &ask->parts[i];
        struct part_put *of = &puts->of[puts->count];

        if (!keeper_blob_wants(blobs, part->path, part->data.size))
            continue;
        *of = (struct part_put){.puts = puts, .part = i, .charged = part->data.size};
        of->put.worker = task->worker->index;
        of->put.done = done;
        cairn_buf_add(&of->put.data, part->data.data, part->data.size);
        charge(keeper_worker_of(task->worker), (int64_t)of->charged);
        puts->count++;
    }
    for (uint32_t i = 0; i < count; i++)
        keeper_blob_put(blobs, &puts->of[i].put);
    return puts;
}

bool keeper_puts_missing(const struct keeper_puts *puts)
{
    return puts && puts->missing > 0;
}

const char *keeper_puts_fault(const struct keeper_puts *puts)
{
    return puts && puts->code != CAIRN_OK ? puts->err.text : NULL;
}

const uint8_t *keeper_puts_hash(const struct keeper_puts *puts, uint32_t part)
{
    for (uint32_t i = 0; puts && i < puts->count; i++)
        if (puts->of[i].part == part)
            return puts->of[i].put.claim.hash;
    return NULL;
}

void keeper_puts_free(struct keeper_puts *puts)
{
    for (uint32_t i = 0; puts && i < puts->count; i++) {
        keeper_blob_decided(&puts->of[i].put);
        cairn_buf_done(&puts->of[i].put.data);
    }
    free(puts);
}
