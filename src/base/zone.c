#include "base/zone.h"

#include <stdlib.h>

enum { DAY_S = 86400, RULE_BYTES_MAX = 256 };

/* When local time changes in a year, as POSIX has it: Mm.w.d, Jn, n. */
struct change {
    enum { CHANGE_MONTH, CHANGE_JULIAN, CHANGE_DAY } kind;
    int month, week, day;
    int32_t at_s; /* of that day, in the local time before it */
};

struct rule {
    int32_t standard_s, summer_s;
    bool has_summer;
    struct change to_summer, to_standard;
};

struct transition {
    int64_t at_s;
    int32_t offset_s;
};

struct cairn_zone {
    struct transition *transitions;
    size_t count;
    int32_t first_s; /* before them */
    struct rule rule;
    bool has_rule;
};

/* --- days ---------------------------------------------------------------------------------------- */

/* Hinnant, "chrono-compatible low-level date algorithms". */
int64_t cairn_days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void cairn_date_of(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

    *ret_day = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_year = year + era * 400 + (*ret_month <= 2);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int weekday_of(int64_t days) /* 0: Sunday */
{
    return (int)(((days + 4) % 7 + 7) % 7);
}

/* --- the rule of a footer -------------------------------------------------------------------------- */

static bool read_number(const char **at, int most, int *ret_number)
{
    int n = 0, digits = 0;

    for (; **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
        n = 10 * n + (**at - '0');
    *ret_number = n;
    return digits > 0 && n <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **at, int32_t *ret_s)
{
    int hours = 0, minutes = 0, seconds = 0, sign = 1;

    if (**at == '-' || **at == '+')
        sign = *(*at)++ == '-' ? -1 : 1;
    if (!read_number(at, 167, &hours))
        return false;
    if (**at == ':' && ((*at)++, !read_number(at, 59, &minutes)))
        return false;
    if (**at == ':' && ((*at)++, !read_number(at, 59, &seconds)))
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool skip_name(const char **at)
{
    const char *begin = *at;

    if (**at == '<') {
        while (**at && **at != '>')
            (*at)++;
        return *(*at)++ == '>';
    }
    while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z'))
        (*at)++;
    return *at - begin >= 3;
}

static bool read_change(const char **at, struct change *ret_change)
{
    struct change c = {.kind = CHANGE_DAY, .at_s = 7200};

    if (*(*at)++ != ',')
        return false;
    if (**at == 'M') {
        c.kind = CHANGE_MONTH;
        (*at)++;
        if (!read_number(at, 12, &c.month) || c.month == 0 || *(*at)++ != '.' || !read_number(at, 5, &c.week) ||
            c.week == 0 || *(*at)++ != '.' || !read_number(at, 6, &c.day))
            return false;
    } else {
        if (**at == 'J') {
            c.kind = CHANGE_JULIAN;
            (*at)++;
        }
        if (!read_number(at, 365, &c.day) || (c.kind == CHANGE_JULIAN && c.day == 0))
            return false;
    }
    if (**at == '/' && ((*at)++, !read_time(at, &c.at_s)))
        return false;
    *ret_change = c;
    return true;
}

static bool read_rule(const char *at, struct rule *ret_rule)
{
    struct rule rule = {0};

    if (!skip_name(&at) || !read_time(&at, &rule.standard_s))
        return false;
    rule.standard_s = -rule.standard_s;
    if (*at) {
        rule.has_summer = true;
        rule.summer_s = rule.standard_s + 3600;
        if (!skip_name(&at))
            return false;
        if (*at != ',') {
            if (!read_time(&at, &rule.summer_s))
                return false;
            rule.summer_s = -rule.summer_s;
        }
        if (!read_change(&at, &rule.to_summer) || !read_change(&at, &rule.to_standard))
            return false;
    }
    *ret_rule = rule;
    return *at == 0;
}

/* In seconds of local time since 1970. */
static int64_t change_in(const struct change *c, int64_t year)
{
    int64_t first = cairn_days_of(year, c->kind == CHANGE_MONTH ? (unsigned)c->month : 1, 1), day;

    if (c->kind == CHANGE_MONTH) {
        unsigned next = c->month == 12 ? 1 : (unsigned)c->month + 1;
        int64_t end = cairn_days_of(c->month == 12 ? year + 1 : year, next, 1);

        day = first + (c->day - weekday_of(first) + 7) % 7 + 7 * (c->week - 1);
        while (day >= end)
            day -= 7;
    } else if (c->kind == CHANGE_JULIAN) { /* 29 February is not counted */
        day = first + c->day - 1 + (is_leap(year) && c->day >= 60);
    } else {
        day = first + c->day;
    }
    return day * DAY_S + c->at_s;
}

static struct cairn_zone_span span_by_rule(const struct rule *rule, int64_t utc_s)
{
    struct cairn_zone_span span = {INT64_MIN, INT64_MAX, rule->standard_s, rule->standard_s};
    struct transition t[6];
    unsigned month, day;
    int64_t year;
    int count = 0;

    if (!rule->has_summer)
        return span;
    cairn_date_of(utc_s / DAY_S, &year, &month, &day);
    for (int64_t y = year - 1; y <= year + 1; y++) {
        struct transition summer = {change_in(&rule->to_summer, y) - rule->standard_s, rule->summer_s};
        struct transition standard = {change_in(&rule->to_standard, y) - rule->summer_s, rule->standard_s};
        bool north = summer.at_s < standard.at_s;

        t[count++] = north ? summer : standard;
        t[count++] = north ? standard : summer;
    }
    for (int i = 0; i < count; i++) {
        if (t[i].at_s > utc_s) {
            span.end_s = t[i].at_s;
            break;
        }
        span.before_s = i ? t[i - 1].offset_s : t[i + 1].offset_s;
        span.begin_s = t[i].at_s;
        span.offset_s = t[i].offset_s;
    }
    return span;
}

/* --- the file ---------------------------------------------------------------------------------------- */

struct counts {
    uint32_t is_ut, is_std, leap, time, type, chars;
};

static uint32_t be32(struct cairn_reader *r)
{
    struct cairn_bytes b = cairn_read_bytes(r, 4);

    return r->bad ? 0 : (uint32_t)b.data[0] << 24 | (uint32_t)b.data[1] << 16 | (uint32_t)b.data[2] << 8 | b.data[3];
}

static bool read_header(struct cairn_reader *r, struct counts *ret_counts)
{
    struct cairn_bytes magic = cairn_read_bytes(r, 5);

    if (r->bad || memcmp(magic.data, "TZif", 4) != 0 || magic.data[4] < '2')
        return false;
    cairn_read_bytes(r, 15);
    ret_counts->is_ut = be32(r);
    ret_counts->is_std = be32(r);
    ret_counts->leap = be32(r);
    ret_counts->time = be32(r);
    ret_counts->type = be32(r);
    ret_counts->chars = be32(r);
    return !r->bad && ret_counts->type > 0 && ret_counts->type <= 256 && ret_counts->time <= 65536;
}

static size_t bytes_of(const struct counts *c, size_t time_bytes)
{
    return c->time * (time_bytes + 1) + 6 * (size_t)c->type + c->chars + c->leap * (time_bytes + 4) +
           (size_t)c->is_std + c->is_ut;
}

struct cairn_zone *cairn_zone_read(struct cairn_bytes file, int64_t from_s)
{
    struct cairn_reader r = cairn_reader(file);
    struct cairn_zone *zone;
    struct cairn_bytes times, kinds, types, footer;
    char text[RULE_BYTES_MAX];
    struct counts counts;

    if (!read_header(&r, &counts))
        return NULL;
    cairn_read_bytes(&r, bytes_of(&counts, 4));
    if (r.bad || !read_header(&r, &counts))
        return NULL;
    times = cairn_read_bytes(&r, 8 * (size_t)counts.time);
    kinds = cairn_read_bytes(&r, counts.time);
    types = cairn_read_bytes(&r, 6 * (size_t)counts.type);
    cairn_read_bytes(&r, bytes_of(&counts, 8) - 9 * (size_t)counts.time - 6 * (size_t)counts.type);
    footer = cairn_bytes(r.at, cairn_reader_left(&r));
    if (r.bad || footer.size < 2 || footer.size - 2 >= sizeof text || footer.data[0] != '\n' ||
        footer.data[footer.size - 1] != '\n')
        return NULL;
    zone = cairn_alloc_zeroed(1, sizeof *zone);
    memcpy(text, footer.data + 1, footer.size - 2);
    text[footer.size - 2] = 0;
    zone->has_rule = text[0] && read_rule(text, &zone->rule);
    zone->transitions = cairn_alloc((counts.time + 1) * sizeof *zone->transitions);
    zone->first_s = (int32_t)__builtin_bswap32(cairn_get_u32(types.data));
    for (uint32_t i = 0; i < counts.time; i++) {
        int64_t at = (int64_t)cairn_get_be64(times.data + 8 * (size_t)i);

        if (kinds.data[i] >= counts.type || (text[0] && !zone->has_rule))
            return cairn_zone_free(zone);
        zone->transitions[zone->count] =
            (struct transition){at, (int32_t)__builtin_bswap32(cairn_get_u32(types.data + 6 * (size_t)kinds.data[i]))};
        if (at < from_s)
            zone->first_s = zone->transitions[0].offset_s;
        else
            zone->count++;
    }
    zone->transitions = cairn_realloc(zone->transitions, (zone->count + 1) * sizeof *zone->transitions);
    return zone;
}

struct cairn_zone *cairn_zone_free(struct cairn_zone *zone)
{
    if (zone)
        free(zone->transitions);
    free(zone);
    return NULL;
}

struct cairn_zone_span cairn_zone_span(const struct cairn_zone *zone, int64_t utc_s)
{
    struct cairn_zone_span span = {INT64_MIN, INT64_MAX, 0, 0};
    size_t low = 0, high;

    if (!zone)
        return span;
    for (high = zone->count; low < high;) { /* how many lie at or before it */
        size_t middle = (low + high) / 2;

        if (zone->transitions[middle].at_s <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule) {
        span = span_by_rule(&zone->rule, utc_s);
        if (low && span.begin_s <= zone->transitions[low - 1].at_s) {
            span.begin_s = zone->transitions[low - 1].at_s;
            span.before_s = low > 1 ? zone->transitions[low - 2].offset_s : zone->first_s;
        }
        return span;
    }
    span.offset_s = span.before_s = low ? zone->transitions[low - 1].offset_s : zone->first_s;
    if (low) {
        span.begin_s = zone->transitions[low - 1].at_s;
        span.before_s = low > 1 ? zone->transitions[low - 2].offset_s : zone->first_s;
    }
    if (low < zone->count)
        span.end_s = zone->transitions[low].at_s;
    return span;
}
