#include "keeper/watch.h"

#include <stdlib.h>

#include "base/hash.h"

/* What is watched in one table. */
struct watch_path {
    struct keeper_item item; /* tree->watch_paths, by path and table */
    struct cairn_link watches;
    uint16_t table, size;
    uint8_t path[];
};

struct watch {
    struct keeper_item item; /* tree->watches, by path and session */
    struct watch_path *path;
    struct keeper_session *session;
    struct cairn_link of_path, of_session;
};

enum { MALLOC_BYTES = 16, BUDGET_EIGHTHS = 7 };

static void charge(struct keeper_tree *tree, size_t bytes, bool more)
{
    cairn_purse_add(&tree->kw->purse, more ? (int64_t)(bytes + MALLOC_BYTES) : -(int64_t)(bytes + MALLOC_BYTES));
}

static struct watch_path *path_find(const struct keeper_tree *tree, enum keeper_table table, struct cairn_bytes path)
{
    struct keeper_item *item = keeper_map_find(&tree->watch_paths, cairn_hash_seeded(path, table));

    for (; item; item = keeper_map_next(item)) {
        struct watch_path *at = cairn_container(item, struct watch_path, item);

        if (at->table == table && cairn_bytes_equal(cairn_bytes(at->path, at->size), path))
            return at;
    }
    return NULL;
}

static uint64_t key_of(const struct watch_path *path, const struct keeper_session *session)
{
    return keeper_mix((uintptr_t)path, session->item.key);
}

static struct watch *find(const struct keeper_session *session, enum keeper_table table, struct cairn_bytes path)
{
    struct watch_path *at = path_find(session->tree, table, path);
    struct keeper_item *item = at ? keeper_map_find(&session->tree->watches, key_of(at, session)) : NULL;

    for (; item; item = keeper_map_next(item)) {
        struct watch *watch = cairn_container(item, struct watch, item);

        if (watch->path == at && watch->session == session)
            return watch;
    }
    return NULL;
}

bool keeper_watch_has(const struct keeper_session *session, enum keeper_table table, struct cairn_bytes path)
{
    return find(session, table, path) != NULL;
}

bool keeper_watch_set(struct keeper_session *session, enum keeper_table table, struct cairn_bytes path)
{
    struct keeper_tree *tree = session->tree;
    struct watch_path *at;
    struct watch *watch;

    if (find(session, table, path))
        return true;
    if (cairn_budget_over(&tree->kw->worker->node->memory, BUDGET_EIGHTHS))
        return false;
    at = path_find(tree, table, path);
    if (!at) {
        at = cairn_alloc(sizeof *at + path.size);
        *at = (struct watch_path){.table = (uint16_t)table, .size = (uint16_t)path.size};
        memcpy(at->path, path.data, path.size);
        cairn_list_init(&at->watches);
        keeper_map_add(&tree->watch_paths, &at->item, cairn_hash_seeded(path, table));
        charge(tree, sizeof *at + path.size, true);
    }
    watch = cairn_alloc(sizeof *watch);
    *watch = (struct watch){.path = at, .session = session};
    cairn_list_push_back(&at->watches, &watch->of_path);
    cairn_list_push_back(&session->watches, &watch->of_session);
    keeper_map_add(&tree->watches, &watch->item, key_of(at, session));
    charge(tree, sizeof *watch, true);
    session->watch_count++;
    tree->tables[table]++;
    return true;
}

static void path_free(struct keeper_tree *tree, struct watch_path *at)
{
    charge(tree, sizeof *at + at->size, false);
    keeper_map_remove(&tree->watch_paths, &at->item);
    free(at);
}

/* Its path may be without any now. */
static void watch_free(struct watch *watch)
{
    struct keeper_tree *tree = watch->session->tree;

    tree->tables[watch->path->table]--;
    watch->session->watch_count--;
    cairn_list_remove(&watch->of_path);
    cairn_list_remove(&watch->of_session);
    keeper_map_remove(&tree->watches, &watch->item);
    charge(tree, sizeof *watch, false);
    free(watch);
}

static void watch_drop(struct watch *watch)
{
    struct keeper_tree *tree = watch->session->tree;
    struct watch_path *at = watch->path;

    watch_free(watch);
    if (cairn_list_empty(&at->watches))
        path_free(tree, at);
}

bool keeper_watch_remove(struct keeper_session *session, enum keeper_table table, struct cairn_bytes path)
{
    struct watch *watch = find(session, table, path);

    if (watch)
        watch_drop(watch);
    return watch != NULL;
}

void keeper_watches_drop(struct keeper_session *session)
{
    while (!cairn_list_empty(&session->watches))
        watch_drop(cairn_container(session->watches.next, struct watch, of_session));
}

/* --- firing --------------------------------------------------------------------------------------- */

struct firing {
    struct keeper_tree *tree;
    void (*each)(void *context, struct keeper_session *session);
    void *context;
};

/* Those of one table at one path.  The sessions that were told of this event already are not again. */
static void fire_at(const struct firing *firing, enum keeper_table table, struct cairn_bytes path)
{
    struct keeper_tree *tree = firing->tree;
    bool once = table == TABLE_DATA || table == TABLE_CHILD;
    struct watch_path *at = tree->tables[table] ? path_find(tree, table, path) : NULL;

    if (!at)
        return;
    for (struct cairn_link *l = at->watches.next, *next; l != &at->watches; l = next) {
        struct watch *watch = cairn_container(l, struct watch, of_path);
        struct keeper_session *session = watch->session;

        next = l->next;
        if (once)
            watch_free(watch);
        if (session->stamp != tree->stamp) {
            session->stamp = tree->stamp;
            firing->each(firing->context, session);
        }
    }
    if (once)
        path_free(tree, at);
}

/* At its prefixes that are paths; the root is the last. */
static void fire_above(const struct firing *firing, enum keeper_table table, struct cairn_bytes path)
{
    for (size_t i = path.size; i-- > 0;)
        if (path.data[i] == '/' && path.size > 1)
            fire_at(firing, table, cairn_bytes(path.data, i ? i : 1));
}

void keeper_watch_fire(struct keeper_tree *tree, struct cairn_bytes path, unsigned tables,
                       void (*each)(void *context, struct keeper_session *session), void *context)
{
    struct firing firing = {tree, each, context};

    tree->stamp++;
    for (int table = 0; table < KEEPER_TABLES; table++)
        if (tables & 1u << table && tree->tables[table]) {
            fire_at(&firing, table, path);
            if (table >= TABLE_RECURSIVE)
                fire_above(&firing, table, path);
        }
}

/* --- telling of them ------------------------------------------------------------------------------ */

void keeper_watch_paths(const struct keeper_session *session, struct cairn_buf *to)
{
    for (struct cairn_link *l = session->watches.next; l != &session->watches; l = l->next) {
        const struct watch *watch = cairn_container(l, struct watch, of_session);
        struct cairn_bytes path = cairn_bytes(watch->path->path, watch->path->size);
        bool told = false;

        for (int table = 0; table < watch->path->table; table++)
            told |= find(session, table, path) != NULL;
        if (told)
            continue;
        cairn_buf_add(to, path.data, path.size);
        cairn_buf_u8(to, 0);
    }
}
