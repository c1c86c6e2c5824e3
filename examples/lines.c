/*
 * lines.c - what a command on another machine says, line by line as it comes, with a number in front:
 *
 *     lines user host command [port [key-file]]
 *
 * A minute of silence ends it. Without a key-file keys come from ~/.ssh; the host must be in ~/.ssh/known_hosts.
 */
#include <nacre/stream.h>

#include <stdio.h>
#include <stdlib.h>

static int log_in(nacre_client **c, const nacre_known_hosts *hosts, int argc, char **argv,
                  nacre_error *err)
{
    nacre_client_config cfg;
    nacre_client_config_init(&cfg);
    cfg.user = argv[1];
    cfg.known_hosts = hosts; /* unknown and changed hosts are refused */
    if (argc > 5) {
        cfg.key_files = (const char *const *)argv + 5;
        cfg.key_file_count = 1;
        cfg.default_key_files = false;
    }
    return nacre_client_open(c, &cfg, argv[2], (uint16_t)(argc > 4 ? atoi(argv[4]) : 22), err);
}

static int number_lines(nacre_client *c, const char *command, nacre_exit *how)
{
    nacre_stream_options o;
    nacre_stream *s = NULL;
    const char *line;
    nacre_stream_options_init(&o);
    o.errors = NACRE_STDERR_MERGED; /* where the command put them */
    o.timeout_ms = 60 * 1000;
    int rc = nacre_stream_exec(&s, c, command, &o);
    for (unsigned n = 1; rc == NACRE_OK; n++) {
        rc = nacre_stream_line(s, NACRE_STDOUT, &line, NULL);
        if (rc == NACRE_OK) {
            printf("%6u  %s\n", n, line);
        }
    }
    if (rc == NACRE_END) {
        rc = nacre_stream_exit(s, how);
    }
    nacre_stream_free(s);
    return rc;
}

int main(int argc, char **argv)
{
    nacre_client *c = NULL;
    nacre_known_hosts *hosts = NULL;
    nacre_exit how = {0};
    nacre_error err = {0};
    char path[1024];
    if (argc < 4) {
        fprintf(stderr, "usage: %s user host command [port [key-file]]\n", argv[0]);
        return 2;
    }
    const char *home = getenv("HOME");
    snprintf(path, sizeof(path), "%s/.ssh/known_hosts", home ? home : "");
    int rc = nacre_known_hosts_new(&hosts, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_file(hosts, path, &err);
    }
    if (rc == NACRE_OK) {
        rc = log_in(&c, hosts, argc, argv, &err);
    }
    if (rc == NACRE_OK) {
        rc = number_lines(c, argv[3], &how);
        err = *nacre_client_error(c);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text);
    }
    nacre_client_disconnect(c);
    nacre_client_free(c);
    nacre_known_hosts_free(hosts);
    return rc == NACRE_OK && how.exited ? (int)how.status : 255;
}
