#include "object/posted.h"

#include "object/timer.h"

static void sized(struct cairn_buf *to, struct cairn_bytes bytes)
{
    cairn_buf_varint(to, bytes.size);
    cairn_buf_add(to, bytes.data, bytes.size);
}

void posted_encode(const struct posted *posted, struct cairn_buf *to)
{
    bool has_job = cairn_job_id_is(posted->parent.job);

    cairn_buf_u8(to, posted->state);
    cairn_buf_u8(to, (uint8_t)((posted->flags & ~POSTED_JOB) | (has_job ? POSTED_JOB : 0)));
    cairn_buf_varint(to, posted->number);
    cairn_buf_varint(to, posted->sent_ms);
    cairn_buf_varint(to, posted->due_ms);
    cairn_buf_varint(to, posted->attempts);
    sized(to, posted->space);
    sized(to, posted->type);
    sized(to, posted->id);
    sized(to, posted->method);
    sized(to, posted->from_type);
    sized(to, posted->from_id);
    sized(to, posted->code);
    sized(to, posted->text);
    sized(to, posted->timer);
    if (has_job)
        cairn_traceparent_add(to, &posted->parent);
    cairn_buf_add(to, posted->args.data, posted->args.size);
}

bool posted_decode(struct cairn_bytes bytes, struct posted *ret_posted)
{
    struct cairn_reader r = cairn_reader(bytes);
    struct posted p;

    p.state = cairn_read_u8(&r);
    p.flags = cairn_read_u8(&r);
    p.number = cairn_read_varint(&r);
    p.sent_ms = cairn_read_varint(&r);
    p.due_ms = cairn_read_varint(&r);
    p.attempts = cairn_read_varint(&r);
    p.space = cairn_read_sized(&r);
    p.type = cairn_read_sized(&r);
    p.id = cairn_read_sized(&r);
    p.method = cairn_read_sized(&r);
    p.from_type = cairn_read_sized(&r);
    p.from_id = cairn_read_sized(&r);
    p.code = cairn_read_sized(&r);
    p.text = cairn_read_sized(&r);
    p.timer = cairn_read_sized(&r);
    p.parent = p.flags & POSTED_JOB ? cairn_traceparent_take(&r) : (struct cairn_traceparent){0};
    p.args = cairn_read_bytes(&r, cairn_reader_left(&r));
    if (r.bad || p.state > POSTED_DEAD || p.space.size > CAIRN_NAME_BYTES_MAX || p.type.size > CAIRN_NAME_BYTES_MAX ||
        p.id.size > CAIRN_ID_BYTES_MAX || !p.type.size != !p.id.size || !p.type.size != !p.method.size ||
        (!p.type.size && p.state != POSTED_DEAD) ||
        (p.timer.size && (p.timer.size <= 16 || p.timer.size > 16 + TIMER_NAME_BYTES_MAX)))
        return false;
    *ret_posted = p;
    return true;
}

static size_t name_part(uint8_t *to, struct cairn_bytes bytes)
{
    size_t n = cairn_put_varint(to, bytes.size);

    if (bytes.size)
        memcpy(to + n, bytes.data, bytes.size);
    return n + bytes.size;
}

struct cairn_bytes posted_name(const struct posted *posted, uint8_t to[POSTED_NAME_BYTES_MAX])
{
    size_t n = name_part(to, posted->space);

    n += name_part(to + n, posted->type);
    memcpy(to + n, posted->id.data, posted->id.size);
    return cairn_bytes(to, n + posted->id.size);
}
