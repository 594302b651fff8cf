/* register.h - which blobs are being put, and which are about to be removed: the two exclude each other.
 *
 * A put is in the register from before it begins until its write is decided.  The collector goes through one folder
 * of the store at a time, and takes a blob before it looks a last time whether anything refers to it: one that is
 * being put, or has been put since it began with the folder, is not to be had.  A put of a blob that is taken
 * waits.
 * Threads: any.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_REGISTER_H
#define CAIRN_KEEPER_REGISTER_H

#include <pthread.h>

#include "base/hash.h"
#include "base/list.h"
#include "keeper/map.h"

struct keeper_register {
    pthread_mutex_t lock; /* of all that follows */
    struct keeper_map entries;
    int folder; /* the first byte of the hashes whose puts are kept in mind; -1: none */
};

/* The caller's, from put to decided. */
struct keeper_claim {
    uint8_t hash[CAIRN_SHA256_BYTES];
    void (*go_on)(struct keeper_claim *claim); /* it has waited, and is in the register now; on another's thread */
    struct cairn_link at;                      /* the register's */
};

void keeper_register_init(struct keeper_register *reg);
void keeper_register_done(struct keeper_register *reg);
/* False: it waits, and go_on will be called. */
bool keeper_register_put(struct keeper_register *reg, struct keeper_claim *claim);
void keeper_register_decided(struct keeper_register *reg, const uint8_t hash[CAIRN_SHA256_BYTES]);
/* Another folder is begun with; -1: none. */
void keeper_register_begin(struct keeper_register *reg, int folder);
bool keeper_register_take(struct keeper_register *reg, const uint8_t hash[CAIRN_SHA256_BYTES]);
/* It has been removed, or stays. */
void keeper_register_give(struct keeper_register *reg, const uint8_t hash[CAIRN_SHA256_BYTES]);

#endif
