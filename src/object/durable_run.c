/* durable_run.c - a run of a durable method and its journal: along it, at its end, and behind it. */
#include <stdlib.h>

#include "object/account.h"
#include "object/durable_internal.h"
#include "object/journal.h"
#include "object/segment.h"
#include "object/worker.h"

enum { CHARGE_BYTES = 4 << 10 }; /* a journal's memory is charged in such steps, but for the first */

/* --- the journal ----------------------------------------------------------------------------------- */

static enum cairn_code diverged(struct invocation *inv, const char *journaled, const char *did, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_EDIVERGED,
                      "run again after a restart, %s.%s did something else than before: its journal has %s as host "
                      "call %llu, the method did %s",
                      inv->type->decl->name, inv->method->decl->name, journaled,
                      (unsigned long long)inv->durable->entry + 1, did);
}

static void set_result(struct invocation *inv, uint32_t call, struct cairn_bytes value)
{
    struct call *c = &inv->calls[call];

    c->state = CALL_DONE;
    c->size = (uint32_t)value.size;
    if (value.size <= sizeof c->small) {
        memcpy(c->small, value.data, value.size);
        return;
    }
    c->large = cairn_alloc(value.size);
    memcpy(c->large, value.data, value.size);
    account_kept(inv->worker, invocation_job(inv), value.size);
}

/* Takes the outcomes that come next.  False: the journal is damaged. */
bool durable_take_outcomes(struct invocation *inv)
{
    struct durable *d = inv->durable;

    while (d->at < d->journal.size && d->journal.data[d->at] == JOURNAL_OUTCOME) {
        struct cairn_reader r = cairn_reader(cairn_bytes(d->journal.data + d->at, d->journal.size - d->at));
        struct journal_entry entry;

        if (!journal_read(&r, &entry) || entry.call >= inv->call_count || inv->calls[entry.call].state == CALL_DONE)
            return false;
        set_result(inv, entry.call, entry.result);
        durable_wait_over(d, entry.call);
        d->at = (size_t)(r.at - d->journal.data);
    }
    return true;
}

enum cairn_code durable_damaged(struct invocation *inv, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "the journal of invocation %llx cannot be read behind host call %llu",
                      (unsigned long long)inv->durable->number, (unsigned long long)inv->durable->entry);
}

/* *ret_known: the journal has this host call, with that result; else it is to be done. */
enum cairn_code durable_look(struct invocation *inv, enum journal_op op, uint32_t args, bool *ret_known,
                             struct cairn_bytes *ret_result, struct cairn_err *err)
{
    struct durable *d = inv->durable;
    struct journal_entry entry;
    struct cairn_reader r;

    *ret_known = d->replays;
    if (!d->replays)
        return CAIRN_OK;
    if (!durable_take_outcomes(inv))
        return durable_damaged(inv, err);
    if (d->at == d->journal.size)
        return diverged(inv, "a wait", journal_op_name(op), err);
    r = cairn_reader(cairn_bytes(d->journal.data + d->at, d->journal.size - d->at));
    if (!journal_read(&r, &entry))
        return durable_damaged(inv, err);
    if (entry.op != op)
        return diverged(inv, journal_op_name(entry.op), journal_op_name(op), err);
    if (entry.args != args)
        return diverged(inv, journal_op_name(op), "the same with other arguments", err);
    d->at = (size_t)(r.at - d->journal.data);
    d->entry++;
    *ret_result = entry.result;
    return CAIRN_OK;
}

/* It has been done: there is to be room for its entry with that much of a result. */
enum cairn_code durable_note(struct invocation *inv, enum journal_op op, uint32_t args, size_t size, uint8_t **ret_to,
                             struct cairn_err *err)
{
    struct durable *d = inv->durable;
    uint64_t most = inv->method->limits.most[CAIRN_LIMIT_JOURNAL];
    uint64_t of_segment = inv->method->limits.most[CAIRN_LIMIT_WRITE_SET];
    size_t after = d->tail.size + size + 16;
    enum cairn_code code;

    if (__builtin_expect(d->cancel == DURABLE_TOLD, 0)) {
        code = durable_told_steps(inv, err);
        if (code != CAIRN_OK)
            return code;
    }
    if (d->bytes + after > most || after > of_segment) {
        cairn_fail(err, CAIRN_ELIMIT,
                   "the journal of the durable invocation has more than %llu bytes (of one segment: %llu); read less, "
                   "or in methods that are called",
                   (unsigned long long)most, (unsigned long long)of_segment);
        method_limit_tell(inv, d->bytes + after > most ? CAIRN_LIMIT_JOURNAL : CAIRN_LIMIT_WRITE_SET, err);
        return CAIRN_ELIMIT;
    }
    if (after > d->charged + CHARGE_BYTES) {
        code = account_call(inv->worker, invocation_job(inv), after - d->charged, err);
        if (code != CAIRN_OK)
            return code;
        d->charged = after;
    }
    *ret_to = journal_add(&d->tail, op, args, size);
    d->entry++;
    return CAIRN_OK;
}

bool durable_ended(struct invocation *inv, struct cairn_err *err)
{
    struct durable *d = inv->durable;

    if (!d->replays)
        return true;
    if (!durable_take_outcomes(inv)) {
        durable_damaged(inv, err);
        return false;
    }
    if (d->at < d->journal.size) {
        diverged(inv, journal_op_name((enum journal_op)(d->journal.data[d->at] % JOURNAL_OP_COUNT)), "return", err);
        return false;
    }
    d->replays = false;
    return true;
}

void durable_rewind(struct invocation *inv)
{
    struct durable *d = inv->durable;

    invocation_forget_calls(inv->worker, inv);
    d->tail.size = d->kept;
    d->wait_count = 0;
    d->promises.size = 0;
    d->sent = false;
    if (d->cancel == DURABLE_TOLD)
        d->cancel = DURABLE_ASKED;
    d->at = 0;
    d->entry = 0;
    d->replays = d->journal.size > 0;
}

/* What has been sent stays, and comes back; what a run's first segment has queued, and what the journal had outcomes
 * of, is made again.  The segment takes the queued back. */
void durable_forget_calls(struct invocation *inv)
{
    if (inv->durable->sent)
        return;
    invocation_forget_calls(inv->worker, inv);
    inv->call_count = inv->segment->call_count;
    for (uint32_t i = 0; i < inv->call_count; i++)
        inv->calls[i] = (struct call){.state = CALL_OUT};
}

static bool has_ended(const struct invocation *inv, uint32_t call)
{
    if (call != UINT32_MAX)
        return inv->calls[call].state == CALL_DONE;
    for (uint32_t i = 0; i < inv->call_count; i++)
        if (inv->calls[i].state != CALL_DONE)
            return false;
    return true;
}

/* Behind the journal: what has come to its end meanwhile is there. */
static enum cairn_code look_live(struct invocation *inv, uint32_t call, bool *ret_ready)
{
    if (inv->durable->wait_count) {
        durable_settle_due(inv);
        *ret_ready = has_ended(inv, call);
    }
    if (!*ret_ready && durable_untold(inv)) {
        durable_tell(inv, call);
        *ret_ready = true;
    }
    return CAIRN_OK;
}

/* Of a wait.  Along the journal it returns at once, but at the end.  Behind the last outcome of the journal the run is
 * live: the segment that had been waiting for it may have done nothing since. */
enum cairn_code durable_waits(struct invocation *inv, uint32_t call, bool *ret_ready, struct cairn_err *err)
{
    struct durable *d = inv->durable;

    if (!d->replays)
        return look_live(inv, call, ret_ready);
    if (!durable_take_outcomes(inv))
        return durable_damaged(inv, err);
    *ret_ready = durable_tell_again(inv, call);
    if (*ret_ready)
        return CAIRN_OK;
    *ret_ready = has_ended(inv, call);
    if (d->at < d->journal.size && !*ret_ready)
        return diverged(inv, journal_op_name((enum journal_op)(d->journal.data[d->at] % JOURNAL_OP_COUNT)), "a wait",
                        err);
    if (d->at < d->journal.size)
        return CAIRN_OK;
    d->replays = false;
    return *ret_ready ? CAIRN_OK : look_live(inv, call, ret_ready);
}

void durable_settle_wait(struct invocation *inv, uint32_t call, struct cairn_bytes value)
{
    journal_add_outcome(&inv->durable->tail, call, JOURNAL_NO_SHARD, value);
    set_result(inv, call, value);
    durable_wait_over(inv->durable, call);
}

void durable_settled(struct invocation *inv, uint32_t call, struct cairn_bytes entry, struct cairn_bytes value)
{
    struct durable *d = inv->durable;

    d->bytes += entry.size;
    if (inv->state != INV_ASLEEP && d->replays) {
        cairn_buf_add(&d->journal, entry.data, entry.size);
        if (call < d->known_count)
            d->known[call] = DURABLE_THERE;
        return;
    }
    if (inv->state != INV_ASLEEP && call < inv->call_count && inv->calls[call].state == CALL_OUT)
        set_result(inv, call, value);
    durable_wait_over(d, call);
}

bool durable_outcome(struct invocation *inv, uint32_t call, const struct invocation *callee)
{
    struct durable *d = inv->durable;
    size_t at = d->tail.size;

    if (d->cancelled) {
        if (!callee->read_only)
            called_done(inv->worker, &(struct called){d->number, inv->shard, call}, callee->shard, d->cancelled_by);
        return false;
    }
    journal_add_outcome(&d->tail, call, callee->shard, cairn_buf_bytes(&callee->result));
    if (!callee->read_only) { /* it had a key */
        if (d->drop_count == d->drop_room) {
            d->drop_room = d->drop_room ? 2 * d->drop_room : 4;
            d->drops = cairn_realloc(d->drops, d->drop_room * sizeof *d->drops);
        }
        d->drops[d->drop_count++] = (struct durable_drop){.call = call, .shard = callee->shard};
    }
    if (inv->state == INV_ASLEEP) {
        inv->calls[call].state = CALL_DONE;
        return false;
    }
    if (!d->replays)
        return call < inv->call_count; /* else it has failed before it came to that call again */
    cairn_buf_add(&d->journal, d->tail.data + at, d->tail.size - at);
    d->kept = d->tail.size;
    if (call < d->known_count)
        d->known[call] = DURABLE_THERE;
    return false;
}
