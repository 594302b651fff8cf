/* leaders.c - a leaderboard: players' points, the best ten, a player's place and neighbours.
 *
 * A Board holds up to millions of players.  `points` says how many each has; `ranking` is ordered by points, the most
 * first, and for equal points by name, so a player's place is a rank and the best ten are the first ten keys.  Days
 * has a board for each day, which a timer begins. */
#include <cairn/guest.h>

CAIRN_MODULE(leaders);
CAIRN_TYPE(Board);
CAIRN_MAP(Board, points);
CAIRN_ORDERED(Board, ranking); /* points in descending order, player: nothing */

static struct cairn_bytes ranking_key(int64_t points, struct cairn_bytes player)
{
    struct cairn_key key = {0};

    cairn_key_down(&key);
    cairn_key_int(&key, points);
    cairn_key_rest(&key, player);
    return cairn_key(&key);
}

static bool points_of(struct cairn_bytes player, int64_t *ret_points)
{
    struct cairn_bytes value;
    struct cairn_unpack unpack;

    if (!cairn_map_get(Board_points, player, &value))
        return false;
    unpack = cairn_unpack(value);
    *ret_points = cairn_unpack_int(&unpack);
    return true;
}

/* Returns the player's place: 1 is the best. */
static void set_points(struct cairn_bytes player, int64_t points)
{
    struct cairn_bytes key = ranking_key(points, player);
    int64_t before;

    if (player.size == 0 || player.size > 512) {
        cairn_fail("bad_argument", "a player's name has 1 to 512 bytes");
        return;
    }
    if (points_of(player, &before) && before != points)
        cairn_ordered_remove(Board_ranking, ranking_key(before, player));
    cairn_map_set_int(Board_points, player, points);
    cairn_ordered_set(Board_ranking, key, cairn_str(""));
    cairn_result_int((int64_t)cairn_ordered_rank(Board_ranking, key) + 1);
}

/* score PLAYER POINTS: sets them. */
CAIRN_METHOD(Board, score, CAIRN_PUBLIC)
{
    set_points(cairn_arg(0), cairn_arg_int(1));
}

/* add PLAYER POINTS: to what there are. */
CAIRN_METHOD(Board, add, CAIRN_PUBLIC)
{
    int64_t points = 0, sum;

    points_of(cairn_arg(0), &points);
    if (__builtin_add_overflow(points, cairn_arg_int(1), &sum)) {
        cairn_fail("bad_argument", "so many points do not fit into 64 bits");
        return;
    }
    set_points(cairn_arg(0), sum);
}

/* 1 if the player was there. */
CAIRN_METHOD(Board, leave, CAIRN_PUBLIC)
{
    int64_t points;
    bool there = points_of(cairn_arg(0), &points);

    if (there) {
        cairn_map_remove(Board_points, cairn_arg(0));
        cairn_ordered_remove(Board_ranking, ranking_key(points, cairn_arg(0)));
    }
    cairn_result_int(there);
}

CAIRN_METHOD(Board, players, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int((int64_t)cairn_map_count(Board_points));
}

/* rank PLAYER: the place, 1 is the best; nil if there is no such player. */
CAIRN_METHOD(Board, rank, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    int64_t points;

    if (points_of(cairn_arg(0), &points))
        cairn_result_int((int64_t)cairn_ordered_rank(Board_ranking, ranking_key(points, cairn_arg(0))) + 1);
}

/* A list of player and points for each of `count` places from `place` (0 is the best) on. */
static void result_places(uint64_t place, uint32_t count)
{
    uint64_t players = cairn_ordered_count(Board_ranking);
    uint32_t there = place >= players ? 0 : players - place < count ? (uint32_t)(players - place) : count;
    struct cairn_ordered_iter it = cairn_ordered_from_place(Board_ranking, place, there);
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, there);
    while (cairn_ordered_next(&it)) {
        struct cairn_unkey key = cairn_unkey(it.key);
        int64_t points;

        cairn_unkey_down(&key);
        points = cairn_unkey_int(&key);
        cairn_pack_list(&pack, 2);
        cairn_pack_bytes(&pack, cairn_unkey_rest(&key));
        cairn_pack_int(&pack, points);
    }
    cairn_result_packed(cairn_packed(&pack));
}

static uint32_t at_most_1000(int64_t count)
{
    return count < 0 ? 0 : count > 1000 ? 1000 : (uint32_t)count;
}

/* top [COUNT]: the best 10, or as many; a list of player and points each. */
CAIRN_METHOD(Board, top, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    result_places(0, at_most_1000(cairn_arg_int_or(0, 10)));
}

/* neighbours PLAYER [COUNT]: the player, with up to 3 or COUNT others above and as many below; as top. */
CAIRN_METHOD(Board, neighbours, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    uint64_t around = at_most_1000(cairn_arg_int_or(1, 3)), place, first;
    int64_t points;

    if (!points_of(cairn_arg(0), &points)) {
        cairn_fail("not_found", "there is no such player");
        return;
    }
    place = cairn_ordered_rank(Board_ranking, ranking_key(points, cairn_arg(0)));
    first = place > around ? place - around : 0;
    result_places(first, (uint32_t)(place - first + around + 1));
}

/* --- by day ----------------------------------------------------------------------------------------- */

/* A game has a board for each day: Days/chess plays on Board/chess:1, Board/chess:2, and so on.  A timer begins the new
 * day; if the node was stopped at midnight it does so late, and counts the days that it missed. */
CAIRN_TYPE(Days);
CAIRN_VALUE(Days, day); /* 0, or missing: it was not opened */

static struct cairn_bytes board_of(int64_t day)
{
    return cairn_str(cairn_text("%b:%lld", cairn_self_id(), day));
}

/* open [ZONE]: days begin at midnight of that time zone, UTC if there is none. */
CAIRN_METHOD(Days, open, CAIRN_PUBLIC)
{
    cairn_timer_cron("midnight", "0 0 * * *", cairn_arg_count() ? cairn_text("%b", cairn_arg(0)) : NULL, "begin_day",
                     NULL);
    if (cairn_get_int(Days_day, 0) == 0)
        cairn_set_int(Days_day, 1);
}

CAIRN_METHOD(Days, begin_day, CAIRN_INTERNAL)
{
    cairn_set_int(Days_day, cairn_get_int(Days_day, 0) + 1 + (int64_t)cairn_timer_missed());
}

/* The id of today's board. */
CAIRN_METHOD(Days, today, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_bytes(board_of(cairn_get_int(Days_day, 0)));
}

/* add PLAYER POINTS: on today's board; the player's place there. */
CAIRN_METHOD(Days, add, CAIRN_PUBLIC)
{
    int64_t day = cairn_get_int(Days_day, 0);
    struct cairn_args args = {0};
    struct cairn_outcome place;

    if (day == 0) {
        cairn_fail("not_open", "open it first: its days have not begun");
        return;
    }
    cairn_args_add(&args, cairn_arg(0));
    cairn_args_add(&args, cairn_arg(1));
    place = cairn_wait(cairn_call("Board", board_of(day), "add", &args));
    if (place.ok)
        cairn_result_packed(place.value);
    else
        cairn_fail(cairn_text("%b", place.code), cairn_text("%b", place.message));
}
