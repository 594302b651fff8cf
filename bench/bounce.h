/* bounce.h - how far two cores are from each other: what one line of their caches takes there and back.
 *
 * A virtual machine's cores may be moved about by their host: on one machine it took 85 ns in some minutes and 1000 in
 * others, so a figure of threads that work together means little without it. */
#ifndef CAIRN_BENCH_BOUNCE_H
#define CAIRN_BENCH_BOUNCE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/bytes.h"

enum { BOUNCES = 20000 };

struct bounce {
    atomic_int turn __attribute__((aligned(CAIRN_LINE_BYTES)));
    int cpus[2] __attribute__((aligned(CAIRN_LINE_BYTES)));
};

static void bounce_side(struct bounce *bounce, int side)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(bounce->cpus[side], &set);
    sched_setaffinity(0, sizeof set, &set);
    for (int i = 0; i < BOUNCES; i++) {
        while (atomic_load_explicit(&bounce->turn, memory_order_acquire) != side)
            ;
        atomic_store_explicit(&bounce->turn, !side, memory_order_release);
    }
}

static void *bounce_other(void *bounce)
{
    bounce_side(bounce, 1);
    return NULL;
}

/* Nanoseconds; 0: this process may use one core only. */
static inline double bounce_ns(void)
{
    struct bounce bounce = {.cpus = {-1, -1}};
    struct timespec start, end;
    pthread_t other;
    cpu_set_t mine;

    if (sched_getaffinity(0, sizeof mine, &mine) != 0)
        return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && bounce.cpus[1] < 0; cpu++)
        if (CPU_ISSET(cpu, &mine))
            bounce.cpus[bounce.cpus[0] >= 0] = cpu;
    if (bounce.cpus[1] < 0 || pthread_create(&other, NULL, bounce_other, &bounce) != 0)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    bounce_side(&bounce, 0);
    pthread_join(other, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    sched_setaffinity(0, sizeof mine, &mine);
    return ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / BOUNCES;
}

#endif
