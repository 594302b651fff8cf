#include "cost/prices.h"

#include <math.h>
#include <stdlib.h>

enum kind { TEXT, PRICE, SIZED, MACHINE };

struct key {
    const char *name;
    enum kind kind;
    size_t offset, size; /* size: of texts */
    bool optional;
};

#define TEXT_KEY(name, member)                                                                             \
    {                                                                                                      \
        name, TEXT, offsetof(struct cairn_prices, member), sizeof((struct cairn_prices *)0)->member, false \
    }
#define KEY(name, kind, member)                                     \
    {                                                               \
        name, kind, offsetof(struct cairn_prices, member), 0, false \
    }

static const struct key keys[] = {
    TEXT_KEY("name", name),
    TEXT_KEY("date", date),
    TEXT_KEY("source", source),
    KEY("object-write", PRICE, object_write),
    KEY("object-read", PRICE, object_read),
    KEY("entry-write", SIZED, entry_write),
    KEY("entry-read", SIZED, entry_read),
    KEY("message", SIZED, message),
    KEY("call", PRICE, call),
    KEY("gb-second", PRICE, gb_second),
    {"gb-second-arm", PRICE, offsetof(struct cairn_prices, gb_second_arm), 0, true},
    {"machine", MACHINE, offsetof(struct cairn_prices, machines), 0, true},
};

enum { KEYS = sizeof keys / sizeof keys[0] };

/* The next word of a line, which moves behind it; of size 0 at the end. */
static struct cairn_bytes next_word(struct cairn_bytes *line)
{
    const uint8_t *at = line->data, *end = at + line->size, *from;

    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    for (from = at; at < end && *at != ' ' && *at != '\t';)
        at++;
    *line = cairn_bytes(at, (size_t)(end - at));
    return cairn_bytes(from, (size_t)(at - from));
}

static bool read_price(struct cairn_bytes word, double *ret)
{
    char text[64], *end;

    if (word.size == 0 || word.size >= sizeof text || word.data[0] < '0' || word.data[0] > '9')
        return false;
    memcpy(text, word.data, word.size);
    text[word.size] = 0;
    *ret = strtod(text, &end);
    return *end == 0 && isfinite(*ret);
}

/* "0.5 per 1024" */
static bool read_sized(struct cairn_bytes *line, struct cairn_sized_price *ret)
{
    double bytes;

    if (!read_price(next_word(line), &ret->dollars) || !cairn_bytes_equal(next_word(line), cairn_str("per")) ||
        !read_price(next_word(line), &bytes) || bytes < 1 || bytes > 1e15 || bytes != floor(bytes))
        return false;
    ret->bytes = (uint64_t)bytes;
    return true;
}

static bool read_text(struct cairn_bytes *line, char *to, size_t size)
{
    struct cairn_bytes text = *line;

    while (text.size && text.data[0] == ' ')
        text = cairn_bytes(text.data + 1, text.size - 1);
    if (text.size == 0 || text.size >= size)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    memcpy(to, text.data, text.size);
    to[text.size] = 0;
    *line = cairn_bytes(text.data + text.size, 0);
    return true;
}

/* "t3.small 0.0208" */
static bool read_machine(struct cairn_bytes *line, struct cairn_prices *prices)
{
    struct cairn_machine_price *machine = &prices->machines[prices->machine_count];
    struct cairn_bytes name = next_word(line);

    if (prices->machine_count == CAIRN_PRICES_MACHINES_MAX || !read_text(&name, machine->name, sizeof machine->name) ||
        !read_price(next_word(line), &machine->hour))
        return false;
    for (uint32_t i = 0; i < prices->machine_count; i++)
        if (strcmp(prices->machines[i].name, machine->name) == 0)
            return false;
    prices->machine_count++;
    return true;
}

static bool read_value(const struct key *key, struct cairn_bytes *line, struct cairn_prices *prices)
{
    void *to = (char *)prices + key->offset;

    switch (key->kind) {
    case TEXT:
        return read_text(line, to, key->size);
    case PRICE:
        return read_price(next_word(line), to);
    case SIZED:
        return read_sized(line, to);
    default:
        return read_machine(line, prices);
    }
}

static const char *shape_of(enum kind kind)
{
    static const char *const shapes[] = {
        [TEXT] = "some text in ASCII, not too long",
        [PRICE] = "a number that is not negative",
        [SIZED] = "a number, 'per', and a number of bytes",
        [MACHINE] = "a name of its own and the price of an hour, at most 16 times",
    };

    return shapes[kind];
}

static enum cairn_code read_line(struct cairn_bytes line, int number, bool seen[KEYS], struct cairn_prices *prices,
                                 struct cairn_err *err)
{
    struct cairn_bytes word = next_word(&line);
    const struct key *key = keys;

    if (word.size == 0 || word.data[0] == '#')
        return CAIRN_OK;
    while (key < keys + KEYS && !cairn_bytes_equal(word, cairn_str(key->name)))
        key++;
    if (key == keys + KEYS)
        return cairn_fail(err, CAIRN_EINVAL, "line %d: there is no price '%.*s'", number,
                          (int)(word.size < 40 ? word.size : 40), (const char *)word.data);
    if (seen[key - keys] && key->kind != MACHINE)
        return cairn_fail(err, CAIRN_EINVAL, "line %d: '%s' is there a second time", number, key->name);
    seen[key - keys] = true;
    if (!read_value(key, &line, prices) || next_word(&line).size)
        return cairn_fail(err, CAIRN_EINVAL, "line %d: '%s' wants %s", number, key->name, shape_of(key->kind));
    return CAIRN_OK;
}

enum cairn_code cairn_prices_read(struct cairn_bytes text, struct cairn_prices *ret, struct cairn_err *err)
{
    bool seen[KEYS] = {false};
    int number = 0;

    *ret = (struct cairn_prices){.gb_second_arm = -1};
    while (text.size) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        enum cairn_code code = read_line(cairn_bytes(text.data, size), ++number, seen, ret, err);

        if (code != CAIRN_OK)
            return code;
        size += end != NULL;
        text = cairn_bytes(text.data + size, text.size - size);
    }
    for (size_t i = 0; i < KEYS; i++)
        if (!seen[i] && !keys[i].optional)
            return cairn_fail(err, CAIRN_EINVAL, "'%s' is missing", keys[i].name);
    return CAIRN_OK;
}

double cairn_sized_cost(const struct cairn_sized_price *price, uint64_t bytes)
{
    uint64_t portions = bytes / price->bytes + (bytes % price->bytes != 0);

    return price->dollars * (double)(portions ? portions : 1);
}
