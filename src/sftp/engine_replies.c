/*
 * engine_replies.c - the server's bytes: frames, checks against the table of requests, events. Payload
 * of DATA is passed on as it comes; every other reply is small and put together first.
 */
#include "sftp/engine.h"

#include <string.h>

enum {
    LENGTH = 4,        /* of the length field */
    HEAD = LENGTH + 5, /* length, type, and the request id or VERSION's number */
    DATA_HEAD = HEAD + 4,
    /* Bytes that a DATA reply may have behind its data: newer drafts append a flag there. */
    MAX_TRAILER = 1024
};

static int broke(nacre_sftp_engine *e, const char *what)
{
    return nc_engine_fail(e, NACRE_SFTP_PROTOCOL, "the SFTP server broke the protocol: %s", what);
}

/* Moves bytes from input until in holds need of them; true when it does. */
static int gather(nacre_sftp_engine *e, size_t need, nacre_span *input, bool *complete)
{
    size_t n = need > e->in.len ? need - e->in.len : 0;
    if (n > input->n) {
        n = input->n;
    }
    if (nc_buf_append(&e->in, input->p, n) != NACRE_OK) {
        return nc_engine_fail(e, NACRE_NO_MEMORY, "no memory for an SFTP reply");
    }
    input->p += n;
    input->n -= n;
    *complete = e->in.len >= need;
    return NACRE_OK;
}

/* ---- text where VERSION should be ----------------------------------------------------------------- */

static bool is_text(nacre_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 && c != '\t' && c != '\r' && c != '\n' && c != 0x1B && c != '\a' &&
            c != '\b') {
            return false;
        }
    }
    return s.n > 0;
}

static nacre_span first_line(nacre_span s)
{
    while (s.n > 0 && (s.p[0] == '\r' || s.p[0] == '\n')) {
        s.p++;
        s.n--;
    }
    size_t n = 0;
    while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n') {
        n++;
    }
    return nc_span(s.p, n);
}

static int fail_noise(nacre_sftp_engine *e, int status)
{
    nacre_span seen = nc_buf_span(&e->in);
    if (!is_text(seen)) {
        return nc_engine_fail(e, status,
                              "what the server sent is not SFTP: it begins with '%s' where the "
                              "VERSION packet should be",
                              NC_ESC(nc_span(seen.p, seen.n < 16 ? seen.n : 16)));
    }
    return nc_engine_fail(e, status,
                          "the server sent text before SFTP: '%s' (does a login script print "
                          "something?)",
                          NC_ESC(first_line(seen)));
}

/* No VERSION packet is 16 MiB long, so its first byte is 0 and that of text is not. */
static bool noisy(const nacre_sftp_engine *e)
{
    return e->state == NC_ENGINE_INIT_SENT && e->in.len > 0 && e->in.data[0] != 0;
}

/* Collects one line for the message: the packets that SSH made of it may be cut anywhere. */
static int take_noise(nacre_sftp_engine *e, nacre_span *input)
{
    while (input->n > 0) {
        bool complete;
        int rc = gather(e, e->in.len + 1, input, &complete);
        if (rc != NACRE_OK) {
            return rc;
        }
        nacre_span seen = nc_buf_span(&e->in);
        nacre_span line = first_line(seen);
        bool whole = line.n > 0 && line.p + line.n < seen.p + seen.n;
        if (whole || seen.n >= NC_SFTP_NOISE || !is_text(seen)) {
            return fail_noise(e, NACRE_SFTP_PROTOCOL);
        }
    }
    return NACRE_AGAIN;
}

/* ---- replies -------------------------------------------------------------------------------------- */

static int take_version(nacre_sftp_engine *e, nc_rd *r, nacre_sftp_event *ev)
{
    uint32_t version = nc_rd_u32(r); /* the least length of a packet has made sure of it */
    if (version != NACRE_SFTP_VERSION) {
        return nc_engine_fail(e, NACRE_SFTP_PROTOCOL,
                              "the server speaks SFTP version %u, but 3 is needed", version);
    }
    nacre_span pairs = nc_span(r->p, nc_rd_left(r));
    while (nc_rd_left(r) > 0) {
        (void)nc_rd_str(r);
        (void)nc_rd_str(r);
    }
    if (nc_rd_err(r) != NACRE_OK) {
        return broke(e, "the extensions in VERSION are cut off");
    }
    if (nc_engine_set_extensions(e, pairs) != NACRE_OK) {
        return nc_engine_fail(e, NACRE_NO_MEMORY, "no memory for the server's extensions");
    }
    e->state = NC_ENGINE_READY;
    ev->type = NACRE_SFTP_EVENT_VERSION;
    ev->u.version.version = version;
    return NACRE_OK;
}

static int take_status(nacre_sftp_engine *e, const nc_sftp_slot *slot, nc_rd *r,
                       nacre_sftp_event *ev)
{
    uint32_t code = nc_rd_u32(r);
    if (nc_rd_err(r) != NACRE_OK) {
        return broke(e, "STATUS is too short");
    }
    /* Servers of before draft 02 send the code alone; the text is a courtesy in any case. */
    nacre_span message = nc_rd_left(r) > 0 ? nc_rd_str(r) : nc_span(NULL, 0);
    if (nc_rd_err(r) != NACRE_OK) {
        return broke(e, "the text of STATUS is cut off");
    }
    if (code == NACRE_FX_OK && !(slot->replies & NC_REPLY_STATUS_OK)) {
        return nc_engine_fail(e, NACRE_SFTP_PROTOCOL,
                              "the SFTP server answered request type %u with success and nothing "
                              "else",
                              slot->type);
    }
    ev->type = NACRE_SFTP_EVENT_STATUS;
    ev->u.status.code = code;
    ev->u.status.message = message;
    return NACRE_OK;
}

static int take_handle(nacre_sftp_engine *e, const nc_sftp_slot *slot, nc_rd *r,
                       nacre_sftp_event *ev)
{
    (void)slot;
    nacre_span handle = nc_rd_str(r);
    if (nc_rd_err(r) != NACRE_OK || handle.n == 0 || handle.n > NC_SFTP_MAX_HANDLE) {
        return broke(e, "a handle must have 1 to 256 bytes");
    }
    ev->type = NACRE_SFTP_EVENT_HANDLE;
    ev->u.handle = handle;
    return NACRE_OK;
}

static void rd_name(nc_rd *r, nacre_sftp_name *entry)
{
    entry->name = nc_rd_str(r);
    entry->longname = nc_rd_str(r);
    nc_sftp_rd_attrs(r, &entry->attrs);
}

static int take_names(nacre_sftp_engine *e, const nc_sftp_slot *slot, nc_rd *r,
                      nacre_sftp_event *ev)
{
    uint32_t count = nc_rd_u32(r);
    nacre_sftp_names names = {0, nc_span(r->p, nc_rd_left(r))};
    /* The bytes decide how many there are; the count must agree. */
    while (nc_rd_err(r) == NACRE_OK && nc_rd_left(r) > 0) {
        nacre_sftp_name entry;
        rd_name(r, &entry);
        names.count++;
    }
    if (nc_rd_err(r) != NACRE_OK || names.count != count) {
        return broke(e, "NAME does not hold as many entries as it says");
    }
    if ((slot->replies & NC_REPLY_ONE_NAME) && count != 1) {
        return broke(e, "one name was asked for, and another number came");
    }
    ev->type = NACRE_SFTP_EVENT_NAMES;
    ev->u.names = names;
    return NACRE_OK;
}

bool nacre_sftp_names_next(nacre_sftp_names *names, nacre_sftp_name *entry)
{
    nc_rd r = nc_rd_init(names->rest);
    memset(entry, 0, sizeof(*entry));
    if (names->count == 0) {
        return false;
    }
    rd_name(&r, entry);
    if (nc_rd_err(&r) != NACRE_OK) {
        names->count = 0;
        return false;
    }
    names->count--;
    names->rest = nc_rd_rest(&r);
    return true;
}

static int take_attrs(nacre_sftp_engine *e, const nc_sftp_slot *slot, nc_rd *r,
                      nacre_sftp_event *ev)
{
    (void)slot;
    nc_sftp_rd_attrs(r, &ev->u.attrs);
    if (nc_rd_err(r) != NACRE_OK) {
        return broke(e, "ATTRS is cut off");
    }
    ev->type = NACRE_SFTP_EVENT_ATTRS;
    return NACRE_OK;
}

static int take_limits(nacre_sftp_engine *e, nc_rd *r, nacre_sftp_event *ev)
{
    nacre_sftp_limits *l = &ev->u.limits;
    l->max_packet = nc_rd_u64(r);
    l->max_read = nc_rd_u64(r);
    l->max_write = nc_rd_u64(r);
    l->max_handles = nc_rd_u64(r);
    if (nc_rd_err(r) != NACRE_OK) {
        return broke(e, "the reply to limits@openssh.com is cut off");
    }
    nc_engine_set_limits(e, l);
    ev->type = NACRE_SFTP_EVENT_LIMITS;
    return NACRE_OK;
}

static int take_statvfs(nacre_sftp_engine *e, nc_rd *r, nacre_sftp_event *ev)
{
    nacre_sftp_statvfs *v = &ev->u.statvfs;
    uint64_t *fields[] = {&v->bsize, &v->frsize, &v->blocks, &v->bfree, &v->bavail, &v->files,
                          &v->ffree, &v->favail, &v->fsid,   &v->flag,  &v->namemax};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i] = nc_rd_u64(r);
    }
    if (nc_rd_err(r) != NACRE_OK) {
        return broke(e, "the reply to statvfs is cut off");
    }
    ev->type = NACRE_SFTP_EVENT_STATVFS;
    return NACRE_OK;
}

/*
 * filexfer-extensions-00 begins the reply with the hash's name, the filexfer drafts before it with the
 * extension's: ProFTPD does the one, paramiko the other.
 */
static int take_hashes(nacre_sftp_engine *e, nc_rd *r, nacre_sftp_event *ev)
{
    nacre_span algorithm = nc_rd_str(r);
    if (nc_rd_err(r) == NACRE_OK &&
        nc_span_is(algorithm, nc_sftp_ext_name(NACRE_SFTP_EXT_CHECK_FILE))) {
        algorithm = nc_rd_str(r);
    }
    if (nc_rd_err(r) != NACRE_OK) {
        return broke(e, "the reply to check-file is cut off");
    }
    ev->type = NACRE_SFTP_EVENT_HASHES;
    ev->u.hashes.algorithm = algorithm;
    ev->u.hashes.bytes = nc_rd_rest(r);
    return NACRE_OK;
}

static int take_extended(nacre_sftp_engine *e, const nc_sftp_slot *slot, nc_rd *r,
                         nacre_sftp_event *ev)
{
    if (slot->ext == NACRE_SFTP_EXT_LIMITS) {
        return take_limits(e, r, ev);
    }
    if (slot->ext == NACRE_SFTP_EXT_STATVFS || slot->ext == NACRE_SFTP_EXT_FSTATVFS) {
        return take_statvfs(e, r, ev);
    }
    if (slot->ext == NACRE_SFTP_EXT_CHECK_FILE) {
        return take_hashes(e, r, ev);
    }
    ev->type = NACRE_SFTP_EVENT_EXTENDED;
    ev->u.extended = nc_rd_rest(r);
    return NACRE_OK;
}

typedef struct reply_row {
    uint8_t type;
    uint8_t bits; /* which requests it may answer */
    int (*take)(nacre_sftp_engine *e, const nc_sftp_slot *slot, nc_rd *r, nacre_sftp_event *ev);
} reply_row;

static const reply_row reply_rows[] = {
    {NACRE_FXP_STATUS, 0xFF, take_status},
    {NACRE_FXP_HANDLE, NC_REPLY_HANDLE, take_handle},
    {NACRE_FXP_DATA, NC_REPLY_DATA, NULL},
    {NACRE_FXP_NAME, NC_REPLY_NAMES | NC_REPLY_ONE_NAME, take_names},
    {NACRE_FXP_ATTRS, NC_REPLY_ATTRS, take_attrs},
    {NACRE_FXP_EXTENDED_REPLY, NC_REPLY_EXTENDED, take_extended},
};

static const reply_row *find_row(uint8_t type)
{
    for (size_t i = 0; i < sizeof(reply_rows) / sizeof(reply_rows[0]); i++) {
        if (reply_rows[i].type == type) {
            return &reply_rows[i];
        }
    }
    return NULL;
}

/* ---- frames --------------------------------------------------------------------------------------- */

static int check_length(nacre_sftp_engine *e)
{
    uint32_t length = nc_get_u32(e->in.data);
    if (length < HEAD - LENGTH || length > NC_SFTP_MAX_REPLY) {
        return nc_engine_fail(e, NACRE_SFTP_PROTOCOL,
                              "the SFTP server announced a packet of %u bytes (5 to %d are "
                              "possible)",
                              length, NC_SFTP_MAX_REPLY);
    }
    return NACRE_OK;
}

/* The head is there: may this type come now, for this id? */
static int check_head(nacre_sftp_engine *e, const reply_row **row, nc_sftp_slot **slot)
{
    uint8_t type = e->in.data[LENGTH];
    uint32_t id = nc_get_u32(e->in.data + LENGTH + 1);
    *row = NULL;
    *slot = NULL;
    if (e->state == NC_ENGINE_INIT_SENT) {
        return type == NACRE_FXP_VERSION ? NACRE_OK : fail_noise(e, NACRE_SFTP_PROTOCOL);
    }
    *row = find_row(type);
    if (!*row) {
        return nc_engine_fail(e, NACRE_SFTP_PROTOCOL,
                              "the SFTP server sent a packet of type %u, which is no reply", type);
    }
    *slot = nc_engine_find_slot(e, id);
    if (!*slot) {
        return nc_engine_fail(e, NACRE_SFTP_PROTOCOL,
                              "the SFTP server answered request id %u, which is not waiting for "
                              "an answer",
                              id);
    }
    if (!((*row)->bits & (*slot)->replies)) {
        return nc_engine_fail(e, NACRE_SFTP_PROTOCOL,
                              "the SFTP server answered request type %u with a reply of type %u",
                              (*slot)->type, type);
    }
    return NACRE_OK;
}

static void name_request(nacre_sftp_event *ev, const nc_sftp_slot *slot)
{
    ev->id = slot->id;
    ev->user = slot->user;
    ev->request = slot->type;
}

/* The head of a DATA reply is there: checks it before any byte of its payload is passed on. */
static int begin_data(nacre_sftp_engine *e, nc_sftp_slot *slot)
{
    uint32_t length = nc_get_u32(e->in.data);
    uint32_t n = nc_get_u32(e->in.data + HEAD);
    if (n > slot->asked) {
        return nc_engine_fail(e, NACRE_SFTP_PROTOCOL,
                              "the SFTP server sent %u bytes of data where %u were asked for", n,
                              slot->asked);
    }
    if (length < DATA_HEAD - LENGTH + n || length - (DATA_HEAD - LENGTH + n) > MAX_TRAILER) {
        return broke(e, "the lengths in a DATA packet do not agree");
    }
    e->data_slot = slot;
    e->data_total = n;
    e->data_left = n;
    e->trailer = length - (DATA_HEAD - LENGTH + n);
    nc_buf_reset(&e->in);
    return NACRE_OK;
}

/* An event for the payload at hand, or for a reply without any. */
static int pass_data(nacre_sftp_engine *e, nacre_span *input, nacre_sftp_event *ev)
{
    nc_sftp_slot *slot = e->data_slot;
    size_t n = input->n < e->data_left ? input->n : e->data_left;
    if (n == 0 && e->data_total > 0) {
        return NACRE_AGAIN;
    }
    name_request(ev, slot);
    ev->type = NACRE_SFTP_EVENT_DATA;
    ev->u.data.offset = e->data_total - e->data_left;
    ev->u.data.position = slot->offset + ev->u.data.offset;
    ev->u.data.total = e->data_total;
    ev->u.data.bytes = nc_span(input->p, n);
    if (e->data_total == 0) {
        /* Some servers say "end of file" like this; a caller that asked again would do so for ever. */
        ev->type = NACRE_SFTP_EVENT_STATUS;
        memset(&ev->u, 0, sizeof(ev->u));
        ev->u.status.code = NACRE_FX_EOF;
    }
    input->p += n;
    input->n -= n;
    e->data_left -= (uint32_t)n;
    bool silent = slot->forgotten;
    if (e->data_left == 0) {
        ev->done = true;
        ev->u.data.last = ev->type == NACRE_SFTP_EVENT_DATA;
        nc_engine_release_slot(e, slot);
        e->data_slot = NULL;
    }
    if (silent) {
        memset(ev, 0, sizeof(*ev));
        return NACRE_AGAIN;
    }
    return NACRE_OK;
}

static int finish_packet(nacre_sftp_engine *e, const reply_row *row, nc_sftp_slot *slot,
                         nacre_sftp_event *ev)
{
    size_t head = row ? HEAD : HEAD - 4; /* VERSION has its number where the others have the id */
    nc_rd r = nc_rd_init(nc_span(e->in.data + head, e->in.len - head));
    e->in_done = true;
    if (!row) {
        return take_version(e, &r, ev);
    }
    name_request(ev, slot);
    int rc = row->take(e, slot, &r, ev);
    if (rc != NACRE_OK) {
        return rc;
    }
    ev->done = true;
    bool silent = slot->forgotten;
    nc_engine_release_slot(e, slot);
    if (silent) {
        memset(ev, 0, sizeof(*ev));
        nc_buf_reset(&e->in);
        e->in_done = false;
        return NACRE_AGAIN;
    }
    return NACRE_OK;
}

/* Gathers the next packet as far as input goes. NACRE_AGAIN with input left: look again. */
static int take_packet(nacre_sftp_engine *e, nacre_span *input, nacre_sftp_event *ev)
{
    const reply_row *row;
    nc_sftp_slot *slot;
    bool complete;
    /* One byte first: text in place of VERSION shows by it. */
    int rc = gather(e, 1, input, &complete);
    if (rc == NACRE_OK && noisy(e)) {
        return take_noise(e, input);
    }
    rc = rc == NACRE_OK ? gather(e, LENGTH, input, &complete) : rc;
    if (rc == NACRE_OK && complete) {
        rc = check_length(e);
    }
    rc = rc == NACRE_OK ? gather(e, HEAD, input, &complete) : rc;
    if (rc != NACRE_OK || !complete) {
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    rc = check_head(e, &row, &slot);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool data = row && row->type == NACRE_FXP_DATA;
    size_t length = nc_get_u32(e->in.data);
    if (data && length < DATA_HEAD - LENGTH) {
        return broke(e, "DATA is too short");
    }
    rc = gather(e, data ? DATA_HEAD : LENGTH + length, input, &complete);
    if (rc != NACRE_OK || !complete) {
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    if (!data) {
        return finish_packet(e, row, slot, ev);
    }
    rc = begin_data(e, slot);
    return rc == NACRE_OK ? pass_data(e, input, ev) : rc;
}

static int step(nacre_sftp_engine *e, nacre_span *input, nacre_sftp_event *ev)
{
    if (e->data_slot) {
        return pass_data(e, input, ev);
    }
    if (e->trailer > 0) {
        size_t n = input->n < e->trailer ? input->n : e->trailer;
        input->p += n;
        input->n -= n;
        e->trailer -= (uint32_t)n;
        return NACRE_AGAIN;
    }
    return take_packet(e, input, ev);
}

int nacre_sftp_engine_input(nacre_sftp_engine *e, nacre_span input, size_t *used,
                            nacre_sftp_event *ev)
{
    *used = 0;
    memset(ev, 0, sizeof(*ev));
    if (e->state == NC_ENGINE_FAILED) {
        return e->error.status;
    }
    if (e->state == NC_ENGINE_NEW) {
        return NACRE_WRONG_STATE;
    }
    if (e->in_done) {
        nc_buf_reset(&e->in);
        if (e->in.cap > NC_SFTP_KEEP) {
            nc_buf_clear(&e->in);
        }
        e->in_done = false;
    }
    nacre_span left = input;
    int rc = NACRE_AGAIN;
    while (left.n > 0 && rc == NACRE_AGAIN) {
        rc = step(e, &left, ev);
    }
    *used = input.n - left.n;
    if (*used > 0 && e->out.pipe.consumed && e->state != NC_ENGINE_FAILED) {
        int back = e->out.pipe.consumed(e->out.pipe.ctx, *used);
        /* An event that is there is told first; a pipe that is gone says so again at the next call. */
        if (back != NACRE_OK && rc == NACRE_AGAIN) {
            rc = nc_engine_fail(e, back, "the SFTP pipe failed: %s", nacre_status_text(back));
        }
    }
    return rc;
}

int nacre_sftp_engine_end(nacre_sftp_engine *e)
{
    if (e->state == NC_ENGINE_FAILED) {
        return e->error.status;
    }
    if (noisy(e)) {
        return fail_noise(e, NACRE_CLOSED);
    }
    if (e->state == NC_ENGINE_INIT_SENT) {
        return nc_engine_fail(e, NACRE_CLOSED,
                              "the server closed the connection before SFTP began (is the sftp "
                              "subsystem there?)");
    }
    bool in_packet = (e->in.len > 0 && !e->in_done) || e->data_slot || e->trailer > 0;
    if (e->outstanding > 0 || in_packet) {
        return nc_engine_fail(e, NACRE_CLOSED,
                              "the SFTP server closed the connection with %zu requests unanswered",
                              e->outstanding);
    }
    e->state = NC_ENGINE_FAILED;
    e->error.status = NACRE_CLOSED;
    return NACRE_OK;
}
