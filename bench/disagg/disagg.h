/* disagg.h - the compute half of the disaggregated baseline (main.c says what it is).
 *
 *   main.c     options, clients' connections, the Redis protocol
 *   run.c      invocations: locks, segments, calls, host calls that are not about fields
 *   fields.c   host calls on fields, one request each or batched
 *   remote.c   requests to bench_store              redis.c   the same to a Redis server
 *
 * One thread is one function instance: a sandbox and connections of its own, one invocation at a time (and what it
 * calls, while it waits).  Nothing here is shared between threads but struct platform. */
#ifndef CAIRN_BENCH_DISAGG_H
#define CAIRN_BENCH_DISAGG_H

#include <pthread.h>

#include "../fields.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/random.h"
#include "base/value.h"
#include "fn/fn.h"

/* --- storage ---------------------------------------------------------------------------------- */

struct remote;

struct field_reply {
    uint64_t number, count;
    struct cairn_reader strings; /* sized; valid until the next begin */
};

/* Ports: one of a Redis server, or those of bench_store's threads. */
struct remote *remote_open(const unsigned *ports, unsigned count, bool redis);
struct remote *remote_close(struct remote *remote);
/* A request is put together, sent, and its replies are taken in order. */
void remote_begin(struct remote *remote, struct cairn_bytes name);
void remote_add(struct remote *remote, enum field_op op, uint32_t field, uint64_t number, struct cairn_bytes key,
                struct cairn_bytes value);
void remote_send(struct remote *remote);
struct field_reply remote_take(struct remote *remote);
uint64_t remote_requests(const struct remote *remote);

/* redis.c: turns the operations of a request into commands, and their replies into those of fields.h. */
void redis_add(struct cairn_buf *to, struct cairn_bytes name, enum field_op op, uint32_t field, uint64_t number,
               struct cairn_bytes key, struct cairn_bytes value);
/* Where the reply ends, 0 while it is not all there; errors end the process. */
size_t redis_reply_size(const uint8_t *at, size_t size);
struct field_reply redis_decode(struct cairn_buf *scratch, enum field_op op, struct cairn_bytes reply);

void __attribute__((noreturn)) die(const char *what, const char *why);
int connect_to(unsigned port);

/* --- the platform ------------------------------------------------------------------------------- */

enum { LOCKS = 1 << 14 };

struct fan_out;

struct platform {
    struct cairn_module *module;
    struct cairn_fn *fn;
    bool batch, redis;
    unsigned ports[16], port_count;

    /* One writer or many readers of an object at a time, as invocation linearizability needs; in the memory of the
     * one compute process, where a real platform would need a service for it. */
    pthread_rwlock_t locks[LOCKS];

    pthread_mutex_t lock; /* fan_outs */
    pthread_cond_t work;
    struct cairn_link fan_outs; /* with calls that nobody has taken yet */
};

struct thread {
    struct platform *platform;
    struct cairn_fn_worker *worker;
    struct remote *remote;
    struct cairn_random random;
    int listener;
};

/* --- an invocation -------------------------------------------------------------------------------- */

struct field; /* fields.c: what a segment knows of a field, when batching */

struct call {
    struct cairn_bytes type, id, method, args; /* in the caller's arena */
    struct cairn_buf result;
};

struct invocation {
    struct thread *thread;
    const struct cairn_type_decl *type;
    const struct cairn_method_decl *method;
    struct cairn_bytes id, name, args, caller_type, caller_id; /* name: TYPE/ID */
    struct cairn_arena arena;                                  /* until the end */
    struct cairn_buf result;
    bool failed;
    int64_t now_ms;

    struct call *calls;
    uint32_t call_count, call_room, calls_done;

    struct cairn_arena segment; /* until the segment's end */
    struct field *fields;
    /* Without batching: the replies so far.  When the sandbox starts an invocation over, they are given again
     * instead of asking twice, which for a write would be wrong. */
    struct field_reply *journal;
    uint32_t journal_count, journal_room, journal_at;
    bool flushed; /* with batching: some writes have left before the segment's end */
};

/* Runs it to its end; the result is in result.  `internal`: internal methods may be called. */
void invoke(struct thread *thread, struct invocation *inv, struct cairn_bytes type, struct cairn_bytes method,
            bool internal);
void invocation_done(struct invocation *inv);
/* Takes a call out of somebody's fan-out and runs it; waits for one. */
void help(struct thread *thread);
extern const struct cairn_host_ops host_ops;

/* --- fields.c ---------------------------------------------------------------------------------------- */

/* The segment is over: what was batched is written. */
void fields_flush(struct invocation *inv);
/* A new segment, or the same one once more. */
void fields_reset(struct invocation *inv, bool again);

enum cairn_code fields_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                 struct cairn_err *err);
enum cairn_code fields_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
enum cairn_code fields_value_clear(void *run, uint32_t field, struct cairn_err *err);
enum cairn_code fields_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code fields_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
enum cairn_code fields_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                                struct cairn_err *err);
enum cairn_code fields_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                bool *ret_found, struct cairn_err *err);
enum cairn_code fields_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                                 struct cairn_err *err);
enum cairn_code fields_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
enum cairn_code fields_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                               bool *ret_found, struct cairn_err *err);
enum cairn_code fields_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                               struct cairn_err *err);
enum cairn_code fields_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                  struct cairn_err *err);
enum cairn_code fields_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                              struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err);

#endif
