/* A page of an export is asked for by a front's thread, made on a thread of its own, as it may take long, and replied
 * to in the front's turn. */
#include <stdlib.h>

#include "server/server_internal.h"

struct asked {
    struct cairn_task task;
    struct cairn_server *server;
    struct cairn_seat *seat;
    struct cairn_request *request;
};

static void make(struct cairn_task *task)
{
    struct asked *asked = cairn_container(task, struct asked, task);
    const struct cairn_backend *backend = asked->server->backend;
    const struct cairn_request *request = asked->request;
    struct cairn_buf value = {0};

    backend->export_page(backend->context, request->at_ms, request->limit, request->number, request->name, &value);
    cairn_seat_answer(asked->seat, asked->request, &value);
    free(asked);
}

void cairn_server_ask_export(void *context, struct cairn_front *front, struct cairn_request *request)
{
    struct cairn_server *server = context;
    struct asked *asked = cairn_alloc(sizeof *asked);

    *asked = (struct asked){{.run = make}, server, &server->seats[front->index], request};
    cairn_tasks_submit(server->export_tasks, &asked->task);
}
