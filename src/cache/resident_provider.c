#include "cache/resident_provider.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "cairn/cache_layout.h"
#include "fn/builtin.h"
#include "fn/resident.h"

enum {
    BLOCK = CAIRN_CACHE_BLOCK_BYTES,
    BLOCK_COST = 64, /* bytes of the guest's tables for each, and of ours */
    FUEL = 200000000,
};

struct cairn_residents {
    struct cairn_resident_kind *kind;
    struct cairn_gone *gone;
    uint64_t slack_bytes_max;
    _Atomic uint64_t slack_bytes;
};

struct resident {
    struct cairn_instance instance; /* first */
    struct cairn_residents *residents;
    pthread_mutex_t lock; /* of all below, and of calls that use the guest's scratch */
    struct cairn_resident *guest;
    uint32_t scratch;    /* where it is */
    uint64_t *slack;     /* a bit for each block that is free and in memory */
    uint32_t slack_bits; /* bits that there are */
    uint64_t slack_bytes;
};

struct chunk {
    struct cairn_chunk chunk; /* first */
    uint32_t number;          /* the guest's */
    uint32_t count;
    uint32_t blocks[];
};

static struct resident *resident_of(struct cairn_instance *instance)
{
    return cairn_container(instance, struct resident, instance);
}

static struct chunk *chunk_of(struct cairn_chunk *chunk)
{
    return cairn_container(chunk, struct chunk, chunk);
}

bool cairn_residents_there(void)
{
    return cairn_builtin_wasm("cache").size > 0;
}

enum cairn_code cairn_residents_create(struct cairn_gone *gone, uint64_t slack_bytes, struct cairn_residents **ret,
                                       struct cairn_err *err)
{
    struct cairn_residents *residents = cairn_alloc_zeroed(1, sizeof *residents);
    enum cairn_code code = cairn_resident_kind_create(cairn_builtin_wasm("cache"), &residents->kind, err);

    if (code != CAIRN_OK) {
        free(residents);
        return code;
    }
    residents->gone = gone;
    residents->slack_bytes_max = slack_bytes;
    *ret = residents;
    return CAIRN_OK;
}

struct cairn_residents *cairn_residents_destroy(struct cairn_residents *residents)
{
    if (residents)
        cairn_resident_kind_destroy(residents->kind);
    free(residents);
    return NULL;
}

uint64_t cairn_residents_slack_bytes(const struct cairn_residents *residents)
{
    return atomic_load_explicit(&residents->slack_bytes, memory_order_relaxed);
}

struct cairn_resident_usage cairn_residents_usage(struct cairn_instance *instance)
{
    struct resident *resident = resident_of(instance);
    struct cairn_resident_usage usage = {0};

    pthread_mutex_lock(&resident->lock);
    if (resident->guest)
        usage = cairn_resident_usage(resident->guest);
    pthread_mutex_unlock(&resident->lock);
    return usage;
}

/* --- slack: blocks that are free and in memory; locked --- */

static void add_slack(struct resident *resident, uint32_t block)
{
    resident->slack[block / BLOCK / 64] |= UINT64_C(1) << block / BLOCK % 64;
    resident->slack_bytes += BLOCK;
    atomic_fetch_add_explicit(&resident->residents->slack_bytes, BLOCK, memory_order_relaxed);
}

static void take_slack(struct resident *resident, uint32_t block)
{
    uint64_t *word = &resident->slack[block / BLOCK / 64], bit = UINT64_C(1) << block / BLOCK % 64;

    if (!(*word & bit))
        return;
    *word &= ~bit;
    resident->slack_bytes -= BLOCK;
    atomic_fetch_sub_explicit(&resident->residents->slack_bytes, BLOCK, memory_order_relaxed);
}

/* A free chunk's blocks: kept in memory while there is room for slack, else given back, neighbours together. */
static void release_blocks(struct resident *resident, uint8_t *memory, const struct chunk *chunk)
{
    uint64_t room = resident->residents->slack_bytes_max;
    uint64_t slack = cairn_residents_slack_bytes(resident->residents);
    uint32_t keep = slack < room ? (uint32_t)((room - slack) / BLOCK) : 0;

    for (uint32_t i = 0, n; i < chunk->count; i += n) {
        n = 1;
        if (i < keep) {
            add_slack(resident, chunk->blocks[i]);
            continue;
        }
        while (i + n < chunk->count && chunk->blocks[i + n] == chunk->blocks[i] + n * BLOCK)
            n++;
        cairn_resident_forget(memory, chunk->blocks[i], (size_t)n * BLOCK);
    }
}

/* --- what the guest does; locked --- */

static enum cairn_code call(struct resident *resident, const char *function, const uint64_t *args, size_t count,
                            uint64_t *ret, struct cairn_err *err)
{
    if (!resident->guest)
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the instance is lost");
    return cairn_resident_call(resident->guest, function, args, count, FUEL, ret, err);
}

#define CALL(resident, function, ret, err, ...)                                                                     \
    call(resident, function, (const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), \
         ret, err)

/* Nothing that a guest says is taken without a look: it is another program. */
static enum cairn_code fail_guest(struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_EUNAVAILABLE, "the instance's guest has lost its tables");
}

static enum cairn_code list_blocks(struct resident *resident, const uint8_t *memory, size_t memory_bytes,
                                   struct chunk *chunk, struct cairn_err *err)
{
    struct cairn_cache_record record;
    uint64_t at = 0, block;
    uint32_t n = 0;

    if (CALL(resident, "record", &at, err, chunk->number) != CAIRN_OK)
        return err->code;
    if (at == 0 || at + sizeof record > memory_bytes)
        return fail_guest(err);
    memcpy(&record, memory + at, sizeof record);
    block = record.block;
    while (block && n < chunk->count) {
        uint64_t count = 0;
        uint32_t next;

        if (CALL(resident, "walk", &count, err, block, CAIRN_CACHE_WALK_MAX) != CAIRN_OK)
            return err->code;
        if (count == 0 || count > CAIRN_CACHE_WALK_MAX || count > chunk->count - n)
            return fail_guest(err);
        memcpy(chunk->blocks + n, memory + resident->scratch, count * sizeof(uint32_t));
        memcpy(&next, memory + resident->scratch + count * sizeof(uint32_t), sizeof next);
        n += (uint32_t)count;
        block = next;
    }
    if (block || n != chunk->count)
        return fail_guest(err);
    for (n = 0; n < chunk->count; n++)
        if (chunk->blocks[n] % BLOCK || chunk->blocks[n] == 0 || chunk->blocks[n] + (uint64_t)BLOCK > memory_bytes)
            return fail_guest(err);
    return CAIRN_OK;
}

/* --- the operations --- */

static void end(struct cairn_instance *instance)
{
    struct resident *resident = resident_of(instance);

    atomic_store_explicit(&instance->lost, true, memory_order_release);
    pthread_mutex_lock(&resident->lock);
    resident->guest = cairn_resident_drop(resident->guest);
    atomic_fetch_sub_explicit(&resident->residents->slack_bytes, resident->slack_bytes, memory_order_relaxed);
    resident->slack_bytes = 0;
    memset(resident->slack, 0, resident->slack_bits / 8);
    pthread_mutex_unlock(&resident->lock);
}

static void free_resident(struct cairn_instance *instance)
{
    struct resident *resident = resident_of(instance);

    end(instance);
    pthread_mutex_destroy(&resident->lock);
    free(resident->slack);
    free(resident);
}

static enum cairn_code reserve_locked(struct resident *resident, struct chunk *chunk, struct cairn_err *err)
{
    size_t memory_bytes;
    uint8_t *memory;
    uint64_t number = 0;
    enum cairn_code code =
        CALL(resident, "reserve", &number, err, chunk->chunk.generation, chunk->chunk.index, chunk->chunk.bytes);

    if (code != CAIRN_OK)
        return code;
    if (!number)
        return cairn_fail(err, CAIRN_ELIMIT, "the instance has no room for a chunk of %llu bytes",
                          (unsigned long long)chunk->chunk.bytes);
    chunk->number = (uint32_t)number;
    memory = cairn_resident_borrow(resident->guest, &memory_bytes);
    if (!memory)
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the instance is lost");
    code = list_blocks(resident, memory, memory_bytes, chunk, err);
    for (uint32_t i = 0; code == CAIRN_OK && i < chunk->count; i++)
        take_slack(resident, chunk->blocks[i]);
    cairn_resident_give_back(resident->guest);
    return code;
}

static struct cairn_chunk *reserve(struct cairn_instance *instance, uint64_t generation, uint32_t index, uint64_t bytes,
                                   struct cairn_err *err)
{
    struct resident *resident = resident_of(instance);
    uint32_t count = (uint32_t)((bytes + BLOCK - 1) / BLOCK);
    struct chunk *chunk;
    enum cairn_code code;

    if (bytes > instance->memory_bytes) {
        cairn_fail(err, CAIRN_ELIMIT, "an instance has less than %llu bytes", (unsigned long long)bytes);
        return NULL;
    }
    chunk = cairn_alloc(sizeof *chunk + count * sizeof chunk->blocks[0]);
    chunk->chunk = (struct cairn_chunk){.instance = instance,
                                        .generation = generation,
                                        .index = index,
                                        .bytes = bytes,
                                        .counted = count * (uint64_t)(BLOCK + BLOCK_COST) + sizeof *chunk,
                                        .refs = 1};
    chunk->count = count;
    pthread_mutex_lock(&resident->lock);
    code = reserve_locked(resident, chunk, err);
    pthread_mutex_unlock(&resident->lock);
    if (code != CAIRN_OK) {
        free(chunk);
        /* A trap or lost tables: whatever it has cannot be relied on. */
        if (code != CAIRN_ELIMIT)
            end(instance);
        return NULL;
    }
    cairn_instance_ref(instance);
    atomic_fetch_add_explicit(&instance->chunks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&instance->held_bytes, chunk->chunk.counted, memory_order_relaxed);
    return &chunk->chunk;
}

static bool hold(struct cairn_chunk *chunk, struct cairn_held *ret)
{
    struct resident *resident = resident_of(chunk->instance);
    size_t bytes;

    pthread_mutex_lock(&resident->lock);
    ret->provider = resident->guest;
    ret->memory = resident->guest ? cairn_resident_borrow(resident->guest, &bytes) : NULL;
    pthread_mutex_unlock(&resident->lock);
    return ret->memory;
}

static void release(struct cairn_held *held)
{
    cairn_resident_give_back(held->provider);
}

static size_t piece(const struct cairn_chunk *chunk, const struct cairn_held *held, uint64_t offset, size_t most,
                    uint8_t **ret)
{
    const struct chunk *c = (const struct chunk *)chunk;
    size_t in_block = offset % BLOCK, i = offset / BLOCK, bytes = BLOCK - in_block;

    assert(offset < chunk->bytes && i < c->count);
    *ret = held->memory + c->blocks[i] + in_block;
    for (; bytes < most && i + 1 < c->count && c->blocks[i + 1] == c->blocks[i] + BLOCK; i++)
        bytes += BLOCK;
    return bytes < most ? bytes : most;
}

static void drop(struct cairn_chunk *chunk)
{
    struct cairn_instance *instance = chunk->instance;
    struct resident *resident = resident_of(instance);
    struct chunk *c = chunk_of(chunk);
    size_t bytes;
    uint8_t *memory;
    uint64_t left = 0;
    struct cairn_err err;
    bool broken = false;

    pthread_mutex_lock(&resident->lock);
    memory = resident->guest ? cairn_resident_borrow(resident->guest, &bytes) : NULL;
    if (memory) {
        broken = CALL(resident, "drop", &left, &err, c->number) != CAIRN_OK || left == 0;
        if (!broken)
            release_blocks(resident, memory, c);
        cairn_resident_give_back(resident->guest);
    }
    pthread_mutex_unlock(&resident->lock);
    if (broken)
        end(instance);
    atomic_fetch_sub_explicit(&instance->chunks, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&instance->held_bytes, chunk->counted, memory_order_relaxed);
    free(c);
    cairn_instance_unref(instance);
}

static const struct cairn_provider_ops ops = {
    .name = "resident",
    .reserve = reserve,
    .hold = hold,
    .release = release,
    .piece = piece,
    .drop = drop,
    .end = end,
    .free = free_resident,
};

enum cairn_code cairn_residents_open(struct cairn_residents *residents, uint64_t id, uint64_t memory_bytes,
                                     struct cairn_instance **ret_instance, struct cairn_err *err)
{
    struct resident *resident = cairn_alloc_zeroed(1, sizeof *resident);
    uint64_t blocks = 0, scratch = 0;
    enum cairn_code code;

    resident->instance = (struct cairn_instance){
        .ops = &ops, .id = id, .memory_bytes = memory_bytes, .strength = 1, .gone = residents->gone, .refs = 1};
    resident->residents = residents;
    resident->slack_bits = (uint32_t)(memory_bytes / BLOCK / 64 + 1) * 64;
    resident->slack = cairn_alloc_zeroed(resident->slack_bits / 64, sizeof *resident->slack);
    pthread_mutex_init(&resident->lock, NULL);
    code = cairn_resident_create(residents->kind, memory_bytes, &resident->guest, err);
    if (code == CAIRN_OK)
        code = CALL(resident, "init", &blocks, err, memory_bytes);
    if (code == CAIRN_OK)
        code = call(resident, "scratch", NULL, 0, &scratch, err);
    if (code == CAIRN_OK && !blocks)
        code =
            cairn_fail(err, CAIRN_ELIMIT, "%llu bytes are too few for an instance", (unsigned long long)memory_bytes);
    if (code != CAIRN_OK) {
        free_resident(&resident->instance);
        return code;
    }
    resident->scratch = (uint32_t)scratch;
    *ret_instance = &resident->instance;
    return CAIRN_OK;
}
