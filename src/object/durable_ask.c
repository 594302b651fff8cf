#include "object/durable_ask.h"

#include "object/clock.h"
#include "object/durable_cancel.h"
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/messages.h"
#include "object/once.h"
#include "object/table.h"
#include "object/worker.h"

enum { TELL_NS = 1000000000, SOON_NS = 20000000, LATER_MS = 1000 };

/* --- the record ------------------------------------------------------------------------------------------ */

/* It goes on, to its next wait. */
static void go_on(struct cairn_worker *worker, struct shard *shard, uint64_t number, struct dependency record)
{
    struct durables *ds = worker->durables;
    struct open *open = opens_find(&ds->opens, shard->index, number);
    struct durable *d = open ? open->live : NULL;

    if (!open) /* it begins again soon, and has it in its head */
        return;
    if (d) {
        d->told_waits = false; /* the record has taken that away */
        durable_asked(worker, d, record);
    }
    if (d && d->inv->state == INV_WAITING)
        ds->ways.resume(worker, d->inv);
    else
        durable_wake(worker, open);
}

static enum cairn_code record_it(struct cairn_worker *worker, struct shard *shard, uint64_t number,
                                 struct durable_head *head, struct dependency *ret_record, struct cairn_err *err)
{
    struct overlay overlay = {0};
    enum cairn_code code;

    head->cancel_ms = messages_clock_ms(worker);
    overlay_reset(&overlay, shard->engine);
    durable_head_put(&overlay, number, head);
    durable_sleeper_remove(&overlay, number);
    code = shard_commit_own(worker, shard, &overlay, "cancel", ret_record, err);
    overlay_done(&overlay);
    return code;
}

enum cairn_code durable_ask(struct cairn_worker *worker, struct shard *shard, uint64_t number,
                            struct dependency *ret_record, struct cairn_err *err)
{
    struct cairn_buf copy = {0};
    struct durable_head head;
    struct cairn_bytes bytes;
    struct type *type;
    struct object *object;
    enum cairn_code code;

    (void)cairn_engine_take_failure(shard->engine, NULL);
    if (!durable_head_get(shard->engine, number, &bytes)) {
        code = cairn_engine_take_failure(shard->engine, err);
        return code != CAIRN_OK ? code : cairn_fail(err, CAIRN_ENOTFOUND, "no such durable invocation is open");
    }
    code = cairn_shard_check_writers(shard->shard, err);
    if (code != CAIRN_OK)
        return code;
    cairn_buf_add(&copy, bytes.data, bytes.size);
    type = durable_head_decode(cairn_buf_bytes(&copy), &head)
               ? durable_version(worker, spaces_intern(&worker->node->spaces, head.space), head.type, head.module.data)
               : NULL;
    if (!type) {
        code = durable_cancel_now(worker, shard, number, ret_record, err);
    } else if (head.cancel_ms) {
        *ret_record = object_get(worker, shard, type->number, head.id)->last;
    } else {
        code = record_it(worker, shard, number, &head, ret_record, err);
        if (code == CAIRN_OK) {
            object = object_get(worker, shard, type->number, head.id);
            dependency_join(&object->last, *ret_record); /* whoever asks it again waits for the record, too */
            go_on(worker, shard, number, *ret_record);
        }
    }
    cairn_buf_done(&copy);
    return code;
}

bool durable_ask_called(struct cairn_worker *worker, struct shard *shard, struct cairn_bytes key)
{
    struct dependency record;
    uint64_t number;

    switch (once_called_state(shard, key, &number)) {
    case ONCE_CALLED_OVER:
        return true;
    case ONCE_CALLED_RUNS:
        return false;
    case ONCE_CALLED_DURABLE:
        break;
    }
    return durable_ask(worker, shard, number, &record, NULL) == CAIRN_ENOTFOUND;
}

/* --- what follows ---------------------------------------------------------------------------------------- */

static void end_late(struct cairn_worker *worker, struct durable *d)
{
    struct dependency record;

    if (durable_cancel_now(worker, d->inv->object->shard, d->number, &record, NULL) == CAIRN_OK)
        return;            /* it may be gone */
    d->end_ms += LATER_MS; /* no room in the log */
    cairn_list_remove(&d->asked);
    cairn_list_push_back(&worker->durables->asked, &d->asked);
}

/* False: not yet, as its record is not acknowledged. */
static bool tell_below(struct cairn_worker *worker, struct durable *d)
{
    const struct invocation *inv = d->inv;
    uint32_t below = d->cancel == DURABLE_TOLD ? d->told_calls : inv->state == INV_RETURNING ? inv->call_count : 0;

    if (!below || !inv->calls_out)
        return true;
    if (!worker->node->has_one_log && !dependency_acknowledged(worker->node, d->asked_by))
        return false;
    durable_ask_below(worker, inv->object->shard->index, d->number, below);
    return true;
}

static bool step(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;
    uint64_t now_ns, now_ms;

    if (cairn_list_empty(&ds->asked) || worker->failed)
        return false;
    now_ms = messages_clock_ms(worker);
    for (struct durable *d; !cairn_list_empty(&ds->asked) &&
                            (d = cairn_container(ds->asked.next, struct durable, asked))->end_ms <= now_ms;)
        end_late(worker, d);
    now_ns = worker_clock_ns(worker);
    if (now_ns < ds->tell_ns)
        return false;
    ds->tell_ns = now_ns + TELL_NS;
    for (struct cairn_link *l = ds->asked.next; l != &ds->asked; l = l->next)
        if (!tell_below(worker, cairn_container(l, struct durable, asked)))
            ds->tell_ns = now_ns + SOON_NS;
    return false;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    const struct durables *ds = worker->durables;
    uint64_t now_ns;

    if (cairn_list_empty(&ds->asked))
        return UINT64_MAX;
    now_ns = worker_clock_ns(worker);
    return ds->tell_ns > now_ns + SOON_NS ? ds->tell_ns - now_ns : SOON_NS; /* a second at most: also of end_ms */
}

const struct housekeeper ask_housekeeper = {.name = "cancelled invocations", .step = step, .next_ns = next_ns};
