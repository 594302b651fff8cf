/* timers_commit.c - timers as a participant of a segment's record: what it sets and cancels, and the firing that it
 * uses up. */
#include "object/commit.h"
#include "object/delivery.h"
#include "object/layout.h"
#include "object/table.h"
#include "object/timers.h"
#include "object/worker.h"

/* The message of the invocation is a firing, and no segment of it has been recorded. */
static struct delivery *firing_of(const struct invocation *inv)
{
    struct delivery *delivery = delivery_of(inv);

    return delivery && delivery->posted.timer.size && !delivery->begun ? delivery : NULL;
}

bool timers_take_part(const struct invocation *inv)
{
    return inv->segment->timers_changed || (inv->own && firing_of(inv));
}

bool timers_want(struct invocation *inv)
{
    struct delivery *delivery = firing_of(inv);
    struct cairn_bytes firing;
    struct timer timer;
    bool wanted;

    if (!delivery)
        return true;
    firing = delivery->posted.timer;
    wanted = timers_get(&inv->segment->overlay, cairn_get_be64(firing.data + 8),
                        cairn_bytes(firing.data + 16, firing.size - 16), &timer) &&
             timer.state == TIMER_FIRED && timer.number == cairn_get_be64(firing.data) &&
             inv->segment->header.incarnation == cairn_get_be64(firing.data + 8);
    if (!wanted)
        return false;
    delivery->timer_due_ms = timer.due_ms;
    delivery->timer_now_ms = (uint64_t)invocation_now_ms(inv);
    delivery->timer_missed = timer_missed(&timer, inv->worker->node->options.zones, delivery->timer_now_ms);
    if (delivery->posted.attempts == 0) {
        stat_add(&inv->worker->counts.timers_fired, 1);
        stat_add(&inv->worker->counts.timer_late_ms, delivery->timer_now_ms - timer.due_ms);
    }
    return true;
}

/* What has become of a timer that the segment wrote. */
static void changed(struct commit *commit, struct cairn_bytes key)
{
    struct shard *shard = commit->inv->object->shard;
    uint64_t incarnation = cairn_get_be64(key.data + 1);
    struct cairn_bytes name = cairn_bytes(key.data + 9, key.size - 9), value;
    struct timer before, after;
    bool was, is;

    was = shard->engine->ops->get(shard->engine, key, cairn_hash(key), &value) && timer_decode(value, &before);
    is = timers_get(commit->overlay, incarnation, name, &after);
    if (was || is)
        timers_index(shard, commit->overlay, incarnation, name, was ? &before : NULL, is ? &after : NULL);
}

static enum cairn_code prepare(struct commit *commit, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    struct overlay *overlay = commit->overlay;
    struct delivery *firing = firing_of(inv);
    struct shard *shard = inv->object->shard;

    (void)err;
    if (inv->segment->timers_changed)
        for (uint32_t i = 0; i < commit->own_writes; i++) {
            struct cairn_bytes key = overlay->writes[i].key;

            if (key.data[0] == KEY_TIMER && cairn_get_be64(key.data + 1) == inv->segment->header.incarnation)
                changed(commit, key);
        }
    if (firing)
        timers_over(shard, overlay, firing->posted.timer, firing->timer_now_ms);
    return cairn_engine_take_failure(shard->engine, err);
}

static void committed(struct commit *commit)
{
    struct invocation *inv = commit->inv;
    struct worker_counts *counts = &inv->worker->counts;

    if (!timers_take_part(inv))
        return;
    stat_add(&counts->timers_set, inv->segment->timers_set);
    timers_count(inv->object->shard);
    inv->worker->messages_look = true;
}

const struct participant timers_participant = {.concern = CONCERNS_LETTERS, .prepare = prepare, .committed = committed};
