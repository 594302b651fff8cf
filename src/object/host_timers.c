#include "object/host_timers.h"

#include "base/cron.h"
#include "io/zones.h"
#include "object/delivery.h"
#include "object/due.h"
#include "object/fields.h"
#include "object/timers.h"

enum { ARGS_BYTES_MAX = 64 << 10, PER_SEGMENT_MAX = 1024 };

static enum cairn_code check_name(struct cairn_bytes name, struct cairn_err *err)
{
    if (name.size == 0 || name.size > TIMER_NAME_BYTES_MAX)
        return cairn_fail(err, CAIRN_ETRAP, "a timer's name has 1 to %d bytes, not %zu", TIMER_NAME_BYTES_MAX,
                          name.size);
    return CAIRN_OK;
}

/* Whether a message can run it. */
static enum cairn_code check_method(const struct invocation *inv, struct cairn_bytes name, struct cairn_err *err)
{
    const struct method *method = cairn_name_valid(name) ? type_method(inv->type, name) : NULL;

    if (!method)
        return cairn_fail(err, CAIRN_ENOMETHOD, "type %s has no method '%.*s' for a timer to run",
                          inv->type->decl->name, (int)(name.size < 64 ? name.size : 64), (const char *)name.data);
    return CAIRN_OK;
}

/* Before a timer is changed. */
static enum cairn_code may_change(struct invocation *inv, size_t bytes, struct cairn_err *err)
{
    enum cairn_code code = writable(inv, bytes + TIMER_KEY_BYTES_MAX, err);

    if (code == CAIRN_OK && inv->segment->timers_changed >= PER_SEGMENT_MAX)
        code =
            cairn_fail(err, CAIRN_ELIMIT, "the segment sets or cancels more than %d timers; split the work with a call",
                       PER_SEGMENT_MAX);
    return code;
}

/* Fills in when one that repeats is due. */
static enum cairn_code repeat(struct invocation *inv, const struct cairn_timer_spec *spec, struct timer *timer,
                              struct cairn_err *err)
{
    const struct cairn_zones *zones = inv->worker->node->options.zones;
    const struct cairn_zone *zone;
    struct cairn_cron cron;
    uint64_t now = (uint64_t)invocation_now_ms(inv);
    enum cairn_code code;

    if (inv->method->decl->deterministic || inv->must_deterministic)
        return cairn_fail(err, CAIRN_ENOTDETERM,
                          "deterministic method %s.%s set a timer that repeats, which needs `now`",
                          inv->type->decl->name, inv->method->decl->name);
    if (!spec->cron.size) {
        if (spec->period_ms <= 0)
            return cairn_fail(err, CAIRN_EINVAL, "a timer's period is at least 1 ms, not %lld",
                              (long long)spec->period_ms);
        timer->kind = TIMER_PERIOD;
        timer->period_ms = due_ms_most((uint64_t)spec->period_ms);
        timer->due_ms = due_ms_most(now + timer->period_ms);
        return CAIRN_OK;
    }
    code = cairn_cron_parse(spec->cron, &cron, err);
    if (code != CAIRN_OK)
        return code;
    timer->zone = spec->zone.size ? spec->zone : cairn_str("UTC");
    if (!cairn_zones_find(zones, timer->zone, &zone))
        return cairn_fail(
            err, CAIRN_EINVAL,
            "this machine knows no time zone '%.*s'; names are as `Europe/Berlin`, from its package tzdata",
            (int)(spec->zone.size < 64 ? spec->zone.size : 64), (const char *)spec->zone.data);
    timer->kind = TIMER_CRON;
    timer->cron = spec->cron;
    timer->due_ms = now;
    timer->due_ms = due_ms_most(timer_next_ms(timer, zones, now));
    return CAIRN_OK;
}

enum cairn_code host_timer_set(void *run, const struct cairn_timer_spec *spec, struct cairn_err *err)
{
    struct invocation *inv = run;
    struct timer timer = {.due_ms = spec->at_ms > 0 ? due_ms_most((uint64_t)spec->at_ms) : 0,
                          .type = inv->type->number,
                          .space = inv->type->space->name,
                          .type_name = inv->type->name,
                          .id = object_id(inv->object),
                          .method = spec->method,
                          .args = spec->args};
    enum cairn_code code = check_name(spec->name, err);

    if (code == CAIRN_OK)
        code = check_method(inv, spec->method, err);
    if (code == CAIRN_OK && spec->args.size > ARGS_BYTES_MAX)
        code = cairn_fail(err, CAIRN_ELIMIT, "the timer's arguments have %zu bytes; at most %d are allowed",
                          spec->args.size, ARGS_BYTES_MAX);
    if (code == CAIRN_OK && spec->repeats)
        code = repeat(inv, spec, &timer, err);
    if (code == CAIRN_OK)
        code = may_change(inv, spec->args.size + spec->cron.size + timer.id.size + 3 * CAIRN_NAME_BYTES_MAX, err);
    if (code != CAIRN_OK)
        return code;
    timers_put(overlay_of(inv), incarnation_of(inv), spec->name, &timer);
    inv->segment->timers_changed++;
    inv->segment->timers_set++;
    return CAIRN_OK;
}

enum cairn_code host_timer_cancel(void *run, struct cairn_bytes name, bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[TIMER_KEY_BYTES_MAX];
    struct timer timer;
    enum cairn_code code = check_name(name, err);

    *ret_found = false;
    if (code == CAIRN_OK && inv->read_only)
        code = writable(inv, 0, err);
    if (code != CAIRN_OK || !incarnation_of(inv) || !timers_get(overlay_of(inv), incarnation_of(inv), name, &timer))
        return code;
    code = may_change(inv, 0, err);
    if (code != CAIRN_OK)
        return code;
    overlay_remove(overlay_of(inv), cairn_bytes(key, timer_key(key, incarnation_of(inv), name)));
    inv->segment->timers_changed++;
    *ret_found = true;
    return CAIRN_OK;
}

uint64_t host_timer_due(void *run)
{
    const struct delivery *delivery = delivery_of(run);

    return delivery ? delivery->timer_due_ms : 0;
}

uint64_t host_timer_missed(void *run)
{
    struct invocation *inv = run;
    const struct delivery *delivery = delivery_of(inv);

    if (!delivery || !delivery->timer_due_ms)
        return 0;
    dependency_join(&inv->depends, (struct dependency){.time_ms = delivery->timer_now_ms});
    return delivery->timer_missed;
}
