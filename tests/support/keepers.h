/* keepers.h - a simulated node with the keeper's module: sessions that write, and the fields of the Tree, compared with
 * the model (zkmodel.h). */
#ifndef CAIRN_TESTS_SUPPORT_KEEPERS_H
#define CAIRN_TESTS_SUPPORT_KEEPERS_H

#include "cairn/keeper_layout.h"
#include "support/simnode.h"
#include "support/zkmodel.h"

enum { KEEPERS_TXNS = 8 };

/* What is one transaction: several operations are a multi. */
struct keepers_txn {
    const struct zkmodel_op *ops;
    int count;
    bool multi;
};

struct keeper_client {
    uint64_t session, number;
    uint32_t generation;
    char id[17];
    struct zkmodel_ids ids;
};

/* A new node, with the module deployed and the Tree begun. */
void keepers_open(struct simnode *sim, uint64_t seed, const struct simnode_options *options);
void keepers_reopen(struct simnode *sim);

/* What a call has answered: an error is a code of ZooKeeper's, 1 for any other. */
struct keeper_reply {
    int32_t error;
    uint32_t index;
    uint64_t zxid;
    char text[96]; /* of an error */
    int slot_count;
    struct zkmodel_slot slots[ZKMODEL_OPS];
};

void keepers_begin_call(struct simcall *call, uint64_t incarnation, uint64_t restores, uint64_t epoch);
void keepers_open_call(struct simcall *call, struct keeper_client *client, uint64_t session, uint32_t timeout_ms,
                       uint64_t epoch);
void keepers_attach_call(struct simcall *call, const struct keeper_client *client, const char *password,
                         uint32_t generation);
void keepers_write_call(struct simcall *call, struct keeper_client *client, uint64_t epoch,
                        const struct zkmodel_op *ops, int count, bool multi);
/* Several, that are sent at once. */
void keepers_writes_call(struct simcall *call, struct keeper_client *client, uint64_t epoch,
                         const struct keepers_txn *txns, int count);
void keepers_close_call(struct simcall *call, const struct keeper_client *client, uint32_t generation, uint64_t epoch);
/* Of a call that was replied to; gives its memory back. */
void keepers_reply(struct simcall *call, struct keeper_reply *ret);
/* Of so many transactions, each; or what the whole was refused with. */
void keepers_replies(struct simcall *call, struct keeper_reply *ret, int count);
/* Runs it to its answer first. */
void keepers_run(struct simnode *sim, struct simcall *call, struct keeper_reply *ret);

/* A field of the Tree, entry by entry; of a value one, without a key.  Returns how many. */
int keepers_field(struct simnode *sim, const char *name,
                  void (*entry)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context);
int keepers_count(struct simnode *sim, const char *name);
/* Fails the test unless nodes, data, ephemerals and the last changes are the model's; `lingering`: but for nodes of
 * sessions that were closed. */
void keepers_compare(struct simnode *sim, struct zkmodel *model, bool lingering);

#endif
