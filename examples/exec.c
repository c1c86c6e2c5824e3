/*
 * exec.c - runs one command on another machine, in a dozen lines:
 *
 *     exec user host command [port [key-file]]
 *
 * Without a key-file keys come from ~/.ssh; the host must be in ~/.ssh/known_hosts.
 */
#include <nacre/client.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_known_hosts *hosts = NULL;
    nacre_exec_result result = {0};
    nacre_error err = {0};
    const nacre_span no_input = {NULL, 0};
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
        nacre_client_config_init(&cfg);
        cfg.user = argv[1];
        cfg.known_hosts = hosts; /* unknown and changed hosts are refused */
        if (argc > 5) {
            cfg.key_files = (const char *const *)argv + 5;
            cfg.key_file_count = 1;
            cfg.default_key_files = false;
        }
        rc = nacre_client_open(&c, &cfg, argv[2], (uint16_t)(argc > 4 ? atoi(argv[4]) : 22), &err);
    }
    if (rc == NACRE_OK) {
        rc = nacre_client_exec(c, argv[3], no_input, 30 * 1000, &result);
        err = *nacre_client_error(c);
    }
    if (rc == NACRE_OK) {
        fwrite(result.out, 1, result.out_len, stdout);
        fwrite(result.err, 1, result.err_len, stderr);
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    int status = rc == NACRE_OK && result.exit.exited ? (int)result.exit.status : 255;
    nacre_exec_result_free(&result);
    nacre_client_disconnect(c);
    nacre_client_free(c);
    nacre_known_hosts_free(hosts);
    return status;
}
