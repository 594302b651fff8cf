/* host_ordered.h - what the host calls on ordered maps mean.  `run` is the invocation; contracts: fn/fn.h.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_HOST_ORDERED_H
#define CAIRN_OBJECT_HOST_ORDERED_H

#include "fn/fn.h"

enum cairn_code host_ordered_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code host_ordered_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                 bool *ret_found, struct cairn_err *err);
enum cairn_code host_ordered_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                 struct cairn_err *err);
enum cairn_code host_ordered_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                    struct cairn_err *err);
enum cairn_code host_ordered_rank(void *run, uint32_t field, struct cairn_bytes key, bool with_it, uint64_t *ret_rank,
                                  struct cairn_err *err);
enum cairn_code host_ordered_read(void *run, uint32_t field, const struct cairn_range *range, struct cairn_taker *to,
                                  struct cairn_err *err);
enum cairn_code host_ordered_read_at(void *run, uint32_t field, uint64_t place, bool backward, struct cairn_taker *to,
                                     struct cairn_err *err);

#endif
