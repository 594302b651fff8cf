/* What the keeper is asked, from its slot to its answer. */
#include "server/zk_internal.h"

void cairn_zk_end(struct cairn_zk_session *zk)
{
    zk->stage = CAIRN_ZK_ENDED;
    cairn_session_end(&zk->session);
}

static void on_answer(struct keeper_ask *ask)
{
    struct cairn_slot *slot = ask->owner;
    struct cairn_zk_session *zk = cairn_zk_of(slot->session);

    if (ask->error == CAIRN_ZK_ECONNECTION && zk->stage == CAIRN_ZK_CONNECTED) {
        zk->stage = CAIRN_ZK_ENDED;
        cairn_session_break_off(&zk->session); /* what may have happened is not known: as if the line were cut */
    }
    cairn_slot_answered(slot);
}

static void on_decided(struct keeper_ask *ask)
{
    struct cairn_slot *slot = ask->owner;

    slot->placed = true;
}

struct cairn_slot *cairn_zk_slot(struct cairn_zk_session *zk, enum cairn_zk_form form, uint32_t parts)
{
    struct cairn_slot *slot = cairn_slot_take(&zk->session);
    size_t size = sizeof(struct cairn_zk_ask) + parts * sizeof(struct keeper_part);
    struct cairn_zk_ask *ask;

    slot->form = (uint8_t)form;
    slot->more.size = 0;
    ask = (void *)cairn_buf_reserve(&slot->more, size);
    memset(ask, 0, size);
    ask->part_count = parts;
    ask->ask.parts = ask->parts;
    ask->ask.part_count = parts;
    ask->ask.link = &zk->link;
    ask->ask.owner = slot;
    ask->ask.answer = on_answer;
    ask->ask.decided = on_decided;
    ask->started_ns = zk->session.front->clock->monotonic_ns(zk->session.front->clock);
    return slot;
}

void cairn_zk_submit(struct cairn_zk_session *zk, struct cairn_slot *slot)
{
    struct cairn_front *front = zk->session.front;
    struct keeper_ask *ask = &cairn_zk_ask_of(slot)->ask;

    if (zk->identities) /* a word's connection has none */
        ask->identities = cairn_bytes(zk->identities->bytes, zk->identities->size);
    zk->linked = true;
    cairn_slot_begin(slot);
    if (slot->form == CAIRN_ZK_FORM_CONNECT)
        cairn_zk_keeper(zk)->connect(front->worker, &zk->link, ask);
    else
        cairn_zk_keeper(zk)->ask(front->worker, &zk->link, ask);
}
