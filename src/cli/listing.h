/* listing.h - `cairn THINGS ls [TYPE[/ID]]`: what objects have, of all, of a type's, or of one, as a table.
 * Layer: cli. */
#ifndef CAIRN_CLI_LISTING_H
#define CAIRN_CLI_LISTING_H

#include "cli/client.h"
#include "cli/print.h"

struct cairn_listing {
    const char *page; /* of /v1 */
    bool path;        /* type and id are segments of the page's path; else they are parameters */
    const char *headings[CAIRN_TABLE_COLUMNS_MAX]; /* up to the first NULL */
    /* Reads an item, but for the list that it is, and adds a cell for each heading (cairn_listing_cell). */
    void (*row)(struct cairn_table *table, struct cairn_reader *r, struct cairn_buf *text);
};

/* What is in `text`, which is empty then. */
void cairn_listing_cell(struct cairn_table *table, struct cairn_buf *text);
/* "TYPE/ID"; without a type "a client" */
void cairn_inline_object(struct cairn_buf *to, struct cairn_bytes type, struct cairn_bytes id);

/* Asks and prints.  `object`: "TYPE" or "TYPE/ID", NULL: all; limit 0: none; `switched_on`: a parameter that is 1, or
 * NULL.  The exit status. */
int cairn_listing_run(const struct cairn_listing *listing, const char *object, uint64_t limit, bool json,
                      const char *switched_on);

#endif
