#include "shard/fill.h"

#include "shard/shard_internal.h"

enum { STEP_NS = 1000000 };

static enum cairn_code is_there(struct cairn_disk *disk, const char *path, bool *ret_there, struct cairn_err *err)
{
    struct cairn_buf ignored = {0};
    enum cairn_code code = cairn_disk_read_file(disk, path, FORMAT_BYTES_MAX, &ignored, err);

    cairn_buf_done(&ignored);
    *ret_there = code == CAIRN_OK || code == CAIRN_ELIMIT;
    return *ret_there || code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

/* Before anything else of the folder is made. */
static enum cairn_code mark(struct cairn_disk *disk, struct cairn_err *err)
{
    static const char *const taken[] = {FORMAT_PATH, IMPORT_PATH, "RECOVER" /* history's */};
    bool there;

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        enum cairn_code code = is_there(disk, taken[i], &there, err);

        if (code != CAIRN_OK)
            return code;
        if (there)
            return cairn_fail(err, CAIRN_ECONFLICT,
                              "'%s' has a file '%s', so that it is a data folder already: import into a new one",
                              disk->root, taken[i]);
    }
    return cairn_disk_replace_file(disk, IMPORT_PATH, cairn_str("an import is under way\n"), err);
}

enum cairn_code cairn_fill_begin(const struct cairn_store_options *options, struct cairn_store **ret_store,
                                 struct cairn_err *err)
{
    struct cairn_store_options filling = *options;
    struct cairn_store *store;
    enum cairn_code code = options->disk->ops->lock(options->disk, err);

    filling.filling = true;
    if (code == CAIRN_OK)
        code = mark(options->disk, err);
    if (code == CAIRN_OK)
        code = store_open_locked(&filling, &store, err);
    if (code != CAIRN_OK)
        return code;
    code = cairn_store_start(store, err);
    if (code == CAIRN_OK)
        *ret_store = store;
    else
        cairn_store_abandon(store);
    return code;
}

static void step_all(struct cairn_store *store)
{
    for (uint32_t i = 0; i < store->count; i++)
        cairn_shard_step(&store->shards[i], STEP_NS);
}

/* CAIRN_EOVERLOAD: not yet. */
static enum cairn_code try(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_write *writes, size_t count,
                           struct cairn_err *err)
{
    static const struct cairn_bytes note = {(const uint8_t *)"import", 6};
    enum cairn_code code = cairn_shard_check_writers(shard, err);
    uint64_t end;

    if (code == CAIRN_OK)
        code = shard->log->ops->claim(shard->log, cairn_shard_record_bytes(note, writes, count), 1, err);
    return code == CAIRN_OK ? cairn_shard_commit(shard, wall_ms, note, writes, count, &end, err) : code;
}

enum cairn_code cairn_fill_commit(struct cairn_store *store, uint32_t shard, uint64_t wall_ms,
                                  const struct cairn_write *writes, size_t count, struct cairn_err *err)
{
    enum cairn_code code;

    while ((code = try(&store->shards[shard], wall_ms, writes, count, err)) == CAIRN_EOVERLOAD) {
        step_all(store);
        store_wait_a_little(store);
    }
    if (cairn_store_checkpoint_due(store))
        step_all(store);
    return code;
}

/* What was filled in is no longer the state that it comes from. */
static enum cairn_code note_filled(struct cairn_store *store, struct cairn_err *err)
{
    uint64_t wall_ms = store->options.clock->wall_ms(store->options.clock);
    struct cairn_bytes key = store_restore_key();
    uint8_t value[8];
    struct cairn_write write = {.key = key, .hash = cairn_hash(key)};

    store_raise_wall_ms(store, wall_ms);
    for (uint32_t i = 0; i < store->count; i++)
        store_raise_wall_ms(store, atomic_load_explicit(&store->shards[i].wall_ms, memory_order_relaxed));
    write.value = store_restore_mark(store, value);
    return cairn_fill_commit(store, store->count - 1, store->wall_ms, &write, 1, err);
}

enum cairn_code cairn_fill_end(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    enum cairn_code code = note_filled(store, err);

    if (code == CAIRN_OK)
        code = cairn_store_close(store, true, err);
    else
        cairn_store_abandon(store);
    if (code == CAIRN_OK)
        code = disk->ops->remove(disk, IMPORT_PATH, err);
    return code == CAIRN_OK ? disk->ops->sync_dir(disk, "", err) : code;
}
