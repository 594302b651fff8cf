/* The operator's log: catches lines that break (a line end in a client's text), a kind that floods it, a reader that is
 * away and holds up who tells, and a rotation that loses lines. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/health.h"
#include "server/journal.h"

struct lab {
    char folder[64], path[96];
    struct cairn_sim_clock clock;
    struct cairn_journal *journal;
};

static void lab_open(struct lab *lab, bool json, enum cairn_level least)
{
    struct cairn_journal_options options = {
        .path = lab->path, .json = json, .least = least, .clock = &lab->clock.clock};
    struct cairn_err err;

    snprintf(lab->folder, sizeof lab->folder, "/tmp/cairn-journal-XXXXXX");
    assert_non_null(mkdtemp(lab->folder));
    snprintf(lab->path, sizeof lab->path, "%s/log", lab->folder);
    cairn_sim_clock_init(&lab->clock, 1);
    assert_int_equal(cairn_journal_open(&options, &lab->journal, &err), CAIRN_OK);
}

/* Closes it and gives what is in the file; freed by the caller. */
static char *lab_close(struct lab *lab)
{
    char *text = calloc(1, 1 << 21);
    int fd;

    lab->journal = cairn_journal_close(lab->journal);
    fd = open(lab->path, O_RDONLY);
    if (fd >= 0) {
        assert_true(read(fd, text, (1 << 21) - 1) >= 0);
        close(fd);
    }
    unlink(lab->path);
    rmdir(lab->folder);
    return text;
}

static void tell(struct lab *lab, enum cairn_level level, const char *kind, const char *text, const char *value)
{
    cairn_tell(cairn_journal_events(lab->journal),
               &(struct cairn_event){.level = level,
                                     .from = "archive",
                                     .kind = kind,
                                     .text = text,
                                     .fields = {{.key = "count", .number = 42}, {.key = "error", .text = value}}});
}

static size_t lines_with(const char *text, const char *part)
{
    size_t count = 0;

    for (; (text = strstr(text, part)); text++)
        count++;
    return count;
}

static void test_lines(void **state)
{
    struct lab lab;
    char *text, *json;

    (void)state;
    lab_open(&lab, false, CAIRN_LEVEL_INFO);
    tell(&lab, CAIRN_LEVEL_WARNING, "failing", "it is \"away\"", "line\nend\x1b[0m");
    tell(&lab, CAIRN_LEVEL_DEBUG, "detail", "not written", "x");
    text = lab_close(&lab);
    assert_int_equal(lines_with(text, "\n"), 1);
    assert_non_null(strstr(text, "Z warning archive event=failing msg=\"it is \\\"away\\\"\" count=42 "
                                 "error=\"line\\x0aend\\x1b[0m\"\n"));
    assert_int_equal(text[4], '-');
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[19], '.');
    free(text);
    lab_open(&lab, true, CAIRN_LEVEL_DEBUG);
    tell(&lab, CAIRN_LEVEL_DEBUG, "failing", "it is \"away\"", "line\nend");
    json = lab_close(&lab);
    assert_int_equal(lines_with(json, "\n"), 1);
    assert_non_null(strstr(json, "Z\",\"level\":\"debug\",\"from\":\"archive\",\"event\":\"failing\",\"msg\":\"it is "
                                 "\\\"away\\\"\",\"count\":42,\"error\":\"line\\nend\"}\n"));
    free(json);
}

static void test_a_kind_is_limited_and_others_are_not(void **state)
{
    struct cairn_journal_counts counts;
    struct lab lab;
    char *text;

    (void)state;
    lab_open(&lab, false, CAIRN_LEVEL_INFO);
    for (int i = 0; i < 1000; i++)
        tell(&lab, CAIRN_LEVEL_WARNING, "flood", "again", "x");
    tell(&lab, CAIRN_LEVEL_WARNING, "other", "once", "x");
    cairn_journal_counts(lab.journal, &counts);
    assert_int_equal(counts.lines[CAIRN_LEVEL_WARNING], 1001);
    assert_int_equal(counts.suppressed, 990);
    text = lab_close(&lab);
    assert_int_equal(lines_with(text, "event=flood msg=again"), 10);
    assert_int_equal(lines_with(text, "event=other"), 1);
    assert_int_equal(lines_with(text, "suppressed=990"), 1);
    free(text);
}

/* A pipe that nobody reads: telling goes on, what has no room is dropped and counted, and closing ends. */
static void test_a_reader_that_is_away(void **state)
{
    struct cairn_journal_options options = {.clock = cairn_clock_system()};
    struct cairn_journal *journal;
    struct cairn_journal_counts counts;
    struct cairn_err err;
    enum { KINDS = 30 };
    char path[] = "/tmp/cairn-journal-pipe-XXXXXX", name[64], kinds[KINDS][8], text[1000] = "";
    int reader;

    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(name, sizeof name, "%s/pipe", path);
    assert_int_equal(mkfifo(name, 0600), 0);
    reader = open(name, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    options.path = name;
    assert_int_equal(cairn_journal_open(&options, &journal, &err), CAIRN_OK);
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < KINDS; i++)
        for (int n = 0; n < 10; n++) {
            struct cairn_event event = {.level = CAIRN_LEVEL_ERROR, .from = "test", .kind = kinds[i], .text = text};

            for (int k = 0; k < CAIRN_EVENT_FIELDS; k++)
                event.fields[k] = (struct cairn_event_field){.key = "field", .text = text};
            snprintf(kinds[i], sizeof kinds[i], "k%d", i);
            cairn_journal_tell(journal, &event);
        }
    cairn_journal_counts(journal, &counts);
    assert_int_equal(counts.lines[CAIRN_LEVEL_ERROR], 10 * KINDS);
    assert_true(counts.dropped > 0); /* 2.7 MB do not fit */
    assert_null(cairn_journal_close(journal));
    close(reader);
    unlink(name);
    rmdir(path);
}

static void test_rotation(void **state)
{
    struct lab lab;
    char moved[128], *text;
    struct stat info;

    (void)state;
    lab_open(&lab, false, CAIRN_LEVEL_INFO);
    tell(&lab, CAIRN_LEVEL_INFO, "first", "before", "x");
    for (int i = 0; i < 500 && (stat(lab.path, &info) != 0 || info.st_size == 0); i++)
        usleep(10000);
    snprintf(moved, sizeof moved, "%s.1", lab.path);
    assert_int_equal(rename(lab.path, moved), 0);
    cairn_journal_reopen(lab.journal);
    for (int i = 0; i < 500 && stat(lab.path, &info) != 0; i++)
        usleep(10000);
    tell(&lab, CAIRN_LEVEL_INFO, "second", "behind", "x");
    assert_true(stat(moved, &info) == 0 && info.st_size > 0);
    unlink(moved);
    text = lab_close(&lab);
    assert_non_null(strstr(text, "event=reopened"));
    assert_non_null(strstr(text, "event=second"));
    assert_null(strstr(text, "event=first"));
    free(text);
}

/* --- what is told of a node's numbers --- */

struct told {
    char text[2048];
};

static void take_event(void *context, const struct cairn_event *event)
{
    struct told *told = context;
    size_t at = strlen(told->text);

    snprintf(told->text + at, sizeof told->text - at, "%s/%s ", event->from, event->kind);
}

static void look(struct cairn_watch *watch, const struct cairn_health *health, const char *wanted)
{
    struct told told = {""};
    struct cairn_events events = {take_event, &told};

    cairn_watch_look(watch, health, &events);
    assert_string_equal(told.text, wanted);
}

static enum cairn_check_state state_of(const struct cairn_health *health, const char *name)
{
    struct cairn_check checks[CAIRN_CHECKS_MAX];
    size_t count = cairn_health_checks(health, checks);

    for (size_t i = 0; i < count; i++)
        if (strcmp(checks[i].name, name) == 0) {
            assert_true((checks[i].state == CAIRN_CHECK_OK) == (checks[i].reason[0] == 0));
            return checks[i].state;
        }
    fail();
    return CAIRN_CHECK_OK;
}

static void test_health(void **state)
{
    struct cairn_health health = {.sync_always = true};
    struct cairn_watch watch = {0};

    (void)state;
    look(&watch, &health, "");
    assert_int_equal(state_of(&health, "disk"), CAIRN_CHECK_OK);
    health.store.log.full = true;
    assert_int_equal(state_of(&health, "disk"), CAIRN_CHECK_FAILED);
    look(&watch, &health, "log/disk_full ");
    look(&watch, &health, "");
    health.store.log.full = false;
    look(&watch, &health, "log/disk_full_over ");

    health.store.archive_failures = 4;
    snprintf(health.store.archive_error, sizeof health.store.archive_error, "connection refused");
    assert_int_equal(state_of(&health, "archive"), CAIRN_CHECK_WARNING);
    look(&watch, &health, "archive/failing ");
    look(&watch, &health, "");
    health.store.archive_error[0] = 0;
    look(&watch, &health, "archive/recovered ");
    health.store.archive_lost = true;
    assert_int_equal(state_of(&health, "archive"), CAIRN_CHECK_FAILED);
    look(&watch, &health, "archive/fenced ");

    health.store.checkpoint_failures = 1;
    snprintf(health.store.checkpoint_error, sizeof health.store.checkpoint_error, "no space");
    assert_int_equal(state_of(&health, "checkpoint"), CAIRN_CHECK_WARNING);
    look(&watch, &health, "checkpoint/failing ");
    health.store.checkpoint_error[0] = 0;
    look(&watch, &health, "checkpoint/recovered ");

    health.store.log.syncs = 10;
    health.store.log.sync_ns_total = 9000000;
    look(&watch, &health, "");
    health.store.log.syncs = 11;
    health.store.log.sync_ns_total += 200000000;
    health.store.log.end = 5000;
    look(&watch, &health, "log/sync_slow ");
    look(&watch, &health, "log/sync_stuck ");
    look(&watch, &health, "");
    health.store.log.syncs = 12;
    health.store.log.durable = 5000;
    look(&watch, &health, "log/sync_stuck_over ");

    health.evicted_keys = 7;
    look(&watch, &health, "once/keys_forgotten ");
    health.dropped_outcomes = 3;
    look(&watch, &health, "once/outcomes_dropped ");
    health.time.jump_ms = 86400000;
    assert_int_equal(state_of(&health, "clock"), CAIRN_CHECK_WARNING);
    health.store.log.failed = true;
    assert_int_equal(state_of(&health, "log"), CAIRN_CHECK_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_a_kind_is_limited_and_others_are_not),
        cmocka_unit_test(test_a_reader_that_is_away),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_health),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
