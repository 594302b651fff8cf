/* transfer.h - what `cairn export` and `cairn import` tell people.  Layer: cli. */
#ifndef CAIRN_CLI_TRANSFER_H
#define CAIRN_CLI_TRANSFER_H

#include "transfer/stream.h"

/* A line that is written again and again, on standard error if that is a terminal. */
struct cairn_progress {
    const char *what; /* "exported" */
    uint64_t bytes, objects;
    uint64_t shown; /* bytes when it was shown last */
    bool visible;
};

void cairn_progress_show(struct cairn_progress *progress);
void cairn_progress_clear(struct cairn_progress *progress);
/* One line on standard error: how many of what. */
void cairn_transfer_tell(const char *what, const struct stream_counts *counts);

#endif
