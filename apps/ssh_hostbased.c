/*
 * ssh_hostbased.c - which methods may be tried and how: host keys for hostbased, keys bound to the server or
 * not. What ssh_config says of them, as a nacre_client_config.
 */
#include "ssh_setup.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Where ssh looks for its host's keys, and where systems put its helper. */
static const char *const host_keys[] = {
    "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key"};
static const char *const helpers[] = {"/usr/lib/openssh/ssh-keysign",
                                      "/usr/libexec/openssh/ssh-keysign",
                                      "/usr/libexec/ssh-keysign", "/usr/lib/ssh/ssh-keysign"};

void setup_host_auth(ssh_setup *s)
{
    nacre_client_config *c = &s->cfg;
    const char *bound = nacre_ssh_config_get(s->conf, "PubkeyAuthentication");
    c->transport.unbound_keys = bound && strcasecmp(bound, "unbound") == 0;
    c->transport.hostbased = nacre_ssh_config_get(s->conf, "HostbasedAcceptedAlgorithms");
    c->hostbased = nacre_ssh_config_yes(s->conf, "HostbasedAuthentication", false);
    if (!c->hostbased) {
        return;
    }
    c->host_key_files = host_keys;
    c->host_key_file_count = sizeof(host_keys) / sizeof(host_keys[0]);
    if (!nacre_ssh_config_yes(s->conf, "EnableSSHKeysign", false)) {
        return;
    }
    for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]) && !c->keysign; i++) {
        if (access(helpers[i], X_OK) == 0) {
            c->keysign = helpers[i];
        }
    }
}
