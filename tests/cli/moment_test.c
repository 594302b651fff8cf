/* Catches: a moment that is read as another one (a day or second that there is not, a local time that was twice or
 * never, an offset with the wrong sign), or is refused although it is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "cli/moment.h"

static const struct {
    const char *zone, *text, *want; /* in UTC; NULL: refused, */
    const char *why;                /* and the complaint has this */
} cases[] = {
    {"UTC", "2026-07-01T12:00:00Z", "2026-07-01T12:00:00.000Z", NULL}, /* a whole second is its beginning */
    {"UTC", "2026-07-01t12:00:00z", "2026-07-01T12:00:00.000Z", NULL},
    {"UTC", "2026-07-01T12:00:00.5Z", "2026-07-01T12:00:00.500Z", NULL},
    {"UTC", "2026-07-01T12:00:00.250Z", "2026-07-01T12:00:00.250Z", NULL},
    {"UTC", "2026-07-01T12:00:00.999999999Z", "2026-07-01T12:00:00.999Z", NULL},
    {"UTC", "2026-07-01T12:00:00.0000000000Z", NULL, "is no moment"},
    {"UTC", "2026-07-01T12:00:00.Z", NULL, "is no moment"},
    {"UTC", "2026-07-01T12:00:00+02:00", "2026-07-01T10:00:00.000Z", NULL},
    {"UTC", "2026-07-01T12:00:00-05:30", "2026-07-01T17:30:00.000Z", NULL},
    {"UTC", "2026-07-01 12:00:00+02:00", "2026-07-01T10:00:00.000Z", NULL},
    {"UTC", "2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z", NULL},
    {"UTC", "2026-07-01T12:00:00+2:00", NULL, "is no moment"},
    {"UTC", "2026-07-01T12:00:00+0200", NULL, "is no moment"},
    {"UTC", "2026-07-01T12:00:00+24:00", NULL, "is no moment"},
    {"UTC", "2026-07-01T12:00:00+02:60", NULL, "is no moment"},
    {"UTC", "2026-07-01T12:00:00", NULL, "is no moment"}, /* of which time? */
    {"UTC", "2026-07-01T12:00:00Z ", NULL, "is no moment"},
    {"UTC", " 2026-07-01T12:00:00Z", NULL, "is no moment"},
    {"UTC", "2026-7-1T12:00:00Z", NULL, "is no moment"},
    {"UTC", "2026-07-01T12:00Z", NULL, "is no moment"},
    {"UTC", "2026-07-01", NULL, "is no moment"},
    {"UTC", "", NULL, "is no moment"},
    {"UTC", "yesterday", NULL, "is no moment"},
    {"UTC", "2027-02-30T00:00:00Z", NULL, "no such day"},
    {"UTC", "2027-02-29T00:00:00Z", NULL, "no such day"},
    {"UTC", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z", NULL},
    {"UTC", "2100-02-29T00:00:00Z", NULL, "no such day"},
    {"UTC", "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z", NULL},
    {"UTC", "2026-04-31T00:00:00Z", NULL, "no such day"},
    {"UTC", "2026-04-00T00:00:00Z", NULL, "no such day"},
    {"UTC", "2026-00-01T00:00:00Z", NULL, "no such month"},
    {"UTC", "2026-13-01T00:00:00Z", NULL, "no such month"},
    {"UTC", "2026-07-01T24:00:00Z", NULL, "no such time"},
    {"UTC", "2026-07-01T12:60:00Z", NULL, "no such time"},
    {"UTC", "2026-07-01T12:00:60Z", NULL, "00 to 59"},
    {"UTC", "2026-07-01T12:00:61Z", NULL, "00 to 59"},
    {"UTC", "2027-02-30 00:00:00", NULL, "no such day"},
    {"UTC", "1969-12-31T23:59:59Z", NULL, "1970"},
    {"UTC", "1970-01-01T00:00:00+01:00", NULL, "1970"},
    {"UTC", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z", NULL},
    {"UTC", "1782907200250", "2026-07-01T12:00:00.250Z", NULL},
    {"UTC", "178290720", NULL, "is no moment"}, /* seconds, or a version? */
    {"UTC", "99999999999999999999", NULL, "is no moment"},
    {"UTC", "-1782907200250", NULL, "is no moment"},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-01 12:00:00", "2026-07-01T10:00:00.000Z", NULL},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-01-01 12:00:00.125", "2026-01-01T11:00:00.125Z", NULL},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29 01:59:59", "2026-03-29T00:59:59.000Z", NULL},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29 02:00:00", NULL, "never showed"},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29 02:30:00", NULL, "never showed"},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29 03:00:00", "2026-03-29T01:00:00.000Z", NULL},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25 01:59:59", "2026-10-24T23:59:59.000Z", NULL},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25 02:30:00", NULL,
     "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25 03:00:00", "2026-10-25T02:00:00.000Z", NULL},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00.000Z", NULL},
    {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01 01:30:00", NULL, "T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"},
    {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08 02:30:00", NULL, "never showed"},
    {"NPT-5:45", "2026-07-01 12:00:00", "2026-07-01T06:15:00.000Z", NULL},
};

static void moments_are_read(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char complaint[CAIRN_MOMENT_COMPLAINT_BYTES] = "", text[CAIRN_MOMENT_TEXT_BYTES];
        uint64_t ms = 0;
        bool read;

        setenv("TZ", cases[i].zone, 1);
        tzset();
        read = cairn_moment_parse(cases[i].text, &ms, complaint);
        if (read != (cases[i].want != NULL))
            fail_msg("'%s' in %s: %s %s", cases[i].text, cases[i].zone, read ? "is read" : "is refused", complaint);
        if (read)
            assert_string_equal(cairn_moment_text(ms, text), cases[i].want);
        else if (!strstr(complaint, cases[i].why))
            fail_msg("'%s' in %s: %s", cases[i].text, cases[i].zone, complaint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moments_are_read)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
