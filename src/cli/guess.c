#include "cli/guess.h"

#include <stddef.h>
#include <string.h>

enum { WORD_MAX = 32 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters are added, left out, replaced, or swapped with their neighbour. */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
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

void cairn_guess_offer(struct cairn_guess *guess, const char *word, const char *name)
{
    size_t typed = strlen(guess->typed), size = strlen(word);
    unsigned near;

    if (typed < 2 || typed > WORD_MAX || size > WORD_MAX)
        return;
    near = distance(guess->typed, typed, word, size);
    if (typed < size && memcmp(guess->typed, word, typed) == 0)
        near = 1; /* it has only been cut short */
    if (near > 1 + size / 5)
        return;
    if (!guess->name || near < guess->distance) {
        guess->name = name;
        guess->distance = near;
    }
}
