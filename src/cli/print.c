#include "cli/print.h"

#include <inttypes.h>
#include <time.h>

#include "proto/json.h"

struct cairn_bytes cairn_value_whole(struct cairn_reader *r)
{
    const uint8_t *from = r->at;
    uint64_t left = 1;

    while (left-- > 0 && !r->bad)
        left += cairn_value_read(r).count;
    return cairn_bytes(from, (size_t)(r->at - from));
}

/* U+0080 to U+009F. */
static bool is_c1(struct cairn_bytes text, size_t at)
{
    return text.data[at] == 0xc2 && at + 1 < text.size && text.data[at + 1] < 0xa0;
}

/* UTF-8 without control characters (a terminal would obey them). */
static bool shows(struct cairn_bytes text, bool lines)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if ((c < ' ' && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f || is_c1(text, i))
            return false;
    }
    return cairn_utf8_valid(text);
}

static void add_quoted(struct cairn_buf *to, struct cairn_bytes text)
{
    bool whole = cairn_utf8_valid(text);

    cairn_buf_u8(to, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (c == '"' || c == '\\')
            cairn_buf_printf(to, "\\%c", c);
        else if (c == '\n')
            cairn_buf_str(to, "\\n");
        else if (is_c1(text, i) && whole)
            cairn_buf_printf(to, "\\x%02x\\x%02x", c, text.data[++i]);
        else if (c < ' ' || c == 0x7f || (c >= 0x80 && !whole))
            cairn_buf_printf(to, "\\x%02x", c);
        else
            cairn_buf_u8(to, c);
    }
    cairn_buf_u8(to, '"');
}

void cairn_inline_text(struct cairn_buf *to, struct cairn_bytes text)
{
    if (shows(text, false))
        cairn_buf_add(to, text.data, text.size);
    else
        add_quoted(to, text);
}

void cairn_inline_value(struct cairn_buf *to, struct cairn_reader *r)
{
    uint64_t left[CAIRN_VALUE_DEPTH_MAX + 1] = {1};
    bool first = true;
    int depth = 0;

    for (;;) {
        struct cairn_value v;

        if (left[depth] == 0) {
            if (depth-- == 0)
                return;
            cairn_buf_u8(to, ']');
            first = false;
            continue;
        }
        left[depth]--;
        v = cairn_value_read(r);
        if (!first)
            cairn_buf_str(to, ", ");
        first = false;
        switch (v.kind) {
        case CAIRN_VALUE_NIL:
            cairn_buf_str(to, "nil");
            break;
        case CAIRN_VALUE_INT:
            cairn_buf_printf(to, "%" PRId64, v.integer);
            break;
        case CAIRN_VALUE_BYTES:
            add_quoted(to, v.bytes);
            break;
        case CAIRN_VALUE_LIST:
            cairn_buf_u8(to, '[');
            if (depth < CAIRN_VALUE_DEPTH_MAX)
                left[++depth] = v.count;
            first = true;
            break;
        case CAIRN_VALUE_ERROR:
            cairn_buf_str(to, "error ");
            cairn_inline_text(to, v.error);
            cairn_buf_str(to, ": ");
            add_quoted(to, v.bytes);
            break;
        }
    }
}

void cairn_inline_field(struct cairn_buf *to, struct cairn_bytes bytes)
{
    /* An encoded value begins with a byte below 5, text does not. */
    if (bytes.size && bytes.data[0] <= CAIRN_VALUE_ERROR && cairn_value_valid(bytes)) {
        struct cairn_reader r = cairn_reader(bytes);

        cairn_inline_value(to, &r);
    } else {
        cairn_inline_text(to, bytes);
    }
}

/* One value that stands alone. */
static void print_item(FILE *to, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded), again = r;
    struct cairn_value v = cairn_value_read(&r);
    struct cairn_buf text = {0};

    if (v.kind == CAIRN_VALUE_BYTES && shows(v.bytes, true))
        cairn_buf_add(&text, v.bytes.data, v.bytes.size);
    else
        cairn_inline_value(&text, &again);
    fwrite(text.data, 1, text.size, to);
    fputc('\n', to);
    cairn_buf_done(&text);
}

void cairn_print_value(FILE *to, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    struct cairn_value v = cairn_value_read(&r);

    if (v.kind != CAIRN_VALUE_LIST) {
        print_item(to, encoded);
        return;
    }
    if (v.count == 0)
        fputs("[]\n", to);
    while (v.count-- > 0)
        print_item(to, cairn_value_whole(&r));
}

void cairn_inline_time(struct cairn_buf *to, int64_t ms)
{
    time_t at = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];

    if (localtime_r(&at, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm))
        cairn_buf_str(to, text);
    else
        cairn_buf_printf(to, "%" PRId64, ms);
}

void cairn_inline_size(struct cairn_buf *to, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    int unit = -1;

    while (n >= 1024 && unit < 3) {
        n /= 1024;
        unit++;
    }
    if (unit < 0)
        cairn_buf_printf(to, "%" PRIu64 " bytes", bytes);
    else
        cairn_buf_printf(to, "%.1f %s", n, units[unit]);
}

/* --- tables --- */

/* Columns on the screen: one per character. */
static size_t width(struct cairn_bytes text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.size; i++)
        n += (text.data[i] & 0xc0) != 0x80;
    return n;
}

void cairn_table_cell(struct cairn_table *table, struct cairn_bytes text)
{
    size_t from = table->text.size, *widest = &table->widths[table->cells++ % table->columns];
    struct cairn_bytes shown;

    cairn_inline_text(&table->text, text);
    shown = cairn_bytes(table->text.data + from, table->text.size - from);
    if (width(shown) > *widest)
        *widest = width(shown);
    cairn_buf_u8(&table->text, 0);
}

void cairn_table_print(struct cairn_table *table, FILE *to)
{
    const char *cell = (const char *)table->text.data;

    for (size_t i = 0; i < table->cells; i++) {
        size_t column = i % table->columns;
        size_t used = width(cairn_str(cell)), blanks = table->widths[column] - used + 2;
        const char *next = cell + strlen(cell) + 1;

        if (column == table->columns - 1)
            fprintf(to, "%s\n", cell);
        else if (column == table->columns - 2 && !*next) /* no blanks at the end of a line */
            fputs(cell, to);
        else
            fprintf(to, "%s%*s", cell, (int)blanks, "");
        cell = next;
    }
    cairn_buf_done(&table->text);
    *table = (struct cairn_table){.columns = table->columns};
}
