/*
 * keys.c - a user's keys on a server that has the public key subsystem (RFC 4819):
 *
 *     keys user host port key-file list
 *     keys user host port key-file add|remove public-key-file
 *
 * The key-file logs in; the host must be in ~/.ssh/known_hosts.
 */
#include <nacre/publickey.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool show(void *user, const nacre_publickey_entry *e)
{
    char print[128] = "of a kind that is not known here";
    char comment[256] = "";
    (void)user;
    (void)nacre_blob_fingerprint(e->blob, "sha256", print, sizeof(print));
    for (size_t i = 0; i < e->attribute_count; i++) {
        const nacre_span name = e->attributes[i].name;
        if (name.n == 7 && memcmp(name.p, "comment", 7) == 0) {
            nacre_escape(comment, sizeof(comment), e->attributes[i].value);
        }
    }
    printf("%s %s\n", print, comment);
    return true;
}

static nacre_key *read_public(const char *path)
{
    char line[16384];
    nacre_key *key = NULL;
    nacre_error err = {0};
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(line, 1, sizeof(line), f) : 0;
    nacre_span span = {(const uint8_t *)line, n};
    if (f) {
        fclose(f);
    }
    if (nacre_key_from_public_line(&key, NULL, span, &err) != NACRE_OK) {
        fprintf(stderr, "%s: %s\n", path, err.text);
    }
    return key;
}

static int change(nacre_publickey *p, bool add, const char *path)
{
    nacre_key *key = read_public(path);
    if (!key) {
        return NACRE_INVALID_ARGUMENT;
    }
    const char *text = nacre_key_comment(key);
    nacre_publickey_attribute comment = {
        {(const uint8_t *)"comment", 7}, {(const uint8_t *)text, strlen(text)}, false};
    int rc = add ? nacre_publickey_add(p, key, &comment, 1, false) : nacre_publickey_remove(p, key);
    nacre_key_free(key);
    return rc;
}

int main(int argc, char **argv)
{
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_known_hosts *hosts = NULL;
    nacre_publickey *p = NULL;
    nacre_error err = {0};
    char path[1024];
    bool lists = argc == 6 && strcmp(argv[5], "list") == 0;
    bool adds = argc == 7 && strcmp(argv[5], "add") == 0;
    if (!lists && !adds && !(argc == 7 && strcmp(argv[5], "remove") == 0)) {
        fprintf(stderr, "usage: %s user host port key-file list|add|remove [public-key]\n",
                argv[0]);
        return 2;
    }
    const char *home = getenv("HOME");
    snprintf(path, sizeof(path), "%s/.ssh/known_hosts", home ? home : "");
    int rc = nacre_known_hosts_new(&hosts, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_file(hosts, path, &err);
    }
    if (rc == NACRE_OK) {
        nacre_client_config_init(&cfg);
        cfg.user = argv[1];
        cfg.known_hosts = hosts;
        cfg.key_files = (const char *const *)argv + 4;
        cfg.key_file_count = 1;
        cfg.default_key_files = false;
        rc = nacre_client_open(&c, &cfg, argv[2], (uint16_t)atoi(argv[3]), &err);
    }
    if (rc == NACRE_OK) {
        rc = nacre_publickey_open(&p, c, 30 * 1000, &err);
    }
    if (rc == NACRE_OK) {
        rc = lists ? nacre_publickey_list(p, show, NULL) : change(p, adds, argv[6]);
        err = *nacre_publickey_error(p);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text[0] ? err.text : nacre_status_text(rc));
    }
    nacre_publickey_close(p);
    nacre_client_disconnect(c);
    nacre_client_free(c);
    nacre_known_hosts_free(hosts);
    return rc == NACRE_OK ? 0 : 1;
}
