#include "object/cache.h"

#include <stdlib.h>

#include "base/hash.h"
#include "object/dependency.h"
#include "object/invocation.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    BUCKETS_LEAST = 64,
    SHARE_MOST = 16, /* one entry takes at most that part of the whole */
};

struct cached {
    struct cached *next; /* of its bucket */
    struct cairn_link used;
    uint64_t hash;
    uint64_t generation;    /* of the object: it stands for type and id */
    struct dependency made; /* the object's last record then */
    uint8_t module[CAIRN_SHA256_BYTES];
    uint32_t method;
    uint32_t args_bytes, result_bytes;
    uint8_t data[]; /* arguments, result */
};

void cache_init(struct cache *cache, uint64_t bytes_max)
{
    cache->bytes_max = bytes_max;
    cairn_list_init(&cache->used);
    if (!bytes_max)
        return;
    cache->mask = BUCKETS_LEAST - 1;
    cache->buckets = cairn_alloc_zeroed(BUCKETS_LEAST, sizeof(struct cached *));
}

static size_t bytes_of(const struct cached *c)
{
    return sizeof *c + c->args_bytes + c->result_bytes + sizeof(struct cached *);
}

static void drop(struct cairn_worker *worker, struct cached *c)
{
    struct cache *cache = &worker->cache;
    struct cached **link = &cache->buckets[c->hash & cache->mask];

    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    cairn_list_remove(&c->used);
    cache->bytes -= bytes_of(c);
    cache->count--;
    atomic_store_explicit(&worker->counts.cache_bytes, cache->bytes, memory_order_relaxed);
    free(c);
}

void cache_done(struct cache *cache)
{
    struct cairn_link *l;

    while (cache->buckets && (l = cairn_list_pop_front(&cache->used)))
        free(cairn_container(l, struct cached, used));
    free(cache->buckets);
    cache->buckets = NULL;
}

bool cache_wants(const struct cache *cache, const struct cairn_method_decl *decl)
{
    return cache->bytes_max && decl->read_only && decl->deterministic && !decl->uncached;
}

static uint32_t method_index(const struct invocation *inv)
{
    return (uint32_t)(inv->method - inv->type->methods);
}

static uint64_t hash_of(const struct invocation *inv)
{
    uint64_t head[3] = {inv->object->generation, method_index(inv), cairn_get_u64(inv->type->module->hash)};

    return cairn_hash(cairn_bytes(head, sizeof head)) ^ (inv->args.size ? cairn_hash(inv->args) : 0);
}

static bool is_same(const struct cached *c, const struct invocation *inv, uint64_t hash)
{
    return c->hash == hash && c->generation == inv->object->generation && c->method == method_index(inv) &&
           memcmp(c->module, inv->type->module->hash, sizeof c->module) == 0 &&
           cairn_bytes_equal(cairn_bytes(c->data, c->args_bytes), inv->args);
}

static struct cached *find(const struct cache *cache, const struct invocation *inv, uint64_t hash)
{
    struct cached *c = cache->buckets[hash & cache->mask];

    while (c && !is_same(c, inv, hash))
        c = c->next;
    return c;
}

/* Nothing has changed the object since. */
static bool is_newest(const struct cached *c, const struct object *object)
{
    return c->made.end == object->last.end && c->made.shard == object->last.shard;
}

bool cache_answers(struct cairn_worker *worker, struct invocation *inv)
{
    struct cache *cache = &worker->cache;
    uint64_t hash = hash_of(inv);
    struct cached *c = find(cache, inv, hash);

    if (c && is_newest(c, inv->object)) {
        inv->result.size = 0;
        cairn_buf_add(&inv->result, c->data + c->args_bytes, c->result_bytes);
        dependency_join(&inv->depends, inv->object->last);
        cairn_list_remove(&c->used);
        cairn_list_push_back(&cache->used, &c->used);
        stat_add(&worker->counts.cache_hits, 1);
        return true;
    }
    stat_add(&worker->counts.cache_misses, 1);
    /* Only what is asked for a second time is kept: what never comes again costs no more than this. */
    inv->keeps_result = c || cache->seen[hash % CACHE_SEEN] == (uint32_t)(hash >> 32);
    cache->seen[hash % CACHE_SEEN] = (uint32_t)(hash >> 32);
    if (c)
        drop(worker, c);
    return false;
}

static void grow(struct cache *cache)
{
    uint32_t size = 2 * (cache->mask + 1);

    free(cache->buckets);
    cache->buckets = cairn_alloc_zeroed(size, sizeof(struct cached *));
    cache->mask = size - 1;
    for (struct cairn_link *l = cache->used.next; l != &cache->used; l = l->next) {
        struct cached *c = cairn_container(l, struct cached, used);
        c->next = cache->buckets[c->hash & cache->mask];
        cache->buckets[c->hash & cache->mask] = c;
    }
}

void cache_keep(struct cairn_worker *worker, struct invocation *inv)
{
    struct cache *cache = &worker->cache;
    uint64_t hash = hash_of(inv);
    struct cached *c;
    size_t bytes = sizeof *c + inv->args.size + inv->result.size + sizeof(struct cached *);

    if (bytes > cache->bytes_max / SHARE_MOST || find(cache, inv, hash)) /* readers overlap: another one was faster */
        return;
    while (cache->bytes + bytes > cache->bytes_max)
        drop(worker, cairn_container(cache->used.next, struct cached, used));
    if (cache->count > cache->mask)
        grow(cache);
    c = cairn_alloc(sizeof *c + inv->args.size + inv->result.size);
    *c = (struct cached){.hash = hash,
                         .generation = inv->object->generation,
                         .made = inv->object->last,
                         .method = method_index(inv),
                         .args_bytes = (uint32_t)inv->args.size,
                         .result_bytes = (uint32_t)inv->result.size};
    memcpy(c->module, inv->type->module->hash, sizeof c->module);
    if (inv->args.size)
        memcpy(c->data, inv->args.data, inv->args.size);
    memcpy(c->data + inv->args.size, inv->result.data, inv->result.size);
    c->next = cache->buckets[hash & cache->mask];
    cache->buckets[hash & cache->mask] = c;
    cairn_list_push_back(&cache->used, &c->used);
    cache->bytes += bytes;
    cache->count++;
    atomic_store_explicit(&worker->counts.cache_bytes, cache->bytes, memory_order_relaxed);
}
