/*
 * forward.c - forwards connections until the connection or a signal ends it, as ssh -N does:
 *
 *     forward user host port key-file forwarding ...
 *
 * A forwarding is a letter and what ssh takes behind it: L8080:intranet:80, R0:localhost:3000, D1080. Where each of
 * them listens is printed. The host must be in ~/.ssh/known_hosts.
 */
#include <nacre/forward.h>

#include <stdio.h>
#include <stdlib.h>

static int failed;

static void on_ready(void *user, nacre_forward *f, int status, const nacre_error *err)
{
    if (status != NACRE_OK) {
        fprintf(stderr, "%s: %s\n", (const char *)user, err->text);
        failed = status;
        return;
    }
    printf("%s: port %u\n", (const char *)user, (unsigned)nacre_forward_port(f));
    fflush(stdout);
}

static void on_failure(void *user, nacre_forward *f, const char *text)
{
    (void)f;
    fprintf(stderr, "%s: %s\n", (const char *)user, text);
}

static int start(nacre_client *c, char *what, nacre_error *err)
{
    nacre_forward_options o;
    nacre_forward_text text;
    nacre_forward_options_init(&o);
    int rc = nacre_forward_parse(what[0] == 'R'   ? NACRE_FORWARD_REMOTE
                                 : what[0] == 'D' ? NACRE_FORWARD_DYNAMIC
                                                  : NACRE_FORWARD_LOCAL,
                                 what[0] ? what + 1 : "", &o, &text, err);
    o.on_ready = on_ready;
    o.on_failure = on_failure;
    o.user = what;
    return rc == NACRE_OK ? nacre_client_forward(c, &o, NULL, err) : rc;
}

static int has_failed(void *user)
{
    (void)user;
    return failed ? failed : NACRE_AGAIN;
}

int main(int argc, char **argv)
{
    nacre_client *c = NULL;
    nacre_known_hosts *hosts = NULL;
    nacre_client_config cfg;
    nacre_error err = {0};
    char path[1024];
    if (argc < 6) {
        fprintf(stderr, "usage: %s user host port key-file forwarding ...\n", argv[0]);
        return 2;
    }
    const char *home = getenv("HOME");
    snprintf(path, sizeof(path), "%s/.ssh/known_hosts", home ? home : "");
    nacre_client_config_init(&cfg);
    cfg.user = argv[1];
    cfg.key_files = (const char *const *)argv + 4;
    cfg.key_file_count = 1;
    cfg.default_key_files = false;
    cfg.transport.max_channels = 4096; /* one for each connection */
    int rc = nacre_known_hosts_new(&hosts, NULL);
    rc = rc == NACRE_OK ? nacre_known_hosts_add_file(hosts, path, &err) : rc;
    cfg.known_hosts = hosts;
    if (rc == NACRE_OK) {
        rc = nacre_client_open(&c, &cfg, argv[2], (uint16_t)atoi(argv[3]), &err);
    }
    for (int i = 5; rc == NACRE_OK && i < argc; i++) {
        rc = start(c, argv[i], &err);
    }
    if (rc == NACRE_OK) {
        rc = nacre_client_run(c, has_failed, NULL, NACRE_FOREVER);
        err = *nacre_client_error(c);
    }
    if (err.text[0]) {
        fprintf(stderr, "%s\n", err.text);
    }
    nacre_client_disconnect(c);
    nacre_client_free(c);
    nacre_known_hosts_free(hosts);
    return rc == NACRE_OK ? 0 : 255;
}
