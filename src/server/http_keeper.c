/* /v1/keeper/...: what ZooKeeper's service of the namespace is like, and the words of its port. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keeper/keeper.h"
#include "server/http_call.h"
#include "server/zk_words.h"

/* In the slot's `more`. */
struct keeper_page {
    struct keeper_ask ask;
    struct keeper_link link; /* not connected: none of these needs a session */
    const struct cairn_zk_word *word;
};

static const struct {
    const char *name;
    enum keeper_op op;
    enum cairn_http_form form;
} pages[] = {
    {"", KEEPER_STATE, CAIRN_HTTP_FORM_KEEPER},
    {"sessions", KEEPER_SESSIONS, CAIRN_HTTP_FORM_KEEPER_SESSIONS},
    {"watches", KEEPER_WATCHES, CAIRN_HTTP_FORM_KEEPER_WATCHES},
};

/* --- answers, as encoded values --- */

static void add_number(struct cairn_buf *to, const char *name, uint64_t number)
{
    cairn_value_add_list(to, 2);
    cairn_value_add_bytes(to, cairn_str(name));
    cairn_value_add_int(to, (int64_t)number);
}

static void add_state(struct cairn_buf *to, const struct keeper_state *state)
{
    cairn_value_add_list(to, 9);
    add_number(to, "nodes", state->nodes);
    add_number(to, "ephemerals", state->ephemerals);
    add_number(to, "sessions", state->sessions);
    add_number(to, "connections", state->connections);
    add_number(to, "watches", state->watches);
    add_number(to, "watch_paths", state->watch_paths);
    add_number(to, "watchers", state->watchers);
    add_number(to, "zxid", state->zxid);
    add_number(to, "expired", state->expired);
}

static struct cairn_bytes next(struct cairn_reader *r)
{
    return cairn_read_bytes(r, __builtin_bswap32(cairn_read_u32(r)));
}

static void add_session(struct cairn_buf *to, struct cairn_bytes id)
{
    char text[24];

    snprintf(text, sizeof text, "0x%" PRIx64, id.size == 8 ? cairn_get_be64(id.data) : 0);
    cairn_value_add_bytes(to, cairn_str(text));
}

/* Each has a zero byte behind it. */
static void add_paths(struct cairn_buf *to, struct cairn_bytes paths)
{
    uint64_t count = 0;

    for (size_t i = 0; i < paths.size; i++)
        count += paths.data[i] == 0;
    cairn_value_add_list(to, count);
    while (count--) {
        size_t size = strlen((const char *)paths.data);

        cairn_value_add_bytes(to, cairn_bytes(paths.data, size));
        paths = cairn_bytes(paths.data + size + 1, paths.size - size - 1);
    }
}

static void add_items(struct cairn_buf *to, const struct keeper_names *names, bool has_timeout)
{
    struct cairn_reader r = cairn_reader(names->items);

    cairn_value_add_list(to, names->count / (has_timeout ? 3 : 2));
    while (cairn_reader_left(&r)) {
        cairn_value_add_list(to, has_timeout ? 3 : 2);
        add_session(to, next(&r));
        if (has_timeout) {
            struct cairn_bytes timeout = next(&r);

            cairn_value_add_int(to, timeout.size == 4 ? __builtin_bswap32(cairn_get_u32(timeout.data)) : 0);
        }
        add_paths(to, next(&r));
    }
}

static void add_answer(struct cairn_buf *to, struct cairn_front *front, const struct keeper_page *page)
{
    static const struct keeper_names none;
    const struct keeper_names *names = page->ask.slot_count ? &page->ask.slots[0].names : &none;
    struct cairn_buf text = {0};

    if (page->ask.error) {
        cairn_value_add_error(to, cairn_str("unavailable"),
                              cairn_str(page->ask.why ? page->ask.why : "the keeper does not answer now, try again"));
    } else if (page->word) {
        cairn_zk_word_write(front, page->word, &page->ask, &text);
        cairn_value_add_bytes(to, cairn_buf_bytes(&text));
    } else if (page->ask.op == KEEPER_STATE) {
        add_state(to, page->ask.state);
    } else {
        add_items(to, names, page->ask.op == KEEPER_SESSIONS);
    }
    cairn_buf_done(&text);
}

static void on_answer(struct keeper_ask *ask)
{
    struct keeper_page *page = cairn_container(ask, struct keeper_page, ask);
    struct cairn_slot *slot = ask->owner;
    struct cairn_front *front = slot->session->front;
    struct cairn_buf value = {0};

    add_answer(&value, front, page);
    front->backend->keeper->leave(front->worker, &page->link);
    slot->request.reply(&slot->request, cairn_buf_bytes(&value));
    cairn_buf_done(&value);
}

/* --- requests --- */

static void ask_keeper(const struct cairn_http_call *call, enum keeper_op op, enum cairn_http_form form,
                       const struct cairn_zk_word *word)
{
    struct cairn_front *front = call->http->session.front;
    struct cairn_slot *slot = cairn_http_take_slot(call, CAIRN_OP_KEEPER_READ, form);
    struct keeper_page *page;

    slot->more.size = 0;
    page = (void *)cairn_buf_reserve(&slot->more, sizeof *page);
    memset(page, 0, sizeof *page);
    page->word = word;
    page->link.space = call->space ? call->space : call->http->session.space;
    page->ask.op = op;
    page->ask.answer = on_answer;
    page->ask.link = &page->link;
    page->ask.owner = slot;
    cairn_slot_begin(slot);
    front->backend->keeper->ask(front->worker, &page->link, &page->ask);
}

static void answer_word(const struct cairn_http_call *call, struct cairn_bytes name)
{
    const struct cairn_zk_word *word = cairn_zk_word_find(name);
    int op = word ? cairn_zk_word_asks(word) : 0;

    if (!word || memcmp(name.data, "crst", 4) == 0 || memcmp(name.data, "srst", 4) == 0)
        cairn_http_refuse(call, 404, "not_found",
                          "the words are ruok, isro, srvr, stat, mntr, conf, cons, envi, dump, wchs, wchc, wchp, dirs "
                          "and hash");
    else /* one that asks nothing is answered by a keeper that answers */
        ask_keeper(call, op ? (enum keeper_op)op : KEEPER_STATE, CAIRN_HTTP_FORM_KEEPER_WORD, word);
}

void cairn_http_page_keeper(const struct cairn_http_call *call)
{
    const struct cairn_http_request *request = call->request;
    struct cairn_bytes name = request->segment_count > 2 ? request->segments[2] : cairn_bytes(NULL, 0);

    if (!call->http->session.front->backend->keeper) {
        cairn_http_refuse(call, 503, "unavailable", "this node was built without the keeper");
        return;
    }
    if (request->segment_count == 4 && cairn_http_is(name, "words")) {
        answer_word(call, request->segments[3]);
        return;
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0] && request->segment_count <= 3; i++)
        if (cairn_http_is(name, pages[i].name)) {
            ask_keeper(call, pages[i].op, pages[i].form, NULL);
            return;
        }
    cairn_http_refuse(call, 404, "not_found",
                      "the keeper's pages are /v1/keeper, /v1/keeper/sessions, /v1/keeper/watches and "
                      "/v1/keeper/words/WORD");
}
