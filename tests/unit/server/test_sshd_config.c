/*
 * test_sshd_config.c - the configuration reader: what it takes, and above all what it does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "nacre/sshd_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static nacre_sshd_config *fresh(void)
{
    nacre_sshd_config *c = NULL;
    assert_int_equal(nacre_sshd_config_new(&c, NULL), NACRE_OK);
    return c;
}

static int feed(nacre_sshd_config *c, const char *text, nacre_error *err)
{
    return nacre_sshd_config_text(c, nc_span_cstr(text), "test", err);
}

static nacre_sshd_config *read_text(const char *text)
{
    nacre_error err = {0};
    nacre_sshd_config *c = fresh();
    if (feed(c, text, &err) != NACRE_OK || nacre_sshd_config_finish(c, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

static void defaults_are_openssh_s(void **state)
{
    (void)state;
    nacre_sshd_config *c = read_text("");
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    assert_int_equal(s->port_count, 1);
    assert_int_equal(s->ports[0], 22);
    assert_true(s->default_host_keys);
    assert_int_equal(s->host_keys.count, 3);
    assert_int_equal(s->permit_root, NACRE_ROOT_PROHIBIT_PASSWORD);
    assert_int_equal(s->login_grace_seconds, 120);
    assert_int_equal(s->max_auth_tries, 6);
    assert_int_equal(s->max_sessions, 10);
    assert_int_equal(s->startups_begin, 10);
    assert_int_equal(s->startups_rate, 30);
    assert_int_equal(s->startups_full, 100);
    assert_true(s->strict_modes && s->permit_tty && s->password_authentication);
    assert_false(s->permit_user_environment);
    assert_int_equal(s->authorized_keys_files.count, 2);
    assert_int_equal(s->log_facility, LOG_AUTH);
    nacre_sshd_config_free(c);
}

static void spelling_is_free_where_openssh_is(void **state)
{
    (void)state;
    nacre_sshd_config *c = read_text("# comment\n"
                                     "   port   2222  # behind\r\n"
                                     "PORT=2223\n"
                                     "Banner = \"/etc/with space\"\n"
                                     "permitrootlogin  NO\n"
                                     "\t\n"
                                     "HostKey /a\nHostKey /b\n"
                                     "ListenAddress 127.0.0.1\nListenAddress [::1]:99\n"
                                     "ListenAddress ::2\nListenAddress host:77\n"
                                     "LoginGraceTime 1h30m\n"
                                     "RekeyLimit 2G 1h\n"
                                     "MaxStartups 5\n"
                                     "Subsystem sftp internal-sftp -l INFO # all of it\n"
                                     "Subsystem \"x\" /bin/x  -a\n"
                                     "ForceCommand echo \"a  b\" # c");
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    assert_int_equal(s->port_count, 2);
    assert_int_equal(s->ports[1], 2223);
    assert_string_equal(s->banner, "/etc/with space");
    assert_int_equal(s->permit_root, NACRE_ROOT_NO);
    assert_int_equal(s->host_keys.count, 2);
    assert_false(s->default_host_keys);
    assert_int_equal(s->listen_count, 4);
    assert_string_equal(s->listen[1].address, "::1");
    assert_int_equal(s->listen[1].port, 99);
    assert_string_equal(s->listen[2].address, "::2");
    assert_int_equal(s->listen[2].port, 0);
    assert_int_equal(s->listen[3].port, 77);
    assert_int_equal(s->login_grace_seconds, 5400);
    assert_true(s->rekey_bytes == (uint64_t)2 << 30);
    assert_int_equal(s->rekey_seconds, 3600);
    assert_int_equal(s->startups_full, 5);
    assert_int_equal(s->subsystem_count, 2);
    assert_string_equal(s->subsystems[0].command, "internal-sftp -l INFO # all of it");
    assert_string_equal(s->subsystems[1].name, "x");
    assert_string_equal(s->subsystems[1].command, "/bin/x  -a");
    assert_string_equal(s->force_command, "echo \"a  b\" # c");
    nacre_sshd_config_free(c);
}

static void first_value_wins(void **state)
{
    (void)state;
    nacre_error err = {0};
    nacre_sshd_config *c = fresh();
    assert_int_equal(nacre_sshd_config_line(c, "MaxSessions=3", &err), NACRE_OK);
    assert_int_equal(feed(c,
                          "MaxSessions 4\nKbdInteractiveAuthentication no\n"
                          "ChallengeResponseAuthentication yes\nSubsystem a one\nSubsystem a two\n",
                          &err),
                     NACRE_OK);
    /* A value that does not count must still be one. */
    assert_int_equal(feed(c, "MaxSessions many\n", &err), NACRE_SYNTAX);
    assert_int_equal(nacre_sshd_config_finish(c, NULL), NACRE_OK);
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    assert_int_equal(s->max_sessions, 3);
    assert_false(s->interactive_authentication);
    assert_int_equal(s->subsystem_count, 1);
    assert_string_equal(s->subsystems[0].command, "one");
    nacre_sshd_config_free(c);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "NoSuchKeyword yes",
        "Port",
        "Port 0",
        "Port 65536",
        "Port -1",
        "Port 22x",
        "Port 4294967296",
        "Port 99999999999999999999999999",
        "Port 22 23",
        "= 22",
        "Banner \"open",
        "Banner 'open",
        "PermitRootLogin maybe",
        "PasswordAuthentication 1",
        "PasswordAuthentication yes no",
        "LoginGraceTime 10x",
        "LoginGraceTime -1",
        "LoginGraceTime m",
        "LoginGraceTime 99999999999",
        "LoginGraceTime 2147483647w",
        "RekeyLimit 1T",
        "RekeyLimit 3",
        "RekeyLimit 1M soon",
        "RekeyLimit 1M 1h 2h",
        "RekeyLimit 18446744073709551616",
        "MaxStartups 0",
        "MaxStartups 10:30",
        "MaxStartups 10:0:100",
        "MaxStartups 10:101:100",
        "MaxStartups 100:30:10",
        "MaxStartups a:b:c",
        "MaxAuthTries 0",
        "MaxSessions 4294967295",
        "ListenAddress [::1",
        "ListenAddress [::1]x",
        "ListenAddress [::1]:",
        "ListenAddress 1.2.3.4:0",
        "ListenAddress 1.2.3.4:99999",
        "ListenAddress 1.2.3.4 rdomain 3",
        "AuthorizedKeysFile /keys/%q",
        "AuthorizedKeysFile /keys/%",
        "AcceptEnv A=B",
        "SetEnv A",
        "Subsystem sftp",
        "AllowUsers !root",
        "DenyUsers mallory@10.0.0.0/99",
        "AuthenticationMethods publickey,rot13",
        "AuthenticationMethods publickey,",
        "AuthenticationMethods any publickey",
        "AuthenticationMethods publickey any",
        "AuthenticationMethods publickey,any",
        "HostbasedAuthentication perhaps",
        "IgnoreRhosts sometimes",
        "IgnoreUserKnownHosts shosts-only",
        "PermitEmptyPasswords yes",
        "PerSourceMaxStartups 0",
        "PerSourceMaxStartups some",
        "PerSourceMaxStartups 3 4",
        "PerSourceNetBlockSize 33",
        "PerSourceNetBlockSize 32:129",
        "PerSourceNetBlockSize 24:",
        "PerSourceNetBlockSize :64",
        "PerSourceNetBlockSize 24:64:3",
        "PerSourceNetBlockSize -1",
        "PerSourcePenalties crash",
        "PerSourcePenalties crash:",
        "PerSourcePenalties crash:x",
        "PerSourcePenalties crash:-1",
        "PerSourcePenalties crash:4294968",
        "PerSourcePenalties crash:1 burglary:2",
        "PerSourcePenalties no crash:1",
        "PerSourcePenalties yes no",
        "PerSourcePenalties max-sources4:0",
        "PerSourcePenalties max-sources6:16777217",
        "PerSourcePenalties overflow:perhaps",
        "PerSourcePenaltyExemptList 10.0.0.0/33",
        "PerSourcePenaltyExemptList 10.0.0.1 10.0.0.2",
        "Compression zlib",
        "AddressFamily inet5",
        "LogLevel LOUD",
        "UsePAM perhaps",
        "AuthorizedKeysCommand keys",
        "AuthorizedKeysCommand /bin/keys %i",
        "AuthorizedKeysCommand /bin/keys %",
        "AuthorizedKeysCommand /bin/keys \"%u",
        "AuthorizedPrincipalsCommand /bin/p %x",
        "AuthorizedPrincipalsFile /p/%k",
        "AuthorizedPrincipalsFile a b",
        "ChrootDirectory /jail/%i",
        "PubkeyAuthOptions touch",
        "AllowTcpForwarding perhaps",
        "GatewayPorts some",
        "PermitOpen host",
        "PermitOpen :22",
        "PermitOpen ::1:22",
        "PermitOpen host:0",
        "PermitOpen host:22 any",
        "PermitListen host:x",
        "PermitTunnel maybe",
        "StreamLocalBindMask 8",
        "StreamLocalBindMask 01000",
        "StreamLocalBindMask 0177x",
        "VersionAddendum caf\xc3\xa9",
        "PermitUserEnvironment \"\"",
        "FingerprintHash sha1",
        "ChannelTimeout",
        "ChannelTimeout session",
        "ChannelTimeout =5m",
        "ChannelTimeout session=",
        "ChannelTimeout session=-1",
        "ChannelTimeout x11-connection=5m session=x",
        "ChannelTimeout none session=5m",
        "UnusedConnectionTimeout",
        "UnusedConnectionTimeout soon",
        "UnusedConnectionTimeout 5m 6m",
        "RDomain 3",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nacre_error err = {0};
        char text[256];
        nacre_sshd_config *c = fresh();
        (void)snprintf(text, sizeof(text), "# one\nUseDNS no\n%s\n", bad[i]);
        if (feed(c, text, &err) == NACRE_OK) {
            fail_msg("taken: %s", bad[i]);
        }
        if (!strstr(err.text, "test line 3: ")) {
            fail_msg("%s: %s", bad[i], err.text);
        }
        nacre_sshd_config_free(c);
    }
}

static void limits_of_silence(void **state)
{
    (void)state;
    char pattern[32] = "";
    uint32_t seconds = 1;
    nacre_sshd_config *c = read_text("ChannelTimeout session:*=5m x11-connection=0 a=b=7\n"
                                     "ChannelTimeout later=1\nUnusedConnectionTimeout 1h\n");
    assert_int_equal(nacre_sshd_config_settings(c)->unused_timeout_seconds, 3600);
    assert_true(nacre_sshd_config_channel_timeout(c, 0, pattern, sizeof(pattern), &seconds));
    assert_string_equal(pattern, "session:*");
    assert_int_equal(seconds, 300);
    assert_true(nacre_sshd_config_channel_timeout(c, 1, pattern, sizeof(pattern), &seconds));
    assert_int_equal(seconds, 0);
    assert_true(nacre_sshd_config_channel_timeout(c, 2, pattern, sizeof(pattern), &seconds));
    assert_string_equal(pattern, "a=b");
    assert_false(nacre_sshd_config_channel_timeout(c, 3, pattern, sizeof(pattern), &seconds));
    assert_false(nacre_sshd_config_channel_timeout(c, 0, pattern, 9, &seconds));
    assert_false(nacre_sshd_config_channel_timeout(c, 0, pattern, 0, &seconds));
    nacre_sshd_config_free(c);
    c = read_text("ChannelTimeout none\nUnusedConnectionTimeout none\n");
    assert_int_equal(nacre_sshd_config_settings(c)->unused_timeout_seconds, 0);
    assert_false(nacre_sshd_config_channel_timeout(c, 0, pattern, sizeof(pattern), &seconds));
    nacre_sshd_config_free(c);
    char many[2048] = "ChannelTimeout";
    for (int i = 0; i < 33; i++) {
        size_t n = strlen(many);
        (void)snprintf(many + n, sizeof(many) - n, " t%d=1", i);
    }
    nacre_error err = {0};
    c = fresh();
    assert_int_equal(feed(c, many, &err), NACRE_LIMIT);
    nacre_sshd_config_free(c);
}

static void lists_of_methods_and_hosts(void **state)
{
    (void)state;
    nacre_sshd_config *c =
        read_text("AuthenticationMethods publickey,password publickey,keyboard-interactive:pam\n"
                  "AuthenticationMethods hostbased\n" /* the first line counts */
                  "HostbasedAuthentication yes\nIgnoreRhosts shosts-only\n"
                  "HostbasedUsesNameFromPacketOnly yes\nIgnoreUserKnownHosts yes\n"
                  "HostbasedAcceptedAlgorithms ssh-ed25519\n");
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    assert_int_equal(s->authentication_methods.count, 2);
    assert_string_equal(s->authentication_methods.items[1], "publickey,keyboard-interactive:pam");
    assert_true(s->hostbased_authentication && s->hostbased_name_from_packet);
    assert_true(s->ignore_user_known_hosts);
    assert_int_equal(s->ignore_rhosts, 2);
    assert_string_equal(s->hostbased_algorithms, "ssh-ed25519");
    nacre_sshd_config_free(c);
    c = read_text("AuthenticationMethods any\n");
    s = nacre_sshd_config_settings(c);
    assert_int_equal(s->authentication_methods.count, 0);
    assert_false(s->hostbased_authentication || s->hostbased_name_from_packet);
    assert_int_equal(s->ignore_rhosts, 1);
    nacre_sshd_config_free(c);
}

static void harmless_keywords_are_taken(void **state)
{
    (void)state;
    nacre_sshd_config *c = read_text("UseDNS no\nX11Forwarding yes\nAllowTcpForwarding yes\n"
                                     "GatewayPorts no\nPermitEmptyPasswords no\nUsePAM yes\n"
                                     "ChrootDirectory none\nAuthenticationMethods any\nProtocol 2\n"
                                     "GSSAPIAuthentication no\nPerSourcePenalties no\n");
    assert_non_null(nacre_sshd_config_warning(c, 0));
    assert_non_null(strstr(nacre_sshd_config_warning(c, 0), "UsePAM"));
    assert_non_null(strstr(nacre_sshd_config_warning(c, 1), "Protocol"));
    assert_null(nacre_sshd_config_warning(c, 2));
    nacre_sshd_config_free(c);
}

static void rules_for_sources(void **state)
{
    (void)state;
    nacre_sshd_config *c = read_text("");
    const nacre_source_rules *r = &nacre_sshd_config_settings(c)->sources;
    assert_int_equal(r->per_source, 0);
    assert_int_equal(r->block4, 32);
    assert_int_equal(r->block6, 128);
    assert_true(r->penalties);
    assert_int_equal(r->penalty_min_ms, 15000);
    assert_null(nacre_sshd_config_settings(c)->penalty_exempt);
    nacre_sshd_config_free(c);

    c = read_text("PerSourceMaxStartups 7\nPerSourceMaxStartups 8\nPerSourceNetBlockSize 24:56\n"
                  "PerSourcePenalties crash:2m AUTHFAIL:1h30m crash:7\n"
                  "PerSourcePenalties noauth:0 authfail:9 overflow:deny-all max-sources6:9\n"
                  "PerSourcePenaltyExemptList 10.0.0.0/8,!10.1.0.0/16\n");
    r = &nacre_sshd_config_settings(c)->sources;
    assert_int_equal(r->per_source, 7);
    assert_int_equal(r->block4, 24);
    assert_int_equal(r->block6, 56);
    assert_int_equal(r->penalty_ms[NACRE_OFFENCE_CRASH], 120000);
    assert_int_equal(r->penalty_ms[NACRE_OFFENCE_AUTH_FAIL], 5400000);
    assert_int_equal(r->penalty_ms[NACRE_OFFENCE_NO_AUTH], 0);
    assert_int_equal(r->penalty_ms[NACRE_OFFENCE_GRACE], 10000);
    assert_true(r->deny_overflow4 && r->deny_overflow6);
    assert_int_equal(r->max_sources4, 65536);
    assert_int_equal(r->max_sources6, 9);
    assert_string_equal(nacre_sshd_config_settings(c)->penalty_exempt, "10.0.0.0/8,!10.1.0.0/16");
    nacre_sshd_config_free(c);

    c = read_text("PerSourcePenalties overflow6:permissive\nPerSourcePenalties overflow:deny-all\n"
                  "PerSourceMaxStartups none\nPerSourceNetBlockSize 20\nPerSourcePenalties no\n"
                  "PerSourcePenalties yes\nPerSourcePenaltyExemptList none\n");
    r = &nacre_sshd_config_settings(c)->sources;
    assert_true(r->deny_overflow4);
    assert_false(r->deny_overflow6 || r->penalties);
    assert_int_equal(r->block4, 20);
    assert_int_equal(r->block6, 128);
    nacre_sshd_config_free(c);

    /* Together they must make sense, which is known at the end only. */
    nacre_error err = {0};
    c = fresh();
    assert_int_equal(
        nacre_sshd_config_text(c, nc_span_cstr("PerSourcePenalties min:20m\n"), "t", &err),
        NACRE_OK);
    assert_int_equal(nacre_sshd_config_finish(c, &err), NACRE_SYNTAX);
    assert_non_null(strstr(err.text, "1200 s"));
    nacre_sshd_config_free(c);
}

/* Cut anywhere it is an error or a shorter configuration, and nothing else. */
static void truncated_at_every_offset(void **state)
{
    (void)state;
    static const char text[] =
        "Port 22\nListenAddress [::1]:99\nBanner \"a b\"\nMaxStartups 1:2:3\n"
        "Subsystem sftp internal-sftp -R\nAllowUsers a@10.0.0.0/8 b\n"
        "RekeyLimit 1G 2h\nForceCommand x 'y\nSetEnv A=\"b c\"\n";
    for (size_t n = 0; n <= sizeof(text) - 1; n++) {
        nacre_error err = {0};
        nacre_sshd_config *c = fresh();
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        int rc = nacre_sshd_config_text(c, nc_span(copy, n), "cut", &err);
        assert_true(rc == NACRE_OK || strstr(err.text, "cut line ") != NULL);
        free(copy);
        nacre_sshd_config_free(c);
    }
    nacre_error err = {0};
    nacre_sshd_config *c = fresh();
    assert_int_equal(nacre_sshd_config_text(c, nc_span("Port 2\0002", 8), "zero", &err),
                     NACRE_SYNTAX);
    nacre_sshd_config_free(c);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void includes(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-conf-XXXXXX";
    char path[64], text[256];
    nacre_error err = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/a.conf", dir);
    write_file(path, "MaxSessions 7\n");
    (void)snprintf(path, sizeof(path), "%s/b.conf", dir);
    write_file(path, "MaxSessions 8\nNonsense 1\n");
    nacre_sshd_config *c = fresh();
    (void)snprintf(text, sizeof(text), "Include %s/a*.conf %s/none*\nMaxSessions 9\n", dir, dir);
    assert_int_equal(feed(c, text, &err), NACRE_OK);
    assert_int_equal(nacre_sshd_config_settings(c)->max_sessions, 7);
    (void)snprintf(text, sizeof(text), "Include %s/*.conf\n", dir);
    assert_int_equal(feed(c, text, &err), NACRE_SYNTAX);
    assert_non_null(strstr(err.text, "b.conf line 2"));
    nacre_sshd_config_free(c);
    /* A file that includes itself ends in an error. */
    (void)snprintf(text, sizeof(text), "Include %s\n", path);
    write_file(path, text);
    memset(&err, 0, sizeof(err));
    c = fresh();
    assert_int_equal(nacre_sshd_config_file(c, path, &err), NACRE_LIMIT);
    nacre_sshd_config_free(c);
    memset(&err, 0, sizeof(err));
    c = fresh();
    assert_int_equal(nacre_sshd_config_file(c, "/nonexistent/config", &err), NACRE_IO);
    nacre_sshd_config_free(c);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/a.conf", dir);
    (void)unlink(path);
    (void)rmdir(dir);
}

static int allowed(const char *text, const char *user, const char *group, const char *address)
{
    nacre_sshd_config *c = read_text(text);
    int rc = nacre_sshd_config_user_allowed(c, user, &group, 1, address, NULL);
    nacre_sshd_config_free(c);
    return rc;
}

static void who_may_come(void **state)
{
    (void)state;
    assert_int_equal(allowed("", "bob", "staff", "10.1.1.1"), NACRE_OK);
    assert_int_equal(allowed("AllowUsers b*\n", "bob", "staff", "10.1.1.1"), NACRE_OK);
    assert_int_equal(allowed("AllowUsers alice\n", "bob", "staff", "10.1.1.1"), NACRE_AUTH_FAILED);
    assert_int_equal(allowed("AllowUsers bob,alice\n", "bob", "staff", "::1"), NACRE_AUTH_FAILED);
    assert_int_equal(allowed("AllowUsers bob@10.0.0.0/8\n", "bob", "staff", "10.1.1.1"), NACRE_OK);
    assert_int_equal(allowed("AllowUsers bob@10.0.0.0/8\n", "bob", "staff", "11.1.1.1"),
                     NACRE_AUTH_FAILED);
    assert_int_equal(allowed("DenyUsers bob\nAllowUsers bob\n", "bob", "staff", "::1"),
                     NACRE_AUTH_FAILED);
    assert_int_equal(allowed("DenyGroups st?ff\n", "bob", "staff", "::1"), NACRE_AUTH_FAILED);
    assert_int_equal(allowed("AllowGroups wheel\n", "bob", "staff", "::1"), NACRE_AUTH_FAILED);
    assert_int_equal(allowed("AllowGroups wheel staff\n", "bob", "staff", "::1"), NACRE_OK);
}

static void which_environment(void **state)
{
    (void)state;
    nacre_sshd_config *c = read_text("AcceptEnv LANG LC_*\nAcceptEnv X?\n");
    assert_true(nacre_sshd_config_accepts_env(c, nc_span_cstr("LANG")));
    assert_true(nacre_sshd_config_accepts_env(c, nc_span_cstr("LC_ALL")));
    assert_true(nacre_sshd_config_accepts_env(c, nc_span_cstr("XY")));
    assert_false(nacre_sshd_config_accepts_env(c, nc_span_cstr("LD_PRELOAD")));
    assert_false(nacre_sshd_config_accepts_env(c, nc_span_cstr("lang")));
    assert_false(nacre_sshd_config_accepts_env(c, nc_span_cstr("")));
    nacre_sshd_config_free(c);
    c = read_text("");
    assert_false(nacre_sshd_config_accepts_env(c, nc_span_cstr("LANG")));
    nacre_sshd_config_free(c);
}

static void key_file_paths(void **state)
{
    (void)state;
    char out[64];
    assert_int_equal(nacre_sshd_expand_path(".ssh/k", "bob", "/home/bob", 7, out, sizeof(out)),
                     NACRE_OK);
    assert_string_equal(out, "/home/bob/.ssh/k");
    assert_int_equal(nacre_sshd_expand_path("/k/%u-%U%%", "bob", "/home/bob", 7, out, sizeof(out)),
                     NACRE_OK);
    assert_string_equal(out, "/k/bob-7%");
    assert_int_equal(nacre_sshd_expand_path("%h/k", "bob", "/home/bob", 7, out, sizeof(out)),
                     NACRE_OK);
    assert_string_equal(out, "/home/bob/k");
    assert_int_equal(nacre_sshd_expand_path("/k/%u", "../root", "/h", 7, out, sizeof(out)),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sshd_expand_path("/k/%u", "..", "/h", 7, out, sizeof(out)),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sshd_expand_path("/k/%x", "bob", "/h", 7, out, sizeof(out)),
                     NACRE_SYNTAX);
    assert_int_equal(nacre_sshd_expand_path("/k/%", "bob", "/h", 7, out, sizeof(out)),
                     NACRE_SYNTAX);
    for (size_t n = 0; n < sizeof("/home/bob/.ssh/k"); n++) {
        assert_int_not_equal(nacre_sshd_expand_path(".ssh/k", "bob", "/home/bob", 7, out, n),
                             NACRE_OK);
    }
}

typedef struct dumped {
    char text[16384];
    size_t n;
} dumped;

static void take_line(void *user, const char *text)
{
    dumped *d = user;
    int put = snprintf(d->text + d->n, sizeof(d->text) - d->n, "%s\n", text);
    assert_true(put > 0);
    d->n += (size_t)put;
}

/* What -T prints, read again, comes to the same. */
static void dump_reads_back(void **state)
{
    (void)state;
    nacre_sshd_config *c = read_text("Port 99\nListenAddress ::1\nAllowUsers a b@10.0.0.0/8\n"
                                     "Subsystem sftp internal-sftp -R\nForceCommand x y  z\n"
                                     "MaxStartups 1:2:3\nRekeyLimit 1G 2h\nSetEnv A=b\n");
    dumped *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two));
    assert_true(one && two);
    nacre_sshd_config_dump(c, take_line, one);
    assert_non_null(strstr(one->text, "port 99\n"));
    assert_non_null(strstr(one->text, "listenaddress [::1]:99\n"));
    assert_non_null(strstr(one->text, "permitrootlogin without-password\n"));
    assert_non_null(strstr(one->text, "forcecommand x y  z\n"));
    nacre_sshd_config *again = read_text(one->text);
    nacre_sshd_config_dump(again, take_line, two);
    assert_string_equal(one->text, two->text);
    free(one);
    free(two);
    nacre_sshd_config_free(c);
    nacre_sshd_config_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_openssh_s),
        cmocka_unit_test(spelling_is_free_where_openssh_is),
        cmocka_unit_test(first_value_wins),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(limits_of_silence),
        cmocka_unit_test(lists_of_methods_and_hosts),
        cmocka_unit_test(harmless_keywords_are_taken),
        cmocka_unit_test(rules_for_sources),
        cmocka_unit_test(truncated_at_every_offset),
        cmocka_unit_test(includes),
        cmocka_unit_test(who_may_come),
        cmocka_unit_test(which_environment),
        cmocka_unit_test(key_file_paths),
        cmocka_unit_test(dump_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
