/* archive_take.c - fills a new data folder from an archive, which it takes over; see archive.h.
 *
 * All versions' records and manifests come here, so that they are this folder's versions from now on, and the newest
 * one's runs; runs of the others come when they are asked for.  The folder has no FORMAT until all of that is there:
 * cut short it is done again.  The rest is a restore (restore.c), which the next opening of the folder carries out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "history/history_internal.h"
#include "history/previous.h"

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
    struct node_version newest; /* that can be had */
    uint64_t below;             /* one whose runs turned out to be damaged; older ones are tried */
    struct archive_head head;
    struct cairn_bytes names; /* of modules that the head names */
    struct cairn_buf hashes;  /* of the runs that are there */
    struct archive_losses losses;
    bool lost;                          /* there were some, and that is accepted */
    uint64_t until, wall_ms, log_epoch; /* where the log leads */
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
    struct cairn_disk *disk = store_options(store)->disk;
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

/* What an attempt before has left and is not there (any more), or cannot be had, is no version. */
static enum cairn_code remove_others(struct filling *filling, struct cairn_err *err)
{
    struct cairn_disk *disk = store_options(filling->store)->disk;
    struct node_version *versions;
    size_t count;
    enum cairn_code code = node_versions_list(disk, ignore, NULL, &versions, &count, err);

    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        bool there = false;
        uint64_t number;

        for (size_t k = 0; remote_version(filling->remote, k, &number); k++)
            there |= number == versions[i].number && number <= filling->newest.number;
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
        code = node_version_write(store_options(filling->store)->disk, &version, err);
    node_version_done(&version);
    archived_version_free(archived);
    return code;
}

/* What makes one version useless is no reason to do without the others. */
static bool is_damage(enum cairn_code code)
{
    return code == CAIRN_ECORRUPT || code == CAIRN_EVERSION || code == CAIRN_ENOTFOUND;
}

/* Its files may be fetched again by a later attempt. */
static void forget_newest(struct filling *filling)
{
    struct cairn_disk *disk = store_options(filling->store)->disk;

    for (uint32_t i = 0; i < filling->count; i++) {
        char path[CAIRN_PATH_BYTES];

        snprintf(path, sizeof path, SHARDS_DIR "/%04" PRIu32 "/" VERSION_DIR "/%" PRIu64 ".version", i,
                 filling->newest.shards[i].number);
        disk->ops->remove(disk, path, NULL);
    }
    filling->below = filling->newest.number;
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
            archive_losses_add(&filling->losses, "%s", err->text);
            code = CAIRN_OK;
        }
        store_report(filling->store, "fetching versions", i + 1, count);
    }
    return code;
}

static enum cairn_code fetch_runs(struct filling *filling, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i < filling->count; i++) {
        struct part *part = &filling->parts[i];

        code = versions_fetch(part->versions, versions_find(part->versions, filling->newest.shards[i].number), err);
        store_report(filling->store, "fetching shards", i + 1, filling->count);
    }
    return code;
}

/* --- module files --- */

static bool has_name(struct cairn_bytes names, const char *name)
{
    for (size_t at = 0; at < names.size; at += strlen((const char *)names.data + at) + 1)
        if (strcmp((const char *)names.data + at, name) == 0)
            return true;
    return false;
}

/* A module's file is named after the hash of what is in it. */
static enum cairn_code is_whole(struct cairn_disk *disk, const char *path, const char *name, bool *ret_whole,
                                struct cairn_err *err)
{
    enum { MODULE_BYTES_MAX = 1 << 30 };
    struct cairn_buf bytes = {0};
    uint8_t hash[CAIRN_SHA256_BYTES];
    enum cairn_code code = cairn_disk_read_file(disk, path, MODULE_BYTES_MAX, &bytes, err);

    if (code == CAIRN_OK)
        cairn_sha256(cairn_buf_bytes(&bytes), hash);
    *ret_whole = code == CAIRN_OK;
    for (size_t i = 0; *ret_whole && i < sizeof hash; i++) {
        char digits[3];

        snprintf(digits, sizeof digits, "%02x", hash[i]);
        *ret_whole = strncmp(name + 2 * i, digits, 2) == 0;
    }
    cairn_buf_done(&bytes);
    return code;
}

static enum cairn_code fetch_module(struct filling *filling, const char *name, struct cairn_err *err)
{
    struct cairn_disk *disk = store_options(filling->store)->disk;
    struct cairn_blob *blob = history_of(filling->store)->archive.blob;
    char path[CAIRN_PATH_BYTES], temporary[CAIRN_PATH_BYTES + 8];
    bool whole = false;
    enum cairn_code code;

    snprintf(path, sizeof path, CAIRN_STORE_MODULES_DIR "/%.200s", name);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    code = blob->ops->get_file(blob, path, disk, temporary, NULL, err);
    if (code == CAIRN_OK)
        code = is_whole(disk, temporary, name, &whole, err);
    if (code == CAIRN_OK && !whole)
        archive_losses_add(&filling->losses, "module '%s' is damaged", path);
    return code == CAIRN_OK && whole ? disk->ops->rename(disk, temporary, path, err) : code;
}

static enum cairn_code fetch_modules(struct filling *filling, struct cairn_err *err)
{
    struct cairn_disk *disk = store_options(filling->store)->disk;
    const struct cairn_buf *names = &history_of(filling->store)->archive.names;
    struct cairn_bytes named = filling->names;
    enum cairn_code code = disk->ops->make_dir(disk, CAIRN_STORE_MODULES_DIR, err);

    if (code == CAIRN_OK)
        code = archive_list_modules(&history_of(filling->store)->archive, err);
    for (size_t at = 0; code == CAIRN_OK && at < names->size; at += strlen((const char *)names->data + at) + 1)
        code = fetch_module(filling, (const char *)names->data + at, err);
    for (size_t at = 0; at < named.size; at += strlen((const char *)named.data + at) + 1)
        if (!has_name(cairn_buf_bytes(names), (const char *)named.data + at))
            archive_losses_add(&filling->losses, "module '" CAIRN_STORE_MODULES_DIR "/%s' is missing",
                               (const char *)named.data + at);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, CAIRN_STORE_MODULES_DIR, err);
    return code;
}

/* --- what the folder is like --- */

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, CAIRN_SHA256_BYTES);
}

static bool has_run(const struct filling *filling, const uint8_t *hash)
{
    const struct cairn_buf *hashes = &filling->hashes;

    return hashes->size &&
           bsearch(hash, hashes->data, hashes->size / CAIRN_SHA256_BYTES, CAIRN_SHA256_BYTES, compare_hashes);
}

/* That all runs are there which a version names. */
static enum cairn_code check_runs(struct filling *filling, const struct archived_version *archived, uint64_t number,
                                  uint32_t count, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i < count; i++) {
        struct version_manifest manifest;

        code = version_manifest_parse(archived->manifests[i], &manifest, err);
        if (code != CAIRN_OK)
            break;
        for (size_t k = 0; code == CAIRN_OK && k < manifest.version.run_count; k++) {
            const uint8_t *hash = manifest.version.runs[k].sha256;

            if (!has_run(filling, hash))
                code = cairn_fail(err, CAIRN_ECORRUPT,
                                  "version %" PRIu64 " cannot be had: 'runs/%02x%02x%02x%02x...', which it needs, is "
                                  "missing",
                                  number, hash[0], hash[1], hash[2], hash[3]);
        }
        version_manifest_done(&manifest);
    }
    return code;
}

/* The newest version that can be had, and so the number of shards and their engine.  The others are looked at, too. */
static enum cairn_code find_newest(struct filling *filling, struct cairn_err *err)
{
    size_t count = 0;
    uint64_t number;
    bool found = false;
    enum cairn_code code = CAIRN_OK;

    node_version_done(&filling->newest);
    while (remote_version(filling->remote, count, &number))
        count++;
    while (code == CAIRN_OK && count-- > 0) {
        struct node_version version = {0};
        struct archived_version *archived;

        remote_version(filling->remote, count, &number);
        archived = archived_version_get(filling->remote, number, &version, err);
        code = archived ? check_runs(filling, archived, number, version.count, err) : err->code;
        if (is_damage(code)) {
            if (archived || !found) /* one that cannot be read is told when it is imported */
                archive_losses_add(&filling->losses, "%s", err->text);
            code = CAIRN_OK;
        } else if (code == CAIRN_OK && !found && number < filling->below) {
            found = true;
            filling->newest = version;
            filling->log_epoch = archived->log_epoch;
            version = (struct node_version){0};
        }
        node_version_done(&version);
        archived_version_free(archived);
    }
    if (code == CAIRN_OK && !found)
        code = cairn_fail(err, CAIRN_ENOTFOUND, "none of its versions can be had");
    return code;
}

/* What the head names and is not there. */
static enum cairn_code check_head(struct filling *filling, struct cairn_err *err)
{
    struct cairn_blob *blob = history_of(filling->store)->archive.blob;
    char name[CAIRN_BLOB_NAME_BYTES];
    uint64_t number;
    bool whole;
    enum cairn_code code = archive_head_find(blob, filling->remote, &filling->head, &filling->names, &whole, err);

    if (code == CAIRN_OK && !whole)
        archive_losses_add(&filling->losses,
                           "the head ('epochs/...') is missing or damaged: nothing tells whether what "
                           "was put last is there");
    for (size_t i = 0; remote_missing(filling->remote, i, &number, name); i++)
        archive_losses_add(&filling->losses, "version %" PRIu64 " is missing ('%s')", number, name);
    if (code == CAIRN_OK)
        code = archive_find_lost(blob, &filling->head, &filling->losses, err);
    filling->hashes.size = 0;
    return code == CAIRN_OK ? remote_list_runs(filling->remote, &filling->hashes, err) : code;
}

/* How far the log leads from the newest version. */
static enum cairn_code find_last(struct filling *filling, struct cairn_err *err)
{
    const struct archive_head *head = &filling->head;
    char from[ARCHIVE_TIME_BYTES], to[ARCHIVE_TIME_BYTES];
    enum cairn_code code;

    filling->wall_ms = filling->newest.wall_ms;
    code = archive_find_last(history_of(filling->store)->archive.blob, head, filling->newest.cut, &filling->until,
                             &filling->wall_ms, &filling->log_epoch, &filling->losses, err);
    if (head->log_epoch > filling->log_epoch)
        filling->log_epoch = head->log_epoch;
    if (code == CAIRN_OK && filling->until < head->end)
        archive_losses_add(&filling->losses,
                           "what was committed from %s to %s (position %" PRIu64 " to %" PRIu64
                           "): the log leads from version %" PRIu64 " to there, and the node had put it on to %" PRIu64,
                           archive_time(filling->wall_ms, from), archive_time(head->wall_ms, to), filling->until,
                           head->end, filling->newest.number, head->end);
    return code;
}

/* Goes on from behind all positions that the archive has, or has had. */
static enum cairn_code give_order(struct filling *filling, struct cairn_err *err)
{
    struct cairn_store *store = filling->store;
    struct archive *archive = &history_of(store)->archive;
    struct restore_order order = {.version = filling->newest, .until = filling->until};
    struct archive_head head;
    uint64_t wall_ms = filling->wall_ms > filling->head.wall_ms ? filling->wall_ms : filling->head.wall_ms, end = 0;
    enum cairn_code code = archive_find_end(archive->blob, &end, err);

    if (end < filling->head.end)
        end = filling->head.end;
    if (end < order.until)
        end = order.until;
    archive->head = filling->head;
    if (code == CAIRN_OK)
        code = archive_put_end(archive, end, err);
    head = archive->head;
    if (filling->lost) /* what is missing by now is not told again */
        head.low = end;
    if (code == CAIRN_OK)
        code = archive_head_put(archive, &head, err);
    order.log_epoch = filling->log_epoch + 1;
    if (code == CAIRN_OK)
        code = store_make_folder(store, end, wall_ms, err);
    return code == CAIRN_OK ? restore_write_order(store_options(store)->disk, &order, err) : code;
}

static enum cairn_code check_choice(struct filling *filling, struct cairn_err *err)
{
    const struct cairn_store_options *options = store_options(filling->store);
    const char *engine = versions_current(filling->parts[0].versions)->engine;

    if (options->engine && strcmp(options->engine, engine) != 0)
        return cairn_fail(err, CAIRN_EINVAL, "its engine is '%s', not '%s'", engine, options->engine);
    if (options->shards && options->shards != filling->count)
        return cairn_fail(err, CAIRN_EINVAL, "it has %" PRIu32 " shards, not %" PRIu32, filling->count,
                          options->shards);
    return store_choose(filling->store, engine, filling->count, err);
}

static enum cairn_code fill_once(struct filling *filling, bool *ret_again, struct cairn_err *err)
{
    enum cairn_code code;

    *ret_again = false;
    close_parts(filling);
    code = check_head(filling, err);
    if (code == CAIRN_OK)
        code = find_newest(filling, err);
    if (code == CAIRN_OK)
        code = remove_others(filling, err);
    if (code == CAIRN_OK)
        code = open_parts(filling, err);
    if (code == CAIRN_OK)
        code = import_versions(filling, err);
    if (code == CAIRN_OK)
        code = check_choice(filling, err);
    if (code != CAIRN_OK)
        return code;
    code = fetch_runs(filling, err);
    if (is_damage(code)) { /* an older version may do */
        struct cairn_err why = *err;

        *ret_again = true;
        forget_newest(filling);
        archive_losses_done(&filling->losses);
        archive_losses_add(&filling->losses, "version %" PRIu64 " cannot be had: %s", filling->below, why.text);
        return CAIRN_OK;
    }
    if (code == CAIRN_OK)
        code = fetch_modules(filling, err);
    return code == CAIRN_OK ? find_last(filling, err) : code;
}

static enum cairn_code fill(struct filling *filling, struct cairn_err *err)
{
    bool again = true;
    enum cairn_code code = CAIRN_OK;

    archive_losses_done(&filling->losses);
    filling->below = UINT64_MAX;
    while (code == CAIRN_OK && again)
        code = fill_once(filling, &again, err);
    return code;
}

/* Something is missing, and --accept-loss was not given. */
static enum cairn_code refuse(struct filling *filling, struct cairn_err *err)
{
    struct cairn_store *store = filling->store;
    char to[ARCHIVE_TIME_BYTES];
    size_t count = filling->losses.count;

    archive_losses_tell(&filling->losses, store_warn, store);
    return cairn_fail(
        err, CAIRN_ECORRUPT,
        "the blob store lacks %zu of the things that were put there, or has them damaged (told above); what is left "
        "leads to position %" PRIu64 " of the log, committed until %s: put copies in their places, or give "
        "--accept-loss to go on from that",
        count, filling->until, archive_time(filling->wall_ms, to));
}

/* All that may fail is tried before the store is claimed: its present owner goes on until then, and may add to it, or
 * remove what it does not need: a loss has to be seen twice. */
static enum cairn_code look_and_fill(struct filling *filling, struct remote **ret_seen, struct cairn_err *err)
{
    enum { TRIES = 3 };
    enum cairn_code code = CAIRN_OK;
    bool changed = true;

    for (int i = 0; code == CAIRN_OK && changed && i < TRIES; i++) {
        struct cairn_buf note = {0};

        if (*ret_seen)
            cairn_buf_add(&note, remote_note(*ret_seen).data, remote_note(*ret_seen).size);
        changed = !*ret_seen;
        remote_close(*ret_seen);
        *ret_seen = NULL;
        code = remote_look(history_of(filling->store)->archive.blob, ret_seen, err);
        if (code == CAIRN_OK)
            changed |= !cairn_bytes_equal(cairn_buf_bytes(&note), remote_note(*ret_seen));
        cairn_buf_done(&note);
        filling->remote = *ret_seen;
        if (code == CAIRN_OK && changed)
            code = fill(filling, err);
        changed &= filling->losses.count > 0;
    }
    return code;
}

static enum cairn_code fill_and_claim(struct filling *filling, struct cairn_err *err)
{
    struct cairn_store *store = filling->store;
    bool accepts = store_options(store)->accept_loss;
    struct remote *seen = NULL;
    enum cairn_code code = look_and_fill(filling, &seen, err);

    filling->lost = filling->losses.count > 0;
    if (code == CAIRN_OK && filling->lost && !accepts)
        code = refuse(filling, err);
    if (code == CAIRN_OK && filling->lost) { /* the claim makes a new head, which tells less of it */
        store_warn(store, "--accept-loss: the node goes on without what follows");
        archive_losses_tell(&filling->losses, store_warn, store);
    }
    if (code == CAIRN_OK)
        code = archive_take(store, err);
    filling->remote = history_of(store)->archive.remote;
    if (code == CAIRN_OK)
        code = fill(filling, err);
    if (code == CAIRN_OK && filling->losses.count && !accepts)
        code = refuse(filling, err);
    if (code == CAIRN_OK && !filling->lost) { /* what came to pass since */
        filling->lost = filling->losses.count > 0;
        archive_losses_tell(&filling->losses, store_warn, store);
    }
    if (code == CAIRN_OK)
        code = give_order(filling, err);
    remote_close(seen);
    return code;
}

/* The marker of a folder that is being filled says from where. */
static enum cairn_code mark(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_disk *disk = store_options(store)->disk;
    const char *url = store_options(store)->archive->url;
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
    struct cairn_blob *blob = store_options(store)->archive;
    bool any = false, previous = false;
    enum cairn_code code;

    if (!blob)
        return cairn_fail(err, CAIRN_EINVAL, "to recover, give the blob store that the node has kept");
    code = blob->ops->list(blob, "versions", note_one, &any, err);
    if (code == CAIRN_ENOTFOUND || (code == CAIRN_OK && !any))
        return cairn_fail(err, CAIRN_ENOTFOUND,
                          "there is nothing to recover in '%s': give the right URL, or begin with nothing, without "
                          "--recover",
                          blob->url);
    if (code == CAIRN_OK)
        code = previous_is_archive(blob, &previous, err);
    if (code == CAIRN_OK && previous)
        return cairn_fail(
            err, CAIRN_EVERSION,
            "an earlier version of cairn filled the blob store '%s': convert it with 'cairn export --blob %s FILE' "
            "and then 'cairn import --data NEW FILE'",
            blob->url, blob->url);
    history_of(store)->archive.blob = blob;
    if (code == CAIRN_OK)
        code = mark(store, err);
    if (code == CAIRN_OK)
        code = fill_and_claim(&filling, err);
    node_version_done(&filling.newest);
    close_parts(&filling);
    cairn_buf_done(&filling.hashes);
    archive_losses_done(&filling.losses);
    history_of(store)->archive.remote = remote_close(history_of(store)->archive.remote); /* opening claims it */
    if (code == CAIRN_OK)
        code = store_write_format(store, err);
    return code == CAIRN_OK ? code : cairn_while(err, "recovering from '%s'", blob->url);
}
