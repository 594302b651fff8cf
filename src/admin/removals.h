/* removals.h - namespaces that are removed with all that they have.
 *
 * The record of the removal has a mark in the namespace's key (docs/formats/state.md); once the reply to it leaves, the
 * namespace's gate is closed, and a housekeeper of worker 0 does the rest, one namespace at a time:
 *
 *   marked --> every worker: types taken, emptied (object/emptying.h) --> messages swept (object/sweep.h)
 *     ^                                                                        |
 *     `--------- something is left, or there is no room --- one record: modules, types and the namespace go
 *
 * All of it is done anew after a crash, with what is left; the mark is all that is kept.
 * Threads: worker 0's, but for what the others are sent.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_REMOVALS_H
#define CAIRN_ADMIN_REMOVALS_H

#include "object/dependency.h"
#include "object/operation.h"

struct space;

struct removals {
    struct space *space; /* that is being emptied; NULL: none */
    enum { REMOVAL_WAITS, REMOVAL_EMPTIES, REMOVAL_SWEEPS, REMOVAL_ENDS } stage;
    uint32_t left;           /* workers that have not emptied it */
    struct emptied *workers; /* what they are sent */
    uint64_t next_ns;        /* nothing is done before */
};

extern const struct housekeeper removals_housekeeper;
void removals_close(struct cairn_node *node);

#endif
