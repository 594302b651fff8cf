/* house_cache.h - the cache, as the house has it: opened with its generations, looked after once a second, told of in
 * the metrics.
 * Threads: open and close the main one; look one at a time; metrics any.  Layer: server (private). */
#ifndef CAIRN_SERVER_HOUSE_CACHE_H
#define CAIRN_SERVER_HOUSE_CACHE_H

#include "base/event.h"
#include "cache/mover.h"
#include "cache/trim.h"
#include "io/disk.h"
#include "object/object.h"
#include "server/backend.h"

/* Zeroed: there is none, and all but open do nothing. */
struct cairn_house_cache {
    struct cairn_cache *cache;
    struct cairn_disk *disk;
    struct cairn_clock *clock;
    const struct cairn_events *events;
    struct cairn_pool *pool;      /* of large values; NULL: there are none */
    struct cairn_movers *movers;  /* theirs */
    struct cairn_cache_trim trim; /* what looks */
    _Atomic uint64_t trims;
};

struct cairn_house_cache_options {
    struct cairn_disk *disk;   /* the data folder */
    struct cairn_clock *clock; /* the node's */
    const struct cairn_events *events;
    uint64_t bytes_max; /* 0: there is none */
    uint32_t large;     /* values of so many bytes are large; 0: 1 MiB */
    uint32_t workers;
    uint32_t threads;                   /* that move large values; 0: one */
    struct cairn_redundancy redundancy; /* no chunks: 10+2 */
};

/* Puts it into the backend as well. */
enum cairn_code cairn_house_cache_open(struct cairn_house_cache *house, const struct cairn_house_cache_options *options,
                                       struct cairn_backend *backend, struct cairn_err *err);
void cairn_house_cache_close(struct cairn_house_cache *house);
void cairn_house_cache_look(struct cairn_house_cache *house, struct cairn_node *node);
/* Prometheus text. */
void cairn_house_cache_metrics(struct cairn_house_cache *house, struct cairn_buf *to);

#endif
