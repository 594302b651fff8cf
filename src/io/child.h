/* child.h - another program run to its end: given bytes, asked for bytes, bounded in time, memory and what it says.
 *
 * The child gets its input on descriptor 0, and 1 and 2 are read; it has no other descriptor, an environment of
 * nothing, a process group of its own, and dies with the thread that started it.
 * Threads: any; it blocks.  Layer: io. */
#ifndef CAIRN_IO_CHILD_H
#define CAIRN_IO_CHILD_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/err.h"

struct cairn_child_options {
    const char *program, *argument; /* its path, and the one argument */
    struct cairn_bytes head, input; /* one behind the other */
    uint64_t output_bytes_max;
    uint64_t wall_ms_max;
    const atomic_bool *stop; /* becomes true: the child is killed */
};

struct cairn_child_outcome {
    struct cairn_buf output; /* to be freed with cairn_buf_done */
    char errors[512];        /* the beginning of what it wrote to descriptor 2; NUL-terminated */
    int exit_status;         /* -1: it was ended by a signal */
    int signal;              /* 0: it was not */
    bool timed_out, stopped; /* it was killed for that */
    bool too_much;           /* or for its output */
};

/* CAIRN_OK: it ran and has ended, however. */
enum cairn_code cairn_child_run(const struct cairn_child_options *options, struct cairn_child_outcome *ret_outcome,
                                struct cairn_err *err);

/* For the child, first thing: address space and CPU time from now on (0: no limit), less of the processor than others
 * get, no core file, and its end with its parent's. */
void cairn_child_limit(uint64_t memory_bytes, uint64_t cpu_seconds);

#endif
