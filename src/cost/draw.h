/* draw.h - the comparison of costs as a picture (SVG 1.1): dollars a million requests against requests a day, and the
 * ratios as heat maps.  It stands by itself: no script, no font, no other file.
 * Threads: any.  Layer: cost; uses base. */
#ifndef CAIRN_COST_DRAW_H
#define CAIRN_COST_DRAW_H

#include "cost/keeper.h"

void cairn_keeper_draw(const struct cairn_keeper_plan *plan, struct cairn_buf *to);

#endif
