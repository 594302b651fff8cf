/* method_limits.h - what an invocation of a method may use: the least of what its module declares, what its namespace
 * gives, and what the node gives.
 *
 * Each worker makes it of all three when it takes a type over, and again when the namespace's have changed, so that an
 * invocation finds numbers with its method and compares nothing.  What has begun may end under those it began with.
 * What fails for one says which it was, and where it is set.
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_METHOD_LIMITS_H
#define CAIRN_OBJECT_METHOD_LIMITS_H

#include "fn/fn.h"

struct cairn_limits;
struct cairn_node;
struct cairn_worker;
struct invocation;
struct space;

/* Where a limit that is in force was set. */
enum limit_by { LIMIT_BY_NODE, LIMIT_BY_NAMESPACE, LIMIT_BY_TYPE, LIMIT_BY_METHOD };
/* "node", "namespace", "type", "method". */
const char *limit_by_name(enum limit_by by);

struct method_limits {
    struct cairn_run_limits run; /* what the sandbox is told: CPU time and memory */
    uint64_t most[CAIRN_METHOD_LIMITS];
    uint8_t by[CAIRN_METHOD_LIMITS]; /* enum limit_by */
};

/* `type` and `method` NULL: of what is no method. */
void method_limits_make(struct method_limits *limits, const struct cairn_node *node, const struct space *space,
                        const struct cairn_type_decl *type, const struct cairn_method_decl *method);
/* Of the invocation: its method's, or `own` made for what has none. */
const struct method_limits *method_limits_of(const struct invocation *inv, struct method_limits *own);
/* The limits of the namespace have changed: any worker asks, each makes those of its types anew before it runs anything
 * that has come after this. */
void method_limits_spread(struct cairn_worker *worker, struct space *space);
/* Text behind that of *err: which limit it was, and where it is set. */
void method_limit_tell(const struct invocation *inv, enum cairn_method_limit limit, struct cairn_err *err);
/* The same of limits that another has; `inv` names the method. */
void method_limit_tell_of(const struct method_limits *limits, const struct invocation *inv,
                          enum cairn_method_limit limit, struct cairn_err *err);

#endif
