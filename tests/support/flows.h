/* flows.h - a simulated node with the guest module `flow`, whose durable methods count what they do: what lies in its
 * shards, and crashes of it. */
#ifndef CAIRN_TESTS_SUPPORT_FLOWS_H
#define CAIRN_TESTS_SUPPORT_FLOWS_H

#include "support/simnode.h"

void flows_reopen(struct simnode *sim);
/* A new node, with the module deployed. */
void flows_open(struct simnode *sim, uint64_t seed, const struct simnode_options *options);

struct flows_look {
    uint8_t kind;
    uint64_t count;
    struct cairn_buf key; /* of the last */
    uint32_t shard;
};

/* Keys of look->kind in all shards; `key` is to be given back. */
void flows_look_for(struct simnode *sim, struct flows_look *look);
uint64_t flows_keys_with(struct simnode *sim, uint8_t kind);
/* All keys of all shards. */
uint64_t flows_keys(struct simnode *sim);

/* Lets time go on until nothing is open and nothing is kept for it; false: something is, after a long time. */
bool flows_rest(struct simnode *sim);
/* A method without arguments; valid until the next call. */
const char *flows_ask(struct simnode *sim, const char *type, const char *id, const char *method);
int64_t flows_tally(struct simnode *sim, const char *id);

struct flows_work {
    const char *method, *args[5];
    const char *flows[2], *tallies[5]; /* which begin and end once, which count once */
    int each;                          /* or so often */
    const char *sent_to;               /* counts `sends` for each of the first tally, by messages; NULL: nothing does */
    int sends;
    const char *want; /* of the keyed request, asked for again; NULL: not compared */
};

/* Cuts one invocation of Flow/a off at every `stride`th of its steps, with and without a key, once and, every other
 * time, once more on its way; fails the test unless each effect is there once, or none at all, and nothing is left. */
void flows_cut_off(const struct flows_work *work, const struct simnode_options *options, int stride);

#endif
