/* cron.h - lines of five fields that say when: minute, hour, day of the month, month, day of the week.
 *
 *   field = item[,item ...]     item = * | n | n-m, each with /step behind it (n/step: from n on)
 *
 * Months and days of the week may be named by their first three letters; 0 and 7 are Sunday.  If both days are given
 * (neither begins with *), a day that is one of them will do.  The line is in a zone's local time; where that is
 * changed:
 *
 *   the hour field begins with *   each minute that local time shows counts: none of those that are left out, and those
 *                                  that come twice count twice
 *   it does not                    what is left out is due at the moment of the change, once; what comes twice is due
 * the
 *                                  first time only
 *
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_CRON_H
#define CAIRN_BASE_CRON_H

#include "base/err.h"
#include "base/zone.h"

struct cairn_cron {
    uint64_t minutes;
    uint32_t hours, days; /* a bit for each that is meant */
    uint16_t months;
    uint8_t weekdays;
    bool any_day, any_weekday, any_hour; /* the field begins with * */
};

enum { CAIRN_CRON_BYTES_MAX = 128 };

/* CAIRN_EINVAL: it is no such line, or no day is ever meant (30 February). */
enum cairn_code cairn_cron_parse(struct cairn_bytes line, struct cairn_cron *ret_cron, struct cairn_err *err);
/* The first time behind after_s, in seconds since 1970; INT64_MAX: there is none within 30 years. */
int64_t cairn_cron_next(const struct cairn_cron *cron, const struct cairn_zone *zone, int64_t after_s);
/* How many lie behind after_s and up to until_s. */
uint64_t cairn_cron_count(const struct cairn_cron *cron, const struct cairn_zone *zone, int64_t after_s,
                          int64_t until_s);

#endif
