/* ids.h - lists of numbers of 64 bits, such as runs have, in a struct cairn_buf.
 * Layer: engine; uses base. */
#ifndef CAIRN_ENGINE_IDS_H
#define CAIRN_ENGINE_IDS_H

#include "base/bytes.h"

void ids_add(struct cairn_buf *ids, uint64_t id);
void ids_sort(struct cairn_buf *ids);                /* ascending, for these two: */
void ids_insert(struct cairn_buf *ids, uint64_t id); /* unless it is there; keeps the order */
bool ids_have(const struct cairn_buf *ids, uint64_t id);
void ids_strike(struct cairn_buf *ids, uint64_t id); /* wherever it is */

#endif
