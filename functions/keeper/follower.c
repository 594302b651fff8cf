/* follower.c - sessions: each takes its client's writes in the order in which they are sent, and hands them on.
 *
 * A Session waits for the Tree in the middle of a method, having written nothing; the next invocation may begin
 * meanwhile.  So many writes of a client are under way at once, their calls arrive at the Tree in the order in which
 * they were made, and that is the order in which they take effect. */
#include "keeper.h"

uint64_t arg_uint(uint32_t i, uint32_t bytes)
{
    struct cairn_bytes arg = cairn_arg(i);
    uint64_t integer = 0;

    if (arg.size != bytes) {
        cairn_fail("bad_argument", cairn_text("argument %u must have %u bytes", i + 1, bytes));
        cairn_exit();
    }
    memcpy(&integer, arg.data, bytes);
    return integer;
}

__attribute__((noreturn)) static void refuse(int32_t error)
{
    cairn_fail("zk", cairn_text("%d 0 0", error));
    cairn_exit();
}

/* By the id. */
static uint64_t session_number(void)
{
    struct cairn_bytes id = cairn_self_id();
    uint64_t number = 0;

    for (uint32_t i = 0; i < id.size; i++) {
        uint32_t c = id.data[i], digit = c - '0' < 10 ? c - '0' : c - 'a' < 6 ? c - 'a' + 10 : 16;

        if (digit == 16 || id.size != 16)
            refuse(E_ARGUMENTS);
        number = number << 4 | digit;
    }
    return number;
}

static bool record_get(struct cairn_keeper_record *ret)
{
    struct cairn_bytes value;

    if (!cairn_get(Session_record, &value))
        return false;
    memcpy(ret, value.data, sizeof *ret);
    return true;
}

/* Ends the method if the session is over, or another connection has it.  Generation 0 is no connection's. */
static void check_generation(uint32_t generation)
{
    struct cairn_keeper_record record;

    if (!record_get(&record))
        refuse(E_EXPIRED);
    if (generation != record.generation)
        refuse(E_MOVED);
}

/* Its result is this method's, or its error ends the method. */
static void tree(const char *method, const struct cairn_args *args)
{
    struct cairn_outcome outcome = cairn_wait(cairn_call("Tree", cairn_str(CAIRN_KEEPER_TREE_ID), method, args));

    if (!outcome.ok) {
        cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
        cairn_exit();
    }
    cairn_result_packed(outcome.value);
}

/* open PASSWORD TIMEOUT EPOCH: [zxid].  The record comes last: what a crash leaves before it ends by its time-out. */
CAIRN_METHOD(Session, open, CAIRN_PUBLIC)
{
    struct cairn_keeper_record record = {.timeout_ms = (uint32_t)arg_uint(1, 4), .generation = 1}, before;
    uint64_t session = session_number();
    struct cairn_bytes password = cairn_arg(0);
    struct cairn_args args = {0};

    if (password.size != sizeof record.password || record_get(&before)) {
        cairn_fail("bad_argument", "a password has 16 bytes, and a session is opened once");
        return;
    }
    memcpy(record.password, password.data, password.size);
    cairn_args_add(&args, cairn_bytes(&session, 8));
    cairn_args_add(&args, cairn_arg(1));
    cairn_args_add(&args, cairn_arg(2));
    tree("open", &args);
    cairn_set(Session_record, cairn_bytes(&record, sizeof record));
}

/* attach PASSWORD GENERATION: [generation, timeout].  With 0 the session gets a new generation, and the connection that
 * had it before is refused from then on; with another one nothing changes. */
CAIRN_METHOD(Session, attach, CAIRN_PUBLIC)
{
    struct cairn_keeper_record record;
    uint32_t generation = (uint32_t)arg_uint(1, 4);
    struct cairn_bytes password = cairn_arg(0);
    struct cairn_pack result = {0};

    if (!record_get(&record) || !cairn_equal(password, cairn_bytes(record.password, sizeof record.password))) {
        cairn_fail("expired", "there is no such session, or it has another password");
        return;
    }
    if (generation == 0) {
        record.generation = record.generation + 1 ? record.generation + 1 : 1;
        cairn_set(Session_record, cairn_bytes(&record, sizeof record));
    } else {
        check_generation(generation);
    }
    cairn_pack_list(&result, 2);
    cairn_pack_int(&result, record.generation);
    cairn_pack_int(&result, record.timeout_ms);
    cairn_result_packed(cairn_packed(&result));
}

/* An operation, argument i and those behind it; returns which is behind them. */
static uint32_t hand_on(struct cairn_args *args, uint32_t i, struct cairn_bytes identities)
{
    int32_t op = (int32_t)arg_uint(i, 4);
    uint32_t count = is_create(op) ? 5 + (op == OP_CREATE_TTL) : op == OP_SET_DATA || op == OP_SET_ACL ? 4 : 3;

    for (uint32_t k = 0; k < count; k++) {
        struct cairn_bytes arg = cairn_arg(i + k);
        bool is_acl = (is_create(op) && k == 3) || (op == OP_SET_ACL && k == 2);

        cairn_args_add(args, is_acl ? acl_fixed(arg, identities) : arg);
    }
    return i + count;
}

/* write GENERATION NUMBER EPOCH IDENTITIES COUNT {PARTS {OP ...}}: [result ...], of each transaction [zxid, slot...] or
 * an error.  NUMBER is the last one's; PARTS 0: one operation, and it is no multi. */
CAIRN_METHOD(Session, write, CAIRN_PUBLIC)
{
    uint64_t session = session_number();
    struct cairn_bytes identities = cairn_arg(3);
    uint32_t i = 5, count = (uint32_t)arg_uint(4, 4);
    struct cairn_args args = {0};

    check_generation((uint32_t)arg_uint(0, 4));
    cairn_args_add(&args, cairn_bytes(&session, 8));
    for (uint32_t k = 1; k < i; k++)
        cairn_args_add(&args, cairn_arg(k));
    while (count-- > 0) {
        uint32_t parts = (uint32_t)arg_uint(i, 4);

        cairn_args_add(&args, cairn_arg(i++));
        for (parts += parts == 0; parts > 0; parts--)
            i = hand_on(&args, i, identities);
    }
    tree("commit", &args);
}

/* close GENERATION EPOCH: [zxid].  Generation 0: it has expired.  Once more does no harm. */
CAIRN_METHOD(Session, close, CAIRN_PUBLIC)
{
    uint64_t session = session_number();
    uint32_t generation = (uint32_t)arg_uint(0, 4);
    struct cairn_keeper_record record;
    struct cairn_args args = {0};

    if (generation != 0)
        check_generation(generation);
    cairn_args_add(&args, cairn_bytes(&session, 8));
    cairn_args_add(&args, cairn_arg(1));
    tree("close", &args);
    if (record_get(&record))
        cairn_delete_self();
}
