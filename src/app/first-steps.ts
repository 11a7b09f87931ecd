/**
 * What a newcomer can paste after the first start. Enters: the configuration. Leaves: lines for a person. Invariant: they work as printed, from the
 * folder in which the server was started, and show no secret.
 */
import { relative } from 'node:path';
import type { Config } from '../config/config.js';
import { installation } from './policy.js';

/** The built-in NAS, or one like it in conf. */
const LOOPBACK = '127.0.0.1';

export function firstSteps(config: Config, write: (line: string) => void): void {
  const nas = config.nas.find((entry) => entry.addresses.includes(LOOPBACK));
  const auth = config.radius.auth.find((endpoint) => endpoint.address === LOOPBACK);
  if (nas === undefined || auth === undefined) return;
  const shown = (path: string): string => {
    const short = relative(process.cwd(), path);
    return quote(short === '' || short.startsWith('..') ? path : short);
  };
  const sluice = [shown(`${installation}bin/sluice`), ...folderOptions(config, shown)].join(' ');
  const secretFile = shown(`${config.dataDir}/secrets/${nas.name}`);
  write('');
  write('Try it, from another terminal:');
  write('');
  write(`  ${sluice} plan add home --down 50M --up 10M`);
  write(`  ${sluice} pool add main 100.64.0.0/16`);
  write(`  echo 'wonderland' | ${sluice} subscriber add alice --plan home --pool main --password-stdin`);
  write('');
  write(`  echo 'User-Name=alice,User-Password=wonderland,Message-Authenticator=0x00' |`);
  write(`    radclient -x -S ${secretFile} ${LOOPBACK}:${auth.port} auth`);
  write('');
}

function folderOptions(config: Config, shown: (path: string) => string): string[] {
  const options: string[] = [];
  if (`${config.confDir}/` !== `${installation}conf/`) options.push('--conf', shown(config.confDir));
  if (`${config.dataDir}/` !== `${installation}data/`) options.push('--data', shown(config.dataDir));
  return options;
}

function quote(path: string): string {
  return /^[A-Za-z0-9_./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
