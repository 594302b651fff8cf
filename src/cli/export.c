/* cairn export: the state of a node, or of a data folder that no node is on, as a stream. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/transfer.h"
#include "server/version.h"
#include "transfer/export.h"
#include "transfer/offline.h"

struct options {
    const char *data, *blob;
    uint64_t version;
};

static const struct cairn_flag flags[] = {
    {.name = "data",
     .kind = CAIRN_FLAG_TEXT,
     .value = "DIR",
     .help = "of a data folder that no node is on, instead of the node at CAIRN_URL;\n"
             "the folder is not changed, and may be of the format before this one",
     .offset = offsetof(struct options, data)},
    {.name = "blob",
     .kind = CAIRN_FLAG_TEXT,
     .value = "URL",
     .help = "of what a node has put into a blob store, which is not changed, and may\n"
             "be of the format before this one",
     .offset = offsetof(struct options, blob)},
    {.name = "version",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "the state at a version of the node ('cairn versions'), if its engine\n"
             "keeps such; without it one is taken, and removed in the end",
     .min = 1,
     .max = 999999999,
     .offset = offsetof(struct options, version)},
    CAIRN_FLAG_NAMESPACE,
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
    if (!cairn_output_is_file(path, ret_exit))
        return false;
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
    struct cairn_export_options options = {.moment = cairn_offline_moment(offline),
                                           .disk = cairn_offline_disk(offline),
                                           .program = CAIRN_VERSION,
                                           .space = cairn_namespace()};
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
    struct cairn_offline_options offline_options = {
        .data = options->data, .blob = options->blob, .on_warning = on_warning};
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

/* --- of a node --- */

/* A page of the namespace, or of the node. */
static bool ask(const char *method, bool namespaced, const char *page, struct cairn_answer *answer, int *ret_exit)
{
    struct cairn_ask request = {.method = method};

    if (namespaced)
        cairn_ask_page(&request, page);
    else
        cairn_buf_printf(&request.target, "/v1/%s", page);
    return cairn_ask(&request, answer, ret_exit);
}

struct page {
    int64_t id;
    bool over;
    struct cairn_bytes bytes; /* of the answer */
};

static bool read_page(const struct cairn_answer *answer, struct page *ret_page, int *ret_exit)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer->value));
    struct cairn_value list = cairn_value_read(&r);

    ret_page->id = cairn_value_read(&r).integer;
    ret_page->over = cairn_value_read(&r).integer != 0;
    ret_page->bytes = cairn_value_read(&r).bytes;
    if (list.kind == CAIRN_VALUE_LIST && list.count == 3 && !r.bad)
        return true;
    *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "the node's answer makes no sense: is it of another version?");
    return false;
}

/* The first page has come; what it holds is counted on the way, which shows that it is whole. */
static bool read_pages(struct page *page, struct cairn_answer *answer, struct sink *sink, struct stream_reader *reader,
                       int *ret_exit)
{
    for (int64_t number = 1;; number++) {
        enum stream_state state = STREAM_HAS;
        struct stream_item item;
        struct cairn_err err;
        char target[80];

        if (!sink_write(sink, page->bytes, ret_exit))
            return false;
        stream_reader_add(reader, page->bytes);
        while (state == STREAM_HAS)
            if (stream_next(reader, &state, &item, &err) != CAIRN_OK) {
                *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
                return false;
            }
        sink->progress.objects = reader->counts.of[STREAM_OBJECT];
        if (page->over)
            break;
        snprintf(target, sizeof target, "export/%" PRId64 "/%" PRId64, page->id, number);
        cairn_answer_done(answer);
        if (!ask("POST", true, target, answer, ret_exit) || !read_page(answer, page, ret_exit))
            return false;
    }
    if (reader->over)
        return true;
    *ret_exit = cairn_complain(CAIRN_EXIT_FAILED, "the node ended the stream too early");
    return false;
}

/* True and the first page; *ret_taken is the version that was taken for it, or 0. */
static bool begin(const struct options *options, struct cairn_answer *answer, struct page *page, int64_t *ret_taken,
                  int *ret_exit)
{
    char target[80] = "export";
    struct cairn_reader r;

    *ret_taken = 0;
    if (options->version)
        snprintf(target, sizeof target, "export?version=%" PRIu64, options->version);
    if (!ask("POST", true, target, answer, ret_exit) || !read_page(answer, page, ret_exit))
        return false;
    if (page->id)
        return true;
    cairn_answer_done(answer);
    if (!ask("POST", false, "versions", answer, ret_exit))
        return false;
    r = cairn_reader(cairn_buf_bytes(&answer->value));
    *ret_taken = cairn_value_read(&r).integer;
    snprintf(target, sizeof target, "export?version=%" PRId64, *ret_taken);
    cairn_answer_done(answer);
    return ask("POST", true, target, answer, ret_exit) && read_page(answer, page, ret_exit);
}

static bool export_node(const struct options *options, struct sink *sink, struct stream_counts *ret_counts,
                        int *ret_exit)
{
    struct stream_reader reader = {0};
    struct cairn_answer answer = {0};
    struct page page;
    int64_t taken;
    bool good = begin(options, &answer, &page, &taken, ret_exit) && read_pages(&page, &answer, sink, &reader, ret_exit);

    cairn_progress_clear(&sink->progress);
    cairn_answer_done(&answer);
    if (taken) {
        int status = *ret_exit;
        char target[80];

        snprintf(target, sizeof target, "versions/%" PRId64, taken);
        if (!ask("DELETE", false, target, &answer, &status))
            cairn_complain(0, "version %" PRId64 ", which was taken for this, stays", taken);
        cairn_answer_done(&answer);
    }
    *ret_counts = reader.counts;
    stream_reader_done(&reader);
    return good;
}

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct stream_counts counts;
    struct sink sink;
    int status = CAIRN_EXIT_OK, left;
    bool whole;

    if (!cairn_flags_parse(&cairn_command_export, argc, argv, &options, &left, &status))
        return status;
    if ((options.data != NULL) + (options.blob != NULL) + (options.version != 0) > 1)
        return cairn_complain(CAIRN_EXIT_USAGE, "give one of --data, --blob and --version, or none");
    if (!sink_open(&sink, left ? argv[0] : NULL, &status))
        return status;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is told, like a full disk */
    sink.progress.what = "exported";
    whole = options.data || options.blob ? export_folder(&options, &sink, &counts, &status)
                                         : export_node(&options, &sink, &counts, &status);
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
