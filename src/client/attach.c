/*
 * attach.c - relays that nobody waits for: a channel tied to descriptors until it is over, while the loop turns for
 * whatever reason.
 */
#include "client/state.h"

#include <string.h>

struct nc_attached {
    nacre_client *c;
    nacre_channel *ch;
    nacre_relay *relay;
    void (*on_finished)(void *user, nacre_relay *r, const nacre_relay_result *result);
    size_t (*filter)(void *user, const uint8_t *in, size_t n, uint8_t *out);
    void *user;
};
typedef struct nc_attached nc_attached;

static size_t call_filter(void *user, const uint8_t *in, size_t n, uint8_t *out)
{
    nc_attached *a = user;
    return a->filter(a->user, in, n, out);
}

static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    nc_attached *a = user;
    nacre_client *c = a->c;
    nacre_channel *ch = a->ch;
    if (a->on_finished) {
        a->on_finished(a->user, r, result);
    }
    nacre_client_channel_free(c, ch); /* and with it the relay and a */
}

void nc_attached_free(nc_chan *k)
{
    nc_attached *a = k->attached;
    if (a) {
        k->attached = NULL;
        k->relay = NULL;
        nacre_relay_free(a->relay);
        nc_free(a->c->alloc, a);
    }
}

static void replay(void *user, const nacre_event *ev)
{
    (void)nacre_relay_event(user, ev);
}

static nc_chan *its_own(nacre_client *c, nacre_channel *ch)
{
    nacre_channel_info info;
    nc_chan *k = ch ? nc_channels_find(c, ch) : NULL;
    if (k || !ch || nacre_channel_transport(ch) != c->t) {
        return k;
    }
    k = nc_channels_adopt(c, ch);
    if (k) {
        nacre_channel_get_info(ch, &info);
        k->opened = info.open;
    }
    return k;
}

int nacre_client_attach(nacre_client *c, nacre_channel *ch, const nacre_relay_options *o,
                        nacre_error *err)
{
    nacre_relay_options ours;
    nc_error_clear(err);
    if (!o || o->size == 0 || o->size > sizeof(ours)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "a relay needs options");
    }
    if (!c->t || c->closed) {
        return nc_fail(err, NACRE_CLOSED, "%s: the connection is over", c->where);
    }
    nc_chan *k = its_own(c, ch);
    if (!k || k->relay) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "a relay needs a channel of this client that has none yet");
    }
    nc_attached *a = nc_zalloc(c->alloc, sizeof(*a));
    if (!a) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a relay");
    }
    nacre_relay_options_init(&ours);
    memcpy(&ours, o, o->size);
    a->c = c;
    a->ch = ch;
    a->on_finished = ours.on_finished;
    a->filter = ours.filter;
    a->user = ours.user;
    ours.on_finished = on_finished;
    ours.filter = ours.filter ? call_filter : NULL;
    ours.user = a;
    int rc = nacre_relay_new(&a->relay, c->loop, c->d, ch, &ours, err);
    if (rc != NACRE_OK) {
        nc_free(c->alloc, a);
        return rc;
    }
    k->relay = a->relay;
    k->attached = a;
    nc_channels_replay(c, k, replay, a->relay);
    nacre_driver_kick(c->d);
    return NACRE_OK;
}
