#include "engine/version_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/seal.h"

enum { HEAD_BYTES_MAX = 1 << 20 };

static const char head_magic[8] = {'C', 'A', 'I', 'R', 'N', 'H', 'E', 'D'};
static const char head_path[] = "HEAD";

struct entry {
    struct version version;
    void *memory;         /* what the version points to */
    enum cairn_code code; /* of reading it; else than CAIRN_OK only its number is known */
    char *why;            /* then: what was wrong */
};

struct versions {
    struct cairn_disk *disk;
    const struct version_source *source;
    struct entry **entries; /* by number, ascending */
    size_t count, capacity;
    size_t unreadable, automatic; /* of the entries */
    uint64_t current, next_number, next_run_id, branch;
    bool uncertain;        /* a manifest may lie in the folder, or come back to it, that is not in the list */
    struct cairn_buf pins; /* u64 each; of the head, until the manifests are read */
};

static bool manifest_name_parse(const char *name, uint64_t *ret_number)
{
    char path[CAIRN_PATH_BYTES];

    if (sscanf(name, "%" SCNu64 ".version", ret_number) != 1)
        return false;
    version_manifest_path(*ret_number, path);
    return strcmp(name, path + strlen(VERSION_DIR "/")) == 0;
}

static void add_u64(struct cairn_buf *to, uint64_t value)
{
    cairn_put_u64(cairn_buf_reserve(to, 8), value);
    to->size += 8;
}

static enum cairn_code check_certain(const struct versions *versions, struct cairn_err *err)
{
    if (versions->uncertain)
        return cairn_fail(err, CAIRN_EUNAVAILABLE,
                          "a name in '%s' could not be synced, so it is not known which versions a crash would leave: "
                          "open the folder anew",
                          versions->disk->root);
    return CAIRN_OK;
}

static enum cairn_code write_head(struct versions *versions, uint64_t current, uint64_t branch, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    uint64_t pinned = 0;
    enum cairn_code code = check_certain(versions, err);

    if (code != CAIRN_OK)
        return code;
    version_sealed_begin(&bytes, head_magic);
    add_u64(&bytes, current);
    add_u64(&bytes, versions->next_number);
    add_u64(&bytes, branch);
    for (size_t i = 0; i < versions->count; i++)
        pinned += versions->entries[i]->version.pinned;
    cairn_buf_varint(&bytes, pinned);
    for (size_t i = 0; i < versions->count; i++)
        if (versions->entries[i]->version.pinned)
            add_u64(&bytes, versions->entries[i]->version.number);
    cairn_seal_end(&bytes, 0);
    code = cairn_disk_replace_file(versions->disk, head_path, cairn_buf_bytes(&bytes), err);
    if (code == CAIRN_OK) {
        versions->current = current;
        versions->branch = branch;
    } else { /* if it is there after all a crash may leave it or not */
        struct cairn_buf there = {0};
        struct cairn_err ignored;
        enum cairn_code read = cairn_disk_read_file(versions->disk, head_path, HEAD_BYTES_MAX, &there, &ignored);

        versions->uncertain = read == CAIRN_OK ? cairn_bytes_equal(cairn_buf_bytes(&there), cairn_buf_bytes(&bytes))
                                               : read != CAIRN_ENOTFOUND;
        cairn_buf_done(&there);
    }
    cairn_buf_done(&bytes);
    return code;
}

/* --- the list --- */

static struct entry *entry_free(struct entry *entry)
{
    if (entry) {
        free(entry->memory);
        free(entry->why);
        free(entry);
    }
    return NULL;
}

static void insert(struct versions *versions, struct entry *entry)
{
    size_t at = versions->count;

    if (versions->count == versions->capacity) {
        versions->capacity = versions->capacity ? versions->capacity * 2 : 16;
        versions->entries = cairn_realloc(versions->entries, versions->capacity * sizeof *versions->entries);
    }
    for (; at > 0 && versions->entries[at - 1]->version.number > entry->version.number; at--)
        versions->entries[at] = versions->entries[at - 1];
    versions->entries[at] = entry;
    versions->count++;
}

/* Once it is known what it is. */
static void count_in(struct versions *versions, const struct entry *entry)
{
    versions->unreadable += entry->code != CAIRN_OK;
    versions->automatic += entry->version.automatic;
}

static void take_out(struct versions *versions, size_t at)
{
    versions->unreadable -= versions->entries[at]->code != CAIRN_OK;
    versions->automatic -= versions->entries[at]->version.automatic;
    entry_free(versions->entries[at]);
    memmove(&versions->entries[at], &versions->entries[at + 1], (--versions->count - at) * sizeof *versions->entries);
}

static struct entry *find(const struct versions *versions, uint64_t number)
{
    size_t low = 0, high = versions->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (versions->entries[middle]->version.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < versions->count && versions->entries[low]->version.number == number ? versions->entries[low] : NULL;
}

static enum cairn_code known(const struct versions *versions, uint64_t number, struct entry **ret_entry,
                             struct cairn_err *err)
{
    *ret_entry = find(versions, number);
    if (!*ret_entry)
        return cairn_fail(err, CAIRN_ENOTFOUND, "there is no version %" PRIu64, number);
    return CAIRN_OK;
}

const struct version *versions_current(const struct versions *versions)
{
    return versions->current ? &find(versions, versions->current)->version : NULL;
}

const struct version *versions_at(const struct versions *versions, size_t index)
{
    return index < versions->count ? &versions->entries[index]->version : NULL;
}

const struct version *versions_find(const struct versions *versions, uint64_t number)
{
    struct entry *entry = find(versions, number);

    return entry ? &entry->version : NULL;
}

uint64_t versions_take_run_id(struct versions *versions)
{
    return versions->next_run_id++;
}

enum cairn_code versions_check_certain(const struct versions *versions, struct cairn_err *err)
{
    return check_certain(versions, err);
}

uint64_t versions_branch(const struct versions *versions)
{
    return versions->branch;
}

/* --- opening --- */

static enum cairn_code read_head(struct versions *versions, bool *ret_found, struct cairn_err *err)
{
    struct cairn_buf bytes = {0};
    struct cairn_reader reader;
    enum cairn_code code = cairn_disk_read_file(versions->disk, head_path, HEAD_BYTES_MAX, &bytes, err);

    *ret_found = code == CAIRN_OK;
    if (code == CAIRN_ENOTFOUND) {
        cairn_buf_done(&bytes);
        return CAIRN_OK;
    }
    if (code == CAIRN_OK)
        code = version_sealed_open(versions->disk, head_path, cairn_buf_bytes(&bytes), head_magic, &reader, err);
    if (code == CAIRN_OK) {
        uint64_t pins;

        versions->current = cairn_read_u64(&reader);
        versions->next_number = cairn_read_u64(&reader);
        versions->branch = cairn_read_u64(&reader);
        pins = cairn_read_varint(&reader);
        if (reader.bad || pins != cairn_reader_left(&reader) / 8 || cairn_reader_left(&reader) % 8 ||
            versions->current >= versions->next_number)
            code = cairn_fail(err, CAIRN_ECORRUPT, "'%s' in '%s' makes no sense", head_path, versions->disk->root);
        else
            cairn_buf_add(&versions->pins, reader.at, cairn_reader_left(&reader));
    }
    cairn_buf_done(&bytes);
    return code;
}

static enum cairn_code read_manifest(struct versions *versions, struct entry *entry, struct cairn_err *err)
{
    struct version_manifest manifest;

    entry->code = version_manifest_read(versions->disk, entry->version.number, &manifest, err);
    if (entry->code == CAIRN_OK) {
        entry->version = manifest.version;
        entry->memory = manifest.memory;
        cairn_buf_done(&manifest.bytes);
    }
    return entry->code;
}

static void take_manifest_name(void *context, const char *name)
{
    struct versions *versions = context;
    struct entry *entry;
    uint64_t number;

    if (!manifest_name_parse(name, &number) || !number)
        return; /* a temporary file: replaced by the next */
    entry = cairn_alloc_zeroed(1, sizeof *entry);
    entry->version.number = number;
    insert(versions, entry);
}

/* Their ids are not given out again. */
static void note_runs(struct versions *versions, const struct entry *entry)
{
    for (size_t i = 0; i < entry->version.run_count; i++)
        if (entry->version.runs[i].id >= versions->next_run_id)
            versions->next_run_id = entry->version.runs[i].id + 1;
}

static enum cairn_code read_manifests(struct versions *versions, struct cairn_err *err)
{
    enum cairn_code code = versions->disk->ops->list(versions->disk, VERSION_DIR, take_manifest_name, versions, err);

    for (size_t i = 0; code == CAIRN_OK && i < versions->count; i++) {
        struct entry *entry = versions->entries[i];
        struct cairn_err why;

        code = read_manifest(versions, entry, &why);
        if (code == CAIRN_ECORRUPT || code == CAIRN_EVERSION) { /* matters only to a request for this version */
            entry->why = cairn_bytes_dup(cairn_str(why.text));
            code = CAIRN_OK;
        } else if (code != CAIRN_OK) {
            return cairn_fail(err, code, "%s", why.text);
        }
        for (size_t at = 0; at < versions->pins.size; at += 8)
            entry->version.pinned |= cairn_get_u64(versions->pins.data + at) == entry->version.number;
        note_runs(versions, entry);
        count_in(versions, entry);
        if (entry->version.number >= versions->next_number) { /* committed after the head was written */
            versions->current = entry->version.number;
            versions->next_number = entry->version.number + 1;
        }
    }
    return code;
}

static enum cairn_code check_current(struct versions *versions, struct cairn_err *err)
{
    struct entry *current = find(versions, versions->current);
    uint64_t whole = 0;

    if (!versions->current || (current && current->code == CAIRN_OK))
        return CAIRN_OK;
    for (size_t i = 0; i < versions->count; i++)
        if (versions->entries[i]->code == CAIRN_OK)
            whole = versions->entries[i]->version.number;
    cairn_fail(err, current ? current->code : CAIRN_ECORRUPT, "%s", current ? current->why : "its version is missing");
    if (!whole)
        return cairn_while(err, "opening version %" PRIu64 " of '%s', which has no other", versions->current,
                           versions->disk->root);
    return cairn_while(err, "opening version %" PRIu64 " of '%s'; the newest that is whole is %" PRIu64,
                       versions->current, versions->disk->root, whole);
}

static enum cairn_code make_folder(struct versions *versions, struct cairn_err *err)
{
    struct cairn_disk *disk = versions->disk;
    enum cairn_code code = disk->ops->make_dir(disk, VERSION_DIR, err);

    if (code == CAIRN_OK)
        code = disk->ops->make_dir(disk, RUN_DIR, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    if (code == CAIRN_OK)
        code = read_manifests(versions, err);
    if (code == CAIRN_OK && versions->count)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' is missing in '%s' though there are versions: put a copy of it in its place", head_path,
                          disk->root);
    return code == CAIRN_OK ? write_head(versions, 0, 0, err) : code;
}

static enum cairn_code remove_automatic(struct versions *versions, struct cairn_err *err)
{
    struct cairn_buf paths = {0}, ids = {0}; /* which are collected next */
    enum cairn_code code = CAIRN_OK;

    versions_drop_automatic(versions, &paths, &ids);
    cairn_buf_done(&ids);
    for (size_t at = 0; code == CAIRN_OK && at < paths.size; at += strlen((const char *)paths.data + at) + 1)
        code = versions->disk->ops->remove(versions->disk, (const char *)paths.data + at, err);
    if (code == CAIRN_OK && paths.size)
        code = versions->disk->ops->sync_dir(versions->disk, VERSION_DIR, err);
    cairn_buf_done(&paths);
    return code;
}

enum cairn_code versions_open(struct cairn_disk *disk, uint64_t number, const struct version_source *source,
                              struct versions **ret_versions, struct cairn_err *err)
{
    struct versions *versions = cairn_alloc_zeroed(1, sizeof *versions);
    struct cairn_err why;
    uint64_t removed;
    bool found;
    enum cairn_code code;

    versions->disk = disk;
    versions->source = source;
    versions->next_number = versions->next_run_id = 1;
    code = read_head(versions, &found, err);
    if (code == CAIRN_OK && found) { /* what is seen here is what a crash from here on would leave */
        code = disk->ops->sync_dir(disk, "", err);
        if (code == CAIRN_OK)
            code = disk->ops->sync_dir(disk, VERSION_DIR, err);
    }
    if (code == CAIRN_OK)
        code = found ? read_manifests(versions, err) : make_folder(versions, err);
    if (code == CAIRN_OK)
        code = number && number != versions->current ? versions_restore(versions, number, err)
                                                     : check_current(versions, err);
    if (code == CAIRN_OK)
        code = remove_automatic(versions, err);
    if (code == CAIRN_OK) {
        code = versions_collect(versions, NULL, NULL, &removed, &why);
        if (code == CAIRN_ECORRUPT) /* garbage stays while a version is unreadable; this one can be used */
            code = CAIRN_OK;
        else if (code != CAIRN_OK)
            cairn_fail(err, code, "%s", why.text);
    }
    if (code != CAIRN_OK) {
        versions_close(versions);
        return code;
    }
    *ret_versions = versions;
    return CAIRN_OK;
}

struct versions *versions_close(struct versions *versions)
{
    if (!versions)
        return NULL;
    for (size_t i = 0; i < versions->count; i++)
        entry_free(versions->entries[i]);
    free(versions->entries);
    cairn_buf_done(&versions->pins);
    free(versions);
    return NULL;
}

/* --- changing --- */

enum cairn_code versions_draft(struct versions *versions, const struct version *version, struct version_draft *draft,
                               struct cairn_err *err)
{
    struct version whole = *version;
    const struct version *current = versions_current(versions);
    enum cairn_code code;

    if (version->metadata.size > VERSION_METADATA_BYTES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "metadata of %zu bytes; at most %d are allowed", version->metadata.size,
                          VERSION_METADATA_BYTES_MAX);
    if (version->run_count > VERSION_RUNS_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "%zu runs; at most %d are allowed", version->run_count, VERSION_RUNS_MAX);
    code = check_certain(versions, err);
    if (code != CAIRN_OK)
        return code;
    *draft = (struct version_draft){.disk = versions->disk, .number = versions->next_number};
    whole.number = versions->next_number++; /* not again, even if this fails: the file may be there after all */
    whole.parent = current && current->automatic ? current->parent : versions->current;
    version_manifest_encode(&whole, &draft->bytes);
    return CAIRN_OK;
}

void version_draft_write(struct version_draft *draft)
{
    char path[CAIRN_PATH_BYTES];

    version_manifest_path(draft->number, path);
    draft->code = cairn_disk_replace_file(draft->disk, path, cairn_buf_bytes(&draft->bytes), &draft->err);
    if (draft->code != CAIRN_OK) {
        struct cairn_file *file = NULL;
        struct cairn_err ignored;

        draft->uncertain =
            draft->disk->ops->open(draft->disk, path, CAIRN_OPEN_READ, &file, &ignored) != CAIRN_ENOTFOUND;
        if (file)
            draft->disk->ops->close(file);
    }
}

enum cairn_code versions_enter(struct versions *versions, struct version_draft *draft, struct cairn_err *err)
{
    struct cairn_bytes bytes = cairn_buf_bytes(&draft->bytes);

    if (draft->code == CAIRN_OK) {
        struct entry *entry = cairn_alloc_zeroed(1, sizeof *entry);
        bool decoded = version_manifest_decode(
            cairn_reader(cairn_bytes(bytes.data + VERSION_PREFIX_BYTES, bytes.size - VERSION_PREFIX_BYTES - 4)),
            &entry->version, &entry->memory);

        assert(decoded);
        (void)decoded;
        insert(versions, entry);
        count_in(versions, entry);
        versions->current = draft->number;
    } else {
        versions->uncertain |= draft->uncertain;
        *err = draft->err;
    }
    cairn_buf_done(&draft->bytes);
    return draft->code;
}

enum cairn_code versions_add(struct versions *versions, const struct version *version, uint64_t *ret_number,
                             struct cairn_err *err)
{
    struct version_draft draft;
    enum cairn_code code = versions_draft(versions, version, &draft, err);

    if (code != CAIRN_OK)
        return code;
    version_draft_write(&draft);
    code = versions_enter(versions, &draft, err);
    if (code == CAIRN_OK)
        *ret_number = draft.number;
    return code;
}

enum cairn_code versions_import(struct versions *versions, uint64_t number, struct cairn_bytes manifest,
                                struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    struct entry *entry;
    enum cairn_code code = check_certain(versions, err);

    if (code == CAIRN_OK && find(versions, number))
        code = cairn_fail(err, CAIRN_ECONFLICT, "there is a version %" PRIu64 " already", number);
    version_manifest_path(number, path);
    if (code == CAIRN_OK)
        code = cairn_disk_replace_file(versions->disk, path, manifest, err);
    if (code != CAIRN_OK)
        return code;
    entry = cairn_alloc_zeroed(1, sizeof *entry);
    entry->version.number = number;
    code = read_manifest(versions, entry, err);
    if (code != CAIRN_OK) {
        entry_free(entry);
        versions->disk->ops->remove(versions->disk, path, NULL);
        return code;
    }
    note_runs(versions, entry);
    insert(versions, entry);
    count_in(versions, entry);
    if (number >= versions->next_number) {
        versions->current = number;
        versions->next_number = number + 1;
    }
    return CAIRN_OK;
}

enum cairn_code versions_get_manifest(struct versions *versions, uint64_t number, struct cairn_buf *to,
                                      struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];

    version_manifest_path(number, path);
    return cairn_disk_read_file(versions->disk, path, VERSION_MANIFEST_BYTES_MAX, to, err);
}

/* CAIRN_OK and *ret_there. */
static enum cairn_code is_there(struct cairn_disk *disk, const struct run_about *about, bool *ret_there,
                                struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    struct cairn_file *file = NULL;
    enum cairn_code code;

    run_path(about->id, path);
    code = disk->ops->open(disk, path, CAIRN_OPEN_READ, &file, err);
    disk->ops->close(file);
    *ret_there = code == CAIRN_OK;
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

enum cairn_code versions_fetch(struct versions *versions, const struct version *version, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (size_t i = 0; versions->source && code == CAIRN_OK && i < version->run_count; i++) {
        bool there;

        code = is_there(versions->disk, &version->runs[i], &there, err);
        if (code == CAIRN_OK && !there)
            code = versions->source->fetch(versions->source->context, &version->runs[i], err);
    }
    return code;
}

static enum cairn_code verify(struct cairn_disk *disk, const struct run_about *about, struct cairn_err *err)
{
    struct run *run;
    enum cairn_code code = run_open(disk, about, &run, err);

    if (code != CAIRN_OK)
        return code;
    code = run_verify(run, err);
    run_close(run);
    return code;
}

enum cairn_code versions_verify(struct versions *versions, uint64_t number, struct cairn_err *err)
{
    struct entry *entry;
    enum cairn_code code = known(versions, number, &entry, err);

    if (code != CAIRN_OK)
        return code;
    if (entry->code != CAIRN_OK)
        return cairn_fail(err, entry->code, "%s", entry->why);
    code = versions_fetch(versions, &entry->version, err);
    for (size_t i = 0; code == CAIRN_OK && i < entry->version.run_count; i++) {
        const struct run_about *about = &entry->version.runs[i];
        const struct version_source *source = versions->source;

        code = verify(versions->disk, about, err);
        if (code == CAIRN_ECORRUPT && source) { /* the copy may be whole */
            code = source->fetch(source->context, about, err);
            if (code == CAIRN_OK)
                code = verify(versions->disk, about, err);
        }
    }
    return code;
}

enum cairn_code versions_switch(struct versions *versions, uint64_t number, struct cairn_err *err)
{
    assert(find(versions, number));
    return write_head(versions, number, versions->branch + 1, err);
}

enum cairn_code versions_restore(struct versions *versions, uint64_t number, struct cairn_err *err)
{
    enum cairn_code code = versions_verify(versions, number, err);

    return code == CAIRN_OK ? versions_switch(versions, number, err) : code;
}

enum cairn_code versions_pin(struct versions *versions, uint64_t number, bool pinned, struct cairn_err *err)
{
    struct entry *entry;
    enum cairn_code code = known(versions, number, &entry, err);
    bool before;

    if (code != CAIRN_OK)
        return code;
    before = entry->version.pinned;
    entry->version.pinned = pinned;
    code = write_head(versions, versions->current, versions->branch, err);
    if (code != CAIRN_OK)
        entry->version.pinned = before;
    return code;
}

enum cairn_code versions_forget(struct versions *versions, uint64_t number, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    struct entry *entry;
    enum cairn_code code = known(versions, number, &entry, err);

    if (code != CAIRN_OK)
        return code;
    if (number == versions->current)
        return cairn_fail(err, CAIRN_ECONFLICT, "version %" PRIu64 " is the one that the store is at", number);
    if (entry->version.pinned)
        return cairn_fail(err, CAIRN_ECONFLICT, "version %" PRIu64 " is pinned", number);
    /* The head knows of a number before its file goes, so that it is not given out again. */
    code = write_head(versions, versions->current, versions->branch, err);
    version_manifest_path(number, path);
    if (code == CAIRN_OK)
        code = versions->disk->ops->remove(versions->disk, path, err);
    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; i < versions->count; i++)
        if (versions->entries[i] == entry)
            take_out(versions, i);
    /* Until the name is gone for good a crash brings the version back: nothing of it may be collected. */
    code = versions->disk->ops->sync_dir(versions->disk, VERSION_DIR, err);
    versions->uncertain = code != CAIRN_OK;
    return code;
}

/* --- garbage --- */

struct sweep {
    struct cairn_buf marked;
    bool (*in_use)(void *context, uint64_t run_id);
    void *context;
    struct cairn_buf ids; /* u64 each */
    uint64_t id_max;
};

/* Whether it is known what all of them name. */
static bool are_known(const struct versions *versions)
{
    return !versions->uncertain && !versions->unreadable;
}

void versions_strike_named(const struct versions *versions, struct cairn_buf *ids)
{
    if (!are_known(versions))
        ids->size = 0;
    for (size_t i = versions->count; ids->size && i-- > 0;) { /* the newest name most of what is asked for */
        const struct version *version = &versions->entries[i]->version;

        for (size_t j = 0; j < version->run_count; j++)
            ids_strike(ids, version->runs[j].id);
    }
}

static void mark(const struct versions *versions, struct cairn_buf *ids)
{
    for (size_t i = 0; i < versions->count; i++)
        for (size_t j = 0; j < versions->entries[i]->version.run_count; j++)
            add_u64(ids, versions->entries[i]->version.runs[j].id);
    ids_sort(ids);
}

static void drop(struct versions *versions, size_t at, struct cairn_buf *paths)
{
    char path[CAIRN_PATH_BYTES];

    version_manifest_path(versions->entries[at]->version.number, path);
    cairn_buf_add(paths, path, strlen(path) + 1);
    take_out(versions, at);
}

void versions_drop(struct versions *versions, uint64_t number, struct cairn_buf *paths)
{
    assert(number < versions->current);
    for (size_t i = versions->count; i-- > 0;)
        if (versions->entries[i]->version.number == number)
            drop(versions, i, paths);
}

void versions_drop_automatic(struct versions *versions, struct cairn_buf *paths, struct cairn_buf *ids)
{
    for (size_t i = versions->count; versions->automatic && i-- > 0;) {
        const struct version *version = &versions->entries[i]->version;

        if (!version->automatic || version->number == versions->current)
            continue;
        for (size_t j = 0; j < version->run_count; j++)
            ids_insert(ids, version->runs[j].id);
        drop(versions, i, paths);
    }
}

void versions_make_automatic(struct versions *versions)
{
    struct entry *entry = find(versions, versions->current);

    if (entry && !entry->version.automatic) {
        entry->version.automatic = true;
        versions->automatic++;
    }
}

static void take_run_name(void *context, const char *name)
{
    struct sweep *sweep = context;
    uint64_t id;

    if (!run_name_parse(name, &id))
        return;
    if (id > sweep->id_max)
        sweep->id_max = id;
    if (!ids_have(&sweep->marked, id) && !(sweep->in_use && sweep->in_use(sweep->context, id)))
        add_u64(&sweep->ids, id);
}

enum cairn_code versions_collect(struct versions *versions, bool (*in_use)(void *context, uint64_t run_id),
                                 void *context, uint64_t *ret_bytes, struct cairn_err *err)
{
    struct sweep sweep = {.in_use = in_use, .context = context};
    uint64_t bytes = 0;
    enum cairn_code code = check_certain(versions, err);

    mark(versions, &sweep.marked);
    if (code == CAIRN_OK)
        code = versions->disk->ops->list(versions->disk, RUN_DIR, take_run_name, &sweep, err);
    if (code == CAIRN_OK && sweep.id_max >= versions->next_run_id)
        versions->next_run_id = sweep.id_max + 1;
    for (size_t i = 0; code == CAIRN_OK && i < versions->count; i++)
        if (versions->entries[i]->code != CAIRN_OK)
            code = cairn_fail(err, CAIRN_ECORRUPT, "%s: forget version %" PRIu64 ", and what it alone needs can go",
                              versions->entries[i]->why, versions->entries[i]->version.number);
    for (size_t at = 0; code == CAIRN_OK && at < sweep.ids.size; at += 8) {
        char path[CAIRN_PATH_BYTES];
        struct cairn_file *file;
        uint64_t size;

        run_path(cairn_get_u64(sweep.ids.data + at), path);
        code = versions->disk->ops->open(versions->disk, path, CAIRN_OPEN_READ, &file, err);
        if (code == CAIRN_OK) {
            code = versions->disk->ops->size(file, &size, err);
            versions->disk->ops->close(file);
        }
        if (code == CAIRN_OK)
            code = versions->disk->ops->remove(versions->disk, path, err);
        if (code == CAIRN_OK)
            bytes += size;
    }
    cairn_buf_done(&sweep.marked);
    cairn_buf_done(&sweep.ids);
    *ret_bytes = bytes;
    return code;
}
