/*
 * keyfile.c - key files on disk: reading with a cap and a permission check.
 *
 * What stands in the files is src/keys' business.
 */
#include "base/buf.h"
#include "base/error.h"
#include "io/text_file.h"
#include "keys/key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_KEY_FILE = 1024 * 1024 };

/* ---- private keys ---------------------------------------------------------------------------- */

/*
 * Others' files are the business of those others: ssh too looks only at what belongs to the user.
 */
static void check_mode(const struct stat *st, const char *path, nacre_error *err)
{
    if (st->st_uid != geteuid() || (st->st_mode & 077) == 0) {
        return;
    }
    nc_fail(err, NACRE_KEY_PERMISSIONS,
            "%s: its mode is %04o, so others may use this private key; it is not read until "
            "you say: chmod 600 %s",
            NC_ESC(nc_span_cstr(path)), (unsigned)(st->st_mode & 07777),
            NC_ESC(nc_span_cstr(path)));
}

/* *exposed gets what check_mode says of the file; it is read all the same. */
static int read_file(const char *path, nacre_error *exposed, nc_buf *text, nacre_error *err)
{
    /* Not blocking: a FIFO with no writer must not hang us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        int number = errno;
        nc_text_file_fail(err, path, "cannot be opened");
        if (err) {
            err->status = NACRE_IO;
            err->detail = (uint32_t)number;
        }
        return NACRE_IO;
    }
    struct stat st;
    int rc = fstat(fd, &st) == 0 ? NACRE_OK : nc_text_file_fail(err, path, "cannot be examined");
    if (rc == NACRE_OK && S_ISDIR(st.st_mode)) {
        rc = nc_fail(err, NACRE_IO, "%s: is a directory", NC_ESC(nc_span_cstr(path)));
    }
    if (rc == NACRE_OK) {
        check_mode(&st, path, exposed);
    }
    /* Back to blocking: a key may come through a pipe, as in <(pass show key). */
    if (rc == NACRE_OK && fcntl(fd, F_SETFL, 0) < 0) {
        rc = nc_text_file_fail(err, path, "cannot be read");
    }
    if (rc == NACRE_OK) {
        rc = nc_text_file_read_fd(fd, path, text, err);
    }
    close(fd);
    return rc;
}

/* A public file may be open to all; who gives one by mistake must hear of that, not of its mode. */
static int refuse_exposed(nacre_span text, const nacre_error *exposed, nacre_error *err)
{
    nacre_key *k = NULL;
    nacre_error why;
    int rc = nacre_key_load(&k, NULL, text, NULL, &why);
    nacre_key_free(k);
    return rc == NACRE_NOT_PRIVATE ? NACRE_OK : nc_fail(err, exposed->status, "%s", exposed->text);
}

/* The caller's question, with the file named in it. */
typedef struct named_ask {
    const nacre_key_load_options *o;
    const char *path;
} named_ask;

static int ask_with_name(void *user, const nacre_error *why, nacre_room out, size_t *n)
{
    const named_ask *a = user;
    nacre_error named;
    nc_error_clear(&named);
    nc_fail(&named, why->status, "%s: %s", NC_ESC(nc_span_cstr(a->path)), why->text);
    return a->o->ask(a->o->ask_user, &named, out, n);
}

int nacre_key_load_file(nacre_key **out, const nacre_allocator *a, const char *path,
                        const nacre_key_load_options *options, nacre_error *err)
{
    nacre_key_load_options given, inner;
    nc_key_load_options(&given, options);
    named_ask ask = {&given, path};
    inner = given;
    inner.ask = given.ask ? ask_with_name : NULL;
    inner.ask_user = &ask;
    *out = NULL;
    nc_error_clear(err);
    nc_buf text;
    nc_buf_init(&text, a, MAX_KEY_FILE);
    nacre_error exposed;
    nc_error_clear(&exposed);
    int rc = read_file(path, &exposed, &text, err);
    if (rc == NACRE_OK && given.strict && exposed.status != NACRE_OK) {
        rc = refuse_exposed(nc_buf_span(&text), &exposed, err);
    }
    if (rc == NACRE_OK) {
        nacre_error why;
        rc = nacre_key_load(out, a, nc_buf_span(&text), &inner, &why);
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(path)), why.text);
        }
    }
    nc_buf_clear(&text);
    return rc;
}

int nacre_key_from_file(nacre_key **out, const nacre_allocator *a, const char *path,
                        nacre_span passphrase, bool strict, nacre_error *err)
{
    nacre_key_load_options o;
    nacre_key_load_options_init(&o);
    o.passphrase = passphrase;
    o.strict = strict;
    return nacre_key_load_file(out, a, path, &o, err);
}
