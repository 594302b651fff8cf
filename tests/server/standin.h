/* standin.h - a node without modules, log or disk, for tests of the fronts: a table of objects
 * with one value each, and methods that answer at once, late, out of order or never.
 *
 * Methods (any type, any id):
 *   echo ARG...      a list of the arguments         get / set VALUE / incr   the object's value
 *   nil              nil                             fail CODE MESSAGE        an error
 *   list             a list with one of everything   big N                    N bytes
 *   late N ARG       ARG, after N more runs          never                    no answer until release
 *   bad              bytes that are no value         key                      the idempotency key
 * get, echo, nil, list, big and key are read-only; another method under read_only is an error.
 * Threads: as a node's. */
#ifndef CAIRN_TESTS_STANDIN_H
#define CAIRN_TESTS_STANDIN_H

#include "server/backend.h"

struct standin;

struct standin *standin_create(uint32_t workers, void (*wake)(void *context, uint32_t index), void *context);
struct standin *standin_destroy(struct standin *standin);
const struct cairn_backend *standin_backend(struct standin *standin);
/* Whom the ZooKeeper front asks; there is none at first. */
void standin_set_keeper(struct standin *standin, const struct keeper_ops *keeper);
/* Any thread: worker 0's requests of `never` are answered in its next run. */
void standin_release(struct standin *standin);
/* Requests with a reply outstanding. */
uint64_t standin_admitted(struct standin *standin);
/* TYPES come in so many parts, each a type with a method, T0, T1, ..., of module m0, m0, m1, m1, ..., whose field's
 * name has `bytes`; instead of part `bad` there is an error.  parts 0: as at first. */
void standin_set_parts(struct standin *standin, uint64_t parts, size_t bytes, uint64_t bad);
/* How many parts have been asked for. */
uint64_t standin_parts_asked(const struct standin *standin);
/* The readiness that is reported. */
void standin_set_ready(struct standin *standin, bool ready);
/* The last request of each kind, as text, to see what the fronts made of it (worker 0 only). */
const char *standin_last(struct standin *standin);

#endif
