/* Would catch: replies out of the order of their requests; an event that goes out before the answer that armed its
 * watch, or behind a later one; a session that is not told that it is over; frames, counts and words that are not what
 * they claim to be taken for good; more kept for a client than its bounds; memory touched after a connection was closed
 * with requests under way (under ASan). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keeper/keeper.h"
#include "proto/zk.h"
#include "proto/zk_text.h"
#include "server/talk.h"

/* --- a keeper that does what the test says --- */

enum { ASKS_MAX = 4096 };

static struct {
    struct keeper_ask *asks[ASKS_MAX]; /* without an answer, in their order */
    int count;
    struct keeper_link *link;
    bool left, at_once; /* at_once: asks are answered within the call */
    uint64_t zxid;
    char last[4096]; /* the last ask, as text */
} keeper;

static void answer(int i, int32_t error, const struct keeper_slot *slots, uint32_t slot_count)
{
    struct keeper_ask *ask = keeper.asks[i];

    assert_true(i < keeper.count);
    memmove(&keeper.asks[i], &keeper.asks[i + 1], (size_t)(keeper.count - i - 1) * sizeof keeper.asks[0]);
    keeper.count--;
    ask->error = error;
    ask->zxid = ask->link->zxid = ++keeper.zxid;
    ask->slots = slots;
    ask->slot_count = slot_count;
    ask->answer(ask);
}

static void take(struct keeper_ask *ask)
{
    assert_true(keeper.count < ASKS_MAX);
    keeper.asks[keeper.count++] = ask;
}

static void on_connect(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask)
{
    (void)worker;
    keeper.link = link;
    keeper.left = false;
    snprintf(keeper.last, sizeof keeper.last, "connect session=%d password=%d seen=%d timeout=%u", (int)ask->session,
             (int)ask->password.size, (int)ask->zxid_seen, ask->timeout_ms);
    take(ask);
}

static void on_ask(struct cairn_worker *worker, struct keeper_link *link, struct keeper_ask *ask)
{
    struct cairn_buf text = {0};

    (void)worker;
    (void)link;
    cairn_buf_printf(&text, "%d", (int)ask->op);
    for (uint32_t i = 0; i < ask->part_count; i++)
        cairn_buf_printf(&text, " %d %.*s%s flags=%d version=%d acl=%d", (int)ask->parts[i].op,
                         (int)ask->parts[i].path.size, (const char *)ask->parts[i].path.data,
                         ask->parts[i].watch ? " watch" : "", ask->parts[i].flags, ask->parts[i].version,
                         (int)ask->parts[i].acl.size);
    snprintf(keeper.last, sizeof keeper.last, "%.*s", (int)text.size, (const char *)text.data);
    cairn_buf_done(&text);
    take(ask);
    if (keeper.at_once)
        answer(keeper.count - 1, 0, NULL, 0);
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
    keeper.left = true;
}

static const struct keeper_ops ops = {.connect = on_connect, .ask = on_ask, .flush = on_flush, .leave = on_leave};

/* --- a client --- */

static struct talk *open_one(void)
{
    struct talk *talk = talk_create(cairn_zk_session_open, NULL);

    memset(&keeper, 0, sizeof keeper);
    standin_set_keeper(talk->standin, &ops);
    cairn_session_name_peer(talk->session, "127.0.0.1:4321");
    return talk;
}

static void send_connect(struct talk *talk, int64_t session, bool has_read_only)
{
    static const uint8_t password[CAIRN_ZK_PASSWORD_BYTES] = "secret";
    struct cairn_zk_connect wish = {.last_zxid_seen = 5,
                                    .timeout_ms = 10000,
                                    .session = session,
                                    .password = {password, sizeof password},
                                    .has_read_only = has_read_only};
    struct cairn_buf frame = {0};
    size_t begun = cairn_zk_frame_begin(&frame);

    cairn_zk_connect_add(&frame, &wish);
    cairn_zk_frame_end(&frame, begun);
    talk_input_bytes(talk, cairn_buf_bytes(&frame));
    cairn_buf_done(&frame);
}

/* One that is connected: session 0x77. */
static struct talk *open_connected(void)
{
    struct talk *talk = open_one();

    send_connect(talk, 0, true);
    keeper.link->session = 0x77;
    keeper.link->timeout_ms = 10000;
    answer(0, 0, NULL, 0);
    talk_settle(talk);
    talk_received(talk);
    return talk;
}

static void send_request(struct talk *talk, const struct cairn_zk_request *request)
{
    struct cairn_buf frame = {0};
    size_t begun = cairn_zk_frame_begin(&frame);

    cairn_zk_request_add(&frame, request);
    cairn_zk_frame_end(&frame, begun);
    talk_input_bytes(talk, cairn_buf_bytes(&frame));
    cairn_buf_done(&frame);
}

static void send_path(struct talk *talk, int32_t xid, int32_t op, const char *path)
{
    send_request(talk, &(struct cairn_zk_request){.xid = xid, .op = op, .path = cairn_str(path), .watch = true});
}

/* What the client has received, a line for each frame: the operations of the replies follow from their xids, which the
 * tests choose as hundreds of them. */
static void expect(struct talk *talk, const char *label, const char *want)
{
    struct cairn_buf text = {0};
    struct cairn_bytes rest, body;
    size_t used;

    talk_settle(talk);
    rest = cairn_buf_bytes(&talk->got);
    while (cairn_zk_frame_read(rest, 1 << 24, false, &body, &used) == CAIRN_ZK_FRAME) {
        int32_t xid = cairn_zk_xid(body);
        struct cairn_zk_event event;
        struct cairn_zk_reply reply;

        if (xid == CAIRN_ZK_XID_EVENT && cairn_zk_event_read(body, &event))
            zk_event_text(&text, &event);
        else if (cairn_zk_reply_read(body, xid <= 0 ? CAIRN_ZK_OP_PING : xid / 100, &reply))
            zk_reply_text(&text, xid <= 0 ? CAIRN_ZK_OP_PING : xid / 100, &reply);
        else
            fail_msg("%s: a frame of %zu bytes, xid %d, is not what it should be", label, body.size, xid);
        cairn_buf_str(&text, "\n");
        rest = cairn_bytes(rest.data + used, rest.size - used);
    }
    assert_int_equal(rest.size, 0);
    cairn_buf_u8(&text, 0);
    if (strcmp((const char *)text.data, want) != 0)
        fail_msg("%s: got\n%s\nwant\n%s", label, (const char *)text.data, want);
    talk->got.size = 0;
    cairn_buf_done(&text);
}

static void raise(enum keeper_event_type type, const char *path)
{
    const struct keeper_event event = {.type = type, .zxid = keeper.zxid, .path = cairn_str(path)};

    keeper.link->front->event(keeper.link, &event);
}

/* --- connecting --- */

static void expect_connected(struct talk *talk, const char *label, const char *want)
{
    struct cairn_zk_connected connected;
    struct cairn_buf text = {0};
    struct cairn_bytes body;
    size_t used = 0;

    talk_settle(talk);
    if (cairn_zk_frame_read(cairn_buf_bytes(&talk->got), 4096, false, &body, &used) == CAIRN_ZK_FRAME &&
        cairn_zk_connected_read(body, &connected))
        zk_connected_text(&text, &connected);
    assert_int_equal(used, talk->got.size);
    cairn_buf_u8(&text, 0);
    if (strcmp((const char *)text.data, want) != 0)
        fail_msg("%s: got %s, want %s", label, (const char *)text.data, want);
    talk->got.size = 0;
    cairn_buf_done(&text);
}

static void test_connect(void **state)
{
    struct talk *talk = open_one();

    (void)state;
    send_connect(talk, 0, true);
    assert_string_equal(keeper.last, "connect session=0 password=16 seen=5 timeout=10000");
    send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "/a"); /* before the answer: it waits */
    assert_int_equal(keeper.count, 1);
    keeper.link->session = 0x77;
    keeper.link->timeout_ms = 12000;
    memcpy(keeper.link->password, "0123456789abcdef", 16);
    answer(0, 0, NULL, 0);
    expect_connected(talk, "new",
                     "connected timeout=12000 session=119 password=30313233343536373839616263646566 read_only=0");
    assert_int_equal(keeper.count, 1);
    assert_string_equal(keeper.last, "3 3 /a watch flags=0 version=0 acl=0");
    answer(0, CAIRN_ZK_ENONODE, NULL, 0);
    expect(talk, "pipelined", "exists xid=300 zxid=2 error=-101\n");
    talk_hang_up(talk);
    assert_true(keeper.left);
    talk_destroy(talk);
}

static void test_connect_refused(void **state)
{
    struct talk *talk = open_one();

    (void)state;
    send_connect(talk, 9, false); /* as 3.3 sends it */
    answer(0, CAIRN_ZK_EEXPIRED, NULL, 0);
    expect_connected(talk, "expired", "connected password=00000000000000000000000000000000");
    assert_null(talk->session);
    talk_destroy(talk);

    talk = open_one();
    send_connect(talk, 9, true);
    answer(0, CAIRN_ZK_EINCONSISTENT, NULL, 0); /* it has seen more than there is */
    talk_settle(talk);
    assert_int_equal(talk->got.size, 0);
    assert_null(talk->session);
    talk_destroy(talk);

    talk = open_one(); /* hangs up while its session is asked for */
    send_connect(talk, 0, true);
    talk_hang_up(talk);
    assert_true(keeper.left);
    answer(0, 0, NULL, 0);
    talk_destroy(talk);
}

/* --- order --- */

static void test_order(void **state)
{
    struct talk *talk = open_connected();
    static const struct keeper_slot made = {.path = {(const uint8_t *)"/a", 2}};

    (void)state;
    send_path(talk, 100, CAIRN_ZK_OP_CREATE, "/a");
    send_path(talk, 900, CAIRN_ZK_OP_SYNC, "/a");
    send_request(talk, &(struct cairn_zk_request){.xid = -2, .op = CAIRN_ZK_OP_PING});
    answer(1, 0, &made, 1); /* the read first */
    expect(talk, "nothing before the first", "");
    answer(0, 0, &made, 1);
    expect(talk, "all", "create xid=100 zxid=3 path=\"/a\"\nsync xid=900 zxid=2 path=\"/a\"\nping xid=-2 zxid=3\n");
    talk_destroy(talk);
}

/* The answer of a read that has armed a watch waits behind a write: so does the event; and the next goes behind it. */
static void test_events(void **state)
{
    struct talk *talk = open_connected();

    (void)state;
    raise(KEEPER_EVENT_CREATED, "/early");
    send_path(talk, 200, CAIRN_ZK_OP_DELETE, "/slow");
    send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "/a");
    send_path(talk, 301, CAIRN_ZK_OP_EXISTS, "/b");
    raise(KEEPER_EVENT_DATA, "/z"); /* no read has been answered: at once */
    answer(1, CAIRN_ZK_ENONODE, NULL, 0);
    raise(KEEPER_EVENT_CREATED, "/a");
    answer(1, CAIRN_ZK_ENONODE, NULL, 0);
    raise(KEEPER_EVENT_DELETED, "/b");
    raise(KEEPER_EVENT_CHILDREN, "/");
    expect(talk, "at once", "event zxid=-1 type=1 state=3 path=\"/early\"\nevent zxid=-1 type=3 state=3 path=\"/z\"\n");
    answer(0, 0, NULL, 0);
    expect(talk, "behind",
           "delete xid=200 zxid=4\nexists xid=300 zxid=2 error=-101\nevent zxid=-1 type=1 state=3 path=\"/a\"\n"
           "exists xid=301 zxid=3 error=-101\nevent zxid=-1 type=2 state=3 path=\"/b\"\n"
           "event zxid=-1 type=4 state=3 path=\"/\"\n");
    raise(KEEPER_EVENT_DATA, "/late");
    expect(talk, "at once again", "event zxid=-1 type=3 state=3 path=\"/late\"\n");
    talk_destroy(talk);
}

static void test_slow_reader(void **state)
{
    struct talk *talk = open_connected();
    int raised = 0;

    (void)state;
    talk->sends = false;
    while (raised < 100000 && talk->session && !cairn_session_over(talk->session)) {
        raise(KEEPER_EVENT_DATA, "/a/node/with/a/name/of/some/length");
        raised++;
    }
    assert_true(raised > 1000 && raised < 100000); /* it was given up */
    assert_true(cairn_session_cut(talk->session));
    talk_settle(talk);
    assert_null(talk->session);
    assert_true(keeper.left);
    talk_destroy(talk);

    talk = open_connected(); /* the same behind a reply that waits */
    send_path(talk, 200, CAIRN_ZK_OP_DELETE, "/slow");
    send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "/a");
    answer(1, 0, NULL, 0);
    for (raised = 0; raised < 100000 && !cairn_session_over(talk->session); raised++)
        raise(KEEPER_EVENT_DATA, "/a/node/with/a/name/of/some/length");
    assert_true(raised > 1000 && raised < 100000);
    talk_settle(talk);
    answer(0, 0, NULL, 0);
    talk_destroy(talk);
}

/* --- what is answered without the keeper --- */

static void test_own(void **state)
{
    struct talk *talk = open_connected();
    struct cairn_zk_request auth = {.xid = 1000000, .op = CAIRN_ZK_OP_AUTH, .scheme = cairn_str("digest")};

    (void)state;
    auth.xid = -4;
    auth.data = cairn_str("joe:secret");
    send_request(talk, &auth);
    send_request(talk, &auth); /* once is enough */
    send_request(talk, &(struct cairn_zk_request){.xid = 10700, .op = CAIRN_ZK_OP_WHO_AM_I});
    send_request(talk, &(struct cairn_zk_request){.xid = 1600, .op = CAIRN_ZK_OP_RECONFIG});
    send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "not/a/path");
    send_path(talk, 301, CAIRN_ZK_OP_EXISTS, "/a//b");
    send_request(talk,
                 &(struct cairn_zk_request){.xid = 100, .op = CAIRN_ZK_OP_CREATE, .path = cairn_str("/a"), .flags = 7});
    send_request(talk, &(struct cairn_zk_request){
                           .xid = 2100, .op = CAIRN_ZK_OP_CREATE_TTL, .path = cairn_str("/a"), .flags = 5});
    send_request(talk, &(struct cairn_zk_request){.xid = 1400, .op = CAIRN_ZK_OP_MULTI});
    assert_int_equal(keeper.count, 0);
    expect(talk, "own",
           "ping xid=-4 zxid=1\nping xid=-4 zxid=1\n"
           "whoAmI xid=10700 zxid=1 ids=[ip 127.0.0.1, digest joe]\nreconfig xid=1600 zxid=1 error=-123\n"
           "exists xid=300 zxid=1 error=-8\nexists xid=301 zxid=1 error=-8\ncreate xid=100 zxid=1 error=-8\n"
           "createTTL xid=2100 zxid=1 error=-8\nmulti xid=1400 zxid=1\n");
    send_request(talk,
                 &(struct cairn_zk_request){
                     .xid = 2101, .op = CAIRN_ZK_OP_CREATE_TTL, .path = cairn_str("/a"), .flags = 5, .ttl_ms = 9});
    assert_string_equal(keeper.last, "21 21 /a flags=5 version=0 acl=0");
    assert_int_equal(keeper.asks[0]->identities.size, 8 + 2 + 9 + 8 + 6 + 4 + 28);
    answer(0, 0, NULL, 0);
    talk_settle(talk);
    talk_destroy(talk);
}

static void test_super(void **state)
{
    struct talk *talk = open_connected();

    (void)state;
    talk->zk.super = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="; /* of super:test */
    send_request(
        talk, &(struct cairn_zk_request){
                  .xid = -4, .op = CAIRN_ZK_OP_AUTH, .scheme = cairn_str("digest"), .data = cairn_str("super:test")});
    send_request(talk, &(struct cairn_zk_request){.xid = 1600, .op = CAIRN_ZK_OP_RECONFIG});
    expect(talk, "super", "ping xid=-4 zxid=1\nreconfig xid=1600 zxid=1 error=-6\n");
    talk_destroy(talk);
}

static void test_refused_for_good(void **state)
{
    static const struct {
        const char *label;
        struct cairn_zk_request request;
        const char *want;
    } table[] = {
        {"auth", {.xid = -4, .op = CAIRN_ZK_OP_AUTH}, "ping xid=-4 zxid=1 error=-115\n"},
        {"sasl", {.xid = 10200, .op = CAIRN_ZK_OP_SASL}, "sasl xid=10200 zxid=1 error=-115\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct talk *talk = open_connected();

        send_request(talk, &table[i].request);
        send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "/a"); /* is not taken any more */
        expect(talk, table[i].label, table[i].want);
        assert_int_equal(keeper.count, 0);
        assert_null(talk->session);
        talk_destroy(talk);
    }
}

/* --- multis --- */

static void send_multi(struct talk *talk, int32_t xid, const char *second)
{
    struct cairn_zk_request request = {.xid = xid, .op = CAIRN_ZK_OP_MULTI};
    struct cairn_buf items = {0};

    cairn_zk_multi_add(&items, &request.multi,
                       &(struct cairn_zk_request){.op = CAIRN_ZK_OP_CREATE, .path = cairn_str("/a")});
    cairn_zk_multi_add(&items, &request.multi,
                       &(struct cairn_zk_request){.op = CAIRN_ZK_OP_CHECK, .path = cairn_str(second), .version = 3});
    cairn_zk_multi_add(&items, &request.multi,
                       &(struct cairn_zk_request){.op = CAIRN_ZK_OP_DELETE, .path = cairn_str("/c")});
    send_request(talk, &request);
    cairn_buf_done(&items);
}

static void test_multi(void **state)
{
    struct talk *talk = open_connected();
    static const struct keeper_slot done[3] = {{.path = {(const uint8_t *)"/a", 2}}};

    (void)state;
    send_multi(talk, 1400, "/b");
    assert_string_equal(keeper.last, "14 1 /a flags=0 version=0 acl=0 13 /b flags=0 version=3 acl=0 2 /c flags=0 "
                                     "version=0 acl=0");
    answer(0, 0, done, 3);
    expect(talk, "done", "multi xid=1400 zxid=2 {create path=\"/a\"} {check} {delete}\n");
    send_multi(talk, 1401, "/b");
    keeper.asks[0]->failed_part = 1;
    answer(0, CAIRN_ZK_EVERSION, NULL, 0);
    expect(talk, "failed", "multi xid=1401 zxid=3 {error} {error number=-103} {error number=-2}\n");
    send_multi(talk, 1402, "bad"); /* what stands before it may fail sooner, so the keeper tells */
    assert_string_equal(keeper.last, "14 1 /a flags=0 version=0 acl=0 13  flags=0 version=3 acl=0 2 /c flags=0 "
                                     "version=0 acl=0");
    keeper.asks[0]->failed_part = 1;
    answer(0, CAIRN_ZK_EARGUMENTS, NULL, 0);
    expect(talk, "bad part", "multi xid=1402 zxid=4 {error} {error number=-8} {error number=-2}\n");
    send_multi(talk, 1403, "/b");
    keeper.asks[0]->failed_part = UINT32_MAX;
    answer(0, CAIRN_ZK_EMOVED, NULL, 0);
    expect(talk, "as a whole", "multi xid=1403 zxid=5 error=-118\n");
    talk_destroy(talk);
}

/* --- ends --- */

static void test_close_session(void **state)
{
    struct talk *talk = open_connected();

    (void)state;
    send_path(talk, 200, CAIRN_ZK_OP_DELETE, "/a");
    send_request(talk, &(struct cairn_zk_request){.xid = -1100, .op = CAIRN_ZK_OP_CLOSE_SESSION});
    send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "/a"); /* is not taken any more */
    assert_int_equal(keeper.count, 2);
    answer(1, 0, NULL, 0);
    talk_settle(talk);
    assert_non_null(talk->session);
    answer(0, 0, NULL, 0);
    expect(talk, "closed", "delete xid=200 zxid=3\nping xid=-1100 zxid=2\n");
    assert_null(talk->session);
    assert_true(keeper.left);
    talk_destroy(talk);
}

static void test_over(void **state)
{
    struct talk *talk = open_connected();

    (void)state;
    send_path(talk, 200, CAIRN_ZK_OP_DELETE, "/a");
    keeper.link->front->over(keeper.link, KEEPER_END_MOVED);
    answer(0, CAIRN_ZK_EMOVED, NULL, 0);
    expect(talk, "moved", "delete xid=200 zxid=2 error=-118\n");
    assert_null(talk->session);
    talk_destroy(talk);

    talk = open_connected(); /* what may have happened is not known: as if the line were cut */
    send_path(talk, 200, CAIRN_ZK_OP_DELETE, "/a");
    answer(0, CAIRN_ZK_ECONNECTION, NULL, 0);
    talk_settle(talk);
    assert_int_equal(talk->got.size, 0);
    assert_null(talk->session);
    talk_destroy(talk);

    talk = open_connected(); /* gone, with requests under way */
    send_path(talk, 200, CAIRN_ZK_OP_DELETE, "/a");
    send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "/a");
    talk_hang_up(talk);
    answer(1, 0, NULL, 0);
    answer(0, 0, NULL, 0);
    talk_destroy(talk);
}

/* --- what is no request --- */

static void test_bad_input(void **state)
{
    static const struct {
        const char *label;
        struct cairn_bytes bytes;
        const char *want;
    } table[] = {
        {"a length below zero", {(const uint8_t *)"\xff\xff\xff\xff", 4}, ""},
        {"2 GB", {(const uint8_t *)"\x7f\xff\xff\xff", 4}, ""},
        {"a word in the middle", {(const uint8_t *)"ruok", 4}, ""},
        {"no operation", {(const uint8_t *)"\0\0\0\4\0\0\0\1", 8}, "ping zxid=1 error=-5\n"},
        {"unknown", {(const uint8_t *)"\0\0\0\10\xff\xff\xff\xfe\0\0\x03\xe7", 12}, "ping xid=-2 zxid=1 error=-6\n"},
        {"half a request",
         {(const uint8_t *)"\0\0\0\11\xff\xff\xff\xfe\0\0\0\3\0", 13},
         "ping xid=-2 zxid=1 error=-5\n"},
        {"2 GB of paths",
         {(const uint8_t *)"\0\0\0\24\xff\xff\xff\xfe\0\0\0\x65\0\0\0\0\0\0\0\0\x7f\xff\xff\xff", 24},
         "ping xid=-2 zxid=1 error=-5\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct talk *talk = open_connected();

        talk_input_bytes(talk, table[i].bytes);
        expect(talk, table[i].label, table[i].want);
        if (talk->session)
            fail_msg("%s: the connection is still there", table[i].label);
        assert_true(keeper.left && keeper.count == 0);
        talk_destroy(talk);
    }
}

/* What a client pipelines without waiting is bounded. */
static void test_bounds(void **state)
{
    struct talk *talk = open_connected();
    int sent = 0;

    (void)state;
    for (; sent < ASKS_MAX && cairn_session_reads(talk->session); sent++)
        send_path(talk, 300, CAIRN_ZK_OP_EXISTS, "/a");
    assert_true(sent < ASKS_MAX);
    assert_true(keeper.count <= 1024);
    while (keeper.count)
        answer(0, 0, NULL, 0);
    talk_settle(talk);
    assert_true(cairn_session_reads(talk->session));
    talk_destroy(talk);
}

static void test_words(void **state)
{
    static const struct keeper_state tree = {.nodes = 5, .zxid = 0x1a, .watches = 3, .sessions = 2};
    struct talk *talk = open_one();
    const char *text;

    (void)state;
    talk_input(talk, "ruok");
    talk_settle(talk);
    talk_expect(talk, "ruok", "imok");
    assert_null(talk->session);
    talk_destroy(talk);

    talk = open_one();
    talk_input(talk, "wchc");
    talk_settle(talk);
    talk_expect(talk, "not listed", "wchc is not executed because it is not in the whitelist.\n");
    talk_destroy(talk);

    talk = open_one();
    talk_input(talk, "srvr\n");
    assert_int_equal(keeper.count, 1);
    assert_int_equal(keeper.asks[0]->op, KEEPER_STATE);
    keeper.asks[0]->state = &tree;
    answer(0, 0, NULL, 0);
    talk_settle(talk);
    text = talk_received(talk);
    assert_non_null(strstr(text, "Zookeeper version: 3.8."));
    assert_non_null(strstr(text, "\nZxid: 0x1a\nMode: standalone\nNode count: 5\n"));
    assert_null(talk->session);
    talk_destroy(talk);

    talk = open_one();
    talk->zk.words = "*";
    talk_input(talk, "mntr");
    keeper.asks[0]->state = &tree;
    answer(0, 0, NULL, 0);
    talk_settle(talk);
    text = talk_received(talk);
    assert_non_null(strstr(text, "zk_server_state\tstandalone\n"));
    assert_non_null(strstr(text, "zk_znode_count\t5\n"));
    assert_non_null(strstr(text, "zk_watch_count\t3\n"));
    talk_destroy(talk);
}

static void test_word_lists(void **state)
{
    static const struct keeper_slot watches = {
        .names = {
            4,
            {(const uint8_t *)"\0\0\0\10\0\0\0\0\0\0\0\7\0\0\0\6/b\0/a\0\0\0\0\10\0\0\0\0\0\0\0\x10\0\0\0\3/a", 41}}};
    struct talk *talk = open_one();

    (void)state;
    talk->zk.words = "wchp, wchc";
    talk_input(talk, "wchp");
    answer(0, 0, &watches, 1);
    talk_settle(talk);
    talk_expect(talk, "wchp", "/a\n\t0x7\n\t0x10\n/b\n\t0x7\n\n");
    talk_destroy(talk);

    talk = open_one();
    talk->zk.words = "wchp, wchc";
    talk_input(talk, "wchc");
    answer(0, 0, &watches, 1);
    talk_settle(talk);
    talk_expect(talk, "wchc", "0x7\n\t/b\n\t/a\n0x10\n\t/a\n\n");
    talk_destroy(talk);
}

static void test_long_answers(void **state)
{
    struct talk *talk = open_connected();
    uint8_t *data = cairn_alloc_zeroed(5000, 1);
    const struct keeper_slot slot = {.data = {data, 5000}};

    (void)state;
    talk->zk.reply_bytes_max = 4000;
    send_path(talk, 400, CAIRN_ZK_OP_GET_DATA, "/a");
    answer(0, 0, &slot, 1);
    expect(talk, "too long", "getData xid=400 zxid=2 error=-5\n");
    free(data);
    talk_destroy(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),     cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_order),       cmocka_unit_test(test_events),
        cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_own),
        cmocka_unit_test(test_super),       cmocka_unit_test(test_refused_for_good),
        cmocka_unit_test(test_multi),       cmocka_unit_test(test_close_session),
        cmocka_unit_test(test_over),        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_bounds),      cmocka_unit_test(test_words),
        cmocka_unit_test(test_word_lists),  cmocka_unit_test(test_long_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
