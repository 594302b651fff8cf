#include "object/method_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "object/invocation.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum { LINE_BYTES_MAX = 1024 };

static const uint64_t unread_again_ns = 60000000000;

void method_log_add(struct invocation *inv, uint32_t level, struct cairn_bytes line)
{
    const struct log_line *before = &inv->worker->lines[(inv->worker->line_count + LOG_LINES_MAX - 1) % LOG_LINES_MAX];
    struct log_line *l = &inv->worker->lines[inv->worker->line_count++ % LOG_LINES_MAX];

    for (int i = 0; i < 4; i++)
        free(l->text[i]);
    if (line.size > LINE_BYTES_MAX)
        line.size = LINE_BYTES_MAX;
    l->ms = invocation_now_ms(inv);
    if (l->ms < before->ms)
        l->ms = before->ms; /* they ascend: pages go by them */
    l->level = level > 3 ? 3 : level;
    l->space = inv->type->space;
    l->job = invocation_job(inv)->id;
    l->text[0] = cairn_bytes_dup(inv->type->name);
    l->text[1] = cairn_bytes_dup(object_id(inv->object));
    l->text[2] = cairn_bytes_dup(inv->method_name);
    l->text[3] = cairn_bytes_dup(line);
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
