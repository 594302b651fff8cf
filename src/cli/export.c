/* cairn export: the state of a node, or of a data folder that no node is on, as a stream. */
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
#include "server/version.h"
#include "transfer/export.h"
#include "transfer/offline.h"

struct options {
    const char *data;
};

static const struct cairn_flag flags[] = {
    {.name = "data",
     .kind = CAIRN_FLAG_TEXT,
     .value = "DIR",
     .help = "of a data folder that no node is on, instead of the node at CAIRN_URL;\n"
             "the folder is not changed, and may be of the format before this one",
     .offset = offsetof(struct options, data)},
    {0},
};

/* --- where it goes: to stdout, or to FILE.part, which becomes FILE when it is whole --- */

struct sink {
    const char *path; /* NULL: stdout */
    char *part;
    int fd;
    struct cairn_progress progress;
};

static bool sink_open(struct sink *sink, const char *path, int *ret_exit)
{
    *sink = (struct sink){.fd = STDOUT_FILENO};
    if (!path || strcmp(path, "-") == 0) {
        if (!isatty(STDOUT_FILENO))
            return true;
        *ret_exit = cairn_complain(CAIRN_EXIT_USAGE, "a stream is nothing for a terminal: name a file, or send the "
                                                     "output to one");
        return false;
    }
    sink->path = path;
    sink->part = cairn_alloc(strlen(path) + sizeof ".part");
    sprintf(sink->part, "%s.part", path);
    sink->fd = open(sink->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (sink->fd >= 0)
        return true;
    *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "making '%s' failed: %s", sink->part, strerror(errno));
    free(sink->part);
    return false;
}

static bool sink_write(struct sink *sink, struct cairn_bytes bytes, int *ret_exit)
{
    while (bytes.size > 0) {
        ssize_t n = write(sink->fd, bytes.data, bytes.size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            cairn_progress_clear(&sink->progress);
            *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "writing %s%s%s failed: %s", sink->path ? "'" : "",
                                       sink->path ? sink->path : "the stream", sink->path ? "'" : "", strerror(errno));
            return false;
        }
        bytes.data += n;
        bytes.size -= (size_t)n;
        sink->progress.bytes += (uint64_t)n;
    }
    cairn_progress_show(&sink->progress);
    return true;
}

/* With all of it the file gets its name; else nothing of it stays. */
static bool sink_close(struct sink *sink, bool whole, int *ret_exit)
{
    cairn_progress_clear(&sink->progress);
    if (!sink->path)
        return whole;
    if (whole && (fsync(sink->fd) != 0 || rename(sink->part, sink->path) != 0)) {
        *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "writing '%s' failed: %s", sink->path, strerror(errno));
        whole = false;
    }
    close(sink->fd);
    if (!whole)
        unlink(sink->part);
    free(sink->part);
    return whole;
}

/* --- of a folder --- */

static void on_warning(void *context, const char *text)
{
    (void)context;
    cairn_complain(0, "warning: %s", text);
}

static bool export_view(struct cairn_offline *offline, struct sink *sink, struct stream_counts *ret_counts,
                        int *ret_exit)
{
    struct cairn_export_options options = {
        .view = cairn_offline_view(offline), .disk = cairn_offline_disk(offline), .program = CAIRN_VERSION};
    struct cairn_export *export = cairn_export_open(&options);
    struct cairn_buf bytes = {0};
    bool good = true, over = false;

    while (good && !over) {
        struct cairn_err err;

        bytes.size = 0;
        good = cairn_export_next(export, &bytes, &over, &err) == CAIRN_OK;
        if (!good) {
            cairn_progress_clear(&sink->progress);
            *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
        }
        sink->progress.objects = cairn_export_counts(export)->of[STREAM_OBJECT];
        good = good && sink_write(sink, cairn_buf_bytes(&bytes), ret_exit);
    }
    *ret_counts = *cairn_export_counts(export);
    cairn_buf_done(&bytes);
    cairn_export_close(export);
    return good;
}

static bool export_folder(const struct options *options, struct sink *sink, struct stream_counts *ret_counts,
                          int *ret_exit)
{
    struct cairn_offline_options offline_options = {.data = options->data, .on_warning = on_warning};
    struct cairn_offline *offline;
    struct cairn_err err;
    bool good;

    if (cairn_offline_open(&offline_options, &offline, &err) != CAIRN_OK) {
        *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
        return false;
    }
    good = export_view(offline, sink, ret_counts, ret_exit);
    cairn_offline_close(offline);
    return good;
}

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct stream_counts counts;
    struct sink sink;
    int status = CAIRN_EXIT_OK, left;
    bool whole;

    if (!cairn_flags_parse(&cairn_command_export, argc, argv, &options, &left, &status) ||
        !sink_open(&sink, left ? argv[0] : NULL, &status))
        return status;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is told, like a full disk */
    sink.progress.what = "exported";
    whole = export_folder(&options, &sink, &counts, &status);
    if (sink_close(&sink, whole, &status))
        cairn_transfer_tell("exported", &counts);
    return status;
}

const struct cairn_command cairn_command_export = {
    .name = "export",
    .arguments = "[FILE]",
    .summary = "Writes all state as a stream, for 'cairn import'",
    .more = "Modules with their versions, types, objects with all that is in them, and idempotency keys with their\n"
            "outcomes, as they are at one moment.  To FILE, or to standard output (- or nothing).  The stream can be\n"
            "imported with another engine or number of shards, and by newer programs.",
    .flags = flags,
    .arguments_max = 1,
    .files = true,
    .run = run,
};
