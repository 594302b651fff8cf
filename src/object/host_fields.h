/* host_fields.h - what the host calls on values, lists and maps mean, over the segment's overlay.  `run` is the
 * invocation; contracts: fn/fn.h.  Ordered maps are in host_ordered.h.
 *
 * All reads pass overlay_get or the segment's header; all writes pass `writable`, which holds the limits.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_HOST_FIELDS_H
#define CAIRN_OBJECT_HOST_FIELDS_H

#include "fn/fn.h"

enum cairn_code host_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                               struct cairn_err *err);
enum cairn_code host_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
enum cairn_code host_value_clear(void *run, uint32_t field, struct cairn_err *err);
enum cairn_code host_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code host_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
enum cairn_code host_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value, bool *ret_found,
                              struct cairn_err *err);
enum cairn_code host_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                              struct cairn_err *err);
enum cairn_code host_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                               struct cairn_err *err);
enum cairn_code host_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code host_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                             bool *ret_found, struct cairn_err *err);
enum cairn_code host_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                             struct cairn_err *err);
enum cairn_code host_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                struct cairn_err *err);
enum cairn_code host_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                            struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err);
void host_ahead(void *run, uint32_t field, uint64_t index, bool down, uint64_t count);
enum cairn_code host_delete_self(void *run, struct cairn_err *err);

#endif
