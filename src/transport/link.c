/*
 * link.c - the parts of the seam that need no state of the transport: tickets, the short forms of
 * failing, and sending a message of the table.
 */
#include "transport/link.h"

enum { TICKET_MASK = (1 << NC_OWNER_SHIFT) - 1 };

uint32_t nc_link_ticket(nc_link *l, uint32_t owner)
{
    l->next_ticket = (l->next_ticket + 1) & TICKET_MASK;
    if (l->next_ticket == 0) {
        l->next_ticket = 1;
    }
    l->open_tickets++;
    return owner << NC_OWNER_SHIFT | l->next_ticket;
}

void nc_link_ticket_done(nc_link *l)
{
    if (l->open_tickets > 0) {
        l->open_tickets--;
    }
}

int nc_link_fail(nc_link *l, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = l->ops->vfail(l, status, NACRE_BY_PEER, fmt, ap);
    va_end(ap);
    return rc;
}

int nc_link_fail_local(nc_link *l, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = l->ops->vfail(l, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    return rc;
}

int nc_link_send(nc_link *l, const nc_msg_desc *d, const void *msg)
{
    nc_wr *w = l->ops->begin(l, 0);
    nc_msg_encode(d, w, msg);
    return l->ops->end(l);
}
