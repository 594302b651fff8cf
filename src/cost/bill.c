#include "cost/bill.h"

/* So many of so many bytes together. */
static double sized(const struct cairn_sized_price *price, uint64_t count, uint64_t bytes)
{
    return count ? (double)count * cairn_sized_cost(price, bytes / count + (bytes % count != 0)) : 0;
}

struct cairn_bill cairn_bill(const struct cairn_prices *prices, const char *name,
                             const uint64_t metered[CAIRN_MEASURES], uint64_t served_ms, double memory_gib)
{
    struct cairn_bill bill = {.name = name};
    double requests = (double)metered[CAIRN_METERED_REQUESTS];

    memcpy(bill.metered, metered, sizeof bill.metered);
    bill.gib_seconds = memory_gib > 0 ? (double)metered[CAIRN_METERED_CPU_NS] / 1e9 * memory_gib
                                      : (double)metered[CAIRN_METERED_MEMORY] / 1e6 / (1 << 20);
    bill.dollars[CAIRN_BILL_CALLS] = (double)metered[CAIRN_METERED_INVOCATIONS] * prices->call;
    bill.dollars[CAIRN_BILL_TIME] = bill.gib_seconds * prices->gb_second;
    bill.dollars[CAIRN_BILL_HOPS] =
        sized(&prices->message, metered[CAIRN_METERED_HOPS], metered[CAIRN_METERED_HOP_BYTES]);
    bill.dollars[CAIRN_BILL_READS] =
        sized(&prices->entry_read, metered[CAIRN_METERED_READS], metered[CAIRN_METERED_READ_BYTES]);
    bill.dollars[CAIRN_BILL_WRITES] =
        sized(&prices->entry_write, metered[CAIRN_METERED_WRITES], metered[CAIRN_METERED_WRITTEN_BYTES]);
    for (int i = 0; i < CAIRN_BILL_ITEMS; i++)
        bill.total += bill.dollars[i];
    if (requests > 0)
        bill.request = bill.total / requests;
    if (served_ms)
        bill.requests_day = requests * 86400e3 / (double)served_ms;
    return bill;
}

double cairn_bill_even(const struct cairn_bill *bill, const struct cairn_machine_price *machine, uint64_t count)
{
    return bill->request > 0 ? (double)count * machine->hour * 24 / bill->request : 0;
}
