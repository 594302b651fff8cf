#include "cache/glob.h"

/* One place of the text against one element of the pattern, which is no star; *at moves behind the element, or stays
 * on its last byte where the pattern ends within it. */
static bool element_matches(struct cairn_bytes pattern, size_t *at, uint8_t c)
{
    size_t i = *at;
    bool negated, found = false;

    if (pattern.data[i] == '?') {
        *at = i + 1;
        return true;
    }
    if (pattern.data[i] == '\\' && pattern.size - i >= 2)
        i++;
    else if (pattern.data[i] == '[')
        goto set;
    *at = i + 1;
    return pattern.data[i] == c;
set:
    i++;
    negated = i < pattern.size && pattern.data[i] == '^';
    if (negated)
        i++;
    for (;; i++) {
        if (i + 1 < pattern.size && pattern.data[i] == '\\') {
            i++;
            found |= pattern.data[i] == c;
        } else if (i < pattern.size && pattern.data[i] == ']') {
            i++;
            break;
        } else if (i >= pattern.size) {
            break; /* as if it were closed */
        } else if (pattern.size - i >= 3 && pattern.data[i + 1] == '-') {
            uint8_t low = pattern.data[i], high = pattern.data[i + 2];

            found |= low <= high ? c >= low && c <= high : c >= high && c <= low;
            i += 2;
        } else {
            found |= pattern.data[i] == c;
        }
    }
    *at = i;
    return found != negated;
}

bool cairn_glob_matches(struct cairn_bytes pattern, struct cairn_bytes text)
{
    size_t at = 0, i = 0, star = SIZE_MAX, star_text = 0;

    if (text.size == 0) /* Redis gives the empty key for the star alone */
        return pattern.size == 0 || (pattern.size == 1 && pattern.data[0] == '*');
    /* The last star takes one byte more whenever what follows it does not match; earlier ones need not. */
    while (i < text.size) {
        size_t next = at;

        if (at < pattern.size && pattern.data[at] == '*') {
            star = ++at;
            star_text = i;
        } else if (at < pattern.size && element_matches(pattern, &next, text.data[i])) {
            at = next;
            i++;
        } else if (star != SIZE_MAX) {
            at = star;
            i = ++star_text;
        } else {
            return false;
        }
    }
    while (at < pattern.size && pattern.data[at] == '*')
        at++;
    return at == pattern.size;
}
