#include "server/resp_large.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "server/resp_keys.h"

/* --- in --- */

struct cairn_large *cairn_resp_words_large(const struct cairn_resp_words *words, uint32_t word)
{
    for (uint32_t i = 0; i < words->large_count; i++)
        if (words->large[i].word == word)
            return words->large[i].value;
    return NULL;
}

/* The word under way is a value that the command sets its key to. */
static bool is_value(struct cairn_resp_session *resp, const struct cairn_resp_words *words)
{
    const struct cairn_resp_command *command;

    if (words->count == 0)
        return false;
    command = cairn_resp_keys_find(resp->session.front, cairn_resp_words_at(words, 0));
    if (!command || !command->keys->value)
        return false;
    return command->keys->last < 0 ? words->count >= 2 && words->count % 2 == 0 : words->count == command->keys->value;
}

static void end_protocol(struct cairn_resp_session *resp, const char *why)
{
    cairn_resp_reply_error(resp, "ERR", "Protocol error: %s", why);
    cairn_session_end(&resp->session);
}

size_t cairn_resp_large_begin(struct cairn_resp_session *resp, struct cairn_bytes rest)
{
    const struct cairn_resp_parser *parser = &resp->parser;
    struct cairn_front *front = resp->session.front;
    struct cairn_resp_words words = {parser->more ? parser->more : parser->here, rest.data, parser->count, NULL, 0};
    struct cairn_move *move;
    struct cairn_bytes key;
    size_t head;

    if (!front->backend->movers || !parser->started || !parser->bulk ||
        parser->bulk_bytes < front->backend->cache_large)
        return 0;
    if (!is_value(resp, &words)) {
        if (parser->bulk_bytes > front->limits.bulk_bytes)
            end_protocol(resp, "invalid bulk length");
        else if (parser->need > front->limits.bulk_bytes + (1u << 20))
            end_protocol(resp, "too big request");
        return 0;
    }
    key = cairn_resp_words_at(&words, words.count == 3 || words.count == 2 ? 1 : words.count - 1);
    head = rest.size - parser->at < parser->bulk_bytes ? rest.size - parser->at : parser->bulk_bytes;
    move = cairn_alloc_zeroed(1, sizeof *move);
    move->in = true;
    move->bytes = parser->bulk_bytes;
    move->hash = cairn_hash_seeded(key, resp->cache.first + resp->database);
    cairn_buf_add(&move->head, rest.data + parser->at, head);
    cairn_buf_add(&resp->large.text, rest.data, parser->at);
    resp->large.in = move;
    resp->large.waits = true;
    cairn_session_work_begin(&resp->session);
    return parser->at + head;
}

/* All that came before is answered, and has left for the output at least. */
void cairn_resp_large_step(struct cairn_resp_session *resp)
{
    struct cairn_session *session = &resp->session;

    if (session->state == CAIRN_SESSION_CLOSED || session->cut) {
        resp->large.waits = false;
        cairn_session_work_end(session);
    } else if (!session->first && resp->large.waits) {
        resp->large.waits = false;
        session->move = resp->large.in;
        cairn_session_touch(session);
    }
}

/* Where the part goes in the value; false: the command is another one, or answers that by itself. */
static bool composes_at(const struct cairn_resp_words *words, struct cairn_bytes *ret_part, int64_t *ret_at)
{
    *ret_at = -1; /* its end */
    if (words->count == 3 && cairn_resp_word_is(cairn_resp_words_at(words, 0), "APPEND")) {
        *ret_part = cairn_resp_words_at(words, 2);
        return ret_part->size > 0;
    }
    if (words->count != 4 || !cairn_resp_word_is(cairn_resp_words_at(words, 0), "SETRANGE"))
        return false;
    *ret_part = cairn_resp_words_at(words, 3);
    return ret_part->size > 0 && cairn_resp_number(cairn_resp_words_at(words, 2), ret_at) && *ret_at >= 0 &&
           *ret_at <= CAIRN_LARGE_BYTES_MAX;
}

/* What the new value is made of; false: neither it nor the old one is large, or it would be too large. */
static bool take_base(struct cairn_resp_session *resp, const struct cairn_cache_key *key, int64_t at,
                      struct cairn_move *move)
{
    const struct cairn_backend *backend = resp->session.front->backend;
    uint64_t now_ms = backend->clock->wall_ms(backend->clock), size;
    struct cairn_cache_entry *entry;
    struct cairn_large *large;
    bool takes;

    cairn_cache_lock_one(backend->cache, key->stripe);
    entry = cairn_cache_find(backend->cache, key, now_ms, CAIRN_CACHE_WRITE);
    large = entry ? cairn_large_of(entry) : NULL;
    size = entry ? cairn_cache_value(entry).size : 0;
    move->at = at < 0 ? size : (uint64_t)at;
    move->bytes = move->at + move->head.size > size ? move->at + move->head.size : size;
    takes = move->bytes <= CAIRN_LARGE_BYTES_MAX && (large || move->bytes >= backend->cache_large);
    if (takes) {
        resp->large.state = cairn_cache_state(backend->cache, key, now_ms);
        if (large)
            move->base = cairn_large_ref(large);
        else if (entry)
            cairn_buf_add(&move->base_bytes, cairn_cache_value(entry).data, size);
    }
    cairn_cache_unlock_one(backend->cache, key->stripe);
    return takes;
}

bool cairn_resp_large_compose(struct cairn_resp_session *resp, const struct cairn_resp_words *words,
                              struct cairn_bytes text)
{
    const struct cairn_backend *backend = resp->session.front->backend;
    struct cairn_cache_key key;
    struct cairn_bytes part;
    struct cairn_move *move;
    uint32_t database;
    int64_t at;

    if (!backend->movers || !composes_at(words, &part, &at) ||
        cairn_resp_words_at(words, 1).size > CAIRN_CACHE_KEY_BYTES_MAX)
        return false;
    if (!cairn_resp_cache_database(resp, &database))
        return true;
    key = cairn_cache_key(backend->cache, database + resp->database, cairn_resp_words_at(words, 1));
    move = cairn_alloc_zeroed(1, sizeof *move);
    move->in = move->composes = true;
    cairn_buf_add(&move->head, part.data, part.size);
    if (!take_base(resp, &key, at, move)) {
        cairn_buf_done(&move->head);
        free(move);
        return false;
    }
    move->hash = cairn_hash_seeded(key.name, key.database);
    resp->large.database = key.database;
    resp->large.key.size = 0;
    cairn_buf_add(&resp->large.key, key.name.data, key.name.size);
    cairn_buf_add(&resp->large.text, text.data, text.size);
    resp->large.in = move;
    resp->large.waits = true;
    cairn_session_work_begin(&resp->session);
    return true;
}

/* False: the key has changed meanwhile. */
static bool put_composed(struct cairn_resp_session *resp, struct cairn_large *value)
{
    const struct cairn_backend *backend = resp->session.front->backend;
    struct cairn_cache_key key =
        cairn_cache_key(backend->cache, resp->large.database, cairn_buf_bytes(&resp->large.key));
    uint64_t now_ms = backend->clock->wall_ms(backend->clock);
    struct cairn_cache_entry *entry;
    struct cairn_cache_state state;
    bool same;

    cairn_cache_lock_one(backend->cache, key.stripe);
    state = cairn_cache_state(backend->cache, &key, now_ms);
    same = state.there == resp->large.state.there && state.generation == resp->large.state.generation;
    if (same) {
        entry = cairn_cache_find(backend->cache, &key, now_ms, CAIRN_CACHE_PEEK);
        cairn_cache_put_large(backend->cache, &key, &value->far, entry ? cairn_cache_expiry(entry) : 0, now_ms);
    }
    cairn_cache_unlock_one(backend->cache, key.stripe);
    return same;
}

/* A key that has changed meanwhile, or lost its value, has the command run again. */
static void composed(struct cairn_resp_session *resp, struct cairn_move *move)
{
    struct cairn_session *session = &resp->session;
    bool again = move->end == CAIRN_MOVE_REFUSED && move->err.code == CAIRN_EGONE;

    if (move->end == CAIRN_MOVE_BROKEN) {
        cairn_session_break_off(session);
    } else if (move->end == CAIRN_MOVE_DONE && put_composed(resp, move->value)) {
        cairn_resp_int(cairn_session_reply_begin(session), (int64_t)move->bytes);
        cairn_session_reply_end(session);
    } else if (move->end == CAIRN_MOVE_DONE || again) {
        cairn_session_unread(session, cairn_buf_bytes(&resp->large.text));
    } else {
        resp->large.refused = true;
        resp->large.err = move->err;
        cairn_resp_large_refused(resp);
        cairn_resp_large_forget(resp);
    }
    cairn_buf_done(&resp->large.text);
    cairn_session_work_end(session);
}

static void came(struct cairn_resp_session *resp, struct cairn_move *move)
{
    struct cairn_session *session = &resp->session;

    if (move->end == CAIRN_MOVE_DONE) {
        resp->large.words = cairn_realloc(resp->large.words, (resp->large.count + 1) * sizeof resp->large.words[0]);
        resp->large.words[resp->large.count++] = (struct cairn_resp_large_word){move->value, resp->parser.count};
        move->value = NULL;
    } else if (move->end == CAIRN_MOVE_REFUSED) {
        resp->large.refused = true;
        resp->large.err = move->err;
    } else {
        cairn_session_break_off(session);
    }
    cairn_count(&session->front->stats.bytes_in, move->moved);
    /* Behind the words that are there comes the end of a word without bytes, and the rest of the command. */
    resp->parser.bulk_bytes = 0;
    resp->parser.need = resp->parser.at + 2;
    cairn_session_unread(session, cairn_buf_bytes(&resp->large.text));
    cairn_buf_done(&resp->large.text);
    cairn_session_work_end(session);
}

static void free_move(struct cairn_move *move)
{
    if (!move)
        return;
    cairn_buf_done(&move->head);
    cairn_buf_done(&move->base_bytes);
    cairn_large_unref(move->base);
    cairn_large_unref(move->value);
    free(move);
}

void cairn_resp_large_moved(struct cairn_session *session, struct cairn_move *move)
{
    struct cairn_resp_session *resp = cairn_container(session, struct cairn_resp_session, session);

    if (move->composes) {
        resp->large.in = NULL;
        composed(resp, move);
    } else if (move->in) {
        resp->large.in = NULL;
        came(resp, move);
    } else {
        resp->large.out = NULL;
        cairn_count(&session->front->stats.bytes_out, move->until - move->from);
        if (move->end == CAIRN_MOVE_DONE)
            cairn_session_work_later(session);
        else
            cairn_session_break_off(session);
    }
    free_move(move);
}

bool cairn_resp_large_refused(struct cairn_resp_session *resp)
{
    if (!resp->large.refused)
        return false;
    if (resp->large.err.code == CAIRN_EUNAVAILABLE)
        cairn_resp_reply_error(resp, "UNAVAILABLE", "%s", resp->large.err.text);
    else
        cairn_resp_reply_error(resp, "OOM", "%s",
                               resp->large.err.code == CAIRN_ELIMIT && strncmp(resp->large.err.text, "command", 7) == 0
                                   ? resp->large.err.text
                                   : "command not allowed when used memory > 'maxmemory'.");
    return true;
}

void cairn_resp_large_forget(struct cairn_resp_session *resp)
{
    for (uint32_t i = 0; i < resp->large.count; i++)
        cairn_large_unref(resp->large.words[i].value);
    free(resp->large.words);
    resp->large.words = NULL;
    resp->large.count = 0;
    resp->large.refused = false;
}

static void drop_parts(struct cairn_resp_part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        cairn_large_unref(parts[i].value);
}

void cairn_resp_large_done(struct cairn_resp_session *resp)
{
    cairn_resp_large_forget(resp);
    free_move(resp->large.in);
    free_move(resp->large.out);
    drop_parts(resp->large.parts, resp->large.part_count);
    free(resp->large.parts);
    cairn_buf_done(&resp->large.text);
    cairn_buf_done(&resp->large.key);
}

/* --- out --- */

void cairn_resp_large_write(struct cairn_resp_call *call, struct cairn_large *value, uint64_t from, uint64_t until)
{
    struct cairn_resp_session *resp = call->resp;
    struct cairn_resp_part part = {cairn_large_ref(value), 0, from, until};

    cairn_buf_printf(call->to, "$%llu\r\n", (unsigned long long)(until - from));
    part.at = call->to->size - call->to_from;
    resp->large.parts = cairn_realloc(resp->large.parts, (resp->large.part_count + 1) * sizeof part);
    resp->large.parts[resp->large.part_count++] = part;
    cairn_buf_add(call->to, "\r\n", 2);
}

/* How far a reply with parts is, in the slot's cursor. */
struct progress {
    size_t text;
    uint32_t part;
};

static struct cairn_resp_part *parts_of(struct cairn_slot *slot)
{
    return (struct cairn_resp_part *)(void *)slot->more.data;
}

static uint32_t part_count(const struct cairn_slot *slot)
{
    return (uint32_t)(slot->more.size / sizeof(struct cairn_resp_part));
}

static void dropped(struct cairn_slot *slot)
{
    drop_parts(parts_of(slot), part_count(slot));
}

void cairn_resp_large_reply_end(struct cairn_resp_session *resp, size_t from)
{
    struct progress progress = {0};
    struct cairn_slot *slot;

    if (!resp->large.part_count) {
        cairn_session_reply_end(&resp->session);
        return;
    }
    slot = cairn_session_reply_parts(&resp->session, from);
    slot->form = CAIRN_RESP_FORM_PARTS;
    slot->dropped = dropped;
    memcpy(slot->cursor, &progress, sizeof progress);
    slot->more.size = 0;
    cairn_buf_add(&slot->more, resp->large.parts, resp->large.part_count * sizeof resp->large.parts[0]);
    free(resp->large.parts);
    resp->large.parts = NULL;
    resp->large.part_count = 0;
}

void cairn_resp_large_write_part(struct cairn_slot *slot, struct cairn_buf *to)
{
    struct cairn_resp_session *resp = cairn_container(slot->session, struct cairn_resp_session, session);
    struct cairn_resp_part *part;
    struct progress progress;
    struct cairn_move *move;
    size_t until;

    memcpy(&progress, slot->cursor, sizeof progress);
    part = progress.part < part_count(slot) ? &parts_of(slot)[progress.part] : NULL;
    until = part ? part->at : slot->data.size;
    cairn_buf_add(to, slot->data.data + progress.text, until - progress.text);
    if (!part)
        return;
    progress.text = until;
    progress.part++;
    memcpy(slot->cursor, &progress, sizeof progress);
    move = cairn_alloc_zeroed(1, sizeof *move);
    move->value = cairn_large_ref(part->value);
    move->from = part->from;
    move->until = part->until;
    resp->large.out = slot->session->move = move;
    cairn_slot_go_on_alone(slot);
}
