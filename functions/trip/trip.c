/* A trip is a flight and a room, or nothing: what was reserved is given back if the other cannot be had.
 *
 * Booking is a durable method.  However often the node is killed meanwhile, it comes to its end, and each seat and each
 * room is reserved once.  Reserving is by the trip's id, so that releasing knows what to give back, and may be asked
 * for although nothing was reserved: so it is where a wait says that the trip is cancelled, and the call may still
 * come. */
#include <cairn/guest.h>

CAIRN_MODULE(trip);
CAIRN_TYPE(Flight);
CAIRN_VALUE(Flight, seats);
CAIRN_MAP(Flight, passengers);
CAIRN_TYPE(Hotel);
CAIRN_VALUE(Hotel, rooms);
CAIRN_MAP(Hotel, guests);
CAIRN_TYPE(Trip);
CAIRN_VALUE(Trip, state); /* "booking", "booked", "failed" */

/* Takes one of what is left for the calling trip, once. */
static void reserve(struct cairn_value_field left, struct cairn_map_field taken, const char *what)
{
    struct cairn_bytes type, trip;
    int64_t count = cairn_get_int(left, 0);

    if (!cairn_caller(&type, &trip)) {
        cairn_fail("not_a_trip", "only trips reserve");
        return;
    }
    if (cairn_map_has(taken, trip)) {
        cairn_fail("reserved_before", "this trip has reserved it before");
        return;
    }
    if (count == 0) {
        cairn_fail("sold_out", cairn_text("no %s is left", what));
        return;
    }
    cairn_set_int(left, count - 1);
    cairn_map_set_int(taken, trip, cairn_now());
    cairn_result_int(count - 1);
}

static void release(struct cairn_value_field left, struct cairn_map_field taken)
{
    struct cairn_bytes type, trip;

    if (cairn_caller(&type, &trip) && cairn_map_remove(taken, trip))
        cairn_set_int(left, cairn_get_int(left, 0) + 1);
}

CAIRN_METHOD(Flight, offer, CAIRN_PUBLIC)
{
    cairn_set_int(Flight_seats, cairn_get_int(Flight_seats, 0) + cairn_arg_int(0));
}

CAIRN_METHOD(Flight, reserve, CAIRN_INTERNAL)
{
    reserve(Flight_seats, Flight_passengers, "seat");
}

CAIRN_METHOD(Flight, release, CAIRN_INTERNAL)
{
    release(Flight_seats, Flight_passengers);
}

CAIRN_METHOD(Flight, left, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Flight_seats, 0));
}

CAIRN_METHOD(Hotel, offer, CAIRN_PUBLIC)
{
    cairn_set_int(Hotel_rooms, cairn_get_int(Hotel_rooms, 0) + cairn_arg_int(0));
}

CAIRN_METHOD(Hotel, reserve, CAIRN_INTERNAL)
{
    reserve(Hotel_rooms, Hotel_guests, "room");
}

CAIRN_METHOD(Hotel, release, CAIRN_INTERNAL)
{
    release(Hotel_rooms, Hotel_guests);
}

CAIRN_METHOD(Hotel, left, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Hotel_rooms, 0));
}

/* flight, hotel: both or none.  A trip is booked once. */
CAIRN_METHOD(Trip, book, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_bytes state;
    struct cairn_outcome seat, room, missing;

    if (cairn_get(Trip_state, &state)) {
        cairn_fail("booked_before", cairn_text("this trip is %b already", state));
        return;
    }
    cairn_set(Trip_state, cairn_str("booking"));
    seat = cairn_wait(cairn_call("Flight", cairn_arg(0), "reserve", NULL));
    missing = seat;
    if (seat.ok) {
        room = cairn_wait(cairn_call("Hotel", cairn_arg(1), "reserve", NULL));
        missing = room;
        if (!room.ok)
            cairn_wait(cairn_call("Flight", cairn_arg(0), "release", NULL));
    }
    if (!missing.ok && cairn_equal(missing.code, cairn_str("cancelled"))) { /* each comes behind what it takes back */
        cairn_call("Flight", cairn_arg(0), "release", NULL);
        cairn_call("Hotel", cairn_arg(1), "release", NULL);
        cairn_wait_all();
    }
    cairn_set(Trip_state, cairn_str(missing.ok ? "booked" : "failed"));
    if (missing.ok)
        cairn_result_str("booked");
    else
        cairn_result_bytes(missing.code);
}

CAIRN_METHOD(Trip, state, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes state;

    if (cairn_get(Trip_state, &state))
        cairn_result_bytes(state);
}
