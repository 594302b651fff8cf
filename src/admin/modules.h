/* modules.h - MODULES and TYPES, and what is deployed when a node opens.
 * Threads: the operations any worker's; modules_open before there are worker threads.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_MODULES_H
#define CAIRN_ADMIN_MODULES_H

#include "object/operation.h"

extern const struct operation modules_operation, types_operation;

/* Reads the system shard, compiles what is current, and gives all workers their types. */
/* As node_hooks.type_version. */
enum cairn_code modules_type_version(struct cairn_node *node, const struct space *space, struct cairn_bytes type,
                                     const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t version,
                                     struct type_entry **ret_entry, struct cairn_err *err);
enum cairn_code modules_open(struct cairn_node *node, struct cairn_err *err);

#endif
