#include "transfer/carried.h"

#include <inttypes.h>
#include <stdlib.h>

#include "object/due.h"
#include "object/layout.h"
#include "object/messages.h"
#include "object/outbox.h"
#include "object/side.h"
#include "object/space.h"
#include "object/timers.h"
#include "object/tree.h"

enum { LOOKS_PER_STEP = 256, STATE_BYTES_MAX = 64 };

/* In the order in which messages to one object came: what ran from the line, its side line, the rest of the line. */
enum stage { RAN, SIDES, PARKED, LINE, LATER, DEAD, TIMERS, OVER };

static enum cairn_code unreadable(const struct carried *carried, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "%s in shard %" PRIu32 " cannot be read", what, carried->shard);
}

static bool is_wanted(const struct carried *carried, struct cairn_bytes space)
{
    return !carried->space.size || cairn_bytes_equal(space_payer_name(space), carried->space);
}

static void go_to(struct carried *carried, enum stage stage, uint64_t number)
{
    carried->stage = stage;
    carried->number = number;
    carried->at.size = 0;
}

static void put_at(struct carried *carried, struct cairn_bytes at)
{
    carried->at.size = 0;
    cairn_buf_add(&carried->at, at.data, at.size);
}

static size_t key_of_shard(uint8_t *to, uint8_t kind, uint32_t shard)
{
    to[0] = kind;
    return 1 + cairn_put_varint(to + 1, shard);
}

/* --- items --- */

static enum cairn_code add_message(struct carried *carried, struct overlay *overlay, struct cairn_bytes key,
                                   struct stream_writer *writer, struct cairn_err *err)
{
    struct cairn_buf encoded = {0};
    struct cairn_bytes value;
    struct posted posted;
    enum cairn_code code;

    if (!overlay_get(overlay, key, &value))
        return CAIRN_OK;
    if (!posted_decode(value, &posted))
        return unreadable(carried, "a message", err);
    if (!is_wanted(carried, posted.space) || (posted.timer.size && posted.state == POSTED_NEW))
        return CAIRN_OK;
    posted.number = 0;
    posted.timer = cairn_bytes(NULL, 0);
    posted_encode(&posted, &encoded);
    value = cairn_buf_bytes(&encoded);
    code = stream_add(writer, STREAM_MESSAGE, &value, 1, err);
    cairn_buf_done(&encoded);
    return code;
}

static enum cairn_code add_timer(struct carried *carried, struct overlay *overlay, struct cairn_bytes place,
                                 struct stream_writer *writer, struct cairn_err *err)
{
    uint64_t incarnation = cairn_get_be64(place.data);
    struct cairn_bytes name = cairn_bytes(place.data + 8, place.size - 8), body;
    struct cairn_buf item = {0};
    struct timer timer;
    enum cairn_code code;

    if (!timers_get(overlay, incarnation, name, &timer))
        return overlay->code == CAIRN_OK ? unreadable(carried, "a timer", err) : CAIRN_OK;
    timer.state = TIMER_PENDING;
    cairn_buf_varint(&item, timer.type);
    cairn_buf_varint(&item, timer.id.size);
    cairn_buf_add(&item, timer.id.data, timer.id.size);
    cairn_buf_varint(&item, name.size);
    cairn_buf_add(&item, name.data, name.size);
    timer_encode(&timer, &item);
    body = cairn_buf_bytes(&item);
    code = is_wanted(carried, timer.space.size ? timer.space : cairn_str(SPACE_DEFAULT)) &&
                   timers_current(overlay, &timer, incarnation) /* else it is deleted, and being purged */
               ? stream_add(writer, STREAM_TIMER, &body, 1, err)
               : CAIRN_OK;
    cairn_buf_done(&item);
    return code;
}

/* --- a shard --- */

enum cairn_code carried_begin(struct carried *carried, struct overlay *overlay, uint32_t shard, struct cairn_err *err)
{
    struct message_numbers numbers = {0};

    carried->shard = shard;
    if (!messages_numbers(overlay, &numbers) && overlay->code != CAIRN_OK) {
        *err = overlay->err;
        return overlay->code;
    }
    carried->first = numbers.first;
    carried->looked = numbers.looked > numbers.first ? numbers.looked : numbers.first;
    carried->end = numbers.end;
    carried->out = numbers.out;
    go_to(carried, RAN, carried->first);
    return CAIRN_OK;
}

static enum cairn_code line(struct carried *carried, struct overlay *overlay, struct stream_writer *writer,
                            uint64_t end, enum stage next, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;
    uint8_t key[9];

    for (int i = 0; code == CAIRN_OK && i < LOOKS_PER_STEP && carried->number < end; i++, carried->number++)
        code =
            add_message(carried, overlay, cairn_bytes(key, key_numbered(key, KEY_LINE, carried->number)), writer, err);
    if (carried->number >= end)
        go_to(carried, next, next == LINE ? carried->looked : 0);
    return code;
}

/* carried->at: the name of the side line that it is in. */
static enum cairn_code sides(struct carried *carried, struct overlay *overlay, struct stream_writer *writer,
                             bool parked, struct cairn_err *err)
{
    const struct messages any = {.numbers.sides = 1};
    uint8_t bytes[POSTED_NAME_BYTES_MAX], key[DELIVERY_KEY_BYTES_MAX];
    struct cairn_bytes name;
    struct side side;
    enum cairn_code code = CAIRN_OK;

    if (carried->at.size && side_get(&any, overlay, cairn_buf_bytes(&carried->at), &side)) {
        if (carried->number < side.first)
            carried->number = side.first;
        for (int i = 0; code == CAIRN_OK && i < LOOKS_PER_STEP && carried->number < side.end; i++, carried->number++)
            code = add_message(carried, overlay, cairn_bytes(key, side_key(key, &side, carried->number)), writer, err);
        if (carried->number < side.end)
            return code;
    }
    if (code == CAIRN_OK && side_after(overlay, parked, cairn_buf_bytes(&carried->at), bytes, &name)) {
        put_at(carried, name);
        carried->number = 0;
        return CAIRN_OK;
    }
    if (parked)
        go_to(carried, LINE, carried->looked);
    else
        go_to(carried, PARKED, 0);
    return code;
}

static enum cairn_code later(struct carried *carried, struct overlay *overlay, struct stream_writer *writer,
                             struct cairn_err *err)
{
    uint8_t bytes[DUE_KEY_BYTES_MAX], key[9];
    struct cairn_bytes entry;
    enum cairn_code code = CAIRN_OK;

    for (int i = 0; code == CAIRN_OK && i < LOOKS_PER_STEP; i++) {
        if (!due_after(overlay, cairn_buf_bytes(&carried->at), bytes, &entry)) {
            go_to(carried, DEAD, 0);
            break;
        }
        put_at(carried, entry);
        if (entry.size == DUE_MS_BYTES + 9 && entry.data[DUE_MS_BYTES] == DUE_MESSAGE)
            code = add_message(
                carried, overlay,
                cairn_bytes(key, key_numbered(key, KEY_LATER, cairn_get_be64(entry.data + DUE_MS_BYTES + 1))), writer,
                err);
    }
    return code;
}

static enum cairn_code dead(struct carried *carried, struct overlay *overlay, struct stream_writer *writer,
                            struct cairn_err *err)
{
    static const uint8_t prefix[] = {KEY_DEAD_TREE};
    const struct tree tree = {.overlay = overlay, .prefix = cairn_bytes(prefix, sizeof prefix)};
    struct tree_cursor cursor;
    enum cairn_code code = CAIRN_OK;

    for (int i = 0; code == CAIRN_OK && i < LOOKS_PER_STEP; i++) {
        uint8_t key[9];

        if (!tree_seek(&cursor, &tree, TREE_AFTER, cairn_buf_bytes(&carried->at)) || tree_key(&cursor).size != 8) {
            go_to(carried, TIMERS, 0);
            break;
        }
        put_at(carried, tree_key(&cursor));
        key_numbered(key, KEY_DEAD, cairn_get_be64(carried->at.data));
        code = add_message(carried, overlay, cairn_bytes(key, sizeof key), writer, err);
    }
    return code;
}

static enum cairn_code timers(struct carried *carried, struct overlay *overlay, struct stream_writer *writer,
                              struct cairn_err *err)
{
    uint8_t bytes[TIMER_PLACE_BYTES_MAX];
    struct cairn_bytes place;
    enum cairn_code code = CAIRN_OK;

    for (int i = 0; code == CAIRN_OK && i < LOOKS_PER_STEP; i++) {
        if (!timers_after(overlay, cairn_buf_bytes(&carried->at), bytes, &place)) {
            go_to(carried, OVER, 0);
            break;
        }
        put_at(carried, place);
        code = add_timer(carried, overlay, place, writer, err);
    }
    return code;
}

/* Which channels have something: it comes when all lines have been. */
static void note_channels(struct carried *carried, struct overlay *overlay)
{
    uint8_t key[1 + CAIRN_VARINT_BYTES_MAX];

    for (uint32_t to = 0; carried->out && to < carried->shards; to++) {
        struct carried_channel channel = {.from = carried->shard, .to = to};
        struct cairn_bytes value;
        struct cairn_reader r;

        if (!overlay_get(overlay, cairn_bytes(key, key_of_shard(key, KEY_CHANNEL, to)), &value))
            continue;
        r = cairn_reader(value);
        channel.first = cairn_read_varint(&r);
        channel.end = cairn_read_varint(&r);
        if (!r.bad && channel.first < channel.end)
            cairn_buf_add(&carried->channels, &channel, sizeof channel);
    }
}

enum cairn_code carried_step(struct carried *carried, struct overlay *overlay, struct stream_writer *writer,
                             bool *ret_over, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    switch ((enum stage)carried->stage) {
    case RAN:
        code =
            line(carried, overlay, writer, carried->looked < carried->end ? carried->looked : carried->end, SIDES, err);
        break;
    case SIDES:
        code = sides(carried, overlay, writer, false, err);
        break;
    case PARKED:
        code = sides(carried, overlay, writer, true, err);
        break;
    case LINE:
        code = line(carried, overlay, writer, carried->end, LATER, err);
        break;
    case LATER:
        code = later(carried, overlay, writer, err);
        break;
    case DEAD:
        code = dead(carried, overlay, writer, err);
        break;
    case TIMERS:
        code = timers(carried, overlay, writer, err);
        break;
    case OVER:
        break;
    }
    if (carried->stage == OVER)
        note_channels(carried, overlay);
    *ret_over = carried->stage == OVER;
    if (code == CAIRN_OK && overlay->code != CAIRN_OK) {
        code = overlay->code;
        *err = overlay->err;
    }
    return code;
}

/* --- what is on its way --- */

static int by_receiver(const void *a, const void *b)
{
    const struct carried_channel *x = a, *y = b;

    return x->to != y->to ? (x->to > y->to) - (x->to < y->to) : (x->from > y->from) - (x->from < y->from);
}

static int by_sender(const void *a, const void *b)
{
    const struct carried_channel *x = a, *y = b;

    return x->from != y->from ? (x->from > y->from) - (x->from < y->from) : (x->to > y->to) - (x->to < y->to);
}

void carried_sort(struct carried *carried, bool receiver)
{
    size_t count = carried->channels.size / sizeof(struct carried_channel);

    if (count)
        qsort(carried->channels.data, count, sizeof(struct carried_channel), receiver ? by_receiver : by_sender);
    carried->channel = 0;
}

struct carried_channel *carried_next(struct carried *carried)
{
    size_t at = carried->channel * sizeof(struct carried_channel);

    return at < carried->channels.size ? (struct carried_channel *)(void *)(carried->channels.data + at) : NULL;
}

enum cairn_code carried_mark(struct carried_channel *channel, struct overlay *overlay, struct cairn_err *err)
{
    uint8_t key[1 + CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes value;

    if (overlay_get(overlay, cairn_bytes(key, key_of_shard(key, KEY_MARK, channel->from)), &value)) {
        struct cairn_reader r = cairn_reader(value);
        uint64_t mark = cairn_read_varint(&r);

        if (mark > channel->first)
            channel->first = mark;
    }
    if (overlay->code != CAIRN_OK)
        *err = overlay->err;
    return overlay->code;
}

enum cairn_code carried_send(struct carried *carried, struct carried_channel *channel, struct overlay *overlay,
                             struct stream_writer *writer, bool *ret_over, struct cairn_err *err)
{
    uint8_t key[OUTBOX_KEY_BYTES_MAX];
    enum cairn_code code = CAIRN_OK;

    carried->shard = channel->from;
    for (int i = 0; code == CAIRN_OK && i < LOOKS_PER_STEP && channel->first < channel->end; i++, channel->first++)
        code = add_message(carried, overlay, outbox_key(key, channel->to, channel->first), writer, err);
    *ret_over = channel->first >= channel->end;
    if (code == CAIRN_OK && overlay->code != CAIRN_OK) {
        code = overlay->code;
        *err = overlay->err;
    }
    return code;
}

void carried_done(struct carried *carried)
{
    cairn_buf_done(&carried->at);
    cairn_buf_done(&carried->channels);
}

/* --- in ---------------------------------------------------------------------------------------------------- */

void carried_put_message(struct overlay *overlay, struct carried_in *in, struct posted *posted)
{
    static const uint8_t prefix[] = {KEY_DEAD_TREE};
    const struct tree tree = {.overlay = overlay, .prefix = cairn_bytes(prefix, sizeof prefix)};
    struct shard nowhere = {0}; /* none of its times is looked at */
    bool is_dead = posted->state == POSTED_DEAD, is_later = posted->state == POSTED_NEW && posted->due_ms;
    struct cairn_buf encoded = {0};
    uint8_t key[9];

    posted->number = is_dead ? in->end + 1 : 0;
    posted_encode(posted, &encoded);
    key_numbered(key, is_dead ? KEY_DEAD : is_later ? KEY_LATER : KEY_LINE, in->end++);
    overlay_put(overlay, cairn_bytes(key, sizeof key), cairn_buf_bytes(&encoded));
    if (is_dead)
        tree_add(&tree, cairn_bytes(key + 1, 8));
    else if (is_later)
        due_add(&nowhere, overlay, posted->due_ms, DUE_MESSAGE, cairn_bytes(key + 1, 8));
    in->dead += is_dead;
    in->waiting += !is_dead;
    in->bytes += encoded.size + MESSAGE_OVERHEAD_BYTES;
    cairn_buf_done(&encoded);
}

void carried_put_timer(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name,
                       const struct timer *timer)
{
    struct shard nowhere = {0};

    timers_put(overlay, incarnation, name, timer);
    timers_index(&nowhere, overlay, incarnation, name, NULL, timer);
}

void carried_put_numbers(struct overlay *overlay, const struct carried_in *in)
{
    const struct message_numbers numbers = {
        .end = in->end, .waiting = in->waiting, .dead = in->dead, .bytes = in->bytes};

    if (in->end)
        messages_put_numbers(overlay, &numbers);
}
