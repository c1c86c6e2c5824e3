/*
 * keygen.h - nacre-keygen: the command line, and what its jobs share.
 *
 * Wording, order and exit codes are ssh-keygen's, since scripts read them. Like it, a job that cannot go on says why
 * and ends the process: 255 for what is wrong with files and arguments, 1 where ssh-keygen has 1.
 */
#ifndef KEYGEN_H
#define KEYGEN_H

#include "nacre/cert.h"
#include "nacre/dates.h"
#include "nacre/key.h"
#include "nacre/sshsig.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    KG_PATH = 4096,
    KG_PHRASE = 1024,
    KG_COMMENT = 1024,
    KG_FILE_MAX = 16 * 1024 * 1024, /* a KRL or a known_hosts file */
    KG_LINE_MAX = 1024 * 1024,      /* a line of a file, with a key and its options */
    KG_OPTIONS = 1024,              /* -O given so often */
    KG_LINE = 128 * 1024            /* a public key, or certificate, as a line */
};

typedef enum kg_format { KG_RFC4716, KG_PKCS8, KG_PEM, KG_OPENSSH } kg_format;

typedef struct keygen {
    const char *program;
    char file[KG_PATH];
    bool have_file;
    bool quiet;
    int verbose;
    const char *type;
    uint32_t bits;
    const char *comment, *old_phrase, *new_phrase; /* -C -P -N */
    const char *hash;                              /* -E: "SHA256" */
    kg_format convert, private_format;             /* -m */
    const char *cipher;                            /* -Z */
    uint32_t rounds;                               /* -a */
    const char *host;                              /* -F -R -r */
    const char *sign_op, *ca_path, *key_id, *principals;
    const char *pkcs11;
    const char *moduli;
    bool print_print, babble, print_public, show_cert, find, remove, hash_hosts, generic;
    bool change_phrase, change_comment, export_key, import_key, all_hosts;
    bool make_krl, update_krl, query_krl, use_agent, download_sk, host_cert;
    uint64_t serial, valid_from, valid_to;
    bool serial_up;
    char *opts[KG_OPTIONS];
    size_t nopts;
    char user[256], home[KG_PATH], hostname[256];
    int argc; /* what follows the options */
    char **argv;
} keygen;

/* ---- say.c: messages ---- */

/* A line to stderr, ended as OpenSSH's log does. */
void kg_say(const char *fmt, ...) NACRE_PRINTF(1, 2);
/* The same, and the end: 255. */
_Noreturn void kg_die(const char *fmt, ...) NACRE_PRINTF(1, 2);
/* With -v. */
void kg_debug(const keygen *g, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* What OpenSSH calls this failure. Borrowed until the next call. */
const char *kg_reason(int rc, const nacre_error *why);
/* Text of unknown origin to stdout. */
void kg_put(const char *text);
_Noreturn void kg_usage(void);
/* Flushes what was printed; 255 when that fails. */
int kg_end(int status);

/* ---- files.c ---- */

/* The whole of a file into *data (malloc; free with kg_forget), "-": standard input. 0 or an errno. */
int kg_read(const char *path, uint8_t **data, size_t *n);
void kg_forget(void *data, size_t n); /* wipes; NULL ok */
/* Makes, or replaces whole, a file; one that is not regular is written to. 0 or an errno. */
int kg_write(const char *path, const void *data, size_t n, mode_t mode);
/* Whether to go on: asks when the file is there. */
bool kg_may_overwrite(const char *path);
void kg_ask_file(keygen *g, const char *prompt);
/* Fills out from path with "~/" expanded. */
void kg_expand(const keygen *g, const char *path, char *out, size_t size);
/* Reads a line without its end; NULL at the end, which a line above KG_LINE_MAX is for the process. Free the buffer behind *line at last. */
char *kg_line(FILE *f, char **line, size_t *room);

/* ---- keys.c ---- */

/* A phrase; out has KG_PHRASE bytes. What was not answered is empty. */
void kg_ask_phrase(const keygen *g, const char *prompt, char *out);
/* For a new or changed key: -N, or twice asked. */
void kg_new_phrase(const keygen *g, const char *path, char *out);
nacre_span kg_text(const char *s);
/* sshkey_load_private: phrase "" tries without one. */
int kg_load_private(const char *path, const char *phrase, nacre_key **out, nacre_error *why);
/* Whether a private key's file is of the form that has a place for a comment. */
bool kg_has_comment(const char *path);
/* Asks for the phrase where one is needed; ends the process when there is no key. */
nacre_key *kg_load_identity(const keygen *g, const char *path);
/*
 * A public key line of the file, or of <file>.pub, or the public half of a private file. comment (KG_COMMENT bytes,
 * NULL ok): as it stands there; without one, the file's name.
 */
int kg_load_public(const char *path, nacre_key **out, char *comment, nacre_error *why);
/* A key at *at ("type base64"), which moves behind it. NULL: there is none. */
nacre_key *kg_key_at(const char **at, nacre_error *why);
/* "type base64" to a stream; false: it is too long or cannot be written. */
bool kg_put_key(FILE *f, const nacre_key *k);
/* Writes <path> 0600 / 0644. 0 or what to say in *why. */
int kg_save_private(const keygen *g, const nacre_key *k, const char *path, const char *phrase,
                    const char *comment, nacre_error *why);
int kg_save_public(const nacre_key *k, const char *path, const char *comment, nacre_error *why);
/* Fingerprint with -E, or -B; out has 256 bytes. */
void kg_print_of(const keygen *g, const nacre_key *k, bool babble, char *out, size_t size);
void kg_put_art(const keygen *g, const nacre_key *k);

/* ---- the jobs; each returns the exit status ---- */

int kg_generate(keygen *g);        /* generate.c */
int kg_generate_hosts(keygen *g);  /* generate.c: -A */
int kg_change_phrase(keygen *g);   /* change.c: -p */
int kg_change_comment(keygen *g);  /* change.c: -c */
int kg_print_public(keygen *g);    /* print.c: -y */
int kg_fingerprint(keygen *g);     /* print.c: -l -B */
int kg_export(keygen *g);          /* convert.c: -e */
int kg_import(keygen *g);          /* convert.c: -i */
int kg_known_hosts(keygen *g);     /* hosts.c: -F -H -R */
int kg_resource_record(keygen *g); /* hosts.c: -r */
int kg_sign_cert(keygen *g);       /* certify.c: -s */
int kg_show_cert(keygen *g);       /* show_cert.c: -L */
int kg_make_krl(keygen *g);        /* krl.c: -k */
int kg_query_krl(keygen *g);       /* krl.c: -Q */
int kg_signatures(keygen *g);      /* sig.c: -Y */

/* cert_options.c: -V, and -O for certificates. */
void kg_parse_validity(keygen *g, char *text);
/* "from X to Y", "forever" (show_cert.c). */
void kg_format_validity(const nacre_cert_info *c, char *out, size_t size);

/* "name=value" with that name, in any case: the value; else NULL. */
const char *kg_option(const char *text, const char *name);

#endif
