/* seen.h - open durable invocations of flows (flows.h), as an operator sees them: listed, shown, cancelled. */
#ifndef CAIRN_TESTS_SUPPORT_SEEN_H
#define CAIRN_TESTS_SUPPORT_SEEN_H

#include "support/flows.h"

#define CANCELLED "!cancelled: the invocation was cancelled: what it had committed, and what its calls have done, stays"

/* An item as it is listed: id, type, id, method, .., state, what, number. */
struct seen {
    char invocation[40], object[40], method[24], state[24], what[100];
    int64_t number;
    bool cancelled; /* it was asked to end */
};

bool begins(const char *text, const char *with);
/* Those of all pages; how many there are. */
int seen_list(struct simnode *sim, const char *type, const char *id, struct seen *to, int most);
/* The one of that object. */
struct seen seen_find(struct simnode *sim, const char *type, const char *id);
void seen_ask(struct simcall *call, enum cairn_op op, const char *invocation);
/* What is heard of it; valid until the next. */
const char *seen_cancel(struct simnode *sim, const char *invocation, bool now);

/* Asks for a method of a Flow with these arguments, up to the first that is NULL; key NULL: without. */
void flow_submit(struct simnode *sim, struct simcall *call, const char *id, const char *method, const char *a,
                 const char *b, const char *c, const char *key);
const char *flow_outcome(struct simnode *sim, struct simcall *call);
/* Fails the test if anything is left of durable invocations. */
void flow_nothing_is_left(struct simnode *sim);

#endif
