/*
 * key_private.c - telling the formats of private-key files apart, and saying clearly what a file is
 * when it is not one of those that are read: OpenSSH's own (key_openssh.c), PuTTY's (key_ppk.c), and PEM
 * PKCS#1, SEC1 and PKCS#8 (crypto).
 */
#include "keys/key.h"

#include <string.h>

typedef enum file_form { FORM_OPENSSH, FORM_PEM, FORM_PPK, FORM_REFUSED } file_form;

typedef struct form_row {
    const char *begin; /* a line of the file begins with it */
    file_form form;
    int status; /* FORM_REFUSED: what to say; FORM_PEM: what to say unless insecure */
    const char *text;
} form_row;

/*
 * Private forms stand before public ones: a file may hold EC parameters or a certificate as well.
 */
static const form_row form_rows[] = {
    {"-----BEGIN OPENSSH PRIVATE KEY-----", FORM_OPENSSH, 0, "OpenSSH private key"},
    {"-----BEGIN RSA PRIVATE KEY-----", FORM_PEM, 0, "PEM PKCS#1 private key"},
    {"-----BEGIN EC PRIVATE KEY-----", FORM_PEM, 0, "PEM SEC1 private key"},
    {"-----BEGIN PRIVATE KEY-----", FORM_PEM, 0, "PEM PKCS#8 private key"},
    {"-----BEGIN ENCRYPTED PRIVATE KEY-----", FORM_PEM, 0, "PEM PKCS#8 encrypted private key"},
    {"-----BEGIN DSA PRIVATE KEY-----", FORM_PEM, NACRE_UNSUPPORTED, "PEM DSA private key"},
    {"PuTTY-User-Key-File-", FORM_PPK, 0, "PuTTY private key"},
    {"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", FORM_REFUSED, NACRE_KEY_FORMAT,
     "an ssh.com (Tectia) private key, a format that is not read; convert it with puttygen"},
    {"SSH PRIVATE KEY FILE FORMAT 1.", FORM_REFUSED, NACRE_KEY_FORMAT,
     "a private key of SSH version 1, which is no longer used"},
    {"---- BEGIN SSH2 PUBLIC KEY ----", FORM_REFUSED, NACRE_NOT_PRIVATE,
     "a public key (RFC 4716); the private key is needed"},
    {"-----BEGIN PUBLIC KEY-----", FORM_REFUSED, NACRE_NOT_PRIVATE,
     "a public key (PEM); the private key is needed"},
    {"-----BEGIN RSA PUBLIC KEY-----", FORM_REFUSED, NACRE_NOT_PRIVATE,
     "a public key (PEM PKCS#1); the private key is needed"},
    {"-----BEGIN CERTIFICATE-----", FORM_REFUSED, NACRE_NOT_PRIVATE,
     "an X.509 certificate; a private key is needed"},
    {"-----BEGIN ", FORM_REFUSED, NACRE_KEY_FORMAT, "a PEM file without a private key"},
};

/*
 * A line of id_*.pub or authorized_keys: some word is a key type and the next one looks like a
 * blob.
 */
static bool is_public_line(nacre_span text)
{
    nacre_span line;
    while (nc_text_line(&text, &line)) {
        line = nc_text_trim(line);
        if (line.n == 0 || line.p[0] == '#') {
            continue;
        }
        nacre_span word = nc_text_word(&line);
        nacre_span next = nc_text_word(&line);
        bool typed = nc_text_starts(word, "ssh-") || nc_text_starts(word, "ecdsa-sha2-") ||
                     nc_text_starts(word, "sk-");
        return typed && nc_text_starts(next, "AAAA");
    }
    return false;
}

static const form_row *find_form(nacre_span text, nacre_span *from)
{
    for (size_t i = 0; i < sizeof(form_rows) / sizeof(form_rows[0]); i++) {
        *from = nc_text_find_line(text, form_rows[i].begin);
        if (from->n) {
            return &form_rows[i];
        }
    }
    return NULL;
}

static int check_file(nacre_span file, nacre_error *err)
{
    if (file.n > NC_MAX_KEY_FILE) {
        return nc_fail(err, NACRE_TOO_LARGE, "a key file of %zu bytes is not read (the cap is %d)",
                       file.n, NC_MAX_KEY_FILE);
    }
    return file.n ? NACRE_OK : nc_fail(err, NACRE_KEY_FORMAT, "the key file is empty");
}

static int unknown_form(nacre_span text, nacre_error *err)
{
    if (is_public_line(text)) {
        return nc_fail(err, NACRE_NOT_PRIVATE,
                       "this is a public key; the private key is needed (the file without .pub)");
    }
    return nc_fail(
        err, NACRE_KEY_FORMAT,
        "not a private key in a known format (OpenSSH, PuTTY, or PEM: PKCS#1, SEC1, PKCS#8)");
}

static int read_pem(nacre_key **out, const nacre_allocator *a, const form_row *form,
                    nacre_span text, nacre_span passphrase, bool insecure, nacre_error *err)
{
    nc_pk *pk = NULL;
    int rc = nc_pk_from_pem(&pk, a, text, passphrase, insecure, err);
    if (rc == NACRE_OK) {
        rc = nc_key_from_pk(out, a, pk, nc_span(NULL, 0));
    }
    if (rc != NACRE_OK) {
        nc_pk_free(pk);
        return nc_fail(err, rc, "%s: %s", form->text, nacre_status_text(rc));
    }
    return NACRE_OK;
}

int nc_key_read_private(nacre_key **out, const nacre_allocator *a, nacre_span file,
                        nacre_span passphrase, bool insecure, nacre_error *err)
{
    *out = NULL;
    int rc = check_file(file, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    file = nc_text_skip_bom(file);
    nacre_span from;
    const form_row *form = find_form(file, &from);
    if (!form) {
        return unknown_form(file, err);
    }
    switch (form->form) {
    case FORM_OPENSSH:
        return nc_openssh_read(out, a, from, passphrase, insecure, err);
    case FORM_PPK:
        return nc_ppk_read(out, a, from, passphrase, insecure, err);
    case FORM_PEM:
        if (form->status && !insecure) {
            return nc_fail(err, form->status,
                           "a %s: DSA is no longer secure and not accepted; make a new key with "
                           "ssh-keygen -t ed25519",
                           form->text);
        }
        return read_pem(out, a, form, from, passphrase, insecure, err);
    case FORM_REFUSED:
        break;
    }
    return nc_fail(err, form->status, "this is %s", form->text);
}

int nacre_key_from_private(nacre_key **out, const nacre_allocator *a, nacre_span file,
                           nacre_span passphrase, nacre_error *err)
{
    nc_error_clear(err);
    return nc_key_read_private(out, a, file, passphrase, false, err);
}

int nacre_key_public_of_private(nacre_key **out, const nacre_allocator *a, nacre_span file,
                                nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    int rc = check_file(file, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    file = nc_text_skip_bom(file);
    nacre_span from;
    const form_row *form = find_form(file, &from);
    if (form && form->form == FORM_OPENSSH) {
        return nc_openssh_read_public(out, a, from, err);
    }
    if (form && form->form == FORM_PPK) {
        return nc_ppk_read_public(out, a, from, err);
    }
    return nc_fail(err, NACRE_UNSUPPORTED,
                   "only the formats of OpenSSH and PuTTY carry the public key beside the private "
                   "one");
}
