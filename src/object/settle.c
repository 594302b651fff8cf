#include "object/settle.h"

#include "object/clock.h"
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/hold.h"
#include "object/layout.h"
#include "object/promise.h"
#include "object/settled.h"
#include "object/worker.h"

static bool is_of_space(struct shard *shard, uint64_t number, const struct space *space)
{
    struct durable_head head;
    struct cairn_bytes bytes;

    return durable_head_get(shard->engine, number, &bytes) && durable_head_decode(bytes, &head) &&
           cairn_bytes_equal(head.space, space->name);
}

/* CAIRN_OK: it is open; *ret_due_ms tells when its time is over. */
static enum cairn_code look(struct cairn_worker *worker, struct invocation *inv, struct shard *shard,
                            const struct promise_id *id, uint64_t *ret_due_ms, struct cairn_err *err)
{
    enum cairn_code code;
    uint8_t promise_state = PROMISE_OPEN;
    struct dependency record = {0};
    bool settled = settled_find(worker->durables->settled, id, inv->space, &record), there;

    (void)cairn_engine_take_failure(shard->engine, NULL);
    there = is_of_space(shard, id->number, inv->space) && promise_get(shard->engine, id, &promise_state, ret_due_ms);
    if (settled || (there && promise_state == PROMISE_SETTLED)) {
        dependency_join(&inv->depends, record); /* one that is forgotten was acknowledged long ago */
        return cairn_fail(err, CAIRN_ECONFLICT, "this promise is settled already");
    }
    if (there) {
        if (*ret_due_ms > (uint64_t)inv->now_ms)
            return CAIRN_OK;
        dependency_join(&inv->depends, (struct dependency){.time_ms = (uint64_t)inv->now_ms}); /* it stays so */
        return cairn_fail(err, CAIRN_ECONFLICT, "this promise's time is over");
    }
    code = cairn_engine_take_failure(shard->engine, err);
    return code != CAIRN_OK ? code
                            : cairn_fail(err, CAIRN_ENOTFOUND,
                                         "there is no promise with this id; or the invocation that waited for it is "
                                         "over");
}

static uint64_t count_chunks(struct shard *shard, uint64_t number)
{
    uint8_t key[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes value;

    for (uint64_t n = 0;; n++) {
        struct cairn_bytes k = cairn_bytes(key, durable_chunk_key(key, number, n));

        if (!shard->engine->ops->get(shard->engine, k, cairn_hash(k), &value))
            return n;
    }
}

/* The outcome is an entry of the journal's list, and so is its end; more than one if it is large. */
static uint64_t put_outcome(struct overlay *overlay, uint64_t number, uint64_t chunks, struct cairn_bytes entry)
{
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint64_t n = 0;

    for (size_t at = 0; at < entry.size; at += CHUNK_BYTES, n++)
        overlay_put(overlay, cairn_bytes(key, durable_chunk_key(key, number, chunks + n)),
                    cairn_bytes(entry.data + at, entry.size - at < CHUNK_BYTES ? entry.size - at : CHUNK_BYTES));
    return n;
}

/* What is in memory hears of it, and goes on. */
static void tell(struct cairn_worker *worker, struct open *open, uint32_t call, uint64_t chunks,
                 struct cairn_bytes entry, struct cairn_bytes value)
{
    struct durable *d = open->live;

    if (d) {
        d->chunks += chunks;
        d->told_waits = false;
        durable_settled(d->inv, call, entry, value);
    }
    durable_wake(worker, open);
}

static enum cairn_code settle(struct cairn_worker *worker, struct invocation *inv, const struct promise_id *id,
                              struct cairn_err *err)
{
    struct shard *shard = worker_shard(worker, id->shard);
    struct open *open = opens_find(&worker->durables->opens, id->shard, id->number);
    struct cairn_buf entry = {0};
    struct overlay overlay = {0};
    struct dependency record;
    uint64_t chunks, due_ms = 0;
    enum cairn_code code = look(worker, inv, shard, id, &due_ms, err);

    if (code == CAIRN_OK)
        code = cairn_shard_check_writers(shard->shard, err);
    if (code != CAIRN_OK)
        return code;
    journal_add_outcome(&entry, id->call, JOURNAL_NO_SHARD, inv->request->body);
    chunks = open && open->live ? open->live->chunks : count_chunks(shard, id->number);
    code = cairn_engine_take_failure(shard->engine, err);
    overlay_reset(&overlay, shard->engine);
    chunks = put_outcome(&overlay, id->number, chunks, cairn_buf_bytes(&entry));
    promise_put(&overlay, id, due_ms, PROMISE_SETTLED);
    durable_sleeper_remove(&overlay, id->number);
    if (code == CAIRN_OK)
        code = shard_commit_own(worker, shard, &overlay, "promise", &record, err);
    overlay_done(&overlay);
    if (code == CAIRN_OK) {
        dependency_join(&inv->depends, record);
        settled_add(&worker->durables->settled, id, inv->space, record);
        if (open)
            tell(worker, open, id->call, chunks, cairn_buf_bytes(&entry), inv->request->body);
    }
    cairn_buf_done(&entry);
    return code;
}

/* --- the operation --------------------------------------------------------------------------------------- */

static void receive(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct promise_id id;
    struct cairn_err err;
    enum cairn_code code;

    promise_id_read(inv->request->name, &id);
    inv->worker = worker;
    inv->now_ms = worker_now_ms(worker);
    code = worker->failed ? cairn_fail(&err, CAIRN_EUNAVAILABLE, "%s", worker->node->failure.text)
                          : settle(worker, inv, &id, &err);
    if (code != CAIRN_OK)
        set_error(inv, code, err.text);
    invocation_end(worker, inv);
}

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    struct promise_id id;

    if (!promise_id_read(inv->request->name, &id) || id.shard >= worker->node->shard_count) {
        invocation_refuse(worker, inv, CAIRN_ENOTFOUND, "there is no promise with this id: an id has %d digits, 0-9a-f",
                          PROMISE_ID_BYTES);
        return;
    }
    inv->shard = id.shard;
    worker_send(worker, node_owner(worker->node, id.shard), &inv->message);
}

static enum cairn_code check(const struct cairn_request *request, struct cairn_err *err)
{
    if (!cairn_value_valid(request->body))
        return cairn_fail(err, CAIRN_EINVAL, "a promise is settled with an encoded value");
    return CAIRN_OK;
}

const struct operation settle_operation = {
    .name = "settle",
    .aim = AIM_NODE,
    .check = check,
    .submit = submit,
    .receive = receive,
    .answer = hold_answer,
};
