/**
 * Debian's FreeRADIUS as a child process on tables of a test.
 *
 * Enters: the URL of a database with its stock tables, a secret. Leaves: a port that answers. Invariant: it has a configuration
 * folder of its own and is gone, with it, when its test is.
 */
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { freeUdpPort } from './free-port.js';

/** Where Debian keeps its queries for PostgreSQL. */
const stockQueries = '/etc/freeradius/3.0/mods-config/sql/main/postgresql/queries.conf';

/** What Debian lets through into a Reject. */
const stockRejectFilter = '/etc/freeradius/3.0/mods-config/attr_filter/access_reject';

/** A start takes a second; a loaded machine more, ms. */
const readyTimeoutMs = 30_000;

/** False, or why tests have to be skipped. */
export async function withoutFreeradius(): Promise<string | false> {
  const run = promisify(execFile);
  return await run('freeradius', ['-v'])
    .then(() => run('ls', [stockQueries, '/usr/lib/freeradius/rlm_sql_postgresql.so']))
    .then(
      () => false as const,
      () => 'FreeRADIUS is not installed (Debian: freeradius freeradius-postgresql)',
    );
}

/** Starts it; the test's teardown ends it. @returns its authentication port */
export async function startFreeradius(t: Pick<Test, 'teardown'>, databaseUrl: string, secret: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-freeradius-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o700);
  const port = await freeUdpPort();
  const database = new URL(databaseUrl);
  await mkdir(join(folder, 'logs'));
  await writeFile(join(folder, 'radiusd.conf'), configuration(folder, port, database, secret), { mode: 0o600 });
  const child = spawn('freeradius', ['-f', '-x', '-l', 'stdout', '-d', folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const ended = new Promise<void>((settle) => child.once('close', () => settle()));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await new Promise<void>((settle, fail) => {
    const timer = setTimeout(() => fail(new Error(`FreeRADIUS is not ready:\n${text.slice(-3_000)}`)), readyTimeoutMs);
    const read = (chunk: unknown) => {
      // Debug output goes on for as long as it answers; only the beginning is of interest.
      if (text.length < 200_000) text += String(chunk);
      if (!text.includes('Ready to process requests')) return;
      clearTimeout(timer);
      settle();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    void ended.then(() => fail(new Error(`FreeRADIUS ended:\n${text.slice(-3_000)}`)));
  });
  return port;
}

function configuration(folder: string, port: number, database: URL, secret: string): string {
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
cleanup_delay = 0
max_requests = 16384
hostname_lookups = no
security {
  max_attributes = 200
  reject_delay = 0
  status_server = no
}
thread pool {
  start_servers = 2
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
}
client loopback {
  ipaddr = 127.0.0.0/8
  secret = "${secret}"
  require_message_authenticator = no
}
instantiate {
  expr
}
modules {
  expr {
  }
  pap {
    normalise = yes
  }
  chap {
  }
  mschap {
    use_mppe = yes
  }
  expiration {
  }
  attr_filter attr_filter.access_reject {
    key = "%{User-Name}"
    filename = ${stockRejectFilter}
  }
  sql {
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
      start = 1
      min = 1
      max = 4
      spare = 1
      uses = 0
      lifetime = 0
      idle_timeout = 60
    }
    $INCLUDE ${stockQueries}
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = ${String(port)}
  }
  authorize {
    chap
    mschap
    sql
    expiration
    pap
  }
  post-auth {
    Post-Auth-Type REJECT {
      attr_filter.access_reject
    }
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type CHAP {
      chap
    }
    Auth-Type MS-CHAP {
      mschap
    }
  }
}
`;
}
