/* Requests about messages between objects, and about durable invocations, in the namespace of the call. */
#include "server/http_call.h"

enum { ITEMS_MAX = 100000 };

struct word {
    const char *name;
    size_t at, size;
};

enum { WORD_TYPE, WORD_ID, WORDS };

static bool keep_word(struct cairn_slot *slot, struct word *words, struct cairn_bytes name, struct cairn_bytes value,
                      bool *ret_good)
{
    for (int i = 0; i < WORDS; i++) {
        if (!cairn_http_is(name, words[i].name))
            continue;
        words[i].at = slot->more.size;
        *ret_good = cairn_http_decode(&slot->more, value, true);
        words[i].size = slot->more.size - words[i].at;
        return true;
    }
    return false;
}

static const char *what_is_taken(enum cairn_op op)
{
    return op == CAIRN_OP_MESSAGES      ? "type=TYPE, id=ID, dead=1 and limit=N are"
           : op == CAIRN_OP_INVOCATIONS ? "type=TYPE, id=ID and limit=N are"
           : op == CAIRN_OP_JOURNAL     ? "limit=N is"
           : op == CAIRN_OP_CANCEL      ? "now=1 is"
                                        : "type=TYPE and id=ID are";
}

static bool read_query(const struct cairn_http_call *call, struct cairn_slot *slot)
{
    struct cairn_bytes query = call->request->query, name, value;
    struct word words[WORDS] = {[WORD_TYPE] = {.name = "type"}, [WORD_ID] = {.name = "id"}};
    enum cairn_op op = slot->request.op;
    bool list = op == CAIRN_OP_MESSAGES || op == CAIRN_OP_INVOCATIONS || op == CAIRN_OP_JOURNAL;

    while (cairn_http_query_next(&query, &name, &value)) {
        bool good = true;

        if (list && cairn_http_is(name, "limit")) {
            if (!cairn_http_query_number(call, name, value, ITEMS_MAX, &slot->request.limit))
                return false;
        } else if (op == CAIRN_OP_MESSAGES && cairn_http_is(name, "dead")) {
            if (!cairn_http_query_switch(call, name, value, &slot->request.dead))
                return false;
        } else if (op == CAIRN_OP_CANCEL && cairn_http_is(name, "now")) {
            if (!cairn_http_query_switch(call, name, value, &slot->request.at_once))
                return false;
        } else if (op == CAIRN_OP_JOURNAL || op == CAIRN_OP_CANCEL || !keep_word(slot, words, name, value, &good) ||
                   !good) {
            cairn_http_refuse(call, 400, "bad_request", "only %s possible here", what_is_taken(op));
            return false;
        }
    }
    if (words[WORD_ID].size && !words[WORD_TYPE].size) {
        cairn_http_refuse(call, 400, "bad_request", "an id needs its type: type=TYPE&id=ID");
        return false;
    }
    slot->request.type = cairn_bytes(slot->more.data + words[WORD_TYPE].at, words[WORD_TYPE].size);
    slot->request.id = cairn_bytes(slot->more.data + words[WORD_ID].at, words[WORD_ID].size);
    return true;
}

void cairn_http_submit_messages(const struct cairn_http_call *call, enum cairn_op op, enum cairn_http_form form)
{
    struct cairn_slot *slot = cairn_http_take_slot(call, op, form);

    if (op == CAIRN_OP_JOURNAL || op == CAIRN_OP_CANCEL)
        slot->request.name = call->request->segments[2];
    slot->request.peek = call->flags & CAIRN_HTTP_NO_BODY;
    if (read_query(call, slot))
        cairn_slot_submit(slot);
    else
        cairn_http_give_up(call, slot);
}
