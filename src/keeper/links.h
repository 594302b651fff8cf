/* links.h - the links of a worker, by namespace and session; and what workers tell each other about them.
 *
 * Threads: as said at each.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_LINKS_H
#define CAIRN_KEEPER_LINKS_H

#include "keeper/keeper_internal.h"

uint32_t keeper_tree_shard(const struct cairn_node *node, const struct space *compartment);
/* Of a connection: its numbers are above those of all connections of the session before it. */
static inline uint64_t keeper_first_number(uint32_t generation)
{
    return (uint64_t)generation << 40;
}

/* Between workers. */
struct keeper_note {
    struct message message; /* first */
    struct space *space;    /* to links: the namespace; to the owner: the compartment */
    uint64_t session;
    uint32_t generation, from;
    uint64_t number;
    enum keeper_end why;
    uint32_t count;      /* of `sessions` */
    uint64_t sessions[]; /* heard */
};

struct keeper_note *keeper_note_new(struct space *space, uint32_t count,
                                    void (*receive)(struct cairn_worker *worker, struct message *message));
void keeper_note_drop(struct cairn_worker *worker, struct message *message);

/* At a link's worker, a note: its session is no longer its. */
void keeper_link_over(struct cairn_worker *worker, struct message *message);
/* The home of a namespace that has one here; NULL: none. */
struct keeper_home *keeper_home_find(struct cairn_worker *worker, const struct space *space);
/* The open link of that session's connection; NULL: there is none any more. */
struct keeper_link *keeper_link_find(const struct keeper_home *home, uint64_t session, uint32_t generation);
struct keeper_home *keeper_home_get(struct cairn_worker *worker, struct space *space);
/* It is connected, and has left or is over. */
void keeper_link_open(struct keeper_link *link, uint64_t session, uint32_t generation, uint32_t timeout_ms);
void keeper_link_shut(struct keeper_link *link);
void keeper_links_free(struct keeper_worker *kw);

#endif
