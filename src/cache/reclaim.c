#include "cache/reclaim.h"

#include <math.h>
#include <stdlib.h>

/* --- reading --- */

/* "27m", "6h", "90s" */
static bool read_duration(const char *text, uint64_t *ret_ms)
{
    char *end;
    double value = strtod(text, &end), unit = *end == 's' ? 1e3 : *end == 'm' ? 60e3 : *end == 'h' ? 3600e3 : 0;

    if (*text < '0' || *text > '9' || unit == 0 || end[1] || !(value * unit >= 1) || value * unit > 1e12)
        return false;
    *ret_ms = (uint64_t)(value * unit);
    return true;
}

/* The mean of k over 0 .. CAIRN_RECLAIM_OF, of which each is as likely as (k + 1) ^ -exponent. */
static double zipf_mean(double exponent)
{
    double weight = 0, sum = 0;

    for (int k = 0; k <= CAIRN_RECLAIM_OF; k++) {
        double chance = pow(k + 1, -exponent);

        weight += chance;
        sum += k * chance;
    }
    return sum / weight;
}

static double zipf_exponent(double mean)
{
    double low = 0, high = 40;

    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;

        if (zipf_mean(middle) > mean)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static bool read_rate(const char *text, double *ret_per_minute)
{
    char *end;
    double an_hour = strtod(text, &end);

    if (*text < '0' || *text > '9' || *end || !(an_hour > 0) || an_hour > 60.0 * CAIRN_RECLAIM_OF / 2)
        return false;
    *ret_per_minute = an_hour / 60;
    return true;
}

static bool read_script(const char *text, struct cairn_reclaim *to)
{
    while (to->minutes < CAIRN_RECLAIM_MINUTES_MAX) {
        char *end;
        unsigned long count = strtoul(text, &end, 10);

        if (*text < '0' || *text > '9' || count > UINT16_MAX || (*end && *end != ','))
            return false;
        to->counts[to->minutes++] = (uint16_t)count;
        if (!*end)
            return true;
        text = end + 1;
    }
    return false;
}

enum cairn_code cairn_reclaim_parse(const char *text, struct cairn_reclaim *ret, struct cairn_err *err)
{
    *ret = (struct cairn_reclaim){0};
    if (strcmp(text, "never") == 0)
        return CAIRN_OK;
    if (strncmp(text, "idle:", 5) == 0 || strncmp(text, "life:", 5) == 0) {
        ret->kind = *text == 'i' ? CAIRN_RECLAIM_IDLE : CAIRN_RECLAIM_LIFE;
        if (read_duration(text + 5, &ret->after_ms))
            return CAIRN_OK;
        return cairn_fail(err, CAIRN_EINVAL, "'%s' is no time; one is like 90s, 27m or 6h", text + 5);
    }
    if (strncmp(text, "poisson:", 8) == 0 || strncmp(text, "zipf:", 5) == 0) {
        const char *rate = strchr(text, ':') + 1;

        ret->kind = *text == 'p' ? CAIRN_RECLAIM_POISSON : CAIRN_RECLAIM_ZIPF;
        if (!read_rate(rate, &ret->per_minute))
            return cairn_fail(err, CAIRN_EINVAL, "'%s' is no number of instances an hour, of %d, up to %d", rate,
                              CAIRN_RECLAIM_OF, 60 * CAIRN_RECLAIM_OF / 2);
        if (ret->kind == CAIRN_RECLAIM_ZIPF)
            ret->exponent = zipf_exponent(ret->per_minute);
        return CAIRN_OK;
    }
    if (strncmp(text, "script:", 7) == 0) {
        ret->kind = CAIRN_RECLAIM_SCRIPT;
        if (read_script(text + 7, ret))
            return CAIRN_OK;
        return cairn_fail(err, CAIRN_EINVAL, "a script is up to %d numbers of instances with commas between them",
                          CAIRN_RECLAIM_MINUTES_MAX);
    }
    return cairn_fail(err, CAIRN_EINVAL,
                      "'%s' is no policy; there are never, idle:TIME, life:TIME, poisson:N, zipf:N and script:N,N,..",
                      text);
}

/* --- taking --- */

bool cairn_reclaim_due(const struct cairn_reclaim *reclaim, uint64_t idle_ms, uint64_t age_ms)
{
    return (reclaim->kind == CAIRN_RECLAIM_IDLE && idle_ms >= reclaim->after_ms) ||
           (reclaim->kind == CAIRN_RECLAIM_LIFE && age_ms >= reclaim->after_ms);
}

/* Knuth's: the rate is at most some hundreds, in steps of which exp() does not vanish. */
static uint32_t draw_poisson(struct cairn_random *random, double mean)
{
    uint32_t count = 0;

    for (; mean > 0; mean -= 100) {
        double limit = exp(-fmin(mean, 100)), product = cairn_random_unit(random);

        for (; product > limit; product *= cairn_random_unit(random))
            count++;
    }
    return count;
}

static uint32_t draw_zipf(struct cairn_random *random, double exponent)
{
    double weight = 0, at;
    uint32_t k = 0;

    for (int i = 0; i <= CAIRN_RECLAIM_OF; i++)
        weight += pow(i + 1, -exponent);
    for (at = cairn_random_unit(random) * weight; k < CAIRN_RECLAIM_OF; k++) {
        at -= pow(k + 1, -exponent);
        if (at < 0)
            break;
    }
    return k;
}

uint32_t cairn_reclaim_count(const struct cairn_reclaim *reclaim, struct cairn_random *random, uint64_t minute,
                             uint32_t instances)
{
    double share = (double)instances / CAIRN_RECLAIM_OF, count = 0;

    if (reclaim->kind == CAIRN_RECLAIM_POISSON)
        count = draw_poisson(random, reclaim->per_minute * share);
    else if (reclaim->kind == CAIRN_RECLAIM_ZIPF)
        count = floor(draw_zipf(random, reclaim->exponent) * share + cairn_random_unit(random));
    else if (reclaim->kind == CAIRN_RECLAIM_SCRIPT)
        count = reclaim->counts[minute % reclaim->minutes];
    return count < instances ? (uint32_t)count : instances;
}
