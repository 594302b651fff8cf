/* timers_fire.c - a timer that is due becomes a message. */
#include "object/due.h"
#include "object/layout.h"
#include "object/messages.h"
#include "object/timers.h"

static enum due_answer fire(struct shard *shard, struct overlay *overlay, const struct due *due)
{
    struct messages *messages = shard->messages;
    uint64_t incarnation = cairn_get_be64(due->own.data);
    struct cairn_bytes name = cairn_bytes(due->own.data + 8, due->own.size - 8);
    uint8_t firing[TIMER_FIRING_BYTES_MAX];
    struct cairn_buf encoded = {0};
    struct posted posted;
    struct timer timer;

    if (!timers_get(overlay, incarnation, name, &timer) || timer.state != TIMER_PENDING || timer.due_ms != due->due_ms)
        return DUE_TAKEN;
    if (!timers_current(overlay, &timer, incarnation)) /* being restored, or deleted: then purging takes the rest */
        return incarnation == shard->making ? DUE_SKIP : DUE_TAKEN;
    if (messages_room(messages, timer.args.size + timer.id.size * 2 + sizeof firing, NULL) != CAIRN_OK)
        return DUE_STOP;
    timer.state = TIMER_FIRED;
    timer.number = messages->numbers.end; /* no other firing of the shard has it */
    cairn_put_be64(firing, timer.number);
    memcpy(firing + 8, due->own.data, due->own.size);
    posted = (struct posted){.flags = POSTED_INTERNAL,
                             .sent_ms = timer.due_ms,
                             .space = timer.space,
                             .type = timer.type_name,
                             .id = timer.id,
                             .method = timer.method,
                             .from_type = timer.type_name,
                             .from_id = timer.id,
                             .timer = cairn_bytes(firing, 8 + due->own.size),
                             .args = timer.args};
    posted_encode(&posted, &encoded);
    timers_put(overlay, incarnation, name, &timer);
    messages_add(messages, overlay, &posted, cairn_buf_bytes(&encoded));
    cairn_buf_done(&encoded);
    return DUE_TAKEN;
}

const struct due_handler timer_handler = {.kind = DUE_TIMER, .take = fire};
