/* lmdb.c - LMDB: a B+ tree in a mapped file.
 *
 * Its cache is the operating system's page cache, so the budget of memory does not bind it: its resident memory is as
 * much of the file as was touched.  It has no log: a commit writes the pages that it has changed (copy on write).
 * Always is its default, a commit that syncs; never synced, and no log, is MDB_NOSYNC.  Read-ahead is off when the data
 * exceed the budget (MDB_NORDAHEAD), as its manual advises.  A get is a read transaction of its own, renewed rather
 * than begun anew, and hands out the mapped page without a copy; a put is a write transaction of its own.  It has no
 * incremental snapshots. */
#include <lmdb.h>
#include <stdlib.h>

#include "stores.h"

enum { MAP_TIMES = 8, MAP_BYTES_LEAST = 1 << 30 };

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *read; /* while it is not reading it holds nothing but its place */
    bool reading;  /* from a get to the next call; longer would keep old pages from being used again */
};

static void must(int code)
{
    if (code != MDB_SUCCESS)
        die("lmdb", mdb_strerror(code));
}

static struct store *lm_open(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    unsigned flags = options->log == LOG_ALWAYS ? 0 : MDB_NOSYNC;
    MDB_txn *txn;

    if (options->data_bytes > options->memory_bytes)
        flags |= MDB_NORDAHEAD;
    must(mdb_env_create(&store->env));
    must(mdb_env_set_mapsize(store->env, options->data_bytes * MAP_TIMES + MAP_BYTES_LEAST));
    must(mdb_env_open(store->env, options->folder, flags, 0644));
    must(mdb_txn_begin(store->env, NULL, 0, &txn));
    must(mdb_dbi_open(txn, NULL, 0, &store->dbi));
    must(mdb_txn_commit(txn));
    must(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->read));
    mdb_txn_reset(store->read);
    return store;
}

static void lm_close(struct store *store)
{
    mdb_txn_abort(store->read);
    mdb_env_close(store->env);
    free(store);
}

static MDB_val val_of(struct cairn_bytes bytes)
{
    return (MDB_val){.mv_size = bytes.size, .mv_data = (void *)(uintptr_t)bytes.data};
}

static void stop_reading(struct store *store)
{
    if (store->reading)
        mdb_txn_reset(store->read);
    store->reading = false;
}

static bool lm_get(struct store *store, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    MDB_val at = val_of(key), value;
    int code;

    stop_reading(store);
    must(mdb_txn_renew(store->read));
    store->reading = true;
    code = mdb_get(store->read, store->dbi, &at, &value);
    if (code == MDB_NOTFOUND)
        return false;
    must(code);
    *ret_value = cairn_bytes(value.mv_data, value.mv_size);
    return true;
}

static void lm_write(struct store *store, const struct store_put *puts, size_t count)
{
    MDB_txn *txn;

    stop_reading(store); /* never when several threads are here, as then nobody reads */
    must(mdb_txn_begin(store->env, NULL, 0, &txn));
    for (size_t i = 0; i < count; i++) {
        MDB_val key = val_of(puts[i].key), value = val_of(puts[i].value);

        must(mdb_put(txn, store->dbi, &key, &value, 0));
    }
    must(mdb_txn_commit(txn));
}

static void lm_put(struct store *store, struct cairn_bytes key, struct cairn_bytes value)
{
    lm_write(store, &(struct store_put){key, value}, 1);
}

const struct store_ops lmdb_ops = {
    .name = "lmdb",
    .open = lm_open,
    .close = lm_close,
    .get = lm_get,
    .put = lm_put,
    .write = lm_write,
};
