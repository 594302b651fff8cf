/* Would catch: a cron line that is read as another one, or taken though it is none; a time that is left out, that comes
 * twice, or that is early, at ends of months, in leap years, and around each change of local time in each zone that the
 * system has; counts that do not agree with the times.  The oracle looks at every minute; offsets are compared with the
 * C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cron.h"
#include "base/random.h"
#include "io/zones.h"

static const int64_t from_s = 1735689600; /* 2025 */

static struct cairn_cron parse(const char *line)
{
    struct cairn_cron cron;
    struct cairn_err err;

    if (cairn_cron_parse(cairn_str(line), &cron, &err) != CAIRN_OK)
        fail_msg("%s: %s", line, err.text);
    return cron;
}

static void lines_are_read(void **state)
{
    static const char *const bad[] = {"",           "*",           "* * * *",     "* * * * * *",  "60 * * * *",
                                      "* 24 * * *", "* * 0 * *",   "* * 32 * *",  "* * * 13 *",   "* * * 0 *",
                                      "* * * * 8",  "5-3 * * * *", "*/0 * * * *", "1,,2 * * * *", "a * * * *",
                                      "* * * * mo", "-1 * * * *",  "1- * * * *",  "0 0 30 2 *",   "0 0 31 feb,4 *",
                                      "*x * * * *", "1/ * * * *"};
    char long_one[CAIRN_CRON_BYTES_MAX + 2];
    struct cairn_cron cron;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (cairn_cron_parse(cairn_str(bad[i]), &cron, NULL) != CAIRN_EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    memset(long_one, ' ', sizeof long_one);
    memcpy(long_one, "* * * * *", 9);
    assert_int_equal(cairn_cron_parse(cairn_bytes(long_one, CAIRN_CRON_BYTES_MAX + 1), &cron, NULL), CAIRN_EINVAL);
    assert_int_equal(cairn_cron_parse(cairn_bytes(long_one, CAIRN_CRON_BYTES_MAX), &cron, NULL), CAIRN_OK);
    cron = parse(" 0,15-17,50-59/4\t*/6 1-7,31 jan,MAR-may 1-5,sun ");
    assert_int_equal(cron.minutes, 1ull | 7ull << 15 | 1ull << 50 | 1ull << 54 | 1ull << 58);
    assert_int_equal(cron.hours, 1u | 1u << 6 | 1u << 12 | 1u << 18);
    assert_int_equal(cron.days, 0xfeu | 1u << 31);
    assert_int_equal(cron.months, 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5);
    assert_int_equal(cron.weekdays, 0x3f);
    assert_true(cron.any_hour && !cron.any_day && !cron.any_weekday);
    assert_int_equal(parse("* * * * 7").weekdays, 1);
    assert_int_equal(parse("* * * * 5-7").weekdays, 1 | 1 << 5 | 1 << 6);
    assert_int_equal(parse("10/20 * * * *").minutes, 1ull << 10 | 1ull << 30 | 1ull << 50);
}

/* --- zones ------------------------------------------------------------------------------------------ */

/* What the C library says, which knows the zone by TZ. */
static int32_t offset_by_libc(int64_t utc_s)
{
    time_t t = (time_t)utc_s;
    struct tm tm;

    localtime_r(&t, &tm);
    return (int32_t)tm.tm_gmtoff;
}

static const char *const names[] = {
    "Europe/Berlin",      "America/New_York",  "Australia/Lord_Howe", "Asia/Kathmandu",
    "Africa/Casablanca",  "America/Sao_Paulo", "Pacific/Apia",        "Antarctica/Troll",
    "Europe/Dublin",      "America/Nuuk",      "Asia/Gaza",           "Australia/Sydney",
    "Pacific/Kiritimati", "America/St_Johns",  "Africa/Cairo",        "Etc/GMT+5"};

static void zones_agree_with_the_c_library(void **state)
{
    struct cairn_zones *zones = cairn_zones_load(CAIRN_ZONES_FOLDER, from_s);
    const struct cairn_zone *zone;

    (void)state;
    assert_true(cairn_zones_find(zones, cairn_str("UTC"), &zone));
    assert_null(zone);
    assert_true(cairn_zones_find(NULL, cairn_str("UTC"), &zone));
    assert_false(cairn_zones_find(zones, cairn_str("Europe/Nowhere"), &zone));
    assert_false(cairn_zones_find(zones, cairn_str("../zoneinfo/Europe/Berlin"), &zone));
    assert_false(cairn_zones_find(zones, cairn_str(""), &zone));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int64_t at = from_s, end = from_s + 70ll * 366 * 86400;

        assert_true(cairn_zones_find(zones, cairn_str(names[i]), &zone));
        setenv("TZ", names[i], 1);
        tzset();
        while (at < end) { /* each span: its ends, and times within */
            struct cairn_zone_span span = cairn_zone_span(zone, at);

            assert_true(span.begin_s <= at && at < span.end_s);
            assert_int_equal(offset_by_libc(at), span.offset_s);
            for (int64_t t = at; t < span.end_s && t < end; t += 86400 * 3)
                if (offset_by_libc(t) != span.offset_s)
                    fail_msg("%s at %lld: %d, not %d", names[i], (long long)t, span.offset_s, offset_by_libc(t));
            if (span.end_s >= end)
                break;
            assert_int_equal(offset_by_libc(span.end_s - 1), span.offset_s);
            assert_int_equal(cairn_zone_span(zone, span.end_s).before_s, span.offset_s);
            assert_int_equal(cairn_zone_span(zone, span.end_s).begin_s, span.end_s);
            at = span.end_s;
        }
    }
    cairn_zones_free(zones);
}

static void files_that_are_none_are_refused(void **state)
{
    static const char path[] = CAIRN_ZONES_FOLDER "/Europe/Berlin";
    uint8_t bytes[8192];
    FILE *file = fopen(path, "rb");
    size_t size;

    (void)state;
    assert_non_null(file);
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t n = 0; n < size; n++) {
        uint8_t *copy = malloc(n ? n : 1); /* so that a sanitizer sees reads behind it */

        memcpy(copy, bytes, n);
        assert_null(cairn_zone_read(cairn_bytes(copy, n), from_s));
        free(copy);
    }
    for (size_t n = 0; n < size; n++) { /* whatever comes of it, nothing breaks */
        struct cairn_zone *zone;

        bytes[n] ^= 0xff;
        zone = cairn_zone_read(cairn_bytes(bytes, size), from_s);
        if (zone)
            (void)cairn_zone_span(zone, from_s + 86400);
        cairn_zone_free(zone);
        bytes[n] ^= 0xff;
    }
}

/* --- the oracle --------------------------------------------------------------------------------------- */

static bool shows(const struct cairn_cron *cron, int64_t local_s)
{
    time_t t = (time_t)local_s;
    struct tm tm;
    bool day, weekday;

    gmtime_r(&t, &tm);
    day = cron->days >> tm.tm_mday & 1;
    weekday = cron->weekdays >> tm.tm_wday & 1;
    return cron->minutes >> tm.tm_min & 1 && cron->hours >> tm.tm_hour & 1 && cron->months >> (tm.tm_mon + 1) & 1 &&
           (cron->any_day || cron->any_weekday ? day && weekday : day || weekday);
}

/* Whether that minute is due, of all that there is of a zone: the offset of each minute (index from a beginning). */
static bool is_due(const struct cairn_cron *cron, int64_t begin_s, const int32_t *offsets, int64_t i)
{
    int64_t utc_s = begin_s + i * 60, local_s = utc_s + offsets[i];

    if (cron->any_hour)
        return shows(cron, local_s);
    for (int64_t k = i - 1; k >= 0 && k >= i - 300; k--)
        if (begin_s + k * 60 + offsets[k] == local_s)
            local_s = -1; /* it was shown before */
    if (local_s >= 0 && shows(cron, local_s))
        return true;
    if (i > 0)
        for (int64_t left_out = utc_s - 60 + offsets[i - 1] + 60; left_out < utc_s + offsets[i]; left_out += 60)
            if (shows(cron, left_out))
                return true;
    return false;
}

static void compare(const char *line, const struct cairn_cron *cron, const struct cairn_zone *zone, const char *name,
                    int64_t begin_s, const int32_t *offsets, int64_t minutes)
{
    int64_t at = begin_s + 300 * 60;
    uint64_t count = 0;

    for (int64_t i = 301; i < minutes; i++) {
        int64_t next;

        if (!is_due(cron, begin_s, offsets, i))
            continue;
        next = cairn_cron_next(cron, zone, at);
        if (next != begin_s + i * 60)
            fail_msg("'%s' in %s after %lld: %lld, not %lld", line, name, (long long)at, (long long)next,
                     (long long)(begin_s + i * 60));
        at = next;
        count++;
    }
    assert_true(cairn_cron_next(cron, zone, at) >= begin_s + minutes * 60);
    if (cairn_cron_count(cron, zone, begin_s + 300 * 60, begin_s + (minutes - 1) * 60) != count)
        fail_msg("'%s' in %s: counts %llu, not %llu", line, name,
                 (unsigned long long)cairn_cron_count(cron, zone, begin_s + 300 * 60, begin_s + (minutes - 1) * 60),
                 (unsigned long long)count);
}

/* Around every change of a zone's time in four years, and whole years of some lines. */
static void each_minute_agrees_with_the_oracle(void **state)
{
    static const char *const lines[] = {"30 2 * * *",       "0 * * * *",   "*/10 * * * *",   "15 1-3 * * *",
                                        "0 0 * * *",        "59 23 * * *", "0 0,12 * * sun", "5 */2 * * *",
                                        "0-59/7 2,3 * * *", "* 1 * * *",   "45 0 1 * 1"};
    struct cairn_zones *zones = cairn_zones_load(CAIRN_ZONES_FOLDER, from_s);
    enum { MINUTES = 5 * 1440 };
    int32_t *offsets = malloc(sizeof *offsets * MINUTES);

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct cairn_zone *zone;
        int64_t change = from_s + 10 * 86400;

        assert_true(cairn_zones_find(zones, cairn_str(names[i]), &zone));
        for (int changes = 0; changes < 8; changes++) {
            struct cairn_zone_span span = cairn_zone_span(zone, change);
            int64_t begin = (span.end_s == INT64_MAX ? change + 86400 : span.end_s) / 60 * 60 - 2 * 86400;

            for (int64_t m = 0; m < MINUTES; m++)
                offsets[m] = cairn_zone_span(zone, begin + m * 60).offset_s;
            for (size_t l = 0; l < sizeof lines / sizeof *lines; l++) {
                struct cairn_cron cron = parse(lines[l]);
                compare(lines[l], &cron, zone, names[i], begin, offsets, MINUTES);
            }
            if (span.end_s == INT64_MAX)
                break;
            change = span.end_s;
        }
    }
    free(offsets);
    cairn_zones_free(zones);
}

static void put(char *to, struct cairn_random *random, int low, int high)
{
    int a = low + (int)cairn_random_below(random, (uint64_t)(high - low + 1)),
        b = low + (int)cairn_random_below(random, (uint64_t)(high - low + 1));

    switch (cairn_random_below(random, 5)) {
    case 0:
        sprintf(to, "*");
        return;
    case 1:
        sprintf(to, "*/%d", a + 1);
        return;
    case 2:
        sprintf(to, "%d-%d", a < b ? a : b, a < b ? b : a);
        return;
    case 3:
        sprintf(to, "%d,%d", a, b);
        return;
    default:
        sprintf(to, "%d", a);
    }
}

static void lines_drawn_agree_with_the_oracle(void **state)
{
    struct cairn_zones *zones = cairn_zones_load(CAIRN_ZONES_FOLDER, from_s);
    enum { MINUTES = 60 * 1440 };
    int32_t *offsets = malloc(sizeof *offsets * MINUTES);
    struct cairn_random random;

    (void)state;
    cairn_random_init(&random, 7);
    for (int round = 0; round < 60; round++) {
        const char *name = names[cairn_random_below(&random, sizeof names / sizeof *names)];
        int64_t begin = (from_s + (int64_t)cairn_random_below(&random, 20ull * 365 * 86400)) / 60 * 60;
        char f[5][16], line[128];
        const struct cairn_zone *zone;
        struct cairn_cron cron;

        put(f[0], &random, 0, 59), put(f[1], &random, 0, 23), put(f[2], &random, 1, 31), put(f[3], &random, 1, 12);
        put(f[4], &random, 0, 6);
        snprintf(line, sizeof line, "%s %s %s %s %s", f[0], f[1], f[2], f[3], f[4]);
        if (cairn_cron_parse(cairn_str(line), &cron, NULL) != CAIRN_OK)
            continue; /* a day that no month has */
        assert_true(cairn_zones_find(zones, cairn_str(name), &zone));
        for (int64_t m = 0; m < MINUTES; m++)
            offsets[m] = cairn_zone_span(zone, begin + m * 60).offset_s;
        compare(line, &cron, zone, name, begin, offsets, MINUTES);
    }
    free(offsets);
    cairn_zones_free(zones);
}

static int64_t utc(int year, unsigned month, unsigned day, int hour, int minute)
{
    return cairn_days_of(year, month, day) * 86400 + hour * 3600 + minute * 60;
}

static void rare_days_are_found(void **state)
{
    struct cairn_cron cron = parse("0 0 29 2 *");

    (void)state;
    assert_int_equal(cairn_cron_next(&cron, NULL, utc(2026, 1, 1, 0, 0)), utc(2028, 2, 29, 0, 0));
    assert_int_equal(cairn_cron_next(&cron, NULL, utc(2028, 2, 29, 0, 0)), utc(2032, 2, 29, 0, 0));
    assert_int_equal(cairn_cron_next(&cron, NULL, utc(2096, 3, 1, 0, 0)), utc(2104, 2, 29, 0, 0)); /* 2100 is none */
    assert_int_equal(cairn_cron_count(&cron, NULL, utc(2000, 3, 1, 0, 0), utc(2028, 3, 1, 0, 0)), 7);
    cron = parse("30 12 31 * *");
    assert_int_equal(cairn_cron_next(&cron, NULL, utc(2026, 1, 31, 12, 30)), utc(2026, 3, 31, 12, 30));
    assert_int_equal(cairn_cron_next(&cron, NULL, utc(2026, 3, 31, 12, 29)), utc(2026, 3, 31, 12, 30));
    assert_int_equal(cairn_cron_count(&cron, NULL, utc(2026, 1, 1, 0, 0), utc(2027, 1, 1, 0, 0)), 7);
    cron = parse("0 9 13 * fri"); /* either day */
    assert_int_equal(cairn_cron_next(&cron, NULL, utc(2026, 3, 8, 0, 0)), utc(2026, 3, 13, 9, 0));
    assert_int_equal(cairn_cron_next(&cron, NULL, utc(2026, 4, 11, 0, 0)), utc(2026, 4, 13, 9, 0));
    cron = parse("* * * * *");
    assert_int_equal(cairn_cron_count(&cron, NULL, utc(2026, 1, 1, 0, 0), utc(2027, 1, 1, 0, 0)), 525600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(zones_agree_with_the_c_library),
        cmocka_unit_test(files_that_are_none_are_refused),
        cmocka_unit_test(each_minute_agrees_with_the_oracle),
        cmocka_unit_test(lines_drawn_agree_with_the_oracle),
        cmocka_unit_test(rare_days_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
