/* archive_take.c - fills a new data folder from an archive, which it takes over; see archive.h.
 *
 * All versions' records and manifests come here, so that they are this folder's versions from now on, and the newest
 * one's runs; runs of the others come when they are asked for.  The folder has no FORMAT until all of that is there:
 * cut short it is done again.  The rest is a restore (restore.c), which whoever opens the folder carries out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shard/shard_internal.h"

struct part {
    struct cairn_disk *disk;
    struct versions *versions;
    struct version_source source;
    struct remote *remote;
};

struct filling {
    struct cairn_store *store;
    struct remote *remote;
    struct part *parts; /* of each shard */
    uint32_t count;
    struct node_version newest;
    uint64_t log_epoch;
};

static enum cairn_code fetch(void *context, const struct run_about *about, struct cairn_err *err)
{
    struct part *part = context;

    return remote_get_run(part->remote, part->disk, about, NULL, err);
}

static void ignore(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static enum cairn_code open_parts(struct filling *filling, struct cairn_err *err)
{
    struct cairn_store *store = filling->store;
    struct cairn_disk *disk = store->options.disk;
    enum cairn_code code = disk->ops->make_dir(disk, SHARDS_DIR, err);

    if (code == CAIRN_OK)
        code = disk->ops->make_dir(disk, VERSIONS_DIR, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    filling->count = filling->newest.count;
    filling->parts = cairn_alloc_zeroed(filling->count, sizeof *filling->parts);
    for (uint32_t i = 0; code == CAIRN_OK && i < filling->count; i++) {
        struct part *part = &filling->parts[i];
        char path[CAIRN_PATH_BYTES];

        part->remote = filling->remote;
        part->source = (struct version_source){fetch, part};
        snprintf(path, sizeof path, SHARDS_DIR "/%04" PRIu32, i);
        code = cairn_disk_folder(disk, path, &part->disk, err);
        if (code == CAIRN_OK)
            code = versions_open(part->disk, 0, &part->source, &part->versions, err);
    }
    return code;
}

static void close_parts(struct filling *filling)
{
    for (uint32_t i = 0; filling->parts && i < filling->count; i++) {
        versions_close(filling->parts[i].versions);
        if (filling->parts[i].disk)
            cairn_disk_close(filling->parts[i].disk);
    }
    free(filling->parts);
    filling->parts = NULL;
}

/* What an attempt before has left and is not there (any more) is no version. */
static enum cairn_code remove_others(struct filling *filling, struct cairn_err *err)
{
    struct cairn_disk *disk = filling->store->options.disk;
    struct node_version *versions;
    size_t count;
    enum cairn_code code = node_versions_list(disk, ignore, NULL, &versions, &count, err);

    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        bool there = false;
        uint64_t number;

        for (size_t k = 0; remote_version(filling->remote, k, &number); k++)
            there |= number == versions[i].number;
        if (code == CAIRN_OK && !there)
            code = node_version_remove(disk, versions[i].number, err);
        node_version_done(&versions[i]);
    }
    free(versions);
    return code;
}

/* One that an attempt before has left has to be the same. */
static enum cairn_code import_manifest(struct part *part, uint64_t number, struct cairn_bytes manifest,
                                       struct cairn_err *err)
{
    struct cairn_buf here = {0};
    enum cairn_code code;

    if (!versions_find(part->versions, number))
        return versions_import(part->versions, number, manifest, err);
    code = versions_get_manifest(part->versions, number, &here, err);
    if (code == CAIRN_OK && !cairn_bytes_equal(cairn_buf_bytes(&here), manifest))
        code = cairn_fail(err, CAIRN_ECONFLICT, "'%s' has another version %" PRIu64 ": begin with an empty data folder",
                          part->disk->root, number);
    cairn_buf_done(&here);
    return code;
}

static enum cairn_code import_version(struct filling *filling, uint64_t number, struct cairn_err *err)
{
    struct node_version version = {0};
    struct archived_version *archived = archived_version_get(filling->remote, number, &version, err);
    enum cairn_code code = archived ? CAIRN_OK : err->code;

    if (code == CAIRN_OK && version.count != filling->count)
        code = cairn_fail(err, CAIRN_ECORRUPT, "version %" PRIu64 " is of %" PRIu32 " shards, and others of %" PRIu32,
                          number, version.count, filling->count);
    for (uint32_t i = 0; code == CAIRN_OK && i < filling->count; i++)
        code = import_manifest(&filling->parts[i], version.shards[i].number, archived->manifests[i], err);
    if (code == CAIRN_OK)
        code = node_version_write(filling->store->options.disk, &version, err);
    node_version_done(&version);
    archived_version_free(archived);
    return code;
}

/* What makes one version useless is no reason to do without the others. */
static bool is_damage(enum cairn_code code)
{
    return code == CAIRN_ECORRUPT || code == CAIRN_EVERSION || code == CAIRN_ENOTFOUND;
}

static enum cairn_code import_versions(struct filling *filling, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;
    uint64_t number, count = 0;

    while (remote_version(filling->remote, count, &number))
        count++;
    for (size_t i = 0; code == CAIRN_OK && remote_version(filling->remote, i, &number); i++) {
        if (number > filling->newest.number)
            break;
        code = import_version(filling, number, err);
        if (is_damage(code) && number != filling->newest.number) {
            store_warn(filling->store, err->text);
            code = CAIRN_OK;
        }
        store_report(filling->store, "fetching versions", i + 1, count);
    }
    for (uint32_t i = 0; code == CAIRN_OK && i < filling->count; i++) {
        struct part *part = &filling->parts[i];

        code = versions_fetch(part->versions, versions_find(part->versions, filling->newest.shards[i].number), err);
        store_report(filling->store, "fetching shards", i + 1, filling->count);
    }
    return code;
}

/* --- module files --- */

static enum cairn_code fetch_modules(struct filling *filling, struct cairn_err *err)
{
    struct cairn_disk *disk = filling->store->options.disk;
    struct cairn_blob *blob = filling->store->archive.blob;
    const struct cairn_buf *names = &filling->store->archive.names;
    enum cairn_code code = disk->ops->make_dir(disk, CAIRN_STORE_MODULES_DIR, err);

    if (code == CAIRN_OK)
        code = archive_list_modules(&filling->store->archive, err);
    for (size_t at = 0; code == CAIRN_OK && at < names->size; at += strlen((const char *)names->data + at) + 1) {
        char path[CAIRN_PATH_BYTES], temporary[CAIRN_PATH_BYTES + 8];

        snprintf(path, sizeof path, CAIRN_STORE_MODULES_DIR "/%.200s", (const char *)names->data + at);
        snprintf(temporary, sizeof temporary, "%s.tmp", path);
        code = blob->ops->get_file(blob, path, disk, temporary, NULL, err);
        if (code == CAIRN_OK)
            code = disk->ops->rename(disk, temporary, path, err);
    }
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, CAIRN_STORE_MODULES_DIR, err);
    return code;
}

/* --- what the folder is like --- */

/* The newest version that can be read, and so the number of shards and their engine. */
static enum cairn_code find_newest(struct filling *filling, struct cairn_err *err)
{
    size_t count = 0;
    uint64_t number;
    enum cairn_code code = cairn_fail(err, CAIRN_ENOTFOUND, "none of its versions counts");

    node_version_done(&filling->newest);
    while (remote_version(filling->remote, count, &number))
        count++;
    while (is_damage(code) && count-- > 0) {
        struct archived_version *archived;

        remote_version(filling->remote, count, &number);
        archived = archived_version_get(filling->remote, number, &filling->newest, err);
        code = archived ? CAIRN_OK : err->code;
        if (archived)
            filling->log_epoch = archived->log_epoch;
        else if (is_damage(code))
            store_warn(filling->store, err->text);
        archived_version_free(archived);
    }
    return code;
}

/* Goes on from behind all positions that the archive has. */
static enum cairn_code give_order(struct filling *filling, struct cairn_err *err)
{
    struct cairn_store *store = filling->store;
    struct restore_order order = {.version = filling->newest};
    struct manifest manifest;
    uint64_t end = 0, wall_ms = filling->newest.wall_ms, log_epoch = filling->log_epoch;
    enum cairn_code code =
        archive_find_last(store->archive.blob, filling->newest.cut, &order.until, &wall_ms, &log_epoch, err);

    if (code == CAIRN_OK)
        code = archive_find_end(store->archive.blob, &end, err);
    if (end > order.until)
        store_warn(
            store,
            "the blob store has more of the log, which does not lead on from its newest version: it is left out");
    if (end < order.until)
        end = order.until;
    if (code == CAIRN_OK)
        code = archive_put_end(&store->archive, end, err);
    manifest_init(&manifest, filling->count + 1);
    for (uint32_t i = 0; i < manifest.count; i++)
        manifest.shards[i].position = end;
    manifest.wall_ms = wall_ms;
    order.log_epoch = log_epoch + 1;
    if (code == CAIRN_OK)
        code = store_make_folder(store, &manifest, err);
    manifest_done(&manifest);
    return code == CAIRN_OK ? restore_write_order(store->options.disk, &order, err) : code;
}

static enum cairn_code check_choice(struct filling *filling, struct cairn_err *err)
{
    const struct cairn_store_options *options = &filling->store->options;
    const char *engine = versions_current(filling->parts[0].versions)->engine;

    if (options->engine && strcmp(options->engine, engine) != 0)
        return cairn_fail(err, CAIRN_EINVAL, "its engine is '%s', not '%s'", engine, options->engine);
    if (options->shards && options->shards != filling->count)
        return cairn_fail(err, CAIRN_EINVAL, "it has %" PRIu32 " shards, not %" PRIu32, filling->count,
                          options->shards);
    return store_choose(filling->store, engine, filling->count, err);
}

static enum cairn_code fill(struct filling *filling, struct cairn_err *err)
{
    enum cairn_code code = find_newest(filling, err);

    close_parts(filling);
    if (code == CAIRN_OK)
        code = remove_others(filling, err);
    if (code == CAIRN_OK)
        code = open_parts(filling, err);
    if (code == CAIRN_OK)
        code = import_versions(filling, err);
    if (code == CAIRN_OK)
        code = check_choice(filling, err);
    return code == CAIRN_OK ? fetch_modules(filling, err) : code;
}

/* All that may fail is tried before the store is claimed: who has it now goes on until then, and may add to it. */
static enum cairn_code fill_and_claim(struct filling *filling, struct cairn_err *err)
{
    struct cairn_store *store = filling->store;
    struct remote *seen;
    enum cairn_code code = remote_look(store->archive.blob, &seen, err);

    if (code != CAIRN_OK)
        return code;
    filling->remote = seen;
    code = fill(filling, err);
    if (code == CAIRN_OK)
        code = archive_take(store, err);
    remote_close(seen);
    filling->remote = store->archive.remote;
    if (code == CAIRN_OK)
        code = fill(filling, err);
    return code == CAIRN_OK ? give_order(filling, err) : code;
}

/* The marker of a folder that is being filled says from where. */
static enum cairn_code mark(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    const char *url = store->options.archive->url;
    struct cairn_buf text = {0};
    enum cairn_code code = cairn_disk_read_file(disk, RECOVER_PATH, 4096, &text, err);

    if (code == CAIRN_ENOTFOUND)
        code = cairn_disk_replace_file(disk, RECOVER_PATH, cairn_str(url), err);
    else if (code == CAIRN_OK && !cairn_bytes_equal(cairn_buf_bytes(&text), cairn_str(url)))
        code = cairn_fail(err, CAIRN_EINVAL,
                          "this data folder was begun from '%.*s': go on with that, or begin with an "
                          "empty one",
                          (int)text.size, (const char *)text.data);
    cairn_buf_done(&text);
    return code;
}

static void note_one(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    (void)name;
    (void)bytes;
    (void)age_ms;
    *(bool *)context = true;
}

enum cairn_code archive_take_over(struct cairn_store *store, struct cairn_err *err)
{
    struct filling filling = {.store = store};
    struct cairn_blob *blob = store->options.archive;
    bool any = false;
    enum cairn_code code;

    if (!blob)
        return cairn_fail(err, CAIRN_EINVAL, "to recover, give the blob store that the node has kept");
    code = blob->ops->list(blob, "versions", note_one, &any, err);
    if (code == CAIRN_ENOTFOUND || (code == CAIRN_OK && !any))
        return cairn_fail(err, CAIRN_ENOTFOUND,
                          "there is nothing to recover in '%s': give the right URL, or begin with nothing, without "
                          "--recover",
                          blob->url);
    store->archive.blob = blob;
    if (code == CAIRN_OK)
        code = mark(store, err);
    if (code == CAIRN_OK)
        code = fill_and_claim(&filling, err);
    node_version_done(&filling.newest);
    close_parts(&filling);
    store->archive.remote = remote_close(store->archive.remote); /* opening claims it */
    if (code == CAIRN_OK)
        code = store_write_format(store, err);
    return code == CAIRN_OK ? code : cairn_while(err, "recovering from '%s'", blob->url);
}
