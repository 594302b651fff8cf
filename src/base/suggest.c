#include "base/suggest.h"

#include <stdio.h>

enum { WORD_MAX = 32 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static uint8_t letter(const struct cairn_suggest *suggest, uint8_t c)
{
    return suggest->fold && c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static unsigned distance(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    unsigned rows[3][WORD_MAX + 1]; /* of the table of all prefixes, the last three */
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b_size; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *oldest = before;

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = oldest;
    }
    return last[b_size];
}

void cairn_suggest_offer(struct cairn_suggest *suggest, struct cairn_bytes word, struct cairn_bytes name)
{
    size_t typed = suggest->typed.size, size = word.size;
    uint8_t a[WORD_MAX], b[WORD_MAX];
    unsigned near;

    if (typed < 2 || typed > WORD_MAX || size == 0 || size > WORD_MAX)
        return;
    for (size_t i = 0; i < typed; i++)
        a[i] = letter(suggest, suggest->typed.data[i]);
    for (size_t i = 0; i < size; i++)
        b[i] = letter(suggest, word.data[i]);
    near = distance(a, typed, b, size);
    if (typed < size && memcmp(a, b, typed) == 0)
        near = 1; /* it has only been cut short */
    if (near > 1 + size / 5)
        return;
    if (!suggest->name.data || near < suggest->distance) {
        suggest->name = name;
        suggest->distance = near;
    }
}

const char *cairn_suggest_text(const struct cairn_suggest *suggest, char to[CAIRN_SUGGEST_TEXT_BYTES])
{
    to[0] = 0;
    if (suggest->name.data)
        snprintf(to, CAIRN_SUGGEST_TEXT_BYTES, " (did you mean '%.*s'?)",
                 (int)(suggest->name.size < 128 ? suggest->name.size : 128), (const char *)suggest->name.data);
    return to;
}
