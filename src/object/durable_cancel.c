#include "object/durable_cancel.h"

#include "object/clock.h"
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/kept.h"
#include "object/layout.h"
#include "object/once.h"
#include "object/promise.h"
#include "object/table.h"
#include "object/worker.h"

/* --- the record ------------------------------------------------------------------------------------------ */

/* The entries of its journal's list, all of which are read for the promises that it has made. */
static uint64_t remove_promises(struct shard *shard, struct overlay *overlay, uint64_t number)
{
    struct cairn_buf journal = {0};
    struct journal_entry entry;
    struct cairn_reader r;
    uint32_t call = 0;
    uint64_t chunks = durable_read_chunks(shard->engine, number, &journal);

    r = cairn_reader(cairn_buf_bytes(&journal));
    while (cairn_reader_left(&r) && journal_read(&r, &entry)) {
        if (entry.op == JOURNAL_PROMISE)
            promise_remove(overlay, number, call);
        call += journal_is_call(entry.op);
    }
    cairn_buf_done(&journal);
    return chunks;
}

static void end_key(struct overlay *overlay, const struct type *type, const struct durable_head *head)
{
    uint8_t key[ONCE_KEY_ROOM];
    size_t size = 0;

    if (head->key_kind == DURABLE_KEY_CALL) {
        called_key(key, &head->called);
        size = CALLED_KEY_BYTES;
    } else if (head->key_kind == DURABLE_KEY_CLIENT && type) {
        size = once_key_of(key, type->number, head->id, head->method, head->key);
    }
    if (size)
        once_end_durable(overlay, cairn_bytes(key, size), CAIRN_ECANCELLED, CANCELLED_TEXT);
}

/* --- in memory ------------------------------------------------------------------------------------------- */

/* A request with its key, or a look at its object, waits for the record. */
static void depend(struct cairn_worker *worker, struct shard *shard, const struct type *type, struct cairn_bytes id,
                   struct dependency record)
{
    if (type)
        dependency_join(&object_get(worker, shard, type->number, id)->last, record);
}

static void end(struct cairn_worker *worker, struct durable *d, struct dependency record)
{
    struct durables *ds = worker->durables;

    d->recorded = false;
    d->open = NULL;
    d->cancelled = true;
    d->cancelled_by = record;
    dependency_join(&d->inv->depends, record);
    cairn_list_remove(&d->asked);
    cairn_list_remove(&d->parked);
    d->wake_ns = 0;
    cairn_list_push_back(&ds->cancelled, &d->parked);
    ds->ways.end(worker, d->inv); /* it may be gone */
}

enum cairn_code durable_cancel_now(struct cairn_worker *worker, struct shard *shard, uint64_t number,
                                   struct dependency *ret_record, struct cairn_err *err)
{
    struct durables *ds = worker->durables;
    struct open *open = opens_find(&ds->opens, shard->index, number);
    struct durable *live = open ? open->live : NULL;
    struct shard_meta before = shard->meta;
    struct overlay overlay = {0};
    struct cairn_buf copy = {0};
    struct durable_head head;
    struct space_kept less = {0};
    struct space *space = NULL;
    struct type *type = NULL;
    struct cairn_bytes bytes;
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
    overlay_reset(&overlay, shard->engine);
    if (durable_head_decode(cairn_buf_bytes(&copy), &head)) {
        space = spaces_intern(&worker->node->spaces, head.space);
        type = durable_version(worker, space, head.type, head.module.data);
        end_key(&overlay, type, &head);
    }
    durable_remove(shard, &overlay, space, number, remove_promises(shard, &overlay, number));
    durable_sleeper_remove(&overlay, number);
    kept_count(space, &overlay, &less, NULL);
    code = cairn_engine_take_failure(shard->engine, err);
    if (code == CAIRN_OK)
        code = shard_commit_own(worker, shard, &overlay, "cancel", ret_record, err);
    overlay_done(&overlay);
    if (code == CAIRN_OK) {
        depend(worker, shard, type, head.id, *ret_record);
        called_over(worker, shard->index, number, *ret_record);
        if (open)
            opens_remove(&ds->opens, open);
        if (live)
            end(worker, live, *ret_record);
        if (type)
            durable_version_leave(worker, type); /* it may have been the last that kept it */
    } else {
        shard->meta = before;
        kept_undo(space, less);
    }
    cairn_buf_done(&copy);
    return code;
}
