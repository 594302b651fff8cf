/* worker.c - a worker's loop: what there is to run, and housekeeping. */
#include "object/room.h"
#include "object/worker.h"

#include "object/called.h"
#include "object/durable.h"
#include "object/durable_ask.h"
#include "object/durable_restored.h"
#include "object/fibers.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/invoke.h"
#include "object/messages.h"
#include "object/purge.h"
#include "object/table.h"
#include "object/transaction.h"

enum {
    PAGE_TURN_SHARE = 4, /* a turn with pages is so much shorter: what came in meanwhile waits for less */
    FRESH_PER_TURN = 4,  /* a few of the dearest are still well under a slice */
    ASIDE_PAUSE_NS = 1000000,
};

/* --- housekeeping ---------------------------------------------------------------------------------- */

enum {
    CHECKPOINT_STEP_NS = 200000, /* requests wait so long for it */
    CHECKPOINT_POLL_NS =
        10000000, /* background threads write its chunks and wake no worker; a chunk takes about as long */
};

static bool checkpoint_step(struct cairn_worker *worker)
{
    bool more = false;

    if (!cairn_store_checkpoint_due(worker->node->options.store))
        return false;
    for (uint32_t i = 0; i <= worker->node->shard_count; i++)
        if (worker->shards[i].shard)
            more |= cairn_shard_step(worker->shards[i].shard, CHECKPOINT_STEP_NS);
    return more;
}

static uint64_t checkpoint_next_ns(struct cairn_worker *worker)
{
    return cairn_store_checkpoint_due(worker->node->options.store) ? CHECKPOINT_POLL_NS : UINT64_MAX;
}

static const struct housekeeper checkpoint_housekeeper = {
    .name = "checkpoints", .step = checkpoint_step, .next_ns = checkpoint_next_ns};

/* Those that may give fibers back stand before the one that deals them out. */
static const struct housekeeper *const housekeepers[] = {
    &checkpoint_housekeeper,   &room_housekeeper,     &purge_housekeeper,  &restored_housekeeper,
    &durable_housekeeper,      &ask_housekeeper,      &called_housekeeper, &objects_housekeeper,
    &transactions_housekeeper, &messages_housekeeper, &sweep_housekeeper,  &emptying_housekeeper,
    &fibers_housekeeper,
};

enum { HOUSEKEEPERS = sizeof housekeepers / sizeof *housekeepers };

static bool keep_house(struct cairn_worker *worker)
{
    const struct cairn_node *node = worker->node;
    bool more = false;

    for (int i = 0; i < HOUSEKEEPERS; i++)
        more |= housekeepers[i]->step(worker);
    for (uint32_t i = 0; i < node->hook_count; i++)
        for (uint32_t k = 0; k < node->hooks[i].housekeeper_count; k++)
            more |= node->hooks[i].housekeepers[k]->step(worker);
    return more;
}

uint64_t cairn_worker_next_ns(struct cairn_worker *worker)
{
    const struct cairn_node *node = worker->node;
    uint64_t least = UINT64_MAX, next;

    for (int i = 0; i < HOUSEKEEPERS; i++) {
        next = housekeepers[i]->next_ns(worker);
        least = next < least ? next : least;
    }
    for (uint32_t i = 0; i < node->hook_count; i++)
        for (uint32_t k = 0; k < node->hooks[i].housekeeper_count; k++) {
            next = node->hooks[i].housekeepers[k]->next_ns(worker);
            least = next < least ? next : least;
        }
    return least;
}

/* --- the loop -------------------------------------------------------------------------------------- */

static bool anything_ready(const struct cairn_worker *worker)
{
    return ready_any(worker) || aside_any(worker) || worker->turns ||
           atomic_load_explicit((_Atomic(struct message *) *)(uintptr_t)&worker->inbox, memory_order_relaxed);
}

/* The objects that run next: where their headers lie is fetched while this one runs. */
static void look_ahead(struct cairn_worker *worker)
{
    const struct object *object = ready_peek(worker);

    if (object && !object->loaded)
        object->shard->engine->ops->prefetch(object->shard->engine, object->hash, 1);
}

static bool run_fresh(struct cairn_worker *worker, int most)
{
    struct object *object;
    int ran = 0;

    while (ran < most && (object = ready_next(worker))) {
        look_ahead(worker);
        object_run(worker, object);
        ran = worker->ready.heavy ? most : ran + 1;
    }
    ready_pause(worker);
    return ran > 0;
}

/* One slice of a segment that was set aside, or one page, by turns: when nothing fresh ran in this turn, since
 * replies to what did go out at its end, or fresh segments have had a slice's time since the last one. */
static bool run_aside(struct cairn_worker *worker, bool fresh_ran)
{
    bool slices = aside_any(worker);

    if ((!slices && !worker->turns) || (fresh_ran && worker_clock_ns(worker) < worker->aside_ns))
        return false;
    if (worker->turns && (worker->turn_next || !slices))
        inbox_take_turn(worker);
    else
        aside_run(worker, invocation_resume_aside);
    worker->turn_next = !worker->turn_next;
    worker->aside_ns = worker_clock_ns(worker) + ASIDE_PAUSE_NS;
    return true;
}

static void fail(struct cairn_worker *worker)
{
    worker->failed = true;
    hold_fail_all(worker);
    invocations_fail_all(worker);
}

bool cairn_worker_run(struct cairn_worker *worker, uint64_t budget_ns)
{
    uint64_t start, spent = 0, most = budget_ns;
    bool more, fresh_ran = false;

    inbox_drain(worker);
    if (!worker->failed && atomic_load_explicit(&worker->node->failed, memory_order_acquire))
        fail(worker);
    hold_release(worker);
    start = worker_clock_ns(worker);
    if (anything_ready(worker))
        cairn_fn_worker_busy(worker->fn, true);
    do {
        bool ran = run_fresh(worker, budget_ns ? FRESH_PER_TURN : 1);

        inbox_flush(worker);
        if (inbox_drain(worker))
            ran = true;
        fresh_ran |= ran;
        if (worker->turns || worker->ready.heavy)
            most = budget_ns / PAGE_TURN_SHARE;
        ran |= run_aside(worker, fresh_ran);
        fibers_retry(worker);
        hold_release(worker);
        if (!ran)
            break;
        spent = worker_clock_ns(worker) - start;
    } while (spent < most);
    worker->served = fresh_ran;
    more = keep_house(worker);
    more |= anything_ready(worker);
    more |= worker->passes;
    inbox_flush(worker);
    more |= hold_end_turn(worker, !more && budget_ns, fresh_ran);
    inbox_flush(worker);
    if (!more)
        cairn_fn_worker_busy(worker->fn, false);
    worker->recent_ns = 0;
    return more;
}
