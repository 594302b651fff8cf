/* durable_wait.c - sleeps and promises: what a durable invocation waits for beside calls.
 *
 * Each has the number of a call, and what is known of calls holds for it: its outcome stands in the journal, and is
 * waited for as one.  While nothing else is under way the run is given up (durable_rest.c). */
#include "object/durable_internal.h"
#include "object/promise.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/worker.h"

struct durable_wait *durable_wait_find(const struct durable *d, uint32_t call)
{
    uint32_t low = 0, high = d->wait_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (d->waits[middle].call < call)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->wait_count && d->waits[low].call == call ? &d->waits[low] : NULL;
}

void durable_wait_over(struct durable *d, uint32_t call)
{
    struct durable_wait *wait = d->wait_count ? durable_wait_find(d, call) : NULL;

    if (wait)
        memmove(wait, wait + 1, (size_t)(d->waits + --d->wait_count - wait) * sizeof *wait);
}

bool durable_waits_open(const struct invocation *inv)
{
    return inv->durable->wait_count > 0;
}

static struct durable_wait *add(struct invocation *inv, uint64_t due_ms)
{
    struct durable *d = inv->durable;

    if (d->wait_count == d->wait_room) {
        d->wait_room = d->wait_room ? 2 * d->wait_room : 4;
        d->waits = cairn_realloc(d->waits, d->wait_room * sizeof *d->waits);
    }
    d->waits[d->wait_count] = (struct durable_wait){.call = inv->call_count, .due_ms = due_ms};
    return &d->waits[d->wait_count++];
}

static enum cairn_code may_wait(const struct invocation *inv, struct cairn_err *err)
{
    if (inv->durable->wait_count >= DURABLE_WAITS_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "%s.%s has more than %d sleeps and promises open; wait for some of them",
                          inv->type->decl->name, inv->method->decl->name, DURABLE_WAITS_MAX);
    if (inv->call_count >= inv->method->limits.most[CAIRN_LIMIT_CALLS]) {
        cairn_fail(err, CAIRN_ELIMIT, "the invocation makes more than %llu calls, sleeps and promises",
                   (unsigned long long)inv->method->limits.most[CAIRN_LIMIT_CALLS]);
        method_limit_tell(inv, CAIRN_LIMIT_CALLS, err);
        return CAIRN_ELIMIT;
    }
    return CAIRN_OK;
}

enum cairn_code durable_sleep(void *run, int64_t ms, uint32_t *ret_call, struct cairn_err *err)
{
    struct invocation *inv = run;
    const uint32_t args = (uint32_t)cairn_hash(cairn_bytes(&ms, sizeof ms));
    struct cairn_bytes known_result;
    uint64_t due_ms;
    bool known;
    uint8_t *to;
    enum cairn_code code = durable_look(inv, JOURNAL_SLEEP, args, &known, &known_result, err);

    if (code != CAIRN_OK)
        return code;
    if (known) {
        due_ms = known_result.size == 8 ? cairn_get_u64(known_result.data) : 0;
    } else {
        code = may_wait(inv, err);
        if (code == CAIRN_OK)
            code = durable_note(inv, JOURNAL_SLEEP, args, 8, &to, err);
        if (code != CAIRN_OK)
            return code;
        due_ms = (uint64_t)invocation_now_ms(inv) + (ms > 0 ? (uint64_t)ms : 0);
        cairn_put_u64(to, due_ms);
    }
    add(inv, due_ms);
    *ret_call = invocation_add_call(inv);
    return CAIRN_OK;
}

static void new_secret(struct cairn_clock *clock, uint8_t to[DURABLE_SECRET_BYTES])
{
    for (int i = 0; i < DURABLE_SECRET_BYTES; i += 8)
        cairn_put_u64(to + i, clock->entropy(clock));
}

enum cairn_code durable_promise(void *run, int64_t within_ms, uint8_t to[CAIRN_PROMISE_ID_BYTES], uint32_t *ret_call,
                                struct cairn_err *err)
{
    enum { RESULT_BYTES = DURABLE_SECRET_BYTES + 8 };
    struct invocation *inv = run;
    struct durable *d = inv->durable;
    const uint32_t args = (uint32_t)cairn_hash(cairn_bytes(&within_ms, sizeof within_ms));
    struct promise_id id = {.shard = inv->object->shard->index, .call = inv->call_count};
    struct cairn_bytes known_result;
    struct durable_wait *wait;
    uint64_t due_ms;
    bool known;
    uint8_t *noted;
    enum cairn_code code = durable_look(inv, JOURNAL_PROMISE, args, &known, &known_result, err);

    if (code != CAIRN_OK)
        return code;
    if (known && known_result.size != RESULT_BYTES)
        return durable_damaged(inv, err);
    if (known) {
        memcpy(id.secret, known_result.data, sizeof id.secret);
        due_ms = cairn_get_u64(known_result.data + sizeof id.secret);
    } else {
        code = may_wait(inv, err);
        if (code == CAIRN_OK && d->promises.size / 4 >= DURABLE_WAITS_MAX)
            code = cairn_fail(err, CAIRN_ELIMIT, "%s.%s has made more than %d promises", inv->type->decl->name,
                              inv->method->decl->name, DURABLE_WAITS_MAX);
        if (code == CAIRN_OK)
            code = durable_note(inv, JOURNAL_PROMISE, args, RESULT_BYTES, &noted, err);
        if (code != CAIRN_OK)
            return code;
        new_secret(inv->worker->node->options.clock, id.secret);
        due_ms = within_ms > 0 ? (uint64_t)invocation_now_ms(inv) + (uint64_t)within_ms : UINT64_MAX;
        memcpy(noted, id.secret, sizeof id.secret);
        cairn_put_u64(noted + sizeof id.secret, due_ms);
    }
    if (!d->number)
        d->number = shard_incarnation(inv->object->shard);
    id.number = d->number;
    wait = add(inv, due_ms);
    wait->is_promise = true;
    wait->fresh = !known;
    memcpy(wait->secret, id.secret, sizeof wait->secret);
    cairn_buf_add(&d->promises, &id.call, sizeof id.call);
    promise_id_text(&id, to);
    *ret_call = invocation_add_call(inv);
    return CAIRN_OK;
}

void durable_settle_due(struct invocation *inv)
{
    struct durable *d = inv->durable;
    uint64_t now_ms = (uint64_t)invocation_now_ms(inv);
    struct cairn_buf value = {0};

    for (uint32_t i = d->wait_count; i-- > 0;) {
        if (d->waits[i].due_ms > now_ms)
            continue;
        value.size = 0;
        if (d->waits[i].is_promise)
            cairn_value_add_error(&value, cairn_str("timed_out"), cairn_str("the promise's time is over"));
        else
            cairn_value_add_nil(&value);
        durable_settle_wait(inv, d->waits[i].call, cairn_buf_bytes(&value));
    }
    cairn_buf_done(&value);
}

uint64_t durable_wake_ms(const struct invocation *inv)
{
    const struct durable *d = inv->durable;
    const struct durable_wait *wait;
    uint64_t last_ms = 0;

    if (inv->awaiting != UINT32_MAX) {
        wait = durable_wait_find(d, inv->awaiting);
        return wait ? wait->due_ms : UINT64_MAX;
    }
    if (inv->calls_out || (inv->segment && inv->segment->call_count)) /* those come back first */
        return UINT64_MAX;
    for (uint32_t i = 0; i < d->wait_count; i++)
        if (d->waits[i].due_ms > last_ms)
            last_ms = d->waits[i].due_ms;
    return last_ms;
}
