/*
 * drive_agent.c - the library's agent calls on a command line.
 *
 *   serve PATH [confirm yes|no] [lifetime SECONDS] [max KEYS] [sha1 yes]   a keyring, until standard input ends
 *   SOCKET list | clear | lock PW | unlock PW | supports EXTENSION
 *   SOCKET sign KEYFILE [ALGORITHM]         the public key; signs standard input, prints "good" and the name
 *   SOCKET remove KEYFILE                   the public key
 *   SOCKET add KEYFILE [cert FILE] [life SECONDS] [confirm] [to HOST KEYFILE]...
 *
 * Exit status 0; 2 when the agent refused; 3 when it does not know the extension; 1 otherwise.
 */
#include "nacre/agent.h"
#include "nacre/cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOPS_MAX = 8, TEXT_MAX = 64 * 1024 };

static int fail(int rc, const nacre_error *why)
{
    (void)fprintf(stderr, "%s: %s\n", nacre_status_symbol(rc), why->text);
    return rc == NACRE_AGENT_REFUSED ? 2 : rc == NACRE_UNSUPPORTED ? 3 : 1;
}

static nacre_key *read_public(const char *path)
{
    static char text[TEXT_MAX];
    nacre_error why;
    nacre_key *k = NULL;
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
    if (f) {
        (void)fclose(f);
    }
    if (nacre_key_from_public_line(&k, NULL, (nacre_span){(uint8_t *)text, n}, &why) != NACRE_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, why.text);
        exit(1);
    }
    return k;
}

/* ---- serving --------------------------------------------------------------------------------------- */

static void on_confirm(void *user, const nacre_keyring_question *q)
{
    const bool *yes = user;
    (void)printf("asked %s user=%s host=%s%s\n", nacre_key_label(q->key), q->user, q->host,
                 q->forwarded ? " forwarded" : "");
    (void)fflush(stdout);
    (void)nacre_keyring_answer(q->keyring, q->ticket, *yes);
}

static void on_stdin(void *user, int fd, unsigned ready)
{
    char c;
    (void)ready;
    if (read(fd, &c, 1) <= 0) {
        nacre_loop_stop(user);
    }
}

static int serve(const char *path, int argc, char **argv)
{
    nacre_keyring_options o;
    nacre_keyring *k = NULL;
    nacre_keyring_server *s = NULL;
    nacre_loop *loop = NULL;
    nacre_error why;
    static bool yes;
    nacre_keyring_options_init(&o);
    for (int i = 0; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "confirm") == 0) {
            yes = strcmp(argv[i + 1], "yes") == 0;
            o.confirm = on_confirm;
            o.user = &yes;
        } else if (strcmp(argv[i], "lifetime") == 0) {
            o.lifetime_seconds = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "sha1") == 0) {
            o.allow_sha1 = strcmp(argv[i + 1], "yes") == 0;
        } else {
            o.max_keys = strtoul(argv[i + 1], NULL, 10);
        }
    }
    int rc = nacre_loop_new(&loop, NULL, &why);
    if (rc == NACRE_OK) {
        rc = nacre_keyring_new(&k, &o, nacre_loop_now(loop), 0);
    }
    if (rc == NACRE_OK) {
        rc = nacre_keyring_serve(&s, loop, k, strcmp(path, "-") ? path : NULL, &why);
    }
    if (rc == NACRE_OK) {
        rc = nacre_loop_add(loop, 0, NACRE_READ, on_stdin, loop);
    }
    if (rc == NACRE_OK) {
        (void)printf("%s\n", nacre_keyring_server_path(s));
        (void)fflush(stdout);
        rc = nacre_loop_run(loop);
    } else {
        rc = fail(rc, &why);
    }
    nacre_keyring_server_free(s);
    nacre_keyring_free(k);
    nacre_loop_free(loop);
    return rc ? 1 : 0;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

static int list(nacre_agent *a, nacre_error *why)
{
    nacre_key **keys;
    size_t n;
    char print[128];
    int rc = nacre_agent_list(a, &keys, &n, why);
    for (size_t i = 0; rc == NACRE_OK && i < n; i++) {
        (void)nacre_key_fingerprint(keys[i], "sha256", print, sizeof(print));
        (void)printf("%u %s %s (%s)\n", nacre_key_bits(keys[i]), print, nacre_key_comment(keys[i]),
                     nacre_key_label(keys[i]));
    }
    nacre_agent_keys_free(NULL, keys, n);
    return rc;
}

static int sign(nacre_agent *a, const char *path, const char *algorithm, nacre_error *why)
{
    static char text[TEXT_MAX];
    nacre_key *k = read_public(path);
    uint8_t *sig;
    size_t n;
    nacre_span data = {(uint8_t *)text, fread(text, 1, sizeof(text), stdin)};
    int rc = nacre_agent_sign(a, k, algorithm, data, &sig, &n, why);
    if (rc == NACRE_OK && nacre_key_verify(k, NULL, data, (nacre_span){sig, n}) == NACRE_OK) {
        (void)printf("good %.*s\n", (int)sig[3], (const char *)sig + 4);
    }
    nacre_secret_free(NULL, sig, n);
    nacre_key_free(k);
    return rc;
}

static int add(nacre_agent *a, int argc, char **argv, nacre_error *why)
{
    static nacre_agent_destination hops[HOPS_MAX];
    static nacre_agent_host_key keys[HOPS_MAX];
    nacre_agent_constraints c;
    nacre_key *key = NULL, *cert = NULL, *shown = NULL;
    nacre_agent_constraints_init(&c);
    int rc = nacre_key_from_file(&key, NULL, argv[0], (nacre_span){NULL, 0}, true, why);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "confirm") == 0) {
            c.confirm = true;
        } else if (strcmp(argv[i], "life") == 0 && i + 1 < argc) {
            c.lifetime_seconds = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "cert") == 0 && i + 1 < argc) {
            cert = read_public(argv[++i]);
        } else if (strcmp(argv[i], "to") == 0 && i + 2 < argc && c.destination_count < HOPS_MAX) {
            size_t at = c.destination_count++;
            keys[at].key = read_public(argv[i + 2]);
            hops[at].to = (nacre_agent_hop){NULL, argv[i + 1], &keys[at], 1};
            i += 2;
        }
    }
    c.destinations = hops;
    if (rc == NACRE_OK && cert) {
        rc = nacre_key_attach_cert(&shown, key, cert, why);
    }
    if (rc == NACRE_OK) {
        rc = nacre_agent_add(a, shown ? shown : key, &c, why);
    }
    for (size_t i = 0; i < c.destination_count; i++) {
        nacre_key_free((nacre_key *)(uintptr_t)keys[i].key);
    }
    nacre_key_free(key);
    nacre_key_free(cert);
    nacre_key_free(shown);
    return rc;
}

static int with_word(nacre_agent *a, const char *what, const char *word, nacre_error *why)
{
    const nacre_span text = {(const uint8_t *)word, strlen(word)};
    if (strcmp(what, "lock") == 0) {
        return nacre_agent_lock(a, text, why);
    }
    if (strcmp(what, "unlock") == 0) {
        return nacre_agent_unlock(a, text, why);
    }
    if (strcmp(what, "supports") == 0) {
        return nacre_agent_supports(a, word, why);
    }
    if (strcmp(what, "remove") == 0) {
        nacre_key *k = read_public(word);
        int rc = nacre_agent_remove(a, k, why);
        nacre_key_free(k);
        return rc;
    }
    (void)fprintf(stderr, "unknown operation %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    nacre_agent *a = NULL;
    nacre_error why = {0};
    if (argc < 3) {
        return 1;
    }
    if (strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], argc - 3, argv + 3);
    }
    int rc = nacre_agent_open(&a, NULL, argv[1], &why);
    if (rc != NACRE_OK) {
        return fail(rc, &why);
    }
    const char *what = argv[2];
    if (strcmp(what, "list") == 0) {
        rc = list(a, &why);
    } else if (strcmp(what, "clear") == 0) {
        rc = nacre_agent_remove_all(a, &why);
    } else if (argc < 4) {
        rc = NACRE_INVALID_ARGUMENT;
    } else if (strcmp(what, "sign") == 0) {
        rc = sign(a, argv[3], argc > 4 ? argv[4] : NULL, &why);
    } else if (strcmp(what, "add") == 0) {
        rc = add(a, argc - 3, argv + 3, &why);
    } else {
        rc = with_word(a, what, argv[3], &why);
    }
    nacre_agent_free(a);
    return rc == NACRE_OK ? 0 : fail(rc, &why);
}
