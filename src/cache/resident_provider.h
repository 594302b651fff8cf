/* resident_provider.h - the provider whose instances are in this process: residents of the cache's guest.
 *
 * Blocks of chunks that were dropped stay in memory for the next chunks, up to slack_bytes over all instances; beyond
 * that the operating system has them back at once.
 *
 * Threads: as provider.h says.  Layer: cache; uses fn. */
#ifndef CAIRN_CACHE_RESIDENT_PROVIDER_H
#define CAIRN_CACHE_RESIDENT_PROVIDER_H

#include "cache/provider.h"

struct cairn_residents;

/* False: the binary has no such guest, as it was built without clang. */
bool cairn_residents_there(void);
enum cairn_code cairn_residents_create(struct cairn_gone *gone, uint64_t slack_bytes, struct cairn_residents **ret,
                                       struct cairn_err *err);
/* All instances were freed.  NULL; accepts NULL. */
struct cairn_residents *cairn_residents_destroy(struct cairn_residents *residents);

enum cairn_code cairn_residents_open(struct cairn_residents *residents, uint64_t id, uint64_t memory_bytes,
                                     struct cairn_instance **ret_instance, struct cairn_err *err);
uint64_t cairn_residents_slack_bytes(const struct cairn_residents *residents); /* that are kept for the next chunks */
/* Of an instance: what its guest has cost. */
struct cairn_resident_usage;
struct cairn_resident_usage cairn_residents_usage(struct cairn_instance *instance);

#endif
