/* Would catch: bytes of a ZooKeeper client by which the front touches memory that is not its own, hangs, answers with
 * something that is no frame, answers a request twice or out of order, or keeps a connection that it should not.  The
 * first byte chooses whether there is a session already, how the rest is cut, and in which order the keeper answers. */
#include <stdint.h>
#include <stdlib.h>

#include "keeper/keeper.h"
#include "proto/zk.h"
#include "server/talk.h"

enum { BYTES_MAX = 4096, ASKS_MAX = 2048 };

static struct {
    struct keeper_ask *asks[ASKS_MAX];
    int count;
    struct keeper_link *link;
    uint64_t zxid;
} keeper;

static void check(bool good)
{
    if (!good)
        abort();
}

/* Touches all of what was asked. */
static uint64_t sum_of(struct cairn_bytes bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < bytes.size; i++)
        sum += bytes.data[i];
    return sum;
}

static void take(struct keeper_ask *ask)
{
    uint64_t sum = sum_of(ask->identities) + sum_of(ask->password);

    for (uint32_t i = 0; i < ask->part_count; i++)
        sum += sum_of(ask->parts[i].path) + sum_of(ask->parts[i].data) + sum_of(ask->parts[i].acl);
    for (int i = 0; i < KEEPER_SET_COUNT; i++)
        sum += sum_of(ask->watches[i].items);
    keeper.zxid += sum % 2;
    check(keeper.count < ASKS_MAX);
    keeper.asks[keeper.count++] = ask;
}

static void on_connect(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask)
{
    (void)worker;
    keeper.link = link;
    take(ask);
}

static void on_ask(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask)
{
    (void)worker;
    (void)link;
    take(ask);
}

static void on_flush(struct cairn_worker *worker, struct keeper_link *link)
{
    (void)worker;
    (void)link;
}

static void on_leave(struct cairn_worker *worker, struct keeper_link *link)
{
    (void)worker;
    (void)link;
    keeper.link = NULL;
}

static const struct keeper_ops ops = {.connect = on_connect, .ask = on_ask, .flush = on_flush, .leave = on_leave};

static void answer(int i, int32_t error)
{
    static const struct keeper_state state;
    static const uint8_t stat[KEEPER_STAT_BYTES];
    static const struct keeper_slot slot = {.path = {(const uint8_t *)"/a", 2}, .stat = {stat, sizeof stat}};
    static struct keeper_slot slots[KEEPER_PARTS_MAX];
    struct keeper_ask *ask = keeper.asks[i];

    keeper.count--;
    for (int k = i; k < keeper.count; k++)
        keeper.asks[k] = keeper.asks[k + 1];
    for (uint32_t k = 0; k < ask->part_count; k++)
        slots[k] = slot;
    if (ask->op == 0 && !error) { /* that of connect */
        ask->link->session = 7;
        ask->link->timeout_ms = 4000;
    }
    ask->error = error;
    ask->failed_part = ask->part_count / 2;
    ask->zxid = ask->link->zxid = ++keeper.zxid;
    ask->slots = slots;
    ask->slot_count = error ? 0 : ask->part_count;
    ask->state = &state;
    ask->answer(ask);
}

static void answer_all(bool last_first, int32_t error)
{
    while (keeper.count) {
        answer(last_first ? keeper.count - 1 : 0, error);
        if (keeper.link) {
            const struct keeper_event event = {KEEPER_EVENT_DATA, keeper.zxid, cairn_str("/a")};

            keeper.link->front->event(keeper.link, &event);
        }
    }
}

/* What was sent is whole frames, after a word's text nothing. */
static void check_output(const struct talk *talk, bool is_word)
{
    struct cairn_bytes rest = cairn_buf_bytes(&talk->got), body;
    size_t used;

    if (is_word)
        return;
    while (rest.size) {
        check(cairn_zk_frame_read(rest, INT32_MAX & 0xffffff, false, &body, &used) == CAIRN_ZK_FRAME);
        rest = cairn_bytes(rest.data + used, rest.size - used);
    }
}

static void greet(struct talk *talk)
{
    static const uint8_t password[CAIRN_ZK_PASSWORD_BYTES];
    struct cairn_buf frame = {0};
    size_t begun = cairn_zk_frame_begin(&frame);

    cairn_zk_connect_add(&frame, &(struct cairn_zk_connect){.password = {password, sizeof password}});
    cairn_zk_frame_end(&frame, begun);
    talk_input_bytes(talk, cairn_buf_bytes(&frame));
    answer(0, 0);
    talk_settle(talk);
    cairn_buf_done(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct talk *talk;
    unsigned how;
    size_t cut;
    bool is_word;

    if (size < 2 || size > BYTES_MAX)
        return 0;
    how = data[0];
    cut = (how >> 4) * (size - 1) / 16;
    data++;
    size--;
    keeper.count = 0;
    keeper.link = NULL;
    talk = talk_create(cairn_zk_session_open, NULL);
    standin_set_keeper(talk->standin, &ops);
    talk->zk.words = "*";
    if (how & 1)
        greet(talk);
    is_word = !(how & 1) && size >= 4 && data[0] >= 'a';
    talk_input_bytes(talk, cairn_bytes(data, cut));
    if (how & 2)
        answer_all(how & 4, 0);
    talk_settle(talk);
    if (talk->session && cairn_session_reads(talk->session))
        talk_input_bytes(talk, cairn_bytes(data + cut, size - cut));
    answer_all(how & 4, how & 8 ? CAIRN_ZK_ENONODE : 0);
    talk_settle(talk);
    check_output(talk, is_word);
    talk_hang_up(talk);
    answer_all(false, 0);
    talk_destroy(talk);
    return 0;
}
