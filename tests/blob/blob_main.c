/* blob_main.c - a blob store on the command line, for s3_test.py.
 *
 *   blob URL put NAME FILE            blob URL get NAME [MAX]       (to standard output)
 *   blob URL put_file NAME FILE       blob URL get_file NAME FILE   (both say how far they are on standard error)
 *   blob URL create NAME TEXT         blob URL remove NAME
 *   blob URL list FOLDER              NAME BYTES AGE_MS, a line each
 *   blob URL fill FOLDER COUNT        puts that many objects of one byte
 *   blob URL threads FOLDER COUNT     eight threads, each puts, gets, creates, lists and removes that many objects
 *
 * A failure is "code: text" on standard error, and status 1.  CAIRN_BLOB_S3=tries=2,pause_ms=10 and so on: other
 * options for S3 than the defaults (struct blob_s3_options). */
#include <inttypes.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob/blob_internal.h"

enum { GET_MAX = 1 << 30, THREADS = 8 };

static struct cairn_blob *blob;
static struct cairn_err err;

static void check(enum cairn_code code)
{
    if (code == CAIRN_OK)
        return;
    fprintf(stderr, "%s: %s\n", cairn_code_name(code), err.text);
    exit(1);
}

static void set_option(struct blob_s3_options *options, const char *name, uint64_t value)
{
    const struct {
        const char *name;
        unsigned *to;
        uint64_t *to_bytes;
    } known[] = {
        {"tries", &options->tries, NULL},
        {"pause_ms", &options->pause_ms, NULL},
        {"pause_ms_max", &options->pause_ms_max, NULL},
        {"total_ms", &options->total_ms, NULL},
        {"connect_ms", &options->connect_ms, NULL},
        {"stall_ms", &options->stall_ms, NULL},
        {"single_bytes", NULL, &options->single_bytes},
        {"part_bytes", NULL, &options->part_bytes},
        {"range_bytes", NULL, &options->range_bytes},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        if (known[i].to)
            *known[i].to = (unsigned)value;
        else
            *known[i].to_bytes = value;
        return;
    }
    fprintf(stderr, "CAIRN_BLOB_S3: there is no '%s'\n", name);
    exit(2);
}

static void open_blob(const char *url)
{
    const char *given = getenv("CAIRN_BLOB_S3");
    struct blob_s3_options options = {0};
    char *copy, *at, *word;

    if (strncmp(url, "s3://", 5) != 0 || !given) {
        check(cairn_blob_open(url, &blob, &err));
        return;
    }
    at = copy = strdup(given);
    while ((word = strsep(&at, ","))) {
        char *name = strsep(&word, "=");

        if (word)
            set_option(&options, name, strtoull(word, NULL, 10));
    }
    free(copy);
    check(blob_s3_open_with(url, &options, &blob, &err));
}

static void moved(void *context, uint64_t bytes, uint64_t total)
{
    uint64_t *last = context;

    if (bytes <= *last || bytes > total) {
        fprintf(stderr, "progress goes from %" PRIu64 " to %" PRIu64 " of %" PRIu64 "\n", *last, bytes, total);
        exit(1);
    }
    *last = bytes;
    fprintf(stderr, "moved %" PRIu64 " of %" PRIu64 "\n", bytes, total);
}

static void file(const char *what, const char *name, const char *path)
{
    char *copy = strdup(path), *other = strdup(path);
    const char *base = basename(other);
    struct cairn_disk *disk;
    uint64_t last = 0;
    struct cairn_blob_progress progress = {moved, &last};

    check(cairn_disk_open(dirname(copy), &disk, &err));
    if (strcmp(what, "put_file") == 0) {
        check(blob->ops->put_file(blob, name, disk, base, &progress, &err));
    } else if (strcmp(what, "get_file") == 0) {
        check(blob->ops->get_file(blob, name, disk, base, &progress, &err));
    } else {
        struct cairn_buf bytes = {0};

        check(cairn_disk_read_file(disk, base, GET_MAX, &bytes, &err));
        check(blob->ops->put(blob, name, cairn_buf_bytes(&bytes), &err));
        cairn_buf_done(&bytes);
    }
    cairn_disk_close(disk);
    free(copy);
    free(other);
}

static void get(const char *name, size_t max_bytes)
{
    struct cairn_buf bytes = {0};

    cairn_buf_str(&bytes, "before"); /* get adds behind what is there */
    check(blob->ops->get(blob, name, max_bytes, &bytes, &err));
    if (memcmp(bytes.data, "before", 6) != 0) {
        fprintf(stderr, "get wrote over what was there before\n");
        exit(1);
    }
    fwrite(bytes.data + 6, 1, bytes.size - 6, stdout);
    cairn_buf_done(&bytes);
}

static void show(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    (void)context;
    printf("%s %" PRIu64 " %" PRIu64 "\n", name, bytes, age_ms);
}

static void fill(const char *folder, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[CAIRN_BLOB_NAME_BYTES];

        snprintf(name, sizeof name, "%s/%06u", folder, i);
        check(blob->ops->put(blob, name, cairn_bytes("x", 1), &err));
    }
}

struct worker {
    pthread_t thread;
    const char *folder;
    unsigned number, count;
    enum cairn_code code;
    struct cairn_err err;
};

static void count_one(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    unsigned *found = context;

    (void)name, (void)bytes, (void)age_ms;
    ++*found;
}

static void *work(void *context)
{
    struct worker *worker = context;

    for (unsigned i = 0; worker->code == CAIRN_OK && i < worker->count; i++) {
        char name[CAIRN_BLOB_NAME_BYTES], text[2 * CAIRN_BLOB_NAME_BYTES], folder[CAIRN_BLOB_NAME_BYTES];
        struct cairn_buf bytes = {0};
        unsigned found = 0;
        enum cairn_code again = CAIRN_OK;

        snprintf(folder, sizeof folder, "%.200s/%u", worker->folder, worker->number);
        snprintf(name, sizeof name, "%.220s/%u", folder, i);
        snprintf(text, sizeof text, "%s is its name", name);
        worker->code = blob->ops->create(blob, name, cairn_str(text), &worker->err);
        if (worker->code == CAIRN_OK)
            again = blob->ops->create(blob, name, cairn_str("another"), &worker->err);
        if (worker->code == CAIRN_OK && again != CAIRN_ECONFLICT)
            worker->code = cairn_fail(&worker->err, CAIRN_EIO, "created twice");
        if (worker->code == CAIRN_OK)
            worker->code = blob->ops->get(blob, name, sizeof text, &bytes, &worker->err);
        if (worker->code == CAIRN_OK && !cairn_bytes_equal(cairn_buf_bytes(&bytes), cairn_str(text)))
            worker->code = cairn_fail(&worker->err, CAIRN_EIO, "got what was not put");
        if (worker->code == CAIRN_OK)
            worker->code = blob->ops->list(blob, folder, count_one, &found, &worker->err);
        if (worker->code == CAIRN_OK && found != 1)
            worker->code = cairn_fail(&worker->err, CAIRN_EIO, "listed %u objects", found);
        if (worker->code == CAIRN_OK)
            worker->code = blob->ops->remove(blob, name, &worker->err);
        cairn_buf_done(&bytes);
    }
    return NULL;
}

static void threads(const char *folder, unsigned count)
{
    static struct worker workers[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.folder = folder, .number = i, .count = count};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        err = workers[i].err;
        check(workers[i].code);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 3 ? argv[2] : "", *name = argc > 3 ? argv[3] : "";
    bool with_file = strcmp(what, "put") == 0 || strcmp(what, "put_file") == 0 || strcmp(what, "get_file") == 0;

    if (argc < 4 || argc > 5)
        return 2;
    open_blob(argv[1]);
    if (with_file && argc == 5)
        file(what, name, argv[4]);
    else if (strcmp(what, "get") == 0)
        get(name, argc == 5 ? (size_t)atoll(argv[4]) : GET_MAX);
    else if (strcmp(what, "create") == 0 && argc == 5)
        check(blob->ops->create(blob, name, cairn_str(argv[4]), &err));
    else if (strcmp(what, "remove") == 0)
        check(blob->ops->remove(blob, name, &err));
    else if (strcmp(what, "list") == 0)
        check(blob->ops->list(blob, name, show, NULL, &err));
    else if (strcmp(what, "fill") == 0 && argc == 5)
        fill(name, (unsigned)atoi(argv[4]));
    else if (strcmp(what, "threads") == 0 && argc == 5)
        threads(name, (unsigned)atoi(argv[4]));
    else
        return 2;
    cairn_blob_close(blob);
    return 0;
}
