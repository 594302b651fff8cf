#include "object/cache.h"

#include <stdlib.h>

#include "base/hash.h"
#include "object/dependency.h"
#include "object/invocation.h"
#include "object/reads.h"
#include "object/segment.h"
#include "object/table.h"
#include "object/type.h"
#include "object/worker.h"

enum {
    BUCKETS_LEAST = 64,
    SHARE_MOST = 16, /* one entry takes at most that part of the whole */
};

struct cached {
    struct latest latest; /* first */
    struct cached *next;  /* of its bucket */
    struct cairn_link used;
    struct method_stats *stats; /* its bytes count there; stays until the node is closed */
    bool given;                 /* since it was made, or came to the end of the line */
    uint64_t hash;
    uint64_t generation;    /* of the object: it stands for type and id */
    struct dependency made; /* the object's last record then */
    uint8_t module[CAIRN_SHA256_BYTES];
    uint32_t method;
    uint32_t args_bytes, result_bytes, reads_bytes;
    uint64_t types_changed; /* of the worker then: none of the callees' types has another version */
    uint8_t data[];         /* reads, arguments, result */
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
    return sizeof *c + c->reads_bytes + c->args_bytes + c->result_bytes + sizeof(struct cached *);
}

static void drop(struct cairn_worker *worker, struct cached *c)
{
    struct cache *cache = &worker->cache;
    struct cached **link = &cache->buckets[c->hash & cache->mask];

    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    cairn_list_remove(&c->used);
    if (c->latest.object)
        c->latest.object->latest = NULL;
    stat_add(&c->stats->cache_bytes, (uint64_t)-bytes_of(c));
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

static bool is_same(const struct cached *c, const struct invocation *inv)
{
    return c->generation == inv->object->generation && c->method == method_index(inv) &&
           memcmp(c->module, inv->type->module->hash, sizeof c->module) == 0 &&
           cairn_bytes_equal(cairn_bytes(c->data + c->reads_bytes, c->args_bytes), inv->args);
}

static struct cached *find(const struct cache *cache, const struct invocation *inv, uint64_t hash)
{
    struct cached *c = cache->buckets[hash & cache->mask];

    while (c && !(c->hash == hash && is_same(c, inv)))
        c = c->next;
    return c;
}

static bool is_same_record(struct dependency a, struct dependency b)
{
    return a.end == b.end && a.shard == b.shard;
}

static struct cairn_bytes reads_of(const struct cached *c)
{
    return cairn_bytes(c->data, c->reads_bytes);
}

/* Nothing has changed the object since, nor those that were read by calls, nor their methods. */
static bool is_newest(const struct cairn_worker *worker, const struct cached *c, const struct object *object)
{
    return is_same_record(c->made, object->last) &&
           (!c->reads_bytes || (c->types_changed == worker->types_changed && reads_are_newest(worker, reads_of(c))));
}

/* Its result is about to become the caller's, which wants to keep what is made of it. */
static void tell_caller(struct cairn_worker *worker, struct invocation *inv, struct cairn_bytes reads)
{
    struct invocation *caller = inv->caller;

    if (!caller || inv->origin != worker->index || !caller->keeps_result)
        return;
    if (!caller->reads)
        caller->reads = cairn_alloc_zeroed(1, sizeof *caller->reads);
    inv->told_reads = reads_add(caller->reads, inv->object) && reads_add_all(caller->reads, reads);
}

static bool caller_keeps(const struct cairn_worker *worker, const struct invocation *inv)
{
    return inv->caller && inv->origin == worker->index && inv->caller->keeps_result;
}

static void set_latest(struct object *object, struct cached *c)
{
    if (object->latest)
        object->latest->object = NULL;
    object->latest = &c->latest;
    c->latest.object = object;
}

static void give(struct cairn_worker *worker, struct invocation *inv, struct cached *c)
{
    inv->result.size = 0;
    cairn_buf_add(&inv->result, c->data + c->reads_bytes + c->args_bytes, c->result_bytes);
    dependency_join(&inv->depends, inv->object->last);
    if (c->reads_bytes)
        reads_join(reads_of(c), &inv->depends);
    if (inv->caller)
        tell_caller(worker, inv, reads_of(c));
    c->given = true;
    stat_add(&worker->counts.cache_hits, 1);
    stat_add(&c->stats->cache_hits, 1);
}

bool cache_has_latest(struct cairn_worker *worker, struct invocation *inv)
{
    struct cached *c = (struct cached *)inv->object->latest;

    if (!c || !is_newest(worker, c, inv->object) || !is_same(c, inv))
        return false;
    give(worker, inv, c);
    return true;
}

bool cache_answers(struct cairn_worker *worker, struct invocation *inv)
{
    struct cache *cache = &worker->cache;
    uint64_t hash = hash_of(inv);
    struct cached *c = find(cache, inv, hash);

    if (c && is_newest(worker, c, inv->object)) {
        set_latest(inv->object, c);
        give(worker, inv, c);
        return true;
    }
    stat_add(&worker->counts.cache_misses, 1);
    stat_add(&method_stats_of(worker, inv->type, inv->method)->cache_misses, 1);
    /* Only what is asked for a second time is kept: what never comes again costs no more than this. */
    inv->keeps_result = c || cache->seen[hash % CACHE_SEEN] == (uint32_t)(hash >> 32) || caller_keeps(worker, inv);
    inv->began = inv->object->last;
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

/* Those that were not asked for since they came to the front of the line; the others go back to its end once. */
static void make_room(struct cairn_worker *worker, size_t bytes)
{
    struct cache *cache = &worker->cache;

    while (cache->bytes + bytes > cache->bytes_max) {
        struct cached *c = cairn_container(cache->used.next, struct cached, used);

        if (!c->given) {
            drop(worker, c);
            continue;
        }
        c->given = false;
        cairn_list_remove(&c->used);
        cairn_list_push_back(&cache->used, &c->used);
    }
}

void cache_keep(struct cairn_worker *worker, struct invocation *inv)
{
    struct cache *cache = &worker->cache;
    uint64_t hash = hash_of(inv);
    struct cairn_bytes reads = inv->reads ? cairn_buf_bytes(inv->reads) : cairn_bytes(NULL, 0);
    struct cached *c;
    size_t bytes = sizeof *c + reads.size + inv->args.size + inv->result.size + sizeof(struct cached *);

    if (inv->calls_out || !cairn_list_empty(&inv->segment->calls) || !is_same_record(inv->began, inv->object->last))
        return;
    if (inv->call_count && !worker->node->has_one_log) /* places in several logs do not join */
        return;
    tell_caller(worker, inv, reads);
    if (!inv->result.size || bytes > cache->bytes_max / SHARE_MOST ||
        find(cache, inv, hash)) /* readers overlap: another one was faster */
        return;
    make_room(worker, bytes);
    if (cache->count > cache->mask)
        grow(cache);
    c = cairn_alloc(sizeof *c + reads.size + inv->args.size + inv->result.size);
    *c = (struct cached){.hash = hash,
                         .stats = method_stats_of(worker, inv->type, inv->method),
                         .generation = inv->object->generation,
                         .made = inv->object->last,
                         .method = method_index(inv),
                         .args_bytes = (uint32_t)inv->args.size,
                         .result_bytes = (uint32_t)inv->result.size,
                         .reads_bytes = (uint32_t)reads.size,
                         .types_changed = worker->types_changed};
    memcpy(c->module, inv->type->module->hash, sizeof c->module);
    if (reads.size)
        memcpy(c->data, reads.data, reads.size);
    if (inv->args.size)
        memcpy(c->data + reads.size, inv->args.data, inv->args.size);
    memcpy(c->data + reads.size + inv->args.size, inv->result.data, inv->result.size);
    c->next = cache->buckets[hash & cache->mask];
    cache->buckets[hash & cache->mask] = c;
    cairn_list_push_back(&cache->used, &c->used);
    set_latest(inv->object, c);
    cache->bytes += bytes;
    cache->count++;
    stat_add(&c->stats->cache_bytes, bytes);
    atomic_store_explicit(&worker->counts.cache_bytes, cache->bytes, memory_order_relaxed);
}
