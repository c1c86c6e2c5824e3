/*
 * sftp_check.c - hashes that the server makes (check-file), and extensions that are nobody's.
 *
 * Servers know check-file by different names, whatever they announce: ProFTPD takes check-file-name and
 * check-file-handle, paramiko only check-file with a handle. Each is tried once; what the server does
 * not know is remembered.
 */
#include "client/sftp_file.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t length;
} algorithms[] = {
    {"md5", 16},    {"sha1", 20},   {"sha224", 28}, {"sha256", 32},
    {"sha384", 48}, {"sha512", 64}, {"crc32", 4},
};

/* 0: not one of ours, any length may be right. */
static size_t length_of(const char *algorithm)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (strcasecmp(algorithm, algorithms[i].name) == 0) {
            return algorithms[i].length;
        }
    }
    return 0;
}

static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; n > 0 && *p; p += strspn(p, ",")) {
        size_t len = strcspn(p, ",");
        if (len == n && strncasecmp(p, name, n) == 0) {
            return true;
        }
        p += len;
    }
    return false;
}

static int bad_answer(nacre_sftp *s, const nc_sftp_request *r, const char *what)
{
    return nc_sftp_fail(s, NACRE_SFTP_PROTOCOL, "hash %s: the server's answer %s",
                        NC_ESC(nc_span_cstr(r->path)), what);
}

/* As many hashes as there are blocks, where that is known. */
static bool count_fits(const nc_sftp_request *r, size_t count)
{
    if (r->block_size == 0) {
        return count == 1;
    }
    return r->length == 0 || count <= (r->length - 1) / r->block_size + 1;
}

static int take_hashes(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op,
                       nacre_sftp_hash *out)
{
    size_t length = length_of(op->algorithm);
    if (!is_listed(r->algorithms, op->algorithm)) {
        return bad_answer(s, r, "is of a hash that was not asked for");
    }
    if (length > 0 && (op->names_len % length != 0 || !count_fits(r, op->names_len / length))) {
        return bad_answer(s, r, "has not the length of its hash");
    }
    memcpy(out->algorithm, op->algorithm, sizeof(out->algorithm));
    out->bytes = op->names;
    out->n = op->names_len;
    op->names = NULL; /* the caller's now */
    return NACRE_OK;
}

/* One name for it; *unknown: the server does not know that name, another may do. */
static int try_name(nacre_sftp *s, nc_sftp_request *r, nacre_sftp_ext ext, nacre_sftp_hash *out,
                    bool *unknown)
{
    uint32_t bit = UINT32_C(1) << ext;
    nc_sftp_op op;
    *unknown = true;
    if (s->unknown_checks & bit) {
        return nc_sftp_fail(s, NACRE_UNSUPPORTED, "hash %s: the server does not support this",
                            NC_ESC(nc_span_cstr(r->path)));
    }
    r->ext = ext;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, r, &op);
    *unknown = rc == NACRE_SFTP_STATUS && op.code == NACRE_FX_OP_UNSUPPORTED;
    if (*unknown) {
        s->unknown_checks |= bit;
        rc = nc_sftp_fail(s, NACRE_UNSUPPORTED, "hash %s: the server does not support this",
                          NC_ESC(nc_span_cstr(r->path)));
    }
    rc = rc == NACRE_OK ? take_hashes(s, r, &op, out) : rc;
    nc_sftp_op_clear(&op);
    return rc;
}

static int by_handle(nacre_sftp *s, nc_sftp_request *r, nacre_sftp_hash *out)
{
    bool unknown;
    int rc = try_name(s, r, NACRE_SFTP_EXT_CHECK_FILE_HANDLE, out, &unknown);
    return unknown ? try_name(s, r, NACRE_SFTP_EXT_CHECK_FILE, out, &unknown) : rc;
}

static int by_opening(nacre_sftp *s, nc_sftp_request *r, nacre_sftp_hash *out)
{
    nc_sftp_request o = {.type = NACRE_FXP_OPEN, .path = r->path, .pflags = NACRE_FXF_READ};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, &o, &op);
    if (rc == NACRE_OK) {
        r->handle = nc_span(op.handle, op.handle_len);
        rc = by_handle(s, r, out);
        nc_sftp_drop_handle(s, r->handle);
    }
    nc_sftp_op_clear(&op);
    return rc;
}

int nacre_sftp_check_file(nacre_sftp *s, const char *path, const char *names, uint64_t offset,
                          uint64_t length, uint32_t block_size, nacre_sftp_hash *out)
{
    nc_sftp_request r = {.type = NACRE_FXP_EXTENDED,
                         .path = path,
                         .algorithms = names,
                         .offset = offset,
                         .length = length,
                         .block_size = block_size};
    bool unknown;
    memset(out, 0, sizeof(*out));
    if (!nacre_sftp_has(s, NACRE_SFTP_EXT_CHECK_FILE)) {
        return nc_sftp_fail(s, NACRE_UNSUPPORTED, "hash %s: the server does not support this",
                            NC_ESC(nc_span_cstr(path)));
    }
    int rc = try_name(s, &r, NACRE_SFTP_EXT_CHECK_FILE_NAME, out, &unknown);
    return unknown ? by_opening(s, &r, out) : rc;
}

int nacre_sftp_file_check(nacre_sftp_file *f, const char *names, uint64_t offset, uint64_t length,
                          uint32_t block_size, nacre_sftp_hash *out)
{
    nc_sftp_request r = {.type = NACRE_FXP_EXTENDED,
                         .path = f->path,
                         .handle = nc_file_handle(f),
                         .algorithms = names,
                         .offset = offset,
                         .length = length,
                         .block_size = block_size};
    memset(out, 0, sizeof(*out));
    int rc = nacre_sftp_file_flush(f);
    return rc == NACRE_OK ? by_handle(f->s, &r, out) : rc;
}

void nacre_sftp_hash_free(nacre_sftp *s, nacre_sftp_hash *hash)
{
    nc_free(s->alloc, hash->bytes);
    memset(hash, 0, sizeof(*hash));
}

/* ---- any extension ------------------------------------------------------------------------------------ */

int nacre_sftp_extended(nacre_sftp *s, const char *name, nacre_span data, uint8_t **reply,
                        size_t *reply_len)
{
    nc_sftp_request r = {.type = NACRE_FXP_EXTENDED,
                         .ext = NACRE_SFTP_EXT_COUNT,
                         .path = name,
                         .name = name,
                         .data = data};
    nc_sftp_op op;
    *reply = NULL;
    *reply_len = 0;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, &r, &op);
    if (rc == NACRE_OK && op.extended) {
        *reply = op.names;
        *reply_len = op.names_len;
        op.names = NULL;
    }
    nc_sftp_op_clear(&op);
    return rc;
}
