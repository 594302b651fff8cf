/* process.h - what the operating system tells about this process, and signals that must not end it.
 * Threads: any.  Layer: io. */
#ifndef CAIRN_IO_PROCESS_H
#define CAIRN_IO_PROCESS_H

#include <stdint.h>

struct cairn_process {
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_files, open_files_max;
    uint64_t threads;
    double user_seconds, system_seconds;
};

/* What cannot be read is 0. */
void cairn_process_read(struct cairn_process *ret_process);

/* Resident bytes alone, which costs little. */
uint64_t cairn_process_resident(void);

/* A start needs many pages that are never needed again.  Those of the program and its libraries that are only read no
 * longer count as this process's, what is needed comes back from the page cache with a minor fault; and malloc gives
 * back what nothing is on.  For a moment in which nothing is urgent: it holds up all threads for a millisecond. */
void cairn_process_shed_program(void);

/* From here on what threads allocate from grows in steps of some tens of megabytes of address space, not of memory,
 * and up to as much of what is freed stays with the process: growing by a page, as malloc does in all threads but the
 * first, is a system call that holds up all of them.  Before other threads run. */
void cairn_process_roomy_heaps(void);

/* From here on a signal ends the process only if that is its purpose (SIGTERM, SIGINT, SIGQUIT, SIGPWR, SIGXCPU,
 * SIGKILL) or if it tells of a fault (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS).  A write to a pipe
 * that no process reads, or beyond the size that a file may have, fails instead. */
void cairn_ignore_signals(void);

#endif
