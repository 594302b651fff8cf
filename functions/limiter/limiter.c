/* limiter.c - how often something may be done: a token bucket for each key, which is the id of a Limiter.
 *
 *     FCALL Limiter.take 1 alice 10 100 60000        bursts of 10, then 100 in 60,000 ms
 *
 * A bucket holds up to `burst` tokens and gets `count` new ones, evenly, every `period` ms.  It is kept as one number,
 * the time at which it will be full again (the "generic cell rate algorithm" of ATM Forum's Traffic Management 4.0,
 * 4.4.2): taking a token moves that time by period / count, and a bucket of which nothing was ever taken is full.  So
 * no timer fills buckets, a refusal writes nothing, and a setting takes effect when it is next given. */
#include <cairn/guest.h>

CAIRN_MODULE(limiter);
CAIRN_TYPE(Limiter);
CAIRN_VALUE(Limiter, full_at); /* ns since 1970 */

static const int64_t ms = 1000000; /* ns */
static const int64_t longest =
    3660LL * 86400 * 1000000000; /* ns: filling an empty bucket takes no longer, about 10 years */

struct bucket {
    int64_t now, full_at, each, size; /* ns: a token, a whole bucket */
    int64_t burst, cost;
};

/* burst, count, period, and with `cost` how many tokens.  False: the method has failed. */
static bool bucket_read(struct bucket *b, bool cost)
{
    int64_t count = cairn_arg_int(1), period = cairn_arg_int(2);

    b->burst = cairn_arg_int(0);
    b->cost = cost ? cairn_arg_int_or(3, 1) : 0;
    if (b->burst < 1 || count < 1 || period < 1 || period > longest / ms) {
        cairn_fail("bad_argument", "burst, count and period (ms, at most ten years) must be above zero");
        return false;
    }
    b->each = period * ms / count;
    if (b->each < 1 || __builtin_mul_overflow(b->burst, b->each, &b->size) || b->size > longest) {
        cairn_fail("bad_argument", "a token must take 1 ns at least, and a whole bucket ten years at most");
        return false;
    }
    if (b->cost < 0 || b->cost > b->burst) {
        cairn_fail("bad_argument", cairn_text("the cost must be 0 to %lld, which is the burst", (long long)b->burst));
        return false;
    }
    b->now = cairn_now() * ms;
    b->full_at = cairn_get_int(Limiter_full_at, 0);
    if (b->full_at < b->now)
        b->full_at = b->now;
    if (b->full_at > b->now + b->size) /* it was larger or slower before */
        b->full_at = b->now + b->size;
    return true;
}

static int64_t up_to_ms(int64_t ns)
{
    return (ns + ms - 1) / ms;
}

/* allowed (1 or 0), tokens left, ms until the cost can be had (0: now), ms until the bucket is full. */
static void bucket_result(const struct bucket *b, bool allowed, int64_t wait)
{
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, 4);
    cairn_pack_int(&pack, allowed);
    cairn_pack_int(&pack, (b->size - (b->full_at - b->now)) / b->each);
    cairn_pack_int(&pack, up_to_ms(wait));
    cairn_pack_int(&pack, up_to_ms(b->full_at - b->now));
    cairn_result_packed(cairn_packed(&pack));
}

/* take BURST COUNT PERIOD [COST]: takes COST tokens (1), or none of them. */
CAIRN_METHOD(Limiter, take, CAIRN_PUBLIC)
{
    struct bucket b;
    int64_t wait;

    if (!bucket_read(&b, true))
        return;
    wait = b.full_at + b.cost * b.each - b.size - b.now;
    if (wait <= 0 && b.cost > 0) {
        b.full_at += b.cost * b.each;
        cairn_set_int(Limiter_full_at, b.full_at);
    }
    bucket_result(&b, wait <= 0, wait > 0 ? wait : 0);
}

/* look BURST COUNT PERIOD: the same, and takes nothing; 1 if a token can be had. */
CAIRN_METHOD(Limiter, look, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct bucket b;
    int64_t wait;

    if (!bucket_read(&b, false))
        return;
    wait = b.full_at + b.each - b.size - b.now;
    bucket_result(&b, wait <= 0, wait > 0 ? wait : 0);
}

/* All tokens are back. */
CAIRN_METHOD(Limiter, refill, CAIRN_PUBLIC)
{
    cairn_delete_self();
}
