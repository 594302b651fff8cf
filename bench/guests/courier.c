/* courier.c - what bench/suite/messages.py and durable.py ask for: the same work by a call that is awaited and by a
 * message, and a durable method of three steps.  A step is a call of another object that writes. */
#include <cairn/guest.h>

enum { STEPS = 3 };

CAIRN_MODULE(courier);
CAIRN_TYPE(Sender);
CAIRN_VALUE(Sender, sent);
CAIRN_TYPE(Box);
CAIRN_VALUE(Box, taken);
CAIRN_TYPE(Job);
CAIRN_VALUE(Job, done);

static struct cairn_bytes count_one(void)
{
    cairn_set_int(Sender_sent, cairn_get_int(Sender_sent, 0) + 1);
    return cairn_arg(0);
}

/* box: the message is taken before the answer. */
CAIRN_METHOD(Sender, call, CAIRN_PUBLIC)
{
    struct cairn_outcome taken = cairn_wait(cairn_call("Box", count_one(), "take", NULL));

    if (!taken.ok)
        cairn_fail("not_taken", "the box took nothing");
}

/* box: the message is durable before the answer. */
CAIRN_METHOD(Sender, send, CAIRN_PUBLIC)
{
    cairn_send("Box", count_one(), "take", NULL);
}

CAIRN_METHOD(Box, take, CAIRN_PUBLIC)
{
    int64_t taken = cairn_get_int(Box_taken, 0) + 1;

    cairn_set_int(Box_taken, taken);
    cairn_result_int(taken);
}

CAIRN_METHOD(Box, taken, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int(cairn_get_int(Box_taken, 0));
}

/* box: one step after the other; the answer is how often the job has run. */
CAIRN_METHOD(Job, run, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_bytes box = cairn_arg(0);
    int64_t done = cairn_get_int(Job_done, 0) + 1;

    for (int i = 0; i < STEPS; i++) {
        struct cairn_outcome taken = cairn_wait(cairn_call("Box", box, "take", NULL));

        if (!taken.ok) {
            cairn_fail("not_taken", "the box took nothing");
            return;
        }
    }
    cairn_set_int(Job_done, done);
    cairn_result_int(done);
}
