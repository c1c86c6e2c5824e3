/* drive_jump USER KEYFILE KNOWN_HOSTS COMMAND PORT...: runs a command at the last port of 127.0.0.1, through the
 * others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacre/client.h"

enum { HOPS_MAX = 8 };

int main(int argc, char **argv)
{
    nacre_client_config cfg;
    nacre_client_hop hops[HOPS_MAX];
    nacre_client *c = NULL;
    nacre_error err;
    nacre_exec_result result;
    nacre_known_hosts *known = NULL;
    size_t count = argc > 6 ? (size_t)argc - 6 : 0;
    if (argc < 6 || count > HOPS_MAX || nacre_known_hosts_new(&known, NULL) != NACRE_OK ||
        nacre_known_hosts_add_file(known, argv[3], &err) != NACRE_OK) {
        return 2;
    }
    nacre_client_config_init(&cfg);
    const char *files[] = {argv[2]};
    cfg.user = argv[1];
    cfg.key_files = files;
    cfg.key_file_count = 1;
    cfg.default_key_files = false;
    cfg.known_hosts = known;
    for (size_t i = 0; i < count; i++) {
        hops[i] = (nacre_client_hop){NULL, "127.0.0.1", (uint16_t)strtoul(argv[5 + i], NULL, 10)};
    }
    int rc = nacre_client_open_through(
        &c, &cfg, "127.0.0.1", (uint16_t)strtoul(argv[argc - 1], NULL, 10), hops, count, &err);
    if (rc == NACRE_OK) {
        nacre_span none = {NULL, 0};
        rc = nacre_client_exec(c, argv[4], none, 0, &result);
        err = *nacre_client_error(c);
        if (rc == NACRE_OK) {
            (void)fwrite(result.out, 1, result.out_len, stdout);
        }
        nacre_exec_result_free(&result);
    }
    if (rc != NACRE_OK) {
        (void)fprintf(stderr, "%s: %s\n", nacre_status_symbol(rc), err.text);
    }
    nacre_client_disconnect(c);
    nacre_client_free(c);
    nacre_known_hosts_free(known);
    return rc == NACRE_OK ? 0 : 1;
}
