#include "object/timer.h"

#include "base/cron.h"
#include "io/zones.h"

static const char default_space[] = "default";

static void sized(struct cairn_buf *to, struct cairn_bytes bytes)
{
    cairn_buf_varint(to, bytes.size);
    cairn_buf_add(to, bytes.data, bytes.size);
}

void timer_encode(const struct timer *timer, struct cairn_buf *to)
{
    bool in_default = cairn_bytes_equal(timer->space, cairn_str(default_space));

    cairn_buf_u8(to, timer->state);
    cairn_buf_varint(to, timer->due_ms);
    if (timer->state == TIMER_FIRED)
        cairn_buf_varint(to, timer->number);
    cairn_buf_u8(to, timer->kind);
    if (timer->kind == TIMER_PERIOD)
        cairn_buf_varint(to, timer->period_ms);
    if (timer->kind == TIMER_CRON) {
        sized(to, timer->cron);
        sized(to, timer->zone);
    }
    cairn_buf_varint(to, timer->type);
    sized(to, in_default ? cairn_bytes(NULL, 0) : timer->space);
    sized(to, timer->type_name);
    sized(to, timer->id);
    sized(to, timer->method);
    cairn_buf_add(to, timer->args.data, timer->args.size);
}

bool timer_decode(struct cairn_bytes bytes, struct timer *ret_timer)
{
    struct cairn_reader r = cairn_reader(bytes);
    struct timer timer = {.state = cairn_read_u8(&r), .due_ms = cairn_read_varint(&r)};

    if (timer.state == TIMER_FIRED)
        timer.number = cairn_read_varint(&r);
    timer.kind = cairn_read_u8(&r);
    if (timer.kind == TIMER_PERIOD)
        timer.period_ms = cairn_read_varint(&r);
    if (timer.kind == TIMER_CRON) {
        timer.cron = cairn_read_sized(&r);
        timer.zone = cairn_read_sized(&r);
    }
    timer.type = (uint32_t)cairn_read_varint(&r);
    timer.space = cairn_read_sized(&r);
    if (!timer.space.size)
        timer.space = cairn_str(default_space);
    timer.type_name = cairn_read_sized(&r);
    timer.id = cairn_read_sized(&r);
    timer.method = cairn_read_sized(&r);
    timer.args = cairn_read_bytes(&r, cairn_reader_left(&r));
    if (r.bad || timer.state > TIMER_FIRED || timer.kind > TIMER_CRON || !timer.type_name.size || !timer.id.size ||
        !timer.method.size || (timer.kind == TIMER_PERIOD && !timer.period_ms))
        return false;
    *ret_timer = timer;
    return true;
}

/* It was understood when it was set. */
static struct cairn_cron cron_of(const struct timer *timer, const struct cairn_zones *zones,
                                 const struct cairn_zone **ret_zone)
{
    struct cairn_cron cron = {0};

    cairn_cron_parse(timer->cron, &cron, NULL);
    cairn_zones_find(zones, timer->zone, ret_zone);
    return cron;
}

uint64_t timer_missed(const struct timer *timer, const struct cairn_zones *zones, uint64_t until_ms)
{
    const struct cairn_zone *zone;
    struct cairn_cron cron;

    if (timer->kind == TIMER_AT || until_ms <= timer->due_ms)
        return 0;
    if (timer->kind == TIMER_PERIOD)
        return (until_ms - timer->due_ms) / timer->period_ms;
    cron = cron_of(timer, zones, &zone);
    return cairn_cron_count(&cron, zone, (int64_t)(timer->due_ms / 1000), (int64_t)(until_ms / 1000));
}

uint64_t timer_next_ms(const struct timer *timer, const struct cairn_zones *zones, uint64_t until_ms)
{
    uint64_t from_ms = until_ms > timer->due_ms ? until_ms : timer->due_ms;
    const struct cairn_zone *zone;
    struct cairn_cron cron;
    int64_t next_s;

    if (timer->kind == TIMER_PERIOD)
        return timer->due_ms + (timer_missed(timer, zones, until_ms) + 1) * timer->period_ms;
    cron = cron_of(timer, zones, &zone);
    next_s = cairn_cron_next(&cron, zone, (int64_t)(from_ms / 1000));
    return next_s == INT64_MAX ? UINT64_MAX : (uint64_t)next_s * 1000;
}
