/* large_faults.h - values under random faults: what is read is what was written, or nothing; shared by the test and its
 * slow twin. */
#ifndef CAIRN_TESTS_CACHE_LARGE_FAULTS_H
#define CAIRN_TESTS_CACHE_LARGE_FAULTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "cache/transfer.h"

enum { FAULTS_VALUES = 24, FAULTS_BYTES_MAX = 2 << 20 };

struct faults {
    struct cairn_cache *cache;
    struct cairn_pool *pool;
    struct cairn_scratch scratch;
    struct cairn_random random;
    struct cairn_large *values[FAULTS_VALUES];
    uint64_t seeds[FAULTS_VALUES];
    uint64_t bytes_max; /* of the cache */
    uint8_t *buffer;
    uint64_t read, missed, faults, decoded;
};

static inline void faults_open(struct faults *f, const char *redundancy, uint64_t bytes_max, uint64_t seed)
{
    struct cairn_cache_options cache_options = {.bytes_max = bytes_max,
                                                .policy = CAIRN_CACHE_ALLKEYS_LRU,
                                                .users = 1,
                                                .seed = seed,
                                                .generation_first = 1,
                                                .generation_bound = 1u << 30};
    struct cairn_pool_options options = {.bytes_max = bytes_max, .clock = cairn_clock_system()};
    struct cairn_err err;

    *f = (struct faults){.bytes_max = bytes_max};
    cairn_random_init(&f->random, seed);
    f->cache = cairn_cache_create(&cache_options);
    options.cache = f->cache;
    assert_int_equal(cairn_redundancy_parse(redundancy, &options.redundancy, &err), CAIRN_OK);
    if (cairn_pool_create(&options, &f->pool, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    f->buffer = malloc(FAULTS_BYTES_MAX);
}

static inline void faults_close(struct faults *f)
{
    for (int i = 0; i < FAULTS_VALUES; i++)
        cairn_large_unref(f->values[i]);
    cairn_pool_collect(f->pool);
    assert_int_equal(cairn_cache_large_bytes(f->cache), 0);
    cairn_scratch_done(&f->scratch);
    cairn_pool_destroy(f->pool);
    cairn_cache_destroy(f->cache);
    free(f->buffer);
}

/* The value of a seed, from `from` on. */
static inline void faults_fill(uint8_t *to, uint64_t seed, uint64_t from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint64_t word = ((from + i) / 8 + seed) * UINT64_C(0x9e3779b97f4a7c15);

        to[i] = (uint8_t)((word ^ word >> 32) >> (from + i) % 8 * 8);
    }
}

/* In pieces of any size, as a socket gives them. */
static inline struct cairn_large *faults_write(struct faults *f, uint64_t seed, uint64_t bytes)
{
    struct cairn_writing writing;
    struct cairn_large *large;
    struct cairn_err err;
    struct iovec to[7];
    size_t count;

    cairn_pool_collect(f->pool);
    if (cairn_large_reserve(f->pool, seed * 31, bytes, &large, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    cairn_writing_begin(&writing, large);
    while ((count = cairn_writing_room(&writing, to, 1 + cairn_random_below(&f->random, 7))) > 0) {
        size_t wrote = 0;

        for (size_t i = 0; i < count; i++) {
            size_t n = i + 1 == count ? 1 + cairn_random_below(&f->random, to[i].iov_len) : to[i].iov_len;

            faults_fill(to[i].iov_base, seed, writing.at + wrote, n);
            wrote += n;
        }
        cairn_writing_wrote(&writing, wrote);
    }
    assert_int_equal(cairn_writing_seal(&writing), CAIRN_TRANSFER_READY);
    cairn_writing_end(&writing);
    return large;
}

/* One byte of a chunk is another, or its instance is gone. */
static inline void faults_rot(struct faults *f, struct cairn_large *large)
{
    struct cairn_chunk *chunks[CAIRN_CHUNKS_MAX];
    uint32_t all = cairn_redundancy_chunks(&large->cut.redundancy), at = (uint32_t)cairn_random_below(&f->random, all);
    struct cairn_held held;
    uint8_t *piece;

    cairn_large_chunks(large, chunks);
    if (chunks[at] && chunks[at]->instance->ops->hold(chunks[at], &held)) {
        uint64_t offset = cairn_random_below(&f->random, chunks[at]->bytes);

        chunks[at]->instance->ops->piece(chunks[at], &held, offset, 1, &piece);
        *piece ^= (uint8_t)(1 + cairn_random_below(&f->random, 255));
        chunks[at]->instance->ops->release(&held);
        f->faults++;
    }
    for (uint32_t i = 0; i < all; i++)
        cairn_chunk_unref(chunks[i]);
}

struct faults_pick {
    uint64_t skip, id;
};

static inline void faults_pick(void *context, struct cairn_instance *instance)
{
    struct faults_pick *pick = context;

    if (pick->skip-- == 0)
        pick->id = instance->id;
}

static inline void faults_reclaim(struct faults *f)
{
    struct faults_pick pick = {
        .skip = cairn_random_below(&f->random, cairn_redundancy_chunks(cairn_pool_redundancy(f->pool)) + 4)};

    cairn_pool_each(f->pool, faults_pick, &pick);
    if (pick.id) {
        assert_true(cairn_pool_reclaim(f->pool, pick.id));
        f->faults++;
    }
}

/* A range, with faults in the middle.  True: it was read to its end. */
static inline bool faults_read(struct faults *f, int i, bool faults)
{
    struct cairn_large *large = f->values[i];
    uint64_t from = cairn_random_below(&f->random, 3) ? 0 : cairn_random_below(&f->random, large->cut.bytes);
    uint64_t end = cairn_random_below(&f->random, 3)
                       ? large->cut.bytes
                       : from + 1 + cairn_random_below(&f->random, large->cut.bytes - from);
    enum cairn_transfer_state state;
    struct cairn_reading reading;
    struct iovec pieces[16];
    size_t count;

    cairn_reading_begin(&reading, large, from, end, &f->scratch);
    while ((state = cairn_reading_next(&reading, pieces, 16, &count)) == CAIRN_TRANSFER_READY && count > 0) {
        size_t took = 0;

        for (size_t k = 0; k < count; k++) {
            faults_fill(f->buffer, f->seeds[i], reading.at + took, pieces[k].iov_len);
            if (memcmp(pieces[k].iov_base, f->buffer, pieces[k].iov_len) != 0)
                fail_msg("wrong bytes of value %d from %llu on", i, (unsigned long long)(reading.at + took));
            took += pieces[k].iov_len;
        }
        cairn_reading_took(&reading, took);
        if (faults && cairn_random_below(&f->random, 4) == 0)
            faults_reclaim(f);
    }
    /* It is missed only when more is lost than the redundancy is for. */
    if (state != CAIRN_TRANSFER_READY)
        assert_true(cairn_large_lost(large) > large->cut.redundancy.parity);
    f->decoded += reading.damaged;
    cairn_reading_end(&reading);
    return state == CAIRN_TRANSFER_READY;
}

/* What rotted meanwhile shows on the way, so it may mend less than all. */
static inline void faults_repair(struct cairn_large *large)
{
    struct cairn_repair repair;

    if (!cairn_repair_begin(&repair, large))
        return;
    while (cairn_repair_step(&repair, 1))
        ;
    cairn_repair_end(&repair);
}

static inline void faults_replace(struct faults *f, int i)
{
    cairn_large_unref(f->values[i]);
    f->values[i] = NULL;
    f->seeds[i] = cairn_random_u64(&f->random) >> 8;
    f->values[i] = faults_write(
        f, f->seeds[i], 1 + cairn_random_below(&f->random, FAULTS_BYTES_MAX >> cairn_random_below(&f->random, 12)));
}

static inline void faults_run(struct faults *f, uint64_t faults)
{
    for (int i = 0; i < FAULTS_VALUES; i++)
        faults_replace(f, i);
    while (f->faults < faults) {
        int i = (int)cairn_random_below(&f->random, FAULTS_VALUES);

        switch (cairn_random_below(&f->random, 8)) {
        case 0:
            faults_replace(f, i);
            break;
        case 1:
        case 2:
            faults_rot(f, f->values[i]);
            break;
        case 3:
            faults_reclaim(f);
            break;
        case 4:
        case 5:
            faults_repair(f->values[i]);
            break;
        default:
            if (faults_read(f, i, cairn_random_below(&f->random, 4) == 0))
                f->read++;
            else
                f->missed++;
            if (!cairn_large_readable(f->values[i]))
                faults_replace(f, i);
            break;
        }
    }
}

#endif
