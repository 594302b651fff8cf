#include "object/method_limits.h"

#include <stdio.h>

#include "object/invocation.h"
#include "object/space.h"
#include "object/type.h"
#include "object/worker.h"

const char *limit_by_name(enum limit_by by)
{
    static const char *const names[] = {"node", "namespace", "type", "method"};

    return names[by];
}

static uint64_t of_node(const struct cairn_node *node, enum cairn_method_limit limit)
{
    const struct cairn_limits *limits = &node->limits;

    switch (limit) {
    case CAIRN_LIMIT_CPU:
        return limits->cpu_ns / 1000000;
    case CAIRN_LIMIT_MEMORY:
        return cairn_fn_memory_max(node->options.fn);
    case CAIRN_LIMIT_CALLS:
        return limits->job_calls;
    case CAIRN_LIMIT_RESULT:
        return limits->value_bytes;
    case CAIRN_LIMIT_WRITE_SET:
        return limits->write_set_bytes;
    case CAIRN_LIMIT_JOURNAL:
        return limits->journal_bytes;
    case CAIRN_LIMIT_TRANSACTION:
        return limits->transaction_bytes;
    case CAIRN_LIMIT_TRANSACTION_OBJECTS:
        return limits->transaction_objects;
    case CAIRN_LIMIT_TRANSACTION_TIME:
        return limits->transaction_ns / 1000000;
    case CAIRN_METHOD_LIMITS:
        break;
    }
    return 0;
}

static void lower(struct method_limits *limits, int limit, uint64_t to, enum limit_by by)
{
    if (to && to < limits->most[limit]) {
        limits->most[limit] = to;
        limits->by[limit] = (uint8_t)by;
    }
}

void method_limits_make(struct method_limits *limits, const struct cairn_node *node, const struct space *space,
                        const struct cairn_type_decl *type, const struct cairn_method_decl *method)
{
    space = space_payer(space);
    for (int i = 0; i < CAIRN_METHOD_LIMITS; i++) {
        limits->most[i] = of_node(node, (enum cairn_method_limit)i);
        limits->by[i] = LIMIT_BY_NODE;
        lower(limits, i, stat_get(&space->limits[SPACE_METHOD_LIMITS + i]), LIMIT_BY_NAMESPACE);
        if (method && method->limits[i])
            lower(limits, i, method->limits[i], LIMIT_BY_METHOD);
        else if (type)
            lower(limits, i, type->limits[i], LIMIT_BY_TYPE);
    }
    /* The node's own may be less than a millisecond; its sandbox bounds memory by itself. */
    limits->run.cpu_ns =
        limits->by[CAIRN_LIMIT_CPU] == LIMIT_BY_NODE ? node->limits.cpu_ns : limits->most[CAIRN_LIMIT_CPU] * 1000000;
    limits->run.memory_bytes = limits->by[CAIRN_LIMIT_MEMORY] == LIMIT_BY_NODE ? 0 : limits->most[CAIRN_LIMIT_MEMORY];
}

const struct method_limits *method_limits_of(const struct invocation *inv, struct method_limits *own)
{
    if (inv->method)
        return &inv->method->limits;
    method_limits_make(own, inv->worker->node, inv->space, NULL, NULL);
    return own;
}

/* --- telling --- */

void method_limit_tell_of(const struct method_limits *limits, const struct invocation *inv,
                          enum cairn_method_limit limit, struct cairn_err *err)
{
    const char *name = cairn_method_limit_name(limit), *type = inv->type ? inv->type->decl->name : "",
               *method = inv->method ? inv->method->decl->name : "";
    size_t used = strlen(err->text), left = sizeof err->text - used;
    char *to = err->text + used, value[CAIRN_LIMIT_TEXT_BYTES];

    cairn_method_limit_text(limit, limits->most[limit], value);
    switch ((enum limit_by)limits->by[limit]) {
    case LIMIT_BY_NODE:
        snprintf(to, left, " (%s, set for the node: `cairn serve --%s`)", value,
                 limit == CAIRN_LIMIT_RESULT ? "limit-value" : name);
        return;
    case LIMIT_BY_NAMESPACE:
        snprintf(to, left, " (%s of %s, set for the namespace: `cairn namespaces set %.*s --%s`)", name, value,
                 (int)inv->space->name.size, (const char *)inv->space->name.data, name);
        return;
    case LIMIT_BY_TYPE:
        snprintf(to, left, " (%s of %s, declared by the type %s)", name, value, type);
        return;
    case LIMIT_BY_METHOD:
        snprintf(to, left, " (%s of %s, declared by the method %s.%s)", name, value, type, method);
        return;
    }
}

void method_limit_tell(const struct invocation *inv, enum cairn_method_limit limit, struct cairn_err *err)
{
    struct method_limits own;

    method_limit_tell_of(method_limits_of(inv, &own), inv, limit, err);
}
