#include "object/timer.h"

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
    timer.type = (uint32_t)cairn_read_varint(&r);
    timer.space = cairn_read_sized(&r);
    if (!timer.space.size)
        timer.space = cairn_str(default_space);
    timer.type_name = cairn_read_sized(&r);
    timer.id = cairn_read_sized(&r);
    timer.method = cairn_read_sized(&r);
    timer.args = cairn_read_bytes(&r, cairn_reader_left(&r));
    if (r.bad || timer.state > TIMER_FIRED || timer.kind > TIMER_PERIOD || !timer.type_name.size || !timer.id.size ||
        !timer.method.size || (timer.kind == TIMER_PERIOD && !timer.period_ms))
        return false;
    *ret_timer = timer;
    return true;
}

uint64_t timer_missed(const struct timer *timer, uint64_t until_ms)
{
    if (timer->kind != TIMER_PERIOD || until_ms <= timer->due_ms)
        return 0;
    return (until_ms - timer->due_ms) / timer->period_ms;
}

uint64_t timer_next_ms(const struct timer *timer, uint64_t until_ms)
{
    return timer->due_ms + (timer_missed(timer, until_ms) + 1) * timer->period_ms;
}
