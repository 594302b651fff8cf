/* Transactions of Redis: MULTI queues calls, EXEC has them happen together or not at all (CAIRN_OP_MULTI); or it queues
 * commands of the cache, which EXEC runs at once (resp_exec.c).  One transaction is of one kind.
 *
 *            MULTI              EXEC              its reply
 *   (none) --------> QUEUEING --------> ASKED ---------------> (none)
 *                       |
 *                       +-- DISCARD, RESET, an EXEC that is refused --> (none)
 *
 * EXEC waits for what came before it on its connection, and what comes behind it waits for EXEC. */
#include <stdlib.h>

#include "server/resp_keys.h"

/* A call that is queued. */
struct queued {
    struct queued *next;
    struct cairn_multi_call call; /* of `text` */
    size_t bytes;                 /* of this allocation */
    uint8_t text[];
};

struct cairn_resp_multi {
    struct queued *first, **last;
    struct cairn_resp_queue *keys, **last_keys; /* instead, if it is over the cache */
    uint32_t count;
    bool refuses; /* a command could not be queued: EXEC will run none */
    bool asked;
    size_t key_size; /* EXEC's idempotency key; 0: it has none */
    uint8_t key[CAIRN_ONCE_KEY_BYTES_MAX];
};

static void drop_all(struct cairn_resp_session *resp)
{
    struct cairn_resp_multi *multi = resp->multi;
    struct queued *queued;

    while ((queued = multi->first)) {
        multi->first = queued->next;
        free(queued);
    }
    multi->last = &multi->first;
    cairn_resp_queue_drop(&multi->keys);
    multi->last_keys = &multi->keys;
    multi->count = 0;
    resp->multi_bytes = 0;
    cairn_resp_count_aside(resp);
}

/* EXEC will run nothing. */
static void refuse(struct cairn_resp_session *resp)
{
    resp->multi->refuses = true;
    drop_all(resp);
}

void cairn_resp_multi_refuse(struct cairn_resp_session *resp)
{
    refuse(resp);
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

/* One transaction is of calls, or of commands of the cache; otherwise it is refused. */
static bool is_of_kind(struct cairn_resp_session *resp, const struct cairn_resp_command *command)
{
    const struct cairn_resp_multi *multi = resp->multi;
    bool keys = command->in_multi == CAIRN_RESP_QUEUED_KEYS;

    if (keys ? !multi->first && !resp->watches.count : !multi->keys && !resp->key_watches.count)
        return true;
    cairn_resp_reply_error(resp, "ERR",
                           "'%s' cannot be queued: a transaction is over objects, by FCALL, or over keys of the cache, "
                           "and so is what it watches; send one after the other",
                           command->name);
    return false;
}

/* What MULTI is for; otherwise it is refused. */
static bool may_queue(struct cairn_resp_session *resp, const struct cairn_resp_command *command,
                      const struct cairn_resp_words *words)
{
    if (command->keys)
        return cairn_resp_keys_may(resp, command, words) && is_of_kind(resp, command);
    if (command->in_multi == CAIRN_RESP_QUEUED_KEYS && resp->session.front->backend->cache)
        return is_of_kind(resp, command);
    if (command->in_multi == CAIRN_RESP_REFUSED || command->in_multi == CAIRN_RESP_QUEUED_KEYS) {
        cairn_resp_reply_error(resp, "ERR",
                               "'%s' cannot be queued: MULTI is a transaction of FCALL and FCALL_RO; send the command "
                               "before MULTI or after EXEC",
                               command->name);
        return false;
    }
    if ((command->check && !command->check(resp, words)) || !is_of_kind(resp, command))
        return false;
    if (cairn_resp_words_at(words, 2).data[0] == '2') {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "a call in a transaction has no idempotency key: it happens with the others or not at "
                               "all; write FCALL TYPE.METHOD 1 ID [ARG ...]");
        return false;
    }
    return true;
}

/* Room for one more call of so many bytes; otherwise it is refused. */
static bool has_room(struct cairn_resp_session *resp, size_t bytes)
{
    const struct cairn_front_limits *limits = &resp->session.front->limits;
    const struct cairn_resp_multi *multi = resp->multi;

    if (multi->count < limits->transaction_commands && resp->multi_bytes + bytes <= limits->transaction_bytes)
        return true;
    cairn_resp_reply_error(resp, "LIMIT",
                           "a transaction has at most %u commands of together %u bytes: send smaller transactions, or "
                           "the commands without MULTI",
                           limits->transaction_commands, limits->transaction_bytes);
    return false;
}

static void enqueue(struct cairn_resp_session *resp, const struct cairn_resp_command *command,
                    const struct cairn_resp_words *words, size_t bytes)
{
    struct cairn_resp_multi *multi = resp->multi;
    struct queued *queued;
    struct cairn_bytes key;

    multi->count++;
    resp->multi_bytes += bytes;
    if (command->in_multi == CAIRN_RESP_QUEUED_KEYS) {
        cairn_resp_queue_add(multi->last_keys, command, words, &bytes);
        multi->last_keys = cairn_resp_queue_next(*multi->last_keys);
        cairn_resp_count_aside(resp);
        return;
    }
    queued = cairn_alloc(bytes);
    *queued = (struct queued){.bytes = bytes};
    cairn_resp_pack_fcall(words, queued->text, &queued->call, &key);
    queued->call.read_only = command->in_multi == CAIRN_RESP_QUEUED_READ;
    *multi->last = queued;
    multi->last = &queued->next;
    cairn_resp_count_aside(resp);
}

void cairn_resp_multi_take(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    const struct cairn_resp_command *command = cairn_resp_find(resp, words);
    size_t bytes;

    if (command && command->in_multi == CAIRN_RESP_AT_ONCE) {
        command->run(resp, words);
        return;
    }
    bytes = sizeof(struct queued) + cairn_resp_fcall_bytes(words);
    if (command && command->in_multi == CAIRN_RESP_QUEUED_KEYS)
        cairn_resp_queue_add(NULL, command, words, &bytes);
    if (!command || !may_queue(resp, command, words) || !has_room(resp, bytes)) {
        refuse(resp);
        return;
    }
    if (!resp->multi->refuses)
        enqueue(resp, command, words, bytes);
    cairn_resp_simple(cairn_session_reply_begin(&resp->session), "QUEUED");
    cairn_session_reply_end(&resp->session);
}

/* --- EXEC --- */

static void submit(struct cairn_resp_session *resp)
{
    const struct cairn_resp_multi *multi = resp->multi;
    struct cairn_slot *slot = cairn_slot_take(&resp->session);
    struct cairn_request *request = &slot->request;
    struct cairn_multi_call *call;

    request->op = CAIRN_OP_MULTI;
    cairn_resp_take_job(resp, request);
    request->key = cairn_bytes(multi->key, multi->key_size);
    request->call_count = multi->count;
    call = (void *)cairn_buf_reserve(&slot->more, multi->count * sizeof *call + cairn_resp_watches_bytes(resp) + 1);
    request->calls = call;
    for (const struct queued *queued = multi->first; queued; queued = queued->next)
        *call++ = queued->call;
    cairn_resp_watches_add(resp, (struct cairn_multi_watch *)call, request);
    slot->form = CAIRN_RESP_FORM_EXEC;
    slot->flags = (uint8_t)resp->version;
    cairn_slot_submit(slot);
}

/* Nothing of what the session has asked for is under way. */
void cairn_resp_multi_step(struct cairn_resp_session *resp)
{
    struct cairn_resp_multi *multi = resp->multi;

    if (!multi->asked) {
        multi->asked = true;
        submit(resp);
        if (resp->session.under_way > 0)
            return;
    }
    cairn_resp_multi_drop(resp);
    cairn_resp_watches_drop(resp);
    cairn_session_work_end(&resp->session);
}

bool cairn_resp_write_exec(const struct cairn_slot *slot, const struct cairn_value *head, struct cairn_buf *to)
{
    struct cairn_buf text = {0};

    if (head->kind == CAIRN_VALUE_NIL) { /* the reply is an array otherwise */
        cairn_buf_str(to, slot->flags >= 3 ? "_\r\n" : "*-1\r\n");
        return true;
    }
    if (head->kind != CAIRN_VALUE_ERROR || slot->request.effects != CAIRN_EFFECTS_NONE)
        return false;
    for (size_t i = 0; i < head->error.size; i++) {
        uint8_t c = head->error.data[i];

        cairn_buf_u8(&text, c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c);
    }
    cairn_buf_u8(&text, ' ');
    cairn_buf_add(&text, head->bytes.data, head->bytes.size);
    cairn_resp_error_value(to, cairn_str("EXECABORT"), cairn_buf_bytes(&text));
    cairn_buf_done(&text);
    return true;
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
    resp->multi->last_keys = &resp->multi->keys;
    cairn_resp_reply_ok(resp);
}

/* EXEC [KEY]; false: it cannot be one, which is answered. */
static bool take_key(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    struct cairn_bytes key = words->count > 1 ? cairn_resp_words_at(words, 1) : cairn_bytes(NULL, 0);

    if (words->count > 2 || (words->count == 2 && (key.size == 0 || key.size > CAIRN_ONCE_KEY_BYTES_MAX))) {
        cairn_resp_reply_error(resp, "BAD_REQUEST",
                               "EXEC takes an idempotency key of 1 to %d bytes, or nothing: the calls stay queued",
                               CAIRN_ONCE_KEY_BYTES_MAX);
        return false;
    }
    if (key.size)
        memcpy(resp->multi->key, key.data, key.size);
    resp->multi->key_size = key.size;
    return true;
}

void cairn_resp_exec(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    if (!resp->multi) {
        cairn_resp_reply_error(resp, "ERR", "EXEC without MULTI");
        return;
    }
    if (!take_key(resp, words))
        return;
    if (resp->multi->refuses || resp->watches.refused) {
        cairn_resp_multi_drop(resp);
        cairn_resp_watches_drop(resp);
        cairn_resp_reply_error(resp, "EXECABORT", "Transaction discarded because of previous errors.");
        return;
    }
    if (resp->multi->keys && resp->multi->key_size) {
        cairn_resp_multi_drop(resp);
        cairn_resp_watches_drop(resp);
        cairn_resp_reply_error(resp, "EXECABORT", "BAD_REQUEST commands over the cache's keys have no idempotency key");
        return;
    }
    if (resp->multi->keys || (resp->key_watches.count && !resp->watches.count)) {
        struct cairn_resp_multi *multi = resp->multi;

        resp->multi = NULL; /* its commands run as they would without it */
        cairn_resp_queue_run(resp, multi->keys, multi->count);
        resp->multi = multi;
        cairn_resp_multi_drop(resp);
        cairn_resp_watches_drop(resp);
        return;
    }
    if (resp->multi->count == 0 && resp->watches.count == 0) {
        cairn_resp_multi_drop(resp);
        cairn_resp_array(cairn_session_reply_begin(&resp->session), 0);
        cairn_session_reply_end(&resp->session);
        return;
    }
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
    cairn_resp_watches_drop(resp);
    cairn_resp_reply_ok(resp);
}
