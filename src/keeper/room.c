#include "keeper/room.h"

#include <stdlib.h>

#include "keeper/changes.h"
#include "keeper/collect.h"
#include "keeper/events.h"
#include "keeper/front.h"
#include "keeper/links.h"
#include "keeper/session.h"
#include "keeper/tree.h"
#include "object/clock.h"

static enum cairn_code open_room(struct cairn_node *node, void *context, struct cairn_err *err)
{
    const struct keeper_options *options = context;
    struct keeper *keeper = cairn_alloc_zeroed(1, sizeof *keeper + node->options.workers * sizeof keeper->workers[0]);

    (void)err;
    keeper->module = options->module;
    keeper->blobs = (struct keeper_blobs){.node = node,
                                          .store = options->store,
                                          .tasks = options->tasks ? options->tasks : node->options.tasks,
                                          .bytes_min = options->blob_bytes};
    keeper_register_init(&keeper->blobs.reg);
    keeper->collector = keeper_collector_open(keeper, options);
    for (uint32_t i = 0; i < node->options.workers; i++) {
        struct keeper_worker *kw = &keeper->workers[i];

        kw->worker = &node->workers[i];
        kw->purse.budget = &node->memory;
        kw->batches = cairn_alloc_zeroed(node->options.workers, sizeof *kw->batches);
        cairn_list_init(&kw->calls);
        cairn_list_init(&kw->tasks);
        keeper_shelf_init(&kw->shelf, options->cache_bytes / node->options.workers);
        for (int k = 0; k < KEEPER_WHEEL; k++)
            cairn_list_init(&kw->wheel[k]);
    }
    node->keeper = keeper;
    return CAIRN_OK;
}

static void free_tree(struct keeper_item *item, void *context)
{
    struct keeper_worker *kw = context;

    keeper_map_remove(&kw->trees, item);
    keeper_tree_free(cairn_container(item, struct keeper_tree, item));
}

static void close_room(struct cairn_node *node)
{
    if (!node->keeper)
        return;
    for (uint32_t i = 0; i < node->options.workers; i++) {
        struct keeper_worker *kw = &node->keeper->workers[i];

        keeper_map_each(&kw->trees, free_tree, kw);
        keeper_map_done(&kw->trees);
        keeper_front_close(kw);
        keeper_shelf_done(kw);
        keeper_events_free(kw);
        overlay_done(&kw->overlay);
    }
    keeper_collector_close(node->keeper->collector);
    keeper_register_done(&node->keeper->blobs.reg);
    free(node->keeper);
    node->keeper = NULL;
}

/* --- every half second ---------------------------------------------------------------------------- */

static void retry_tree(struct keeper_item *item, void *context)
{
    struct keeper_tree *tree = cairn_container(item, struct keeper_tree, item);

    (void)context;
    if (!tree->loaded || tree->begins || !cairn_list_empty(&tree->waiting))
        keeper_tree_retry(tree);
}

static bool is_busy(const struct keeper_worker *kw)
{
    return kw->session_count || kw->link_count || kw->waiting;
}

static bool step(struct cairn_worker *worker)
{
    struct keeper_worker *kw = keeper_worker_of(worker);
    uint64_t now;

    if (worker->index == 0 && !worker->failed)
        keeper_collector_step(worker->node->keeper->collector);
    if (!is_busy(kw) || worker->failed)
        return false;
    now = worker_clock_ns(worker);
    if (now - kw->stepped_ns < KEEPER_SLOT_NS)
        return false;
    if (now - kw->stepped_ns > KEEPER_SLOT_NS + KEEPER_TICK_MS * UINT64_C(1000000))
        kw->paused_ns += now - kw->stepped_ns - KEEPER_SLOT_NS; /* no client could be heard */
    kw->stepped_ns = now;
    if (kw->link_count)
        keeper_front_tell_heard(kw);
    if (kw->session_count)
        keeper_sessions_look(kw);
    if (kw->waiting) {
        kw->waiting = false;
        keeper_map_each(&kw->trees, retry_tree, NULL);
    }
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    const struct keeper_worker *kw = keeper_worker_of(worker);
    uint64_t passed, next = UINT64_MAX, collect = UINT64_MAX;

    if (worker->index == 0 && !worker->failed)
        collect = keeper_collector_next_ns(worker->node->keeper->collector);
    if (is_busy(kw)) {
        passed = worker_clock_ns(worker) - kw->stepped_ns;
        next = passed < KEEPER_SLOT_NS ? KEEPER_SLOT_NS - passed : 0;
    }
    return next < collect ? next : collect;
}

static const struct housekeeper housekeeper = {.name = "sessions of the keeper", .step = step, .next_ns = next_ns};

static void space_going(struct cairn_worker *worker, struct space *space)
{
    struct space *compartment = spaces_find_compartment(&worker->node->spaces, space);
    struct keeper_tree *tree = compartment ? keeper_tree_find(keeper_worker_of(worker), compartment) : NULL;

    if (tree)
        keeper_tree_going(tree);
}

/* --- the tables ----------------------------------------------------------------------------------- */

static const struct operation *const operations[CAIRN_OP_COUNT] = {
    [CAIRN_OP_KEEPER_READ] = &keeper_operation,
    [CAIRN_OP_KEEPER_ATTACH] = &keeper_operation,
};

static const struct housekeeper *const housekeepers[] = {&housekeeper};
static const struct tapped_type taps[] = {{"Tree", &keeper_tap}};

void keeper_hooks(const struct keeper_options *options, struct node_hooks *ret_hooks)
{
    *ret_hooks = (struct node_hooks){
        .operations = operations,
        .housekeepers = housekeepers,
        .housekeeper_count = sizeof housekeepers / sizeof *housekeepers,
        .taps = taps,
        .tap_count = sizeof taps / sizeof *taps,
        .open = open_room,
        .space_going = space_going,
        .close = close_room,
        .context = (void *)(uintptr_t)options,
    };
}
