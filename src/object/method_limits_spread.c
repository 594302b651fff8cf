/* method_limits_spread.c - a namespace's limits have changed: every worker's types get them. */
#include <stdlib.h>

#include "object/durable.h"
#include "object/method_limits.h"
#include "object/space.h"
#include "object/type.h"
#include "object/worker.h"

struct spread {
    struct message message; /* first */
    struct space *space;
};

struct renewing {
    const struct cairn_node *node;
    const struct space *space;
};

static void renew_type(void *context, struct type *type)
{
    const struct renewing *r = context;

    if (space_payer(type->space) != r->space)
        return;
    for (size_t k = 0; k < type->decl->method_count; k++)
        method_limits_make(&type->methods[k].limits, r->node, r->space, type->decl, type->methods[k].decl);
}

/* Of all types of the namespace and its compartment; also of versions that are kept for what began on them. */
static void renew(struct cairn_worker *worker, const struct space *space)
{
    struct renewing r = {worker->node, space};

    for (uint32_t i = 0; i < worker->types_size; i++)
        for (struct type *type = worker->types[i]; type; type = type->next)
            renew_type(&r, type);
    durable_visit_types(worker, renew_type, &r);
}

static void drop(struct cairn_worker *worker, struct message *message)
{
    (void)worker;
    free(message);
}

static void receive(struct cairn_worker *worker, struct message *message)
{
    renew(worker, ((struct spread *)message)->space);
    free(message);
}

void method_limits_spread(struct cairn_worker *worker, struct space *space)
{
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        struct spread *spread;

        if (i == worker->index) {
            renew(worker, space);
            continue;
        }
        spread = cairn_alloc_zeroed(1, sizeof *spread);
        *spread = (struct spread){.message = {.receive = receive, .drop = drop}, .space = space};
        worker_post(worker->node, i, &spread->message);
    }
}
