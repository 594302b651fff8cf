/* leveldb.c - LevelDB through its C interface.
 *
 * Of the budget of memory a quarter are memtables (two, each an eighth), and the rest is the cache of uncompressed
 * blocks.  Indexes and filters are kept beside the cache.  One background thread, which is fixed.  Its log cannot be
 * switched off: without one it has what never synced is (sync = 0).  It has no snapshots that are copies. All else is
 * its default. */
#include <leveldb/c.h>
#include <stdlib.h>

#include "stores.h"

enum { MEMTABLE_PART = 8 };

struct store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    char *value; /* that get has handed out */
};

static void must(char *error)
{
    if (error)
        die("leveldb", error);
}

static struct store *level_open(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    uint64_t memtable = options->memory_bytes / MEMTABLE_PART;
    char *error = NULL;

    store->options = leveldb_options_create();
    store->cache = leveldb_cache_create_lru(options->memory_bytes - 2 * memtable);
    store->filter = leveldb_filterpolicy_create_bloom(FILTER_BITS);
    store->read = leveldb_readoptions_create();
    store->write = leveldb_writeoptions_create();
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_compression(store->options, leveldb_no_compression);
    leveldb_options_set_write_buffer_size(store->options, memtable);
    leveldb_options_set_cache(store->options, store->cache);
    leveldb_options_set_filter_policy(store->options, store->filter);
    leveldb_writeoptions_set_sync(store->write, options->log == LOG_ALWAYS);
    store->db = leveldb_open(store->options, options->folder, &error);
    must(error);
    return store;
}

static void level_close(struct store *store)
{
    leveldb_free(store->value);
    leveldb_close(store->db);
    leveldb_options_destroy(store->options);
    leveldb_cache_destroy(store->cache);
    leveldb_filterpolicy_destroy(store->filter);
    leveldb_readoptions_destroy(store->read);
    leveldb_writeoptions_destroy(store->write);
    free(store);
}

static bool level_get(struct store *store, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    char *error = NULL;

    leveldb_free(store->value);
    store->value = leveldb_get(store->db, store->read, (const char *)key.data, key.size, &ret_value->size, &error);
    must(error);
    ret_value->data = (const uint8_t *)store->value;
    return store->value;
}

static void level_put(struct store *store, struct cairn_bytes key, struct cairn_bytes value)
{
    char *error = NULL;

    leveldb_put(store->db, store->write, (const char *)key.data, key.size, (const char *)value.data, value.size,
                &error);
    must(error);
}

static void level_write(struct store *store, const struct store_put *puts, size_t count)
{
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    char *error = NULL;

    for (size_t i = 0; i < count; i++)
        leveldb_writebatch_put(batch, (const char *)puts[i].key.data, puts[i].key.size,
                               (const char *)puts[i].value.data, puts[i].value.size);
    leveldb_write(store->db, store->write, batch, &error);
    must(error);
    leveldb_writebatch_destroy(batch);
}

const struct store_ops leveldb_ops = {
    .name = "leveldb",
    .open = level_open,
    .close = level_close,
    .get = level_get,
    .put = level_put,
    .write = level_write,
};
