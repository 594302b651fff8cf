#include <stdlib.h>

#include "proto/errors.h"
#include "server/resp_large.h"
#include "server/server.h"

static struct cairn_resp_session *resp_of(struct cairn_session *session)
{
    return cairn_container(session, struct cairn_resp_session, session);
}

/* --- replies --- */

/* That a request may be sent again is told in the text, as there is no other place: see docs/reference/errors.md. */
static bool write_effects(struct cairn_buf *to, const struct cairn_request *request, struct cairn_value error)
{
    struct cairn_buf text = {0};

    if (request->effects == CAIRN_EFFECTS_NONE || cairn_error_meaning(error.error)->retry == CAIRN_RETRY_NO)
        return false;
    cairn_buf_add(&text, error.bytes.data, error.bytes.size);
    cairn_buf_printf(&text, " (effects: %s)", cairn_effects_name(request->effects));
    cairn_resp_error_value(to, error.error, cairn_buf_bytes(&text));
    cairn_buf_done(&text);
    return true;
}

static void write_reply(struct cairn_session *session, struct cairn_slot *slot, struct cairn_bytes value,
                        struct cairn_buf *to)
{
    struct cairn_reader r = cairn_reader(value);
    struct cairn_value head;

    if (slot->form == CAIRN_RESP_FORM_CLIENTS) {
        cairn_resp_write_clients(slot, to);
        return;
    }
    if (slot->form == CAIRN_RESP_FORM_PARTS) {
        cairn_resp_large_write_part(slot, to);
        return;
    }
    head = cairn_value_read(&r);
    if (head.kind == CAIRN_VALUE_ERROR) {
        cairn_session_count_error(session);
        if (cairn_value_valid(value) && write_effects(to, &slot->request, head))
            return;
    }
    if (slot->form == CAIRN_RESP_FORM_EXEC && cairn_resp_write_exec(slot, &head, to))
        return;
    if (slot->form == CAIRN_RESP_FORM_WATCHED)
        cairn_resp_watched(resp_of(session), value);
    if (slot->form == CAIRN_RESP_FORM_VALUE || slot->form == CAIRN_RESP_FORM_EXEC || head.kind == CAIRN_VALUE_ERROR) {
        if (!cairn_resp_value(to, slot->flags, value))
            cairn_resp_error(to, "CORRUPT", "the result is not a valid value");
        return;
    }
    switch ((enum cairn_resp_form)slot->form) {
    case CAIRN_RESP_FORM_VALUE:
    case CAIRN_RESP_FORM_EXEC: /* above */
    case CAIRN_RESP_FORM_OK:
    case CAIRN_RESP_FORM_WATCHED:
        cairn_resp_simple(to, "OK");
        break;
    case CAIRN_RESP_FORM_DEPLOYED:
        cairn_resp_bulk(to, head.count ? cairn_value_read(&r).bytes : cairn_bytes(NULL, 0));
        break;
    case CAIRN_RESP_FORM_CLIENTS: /* above */
    case CAIRN_RESP_FORM_PARTS:
        break;
    case CAIRN_RESP_FORM_FUNCTIONS:
        cairn_resp_write_functions(slot, value, to);
        break;
    }
}

/* --- requests --- */

static struct cairn_resp_words words_of(const struct cairn_resp_parser *parser, struct cairn_bytes input)
{
    struct cairn_resp_words words = {parser->more ? parser->more : parser->here, input.data, parser->count, NULL, 0};

    if (parser->is_inline) /* nothing but empty words has no text at all */
        words.base = parser->text.data ? parser->text.data : (const uint8_t *)"";
    return words;
}

static size_t parse(struct cairn_session *session, struct cairn_bytes input)
{
    struct cairn_resp_session *resp = resp_of(session);
    struct cairn_front *front = session->front;
    size_t used = 0;

    while (used < input.size && session->state == CAIRN_SESSION_OPEN && !cairn_session_full(session)) {
        struct cairn_bytes rest = {input.data + used, input.size - used}, command;
        struct cairn_resp_words words;
        struct cairn_err err;
        size_t request_bytes = 0;
        enum cairn_resp_result result =
            cairn_resp_parse(&resp->parser, &front->resp_limits, rest, &request_bytes, &err);

        if (result == CAIRN_RESP_MORE) {
            used += cairn_resp_large_begin(resp, rest);
            break;
        }
        if (result == CAIRN_RESP_BAD) {
            cairn_resp_reply_error(resp, "ERR", "%s", err.text);
            cairn_session_end(session);
            break;
        }
        used += request_bytes;
        words = words_of(&resp->parser, rest);
        if (words.count == 0)
            continue;
        words.large = resp->large.words;
        words.large_count = resp->large.count;
        cairn_session_count_request(session);
        if (resp->large.refused) {
            cairn_resp_large_refused(resp);
            if (resp->multi)
                cairn_resp_multi_refuse(resp);
            cairn_resp_large_forget(resp);
            continue;
        }
        command = cairn_resp_words_at(&words, 0);
        if (resp->multi)
            cairn_resp_multi_take(resp, &words);
        else if (cairn_resp_word_is(command, "FCALL"))
            cairn_resp_fcall(resp, &words, false);
        else if (cairn_resp_word_is(command, "FCALL_RO"))
            cairn_resp_fcall(resp, &words, true);
        else if (cairn_resp_large_compose(resp, &words, cairn_bytes(rest.data, request_bytes)))
            break; /* it goes on when the value is made */
        else
            cairn_resp_dispatch(resp, &words);
        if (resp->large.count)
            cairn_resp_large_forget(resp);
    }
    return used;
}

static size_t partial_bytes(const struct cairn_session *session)
{
    (void)session; /* a half received command is in the session's own buffer */
    return 0;
}

static void timed_out(struct cairn_session *session)
{
    cairn_resp_reply_error(resp_of(session), "ERR", "Protocol error: the rest of the command did not come in time");
}

static void too_big(struct cairn_session *session)
{
    cairn_resp_reply_error(resp_of(session), "OVERLOADED", "no memory for a command this large now, try again");
    cairn_session_end(session);
}

static void free_session(struct cairn_session *session)
{
    struct cairn_resp_session *resp = resp_of(session);

    cairn_resp_multi_drop(resp);
    cairn_resp_watches_drop(resp);
    cairn_resp_large_done(resp);
    cairn_session_done(session);
    cairn_resp_parser_done(&resp->parser);
    free(resp->name);
    free(resp->library);
    free(resp->library_version);
    free(resp);
}

static void step(struct cairn_session *session)
{
    struct cairn_resp_session *resp = resp_of(session);

    if (resp->large.in)
        cairn_resp_large_step(resp);
    else if (resp->watches.state != CAIRN_RESP_WATCHES_NONE)
        cairn_resp_watch_step(resp);
    else
        cairn_resp_multi_step(resp);
}

static void turn_away(struct cairn_buf *to)
{
    cairn_resp_error(to, "ERR", "max number of clients reached");
}

const struct cairn_protocol cairn_resp_protocol = {
    .index = CAIRN_PROTOCOL_RESP,
    .name = "resp",
    .default_port = CAIRN_RESP_PORT,
    .address_offset = offsetof(struct cairn_server_options, resp),
    .idle_ms_offset = offsetof(struct cairn_server_options, resp_idle_ms),
    .shows_client = true,
    .open = cairn_resp_session_open,
    .turn_away = turn_away,
    .parse = parse,
    .step = step,
    .write = write_reply,
    .partial_bytes = partial_bytes,
    .timed_out = timed_out,
    .too_big = too_big,
    .moved = cairn_resp_large_moved,
    .free = free_session,
};

struct cairn_session *cairn_resp_session_open(struct cairn_front *front, void *owner)
{
    struct cairn_resp_session *resp = cairn_alloc_zeroed(1, sizeof *resp);

    cairn_session_init(&resp->session, &cairn_resp_protocol, front, owner);
    resp->version = 2;
    return &resp->session;
}
