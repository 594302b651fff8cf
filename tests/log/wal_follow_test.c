/* Catches: a reader that follows the log and misses a record, gives one twice or out of order, gives one that is not
 * durable yet, keeps bytes of a record from before it was written, stops where a segment ends or where an opening has
 * begun a new one, says nothing of records that were trimmed before it came to them, or (under TSan) reads what the log
 * changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_lab.h"

/* All that a reader has now, which are the lab's records from `at` on; returns how far it got. */
static size_t follow(struct lab *lab, struct cairn_log_reader *reader, size_t at)
{
    struct cairn_log_record record;
    bool found;

    for (;; at++) {
        if (lab->log->ops->read(reader, &record, &found, &lab->err) != CAIRN_OK)
            fail_msg("%s", lab->err.text);
        if (!found)
            return at;
        assert_true(at < lab->count);
        assert_int_equal(cairn_get_u64(record.body.data), lab->records[at].number);
        assert_int_equal(record.body.size, lab->records[at].size);
        assert_true(record.position == lab->records[at].position && record.end == lab->records[at].end);
        assert_true(record.end <= lab->log->ops->durable(lab->log));
    }
}

static struct cairn_log_reader *reader_from(struct lab *lab, uint64_t from)
{
    struct cairn_log_reader *reader;

    if (lab->log->ops->open_reader(lab->log, from, &reader, &lab->err) != CAIRN_OK)
        fail_msg("%s", lab->err.text);
    return reader;
}

static size_t durable_count(struct lab *lab)
{
    size_t count = 0;

    while (count < lab->count && lab->records[count].end <= lab->log->ops->durable(lab->log))
        count++;
    return count;
}

/* Records of all sizes, some of which begin a segment (2,048 bytes each); crashes and openings in between, over which
 * the reader is opened anew where it was, before start. */
static void test_follow(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t next = 1; /* number */
        struct lab lab;

        lab_init(&lab, seed, (enum cairn_sync_mode)(seed % 3));
        for (int life = 0; life < 4; life++) {
            struct cairn_log_reader *reader;
            size_t at = 0;

            assert_int_equal(lab_open(&lab), CAIRN_OK);
            while (at < lab.count && lab.records[at].number < next)
                at++;
            reader = reader_from(&lab, at < lab.count ? lab.records[at].position : lab.log->ops->end(lab.log));
            if (seed % 2)
                at = follow(&lab, reader, at);
            assert_int_equal(lab.log->ops->start(lab.log, &lab.err), CAIRN_OK);
            for (int i = 0; i < 150; i++) {
                uint64_t dice = cairn_random_below(&lab.random, 10);

                if (lab_append(&lab, 8 + (uint32_t)cairn_random_below(&lab.random, dice ? 200 : 1400)) != CAIRN_OK)
                    lab_settle(&lab);
                if (dice < 3)
                    lab.log->ops->want_durable(lab.log, lab.log->ops->end(lab.log));
                if (dice < 6)
                    lab_step(&lab);
                if (dice < 8)
                    at = follow(&lab, reader, at);
            }
            at = follow(&lab, reader, at);
            assert_int_equal(at, durable_count(&lab));
            assert_true(at > 20);
            next = lab.records[at - 1].number + 1;
            lab.log->ops->close_reader(reader);
            lab_crash(&lab, CAIRN_SIM_TEAR);
        }
        lab_done(&lab);
    }
}

static void add(struct lab *lab, int count)
{
    for (int i = 0; i < count; i++) {
        while (lab_append(lab, 200) == CAIRN_EOVERLOAD)
            lab_settle(lab);
        lab_want(lab);
        lab_settle(lab);
    }
}

static void test_trimmed(void **state)
{
    struct cairn_log_reader *behind, *ahead, *at_end;
    struct cairn_log_record record;
    struct lab lab;
    bool found;

    (void)state;
    lab_init(&lab, 6, CAIRN_SYNC_ALWAYS);
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    add(&lab, 60);
    behind = reader_from(&lab, 0);
    ahead = reader_from(&lab, lab.records[54].position);
    at_end = reader_from(&lab, lab.log->ops->end(lab.log));
    assert_int_equal(lab.log->ops->read(behind, &record, &found, &lab.err), CAIRN_OK);
    assert_true(found && cairn_get_u64(record.body.data) == 1);
    lab_trim(&lab, 50);
    lab_settle(&lab);
    assert_int_equal(lab.log->ops->read(behind, &record, &found, &lab.err), CAIRN_ECORRUPT);
    assert_non_null(strstr(lab.err.text, "begins at position"));
    assert_false(found);
    assert_int_equal(lab.log->ops->open_reader(lab.log, 4096, &behind, &lab.err), CAIRN_ECORRUPT);
    assert_int_equal(follow(&lab, ahead, 54), 60);
    add(&lab, 40); /* several segments on, and what they were at is gone */
    lab_trim(&lab, 95);
    lab_settle(&lab);
    assert_int_equal(lab.log->ops->read(ahead, &record, &found, &lab.err), CAIRN_ECORRUPT);
    assert_int_equal(lab.log->ops->read(at_end, &record, &found, &lab.err), CAIRN_ECORRUPT);
    lab.log->ops->close_reader(behind);
    lab.log->ops->close_reader(ahead);
    lab.log->ops->close_reader(at_end);
    lab_done(&lab);
}

/* --- while another thread appends --- */

enum { RECORDS = 20000 };

struct appender {
    struct cairn_log *log;
    _Atomic bool over, failed;
    _Atomic uint64_t trim; /* what the reader has passed */
};

static void *append_all(void *context)
{
    struct appender *appender = context;
    struct cairn_log *log = appender->log;
    uint8_t body[300] = {0};
    uint64_t position, end = 0;
    struct cairn_err err;

    for (uint64_t i = 1; i <= RECORDS && !appender->failed; i++) {
        struct cairn_bytes part = cairn_bytes(body, 8 + i % 290);
        enum cairn_code code;

        cairn_put_u64(body, i);
        while ((code = log->ops->claim(log, part.size, 1, &err)) == CAIRN_EOVERLOAD)
            usleep(100);
        if (code != CAIRN_OK || log->ops->append(log, &part, 1, &position, &end, &err) != CAIRN_OK)
            appender->failed = true;
        if (i % 7 == 0)
            log->ops->want(log, end);
        if (i % 500 == 0)
            log->ops->trim(log, appender->trim);
    }
    log->ops->want(log, end);
    appender->over = true;
    return NULL;
}

static void follow_thread(bool mapped)
{
    char path[] = "/tmp/cairn-follow-XXXXXX";
    struct cairn_wal_options options = {.segment_bytes = 64 << 10, .threaded = true, .mapped = mapped};
    struct cairn_log_place place = {.clock = cairn_clock_system(), .dir = "log"};
    struct appender appender = {0};
    struct cairn_log_reader *reader;
    struct cairn_log_record record;
    uint64_t next = 1;
    pthread_t thread;
    struct cairn_err err;
    char command[64];
    bool found;

    assert_non_null(mkdtemp(path));
    assert_int_equal(cairn_disk_open(path, &place.disk, &err), CAIRN_OK);
    assert_int_equal(cairn_wal_open(&options, &place, &appender.log, &err), CAIRN_OK);
    assert_int_equal(appender.log->ops->open_reader(appender.log, 0, &reader, &err), CAIRN_OK);
    assert_int_equal(appender.log->ops->start(appender.log, &err), CAIRN_OK);
    assert_int_equal(pthread_create(&thread, NULL, append_all, &appender), 0);
    while (next <= RECORDS && !appender.failed) {
        if (appender.log->ops->read(reader, &record, &found, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        if (!found) {
            usleep(50);
            continue;
        }
        assert_int_equal(cairn_get_u64(record.body.data), next);
        assert_int_equal(record.body.size, 8 + next % 290);
        appender.trim = record.position;
        next++;
    }
    pthread_join(thread, NULL);
    assert_false(appender.failed);
    assert_int_equal(next, RECORDS + 1);
    appender.log->ops->close_reader(reader);
    assert_int_equal(appender.log->ops->close(appender.log, &err), CAIRN_OK);
    cairn_disk_close(place.disk);
    snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

static void test_follow_thread(void **state)
{
    (void)state;
    follow_thread(false);
    follow_thread(true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_trimmed),
        cmocka_unit_test(test_follow_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
