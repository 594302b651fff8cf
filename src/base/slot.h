/* slot.h - which of 16,384 slots an id belongs to; a table of the data folder maps slots to shards.
 *
 * The slot is CRC16 (XMODEM, the one of Redis Cluster) of the id's *tag*, mod 16,384.  The tag is what stands between
 * the first { and the first } behind it; without both of them, or with nothing between them, it is the whole id.  So
 * ids with the same tag have the same slot: `alice` and `{alice}cart`.  This is part of the data folder's format
 * (docs/formats/state.md).
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_SLOT_H
#define CAIRN_BASE_SLOT_H

#include "base/bytes.h"

enum { CAIRN_SLOTS = 16384 };

/* Below CAIRN_SLOTS. */
uint32_t cairn_slot(struct cairn_bytes id);
/* The table of even shares: ranges that ascend, whose sizes differ by at most one.  1 <= shards <= CAIRN_SLOTS. */
void cairn_slots_share(uint16_t slots[CAIRN_SLOTS], uint32_t shards);

#endif
