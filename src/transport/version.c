/*
 * version.c - judging version lines, and the table of peers that need care.
 */
#include "transport/version.h"

#include <string.h>

#include "keys/pattern.h"

static bool starts_with(nacre_span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

int nc_version_judge(nacre_role our_role, nacre_span line, nc_line_kind *kind, nacre_error *err)
{
    *kind = NC_LINE_BANNER;
    if (!starts_with(line, "SSH-")) {
        if (our_role == NACRE_SERVER) {
            return nc_fail(err, NACRE_VERSION,
                           "the client did not begin with an SSH version line but with \"%s\"",
                           NC_ESC(line));
        }
        return NACRE_OK;
    }
    *kind = NC_LINE_VERSION;
    if (line.n + 2 > NC_MAX_VERSION_LINE) {
        return nc_fail(err, NACRE_VERSION,
                       "the peer's version line has %zu bytes; RFC 4253 allows %d", line.n,
                       NC_MAX_VERSION_LINE);
    }
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] < 0x20 || line.p[i] > 0x7E) {
            return nc_fail(err, NACRE_VERSION, "the peer's version line is garbled: \"%s\"",
                           NC_ESC(line));
        }
    }
    /* A client may meet "SSH-1.99" (RFC 4253 5.1); as a server we take it too, as OpenSSH does. */
    if (!starts_with(line, "SSH-2.0-") && !starts_with(line, "SSH-1.99-")) {
        return nc_fail(
            err, NACRE_VERSION,
            "the peer speaks another version of the protocol (\"%s\"); SSH-2.0 is needed",
            NC_ESC(line));
    }
    return NACRE_OK;
}

nacre_span nc_version_software(nacre_span line)
{
    size_t skip = starts_with(line, "SSH-1.99-") ? 9 : 8;
    if (line.n < skip) {
        return nc_span(NULL, 0);
    }
    nacre_span software = nc_span(line.p + skip, line.n - skip);
    const uint8_t *space = software.n ? memchr(software.p, ' ', software.n) : NULL;
    if (space) {
        software.n = (size_t)(space - software.p);
    }
    return software;
}

bool nc_version_software_valid(const char *software)
{
    size_t n = strlen(software);
    if (n == 0 || n > 100) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)software[i];
        if (c <= 0x20 || c > 0x7E || c == '-') {
            return false;
        }
    }
    return true;
}

/* Patterns are lists as in ssh_config. Sources: the peers' own release notes, and what OpenSSH and PuTTY know. */
static const struct {
    const char *pattern;
    uint32_t quirks;
} quirk_rows[] = {
    /* OpenSSH 7.4 (CentOS 7 has it) takes rsa-sha2 signatures, but does not say so in EXT_INFO. */
    {"OpenSSH_7.4*", NC_QUIRK_HIDES_RSA_SHA2},
    {"OpenSSH_2.*,OpenSSH_3.*,OpenSSH_4.*,OpenSSH_5.*,OpenSSH_6.5*,OpenSSH_6.6*",
     NC_QUIRK_GEX_OLD_LIMITS},
    /* Until 6.7 a request that came with the end of a channel was answered behind the CLOSE. */
    {"OpenSSH_2.*,OpenSSH_3.*,OpenSSH_4.*,OpenSSH_5.*,OpenSSH_6.0*,OpenSSH_6.1*,OpenSSH_6.2*,"
     "OpenSSH_6.3*,OpenSSH_6.4*,OpenSSH_6.5*,OpenSSH_6.6*,"
     "dropbear_0.2*,dropbear_0.3*,dropbear_0.4*,dropbear_0.50*,dropbear_0.51*",
     NC_QUIRK_LATE_REPLIES},
    {"Cisco-1.*",
     NC_QUIRK_GEX_OLD_LIMITS | NC_QUIRK_NO_REKEY | NC_QUIRK_NO_EXT_INFO | NC_QUIRK_NO_HOST_KEYS},
    {"WinSCP_release_4*,WinSCP_release_5.0*,WinSCP_release_5.1,WinSCP_release_5.1.*,"
     "WinSCP_release_5.5,WinSCP_release_5.5.*,WinSCP_release_5.6,WinSCP_release_5.6.*,"
     "WinSCP_release_5.7,WinSCP_release_5.7.1,WinSCP_release_5.7.2,WinSCP_release_5.7.3,"
     "WinSCP_release_5.7.4",
     NC_QUIRK_GEX_OLD_LIMITS},
    {"PuTTY_Local:*,PuTTY_Release_0.5*,PuTTY_Release_0.60*,PuTTY_Release_0.61*,"
     "PuTTY_Release_0.62*,PuTTY_Release_0.63*,PuTTY_Release_0.64*,FuTTY*",
     NC_QUIRK_GEX_OLD_LIMITS},
    {"FlowSsh:*,Bitvise*SSH*Client*4.*,WeOnlyDo*", NC_QUIRK_SMALL_PACKETS},
    {"Sun_SSH_1.0*,Sun_SSH_1.1,DigiSSH_2.0", NC_QUIRK_NO_REKEY},
    {"1.36_sshlib*,1.36", NC_QUIRK_ANY_PACKET}, /* GlobalSCAPE */
    {"ConfD-*", NC_QUIRK_NO_UTF8_MODE},
    {"TTSSH/1.5.*,TTSSH/2.1*,TTSSH/2.2*,TTSSH/2.3*,TTSSH/2.4*,TTSSH/2.5*,TTSSH/2.6*,TTSSH/2.70*,"
     "TTSSH/2.71*,TTSSH/2.72*",
     NC_QUIRK_NO_HOST_KEYS},
};

bool nc_version_comments_valid(const char *comments)
{
    size_t n = strlen(comments);
    for (size_t i = 0; i < n; i++) {
        if (comments[i] < 0x20 || comments[i] > 0x7E) {
            return false;
        }
    }
    return n <= 140; /* with the longest software version the line is not too long */
}

uint32_t nc_version_quirks(nacre_span software)
{
    uint32_t quirks = 0;
    for (size_t i = 0; i < sizeof(quirk_rows) / sizeof(quirk_rows[0]); i++) {
        if (nc_pattern_list(software, nc_span_cstr(quirk_rows[i].pattern), false) == NC_MATCH_YES) {
            quirks |= quirk_rows[i].quirks;
        }
    }
    return quirks;
}

const char *nc_version_quirk_name(unsigned n)
{
    static const char *const names[NC_QUIRKS] = {
        "no-rekey",     "old-group-exchange", "hides-rsa-sha2", "small-packets", "no-ext-info",
        "late-replies", "any-packet",         "no-utf8-mode",   "no-host-keys"};
    return n < NC_QUIRKS ? names[n] : "";
}
