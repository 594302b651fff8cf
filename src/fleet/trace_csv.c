/* trace_csv.c - traces as tables: read and written. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "fleet/trace.h"

enum { LINE_BYTES = 16 << 10, COLUMNS_MAX = 64 };

enum { AT, KEY, BYTES, METHOD, MEANINGS };

static const char *const names[MEANINGS][2] = {{"ms", "timestamp"},
                                               {"key", "http.request.uri"},
                                               {"bytes", "http.response.written"},
                                               {"method", "http.request.method"}};

struct table {
    FILE *from;
    uint64_t line;
    int columns[MEANINGS]; /* -1: there is none */
    char text[LINE_BYTES];
    char *fields[COLUMNS_MAX];
    int field_count;
};

/* Cuts the line into fields, in place; of a field in quotes, "" is a quote. */
static void cut(struct table *table)
{
    char *at = table->text;

    table->field_count = 0;
    while (table->field_count < COLUMNS_MAX) {
        char *to = at;
        bool quoted = *at == '"';

        table->fields[table->field_count++] = at;
        for (at += quoted; *at && (quoted || *at != ','); at++) {
            if (quoted && *at == '"' && *++at != '"')
                quoted = false;
            if (!*at || (!quoted && *at == ','))
                break;
            *to++ = *at;
        }
        quoted = *at == ',';
        *to = 0;
        if (!quoted)
            return;
        at++;
    }
}

/* False: there is no further line. */
static enum cairn_code next_line(struct table *table, bool *ret_any, struct cairn_err *err)
{
    size_t size;

    do {
        if (!fgets(table->text, sizeof table->text, table->from)) {
            *ret_any = false;
            return ferror(table->from) ? cairn_fail(err, CAIRN_EIO, "it cannot be read") : CAIRN_OK;
        }
        table->line++;
        size = strlen(table->text);
        if (size == sizeof table->text - 1 && table->text[size - 1] != '\n')
            return cairn_fail(err, CAIRN_EINVAL, "line %" PRIu64 " has more than %d bytes", table->line,
                              LINE_BYTES - 2);
        while (size && (table->text[size - 1] == '\n' || table->text[size - 1] == '\r'))
            table->text[--size] = 0;
    } while (size == 0);
    cut(table);
    *ret_any = true;
    return CAIRN_OK;
}

static enum cairn_code read_names(struct table *table, struct cairn_err *err)
{
    bool any;

    if (next_line(table, &any, err) != CAIRN_OK)
        return err->code;
    for (int m = 0; m < MEANINGS; m++) {
        table->columns[m] = -1;
        for (int i = 0; any && i < table->field_count; i++)
            if (strcmp(table->fields[i], names[m][0]) == 0 || strcmp(table->fields[i], names[m][1]) == 0)
                table->columns[m] = i;
        if (m != METHOD && table->columns[m] < 0)
            return cairn_fail(err, CAIRN_EINVAL, "its first line names no column '%s' or '%s'", names[m][0],
                              names[m][1]);
    }
    return CAIRN_OK;
}

/* Days from 1970 to that day of the Gregorian calendar (H. Hinnant, days_from_civil). */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t era, of_era, of_year;

    year -= month <= 2;
    era = year / 400;
    of_era = year - era * 400;
    of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Milliseconds: a number of them, or a moment of UTC. */
static bool read_at(const char *text, uint64_t *ret_ms)
{
    unsigned year, month, day, hour, minute;
    double second;
    char zone = 0, *end;
    int64_t days;

    if (sscanf(text, "%4u-%2u-%2u%*1[Tt ]%2u:%2u:%lf%c", &year, &month, &day, &hour, &minute, &second, &zone) >= 6) {
        if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
            !(second >= 0 && second < 61) || (zone && zone != 'Z' && zone != 'z'))
            return false;
        days = days_since_1970(year, month, day);
        *ret_ms = ((uint64_t)days * 86400 + hour * 3600 + minute * 60) * 1000 + (uint64_t)(second * 1000);
        return true;
    }
    *ret_ms = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0;
}

static bool read_bytes(const char *text, uint64_t *ret)
{
    char *end;

    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0 && *ret < UINT64_C(1) << 48;
}

/* --- keys by their names --- */

struct name {
    uint64_t hash; /* of 64 bits; two names that share one would be one key */
    uint64_t bytes;
    uint32_t key;
    bool used;
};

struct book {
    struct name *names;
    size_t capacity; /* a power of 2 */
    uint32_t count;
};

static struct name *book_find(struct book *book, uint64_t hash)
{
    size_t at = hash & (book->capacity - 1);

    while (book->names[at].used && book->names[at].hash != hash)
        at = (at + 1) & (book->capacity - 1);
    return &book->names[at];
}

static void book_grow(struct book *book)
{
    struct book larger = {.capacity = book->capacity ? 2 * book->capacity : 4096, .count = book->count};

    larger.names = cairn_alloc_zeroed(larger.capacity, sizeof *larger.names);
    for (size_t i = 0; i < book->capacity; i++)
        if (book->names[i].used)
            *book_find(&larger, book->names[i].hash) = book->names[i];
    free(book->names);
    *book = larger;
}

static const struct name *book_name(struct book *book, const char *text, uint64_t bytes)
{
    struct name *name;
    uint64_t hash = cairn_hash(cairn_str(text));

    if (2 * ((size_t)book->count + 1) > book->capacity)
        book_grow(book);
    name = book_find(book, hash);
    if (!name->used)
        *name = (struct name){.hash = hash, .bytes = bytes, .key = book->count++, .used = true};
    return name;
}

/* --- reading --- */

static enum cairn_code read_row(struct table *table, struct book *book, struct cairn_trace *to, struct cairn_err *err)
{
    uint64_t at_ms, bytes;
    const struct name *name;

    for (int m = 0; m < MEANINGS; m++)
        if (table->columns[m] >= table->field_count)
            return cairn_fail(err, CAIRN_EINVAL, "line %" PRIu64 " has no column '%s'", table->line, names[m][0]);
    if (table->columns[METHOD] >= 0 && strcmp(table->fields[table->columns[METHOD]], "GET") != 0)
        return CAIRN_OK;
    if (!read_at(table->fields[table->columns[AT]], &at_ms))
        return cairn_fail(err, CAIRN_EINVAL, "line %" PRIu64 ": '%s' is neither milliseconds nor a moment in UTC",
                          table->line, table->fields[table->columns[AT]]);
    if (!read_bytes(table->fields[table->columns[BYTES]], &bytes))
        return cairn_fail(err, CAIRN_EINVAL, "line %" PRIu64 ": '%s' is no number of bytes", table->line,
                          table->fields[table->columns[BYTES]]);
    if (to->count == CAIRN_TRACE_EVENTS_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "it has more than %d rows", CAIRN_TRACE_EVENTS_MAX);
    name = book_name(book, table->fields[table->columns[KEY]], bytes);
    if (to->count == to->capacity) {
        to->capacity = to->capacity ? 2 * to->capacity : 1024;
        to->events = cairn_realloc(to->events, to->capacity * sizeof *to->events);
    }
    to->events[to->count++] = (struct cairn_trace_event){.at_ms = at_ms, .key = name->key, .bytes = name->bytes};
    return CAIRN_OK;
}

static int by_time(const void *a, const void *b)
{
    const struct cairn_trace_event *p = a, *q = b;

    if (p->at_ms != q->at_ms)
        return p->at_ms < q->at_ms ? -1 : 1;
    return p->key < q->key ? -1 : p->key > q->key;
}

/* By time, from 0 on, and keys numbered as they are asked for. */
static void put_in_order(struct cairn_trace *trace)
{
    uint64_t first_ms;

    qsort(trace->events, trace->count, sizeof *trace->events, by_time);
    first_ms = trace->count ? trace->events[0].at_ms : 0;
    for (size_t i = 0; i < trace->count; i++)
        trace->events[i].at_ms -= first_ms;
    cairn_trace_keep_large(trace, 0);
}

enum cairn_code cairn_trace_read(FILE *from, struct cairn_trace *ret, struct cairn_err *err)
{
    struct table *table = cairn_alloc_zeroed(1, sizeof *table);
    struct book book = {0};
    enum cairn_code code;
    bool any = true;

    table->from = from;
    code = read_names(table, err);
    while (code == CAIRN_OK && (code = next_line(table, &any, err)) == CAIRN_OK && any)
        code = read_row(table, &book, ret, err);
    ret->keys = book.count;
    if (code == CAIRN_OK)
        put_in_order(ret);
    else
        cairn_trace_done(ret);
    free(book.names);
    free(table);
    return code;
}

void cairn_trace_write(const struct cairn_trace *trace, FILE *to)
{
    fprintf(to, "ms,key,bytes\n");
    for (size_t i = 0; i < trace->count; i++)
        fprintf(to, "%" PRIu64 ",%" PRIu32 ",%" PRIu64 "\n", trace->events[i].at_ms, trace->events[i].key,
                trace->events[i].bytes);
}
