#include "object/settle.h"

#include "object/clock.h"
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/hold.h"
#include "object/layout.h"
#include "object/posted.h"
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
static enum cairn_code look(struct cairn_worker *worker, struct shard *shard, const struct settling *settling,
                            uint64_t now_ms, uint64_t *ret_due_ms, struct dependency *depends, struct cairn_err *err)
{
    const struct promise_id *id = &settling->id;
    enum cairn_code code;
    uint8_t promise_state = PROMISE_OPEN;
    struct dependency record = {0};
    bool settled = settled_find(worker->durables->settled, id, settling->space, &record), there;

    (void)cairn_engine_take_failure(shard->engine, NULL);
    there =
        is_of_space(shard, id->number, settling->space) && promise_get(shard->engine, id, &promise_state, ret_due_ms);
    if (settled || (there && promise_state == PROMISE_SETTLED)) {
        dependency_join(depends, record); /* one that is forgotten was acknowledged long ago */
        return cairn_fail(err, CAIRN_ECONFLICT, "this promise is settled already");
    }
    if (there) {
        if (*ret_due_ms > now_ms)
            return CAIRN_OK;
        dependency_join(depends, (struct dependency){.time_ms = now_ms}); /* it stays so */
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

enum cairn_code settle_prepare(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                               struct settling *settling, struct cairn_bytes value, uint64_t now_ms,
                               struct dependency *depends, struct cairn_err *err)
{
    const struct promise_id *id = &settling->id;
    struct open *open = opens_find(&worker->durables->opens, id->shard, id->number);
    uint64_t chunks, due_ms = 0;
    enum cairn_code code = look(worker, shard, settling, now_ms, &due_ms, depends, err);

    if (code != CAIRN_OK)
        return code;
    chunks = open && open->live ? open->live->chunks : count_chunks(shard, id->number);
    code = cairn_engine_take_failure(shard->engine, err);
    if (code != CAIRN_OK)
        return code;
    journal_add_outcome(&settling->entry, id->call, JOURNAL_NO_SHARD, value);
    settling->chunks = put_outcome(overlay, id->number, chunks, cairn_buf_bytes(&settling->entry));
    promise_put(overlay, id, due_ms, PROMISE_SETTLED);
    durable_sleeper_remove(overlay, id->number);
    settling->there = true;
    return CAIRN_OK;
}

void settle_committed(struct cairn_worker *worker, struct shard *shard, const struct settling *settling,
                      struct dependency record)
{
    struct open *open = opens_find(&worker->durables->opens, shard->index, settling->id.number);
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&settling->entry));
    struct journal_entry entry;

    settled_add(&worker->durables->settled, &settling->id, settling->space, record);
    if (open && journal_read(&r, &entry))
        tell(worker, open, settling->id.call, settling->chunks, cairn_buf_bytes(&settling->entry), entry.result);
}

void settle_done(struct settling *settling)
{
    cairn_buf_done(&settling->entry);
    settling->there = false;
}

static enum cairn_code settle(struct cairn_worker *worker, struct invocation *inv, const struct promise_id *id,
                              struct cairn_err *err)
{
    struct shard *shard = worker_shard(worker, id->shard);
    struct settling settling = {.id = *id, .space = inv->space};
    struct overlay overlay = {0};
    struct dependency record;
    enum cairn_code code;

    overlay_reset(&overlay, shard->engine);
    code = settle_prepare(worker, shard, &overlay, &settling, inv->request->body, (uint64_t)inv->now_ms, &inv->depends,
                          err);
    if (code == CAIRN_OK)
        code = cairn_shard_check_writers(shard->shard, err);
    if (code == CAIRN_OK)
        code = shard_commit_own(worker, shard, &overlay, "promise", &record, err);
    overlay_done(&overlay);
    if (code == CAIRN_OK) {
        dependency_join(&inv->depends, record);
        settle_committed(worker, shard, &settling, record);
    }
    settle_done(&settling);
    return code;
}

/* --- by a message ---------------------------------------------------------------------------------------- */

bool settle_posted(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                   const struct posted *posted, struct settling *settling, struct cairn_err *err)
{
    struct dependency depends = {0};

    if (!promise_id_read(posted->id, &settling->id) || settling->id.shard != shard->index ||
        !cairn_value_valid(posted->args)) {
        cairn_fail(err, CAIRN_ENOTFOUND, "there is no promise with this id"); /* it comes from another node */
        return false;
    }
    settling->space = spaces_intern(&worker->node->spaces, posted->space);
    return settle_prepare(worker, shard, overlay, settling, posted->args, (uint64_t)worker_now_ms(worker), &depends,
                          err) == CAIRN_OK;
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
    uint32_t shard;

    if (!settle_shard(worker->node, inv->request->name, &shard)) {
        invocation_refuse(worker, inv, CAIRN_ENOTFOUND, "there is no promise with this id: an id has %d digits, 0-9a-f",
                          PROMISE_ID_BYTES);
        return;
    }
    inv->shard = shard;
    worker_send(worker, node_owner(worker->node, shard), &inv->message);
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
