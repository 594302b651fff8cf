/* blobs.h - data of nodes that is in a blob store: an object for each content, named by its SHA-256.
 *
 * keeper/XX/HASH, in hexadecimal, XX the hash's first byte: a store lists one folder at a time.  All namespaces
 * share the objects, as nothing but the content is in the name.  A put always writes the whole object, also over
 * one that is there: so what has rotted heals, and the object's age tells when it was put last.
 * Threads: keeper_blob_put any, its `done` the worker's that is named; the rest as said.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_BLOBS_H
#define CAIRN_KEEPER_BLOBS_H

#include "base/event.h"
#include "base/hash.h"
#include "blob/blob.h"
#include "io/task.h"
#include "keeper/register.h"
#include "object/message.h"

enum { KEEPER_BLOB_NAME_BYTES = 80 };

struct cairn_node;

/* The node's. */
struct keeper_blobs {
    struct cairn_node *node;
    struct cairn_blob *store;  /* NULL: there is none */
    struct cairn_tasks *tasks; /* where the store is waited for */
    uint32_t bytes_min;        /* data of so many bytes or more is put there */
    struct keeper_register reg;
};

void keeper_blob_name(const uint8_t hash[CAIRN_SHA256_BYTES], char to[KEEPER_BLOB_NAME_BYTES]);
/* Whether data of a node at the path, of so many bytes, belongs there.  Quotas are read by the functions. */
bool keeper_blob_wants(const struct keeper_blobs *blobs, struct cairn_bytes path, size_t bytes);

struct keeper_put {
    struct cairn_buf data; /* the caller's, untouched until `done` */
    uint32_t worker;
    void (*done)(struct cairn_worker *worker, struct keeper_put *put);
    void *context;
    /* for `done` */
    struct keeper_claim claim; /* its hash */
    enum cairn_code code;
    struct cairn_err err;
    /* this file's */
    struct keeper_blobs *blobs;
    bool claimed;
    struct cairn_task task;
    struct message message;
};

/* CAIRN_OK: the object is durable, and stays at least until keeper_blob_decided. */
void keeper_blob_put(struct keeper_blobs *blobs, struct keeper_put *put);
/* What it is put for is decided, or the node closes.  Of one that was begun or not. */
void keeper_blob_decided(struct keeper_put *put);
/* Blocks: of a task.  CAIRN_ENOTFOUND; CAIRN_ECORRUPT: what is there is not that content. */
enum cairn_code keeper_blob_get(struct keeper_blobs *blobs, const uint8_t hash[CAIRN_SHA256_BYTES], uint32_t bytes,
                                struct cairn_buf *to, struct cairn_err *err);
/* For the operator, of the data of a node at `path`: what cannot be put, or be had. */
void keeper_blob_tell(const struct keeper_blobs *blobs, bool put, struct cairn_bytes path, enum cairn_code code,
                      const char *why);

#endif
