/* write.h - the module's methods as this room calls them: arguments, and what is answered (cairn/keeper_layout.h).
 *
 * Threads: the calling worker's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_WRITE_H
#define CAIRN_KEEPER_WRITE_H

#include "keeper/keeper_internal.h"

struct keeper_task;

enum { KEEPER_FIRST_GENERATION = 1 };

/* A request of this room's.  Freed when it is done. */
struct keeper_call {
    struct cairn_request request; /* first */
    struct cairn_worker *worker;
    struct cairn_link all; /* keeper_worker.calls */
    struct cairn_buf args;
    void (*done)(struct keeper_call *call, struct cairn_bytes value); /* NULL: nothing waits for it */
    void *context;
    uint32_t count; /* of Session.write: how many */
    size_t count_at;
    uint8_t id[16];
};

typedef void keeper_done(struct keeper_call *call, struct cairn_bytes value);

void keeper_call_deploy(struct cairn_worker *worker, struct space *compartment, keeper_done *done, void *context);
void keeper_call_open(struct cairn_worker *worker, struct space *compartment, uint64_t session,
                      struct cairn_bytes password, uint32_t timeout_ms, uint64_t epoch, keeper_done *done,
                      void *context);
void keeper_call_attach(struct cairn_worker *worker, struct space *compartment, uint64_t session,
                        struct cairn_bytes password, keeper_done *done, void *context);
/* generation 0: its time is over. */
void keeper_call_close(struct cairn_worker *worker, struct space *compartment, uint64_t session, uint32_t generation,
                       uint64_t epoch, keeper_done *done, void *context);
/* Writes of a link that go together: begun with the first one's link and identities, then added, then submitted with
 * the number of the last.  The data of parts that is in the blob store goes along as its hash. */
struct keeper_call *keeper_call_writes(struct keeper_task *first, keeper_done *done);
void keeper_call_add(struct keeper_call *call, const struct keeper_task *task);
void keeper_call_submit(struct keeper_call *call, uint64_t number);
void keeper_call_begin(struct cairn_worker *worker, struct space *compartment, uint64_t incarnation, uint64_t restores,
                       uint64_t epoch, keeper_done *done, void *context);
void keeper_calls_free(struct keeper_worker *kw);

/* What a method was answered with. */
struct keeper_outcome {
    int32_t error; /* 0; the module's; or -1 and -4, if the node could not */
    uint32_t part; /* that failed; UINT32_MAX: no single one */
    bool by_module;
    uint64_t zxid;            /* 0: not told */
    struct cairn_reader rest; /* the values behind the first */
    uint64_t count;           /* so many */
    const char *why;          /* NULL: nothing */
    char text[CAIRN_ERR_TEXT_BYTES];
};

void keeper_outcome_read(const struct keeper_call *call, struct cairn_bytes value, struct keeper_outcome *ret_outcome);
/* Session.write's: the next one's, of those that *r has.  False: the whole has failed, the outcome is each one's. */
bool keeper_outcomes_begin(const struct keeper_call *call, struct cairn_bytes value, struct cairn_reader *ret_reader,
                           struct keeper_outcome *ret_outcome);
void keeper_outcomes_next(const struct keeper_call *call, struct cairn_reader *r, struct keeper_outcome *ret_outcome);
/* Session.attach's. */
bool keeper_outcome_attached(struct keeper_outcome *outcome, uint32_t *ret_generation, uint32_t *ret_timeout_ms);
/* Session.write's: as many slots as the ask has parts. */
bool keeper_outcome_slots(const struct keeper_outcome *outcome, struct cairn_reader *r, const struct keeper_ask *ask,
                          struct keeper_slot *slots);

/* The arguments of Tree.commit begin with these; false: they are none. */
bool keeper_commit_args(struct cairn_bytes args, uint64_t *ret_session, uint64_t *ret_number);
/* A message that tells why the request has failed; NULL: it has not. */
const char *keeper_error_text(struct cairn_bytes value, char to[CAIRN_ERR_TEXT_BYTES]);

static inline void keeper_id_hex(uint64_t session, uint8_t to[16])
{
    for (int i = 0; i < 16; i++)
        to[i] = (uint8_t) "0123456789abcdef"[session >> (60 - 4 * i) & 15];
}

#endif
