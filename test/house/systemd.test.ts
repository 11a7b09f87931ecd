/**
 * The systemd files say what systemd understands, and the service is well shut in.
 */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const folder = fileURLToPath(new URL('../../systemd/', import.meta.url));
const unit = `${folder}sluice.service`;

/** Highest exposure that passes, in tenths: 2.0. */
const MAX_EXPOSURE_TENTHS = 20;

const has = (tool: string) => spawnSync(tool, ['--version']).status === 0;

t.test(
  'exposure is 2.0 or lower',
  { skip: has('systemd-analyze') ? false : 'systemd-analyze is not installed' },
  async (t) => {
    const threshold = `--threshold=${String(MAX_EXPOSURE_TENTHS)}`;
    const { status, stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', threshold, unit], {
      encoding: 'utf8',
    });
    t.equal(status, 0, stdout.trim().split('\n').at(-1) ?? '');
  },
);

t.test(
  'the user can be made',
  { skip: has('systemd-sysusers') ? false : 'systemd-sysusers is not installed' },
  async (t) => {
    const { status, stderr } = spawnSync('systemd-sysusers', ['--dry-run', `${folder}sluice.sysusers.conf`], {
      encoding: 'utf8',
    });
    t.equal(status, 0, stderr);
  },
);

t.test('the service: drains on SIGTERM, comes back, gets secrets by credential, has no capability', async (t) => {
  const text = await readFile(unit, 'utf8');
  for (const line of [
    /^KillMode=mixed$/m,
    /^Restart=always$/m,
    /^#?LoadCredential=/m,
    /^CapabilityBoundingSet=$/m,
    /^NoNewPrivileges=yes$/m,
    /^ProtectSystem=strict$/m,
    /^StateDirectory=sluice$/m,
    /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m,
    /^ExecStart=\S+ \/opt\/sluice\/bin\/launch\.mjs serve$/m,
  ]) {
    t.match(text, line);
  }
});

t.test('service, user and folders agree on names', async (t) => {
  const user = /^User=(\S+)$/m.exec(await readFile(unit, 'utf8'))?.[1];
  t.match(await readFile(`${folder}sluice.sysusers.conf`, 'utf8'), new RegExp(`^u ${String(user)} `, 'm'));
  t.match(
    await readFile(`${folder}sluice.tmpfiles.conf`, 'utf8'),
    new RegExp(`^d /var/lib/sluice +0700 +${String(user)} `, 'm'),
  );
});
