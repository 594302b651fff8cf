/* levels_runs.c - the list of a store's runs, and how much memory and how many open files they take. */
#include "engine/levels_internal.h"

/* The oldest are the largest, and most keys are in them: their filters cost most and tell least. */
void levels_bound_run_memory(struct levels *levels)
{
    size_t most = levels->options.run_memory_bytes_max, bytes = 0;

    for (size_t i = 0; i < levels->run_count; i++)
        bytes += run_memory_bytes(levels->runs[i]);
    for (size_t i = levels->run_count; most && bytes > most && i-- > 0;) {
        bytes -= run_filter_bytes(levels->runs[i]);
        run_drop_filter(levels->runs[i]);
    }
}

/* When there are too many open files all but one are closed: a run that is read again is opened again. */
void levels_bound_open_files(struct levels *levels, const struct run *but)
{
    size_t count = 0;

    if (!levels->options.open_files_max || levels->run_count <= levels->options.open_files_max)
        return;
    for (size_t i = 0; i < levels->run_count; i++)
        count += run_is_open(levels->runs[i]);
    for (size_t i = 0; count > levels->options.open_files_max && i < levels->run_count; i++)
        if (levels->runs[i] != but)
            run_rest(levels->runs[i]);
}

void levels_insert_run(struct levels *levels, size_t at, struct run *run)
{
    if (levels->run_count == levels->run_capacity) {
        levels->run_capacity = levels->run_capacity ? levels->run_capacity * 2 : 16;
        levels->runs = cairn_realloc(levels->runs, levels->run_capacity * sizeof *levels->runs);
    }
    memmove(&levels->runs[at + 1], &levels->runs[at], (levels->run_count++ - at) * sizeof *levels->runs);
    levels->runs[at] = run;
    levels_bound_run_memory(levels);
    levels_bound_open_files(levels, run);
}

void levels_close_runs(struct levels *levels, size_t at, size_t count)
{
    if (!count)
        return; /* there may be no list yet */
    for (size_t i = at; i < at + count; i++)
        run_close(levels->runs[i]);
    levels->run_count -= count;
    memmove(&levels->runs[at], &levels->runs[at + count], (levels->run_count - at) * sizeof *levels->runs);
}
