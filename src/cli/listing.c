#include "cli/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void cairn_listing_cell(struct cairn_table *table, struct cairn_buf *text)
{
    cairn_table_cell(table, cairn_buf_bytes(text));
    text->size = 0;
}

void cairn_inline_object(struct cairn_buf *to, struct cairn_bytes type, struct cairn_bytes id)
{
    if (!type.size) {
        cairn_buf_str(to, "a client");
        return;
    }
    cairn_inline_text(to, type);
    cairn_buf_u8(to, '/');
    cairn_inline_text(to, id);
}

static void print(const struct cairn_listing *listing, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_table table = {0};
    struct cairn_buf text = {0};

    while (table.columns < CAIRN_TABLE_COLUMNS_MAX && listing->headings[table.columns])
        table.columns++;
    for (unsigned i = 0; i < table.columns; i++)
        cairn_table_cell(&table, cairn_str(listing->headings[i]));
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        cairn_value_read(&r);
        listing->row(&table, &r, &text);
    }
    cairn_table_print(&table, stdout);
    cairn_buf_done(&table.text);
    cairn_buf_done(&text);
}

static bool add_object(const struct cairn_listing *listing, struct cairn_ask *ask, const char *object)
{
    struct cairn_bytes type = cairn_str(object), id = {0};

    if (strchr(object, '/') && !cairn_object_name(object, &type, &id))
        return false;
    if (listing->path) {
        cairn_ask_path(ask, type);
        if (id.size)
            cairn_ask_path(ask, id);
    } else {
        cairn_ask_query(ask, "type", type);
        if (id.size)
            cairn_ask_query(ask, "id", id);
    }
    return true;
}

int cairn_listing_run(const struct cairn_listing *listing, const char *object, uint64_t limit, bool json,
                      const char *switched_on)
{
    struct cairn_ask ask = {.method = "GET", .lists = true, .json = json};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK;
    char number[24];

    cairn_ask_page(&ask, listing->page);
    if (object && !add_object(listing, &ask, object))
        return CAIRN_EXIT_USAGE;
    if (switched_on)
        cairn_ask_query(&ask, switched_on, cairn_str("1"));
    if (limit) {
        snprintf(number, sizeof number, "%" PRIu64, limit);
        cairn_ask_query(&ask, "limit", cairn_str(number));
    }
    if (cairn_ask(&ask, &answer, &status))
        print(listing, cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}
