/* Would catch: a ZooKeeper message that is read beyond its end, or that does not come back when it is written again;
 * frames that are cut otherwise when they arrive in two portions; a path's parts outside of it.  The first byte chooses
 * what the input is: a stream of frames as a server sees it, or one message of a server, and of which operation. */
#include <stdint.h>
#include <stdlib.h>

#include "proto/zk_path.h"
#include "proto/zk.h"

enum { BYTES_MAX = 4096 };

static void check(bool good)
{
    if (!good)
        abort();
}

/* What is in a vector can be taken out, as many as it says. */
static void check_strings(const struct cairn_zk_vector *vector)
{
    struct cairn_bytes items = vector->items, string;
    int32_t count = 0;

    for (; cairn_zk_string_next(&items, &string); count++)
        cairn_zk_path_fault(string, true); /* reads all of it */
    check(count == (vector->count > 0 ? vector->count : 0));
}

static void check_acl(const struct cairn_zk_vector *vector)
{
    struct cairn_bytes items = vector->items;
    struct cairn_zk_acl acl;
    int32_t count = 0;

    for (; cairn_zk_acl_next(&items, &acl); count++)
        cairn_zk_path_fault(acl.id, true);
    check(count == (vector->count > 0 ? vector->count : 0));
}

static void check_ids(const struct cairn_zk_vector *vector)
{
    struct cairn_bytes items = vector->items;
    struct cairn_zk_id id;
    int32_t count = 0;

    for (; cairn_zk_id_next(&items, &id); count++)
        cairn_zk_path_fault(id.user, true);
    check(count == (vector->count > 0 ? vector->count : 0));
}

static void check_request(const struct cairn_zk_request *request)
{
    check_acl(&request->acl);
    for (int i = 0; i < CAIRN_ZK_SET_COUNT; i++)
        check_strings(&request->watches[i]);
}

static void check_path(struct cairn_bytes path)
{
    struct cairn_bytes parent, name;

    if (cairn_zk_path_fault(path, false))
        return;
    parent = cairn_zk_path_parent(path);
    name = cairn_zk_path_name(path);
    check(cairn_zk_path_fault(parent, false) == NULL && cairn_zk_path_within(path, parent));
    check(parent.size + name.size + (parent.size > 1) == path.size);
}

/* A message that was understood is understood again when it is written, and then has the same bytes. */
static void take_request(struct cairn_bytes body)
{
    struct cairn_zk_request request, part;
    struct cairn_buf first = {0}, second = {0};
    struct cairn_bytes items;
    int32_t count = 0;

    if (cairn_zk_request_read(body, &request) != CAIRN_ZK_OK)
        return;
    check_path(request.path);
    check_request(&request);
    items = request.multi.items;
    while (cairn_zk_multi_next(&items, &part)) {
        check_request(&part);
        count++;
    }
    check(count == request.multi.count);
    cairn_zk_request_add(&first, &request);
    check(first.size == body.size);
    check(cairn_zk_request_read(cairn_buf_bytes(&first), &request) == CAIRN_ZK_OK);
    cairn_zk_request_add(&second, &request);
    check(cairn_bytes_equal(cairn_buf_bytes(&first), cairn_buf_bytes(&second)));
    cairn_buf_done(&first);
    cairn_buf_done(&second);
}

static void take_connect(struct cairn_bytes body)
{
    struct cairn_zk_connect connect;
    struct cairn_buf again = {0};

    if (!cairn_zk_connect_read(body, &connect))
        return;
    cairn_zk_connect_add(&again, &connect);
    check(again.size == body.size);
    cairn_buf_done(&again);
}

/* What a server tells of data[0..size) if data[0..first) arrives before the rest. */
static void serve(const uint8_t *data, size_t first, size_t size, struct cairn_buf *told)
{
    size_t at = 0;
    bool ended = false;

    for (int portion = 0; portion < 2 && !ended; portion++) {
        size_t end = portion ? size : first;

        while (at < end && !ended) {
            size_t used = 0, room = end - at;
            uint8_t *copy = malloc(room); /* what has arrived and not a byte more */
            struct cairn_bytes body = {0};
            enum cairn_zk_frame result;

            memcpy(copy, data + at, room);
            result = cairn_zk_frame_read(cairn_bytes(copy, room), BYTES_MAX, at == 0, &body, &used);
            check(used <= room && (result == CAIRN_ZK_FRAME || result == CAIRN_ZK_WORD) == (used > 0));
            if (result != CAIRN_ZK_MORE)
                cairn_buf_u8(told, (uint8_t)result);
            if (result == CAIRN_ZK_FRAME) {
                uint8_t *alone = malloc(body.size ? body.size : 1);

                if (body.size)
                    memcpy(alone, body.data, body.size);
                cairn_buf_add(told, &body.size, sizeof body.size);
                if (at == 0)
                    take_connect(cairn_bytes(alone, body.size));
                take_request(cairn_bytes(alone, body.size));
                free(alone);
            }
            ended = result == CAIRN_ZK_BAD || result == CAIRN_ZK_WORD;
            free(copy);
            at += used;
            if (result == CAIRN_ZK_MORE)
                break;
        }
    }
}

static void take_reply(int32_t op, struct cairn_bytes body)
{
    struct cairn_zk_reply reply, slot;
    struct cairn_zk_event event;
    struct cairn_zk_connected connected;
    struct cairn_buf first = {0}, second = {0};
    int32_t slot_op, count = 0;

    if (cairn_zk_reply_read(body, op, &reply)) {
        struct cairn_bytes items = reply.multi.items;

        check(cairn_zk_xid(body) == reply.xid);
        check_acl(&reply.acl);
        check_strings(&reply.names);
        check_ids(&reply.ids);
        while (cairn_zk_result_next(&items, &slot_op, &slot))
            count++;
        check(count == reply.multi.count);
        cairn_zk_reply_add(&first, op, &reply);
        check(first.size == body.size && cairn_zk_reply_read(cairn_buf_bytes(&first), op, &reply));
        cairn_zk_reply_add(&second, op, &reply);
        check(cairn_bytes_equal(cairn_buf_bytes(&first), cairn_buf_bytes(&second)));
    }
    first.size = 0;
    if (cairn_zk_event_read(body, &event)) {
        cairn_zk_event_add(&first, &event);
        check(cairn_bytes_equal(cairn_buf_bytes(&first), body));
    }
    first.size = 0;
    if (cairn_zk_connected_read(body, &connected)) {
        cairn_zk_connected_add(&first, &connected);
        check(first.size == body.size);
    }
    cairn_buf_done(&first);
    cairn_buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_buf whole = {0}, cut = {0};
    uint8_t choice;

    if (size < 2)
        return 0;
    choice = data[0];
    data++;
    size--;
    if (choice >= 128) { /* operations are -11 to 107 */
        take_reply((int32_t)choice - 139, cairn_bytes(data, size));
        return 0;
    }
    serve(data, size, size, &whole);
    serve(data, choice % size, size, &cut);
    check(cairn_bytes_equal(cairn_buf_bytes(&whole), cairn_buf_bytes(&cut)));
    cairn_buf_done(&whole);
    cairn_buf_done(&cut);
    return 0;
}
