/* cost.h - what the commands of `cairn cost` share.  Layer: cli. */
#ifndef CAIRN_CLI_COST_H
#define CAIRN_CLI_COST_H

#include "cli/print.h"
#include "cost/prices.h"

/* The list in that file; NULL: AWS's, which is in this program.  CAIRN_EXIT_OK, or told. */
int cairn_cost_prices(const char *path, struct cairn_prices *ret);
/* The file's bytes, at most so many.  CAIRN_EXIT_OK, or told. */
int cairn_cost_read(const char *path, size_t bytes_max, struct cairn_buf *to);
/* Writes a picture.  The same. */
int cairn_cost_write(const char *path, struct cairn_bytes picture);
/* A cell of at most 63 characters. */
void cairn_cost_cell(struct cairn_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "name":"text" */
void cairn_cost_json_text(struct cairn_buf *to, const char *name, const char *text);

/* "prices":{..}: which list it is. */
void cairn_cost_json_prices(struct cairn_buf *to, const struct cairn_prices *prices);

#endif
