/* Catches: records lost, changed, doubled or out of order over clean closings and kills; a claim that
 * gives more room than there is or does not come back; replies acknowledged too early or never under
 * each sync mode; a mark or reserved time that comes too late; a trim that removes what is needed or
 * frees nothing; a full disk that does not heal; an idle log that does not come to rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log_lab.h"

static unsigned file_count;

static void count_file(void *context, const char *name)
{
    (void)context;
    file_count += strstr(name, ".log") != NULL;
}

static unsigned segment_files(struct lab *lab)
{
    file_count = 0;
    assert_int_equal(lab->disk->ops->list(lab->disk, "log", count_file, NULL, NULL), CAIRN_OK);
    return file_count;
}

static void test_append_and_reopen(void **state)
{
    struct lab lab;
    uint64_t end;

    (void)state;
    lab_init(&lab, 1, CAIRN_SYNC_ALWAYS);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_int_equal(lab.log->epoch, 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(lab_append(&lab, 8 + (uint32_t)i), CAIRN_OK);
    end = lab.log->ops->end(lab.log);
    assert_true(lab.log->ops->durable(lab.log) < end);
    lab_settle(&lab); /* written, but nobody wants it: not synced */
    assert_true(lab.log->ops->durable(lab.log) < end);
    assert_true(lab.log->ops->acknowledged(lab.log) < end);
    lab_want(&lab);
    lab_settle(&lab);
    assert_int_equal(lab.log->ops->durable(lab.log), end);
    assert_int_equal(lab.progress, end);
    assert_int_equal(lab_close(&lab), CAIRN_OK);
    for (uint64_t epoch = 2; epoch < 6; epoch++) {
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        assert_int_equal(lab.log->epoch, epoch);
        assert_int_equal(lab.count, 5 + epoch - 2);
        assert_int_equal(lab_append(&lab, 100), CAIRN_OK);
        if (epoch % 2)
            lab_kill(&lab); /* not written: gone */
        else
            assert_int_equal(lab_close(&lab), CAIRN_OK);
        if (epoch % 2) {
            assert_int_equal(lab_start(&lab), CAIRN_OK);
            assert_int_equal(lab.count, 5 + epoch - 2);
            break;
        }
    }
    lab_done(&lab);
}

static void test_sync_modes(void **state)
{
    struct lab lab;
    uint64_t end;

    (void)state;
    for (int mode = CAIRN_SYNC_INTERVAL; mode <= CAIRN_SYNC_NONE; mode++) {
        lab_init(&lab, 2, (enum cairn_sync_mode)mode);
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        assert_int_equal(lab_append(&lab, 50), CAIRN_OK);
        end = lab.log->ops->end(lab.log);
        lab_want(&lab);
        lab_settle(&lab);
        assert_int_equal(lab.progress, end);
        assert_int_equal(lab.log->ops->acknowledged(lab.log), end);
        assert_true(lab.log->ops->durable(lab.log) < end);
        lab_advance_ms(&lab, 25);
        lab_settle(&lab);
        assert_int_equal(lab.log->ops->durable(lab.log) == end, mode == CAIRN_SYNC_INTERVAL);
        assert_int_equal(lab_append(&lab, 50), CAIRN_OK);
        end = lab.log->ops->end(lab.log);
        lab.log->ops->want_durable(lab.log, end);
        lab_settle(&lab);
        assert_int_equal(lab.log->ops->durable(lab.log), end);
        assert_int_equal(lab_append(&lab, 50), CAIRN_OK);
        lab_settle(&lab);
        lab_kill(&lab); /* a killed process loses nothing that was written */
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        assert_int_equal(lab.count, 3);
        lab_done(&lab);
    }
}

/* Much more than a segment's worth beyond the last position proven durable. */
static void test_long_tail_is_copied(void **state)
{
    struct lab lab;

    (void)state;
    lab_init(&lab, 3, CAIRN_SYNC_NONE);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    for (int i = 0; i < 100; i++) {
        enum cairn_code code;
        while ((code = lab_append(&lab, 300)) == CAIRN_EOVERLOAD)
            lab_settle(&lab);
        assert_int_equal(code, CAIRN_OK);
    }
    lab_want(&lab);
    lab_settle(&lab);
    assert_true(segment_files(&lab) > 10);
    lab_kill(&lab);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lab_start(&lab), CAIRN_OK);
        assert_int_equal(lab.count, 100);
        assert_int_equal(lab_append(&lab, 8), CAIRN_OK); /* room at once */
        lab_crash(&lab, CAIRN_SIM_DROP);
    }
    lab_done(&lab);
}

/* What is copied is what nothing proves durable: not a log's whole history at each opening. */
static void test_little_is_copied(void **state)
{
    struct lab lab;
    uint64_t end, moved = 0;

    (void)state;
    lab_init(&lab, 11, CAIRN_SYNC_ALWAYS);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    for (int i = 0; i < 40; i++) {
        while (lab_append(&lab, 100) == CAIRN_EOVERLOAD)
            lab_settle(&lab);
        lab_want(&lab);
        lab_settle(&lab);
    }
    end = lab.position_max;
    lab_crash(&lab, CAIRN_SIM_DROP); /* no mark: each record proves those before it */
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_int_equal(lab.count, 40);
    for (size_t i = 0; i < lab.count; i++)
        moved += lab.records[i].position >= end;
    assert_int_equal(moved, 1);
    lab_done(&lab);
}

static void test_claims(void **state)
{
    struct cairn_log_stats before, after;
    struct lab lab;
    uint64_t claims = 0;

    (void)state;
    lab_init(&lab, 4, CAIRN_SYNC_ALWAYS);
    lab.options.pending_bytes_max = 5000;
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_int_equal(lab.log->ops->claim(lab.log, 2048 - 512 - 31, 1, &lab.err), CAIRN_ELIMIT);
    assert_int_equal(lab.log->ops->claim(lab.log, UINT64_MAX / 2, 9, &lab.err), CAIRN_ELIMIT);
    lab_settle(&lab);
    lab.log->ops->stats(lab.log, &before);
    while (lab.log->ops->claim(lab.log, 100, 2, &lab.err) == CAIRN_OK)
        claims++;
    assert_true(claims > 3);
    assert_int_equal(lab.log->ops->claim(lab.log, 100, 2, &lab.err), CAIRN_EOVERLOAD);
    /* Whatever is claimed can be appended, in records of any size within the claim. */
    for (uint64_t i = 0; i < claims; i++) {
        uint8_t body[100] = {0};
        uint64_t position, end;
        struct cairn_bytes parts[2] = {cairn_bytes(body, i % 3 ? 1 : 95), cairn_bytes(body, i % 3 ? 95 : 1)};
        assert_int_equal(lab.log->ops->append(lab.log, &parts[0], 1, &position, &end, &lab.err), CAIRN_OK);
        assert_int_equal(lab.log->ops->append(lab.log, &parts[1], 1, &position, &end, &lab.err), CAIRN_OK);
        lab.log->ops->release(lab.log, 4, 0);
    }
    lab.log->ops->stats(lab.log, &after);
    assert_int_equal(after.room_bytes + (after.end - before.end), before.room_bytes);
    assert_int_equal(after.records, 2 * claims);
    assert_true(after.pending_bytes > 0);
    /* Too much pending is refused until it is written. */
    lab_settle(&lab);
    for (claims = 0; claims < 1000; claims++) {
        uint8_t body[200] = {0};
        struct cairn_bytes part = cairn_bytes(body, sizeof body);
        uint64_t position, end;
        if (lab.log->ops->claim(lab.log, sizeof body, 1, &lab.err) != CAIRN_OK)
            break;
        lab.log->ops->append(lab.log, &part, 1, &position, &end, &lab.err);
        if (claims % 4 == 0) /* room grows, pending stays */
            lab.log->ops->release(lab.log, 0, 0);
    }
    assert_int_equal(lab.log->ops->claim(lab.log, 200, 1, &lab.err), CAIRN_EOVERLOAD);
    lab_settle(&lab);
    assert_int_equal(lab.log->ops->claim(lab.log, 200, 1, &lab.err), CAIRN_OK);
    lab.log->ops->release(lab.log, 200, 1);
    lab.log->ops->abandon(lab.log);
    lab.log = NULL;
    lab_done(&lab);
}

/* A claim beyond what is kept prepared makes the log prepare more, and is told. */
static void test_large_claim(void **state)
{
    struct lab lab;

    (void)state;
    lab_init(&lab, 5, CAIRN_SYNC_ALWAYS);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    lab_settle(&lab);
    assert_int_equal(lab.log->ops->claim(lab.log, 5 * 1400, 5, &lab.err), CAIRN_EOVERLOAD);
    lab.progress = 0;
    lab_settle(&lab);
    assert_true(lab.progress > 0); /* told to ask again */
    assert_int_equal(lab.log->ops->claim(lab.log, 5 * 1400, 5, &lab.err), CAIRN_OK);
    lab.log->ops->release(lab.log, 5 * 1400, 5);
    /* A release is told to whoever was refused meanwhile. */
    {
        struct cairn_log_stats stats;
        uint64_t all;
        lab.log->ops->stats(lab.log, &stats);
        all = stats.room_bytes / 2 - 10 * 40;
        assert_int_equal(lab.log->ops->claim(lab.log, all, 10, &lab.err), CAIRN_OK);
        assert_int_equal(lab.log->ops->claim(lab.log, 1000, 1, &lab.err), CAIRN_EOVERLOAD);
        lab.log->ops->release(lab.log, all, 10);
        lab.progress = 0;
        lab_settle(&lab);
        assert_true(lab.progress > 0);
        assert_int_equal(lab.log->ops->claim(lab.log, 1000, 1, &lab.err), CAIRN_OK);
    }
    lab_done(&lab);
}

static void test_trim(void **state)
{
    struct cairn_log_stats stats;
    struct lab lab;

    (void)state;
    lab_init(&lab, 6, CAIRN_SYNC_ALWAYS);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    for (int i = 0; i < 60; i++) {
        while (lab_append(&lab, 200) == CAIRN_EOVERLOAD)
            lab_settle(&lab);
        lab_want(&lab);
        lab_settle(&lab);
    }
    lab.log->ops->stats(lab.log, &stats);
    assert_true(stats.retained_bytes > 60 * 232 && stats.retained_bytes < 60 * 232 + 12 * 250);
    assert_true(segment_files(&lab) >= 10);
    lab_trim(&lab, 50);
    lab_settle(&lab);
    assert_true(segment_files(&lab) <= 5);
    lab.log->ops->stats(lab.log, &stats);
    assert_true(stats.retained_bytes >= 10 * 232 && stats.retained_bytes < 12 * 240);
    lab_crash(&lab, CAIRN_SIM_DROP);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_true(lab.records[0].number > 40 && lab.records[0].number <= 51);
    assert_int_equal(lab.records[lab.count - 1].number, 60);
    /* Asking for what is gone is an error, not an empty answer. */
    lab_kill(&lab);
    assert_int_equal(lab_open(&lab), CAIRN_OK);
    assert_int_equal(cairn_log_visit(lab.log, 4096, NULL, NULL, &lab.err), CAIRN_ECORRUPT);
    /* Trimming everything keeps the log usable, also over an opening. */
    assert_int_equal(lab.log->ops->start(lab.log, &lab.err), CAIRN_OK);
    lab_trim(&lab, 60);
    lab_settle(&lab);
    assert_true(segment_files(&lab) <= 4);
    assert_int_equal(lab_append(&lab, 20), CAIRN_OK);
    assert_int_equal(lab_close(&lab), CAIRN_OK);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_int_equal(lab.records[lab.count - 1].number, 61);
    lab_done(&lab);
}

static uint64_t disk_calls(struct lab *lab)
{
    return cairn_sim_disk_calls(lab->disk);
}

static void test_mark_and_rest(void **state)
{
    struct lab lab;
    uint64_t calls, wall;

    (void)state;
    lab_init(&lab, 7, CAIRN_SYNC_ALWAYS);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 20), CAIRN_OK);
    lab_want(&lab);
    lab_settle(&lab);
    calls = disk_calls(&lab);
    lab_advance_ms(&lab, 50);
    lab_settle(&lab);
    assert_true(disk_calls(&lab) > calls); /* the mark */
    calls = disk_calls(&lab);
    for (int i = 0; i < 100; i++) {
        lab_advance_ms(&lab, 1000);
        lab_settle(&lab);
    }
    assert_int_equal(disk_calls(&lab), calls); /* idle is idle */

    /* Reserved time: ahead of what is given out, in few marks, durable. */
    wall = 1000000;
    for (int i = 0; i < 1000; i++) {
        lab.log->ops->reserve_time(lab.log, wall += 10);
        lab_settle(&lab);
        assert_true(lab.log->ops->reserved_time_ms(lab.log) >= wall);
    }
    assert_true(disk_calls(&lab) - calls < 10 * 4 * 2);
    lab_crash(&lab, CAIRN_SIM_DROP);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_true(lab.log->ops->reserved_time_ms(lab.log) >= wall);
    assert_true(lab.log->ops->reserved_time_ms(lab.log) <= wall + 5000);
    wall = lab.log->ops->reserved_time_ms(lab.log) + 10;
    lab.log->ops->reserve_time(lab.log, wall);
    lab_settle(&lab);
    assert_int_equal(lab_close(&lab), CAIRN_OK);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_int_equal(lab.log->ops->reserved_time_ms(lab.log), wall); /* a clean close gives back the rest */
    lab_done(&lab);
}

static void test_full_disk_heals(void **state)
{
    struct cairn_log_stats stats;
    struct lab lab;
    int appended = 0;

    (void)state;
    lab_init(&lab, 8, CAIRN_SYNC_ALWAYS);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    lab_settle(&lab);
    cairn_sim_disk_set_room(lab.disk, 3000); /* for one more segment and a part of another */
    for (int i = 0; i < 1000 && lab_append(&lab, 100) == CAIRN_OK; i++, appended++) {
        lab_want(&lab);
        lab_settle(&lab);
    }
    assert_true(appended > 10 && appended < 1000);
    assert_int_equal(lab_append(&lab, 100), CAIRN_EFULL);
    lab.log->ops->stats(lab.log, &stats);
    assert_true(stats.full && !stats.failed);
    lab_advance_ms(&lab, 250);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 100), CAIRN_EFULL);
    /* Trimming makes room at once. */
    lab_trim(&lab, lab.durable - 2);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 100), CAIRN_OK);
    /* So does whoever removes other files, within the retry. */
    cairn_sim_disk_set_room(lab.disk, 0);
    for (int i = 0; i < 1000 && lab_append(&lab, 100) == CAIRN_OK; i++)
        lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 100), CAIRN_EFULL);
    cairn_sim_disk_set_room(lab.disk, 100000);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 100), CAIRN_EFULL);
    lab_advance_ms(&lab, 200);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 100), CAIRN_OK);
    lab.log->ops->stats(lab.log, &stats);
    assert_false(stats.full);
    /* Opening on a full disk: reads go on, writes are refused, and it heals. */
    lab_want(&lab);
    lab_settle(&lab);
    lab_advance_ms(&lab, 50);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 500), CAIRN_OK);
    lab_settle(&lab);
    lab_kill(&lab);
    cairn_sim_disk_set_room(lab.disk, 1500); /* for the record to be saved, and for no whole segment */
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    cairn_sim_disk_set_room(lab.disk, 0);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 1400), CAIRN_EFULL);
    cairn_sim_disk_set_room(lab.disk, SIZE_MAX);
    lab_advance_ms(&lab, 200);
    lab_settle(&lab);
    assert_int_equal(lab_append(&lab, 1400), CAIRN_OK);
    assert_int_equal(lab_close(&lab), CAIRN_OK);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    lab_done(&lab);
}

static void test_random_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 160; seed++) {
        struct lab lab;

        lab_init(&lab, seed, (enum cairn_sync_mode)(seed % 3));
        for (int openings = 0; openings < 8; openings++) {
            assert_int_equal(lab_start(&lab), CAIRN_OK);
            for (int i = 0; i < 60; i++)
                assert_true(lab_act(&lab));
            switch (cairn_random_below(&lab.random, 3)) {
            case 0:
                assert_int_equal(lab_close(&lab), CAIRN_OK);
                break;
            case 1:
                lab_kill(&lab);
                break;
            default:
                lab_crash(&lab, (enum cairn_sim_crash)cairn_random_below(&lab.random, 3));
                break;
            }
        }
        lab_done(&lab);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_reopen),
        cmocka_unit_test(test_sync_modes),
        cmocka_unit_test(test_long_tail_is_copied),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_little_is_copied),
        cmocka_unit_test(test_large_claim),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_mark_and_rest),
        cmocka_unit_test(test_full_disk_heals),
        cmocka_unit_test(test_random_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
