/* shelf.h - a worker's cache of blobs: what is read of a node whose data is in the blob store.
 *
 *   get -> (there, or one task that fetches it for all that ask meanwhile) -> ready -> return
 *
 * What is on the shelf was verified against its hash as it came, or was put by this node.  It has at most
 * shelf.bytes_max bytes of what nobody has on loan; what was used longest ago goes first.  It is charged to the
 * worker's purse, and with the node's memory nearly used up nothing is kept and nothing fetched.
 * Threads: the worker's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_SHELF_H
#define CAIRN_KEEPER_SHELF_H

#include "base/hash.h"
#include "base/list.h"
#include "keeper/map.h"
#include "object/object.h"

struct keeper_worker;

struct keeper_shelf {
    struct keeper_map items;
    struct cairn_link free; /* items without a loan, the one that was used longest ago first */
    size_t bytes, bytes_max;
};

struct shelf_item;

/* The caller's, zero-initialized, from get to return. */
struct shelf_loan {
    void (*ready)(struct shelf_loan *loan); /* may be called before get returns */
    void *context;
    /* for `ready` */
    enum cairn_code code;
    const struct cairn_err *err; /* for the call, if code is not CAIRN_OK */
    struct cairn_bytes data;     /* until return */
    /* the shelf's */
    struct shelf_item *item;
    struct cairn_link at;
};

void keeper_shelf_init(struct keeper_shelf *shelf, size_t bytes_max);
void keeper_shelf_get(struct keeper_worker *kw, const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t bytes,
                      struct shelf_loan *loan);
/* Nothing is to be done of one whose `ready` told an error. */
void keeper_shelf_return(struct shelf_loan *loan);
/* What has just been put; takes the data. */
void keeper_shelf_add(struct keeper_worker *kw, const uint8_t hash[CAIRN_SHA256_BYTES], struct cairn_buf *data);
/* Nothing is being fetched any more. */
void keeper_shelf_done(struct keeper_worker *kw);

#endif
