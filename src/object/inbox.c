/* inbox.c - a worker's inbox: a stack of messages that any thread pushes to and the worker empties at once. */
#include "base/prefetch.h"
#include "object/worker.h"

enum { MESSAGE_LINES = 10, BESIDE_LINES = 2 }; /* of an invocation, and of what it asks for or its result */

/* A chain of messages, the newest first. */
static void inbox_push(struct cairn_worker *to, struct message *newest, struct message *oldest)
{
    struct message *head = atomic_load_explicit(&to->inbox, memory_order_relaxed);

    do
        oldest->next = head;
    while (
        !atomic_compare_exchange_weak_explicit(&to->inbox, &head, newest, memory_order_release, memory_order_relaxed));
    if (!head && to->node->options.wake)
        to->node->options.wake(to->node->options.context, to->index);
}

void worker_post(struct cairn_node *node, uint32_t to, struct message *message)
{
    inbox_push(&node->workers[to], message, message);
}

void worker_send(struct cairn_worker *from, uint32_t to, struct message *message)
{
    struct outgoing *outgoing = &from->outgoing[to];

    message->next = outgoing->newest;
    outgoing->newest = message;
    if (!message->next)
        outgoing->oldest = message;
    from->sends = true;
}

void inbox_flush(struct cairn_worker *worker)
{
    if (!worker->sends)
        return;
    worker->sends = false;
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        struct outgoing *outgoing = &worker->outgoing[i];

        if (outgoing->newest)
            inbox_push(&worker->node->workers[i], outgoing->newest, outgoing->oldest);
        *outgoing = (struct outgoing){0};
    }
}

/* What was sent lies in another core's cache, and each line of it takes some hundred nanoseconds: they are asked for
 * all at once, to be written to, where each would be waited for when it is needed. */
static inline void fetch(const void *from, int lines)
{
    for (int i = 0; i < lines; i++)
        cairn_prefetch_to_write((const char *)from + i * CAIRN_LINE_BYTES);
}

bool inbox_drain(struct cairn_worker *worker)
{
    struct message *stack, *first = NULL;

    if (!atomic_load_explicit(&worker->inbox, memory_order_relaxed))
        return false;
    stack = atomic_exchange_explicit(&worker->inbox, NULL, memory_order_acquire);
    while (stack) { /* the stack holds the newest first; they are taken in the order sent */
        struct message *next = stack->next;

        fetch(stack + 1, MESSAGE_LINES);
        stack->next = first;
        first = stack;
        stack = next;
    }
    for (struct message *message = first; message; message = message->next)
        if (message->beside)
            fetch(message->beside, BESIDE_LINES);
    while (first) {
        struct message *next = first->next;
        stat_add(&worker->counts.messages, 1);
        first->receive(worker, first);
        first = next;
    }
    return true;
}

void worker_await_turn(struct cairn_worker *worker, struct message *message)
{
    message->next = NULL;
    if (worker->turns)
        worker->turns_last->next = message;
    else
        worker->turns = message;
    worker->turns_last = message;
}

void inbox_take_turn(struct cairn_worker *worker)
{
    struct message *message = worker->turns;

    worker->turns = message->next;
    message->receive(worker, message);
}

static void drop_all(struct cairn_worker *worker, struct message *message)
{
    while (message) {
        struct message *next = message->next;
        if (message->drop)
            message->drop(worker, message);
        message = next;
    }
}

void inbox_drop(struct cairn_worker *worker)
{
    struct message *turns = worker->turns;

    worker->turns = NULL;
    for (uint32_t i = 0; i < worker->node->options.workers; i++) {
        drop_all(worker, worker->outgoing[i].newest);
        worker->outgoing[i] = (struct outgoing){0}; /* once, however often this is called */
    }
    drop_all(worker, atomic_exchange(&worker->inbox, NULL));
    drop_all(worker, turns);
}
