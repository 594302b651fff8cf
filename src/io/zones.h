/* zones.h - the system's time zones (tzdata), read once.
 *
 * All of them are read as they are made, what they say of the past left out: about 100 KiB.  So nothing waits for a
 * disk later, and a node keeps to what it has read until it is started again.
 * Threads: read by any once it has been made.  Layer: io; uses base. */
#ifndef CAIRN_IO_ZONES_H
#define CAIRN_IO_ZONES_H

#include "base/zone.h"

struct cairn_zones;

enum { CAIRN_ZONE_NAME_BYTES_MAX = 64 };

/* Zones of the folder, as they are from that time on (seconds).  Without the folder there are none but UTC. */
struct cairn_zones *cairn_zones_load(const char *folder, int64_t from_s);
struct cairn_zones *cairn_zones_free(struct cairn_zones *zones); /* returns NULL; accepts NULL */

/* False: there is no zone of that name.  *ret_zone is NULL for UTC, which is always there.  `zones` may be NULL. */
bool cairn_zones_find(const struct cairn_zones *zones, struct cairn_bytes name, const struct cairn_zone **ret_zone);

/* Where systems keep them. */
#define CAIRN_ZONES_FOLDER "/usr/share/zoneinfo"

#endif
