/* clock.h - time and entropy, with a simulated twin.
 * Threads: the system clock may be read by any thread, a simulated one by its owner only.
 * Layer: io; uses base. */
#ifndef CAIRN_IO_CLOCK_H
#define CAIRN_IO_CLOCK_H

#include <stdint.h>

struct cairn_clock {
    uint64_t (*monotonic_ns)(struct cairn_clock *clock); /* stands still while the machine sleeps */
    uint64_t (*boot_ns)(struct cairn_clock *clock);      /* goes on while it sleeps; cannot be set */
    uint64_t (*wall_ms)(struct cairn_clock *clock);      /* Unix time; may go back */
    uint64_t (*thread_ns)(struct cairn_clock *clock);    /* CPU time of the calling thread; a system call */
    uint64_t (*entropy)(struct cairn_clock *clock);      /* 64 unpredictable bits (seeded when simulated) */
};

/* The operating system's; a constant object, never freed. */
struct cairn_clock *cairn_clock_system(void);

struct cairn_sim_clock {
    struct cairn_clock clock;
    uint64_t now_ns;         /* monotonic and boot time */
    uint64_t wall_offset_ms; /* the wall clock is this plus now_ns: change it, and the clock has been set */
    uint64_t state;          /* of entropy */
};

/* Time stands still until advanced. */
void cairn_sim_clock_init(struct cairn_sim_clock *sim, uint64_t seed);
void cairn_sim_clock_advance(struct cairn_sim_clock *sim, uint64_t ns);

#endif
