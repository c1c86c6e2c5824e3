/*
 * sftp_xfer_check.c - is what lies here what lies there? Hashes made by the server (check-file) beside our
 * own, or the last bytes compared: before a transfer is resumed, and after one that is to be verified.
 */
#include "client/sftp_xfer_state.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    TAIL = 1024 * 1024, /* compared when the server makes no hashes */
    PIECE = 64 * 1024
};

static const char algorithms[] = "sha256,sha512,sha1,md5";

/* ---- local bytes -------------------------------------------------------------------------------------- */

static ssize_t read_at(int fd, void *p, size_t n, uint64_t offset)
{
    ssize_t got;
    do {
        got = pread(fd, p, n, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    return got;
}

static int hash_local(nc_xfer *x, const nc_hash_alg *alg, uint8_t *out)
{
    uint64_t at = x->check_offset;
    uint64_t left = x->check_length;
    nc_hasher *h = NULL;
    uint8_t *piece = nc_alloc(x->s->alloc, PIECE);
    int rc = piece ? nc_hasher_new(&h, x->s->alloc, alg) : NACRE_NO_MEMORY;
    while (rc == NACRE_OK && left > 0) {
        ssize_t got = read_at(x->check_fd, piece, left < PIECE ? (size_t)left : PIECE, at);
        if (got <= 0) {
            errno = got == 0 ? ENODATA : errno; /* somebody cut it */
            rc = nc_local_errno(&x->error, "read local", x->spec.local);
            break;
        }
        rc = nc_hasher_update(h, nc_span(piece, (size_t)got));
        at += (uint64_t)got;
        left -= (uint64_t)got;
    }
    rc = rc == NACRE_OK ? nc_hasher_final(h, out) : rc;
    nc_hasher_free(h);
    nc_free(x->s->alloc, piece);
    return rc == NACRE_OK
               ? rc
               : nc_xfer_fail(x, rc, "hash local %s: %s", x->spec.local, nacre_status_text(rc));
}

/* ---- the server's hash -------------------------------------------------------------------------------- */

/* What the same question is called by servers, one after the other until one is known. */
static const nacre_sftp_ext names[] = {NACRE_SFTP_EXT_CHECK_FILE_HANDLE, NACRE_SFTP_EXT_CHECK_FILE,
                                       NACRE_SFTP_EXT_CHECK_FILE_NAME};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* False: the server knows it by none of them. */
static bool ask_hash(nc_xfer *x)
{
    while (x->check_name < NAMES && (x->s->unknown_checks & 1u << names[x->check_name])) {
        x->check_name++;
    }
    if (x->check_name == NAMES) {
        return false;
    }
    const char *path = x->temporary ? x->temporary : x->spec.remote;
    nc_sftp_request *r = nc_xfer_want(x, NC_XFER_HASH, NACRE_FXP_EXTENDED, path);
    r->ext = names[x->check_name++];
    r->offset = x->check_offset;
    r->length = x->check_length;
    r->algorithms = x->hasher ? "sha256" : algorithms;
    return true;
}

/* Ours, of the kind that the server has made; a stream's was made as it passed. */
static int our_hash(nc_xfer *x, const nc_hash_alg *alg, uint8_t *out)
{
    if (x->hasher) {
        memcpy(out, x->streamed, alg->len);
        return NACRE_OK;
    }
    return hash_local(x, alg, out);
}

static void compare_hashes(nc_xfer *x, const nc_sftp_op *op)
{
    const nc_hash_alg *alg = nc_hash_find(op->algorithm);
    uint8_t ours[NC_MAX_HASH];
    bool usable = op->ok && alg && op->hash_len == alg->len && (!x->hasher || alg->id == NC_SHA256);
    x->checked = NC_XFER_UNCHECKED;
    if (usable && our_hash(x, alg, ours) == NACRE_OK) {
        bool same = memcmp(ours, op->hash, alg->len) == 0;
        x->checked = same ? NC_XFER_SAME : NC_XFER_DIFFERENT;
    }
}

static bool hash_answer(nc_xfer *x)
{
    const nc_sftp_op *op = &x->asks[NC_XFER_HASH].op;
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x)) {
        return false;
    }
    bool unknown = !op->ok && op->code == NACRE_FX_OP_UNSUPPORTED;
    if (unknown) {
        x->s->unknown_checks |= 1u << names[x->check_name - 1];
    }
    if (unknown && ask_hash(x)) {
        return true;
    }
    compare_hashes(x, op);
    nc_xfer_forget(x, NC_XFER_HASH);
    x->step = x->check_then;
    return true;
}

void nc_xfer_check_hash(nc_xfer *x, int fd, uint64_t offset, uint64_t n, nc_xfer_step then)
{
    x->check_fd = fd;
    x->check_offset = offset;
    x->check_length = n;
    x->check_then = then;
    x->checked = n == 0 ? NC_XFER_SAME : NC_XFER_UNCHECKED;
    x->check_name = 0;
    x->step = then;
    if (n > 0 && nacre_sftp_has(x->s, NACRE_SFTP_EXT_CHECK_FILE) && ask_hash(x)) {
        x->step = hash_answer;
    }
}

/* ---- what passes through a stream --------------------------------------------------------------------- */

int nc_xfer_hash_stream(nc_xfer *x)
{
    int rc = nc_hasher_new(&x->hasher, x->s->alloc, nc_hash_get(NC_SHA256));
    return rc == NACRE_OK ? rc : nc_xfer_fail(x, rc, "no memory for a hash");
}

int nc_xfer_hash_end(nc_xfer *x)
{
    int rc = x->hasher ? nc_hasher_final(x->hasher, x->streamed) : NACRE_OK;
    return rc == NACRE_OK
               ? rc
               : nc_xfer_fail(x, rc, "hash %s: %s", x->spec.remote, nacre_status_text(rc));
}

/* ---- the last bytes ----------------------------------------------------------------------------------- */

static int compare(void *user, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    nc_xfer *x = user;
    uint8_t piece[4096];
    while (bytes.n > 0) {
        size_t n = bytes.n < sizeof(piece) ? bytes.n : sizeof(piece);
        ssize_t got = read_at(x->check_fd, piece, n, offset);
        if (got < 0) {
            return nc_local_errno(err, "read local", x->spec.local);
        }
        if (got == 0 || memcmp(piece, bytes.p, (size_t)got) != 0) {
            x->checked = NC_XFER_DIFFERENT;
            return NACRE_OK;
        }
        bytes.p += got;
        bytes.n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return NACRE_OK;
}

static bool tail_read(nc_xfer *x)
{
    if (!nc_xfer_pump_flow(x) || !nc_sftp_flow_over(x->flow)) {
        return false;
    }
    if (x->reader.flow.end < x->check_offset + x->check_length) {
        x->checked = NC_XFER_DIFFERENT; /* it ended before */
    }
    nc_sftp_flow_stop(x->flow);
    x->flow = NULL;
    x->comparing = false;
    x->step = x->check_then;
    return true;
}

static bool hash_or_tail(nc_xfer *x)
{
    x->step = x->tail_then;
    if (x->checked != NC_XFER_UNCHECKED) {
        return true;
    }
    uint64_t n = x->check_length < TAIL ? x->check_length : TAIL;
    nc_sftp_reader *r = &x->reader;
    nc_sftp_reader_init(r, x->s, nc_span(x->handle, x->handle_len), x->spec.remote, compare, x);
    x->check_offset += x->check_length - n;
    x->check_length = n;
    x->checked = NC_XFER_SAME;
    x->check_then = x->tail_then;
    r->flow.next = x->check_offset;
    r->flow.end = x->check_offset + n;
    r->depth = r->flow.max_requests; /* just these bytes are wanted */
    x->comparing = true;
    nc_xfer_start_flow(x, &r->flow);
    x->step = tail_read;
    return true;
}

void nc_xfer_check_prefix(nc_xfer *x, int fd, uint64_t n, nc_xfer_step then)
{
    x->tail_then = then;
    nc_xfer_check_hash(x, fd, 0, n, hash_or_tail);
}

/* ---- after the transfer ------------------------------------------------------------------------------- */

bool nc_xfer_wants_hash(const nc_xfer *x)
{
    return x->o->verify != NACRE_SFTP_VERIFY_SIZE &&
           nacre_sftp_has(x->s, NACRE_SFTP_EXT_CHECK_FILE);
}

int nc_xfer_can_verify(nc_xfer *x)
{
    if (x->o->verify == NACRE_SFTP_VERIFY_REQUIRED &&
        !nacre_sftp_has(x->s, NACRE_SFTP_EXT_CHECK_FILE)) {
        return nc_xfer_fail(x, NACRE_UNSUPPORTED,
                            "%s cannot be verified: the server makes no hashes (check-file)",
                            x->spec.remote);
    }
    return NACRE_OK;
}

int nc_xfer_judge_hash(nc_xfer *x)
{
    if (x->error.status != NACRE_OK) {
        return x->error.status;
    }
    if (x->checked == NC_XFER_DIFFERENT) {
        return nc_xfer_fail(x, NACRE_INCOMPLETE,
                            "remote %s and what was copied differ: their hashes are not the same",
                            x->spec.remote);
    }
    if (x->checked == NC_XFER_UNCHECKED && x->o->verify == NACRE_SFTP_VERIFY_REQUIRED) {
        return nc_xfer_fail(x, NACRE_UNSUPPORTED,
                            "%s cannot be verified: the server made no hash that we know",
                            x->spec.remote);
    }
    return NACRE_OK;
}
