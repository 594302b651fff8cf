/* rocksdb.c - RocksDB through its C interface.
 *
 * Of the budget of memory a quarter are memtables (two, each an eighth, as by default one fills while the other is
 * written), and the rest is the cache of uncompressed blocks.  Indexes and filters are kept beside the cache, as by
 * default: in RocksDB's favour, as they are in no budget.
 *
 * It is tuned for what it is asked: optimize_for_point_lookup gives it Bloom filters of 10 bits, also over memtables,
 * and hash indexes in blocks, which doubles its reads.  Levels are sized to the memtables as its tuning guide says
 * (level 1 as large as level 0 may grow, files of one memtable) and from the last one up, which costs the least space
 * (the default of later versions).  Two background jobs.  Reads hand out cached blocks without a copy (get_pinned). All
 * else is its default.
 *
 * Without a log is disableWAL; never synced is sync = 0; always is sync = 1, which syncs once for all threads that
 * wait.
 *
 * A snapshot is an incremental backup: memtables are flushed, and what is new is copied to another folder and synced.
 * As `rocksdb:checkpoint` it is a checkpoint instead: a folder of hard links to what was flushed.  All are kept, as
 * cairn's versions are. */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "stores.h"

enum { MEMTABLE_PART = 8, LEVEL0_FILES = 4, FILE_BYTES_LEAST = 2 << 20, PATH_BYTES = 4096 };

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_backup_engine_t *backups;
    rocksdb_pinnableslice_t *pinned; /* the value that get has handed out */
    char folder[PATH_BYTES - 64];
    bool checkpoints;
    unsigned number; /* of folders that were restored, or checkpoints */
};

static void must(char *error)
{
    if (error)
        die("rocksdb", error);
}

static rocksdb_options_t *options_for(uint64_t memory_bytes)
{
    rocksdb_options_t *options = rocksdb_options_create();
    uint64_t memtable = memory_bytes / MEMTABLE_PART;

    rocksdb_options_optimize_for_point_lookup(options, (memory_bytes - 2 * memtable) >> 20);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(options, memtable);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, LEVEL0_FILES);
    rocksdb_options_set_max_bytes_for_level_base(options, memtable * LEVEL0_FILES);
    rocksdb_options_set_target_file_size_base(options, memtable > FILE_BYTES_LEAST ? memtable : FILE_BYTES_LEAST);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_max_background_jobs(options, BACKGROUND_THREADS);
    return options;
}

static void open_at(struct store *store, const char *path)
{
    char *error = NULL;

    store->db = rocksdb_open(store->options, path, &error);
    must(error);
}

static struct store *rocks_open(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    char path[PATH_BYTES], *error = NULL;

    snprintf(store->folder, sizeof store->folder, "%s", options->folder);
    snprintf(path, sizeof path, "%s/db", store->folder);
    store->options = options_for(options->memory_bytes);
    store->checkpoints = options->kind;
    store->read = rocksdb_readoptions_create();
    store->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(store->write, options->log == LOG_OFF);
    rocksdb_writeoptions_set_sync(store->write, options->log == LOG_ALWAYS);
    open_at(store, path);
    snprintf(path, sizeof path, "%s/backup", store->folder);
    if (!store->checkpoints)
        store->backups = rocksdb_backup_engine_open(store->options, path, &error);
    must(error);
    return store;
}

static void let_go(struct store *store)
{
    if (store->pinned)
        rocksdb_pinnableslice_destroy(store->pinned);
    store->pinned = NULL;
}

static void rocks_close(struct store *store)
{
    let_go(store);
    if (store->backups)
        rocksdb_backup_engine_close(store->backups);
    rocksdb_close(store->db);
    rocksdb_readoptions_destroy(store->read);
    rocksdb_writeoptions_destroy(store->write);
    rocksdb_options_destroy(store->options);
    free(store);
}

static bool rocks_get(struct store *store, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    char *error = NULL;

    let_go(store);
    store->pinned = rocksdb_get_pinned(store->db, store->read, (const char *)key.data, key.size, &error);
    must(error);
    if (!store->pinned)
        return false;
    ret_value->data = (const uint8_t *)rocksdb_pinnableslice_value(store->pinned, &ret_value->size);
    return true;
}

static void rocks_put(struct store *store, struct cairn_bytes key, struct cairn_bytes value)
{
    char *error = NULL;

    rocksdb_put(store->db, store->write, (const char *)key.data, key.size, (const char *)value.data, value.size,
                &error);
    must(error);
}

static void rocks_write(struct store *store, const struct store_put *puts, size_t count)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char *error = NULL;

    for (size_t i = 0; i < count; i++)
        rocksdb_writebatch_put(batch, (const char *)puts[i].key.data, puts[i].key.size,
                               (const char *)puts[i].value.data, puts[i].value.size);
    rocksdb_write(store->db, store->write, batch, &error);
    must(error);
    rocksdb_writebatch_destroy(batch);
}

static void rocks_checkpoint(struct store *store)
{
    char path[PATH_BYTES], *error = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(store->db, &error);

    must(error);
    snprintf(path, sizeof path, "%s/checkpoint%u", store->folder, store->number++);
    rocksdb_checkpoint_create(checkpoint, path, 0, &error); /* 0: always flushes */
    must(error);
    rocksdb_checkpoint_object_destroy(checkpoint);
}

static void rocks_backup(struct store *store)
{
    char *error = NULL;

    rocksdb_backup_engine_create_new_backup_flush(store->backups, store->db, 1, &error);
    must(error);
}

/* Into a new folder, and that opened; only then the old one is closed. */
static void rocks_restore(struct store *store)
{
    rocksdb_restore_options_t *how = rocksdb_restore_options_create();
    rocksdb_t *old = store->db;
    char path[PATH_BYTES], *error = NULL;

    let_go(store);
    snprintf(path, sizeof path, "%s/restored%u", store->folder, store->number++);
    rocksdb_backup_engine_restore_db_from_latest_backup(store->backups, path, path, how, &error);
    must(error);
    rocksdb_restore_options_destroy(how);
    open_at(store, path);
    rocksdb_close(old);
}

const struct store_ops rocksdb_ops = {
    .name = "rocksdb",
    .open = rocks_open,
    .close = rocks_close,
    .get = rocks_get,
    .put = rocks_put,
    .write = rocks_write,
    .snapshot = rocks_backup,
    .restore = rocks_restore,
};

const struct store_ops rocksdb_checkpoint_ops = {
    .name = "rocksdb:checkpoint",
    .open = rocks_open,
    .close = rocks_close,
    .get = rocks_get,
    .put = rocks_put,
    .write = rocks_write,
    .snapshot = rocks_checkpoint,
};
