/*
 * nacre/nacre.h - all of nacre at once.
 *
 *   I want ...                                      look at
 *   a connection without I/O, in my own loop        transport.h, channel.h
 *   to log in, run a command                        client.h
 *   a channel as a file, with lines and deadlines   stream.h
 *   files: names and attributes; open files; copies sftp.h; sftp_file.h; sftp_transfer.h
 *   many small requests at once; paths as text      sftp_batch.h; paths.h
 *   copies by the old scp protocol                  scp.h
 *   to serve                                        server.h, sftp_server.h, local_files.h,
 *                                                   memory_files.h, auth_policy.h
 *   who may connect, counted by source              sources.h
 *   keys and who may use them                       key.h, cert.h, known_hosts.h,
 *                                                   authorized_keys.h, krl.h
 *   keys in an agent, or to be one                  agent.h
 *   signatures over files, and who may sign         sshsig.h
 *   dates and spans of time as text                 dates.h
 *   a small poll loop, sockets, programs            loop.h, net.h, process.h, account.h
 *   SFTP without I/O                                sftp_engine.h, sftp_attrs.h, pipe.h
 *   ssh's configuration files                       ssh_config.h, sshd_config.h
 */
#ifndef NACRE_NACRE_H
#define NACRE_NACRE_H

#include "nacre/account.h"
#include "nacre/agent.h"
#include "nacre/agent_forward.h"
#include "nacre/auth_policy.h"
#include "nacre/authorized_keys.h"
#include "nacre/base.h"
#include "nacre/cert.h"
#include "nacre/channel.h"
#include "nacre/client.h"
#include "nacre/dates.h"
#include "nacre/forward.h"
#include "nacre/host_trust.h"
#include "nacre/hostbased.h"
#include "nacre/key.h"
#include "nacre/known_hosts.h"
#include "nacre/krl.h"
#include "nacre/local_files.h"
#include "nacre/loop.h"
#include "nacre/memory_files.h"
#include "nacre/mux.h"
#include "nacre/net.h"
#include "nacre/paths.h"
#include "nacre/pipe.h"
#include "nacre/process.h"
#include "nacre/publickey.h"
#include "nacre/scp.h"
#include "nacre/server.h"
#include "nacre/sftp.h"
#include "nacre/sftp_attrs.h"
#include "nacre/sftp_batch.h"
#include "nacre/sftp_engine.h"
#include "nacre/sftp_file.h"
#include "nacre/sftp_server.h"
#include "nacre/sftp_transfer.h"
#include "nacre/sources.h"
#include "nacre/ssh_config.h"
#include "nacre/sshd_config.h"
#include "nacre/sshfp.h"
#include "nacre/sshsig.h"
#include "nacre/stream.h"
#include "nacre/transport.h"
#include "nacre/x11.h"

#endif
