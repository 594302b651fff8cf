#include "object/timers.h"

#include "object/due.h"
#include "object/layout.h"
#include "object/messages.h"
#include "object/worker.h"

/* --- the keys --- */

size_t timer_key(uint8_t to[TIMER_KEY_BYTES_MAX], uint64_t incarnation, struct cairn_bytes name)
{
    key_numbered(to, KEY_TIMER, incarnation);
    if (name.size)
        memcpy(to + 9, name.data, name.size);
    return 9 + name.size;
}

bool timers_get(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name, struct timer *ret_timer)
{
    uint8_t key[TIMER_KEY_BYTES_MAX];
    struct cairn_bytes value;

    return overlay_get(overlay, cairn_bytes(key, timer_key(key, incarnation, name)), &value) &&
           timer_decode(value, ret_timer);
}

void timers_put(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name, const struct timer *timer)
{
    uint8_t key[TIMER_KEY_BYTES_MAX];
    struct cairn_buf encoded = {0};

    timer_encode(timer, &encoded);
    overlay_put(overlay, cairn_bytes(key, timer_key(key, incarnation, name)), cairn_buf_bytes(&encoded));
    cairn_buf_done(&encoded);
}

/* --- the trees --- */

static const uint8_t names_prefix = KEY_TIMER_NAMES;

static struct tree names_tree(struct overlay *overlay)
{
    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(&names_prefix, 1)};
}

static uint64_t count_of(struct overlay *overlay)
{
    uint8_t key = KEY_TIMERS;
    struct cairn_bytes value;
    struct cairn_reader r;

    if (!overlay_get(overlay, cairn_bytes(&key, 1), &value))
        return 0;
    r = cairn_reader(value);
    return cairn_read_varint(&r);
}

static void count_change(struct overlay *overlay, bool more)
{
    uint8_t key = KEY_TIMERS, value[CAIRN_VARINT_BYTES_MAX];

    overlay_put(overlay, cairn_bytes(&key, 1),
                cairn_bytes(value, cairn_put_varint(value, count_of(overlay) + (more ? 1 : UINT64_MAX))));
}

void timers_index(struct shard *shard, struct overlay *overlay, uint64_t incarnation, struct cairn_bytes name,
                  const struct timer *before, const struct timer *after)
{
    uint8_t key[TIMER_KEY_BYTES_MAX];
    struct cairn_bytes own = cairn_bytes(key + 1, timer_key(key, incarnation, name) - 1);
    bool was_due = before && before->state == TIMER_PENDING, is_due = after && after->state == TIMER_PENDING;
    struct tree names = names_tree(overlay);

    if (was_due && !(is_due && after->due_ms == before->due_ms))
        due_remove(overlay, before->due_ms, DUE_TIMER, own);
    if (is_due && !(was_due && after->due_ms == before->due_ms))
        due_add(shard, overlay, after->due_ms, DUE_TIMER, own);
    if (after ? tree_add(&names, own) : tree_remove(&names, own))
        count_change(overlay, after != NULL);
}

void timers_count(struct shard *shard)
{
    struct cairn_view *engine = shard->engine;
    uint8_t bytes = KEY_TIMERS;
    struct cairn_bytes key = cairn_bytes(&bytes, 1), value;
    uint64_t count = 0;

    if (engine->ops->get(engine, key, cairn_hash(key), &value)) {
        struct cairn_reader r = cairn_reader(value);
        count = cairn_read_varint(&r);
    }
    if (cairn_engine_take_failure(engine, NULL) != CAIRN_OK)
        return;
    stat_add(&shard->messages->worker->counts.timers_pending, count - shard->timer_count);
    shard->timer_count = count;
}

bool timers_after(struct overlay *overlay, struct cairn_bytes after, uint8_t to[TIMER_PLACE_BYTES_MAX],
                  struct cairn_bytes *ret_at)
{
    struct tree names = names_tree(overlay);
    struct tree_cursor cursor;
    struct cairn_bytes found;

    if (!tree_seek(&cursor, &names, TREE_AFTER, after))
        return false;
    found = tree_key(&cursor);
    memcpy(to, found.data, found.size);
    *ret_at = cairn_bytes(to, found.size);
    return true;
}

bool timers_next(struct overlay *overlay, uint64_t incarnation, struct cairn_bytes after,
                 uint8_t to[TIMER_NAME_BYTES_MAX], struct cairn_bytes *ret_name)
{
    uint8_t key[TIMER_KEY_BYTES_MAX], place[TIMER_PLACE_BYTES_MAX];
    struct cairn_bytes at = cairn_bytes(key + 1, timer_key(key, incarnation, after) - 1), found;

    if (!timers_after(overlay, at, place, &found) || memcmp(place, key + 1, 8) != 0)
        return false;
    memcpy(to, place + 8, found.size - 8);
    *ret_name = cairn_bytes(to, found.size - 8);
    return true;
}

bool timers_current(struct overlay *overlay, const struct timer *timer, uint64_t incarnation)
{
    uint8_t key[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX];
    struct cairn_bytes value;

    return timer->id.size <= CAIRN_ID_BYTES_MAX &&
           overlay_get(overlay, cairn_bytes(key, key_header(key, timer->type, timer->id)), &value) && value.size >= 8 &&
           cairn_get_u64(value.data) == incarnation;
}

uint32_t timers_purge(struct shard *shard, struct overlay *overlay, uint64_t incarnation, uint32_t most)
{
    uint8_t bytes[TIMER_NAME_BYTES_MAX], key[TIMER_KEY_BYTES_MAX];
    struct cairn_bytes name;
    uint32_t removed = 0;

    for (; removed < most && timers_next(overlay, incarnation, cairn_bytes(bytes, 0), bytes, &name); removed++) {
        struct timer timer;
        bool there = timers_get(overlay, incarnation, name, &timer);

        timers_index(shard, overlay, incarnation, name, there ? &timer : NULL, NULL);
        overlay_remove(overlay, cairn_bytes(key, timer_key(key, incarnation, name)));
    }
    return removed;
}

/* --- the end of a firing --- */

void timers_over(struct shard *shard, struct overlay *overlay, struct cairn_bytes firing, uint64_t now_ms)
{
    uint64_t number = cairn_get_be64(firing.data), incarnation = cairn_get_be64(firing.data + 8);
    struct cairn_bytes name = cairn_bytes(firing.data + 16, firing.size - 16);
    uint8_t key[TIMER_KEY_BYTES_MAX];
    struct timer timer, after;

    if (!timers_get(overlay, incarnation, name, &timer) || timer.state != TIMER_FIRED || timer.number != number)
        return;
    if (timer.kind == TIMER_AT) {
        timers_index(shard, overlay, incarnation, name, &timer, NULL);
        overlay_remove(overlay, cairn_bytes(key, timer_key(key, incarnation, name)));
        return;
    }
    after = timer;
    after.state = TIMER_PENDING;
    after.due_ms = due_ms_most(timer_next_ms(&timer, shard->messages->worker->node->options.zones, now_ms));
    timers_put(overlay, incarnation, name, &after);
    timers_index(shard, overlay, incarnation, name, &timer, &after);
}
