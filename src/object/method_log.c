#include "object/method_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "object/invocation.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum { LINE_BYTES_MAX = 1024 };

static const uint64_t unread_again_ns = 60000000000;

void method_logs_init(struct method_logs *logs)
{
    *logs = (struct method_logs){0};
    cairn_list_init(&logs->all);
}

static void drop_oldest(struct cairn_worker *worker, struct method_log *log)
{
    free(log->lines[log->first++ & (log->room - 1)]);
    worker->logs.kept--;
}

void method_log_drop(struct cairn_worker *worker, struct method_log *log)
{
    while (log->first < log->end)
        drop_oldest(worker, log);
    if (worker->logs.richer == log)
        worker->logs.richer = NULL;
    cairn_list_remove(&log->all);
    worker->logs.count--;
    log->space->meters[worker->index].log = NULL;
    free(log->lines);
    free(log);
}

void method_logs_done(struct cairn_worker *worker)
{
    while (worker->logs.count)
        method_log_drop(worker, cairn_container(worker->logs.all.next, struct method_log, all));
}

struct method_log *method_log_of(struct cairn_worker *worker, const struct space *space)
{
    struct method_log *log = space->meters[worker->index].log;

    space = space_payer(space);
    if (!log || log->life == space_life(space))
        return log;
    method_log_drop(worker, log); /* of a namespace of that name that is gone */
    return NULL;
}

static struct method_log *make(struct cairn_worker *worker, struct space *space)
{
    struct method_log *log = cairn_alloc_zeroed(1, sizeof *log);

    log->space = space = space_payer(space);
    log->life = space_life(space);
    cairn_list_push_back(&worker->logs.all, &log->all);
    worker->logs.count++;
    space->meters[worker->index].log = log;
    return log;
}

/* A log that has more lines than its share; there is one, as all have too many together. */
static struct method_log *richer(struct method_logs *logs)
{
    struct cairn_link *l = logs->richer ? &logs->richer->all : logs->all.next;

    for (;; l = l->next) {
        if (l == &logs->all)
            continue;
        logs->richer = cairn_container(l, struct method_log, all);
        if ((logs->richer->end - logs->richer->first) * logs->count > LOG_ALL_LINES_MAX)
            return logs->richer;
    }
}

static void make_room(struct cairn_worker *worker, struct method_log *log)
{
    struct method_logs *logs = &worker->logs;

    if (log->end - log->first > LOG_LINES_MAX) {
        drop_oldest(worker, log);
    } else if (logs->kept > LOG_ALL_LINES_MAX) {
        struct method_log *from = richer(logs);

        drop_oldest(worker, from);
        if (from->first == from->end)
            method_log_drop(worker, from);
    }
}

static void enter(struct method_log *log, struct log_line *line)
{
    if (log->end - log->first == log->room) {
        uint32_t room = log->room ? 2 * log->room : 8;
        struct log_line **lines = cairn_alloc(room * sizeof *lines);

        for (uint64_t n = log->first; n < log->end; n++)
            lines[n & (room - 1)] = log->lines[n & (log->room - 1)];
        free(log->lines);
        log->lines = lines;
        log->room = room;
    }
    log->lines[log->end++ & (log->room - 1)] = line;
}

static size_t put(uint8_t *at, struct cairn_bytes *to, struct cairn_bytes text)
{
    if (text.size)
        memcpy(at, text.data, text.size);
    *to = cairn_bytes(at, text.size);
    return text.size;
}

void method_log_add(struct invocation *inv, uint32_t level, struct cairn_bytes text)
{
    struct cairn_worker *worker = inv->worker;
    struct space *space = inv->type->space;
    struct method_log *log = method_log_of(worker, space);
    struct cairn_bytes id = object_id(inv->object);
    struct log_line *line;
    uint8_t *at;

    if (!log)
        log = make(worker, space);
    if (text.size > LINE_BYTES_MAX)
        text.size = LINE_BYTES_MAX;
    line = cairn_alloc(sizeof *line + inv->type->name.size + id.size + inv->method_name.size + text.size);
    at = (uint8_t *)(line + 1);
    at += put(at, &line->text[0], inv->type->name);
    at += put(at, &line->text[1], id);
    at += put(at, &line->text[2], inv->method_name);
    put(at, &line->text[3], text);
    line->level = level > 3 ? 3 : level;
    line->ms = invocation_now_ms(inv);
    if (line->ms < worker->logs.last_ms)
        line->ms = worker->logs.last_ms; /* they ascend: pages go by them */
    worker->logs.last_ms = line->ms;
    line->job = invocation_job(inv)->id;
    enter(log, line);
    worker->logs.kept++;
    make_room(worker, log);
}

static uint32_t args_count(struct cairn_bytes args)
{
    struct cairn_reader r = cairn_reader(args);
    uint32_t count = 0;

    while (cairn_reader_left(&r) > 0 && !r.bad) {
        cairn_read_bytes(&r, cairn_read_u32(&r));
        count++;
    }
    return count;
}

void method_log_unread_args(struct invocation *inv)
{
    uint64_t now = worker_recent_ns(inv->worker), *told = &inv->method->unread_told_ns;
    char line[128];
    uint32_t given;
    int used;

    if (*told && now - *told < unread_again_ns)
        return;
    given = args_count(inv->args);
    if (inv->args_read >= given)
        return;
    *told = now ? now : 1;
    used = snprintf(line, sizeof line, "called with %u argument%s, of which it has read %u", given,
                    given == 1 ? "" : "s", inv->args_read);
    method_log_add(inv, 2, cairn_bytes(line, (size_t)used));
}
