/*
 * sig.c - signatures over files (-Y): sign, verify, check-novalidate, find-principals, match-principals.
 */
#include "keygen.h"
#include "nacre/agent.h"
#include "nacre/krl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What -O says; each only where the operation takes it. */
typedef struct sig_options {
    const char *hash;
    uint64_t verify_time;
    bool print_key;
} sig_options;
enum { TAKES_HASH = 1, TAKES_TIME = 2, TAKES_PRINT = 4 };

static bool read_options(const keygen *g, unsigned takes, sig_options *o)
{
    memset(o, 0, sizeof(*o));
    for (size_t i = 0; i < g->nopts; i++) {
        const char *hash = kg_option(g->opts[i], "hashalg=");
        const char *at = kg_option(g->opts[i], "verify-time=");
        if (hash && (takes & TAKES_HASH)) {
            o->hash = hash;
        } else if (at && (takes & TAKES_TIME)) {
            if (nacre_date_parse(kg_text(at), nacre_zone_local, NULL, &o->verify_time) !=
                    NACRE_OK ||
                o->verify_time == 0) {
                kg_say("Invalid \"verify-time\" option");
                return false;
            }
        } else if ((takes & TAKES_PRINT) && strcasecmp(g->opts[i], "print-pubkey") == 0) {
            o->print_key = true;
        } else {
            kg_say("Invalid option \"%s\"", g->opts[i]);
            return false;
        }
    }
    if (o->verify_time == 0) {
        o->verify_time = (uint64_t)time(NULL);
    }
    return true;
}

/* 0, an errno, or -1 when hashing failed. */
static int hash_fd(int fd, nacre_sshsig_message *m)
{
    uint8_t piece[65536];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : 0;
        }
        nacre_span s = {piece, (size_t)n};
        if (nacre_sshsig_message_add(m, s) != NACRE_OK) {
            return -1;
        }
    }
}

/* ---- signing ---- */

/* The key of a public key's or certificate's file name. */
static void private_name(const char *path, char *out, size_t size)
{
    static const char *const suffixes[] = {"-cert.pub", ".pub"};
    (void)snprintf(out, size, "%s", path);
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(out), k = strlen(suffixes[i]);
        if (n > k && strcmp(out + n - k, suffixes[i]) == 0) {
            out[n - k] = '\0';
        }
    }
}

/* NULL: it was said why. */
static nacre_key *find_private(const keygen *g, const nacre_key *public_key)
{
    char path[KG_PATH];
    struct stat st;
    nacre_key *key = NULL, *plain = NULL, *shown = NULL;
    nacre_error why;
    private_name(g->file, path, sizeof(path));
    if (strcmp(path, g->file) != 0 && stat(path, &st) != 0 && errno == ENOENT) {
        kg_die("No private key found for public key \"%s\"", g->file);
    }
    int rc = kg_load_private(path, "", &key, &why);
    if (rc == NACRE_NEED_PASSPHRASE || rc == NACRE_WRONG_PASSPHRASE) {
        key = kg_load_identity(g, path);
    } else if (rc != NACRE_OK) {
        kg_die("No private key found for \"%s\"", path);
    }
    if (nacre_key_plain(&plain, public_key) != NACRE_OK || !nacre_key_equal(plain, key)) {
        kg_say("Public key %s doesn't match private %s", g->file, path);
        nacre_key_free(key);
        key = NULL;
    } else if (nacre_key_is_cert(public_key)) {
        rc = nacre_key_attach_cert(&shown, key, public_key, &why);
        if (rc != NACRE_OK) {
            kg_say("%s: %s", g->file, why.text);
        }
        nacre_key_free(key);
        key = shown;
    }
    nacre_key_free(plain);
    return key;
}

static bool agent_has(nacre_agent *agent, const nacre_key *key)
{
    nacre_key **keys = NULL;
    size_t n = 0;
    bool found = false;
    if (nacre_agent_list(agent, &keys, &n, NULL) != NACRE_OK) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        found = found || nacre_key_equal(keys[i], key);
    }
    nacre_agent_keys_free(NULL, keys, n);
    return found;
}

static bool write_signature(const keygen *g, const char *name, const char *text, size_t n)
{
    char path[KG_PATH + 8];
    (void)snprintf(path, sizeof(path), "%s.sig", name);
    if (!kg_may_overwrite(path)) {
        return true;
    }
    mode_t mask = umask(0);
    (void)umask(mask);
    int number = kg_write(path, text, n, 0666 & ~mask);
    if (number) {
        kg_say("Cannot open %s: %s", path, strerror(number));
        return false;
    }
    if (!g->quiet) {
        (void)fprintf(stderr, "Write signature to %s\n", path);
    }
    return true;
}

/* Says why not, as ssh-keygen does. */
static bool say_hash(const char *hash, const char *name)
{
    kg_say("sshsig_check_hashalg: unsupported hash algorithm \"%.100s\"", hash);
    kg_say("sshsig_sign_fd: hash_file: signature algorithm not supported");
    kg_say("Signing %s failed: signature algorithm not supported", name);
    return false;
}

/* name NULL: standard input. */
static bool sign_one(const keygen *g, const nacre_key *key, nacre_agent *agent, const char *hash,
                     const char *name)
{
    const char *shown = name ? name : "(stdin)";
    nacre_sshsig_message *m = NULL;
    nacre_error why;
    uint8_t *blob = NULL;
    char *text = NULL;
    size_t n = 0, len = 0;
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    if (fd < 0) {
        kg_say("Cannot open %s for signing: %s", shown, strerror(errno));
        return false;
    }
    if (!g->quiet) {
        (void)fprintf(stderr, name ? "Signing file " : "Signing data on standard input");
        (void)fprintf(stderr, "%s\n", name ? name : "");
    }
    int rc = nacre_sshsig_message_new(&m, NULL, hash, &why);
    int number = rc == NACRE_OK ? hash_fd(fd, m) : 0;
    if (name) {
        close(fd);
    }
    if (rc == NACRE_UNKNOWN_NAME) {
        return say_hash(hash, shown);
    }
    if (number) {
        kg_say("Signing %s failed: %s", shown, strerror(number > 0 ? number : ENOMEM));
        nacre_sshsig_message_free(m);
        return false;
    }
    if (rc == NACRE_OK) {
        rc = nacre_sshsig_sign(key, g->principals, m, agent ? nacre_agent_sign_fn : NULL, agent,
                               &blob, &n, &why);
    }
    nacre_span made = {blob, n};
    if (rc == NACRE_OK) {
        rc = nacre_sshsig_armor(NULL, made, &text, &len);
    }
    bool good = rc == NACRE_OK;
    if (!good) {
        kg_say("Signing %s failed: %s", shown, kg_reason(rc, &why));
    } else if (name) {
        good = write_signature(g, name, text, len);
    } else {
        (void)fputs(text, stdout);
    }
    nacre_secret_free(NULL, text, len);
    nacre_secret_free(NULL, blob, n);
    nacre_sshsig_message_free(m);
    return good;
}

static int sign(keygen *g)
{
    for (int i = 0; i < g->argc; i++) {
        if (strcmp(g->argv[i], "-") == 0 && (i > 0 || g->argc > 1)) {
            kg_die("Cannot sign mix of paths and standard input");
        }
    }
    sig_options o;
    nacre_key *key = NULL;
    nacre_error why;
    if (!read_options(g, TAKES_HASH, &o)) {
        return 255;
    }
    int rc = kg_load_public(g->file, &key, NULL, &why);
    if (rc != NACRE_OK) {
        kg_say("Couldn't load public key %s: %s", g->file, kg_reason(rc, &why));
        return 255;
    }
    nacre_agent *agent = NULL;
    if (nacre_agent_open(&agent, NULL, NULL, &why) != NACRE_OK) {
        if (g->use_agent) {
            kg_die("Couldn't get agent socket");
        }
    } else if (!agent_has(agent, key)) {
        if (g->use_agent) {
            kg_die("Couldn't find key in agent");
        }
        nacre_agent_free(agent);
        agent = NULL;
    }
    if (!agent) {
        nacre_key *private_key = find_private(g, key);
        nacre_key_free(key);
        key = private_key;
    }
    bool good = key != NULL;
    bool standard = g->argc == 0 || strcmp(g->argv[0], "-") == 0;
    if (good && standard) {
        good = sign_one(g, key, agent, o.hash, NULL);
    }
    for (int i = 0; good && !standard && i < g->argc; i++) {
        good = sign_one(g, key, agent, o.hash, g->argv[i]);
    }
    nacre_key_free(key);
    nacre_agent_free(agent);
    return good ? 0 : 255;
}

/* ---- verifying ---- */

/* A signature from a file; NULL: it was said why. caller: ssh-keygen's function, which its messages name. */
static nacre_sshsig *read_signature(const char *path, const char *caller)
{
    uint8_t *data = NULL;
    size_t n = 0;
    nacre_sshsig *s = NULL;
    nacre_error why;
    int number = strcmp(path, "-") == 0 ? ENOENT : kg_read(path, &data, &n);
    if (number) {
        kg_say("Couldn't read signature file: %s", strerror(number));
        return NULL;
    }
    nacre_span text = {data, n};
    int rc = nacre_sshsig_read(&s, NULL, text, &why);
    kg_forget(data, n);
    if (rc != NACRE_OK) {
        kg_say("%s", why.text);
    }
    if (rc == NACRE_SYNTAX) {
        bool missing = strstr(why.text, "missing header") && n < 29;
        kg_say("%s: sshsig_armor: %s", caller, missing ? "incomplete message" : "invalid format");
    }
    return s;
}

static void note(void *user, nacre_log_level level, const char *line)
{
    (void)user;
    if (level == NACRE_LOG_ERROR) {
        kg_say("%s", line);
    }
}

static void make_rules(const keygen *g, nacre_signer_rules *r, uint64_t verify_time)
{
    nacre_signer_rules_init(r);
    r->source = g->file;
    r->verify_time = verify_time;
    r->zone = nacre_zone_local;
    r->note = note;
}

/* The text of the allowed signers; false: it was said why. */
static bool read_signers(const keygen *g, uint8_t **data, size_t *n, int *number)
{
    *number = strcmp(g->file, "-") == 0 ? ENOENT : kg_read(g->file, data, n);
    if (*number == EISDIR) {
        *n = 0; /* as a file without lines */
        *number = 0;
        return true;
    }
    if (*number) {
        kg_say("Unable to open allowed keys file \"%s\": %s", g->file, strerror(*number));
    }
    return *number == 0;
}

static bool is_allowed(const keygen *g, const nacre_key *key, uint64_t verify_time)
{
    uint8_t *data = NULL;
    size_t n = 0;
    int number;
    nacre_signer_rules rules;
    if (!read_signers(g, &data, &n, &number)) {
        return false;
    }
    make_rules(g, &rules, verify_time);
    rules.principal = g->key_id;
    rules.sig_namespace = g->principals;
    nacre_span text = {data, n};
    int rc = nacre_allowed_signers_check(text, key, &rules, NULL, NULL);
    kg_forget(data, n);
    return rc == NACRE_OK;
}

/* -r: a KRL, or public keys. What cannot be read revokes everything. */
static bool is_revoked(const keygen *g, const nacre_key *key)
{
    nacre_krl *krl = NULL;
    nacre_error why;
    int rc = nacre_krl_load_file(&krl, NULL, g->host, &why);
    if (rc == NACRE_OK) {
        rc = nacre_krl_check(krl, key, &why);
    }
    nacre_krl_free(krl);
    return rc != NACRE_OK;
}

static bool verify_message(const keygen *g, const nacre_sshsig *s)
{
    nacre_sshsig_message *m = NULL;
    nacre_error why;
    nacre_sk_details details;
    int rc = nacre_sshsig_message_new(&m, NULL, nacre_sshsig_hash(s), &why);
    int number = rc == NACRE_OK ? hash_fd(STDIN_FILENO, m) : 0;
    if (number) {
        kg_say("hash_file: read: %s", strerror(number > 0 ? number : ENOMEM));
        rc = NACRE_IO;
    } else if (rc == NACRE_OK) {
        rc = nacre_sshsig_verify(s, g->principals, m, &details, &why);
        if (rc != NACRE_OK) {
            kg_say("%s", why.text);
        }
    }
    nacre_sshsig_message_free(m);
    return rc == NACRE_OK;
}

static void say_good(const keygen *g, const nacre_key *key, bool named)
{
    char print[256];
    kg_print_of(g, key, false, print, sizeof(print));
    (void)printf("Good \"");
    kg_put(g->principals);
    (void)printf("\" signature ");
    if (named) {
        (void)printf("for ");
        kg_put(g->key_id);
        (void)putchar(' ');
    }
    (void)printf("with %s key %s\n", nacre_key_label(key), print);
}

static int verify_with(keygen *g, bool validate)
{
    sig_options o;
    nacre_sshsig *s = NULL;
    bool good = read_options(g, TAKES_TIME | TAKES_PRINT, &o);
    if (good) {
        s = read_signature(g->ca_path, "sig_verify");
        good = s && verify_message(g, s);
    }
    if (good && validate && g->host) {
        good = !is_revoked(g, nacre_sshsig_key(s));
    }
    if (good && validate) {
        good = is_allowed(g, nacre_sshsig_key(s), o.verify_time);
    }
    if (!g->quiet && good) {
        say_good(g, nacre_sshsig_key(s), validate);
    } else if (!g->quiet) {
        (void)puts("Could not verify signature.");
    }
    if (good && o.print_key) {
        good = kg_put_key(stdout, nacre_sshsig_key(s));
        (void)putchar('\n');
    }
    nacre_sshsig_free(s);
    return good ? 0 : 255;
}

static int verify(keygen *g)
{
    return verify_with(g, true);
}

static int check_novalidate(keygen *g)
{
    return verify_with(g, false);
}

/* ---- principals ---- */

static void put_list(char *list)
{
    for (char *rest = list, *one; (one = strsep(&rest, ",")) != NULL && *one;) {
        kg_put(one);
        (void)putchar('\n');
    }
}

static int find_principals(keygen *g)
{
    sig_options o;
    uint8_t *data = NULL;
    size_t n = 0;
    int number = 0;
    char *list = NULL;
    nacre_sshsig *s =
        read_options(g, TAKES_TIME, &o) ? read_signature(g->ca_path, "sig_find_principals") : NULL;
    if (s && read_signers(g, &data, &n, &number)) {
        nacre_signer_rules rules;
        make_rules(g, &rules, o.verify_time);
        nacre_span text = {data, n};
        (void)!nacre_allowed_signers_check(text, nacre_sshsig_key(s), &rules, &list, NULL);
    } else if (number) {
        kg_say("sig_find_principals: sshsig_find_principal: %s", strerror(number));
    }
    nacre_sshsig_free(s);
    kg_forget(data, n);
    if (!list) {
        (void)fputs("No principal matched.\n", stderr);
        return 255;
    }
    size_t len = strlen(list) + 1;
    put_list(list);
    nacre_secret_free(NULL, list, len);
    return 0;
}

/* ssh-keygen ends with its library's error number, cut to a byte. */
enum { EXIT_NOT_FOUND = 210, EXIT_NO_FILE = 232, EXIT_BAD_FORMAT = 252, EXIT_BAD_OPTION = 246 };

/* Lists of one line each; nothing is printed when a line is malformed. */
static int match_lines(const keygen *g, nacre_span text, bool print)
{
    nacre_signer_rules rules;
    uint32_t line = 0;
    char *list = NULL;
    bool found = false;
    make_rules(g, &rules, 0);
    rules.principal = g->key_id;
    rules.note = print ? NULL : note;
    int rc;
    while ((rc = nacre_allowed_signers_next(&text, &line, NULL, &rules, &list, NULL)) == NACRE_OK) {
        found = true;
        if (print) {
            kg_put(list);
            (void)putchar('\n');
        }
        nacre_secret_free(NULL, list, strlen(list) + 1);
    }
    return rc != NACRE_END ? EXIT_BAD_FORMAT : found ? 0 : EXIT_NOT_FOUND;
}

static int match_principals(keygen *g)
{
    sig_options o;
    uint8_t *data = NULL;
    size_t n = 0;
    int number = 0;
    if (!read_options(g, 0, &o)) {
        return EXIT_BAD_OPTION;
    }
    int status = EXIT_NO_FILE;
    if (read_signers(g, &data, &n, &number)) {
        nacre_span text = {data, n};
        status = match_lines(g, text, false);
        status = status == 0 ? match_lines(g, text, true) : status;
    }
    kg_forget(data, n);
    if (status != 0) {
        (void)fputs("No principal matched.\n", stderr);
    }
    return status;
}

/* ---- which ---- */

/* What each operation needs, in the order and words in which ssh-keygen asks. */
static const char need_file_find[] =
    "Too few arguments for find-principals:missing allowed keys file";
static const char need_file_match[] =
    "Too few arguments for match-principals:missing allowed keys file";

enum { NEED_NAMESPACE = 1, NEED_SIGNATURE = 2, NEED_FILE = 4, NEED_PRINCIPAL = 8 };

static const struct {
    const char *name;
    int (*run)(keygen *g);
    unsigned needs;
    const char *no_signature, *no_file, *no_principal;
} operations[] = {
    {"find-principals", find_principals, NEED_SIGNATURE | NEED_FILE,
     "Too few arguments for find-principals:missing signature file", need_file_find, NULL},
    {"match-principals", match_principals, NEED_FILE | NEED_PRINCIPAL, NULL, need_file_match,
     "Too few arguments for match-principals: missing principal ID"},
    {"sign", sign, NEED_NAMESPACE | NEED_FILE, NULL, "Too few arguments for sign: missing key",
     NULL},
    {"check-novalidate", check_novalidate, NEED_NAMESPACE | NEED_SIGNATURE,
     "Too few arguments for check-novalidate: missing signature file", NULL, NULL},
    {"verify", verify, NEED_NAMESPACE | NEED_SIGNATURE | NEED_FILE | NEED_PRINCIPAL,
     "Too few arguments for verify: missing signature file",
     "Too few arguments for sign: missing allowed keys file",
     "Too few arguments for verify: missing principal identity"},
};

int kg_signatures(keygen *g)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strncmp(g->sign_op, operations[i].name, strlen(operations[i].name)) != 0) {
            continue;
        }
        unsigned needs = operations[i].needs;
        bool no_namespace = !g->principals || !*g->principals;
        const char *missing = NULL;
        if ((needs & NEED_NAMESPACE) && no_namespace) {
            kg_say("Too few arguments for %s: missing namespace", operations[i].name);
            return 1;
        }
        if ((needs & NEED_SIGNATURE) && !g->ca_path) {
            missing = operations[i].no_signature;
        } else if ((needs & NEED_FILE) && !g->have_file) {
            missing = operations[i].no_file;
        } else if ((needs & NEED_PRINCIPAL) && !g->key_id) {
            missing = operations[i].no_principal;
        }
        if (missing) {
            kg_say("%s", missing);
            return 1;
        }
        return operations[i].run(g);
    }
    kg_say("Unsupported operation for -Y: \"%s\"", g->sign_op);
    kg_usage();
}
