#include "support/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "object/layout.h"

bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void copy(char *to, size_t room, struct cairn_bytes from)
{
    snprintf(to, room, "%.*s", (int)from.size, (const char *)from.data);
}

static struct seen read_item(struct cairn_reader *r)
{
    struct seen seen = {0};
    struct cairn_bytes parts[9];

    assert_int_equal(cairn_value_read(r).count, 16);
    for (int i = 0; i < 9; i++)
        parts[i] = cairn_value_read(r).bytes;
    copy(seen.invocation, sizeof seen.invocation, parts[0]);
    snprintf(seen.object, sizeof seen.object, "%.*s/%.*s", (int)parts[1].size, (const char *)parts[1].data,
             (int)parts[2].size, (const char *)parts[2].data);
    copy(seen.method, sizeof seen.method, parts[3]);
    copy(seen.state, sizeof seen.state, parts[7]);
    copy(seen.what, sizeof seen.what, parts[8]);
    seen.number = cairn_value_read(r).integer;
    for (int i = 0; i < 5; i++)
        cairn_value_read(r);
    seen.cancelled = cairn_value_read(r).integer != 0;
    assert_false(r->bad);
    return seen;
}

/* Those of all pages; how many there are. */
int seen_list(struct simnode *sim, const char *type, const char *id, struct seen *to, int most)
{
    struct cairn_buf cursor = {0};
    int count = 0;

    do {
        struct cairn_value next;
        struct cairn_reader r;
        struct simcall call;

        simcall_init(&call, CAIRN_OP_INVOCATIONS, type, id, NULL, NULL);
        call.request.cursor = cairn_buf_bytes(&cursor);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        assert_int_equal(cairn_value_read(&r).count, 2);
        for (uint64_t left = cairn_value_read(&r).count; left > 0; left--, count++) {
            struct seen seen = read_item(&r);

            if (count < most)
                to[count] = seen;
        }
        next = cairn_value_read(&r);
        cursor.size = 0;
        cairn_buf_add(&cursor, next.bytes.data, next.bytes.size);
        simcall_done(&call);
    } while (cursor.size);
    cairn_buf_done(&cursor);
    return count;
}

struct seen seen_find(struct simnode *sim, const char *type, const char *id)
{
    struct seen seen = {0};

    assert_int_equal(seen_list(sim, type, id, &seen, 1), 1);
    return seen;
}

void seen_ask(struct simcall *call, enum cairn_op op, const char *invocation)
{
    simcall_init(call, op, NULL, NULL, NULL, NULL);
    call->request.name = cairn_str(invocation);
}

const char *seen_cancel(struct simnode *sim, const char *invocation, bool now)
{
    static char heard[300];
    struct simcall call;

    seen_ask(&call, CAIRN_OP_CANCEL, invocation);
    call.request.at_once = now;
    simcall_run(sim, &call);
    snprintf(heard, sizeof heard, "%.290s", simvalue_text(cairn_buf_bytes(&call.reply)));
    simcall_done(&call);
    return heard;
}

void flow_submit(struct simnode *sim, struct simcall *call, const char *id, const char *method, const char *a,
                 const char *b, const char *c, const char *key)
{
    simcall_init(call, CAIRN_OP_INVOKE, "Flow", id, method, NULL);
    for (const char *const *arg = (const char *const[]){a, b, c, NULL}; *arg; arg++)
        simcall_arg(call, *arg);
    if (key)
        simcall_key(call, key);
    simcall_submit(sim, call, 0);
}

const char *flow_outcome(struct simnode *sim, struct simcall *call)
{
    for (int i = 0; i < 200000 && !call->replied; i++)
        simnode_step(sim);
    return call->replied ? simvalue_text(cairn_buf_bytes(&call->reply)) : "nothing";
}

void flow_nothing_is_left(struct simnode *sim)
{
    static const uint8_t kinds[] = {KEY_DURABLE, KEY_DURABLE_SLEEPER, KEY_PROMISE, KEY_CALLED};

    assert_true(flows_rest(sim));
    for (size_t i = 0; i < sizeof kinds; i++)
        assert_int_equal(flows_keys_with(sim, kinds[i]), 0);
    assert_int_equal(seen_list(sim, NULL, NULL, NULL, 0), 0);
}
