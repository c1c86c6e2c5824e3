/*
 * exec.c - a command from beginning to end in one call; and a channel tied to descriptors until it is
 * over.
 */
#include "client/state.h"

#include <string.h>

/* ---- one command ---- */

typedef struct exec_job {
    nacre_client *c;
    nacre_channel *ch;
    nacre_span input; /* the rest of it */
    bool input_over;
    nc_buf out[2];
    size_t limit;
    bool truncated, refused, replied, closed;
    int rc;
} exec_job;

static void feed(exec_job *j)
{
    while (j->input.n > 0 && !j->closed) {
        size_t took = 0;
        if (nacre_channel_write(j->ch, NACRE_STDOUT, j->input.p, j->input.n, &took) != NACRE_OK) {
            j->input.n = 0; /* it reads no more: not an error of the command */
            break;
        }
        if (took == 0) {
            return;
        }
        j->input = nc_span(j->input.p + took, j->input.n - took);
    }
    if (!j->input_over) {
        j->input_over = true;
        (void)nacre_channel_eof(j->ch);
    }
}

static void collect(exec_job *j, const nacre_event *ev)
{
    nc_buf *b = &j->out[ev->u.data.stream == NACRE_STDERR ? 1 : 0];
    nacre_span bytes = ev->u.data.bytes;
    size_t room = j->limit - b->len;
    size_t some = bytes.n < room ? bytes.n : room;
    j->truncated = j->truncated || some < bytes.n;
    if (some && nc_buf_append(b, bytes.p, some) != NACRE_OK) {
        j->rc = NACRE_NO_MEMORY;
    }
    (void)nacre_channel_consumed(j->ch, bytes.n);
}

static int on_exec_event(void *user, const nacre_event *ev)
{
    exec_job *j = user;
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        collect(j, ev);
        break;
    case NACRE_EVENT_CHANNEL_REPLY:
        j->replied = true;
        j->refused = !ev->u.reply.success;
        if (!j->refused) {
            feed(j);
        }
        break;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        if (j->replied) {
            feed(j);
        }
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        j->closed = true;
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        if (ev->ticket) {
            (void)nacre_transport_refuse(j->c->t, ev->ticket);
        }
        break;
    default:
        break;
    }
    return NACRE_AGAIN;
}

static int exec_over(void *user)
{
    exec_job *j = user;
    if (j->rc != NACRE_OK) {
        return j->rc;
    }
    if (j->refused) {
        return NACRE_REQUEST_REFUSED;
    }
    return j->closed ? NACRE_OK : NACRE_AGAIN;
}

static int run_exec(exec_job *j, const char *command, const nc_wait *w)
{
    nacre_client *c = j->c;
    int rc = nacre_client_on_channel(c, j->ch, on_exec_event, j);
    if (rc == NACRE_OK) {
        rc = nacre_channel_exec(j->ch, nc_span_cstr(command), true);
    }
    if (rc != NACRE_OK) {
        return nc_client_fail(c, rc, "%s: the command could not be sent: %s", c->where,
                              nacre_status_text(rc));
    }
    nacre_driver_kick(c->d);
    rc = nc_client_wait(c, w, exec_over, j);
    if (rc == NACRE_REQUEST_REFUSED) {
        return nc_client_fail(c, rc, "%s: the server refused to run the command", c->where);
    }
    if (rc == NACRE_NO_MEMORY) {
        return nc_client_fail(c, rc, "out of memory for the output of the command");
    }
    return rc;
}

static uint8_t *take(nc_buf *b, size_t *len)
{
    if (nc_buf_append(b, "", 1) != NACRE_OK) {
        return NULL;
    }
    uint8_t *p = b->data;
    *len = b->len - 1;
    b->data = NULL;
    b->len = b->cap = 0;
    return p;
}

/* The time that is left of a call, as the timeout of a part of it. */
static uint32_t rest_of(const nacre_client *c, const nc_wait *w)
{
    if (w->deadline == UINT64_MAX) {
        return NACRE_FOREVER;
    }
    uint64_t now = nacre_loop_now(c->loop);
    return w->deadline > now ? (uint32_t)(w->deadline - now) : 1;
}

int nacre_client_exec(nacre_client *c, const char *command, nacre_span input, uint32_t timeout_ms,
                      nacre_exec_result *result)
{
    memset(result, 0, sizeof(*result));
    exec_job j = {.c = c, .input = input, .limit = c->cfg.exec_limit, .rc = NACRE_OK};
    nc_wait w = nc_client_wait_init(c, timeout_ms, "running a command");
    nc_buf_init(&j.out[0], NULL, j.limit + 1);
    nc_buf_init(&j.out[1], NULL, j.limit + 1);
    int rc = nacre_client_session(c, rest_of(c, &w), &j.ch);
    if (rc == NACRE_OK) {
        rc = run_exec(&j, command, &w);
        result->exit = nc_channels_find(c, j.ch)->exit;
        result->truncated = j.truncated;
        nacre_client_channel_free(c, j.ch);
        if (rc != NACRE_OK && !c->closed) {
            nc_client_push(c); /* the close */
        }
    }
    result->out = take(&j.out[0], &result->out_len);
    result->err = take(&j.out[1], &result->err_len);
    if (!result->out || !result->err) {
        nacre_exec_result_free(result);
        rc = nc_client_fail(c, NACRE_NO_MEMORY, "out of memory for the output of the command");
    }
    nc_buf_clear(&j.out[0]);
    nc_buf_clear(&j.out[1]);
    return rc;
}

void nacre_exec_result_free(nacre_exec_result *result)
{
    if (result) {
        nc_wipe_free(NULL, result->out, result->out_len);
        nc_wipe_free(NULL, result->err, result->err_len);
        result->out = result->err = NULL;
        result->out_len = result->err_len = 0;
    }
}

/* ---- a channel tied to descriptors ---- */

typedef struct relay_job {
    nacre_relay *relay;
    bool finished;
    nacre_relay_result result;
    size_t (*filter)(void *user, const uint8_t *in, size_t n, uint8_t *out);
    void *filter_user;
} relay_job;

static size_t call_filter(void *user, const uint8_t *in, size_t n, uint8_t *out)
{
    relay_job *j = user;
    return j->filter(j->filter_user, in, n, out);
}

static void on_relay_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    relay_job *j = user;
    (void)r;
    j->finished = true;
    j->result = *result;
}

static int relay_over(void *user)
{
    const relay_job *j = user;
    return j->finished ? NACRE_OK : NACRE_AGAIN;
}

static void replay_to_relay(void *user, const nacre_event *ev)
{
    (void)nacre_relay_event(user, ev);
}

/* After the connection was lost, what had arrived is still written out. */
static int relay_wait(nacre_client *c, relay_job *j, const nc_wait *w)
{
    enum { LAST_WORDS_MS = 5000 };
    int rc = nc_client_wait(c, w, relay_over, j);
    if (rc == NACRE_OK || !c->closed || rc == NACRE_CANCELLED) {
        return rc;
    }
    uint64_t until = nacre_loop_now(c->loop) + LAST_WORDS_MS;
    while (!j->finished && nacre_loop_now(c->loop) < until) {
        if (nacre_loop_run_once(c->loop, 100) != NACRE_OK) {
            break;
        }
    }
    return rc;
}

int nacre_client_relay(nacre_client *c, nacre_channel *ch, const nacre_relay_options *o,
                       uint32_t timeout_ms, nacre_relay_result *result)
{
    relay_job j;
    memset(&j, 0, sizeof(j));
    memset(result, 0, sizeof(*result));
    nc_client_begin(c);
    nc_chan *k = ch ? nc_channels_find(c, ch) : NULL;
    if (!k || !o || o->size == 0 || o->size > sizeof(nacre_relay_options)) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT,
                              "a relay needs options and a channel of this client");
    }
    int rc = nc_client_alive(c, "the session");
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_relay_options ours;
    nacre_relay_options_init(&ours);
    memcpy(&ours, o, o->size);
    j.filter = ours.filter;
    j.filter_user = ours.user;
    ours.filter = ours.filter ? call_filter : NULL;
    ours.on_finished = on_relay_finished;
    ours.user = &j;
    rc = nacre_relay_new(&j.relay, c->loop, c->d, ch, &ours, &c->err);
    if (rc != NACRE_OK) {
        return rc;
    }
    k->relay = j.relay;
    nc_channels_replay(c, k, replay_to_relay, j.relay);
    nc_wait w = nc_client_wait_init(c, timeout_ms ? timeout_ms : NACRE_FOREVER, "the session");
    rc = relay_wait(c, &j, &w);
    if (rc == NACRE_OK && c->closed && !k->closed) {
        rc = nc_client_alive(c, "the session"); /* it did not end: it was cut off */
    }
    *result = j.result;
    k->relay = NULL;
    nacre_relay_free(j.relay);
    return rc;
}
