/* What the simulator's jobs are made of: work that goes on without its client, each effect of it counted. */
#include <cairn/guest.h>

CAIRN_MODULE(jobs);
CAIRN_TYPE(Job);
CAIRN_VALUE(Job, count);

static void add(void)
{
    cairn_set_int(Job_count, cairn_get_int(Job_count, 0) + 1);
}

CAIRN_METHOD(Job, add, CAIRN_PUBLIC)
{
    add();
}

CAIRN_METHOD(Job, count, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Job_count, 0));
}

/* ids: counts itself, and each of them by a message. */
CAIRN_METHOD(Job, send, CAIRN_PUBLIC)
{
    add();
    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        cairn_send("Job", cairn_arg(i), "add", NULL);
}

/* The same as a transaction, and the first of them by a call. */
CAIRN_METHOD(Job, send_as_one, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    add();
    if (!cairn_wait(cairn_call("Job", cairn_arg(0), "add", NULL)).ok) {
        cairn_fail("refused", "a call has failed");
        return;
    }
    for (uint32_t i = 1; i < cairn_arg_count(); i++)
        cairn_send("Job", cairn_arg(i), "add", NULL);
}

/* ms: counts itself then. */
CAIRN_METHOD(Job, ring, CAIRN_PUBLIC)
{
    cairn_timer_set("ring", cairn_now() + cairn_arg_int(0), "add", NULL);
}

/* ids: each of them, one after the other; if one of the calls has failed its own count says so. */
CAIRN_METHOD(Job, steps, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    bool good = true;

#ifdef JOBS_SECOND
    cairn_random(); /* what runs on the first version could not go on with this one */
#endif
    add();
    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        good &= cairn_wait(cairn_call("Job", cairn_arg(i), "add", NULL)).ok;
    if (!good)
        cairn_set_int(Job_count, -100);
}

/* promise: counts itself, and settles that. */
CAIRN_METHOD(Job, answer, CAIRN_PUBLIC)
{
    add();
    cairn_promise_resolve_int(cairn_arg(0), 1);
}

/* ids: has the first settle a promise, waits for that, and counts the second. */
CAIRN_METHOD(Job, pledge, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_args args = {0};
    struct cairn_bytes id;
    uint32_t promise;
    bool good;

#ifdef JOBS_SECOND
    cairn_random();
#endif
    add();
    promise = cairn_promise(&id);
    cairn_args_add(&args, id);
    cairn_send("Job", cairn_arg(0), "answer", &args);
    good = cairn_wait(promise).ok;
    good &= cairn_wait(cairn_call("Job", cairn_arg(1), "add", NULL)).ok;
    if (!good)
        cairn_set_int(Job_count, -100);
}
