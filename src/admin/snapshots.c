#include "admin/snapshots.h"

#include <inttypes.h>
#include <stdlib.h>

#include "admin/admin_internal.h"
#include "admin/events.h"
#include "history/history.h"
#include "object/clock.h"
#include "object/hold.h"
#include "object/invocation.h"

enum {
    POLL_NS = 2000000
}; /* while one is taken: background threads write it and wake no worker; a client waits for it */

#define LOOK_NS  UINT64_C(1000000000)  /* how often it is asked whether one is due for other reasons than time */
#define PAUSE_NS UINT64_C(10000000000) /* after one that failed */

/* One that is being forgotten. */
struct forgetting {
    struct message message; /* first */
    struct cairn_task task;
    struct cairn_node *node;
    struct invocation *inv; /* NULL: by the schedule */
    uint64_t number;
    enum cairn_code code;
    struct cairn_err err;
};

/* --- forgetting: it syncs, so a task does it --- */

static void forgotten(struct cairn_worker *worker, struct message *message)
{
    struct forgetting *forgetting = (struct forgetting *)message;
    struct invocation *inv = forgetting->inv;

    if (inv && forgetting->code != CAIRN_OK)
        set_error(inv, forgetting->code, forgetting->err.text);
    if (inv)
        invocation_end(worker, inv);
    free(forgetting);
}

static void drop_message(struct cairn_worker *worker, struct message *message)
{
    struct forgetting *forgetting = (struct forgetting *)message;

    if (forgetting->inv)
        invocation_free(worker, forgetting->inv);
    free(forgetting);
}

static void forget(struct cairn_task *task)
{
    struct forgetting *forgetting = cairn_container(task, struct forgetting, task);

    forgetting->code =
        cairn_store_version_forget(forgetting->node->options.store, forgetting->number, &forgetting->err);
    worker_post(forgetting->node, 0, &forgetting->message);
}

static void start_forgetting(struct cairn_worker *worker, struct invocation *inv, uint64_t number)
{
    struct forgetting *forgetting = cairn_alloc_zeroed(1, sizeof *forgetting);

    *forgetting = (struct forgetting){.message = {.receive = forgotten, .drop = drop_message},
                                      .task = {.run = forget},
                                      .node = worker->node,
                                      .inv = inv,
                                      .number = number};
    cairn_tasks_submit(worker->node->options.tasks, &forgetting->task);
}

/* Of those that the schedule took only the newest stay. */
static void prune(struct cairn_worker *worker)
{
    struct cairn_store *store = worker->node->options.store;
    size_t count = cairn_store_versions(store, NULL, 0), kept = 0;
    struct cairn_store_version *versions = cairn_alloc((count + 1) * sizeof *versions);

    count = cairn_store_versions(store, versions, count);
    while (count-- > 0)
        if (versions[count].scheduled && ++kept > worker->node->admin->options.snapshots_kept)
            start_forgetting(worker, NULL, versions[count].number);
    free(versions);
}

/* --- taking --- */

static void take(struct cairn_worker *worker, struct invocation *inv)
{
    struct snapshots *snapshots = &worker->node->admin->snapshots;
    struct cairn_err err;
    enum cairn_code code;

    if (snapshots->taking && !snapshots->inv && !snapshots->next) {
        snapshots->next = inv;
        return;
    }
    code = cairn_store_version_begin(worker->node->options.store, false, &err);
    if (code != CAIRN_OK) {
        set_error(inv, code, err.text);
        invocation_end(worker, inv);
        return;
    }
    snapshots->taking = true;
    snapshots->inv = inv;
}

static void take_over(struct cairn_worker *worker, uint64_t now)
{
    struct cairn_node *node = worker->node;
    struct snapshots *snapshots = &node->admin->snapshots;
    struct invocation *inv = snapshots->inv;
    uint64_t number = 0;
    struct cairn_err err;
    enum cairn_code code;

    if (!snapshots->taking || !cairn_store_version_poll(node->options.store, &number, &code, &err))
        return;
    snapshots->taking = false;
    snapshots->inv = NULL;
    if (!inv) {
        struct cairn_event event = {.level = code == CAIRN_OK ? CAIRN_LEVEL_INFO : CAIRN_LEVEL_WARNING,
                                    .from = "versions",
                                    .kind = "version",
                                    .text = code == CAIRN_OK ? "a version of the node was taken, as scheduled"
                                                             : "a scheduled version of the node could not be taken",
                                    .fields = {{.key = "version", .number = number}}};
        if (code != CAIRN_OK)
            event.fields[0] = (struct cairn_event_field){.key = "error", .text = err.text};
        cairn_tell(node->options.events, &event);
    }
    if (code != CAIRN_OK)
        snapshots->look_ns = now + PAUSE_NS;
    if (inv && code == CAIRN_OK)
        cairn_value_add_int(&inv->result, (int64_t)number);
    else if (inv)
        set_error(inv, code, err.text);
    if (inv)
        invocation_end(worker, inv);
    prune(worker);
    inv = snapshots->next;
    snapshots->next = NULL;
    if (inv)
        take(worker, inv);
}

static bool has_schedule(const struct cairn_node *node)
{
    return node->admin->options.snapshot_every_ns || node->admin->options.snapshot_log_bytes;
}

static bool is_due(struct cairn_worker *worker, uint64_t now)
{
    const struct cairn_admin_options *options = &worker->node->admin->options;
    struct snapshots *snapshots = &worker->node->admin->snapshots;
    bool due = false;

    if (options->snapshot_every_ns && now >= snapshots->next_ns) {
        due = snapshots->next_ns; /* not at the start */
        snapshots->next_ns = now + options->snapshot_every_ns;
    }
    if (now < snapshots->look_ns)
        return due;
    snapshots->look_ns = now + LOOK_NS;
    return cairn_store_version_due(worker->node->options.store, options->snapshot_log_bytes) || due;
}

static bool step(struct cairn_worker *worker)
{
    struct cairn_node *node = worker->node;
    struct snapshots *snapshots = &node->admin->snapshots;
    struct cairn_err err;
    uint64_t now;

    if (worker->index != 0 || (!snapshots->taking && !has_schedule(node)))
        return false;
    now = worker_clock_ns(worker);
    take_over(worker, now);
    if (has_schedule(node) && is_due(worker, now) && !snapshots->taking)
        snapshots->taking = cairn_store_version_begin(node->options.store, true, &err) == CAIRN_OK;
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    const struct cairn_node *node = worker->node;
    const struct snapshots *snapshots = &node->admin->snapshots;
    uint64_t now, next = snapshots->look_ns;

    if (worker->index != 0 || (!snapshots->taking && !has_schedule(node)))
        return UINT64_MAX;
    if (snapshots->taking)
        return POLL_NS;
    now = worker_clock_ns(worker);
    if (node->admin->options.snapshot_every_ns && snapshots->next_ns < next)
        next = snapshots->next_ns;
    return next > now ? next - now : 1;
}

const struct housekeeper snapshots_housekeeper = {.name = "snapshots", .step = step, .next_ns = next_ns};

/* --- requests --- */

static void receive_snapshot(struct cairn_worker *worker, struct message *message)
{
    take(worker, (struct invocation *)message);
}

static void receive_forget(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;

    start_forgetting(worker, inv, inv->request->number);
}

static void receive_versions(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct cairn_store *store = worker->node->options.store;
    size_t count = cairn_store_versions(store, NULL, 0), now;
    struct cairn_store_version *versions = cairn_alloc((count + 1) * sizeof *versions);

    now = cairn_store_versions(store, versions, count);
    count = now < count ? now : count;
    cairn_value_add_list(&inv->result, count);
    for (size_t i = 0; i < count; i++) {
        cairn_value_add_list(&inv->result, 6);
        cairn_value_add_int(&inv->result, (int64_t)versions[i].number);
        cairn_value_add_int(&inv->result, (int64_t)versions[i].parent);
        cairn_value_add_int(&inv->result, (int64_t)versions[i].time_ms);
        cairn_value_add_int(&inv->result, versions[i].scheduled);
        cairn_value_add_int(&inv->result, versions[i].damaged);
        cairn_value_add_int(&inv->result, versions[i].archived);
    }
    free(versions);
    invocation_end(worker, inv);
}

const struct operation snapshot_operation = {.name = "snapshot",
                                             .submit = submit_to_first,
                                             .receive = receive_snapshot,
                                             .answer = hold_answer,
                                             .told = events_reply};

const struct operation versions_operation = {
    .name = "versions", .submit = submit_to_first, .receive = receive_versions, .answer = hold_answer};

const struct operation forget_operation = {.name = "forget",
                                           .submit = submit_to_first,
                                           .receive = receive_forget,
                                           .answer = hold_answer,
                                           .told = events_reply};

/* --- closing --- */

void snapshots_drop(struct cairn_worker *worker)
{
    struct snapshots *snapshots = &worker->node->admin->snapshots;

    if (snapshots->inv)
        invocation_free(worker, snapshots->inv);
    if (snapshots->next)
        invocation_free(worker, snapshots->next);
    snapshots->inv = snapshots->next = NULL;
}
