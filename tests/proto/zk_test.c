/* Would catch: bytes of the ZooKeeper protocol that are not those of its other implementations (zk_golden.txt beside
 * this file is kazoo's; what kazoo lacks is written out here from docs/formats/zk.md), messages that do not come back
 * as they were sent, lengths and counts that are believed, frames that are cut wrongly, reading beyond what has
 * arrived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "proto/zk_path.h"
#include "proto/zk_text.h"

/* Bytes of their own size, so that a read beyond them is seen.  `hex` ends at a blank that is followed by no digit. */
static struct cairn_bytes unhex(const char *hex)
{
    uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
    size_t size = 0;
    unsigned byte;
    int used;

    while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
        bytes[size++] = (uint8_t)byte;
        hex += used;
    }
    return cairn_bytes(realloc(bytes, size ? size : 1), size);
}

static void forget(struct cairn_bytes bytes)
{
    free((void *)bytes.data);
}

static int32_t op_by_name(const char *text)
{
    for (int32_t op = -20; op < 200; op++) {
        const char *name = cairn_zk_op_name(op);
        size_t size = name ? strlen(name) : 0;

        if (name && strncmp(text, name, size) == 0 && (text[size] == ' ' || text[size] == 0))
            return op;
    }
    fail_msg("no operation in '%s'", text);
    return 0;
}

/* Reads `bytes` as what `direction` says, tells it as text and writes it again.  False: it could not be read. */
static bool convert(const char *direction, int32_t op, struct cairn_bytes bytes, struct cairn_buf *told,
                    struct cairn_buf *again)
{
    if (strcmp(direction, "request") == 0) {
        struct cairn_zk_request request;

        if (cairn_zk_request_read(bytes, &request) != CAIRN_ZK_OK)
            return false;
        zk_request_text(told, &request);
        cairn_zk_request_add(again, &request);
    } else if (strcmp(direction, "reply") == 0) {
        struct cairn_zk_reply reply;

        if (!cairn_zk_reply_read(bytes, op, &reply))
            return false;
        assert_int_equal(cairn_zk_xid(bytes), reply.xid);
        zk_reply_text(told, op, &reply);
        cairn_zk_reply_add(again, op, &reply);
    } else if (strcmp(direction, "event") == 0) {
        struct cairn_zk_event event;

        if (!cairn_zk_event_read(bytes, &event))
            return false;
        zk_event_text(told, &event);
        cairn_zk_event_add(again, &event);
    } else if (strcmp(direction, "connect") == 0) {
        struct cairn_zk_connect connect;

        if (!cairn_zk_connect_read(bytes, &connect))
            return false;
        zk_connect_text(told, &connect);
        cairn_zk_connect_add(again, &connect);
    } else {
        struct cairn_zk_connected connected;

        assert_string_equal(direction, "connected");
        if (!cairn_zk_connected_read(bytes, &connected))
            return false;
        zk_connected_text(told, &connected);
        cairn_zk_connected_add(again, &connected);
    }
    cairn_buf_u8(told, 0);
    return true;
}

/* The bytes are the message that the text tells, and no part of them is one, nor are they with a byte more. */
static void check_message(const char *direction, const char *hex, const char *want)
{
    bool connecting = strncmp(direction, "connect", 7) == 0, exchange = strcmp(direction, "event") != 0 && !connecting;
    int32_t op = exchange ? op_by_name(want) : 0;
    struct cairn_bytes bytes = unhex(hex);
    struct cairn_buf told = {0}, again = {0};
    size_t bare = bytes.size - (connecting && strstr(want, "read_only"));

    if (!convert(direction, op, bytes, &told, &again))
        fail_msg("refused: %s %s", direction, want);
    if (strcmp((char *)told.data, want) != 0)
        fail_msg("%s: got\n%s, want\n%s", direction, (char *)told.data, want);
    if (!cairn_bytes_equal(cairn_buf_bytes(&again), bytes))
        fail_msg("other bytes for %s %s", direction, want);
    for (size_t size = 0; size <= bytes.size + 1; size++) {
        struct cairn_bytes other = {malloc(size ? size : 1), size};
        bool good;

        memset((void *)other.data, 0, size);
        memcpy((void *)other.data, bytes.data, size < bytes.size ? size : bytes.size);
        told.size = again.size = 0;
        good = convert(direction, op, other, &told, &again);
        /* With and without the byte for read-only are both whole. */
        if (good != (size == bytes.size || (connecting && (size == bare || size == bare + 1))))
            fail_msg("%zu bytes of %zu: %s: %s", size, bytes.size, good ? "taken" : "refused", want);
        forget(other);
    }
    forget(bytes);
    cairn_buf_done(&told);
    cairn_buf_done(&again);
}

static void test_golden(void **state)
{
    FILE *file = fopen("tests/proto/zk_golden.txt", "r");
    char line[4096];
    int count = 0;

    (void)state;
    if (!file)
        fail_msg("tests/proto/zk_golden.txt is not there: run tests in the checkout");
    while (fgets(line, sizeof line, file)) {
        char *hex, *want;

        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#')
            continue;
        hex = strchr(line, ' ');
        assert_non_null(hex);
        *hex++ = 0;
        want = strchr(hex, ' ');
        assert_non_null(want);
        *want++ = 0;
        check_message(line, hex, want);
        count++;
    }
    fclose(file);
    assert_true(count > 40);
}

#define STAT                                                                                          \
    "0000000000000001 0000000000000002 0000000000000003 0000000000000004 00000005 00000006 00000007 " \
    "0000000000000008 00000009 0000000a 000000000000000b"
#define STAT_TEXT  "stat=(1 2 3 4 5 6 7 8 9 10 11)"
#define OPEN_ACL   "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65"
#define HEADER     "00000001 0000000000000002 00000000" /* of a reply */
#define ONE_STRING "00000001 00000002 2f61"

static const struct {
    const char *direction, *hex, *want;
} messages[] = {
    {"request", "00000001 00000013 00000002 2f61 00000000 " OPEN_ACL " 00000004",
     "createContainer xid=1 path=\"/a\" data= acl=[31 world anyone] flags=4"},
    {"request", "00000001 00000015 00000002 2f61 00000001 78 " OPEN_ACL " 00000006 000000000000ea60",
     "createTTL xid=1 path=\"/a\" data=78 acl=[31 world anyone] flags=6 ttl=60000"},
    {"request", "00000001 00000001 00000002 2f61 ffffffff ffffffff 00000000", "create xid=1 path=\"/a\" acl=null"},
    {"request", "00000001 00000001 00000000 00000000 00000000 00000000", "create xid=1 path=\"\" data="},
    {"request", "00000001 00000003 ffffffff 00", "exists xid=1"},
    {"request", "00000001 00000011 00000002 2f61 00000003", "checkWatches xid=1 path=\"/a\" kind=3"},
    {"request", "00000001 00000012 00000002 2f61 00000001", "removeWatches xid=1 path=\"/a\" kind=1"},
    {"request", "00000001 0000006a 00000002 2f61 00000001", "addWatch xid=1 path=\"/a\" kind=1"},
    {"request", "00000001 00000067 00000001 2f", "getEphemerals xid=1 path=\"/\""},
    {"request", "00000001 00000068 00000002 2f61", "getAllChildrenNumber xid=1 path=\"/a\""},
    {"request", "00000001 0000006b", "whoAmI xid=1"},
    {"request", "fffffff8 00000065 0000000000000007 " ONE_STRING " 00000000 00000002 00000002 2f62 ffffffff",
     "setWatches xid=-8 zxid=7 data_watches=[/a] child=[/b, -]"},
    {"request", "fffffff8 00000069 0000000000000007 00000000 " ONE_STRING " ffffffff " ONE_STRING " 00000001 00000000",
     "setWatches2 xid=-8 zxid=7 exist=[/a] child=null persistent=[/a] recursive=[\"\"]"},
    {"request",
     "00000001 0000000e 00000013 00 ffffffff 00000002 2f61 ffffffff 00000000 00000004 "
     "00000015 00 ffffffff 00000002 2f62 ffffffff 00000000 00000005 0000000000000009 ffffffff 01 ffffffff",
     "multi xid=1 {createContainer path=\"/a\" flags=4} {createTTL path=\"/b\" flags=5 ttl=9}"},
    {"request",
     "00000001 00000016 00000004 00 ffffffff 00000002 2f61 00 00000008 00 ffffffff 00000001 2f 00 "
     "ffffffff 01 ffffffff",
     "multiRead xid=1 {getData path=\"/a\"} {getChildren path=\"/\"}"},
    {"reply", HEADER "00000002 2f61 " STAT, "createContainer xid=1 zxid=2 path=\"/a\" " STAT_TEXT},
    {"reply", HEADER "00000002 2f61 " STAT, "createTTL xid=1 zxid=2 path=\"/a\" " STAT_TEXT},
    {"reply", HEADER "00000000", "addWatch xid=1 zxid=2"},
    {"reply", HEADER, "removeWatches xid=1 zxid=2"},
    {"reply", HEADER, "checkWatches xid=1 zxid=2"},
    {"reply", HEADER ONE_STRING, "getEphemerals xid=1 zxid=2 names=[/a]"},
    {"reply", HEADER "0000002a", "getAllChildrenNumber xid=1 zxid=2 number=42"},
    {"reply", HEADER "00000001 00000002 6970 00000003 3a3a31", "whoAmI xid=1 zxid=2 ids=[ip ::1]"},
    {"reply", HEADER "00000001 78 " STAT, "reconfig xid=1 zxid=2 data=78 " STAT_TEXT},
    {"reply", "fffffff8 0000000000000002 00000000", "setWatches xid=-8 zxid=2"},
    {"reply", "fffffff8 0000000000000002 00000000", "setWatches2 xid=-8 zxid=2"},
    {"reply", "fffffffc 0000000000000000 ffffff8d", "auth xid=-4 error=-115"},
    {"reply", HEADER, "closeSession xid=1 zxid=2"},
    {"reply", HEADER "ffffffff", "getChildren xid=1 zxid=2 names=null"},
    {"reply", HEADER "0000000f 00 00000000 00000002 2f61 " STAT "ffffffff 01 ffffffff",
     "multi xid=1 zxid=2 {create2 path=\"/a\" " STAT_TEXT "}"},
    {"reply",
     HEADER "00000004 00 00000000 00000001 78 " STAT "00000008 00 00000000 " ONE_STRING
            "ffffffff 00 ffffff9b ffffff9b ffffffff 01 ffffffff",
     "multiRead xid=1 zxid=2 {getData data=78 " STAT_TEXT "} {getChildren names=[/a]} {error number=-101}"},
    {"event", "ffffffff 0000000000000005 00000000 00000001 00000003 00000002 2f61",
     "event zxid=5 type=1 state=3 path=\"/a\""},
    {"connect", "00000000 0000000000000001 00007530 0000000000000000 ffffffff", "connect timeout=30000 seen=1"},
    {"connected", "00000000 00000000 0000000000000000 00000010 00000000000000000000000000000000 00",
     "connected password=00000000000000000000000000000000 read_only=0"},
};

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        check_message(messages[i].direction, messages[i].hex, messages[i].want);
}

/* --- what is no message --- */

static const struct {
    const char *label, *hex;
    enum cairn_zk_error want;
    int32_t xid;
} refused[] = {
    {"nothing", "", CAIRN_ZK_EMARSHALLING, 0},
    {"half a header", "00000001 000000", CAIRN_ZK_EMARSHALLING, 0},
    {"no such operation", "00000001 000003e7", CAIRN_ZK_EUNIMPLEMENTED, 1},
    {"the notification's number", "00000001 00000000", CAIRN_ZK_EUNIMPLEMENTED, 1},
    {"an error is no request", "00000001 ffffffff 00000000", CAIRN_ZK_EUNIMPLEMENTED, 1},
    {"createSession is the server's", "00000001 fffffff6 00000000", CAIRN_ZK_EUNIMPLEMENTED, 1},
    {"deleteContainer is the server's", "00000001 00000014 00000002 2f61", CAIRN_ZK_EUNIMPLEMENTED, 1},
    {"a path of 2 GB", "00000007 00000009 7fffffff 2f", CAIRN_ZK_EMARSHALLING, 7},
    {"a path of -2", "00000007 00000009 fffffffe", CAIRN_ZK_EMARSHALLING, 7},
    {"a path of -2 GB", "00000007 00000009 80000000 2f", CAIRN_ZK_EMARSHALLING, 7},
    {"2^31 - 1 strings", "00000007 00000065 0000000000000000 7fffffff 00000000 00000000", CAIRN_ZK_EMARSHALLING, 7},
    {"-2 strings", "00000007 00000065 0000000000000000 fffffffe 00000000 00000000", CAIRN_ZK_EMARSHALLING, 7},
    {"one string more than there are", "00000007 00000065 0000000000000000 00000003 00000000 00000000",
     CAIRN_ZK_EMARSHALLING, 7},
    {"2^31 - 1 ACLs", "00000007 00000001 00000001 2f 00000000 7fffffff 0000001f 00000000 00000000 00000000",
     CAIRN_ZK_EMARSHALLING, 7},
    {"an ACL that is cut", "00000007 00000001 00000001 2f 00000000 00000001 0000001f 00000000 000000",
     CAIRN_ZK_EMARSHALLING, 7},
    {"a multi in a multi", "00000007 0000000e 0000000e 00 ffffffff ffffffff 01 ffffffff ffffffff 01 ffffffff",
     CAIRN_ZK_EMARSHALLING, 7},
    {"a read in a multi", "00000007 0000000e 00000004 00 ffffffff 00000001 2f 00 ffffffff 01 ffffffff",
     CAIRN_ZK_EMARSHALLING, 7},
    {"a write in a multiRead", "00000007 00000016 00000002 00 ffffffff 00000001 2f 00000000 ffffffff 01 ffffffff",
     CAIRN_ZK_EMARSHALLING, 7},
    {"an error in a multi", "00000007 0000000e ffffffff 00 00000000 00000000 ffffffff 01 ffffffff",
     CAIRN_ZK_EMARSHALLING, 7},
    {"a multi without end", "00000007 0000000e 00000002 00 ffffffff 00000001 2f 00000000", CAIRN_ZK_EMARSHALLING, 7},
    {"a part that is unknown", "00000007 0000000e 000003e7 00 ffffffff ffffffff 01 ffffffff", CAIRN_ZK_EMARSHALLING, 7},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct cairn_bytes bytes = unhex(refused[i].hex);
        struct cairn_zk_request request;
        enum cairn_zk_error got = cairn_zk_request_read(bytes, &request);

        if (got != refused[i].want || request.xid != refused[i].xid)
            fail_msg("%s: got %d of xid %d", refused[i].label, got, request.xid);
        forget(bytes);
    }
}

static void test_refused_replies(void **state)
{
    static const struct {
        const char *label, *hex;
        int32_t op;
    } bad[] = {
        {"an error with something behind it", "00000001 0000000000000002 ffffff9b 00", CAIRN_ZK_OP_EXISTS},
        {"an operation that is none", HEADER, 999},
        {"an error is no operation", HEADER "00000000", CAIRN_ZK_OP_ERROR},
        {"2^31 - 1 names", HEADER "7fffffff 00000000", CAIRN_ZK_OP_GET_CHILDREN},
        {"2^31 - 1 ids", HEADER "7fffffff 00000000 00000000", CAIRN_ZK_OP_WHO_AM_I},
        {"a container in a multi's reply", HEADER "00000013 00 00000000 00000002 2f61 " STAT "ffffffff 01 ffffffff",
         CAIRN_ZK_OP_MULTI},
        {"a read in a multi's reply", HEADER "00000008 00 00000000 00000000 ffffffff 01 ffffffff", CAIRN_ZK_OP_MULTI},
    };
    struct cairn_zk_reply reply;
    struct cairn_zk_event event;
    struct cairn_bytes bytes;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bytes = unhex(bad[i].hex);
        if (cairn_zk_reply_read(bytes, bad[i].op, &reply))
            fail_msg("%s: taken", bad[i].label);
        forget(bytes);
    }
    bytes = unhex("00000001 0000000000000005 00000000 00000001 00000003 00000002 2f61");
    assert_false(cairn_zk_event_read(bytes, &event)); /* the xid is not an event's */
    forget(bytes);
}

/* What Java takes as well: any byte for true, and anything in headers that mean nothing. */
static void test_taken_all_the_same(void **state)
{
    struct cairn_zk_request request;
    struct cairn_bytes bytes = unhex("00000001 00000003 00000001 2f 7f");

    (void)state;
    assert_int_equal(cairn_zk_request_read(bytes, &request), CAIRN_ZK_OK);
    assert_true(request.watch);
    forget(bytes);
    bytes = unhex("00000001 0000000e 00000002 00 00000000 00000001 2f 00000000 00000005 02 00000000");
    assert_int_equal(cairn_zk_request_read(bytes, &request), CAIRN_ZK_OK);
    assert_int_equal(request.multi.count, 1);
    forget(bytes);
}

/* --- frames --- */

static const struct {
    const char *label, *hex;
    bool first;
    enum cairn_zk_frame want;
    size_t used, size;
} frames[] = {
    {"nothing", "", true, CAIRN_ZK_MORE, 0, 0},
    {"half a length", "000000", true, CAIRN_ZK_MORE, 0, 0},
    {"half a frame", "00000004 0102", false, CAIRN_ZK_MORE, 0, 0},
    {"a frame", "00000004 01020304", false, CAIRN_ZK_FRAME, 8, 4},
    {"a frame and more", "00000001 01 00", false, CAIRN_ZK_FRAME, 5, 1},
    {"an empty frame", "00000000", false, CAIRN_ZK_FRAME, 4, 0},
    {"the longest, half", "00000010 00", false, CAIRN_ZK_MORE, 0, 0},
    {"too long", "00000011 00", false, CAIRN_ZK_BAD, 0, 0},
    {"2 GB", "7fffffff", false, CAIRN_ZK_BAD, 0, 0},
    {"less than nothing", "ffffffff", false, CAIRN_ZK_BAD, 0, 0},
    {"ruok", "72756f6b", true, CAIRN_ZK_WORD, 4, 4},
    {"mntr and a line end", "6d6e7472 0a", true, CAIRN_ZK_WORD, 4, 4},
    {"half a word", "6d6e74", true, CAIRN_ZK_MORE, 0, 0},
    {"ruok in the middle", "72756f6b", false, CAIRN_ZK_BAD, 0, 0},
    {"no word", "7a7a7a7a", true, CAIRN_ZK_BAD, 0, 0},
    {"letters across two words", "6f6b6973", true, CAIRN_ZK_BAD, 0, 0},
    {"HTTP", "47455420", true, CAIRN_ZK_BAD, 0, 0},
};

static void test_frames(void **state)
{
    static const char words[][5] = {"ruok", "isro", "srvr", "stat", "conf", "cons", "envi", "dump",
                                    "wchs", "wchc", "wchp", "dirs", "mntr", "crst", "srst", "hash"};
    struct cairn_bytes got;
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct cairn_bytes bytes = unhex(frames[i].hex);
        enum cairn_zk_frame result;

        used = 0;
        got = cairn_bytes(NULL, 0);
        result = cairn_zk_frame_read(bytes, 16, frames[i].first, &got, &used);
        if (result != frames[i].want || used != frames[i].used || got.size != frames[i].size)
            fail_msg("%s: %d, %zu bytes used", frames[i].label, result, used);
        forget(bytes);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_int_equal(cairn_zk_frame_read(cairn_str(words[i]), CAIRN_ZK_FRAME_BYTES_MAX, true, &got, &used),
                         CAIRN_ZK_WORD);
}

static void test_frames_written(void **state)
{
    struct cairn_buf to = {0};
    struct cairn_bytes input, body;
    size_t used, at;

    (void)state;
    for (int i = 0; i < 300; i += 100) {
        at = cairn_zk_frame_begin(&to);
        for (int j = 0; j < i; j++)
            cairn_buf_u8(&to, (uint8_t)j);
        assert_true(cairn_zk_frame_end(&to, at));
    }
    input = cairn_buf_bytes(&to);
    for (size_t i = 0; i < 300; i += 100) {
        assert_int_equal(cairn_zk_frame_read(input, 300, false, &body, &used), CAIRN_ZK_FRAME);
        assert_int_equal(body.size, i);
        input = cairn_bytes(input.data + used, input.size - used);
    }
    assert_int_equal(input.size, 0);
    cairn_buf_done(&to);
}

/* --- random messages come back --- */

static struct cairn_random random_;

static struct cairn_bytes any_bytes(void)
{
    static const uint8_t letters[] = "/abc/\xc3\xa4\x00\xff-0123456789";
    size_t size = cairn_random_below(&random_, sizeof letters);

    return cairn_random_below(&random_, 5) ? cairn_bytes(letters, size) : cairn_bytes(NULL, 0);
}

static int32_t any_int(void)
{
    return (int32_t)cairn_random_u64(&random_) >> cairn_random_below(&random_, 32);
}

static int64_t any_long(void)
{
    return (int64_t)cairn_random_u64(&random_) >> cairn_random_below(&random_, 64);
}

enum { BUFS = 12 };

struct bufs {
    struct cairn_buf all[BUFS];
    int used;
};

static struct cairn_buf *next_buf(struct bufs *bufs)
{
    assert_true(bufs->used < BUFS);
    return &bufs->all[bufs->used++];
}

static struct cairn_zk_vector any_vector(struct bufs *bufs, char kind)
{
    struct cairn_zk_vector vector = {0};
    struct cairn_buf *items = next_buf(bufs);
    uint64_t count = cairn_random_below(&random_, 6);

    if (count == 5)
        vector.count = -1;
    for (uint64_t i = 0; i < count && count < 5; i++) {
        if (kind == 's')
            cairn_zk_string_add(items, &vector, any_bytes());
        else if (kind == 'a')
            cairn_zk_acl_add(items, &vector, &(struct cairn_zk_acl){any_int(), any_bytes(), any_bytes()});
        else
            cairn_zk_id_add(items, &vector, &(struct cairn_zk_id){any_bytes(), any_bytes()});
    }
    return vector;
}

/* Every member has something, whichever the operation needs. */
static struct cairn_zk_request any_request(struct bufs *bufs, int32_t op)
{
    struct cairn_zk_request request = {.xid = any_int(),
                                       .op = op,
                                       .path = any_bytes(),
                                       .data = any_bytes(),
                                       .scheme = any_bytes(),
                                       .acl = any_vector(bufs, 'a'),
                                       .flags = any_int(),
                                       .version = any_int(),
                                       .kind = any_int(),
                                       .watch = any_int() & 1,
                                       .ttl_ms = any_long(),
                                       .zxid = any_long(),
                                       .joining = any_bytes(),
                                       .leaving = any_bytes(),
                                       .members = any_bytes()};

    for (int i = 0; i < CAIRN_ZK_SET_COUNT; i++)
        request.watches[i] = any_vector(bufs, 's');
    return request;
}

static struct cairn_zk_reply any_reply(struct bufs *bufs)
{
    struct cairn_zk_reply reply = {.xid = any_int(),
                                   .zxid = any_long(),
                                   .path = any_bytes(),
                                   .data = any_bytes(),
                                   .acl = any_vector(bufs, 'a'),
                                   .names = any_vector(bufs, 's'),
                                   .ids = any_vector(bufs, 'i'),
                                   .number = any_int()};

    reply.stat = (struct cairn_zk_stat){any_long(), any_long(), any_long(), any_long(), any_int(), any_int(),
                                        any_int(),  any_long(), any_int(),  any_int(),  any_long()};
    return reply;
}

static void done(struct bufs *bufs)
{
    for (int i = 0; i < bufs->used; i++)
        cairn_buf_done(&bufs->all[i]);
    bufs->used = 0;
}

/* Writing, reading and writing again gives the same bytes. */
static void check_round(const char *direction, int32_t op, const struct cairn_buf *sent)
{
    struct cairn_buf told = {0}, again = {0};

    if (!convert(direction, op, cairn_buf_bytes(sent), &told, &again))
        fail_msg("%s %s of %zu bytes is refused", direction, cairn_zk_op_name(op), sent->size);
    assert_int_equal(again.size, sent->size);
    assert_memory_equal(again.data, sent->data, sent->size);
    cairn_buf_done(&told);
    cairn_buf_done(&again);
}

static const int32_t writes[] = {CAIRN_ZK_OP_CREATE,     CAIRN_ZK_OP_CREATE2, CAIRN_ZK_OP_CREATE_CONTAINER,
                                 CAIRN_ZK_OP_CREATE_TTL, CAIRN_ZK_OP_DELETE,  CAIRN_ZK_OP_SET_DATA,
                                 CAIRN_ZK_OP_CHECK},
                     reads[] = {CAIRN_ZK_OP_GET_DATA, CAIRN_ZK_OP_GET_CHILDREN};

static void round_of_multi(int32_t op)
{
    bool read = op == CAIRN_ZK_OP_MULTI_READ;
    struct cairn_zk_request multi = {.xid = any_int(), .op = op};
    struct cairn_zk_reply reply = {.xid = any_int(), .zxid = any_long()};
    struct cairn_buf parts = {0}, slots = {0}, sent = {0};

    for (uint64_t n = cairn_random_below(&random_, 5); n > 0; n--) {
        struct bufs bufs = {0};
        int32_t part = read ? reads[cairn_random_below(&random_, 2)] : writes[cairn_random_below(&random_, 7)];
        struct cairn_zk_request request = any_request(&bufs, part);
        struct cairn_zk_reply slot;

        cairn_zk_multi_add(&parts, &multi.multi, &request);
        done(&bufs);
        slot = any_reply(&bufs);
        cairn_zk_result_add(&slots, &reply.multi, cairn_random_below(&random_, 4) ? part : CAIRN_ZK_OP_ERROR, &slot);
        done(&bufs);
    }
    cairn_zk_request_add(&sent, &multi);
    check_round("request", op, &sent);
    sent.size = 0;
    cairn_zk_reply_add(&sent, op, &reply);
    check_round("reply", op, &sent);
    cairn_buf_done(&parts);
    cairn_buf_done(&slots);
    cairn_buf_done(&sent);
}

static void test_random_round_trips(void **state)
{
    int ops = 0;

    (void)state;
    cairn_random_init(&random_, 7);
    for (int32_t op = -20; op < 200; op++) {
        bool multi = op == CAIRN_ZK_OP_MULTI || op == CAIRN_ZK_OP_MULTI_READ;

        if (!cairn_zk_op_name(op) || op == CAIRN_ZK_OP_CREATE_SESSION || op == CAIRN_ZK_OP_ERROR)
            continue;
        ops++;
        for (int i = 0; i < 200; i++) {
            struct bufs bufs = {0};
            struct cairn_buf sent = {0};
            struct cairn_zk_request request;
            struct cairn_zk_reply reply;

            if (multi) {
                round_of_multi(op);
                continue;
            }
            request = any_request(&bufs, op);
            cairn_zk_request_add(&sent, &request);
            check_round("request", op, &sent);
            done(&bufs);
            sent.size = 0;
            reply = any_reply(&bufs);
            reply.error = i % 4 ? 0 : any_int();
            cairn_zk_reply_add(&sent, op, &reply);
            check_round("reply", op, &sent);
            done(&bufs);
            cairn_buf_done(&sent);
        }
    }
    assert_int_equal(ops, 29);
}

static void test_names(void **state)
{
    int errors = 0;

    (void)state;
    assert_string_equal(cairn_zk_op_name(CAIRN_ZK_OP_GET_CHILDREN2), "getChildren2");
    assert_null(cairn_zk_op_name(10));
    assert_string_equal(cairn_zk_error_name(-110), "NodeExists");
    assert_null(cairn_zk_error_name(-3));
    for (int32_t error = -200; error <= 0; error++)
        errors += cairn_zk_error_name(error) != NULL;
    assert_int_equal(errors, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_replies),
        cmocka_unit_test(test_taken_all_the_same),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_frames_written),
        cmocka_unit_test(test_random_round_trips),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
