/*
 * sftp_file.c - a remote log: its last lines that hold a word, and a line of ours behind them.
 *
 *     sftp_file user host path word [port [key-file]]
 *
 * Lines are read ahead and what is written is not waited for; the close says whether all of it arrived.
 * Without a key-file keys come from ~/.ssh; the host must be in ~/.ssh/known_hosts.
 */
#include <nacre/client.h>
#include <nacre/sftp_file.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints the lines of path with word in them; *count of them. */
static int search(nacre_sftp *s, const char *path, const char *word, size_t *count)
{
    nacre_sftp_file *f = NULL;
    char line[4096];
    char clean[4 * sizeof(line)];
    size_t n = 0;
    int rc = nacre_sftp_file_fopen(s, path, "r", NULL, &f);
    while (rc == NACRE_OK && (rc = nacre_sftp_file_gets(f, line, sizeof(line), &n)) == NACRE_OK) {
        if (strstr(line, word)) {
            n -= n > 0 && line[n - 1] == '\n';
            nacre_escape(clean, sizeof(clean), (nacre_span){(const uint8_t *)line, n});
            printf("%s\n", clean);
            ++*count;
        }
    }
    if (rc == NACRE_END) {
        return nacre_sftp_file_close(f);
    }
    char why[sizeof(nacre_sftp_error(s)->text)];
    snprintf(why, sizeof(why), "%s", nacre_sftp_error(s)->text);
    int closed = nacre_sftp_file_close(f);
    fprintf(stderr, "%s\n", why); /* the reading's error; a failing close adds nothing to it */
    return rc != NACRE_OK ? rc : closed;
}

static int append(nacre_sftp *s, const char *path, const char *word, size_t count)
{
    nacre_sftp_file *f = NULL;
    char line[512];
    int n = snprintf(line, sizeof(line), "%.400s was seen in %zu lines\n", word, count);
    int rc = nacre_sftp_file_fopen(s, path, "a", NULL, &f);
    if (rc == NACRE_OK) {
        rc = nacre_sftp_file_write(f, line, (size_t)n);
        int closed = nacre_sftp_file_close(f);
        rc = rc == NACRE_OK ? closed : rc;
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", nacre_sftp_error(s)->text);
    }
    return rc;
}

static int work(nacre_client *c, const char *path, const char *word, nacre_error *err)
{
    nacre_sftp *s = NULL;
    size_t count = 0;
    int rc = nacre_sftp_open(&s, c, NULL, err);
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err->text);
        return rc;
    }
    rc = search(s, path, word, &count);
    rc = rc == NACRE_OK ? append(s, path, word, count) : rc;
    nacre_sftp_close(s);
    return rc;
}

int main(int argc, char **argv)
{
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_known_hosts *hosts = NULL;
    nacre_error err = {0};
    char path[1024];
    if (argc < 5) {
        fprintf(stderr, "usage: %s user host path word [port [key-file]]\n", argv[0]);
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
        cfg.known_hosts = hosts; /* unknown and changed hosts are refused */
        if (argc > 6) {
            cfg.key_files = (const char *const *)argv + 6;
            cfg.key_file_count = 1;
            cfg.default_key_files = false;
        }
        rc = nacre_client_open(&c, &cfg, argv[2], (uint16_t)(argc > 5 ? atoi(argv[5]) : 22), &err);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        rc = work(c, argv[3], argv[4], &err);
    }
    nacre_client_disconnect(c);
    nacre_client_free(c);
    nacre_known_hosts_free(hosts);
    return rc == NACRE_OK ? 0 : 1;
}
