/*
 * usage.c - what the program takes.
 */
#include "keygen.h"

#include <stdlib.h>

static const char text[] =
    "usage: nacre-keygen [-q] [-a rounds] [-b bits] [-C comment] [-f output_keyfile]\n"
    "                    [-m format] [-N new_passphrase] [-t ecdsa|ed25519|rsa] [-Z cipher]\n"
    "       nacre-keygen -p [-a rounds] [-f keyfile] [-m format] [-N new_passphrase]\n"
    "                    [-P old_passphrase] [-Z cipher]\n"
    "       nacre-keygen -i [-f input_keyfile] [-m key_format]\n"
    "       nacre-keygen -e [-f input_keyfile] [-m key_format]\n"
    "       nacre-keygen -y [-f input_keyfile]\n"
    "       nacre-keygen -c [-a rounds] [-C comment] [-f keyfile] [-P passphrase]\n"
    "       nacre-keygen -l [-v] [-E fingerprint_hash] [-f input_keyfile]\n"
    "       nacre-keygen -B [-f input_keyfile]\n"
    "       nacre-keygen -F hostname [-lv] [-f known_hosts_file]\n"
    "       nacre-keygen -H [-f known_hosts_file]\n"
    "       nacre-keygen -R hostname [-f known_hosts_file]\n"
    "       nacre-keygen -r hostname [-g] [-f input_keyfile]\n"
    "       nacre-keygen -I certificate_identity -s ca_key [-hU]\n"
    "                    [-n principals] [-O option] [-V validity_interval]\n"
    "                    [-z serial_number] file ...\n"
    "       nacre-keygen -L [-f input_keyfile]\n"
    "       nacre-keygen -A [-a rounds] [-f prefix_path]\n"
    "       nacre-keygen -k -f krl_file [-u] [-s ca_public] [-z version_number]\n"
    "                    file ...\n"
    "       nacre-keygen -Q [-l] -f krl_file [file ...]\n"
    "       nacre-keygen -Y find-principals -s signature_file -f allowed_signers_file\n"
    "       nacre-keygen -Y match-principals -I signer_identity -f allowed_signers_file\n"
    "       nacre-keygen -Y check-novalidate -n namespace -s signature_file\n"
    "       nacre-keygen -Y sign -f key_file -n namespace file [-O option] ...\n"
    "       nacre-keygen -Y verify -f allowed_signers_file -I signer_identity\n"
    "                    -n namespace -s signature_file [-r krl_file] [-O option]\n";

void kg_usage(void)
{
    (void)fputs(text, stderr);
    exit(1);
}
