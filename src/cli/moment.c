#include "cli/moment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOCAL = 1, AT_OFFSET }; /* what the fields are of */

struct fields {
    int year, month, day, hour, minute, second, ms;
    int kind, offset_minutes;
};

/* `count` digits; false: they are not there. */
static bool read_number(const char **at, int count, int *ret)
{
    int number = 0;

    for (int i = 0; i < count; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        number = 10 * number + (**at - '0');
    }
    *ret = number;
    return true;
}

static bool read_char(const char **at, const char *any_of)
{
    if (!**at || !strchr(any_of, **at))
        return false;
    ++*at;
    return true;
}

/* One to nine digits; what is below a millisecond is cut off. */
static bool read_fraction(const char **at, int *ret_ms)
{
    int digits = 0, digit;

    *ret_ms = 0;
    if (!read_char(at, "."))
        return true;
    for (int weight = 100; read_number(at, 1, &digit); weight /= 10, digits++)
        *ret_ms += weight * digit;
    return digits >= 1 && digits <= 9;
}

static bool read_offset(const char **at, struct fields *fields)
{
    int hours, minutes, sign = **at == '-' ? -1 : 1;

    fields->kind = AT_OFFSET;
    if (read_char(at, "Zz"))
        return true;
    if (!read_char(at, "+-") || !read_number(at, 2, &hours) || !read_char(at, ":") || !read_number(at, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    fields->offset_minutes = sign * (60 * hours + minutes);
    return true;
}

/* That it has the form; not that there is such a moment. */
static bool read_fields(const char *at, struct fields *fields)
{
    bool blank;

    if (!read_number(&at, 4, &fields->year) || !read_char(&at, "-") || !read_number(&at, 2, &fields->month) ||
        !read_char(&at, "-") || !read_number(&at, 2, &fields->day))
        return false;
    blank = *at == ' ';
    if (!read_char(&at, "Tt ") || !read_number(&at, 2, &fields->hour) || !read_char(&at, ":") ||
        !read_number(&at, 2, &fields->minute) || !read_char(&at, ":") || !read_number(&at, 2, &fields->second) ||
        !read_fraction(&at, &fields->ms))
        return false;
    if (!*at && blank)
        fields->kind = LOCAL;
    else if (!read_offset(&at, fields))
        return false;
    return !*at;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static struct tm tm_of(const struct fields *fields)
{
    return (struct tm){.tm_year = fields->year - 1900,
                       .tm_mon = fields->month - 1,
                       .tm_mday = fields->day,
                       .tm_hour = fields->hour,
                       .tm_min = fields->minute,
                       .tm_sec = fields->second,
                       .tm_isdst = -1};
}

/* The moments at which clocks here show that; at most two, ascending. */
static int find_local(const struct fields *fields, time_t found[2])
{
    enum { DAY = 86400 };
    struct tm tm = tm_of(fields), here;
    time_t at = timegm(&tm);
    int count = 0;

    for (int day = -1; day <= 1; day++) { /* the offsets around it are those that it may have */
        time_t near = at + day * DAY, candidate;

        if (!localtime_r(&near, &here))
            continue;
        candidate = at - here.tm_gmtoff;
        if (!localtime_r(&candidate, &here) || candidate + here.tm_gmtoff != at)
            continue;
        if (count == 0 || (count == 1 && candidate != found[0]))
            found[count++] = candidate;
    }
    if (count == 2 && found[0] > found[1]) {
        time_t first = found[1];

        found[1] = found[0];
        found[0] = first;
    }
    return count;
}

/* "+02:00" at a moment, here. */
static void write_offset(time_t at, char to[16])
{
    struct tm here;
    long minutes = localtime_r(&at, &here) ? here.tm_gmtoff / 60 : 0;

    snprintf(to, 16, "%c%02d:%02d", minutes < 0 ? '-' : '+', (int)(labs(minutes) / 60 % 24), (int)(labs(minutes) % 60));
}

static bool resolve_local(const char *text, const struct fields *fields, time_t *ret_at,
                          char complaint[CAIRN_MOMENT_COMPLAINT_BYTES])
{
    time_t found[2];
    int count = find_local(fields, found);
    char first[16], second[16];

    if (count == 1) {
        *ret_at = found[0];
        return true;
    }
    if (count == 0) {
        snprintf(complaint, CAIRN_MOMENT_COMPLAINT_BYTES,
                 "clocks here never showed '%.40s': they were set forward past it; give the offset, such as "
                 "%.10sT%.12s+01:00",
                 text, text, text + 11);
        return false;
    }
    write_offset(found[0], first);
    write_offset(found[1], second);
    snprintf(complaint, CAIRN_MOMENT_COMPLAINT_BYTES,
             "clocks here showed '%.40s' twice, as they were set back: give the offset, %.10sT%.12s%s or %.10sT%.12s%s",
             text, text, text + 11, first, text, text + 11, second);
    return false;
}

/* There are such a day and such a time of it. */
static bool check_fields(const char *text, const struct fields *fields, char complaint[CAIRN_MOMENT_COMPLAINT_BYTES])
{
    const char *wrong = NULL;

    if (fields->year < 1970)
        wrong = "moments begin in 1970";
    else if (fields->month < 1 || fields->month > 12)
        wrong = "there is no such month";
    else if (fields->day < 1 || fields->day > days_of(fields->year, fields->month))
        wrong = "there is no such day in that month";
    else if (fields->hour > 23 || fields->minute > 59)
        wrong = "there is no such time of day";
    else if (fields->second > 59)
        wrong = "seconds go from 00 to 59";
    if (wrong)
        snprintf(complaint, CAIRN_MOMENT_COMPLAINT_BYTES, "'%.40s' is no moment: %s", text, wrong);
    return !wrong;
}

static bool parse_ms(const char *text, uint64_t *ret_ms)
{
    size_t digits = strspn(text, "0123456789");

    if (text[digits] || digits < 10 || digits > 15)
        return false;
    *ret_ms = strtoull(text, NULL, 10);
    return true;
}

bool cairn_moment_parse(const char *text, uint64_t *ret_ms, char complaint[CAIRN_MOMENT_COMPLAINT_BYTES])
{
    struct fields fields = {0};
    struct tm tm;
    time_t at;

    if (parse_ms(text, ret_ms))
        return true;
    if (!read_fields(text, &fields)) {
        snprintf(
            complaint, CAIRN_MOMENT_COMPLAINT_BYTES,
            "'%.40s' is no moment: write it as 2026-07-01T12:00:00Z or 2026-07-01T12:00:00.250+02:00, as '2026-07-01 "
            "12:00:00' in this machine's time, or in milliseconds since 1970",
            text);
        return false;
    }
    if (!check_fields(text, &fields, complaint))
        return false;
    tm = tm_of(&fields);
    if (fields.kind == AT_OFFSET)
        at = timegm(&tm) - 60 * (time_t)fields.offset_minutes;
    else if (!resolve_local(text, &fields, &at, complaint))
        return false;
    if (at < 0) {
        snprintf(complaint, CAIRN_MOMENT_COMPLAINT_BYTES, "'%.40s' is no moment: moments begin in 1970", text);
        return false;
    }
    *ret_ms = (uint64_t)at * 1000 + (uint64_t)fields.ms;
    return true;
}

const char *cairn_moment_text(uint64_t ms, char to[CAIRN_MOMENT_TEXT_BYTES])
{
    time_t at = (time_t)(ms / 1000);
    struct tm tm;
    size_t size = gmtime_r(&at, &tm) ? strftime(to, CAIRN_MOMENT_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm) : 0;

    if (size)
        snprintf(to + size, CAIRN_MOMENT_TEXT_BYTES - size, ".%03dZ", (int)(ms % 1000));
    else
        snprintf(to, CAIRN_MOMENT_TEXT_BYTES, "%" PRIu64 " ms", ms);
    return to;
}
