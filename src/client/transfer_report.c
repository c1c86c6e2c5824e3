/*
 * transfer_report.c - the balance of a transfer: what went, what did not, and why.
 */
#include "client/transfer_report.h"

#include "base/mem.h"

#include <string.h>

enum { ITEMS_MAX = 10000, ITEMS_FIRST = 16 };

void nc_report_init(nacre_sftp_report *r, const nacre_allocator *alloc)
{
    memset(r, 0, sizeof(*r));
    r->allocator = alloc;
}

static void item_clear(const nacre_allocator *a, nacre_sftp_item *item)
{
    nc_free(a, (void *)(uintptr_t)item->from);
    nc_free(a, (void *)(uintptr_t)item->to);
    nc_free(a, (void *)(uintptr_t)item->why);
}

/* The list doubles when its count is a power of two, so it needs no capacity beside it. */
static bool make_room(nacre_sftp_report *r)
{
    size_t n = r->item_count;
    if (n >= ITEMS_FIRST ? (n & (n - 1)) != 0 : n != 0) {
        return true;
    }
    size_t room = n == 0 ? ITEMS_FIRST : 2 * n;
    nacre_sftp_item *items = nc_resize(r->allocator, r->items, room * sizeof(*items));
    if (items) {
        r->items = items;
    }
    return items != NULL;
}

static void keep(nacre_sftp_report *r, const nacre_sftp_item *item)
{
    if (r->item_count >= ITEMS_MAX || !make_room(r)) {
        return;
    }
    nacre_sftp_item copy = *item;
    copy.from = nc_strdup(r->allocator, item->from ? item->from : "");
    copy.to = nc_strdup(r->allocator, item->to ? item->to : "");
    copy.why = nc_strdup(r->allocator, item->why ? item->why : "");
    if (!copy.from || !copy.to || !copy.why) {
        item_clear(r->allocator, &copy);
        return;
    }
    r->items[r->item_count++] = copy;
}

void nc_report_add(nacre_sftp_report *r, const nacre_sftp_item *item, bool link)
{
    r->bytes += item->bytes;
    switch (item->outcome) {
    case NACRE_SFTP_COPIED:
        *(link ? &r->links : item->directory ? &r->directories : &r->files) += 1;
        break;
    case NACRE_SFTP_SKIPPED:
        r->skipped++;
        keep(r, item);
        break;
    case NACRE_SFTP_FAILED:
        r->failed++;
        keep(r, item);
        break;
    default:
        break;
    }
}

void nacre_sftp_report_free(nacre_sftp_report *r)
{
    if (!r) {
        return;
    }
    for (size_t i = 0; i < r->item_count; i++) {
        item_clear(r->allocator, &r->items[i]);
    }
    nc_free(r->allocator, r->items);
    nc_report_init(r, r->allocator);
}
