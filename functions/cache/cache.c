/* cache.c - manages the memory of one instance that holds chunks of large values (cache_layout.h).
 *
 *   | stack, statics | buckets | records | next[] | pad | block | block | ...
 *
 * Offsets of blocks are their names: 0 is none.  next[] has, for each block, the one that follows it in its chunk, or
 * in the list of free ones.  Blocks that were never used are not in that list: their pages take no memory until then.
 * */
#include <cairn/cache_layout.h>

#include <stddef.h>

#define EXPORT(NAME) __attribute__((export_name(#NAME))) NAME

enum { PAGE = 65536, BLOCKS_PER_RECORD = 2, BLOCKS_MIN = 16 };

extern uint8_t __heap_base;

static uint32_t *buckets, *next_of;
static struct cairn_cache_record *records;
static uint32_t bucket_count, record_count, first_block, block_count;
static uint32_t used_records, free_record, fresh_block, free_block, free_count;
static uint32_t scratch_words[CAIRN_CACHE_SCRATCH_BYTES / 4];

/* The compiler calls them to copy and clear structs; there is no C library. */
__attribute__((no_builtin)) void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

__attribute__((no_builtin)) void *memset(void *at, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)at)[i] = (uint8_t)byte;
    return at;
}

/* --- blocks --- */

static uint32_t *next_at(uint32_t block)
{
    return &next_of[(block - first_block) / CAIRN_CACHE_BLOCK_BYTES];
}

static uint32_t take_block(void)
{
    uint32_t block = free_block;

    if (block) {
        free_block = *next_at(block);
    } else {
        block = fresh_block;
        fresh_block += CAIRN_CACHE_BLOCK_BYTES;
    }
    free_count--;
    return block;
}

/* --- records --- */

static uint32_t *bucket_of(uint64_t generation, uint32_t index)
{
    uint64_t hash = (generation * 64 + index) * UINT64_C(0x9e3779b97f4a7c15);

    return &buckets[(uint32_t)(hash >> 32) % bucket_count];
}

static uint32_t take_record(void)
{
    uint32_t number = free_record;

    if (number)
        free_record = records[number].next;
    else if (used_records + 1 < record_count)
        number = ++used_records;
    return number;
}

/* --- what the host calls --- */

/* Tables for `blocks` blocks begin here, and the blocks themselves where they end. */
static uint64_t lay_out(uint32_t blocks)
{
    uint64_t at = ((uint64_t)(uintptr_t)&__heap_base + 63) / 64 * 64;

    record_count = blocks / BLOCKS_PER_RECORD + 1;
    bucket_count = record_count;
    records = (struct cairn_cache_record *)(uintptr_t)at;
    at += (uint64_t)record_count * sizeof *records;
    buckets = (uint32_t *)(uintptr_t)at;
    at += (uint64_t)bucket_count * sizeof *buckets;
    next_of = (uint32_t *)(uintptr_t)at;
    at += (uint64_t)blocks * sizeof *next_of;
    return (at + CAIRN_CACHE_BLOCK_BYTES - 1) / CAIRN_CACHE_BLOCK_BYTES * CAIRN_CACHE_BLOCK_BYTES;
}

uint32_t EXPORT(init)(uint64_t bytes)
{
    uint64_t pages = bytes / PAGE, have = __builtin_wasm_memory_size(0), all = pages * PAGE / CAIRN_CACHE_BLOCK_BYTES;
    uint64_t each = CAIRN_CACHE_BLOCK_BYTES + sizeof *next_of + (sizeof *records + sizeof *buckets) / BLOCKS_PER_RECORD;
    uint64_t head = lay_out(0) + sizeof *records + CAIRN_CACHE_BLOCK_BYTES;

    if (block_count || pages > UINT32_MAX / PAGE || all * CAIRN_CACHE_BLOCK_BYTES < head + BLOCKS_MIN * each)
        return 0;
    all = (all * CAIRN_CACHE_BLOCK_BYTES - head) / each;
    if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (uint32_t)-1)
        return 0;
    first_block = fresh_block = (uint32_t)lay_out((uint32_t)all);
    block_count = free_count = (uint32_t)all;
    return block_count;
}

uint32_t EXPORT(find)(uint64_t generation, uint32_t index)
{
    uint32_t number = *bucket_of(generation, index);

    while (number && (records[number].generation != generation || records[number].index != index))
        number = records[number].next;
    return number;
}

uint32_t EXPORT(reserve)(uint64_t generation, uint32_t index, uint32_t bytes)
{
    uint32_t blocks = bytes / CAIRN_CACHE_BLOCK_BYTES + (bytes % CAIRN_CACHE_BLOCK_BYTES != 0), number, last = 0;
    uint32_t *bucket = bucket_of(generation, index);
    struct cairn_cache_record *record;

    if (generation == 0 || blocks > free_count || find(generation, index))
        return 0;
    number = take_record();
    if (!number)
        return 0;
    record = &records[number];
    *record = (struct cairn_cache_record){
        .generation = generation, .index = index, .bytes = bytes, .next = *bucket, .blocks = blocks, .number = number};
    *bucket = number;
    for (uint32_t i = 0; i < blocks; i++) {
        uint32_t block = take_block();

        *next_at(block) = 0;
        if (last)
            *next_at(last) = block;
        else
            record->block = block;
        last = block;
    }
    return number;
}

uint32_t EXPORT(walk)(uint32_t block, uint32_t count)
{
    uint32_t n = 0;

    while (block && n < count && n < CAIRN_CACHE_WALK_MAX) {
        scratch_words[n++] = block;
        block = *next_at(block);
    }
    scratch_words[n] = block;
    return n;
}

uint32_t EXPORT(drop)(uint32_t number)
{
    struct cairn_cache_record *record = &records[number];
    uint32_t *from, block;

    if (number == 0 || number > used_records || record->generation == 0)
        return 0;
    for (from = bucket_of(record->generation, record->index); *from != number; from = &records[*from].next)
        ;
    *from = record->next;
    while ((block = record->block)) {
        record->block = *next_at(block);
        *next_at(block) = free_block;
        free_block = block;
        free_count++;
    }
    record->generation = 0;
    record->next = free_record;
    free_record = number;
    return free_count;
}

/* Those from number `from` on; a record's own number says where to go on. */
uint32_t EXPORT(list)(uint32_t from, uint32_t count)
{
    struct cairn_cache_record *to = (struct cairn_cache_record *)scratch_words;
    uint32_t n = 0;

    for (uint32_t number = from ? from : 1; number <= used_records && n < count && n < CAIRN_CACHE_LIST_MAX; number++)
        if (records[number].generation)
            to[n++] = records[number];
    return n;
}

uint32_t EXPORT(record)(uint32_t number)
{
    return number && number <= used_records ? (uint32_t)(uintptr_t)&records[number] : 0;
}

uint32_t EXPORT(scratch)(void)
{
    return (uint32_t)(uintptr_t)scratch_words;
}

uint32_t EXPORT(free_blocks)(void)
{
    return free_count;
}
