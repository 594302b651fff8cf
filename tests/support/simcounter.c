#include "support/simcounter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void simcounter_saw(struct simcounter *c, struct simcounter_seen seen)
{
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 64;
        c->seen = cairn_realloc(c->seen, c->room * sizeof *c->seen);
    }
    c->seen[c->count++] = seen;
}

__attribute__((format(printf, 2, 3))) static bool is_wrong(char wrong[200], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(wrong, 200, format, args);
    va_end(args);
    return false;
}

static int by_value(const void *a, const void *b)
{
    const struct simcounter_seen *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (int)y->add - (int)x->add; /* the add that made the value, then its reads */
}

bool simcounter_check(struct simcounter *c, char wrong[200])
{
    int64_t adds = 0, top = c->base;
    uint64_t latest_asked = 0;

    if (c->count)
        qsort(c->seen, c->count, sizeof *c->seen, by_value);
    for (size_t i = 0; i < c->count; i++) {
        struct simcounter_seen *s = &c->seen[i];
        if (s->add) {
            adds++;
            if (i && s->value == c->seen[i - 1].value && c->seen[i - 1].add)
                return is_wrong(wrong, "the value %lld was acknowledged twice", (long long)s->value);
        }
        /* What saw less (or as much, and was the add) must not have been asked for after this was answered. */
        if (latest_asked > s->answered)
            return is_wrong(wrong, "%lld was seen although less had been asked for later: a reply was taken back",
                            (long long)s->value);
        for (size_t k = i; k-- > 0 && c->seen[k].value == s->value;)
            if (!s->add && c->seen[k].add && c->seen[k].asked > s->answered)
                return is_wrong(wrong, "%lld was read before it was added", (long long)s->value);
        if (i + 1 == c->count || c->seen[i + 1].value != s->value)
            for (size_t k = i + 1; k-- > 0 && c->seen[k].value == s->value;)
                if (c->seen[k].asked > latest_asked)
                    latest_asked = c->seen[k].asked;
        top = s->value;
    }
    if (top - c->base - adds > c->unknown)
        return is_wrong(wrong, "%lld values have no add, but only %lld adds are unaccounted for",
                        (long long)(top - c->base - adds), (long long)c->unknown);
    if (c->count && c->seen[0].value < c->base + c->seen[0].add)
        return is_wrong(wrong, "%lld was seen, and it began with %lld", (long long)c->seen[0].value,
                        (long long)c->base);
    return true;
}

void simcounter_begin(struct simcounter *c, int64_t base)
{
    c->count = 0;
    c->unknown = 0;
    c->base = base;
}

void simcounter_done(struct simcounter *c)
{
    free(c->seen);
    *c = (struct simcounter){0};
}
