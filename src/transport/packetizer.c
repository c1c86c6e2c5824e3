/*
 * packetizer.c - the object, its keys, and the way down: received bytes to packets (RFC 4253 6). A
 * packet is decrypted where it was read to and lent from there; lengths are judged before anything
 * is believed or awaited. The way up is in packetizer_out.c.
 */
#include "transport/packetizer_impl.h"

#include <inttypes.h>
#include <string.h>

enum {
    DEFAULT_INPUT_ROOM = 256 * 1024,
    DEFAULT_OUTPUT_MAX = 4 * 1024 * 1024,
    /* Of a text that came instead of a packet, as much is shown. */
    SHOWN_TEXT = 120,
    /* Numbers of userauth (RFC 4250 4.1.2): passwords come in them, and are wiped when dealt with. */
    FIRST_USERAUTH = 50,
    LAST_USERAUTH = 79
};

static const nc_pktcipher_layout clear_layout = {
    .block = 8, .tag_len = 0, .head_len = LENGTH_BYTES, .length_apart = false};

static const nc_pktcipher_layout bare_layout = {
    .block = 1, .tag_len = 0, .head_len = LENGTH_BYTES, .length_apart = false};

/* ---- the object ------------------------------------------------------------------------------- */

int nc_packetizer_new(nc_packetizer **out, const nacre_allocator *a, const nc_random *rnd,
                      const nc_packetizer_limits *limits)
{
    *out = NULL;
    nc_packetizer_limits l = {0};
    if (limits) {
        l = *limits;
    }
    l.max_packet = l.max_packet ? l.max_packet : NC_MAX_PACKET;
    l.input_room = l.input_room ? l.input_room : DEFAULT_INPUT_ROOM;
    l.output_max = l.output_max ? l.output_max : DEFAULT_OUTPUT_MAX;
    if (l.max_packet > NC_MAX_PACKET || l.output_max > SIZE_MAX / 4 ||
        l.input_room > SIZE_MAX / 4) {
        return NACRE_INVALID_ARGUMENT;
    }
    nc_packetizer *p = nc_zalloc(a, sizeof(*p));
    if (!p) {
        return NACRE_NO_MEMORY;
    }
    p->alloc = a;
    if (rnd) {
        p->random = *rnd;
    }
    p->limits = l;
    p->in.layout = clear_layout;
    p->out.layout = clear_layout;
    p->in_need = 1;
    p->in_room = l.input_room < IDLE_ROOM ? l.input_room : IDLE_ROOM;
    /* One whole packet has to fit, or the room that bulk gets. */
    size_t packet = l.max_packet + LENGTH_BYTES + MAX_TAG;
    nc_queue_init(&p->in_queue, a, packet > l.input_room ? packet : l.input_room);
    nc_buf_init(&p->in_plain, a, l.max_packet + 1);
    /* Twice, because the part that was sent already may be as long as the part that was not. */
    nc_queue_init(&p->out_queue, a, 2 * l.output_max + IDLE_ROOM);
    nc_buf_init(&p->out_plain, a, NC_MAX_PACKET);
    *out = p;
    return NACRE_OK;
}

void nc_packetizer_free(nc_packetizer *p)
{
    if (!p) {
        return;
    }
    nc_pktcipher_free(p->in.cipher);
    nc_pktcipher_free(p->out.cipher);
    nc_zstream_free(p->in.zlib);
    nc_zstream_free(p->out.zlib);
    nc_queue_clear(&p->in_queue);
    nc_queue_clear(&p->out_queue);
    nc_buf_clear(&p->in_plain);
    nc_buf_clear(&p->out_plain);
    nc_wipe_free(p->alloc, p, sizeof(*p));
}

static void set_keys(direction *d, nc_pktcipher *cipher, bool reset_seq)
{
    nc_pktcipher_free(d->cipher);
    d->cipher = cipher;
    d->layout = cipher ? *nc_pktcipher_get_layout(cipher) : clear_layout;
    if (reset_seq) {
        d->seq = 0;
    }
    d->seq_wrapped = false;
    d->key_bytes = 0;
    d->key_packets = 0;
}

void nc_packetizer_set_input_keys(nc_packetizer *p, nc_pktcipher *cipher, bool reset_seq)
{
    set_keys(&p->in, cipher, reset_seq);
    p->in_need = 1;
    p->in_paused = false;
}

void nc_packetizer_set_output_keys(nc_packetizer *p, nc_pktcipher *cipher, bool reset_seq)
{
    set_keys(&p->out, cipher, reset_seq);
}

void nc_packetizer_set_bare(nc_packetizer *p)
{
    p->in.layout = bare_layout;
    p->out.layout = bare_layout;
}

static int set_compression(nc_packetizer *p, direction *d, bool on, bool deflating)
{
    if (!on) {
        nc_zstream_free(d->zlib);
        d->zlib = NULL;
        return NACRE_OK;
    }
    /* RFC 4253 6.2: a key exchange starts the stream anew. */
    return d->zlib ? nc_zstream_reset(d->zlib) : nc_zstream_new(&d->zlib, p->alloc, deflating);
}

int nc_packetizer_set_input_compression(nc_packetizer *p, bool on)
{
    return set_compression(p, &p->in, on, false);
}

int nc_packetizer_set_output_compression(nc_packetizer *p, bool on)
{
    if (p->out_open != OUT_NONE) {
        return NACRE_WRONG_STATE;
    }
    if (!on) {
        nc_buf_clear(&p->out_plain);
    }
    return set_compression(p, &p->out, on, true);
}

nacre_span nc_packetizer_waiting(const nc_packetizer *p)
{
    nacre_span all = nc_span(nc_queue_front(&p->in_queue), nc_queue_len(&p->in_queue));
    return p->in_lent < all.n ? nc_span(all.p + p->in_lent, all.n - p->in_lent) : nc_span(NULL, 0);
}

bool nc_packetizer_keeps(const nc_packetizer *p, nacre_span bytes)
{
    uintptr_t from = (uintptr_t)p->in_queue.buf.data, at = (uintptr_t)bytes.p;
    size_t cap = p->in_queue.buf.cap;
    return !p->in_secret && cap > 0 && at >= from && at - from <= cap &&
           cap - (at - from) >= bytes.n;
}

void nc_packetizer_get_counters(const nc_packetizer *p, nc_packetizer_counters *c)
{
    *c = (nc_packetizer_counters){
        .seq_in = p->in.seq,
        .seq_out = p->out.seq,
        .key_bytes_in = p->in.key_bytes,
        .key_bytes_out = p->out.key_bytes,
        .key_packets_in = p->in.key_packets,
        .key_packets_out = p->out.key_packets,
        .bytes_in = p->in.bytes,
        .bytes_out = p->out.bytes,
        .packets_in = p->in.packets,
        .packets_out = p->out.packets,
        .output_len = nc_packetizer_output(p).n,
        .input_len = nc_queue_len(&p->in_queue) - p->in_lent,
        .memory_in = p->in_queue.buf.cap + p->in_plain.cap + nc_zstream_memory(p->in.zlib),
        .memory_out = p->out_queue.buf.cap + p->out_plain.cap + nc_zstream_memory(p->out.zlib),
        .seq_wrapped_in = p->in.seq_wrapped,
        .seq_wrapped_out = p->out.seq_wrapped,
    };
}

/* ---- room for input --------------------------------------------------------------------------- */

/* Brings the queue to hold total bytes, what waits in it included. Only while nothing is lent. */
static void make_input_room(nc_packetizer *p, size_t total)
{
    nc_queue *q = &p->in_queue;
    size_t queued = nc_queue_len(q);
    if (q->buf.cap < total) {
        if (queued == 0) {
            nc_queue_clear(q);
        } else {
            /* Growing leaves the old memory behind; old plaintext may lie beyond its end. */
            nc_wipe(q->buf.data + q->buf.len, q->buf.cap - q->buf.len);
        }
        /* Failure shows in the room that is left. */
        (void)!nc_queue_reserve(q, total - queued);
        return;
    }
    size_t behind = q->buf.cap - q->buf.len;
    bool needed = behind == 0 || q->buf.cap - q->head < p->in_need;
    /* A move frees at least what it costs, and comes once in half a buffer: never once a packet. */
    bool cheap = queued <= q->head && behind < q->buf.cap / 2;
    if (q->head > 0 && (needed || cheap)) {
        memmove(q->buf.data, q->buf.data + q->head, queued);
        q->head = 0;
        q->buf.len = queued;
    }
}

uint8_t *nc_packetizer_recv_buffer(nc_packetizer *p, size_t *room)
{
    nc_queue *q = &p->in_queue;
    size_t queued = nc_queue_len(q);
    size_t total = p->in_need > p->in_room ? p->in_need : p->in_room;
    if (total > q->buf.max) {
        total = q->buf.max;
    }
    p->in_offered = 0;
    if (p->in_lent == 0) {
        if (queued == 0 && p->in_room == IDLE_ROOM && total == p->in_room) {
            nc_queue_shrink(q, IDLE_ROOM);
        }
        if (queued < total) {
            make_input_room(p, total);
        }
        p->in_no_memory = queued < total && q->buf.cap == q->buf.len;
    }
    /* Whoever stops stepping stops reading: beyond total nothing is lent, however large the buffer. */
    size_t behind = q->buf.cap - q->buf.len;
    size_t wanted = queued < total ? total - queued : 0;
    if (p->in_lent) {
        /* What the caller looks at must stay where it is; there may be room behind it. */
        wanted = wanted ? behind : 0;
    }
    p->in_offered = behind < wanted ? behind : wanted;
    *room = p->in_offered;
    return p->in_offered ? q->buf.data + q->buf.len : NULL;
}

/* A read that fills its room asks for more the next time; many small ones in a row for less. */
static void adapt_input_room(nc_packetizer *p, size_t n, bool filled)
{
    if (filled) {
        size_t more = p->in_room < p->limits.input_room / 4 ? p->in_room * 4 : p->limits.input_room;
        p->in_room = more > p->in_room ? more : p->in_room;
        p->in_small = 0;
        return;
    }
    if (n >= p->in_room / 8) {
        p->in_small = 0;
        return;
    }
    if (p->in_room > IDLE_ROOM && ++p->in_small >= IDLE_AFTER) {
        p->in_small = 0;
        p->in_room = IDLE_ROOM;
    }
}

int nc_packetizer_received(nc_packetizer *p, size_t n)
{
    if (n > p->in_offered) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (n == 0) {
        return NACRE_OK;
    }
    adapt_input_room(p, n, n == p->in_offered && n >= p->in_room / 2);
    p->in_queue.buf.len += n;
    p->in_offered = 0;
    return NACRE_OK;
}

/* ---- packets ---------------------------------------------------------------------------------- */

static NACRE_PRINTF(4, 5) int bad_input(nc_packetizer *p, nacre_error *err, int status,
                                        const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)nc_vfail(err, status, NACRE_BY_PEER, fmt, ap);
    va_end(ap);
    p->in_failed = status;
    return status;
}

static int failed_here(nc_packetizer *p, nacre_error *err, int status, const char *what)
{
    p->in_failed = status;
    return nc_fail(err, status, "%s: %s", what, nacre_status_text(status));
}

static void drop_packet(nc_packetizer *p)
{
    if (p->in_lent && p->in_secret) {
        nc_wipe(nc_queue_front(&p->in_queue), p->in_lent);
    }
    nc_queue_consume(&p->in_queue, p->in_lent);
    p->in_lent = 0;
    p->in_secret = false;
}

/* What the caller looked at is over. */
static void release_lent(nc_packetizer *p)
{
    drop_packet(p);
    if (p->in_plain.len) {
        nc_buf_reset(&p->in_plain);
    }
    if (p->in_plain.cap && !p->in.zlib) {
        nc_buf_clear(&p->in_plain);
    }
}

static bool looks_like_text(nacre_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool printable = s.p[i] >= 0x20 && s.p[i] < 0x7f;
        if (!printable && s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\t') {
            return false;
        }
    }
    return s.n > 0;
}

static int bad_length(nc_packetizer *p, nacre_error *err, uint32_t length)
{
    int status = length > p->limits.max_packet ? NACRE_OVERSIZED : NACRE_MALFORMED;
    nacre_span seen = nc_span(nc_queue_front(&p->in_queue), nc_queue_len(&p->in_queue));
    if (!p->in.cipher && seen.n >= LENGTH_BYTES && looks_like_text(nc_span(seen.p, LENGTH_BYTES))) {
        size_t n = seen.n < SHOWN_TEXT ? seen.n : SHOWN_TEXT;
        const uint8_t *eol = memchr(seen.p, '\n', n);
        nacre_span line = nc_span(seen.p, eol ? (size_t)(eol - seen.p) : n);
        return bad_input(p, err, status,
                         "text came where a packet was expected: \"%s\"; "
                         "the peer is not speaking SSH, or its programs print something",
                         NC_ESC(line));
    }
    return bad_input(p, err, status,
                     "packet length %" PRIu32 " is not acceptable: "
                     "the peer is not speaking SSH or the data is corrupt",
                     length);
}

/* Before anything is awaited, allocated or verified (RFC 4253 6): is this a length at all? */
static bool length_acceptable(const nc_packetizer *p, uint32_t length)
{
    const nc_pktcipher_layout *l = &p->in.layout;
    uint32_t least = nc_layout_is_bare(l) ? 0 : MIN_PADDING;
    if (length > p->limits.max_packet || length < 1 + 1 + least) {
        return false;
    }
    /*
     * Where the length stands apart (AEAD, EtM), OpenSSH's shortest packets have 12 bytes, not the
     * 16 of RFC 4253; so the block alone rules. Elsewhere the two come to the same.
     */
    return (length + (l->length_apart ? 0 : LENGTH_BYTES)) % l->block == 0;
}

/* The length of the packet at the queue's head, learned once a packet. */
static int peek(nc_packetizer *p, nacre_error *err)
{
    if (p->in_peeked) {
        return NACRE_OK;
    }
    p->in_need = p->in.layout.head_len;
    if (nc_queue_len(&p->in_queue) < p->in_need) {
        return NACRE_AGAIN;
    }
    uint8_t *front = nc_queue_front(&p->in_queue);
    uint32_t length = 0;
    if (p->in.cipher) {
        int rc = nc_pktcipher_peek_len(p->in.cipher, p->in.seq, front, &length);
        if (rc != NACRE_OK) {
            return failed_here(p, err, rc, "packet length could not be decrypted");
        }
    } else {
        length = nc_get_u32(front);
    }
    if (!length_acceptable(p, length)) {
        return bad_length(p, err, length);
    }
    p->in_packet_length = length;
    p->in_peeked = true;
    p->in_need = LENGTH_BYTES + (size_t)length + p->in.layout.tag_len;
    return NACRE_OK;
}

/* Decrypts the whole packet at the head; its payload as it came, compressed perhaps. */
static int open_packet(nc_packetizer *p, nacre_span *payload, nacre_error *err)
{
    uint8_t *front = nc_queue_front(&p->in_queue);
    uint32_t length = p->in_packet_length;
    if (p->in.cipher) {
        int rc = nc_pktcipher_open(p->in.cipher, p->in.seq, front, length);
        if (rc == NACRE_INTEGRITY) {
            return bad_input(p, err, rc,
                             "packet %" PRIu32 " failed its integrity check: "
                             "it was changed on its way, or the two sides use different keys",
                             p->in.seq);
        }
        if (rc != NACRE_OK) {
            return failed_here(p, err, rc, "packet could not be decrypted");
        }
    }
    uint32_t padding = front[LENGTH_BYTES];
    /* A payload has one byte at least: the message number. */
    bool bare = nc_layout_is_bare(&p->in.layout);
    if ((!bare && padding < MIN_PADDING) || padding + 2 > length) {
        return bad_input(p, err, NACRE_MALFORMED,
                         "padding of %" PRIu32 " bytes in a packet of %" PRIu32
                         " is not acceptable",
                         padding, length);
    }
    *payload = nc_span(front + HEADER_BYTES, length - 1 - padding);
    return NACRE_OK;
}

static int inflate_payload(nc_packetizer *p, nacre_span *payload, nacre_error *err)
{
    int rc = nc_zstream_inflate(p->in.zlib, *payload, &p->in_plain, p->limits.max_packet);
    switch (rc) {
    case NACRE_OK:
        break;
    case NACRE_LIMIT:
        return bad_input(p, err, NACRE_COMPRESSION,
                         "a packet of %zu bytes inflates to more than %zu: decompression bomb",
                         payload->n, p->limits.max_packet);
    case NACRE_COMPRESSION:
        return bad_input(p, err, rc, "packet %" PRIu32 " is not valid compressed data", p->in.seq);
    default:
        return failed_here(p, err, rc, "packet could not be inflated");
    }
    if (p->in_plain.len == 0) {
        return bad_input(p, err, NACRE_COMPRESSION, "a compressed packet inflates to nothing");
    }
    *payload = nc_buf_span(&p->in_plain);
    return NACRE_OK;
}

/* AGAIN, unless there never was room for the bytes that would help. */
static int not_whole_yet(nc_packetizer *p, nacre_error *err)
{
    if (p->in_no_memory && p->in_queue.buf.cap < p->in_need) {
        return failed_here(p, err, NACRE_NO_MEMORY, "no room for received data");
    }
    return NACRE_AGAIN;
}

int nc_packetizer_next(nc_packetizer *p, nc_packet *pkt, nacre_error *err)
{
    *pkt = (nc_packet){0};
    if (p->in_failed != NACRE_OK) {
        return nc_fail(err, p->in_failed, "input failed before: %s",
                       nacre_status_text(p->in_failed));
    }
    release_lent(p);
    if (p->in_paused) {
        return NACRE_AGAIN;
    }
    int rc = peek(p, err);
    if (rc == NACRE_AGAIN || (rc == NACRE_OK && nc_queue_len(&p->in_queue) < p->in_need)) {
        return not_whole_yet(p, err);
    }
    nacre_span payload = {0};
    if (rc == NACRE_OK) {
        rc = open_packet(p, &payload, err);
    }
    if (rc == NACRE_OK && p->in.zlib) {
        rc = inflate_payload(p, &payload, err);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    *pkt = (nc_packet){.number = payload.p[0], .payload = payload, .seq = p->in.seq};
    p->in_lent = p->in_need;
    p->in_secret = pkt->number >= FIRST_USERAUTH && pkt->number <= LAST_USERAUTH;
    nc_direction_count(&p->in, p->in_lent);
    p->in_peeked = false;
    p->in_need = 1;
    if (p->in.zlib) {
        drop_packet(p); /* nobody looks at it any more */
    }
    return NACRE_OK;
}

bool nc_packetizer_has_input(const nc_packetizer *p)
{
    /* What is lent waits too: for the step that takes it back and so makes room. */
    return !p->in_paused && p->in_failed == NACRE_OK &&
           (p->in_lent > 0 || nc_queue_len(&p->in_queue) >= p->in_need);
}

void nc_packetizer_pause_input(nc_packetizer *p)
{
    p->in_paused = true;
}

int nc_packetizer_line(nc_packetizer *p, size_t max, nacre_span *line)
{
    *line = nc_span(NULL, 0);
    if (p->in_failed != NACRE_OK) {
        return p->in_failed;
    }
    release_lent(p);
    const uint8_t *front = nc_queue_front(&p->in_queue);
    size_t queued = nc_queue_len(&p->in_queue);
    size_t window = queued < max + 2 ? queued : max + 2; /* CR and LF come on top */
    size_t seen = p->in_scanned < window ? p->in_scanned : window;
    const uint8_t *lf = window > seen ? memchr(front + seen, '\n', window - seen) : NULL;
    if (!lf) {
        if (window > max && !(window == max + 1 && front[max] == '\r')) {
            p->in_failed = NACRE_OVERSIZED;
            return NACRE_OVERSIZED;
        }
        p->in_scanned = window;
        p->in_need = queued + 1;
        return not_whole_yet(p, NULL);
    }
    size_t n = (size_t)(lf - front);
    p->in_scanned = 0;
    p->in_need = 1;
    p->in_lent = n + 1;
    if (n && front[n - 1] == '\r') {
        n--;
    }
    if (n > max) {
        p->in_failed = NACRE_OVERSIZED;
        return NACRE_OVERSIZED;
    }
    *line = nc_span(front, n);
    return NACRE_OK;
}
