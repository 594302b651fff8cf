/* Accounts that never spend what they have not.
 *
 * A transfer debits its own account first, and that is kept from when the call leaves; then it credits the other
 * one.  If that is refused the money is put back.  Between the two the money is on its way: in neither account.
 *
 * A move is the same as a transaction: both accounts change at once, or none does, and the money is never on its way.
 * It is shorter, as nothing has to be put back, and it waits for others that have one of the accounts. */
#include <cairn/guest.h>

CAIRN_MODULE(bank);
CAIRN_TYPE(Account);
CAIRN_VALUE(Account, balance);

/* Half of what an integer holds, so that a refund always fits. */
static const int64_t balance_max = INT64_MAX / 2;

static bool take_amount(uint32_t i, int64_t *ret_amount)
{
    *ret_amount = cairn_arg_int(i);
    if (*ret_amount > 0 && *ret_amount <= balance_max)
        return true;
    cairn_fail("bad_amount", "an amount must be above zero and below 2^62");
    return false;
}

/* Both return whether it was done, and fail the method if not. */
static bool add(int64_t amount)
{
    int64_t balance = cairn_get_int(Account_balance, 0);

    if (amount > balance_max - balance) {
        cairn_fail("too_much", "no account holds that much");
        return false;
    }
    cairn_set_int(Account_balance, balance + amount);
    cairn_result_int(balance + amount);
    return true;
}

static bool spend(int64_t amount)
{
    int64_t balance = cairn_get_int(Account_balance, 0);

    if (amount > balance) {
        cairn_fail("insufficient", cairn_text("the balance is %lld", (long long)balance));
        return false;
    }
    cairn_set_int(Account_balance, balance - amount);
    cairn_result_int(balance - amount);
    return true;
}

/* All return the new balance. */
CAIRN_METHOD(Account, deposit, CAIRN_PUBLIC)
{
    int64_t amount;

    if (take_amount(0, &amount))
        add(amount);
}

CAIRN_METHOD(Account, withdraw, CAIRN_PUBLIC)
{
    int64_t amount;

    if (take_amount(0, &amount))
        spend(amount);
}

CAIRN_METHOD(Account, balance, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_get_int(Account_balance, 0));
}

CAIRN_METHOD(Account, credit, CAIRN_INTERNAL)
{
    int64_t amount;

    if (take_amount(0, &amount))
        add(amount);
}

/* What a refused transfer puts back; it always fits. */
CAIRN_METHOD(Account, refund, CAIRN_INTERNAL)
{
    cairn_set_int(Account_balance, cairn_get_int(Account_balance, 0) + cairn_arg_int(0));
}

/* transfer(to, amount).  A method that fails leaves nothing of its last segment, so the refund is a call of its own: it
 * is kept though the transfer fails. */
CAIRN_METHOD(Account, transfer, CAIRN_PUBLIC)
{
    struct cairn_bytes to = cairn_arg(0);
    struct cairn_args args = {0};
    struct cairn_outcome credit, refund;
    int64_t amount;

    if (!take_amount(1, &amount) || !spend(amount))
        return;
    cairn_args_add_int(&args, amount);
    credit = cairn_wait(cairn_call("Account", to, "credit", &args));
    if (credit.ok)
        return;
    refund = cairn_wait(cairn_call("Account", cairn_self_id(), "refund", &args));
    cairn_fail(refund.ok ? "refunded" : "not_refunded", cairn_text("the other account refused: %b", credit.code));
}

/* move(to, amount).  A failure anywhere undoes all of it. */
CAIRN_METHOD(Account, move, CAIRN_PUBLIC, CAIRN_TRANSACTION)
{
    struct cairn_bytes to = cairn_arg(0);
    struct cairn_args args = {0};
    struct cairn_outcome credit;
    int64_t amount;

    if (!take_amount(1, &amount) || !spend(amount))
        return;
    cairn_args_add_int(&args, amount);
    credit = cairn_wait(cairn_call("Account", to, "credit", &args));
    if (!credit.ok)
        cairn_fail("refused", cairn_text("the other account refused: %b", credit.code));
}

/* total(account ...): of this one and those, at one moment. */
CAIRN_METHOD(Account, total, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_TRANSACTION)
{
    int64_t total = cairn_get_int(Account_balance, 0);

    for (uint32_t i = 0; i < cairn_arg_count(); i++)
        cairn_call("Account", cairn_arg(i), "balance", NULL);
    cairn_wait_all();
    for (uint32_t i = 0; i < cairn_arg_count(); i++) {
        struct cairn_outcome balance = cairn_outcome(i);
        struct cairn_unpack unpack = cairn_unpack(balance.value);

        if (!balance.ok) {
            cairn_fail("not_read", cairn_text("an account could not be read: %b", balance.code));
            return;
        }
        total += cairn_unpack_int(&unpack);
    }
    cairn_result_int(total);
}
