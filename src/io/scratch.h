/* scratch.h - a folder for what is needed for a while, below TMPDIR (or /tmp), as a disk.
 * Threads: the disk's.  Layer: io. */
#ifndef CAIRN_IO_SCRATCH_H
#define CAIRN_IO_SCRATCH_H

#include "io/disk.h"

enum cairn_code cairn_scratch_open(struct cairn_disk **ret_disk, struct cairn_err *err);
/* Removes the folder and all that is in it.  Returns NULL; accepts NULL. */
struct cairn_disk *cairn_scratch_close(struct cairn_disk *disk);

#endif
