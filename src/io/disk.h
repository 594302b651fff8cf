/* disk.h - files, as a vtable with two twins: the operating system's and a simulated one.
 *
 * Everything that cairn keeps goes through a struct cairn_disk, so that tests can fail
 * call n, drop or tear what was not synced, and flip any byte.  Paths are relative to
 * the disk's root folder, '/' between parts, at most CAIRN_PATH_BYTES with the NUL.
 * Threads: any thread may call; one file handle is used by one thread at a time, except
 * that read_at may run beside anything.
 * Layer: io; uses base. */
#ifndef CAIRN_IO_DISK_H
#define CAIRN_IO_DISK_H

#include "base/bytes.h"
#include "base/err.h"

enum { CAIRN_PATH_BYTES = 512 };

struct cairn_disk;
struct cairn_file;

enum cairn_open_flags {
    CAIRN_OPEN_READ = 0,
    CAIRN_OPEN_WRITE = 1,  /* read and write */
    CAIRN_OPEN_CREATE = 2, /* with WRITE: create; must not exist */
};

struct cairn_disk_ops {
    /* All may block.  Outputs are set only on success. */

    /* CAIRN_ENOTFOUND when there is no such file (or folder, to create in); CAIRN_ECONFLICT when
     * one to be created exists.  Close every file before its disk. */
    enum cairn_code (*open)(struct cairn_disk *disk, const char *path, unsigned flags, struct cairn_file **ret_file,
                            struct cairn_err *err);
    /* Reads exactly `size` bytes; a short file is CAIRN_EIO ("short read").  A read error is
     * never to be taken for absent data. */
    enum cairn_code (*read_at)(struct cairn_file *file, uint64_t offset, void *to, size_t size, struct cairn_err *err);
    /* Writes all or fails; after a failure any part may have been written.
     * CAIRN_EFULL when there is no room. */
    enum cairn_code (*write_at)(struct cairn_file *file, uint64_t offset, const void *from, size_t size,
                                struct cairn_err *err);
    /* Makes every earlier successful write to the file durable.  A failed sync is final:
     * what was written may be gone though reads still show it; never sync that handle again. */
    enum cairn_code (*sync)(struct cairn_file *file, struct cairn_err *err);
    enum cairn_code (*size)(struct cairn_file *file, uint64_t *ret_bytes, struct cairn_err *err);
    /* The file's first `bytes` bytes, which were all written before, in memory until unmap or close: what is stored
     * there is written, as by write_at, at once and without a system call.  Should the device fail under it the process
     * ends (SIGBUS).  `at_hand`: all pages are made ready to be written here, which the first store to each of them
     * would do else, in some microseconds; then all of them are to be written out, also if nothing is stored there.
     * False: not on this disk, e.g. as its file system would need new room for old bytes.  Both may be NULL. */
    bool (*map)(struct cairn_file *file, size_t bytes, bool at_hand, uint8_t **ret_memory);
    void (*unmap)(struct cairn_file *file);
    void (*close)(struct cairn_file *file); /* without syncing; accepts NULL */

    /* Names: durable only after sync_dir of the folder that holds them. */
    enum cairn_code (*rename)(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err);
    /* The same, but CAIRN_ECONFLICT, and nothing is changed, if `to` is there: of several at once one succeeds. */
    enum cairn_code (*rename_new)(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err);
    enum cairn_code (*remove)(struct cairn_disk *disk, const char *path, struct cairn_err *err);
    enum cairn_code (*make_dir)(struct cairn_disk *disk, const char *path, struct cairn_err *err); /* exists: OK */
    enum cairn_code (*sync_dir)(struct cairn_disk *disk, const char *path, struct cairn_err *err); /* "" is the root */
    /* Calls visit for every plain file in the folder, in name order; visit may change the folder. */
    enum cairn_code (*list)(struct cairn_disk *disk, const char *path, void (*visit)(void *context, const char *name),
                            void *context, struct cairn_err *err);
    /* How large a file is, and how long ago it was last written, by the clock on the wall. */
    enum cairn_code (*age)(struct cairn_disk *disk, const char *path, uint64_t *ret_bytes, uint64_t *ret_age_ms,
                           struct cairn_err *err);
    /* Takes the exclusive lock of the whole disk, kept until close or the process's end (a file
     * named "lock" in the root).  CAIRN_ELOCKED when another process, or another handle of this
     * one, has it. */
    enum cairn_code (*lock)(struct cairn_disk *disk, struct cairn_err *err);
    struct cairn_disk *(*close_disk)(struct cairn_disk *disk); /* returns NULL */
};

/* The base of both twins. */
struct cairn_disk {
    const struct cairn_disk_ops *ops;
    char *root; /* for messages */
};

struct cairn_file {
    struct cairn_disk *disk;
    char *path; /* for messages */
};

/* An absolute path without links, "." and "..", to be freed; NULL: it is not there. */
char *cairn_path_real(const char *path);
/* The operating system's files below `root`, which is created if it is missing. */
enum cairn_code cairn_disk_open(const char *root, struct cairn_disk **ret_disk, struct cairn_err *err);
struct cairn_disk *cairn_disk_close(struct cairn_disk *disk);
/* A folder of another disk, made if it is missing (durably; the one above it is there), as a disk of its own.  Its lock
 * is the whole disk's; it has no map.  Closed before the parent. */
enum cairn_code cairn_disk_folder(struct cairn_disk *parent, const char *path, struct cairn_disk **ret_disk,
                                  struct cairn_err *err);

/* `below` as it is, and what is written goes to `above`, and is not synced: for reading what only opening changes.  It
 * has no map; its lock is below's.  Both are borrowed and closed after it. */
struct cairn_disk *cairn_disk_over(struct cairn_disk *below, struct cairn_disk *above);

/* Helpers over the vtable. */

/* Reads a whole file of at most max_bytes (CAIRN_ELIMIT beyond) behind what `to` holds. */
enum cairn_code cairn_disk_read_file(struct cairn_disk *disk, const char *path, size_t max_bytes, struct cairn_buf *to,
                                     struct cairn_err *err);
/* Writes path atomically: a temporary file "<path>.tmp", sync, rename, sync of the folder. */
enum cairn_code cairn_disk_replace_file(struct cairn_disk *disk, const char *path, struct cairn_bytes bytes,
                                        struct cairn_err *err);

/* --- the simulated twin (disk_sim.c) --------------------------------------------------------- */

/* What a crash does to bytes written and not synced, and to names whose folder was not. */
enum cairn_sim_crash {
    CAIRN_SIM_DROP, /* all of it is gone */
    CAIRN_SIM_KEEP, /* all of it got through */
    CAIRN_SIM_TEAR, /* each 512-byte sector of each write, and each name, independently by the seed */
};

/* An empty simulated disk; same seed and same calls, same behaviour. */
struct cairn_disk *cairn_sim_disk_create(uint64_t seed);
/* Call number n from now (0: the next) among open/read/write/sync/rename/... fails once with
 * `code`; negative: none.  A failed write writes a seed-drawn prefix.  A failed sync drops
 * what was unsynced, as kernels may. */
void cairn_sim_disk_fail_call(struct cairn_disk *disk, int64_t n, enum cairn_code code);
/* From call n on every call fails with CAIRN_EIO until crash() (power is gone; a write that it
 * meets may have got through in part); negative: never. */
void cairn_sim_disk_halt_at(struct cairn_disk *disk, int64_t n);
/* Calls made so far, for sweeps; true if the planned failure has fired. */
uint64_t cairn_sim_disk_calls(struct cairn_disk *disk);
bool cairn_sim_disk_fired(struct cairn_disk *disk);
/* Bytes that may still be claimed by writes beyond file ends (removing a file gives its own
 * back); SIZE_MAX is no bound. */
void cairn_sim_disk_set_room(struct cairn_disk *disk, size_t bytes);
/* Power cut and power back: open handles become dead (every call on them fails), names not
 * synced may be lost, the lock is free. */
void cairn_sim_disk_crash(struct cairn_disk *disk, enum cairn_sim_crash how);
/* For flip sweeps: a file's stored bytes, to change in place until its next write; NULL if there
 * is none.  What was unsynced in it counts as synced. */
uint8_t *cairn_sim_disk_bytes(struct cairn_disk *disk, const char *path, size_t *ret_size);
/* A deep copy with nothing unsynced, for trying many faults from one state. */
struct cairn_disk *cairn_sim_disk_clone(struct cairn_disk *disk);

#endif
