/* durable_commit.c - a durable invocation's part of a segment's record: its head and its journal, or their removal. */
#include "object/commit.h"
#include "object/delivery.h"
#include "object/durable_cancel.h"
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/durable_restored.h"
#include "object/layout.h"
#include "object/once.h"
#include "object/promise.h"
#include "object/span.h"
#include "object/table.h"
#include "object/worker.h"

static void put_head(struct commit *commit)
{
    const struct invocation *inv = commit->inv;
    const struct once *once = once_of(inv);
    struct durable_head head = {
        .module = cairn_bytes(inv->type->module->hash, CAIRN_SHA256_BYTES),
        .version = inv->type->version,
        .space = inv->type->space->name,
        .type = inv->type->name,
        .id = object_id(inv->object),
        .method = cairn_str(inv->method->decl->name),
        .args = inv->args,
        .caller_type = inv->caller_type,
        .caller_id = inv->caller_id,
        .depth = inv->depth,
        .began_ms = (uint64_t)invocation_now_ms(commit->inv),
        .parent = {.job = invocation_job(commit->inv)->id, .span = span_id(inv)},
    };
    uint8_t entry[8];
    struct tree tree = durable_tree(commit->overlay);

    if (once && once->called.number) {
        head.key_kind = DURABLE_KEY_CALL;
        head.called = once->called;
    } else if (once) {
        head.key_kind = DURABLE_KEY_CLIENT;
        head.key = once->key;
    } else if (delivery_of(inv)) {
        head.key_kind = DURABLE_KEY_MESSAGE;
        head.letter = delivery_letter(inv);
    }
    durable_head_put(commit->overlay, inv->durable->number, &head);
    cairn_put_be64(entry, inv->durable->number);
    tree_add(&tree, cairn_bytes(entry, sizeof entry));
}

static uint64_t chunk_count(const struct durable *d)
{
    return (d->tail.size + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

static void put_tail(struct commit *commit)
{
    const struct durable *d = commit->inv->durable;
    uint8_t key[FIELD_KEY_FIXED_MAX];

    for (uint64_t n = 0; n < chunk_count(d); n++) {
        size_t at = (size_t)n * CHUNK_BYTES, left = d->tail.size - at;

        overlay_put(commit->overlay, cairn_bytes(key, durable_chunk_key(key, d->number, d->chunks + n)),
                    cairn_bytes(d->tail.data + at, left < CHUNK_BYTES ? left : CHUNK_BYTES));
    }
}

static struct promise_id promise_of(const struct invocation *inv, const struct durable_wait *wait)
{
    struct promise_id id = {.shard = inv->object->shard->index, .number = inv->durable->number, .call = wait->call};

    memcpy(id.secret, wait->secret, sizeof id.secret);
    return id;
}

static void put_promises(struct commit *commit)
{
    const struct durable *d = commit->inv->durable;

    for (uint32_t i = 0; i < d->wait_count; i++) {
        struct promise_id id = promise_of(commit->inv, &d->waits[i]);

        if (d->waits[i].is_promise && d->waits[i].fresh)
            promise_put(commit->overlay, &id, d->waits[i].due_ms, PROMISE_OPEN);
    }
}

/* Of a run that ends along its journal, what comes in it later is there, too. */
static void remove_promises(struct commit *commit)
{
    const struct durable *d = commit->inv->durable;
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&d->journal));
    struct journal_entry entry;
    uint32_t call = 0;

    for (size_t at = 0; at < d->promises.size; at += 4)
        promise_remove(commit->overlay, d->number, cairn_get_u32(d->promises.data + at));
    while (d->replays && cairn_reader_left(&r) && journal_read(&r, &entry)) {
        if (entry.op == JOURNAL_PROMISE)
            promise_remove(commit->overlay, d->number, call);
        call += journal_is_call(entry.op);
    }
}

/* What it waits for, if there is nothing but that. */
static void put_sleeper(struct commit *commit)
{
    struct invocation *inv = commit->inv;
    struct durable *d = inv->durable;
    const struct durable_wait *wait = durable_wait_find(d, inv->awaiting);
    struct durable_sleeper sleeper = {.since_ms = (uint64_t)invocation_now_ms(inv), .wake_ms = durable_wake_ms(inv)};

    if (!wait) {
        sleeper.what = DURABLE_FOR_ALL;
        sleeper.count = d->wait_count;
    } else {
        sleeper.what = wait->is_promise ? DURABLE_FOR_PROMISE : DURABLE_FOR_SLEEP;
        sleeper.call = wait->call;
        memcpy(sleeper.secret, wait->secret, sizeof sleeper.secret);
    }
    durable_sleeper_put(commit->overlay, d->number, &sleeper);
}

static enum cairn_code prepare(struct commit *commit, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    struct durable *d = inv->durable;

    if (!d)
        return CAIRN_OK;
    if (d->cancelled || (d->number && durable_is_restored(inv)))
        return durable_cancelled_error(err);
    d->tells_waits = !commit->over && inv->run && !inv->calls_out && !inv->segment->call_count && durable_rests(inv) &&
                     !durable_untold(inv);
    if (d->told_waits && !d->tells_waits)
        durable_sleeper_remove(commit->overlay, d->number);
    if (commit->over) {
        if (d->recorded) {
            remove_promises(commit);
            durable_remove(inv->object->shard, commit->overlay, inv->type->space, d->number, d->chunks);
        }
        return CAIRN_OK;
    }
    if (!d->number)
        d->number = shard_incarnation(inv->object->shard);
    d->since_ms = (uint64_t)invocation_now_ms(inv);
    if (!d->recorded)
        put_head(commit);
    put_tail(commit);
    put_promises(commit);
    if (d->tells_waits)
        put_sleeper(commit);
    return CAIRN_OK;
}

static void tell_callees(struct commit *commit)
{
    struct invocation *inv = commit->inv;
    struct durable *d = inv->durable;

    for (uint32_t i = 0; i < d->drop_count; i++) {
        struct called called = {.number = d->number, .shard = inv->object->shard->index, .call = d->drops[i].call};

        called_done(inv->worker, &called, d->drops[i].shard, commit->record);
    }
    d->drop_count = 0;
}

static void begin_record(struct invocation *inv)
{
    struct durable *d = inv->durable;

    durable_version_take(inv->worker, inv->type);
    d->recorded = true;
    d->open = opens_add(&inv->worker->durables->opens, inv->object->shard->index, d->number);
    d->open->live = d;
}

static void end_record(struct invocation *inv)
{
    struct durable *d = inv->durable;

    if (!d->recorded)
        return;
    durable_version_leave(inv->worker, inv->type);
    d->recorded = false;
    opens_remove(&inv->worker->durables->opens, d->open);
    d->open = NULL;
}

static void committed(struct commit *commit)
{
    struct invocation *inv = commit->inv;
    struct durable *d = inv->durable;

    if (!d)
        return;
    tell_callees(commit);
    d->told_waits = d->tells_waits;
    if (commit->over) {
        end_record(inv);
    } else {
        if (!d->recorded)
            begin_record(inv);
        d->sent = true;
        for (uint32_t i = 0; i < d->wait_count; i++)
            d->waits[i].fresh = false;
        d->chunks += chunk_count(d);
        d->bytes += d->tail.size;
    }
    durable_tail_free(inv);
}

const struct participant durable_participant = {
    .concern = CONCERNS_DURABLE, .prepare = prepare, .committed = committed};
