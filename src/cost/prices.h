/* prices.h - what a cloud's services cost: a price list, and how one is read.
 *
 * A list is text (docs/formats/prices.md) that says of when it is and where from.  Those of share/prices are in the
 * binary.  A list that is read has all prices but those that may be missing, each finite and not negative.
 * Threads: any.  Layer: cost; uses base. */
#ifndef CAIRN_COST_PRICES_H
#define CAIRN_COST_PRICES_H

#include "base/bytes.h"
#include "base/err.h"

enum { CAIRN_PRICES_BYTES_MAX = 64 << 10, CAIRN_PRICES_MACHINES_MAX = 16 };

/* Of what is priced by size: for each `bytes` that are begun. */
struct cairn_sized_price {
    double dollars;
    uint64_t bytes;
};

struct cairn_machine_price {
    char name[32];
    double hour;
};

/* All in dollars. */
struct cairn_prices {
    char name[64], date[32], source[256];
    double object_write, object_read;                 /* of an object store, whatever the size */
    struct cairn_sized_price entry_write, entry_read; /* of a key-value store */
    struct cairn_sized_price message;                 /* of a queue */
    double call, gb_second;                           /* of functions */
    double gb_second_arm;                             /* -1 if there are none */
    struct cairn_machine_price machines[CAIRN_PRICES_MACHINES_MAX];
    uint32_t machine_count;
};

/* The texts of share/prices, in the order of their names; ends with NULL. */
extern const char *const cairn_price_lists[];

/* CAIRN_EINVAL says in which line what is wrong.  On failure *ret means nothing. */
enum cairn_code cairn_prices_read(struct cairn_bytes text, struct cairn_prices *ret, struct cairn_err *err);

/* What `bytes` cost; nothing costs as much as one begun portion. */
double cairn_sized_cost(const struct cairn_sized_price *price, uint64_t bytes);

#endif
