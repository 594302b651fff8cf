/* disk_sim.c - a disk in memory that can fail, lose and tear.
 *
 * Every file has two images: what reads see, and what is durable.  A write changes the first
 * and is remembered; a sync applies what is remembered to the second; a crash decides by its
 * kind which remembered writes reach the second, and makes it the first.  Names work the same
 * way: operations on them change the table that calls see and are remembered until their
 * folder is synced.  The two images share their bytes until the first write, which makes
 * clones and flip sweeps cheap.  One lock guards all, so that a threaded log can run on it. */
#include "io/disk.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/random.h"

enum { SECTOR_BYTES = 512 };

struct image {
    uint8_t *data;
    size_t size, capacity;
};

struct pending_write {
    struct pending_write *next;
    uint64_t offset;
    size_t size;
    uint8_t data[];
};

struct node {
    struct cairn_link all; /* in sim->nodes */
    bool is_dir;
    unsigned handles;
    struct image seen, durable; /* durable.data == seen.data: shared, nothing is pending */
    struct pending_write *first, **last;
};

struct entry {
    char *path;
    struct node *node;
};

struct table {
    struct entry *entries; /* sorted by path */
    size_t count, capacity;
};

enum name_op_kind { NAME_ADD, NAME_REMOVE, NAME_RENAME };

/* A change of names that its folder's sync has not made durable yet. */
struct name_op {
    struct name_op *next;
    enum name_op_kind kind;
    char *path, *to;
    struct node *node;
};

struct sim_disk {
    struct cairn_disk base;
    pthread_mutex_t lock; /* guards all below */
    struct cairn_random random;
    struct cairn_link nodes;
    struct table seen, durable;
    struct name_op *first_op, **last_op;
    uint64_t calls, fail_at, halt_at; /* UINT64_MAX: never */
    enum cairn_code fail_code;
    bool fired, locked;
    uint64_t generation; /* crashes so far: older handles are dead */
    size_t capacity;     /* of all files together; SIZE_MAX: no bound */
};

struct sim_file {
    struct cairn_file base;
    struct node *node;
    uint64_t generation;
    bool writable, sync_failed;
};

static struct sim_disk *disk_of(struct cairn_disk *disk)
{
    return (struct sim_disk *)(void *)disk;
}

static struct sim_file *file_of(struct cairn_file *file)
{
    return (struct sim_file *)(void *)file;
}

/* --- images ---------------------------------------------------------------------------------- */

static void image_put(struct image *image, uint64_t offset, const void *from, size_t size)
{
    size_t end = (size_t)offset + size;

    if (end > image->capacity) {
        image->capacity = end > image->capacity * 2 ? end : image->capacity * 2;
        image->data = cairn_realloc(image->data, image->capacity);
    }
    if (end > image->size) {
        memset(image->data + image->size, 0, end - image->size);
        image->size = end;
    }
    if (size)
        memcpy(image->data + offset, from, size);
}

static struct image image_copy(const struct image *image)
{
    struct image copy = {0};

    image_put(&copy, 0, image->data, image->size);
    return copy;
}

static bool is_shared(const struct node *node)
{
    return node->seen.data == node->durable.data && node->seen.data;
}

static void drop_pending(struct node *node)
{
    while (node->first) {
        struct pending_write *next = node->first->next;
        free(node->first);
        node->first = next;
    }
    node->last = &node->first;
}

static void node_write(struct node *node, uint64_t offset, const void *from, size_t size)
{
    struct pending_write *write = cairn_alloc(sizeof *write + size);

    if (is_shared(node))
        node->durable = image_copy(&node->seen);
    write->next = NULL;
    write->offset = offset;
    write->size = size;
    if (size)
        memcpy(write->data, from, size);
    *node->last = write;
    node->last = &write->next;
    image_put(&node->seen, offset, from, size);
}

static void node_sync(struct node *node)
{
    for (struct pending_write *write = node->first; write; write = write->next)
        image_put(&node->durable, write->offset, write->data, write->size);
    drop_pending(node);
}

/* Each sector that a write touches comes through or not, by the seed. */
static void tear(struct sim_disk *sim, struct node *node)
{
    for (struct pending_write *write = node->first; write; write = write->next) {
        size_t done = 0;
        while (done < write->size) {
            size_t size = SECTOR_BYTES - (size_t)((write->offset + done) % SECTOR_BYTES);
            if (size > write->size - done)
                size = write->size - done;
            if (cairn_random_below(&sim->random, 2))
                image_put(&node->durable, write->offset + done, write->data + done, size);
            done += size;
        }
    }
}

static void node_crash(struct sim_disk *sim, struct node *node, enum cairn_sim_crash how)
{
    if (is_shared(node))
        return;
    if (how == CAIRN_SIM_KEEP)
        node_sync(node);
    else if (how == CAIRN_SIM_TEAR)
        tear(sim, node);
    drop_pending(node);
    free(node->seen.data);
    node->seen = node->durable;
}

static struct node *node_create(struct sim_disk *sim, bool is_dir)
{
    struct node *node = cairn_alloc_zeroed(1, sizeof *node);

    node->is_dir = is_dir;
    node->last = &node->first;
    cairn_list_push_back(&sim->nodes, &node->all);
    return node;
}

static void node_free(struct node *node)
{
    cairn_list_remove(&node->all);
    drop_pending(node);
    if (!is_shared(node))
        free(node->durable.data);
    free(node->seen.data);
    free(node);
}

/* --- names ----------------------------------------------------------------------------------- */

static size_t table_find(const struct table *table, const char *path, bool *ret_found)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(table->entries[middle].path, path);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

static struct node *table_get(const struct table *table, const char *path)
{
    bool found;
    size_t at = table_find(table, path, &found);

    return found ? table->entries[at].node : NULL;
}

static void table_put(struct table *table, const char *path, struct node *node)
{
    bool found;
    size_t at = table_find(table, path, &found);

    if (found) {
        table->entries[at].node = node;
        return;
    }
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 16;
        table->entries = cairn_realloc(table->entries, table->capacity * sizeof *table->entries);
    }
    memmove(table->entries + at + 1, table->entries + at, (table->count - at) * sizeof *table->entries);
    table->entries[at] = (struct entry){cairn_bytes_dup(cairn_str(path)), node};
    table->count++;
}

static void table_drop(struct table *table, const char *path)
{
    bool found;
    size_t at = table_find(table, path, &found);

    if (!found)
        return;
    free(table->entries[at].path);
    table->count--;
    memmove(table->entries + at, table->entries + at + 1, (table->count - at) * sizeof *table->entries);
}

static bool table_holds(const struct table *table, const struct node *node)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->entries[i].node == node)
            return true;
    return false;
}

static void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->entries[i].path);
    table->count = 0;
}

static void table_copy(struct table *to, const struct table *from)
{
    table_clear(to);
    for (size_t i = 0; i < from->count; i++)
        table_put(to, from->entries[i].path, from->entries[i].node);
}

static size_t folder_size(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) : 0;
}

static bool is_in_folder(const char *path, const char *folder)
{
    size_t size = folder_size(path);

    return size == strlen(folder) && memcmp(path, folder, size) == 0;
}

static bool folder_exists(const struct table *table, const char *path)
{
    char folder[CAIRN_PATH_BYTES];
    size_t size = folder_size(path);
    struct node *node;

    if (size == 0)
        return true;
    memcpy(folder, path, size);
    folder[size] = 0;
    node = table_get(table, folder);
    return node && node->is_dir;
}

static void apply_op(struct table *table, const struct name_op *op)
{
    switch (op->kind) {
    case NAME_ADD:
        table_put(table, op->path, op->node);
        break;
    case NAME_REMOVE:
        if (table_get(table, op->path) == op->node)
            table_drop(table, op->path);
        break;
    case NAME_RENAME:
        if (table_get(table, op->path) == op->node)
            table_drop(table, op->path);
        table_put(table, op->to, op->node);
        break;
    }
}

static void remember_op(struct sim_disk *sim, enum name_op_kind kind, const char *path, const char *to,
                        struct node *node)
{
    struct name_op *op = cairn_alloc_zeroed(1, sizeof *op);

    op->kind = kind;
    op->path = cairn_bytes_dup(cairn_str(path));
    op->to = to ? cairn_bytes_dup(cairn_str(to)) : NULL;
    op->node = node;
    *sim->last_op = op;
    sim->last_op = &op->next;
    apply_op(&sim->seen, op);
}

static void free_op(struct name_op *op)
{
    free(op->path);
    free(op->to);
    free(op);
}

/* Makes the remembered operations of one folder durable (folder == NULL: of all). */
static void flush_ops(struct sim_disk *sim, const char *folder)
{
    struct name_op **at = &sim->first_op;

    while (*at) {
        struct name_op *op = *at;
        if (folder && !is_in_folder(op->path, folder) && !(op->to && is_in_folder(op->to, folder))) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        apply_op(&sim->durable, op);
        free_op(op);
    }
    sim->last_op = at;
}

static void crash_names(struct sim_disk *sim, enum cairn_sim_crash how)
{
    while (sim->first_op) {
        struct name_op *op = sim->first_op;
        sim->first_op = op->next;
        if (how == CAIRN_SIM_KEEP || (how == CAIRN_SIM_TEAR && cairn_random_below(&sim->random, 2)))
            apply_op(&sim->durable, op);
        free_op(op);
    }
    sim->last_op = &sim->first_op;
    /* What lay in a folder that is gone is gone with it. */
    for (size_t i = 0; i < sim->durable.count;) {
        if (folder_exists(&sim->durable, sim->durable.entries[i].path)) {
            i++;
        } else {
            table_drop(&sim->durable, sim->durable.entries[i].path);
            i = 0;
        }
    }
    table_copy(&sim->seen, &sim->durable);
}

/* Frees files that nothing can reach any more. */
static void sweep(struct sim_disk *sim)
{
    struct cairn_link *link = sim->nodes.next;

    while (link != &sim->nodes) {
        struct node *node = cairn_container(link, struct node, all);
        bool used = node->handles || table_holds(&sim->seen, node) || table_holds(&sim->durable, node);
        for (struct name_op *op = sim->first_op; op && !used; op = op->next)
            used = op->node == node;
        link = link->next;
        if (!used)
            node_free(node);
    }
}

/* Bytes of all files that still take room. */
static size_t used_bytes(const struct sim_disk *sim)
{
    size_t used = 0;

    for (struct cairn_link *link = sim->nodes.next; link != &sim->nodes; link = link->next) {
        struct node *node = cairn_container(link, struct node, all);
        if (node->handles || table_holds(&sim->seen, node))
            used += node->seen.size;
    }
    return used;
}

/* --- calls ----------------------------------------------------------------------------------- */

/* Takes the lock and counts the call; on failure (planned, or the power is gone) the lock is kept too. */
static enum cairn_code enter(struct sim_disk *sim, const char *what, const char *path, struct cairn_err *err)
{
    uint64_t call;

    pthread_mutex_lock(&sim->lock);
    call = sim->calls++;
    if (call >= sim->halt_at) {
        sim->fired = true;
        return cairn_fail(err, CAIRN_EIO, "cannot %s '%s': the power is gone", what, path);
    }
    if (call == sim->fail_at) {
        sim->fired = true;
        return cairn_fail(err, sim->fail_code, "cannot %s '%s': planned failure of call %llu", what, path,
                          (unsigned long long)call);
    }
    return CAIRN_OK;
}

static enum cairn_code leave(struct sim_disk *sim, enum cairn_code code)
{
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static enum cairn_code enter_file(struct cairn_file *file, const char *what, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(file->disk);
    enum cairn_code code = enter(sim, what, file->path, err);

    if (code == CAIRN_OK && file_of(file)->generation != sim->generation)
        code = cairn_fail(err, CAIRN_EIO, "cannot %s '%s': opened before the crash", what, file->path);
    return code;
}

static enum cairn_code sim_open(struct cairn_disk *disk, const char *path, unsigned flags, struct cairn_file **ret_file,
                                struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "open", path, err);
    struct sim_file *file;
    struct node *node;

    if (code != CAIRN_OK)
        return leave(sim, code);
    node = table_get(&sim->seen, path);
    if (flags & CAIRN_OPEN_CREATE) {
        if (node)
            return leave(sim, cairn_fail(err, CAIRN_ECONFLICT, "'%s' exists already", path));
        if (!folder_exists(&sim->seen, path))
            return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "cannot open '%s': no such folder", path));
        node = node_create(sim, false);
        remember_op(sim, NAME_ADD, path, NULL, node);
    }
    if (!node)
        return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "cannot open '%s': no such file", path));
    if (node->is_dir)
        return leave(sim, cairn_fail(err, CAIRN_EIO, "cannot open '%s': is a folder", path));
    file = cairn_alloc_zeroed(1, sizeof *file);
    file->base.disk = disk;
    file->base.path = cairn_bytes_dup(cairn_str(path));
    file->node = node;
    file->generation = sim->generation;
    file->writable = (flags & CAIRN_OPEN_WRITE) != 0;
    node->handles++;
    *ret_file = &file->base;
    return leave(sim, CAIRN_OK);
}

static enum cairn_code sim_read_at(struct cairn_file *file, uint64_t offset, void *to, size_t size,
                                   struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(file->disk);
    enum cairn_code code = enter_file(file, "read", err);
    struct image *image = &file_of(file)->node->seen;

    if (code != CAIRN_OK)
        return leave(sim, code);
    if (offset > image->size || size > image->size - offset)
        return leave(sim, cairn_fail(err, CAIRN_EIO, "short read: '%s' ends at byte %zu", file->path, image->size));
    if (size)
        memcpy(to, image->data + offset, size);
    return leave(sim, CAIRN_OK);
}

static enum cairn_code sim_write_at(struct cairn_file *file, uint64_t offset, const void *from, size_t size,
                                    struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(file->disk);
    enum cairn_code code = enter_file(file, "write", err);
    struct node *node = file_of(file)->node;
    size_t end = (size_t)offset + size, room;

    assert(file_of(file)->writable);
    if (code != CAIRN_OK) {
        /* Any part may have been written, also when the power goes in the middle of the call. */
        if (file_of(file)->generation == sim->generation && sim->calls - 1 <= sim->halt_at)
            node_write(node, offset, from, (size_t)cairn_random_below(&sim->random, size + 1));
        return leave(sim, code);
    }
    if (sim->capacity != SIZE_MAX && end > node->seen.size) {
        room = used_bytes(sim);
        room = room < sim->capacity ? sim->capacity - room : 0;
        if (end - node->seen.size > room) {
            size_t fits = node->seen.size + room > offset ? node->seen.size + room - (size_t)offset : 0;
            if (fits)
                node_write(node, offset, from, fits);
            return leave(sim, cairn_fail(err, CAIRN_EFULL, "cannot write '%s' at byte %llu: no room", file->path,
                                         (unsigned long long)offset));
        }
    }
    if (size)
        node_write(node, offset, from, size);
    return leave(sim, CAIRN_OK);
}

static enum cairn_code sim_sync(struct cairn_file *file, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(file->disk);
    enum cairn_code code = enter_file(file, "sync", err);
    struct node *node = file_of(file)->node;

    /* The one use of a handle that no caller may make; caught here rather than allowed. */
    assert(!file_of(file)->sync_failed);
    if (code == CAIRN_OK)
        node_sync(node);
    else if (file_of(file)->generation == sim->generation && sim->calls <= sim->halt_at)
        drop_pending(node);
    file_of(file)->sync_failed = code != CAIRN_OK;
    return leave(sim, code);
}

static enum cairn_code sim_size(struct cairn_file *file, uint64_t *ret_bytes, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(file->disk);
    enum cairn_code code = enter_file(file, "ask for the size of", err);

    if (code == CAIRN_OK)
        *ret_bytes = file_of(file)->node->seen.size;
    return leave(sim, code);
}

static void sim_close(struct cairn_file *file)
{
    struct sim_disk *sim;

    if (!file)
        return;
    sim = disk_of(file->disk);
    pthread_mutex_lock(&sim->lock);
    file_of(file)->node->handles--;
    if (!file_of(file)->node->handles)
        sweep(sim);
    pthread_mutex_unlock(&sim->lock);
    free(file->path);
    free(file);
}

static enum cairn_code sim_rename(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "rename", from, err);
    struct node *node;

    if (code != CAIRN_OK)
        return leave(sim, code);
    node = table_get(&sim->seen, from);
    if (!node || !folder_exists(&sim->seen, to))
        return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "cannot rename '%s' to '%s': no such file", from, to));
    if (strcmp(from, to) != 0)
        remember_op(sim, NAME_RENAME, from, to, node);
    sweep(sim);
    return leave(sim, CAIRN_OK);
}

static enum cairn_code sim_rename_new(struct cairn_disk *disk, const char *from, const char *to, struct cairn_err *err)
{
    if (table_get(&disk_of(disk)->seen, to))
        return cairn_fail(err, CAIRN_ECONFLICT, "'%s' is there already", to);
    return sim_rename(disk, from, to, err);
}

static enum cairn_code sim_remove(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "remove", path, err);
    struct node *node;

    if (code != CAIRN_OK)
        return leave(sim, code);
    node = table_get(&sim->seen, path);
    if (!node || node->is_dir)
        return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "cannot remove '%s': no such file", path));
    remember_op(sim, NAME_REMOVE, path, NULL, node);
    return leave(sim, CAIRN_OK);
}

/* There is no clock here: everything was written long ago. */
static enum cairn_code sim_age(struct cairn_disk *disk, const char *path, uint64_t *ret_bytes, uint64_t *ret_age_ms,
                               struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "ask for the age of", path, err);
    struct node *node;

    if (code != CAIRN_OK)
        return leave(sim, code);
    node = table_get(&sim->seen, path);
    if (!node || node->is_dir)
        return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "there is no file '%s'", path));
    *ret_bytes = node->seen.size;
    *ret_age_ms = UINT32_MAX;
    return leave(sim, CAIRN_OK);
}

static enum cairn_code sim_make_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "make the folder", path, err);
    struct node *node;

    if (code != CAIRN_OK)
        return leave(sim, code);
    node = table_get(&sim->seen, path);
    if (node)
        return leave(sim, node->is_dir ? CAIRN_OK : cairn_fail(err, CAIRN_EIO, "'%s' is not a folder", path));
    if (!folder_exists(&sim->seen, path))
        return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "cannot make the folder '%s': no such folder", path));
    remember_op(sim, NAME_ADD, path, NULL, node_create(sim, true));
    return leave(sim, CAIRN_OK);
}

static enum cairn_code sim_sync_dir(struct cairn_disk *disk, const char *path, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "sync the folder", path, err);

    if (code != CAIRN_OK)
        return leave(sim, code);
    if (path[0] && (!table_get(&sim->seen, path) || !table_get(&sim->seen, path)->is_dir))
        return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "cannot sync the folder '%s': no such folder", path));
    flush_ops(sim, path);
    sweep(sim);
    return leave(sim, CAIRN_OK);
}

static enum cairn_code sim_list(struct cairn_disk *disk, const char *path,
                                void (*visit)(void *context, const char *name), void *context, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "list the folder", path, err);
    size_t count = 0;
    char **names;

    if (code != CAIRN_OK)
        return leave(sim, code);
    if (path[0] && (!table_get(&sim->seen, path) || !table_get(&sim->seen, path)->is_dir))
        return leave(sim, cairn_fail(err, CAIRN_ENOTFOUND, "cannot list the folder '%s': no such folder", path));
    names = cairn_alloc(sim->seen.count * sizeof *names + 1);
    for (size_t i = 0; i < sim->seen.count; i++) {
        const struct entry *entry = &sim->seen.entries[i];
        if (!entry->node->is_dir && is_in_folder(entry->path, path))
            names[count++] = cairn_bytes_dup(cairn_str(entry->path + (path[0] ? strlen(path) + 1 : 0)));
    }
    leave(sim, CAIRN_OK);
    for (size_t i = 0; i < count; i++) {
        visit(context, names[i]); /* outside the lock: it may call */
        free(names[i]);
    }
    free(names);
    return CAIRN_OK;
}

static enum cairn_code sim_lock(struct cairn_disk *disk, struct cairn_err *err)
{
    struct sim_disk *sim = disk_of(disk);
    enum cairn_code code = enter(sim, "lock", "the disk", err);

    if (code == CAIRN_OK && sim->locked)
        code = cairn_fail(err, CAIRN_ELOCKED, "'%s' is in use by another node: stop it or choose another folder",
                          disk->root);
    if (code == CAIRN_OK)
        sim->locked = true;
    return leave(sim, code);
}

static struct cairn_disk *sim_close_disk(struct cairn_disk *disk)
{
    struct sim_disk *sim = disk_of(disk);

    while (sim->first_op) {
        struct name_op *op = sim->first_op;
        sim->first_op = op->next;
        free_op(op);
    }
    while (!cairn_list_empty(&sim->nodes)) {
        struct node *node = cairn_container(sim->nodes.next, struct node, all);
        assert(node->handles == 0);
        node_free(node);
    }
    table_clear(&sim->seen);
    table_clear(&sim->durable);
    free(sim->seen.entries);
    free(sim->durable.entries);
    pthread_mutex_destroy(&sim->lock);
    free(disk->root);
    free(sim);
    return NULL;
}

static const struct cairn_disk_ops sim_ops = {
    .open = sim_open,
    .read_at = sim_read_at,
    .write_at = sim_write_at,
    .sync = sim_sync,
    .size = sim_size,
    .close = sim_close,
    .rename = sim_rename,
    .rename_new = sim_rename_new,
    .remove = sim_remove,
    .make_dir = sim_make_dir,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .age = sim_age,
    .lock = sim_lock,
    .close_disk = sim_close_disk,
};

/* --- the simulator's side -------------------------------------------------------------------- */

struct cairn_disk *cairn_sim_disk_create(uint64_t seed)
{
    struct sim_disk *sim = cairn_alloc_zeroed(1, sizeof *sim);

    sim->base.ops = &sim_ops;
    sim->base.root = cairn_bytes_dup(cairn_str("simulated"));
    pthread_mutex_init(&sim->lock, NULL);
    cairn_random_init(&sim->random, seed);
    cairn_list_init(&sim->nodes);
    sim->last_op = &sim->first_op;
    sim->fail_at = sim->halt_at = UINT64_MAX;
    sim->capacity = SIZE_MAX;
    return &sim->base;
}

void cairn_sim_disk_fail_call(struct cairn_disk *disk, int64_t n, enum cairn_code code)
{
    struct sim_disk *sim = disk_of(disk);

    pthread_mutex_lock(&sim->lock);
    sim->fail_at = n < 0 ? UINT64_MAX : sim->calls + (uint64_t)n;
    sim->fail_code = code;
    sim->fired = false;
    pthread_mutex_unlock(&sim->lock);
}

void cairn_sim_disk_halt_at(struct cairn_disk *disk, int64_t n)
{
    struct sim_disk *sim = disk_of(disk);

    pthread_mutex_lock(&sim->lock);
    sim->halt_at = n < 0 ? UINT64_MAX : sim->calls + (uint64_t)n;
    sim->fired = false;
    pthread_mutex_unlock(&sim->lock);
}

uint64_t cairn_sim_disk_calls(struct cairn_disk *disk)
{
    struct sim_disk *sim = disk_of(disk);
    uint64_t calls;

    pthread_mutex_lock(&sim->lock);
    calls = sim->calls;
    pthread_mutex_unlock(&sim->lock);
    return calls;
}

bool cairn_sim_disk_fired(struct cairn_disk *disk)
{
    struct sim_disk *sim = disk_of(disk);
    bool fired;

    pthread_mutex_lock(&sim->lock);
    fired = sim->fired;
    pthread_mutex_unlock(&sim->lock);
    return fired;
}

void cairn_sim_disk_set_room(struct cairn_disk *disk, size_t bytes)
{
    struct sim_disk *sim = disk_of(disk);

    pthread_mutex_lock(&sim->lock);
    sim->capacity = bytes == SIZE_MAX ? SIZE_MAX : used_bytes(sim) + bytes;
    pthread_mutex_unlock(&sim->lock);
}

void cairn_sim_disk_crash(struct cairn_disk *disk, enum cairn_sim_crash how)
{
    struct sim_disk *sim = disk_of(disk);

    pthread_mutex_lock(&sim->lock);
    crash_names(sim, how);
    for (struct cairn_link *link = sim->nodes.next; link != &sim->nodes; link = link->next)
        node_crash(sim, cairn_container(link, struct node, all), how);
    sim->generation++;
    sim->halt_at = sim->fail_at = UINT64_MAX;
    sim->locked = false;
    sweep(sim);
    pthread_mutex_unlock(&sim->lock);
}

uint8_t *cairn_sim_disk_bytes(struct cairn_disk *disk, const char *path, size_t *ret_size)
{
    struct sim_disk *sim = disk_of(disk);
    struct node *node;
    uint8_t *bytes = NULL;

    pthread_mutex_lock(&sim->lock);
    node = table_get(&sim->seen, path);
    if (node && !node->is_dir) {
        if (!is_shared(node)) { /* one image from now on, the one that reads see */
            drop_pending(node);
            free(node->durable.data);
            node->durable = node->seen;
        }
        bytes = node->seen.data;
        *ret_size = node->seen.size;
    }
    pthread_mutex_unlock(&sim->lock);
    return bytes;
}

struct cairn_disk *cairn_sim_disk_clone(struct cairn_disk *disk)
{
    struct sim_disk *sim = disk_of(disk), *clone;

    pthread_mutex_lock(&sim->lock);
    clone = disk_of(cairn_sim_disk_create(0));
    clone->random = sim->random;
    clone->capacity = sim->capacity;
    for (size_t i = 0; i < sim->seen.count; i++) {
        const struct entry *entry = &sim->seen.entries[i];
        struct node *node = node_create(clone, entry->node->is_dir);
        if (entry->node->seen.size)
            node->seen = image_copy(&entry->node->seen);
        node->durable = node->seen;
        table_put(&clone->seen, entry->path, node);
        table_put(&clone->durable, entry->path, node);
    }
    pthread_mutex_unlock(&sim->lock);
    return &clone->base;
}
