/* cairn import: a stream of `cairn export` into a new data folder. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/transfer.h"
#include "history/history.h"
#include "log/wal.h"
#include "transfer/import.h"

enum { READ_BYTES = 256 << 10, SHOWN_BYTES = 4 << 20, SHARDS_MOST = 4096, THREADS = 4, MIB_MOST = 1 << 20 };

struct options {
    const char *data, *engine;
    uint64_t shards, engine_memory;
};

static const struct cairn_flag flags[] = {
    {.name = "data",
     .kind = CAIRN_FLAG_TEXT,
     .value = "DIR",
     .help = "the new data folder",
     .offset = offsetof(struct options, data)},
    {.name = "engine",
     .kind = CAIRN_FLAG_TEXT,
     .value = "NAME",
     .help = "where its state lives: memory, hybridlog, appendlog or lsm (memory)",
     .offset = offsetof(struct options, engine)},
    {.name = "shards",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "how many parts it has (16)",
     .min = 1,
     .max = SHARDS_MOST,
     .offset = offsetof(struct options, shards)},
    {.name = "engine-memory",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MIB",
     .help = "memory of the engine on disk while importing (256)",
     .min = 1,
     .max = MIB_MOST,
     .offset = offsetof(struct options, engine_memory)},
    {0},
};

/* --- what export tells, too --- */

static void print_bytes(uint64_t bytes)
{
    fprintf(stderr, "%.1f MiB", (double)bytes / (1 << 20));
}

void cairn_progress_show(struct cairn_progress *progress)
{
    if (progress->bytes - progress->shown < SHOWN_BYTES || !isatty(STDERR_FILENO))
        return;
    progress->shown = progress->bytes;
    progress->visible = true;
    fprintf(stderr, "\r%s: ", progress->what);
    print_bytes(progress->bytes);
    if (progress->objects)
        fprintf(stderr, ", %" PRIu64 " objects", progress->objects);
    fputs("\033[K", stderr);
    fflush(stderr);
}

void cairn_progress_clear(struct cairn_progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
    progress->visible = false;
}

void cairn_transfer_tell(const char *what, const struct stream_counts *counts)
{
    cairn_complain(0,
                   "%s: %" PRIu64 " modules, %" PRIu64 " types, %" PRIu64 " objects with %" PRIu64
                   " values and %" PRIu64 " entries, %" PRIu64 " idempotency keys, %" PRIu64 " messages, %" PRIu64
                   " timers",
                   what, counts->of[STREAM_MODULE], counts->of[STREAM_TYPE], counts->of[STREAM_OBJECT],
                   counts->of[STREAM_VALUE], counts->of[STREAM_ENTRY] + counts->of[STREAM_PAIR], counts->of[STREAM_KEY],
                   counts->of[STREAM_MESSAGE], counts->of[STREAM_TIMER]);
}

/* --- importing --- */

/* All of the stream; a failure of reading is told in err. */
static enum cairn_code feed(struct cairn_import *import, int fd, struct cairn_progress *progress, struct cairn_err *err)
{
    uint8_t *bytes = cairn_alloc(READ_BYTES);
    enum cairn_code code = CAIRN_OK;
    ssize_t n = 1;

    while (code == CAIRN_OK && n != 0) {
        n = read(fd, bytes, READ_BYTES);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        code = n < 0 ? cairn_fail_errno(err, errno, "reading the stream")
                     : cairn_import_add(import, cairn_bytes(bytes, (size_t)n), err);
        progress->bytes += n > 0 ? (uint64_t)n : 0;
        progress->objects = cairn_import_counts(import)->of[STREAM_OBJECT];
        cairn_progress_show(progress);
    }
    cairn_progress_clear(progress);
    free(bytes);
    return code;
}

static int import_to(const struct options *options, struct cairn_disk *disk, struct cairn_tasks *tasks, int fd)
{
    struct cairn_wal_opener wal;
    struct cairn_store_options store = {
        .disk = disk,
        .clock = cairn_clock_system(),
        .tasks = tasks,
        .shards = (uint32_t)options->shards,
        .engine = options->engine,
        .engine_memory_bytes = (size_t)options->engine_memory << 20,
        .log = &wal.opener,
        .tap = cairn_history_tap,
    };
    struct cairn_progress progress = {.what = "imported"};
    struct cairn_import *import;
    struct stream_counts counts;
    struct cairn_err err;
    enum cairn_code code;

    /* Nothing counts before all is durable. */
    cairn_wal_opener_init(&wal, &(struct cairn_wal_options){.sync = CAIRN_SYNC_NONE, .threaded = true});
    code = cairn_import_open(&store, &import, &err);
    if (code != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
    code = feed(import, fd, &progress, &err);
    if (code == CAIRN_OK)
        code = cairn_import_finish(import, &counts, &err);
    else
        cairn_import_abandon(import);
    if (code != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s\n'%s' is not whole, and will not be opened: remove it", err.text,
                              options->data);
    cairn_transfer_tell("imported", &counts);
    return CAIRN_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_disk *disk;
    struct cairn_tasks *tasks;
    struct cairn_err err;
    int status = CAIRN_EXIT_OK, left, fd = STDIN_FILENO;

    if (!cairn_flags_parse(&cairn_command_import, argc, argv, &options, &left, &status))
        return status;
    if (!options.data)
        return cairn_complain(CAIRN_EXIT_USAGE, "name the new data folder with --data DIR");
    if (left && strcmp(argv[0], "-") != 0) {
        fd = open(argv[0], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return cairn_complain(CAIRN_EXIT_FAILED, "opening '%s' failed: %s", argv[0], strerror(errno));
    } else if (isatty(fd)) {
        return cairn_complain(CAIRN_EXIT_USAGE, "name the stream's file, or send it to standard input");
    }
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is told, like a full disk */
    if (cairn_disk_open(options.data, &disk, &err) != CAIRN_OK) {
        status = cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
    } else {
        tasks = cairn_tasks_create(THREADS);
        status = import_to(&options, disk, tasks, fd);
        cairn_tasks_destroy(tasks);
        cairn_disk_close(disk);
    }
    if (fd != STDIN_FILENO)
        close(fd);
    return status;
}

const struct cairn_command cairn_command_import = {
    .name = "import",
    .arguments = "[FILE]",
    .summary = "Makes a new data folder of a stream of 'cairn export'",
    .more = "From FILE, or from standard input (- or nothing).  The stream is checked as it comes.  'cairn serve'\n"
            "refuses the folder until all of it is on stable storage, and so what is left of an import that\n"
            "failed or was killed.",
    .flags = flags,
    .arguments_max = 1,
    .files = true,
    .run = run,
};
