/* zkmodel.h - ZooKeeper's tree as its documentation has it, in the simplest way: an array of nodes.  For tests that
 * compare the keeper with it.  Wall-clock times are the caller's. */
#ifndef CAIRN_TESTS_SUPPORT_ZKMODEL_H
#define CAIRN_TESTS_SUPPORT_ZKMODEL_H

#include "proto/zk.h"

enum { ZKMODEL_NODES = 4096, ZKMODEL_ACLS = 8, ZKMODEL_OPS = 12 };

struct zkmodel_acls {
    int count; /* -1: null */
    struct {
        int32_t perms;
        char scheme[8], id[24];
    } of[ZKMODEL_ACLS];
};

struct zkmodel_ids {
    int count;
    struct {
        char scheme[8], user[24];
    } of[4];
};

struct zkmodel_node {
    char path[96];
    char data[40];
    int32_t data_bytes; /* -1: null */
    int64_t czxid, mzxid, pzxid, owner, mtime;
    int32_t version, creates, aversion;
    struct zkmodel_acls acls;
};

struct zkmodel_op {
    int32_t op;
    char path[96];
    char data[40];
    int32_t data_bytes; /* -1: null */
    struct zkmodel_acls acls;
    int32_t flags, version;
    int64_t ttl;
};

struct zkmodel_slot {
    char path[96]; /* empty: it has none */
    bool has_stat;
    struct cairn_zk_stat stat; /* ctime 0 */
};

struct zkmodel {
    struct zkmodel_node nodes[ZKMODEL_NODES];
    int count;
    int64_t zxid, now;     /* now: the caller's, ms */
    char changes[1 << 16]; /* of the last transaction: "1/a:1.31 4:1.31 "; behind ':' how many ACLs, their perms */
    struct zkmodel_slot slots[ZKMODEL_OPS];
};

/* With the four nodes that are there from the start. */
void zkmodel_init(struct zkmodel *model);
/* One transaction: 0, or an error, in *ret_index of which operation; then nothing has changed. */
int32_t zkmodel_commit(struct zkmodel *model, uint64_t session, const struct zkmodel_ids *ids,
                       const struct zkmodel_op *ops, int count, int *ret_index);
/* As a transaction. */
void zkmodel_close(struct zkmodel *model, uint64_t session);
struct zkmodel_node *zkmodel_find(struct zkmodel *model, const char *path);
int zkmodel_children(const struct zkmodel *model, const char *path);
void zkmodel_stat(const struct zkmodel *model, const struct zkmodel_node *node, struct cairn_zk_stat *ret);
/* The node without children, whoever may. */
void zkmodel_remove(struct zkmodel *model, struct zkmodel_node *node);

#endif
