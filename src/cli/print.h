/* print.h - values and tables for people.  Layer: cli. */
#ifndef CAIRN_CLI_PRINT_H
#define CAIRN_CLI_PRINT_H

#include <stdio.h>

#include "base/value.h"

/* A method's result: text as it is, a list one item per line. */
void cairn_print_value(FILE *to, struct cairn_bytes encoded);
/* In one line: text in quotes, lists in brackets; bytes that are not text with \x.. escapes. */
void cairn_inline_value(struct cairn_buf *to, struct cairn_reader *r);
/* Bytes of a field: an encoded value as what it is, text as it is. */
void cairn_inline_field(struct cairn_buf *to, struct cairn_bytes bytes);
/* Text as it is if it can be shown, in quotes with escapes otherwise. */
void cairn_inline_text(struct cairn_buf *to, struct cairn_bytes text);
/* "2025-11-21 09:31:00", in local time */
void cairn_inline_time(struct cairn_buf *to, int64_t ms);
/* "4.0 KiB" */
void cairn_inline_size(struct cairn_buf *to, uint64_t bytes);

/* --- tables: columns as wide as they need to be --- */

enum { CAIRN_TABLE_COLUMNS_MAX = 8 };

struct cairn_table {
    unsigned columns;
    struct cairn_buf text; /* all cells, each ended by NUL */
    size_t widths[CAIRN_TABLE_COLUMNS_MAX];
    size_t cells;
};

/* The first `columns` cells are the heading. */
void cairn_table_cell(struct cairn_table *table, struct cairn_bytes text);
void cairn_table_print(struct cairn_table *table, FILE *to); /* and empties it */

/* Everything up to the end of one value. */
struct cairn_bytes cairn_value_whole(struct cairn_reader *r);

#endif
