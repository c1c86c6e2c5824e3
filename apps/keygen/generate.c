/*
 * generate.c - new keys: one for a person, or those that a server needs (-A).
 */
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct kind {
    const char *name;
    const char *generate; /* what nacre_key_generate calls it; NULL: needs a device */
    uint32_t bits;        /* 0: there is a choice */
    bool any_case;
} kind;

static const kind kinds[] = {
    {"ed25519", "ed25519", 256, true},
    {"ssh-ed25519", "ed25519", 256, false},
    {"rsa", "rsa", 0, true},
    {"ssh-rsa", "rsa", 0, false},
    {"rsa-sha2-256", "rsa", 0, false},
    {"rsa-sha2-512", "rsa", 0, false},
    {"ecdsa", "ecdsa", 0, true},
    {"ecdsa-sha2-nistp256", "ecdsa", 256, false},
    {"ecdsa-sha2-nistp384", "ecdsa", 384, false},
    {"ecdsa-sha2-nistp521", "ecdsa", 521, false},
    {"ecdsa-sk", NULL, 0, true},
    {"ed25519-sk", NULL, 0, true},
    {"sk-ecdsa-sha2-nistp256@openssh.com", NULL, 0, false},
    {"sk-ssh-ed25519@openssh.com", NULL, 0, false},
};

static const kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool same = kinds[i].any_case ? strcasecmp(name, kinds[i].name) == 0
                                      : strcmp(name, kinds[i].name) == 0;
        if (same) {
            return &kinds[i];
        }
    }
    kg_die("unknown key type %s", name);
}

/* 0: the key type decides. */
static uint32_t good_bits(const kind *k, uint32_t bits)
{
    if (!k->generate || strcmp(k->generate, "ed25519") == 0) {
        return 0; /* as ssh-keygen: -b is of no matter there */
    }
    if (strcmp(k->generate, "rsa") == 0) {
        if (bits != 0 && bits < 2048) {
            kg_die("Invalid RSA key length: minimum is 2048 bits");
        }
        if (bits > 16384) {
            kg_die("Invalid RSA key length: maximum is 16384 bits");
        }
        return bits;
    }
    bits = bits ? bits : k->bits;
    if (bits != 0 && bits != 256 && bits != 384 && bits != 521) {
        kg_die("Invalid ECDSA key length: valid lengths are 256, 384 or 521 bits");
    }
    return bits;
}

/* ~/.ssh when the key shall lie there. */
static void make_directory(const keygen *g)
{
    char dir[KG_PATH + 8];
    (void)snprintf(dir, sizeof(dir), "%s/.ssh", g->home);
    const char *slash = strrchr(g->file, '/');
    struct stat st;
    if (!slash || strlen(dir) > (size_t)(slash - g->file) ||
        strncmp(g->file, dir, strlen(dir)) != 0 || stat(dir, &st) == 0) {
        return;
    }
    if (errno != ENOENT) {
        kg_say("Could not stat %s: %s", dir, strerror(errno));
    } else if (mkdir(dir, 0700) != 0) {
        kg_say("Could not create directory '%.200s' (%s).", dir, strerror(errno));
    } else if (!g->quiet) {
        kg_say("Created directory '%s'.", dir);
    }
}

static void default_comment(const keygen *g, char *out)
{
    if (g->comment) {
        (void)snprintf(out, KG_COMMENT, "%s", g->comment);
    } else {
        (void)snprintf(out, KG_COMMENT, "%s@%s", g->user, g->hostname);
    }
}

static int save_pair(keygen *g, const nacre_key *key, const char *comment)
{
    char phrase[KG_PHRASE], path[KG_PATH + 8];
    nacre_error why;
    kg_new_phrase(g, g->file, phrase);
    int rc = kg_save_private(g, key, g->file, phrase, comment, &why);
    explicit_bzero(phrase, sizeof(phrase));
    if (rc != NACRE_OK) {
        kg_say("Saving key \"%s\" failed: %s", g->file, kg_reason(rc, &why));
        return 1;
    }
    if (!g->quiet) {
        (void)printf("Your identification has been saved in %s\n", g->file);
    }
    (void)snprintf(path, sizeof(path), "%s.pub", g->file);
    rc = kg_save_public(key, path, comment, &why);
    if (rc != NACRE_OK) {
        kg_die("Unable to save public key to %s: %s", path, kg_reason(rc, &why));
    }
    if (!g->quiet) {
        char print[256];
        kg_print_of(g, key, false, print, sizeof(print));
        (void)printf("Your public key has been saved in %s\nThe key fingerprint is:\n%s %s\n"
                     "The key's randomart image is:\n",
                     path, print, comment);
        kg_put_art(g, key);
    }
    return 0;
}

int kg_generate(keygen *g)
{
    const char *name = g->type ? g->type : "ed25519";
    const kind *k = find_kind(name);
    uint32_t bits = good_bits(k, g->bits);
    if (!g->quiet) {
        (void)printf("Generating public/private %s key pair.\n", name);
    }
    if (!k->generate) {
        kg_die("Key enrollment failed: keys of FIDO security keys are not made by %s", g->program);
    }
    nacre_key *key = NULL;
    nacre_error why;
    (void)fflush(stdout);
    if (nacre_key_generate(&key, NULL, k->generate, bits, &why) != NACRE_OK) {
        kg_die("sshkey_generate failed: %s", why.text);
    }
    if (!g->have_file) {
        kg_ask_file(g, "Enter file in which to save the key");
    }
    make_directory(g);
    int status = 1;
    if (kg_may_overwrite(g->file)) {
        char comment[KG_COMMENT];
        default_comment(g, comment);
        status = save_pair(g, key, comment);
    }
    nacre_key_free(key);
    return status;
}

/* ---- a server's keys ---- */

static bool make_host_key(keygen *g, const kind *k, const char *label, const char *path,
                          bool *first)
{
    if (!*first) {
        *first = true;
        (void)printf("%s: generating new host keys: ", g->program);
    }
    (void)printf("%s ", label);
    (void)fflush(stdout);
    nacre_key *key = NULL;
    nacre_error why;
    char comment[KG_COMMENT], public_path[KG_PATH + 64];
    (void)snprintf(comment, sizeof(comment), "%s@%s", g->user, g->hostname);
    (void)snprintf(public_path, sizeof(public_path), "%s.pub", path);
    if (nacre_key_generate(&key, NULL, k->generate, 0, &why) != NACRE_OK) {
        kg_say("sshkey_generate failed: %s", why.text);
        return false;
    }
    /* The public half first: who finds the private one finds both. */
    const char *failed = public_path;
    int rc = kg_save_public(key, public_path, comment, &why);
    if (rc == NACRE_OK) {
        failed = path;
        rc = kg_save_private(g, key, path, "", comment, &why);
    }
    nacre_key_free(key);
    if (rc != NACRE_OK) {
        kg_say("Could not save your %s key in %s: %s", failed == path ? "private" : "public",
               failed, kg_reason(rc, &why));
    }
    return rc == NACRE_OK;
}

int kg_generate_hosts(keygen *g)
{
    static const struct {
        const char *type, *label, *path;
    } rows[] = {{"rsa", "RSA", "/etc/ssh/ssh_host_rsa_key"},
                {"ecdsa", "ECDSA", "/etc/ssh/ssh_host_ecdsa_key"},
                {"ed25519", "ED25519", "/etc/ssh/ssh_host_ed25519_key"}};
    bool first = false;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[KG_PATH + 40];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s%s", g->file, rows[i].path);
        bool good = true;
        if (stat(path, &st) == 0) {
            if (st.st_size != 0) {
                continue;
            }
        } else if (errno != ENOENT) {
            kg_say("Could not stat %s: %s", rows[i].path, strerror(errno));
            good = false;
        }
        if (!good || !make_host_key(g, find_kind(rows[i].type), rows[i].label, path, &first)) {
            first = false;
        }
    }
    if (first) {
        (void)putchar('\n');
    }
    return 0;
}
