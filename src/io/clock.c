#include "io/clock.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/list.h"

static uint64_t read_clock(clockid_t id, uint64_t per_second, uint64_t ns_per_unit)
{
    struct timespec at;

    if (clock_gettime(id, &at) != 0)
        abort(); /* only for an unknown clock */
    return (uint64_t)at.tv_sec * per_second + (uint64_t)at.tv_nsec / ns_per_unit;
}

static uint64_t system_monotonic_ns(struct cairn_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC, 1000000000u, 1);
}

static uint64_t system_boot_ns(struct cairn_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_BOOTTIME, 1000000000u, 1);
}

static uint64_t system_wall_ms(struct cairn_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME, 1000, 1000000);
}

static uint64_t system_thread_ns(struct cairn_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_THREAD_CPUTIME_ID, 1000000000u, 1);
}

static uint64_t system_entropy(struct cairn_clock *clock)
{
    uint64_t bits;

    (void)clock;
    /* Up to 256 bytes come whole or not at all once the pool is ready; EINTR is possible before. */
    while (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits)
        ;
    return bits;
}

struct cairn_clock *cairn_clock_system(void)
{
    static struct cairn_clock clock = {system_monotonic_ns, system_boot_ns, system_wall_ms, system_thread_ns,
                                       system_entropy};

    return &clock;
}

static struct cairn_sim_clock *sim_of(struct cairn_clock *clock)
{
    return cairn_container(clock, struct cairn_sim_clock, clock);
}

static uint64_t sim_monotonic_ns(struct cairn_clock *clock)
{
    return sim_of(clock)->now_ns;
}

static uint64_t sim_wall_ms(struct cairn_clock *clock)
{
    struct cairn_sim_clock *sim = sim_of(clock);

    return sim->wall_offset_ms + sim->now_ns / 1000000;
}

static uint64_t sim_entropy(struct cairn_clock *clock)
{
    /* SplitMix64 (Steele, Lea, Flood 2014): one word of state, every seed is good. */
    uint64_t z = sim_of(clock)->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void cairn_sim_clock_init(struct cairn_sim_clock *sim, uint64_t seed)
{
    *sim = (struct cairn_sim_clock){
        .clock = {sim_monotonic_ns, sim_monotonic_ns, sim_wall_ms, sim_monotonic_ns, sim_entropy},
        .now_ns = 1000000000u,            /* so that 0 can mean "never" */
        .wall_offset_ms = 1700000000000u, /* November 2023 */
        .state = seed,
    };
}

void cairn_sim_clock_advance(struct cairn_sim_clock *sim, uint64_t ns)
{
    sim->now_ns += ns;
}
