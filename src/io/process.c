#include "io/process.h"

#include <signal.h>
#include <dirent.h>
#include <link.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t count_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

static uint64_t count_threads(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    uint64_t threads = 0;

    if (!status)
        return 0;
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "Threads: %" SCNu64, &threads) == 1)
            break;
    fclose(status);
    return threads;
}

static void read_sizes(struct cairn_process *process)
{
    uint64_t pages_virtual = 0, pages_resident = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *statm = fopen("/proc/self/statm", "re");

    if (!statm)
        return;
    if (fscanf(statm, "%" SCNu64 " %" SCNu64, &pages_virtual, &pages_resident) == 2) {
        process->virtual_bytes = pages_virtual * page;
        process->resident_bytes = pages_resident * page;
    }
    fclose(statm);
}

uint64_t cairn_process_resident(void)
{
    struct cairn_process process = {0};

    read_sizes(&process);
    return process.resident_bytes;
}

void cairn_process_read(struct cairn_process *ret_process)
{
    struct rusage usage;
    struct rlimit limit;

    memset(ret_process, 0, sizeof *ret_process);
    read_sizes(ret_process);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        ret_process->user_seconds = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
        ret_process->system_seconds = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        ret_process->open_files_max = limit.rlim_cur;
    ret_process->open_files = count_open_files();
    ret_process->threads = count_threads();
}

void cairn_ignore_signals(void)
{
    static const int ignored[] = {SIGHUP,  SIGPIPE, SIGUSR1,   SIGUSR2, SIGXFSZ,
                                  SIGALRM, SIGPROF, SIGVTALRM, SIGIO,   SIGSTKFLT};

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        signal(number, SIG_IGN);
}

/* Segments that nothing is written to, relocations neither: their pages are the file's. */
static int shed_object(struct dl_phdr_info *object, size_t size, void *context)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)context;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t from = (object->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);

        if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W) && from < end)
            (void)madvise((void *)from, end - from, MADV_DONTNEED); /* a hint: where it fails nothing is lost */
    }
    return 0;
}

void cairn_process_shed_program(void)
{
    dl_iterate_phdr(shed_object, NULL);
    malloc_trim(0);
}

void cairn_process_roomy_heaps(void)
{
    enum { HEAP_BYTES = 64 << 20, MAPPED_BYTES = 4 << 20 };

    mallopt(M_TOP_PAD, HEAP_BYTES);          /* glibc's heap of a thread has as much, and is made usable as a whole */
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES); /* else it stays at 128 KiB from now on, and is not adapted any more */
}
