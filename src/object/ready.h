/* ready.h - which object runs next: objects whose mailbox's head may start, in lines of their namespace's lane
 * (ready.c), and which of the invocations that were set aside.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_READY_H
#define CAIRN_OBJECT_READY_H

#include "object/lane.h"

struct cairn_worker;
struct invocation;
struct object;

enum { HEAVY_CALLS = 1024 };

/* What is to be charged for what runs since then. */
struct ready {
    struct lane *lane; /* NULL: nothing */
    enum ready_line line;
    uint64_t since_ns;
    bool heavy; /* the object taken last was of READY_HEAVY: these run one by one */
};

void ready_add(struct cairn_worker *worker, struct object *object, const struct invocation *head);
/* False: nothing is in line. */
bool ready_any(const struct cairn_worker *worker);
/* Takes the object that is to run now; NULL: there is none. */
struct object *ready_next(struct cairn_worker *worker);
/* What follows is not the work of the object taken last. */
void ready_pause(struct cairn_worker *worker);
/* One that is likely to be next, or NULL. */
const struct object *ready_peek(const struct cairn_worker *worker);

/* The invocation's slice is over; `first`: it goes on before others of its namespace. */
void aside_add(struct cairn_worker *worker, struct invocation *inv, bool first);
bool aside_any(const struct cairn_worker *worker);
/* Runs a slice of the one whose turn it is, which must be there. */
void aside_run(struct cairn_worker *worker, void (*resume)(struct cairn_worker *worker, struct invocation *inv));

#endif
