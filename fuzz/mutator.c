/*
 * mutator.c - the mutator, for every engine and for replay.c.
 */
#include "mutator.h"

#include <stdlib.h>
#include <string.h>

#include "wire/msg.h"

enum {
    MAX_UNITS = 512,
    MAX_PAYLOAD = 16 * 1024,
    MAX_FIELDS = 32,
    RECORD_MOST = 0xFFF,
    FRAME_HEAD = 5
};

/* One packet, message or act of the input. */
typedef struct unit {
    size_t at, n;        /* in the input */
    size_t payload_at;   /* likewise */
    size_t payload_n;    /* of an act: 0 */
    uint8_t record_bits; /* of a record: what its first byte says beside the length */
} unit;

typedef struct work {
    const fuzz_shape *shape;
    uint8_t *data;
    size_t n, max;
    uint64_t *seed;
    unit units[MAX_UNITS];
    size_t count;
    uint8_t payload[MAX_PAYLOAD + FRAME_HEAD + 300]; /* a unit under edit, and its frame */
    size_t payload_n;
} work;

static uint32_t pick(work *w, size_t below)
{
    uint8_t b[4];
    fuzz_random(w->seed, b, sizeof(b));
    return below ? nc_get_u32(b) % (uint32_t)below : 0;
}

/* ---- finding the units ----------------------------------------------------------------------------- */

static bool record_unit(const work *w, size_t at, unit *u)
{
    if (w->n - at < 2) {
        return false;
    }
    uint8_t op = w->data[at];
    size_t len = op < 0x80 ? (size_t)(op & 0x0F) * 256 + w->data[at + 1] : 0;
    len = len > w->n - at - 2 ? w->n - at - 2 : len;
    *u = (unit){at, 2 + len, at + 2, len, op & 0xF0};
    return true;
}

static bool packet_unit(const work *w, size_t at, unit *u)
{
    if (w->n - at < FRAME_HEAD + 1) {
        return false;
    }
    size_t len = nc_get_u32(w->data + at);
    size_t padding = w->data[at + 4];
    if (len > w->n - at - 4 || len < padding + 2) {
        return false;
    }
    *u = (unit){at, 4 + len, at + FRAME_HEAD, len - 1 - padding, 0};
    return true;
}

static bool message_unit(const work *w, size_t at, unit *u)
{
    if (w->n - at < 5) {
        return false;
    }
    size_t len = nc_get_u32(w->data + at);
    if (len > w->n - at - 4 || len == 0) {
        return false;
    }
    *u = (unit){at, 4 + len, at + 4, len, 0};
    return true;
}

static bool next_unit(const work *w, size_t at, unit *u)
{
    switch (w->shape->form) {
    case FUZZ_RECORDS:
        return record_unit(w, at, u);
    case FUZZ_PACKETS:
        return packet_unit(w, at, u);
    case FUZZ_MESSAGES:
        return message_unit(w, at, u);
    default:
        return false;
    }
}

/* Where packets begin: behind the version line. */
static size_t first_unit(const work *w)
{
    size_t at = w->shape->head < w->n ? w->shape->head : w->n;
    if (w->shape->form == FUZZ_PACKETS) {
        for (size_t i = at; i + 4 < w->n; i++) {
            if (memcmp(w->data + i, "SSH-", 4) == 0) {
                const uint8_t *lf = memchr(w->data + i, '\n', w->n - i);
                return lf ? (size_t)(lf - w->data) + 1 : w->n;
            }
        }
    }
    return at;
}

static void find_units(work *w)
{
    size_t at = first_unit(w);
    w->count = 0;
    while (w->count < MAX_UNITS && next_unit(w, at, &w->units[w->count])) {
        at += w->units[w->count++].n;
    }
}

/* ---- changing the input ---------------------------------------------------------------------------- */

/* Puts ins in the place of del bytes; not when it would be too much. */
static void replace(work *w, size_t at, size_t del, const uint8_t *ins, size_t n)
{
    if (w->n - del + n > w->max) {
        return;
    }
    memmove(w->data + at + n, w->data + at + del, w->n - at - del);
    if (n) {
        memcpy(w->data + at, ins, n);
    }
    w->n = w->n - del + n;
}

/* Puts the frame around the payload under edit; its length, 0: it cannot be. */
static size_t frame(const work *w, uint8_t record_bits, uint8_t *out)
{
    size_t n = w->payload_n;
    size_t padding = 4 + (8 - (FRAME_HEAD + n + 4) % 8) % 8;
    switch (w->shape->form) {
    case FUZZ_RECORDS:
        if (n > RECORD_MOST) {
            return 0;
        }
        out[0] = (uint8_t)((record_bits & 0x70) | n >> 8);
        out[1] = (uint8_t)n;
        memcpy(out + 2, w->payload, n);
        return 2 + n;
    case FUZZ_PACKETS:
        nc_put_u32(out, (uint32_t)(1 + n + padding));
        out[4] = (uint8_t)padding;
        memcpy(out + FRAME_HEAD, w->payload, n);
        memset(out + FRAME_HEAD + n, 0, padding);
        return FRAME_HEAD + n + padding;
    default:
        nc_put_u32(out, (uint32_t)n);
        memcpy(out + 4, w->payload, n);
        return 4 + n;
    }
}

static void put_payload(work *w, size_t at, size_t del, uint8_t record_bits)
{
    uint8_t *framed = malloc(w->payload_n + 300);
    if (framed) {
        size_t n = frame(w, record_bits, framed);
        if (n) {
            replace(w, at, del, framed, n);
        }
    }
    free(framed);
}

/* ---- a payload ------------------------------------------------------------------------------------- */

typedef struct field {
    nc_field_kind kind;
    size_t at, n; /* of a string: its content */
} field;

static const char *const words[] = {
    "",
    "session",
    "direct-tcpip",
    "forwarded-tcpip",
    "x11",
    "exec",
    "shell",
    "subsystem",
    "sftp",
    "pty-req",
    "env",
    "window-change",
    "signal",
    "exit-status",
    "exit-signal",
    "auth-agent-req@openssh.com",
    "eow@openssh.com",
    "none",
    "password",
    "publickey",
    "hostbased",
    "keyboard-interactive",
    "TERM",
    "ssh-userauth",
    "ssh-connection",
    "ssh-ed25519",
    "rsa-sha2-512",
    "tcpip-forward",
    "cancel-tcpip-forward",
    "hostkeys-00@openssh.com",
    "hostkeys-prove-00@openssh.com",
    "server-sig-algs",
    "ext-info-c",
    "kex-strict-s-v00@openssh.com",
    "no-more-sessions@openssh.com",
    "keepalive@openssh.com",
    "publickey-hostbound-v00@openssh.com",
    "zlib@openssh.com",
    "aes128-ctr",
    "curve25519-sha256",
    "user",
    "ping@openssh.com",
};

static uint32_t odd_number(work *w)
{
    static const uint32_t odd[] = {
        0,      1,      2,       4,          0x7f,       0xff,       0x100,      0x7fff,
        0x8000, 0xffff, 0x10000, 256 * 1024, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    return odd[pick(w, sizeof(odd) / sizeof(odd[0]))];
}

static size_t field_len(nc_field_kind kind, const uint8_t *p, size_t left)
{
    switch (kind) {
    case NC_KIND_bool:
        return 1;
    case NC_KIND_u32:
        return 4;
    case NC_KIND_cookie:
        return 16;
    case NC_KIND_str:
    case NC_KIND_namelist:
    case NC_KIND_mpint:
        return left >= 4 ? 4 + (size_t)nc_get_u32(p) : SIZE_MAX;
    case NC_KIND_rest:
        return left;
    default:
        return 0;
    }
}

/* The fields of the payload by one of the layouts of its number, as far as they go. */
static size_t fields_of(work *w, field *out)
{
    const nc_msg_desc *d = NULL;
    size_t rivals = 0;
    for (size_t i = 0; nc_msg_all[i]; i++) {
        if (w->payload_n && nc_msg_all[i]->number == w->payload[0] && pick(w, ++rivals) == 0) {
            d = nc_msg_all[i];
        }
    }
    size_t at = 1;
    size_t count = 0;
    for (size_t i = 0; d && i < d->count && count < MAX_FIELDS; i++) {
        nc_field_kind kind = d->fields[i].kind;
        size_t n = field_len(kind, w->payload + at, w->payload_n - at);
        if (n > w->payload_n - at) {
            break;
        }
        bool string = kind == NC_KIND_str || kind == NC_KIND_namelist || kind == NC_KIND_mpint;
        out[count++] = (field){kind, at + (string ? 4 : 0), n - (string ? 4 : 0)};
        at += n;
    }
    return count;
}

/* Anything within [at, at + n) that reads as a string: SFTP, and what layouts call the rest. */
static bool any_string(work *w, size_t at, size_t n, field *out)
{
    size_t found = 0;
    for (size_t i = at; i + 4 <= at + n; i++) {
        uint32_t len = nc_get_u32(w->payload + i);
        if (len <= at + n - i - 4 && (len > 0 || pick(w, 4) == 0) && pick(w, ++found) == 0) {
            *out = (field){NC_KIND_str, i + 4, len};
        }
    }
    return found > 0;
}

static void payload_replace(work *w, size_t at, size_t del, const void *ins, size_t n)
{
    if (w->payload_n - del + n > MAX_PAYLOAD) {
        return;
    }
    memmove(w->payload + at + n, w->payload + at + del, w->payload_n - at - del);
    if (n) {
        memcpy(w->payload + at, ins, n);
    }
    w->payload_n = w->payload_n - del + n;
}

static void edit_string(work *w, const field *f)
{
    uint8_t fill[600];
    size_t before = w->payload_n;
    const char *word = words[pick(w, sizeof(words) / sizeof(words[0]))];
    switch (pick(w, 6)) {
    case 0:
        payload_replace(w, f->at, f->n, word, strlen(word));
        break;
    case 1: /* longer */
        memset(fill, (int)pick(w, 256), sizeof(fill));
        payload_replace(w, f->at + f->n, 0, fill, 1 + pick(w, pick(w, 4) ? 16 : sizeof(fill)));
        break;
    case 2: /* shorter */
        payload_replace(w, f->at, f->n ? 1 + pick(w, f->n) : 0, NULL, 0);
        break;
    case 3: /* one more name in a list */
        payload_replace(w, f->at, 0, ",", 1);
        payload_replace(w, f->at, 0, word, strlen(word));
        break;
    case 4:
        if (f->n) {
            w->payload[f->at + pick(w, f->n)] ^= (uint8_t)(1u << pick(w, 8));
        }
        return;
    default: /* a lie */
        nc_put_u32(w->payload + f->at - 4, pick(w, 2) ? odd_number(w) : (uint32_t)f->n + 1);
        return;
    }
    nc_put_u32(w->payload + f->at - 4, (uint32_t)(f->n + w->payload_n - before));
}

static void edit_field(work *w, const field *f)
{
    field inner;
    switch (f->kind) {
    case NC_KIND_bool:
        w->payload[f->at] = (uint8_t)(pick(w, 4) ? !w->payload[f->at] : pick(w, 256));
        break;
    case NC_KIND_u32:
        nc_put_u32(w->payload + f->at,
                   pick(w, 3) ? odd_number(w) : nc_get_u32(w->payload + f->at) + pick(w, 5) - 2);
        break;
    case NC_KIND_str:
    case NC_KIND_namelist:
    case NC_KIND_mpint:
        if (f->n > 8 && pick(w, 3) == 0 && any_string(w, f->at, f->n, &inner)) {
            edit_string(w, &inner); /* the outer length is then a lie of its own */
            break;
        }
        edit_string(w, f);
        break;
    default:
        if (f->n && any_string(w, f->at, f->n, &inner)) {
            edit_string(w, &inner);
        } else if (f->n) {
            w->payload[f->at + pick(w, f->n)] = (uint8_t)pick(w, 256);
        }
        break;
    }
}

static void edit_payload(work *w)
{
    field fields[MAX_FIELDS];
    size_t count = w->shape->form == FUZZ_MESSAGES ? 0 : fields_of(w, fields);
    field whole = {NC_KIND_rest, 0, w->payload_n};
    switch (pick(w, 8)) {
    case 0: /* another message of the same content */
        if (w->payload_n) {
            w->payload[0] = (uint8_t)pick(w, pick(w, 2) ? 256 : 110);
        }
        break;
    case 1: /* more behind it, or less */
        if (pick(w, 2)) {
            payload_replace(w, w->payload_n, 0, "\0\0\0\0more", 1 + pick(w, 8));
        } else if (w->payload_n > 1) {
            w->payload_n = 1 + pick(w, w->payload_n - 1);
        }
        break;
    default:
        edit_field(w, count ? &fields[pick(w, count)] : &whole);
        break;
    }
}

/* A message of nobody: any layout, filled with words and odd numbers. */
static void invent_payload(work *w)
{
    size_t rows = 0;
    while (nc_msg_all[rows]) {
        rows++;
    }
    const nc_msg_desc *d = nc_msg_all[pick(w, rows)];
    w->payload_n = 0;
    if (d->number >= 0) {
        w->payload[w->payload_n++] = (uint8_t)d->number;
    }
    for (size_t i = 0; i < d->count; i++) {
        const char *word = words[pick(w, sizeof(words) / sizeof(words[0]))];
        uint8_t number[16] = {0};
        switch (d->fields[i].kind) {
        case NC_KIND_bool:
            number[0] = (uint8_t)pick(w, 2);
            payload_replace(w, w->payload_n, 0, number, 1);
            break;
        case NC_KIND_u32:
            nc_put_u32(number, pick(w, 2) ? pick(w, 4) : odd_number(w));
            payload_replace(w, w->payload_n, 0, number, 4);
            break;
        case NC_KIND_cookie:
            payload_replace(w, w->payload_n, 0, number, 16);
            break;
        case NC_KIND_none:
            break;
        default:
            nc_put_u32(number, (uint32_t)strlen(word));
            payload_replace(w, w->payload_n, 0, number, 4);
            payload_replace(w, w->payload_n, 0, word, strlen(word));
            break;
        }
    }
}

/* ---- the input ------------------------------------------------------------------------------------- */

static void edit_unit(work *w, const unit *u)
{
    if (w->shape->form == FUZZ_RECORDS && u->record_bits >= 0x80) {
        w->data[u->at + pick(w, 2)] = (uint8_t)(0x80 | pick(w, 128));
        return;
    }
    size_t n = u->payload_n < MAX_PAYLOAD ? u->payload_n : MAX_PAYLOAD;
    memcpy(w->payload, w->data + u->payload_at, n);
    w->payload_n = n;
    edit_payload(w);
    put_payload(w, u->at, u->n, u->record_bits);
}

static void insert_unit(work *w, size_t at)
{
    if (w->shape->form == FUZZ_RECORDS && pick(w, 2)) {
        const uint8_t act[2] = {(uint8_t)(0x80 | pick(w, 128)), (uint8_t)pick(w, 256)};
        replace(w, at, 0, act, sizeof(act));
        return;
    }
    invent_payload(w);
    put_payload(w, at, 0, 0);
}

static void copy_unit(work *w, const unit *u, size_t to)
{
    uint8_t *copy = malloc(u->n);
    if (copy) {
        memcpy(copy, w->data + u->at, u->n);
        replace(w, to, 0, copy, u->n);
    }
    free(copy);
}

static void plain(work *w)
{
    size_t at = pick(w, w->n);
    switch (w->n ? pick(w, 5) : 4) {
    case 0:
        w->data[at] ^= (uint8_t)(1u << pick(w, 8));
        break;
    case 1:
        w->data[at] = (uint8_t)pick(w, 256);
        break;
    case 2:
        if (w->n >= 4) {
            nc_put_u32(w->data + pick(w, w->n - 3), odd_number(w));
        }
        break;
    case 3:
        replace(w, at, 1 + pick(w, w->n - at < 16 ? w->n - at : 16), NULL, 0);
        break;
    default: {
        const char *word = words[pick(w, sizeof(words) / sizeof(words[0]))];
        replace(w, at, 0, (const uint8_t *)word, strlen(word));
    }
    }
}

static void mutate_once(work *w)
{
    find_units(w);
    if (w->count == 0 || pick(w, 16) == 0) {
        plain(w);
        return;
    }
    const unit *u = &w->units[pick(w, w->count)];
    const unit *v = &w->units[pick(w, w->count)];
    switch (pick(w, 8)) {
    case 0:
        copy_unit(w, u, v->at);
        break;
    case 1:
        replace(w, u->at, u->n, NULL, 0);
        break;
    case 2:
        insert_unit(w, u->at + (pick(w, 2) ? u->n : 0));
        break;
    case 3:
        if (w->shape->head) {
            w->data[pick(w, w->shape->head)] = (uint8_t)pick(w, 256);
        }
        break;
    default:
        edit_unit(w, u);
        break;
    }
}

size_t fuzz_mutate(const fuzz_shape *shape, uint8_t *data, size_t n, size_t max, uint64_t *seed)
{
    work *w = malloc(sizeof(*w));
    if (!w) {
        return n;
    }
    w->shape = shape;
    w->data = data;
    w->n = n;
    w->max = max;
    w->seed = seed;
    for (size_t changes = 1 + pick(w, 4); changes; changes--) {
        mutate_once(w);
    }
    n = w->n;
    free(w);
    return n;
}

static size_t alone(uint8_t *payload, size_t n, size_t max, uint64_t *seed, void (*edit)(work *w))
{
    static const fuzz_shape packets = {FUZZ_PACKETS, 0};
    work *w = n <= MAX_PAYLOAD ? malloc(sizeof(*w)) : NULL;
    if (!w) {
        return n;
    }
    w->shape = &packets;
    w->seed = seed;
    memcpy(w->payload, payload, n);
    w->payload_n = n;
    edit(w);
    if (w->payload_n <= max) {
        n = w->payload_n;
        memcpy(payload, w->payload, n);
    }
    free(w);
    return n;
}

size_t fuzz_mutate_payload(uint8_t *payload, size_t n, size_t max, uint64_t *seed)
{
    return alone(payload, n, max, seed, edit_payload);
}

size_t fuzz_invent_payload(uint8_t *payload, size_t max, uint64_t *seed)
{
    return alone(payload, 0, max, seed, invent_payload);
}
