/**
 * FreeRADIUS as a careful administrator sets it up. Enters: which kind, ports, the secret, a database. Leaves: the text of radiusd.conf and of
 * a users file. Invariant: the stock queries and tables, one SQL connection per thread, no debug output, no work that the measured job
 * does not need; Message-Authenticator in every answer to an Access-Request, as Sluice has it.
 */
import { INTERIM_SECONDS, POOL_NAME, RATE_LIMIT, STATIC_SUBSCRIBERS, staticPerson } from './world.js';

/** Where Debian keeps its files. */
const STOCK = '/etc/freeradius/3.0';
/** Debian's own: threads at most. */
const THREADS = 32;
/** What Sluice asks for too. */
const RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024;

/** Users in memory; users and accounting in PostgreSQL; addresses out of PostgreSQL. */
export type FreeradiusKind = 'files' | 'sql' | 'sqlippool';

export interface FreeradiusSettings {
  readonly kind: FreeradiusKind;
  readonly folder: string;
  readonly authPort: number;
  readonly accountingPort: number;
  readonly secret: string;
  readonly database: URL;
}

/** The users file: the same people with the same answers. */
export function usersFile(): string {
  const users: string[] = [];
  for (let n = 1; n <= STATIC_SUBSCRIBERS; n++) {
    const { login, password, address } = staticPerson(n);
    users.push(
      `${login} Cleartext-Password := "${password}"\n\tFramed-IP-Address := ${address},\n\tFramed-IP-Netmask := 255.255.255.255,\n` +
        `\tService-Type := Framed-User,\n\tFramed-Protocol := PPP,\n\tMikrotik-Rate-Limit := "${RATE_LIMIT}",\n` +
        `\tAcct-Interim-Interval := ${String(INTERIM_SECONDS)}\n`,
    );
  }
  return users.join('\n');
}

/** radiusd.conf. */
export function freeradiusConfiguration(settings: FreeradiusSettings): string {
  const { kind, folder } = settings;
  return `
prefix = /usr
sysconfdir = /etc
localstatedir = ${folder}
logdir = ${folder}/logs
raddbdir = ${folder}
radacctdir = ${folder}/logs
confdir = ${folder}
run_dir = ${folder}
libdir = /usr/lib/freeradius
pidfile = ${folder}/freeradius.pid
max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
log {
  destination = files
  file = ${folder}/logs/radius.log
  auth = no
}
security {
  max_attributes = 200
  reject_delay = 1
  status_server = no
}
thread pool {
  start_servers = ${String(THREADS)}
  max_servers = ${String(THREADS)}
  min_spare_servers = ${String(THREADS)}
  max_spare_servers = ${String(THREADS)}
  max_requests_per_server = 0
  auto_limit_acct = no
}
client loopback {
  ipaddr = 127.0.0.0/8
  secret = "${settings.secret}"
  require_message_authenticator = yes
}
instantiate {
  expr
}
modules {
  expr {
  }
  always {
    rcode = ok
  }
  pap {
    normalise = yes
  }
${kind === 'files' ? filesModule(folder) : sqlModule(settings.database)}${kind === 'sqlippool' ? poolModule(folder) : ''}
}
policy {
  $INCLUDE ${STOCK}/policy.d/accounting
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = ${String(settings.authPort)}
    recv_buff = ${String(RECEIVE_BUFFER_OCTETS)}
  }
  listen {
    type = acct
    ipaddr = 127.0.0.1
    port = ${String(settings.accountingPort)}
    recv_buff = ${String(RECEIVE_BUFFER_OCTETS)}
  }
  authorize {
    ${kind === 'files' ? 'files' : 'sql'}
    pap
    update reply {
      Message-Authenticator := 0x00
    }
${kind === 'sqlippool' ? `    update control {\n      Pool-Name := "${POOL_NAME}"\n    }\n` : ''}  }
  authenticate {
    Auth-Type PAP {
      pap
    }
  }
  post-auth {
${kind === 'sqlippool' ? '    sqlippool\n' : ''}  }
  preacct {
    acct_unique
  }
  accounting {
${kind === 'sql' ? '    sql\n' : ''}  }
}
`;
}

function filesModule(folder: string): string {
  return `  files {
    usersfile = ${folder}/users
  }
`;
}

function sqlModule(database: URL): string {
  return `  sql {
    dialect = "postgresql"
    driver = "rlm_sql_postgresql"
    server = "${database.hostname}"
    port = ${database.port}
    login = "${database.username}"
    password = "${database.password}"
    radius_db = "${database.pathname.slice(1)}"
    acct_table1 = "radacct"
    acct_table2 = "radacct"
    postauth_table = "radpostauth"
    authcheck_table = "radcheck"
    groupcheck_table = "radgroupcheck"
    authreply_table = "radreply"
    groupreply_table = "radgroupreply"
    usergroup_table = "radusergroup"
    client_table = "nas"
    read_groups = yes
    group_attribute = "SQL-Group"
    pool {
      start = ${String(THREADS)}
      min = ${String(THREADS)}
      max = ${String(THREADS)}
      spare = ${String(THREADS)}
      uses = 0
      lifetime = 0
      idle_timeout = 0
    }
    $INCLUDE ${STOCK}/mods-config/sql/main/postgresql/queries.conf
  }
`;
}

function poolModule(folder: string): string {
  return `  sqlippool {
    sql_module_instance = "sql"
    dialect = "postgresql"
    pool_name = "Pool-Name"
    ippool_table = "radippool"
    lease_duration = 3600
    allocate_clear_timeout = 1
    attribute_name = Framed-IP-Address
    req_attribute_name = Framed-IP-Address
    pool_key = "%{Calling-Station-Id}"
    $INCLUDE ${folder}/ippool-queries.conf
  }
`;
}

/** Debian's queries of sqlippool with what their comment advises for PostgreSQL 9.5 and later. */
export function poolQueries(stock: string): string {
  return stock.replace(/^skip_locked = ""/m, 'skip_locked = "SKIP LOCKED"');
}
