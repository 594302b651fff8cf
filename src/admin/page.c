#include "admin/page.h"

#include "object/worker.h"

void page_begin(struct page *page, struct cairn_worker *worker)
{
    *page = (struct page){.worker = worker, .until_ns = worker_clock_ns(worker) + PAGE_NS};
}

bool page_full(struct page *page, uint64_t entries, size_t bytes)
{
    if (entries >= CAIRN_PAGE_ENTRIES || bytes >= CAIRN_PAGE_BYTES || page->late)
        return true;
    if (entries < PAGE_ENTRIES_MIN || entries % PAGE_ENTRIES_MIN)
        return false;
    page->late = worker_clock_ns(page->worker) >= page->until_ns;
    return page->late;
}
