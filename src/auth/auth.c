/*
 * auth.c - userauth as a service: the object, the method names, and the way from the transport's calls
 * to the machine of the role. What the machines do is in auth_client.c and auth_server.c.
 */
#include "auth/auth_state.h"

#include <string.h>

const char nc_auth_service_wanted[] = "ssh-connection";
const char nc_auth_hostbound[] = "publickey-hostbound-v00@openssh.com";

static const char *const method_names[NC_AUTH_UNKNOWN] = {
    [NC_AUTH_NONE] = "none",           [NC_AUTH_PASSWORD] = "password",
    [NC_AUTH_PUBLICKEY] = "publickey", [NC_AUTH_INTERACTIVE] = "keyboard-interactive",
    [NC_AUTH_HOSTBASED] = "hostbased",
};

const char *nc_auth_method_name(nc_auth_method m)
{
    return m < NC_AUTH_UNKNOWN ? method_names[m] : "";
}

nc_auth_method nc_auth_method_find(nacre_span name)
{
    nc_auth_method m = NC_AUTH_NONE;
    while (m < NC_AUTH_UNKNOWN && !nc_span_is(name, method_names[m])) {
        m++;
    }
    return m;
}

void nc_auth_event(nacre_event *ev, nacre_event_type type, uint32_t ticket)
{
    memset(ev, 0, sizeof(*ev));
    ev->type = type;
    ev->ticket = ticket;
}

void nc_auth_ticket_done(nc_auth *a, uint32_t *ticket)
{
    if (*ticket) {
        nc_link_ticket_done(a->link);
        *ticket = 0;
    }
}

int nc_auth_new(nc_auth **out, nc_link *link)
{
    *out = NULL;
    nc_auth *a = nc_zalloc(link->alloc, sizeof(*a));
    if (!a) {
        return NACRE_NO_MEMORY;
    }
    a->link = link;
    nc_auth_client_init(a);
    int rc = nc_auth_server_init(a);
    if (rc != NACRE_OK) {
        nc_auth_free(a);
        return rc;
    }
    *out = a;
    return NACRE_OK;
}

void nc_auth_free(nc_auth *a)
{
    if (!a) {
        return;
    }
    nc_auth_client_clear(a);
    nc_auth_server_clear(a);
    nc_wipe_free(a->link->alloc, a, sizeof(*a));
}

/* ---- the service -------------------------------------------------------------------------------- */

static bool is_client(const nc_auth *a)
{
    return a->link->role == NACRE_CLIENT;
}

static int service_start(void *ctx)
{
    nc_auth *a = ctx;
    if (a->started || a->closed) {
        return NACRE_OK;
    }
    a->started = true;
    return is_client(a) ? nc_auth_client_start(a) : NACRE_OK;
}

static int service_packet(void *ctx, uint8_t number, nc_rd *r, nacre_event *ev)
{
    nc_auth *a = ctx;
    if (!a->started || a->closed) {
        return nc_link_fail(a->link, NACRE_OUT_OF_PLACE,
                            "message %u came before the userauth service was started", number);
    }
    return is_client(a) ? nc_auth_client_packet(a, number, r, ev)
                        : nc_auth_server_packet(a, number, r, ev);
}

static int service_poll(void *ctx, nacre_event *ev)
{
    nc_auth *a = ctx;
    if (a->closed) {
        return NACRE_AGAIN;
    }
    return is_client(a) ? nc_auth_client_poll(a, ev) : nc_auth_server_poll(a, ev);
}

static uint64_t service_deadline(const void *ctx)
{
    (void)ctx; /* the login grace time is the transport's */
    return UINT64_MAX;
}

static int service_answer(void *ctx, uint32_t ticket, const nacre_answer *ans)
{
    nc_auth *a = ctx;
    if (a->closed || ticket == 0) {
        return NACRE_NOT_FOUND;
    }
    if (!ans) {
        return NACRE_INVALID_ARGUMENT;
    }
    return is_client(a) ? nc_auth_client_answer(a, ticket, ans)
                        : nc_auth_server_answer(a, ticket, ans);
}

static void service_closing(void *ctx)
{
    nc_auth *a = ctx;
    if (a->closed) {
        return;
    }
    a->closed = true;
    nc_auth_ticket_done(a, &a->client.ticket);
    nc_auth_ticket_done(a, &a->server.ticket);
    nc_auth_client_forget(a);
    /* Keys and the current request stay until the end: an event that was told may point to them. */
    nc_buf_clear(&a->server.queued);
    a->server.queue_full = false;
    a->server.question = NC_ASK_NOTHING;
}

nc_service nc_auth_service(nc_auth *a)
{
    nc_service s = {
        .ctx = a,
        .name = "ssh-userauth",
        .start = service_start,
        .packet = service_packet,
        .poll = service_poll,
        .deadline = service_deadline,
        .answer = service_answer,
        .closing = service_closing,
    };
    return s;
}
