/* durable_told.c - within a run: a wait that tells it to end (durable_ask.h). */
#include "object/clock.h"
#include "object/durable_ask.h"
#include "object/durable_cancel.h"
#include "object/durable_internal.h"
#include "object/messages.h"
#include "object/method_log.h"
#include "object/segment.h"
#include "object/worker.h"

/* --- it is to hear of it ----------------------------------------------------------------------------------- */

void durable_asked(struct cairn_worker *worker, struct durable *d, struct dependency record)
{
    struct durables *ds = worker->durables;

    if (d->cancel != DURABLE_GOES_ON)
        return;
    if (cairn_list_empty(&ds->asked))
        ds->tell_ns = 0;
    d->cancel = DURABLE_ASKED;
    d->asked_by = record;
    d->end_ms = messages_clock_ms(worker) + DURABLE_ASK_MS;
    cairn_list_push_back(&ds->asked, &d->asked);
}

/* --- it hears of it ------------------------------------------------------------------------------------------ */

/* Calls of this segment do not leave: they have the outcome `cancelled`. */
static void keep_back(struct invocation *inv)
{
    struct cairn_buf value = {0};
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&inv->segment->calls))) {
        struct invocation *callee = cairn_container(l, struct invocation, link);

        value.size = 0;
        cairn_value_add_error(&value, cairn_str("cancelled"),
                              cairn_str("the invocation is cancelled: this call was not made"));
        durable_settle_wait(inv, callee->caller_call, cairn_buf_bytes(&value));
        invocation_free(inv->worker, callee);
    }
    inv->segment->call_count = 0;
    cairn_buf_done(&value);
}

static bool is_meant(const struct invocation *inv, uint32_t i, uint32_t call)
{
    return (call == UINT32_MAX || call == i) && inv->calls[i].state != CALL_DONE;
}

static void told(struct invocation *inv)
{
    struct durable *d = inv->durable;

    d->cancel = DURABLE_TOLD;
    d->told_at = ++d->entry;
    d->told_calls = inv->call_count;
}

void durable_tell(struct invocation *inv, uint32_t call)
{
    struct durable *d = inv->durable;
    uint32_t count = 0;
    uint8_t *to;

    keep_back(inv);
    for (uint32_t i = 0; i < inv->call_count; i++)
        count += is_meant(inv, i, call);
    to = journal_add(&d->tail, JOURNAL_CANCELLED, call, 4 * (size_t)count);
    for (uint32_t i = 0; i < inv->call_count; i++)
        if (is_meant(inv, i, call)) {
            cairn_put_u32(to, i);
            to += 4;
            inv->calls[i].told = true;
        }
    told(inv);
    inv->worker->durables->tell_ns = 0;
}

bool durable_tell_again(struct invocation *inv, uint32_t call)
{
    struct durable *d = inv->durable;
    struct journal_entry entry;
    struct cairn_reader r;

    if (d->at == d->journal.size || d->journal.data[d->at] != JOURNAL_CANCELLED)
        return false;
    r = cairn_reader(cairn_bytes(d->journal.data + d->at, d->journal.size - d->at));
    if (!journal_read(&r, &entry) || entry.args != call || entry.result.size % 4)
        return false;
    for (size_t at = 0; at < entry.result.size; at += 4) {
        uint32_t one = cairn_get_u32(entry.result.data + at);

        if (one < inv->call_count)
            inv->calls[one].told = true;
    }
    d->at = (size_t)(r.at - d->journal.data);
    told(inv);
    inv->worker->durables->tell_ns = 0;
    return true;
}

void durable_told_before(struct invocation *inv, uint32_t call)
{
    if (call != UINT32_MAX) {
        inv->calls[call].told = false;
        return;
    }
    for (uint32_t i = 0; i < inv->call_count; i++)
        inv->calls[i].told = false;
}

enum cairn_code durable_told_steps(const struct invocation *inv, struct cairn_err *err)
{
    if (inv->durable->entry - inv->durable->told_at < DURABLE_TOLD_STEPS)
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_ECANCELLED, "the invocation has made %d host calls since it was told to end",
                      DURABLE_TOLD_STEPS);
}

/* What it failed with is for the operator: its caller hears that it is cancelled. */
static void log_failure(struct invocation *inv)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&inv->result));
    struct cairn_value value = cairn_value_read(&r);
    struct cairn_buf line = {0};

    if (value.kind != CAIRN_VALUE_ERROR || cairn_bytes_equal(value.error, cairn_str("cancelled")))
        return;
    cairn_buf_str(&line, "cancelled, it failed on its way to its end: ");
    cairn_buf_add(&line, value.error.data, value.error.size);
    cairn_buf_str(&line, ": ");
    cairn_buf_add(&line, value.bytes.data, value.bytes.size);
    method_log_add(inv, 2, cairn_buf_bytes(&line));
    cairn_buf_done(&line);
}

void durable_set_told(struct invocation *inv)
{
    log_failure(inv);
    set_error(inv, CAIRN_ECANCELLED, CANCELLED_TEXT);
    effects_raise(&inv->effects, CAIRN_EFFECTS_SOME);
}
