/* durable_host.c - the host calls of a durable invocation but for those about fields (durable_host.h).
 *
 * Outcomes of calls stand in the journal where they came in, and are taken before the host call that follows them: so
 * a wait is no entry of its own. */
#include "object/delivery.h"
#include "object/durable_host.h"
#include "object/journal.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

/* --- lifecycle ------------------------------------------------------------------------------------- */

static void durable_restart(void *run)
{
    struct invocation *inv = run;

    durable_forget_calls(inv);
    object_host_ops.restart(run);
    durable_rewind(inv); /* only the first segment of a run starts over */
}

static struct cairn_bytes durable_args(void *run)
{
    return object_host_ops.args(run);
}

static void durable_args_read(void *run, uint32_t count)
{
    object_host_ops.args_read(run, count);
}

static struct cairn_bytes durable_who(void *run, enum cairn_who which)
{
    return object_host_ops.who(run, which);
}

static enum cairn_code durable_result(void *run, struct cairn_bytes value, struct cairn_err *err)
{
    return object_host_ops.result(run, value, err);
}

static enum cairn_code durable_fail(void *run, struct cairn_bytes code, struct cairn_bytes message,
                                    struct cairn_err *err)
{
    return object_host_ops.fail(run, code, message, err);
}

/* What it has written is in its journal. */
static enum cairn_code durable_undo(void *run, struct cairn_err *err)
{
    (void)run;
    return cairn_fail(err, CAIRN_ELIMIT, "a durable method tried to undo what it has written");
}

/* --- calls ----------------------------------------------------------------------------------------- */

/* Which method of what, for people. */
static enum cairn_code note_called(struct invocation *inv, uint32_t args, struct cairn_bytes type,
                                   struct cairn_bytes id, struct cairn_bytes method, struct cairn_err *err)
{
    enum { BYTES_MAX = 3 * CAIRN_VARINT_BYTES_MAX + 2 * CAIRN_NAME_BYTES_MAX + CAIRN_ID_BYTES_MAX };
    const struct cairn_bytes parts[] = {type, id, method};
    uint8_t bytes[BYTES_MAX], *to;
    enum cairn_code code;
    size_t size = 0;

    for (int i = 0; i < 3 && size + CAIRN_VARINT_BYTES_MAX + parts[i].size <= sizeof bytes; i++) {
        size += cairn_put_varint(bytes + size, parts[i].size);
        memcpy(bytes + size, parts[i].data, parts[i].size);
        size += parts[i].size;
    }
    code = durable_note(inv, JOURNAL_CALL, args, size, &to, err);
    if (code == CAIRN_OK)
        memcpy(to, bytes, size);
    return code;
}

static enum cairn_code durable_call(void *run, struct cairn_bytes type, struct cairn_bytes id,
                                    struct cairn_bytes method, struct cairn_bytes args, uint32_t *ret_call,
                                    struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_CALL, durable_hash(durable_hash(0, 0, type, id), 0, method, args));
    struct durable *d = inv->durable;
    struct invocation *callee;

    if (known && inv->call_count < d->known_count && d->known[inv->call_count] != DURABLE_NEW) {
        *ret_call = invocation_add_call(inv); /* its outcome comes behind it */
        return CAIRN_OK;
    }
    /* A committed call whose outcome the journal has not leaves again, under the key that it had. */
    code = object_host_ops.call(run, type, id, method, args, ret_call, err);
    if (code == CAIRN_OK && !known)
        code = note_called(inv, args_hash, type, id, method, err);
    if (code != CAIRN_OK)
        return code;
    if (!d->number)
        d->number = shard_incarnation(inv->object->shard);
    callee = cairn_container(inv->segment->calls.prev, struct invocation, link);
    callee->called = (struct called){.number = d->number, .shard = inv->object->shard->index, .call = *ret_call};
    return CAIRN_OK;
}

/* Of a wait. */
static enum cairn_code durable_ready(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    enum cairn_code code = object_host_ops.ready(run, call, ret_ready, err);

    if (code != CAIRN_OK)
        return code;
    if (__builtin_expect(durable_told(run), 0))
        durable_told_before(run, call);
    return durable_waits(run, call, ret_ready, err);
}

static enum cairn_code durable_poll(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_READY, durable_hash(call, 0, durable_none, durable_none));

    if (known) {
        *ret_ready = durable_number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.poll(run, call, ret_ready, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_ready, err) : code;
}

static enum cairn_code durable_call_result(void *run, uint32_t call, struct cairn_bytes *ret_value,
                                           struct cairn_err *err)
{
    struct invocation *inv = run;

    if (inv->durable->replays && !durable_take_outcomes(inv))
        return durable_damaged(inv, err);
    if (__builtin_expect(durable_told(inv) && call < inv->call_count && inv->calls[call].told, 0)) {
        *ret_value = cairn_buf_bytes(&inv->worker->durables->told);
        return CAIRN_OK;
    }
    return object_host_ops.call_result(run, call, ret_value, err);
}

/* --- time, randomness, log lines ------------------------------------------------------------------- */

static enum cairn_code durable_now_ms(void *run, int64_t *ret_ms, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_NOW, 0);

    if (known) {
        *ret_ms = (int64_t)durable_number_in(known_result);
        return CAIRN_OK;
    }
    code = object_host_ops.now_ms(run, ret_ms, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, (uint64_t)*ret_ms, err) : code;
}

static enum cairn_code durable_random(void *run, uint8_t *out, size_t size, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_RANDOM, durable_hash(size, 0, durable_none, durable_none));
    uint8_t *to;

    if (known) {
        if (known_result.size != size)
            return durable_damaged(inv, err);
        memcpy(out, known_result.data, size);
        return CAIRN_OK;
    }
    code = object_host_ops.random(run, out, size, err);
    if (code == CAIRN_OK)
        code = durable_note(inv, op, args_hash, size, &to, err);
    if (code == CAIRN_OK)
        memcpy(to, out, size);
    return code;
}

static void durable_log(void *run, uint32_t level, struct cairn_bytes line)
{
    if (!((struct invocation *)run)->durable->replays) /* it was there before */
        object_host_ops.log(run, level, line);
}

/* A message stands in the record that has its place in the journal: it is sent, or is not there either. */
static enum cairn_code durable_send(void *run, struct cairn_bytes type, struct cairn_bytes id,
                                    struct cairn_bytes method, struct cairn_bytes args, int64_t delay_ms,
                                    struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_SEND, durable_hash(durable_hash(0, (uint64_t)delay_ms, type, id), 0, method, args));
    DURABLE_WRITE(object_host_ops.send(run, type, id, method, args, delay_ms, err));
}

static enum cairn_code durable_promise_settle(void *run, struct cairn_bytes id, struct cairn_bytes value,
                                              bool *ret_sent, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_PROMISE_SETTLE, durable_hash(0, 0, id, value));

    if (known) {
        *ret_sent = durable_number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.promise_settle(run, id, value, ret_sent, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_sent, err) : code;
}

/* Nothing of it is committed yet: it is a message's attempt as any other. */
static enum cairn_code durable_retry(void *run, int64_t delay_ms, struct cairn_err *err)
{
    if (delivery_of(run))
        return object_host_ops.retry(run, delay_ms, err);
    return cairn_fail(
        err, CAIRN_ELIMIT,
        "a durable method can ask to be tried again only if a message runs it, and before its first wait");
}

/* What follows is in the head, and so the same however often it is run. */
static uint64_t durable_attempts(void *run)
{
    return delivery_told(run).attempts;
}

static uint64_t durable_timer_due(void *run)
{
    return delivery_told(run).timer_due_ms;
}

static uint64_t durable_timer_missed(void *run)
{
    return delivery_told(run).timer_missed;
}

/* As a message: the timer is in the record that has its place in the journal. */
static enum cairn_code durable_timer_set(void *run, const struct cairn_timer_spec *spec, struct cairn_err *err)
{
    uint64_t when = (uint64_t)(spec->repeats ? spec->period_ms : spec->at_ms);

    DURABLE_BEGIN(JOURNAL_TIMER_SET,
                  durable_hash(durable_hash(durable_hash(spec->repeats, when, spec->name, spec->method), 0, spec->cron,
                                            spec->zone),
                               0, spec->args, durable_none));
    DURABLE_WRITE(object_host_ops.timer_set(run, spec, err));
}

static enum cairn_code durable_timer_cancel(void *run, struct cairn_bytes name, bool *ret_found, struct cairn_err *err)
{
    DURABLE_BEGIN(JOURNAL_TIMER_CANCEL, durable_hash(0, 0, name, durable_none));

    if (known) {
        *ret_found = durable_number_in(known_result) != 0;
        return CAIRN_OK;
    }
    code = object_host_ops.timer_cancel(run, name, ret_found, err);
    return code == CAIRN_OK ? durable_note_number(inv, op, args_hash, *ret_found, err) : code;
}

const struct cairn_host_ops durable_host_ops = {
    .restart = durable_restart,
    .args = durable_args,
    .args_read = durable_args_read,
    .who = durable_who,
    .result = durable_result,
    .fail = durable_fail,
    .value_get = durable_value_get,
    .value_set = durable_value_set,
    .value_clear = durable_value_clear,
    .list_count = durable_list_count,
    .list_push = durable_list_push,
    .list_set = durable_list_set,
    .list_get = durable_list_get,
    .list_drop = durable_list_drop,
    .map_count = durable_map_count,
    .map_get = durable_map_get,
    .map_set = durable_map_set,
    .map_remove = durable_map_remove,
    .map_at = durable_map_at,
    .ordered_count = durable_ordered_count,
    .ordered_get = durable_ordered_get,
    .ordered_set = durable_ordered_set,
    .ordered_remove = durable_ordered_remove,
    .ordered_rank = durable_ordered_rank,
    .ordered_read = durable_ordered_read,
    .ordered_read_at = durable_ordered_read_at,
    .ahead = durable_ahead,
    .delete_self = durable_delete_self,
    .undo = durable_undo,
    .call = durable_call,
    .sleep = durable_sleep,
    .promise = durable_promise,
    .promise_settle = durable_promise_settle,
    .send = durable_send,
    .retry = durable_retry,
    .attempts = durable_attempts,
    .timer_set = durable_timer_set,
    .timer_cancel = durable_timer_cancel,
    .timer_due = durable_timer_due,
    .timer_missed = durable_timer_missed,
    .ready = durable_ready,
    .poll = durable_poll,
    .call_result = durable_call_result,
    .now_ms = durable_now_ms,
    .random = durable_random,
    .log = durable_log,
};
