#include "admin/metered.h"

#include "admin/admin_internal.h"
#include "io/clock.h"
#include "object/quota.h"

static void begin(struct cairn_node *node)
{
    struct cairn_clock *clock = node->options.clock;
    struct metered *metered = &node->admin->metered;

    metered->opened_ns = clock->monotonic_ns(clock);
    if (!metered->before.since_ms)
        metered->before.since_ms = clock->wall_ms(clock);
}

static void take(void *context, struct cairn_bytes name, const uint64_t values[CAIRN_MEASURES])
{
    struct cairn_node *node = context;
    const struct space *space = spaces_find(&node->spaces, name);

    for (int i = 0; i < CAIRN_MEASURES; i++) {
        if (space && space_is_open(space) && !space->parent)
            stat_add(&space_use_of(&space->meters[0])->of[i], values[i]);
        else
            node->admin->metered.removed[i] += values[i];
    }
}

enum cairn_code cairn_admin_metered_load(struct cairn_node *node, struct cairn_bytes text, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (text.size)
        code = cairn_metered_read(text, &node->admin->metered.before, take, node, err);
    begin(node);
    return code;
}

void metered_time(struct cairn_node *node, struct cairn_metered_time *ret)
{
    const struct metered *metered = &node->admin->metered;
    struct cairn_clock *clock = node->options.clock;

    *ret = metered->before;
    if (metered->opened_ns)
        ret->served_ms += (clock->monotonic_ns(clock) - metered->opened_ns) / 1000000;
}

static bool is_any(const uint64_t values[CAIRN_MEASURES])
{
    return values[CAIRN_METERED_REQUESTS] || values[CAIRN_METERED_INVOCATIONS];
}

void cairn_admin_metered_write(struct cairn_node *node, struct cairn_buf *to)
{
    struct cairn_metered_time time;

    metered_time(node, &time);
    cairn_metered_begin(to, &time);
    for (const struct space *space = node->spaces.first; space; space = space_next(space)) {
        struct space_usage usage;

        if (space->parent)
            continue;
        quota_usage(space, node->options.workers, &usage);
        if (is_any(usage.metered))
            cairn_metered_add(to, space->name, usage.metered);
    }
    if (is_any(node->admin->metered.removed))
        cairn_metered_add(to, cairn_str(CAIRN_METERED_REMOVED), node->admin->metered.removed);
    cairn_metered_end(to);
}
