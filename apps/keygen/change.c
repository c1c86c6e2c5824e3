/*
 * change.c - another passphrase (-p), another comment (-c).
 */
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void find_file(keygen *g)
{
    struct stat st;
    if (!g->have_file) {
        kg_ask_file(g, "Enter file in which the key is");
    }
    if (stat(g->file, &st) != 0) {
        kg_die("%s: %s", g->file, strerror(errno));
    }
}

/* phrase: what opened it; "" when nothing was needed. */
static int open_key(const keygen *g, const char *given, const char *prompt, nacre_key **key,
                    char *phrase, nacre_error *why)
{
    phrase[0] = '\0';
    int rc = kg_load_private(g->file, "", key, why);
    if (rc != NACRE_NEED_PASSPHRASE && rc != NACRE_WRONG_PASSPHRASE) {
        return rc;
    }
    if (given) {
        (void)snprintf(phrase, KG_PHRASE, "%s", given);
    } else {
        kg_ask_phrase(g, prompt, phrase);
    }
    return kg_load_private(g->file, phrase, key, why);
}

static void ask_new_phrase(const keygen *g, char *out)
{
    if (g->new_phrase) {
        (void)snprintf(out, KG_PHRASE, "%s", g->new_phrase);
        return;
    }
    char again[KG_PHRASE];
    kg_ask_phrase(g, "Enter new passphrase (empty for no passphrase): ", out);
    kg_ask_phrase(g, "Enter same passphrase again: ", again);
    bool same = strcmp(out, again) == 0;
    explicit_bzero(again, sizeof(again));
    if (!same) {
        explicit_bzero(out, KG_PHRASE);
        (void)puts("Pass phrases do not match.  Try again.");
        exit(kg_end(1));
    }
}

int kg_change_phrase(keygen *g)
{
    nacre_key *key = NULL;
    nacre_error why;
    char phrase[KG_PHRASE];
    find_file(g);
    int rc = open_key(g, g->old_phrase, "Enter old passphrase: ", &key, phrase, &why);
    if (rc != NACRE_OK) {
        kg_die("Failed to load key %s: %s", g->file, kg_reason(rc, &why));
    }
    if (kg_has_comment(g->file)) {
        (void)printf("Key has comment '");
        kg_put(nacre_key_comment(key));
        (void)printf("'\n");
    }
    if (g->nopts) {
        kg_die("FIDO-specific option requested for non-FIDO key %s", g->file);
    }
    ask_new_phrase(g, phrase);
    rc = kg_save_private(g, key, g->file, phrase, nacre_key_comment(key), &why);
    explicit_bzero(phrase, sizeof(phrase));
    nacre_key_free(key);
    if (rc != NACRE_OK) {
        kg_say("Saving key \"%s\" failed: %s", g->file, kg_reason(rc, &why));
        return 1;
    }
    (void)puts("Your identification has been saved with the new passphrase.");
    return 0;
}

static bool ask_comment(const keygen *g, char *out)
{
    if (g->comment) {
        (void)snprintf(out, KG_COMMENT, "%s", g->comment);
        return true;
    }
    (void)printf("New comment: ");
    (void)fflush(stdout);
    if (!fgets(out, KG_COMMENT, stdin)) {
        return false;
    }
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static int save_comment(keygen *g, const nacre_key *key, const char *phrase, const char *comment)
{
    nacre_error why;
    int rc = kg_save_private(g, key, g->file, phrase, comment, &why);
    if (rc != NACRE_OK) {
        kg_say("Saving key \"%s\" failed: %s", g->file, kg_reason(rc, &why));
        return 1;
    }
    char path[KG_PATH + 8];
    (void)snprintf(path, sizeof(path), "%s.pub", g->file);
    rc = kg_save_public(key, path, comment, &why);
    if (rc != NACRE_OK) {
        kg_die("Unable to save public key to %s: %s", path, kg_reason(rc, &why));
    }
    if (*comment) {
        (void)printf("Comment '%s' applied\n", comment);
    } else {
        (void)puts("Comment removed");
    }
    return 0;
}

int kg_change_comment(keygen *g)
{
    nacre_key *key = NULL;
    nacre_error why;
    char phrase[KG_PHRASE], comment[KG_COMMENT];
    find_file(g);
    const char *given = g->old_phrase ? g->old_phrase : g->new_phrase;
    int rc = open_key(g, given, "Enter passphrase: ", &key, phrase, &why);
    if (rc != NACRE_OK) {
        kg_die("Cannot load private key \"%s\": %s", g->file, kg_reason(rc, &why));
    }
    int status = 1;
    const char *old = nacre_key_comment(key);
    bool has_old = kg_has_comment(g->file);
    if (strcmp(nacre_key_type(key), "ssh-ed25519") != 0 && g->private_format != KG_OPENSSH) {
        kg_say("Comments are only supported for keys stored in the new format (-o).");
    } else {
        if (has_old) {
            (void)printf("Old comment: ");
            kg_put(old);
            (void)putchar('\n');
        } else {
            (void)puts("No existing comment");
        }
        if (ask_comment(g, comment)) {
            if (has_old && strcmp(old, comment) == 0) {
                (void)puts("No change to comment");
                status = 0;
            } else {
                status = save_comment(g, key, phrase, comment);
            }
        }
    }
    explicit_bzero(phrase, sizeof(phrase));
    nacre_key_free(key);
    return status;
}
