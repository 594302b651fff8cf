/* durable_resume.c - durable invocations that come from their shard: when the node opens, when they have slept, and
 * when a request comes with their key. */
#include <stdlib.h>

#include "object/clock.h"
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/layout.h"
#include "object/messages.h"
#include "object/once.h"
#include "object/table.h"
#include "object/worker.h"

enum {
    AT_ONCE = 64,             /* recovered ones under way, of one worker */
    BYTES_AT_ONCE = 64 << 20, /* of their journals */
    STARTS_PER_STEP = 16,
    LOOKS_PER_STEP = 128, /* at those that were open when the node opened, most of which may sleep */
};

/* --- the journal --------------------------------------------------------------------------------------- */

static enum cairn_code read_chunks(struct durable *d, struct cairn_view *engine, struct cairn_err *err)
{
    d->journal.size = 0;
    d->chunks = durable_read_chunks(engine, d->number, &d->journal);
    d->bytes = d->journal.size;
    return cairn_engine_take_failure(engine, err);
}

/* What is known of the calls.  Those that are under way are told by `out`, which has as many as the run had made. */
static enum cairn_code read_calls(struct invocation *inv, const struct call *out, uint32_t out_count, bool tell,
                                  struct cairn_err *err)
{
    struct durable *d = inv->durable;
    struct called called = {.number = d->number, .shard = inv->object->shard->index};
    struct journal_entry entry;
    struct cairn_reader r;

    d->known_count = 0;
    for (r = cairn_reader(cairn_buf_bytes(&d->journal)); cairn_reader_left(&r);) {
        if (!journal_read(&r, &entry))
            return cairn_fail(err, CAIRN_ECORRUPT, "its journal cannot be read");
        d->known_count += journal_is_call(entry.op);
        called.call = entry.call;
        if (tell && entry.op == JOURNAL_OUTCOME && entry.shard != JOURNAL_NO_SHARD)
            called_done(inv->worker, &called, entry.shard, (struct dependency){0});
    }
    free(d->known);
    d->known = cairn_alloc_zeroed(d->known_count + 1, 1);
    for (uint32_t i = 0; i < out_count && i < d->known_count; i++)
        if (out[i].state == CALL_OUT)
            d->known[i] = DURABLE_OUT;
    for (r = cairn_reader(cairn_buf_bytes(&d->journal)); cairn_reader_left(&r) && journal_read(&r, &entry);)
        if (entry.op == JOURNAL_OUTCOME && entry.call < d->known_count)
            d->known[entry.call] = DURABLE_THERE;
    return CAIRN_OK;
}

enum cairn_code durable_load_journal(struct invocation *inv, bool tell, struct cairn_err *err)
{
    struct durable *d = inv->durable;
    enum cairn_code code = read_chunks(d, inv->object->shard->engine, err);

    if (code != CAIRN_OK)
        return code;
    cairn_buf_add(&d->journal, d->tail.data, d->tail.size);
    d->kept = d->tail.size;
    code = read_calls(inv, inv->calls, inv->call_count, tell, err);
    if (code == CAIRN_OK)
        durable_rewind(inv);
    return code;
}

/* --- from the shard ------------------------------------------------------------------------------------ */

static enum cairn_code take_key(struct invocation *inv, const struct durable_head *head, struct cairn_err *err)
{
    if (head->key_kind == DURABLE_KEY_NONE || head->key_kind == DURABLE_KEY_MESSAGE)
        return CAIRN_OK;
    if (head->key_kind == DURABLE_KEY_CLIENT) {
        once_make(inv, head->key);
    } else {
        inv->called = head->called;
        once_make_called(inv);
    }
    return once_again(inv, err);
}

void durable_uncount(struct cairn_worker *worker, struct durable *d)
{
    if (!d->counted)
        return;
    d->counted = false;
    worker->durables->recovered_count--;
    worker->durables->recovered_bytes -= d->recovered_bytes;
}

static void count(struct durables *ds, struct durable *d)
{
    d->counted = true;
    d->recovered_bytes = d->bytes;
    ds->recovered_count++;
    ds->recovered_bytes += d->bytes;
}

/* Into its object's mailbox, with no client or caller that waits for it. */
static enum cairn_code start(struct cairn_worker *worker, struct shard *shard, uint64_t number,
                             struct cairn_bytes bytes, struct invocation **ret_inv, struct cairn_err *err)
{
    struct durables *ds = worker->durables;
    struct invocation *inv = invocation_new(worker, worker->node->operations[CAIRN_OP_INVOKE]);
    struct durable_sleeper sleeper;
    struct durable_head head;
    struct type *type;
    enum cairn_code code;

    if (inv->payload_room < bytes.size) {
        inv->payload = cairn_realloc(inv->payload, bytes.size);
        inv->payload_room = bytes.size;
    }
    memcpy(inv->payload, bytes.data, bytes.size);
    inv->worker = worker;
    inv->origin = worker->index;
    inv->shard = shard->index;
    if (!durable_head_decode(cairn_bytes(inv->payload, bytes.size), &head)) {
        invocation_free(worker, inv);
        return cairn_fail(err, CAIRN_ECORRUPT, "its head cannot be read");
    }
    inv->space = spaces_intern(&worker->node->spaces, head.space);
    type = durable_version(worker, inv->space, head.type, head.module.data);
    inv->method = type ? type_method(type, head.method) : NULL;
    if (!inv->method) {
        invocation_free(worker, inv);
        return cairn_fail(err, CAIRN_ECORRUPT, "there is no method %.*s.%.*s in the module that it began with",
                          (int)head.type.size, (const char *)head.type.data, (int)head.method.size,
                          (const char *)head.method.data);
    }
    inv->type = type_ref(type);
    inv->type_name = head.type;
    inv->id = head.id;
    inv->method_name = head.method;
    inv->args = head.args;
    inv->caller_type = head.caller_type;
    inv->caller_id = head.caller_id;
    inv->depth = head.depth;
    inv->started_ns = worker_recent_ns(worker);
    inv->object = object_get(worker, shard, inv->type->number, inv->id);
    object_ref(worker, inv->object);
    inv->number = ++worker->invocation_count;
    inv->effects = CAIRN_EFFECTS_SOME;
    job_resumed(inv, &head.parent);
    inv->segment_number = 1; /* it has begun: nothing refuses it any more */
    inv->depends = inv->object->last;
    durable_make(inv);
    inv->durable->number = number;
    inv->durable->letter = head.letter;
    inv->by_message = head.key_kind == DURABLE_KEY_MESSAGE;
    inv->durable->recorded = inv->durable->recovered = true;
    inv->durable->told_waits = durable_sleeper_get(shard->engine, number, &sleeper);
    code = durable_load_journal(inv, true, err);
    if (code == CAIRN_OK)
        code = take_key(inv, &head, err);
    if (code != CAIRN_OK) {
        if (inv->keyed)
            cairn_list_remove(&once_of(inv)->keyed);
        object_unref(worker, inv->object);
        type_unref(inv->type);
        invocation_free(worker, inv);
        return code;
    }
    count(ds, inv->durable);
    inv->durable->open = opens_find(&ds->opens, shard->index, number);
    if (!inv->durable->open)
        inv->durable->open = opens_add(&ds->opens, shard->index, number);
    opens_wake(&ds->opens, inv->durable->open);
    inv->durable->open->live = inv->durable;
    cairn_list_push_back(&worker->live, &inv->live);
    if (head.cancel_ms)
        durable_asked(worker, inv->durable, (struct dependency){0});
    ds->ways.enter(inv);
    *ret_inv = inv;
    return CAIRN_OK;
}

struct invocation *durable_load(struct cairn_worker *worker, struct shard *shard, uint64_t number)
{
    struct open *open = opens_find(&worker->durables->opens, shard->index, number);
    struct invocation *inv = NULL;
    struct cairn_bytes head;
    struct cairn_err err;
    enum cairn_code code;

    if (open && open->live)
        return open->live->inv;
    (void)cairn_engine_take_failure(shard->engine, NULL);
    if (durable_head_get(shard->engine, number, &head)) {
        code = start(worker, shard, number, head, &inv, &err);
    } else {
        code = cairn_engine_take_failure(shard->engine, &err);
        if (code == CAIRN_OK) /* it is over */
            return NULL;
    }
    if (code == CAIRN_OK)
        return inv;
    if (open)
        opens_wake(&worker->durables->opens, open);
    cairn_tell(worker->node->options.events,
               &(struct cairn_event){
                   .level = CAIRN_LEVEL_ERROR,
                   .from = "durable",
                   .kind = "durable_not_resumed",
                   .text = "a durable invocation does not go on; it is tried again at the next start",
                   .fields = {{"invocation", NULL, number}, {"shard", NULL, shard->index}, {"error", err.text, 0}},
               });
    return NULL;
}

struct once *durable_of_key(struct cairn_worker *worker, struct shard *shard, uint64_t number)
{
    struct invocation *inv = durable_load(worker, shard, number);

    return inv ? once_of(inv) : NULL;
}

/* --- by and by ------------------------------------------------------------------------------------------- */

void durable_wake(struct cairn_worker *worker, struct open *open)
{
    struct durables *ds = worker->durables;
    struct durable *d = open->live;
    struct cairn_err err;

    if (!opens_asleep(open))
        return;
    if (d && durable_load_journal(d->inv, false, &err) == CAIRN_OK) {
        opens_wake(&ds->opens, open);
        ds->ways.enter(d->inv);
    } else {
        opens_sleep(&ds->opens, open, 0); /* in its turn; or it is tried again */
    }
}

static bool may_start(const struct durables *ds)
{
    return ds->recovered_count < AT_ONCE && ds->recovered_bytes < BYTES_AT_ONCE;
}

/* What was open when the node was opened sleeps on, or starts; what began since has a number of this epoch. */
static bool start_opened(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;
    uint64_t now_ms = messages_clock_ms(worker);
    struct overlay overlay = {0};
    bool more = true;

    for (int looks = 0, starts = 0; looks < LOOKS_PER_STEP && starts < STARTS_PER_STEP && more; looks++) {
        struct shard *shard = worker_shard(worker, ds->shard);
        struct durable_sleeper sleeper;
        uint64_t number = 0;

        if (ds->shard == worker->node->shard_count || !may_start(ds)) {
            more = false;
            break;
        }
        if (shard->shard) {
            overlay_reset(&overlay, shard->engine);
            number = durable_next(&overlay, ds->after);
        }
        if (number == 0 || number >> 40 == shard->log->epoch) {
            ds->shard++;
            ds->after = 0;
            continue;
        }
        ds->after = number;
        if (opens_find(&ds->opens, shard->index, number))
            continue;
        if (durable_sleeper_get(shard->engine, number, &sleeper) && sleeper.wake_ms > now_ms) {
            opens_sleep(&ds->opens, opens_add(&ds->opens, shard->index, number), sleeper.wake_ms);
            continue;
        }
        durable_load(worker, shard, number);
        starts++;
    }
    overlay_done(&overlay);
    return more;
}

/* One of which nothing is in memory is as one that is recovered. */
static bool wake_due(struct cairn_worker *worker)
{
    struct durables *ds = worker->durables;
    uint64_t now_ms = 0;

    for (int n = 0; n < STARTS_PER_STEP; n++) {
        struct open *first = opens_first(&ds->opens);

        if (!first || first->wake_ms == UINT64_MAX || !may_start(ds))
            return false;
        if (!now_ms)
            now_ms = messages_clock_ms(worker);
        if (first->wake_ms > now_ms)
            return false;
        if (first->live)
            durable_wake(worker, first);
        else
            durable_load(worker, worker_shard(worker, first->shard), first->number);
        if (opens_first(&ds->opens) == first && first->wake_ms <= now_ms)
            return false; /* it cannot be read now */
    }
    return true;
}

bool durable_start_some(struct cairn_worker *worker)
{
    bool more = wake_due(worker);

    if (worker->durables->shard < worker->node->shard_count)
        more |= start_opened(worker);
    return more;
}
