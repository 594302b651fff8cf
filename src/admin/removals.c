#include "admin/removals.h"

#include <stdlib.h>

#include "admin/admin_internal.h"
#include "admin/catalog.h"
#include "object/clock.h"
#include "object/emptying.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/sweep.h"

enum { POLL_NS = 10000000, RETRY_NS = 100000000 };

/* To one worker and back. */
struct emptied {
    struct message message; /* first */
    struct space *space;
};

static struct removals *removals_of(struct cairn_worker *worker)
{
    return &worker->node->admin->removals;
}

static void wait_ns(struct cairn_worker *worker, uint64_t ns)
{
    removals_of(worker)->next_ns = worker_recent_ns(worker) + ns;
}

static void begin_anew(struct cairn_worker *worker)
{
    removals_of(worker)->stage = REMOVAL_WAITS;
    removals_of(worker)->space = NULL;
    wait_ns(worker, RETRY_NS);
}

/* --- the workers ------------------------------------------------------------------------------------------------- */

static void emptied(struct cairn_worker *worker, struct message *message)
{
    struct removals *removals = removals_of(worker);

    (void)message;
    if (--removals->left)
        return;
    removals->stage = REMOVAL_SWEEPS;
    sweep_removed(worker->node); /* a pass that begins now finds what was waiting for types */
}

static void empty(struct cairn_worker *worker, struct message *message)
{
    struct space *space = ((struct emptied *)message)->space;
    const struct catalog *catalog = admin_worker(worker)->catalog;
    struct type_entry **types = cairn_alloc_zeroed(catalog->type_count + 1, sizeof *types);
    uint32_t count = 0;

    for (uint32_t i = 0; i < catalog->type_count; i++)
        if (space_payer(catalog->types[i]->space) == space)
            types[count++] = catalog->types[i];
    message->receive = emptied;
    emptying_begin(worker, space, types, count, message);
    free(types);
    for (uint32_t i = 0; i < worker->node->hook_count; i++)
        if (worker->node->hooks[i].space_going)
            worker->node->hooks[i].space_going(worker, space);
}

/* --- worker 0 ---------------------------------------------------------------------------------------------------- */

/* A deploy that came before the removal is waited for. */
static bool has_deploys(struct cairn_worker *worker, const struct space *space)
{
    const struct space *compartment = spaces_find_compartment(&worker->node->spaces, space);

    return deploys_any_in(worker, space) || (compartment && deploys_any_in(worker, compartment));
}

static void begin(struct cairn_worker *worker, struct space *space)
{
    struct removals *removals = removals_of(worker);
    uint32_t workers = worker->node->options.workers;

    removals->space = space;
    removals->stage = REMOVAL_EMPTIES;
    removals->left = workers;
    if (!removals->workers)
        removals->workers = cairn_alloc_zeroed(workers, sizeof *removals->workers);
    for (uint32_t i = 0; i < workers; i++) {
        removals->workers[i] = (struct emptied){.message.receive = empty, .space = space};
        worker_send(worker, i, &removals->workers[i].message);
    }
}

/* The record of the end is made. */
static void recorded(struct cairn_worker *worker, struct space *space, struct dependency record)
{
    spaces_leave(worker, space, record);
}

/* It may be acknowledged, or could not be made. */
static void told(struct cairn_worker *worker, const struct invocation *inv)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));

    if (cairn_value_read(&r).kind == CAIRN_VALUE_ERROR) {
        begin_anew(worker);
        return;
    }
    removals_of(worker)->stage = REMOVAL_WAITS;
    removals_of(worker)->space = NULL;
    spaces_tell_gone(worker->node, inv->space);
    cairn_tell(worker->node->options.events,
               &(struct cairn_event){.level = CAIRN_LEVEL_INFO,
                                     .from = "namespaces",
                                     .kind = "remove",
                                     .text = "a namespace was removed, with all that it had",
                                     .fields = {{"namespace", (const char *)inv->space->name.data, 0}}});
}

static const struct operation removal_operation = {.name = "removal", .answer = hold_answer, .told = told};

static void end(struct cairn_worker *worker)
{
    struct invocation *inv = invocation_new(worker, &removal_operation);

    removals_of(worker)->stage = REMOVAL_ENDS;
    inv->space = removals_of(worker)->space;
    inv->origin = worker->index;
    inv->worker = worker;
    inv->started_ns = worker_recent_ns(worker);
    deploys_remove_space(worker, inv, recorded);
}

static bool step(struct cairn_worker *worker)
{
    struct removals *removals;
    struct space *space;

    if (worker->index != 0 || !worker->node->admin->spaces.removing || worker->failed)
        return false;
    removals = removals_of(worker);
    if (worker_recent_ns(worker) < removals->next_ns)
        return false;
    wait_ns(worker, POLL_NS);
    if (removals->stage == REMOVAL_WAITS) {
        space = spaces_next_removed(worker);
        if (space && !has_deploys(worker, space))
            begin(worker, space);
    } else if (removals->stage == REMOVAL_SWEEPS && sweep_is_over(worker->node, true)) {
        end(worker);
    }
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    uint64_t now;

    if (worker->index != 0 || !worker->node->admin->spaces.removing || worker->failed)
        return UINT64_MAX;
    now = worker_recent_ns(worker);
    return now < removals_of(worker)->next_ns ? removals_of(worker)->next_ns - now : 0;
}

const struct housekeeper removals_housekeeper = {.name = "removals of namespaces", .step = step, .next_ns = next_ns};

void removals_close(struct cairn_node *node)
{
    free(node->admin->removals.workers);
}
