/*
 * openers.c - see openers.h.
 */
#include "client/openers.h"

#include "client/state.h"

#include <string.h>

enum { RESOURCE_SHORTAGE = 4 /* RFC 4254 5.1 */ };

static nc_opener *find(const nacre_client *c, nacre_span type)
{
    for (size_t i = 0; i < NC_OPENERS_MAX; i++) {
        const nc_opener *o = &c->openers[i];
        if (o->fn && nc_span_is(type, o->type)) {
            return (nc_opener *)(uintptr_t)o;
        }
    }
    return NULL;
}

int nc_client_serve_open(nacre_client *c, const char *type, nc_client_open_fn fn, void *user)
{
    nc_opener *o = find(c, nc_span_cstr(type));
    size_t n = strlen(type);
    for (size_t i = 0; !o && fn && i < NC_OPENERS_MAX; i++) {
        o = c->openers[i].fn ? NULL : &c->openers[i];
    }
    if (!fn) {
        if (o) {
            memset(o, 0, sizeof(*o));
        }
        return NACRE_OK;
    }
    if (!o || n >= sizeof(o->type)) {
        return NACRE_LIMIT;
    }
    memcpy(o->type, type, n + 1);
    o->fn = fn;
    o->user = user;
    return NACRE_OK;
}

bool nc_client_serves(const nacre_client *c, const char *type)
{
    return find(c, nc_span_cstr(type)) != NULL;
}

bool nc_openers_event(nacre_client *c, const nacre_event *ev)
{
    const nc_opener *o = find(c, ev->u.open.type);
    return o && o->fn(o->user, c, ev);
}

void nc_openers_clear(nacre_client *c)
{
    memset(c->openers, 0, sizeof(c->openers));
}

void nc_client_refuse_open(nacre_client *c, uint32_t ticket, uint32_t reason, const char *text)
{
    nacre_answer no;
    memset(&no, 0, sizeof(no));
    no.reason = reason;
    no.text = text;
    (void)nacre_transport_answer(c->t, ticket, &no); /* void: there is nothing to refuse */
    nacre_driver_kick(c->d);
}

nc_chan *nc_client_accept_open(nacre_client *c, uint32_t ticket, nacre_channel *ch)
{
    nc_chan *k = nc_channels_adopt(c, ch);
    if (!k) {
        nc_client_refuse_open(c, ticket, RESOURCE_SHORTAGE, "out of memory");
        return NULL;
    }
    if (nacre_transport_accept(c->t, ticket) != NACRE_OK) {
        nacre_client_channel_free(c, ch);
        return NULL;
    }
    k->opened = true;
    nacre_driver_kick(c->d);
    return k;
}
