/* Transactions of Redis: MULTI queues commands, EXEC runs them one after the other.
 *
 *            MULTI              EXEC                  the last reply
 *   (none) --------> QUEUEING --------> RUNNING ---------------------> (none)
 *                       |
 *                       +-- DISCARD, RESET, an EXEC that is refused --> (none)
 *
 * Nothing isolates the commands of one EXEC from other clients' yet.  cairn_resp_multi_step is the place where they
 * run. */
#include <stdlib.h>

#include "server/resp_internal.h"

/* A command that is queued: its words lie behind their spans. */
struct queued {
    struct queued *next;
    const struct cairn_resp_command *command;
    size_t bytes; /* of this allocation */
    uint32_t count;
    struct cairn_resp_span spans[];
};

struct cairn_resp_multi {
    struct queued *first, **last;
    uint32_t count;
    size_t bytes;
    bool refuses; /* a command could not be queued: EXEC will run none */
};

static void drop_first(struct cairn_resp_multi *multi)
{
    struct queued *queued = multi->first;

    multi->first = queued->next;
    multi->bytes -= queued->bytes;
    free(queued);
}

static void drop_all(struct cairn_resp_session *resp)
{
    while (resp->multi->first)
        drop_first(resp->multi);
    resp->multi->last = &resp->multi->first;
    cairn_session_set_aside(&resp->session, 0);
}

void cairn_resp_multi_drop(struct cairn_resp_session *resp)
{
    if (!resp->multi)
        return;
    drop_all(resp);
    free(resp->multi);
    resp->multi = NULL;
}

uint32_t cairn_resp_multi_count(const struct cairn_resp_session *resp)
{
    return resp->multi->count;
}

/* --- queueing --- */

static void enqueue(struct cairn_resp_session *resp, const struct cairn_resp_command *command,
                    const struct cairn_resp_words *words)
{
    struct cairn_resp_multi *multi = resp->multi;
    size_t bytes = sizeof(struct queued) + words->count * sizeof words->spans[0], at = 0;
    struct queued *queued;
    uint8_t *text;

    for (uint32_t i = 0; i < words->count; i++)
        bytes += words->spans[i].size;
    queued = cairn_alloc(bytes);
    queued->next = NULL;
    queued->command = command;
    queued->bytes = bytes;
    queued->count = words->count;
    text = (uint8_t *)(queued->spans + words->count);
    for (uint32_t i = 0; i < words->count; i++) {
        struct cairn_bytes word = cairn_resp_words_at(words, i);

        queued->spans[i] = (struct cairn_resp_span){(uint32_t)at, (uint32_t)word.size};
        if (word.size)
            memcpy(text + at, word.data, word.size);
        at += word.size;
    }
    *multi->last = queued;
    multi->last = &queued->next;
    multi->count++;
    multi->bytes += bytes;
    cairn_session_set_aside(&resp->session, multi->bytes);
}

/* Room for one more command; otherwise it is refused. */
static bool has_room(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    const struct cairn_front_limits *limits = &resp->session.front->limits;
    const struct cairn_resp_multi *multi = resp->multi;
    size_t bytes = multi->bytes + sizeof(struct queued);

    for (uint32_t i = 0; i < words->count; i++)
        bytes += words->spans[i].size + sizeof words->spans[0];
    if (multi->count < limits->transaction_commands && bytes <= limits->transaction_bytes)
        return true;
    cairn_resp_reply_error(resp, "LIMIT",
                           "a transaction has at most %u commands of together %u bytes: send smaller transactions, or "
                           "the commands without MULTI",
                           limits->transaction_commands, limits->transaction_bytes);
    return false;
}

void cairn_resp_multi_take(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    const struct cairn_resp_command *command = cairn_resp_find(resp, words);

    if (command && command->at_once) {
        command->run(resp, words);
        return;
    }
    if (!command || (command->check && !command->check(resp, words)) || !has_room(resp, words)) {
        resp->multi->refuses = true;
        drop_all(resp); /* none of them will run */
        return;
    }
    if (!resp->multi->refuses)
        enqueue(resp, command, words);
    cairn_resp_simple(cairn_session_reply_begin(&resp->session), "QUEUED");
    cairn_session_reply_end(&resp->session);
}

/* --- running --- */

/* EXEC runs its commands here, each when the one before has its reply.  The array's head stands in the output, so that
 * their replies are its elements.  All of them run, even if the client is gone. */
void cairn_resp_multi_step(struct cairn_session *session)
{
    struct cairn_resp_session *resp = cairn_container(session, struct cairn_resp_session, session);
    struct cairn_resp_multi *multi = resp->multi;

    for (int steps = 0; multi->first && session->under_way == 0; steps++) {
        struct queued *queued = multi->first;
        struct cairn_resp_words words = {queued->spans, (uint8_t *)(queued->spans + queued->count), queued->count};

        if (cairn_session_output_full(session))
            return; /* goes on when the client has taken some */
        if (steps == CAIRN_SESSION_STEPS) {
            cairn_session_work_later(session);
            return;
        }
        queued->command->run(resp, &words);
        drop_first(multi);
    }
    cairn_session_set_aside(session, multi->bytes);
    if (multi->first || session->under_way > 0)
        return;
    cairn_resp_multi_drop(resp);
    cairn_session_work_end(session);
}

/* --- the commands --- */

void cairn_resp_multi(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    if (resp->multi) {
        cairn_resp_reply_error(resp, "ERR", "MULTI calls can not be nested");
        return;
    }
    resp->multi = cairn_alloc_zeroed(1, sizeof *resp->multi);
    resp->multi->last = &resp->multi->first;
    cairn_resp_reply_ok(resp);
}

void cairn_resp_exec(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    if (!resp->multi) {
        cairn_resp_reply_error(resp, "ERR", "EXEC without MULTI");
        return;
    }
    if (resp->multi->refuses || resp->watch_refused) {
        cairn_resp_multi_drop(resp);
        resp->watch_refused = false;
        cairn_resp_reply_error(resp, "EXECABORT", "Transaction discarded because of previous errors.");
        return;
    }
    cairn_resp_array(cairn_session_reply_begin(&resp->session), resp->multi->count);
    cairn_session_reply_end(&resp->session);
    cairn_session_work_begin(&resp->session);
}

void cairn_resp_discard(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    if (!resp->multi) {
        cairn_resp_reply_error(resp, "ERR", "DISCARD without MULTI");
        return;
    }
    cairn_resp_multi_drop(resp);
    resp->watch_refused = false;
    cairn_resp_reply_ok(resp);
}

/* A client that watches wants EXEC to run nothing if a key has changed: since that is not noticed, it must not run. */
void cairn_resp_watch(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    if (resp->multi) {
        resp->multi->refuses = true;
        drop_all(resp);
        cairn_resp_reply_error(resp, "ERR", "WATCH inside MULTI is not allowed");
        return;
    }
    resp->watch_refused = true;
    cairn_resp_reply_error(resp, "ERR",
                           "WATCH is not supported by cairn, and the next EXEC will run nothing: there are no keys to "
                           "watch; let one method read, check and change the object");
}

void cairn_resp_unwatch(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    (void)words;
    resp->watch_refused = false;
    cairn_resp_reply_ok(resp);
}
