/* shop.c - carts, stock, orders and payments, of which none is ever half done.
 *
 *     FCALL Stock.put 1 tea 100 250                  a hundred packets for 250 cents each
 *     FCALL Cart.add 1 alice tea 2
 *     FCALL Cart.checkout 2 alice order-17           the key is the order's id: twice is once
 *     FCALL Payment.pay 1 order-17                   ends when the payment's promise is resolved
 *
 * Checking out is a transaction over the cart, the stock of every item in it, and the new order: all of them change, or
 * none.  What an order holds is given back by its timer if the order is not paid in 15 minutes.  Paying is a durable
 * method that waits for a promise, which the payment provider resolves over HTTP; no restart loses it.  The receipt is
 * a message to the customer's mailbox, tried until the mailbox takes it.
 *
 * What is put into a stock is at any time either left, held by open orders, or sold by paid ones. */
#include <cairn/guest.h>

CAIRN_MODULE(shop);

CAIRN_TYPE(Stock); /* the id is the item's name */
CAIRN_VALUE(Stock, price);
CAIRN_VALUE(Stock, left);
CAIRN_VALUE(Stock, sold);
CAIRN_MAP(Stock, held); /* order: count */

CAIRN_TYPE(Cart);       /* the id is the customer's name */
CAIRN_MAP(Cart, items); /* item: count */
CAIRN_LIST(Cart, orders);

CAIRN_TYPE(Order);
CAIRN_VALUE(Order, state); /* "open", "paid", "released" */
CAIRN_VALUE(Order, customer);
CAIRN_VALUE(Order, total); /* cents */
CAIRN_MAP(Order, items);   /* item: count */

CAIRN_TYPE(Payment); /* the id is the order's */
CAIRN_VALUE(Payment, promise);

CAIRN_TYPE(Mailbox); /* the id is the customer's name */
CAIRN_LIST(Mailbox, receipts);
CAIRN_VALUE(Mailbox, closed);

enum { ITEMS_MAX = 100, COUNT_MAX = 1000000, PRICE_MAX = 1000000000 };
static const int64_t unpaid_ms = 15 * 60 * 1000;

/* --- what several use ----------------------------------------------------------------------- */

/* Fails as a call did. */
static void fail_as(struct cairn_outcome outcome)
{
    cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
}

static void map_clear(struct cairn_map_field field)
{
    struct cairn_map_iter first = cairn_map_entries(field, 0, 1);

    while (cairn_map_next(&first)) {
        cairn_map_remove(field, first.key);
        first = cairn_map_entries(field, 0, 1);
    }
}

static void result_items(struct cairn_map_field field)
{
    struct cairn_map_iter it = cairn_map_entries(field, 0, UINT64_MAX);
    struct cairn_pack items = {0};

    cairn_pack_list(&items, (uint32_t)cairn_map_count(field));
    while (cairn_map_next(&it)) {
        cairn_pack_list(&items, 2);
        cairn_pack_bytes(&items, it.key);
        cairn_pack_value(&items, it.value);
    }
    cairn_result_packed(cairn_packed(&items));
}

/* A hundred at most. */
static void result_newest(struct cairn_list_field field)
{
    struct cairn_list_iter it = cairn_list_newest(field, 0, 100);
    uint64_t count = cairn_list_count(field);
    struct cairn_pack entries = {0};

    cairn_pack_list(&entries, count < 100 ? (uint32_t)count : 100);
    while (cairn_list_next(&it))
        cairn_pack_bytes(&entries, it.entry);
    cairn_result_packed(cairn_packed(&entries));
}

/* --- stock ---------------------------------------------------------------------------------- */

/* put COUNT PRICE: so many more, for so many cents each from now on. */
CAIRN_METHOD(Stock, put, CAIRN_PUBLIC)
{
    int64_t count = cairn_arg_int(0), price = cairn_arg_int(1), left = cairn_get_int(Stock_left, 0);

    if (count < 0 || count > COUNT_MAX || price < 1 || price > PRICE_MAX || left > INT64_MAX - count) {
        cairn_fail("bad_argument", "count is 0 to a million, price 1 to a billion cents");
        return;
    }
    cairn_set_int(Stock_left, left + count);
    cairn_set_int(Stock_price, price);
    cairn_result_int(left + count);
}

/* left, held, sold */
CAIRN_METHOD(Stock, counts, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_map_iter it = cairn_map_entries(Stock_held, 0, UINT64_MAX);
    struct cairn_pack counts = {0};
    int64_t held = 0;

    while (cairn_map_next(&it)) {
        struct cairn_unpack count = cairn_unpack(it.value);

        held += cairn_unpack_int(&count);
    }
    cairn_pack_list(&counts, 3);
    cairn_pack_int(&counts, cairn_get_int(Stock_left, 0));
    cairn_pack_int(&counts, held);
    cairn_pack_int(&counts, cairn_get_int(Stock_sold, 0));
    cairn_result_packed(cairn_packed(&counts));
}

/* hold ORDER COUNT: returns what they cost. */
CAIRN_METHOD(Stock, hold, CAIRN_INTERNAL)
{
    int64_t count = cairn_arg_int(1), left = cairn_get_int(Stock_left, 0);

    if (count > left) {
        cairn_fail("sold_out", cairn_text("%lld of %b are left", (long long)left, cairn_self_id()));
        return;
    }
    cairn_set_int(Stock_left, left - count);
    cairn_map_set_int(Stock_held, cairn_arg(0), count);
    cairn_result_int(count * cairn_get_int(Stock_price, 0));
}

/* Both by the order itself, which is the caller, about what it holds. */
static int64_t hold_end(void)
{
    struct cairn_bytes type, order;
    int64_t count = 0;

    if (cairn_caller(&type, &order)) {
        count = cairn_map_get_int(Stock_held, order, 0);
        cairn_map_remove(Stock_held, order);
    }
    return count;
}

CAIRN_METHOD(Stock, release, CAIRN_INTERNAL)
{
    cairn_set_int(Stock_left, cairn_get_int(Stock_left, 0) + hold_end());
}

CAIRN_METHOD(Stock, sell, CAIRN_INTERNAL)
{
    cairn_set_int(Stock_sold, cairn_get_int(Stock_sold, 0) + hold_end());
}

/* --- cart ----------------------------------------------------------------------------------- */

/* add ITEM [COUNT]: returns how many there are now. */
CAIRN_METHOD(Cart, add, CAIRN_PUBLIC)
{
    struct cairn_bytes item = cairn_arg(0);
    int64_t count = cairn_arg_int_or(1, 1), before = cairn_map_get_int(Cart_items, item, 0);

    if (item.size == 0 || item.size > 200 || count < 1 || count > COUNT_MAX - before) {
        cairn_fail("bad_argument", "an item has 1 to 200 bytes, and a cart at most a million of it");
        return;
    }
    if (before == 0 && cairn_map_count(Cart_items) == ITEMS_MAX) {
        cairn_fail("full", cairn_text("a cart has at most %u kinds of items", (uint32_t)ITEMS_MAX));
        return;
    }
    cairn_map_set_int(Cart_items, item, before + count);
    cairn_result_int(before + count);
}

/* remove ITEM: all of it; 1 if there was any. */
CAIRN_METHOD(Cart, remove, CAIRN_PUBLIC)
{
    cairn_result_int(cairn_map_remove(Cart_items, cairn_arg(0)));
}

/* [[item, count], ...] */
CAIRN_METHOD(Cart, items, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    result_items(Cart_items);
}

/* [order, ...], newest first */
CAIRN_METHOD(Cart, orders, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    result_newest(Cart_orders);
}

/* checkout [ORDER]: makes an order of all that is in the cart, which is empty then; returns what it costs.  Without
 * ORDER the request's idempotency key is its id. */
CAIRN_METHOD(Cart, checkout, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    struct cairn_bytes order;
    struct cairn_map_iter it = cairn_map_entries(Cart_items, 0, UINT64_MAX);
    struct cairn_args open = {0};
    struct cairn_outcome outcome;
    uint32_t count = (uint32_t)cairn_map_count(Cart_items);
    int64_t total = 0;

    if (cairn_arg_count() > 0 || !cairn_request_key(&order))
        order = cairn_arg(0);
    if (count == 0) {
        cairn_fail("empty", "there is nothing in the cart");
        return;
    }
    cairn_args_add(&open, cairn_self_id());
    while (cairn_map_next(&it)) {
        struct cairn_unpack number = cairn_unpack(it.value);
        int64_t pieces = cairn_unpack_int(&number);
        struct cairn_args hold = {0};

        cairn_args_add(&hold, order);
        cairn_args_add_int(&hold, pieces);
        cairn_call("Stock", it.key, "hold", &hold);
        cairn_args_add(&open, it.key);
        cairn_args_add_int(&open, pieces);
    }
    cairn_wait_all();
    for (uint32_t i = 0; i < count; i++) {
        struct cairn_unpack cost;

        outcome = cairn_outcome(i);
        if (!outcome.ok) {
            fail_as(outcome);
            return;
        }
        cost = cairn_unpack(outcome.value);
        total += cairn_unpack_int(&cost);
    }
    cairn_args_add_int(&open, total);
    outcome = cairn_wait(cairn_call("Order", order, "open", &open));
    if (!outcome.ok) {
        fail_as(outcome);
        return;
    }
    map_clear(Cart_items);
    cairn_list_push(Cart_orders, order);
    cairn_result_int(total);
}

/* --- order ---------------------------------------------------------------------------------- */

/* open CUSTOMER [ITEM COUNT] ... TOTAL, by the customer's cart */
CAIRN_METHOD(Order, open, CAIRN_INTERNAL)
{
    uint32_t last = cairn_arg_count() - 1;
    struct cairn_bytes before;

    if (cairn_get(Order_state, &before)) {
        cairn_fail("ordered_before", cairn_text("order %b is %b", cairn_self_id(), before));
        return;
    }
    cairn_set(Order_state, cairn_str("open"));
    cairn_set(Order_customer, cairn_arg(0));
    for (uint32_t i = 1; i < last; i += 2)
        cairn_map_set_int(Order_items, cairn_arg(i), cairn_arg_int(i + 1));
    cairn_set_int(Order_total, cairn_arg_int(last));
    cairn_timer_set("unpaid", cairn_now() + unpaid_ms, "expire", NULL);
}

/* It is over: each stock does `method` with what the order holds of it.  False: it was over before, or a stock has
 * failed, and so has the method. */
static bool order_end(const char *state, const char *method)
{
    struct cairn_map_iter it = cairn_map_entries(Order_items, 0, UINT64_MAX);
    struct cairn_bytes before;

    if (!cairn_get(Order_state, &before)) {
        cairn_fail("not_found", cairn_text("there is no order %b", cairn_self_id()));
        return false;
    }
    if (!cairn_equal(before, cairn_str("open"))) {
        cairn_fail("not_open", cairn_text("order %b is %b", cairn_self_id(), before));
        return false;
    }
    cairn_set(Order_state, cairn_str(state));
    cairn_timer_cancel("unpaid");
    while (cairn_map_next(&it))
        cairn_call("Stock", it.key, method, NULL);
    cairn_wait_all(); /* in a transaction a call that fails, and is not asked for, fails all of it */
    return true;
}

/* By its timer. */
CAIRN_METHOD(Order, expire, CAIRN_INTERNAL, CAIRN_TRANSACTION)
{
    struct cairn_bytes state;

    if (cairn_get(Order_state, &state) && cairn_equal(state, cairn_str("open")))
        order_end("released", "release");
}

/* By its customer. */
CAIRN_METHOD(Order, cancel, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    order_end("released", "release");
}

/* By its payment. */
CAIRN_METHOD(Order, paid, CAIRN_INTERNAL, CAIRN_TRANSACTION)
{
    struct cairn_args receipt = {0};
    struct cairn_bytes customer = {0};

    if (!order_end("paid", "sell"))
        return;
    cairn_get(Order_customer, &customer);
    cairn_args_add(&receipt, cairn_self_id());
    cairn_args_add_int(&receipt, cairn_get_int(Order_total, 0));
    cairn_send("Mailbox", customer, "receive", &receipt);
}

/* Its total, while it is open. */
CAIRN_METHOD(Order, due, CAIRN_INTERNAL, CAIRN_READ_ONLY)
{
    struct cairn_bytes state;

    if (!cairn_get(Order_state, &state))
        cairn_fail("not_found", cairn_text("there is no order %b", cairn_self_id()));
    else if (!cairn_equal(state, cairn_str("open")))
        cairn_fail("not_open", cairn_text("order %b is %b", cairn_self_id(), state));
    else
        cairn_result_int(cairn_get_int(Order_total, 0));
}

CAIRN_METHOD(Order, state, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes state;

    if (cairn_get(Order_state, &state))
        cairn_result_bytes(state);
}

CAIRN_METHOD(Order, total, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Order_total, 0));
}

CAIRN_METHOD(Order, items, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    result_items(Order_items);
}

/* --- payment -------------------------------------------------------------------------------- */

/* Waits until the promise is resolved: then the order is paid.  If it is rejected, or nothing is heard for as long as
 * an order stays open, the order is cancelled.  Returns the total. */
CAIRN_METHOD(Payment, pay, CAIRN_PUBLIC, CAIRN_DURABLE)
{
    struct cairn_outcome due = cairn_wait(cairn_call("Order", cairn_self_id(), "due", NULL)), word, paid;
    struct cairn_bytes promise, before;
    uint32_t number;

    if (!due.ok) {
        fail_as(due);
        return;
    }
    if (cairn_get(Payment_promise, &before)) {
        cairn_fail("paid_before", "this order's payment has begun before");
        return;
    }
    number = cairn_promise_within(unpaid_ms, &promise);
    cairn_set(Payment_promise, promise);
    word = cairn_wait(number);
    if (!word.ok) {
        cairn_wait(cairn_call("Order", cairn_self_id(), "cancel", NULL));
        fail_as(word);
        return;
    }
    paid = cairn_wait(cairn_call("Order", cairn_self_id(), "paid", NULL));
    if (paid.ok)
        cairn_result_packed(due.value);
    else
        cairn_fail("refund", "the money came when the order was over: give it back");
}

/* The promise's id, for the payment provider: POST /v1/promises/ID. */
CAIRN_METHOD(Payment, promise, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    struct cairn_bytes promise;

    if (cairn_get(Payment_promise, &promise))
        cairn_result_bytes(promise);
}

/* --- mailbox -------------------------------------------------------------------------------- */

/* receive ORDER TOTAL: while the mailbox is closed, it comes again later. */
CAIRN_METHOD(Mailbox, receive, CAIRN_INTERNAL)
{
    if (cairn_get_int(Mailbox_closed, 0)) {
        cairn_retry(0);
        return;
    }
    cairn_list_push(Mailbox_receipts,
                    cairn_str(cairn_text("order %b: %lld cents", cairn_arg(0), (long long)cairn_arg_int(1))));
}

/* close 1, close 0: no receipts, receipts again. */
CAIRN_METHOD(Mailbox, close, CAIRN_PUBLIC)
{
    cairn_set_int(Mailbox_closed, cairn_arg_int(0) != 0);
}

CAIRN_METHOD(Mailbox, receipts, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    result_newest(Mailbox_receipts);
}
