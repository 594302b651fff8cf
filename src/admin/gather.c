#include "admin/gather.h"

#include <stdlib.h>

#include "object/directory.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/type.h"
#include "object/worker.h"

/* One worker's part: it travels there and back. */
struct part {
    struct message message; /* first */
    struct gather *gather;
    struct cairn_bytes *items; /* ids, or encoded log lines; malloc'd */
    int64_t *times;            /* of log lines */
    size_t count, room;
    struct dependency depends;
    enum cairn_code code; /* unless CAIRN_OK not all could be read */
    struct cairn_err err;
};

struct gather {
    struct invocation *inv;
    uint32_t origin, left, limit;
    struct part parts[];
};

static void part_add(struct part *part, struct cairn_bytes item, int64_t time)
{
    if (part->count == part->room) {
        part->room = part->room ? part->room * 2 : 64;
        part->items = cairn_realloc(part->items, part->room * sizeof *part->items);
        part->times = cairn_realloc(part->times, part->room * sizeof *part->times);
    }
    part->times[part->count] = time;
    part->items[part->count++] = cairn_bytes(cairn_bytes_dup(item), item.size);
}

struct listing {
    struct part *part;
    size_t from, limit;
};

static bool list_one(void *context, struct cairn_bytes id)
{
    struct listing *listing = context;

    part_add(listing->part, id, 0);
    return listing->part->count - listing->from < listing->limit;
}

static void list_part(struct cairn_worker *worker, struct part *part)
{
    const struct cairn_request *request = part->gather->inv->request;
    struct type *type = type_find(worker, part->gather->inv->space, request->type);

    if (!type)
        return;
    for (uint32_t i = 0; i < worker->node->shard_count; i++) {
        struct shard *shard = &worker->shards[i];
        struct overlay overlay = {0};
        struct listing listing = {part, part->count, part->gather->limit + 1};

        if (!shard->shard)
            continue;
        dependency_join(&part->depends, shard->directory);
        overlay_reset(&overlay, shard->engine);
        directory_scan(&overlay, type->number, request->prefix, request->cursor, list_one, &listing);
        if (overlay.code != CAIRN_OK) {
            part->code = overlay.code;
            part->err = overlay.err;
        }
        overlay_done(&overlay);
    }
}

static void logs_part(struct cairn_worker *worker, struct part *part)
{
    uint64_t count = worker->line_count < LOG_LINES_MAX ? worker->line_count : LOG_LINES_MAX;

    for (uint64_t i = worker->line_count - count; i < worker->line_count; i++) {
        const struct log_line *line = &worker->lines[i % LOG_LINES_MAX];
        struct cairn_buf item = {0};
        cairn_value_add_list(&item, 6);
        cairn_value_add_int(&item, line->ms);
        cairn_value_add_int(&item, line->level);
        for (int t = 0; t < 4; t++)
            cairn_value_add_bytes(&item, cairn_str(line->text[t]));
        part_add(part, cairn_buf_bytes(&item), line->ms);
        cairn_buf_done(&item);
    }
}

static int by_id(const void *a, const void *b)
{
    return cairn_bytes_compare(*(const struct cairn_bytes *)a, *(const struct cairn_bytes *)b);
}

struct timed {
    int64_t time;
    size_t order;
    struct cairn_bytes item;
};

static int by_time(const void *a, const void *b)
{
    const struct timed *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void answer_list(struct gather *gather, struct timed *all, size_t count, struct cairn_buf *to)
{
    struct cairn_bytes *ids = cairn_alloc((count + 1) * sizeof *ids);
    size_t shown = count < gather->limit ? count : gather->limit;

    for (size_t i = 0; i < count; i++)
        ids[i] = all[i].item;
    qsort(ids, count, sizeof *ids, by_id);
    cairn_value_add_list(to, 2);
    cairn_value_add_list(to, shown);
    for (size_t i = 0; i < shown; i++)
        cairn_value_add_bytes(to, ids[i]);
    if (count > shown && shown)
        cairn_value_add_bytes(to, ids[shown - 1]);
    else
        cairn_value_add_nil(to);
    free(ids);
}

static void answer_logs(struct gather *gather, struct timed *all, size_t count, struct cairn_buf *to)
{
    size_t shown = count < gather->limit ? count : gather->limit;

    qsort(all, count, sizeof *all, by_time);
    cairn_value_add_list(to, shown);
    for (size_t i = count - shown; i < count; i++)
        cairn_buf_add(to, all[i].item.data, all[i].item.size);
}

static void gather_free(struct cairn_worker *worker, struct gather *gather)
{
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        for (size_t k = 0; k < gather->parts[i].count; k++)
            free((void *)(uintptr_t)gather->parts[i].items[k].data);
        free(gather->parts[i].items);
        free(gather->parts[i].times);
    }
    free(gather);
}

static void gather_drop(struct cairn_worker *worker, struct message *message)
{
    struct gather *gather = ((struct part *)message)->gather;

    if (--gather->left)
        return;
    invocation_free(worker, gather->inv);
    gather_free(worker, gather);
}

static void receive_part(struct cairn_worker *worker, struct message *message)
{
    struct gather *gather = ((struct part *)message)->gather;
    struct invocation *inv = gather->inv;
    const struct part *bad = NULL;
    size_t count = 0, at = 0;
    struct timed *all;

    if (--gather->left)
        return;
    for (uint32_t i = 0; i < worker->node->options.workers; i++)
        count += gather->parts[i].count;
    all = cairn_alloc((count + 1) * sizeof *all);
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        struct part *part = &gather->parts[i];
        for (size_t k = 0; k < part->count; k++, at++)
            all[at] = (struct timed){part->times[k], at, part->items[k]};
        dependency_join(&inv->depends, part->depends);
        if (part->code != CAIRN_OK)
            bad = part;
    }
    if (bad)
        set_error(inv, bad->code, bad->err.text);
    else if (inv->operation == &list_operation)
        answer_list(gather, all, count, &inv->result);
    else
        answer_logs(gather, all, count, &inv->result);
    free(all);
    gather_free(worker, gather);
    invocation_move(inv, INV_OVER);
    worker_hold(worker, inv);
}

static void answer_part(struct cairn_worker *worker, struct message *message)
{
    struct part *part = (struct part *)message;

    if (part->gather->inv->operation == &list_operation)
        list_part(worker, part);
    else
        logs_part(worker, part);
    message->receive = receive_part;
    worker_send(worker, part->gather->origin, message);
}

static void gather_start(struct cairn_worker *worker, struct invocation *inv)
{
    uint32_t workers = worker->node->options.workers, limit = inv->request->limit;
    char nearest[CAIRN_SUGGEST_TEXT_BYTES];
    struct gather *gather;

    if (inv->operation == &list_operation && !type_find(worker, inv->space, inv->request->type)) {
        invocation_refuse(worker, inv, CAIRN_ENOTYPE, "there is no type %.*s%s; see `cairn types`",
                          (int)inv->request->type.size, (const char *)inv->request->type.data,
                          type_suggest(worker, inv->space, inv->request->type, nearest));
        return;
    }
    gather = cairn_alloc_zeroed(1, sizeof *gather + workers * sizeof *gather->parts);
    gather->inv = inv;
    gather->origin = worker->index;
    gather->left = workers;
    gather->limit = limit == 0 ? LIST_LIMIT_DEFAULT : limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : limit;
    for (uint32_t i = 0; i < workers; i++) {
        struct part *part = &gather->parts[i];
        part->message.receive = answer_part;
        part->message.drop = gather_drop;
        part->gather = gather;
        worker_send(worker, i, &part->message);
    }
}

const struct operation list_operation = {
    .name = "list", .aim = AIM_TYPE, .submit = gather_start, .answer = hold_answer};

const struct operation logs_operation = {.name = "logs", .submit = gather_start, .answer = hold_answer};
