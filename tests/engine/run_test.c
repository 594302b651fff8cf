/* Catches: a key that a run loses, returns with another's value, or finds though it was never added; a block, fence
 * or filter at a border of sizes; a flipped byte of the file, or a file under another's name, that is served; a
 * failed call of the disk that leaves a file behind or a run that opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"
#include "engine/merge.h"

enum { KEYS = 3000 };

/* Key number n, in ascending order; every 50th is long. */
static struct cairn_bytes key_of(unsigned n, char memory[2000])
{
    int size = snprintf(memory, 2000, "key%06u", n);

    if (n % 50 == 49) {
        memset(memory + size, 'x', 1900);
        size += 1900;
    }
    return cairn_bytes(memory, (size_t)size);
}

/* Of many sizes, some empty, some tombstones, few longer than many blocks. */
static struct cairn_bytes value_of(unsigned n, uint8_t memory[40000])
{
    struct cairn_random random;
    uint64_t kind;
    size_t size;

    cairn_random_init(&random, n);
    kind = cairn_random_below(&random, 200);
    if (kind < 10)
        return run_tombstone();
    size = kind < 20 ? 0 : kind < 198 ? kind : 40000 - kind;
    cairn_random_fill(&random, memory, size);
    if (kind % 3)
        memset(memory, (int)kind, size); /* gets smaller */
    return cairn_bytes(memory, size);
}

/* Every second key of `from` up to `to`, in order; to be freed with free_records. */
static struct run_record *make_records(enum run_order order, unsigned from, unsigned to, size_t *ret_count)
{
    struct run_record *records = cairn_alloc((to - from + 1) * sizeof *records);
    size_t count = 0;

    for (unsigned n = from; n < to; n += 2) {
        char key[2000];
        uint8_t value_memory[40000];
        struct cairn_bytes bytes = key_of(n, key), value = value_of(n, value_memory);

        records[count++] = (struct run_record){
            .hash = cairn_hash(bytes),
            .key = cairn_bytes(cairn_bytes_dup(bytes), bytes.size),
            .value = run_is_tombstone(value) ? value : cairn_bytes(cairn_bytes_dup(value), value.size),
        };
    }
    *ret_count = merge_sort(order, records, count);
    assert_int_equal(*ret_count, count);
    return records;
}

static void free_records_of(const struct run_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)records[i].key.data);
        free((void *)(uintptr_t)records[i].value.data);
    }
}

static void free_records(struct run_record *records, size_t count)
{
    free_records_of(records, count);
    free(records);
}

static enum cairn_code write_run(struct cairn_disk *disk, uint64_t id, const struct run_options *options, unsigned from,
                                 unsigned to, struct run_about *ret_about, struct cairn_err *err)
{
    struct run_writer *writer;
    struct run_record *records;
    enum cairn_code code = run_writer_create(disk, id, 0, options, &writer, err);
    size_t count;

    if (code != CAIRN_OK)
        return code;
    records = make_records(options->order, from, to, &count);
    for (size_t i = 0; code == CAIRN_OK && i < count; i++)
        code = run_writer_add(writer, &records[i], err);
    free_records(records, count);
    if (code == CAIRN_OK)
        code = run_writer_finish(writer, ret_about, err);
    run_writer_destroy(writer);
    return code;
}

static void check_value(struct cairn_bytes got, unsigned n)
{
    uint8_t memory[40000];
    struct cairn_bytes want = value_of(n, memory);

    assert_int_equal(run_is_tombstone(got), run_is_tombstone(want));
    if (!run_is_tombstone(want))
        assert_true(cairn_bytes_equal(got, want));
}

static void check_run(struct run *run, unsigned from, unsigned to, unsigned *ret_read)
{
    struct cairn_buf scratch = {0};
    struct run_cursor cursor;
    struct cairn_err err;
    struct run_record *records;
    char key[2000];
    size_t count, next = 0;
    bool more;

    for (unsigned n = 0; n <= to + 3; n++) {
        struct cairn_bytes bytes = key_of(n, key), value;
        bool found;

        assert_int_equal(run_get(run, bytes, cairn_hash(bytes), &scratch, &found, &value, &err), CAIRN_OK);
        assert_int_equal(found, n >= from && n < to && (n - from) % 2 == 0);
        if (found)
            check_value(value, n);
        else if (scratch.size) {
            (*ret_read)++;
            scratch.size = 0;
        }
        scratch.size = 0;
    }
    records = make_records(run_order(run), from, to, &count);
    run_cursor_init(&cursor, run);
    for (;; next++) {
        assert_int_equal(run_cursor_next(&cursor, &more, &err), CAIRN_OK);
        if (!more)
            break;
        assert_true(next < count && cursor.record.hash == records[next].hash);
        assert_true(cairn_bytes_equal(cursor.record.key, records[next].key));
        assert_int_equal(run_is_tombstone(cursor.record.value), run_is_tombstone(records[next].value));
        assert_true(run_is_tombstone(records[next].value) ||
                    cairn_bytes_equal(cursor.record.value, records[next].value));
    }
    assert_int_equal(next, count);
    run_cursor_done(&cursor);
    free_records(records, count);
    cairn_buf_done(&scratch);
}

static struct cairn_disk *new_disk(void)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct cairn_err err;

    assert_int_equal(disk->ops->make_dir(disk, RUN_DIR, &err), CAIRN_OK);
    assert_int_equal(disk->ops->sync_dir(disk, "", &err), CAIRN_OK);
    return disk;
}

static void reads_what_was_written(void **state)
{
    static const struct {
        struct run_options options;
        unsigned from, to;
    } cases[] = {
        {{RUN_BY_KEY, KEYS, 10, 0, 0, RUN_PLAIN}, 1, KEYS},
        {{RUN_BY_KEY, KEYS, 10, 1, 0, RUN_PLAIN}, 1, KEYS},
        {{RUN_BY_KEY, KEYS, 10, 7, 0, RUN_PLAIN}, 0, KEYS},
        {{RUN_BY_KEY, KEYS, 10, 5000, 0, RUN_PLAIN}, 0, KEYS},
        {{RUN_BY_KEY, 10 * KEYS, 10, 0, 0, RUN_PLAIN}, 1, KEYS},
        {{RUN_BY_KEY, KEYS, 0, 0, 0, RUN_PLAIN}, 0, 400},
        {{RUN_BY_KEY, 1, 10, 0, 0, RUN_PLAIN}, 5, 6},
        {{RUN_BY_KEY, 1, 10, 0, 0, RUN_PLAIN}, 5, 5},
        {{RUN_BY_HASH, KEYS, 10, 0, 0, RUN_PLAIN}, 1, KEYS},
        {{RUN_BY_HASH, KEYS, 10, 1, 0, RUN_PLAIN}, 1, KEYS},
        {{RUN_BY_HASH, KEYS, 0, 7, 0, RUN_PLAIN}, 0, 400},
        {{RUN_BY_HASH, KEYS, 10, 0, 50000, RUN_PLAIN}, 0, KEYS},
        {{RUN_BY_HASH, 1, 10, 0, 0, RUN_PLAIN}, 5, 6},
        {{RUN_BY_HASH, KEYS, 10, 0, 0, RUN_LZ4}, 0, KEYS},
        {{RUN_BY_KEY, KEYS, 10, 0, 20000, RUN_LZ4}, 0, KEYS},
        {{RUN_BY_HASH, KEYS, 10, 3, 0, RUN_ZSTD}, 1, KEYS},
        {{RUN_BY_KEY, KEYS, 10, 0, 0, RUN_ZSTD}, 0, KEYS},
        {{RUN_BY_HASH, 1, 10, 0, 0, RUN_PLAIN}, 5, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cairn_disk *disk = new_disk();
        struct run_about about;
        struct run *run;
        struct cairn_err err;
        unsigned read = 0, absent;

        assert_int_equal(write_run(disk, 7, &cases[i].options, cases[i].from, cases[i].to, &about, &err), CAIRN_OK);
        assert_int_equal(about.records, (cases[i].to - cases[i].from + 1) / 2);
        cairn_sim_disk_crash(disk, CAIRN_SIM_DROP); /* finished is durable */
        if (run_open(disk, &about, &run, &err) != CAIRN_OK)
            fail_msg("case %zu: %s", i, err.text);
        check_run(run, cases[i].from, cases[i].to, &read);
        absent = cases[i].to + 4 - (unsigned)about.records;
        if (cases[i].options.filter_bits) { /* the filter saves nearly all reads, also after it was folded */
            if (read * 25 > absent)
                fail_msg("case %zu: %u of %u absent keys were looked for", i, read, absent);
            assert_true(run_memory_bytes(run) < 1000 + about.records * 200);
        }
        assert_int_equal(run_verify(run, &err), CAIRN_OK);
        run_close(run);
        cairn_disk_close(disk);
    }
}

static void check_flips(enum run_compression compression)
{
    struct cairn_disk *disk = new_disk();
    struct run_options options = {.records_max = 100, .filter_bits = 10, .compression = compression};
    struct run_about about;
    struct cairn_err err;
    struct run *run;
    uint8_t *bytes;
    size_t size;

    assert_int_equal(write_run(disk, 7, &options, 0, 60, &about, &err), CAIRN_OK);
    bytes = cairn_sim_disk_bytes(disk, RUN_DIR "/7.run", &size);
    assert_int_equal(size, about.bytes);
    for (size_t at = 0; at < size; at++) {
        struct run_cursor cursor;
        enum cairn_code code;
        bool more = true;

        bytes[at] ^= (uint8_t)(1u << at % 8);
        code = run_open(disk, &about, &run, &err);
        if (code == CAIRN_OK) { /* so it is in a block: a walk finds it, and the hash does */
            assert_int_equal(run_verify(run, &err), CAIRN_ECORRUPT);
            run_cursor_init(&cursor, run);
            while (code == CAIRN_OK && more)
                code = run_cursor_next(&cursor, &more, &err);
            run_cursor_done(&cursor);
            run_close(run);
        }
        if (code != CAIRN_ECORRUPT)
            fail_msg("a flip at byte %zu of %zu ended with %s", at, size, cairn_code_name(code));
        assert_non_null(strstr(err.text, "runs/7.run"));
        bytes[at] ^= (uint8_t)(1u << at % 8);
    }
    assert_int_equal(run_open(disk, &about, &run, &err), CAIRN_OK);
    run_close(run);
    /* Whole, but another file; cut; gone. */
    about.id = 8;
    assert_int_equal(disk->ops->rename(disk, RUN_DIR "/7.run", RUN_DIR "/8.run", &err), CAIRN_OK);
    assert_int_equal(run_open(disk, &about, &run, &err), CAIRN_ECORRUPT);
    about.id = 9;
    assert_int_equal(run_open(disk, &about, &run, &err), CAIRN_ECORRUPT);
    assert_non_null(strstr(err.text, "missing"));
    cairn_disk_close(disk);
}

static void flipped_bytes_are_found(void **state)
{
    (void)state;
    check_flips(RUN_PLAIN);
    check_flips(RUN_LZ4);
    check_flips(RUN_ZSTD);
}

static void call_n_fails(void **state)
{
    struct run_options options = {.records_max = KEYS, .filter_bits = 10};

    (void)state;
    for (int64_t n = 0;; n++) {
        struct cairn_disk *disk = new_disk();
        struct run_about about;
        struct cairn_err err;
        struct run *run = NULL;
        enum cairn_code code;
        unsigned read = 0;
        bool fired;

        cairn_sim_disk_fail_call(disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
        code = write_run(disk, 7, &options, 1, 600, &about, &err);
        if (code == CAIRN_OK)
            code = run_open(disk, &about, &run, &err);
        fired = cairn_sim_disk_fired(disk);
        cairn_sim_disk_fail_call(disk, -1, CAIRN_OK);
        assert_int_equal(code, !fired ? CAIRN_OK : n % 2 ? CAIRN_EIO : CAIRN_EFULL);
        if (code == CAIRN_OK)
            check_run(run, 1, 600, &read);
        run_close(run);
        cairn_disk_close(disk);
        if (!fired)
            break;
        assert_true(n < 100);
    }
}

/* Of the longest keys, which differ in their last bytes alone: all are found, and fences are a small part. */
static void longest_keys(void **state)
{
    enum { LONG_BYTES = 1 << 20, COUNT = 40 };
    uint8_t *key = cairn_alloc(LONG_BYTES);
    struct cairn_buf scratch = {0};
    struct cairn_err err;

    (void)state;
    memset(key, 'k', LONG_BYTES);
    for (int order = RUN_BY_KEY; order <= RUN_BY_HASH; order++) {
        struct cairn_disk *disk = cairn_sim_disk_create(1);
        const struct run_options options = {.order = (enum run_order)order, .records_max = COUNT, .filter_bits = 10};
        struct run_record records[COUNT];
        struct run_writer *writer;
        struct run_about about;
        struct run *run;
        size_t count = COUNT;

        for (size_t i = 0; i < COUNT; i++) {
            key[LONG_BYTES - 1] = (uint8_t)i;
            records[i] =
                (struct run_record){.key = cairn_bytes(cairn_bytes_dup(cairn_bytes(key, LONG_BYTES)), LONG_BYTES),
                                    .value = cairn_bytes(cairn_bytes_dup(cairn_bytes(key + LONG_BYTES - 4, 4)), 4)};
            records[i].hash = cairn_hash(records[i].key);
        }
        count = merge_sort(options.order, records, count);
        assert_int_equal(disk->ops->make_dir(disk, RUN_DIR, &err), CAIRN_OK);
        assert_int_equal(run_writer_create(disk, 1, 0, &options, &writer, &err), CAIRN_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(run_writer_add(writer, &records[i], &err), CAIRN_OK);
        assert_int_equal(run_writer_finish(writer, &about, &err), CAIRN_OK);
        run_writer_destroy(writer);
        assert_int_equal(run_open(disk, &about, &run, &err), CAIRN_OK);
        assert_in_range(run_memory_bytes(run), 1, COUNT / 4 * LONG_BYTES);
        for (size_t i = 0; i < count; i++) {
            struct cairn_bytes value;
            bool found;

            assert_int_equal(run_get(run, records[i].key, records[i].hash, &scratch, &found, &value, &err), CAIRN_OK);
            assert_true(found && cairn_bytes_equal(value, records[i].value));
            scratch.size = 0;
        }
        free_records_of(records, count);
        run_close(run);
        cairn_disk_close(disk);
    }
    cairn_buf_done(&scratch);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(longest_keys),
        cmocka_unit_test(flipped_bytes_are_found),
        cmocka_unit_test(call_n_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
