/* durable.c - the parts of durable invocations that are in memory, and their housekeeping. */
#include "object/durable_internal.h"

#include <stdlib.h>

#include "object/account.h"
#include "object/clock.h"
#include "object/messages.h"
#include "object/table.h"
#include "object/worker.h"

enum { PUT_OFF_NS = 1000000000 };

/* --- an invocation's part ------------------------------------------------------------------------------ */

static void drop(struct cairn_worker *worker, struct invocation *inv)
{
    struct durable *d = inv->durable;

    if (d->charged)
        account_dropped(worker, inv->job, d->charged);
    cairn_list_remove(&d->parked);
    cairn_list_remove(&d->asked);
    if (d->open)
        d->open->live = NULL;
    durable_uncount(worker, d);
    cairn_buf_done(&d->tail);
    cairn_buf_done(&d->journal);
    free(d->drops);
    free(d->known);
    free(d->waits);
    cairn_buf_done(&d->promises);
    free(d);
    inv->durable = NULL;
}

void durable_make(struct invocation *inv)
{
    inv->durable = cairn_alloc_zeroed(1, sizeof *inv->durable);
    cairn_list_init(&inv->durable->parked);
    cairn_list_init(&inv->durable->asked);
    inv->durable->inv = inv;
    inv->durable->drop = drop;
}

void durable_tail_free(struct invocation *inv)
{
    struct durable *d = inv->durable;

    if (d->charged)
        account_dropped(inv->worker, inv->job, d->charged);
    d->charged = 0;
    d->tail.size = d->kept = 0;
    if (d->tail.capacity > CHUNK_BYTES)
        cairn_buf_done(&d->tail);
    if (!d->replays) { /* the run has come past it, and what it has done since is committed */
        cairn_buf_done(&d->journal);
        free(d->known);
        d->known = NULL;
        d->known_count = 0;
    }
}

/* --- put off --------------------------------------------------------------------------------------------- */

bool durable_goes_on(const struct invocation *inv)
{
    return durable_recorded(inv) && inv->refused && !inv->worker->failed;
}

static void park(struct cairn_worker *worker, struct durable *d)
{
    d->wake_ns = worker_clock_ns(worker) + PUT_OFF_NS;
    cairn_list_push_back(&worker->durables->parked, &d->parked);
}

void durable_put_off(struct cairn_worker *worker, struct invocation *inv)
{
    struct durable *d = inv->durable;

    invocation_move(inv, INV_ASLEEP);
    invocation_forget_calls(worker, inv);
    d->replays = false;
    durable_tail_free(inv);
    d->drop_count = 0;
    inv->result.size = 0;
    inv->failed = inv->refused = inv->resumes = false;
    park(worker, d);
}

static void try_again(struct cairn_worker *worker, struct durable *d)
{
    struct cairn_err err;

    if (durable_load_journal(d->inv, false, &err) == CAIRN_OK)
        worker->durables->ways.enter(d->inv);
    else
        park(worker, d);
}

/* Those that are cancelled and wait for calls tell these, which may have begun meanwhile. */
static void tell_again(struct cairn_worker *worker)
{
    struct cairn_link *cancelled = &worker->durables->cancelled;
    uint64_t now;

    if (cairn_list_empty(cancelled))
        return;
    now = worker_clock_ns(worker);
    while (!cairn_list_empty(cancelled)) {
        struct durable *d = cairn_container(cancelled->next, struct durable, parked);

        if (d->wake_ns > now)
            break;
        d->wake_ns = now + PUT_OFF_NS;
        cairn_list_remove(&d->parked);
        cairn_list_push_back(cancelled, &d->parked);
        called_over(worker, d->inv->object->shard->index, d->number, d->cancelled_by);
    }
}

/* --- housekeeping ---------------------------------------------------------------------------------------- */

static bool step(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;
    uint64_t now;

    if (worker->failed)
        return false;
    if (!cairn_list_empty(&ds->parked)) {
        now = worker_clock_ns(worker);
        while (!cairn_list_empty(&ds->parked)) {
            struct durable *d = cairn_container(ds->parked.next, struct durable, parked);
            if (d->wake_ns > now)
                break;
            cairn_list_remove(&d->parked);
            try_again(worker, d);
        }
    }
    tell_again(worker);
    return durable_start_some(worker);
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    const struct durables *ds = worker->durables;
    const struct open *first = opens_first(&ds->opens);
    bool waits = !cairn_list_empty(&ds->parked) || !cairn_list_empty(&ds->cancelled);
    uint64_t least = waits ? PUT_OFF_NS / 4 : UINT64_MAX, now_ms;

    if (first && first->wake_ms != UINT64_MAX) {
        now_ms = messages_clock_ms(worker);
        if (first->wake_ms <= now_ms) /* as many are under way as may be */
            return PUT_OFF_NS / 100 < least ? PUT_OFF_NS / 100 : least;
        if (first->wake_ms - now_ms < least / 1000000)
            least = (first->wake_ms - now_ms) * 1000000;
    }
    return least;
}

const struct housekeeper durable_housekeeper = {.name = "durable invocations", .step = step, .next_ns = next_ns};

void durable_init(struct cairn_worker *worker, const struct durable_ways *ways)
{
    worker->durables = cairn_alloc_zeroed(1, sizeof *worker->durables);
    worker->durables->ways = *ways;
    cairn_value_add_error(&worker->durables->told, cairn_str("cancelled"),
                          cairn_str("the invocation is cancelled: this was not waited for to its end"));
    cairn_list_init(&worker->durables->asked);
    cairn_list_init(&worker->durables->parked);
    cairn_list_init(&worker->durables->cancelled);
}

void durable_close(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;

    if (!ds)
        return;
    durable_versions_drop(ds);
    opens_done(&ds->opens);
    free(ds->settled);
    cairn_buf_done(&ds->told);
    free(ds);
    worker->durables = NULL;
}
