/* retwis_strings.c - ReTwis whose entries are one string each, `author|milliseconds|text`: the same as
 * bench/peers/redis/retwis_strings.lua, with the same results.  (functions/retwis keeps tuples.)
 *
 * A post has as many followers at most as a segment may have calls. */
#include <cairn/guest.h>

enum { TIMELINE_MAX = 100, READ_DEFAULT = 10, READ_MAX = 1000 };

CAIRN_MODULE(retwis_strings);
CAIRN_TYPE(User);
CAIRN_LIST(User, posts);
CAIRN_LIST(User, timeline);
CAIRN_MAP(User, following); /* keys are ids, values empty */
CAIRN_MAP(User, followers);

static const struct cairn_bytes nothing;

static void add_to_timeline(struct cairn_bytes entry)
{
    uint64_t count;

    cairn_list_push(User_timeline, entry);
    count = cairn_list_count(User_timeline);
    if (count > TIMELINE_MAX)
        cairn_list_drop_oldest(User_timeline, count - TIMELINE_MAX);
}

static uint8_t *add(uint8_t *to, struct cairn_bytes bytes)
{
    memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

/* An encoded string, so that a timeline goes out as it is stored. */
static struct cairn_bytes entry_of(struct cairn_bytes text)
{
    struct cairn_bytes author = cairn_self_id(), time = cairn_str(cairn_text("|%lld|", cairn_now()));
    uint8_t *entry = cairn_alloc(author.size + time.size + text.size);
    uint8_t *end = add(add(add(entry, author), time), text);
    struct cairn_pack packed = {0};

    cairn_pack_bytes(&packed, cairn_bytes(entry, (uint32_t)(end - entry)));
    return cairn_packed(&packed);
}

/* Returns the number of followers, each of which has got it. */
CAIRN_METHOD(User, post, CAIRN_PUBLIC)
{
    struct cairn_bytes entry = entry_of(cairn_arg(0));
    struct cairn_map_iter follower = cairn_map_entries(User_followers, 0, UINT64_MAX);
    struct cairn_args args = {0};
    uint32_t calls = 0, failed = 0;

    cairn_list_push(User_posts, entry);
    add_to_timeline(entry);
    cairn_args_add(&args, entry);
    for (; cairn_map_next(&follower); calls++)
        cairn_call("User", follower.key, "deliver", &args);
    if (calls > 0)
        cairn_wait_all();
    for (uint32_t call = 0; call < calls; call++)
        failed += !cairn_outcome(call).ok;
    if (failed > 0)
        cairn_fail("partial", cairn_text("%u of %u followers could not be reached", failed, calls));
    else
        cairn_result_int(calls);
}

CAIRN_METHOD(User, deliver, CAIRN_INTERNAL)
{
    add_to_timeline(cairn_arg(0));
}

/* Returns 1, or 0 if the other was followed already. */
CAIRN_METHOD(User, follow, CAIRN_PUBLIC)
{
    struct cairn_bytes whom = cairn_arg(0);
    struct cairn_args args = {0};
    struct cairn_outcome outcome;

    cairn_map_set(User_following, whom, nothing);
    cairn_args_add(&args, cairn_self_id());
    outcome = cairn_wait(cairn_call("User", whom, "add_follower", &args));
    if (outcome.ok)
        cairn_result_packed(outcome.value);
    else
        cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
}

CAIRN_METHOD(User, add_follower, CAIRN_INTERNAL)
{
    struct cairn_bytes who = cairn_arg(0);
    bool had = cairn_map_has(User_followers, who);

    if (!had)
        cairn_map_set(User_followers, who, nothing);
    cairn_result_int(!had);
}

/* The newest entries, newest first; the number is the first argument. */
CAIRN_METHOD(User, timeline, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    int64_t n = cairn_arg_int_or(0, READ_DEFAULT);

    if (n < 0 || n > READ_MAX)
        cairn_fail("bad_argument", "the number of entries must be from 0 to 1000");
    else
        cairn_result_newest(User_timeline, 0, (uint32_t)n);
}
