#include "io/timekeeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/list.h"

#define LOOK_NS   UINT64_C(20000000) /* how often the wall clock is looked at */
#define NS_PER_MS 1000000
#define DAY_MS    (INT64_C(24) * 3600 * 1000)

struct cairn_timekeeper {
    struct cairn_clock clock;
    struct cairn_clock *below;
    void (*on_warning)(void *context, const char *text);
    void *context;

    /* time(boot) = boot + offset + (target - offset, but at most (boot - since) / SLEW_PART either way).
     * Read by any thread without a lock: `turn` is odd while they change, and they count only if it was the same and
     * even before and after (a sequence lock). */
    atomic_uint turn;
    _Atomic int64_t since, offset, target; /* ns */

    _Atomic uint64_t last_ms; /* the latest time given out */
    _Atomic uint64_t look_at; /* CLOCK_BOOTTIME of the next look at the wall clock, ns */
    pthread_mutex_t lock;     /* for changing any of the above, and for what follows */
    _Atomic int64_t jump;     /* ns; changed under the lock */
    uint64_t jumps;
};

/* --- the time at a moment of CLOCK_BOOTTIME --- */

static int64_t slewed(int64_t since, int64_t offset, int64_t target, int64_t boot)
{
    int64_t gap = target - offset, most;

    if (gap == 0)
        return offset;
    most = boot > since ? (boot - since) / CAIRN_TIME_SLEW_PART : 0; /* a reading from just before the change */
    return offset + (gap > most ? most : gap < -most ? -most : gap);
}

static int64_t offset_at(struct cairn_timekeeper *keeper, int64_t boot)
{
    for (;;) {
        unsigned turn = atomic_load_explicit(&keeper->turn, memory_order_acquire);
        int64_t since = atomic_load_explicit(&keeper->since, memory_order_acquire);
        int64_t offset = atomic_load_explicit(&keeper->offset, memory_order_acquire);
        int64_t target = atomic_load_explicit(&keeper->target, memory_order_acquire);

        if (!(turn & 1) && atomic_load_explicit(&keeper->turn, memory_order_relaxed) == turn)
            return slewed(since, offset, target, boot);
    }
}

/* Under the lock. */
static void follow(struct cairn_timekeeper *keeper, int64_t boot, int64_t offset, int64_t target)
{
    atomic_fetch_add_explicit(&keeper->turn, 1, memory_order_acq_rel);
    atomic_store_explicit(&keeper->since, boot, memory_order_release);
    atomic_store_explicit(&keeper->offset, offset, memory_order_release);
    atomic_store_explicit(&keeper->target, target, memory_order_release);
    atomic_fetch_add_explicit(&keeper->turn, 1, memory_order_release);
}

/* --- the wall clock --- */

static int64_t wall_offset(struct cairn_timekeeper *keeper, int64_t boot)
{
    return (int64_t)keeper->below->wall_ms(keeper->below) * NS_PER_MS - boot;
}

static int64_t boot_now(struct cairn_timekeeper *keeper)
{
    return (int64_t)keeper->below->boot_ns(keeper->below);
}

static void warn(struct cairn_timekeeper *keeper, const char *text)
{
    if (text[0] && keeper->on_warning)
        keeper->on_warning(keeper->context, text);
}

static void tell_jump(int64_t jump, char *to, size_t room)
{
    double seconds = (double)jump / 1e9;

    snprintf(
        to, room,
        "the wall clock has jumped %s by %.1f s; the node's time does not follow. Set the clock right, or, if it is "
        "right, run: cairn clock accept",
        jump > 0 ? "forward" : "back", seconds < 0 ? -seconds : seconds);
}

/* Under the lock: compares the wall clock with the time that the node follows. */
static void look(struct cairn_timekeeper *keeper, int64_t boot, char *to, size_t room)
{
    int64_t target = atomic_load_explicit(&keeper->target, memory_order_relaxed);
    int64_t jump = atomic_load_explicit(&keeper->jump, memory_order_relaxed);
    int64_t seen = wall_offset(keeper, boot), moved = seen - target;

    if (moved > CAIRN_TIME_JUMP_MS * (int64_t)NS_PER_MS || moved < -CAIRN_TIME_JUMP_MS * (int64_t)NS_PER_MS) {
        int64_t more = moved - jump;

        atomic_store_explicit(&keeper->jump, moved, memory_order_relaxed);
        /* One that has been told is told again when it has become another. */
        if (!jump || more > CAIRN_TIME_JUMP_MS * (int64_t)NS_PER_MS ||
            more < -CAIRN_TIME_JUMP_MS * (int64_t)NS_PER_MS) {
            keeper->jumps++;
            tell_jump(moved, to, room);
        }
        return;
    }
    if (jump) {
        atomic_store_explicit(&keeper->jump, 0, memory_order_relaxed);
        snprintf(to, room, "the wall clock is right again: the node's time follows it");
    }
    if (moved > 2 * NS_PER_MS || moved < -2 * NS_PER_MS) /* less is how finely the two are read */
        follow(keeper, boot, offset_at(keeper, boot), seen);
}

/* Now, or unless another thread looks. */
static void look_at_wall(struct cairn_timekeeper *keeper, int64_t boot, bool now)
{
    char text[256] = "";

    if (now)
        pthread_mutex_lock(&keeper->lock);
    else if (pthread_mutex_trylock(&keeper->lock) != 0)
        return;
    atomic_store_explicit(&keeper->look_at, (uint64_t)boot + LOOK_NS, memory_order_relaxed);
    look(keeper, boot, text, sizeof text);
    pthread_mutex_unlock(&keeper->lock);
    warn(keeper, text);
}

/* --- as a clock --- */

static struct cairn_timekeeper *keeper_of(struct cairn_clock *clock)
{
    return cairn_container(clock, struct cairn_timekeeper, clock);
}

/* Never below what any thread was told before: one that was held up between its reading of the clock and that of the
 * offset may find one that was made for a later time. */
static uint64_t time_at(struct cairn_timekeeper *keeper, int64_t boot)
{
    uint64_t at = (uint64_t)((boot + offset_at(keeper, boot)) / NS_PER_MS);
    uint64_t last = atomic_load_explicit(&keeper->last_ms, memory_order_relaxed);

    while (at > last)
        if (atomic_compare_exchange_weak_explicit(&keeper->last_ms, &last, at, memory_order_relaxed,
                                                  memory_order_relaxed))
            return at;
    return last;
}

static uint64_t keeper_wall_ms(struct cairn_clock *clock)
{
    struct cairn_timekeeper *keeper = keeper_of(clock);
    int64_t boot = boot_now(keeper);

    if ((uint64_t)boot >= atomic_load_explicit(&keeper->look_at, memory_order_relaxed))
        look_at_wall(keeper, boot, false);
    return time_at(keeper, boot);
}

static uint64_t keeper_monotonic_ns(struct cairn_clock *clock)
{
    return keeper_of(clock)->below->monotonic_ns(keeper_of(clock)->below);
}

static uint64_t keeper_boot_ns(struct cairn_clock *clock)
{
    return keeper_of(clock)->below->boot_ns(keeper_of(clock)->below);
}

static uint64_t keeper_thread_ns(struct cairn_clock *clock)
{
    return keeper_of(clock)->below->thread_ns(keeper_of(clock)->below);
}

static uint64_t keeper_entropy(struct cairn_clock *clock)
{
    return keeper_of(clock)->below->entropy(keeper_of(clock)->below);
}

/* --- the keeper --- */

struct cairn_timekeeper *cairn_timekeeper_create(struct cairn_clock *clock,
                                                 void (*on_warning)(void *context, const char *text), void *context)
{
    struct cairn_timekeeper *keeper = cairn_alloc_zeroed(1, sizeof *keeper);
    int64_t boot;

    keeper->clock = (struct cairn_clock){.monotonic_ns = keeper_monotonic_ns,
                                         .boot_ns = keeper_boot_ns,
                                         .wall_ms = keeper_wall_ms,
                                         .thread_ns = keeper_thread_ns,
                                         .entropy = keeper_entropy};
    keeper->below = clock;
    keeper->on_warning = on_warning;
    keeper->context = context;
    pthread_mutex_init(&keeper->lock, NULL);
    boot = boot_now(keeper);
    follow(keeper, boot, wall_offset(keeper, boot), wall_offset(keeper, boot));
    return keeper;
}

struct cairn_timekeeper *cairn_timekeeper_destroy(struct cairn_timekeeper *keeper)
{
    if (keeper)
        pthread_mutex_destroy(&keeper->lock);
    free(keeper);
    return NULL;
}

struct cairn_clock *cairn_timekeeper_clock(struct cairn_timekeeper *keeper)
{
    return &keeper->clock;
}

void cairn_timekeeper_start(struct cairn_timekeeper *keeper, uint64_t least_ms)
{
    char text[256] = "";
    int64_t boot, seen, ahead_ms;

    pthread_mutex_lock(&keeper->lock);
    boot = boot_now(keeper);
    seen = wall_offset(keeper, boot);
    ahead_ms = (boot + seen) / NS_PER_MS - (int64_t)least_ms;
    follow(keeper, boot, ahead_ms < 0 ? (int64_t)least_ms * NS_PER_MS - boot : seen, seen);
    if (least_ms && ahead_ms > DAY_MS)
        snprintf(text, sizeof text,
                 "the wall clock is %.1f days after the last time that this data folder knows; it is believed",
                 (double)ahead_ms / (double)DAY_MS);
    else if (ahead_ms < -CAIRN_TIME_JUMP_MS)
        snprintf(text, sizeof text,
                 "the wall clock is %.1f s before the last time that this data folder knows; the node's time goes on "
                 "from there, 10 %% slower until the clock has caught up",
                 (double)-ahead_ms / 1e3);
    pthread_mutex_unlock(&keeper->lock);
    warn(keeper, text);
}

void cairn_timekeeper_state(struct cairn_timekeeper *keeper, struct cairn_time_state *ret_state)
{
    int64_t boot = boot_now(keeper), offset;

    look_at_wall(keeper, boot, true);
    pthread_mutex_lock(&keeper->lock);
    offset = offset_at(keeper, boot);
    *ret_state = (struct cairn_time_state){
        .now_ms = time_at(keeper, boot),
        .wall_ms = keeper->below->wall_ms(keeper->below),
        .behind_ms = (atomic_load_explicit(&keeper->target, memory_order_relaxed) - offset) / NS_PER_MS,
        .jump_ms = atomic_load_explicit(&keeper->jump, memory_order_relaxed) / NS_PER_MS,
        .jumps = keeper->jumps,
    };
    pthread_mutex_unlock(&keeper->lock);
}

bool cairn_timekeeper_accept(struct cairn_timekeeper *keeper)
{
    int64_t boot = boot_now(keeper), seen, offset;
    bool jumped;

    look_at_wall(keeper, boot, true);
    pthread_mutex_lock(&keeper->lock);
    jumped = atomic_load_explicit(&keeper->jump, memory_order_relaxed) != 0;
    if (jumped) {
        boot = boot_now(keeper);
        seen = wall_offset(keeper, boot);
        offset = offset_at(keeper, boot);
        follow(keeper, boot, seen > offset ? seen : offset, seen);
        atomic_store_explicit(&keeper->jump, 0, memory_order_relaxed);
    }
    pthread_mutex_unlock(&keeper->lock);
    return jumped;
}
