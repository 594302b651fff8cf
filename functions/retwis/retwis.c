/* ReTwis: users follow each other and read what they post.
 *
 * A post is a tuple [author, milliseconds, text].  It goes into the author's own posts and timeline, and is delivered
 * to every follower; timelines are in order of arrival and keep the newest 100. */
#include <cairn/guest.h>

enum {
    TIMELINE_MAX = 100,
    READ_DEFAULT = 10,
    READ_MAX = 1000,
    PART_MAX = 1000, /* calls before a wait; a segment may have some thousands */
};

CAIRN_MODULE(retwis);
CAIRN_TYPE(User);
CAIRN_VALUE(User, profile);
CAIRN_LIST(User, posts);
CAIRN_LIST(User, timeline);
CAIRN_MAP(User, following); /* keys are ids, values empty */
CAIRN_MAP(User, followers);
CAIRN_MAP(User, blocked);

static const struct cairn_bytes nothing;

static void add_to_timeline(struct cairn_bytes post)
{
    uint64_t count;

    cairn_list_push(User_timeline, post);
    count = cairn_list_count(User_timeline);
    if (count > TIMELINE_MAX)
        cairn_list_drop_oldest(User_timeline, count - TIMELINE_MAX);
}

/* Newest first; the number is the first argument. */
static void read_list(struct cairn_list_field list)
{
    int64_t n = cairn_arg_int_or(0, READ_DEFAULT);

    if (n < 0 || n > READ_MAX) {
        cairn_fail("bad_argument", "the number of entries must be from 0 to 1000");
        return;
    }
    cairn_result_newest(list, 0, (uint32_t)n);
}

/* Calls object.METHOD(id). */
static struct cairn_outcome tell(struct cairn_bytes object, const char *method, struct cairn_bytes id)
{
    struct cairn_args args = {0};

    cairn_args_add(&args, id);
    return cairn_wait(cairn_call("User", object, method, &args));
}

/* Fails as a call has failed. */
static void fail_as(struct cairn_outcome outcome)
{
    cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
}

CAIRN_METHOD(User, create, CAIRN_PUBLIC)
{
    cairn_set(User_profile, cairn_arg(0));
}

CAIRN_METHOD(User, profile, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes name;

    if (cairn_get(User_profile, &name))
        cairn_result_bytes(name);
}

/* The error `blocked` means that the other does not want it. */
CAIRN_METHOD(User, follow, CAIRN_PUBLIC)
{
    struct cairn_bytes whom = cairn_arg(0), self = cairn_self_id();
    struct cairn_outcome outcome;

    if (cairn_equal(whom, self)) {
        cairn_fail("bad_argument", "nobody follows themselves");
        return;
    }
    cairn_map_set(User_following, whom, nothing);
    outcome = tell(whom, "add_follower", self);
    if (outcome.ok) {
        cairn_result_int(1);
        return;
    }
    /* A method that fails leaves nothing of its last segment, so taking it back is a call of its own.  After any other
     * error following is kept: to follow again does the rest. */
    if (cairn_equal(outcome.code, cairn_str("blocked")))
        tell(self, "forget", whom);
    fail_as(outcome);
}

CAIRN_METHOD(User, forget, CAIRN_INTERNAL)
{
    cairn_map_remove(User_following, cairn_arg(0));
}

/* Returns whether the other was followed. */
CAIRN_METHOD(User, unfollow, CAIRN_PUBLIC)
{
    struct cairn_bytes whom = cairn_arg(0);
    bool followed = cairn_map_remove(User_following, whom);
    struct cairn_outcome outcome = tell(whom, "remove_follower", cairn_self_id());

    if (outcome.ok)
        cairn_result_int(followed);
    else
        fail_as(outcome);
}

CAIRN_METHOD(User, add_follower, CAIRN_INTERNAL)
{
    struct cairn_bytes who = cairn_arg(0);

    if (cairn_map_has(User_blocked, who)) {
        cairn_fail("blocked", "this user does not want to be followed by you");
        return;
    }
    cairn_map_set(User_followers, who, nothing);
}

CAIRN_METHOD(User, remove_follower, CAIRN_INTERNAL)
{
    cairn_map_remove(User_followers, cairn_arg(0));
}

/* A user that is blocked gets no later post: the posts that are on their way were made before. */
CAIRN_METHOD(User, block, CAIRN_PUBLIC)
{
    struct cairn_bytes whom = cairn_arg(0);

    cairn_map_set(User_blocked, whom, nothing);
    cairn_map_remove(User_followers, whom);
}

/* What is left to go through, as keys. */
static struct cairn_bytes *keys_left(struct cairn_map_iter *iter, uint64_t count)
{
    struct cairn_bytes *keys = cairn_alloc((uint32_t)count * (uint32_t)sizeof *keys);

    for (uint64_t i = 0; i < count && cairn_map_next(iter); i++)
        keys[i] = iter->key;
    return keys;
}

/* Waits for the calls made since there were `from`; returns how many have failed. */
static uint32_t wait_for(uint32_t from, uint32_t calls)
{
    uint32_t failed = 0;

    if (calls > from)
        cairn_wait_all();
    for (uint32_t call = from; call < calls; call++)
        failed += !cairn_outcome(call).ok;
    return failed;
}

/* Returns to how many followers the post was delivered.  They are those that there were when it was made: a wait ends
 * the segment, and others may follow then or cease to, so all of them are read before the first. */
CAIRN_METHOD(User, post, CAIRN_PUBLIC)
{
    struct cairn_bytes text = cairn_arg(0), *more = 0;
    struct cairn_map_iter follower = cairn_map_entries(User_followers, 0, UINT64_MAX);
    struct cairn_pack post = {0};
    struct cairn_args args = {0};
    uint32_t calls = 0, count, failed;

    cairn_pack_list(&post, 3);
    cairn_pack_bytes(&post, cairn_self_id());
    cairn_pack_int(&post, cairn_now());
    cairn_pack_bytes(&post, text);
    cairn_list_push(User_posts, cairn_packed(&post));
    add_to_timeline(cairn_packed(&post));

    cairn_args_add(&args, cairn_packed(&post));
    for (; calls < PART_MAX && cairn_map_next(&follower); calls++)
        cairn_call("User", follower.key, "deliver", &args);
    count = calls;
    if (calls == PART_MAX) {
        count = (uint32_t)cairn_map_count(User_followers);
        more = keys_left(&follower, count - calls);
    }
    failed = wait_for(0, calls);
    while (calls < count) {
        uint32_t from = calls;

        for (; calls < count && calls - from < PART_MAX; calls++)
            cairn_call("User", more[calls - PART_MAX], "deliver", &args);
        failed += wait_for(from, calls);
    }

    if (failed > 0)
        cairn_fail("partial", cairn_text("%u of %u followers could not be reached", failed, calls));
    else
        cairn_result_int(calls);
}

CAIRN_METHOD(User, deliver, CAIRN_INTERNAL)
{
    add_to_timeline(cairn_arg(0));
}

CAIRN_METHOD(User, timeline, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    read_list(User_timeline);
}

CAIRN_METHOD(User, posts, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    read_list(User_posts);
}
