#include "object/space.h"

#include <assert.h>
#include <stdlib.h>

enum { TABLE_SLOTS = 16 };

/* Open addressing by hash, at most half full.  Those before it stay until the end: someone may be reading them. */
struct space_table {
    struct space_table *before;
    uint32_t mask;
    _Atomic(struct space *) slots[];
};

static struct space_table *table_make(struct space_table *before, uint32_t size)
{
    struct space_table *table = cairn_alloc_zeroed(1, sizeof *table + size * sizeof table->slots[0]);

    table->before = before;
    table->mask = size - 1;
    return table;
}

static void table_put(struct space_table *table, struct space *space)
{
    uint32_t slot = (uint32_t)space->hash & table->mask;

    while (atomic_load_explicit(&table->slots[slot], memory_order_relaxed))
        slot = (slot + 1) & table->mask;
    atomic_store_explicit(&table->slots[slot], space, memory_order_release);
}

static struct space_table *table_grow(struct space_table *from)
{
    struct space_table *to = table_make(from, 2 * (from->mask + 1));

    for (uint32_t i = 0; i <= from->mask; i++) {
        struct space *space = atomic_load_explicit(&from->slots[i], memory_order_relaxed);
        if (space)
            table_put(to, space);
    }
    return to;
}

void spaces_init(struct spaces *spaces, uint32_t workers)
{
    *spaces = (struct spaces){.workers = workers};
    pthread_mutex_init(&spaces->lock, NULL);
    atomic_init(&spaces->table, table_make(NULL, TABLE_SLOTS));
    spaces->first = spaces_intern(spaces, cairn_str(SPACE_DEFAULT));
    space_gate(spaces->first, SPACE_GONE, false);
}

void spaces_done(struct spaces *spaces)
{
    struct space_table *table = atomic_load(&spaces->table);

    for (uint32_t i = 0; i <= table->mask; i++) {
        struct space *space = atomic_load(&table->slots[i]);

        for (uint32_t w = 0; space && !space->parent && w < spaces->workers; w++)
            free(atomic_load(&space->meters[w].use));
        free(space);
    }
    while (table) {
        struct space_table *before = table->before;
        free(table);
        table = before;
    }
    pthread_mutex_destroy(&spaces->lock);
}

struct space *spaces_find(struct spaces *spaces, struct cairn_bytes name)
{
    const struct space_table *table = atomic_load_explicit(&spaces->table, memory_order_acquire);
    uint64_t hash = cairn_hash(name);
    struct space *space;

    for (uint32_t slot = (uint32_t)hash & table->mask;; slot = (slot + 1) & table->mask) {
        space = atomic_load_explicit(&((struct space_table *)(uintptr_t)table)->slots[slot], memory_order_acquire);
        if (!space || (space->hash == hash && cairn_bytes_equal(space->name, name)))
            return space;
    }
}

/* One block: the space, its meters unless they are its parent's, its name. */
static struct space *space_make(const struct spaces *spaces, struct cairn_bytes name, struct space *parent)
{
    uint32_t workers = spaces->workers;
    size_t meters = parent ? 0 : workers * sizeof(struct space_meter);
    struct space *space = cairn_alloc_zeroed(1, sizeof *space + meters + name.size + 1);
    uint8_t *text = (uint8_t *)(space + 1) + meters;

    space->parent = parent;
    space->defaults = spaces->defaults;
    space->meters = parent ? parent->meters : (struct space_meter *)(space + 1);
    space->name = cairn_bytes(text, name.size);
    if (name.size)
        memcpy(text, name.data, name.size);
    /* What is asked of a compartment passes its namespace's gate (quota_admit), so its own stays as it is. */
    atomic_init(&space->gate, parent ? SPACE_LIMITED : SPACE_GONE);
    space->hash = cairn_hash(name);
    space->shift = space_shift(name);
    space->counts = parent ? parent->counts : !cairn_bytes_equal(name, cairn_str(SPACE_DEFAULT));
    return space;
}

bool spaces_lack(struct spaces *spaces, struct cairn_bytes name)
{
    const struct space *space = spaces_find(spaces, space_payer_name(name));

    return !space || !space_is_open(space);
}

struct space *spaces_intern(struct spaces *spaces, struct cairn_bytes name)
{
    struct cairn_bytes payer = space_payer_name(name);
    struct space *parent = payer.size < name.size ? space_payer(spaces_intern(spaces, payer)) : NULL, *space;
    struct space_table *table;

    pthread_mutex_lock(&spaces->lock);
    space = spaces_find(spaces, name);
    if (!space) {
        space = space_make(spaces, name, parent);
        table = atomic_load_explicit(&spaces->table, memory_order_relaxed);
        if (2 * ++spaces->count > table->mask + 1) {
            table = table_grow(table);
            atomic_store_explicit(&spaces->table, table, memory_order_release);
        }
        table_put(table, space);
        if (spaces->last)
            atomic_store_explicit(&spaces->last->next, space, memory_order_release);
        spaces->last = space;
    }
    pthread_mutex_unlock(&spaces->lock);
    return space;
}

enum { COMPARTMENT_BYTES_MAX = sizeof SPACE_COMPARTMENT - 1 + SPACE_NAME_BYTES_MAX };

static struct cairn_bytes compartment_name(const struct space *space, char to[COMPARTMENT_BYTES_MAX])
{
    size_t prefix = sizeof SPACE_COMPARTMENT - 1;

    assert(!space->parent && space->name.size <= SPACE_NAME_BYTES_MAX);
    memcpy(to, SPACE_COMPARTMENT, prefix);
    memcpy(to + prefix, space->name.data, space->name.size);
    return cairn_bytes(to, prefix + space->name.size);
}

struct space *spaces_compartment(struct spaces *spaces, const struct space *space)
{
    char name[COMPARTMENT_BYTES_MAX];

    return spaces_intern(spaces, compartment_name(space, name));
}

struct space *spaces_find_compartment(struct spaces *spaces, const struct space *space)
{
    char name[COMPARTMENT_BYTES_MAX];

    return spaces_find(spaces, compartment_name(space, name));
}

bool space_name_valid(struct cairn_bytes name)
{
    if (name.size == 0 || name.size > SPACE_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool letter = c >= 'a' && c <= 'z';

        if (!letter && (i == 0 || (c != '-' && c != '_' && (c < '0' || c > '9'))))
            return false;
    }
    return true;
}

enum cairn_code space_missing(struct cairn_bytes name, struct cairn_err *err)
{
    if (!space_name_valid(name))
        return cairn_fail(err, CAIRN_ENOTFOUND,
                          "there is no such namespace: a name has 1 to %d lower-case letters, digits, - and _, and "
                          "begins with a letter",
                          SPACE_NAME_BYTES_MAX);
    return cairn_fail(err, CAIRN_ENOTFOUND,
                      "there is no namespace %.*s: `cairn namespaces ls` lists them, `cairn namespaces create %.*s` "
                      "makes it",
                      (int)name.size, (const char *)name.data, (int)name.size, (const char *)name.data);
}
