#include "base/cron.h"

enum { MINUTE_S = 60, DAY_MINUTES = 1440, DAY_S = 86400, YEARS_MAX = 30 };

/* --- reading a line --------------------------------------------------------------------------------- */

struct field {
    const char *name;
    int low, high;
    const char *const *names; /* of low, low + 1, ...; NULL: it has none */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct field fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, months},
    {"day of the week", 0, 7, weekdays},
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* A number or a name; false: it is neither, or not in the field. */
static bool read_item(struct cairn_bytes *at, const struct field *field, int *ret_n)
{
    int n = 0, digits = 0;

    for (; at->size && is_digit(at->data[0]) && digits < 3; at->data++, at->size--, digits++)
        n = 10 * n + (at->data[0] - '0');
    if (digits) {
        *ret_n = n;
        return n >= field->low && n <= field->high;
    }
    for (int i = 0; field->names && field->names[i]; i++) {
        const char *name = field->names[i];

        if (at->size >= 3 && (at->data[0] | 32) == name[0] && (at->data[1] | 32) == name[1] &&
            (at->data[2] | 32) == name[2]) {
            *ret_n = field->low + i;
            *at = cairn_bytes(at->data + 3, at->size - 3);
            return true;
        }
    }
    return false;
}

static bool eat(struct cairn_bytes *at, uint8_t c)
{
    if (!at->size || at->data[0] != c)
        return false;
    *at = cairn_bytes(at->data + 1, at->size - 1);
    return true;
}

static bool read_range(struct cairn_bytes *at, const struct field *field, uint64_t *bits)
{
    int low = field->low, high = field->high, step = 1, digits = 0;

    if (!eat(at, '*')) {
        if (!read_item(at, field, &low))
            return false;
        high = low;
        if (eat(at, '-') && (!read_item(at, field, &high) || high < low))
            return false;
        if (high == low && at->size && at->data[0] == '/')
            high = field->high;
    } else if (high == 7) {
        high = 6; /* Sunday once */
    }
    if (eat(at, '/')) {
        for (step = 0; at->size && is_digit(at->data[0]) && digits < 3; at->data++, at->size--, digits++)
            step = 10 * step + (at->data[0] - '0');
        if (step == 0)
            return false;
    }
    for (int n = low; n <= high; n += step)
        *bits |= (uint64_t)1 << n;
    return true;
}

static bool read_field(struct cairn_bytes *at, const struct field *field, uint64_t *ret_bits, bool *ret_any)
{
    *ret_bits = 0;
    while (eat(at, ' ') || eat(at, '\t'))
        ;
    *ret_any = at->size && at->data[0] == '*';
    do
        if (!read_range(at, field, ret_bits))
            return false;
    while (eat(at, ','));
    return !at->size || at->data[0] == ' ' || at->data[0] == '\t';
}

/* A day of a month that no year has. */
static bool is_never(const struct cairn_cron *cron)
{
    static const int days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (cron->any_day || !cron->any_weekday)
        return false;
    for (int month = 1; month <= 12; month++)
        if (cron->months >> month & 1 && cron->days & (uint32_t)(((uint64_t)2 << days[month]) - 2))
            return false;
    return true;
}

enum cairn_code cairn_cron_parse(struct cairn_bytes line, struct cairn_cron *ret_cron, struct cairn_err *err)
{
    struct cairn_bytes at = line;
    uint64_t bits[5];
    bool any[5];

    if (line.size > CAIRN_CRON_BYTES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "a cron line has at most %d bytes, not %zu", CAIRN_CRON_BYTES_MAX,
                          line.size);
    for (int i = 0; i < 5; i++)
        if (!read_field(&at, &fields[i], &bits[i], &any[i]))
            return cairn_fail(err, CAIRN_EINVAL,
                              "the %s of the cron line '%.*s' cannot be understood: it is *, n, n-m, with /step or "
                              "not, of %d to %d; several with commas",
                              fields[i].name, (int)line.size, (const char *)line.data, fields[i].low, fields[i].high);
    while (eat(&at, ' ') || eat(&at, '\t'))
        ;
    if (at.size)
        return cairn_fail(err, CAIRN_EINVAL, "the cron line '%.*s' has more than five fields", (int)line.size,
                          (const char *)line.data);
    *ret_cron = (struct cairn_cron){
        .minutes = bits[0],
        .hours = (uint32_t)bits[1],
        .days = (uint32_t)bits[2],
        .months = (uint16_t)bits[3],
        .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
        .any_hour = any[1],
        .any_day = any[2],
        .any_weekday = any[4],
    };
    if (is_never(ret_cron))
        return cairn_fail(err, CAIRN_EINVAL, "no month has the days of the cron line '%.*s'", (int)line.size,
                          (const char *)line.data);
    return CAIRN_OK;
}

/* --- in local time ------------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool month_matches(const struct cairn_cron *cron, unsigned month)
{
    return cron->months >> month & 1;
}

static bool day_matches(const struct cairn_cron *cron, int64_t days)
{
    unsigned month, day, weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
    bool by_day, by_weekday;
    int64_t year;

    cairn_date_of(days, &year, &month, &day);
    by_day = cron->days >> day & 1;
    by_weekday = cron->weekdays >> weekday & 1;
    return month_matches(cron, month) &&
           (cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday);
}

/* The first minute of the day that is meant, from that one on; -1: none. */
static int minute_from(const struct cairn_cron *cron, int minute)
{
    int hour = minute / 60;
    uint64_t rest = cron->minutes >> (minute % 60);

    if (cron->hours >> hour & 1 && rest)
        return minute + __builtin_ctzll(rest);
    if (hour == 23 || !(cron->hours >> (hour + 1)))
        return -1;
    return (hour + 1 + __builtin_ctz(cron->hours >> (hour + 1))) * 60 + __builtin_ctzll(cron->minutes);
}

/* The first minute of local time that is meant, from `minute` on and before `end`; INT64_MAX: none. */
static int64_t next_local(const struct cairn_cron *cron, int64_t minute, int64_t end)
{
    int64_t days = floor_div(minute, DAY_MINUTES);
    int within = (int)(minute - days * DAY_MINUTES);

    for (; days * DAY_MINUTES < end; days++, within = 0) {
        unsigned month, day;
        int64_t year, at;
        int found;

        cairn_date_of(days, &year, &month, &day);
        if (!month_matches(cron, month)) {
            days = cairn_days_of(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) - 1;
            continue;
        }
        if (!day_matches(cron, days))
            continue;
        found = minute_from(cron, within);
        at = days * DAY_MINUTES + found;
        if (found >= 0)
            return at < end ? at : INT64_MAX;
    }
    return INT64_MAX;
}

/* --- in a zone ----------------------------------------------------------------------------------------- */

static int64_t ceil_minutes(int64_t s)
{
    return floor_div(s + MINUTE_S - 1, MINUTE_S);
}

int64_t cairn_cron_next(const struct cairn_cron *cron, const struct cairn_zone *zone, int64_t after_s)
{
    int64_t from_s = (floor_div(after_s, MINUTE_S) + 1) * MINUTE_S, most_s = after_s + (int64_t)YEARS_MAX * 366 * DAY_S;

    while (from_s < most_s) {
        struct cairn_zone_span span = cairn_zone_span(zone, from_s);
        int64_t end_s = span.end_s < most_s ? span.end_s : most_s, minute = ceil_minutes(from_s + span.offset_s), found;

        if (!cron->any_hour && span.begin_s != INT64_MIN) {
            int64_t before = ceil_minutes(span.begin_s + span.before_s);

            /* What is left out is due at the change. */
            if (from_s == span.begin_s && before < minute && next_local(cron, before, minute) != INT64_MAX)
                return from_s;
            /* What local time showed before it was set back was due then. */
            if (span.before_s > span.offset_s && minute < before)
                minute = before;
        }
        found = next_local(cron, minute, ceil_minutes(end_s + span.offset_s));
        if (found != INT64_MAX)
            return found * MINUTE_S - span.offset_s;
        from_s = end_s;
    }
    return INT64_MAX;
}

uint64_t cairn_cron_count(const struct cairn_cron *cron, const struct cairn_zone *zone, int64_t after_s,
                          int64_t until_s)
{
    uint64_t count = 0,
             a_day = (uint64_t)__builtin_popcountll(cron->minutes) * (uint64_t)__builtin_popcount(cron->hours);
    int64_t at_s = after_s;

    for (;;) {
        int64_t next_s = cairn_cron_next(cron, zone, at_s), midnight_s;
        struct cairn_zone_span span;

        if (next_s > until_s)
            return count;
        /* Whole days in which local time is not changed need no look at each of their minutes. */
        span = cairn_zone_span(zone, next_s);
        midnight_s = floor_div(next_s + span.offset_s, DAY_S) * DAY_S - span.offset_s;
        if (midnight_s > at_s && midnight_s >= span.begin_s + (span.begin_s == INT64_MIN ? 0 : DAY_S) &&
            midnight_s + DAY_S <= span.end_s && midnight_s + DAY_S - MINUTE_S <= until_s) {
            count += a_day;
            at_s = midnight_s + DAY_S - MINUTE_S;
        } else {
            count++;
            at_s = next_s;
        }
    }
}
