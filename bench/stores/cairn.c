/* cairn.c - cairn's state engines, through the interface for embedders.
 *
 * It is told the budget of memory and the bits of the filters; how it divides the budget, how many files of one level
 * there are before they are merged, and all else is by default.
 * With --blob the state lies in `state` and its blob store, a folder, is `blob` beside it; a snapshot's time then has
 * copying what is new to there, durably, in it.
 * None of its engines has a cache of blocks: what is read from files comes through the operating system's page cache,
 * which is in no budget, as with all the others.  Two background threads merge at once, which is fixed. */
#include "cairn/engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stores.h"

enum { PATH_BYTES = 4096 };

struct store {
    struct cairn_state *state;
    struct cairn_state_options how;
    char folder[PATH_BYTES - 64], blob[PATH_BYTES];
    uint64_t version; /* the last snapshot */
};

static void must(enum cairn_code code, const struct cairn_err *err)
{
    if (code != CAIRN_OK)
        die("cairn", err->text);
}

static void cairn_reopen(struct store *store)
{
    struct cairn_err err;

    must(cairn_state_open(store->folder, &store->how, &store->state, &err), &err);
}

static struct store *cairn_open(const struct store_options *options)
{
    static const enum cairn_state_log logs[] = {
        [LOG_OFF] = CAIRN_STATE_LOG_OFF, [LOG_NONE] = CAIRN_STATE_LOG_NONE, [LOG_ALWAYS] = CAIRN_STATE_LOG_ALWAYS};
    struct store *store = calloc(1, sizeof *store);

    store->how = (struct cairn_state_options){.engine = options->kind,
                                              .log = logs[options->log],
                                              .memory_bytes = options->memory_bytes,
                                              .filter_bits = FILTER_BITS};
    snprintf(store->folder, sizeof store->folder, options->blob ? "%s/state" : "%s", options->folder);
    snprintf(store->blob, sizeof store->blob, "%s/blob", options->folder);
    if (options->blob)
        store->how.blob = store->blob;
    cairn_reopen(store);
    return store;
}

static void cairn_close(struct store *store)
{
    cairn_state_close(store->state);
    free(store);
}

static bool cairn_get(struct store *store, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    struct cairn_err err;
    const void *value;
    size_t bytes;
    bool found;

    must(cairn_state_get(store->state, key.data, key.size, &found, &value, &bytes, &err), &err);
    if (found)
        *ret_value = cairn_bytes(value, bytes);
    return found;
}

static void cairn_prefetch(struct store *store, const struct cairn_bytes *keys, size_t count)
{
    struct cairn_state_key all[AHEAD_MAX];

    for (size_t i = 0; i < count; i++)
        all[i] = (struct cairn_state_key){keys[i].data, keys[i].size};
    cairn_state_prefetch(store->state, all, count);
}

static void cairn_put(struct store *store, struct cairn_bytes key, struct cairn_bytes value)
{
    struct cairn_err err;

    must(cairn_state_put(store->state, key.data, key.size, value.data, value.size, &err), &err);
}

static void cairn_write(struct store *store, const struct store_put *puts, size_t count)
{
    struct cairn_state_change *changes = calloc(count, sizeof *changes);
    struct cairn_err err;

    for (size_t i = 0; i < count; i++)
        changes[i] = (struct cairn_state_change){.key = puts[i].key.data,
                                                 .key_bytes = puts[i].key.size,
                                                 .value = puts[i].value.data,
                                                 .value_bytes = puts[i].value.size};
    must(cairn_state_write(store->state, changes, count, NULL, &err), &err);
    free(changes);
}

static uint64_t cairn_submit(struct store *store, struct cairn_bytes key, struct cairn_bytes value)
{
    struct cairn_state_change change = {
        .key = key.data, .key_bytes = key.size, .value = value.data, .value_bytes = value.size};
    struct cairn_err err;
    uint64_t ticket;

    must(cairn_state_write(store->state, &change, 1, &ticket, &err), &err);
    return ticket;
}

static void cairn_await(struct store *store, uint64_t ticket)
{
    struct cairn_err err;

    must(cairn_state_await(store->state, ticket, &err), &err);
}

static void cairn_take(struct store *store)
{
    struct cairn_err err;

    must(cairn_state_snapshot(store->state, NULL, 0, &store->version, &err), &err);
}

static void cairn_begin(struct store *store)
{
    struct cairn_err err;

    must(cairn_state_snapshot_begin(store->state, NULL, 0, &err), &err);
}

static bool cairn_end(struct store *store)
{
    struct cairn_err err;

    if (!cairn_state_snapshot_is_done(store->state))
        return false;
    must(cairn_state_snapshot_end(store->state, &store->version, &err), &err);
    return true;
}

static void cairn_back(struct store *store)
{
    struct cairn_err err;

    must(cairn_state_restore(store->state, store->version, &err), &err);
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *at)
{
    (void)about;
    (void)type;
    (void)at;
    return remove(path);
}

/* Ascending numbers, so the newest is the last. */
static int by_number(const struct dirent **a, const struct dirent **b)
{
    unsigned long long one = strtoull((*a)->d_name, NULL, 10), other = strtoull((*b)->d_name, NULL, 10);

    return one < other ? -1 : one > other;
}

static int is_run(const struct dirent *entry)
{
    return strstr(entry->d_name, ".run") != NULL;
}

static uint64_t bytes_of(int folder, const char *name)
{
    struct stat about;

    if (fstatat(folder, name, &about, 0) != 0)
        die(name, "cannot be looked at");
    return (uint64_t)about.st_size;
}

static double lose_runs(const char *folder, double part)
{
    struct dirent **runs;
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = scandir(folder, &runs, is_run, by_number);
    uint64_t all = 0, lost = 0;

    if (at < 0)
        die(folder, "cannot be opened");
    for (int i = 0; i < count; i++)
        all += bytes_of(at, runs[i]->d_name);
    for (int i = count - 1; i >= 0; i--) {
        if ((double)lost < part * (double)all) {
            lost += bytes_of(at, runs[i]->d_name);
            unlinkat(at, runs[i]->d_name, 0);
        }
        free(runs[i]);
    }
    free(runs);
    close(at);
    return (double)lost / (double)all;
}

static double cairn_lose(struct store *store, double part)
{
    char runs[PATH_BYTES];

    store->state = cairn_state_close(store->state);
    if (part >= 1) {
        nftw(store->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        return 1;
    }
    snprintf(runs, sizeof runs, "%s/runs", store->folder);
    return lose_runs(runs, part);
}

#define OPS(its_name)                                                                                            \
    {                                                                                                            \
        .name = its_name, .open = cairn_open, .close = cairn_close, .get = cairn_get, .put = cairn_put,          \
        .prefetch = cairn_prefetch, .write = cairn_write, .submit = cairn_submit, .await = cairn_await,          \
        .snapshot = cairn_take, .restore = cairn_back, .snapshot_begin = cairn_begin, .snapshot_end = cairn_end, \
        .lose = cairn_lose, .reopen = cairn_reopen                                                               \
    }

const struct store_ops cairn_hybridlog_ops = OPS("cairn:hybridlog");
const struct store_ops cairn_appendlog_ops = OPS("cairn:appendlog");
const struct store_ops cairn_lsm_ops = OPS("cairn:lsm");
const struct store_ops cairn_memory_ops = OPS("cairn:memory");
