#include "keeper/register.h"

#include <stdlib.h>

struct entry {
    struct keeper_item item; /* by the first bytes of the hash */
    uint8_t hash[CAIRN_SHA256_BYTES];
    uint32_t puts;
    bool recent; /* put since the folder was begun with */
    bool taken;
    struct cairn_link waiting; /* claims, while it is taken */
};

void keeper_register_init(struct keeper_register *reg)
{
    *reg = (struct keeper_register){.folder = -1};
    pthread_mutex_init(&reg->lock, NULL);
}

static struct entry *find(const struct keeper_register *reg, const uint8_t *hash)
{
    struct keeper_item *item = keeper_map_find(&reg->entries, cairn_get_u64(hash));

    for (; item; item = keeper_map_next(item)) {
        struct entry *entry = cairn_container(item, struct entry, item);

        if (memcmp(entry->hash, hash, sizeof entry->hash) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *get(struct keeper_register *reg, const uint8_t *hash)
{
    struct entry *entry = find(reg, hash);

    if (entry)
        return entry;
    entry = cairn_alloc_zeroed(1, sizeof *entry);
    memcpy(entry->hash, hash, sizeof entry->hash);
    cairn_list_init(&entry->waiting);
    keeper_map_add(&reg->entries, &entry->item, cairn_get_u64(hash));
    return entry;
}

static void drop_if_idle(struct keeper_register *reg, struct entry *entry)
{
    if (entry->puts || entry->recent || entry->taken)
        return;
    keeper_map_remove(&reg->entries, &entry->item);
    free(entry);
}

static void count_put(const struct keeper_register *reg, struct entry *entry)
{
    entry->puts++;
    entry->recent |= entry->hash[0] == reg->folder;
}

bool keeper_register_put(struct keeper_register *reg, struct keeper_claim *claim)
{
    struct entry *entry;
    bool may;

    pthread_mutex_lock(&reg->lock);
    entry = get(reg, claim->hash);
    may = !entry->taken;
    if (may)
        count_put(reg, entry);
    else
        cairn_list_push_back(&entry->waiting, &claim->at);
    pthread_mutex_unlock(&reg->lock);
    return may;
}

void keeper_register_decided(struct keeper_register *reg, const uint8_t hash[CAIRN_SHA256_BYTES])
{
    struct entry *entry;

    pthread_mutex_lock(&reg->lock);
    entry = find(reg, hash);
    if (entry && entry->puts) {
        entry->puts--;
        drop_if_idle(reg, entry);
    }
    pthread_mutex_unlock(&reg->lock);
}

static void forget_recent(struct keeper_item *item, void *context)
{
    struct entry *entry = cairn_container(item, struct entry, item);

    entry->recent = false;
    drop_if_idle(context, entry);
}

void keeper_register_begin(struct keeper_register *reg, int folder)
{
    pthread_mutex_lock(&reg->lock);
    keeper_map_each(&reg->entries, forget_recent, reg);
    reg->folder = folder;
    pthread_mutex_unlock(&reg->lock);
}

bool keeper_register_take(struct keeper_register *reg, const uint8_t hash[CAIRN_SHA256_BYTES])
{
    struct entry *entry;
    bool may;

    pthread_mutex_lock(&reg->lock);
    entry = get(reg, hash);
    may = !entry->puts && !entry->recent && !entry->taken;
    entry->taken |= may;
    drop_if_idle(reg, entry);
    pthread_mutex_unlock(&reg->lock);
    return may;
}

void keeper_register_give(struct keeper_register *reg, const uint8_t hash[CAIRN_SHA256_BYTES])
{
    struct cairn_link waiting, *l;
    struct entry *entry;

    cairn_list_init(&waiting);
    pthread_mutex_lock(&reg->lock);
    entry = find(reg, hash);
    if (entry) {
        entry->taken = false;
        while ((l = cairn_list_pop_front(&entry->waiting))) {
            count_put(reg, entry);
            cairn_list_push_back(&waiting, l);
        }
        drop_if_idle(reg, entry);
    }
    pthread_mutex_unlock(&reg->lock);
    while ((l = cairn_list_pop_front(&waiting))) {
        struct keeper_claim *claim = cairn_container(l, struct keeper_claim, at);

        claim->go_on(claim);
    }
}

static void free_entry(struct keeper_item *item, void *context)
{
    (void)context;
    free(cairn_container(item, struct entry, item));
}

void keeper_register_done(struct keeper_register *reg)
{
    keeper_map_each(&reg->entries, free_entry, NULL);
    keeper_map_done(&reg->entries);
    pthread_mutex_destroy(&reg->lock);
}
