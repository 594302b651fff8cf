/* ready.h - which object runs next: objects whose mailbox's head may start, in lines (ready.c).
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_READY_H
#define CAIRN_OBJECT_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct cairn_worker;
struct invocation;
struct object;

enum ready_line {
    READY_CALLS, /* the head is a call or a resumption */
    READY_OUTSIDE,
    READY_HEAVY, /* either, of a job that has made more than HEAVY_CALLS calls; a page of an object */
    READY_LINES
};

enum { HEAVY_CALLS = 1024 };

struct ready {
    struct cairn_link lines[READY_LINES];
    uint64_t spent[READY_LINES]; /* ns times stride */
    uint64_t floor;              /* of the line that was served last: where one that was empty starts */
    uint64_t since_ns;
    bool heavy; /* the object taken last was of READY_HEAVY: these run one by one */
    int last;   /* the line that is to be charged for what runs since then; READY_LINES: none */
};

void ready_init(struct ready *ready);
void ready_add(struct ready *ready, struct object *object, const struct invocation *head);
bool ready_empty(const struct ready *ready);
/* Takes the object that is to run now; NULL: there is none. */
struct object *ready_next(struct cairn_worker *worker);
/* What follows is not the work of the object taken last. */
void ready_pause(struct cairn_worker *worker);
/* One that is likely to be next, or NULL. */
const struct object *ready_peek(const struct ready *ready);

#endif
