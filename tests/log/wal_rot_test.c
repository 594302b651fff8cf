/* Catches: damage at or below the mark that is served, skipped or cut instead of named; damage beyond
 * it that brings back or changes a record; a void record that returns at a later opening; files that
 * are missing, short or of a later format and go unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "log_lab.h"

enum { NAMES_MAX = 32 };

struct names {
    char paths[NAMES_MAX][64];
    int count;
};

static void add_name(void *context, const char *name)
{
    struct names *names = context;

    assert_true(names->count < NAMES_MAX);
    snprintf(names->paths[names->count++], sizeof names->paths[0], "log/%s", name);
}

static struct names list(struct lab *lab)
{
    struct names names = {.count = 0};

    assert_int_equal(lab->disk->ops->list(lab->disk, "log", add_name, &names, NULL), CAIRN_OK);
    return names;
}

static void append_many(struct lab *lab, int count, uint32_t size)
{
    for (int i = 0; i < count; i++) {
        while (lab_append(lab, size + (uint32_t)i % 5) == CAIRN_EOVERLOAD)
            lab_settle(lab);
        if (i % 3 == 2) {
            lab_want(lab);
            lab_settle(lab);
        }
    }
    lab_want(lab);
    lab_settle(lab);
}

/* A log with two epochs, several segments, and a trimmed front; everything of it marked. */
static void build(struct lab *lab, uint64_t seed)
{
    lab_init(lab, seed, CAIRN_SYNC_ALWAYS);
    lab->options.segment_bytes = 1024;
    lab->options.segments_ahead = 1;
    assert_int_equal(lab_start(lab), CAIRN_OK);
    append_many(lab, 12, 60);
    lab_trim(lab, 8);
    lab_settle(lab);
    lab_kill(lab);
    assert_int_equal(lab_start(lab), CAIRN_OK);
    append_many(lab, 14, 40);
    lab_advance_ms(lab, 60);
    lab_settle(lab);
}

struct tally {
    unsigned named, intact, cut, warned;
};

/* Opens a damaged copy.  What comes out must be the promise kept or the file's name. */
static void open_damaged(const struct lab *whole, struct lab *damaged, const char *path, struct tally *tally)
{
    enum cairn_code code;

    damaged->warning_count = 0;
    code = lab_open(damaged); /* checks what is read */
    if (code == CAIRN_OK) {
        tally->warned += damaged->warning_count > 0;
        if (damaged->warning_count)
            assert_string_equal(path, "log/mark");
        if (damaged->count && damaged->records[damaged->count - 1].number == whole->next_number - 1)
            tally->intact++;
        else
            tally->cut++;
        /* And it goes on from there. */
        assert_int_equal(damaged->log->ops->start(damaged->log, &damaged->err), CAIRN_OK);
        append_many(damaged, 1, 8);
        lab_crash(damaged, CAIRN_SIM_DROP);
        assert_int_equal(lab_start(damaged), CAIRN_OK);
    } else {
        assert_int_equal(code, CAIRN_ECORRUPT);
        assert_non_null(strstr(damaged->err.text, path));
        assert_non_null(strstr(damaged->err.text, "byte"));
        assert_non_null(strstr(damaged->err.text, "restore"));
        tally->named++;
    }
}

static struct tally flip_everything(struct lab *whole)
{
    struct names names = list(whole);
    struct tally tally = {0};

    for (int i = 0; i < names.count; i++) {
        size_t size = 0, ignored;
        assert_non_null(cairn_sim_disk_bytes(whole->disk, names.paths[i], &size));
        for (size_t at = 0; at < size; at++) {
            struct lab damaged;

            if (strcmp(names.paths[i], "log/mark") == 0 && at % 4096 >= 520 && at % 64)
                continue; /* unused space: a sample will do */
            lab_clone(whole, &damaged);
            cairn_sim_disk_bytes(damaged.disk, names.paths[i], &ignored)[at] ^= (uint8_t)(1u << (at % 8));
            open_damaged(whole, &damaged, names.paths[i], &tally);
            lab_done(&damaged);
        }
    }
    print_message("named %u, intact %u, cut %u, warned %u\n", tally.named, tally.intact, tally.cut, tally.warned);
    return tally;
}

static void test_flip_any_byte_when_marked(void **state)
{
    struct tally tally;
    struct lab lab;

    (void)state;
    build(&lab, 1);
    lab_kill(&lab);
    lab.durable = lab.next_number; /* so no opening may yield less */
    tally = flip_everything(&lab);
    assert_true(tally.named > 2500 && tally.intact > 1000);
    assert_int_equal(tally.cut, 0);
    assert_int_equal(tally.warned, 2 * 512); /* each byte of either slot of the mark */
    lab_done(&lab);
}

static void test_flip_any_byte_beyond_the_mark(void **state)
{
    struct tally tally;
    struct lab lab;
    uint64_t batch;

    (void)state;
    build(&lab, 2);
    append_many(&lab, 3, 30);
    batch = lab.next_number;
    for (int i = 0; i < 3; i++)
        assert_int_equal(lab_append(&lab, 20), CAIRN_OK);
    lab_want(&lab);
    lab_settle(&lab); /* synced and acknowledged, and no mark or later record says so */
    lab_kill(&lab);
    lab.kept = 0;
    lab.durable = batch; /* all before is proven by this batch's records */
    tally = flip_everything(&lab);
    assert_true(tally.cut >= 3 * 56 && tally.named > 2500);
    lab_done(&lab);
}

/* Cut records whose bytes become whole again: the next epoch has voided them. */
static void test_void_stays_void(void **state)
{
    struct lab lab;

    (void)state;
    for (int closing = 0; closing < 3; closing++) {
        struct names names;
        char path[64] = "";
        size_t at = 0, size = 0;
        uint64_t before, end;

        lab_init(&lab, 3, CAIRN_SYNC_ALWAYS);
        lab.options.segment_bytes = 4096;
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        append_many(&lab, 6, 50);
        before = lab.next_number;
        end = lab.log->ops->end(lab.log);
        for (int i = 0; i < 4; i++)
            assert_int_equal(lab_append(&lab, 50), CAIRN_OK);
        lab_step(&lab); /* written, not synced: a crash may leave any part */
        lab_kill(&lab);
        lab.kept = 0;
        names = list(&lab);
        for (int i = 0; i < names.count; i++)
            if (strcmp(names.paths[i], "log/0000000000001000.log") == 0)
                snprintf(path, sizeof path, "%s", names.paths[i]);
        assert_true(path[0]);
        at = (size_t)(end - 4096 + 512 + 40); /* in the body of the first of them */
        cairn_sim_disk_bytes(lab.disk, path, &size)[at] ^= 1;
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        assert_int_equal(lab.records[lab.count - 1].number, before - 1);
        if (closing == 0)
            lab_crash(&lab, CAIRN_SIM_DROP);
        else if (closing == 1)
            assert_int_equal(lab_close(&lab), CAIRN_OK);
        else
            append_many(&lab, 2, 50), lab_crash(&lab, CAIRN_SIM_TEAR);
        if (cairn_sim_disk_bytes(lab.disk, path, &size))
            cairn_sim_disk_bytes(lab.disk, path, &size)[at] ^= 1; /* whole again */
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        assert_int_equal(lab.records[lab.count - 1].number, before - 1 + (closing == 2 ? 2 + 4 : 0));
        assert_int_equal(lab.count, before - 1 + (closing == 2 ? 2 : 0));
        lab_done(&lab);
    }
}

static void test_missing_and_short_files(void **state)
{
    struct lab lab, damaged;
    struct names names;
    unsigned noticed = 0, harmless = 0;

    (void)state;
    build(&lab, 4);
    lab_kill(&lab);
    lab.durable = lab.next_number;
    names = list(&lab);
    for (int i = 0; i < names.count; i++) {
        const char *path = names.paths[i];
        uint8_t *bytes;
        size_t size = 0;

        lab_clone(&lab, &damaged);
        assert_int_equal(damaged.disk->ops->remove(damaged.disk, path, NULL), CAIRN_OK);
        if (lab_start(&damaged) == CAIRN_OK) {
            harmless++; /* it was prepared and not used yet; lab_start has checked the rest */
        } else {
            assert_int_equal(damaged.err.code, CAIRN_ECORRUPT);
            assert_non_null(strstr(damaged.err.text, "missing") ? damaged.err.text
                                                                : strstr(damaged.err.text, "lost its file"));
            noticed++;
        }
        lab_done(&damaged);

        for (size_t left = 0; left < 1024; left += 200) {
            lab_clone(&lab, &damaged);
            bytes = cairn_sim_disk_bytes(lab.disk, path, &size);
            assert_int_equal(cairn_disk_replace_file(damaged.disk, path, cairn_bytes(bytes, left), NULL), CAIRN_OK);
            if (strcmp(path, "log/mark") == 0 && left > 512) {
                assert_int_equal(lab_start(&damaged), CAIRN_OK);
                assert_int_equal(damaged.warning_count, 1);
            } else {
                assert_int_equal(lab_start(&damaged), CAIRN_ECORRUPT);
                assert_non_null(strstr(damaged.err.text, path));
            }
            lab_done(&damaged);
        }
    }
    assert_true(noticed >= 4 && harmless <= 1);
    /* All segments gone at once. */
    lab_clone(&lab, &damaged);
    for (int i = 0; i < names.count; i++)
        if (strcmp(names.paths[i], "log/mark") != 0)
            damaged.disk->ops->remove(damaged.disk, names.paths[i], NULL);
    assert_int_equal(lab_start(&damaged), CAIRN_ECORRUPT);
    lab_done(&damaged);
    lab_done(&lab);
}

/* The newest files gone, as many as one likes, with segments that end in a seal and exactly full. */
static void test_missing_end(void **state)
{
    unsigned noticed = 0;

    (void)state;
    for (int full = 0; full < 2; full++) {
        struct lab lab, damaged;
        struct names names;

        lab_init(&lab, 8, CAIRN_SYNC_ALWAYS);
        lab.options.segment_bytes = 1024;
        lab.options.segments_ahead = 1;
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        for (int i = 0; i < 24; i++) {
            while (lab_append(&lab, full ? 32 : 90) == CAIRN_EOVERLOAD)
                lab_settle(&lab);
            lab_want(&lab);
            lab_settle(&lab);
        }
        assert_int_equal(lab_close(&lab), CAIRN_OK);
        names = list(&lab);
        for (int first = 1; first + 2 < names.count; first++) { /* the last two: "mark" and one not used yet */
            lab_clone(&lab, &damaged);
            for (int i = first; i < names.count; i++)
                if (strcmp(names.paths[i], "log/mark") != 0)
                    damaged.disk->ops->remove(damaged.disk, names.paths[i], NULL);
            assert_int_equal(lab_start(&damaged), CAIRN_ECORRUPT);
            assert_non_null(strstr(damaged.err.text, "missing"));
            noticed++;
            lab_done(&damaged);
        }
        lab_done(&lab);
    }
    assert_true(noticed > 5);
}

static void test_later_version(void **state)
{
    struct lab lab, damaged;
    struct names names;

    (void)state;
    build(&lab, 5);
    lab_kill(&lab);
    names = list(&lab);
    for (int i = 0; i < names.count; i++) {
        size_t size = 0;
        uint8_t *bytes;

        lab_clone(&lab, &damaged);
        bytes = cairn_sim_disk_bytes(damaged.disk, names.paths[i], &size);
        cairn_put_u32(bytes + 8, 2);
        cairn_put_u32(bytes + 508, cairn_crc32c(0, bytes, 508));
        assert_int_equal(lab_start(&damaged), CAIRN_EVERSION);
        assert_non_null(strstr(damaged.err.text, names.paths[i]));
        lab_done(&damaged);
    }
    lab_done(&lab);
}

/* Both slots of the mark damaged. */
static void test_lost_mark(void **state)
{
    struct lab lab;
    uint8_t *bytes;
    size_t size;

    (void)state;
    build(&lab, 6);
    lab_kill(&lab);
    bytes = cairn_sim_disk_bytes(lab.disk, "log/mark", &size);
    bytes[100] ^= 1;
    bytes[4096 + 100] ^= 1;
    assert_int_equal(lab_start(&lab), CAIRN_ECORRUPT);
    assert_non_null(strstr(lab.err.text, "log/mark"));
    assert_non_null(strstr(lab.err.text, "restore"));
    bytes = cairn_sim_disk_bytes(lab.disk, "log/mark", &size);
    bytes[100] ^= 1;
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_int_equal(lab.warning_count, 1);
    lab_kill(&lab);
    assert_int_equal(lab_start(&lab), CAIRN_OK); /* repaired by the opening */
    assert_int_equal(lab.warning_count, 1);
    lab_done(&lab);
}

/* What a trim has acted upon must not hang on one slot: the files are gone. */
static void test_either_slot_will_do(void **state)
{
    (void)state;
    for (size_t slot = 0; slot < 2; slot++) {
        for (int trims = 1; trims < 4; trims++) {
            struct lab lab;
            size_t size;

            lab_init(&lab, 7, CAIRN_SYNC_ALWAYS);
            lab.options.segment_bytes = 1024;
            assert_int_equal(lab_start(&lab), CAIRN_OK);
            append_many(&lab, 30, 100);
            lab_advance_ms(&lab, 60);
            lab_settle(&lab);
            for (int i = 0; i < trims; i++) {
                lab_trim(&lab, 8 + 6 * (uint64_t)i);
                lab_settle(&lab);
            }
            lab_kill(&lab);
            lab.durable = lab.next_number;
            cairn_sim_disk_bytes(lab.disk, "log/mark", &size)[slot * 4096 + 40] ^= 1;
            assert_int_equal(lab_start(&lab), CAIRN_OK);
            assert_int_equal(lab.warning_count, 1);
            lab_done(&lab);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flip_any_byte_when_marked),
        cmocka_unit_test(test_flip_any_byte_beyond_the_mark),
        cmocka_unit_test(test_void_stays_void),
        cmocka_unit_test(test_missing_and_short_files),
        cmocka_unit_test(test_later_version),
        cmocka_unit_test(test_missing_end),
        cmocka_unit_test(test_lost_mark),
        cmocka_unit_test(test_either_slot_will_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
